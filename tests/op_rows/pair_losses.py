"""Rows of pydl/ops/pair_losses.pyx."""
import numpy as np

from rows import In, Row, bad, sample

REDUCTIONS = ("none", "mean", "sum")


def reduced(loss, reduction):
    if reduction == "none":
        return loss
    return loss.sum() / loss.size if reduction == "mean" else loss.sum()


def bce(x, t, weight=None, reduction="mean", pos_weight=None):
    w, p = (1 if v is None else v for v in (weight, pos_weight))
    return reduced(w * ((1 - t) * x + (1 + (p - 1) * t) * np.logaddexp(0, -x)), reduction)


def weighted(loss):
    def call(x, t, reduction="mean", weight=None):
        w = np.ones(np.shape(x)) if weight is None else weight
        every = w * loss(x, t)
        return every if reduction == "none" else every.sum() / (w.sum() if reduction == "mean" else 1)
    return call


PAIR_SHAPES = [(n,) for n in (1, 7, 8, 9, 33)] + [(), (3, 5), (2, 3, 4), (0, 3), (2, 70_000)]
PAIRS = [sample(s, s, reduction=r) for s in PAIR_SHAPES for r in REDUCTIONS if 0 not in s or r != "mean"]
WEIGHTED = [sample(s, s, reduction=r, weight=In(s, 0.5, 2)) for s in ((7,), (3, 5), ()) for r in REDUCTIONS]
PAIR_REFUSALS = [bad((2, 3), (3,)), bad((2, 3), (3, 2)), bad((3,), (3,), reduction="max", shapes=False),
                 bad(In((3,), 0, 4, dtype="int64"), In((3,), 0, 4, dtype="int64"), error=TypeError)]
WEIGHT_REFUSALS = [bad((2, 3), (2, 3), weight=In((3,), 0, 1)),
                   bad((2, 3), (2, 3), weight="x", error=TypeError, match="weight")]
ROWS = [
    Row("mse_loss", weighted(lambda x, t: (x - t) ** 2), ulp=8, samples=PAIRS + WEIGHTED,
        refusals=PAIR_REFUSALS + WEIGHT_REFUSALS, by="max"),
    Row("l1_loss", weighted(lambda x, t: np.abs(x - t)), ulp=8, samples=PAIRS + WEIGHTED,
        domain=((-2, 0), (0.1, 2)), refusals=PAIR_REFUSALS + WEIGHT_REFUSALS, by="max"),
    Row("binary_cross_entropy_with_logits", bce, ulp=8, by="max", domain=((-5, 5), (0, 1)),
        samples=PAIRS + [sample((3, 5), (3, 5), weight=In((5,), 0.5, 2, grad=False), pos_weight=In((3, 1), 0.5, 2, grad=False),
                                reduction=r) for r in REDUCTIONS],
        refusals=PAIR_REFUSALS + [bad((2, 3), (2, 3), weight=In((2,), 0, 1))]),
]
