"""Losses of regions of images: how much those that are predicted overlap with the true ones, and how far apart their boundaries are.

What their arguments have in common stands in the documentation of dice_loss.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydl._core.checks import int_arg, number_arg, tensor_arg
from pydl._core.create import arange, tensor
from pydl._core.declare import declare
from pydl._core.dtypes import int64
from pydl._core.tensor import Tensor
from pydl.ops.activations import relu, sigmoid
from pydl.ops.arithmetic import abs as absolute
from pydl.ops.arithmetic import add, div, mul, neg, sub
from pydl.ops.arithmetic import pow as power
from pydl.ops.bounds import clamp
from pydl.ops.compare import eq, gt, logical_and, ne, where
from pydl.ops.distance_maps import signed_distances, spaced_dims
from pydl.ops.elementwise import log
from pydl.ops.gather import gather, index_select
from pydl.ops.losses import class_labels
from pydl.ops.margins import known, reduced
from pydl.ops.operands import to
from pydl.ops.parts import select
from pydl.ops.reduce import sum as total
from pydl.ops.regions import class_spread, class_sums
from pydl.ops.scan import cumsum
from pydl.ops.shape import permute, reshape, unsqueeze
from pydl.ops.softmax import softmax
from pydl.ops.sort import sort

MODES = ("binary", "multiclass", "multilabel")
NO_LABEL = -2**63


# ---- What is predicted and what is true

def region_sums(input: Tensor, labels: Tensor, ignore_index: int = NO_LABEL) -> Tensor:
    """The sums over pixels, for every class, of x where the label is that class, and of x; and how often the label is that class.

    input x (N, C, P), labels (N, P) int64, 0 to C - 1 or ignore_index, which has no part -> (3, N, C). Only x has a derivative.
    Kernel: csrc/region_sums.c. Raises ValueError for other shapes, IndexError for other labels, TypeError for other types.
    """
    x = tensor_arg("region_sums", input, "input")
    _float_of("region_sums", x)
    if x.ndim != 3 or x.shape[1] == 0:
        raise ValueError(f"region_sums: expected input (N, C, P), got {tuple(x.shape)} and labels {tuple(labels.shape)}")
    t = class_labels("region_sums", x, labels, ignore_index)
    return REGION_SUMS.record(class_sums(x.detach(), t, float(ignore_index)), (x,), (t,), ignore_index)


def _sums_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return region_spread(dy, saved[0], extra)


REGION_SUMS = declare(region_sums, _sums_backward)


def region_spread(sums: Tensor, labels: Tensor, ignore_index: int = NO_LABEL) -> Tensor:
    """The derivative of region_sums, transposed: y_0 where the label is the class, + y_1; (3, N, C), (N, P) -> (N, C, P)."""
    y = tensor_arg("region_spread", sums, "sums")
    _float_of("region_spread", y)
    if y.ndim != 3 or y.shape[0] != 3 or labels.ndim != 2 or labels.shape[0] != y.shape[1] or labels.dtype is not int64:
        raise ValueError("region_spread: expected sums (3, N, C) and int64 labels (N, P), got "
                         f"{tuple(y.shape)} and {labels.dtype} {tuple(labels.shape)}")
    return REGION_SPREAD.record(class_spread(y.detach(), labels, float(ignore_index)), (y,), (labels,), ignore_index)


def _spread_backward(dx: Any, need: Any, saved: Any, extra: Any) -> Any:
    sums = region_sums(dx, saved[0], extra)
    third = reshape(ne(arange(3), 2), (3, 1, 1))
    return where(third, sums, 0.0)


REGION_SPREAD = declare(region_spread, _spread_backward)


def _float_of(op: str, x: Tensor) -> None:
    if not x.is_floating_point():
        raise TypeError(f"{op}: input: expected float32 or float64, got {x.dtype} {tuple(x.shape)}")


class Pixels(NamedTuple):
    """input as (N, C, P); truth: int64 labels (N, P), or shares (N, C, P); counted: where they have a part, (N, P) or (N, C, P), or None"""

    input: Tensor
    truth: Tensor
    counted: Tensor | None
    shape: tuple[int, ...]      # (N, C, ...)


def _pixels(op: str, input: Tensor, target: Tensor, mode: str, ignore_index: int | None) -> Pixels:
    x, t = tensor_arg(op, input, "input"), tensor_arg(op, target, "target")
    if mode not in MODES:
        raise ValueError(f"{op}: mode: expected one of {', '.join(MODES)}, got {mode!r}")
    _float_of(op, x)
    shapes = f"got input {tuple(x.shape)} and target {tuple(t.shape)}"
    ignored = None if ignore_index is None else int_arg(op, ignore_index, "ignore_index")
    if mode == "binary":
        plain = [(s[:1] + s[2:]) if len(s) > 1 and s[1] == 1 else s for s in (tuple(x.shape), tuple(t.shape))]
        if not x.ndim or not (tuple(x.shape) == tuple(t.shape) or plain[0] == plain[1]):
            raise ValueError(f"{op}: expected input (N, 1, ...) or (N, ...) and target of as many pixels, {shapes}")
        shape = (x.shape[0], 1, *(plain[0] if plain[0] == plain[1] else tuple(x.shape))[1:])
    elif x.ndim < 2 or x.shape[1] == 0 or tuple(t.shape) != (tuple(x.shape) if mode == "multilabel" else x.shape[:1] + x.shape[2:]):
        expected = "of its shape" if mode == "multilabel" else "(N, ...)"
        raise ValueError(f"{op}: expected input (N, C, ...), C of 1 or more, and target {expected}, {shapes}")
    else:
        shape = tuple(x.shape)
    count = 1
    for size in shape[2:]:
        count *= size
    flat = reshape(x, (shape[0], shape[1], count))
    if mode == "multiclass":
        labels = reshape(class_labels(op, x, t, NO_LABEL if ignored is None else ignored), (shape[0], count))
        return Pixels(flat, labels, None if ignored is None else ne(labels, ignored), shape)
    t = reshape(t, (shape[0], shape[1], count))
    return Pixels(flat, to(t, x.dtype), None if ignored is None else ne(t.detach(), ignored), shape)


def _probabilities(x: Tensor, mode: str, from_logits: bool) -> Tensor:
    return x if not from_logits else softmax(x, 1) if mode == "multiclass" else sigmoid(x)


def _truth_of_classes(pixels: Pixels, mode: str) -> Tensor:
    """Shares (N, C, P): 1 where a pixel is of a class, of the type of the input, or a mask"""
    if mode != "multiclass":
        return pixels.truth
    return eq(unsqueeze(pixels.truth, 1), reshape(arange(pixels.shape[1]), (1, -1, 1)))


def _chosen(op: str, classes: Sequence[int] | None, count: int) -> Tensor | None:
    """The numbers of the classes that count, or None for all"""
    if classes is None:
        return None
    numbers = [int_arg(op, c, "classes") for c in classes]
    if not numbers or len(set(numbers)) != len(numbers) or not all(0 <= c < count for c in numbers):
        raise ValueError(f"{op}: classes: expected different numbers from 0 to {count - 1}, got {list(numbers)}")
    return tensor(numbers)


def _weight(op: str, weight: Tensor | None, x: Tensor, count: int, chosen: Tensor | None) -> Tensor | None:
    """The weights of the classes that count"""
    if weight is None:
        return None
    w = tensor_arg(op, weight, "weight")
    if tuple(w.shape) != (count,):
        raise ValueError(f"{op}: expected weight ({count},), one a class, got {tuple(w.shape)} (input {tuple(x.shape)})")
    w = to(w, x.dtype)
    return w if chosen is None else index_select(w, 0, chosen)


# ---- Overlap

def _overlap(op: str, input: Tensor, target: Tensor, mode: str, alpha: float, beta: float, gamma: float, classes: Sequence[int] | None,
             weight: Tensor | None, ignore_index: int | None, from_logits: bool, log_loss: bool, smooth: float, eps: float,
             per_image: bool, reduction: str) -> Tensor:
    """(1 - S)^gamma, or (-log S)^gamma, S = (TP + smooth) / max(TP + alpha FP + beta FN + smooth, eps), where the class occurs"""
    known(op, reduction)
    alpha, beta, gamma, smooth, eps = (number_arg(op, v, n) for v, n in
                                       ((alpha, "alpha"), (beta, "beta"), (gamma, "gamma"), (smooth, "smooth"), (eps, "eps")))
    if not (alpha >= 0 and beta >= 0 and smooth >= 0 and eps >= 0 and gamma > 0):
        raise ValueError(f"{op}: expected alpha, beta, smooth and eps of 0 or more and gamma above 0, got {alpha}, {beta}, {smooth}, "
                         f"{eps} and {gamma}")
    pixels = _pixels(op, input, target, mode, ignore_index)
    chosen = _chosen(op, classes, pixels.shape[1])
    w = _weight(op, weight, input, pixels.shape[1], chosen)
    p = _probabilities(pixels.input, mode, from_logits)
    if mode == "multiclass":
        sums = region_sums(p, pixels.truth, NO_LABEL if ignore_index is None else ignore_index)
        parts = [select(sums, 0, i) for i in range(3)]
    else:
        t = pixels.truth
        if pixels.counted is not None:
            p, t = where(pixels.counted, p, 0.0), where(pixels.counted, t, 0.0)
        parts = [total(mul(p, t), 2), total(p, 2), total(t, 2)]
    if not per_image:
        parts = [total(part, 0) for part in parts]
    if chosen is not None:
        parts = [index_select(part, -1, chosen) for part in parts]
    both, predicted, true = parts
    score = div(add(both, smooth), clamp(add(add(mul(both, 1 - alpha - beta), add(mul(predicted, alpha), mul(true, beta))), smooth), eps))
    loss = neg(log(clamp(score, eps))) if log_loss else sub(1.0, score)
    if gamma != 1:
        loss = power(clamp(loss, max(eps, 1e-12)), gamma)
    loss = where(gt(true.detach(), 0), loss, 0.0)
    return reduced(loss if w is None else mul(loss, w), reduction)


def dice_loss(input: Tensor, target: Tensor, mode: str, *, classes: Sequence[int] | None = None, weight: Tensor | None = None,
              ignore_index: int | None = None, from_logits: bool = True, log_loss: bool = False, smooth: float = 0.0, eps: float = 1e-7,
              per_image: bool = False, reduction: str = "mean") -> Tensor:
    """loss = 1 - (2 sum(p t) + smooth) / max(sum(p) + sum(t) + smooth, eps) of a class: p probabilities, t the truth, sums over pixels.

    mode "binary": input (N, 1, ...) or (N, ...), logits of one region, and a target of as many pixels, with or without the 1;
    "multilabel": input and target (N, C, ...), each class for itself: t is 1 inside and 0 outside, of any type, or a share;
    "multiclass": input (N, C, ...), softmax along C, and a target of class numbers (N, ...). from_logits=False: input holds p.
    Pixels whose target is ignore_index have no part. All images together have one loss a class, or with per_image each has its own.
    A class that is not in the target has loss 0. classes: only these; weight (C,) is multiplied with the losses of the classes.
    log_loss: -log of the ratio instead of 1 - ratio. reduction: "mean" of the losses, "sum", or "none": (C,) or (N, C).
    Raises ValueError where shapes or values do not fit, IndexError for class numbers out of range, TypeError for types.
    Milletari et al. 2016 ("V-Net"); Sudre et al. 2017.

    >>> x, t = pydl.tensor([[[0.0, 0.0], [0.0, 100.0]]]), pydl.tensor([[[0, 1], [0, 1]]])
    >>> nn.functional.dice_loss(x, t, "binary").item()      # 1 - 2 (0.5 + 1) / (2.5 + 2)
    0.3333333134651184
    """
    return _overlap("dice_loss", input, target, mode, 0.5, 0.5, 1.0, classes, weight, ignore_index, from_logits, log_loss,
                    number_arg("dice_loss", smooth, "smooth") / 2, number_arg("dice_loss", eps, "eps") / 2, per_image, reduction)


def jaccard_loss(input: Tensor, target: Tensor, mode: str, *, classes: Sequence[int] | None = None, weight: Tensor | None = None,
                 ignore_index: int | None = None, from_logits: bool = True, log_loss: bool = False, smooth: float = 0.0, eps: float = 1e-7,
                 per_image: bool = False, reduction: str = "mean") -> Tensor:
    """loss = 1 - (sum(p t) + smooth) / max(sum(p) + sum(t) - sum(p t) + smooth, eps) of a class: the soft intersection over union.

    Everything else as in dice_loss.
    """
    return _overlap("jaccard_loss", input, target, mode, 1.0, 1.0, 1.0, classes, weight, ignore_index, from_logits, log_loss, smooth, eps,
                    per_image, reduction)


def tversky_loss(input: Tensor, target: Tensor, mode: str, *, alpha: float = 0.5, beta: float = 0.5, gamma: float = 1.0,
                 classes: Sequence[int] | None = None, weight: Tensor | None = None, ignore_index: int | None = None,
                 from_logits: bool = True, log_loss: bool = False, smooth: float = 0.0, eps: float = 1e-7, per_image: bool = False,
                 reduction: str = "mean") -> Tensor:
    """loss = (1 - (TP + smooth) / max(TP + alpha FP + beta FN + smooth, eps))^gamma of a class, TP = sum(p t), FP = sum(p (1 - t)),
    FN = sum((1 - p) t). alpha = beta = 0.5 is Dice, 1 Jaccard; a larger beta finds more. Everything else as in dice_loss.
    Salehi et al. 2017.
    """
    return _overlap("tversky_loss", input, target, mode, alpha, beta, gamma, classes, weight, ignore_index, from_logits, log_loss, smooth,
                    eps, per_image, reduction)


def focal_tversky_loss(input: Tensor, target: Tensor, mode: str, *, alpha: float = 0.3, beta: float = 0.7, gamma: float = 0.75,
                       classes: Sequence[int] | None = None, weight: Tensor | None = None, ignore_index: int | None = None,
                       from_logits: bool = True, smooth: float = 0.0, eps: float = 1e-7, per_image: bool = False,
                       reduction: str = "mean") -> Tensor:
    """tversky_loss with the paper's numbers: beta is its weight 0.7 of what is missed, gamma its 3/4 (Abraham & Khan 2019).

    Its gradient is infinite at 0; below eps the loss has none.
    """
    return _overlap("focal_tversky_loss", input, target, mode, alpha, beta, gamma, classes, weight, ignore_index, from_logits, False,
                    smooth, eps, per_image, reduction)


# ---- Lovasz extension of the Jaccard index

def _lovasz(errors: Tensor, inside: Tensor) -> Tensor:
    """The extension along the last dimension: errors, and whether they are of pixels inside (of the region); below 0 they have no part"""
    ordered, order = sort(errors, -1, descending=True)
    ours = to(gather(inside, -1, order), errors.dtype)
    seen = cumsum(ours, -1)
    count = total(ours, -1, True)
    union = add(count, sub(arange(1, errors.shape[-1] + 1, dtype=errors.dtype), seen))
    # What one pixel more costs: 1 / union inside, else intersection (1 / (union - 1) - 1 / union); without a region all, once
    outer = mul(union, sub(union, 1.0))
    alone = eq(outer, 0.0)
    slopes = where(gt(ours, 0.5), div(1.0, union), where(alone, 1.0, div(sub(count, seen), where(alone, 1.0, outer))))
    return total(mul(relu(ordered), slopes), -1)


def _by_class(x: Tensor, per_image: bool) -> Tensor:
    """(N, C, P) -> (N, C, P) or (1, C, N P)"""
    n, c, p = x.shape
    return x if per_image else reshape(permute(x, 1, 0, 2), (1, c, n * p))


def _lovasz_of_images(op: str, loss: Tensor, present: Tensor | None, per_image: bool, reduction: str) -> Tensor:
    """The mean over classes, then over images"""
    if present is None:
        each = div(total(loss, 1), float(loss.shape[1]))
    else:
        each = div(total(where(present, loss, 0.0), 1), clamp(total(to(present, loss.dtype), 1), 1.0))
    return reduced(each, reduction) if per_image else select(each, 0, 0)


def lovasz_hinge_loss(input: Tensor, target: Tensor, mode: str = "binary", *, per_image: bool = False, ignore_index: int | None = None,
                      reduction: str = "mean") -> Tensor:
    """The Lovasz extension of 1 - Jaccard index at the hinge errors max(0, 1 - x (2 t - 1)): convex, and the index itself at the corners.

    mode "binary" or "multilabel" (the mean over classes): input logits, target 0 and 1. All pixels together, or per_image, whose losses
    reduction then is about. Piecewise linear: second derivatives are 0. Other arguments and errors: see dice_loss.
    Berman, Triki & Blaschko 2018; Yu & Blaschko 2015.
    """
    op = "lovasz_hinge_loss"
    known(op, reduction)
    if mode == "multiclass":
        raise ValueError(f"{op}: mode: expected binary or multilabel, got 'multiclass'; use lovasz_softmax_loss")
    pixels = _pixels(op, input, target, mode, ignore_index)
    t = pixels.truth.detach()
    errors = sub(1.0, mul(pixels.input, sub(mul(t, 2.0), 1.0)))
    inside = gt(t, 0.5)
    if pixels.counted is not None:
        errors, inside = where(pixels.counted, errors, -1.0), logical_and(inside, pixels.counted)
    loss = _lovasz(_by_class(errors, per_image), _by_class(inside, per_image))
    return _lovasz_of_images(op, loss, None, per_image, reduction)


def lovasz_softmax_loss(input: Tensor, target: Tensor, *, classes: str | Sequence[int] = "present", per_image: bool = False,
                        ignore_index: int | None = None, from_logits: bool = True, reduction: str = "mean") -> Tensor:
    """The mean over classes of the Lovasz extension of 1 - Jaccard index at the errors |[t = c] - p_c|, p the softmax of input.

    input (N, C, ...), target class numbers (N, ...). classes: "present" (in the target: of all images, or of each one), "all", or a list.
    All pixels together, or per_image, whose losses reduction then is about. Other arguments and errors: see dice_loss.
    Berman, Triki & Blaschko 2018.
    """
    op = "lovasz_softmax_loss"
    known(op, reduction)
    if isinstance(classes, str) and classes not in ("present", "all"):
        raise ValueError(f"{op}: classes: expected 'present', 'all' or class numbers, got {classes!r}")
    pixels = _pixels(op, input, target, "multiclass", ignore_index)
    chosen = None if isinstance(classes, str) else _chosen(op, classes, pixels.shape[1])
    p, inside = _probabilities(pixels.input, "multiclass", from_logits), _truth_of_classes(pixels, "multiclass")
    if chosen is not None:
        p, inside = index_select(p, 1, chosen), index_select(inside, 1, chosen)
    errors = absolute(sub(to(inside, p.dtype), p))
    if pixels.counted is not None:
        counted = unsqueeze(pixels.counted, 1)
        errors, inside = where(counted, errors, -1.0), logical_and(inside, counted)
    inside = _by_class(inside, per_image)
    loss = _lovasz(_by_class(errors, per_image), inside)
    present = gt(total(to(inside, loss.dtype), -1), 0.0) if classes == "present" else None
    return _lovasz_of_images(op, loss, present, per_image, reduction)


# ---- Boundaries

def boundary_loss(input: Tensor, target: Tensor, mode: str, *, classes: Sequence[int] | None = None, ignore_index: int | None = None,
                  from_logits: bool = True, sampling: float | Sequence[float] | None = None, reduction: str = "mean") -> Tensor:
    """loss = p phi, p the probability of a class, phi the signed distance to its boundary in the target (`signed_distance_map`): an
    approximation of the distance of the boundaries, where overlap says little, as for small regions (Kervadec et al. 2019).

    To be added to a loss of overlap, with a weight that grows. Images of 1 to 3 dimensions (N, C, ...); sampling: the spacing of the
    pixels. reduction "none" gives (N, C, ...). The target has no derivative. Modes, classes and errors: see dice_loss.
    """
    op = "boundary_loss"
    known(op, reduction)
    pixels = _pixels(op, input, target, mode, ignore_index)
    if len(pixels.shape) < 3:
        raise ValueError(f"{op}: expected images (N, C, ...), got input {tuple(input.shape)} and target {tuple(target.shape)}")
    chosen = _chosen(op, classes, pixels.shape[1])
    p, inside = _probabilities(pixels.input, mode, from_logits), gt(to(_truth_of_classes(pixels, mode).detach(), pixels.input.dtype), 0.5)
    counted = pixels.counted if mode != "multiclass" or pixels.counted is None else unsqueeze(pixels.counted, 1)
    if counted is not None:
        inside = logical_and(inside, counted)
    inside = reshape(inside, pixels.shape)
    phi = to(signed_distances(inside, spaced_dims(op, inside, range(2, inside.ndim), sampling)), p.dtype)
    loss = mul(p, reshape(phi, tuple(p.shape)))
    if counted is not None:
        loss = where(counted, loss, 0.0)
    loss = reshape(loss, pixels.shape)
    return reduced(loss if chosen is None else index_select(loss, 1, chosen), reduction)


__all__ = ["boundary_loss", "dice_loss", "focal_tversky_loss", "jaccard_loss", "lovasz_hinge_loss", "lovasz_softmax_loss", "tversky_loss"]
METHODS: list[str] = []
