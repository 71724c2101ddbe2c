"""Rows of pydl/ops/losses.pyx. Every combination is compared in test_losses.py."""
import numpy as np
from scipy import special

from rows import Flat, In, Row, bad, sample

REDUCTIONS = ("none", "mean", "sum")


def reduced(loss, reduction, total=None):
    if reduction == "none":
        return loss
    return loss.sum() / (loss.size if total is None else total) if reduction == "mean" else loss.sum()


def weights(target, weight, classes, ignore_index):
    """w_t of every row, 0 where it is ignored"""
    w = np.ones(classes) if weight is None else weight
    return np.where(target == ignore_index, 0, w[np.where(target == ignore_index, 0, target)])


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    dim = min(1, x.ndim - 1)
    logp = np.moveaxis(special.log_softmax(x, axis=dim), dim, -1)
    classes = logp.shape[-1]
    w = np.ones(classes) if weight is None else weight
    if target.dtype.kind == "f":
        q = np.moveaxis(target, dim, -1) * (1 - label_smoothing) + label_smoothing / classes
        loss = -np.sum(w * q * logp, -1)
        return reduced(loss, reduction)
    own = weights(target, weight, classes, ignore_index)
    at = np.where(target == ignore_index, 0, target)
    loss = -(1 - label_smoothing) * own * np.take_along_axis(logp, at[..., None], -1)[..., 0]
    loss = loss - label_smoothing / classes * np.sum(w * logp, -1) * (target != ignore_index)
    return reduced(loss, reduction, own.sum())


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    dim = min(1, x.ndim - 1)
    logp = np.moveaxis(x, dim, -1)
    own = weights(target, weight, logp.shape[-1], ignore_index)
    loss = -own * np.take_along_axis(logp, np.where(target == ignore_index, 0, target)[..., None], -1)[..., 0]
    return reduced(loss, reduction, own.sum())


def nll_loss_bwd(dy, target, shape, reduction="mean"):
    dx = np.zeros(shape)
    np.put_along_axis(dx, target[:, None], np.broadcast_to(-dy / (len(target) if reduction == "mean" else 1), target.shape)[:, None], 1)
    return dx


def labels(*shape, classes=5):
    return In(shape, 0, classes, dtype="int64")


SCORES = [((7, 5), (7,)), ((5,), ()), ((3, 5, 2, 3), (3, 2, 3)), ((0, 5), (0,)), ((1, 5), (1,)), ((40, 5), (40,))]
CLASS_SAMPLES = [sample(x, labels(*t), reduction=r) for x, t in SCORES for r in REDUCTIONS if 0 not in x or r != "mean"]
CLASS_SAMPLES += [sample((7, 5), labels(7), weight=In((5,), 0.5, 2, grad=False), ignore_index=i) for i in (-100, 1)]
SMOOTH = [sample((7, 5), labels(7), label_smoothing=0.1, reduction=r) for r in REDUCTIONS] + [
    sample((3, 5, 4), labels(3, 4), weight=In((5,), 0.5, 2, grad=False), label_smoothing=0.2, ignore_index=2),
    sample((2, 5, 9, 8), labels(2, 9, 8), weight=In((5,), 0.5, 2, grad=False), ignore_index=2),
    sample((2, 33, 17, 31), labels(2, 17, 31, classes=33), label_smoothing=0.1, reduction="sum"),
    sample((33, 1000), labels(33, classes=1000)), sample((300, 17), labels(300, classes=17), reduction="sum")]
SOFT = [sample(x, In(x, 0.1, 1), reduction=r, label_smoothing=s) for x in ((7, 5), (5,), (3, 5, 4)) for r in REDUCTIONS
        for s in (0.0, 0.1)] + [sample((7, 5), In((7, 5), 0.1, 1), weight=In((5,), 0.5, 2, grad=False))]
CLASS_REFUSALS = [bad((2, 3), labels(3, classes=3)), bad((), labels()), bad((2, 0), labels(2), shapes=False, match="at least one class"),
                  bad((2, 3), In((2,), 3, 5, dtype="int64"), error=IndexError, match="position 0 is out of range for 3 classes"),
                  bad((2, 3), In((2,), -9, -1, dtype="int64"), error=IndexError),
                  bad((2, 3), In((2,), dtype="bool"), error=TypeError), bad((2, 3), labels(2, classes=3), weight=In((4,), 0, 1), shapes=False, match="expected weight"),
                  bad((2, 3), labels(2, classes=3), reduction="max", shapes=False)]
ROWS = [
    Row("cross_entropy", cross_entropy, ulp=8, by="max", domain=(-4, 4), samples=CLASS_SAMPLES + SMOOTH,
        refusals=CLASS_REFUSALS + [bad((2, 3), labels(2, classes=3), label_smoothing=s, shapes=False) for s in (-0.1, 1.5)]),
    Row("cross_entropy:probabilities", cross_entropy, ulp=16, by="max", domain=(-4, 4), samples=SOFT,
        refusals=[bad((2, 3), (3, 2)), bad(In((2, 3), dtype="float32"), In((2, 3), dtype="float64"), error=TypeError)]),
    Row("nll_loss", nll_loss, ulp=8, by="max", samples=CLASS_SAMPLES, refusals=CLASS_REFUSALS),
    Row("nll_loss_bwd", nll_loss_bwd, ulp=2, torch=False,
        samples=[sample((), labels(7), Flat((7, 5))), sample((7,), labels(7), Flat((7, 5)), reduction="none")],
        refusals=[bad((3,), labels(7), Flat((7, 5)))]),
]
