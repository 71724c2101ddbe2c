"""Questions about whole tensors: whether two are equal or close, and what one is. None has a derivative."""
from __future__ import annotations

from typing import Any, TypeGuard

from pydl._core.checks import number_arg, tensor_arg
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import abs as absolute
from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.compare import eq, isfinite, isnan, le, logical_and, logical_or
from pydl.ops.operands import common_type


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether |input - other| <= atol + rtol |other|, elementwise, as bool; infinities are close where they are equal.

    Shapes broadcast, types promote. equal_nan: NaN is close to NaN. Raises ValueError for a negative rtol or atol.
    """
    kind = common_type("isclose", tensor_arg("isclose", input, "input"), tensor_arg("isclose", other, "other"))
    a, b = input.detach().to(kind), other.detach().to(kind)
    rtol, atol = number_arg("isclose", rtol, "rtol"), number_arg("isclose", atol, "atol")
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"isclose: rtol and atol must not be negative, got {rtol} and {atol}")
    try:
        close = eq(a, b)
    except ValueError:
        raise ValueError(f"isclose: shapes {a.shape} and {b.shape} do not broadcast") from None
    if equal_nan:
        close = logical_or(close, logical_and(isnan(a), isnan(b)))
    if rtol == 0 and atol == 0:
        return close
    if not a.is_floating_point():
        a, b = a.double(), b.double()
    error = absolute(sub(a, b))
    near = le(error, add(absolute(mul(b, rtol)), atol))
    return logical_or(close, logical_and(isfinite(error), near))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether isclose() holds everywhere: a Python bool."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and the same values: a Python bool. NaN is not equal to NaN."""
    if tensor_arg("equal", input, "input").shape != tensor_arg("equal", other, "other").shape:
        return False
    return bool(eq(input.detach(), other.detach()).all())


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return tensor_arg("is_same_size", input, "input").shape == tensor_arg("is_same_size", other, "other").shape


def is_tensor(obj: Any) -> TypeGuard[Tensor]:
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether input is float32 or float64."""
    return tensor_arg("is_floating_point", input, "input").is_floating_point()


def is_complex(input: Tensor) -> bool:
    """False: there are no complex types."""
    return tensor_arg("is_complex", input, "input").dtype.is_complex


def is_signed(input: Tensor) -> bool:
    """Whether input's type has numbers below 0."""
    return tensor_arg("is_signed", input, "input").dtype.is_signed


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. Raises ValueError where there is not one."""
    return bool(tensor_arg("is_nonzero", input, "input"))


def numel(input: Tensor) -> int:
    """The number of elements."""
    return tensor_arg("numel", input, "input").numel()


__all__ = ["allclose", "equal", "is_complex", "is_floating_point", "is_nonzero", "is_same_size", "is_signed", "is_tensor", "isclose",
           "numel"]
METHODS = ["allclose", "equal", "is_complex", "is_nonzero", "is_same_size", "isclose"]
