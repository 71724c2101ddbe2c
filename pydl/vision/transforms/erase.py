"""Rectangles that are wiped out."""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pydl.ops.random import randn
from pydl.random import Generator
from pydl.vision.transforms.batch import Batch, Transform, fill_of, happens, interval, probability, uniform


class RandomErasing(Transform):
    """With probability p a rectangle of a random share `scale` of the area and a ratio height / width in `ratio` is overwritten
    (Zhong et al. 2020).

    value: a number, one a channel, or "random": normal noise around half of white, with a deviation of a quarter, cut to the image's range.
    Ten tries are made to find a rectangle that fits; else the image stays. Boxes, masks and keypoints stay.
    """

    def __init__(self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3),
                 value: float | Sequence[float] | str = 0.0, inplace: bool = False, *, generator: Generator | None = None) -> None:
        name = "RandomErasing"
        self.p, self.generator = probability(name, p), generator
        self.scale, self.ratio = interval(name, "scale", scale, low=0, high=1), interval(name, "ratio", ratio, low=1e-9)
        if isinstance(value, str) and value != "random":
            raise ValueError(f"{name}: value must be a number, one a channel, or 'random', got {value!r}")
        if inplace:
            raise ValueError(f"{name}: inplace=True is not there: what is given is never written to")
        self.value = value

    def draw(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """top, left, height and width of a rectangle; None where none was found."""
        area = uniform(self.generator, 10, *self.scale) * height * width
        ratios = np.exp(uniform(self.generator, 10, *np.log(self.ratio)))
        place = uniform(self.generator, 2)
        for a, r in zip(area, ratios):
            h, w = round(math.sqrt(a * r)), round(math.sqrt(a / r))
            if 0 < h < height and 0 < w < width:
                return int(place[0] * (height - h + 1)), int(place[1] * (width - w + 1)), h, w
        return None

    def apply(self, batch: Batch) -> None:
        chosen = np.flatnonzero(happens(self.generator, len(batch), self.p))
        if not len(chosen):
            return
        images, (height, width) = batch.array.copy(), batch.size
        channels = images.shape[1]
        for i in chosen:
            found = self.draw(height, width)
            if found is None:
                continue
            top, left, h, w = found
            if isinstance(self.value, str):
                noise = randn(channels, h, w, generator=self.generator).numpy()
                patch = np.clip((noise * 0.25 + 0.5) * batch.most, 0, batch.most)
            else:
                patch = fill_of(self.value, "image", images)[:, None, None]
            images[i, :, top:top + h, left:left + w] = patch
        batch.set(images)
