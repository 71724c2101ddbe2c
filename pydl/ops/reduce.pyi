from pydl._core.dtypes import dtype as DType
from pydl._core.tensor import Tensor

Dims = int | tuple[int, ...] | list[int] | None

def spread(dy: Tensor, shape: tuple[int, ...], dims: tuple[int, ...]) -> Tensor: ...
def sum_to(input: Tensor, shape: tuple[int, ...]) -> Tensor: ...
def sum(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def mean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: int | None = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def any(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...
def all(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    axis: Dims = None,
    keepdims: bool | None = None,
) -> Tensor: ...

__all__ = [
    "all",
    "any",
    "mean",
    "prod",
    "sum",
    "sum_to",
]
METHODS: list[str]
