# cython: language_level=3
"""The larger, the smaller, and what lies between bounds. Operands as in arithmetic."""
from pydl._core.kernels cimport PD_BOOL, PD_F64, PD_I32, PD_I64, PD_U8
from pydl._core.launch cimport filled, map2, map3
from pydl._core.tape cimport Node, Op, op, record, record2
from pydl._core.tensor cimport Tensor, shape_of, tensor_arg
from pydl.ops.operands cimport as_type, number_like, operands, require_broadcast, result_code

from pydl.ops.arithmetic import mul
from pydl.ops.compare import eq, ge, gt, le, logical_and, logical_or, lt, where

cdef extern from "pydl.h":
    enum: PD_maximum
    enum: PD_minimum
    enum: PD_clamp


cdef Tensor zero_of(Tensor like):
    return filled(like.code, (), 0)


def maximum(input, other):
    """The larger of input and other; NaN where either is NaN. Shapes and types as in add.

    The derivative goes to the larger one, half to each where they are equal, and to both where one is NaN.
    """
    return extreme(MAXIMUM, PD_maximum, "maximum", input, other)

def minimum(input, other):
    """The smaller of input and other; NaN where either is NaN. Shapes, types and derivative as in maximum."""
    return extreme(MINIMUM, PD_minimum, "minimum", input, other)

cdef Tensor extreme(Op which, int kernel, str name, object input, object other):
    cdef Tensor a, b, y
    cdef Node node
    a, b = operands(name, input, other)
    if a.code == PD_BOOL:
        return (logical_or if kernel == PD_maximum else logical_and)(a, b)
    y = map2(kernel, a, b)
    node = record2(which, y, a, b)
    if node is not None:
        node.keep(0, a)
        node.keep(1, b)
    return y

cdef object maximum_backward(Node node, object dy):
    cdef Tensor a = node.kept(0), b = node.kept(1)
    return (share(dy, a, b, lt(a, b)) if node.need(0) else None,
            share(dy, a, b, gt(a, b)) if node.need(1) else None)

cdef object minimum_backward(Node node, object dy):
    cdef Tensor a = node.kept(0), b = node.kept(1)
    return (share(dy, a, b, gt(a, b)) if node.need(0) else None,
            share(dy, a, b, lt(a, b)) if node.need(1) else None)

cdef object share(object dy, Tensor a, Tensor b, object lost):
    """dy, but half of it at ties and nothing where the other side was taken."""
    return where(lost, zero_of(dy), where(eq(a, b), mul(dy, 0.5), dy))

cdef Op MAXIMUM = op(maximum, maximum_backward)
cdef Op MINIMUM = op(minimum, minimum_backward)


def clamp(input, min=None, max=None):
    """min(max(input, min), max): max where min > max; NaN where any of the three is NaN.

    min and max: numbers or tensors that broadcast with input; one of them may be None. Types promote as in add. A number
    that lies so far outside an integer type that it bounds nothing is no error.
    The derivative by input is 1 from min to max, both included, else 0 (0 for NaN); by min it is 1 where input < min,
    by max where input > max.
    """
    cdef Tensor x = tensor_arg("clamp", input, "input"), low, high, y
    cdef Node node
    if min is None and max is None:
        raise ValueError(f"clamp: at least one of min and max must be given (input {shape_of(x)})")
    if x.code > PD_F64 or isinstance(min, Tensor) or isinstance(max, Tensor):
        x = as_type(x, result_code("clamp", tuple([one for one in (x, min, max) if one is not None])))
    low, high = bound(x, min, False), bound(x, max, True)
    if x.code == PD_BOOL:
        x = x if low is None else logical_or(x, low)
        return x.clone() if high is None else logical_and(x, high)
    if high is None:
        y = map2(PD_maximum, x, low)
    elif low is None:
        y = map2(PD_minimum, x, high)
    else:
        require_broadcast("clamp", x, low, high)
        y = map3(PD_clamp, x, low, high)
    node = record(CLAMP, y, (x, low, high))
    if node is not None:
        node.keep(0, x)
        node.keep(1, low) if low is not None else None
        node.keep(2, high) if high is not None else None
    return y

cdef Tensor bound(Tensor x, object value, bint upper):
    if value is None:
        return None
    if isinstance(value, Tensor):
        return as_type(<Tensor>value, x.code)
    if isinstance(value, int) and PD_F64 < x.code < PD_BOOL:
        low, high = {PD_U8: (0, 2**8 - 1), PD_I32: (-2**31, 2**31 - 1), PD_I64: (-2**63, 2**63 - 1)}[x.code]
        value = min(value, high) if upper else max(value, low)
    return number_like("clamp", value, x)

cdef object clamp_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), low = node.kept(1), high = node.kept(2)
    cdef object inside, dx = None, dlow = None, dhigh = None
    cdef Tensor zero = zero_of(dy)
    if node.need(0):
        inside = ge(x, low) if high is None else le(x, high) if low is None else logical_and(ge(x, low), le(x, high))
        dx = where(inside, dy, zero)
    if node.need(1):
        dlow = where(lt(x, low) if high is None else logical_and(lt(x, low), lt(low, high)), dy, zero)
    if node.need(2):
        dhigh = where(gt(x, high) if low is None else logical_or(gt(x, high), gt(low, high)), dy, zero)
    return dx, dlow, dhigh

cdef Op CLAMP = op(clamp, clamp_backward)


clip = clamp

__all__ = ["maximum", "minimum", "clamp", "clip"]
METHODS = __all__
