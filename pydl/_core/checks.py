"""Checks of arguments for ops written in Python; their messages begin with the op's name."""
import math
import operator
from collections.abc import Sequence
from typing import SupportsIndex

from pydl._core.tensor import Tensor


def tensor_arg(op: str, x: object, name: str) -> Tensor:
    """x, which must be a Tensor."""
    if isinstance(x, Tensor):
        return x
    raise TypeError(f"{op}: {name} must be a Tensor, got {type(x).__name__}; make one with pydl.tensor()")


def tensors_arg(op: str, tensors: object) -> tuple[Tensor, ...]:
    """A tuple of one or more tensors, from a tuple or list of them."""
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(f"{op}: tensors must be a tuple or list of Tensors, got {type(tensors).__name__}")
    if not tensors:
        raise ValueError(f"{op}: expected one tensor or more, got none")
    return tuple(tensor_arg(op, x, f"tensors[{i}]") for i, x in enumerate(tensors))


def int_arg(op: str, value: SupportsIndex, name: str, least: int | None = None) -> int:
    """value as a Python int, not below `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{op}: {name} must be an int, got {type(value).__name__}") from None
    if least is not None and number < least:
        raise ValueError(f"{op}: {name} must be at least {least}, got {number}")
    return number


def number_arg(op: str, value: object, name: str) -> float:
    """value, a number of Python or NumPy or a tensor of one element, as a Python float."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        if not hasattr(value, "__index__"):
            raise TypeError(f"{op}: {name} must be a number, got {type(value).__name__}")
    try:
        return float(value)         # type: ignore[arg-type]
    except OverflowError:
        raise ValueError(f"{op}: {name} must be a number that a float holds, got {value}") from None
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{op}: {name} must be a number, got {type(value).__name__} ({error})") from None


def dim_arg(op: str, dim: SupportsIndex, ndim: int, name: str = "dim") -> int:
    """The dimension that `dim` names, counted from 0."""
    d = int_arg(op, dim, name)
    limit = max(ndim, 1)
    if not -limit <= d < limit:
        raise IndexError(f"{op}: {name} {d} is out of range for {ndim} dimensions (expected {-limit} to {limit - 1})")
    return d % limit


def check_room(op: str, shape: Sequence[int], input: Tensor) -> None:
    """ValueError where a result of this shape would have more elements than an address can count, were it not empty."""
    if math.prod(max(n, 1) for n in shape) > 2**59:
        raise ValueError(f"{op}: the output {tuple(shape)} of input {tuple(input.shape)} would have more elements "
                         "than an address can count")
