"""What is made of softmax: softmin, and Gumbel's relaxation of a random choice."""
import warnings
from typing import Any

from pydl._core.checks import dim_arg, tensor_arg
from pydl._core.create import zeros_like
from pydl._core.dtypes import dtype as DType
from pydl._core.dtypes import float64
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, neg, sub
from pydl.ops.elementwise import log
from pydl.ops.extremes import argmax
from pydl.ops.gather import scatter
from pydl.ops.random import rand
from pydl.ops.softmax import softmax


def softmin(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """exp(-x_i) / sum_j exp(-x_j) along dim: softmax(-x). float32 or float64, or what `dtype` makes of input.

    Raises IndexError for a dim out of range.
    """
    x = tensor_arg("softmin", input, "input")
    x = x if dtype is None else x.to(dtype)
    if not x.is_floating_point():
        raise TypeError(f"softmin: expected a float32 or float64 tensor, got {x.dtype}")
    return softmax(neg(x), dim_arg("softmin", dim, x.ndim))


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1, *,
                   generator: Any = None) -> Tensor:
    """softmax((logits + g) / tau) along dim, g independent Gumbel numbers: a choice with the probabilities softmax(logits), softened.

    hard=True returns the choice itself as a one-hot vector, with the gradient of the softened one (Jang, Gu & Poole 2017;
    Maddison, Mnih & Teh 2017). logits (*) -> (*), float32 or float64; eps has no effect, as in PyTorch. Raises ValueError for a
    tau that is not above 0.
    """
    x = tensor_arg("gumbel_softmax", logits, "logits")
    if not x.is_floating_point():
        raise TypeError(f"gumbel_softmax: expected a float32 or float64 tensor, got {x.dtype}")
    if not isinstance(tau, (int, float)):
        raise TypeError(f"gumbel_softmax: tau must be a number, got {type(tau).__name__}")
    if not tau > 0:
        raise ValueError(f"gumbel_softmax: tau must be above 0, got {tau}")
    if eps != 1e-10:
        warnings.warn("gumbel_softmax: eps has no effect", stacklevel=2)
    d = dim_arg("gumbel_softmax", dim, x.ndim)
    uniform = add(rand(x.shape, dtype=float64, generator=generator), 2.0**-55)     # neither 0 nor, rounded, 1
    soft = softmax(div(sub(x, log(neg(log(uniform))).to(x.dtype)), tau), d)
    if not hard or soft.numel() == 0:
        return soft
    best = argmax(soft.detach(), d, keepdim=True)
    return add(scatter(zeros_like(soft), d, best, 1.0), sub(soft, soft.detach()))


__all__ = ["gumbel_softmax", "softmin"]
METHODS: list[str] = []
