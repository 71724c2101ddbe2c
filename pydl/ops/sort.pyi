from typing import NamedTuple

from pydl._core.tensor import Tensor

class SortResult(NamedTuple):
    values: Tensor
    indices: Tensor

class TopkResult(NamedTuple):
    values: Tensor
    indices: Tensor

class kthvalue_result(NamedTuple):
    values: Tensor
    indices: Tensor

class median_result(NamedTuple):
    values: Tensor
    indices: Tensor

class nanmedian_result(NamedTuple):
    values: Tensor
    indices: Tensor

def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> SortResult: ...
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor: ...
def topk(input: Tensor, k: int, dim: int | None = -1, largest: bool = True, sorted: bool = True) -> TopkResult: ...
def kthvalue(
    input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, axis: int | None = None, keepdims: bool | None = None
) -> kthvalue_result: ...
def mode_of_last(input: Tensor) -> tuple[Tensor, Tensor]: ...
def median_along(input: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]: ...
def nanmedian_along(input: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]: ...

__all__ = ["argsort", "kthvalue", "sort", "topk"]
METHODS: list[str]
