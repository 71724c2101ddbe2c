"""Metrics against scikit-learn's, where that is installed."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydl import metrics

sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed: nothing to compare with")

CASES = {"n": st.integers(1, 40), "classes": st.integers(2, 6), "seed": st.integers(0, 2**32 - 1)}


@pytest.fixture(autouse=True)
def quiet():
    """scikit-learn warns of what it cannot define."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def case(n, classes, seed):
    """Scores (N, C) with ties, predictions and targets, in which some classes may be missing."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, (n, classes)) / 2, rng.integers(0, classes, n), rng.integers(0, classes, n)


def same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@given(**CASES)
@settings(deadline=None)
def test_accuracies(n, classes, seed):
    scores, output, target = case(n, classes, seed)
    same(metrics.accuracy(output, target), sk.accuracy_score(target, output))
    if classes > 2:                                         # of two, scikit-learn wants the scores of one
        for k in range(1, classes + 1):
            same(metrics.top_k_accuracy(scores, target, k=k), sk.top_k_accuracy_score(target, scores, k=k, labels=range(classes)))


@given(**CASES)
@settings(deadline=None)
def test_confusion_matrix(n, classes, seed):
    _, output, target = case(n, classes, seed)
    for normalize in (None, "true", "pred", "all"):
        same(metrics.confusion_matrix(output, target, num_classes=classes, normalize=normalize),
             sk.confusion_matrix(target, output, labels=range(classes), normalize=normalize))


PAIRS = [(metrics.precision, sk.precision_score, {}), (metrics.recall, sk.recall_score, {}), (metrics.f1_score, sk.f1_score, {}),
         *((metrics.fbeta_score, sk.fbeta_score, {"beta": beta}) for beta in (0, 0.3, 2, math.inf))]


@pytest.mark.parametrize(("ours", "theirs", "beta"), PAIRS)
@pytest.mark.parametrize("zero", [0.0, 1.0, math.nan])
@given(**CASES)
@settings(deadline=None, max_examples=30)
def test_rates(ours, theirs, beta, zero, n, classes, seed):
    _, output, target = case(n, classes, seed)
    for average in ("micro", "macro", "weighted", None):
        same(ours(output, target, **beta, average=average, num_classes=classes, zero_division=zero),
             theirs(target, output, **beta, average=average, labels=range(classes), zero_division=zero))
        if average:
            same(ours(output, target, **beta, average=average, zero_division=zero),
                 theirs(target, output, **beta, average=average, zero_division=zero))
    for positive in {0, 1} & {*output, *target}:
        same(ours(output % 2, target % 2, **beta, pos_label=positive, zero_division=zero),
             theirs(target % 2, output % 2, **beta, pos_label=positive, zero_division=zero))


@given(**CASES)
@settings(deadline=None)
def test_auroc(n, classes, seed):
    scores, _, target = case(n, classes, seed)
    if 0 < np.count_nonzero(target == 0) < n:
        same(metrics.auroc(scores[:, 0], target == 0), sk.roc_auc_score(target == 0, scores[:, 0]))
    if classes > 2 and len(set(target)) == classes:
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        for average in ("macro", "weighted", None):
            same(metrics.auroc(p, target, average=average), sk.roc_auc_score(target, p, average=average, multi_class="ovr"))


@given(**CASES, bins=st.integers(1, 20))
@settings(deadline=None)
def test_calibration_bins(n, classes, seed, bins):
    """scikit-learn has no calibration error, but the accuracy and mean confidence of the bins that hold examples."""
    from sklearn.calibration import calibration_curve

    scores, _, target = case(n, classes, seed)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    metric = metrics.ExpectedCalibrationError(bins)
    metric.update(p, target)
    held = metric.count > 0
    right, confidence = calibration_curve(p.argmax(axis=1) == target, p.max(axis=1), n_bins=bins, pos_label=True)
    same(metric.correct[held] / metric.count[held], right)
    same(metric.confidence[held] / metric.count[held], confidence)
    same(metric.compute(), (np.abs(right - confidence) * metric.count[held]).sum() / n)


@given(n=st.integers(2, 40), columns=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_regression(n, columns, seed):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, (n, columns)).astype(float)        # columns may be constant
    output = target + rng.integers(-1, 2, target.shape) * rng.integers(0, 2, columns)
    for average in ("uniform_average", "raw_values"):
        for ours, theirs in ((metrics.mean_absolute_error, sk.mean_absolute_error), (metrics.mean_squared_error, sk.mean_squared_error),
                             (metrics.root_mean_squared_error, sk.root_mean_squared_error), (metrics.r2_score, sk.r2_score)):
            same(ours(output, target, multioutput=average), theirs(target, output, multioutput=average))
            same(ours(output[:, 0], target[:, 0], multioutput=average), theirs(target[:, 0], output[:, 0], multioutput=average))
