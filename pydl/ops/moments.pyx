"""Variance, standard deviation, norms and log-sum-exp over any dimensions; `dim` as in reduce.pyx."""
import math

from libc.math cimport isinf, isnan

from pydl._core.kernels cimport PD_F64, PD_MAX_DIMS
from pydl._core.launch cimport cast
from pydl._core.tape cimport Node, Op, op, record1
from pydl._core.arguments cimport number_of
from pydl._core.tensor cimport Tensor, real_arg, shape_of
from pydl.ops.operands cimport float_arg
from pydl.ops.reduce cimport count_of, dims_from, dims_tuple, real_or_cast, reduced, refuse_empty

from pydl.ops.arithmetic import abs as absolute, div, mul, pow, sign, sub
from pydl.ops.compare import eq, isnan as is_nan, ne, where
from pydl.ops.elementwise import exp
from pydl.ops.reduce import mean, spread, sum

cdef extern from "pydl.h":
    enum: PD_sum
    enum: PD_nansum
    enum: PD_norm1
    enum: PD_norm2
    enum: PD_norm_max
    enum: PD_norm_min
    enum: PD_var
    enum: PD_logsumexp


# ---- Moments

cdef object variance(str name, Op which, object input, object dim, object unbiased, object correction, bint keepdim, bint root):
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = real_arg(name, input, "input")
    cdef Tensor y
    cdef Node node
    cdef double divisor
    if isinstance(dim, bool) and unbiased is None:      # var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise ValueError(f"{name}: give unbiased or correction, not both")
        correction = 1 if unbiased else 0
    elif correction is None:
        correction = 1
    dims_from(name, dim, x.ndim, dims)
    divisor = max(0.0, <double>count_of(x, dims) - number_of(name, correction, "correction"))
    y = reduced(PD_var, x, x.code, dims, keepdim, count_of(x, dims), divisor, root)
    node = record1(which, y, x)
    if node is not None:
        node.keep(0, x)
        if root:
            node.keep_output(1, y)
        node.extra = (dims_tuple(x, dims), divisor)
    return y

cdef object from_mean(Tensor x, object dims):
    return sub(x, mean(x, dims, True)) if dims else sub(x, x)

def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
    """y = sum((x - mean)^2) / max(0, n - correction) over `dim`; correction 1 unless given (unbiased=False: 0).

    float32, float64, in two passes. One element with correction 1, or none: NaN.
    """
    return variance("var", VAR, input, axis if dim is None else dim, unbiased, correction,
                    keepdim if keepdims is None else keepdims, False)

cdef object var_backward(Node node, object dy):
    cdef Tensor x = node.kept(0)
    dims, divisor = node.extra
    factor = 2 / divisor if divisor else math.inf
    return mul(spread(mul(dy, factor), shape_of(x), dims), from_mean(x, dims))

cdef Op VAR = op(var, var_backward)

def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
    """y = sqrt(var(x)); the gradient where y is 0 is 0."""
    return variance("std", STD, input, axis if dim is None else dim, unbiased, correction,
                    keepdim if keepdims is None else keepdims, True)

cdef object std_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), y = node.kept(1)
    dims, divisor = node.extra
    factor = mul(safe_ratio(dy, y), 1 / divisor if divisor else math.inf)
    return mul(spread(factor, shape_of(x), dims), from_mean(x, dims))

cdef Op STD = op(std, std_backward)

cdef object safe_ratio(Tensor dy, Tensor y):
    """dy / y, but 0 where y is 0"""
    zero = eq(y, 0)
    return where(zero, 0.0, div(dy, where(zero, 1.0, y)))


# ---- Sums without NaN

def nansum(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """y = sum of x over `dim`, NaN counting as 0; shapes, types and errors as in sum()."""
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = real_or_cast("nansum", input, dtype), y
    cdef Node node
    dim, keepdim = axis if dim is None else dim, keepdim if keepdims is None else keepdims
    dims_from("nansum", dim, x.ndim, dims)
    if x.code > PD_F64:
        return sum(x, dim, keepdim)
    y = reduced(PD_nansum, x, x.code, dims, keepdim)
    node = record1(NANSUM, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = dims_tuple(x, dims)
    return y

cdef object nansum_backward(Node node, object dy):
    cdef Tensor x = node.kept(0)
    return where(is_nan(x), 0.0, spread(dy, shape_of(x), node.extra))

cdef Op NANSUM = op(nansum, nansum_backward)


# ---- Norms and log-sum-exp

def norm(input, p=2, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """y = (sum |x|^p)^(1/p) over `dim`; p = inf: max |x|, -inf: min |x|, 0: how many are not zero; "fro" is 2.

    float32, float64. The gradient where y is 0, and where x is 0, is 0; that of p = inf and -inf is shared evenly by equal
    elements. Empty: 0. Raises ValueError for another p, and for p = inf or a negative p of nothing.
    """
    cdef Tensor x = real_arg("norm", real_or_cast("norm", input, dtype), "input")
    cdef bint dims[PD_MAX_DIMS]
    cdef bint keep = keepdim if keepdims is None else keepdims
    cdef Tensor y
    cdef Node node
    cdef double power
    if isinstance(p, str):
        if p != "fro":
            raise ValueError(f"norm: p must be a number, inf, -inf or 'fro', got {p!r}")
        p = 2
    power = number_of("norm", p, "p")
    dims_from("norm", axis if dim is None else dim, x.ndim, dims)
    if isnan(power):
        raise ValueError("norm: p must be a number, inf, -inf or 'fro', got nan")
    if isinf(power) or power < 0:
        refuse_empty("norm", x, dims)
    if power == 0:
        y = reduced(PD_sum, cast(ne(x, 0), x.code), x.code, dims, keep)
    elif power not in (1.0, 2.0) and not isinf(power):
        y = pow(reduced(PD_sum, pow(absolute(x.detach()), power), x.code, dims, keep), 1 / power)
    else:
        y = reduced(PD_norm1 if power == 1 else PD_norm2 if power == 2 else PD_norm_max if power > 0 else PD_norm_min,
                    x, x.code, dims, keep)
    node = record1(NORM, y, x)
    if node is not None:
        node.keep(0, x)
        node.keep_output(1, y)
        node.extra = (dims_tuple(x, dims), power)
    return y

cdef object norm_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), y = node.kept(1)
    dims, power = node.extra
    shape = shape_of(x)
    if power == 0:
        return mul(spread(dy, shape, dims), 0.0)
    if power == 1:
        return mul(spread(dy, shape, dims), sign(x))
    if power == 2:
        return mul(x, spread(safe_ratio(dy, y), shape, dims))
    if not isinf(power):
        return mul(signed_power(x, power - 1), spread(mul(dy, inverse_power(y, power - 1)), shape, dims))
    chosen = cast(eq(absolute(x), spread(y, shape, dims)), x.code)
    share = div(dy, sum(chosen, dims, (<Tensor>dy).ndim == x.ndim) if dims else chosen)
    return mul(spread(share, shape, dims), mul(chosen, sign(x)))

cdef object signed_power(Tensor x, double exponent):
    """sign(x) |x|^exponent, but 0, with all its derivatives, where x is 0"""
    return mul(sign(x), pow(where(eq(x, 0), 1.0, absolute(x)), exponent))

cdef object inverse_power(Tensor y, double exponent):
    """y^-exponent, but 0 where y is 0"""
    zero = eq(y, 0)
    return where(zero, 0.0, pow(where(zero, 1.0, y), -exponent))

cdef Op NORM = op(norm, norm_backward)


def logsumexp(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """y = log(sum(exp(x))) over `dim`, without overflow; all -inf: -inf. float32, float64. Empty: -inf.

    The gradient is softmax(x); where y is infinite it is NaN for the elements that equal y, 0 for the others.
    """
    cdef bint dims[PD_MAX_DIMS]
    cdef Tensor x = float_arg("logsumexp", input, "input")
    cdef Tensor y
    cdef Node node
    dims_from("logsumexp", axis if dim is None else dim, x.ndim, dims)
    y = reduced(PD_logsumexp, x, x.code, dims, keepdim if keepdims is None else keepdims)
    node = record1(LOGSUMEXP, y, x)
    if node is not None:
        node.keep(0, x)
        node.keep_output(1, y)
        node.extra = dims_tuple(x, dims)
    return y

cdef object logsumexp_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), y = node.kept(1)
    shape = shape_of(x)
    return mul(spread(dy, shape, node.extra), exp(sub(x, spread(y, shape, node.extra))))

cdef Op LOGSUMEXP = op(logsumexp, logsumexp_backward)


__all__ = ["logsumexp", "nansum", "norm", "std", "var"]
METHODS = ["logsumexp", "nansum", "norm", "std", "var"]
