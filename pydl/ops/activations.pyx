# cython: language_level=3
"""Activations, elementwise. float32 or float64; any shape; NaN gives NaN. The values at kinks are PyTorch's.

Each has a fused backward kernel, <name>_bwd, which is an op with a derivative of its own, so that every order exists.
"""
from libc.math cimport INFINITY

from pydl._core.arguments cimport wrap_dim
from pydl._core.launch cimport filled, map1, map2, map3, map_into
from pydl._core.tape cimport Node, Op, op, record, record1, record2, register
from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_MAX_DIMS, PD_U8
from pydl._core.tensor cimport Tensor, empty_like, real_arg, same_shape, shape_of, tensor_arg, view_of
from pydl._core.dtypes cimport dtype_of
from pydl.ops.operands cimport float_arg, is_number

import math

from pydl.ops.arithmetic import abs as absolute
from pydl.ops.arithmetic import add, div, mul, sign, sub
from pydl.ops.bounds import clamp, maximum
from pydl.ops.compare import gt, logical_and, lt, where
from pydl.ops.elementwise import exp, square
from pydl.ops.join import cat
from pydl.ops.parts import narrow
from pydl.ops.random import uniform_
from pydl.ops.shape import view

cdef extern from "pydl.h":
    enum: PD_relu_fwd
    enum: PD_relu_bwd
    enum: PD_threshold_fwd
    enum: PD_hardtanh_fwd
    enum: PD_hardtanh_bwd
    enum: PD_hardsigmoid_fwd
    enum: PD_hardsigmoid_bwd
    enum: PD_hardswish_fwd
    enum: PD_hardswish_bwd
    enum: PD_hardshrink_fwd
    enum: PD_softshrink_fwd
    enum: PD_shrink_bwd
    enum: PD_leaky_relu_fwd
    enum: PD_leaky_relu_bwd
    enum: PD_elu_fwd
    enum: PD_elu_bwd
    enum: PD_selu_fwd
    enum: PD_selu_bwd
    enum: PD_prelu_fwd
    enum: PD_prelu_bwd
    enum: PD_prelu_slope_bwd
    enum: PD_glu_fwd
    enum: PD_glu_bwd
    enum: PD_sigmoid_fwd
    enum: PD_sigmoid_bwd
    enum: PD_tanh_fwd
    enum: PD_tanh_bwd
    enum: PD_tanhshrink_fwd
    enum: PD_tanhshrink_bwd
    enum: PD_softsign_fwd
    enum: PD_softsign_bwd
    enum: PD_gelu_fwd
    enum: PD_gelu_bwd
    enum: PD_gelu_tanh_fwd
    enum: PD_gelu_tanh_bwd
    enum: PD_silu_fwd
    enum: PD_silu_bwd
    enum: PD_mish_fwd
    enum: PD_mish_bwd
    enum: PD_softplus_fwd
    enum: PD_softplus_bwd


# ---- What they share

cdef double number(str name, object value, str what) except? -1:
    if not is_number(value):
        raise TypeError(f"{name}: {what} must be a number, got {type(value).__name__}")
    return value

cdef Tensor apply(Activation f, Tensor x, double s0=0, double s1=0):
    """f(x), recorded; the rule gets x, or y where the slope is a function of y, and the numbers, None for two zeros."""
    cdef Tensor y = map1(f.kernel, x, s0, s1)
    cdef Node node = record1(f, y, x)
    if node is not None:
        if f.keeps_output:
            node.keep_output(0, y)
        else:
            node.keep(0, x)
        if s0 != 0 or s1 != 0:
            node.extra = (s0, s1)
    return y

cdef object apply_backward(Node node, object dy):
    cdef double s0 = 0, s1 = 0
    if node.extra is not None:
        s0, s1 = node.extra
    return sloped((<Activation>node.op).slope, node.kept(0), <Tensor>dy, s0, s1)

cdef Tensor sloped(Slope f, Tensor x, Tensor dy, double s0, double s1):
    cdef Tensor dx = map2(f.kernel, x, dy, s0, s1)
    cdef Node node = record2(f, dx, x, dy)
    if node is not None:
        node.keep(0, x)
        node.keep(1, dy)
        node.extra = (s0, s1)
    return dx

cdef object sloped_backward(Node node, object g):
    cdef Slope f = <Slope>node.op
    cdef Tensor x = node.kept(0)
    cdef object dx = None
    cdef double s0, s1
    s0, s1 = node.extra
    if node.need(0) and f.second != NULL:
        dx = mul(mul(g, node.kept(1)), f.second(x, s0, s1))
    return dx, sloped(f, x, <Tensor>g, s0, s1) if node.need(1) else None

cdef Activation activation(object forward, int kernel, int backward, curve second, bint keeps_output=False):
    """Registers `forward` and its backward kernel. second: the derivative of the slope by what is kept, made of ops."""
    cdef Activation new = Activation.__new__(Activation)
    cdef Slope slope = Slope.__new__(Slope)

    def bwd(x, dy, s0=0.0, s1=0.0):
        cdef Tensor a = real_arg(slope.name, x, "x"), b = real_arg(slope.name, dy, "dy")
        if not same_shape(a, b):
            raise ValueError(f"{slope.name}: expected two tensors of one shape, got {shape_of(a)} and {shape_of(b)}")
        return sloped(slope, a, b, s0, s1)

    name = forward.__name__
    bwd.__name__ = f"{name}_bwd"
    bwd.__doc__ = f"dy times the slope of {name}; x: its {'output' if keeps_output else 'input'}, s0 and s1: its numbers."
    slope.kernel, slope.second = backward, second
    register(slope, bwd, sloped_backward)
    new.kernel, new.keeps_output, new.slope = kernel, keeps_output, slope
    register(new, forward, apply_backward)
    return new

cdef Tensor whole_arg(str name, object input):
    """A tensor of floats or integers."""
    cdef Tensor x = tensor_arg(name, input, "input")
    if x.code == PD_BOOL:
        raise TypeError(f"{name}: not defined for pydl.bool (shape {shape_of(x)}); convert the tensor with .to()")
    return x

cdef object whole(str name, object value, str what):
    """A number as integer tensors take it: rounded towards 0."""
    try:
        return int(value)
    except (OverflowError, ValueError):
        raise ValueError(f"{name}: {what} must be a finite number for a tensor of integers, got {value}") from None

cdef object inside(Tensor x, double low, double high, object value):
    """value where low < x < high, else 0."""
    return where(logical_and(gt(x, low), lt(x, high)), value, filled(x.code, (), 0))

cdef object below(Tensor x, double limit, object value):
    """value, but 0 where x > limit."""
    return where(gt(x, limit), filled(x.code, (), 0), value)


# ---- Of straight pieces

def relu(input):
    """max(x, 0). The derivative at 0 is 0. Integers stay integers.

    >>> pydl.relu(pydl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    cdef Tensor x = whole_arg("relu", input)
    return apply(RELU, x) if x.code <= PD_F64 else maximum(x, 0)

cdef Activation RELU = activation(relu, PD_relu_fwd, PD_relu_bwd, NULL, True)

def threshold(input, threshold, value):
    """x where x > threshold (or is NaN), else value. The derivative at the threshold is 0. Integers stay integers, and so the numbers."""
    cdef Tensor x = whole_arg("threshold", input)
    cdef double limit = number("threshold", threshold, "threshold"), other = number("threshold", value, "value")
    if x.code > PD_F64:
        return where(gt(x, whole("threshold", threshold, "threshold")), x, whole("threshold", value, "value"))
    return apply(THRESHOLD, x, limit, other)

cdef Activation THRESHOLD = activation(threshold, PD_threshold_fwd, PD_relu_bwd, NULL)

def hardtanh(input, min_val=-1.0, max_val=1.0):
    """x between min_val and max_val, and these beyond. The derivative at both is 0. Integers stay integers, and so the bounds.

    Raises ValueError for min_val > max_val, and for uint8 with a bound below 0.
    """
    return bounded("hardtanh", input, min_val, max_val)

def relu6(input):
    """hardtanh(x, 0, 6): max(x, 0), but at most 6 (Howard et al. 2017). The derivative at 0 and 6 is 0. Integers stay integers."""
    return bounded("relu6", input, 0, 6)

cdef object bounded(str name, object input, object min_val, object max_val):
    cdef Tensor x = whole_arg(name, input)
    cdef double low = number(name, min_val, "min_val"), high = number(name, max_val, "max_val")
    if not low <= high:
        raise ValueError(f"{name}: expected min_val <= max_val, got {min_val} and {max_val}")
    if x.code == PD_U8 and low < 0:
        raise ValueError(f"{name}: pydl.uint8 has no numbers below 0, got min_val {min_val}")
    if x.code > PD_F64:
        return clamp(x, whole(name, min_val, "min_val"), whole(name, max_val, "max_val"))
    return apply(HARDTANH, x, low, high)

cdef Activation HARDTANH = activation(hardtanh, PD_hardtanh_fwd, PD_hardtanh_bwd, NULL)

def hardsigmoid(input):
    """relu6(x + 3) / 6. The derivative at -3 and 3 is 0."""
    return apply(HARDSIGMOID, real_arg("hardsigmoid", input, "input"))

cdef Activation HARDSIGMOID = activation(hardsigmoid, PD_hardsigmoid_fwd, PD_hardsigmoid_bwd, NULL)

def hardswish(input):
    """x relu6(x + 3) / 6 (Howard et al. 2019); NaN at -inf. The derivative at -3 is 0, at 3 it is 1."""
    return apply(HARDSWISH, real_arg("hardswish", input, "input"))

cdef object hardswish_second(Tensor x, double s0, double s1):
    return inside(x, -3, 3, 1.0 / 3)

cdef Activation HARDSWISH = activation(hardswish, PD_hardswish_fwd, PD_hardswish_bwd, hardswish_second)

def hardshrink(input, lambd=0.5):
    """0 from -lambd to lambd, x beyond. The derivative at both is 0."""
    return apply(HARDSHRINK, real_arg("hardshrink", input, "input"), number("hardshrink", lambd, "lambd"))

cdef Activation HARDSHRINK = activation(hardshrink, PD_hardshrink_fwd, PD_shrink_bwd, NULL)

def softshrink(input, lambd=0.5):
    """0 from -lambd to lambd; x - lambd above, x + lambd below. The derivative at both is 0.

    Raises ValueError for lambd < 0 and for what the type of x does not hold.
    """
    cdef Tensor x = real_arg("softshrink", input, "input")
    cdef double width = number("softshrink", lambd, "lambd")
    if not 0 <= width <= (3.4028234663852886e38 if x.code == PD_F32 else 1.7976931348623157e308):
        raise ValueError(f"softshrink: lambd must be a finite {dtype_of(x.code)} not below 0, got {lambd}")
    return apply(SOFTSHRINK, x, width)

cdef Activation SOFTSHRINK = activation(softshrink, PD_softshrink_fwd, PD_shrink_bwd, NULL)

def leaky_relu(input, negative_slope=0.01):
    """x above 0, negative_slope x below (Maas, Hannun & Ng 2013). The derivative at 0 is negative_slope."""
    return apply(LEAKY_RELU, real_arg("leaky_relu", input, "input"), number("leaky_relu", negative_slope, "negative_slope"))

cdef Activation LEAKY_RELU = activation(leaky_relu, PD_leaky_relu_fwd, PD_leaky_relu_bwd, NULL)


# ---- Exponential below 0

def elu(input, alpha=1.0):
    """x above 0, alpha (exp(x) - 1) below (Clevert, Unterthiner & Hochreiter 2015). The derivative at 0 is alpha."""
    return apply(ELU, real_arg("elu", input, "input"), number("elu", alpha, "alpha"), 1)

cdef object elu_second(Tensor x, double alpha, double scale):
    return below(x, 0, mul(exp(mul(x, scale)), alpha * scale * scale))

cdef Activation ELU = activation(elu, PD_elu_fwd, PD_elu_bwd, elu_second)

def celu(input, alpha=1.0):
    """x above 0, alpha (exp(x / alpha) - 1) below (Barron 2017). The derivative at 0 is 1. Raises ValueError for alpha = 0."""
    cdef Tensor x = real_arg("celu", input, "input")
    cdef double a = number("celu", alpha, "alpha")
    if a == 0:
        raise ValueError(f"celu: alpha must not be 0, got {alpha}")
    return apply(ELU, x, a, 1 / a)

def selu(input):
    """1.0507 elu(x, 1.6733), which lets layers keep mean 0 and variance 1 (Klambauer et al. 2017). The derivative at 0 is 1.7581."""
    return apply(SELU, real_arg("selu", input, "input"))

cdef object selu_second(Tensor x, double s0, double s1):
    return below(x, 0, mul(exp(x), 1.0507009873554805 * 1.6732632423543772))

cdef Activation SELU = activation(selu, PD_selu_fwd, PD_selu_bwd, selu_second)


# ---- Smooth

def sigmoid(input):
    """1 / (1 + exp(-x)). Integers and bool give the default float type."""
    return apply(SIGMOID, float_arg("sigmoid", input, "input"))

cdef object sigmoid_second(Tensor y, double s0, double s1):
    return sub(1, mul(y, 2))

cdef Activation SIGMOID = activation(sigmoid, PD_sigmoid_fwd, PD_sigmoid_bwd, sigmoid_second, True)

def tanh(input):
    """The hyperbolic tangent. Integers and bool give the default float type."""
    return apply(TANH, float_arg("tanh", input, "input"))

cdef object tanh_second(Tensor y, double s0, double s1):
    return mul(y, -2)

cdef Activation TANH = activation(tanh, PD_tanh_fwd, PD_tanh_bwd, tanh_second, True)

def tanhshrink(input):
    """x - tanh(x). Integers give the default float type."""
    return apply(TANHSHRINK, float_arg("tanhshrink", whole_arg("tanhshrink", input), "input"))

cdef object tanhshrink_second(Tensor x, double s0, double s1):
    cdef object t = tanh(x)
    return mul(mul(t, 2), sub(1, square(t)))

cdef Activation TANHSHRINK = activation(tanhshrink, PD_tanhshrink_fwd, PD_tanhshrink_bwd, tanhshrink_second)

def softsign(input):
    """x / (1 + |x|), between -1 and 1; NaN at infinity. Integers give the default float type."""
    return apply(SOFTSIGN, float_arg("softsign", whole_arg("softsign", input), "input"))

cdef object softsign_second(Tensor x, double s0, double s1):
    cdef object size = add(absolute(x), 1)
    return div(mul(sign(x), -2), mul(size, square(size)))

cdef Activation SOFTSIGN = activation(softsign, PD_softsign_fwd, PD_softsign_bwd, softsign_second)

def gelu(input, approximate="none"):
    """x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016).

    approximate="tanh": x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, NaN at -inf, where the first form gives its limit 0.
    """
    cdef Tensor x = real_arg("gelu", input, "input")
    if approximate != "none" and approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return apply(GELU if approximate == "none" else GELU_TANH, x)

cdef object gelu_second(Tensor x, double s0, double s1):
    """phi(x) (2 - x^2), phi the normal density"""
    return mul(mul(exp(mul(square(x), -0.5)), 0.3989422804014327), sub(2, square(x)))

cdef Activation GELU = activation(gelu, PD_gelu_fwd, PD_gelu_bwd, gelu_second)

def gelu_tanh(input):
    """gelu(x, approximate="tanh"): x s(v) with s the sigmoid and v = 2 sqrt(2 / pi) (x + 0.044715 x^3)."""
    return gelu(input, "tanh")

cdef object gelu_tanh_second(Tensor x, double s0, double s1):
    """s' (2 v' + x (1 - 2 s) v'^2 + x v'')"""
    cdef double c = 1.5957691216057308, a = 0.044715
    cdef object s = sigmoid(mul(mul(x, c), add(mul(square(x), a), 1)))
    cdef object dv = add(mul(square(x), 3 * a * c), c)
    cdef object curved = add(mul(mul(x, sub(1, mul(s, 2))), square(dv)), mul(square(x), 6 * a * c))
    return mul(mul(s, sub(1, s)), add(mul(dv, 2), curved))

cdef Activation GELU_TANH = activation(gelu_tanh, PD_gelu_tanh_fwd, PD_gelu_tanh_bwd, gelu_tanh_second)

def silu(input):
    """x sigmoid(x) (Elfwing, Uchibe & Doya 2017)."""
    return apply(SILU, real_arg("silu", input, "input"))

cdef object silu_second(Tensor x, double s0, double s1):
    """s (1 - s) (2 + x (1 - 2 s))"""
    cdef object s = sigmoid(x)
    return mul(mul(s, sub(1, s)), add(mul(x, sub(1, mul(s, 2))), 2))

cdef Activation SILU = activation(silu, PD_silu_fwd, PD_silu_bwd, silu_second)

def mish(input):
    """x tanh(log(1 + exp(x))), without overflow (Misra 2019); NaN at -inf."""
    return apply(MISH, real_arg("mish", input, "input"))

cdef object mish_second(Tensor x, double s0, double s1):
    """t' (2 + x (1 - s - 2 t s)), t = tanh(softplus(x)), t' = (1 - t^2) s, s = sigmoid(x)"""
    cdef object s = sigmoid(x), t = tanh(softplus(x))
    return mul(mul(sub(1, square(t)), s), add(mul(x, sub(sub(1, s), mul(mul(t, s), 2))), 2))

cdef Activation MISH = activation(mish, PD_mish_fwd, PD_mish_bwd, mish_second)

def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, without overflow; x itself where beta x > threshold. Raises ValueError for beta = 0."""
    cdef Tensor x = real_arg("softplus", input, "input")
    cdef double b = number("softplus", beta, "beta"), limit = number("softplus", threshold, "threshold")
    if b == 0:
        raise ValueError(f"softplus: beta must not be 0, got {beta}")
    return apply(SOFTPLUS, x, b, limit)

cdef object softplus_second(Tensor x, double beta, double threshold):
    cdef object scaled = mul(x, beta), s = sigmoid(scaled)
    return below(scaled, threshold, mul(mul(s, sub(1, s)), beta))

cdef Activation SOFTPLUS = activation(softplus, PD_softplus_fwd, PD_softplus_bwd, softplus_second)

def logsigmoid(input):
    """log(sigmoid(x)) = -softplus(-x), without overflow: about x far below 0, and 0 far above."""
    return apply(SOFTPLUS, real_arg("logsigmoid", input, "input"), -1, INFINITY)


# ---- With a second operand

include "gates.pxi"

__all__ = ["relu", "threshold", "hardtanh", "relu6", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "leaky_relu", "elu",
           "celu", "selu", "sigmoid", "tanh", "tanhshrink", "softsign", "gelu", "silu", "mish", "softplus", "logsigmoid", "prelu",
           "rrelu", "glu"]
METHODS = ["relu", "prelu", "hardshrink", "leaky_relu", "elu", "sigmoid", "tanh", "gelu", "silu", "softplus"]
