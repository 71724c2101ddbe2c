from typing import Literal, overload

from pydl._core.tensor import Tensor

def masked_select(input: Tensor, mask: Tensor) -> Tensor: ...
def masked_fill(input: Tensor, mask: Tensor, value: Tensor | float) -> Tensor: ...
@overload
def nonzero(input: Tensor, *, as_tuple: Literal[False] = False) -> Tensor: ...
@overload
def nonzero(input: Tensor, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
def argwhere(input: Tensor) -> Tensor: ...
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor: ...

__all__ = [
    "argwhere",
    "gather",
    "index_add",
    "index_select",
    "masked_fill",
    "masked_select",
    "nonzero",
    "one_hot",
    "scatter",
    "scatter_add",
    "take",
    "take_along_dim",
]
METHODS: list[str]
