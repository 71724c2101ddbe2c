"""Precision, recall and the F-scores made of them."""

import math
from numbers import Real
from typing import Literal

import numpy as np

from pydl.metrics.confusion import ClassCounting, added
from pydl.metrics.inputs import Values

Average = Literal["binary", "micro", "macro", "weighted"] | None
AVERAGES = ("binary", "micro", "macro", "weighted", None)
CHOOSE = "choose average='micro', 'macro', 'weighted' or None"


class Rates(ClassCounting):
    """Base of precision, recall and F-scores: a ratio of counts for each class, then the average. Keeps 3 x C counts."""

    def __init__(
        self, *, average: Average = "binary", num_classes: int | None = None, zero_division: float = 0.0, pos_label: int = 1
    ) -> None:
        if average not in AVERAGES:
            raise ValueError(f"{self.name}: average: expected 'binary', 'micro', 'macro', 'weighted' or None, got {average!r}")
        if not isinstance(zero_division, Real) or not (zero_division in (0, 1) or math.isnan(zero_division)):
            raise ValueError(f"{self.name}: zero_division: expected 0, 1 or nan, got {zero_division!r}")
        if pos_label not in (0, 1):
            raise ValueError(f"{self.name}: pos_label: expected 0 or 1, got {pos_label!r}")
        if average == "binary" and num_classes not in (None, 2):
            raise ValueError(f"{self.name}: average='binary' expects 2 classes, got num_classes={num_classes}; {CHOOSE}")
        self.average: Average = average
        self.zero_division: float = float(zero_division)
        self.pos_label: int = int(pos_label)
        super().__init__(num_classes)

    def reset(self) -> None:
        super().reset()
        self.counts = np.zeros((3, 0), np.int64)

    def _count(self, predicted: np.ndarray, actual: np.ndarray, classes: int) -> None:
        if self.average == "binary" and classes > 2:
            raise ValueError(f"{self.name}: average='binary' expects the classes 0 and 1, got {classes} classes; {CHOOSE}")
        right = actual[predicted == actual]
        self.counts = added(self.counts, np.stack([np.bincount(x, minlength=classes) for x in (right, predicted, actual)]))

    def _ratio(self, right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator of the counts of true positives, of predictions and of examples of classes."""
        raise NotImplementedError

    def compute(self) -> float | np.ndarray:
        self._need(self.counts.size)
        counts = self.counts
        if self.average == "binary":
            counts = added(counts, np.zeros((3, 2), np.int64))[:, [self.pos_label]]
        elif self.average == "micro":
            counts = counts.sum(axis=1, keepdims=True)
        elif self.average is not None and self.num_classes is None:
            counts = counts[:, counts[1] + counts[2] > 0]
        above, below = self._ratio(*counts)
        ratios = np.full(above.shape, self.zero_division)
        np.divide(above, below, out=ratios, where=below > 0)
        if self.average is None:
            return ratios
        weights = counts[2] if self.average == "weighted" else np.ones(len(ratios), np.int64)
        return mean_of_known(ratios, weights)


def mean_of_known(values: np.ndarray, weights: np.ndarray) -> float:
    """The weighted mean of what is not NaN; unweighted where all its weights are 0; NaN where nothing is left."""
    known = ~np.isnan(values)
    values, weights = values[known], weights[known]
    if not values.size:
        return math.nan
    return float(np.average(values, weights=weights if weights.any() else None))


class Precision(Rates):
    """Precision over batches: see `precision`."""

    name = "precision"

    def _ratio(self, right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return right, predicted


class Recall(Rates):
    """Recall over batches: see `recall`."""

    name = "recall"

    def _ratio(self, right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return right, actual


class FBetaScore(Rates):
    """F-beta over batches: see `fbeta_score`."""

    name = "fbeta_score"

    def __init__(
        self,
        beta: float,
        *,
        average: Average = "binary",
        num_classes: int | None = None,
        zero_division: float = 0.0,
        pos_label: int = 1,
    ) -> None:
        if not isinstance(beta, Real):
            raise TypeError(f"{self.name}: beta: expected a number, got {type(beta).__name__}")
        if not beta >= 0:
            raise ValueError(f"{self.name}: beta: expected 0 or more, got {beta}")
        self.beta: float = float(beta)
        super().__init__(average=average, num_classes=num_classes, zero_division=zero_division, pos_label=pos_label)

    def _ratio(self, right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        square = self.beta * self.beta
        share = 1.0 if math.isinf(square) else square / (1 + square)
        return right, share * actual + (1 - share) * predicted


class F1Score(FBetaScore):
    """F1 over batches: see `f1_score`."""

    name = "f1_score"

    def __init__(
        self, *, average: Average = "binary", num_classes: int | None = None, zero_division: float = 0.0, pos_label: int = 1
    ) -> None:
        super().__init__(1.0, average=average, num_classes=num_classes, zero_division=zero_division, pos_label=pos_label)


def result_of(metric: Rates, output: Values, target: Values) -> float | np.ndarray:
    """A new metric's, over one batch."""
    metric.update(output, target)
    return metric.compute()


def precision(
    output: Values,
    target: Values,
    *,
    average: Average = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    pos_label: int = 1,
) -> float | np.ndarray:
    """Precision: of the examples that were predicted to be of a class, the share that is; TP / (TP + FP).

    output: scores (N, C) of a floating type, whose largest decides (the first of equal ones), or class numbers (N,); target:
    class numbers (N,). average: "binary", class pos_label of the classes 0 and 1; "micro", over the sums of the counts of all
    classes; "macro", the mean over the classes; "weighted", that mean weighted by the number of examples of each class: a
    float. None: (C,) float64, one for each class. zero_division (0, 1 or nan) stands for 0/0; means leave nan out.

    As in scikit-learn's `precision_score`, a mean is over the classes that occur in output or target; with num_classes it is
    over all of these (scikit-learn's labels=range(num_classes)). With None, C is num_classes, or the scores' columns, or the
    largest class number + 1. Raises ValueError and TypeError as `accuracy`, and for "binary" with more than two classes.
    """
    metric = Precision(average=average, num_classes=num_classes, zero_division=zero_division, pos_label=pos_label)
    return result_of(metric, output, target)


def recall(
    output: Values,
    target: Values,
    *,
    average: Average = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    pos_label: int = 1,
) -> float | np.ndarray:
    """Recall: of the examples of a class, the share that was predicted to be; TP / (TP + FN).

    Arguments, result and errors: see `precision`. scikit-learn's `recall_score`.
    """
    metric = Recall(average=average, num_classes=num_classes, zero_division=zero_division, pos_label=pos_label)
    return result_of(metric, output, target)


def fbeta_score(
    output: Values,
    target: Values,
    beta: float,
    *,
    average: Average = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    pos_label: int = 1,
) -> float | np.ndarray:
    """F-beta: (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP), the harmonic mean of precision and beta^2 times as much
    recall (van Rijsbergen 1979). beta: 0 (precision) or more; inf is recall.

    Other arguments, result and errors: see `precision`. scikit-learn's `fbeta_score`.
    """
    metric = FBetaScore(beta, average=average, num_classes=num_classes, zero_division=zero_division, pos_label=pos_label)
    return result_of(metric, output, target)


def f1_score(
    output: Values,
    target: Values,
    *,
    average: Average = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    pos_label: int = 1,
) -> float | np.ndarray:
    """F1: 2 TP / (2 TP + FN + FP), the harmonic mean of precision and recall.

    Arguments, result and errors: see `precision`. scikit-learn's `f1_score`.
    """
    metric = F1Score(average=average, num_classes=num_classes, zero_division=zero_division, pos_label=pos_label)
    return result_of(metric, output, target)
