"""COCO's average precision and recall of detected boxes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pydl.metrics.inputs import Values, array_of, class_numbers
from pydl.metrics.metric import Metric, mean
from pydl.ops.regions import match_detections
from pydl.tensor import from_numpy

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
Image = Mapping[str, Values]
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
RECALLS = np.linspace(0, 1, 101)
FALSE, TRUE, IGNORED = range(3)         # what match_detections says of a detection


class MeanAveragePrecision(Metric):
    """COCO's average precision and recall, over batches: see `mean_average_precision`. Keeps all boxes."""

    name = "mean_average_precision"

    def __init__(self, *, box_format: BoxFormat = "xyxy", iou_thresholds: Sequence[float] | None = None,
                 max_detections: Sequence[int] = (1, 10, 100), area_ranges: Mapping[str, tuple[float, float]] | None = None) -> None:
        if box_format not in ("xyxy", "xywh", "cxcywh"):
            raise ValueError(f"{self.name}: box_format: expected 'xyxy', 'xywh' or 'cxcywh', got {box_format!r}")
        self.box_format = box_format
        levels = np.linspace(0.5, 0.95, 10) if iou_thresholds is None else np.asarray(iou_thresholds, np.float64)
        if levels.ndim != 1 or not levels.size or not ((levels > 0) & (levels <= 1)).all():
            raise ValueError(f"{self.name}: iou_thresholds: expected one or more, above 0 and at most 1, got {iou_thresholds!r}")
        self.iou_thresholds = levels
        most = sorted(int(m) for m in max_detections)
        if not most or most[0] < 1:
            raise ValueError(f"{self.name}: max_detections: expected one or more of 1 or more, got {max_detections!r}")
        self.max_detections = most
        ranges = {"all": AREAS["all"], **(AREAS if area_ranges is None else area_ranges)}
        for key, (low, high) in ranges.items():
            if not low <= high:
                raise ValueError(f"{self.name}: area_ranges: expected (low, high), got {(low, high)} for {key!r}")
        self.area_ranges = ranges
        super().__init__()

    def reset(self) -> None:
        self.images = 0
        self.found: list[dict[str, np.ndarray]] = []
        self.truth: list[dict[str, np.ndarray]] = []

    def update(self, output: Sequence[Image], target: Sequence[Image]) -> None:     # type: ignore[override]
        for role, images in (("output", output), ("target", target)):
            if not isinstance(images, (list, tuple)):
                raise TypeError(f"{self.name}: {role}: expected a list with a dict for each image, got {type(images).__name__}")
        if len(output) != len(target):
            raise ValueError(f"{self.name}: expected output and target of as many images, got {len(output)} and {len(target)}")
        found = [self._detections(f"output[{i}]", image) for i, image in enumerate(output)]
        truth = [self._boxes(f"target[{i}]", image) for i, image in enumerate(target)]
        for images, kept in ((found, self.found), (truth, self.truth)):
            for i, one in enumerate(images):
                kept.append({**one, "image": np.full(len(one["labels"]), self.images + i)})
        self.images += len(found)

    def _part(self, role: str, image: Image, key: str) -> np.ndarray:
        if not isinstance(image, Mapping):
            raise TypeError(f"{self.name}: {role}: expected a dict, got {type(image).__name__}")
        if key not in image:
            raise ValueError(f"{self.name}: {role}: expected {key!r}, got {', '.join(map(repr, image)) or 'nothing'}")
        return array_of(self.name, f"{role}[{key!r}]", image[key])

    def _column(self, role: str, image: Image, key: str, count: int) -> np.ndarray:
        x = self._part(role, image, key)
        if x.shape != (count,):
            raise ValueError(f"{self.name}: {role}: expected {key} {(count,)}, one for each of its boxes, got {x.shape}")
        return x

    def _common(self, role: str, image: Image) -> dict[str, np.ndarray]:
        """Corners, areas and labels of an image's boxes, checked."""
        given = self._part(role, image, "boxes")
        if given.dtype.kind not in "fiu":
            raise TypeError(f"{self.name}: {role}: boxes: expected real numbers, got {given.dtype} {given.shape}")
        x = given.reshape(0, 4) if given.shape == (0,) else given
        if x.ndim != 2 or x.shape[1] != 4:
            raise ValueError(f"{self.name}: {role}: expected boxes (n, 4), got {given.shape}")
        x = x.astype(np.float64)
        sizes = x[:, 2:] - x[:, :2] if self.box_format == "xyxy" else x[:, 2:]
        with np.errstate(over="ignore"):
            areas = sizes[:, 0] * sizes[:, 1]
        wrong = ~(np.isfinite(x).all(axis=1) & (sizes >= 0).all(axis=1) & np.isfinite(areas))
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(f"{self.name}: {role}: box {first}: expected finite {self.box_format} of a size of 0 or more, "
                             f"got {given[first].tolist()} (boxes {given.shape})")
        first_corner = x[:, :2] - sizes / 2 if self.box_format == "cxcywh" else x[:, :2]
        corners = x if self.box_format == "xyxy" else np.concatenate([first_corner, first_corner + sizes], axis=1)
        labels = self._column(role, image, "labels", len(x))
        labels = class_numbers(self.name, f"{role}['labels']", labels) if len(x) else np.zeros(0, np.int64)
        return {"boxes": corners, "areas": areas, "labels": labels}

    def _detections(self, role: str, image: Image) -> dict[str, np.ndarray]:
        parts = self._common(role, image)
        scores = self._column(role, image, "scores", len(parts["labels"]))
        if scores.dtype.kind != "f":
            raise TypeError(f"{self.name}: {role}: scores: expected a floating type, got {scores.dtype} {scores.shape}")
        if np.isnan(scores).any():
            raise ValueError(f"{self.name}: {role}: scores: expected no NaN, got {int(np.isnan(scores).sum())} in {scores.shape}")
        return {**parts, "scores": scores.astype(np.float64)}

    def _boxes(self, role: str, image: Image) -> dict[str, np.ndarray]:
        parts = self._common(role, image)
        count = len(parts["labels"])
        ranged, crowd = parts["areas"], np.zeros(count, np.uint8)
        if "area" in image:
            ranged = self._column(role, image, "area", count).astype(np.float64)
            if not (ranged >= 0).all():
                raise ValueError(f"{self.name}: {role}: area: expected 0 or more, got {ranged.min()} in {ranged.shape}")
        if "iscrowd" in image and count:
            crowd = class_numbers(self.name, f"{role}['iscrowd']", self._column(role, image, "iscrowd", count), 2).astype(np.uint8)
        return {**parts, "ranged": ranged, "crowd": crowd}

    def compute(self) -> dict[str, Any]:
        self._need(self.images)
        return Evaluation(self).figures()


class Evaluation:
    """Detections and boxes of all images, matched: A ranges of areas, T thresholds, D detections, best first, K classes."""

    def __init__(self, metric: MeanAveragePrecision) -> None:
        self.metric = metric
        found = {key: np.concatenate([one[key] for one in metric.found]) for key in metric.found[0]}
        truth = {key: np.concatenate([one[key] for one in metric.truth]) for key in metric.truth[0]}
        self.classes, numbers = np.unique(np.concatenate([found["labels"], truth["labels"]]), return_inverse=True)
        found["class"], truth["class"] = numbers[: len(found["labels"])], numbers[len(found["labels"]) :]
        count = max(1, len(self.classes))
        found["group"], truth["group"] = (x["image"] * count + x["class"] for x in (found, truth))
        self.found = self._best(found)
        order = truth["group"].argsort(kind="stable")
        self.truth = {key: x[order] for key, x in truth.items()}
        self.areas = np.array(list(metric.area_ranges.values()), np.float64)
        ranged = self.truth["ranged"]
        counts = (self.truth["crowd"] == 0) & (ranged >= self.areas[:, :1]) & (ranged <= self.areas[:, 1:])
        self.wanted = np.stack([np.bincount(self.truth["class"][c], minlength=len(self.classes)) for c in counts])      # (A, K)
        self.state = self._matched()
        # by class and score; equal scores in the order of the images
        order = np.lexsort((-self.found["scores"], self.found["class"]))
        self.state, self.rank = self.state[:, :, order], self.found["rank"][order]
        self.ends = np.searchsorted(self.found["class"][order], np.arange(len(self.classes) + 1))

    def _best(self, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The max_detections best of every image and class, group by group; of equal scores the first ones."""
        order = np.lexsort((-found["scores"], found["group"]))
        group = found["group"][order]
        first = np.searchsorted(group, group)
        rank = np.arange(len(group)) - first
        kept = rank < self.metric.max_detections[-1]
        return {**{key: x[order][kept] for key, x in found.items()}, "rank": rank[kept]}

    def _matched(self) -> np.ndarray:
        found, truth = self.found, self.truth
        groups, starts = np.unique(found["group"], return_index=True)
        spans = np.stack([starts, np.append(starts, len(found["group"]))[1:], np.searchsorted(truth["group"], groups),
                          np.searchsorted(truth["group"], groups, side="right")], axis=1)
        arrays = (found["boxes"], truth["boxes"], found["areas"], truth["areas"], truth["ranged"], spans.reshape(-1, 4).astype(np.int64),
                  truth["crowd"], self.metric.iou_thresholds, self.areas)
        return match_detections(*(from_numpy(np.ascontiguousarray(x)) for x in arrays)).numpy()

    def precisions(self) -> np.ndarray:
        """(A, T, K): the mean of the precision at 101 recalls, where that at a recall is the best one from there on; NaN without boxes."""
        result = np.full((*self.state.shape[:2], len(self.classes)), math.nan)
        for a, k in zip(*np.nonzero(self.wanted)):
            state = self.state[a, :, self.ends[k] : self.ends[k + 1]]
            right, wrong = np.cumsum(state == TRUE, axis=1), np.cumsum(state == FALSE, axis=1)
            recall, precision = right / self.wanted[a, k], right / (right + wrong + np.spacing(1))
            best = np.zeros((len(state), state.shape[1] + 1))
            best[:, :-1] = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            for t, line in enumerate(recall):
                result[a, t, k] = best[t, line.searchsorted(RECALLS)].mean()
        return result

    def recalls(self, area: int, most: int) -> np.ndarray:
        """(T, K): the share of the boxes that are found by the `most` best detections of each image."""
        sums = np.zeros((self.state.shape[1], self.state.shape[2] + 1))
        np.cumsum((self.state[area] == TRUE) & (self.rank < most), axis=1, out=sums[:, 1:])
        found, wanted = np.diff(sums[:, self.ends], axis=1), self.wanted[area]
        return np.divide(found, wanted, out=np.full(found.shape, math.nan), where=wanted > 0)

    def figures(self) -> dict[str, Any]:
        levels, names, last = self.metric.iou_thresholds, list(self.metric.area_ranges), self.metric.max_detections[-1]
        precisions = self.precisions()
        result: dict[str, Any] = {"map": mean(precisions[0])}
        for percent in (50, 75):
            result[f"map_{percent}"] = mean(precisions[0][np.isclose(levels, percent / 100, rtol=0, atol=1e-9)])
        result.update({f"map_{name}": mean(precisions[a]) for a, name in enumerate(names) if a})
        result.update({f"mar_{most}": mean(self.recalls(0, most)) for most in self.metric.max_detections})
        result.update({f"mar_{name}": mean(self.recalls(a, last)) for a, name in enumerate(names) if a})
        each = self.recalls(0, last).mean(axis=0)
        return {**result, "classes": self.classes, "map_per_class": precisions[0].mean(axis=0), f"mar_{last}_per_class": each}


def mean_average_precision(
    output: Sequence[Image], target: Sequence[Image], *, box_format: BoxFormat = "xyxy", iou_thresholds: Sequence[float] | None = None,
    max_detections: Sequence[int] = (1, 10, 100), area_ranges: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, Any]:
    """COCO's average precision (AP) and recall (AR) of boxes: the definition and the values of pycocotools' COCOeval, "bbox".

    output: a dict for each image: "boxes" (n, 4), "scores" (n,) of a floating type, "labels" (n,) class numbers; target likewise: "boxes"
    (m, 4), "labels" (m,) and, if wanted, "iscrowd" (m,) of 0 and 1 (regions that hold many, where nothing counts as wrong) and "area"
    (m,), by which the ranges go (default: that of the box). Tensors or arrays. box_format: corners "xyxy", "xywh" or "cxcywh".

    -> a dict of floats: "map": AP, the mean over classes and thresholds; "map_50", "map_75"; "map_small" (areas to 32^2), "map_medium",
    "map_large" (from 96^2); "mar_1", "mar_10", "mar_100": AR of so many detections of a class in an image; "mar_small" ...; and arrays:
    "classes", the class numbers that occur, "map_per_class", "mar_100_per_class". NaN where there are no boxes: such a class has no part
    in a mean. An image without boxes and without detections counts for nothing.

    iou_thresholds: default 0.5, 0.55 ... 0.95. In each image and class the detections, best first, each take the free box that they
    overlap most, if by the threshold or more. Precision is interpolated at the recalls 0, 0.01 ... 1. area_ranges: names to (low, high).
    Lin et al., "Microsoft COCO: common objects in context", 2014. Raises ValueError for shapes that do not fit, boxes of negative size
    or not finite, NaN scores, negative labels, no images; TypeError for other types.

    >>> import pydl
    >>> boxes = pydl.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    >>> found = {"boxes": boxes + 1, "scores": pydl.tensor([0.9, 0.8]), "labels": pydl.tensor([0, 0])}
    >>> round(mean_average_precision([found], [{"boxes": boxes, "labels": pydl.tensor([0, 0])}])["map"], 3)     # IoU 81 / 119
    0.4
    """
    metric = MeanAveragePrecision(box_format=box_format, iou_thresholds=iou_thresholds, max_detections=max_detections,
                                  area_ranges=area_ranges)
    metric.update(output, target)
    return metric.compute()
