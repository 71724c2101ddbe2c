"""Batch normalisation of running statistics folded into the layer before it: torch.nn.utils.fusion's functions."""
from __future__ import annotations

import copy
from typing import Any

from pydl import ops
from pydl.nn.parameter import Parameter
from pydl.tensor import Tensor, float64

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def scale_and_shift(bias: Tensor | None, mean: Tensor, var: Tensor, eps: float, weight: Tensor | None,
                    shift: Tensor | None) -> tuple[Tensor, Tensor]:
    """What a channel of the weight is multiplied with, and the new bias, in float64."""
    scale = ops.rsqrt(var.detach().to(float64) + eps)
    if weight is not None:
        scale = scale * weight.detach().to(float64)
    off = -mean.detach().to(float64) if bias is None else bias.detach().to(float64) - mean.detach().to(float64)
    return scale, off * scale if shift is None else off * scale + shift.detach().to(float64)


def as_parameters(weight: Tensor, bias: Tensor | None, new_weight: Tensor, new_bias: Tensor) -> tuple[Parameter, Parameter]:
    dtype = weight.dtype if bias is None else bias.dtype
    return (Parameter(new_weight.to(weight.dtype), weight.requires_grad),
            Parameter(new_bias.to(dtype), False if bias is None else bias.requires_grad))


def fuse_conv_bn_weights(conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
                         bn_b: Tensor | None, transpose: bool = False) -> tuple[Parameter, Parameter]:
    """The weight and bias of a convolution (transpose: of a transposed one) that does a batch normalisation, too. Computed in float64.

    conv_w (O, C / groups, ...), or (C, O / groups, ...); the others (O,) or None. Raises ValueError where the channels do not fit.
    """
    channels = bn_rm.numel()
    fits = channels % conv_w.shape[1] == 0 if transpose and conv_w.ndim > 1 and conv_w.shape[1] else channels == conv_w.shape[0]
    if not fits:
        raise ValueError(f"fuse_conv_bn_weights: expected a weight of {channels} output channels, as many as bn_rm {bn_rm.shape} has, got "
                         f"{conv_w.shape}")
    scale, bias = scale_and_shift(conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    wide, kernel = conv_w.detach().to(float64), (1,) * (conv_w.ndim - 2)
    if transpose:
        groups = channels // conv_w.shape[1]
        parts = wide.reshape(groups, conv_w.shape[0] // groups, *conv_w.shape[1:])
        weight = (parts * scale.reshape(groups, 1, conv_w.shape[1], *kernel)).reshape(conv_w.shape)
    else:
        weight = wide * scale.reshape(channels, 1, *kernel)
    return as_parameters(conv_w, conv_b, weight, bias)


def fuse_linear_bn_weights(linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
                           bn_b: Tensor | None) -> tuple[Parameter, Parameter]:
    """The weight and bias of a linear layer that does a batch normalisation of its features, too. Computed in float64."""
    scale, bias = scale_and_shift(linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    return as_parameters(linear_w, linear_b, linear_w.detach().to(float64) * scale.unsqueeze(-1), bias.expand(linear_w.shape[0]).clone())


def checked(name: str, layer: Any, bn: Any) -> None:
    if layer.training or bn.training:
        raise ValueError(f"{name}: expected layers in evaluation mode; call .eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError(f"{name}: expected a batch normalisation with running statistics, got {bn}")


def of_norm(bn: Any) -> tuple[Tensor, Tensor, float, Tensor | None, Tensor | None]:
    return bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias


def replaced(layer: Any, parameters: tuple[Parameter, Parameter]) -> Any:
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = parameters
    return fused


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of a convolution that does what conv and then bn do in evaluation. transpose: of a ConvTranspose, which is noticed, too.

    Raises ValueError in training mode, without running statistics, and where the channels do not fit.
    """
    checked("fuse_conv_bn_eval", conv, bn)
    transpose = transpose or getattr(conv, "transposed", False)
    return replaced(conv, fuse_conv_bn_weights(conv.weight, conv.bias, *of_norm(bn), transpose=transpose))


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A copy of a Linear that does what linear and then bn do in evaluation, for inputs (N, in_features).

    bn has as many features, or one. Raises ValueError in training mode, without running statistics, and where the features do not fit.
    """
    checked("fuse_linear_bn_eval", linear, bn)
    features = linear.out_features
    if bn.num_features not in (1, features):
        raise ValueError(f"fuse_linear_bn_eval: expected bn.num_features to be out_features={features} or 1, got {bn.num_features}")
    return replaced(linear, fuse_linear_bn_weights(linear.weight, linear.bias, *of_norm(bn)))
