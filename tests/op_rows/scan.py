"""Rows of pydl/ops/scan.pyx."""
import numpy as np

from rows import EVERY, INTEGERS, WIDTHS, Flat, Row, bad, sample

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
    Row("recurrence", recurrence, ulp=2, ulp64=30, by="abs", torch=False,
        samples=[sample(s, s, d, backwards=back) for s, d in FEW for back in (False, True)],
        refusals=[bad((2, 3), (3, 2), 0), bad((2, 3), (2, 3), 2, error=IndexError)]),
]
