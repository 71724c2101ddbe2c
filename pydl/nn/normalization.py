"""Layers that normalise: over the last dimensions, over groups of channels, over a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from pydl import ops
from pydl.autograd import no_grad
from pydl.nn import init
from pydl.nn.checks import size_of
from pydl.nn.lazy import LazyModuleMixin
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter
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


class _BatchNorm(Module):
    """What the batch normalisations share; a subclass says which inputs it takes."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
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
        raise NotImplementedError(f"{type(self).__name__}: _check_input_dim is not defined")

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

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, bias={self.bias is not None}, "
                f"track_running_stats={self.track_running_stats}")


class BatchNorm1d(_BatchNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias with mean and var of every channel of the batch: (N, C) or (N, C, L).

    In evaluation mode mean and var are running ones, moved in training by running += momentum (batch's - running), the variance
    being that of n - 1; momentum=None: the plain average over all batches, which num_batches_tracked counts.
    track_running_stats=False: there are none, and the batch's are always used. weight and bias (num_features,) start as 1 and 0;
    affine=False: there are none. Raises ValueError for other shapes, and in training for one value per channel.
    Ioffe & Szegedy 2015.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: expected (N, C) or (N, C, L), got shape {tuple(input.shape)}")


class LazyBatchNorm1d(LazyModuleMixin, BatchNorm1d):
    """BatchNorm1d whose num_features is the second size of the first input."""

    cls_to_become = BatchNorm1d

    def __init__(self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
                 device: Any = None, dtype: dtype | None = None, *, bias: bool = True) -> None:
        super().__init__(0, eps, momentum, False, False)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, dtype=int64)

    def reset_parameters(self) -> None:
        """Sets everything anew, once it is there."""
        if not self.has_uninitialized_params() and self.num_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Takes the second size of the input as num_features."""
        self._check_input_dim(input)
        lazy = self.has_uninitialized_params()
        self.num_features = input.shape[1]
        if lazy:
            for part in (self.weight, self.bias, self.running_mean, self.running_var):
                if part is not None:
                    part.materialize((self.num_features,))      # type: ignore[attr-defined]
            self.reset_parameters()
