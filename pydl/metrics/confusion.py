"""The confusion matrix, and how counts of classes are gathered."""

import operator
from typing import Literal

import numpy as np

from pydl.metrics.inputs import Values, class_numbers, decided
from pydl.metrics.metric import Metric

MOST_CLASSES = 10_000       # unless num_classes says otherwise: a stray label must not ask for gigabytes

Normalize = Literal["true", "pred", "all"] | None


def class_count(caller: str, value: int | None) -> int | None:
    """num_classes as the user gave it, checked."""
    if value is None:
        return None
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{caller}: num_classes: expected an int or None, got {type(value).__name__}") from None
    if not 2 <= count < 2**31:
        raise ValueError(f"{caller}: num_classes: expected 2 or more, below 2**31, got {count}")
    return count


def added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of two arrays of counts or weights of as many dimensions; what one of them lacks is 0."""
    total = np.zeros(np.maximum(a.shape, b.shape), np.result_type(a, b))
    for counts in (a, b):
        total[tuple(slice(size) for size in counts.shape)] += counts
    return total


class ClassCounting(Metric):
    """Base of the metrics that count predicted and true classes. The number of classes is num_classes; without it, the scores
    have a column for each; without scores, the largest class number so far says it."""

    def __init__(self, num_classes: int | None = None) -> None:
        self.num_classes = class_count(self.name, num_classes)
        super().__init__()

    def reset(self) -> None:
        self.columns: int | None = None

    def _count(self, predicted: np.ndarray, actual: np.ndarray, classes: int) -> None:
        """Add a batch of class numbers, all below classes, to the counts."""
        raise NotImplementedError

    def update(self, output: Values, target: Values) -> None:
        predicted, actual, columns = decided(self.name, output, target)
        expected = self.num_classes or self.columns
        if columns and expected and columns != expected:
            source = "num_classes" if self.num_classes else "batches before"
            raise ValueError(f"{self.name}: expected scores of {expected} classes ({source}), got output {tuple(output.shape)}")
        count = self.num_classes or columns
        if count is None:
            below, why, hint = MOST_CLASSES, "", "; pass num_classes= if there are more classes"
        else:
            below, why, hint = count, " (num_classes)", ""
        for role, numbers in (("output", predicted), ("target", actual)):
            class_numbers(self.name, role, numbers, below, why, hint)
        self._count(predicted, actual, count or int(max(predicted.max(), actual.max())) + 1)
        self.columns = columns or self.columns


class ConfusionMatrix(ClassCounting):
    """Counts of (true class, predicted class), over batches: see `confusion_matrix`. Keeps C x C counts."""

    name = "confusion_matrix"

    def __init__(self, *, num_classes: int | None = None, normalize: Normalize = None) -> None:
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(f"{self.name}: normalize: expected 'true', 'pred', 'all' or None, got {normalize!r}")
        self.normalize = normalize
        super().__init__(num_classes)

    def reset(self) -> None:
        super().reset()
        self.counts = np.zeros((0, 0), np.int64)

    def _count(self, predicted: np.ndarray, actual: np.ndarray, classes: int) -> None:
        counts = np.bincount(actual * classes + predicted, minlength=classes * classes)
        self.counts = added(self.counts, counts.reshape(classes, classes))

    def compute(self) -> np.ndarray:
        self._need(self.counts.size)
        if self.normalize is None:
            return self.counts.copy()
        axis = {"true": 1, "pred": 0, "all": None}[self.normalize]
        total = self.counts.sum(axis=axis, keepdims=True)
        return self.counts / np.maximum(total, 1)


def confusion_matrix(
    output: Values, target: Values, *, num_classes: int | None = None, normalize: Normalize = None
) -> np.ndarray:
    """Confusion matrix: M[i, j] = the number of examples of true class i with predicted class j.

    output: scores (N, C) of a floating type, whose largest decides, or class numbers (N,); target: class numbers (N,).
    -> (C, C) int64; with normalize, float64: divided by the sums of the rows ("true"), of the columns ("pred") or of all
    ("all"), where 0/0 is 0. C: num_classes, or the scores' columns, or the largest class number + 1. It is scikit-learn's
    `confusion_matrix` with labels=range(C): classes that do not occur have their row and column.
    Raises ValueError and TypeError as `accuracy`, and for class numbers of num_classes or more.
    """
    metric = ConfusionMatrix(num_classes=num_classes, normalize=normalize)
    metric.update(output, target)
    return metric.compute()
