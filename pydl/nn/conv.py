"""Convolutions and their transposes in one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from pydl import ops
from pydl.nn import init
from pydl.nn.checks import size_of, sizes_of
from pydl.nn.lazy import LazyModuleMixin
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter, UninitializedParameter
from pydl.tensor import Tensor, dtype, empty

Sizes = int | Sequence[int]
MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions and their transposes share; a subclass says in how many dimensions."""

    weight: Parameter
    bias: Parameter | None
    dims: ClassVar[int]
    transposed: ClassVar[bool] = False
    padding: Any        # a tuple, or 'same' or 'valid'

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes, padding: str | Sizes, dilation: Sizes,
                 output_padding: Sizes, groups: int, bias: bool, padding_mode: str, device: Any, dtype: dtype | None) -> None:
        super().__init__()
        layer = type(self).__name__
        self.in_channels, self.out_channels = size_of(layer, "in_channels", in_channels), size_of(layer, "out_channels", out_channels)
        self.groups = size_of(layer, "groups", groups)
        if self.groups < 1:
            raise ValueError(f"{layer}: groups: expected 1 or more, got {groups}")
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{layer}: groups: expected a divisor of {name}={channels}, got {groups}")
        self.kernel_size = sizes_of(layer, "kernel_size", kernel_size, self.dims, 1)
        self.stride = sizes_of(layer, "stride", stride, self.dims, 1)
        self.dilation = sizes_of(layer, "dilation", dilation, self.dims, 1)
        self.output_padding = sizes_of(layer, "output_padding", output_padding, self.dims)
        if not isinstance(padding, str):
            self.padding = sizes_of(layer, "padding", padding, self.dims)
        elif padding in ("same", "valid") and not self.transposed:
            self.padding = padding
        else:
            words = "" if self.transposed else "same, valid, "
            raise ValueError(f"{layer}: padding: expected {words}an int or {self.dims} of them, got {padding!r}")
        if padding == "same" and any(step != 1 for step in self.stride):
            raise ValueError(f"{layer}: padding='same' needs a stride of 1, got {stride}")
        if padding_mode not in MODES[:1 if self.transposed else None]:
            raise ValueError(f"{layer}: padding_mode: expected {MODES[0] if self.transposed else ', '.join(MODES)}, got {padding_mode!r}")
        self.padding_mode = padding_mode
        self.weight = Parameter(empty(self._weight_shape(), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty((self.out_channels,), device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        first, second = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        return (first, second // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draws the parameters anew: uniform in +-1/sqrt(fan_in), fan_in = the weight's second size times that of the kernel."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = init.fans(type(self).__name__, self.weight)[0]
            bound = 1 / math.sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        none = (0,) * self.dims
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}",
                 "" if self.padding == none else f"padding={self.padding}",
                 "" if self.dilation == (1,) * self.dims else f"dilation={self.dilation}",
                 "" if self.output_padding == none else f"output_padding={self.output_padding}",
                 "" if self.groups == 1 else f"groups={self.groups}", "" if self.bias is not None else "bias=False",
                 "" if self.padding_mode == "zeros" else f"padding_mode={self.padding_mode}"]
        return ", ".join(filter(None, parts))


class _Conv(_ConvNd):
    _activation: str | None = None      # what nn.utils.fuse() has it do to its output

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: str | Sizes = 0,
                 dilation: Sizes = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
                 dtype: dtype | None = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device, dtype)

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", activation={self._activation}" if self._activation is not None else "")

    def _border(self) -> list[int]:
        """The padding as nn.functional.pad takes it: before and after, the last dimension first."""
        if self.padding == "valid":
            return [0, 0] * self.dims
        if self.padding == "same":
            both = [step * (size - 1) for step, size in zip(self.dilation, self.kernel_size)]
            return [side for total in reversed(both) for side in (total // 2, total - total // 2)]
        return [side for one in reversed(self.padding) for side in (one, one)]

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = ops.pad(input, self._border(), self.padding_mode), 0
        if self._activation is not None:
            return ops.conv_activated(self._activation, input, weight, bias, self.stride, padding, self.dilation, self.groups)
        return CALLS[self.dims - 1](input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Conv):
    """Conv2d in one dimension: (N, in_channels, L) -> (N, out_channels, OL), or both without N. weight (out_channels,
    in_channels / groups, K), bias (out_channels,)."""

    dims = 1


class Conv2d(_Conv):
    """Cross-correlation with out_channels filters: (N, in_channels, H, W) -> (N, out_channels, OH, OW), or both without N, with
    OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1, OW likewise.

    kernel_size, stride, padding and dilation: an int, or one for each dimension; padding may be "valid" (none) or "same" (the output
    has the input's size; stride 1). padding_mode: zeros, reflect, replicate or circular, as in nn.functional.pad. groups: into that
    many parts channels are cut, each with filters of its own; in_channels of them is a depthwise convolution. weight (out_channels,
    in_channels / groups, KH, KW) and bias (out_channels,) start uniform in +-sqrt(groups / (in_channels KH KW)). Raises ValueError
    and TypeError for sizes that are none, and as nn.functional.conv2d does. Large 3x3 convolutions in float32 use Winograd's algorithm:
    see pydl.set_conv_precision.

    >>> import pydl
    >>> layer = pydl.nn.Conv2d(3, 8, 3, stride=2, padding=1)
    >>> layer(pydl.ones(2, 3, 9, 16)).shape, [(name, p.shape) for name, p in layer.named_parameters()]
    ((2, 8, 5, 8), [('weight', (8, 3, 3, 3)), ('bias', (8,))])
    """

    dims = 2


class Conv3d(_Conv):
    """Conv2d in three dimensions: (N, in_channels, D, H, W) -> (N, out_channels, OD, OH, OW), or both without N. weight
    (out_channels, in_channels / groups, KD, KH, KW), bias (out_channels,)."""

    dims = 3


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0,
                 output_padding: Sizes = 0, groups: int = 1, bias: bool = True, dilation: Sizes = 1, padding_mode: str = "zeros",
                 device: Any = None, dtype: dtype | None = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias, padding_mode,
                         device, dtype)

    def _more_for(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output_padding with which the output has that size."""
        layer, dims = type(self).__name__, self.dims
        sizes, asked = tuple(input.shape), tuple(output_size)
        if len(sizes) - dims in (1, 2) and len(asked) == len(sizes):
            asked = asked[-dims:]
        if len(asked) != dims:
            raise ValueError(f"{layer}: output_size: expected {dims} sizes, or {len(sizes)} as input {sizes} has, got {tuple(output_size)}")
        least = [(size - 1) * step - 2 * pad + gap * (kernel - 1) + 1 for size, step, pad, gap, kernel in
                 zip(sizes[-dims:], self.stride, self.padding, self.dilation, self.kernel_size)]
        most = [low + step - 1 for low, step in zip(least, self.stride)]
        if any(not low <= size <= high for low, size, high in zip(least, asked, most)):
            raise ValueError(f"{layer}: output_size: expected sizes from {least} to {most} for input {sizes}, got {list(asked)}")
        return tuple(size - low for size, low in zip(asked, least))

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        more = self.output_padding if output_size is None else self._more_for(input, output_size)
        return TRANSPOSED_CALLS[self.dims - 1](input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation)


class ConvTranspose1d(_ConvTranspose):
    """ConvTranspose2d in one dimension: (N, in_channels, L) -> (N, out_channels, OL), or both without N. weight (in_channels,
    out_channels / groups, K), bias (out_channels,)."""

    dims = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of Conv2d's map: (N, in_channels, H, W) -> (N, out_channels, OH, OW), or both without N, with
    OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1, OW likewise.

    A stride s > 1 gives s sizes that Conv2d would map to H: output_padding, or `output_size` of the call, (OH, OW) or the whole
    shape, chooses among them. weight (in_channels, out_channels / groups, KH, KW) and bias (out_channels,) start uniform in
    +-sqrt(groups / (out_channels KH KW)). padding_mode: only "zeros". Raises ValueError and TypeError for sizes that are none, and as
    nn.functional.conv_transpose2d does. Zeiler et al., "Deconvolutional networks", 2010.

    >>> import pydl
    >>> down, up = pydl.nn.Conv2d(3, 3, 3, stride=2, padding=1), pydl.nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1)
    >>> x = pydl.ones(1, 3, 12, 12)
    >>> up(down(x)).shape, up(down(x), output_size=x.shape).shape
    ((1, 3, 11, 11), (1, 3, 12, 12))
    """

    dims = 2


class ConvTranspose3d(_ConvTranspose):
    """ConvTranspose2d in three dimensions: (N, in_channels, D, H, W) -> (N, out_channels, OD, OH, OW), or both without N. weight
    (in_channels, out_channels / groups, KD, KH, KW), bias (out_channels,)."""

    dims = 3


CALLS = (ops.conv1d, ops.conv2d, ops.conv3d)
TRANSPOSED_CALLS = (ops.conv_transpose1d, ops.conv_transpose2d, ops.conv_transpose3d)


# ---- Channels that the first input tells

def wait(module: Any, out_channels: int, bias: bool, device: Any, dtype: dtype | None) -> None:
    """Parameters without a shape, in place of those that zero channels have."""
    layer = type(module).__name__
    module.out_channels = size_of(layer, "out_channels", out_channels)
    if module.out_channels % module.groups:
        raise ValueError(f"{layer}: groups: expected a divisor of out_channels={out_channels}, got {module.groups}")
    module.weight = UninitializedParameter(device=device, dtype=dtype)
    if bias:
        module.bias = UninitializedParameter(device=device, dtype=dtype)


class _LazyConvNd(LazyModuleMixin):
    def reset_parameters(self: Any) -> None:
        """Draws the parameters anew, once they are there."""
        if not self.has_uninitialized_params() and self.in_channels:
            super().reset_parameters()      # type: ignore[misc]

    def initialize_parameters(self: Any, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Takes the input's channels as in_channels."""
        layer, shape = type(self).__name__, tuple(input.shape)
        if len(shape) - self.dims not in (1, 2):
            raise ValueError(f"{layer}: expected an input of {self.dims + 1} or {self.dims + 2} dimensions, got shape {shape}")
        channels = shape[-self.dims - 1]
        if channels % self.groups:
            raise ValueError(f"{layer}: groups: expected a divisor of the {channels} channels of input {shape}, got {self.groups}")
        self.in_channels = channels
        if self.has_uninitialized_params():
            self.weight.materialize(self._weight_shape())
            if self.bias is not None:
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()


class _LazyConv(_LazyConvNd):
    def __init__(self, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: str | Sizes = 0, dilation: Sizes = 1,
                 groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: dtype | None = None) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        wait(self, out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """Conv1d whose in_channels are those of the first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """Conv2d whose in_channels are those of the first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """Conv3d whose in_channels are those of the first input."""

    cls_to_become = Conv3d


class _LazyConvTranspose(_LazyConvNd):
    def __init__(self, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0, output_padding: Sizes = 0,
                 groups: int = 1, bias: bool = True, dilation: Sizes = 1, padding_mode: str = "zeros", device: Any = None,
                 dtype: dtype | None = None) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode)
        wait(self, out_channels, bias, device, dtype)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """ConvTranspose1d whose in_channels are those of the first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """ConvTranspose2d whose in_channels are those of the first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """ConvTranspose3d whose in_channels are those of the first input."""

    cls_to_become = ConvTranspose3d
