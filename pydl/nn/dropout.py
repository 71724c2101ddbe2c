"""Dropout (Srivastava et al. 2014) and its kin."""

from pydl import ops
from pydl.nn.module import Module
from pydl.tensor import Tensor


class AnyDropout(Module):
    """What they share: the probability p of being dropped."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        caller = type(self).__name__
        if not isinstance(p, (int, float)):
            raise TypeError(f"{caller}: p: expected a number, got {p!r}")
        if not 0 <= p <= 1:
            raise ValueError(f"{caller}: p: expected a probability from 0 to 1, got {p}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(AnyDropout):
    """In training, zeroes each element with probability p and scales the others by 1 / (1 - p); in evaluation, y = x."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.dropout(input, self.p, self.training, self.inplace) if self.training else input


class Dropout1d(AnyDropout):
    """Dropout of whole channels of (N, C, L) or (C, L)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(AnyDropout):
    """Dropout of whole channels of (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(AnyDropout):
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(AnyDropout):
    """Dropout that keeps mean 0 and variance 1, for SELU (Klambauer et al. 2017)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(AnyDropout):
    """AlphaDropout of whole channels of (N, C, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.feature_alpha_dropout(input, self.p, self.training, self.inplace)
