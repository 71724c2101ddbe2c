"""Questions about whole tensors: whether two are equal or close, and what one is. None has a derivative."""
from __future__ import annotations

from typing import Any, TypeGuard

from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import abs as absolute
from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.compare import eq, isfinite, isnan, le, logical_and, logical_or
from pydl.ops.operands import promote_tensors


def _tensor(op: str, x: Any, name: str = "input") -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"{op}: {name} must be a Tensor, got {type(x).__name__}; make one with pydl.tensor()")
    return x


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether |input - other| <= atol + rtol |other|, elementwise, as bool; infinities are close where they are equal.

    Shapes broadcast, types promote. equal_nan: NaN is close to NaN. Raises ValueError for a negative rtol or atol.
    """
    a, b = promote_tensors("isclose", _tensor("isclose", input).detach(), _tensor("isclose", other, "other").detach())
    if rtol < 0 or atol < 0:
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
    if _tensor("equal", input).shape != _tensor("equal", other, "other").shape:
        return False
    return bool(eq(input.detach(), other.detach()).all())


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return _tensor("is_same_size", input).shape == _tensor("is_same_size", other, "other").shape


def is_tensor(obj: Any) -> TypeGuard[Tensor]:
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether input is float32 or float64."""
    return _tensor("is_floating_point", input).is_floating_point()


def is_complex(input: Tensor) -> bool:
    """False: there are no complex types."""
    return _tensor("is_complex", input).dtype.is_complex


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. Raises ValueError where there is not one."""
    return bool(_tensor("is_nonzero", input))


def numel(input: Tensor) -> int:
    """The number of elements."""
    return _tensor("numel", input).numel()


__all__ = ["allclose", "equal", "is_complex", "is_floating_point", "is_nonzero", "is_same_size", "is_tensor", "isclose", "numel"]
METHODS = ["allclose", "equal", "is_complex", "is_nonzero", "is_same_size", "isclose"]
