from typing import NamedTuple

from pydl._core.tensor import Tensor

class SortResult(NamedTuple):
    values: Tensor
    indices: Tensor

class TopkResult(NamedTuple):
    values: Tensor
    indices: Tensor

def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> SortResult: ...
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor: ...
def topk(input: Tensor, k: int, dim: int | None = -1, largest: bool = True, sorted: bool = True) -> TopkResult: ...

__all__ = ["argsort", "sort", "topk"]
METHODS: list[str]
