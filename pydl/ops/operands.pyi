from typing import Any

from pydl._core.dtypes import DTypeLike
from pydl._core.dtypes import dtype as DType
from pydl._core.tensor import Tensor

Number = int | float | bool

def to(
    input: Tensor,
    *args: Any,
    dtype: DTypeLike | None = None,
    device: Any = None,
    other: Tensor | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor: ...
def type_as(input: Tensor, other: Tensor) -> Tensor: ...
def result_type(tensor1: Tensor | Number, tensor2: Tensor | Number) -> DType: ...
def common_type(op: str, *operands: Tensor | Number) -> DType: ...

__all__ = ["result_type", "to", "type_as"]
METHODS: list[str]
