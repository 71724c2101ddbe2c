"""What schedules ask of their arguments. op is the name of the schedule, for the message."""
import math
import operator
from collections.abc import Callable
from typing import Any

from pydl.optim.optimizer import Optimizer


def not_negative(value: float) -> bool:
    return value >= 0


def real(op: str, name: str, value: Any, expected: str = ">= 0", ok: Callable[[float], bool] = not_negative) -> float:
    """value as a finite float for which ok holds; expected says what ok wants."""
    try:
        if isinstance(value, (str, bytes)):     # float() would parse them
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{op}: {name} must be a number, got {value!r}") from None
    if not math.isfinite(result) or not ok(result):
        raise ValueError(f"{op}: {name} must be a finite number {expected}, got {value}")
    return result


def whole(op: str, name: str, value: Any, least: int) -> int:
    """value as an int >= least; a float may be given if it is whole (epochs * 0.5)."""
    try:
        result = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except TypeError:
        kind = ValueError if isinstance(value, float) else TypeError
        raise kind(f"{op}: {name} must be a whole number, got {value!r}") from None
    if result < least:
        raise ValueError(f"{op}: {name} must be a whole number >= {least}, got {value}")
    return result


def per_group(op: str, name: str, optimizer: Optimizer, value: Any, expected: str = ">= 0",
              ok: Callable[[float], bool] = not_negative) -> list[float]:
    """One number for each parameter group, from one for all or a list of them."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{op}: {name} must be one number or one for each of the {groups} parameter groups, got {len(values)}")
    return [real(op, name, one, expected, ok) for one in values]


def optimizer_of(op: str, optimizer: Any, last_epoch: Any = -1, resumes_with: tuple[str, ...] = ("initial_lr",)) -> int:
    """last_epoch as an int, if optimizer is one, and holds what a schedule that goes on after last_epoch needs."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{op}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    last_epoch = whole(op, "last_epoch", last_epoch, -1)
    for number, group in enumerate(optimizer.param_groups if last_epoch >= 0 else ()):
        for name in resumes_with:
            if name not in group:
                raise ValueError(f"{op}: to resume after last_epoch {last_epoch}, parameter group {number} must have {name!r}, which the "
                                 "first schedule puts there: load the optimizer's state_dict() before, or begin with last_epoch=-1")
    return last_epoch
