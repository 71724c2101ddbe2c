"""Running sums and products along a dimension: cumsum, cumprod, and what their derivatives are made of.

Every derivative of a product is made of three ops, each other's derivatives: products of what comes before, products of
what comes after, and a linear recurrence. No division: elements that are zero need no special case.
"""
from pydl._core.kernels cimport PD_F64, PD_I64, pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record1, record2
from pydl._core.arguments cimport wrap_dim
from pydl._core.dtypes cimport code_of, dtype_of
from pydl._core.tensor cimport Tensor, empty, same_shape, shape_of, tensor_arg
from pydl.ops.lines cimport lines_of

from pydl.ops.arithmetic import add, mul

cdef extern from "pydl.h":
    enum: PD_cumsum
    enum: PD_cumprod
    enum: PD_prod_before
    enum: PD_recurrence


cdef Tensor scanned(Op which, int kernel, Tensor x, object dimension, bint backwards, bint keep):
    """Runs a kernel along a dimension; the rule gets the dimension, and x where it is kept."""
    cdef pd_launch launch
    cdef Tensor y, given = x
    cdef Node node
    cdef int dim = wrap_dim(which.name, dimension, x.ndim)
    prepare(&launch, kernel, x.code)
    x = contiguous(x)
    y = empty(x.code if x.code <= PD_F64 else PD_I64, x.ndim, x.sizes)
    lines_of(&launch, x, dim)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.scalar[0] = backwards
    if x.numel:
        run(&launch, kernel, x.code)
    node = record1(which, y, given)
    if node is not None:
        if keep:
            node.keep(0, given)
        node.extra = dim
    return y

cdef Tensor typed(str name, object input, object dtype):
    cdef Tensor x = tensor_arg(name, input, "input")
    return x if dtype is None or code_of(dtype) == x.code else <Tensor>x.to(dtype)


def cumsum(input, dim=None, *, dtype=None, axis=None):
    """y_k = x_0 + ... + x_k along `dim`; float32 adds in float64; integers and bool give int64 (wrapping).

    x and y of the same shape. Raises IndexError for a dim out of range.
    """
    return scanned(CUMSUM, PD_cumsum, typed("cumsum", input, dtype), axis if dim is None else dim, False, False)

cdef object cumsum_backward(Node node, object dy):
    return cumsum_back(dy, node.extra)

cdef Op CUMSUM = op(cumsum, cumsum_backward)

def cumsum_back(input, dim):
    """y_k = x_k + ... + x_(n-1) along `dim`: the gradient of cumsum."""
    return scanned(CUMSUM_BACK, PD_cumsum, tensor_arg("cumsum_back", input, "input"), dim, True, False)

cdef object cumsum_back_backward(Node node, object dy):
    return cumsum(dy, node.extra)

cdef Op CUMSUM_BACK = op(cumsum_back, cumsum_back_backward)


def cumprod(input, dim=None, *, dtype=None, axis=None):
    """y_k = x_0 * ... * x_k along `dim`; float32 multiplies in float64; integers and bool give int64 (wrapping).

    x and y of the same shape. Raises IndexError for a dim out of range.
    """
    return scanned(CUMPROD, PD_cumprod, typed("cumprod", input, dtype), axis if dim is None else dim, False, True)

cdef object cumprod_backward(Node node, object dy):
    """dx_j = (x_0 ... x_(j-1)) s_j, s_j = dy_j + sum over k > j of dy_k x_(j+1) ... x_k."""
    x, d = node.kept(0), node.extra
    return mul(prod_before(x, d), add(dy, recurrence(mul(dy, x), x, d, True)))

cdef Op CUMPROD = op(cumprod, cumprod_backward)

def prod_before(input, dim):
    """y_k = x_0 * ... * x_(k-1), y_0 = 1, along `dim`. float32 (multiplied in float64), float64."""
    return scanned(PROD_BEFORE, PD_prod_before, tensor_arg("prod_before", input, "input"), dim, False, True)

cdef object prod_before_backward(Node node, object dy):
    x, d = node.kept(0), node.extra
    return mul(prod_before(x, d), recurrence(dy, x, d, True))

cdef Op PROD_BEFORE = op(prod_before, prod_before_backward)

def prod_after(input, dim):
    """y_k = x_(k+1) * ... * x_(n-1), y_(n-1) = 1, along `dim`. float32 (multiplied in float64), float64."""
    return scanned(PROD_AFTER, PD_prod_before, tensor_arg("prod_after", input, "input"), dim, True, True)

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
    lines_of(&launch, p, d)
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
