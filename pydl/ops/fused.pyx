# cython: language_level=3
"""What other ops could do in several passes, in one. Shapes broadcast."""
from pydl._core.dtypes cimport dtype_of
from pydl._core.kernels cimport PD_BOOL, PD_F64
from pydl._core.launch cimport map2, map3
from pydl._core.tape cimport Node, Op, op, record, record2
from pydl._core.tensor cimport Tensor, tensor_arg
from pydl.ops.operands cimport as_type, is_number, number_like, operands, real, require_broadcast, result_code

from pydl.ops.activations import sigmoid
from pydl.ops.arithmetic import add, div, mul, neg, sub
from pydl.ops.compare import eq, le, logical_and, where
from pydl.ops.elementwise import log

cdef extern from "pydl.h":
    enum: PD_addcmul
    enum: PD_addcdiv
    enum: PD_lerp
    enum: PD_hypot
    enum: PD_logaddexp
    enum: PD_xlogy


# ---- Of three tensors

cdef tuple three(str name, object input, object tensor1, object tensor2, object value):
    """The tensors in their common type, and its code."""
    cdef Tensor x = tensor_arg(name, input, "input")
    cdef Tensor a = tensor_arg(name, tensor1, "tensor1"), b = tensor_arg(name, tensor2, "tensor2")
    if not is_number(value):
        raise TypeError(f"{name}: value must be a number, got {type(value).__name__}")
    cdef int code = x.code
    require_broadcast(name, x, a, b)
    if x.code != a.code or x.code != b.code:
        code = result_code(name, (x, a, b))
        x, a, b = as_type(x, code), as_type(a, code), as_type(b, code)
    return x, a, b, code

cdef Tensor of_three(Op which, int kernel, Tensor x, Tensor a, Tensor b, object value):
    """kernel(x, a, b); the rule gets a, b and the number."""
    cdef Tensor y = map3(kernel, x, a, b, value)
    cdef Node node = record(which, y, (x, a, b))
    if node is not None:
        node.extra = value
        node.keep(0, a)
        node.keep(1, b)
    return y


def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 * tensor2. Shapes broadcast, types promote; not bool. A float value is for floats only."""
    x, a, b, code = three("addcmul", input, tensor1, tensor2, value)
    if code > PD_F64:
        if isinstance(value, float) or code == PD_BOOL:
            raise TypeError(f"addcmul: value must be an integer and the tensors not bool, got {value} and {dtype_of(code)}")
        return add(x, mul(mul(a, b), value))
    return of_three(ADDCMUL, PD_addcmul, x, a, b, value)

cdef object addcmul_backward(Node node, object dy):
    return (dy if node.need(0) else None,
            mul(mul(dy, node.kept(1)), node.extra) if node.need(1) else None,
            mul(mul(dy, node.kept(0)), node.extra) if node.need(2) else None)

cdef Op ADDCMUL = op(addcmul, addcmul_backward)


def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 / tensor2. Shapes broadcast, types promote; integers only beside floats.

    Raises ValueError where the shapes do not broadcast, TypeError for a quotient of integers.
    """
    x, a, b, code = three("addcdiv", input, tensor1, tensor2, value)
    if (<Tensor>tensor1).code > PD_F64 and (<Tensor>tensor2).code > PD_F64:
        raise TypeError(f"addcdiv: tensor1 and tensor2 are integers ({tensor1.dtype}, {tensor2.dtype}); convert one with .to()")
    return of_three(ADDCDIV, PD_addcdiv, x, a, b, value)

cdef object addcdiv_backward(Node node, object dy):
    a, b = node.kept(0), node.kept(1)
    quotient = div(mul(dy, node.extra), b)
    return (dy if node.need(0) else None, quotient if node.need(1) else None,
            neg(mul(quotient, div(a, b))) if node.need(2) else None)

cdef Op ADDCDIV = op(addcdiv, addcdiv_backward)


def lerp(input, end, weight):
    """input + weight * (end - input): input for weight 0, end for weight 1. Shapes broadcast; floats, the same for all.

    weight: a number or a tensor. Raises ValueError where the shapes do not broadcast, TypeError where the types differ.
    """
    cdef Tensor x = tensor_arg("lerp", input, "input"), y = tensor_arg("lerp", end, "end"), w, z
    cdef Node node
    cdef bint plain = not isinstance(weight, Tensor)
    if x.code > PD_F64:
        raise TypeError(f"lerp: input must be float32 or float64, got {dtype_of(x.code)}; convert it with .to()")
    if plain and not is_number(weight):
        raise TypeError(f"lerp: weight must be a number or a Tensor, got {type(weight).__name__}")
    w = number_like("lerp", weight, x) if plain else <Tensor>weight
    if y.code != x.code or w.code != x.code:
        raise TypeError(f"lerp: expected one type, got {dtype_of(x.code)}, {dtype_of(y.code)} and {dtype_of(w.code)}; convert with .to()")
    require_broadcast("lerp", x, y, w)
    z = map3(PD_lerp, x, y, w)
    node = record(LERP, z, (x, y) if plain else (x, y, w))
    if node is not None:
        if plain:
            node.extra = weight
        else:
            node.keep(0, x)
            node.keep(1, y)
            node.keep(2, w)
    return z

cdef object lerp_backward(Node node, object dy):
    if len(node.edges) == 2:
        return (mul(dy, 1 - node.extra) if node.need(0) else None, mul(dy, node.extra) if node.need(1) else None)
    x, y, weight = node.kept(0), node.kept(1), node.kept(2)
    return (mul(dy, sub(1, weight)) if node.need(0) else None, mul(dy, weight) if node.need(1) else None,
            mul(dy, sub(y, x)) if node.need(2) else None)

cdef Op LERP = op(lerp, lerp_backward)

# ---- Of two tensors

cdef tuple floats(str name, object input, object other):
    """The two in their common type, which must be a float type."""
    cdef Tensor a, b
    a, b = operands(name, input, other)
    if a.code > PD_F64:
        raise TypeError(f"{name}: expected float32 or float64, got {dtype_of(a.code)}; convert it with .to()")
    return a, b

cdef Tensor of_two(Op which, int kernel, Tensor a, Tensor b, bint keep_result):
    """kernel(a, b); the rule gets a, b and (keep_result) the result."""
    cdef Tensor y = map2(kernel, a, b)
    cdef Node node = record2(which, y, a, b)
    if node is not None:
        node.keep(0, a)
        node.keep(1, b)
        if keep_result:
            node.keep_output(2, y)
    return y

def hypot(input, other):
    """sqrt(input^2 + other^2), where the squares would overflow, too; infinity where either is infinite. Shapes broadcast; floats."""
    a, b = floats("hypot", input, other)
    return of_two(HYPOT, PD_hypot, a, b, True)

cdef object hypot_backward(Node node, object dy):
    y = node.kept(2)
    return (mul(dy, div(node.kept(0), y)) if node.need(0) else None,
            mul(dy, div(node.kept(1), y)) if node.need(1) else None)

cdef Op HYPOT = op(hypot, hypot_backward)

def logaddexp(input, other):
    """log(exp(input) + exp(other)), without overflow. Shapes broadcast; floats."""
    a, b = floats("logaddexp", input, other)
    return of_two(LOGADDEXP, PD_logaddexp, a, b, False)

cdef object logaddexp_backward(Node node, object dy):
    a, b = node.kept(0), node.kept(1)
    return (mul(dy, sigmoid(sub(a, b))) if node.need(0) else None,
            mul(dy, sigmoid(sub(b, a))) if node.need(1) else None)

cdef Op LOGADDEXP = op(logaddexp, logaddexp_backward)

def xlogy(input, other):
    """input * log(other), and 0 where input is 0 (NaN where other is NaN). Shapes broadcast; integers become floats."""
    a, b = operands("xlogy", input, other)
    return of_two(XLOGY, PD_xlogy, real(a), real(b), False)

cdef object xlogy_backward(Node node, object dy):
    a, b = node.kept(0), node.kept(1)
    return (where(logical_and(eq(a, 0), le(b, 0)), 0.0, mul(dy, log(b))) if node.need(0) else None,
            mul(dy, div(a, b)) if node.need(1) else None)

cdef Op XLOGY = op(xlogy, xlogy_backward)

__all__ = ["addcmul", "addcdiv", "lerp", "hypot", "logaddexp", "xlogy"]
METHODS = __all__
