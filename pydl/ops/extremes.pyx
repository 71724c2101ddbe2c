"""Largest and smallest elements, and where they are: amax, amin, max, min, argmax, argmin. NaN is above and below all."""
from collections import namedtuple

from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_F64, PD_I64, PD_MAX_DIMS, pd_launch
from pydl._core.launch cimport cast, contiguous, prepare, run
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, Refusal, recorder
from pydl._core.tape cimport Node, Op, op, record, record1, recording
from pydl._core.arguments cimport wrap_dim
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, shape_of, tensor_arg
from pydl.ops.lines cimport lines_of
from pydl.ops.reduce cimport dims_from, dims_tuple, reduced, refuse_empty

from pydl.ops.arithmetic import div, mul
from pydl.ops.bounds import maximum, minimum
from pydl.ops.compare import eq
from pydl.ops.reduce import spread, sum

cdef const int *capturing = capture_flag()

cdef extern from "pydl.h":
    enum: PD_amax
    enum: PD_amin
    enum: PD_aminmax
    enum: PD_argmax
    enum: PD_argmin
    enum: PD_pick
    enum: PD_place
    enum: PD_check_labels


# ---- Values over any dimensions

cdef Tensor extreme(str name, int kernel, Op which, object input, object dim, bint keepdim):
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = tensor_arg(name, input, "input")
    cdef Tensor y
    cdef Node node
    dims_from(name, dim, x.ndim, dims)
    refuse_empty(name, x, dims)
    y = reduced(kernel, x, x.code, dims, keepdim)
    node = record1(which, y, x)
    if node is not None:
        node.keep(0, x)
        node.keep_output(1, y)
        node.extra = dims_tuple(x, dims)
    return y

cdef object extreme_backward(Node node, object dy):
    """The gradient goes in equal parts to all elements that are the extreme."""
    cdef Tensor x = node.kept(0)
    dims = node.extra
    shape = shape_of(x)
    chosen = cast(eq(x, spread(node.kept(1), shape, dims)), x.code)
    share = div(dy, sum(chosen, dims, (<Tensor>dy).ndim == x.ndim) if dims else chosen)
    return mul(spread(share, shape, dims), chosen)

def amax(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """y = largest x over `dim`; NaN is larger than all. The gradient is shared evenly by equal elements.

    Raises ValueError for empty dimensions.
    """
    return extreme("amax", PD_amax, AMAX, input, axis if dim is None else dim, keepdim if keepdims is None else keepdims)

def amin(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """y = smallest x over `dim`; NaN is smaller than all. The gradient is shared evenly by equal elements.

    Raises ValueError for empty dimensions.
    """
    return extreme("amin", PD_amin, AMIN, input, axis if dim is None else dim, keepdim if keepdims is None else keepdims)

cdef Op AMAX = op(amax, extreme_backward)
cdef Op AMIN = op(amin, extreme_backward)


aminmax_result = namedtuple("aminmax", ("min", "max"))

def aminmax(input, *, dim=None, keepdim=False, axis=None, keepdims=None):
    """(amin(x, dim), amax(x, dim)) along one dimension or over all, looking once at the elements where it can."""
    cdef Tensor x = tensor_arg("aminmax", input, "input"), low, high
    cdef pd_launch launch
    dim, keepdim = axis if dim is None else dim, keepdim if keepdims is None else keepdims
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"aminmax: dim must be an int or None, got {dim}")
    if dim is not None or keepdim or x.code > PD_F64 or x.numel == 0 or not x.contiguous or recording(x):
        return aminmax_result(extreme("aminmax", PD_amin, AMIN, x, dim, keepdim), extreme("aminmax", PD_amax, AMAX, x, dim, keepdim))
    low, high = empty(x.code, 0, NULL), empty(x.code, 0, NULL)
    prepare(&launch, PD_aminmax, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, low.data, high.data
    launch.lines.n = x.numel
    run(&launch, PD_aminmax, x.code)
    return aminmax_result(low, high)


# ---- One dimension: values and indices

cdef tuple find(str name, int kernel, Tensor x, int dim, bint keepdim):
    """(values, indices) of the extremes along `dim`."""
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int d, ndim = 0
    cdef Tensor values, indices
    if x.ndim and x.sizes[dim] == 0:
        raise ValueError(f"{name}: expected at least one element along dim {dim} of shape {shape_of(x)}: there is nothing to choose from")
    x = contiguous(x)
    for d in range(x.ndim):
        if d != dim or keepdim:
            sizes[ndim] = 1 if d == dim else x.sizes[d]
            ndim += 1
    prepare(&launch, kernel, x.code)
    values, indices = empty(x.code, ndim, sizes), empty(PD_I64, ndim, sizes)
    lines_of(&launch, x, dim)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, values.data, indices.data
    if x.numel:
        run(&launch, kernel, x.code)
    return values, indices

cdef object located(str name, int kernel, Op which, object result, object input, object dim, bint keepdim):
    cdef Tensor x = tensor_arg(name, input, "input")
    cdef int d = wrap_dim(name, dim, x.ndim)
    cdef tuple found = find(name, kernel, x, d, keepdim)
    cdef Node node = record(which, found, (x,))
    if node is not None:
        node.keep_output(0, <Tensor>found[1])
        node.extra = (shape_of(x), d, keepdim)
    return result(found[0], found[1])

cdef object located_backward(Node node, object grads):
    shape, dim, keepdim = node.extra
    dy = grads[0]
    if dy is None:
        return None
    if not shape:
        return dy
    index = (<Tensor>node.kept(0)).detach()
    if not keepdim:
        dy, index = dy.unsqueeze(dim), index.unsqueeze(dim)
    return place(dy, index, dim, shape[dim])

cdef Tensor places(str name, Tensor x, object index, int dim, ptrdiff_t n):
    """An index for each line of x along `dim`, checked: int64, contiguous, of x's shape but 1 along `dim`."""
    cdef Tensor at = contiguous(tensor_arg(name, index, "index"))
    cdef pd_launch launch
    cdef int64_t bad = -1
    cdef int d
    cdef bint fits = at.ndim == x.ndim
    if at.code != PD_I64:
        raise TypeError(f"{name}: index must be int64, got {dtype_of(at.code)} {shape_of(at)}")
    for d in range(x.ndim if fits else 0):
        fits = fits and at.sizes[d] == (1 if d == dim else x.sizes[d])
    if not fits:
        raise ValueError(f"{name}: expected an index of the shape {shape_of(x)} with 1 in dim {dim}, got {shape_of(at)}")
    prepare(&launch, PD_check_labels, PD_I64)
    launch.buf[0], launch.buf[1] = at.data, &bad
    launch.lines.outer = at.numel
    launch.scalar[0], launch.scalar[1] = n, 0 if n else -1
    cdef Recorder capture = recorder() if capturing[0] else None
    cdef Tensor found
    if capture is not None:     # a replay looks, too
        found = empty(PD_I64, 0, NULL)
        launch.buf[1] = found.data
    if at.numel:
        run(&launch, PD_check_labels, PD_I64)
        if capture is not None:
            bad = (<int64_t *>found.data)[0]
            capture.check(<int64_t *>found.data, -1, 0, Refusal(found, IndexError, f"{name}: an index is out of range for {n} elements"))
    if bad >= 0:
        raise IndexError(f"{name}: index {(<int64_t *>at.data)[bad]} is out of range for {n} elements in dim {dim} of {shape_of(x)}")
    return at

def place(dy, index, dim, n):
    """The adjoint of a choice along a dimension: y is 0, but y[.., index, ..] = dy.

    dy and int64 index (.., 1, ..) -> y (.., n, ..). Raises IndexError for an index that is not in 0 .. n - 1.
    """
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef Tensor given = tensor_arg("place", dy, "dy"), g = contiguous(given), at, y
    cdef int d, along = wrap_dim("place", dim, g.ndim)
    cdef Node node
    if g.ndim == 0:
        raise ValueError(f"place: expected at least one dimension, got shape {shape_of(g)}")
    at = places("place", g, index, along, n)
    if g.sizes[along] != 1 or n < 0:
        raise ValueError(f"place: expected size 1 in dim {along} and n >= 0, got shape {shape_of(g)} and n = {n}")
    for d in range(g.ndim):
        sizes[d] = g.sizes[d]
    sizes[along] = n
    prepare(&launch, PD_place, g.code)
    y = empty(g.code, g.ndim, sizes)
    lines_of(&launch, y, along)
    launch.buf[0], launch.buf[1], launch.buf[2] = g.data, at.data, y.data
    if y.numel:
        run(&launch, PD_place, g.code)
    node = record1(PLACE, y, given)
    if node is not None:
        node.keep(0, at)
        node.extra = along
    return y

cdef object place_backward(Node node, object dy):
    return pick(dy, node.kept(0), node.extra)

cdef Op PLACE = op(place, place_backward)

def pick(input, index, dim):
    """y = x[.., index, ..]: one element of every line along `dim`; int64 index (.., 1, ..).

    Raises IndexError for an index that is not in 0 .. n - 1.
    """
    cdef pd_launch launch
    cdef Tensor given = tensor_arg("pick", input, "input"), x = contiguous(given), at, y
    cdef int along = wrap_dim("pick", dim, x.ndim)
    cdef Node node
    if x.ndim == 0:
        raise ValueError(f"pick: expected at least one dimension, got shape {shape_of(x)}")
    at = places("pick", x, index, along, x.sizes[along])
    prepare(&launch, PD_pick, x.code)
    y = empty(x.code, at.ndim, at.sizes)
    lines_of(&launch, x, along)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, at.data, y.data
    if y.numel:
        run(&launch, PD_pick, x.code)
    node = record1(PICK, y, given)
    if node is not None:
        node.keep(0, at)
        node.extra = (along, x.sizes[along])
    return y

cdef object pick_backward(Node node, object dy):
    along, n = node.extra
    return place(dy, node.kept(0), along, n)

cdef Op PICK = op(pick, pick_backward)

max_result = namedtuple("max_result", ("values", "indices"))
min_result = namedtuple("min_result", ("values", "indices"))

def max_along(input, dim, keepdim=False):
    """(values, indices) of the largest x along one `dim`: the first of equal ones, the first NaN where there is one."""
    return located("max", PD_argmax, MAX_ALONG, max_result, input, dim, keepdim)

def min_along(input, dim, keepdim=False):
    """(values, indices) of the smallest x along one `dim`: the first of equal ones, the first NaN where there is one."""
    return located("min", PD_argmin, MIN_ALONG, min_result, input, dim, keepdim)

cdef Op MAX_ALONG = op(max_along, located_backward)
cdef Op MIN_ALONG = op(min_along, located_backward)

def max(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """max(x): the largest element. max(x, dim): (values, indices) along dim. max(x, other): elementwise maximum.

    The gradient of max(x) is shared evenly by equal elements, that of max(x, dim) goes to the index.
    Raises ValueError for empty dimensions.
    """
    dim = axis if dim is None else dim
    if dim is None:
        return extreme("max", PD_amax, AMAX, input, None, False)
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    return max_along(input, dim, keepdim if keepdims is None else keepdims)

def min(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """min(x): the smallest element. min(x, dim): (values, indices) along dim. min(x, other): elementwise minimum.

    The gradient of min(x) is shared evenly by equal elements, that of min(x, dim) goes to the index.
    Raises ValueError for empty dimensions.
    """
    dim = axis if dim is None else dim
    if dim is None:
        return extreme("min", PD_amin, AMIN, input, None, False)
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    return min_along(input, dim, keepdim if keepdims is None else keepdims)

cdef Tensor position(str name, int kernel, object input, object dim, bint keepdim):
    cdef Tensor x = tensor_arg(name, input, "input"), y
    if dim is not None:
        return <Tensor>find(name, kernel, x, wrap_dim(name, dim, x.ndim), keepdim)[1]
    if x.numel == 0:
        raise ValueError(f"{name}: expected at least one element, got shape {shape_of(x)}: there is nothing to choose from")
    y = <Tensor>find(name, kernel, contiguous(x).detach().reshape(-1), 0, False)[1]
    return y.reshape((1,) * x.ndim) if keepdim else y

def argmax(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Index of the largest x along `dim`, or in the flattened x: the first of equal ones, the first NaN. int64."""
    return position("argmax", PD_argmax, input, axis if dim is None else dim, keepdim if keepdims is None else keepdims)

def argmin(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Index of the smallest x along `dim`, or in the flattened x: the first of equal ones, the first NaN. int64."""
    return position("argmin", PD_argmin, input, axis if dim is None else dim, keepdim if keepdims is None else keepdims)

op(argmax, NULL)
op(argmin, NULL)

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]
METHODS = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]
