"""PyTorch's `torch.nn.functional` names: the ops behind the layers, as functions."""

from collections.abc import Callable

from pydl import ops
from pydl.ops import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    dropout,
    gelu,
    l1_loss,
    linear,
    log_softmax,
    mse_loss,
    nll_loss,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from pydl.tensor import Tensor

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def in_place(op: Callable, input: Tensor, *arguments: float) -> Tensor:
    """Overwrites the input by op(input); where its old values are needed for the backward, the graph gets a copy of them."""
    return input.copy_(op(input.clone() if input.requires_grad else input, *arguments))


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), elementwise."""
    return input.relu_() if inplace else ops.relu(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), elementwise (Elfwing et al. 2018)."""
    return in_place(ops.silu, input) if inplace else ops.silu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, else negative_slope x."""
    return in_place(ops.leaky_relu, input, negative_slope) if inplace else ops.leaky_relu(input, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, else alpha (exp(x) - 1) (Clevert et al. 2016)."""
    return in_place(ops.elu, input, alpha) if inplace else ops.elu(input, alpha)
