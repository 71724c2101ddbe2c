"""x[index] and x[index] = value, with the rules of NumPy and PyTorch.

Integers, slices with positive steps, ... and None give views; lists, ranges, arrays and tensors of integers, and bool masks look
elements up and copy them. Several of these broadcast together; their common shape stands where they stood if they were
neighbours, else in front. As in PyTorch (not NumPy), an integer beside them only drops its dimension.
"""
import numpy as np

from pydl._core.kernels cimport PD_BOOL, PD_I32, PD_I64, PD_MAX_DIMS, pd_launch
from pydl._core.launch cimport contiguous, duplicate, filled, map_into, prepare, run
from pydl._core.tape cimport Node, Op, changed, op, rebase, record1, record2, recording, writable_in_place
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, alias_of, empty, same_shape, shape_of, tensor_arg
from pydl.ops.gather cimport check_range, index_arg, launch_rows, select_rows
from pydl.ops.index_parse cimport Index, Lookup, boxed, parse, part_of
from pydl.ops.masks cimport positions_of_mask
from pydl.ops.operands cimport converted
from pydl.ops.parts cimport box_of
from pydl._core.numpy_bridge import as_tensor
from pydl.ops.operands import to
from pydl.ops.reduce import sum_to
from pydl.ops.shape import broadcast_to, reshape, unsqueeze

cdef extern from "pydl.h":
    enum: PD_copy
    enum: PD_where
    enum: PD_index_position
    enum: PD_rows_take
    enum: PD_rows_put
    enum: PD_rows_add
    enum: PD_gather
    enum: PD_scatter
    enum: PD_scatter_add


# ---- Looking up

cdef Tensor positions(Lookup at, Tensor x, list steps):
    """For every place of the common shape the sum of (index times step) over the dimensions looked up; one dimension."""
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int k, d, ndim = len(at.shape)
    cdef Tensor one, y
    for item, version in zip(at.indices, at.versions):
        if (<Tensor>item).storage.version != version:
            raise RuntimeError("getitem: an index tensor that its backward needs was modified in place; use clone() before the change")
    if len(at.indices) == 1 and not at.negative and steps[0] == 1:
        return <Tensor>reshape(at.indices[0], -1)
    for d in range(ndim):
        sizes[d] = at.shape[d]
    y = empty(PD_I64, ndim, sizes)
    for k in range(len(at.indices)):
        one = <Tensor>broadcast_to(at.indices[k], at.shape)
        prepare(&launch, PD_index_position, PD_I64)
        launch.buf[0], launch.buf[1], launch.buf[2] = one.data, y.data, y.data
        launch.map.ndim = ndim
        for d in range(ndim):
            launch.map.shape[d] = sizes[d]
            launch.map.stride[0][d] = one.strides[d]
            launch.map.stride[1][d] = launch.map.stride[2][d] = y.strides[d]
        launch.scalar[0], launch.scalar[1], launch.scalar[2] = x.sizes[<int>at.dims[k]], steps[k], k > 0
        run(&launch, PD_index_position, PD_I64)
    return <Tensor>reshape(y, -1)

cdef tuple kept_dims(Lookup at, Tensor x):
    return tuple([d for d in range(x.ndim) if d not in at.dims])

cdef int looked_sizes(Lookup at, Tensor x, ptrdiff_t *sizes) except -1:
    """The shape of the result; returns its number of dimensions."""
    cdef int ndim = 0
    cdef tuple kept = kept_dims(at, x)
    for size in [x.sizes[<int>d] for d in kept[:at.place]] + list(at.shape) + [x.sizes[<int>d] for d in kept[at.place:]]:
        sizes[ndim] = size
        ndim += 1
    return ndim

cdef int move(Lookup at, Tensor x, Tensor y, int rows_kernel, int axis_kernel) except -1:
    """Between x where `at` looks and y, which is contiguous, or has stride 0 everywhere, and has the result's shape."""
    cdef list steps = []
    cdef size_t outer = 1, n = 1, inner = 1
    cdef int d, first = at.dims[0]
    cdef Tensor places
    if y.numel == 0:
        return 0
    if x.contiguous and y.contiguous and at.neighbours:
        for d in range(x.ndim):
            if d < first: outer *= x.sizes[d]
            elif d < first + <int>len(at.dims): n *= x.sizes[d]
            else: inner *= x.sizes[d]
        steps = [x.strides[<int>d] // <ptrdiff_t>inner for d in at.dims]
        places = positions(at, x, steps)
        if rows_kernel == PD_rows_take:
            return launch_rows(rows_kernel, x, places, y, outer, n, inner)
        return launch_rows(rows_kernel, y, places, x, outer, n, inner)
    return move_strided(at, x, y, positions(at, x, [x.strides[<int>d] for d in at.dims]), axis_kernel)

cdef int move_strided(Lookup at, Tensor x, Tensor y, Tensor places, int kernel) except -1:
    """One axis for all places, the dimensions that are left around it."""
    cdef pd_launch launch
    cdef tuple kept = kept_dims(at, x)
    cdef int d = 0, k = 0, inside = len(at.shape)
    prepare(&launch, kernel, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, places.data, y.data
    launch.map.ndim = len(kept) + 1
    for d in range(<int>len(kept) + 1):
        if d == at.place:
            launch.map.shape[d] = places.numel
            launch.map.stride[0][d], launch.map.stride[1][d] = 0, 1
            launch.map.stride[2][d] = y.strides[d + inside - 1] if inside else 0
        else:
            k = d if d < at.place else d - 1
            launch.map.shape[d] = x.sizes[<int>kept[k]]
            launch.map.stride[0][d], launch.map.stride[1][d] = x.strides[<int>kept[k]], 0
            launch.map.stride[2][d] = y.strides[d if d < at.place else d + inside - 1]
    launch.scalar[0], launch.scalar[1] = at.place, 1
    return run(&launch, kernel, x.code)

cdef Tensor look_up(Tensor x, Lookup at):
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int ndim = looked_sizes(at, x, sizes)
    cdef Tensor y = empty(x.code, ndim, sizes)
    move(at, x, y, PD_rows_take, PD_gather)
    cdef Node node = record1(GETITEM, y, x)
    if node is not None:
        node.extra = (at, shape_of(x))
    return y

def put_back(input, lookup, shape):
    """Zeros of `shape` with input added at the places of a lookup, in order: the derivative of looking up."""
    cdef Tensor dy = contiguous(tensor_arg("put_back", input, "input"))
    cdef Tensor x = filled(dy.code, shape, 0)
    move(<Lookup?>lookup, x, dy, PD_rows_add, PD_scatter_add)
    cdef Node node = record1(PUT_BACK, x, <Tensor>input)
    if node is not None:
        node.extra = lookup
    return x

cdef object put_back_backward(Node node, object dy):
    return look_up(<Tensor>dy, <Lookup>node.extra)

cdef Op PUT_BACK = op(put_back, put_back_backward)

cdef Tensor rows_or_mask(Tensor x, Tensor index):
    """The short way for one index tensor: rows by indices that are not negative, or a mask over all; else None."""
    cdef Tensor flat
    if index.code == PD_BOOL:
        if index.ndim == 0 or not same_shape(x, index):
            return None
        return select_rows(x if x.ndim == 1 else <Tensor>reshape(x, -1), 0, positions_of_mask(contiguous(index)))
    if index.ndim == 0 or x.ndim == 0 or index.code != PD_I64 and index.code != PD_I32:
        return None
    if index.ndim + x.ndim - 1 > PD_MAX_DIMS:
        return None
    flat = index_arg("getitem", index, "index")
    if check_range("getitem", flat, x.sizes[0], True):
        return None
    if index.ndim == 1:
        return select_rows(x, 0, flat)
    return <Tensor>reshape(select_rows(x, 0, <Tensor>reshape(flat, -1)), shape_of(index) + shape_of(x)[1:])

def getitem(input, index):
    """input[index]: a view for ints, slices, ... and None; a copy where an array, list, tensor or mask looks elements up.

    Raises IndexError for indices out of range or too many, and for masks and index arrays that do not fit; ValueError
    for a negative step; TypeError for what is no index.
    """
    cdef Tensor x = tensor_arg("getitem", input, "input")
    cdef Tensor found
    if type(index) is int and x.ndim:
        return box_of(x, (part_of("getitem", index, 0, x.sizes[0], shape_of(x)),)
                      + tuple([(0, 1, x.sizes[d]) for d in range(1, x.ndim)]), True)
    if isinstance(index, Tensor):
        found = rows_or_mask(x, <Tensor>index)
        if found is not None:
            return found
    cdef Index at = parse("getitem", x, index)
    return look_up(boxed(x, at), at.lookup) if at.lookup is not None else boxed(x, at)

cdef object getitem_backward(Node node, object dy):
    lookup, shape = <tuple>node.extra
    return put_back(dy, lookup, shape)

cdef Op GETITEM = op(getitem, getitem_backward)


# ---- Writing

cdef Tensor value_for(Tensor x, object value):
    """A tensor of x's type, without the leading dimensions of size 1 that the place may lack."""
    cdef Tensor v
    if isinstance(value, Tensor):
        v = <Tensor>value
    elif isinstance(value, (bool, int, float)):
        return converted("setitem", value, x)
    else:
        try:
            v = as_tensor(np.array(value, dtype=dtype_of(x.code).name))
        except OverflowError as error:
            raise ValueError(f"setitem: a value does not fit in {dtype_of(x.code)} (shape {shape_of(x)}): {error}") from None
    return v if v.code == x.code else <Tensor>to(v, dtype_of(x.code))

cdef Tensor fitted(Tensor value, int ndim, const ptrdiff_t *sizes, tuple shape):
    """value without surplus leading dimensions of size 1; ValueError where it does not broadcast to the place."""
    cdef int extra = value.ndim - ndim, d
    cdef bint fits = True
    for d in range(value.ndim):
        if d < extra: fits &= value.sizes[d] == 1
        else: fits &= value.sizes[d] == 1 or value.sizes[d] == sizes[d - extra]
    if not fits:
        raise ValueError(f"setitem: a value of shape {shape_of(value)} does not broadcast to the place of shape "
                         f"{tuple([sizes[i] for i in range(ndim)])} in shape {shape}")
    return value if extra <= 0 else <Tensor>reshape(value, shape_of(value)[extra:])

cdef int write(Tensor part, Lookup lookup, Tensor value, int ndim, const ptrdiff_t *sizes, Tensor x) except -1:
    """The values into the memory of part, a view of x."""
    cdef Tensor source
    if lookup is None:
        return map_into(PD_copy, x.code, (value,), part)
    source = alias_of(value)
    if value.numel == 1:
        source = <Tensor>reshape(source, ())    # stride 0 everywhere
    source = <Tensor>broadcast_to(source, tuple([sizes[d] for d in range(ndim)]))
    if value.numel != 1:
        source = duplicate(source) if value.storage is x.storage else contiguous(source)
    return move(lookup, part, source, PD_rows_put, PD_scatter)

cdef int assign(Tensor x, Index at, object value) except -1:
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef Tensor v = value_for(x, value), part, result = None
    cdef Node node
    cdef int ndim
    part = box_of(x, at.box, False)
    for d in at.new_dims:
        part = <Tensor>unsqueeze(alias_of(part), d)
    if at.lookup is None:
        ndim = part.ndim
        for d in range(ndim):
            sizes[<int>d] = part.sizes[<int>d]
    else:
        ndim = looked_sizes(at.lookup, part, sizes)
    v = fitted(v, ndim, sizes, shape_of(x))
    if recording(x) or recording(v):
        result = alias_of(x)
        node = record2(SETITEM, result, x, v)
        node.extra = (at, shape_of(v))
        rebase(x, result)       # may refuse: before anything is written
    if at.mask is not None and v.numel == 1 and not at.new_dims:
        map_into(PD_where, x.code, (at.mask, v if v.ndim == 0 else alias_of(<Tensor>reshape(v, ())), x), x)
    else:
        write(part, at.lookup, v, ndim, sizes, x)
    changed(x)
    return 0

def setitem(input, index, value):
    """input[index] = value, in place; value (a tensor, array or number) broadcasts and is converted to input's type.

    Where index arrays name a place twice the last value stays. Gradients go to value, and for the rest to what input
    was. Raises as getitem; ValueError where the value does not broadcast; RuntimeError for a leaf that requires grad.
    """
    cdef Tensor x = tensor_arg("setitem", input, "input")
    cdef Tensor mask
    writable_in_place("setitem", x)
    if isinstance(index, Tensor) and isinstance(value, (bool, int, float)):
        mask = <Tensor>index
        if mask.code == PD_BOOL and mask.ndim and same_shape(mask, x) and not recording(x):
            map_into(PD_where, x.code, (mask, value_for(x, value), x), x)
            changed(x)
            return
    assign(x, parse("setitem", x, index), value)

cdef object setitem_backward(Node node, object dy):
    cdef Index at = <Index>(<tuple>node.extra)[0]
    cdef object rest = None, part = None
    if node.need(0):
        rest = (<Tensor>dy).clone()
        assign(<Tensor>rest, at, 0)
    if node.need(1):
        part = boxed(<Tensor>dy, at)
        if at.lookup is not None:
            part = look_up(<Tensor>part, at.lookup)
        part = sum_to(part, node.extra[1])      # the place may have had dimensions of size 1 that x lacks
    return rest, part

cdef Op SETITEM = op(setitem, setitem_backward)

__all__ = ["getitem", "setitem", "put_back"]
METHODS = []
