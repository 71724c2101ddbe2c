"""Images resized, sampled by affine maps, and their channels rearranged: made of resample, grid_sampled, fold and views."""
from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from pydl._core.checks import check_room, int_arg, number_arg, tensor_arg
from pydl._core.create import arange, linspace, ones
from pydl._core.dtypes import float32, float64, int64
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import mul
from pydl.ops.fold import columns_to_image, windows_to_columns
from pydl.ops.gather import index_select
from pydl.ops.grid_sample import grid_sampled
from pydl.ops.join import stack
from pydl.ops.matmul import matmul
from pydl.ops.resample import resample
from pydl.ops.shape import broadcast_to, clone, permute, reshape, transpose

# What interpolate's modes are to resample, and how many dimensions they take; with antialias
_EVERY = (3, 4, 5)
_MODES = {"nearest": ("nearest", _EVERY), "nearest-exact": ("nearest-exact", _EVERY), "area": ("area", _EVERY), "linear": ("linear", (3,)),
          "bilinear": ("linear", (4,)), "bicubic": ("cubic", (4,)), "trilinear": ("linear", (5,))}
_SMOOTH = {"bilinear": "smooth linear", "bicubic": "smooth cubic", "lanczos": "smooth lanczos"}


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images of another size: (N, C, W), (N, C, H, W) or (N, C, D, H, W) -> (N, C, *size), or floor(in * scale_factor).

    mode: "nearest", "nearest-exact", "area" (means), "linear" (3 dimensions), "bilinear", "bicubic" (4), "trilinear" (5); with
    antialias "bilinear", "bicubic" or "lanczos" of 4, whose filters grow with the step as those of Pillow do. Pixels are areas, or with
    align_corners points whose corners stay. The weights are those of scale_factor as it is given, or, with recompute_scale_factor, of
    out / in. float32 or float64; nearest and nearest-exact of any type. Keys, "Cubic convolution interpolation", 1981 (a = -3/4).
    Raises ValueError for sizes below 1, both or neither of size and scale_factor, and what a mode does not take.
    """
    x = tensor_arg("interpolate", input, "input")
    if (align_corners is not None and mode in ("nearest", "nearest-exact", "area")) or (align_corners and mode == "lanczos"):
        raise ValueError(f"interpolate: align_corners is for linear, bilinear, bicubic and trilinear, not for {mode!r} (input {x.shape})")
    sizes, scales = _sizes_of(x, size, scale_factor, mode == "area" or bool(recompute_scale_factor))
    if recompute_scale_factor and size is not None:
        raise ValueError(f"interpolate: recompute_scale_factor needs a scale_factor, got size {size} (input {x.shape})")
    how = _mode_of(x, mode, antialias)
    if not x.is_floating_point() and mode in ("nearest", "nearest-exact"):
        return _nearest(x, sizes, how, scales)
    if not x.is_floating_point():
        raise TypeError(f"interpolate: mode {mode!r} is for float32 and float64, got {x.dtype} of shape {x.shape}; convert it with .to()")
    return resample(x, sizes, how, bool(align_corners), scales)


def _sizes_of(x: Tensor, size: Any, scale_factor: Any, recompute: bool) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: expected size or scale_factor, got {'neither' if size is None else 'both'} (input {x.shape})")
    dims = x.ndim - 2
    given, what = (size, "size") if scale_factor is None else (scale_factor, "scale_factor")
    if dims < 1 or (isinstance(given, (tuple, list)) and len(given) != dims):
        raise ValueError(f"interpolate: expected input (N, C, ...) and {what} with a number for each dimension after C, "
                         f"got input {x.shape} and {what} {given}")
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * dims
    scales = None
    if scale_factor is None:
        sizes = tuple(int_arg("interpolate", n, "size") for n in each)
    else:
        scales = tuple(number_arg("interpolate", s, "scale_factor") for s in each)
        if not all(math.isfinite(s) and s > 0 for s in scales):
            raise ValueError(f"interpolate: scale_factor must be above 0 and finite, got {scale_factor} (input {x.shape})")
        grown = tuple(n * s for n, s in zip(x.shape[2:], scales))
        if not all(n < 2.0**62 for n in grown):
            raise ValueError(f"interpolate: scale_factor {scale_factor} makes too much of input {x.shape}")
        sizes = tuple(int(n) for n in grown)
    if min(sizes) < 1 or min(x.shape[2:]) < 1:
        raise ValueError(f"interpolate: sizes must be at least 1, got input {x.shape} and an output of {sizes}")
    check_room("interpolate", (*x.shape[:2], *sizes), x)
    return sizes, None if recompute else scales


def _mode_of(x: Tensor, mode: str, antialias: bool) -> str:
    if antialias:
        if mode not in _SMOOTH or x.ndim != 4:
            raise ValueError("interpolate: antialias is for bilinear, bicubic and lanczos of input (N, C, H, W), "
                             f"got mode {mode!r} and input {x.shape}")
        return _SMOOTH[mode]
    if mode == "lanczos":
        raise ValueError(f"interpolate: mode 'lanczos' needs antialias=True (input {x.shape})")
    if mode not in _MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join([*_MODES, 'lanczos'])}, got {mode!r} (input {x.shape})")
    how, ranks = _MODES[mode]
    if x.ndim not in ranks:
        raise ValueError(f"interpolate: mode {mode!r} takes an input of {' or '.join(map(str, ranks))} dimensions, got shape {x.shape}")
    return how


def _nearest(x: Tensor, sizes: tuple[int, ...], how: str, scales: tuple[float, ...] | None) -> Tensor:
    """Of integers: by the places that the same resampling takes 0, 1, 2 ... from."""
    beside = (1,) * (len(sizes) - 1)
    for d, size in enumerate(sizes, 2):
        n = x.shape[d]
        places = reshape(arange(n, dtype=float32 if n <= 2**24 else float64), 1, 1, *beside, n)
        there = resample(places, (*beside, size), how, False, None if scales is None else (*beside, scales[d - 2]))
        x = index_select(x, d, reshape(there, size).to(int64))
    return x


def _aligned(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(f"{name}: align_corners is not given: False is taken, as PyTorch does since 1.3.0", stacklevel=3)
    return bool(align_corners)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """Images looked at where a grid says: input (N, C, H, W), grid (N, OH, OW, 2) -> (N, C, OH, OW).

    Likewise input (N, C, D, H, W), grid (N, OD, OH, OW, 3) -> (N, C, OD, OH, OW).

    The grid holds (x, y) or (x, y, z), -1 ... 1 from one side of the image to the other: from the centres of the outermost pixels
    with align_corners, from their outer edges without. mode: "bilinear" (of 5 dimensions trilinear), "nearest", "bicubic" (of 4).
    Outside: padding_mode "zeros", "border" or "reflection". NaN in the grid is the first pixel with "border" and "reflection", and NaN with
    "zeros" and with "bicubic". float32 or float64, one type. Derivatives of any order by input and grid.
    Jaderberg et al., "Spatial transformer networks", 2015.
    """
    return grid_sampled(input, grid, mode, padding_mode, _aligned("grid_sample", align_corners))


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid of an affine map, for grid_sample: theta (N, 2, 3), size (N, C, H, W) -> (N, H, W, 2).

    Likewise theta (N, 3, 4), size (N, C, D, H, W) -> (N, D, H, W, 3).

    grid[n, h, w] = theta[n] (x, y, 1), where x and y go from -1 to 1, at the centres of the pixels of an image of `size`.
    Raises ValueError where theta or size has another shape.
    """
    t = tensor_arg("affine_grid", theta, "theta")
    sizes = tuple(int_arg("affine_grid", n, "size") for n in size)
    dims = len(sizes) - 2
    if dims not in (2, 3) or t.shape != (sizes[0], dims, dims + 1):
        raise ValueError("affine_grid: expected theta (N, 2, 3) with size (N, C, H, W), or (N, 3, 4) with (N, C, D, H, W), "
                         f"got {t.shape} and {sizes}")
    if not t.is_floating_point():
        raise TypeError(f"affine_grid: theta must be float32 or float64, got {t.dtype}")
    if min(sizes) < 1:
        raise ValueError(f"affine_grid: sizes must be at least 1, got {sizes} (theta {t.shape})")
    check_room("affine_grid", (sizes[0], *sizes[2:], dims), t)
    aligned, image = _aligned("affine_grid", align_corners), sizes[2:]
    axes = []
    for d, n in reversed(tuple(enumerate(image))):
        line = linspace(-1, 1, n, dtype=t.dtype) if n > 1 else mul(ones(1, dtype=t.dtype), 0)
        axes.append(broadcast_to(reshape(line if aligned else mul(line, (n - 1) / n), (n,) + (1,) * (dims - 1 - d)), image))
    places = reshape(stack([*axes, ones(image, dtype=t.dtype)], -1), math.prod(image), dims + 1)
    return reshape(matmul(places, transpose(t, 1, 2)), sizes[0], *image, dims)


def _shuffled(name: str, input: Tensor, factor: Any, what: str) -> tuple[Tensor, int, tuple[int, ...], tuple[int, ...]]:
    """The input, the factor, the leading sizes, and channels, height and width."""
    x, r = tensor_arg(name, input, "input"), int_arg(name, factor, what)
    if r < 1:
        raise ValueError(f"{name}: {what} must be at least 1, got {r} (input {x.shape})")
    if x.ndim < 3:
        raise ValueError(f"{name}: expected input (*, C, H, W), got shape {x.shape}")
    return x, r, x.shape[:-3], x.shape[-3:]


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Channels become pixels: (*, C r^2, H, W) -> (*, C, H r, W r). Raises ValueError where r^2 does not divide the channels.

    Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network", 2016.
    """
    x, r, lead, (c, h, w) = _shuffled("pixel_shuffle", input, upscale_factor, "upscale_factor")
    if c % (r * r):
        raise ValueError(f"pixel_shuffle: expected the square of upscale_factor {r} to divide the channels, got input {x.shape}")
    shape = (*lead, c // (r * r), h * r, w * r)
    if x.is_floating_point() and x.numel():
        return reshape(columns_to_image(reshape(x, -1, c, h * w), (h * r, w * r), r, stride=r), shape)
    n = len(lead)
    parts = reshape(x, *lead, c // (r * r), r, r, h, w)
    return reshape(permute(parts, *range(n), n, n + 3, n + 1, n + 4, n + 2), shape)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Pixels become channels: (*, C, H r, W r) -> (*, C r^2, H, W). Raises ValueError where r does not divide H r and W r."""
    x, r, lead, (c, h, w) = _shuffled("pixel_unshuffle", input, downscale_factor, "downscale_factor")
    if h % r or w % r:
        raise ValueError(f"pixel_unshuffle: expected downscale_factor {r} to divide height and width, got input {x.shape}")
    shape = (*lead, c * r * r, h // r, w // r)
    if x.is_floating_point() and x.numel():
        return reshape(windows_to_columns(reshape(x, -1, c, h, w), r, stride=r), shape)
    n = len(lead)
    parts = reshape(x, *lead, c, h // r, r, w // r, r)
    return reshape(permute(parts, *range(n), n, n + 2, n + 4, n + 1, n + 3), shape)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels of the groups in turn: (N, g k, *) as (N, g, k, *) -> (N, k, g, *) as (N, k g, *).

    Raises ValueError where g does not divide them. Zhang et al., "ShuffleNet", 2018.
    """
    x, g = tensor_arg("channel_shuffle", input, "input"), int_arg("channel_shuffle", groups, "groups")
    if x.ndim < 3:
        raise ValueError(f"channel_shuffle: expected input (N, C, *), three dimensions or more, got shape {x.shape}")
    if g < 1 or x.shape[1] % g:
        raise ValueError(f"channel_shuffle: expected groups to divide the {x.shape[1]} channels of input {x.shape}, got {groups}")
    parts = reshape(x, x.shape[0], g, x.shape[1] // g, *x.shape[2:])
    return reshape(clone(transpose(parts, 1, 2)), x.shape)


__all__ = ["affine_grid", "channel_shuffle", "grid_sample", "interpolate", "pixel_shuffle", "pixel_unshuffle"]
METHODS: list[str] = []
