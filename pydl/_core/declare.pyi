from collections.abc import Callable
from typing import Any, TypeVar

from pydl._core.tape import Op
from pydl._core.tensor import Tensor

Outputs = TypeVar("Outputs", Tensor, tuple[Tensor, ...])

class PythonOp(Op):
    def record(self, outputs: Outputs, inputs: tuple[Tensor | None, ...], saved: tuple[Tensor, ...] = (), extra: Any = None) -> Outputs: ...

def declare(
    forward: Callable[..., Any], backward: Callable[[Any, tuple[bool, ...], tuple[Tensor, ...], Any], Any] | None = None
) -> PythonOp: ...
def map_kernel(
    name: str, inputs: tuple[Tensor | float, ...], shape: tuple[int, ...] | None, s0: float = 0, s1: float = 0, s2: float = 0
) -> Tensor: ...
def triangle(input: Tensor, diagonal: float, upper: bool) -> Tensor: ...
def search(sequences: Tensor, values: Tensor, right: bool, narrow: bool) -> Tensor: ...
def occurrences(input: Tensor, bins: int, low: float = 0, high: float = 0) -> Tensor: ...
