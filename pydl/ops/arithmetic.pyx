# cython: language_level=3
"""Arithmetic: two operands that broadcast as NumPy's, in the type they have in common (operands.pyx).

A number that does not fit in an integer type is refused (ValueError); -1 to -255 wrap around in sums and products of uint8.
"""
from pydl._core.kernels cimport PD_BOOL, PD_F64
from pydl._core.launch cimport duplicate, filled, map1, map2, map3
from pydl._core.tape cimport Node, Op, op, record, record1, record2, tracked
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, bind_arithmetic, shape_of, tensor_arg
from pydl.ops.operands cimport (
    alike, as_type, beside, is_number, map_number, operands, real, refuse_bool, refuse_zero_divisor, require_broadcast, result_code,
)

from pydl.ops.compare import eq, ge, logical_and, logical_or, where

cdef extern from "pydl.h":
    enum: PD_add
    enum: PD_sub
    enum: PD_mul
    enum: PD_div
    enum: PD_neg
    enum: PD_abs
    enum: PD_sign
    enum: PD_floor_divide
    enum: PD_remainder
    enum: PD_fmod
    enum: PD_pow
    enum: PD_square
    enum: PD_cube
    enum: PD_sqrt
    enum: PD_reciprocal
    enum: PD_trunc


# A node of one tensor and a number has one edge, and what its rule must know of the number in `extra`.

cdef inline bint with_number(Node node):
    return len(node.edges) == 1

cdef inline bint is_one(object alpha):
    return type(alpha) is int and alpha == 1


# ---- add, sub, mul, div

def add(input, other, *, alpha=1):
    """input + alpha * other.

    Shapes broadcast, types promote: tensors with dimensions come before 0-dimensional ones, those before numbers, and bool,
    integers and floats rise in this order (integers wrap around; the sum of bools is their or).
    Raises ValueError where the shapes do not broadcast, TypeError for a float alpha of integers.
    """
    if not is_one(alpha):
        input, other = scaled("add", input, other, alpha)
    return add_pair(input, other)

cdef object add_pair(object input, object other):
    cdef Tensor y
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        if (<Tensor>input).code != (<Tensor>other).code:
            input, other = alike(<Tensor>input, <Tensor>other)
        elif (<Tensor>input).code == PD_BOOL:
            return logical_or(input, other)
        y = map2(PD_add, <Tensor>input, <Tensor>other)
        record2(ADD, y, <Tensor>input, <Tensor>other)
        return y
    if isinstance(input, Tensor):
        return add_number(beside(<Tensor>input, other), other, False)
    if isinstance(other, Tensor):
        return add_number(beside(<Tensor>other, input), input, True)
    return operands("add", input, other)

cdef Tensor add_number(Tensor x, object number, bint number_first):
    cdef Tensor y
    if x.code == PD_BOOL:
        return logical_or(x, number)
    y = map_number("add", PD_add, x, number, number_first)
    record1(ADD, y, x)
    return y

cdef tuple scaled(str name, object input, object other, object alpha):
    """input and alpha * other, tensors or numbers."""
    cdef int code
    if not is_number(alpha):
        raise TypeError(f"{name}: alpha must be a number, got {type(alpha).__name__}")
    code = result_code(name, (input, other))
    if code > PD_F64 and isinstance(alpha, float):
        raise TypeError(f"{name}: alpha must be an integer where the result is {dtype_of(code)}, got {alpha}")
    if code == PD_BOOL:
        alpha = bool(alpha)
    other = mul(as_type(<Tensor>other, code), alpha) if isinstance(other, Tensor) else other * alpha if code != PD_BOOL else bool(other * alpha)
    return as_type(<Tensor>input, code) if isinstance(input, Tensor) else input, other

cdef object add_backward(Node node, object dy):
    return dy if with_number(node) else (dy, dy)

cdef Op ADD = op(add, add_backward)


def sub(input, other, *, alpha=1):
    """input - alpha * other. Shapes and types as in add; bool has no difference."""
    if not is_one(alpha):
        refuse_bool("sub", input, other)
        input, other = scaled("sub", input, other, alpha)
    return sub_pair(input, other)

cdef object sub_pair(object input, object other):
    cdef Tensor y
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        if (<Tensor>input).code != (<Tensor>other).code or (<Tensor>input).code == PD_BOOL:
            refuse_bool("sub", input, other)
            input, other = alike(<Tensor>input, <Tensor>other)
        y = map2(PD_sub, <Tensor>input, <Tensor>other)
        record2(SUB, y, <Tensor>input, <Tensor>other)
        return y
    if isinstance(input, Tensor):
        return sub_number(<Tensor>input, other, False)
    if isinstance(other, Tensor):
        return sub_number(<Tensor>other, input, True)
    return operands("sub", input, other)

cdef Tensor sub_number(Tensor x, object number, bint number_first):
    cdef Tensor y
    cdef Node node
    if x.code == PD_BOOL or type(number) is bool:
        refuse_bool("sub", x, number)
    x = beside(x, number)
    y = map_number("sub", PD_sub, x, number, number_first)
    node = record1(SUB, y, x)
    if node is not None:
        node.extra = number_first
    return y

cdef object sub_backward(Node node, object dy):
    if with_number(node):
        return neg(dy) if node.extra else dy
    return dy if node.need(0) else None, neg(dy) if node.need(1) else None

cdef Op SUB = op(sub, sub_backward)


def mul(input, other):
    """input * other. Shapes and types as in add."""
    return mul_pair(input, other)

cdef object mul_pair(object input, object other):
    cdef Tensor y
    cdef Node node
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        if (<Tensor>input).code != (<Tensor>other).code:
            input, other = alike(<Tensor>input, <Tensor>other)
        elif (<Tensor>input).code == PD_BOOL:
            return logical_and(input, other)
        y = map2(PD_mul, <Tensor>input, <Tensor>other)
        node = record2(MUL, y, <Tensor>input, <Tensor>other)
        if node is not None:
            if tracked(<Tensor>other):
                node.keep(0, <Tensor>input)
            if tracked(<Tensor>input):
                node.keep(1, <Tensor>other)
        return y
    if isinstance(input, Tensor):
        return mul_number(beside(<Tensor>input, other), other, False)
    if isinstance(other, Tensor):
        return mul_number(beside(<Tensor>other, input), input, True)
    return operands("mul", input, other)

cdef Tensor mul_number(Tensor x, object number, bint number_first):
    cdef Tensor y
    cdef Node node
    if x.code == PD_BOOL:
        return logical_and(x, number)
    y = map_number("mul", PD_mul, x, number, number_first)
    node = record1(MUL, y, x)
    if node is not None:
        node.extra = number
    return y

cdef object mul_backward(Node node, object dy):
    if with_number(node):
        return mul_pair(dy, node.extra)
    return (mul_pair(dy, node.kept(1)) if node.need(0) else None,
            mul_pair(dy, node.kept(0)) if node.need(1) else None)

cdef Op MUL = op(mul, mul_backward)


def div(input, other, *, rounding_mode=None):
    """input / other; rounding_mode "trunc" rounds the quotient towards zero, "floor" downwards.

    Shapes broadcast, types as in add. The true quotient of integers is of the default float type; a rounded one
    keeps the integer type, and raises ZeroDivisionError where other has a zero. The derivative of a rounded quotient is 0.
    """
    if rounding_mode is not None:
        return rounded_div(input, other, rounding_mode)
    return div_pair(input, other)

cdef object div_pair(object input, object other):
    if isinstance(input, Tensor):
        if isinstance(other, Tensor):
            if (<Tensor>input).code != (<Tensor>other).code:
                input, other = alike(<Tensor>input, <Tensor>other)
            return div_tensors(real(<Tensor>input), real(<Tensor>other))
        return div_number(real(<Tensor>input), other, False)
    if isinstance(other, Tensor):
        return div_number(real(<Tensor>other), input, True)
    return operands("div", input, other)

cdef Tensor div_tensors(Tensor a, Tensor b):
    cdef Tensor y = map2(PD_div, a, b)
    cdef Node node = record2(DIV, y, a, b)
    if node is not None:
        if tracked(b):
            node.keep(0, a)
        node.keep(1, b)
    return y

cdef Tensor div_number(Tensor x, object number, bint number_first):
    cdef Tensor y = map_number("div", PD_div, x, number, number_first)
    cdef Node node = record1(DIV, y, x)
    if node is not None:
        node.extra = number
        if number_first:
            node.keep(1, x)
    return y

cdef object div_backward(Node node, object dy):
    cdef Tensor b
    if with_number(node):
        b = node.kept(1)
        if b is None:
            return div(dy, node.extra)
        return neg(div(div(mul(dy, node.extra), b), b))
    b = node.kept(1)
    cdef object quotient = div(dy, b)
    return (quotient if node.need(0) else None,
            neg(mul(quotient, div(node.kept(0), b))) if node.need(1) else None)

cdef Op DIV = op(div, div_backward)

bind_arithmetic(add_pair, sub_pair, mul_pair, div_pair)


cdef object rounded_div(object input, object other, object rounding_mode):
    cdef Tensor a, b
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ValueError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    a, b = operands("div", input, other)
    if a.code <= PD_F64:
        return map1(PD_trunc, map2(PD_div, a, b))
    refuse_zero_divisor("div", b)
    return map2(PD_floor_divide, map2(PD_sub, a, map2(PD_fmod, a, b)), b)


# ---- Integral quotients and their remainders

def floor_divide(input, other):
    """The largest integral value not above input / other, as Python's //. It has no derivative.

    Shapes and types as in add. Raises ZeroDivisionError where integers are divided by zero; floats give infinity or NaN.
    """
    cdef Tensor a, b
    a, b = operands("floor_divide", input, other)
    refuse_zero_divisor("floor_divide", b)
    return map2(PD_floor_divide, a, b)

cdef Op FLOOR_DIVIDE = op(floor_divide, NULL)


cdef Tensor rest(Op which, int kernel, object input, object other):
    """What a division leaves; the rule gets both sides where the divisor wants a gradient."""
    cdef Tensor a, b
    a, b = operands(which.name, input, other)
    refuse_zero_divisor(which.name, b)
    cdef Tensor y = map2(kernel, a, b)
    cdef Node node = record2(which, y, a, b)
    if node is not None and tracked(b):
        node.keep(0, a)
        node.keep(1, b)
    return y

def remainder(input, other):
    """input - other * floor(input / other), as Python's %: it has the sign of other. Exact.

    Shapes and types as in add. Raises ZeroDivisionError where integers are divided by zero; floats give NaN.
    """
    return rest(REMAINDER, PD_remainder, input, other)

cdef object remainder_backward(Node node, object dy):
    return (dy if node.need(0) else None,
            neg(mul(dy, floor_divide(node.kept(0), node.kept(1)))) if node.need(1) else None)

cdef Op REMAINDER = op(remainder, remainder_backward)


def fmod(input, other):
    """input - other * trunc(input / other), as C's fmod: it has the sign of input. Exact.

    Shapes and types as in add. Raises ZeroDivisionError where integers are divided by zero; floats give NaN.
    """
    return rest(FMOD, PD_fmod, input, other)

cdef object fmod_backward(Node node, object dy):
    return (dy if node.need(0) else None,
            neg(mul(dy, rounded_div(node.kept(0), node.kept(1), "trunc"))) if node.need(1) else None)

cdef Op FMOD = op(fmod, fmod_backward)


# ---- Powers

def pow(input, exponent):
    """input to the power of exponent, with C99's special values: x^0 = 1^y = 1, even of NaN. The number 0.5 is sqrt.

    Shapes and types as in add. A negative power of an integer is 0 unless the integer is 1 or -1; a negative *number*
    as the exponent of an integer tensor raises ValueError; bools have no power. The derivative by the exponent is 0 where input is 0 and
    the exponent is not negative; the derivative by input is 0 where the exponent is 0.
    """
    cdef Tensor a, b, y
    cdef Node node
    if isinstance(input, Tensor) and is_number(exponent):
        return pow_number(<Tensor>input, exponent)
    a, b = operands("pow", input, exponent)
    y = map2(PD_pow, a, b)
    node = record2(POW, y, a, b)
    if node is not None:
        node.keep(0, a)
        node.keep(1, b)
        node.keep_output(2, y)
    return y

cdef Tensor pow_number(Tensor x, object exponent):
    cdef Tensor y
    cdef Node node
    x = beside(x, exponent)
    if x.code <= PD_F64 and exponent == 2:
        y = map1(PD_square, x)
    elif x.code <= PD_F64 and exponent == 3:
        y = map1(PD_cube, x)
    elif x.code <= PD_F64 and exponent == 0.5:
        y = map1(PD_sqrt, x)
    elif x.code <= PD_F64 and exponent == -1:
        y = map1(PD_reciprocal, x)
    elif x.code > PD_F64 and exponent < 0:
        raise ValueError(f"pow: an integer to a negative power ({exponent}) is no integer; convert the tensor with .to()")
    else:
        y = map_number("pow", PD_pow, x, exponent, False)
    node = record1(POW, y, x)
    if node is not None:
        node.keep(0, x)
        node.extra = float(exponent)
    return y

cdef object pow_backward(Node node, object dy):
    cdef Tensor a = node.kept(0), b
    cdef object da = None, db = None
    if with_number(node):
        if node.extra == 0:
            return zeros(dy)
        if node.extra == 1:
            return dy
        if node.extra == 2:
            return mul(mul(dy, a), 2.0)
        return mul(mul(dy, pow(a, node.extra - 1)), node.extra)
    b = node.kept(1)
    if node.need(0):
        da = where(eq(b, 0), zero_of(dy), mul(dy, mul(b, pow(a, sub(b, 1)))))
    if node.need(1):
        from pydl.ops.elementwise import log
        db = where(logical_and(eq(a, 0), ge(b, 0)), zero_of(dy), mul(dy, mul(node.kept(2), log(a))))
    return da, db

cdef Op POW = op(pow, pow_backward)


cdef Tensor zero_of(Tensor like):
    return filled(like.code, (), 0)

cdef Tensor zeros(Tensor like):
    return filled(like.code, shape_of(like), 0)


# ---- Signs

def neg(input):
    """-input. Float and integer types; a uint8 wraps around."""
    cdef Tensor x = tensor_arg("neg", input, "input")
    cdef Tensor y = map1(PD_neg, x)
    record1(NEG, y, x)
    return y

cdef object neg_backward(Node node, object dy):
    return neg(dy)

cdef Op NEG = op(neg, neg_backward)


def abs(input):
    """|input|. The derivative at 0 is 0."""
    cdef Tensor x = tensor_arg("abs", input, "input")
    cdef Tensor y = map1(PD_abs, x)
    cdef Node node = record1(ABS, y, x)
    if node is not None:
        node.keep(0, x)
    return y

cdef object abs_backward(Node node, object dy):
    return mul(dy, sign(node.kept(0)))

cdef Op ABS = op(abs, abs_backward)


def sign(input):
    """1, 0 or -1 as input is above, at or below 0; 0 for NaN; a bool is its own. The derivative is 0 everywhere."""
    cdef Tensor x = tensor_arg("sign", input, "input")
    cdef Tensor y = duplicate(x) if x.code == PD_BOOL else map1(PD_sign, x)
    record1(SIGN, y, x)
    return y

cdef object sign_backward(Node node, object dy):
    return zeros(dy)

cdef Op SIGN = op(sign, sign_backward)


true_divide = div

__all__ = ["add", "sub", "mul", "div", "true_divide", "floor_divide", "remainder", "fmod", "pow", "neg", "abs", "sign"]
METHODS = __all__
