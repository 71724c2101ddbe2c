"""Augmentation by a few numbers: RandAugment and TrivialAugment. Boxes, masks and keypoints are carried along by the geometric ones."""
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pydl.random import Generator
from pydl.vision.transforms import moves, tones
from pydl.vision.transforms.batch import Batch, Fill, Transform, below, happens
from pydl.vision.transforms.moves import mode_of

# Name -> magnitudes of `bins` bins for an image (height, width), and whether the sign is drawn.
Magnitudes = Callable[[int, int, int], np.ndarray]
Space = dict[str, tuple[Magnitudes, bool]]


def none(bins: int, height: int, width: int) -> np.ndarray:
    return np.zeros(bins)


def up_to(most: float) -> Magnitudes:
    return lambda bins, height, width: np.linspace(0, most, bins)


RAND: Space = {
    "Identity": (none, False),
    "ShearX": (up_to(0.3), True),
    "ShearY": (up_to(0.3), True),
    "TranslateX": (lambda bins, height, width: np.linspace(0, 150 / 331 * width, bins), True),
    "TranslateY": (lambda bins, height, width: np.linspace(0, 150 / 331 * height, bins), True),
    "Rotate": (up_to(30), True),
    "Brightness": (up_to(0.9), True),
    "Color": (up_to(0.9), True),
    "Contrast": (up_to(0.9), True),
    "Sharpness": (up_to(0.9), True),
    "Posterize": (lambda bins, height, width: 8 - np.round(np.arange(bins) / ((bins - 1) / 4)), False),
    "Solarize": (lambda bins, height, width: np.linspace(1, 0, bins), False),
    "AutoContrast": (none, False),
    "Equalize": (none, False),
}
WIDE: Space = {
    **RAND,
    "ShearX": (up_to(0.99), True),
    "ShearY": (up_to(0.99), True),
    "TranslateX": (up_to(32), True),
    "TranslateY": (up_to(32), True),
    "Rotate": (up_to(135), True),
    "Brightness": (up_to(0.99), True),
    "Color": (up_to(0.99), True),
    "Contrast": (up_to(0.99), True),
    "Sharpness": (up_to(0.99), True),
    "Posterize": (lambda bins, height, width: 8 - np.round(np.arange(bins) / ((bins - 1) / 6)), False),
}
COLOURS = {"Brightness": "brightness", "Color": "saturation", "Contrast": "contrast"}


def moved(name: str, by: float, height: int, width: int) -> np.ndarray | None:
    """The map of a geometric one; None for others."""
    centre = (width / 2, height / 2)
    if name == "ShearX":
        return moves.affine_map(0, (0, 0), 1, (math.degrees(math.atan(by)), 0), (0, 0))
    if name == "ShearY":
        return moves.affine_map(0, (0, 0), 1, (0, math.degrees(math.atan(by))), (0, 0))
    if name == "TranslateX":
        return moves.scaling(1, 1, int(by), 0)
    if name == "TranslateY":
        return moves.scaling(1, 1, 0, int(by))
    if name == "Rotate":
        return moves.affine_map(-by, (0, 0), 1, (0, 0), centre)
    return None


class Augment(Transform):
    """What both share. Every image of a batch has its own draws. Ranges are torchvision's."""

    space: Space = RAND

    def __init__(self, num_magnitude_bins: int, interpolation: str, fill: Fill, generator: Generator | None) -> None:
        if num_magnitude_bins < 2:
            raise ValueError(f"{type(self).__name__}: num_magnitude_bins must be 2 or more, got {num_magnitude_bins}")
        self.num_magnitude_bins, self.fill, self.generator = num_magnitude_bins, fill, generator
        self.interpolation = mode_of(type(self).__name__, interpolation, "nearest", "nearest-exact", "bilinear")

    def one(self, batch: Batch, bin: int | None) -> None:
        """One op, drawn, on a batch of one image. bin: of its magnitude; None: drawn."""
        names = list(self.space)
        name = names[int(below(self.generator, 1, len(names))[0])]
        magnitudes, signed = self.space[name]
        drawn = int(below(self.generator, 1, self.num_magnitude_bins)[0]) if bin is None else bin
        by = float(magnitudes(self.num_magnitude_bins, *batch.size)[drawn])
        if signed and happens(self.generator, 1, 0.5)[0]:
            by = -by
        if (matrix := moved(name, by, *batch.size)) is not None:
            moves.warp(batch, matrix[None], batch.size, self.interpolation, self.fill)
        elif name in COLOURS:
            batch.set(tones.one_step(batch.images, COLOURS[name], 1 + by))
        elif name == "Sharpness":
            batch.set(tones.sharpened(batch.images, 1 + by))
        elif name == "Posterize":
            batch.set(tones.posterized(batch.images, int(by)))
        elif name == "Solarize":
            batch.set(tones.solarized(batch.images, by * batch.most))
        elif name == "AutoContrast":
            batch.set(tones.autocontrasted(batch.images))
        elif name == "Equalize":
            batch.set(tones.equalized(batch.images))


class RandAugment(Augment):
    """num_ops of 14 transforms, drawn at random, one after the other, all of strength `magnitude` of num_magnitude_bins (Cubuk 2020).

    Identity, shears, translations, rotation, brightness, colour, contrast, sharpness, posterize, solarize, autocontrast, equalize.
    Images of 1 or 3 channels.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31, interpolation: str = "nearest",
                 fill: Fill = 0, *, generator: Generator | None = None) -> None:
        super().__init__(num_magnitude_bins, interpolation, fill, generator)
        if num_ops < 0 or not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(f"RandAugment: expected num_ops of 0 or more and magnitude from 0 to {num_magnitude_bins - 1}, got {num_ops} "
                             f"and {magnitude}")
        self.num_ops, self.magnitude = num_ops, magnitude

    def apply(self, batch: Batch) -> None:
        def change(one: Batch, _: int) -> None:
            for _ in range(self.num_ops):
                self.one(one, self.magnitude)

        batch.each(change)


class TrivialAugmentWide(Augment):
    """One of RandAugment's 14 transforms, of a random strength, in wider ranges (Müller & Hutter 2021)."""

    space = WIDE

    def __init__(self, num_magnitude_bins: int = 31, interpolation: str = "nearest", fill: Fill = 0, *,
                 generator: Generator | None = None) -> None:
        super().__init__(num_magnitude_bins, interpolation, fill, generator)

    def apply(self, batch: Batch) -> None:
        batch.each(lambda one, _: self.one(one, None))
