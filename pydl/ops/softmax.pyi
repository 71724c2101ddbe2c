from pydl._core.dtypes import dtype
from pydl._core.tensor import Tensor

def log_softmax(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None) -> Tensor: ...
def softmax(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None) -> Tensor: ...

__all__ = ["log_softmax", "softmax"]
METHODS: list[str]
