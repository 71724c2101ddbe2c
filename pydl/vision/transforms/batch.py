"""What goes through the transforms: images with what belongs to them, one or many at a time; the base class; random draws."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from pydl.ops.random import rand, randint
from pydl.random import Generator
from pydl.tensor import Tensor, float32, float64, uint8
from pydl.vision.images import owned

Target = Any        # a dict, a list of them, or None
Fill = float | Sequence[float] | Mapping[str, Any]


class Batch:
    """Images (N, C, H, W) and the targets of each; transforms change it. `of` and `pair` are its ways in and out.

    boxes and points: float arrays, (K, 4) and (K, 2) for each image; masks: arrays (M, H, W); rest: everything else, one dict an image.
    None where there are none.
    """

    boxes: list[np.ndarray] | None
    points: list[np.ndarray] | None
    masks: list[np.ndarray] | None

    def __init__(self, image: Tensor, target: Target = None) -> None:
        self.reset(image, target)

    def reset(self, image: Tensor, target: Target) -> None:
        if not isinstance(image, Tensor):
            raise TypeError(f"transforms: image must be a Tensor, got {type(image).__name__}; use ToImage() first")
        if image.dtype not in (uint8, float32, float64):
            raise TypeError(f"transforms: image must be uint8, float32 or float64, got {image.dtype}")
        if image.ndim not in (3, 4) or 0 in tuple(image.shape)[-3:]:
            raise ValueError("transforms: expected an image (C, H, W) or images (N, C, H, W) with some pixels, got shape "
                             f"{tuple(image.shape)}")
        if image.requires_grad:
            raise RuntimeError("transforms: image requires grad, but transforms have no derivative; use image.detach()")
        self.single = image.ndim == 3
        self.images = image.unsqueeze(0) if self.single else image
        self.given = target
        self.sort(self.dicts(target))

    def dicts(self, target: Target) -> list[dict[str, Any]]:
        """The target as one dict an image."""
        if target is None:
            return []
        if self.single:
            if not isinstance(target, Mapping):
                raise TypeError(f"transforms: target of one image: expected a dict, got {type(target).__name__}")
            return [dict(target)]
        if isinstance(target, Mapping):
            for key in ("boxes", "keypoints", "masks"):
                if key in target and (not isinstance(target[key], Tensor) or len(target[key]) != len(self)):
                    raise ValueError(f"transforms: a dict for {len(self)} images: expected target[{key!r}] (N, ...) with one row an image")
            moved = {key: target[key] for key in ("boxes", "keypoints", "masks") if key in target}
            return [{key: value[i] for key, value in moved.items()} for i in range(len(self))]
        if not isinstance(target, Sequence) or len(target) != len(self) or not all(isinstance(one, Mapping) for one in target):
            raise ValueError(f"transforms: target of {len(self)} images: expected a list of as many dicts, or one dict, got "
                             f"{type(target).__name__}")
        return [dict(one) for one in target]

    def sort(self, dicts: list[dict[str, Any]]) -> None:
        self.types: list[dict[str, Any]] = [{} for _ in dicts]
        self.boxes = self.take(dicts, "boxes", 4)
        self.points = self.take(dicts, "keypoints", 2)
        self.masks = None
        if dicts and all("masks" in one for one in dicts):
            self.masks = [self.mask(one.pop("masks"), types) for one, types in zip(dicts, self.types)]
        self.refuse_some(dicts)
        self.rest = dicts

    def refuse_some(self, dicts: list[dict[str, Any]]) -> None:
        for key in ("boxes", "keypoints", "masks"):
            if any(key in one for one in dicts):
                raise ValueError(f"transforms: {key} must be in the targets of all images of a batch, or of none")

    def take(self, dicts: list[dict[str, Any]], key: str, width: int) -> list[np.ndarray] | None:
        if not dicts or not all(key in one for one in dicts):
            return None
        found = []
        for one, types in zip(dicts, self.types):
            x = one.pop(key)
            if not isinstance(x, Tensor):
                raise TypeError(f"transforms: {key} must be a Tensor, got {type(x).__name__}")
            if x.ndim != 2 or x.shape[1] != width:
                raise ValueError(f"transforms: expected {key} (N, {width}), got shape {tuple(x.shape)}")
            types[key] = np.float64 if x.dtype == float64 else np.float32
            found.append(x.detach().numpy().astype(np.float64))
        return found

    def mask(self, x: Any, types: dict[str, Any]) -> np.ndarray:
        if not isinstance(x, Tensor):
            raise TypeError(f"transforms: masks must be a Tensor, got {type(x).__name__}")
        if x.ndim not in (2, 3) or tuple(x.shape)[-2:] != self.size:
            raise ValueError(f"transforms: expected masks (H, W) or (N, H, W) of the image's size {self.size}, got shape {tuple(x.shape)}")
        types["masks"] = x.ndim
        array = x.detach().numpy()
        return array[None] if x.ndim == 2 else array

    def __len__(self) -> int:
        return int(self.images.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        return int(self.images.shape[2]), int(self.images.shape[3])

    @property
    def most(self) -> float:
        """What white is."""
        return 255.0 if self.images.dtype == uint8 else 1.0

    @property
    def array(self) -> np.ndarray:
        return self.images.numpy()

    def set(self, images: np.ndarray | Tensor) -> None:
        self.images = images if isinstance(images, Tensor) else owned(images)

    def pair(self) -> tuple[Tensor, Target]:
        """The image or images, and the target, built as it came."""
        image = self.images[0] if self.single else self.images
        if self.given is None:
            return image, None
        built = [self.built(i) for i in range(len(self.rest))]
        if self.single:
            return image, built[0]
        if not isinstance(self.given, Mapping):
            return image, built
        stacked = {key: owned(np.stack([one[key].numpy() for one in built])) for key in (built[0] if built else {})}
        return image, {**self.given, **stacked}

    def built(self, i: int) -> dict[str, Any]:
        types, own = self.types[i], dict(self.rest[i])
        for key, arrays in (("boxes", self.boxes), ("keypoints", self.points)):
            if arrays is not None:
                own[key] = owned(arrays[i].astype(types[key]))
        if self.masks is not None:
            own["masks"] = owned(self.masks[i][0] if types["masks"] == 2 else self.masks[i])
        given = self.given if self.single else self.given[i] if not isinstance(self.given, Mapping) else own
        return {**{key: own[key] for key in given if key in own}, **own}       # in the order that they came in

    def move_masks(self, move: Callable[[np.ndarray, slice], np.ndarray]) -> None:
        """move(masks (n, M, H, W), which images) -> the new ones; in one call where all have one shape."""
        if not self.masks:
            return
        if len({(mask.shape, mask.dtype) for mask in self.masks}) == 1:
            self.masks = list(move(np.stack(self.masks), slice(None)))
        else:
            self.masks = [move(mask[None], slice(i, i + 1))[0] for i, mask in enumerate(self.masks)]

    def part(self, i: int) -> Batch:
        """A batch of image i alone."""
        one = Batch.__new__(Batch)
        one.single, one.given, one.images = False, None, self.images[i:i + 1]
        for key in ("boxes", "points", "masks"):
            arrays = getattr(self, key)
            setattr(one, key, None if arrays is None else [arrays[i]])
        one.rest, one.types = self.rest[i:i + 1], self.types[i:i + 1]
        return one

    def join(self, parts: list[Batch]) -> None:
        """Takes what has become of the parts."""
        self.set(np.concatenate([one.array for one in parts]) if len(parts) != 1 else parts[0].images)
        for key in ("boxes", "points", "masks"):
            if getattr(self, key) is not None:
                setattr(self, key, [getattr(one, key)[0] for one in parts])
        self.rest = [rest for one in parts for rest in one.rest]

    def each(self, change: Callable[[Batch, int], None]) -> None:
        """change(batch of one image, its number) for every image; all must end with one size."""
        parts = [self.part(i) for i in range(len(self))]
        for i, one in enumerate(parts):
            change(one, i)
        if parts:
            self.join(parts)


class Transform:
    """Base class. image = t(image), or image, target = t(image, target).

    image: a tensor (C, H, W), or a batch (N, C, H, W), whose images are drawn for one by one; uint8 (0 .. 255) or floats (0 .. 1).
    target: a dict (one for each image of a batch, in a list; or one of stacked tensors). In it are carried along: "boxes"
    (K, 4), x1 y1 x2 y2 in pixels, where pixel i reaches from i to i + 1; "keypoints" (K, 2), x y likewise; "masks" (H, W) or
    (K, H, W), integers or bool. Everything else passes unchanged. Nothing given is written to.

    generator: where random numbers come from; by default the common generator, or in a DataLoader its batch's, so that batches
    do not depend on the number of workers: leave it out there.
    """

    def __call__(self, image: Tensor, target: Target = None) -> Any:
        batch = Batch(image, target)
        self.apply(batch)
        image, new = batch.pair()
        return image if target is None else (image, new)

    def apply(self, batch: Batch) -> None:
        raise NotImplementedError(f"{type(self).__name__}: apply is not defined")

    def __repr__(self) -> str:
        shown = (f"{key}={value!r}" for key, value in vars(self).items() if key != "generator" and not key.startswith("_"))
        return f"{type(self).__name__}({', '.join(shown)})"


def run(image: Tensor, target: Target, change: Callable[[Batch], None]) -> Any:
    """A transform that is a function."""
    batch = Batch(image, target)
    change(batch)
    image, new = batch.pair()
    return image if target is None else (image, new)


# ---- Draws

def uniform(generator: Generator | None, n: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """n numbers from [low, high), float64."""
    return low + (high - low) * rand(n, dtype=float64, generator=generator).numpy()


def happens(generator: Generator | None, n: int, p: float) -> np.ndarray:
    """n bools, true with probability p."""
    return uniform(generator, n) < p


def below(generator: Generator | None, n: int, high: int) -> np.ndarray:
    """n integers from 0 to high - 1."""
    return randint(high, (n,), generator=generator).numpy()


# ---- Arguments

def probability(name: str, p: float) -> float:
    if isinstance(p, bool) or not isinstance(p, (int, float)):
        raise TypeError(f"{name}: p must be a number, got {type(p).__name__}")
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be a probability from 0 to 1, got {p}")
    return float(p)


def pair_of(name: str, what: str, value: Any) -> tuple[int, int]:
    """(height, width), each above 0, from an int or two."""
    values = [value, value] if isinstance(value, (int, np.integer)) else list(value) if isinstance(value, (tuple, list)) else None
    if values is None or len(values) not in (1, 2) or not all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) for x in values):
        raise TypeError(f"{name}: {what} must be an int or two of them (height, width), got {value!r}")
    if min(values) < 1 or max(values) > 2**30:
        raise ValueError(f"{name}: {what} must be 1 or more, and at most 2^30, got {value!r}")
    return int(values[0]), int(values[-1])


def interval(name: str, what: str, value: Any, centre: float | None = None, low: float = -np.inf,
             high: float = np.inf) -> tuple[float, float]:
    """(least, most); one number v stands for centre - v .. centre + v, cut at `low`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and centre is not None:
        if not value >= 0:
            raise ValueError(f"{name}: {what} given as one number must not be negative, got {value}")
        value = (max(centre - value, low), centre + value)
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(isinstance(x, (int, float)) for x in value):
        raise TypeError(f"{name}: {what} must be two numbers (least, most), got {value!r}")
    if not low <= value[0] <= value[1] <= high:
        raise ValueError(f"{name}: {what} must be (least, most) within {low:g} .. {high:g}, got {value!r}")
    return float(value[0]), float(value[1])


def numbers(name: str, what: str, value: Any) -> tuple[float, float]:
    """Two finite numbers, x and y."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(isinstance(x, (int, float, np.number)) for x in value):
        raise TypeError(f"{name}: {what} must be two numbers (x, y), got {value!r}")
    if not np.isfinite(value).all():
        raise ValueError(f"{name}: {what} must be finite, got {value!r}")
    return float(value[0]), float(value[1])


def channel_values(name: str, what: str, value: Any, channels: int) -> np.ndarray:
    """(C,) float64 from a number or one for each channel."""
    try:
        values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.zeros((0,))
    if values.ndim != 1 or len(values) not in (1, channels):
        raise ValueError(f"{name}: expected {what} to be a number or {channels} of them, got {value!r}")
    return np.ascontiguousarray(np.broadcast_to(values, (channels,)))


def fill_of(fill: Fill, what: str, like: np.ndarray) -> np.ndarray:
    """The fill of each channel of `like` (N, C, ...), (C,) float64, for integers rounded and cut to what their type has.

    what: "image" or "masks"; a number or sequence is the image's, masks then get 0.
    """
    if isinstance(fill, Mapping):
        if unknown := set(fill) - {"image", "masks"}:
            raise ValueError(f"transforms: expected fill for 'image' and 'masks', got {sorted(map(str, unknown))}")
        fill = cast(Fill, fill.get(what, 0))
    elif what == "masks":
        fill = 0
    values = channel_values("transforms", "fill", fill, like.shape[1])
    if like.dtype.kind == "f":
        return values
    if np.isnan(values).any():
        raise ValueError(f"transforms: {like.dtype} has no NaN, which fill is: {fill!r}")
    low, high = (0, 1) if like.dtype == bool else (np.iinfo(like.dtype).min, min(np.iinfo(like.dtype).max, 2**53))
    return np.clip(np.round(values), max(low, -2**53), high)
