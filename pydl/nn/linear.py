"""Affine layers and changes of shape."""

import math
from collections.abc import Sequence
from typing import Any, SupportsIndex

from pydl import ops
from pydl.nn import init
from pydl.nn.checks import size_of
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter
from pydl.tensor import Tensor, dtype, empty


class Identity(Module):
    """y = x, whatever arguments it was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """y = x weight^T + bias: (*, in_features) -> (*, out_features).

    weight (out_features, in_features) and bias (out_features,) start uniform in +-1/sqrt(in_features).

    >>> import pydl
    >>> layer = pydl.nn.Linear(3, 2)
    >>> layer(pydl.ones(5, 3)).shape, [(name, p.shape) for name, p in layer.named_parameters()]
    ((5, 2), [('weight', (2, 3)), ('bias', (2,))])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None,
                 dtype: dtype | None = None) -> None:
        super().__init__()
        in_features, out_features = size_of("Linear", "in_features", in_features), size_of("Linear", "out_features", out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty((out_features, in_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty((out_features,), dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return ops.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_k = x1^T weight_k x2 + bias_k: (*, in1_features), (*, in2_features) -> (*, out_features).

    weight (out_features, in1_features, in2_features) and bias (out_features,) start uniform in +-1/sqrt(in1_features).
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device: Any = None,
                 dtype: dtype | None = None) -> None:
        super().__init__()
        in1_features, in2_features, out_features = (size_of("Bilinear", name, size) for name, size in (
            ("in1_features", in1_features), ("in2_features", in2_features), ("out_features", out_features)))
        if in1_features == 0:
            raise ValueError(f"Bilinear: in1_features: expected 1 or more, got {in1_features}")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(empty((out_features, in1_features, in2_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty((out_features,), dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return ops.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")


class Flatten(Module):
    """Joins the dimensions start_dim to end_dim into one: (N, C, H, W) -> (N, C * H * W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return ops.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits dimension `dim` into several: dim=1, (C, H, W): (N, C * H * W) -> (N, C, H, W). One size may be -1: what is left."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(dim, SupportsIndex):
            raise TypeError(f"Unflatten: dim: expected an int, got {dim!r}")
        if not isinstance(unflattened_size, Sequence) or not all(isinstance(size, SupportsIndex) for size in unflattened_size):
            raise TypeError(f"Unflatten: unflattened_size: expected a sequence of ints, got {unflattened_size!r}")
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return ops.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
