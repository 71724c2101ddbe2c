"""Transforms that move pixels, and with them boxes, masks and keypoints. Batches are drawn for image by image."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pydl.ops.random import rand
from pydl.ops.warp import PADDINGS as WARP_PADDINGS
from pydl.random import Generator
from pydl.vision.images import owned
from pydl.vision.transforms import functional as F
from pydl.vision.transforms import moves
from pydl.vision.transforms.batch import Batch, Fill, Transform, below, happens, interval, numbers, pair_of, probability, uniform
from pydl.vision.transforms.functional import CROP_PADDINGS, WARP_MODES
from pydl.vision.transforms.moves import mode_of, padding_of


class RandomHorizontalFlip(Transform):
    """Left and right change places with probability p."""

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        self.p, self.generator = probability("RandomHorizontalFlip", p), generator

    def apply(self, batch: Batch) -> None:
        moves.flip(batch, happens(self.generator, len(batch), self.p), -1)


class RandomVerticalFlip(Transform):
    """Top and bottom change places with probability p."""

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        self.p, self.generator = probability("RandomVerticalFlip", p), generator

    def apply(self, batch: Batch) -> None:
        moves.flip(batch, happens(self.generator, len(batch), self.p), -2)


class CenterCrop(Transform):
    """The middle of the image, `size` (height, width), with 0 around it where the image is smaller. Boxes are cut at its edges."""

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = pair_of("CenterCrop", "size", size)

    def apply(self, batch: Batch) -> None:
        top, left = F.centre_of(batch.size, self.size)
        moves.crop(batch, np.full(len(batch), top), np.full(len(batch), left), self.size)


class Pad(Transform):
    """More pixels around: see functional.pad."""

    def __init__(self, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant") -> None:
        self.padding, self.fill = padding, fill
        self.padding_mode = padding_of("Pad", padding_mode, *CROP_PADDINGS)
        F.sides(padding)

    def apply(self, batch: Batch) -> None:
        left, top, right, bottom = F.sides(self.padding)
        size = pair_of("Pad", f"the size of images {batch.size} with padding {self.padding!r}",
                       (batch.size[0] + top + bottom, batch.size[1] + left + right))
        moves.crop(batch, np.full(len(batch), -top), np.full(len(batch), -left), size, self.fill, self.padding_mode)


class RandomCrop(Transform):
    """A window of `size` (height, width) anywhere in the image, after padding (as in Pad) around it.

    pad_if_needed: an image that is smaller is padded to `size` first, else that is a ValueError. Boxes are cut at the window's edges:
    SanitizeBoundingBoxes removes those of which nothing is left.
    """

    def __init__(self, size: int | Sequence[int], padding: int | Sequence[int] | None = None, pad_if_needed: bool = False, fill: Fill = 0,
                 padding_mode: str = "constant", *, generator: Generator | None = None) -> None:
        self.size, self.padding, self.pad_if_needed, self.fill = pair_of("RandomCrop", "size", size), padding, pad_if_needed, fill
        self.padding_mode, self.generator = padding_of("RandomCrop", padding_mode, *CROP_PADDINGS), generator
        if padding is not None:
            F.sides(padding)

    def apply(self, batch: Batch) -> None:
        left, top, right, bottom = (0, 0, 0, 0) if self.padding is None else F.sides(self.padding)
        firsts = []
        for axis, before, after in ((0, top, bottom), (1, left, right)):
            room = batch.size[axis] + before + after - self.size[axis]
            if room < 0:
                if not self.pad_if_needed:
                    raise ValueError(f"RandomCrop: images {batch.size} with padding {self.padding!r} are smaller than the window "
                                     f"{self.size}; pad_if_needed=True pads them")
                before, room = before - room, -room
            firsts.append(below(self.generator, len(batch), room + 1) - before)
        moves.crop(batch, firsts[0], firsts[1], self.size, self.fill, self.padding_mode)


class RandomResizedCrop(Transform):
    """A window of a random share `scale` of the area and a ratio width / height in `ratio`, resized to `size` (Szegedy et al. 2015).

    Ten tries are made to find one that fits; then the largest window in the middle with a fitting ratio is taken.
    """

    def __init__(self, size: int | Sequence[int], scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3),
                 interpolation: str = "bilinear", antialias: bool = True, *, generator: Generator | None = None) -> None:
        name = "RandomResizedCrop"
        self.size, self.antialias, self.generator = pair_of(name, "size", size), antialias, generator
        self.scale, self.ratio = interval(name, "scale", scale, low=1e-9), interval(name, "ratio", ratio, low=1e-9)
        self.interpolation = mode_of(name, interpolation, *WARP_MODES, "bicubic")

    def draw(self, height: int, width: int) -> tuple[int, int, int, int]:
        """top, left, height and width of a window."""
        area = uniform(self.generator, 10, *self.scale) * height * width
        ratios = np.exp(uniform(self.generator, 10, *np.log(self.ratio)))
        place = uniform(self.generator, 2)
        for a, r in zip(area, ratios):
            w, h = round(math.sqrt(a * r)), round(math.sqrt(a / r))
            if 0 < w <= width and 0 < h <= height:
                return int(place[0] * (height - h + 1)), int(place[1] * (width - w + 1)), h, w
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        h, w = max(1, min(height, round(width / ratio))), max(1, min(width, round(height * ratio)))
        return (height - h) // 2, (width - w) // 2, h, w

    def apply(self, batch: Batch) -> None:
        def change(one: Batch, _: int) -> None:
            top, left, h, w = self.draw(*one.size)
            moves.crop(one, np.array([top]), np.array([left]), (h, w))
            moves.resize(one, self.size, self.interpolation, self.antialias)

        batch.each(change)


class Resize(Transform):
    """To `size`: see functional.resize. Boxes are scaled, masks take the nearest pixel."""

    def __init__(self, size: int | Sequence[int], interpolation: str = "bilinear", max_size: int | None = None,
                 antialias: bool = True) -> None:
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = mode_of("Resize", interpolation, *WARP_MODES, "bicubic")
        pair_of("Resize", "size", size)

    def apply(self, batch: Batch) -> None:
        moves.resize(batch, F.new_size(batch.size, self.size, self.max_size), self.interpolation, self.antialias)


class ScaleJitter(Transform):
    """Resized to `target_size` (as much of it as the image's ratio allows) times a random number of scale_range; one for a batch.

    (Ghiasi et al. 2021; followed by a RandomCrop of target_size with pad_if_needed.)
    """

    def __init__(self, target_size: int | Sequence[int], scale_range: Sequence[float] = (0.1, 2.0), interpolation: str = "bilinear",
                 antialias: bool = True, *, generator: Generator | None = None) -> None:
        self.target_size, self.antialias, self.generator = pair_of("ScaleJitter", "target_size", target_size), antialias, generator
        self.scale_range = interval("ScaleJitter", "scale_range", scale_range, low=1e-9)
        self.interpolation = mode_of("ScaleJitter", interpolation, *WARP_MODES, "bicubic")

    def apply(self, batch: Batch) -> None:
        height, width = batch.size
        by = min(self.target_size[0] / height, self.target_size[1] / width) * uniform(self.generator, 1, *self.scale_range)[0]
        moves.resize(batch, (max(1, int(height * by)), max(1, int(width * by))), self.interpolation, self.antialias)


class Warp(Transform):
    """What the warps share: how values between pixels are found, and what lies outside."""

    def __init__(self, interpolation: str, fill: Fill, padding_mode: str, generator: Generator | None) -> None:
        self.interpolation = mode_of(type(self).__name__, interpolation, *WARP_MODES)
        self.fill, self.padding_mode, self.generator = fill, padding_of(type(self).__name__, padding_mode, *WARP_PADDINGS), generator


class RandomRotation(Warp):
    """A turn by an angle of `degrees` (least, most; one number d: -d .. d), anticlockwise: see functional.rotate.

    expand: the image grows so that all of it stays visible (a batch: as much as the most turned one needs).
    """

    def __init__(self, degrees: float | Sequence[float], interpolation: str = "nearest", expand: bool = False,
                 center: Sequence[float] | None = None, fill: Fill = 0, padding_mode: str = "constant", *,
                 generator: Generator | None = None) -> None:
        super().__init__(interpolation, fill, padding_mode, generator)
        self.degrees, self.expand = interval("RandomRotation", "degrees", degrees, 0), expand
        self.center = None if center is None else numbers("RandomRotation", "center", center)

    def apply(self, batch: Batch) -> None:
        size = batch.size
        centre = self.center or (size[1] / 2, size[0] / 2)
        maps = stacked(moves.affine_map(-a, (0, 0), 1, (0, 0), centre) for a in uniform(self.generator, len(batch), *self.degrees))
        if self.expand and len(batch):
            maps, size = moves.expanded(maps, size)
        moves.warp(batch, maps, size, self.interpolation, self.fill, self.padding_mode)


def stacked(maps: Any) -> np.ndarray:
    found = list(maps)
    return np.stack(found) if found else np.empty((0, 3, 3))


class RandomAffine(Warp):
    """A turn by `degrees` (clockwise), a translation of at most translate (shares of width and height), a scale of scale (least, most), and
    a shear of `shear` degrees (one number s: -s .. s along x; two: least, most along x; four: and along y): see functional.affine."""

    def __init__(self, degrees: float | Sequence[float], translate: Sequence[float] | None = None, scale: Sequence[float] | None = None,
                 shear: float | Sequence[float] | None = None, interpolation: str = "nearest", fill: Fill = 0,
                 center: Sequence[float] | None = None, padding_mode: str = "constant", *, generator: Generator | None = None) -> None:
        super().__init__(interpolation, fill, padding_mode, generator)
        name = "RandomAffine"
        self.degrees, self.center = interval(name, "degrees", degrees, 0), None if center is None else numbers(name, "center", center)
        self.translate = (0.0, 0.0) if translate is None else numbers(name, "translate", translate)
        if not 0 <= min(self.translate) <= max(self.translate) <= 1:
            raise ValueError(f"{name}: translate must be shares from 0 to 1, got {translate!r}")
        self.scale = (1.0, 1.0) if scale is None else interval(name, "scale", scale, low=1e-9)
        four = not isinstance(shear, (int, float)) and shear is not None and len(shear) == 4
        parts: Any = (shear[:2], shear[2:]) if four and not isinstance(shear, (int, float)) and shear is not None else (shear or 0.0, 0.0)
        self.shear = tuple(interval(name, "shear", tuple(part) if isinstance(part, list) else part, 0) for part in parts)

    def apply(self, batch: Batch) -> None:
        n, (height, width) = len(batch), batch.size
        angle = uniform(self.generator, n, *self.degrees)
        x, y = (np.round(uniform(self.generator, n, -share * side, share * side)) for share, side in zip(self.translate, (width, height)))
        scale = uniform(self.generator, n, *self.scale)
        shears = [uniform(self.generator, n, *part) for part in self.shear]
        centre = self.center or (width / 2, height / 2)
        maps = stacked(moves.affine_map(angle[i], (x[i], y[i]), scale[i], (shears[0][i], shears[1][i]), centre) for i in range(n))
        moves.warp(batch, maps, batch.size, self.interpolation, self.fill, self.padding_mode)


class RandomStretch(Warp):
    """Larger or smaller by a factor of scale (least, most), in width by one of ratio relative to height, and moved by at most translate
    (shares of width and height): boxes stay as tight as they were, as no turn or shear leaves them.

    Factors are drawn evenly on a logarithmic scale. Boxes of which less than min_visible of the area stays in the image are removed, with
    what belongs to them.
    """

    def __init__(self, scale: Sequence[float] = (0.75, 1.33), ratio: Sequence[float] = (0.8, 1.25),
                 translate: Sequence[float] = (0.15, 0.15), min_visible: float = 0.0, interpolation: str = "bilinear",
                 fill: Fill = 0, padding_mode: str = "constant", *, generator: Generator | None = None) -> None:
        super().__init__(interpolation, fill, padding_mode, generator)
        name = "RandomStretch"
        self.scale, self.ratio = interval(name, "scale", scale, low=1e-9), interval(name, "ratio", ratio, low=1e-9)
        self.translate = (probability(name, translate[0]), probability(name, translate[1]))
        self.min_visible = probability(name, min_visible)

    def apply(self, batch: Batch) -> None:
        n, (height, width) = len(batch), batch.size
        scale, ratio = (np.exp(uniform(self.generator, n, *np.log(limits))) for limits in (self.scale, self.ratio))
        x, y = (uniform(self.generator, n, -share * side, share * side) for share, side in zip(self.translate, (width, height)))
        across, down = scale * np.sqrt(ratio), scale / np.sqrt(ratio)
        centred = moves.scaling(1, 1, -width / 2, -height / 2)
        maps = stacked(moves.scaling(across[i], down[i], width / 2 + x[i], height / 2 + y[i]) @ centred for i in range(n))
        before = [] if batch.boxes is None else [area(boxes) * scale[i] ** 2 for i, boxes in enumerate(batch.boxes)]
        moves.warp(batch, maps, batch.size, self.interpolation, self.fill, self.padding_mode)
        for i, whole in enumerate(before):
            left = area(batch.boxes[i]) if batch.boxes is not None else whole
            remove(batch, i, (left > 0) & (left >= self.min_visible * whole))


def area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


class RandomPerspective(Warp):
    """With probability p, each corner moves inwards by at most distortion_scale (0 .. 1) of half a side, and the image with them."""

    def __init__(self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: str = "bilinear", fill: Fill = 0,
                 padding_mode: str = "constant", *, generator: Generator | None = None) -> None:
        super().__init__(interpolation, fill, padding_mode, generator)
        self.distortion_scale, self.p = probability("RandomPerspective", distortion_scale), probability("RandomPerspective", p)

    def apply(self, batch: Batch) -> None:
        n, (height, width) = len(batch), batch.size
        wanted = happens(self.generator, n, self.p)
        inwards = uniform(self.generator, 8 * n, 0, 0.99 * self.distortion_scale / 2).reshape(n, 4, 2) * (width, height)
        if not wanted.any():
            return
        start = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
        signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        maps = stacked(moves.perspective_map(start, start + signs * inwards[i]) if wanted[i] else np.eye(3) for i in range(n))
        moves.warp(batch, maps, batch.size, self.interpolation, self.fill, self.padding_mode)


class ElasticTransform(Warp):
    """Pixels displaced at random, alike nearby: noise of -1 .. 1, blurred with deviation sigma, times alpha / 2 (Simard et al. 2003).

    alpha, sigma: one number, or two for x and y; as in torchvision for square images. Boxes become the hulls of their displaced edges.
    """

    def __init__(self, alpha: float | Sequence[float] = 50.0, sigma: float | Sequence[float] = 5.0, interpolation: str = "bilinear",
                 fill: Fill = 0, padding_mode: str = "constant", *, generator: Generator | None = None) -> None:
        super().__init__(interpolation, fill, padding_mode, generator)
        self.alpha, self.sigma = two(alpha, "alpha"), two(sigma, "sigma")

    def apply(self, batch: Batch) -> None:
        n, size = len(batch), batch.size
        if n == 0:
            return
        field = moves.elastic_field(rand(n, 2, *size, generator=self.generator) * 2 - 1, self.alpha, self.sigma)
        moves.warp(batch, stacked(np.eye(3) for _ in range(n)), size, self.interpolation, self.fill, self.padding_mode, field)


def two(value: float | Sequence[float], what: str) -> tuple[float, float]:
    values = [value, value] if isinstance(value, (int, float)) else list(value)
    if len(values) not in (1, 2) or not all(0 <= x < 1e6 for x in values):
        raise ValueError(f"ElasticTransform: {what} must be one or two numbers, 0 or more, got {value!r}")
    return float(values[0]), float(values[-1])


class SanitizeBoundingBoxes(Transform):
    """Removes boxes narrower or lower than min_size pixels, of an area below min_area, with a NaN, or (as others leave them) outside.

    What belongs to a box goes with it: every tensor in the target whose first dimension is the number of boxes ("labels", "keypoints" ...;
    labels_getter=None: "labels" and "masks" alone), and masks (K, H, W) of as many. The image stays.
    """

    def __init__(self, min_size: float = 1.0, min_area: float = 1.0, labels_getter: str | None = "default") -> None:
        if not min_size >= 0 or not min_area >= 0:
            raise ValueError(f"SanitizeBoundingBoxes: min_size and min_area must not be negative, got {min_size} and {min_area}")
        if labels_getter not in ("default", None):
            raise ValueError(f"SanitizeBoundingBoxes: labels_getter must be 'default' or None, got {labels_getter!r}")
        self.min_size, self.min_area, self.labels_getter = min_size, min_area, labels_getter

    def apply(self, batch: Batch) -> None:
        if batch.boxes is None:
            return
        if not batch.single and isinstance(batch.given, Mapping):
            raise ValueError("SanitizeBoundingBoxes: images keep different numbers of boxes: expected a list of targets, got one dict")
        for i in range(len(batch)):
            remove(batch, i, self.kept(batch.boxes[i]), self.labels_getter is None)

    def kept(self, boxes: np.ndarray) -> np.ndarray:
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        return (width >= self.min_size) & (height >= self.min_size) & (width * height >= self.min_area) & (width > 0) & (height > 0)


def remove(batch: Batch, i: int, kept: np.ndarray, labels_only: bool = False) -> None:
    """Image i keeps some of its boxes, and what belongs to them."""
    if batch.boxes is None or kept.all():
        return
    count, rest = len(kept), batch.rest[i]
    batch.boxes[i] = batch.boxes[i][kept]
    if batch.masks is not None and batch.types[i]["masks"] == 3 and len(batch.masks[i]) == count:
        batch.masks[i] = batch.masks[i][kept]
    if batch.points is not None and len(batch.points[i]) == count and not labels_only:
        batch.points[i] = batch.points[i][kept]
    for key, value in rest.items():
        if (key == "labels" or not labels_only) and hasattr(value, "ndim") and value.ndim and len(value) == count:
            rest[key] = owned(value.numpy()[kept]) if hasattr(value, "numpy") else value[kept]
