"""Image files, through Pillow (`pip install "pydl-cpu[vision]"`), and images as tensors."""
from __future__ import annotations

import os
import struct
import zlib
from types import ModuleType
from typing import Any

import numpy as np

from pydl.io.replace import replacing
from pydl.ops import warp as kernels
from pydl.tensor import Tensor, float32, from_numpy, uint8

Path = str | os.PathLike[str]
MAX_PIXELS = 89_478_485         # Pillow's own limit: what is larger may be a small file that unpacks to gigabytes
MODES = {"RGB": 3, "L": 1, "RGBA": 4, "LA": 2}
# What Pillow's readers are known to raise for damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError, OverflowError,
          AttributeError)


def pillow(caller: str, *modules: str) -> tuple[ModuleType, ...]:
    """Pillow's modules of these names; ModuleNotFoundError with the remedy where it is not installed."""
    import importlib

    try:
        return tuple(importlib.import_module(f"PIL.{name}") for name in modules)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{caller}: images are read, written and drawn by Pillow, which is not there: '
                                  'pip install "pydl-cpu[vision]"', name=error.name) from error


def read_image(path: Path, mode: str | None = "RGB", max_pixels: int = MAX_PIXELS) -> Tensor:
    """An image file as a uint8 tensor (C, H, W), turned as its EXIF orientation says.

    mode: "RGB" (C = 3), "L" (grey, C = 1), "RGBA" (4), "P" (1: the indices of a palette image, as in masks of Pascal VOC), or
    None: as it is stored, grey, grey with alpha, RGB or RGBA. A conversion to fewer channels drops alpha; to grey it weighs RGB
    by 0.299, 0.587, 0.114. Raises ValueError, naming the file, for what is no image, is damaged, cut short or without pixels,
    has more than max_pixels, more than one frame, more than 8 bits a channel, or a palette (unless mode="P", which refuses all
    others); OSError where the file cannot be opened; ModuleNotFoundError without Pillow.
    """
    if mode not in (*MODES, "P", None):
        raise ValueError(f"read_image: mode must be 'RGB', 'L', 'RGBA', 'LA', 'P' or None, got {mode!r}")
    image_module, image_ops = pillow("read_image", "Image", "ImageOps")
    name = os.fsdecode(path)
    with open(path, "rb") as file:
        try:
            image = image_module.open(file)
            width, height = image.size
            frames = getattr(image, "n_frames", 1)
        except (*DAMAGE, image_module.DecompressionBombError) as error:
            raise ValueError(f"read_image: {name}: not an image that Pillow can read, or a damaged one: {error}") from error
        check_header(name, image, frames, mode, max_pixels)
        try:
            image = image_ops.exif_transpose(image)
            if mode is not None and image.mode != mode:
                image = image.convert(mode)
            pixels = np.array(image)
        except DAMAGE as error:
            raise ValueError(f"read_image: {name}: damaged or cut short ({width} x {height} pixels, {image.format}): {error}") from error
    return planes(pixels)


def check_header(name: str, image: Any, frames: int, mode: str | None, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ValueError(f"read_image: {name}: an image of {width} x {height} pixels has nothing in it")
    if width * height > max_pixels:
        raise ValueError(f"read_image: {name}: {width} x {height} pixels are more than max_pixels={max_pixels}")
    if frames != 1:
        raise ValueError(f"read_image: {name}: expected one picture, got {frames} frames; save the one that is meant")
    if mode == "P" and image.mode not in ("P", "L", "1"):
        raise ValueError(f"read_image: {name}: mode='P' is for indices, but this is a {image.mode} image")
    if mode != "P" and (image.mode == "P" or image.mode == "PA"):
        raise ValueError(f"read_image: {name}: a palette image: read its indices with mode='P', or save it as RGB")
    if is_deep(image):
        raise ValueError(f"read_image: {name}: expected 8 bits a channel, got 16; what is left of them must be chosen, so save it with 8")
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr") or mode is None and image.mode not in MODES:
        raise ValueError(f"read_image: {name}: expected 8 bits a channel and grey, RGB or RGBA, got Pillow's mode {image.mode!r}")


def is_deep(image: Any) -> bool:
    """Whether a file of 16 bits a channel would be cut to 8: Pillow has modes of its own for grey ones alone."""
    return any(";16" in str(how) or codec.startswith("ppm") and how[-1] > 255 for codec, *_, how in getattr(image, "tile", ()))


def owned(array: np.ndarray) -> Tensor:
    """A contiguous array as a tensor; what is read-only, or has gaps, is copied first, and so is an empty one, which may run backwards."""
    dense = np.ascontiguousarray(array)
    return from_numpy(dense if dense.flags.writeable and dense.size else dense.copy())


def planes(pixels: np.ndarray) -> Tensor:
    """(H, W) or (H, W, C) -> a contiguous tensor (C, H, W)."""
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return owned(pixels)


def write_png(input: Tensor, filename: Path, compression_level: int = 6) -> None:
    """Writes a uint8 tensor (C, H, W), C = 1, 2, 3 or 4, or (H, W), as a PNG file; an old one is replaced when the new one is whole.

    compression_level 0 (none) to 9. Raises ValueError for other shapes or an empty image, TypeError for other types,
    ModuleNotFoundError without Pillow.
    """
    if not 0 <= compression_level <= 9:
        raise ValueError(f"write_png: compression_level must be 0 to 9, got {compression_level}")
    image = to_pil_image(input, "write_png")
    with replacing("write_png", filename) as file:
        image.save(file, format="PNG", compress_level=compression_level)


def to_pil_image(pic: Tensor | np.ndarray, caller: str = "to_pil_image") -> Any:
    """A uint8 tensor (C, H, W) or (H, W), or an array (H, W, C) or (H, W), as a Pillow image. Floats 0 .. 1 are made uint8."""
    (module,) = pillow(caller, "Image")
    if isinstance(pic, Tensor):
        pixels = pic.detach().numpy()
        if pixels.ndim == 3:
            pixels = pixels.transpose(1, 2, 0)
    else:
        pixels = np.asarray(pic)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 2, 3, 4)) or pixels.size == 0:
        raise ValueError(f"{caller}: expected an image (C, H, W) with 1 to 4 channels and some pixels, got shape {tuple(pic.shape)}")
    if pixels.dtype.kind == "f":
        pixels = to_bytes(pixels * 255)
    if pixels.dtype != np.uint8:
        raise TypeError(f"{caller}: expected uint8, or floats from 0 to 1, got {pic.dtype}")
    return module.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels))


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Floats, rounded (a half up) and cut to 0 .. 255, as uint8; NaN is 0."""
    return kernels.to_bytes(owned(pixels)).numpy()


def to_image(inpt: Any) -> Tensor:
    """A Pillow image, or an array (H, W) or (H, W, C), as a tensor (C, H, W) of the same type. A tensor comes back as it is.

    bool (and Pillow's 1-bit images) become 0 and 255; a palette image is refused. Raises TypeError, ValueError for anything else.
    """
    if isinstance(inpt, Tensor):
        return inpt
    if not isinstance(inpt, np.ndarray):
        mode = getattr(inpt, "mode", None)
        if mode is None or not hasattr(inpt, "getbands"):
            raise TypeError(f"to_image: expected a Tensor, an array or a Pillow image, got {type(inpt).__name__}")
        if mode not in (*MODES, "1"):
            raise ValueError(f"to_image: expected a Pillow image of mode 1, L, LA, RGB or RGBA, got {mode}; use .convert()")
        inpt = np.array(inpt)
    if inpt.ndim not in (2, 3) or inpt.size == 0:
        raise ValueError(f"to_image: expected an array (H, W) or (H, W, C) with some pixels, got shape {inpt.shape}")
    return planes(inpt)


def to_tensor(pic: Any) -> Tensor:
    """to_image, and bytes become float32 from 0 to 1 (torchvision's ToTensor); other types stay."""
    image = to_image(pic)
    return image.to(float32) / 255 if image.dtype == uint8 else image
