"""Transforms of colour and type: boxes, masks and keypoints stay as they are. Batches are drawn for image by image."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pydl.random import Generator
from pydl.tensor import Tensor, float32
from pydl.tensor import dtype as DType
from pydl.vision.images import owned, to_image
from pydl.vision.transforms import functional as F
from pydl.vision.transforms import moves, tones
from pydl.vision.transforms.batch import Batch, Target, Transform, happens, interval, probability, uniform


class ToImage(Transform):
    """Pillow images and arrays (H, W) or (H, W, C) become tensors (C, H, W) of the same type; tensors stay: see images.to_image."""

    def __call__(self, image: Any, target: Target = None) -> Any:
        return to_image(image) if target is None else (to_image(image), target)

    def apply(self, batch: Batch) -> None:
        pass


class ToDtype(Transform):
    """The image in another type: see functional.to_dtype. ToDtype(pydl.float32, scale=True) makes bytes floats from 0 to 1."""

    def __init__(self, dtype: DType = float32, scale: bool = False) -> None:
        self.dtype, self.scale = dtype, scale

    def apply(self, batch: Batch) -> None:
        batch.set(F.to_dtype(batch.images, self.dtype, self.scale))


class Normalize(Transform):
    """(x - mean) / std, channel by channel; floats only."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        self.mean, self.std = list(mean), list(std)
        if inplace:
            raise ValueError("Normalize: inplace=True is not there: what is given is never written to")

    def apply(self, batch: Batch) -> None:
        batch.set(F.normalize(batch.images, self.mean, self.std))


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue, in a random order: see functional.adjust_brightness and the others.

    Each a range of factors (least, most), or a number v: 1 - v (0 at least) .. 1 + v; hue: -v .. v, v at most 0.5 circles. All four are one
    pass over the pixels, rounded once. contrast, saturation and hue need images of 1 or 3 channels.
    """

    def __init__(self, brightness: float | Sequence[float] = 0, contrast: float | Sequence[float] = 0,
                 saturation: float | Sequence[float] = 0, hue: float | Sequence[float] = 0, *, generator: Generator | None = None) -> None:
        self.brightness, self.contrast, self.saturation = (
            interval("ColorJitter", what, value, 1, 0)
            for what, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)))
        self.hue = interval("ColorJitter", "hue", hue, 0, -0.5, 0.5)
        self.generator = generator

    def apply(self, batch: Batch) -> None:
        n = len(batch)
        ranges = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation, "hue": self.hue}
        wanted = [(what, values) for what, values in ranges.items() if values != ((0, 0) if what == "hue" else (1, 1))]
        if not wanted or n == 0:
            return
        steps = [(np.full(n, float(tones.STEPS[what])), uniform(self.generator, n, *values)) for what, values in wanted]
        program = np.stack([np.stack(step, 1) for step in steps], 1)
        order = uniform(self.generator, n * len(wanted)).reshape(n, -1).argsort(1, kind="stable")
        batch.set(tones.coloured(batch.images, np.take_along_axis(program, order[:, :, None], 1)))


class RandomPhotometricDistort(Transform):
    """The distortions of SSD (Liu et al. 2016): each with probability p: brightness, contrast (first or last), saturation, hue, and a
    random order of the channels. Ranges of factors as (least, most)."""

    def __init__(self, brightness: Sequence[float] = (0.875, 1.125), contrast: Sequence[float] = (0.5, 1.5),
                 saturation: Sequence[float] = (0.5, 1.5), hue: Sequence[float] = (-0.05, 0.05), p: float = 0.5, *,
                 generator: Generator | None = None) -> None:
        name = "RandomPhotometricDistort"
        self.brightness, self.contrast, self.saturation = (
            interval(name, what, value, low=0)
            for what, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)))
        self.hue, self.p, self.generator = interval(name, "hue", hue, low=-0.5, high=0.5), probability(name, p), generator

    def apply(self, batch: Batch) -> None:
        n = len(batch)
        order = ("brightness", "contrast", "saturation", "hue", "contrast")
        last = happens(self.generator, n, 0.5)
        program = np.zeros((n, len(order), 2))
        for k, what in enumerate(order):
            wanted = happens(self.generator, n, self.p)
            if what == "contrast":
                wanted &= last == (k == 4)
            program[:, k, 0] = np.where(wanted, tones.STEPS[what], 0)
            program[:, k, 1] = uniform(self.generator, n, *getattr(self, what))
        channels = batch.images.shape[1]
        mixed, keys = happens(self.generator, n, self.p), uniform(self.generator, n * channels).reshape(n, channels)
        images = tones.coloured(batch.images, program)
        if mixed.any():
            pixels = images.numpy()
            order_of = np.where(mixed[:, None], keys.argsort(1, kind="stable"), np.arange(channels))
            images = owned(np.take_along_axis(pixels, order_of[:, :, None, None], 1))
        batch.set(images)


class Grayscale(Transform):
    """0.2989 R + 0.587 G + 0.114 B, in 1 channel or the same in 3."""

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    def apply(self, batch: Batch) -> None:
        batch.set(F.rgb_to_grayscale(batch.images, self.num_output_channels))


class GaussianBlur(Transform):
    """A Gaussian of kernel_size (odd; x, y) with a random deviation of sigma (least, most; or one number): see functional.gaussian_blur."""

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0), *,
                 generator: Generator | None = None) -> None:
        self.kernel_size, self.generator = F.kernel_of(kernel_size), generator
        self.sigma = interval("GaussianBlur", "sigma", (sigma, sigma) if isinstance(sigma, (int, float)) else sigma, low=1e-9)

    def apply(self, batch: Batch) -> None:
        sigma = uniform(self.generator, len(batch), *self.sigma)
        across, down = self.kernel_size

        def change(one: Batch, i: int) -> None:
            rows, columns = (moves.gaussian(size, sigma[i]) for size in (down, across))
            one.set(moves.in_floats(one.images, lambda x: moves.blur(x, rows, columns)))

        batch.each(change)


class Sometimes(Transform):
    """What happens to an image with probability p. A subclass says what, for a batch of some of them."""

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        self.p, self.generator = probability(type(self).__name__, p), generator

    def apply(self, batch: Batch) -> None:
        which = happens(self.generator, len(batch), self.p)
        if which.all():
            batch.set(self.change(batch.images))
        elif which.any():
            images = batch.array.copy()
            images[which] = self.change(owned(images[which])).numpy()
            batch.set(images)

    def change(self, images: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: change is not defined")


class RandomGrayscale(Sometimes):
    """With probability p grey, in as many channels as before."""

    def __init__(self, p: float = 0.1, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)

    def change(self, images: Tensor) -> Tensor:
        return tones.grey(images, int(images.shape[1]))


class RandomInvert(Sometimes):
    """With probability p white minus the image."""

    def change(self, images: Tensor) -> Tensor:
        return tones.inverted(images)


class RandomAutocontrast(Sometimes):
    """With probability p each channel stretched from black to white."""

    def change(self, images: Tensor) -> Tensor:
        return tones.autocontrasted(images)


class RandomEqualize(Sometimes):
    """With probability p each channel's values spread so that all are as frequent."""

    def change(self, images: Tensor) -> Tensor:
        return tones.equalized(images)


class RandomPosterize(Sometimes):
    """With probability p only the `bits` (0 to 8) highest bits of each value."""

    def __init__(self, bits: int, p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= 8:
            raise ValueError(f"RandomPosterize: bits must be an int from 0 to 8, got {bits!r}")
        self.bits = bits

    def change(self, images: Tensor) -> Tensor:
        return tones.posterized(images, self.bits)


class RandomSolarize(Sometimes):
    """With probability p values of threshold or more are inverted."""

    def __init__(self, threshold: float, p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        self.threshold = float(threshold)

    def change(self, images: Tensor) -> Tensor:
        return tones.solarized(images, self.threshold)


class RandomAdjustSharpness(Sometimes):
    """With probability p smoothed (sharpness_factor 0) to twice as sharp (2): see functional.adjust_sharpness."""

    def __init__(self, sharpness_factor: float, p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        self.sharpness_factor = F.factor_of("RandomAdjustSharpness", "sharpness_factor", sharpness_factor)

    def change(self, images: Tensor) -> Tensor:
        return tones.sharpened(images, self.sharpness_factor)
