"""Sorting and the largest elements: stable, NaN above every number (so last in ascending order, first in descending)."""
from collections import namedtuple

from pydl._core.kernels cimport PD_I64, PD_MAX_DIMS, PD_U8, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record, record1
from pydl._core.arguments cimport int_of, wrap_dim
from pydl._core.tensor cimport Tensor, empty, shape_of, tensor_arg
from pydl.ops.gather cimport put_into_zeros
from pydl.ops.extremes import place
from pydl.ops.shape import squeeze, transpose, unsqueeze

cdef extern from "pydl.h":
    enum: PD_sort
    enum: PD_topk
    enum: PD_kth
    enum: PD_mode

cdef enum:          # as in sort.c
    SORT_LARGE = 1 << 15
    SORT_CHUNKS = 16
    SORT_COUNTERS = 16 * 2048 * 4
    ITEM = 16
    KTH = 0             # as in select.c
    MEDIAN = 1
    NANMEDIAN = 2
    SELECT_SMALL = 160
    SELECT_LARGE = 1 << 16
    SELECT_COUNTERS = 16 * 2048 * 4

SortResult = namedtuple("sort", ("values", "indices"))
TopkResult = namedtuple("topk", ("values", "indices"))


cdef int check_line(str op, Tensor x, int d) except -1:
    if x.ndim and <size_t>x.sizes[d] >= <size_t>1 << 32:
        raise ValueError(f"{op}: at most 2**32 - 1 elements along a dimension, got shape {shape_of(x)}")
    return 0

cdef Tensor scratch_of(size_t lines, size_t items, size_t more):
    cdef ptrdiff_t nbytes = (lines if lines < SORT_CHUNKS else SORT_CHUNKS) * items * ITEM + more
    return empty(PD_U8, 1, &nbytes)

cdef Tensor with_last(Tensor x, int d):
    """Contiguous, with dimension d as the last."""
    return contiguous(x if x.ndim == 0 or d == x.ndim - 1 else <Tensor>transpose(x.detach(), d, x.ndim - 1))

cdef Tensor back_from_last(Tensor y, int d):
    return y if y.ndim == 0 or d == y.ndim - 1 else contiguous(<Tensor>transpose(y, d, y.ndim - 1))

cdef tuple sorted_along(str name, Tensor x, object dim, bint descending, bint with_values):
    """(values or None, indices, dim)."""
    cdef pd_launch launch
    cdef int d = wrap_dim(name, dim, x.ndim)
    check_line(name, x, d)
    cdef Tensor lines = with_last(x, d), scratch
    cdef Tensor y = empty(x.code, lines.ndim, lines.sizes) if with_values else None
    cdef Tensor index = empty(PD_I64, lines.ndim, lines.sizes)
    cdef size_t n = x.sizes[d] if x.ndim else 1, outer = x.numel // n if n else 0
    if x.numel:
        prepare(&launch, PD_sort, x.code)
        scratch = scratch_of(1, 2 * n, SORT_COUNTERS) if n >= SORT_LARGE else scratch_of(outer, 2 * n, 0)
        launch.buf[0], launch.buf[1], launch.buf[2] = lines.data, y.data if with_values else NULL, index.data
        launch.buf[3] = scratch.data
        launch.lines.outer, launch.lines.n, launch.lines.inner = outer, n, 1
        launch.scalar[0] = descending
        run(&launch, PD_sort, x.code)
    return back_from_last(y, d) if with_values else None, back_from_last(index, d), d

cdef object gradient_to(Node node, object dy):
    """The gradient goes back to where the values came from."""
    dim, code, shape = <tuple>node.extra
    return put_into_zeros(code, shape, dim, node.kept(0), dy)

def sort(input, dim=-1, descending=False, stable=False):
    """Sorted along dim: (values, indices), both of input's shape; equal elements keep their order (stable or not).

    All dtypes. NaN is above every number: last in ascending order, first in descending. The gradient of values goes to
    the elements they are. Radix and merge sort (Knuth, The Art of Computer Programming 3, 5.2).

    >>> values, indices = pydl.sort(pydl.tensor([3, 1, 2]), descending=True)
    >>> values.tolist(), indices.tolist()
    ([3, 2, 1], [0, 2, 1])
    """
    cdef Tensor x = tensor_arg("sort", input, "input")
    values, index, d = sorted_along("sort", x, dim, descending, True)
    cdef Node node = record1(SORT, <Tensor>values, x)
    if node is not None:
        node.keep(0, <Tensor>index)
        node.extra = (d, x.code, shape_of(x))
    return SortResult(values, index)

cdef object sort_backward(Node node, object dy):
    return gradient_to(node, dy)

cdef Op SORT = op(sort, sort_backward)

def argsort(input, dim=-1, descending=False, stable=False):
    """The indices of sort(input, dim, descending): int64, of input's shape."""
    cdef Tensor x = tensor_arg("argsort", input, "input")
    return sorted_along("argsort", x, dim, descending, False)[1]

cdef Op ARGSORT = op(argsort, NULL)

def topk(input, k, dim=-1, largest=True, sorted=True):
    """The k largest (or smallest) elements along dim, in order: (values, indices) with size k along dim.

    Of equal elements the first come first. NaN is above every number. The gradient of values goes to the elements they
    are. A 0-dimensional input is its own result for k = 0 and 1. Raises ValueError where k is negative or larger than the
    dimension.
    """
    cdef Tensor x = tensor_arg("topk", input, "input"), lines, y, index, scratch
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int d = wrap_dim("topk", -1 if dim is None else dim, x.ndim), i
    cdef size_t n = x.sizes[d] if x.ndim else 1, count, room
    k = int_of("topk", k, "k")
    if k < 0 or k > n:
        raise ValueError(f"topk: k must be 0 to {n} for dim {dim} of shape {shape_of(x)}, got {k}")
    check_line("topk", x, d)
    count, lines = k if x.ndim else 1, with_last(x, d)
    for i in range(lines.ndim):
        sizes[i] = lines.sizes[i]
    if x.ndim:
        sizes[x.ndim - 1] = count
    y, index = empty(x.code, x.ndim, sizes), empty(PD_I64, x.ndim, sizes)
    if y.numel:
        prepare(&launch, PD_topk, x.code)
        room = max(2 * count, count + 64)
        launch.rows.outer, launch.rows.n, launch.rows.inner, launch.rows.count = x.numel // n, n, room, count
        scratch = scratch_of(launch.rows.outer, 2 * room, 0)
        launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3] = lines.data, y.data, index.data, scratch.data
        launch.scalar[0] = 1 if largest else 0
        run(&launch, PD_topk, x.code)
    y, index = back_from_last(y, d), back_from_last(index, d)
    cdef Node node = record1(TOPK, y, x)
    if node is not None:
        node.keep(0, index)
        node.extra = (d, x.code, shape_of(x))
    return TopkResult(y, index)

cdef object topk_backward(Node node, object dy):
    return gradient_to(node, dy)

cdef Op TOPK = op(topk, topk_backward)


# ---- One element of a line in order

kthvalue_result = namedtuple("kthvalue", ("values", "indices"))
median_result = namedtuple("median", ("values", "indices"))
nanmedian_result = namedtuple("nanmedian", ("values", "indices"))

cdef tuple selected(Op which, Tensor x, object dim, size_t k, int how, bint keepdim):
    """(values, indices) along dim, recorded."""
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int d = wrap_dim(which.name, dim, x.ndim), i
    cdef size_t n = x.sizes[d] if x.ndim else 1, outer = x.numel // n if n else 0
    cdef ptrdiff_t nbytes = 8 * n + SELECT_COUNTERS if n >= SELECT_LARGE else 8 * n * min(outer, <size_t>SORT_CHUNKS)
    cdef Tensor lines, y, index, scratch
    cdef Node node
    check_line(which.name, x, d)
    lines = with_last(x, d)
    for i in range(x.ndim):
        sizes[i] = lines.sizes[i] if i < x.ndim - 1 else 1
    y, index, scratch = empty(x.code, x.ndim, sizes), empty(PD_I64, x.ndim, sizes), empty(PD_U8, 1, &nbytes)
    prepare(&launch, PD_kth, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3] = lines.data, y.data, index.data, scratch.data
    launch.lines.outer, launch.lines.n, launch.lines.inner = outer, n, 1
    launch.scalar[0], launch.scalar[1] = k, how
    if x.numel:
        run(&launch, PD_kth, x.code)
    y, index = back_from_last(y, d), back_from_last(index, d)
    if x.ndim and not keepdim:
        y, index = <Tensor>squeeze(y, d), <Tensor>squeeze(index, d)
    node = record(which, (y, index), (x,))
    if node is not None:
        node.keep_output(0, index)
        node.extra = (d, n, keepdim, x.ndim)
    return y, index

cdef object selected_backward(Node node, object grads):
    dim, n, keepdim, ndim = <tuple>node.extra
    dy, index = grads[0], (<Tensor>node.kept(0)).detach()
    if dy is None or not ndim:
        return dy
    if not keepdim:
        dy, index = unsqueeze(dy, dim), unsqueeze(index, dim)
    return place(dy, index, dim, n)

def kthvalue(input, k, dim=-1, keepdim=False, *, axis=None, keepdims=None):
    """(values, indices): the k-th smallest element along dim, k from 1, and where it is; of equal ones as a stable sort puts them.

    All dtypes; NaN is above every number. The gradient goes to the index. Found without sorting, by the highest digits first.
    Raises ValueError for a k that is not 1 to the size of dim, IndexError for a dim out of range.
    """
    cdef Tensor x = tensor_arg("kthvalue", input, "input")
    dim, keepdim = dim if axis is None else axis, keepdim if keepdims is None else keepdims
    cdef int d = wrap_dim("kthvalue", dim, x.ndim)
    cdef ptrdiff_t n = x.sizes[d] if x.ndim else 1
    if not hasattr(k, "__index__"):
        raise TypeError(f"kthvalue: k must be an int, got {type(k).__name__}")
    if not 1 <= k <= n:
        raise ValueError(f"kthvalue: k must be 1 to {n} for dim {dim} of shape {shape_of(x)}, got {k}")
    return kthvalue_result(*selected(KTHVALUE, x, d, <size_t>k - 1, KTH, keepdim))

cdef Op KTHVALUE = op(kthvalue, selected_backward)

def median_along(input, dim, keepdim=False):
    """(values, indices) of median(x, dim)."""
    return selected(MEDIAN_ALONG, filled_lines("median", input, dim), dim, 0, MEDIAN, keepdim)

def nanmedian_along(input, dim, keepdim=False):
    """(values, indices) of nanmedian(x, dim)."""
    return selected(NANMEDIAN_ALONG, filled_lines("nanmedian", input, dim), dim, 0, NANMEDIAN, keepdim)

cdef Tensor filled_lines(str name, object input, object dim):
    cdef Tensor x = tensor_arg(name, input, "input")
    cdef int d = wrap_dim(name, dim, x.ndim)
    if x.ndim and x.sizes[d] == 0:
        raise ValueError(f"{name}: expected at least one element along dim {dim} of shape {shape_of(x)}: there is nothing to choose from")
    return x

def mode_of_last(Tensor input not None):
    """(values, indices) of mode() along the last dimension, which is not empty, with size 1 there; no graph knows them."""
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int i, last = input.ndim - 1
    cdef Tensor x = contiguous(input), order = None, y, index
    for i in range(input.ndim):
        sizes[i] = input.sizes[i] if i < last else 1
    y, index = empty(x.code, x.ndim, sizes), empty(PD_I64, x.ndim, sizes)
    prepare(&launch, PD_mode, x.code)
    if x.sizes[last] > SELECT_SMALL:
        x, order, _ = sorted_along("mode", x, last, False, True)
        launch.buf[3] = order.data
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, y.data, index.data
    launch.lines.n = x.sizes[last]
    launch.lines.outer, launch.lines.inner = x.numel // x.sizes[last], 1
    launch.scalar[0] = order is not None
    if x.numel:
        run(&launch, PD_mode, x.code)
    return y, index

cdef Op MEDIAN_ALONG = op(median_along, selected_backward)
cdef Op NANMEDIAN_ALONG = op(nanmedian_along, selected_backward)

__all__ = ["sort", "argsort", "topk", "kthvalue"]
METHODS = __all__
