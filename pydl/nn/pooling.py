"""Layers that pool: the largest or the mean of windows that slide over images, of windows that divide them, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pydl import ops
from pydl.nn.module import Module
from pydl.tensor import Tensor

Ints = int | Sequence[int]
Sizes = int | Sequence[int | None] | None


class _Pool(Module):
    """What the layers of 1, 2 and 3 dimensions share."""

    pool: ClassVar[Callable[..., Any]]
    kernel_size: Ints
    stride: Ints
    padding: Ints

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _MaxPool(_Pool):
    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1, return_indices: bool = False,
                 ceil_mode: bool = False) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return type(self).pool(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class MaxPool1d(_MaxPool):
    """The largest of every window: (N, C, L) -> (N, C, O), or (C, L) -> (C, O); `pydl.max_pool1d` says more."""

    pool = staticmethod(ops.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest of every window: (N, C, H, W) -> (N, C, OH, OW), or without N; `pydl.max_pool1d` says more."""

    pool = staticmethod(ops.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest of every window: (N, C, D, H, W) -> (N, C, OD, OH, OW), or without N; `pydl.max_pool1d` says more."""

    pool = staticmethod(ops.max_pool3d)


def each(value: Ints, dims: int) -> tuple[int, ...]:
    """An int `dims` times; a sequence as it is."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * dims


class _MaxUnpool(_Pool):
    dims: ClassVar[int]

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> None:
        super().__init__()
        self.kernel_size = each(kernel_size, self.dims)
        self.stride, self.padding = self.kernel_size if stride is None else each(stride, self.dims), each(padding, self.dims)

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return type(self).pool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    """Puts what MaxPool1d chose back where its indices say, among zeros; `nn.functional.max_unpool1d` says more."""

    dims, pool = 1, staticmethod(ops.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Puts what MaxPool2d chose back where its indices say, among zeros; `nn.functional.max_unpool1d` says more."""

    dims, pool = 2, staticmethod(ops.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Puts what MaxPool3d chose back where its indices say, among zeros; `nn.functional.max_unpool1d` says more."""

    dims, pool = 3, staticmethod(ops.max_unpool3d)


class AvgPool1d(_Pool):
    """The mean of every window: (N, C, L) -> (N, C, O), or (C, L) -> (C, O); `pydl.avg_pool1d` says more."""

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> None:
        super().__init__()
        self.kernel_size = each(kernel_size, 1)
        self.stride, self.padding = self.kernel_size if stride is None else each(stride, 1), each(padding, 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return ops.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _AvgPool(_Pool):
    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True, divisor_override: int | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return type(self).pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
                               self.divisor_override)


class AvgPool2d(_AvgPool):
    """The mean of every window: (N, C, H, W) -> (N, C, OH, OW), or without N; `pydl.avg_pool1d` says more."""

    pool = staticmethod(ops.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of every window: (N, C, D, H, W) -> (N, C, OD, OH, OW), or without N; `pydl.avg_pool1d` says more."""

    pool = staticmethod(ops.avg_pool3d)


class _AdaptiveMaxPool(Module):
    pool: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self).pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of output_size windows that divide (N, C, L) or (C, L); `nn.functional.adaptive_max_pool1d` says more."""

    pool = staticmethod(ops.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of output_size windows that divide (N, C, H, W) or (C, H, W); None keeps a size."""

    pool = staticmethod(ops.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of output_size windows that divide (N, C, D, H, W) or (C, D, H, W); None keeps a size."""

    pool = staticmethod(ops.adaptive_max_pool3d)


class _AdaptiveAvgPool(Module):
    pool: ClassVar[Callable[..., Tensor]]

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return type(self).pool(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of output_size windows that divide (N, C, L) or (C, L); `pydl.adaptive_avg_pool1d` says more."""

    pool = staticmethod(ops.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of output_size windows that divide (N, C, H, W) or (C, H, W); None keeps a size, 1 is global pooling."""

    pool = staticmethod(ops.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean of output_size windows that divide (N, C, D, H, W) or (C, D, H, W); None keeps a size, 1 is global pooling."""

    pool = staticmethod(ops.adaptive_avg_pool3d)


class _LPPool(Module):
    pool: ClassVar[Callable[..., Tensor]]

    def __init__(self, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return type(self).pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class LPPool1d(_LPPool):
    """(sum of x^p)^(1/p) of every window of (N, C, L) or (C, L); `nn.functional.lp_pool1d` says more."""

    pool = staticmethod(ops.lp_pool1d)


class LPPool2d(_LPPool):
    """(sum of x^p)^(1/p) of every window of (N, C, H, W) or (C, H, W); `nn.functional.lp_pool1d` says more."""

    pool = staticmethod(ops.lp_pool2d)


class LPPool3d(_LPPool):
    """(sum of x^p)^(1/p) of every window of (N, C, D, H, W) or (C, D, H, W); `nn.functional.lp_pool1d` says more."""

    pool = staticmethod(ops.lp_pool3d)


class _FractionalMaxPool(Module):
    pool: ClassVar[Callable[..., Any]]
    dims: ClassVar[int]
    _random_samples: Tensor | None

    def __init__(self, kernel_size: Ints, output_size: Ints | None = None, output_ratio: float | Sequence[float] | None = None,
                 return_indices: bool = False, _random_samples: Tensor | None = None) -> None:
        super().__init__()
        layer = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{layer}: expected either output_size or output_ratio, got {output_size} and {output_ratio}")
        self.kernel_size, self.return_indices = each(kernel_size, self.dims), return_indices
        self.output_size = None if output_size is None else each(output_size, self.dims)
        self.output_ratio: tuple[float, ...] | None = None
        if output_ratio is not None:
            self.output_ratio = tuple(output_ratio) if isinstance(output_ratio, Sequence) else (output_ratio,) * self.dims
            if not all(0 < ratio < 1 for ratio in self.output_ratio):
                raise ValueError(f"{layer}: output_ratio must be between 0 and 1, got {output_ratio}")
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        return type(self).pool(input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest of windows with random steps, of (N, C, H, W) or (C, H, W) (Graham 2014): `nn.functional.fractional_max_pool2d`."""

    dims, pool = 2, staticmethod(ops.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest of windows with random steps, of (N, C, D, H, W) or (C, D, H, W): `nn.functional.fractional_max_pool3d`."""

    dims, pool = 3, staticmethod(ops.fractional_max_pool3d)
