from collections.abc import Sequence
from typing import Any

from pydl._core.tensor import Tensor

Dims = int | Sequence[int] | None

def amax(input: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None) -> Tensor: ...
def amin(input: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None) -> Tensor: ...
def argmax(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool | None = None
) -> Tensor: ...
def argmin(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool | None = None
) -> Tensor: ...
def max(input: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None) -> Any: ...
def min(input: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None) -> Any: ...

__all__ = ["amax", "amin", "argmax", "argmin", "max", "min"]
METHODS: list[str]
