"""Gradients of convolutions as functions of their own: torch.nn.grad's names."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydl import ops
from pydl.nn.checks import sizes_of
from pydl.tensor import Tensor

Sizes = int | Sequence[int]
TRANSPOSED: tuple[Callable[..., Tensor], ...] = (ops.conv_transpose1d, ops.conv_transpose2d, ops.conv_transpose3d)


def _input(dims: int, input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Sizes, padding: Sizes, dilation: Sizes,
           groups: int) -> Tensor:
    """The transposed convolution, with as much output_padding as gives that size."""
    name = f"conv{dims}d_input"
    if weight.ndim != dims + 2 or len(input_size) not in (dims + 1, dims + 2) or grad_output.ndim != len(input_size):
        raise ValueError(f"{name}: expected a weight of {dims + 2} dimensions, and grad_output and input_size of {dims + 2} or {dims + 1}, "
                         f"got weight {weight.shape}, grad_output {grad_output.shape}, input_size {tuple(input_size)}")
    steps, pads = sizes_of(name, "stride", stride, dims, 1), sizes_of(name, "padding", padding, dims)
    gaps = sizes_of(name, "dilation", dilation, dims, 1)
    least = [(size - 1) * step - 2 * pad + gap * (kernel - 1) + 1 for size, step, pad, gap, kernel in
             zip(grad_output.shape[-dims:], steps, pads, gaps, weight.shape[-dims:])]
    more = tuple(size - low for size, low in zip(input_size[-dims:], least))
    whole = (*grad_output.shape[:-dims - 1], weight.shape[1] * groups, *input_size[-dims:])
    if any(not 0 <= extra < step for extra, step in zip(more, steps)) or tuple(input_size) != whole:
        raise ValueError(f"{name}: no convolution of an input {tuple(input_size)} with weight {weight.shape}, stride {steps}, padding "
                         f"{pads}, dilation {gaps} and groups {groups} has an output {grad_output.shape}")
    return TRANSPOSED[dims - 1](grad_output, weight, None, steps, pads, more, groups, gaps)


def conv1d_input(input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1,
                 groups: int = 1) -> Tensor:
    """The gradient of conv1d's input, of shape input_size, for that of its output. It can be differentiated, in both tensors."""
    return _input(1, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Sizes = 1, padding: Any = 0, dilation: Sizes = 1,
                  groups: int = 1) -> Tensor:
    """The gradient of conv1d's weight, of shape weight_size, for that of its output. It can be differentiated, in both tensors."""
    return ops.conv_weight(1, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1,
                 groups: int = 1) -> Tensor:
    """The gradient of conv2d's input, of shape input_size, for that of its output. It can be differentiated, in both tensors."""
    return _input(2, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Sizes = 1, padding: Any = 0, dilation: Sizes = 1,
                  groups: int = 1) -> Tensor:
    """The gradient of conv2d's weight, of shape weight_size, for that of its output. It can be differentiated, in both tensors."""
    return ops.conv_weight(2, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1,
                 groups: int = 1) -> Tensor:
    """The gradient of conv3d's input, of shape input_size, for that of its output. It can be differentiated, in both tensors."""
    return _input(3, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Sizes = 1, padding: Any = 0, dilation: Sizes = 1,
                  groups: int = 1) -> Tensor:
    """The gradient of conv3d's weight, of shape weight_size, for that of its output. It can be differentiated, in both tensors."""
    return ops.conv_weight(3, input, weight_size, grad_output, stride, padding, dilation, groups)
