"""Panoptic quality: by hand, by its definition, over batches however cut, and what it refuses."""

import math

import numpy as np
import pytest

import pydl
from pydl import metrics

NAN = math.nan
#                   sky  sky  car1 car1 car1 car2 car2 unknown
TARGET = np.array([[0, 0], [0, 0], [1, 1], [1, 1], [1, 1], [1, 2], [1, 2], [9, 0]])[None]
OUTPUT = np.array([[0, 3], [0, 4], [1, 7], [1, 7], [1, 8], [1, 8], [2, 0], [0, 0]])[None]


@pytest.mark.parametrize("kind", [np.asarray, pydl.tensor, lambda x: x.astype(np.uint8), lambda x: np.asfortranarray(x)])
def test_by_hand(kind):
    """The sky is found whole (its unknown pixel does not count); of car 1 two pixels of three; of car 2, one of two, in a segment of two:
    1 / 3; class 2 is invented."""
    figures = metrics.panoptic_quality(kind(OUTPUT), kind(TARGET), things=[1, 2], ignore_index=9)
    np.testing.assert_allclose(figures["pq_per_class"], [1, 2 / 3 / 2, 0])
    np.testing.assert_allclose(figures["sq_per_class"], [1, 2 / 3, 0])
    np.testing.assert_allclose(figures["rq_per_class"], [1, 1 / 2, 0])
    for key, each in (("pq", (1, 1 / 3, 0)), ("sq", (1, 2 / 3, 0)), ("rq", (1, 1 / 2, 0))):
        assert figures[key] == pytest.approx(sum(each) / 3)
        assert figures[f"{key}_things"] == pytest.approx(sum(each[1:]) / 2)
        assert figures[f"{key}_stuff"] == 1


def test_without_things_all_instances_count():
    """The sky is then three segments: none is above a half of the true one, of which two pixels are known."""
    figures = metrics.panoptic_quality(OUTPUT, TARGET, ignore_index=9)
    assert figures["pq_per_class"][0] == 0
    assert figures["pq_things"] == figures["pq"] and math.isnan(figures["pq_stuff"])
    assert metrics.panoptic_quality(OUTPUT, TARGET, ignore_index=9, things=[])["pq_per_class"].tolist() == pytest.approx([1, 4 / 5, 0])


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_a_half_is_not_enough(pixels):
    """Of four: an IoU of a half does not match, and a segment that is half unknown is wrong, one that is more so is not."""
    target, output = np.zeros((2, 1, 4, 2), np.int64)
    output[..., :pixels, 0] = 1
    assert metrics.panoptic_quality(target, output)["pq_per_class"][0] == (3 / 4 if pixels == 1 else 0)
    target[..., :pixels, 0] = 255
    found = metrics.panoptic_quality(np.ones_like(target), target, num_classes=2, ignore_index=255)["pq_per_class"]
    np.testing.assert_array_equal(found, [0, NAN if pixels == 3 else 0])


def test_what_is_not_predicted_is_no_segment():
    target = np.array([[[0, 0], [0, 0], [0, 0]]])
    output = np.array([[[0, 0], [0, 0], [-1, 5]]])
    assert metrics.panoptic_quality(output, target, ignore_index=-1)["pq"] == pytest.approx(2 / 3)
    figures = metrics.panoptic_quality(np.full_like(target, -1), np.full_like(target, -1), ignore_index=-1, num_classes=2)
    np.testing.assert_array_equal(figures["pq_per_class"], [NAN, NAN])
    assert math.isnan(figures["pq"])


def by_definition(output, target, things, ignore, classes):
    """Segment by segment, as the paper and its panopticapi have it."""
    overlap, right, invented, missed = (np.zeros(classes) for _ in range(4))
    for one, other in zip(output.reshape(len(output), -1, 2).tolist(), target.reshape(len(target), -1, 2).tolist(), strict=True):
        found, there, void = {}, {}, set()
        for i, (p, t) in enumerate(zip(one, other, strict=True)):
            for segments, (kind, instance) in ((found, p), (there, t)):
                if kind != ignore:
                    segments.setdefault((kind, instance if kind in things else 0), set()).add(i)
            if t[0] == ignore:
                void.add(i)
        matched = set()
        for key, pixels in found.items():
            partners = [(len(pixels & true) / len((pixels - void) | true), name) for name, true in there.items() if name[0] == key[0]]
            best, name = max(partners, default=(0, None))
            if best > 0.5:
                overlap[key[0]] += best
                right[key[0]] += 1
                matched.add(name)
            elif len(pixels & void) / len(pixels) <= 0.5:
                invented[key[0]] += 1
        for key in there:
            missed[key[0]] += key not in matched
    with np.errstate(invalid="ignore"):
        return overlap / (right + (invented + missed) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_is_the_definition_however_cut(seed):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, (4, 3), (5, 4, 5, 2))
    target = blocks.repeat(3, 1).repeat(4, 2)
    output = np.where(rng.random((*target.shape[:3], 1)) < 0.2, rng.integers(0, (4, 3), target.shape), target)
    target[..., 1] = target[..., 1] * 2**40 - 5     # any numbers
    things, ignore = ([0, 2], None) if seed % 2 else ([1, 2, 3], 3)
    expected = by_definition(output, target, things, ignore, 4)
    whole = metrics.panoptic_quality(output, target, things=things, ignore_index=ignore, num_classes=4)
    np.testing.assert_allclose(whole["pq_per_class"], expected, rtol=1e-12)
    np.testing.assert_allclose(whole["pq"], np.nanmean(expected), rtol=1e-12)
    np.testing.assert_allclose(whole["sq_per_class"] * whole["rq_per_class"], expected, rtol=1e-12)
    metric = metrics.PanopticQuality(things=things, ignore_index=ignore)
    for part in (slice(0, 1), slice(1, 2), slice(2, 5)):
        metric.update(output[part], target[part])
    cut = metric.compute()["pq_per_class"]
    np.testing.assert_allclose(cut, expected[:len(cut)], rtol=1e-12)
    metric.reset()
    with pytest.raises(ValueError, match="panoptic_quality: expected one example or more before compute"):
        metric.compute()


@pytest.mark.parametrize(("output", "target", "error", "match"), [
    (OUTPUT[0], TARGET[0], ValueError, r"output: expected \(N, ..., 2\), class and instance of each pixel, got \(8, 2\)"),
    (OUTPUT[..., :1], TARGET, ValueError, r"output: .* got \(1, 8, 1\)"),
    (OUTPUT.reshape(1, 2, 4, 2), TARGET, ValueError, r"expected output and target of one shape, got \(1, 2, 4, 2\) and \(1, 8, 2\)"),
    (OUTPUT[:0], TARGET[:0], ValueError, "output: expected one pixel or more, got none"),
    (OUTPUT / 2, TARGET, TypeError, "output: expected class and instance numbers .* got float64"),
    (OUTPUT, TARGET - 1, ValueError, "target: expected class numbers of 0 or more, got -1"),
    (OUTPUT * 10_000, TARGET, ValueError, "output: expected class numbers below 10000, got 20000; pass num_classes="),
    (OUTPUT.tolist(), TARGET, TypeError, "output: expected a Tensor or a NumPy array, got list"),
])
def test_refusals(output, target, error, match):
    metric = metrics.PanopticQuality(ignore_index=9)
    metric.update(OUTPUT, TARGET)
    before = metric.compute()
    with pytest.raises(error, match="panoptic_quality: " + match):
        metric.update(output, target)
    np.testing.assert_equal(metric.compute(), before)


def test_options_refused():
    with pytest.raises(ValueError, match="things: expected class numbers below 2, got 2"):
        metrics.PanopticQuality(things=[2], num_classes=2)
    with pytest.raises(TypeError, match="things: expected class numbers .* got float64"):
        metrics.PanopticQuality(things=[0.5])
    with pytest.raises(ValueError, match=r"target: expected class numbers below 3 \(num_classes\), got 9"):
        metrics.panoptic_quality(OUTPUT, TARGET, num_classes=3)
