from collections.abc import Sequence

from pydl._core.dtypes import dtype
from pydl._core.tensor import Tensor

Dims = int | Sequence[int] | None

def all(input: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None) -> Tensor: ...
def any(input: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None) -> Tensor: ...
def logsumexp(input: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool | None = None) -> Tensor: ...
def mean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None, axis: Dims = None, keepdims: bool | None = None
) -> Tensor: ...
def norm(
    input: Tensor,
    p: float | str = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def prod(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None, axis: Dims = None, keepdims: bool | None = None
) -> Tensor: ...
def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def sum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None, axis: Dims = None, keepdims: bool | None = None
) -> Tensor: ...
def sum_to(input: Tensor, shape: Sequence[int]) -> Tensor: ...
def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...

__all__ = ["all", "any", "logsumexp", "mean", "norm", "prod", "std", "sum", "sum_to", "var"]
METHODS: list[str]
