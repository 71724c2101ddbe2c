# cython: language_level=3
"""Activations, elementwise. float32 or float64; any shape; NaN gives NaN. The values at kinks are PyTorch's.

Each has a fused backward kernel, which is an op with a derivative of its own, so that every order exists.
"""
from pydl._core.launch cimport filled, map1, map2
from pydl._core.tape cimport Node, Op, op, record1, record2
from pydl._core.kernels cimport PD_BOOL, PD_F64
from pydl._core.tensor cimport Tensor, real_arg, same_shape, shape_of, tensor_arg
from pydl.ops.elementwise cimport of_input, of_output
from pydl.ops.operands cimport float_arg, is_number

from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.bounds import maximum
from pydl.ops.compare import gt, where
from pydl.ops.elementwise import exp, square

cdef extern from "pydl.h":
    enum: PD_relu_fwd
    enum: PD_relu_bwd
    enum: PD_sigmoid_fwd
    enum: PD_sigmoid_bwd
    enum: PD_tanh_fwd
    enum: PD_tanh_bwd
    enum: PD_gelu_fwd
    enum: PD_gelu_bwd
    enum: PD_gelu_tanh_fwd
    enum: PD_gelu_tanh_bwd
    enum: PD_silu_fwd
    enum: PD_silu_bwd
    enum: PD_leaky_relu_fwd
    enum: PD_leaky_relu_bwd
    enum: PD_elu_fwd
    enum: PD_elu_bwd
    enum: PD_softplus_fwd
    enum: PD_softplus_bwd


cdef double number(str name, object value, str what) except? -1:
    if not is_number(value):
        raise TypeError(f"{name}: {what} must be a number, got {type(value).__name__}")
    return value

cdef Tensor of_scalars(Op which, int kernel, Tensor x, double s0, double s1):
    """kernel(x, s0, s1); the rule gets x and (s0, s1)."""
    cdef Tensor y = map1(kernel, x, s0, s1)
    cdef Node node = record1(which, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = (s0, s1)
    return y

cdef Tensor fused(Op which, int kernel, object first, object gradient, double s0, double s1, object extra):
    """A backward kernel of (x or y, dy), two tensors of one shape and type; its rule gets both."""
    cdef Tensor x = real_arg(which.name, first, "the first argument"), dy = real_arg(which.name, gradient, "dy")
    if not same_shape(x, dy):
        raise ValueError(f"{which.name}: expected two tensors of one shape, got {shape_of(x)} and {shape_of(dy)}")
    cdef Tensor dx = map2(kernel, x, dy, s0, s1)
    cdef Node node = record2(which, dx, x, dy)
    if node is not None:
        node.keep(0, x)
        node.keep(1, dy)
        node.extra = extra
    return dx

cdef Tensor zero_of(object like):
    return filled((<Tensor>like).code, (), 0)


# ---- relu

def relu(input):
    """max(x, 0). The derivative at 0 is 0. Integers stay integers.

    >>> pydl.relu(pydl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    cdef Tensor x = tensor_arg("relu", input, "input")
    if x.code == PD_BOOL:
        raise TypeError(f"relu: not defined for pydl.bool (shape {shape_of(x)}); convert the tensor with .to()")
    return of_output(RELU, PD_relu_fwd, x) if x.code <= PD_F64 else maximum(x, 0)

cdef object relu_backward(Node node, object dy):
    return relu_bwd(node.kept(0), dy)

def relu_bwd(y, dy):
    """dy where y > 0 (or is NaN), else 0."""
    return fused(RELU_BWD, PD_relu_bwd, y, dy, 0, 0, None)

cdef object relu_bwd_backward(Node node, object g):
    return None, relu_bwd(node.kept(0), g) if node.need(1) else None

cdef Op RELU = op(relu, relu_backward)
cdef Op RELU_BWD = op(relu_bwd, relu_bwd_backward)


# ---- sigmoid

def sigmoid(input):
    """1 / (1 + exp(-x)). Integers and bool give the default float type."""
    return of_output(SIGMOID, PD_sigmoid_fwd, float_arg("sigmoid", input, "input"))

cdef object sigmoid_backward(Node node, object dy):
    return sigmoid_bwd(node.kept(0), dy)

def sigmoid_bwd(y, dy):
    """dy y (1 - y)."""
    return fused(SIGMOID_BWD, PD_sigmoid_bwd, y, dy, 0, 0, None)

cdef object sigmoid_bwd_backward(Node node, object g):
    cdef Tensor y = node.kept(0)
    return (mul(mul(g, node.kept(1)), sub(1, mul(y, 2))) if node.need(0) else None,
            sigmoid_bwd(y, g) if node.need(1) else None)

cdef Op SIGMOID = op(sigmoid, sigmoid_backward)
cdef Op SIGMOID_BWD = op(sigmoid_bwd, sigmoid_bwd_backward)


# ---- tanh

def tanh(input):
    """The hyperbolic tangent. Integers and bool give the default float type."""
    return of_output(TANH, PD_tanh_fwd, float_arg("tanh", input, "input"))

cdef object tanh_backward(Node node, object dy):
    return tanh_bwd(node.kept(0), dy)

def tanh_bwd(y, dy):
    """dy (1 - y^2)."""
    return fused(TANH_BWD, PD_tanh_bwd, y, dy, 0, 0, None)

cdef object tanh_bwd_backward(Node node, object g):
    cdef Tensor y = node.kept(0)
    return (mul(mul(g, node.kept(1)), mul(y, -2)) if node.need(0) else None,
            tanh_bwd(y, g) if node.need(1) else None)

cdef Op TANH = op(tanh, tanh_backward)
cdef Op TANH_BWD = op(tanh_bwd, tanh_bwd_backward)


# ---- gelu

def gelu(input, approximate="none"):
    """x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016).

    approximate="tanh": x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, NaN at -inf, where the first form gives its limit 0.
    """
    cdef Tensor x = real_arg("gelu", input, "input")
    if approximate != "none" and approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    cdef Tensor y = map1(PD_gelu_fwd if approximate == "none" else PD_gelu_tanh_fwd, x)
    cdef Node node = record1(GELU, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = approximate
    return y

cdef object gelu_backward(Node node, object dy):
    return (gelu_bwd if node.extra == "none" else gelu_tanh_bwd)(node.kept(0), dy)

def gelu_bwd(x, dy):
    """dy (Phi(x) + x phi(x)), phi the normal density."""
    return fused(GELU_BWD, PD_gelu_bwd, x, dy, 0, 0, None)

cdef object gelu_bwd_backward(Node node, object g):
    cdef Tensor x = node.kept(0)
    cdef object dx = None
    if node.need(0):        # phi(x) (2 - x^2)
        density = mul(exp(mul(square(x), -0.5)), 0.3989422804014327)
        dx = mul(mul(g, node.kept(1)), mul(density, sub(2, square(x))))
    return dx, gelu_bwd(x, g) if node.need(1) else None

def gelu_tanh_bwd(x, dy):
    """dy times the derivative of the tanh form of gelu, x s(v) with s the sigmoid and v = 2 sqrt(2 / pi) (x + 0.044715 x^3)."""
    return fused(GELU_TANH_BWD, PD_gelu_tanh_bwd, x, dy, 0, 0, None)

cdef object gelu_tanh_bwd_backward(Node node, object g):
    cdef Tensor x = node.kept(0)
    cdef double c = 1.5957691216057308, a = 0.044715
    cdef object dx = None
    if node.need(0):        # s' (2 v' + x (1 - 2 s) v'^2 + x v'')
        s = sigmoid(mul(mul(x, c), add(mul(square(x), a), 1)))
        dv = add(mul(square(x), 3 * a * c), c)
        curved = add(mul(mul(x, sub(1, mul(s, 2))), square(dv)), mul(square(x), 6 * a * c))
        dx = mul(mul(g, node.kept(1)), mul(mul(s, sub(1, s)), add(mul(dv, 2), curved)))
    return dx, gelu_tanh_bwd(x, g) if node.need(1) else None

cdef Op GELU = op(gelu, gelu_backward)
cdef Op GELU_BWD = op(gelu_bwd, gelu_bwd_backward)
cdef Op GELU_TANH_BWD = op(gelu_tanh_bwd, gelu_tanh_bwd_backward)


# ---- silu

def silu(input):
    """x sigmoid(x) (Elfwing, Uchibe & Doya 2017)."""
    return of_input(SILU, PD_silu_fwd, real_arg("silu", input, "input"))

cdef object silu_backward(Node node, object dy):
    return silu_bwd(node.kept(0), dy)

def silu_bwd(x, dy):
    """dy s (1 + x (1 - s)), s = sigmoid(x)."""
    return fused(SILU_BWD, PD_silu_bwd, x, dy, 0, 0, None)

cdef object silu_bwd_backward(Node node, object g):
    cdef Tensor x = node.kept(0)
    cdef object dx = None
    if node.need(0):        # s (1 - s) (2 + x (1 - 2 s))
        s = sigmoid(x)
        dx = mul(mul(g, node.kept(1)), mul(mul(s, sub(1, s)), add(mul(x, sub(1, mul(s, 2))), 2)))
    return dx, silu_bwd(x, g) if node.need(1) else None

cdef Op SILU = op(silu, silu_backward)
cdef Op SILU_BWD = op(silu_bwd, silu_bwd_backward)


# ---- leaky_relu

def leaky_relu(input, negative_slope=0.01):
    """x above 0, negative_slope x below (Maas, Hannun & Ng 2013). The derivative at 0 is negative_slope."""
    cdef Tensor x = real_arg("leaky_relu", input, "input")
    cdef double slope = number("leaky_relu", negative_slope, "negative_slope")
    return of_scalars(LEAKY_RELU, PD_leaky_relu_fwd, x, slope, 0)

cdef object leaky_relu_backward(Node node, object dy):
    return leaky_relu_bwd(node.kept(0), dy, node.extra[0])

def leaky_relu_bwd(x, dy, negative_slope=0.01):
    """dy where x > 0, negative_slope dy elsewhere."""
    cdef double slope = number("leaky_relu_bwd", negative_slope, "negative_slope")
    return fused(LEAKY_RELU_BWD, PD_leaky_relu_bwd, x, dy, slope, 0, slope)

cdef object leaky_relu_bwd_backward(Node node, object g):
    return None, leaky_relu_bwd(node.kept(0), g, node.extra) if node.need(1) else None

cdef Op LEAKY_RELU = op(leaky_relu, leaky_relu_backward)
cdef Op LEAKY_RELU_BWD = op(leaky_relu_bwd, leaky_relu_bwd_backward)


# ---- elu

def elu(input, alpha=1.0):
    """x above 0, alpha (exp(x) - 1) below (Clevert, Unterthiner & Hochreiter 2015). The derivative at 0 is alpha."""
    cdef Tensor x = real_arg("elu", input, "input")
    cdef double a = number("elu", alpha, "alpha")
    return of_scalars(ELU, PD_elu_fwd, x, a, 0)

cdef object elu_backward(Node node, object dy):
    return elu_bwd(node.kept(0), dy, node.extra[0])

def elu_bwd(x, dy, alpha=1.0):
    """dy where x > 0, alpha exp(x) dy elsewhere."""
    cdef double a = number("elu_bwd", alpha, "alpha")
    return fused(ELU_BWD, PD_elu_bwd, x, dy, a, 0, a)

cdef object elu_bwd_backward(Node node, object g):
    cdef Tensor x = node.kept(0)
    cdef object dx = None
    if node.need(0):
        dx = where(gt(x, 0), zero_of(g), mul(mul(g, node.kept(1)), mul(exp(x), node.extra)))
    return dx, elu_bwd(x, g, node.extra) if node.need(1) else None

cdef Op ELU = op(elu, elu_backward)
cdef Op ELU_BWD = op(elu_bwd, elu_bwd_backward)


# ---- softplus

def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold. Raises ValueError for beta = 0."""
    cdef Tensor x = real_arg("softplus", input, "input")
    cdef double b = number("softplus", beta, "beta"), limit = number("softplus", threshold, "threshold")
    if b == 0:
        raise ValueError(f"softplus: beta must not be 0, got {beta}")
    return of_scalars(SOFTPLUS, PD_softplus_fwd, x, b, limit)

cdef object softplus_backward(Node node, object dy):
    beta, threshold = node.extra
    return softplus_bwd(node.kept(0), dy, beta, threshold)

def softplus_bwd(x, dy, beta=1.0, threshold=20.0):
    """dy sigmoid(beta x); dy itself where beta x > threshold."""
    cdef double b = number("softplus_bwd", beta, "beta"), limit = number("softplus_bwd", threshold, "threshold")
    return fused(SOFTPLUS_BWD, PD_softplus_bwd, x, dy, b, limit, (b, limit))

cdef object softplus_bwd_backward(Node node, object g):
    cdef Tensor x = node.kept(0)
    cdef object dx = None
    beta, threshold = node.extra
    if node.need(0):
        s = sigmoid(mul(x, beta))
        curved = mul(mul(g, node.kept(1)), mul(mul(s, sub(1, s)), beta))
        dx = where(gt(mul(x, beta), threshold), zero_of(g), curved)
    return dx, softplus_bwd(x, g, beta, threshold) if node.need(1) else None

cdef Op SOFTPLUS = op(softplus, softplus_backward)
cdef Op SOFTPLUS_BWD = op(softplus_bwd, softplus_bwd_backward)

__all__ = ["relu", "sigmoid", "tanh", "gelu", "silu", "leaky_relu", "elu", "softplus"]
METHODS = __all__
