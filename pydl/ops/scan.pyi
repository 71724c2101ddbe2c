from pydl._core.dtypes import dtype
from pydl._core.tensor import Tensor

def cumprod(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None, axis: int | None = None) -> Tensor: ...
def cumsum(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None, axis: int | None = None) -> Tensor: ...

__all__ = ["cumprod", "cumsum"]
METHODS: list[str]
