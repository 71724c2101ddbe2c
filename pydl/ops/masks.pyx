"""Ops of masks and classes: where something is set, what lies there, and one-hot vectors."""
from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_BOOL, PD_I64, PD_MAX_DIMS, PD_U8, pd_launch
from pydl._core.launch cimport cast, contiguous, fill, map_into, prepare, run
from pydl._core.recording cimport host_read
from pydl._core.tape cimport Op, op
from pydl._core.arguments cimport count_of, int_of
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, scalar_of, shape_of, tensor_arg, view_of
from pydl.ops.gather cimport check_range, index_arg, largest, launch_axis, select_rows
from pydl.ops.operands cimport converted
from pydl.ops.shape import broadcast_to, expand, reshape

cdef extern from "pydl.h":
    enum: PD_index_unravel
    enum: PD_mask_count
    enum: PD_mask_positions
    enum: PD_scatter
    enum: PD_where

cdef enum:
    INDEX_BLOCK = 1 << 16   # as in index.c


cdef Tensor positions_of_mask(Tensor mask):
    cdef pd_launch launch
    cdef ptrdiff_t size = mask.numel // INDEX_BLOCK + 2
    cdef Tensor starts = empty(PD_I64, 1, &size), y
    host_read("the number of elements that a mask selects")
    prepare(&launch, PD_mask_count, PD_U8)
    launch.buf[0], launch.buf[1] = mask.data, starts.data
    launch.lines.n = mask.numel
    run(&launch, PD_mask_count, PD_U8)
    size = (<int64_t *>starts.data)[(mask.numel + INDEX_BLOCK - 1) // INDEX_BLOCK]
    y = empty(PD_I64, 1, &size)
    prepare(&launch, PD_mask_positions, PD_U8)
    launch.buf[0], launch.buf[1], launch.buf[2] = mask.data, starts.data, y.data
    run(&launch, PD_mask_positions, PD_U8)
    return y


cdef Tensor mask_arg(str op, object mask):
    cdef Tensor m = tensor_arg(op, mask, "mask")
    if m.code != PD_BOOL:
        raise TypeError(f"{op}: mask must be bool, got {dtype_of(m.code)} of shape {shape_of(m)}")
    return m

cdef tuple common_shape(str op, Tensor a, Tensor b):
    cdef list sizes = []
    cdef int d, ndim = max(a.ndim, b.ndim)
    for d in range(-ndim, 0):
        i = a.sizes[a.ndim + d] if a.ndim + d >= 0 else 1
        j = b.sizes[b.ndim + d] if b.ndim + d >= 0 else 1
        if i != j and i != 1 and j != 1:
            raise ValueError(f"{op}: shapes {shape_of(a)} and {shape_of(b)} do not broadcast")
        sizes.append(j if i == 1 else i)
    return tuple(sizes)

def masked_select(input, mask):
    """The elements where mask is set, as one dimension, in row-major order. Input and mask broadcast to each other."""
    cdef Tensor x = tensor_arg("masked_select", input, "input"), m = mask_arg("masked_select", mask)
    shape = common_shape("masked_select", x, m)
    return select_rows(<Tensor>reshape(broadcast_to(x, shape), -1), 0, positions_of_mask(contiguous(<Tensor>broadcast_to(m, shape))))

def masked_fill(input, mask, value):
    """input with value (a number or a 0-dimensional tensor) where mask is set. Input and mask broadcast to each other."""
    from pydl.ops.compare import where
    cdef Tensor x = tensor_arg("masked_fill", input, "input"), m = mask_arg("masked_fill", mask), v
    common_shape("masked_fill", x, m)
    if not isinstance(value, Tensor):
        v = converted("masked_fill", value, x)
    else:
        v = <Tensor>value
        if v.ndim:
            raise ValueError(f"masked_fill: value must be a number or a 0-dimensional tensor, got shape {shape_of(v)}")
        v = v.to(dtype_of(x.code))
    return where(m, v, x)

def masked_fill_into(Tensor input not None, mask, value):
    """masked_fill_ with a number, where nothing is recorded; False where it is left to masked_fill."""
    cdef Tensor m = mask_arg("masked_fill", mask)
    if isinstance(value, Tensor) or common_shape("masked_fill", input, m) != shape_of(input):
        return False
    map_into(PD_where, input.code, (m, converted("masked_fill", value, input), input), input)
    return True

def nonzero(input, *, as_tuple=False):
    """The indices of the elements that are not zero: (count, ndim) int64, in row-major order.

    as_tuple: one (count,) tensor per dimension, fit for indexing.
    """
    cdef Tensor x = tensor_arg("nonzero", input, "input"), places, y
    cdef pd_launch launch
    cdef ptrdiff_t sizes[2]
    cdef int d
    if as_tuple and x.ndim == 0:
        return nonzero(reshape(x, 1), as_tuple=True)
    places = positions_of_mask(contiguous(cast(x, PD_BOOL)))
    sizes[0], sizes[1] = places.numel, x.ndim
    y = empty(PD_I64, 2, sizes)
    if y.numel:
        prepare(&launch, PD_index_unravel, PD_I64)
        launch.buf[0], launch.buf[1] = places.data, y.data
        launch.map.ndim = x.ndim
        for d in range(x.ndim):
            launch.map.shape[d] = x.sizes[d]
        launch.scalar[0] = places.numel
        run(&launch, PD_index_unravel, PD_I64)
    if as_tuple:
        return tuple([contiguous(view_of(y, 1, sizes, y.strides, d if y.numel else 0)) for d in range(x.ndim)])
    return y

cdef Op NONZERO = op(nonzero, NULL)

def argwhere(input):
    """nonzero(input)."""
    return nonzero(input)

def one_hot(tensor, num_classes=-1):
    """1 at the index of each class, 0 elsewhere: (*) int64 -> (*, num_classes) int64.

    num_classes -1: the largest index + 1. Raises IndexError where an index is negative or too large.
    """
    cdef Tensor i = index_arg("one_hot", tensor, "tensor"), y
    cdef ptrdiff_t sizes[PD_MAX_DIMS + 1]
    cdef int d
    cdef object classes = int_of("one_hot", num_classes, "num_classes")
    if classes == -1:
        if i.numel == 0:
            raise ValueError(f"one_hot: num_classes must be given for an empty tensor of shape {shape_of(i)}")
        classes = largest(i) + 1
    if classes < 1:
        raise ValueError(f"one_hot: num_classes must be positive or -1, got {num_classes}")
    count_of("one_hot", classes, "num_classes")
    check_range("one_hot", i, classes, False)
    for d in range(i.ndim):
        sizes[d] = i.sizes[d]
    sizes[i.ndim] = classes
    y = empty(PD_I64, i.ndim + 1, sizes)
    fill(y, 0)
    sizes[i.ndim] = 1
    launch_axis(PD_scatter, y, reshape(i, shape_of(i) + (1,)), expand(scalar_of(PD_I64, 1), shape_of(i) + (1,)), i.ndim)
    return y

cdef Op ONE_HOT = op(one_hot, NULL)

__all__ = ["masked_select", "masked_fill", "nonzero", "argwhere", "one_hot"]
METHODS = ["masked_select", "masked_fill", "nonzero", "argwhere"]
