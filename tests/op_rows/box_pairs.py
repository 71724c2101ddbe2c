"""Rows of pydl/ops/box_pairs.py. More, and the gradients of ciou, in test_vision_boxes.py."""
import numpy as np

import pydl
from pydl.ops.box_pairs import box_pairs
from rows import Flat, In, Row, bad, sample


def agree(a, b, kind, eps, far, in_line):
    """Of boxes in order"""
    if not in_line:
        a, b = a[:, None], b[None]
    inner = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    outer = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - inner
    iou = inner / (union + eps)
    if kind == "iou":
        return iou
    if kind == "giou":
        return iou - (outer.prod(-1) - union) / (outer.prod(-1) + eps)
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    diou = iou - (apart ** 2).sum(-1) / ((outer ** 2).sum(-1) + far)
    if kind == "diou":
        return diou
    turn = np.subtract(*(np.arctan((x[..., 2] - x[..., 0]) / (x[..., 3] - x[..., 1])) for x in (a, b)))
    v = 4 / np.pi ** 2 * turn ** 2
    return diou - v * v / (1 - iou + v + far)


def corners(x):
    """Any numbers -> boxes in order: the first two, and sides from the other two. Made of ops, so that derivatives reach the numbers."""
    if isinstance(x, np.ndarray):
        return np.concatenate([x[..., :2], x[..., :2] + 0.5 + np.abs(x[..., 2:])], -1)
    return pydl.cat([x[..., :2], x[..., :2] + (0.5 + x[..., 2:].abs())], -1)


def both(function):
    return lambda a, b, *rest, **how: function(corners(a), corners(b), *rest, **how)


def of_all(kind):
    return both(lambda a, b, eps=1e-7: agree(a, b, kind, 0.0, eps, False))


def loss(kind):
    def call(a, b, reduction="none", eps=1e-7):
        every = 1 - agree(a, b, kind, eps, eps, True)
        return every if reduction == "none" else every.sum() if reduction == "sum" else every.mean() if every.size else 0.0
    return both(call)


SHAPES = (((5, 4), (7, 4)), ((1, 4), (17, 4)), ((0, 4), (3, 4)), ((3, 4), (0, 4)))
LINE = ((9, 4), (0, 4), (2, 3, 4), (4,))
REFUSALS = [bad((2, 3), (2, 4), shapes=False, match="boxes1"), bad((2, 4), (4,), shapes=False, match="boxes2"), bad((), (2, 4), shapes=False),
            bad(Flat([1.0]), (2, 4), error=TypeError), bad(In((2, 4), dtype="bool"), (2, 4), error=TypeError)]
UNFIT = [bad((2, 3), (2, 4), shapes=False, match="boxes1"), bad(Flat([1.0]), (2, 4), error=TypeError), bad((2, 4), (2, 4), reduction="max", shapes=False)]
EPS = [bad(In((0, 4)), In((0, 4)), eps=-1.0, shapes=False), bad(In((0, 4)), In((0, 4)), eps=float("nan"), shapes=False)]
DIFFERENT = bad(In((0, 4)), In((0, 2, 4)), shapes=True)
KINDS = {"box_iou": "iou", "generalized_box_iou": "giou", "distance_box_iou": "diou", "complete_box_iou": "ciou"}


def orderly(*given):
    return all(isinstance(x, pydl.Tensor) and x.is_floating_point() and x.ndim and x.shape[-1] == 4 for x in given)


def callable_of(name):
    """The function of boxes in order; what is refused goes through as it is."""
    def call(a, b, *rest, **how):
        f = getattr(pydl.ops, name)
        return f(corners(a), corners(b), *rest, **how) if orderly(a, b) else f(a, b, *rest, **how)
    return call


ROWS = [
    Row("box_pairs", both(agree), fn=lambda a, b, *rest: (both(box_pairs) if orderly(a, b) else box_pairs)(a, b, *rest), ulp=32, by="max", diff=(), torch=False,
        samples=[*(sample((5, 4), (17, 4), kind, 0.0, 1e-7, False) for kind in KINDS.values()),
                 *(sample((19, 4), (19, 4), kind, 1e-7, 1e-7, True) for kind in KINDS.values()), sample((70, 4), (1100, 4), "giou", 0.0, 0.0, False),
                 sample((40_000, 4), (40_000, 4), "ciou", 0.0, 0.0, True)],
        refusals=[*(bad(*one.sample.args, "iou", error=one.error, match=one.match, shapes=False) for one in REFUSALS),
                  bad(In((0, 4)), In((0, 4)), "x", shapes=False), bad(In((0, 4)), In((3, 4)), "iou", 0.0, 0.0, True),
                  bad(In((0, 4)), In((0, 4)), "iou", -1.0, shapes=False)]),
    Row("box_pairs:derivatives", both(agree), fn=both(box_pairs), composed=True, ulp=32, by="max", domain=((-1, 1), (-0.5, 1.5)), torch=False,
        samples=[sample((5, 4), (7, 4) if not line else (5, 4), kind, 0.0, 1e-7, line) for kind in ("iou", "giou", "diou") for line in (False, True)]),
    *(Row(name, of_all(kind), fn=callable_of(name), composed=True, ulp=32, by="max", torch=False, diff=None if kind != "ciou" else (),
          samples=[sample(*s) for s in SHAPES], refusals=REFUSALS + (EPS if kind in ("diou", "ciou") else [])) for name, kind in KINDS.items()),
    *(Row(f"{name}_loss", loss(kind), fn=callable_of(f"{name}_loss"), composed=True, ulp=32, by="max", torch=False, diff=None if kind != "ciou" else (),
          samples=[*(sample(s, s) for s in LINE), sample((3, 4), (3, 4), reduction="sum"), sample((3, 4), (3, 4), reduction="mean"),
                   sample((0, 4), (0, 4), reduction="mean")], refusals=[*UNFIT, *EPS, DIFFERENT]) for name, kind in KINDS.items()),
    Row("paired_box_iou", both(lambda a, b, kind="iou": agree(a, b, kind, 1e-7, 1e-7, True)), fn=callable_of("paired_box_iou"), composed=True, ulp=32,
        by="max", torch=False, samples=[sample((3, 4), (3, 4), "giou"), sample((4,), (4,))],
        refusals=[bad(In((0, 4)), In((0, 4)), "area", shapes=False), DIFFERENT]),
]
