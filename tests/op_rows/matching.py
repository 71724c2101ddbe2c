"""Rows of pydl/ops/matching.py."""
import numpy as np
from scipy import optimize

import pydl
from op_rows.box_pairs import agree, corners
from rows import Flat, In, Row, bad, sample


def suppress(b, s, threshold):
    order, keep = np.argsort(-s, kind="stable"), []
    with np.errstate(all="ignore"):
        for i in order:
            if not any(agree(b[i], b[j], "iou", 0.0, 0.0, True) > threshold for j in keep):
                keep.append(i)
    return np.array(keep, np.int64)


def by_class(b, s, classes, threshold):
    kept = [i for c in set(classes.tolist()) for i in np.flatnonzero(classes == c)[suppress(b[classes == c], s[classes == c], threshold)]]
    return np.array(sorted(kept, key=lambda i: (-s[i], i)), np.int64)


def softly(b, s, iou_threshold=0.3, sigma=0.5, score_threshold=0.001, method="gaussian"):
    s, found, left = s.copy(), [], np.ones(len(s), bool)
    while (left & (s >= score_threshold)).any():
        i = np.flatnonzero(left)[np.argmax(s[left])]
        found.append((i, s[i]))
        left[i] = False
        iou = agree(b[i][None], b, "iou", 0.0, 0.0, True)
        s = s * (np.exp(-iou**2 / sigma) if method == "gaussian" else np.where(iou > iou_threshold, 1 - iou, 1))
    return np.array([i for i, _ in found], np.int64), np.array([v for _, v in found])


def match(q, low, high, allow_low_quality_matches=False):
    if q.shape[0] == 0:
        return np.full(q.shape[1], -1)
    best, row = q.max(0), q.argmax(0)
    found = np.where(best < low, -1, np.where(best < high, -2, row))
    if allow_low_quality_matches:
        held = ((q == q.max(1, keepdims=True)) & (q.max(1, keepdims=True) > 0)).any(0)
        found = np.where(held, row, found)
    return found


def of_boxes(name):
    def call(b, *rest, **how):
        fits = isinstance(b, pydl.Tensor) and b.is_floating_point() and b.ndim == 2 and b.shape[-1] == 4
        return getattr(pydl.ops, name)(corners(b) if fits else b, *rest, **how)
    return call


def scores(n):
    return In((n,), 0, 1, kind="distinct")


def classes(n):
    return In((n,), 0, 3, dtype="int64")


BAD = [bad((2, 3), (2,), 0.5, shapes=False, match="boxes"), bad((2, 4), (3,), 0.5), bad((2, 4), (2, 1), 0.5), bad((2, 4), (2,), 1.5, shapes=False),
       bad((2, 4), (2,), float("nan"), shapes=False), bad((2, 4), (2,), Flat("x"), error=TypeError), bad(Flat([1]), (2,), 0.5, error=TypeError),
       bad((2, 4), In((2,), dtype="bool"), 0.5, error=TypeError)]
ROWS = [
    Row("nms", lambda b, s, t: suppress(corners(b), s, t), fn=of_boxes("nms"), ulp=0, out="int64", diff=(), torch=False, refusals=BAD,
        samples=[*(sample((30, 4), scores(30), t) for t in (0.0, 0.3, 1.0)), sample((0, 4), (0,), 0.5), sample((1, 4), (1,), 0.5), sample((150, 4), scores(150), 0.5)]),
    Row("batched_nms", lambda b, s, c, t: by_class(corners(b), s, c, t), fn=of_boxes("batched_nms"), ulp=0, out="int64", diff=(), torch=False,
        samples=[sample((40, 4), scores(40), classes(40), 0.2), sample((0, 4), (0,), classes(0), 0.5)],
        refusals=[bad((2, 4), (2,), classes(3), 0.5), bad((2, 4), (2,), (2,), 0.5, error=TypeError), bad((2, 4), (3,), classes(2), 0.5, shapes=False),
                  bad((2, 4), (2,), classes(2), -0.5, shapes=False)]),
    Row("soft_nms", lambda b, s, *r, **h: softly(corners(b), s, *r, **h)[::-1], fn=lambda *r, **h: of_boxes("soft_nms")(*r, **h)[::-1], ulp=16, by="max", diff=(), torch=False,
        domain=((-1, 1), (0.01, 1)), samples=[sample((30, 4), (30,)), sample((30, 4), (30,), method="linear", score_threshold=0.2), sample((0, 4), (0,)),
                                              sample((33, 4), (33,), sigma=0.1)],
        refusals=[bad((2, 4), (3,)), bad((2, 4), (2,), method="x", shapes=False), bad((2, 4), (2,), sigma=0.0, shapes=False),
                  bad((2, 4), (2,), score_threshold=-1.0, shapes=False), bad((2, 4), (2,), 2.0, shapes=False)]),
    Row("match_boxes", match, ulp=0, out="int64", diff=(), torch=False, domain=(0, 1),
        samples=[sample((5, 40), 0.3, 0.8), sample((5, 40), 0.3, 0.8, True), sample((1, 1), 0.5, 0.5), sample((0, 3), 0.3, 0.7), sample((3, 0), 0.3, 0.7),
                 sample((7, 300), 0.6, 0.7, allow_low_quality_matches=True)],
        refusals=[bad((3,), 0.3, 0.7), bad((2, 3), 0.7, 0.3), bad((2, 3), float("nan"), 0.3), bad(Flat([1]), 0.3, 0.7, error=TypeError)]),
    Row("linear_sum_assignment", lambda c, maximize=False: optimize.linear_sum_assignment(c, maximize), ulp=0, out="int64", diff=(), torch=False,
        dtypes=("float64",), samples=[sample(s, m) for s in ((1, 1), (4, 4), (3, 7), (7, 3), (20, 33), (0, 3), (3, 0)) for m in (False, True)],
        refusals=[bad((3,)), bad((2, 3, 4)), bad(Flat([[1]]), error=TypeError)]),
]
