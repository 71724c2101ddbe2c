"""Dropout (Srivastava et al. 2014)."""

from pydl import ops
from pydl.nn.module import Module
from pydl.tensor import Tensor


class Dropout(Module):
    """In training, zeroes each element with probability p and scales the others by 1 / (1 - p); in evaluation, y = x."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not isinstance(p, (int, float)):
            raise TypeError(f"Dropout: p: expected a number, got {p!r}")
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p: expected a probability from 0 to 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return ops.dropout(input, self.p, self.training, self.inplace) if self.training else input

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
