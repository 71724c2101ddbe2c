"""Rows of pydl/ops/places.py."""
import numpy as np

import pydl
from rows import EVERY, Flat, In, Row, bad, sample

NUMBERS = EVERY[:-1]


def index(shape, n, low=0):
    return In(shape, low, n, dtype="int64")


def mask(*shape):
    return In(shape, dtype="bool")


def scattered(x, dim, i, s, reduce, include_self=True):
    y = np.array(x)
    groups: dict = {}
    for at in np.ndindex(i.shape):
        to = list(at)
        to[dim] = i[at]
        groups.setdefault(tuple(to), []).append(s[at])
    for at, values in groups.items():
        every = [x[at], *values] if include_self else values
        total = {"sum": np.sum, "prod": np.prod, "amax": np.max, "amin": np.min, "mean": np.sum}[reduce](every)
        y[at] = total if reduce != "mean" else total / len(every) if x.dtype.kind == "f" else total // len(every)
    return y


def reduced_rows(x, dim, i, s, reduce, include_self=True):
    return scattered(x, dim, np.broadcast_to(i.reshape([-1 if k == dim % x.ndim else 1 for k in range(x.ndim)]), s.shape), s, reduce, include_self)


def filled(x, dim, i, value):
    y = np.array(x)
    np.moveaxis(y, dim, 0)[i] = value
    return y


def written(x, i, j, v, accumulate=False):
    y = np.array(x)
    if accumulate:
        np.add.at(y, (i, j), v)
    else:
        y[i, j] = v
    return y


def put(x, i, s, accumulate=False):
    y = np.array(x)
    if accumulate:
        np.add.at(y.reshape(-1), i, s)
    else:
        np.put(y, i, s)
    return y


def masked(x, m, s):
    x, m = (np.array(a) for a in np.broadcast_arrays(x, m))
    x[m] = s.reshape(-1)[:m.sum()]
    return x


def extreme(x, dim, i, s, how):
    return scattered(x, dim, i, s, ("prod", "amax", "amin")[how])


KINDS = ("sum", "prod", "mean", "amax", "amin")
INTO = [sample((5, 3), 0, index((7, 3), 5), (7, 3)), sample((3, 5), 1, index((2, 9), 5), (3, 10)), sample((4,), -1, index((30,), 4), (30,)),
        sample((2, 3, 4), 1, index((2, 5, 4), 3), (2, 5, 4)), sample((5, 3), 0, index((0, 3), 5), (0, 3))]
ROWS = [
    *(Row(f"scatter_reduce:{kind}{'' if self else ':alone'}", scattered, fn=lambda *a, **k: pydl.scatter_reduce(*a, **k), ulp=8, by="abs", composed=True, kind="distinct",
          dtypes=NUMBERS, samples=[sample(*one.args, kind, include_self=self) for one in INTO], torch=False,
          refusals=[bad((5, 3), 0, index((2, 3), 9, 5), (2, 3), kind, error=IndexError), bad((5, 3), 0, index((2, 3), 5), (1, 3), kind, shapes=False),
                    bad((5, 3), 0, index((2, 3), 5), (2, 3), "median", shapes=False), bad((5, 3), 2, index((2, 3), 5), (2, 3), kind, error=IndexError),
                    bad((5, 3), 0, index((2, 3), 5), In((2, 3), dtype="float64"), kind, error=TypeError)])
      for kind in KINDS for self in (True, False)),
    *(Row(f"scatter_extreme:{how}", extreme, ulp=8, kind="distinct", composed=True, torch=False, samples=[sample(*one.args, how) for one in INTO if one.args[2].shape == one.args[3]])
      for how in (0, 1, 2)),
    *(Row(f"index_reduce:{kind}", reduced_rows, fn=lambda *a, **k: pydl.index_reduce(*a, **k), ulp=8, by="abs", composed=True, kind="distinct", dtypes=NUMBERS, torch=False,
          samples=[sample((5, 3), 0, index((7,), 5), (7, 3), kind), sample((2, 3, 4), -1, index((6,), 4), (2, 3, 6), kind, include_self=False),
                   sample((5, 3), 1, index((0,), 3), (5, 0), kind)],
          refusals=[bad((5, 3), 0, index((2,), 9, 5), (2, 3), kind, error=IndexError), bad((5, 3), 0, index((2,), 5), (1, 3), kind),
                    bad((5, 3), 0, index((2,), 5), (2, 3), "sum", shapes=False)])
      for kind in KINDS[1:]),
    Row("index_fill", filled, ulp=0, ulp64=0, composed=True, dtypes=EVERY,
        samples=[sample((5, 3), 0, index((2,), 5), 1), sample((2, 4, 3), -1, index((2,), 3), 1), sample((5, 3), 1, index((0,), 3), 1)],
        refusals=[bad((5, 3), 0, index((2,), 9, 5), 1, error=IndexError), bad((5, 3), 0, In((2,)), 1, error=TypeError),
                  bad((5, 3), 0, index((2, 1), 3), 1), bad((5, 3), 0, index((2,), 3), "x", error=TypeError), bad((5, 3), 2, index((2,), 3), 1, error=IndexError)]),
    Row("put", put, ulp=2, by="abs", composed=True, dtypes=NUMBERS, torch=lambda x, *a: x.put(*a),
        samples=[sample((5, 3), index((1, 1), 15, -15), (1, 1)), sample((4,), index((0,), 4), (0,)), sample((5, 3), index((9,), 15, -15), (9,), True)],
        refusals=[bad((5, 3), index((2,), 30, 15), (2,), error=IndexError), bad((5, 3), index((2,), 3), (3,), shapes=False),
                  bad((5, 3), In((2,)), (2,), error=TypeError), bad((5, 3), index((2,), 3), In((2,), dtype="float64"), error=TypeError)]),
    Row("index_put", written, fn=lambda x, i, j, v, accumulate=False: pydl.index_put(x, (i, j), v, accumulate), ulp=1, by="abs", composed=True, dtypes=NUMBERS, torch=False,
        samples=[sample((5, 3), index((1,), 5), index((1,), 3), (1,)), sample((5, 3), index((4, 1), 5), index((6,), 3), (4, 6), accumulate=True),
                 sample((5, 3, 2), index((4,), 5), index((4,), 3), (2,), accumulate=True)],
        refusals=[bad((5, 3), index((2,), 9, 5), index((2,), 3), (2,), error=IndexError), bad((5, 3), index((2,), 5), index((2,), 3), (3,), shapes=False),
                  bad((5, 3), index((2,), 5), index((2,), 3), (3,), accumulate=True, shapes=False),
                  bad((5, 3), index((2,), 5), index((2,), 3), In((2,), dtype="float64"), error=TypeError)]),
    Row("masked_scatter", masked, ulp=0, ulp64=0, composed=True, dtypes=EVERY,
        samples=[sample((4, 5), mask(4, 5), (20,)), sample((4, 5), mask(5), (4, 5)), sample((1, 5), mask(3, 1), (15,)), sample((0, 3), mask(0, 3), (0,))],
        refusals=[bad((4, 5), mask(3), (20,), shapes=False), bad((40, 5), mask(40, 5), (2,)), bad((4,), (4,), (4,), error=TypeError),
                  bad((4,), mask(4), In((4,), dtype="float64"), error=TypeError), bad(Flat(1), mask(4), (4,), error=TypeError)]),
    Row("fill", lambda x, value: np.full(x.shape, value), ulp=0, composed=True, dtypes=EVERY, diff=(), samples=[sample((3, 5), 1), sample((), 0), sample((0, 3), 1)],
        refusals=[bad((3,), "x", error=TypeError), bad(Flat(1), 1, error=TypeError)]),
    Row("fill:tensor", lambda x, value: np.full(x.shape, value), ulp=0, composed=True, diff=(1,), samples=[sample((3, 5), ())],
        refusals=[bad((3,), (2,), shapes=False)]),
    Row("unravel_index", lambda i, shape: np.unravel_index(i, shape), ulp=0, composed=True, diff=(), dtypes=["int64", "int32"], domain=(0, 12), out="int64",
        samples=[sample((5,), Flat((3, 4))), sample((2, 3), Flat((2, 2, 3))), sample((4,), 12), sample((0,), Flat((3, 4)))],
        refusals=[bad(In((2,), 12, 13, dtype="int64"), Flat((3, 4))), bad(In((2,), -3, -1, dtype="int64"), Flat((3, 4))),
                  bad((2,), Flat((3, 4)), error=TypeError), bad(In((2,), dtype="int64"), Flat((3, -4)), shapes=False)]),
]
