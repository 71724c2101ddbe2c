"""Panoptic quality: how well images are divided into things and ground."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from pydl.metrics.confusion import MOST_CLASSES, added, class_count
from pydl.metrics.inputs import Values, array_of, class_numbers
from pydl.metrics.metric import Metric, mean


class PanopticQuality(Metric):
    """Panoptic quality, over batches: see `panoptic_quality`. Keeps 4 x C numbers: sums of IoU; right, invented and missed segments."""

    name = "panoptic_quality"

    def __init__(self, *, things: Iterable[int] | None = None, num_classes: int | None = None, ignore_index: int | None = None) -> None:
        self.num_classes, self.ignore_index = class_count(self.name, num_classes), ignore_index
        self.things: np.ndarray | None = None
        if things is not None:
            numbers = np.array(list(things) or np.zeros(0, np.int64))
            self.things = np.unique(class_numbers(self.name, "things", numbers, self.num_classes)) if numbers.size else numbers
        super().__init__()

    def reset(self) -> None:
        self.overlap = np.zeros(0)
        self.counts = np.zeros((3, 0), np.int64)

    def update(self, output: Values, target: Values) -> None:
        predicted, actual = (self._segments(role, x) for role, x in (("output", output), ("target", target)))
        if output.shape != target.shape:
            raise ValueError(f"{self.name}: expected output and target of one shape, got {tuple(output.shape)} and {tuple(target.shape)}")
        classes = self.num_classes or 1 + max(int(x[..., 0].max(initial=0, where=self._known(x))) for x in (predicted, actual))
        found, there = Segments(predicted, self._known(predicted)), Segments(actual, self._known(actual))
        both = (found.at >= 0) & (there.at >= 0)
        pairs, shared = np.unique(found.at[both] * len(there.areas) + there.at[both], return_counts=True)
        p, t = np.divmod(pairs, max(len(there.areas), 1))
        unknown = np.bincount(found.at[(found.at >= 0) & (there.at < 0)], minlength=len(found.areas))
        union = found.areas[p] - unknown[p] + there.areas[t] - shared
        # more than half: each segment has one partner at most, which takes no search
        right = (found.classes[p] == there.classes[t]) & (2 * shared > union)
        p, t, overlap = p[right], t[right], shared[right] / union[right]
        invented, missed = 2 * unknown <= found.areas, np.ones(len(there.areas), bool)
        invented[p], missed[t] = False, False
        numbers = (there.classes[t], found.classes[invented], there.classes[missed])
        self.counts = added(self.counts, np.stack([np.bincount(x, minlength=classes) for x in numbers]))
        self.overlap = added(self.overlap, np.bincount(there.classes[t], overlap, minlength=classes))

    def _segments(self, role: str, value: Values) -> np.ndarray:
        """Class and instance of every pixel, (N, pixels, 2) int64, checked; the instances of what is no thing are 0."""
        x = array_of(self.name, role, value)
        if x.dtype.kind not in "iub":
            raise TypeError(f"{self.name}: {role}: expected class and instance numbers (an integer type), got {x.dtype} {x.shape}")
        if x.ndim < 3 or x.shape[-1] != 2:
            raise ValueError(f"{self.name}: {role}: expected (N, ..., 2), class and instance of each pixel, got {x.shape}")
        if not x.size:
            raise ValueError(f"{self.name}: {role}: expected one pixel or more, got none: {x.shape}")
        x = x.reshape(len(x), -1, 2).astype(np.int64)
        known = self._known(x)
        if known.any():
            why, hint = (" (num_classes)", "") if self.num_classes else ("", "; pass num_classes= if there are more classes")
            class_numbers(self.name, role, x[..., 0][known], self.num_classes or MOST_CLASSES, why, hint)
        if self.things is not None:
            x[..., 1][~np.isin(x[..., 0], self.things)] = 0
        return x

    def _known(self, x: np.ndarray) -> np.ndarray:
        return np.ones(x.shape[:-1], bool) if self.ignore_index is None else x[..., 0] != self.ignore_index

    def compute(self) -> dict[str, Any]:
        self._need(self.counts.size)
        right, invented, missed = self.counts
        below = right + (invented + missed) / 2
        quality, segmentation, recognition = (np.full(len(right), math.nan) for _ in range(3))
        np.divide(self.overlap, below, out=quality, where=below > 0)
        np.divide(self.overlap, np.maximum(right, 1), out=segmentation, where=below > 0)
        np.divide(right, below, out=recognition, where=below > 0)
        classes = np.arange(len(right))
        thing = np.isin(classes, classes if self.things is None else self.things)
        result: dict[str, Any] = {}
        for group, chosen in (("", classes), ("_things", thing), ("_stuff", ~thing)):
            result.update({f"{key}{group}": mean(x[chosen]) for key, x in (("pq", quality), ("sq", segmentation), ("rq", recognition))})
        return {**result, "pq_per_class": quality, "sq_per_class": segmentation, "rq_per_class": recognition}


class Segments:
    """The segments of N images, numbered through: classes (S,), areas (S,) and at (N, pixels), the number of a pixel's own, -1 for none."""

    def __init__(self, x: np.ndarray, known: np.ndarray) -> None:
        kinds, instance = np.unique(x[..., 1], return_inverse=True)
        image, kind = np.arange(len(x))[:, None], np.where(known, x[..., 0], 0)
        highest = int(kind.max()) + 1
        code = np.where(known, (image * highest + kind) * len(kinds) + instance.reshape(known.shape), -1)
        codes, at, areas = np.unique(code, return_inverse=True, return_counts=True)
        none = int(codes[0] < 0)
        self.at, self.areas = at.reshape(known.shape) - none, areas[none:]
        self.classes = codes[none:] // len(kinds) % highest


def panoptic_quality(output: Values, target: Values, *, things: Iterable[int] | None = None, num_classes: int | None = None,
                     ignore_index: int | None = None) -> dict[str, Any]:
    """Panoptic quality of a class: PQ = SQ RQ, the sum of the IoU of its matched segments / (TP + FP / 2 + FN / 2).

    A predicted and a true segment of an image match if they are of one class and their IoU is above 0.5, so that each has one partner at
    most. TP are the matches, FP the predicted segments without one, FN the true ones. SQ is the mean IoU of the matches (0 without any),
    RQ = TP / (TP + FP / 2 + FN / 2), the F1 score of finding segments.

    output, target: (N, ..., 2), of an integer type: the class number of each pixel, and the number of its instance. A segment is what has
    the same two in an image. things: the classes whose instances count, by default all; each of the others is one segment an image.
    ignore_index: the class number of pixels that are not known; in the target they count neither for the area of a predicted segment nor,
    where they are more than half of it, against it; predicted, they belong to no segment.

    -> a dict of floats: "pq", "sq", "rq": means over the classes that occur; "pq_things", "pq_stuff" ...: over these and the others;
    and "pq_per_class" ...: (C,) float64, NaN for a class that does not occur. C: num_classes, or the largest class number + 1.
    Kirillov et al., "Panoptic segmentation", 2019; the values of its panopticapi. Raises ValueError for shapes that do not fit, no pixels,
    class numbers out of range; TypeError for other types.

    >>> import numpy as np
    >>> classes, instances = np.array([[[0, 0, 1, 1, 1, 1]]]), np.array([[[0, 0, 1, 1, 2, 2]]])
    >>> found = np.array([[[0, 0, 0, 1, 1, 1]]])         # one thing where there are two
    >>> figures = panoptic_quality(np.stack([found, found], -1), np.stack([classes, instances], -1), things=[1])
    >>> figures["pq_per_class"]                          # 2 / 3; (2 / 3) / (1 + 1 / 2)
    array([0.66666667, 0.44444444])
    """
    metric = PanopticQuality(things=things, num_classes=num_classes, ignore_index=ignore_index)
    metric.update(output, target)
    return metric.compute()
