"""Dropout of whole channels, and dropout that keeps mean and variance: made of dropout. The same seed draws the same mask."""
from __future__ import annotations

import math
import warnings

from pydl._core.checks import tensor_arg
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.compare import ne
from pydl.ops.random import dropout
from pydl.ops.shape import squeeze, unsqueeze

FLOOR = -1.7580993408473766     # what SELU tends to for x -> -inf


def rate_of(op: str, p: float) -> float:
    if not isinstance(p, (int, float)):
        raise TypeError(f"{op}: p: expected a number, got {p!r}")
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p: expected a probability from 0 to 1, got {p}")
    return float(p)


def checked(op: str, input: Tensor, p: float, least: int) -> tuple[Tensor, float]:
    x, rate = tensor_arg(op, input, "input"), rate_of(op, p)
    if not x.is_floating_point():
        raise TypeError(f"{op}: expected a float32 or float64 tensor, got {x.dtype}")
    if x.ndim < least:
        raise ValueError(f"{op}: expected {least} dimensions or more, (N, C, ...), got shape {tuple(x.shape)}")
    return x, rate


def kept(x: Tensor, rate: float, channels: bool) -> Tensor:
    """1 / (1 - p) where an element, or a channel of (N, C, ...), stays, and else 0."""
    shape = (*x.shape[:2], *(1 for _ in x.shape[2:])) if channels else x.shape
    return dropout(x.new_ones(shape), rate)


def channel_dropout(op: str, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    x, rate = checked(op, input, p, 2)
    if not training or rate == 0:
        return x
    y = mul(x, kept(x.detach(), rate, True))
    return x.copy_(y) if inplace else y


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes whole channels with probability p and scales the others by 1 / (1 - p): (N, C, L) or (C, L) (Tompson et al. 2015).

    Raises ValueError for other shapes and for a p that is no probability.
    """
    x, _ = checked("dropout1d", input, p, 2)
    if x.ndim > 3:
        raise ValueError(f"dropout1d: expected (N, C, L) or (C, L), got shape {tuple(x.shape)}")
    return batched("dropout1d", x, 3, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """As dropout1d, of (N, C, H, W). Three dimensions are taken as (N, C, L), with a warning: use dropout1d for them."""
    x, _ = checked("dropout2d", input, p, 2)
    if x.ndim != 4:
        warnings.warn(f"dropout2d: expected (N, C, H, W), got shape {tuple(x.shape)}: the first two dimensions are taken as N and C",
                      stacklevel=2)
    return channel_dropout("dropout2d", x, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """As dropout1d, of (N, C, D, H, W) or (C, D, H, W)."""
    x, _ = checked("dropout3d", input, p, 2)
    if x.ndim not in (4, 5):
        warnings.warn(f"dropout3d: expected (N, C, D, H, W) or (C, D, H, W), got shape {tuple(x.shape)}: the first two dimensions are "
                      "taken as N and C", stacklevel=2)
    return batched("dropout3d", x, 5, p, training, inplace) if x.ndim == 4 else channel_dropout("dropout3d", x, p, training, inplace)


def batched(op: str, x: Tensor, ndim: int, p: float, training: bool, inplace: bool) -> Tensor:
    """channel_dropout of what may come without its batch dimension."""
    if x.ndim == ndim or not training:
        return channel_dropout(op, x, p, training, inplace)
    y = squeeze(channel_dropout(op, unsqueeze(x, 0), p, True, False), 0)
    return x.copy_(y) if inplace else y


def self_normalizing(op: str, input: Tensor, p: float, training: bool, inplace: bool, channels: bool) -> Tensor:
    x, rate = checked(op, input, p, 2 if channels else 0)
    if not training or rate == 0:
        return x
    if rate == 1:
        y = mul(x, 0.0)
    else:
        stays = ne(kept(x.detach(), rate, channels), 0).to(x.dtype)
        a = 1 / math.sqrt((1 - rate) * (1 + rate * FLOOR * FLOOR))
        y = add(mul(x, mul(stays, a)), mul(sub(1 - rate, stays), a * FLOOR))
    return x.copy_(y) if inplace else y


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """y = a (m x + (1 - m) f) + b: mask m is 0 with probability p, f = -1.758 is SELU's floor (Klambauer et al. 2017).

    a = ((1 - p) (1 + p f^2))^(-1/2) and b = -a p f keep a mean of 0 and a variance of 1. p = 1 gives zeros. Raises ValueError
    for a p that is no probability.
    """
    return self_normalizing("alpha_dropout", input, p, training, inplace, False)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """alpha_dropout of whole channels of (N, C, ...)."""
    return self_normalizing("feature_alpha_dropout", input, p, training, inplace, True)


__all__ = ["alpha_dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]
METHODS: list[str] = []
