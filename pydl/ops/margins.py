"""Losses that are made of other ops: of margins, of distances, of counts and of densities.

Everywhere: reduction "none" gives the losses, "sum" their sum, "mean" their mean; shapes broadcast and types promote where
nothing else is said. Raises ValueError where shapes or values do not fit, TypeError for types.
"""
from __future__ import annotations

import math
from collections.abc import Callable

from pydl._core.checks import number_arg, tensor_arg
from pydl._core.tensor import Tensor
from pydl.ops.activations import softplus
from pydl.ops.arithmetic import add, div, mul, neg, sub
from pydl.ops.arithmetic import pow as power
from pydl.ops.bounds import clamp, minimum
from pydl.ops.compare import eq, gt, lt, ne, where
from pydl.ops.elementwise import exp, log
from pydl.ops.gather import gather, scatter_add
from pydl.ops.pairs import cosine_similarity, fitting, pairwise_distance
from pydl.ops.reduce import mean
from pydl.ops.reduce import sum as total
from pydl.ops.scan import cumprod
from pydl.ops.shape import reshape, unsqueeze


def known(op: str, reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def reduced(loss: Tensor, reduction: str) -> Tensor:
    return loss if reduction == "none" else total(loss) if reduction == "sum" else mean(loss)


def like_input(op: str, input: Tensor, target: Tensor) -> Tensor:
    """The target in the type of the input, if that is a float."""
    t = tensor_arg(op, target, "target")
    return t.to(input.dtype) if tensor_arg(op, input, "input").is_floating_point() else t


def softly(x: Tensor) -> Tensor:
    """log(1 + exp(x)), exact to the last digits."""
    return softplus(x, 1.0, 50.0)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, *, eps: float = 1e-8,
                     reduction: str = "mean") -> Tensor:
    """loss = exp(x) - t x (log_input: x is the logarithm of the rate), or x - t log(x + eps).

    full adds Stirling's t log t - t + log(2 pi t) / 2 where t > 1.
    """
    known("poisson_nll_loss", reduction)
    x, t = fitting("poisson_nll_loss", input=input, target=target)
    loss = sub(exp(x), mul(t, x)) if log_input else sub(x, mul(t, log(add(x, eps))))
    if full:
        many = gt(t, 1.0)
        safe = where(many, t, 1.0)
        stirling = add(sub(mul(safe, log(safe)), safe), mul(log(mul(safe, 2 * math.pi)), 0.5))
        loss = add(loss, where(many, stirling, 0.0))
    return reduced(loss, reduction)


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Tensor:
    """loss = (log v + (x - t)^2 / v) / 2, v = max(var, eps), whose derivative in var is 1 everywhere (Nix & Weigend 1994).

    var: a number, a tensor of input's shape, of that without its last dimension, or with a last dimension of 1.
    full adds log(2 pi) / 2.
    """
    known("gaussian_nll_loss", reduction)
    x, t = fitting("gaussian_nll_loss", input=input, target=target)
    if isinstance(var, Tensor):
        v = var.to(x.dtype)
        if v.shape == x.shape[:-1] and v.shape != x.shape:
            v = unsqueeze(v, -1)
    else:
        v = x.new_full(x.shape, number_arg("gaussian_nll_loss", var, "var"))
    if v.shape != x.shape and (v.ndim != x.ndim or any(a not in (b, 1) for a, b in zip(v.shape, x.shape))):
        raise ValueError(f"gaussian_nll_loss: var {tuple(v.shape)} does not fit input {tuple(x.shape)} and target {tuple(target.shape)}")
    raw = v.detach()
    if lt(raw, 0.0).any():
        raise ValueError(f"gaussian_nll_loss: var: expected 0 or more, got a negative one (shape {tuple(v.shape)})")
    eps = number_arg("gaussian_nll_loss", eps, "eps")
    v = add(v, where(lt(raw, eps), sub(eps, raw), 0.0))
    loss = mul(add(log(v), div(power(sub(x, t), 2), v)), 0.5)
    return reduced(add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """loss = x where t is 1, max(0, margin - x) where t is -1."""
    known("hinge_embedding_loss", reduction)
    x, t = fitting("hinge_embedding_loss", input=input, target=like_input("hinge_embedding_loss", input, target))
    apart = where(ne(t, 1), clamp(sub(margin, x), 0.0), 0.0)
    return reduced(add(apart, where(ne(t, -1), x, 0.0)), reduction)


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean") -> Tensor:
    """loss = max(0, margin - t (x1 - x2)): t = 1 wants x1 above x2, t = -1 below. The same number of dimensions everywhere."""
    known("margin_ranking_loss", reduction)
    a, b, t = fitting("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ValueError("margin_ranking_loss: expected the same number of dimensions, got input1 "
                         f"{tuple(input1.shape)}, input2 {tuple(input2.shape)}, target {tuple(target.shape)}")
    return reduced(clamp(sub(margin, mul(t, sub(a, b))), 0.0), reduction)


def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """loss = log(1 + exp(-t x)), t = 1 or -1, without overflow."""
    known("soft_margin_loss", reduction)
    x, t = fitting("soft_margin_loss", input=input, target=like_input("soft_margin_loss", input, target))
    return reduced(softly(neg(mul(t, x))), reduction)


def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean") -> Tensor:
    """loss = mean over the last dimension of w (t log(1 + exp(-x)) + (1 - t) log(1 + exp(x))): (..., C) -> (...,), then reduced."""
    known("multilabel_soft_margin_loss", reduction)
    x, t = fitting("multilabel_soft_margin_loss", input=input, target=target)
    if x.ndim == 0:
        raise ValueError(f"multilabel_soft_margin_loss: expected input (..., C), got {tuple(input.shape)} and {tuple(target.shape)}")
    loss = add(mul(t, softly(neg(x))), mul(sub(1.0, t), softly(x)))
    if weight is not None:
        loss, _ = fitting("multilabel_soft_margin_loss", input=mul(loss, weight), target=t)
    return reduced(mean(loss, dim=-1), reduction)


def class_rows(op: str, input: Tensor, target: Tensor, labels_dim: int) -> tuple[Tensor, Tensor, bool]:
    """input (C,) or (N, C) as (N, C), its labels as (N,) or (N, C), and whether there was no batch."""
    x, t = tensor_arg(op, input, "input"), tensor_arg(op, target, "target")
    if not x.is_floating_point() or t.is_floating_point() or str(t.dtype).endswith("bool"):
        raise TypeError(f"{op}: expected a float input and int64 labels, got {x.dtype} and {t.dtype}")
    single = x.ndim == 1
    expected = tuple(x.shape)[:x.ndim - 1 + labels_dim]
    if x.ndim not in (1, 2) or tuple(t.shape) != expected:
        raise ValueError(f"{op}: expected input (C,) or (N, C) and target {'of its shape' if labels_dim else '() or (N,)'}, got "
                         f"{tuple(x.shape)} and {tuple(t.shape)}")
    t = t.long()
    return (unsqueeze(x, 0), unsqueeze(t, 0), True) if single else (x, t, False)


def check_classes(op: str, labels: Tensor, classes: int) -> None:
    if labels.numel() and not (0 <= labels.min().item() and labels.max().item() < classes):
        raise IndexError(f"{op}: a label is out of range for {classes} classes: {labels.min().item()} to {labels.max().item()}")


def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *,
                      reduction: str = "mean") -> Tensor:
    """loss = sum over i != t of w_t max(0, margin - x_t + x_i)^p / C: input (N, C), target (N,) labels, weight (C,) -> (N,).

    p is 1 or 2. input (C,) and target () are one row. Raises IndexError for a label out of range.
    """
    op = "multi_margin_loss"
    known(op, reduction)
    if p not in (1, 2):
        raise ValueError(f"{op}: p: expected 1 or 2, got {p}")
    x, t, single = class_rows(op, input, target, 0)
    classes = x.shape[1]
    check_classes(op, t, classes)
    if weight is not None and tuple(tensor_arg(op, weight, "weight").shape) != (classes,):
        raise ValueError(f"{op}: expected weight {(classes,)} for input {tuple(x.shape)}, got {tuple(weight.shape)}")
    at = unsqueeze(t, 1)
    loss = power(clamp(add(sub(x, gather(x, 1, at)), margin), 0.0), p)
    if weight is not None:
        loss = mul(loss, unsqueeze(weight[t], 1))
    other = sub(1.0, scatter_add(x.new_zeros(x.shape), 1, at, x.new_ones(at.shape)))
    loss = div(total(mul(loss, other), dim=1), float(max(classes, 1)))
    return reduced(reshape(loss, ()) if single else loss, reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """loss = sum over labels j and other classes i of max(0, 1 - x_j + x_i) / C: input (N, C) -> (N,).

    target (N, C) int64: the labels of a row, up to the first -1. (C,) is one row. Raises IndexError for a label out of range.
    """
    op = "multilabel_margin_loss"
    known(op, reduction)
    x, t, single = class_rows(op, input, target, 1)
    classes = x.shape[1]
    counts = cumprod(ne(t, -1).long(), dim=1)
    at = mul(t, counts)
    check_classes(op, at, classes)
    counts = counts.to(x.dtype)
    other = eq(scatter_add(x.new_zeros(x.shape), 1, at, counts), 0.0).to(x.dtype)
    gaps = clamp(add(sub(unsqueeze(x, 1), unsqueeze(gather(x, 1, at), 2)), 1.0), 0.0)
    loss = div(total(mul(gaps, mul(unsqueeze(counts, 2), unsqueeze(other, 1))), dim=(1, 2)), float(max(classes, 1)))
    return reduced(reshape(loss, ()) if single else loss, reduction)


def positive_margin(op: str, margin: float) -> None:
    if not number_arg(op, margin, "margin") > 0:
        raise ValueError(f"{op}: margin: expected more than 0, got {margin}")


def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0,
                                      swap: bool = False, reduction: str = "mean") -> Tensor:
    """loss = max(0, margin + d(a, p) - d(a, n)), d a function of two tensors (None: pairwise_distance).

    swap: min(d(a, n), d(p, n)) instead of d(a, n) (Balntas et al. 2016). Raises ValueError for a margin that is not positive.
    """
    op = "triplet_margin_with_distance_loss"
    known(op, reduction)
    positive_margin(op, margin)
    distance = pairwise_distance if distance_function is None else distance_function
    for x, name in ((anchor, "anchor"), (positive, "positive"), (negative, "negative")):
        tensor_arg(op, x, name)
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(f"{op}: expected the same number of dimensions, got {tuple(anchor.shape)}, {tuple(positive.shape)} "
                         f"and {tuple(negative.shape)}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp(add(sub(near, far), margin), 0.0), reduction)


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
                        swap: bool = False, *, reduction: str = "mean") -> Tensor:
    """triplet_margin_with_distance_loss with pairwise_distance of order p: (N, D) or (D,) each -> (N,) or ()."""
    op = "triplet_margin_loss"
    known(op, reduction)
    positive_margin(op, margin)
    a, b, c = fitting(op, anchor=anchor, positive=positive, negative=negative)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)
    return triplet_margin_with_distance_loss(a, b, c, distance_function=distance, margin=margin, swap=swap, reduction=reduction)


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean") -> Tensor:
    """loss = 1 - cos(x1, x2) where t is 1, max(0, cos - margin) where t is -1: (N, D), (N, D), (N,) or (D,), (D,), () -> (N,) or ()."""
    op = "cosine_embedding_loss"
    known(op, reduction)
    a, b = fitting(op, input1=input1, input2=input2)
    t = tensor_arg(op, target, "target")
    if a.ndim not in (1, 2) or t.ndim != a.ndim - 1 or t.ndim and t.shape[0] not in (1, a.shape[0]):
        raise ValueError(f"{op}: expected (N, D), (N, D), (N,) or (D,), (D,), (), got {tuple(input1.shape)}, {tuple(input2.shape)} "
                         f"and target {tuple(t.shape)}")
    cos = cosine_similarity(a, b, dim=-1, eps=1e-6)
    return reduced(add(where(eq(t, 1), sub(1.0, cos), 0.0), where(eq(t, -1), clamp(sub(cos, margin), 0.0), 0.0)), reduction)


__all__ = [
    "cosine_embedding_loss", "gaussian_nll_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "poisson_nll_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
METHODS: list[str] = []
