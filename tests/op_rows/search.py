"""Rows of pydl/ops/search.py. Whole numbers, so that there are ties."""
import numpy as np

import pydl
from rows import EVERY, INTEGERS, Flat, In, Row, bad, sample

NUMBERS = EVERY[:-1]


def sequence(shape, **options):
    return In(shape, 0, 9, grad=False, **options)


def placed(s, v, right=False):
    s = np.sort(s, -1)
    if s.ndim == 1:
        return np.searchsorted(s, v, "right" if right else "left")
    return np.stack([np.searchsorted(a, b, "right" if right else "left") for a, b in zip(s.reshape(-1, s.shape[-1]), v.reshape(-1, v.shape[-1]))]).reshape(v.shape)


def distinct(x, inverse=False, counts=False, dim=None):
    values, i, n = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    return tuple(part for part, wanted in ((values, True), (i.reshape(x.shape if dim is None else -1), inverse), (n, counts)) if wanted)


def runs(x, inverse=False, counts=False):
    x = x.reshape(-1)
    begins = np.append([True] * (x.size > 0), x[1:] != x[:-1]).astype(bool)
    n = np.diff(np.append(np.flatnonzero(begins), x.size))
    return tuple(part for part, wanted in ((x[begins], True), (np.cumsum(begins) - 1, inverse), (n, counts)) if wanted)


def counted(x, weights=None, minlength=0):
    return np.bincount(x, weights, minlength)


def histc(x, bins=100, min=0, max=0):
    low, high = (min, max) if min != max else (x.min(), x.max()) if x.size else (0, 1)
    return np.histogram(x, bins, (low, high))[0].astype(x.dtype)


def histogram(x, bins, range=None, weight=None, density=False):
    return np.histogram(x, bins, range, weights=weight, density=density)


ROWS = [
    Row("searchsorted", placed, fn=lambda s, v, right=False: pydl.searchsorted(pydl.sort(s)[0], v, right=right), ulp=0, composed=True, dtypes=NUMBERS, diff=(), out="int64", torch=False,
        samples=[sample(sequence((n,)), sequence((40,)), right=r) for n in (1, 2, 7, 8, 100) for r in (False, True)]
        + [sample(sequence((3, 6)), sequence((3, 50))), sample(sequence((2, 2, 5)), sequence((2, 2, 3)), right=True), sample(sequence((9,)), sequence((2, 3, 4))),
           sample(sequence((9,)), sequence(())), sample(sequence((9,)), sequence((0,))), sample(sequence((200,)), sequence((3, 50_001))), sample(sequence((0,)), sequence((3,)))],
        refusals=[bad((3, 4), (2, 5)), bad((3,), Flat("x"), error=TypeError)]),
    Row("bucketize", lambda v, s, right=False: placed(s, v, right), fn=lambda v, s, right=False: pydl.bucketize(v, pydl.sort(s)[0], right=right), ulp=0, composed=True,
        dtypes=NUMBERS, diff=(), out="int64", torch=False,
        samples=[sample(sequence((4, 5)), sequence((6,)), right=r) for r in (False, True)] + [sample(sequence(()), sequence((1,)))],
        refusals=[bad((3,), (2, 5), shapes=False)]),
    Row("isin", np.isin, ulp=0, composed=True, dtypes=NUMBERS, out="bool", diff=(), torch=False,
        samples=[sample(sequence((4, 5)), sequence((3,))), sample(sequence((40,)), sequence((2, 3)), invert=True), sample(sequence((4,)), sequence((0,))), sample(sequence(()), 3)],
        refusals=[bad(1, 2, error=TypeError), bad((3,), Flat("x"), error=TypeError)]),
    Row("unique", distinct, fn=lambda x, inverse=False, counts=False, dim=None: pydl.unique(x, True, inverse, counts, dim), ulp=0, ulp64=0, composed=True, dtypes=NUMBERS, diff=(),
        torch=False,
        samples=[sample(sequence((n,)), inverse=True, counts=True) for n in (0, 1, 2, 40, 1000)] + [sample(sequence((3, 40)), inverse=True), sample(sequence((40,)), counts=True),
            sample(sequence((5, 6))), sample(sequence((30, 1)), inverse=True, counts=True, dim=0), sample(sequence((2, 30)), inverse=True, dim=1), sample(sequence(()))],
        refusals=[bad((2, 3), dim=2, error=IndexError), bad(Flat(1), error=TypeError)]),
    Row("unique_consecutive", runs, fn=lambda x, inverse=False, counts=False: pydl.unique_consecutive(x, inverse, counts), ulp=0, ulp64=0, composed=True, dtypes=NUMBERS, diff=(),
        torch=False, samples=[sample(In((n,), 0, 2, grad=False), inverse=True, counts=True) for n in (0, 1, 2, 40, 1000)] + [sample(In((30,), 0, 2, grad=False), counts=True)],
        refusals=[bad(Flat(1), error=TypeError)]),
    Row("bincount", counted, ulp=2, by="max", composed=True, dtypes=INTEGERS, out="int64", diff=(),
        samples=[sample(sequence((n,))) for n in (0, 1, 40, 200_000)] + [sample(sequence((9,)), minlength=20)],
        refusals=[bad(In((3,), -5, -1, dtype="int64")), bad(In((3, 2), dtype="int64")), bad((3,), error=TypeError), bad(In((3,), dtype="int64"), minlength=-1, shapes=False),
                  bad(In((3,), dtype="int64"), weights=In((4,)))]),
    Row("bincount:weights", lambda x, w: counted(x, w), ulp=4, by="abs", composed=True, torch=False, out="float64", dtypes=("float64",),
        samples=[sample(In((40,), 0, 9, dtype="int64"), (40,))]),
    Row("histc", histc, ulp=0, composed=True, diff=(), samples=[sample((1000,), 7), sample((30, 5)), sample((1000,), 5, -1, 1), sample((5000,), 5000), sample((150_000,), 10, -1, 1.5),
                                                              sample((0,), 3)],
        refusals=[bad((3,), 0, shapes=False), bad((3,), 3, 2, 1), bad((3,), 3, 0, float("inf")), bad(In((3,), dtype="int64"), 3, error=TypeError)]),
    Row("histogram", histogram, ulp=8, by="max", composed=True, diff=(), torch=False,
        samples=[sample((1000,), 7), sample((30, 5), 4, range=(-1, 1)), sample((1000,), 5, density=True), sample((100,), 3, range=(-2, 2), weight=In((100,), 0.5, 2)),
                 sample((0,), 3)],
        refusals=[bad((3,), 0, shapes=False), bad((3,), 3, range=(2, 1)), bad(In((3,), dtype="int64"), 3, error=TypeError), bad((3,), In((1,))), bad((3,), In((2, 2))),
                  bad((3,), 3, weight=In((4,)))]),
]
