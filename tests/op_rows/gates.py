"""Rows of pydl/ops/gates.pxi."""
import numpy as np
from scipy import special

from rows import In, Row, bad, sample, unary


def prelu(x, weight):
    return np.where(x > 0, x, x * weight.reshape(-1, *(1,) * (x.ndim - 2)) if weight.size > 1 else x * weight.reshape(()))


def prelu_bwd(x, slopes, dy):
    return np.where(x > 0, dy, slopes * dy)


def prelu_slope_bwd(x, dy):
    return np.where(x > 0, 0, x * dy)


def glu(x, dim=-1):
    a, b = np.split(x, 2, dim)
    return a * special.expit(b)


def glu_bwd(x, dy, dim):
    a, b = np.split(x, 2, dim)
    s = special.expit(b)
    return np.concatenate([dy * s, dy * a * s * (1 - s)], dim)


def drawn(y, x, lower=1 / 8, upper=1 / 3, training=False):
    """Above 0 as it was; below with slopes that differ and fill the interval."""
    np.testing.assert_array_equal(y[x > 0], x[x > 0])
    slopes = y[x < 0] / x[x < 0]
    assert np.all((slopes >= lower - 1e-6) & (slopes <= upper + 1e-6))
    if slopes.size > 100 and lower < upper:
        assert abs(slopes.mean() - (lower + upper) / 2) < 4 * (upper - lower) / np.sqrt(12 * slopes.size)
        assert len(np.unique(slopes)) > slopes.size / 2


TRAINING = {"training": True}
DRAWN = [sample(s, **a) for s in ((), (0,), (5,), (3, 4, 5), (70, 1001)) for a in (TRAINING, {**TRAINING, "lower": -0.5, "upper": 0.5})]
RATES = [bad((2, 3), lower=1.0, upper=0.5, shapes=False, match="lower"), bad((2, 3), upper=float("inf"), shapes=False, match="finite"),
         bad((2, 3), lower=float("nan"), shapes=False, match="finite"), bad((2, 3), lower="x", error=TypeError),
         bad(In((2, 3), dtype="int64"), error=TypeError)]
WEIGHTS = [((5,), (1,)), ((5,), ()), ((), (1,)), ((), ()), ((7, 5), (5,)), ((7, 5), (1,)), ((2, 3, 4), (3,)), ((2, 3, 4, 5), (3,)),
           ((33, 65), (65,)), ((3, 0), (1,)), ((0, 3), (3,)), ((2, 4, 3, 1), (4,)), ((3, 50_001), (1,)), ((4, 1), (1,))]
HALVES = [((2,), 0), ((16,), -1), ((34,), 0), ((5, 8), 1), ((6, 7), 0), ((2, 6, 5), 1), ((2, 3, 18), -1), ((0, 4), 1), ((3, 0), 1),
          ((8, 130), 1), ((40, 3_002), 1)]


def reach(x, dim=-1):
    return np.abs(np.split(x, 2, dim)[0])


ROWS = [
    Row("prelu", prelu, ulp=1, samples=[sample(*s) for s in WEIGHTS], covers=("prelu_bwd", "prelu_slope_bwd"), away=(0.0,),
        refusals=[bad((2, 3), (2,)), bad((2, 3), (3, 1)), bad((), (2,)), bad((3,), (3,)),
                  bad(In((2, 3), dtype="float32"), In((3,), dtype="float64"), error=TypeError),
                  bad(In((2, 3), dtype="int64"), In((3,), dtype="int64"), error=TypeError)]),
    Row("prelu_bwd", prelu_bwd, ulp=1, torch=False, away=(0.0,), diff=(1, 2),
        samples=[sample(*s) for s in (((5,), (1,), (5,)), ((7, 5), (5,), (7, 5)), ((2, 3, 4), (3, 1), (2, 3, 4)), ((3, 4), (3, 4), (3, 4)))],
        refusals=[bad((2, 3), (3,), (3, 2)), bad((2, 3), (2,), (2, 3))]),
    Row("prelu_slope_bwd", prelu_slope_bwd, ulp=1, torch=False, away=(0.0,), samples=[sample(s, s) for s in ((5,), (7, 5), (2, 3, 4))],
        refusals=[bad((2, 3), (3, 2))]),
    unary("rrelu", lambda x, lower=1 / 8, upper=1 / 3: np.where(x > 0, x, x * (lower + upper) / 2), ulp=1.5, composed=True, away=(0.0,),
          attrs=({}, {"lower": -0.5, "upper": 0.25}, {"lower": 0.3, "upper": 0.3}), refusals=RATES),
    Row("rrelu:training", None, check=drawn, composed=True, torch=False, away=(0.0,), samples=DRAWN,
        refusals=[bad((2, 3), **TRAINING, lower=1.0, upper=0.5, shapes=False)]),
    Row("glu", glu, ulp=4, by=reach, samples=[sample(s, d) for s, d in HALVES] + [sample((3, 6))], domain=(-4, 4),
        refusals=[bad(()), bad((3,)), bad((2, 3)), bad((2, 4), 2, error=IndexError), bad(In((2, 4), dtype="int64"), error=TypeError)]),
    Row("glu_bwd", glu_bwd, ulp=8, by="max", torch=False,
        samples=[sample((2, 6), (2, 3), 1), sample((4, 5), (2, 5), 0), sample((16,), (8,), -1)],
        refusals=[bad((2, 6), (2, 2), 1), bad((2, 6), (2, 3), 2, error=IndexError), bad((2, 3), (2, 1), 1)]),
]
