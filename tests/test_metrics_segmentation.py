"""Metrics of segmented images: by hand, by definition, over batches however cut, and what they refuse."""

import math

import numpy as np
import pytest

import pydl
from pydl import metrics

A = np.array
NAN = math.nan
TARGET = A([[[0, 0, 1], [2, 2, 1]]])
OUTPUT = A([[[0, 1, 1], [2, 0, 1]]])
SCORES = np.moveaxis(np.eye(4)[OUTPUT], -1, 1)        # a fourth class that nobody has


@pytest.mark.parametrize("output", [OUTPUT, SCORES[:, :3], SCORES.astype(np.float32), pydl.tensor(OUTPUT), pydl.tensor(SCORES, requires_grad=True),
                                    OUTPUT.astype(np.uint8), SCORES.transpose(3, 2, 1, 0).copy().T])
@pytest.mark.parametrize("target", [TARGET, pydl.tensor(TARGET), TARGET.astype(np.uint8)])
def test_by_hand(output, target):
    none = [NAN] if output.ndim == 4 and output.shape[1] == 4 else []
    assert metrics.pixel_accuracy(output, target) == 4 / 6
    np.testing.assert_allclose(metrics.mean_iou(output, target, average=None), [1 / 3, 2 / 3, 1 / 2, *none])
    np.testing.assert_allclose(metrics.dice(output, target, average=None), [2 / 4, 4 / 5, 2 / 3, *none])
    assert metrics.mean_iou(output, target) == pytest.approx((1 / 3 + 2 / 3 + 1 / 2) / 3)
    assert metrics.dice(output, target) == pytest.approx((2 / 4 + 4 / 5 + 2 / 3) / 3)
    assert metrics.mean_iou(output, target, average="micro") == pytest.approx(4 / 8)
    assert metrics.dice(output, target, average="micro") == pytest.approx(8 / 12)


def test_binary_masks():
    output, target = pydl.tensor([[[True, True, False, False]]]), pydl.tensor([[[1, 0, 0, 0]]])
    np.testing.assert_allclose(metrics.mean_iou(output, target, average=None), [2 / 3, 1 / 2])
    assert metrics.mean_iou(output, target, num_classes=3, average=None)[2:].tolist() == pytest.approx([NAN], nan_ok=True)


def test_ignored_pixels():
    """They count for nothing, whatever the output is; a class that is ignored has no ratio."""
    target = A([[[0, 255, 1], [255, 2, 1]]])
    for output in (OUTPUT, SCORES[:, :3]):
        np.testing.assert_allclose(metrics.mean_iou(output, target, average=None, ignore_index=255), [1 / 2, 1, 0])
        assert metrics.pixel_accuracy(output, target, ignore_index=255) == 3 / 4
        np.testing.assert_allclose(metrics.dice(output, TARGET, average=None, ignore_index=0), [NAN, 1, 2 / 3])
        assert metrics.dice(output, TARGET, ignore_index=0) == pytest.approx(5 / 6)
        with pytest.raises(ValueError, match="expected class numbers below"):
            metrics.mean_iou(output, target, num_classes=3)
    metric = metrics.MeanIoU(ignore_index=1)
    metric.update(OUTPUT, np.ones_like(OUTPUT))
    with pytest.raises(ValueError, match="mean_iou: expected one example or more"):
        metric.compute()


@pytest.mark.parametrize("form", [metrics.PixelAccuracy, metrics.MeanIoU, metrics.Dice])
def test_batches(form):
    """The result is that of all images at once; a class may come late, where the output is class numbers."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 5, (6, 8, 9))
    target[:2] = np.minimum(target[:2], 1)
    scores = rng.random((6, 5, 8, 9)).astype(np.float32)
    for output in (scores, np.where(rng.random(target.shape) < 0.6, target, 1)):
        whole, cut = form(ignore_index=3), form(ignore_index=3)
        whole.update(output, target)
        for part in (slice(0, 1), slice(1, 2), slice(2, 6)):
            cut.update(output[part], target[part])
        assert cut.compute() == whole.compute()
        cut.reset()
        with pytest.raises(ValueError, match="got none; call update"):
            cut.compute()


@pytest.mark.parametrize(("output", "target", "error", "match"), [
    (OUTPUT, TARGET[0], ValueError, r"got output \(1, 2, 3\) and target \(2, 3\)"),
    (SCORES, TARGET[:, :1], ValueError, r"got output \(1, 4, 2, 3\) and target \(1, 1, 3\)"),
    (SCORES[:, :1], TARGET, ValueError, "scores of two classes or more"),
    (OUTPUT[:0], TARGET[:0], ValueError, "expected one pixel or more, got none"),
    (OUTPUT / 3, TARGET, TypeError, "pass probabilities > 0.5 or logits > 0"),
    (OUTPUT, TARGET / 3, TypeError, "target: expected class numbers"),
    (SCORES * NAN, TARGET, ValueError, "expected no NaN"),
    (SCORES, TARGET + 4, ValueError, r"expected class numbers below 4 \(the classes of output \(1, 4, 2, 3\)\), got 6"),
    (SCORES, TARGET - 1, ValueError, "target: expected class numbers of 0 or more, got -1"),
    (OUTPUT - 1, TARGET, ValueError, "output: expected class numbers of 0 or more, got -1"),
    (OUTPUT.tolist(), TARGET, TypeError, "output: expected a Tensor or a NumPy array, got list"),
])
def test_refusals(output, target, error, match):
    metric = metrics.MeanIoU()
    metric.update(OUTPUT, TARGET)
    before = metric.compute()
    with pytest.raises(error, match="mean_iou: .*" + match):
        metric.update(output, target)
    assert metric.compute() == before


def test_scores_of_other_classes():
    metric = metrics.Dice()
    metric.update(SCORES, TARGET)
    with pytest.raises(ValueError, match=r"dice: expected scores of 4 classes \(batches before\), got output \(1, 3, 2, 3\)"):
        metric.update(SCORES[:, :3], TARGET)
    with pytest.raises(ValueError, match="average: expected 'macro', 'micro' or None, got 'weighted'"):
        metrics.MeanIoU(average="weighted")
