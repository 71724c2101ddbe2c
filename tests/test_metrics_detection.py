"""COCO's average precision against a literal, slow transcription of its definition, cases by hand, and what is refused."""

import math

import numpy as np
import pytest

import pydl
from pydl import metrics

A = np.array
NAN = math.nan
about = pytest.approx          # COCO adds 2e-16 to the denominator of the precision
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RANGES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}


# --- The definition, step by step: one image, one class, one threshold, one detection, one box at a time

def overlap(d, g, crowd):
    w = min(d[2], g[2]) - max(d[0], g[0])
    h = min(d[3], g[3]) - max(d[1], g[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = (d[2] - d[0]) * (d[3] - d[1])
    return w * h / (area if crowd else area + (g[2] - g[0]) * (g[3] - g[1]) - w * h)


def evaluate_image(found, truth, label, area, most):
    """Of one image and class: scores, (matched, ignored) for every threshold and detection, and how many boxes count."""
    mine = [i for i in range(len(found["labels"])) if found["labels"][i] == label]
    mine = sorted(mine, key=lambda i: -found["scores"][i])[:most]
    boxes = [i for i in range(len(truth["labels"])) if truth["labels"][i] == label]
    crowd = truth.get("iscrowd", np.zeros(len(truth["labels"])))
    sizes = truth.get("area", [(b[2] - b[0]) * (b[3] - b[1]) for b in truth["boxes"]])
    ignored = {i: bool(crowd[i]) or sizes[i] < area[0] or sizes[i] > area[1] for i in boxes}
    boxes = sorted(boxes, key=lambda i: ignored[i])
    matched, skipped = [], []
    for threshold in THRESHOLDS:
        taken, hits, skips = set(), [], []
        for d in mine:
            best, partner = min(threshold, 1 - 1e-10), None
            for g in boxes:
                if g in taken and not crowd[g]:
                    continue
                if partner is not None and not ignored[partner] and ignored[g]:
                    break
                value = overlap(found["boxes"][d], truth["boxes"][g], crowd[g])
                if value >= best:
                    best, partner = value, g
            if partner is not None:
                taken.add(partner)
            size = np.prod(found["boxes"][d][2:] - found["boxes"][d][:2])
            hits.append(partner is not None)
            skips.append(ignored[partner] if partner is not None else size < area[0] or size > area[1])
        matched.append(hits)
        skipped.append(skips)
    return [found["scores"][d] for d in mine], matched, skipped, sum(not ignored[i] for i in boxes)


def average_precision(hits, skips, count):
    """Of detections in descending order of their scores: AP and the final recall."""
    right = wrong = 0
    recall, precision = [], []
    for hit, skip in zip(hits, skips):
        right, wrong = right + (hit and not skip), wrong + (not hit and not skip)
        recall.append(right / count)
        precision.append(right / (right + wrong + np.spacing(1)))
    total = 0.0
    for level in np.linspace(0, 1, 101):
        total += max((p for r, p in zip(recall, precision) if r >= level), default=0.0)
    return total / 101, recall[-1] if recall else 0.0


def definition(output, target, label, area="all", most=100):
    """(T,) average precisions and recalls of a class, NaN where no box counts."""
    images = [evaluate_image(found, truth, label, RANGES[area], most) for found, truth in zip(output, target)]
    count = sum(image[3] for image in images)
    if not count:
        return np.full((2, len(THRESHOLDS)), NAN)
    order = np.argsort([-score for image in images for score in image[0]], kind="stable")
    result = []
    for t in range(len(THRESHOLDS)):
        hits = [one for image in images for one in image[1][t]]
        skips = [one for image in images for one in image[2][t]]
        result.append(average_precision([hits[i] for i in order], [skips[i] for i in order], count))
    return A(result).T


def scenes(seed, images=12, classes=3):
    """Detections near boxes of all sizes, double ones and false ones, equal scores, crowds, empty images, a class without boxes."""
    rng = np.random.default_rng(seed)
    output, target = [], []
    for i in range(images):
        m = 0 if i % 6 == 5 else rng.integers(1, 7)
        corner, size = rng.uniform(0, 200, (m, 2)), rng.choice([10, 31, 32, 60, 96, 150], (m, 2)).astype(float)
        truth = {"boxes": np.concatenate([corner, corner + size], axis=1), "labels": rng.integers(0, classes, m),
                 "iscrowd": (rng.random(m) < 0.2).astype(np.int64)}
        if i % 2:
            truth["area"] = np.prod(size, axis=1) * rng.uniform(0.5, 1, m)
        near = truth["boxes"][np.repeat(np.arange(m), rng.integers(0, 4, m))]
        near = near + rng.normal(0, 0.06, near.shape) * np.repeat(near[:, 2:] - near[:, :2], 2, axis=1)[:, [0, 2, 1, 3]]
        corner, size = rng.uniform(0, 200, (3, 2)), rng.uniform(5, 120, (3, 2))
        boxes = np.concatenate([near, np.concatenate([corner, corner + size], axis=1)])
        boxes = boxes[rng.permutation(len(boxes))] if i % 6 != 4 else boxes[:0]
        output.append({"boxes": boxes, "scores": np.round(rng.random(len(boxes)), 1), "labels": rng.integers(0, classes + 1, len(boxes))})
        target.append(truth)
    return output, target


@pytest.mark.parametrize("seed", range(3))
def test_is_the_definition(seed):
    output, target = scenes(seed)
    found = metrics.mean_average_precision(output, target, max_detections=(1, 3, 100))
    assert found["classes"].tolist() == [0, 1, 2, 3]
    each = A([[definition(output, target, k, area) for k in range(4)] for area in RANGES])         # (A, K, 2, T)
    assert np.isnan(each[:, 3]).all() and not np.isnan(each[0, :3]).any()
    np.testing.assert_allclose(found["map_per_class"], each[0, :, 0].mean(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(found["mar_100_per_class"], each[0, :, 1].mean(axis=-1), rtol=1e-12)
    for a, area in enumerate(RANGES):
        assert found["map" if area == "all" else f"map_{area}"] == about(np.nanmean(each[a, :, 0]), rel=1e-12)
        assert found["mar_100" if area == "all" else f"mar_{area}"] == about(np.nanmean(each[a, :, 1]), rel=1e-12)
    for name, t in (("map_50", 0), ("map_75", 5)):
        assert found[name] == about(np.nanmean(each[0, :, 0, t]), rel=1e-12)
    for most in (1, 3):
        some = [definition(output, target, k, most=most)[1] for k in range(3)]
        assert found[f"mar_{most}"] == about(np.mean(some), rel=1e-12)


@pytest.mark.parametrize("cuts", [(1, 5), (6, 6), (11,)])
def test_batches_tensors_and_formats(cuts):
    """However the images are cut into batches, whatever holds the numbers and says the boxes."""
    output, target = scenes(7)
    whole = metrics.mean_average_precision(output, target)
    metric = metrics.MeanAveragePrecision(box_format="xywh")
    for first, last in zip((0, *cuts), (*cuts, len(output))):
        batches = []
        for images in (output, target):
            batch = [{key: pydl.tensor(x) for key, x in image.items()} for image in images[first:last]]
            for one in batch:
                one["boxes"] = pydl.cat([one["boxes"][:, :2], one["boxes"][:, 2:] - one["boxes"][:, :2]], dim=1)
            batches.append(batch)
        metric.update(*batches)
    result = metric.compute()
    assert list(result) == list(whole)
    for key, value in whole.items():
        np.testing.assert_allclose(result[key], value, rtol=1e-12)
    metric.reset()
    with pytest.raises(ValueError, match="got none; call update"):
        metric.compute()


def test_threads_do_not_matter(threads):
    output, target = scenes(3, images=60)
    results = []
    for count in (1, 2, 4):
        pydl.set_num_threads(count)
        results.append(metrics.mean_average_precision(output, target))
    for one in results[1:]:
        assert all(np.array_equal(one[key], value, equal_nan=True) for key, value in results[0].items())


# --- By hand

BOX = [0.0, 0, 40, 40]
SHIFTED = [0.0, 0, 40, 30]          # IoU 3/4 with BOX
FAR = [100.0, 100, 140, 140]


def found(*boxes, scores=None, labels=None):
    return {"boxes": A(boxes, dtype=float).reshape(-1, 4), "scores": A(scores if scores is not None else 0.9 - 0.1 * np.arange(len(boxes))),
            "labels": A(labels or [0] * len(boxes), dtype=np.int64)}


def truth(*boxes, labels=None, **more):
    return {"boxes": A(boxes, dtype=float).reshape(-1, 4), "labels": A(labels or [0] * len(boxes), dtype=np.int64), **more}


def figures(output, target, **how):
    return metrics.mean_average_precision([output], [target], **how)


def test_perfect_and_nothing():
    assert figures(found(BOX, FAR), truth(BOX, FAR))["map"] == about(1)
    nothing = figures(found(), truth(BOX))
    assert (nothing["map"], nothing["mar_100"]) == (0, 0)
    for empty in (figures(found(), truth()), figures(found(BOX), truth())):
        assert math.isnan(empty["map"]) and math.isnan(empty["mar_1"])


def test_threshold_is_reached_by_equality():
    """IoU 3/4: right at 0.5 to 0.75, six of the ten thresholds."""
    result = figures(found(SHIFTED), truth(BOX))
    assert result["map"] == about(0.6) and result["map_75"] == about(1) and result["map_medium"] == pytest.approx(0.6)
    assert math.isnan(result["map_small"])


def test_interpolation_by_hand():
    """Right, wrong, right of two boxes: precision 1 up to a recall of 1/2, which are 51 levels, then 2/3 at 50 levels."""
    result = figures(found(BOX, [300.0, 300, 310, 310], FAR), truth(BOX, FAR))
    assert result["map"] == about((51 + 50 * 2 / 3) / 101, rel=1e-12)
    assert (result["mar_1"], result["mar_10"]) == (0.5, 1)


def test_a_second_detection_of_a_box_is_wrong():
    """The first of equal scores takes the box; the other one lowers the precision at the recall of the second box."""
    output = found(BOX, BOX, FAR, scores=[0.9, 0.9, 0.8])
    assert figures(output, truth(BOX, FAR))["map"] == about((51 + 50 * 2 / 3) / 101, rel=1e-12)


def test_the_better_box_is_taken():
    """The detection lies on both boxes, and takes the one that it overlaps more, though the other one comes first."""
    result = figures(found(BOX, SHIFTED, scores=[0.9, 0.8]), truth(SHIFTED, BOX))
    assert result["map"] == about(1)


def test_crowds_count_for_nothing():
    """Any number of detections inside a crowd are neither right nor wrong; a crowd alone is no box."""
    inside = [[5.0, 5, 15, 15], [20.0, 20, 30, 30]]
    crowd = {"iscrowd": A([1, 0])}
    assert figures(found(*inside, FAR), truth(BOX, FAR, **crowd))["map"] == about(1)
    assert figures(found(*inside, FAR), truth(BOX, FAR))["map"] == about(51 / 101 / 3, rel=1e-12)
    assert math.isnan(figures(found(*inside), truth(BOX, iscrowd=A([1])))["map"])


def test_ranges_of_areas():
    """A detection of a box outside of the range, or of nothing and outside itself, does not count; `area` says how large a box is."""
    large = [200.0, 200, 400, 400]
    result = figures(found(large, [500.0, 500, 505, 505], BOX, scores=[0.9, 0.8, 0.7]), truth(large, BOX))
    assert (result["map_large"], result["map_medium"]) == about((1, 1))
    assert result["map"] == about((51 + 50 * 2 / 3) / 101, rel=1e-12)
    result = figures(found(BOX), truth(BOX, area=A([100.0])))
    assert result["map_small"] == about(1) and math.isnan(result["map_medium"])
    own = figures(found(BOX), truth(BOX), area_ranges={"tiny": (0, 100), "huge": (1600, 1600)})
    assert math.isnan(own["map_tiny"]) and own["map_huge"] == about(1) and "map_small" not in own


def test_classes():
    """A detection of another class is of no use; a class without boxes has no part in the mean."""
    result = figures(found(BOX, FAR, FAR, labels=[5, 2, 9]), truth(BOX, FAR, labels=[5, 5]))
    assert result["classes"].tolist() == [2, 5, 9]
    np.testing.assert_allclose(result["map_per_class"], [NAN, 51 / 101, NAN])
    assert result["map"] == about(51 / 101)


def test_most_detections():
    """Of every image and class the best ones; the order of the list decides between equal scores."""
    output = found(FAR, BOX, BOX, scores=[0.5, 0.5, 0.9])
    assert figures(output, truth(BOX, FAR), max_detections=[1, 2])["mar_1"] == 0.5
    assert figures(output, truth(BOX, FAR), max_detections=[2])["map_50"] == about(1)
    assert figures(found(BOX, FAR, scores=[0.5, 0.5]), truth(FAR), max_detections=[1])["map"] == 0


def test_boxes_of_no_area():
    """They have no overlap with anything, themselves included."""
    point = [5.0, 5, 5, 5]
    assert figures(found(point, BOX), truth(point, BOX))["map"] == about(51 / 101 / 2, rel=1e-12)


def test_formats():
    for form, boxes in (("xywh", [[10.0, 20, 30, 40]]), ("cxcywh", [[25.0, 40, 30, 40]])):
        assert figures(found(*boxes), truth(*boxes), box_format=form)["map"] == about(1)
    with pytest.raises(ValueError, match="box_format: expected 'xyxy', 'xywh' or 'cxcywh', got 'ltrb'"):
        metrics.MeanAveragePrecision(box_format="ltrb")


@pytest.mark.parametrize(("output", "target", "error", "match"), [
    ([], [truth()], ValueError, "as many images, got 0 and 1"),
    (found(BOX), [truth(BOX)], TypeError, "output: expected a list with a dict for each image, got dict"),
    ([3], [truth(BOX)], TypeError, r"output\[0\]: expected a dict, got int"),
    ([{"boxes": A([BOX]), "labels": A([1])}], [truth(BOX)], ValueError, r"output\[0\]: expected 'scores', got 'boxes', 'labels'"),
    ([found(BOX)], [truth([4.0, 4, 3, 9])], ValueError, r"target\[0\]: box 0: expected finite xyxy of a size of 0 or more, got \[4.0, 4.0, 3.0, 9.0\]"),
    ([found([0, 0, NAN, 1])], [truth(BOX)], ValueError, r"output\[0\]: box 0: expected finite"),
    ([found([0, 0, 1e200, 1e200])], [truth(BOX)], ValueError, r"output\[0\]: box 0: expected finite"),
    ([found(BOX, scores=[NAN])], [truth(BOX)], ValueError, "scores: expected no NaN, got 1"),
    ([found(BOX, scores=[1])], [truth(BOX)], TypeError, "scores: expected a floating type, got int64"),
    ([found(BOX, scores=[0.5, 0.5])], [truth(BOX)], ValueError, r"expected scores \(1,\), one for each of its boxes, got \(2,\)"),
    ([found(BOX, labels=[-1])], [truth(BOX)], ValueError, r"output\[0\]\['labels'\]: expected class numbers of 0 or more, got -1"),
    ([found(BOX)], [truth(BOX, labels=[0, 1])], ValueError, r"expected labels \(1,\)"),
    ([found(BOX)], [{"boxes": A([BOX]), "labels": A([0.5])}], TypeError, "expected class numbers"),
    ([found(BOX)], [truth(BOX, iscrowd=A([2]))], ValueError, r"iscrowd'\]: expected class numbers below 2, got 2"),
    ([found(BOX)], [truth(BOX, area=A([NAN]))], ValueError, "area: expected 0 or more, got nan"),
    ([{**found(BOX), "boxes": A([[1.0, 2, 3]])}], [truth(BOX)], ValueError, r"expected boxes \(n, 4\), got \(1, 3\)"),
    ([{**found(BOX), "boxes": [BOX]}], [truth(BOX)], TypeError, "expected a Tensor or a NumPy array, got list"),
])
def test_refusals(output, target, error, match):
    metric = metrics.MeanAveragePrecision()
    metric.update([found(BOX)], [truth(BOX)])
    with pytest.raises(error, match="mean_average_precision: .*" + match):
        metric.update(output, target)
    assert metric.compute()["map"] == about(1)         # what was gathered is as it was


@pytest.mark.parametrize(("how", "match"), [
    ({"iou_thresholds": [0.5, 1.5]}, "iou_thresholds"), ({"iou_thresholds": []}, "iou_thresholds"), ({"iou_thresholds": [NAN]}, "iou_thresholds"),
    ({"max_detections": []}, "max_detections"), ({"max_detections": [0, 10]}, "max_detections"), ({"area_ranges": {"odd": (2, 1)}}, "area_ranges"),
])
def test_options_refused(how, match):
    with pytest.raises(ValueError, match=f"mean_average_precision: {match}"):
        metrics.MeanAveragePrecision(**how)


def test_thresholds_of_ones_own():
    result = figures(found(SHIFTED), truth(BOX), iou_thresholds=[0.7, 0.8])
    assert result["map"] == about(0.5) and math.isnan(result["map_50"])
