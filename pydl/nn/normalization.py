"""Layers that normalise: over the last dimensions, over channels or groups of them, over a batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, SupportsIndex

from pydl import ops
from pydl.autograd import no_grad
from pydl.nn import init
from pydl.nn.checks import size_of
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter
from pydl.tensor import Tensor, dtype, empty, int64, ones, tensor, zeros


def row_shape(layer: str, normalized_shape: SupportsIndex | Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not sizes or not all(isinstance(size, SupportsIndex) for size in sizes):
        raise TypeError(f"{layer}: normalized_shape: expected an int or ints, one or more, got {normalized_shape!r}")
    return tuple(size_of(layer, "normalized_shape", size) for size in sizes)


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, of sizes normalized_shape (Ba et al. 2016): (*) -> (*).

    weight and bias, of normalized_shape, start as 1 and 0; elementwise_affine=False: there are none; bias=False: no bias.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
                 device: Any = None, dtype: dtype | None = None) -> None:
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = row_shape("LayerNorm", normalized_shape), eps, elementwise_affine
        made = [Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if there else None
                for there in (elementwise_affine, elementwise_affine and bias)]
        self.register_parameter("weight", made[0])
        self.register_parameter("bias", made[1])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets weight to 1 and bias to 0."""
        set_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        return ops.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last dimensions, of sizes normalized_shape (Zhang & Sennrich 2019): (*) -> (*).

    eps=None: finfo(dtype).eps. weight, of normalized_shape, starts as 1; elementwise_affine=False: there is none.
    """

    weight: Parameter | None

    def __init__(self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
                 device: Any = None, dtype: dtype | None = None) -> None:
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = row_shape("RMSNorm", normalized_shape), eps, elementwise_affine
        made = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets weight to 1."""
        set_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        return ops.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, mean and var of every group of channels of a sample (Wu & He 2018).

    (N, num_channels, *) -> the same. weight and bias (num_channels,) start as 1 and 0; affine=False: there are none.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
                 dtype: dtype | None = None, *, bias: bool = True) -> None:
        super().__init__()
        num_groups, num_channels = size_of("GroupNorm", "num_groups", num_groups), size_of("GroupNorm", "num_channels", num_channels)
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups: expected a divisor of num_channels={num_channels}, got {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        made = [Parameter(empty((num_channels,), device=device, dtype=dtype)) if there else None for there in (affine, affine and bias)]
        self.register_parameter("weight", made[0])
        self.register_parameter("bias", made[1])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets weight to 1 and bias to 0."""
        set_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        return ops.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


def set_affine(module: Any) -> None:
    if module.weight is not None:
        init.ones_(module.weight)
    if getattr(module, "bias", None) is not None:
        init.zeros_(module.bias)


class _NormBase(Module):
    """Parameters and running statistics of every channel; a subclass says which inputs it takes, by their dimensions."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    inputs: ClassVar[dict[int, str]]
    _optional_state = ("num_batches_tracked",)      # states from before there was a counter have none

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: Any = None, dtype: dtype | None = None, *, bias: bool = True) -> None:
        super().__init__()
        num_features = size_of(type(self).__name__, "num_features", num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        made = [Parameter(empty((num_features,), device=device, dtype=dtype)) if there else None for there in (affine, affine and bias)]
        self.register_parameter("weight", made[0])
        self.register_parameter("bias", made[1])
        self.register_buffer("running_mean", zeros((num_features,), device=device, dtype=dtype) if track_running_stats else None)
        self.register_buffer("running_var", ones((num_features,), device=device, dtype=dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forgets the batches seen: mean 0, variance 1."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with no_grad():
                self.running_mean.zero_()
                self.running_var.fill_(1)
                self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forgets the batches seen, and sets weight to 1 and bias to 0."""
        self.reset_running_stats()
        set_affine(self)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self.inputs:
            raise ValueError(f"{type(self).__name__}: expected {' or '.join(self.inputs.values())}, got shape {tuple(input.shape)}")

    def _channel_dim(self, input: Tensor) -> int:
        return 1

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, bias={self.bias is not None}, "
                f"track_running_stats={self.track_running_stats}")


class _BatchNorm(_NormBase):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        mean, var, batches = self.running_mean, self.running_var, self.num_batches_tracked
        counts = self.training and self.track_running_stats and batches is not None
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / (batches.item() + 1) if counts and batches is not None else 0.0
        of_batch = self.training or (mean is None and var is None)
        if self.training and not self.track_running_stats:
            mean = var = None
        y = ops.batch_norm(input, mean, var, self.weight, self.bias, of_batch, momentum, self.eps)
        if counts and batches is not None:
            batches.add_(1)
        return y


class BatchNorm1d(_BatchNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias with mean and var of every channel of the batch: (N, C) or (N, C, L).

    In evaluation mode mean and var are running ones, moved in training by running += momentum (batch's - running), the variance
    being that of n - 1; momentum=None: the plain average over all batches, which num_batches_tracked counts.
    track_running_stats=False: there are none, and the batch's are always used. weight and bias (num_features,) start as 1 and 0;
    affine=False: there are none. Raises ValueError for other shapes, and in training for one value per channel.
    Ioffe & Szegedy 2015.
    """

    inputs = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """BatchNorm1d of images: (N, C, H, W)."""

    inputs = {4: "(N, C, H, W)"}


class BatchNorm3d(_BatchNorm):
    """BatchNorm1d of volumes: (N, C, D, H, W)."""

    inputs = {5: "(N, C, D, H, W)"}


class _InstanceNorm(_NormBase):
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
                 track_running_stats: bool = False, device: Any = None, dtype: dtype | None = None, *, bias: bool = True) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        dim = self._channel_dim(input)
        channels = input.shape[dim]
        if channels != self.num_features:
            words = f"{type(self).__name__}: input {tuple(input.shape)} has {channels} channels, num_features is {self.num_features}"
            if self.affine or self.track_running_stats:
                raise ValueError(words)
            warnings.warn(f"{words}, which is not used without affine", stacklevel=2)
        y = ops.instance_norm(input if dim else input.unsqueeze(0), self.running_mean, self.running_var, self.weight, self.bias,
                              self.training or not self.track_running_stats, 0.0 if self.momentum is None else self.momentum, self.eps)
        return y if dim else y.squeeze(0)

    def _channel_dim(self, input: Tensor) -> int:
        return 0 if input.ndim == min(self.inputs) else 1


class InstanceNorm1d(_InstanceNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias with mean and var of every channel of every sample: (N, C, L) or (C, L).

    affine=True: weight and bias (num_features,), which start as 1 and 0. track_running_stats=True: running += momentum (mean of the
    samples' - running) in training, the variance being that of n - 1, used in evaluation; without, the input's are always used.
    Raises ValueError for other shapes and for one value per channel. Ulyanov, Vedaldi & Lempitsky 2016.
    """

    inputs = {2: "(C, L)", 3: "(N, C, L)"}


class InstanceNorm2d(_InstanceNorm):
    """InstanceNorm1d of images: (N, C, H, W) or (C, H, W)."""

    inputs = {3: "(C, H, W)", 4: "(N, C, H, W)"}


class InstanceNorm3d(_InstanceNorm):
    """InstanceNorm1d of volumes: (N, C, D, H, W) or (C, D, H, W)."""

    inputs = {4: "(C, D, H, W)", 5: "(N, C, D, H, W)"}


class LocalResponseNorm(Module):
    """y = x / (k + alpha / size * s)^beta, s the sum of the squares of `size` neighbouring channels: (N, C, *) -> the same.

    Krizhevsky, Sutskever & Hinton 2012. Raises ValueError for fewer than three dimensions.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return ops.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
