"""Colours of images (N, C, H, W): arithmetic that moves nothing. White is `most`: 255 for bytes, 1 for floats."""
from __future__ import annotations

import numpy as np

from pydl.ops.warp import colour_steps
from pydl.tensor import Tensor, uint8
from pydl.vision.images import owned, to_bytes
from pydl.vision.transforms.moves import blur, in_floats

STEPS = {"brightness": 1, "contrast": 2, "saturation": 3, "hue": 4}
GREY = np.array([0.2989, 0.587, 0.114])


def most_of(images: Tensor) -> float:
    return 255.0 if images.dtype == uint8 else 1.0


def coloured(images: Tensor, program: np.ndarray) -> Tensor:
    """Each image through its steps, program (N, steps, 2): what (STEPS, 0: nothing) and the factor. Rounded once, at the end."""
    n, channels, height, width = (int(x) for x in images.shape)
    most = most_of(images)
    kinds = set(np.unique(program[:, :, 0]).astype(int))
    shape = (n, channels, height * width)
    if channels not in (1, 3):
        if kinds - {0, STEPS["brightness"]}:
            raise ValueError(f"transforms: contrast, saturation and hue need 1 or 3 channels, got images {tuple(images.shape)}")
        shape = (n, 1, channels * height * width)
    steps = owned(program.astype(np.float64))
    return in_floats(images, lambda x: colour_steps(x.contiguous().view(*shape), steps, most).view(n, channels, height, width))


def one_step(images: Tensor, what: str, by: float) -> Tensor:
    return coloured(images, np.broadcast_to(np.array([[[STEPS[what], by]]], dtype=np.float64), (len(images), 1, 2)))


def grey(images: Tensor, channels: int) -> Tensor:
    x = images.numpy()
    if x.shape[1] not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: expected 1 or 3 channels, got images {x.shape}")
    if x.shape[1] == 3:
        y = np.einsum("nchw,c->nhw", x, GREY.astype(np.float32 if x.dtype == np.uint8 else x.dtype))[:, None]
        x = to_bytes(y) if x.dtype == np.uint8 else y
    return owned(np.repeat(x, channels, 1) if channels > 1 else x)


def inverted(images: Tensor) -> Tensor:
    x = images.numpy()
    return owned(x.dtype.type(most_of(images)) - x)


def posterized(images: Tensor, bits: int) -> Tensor:
    """Keeps the highest `bits` bits; floats are counted in 2^bits steps."""
    x = images.numpy()
    if x.dtype == np.uint8:
        return owned(x & np.uint8(255 << (8 - bits) & 255))
    levels = 1 << bits
    return owned((np.floor(x * levels).clip(0, levels - 1) / levels).astype(x.dtype))


def solarized(images: Tensor, threshold: float) -> Tensor:
    x = images.numpy()
    return owned(np.where(x >= threshold, x.dtype.type(most_of(images)) - x, x))


def autocontrasted(images: Tensor) -> Tensor:
    """Each channel stretched to 0 .. white; one that is all the same stays."""
    x = images.numpy()
    work = x.astype(np.float32) if x.dtype == np.uint8 else x
    low, high = work.min((2, 3), keepdims=True), work.max((2, 3), keepdims=True)
    flat = high <= low
    most = work.dtype.type(most_of(images))
    y = np.where(flat, work, np.clip((work - np.where(flat, 0, low)) * (most / np.where(flat, 1, high - low)), 0, most))
    return owned(to_bytes(y) if x.dtype == np.uint8 else y.astype(x.dtype))


def equalized(images: Tensor) -> Tensor:
    """Each channel's values spread so that all are as frequent, as Pillow does; floats are counted in 256 steps."""
    x = images.numpy()
    levels = x if x.dtype == np.uint8 else to_bytes(x * 255)
    y = np.empty_like(levels)
    for one, out in zip(levels.reshape(-1, levels.shape[2] * levels.shape[3]), y.reshape(-1, levels.shape[2] * levels.shape[3])):
        count = np.bincount(one, minlength=256)
        step = (count.sum() - count[count.nonzero()[0][-1]]) // 255
        table = np.arange(256) if step == 0 else np.minimum((step // 2 + np.append(0, count.cumsum()[:-1])) // step, 255)
        out[:] = table.astype(np.uint8)[one]
    return owned(y if x.dtype == np.uint8 else (y / x.dtype.type(255)).astype(x.dtype))


def sharpened(images: Tensor, factor: float) -> Tensor:
    """factor x + (1 - factor) smoothed, 3 x 3 with a weight of 5 in the middle and 1 around; the outermost pixels stay."""
    if min(images.shape[2:]) <= 2:
        return images

    def sharp(x: Tensor) -> Tensor:
        third = (1 / 3, 1 / 3, 1 / 3)
        own = x.numpy()
        smooth = (blur(x, third, third).numpy() * 9 + own * 4) / 13
        y = own.copy()
        y[:, :, 1:-1, 1:-1] = np.clip(own * factor + smooth * (1 - factor), 0, most)[:, :, 1:-1, 1:-1]
        return owned(y)

    most = most_of(images)
    return in_floats(images, sharp)
