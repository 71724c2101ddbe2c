"""Transforms that mix the images of a batch with each other: for a collate_fn, or a training loop."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pydl.ops.random import randn, randperm
from pydl.random import Generator
from pydl.tensor import Tensor, float32, int32, int64
from pydl.vision.images import owned, to_bytes
from pydl.vision.transforms import moves
from pydl.vision.transforms.batch import Batch, Fill, Target, Transform, below, interval, pair_of, uniform
from pydl.vision.transforms.geometry import area, remove


def gamma(generator: Generator | None, shape: float) -> float:
    """A number of the gamma distribution (Marsaglia & Tsang 2000)."""
    if shape < 1:
        return gamma(generator, shape + 1) * float(uniform(generator, 1)[0]) ** (1 / shape)
    d = shape - 1 / 3
    while True:
        x = randn(1, generator=generator).item()
        v = (1 + x / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(max(1e-300, uniform(generator, 1)[0])) < 0.5 * x * x + d - d * v + d * math.log(v):
            return d * v


def beta(generator: Generator | None, alpha: float) -> float:
    a, b = gamma(generator, alpha), gamma(generator, alpha)
    return a / (a + b) if a + b > 0 else 0.5


class Mixing:
    """What MixUp and CutMix share: images, labels = t(images, labels).

    images (N, C, H, W), uint8 or floats; labels (N,) integers (num_classes must be given) or (N, K) probabilities; -> images, and
    probabilities (N, K) float32: each image's partner is the one before it, the last one's the first.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None, generator: Generator | None = None) -> None:
        if not 0 < alpha < math.inf:
            raise ValueError(f"{type(self).__name__}: alpha must be positive, got {alpha}")
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"{type(self).__name__}: num_classes must be 1 or more, got {num_classes}")
        self.alpha, self.num_classes, self.generator = float(alpha), num_classes, generator

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes})"

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        batch = Batch(images)
        if batch.single:
            raise ValueError(f"{type(self).__name__}: expected a batch (N, C, H, W), got shape {tuple(images.shape)}; "
                             "it is for a collate_fn")
        share = self.soft(labels, len(batch))
        if not len(batch):
            return images, owned(share)
        mixed, lam = self.mix(batch.array, beta(self.generator, self.alpha))
        return owned(mixed), owned((lam * share + (1 - lam) * np.roll(share, 1, 0)).astype(np.float32))

    def soft(self, labels: Tensor, n: int) -> np.ndarray:
        name = type(self).__name__
        if not isinstance(labels, Tensor):
            raise TypeError(f"{name}: labels must be a Tensor, got {type(labels).__name__}")
        if labels.ndim == 2 and labels.shape[0] == n and labels.is_floating_point():
            return labels.detach().to(float32).numpy()
        if labels.ndim != 1 or len(labels) != n or labels.dtype not in (int32, int64):
            raise ValueError(f"{name}: expected labels ({n},) of integers or ({n}, K) of floats, got {tuple(labels.shape)} {labels.dtype}")
        if self.num_classes is None:
            raise ValueError(f"{name}: labels of integers need num_classes")
        values = labels.numpy()
        if n and not 0 <= values.min() <= values.max() < self.num_classes:
            raise IndexError(f"{name}: expected labels from 0 to {self.num_classes - 1}, got {values.min()} to {values.max()}")
        return np.eye(self.num_classes, dtype=np.float32)[values]

    def mix(self, images: np.ndarray, lam: float) -> tuple[np.ndarray, float]:
        raise NotImplementedError


class MixUp(Mixing):
    """lam x + (1 - lam) partner, of images and labels; lam from Beta(alpha, alpha), one for the batch (Zhang et al. 2018)."""

    def mix(self, images: np.ndarray, lam: float) -> tuple[np.ndarray, float]:
        work = images.astype(np.float32) if images.dtype == np.uint8 else images
        mixed = work * work.dtype.type(lam)
        mixed += np.roll(work, 1, 0) * work.dtype.type(1 - lam)
        return (to_bytes(mixed) if images.dtype == np.uint8 else mixed), lam


class CutMix(Mixing):
    """A rectangle of the partner's in each image, 1 - lam of the area, cut at the edges; labels by what is left (Yun et al. 2019)."""

    def mix(self, images: np.ndarray, lam: float) -> tuple[np.ndarray, float]:
        height, width = images.shape[2:]
        x, y = (int(below(self.generator, 1, n)[0]) for n in (width, height))
        h, w = (int(0.5 * math.sqrt(1 - lam) * n) for n in (height, width))
        a, b, c, d = max(y - h, 0), min(y + h, height), max(x - w, 0), min(x + w, width)
        mixed = images.copy()
        mixed[:, :, a:b, c:d] = np.roll(images[:, :, a:b, c:d], 1, 0)
        return mixed, 1 - (b - a) * (d - c) / (height * width)


class Mosaic(Transform):
    """Four images in one: each of a batch with three others of it, around a random point (Bochkovskiy et al. 2020).

    images, target = t(images, targets), images (N, C, H, W), targets a list of N dicts. The point lies at a share centre (least, most)
    of height and width; each quarter shows a random part of its image at its own scale (masks (H, W) likewise). Boxes are cut at the
    quarters' edges, and removed with what belongs to them where they get narrower or lower than min_size or keep less than min_visible
    of their area; "labels" and other tensors with one row a box are joined, everything else is that of the first image.
    """

    def __init__(self, size: int | Sequence[int] | None = None, centre: Sequence[float] = (0.25, 0.75), min_size: float = 1.0,
                 min_visible: float = 0.0, fill: Fill = 0, *, generator: Generator | None = None) -> None:
        self.size = None if size is None else pair_of("Mosaic", "size", size)
        self.centre = interval("Mosaic", "centre", centre, low=0, high=1)
        if not min_size >= 0 or not 0 <= min_visible <= 1:
            raise ValueError(f"Mosaic: expected min_size of 0 or more and min_visible from 0 to 1, got {min_size} and {min_visible}")
        self.min_size, self.min_visible, self.fill, self.generator = min_size, min_visible, fill, generator

    def __call__(self, image: Tensor, target: Target = None) -> Any:
        batch = Batch(image, target)
        if batch.single or (target is not None and not isinstance(target, Sequence)):
            raise ValueError(f"Mosaic: expected a batch (N, C, H, W) and a list of N targets, got shape {tuple(image.shape)}; "
                             "it is for a collate_fn")
        if batch.points is not None or batch.masks is not None and any(types["masks"] == 3 for types in batch.types):
            raise ValueError("Mosaic: keypoints and masks of single objects (K, H, W) are not there; take them out of the target")
        self.apply(batch)
        image, new = batch.pair()
        return image if target is None else (image, new)

    def apply(self, batch: Batch) -> None:
        n, size = len(batch), self.size or batch.size
        if n == 0:
            return
        partners = np.stack([np.arange(n), *(randperm(n, generator=self.generator).numpy() for _ in range(3))], 1)
        middle = np.stack([np.round(uniform(self.generator, n, *self.centre) * side) for side in size], 1).astype(int).clip(0, size)
        shares = uniform(self.generator, 8 * n).reshape(n, 4, 2)
        made = [self.one(batch, partners[i], middle[i], shares[i], size) for i in range(n)]
        batch.join(made)

    def one(self, batch: Batch, partners: np.ndarray, middle: np.ndarray, shares: np.ndarray, size: tuple[int, int]) -> Batch:
        """The mosaic of four images."""
        out = batch.part(int(partners[0]))
        images = np.empty((1, batch.images.shape[1], *size), batch.array.dtype)
        masks = None if batch.masks is None else np.empty((1, *size), batch.masks[0].dtype)
        boxes, rests = [], []
        for k, partner in enumerate(partners):
            (a, b), (c, d) = ((0, middle[0]), (middle[0], size[0]))[k // 2], ((0, middle[1]), (middle[1], size[1]))[k % 2]
            if a == b or c == d:
                continue
            part = batch.part(int(partner))
            part.types, part.rest = [dict(one) for one in part.types], [dict(one) for one in part.rest]
            self.cut(part, (int(b - a), int(d - c)), shares[k])
            images[:, :, a:b, c:d] = part.array
            if masks is not None and part.masks is not None:
                masks[:, a:b, c:d] = part.masks[0]
            if part.boxes is not None:
                boxes.append(part.boxes[0] + np.array([c, a, c, a]))
                rests.append(part.rest[0])
        out.set(images)
        if masks is not None:
            out.masks = [masks]
        if out.boxes is not None:
            out.rest = [joined(out.rest[0], rests, [len(one) for one in boxes], len(out.boxes[0]))]
            out.boxes = [np.concatenate(boxes) if boxes else np.empty((0, 4))]
        return out

    def cut(self, part: Batch, size: tuple[int, int], shares: np.ndarray) -> None:
        """A random window of that size; boxes that lose too much are removed."""
        before = None if part.boxes is None else area(part.boxes[0])
        first = [int(share * (abs(old - new) + 1)) * (1 if old > new else -1) for share, old, new in zip(shares, part.size, size)]
        moves.crop(part, np.array(first[:1]), np.array(first[1:]), size, self.fill)
        if part.boxes is not None and before is not None:
            boxes = part.boxes[0]
            small = (boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf)
            remove(part, 0, (small >= self.min_size) & (small > 0) & (area(boxes) >= self.min_visible * before))


def joined(first: dict[str, Any], rests: list[dict[str, Any]], counts: list[int], count: int) -> dict[str, Any]:
    """first, where what has one row a box (`count` of them before) is replaced by the rows of all."""
    rows = {key for key, value in first.items() if isinstance(value, Tensor) and value.ndim and len(value) == count}
    rows = {key for key in rows if all(isinstance(rest.get(key), Tensor) and len(rest[key]) == n for rest, n in zip(rests, counts))}
    return {**first, **{key: owned(np.concatenate([rest[key].numpy() for rest in rests])) for key in rows}}
