# cython: language_level=3
"""Comparison, choice and logic. Results of comparisons and of logic are bool; none of them but `where` has a derivative."""
from pydl._core.kernels cimport PD_BOOL, PD_F64, PD_I64, PD_U8
from pydl._core.launch cimport cast, filled, map1, map1_to, map2, map2_to, map3
from pydl._core.tape cimport Node, Op, op, record
from pydl._core.dtypes cimport default_float, dtype_of
from pydl._core.tensor cimport Tensor, scalar_of, shape_of, tensor_arg
from pydl.ops.operands cimport alike, comparands, is_number, operands, require_broadcast

cdef extern from "pydl.h":
    enum: PD_eq
    enum: PD_ne
    enum: PD_lt
    enum: PD_le
    enum: PD_gt
    enum: PD_ge
    enum: PD_where
    enum: PD_logical_and
    enum: PD_logical_or
    enum: PD_logical_xor
    enum: PD_logical_not
    enum: PD_bitwise_and
    enum: PD_bitwise_or
    enum: PD_bitwise_xor
    enum: PD_bitwise_not
    enum: PD_isnan
    enum: PD_isinf
    enum: PD_isfinite


# ---- Comparison

cdef Tensor compared(str name, int kernel, object input, object other):
    cdef Tensor a, b
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        a, b = <Tensor>input, <Tensor>other
        if a.code != b.code:
            a, b = alike(a, b)
    else:
        a, b = comparands(name, input, other)
    if a.code == PD_BOOL and b.code == PD_BOOL:     # ordered as 0 < 1
        a, b = as_bytes(a), as_bytes(b)
    return map2_to(kernel, PD_BOOL, a, b)

cdef Tensor as_bytes(Tensor x):
    return cast(x, PD_U8)

def eq(input, other):
    """input == other, elementwise, as bool; False where either is NaN.

    Tensors that broadcast, in the type they have in common as in add, or a tensor and a number, which is compared by its
    value. Raises ValueError where the shapes do not broadcast.
    """
    return compared("eq", PD_eq, input, other)

def ne(input, other):
    """input != other, elementwise, as bool; True where either is NaN. Arguments as in eq."""
    return compared("ne", PD_ne, input, other)

def lt(input, other):
    """input < other, elementwise, as bool; False where either is NaN. Arguments as in eq."""
    return compared("lt", PD_lt, input, other)

def le(input, other):
    """input <= other, elementwise, as bool; False where either is NaN. Arguments as in eq."""
    return compared("le", PD_le, input, other)

def gt(input, other):
    """input > other, elementwise, as bool; False where either is NaN. Arguments as in eq."""
    return compared("gt", PD_gt, input, other)

def ge(input, other):
    """input >= other, elementwise, as bool; False where either is NaN. Arguments as in eq."""
    return compared("ge", PD_ge, input, other)

op(eq, NULL)
op(ne, NULL)
op(lt, NULL)
op(le, NULL)
op(gt, NULL)
op(ge, NULL)


# ---- Choice

def where(condition, input=None, other=None):
    """input where condition holds, other elsewhere; where(condition) alone is nonzero(condition, as_tuple=True).

    condition: bool (or uint8: nonzero); the three broadcast. input and other: tensors or numbers, whose types promote as
    in add (two numbers: the default float type, int64 or bool). The derivative goes to the one that was chosen.
    Raises ValueError where the shapes do not broadcast, TypeError for a condition of another type.
    """
    cdef Tensor c = tensor_arg("where", condition, "condition"), a, b, y
    cdef Node node
    if input is None and other is None:
        from pydl.ops.masks import nonzero
        return nonzero(c, as_tuple=True)
    if c.code != PD_BOOL and c.code != PD_U8:
        raise TypeError(f"where: condition must be bool, got {dtype_of(c.code)} (shape {shape_of(c)})")
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        input = plain_number(input, other)
    a, b = operands("where", input, other)
    require_broadcast("where", c, a, b)
    y = map3(PD_where, c, a, b)
    node = record(WHERE, y, (None, a, b))
    if node is not None:
        node.keep(0, c)
    return y

cdef Tensor plain_number(object input, object other):
    """A tensor of the first of two numbers, in a type for both."""
    cdef int code = PD_BOOL, real = default_float()
    for number in (input, other):
        if not is_number(number):
            raise TypeError(f"where: expected a tensor or a number, got {type(number).__name__}")
        if isinstance(number, float):
            code = real
        elif type(number) is not bool and code != real:
            code = PD_I64
    return scalar_of(code, input)

cdef object where_backward(Node node, object dy):
    cdef Tensor c = node.kept(0)
    cdef Tensor zero = filled((<Tensor>dy).code, (), 0)
    return (None,
            where(c, dy, zero) if node.need(1) else None,
            where(c, zero, dy) if node.need(2) else None)

cdef Op WHERE = op(where, where_backward)


# ---- Logic

cdef Tensor logical(str name, int kernel, object input, object other):
    cdef Tensor a, b
    a, b = comparands(name, input, other)
    return map2_to(kernel, PD_BOOL, a, b)

def logical_and(input, other):
    """Whether both are nonzero, as bool. Any types; shapes broadcast."""
    return logical("logical_and", PD_logical_and, input, other)

def logical_or(input, other):
    """Whether either is nonzero, as bool. Any types; shapes broadcast."""
    return logical("logical_or", PD_logical_or, input, other)

def logical_xor(input, other):
    """Whether exactly one is nonzero, as bool. Any types; shapes broadcast."""
    return logical("logical_xor", PD_logical_xor, input, other)

def logical_not(input):
    """Whether input is zero, as bool. Any type."""
    return map1_to(PD_logical_not, PD_BOOL, tensor_arg("logical_not", input, "input"))

op(logical_and, NULL)
op(logical_or, NULL)
op(logical_xor, NULL)
op(logical_not, NULL)


# ---- Bits

cdef Tensor bitwise(str name, int kernel, int bool_kernel, object input, object other):
    cdef Tensor a, b
    a, b = operands(name, input, other)
    return map2(bool_kernel if a.code == PD_BOOL and b.code == PD_BOOL else kernel, a, b)

def bitwise_and(input, other):
    """input & other: the bits set in both. Integers and bool, whose types promote; shapes broadcast."""
    return bitwise("bitwise_and", PD_bitwise_and, PD_logical_and, input, other)

def bitwise_or(input, other):
    """input | other: the bits set in either. Integers and bool, whose types promote; shapes broadcast."""
    return bitwise("bitwise_or", PD_bitwise_or, PD_logical_or, input, other)

def bitwise_xor(input, other):
    """input ^ other: the bits set in exactly one. Integers and bool, whose types promote; shapes broadcast."""
    return bitwise("bitwise_xor", PD_bitwise_xor, PD_logical_xor, input, other)

def bitwise_not(input):
    """~input: every bit turned; for bool, not. Integers and bool."""
    cdef Tensor x = tensor_arg("bitwise_not", input, "input")
    return map1(PD_logical_not if x.code == PD_BOOL else PD_bitwise_not, x)

op(bitwise_and, NULL)
op(bitwise_or, NULL)
op(bitwise_xor, NULL)
op(bitwise_not, NULL)


# ---- What kind of number

cdef Tensor classified(str name, int kernel, object input, bint of_integers):
    cdef Tensor x = tensor_arg(name, input, "input")
    return filled(PD_BOOL, shape_of(x), of_integers) if x.code > PD_F64 else map1_to(kernel, PD_BOOL, x)

def isnan(input):
    """Whether input is NaN, as bool. False for integers."""
    return classified("isnan", PD_isnan, input, False)

def isinf(input):
    """Whether input is infinite, as bool. False for integers."""
    return classified("isinf", PD_isinf, input, False)

def isfinite(input):
    """Whether input is neither infinite nor NaN, as bool. True for integers."""
    return classified("isfinite", PD_isfinite, input, True)

op(isnan, NULL)
op(isinf, NULL)
op(isfinite, NULL)

__all__ = ["eq", "ne", "lt", "le", "gt", "ge", "where", "logical_and", "logical_or", "logical_xor", "logical_not",
           "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "isnan", "isinf", "isfinite"]
METHODS = [name for name in __all__ if name != "where"]
