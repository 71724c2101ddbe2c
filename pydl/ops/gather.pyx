"""Ops that take and put elements by index: rows, or single elements along a dimension."""
from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_BOOL, PD_I32, PD_I64, PD_MAX_DIMS, pd_launch
from pydl._core.launch cimport cast, contiguous, duplicate, filled, prepare, run
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, host_read, recorder
from pydl._core.tape cimport Node, Op, op, record1, record2
from pydl._core.arguments cimport wrap_dim
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, scalar_of, shape_of, tensor_arg
from pydl.ops.operands cimport converted
from pydl._core.recording import CaptureError
from pydl.ops.shape import expand, reshape

cdef const int *capturing = capture_flag()

cdef extern from "pydl.h":
    enum: PD_index_range
    enum: PD_rows_take
    enum: PD_rows_add
    enum: PD_rows_put
    enum: PD_gather
    enum: PD_scatter
    enum: PD_scatter_add
    enum: PD_scatter_reduce


cdef enum:          # what index_add, scatter and the like write into
    COPY            # a copy of input
    INPUT           # input itself, of which no graph knows
    FRESH           # input itself, which nobody else has


# ---- What the other families use

cdef Tensor index_arg(str op, object x, str name):
    cdef Tensor t = tensor_arg(op, x, name)
    if t.code != PD_I64 and t.code != PD_I32:
        raise TypeError(f"{op}: {name} must be int64 or int32, got {dtype_of(t.code)} of shape {shape_of(t)}")
    return contiguous(cast(t, PD_I64))

cdef int ends_of(Tensor index, int64_t *ends) except -1:
    cdef pd_launch launch
    prepare(&launch, PD_index_range, PD_I64)
    launch.buf[0], launch.buf[1] = index.data, ends
    launch.lines.n = index.numel
    return run(&launch, PD_index_range, PD_I64)

cdef object largest(Tensor index):
    cdef int64_t ends[2]
    host_read("the largest index")
    ends_of(index, ends)
    return max(ends[1], 0)

cdef bint check_range(str op, Tensor index, ptrdiff_t size, bint wrap) except -1:
    cdef int64_t own[2]
    cdef int64_t *ends = own
    cdef ptrdiff_t two = 2
    cdef int64_t low = -size if wrap else 0
    cdef RangeCheck check
    cdef Recorder capture = recorder() if capturing[0] else None
    if capture is not None:     # a replay looks, too
        check = RangeCheck(op, index, low, size)
        check.ends = empty(PD_I64, 1, &two)
        ends = <int64_t *>check.ends.data
    ends_of(index, ends)
    if index.numel and (ends[0] < low or ends[1] >= size):
        RangeCheck(op, index, low, size).refuse()
    if capture is not None and index.numel:
        capture.check(ends, low if ends[0] < 0 else 0, size, check)
        capture.check(ends + 1, low, size, check)
    return ends[0] < 0

cdef class RangeCheck:
    """Raises for an index out of range."""
    cdef str op
    cdef Tensor index, ends
    cdef int64_t low, size

    def __init__(self, str op, Tensor index, int64_t low, int64_t size):
        self.op, self.index, self.low, self.size = op, index, low, size

    cdef int refuse(self) except -1:
        cdef const int64_t *values = <const int64_t *>self.index.data
        cdef size_t i
        for i in range(self.index.numel):
            if values[i] < self.low or values[i] >= self.size:
                raise IndexError(f"{self.op}: index {values[i]} at position {place_of(self.index, i)} is out of range for size {self.size}")
        return 0

    def tensors(self):
        return [self.index, self.ends]

    def __call__(self):
        """Where a replay comes to it."""
        self.refuse()
        raise CaptureError(f"{self.op}: there are negative indices now, but there were none when this was captured")

cdef object place_of(Tensor x, size_t flat):
    """The coordinates of a flat position; an int for one dimension."""
    cdef list place = []
    cdef int d
    for d in range(x.ndim):
        place.insert(0, flat % x.sizes[x.ndim - 1 - d])
        flat //= x.sizes[x.ndim - 1 - d]
    return place[0] if len(place) == 1 else tuple(place)

cdef int launch_rows(int kernel, Tensor a, Tensor index, Tensor y, size_t outer, size_t n, size_t inner) except -1:
    cdef pd_launch launch
    prepare(&launch, kernel, a.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = a.data, index.data, y.data
    launch.rows.outer, launch.rows.n, launch.rows.inner, launch.rows.count = outer, n, inner, index.numel
    return run(&launch, kernel, a.code)

cdef int launch_axis(int kernel, Tensor x, Tensor index, Tensor y, int axis, double how=0) except -1:
    cdef pd_launch launch
    cdef int d
    if index.numel == 0:
        return 0
    prepare(&launch, kernel, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, index.data, y.data
    launch.map.ndim = index.ndim
    for d in range(index.ndim):
        launch.map.shape[d] = index.sizes[d]
        launch.map.stride[0][d] = 0 if d == axis else x.strides[d]
        launch.map.stride[1][d] = index.strides[d]
        launch.map.stride[2][d] = y.strides[d]
    launch.scalar[0] = axis
    launch.scalar[1] = <double>x.strides[axis] if index.ndim else 0
    launch.scalar[2] = how
    return run(&launch, kernel, x.code)

# ---- Rows along a dimension

cdef void rows_around(Tensor x, int d, size_t *outer, size_t *inner) noexcept:
    cdef int k
    outer[0] = inner[0] = 1
    for k in range(x.ndim):
        if k < d:
            outer[0] *= x.sizes[k]
        elif k > d:
            inner[0] *= x.sizes[k]

cdef Tensor row_index(str op, Tensor x, int d, object index):
    """Checked: slices of x along dimension d; a 0-dimensional x has one, itself."""
    cdef Tensor i = index_arg(op, index, "index")
    if i.ndim > 1:
        raise ValueError(f"{op}: index must have one dimension, got shape {shape_of(i)}")
    if x.ndim == 0 and i.numel != 1:
        raise ValueError(f"{op}: a 0-dimensional input takes one index, got shape {shape_of(i)} (input {shape_of(x)})")
    check_range(op, i, x.sizes[d] if x.ndim else 1, False)
    return i

def index_select(input, dim, index):
    """The slices index[0], index[1] ... along dim: (a, n, b), 1, (k,) -> (a, k, b).

    index: int64 or int32, not negative. A 0-dimensional input is its own only slice. Raises IndexError where an index is out
    of range, ValueError where a 0-dimensional input is given more than one, or none.
    """
    cdef Tensor x = tensor_arg("index_select", input, "input")
    cdef int d = wrap_dim("index_select", dim, x.ndim)
    return select_rows(x, d, row_index("index_select", x, d, index))

cdef Tensor select_rows(Tensor x, int d, Tensor i):
    cdef Tensor y
    cdef int k
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef size_t outer, inner
    for k in range(x.ndim):
        sizes[k] = i.numel if k == d else x.sizes[k]
    y = empty(x.code, x.ndim, sizes)
    rows_around(x, d, &outer, &inner)
    launch_rows(PD_rows_take, contiguous(x), i, y, outer, x.sizes[d] if x.ndim else 1, inner)
    cdef Node node = record1(INDEX_SELECT, y, x)
    if node is not None:
        node.keep(0, i)
        node.extra = (d, x.code, shape_of(x))
    return y

cdef object index_select_backward(Node node, object dy):
    dim, code, shape = <tuple>node.extra
    return written(INDEX_ADD, PD_rows_add, filled(code, shape, 0), dim, node.kept(0), dy, FRESH)

cdef Op INDEX_SELECT = op(index_select, index_select_backward)

def index_add(input, dim, index, source, *, alpha=1):
    """A copy of input with alpha * source[k] added to its slice index[k] along dim, in the order of k.

    input (a, n, b), index (k,) int64 or int32, source (a, k, b) of input's dtype -> (a, n, b). The sum has the same bits
    for any number of threads. Raises IndexError, ValueError, TypeError.
    """
    if alpha != 1:
        from pydl.ops.arithmetic import mul
        source = mul(source, alpha)
    if tensor_arg("index_add", input, "input").code == PD_BOOL:
        raise TypeError("index_add: not defined for bool; convert the tensor with .to()")
    return written(INDEX_ADD, PD_rows_add, input, dim, index, source)

cdef Tensor written(Op which, int kernel, object input, object dim, object index, object source, int into=COPY):
    """A copy of input (or input itself, contiguous) whose slices the kernel changes by those of source."""
    cdef str name = which.name
    cdef Tensor x = tensor_arg(name, input, "input"), s = tensor_arg(name, source, "source"), y, i
    cdef int d = wrap_dim(name, dim, x.ndim)
    cdef size_t outer, inner
    i = row_index(name, x, d, index)
    if s.code != x.code:
        raise TypeError(f"{name}: {dtype_of(x.code)} and {dtype_of(s.code)} do not mix; use .to()")
    cdef tuple wanted = shape_of(x)
    wanted = wanted[:d] + (i.numel,) + wanted[d + 1:] if x.ndim else wanted
    if shape_of(s) != wanted:
        raise ValueError(f"{name}: source must have shape {wanted} for input {shape_of(x)} and index {shape_of(i)}, got {shape_of(s)}")
    y = duplicate(x) if into == COPY else x
    rows_around(x, d, &outer, &inner)
    launch_rows(kernel, contiguous(s), i, y, outer, x.sizes[d] if x.ndim else 1, inner)
    cdef Node node = None if into == INPUT else record2(which, y, x, s)
    if node is not None:
        node.keep(0, i)
        node.extra = d
        node.shapes = None
    return y

cdef object index_add_backward(Node node, object dy):
    return (dy, index_select(dy, node.extra, node.kept(0)) if node.need(1) else None)

cdef Op INDEX_ADD = op(index_add, index_add_backward)

def index_copy(input, dim, index, source):
    """A copy of input with source[k] in the place of its slice index[k] along dim; of equal places the last wins.

    input (a, n, b), index (k,) int64 or int32, source (a, k, b) of input's dtype -> (a, n, b). Raises as index_add.
    """
    return written(INDEX_COPY, PD_rows_put, input, dim, index, source)

cdef object index_copy_backward(Node node, object dy):
    cdef Tensor index = node.kept(0)
    cdef Tensor taken = index_select(dy, node.extra, index)
    return (index_copy(dy, node.extra, index, filled(taken.code, shape_of(taken), 0)) if node.need(0) else None,
            taken if node.need(1) else None)

cdef Op INDEX_COPY = op(index_copy, index_copy_backward)


# ---- Single elements along a dimension

cdef Tensor axis_index(str op, Tensor x, int d, object index):
    """Checked: x's rank, in range, no larger than x beside dimension d."""
    cdef Tensor i = index_arg(op, index, "index")
    cdef int k
    if i.ndim != x.ndim and i.numel:
        raise ValueError(f"{op}: index must have as many dimensions as input, got shapes {shape_of(i)} and {shape_of(x)}")
    for k in range(x.ndim if i.numel else 0):
        if k != d and i.sizes[k] > x.sizes[k]:
            raise ValueError(f"{op}: index of shape {shape_of(i)} is larger than input of shape {shape_of(x)} beside dim {d}")
    check_range(op, i, x.sizes[d] if x.ndim else 1, False)
    return i

def gather(input, dim, index):
    """Along dim, the element that index names: y[i, j] = input[index[i, j], j] for dim 0.

    index: int64 or int32 of input's rank, nowhere larger than input beside dim -> index's shape. Raises IndexError.

    >>> pydl.gather(pydl.tensor([[1, 2], [3, 4]]), 1, pydl.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    cdef Tensor x = tensor_arg("gather", input, "input"), i, y
    cdef int d = wrap_dim("gather", dim, x.ndim)
    i = axis_index("gather", x, d, index)
    y = empty(x.code, i.ndim, i.sizes)
    launch_axis(PD_gather, x, i, y, d)
    cdef Node node = record1(GATHER, y, x)
    if node is not None:
        node.keep(0, i)
        node.extra = (d, x.code, shape_of(x))
    return y

cdef object gather_backward(Node node, object dy):
    dim, code, shape = <tuple>node.extra
    return added_to_zeros(code, shape, dim, node.kept(0), dy)

cdef Op GATHER = op(gather, gather_backward)

cdef Tensor scatter_source(str op, Tensor x, Tensor i, object src):
    """src cut to index's shape; a number becomes a stretched tensor."""
    cdef Tensor s
    if not isinstance(src, Tensor):
        return expand(converted(op, src, x), shape_of(i))
    s = <Tensor>src
    if s.code != x.code:
        raise TypeError(f"{op}: {dtype_of(x.code)} and {dtype_of(s.code)} do not mix; use .to()")
    if s.ndim != i.ndim and i.numel:
        raise ValueError(f"{op}: src must have as many dimensions as index, got shapes {shape_of(s)} and {shape_of(i)}")
    if shape_of(s) == shape_of(i):
        return s
    if i.numel == 0:
        return reshape(expand(scalar_of(x.code, 0), shape_of(i)), shape_of(i))
    for k in range(i.ndim):
        if i.sizes[k] > s.sizes[k]:
            raise ValueError(f"{op}: index of shape {shape_of(i)} is larger than src of shape {shape_of(s)}")
    from pydl.ops.parts import box
    return box(s, [(0, 1, i.sizes[k]) for k in range(i.ndim)])

cdef Tensor scattered(str name, Op which, int kernel, object input, object dim, object index, object src, int into=COPY):
    cdef Tensor x = tensor_arg(name, input, "input"), i, s, y
    cdef int d = wrap_dim(name, dim, x.ndim)
    if kernel == PD_scatter_add and x.code == PD_BOOL:
        raise TypeError(f"{name}: not defined for bool; convert the tensor with .to()")
    i = axis_index(name, x, d, index)
    s = scatter_source(name, x, i, src)
    y = duplicate(x) if into == COPY else x
    launch_axis(kernel, y, i, s, d)
    cdef Node node = None if into == INPUT else record2(which, y, x, s)
    if node is not None:
        node.keep(0, i)
        node.extra = d
        node.shapes = None
    return y

def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """A copy of input with src put where index says: y[index[i, j], j] = src[i, j] for dim 0; of equal places the last wins.

    index: int64 or int32 of input's rank; src: a number, or a tensor of input's dtype at least as large as index.
    reduce="add" adds and "multiply" multiplies instead. The gradient of src is that of the places it was put to. Raises IndexError, ValueError, TypeError.
    """
    if (src is None) == (value is None):
        raise TypeError("scatter: expected either src or value")
    if reduce == "add":
        return scatter_add(input, dim, index, src if value is None else value)
    if reduce == "multiply":
        from pydl.ops.places import scatter_reduce
        x, i = tensor_arg("scatter", input, "input"), tensor_arg("scatter", index, "index")
        return scatter_reduce(x, dim, i, scatter_source("scatter", x, i, src if value is None else value), "prod")
    if reduce is not None:
        raise ValueError(f"scatter: reduce must be None, 'add' or 'multiply', got {reduce!r}")
    return scattered("scatter", SCATTER, PD_scatter, input, dim, index, src if value is None else value)

cdef object scatter_backward(Node node, object dy):
    index = node.kept(0)
    return (scatter(dy, node.extra, index, 0.0) if node.need(0) else None,
            gather(dy, node.extra, index) if node.need(1) else None)

cdef Op SCATTER = op(scatter, scatter_backward)

def scatter_add(input, dim, index, src):
    """A copy of input with src added where index says: y[index[i, j], j] += src[i, j] for dim 0, in the order along dim.

    The sum has the same bits for any number of threads. Raises IndexError, ValueError, TypeError.
    """
    return scattered("scatter_add", SCATTER_ADD, PD_scatter_add, input, dim, index, src)

cdef object scatter_add_backward(Node node, object dy):
    return (dy, gather(dy, node.extra, node.kept(0)) if node.need(1) else None)

cdef Op SCATTER_ADD = op(scatter_add, scatter_add_backward)

cdef Tensor added_to_zeros(int code, object shape, object dim, object index, object src):
    return scattered("scatter_add", SCATTER_ADD, PD_scatter_add, filled(code, shape, 0), dim, index, src, FRESH)

cdef Tensor put_into_zeros(int code, object shape, object dim, object index, object src):
    return scattered("scatter", SCATTER, PD_scatter, filled(code, shape, 0), dim, index, src, FRESH)

def scatter_add_as(str name not None, input, dim, index, src):
    """scatter_add, whose messages begin with another name."""
    return scattered(name, SCATTER_ADD, PD_scatter_add, input, dim, index, src)

def check_places(str name not None, input, dim, index, src):
    """src cut to index's shape. Raises what scatter_add does, in another name."""
    cdef Tensor x = tensor_arg(name, input, "input")
    return scatter_source(name, x, axis_index(name, x, wrap_dim(name, dim, x.ndim), index), src)

# In place, where nothing is recorded and memory is not shared (inplace.pyx sees to that).

def index_add_into(Tensor input not None, dim, index, source, *, alpha=1):
    """index_add_ of a contiguous input; False where it is left to index_add."""
    if alpha != 1 or not input.contiguous or input.code == PD_BOOL:
        return False
    written(INDEX_ADD, PD_rows_add, input, dim, index, source, INPUT)
    return True

def index_copy_into(Tensor input not None, dim, index, source):
    """index_copy_ of a contiguous input; False where it is left to index_copy."""
    if input.contiguous:
        written(INDEX_COPY, PD_rows_put, input, dim, index, source, INPUT)
    return input.contiguous

def scatter_into(Tensor input not None, dim, index, src=None, *, value=None, reduce=None):
    """scatter_; False where it is left to scatter."""
    if reduce not in (None, "add") or (src is None) == (value is None):
        return False
    scattered("scatter", SCATTER, PD_scatter if reduce is None else PD_scatter_add, input, dim, index, src if value is None else value, INPUT)
    return True

def scatter_add_into(Tensor input not None, dim, index, src):
    """scatter_add_."""
    scattered("scatter_add", SCATTER_ADD, PD_scatter_add, input, dim, index, src, INPUT)
    return True

def reduced_at(str name not None, input, dim, index, src, int how):
    """A copy of input, combined with src where index says by how = 0 product, 1 maximum, 2 minimum; no graph knows it."""
    cdef Tensor x = tensor_arg(name, input, "input"), i, y
    cdef int d = wrap_dim(name, dim, x.ndim)
    if x.code == PD_BOOL:
        raise TypeError(f"{name}: not defined for bool; convert the tensor with .to()")
    i, y = axis_index(name, x, d, index), duplicate(x)
    launch_axis(PD_scatter_reduce, y, i, scatter_source(name, x, i, src), d, how)
    return y

def take_along_dim(input, indices, dim=None):
    """gather with input and indices stretched to each other beside dim; dim None: over the flattened input."""
    cdef Tensor x = tensor_arg("take_along_dim", input, "input"), i = tensor_arg("take_along_dim", indices, "indices")
    if dim is None:
        return gather(reshape(x, -1), 0, reshape(i, -1))
    if x.ndim != i.ndim:
        raise ValueError(f"take_along_dim: input and indices must have the same number of dimensions, got {shape_of(x)} and {shape_of(i)}")
    cdef int d = wrap_dim("take_along_dim", dim, x.ndim), k
    cdef list wide = []
    for k in range(x.ndim):
        if k != d and x.sizes[k] != i.sizes[k] and x.sizes[k] != 1 and i.sizes[k] != 1:
            raise ValueError(f"take_along_dim: shapes {shape_of(x)} and {shape_of(i)} do not broadcast beside dim {dim}")
        wide.append(i.sizes[k] if x.sizes[k] == 1 else x.sizes[k])
    wide_x, wide_i = list(wide), list(wide)
    if x.ndim:
        wide_x[d], wide_i[d] = x.sizes[d], i.sizes[d]
    return gather(expand(x, wide_x), d, expand(i, wide_i))


def take(input, index):
    """Elements of the flattened input: index's shape. Negative indices count from the end. Raises IndexError."""
    from pydl.ops.index import getitem
    cdef Tensor i = index_arg("take", index, "index")
    return reshape(getitem(reshape(input, -1), (reshape(i, -1),)), shape_of(i))

__all__ = [
    "gather", "scatter", "scatter_add", "index_select", "index_add", "index_copy", "take", "take_along_dim",
]
METHODS = __all__
