"""The area under the receiver operating characteristic."""

import math
from typing import Literal

import numpy as np

from pydl.metrics.inputs import Values, check_probabilities, check_scores, pair_of, scored_target
from pydl.metrics.metric import Metric

Average = Literal["macro", "weighted"] | None


class AUROC(Metric):
    """Area under the ROC curve over batches: see `auroc`. Keeps all scores and targets: it is a matter of their order."""

    name = "auroc"

    def __init__(self, *, average: Average = "macro") -> None:
        if average not in ("macro", "weighted", None):
            raise ValueError(f"{self.name}: average: expected 'macro', 'weighted' or None, got {average!r}")
        self.average = average
        super().__init__()

    def reset(self) -> None:
        self.scores: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def update(self, output: Values, target: Values) -> None:
        scores, labels = pair_of(self.name, output, target, "scores (N,) of class 1 or probabilities (N, C)", (1, 2))
        check_scores(self.name, scores)
        if self.scores and scores.shape[1:] != self.scores[0].shape[1:]:
            raise ValueError(f"{self.name}: expected as many classes as in the batches before, got output {scores.shape} after "
                             f"{self.scores[0].shape}")
        if scores.ndim == 2:
            if scores.shape[1] == 2:
                raise ValueError(f"{self.name}: output: expected scores (N,) of class 1 for two classes, got {scores.shape}; of "
                                 "probabilities pass output[:, 1], of logits output[:, 1] - output[:, 0]")
            check_probabilities(self.name, scores)
        actual = scored_target(self.name, scores, labels)
        self.scores.append(scores.copy())
        self.targets.append(actual.copy())

    def compute(self) -> float | np.ndarray:
        self._need(len(self.scores))
        scores, target = np.concatenate(self.scores), np.concatenate(self.targets)
        binary = scores.ndim == 1
        classes = 2 if binary else scores.shape[1]
        support = np.bincount(target, minlength=classes)
        if (binary or self.average is not None) and not support.all():
            raise ValueError(f"{self.name}: expected examples of every class, got none of class {int(support.argmin())} "
                             f"(target {target.shape}, {classes} classes)")
        if binary:
            return float(areas(scores[:, None], target[:, None] == 1)[0])
        found = areas(scores, target[:, None] == np.arange(classes))
        if self.average is None:
            return found
        return float(np.average(found, weights=support if self.average == "weighted" else None))


def areas(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """For each column the share of pairs of a positive and another example in which the positive one has the larger score; a
    tie counts half. scores, positive (N, C) -> (C,) float64; NaN where there are no such pairs.

    It is (R - P (P + 1) / 2) / (P (N - P)), R the sum of the ranks of the P positive ones, where equal scores share the mean of
    their ranks (Mann & Whitney 1947). All but the division is exact, in twice the ranks.
    """
    count = len(scores)
    order = scores.argsort(axis=0)
    scores, positive = np.take_along_axis(scores, order, axis=0), np.take_along_axis(positive, order, axis=0)
    place = np.arange(count)[:, None]
    step = scores[1:] != scores[:-1]
    edge = np.ones((1, scores.shape[1]), bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, step]), place, 0), axis=0)
    last = np.minimum.accumulate(np.where(np.concatenate([step, edge]), place, count - 1)[::-1], axis=0)[::-1]
    ranks = np.where(positive, first + last + 2, 0).sum(axis=0)
    positives = np.count_nonzero(positive, axis=0)
    above, pairs = ranks - positives * (positives + 1), positives * (count - positives)
    found = np.full(above.shape, math.nan)
    return np.divide(above, 2 * pairs, out=found, where=pairs > 0)


def auroc(output: Values, target: Values, *, average: Average = "macro") -> float | np.ndarray:
    """Area under the ROC curve: the probability that an example of a class has a larger score for it than one of another
    class, ties counted half (Hanley & McNeil 1982; Fawcett 2006).

    Two classes: output (N,), scores of class 1 of a floating type (any increasing function of them gives the same), target (N,)
    of 0 and 1 -> a float. C > 2 classes: output (N, C) probabilities that sum to 1 in each row, target (N,) class numbers;
    each class against the rest; average "macro" is the mean over the classes, "weighted" that weighted by their numbers of
    examples: a float; None: (C,) float64, NaN for a class without examples or without others. scikit-learn's `roc_auc_score`
    with multi_class="ovr".

    Raises ValueError for shapes that do not fit, no examples, NaN scores, rows that are no probabilities, targets without a
    column, and (but for average=None of C > 2 classes) a class without examples; TypeError for other types.
    """
    metric = AUROC(average=average)
    metric.update(output, target)
    return metric.compute()
