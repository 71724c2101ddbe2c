"""Pixel accuracy, intersection over union, and Dice of segmented images."""

import math
from typing import Literal

import numpy as np

from pydl.metrics.confusion import ClassCounting, added
from pydl.metrics.inputs import Values, array_of, class_numbers
from pydl.metrics.metric import mean
from pydl.ops import argmax
from pydl.tensor import Tensor, from_numpy

Average = Literal["macro", "micro"] | None


class PixelCounting(ClassCounting):
    """Base of the metrics that count classes of pixels. Keeps 3 x C counts: right ones, predicted ones, true ones."""

    def __init__(self, *, num_classes: int | None = None, ignore_index: int | None = None) -> None:
        self.ignore_index = ignore_index
        super().__init__(num_classes)

    def reset(self) -> None:
        super().reset()
        self.counts = np.zeros((3, 0), np.int64)

    def update(self, output: Values, target: Values) -> None:
        predicted, actual, columns = self._decided(output, target)
        if self.ignore_index is not None:
            counted = actual != self.ignore_index
            predicted, actual = predicted[counted], actual[counted]
        if columns is None or not predicted.size:
            if predicted.size:
                super().update(predicted, actual)
            return
        expected = self.num_classes or self.columns
        if expected and columns != expected:
            source = "num_classes" if self.num_classes else "batches before"
            raise ValueError(f"{self.name}: expected scores of {expected} classes ({source}), got output {tuple(output.shape)}")
        why = f" (the classes of output {tuple(output.shape)})"
        self._count(predicted, class_numbers(self.name, "target", actual, columns, why), columns)
        self.columns = columns

    def _decided(self, output: Values, target: Values) -> tuple[np.ndarray, np.ndarray, int | None]:
        """Predicted and true class numbers of all pixels, and how many classes the output has scores for, if it has scores."""
        scores, labels = array_of(self.name, "output", output), array_of(self.name, "target", target)
        shapes = f"output {scores.shape} and target {labels.shape}"
        if labels.dtype.kind not in "iub":
            raise TypeError(f"{self.name}: target: expected class numbers (an integer type or bool), got {labels.dtype} {labels.shape}")
        if scores.shape == labels.shape and scores.dtype.kind == "f":
            raise TypeError(f"{self.name}: output: expected scores (N, C, ...) or class numbers, got {scores.dtype} {scores.shape}; "
                            "of one class, pass probabilities > 0.5 or logits > 0")
        several = scores.ndim == labels.ndim + 1 and scores.ndim > 1 and scores.dtype.kind == "f"
        if scores.shape[:1] + scores.shape[2 if several else 1 :] != labels.shape or (several and scores.shape[1] < 2):
            raise ValueError(f"{self.name}: expected output (N, C, ...), scores of two classes or more, or class numbers (N, ...), "
                             f"and target (N, ...), got {shapes}")
        if not labels.size:
            raise ValueError(f"{self.name}: expected one pixel or more, got none: {shapes}")
        if not several:
            return scores.reshape(-1), labels.reshape(-1), None
        if np.isnan(scores.sum()) and np.isnan(scores).any():
            raise ValueError(f"{self.name}: output: expected no NaN, got {int(np.isnan(scores).sum())} in {scores.shape}")
        chosen = argmax(output.detach() if isinstance(output, Tensor) else from_numpy(np.ascontiguousarray(scores)), 1)
        return chosen.numpy().reshape(-1), labels.reshape(-1), scores.shape[1]

    def _count(self, predicted: np.ndarray, actual: np.ndarray, classes: int) -> None:
        right = actual[predicted == actual]
        self.counts = added(self.counts, np.stack([np.bincount(x, minlength=classes) for x in (right, predicted, actual)]))


class PixelAccuracy(PixelCounting):
    """The share of right pixels, over batches: see `pixel_accuracy`."""

    name = "pixel_accuracy"

    def compute(self) -> float:
        self._need(int(self.counts.sum()))
        return float(self.counts[0].sum() / self.counts[2].sum())


class Overlap(PixelCounting):
    """Base of what compares the pixels of classes: a ratio for each class, then the average."""

    def __init__(self, *, average: Average = "macro", num_classes: int | None = None, ignore_index: int | None = None) -> None:
        if average not in ("macro", "micro", None):
            raise ValueError(f"{self.name}: average: expected 'macro', 'micro' or None, got {average!r}")
        self.average = average
        super().__init__(num_classes=num_classes, ignore_index=ignore_index)

    def _ratio(self, right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator."""
        raise NotImplementedError

    def compute(self) -> float | np.ndarray:
        self._need(int(self.counts.sum()))
        counts = self.counts.sum(axis=1, keepdims=True) if self.average == "micro" else self.counts
        above, below = self._ratio(*counts)
        ratios = np.full(above.shape, math.nan)
        np.divide(above, below, out=ratios, where=below > 0)
        if self.ignore_index is not None and 0 <= self.ignore_index < len(ratios) and self.average != "micro":
            ratios[self.ignore_index] = math.nan
        return ratios if self.average is None else mean(ratios)


class MeanIoU(Overlap):
    """Mean intersection over union, over batches: see `mean_iou`."""

    name = "mean_iou"

    def _ratio(self, right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return right, predicted + actual - right


class Dice(Overlap):
    """The Dice coefficient, over batches: see `dice`."""

    name = "dice"

    def _ratio(self, right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 2 * right, predicted + actual


def pixel_accuracy(output: Values, target: Values, *, num_classes: int | None = None, ignore_index: int | None = None) -> float:
    """Pixel accuracy: the number of pixels with predicted class = true class, divided by that of all pixels.

    Arguments and errors: see `mean_iou`. -> a float from 0 to 1.
    """
    metric = PixelAccuracy(num_classes=num_classes, ignore_index=ignore_index)
    metric.update(output, target)
    return metric.compute()


def mean_iou(output: Values, target: Values, *, average: Average = "macro", num_classes: int | None = None,
             ignore_index: int | None = None) -> float | np.ndarray:
    """Intersection over union (Jaccard index) of a class: pixels that are both predicted and true, divided by those that are either.

    output: scores (N, C, ...) of a floating type, whose largest decides (the first of equal ones), or class numbers (N, ...), of an
    integer type or bool; target: class numbers (N, ...). All images together are counted, not image by image. Pixels whose target is
    ignore_index count for nothing; if that is a class, it has no ratio. average "macro": the mean over the classes that occur, in
    output or target; "micro": of the counts of all classes; None: (C,) float64, NaN for a class that does not occur. C: num_classes,
    or the scores' classes, or the largest class number + 1. Raises ValueError for shapes that do not fit, no pixels, NaN scores, class
    numbers out of range; TypeError for other types.

    >>> import pydl
    >>> mean_iou(pydl.tensor([[0, 1, 1, 1]]), pydl.tensor([[0, 0, 1, 1]]), average=None)
    array([0.5       , 0.66666667])
    """
    metric = MeanIoU(average=average, num_classes=num_classes, ignore_index=ignore_index)
    metric.update(output, target)
    return metric.compute()


def dice(output: Values, target: Values, *, average: Average = "macro", num_classes: int | None = None,
         ignore_index: int | None = None) -> float | np.ndarray:
    """Dice coefficient of a class: 2 |P and T| / (|P| + |T|), P the pixels predicted as it, T those that are (Dice 1945); its F1 score.

    Arguments, result and errors: see `mean_iou`.
    """
    metric = Dice(average=average, num_classes=num_classes, ignore_index=ignore_index)
    metric.update(output, target)
    return metric.compute()
