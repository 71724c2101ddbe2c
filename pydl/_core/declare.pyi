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
def triangle(input: Tensor, diagonal: float, upper: bool) -> Tensor: ...
def distance_kernel(
    p: float, a: Tensor, b: Tensor, weights: Tensor | None = None, distances: Tensor | None = None, half: bool = False
) -> Tensor: ...
def search(sequences: Tensor, values: Tensor, right: bool, narrow: bool) -> Tensor: ...
def occurrences(input: Tensor, bins: int, low: float = 0.0, high: float = 0.0) -> Tensor: ...
