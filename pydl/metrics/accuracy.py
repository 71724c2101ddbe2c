"""Accuracy and top-k accuracy."""

import operator

import numpy as np

from pydl.metrics.inputs import Values, check_scores, decided, pair_of, scored_target
from pydl.metrics.metric import Metric


class Accuracy(Metric):
    """The share of right predictions, over batches: see `accuracy`. Keeps two counts."""

    name = "accuracy"

    def reset(self) -> None:
        self.correct, self.count = 0, 0

    def update(self, output: Values, target: Values) -> None:
        predicted, actual, _ = decided(self.name, output, target)
        self.correct += int(np.count_nonzero(predicted == actual))
        self.count += len(actual)

    def compute(self) -> float:
        self._need(self.count)
        return self.correct / self.count


class TopKAccuracy(Metric):
    """The share of examples whose class is among the k best scored, over batches: see `top_k_accuracy`. Keeps two counts."""

    name = "top_k_accuracy"

    def __init__(self, k: int = 2) -> None:
        try:
            self.k = operator.index(k)
        except TypeError:
            raise TypeError(f"{self.name}: k: expected an int, got {type(k).__name__}") from None
        if self.k < 1:
            raise ValueError(f"{self.name}: k: expected 1 or more, got {k}")
        super().__init__()

    def reset(self) -> None:
        self.correct, self.count = 0, 0

    def update(self, output: Values, target: Values) -> None:
        scores, labels = pair_of(self.name, output, target, "scores (N, C)", (2,))
        check_scores(self.name, scores)
        actual = scored_target(self.name, scores, labels)[:, None]
        classes = scores.shape[1]
        if self.k > classes:
            raise ValueError(f"{self.name}: expected k of at most the number of classes, got k = {self.k} and output {scores.shape}")
        own = np.take_along_axis(scores, actual, axis=1)
        ahead = (scores > own) | ((scores == own) & (np.arange(classes) > actual))
        self.correct += int(np.count_nonzero(np.count_nonzero(ahead, axis=1) < self.k))
        self.count += len(actual)

    def compute(self) -> float:
        self._need(self.count)
        return self.correct / self.count


def accuracy(output: Values, target: Values) -> float:
    """Accuracy: the number of examples with predicted class = true class, divided by N.

    output: scores (N, C) of a floating type, whose largest decides (the first of equal ones), or class numbers (N,); target:
    class numbers (N,), of an integer type or bool. -> a float from 0 to 1, scikit-learn's `accuracy_score`.
    Raises ValueError for shapes that do not fit, no examples, NaN scores, class numbers below 0 or without a column of scores;
    TypeError for other types.

    >>> import pydl
    >>> accuracy(pydl.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), pydl.tensor([1, 0, 0]))
    0.6666666666666666
    """
    metric = Accuracy()
    metric.update(output, target)
    return metric.compute()


def top_k_accuracy(output: Values, target: Values, k: int = 2) -> float:
    """Top-k accuracy: the number of examples whose true class is among the k with the largest scores, divided by N.

    output: scores (N, C) of a floating type; target: class numbers (N,). -> a float from 0 to 1, scikit-learn's
    `top_k_accuracy_score`. As there, the last of equal scores counts as the largest, so that with ties top-1 accuracy may
    differ from `accuracy`, where the first one does. Raises ValueError and TypeError as `accuracy`, and for k above C.
    """
    metric = TopKAccuracy(k)
    metric.update(output, target)
    return metric.compute()
