"""Elements and rows by index."""
import numpy as np

import pydl
from rows import EVERY, Flat, In, Row, bad, sample


def index(shape, n, low=0):
    return In(shape, low, n, dtype="int64")


def select(x, dim, i):
    return np.take(x, i.reshape(-1), dim)


def add_rows(x, dim, i, s, alpha=1):
    y = np.moveaxis(np.array(x), dim, 0)
    for k, j in enumerate(i.reshape(-1)):
        y[j] += alpha * np.moveaxis(s, dim, 0)[k]
    return np.moveaxis(y, 0, dim)


def placed_rows(x, dim, i, s):
    y = np.moveaxis(np.array(np.atleast_1d(x)), dim, 0)
    y[i.reshape(-1)] = np.moveaxis(np.atleast_1d(s), dim, 0)
    return np.moveaxis(y, 0, dim).reshape(x.shape)


def gathered(x, dim, i):
    return np.take_along_axis(x[tuple(slice(None) if d == dim % x.ndim else slice(n) for d, n in enumerate(i.shape))], i, dim) if x.ndim else x


def placed(x, dim, i, s, add=False):
    y = np.array(x)
    for at in np.ndindex(i.shape):
        to = list(at)
        to[dim] = i[at]
        value = s if np.ndim(s) == 0 else s[at]
        y[tuple(to)] = y[tuple(to)] + value if add else value
    return y


WRONG = [bad((5, 3), 0, index((2,), 9, 5), error=IndexError, match="out of range for size 5"),
         bad((5, 3), 0, In((2,), -9, -1, dtype="int64"), error=IndexError, match="out of range"),
         bad((5, 3), 2, index((2,), 2), error=IndexError), bad((5, 3), 0, In((2,)), error=TypeError, match="int64"),
         bad((5, 3), 0, In((2,), dtype="bool"), error=TypeError)]

ROWS = [
    Row("index_select", select, ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((5, 3), 0, index((4,), 5)), sample((5, 3), 1, index((7,), 3)), sample((2, 4, 3), -2, index((0,), 4)),
                 sample((9,), 0, In((20,), 0, 9, dtype="int32")), sample((50, 1001), 0, index((70,), 50)), sample((0, 3), 1, index((2,), 3))],
        refusals=[*WRONG, bad((), 0, index((3,), 1)), bad((), 0, index((0,), 1)), bad((5, 3), 0, index((2, 2), 5), shapes=False), bad((0, 3), 0, index((1,), 1), error=IndexError)]),
    Row("index_add", add_rows, fn=lambda x, d, i, s, **k: pydl.index_add(x, d, i, s, **k), ulp=2, by="abs",
        samples=[sample((5, 3), 0, index((4,), 5), (4, 3)), sample((5, 3), 1, index((7,), 3), (5, 7), alpha=2),
                 sample((2, 4, 3), 1, index((0,), 4), (2, 0, 3)), sample((3, 300), 0, index((90,), 3), (90, 300)), sample((4,), 0, index((9,), 4), (9,))],
        refusals=[bad((5, 3), 0, index((4,), 5), (3, 3)), bad((), 0, index((3,), 1), (), shapes=False), bad((5, 3), 0, index((4,), 9, 5), (4, 3), error=IndexError),
                  bad((5, 3), 0, index((4,), 5), In((4, 3), dtype="float64"), error=TypeError)]),
    Row("index_copy", lambda x, d, i, s: placed_rows(x, d, i, s), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((5, 3), 0, index((1,), 5), (1, 3)), sample((5, 3), 1, index((1,), 2), (5, 1)),
                 sample((2, 4, 3), 1, index((0,), 4), (2, 0, 3)), sample((), 0, index((1,), 1), ())],
        refusals=[bad((5, 3), 0, index((4,), 5), (3, 3)), bad((), 0, index((3,), 1), (), shapes=False), bad((5, 3), 0, index((4,), 9, 5), (4, 3), error=IndexError),
                  bad((5, 3), 0, index((4,), 5), In((4, 3), dtype="float64"), error=TypeError)]),
    Row("index_copy:int32", lambda x, d, i, s: placed_rows(x, d, i, s), fn=lambda *args: pydl.index_copy(*args), ulp=0, ulp64=0, torch=False,
        samples=[sample((5, 3), 1, In((1,), 0, 3, dtype="int32"), (5, 1))]),
    Row("gather", gathered, ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((5, 7), 1, index((5, 2), 7)), sample((5, 7), 0, index((3, 4), 5)), sample((2, 3, 4), -2, index((2, 6, 3), 3)),
                 sample((9,), 0, In((4,), 0, 9, dtype="int32")), sample((70, 600), 0, index((70, 600), 70)), sample((5, 2), 0, index((0, 2), 5))],
        refusals=[bad((5, 7), 1, index((5, 2), 9, 7), error=IndexError), bad((5, 7), 1, index((6, 2), 7)), bad((5, 7), 1, index((5,), 5)),
                  bad((5, 7), 2, index((5, 2), 5), error=IndexError), bad((5, 7), 1, In((5, 2)), error=TypeError),
                  bad((0, 7), 0, index((2, 7), 1), error=IndexError)]),
    Row("gather:take_along_dim", lambda x, i: np.take_along_axis(x, i, 1), fn=lambda x, i: pydl.take_along_dim(x, i, 1), ulp=0, ulp64=0,
        samples=[sample((4, 5), index((4, 2), 5)), sample((4, 5), index((1, 3), 5)), sample((1, 5), index((4, 3), 5))], torch=False),
    Row("scatter", placed, ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((5, 3), 0, In((1, 3), 0, 5, dtype="int64"), (1, 3)), sample((3, 5), 1, In((3, 1), 0, 5, dtype="int64"), (3, 1)),
                 sample((5, 3), 0, index((0, 3), 5), (0, 3))],
        refusals=[bad((5, 3), 0, index((2, 3), 9, 5), (2, 3), error=IndexError), bad((5, 3), 0, index((2, 4), 5), (2, 4), shapes=False),
                  bad((5, 3), 0, index((2, 3), 5), (1, 3), shapes=False), bad((5, 3), 0, index((2, 3), 5), In((2, 3), dtype="float64"), error=TypeError)]),
    Row("scatter:value", lambda x, i: placed(x, 1, i, 2.0), fn=lambda x, i: x.scatter(1, i, 2.0), ulp=0, ulp64=0,
        samples=[sample((5, 3), index((5, 2), 3))], torch=False),
    Row("scatter_add", lambda x, d, i, s: placed(x, d, i, s, True), ulp=2, by="abs",
        samples=[sample((5, 3), 0, index((7, 3), 5), (7, 3)), sample((3, 5), 1, index((2, 9), 5), (3, 10)), sample((4,), -1, index((30,), 4), (30,)),
                 sample((3, 400), 0, index((60, 400), 3), (60, 400))],
        refusals=[bad((5, 3), 0, index((2, 3), 9, 5), (2, 3), error=IndexError), bad((5, 3), 0, index((2, 3), 5), (1, 3), shapes=False)]),
    Row("index_select:masked_select", lambda x, m: np.broadcast_to(x, np.broadcast_shapes(x.shape, m.shape))[np.broadcast_to(m, np.broadcast_shapes(x.shape, m.shape))],
        fn=lambda x, m: pydl.masked_select(x, m), ulp=0, ulp64=0, torch=False,
        samples=[sample((4, 5), In((4, 5), dtype="bool")), sample((4, 5), In((5,), dtype="bool")), sample((1, 5), In((3, 1), dtype="bool"))]),
    Row("where:masked_fill", lambda x, m: np.where(m, 7.0, x), fn=lambda x, m: x.masked_fill(m, 7.0), ulp=0, ulp64=0, torch=False,
        samples=[sample((4, 5), In((4, 5), dtype="bool")), sample((4, 5), In((5,), dtype="bool"))]),
    Row("getitem:take", lambda x, i: np.take(x, i), fn=lambda x, i: pydl.take(x, i), ulp=0, ulp64=0, torch=False,
        samples=[sample((4, 5), index((2, 3), 20, -20))]),
    Row("nonzero", lambda x: np.argwhere(x), ulp=0, dtypes=("bool", "int64", "uint8"), out="int64", diff=(),
        samples=[sample((9,)), sample((3, 4)), sample(()), sample((0, 3)), sample((3, 50_001))], refusals=[bad(Flat(2), error=TypeError)]),
    Row("one_hot", lambda i, n: np.eye(n, dtype=np.int64)[i], ulp=0, out="int64", diff=(), torch=False,
        samples=[sample(index((5,), 3), 3), sample(index((2, 3), 2), 2), sample(index((), 4), 4), sample(index((0,), 2), 2)],
        refusals=[bad(index((3,), 9, 5), 5, error=IndexError), bad(index((3,), 2), 0, shapes=False), bad(index((0,), 2), -1), bad((3,), 3, error=TypeError)]),
]
