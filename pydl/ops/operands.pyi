from pydl._core.dtypes import dtype as DType
from pydl._core.tensor import Tensor

Number = int | float | bool

def to(input: Tensor, dtype: DType | Tensor | str | None = None, *, copy: bool = False, other: Tensor | None = None) -> Tensor: ...
def type_as(input: Tensor, other: Tensor) -> Tensor: ...
def result_type(tensor1: Tensor | Number, tensor2: Tensor | Number) -> DType: ...

__all__ = ["result_type", "to", "type_as"]
METHODS: list[str]
