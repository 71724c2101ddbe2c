"""Metrics: by hand, by definition, over batches however cut, and what they refuse."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pydl
from pydl import metrics

A = np.array
NAN = math.nan


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# By hand. The first example: classes 0, 1, 2; one 0 is taken for 1, two 2s for 0.
TARGET = A([0, 0, 0, 1, 1, 2, 2, 2])
OUTPUT = A([0, 0, 1, 1, 1, 0, 0, 2])
SCORES = np.eye(3)[OUTPUT]                  # its largest score is that of OUTPUT


@pytest.mark.parametrize("output", [OUTPUT, SCORES, SCORES.astype(np.float32), pydl.tensor(OUTPUT), pydl.tensor(SCORES),
                                    OUTPUT.astype(np.uint8), np.repeat(SCORES, 2, axis=0)[::2], SCORES.T.copy().T,
                                    pydl.tensor(SCORES, requires_grad=True)])
@pytest.mark.parametrize("target", [TARGET, pydl.tensor(TARGET), TARGET.astype(np.int32)])
def test_every_form_of_input(output, target):
    assert metrics.accuracy(output, target) == 5 / 8
    assert metrics.confusion_matrix(output, target).tolist() == [[2, 1, 0], [0, 2, 0], [2, 0, 1]]
    np.testing.assert_allclose(metrics.precision(output, target, average=None), [2 / 4, 2 / 3, 1 / 1])


@pytest.mark.parametrize(("function", "average", "value"), [
    (metrics.precision, None, [2 / 4, 2 / 3, 1]),
    (metrics.precision, "macro", (2 / 4 + 2 / 3 + 1) / 3),
    (metrics.precision, "weighted", (3 * 2 / 4 + 2 * 2 / 3 + 3 * 1) / 8),
    (metrics.precision, "micro", 5 / 8),
    (metrics.recall, None, [2 / 3, 1, 1 / 3]),
    (metrics.recall, "macro", (2 / 3 + 1 + 1 / 3) / 3),
    (metrics.recall, "weighted", 5 / 8),
    (metrics.recall, "micro", 5 / 8),
    (metrics.f1_score, None, [4 / 7, 4 / 5, 2 / 4]),
    (metrics.f1_score, "macro", (4 / 7 + 4 / 5 + 2 / 4) / 3),
    (metrics.f1_score, "weighted", (3 * 4 / 7 + 2 * 4 / 5 + 3 * 2 / 4) / 8),
    (metrics.f1_score, "micro", 5 / 8),
])
def test_rates_by_hand(function, average, value):
    np.testing.assert_allclose(function(OUTPUT, TARGET, average=average), value, rtol=1e-15)


@pytest.mark.parametrize(("beta", "value"), [       # TP 3, FP 1, FN 2
    (0, 3 / 4), (0.5, 1.25 * 3 / (1.25 * 3 + 0.25 * 2 + 1)), (1, 6 / 9), (2, 15 / (15 + 8 + 1)), (math.inf, 3 / 5), (1e200, 3 / 5),
])
def test_fbeta_by_hand(beta, value):
    output, target = A([1, 1, 1, 1, 0, 0, 0]), A([1, 1, 1, 0, 1, 1, 0])
    assert metrics.fbeta_score(output, target, beta) == pytest.approx(value, rel=1e-15)
    assert metrics.fbeta_score(output > 0, target > 0, beta) == pytest.approx(value, rel=1e-15)
    assert metrics.fbeta_score(1 - output, 1 - target, beta, pos_label=0) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("zero", [0.0, 1.0, NAN])
def test_zero_division(zero):
    output, target = A([0, 0, 1]), A([0, 2, 1])             # class 2 is never predicted, class 3 never there
    kw = {"num_classes": 4, "zero_division": zero}
    np.testing.assert_array_equal(metrics.precision(output, target, average=None, **kw), [0.5, 1, zero, zero])
    np.testing.assert_array_equal(metrics.recall(output, target, average=None, **kw), [1, 1, 0, zero])
    np.testing.assert_array_equal(metrics.f1_score(output, target, average=None, **kw), [2 / 3, 1, 0, zero])
    known = [x for x in (0.5, 1, zero, zero) if not math.isnan(x)]
    assert metrics.precision(output, target, average="macro", **kw) == sum(known) / len(known)
    weighted = 1.5 / 2 if math.isnan(zero) else (1.5 + zero) / 3
    assert metrics.precision(output, target, average="weighted", **kw) == pytest.approx(weighted)
    # Class 0 is there, but never predicted: with nan only class 1 is left, and its weight is 0.
    weighted = metrics.precision(A([1]), A([0]), average="weighted", zero_division=zero)
    assert weighted == (0 if math.isnan(zero) else zero)
    nothing = metrics.recall(A([0]), A([0]), average=None, num_classes=2, zero_division=zero)
    np.testing.assert_array_equal(nothing, [1, zero])
    np.testing.assert_array_equal(metrics.precision(A([0, 0]), A([0, 1]), zero_division=zero), zero)
    np.testing.assert_array_equal(metrics.recall(A([0, 1]), A([0, 0]), zero_division=zero), zero)
    np.testing.assert_array_equal(metrics.f1_score(A([0, 0]), A([0, 0]), zero_division=zero), zero)


def test_means_are_over_the_classes_that_occur_unless_told():
    output, target = A([0, 3, 3]), A([0, 3, 0])
    assert metrics.recall(output, target, average="macro") == (0.5 + 1) / 2
    assert metrics.recall(np.eye(5)[output], target, average="macro") == (0.5 + 1) / 2
    assert metrics.recall(output, target, average="macro", num_classes=5) == (0.5 + 1) / 5
    assert metrics.precision(A([0, 1]), A([0, 0]), average="macro") == 0.5     # class 1 is predicted, but never there
    assert metrics.recall(output, target, average=None).tolist() == [0.5, 0, 0, 1]
    assert metrics.recall(np.eye(5)[output], target, average=None).tolist() == [0.5, 0, 0, 1, 0]


def test_confusion_matrix_by_hand():
    def matrix(normalize):
        return metrics.confusion_matrix(OUTPUT, TARGET, num_classes=4, normalize=normalize)

    counts = A([[2, 1, 0, 0], [0, 2, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]])
    assert matrix(None).dtype == np.int64 and (matrix(None) == counts).all()
    np.testing.assert_allclose(matrix("true"), counts / [[3], [2], [3], [1]])
    np.testing.assert_allclose(matrix("pred"), counts / [4, 3, 1, 1])
    np.testing.assert_allclose(matrix("all"), counts / 8)
    assert metrics.confusion_matrix(A([False, True]), A([True, True])).tolist() == [[0, 0], [1, 1]]


def test_ties_and_infinities_of_scores():
    scores, inf = A([[1.0, 1, 0], [0, 2, 2], [3, 3, 3]]), np.inf
    assert metrics.accuracy(scores, A([0, 1, 0])) == 1      # the first of equal scores
    assert metrics.top_k_accuracy(scores, A([1, 2, 2]), k=1) == 1       # the last
    assert metrics.top_k_accuracy(scores, A([0, 1, 0]), k=1) == 0
    assert metrics.top_k_accuracy(scores, A([0, 1, 0]), k=2) == pytest.approx(2 / 3)
    assert metrics.top_k_accuracy(scores, A([2, 0, 0]), k=3) == 1
    assert metrics.top_k_accuracy(A([[-inf, 0, inf]]), A([1])) == 1
    assert metrics.accuracy(A([[-inf, 0, inf]]), A([2])) == 1


@pytest.mark.parametrize(("scores", "target", "value"), [
    ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 3 / 4),
    ([0.5, 0.5, 0.5], [0, 1, 0], 1 / 2),
    ([1.0, 1.0, 2.0, 0.0], [1, 0, 1, 0], 3.5 / 4),
    ([3.0, 2.0, 1.0], [0, 1, 1], 0),
    ([-np.inf, 0.0, np.inf], [0, 0, 1], 1),
])
def test_auroc_by_hand(scores, target, value):
    assert metrics.auroc(A(scores), A(target)) == value
    assert metrics.auroc(pydl.tensor(scores), pydl.tensor(target)) == value


def test_auroc_of_classes_by_hand():
    output = A([[0.6, 0.2, 0.2], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1]])
    target = A([0, 1, 2, 1])
    areas = [2.5 / 3, 3.5 / 4, 1]
    np.testing.assert_allclose(metrics.auroc(output, target, average=None), areas, rtol=1e-15)
    assert metrics.auroc(output, target) == pytest.approx(sum(areas) / 3)
    assert metrics.auroc(output, target, average="weighted") == pytest.approx((areas[0] + 2 * areas[1] + areas[2]) / 4)
    np.testing.assert_array_equal(metrics.auroc(output[:3], A([0, 0, 1]), average=None), [0.5, 0.5, NAN])


def test_calibration_by_hand():
    # Of 5 bins: 0.6 is in (0.4, 0.6], and 0.8, 0.75, 0.7 in (0.6, 0.8].
    output = A([[0.6, 0.4], [0.2, 0.8], [0.25, 0.75], [0.7, 0.3]])
    target = A([1, 1, 0, 0])
    value = (abs(0 - 0.6) + abs(2 - (0.8 + 0.75 + 0.7))) / 4
    assert metrics.expected_calibration_error(output, target, n_bins=5) == pytest.approx(value, rel=1e-14)
    assert metrics.expected_calibration_error(output[:, 1], target, n_bins=5) == pytest.approx(value, rel=1e-14)
    assert metrics.expected_calibration_error(output, target, n_bins=1) == pytest.approx(abs(2 - 2.85) / 4)
    assert metrics.expected_calibration_error(A([1.0, 0.0]), A([1, 0])) == 0
    assert metrics.expected_calibration_error(A([1.0, 0.0]), A([0, 1])) == 1
    # 0.5 is a prediction of class 0, as the first of two equal ones
    assert metrics.expected_calibration_error(A([0.5, 0.9]), A([0, 1]), n_bins=1) == pytest.approx((2 - 1.4) / 2)
    assert metrics.expected_calibration_error(A([[0.5, 0.5], [0.1, 0.9]]), A([0, 1]), n_bins=1) == pytest.approx((2 - 1.4) / 2)


def test_a_confidence_on_an_edge_is_in_the_bin_below():
    for bins in (3, 7, 10, 15):
        for m in range(bins // 2 + 1, bins):
            edge, above = m / bins, np.nextafter(m / bins, 1)
            metric = metrics.ExpectedCalibrationError(bins)
            metric.update(A([edge, above]), A([1, 1]))
            assert metric.count.nonzero()[0].tolist() == [m - 1, m], (m, bins)


def test_regression_by_hand():
    output, target = A([2.5, 0.0, 2, 8]), A([3, -0.5, 2, 7])
    assert metrics.mean_absolute_error(output, target) == 0.5
    assert metrics.mean_squared_error(output, target) == 0.375
    assert metrics.root_mean_squared_error(output, target) == math.sqrt(0.375)
    assert metrics.r2_score(output, target) == pytest.approx(1 - 1.5 / 29.1875, rel=1e-15)
    output, target = A([[1.0, 10], [2, 20]]), A([[1, 16], [4, 28]])
    for function, values in ((metrics.mean_absolute_error, [1, 7]), (metrics.mean_squared_error, [2, 50]),
                             (metrics.root_mean_squared_error, [2**0.5, 50**0.5]), (metrics.r2_score, [1 - 4 / 4.5, 1 - 100 / 72])):
        np.testing.assert_allclose(function(output, target, multioutput="raw_values"), values, rtol=1e-14)
        assert function(pydl.tensor(output), pydl.tensor(target)) == pytest.approx(sum(values) / 2, rel=1e-14)
    assert metrics.mean_absolute_error(A([0], np.uint8), A([255], np.uint8)) == 255
    assert metrics.mean_absolute_error(A([1.5], np.float32), A([1.0])) == 0.5


def test_r2_of_a_constant_target_and_of_a_large_mean():
    constant = np.full(10, 0.1)
    for cut in (10, 3):
        assert over_batches(metrics.R2Score(), constant, constant, [cut]) == 1
        assert over_batches(metrics.R2Score(), constant + 1e-9, constant, [cut]) == 0
    target = A([1.0, 2, 3, 4, 5, 6]) + 1e9
    output = target + A([1, -1, 1, -1, 1, -1])
    assert over_batches(metrics.R2Score(), output, target, [1, 3]) == pytest.approx(1 - 6 / 17.5, rel=1e-6)


# By definition, for random inputs

def over_batches(metric, output, target, cuts):
    for part in zip(np.split(output, sorted(set(cuts))), np.split(target, sorted(set(cuts))), strict=True):
        if len(part[0]):
            metric.update(*part)
    return metric.compute()


@st.composite
def classified(draw, least=1):
    """(scores (N, C) with ties, target (N,), places to cut)."""
    n, classes, seed = draw(st.integers(least, 40)), draw(st.integers(2, 6)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (n, classes)).astype(np.float64)
    return scores, rng.integers(0, classes, n), draw(st.lists(st.integers(1, max(1, n - 1)), max_size=4))


@given(classified())
def test_ranks_by_definition(case):
    scores, target, _ = case
    classes = scores.shape[1]
    order = sorted(range(classes), reverse=True)
    best = [sorted(order, key=lambda c, row=row: row[c], reverse=True) for row in scores]      # stable: of equal ones the last first
    for k in range(1, classes + 1):
        assert metrics.top_k_accuracy(scores, target, k=k) == sum(t in b[:k] for t, b in zip(target, best)) / len(target)
    positive = target == 0
    if 0 < positive.sum() < len(target):
        x = scores[:, 0]
        pairs = [(p > q) + (p == q) / 2 for p in x[positive] for q in x[~positive]]
        assert metrics.auroc(x, positive) == sum(pairs) / len(pairs)


@given(classified(), st.integers(1, 20))
def test_calibration_by_definition(case, bins):
    scores, target, _ = case
    p = softmax(scores / 3)
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i in range(len(p)) if (m - 1) / bins < p[i].max() <= m / bins]
        if inside:
            right = np.mean([p[i].argmax() == target[i] for i in inside])
            total += len(inside) / len(p) * abs(right - np.mean([p[i].max() for i in inside]))
    assert metrics.expected_calibration_error(p, target, n_bins=bins) == pytest.approx(total, rel=1e-12, abs=1e-14)


CLASS_METRICS = [
    metrics.Accuracy, metrics.TopKAccuracy, metrics.ConfusionMatrix, metrics.ExpectedCalibrationError,
    *(lambda kind=kind, average=average: kind(average=average)
      for kind in (metrics.Precision, metrics.Recall, metrics.F1Score) for average in ("micro", "macro", "weighted", None)),
    lambda: metrics.FBetaScore(2, average="macro", zero_division=NAN), lambda: metrics.AUROC(average=None),
]
NUMBER_METRICS = [metrics.MeanAbsoluteError, metrics.MeanSquaredError, metrics.RootMeanSquaredError, metrics.R2Score]


@given(classified())
@settings(deadline=None)
def test_classes_in_batches(case):
    scores, target, cuts = case
    if scores.shape[1] == 2:
        scores = np.concatenate([scores, np.zeros((len(scores), 1))], axis=1)
    p, labels = softmax(scores), scores.argmax(axis=1)
    for make in CLASS_METRICS:
        whole, metric = over_batches(make(), p, target, []), make()
        np.testing.assert_allclose(over_batches(metric, p, target, cuts), whole, rtol=1e-13, atol=1e-15, err_msg=metric.name)
        metric.reset()
        np.testing.assert_allclose(over_batches(metric, p, target, cuts), whole, rtol=1e-13, atol=1e-15, err_msg=metric.name)
        if isinstance(metric, (metrics.Accuracy, metrics.ConfusionMatrix, metrics.Precision, metrics.Recall, metrics.FBetaScore)):
            whole = over_batches(make(), labels, target, [])        # here the number of classes grows with the batches
            np.testing.assert_array_equal(over_batches(make(), labels, target, cuts), whole, err_msg=metric.name)


@given(st.integers(2, 50), st.integers(1, 3), st.lists(st.integers(1, 49), max_size=4), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_numbers_in_batches(n, columns, cuts, seed):
    rng = np.random.default_rng(seed)
    target = rng.normal(100, 1, (n, columns))
    output = target + rng.normal(size=target.shape)
    for kind in NUMBER_METRICS:
        whole = over_batches(kind(multioutput="raw_values"), output, target, [])
        np.testing.assert_allclose(over_batches(kind(multioutput="raw_values"), output, target, cuts), whole, rtol=1e-9, atol=1e-12)


P3 = softmax(A([[2.0, 1, 0], [0, 2, 1], [1, 0, 2], [0, 1, 2]]))
T3 = A([0, 1, 2, 1])
ALL = [*((make, P3, T3) for make in CLASS_METRICS), *((kind, A([1.0, 2, 4]), A([1.0, 3, 5])) for kind in NUMBER_METRICS),
       (metrics.AUROC, A([0.1, 0.9, 0.4]), A([0, 1, 1])), (metrics.Precision, A([0, 1, 1]), A([0, 1, 0]))]


@pytest.mark.parametrize(("make", "output", "target"), ALL)
def test_a_metric_keeps_to_itself(make, output, target):
    """It changes no input, lends no state, keeps no caller's memory; a refused batch and compute() leave it as it was."""
    metric, kept = make(), (output.copy(), target.copy())
    with pytest.raises(ValueError, match=f"^{metric.name}: expected one example or more before compute"):
        metric.compute()
    metric.update(output, target)
    assert (output == kept[0]).all() and (target == kept[1]).all()
    value = copy.deepcopy(metric.compute())
    bad = [(output[:0], target[:0]), (output[:1], target[:2]), (output[None], target[None]), (output.astype(complex), target),
           (output.astype(object), target), (np.ones((2, 7)) / 7, A([1, 0])), (output, A([-1] * len(target)) / 0.5)]
    for case in bad:
        if isinstance(metric, (metrics.Accuracy, metrics.TopKAccuracy, metrics.ExpectedCalibrationError)) and case is bad[5]:
            continue                                                # these do not mind a different number of classes
        if isinstance(metric, tuple(NUMBER_METRICS)) and case is bad[6]:
            continue                                                # nor these any numbers
        with pytest.raises((ValueError, TypeError), match=f"^{metric.name}: "):
            metric.update(*case)
        np.testing.assert_array_equal(metric.compute(), value)
    given_away = metric.compute()
    if isinstance(given_away, np.ndarray):
        given_away += 1
    np.testing.assert_array_equal(metric.compute(), value)
    metric.reset()
    mine = output.copy(), target.copy()
    metric.update(*mine)
    for x in mine:
        x[...] = 0
    np.testing.assert_array_equal(metric.compute(), value)
    assert isinstance(value, (float, np.ndarray)) and not isinstance(value, np.generic)


def test_a_base_class_does_nothing_silently():
    with pytest.raises(NotImplementedError, match="Metric: reset"):
        metrics.Metric()


# What is refused

F3, I3 = np.zeros((4, 3)), A([0, 1, 2, 0])
REFUSED = [
    (lambda: metrics.accuracy([0, 1], I3), TypeError, "accuracy: output: expected a Tensor or a NumPy array, got list"),
    (lambda: metrics.accuracy(np.ma.array([0, 1]), A([0, 1])), TypeError, "got MaskedArray"),
    (lambda: metrics.accuracy(np.zeros((8, 3)), np.zeros(7, int)), ValueError,
     r"accuracy: expected output scores \(N, C\) or class numbers \(N,\) and target \(N,\), got output \(8, 3\) and target \(7,\)"),
    (lambda: metrics.accuracy(F3, I3[:, None]), ValueError, r"got output \(4, 3\) and target \(4, 1\)"),
    (lambda: metrics.accuracy(np.zeros((0, 3)), I3[:0]), ValueError, r"expected one example or more, got none: output \(0, 3\)"),
    (lambda: metrics.accuracy(A([0.2, 0.7]), A([0, 1])), TypeError, "float64 .*pass output > 0.5"),
    (lambda: metrics.accuracy(F3, I3 * 1.0), TypeError, r"target: expected class numbers .*, got float64 \(4,\)"),
    (lambda: metrics.accuracy(F3.astype(int), I3), TypeError, r"output: expected scores of a floating type, got int64 \(4, 3\)"),
    (lambda: metrics.accuracy(F3[:, :1], I3 * 0), ValueError, r"scores of two classes or more, got \(4, 1\)"),
    (lambda: metrics.accuracy(np.where(np.eye(4, 3), NAN, 0), I3), ValueError, r"expected no NaN, got 3 in \(4, 3\)"),
    (lambda: metrics.accuracy(F3, I3 + 1), ValueError, r"below 3 \(the columns of output \(4, 3\)\), got 3"),
    (lambda: metrics.accuracy(F3, I3 - 100), ValueError, "of 0 or more, got -100"),
    (lambda: metrics.accuracy(A([2**64 - 1], np.uint64), A([2**64 - 1], np.uint64)), ValueError, "got 18446744073709551615"),
    (lambda: metrics.top_k_accuracy(F3, I3, k=4), ValueError, r"top_k_accuracy: .*k = 4 and output \(4, 3\)"),
    (lambda: metrics.top_k_accuracy(F3, I3, k=0), ValueError, "k: expected 1 or more, got 0"),
    (lambda: metrics.top_k_accuracy(F3, I3, k=1.5), TypeError, "k: expected an int, got float"),
    (lambda: metrics.top_k_accuracy(I3, I3), ValueError, r"expected output scores \(N, C\) and"),
    (lambda: metrics.precision(I3, I3), ValueError, "precision: average='binary' expects the classes 0 and 1, got 3.*'macro'"),
    (lambda: metrics.recall(I3, I3, num_classes=3), ValueError, "recall: average='binary' expects 2 classes, got num_classes=3"),
    (lambda: metrics.recall(I3, I3, average="samples"), ValueError, "recall: average: expected .*, got 'samples'"),
    (lambda: metrics.recall(I3, I3, average="macro", num_classes=2), ValueError, r"output: .* below 2 \(num_classes\), got 2"),
    (lambda: metrics.recall(F3, I3, average="macro", num_classes=4), ValueError, r"scores of 4 classes \(num_classes\), got output \(4, 3\)"),
    (lambda: metrics.f1_score(I3, I3, zero_division="warn"), ValueError, "f1_score: zero_division: expected 0, 1 or nan, got 'warn'"),
    (lambda: metrics.f1_score(I3, I3, pos_label=2), ValueError, "pos_label: expected 0 or 1, got 2"),
    (lambda: metrics.fbeta_score(I3, I3, -1), ValueError, "fbeta_score: beta: expected 0 or more, got -1"),
    (lambda: metrics.fbeta_score(I3, I3, NAN), ValueError, "beta: expected 0 or more, got nan"),
    (lambda: metrics.fbeta_score(I3, I3, "1"), TypeError, "beta: expected a number, got str"),
    (lambda: metrics.confusion_matrix(I3, I3 + 10**12), ValueError, "below 10000, got 1000000000002; pass num_classes="),
    (lambda: metrics.confusion_matrix(I3, I3, num_classes=1), ValueError, "num_classes: expected 2 or more, below 2.*31, got 1"),
    (lambda: metrics.confusion_matrix(I3, I3, num_classes=3.0), TypeError, "num_classes: expected an int or None, got float"),
    (lambda: metrics.confusion_matrix(I3, I3, normalize="rows"), ValueError, "normalize: expected .*, got 'rows'"),
    (lambda: metrics.auroc(A([0.1, 0.2]), A([1, 1])), ValueError, r"auroc: .*got none of class 0 \(target \(2,\), 2 classes\)"),
    (lambda: metrics.auroc(A([0.1, 0.2]), A([1, 2])), ValueError, r"below 2 \(one score an example\), got 2"),
    (lambda: metrics.auroc(A([0.1, NAN]), A([1, 0])), ValueError, "expected no NaN, got 1"),
    (lambda: metrics.auroc(np.full((2, 2), 0.5), A([0, 1])), ValueError, r"for two classes, got \(2, 2\).*output\[:, 1\]"),
    (lambda: metrics.auroc(F3 + 1, I3), ValueError, "sum to 1 in each row, got a sum of 3 .*softmax"),
    (lambda: metrics.auroc(F3 + 1 / 3, I3 // 2), ValueError, r"none of class 2 \(target \(4,\), 3 classes\)"),
    (lambda: metrics.auroc(F3, I3, average="micro"), ValueError, "auroc: average: expected .*, got 'micro'"),
    (lambda: metrics.expected_calibration_error(F3 + 4, I3), ValueError, "probabilities from 0 to 1, got values from 4 to 4.*softmax"),
    (lambda: metrics.expected_calibration_error(A([-0.1, 1]), A([0, 1])), ValueError, "from -0.1 to 1.*sigmoid"),
    (lambda: metrics.expected_calibration_error(F3 + 1 / 3, I3, n_bins=0), ValueError, "n_bins: expected 1 or more, got 0"),
    (lambda: metrics.expected_calibration_error(F3 + 1 / 3, I3, n_bins=1.5), TypeError, "n_bins: expected an int, got float"),
    (lambda: metrics.r2_score(F3[:, :1], F3[:, 0]), ValueError, r"r2_score: .*got output \(4, 1\) and target \(4,\)"),
    (lambda: metrics.r2_score(F3[:1, 0], F3[:1, 0]), ValueError, "r2_score: expected two examples or more, got 1"),
    (lambda: metrics.mean_squared_error(A([NAN, 1.0, np.inf]), np.zeros(3)), ValueError, r"output: expected finite .*got 2 .* in \(3,\)"),
    (lambda: metrics.mean_squared_error(np.zeros(3), A([1j, 0, 0])), TypeError, r"target: expected real .*complex128 \(3,\)"),
    (lambda: metrics.mean_absolute_error(F3[:0], F3[:0]), ValueError, "mean_absolute_error: expected one example or more, got none"),
    (lambda: metrics.mean_absolute_error(F3, F3, multioutput="mean"), ValueError, "multioutput: expected .*, got 'mean'"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
