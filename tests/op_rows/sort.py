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


SAMPLES = [sample((n,)) for n in (1, 7, 31, 32, 33, 65, 513, 2049, 5000, 40_000)] + [
    sample((5, 17), dim=0), sample((4, 100), descending=True), sample((3, 40, 2), dim=1, descending=True), sample((0, 3)), sample((3, 0)), sample(()),
    sample((700, 33)), sample((2, 33_000), dim=1)]
REFUSALS = [bad((3, 4), dim=2, error=IndexError), bad((3, 4), dim=-3, error=IndexError), bad(Flat([1, 2]), error=TypeError)]

ROWS = [
    Row("sort", sort, ulp=0, ulp64=0, dtypes=EVERY, kind="distinct", samples=SAMPLES, refusals=REFUSALS),
    Row("argsort", argsort, ulp=0, ulp64=0, dtypes=EVERY, kind="distinct", out="int64", diff=(), samples=SAMPLES, refusals=REFUSALS),
    Row("topk", topk, fn=lambda x, k, **options: pydl.topk(x, k, **options), ulp=0, ulp64=0, dtypes=EVERY, kind="distinct",
        samples=[sample((9,), 3), sample((9,), 9), sample((9,), 0), sample((5, 40), 4, dim=0), sample((5, 40), 2, largest=False), sample((3, 5000), 100),
                 sample((2, 3000), 33, largest=False), sample((70, 600), 10), sample((4, 3, 5), 2, dim=1)],
        refusals=[bad((3, 4), 5), bad((3, 4), -1), bad((3, 4), 2, dim=2, error=IndexError), bad((3, 4), Flat(1.5), error=TypeError),
                  bad((0, 3), 1, dim=0)]),
]
