"""Rows of pydl/ops/softmax.pyx."""
import numpy as np
from scipy import special

from rows import WIDTHS, Flat, In, Row, bad, sample

SHAPES = [((n,), 0) for n in WIDTHS] + [((5, 17), 0), ((5, 17), 1), ((2, 3, 4), 1), ((2, 3, 4), -1), ((33, 65), 0), ((0, 3), 1),
                                         ((3, 0), 1), ((), 0), ((70, 1000), 1), ((7, 130), 0), ((4, 9, 70), 1)]


def probabilities(x, dim):
    return special.softmax(x, axis=dim) if x.size else x


def log_probabilities(x, dim):
    return special.log_softmax(x, axis=dim) if x.size else x


def softmax_bwd(dy, y, dim):
    return y * (dy - np.sum(dy * y, axis=dim, keepdims=True))


def log_softmax_bwd(dy, y, dim):
    return dy - np.exp(y) * np.sum(dy, axis=dim, keepdims=True)


def reach(dy, y, dim):
    """What an error of a gradient is measured at"""
    return np.abs(dy) + np.exp(np.maximum(y, 0)) * np.sum(np.abs(dy), axis=dim, keepdims=True) * (1 + np.abs(y))


REFUSALS = [bad((2, 3), 2, error=IndexError), bad((2, 3), None, error=TypeError), bad(Flat("x"), 0, error=TypeError),
            bad(In((2, 3), 0, 5, dtype="int64"), 0, error=TypeError)]
PAIRS = [sample(s, s, d) for s, d in SHAPES if s not in ((70, 1000), ())]
UNEQUAL = [bad((2, 3), (3, 2), 0), bad((2, 3), (2, 3), 2, error=IndexError)]
ROWS = [
    Row("softmax", probabilities, ulp=8, by="max", domain=(-8, 8), samples=[sample(s, d) for s, d in SHAPES], refusals=REFUSALS),
    Row("softmax_bwd", softmax_bwd, ulp=8, by=reach, torch=False, samples=PAIRS,
        refusals=UNEQUAL),
    Row("log_softmax", log_probabilities, ulp=4, by="max", domain=(-8, 8), samples=[sample(s, d) for s, d in SHAPES],
        refusals=REFUSALS),
    Row("log_softmax_bwd", log_softmax_bwd, ulp=8, by=reach, torch=False,
        samples=PAIRS, refusals=UNEQUAL),
]
