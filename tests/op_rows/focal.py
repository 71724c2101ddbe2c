"""Rows of pydl/ops/focal.py. Values of large logits are in test_vision_boxes.py."""
import numpy as np
from scipy import special

from op_rows.losses import CLASS_REFUSALS, REDUCTIONS, labels, reduced, weights
from rows import In, Row, bad, sample


def sigmoid_focal(x, t, alpha=0.25, gamma=2, reduction="none"):
    p = special.expit(x)
    loss = ((1 - t) * x + np.logaddexp(0, -x)) * (p * (1 - t) + special.expit(-x) * t) ** gamma
    return reduced(loss if alpha < 0 else loss * (alpha * t + (1 - alpha) * (1 - t)), reduction)


def focal(x, target, weight=None, gamma=2.0, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    log_p = np.moveaxis(special.log_softmax(x, axis=min(1, x.ndim - 1)), min(1, x.ndim - 1), -1)
    classes = log_p.shape[-1]
    own, w = weights(target, weight, classes, ignore_index), np.ones(classes) if weight is None else weight
    at = np.where(target == ignore_index, 0, target)[..., None]
    every = -(-np.expm1(log_p)) ** gamma * log_p
    loss = (1 - label_smoothing) * own * np.take_along_axis(every, at, -1)[..., 0]
    loss = loss + label_smoothing / classes * np.sum(w * every, -1) * (target != ignore_index)
    return reduced(loss, reduction, own.sum())


HARD = In((33,), 0, 2, dtype="int64")
ROWS = [
    Row("sigmoid_focal_loss", sigmoid_focal, ulp=64, by="max", domain=((-4, 4), (0.1, 0.9)), torch=False,
        samples=[*(sample((3, 5), (3, 5), alpha=a, gamma=g) for a in (0.25, -1) for g in (2, 0, 1, 1.5)), sample((33,), HARD, reduction="mean"),
                 sample((33,), HARD, gamma=0.5, reduction="sum"), sample((), ()), sample((0,), (0,)), sample((40_001,), (40_001,), reduction="mean")],
        refusals=[bad((2, 3), (3, 2)), bad((2,), (2,), alpha=1.5, shapes=False), bad((2,), (2,), gamma=-1.0, shapes=False),
                  bad((2,), (2,), reduction="max", shapes=False), bad(HARD, HARD, error=TypeError)]),
    Row("focal_loss", focal, ulp=64, by="max", domain=(-4, 4), torch=False,
        samples=[*(sample((7, 5), labels(7), reduction=r) for r in REDUCTIONS), *(sample((7, 5), labels(7), gamma=g) for g in (0.0, 1.0, 0.5, 3.0)),
                 sample((5,), labels()), sample((3, 5, 2, 3), labels(3, 2, 3), label_smoothing=0.1), sample((0, 5), labels(0), reduction="sum"),
                 sample((7, 5), labels(7), weight=In((5,), 0.5, 2, grad=False), ignore_index=1),
                 sample((9, 5), labels(9), weight=In((5,), 0.5, 2, grad=False), label_smoothing=0.2, ignore_index=2, reduction="none"),
                 sample((40, 1000), labels(40, classes=1000))],
        refusals=[*CLASS_REFUSALS, bad((2, 3), labels(2, classes=3), gamma=-0.5, shapes=False), bad((2, 3), labels(2, classes=3), label_smoothing=1.5, shapes=False)]),
]
