"""Activations that write their result over the input, and return it. The graph keeps what the backward needs."""
from collections.abc import Callable
from typing import Any

from pydl._core.checks import tensor_arg
from pydl._core.inplace import in_place_form
from pydl._core.tensor import Tensor
from pydl.ops import activations

FORMS: dict[Callable[..., Tensor], Callable[..., Tensor]] = {}


def overwrite(op: Callable[..., Tensor], input: Tensor, *arguments: Any) -> Tensor:
    """input becomes op(input, *arguments). Raises RuntimeError for a leaf that wants a gradient."""
    name = f"{op.__name__}_"
    x = tensor_arg(name, input, "input")
    if op not in FORMS:
        FORMS[op] = in_place_form(op, name)
    return FORMS[op](x, *arguments)


def relu_(input: Tensor) -> Tensor:
    """relu(input), written over input."""
    return overwrite(activations.relu, input)


def sigmoid_(input: Tensor) -> Tensor:
    """sigmoid(input), written over input."""
    return overwrite(activations.sigmoid, input)


def tanh_(input: Tensor) -> Tensor:
    """tanh(input), written over input."""
    return overwrite(activations.tanh, input)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """threshold(input, threshold, value), written over input."""
    return overwrite(activations.threshold, input, threshold, value)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """hardtanh(input, min_val, max_val), written over input."""
    return overwrite(activations.hardtanh, input, min_val, max_val)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """leaky_relu(input, negative_slope), written over input."""
    return overwrite(activations.leaky_relu, input, negative_slope)


def rrelu_(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None) -> Tensor:
    """rrelu(input, lower, upper, training), written over input."""
    return overwrite(activations.rrelu, input, lower, upper, training, generator)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu(input, alpha), written over input."""
    return overwrite(activations.elu, input, alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """celu(input, alpha), written over input."""
    return overwrite(activations.celu, input, alpha)


def selu_(input: Tensor) -> Tensor:
    """selu(input), written over input."""
    return overwrite(activations.selu, input)


__all__ = ["celu_", "elu_", "hardtanh_", "leaky_relu_", "overwrite", "relu_", "rrelu_", "selu_", "sigmoid_", "tanh_", "threshold_"]
METHODS: list[str] = []
