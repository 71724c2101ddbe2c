"""Images larger than a model should see at once: windows that overlap, mirrored edges, and several views of one image."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

Answer = Callable[[np.ndarray], np.ndarray]         # (C, H, W) -> (K, H, W)
Size = tuple[int, int]


def padded(image: np.ndarray, size: Size) -> np.ndarray:
    """(..., H, W), continued below and to the right by its mirror image, so that it has `size` at least."""
    more = [max(wanted - there, 0) for wanted, there in zip(size, image.shape[-2:], strict=True)]
    if not any(more):
        return image
    return np.pad(image, [(0, 0)] * (image.ndim - 2) + [(0, more[0]), (0, more[1])], mode="symmetric")


def window(image: np.ndarray, top: int, left: int, size: Size) -> np.ndarray:
    return image[..., top:top + size[0], left:left + size[1]]


def averaged(image: np.ndarray, answer: Answer, multiple: int, tile: Size | None, overlap: int, views: int) -> np.ndarray:
    """The mean of what is answered to `views` views of an image (C, H, W), each turned back: (K, H, W)."""
    total = None
    for view in range(views):
        there = turned(image, view)
        found = turned_back(tiled(np.ascontiguousarray(there), answer, multiple, tile, overlap), view)
        total = found.copy() if total is None else np.add(total, found, out=total)
    assert total is not None
    return total if views == 1 else total / np.float32(views)


def turned(image: np.ndarray, view: int) -> np.ndarray:
    """View 0: as it is; of the others bit 0 mirrors, bit 1 turns upside down, bit 2 exchanges rows and columns first."""
    image = image.swapaxes(-1, -2) if view & 4 else image
    image = image[..., ::-1, :] if view & 2 else image
    return image[..., ::-1] if view & 1 else image


def turned_back(image: np.ndarray, view: int) -> np.ndarray:
    image = image[..., ::-1] if view & 1 else image
    image = image[..., ::-1, :] if view & 2 else image
    return image.swapaxes(-1, -2) if view & 4 else image


def tiled(image: np.ndarray, answer: Answer, multiple: int, tile: Size | None, overlap: int) -> np.ndarray:
    """The answer to an image (C, H, W): to each window of size `tile`, rounded up to multiples, weighed by how far inside a pixel is."""
    height, width = image.shape[-2:]
    wanted = (height, width) if tile is None else (min(tile[0], height), min(tile[1], width))
    size = (-(-wanted[0] // multiple) * multiple, -(-wanted[1] // multiple) * multiple)
    whole = padded(image, size)
    if whole.shape[-2:] == size:
        return np.ascontiguousarray(answer(np.ascontiguousarray(whole))[..., :height, :width])
    total, weights = None, np.zeros(whole.shape[-2:], np.float32)
    fade = np.minimum.outer(ramp(size[0], overlap), ramp(size[1], overlap))
    for top in starts(whole.shape[-2], size[0], overlap):
        for left in starts(whole.shape[-1], size[1], overlap):
            found = answer(np.ascontiguousarray(window(whole, top, left, size)))
            if total is None:
                total = np.zeros((len(found), *whole.shape[-2:]), np.float32)
            window(total, top, left, size)[:] += found * fade
            window(weights, top, left, size)[:] += fade
    assert total is not None
    return np.ascontiguousarray((total / weights)[..., :height, :width])


def starts(length: int, size: int, overlap: int) -> list[int]:
    """Where windows begin that cover `length` and overlap by `overlap` at least."""
    step = max(size - overlap, 1)
    count = -(-(length - size) // step) + 1
    return [round(i * (length - size) / max(count - 1, 1)) for i in range(count)]


def ramp(size: int, overlap: int) -> np.ndarray:
    """1 inside, and less towards both ends, over `overlap` pixels."""
    from_end = np.minimum(np.arange(size), np.arange(size)[::-1]) + 1
    return np.minimum(from_end / (overlap + 1), 1).astype(np.float32)
