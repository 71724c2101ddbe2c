"""Scenes composed of the embedded digits: pictures with objects in them for those who have no other."""

from typing import Any

import numpy as np

import pydl
from pydl.datasets import digits, stratified_split
from pydl.vision.transforms import functional as F

INK = 64        # a pixel of a digit is at least so bright, of 255


def digit_scenes(count: int, size: tuple[int, int], seed: int, test: bool = False, most: int = 6,
                 sides: tuple[int, int] = (20, 44)) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """-> pictures (count, 1, *size) uint8, and for each {"boxes" (K, 4) float32, "labels" (K,), "masks" (*size) uint8}.

    Each shows 2 to `most` digits, enlarged to between `sides` pixels, on a grey ground with noise; the boxes of two overlap by a tenth of
    the smaller one at most. masks: 0 for the ground, 1 for ink. The same seed gives the same scenes; those of the test are of digits
    that no others show.
    """
    stream = np.random.RandomState(seed + 1_000_003 * test)
    pictures, labels = digits()
    known, held_out = stratified_split(labels, test=0.25, seed=0)
    chosen = held_out if test else known
    scenes = np.empty((count, 1, *size), np.uint8)
    targets = []
    for i in range(count):
        canvas = stream.uniform(0, 90) + stream.normal(0, 8, size)
        ink = np.zeros(size, np.uint8)
        boxes: list[list[float]] = []
        names: list[int] = []
        for digit in stream.choice(chosen, stream.randint(2, most + 1)):
            place(stream, enlarged(pictures[digit], stream.randint(*sides)), canvas, ink, boxes)
            names += [int(labels[digit])] * (len(boxes) - len(names))
        scenes[i, 0] = np.clip(canvas, 0, 255)
        targets.append({"boxes": np.array(boxes, np.float32).reshape(-1, 4), "labels": np.array(names, np.int64), "masks": ink})
    return scenes, targets


def enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    """A digit (8, 8), 0 .. 16, as bytes, cut to its ink."""
    grey = pydl.from_numpy((picture[None] * (255 / 16)).astype(np.uint8))
    big = F.resize(grey, (int(side), int(side)), "bicubic").numpy()[0]
    rows, columns = np.flatnonzero((big >= INK).any(1)), np.flatnonzero((big >= INK).any(0))
    return big[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def place(stream: np.random.RandomState, digit: np.ndarray, canvas: np.ndarray, ink: np.ndarray, boxes: list[list[float]]) -> None:
    """Draws a digit where there is room for it; after 20 tries it is left out."""
    height, width = digit.shape
    bright = stream.uniform(0.6, 1)
    for _ in range(20):
        y, x = stream.randint(0, canvas.shape[0] - height + 1), stream.randint(0, canvas.shape[1] - width + 1)
        box = [float(x), float(y), float(x + width), float(y + height)]
        if all(shared(box, other) <= 0.1 for other in boxes):
            part = np.s_[y:y + height, x:x + width]
            share = bright * digit / 255
            canvas[part] = canvas[part] * (1 - share) + 255 * share
            ink[part] |= digit >= INK
            boxes.append(box)
            return


def shared(a: list[float], b: list[float]) -> float:
    """The area that two boxes share, relative to the smaller one."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(across, 0) * max(down, 0) / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
