"""The losses against PyTorch, where it is installed: every combination of weight, ignore_index, smoothing, kind of target
and reduction; and what PyTorch does not say: labels out of range, gradients taken twice, rows that are all ignored."""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import ops

REDUCTIONS = ("none", "mean", "sum")
SHAPES = ((7, 5), (5,), (3, 5, 2, 3), (4, 33), (9, 100), (3, 7, 1), (2, 5, 9, 8))


def both(array: np.ndarray | None, torch: Any, grad: bool = False) -> tuple[Any, Any]:
    """The array as pydl's tensor and as PyTorch's."""
    if array is None:
        return None, None
    ours, theirs = pydl.tensor(array), torch.tensor(array)
    return (ours.requires_grad_(), theirs.requires_grad_()) if grad else (ours, theirs)


def compare(ours: Any, theirs: Any, inputs: list[tuple[Any, Any]], torch: Any, rtol: float) -> None:
    """Losses and gradients, for a random gradient of the loss."""
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=rtol)
    dy = np.asarray(np.random.default_rng(1).uniform(0.5, 2, theirs.shape)).astype(theirs.detach().numpy().dtype)
    ours.backward(pydl.tensor(dy))
    theirs.backward(torch.tensor(dy))
    for x, y in inputs:
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_as_pytorch(shape: tuple[int, ...], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    classes = shape[min(1, len(shape) - 1)]
    x = (rng.standard_normal(shape) * 3).astype(dtype)
    label = np.asarray(rng.integers(0, classes, shape[:1] + shape[2:] if len(shape) > 1 else ()))
    q, w = rng.random(shape).astype(dtype), rng.uniform(0.5, 2, classes).astype(dtype)
    rtol = 3e-5 if dtype == "float32" else 1e-12
    for weight, smoothing, reduction in itertools.product((None, w), (0.0, 0.1, 1.0), REDUCTIONS):
        how = {"reduction": reduction, "label_smoothing": smoothing}
        (ours_w, theirs_w), (ours_t, theirs_t) = both(weight, torch), both(label, torch)
        for ignored in (-100, 1):
            if ignored == 1 and reduction == "mean" and not np.any(label != 1):
                continue
            a, b = both(x, torch, grad=True)
            compare(ops.cross_entropy(a, ours_t, ours_w, ignore_index=ignored, **how),
                    torch.nn.functional.cross_entropy(b, theirs_t, theirs_w, ignore_index=ignored, **how), [(a, b)], torch, rtol)
        a, b = both(x, torch, grad=True)
        ours_q, theirs_q = both(q, torch, grad=True)
        compare(ops.cross_entropy(a, ours_q, ours_w, **how), torch.nn.functional.cross_entropy(b, theirs_q, theirs_w, **how),
                [(a, b), (ours_q, theirs_q)], torch, rtol)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nll_loss_as_pytorch(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    classes = shape[min(1, len(shape) - 1)]
    x, w = rng.standard_normal(shape), rng.uniform(0.5, 2, classes)
    label = np.asarray(rng.integers(2, classes, shape[:1] + shape[2:] if len(shape) > 1 else ()))
    for weight, reduction, ignored in itertools.product((None, w), REDUCTIONS, (-100, 1)):
        (a, b), (ours_w, theirs_w), (ours_t, theirs_t) = both(x, torch, grad=True), both(weight, torch), both(label, torch)
        compare(ops.nll_loss(a, ours_t, ours_w, reduction=reduction, ignore_index=ignored),
                torch.nn.functional.nll_loss(b, theirs_t, theirs_w, reduction=reduction, ignore_index=ignored), [(a, b)], torch, 1e-12)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "binary_cross_entropy_with_logits"])
def test_pair_losses_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits = name.startswith("binary")
    for shape, reduction in itertools.product(((4, 5), (3, 5, 1000), (), (5,)), REDUCTIONS):
        x, t = np.asarray(rng.standard_normal(shape)) * 3, np.asarray(rng.random(shape))
        weights = [(None, None), (rng.random(shape[-1:]), None), (None, rng.random(shape[:1] + (1,) * len(shape[1:])))]
        for weight, positive in weights if logits else weights[:1]:
            (a, b), (s, u) = both(x, torch, grad=True), both(t, torch, grad=True)
            (w, v), (p, r) = both(weight, torch), both(positive, torch)
            ours, theirs = ({"weight": w, "pos_weight": p}, {"weight": v, "pos_weight": r}) if logits else ({}, {})
            compare(getattr(ops, name)(a, s, reduction=reduction, **ours),
                    getattr(torch.nn.functional, name)(b, u, reduction=reduction, **theirs), [(a, b), (s, u)], torch, 1e-12)


def test_all_ignored() -> None:
    """The mean of no rows is NaN, as in PyTorch; the sum is 0; no gradient flows."""
    x, t = pydl.zeros(3, 4).requires_grad_(), pydl.tensor([1, 1, 1])
    for loss in (ops.cross_entropy, ops.nll_loss):
        assert np.isnan(loss(x, t, ignore_index=1).item())
        assert loss(x, t, ignore_index=1, reduction="sum").item() == 0
    ops.cross_entropy(x, t, ignore_index=1, reduction="sum").backward()
    assert not np.any(x.grad.numpy())


def test_ignored_pixels_have_no_part() -> None:
    """Whatever their logits are, infinite or NaN."""
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 9)).astype("float32")
    t = np.random.default_rng(1).integers(0, 3, (2, 9, 9))
    t[:, 4:6] = 255
    spoilt = x.copy()
    spoilt[:, :, 4], spoilt[:, 1, 5] = np.nan, np.inf
    results = []
    for one in (x, spoilt):
        a = pydl.tensor(one).requires_grad_()
        loss = ops.cross_entropy(a, pydl.tensor(t), ignore_index=255, label_smoothing=0.1)
        loss.backward()
        results.append((loss.item(), a.grad.numpy()))
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1], results[1][1])
    assert not results[1][1][:, :, 4:6].any()


@pytest.mark.parametrize("label", [4, -1, -100 - 1, 2**62, -2**62])
def test_label_out_of_range(label: int) -> None:
    """The message names the label, where it stands, and how many classes there are."""
    x, t = pydl.zeros(2, 4, 3).requires_grad_(), pydl.tensor([[0, 1, 2], [3, label, 0]])
    for loss in (ops.cross_entropy, ops.nll_loss):
        with pytest.raises(IndexError, match=rf"target {label} at position \(1, 1\) is out of range for 4 classes"):
            loss(x, t)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_backward_twice(scale: float) -> None:
    """What the forward left for the backward may be taken once; a second walk makes it anew, the same to the bit."""
    rng = np.random.default_rng(0)
    t = pydl.tensor(rng.integers(0, 10, 64))
    for loss in (lambda x: ops.cross_entropy(x, t), lambda x: ops.mse_loss(x, x.detach() * 0.5)):
        x = pydl.tensor(rng.standard_normal((64, 10)).astype("float32")).requires_grad_()
        y = loss(x) * scale
        y.backward(retain_graph=True)
        first = x.grad.numpy().copy()
        x.grad = None
        y.backward()
        assert np.array_equal(first, x.grad.numpy())


def test_gradients_given_by_the_loss_are_not_shared() -> None:
    """A gradient that the user changes does not change what a later walk gives."""
    x = pydl.tensor(np.ones((2, 3), "float32")).requires_grad_()
    y = ops.cross_entropy(x, pydl.tensor([0, 1]))
    (first,) = pydl.autograd.grad([y], [x], retain_graph=True)
    before = first.numpy().copy()
    first.mul_(0)
    (second,) = pydl.autograd.grad([y], [x])
    assert np.array_equal(second.numpy(), before)


def test_extreme_logits() -> None:
    """No overflow, however large the logits; -inf beside finite ones is a class of probability 0; NaN propagates."""
    x = pydl.tensor(np.array([[1e30, 0, -1e30], [-np.inf, 0, 0], [np.nan, 0, 0]], "float32")).requires_grad_()
    loss = ops.cross_entropy(x, pydl.tensor([0, 1, 2]), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [0, np.log(2), np.nan], rtol=1e-6)
    loss.backward(pydl.ones(3))
    np.testing.assert_allclose(x.grad.numpy()[:2], [[0, 0, 0], [0, -0.5, 0.5]], atol=1e-6)
    x = pydl.tensor(np.array([-200.0, -1e30, 200.0, 1e30])).requires_grad_()
    bce = ops.binary_cross_entropy_with_logits(x, pydl.tensor(np.array([0.0, 0.0, 1.0, 1.0])), reduction="sum")
    assert bce.item() < 1e-80


X, Y, Z = (np.random.default_rng(i).standard_normal((6, 4)) for i in range(3))
P, Q = 1 / (1 + np.exp(-X)), 1 / (1 + np.exp(-Y))
ONES = np.where(np.arange(6) % 2 == 0, 1.0, -1.0)
LABELS, MANY = np.array([0, 3, 1, 2, 3, 0]), np.array([[0, 2, -1, 1], [1, -1, 2, 3], [-1, 0, 1, 2], [3, 3, 0, -1], [0, 1, 2, 3], [2, -1, -1, -1]])
W = np.random.default_rng(3).uniform(0.5, 2, 4)
PEERS = [
    ("BCELoss", (P, Q), {"weight": W}), ("BCELoss", (P, np.round(Q)), {}), ("BCELoss", (np.round(P), np.round(P)), {}),
    ("SmoothL1Loss", (X, Y), {"beta": 0.5}), ("SmoothL1Loss", (X, Y), {"beta": 0}), ("SmoothL1Loss", (X, LABELS[:, None] + np.zeros((1, 4), int)), {}),
    ("HuberLoss", (X, Y), {"delta": 0.5}), ("KLDivLoss", (X, Q), {}), ("KLDivLoss", (X, Y), {"log_target": True}),
    ("PoissonNLLLoss", (X, Y), {}), ("PoissonNLLLoss", (P, 3 * Q), {"log_input": False, "full": True}),
    ("GaussianNLLLoss", (X, Y, Q), {"full": True}), ("GaussianNLLLoss", (X, Y, P[:, 0]), {}), ("GaussianNLLLoss", (X, Y, P[:, :1]), {}),
    ("GaussianNLLLoss", (X, Y, 0 * Q), {"eps": 0.1}),
    ("HingeEmbeddingLoss", (X, ONES[:, None] + 0 * X), {"margin": 0.5}), ("HingeEmbeddingLoss", (X, np.round(Y)), {}),
    ("MarginRankingLoss", (X, Y, np.sign(Z)), {"margin": 0.1}), ("SoftMarginLoss", (X, np.sign(Y)), {}),
    ("MultiLabelSoftMarginLoss", (X, np.round(Q)), {"weight": W}), ("MultiMarginLoss", (X, LABELS), {"weight": W, "margin": 0.7}),
    ("MultiMarginLoss", (X, LABELS), {"p": 2}), ("MultiMarginLoss", (X[0], LABELS[0]), {}), ("MultiLabelMarginLoss", (X, MANY), {}),
    ("MultiLabelMarginLoss", (X[0], MANY[0]), {}), ("TripletMarginLoss", (X, Y, Z), {"swap": True, "p": 3}), ("TripletMarginLoss", (X[0], Y[0], Z[0]), {}),
    ("TripletMarginWithDistanceLoss", (X, Y, Z), {"swap": True, "margin": 2.0}), ("CosineEmbeddingLoss", (X, Y, ONES), {"margin": 0.2}),
    ("CosineEmbeddingLoss", (X[0], Y[0], ONES[0]), {}), ("CosineSimilarity", (X, Y), {"dim": 0}), ("PairwiseDistance", (X, Y), {"p": 1.5, "keepdim": True}),
    ("PairwiseDistance", (X, X), {"eps": 0}), ("CosineSimilarity", (0 * X, Y), {}),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "arrays", "how"), PEERS, ids=[f"{i}-{peer[0]}" for i, peer in enumerate(PEERS)])
def test_modules_as_pytorch(name: str, arrays: tuple[np.ndarray, ...], how: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    for reduction in (*REDUCTIONS, *(["batchmean"] if name == "KLDivLoss" else [])) if name.endswith("Loss") else [None]:
        results = []
        for package in (pydl, torch):
            named = {key: package.tensor(value) if isinstance(value, np.ndarray) else value for key, value in how.items()}
            inputs = [package.tensor(np.asarray(x)) for x in arrays]
            inputs = [x.requires_grad_() if i == 0 else x for i, x in enumerate(inputs)]
            y = getattr(package.nn, name)(**named, **({"reduction": reduction} if reduction else {}))(*inputs)
            y.sum().backward()
            results.append([y.detach().numpy(), inputs[0].grad.numpy()])
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
