from collections.abc import Sequence
from typing import Any

from pydl._core.tensor import Tensor

def getitem(input: Tensor, index: Any) -> Tensor: ...
def setitem(input: Tensor, index: Any, value: Any) -> None: ...
def put_back(input: Tensor, lookup: Any, shape: Sequence[int]) -> Tensor: ...

__all__ = ["getitem", "put_back", "setitem"]
METHODS: list[str]
