"""The transforms as functions, with torchvision's names: y = f(image, ...), or y, target = f(image, ..., target=target).

image (C, H, W) or (N, C, H, W), uint8 (0 .. 255) or floats (0 .. 1); all images of a batch are treated alike. target: as Transform
says. Those that move nothing leave boxes, masks and keypoints as they are.
"""
from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from pydl.ops.warp import PADDINGS as WARP_PADDINGS
from pydl.tensor import Tensor, float32, float64, uint8
from pydl.tensor import dtype as DType
from pydl.vision.images import owned, to_image, to_pil_image, to_tensor
from pydl.vision.transforms import moves, tones
from pydl.vision.transforms.batch import Batch, Fill, Target, channel_values, fill_of, numbers, pair_of, run
from pydl.vision.transforms.moves import InterpolationMode, mode_of, padding_of

CROP_PADDINGS = ("constant", "edge", "reflect", "symmetric")
WARP_MODES = ("nearest", "nearest-exact", "bilinear")


def alike(batch: Batch, matrix: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(matrix, (len(batch), 3, 3)))


# ---- Geometry

def horizontal_flip(image: Tensor, target: Target = None) -> Any:
    """Left and right change places."""
    return run(image, target, lambda b: moves.flip(b, np.ones(len(b), bool), -1))


def vertical_flip(image: Tensor, target: Target = None) -> Any:
    """Top and bottom change places."""
    return run(image, target, lambda b: moves.flip(b, np.ones(len(b), bool), -2))


hflip, vflip = horizontal_flip, vertical_flip


def crop(image: Tensor, top: int, left: int, height: int, width: int, target: Target = None) -> Any:
    """The window of height x width pixels from (top, left) on; what lies outside of the image is 0. Boxes are cut at its edges."""
    size = pair_of("crop", "size", (height, width))
    try:
        top, left = operator.index(top), operator.index(left)
    except TypeError:
        raise TypeError(f"crop: top and left must be ints, got {top!r} and {left!r}") from None
    return run(image, target, lambda b: moves.crop(b, np.full(len(b), top), np.full(len(b), left), size))


def centre_of(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """Where a window in the middle begins, as torchvision has it: what is missing is added at the end where it is odd."""
    top, left = (-((new - old) // 2) if new > old else round((old - new) / 2) for old, new in zip(size, wanted))
    return top, left


def center_crop(image: Tensor, output_size: int | Sequence[int], target: Target = None) -> Any:
    """The window of that size in the middle; 0 around a smaller image."""
    size = pair_of("center_crop", "output_size", output_size)

    def change(b: Batch) -> None:
        top, left = centre_of(b.size, size)
        moves.crop(b, np.full(len(b), top), np.full(len(b), left), size)

    return run(image, target, change)


def resized_crop(image: Tensor, top: int, left: int, height: int, width: int, size: int | Sequence[int],
                 interpolation: str = "bilinear", antialias: bool = True, target: Target = None) -> Any:
    """A window, resized."""
    mode = mode_of("resized_crop", interpolation, *WARP_MODES, "bicubic")
    window, wanted = pair_of("resized_crop", "height, width", (height, width)), pair_of("resized_crop", "size", size)

    def change(b: Batch) -> None:
        moves.crop(b, np.full(len(b), top), np.full(len(b), left), window)
        moves.resize(b, wanted, mode, antialias)

    return run(image, target, change)


def sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """left, top, right, bottom from 1, 2 (left and right, top and bottom) or 4 numbers."""
    values = [padding] if isinstance(padding, int) else list(padding) if isinstance(padding, (tuple, list)) else []
    if len(values) not in (1, 2, 4) or not all(isinstance(x, int) for x in values):
        raise ValueError(f"pad: expected padding of 1, 2 or 4 ints, got {padding!r}")
    left, top, right, bottom = values * (4 // len(values))
    return left, top, right, bottom


def pad(image: Tensor, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant", target: Target = None) -> Any:
    """More pixels around: padding for all sides, (left and right, top and bottom), or (left, top, right, bottom); negative cuts off.

    padding_mode: "constant" (fill), "edge" (the outermost pixel again), "reflect" (mirrored at it), "symmetric" (mirrored at the edge).
    fill: a number, one a channel, or a dict {"image": ..., "masks": ...}; masks are filled with 0 where nothing else is said.
    """
    left, top, right, bottom = sides(padding)
    padding_of("pad", padding_mode, *CROP_PADDINGS)

    def change(b: Batch) -> None:
        size = pair_of("pad", f"the size of images {b.size} with padding {padding!r}", (b.size[0] + top + bottom, b.size[1] + left + right))
        moves.crop(b, np.full(len(b), -top), np.full(len(b), -left), size, fill, padding_mode)

    return run(image, target, change)


def new_size(old: tuple[int, int], size: int | Sequence[int], max_size: int | None = None) -> tuple[int, int]:
    """(height, width) that `size` means: two numbers, or one: the shorter side's, the longer at most max_size."""
    if isinstance(size, (tuple, list)) and len(size) == 2:
        if max_size is not None:
            raise ValueError(f"resize: max_size goes with a size of one number, got {size!r}")
        return pair_of("resize", "size", size)
    short = pair_of("resize", "size", size)[0]
    if max_size is not None and max_size <= short:
        raise ValueError(f"resize: max_size {max_size} must be above size {short}")
    new = [short if x == min(old) else int(short * x / min(old)) for x in old]
    if max_size is not None and max(new) > max_size:
        new = [max(1, int(max_size * x / max(new))) if x != max(new) else max_size for x in new]
    return max(1, new[0]), max(1, new[1])


def resize(image: Tensor, size: int | Sequence[int], interpolation: str = "bilinear", max_size: int | None = None,
           antialias: bool = True, target: Target = None) -> Any:
    """To (height, width), or, where size is one number, the shorter side to that and the longer in proportion (at most max_size).

    interpolation: "bilinear", "bicubic" (a = -0.5) or "nearest" (the pixel in which the centre falls: torchvision's nearest-exact);
    antialias widens the first two where images shrink, as Pillow does. Masks: the nearest pixel.
    """
    mode = mode_of("resize", interpolation, *WARP_MODES, "bicubic")
    return run(image, target, lambda b: moves.resize(b, new_size(b.size, size, max_size), mode, antialias))


def affine(image: Tensor, angle: float, translate: Sequence[float], scale: float, shear: float | Sequence[float],
           interpolation: str = "nearest", fill: Fill = 0, center: Sequence[float] | None = None, padding_mode: str = "constant",
           target: Target = None) -> Any:
    """Shear (degrees along x, or x and y), scale, a turn of `angle` degrees clockwise, and translate (x, y) pixels, around the centre.

    center (x, y): by default the middle of the image. What comes from outside is fill, or by padding_mode "edge" or "reflect" what
    is nearest there or mirrored. Masks: the nearest pixel. Boxes: the hulls of their moved corners, cut at the image's edges.
    """
    mode = mode_of("affine", interpolation, *WARP_MODES)
    padding_of("affine", padding_mode, *WARP_PADDINGS)
    slopes = (float(shear), 0.0) if isinstance(shear, (int, float)) else (float(shear[0]), float(shear[-1]) if len(shear) > 1 else 0.0)
    if not scale > 0 or not np.isfinite(scale):
        raise ValueError(f"affine: scale must be positive, got {scale}")

    by, given = numbers("affine", "translate", translate), None if center is None else numbers("affine", "center", center)

    def change(b: Batch) -> None:
        one = moves.affine_map(angle, by, scale, slopes, given or (b.size[1] / 2, b.size[0] / 2))
        moves.warp(b, alike(b, one), b.size, mode, fill, padding_mode)

    return run(image, target, change)


def rotate(image: Tensor, angle: float, interpolation: str = "nearest", expand: bool = False, center: Sequence[float] | None = None,
           fill: Fill = 0, padding_mode: str = "constant", target: Target = None) -> Any:
    """A turn by `angle` degrees anticlockwise, as affine. expand: the new image is as large as it takes to show all of the old one."""
    mode = mode_of("rotate", interpolation, *WARP_MODES)
    padding_of("rotate", padding_mode, *WARP_PADDINGS)

    given = None if center is None else numbers("rotate", "center", center)

    def change(b: Batch) -> None:
        maps, size = alike(b, moves.affine_map(-angle, (0, 0), 1, (0, 0), given or (b.size[1] / 2, b.size[0] / 2))), b.size
        if expand and len(b):
            maps, size = moves.expanded(maps, size)
        moves.warp(b, maps, size, mode, fill, padding_mode)

    return run(image, target, change)


def perspective(image: Tensor, startpoints: Any, endpoints: Any, interpolation: str = "bilinear", fill: Fill = 0,
                target: Target = None) -> Any:
    """The map that takes the four startpoints (x, y) to the endpoints, corners of the image being (0, 0) and (W, H)."""
    mode = mode_of("perspective", interpolation, *WARP_MODES)
    one = moves.perspective_map(startpoints, endpoints)
    return run(image, target, lambda b: moves.warp(b, alike(b, one), b.size, mode, fill))


def elastic(image: Tensor, displacement: Tensor, interpolation: str = "bilinear", fill: Fill = 0, padding_mode: str = "constant",
            target: Target = None) -> Any:
    """Output pixel q shows what was at q + displacement(q). displacement (2, H, W) or (N, 2, H, W): along x and y, in PIXELS."""
    mode = mode_of("elastic", interpolation, *WARP_MODES)
    padding_of("elastic", padding_mode, *WARP_PADDINGS)
    field = (displacement.unsqueeze(0) if displacement.ndim == 3 else displacement).to(float32)
    return run(image, target, lambda b: moves.warp(b, alike(b, np.eye(3)), b.size, mode, fill, padding_mode, field))


# ---- Colours

def toned(image: Tensor, target: Target, change: Any) -> Any:
    return run(image, target, lambda b: b.set(change(b.images)))


def factor_of(name: str, what: str, value: float, low: float = 0.0, high: float = np.inf) -> float:
    if not low <= value <= high:
        raise ValueError(f"{name}: {what} must be within {low:g} .. {high:g}, got {value}")
    return float(value)


def adjust_brightness(image: Tensor, brightness_factor: float, target: Target = None) -> Any:
    """brightness_factor (0 or more) times the image, cut at white."""
    by = factor_of("adjust_brightness", "brightness_factor", brightness_factor)
    return toned(image, target, lambda x: tones.one_step(x, "brightness", by))


def adjust_contrast(image: Tensor, contrast_factor: float, target: Target = None) -> Any:
    """f x + (1 - f) m, m being the mean of the image's grey; f is 0 or more. 1 or 3 channels."""
    by = factor_of("adjust_contrast", "contrast_factor", contrast_factor)
    return toned(image, target, lambda x: tones.one_step(x, "contrast", by))


def adjust_saturation(image: Tensor, saturation_factor: float, target: Target = None) -> Any:
    """f x + (1 - f) grey of the pixel; f is 0 or more. 3 channels; 1 channel stays as it is."""
    by = factor_of("adjust_saturation", "saturation_factor", saturation_factor)
    return toned(image, target, lambda x: tones.one_step(x, "saturation", by))


def adjust_hue(image: Tensor, hue_factor: float, target: Target = None) -> Any:
    """Hues (of HSV) turned by hue_factor circles, -0.5 .. 0.5. 3 channels; 1 channel stays as it is."""
    by = factor_of("adjust_hue", "hue_factor", hue_factor, -0.5, 0.5)
    return toned(image, target, lambda x: tones.one_step(x, "hue", by))


def rgb_to_grayscale(image: Tensor, num_output_channels: int = 1, target: Target = None) -> Any:
    """0.2989 R + 0.587 G + 0.114 B, in one channel or the same in three."""
    if num_output_channels not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: num_output_channels must be 1 or 3, got {num_output_channels}")
    return toned(image, target, lambda x: tones.grey(x, num_output_channels))


def invert(image: Tensor, target: Target = None) -> Any:
    """White minus the image."""
    return toned(image, target, tones.inverted)


def posterize(image: Tensor, bits: int, target: Target = None) -> Any:
    """Only the `bits` (0 to 8) highest bits of each value."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= 8:
        raise ValueError(f"posterize: bits must be an int from 0 to 8, got {bits!r}")
    return toned(image, target, lambda x: tones.posterized(x, bits))


def solarize(image: Tensor, threshold: float, target: Target = None) -> Any:
    """Values of threshold or more are inverted."""
    return toned(image, target, lambda x: tones.solarized(x, threshold))


def autocontrast(image: Tensor, target: Target = None) -> Any:
    """Each channel stretched so that its least value is black and its largest white."""
    return toned(image, target, tones.autocontrasted)


def equalize(image: Tensor, target: Target = None) -> Any:
    """Each channel's values spread so that all are as frequent (Pillow's ImageOps.equalize); floats are counted in 256 steps."""
    return toned(image, target, tones.equalized)


def adjust_sharpness(image: Tensor, sharpness_factor: float, target: Target = None) -> Any:
    """0: smoothed (3 x 3), 1: as it is, 2: twice as sharp."""
    by = factor_of("adjust_sharpness", "sharpness_factor", sharpness_factor)
    return toned(image, target, lambda x: tones.sharpened(x, by))


def kernel_of(kernel_size: int | Sequence[int]) -> tuple[int, int]:
    """(width, height), odd."""
    height, width = pair_of("gaussian_blur", "kernel_size", kernel_size)
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"gaussian_blur: kernel_size must be odd, got {kernel_size!r}")
    return height, width


def gaussian_blur(image: Tensor, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None,
                  target: Target = None) -> Any:
    """A Gaussian of deviation sigma (one, or x and y; by default 0.15 kernel_size + 0.35), cut to kernel_size (odd; x, y); the image is
    mirrored at its outermost pixels."""
    across, down = kernel_of(kernel_size)
    if sigma is None:
        sigmas = [0.15 * across + 0.35, 0.15 * down + 0.35]
    else:
        sigmas = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else [float(sigma[0]), float(sigma[-1])]
    if not min(sigmas) > 0:
        raise ValueError(f"gaussian_blur: sigma must be positive, got {sigma!r}")
    rows, columns = moves.gaussian(down, sigmas[1]), moves.gaussian(across, sigmas[0])
    return toned(image, target, lambda x: moves.in_floats(x, lambda y: moves.blur(y, rows, columns)))


def erase(image: Tensor, i: int, j: int, h: int, w: int, v: Any = 0, inplace: bool = False, target: Target = None) -> Any:
    """v (a number, one a channel, or a tensor (C, h, w)) in the rectangle of h x w pixels from row i and column j on."""
    if inplace:
        raise ValueError("erase: inplace=True is not there: what is given is never written to")

    def change(b: Batch) -> None:
        height, width = b.size
        if not (0 <= i and 0 <= j and 0 <= h <= height - i and 0 <= w <= width - j):
            raise ValueError(f"erase: the rectangle {h} x {w} at ({i}, {j}) does not lie in images {b.size}")
        y = b.array.copy()
        value = v.numpy() if isinstance(v, Tensor) and v.ndim else fill_of(v.item() if isinstance(v, Tensor) else v, "image", y)
        value = value.reshape(-1, 1, 1) if value.ndim == 1 else value
        if value.ndim > 3 or any(one not in (1, n) for one, n in zip(value.shape[::-1], (w, h, y.shape[1]))):
            raise ValueError(f"erase: expected v to be a number, {y.shape[1]} of them or a tensor {(y.shape[1], h, w)}, got {value.shape}")
        y[:, :, i:i + h, j:j + w] = value
        b.set(y)

    return run(image, target, change)


# ---- Types

def to_dtype(image: Tensor, dtype: DType = float32, scale: bool = False, target: Target = None) -> Any:
    """Another type: uint8, float32 or float64. scale: white stays white, 255 and 1 (floats are cut to 0 .. 1 and rounded down to bytes of
    1 / 256 each, as torchvision does)."""
    if dtype not in (uint8, float32, float64):
        raise TypeError(f"to_dtype: dtype must be uint8, float32 or float64, got {dtype}")
    return toned(image, target, lambda x: converted(x, dtype, scale))


def converted(x: Tensor, dtype: DType, scale: bool) -> Tensor:
    if x.dtype == dtype or not scale or uint8 not in (x.dtype, dtype):
        return x.to(dtype)
    if dtype == uint8:
        y = x.numpy() * x.numpy().dtype.type(255 + 1 - 1e-3)
        return owned(np.clip(np.nan_to_num(y, nan=0), 0, 255).astype(np.uint8))
    return x.to(dtype) / 255


def normalize(image: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False, target: Target = None) -> Any:
    """(x - mean) / std, channel by channel; floats only."""
    if inplace:
        raise ValueError("normalize: inplace=True is not there: what is given is never written to")

    def change(x: Tensor) -> Tensor:
        if x.dtype == uint8:
            raise TypeError("normalize: expected floats, got uint8; use ToDtype(pydl.float32, scale=True) before")
        a = x.numpy()
        each = (channel_values("normalize", what, v, a.shape[1]) for what, v in (("mean", mean), ("std", std)))
        m, s = (values.astype(a.dtype)[:, None, None] for values in each)
        if not (s != 0).all():
            raise ValueError(f"normalize: std must not be 0, got {std!r}")
        return owned((a - m) / s)

    return toned(image, target, change)


pil_to_tensor = to_image

__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_hue", "adjust_saturation", "adjust_sharpness", "affine",
    "autocontrast", "center_crop", "crop", "elastic", "equalize", "erase", "gaussian_blur", "hflip", "horizontal_flip", "invert",
    "normalize", "pad", "perspective", "pil_to_tensor", "posterize", "resize", "resized_crop", "rgb_to_grayscale", "rotate",
    "solarize", "to_dtype", "to_image", "to_pil_image", "to_tensor", "vertical_flip", "vflip",
]
