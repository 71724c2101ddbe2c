from collections.abc import Sequence
from typing import Any

from pydl._core.dtypes import DTypeLike
from pydl._core.tensor import Tensor

_Number = int | float | bool

def tensor(
    data: Any,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
) -> Tensor: ...
def empty(
    *sizes: int | Sequence[int],
    size: int | Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
    memory_format: Any = None,
) -> Tensor: ...
def zeros(
    *sizes: int | Sequence[int],
    size: int | Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
) -> Tensor: ...
def ones(
    *sizes: int | Sequence[int],
    size: int | Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
) -> Tensor: ...
def full(
    size: int | Sequence[int],
    fill_value: _Number,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
) -> Tensor: ...
def empty_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
    memory_format: Any = None,
) -> Tensor: ...
def zeros_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
    memory_format: Any = None,
) -> Tensor: ...
def ones_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
    memory_format: Any = None,
) -> Tensor: ...
def full_like(
    input: Tensor,
    fill_value: _Number,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
    memory_format: Any = None,
) -> Tensor: ...
def arange(
    start: _Number | Tensor | None = None,
    end: _Number | Tensor | None = None,
    step: _Number | Tensor = 1,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
) -> Tensor: ...
def linspace(
    start: _Number | Tensor,
    end: _Number | Tensor,
    steps: int,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
) -> Tensor: ...
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DTypeLike | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool | None = False,
) -> Tensor: ...
