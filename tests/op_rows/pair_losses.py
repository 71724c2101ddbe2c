"""Rows of pydl/ops/pair_losses.pyx."""
import numpy as np
from scipy import special

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


def huber(x, t, reduction="mean", delta=1.0, weight=None):
    d = np.abs(x - t)
    every = np.where(d < delta, d * d / 2, delta * (d - delta / 2)) * (1 if weight is None else weight)
    return reduced(every, reduction)


def smooth_l1(x, t, reduction="mean", beta=1.0):
    d = np.abs(x - t)
    return reduced(np.where(d < beta, d * d / (2 * (beta or 1)), d - beta / 2), reduction)


def bce_of_probabilities(x, t, weight=None, reduction="mean"):
    loss = -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100))
    return reduced(loss * (1 if weight is None else weight), reduction)


def kl_div(x, t, reduction="mean", log_target=False):
    loss = np.exp(t) * (t - x) if log_target else special.xlogy(t, t) - t * x
    return loss.sum() / (len(x) if x.ndim else 1) if reduction == "batchmean" else reduced(loss, reduction)


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
    Row("huber_loss", huber, ulp=8, by="max", domain=((-2, 0), (0.1, 2)),
        samples=PAIRS + [sample((3, 5), (3, 5), reduction=r, delta=0.3) for r in REDUCTIONS]
        + [sample((7,), (7,), delta=2.5, weight=In((7,), 0.5, 2), reduction=r) for r in REDUCTIONS],
        refusals=PAIR_REFUSALS + [bad((2,), (2,), delta=d, shapes=False, match="delta") for d in (0.0, -1.0, np.nan)]),
    Row("smooth_l1_loss", smooth_l1, ulp=8, by="max", domain=((-2, 0), (0.1, 2)),
        samples=PAIRS + [sample((3, 5), (3, 5), reduction=r, beta=b) for r in REDUCTIONS for b in (0.0, 0.3, 3.0)],
        refusals=PAIR_REFUSALS + [bad((2,), (2,), beta=b, shapes=False, match="beta") for b in (-1.0, np.nan)]),
    Row("binary_cross_entropy", bce_of_probabilities, ulp=8, by="max", domain=((0.05, 0.95), (0, 1)),
        samples=PAIRS + [sample((3, 5), (3, 5), weight=In((5,), 0.5, 2, grad=False), reduction=r) for r in REDUCTIONS],
        refusals=PAIR_REFUSALS + [bad((2, 3), (2, 3), weight=In((2,), 0, 1)), bad(In((3,), 1.5, 2), (3,), match="input between"),
                                  bad((3,), In((3,), -2, -1), match="target between", reduction="none")]),
    Row("kl_div", kl_div, ulp=8, by="max", domain=((-3, -0.1), (0.05, 1)),
        samples=PAIRS + [sample((3, 5), (3, 5), reduction="batchmean")]
        + [sample((3, 5), In((3, 5), -3, -0.1), reduction=r, log_target=True) for r in (*REDUCTIONS, "batchmean")],
        refusals=PAIR_REFUSALS),
]
