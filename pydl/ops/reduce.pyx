"""Reductions over any dimensions: sum, mean, prod, any, all, and sum_to. Further ones: moments.pyx, extremes.pyx.

`dim` is an int, a tuple of ints or None (all dimensions); `axis` and `keepdims` are accepted for `dim` and `keepdim`.
Additions follow a fixed tree (csrc/reduce.h): the same bits for any layout and any number of threads.
"""
from libc.math cimport NAN

from pydl._core.kernels cimport PD_BOOL, PD_F64, PD_I64, PD_MAX_DIMS, pd_launch, pd_reduce
from pydl._core.launch cimport prepare, run
from pydl._core.tape cimport Node, Op, op, record1
from pydl._core.arguments cimport wrap_dim
from pydl._core.dtypes cimport code_of
from pydl._core.tensor cimport Tensor, empty, real_arg, shape_of, tensor_arg, view_of

from pydl.ops.arithmetic import mul
from pydl.ops.scan import prod_after, prod_before

cdef extern from "pydl.h":
    enum: PD_sum
    enum: PD_prod
    enum: PD_any
    enum: PD_all
    enum: PD_mean


# ---- Dimensions and the launch

cdef int dims_from(str op, object dim, int ndim, bint *dims) except -1:
    """dims[d] = whether dimension d is reduced."""
    cdef int d
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        for d in range(ndim):
            dims[d] = True
        return 0
    for d in range(ndim):
        dims[d] = False
    if not isinstance(dim, (tuple, list)):
        d = wrap_dim(op, dim, ndim)
        if ndim:
            dims[d] = True
        return 0
    for item in dim:
        d = wrap_dim(op, item, ndim)
        if ndim == 0:
            continue
        if dims[d]:
            raise ValueError(f"{op}: dim {d} appears twice in {tuple(dim)}")
        dims[d] = True
    return 0

cdef size_t count_of(Tensor x, const bint *dims) noexcept:
    """How many elements are reduced to one."""
    cdef size_t n = 1
    for d in range(x.ndim):
        if dims[d]:
            n *= x.sizes[d]
    return n

cdef int join(pd_reduce *g, size_t first, size_t *count, ptrdiff_t size, ptrdiff_t stride) except -1:
    """Appends a dimension to the `count` ones from `first`, merged with the last where memory allows."""
    cdef size_t last = first + count[0] - 1
    if size == 1:
        return 0
    if count[0] and g.stride[last] == stride * size:
        g.shape[last] *= size
        g.stride[last] = stride
        return 0
    g.shape[last + 1], g.stride[last + 1] = size, stride
    count[0] += 1
    return 0

cdef Tensor reduced(int kernel, Tensor x, int code, const bint *dims, bint keepdim, double s0=0, double s1=0, double s2=0):
    """Runs a kernel of csrc/reduce.c; the result has type `code`."""
    cdef pd_launch launch
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef pd_reduce *g = &launch.reduce
    cdef int d, ndim = 0
    cdef Tensor y
    prepare(&launch, kernel, x.code)
    g.kept = g.reduced = 0
    for d in range(x.ndim):
        if not dims[d]:
            join(g, 0, &g.kept, x.sizes[d], x.strides[d])
            sizes[ndim] = x.sizes[d]
            ndim += 1
        elif keepdim:
            sizes[ndim] = 1
            ndim += 1
    for d in range(x.ndim):
        if dims[d]:
            join(g, g.kept, &g.reduced, x.sizes[d], x.strides[d])
    if g.reduced == 0:
        g.shape[g.kept], g.stride[g.kept] = 1, 1
        g.reduced = 1
    y = empty(code, ndim, sizes)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = s0, s1, s2
    if y.numel:
        run(&launch, kernel, x.code)
    return y

cdef int refuse_empty(str op, Tensor x, const bint *dims) except -1:
    if count_of(x, dims) == 0 and x.numel == 0:
        raise ValueError(f"{op}: expected at least one element in the dimensions {dims_tuple(x, dims)} of shape {shape_of(x)}: "
                         "there is nothing to choose from")
    return 0

cdef object dims_tuple(Tensor x, const bint *dims):
    return tuple([d for d in range(x.ndim) if dims[d]])

cdef Tensor real_or_cast(str op, object input, object dtype):
    """The input, converted where a floating dtype is asked for."""
    cdef Tensor x = tensor_arg(op, input, "input")
    if dtype is not None and code_of(dtype) != x.code:
        x = x.to(dtype)
    return x


# ---- The gradient of a sum, and back

def spread(dy, shape, dims):
    """dy over the dimensions `dims` (sorted, not negative) of `shape`: y[i] = dy[i without dims]; the gradient of a sum.

    dy keeps the dimensions `dims` as 1, or lacks them. y is a view. Raises ValueError where the shapes do not fit.
    """
    cdef Tensor x = tensor_arg("spread", dy, "dy")
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int ndim = len(shape), d, at = 0
    cdef bint keeps = x.ndim == ndim, fits = keeps or x.ndim == ndim - len(dims)
    cdef Tensor y
    cdef Node node
    for d in range(ndim if fits and ndim <= PD_MAX_DIMS else 0):
        sizes[d] = shape[d]
        if d in dims:
            fits = fits and (not keeps or x.sizes[at] == 1)
            strides[d] = 0
            at += keeps
        else:
            fits = fits and at < x.ndim and x.sizes[at] == sizes[d]
            strides[d] = x.strides[at] if fits else 0
            at += 1
    if not fits or at != x.ndim:
        raise ValueError(f"spread: shape {shape_of(x)} does not fit {tuple(shape)} without the dimensions {tuple(dims)}")
    y = view_of(x, ndim, sizes, strides, 0)
    node = record1(SPREAD, y, x)
    if node is not None:
        node.extra = (dims, keeps)
    return y

cdef object spread_backward(Node node, object dy):
    dims, keeps = node.extra
    return sum(dy, dims, keeps) if dims else dy

cdef Op SPREAD = op(spread, spread_backward)


# ---- Sums

def sum(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """y = sum of x over `dim`. Empty: 0.

    x any shape -> y without the dimensions `dim`, or with 1 in their place (keepdim). float32 and float64 keep their type,
    integers and bool give int64 (wrapping). Error below (5 + log2(n) / 2) ulp of sum |x|.
    Raises IndexError for a dim out of range, ValueError for one given twice.

    >>> x = pydl.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> x.sum().item(), x.sum(0).tolist(), x.sum(1, keepdim=True).shape
    (10.0, [4.0, 6.0], (2, 1))
    """
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = real_or_cast("sum", input, dtype)
    cdef Tensor y
    cdef Node node
    dims_from("sum", axis if dim is None else dim, x.ndim, dims)
    y = reduced(PD_sum, x, x.code if x.code <= PD_F64 else PD_I64, dims, keepdim if keepdims is None else keepdims)
    node = record1(SUM, y, x)
    if node is not None:
        node.extra = (shape_of(x), dims_tuple(x, dims))
    return y

cdef object sum_backward(Node node, object dy):
    shape, dims = node.extra
    return spread(dy, shape, dims)

cdef Op SUM = op(sum, sum_backward)


def sum_to(input, shape):
    """Undoes a broadcast: sums x to `shape`, which broadcasts to x's shape.

    Raises ValueError where it does not.
    """
    cdef Tensor x = tensor_arg("sum_to", input, "input"), y
    cdef bint dims[PD_MAX_DIMS]
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int ndim = len(shape), skipped = x.ndim - ndim, d
    cdef ptrdiff_t size
    cdef bint any_dim = skipped > 0, ones = False
    cdef Node node
    for d in range(x.ndim):
        size = 1 if d < skipped else shape[d - skipped]
        if skipped < 0 or (size != x.sizes[d] and size != 1):
            raise ValueError(f"sum_to: shape {tuple(shape)} does not broadcast to {shape_of(x)}")
        dims[d] = d < skipped or (size == 1 and x.sizes[d] != 1)
        any_dim |= dims[d]
        ones |= dims[d] and d >= skipped
        if d >= skipped:
            sizes[d - skipped] = size
    if ndim > x.ndim:
        raise ValueError(f"sum_to: shape {tuple(shape)} does not broadcast to {shape_of(x)}")
    if not any_dim:
        return x
    y = reduced(PD_sum, x, x.code if x.code <= PD_F64 else PD_I64, dims, False)
    if ones:    # put the dimensions of size 1 back: y is contiguous
        size = 1
        for d in range(ndim - 1, -1, -1):
            strides[d] = size
            size *= sizes[d]
        y = view_of(y, ndim, sizes, strides, 0)
    node = record1(SUM_TO, y, x)
    if node is not None:
        node.extra = (shape_of(x), dims_tuple(x, dims), skipped)
    return y

cdef object sum_to_backward(Node node, object dy):
    cdef Tensor g = dy
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    shape, dims, skipped = node.extra
    if skipped:     # the leading dimensions are gone, the others are kept as 1
        g = g.reshape((1,) * <int>skipped + shape_of(g))
    return spread(g, shape, dims)

cdef Op SUM_TO = op(sum_to, sum_to_backward)


def mean(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """y = sum(x) / n over `dim`. Empty: NaN. float32, float64."""
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = real_arg("mean", real_or_cast("mean", input, dtype), "input")
    cdef Tensor y
    cdef Node node
    dims_from("mean", axis if dim is None else dim, x.ndim, dims)
    y = reduced(PD_mean, x, x.code, dims, keepdim if keepdims is None else keepdims, count_of(x, dims))
    node = record1(MEAN, y, x)
    if node is not None:
        node.extra = (shape_of(x), dims_tuple(x, dims), count_of(x, dims))
    return y

cdef object mean_backward(Node node, object dy):
    shape, dims, n = node.extra
    return spread(mul(dy, 1.0 / n if n else NAN), shape, dims)

cdef Op MEAN = op(mean, mean_backward)


def prod(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """y = product of x over `dim` (an int, or None: all). Empty: 1. Integers and bool give int64 (wrapping)."""
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = real_or_cast("prod", input, dtype)
    cdef Tensor y
    cdef Node node
    dim = axis if dim is None else dim
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"prod: dim must be an int or None, got {dim}; reduce one dimension after the other")
    dims_from("prod", dim, x.ndim, dims)
    keepdim = keepdim if keepdims is None else keepdims
    y = reduced(PD_prod, x, x.code if x.code <= PD_F64 else PD_I64, dims, keepdim)
    node = record1(PROD, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = (dims_tuple(x, dims), dim)
    return y

cdef object prod_backward(Node node, object dy):
    """dx_i = dy * product of the other elements: right where elements are zero, too."""
    cdef Tensor x = node.kept(0)
    dims, dim = node.extra
    if dim is None and x.ndim != 1:
        others = mul(prod_before(x.reshape(-1), 0), prod_after(x.reshape(-1), 0)).reshape(shape_of(x))
    else:
        others = mul(prod_before(x, dim or 0), prod_after(x, dim or 0))
    return mul(spread(dy, shape_of(x), dims), others)

cdef Op PROD = op(prod, prod_backward)


# ---- Any, all

def any(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """y = whether any x over `dim` is not zero (NaN is not); bool. Empty: False. Not differentiable."""
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = tensor_arg("any", input, "input")
    dims_from("any", axis if dim is None else dim, x.ndim, dims)
    return reduced(PD_any, x, PD_BOOL, dims, keepdim if keepdims is None else keepdims)

def all(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """y = whether every x over `dim` is not zero; bool. Empty: True. Not differentiable."""
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = tensor_arg("all", input, "input")
    dims_from("all", axis if dim is None else dim, x.ndim, dims)
    return reduced(PD_all, x, PD_BOOL, dims, keepdim if keepdims is None else keepdims)

op(any, NULL)
op(all, NULL)


__all__ = ["all", "any", "mean", "prod", "sum", "sum_to"]
METHODS = ["all", "any", "mean", "prod", "sum"]
