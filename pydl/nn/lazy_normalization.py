"""Batch and instance normalisation whose number of channels the first input tells."""

from __future__ import annotations

from typing import Any

from pydl.nn.lazy import LazyModuleMixin
from pydl.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from pydl.nn.parameter import UninitializedBuffer, UninitializedParameter
from pydl.tensor import Tensor, dtype, int64, tensor


def wait(module: Any, device: Any, dtype: dtype | None, bias: bool) -> None:
    """Parameters and statistics without a shape, in place of those that zero channels have."""
    if module.affine:
        module.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            module.bias = UninitializedParameter(device=device, dtype=dtype)
    if module.track_running_stats:
        module.running_mean = UninitializedBuffer(device=device, dtype=dtype)
        module.running_var = UninitializedBuffer(device=device, dtype=dtype)
        module.num_batches_tracked = tensor(0, dtype=int64)


class _LazyNorm(LazyModuleMixin):
    def __init__(self: Any, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
                 device: Any = None, dtype: dtype | None = None, *, bias: bool = True) -> None:
        super().__init__(0, eps, momentum, False, False)
        self.affine, self.track_running_stats = affine, track_running_stats
        wait(self, device, dtype, bias)

    def reset_parameters(self: Any) -> None:
        """Sets everything anew, once it is there."""
        if not self.has_uninitialized_params() and self.num_features:
            super().reset_parameters()      # type: ignore[misc]

    def initialize_parameters(self: Any, input: Tensor) -> None:
        """Takes the input's channels as num_features."""
        self._check_input_dim(input)
        lazy = self.has_uninitialized_params()
        self.num_features = input.shape[self._channel_dim(input)]
        if lazy:
            for part in (self.weight, self.bias, self.running_mean, self.running_var):
                if part is not None:
                    part.materialize((self.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """BatchNorm1d whose num_features is the second size of the first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """BatchNorm2d whose num_features is the second size of the first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """BatchNorm3d whose num_features is the second size of the first input."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """InstanceNorm1d whose num_features are the channels of the first input. As in PyTorch, affine and tracking unless told otherwise."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """InstanceNorm2d whose num_features are the channels of the first input. As in PyTorch, affine and tracking unless told otherwise."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """InstanceNorm3d whose num_features are the channels of the first input. As in PyTorch, affine and tracking unless told otherwise."""

    cls_to_become = InstanceNorm3d
