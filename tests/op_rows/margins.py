"""Rows of pydl/ops/margins.py. Every one is compared with PyTorch in test_losses.py."""
import numpy as np

from op_rows.pairs import cosine, distance
from rows import In, Row, bad, sample


def reducing(loss):
    def call(*arrays, reduction="mean", **how):
        every = np.asarray(loss(*arrays, **how))
        return every if reduction == "none" else every.mean() if reduction == "mean" else every.sum()
    return call


def poisson(x, t, log_input=True, full=False, eps=1e-8):
    with np.errstate(all="ignore"):
        stirling = np.where(t > 1, t * np.log(t) - t + np.log(2 * np.pi * t) / 2, 0)
    return (np.exp(x) - t * x if log_input else x - t * np.log(x + eps)) + (stirling if full else 0)


def gaussian(x, t, var, full=False, eps=1e-6):
    v = np.asarray(var)
    v = np.maximum(v[..., None] if v.ndim and v.ndim < x.ndim else v, eps)
    return (np.log(v) + (x - t) ** 2 / v) / 2 + (np.log(2 * np.pi) / 2 if full else 0)


def hinge(x, t, margin=1.0):
    return np.where(t == 1, x, np.maximum(0, margin - x))


def ranking(a, b, t, margin=0.0):
    return np.maximum(0, margin - t * (a - b))


def multilabel_soft(x, t, weight=1):
    return np.mean(weight * (t * np.logaddexp(0, -x) + (1 - t) * np.logaddexp(0, x)), -1)


def multi_margin(x, t, p=1, margin=1.0, weight=None):
    rows, labels = np.atleast_2d(x), np.atleast_1d(t)
    w = np.ones(rows.shape[1]) if weight is None else weight
    own = np.arange(rows.shape[1]) == labels[:, None]
    gaps = np.maximum(0, margin - np.take_along_axis(rows, labels[:, None], 1) + rows) ** p
    return (w[labels][:, None] * gaps * ~own).sum(1).reshape(t.shape) / rows.shape[1]


def multilabel_margin(x, t):
    result = [sum(max(0, 1 - row[j] + row[i]) for j in labels for i in range(len(row)) if i not in labels) / len(row)
              for row, labels in zip(np.atleast_2d(x), np.atleast_2d(t))]
    return np.reshape(result, x.shape[:-1])


def triplet(a, p_, n, margin=1.0, p=2, swap=False):
    far = np.minimum(distance(a, n, p), distance(p_, n, p)) if swap else distance(a, n, p)
    return np.maximum(0, margin + distance(a, p_, p) - far)


def embedding(a, b, t, margin=0.0):
    cos = cosine(a, b, -1).reshape(t.shape)
    return np.where(t == 1, 1 - cos, np.maximum(0, cos - margin))


def signs(*shape, low=-1, high=0):
    """-1, or with low=1, high=2: 1"""
    return In(shape, low, high, dtype="int64", grad=False)


def labels(*shape):
    return In(shape, 0, 4, dtype="int64")


MODES = ("none", "mean", "sum")
SAME = [sample((3, 5), (3, 5), reduction=r) for r in MODES] + [sample((), ()), sample((0, 3), (3,), reduction="sum")]
UNFIT = [bad((2, 3), (4,)), bad((3,), (3,), reduction="max", shapes=False)]
ROWS = [
    Row("poisson_nll_loss", reducing(poisson), composed=True, ulp=16, by="max", domain=((0.1, 2), (1.1, 3)), refusals=UNFIT,
        samples=[*SAME, sample((3, 4), (4,), log_input=False, full=True)]),
    Row("gaussian_nll_loss", reducing(gaussian), composed=True, ulp=16, by="max", domain=((-1, 1), (-1, 1), (0.5, 2)),
        samples=[*(sample((3, 4), (3, 4), (3, 4), reduction=r) for r in MODES), sample((3, 4), (3, 4), (3,), full=True), sample((3,), (3,), 0.5),
                 sample((3, 4), (3, 4), (3, 1)), sample((), (), ())],
        refusals=[bad((3, 2), (3, 2), (3, 4)), bad((3,), (4,), (3,)), bad((3,), (3,), In((3,), -2, -1), match="negative"),
                  bad((3,), (3,), (3,), reduction="max", shapes=False)]),
    Row("hinge_embedding_loss", reducing(hinge), composed=True, ulp=4, by="max", domain=(-1, 0.9), refusals=UNFIT,
        samples=[sample((3, 4), signs(3, 4, low=s, high=s + 1), margin=1.5, reduction=r) for s in (-1, 1) for r in MODES]),
    Row("margin_ranking_loss", reducing(ranking), composed=True, ulp=4, by="max", domain=((-2, 0), (0.1, 2), (-2, -1)),
        samples=[*(sample((3, 4), (3, 4), signs(3, 4), reduction=r, margin=0.05) for r in MODES), sample((), (), signs())],
        refusals=[bad((3, 2), (2,), (3, 2)), bad((3,), (4,), (3,)), bad((3,), (3,), (3,), reduction="max", shapes=False)]),
    Row("soft_margin_loss", reducing(lambda x, t: np.logaddexp(0, -t * x)), composed=True, torch=False, ulp=16, by="max", samples=SAME, refusals=UNFIT),
    Row("multilabel_soft_margin_loss", reducing(multilabel_soft), composed=True, ulp=16, by="max", domain=((-2, 2), (0, 1)),
        samples=[*(sample((3, 5), (3, 5), reduction=r) for r in MODES), sample((5,), (5,)), sample((3, 5), (5,), weight=In((5,), 0.5, 2))],
        refusals=[*UNFIT, bad((), ())]),
    Row("multi_margin_loss", reducing(multi_margin), composed=True, ulp=16, by="max", kind="distinct",
        samples=[*(sample((3, 4), labels(3), reduction=r) for r in MODES), sample((4,), labels(), p=2, margin=0.55),
                 sample((3, 4), labels(3), weight=In((4,), 0.5, 2, grad=False), p=2), sample((0, 4), labels(0), reduction="none")],
        refusals=[bad((3, 4), labels(2)), bad((), labels()), bad((3, 4), (3,), error=TypeError), bad((3, 2), labels(3), p=3, shapes=False),
                  bad((3, 2), In((3,), 2, 4, dtype="int64"), error=IndexError, shapes=False), bad((3, 4), labels(3), weight=In((3,)))]),
    Row("multilabel_margin_loss", reducing(multilabel_margin), composed=True, ulp=16, by="max", kind="distinct", domain=(-0.4, 0.4),
        samples=[*(sample((3, 4), labels(3, 4), reduction=r) for r in MODES), sample((4,), labels(4)), sample((0, 4), labels(0, 4), reduction="sum")],
        refusals=[bad((3, 4), labels(3)), bad((3, 4), (3, 4), error=TypeError),
                  bad((3, 2), In((3, 2), 2, 4, dtype="int64"), error=IndexError, shapes=False)]),
    Row("triplet_margin_loss", reducing(triplet), composed=True, ulp=64, by="max", domain=((-2, -1), (-0.9, 0), (0.1, 1)),
        samples=[*(sample((3, 4), (3, 4), (3, 4), reduction=r, margin=9.0) for r in MODES), sample((4,), (4,), (4,), p=3, margin=9.0),
                 sample((3, 4), (3, 4), (3, 4), swap=True, margin=9.0)],
        refusals=[bad((3, 4), (3, 4), (3, 5)), bad((3,), (3,), (3,), margin=0.0, shapes=False), bad((3,), (3,), (3,), reduction="max", shapes=False)]),
    Row("triplet_margin_with_distance_loss", reducing(triplet), composed=True, ulp=64, by="max", domain=((-2, -1), (-0.9, 0), (0.1, 1)),
        samples=[*(sample(In((3, 4), grad=False), (3, 4), In((3, 4), grad=False), reduction=r, margin=9.0) for r in MODES)],
        refusals=[bad((3, 4), (3, 4), (4,)), bad((3,), (3,), (3,), margin=0.0, shapes=False)]),
    Row("cosine_embedding_loss", reducing(embedding), composed=True, ulp=64, by="max", domain=(0.5, 2),
        samples=[*(sample((3, 4), (3, 4), signs(3, low=s, high=s + 1), reduction=r) for s in (-1, 1) for r in MODES),
                 sample((4,), (4,), signs(low=-1, high=0), margin=0.1)],
        refusals=[bad((3, 4), (3, 4), signs(2)), bad((3, 4), (3, 5), signs(3), shapes=False), bad((3,), (3,), signs(), reduction="max", shapes=False)]),
]
