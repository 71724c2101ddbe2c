"""The expected calibration error."""

import operator

import numpy as np

from pydl.metrics.inputs import Values, check_probabilities, check_scores, pair_of, scored_target
from pydl.metrics.metric import Metric


class ExpectedCalibrationError(Metric):
    """Expected calibration error over batches: see `expected_calibration_error`. Keeps three numbers for each bin."""

    name = "expected_calibration_error"

    def __init__(self, n_bins: int = 15) -> None:
        try:
            self.n_bins = operator.index(n_bins)
        except TypeError:
            raise TypeError(f"{self.name}: n_bins: expected an int, got {type(n_bins).__name__}") from None
        if self.n_bins < 1:
            raise ValueError(f"{self.name}: n_bins: expected 1 or more, got {n_bins}")
        super().__init__()

    def reset(self) -> None:
        self.count = np.zeros(self.n_bins, np.int64)
        self.correct = np.zeros(self.n_bins, np.int64)
        self.confidence = np.zeros(self.n_bins)

    def update(self, output: Values, target: Values) -> None:
        scores, labels = pair_of(self.name, output, target, "probabilities (N,) of class 1 or (N, C)", (1, 2))
        check_scores(self.name, scores)
        check_probabilities(self.name, scores)
        actual = scored_target(self.name, scores, labels)
        if scores.ndim == 1:
            predicted, likely = scores > 0.5, scores.astype(np.float64)
            confidence = np.where(predicted, likely, 1 - likely)
        else:
            predicted, confidence = scores.argmax(axis=1), scores.max(axis=1).astype(np.float64)
        bins = np.searchsorted(np.arange(1, self.n_bins) / self.n_bins, confidence, side="left")
        self.count += np.bincount(bins, minlength=self.n_bins)
        self.correct += np.bincount(bins[predicted == actual], minlength=self.n_bins)
        self.confidence += np.bincount(bins, weights=confidence, minlength=self.n_bins)

    def compute(self) -> float:
        total = int(self.count.sum())
        self._need(total)
        return float(np.abs(self.correct - self.confidence).sum() / total)


def expected_calibration_error(output: Values, target: Values, *, n_bins: int = 15) -> float:
    """Expected calibration error: sum over the bins b of n_b / N * |accuracy of b - mean confidence of b| (Guo et al. 2017).

    An example's confidence is the largest of its probabilities, its prediction the class that has it (the first of equal
    ones). Bin m of M holds the confidences in ((m - 1) / M, m / M], the first one 0, too. output: probabilities (N, C) that
    sum to 1 in each row, or (N,) of class 1, where 1 - output is that of class 0; target: class numbers (N,) -> a float from 0
    (calibrated) to 1.

    Raises ValueError for shapes that do not fit, no examples, NaN, rows that are no probabilities (logits need softmax first),
    targets without a column, n_bins below 1; TypeError for other types.
    """
    metric = ExpectedCalibrationError(n_bins)
    metric.update(output, target)
    return metric.compute()
