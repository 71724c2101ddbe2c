from typing import NamedTuple, overload

from pydl._core.tensor import Tensor

Dims = int | tuple[int, ...] | list[int] | None

class aminmax_result(NamedTuple):
    min: Tensor
    max: Tensor

class max_result(NamedTuple):
    values: Tensor
    indices: Tensor

class min_result(NamedTuple):
    values: Tensor
    indices: Tensor

def amax(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def amin(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def aminmax(
    input: Tensor, *, dim: int | None = None, keepdim: bool = False, axis: int | None = None, keepdims: bool | None = None
) -> aminmax_result: ...
def argmax(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    axis: int | None = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def argmin(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    axis: int | None = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def max_along(input: Tensor, dim: int, keepdim: bool = False) -> max_result: ...
def min_along(input: Tensor, dim: int, keepdim: bool = False) -> min_result: ...
def place(dy: Tensor, index: Tensor, dim: int, n: int) -> Tensor: ...
def pick(input: Tensor, index: Tensor, dim: int) -> Tensor: ...
@overload
def max(input: Tensor) -> Tensor: ...
@overload
def max(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def max(input: Tensor, dim: int, keepdim: bool = False) -> max_result: ...
@overload
def max(
    input: Tensor, dim: None = None, keepdim: bool = False, *, axis: int, keepdims: bool | None = None
) -> max_result: ...
@overload
def min(input: Tensor) -> Tensor: ...
@overload
def min(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def min(input: Tensor, dim: int, keepdim: bool = False) -> min_result: ...
@overload
def min(
    input: Tensor, dim: None = None, keepdim: bool = False, *, axis: int, keepdims: bool | None = None
) -> min_result: ...

__all__ = [
    "amax",
    "amin",
    "aminmax",
    "argmax",
    "argmin",
    "max",
    "min",
]
METHODS: list[str]
