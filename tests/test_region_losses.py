"""Losses of regions and distance maps: by hand, at the ends of the scale, of whole images, as modules, and against SciPy."""
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import pydl
from pydl import nn
from pydl.testing import gradcheck

F = nn.functional
RNG = np.random.default_rng(0)
LOSSES = (F.dice_loss, F.jaccard_loss, F.tversky_loss, F.focal_tversky_loss)


def logits(target: Any, size: float = 100.0) -> pydl.Tensor:
    """What predicts exactly this target"""
    return pydl.tensor(np.where(target, size, -size).astype("float32")).requires_grad_()


def test_by_hand() -> None:
    """p = 1/2, 1/2, 1/2, 1 and t = 0, 1, 0, 1: TP 3/2, FP 1, FN 1/2."""
    x, t = pydl.tensor([[0.0, 0.0], [0.0, 100.0]]), pydl.tensor([[0, 1], [0, 1]])
    for loss, how, value in ((F.dice_loss, {}, 1 - 3 / 4.5), (F.dice_loss, {"smooth": 1.0}, 1 - 4 / 5.5), (F.jaccard_loss, {}, 1 - 1.5 / 3),
                             (F.tversky_loss, {"alpha": 1.0, "beta": 0.0}, 1 - 1.5 / 2.5), (F.focal_tversky_loss, {}, (1 - 1.5 / 2.15) ** 0.75),
                             (F.dice_loss, {"log_loss": True}, -math.log(3 / 4.5)), (F.dice_loss, {"per_image": True}, (1 - 1 / 2 + 1 - 2 / 2.5) / 2)):
        assert loss(x, t, "binary", **how).item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_ends_of_the_scale(loss: Any) -> None:
    """Right everywhere: 0. Wrong everywhere: 1, with a finite gradient. Nothing of a class in the target: no loss, no gradient."""
    t = RNG.random((2, 3, 8, 8)) < 0.3
    for target, value in ((t, 0.0), (~t, 1.0)):
        x = logits(target)
        y = loss(x, pydl.tensor(t), "multilabel")
        y.backward()
        assert y.item() == pytest.approx(value, abs=1e-4) and np.isfinite(x.grad.numpy()).all()
    x = pydl.zeros(2, 1, 4, 4).requires_grad_()
    y = loss(x, pydl.zeros(2, 1, 4, 4), "binary")
    y.backward()
    assert y.item() == 0 and not x.grad.numpy().any()
    x = pydl.tensor(RNG.standard_normal((2, 3, 4, 4))).requires_grad_()
    all_ignored = loss(x, pydl.full((2, 4, 4), 255, dtype=pydl.int64), "multiclass", ignore_index=255)
    all_ignored.backward()
    assert all_ignored.item() == 0 and not x.grad.numpy().any()
    for shape in ((0, 3, 4), (2, 3, 0)):
        assert loss(pydl.zeros(*shape), pydl.zeros(shape[0], shape[2], dtype=pydl.int64), "multiclass").item() == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_classes_are_binary_losses(loss: Any) -> None:
    """Of probabilities, a class is a binary problem of its own; weights and choices go by class; so do whole images in float32."""
    t = RNG.integers(0, 5, (2, 90, 130))
    x = pydl.tensor(RNG.standard_normal((2, 5, 90, 130)).astype("float32"))
    p = pydl.softmax(x, 1)
    each = [loss(p[:, k], pydl.tensor(t == k), "binary", from_logits=False).item() for k in range(5)]
    np.testing.assert_allclose(loss(x, pydl.tensor(t), "multiclass", reduction="none").numpy(), each, rtol=1e-5)
    w = pydl.tensor([1.0, 2, 3, 4, 5])
    got = loss(x, pydl.tensor(t), "multiclass", classes=[3, 1], weight=w, reduction="sum")
    assert got.item() == pytest.approx(4 * each[3] + 2 * each[1], rel=1e-5)


def test_sums_of_images(threads: None) -> None:
    """Longer than a span: the same bits for any number of threads, and digits that a running sum of float32 would lose."""
    x, t = RNG.random((2, 3, 40_001)).astype("float32") + 100, RNG.integers(-1, 3, (2, 40_001))
    want = [np.stack([np.where(t == k, x[:, k], 0).sum(1, dtype="float64") for k in range(3)], 1),
            np.where(t[:, None] >= 0, x, 0).sum(2, dtype="float64"), np.stack([(t == k).sum(1) for k in range(3)], 1)]
    results = []
    for count in (1, 2, 4):
        pydl.set_num_threads(count)
        a = pydl.tensor(x).requires_grad_()
        y = pydl.ops.registry["region_sums"].forward(a, pydl.tensor(t), -1)
        np.testing.assert_allclose(y.detach().numpy(), want, rtol=3e-7)
        (y * pydl.arange(18.0).reshape(3, 2, 3)).sum().backward()
        results.append((y.detach().numpy(), a.grad.numpy()))
    grad = np.where(t[:, None] >= 0, np.arange(6.0, 12).reshape(2, 3, 1) + np.where(t[:, None] == np.arange(3)[:, None], np.arange(6.0).reshape(2, 3, 1), 0), 0)
    for one in results:
        assert np.array_equal(one[0], results[0][0]) and np.array_equal(one[1], grad)


def test_lovasz_is_the_index_at_the_corners() -> None:
    """Where every pixel is quite right or quite wrong, the loss is 1 - intersection / union; the hinge's errors are 2 there."""
    t, p = RNG.integers(0, 4, (2, 6, 7)), RNG.integers(0, 4, (2, 6, 7))
    x = pydl.tensor(np.moveaxis(np.eye(4)[p], -1, 1).copy())
    index = [1 - ((t == k) & (p == k)).sum() / ((t == k) | (p == k)).sum() for k in range(4)]
    for k in range(4):
        assert F.lovasz_softmax_loss(x, pydl.tensor(t), classes=[k], from_logits=False).item() == pytest.approx(index[k])
        hinge = F.lovasz_hinge_loss(pydl.tensor(np.where(p == k, 1.0, -1.0)), pydl.tensor(t == k))
        assert hinge.item() == pytest.approx(2 * index[k])
    assert F.lovasz_softmax_loss(x, pydl.tensor(t), from_logits=False).item() == pytest.approx(np.mean(index))


def test_lovasz_without_a_region() -> None:
    """Only the largest error counts: one wrong pixel spoils it all. Without pixels, or with ignored ones only, there is no loss."""
    x = pydl.tensor([[[-3.0, 0.5, -0.25]]]).requires_grad_()
    y = F.lovasz_hinge_loss(x, pydl.zeros(1, 1, 3))
    y.backward()
    assert y.item() == 1.5 and x.grad.tolist() == [[[0, 1, 0]]]
    assert F.lovasz_softmax_loss(pydl.zeros(1, 2, 3), pydl.full((1, 3), 9, dtype=pydl.int64), ignore_index=9).item() == 0
    assert F.lovasz_hinge_loss(pydl.zeros(0, 4), pydl.zeros(0, 4)).item() == 0


def test_boundary_loss_by_hand() -> None:
    """phi = 2 1 0 -1 0 1 for 0 0 1 1 1 0: the probability moves inwards. It is 0 where there is no boundary."""
    t = pydl.tensor([[[0.0, 0, 1, 1, 1, 0]]])
    p = pydl.tensor([[[0.5, 0.25, 1, 1, 0, 1]]]).requires_grad_()
    each = F.boundary_loss(p, t, "binary", from_logits=False, reduction="none")
    assert each.tolist() == [[[1.0, 0.25, 0, -1, 0, 1]]]
    F.boundary_loss(p, t, "binary", from_logits=False, reduction="sum").backward()
    assert p.grad.tolist() == [[[2, 1, 0, -1, 0, 1]]]
    for nothing in (pydl.zeros(1, 1, 6), pydl.ones(1, 1, 6)):
        assert F.boundary_loss(p, nothing, "binary").item() == 0


@pytest.mark.parametrize(("shape", "sampling"), [((61, 83), None), ((19, 7, 31), None), ((40, 57), [0.7, 2.5]), ((300,), 1.0), ((257, 200), None)])
def test_distances_as_scipy(shape: tuple[int, ...], sampling: Any) -> None:
    for share in (0.5, 0.97, 0.999):
        mask = RNG.random(shape) < share
        mask.flat[RNG.integers(mask.size)] = False
        got = F.distance_transform_edt(pydl.tensor(mask), sampling)
        np.testing.assert_array_equal(got.numpy(), ndimage.distance_transform_edt(mask, sampling=sampling).astype("float32"))


def test_distances_of_many_images(threads: None) -> None:
    masks = RNG.random((5, 3, 64, 65)) < 0.99
    want = np.stack([[ndimage.distance_transform_edt(m) for m in image] for image in masks]).astype("float32")
    for count in (1, 2, 4):
        pydl.set_num_threads(count)
        np.testing.assert_array_equal(F.distance_transform_edt(pydl.tensor(masks), dim=(2, 3)).numpy(), want)
        np.testing.assert_array_equal(F.distance_transform_edt(pydl.tensor(masks.T.copy()).permute(3, 2, 1, 0), dim=(-1, -2)).numpy(), want)


def test_border_weights_by_hand() -> None:
    """Between two objects a pixel apart, d1 = d2 = 1; far from the second one, nothing but the weight of the class."""
    labels = np.zeros((9, 400), np.int64)
    labels[:, 10:20], labels[:, 21:30], labels[:, 31:40] = 7, 3, 7
    w = F.border_weights(pydl.tensor(labels), class_weights=(1.5, 4.0)).numpy()
    assert (w[:, 10:20] == 4).all() and (w[:, 300:] == 1.5).all()
    np.testing.assert_allclose(w[:, 20], 1.5 + 10 * math.exp(-4 / 50), rtol=1e-6)
    np.testing.assert_allclose(w[4, 44], 1.5 + 10 * math.exp(-(5 + 15) ** 2 / 50), rtol=1e-6)


MODULES = [
    (nn.DiceLoss, "dice_loss", {"log_loss": True, "smooth": 1.0, "classes": [0, 2], "ignore_index": 1, "per_image": True}),
    (nn.JaccardLoss, "jaccard_loss", {"smooth": 1.0, "reduction": "none"}),
    (nn.TverskyLoss, "tversky_loss", {"alpha": 0.2, "beta": 0.7, "gamma": 1.5, "weight": pydl.tensor([1.0, 2, 3], dtype=pydl.float64)}),
    (nn.FocalTverskyLoss, "focal_tversky_loss", {"per_image": True}),
    (nn.LovaszLoss, "lovasz_softmax_loss", {"per_image": True, "ignore_index": 0, "reduction": "sum"}),
    (nn.BoundaryLoss, "boundary_loss", {"sampling": [1.0, 2.0], "classes": [1]}),
]


@pytest.mark.parametrize(("module", "name", "how"), MODULES, ids=[one[1] for one in MODULES])
def test_modules(module: Any, name: str, how: dict[str, Any]) -> None:
    x, t = pydl.tensor(RNG.standard_normal((2, 3, 4, 5))), pydl.tensor(RNG.integers(0, 3, (2, 4, 5)))
    loss = module("multiclass", **how)
    mode = {} if name.startswith("lovasz") else {"mode": "multiclass"}
    np.testing.assert_array_equal(loss(x, t).numpy(), getattr(F, name)(x, t, **mode, **how).numpy())
    assert repr(loss) == f"{module.__name__}('multiclass')" and list(loss.state_dict()) == (["weight"] if "weight" in how else [])
    assert gradcheck(lambda a: loss(a, t), (x.requires_grad_(),))
    with pytest.raises(ValueError, match=f"{module.__name__}: mode: expected one of binary, multiclass, multilabel, got 'classes'"):
        module("classes")
    with pytest.raises(ValueError, match=f"{module.__name__}: reduction"):
        module("binary", reduction="median")


def test_lovasz_module_of_masks() -> None:
    x, t = pydl.tensor(RNG.standard_normal((2, 1, 4, 5))), pydl.tensor(RNG.integers(0, 2, (2, 4, 5)))
    assert nn.LovaszLoss("binary")(x, t).item() == F.lovasz_hinge_loss(x, t).item()
    with pytest.raises(ValueError, match="LovaszLoss: from_logits: expected True for 'binary'"):
        nn.LovaszLoss("binary", from_logits=False)
