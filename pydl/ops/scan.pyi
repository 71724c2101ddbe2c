from typing import NamedTuple

from pydl._core.dtypes import dtype as DType
from pydl._core.tensor import Tensor

class cummax_result(NamedTuple):
    values: Tensor
    indices: Tensor

class cummin_result(NamedTuple):
    values: Tensor
    indices: Tensor

def cummax(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> cummax_result: ...
def cummin(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> cummin_result: ...
def logcumsumexp(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor: ...
def cumsum(
    input: Tensor, dim: int | None = None, *, dtype: DType | None = None, axis: int | None = None
) -> Tensor: ...
def cumprod(
    input: Tensor, dim: int | None = None, *, dtype: DType | None = None, axis: int | None = None
) -> Tensor: ...
def cumsum_back(input: Tensor, dim: int) -> Tensor: ...
def prod_before(input: Tensor, dim: int) -> Tensor: ...
def prod_after(input: Tensor, dim: int) -> Tensor: ...
def recurrence(a: Tensor, b: Tensor, dim: int, backwards: bool = False) -> Tensor: ...

__all__ = [
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "logcumsumexp",
]
METHODS: list[str]
