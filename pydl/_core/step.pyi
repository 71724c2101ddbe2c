from collections.abc import Callable
from typing import Any

from pydl._core.hyper import Hyper

_Slots = tuple[tuple[str | None, float, bool], ...]

class Step:
    @property
    def hyper(self) -> Hyper: ...
    def forget(self) -> None: ...

def sgd_step(step: Step, groups: list[dict[str, Any]], state: dict[Any, dict[str, Any]]) -> None: ...
def adam_step(step: Step, groups: list[dict[str, Any]], state: dict[Any, dict[str, Any]], decoupled: bool) -> None: ...
def counted_step(
    step: Step,
    name: str,
    groups: list[dict[str, Any]],
    state: dict[Any, dict[str, Any]],
    layout: Callable[[dict[str, Any]], tuple[tuple[float, ...], _Slots, _Slots]],
) -> None: ...
def zero_grad(self: Any, set_to_none: bool = True) -> None: ...
