"""Running sums and products along a dimension: cumsum, cumprod, and what their derivatives are made of.

Every derivative of a product is made of three ops, each other's derivatives: products of what comes before, products of
what comes after, and a linear recurrence. No division: elements that are zero need no special case.
"""
from pydl._core.kernels cimport PD_F64, PD_I64, PD_MAX_DIMS, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record1, record2
from pydl._core.tensor cimport Tensor, code_of, dtype_of, empty, same_shape, shape_of, tensor_arg, wrap_dim

from pydl.ops.arithmetic import add, mul

cdef extern from "pydl.h":
    enum: PD_cumsum
    enum: PD_cumprod
    enum: PD_prod_before
    enum: PD_recurrence


cdef int along(pd_launch *launch, Tensor x, int dim) except -1:
    """(outer, n, inner) of a contiguous x along `dim`."""
    cdef int d
    launch.lines.outer = launch.lines.inner = 1
    for d in range(dim):
        launch.lines.outer *= x.sizes[d]
    launch.lines.n = x.sizes[dim] if x.ndim else 1
    for d in range(dim + 1, x.ndim):
        launch.lines.inner *= x.sizes[d]
    return 0

cdef Tensor scanned(int kernel, Tensor x, int dim, bint backwards):
    cdef pd_launch launch
    cdef Tensor y
    prepare(&launch, kernel, x.code)
    x = contiguous(x)
    y = empty(x.code if x.code <= PD_F64 else PD_I64, x.ndim, x.sizes)
    along(&launch, x, dim)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.scalar[0] = backwards
    if x.numel:
        run(&launch, kernel, x.code)
    return y

cdef Tensor typed(str name, object input, object dtype):
    cdef Tensor x = tensor_arg(name, input, "input")
    return x if dtype is None or code_of(dtype) == x.code else <Tensor>x.to(dtype)


def cumsum(input, dim=None, *, dtype=None, axis=None):
    """y_k = x_0 + ... + x_k along `dim`; float32 adds in float64; integers and bool give int64 (wrapping).

    x and y of the same shape. Raises IndexError for a dim out of range.
    """
    cdef Tensor x = typed("cumsum", input, dtype), y
    cdef int d = wrap_dim("cumsum", axis if dim is None else dim, x.ndim)
    cdef Node node
    y = scanned(PD_cumsum, x, d, False)
    node = record1(CUMSUM, y, x)
    if node is not None:
        node.extra = d
    return y

cdef object cumsum_backward(Node node, object dy):
    return cumsum_back(dy, node.extra)

cdef Op CUMSUM = op(cumsum, cumsum_backward)

def cumsum_back(input, dim):
    """y_k = x_k + ... + x_(n-1) along `dim`: the gradient of cumsum."""
    cdef Tensor x = tensor_arg("cumsum_back", input, "input"), y
    cdef int d = wrap_dim("cumsum_back", dim, x.ndim)
    cdef Node node
    y = scanned(PD_cumsum, x, d, True)
    node = record1(CUMSUM_BACK, y, x)
    if node is not None:
        node.extra = d
    return y

cdef object cumsum_back_backward(Node node, object dy):
    return cumsum(dy, node.extra)

cdef Op CUMSUM_BACK = op(cumsum_back, cumsum_back_backward)


def cumprod(input, dim=None, *, dtype=None, axis=None):
    """y_k = x_0 * ... * x_k along `dim`; float32 multiplies in float64; integers and bool give int64 (wrapping).

    x and y of the same shape. Raises IndexError for a dim out of range.
    """
    cdef Tensor x = typed("cumprod", input, dtype), y
    cdef int d = wrap_dim("cumprod", axis if dim is None else dim, x.ndim)
    cdef Node node
    y = scanned(PD_cumprod, x, d, False)
    node = record1(CUMPROD, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = d
    return y

cdef object cumprod_backward(Node node, object dy):
    """dx_j = (x_0 ... x_(j-1)) s_j, s_j = dy_j + sum over k > j of dy_k x_(j+1) ... x_k."""
    x, d = node.kept(0), node.extra
    return mul(prod_before(x, d), add(dy, recurrence(mul(dy, x), x, d, True)))

cdef Op CUMPROD = op(cumprod, cumprod_backward)

def prod_before(input, dim):
    """y_k = x_0 * ... * x_(k-1), y_0 = 1, along `dim`. float32 (multiplied in float64), float64."""
    cdef Tensor x = tensor_arg("prod_before", input, "input"), y
    cdef int d = wrap_dim("prod_before", dim, x.ndim)
    cdef Node node
    y = scanned(PD_prod_before, x, d, False)
    node = record1(PROD_BEFORE, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = d
    return y

cdef object prod_before_backward(Node node, object dy):
    x, d = node.kept(0), node.extra
    return mul(prod_before(x, d), recurrence(dy, x, d, True))

cdef Op PROD_BEFORE = op(prod_before, prod_before_backward)

def prod_after(input, dim):
    """y_k = x_(k+1) * ... * x_(n-1), y_(n-1) = 1, along `dim`. float32 (multiplied in float64), float64."""
    cdef Tensor x = tensor_arg("prod_after", input, "input"), y
    cdef int d = wrap_dim("prod_after", dim, x.ndim)
    cdef Node node
    y = scanned(PD_prod_before, x, d, True)
    node = record1(PROD_AFTER, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = d
    return y

cdef object prod_after_backward(Node node, object dy):
    x, d = node.kept(0), node.extra
    return mul(prod_after(x, d), recurrence(dy, x, d, False))

cdef Op PROD_AFTER = op(prod_after, prod_after_backward)

def recurrence(a, b, dim, backwards=False):
    """y_0 = 0, y_k = a_(k-1) + b_(k-1) y_(k-1) along `dim`; backwards: y_(n-1) = 0, y_k = a_(k+1) + b_(k+1) y_(k+1).

    a, b and y of the same shape; float32 (in float64), float64.
    """
    cdef pd_launch launch
    cdef Tensor u = tensor_arg("recurrence", a, "a"), v = tensor_arg("recurrence", b, "b"), y, p, q
    cdef int d = wrap_dim("recurrence", dim, u.ndim)
    cdef Node node
    if u.code != v.code:
        raise TypeError(f"recurrence: {dtype_of(u.code)} and {dtype_of(v.code)} do not mix; use .to()")
    if not same_shape(u, v):
        raise ValueError(f"recurrence: expected a and b of the same shape, got {shape_of(u)} and {shape_of(v)}")
    prepare(&launch, PD_recurrence, u.code)
    p, q = contiguous(u), contiguous(v)
    y = empty(u.code, u.ndim, u.sizes)
    along(&launch, p, d)
    launch.buf[0], launch.buf[1], launch.buf[2] = p.data, q.data, y.data
    launch.scalar[0] = bool(backwards)
    if u.numel:
        run(&launch, PD_recurrence, u.code)
    node = record2(RECURRENCE, y, u, v)
    if node is not None:
        node.keep(0, v)
        node.keep_output(1, y)
        node.extra = (d, bool(backwards))
    return y

cdef object recurrence_backward(Node node, object dy):
    d, backwards = node.extra
    da = recurrence(dy, node.kept(0), d, not backwards)
    return da, mul(node.kept(1), da) if node.need(1) else None

cdef Op RECURRENCE = op(recurrence, recurrence_backward)

__all__ = ["cumprod", "cumsum"]
METHODS = ["cumprod", "cumsum"]
