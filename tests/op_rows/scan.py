"""Rows of pydl/ops/scan.pyx."""
import numpy as np

import pydl
from rows import EVERY, INTEGERS, WIDTHS, Flat, In, Row, bad, sample

WIDE = {**dict.fromkeys(INTEGERS, "int64"), "bool": "int64"}
SHAPES = [((n,), 0) for n in WIDTHS] + [((5, 17), 0), ((5, 17), 1), ((2, 3, 4), 1), ((20, 33), -1), ((0, 3), 0), ((3, 0), 1),
                                         ((9, 40), 0), ((50, 700), 1), ((700, 50), 0)]
FEW = [((n,), 0) for n in (1, 2, 7)] + [((5, 6), 0), ((5, 6), 1), ((2, 3, 4), 1), ((20, 17), 1), ((0, 3), 1)]


def running(total):
    def reference(x, dim):
        return total(x, axis=dim, dtype=np.int64 if x.dtype.kind in "iub" else None) if x.size else x.astype(
            np.int64 if x.dtype.kind in "iub" else x.dtype)
    return reference


def flipped(total):
    return lambda x, dim: np.flip(total(np.flip(x, dim), dim), dim)


def before(x, dim):
    y = np.ones_like(x)
    ahead, behind = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    ahead[dim], behind[dim] = slice(1, None), slice(None, -1)
    y[tuple(ahead)] = np.cumprod(x, dim)[tuple(behind)]
    return y


def recurrence(a, b, dim, backwards=False):
    a, b = (np.flip(np.moveaxis(v, dim, 0), 0) if backwards else np.moveaxis(v, dim, 0) for v in (a, b))
    y = np.zeros_like(a)
    for k in range(1, len(a)):
        y[k] = a[k - 1] + b[k - 1] * y[k - 1]
    return np.moveaxis(np.flip(y, 0) if backwards else y, 0, dim)


def extreme(larger):
    """Values and places of cummax and cummin; the last of equal ones."""
    def reference(x, dim):
        x = np.moveaxis(np.atleast_1d(x), dim, 0)
        y, at = np.array(x), np.zeros(x.shape, np.int64)
        for k in range(1, len(x)):
            better = larger(x[k], y[k - 1]) | (x[k] != x[k])
            y[k], at[k] = np.where(better, x[k], y[k - 1]), np.where(better, k, at[k - 1])
        return np.moveaxis(y, 0, dim), np.moveaxis(at, 0, dim)
    return reference


def logcumsumexp(x, dim):
    return np.logaddexp.accumulate(x, dim) if x.size else x


def scale(x, dim):
    """What an error of logcumsumexp is measured at: the largest exponent so far, and its logarithm."""
    return np.maximum.accumulate(np.abs(x), dim) + 5 if x.size else x


REFUSALS = [bad((2, 3), 2, error=IndexError), bad((2, 3), None, error=TypeError), bad(Flat("x"), 0, error=TypeError)]
ROWS = [
    Row("cumsum", running(np.cumsum), ulp=1, by="abs", dtypes=EVERY, out=WIDE, samples=[sample(s, d) for s, d in SHAPES],
        refusals=REFUSALS),
    Row("cumsum_back", flipped(running(np.cumsum)), ulp=1, by="abs", torch=False,
        samples=[sample(s, d) for s, d in FEW]),
    Row("cumprod", running(np.cumprod), ulp=1, ulp64=700, domain=(0.5, 1.5), dtypes=EVERY, out=WIDE,
        samples=[sample(s, d) for s, d in FEW], refusals=REFUSALS),
    Row("prod_before", before, ulp=1, ulp64=30, torch=False,
        samples=[sample(s, d) for s, d in FEW if 0 not in s]),
    Row("prod_after", flipped(before), ulp=1, ulp64=30, torch=False,
        samples=[sample(s, d) for s, d in FEW if 0 not in s]),
    *(Row(name, extreme(larger), ulp=0, ulp64=0, kind="distinct", dtypes=EVERY, samples=[sample(s, d) for s, d in SHAPES if 0 not in s], refusals=REFUSALS)
      for name, larger in (("cummax", np.greater_equal), ("cummin", np.less_equal))),
    Row("cummax:empty", extreme(np.greater_equal), fn=lambda x, dim: pydl.cummax(x, dim), ulp=0, samples=[sample((0, 3), 0), sample((3, 0), 1), sample((0, 3), 1), sample((2,), 0)]),
    Row("logcumsumexp", logcumsumexp, ulp=3, ulp64=40, by=scale, samples=[sample(s, d) for s, d in SHAPES],
        refusals=[*REFUSALS, bad(In((3,), dtype="int64"), 0, error=TypeError)]),
    Row("logcumsumexp:far", logcumsumexp, ulp=3, ulp64=40, by=scale, domain=(-300, 300), rtol=1e-4, torch=False,
        samples=[sample((200,), 0), sample((9, 70), 1), sample((70, 9), 0), sample((40, 3), 0), sample((3, 130), 1)]),
    Row("recurrence", recurrence, ulp=2, ulp64=30, by="abs", torch=False,
        samples=[sample(s, s, d, backwards=back) for s, d in FEW for back in (False, True)],
        refusals=[bad((2, 3), (3, 2), 0), bad((2, 3), (2, 3), 2, error=IndexError)]),
]
