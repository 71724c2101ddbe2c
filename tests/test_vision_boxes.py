"""Boxes by hand: overlaps, gradients at ties, what is suppressed, and what is refused. Values at random are in op_rows."""
from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

import pydl
from pydl.ops.box_pairs import box_pairs
from pydl.testing import gradcheck
from pydl.vision import ops

NAN = math.nan
PAIR = ([[0.0, 0.0, 4.0, 4.0]], [[2.0, 0.0, 6.0, 2.0]])      # I = 4, U = 16 + 8 - 4 = 20, C = 24, S = 4 + 1, D = 36 + 16
RATIO = 4 / math.pi**2 * (math.atan(1) - math.atan(2)) ** 2


def box(rows, **how):
    return pydl.tensor(rows, dtype=pydl.float64, **how)


@pytest.mark.parametrize(("name", "value"), [
    ("box_iou", 4 / 20), ("generalized_box_iou", 4 / 20 - 4 / 24), ("distance_box_iou", 4 / 20 - 5 / 52),
    ("complete_box_iou", 4 / 20 - 5 / 52 - RATIO**2 / (1 - 4 / 20 + RATIO))])
def test_agreement_by_hand(name: str, value: float) -> None:
    assert getattr(ops, name)(box(PAIR[0]), box(PAIR[1])).item() == pytest.approx(value, rel=1e-6)
    loss = getattr(ops, f"{name}_loss")
    assert loss(box(PAIR[0]), box(PAIR[1]), reduction="sum").item() == pytest.approx(1 - value, rel=1e-6)
    assert loss(box(PAIR[0] * 3), box(PAIR[1] * 3), reduction="mean").item() == pytest.approx(1 - value, rel=1e-6)
    assert loss(box(np.zeros((0, 4))), box(np.zeros((0, 4))), reduction="mean").item() == 0
    assert getattr(ops, name)(pydl.tensor([[0, 0, 4, 4]]), box(PAIR[1])).dtype is pydl.float64      # integers become floats


def test_empty_boxes_and_nan_go_through() -> None:
    empty = box([[1.0, 1.0, 1.0, 1.0]])
    assert math.isnan(ops.box_iou(empty, empty).item())
    assert ops.box_iou(empty, box(PAIR[0])).item() == 0
    assert ops.box_iou_loss(empty, empty).item() == 1
    found = ops.generalized_box_iou(box([[NAN, 0, 1, 1], [0, 0, 1, 1]]), box([[0, 0, 1, 1]]))
    np.testing.assert_array_equal(found.numpy(), [[NAN], [1]])


def test_equal_boxes_share_the_gradient_of_their_sides() -> None:
    a = box([[0.0, 0.0, 2.0, 2.0]], requires_grad=True)
    ops.generalized_box_iou_loss(a, a.detach(), reduction="sum").backward()
    np.testing.assert_allclose(a.grad.numpy(), 0, atol=1e-7)
    a = box([[0.0, 0.0, 2.0, 2.0]], requires_grad=True)         # one side is shared: d iou / dx2 = 1 / 2 of the way in, 1 / 2 of the way out
    ops.box_iou(a, box([[1.0, 0.0, 2.0, 2.0]])).backward()
    assert a.grad[0, 2].item() == pytest.approx((0.5 * 2 * (1 / 4 + 2 / 16)) - 2 * 2 / 16)


def test_boxes_that_are_apart_are_drawn_together() -> None:
    a, b = box([[0.0, 0.0, 1.0, 1.0]], requires_grad=True), box([[3.0, 0.0, 4.0, 1.0]])
    ops.box_iou_loss(a, b, reduction="sum").backward()
    np.testing.assert_array_equal(a.grad.numpy(), 0)            # IoU alone sees nothing there
    for name in ("generalized", "distance", "complete"):
        a.grad = None
        getattr(ops, f"{name}_box_iou_loss")(a, b, reduction="sum").backward()
        assert a.grad[0, 2].item() < 0


@pytest.mark.parametrize("in_line", [False, True])
def test_the_gradient_of_ciou_holds_its_weight_constant(in_line: bool) -> None:
    """Against differences of diou - a v with a fixed: to first order, and to second order as far as a is fixed there, too."""
    rng = np.random.default_rng(0)
    a, b = (np.concatenate([x[:, :2], x[:, :2] + 1 + x[:, 2:]], 1) for x in rng.random((2, 6, 4)))
    eps = 1e-7

    def angles(x):
        return np.arctan((x[:, 2] - x[:, 0]) / (x[:, 3] - x[:, 1]))

    def v(x, y):
        turn = angles(x) - angles(y) if in_line else angles(x)[:, None] - angles(y)
        return 4 / math.pi**2 * turn**2

    def plain(kind, x, y):
        return box_pairs(box(x), box(y), kind, 0.0, eps, in_line).numpy()

    weight = v(a, b) / (1 - plain("iou", a, b) + v(a, b) + eps)
    dy = rng.standard_normal(weight.shape)
    x, y = box(a, requires_grad=True), box(b, requires_grad=True)
    found = pydl.autograd.grad(box_pairs(x, y, "ciou", 0.0, eps, in_line), (x, y), box(dy))
    for i, grad in enumerate(found):
        step = rng.standard_normal(a.shape)
        value = [sum(((plain("diou", *at) - weight * v(*at)) * dy).sum() * s for s, at in
                     ((s, (a + s * h * step, b) if i == 0 else (a, b + s * h * step)) for s in (1, -1))) for h in (1e-6,)]
        assert (grad.numpy() * step).sum() == pytest.approx(value[0] / 2e-6, rel=1e-6)


BAD_BOXES = [([[0, 0, 1, 1], [2, 0, 1, 1]], r"\[1\] = \(2.0, 0.0, 1.0, 1.0\)"), ([[0, 3, 1, 1]], r"\[0\] = \(0.0, 3.0, 1.0, 1.0\)")]


@pytest.mark.parametrize(("rows", "text"), BAD_BOXES)
def test_boxes_the_wrong_way_round_are_named(rows: list, text: str) -> None:
    good = box([[0.0, 0.0, 1.0, 1.0]] * len(rows))
    for name in ("box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou", "box_iou_loss", "complete_box_iou_loss", "paired_box_iou"):
        for one, other, where in ((box(rows), good, "boxes1"), (good, box(rows), "boxes2")):
            with pytest.raises(ValueError, match=f"{name}: expected x1 <= x2 and y1 <= y2, got {where}{text}"):
                getattr(ops, name)(one, other)
    with pytest.raises(ValueError, match="box_area: .*" + text):
        ops.box_area(box(rows))
    with pytest.raises(ValueError, match="box_area: expected x1 <= x2"):
        ops.box_area(pydl.tensor(rows))
    with pytest.raises(ValueError, match=r"box_area: .*boxes\[\(0, 1\)\]"):
        ops.box_area(box([[[0, 0, 1, 1], [1, 0, 0, 1]]]))
    scores = pydl.ones(len(rows))
    for call in (lambda: ops.nms(box(rows), scores, 0.5), lambda: ops.soft_nms(box(rows), scores),
                 lambda: ops.batched_nms(box(rows), scores, scores.long(), 0.5)):
        with pytest.raises(ValueError, match="nms: expected x1 <= x2 and y1 <= y2, got boxes" + text):
            call()


def test_a_replay_looks_at_the_boxes_too() -> None:
    step = pydl.capture(lambda a, b: ops.generalized_box_iou_loss(a, b, reduction="sum"))
    a, b = box(PAIR[0]), box(PAIR[1])
    expected = step(a, b).item()
    assert step(a, b).item() == expected
    with pytest.raises(ValueError, match=r"generalized_box_iou_loss: .* boxes2\[0\]"):
        step(a, box([[6.0, 0.0, 2.0, 2.0]]))
    assert step(a, b).item() == expected


# ---- Suppression

def test_nms_by_hand() -> None:
    boxes = box([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 5], [20, 20, 30, 30], [0, 0, 10, 10]])
    scores = pydl.tensor([0.5, 0.9, 0.8, 0.1, 0.9])
    # 1 and 4 have the best score, 1 is first: it drops 0 and 4 (IoU 90 / 110) at 0.5; 2 overlaps it by 45 / 105
    assert ops.nms(boxes, scores, 0.5).tolist() == [1, 2, 3]
    assert ops.nms(boxes, scores, 0.4).tolist() == [1, 3]
    assert ops.nms(boxes, scores, 0.9).tolist() == [1, 4, 2, 3]
    assert ops.batched_nms(boxes, scores, pydl.tensor([0, 0, 1, 1, 1]), 0.5).tolist() == [1, 4, 2, 3]      # 2 overlaps 4 by just 0.5
    assert ops.batched_nms(boxes, scores, pydl.tensor([7, -7, 0, 0, 0]), 0.4).tolist() == [1, 4, 0, 3]


def test_an_overlap_of_just_the_threshold_is_kept() -> None:
    """0.7 is not a float32: the quotient 7 / 10 is compared as PyTorch does, in float64."""
    boxes = pydl.tensor([[0.0, 0, 10, 1], [0, 0, 7, 1]])
    above = float(np.float32(0.7)) > 0.7
    assert ops.nms(boxes, pydl.tensor([1.0, 0.5]), 0.7).tolist() == ([0] if above else [0, 1])
    boxes = pydl.tensor([[0.0, 0, 10, 1], [0, 0, 6, 1]])
    above = float(np.float32(0.6)) > 0.6
    assert ops.nms(boxes, pydl.tensor([1.0, 0.5]), 0.6).tolist() == ([0] if above else [0, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.95])
def test_no_pair_is_missed(dtype: str, threshold: float) -> None:
    """Where boxes are sorted into strips: many sizes, far from 0, on a grid so that overlaps are often just the threshold."""
    rng = np.random.default_rng(1)
    corner, size = rng.integers(-300, 300, (900, 2)), rng.integers(0, 120, (900, 2)) // rng.choice([1, 4, 30], (900, 1))
    boxes = np.concatenate([corner, corner + size], 1).astype(dtype) + (np.asarray(2**14, dtype))
    scores = rng.permutation(900).astype(dtype)
    kept: list[int] = []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    with np.errstate(invalid="ignore"):
        for i in np.argsort(-scores):
            both = np.clip(np.minimum(boxes[i, 2:], boxes[kept, 2:]) - np.maximum(boxes[i, :2], boxes[kept, :2]), 0, None).prod(1)
            if not (both / (area[i] + area[kept] - both) > threshold).any():
                kept.append(i)
    assert ops.nms(pydl.tensor(boxes), pydl.tensor(scores), threshold).tolist() == kept


@pytest.mark.parametrize("rows", [[], [[5.0, 5.0, 5.0, 5.0]] * 3, [[-1e38, 0, 1e38, 1], [1e38, 0, 3e38, 1], [-3e38, 0, -1e38, 1]]])
def test_extreme_boxes(rows: list) -> None:
    boxes = pydl.tensor(np.array(rows, np.float32).reshape(-1, 4))
    assert ops.nms(boxes, pydl.ones(len(rows)), 0.5).tolist() == list(range(len(rows)))


def test_soft_nms_by_hand() -> None:
    boxes, scores = box([[0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10]]), box([1.0, 0.9, 0.8])     # the first two: IoU 0.5
    index, left = ops.soft_nms(boxes, scores, sigma=0.5, method="gaussian")
    assert index.tolist() == [0, 2, 1]
    np.testing.assert_allclose(left.numpy(), [1, 0.8, 0.9 * math.exp(-0.5)])
    index, left = ops.soft_nms(boxes, scores, 0.3, method="linear", score_threshold=0.5)
    assert index.tolist() == [0, 2] and left.tolist() == [1, 0.8]
    index, left = ops.soft_nms(boxes, scores, 0.6, method="linear")
    assert index.tolist() == [0, 1, 2] and left.tolist() == [1, 0.9, 0.8]
    assert ops.soft_nms(boxes, box([0.5, 0.5, 0.5]))[0].tolist()[0] == 0


def test_scores_that_are_no_numbers_are_named() -> None:
    boxes, scores = box([[0, 0, 1, 1]] * 3), box([0.5, NAN, 0.5])
    with pytest.raises(ValueError, match=r"nms: expected scores that are numbers, got scores\[1\] = nan"):
        ops.nms(boxes, scores, 0.5)
    with pytest.raises(ValueError, match=r"soft_nms: expected finite scores, got scores\[2\] = inf"):
        ops.soft_nms(boxes, box([0.5, 0.5, math.inf]))
    assert ops.nms(boxes, box([0.5, -math.inf, math.inf]), 0.5).tolist() == [2]
    for bad in (NAN, math.inf):
        with pytest.raises(ValueError, match=r"nms: expected finite numbers, got boxes\[0\]"):
            ops.nms(box([[0, 0, bad, 1]]), box([1.0]), 0.5)
    with pytest.raises(pydl.CaptureError):
        pydl.capture(lambda b, s: ops.nms(b, s, 0.5))(boxes, box([1.0, 2.0, 3.0]))


def test_more_boxes_than_can_be_counted() -> None:
    boxes, scores = pydl.zeros(1, 4).expand(2**31, 4), pydl.zeros(1).expand(2**31)
    for call in (lambda: ops.nms(boxes, scores, 0.5), lambda: ops.soft_nms(boxes, scores), lambda: ops.match_boxes(boxes, 0.3, 0.7)):
        with pytest.raises(ValueError, match=r"2\*\*31"):
            call()


# ---- Matching

def test_matching_by_hand() -> None:
    quality = box([[0.9, 0.2, 0.5, 0.1, 0.0], [0.3, 0.2, 0.6, 0.4, 0.0]])
    assert ops.match_boxes(quality, 0.3, 0.7).tolist() == [0, -1, -2, -2, -1]
    assert ops.match_boxes(quality, 0.3, 0.7, True).tolist() == [0, -1, 1, -2, -1]        # row 1 has its best column, though below 0.7
    assert ops.match_boxes(box([[0.0, 0.0]]), 0.3, 0.7, True).tolist() == [-1, -1]         # a box that meets nothing restores nothing
    assert ops.match_boxes(pydl.zeros(0, 3), 0.3, 0.7).tolist() == [-1, -1, -1]
    with pytest.raises(ValueError, match=r"got quality\[1, 0\] = nan"):
        ops.match_boxes(box([[0.0, 0.0], [NAN, 0.0]]), 0.3, 0.7)


def test_assignments_with_forbidden_pairs() -> None:
    rng = np.random.default_rng(2)
    for shape in ((6, 6), (4, 9), (9, 4)):
        for _ in range(20):
            cost = np.where(rng.random(shape) < 0.4, np.inf, rng.integers(0, 9, shape))
            try:
                rows, columns = optimize.linear_sum_assignment(cost)
            except ValueError:
                with pytest.raises(ValueError, match="linear_sum_assignment: there is no assignment"):
                    ops.linear_sum_assignment(box(cost))
                continue
            i, j = (x.numpy() for x in ops.linear_sum_assignment(box(cost)))
            assert cost[i, j].sum() == cost[rows, columns].sum() and (np.diff(i) > 0).all() and len(set(j)) == len(j)
            i, j = (x.numpy() for x in ops.linear_sum_assignment(box(-cost), maximize=True))
            assert cost[i, j].sum() == cost[rows, columns].sum()
    for bad in (NAN, -math.inf):
        with pytest.raises(ValueError, match="linear_sum_assignment: expected numbers, or inf"):
            ops.linear_sum_assignment(box([[1.0, bad]]))
    assert [x.tolist() for x in ops.linear_sum_assignment(pydl.tensor([[4, 1, 3], [2, 0, 5], [3, 2, 2]]))] == [[0, 1, 2], [1, 0, 2]]


# ---- Focal losses

@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_focal_losses_of_large_logits(gamma: float) -> None:
    for dtype in (pydl.float32, pydl.float64):
        x = pydl.tensor([200.0, -200.0, 1e4, -1e4], dtype=dtype, requires_grad=True)
        for t, wrong in ((1.0, [0, 200, 0, 1e4]), (0.0, [200, 0, 1e4, 0])):
            loss = ops.sigmoid_focal_loss(x, pydl.full((4,), t, dtype=dtype), alpha=-1, gamma=gamma)
            np.testing.assert_allclose(loss.detach().numpy(), wrong, atol=1e-30)
            for create in (False, True):
                grad, = pydl.autograd.grad(loss.sum(), x, create_graph=create, retain_graph=True)
                np.testing.assert_allclose(grad.detach().numpy(), np.where(np.array(wrong) > 0, 1 - 2 * t, 0), atol=1e-6)
        rows = pydl.tensor([[200.0, -200.0], [-1e4, 1e4]], dtype=dtype, requires_grad=True)
        loss = ops.focal_loss(rows, pydl.tensor([0, 0]), gamma=gamma, reduction="none")
        np.testing.assert_allclose(loss.detach().numpy(), [0, 2e4], atol=1e-30)
        for create in (False, True):
            grad, = pydl.autograd.grad(loss.sum(), rows, create_graph=create, retain_graph=True)
            np.testing.assert_allclose(grad.detach().numpy(), [[0, 0], [-1, 1]], atol=1e-6)


def test_focal_losses_without_focus_are_cross_entropy() -> None:
    x, t = pydl.randn(5, 3), pydl.tensor([0, 2, 1, 1, 0])
    weight = pydl.tensor([1.0, 2.0, 0.5])
    how = {"weight": weight, "label_smoothing": 0.1, "ignore_index": 2}
    np.testing.assert_allclose(pydl.nn.FocalLoss(gamma=0.0, **how)(x, t).item(), pydl.nn.CrossEntropyLoss(**how)(x, t).item(), rtol=1e-6)
    y = (x > 0).float()
    np.testing.assert_allclose(pydl.nn.SigmoidFocalLoss(alpha=-1, gamma=0.0)(x, y).item(), pydl.nn.BCEWithLogitsLoss()(x, y).item(), rtol=1e-6)
    assert pydl.nn.SigmoidFocalLoss(0.5, 2.0, "sum")(x, y).item() == pytest.approx(ops.sigmoid_focal_loss(x, y, 0.5, 2, "sum").item())
    for bad in ({"gamma": -1.0}, {"label_smoothing": 2.0}, {"reduction": "max"}):
        with pytest.raises(ValueError, match="FocalLoss"):
            pydl.nn.FocalLoss(**bad)
    with pytest.raises(ValueError, match="SigmoidFocalLoss"):
        pydl.nn.SigmoidFocalLoss(alpha=2.0)
    assert list(pydl.nn.FocalLoss(weight=weight).state_dict()) == ["weight"]


def test_formats_and_edges() -> None:
    assert ops.box_convert(pydl.tensor([[1, 2, 4, 6]]), "xyxy", "cxcywh").tolist() == [[2.5, 4.0, 3.0, 4.0]]
    assert ops.box_convert(pydl.tensor([[1, 2, 3, 4]]), "xywh", "xyxy").tolist() == [[1, 2, 4, 6]]
    assert ops.box_area(pydl.tensor([[0, 0, 200, 200]], dtype=pydl.uint8)).tolist() == [40000]
    assert ops.clip_boxes(pydl.tensor([[-5.0, 2.0, 30.0, 40.0]]), (10, 20)).tolist() == [[0.0, 2.0, 20.0, 10.0]]
    assert ops.remove_small_boxes(box([[0, 0, 2, 2], [0, 0, 1, 5], [3, 0, 0, 5], [0, 0, NAN, 9]]), 2).tolist() == [0]
    masks = pydl.zeros(2, 4, 6, dtype=pydl.uint8)
    masks[0, 1:3, 2:5] = 1
    masks[1, 3, 0] = 7
    assert ops.masks_to_boxes(masks).tolist() == [[2, 1, 4, 2], [0, 3, 0, 3]]
    x = box([[0.5, 0.5, 0.25, 0.5]], requires_grad=True)
    assert gradcheck(lambda x: ops.box_convert(x, "cxcywh", "xywh"), (x,))
