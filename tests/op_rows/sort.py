"""Sorting and the largest elements."""
import numpy as np

import pydl
from rows import EVERY, Flat, Row, bad, sample


def sort(x, dim=-1, descending=False):
    i = argsort(x, dim, descending)
    return np.take_along_axis(x, i, dim) if x.ndim else x, i


def argsort(x, dim=-1, descending=False):
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim)


def topk(x, k, dim=-1, largest=True):
    values, i = sort(x, dim, largest)
    return np.take(values, range(k), dim), np.take(i, range(k), dim)


def kth(x, k, dim=-1, keepdim=False):
    """Values and places of the k-th smallest, from 1."""
    values, i = sort(np.atleast_1d(x), dim)
    found = tuple(np.take(part, [k - 1], dim) for part in (values, i))
    return tuple(part if keepdim and x.ndim else np.squeeze(part, dim) for part in found)


def places(n):
    return sorted({1, max(1, 3 * n // 4), n})


def middle(x, dim, keepdim=False):
    return kth(x, (x.shape[dim] + 1) // 2 if x.ndim else 1, dim, keepdim)


LINES = [((n,), 0) for n in (1, 2, 7, 33, 160, 161, 513, 5000, 70_001)] + [((5, 17), 0), ((5, 17), 1), ((4, 3, 6), 0), ((4, 3, 6), 1), ((0, 3), 1),
                                                                       ((2, 66_000), 1), ((66_000, 2), 0), ((300, 300), 1), ((), -1)]
SAMPLES = [sample((n,)) for n in (1, 7, 31, 32, 33, 65, 513, 2049, 5000, 40_000)] + [
    sample((5, 17), dim=0), sample((4, 100), descending=True), sample((3, 40, 2), dim=1, descending=True), sample((0, 3)), sample((3, 0)), sample(()),
    sample((700, 33)), sample((2, 33_000), dim=1)]
FEW = [sample((4, 3, 6), 1, keepdim=True), sample((4, 3, 6), 0, keepdim=True)]
REFUSALS = [bad((3, 4), dim=2, error=IndexError), bad((3, 4), dim=-3, error=IndexError), bad(Flat([1, 2]), error=TypeError)]

ROWS = [
    Row("sort", sort, ulp=0, ulp64=0, dtypes=EVERY, kind="distinct", samples=SAMPLES, refusals=REFUSALS),
    Row("argsort", argsort, ulp=0, ulp64=0, dtypes=EVERY, kind="distinct", out="int64", diff=(), samples=SAMPLES, refusals=REFUSALS),
    Row("topk", topk, fn=lambda x, k, **options: pydl.topk(x, k, **options), ulp=0, ulp64=0, dtypes=EVERY, kind="distinct",
        samples=[sample((9,), 3), sample((9,), 9), sample((9,), 0), sample((5, 40), 4, dim=0), sample((5, 40), 2, largest=False), sample((3, 5000), 100),
                 sample((2, 3000), 33, largest=False), sample((70, 600), 10), sample((4, 3, 5), 2, dim=1)],
        refusals=[bad((3, 4), 5), bad((3, 4), -1), bad((3, 4), 2, dim=2, error=IndexError), bad((3, 4), Flat(1.5), error=TypeError),
                  bad((0, 3), 1, dim=0)]),
    Row("kthvalue", kth, ulp=0, ulp64=0, dtypes=EVERY, kind="distinct",
        samples=[sample(s, k, dim=d) for s, d in LINES for k in places(s[d] if s else 1)]
        + [sample((4, 3, 6), 2, keepdim=True), sample((4, 3, 6), 4, 0, keepdim=True)],
        refusals=[bad((3, 4), 5), bad((3, 4), 0), bad((0, 3), 1, dim=0), bad((3, 4), 1, dim=2, error=IndexError), bad((3, 4), Flat(1.5), error=TypeError),
                  bad(Flat([1]), 1, error=TypeError)]),
    *(Row(f"{name}_along", middle, ulp=0, ulp64=0, dtypes=EVERY, kind="distinct", samples=[sample(s, d) for s, d in LINES] + FEW, torch=False)
      for name in ("median", "nanmedian")),
]
