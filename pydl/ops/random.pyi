from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex

from pydl._core.dtypes import DTypeLike
from pydl._core.generator import Generator
from pydl._core.tensor import Tensor

def rand(
    *sizes: int | Sequence[int],
    size: int | Sequence[int] | None = None,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor: ...
def randn(
    *sizes: int | Sequence[int],
    size: int | Sequence[int] | None = None,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor: ...
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor: ...
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor: ...
def randint(
    low: SupportsIndex,
    high: SupportsIndex | Sequence[int] | None = None,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor: ...
def randperm(
    n: SupportsIndex,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor: ...
def normal(
    mean: Tensor | SupportsFloat,
    std: Tensor | SupportsFloat = 1.0,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor: ...
def bernoulli(input: Tensor, p: SupportsFloat | None = None, *, generator: Generator | None = None) -> Tensor: ...
def multinomial(input: Tensor, num_samples: SupportsIndex, replacement: bool = False, *, generator: Generator | None = None) -> Tensor: ...
def uniform_(input: Tensor, low: SupportsFloat = 0.0, to: SupportsFloat = 1.0, *, generator: Generator | None = None) -> Tensor: ...
def normal_(input: Tensor, mean: SupportsFloat = 0.0, std: SupportsFloat = 1.0, *, generator: Generator | None = None) -> Tensor: ...
def trunc_normal_(
    input: Tensor,
    mean: SupportsFloat = 0.0,
    std: SupportsFloat = 1.0,
    a: SupportsFloat = -2.0,
    b: SupportsFloat = 2.0,
    *,
    generator: Generator | None = None,
) -> Tensor: ...
def fill_transformed(name: str, input: Tensor, which: int, a: float, b: float, generator: Generator | None) -> Tensor: ...
def draw_counts(rates: Tensor, p: Tensor | None, generator: Generator | None) -> Tensor: ...
def bernoulli_(input: Tensor, p: Tensor | SupportsFloat = 0.5, *, generator: Generator | None = None) -> Tensor: ...
def random_(input: Tensor, low: SupportsIndex = 0, to: SupportsIndex | None = None, *, generator: Generator | None = None) -> Tensor: ...
def dropout(
    input: Tensor, p: SupportsFloat = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor: ...
def dropout_bwd(input: Tensor, used: Tensor, p: SupportsFloat) -> Tensor: ...

__all__ = [
    "bernoulli",
    "bernoulli_",
    "dropout",
    "dropout_bwd",
    "multinomial",
    "normal",
    "normal_",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "random_",
    "randperm",
    "trunc_normal_",
    "uniform_",
]
METHODS: list[str]
