"""What a user has, arrays, lists of images, files, as one batch of bytes in memory."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pydl.tensor import Tensor, from_numpy, uint8
from pydl.vision.datasets import images_in
from pydl.vision.images import MODES, owned, read_image, to_bytes, to_image
from pydl.vision.transforms import functional as F

Size = tuple[int, int]
MODE_OF = {channels: mode for mode, channels in MODES.items()}


def stacked(caller: str, images: Any, channels: int, size: Size | None = None) -> tuple[Tensor, list[Size]]:
    """Images as uint8 (N, channels, H, W), all resized to `size`, and the (height, width) that each had.

    images: an array or tensor (N, C, H, W) or (N, H, W), uint8 or floats from 0 to 1; a list of images of any size: tensors (C, H, W),
    arrays (H, W), (C, H, W) or (H, W, C), Pillow images or paths; or the path of a folder, whose images are taken in order of their
    names. size None: that of the first image. Raises ValueError for no images, one without pixels, another number of channels, and floats
    that are NaN or not from 0 to 1; TypeError for anything else.
    """
    images = files_of(caller, images)
    if isinstance(images, (np.ndarray, Tensor)):
        images = whole(caller, images)
        if images.ndim == 3 and channels > 1:
            raise ValueError(f"{caller}: images: expected (N, {channels}, H, W), got shape {tuple(images.shape)}; one image goes in a list")
        if images.ndim not in (3, 4):
            raise ValueError(f"{caller}: images: expected (N, C, H, W) or (N, H, W), got shape {tuple(images.shape)}")
        images = images.unsqueeze(1) if images.ndim == 3 else images
        if not len(images):
            raise ValueError(f"{caller}: images: expected one or more, got shape {tuple(images.shape)}")
        pictures = bytes_of(caller, "images", images, channels)
        sizes = [(int(pictures.shape[2]), int(pictures.shape[3]))] * len(pictures)
        return resized(pictures, size or sizes[0]), sizes
    if not isinstance(images, Iterable) or isinstance(images, (bytes, Mapping)):
        raise TypeError(f"{caller}: images: expected an array, a list of images or a folder, got {type(images).__name__}")
    found, sizes = [], []
    for i, one in enumerate(images):
        image = single(caller, f"images[{i}]", one, channels)
        sizes.append((int(image.shape[1]), int(image.shape[2])))
        size = size or sizes[0]
        found.append(resized(image, size).numpy())
    if not found:
        raise ValueError(f"{caller}: images: expected one or more, got none")
    return from_numpy(np.stack(found)), sizes


def files_of(caller: str, images: Any) -> Any:
    """The files of a folder, or what else there is."""
    if not isinstance(images, (str, os.PathLike)):
        return images
    found = images_in(caller, os.fsdecode(images))
    if not found:
        raise ValueError(f"{caller}: no images in the folder {os.fsdecode(images)}")
    return found


def channels_in(images: Any) -> int:
    """How many channels the images have: those of an array, else of the first image; files are read as RGB."""
    if isinstance(images, (np.ndarray, Tensor)):
        return int(images.shape[1]) if images.ndim == 4 else 1
    if isinstance(images, Sequence) and not isinstance(images, str) and images and not isinstance(images[0], (str, os.PathLike)):
        try:
            image = to_image(images[0])
        except (TypeError, ValueError):
            return 1                    # what reads them says what is wrong
        if image.ndim < 3:
            return 1
        shape: tuple[int, ...] = images[0].shape if isinstance(images[0], np.ndarray) else ()
        planes_first = len(shape) == 3 and shape[2] not in MODE_OF and shape[0] in MODE_OF
        return int(shape[0] if planes_first else image.shape[0])
    return 3


def whole(caller: str, images: np.ndarray | Tensor) -> Tensor:
    """An array of images as a tensor."""
    try:
        return images if isinstance(images, Tensor) else owned(images)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{caller}: images: expected uint8, or floats from 0 to 1: {error}") from error


def single(caller: str, name: str, image: Any, channels: int) -> Tensor:
    """One image as uint8 (channels, H, W)."""
    if isinstance(image, (str, os.PathLike)):
        return read_image(image, MODE_OF.get(channels))
    planes_first = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[0] == channels != image.shape[2]
    try:
        image = owned(image) if planes_first else to_image(image)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{caller}: {name}: {error}") from error
    if image.ndim == 2:
        image = image.unsqueeze(0)
    if image.ndim != 3:
        raise ValueError(f"{caller}: {name}: expected an image (C, H, W), got shape {tuple(image.shape)}")
    return bytes_of(caller, name, image, channels)


def bytes_of(caller: str, name: str, images: Tensor, channels: int) -> Tensor:
    shape = tuple(images.shape)
    if 0 in shape[-2:]:
        raise ValueError(f"{caller}: {name}: an image without pixels (shape {shape})")
    if shape[-3] != channels:
        raise ValueError(f"{caller}: {name}: expected {channels} channel{'s' if channels > 1 else ''}, got {shape[-3]} (shape {shape})")
    if images.dtype == uint8:
        return images.detach().contiguous()
    if not images.is_floating_point():
        raise TypeError(f"{caller}: {name}: expected uint8, or floats from 0 to 1, got {images.dtype}")
    pixels = images.detach().numpy()
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"{caller}: {name}: expected floats from 0 to 1, got {pixels.min()} to {pixels.max()}")
    return from_numpy(to_bytes(pixels * 255))


def resized(images: Tensor, size: Size) -> Tensor:
    return images if tuple(images.shape[-2:]) == tuple(size) else F.resize(images, list(size))
