"""Local response normalisation: of a channel by its neighbours."""
from __future__ import annotations

from typing import Any

from pydl._core.checks import int_arg, tensor_arg
from pydl._core.declare import declare
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, mul, pow
from pydl.ops.elementwise import square
from pydl.ops.parts import narrow


def sum_of_channels(input: Tensor, before: int, after: int) -> Tensor:
    """y[:, c] = the sum of x[:, c - before] ... x[:, c + after], as far as they exist."""
    x, channels = input.detach(), input.shape[1]
    y = x.clone()
    for step in range(1, min(max(before, after), channels - 1) + 1):
        rest = channels - step
        if step <= before:
            narrow(y, 1, step, rest).add_(narrow(x, 1, 0, rest))
        if step <= after:
            narrow(y, 1, 0, rest).add_(narrow(x, 1, step, rest))
    return SUM_OF_CHANNELS.record(y, (input,), (), (before, after))


def sum_of_channels_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    before, after = extra
    return sum_of_channels(dy, after, before)


SUM_OF_CHANNELS = declare(sum_of_channels, sum_of_channels_backward)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha / size * s)^beta, s the sum of the squares of `size` channels, size // 2 of them before the channel itself.

    input (N, C, *), three dimensions or more, float32 or float64 -> the same; channels that are not there count as zeros. Raises
    ValueError for fewer dimensions or a size below 1, TypeError for other types. Krizhevsky, Sutskever & Hinton, "ImageNet
    classification with deep convolutional neural networks", 2012.
    """
    name = "local_response_norm"
    x, width = tensor_arg(name, input, "input"), int_arg(name, size, "size")
    if not x.is_floating_point():
        raise TypeError(f"{name}: input must be float32 or float64, got {x.dtype} (shape {x.shape})")
    if x.ndim < 3:
        raise ValueError(f"{name}: expected input (N, C, *) of three dimensions or more, got shape {x.shape}")
    if width < 1:
        raise ValueError(f"{name}: expected a size of 1 or more, got {size} (input {x.shape})")
    for what, value in (("alpha", alpha), ("beta", beta), ("k", k)):
        if not isinstance(value, (int, float)):
            raise TypeError(f"{name}: {what} must be a number, got {type(value).__name__}")
    near = sum_of_channels(square(x), width // 2, (width - 1) // 2)
    return div(x, pow(add(mul(near, alpha / width), k), beta))


__all__ = ["local_response_norm"]
METHODS: list[str] = []
