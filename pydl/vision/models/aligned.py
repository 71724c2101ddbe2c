"""Which location of a detector learns of which object: task-aligned assignment (Feng et al., "TOOD", 2021)."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pydl.tensor import Tensor, from_numpy


class Targets(NamedTuple):
    """What the locations of N images should say. quality (N, L, K): the score of each class, and their sum; at (P,): locations with an
    object, numbered through all images, its boxes (P, 4), and weights (P,) as the qualities are, but of sum 1 over all, and the same for
    every object."""

    quality: Tensor
    total: float
    at: Tensor
    boxes: Tensor
    weights: Tensor


class Truth(NamedTuple):
    """The objects of N images, M at most in each: boxes (N, M, 4), labels (N, M), there (N, M)."""

    boxes: np.ndarray
    labels: np.ndarray
    there: np.ndarray


def aligned_targets(logits: Tensor, boxes: Tensor, points: Tensor, targets: Sequence[Mapping[str, Any]], topk: int = 13,
                    alpha: float = 1.0, beta: float = 6.0) -> Targets:
    """For each object, the topk locations inside of it whose score s of its class and IoU u with it make the largest t = s^alpha u^beta.

    logits (N, L, K), boxes (N, L, 4) and points (L, 3), x, y and stride, are what the detector says now; nothing is differentiated. A
    location that several objects want goes to the one it overlaps most. Its quality is t, scaled so that the largest of an object is its
    largest IoU. Objects that are smaller than a cell have that of their middle.
    """
    n, count, classes = logits.shape
    truth = truth_of(targets, n, classes)
    where, said = points.numpy(), boxes.detach().numpy()
    overlap = overlaps(truth.boxes, said) * inside(truth, where)
    with np.errstate(over="ignore"):       # a score of 0
        scores = 1 / (1 + np.exp(-logits.detach().numpy()))
    own = np.take_along_axis(scores.transpose(0, 2, 1), truth.labels[:, :, None], 1)
    worth = own ** alpha * overlap ** beta
    chosen = best(worth, topk)
    several = chosen.sum(1) > 1
    if several.any():
        first = np.where(chosen, overlap, -1).argmax(1)
        chosen &= ~several[:, None] | (first[:, None] == np.arange(truth.there.shape[1])[:, None])
    image, thing, at = np.nonzero(chosen)
    worth, overlap = np.where(chosen, worth, 0), np.where(chosen, overlap, 0)
    scale = overlap.max(2, initial=0) / np.maximum(worth.max(2, initial=0), 1e-30)
    worth *= scale[:, :, None]
    scores = worth[image, thing, at]
    quality = np.zeros((n, count, classes), said.dtype)
    quality[image, at, truth.labels[image, thing]] = scores
    each = worth.sum(2)
    weights = (scores / (each[image, thing] * max(np.count_nonzero(each), 1))).astype(said.dtype)
    return Targets(from_numpy(quality), float(scores.sum()), from_numpy(image * count + at), from_numpy(truth.boxes[image, thing]),
                   from_numpy(weights))


def best(worth: np.ndarray, topk: int) -> np.ndarray:
    """Where the topk largest of each row that are above 0 lie: (N, M, L) -> bool."""
    if worth.shape[2] > topk and worth.size:
        least = -np.partition(-worth, topk - 1, 2)[:, :, topk - 1:topk]
        return (worth >= least) & (worth > 0)
    return worth > 0


def inside(truth: Truth, points: np.ndarray) -> np.ndarray:
    """Whether a location lies in an object, or its cell holds the object's middle: (N, M, L)."""
    middle, half = (truth.boxes[..., :2] + truth.boxes[..., 2:]) / 2, (truth.boxes[..., 2:] - truth.boxes[..., :2]) / 2
    found = truth.there[:, :, None]
    for axis in (0, 1):
        reach = np.maximum(half[:, :, None, axis], points[:, 2] / 2)
        found = found & (np.abs(points[:, axis] - middle[:, :, None, axis]) <= reach)
    return found


def overlaps(truth: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The IoU of each object with each box: (N, M, 4), (N, L, 4) -> (N, M, L)."""
    shared, areas = None, []
    for axis in (0, 1):
        low = np.maximum(truth[:, :, None, axis], said[:, None, :, axis])
        high = np.minimum(truth[:, :, None, axis + 2], said[:, None, :, axis + 2])
        side = np.maximum(high - low, 0)
        shared = side if shared is None else shared * side
    for boxes in (truth, said):
        areas.append((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))
    return shared / np.maximum(areas[0][:, :, None] + areas[1][:, None] - shared, 1e-9)


def truth_of(targets: Sequence[Mapping[str, Any]], n: int, classes: int) -> Truth:
    """The targets of n images as arrays, checked."""
    if not isinstance(targets, (list, tuple)) or len(targets) != n:
        raise ValueError(f"FCOS: expected targets to be a list of dicts, one for each of {n} images, got {type(targets).__name__}")
    rows = [checked("FCOS", i, one, classes) for i, one in enumerate(targets)]
    most = max([len(labels) for _, labels in rows], default=0)
    boxes, labels, there = np.zeros((n, most, 4), np.float32), np.zeros((n, most), np.int64), np.zeros((n, most), bool)
    for i, (own, numbers) in enumerate(rows):
        boxes[i, :len(own)], labels[i, :len(own)], there[i, :len(own)] = own, numbers, True
    return Truth(boxes, labels, there)


def checked(caller: str, i: int, target: Mapping[str, Any], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The boxes (K, 4) and labels (K,) of image i."""
    if not isinstance(target, Mapping):
        raise TypeError(f"{caller}: targets[{i}]: expected a dict, got {type(target).__name__}")
    if "boxes" not in target or "labels" not in target:
        raise ValueError(f"{caller}: targets[{i}]: expected 'boxes' and 'labels', got {', '.join(map(repr, target)) or 'nothing'}")
    boxes, labels = np.asarray(target["boxes"]), np.asarray(target["labels"])
    if boxes.size == 0:
        boxes, labels = boxes.reshape(0, 4), labels.reshape(-1).astype(np.int64) if labels.size == 0 else labels
    if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise ValueError(f"{caller}: targets[{i}]: expected boxes (K, 4) and labels (K,), got shapes {boxes.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu" or boxes.dtype.kind not in "fiu":
        raise TypeError(f"{caller}: targets[{i}]: expected boxes of numbers and labels of integers, got {boxes.dtype} and {labels.dtype}")
    if not np.isfinite(boxes).all() or (boxes[:, 2:] <= boxes[:, :2]).any():
        wrong = int((~(np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1))).argmax())
        raise ValueError(f"{caller}: targets[{i}]: expected x1 < x2 and y1 < y2, got boxes[{wrong}] = {boxes[wrong].tolist()}")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"{caller}: targets[{i}]: expected labels from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    return boxes, labels
