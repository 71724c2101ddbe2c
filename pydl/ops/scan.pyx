"""What runs along a dimension: cumsum, cumprod, cummax, cummin, logcumsumexp, and what their derivatives are made of.

Every derivative of a product is made of three ops, each other's derivatives: products of what comes before, products of
what comes after, and a linear recurrence. No division: elements that are zero need no special case.
"""
from collections import namedtuple

from libc.math cimport INFINITY

from pydl._core.kernels cimport PD_F64, PD_I64, pd_launch
from pydl._core.launch cimport contiguous, filled, prepare, run
from pydl._core.tape cimport Node, Op, op, record, record1, record2
from pydl._core.arguments cimport wrap_dim
from pydl._core.dtypes cimport code_of, dtype_of
from pydl._core.tensor cimport Tensor, empty, real_arg, same_shape, shape_of, tensor_arg
from pydl.ops.gather cimport added_to_zeros
from pydl.ops.lines cimport lines_of

from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.compare import eq, where
from pydl.ops.elementwise import exp
from pydl.ops.join import cat
from pydl.ops.parts import narrow

cdef extern from "pydl.h":
    enum: PD_cumsum
    enum: PD_cumprod
    enum: PD_cummax
    enum: PD_logcumsumexp
    enum: PD_prod_before
    enum: PD_recurrence


cdef double NEVER = -INFINITY      # the logarithm of nothing


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


# ---- Extremes

cummax_result = namedtuple("cummax", ("values", "indices"))
cummin_result = namedtuple("cummin", ("values", "indices"))

cdef tuple running_extreme(Op which, Tensor x, object dimension, bint least):
    cdef pd_launch launch
    cdef int dim = wrap_dim(which.name, dimension, x.ndim)
    cdef Tensor y = empty(x.code, x.ndim, x.sizes), index = empty(PD_I64, x.ndim, x.sizes), given = contiguous(x)
    cdef Node node
    prepare(&launch, PD_cummax, x.code)
    lines_of(&launch, given, dim)
    launch.buf[0], launch.buf[1], launch.buf[2] = given.data, y.data, index.data
    launch.scalar[0], launch.scalar[1] = 0, least
    if x.numel:
        run(&launch, PD_cummax, x.code)
    node = record(which, (y, index), (x,))
    if node is not None:
        node.keep_output(0, index)
        node.extra = (dim, x.code, shape_of(x))
    return y, index

def cummax(input, dim=None, *, axis=None):
    """(values, indices): the largest of x_0 ... x_k along `dim`, and where it is: the last of equal ones.

    All dtypes; x, values and indices (int64) of the same shape. From a NaN on all values are NaN, at the last NaN. The gradient
    goes to the indices. Raises IndexError for a dim out of range.
    """
    return cummax_result(*running_extreme(CUMMAX, tensor_arg("cummax", input, "input"), axis if dim is None else dim, False))

def cummin(input, dim=None, *, axis=None):
    """(values, indices): the smallest of x_0 ... x_k along `dim`, and where it is: the last of equal ones; else as cummax()."""
    return cummin_result(*running_extreme(CUMMIN, tensor_arg("cummin", input, "input"), axis if dim is None else dim, True))

cdef object running_extreme_backward(Node node, object grads):
    dim, code, shape = <tuple>node.extra
    if grads[0] is None:
        return None
    return added_to_zeros(code, shape, dim, (<Tensor>node.kept(0)).detach(), grads[0])

cdef Op CUMMAX = op(cummax, running_extreme_backward)
cdef Op CUMMIN = op(cummin, running_extreme_backward)


# ---- Sums of exponentials

def logcumsumexp(input, dim=None, *, axis=None):
    """y_k = log(e^x_0 + ... + e^x_k) along `dim`, without overflow; float32 adds in float64. float32, float64.

    x and y of the same shape; -inf as long as all x are. Raises IndexError for a dim out of range, TypeError for integers.
    """
    cdef Tensor x = real_arg("logcumsumexp", input, "input"), y
    cdef Node node
    y = scanned(LOGCUMSUMEXP, PD_logcumsumexp, x, axis if dim is None else dim, False, True)
    node = y.node
    if node is not None:
        node.keep_output(1, y)
    return y

cdef object logcumsumexp_backward(Node node, object dy):
    """dx_j = e^(x_j - y_j) r_j, where r_j = dy_j + e^(y_j - y_(j+1)) r_(j+1): no exponent is above 0."""
    cdef Tensor x = node.kept(0), y = node.kept(1)
    cdef int dim = node.extra
    cdef ptrdiff_t n = x.sizes[dim] if x.ndim else 1
    share = where(eq(y, NEVER), 0.0, exp(sub(x, where(eq(y, NEVER), 0.0, y))))
    if n < 2:
        return mul(dy, share)
    before = narrow(y, dim, 0, n - 1)
    passed = where(eq(before, NEVER), 0.0, exp(sub(where(eq(before, NEVER), 0.0, before), narrow(y, dim, 1, n - 1))))
    passed = cat((filled(x.code, shape_of(<Tensor>narrow(y, dim, 0, 1)), 0), passed), dim)
    return mul(add(dy, recurrence(mul(passed, dy), passed, dim, True)), share)

cdef Op LOGCUMSUMEXP = op(logcumsumexp, logcumsumexp_backward)

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]
METHODS = __all__
