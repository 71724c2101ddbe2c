"""Functions of every element, made of other ops, of NumPy or of a kernel; and the second names that PyTorch gives to ops."""
import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from pydl._core.checks import tensor_arg
from pydl._core.create import full, ones_like, zeros_like
from pydl._core.declare import declare
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import dtype as DType
from pydl._core.dtypes import float32, float64, get_default_dtype
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops import arithmetic, bounds, compare, elementwise
from pydl.ops.arithmetic import div, mul, neg, pow, sign, sub
from pydl.ops.arrange import broadcast_shapes
from pydl.ops.compare import eq, gt, isnan, logical_or, lt, where
from pydl.ops.elementwise import exp2
from pydl.ops.fused import logaddexp
from pydl.ops.operands import common_type
from pydl.ops.shape import clone

Operand: TypeAlias = Tensor | float

absolute = arithmetic.abs
arccos, arccosh, arcsin, arcsinh = elementwise.acos, elementwise.acosh, elementwise.asin, elementwise.asinh
arctan, arctanh, arctan2 = elementwise.atan, elementwise.atanh, elementwise.atan2
divide, multiply, negative, subtract = arithmetic.div, arithmetic.mul, arithmetic.neg, arithmetic.sub
fix = elementwise.trunc
greater, greater_equal, less, less_equal, not_equal = compare.gt, compare.ge, compare.lt, compare.le, compare.ne


# ---- Types and shapes of operands

def real(op: str, x: object, name: str = "input") -> Tensor:
    """A tensor of floats; integers and bool take the default float type."""
    given = tensor_arg(op, x, name)
    return given if given.is_floating_point() else given.to(get_default_dtype())


def alike(op: str, *given: Operand) -> tuple[Tensor, ...]:
    """Tensors of one type, the one that arithmetic would give; numbers become 0-dimensional."""
    return _converted(given, _kind(op, given))


def floats(op: str, *given: Operand) -> tuple[Tensor, ...]:
    """alike, but integers take the default float type."""
    kind = _kind(op, given)
    return _converted(given, kind if kind in (float32, float64) else get_default_dtype())


def _kind(op: str, given: tuple[Operand, ...]) -> DType:
    kind = common_type(op, *given)
    if not any(isinstance(x, Tensor) for x in given):
        raise TypeError(f"{op}: expected a Tensor, got {' and '.join(type(x).__name__ for x in given)}")
    return kind


def _converted(given: tuple[Operand, ...], kind: DType) -> tuple[Tensor, ...]:
    return tuple(x.to(kind) if isinstance(x, Tensor) else full((), x, dtype=kind) for x in given)


def shape_for(op: str, *tensors: Tensor) -> tuple[int, ...] | None:
    """The common shape; None where all have the same."""
    shapes = [x.shape for x in tensors]
    if all(shape == shapes[0] for shape in shapes):
        return None
    try:
        return broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"{op}: shapes {', '.join(map(str, shapes))} do not broadcast") from None


# ---- Sums in other scales

def _pair(op: str, input: Operand, other: Operand) -> tuple[Tensor, Tensor]:
    a, b = alike(op, input, other)
    if not a.is_floating_point():
        raise TypeError(f"{op}: expected float32 or float64, got {a.dtype}; convert it with .to()")
    return a, b


def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2^input + 2^other), without overflow. Shapes broadcast; floats."""
    a, b = _pair("logaddexp2", input, other)
    shape_for("logaddexp2", a, b)
    return div(logaddexp(mul(a, math.log(2)), mul(b, math.log(2))), math.log(2))


# ---- Parts of a number

class Frexp(NamedTuple):
    mantissa: Tensor
    exponent: Tensor


def frexp(input: Tensor) -> Frexp:
    """(mantissa, exponent) with input = mantissa * 2^exponent and 0.5 <= |mantissa| < 1; exponent is int32. float32 or float64."""
    x = tensor_arg("frexp", input, "input")
    if not x.is_floating_point():
        raise TypeError(f"frexp: input must be float32 or float64, got {x.dtype}; convert it with .to()")
    mantissa, exponent = np.frexp(x.detach().numpy())
    e = from_numpy(np.asarray(exponent))
    return Frexp(FREXP.record(from_numpy(np.asarray(mantissa)), (x,), (), e), e)


def frexp_backward(dy: Any, need: Any, saved: Any, exponent: Any) -> Any:
    return ldexp(dy, neg(exponent))


FREXP = declare(frexp, frexp_backward)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other. Shapes broadcast; integers become floats."""
    x, power = floats("ldexp", input, other)
    shape_for("ldexp", x, power)
    return mul(x, exp2(power))


def signbit(input: Tensor) -> Tensor:
    """Whether the sign is set, as bool: of numbers below 0, of -0.0 and of some NaN."""
    x = tensor_arg("signbit", input, "input")
    if not x.is_floating_point():
        return zeros_like(x) if x.dtype is bool_ else lt(x, 0)
    return from_numpy(np.asarray(np.signbit(x.detach().numpy())))


def copysign(input: Tensor, other: Operand) -> Tensor:
    """|input| with the sign of other. Shapes broadcast; integers become floats. The derivative by other is 0."""
    a, b = floats("copysign", input, other)
    shape_for("copysign", a, b)
    y = from_numpy(np.asarray(np.copysign(a.detach().numpy(), b.detach().numpy())))
    return COPYSIGN.record(y, (a, b), (a, y))


def copysign_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    a, y = saved
    return mul(dy, mul(sign(a), sign(y))) if need[0] else None, zeros_like(dy) if need[1] else None


COPYSIGN = declare(copysign, copysign_backward)


def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number of the type from input towards other. Shapes broadcast; floats. It has no derivative."""
    a, b = _pair("nextafter", input, other)
    shape_for("nextafter", a, b)
    return from_numpy(np.asarray(np.nextafter(a.detach().numpy(), b.detach().numpy())))


def sgn(input: Tensor) -> Tensor:
    """1, 0 or -1 as input is above, at or below 0: sign of real numbers; bool stays as it is."""
    x = tensor_arg("sgn", input, "input")
    return clone(x) if x.dtype is bool_ else sign(x)


def positive(input: Tensor) -> Tensor:
    """input itself. TypeError for bool."""
    x = tensor_arg("positive", input, "input")
    if x.dtype is bool_:
        raise TypeError("positive: not defined for pydl.bool; convert the tensor with .to()")
    return x


# ---- Questions

def isposinf(input: Tensor) -> Tensor:
    """Whether input is infinity, as bool. False for integers."""
    x = tensor_arg("isposinf", input, "input")
    return eq(x, math.inf) if x.is_floating_point() else zeros_like(x, dtype=bool_)


def isneginf(input: Tensor) -> Tensor:
    """Whether input is -infinity, as bool. False for integers."""
    x = tensor_arg("isneginf", input, "input")
    return eq(x, -math.inf) if x.is_floating_point() else zeros_like(x, dtype=bool_)


def isreal(input: Tensor) -> Tensor:
    """Whether input is a real number, as bool: always."""
    return ones_like(tensor_arg("isreal", input, "input"), dtype=bool_)


# ---- Arithmetic

def rsub(input: Tensor, other: Operand, *, alpha: float = 1) -> Tensor:
    """other - alpha * input. Shapes and types as in add."""
    return sub(other, tensor_arg("rsub", input, "input"), alpha=alpha)


def clamp_min(input: Tensor, min: Operand) -> Tensor:
    """clamp(input, min=min): what is below min becomes min."""
    return bounds.clamp(input, min=min)


def clamp_max(input: Tensor, max: Operand) -> Tensor:
    """clamp(input, max=max): what is above max becomes max."""
    return bounds.clamp(input, max=max)


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, elementwise; beside NaN the other one. Shapes broadcast; of equal ones input gets the gradient."""
    a, b = alike("fmax", input, other)
    shape_for("fmax", a, b)
    return where(logical_or(compare.ge(a, b), isnan(b)), a, b)


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, elementwise; beside NaN the other one. Shapes broadcast; of equal ones input gets the gradient."""
    a, b = alike("fmin", input, other)
    shape_for("fmin", a, b)
    return where(logical_or(compare.le(a, b), isnan(b)), a, b)


def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians: input * pi / 180. Integers become floats."""
    return mul(real("deg2rad", input), math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees: input * 180 / pi. Integers become floats."""
    return mul(real("rad2deg", input), 180 / math.pi)


def float_power(input: Operand, exponent: Operand) -> Tensor:
    """pow(input, exponent) in float64. Shapes broadcast."""
    _kind("float_power", (input, exponent))
    shape_for("float_power", *(x for x in (input, exponent) if isinstance(x, Tensor)))
    a, b = (x.to(float64) if isinstance(x, Tensor) else float(x) for x in (input, exponent))
    return pow(a, b)


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input is negative (or NaN), values where it is 0, 1 where it is positive. Shapes broadcast; one type.

    It has no derivative.
    """
    x, v = tensor_arg("heaviside", input, "input"), tensor_arg("heaviside", values, "values")
    if x.dtype is not v.dtype:
        raise TypeError(f"heaviside: expected one type, got {x.dtype} and {v.dtype}; convert one with .to()")
    shape_for("heaviside", x, v)
    return where(eq(x, 0), v.detach(), gt(x, 0).to(x.dtype))


# ---- Integers

def _integers(op: str, input: Operand, other: Operand) -> tuple[np.ndarray, np.ndarray]:
    a, b = alike(op, input, other)
    if a.is_floating_point() or a.dtype is bool_:
        raise TypeError(f"{op}: expected integers, got {a.dtype}; convert it with .to()")
    shape_for(op, a, b)
    return a.numpy(), b.numpy()


def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor, not negative; of 0 and 0 it is 0. Integers; shapes broadcast."""
    return from_numpy(np.asarray(np.gcd(*_integers("gcd", input, other))))


def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple, not negative; with 0 it is 0. Integers; shapes broadcast."""
    return from_numpy(np.asarray(np.lcm(*_integers("lcm", input, other))))


def bitwise_left_shift(input: Operand, other: Operand) -> Tensor:
    """input << other: the bits moved up; 0 where other is negative or all bits are gone. Integers; shapes broadcast."""
    a, b = _integers("bitwise_left_shift", input, other)
    return from_numpy(np.where((b >= 0) & (b < 8 * a.itemsize), np.left_shift(a, b), 0).astype(a.dtype))


def bitwise_right_shift(input: Operand, other: Operand) -> Tensor:
    """input >> other: the bits moved down, the sign kept; where other is negative, as far as they go. Integers; shapes broadcast."""
    a, b = _integers("bitwise_right_shift", input, other)
    last = 8 * a.itemsize - 1
    if a.dtype == np.uint8:
        return from_numpy(np.where(b <= last, np.right_shift(a, b), 0).astype(a.dtype))
    return from_numpy(np.asarray(np.right_shift(a, np.where((b < 0) | (b > last), last, b).astype(b.dtype))))


__all__ = [
    "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "bitwise_left_shift",
    "bitwise_right_shift", "clamp_max", "clamp_min", "copysign", "deg2rad", "divide", "fix", "float_power", "fmax", "fmin", "frexp", "gcd",
    "greater", "greater_equal", "heaviside", "isneginf", "isposinf", "isreal", "lcm", "ldexp", "less", "less_equal",
    "logaddexp2", "multiply", "negative", "nextafter", "not_equal", "positive", "rad2deg", "rsub", "sgn",
    "signbit", "subtract",
]
METHODS = [name for name in __all__ if name != "rsub"]
