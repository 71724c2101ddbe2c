"""Rows of pydl/ops/reduce.pyx."""
import numpy as np

import pydl
from rows import EVERY, INTEGERS, Flat, In, Row, bad, reduction, sample

WIDE = {**dict.fromkeys(INTEGERS, "int64"), "bool": "int64"}      # sums and products of integers


def summed(x, axis=None, keepdims=False):
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=np.int64 if x.dtype.kind in "iub" else None)


def multiplied(x, axis=None, keepdims=False):
    return np.prod(x, axis=axis, keepdims=keepdims, dtype=np.int64 if x.dtype.kind in "iub" else None)


def summed_to(x, shape):
    lead = x.ndim - len(shape)
    return x.sum(tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


def over(dy, shape, dims):
    kept = [1 if d in dims else n for d, n in enumerate(shape)]
    return np.broadcast_to(dy.reshape(kept), shape).copy()


def holed(x, dim, holes):
    return np.prod(x * holes, dim)


HOLES = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 1]], "float64")
ROWS = [
    reduction("sum", summed, ulp=7, by="abs", dtypes=EVERY, out=WIDE),
    reduction("mean", np.mean, ulp=7, by="abs", refusals=[bad(In((3,), 0, 5, dtype="int64"), error=TypeError)]),
    reduction("prod", multiplied, ulp=256, dtypes=EVERY, out=WIDE, several=False, domain=(0.9, 1.1),
              refusals=[bad((2, 3), dim=(0, 1), error=TypeError)]),
    Row("prod:zeros", holed, fn=lambda x, dim, holes: pydl.prod(x * pydl.tensor(holes, dtype=x.dtype), dim), ulp=4, torch=False,
        samples=[sample((4, 3), dim, Flat(HOLES)) for dim in (0, 1, None)]),
    reduction("any", np.any, dtypes=EVERY, out="bool", diff=(), ulp=0),
    reduction("all", np.all, dtypes=EVERY, out="bool", diff=(), ulp=0),
    Row("sum_to", summed_to, ulp=7, by="abs", dtypes=("float32", "float64"),
        torch=False,
        samples=[sample((5, 7), Flat(s)) for s in ((7,), (1, 7), (5, 1), (), (1, 1), (5, 7), (1,))]
        + [sample((2, 3, 4), Flat(s)) for s in ((3, 1), (2, 1, 4), (4,))]
        + [sample((3, 50_001), Flat((50_001,))), sample((0, 3), Flat((3,))), sample((), Flat(()))],
        refusals=[bad((2, 3), Flat((2,))), bad((3,), Flat((2, 3)))]),
    Row("spread", over, ulp=0, torch=False,
        samples=[sample((5,), Flat((5, 7)), Flat((1,))), sample((5, 1), Flat((5, 7)), Flat((1,))),
                 sample((), Flat((2, 3)), Flat((0, 1))), sample((2, 4), Flat((2, 3, 4)), Flat((1,)))],
        refusals=[bad((5,), Flat((4, 7)), Flat((1,))), bad((5, 2), Flat((5, 7)), Flat((1,)))]),
]
