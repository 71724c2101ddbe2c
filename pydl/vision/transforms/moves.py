"""Geometry of a Batch: images, masks, boxes and points moved together.

Coordinates are continuous: pixel i reaches from i to i + 1, its centre is i + 0.5. A map is a 3 x 3 matrix that takes (x, y, 1) before
to (x, y, 1) after.
"""
from __future__ import annotations

import math
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np

from pydl.ops import warp as kernels
from pydl.tensor import Tensor, float32, float64, uint8
from pydl.vision.images import owned
from pydl.vision.transforms.batch import Batch, Fill, fill_of


class InterpolationMode(StrEnum):
    """How values between pixels are found; the plain strings do as well."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


def mode_of(name: str, interpolation: str, *allowed: str) -> str:
    mode = str(interpolation)
    if mode not in allowed:
        raise ValueError(f"{name}: interpolation must be one of {', '.join(map(repr, allowed))}, got {mode!r}")
    return "nearest" if mode == "nearest-exact" else mode


def padding_of(name: str, padding_mode: str, *allowed: str) -> str:
    if padding_mode not in allowed:
        raise ValueError(f"{name}: padding_mode must be one of {', '.join(map(repr, allowed))}, got {padding_mode!r}")
    return padding_mode


# ---- Points and boxes

def mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (K, 2) under a map; what lies behind the eye of a perspective goes far away."""
    x, y = points[:, 0], points[:, 1]
    out = np.stack([matrix[r, 0] * x + matrix[r, 1] * y + matrix[r, 2] for r in range(3)], 1)
    if np.array_equal(matrix[2], (0, 0, 1)):
        return out[:, :2]
    return out[:, :2] / np.maximum(out[:, 2:], 1e-9)


EDGE = 16       # points of a box's edge that are looked at where a field bends it


def hull(points: np.ndarray) -> np.ndarray:
    """(K, M, 2) -> the boxes around them, (K, 4)."""
    return np.concatenate([points.min(1), points.max(1)], 1)


def corners(boxes: np.ndarray) -> np.ndarray:
    """(K, 4) -> (4 K, 2)."""
    return boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)


def edges(boxes: np.ndarray) -> np.ndarray:
    """(K, 4) -> EDGE points on each edge, corners among them, (4 EDGE K, 2)."""
    share = np.arange(EDGE) / EDGE
    zero, one = np.zeros(EDGE), np.ones(EDGE)
    parts = []
    for axis, at in ((0, (share, one, 1 - share, zero)), (1, (zero, share, one, 1 - share))):
        along = np.concatenate(at)
        parts.append(boxes[:, axis, None] * (1 - along) + boxes[:, axis + 2, None] * along)
    return np.stack(parts, 2).reshape(-1, 2)


def clipped(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    return np.clip(boxes, 0, np.array([width, height, width, height]))


def displaced(points: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Where points come to lie when output pixel q shows what was at q + field(q): the p of p + field(p) = point, by iteration."""
    height, width = field.shape[1:]
    at = points
    for _ in range(4):
        j = np.clip(np.nan_to_num(at[:, 0]), 0, width - 1).astype(np.int64)
        i = np.clip(np.nan_to_num(at[:, 1]), 0, height - 1).astype(np.int64)
        at = points - field[:, i, j].T
    return at


def move_points(batch: Batch, maps: np.ndarray, size: tuple[int, int], field: np.ndarray | None = None) -> None:
    """Boxes become the hulls of their moved corners, or edges where a field bends these, cut at the new image's edges; keypoints are moved,
    and may lie outside."""
    def moved(i: int, points: np.ndarray) -> np.ndarray:
        points = mapped(maps[i], points)
        return points if field is None else displaced(points, field[i % len(field)])

    if batch.boxes is not None:
        outline, each = (corners, 4) if field is None else (edges, 4 * EDGE)
        batch.boxes = [clipped(hull(moved(i, outline(boxes)).reshape(-1, each, 2)), size) for i, boxes in enumerate(batch.boxes)]
    if batch.points is not None:
        batch.points = [moved(i, points) for i, points in enumerate(batch.points)]


def scaling(x: float, y: float, dx: float = 0, dy: float = 0) -> np.ndarray:
    return np.array([[x, 0, dx], [0, y, dy], [0, 0, 1]], dtype=np.float64)


# ---- Flips and windows

def flip(batch: Batch, which: np.ndarray, axis: int) -> None:
    """Mirrors the images for which `which` (N,) is true; axis -1: left and right change places, -2: top and bottom."""
    if not which.any():
        return
    height, width = batch.size
    reverse = (..., slice(None, None, -1)) if axis == -1 else (..., slice(None, None, -1), slice(None))

    def flipped(x: np.ndarray, part: slice) -> np.ndarray:
        chosen = which[part]
        if chosen.all():
            return np.ascontiguousarray(x[reverse])
        y = x.copy()
        y[chosen] = x[chosen][reverse]
        return y

    batch.set(flipped(batch.array, slice(None)))
    batch.move_masks(flipped)
    mirror = scaling(-1, 1, width, 0) if axis == -1 else scaling(1, -1, 0, height)
    move_points(batch, np.where(which[:, None, None], mirror, np.eye(3)), (height, width))


def places(first: int, count: int, n: int, padding: str) -> np.ndarray:
    """Which of n pixels stand at first .. first + count - 1."""
    at = np.arange(first, first + count)
    if padding == "edge" or n == 1:
        return np.clip(at, 0, n - 1)
    period = 2 * n if padding == "symmetric" else 2 * (n - 1)
    at %= period
    return np.where(at < n, at, period - at - (padding == "symmetric"))


def window(x: np.ndarray, top: int, left: int, height: int, width: int, fill: np.ndarray, padding: str) -> np.ndarray:
    """x (C, H, W) -> (C, height, width), from row `top` and column `left` on; outside of x stands the padding."""
    rows, columns = x.shape[1:]
    if 0 <= top <= rows - height and 0 <= left <= columns - width:
        return x[:, top:top + height, left:left + width]
    if padding != "constant":
        return x[:, places(top, height, rows, padding)[:, None], places(left, width, columns, padding)]
    y = np.empty((len(x), height, width), x.dtype)
    y[:] = fill[:, None, None]
    a, b = max(top, 0), min(top + height, rows)
    c, d = max(left, 0), min(left + width, columns)
    if a < b and c < d:
        y[:, a - top:b - top, c - left:d - left] = x[:, a:b, c:d]
    return y


def crop(batch: Batch, tops: np.ndarray, lefts: np.ndarray, size: tuple[int, int], fill: Fill = 0, padding: str = "constant") -> None:
    """Image i becomes its window of that size from row tops[i] and column lefts[i] on, which may reach outside."""
    height, width = size

    def cut(x: np.ndarray, part: slice, what: str) -> np.ndarray:
        filled = fill_of(fill, what, x)
        windows = [window(one, int(t), int(l), height, width, filled, padding) for one, t, l in zip(x, tops[part], lefts[part])]
        return np.stack(windows) if windows else np.empty((0, x.shape[1], height, width), x.dtype)

    batch.set(cut(batch.array, slice(None), "image"))
    batch.move_masks(lambda x, part: cut(x, part, "masks"))
    move_points(batch, np.stack([scaling(1, 1, -l, -t) for t, l in zip(tops, lefts)]) if len(tops) else np.empty((0, 3, 3)), size)


# ---- Other sizes

def triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel (1981), a = -0.5."""
    x = np.abs(x)
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


@lru_cache(maxsize=256)
def resize_weights(n: int, m: int, mode: str, antialias: bool, dtype: Any) -> tuple[Tensor, Tensor]:
    """n pixels -> m: where the window of each begins (m,), and its weights (m, taps). Windows are cut at the edges and weighed anew."""
    scale = n / m
    stretch = max(scale, 1.0) if antialias else 1.0
    reach = (1 if mode == "bilinear" else 2) * stretch
    centre = (np.arange(m) + 0.5) * scale
    low = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    high = np.minimum((centre + reach + 0.5).astype(np.int64), n)
    taps = int((high - low).max())
    start = np.clip(low, 0, n - taps)
    at = start[:, None] + np.arange(taps)
    weight = (triangle if mode == "bilinear" else cubic)((at - centre[:, None] + 0.5) / stretch)
    weight = np.where((at >= low[:, None]) & (at < high[:, None]), weight, 0)
    weight /= weight.sum(1, keepdims=True)
    return owned(start), owned(weight).to(dtype)


def filtered(images: Tensor, rows: tuple[Tensor, Tensor] | None, columns: tuple[Tensor, Tensor] | None) -> Tensor:
    """Images (N, C, H, W) of floats, filtered along H, then along W."""
    n, c, height, width = images.shape
    x = images.contiguous()
    if rows is not None:
        x, height = kernels.filter_lines(x.view(n * c, height, width), *rows), len(rows[0])
    if columns is not None:
        x, width = kernels.filter_lines(x.view(n * c * height, width, 1), *columns), len(columns[0])
    return x.view(n, c, height, width)


def in_floats(images: Tensor, work: Any) -> Tensor:
    """work(images as floats); bytes are made floats before and rounded after."""
    if images.dtype != uint8:
        return work(images)
    return kernels.to_bytes(work(images.to(float32)))


def nearest(n: int, m: int) -> np.ndarray:
    """n pixels -> m: the one in which the middle of each falls, (m,); float32 decides at the borders, as in interpolate and in PyTorch."""
    at = (np.arange(m, dtype=np.float32) + np.float32(0.5)) * (np.float32(n) / np.float32(m))
    return at.astype(np.int64).clip(0, n - 1)


def resize_images(images: Tensor, size: tuple[int, int], mode: str, antialias: bool) -> Tensor:
    height, width = int(images.shape[2]), int(images.shape[3])
    if (height, width) == size:
        return images
    if mode == "nearest":
        array = images.numpy()
        rows, columns = nearest(height, size[0]), nearest(width, size[1])
        return owned(array[:, :, rows[:, None], columns])
    dtype = float64 if images.dtype == float64 else float32
    along = [None if a == b else resize_weights(a, b, mode, antialias, dtype) for a, b in zip((height, width), size)]
    return in_floats(images, lambda x: filtered(x, along[0], along[1]))


def resize(batch: Batch, size: tuple[int, int], mode: str = "bilinear", antialias: bool = True) -> None:
    """All images to one size; masks by the nearest pixel."""
    height, width = batch.size
    batch.set(resize_images(batch.images, size, mode, antialias))
    batch.move_masks(lambda x, part: resize_images(owned(x), size, "nearest", False).numpy())
    move_points(batch, np.broadcast_to(scaling(size[1] / width, size[0] / height), (len(batch), 3, 3)), size)


# ---- Warps

def inverses(maps: np.ndarray) -> Tensor:
    """From pixels after to pixels before, both counted by whole numbers, as the kernel wants them; the last entry is 1."""
    back = np.linalg.inv(maps)
    half, unhalf = scaling(1, 1, 0.5, 0.5), scaling(1, 1, -0.5, -0.5)
    back = unhalf @ back @ half
    return owned(back / back[:, 2:, 2:])


def warp(batch: Batch, maps: np.ndarray, size: tuple[int, int], mode: str = "bilinear", fill: Fill = 0, padding: str = "constant",
         field: Tensor | None = None) -> None:
    """Image i under the map maps[i] (N, 3, 3); then output pixel q shows what is at q + field(q), field (N or 1, 2, *size)."""
    back = inverses(maps) if len(maps) else owned(np.empty((0, 3, 3)))

    def warped(x: np.ndarray, part: slice, what: str) -> np.ndarray:
        filled = fill_of(fill, what, x)
        shifts = field if field is None or len(field) == 1 else field[part]
        matrix = back[part] if part != slice(None) else back
        return kernels.warp(owned(x), matrix.contiguous(), owned(filled), size, mode if what == "image" else "nearest", padding,
                            shifts).numpy()

    batch.set(warped(batch.array, slice(None), "image"))
    batch.move_masks(lambda x, part: warped(x, part, "masks"))
    move_points(batch, maps, size, None if field is None else field.numpy())


def affine_map(angle: float, translate: tuple[float, float], scale: float, shear: tuple[float, float],
               centre: tuple[float, float]) -> np.ndarray:
    """Shear, scale and a turn by `angle` degrees clockwise, around the centre (x, y), then a translation, as torchvision's affine."""
    if not np.isfinite([angle, scale, *translate, *shear, *centre]).all():
        raise ValueError(f"transforms: expected a finite angle, translation, scale, shear and centre, got {angle}, {translate}, {scale}, "
                         f"{shear} and {centre}")
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    linear = np.array([[scale * a, scale * b, 0], [scale * c, scale * d, 0], [0, 0, 1]])
    return scaling(1, 1, centre[0] + translate[0], centre[1] + translate[1]) @ linear @ scaling(1, 1, -centre[0], -centre[1])


def perspective_map(start: Any, end: Any) -> np.ndarray:
    """The map that takes four points (x, y) to four others."""
    a, b = (np.asarray(points, dtype=np.float64) for points in (start, end))
    if a.shape != (4, 2) or b.shape != (4, 2):
        raise ValueError(f"perspective: expected 4 points (x, y) and 4 more, got shapes {a.shape} and {b.shape}")
    rows, right = [], []
    for (x, y), (u, v) in zip(a, b):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    try:
        found = np.append(np.linalg.solve(np.array(rows), np.array(right)), 1).reshape(3, 3)
    except np.linalg.LinAlgError:
        raise ValueError(f"perspective: no map takes {a.tolist()} to {b.tolist()}: three points lie on a line") from None
    if abs(np.linalg.det(found)) < 1e-12:
        raise ValueError(f"perspective: the map of {a.tolist()} to {b.tolist()} cannot be turned around")
    return found


def expanded(maps: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """The maps, moved so that all of an image of that size stays visible, and the size that this takes (the largest of all)."""
    height, width = size
    moved, sizes = [], []
    for one in maps:
        points = mapped(one, np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64))
        low, high = points.min(0), points.max(0)
        room = np.ceil(np.round(high - low, 6)).astype(int)
        moved.append((low, high))
        sizes.append(room)
    room = np.max(sizes, 0)
    shifts = [scaling(1, 1, *(room / 2 - (low + high) / 2)) for low, high in moved]
    return np.stack([shift @ one for shift, one in zip(shifts, maps)]), (int(room[1]), int(room[0]))


# ---- Blur

def mirrored(at: np.ndarray, n: int) -> np.ndarray:
    if n == 1:
        return np.zeros_like(at)
    at = at % (2 * (n - 1))
    return np.where(at < n, at, 2 * (n - 1) - at)


@lru_cache(maxsize=256)
def line_weights(n: int, kernel: tuple[float, ...], dtype: Any) -> tuple[Tensor, Tensor]:
    """An odd kernel over n pixels that are mirrored at the outermost ones, as resize_weights."""
    reach, taps = len(kernel) // 2, min(len(kernel), n)
    start = np.clip(np.arange(n) - reach, 0, n - taps)
    weight = np.zeros((n, taps))
    for t, w in enumerate(kernel):
        np.add.at(weight, (np.arange(n), mirrored(np.arange(n) - reach + t, n) - start), w)
    return owned(start), owned(weight).to(dtype)


def gaussian(size: int, sigma: float) -> tuple[float, ...]:
    """size numbers that add up to 1."""
    x = np.arange(size) - (size - 1) / 2
    weight = np.exp(-0.5 * (x / sigma) ** 2)
    return tuple((weight / weight.sum()).tolist())


def blur(images: Tensor, rows: tuple[float, ...], columns: tuple[float, ...]) -> Tensor:
    """Images of floats, filtered with one odd kernel down and one across."""
    height, width = int(images.shape[2]), int(images.shape[3])
    dtype = images.dtype
    return filtered(images, line_weights(height, rows, dtype) if len(rows) > 1 else None,
                    line_weights(width, columns, dtype) if len(columns) > 1 else None)


def elastic_field(noise: Tensor, alpha: tuple[float, float], sigma: tuple[float, float]) -> Tensor:
    """Noise (N, 2, H, W) in -1 .. 1 -> displacements in pixels: blurred with sigma, times alpha / 2 (Simard et al. 2003)."""
    parts = []
    for axis in range(2):
        kernel = gaussian(int(8 * sigma[axis] + 1) | 1, sigma[axis]) if sigma[axis] > 0 else (1.0,)
        parts.append(blur(noise[:, axis:axis + 1], kernel, kernel).numpy() * np.float32(alpha[axis] / 2))
    return owned(np.concatenate(parts, 1))
