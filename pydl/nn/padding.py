"""Layers that put a border around their input; a negative pad takes away. One number for all sides, or (left, right, top, bottom, ...)."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import SupportsIndex

from pydl.nn import functional
from pydl.nn.module import Module
from pydl.tensor import Tensor


def sides_of(layer: str, padding: SupportsIndex | Sequence[SupportsIndex], dims: int) -> tuple[int, ...]:
    """Two numbers for each of `dims` dimensions."""
    given = tuple(padding) if isinstance(padding, Sequence) else (padding,) * (2 * dims)
    if len(given) != 2 * dims:
        raise ValueError(f"{layer}: padding: expected an int or {2 * dims} of them, got {padding!r}")
    try:
        return tuple(operator.index(side) for side in given)
    except TypeError:
        raise TypeError(f"{layer}: padding: expected an int or {2 * dims} of them, got {padding!r}") from None


class _Pad(Module):
    """What these layers share; a subclass says how many dimensions, and what of its input's may be missing in front of them."""

    _dims = 0
    _mode = "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = sides_of(type(self).__name__, padding, self._dims)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (self._dims + 1, self._dims + 2):
            ranks = f"{self._dims + 1} or {self._dims + 2}"
            raise ValueError(f"{type(self).__name__}: expected input of {ranks} dimensions, got shape {input.shape}")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return functional.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return functional.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """`value` on both sides of the last dimension: (*, W) -> (*, left + W + right)."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last two dimensions: (*, H, W) -> (*, top + H + bottom, left + W + right)."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last three dimensions: (*, D, H, W) -> (*, front + D + back, top + H + bottom, left + W + right)."""

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """ConstantPad1d with 0."""

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """ConstantPad2d with 0."""

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """ConstantPad3d with 0."""

    _dims = 3


class _ReflectionPad(_Pad):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """The mirror image at the ends of the last dimension, without the ends themselves: (N, C, W) or (C, W); pads below W."""

    _dims = 1


class ReflectionPad2d(_ReflectionPad):
    """The mirror image at the edges, without the edges themselves: (N, C, H, W) or (C, H, W); pads below the sizes."""

    _dims = 2


class ReflectionPad3d(_ReflectionPad):
    """The mirror image at the faces, without the faces themselves: (N, C, D, H, W) or (C, D, H, W); pads below the sizes."""

    _dims = 3


class _ReplicationPad(_Pad):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """The ends of the last dimension repeated: (N, C, W) or (C, W)."""

    _dims = 1


class ReplicationPad2d(_ReplicationPad):
    """The edges repeated: (N, C, H, W) or (C, H, W)."""

    _dims = 2


class ReplicationPad3d(_ReplicationPad):
    """The faces repeated: (N, C, D, H, W) or (C, D, H, W)."""

    _dims = 3


class _CircularPad(_Pad):
    _mode = "circular"


class CircularPad1d(_CircularPad):
    """What is at the other end of the last dimension: (N, C, W) or (C, W); pads up to W."""

    _dims = 1


class CircularPad2d(_CircularPad):
    """What is at the other edge: (N, C, H, W) or (C, H, W); pads up to the sizes."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """What is at the other face: (N, C, D, H, W) or (C, D, H, W); pads up to the sizes."""

    _dims = 3
