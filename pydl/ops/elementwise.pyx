# cython: language_level=3
"""Functions of one float tensor (and atan2), elementwise. Any shape; NaN gives NaN.

float32 and float64 keep their type, integers and bool give the default float type; square and rounding keep integers.

The mathematics and the largest errors in ulp are in csrc/vec*.h; tests/test_ulp.py holds them to it.
"""
from pydl._core.kernels cimport PD_BOOL, PD_F64, PD_I64
from pydl._core.launch cimport cast, duplicate, filled, map1, map2
from pydl._core.tape cimport Node, Op, op, record1, record2
from pydl._core.arguments cimport int_of, number_of
from pydl._core.tensor cimport Tensor, real_arg, shape_of, tensor_arg
from pydl.ops.operands cimport float_arg, operands

from pydl.ops.arithmetic import add, div, mul, neg, sub
from pydl.ops.compare import eq, isfinite, where

cdef extern from "pydl.h":
    enum: PD_exp
    enum: PD_exp2
    enum: PD_expm1
    enum: PD_log
    enum: PD_log2
    enum: PD_log10
    enum: PD_log1p
    enum: PD_sqrt
    enum: PD_rsqrt
    enum: PD_reciprocal
    enum: PD_square
    enum: PD_sin
    enum: PD_cos
    enum: PD_tan
    enum: PD_asin
    enum: PD_acos
    enum: PD_atan
    enum: PD_sinh
    enum: PD_cosh
    enum: PD_asinh
    enum: PD_acosh
    enum: PD_atanh
    enum: PD_erf
    enum: PD_erfc
    enum: PD_floor
    enum: PD_ceil
    enum: PD_round
    enum: PD_trunc
    enum: PD_atan2
    enum: PD_frac
    enum: PD_nan_to_num


cdef Tensor of_input(Op which, int kernel, Tensor x):
    """kernel(x); the rule gets x."""
    cdef Tensor y = map1(kernel, x)
    cdef Node node = record1(which, y, x)
    if node is not None:
        node.keep(0, x)
    return y

cdef Tensor of_output(Op which, int kernel, Tensor x):
    """kernel(x); the rule gets the result."""
    cdef Tensor y = map1(kernel, x)
    cdef Node node = record1(which, y, x)
    if node is not None:
        node.keep_output(0, y)
    return y


# ---- Powers of e and 2

def exp(input):
    """exp(x).

    >>> pydl.exp(pydl.tensor([0.0, 1.0])).tolist()
    [1.0, 2.7182817459106445]
    """
    return of_output(EXP, PD_exp, float_arg("exp", input, "input"))

cdef object exp_backward(Node node, object dy):
    return mul(dy, node.kept(0))

cdef Op EXP = op(exp, exp_backward)

def exp2(input):
    """2 to the power of x."""
    return of_output(EXP2, PD_exp2, float_arg("exp2", input, "input"))

cdef object exp2_backward(Node node, object dy):
    return mul(mul(dy, node.kept(0)), 0.6931471805599453)

cdef Op EXP2 = op(exp2, exp2_backward)

def expm1(input):
    """exp(x) - 1, accurate near 0."""
    return of_output(EXPM1, PD_expm1, float_arg("expm1", input, "input"))

cdef object expm1_backward(Node node, object dy):
    return mul(dy, add(node.kept(0), 1))

cdef Op EXPM1 = op(expm1, expm1_backward)

# ---- Logarithms

def log(input):
    """The natural logarithm: -infinity at 0, NaN below."""
    return of_input(LOG, PD_log, float_arg("log", input, "input"))

cdef object log_backward(Node node, object dy):
    return div(dy, node.kept(0))

cdef Op LOG = op(log, log_backward)

def log2(input):
    """The logarithm to base 2: -infinity at 0, NaN below."""
    return of_input(LOG2, PD_log2, float_arg("log2", input, "input"))

cdef object log2_backward(Node node, object dy):
    return div(dy, mul(node.kept(0), 0.6931471805599453))

cdef Op LOG2 = op(log2, log2_backward)

def log10(input):
    """The logarithm to base 10: -infinity at 0, NaN below."""
    return of_input(LOG10, PD_log10, float_arg("log10", input, "input"))

cdef object log10_backward(Node node, object dy):
    return div(dy, mul(node.kept(0), 2.302585092994046))

cdef Op LOG10 = op(log10, log10_backward)

def log1p(input):
    """log(1 + x), accurate near 0: -infinity at -1, NaN below."""
    return of_input(LOG1P, PD_log1p, float_arg("log1p", input, "input"))

cdef object log1p_backward(Node node, object dy):
    return div(dy, add(node.kept(0), 1))

cdef Op LOG1P = op(log1p, log1p_backward)

# ---- Roots and powers

def sqrt(input):
    """The square root, correctly rounded; NaN below 0. The derivative at 0 is infinite."""
    return of_output(SQRT, PD_sqrt, float_arg("sqrt", input, "input"))

cdef object sqrt_backward(Node node, object dy):
    return div(dy, mul(node.kept(0), 2))

cdef Op SQRT = op(sqrt, sqrt_backward)

def rsqrt(input):
    """1 / sqrt(x): infinity at 0, NaN below."""
    return of_output(RSQRT, PD_rsqrt, float_arg("rsqrt", input, "input"))

cdef object rsqrt_backward(Node node, object dy):
    cdef Tensor y = node.kept(0)
    return mul(mul(dy, -0.5), mul(y, square(y)))

cdef Op RSQRT = op(rsqrt, rsqrt_backward)

def reciprocal(input):
    """1 / x."""
    return of_output(RECIPROCAL, PD_reciprocal, float_arg("reciprocal", input, "input"))

cdef object reciprocal_backward(Node node, object dy):
    return neg(mul(dy, square(node.kept(0))))

cdef Op RECIPROCAL = op(reciprocal, reciprocal_backward)

def square(input):
    """x * x."""
    cdef Tensor x = tensor_arg("square", input, "input")
    if x.code > PD_F64:
        return mul(x, cast(x, PD_I64) if x.code == PD_BOOL else x)
    return of_input(SQUARE, PD_square, x)

cdef object square_backward(Node node, object dy):
    return mul(mul(dy, 2), node.kept(0))

cdef Op SQUARE = op(square, square_backward)

# ---- Circular functions

def sin(input):
    """The sine of x radians; NaN at infinity."""
    return of_input(SIN, PD_sin, float_arg("sin", input, "input"))

cdef object sin_backward(Node node, object dy):
    return mul(dy, cos(node.kept(0)))

cdef Op SIN = op(sin, sin_backward)

def cos(input):
    """The cosine of x radians; NaN at infinity."""
    return of_input(COS, PD_cos, float_arg("cos", input, "input"))

cdef object cos_backward(Node node, object dy):
    return neg(mul(dy, sin(node.kept(0))))

cdef Op COS = op(cos, cos_backward)

def tan(input):
    """The tangent of x radians; NaN at infinity."""
    return of_output(TAN, PD_tan, float_arg("tan", input, "input"))

cdef object tan_backward(Node node, object dy):
    return mul(dy, add(square(node.kept(0)), 1))

cdef Op TAN = op(tan, tan_backward)

def asin(input):
    """The arcsine in [-pi/2, pi/2]; NaN outside [-1, 1]. The derivative at +-1 is infinite."""
    return of_input(ASIN, PD_asin, float_arg("asin", input, "input"))

cdef object asin_backward(Node node, object dy):
    return mul(dy, rsqrt(sub(1, square(node.kept(0)))))

cdef Op ASIN = op(asin, asin_backward)

def acos(input):
    """The arccosine in [0, pi]; NaN outside [-1, 1]. The derivative at +-1 is -infinity."""
    return of_input(ACOS, PD_acos, float_arg("acos", input, "input"))

cdef object acos_backward(Node node, object dy):
    return neg(mul(dy, rsqrt(sub(1, square(node.kept(0))))))

cdef Op ACOS = op(acos, acos_backward)

def atan(input):
    """The arctangent in [-pi/2, pi/2]."""
    return of_input(ATAN, PD_atan, float_arg("atan", input, "input"))

cdef object atan_backward(Node node, object dy):
    return div(dy, add(square(node.kept(0)), 1))

cdef Op ATAN = op(atan, atan_backward)

def atan2(input, other):
    """The angle of the point (other, input) in [-pi, pi]. Shapes broadcast; the derivative at the origin is 0."""
    cdef Tensor a, b
    cdef Node node
    a, b = operands("atan2", input, other)
    a, b = float_arg("atan2", a, "input"), float_arg("atan2", b, "other")
    cdef Tensor y = map2(PD_atan2, a, b)
    node = record2(ATAN2, y, a, b)
    if node is not None:
        node.keep(0, a)
        node.keep(1, b)
    return y

cdef object atan2_backward(Node node, object dy):
    cdef Tensor a = node.kept(0), b = node.kept(1)
    cdef object distance = add(square(a), square(b)), origin = eq(distance, 0)
    cdef object scaled = where(origin, 0.0, div(dy, where(origin, 1.0, distance)))
    return (mul(scaled, b) if node.need(0) else None,
            neg(mul(scaled, a)) if node.need(1) else None)

cdef Op ATAN2 = op(atan2, atan2_backward)

# ---- Hyperbolic functions

def sinh(input):
    """The hyperbolic sine."""
    return of_input(SINH, PD_sinh, float_arg("sinh", input, "input"))

cdef object sinh_backward(Node node, object dy):
    return mul(dy, cosh(node.kept(0)))

cdef Op SINH = op(sinh, sinh_backward)

def cosh(input):
    """The hyperbolic cosine."""
    return of_input(COSH, PD_cosh, float_arg("cosh", input, "input"))

cdef object cosh_backward(Node node, object dy):
    return mul(dy, sinh(node.kept(0)))

cdef Op COSH = op(cosh, cosh_backward)

def asinh(input):
    """The inverse hyperbolic sine."""
    return of_input(ASINH, PD_asinh, float_arg("asinh", input, "input"))

cdef object asinh_backward(Node node, object dy):
    return mul(dy, rsqrt(add(square(node.kept(0)), 1)))

cdef Op ASINH = op(asinh, asinh_backward)

def acosh(input):
    """The inverse hyperbolic cosine; NaN below 1. The derivative at 1 is infinite."""
    return of_input(ACOSH, PD_acosh, float_arg("acosh", input, "input"))

cdef object acosh_backward(Node node, object dy):
    return mul(dy, rsqrt(sub(square(node.kept(0)), 1)))

cdef Op ACOSH = op(acosh, acosh_backward)

def atanh(input):
    """The inverse hyperbolic tangent: infinite at +-1, NaN outside [-1, 1]."""
    return of_input(ATANH, PD_atanh, float_arg("atanh", input, "input"))

cdef object atanh_backward(Node node, object dy):
    return div(dy, sub(1, square(node.kept(0))))

cdef Op ATANH = op(atanh, atanh_backward)

# ---- The error function

def erf(input):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return of_input(ERF, PD_erf, float_arg("erf", input, "input"))

cdef object erf_backward(Node node, object dy):
    return mul(mul(dy, 1.1283791670955126), exp(neg(square(node.kept(0)))))

cdef Op ERF = op(erf, erf_backward)

def erfc(input):
    """1 - erf(x), accurate in the upper tail."""
    return of_input(ERFC, PD_erfc, float_arg("erfc", input, "input"))

cdef object erfc_backward(Node node, object dy):
    return mul(mul(dy, -1.1283791670955126), exp(neg(square(node.kept(0)))))

cdef Op ERFC = op(erfc, erfc_backward)

# ---- Rounding: integers come back as they are

cdef Tensor rounded(Op which, int kernel, Tensor x):
    cdef Tensor y
    if x.code > PD_F64:
        return duplicate(x)
    y = map1(kernel, x)
    record1(which, y, x)
    return y

cdef object rounded_backward(Node node, object dy):
    return filled((<Tensor>dy).code, shape_of(<Tensor>dy), 0)

def floor(input):
    """The largest integral value not above x. The derivative is 0."""
    return rounded(FLOOR, PD_floor, tensor_arg("floor", input, "input"))

cdef Op FLOOR = op(floor, rounded_backward)

def ceil(input):
    """The smallest integral value not below x. The derivative is 0."""
    return rounded(CEIL, PD_ceil, tensor_arg("ceil", input, "input"))

cdef Op CEIL = op(ceil, rounded_backward)

def round(input, *, decimals=0):
    """The nearest integral value, half to even; decimals: the nearest multiple of 10^-decimals, of floats. The derivative is 0."""
    decimals = int_of("round", decimals, "decimals")
    if not -308 <= decimals <= 308:
        raise ValueError(f"round: decimals must be -308 to 308, got {decimals}")
    if decimals:
        x = float_arg("round", input, "input")
        power = 10.0 ** abs(decimals)
        return div(round(mul(x, power)), power) if decimals > 0 else mul(round(div(x, power)), power)
    return rounded(ROUND, PD_round, tensor_arg("round", input, "input"))

cdef Op ROUND = op(round, rounded_backward)

def trunc(input):
    """The integral part of x, rounded towards 0. The derivative is 0."""
    return rounded(TRUNC, PD_trunc, tensor_arg("trunc", input, "input"))

cdef Op TRUNC = op(trunc, rounded_backward)

def frac(input):
    """input - trunc(input): the digits behind the point, with the sign of input. float32 or float64."""
    cdef Tensor x = real_arg("frac", input, "input"), y = map1(PD_frac, x)
    record1(FRAC, y, x)
    return y

cdef object frac_backward(Node node, object dy):
    return dy

cdef Op FRAC = op(frac, frac_backward)

# The largest numbers of the types.
cdef double[2] LARGEST
LARGEST[:] = [3.4028234663852886e38, 1.7976931348623157e308]

cdef double replacement(object value, str name, double usual) except? -1:
    return usual if value is None else number_of("nan_to_num", value, name)

def nan_to_num(input, nan=None, posinf=None, neginf=None):
    """input with other numbers in the place of NaN (0), infinity (the largest) and -infinity (the smallest number of the type).

    Integers stay as they are. The derivative is 0 where something was replaced.
    """
    cdef Tensor x = tensor_arg("nan_to_num", input, "input"), y
    if x.code > PD_F64:
        return duplicate(x)
    cdef double most = LARGEST[x.code]
    y = map1(PD_nan_to_num, x, replacement(nan, "nan", 0), replacement(posinf, "posinf", most), replacement(neginf, "neginf", -most))
    cdef Node node = record1(NAN_TO_NUM, y, x)
    if node is not None:
        node.keep(0, x)
    return y

cdef object nan_to_num_backward(Node node, object dy):
    return where(isfinite(node.kept(0)), dy, 0.0)

cdef Op NAN_TO_NUM = op(nan_to_num, nan_to_num_backward)

__all__ = ["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "sin", "cos",
           "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc",
           "floor", "ceil", "round", "trunc", "frac", "nan_to_num"]
METHODS = __all__
