"""Rows of pydl/ops/running.py."""
import numpy as np
from scipy import integrate

import pydl
from rows import EVERY, Flat, In, Row, bad, sample


def diff(x, n=1, dim=-1, prepend=None, append=None):
    x = np.concatenate([a for a in (prepend, x, append) if a is not None], dim)
    return np.diff(x, min(n, x.shape[dim]), dim) if n < x.shape[dim] else np.take(x, [], dim)


def trapezoid(y, x=None, dx=None, dim=-1):
    return integrate.trapezoid(y, x, 1.0 if dx is None else dx, dim)


def slopes(x, spacing=1, dim=None, edge_order=1):
    dims = range(x.ndim) if dim is None else np.atleast_1d(dim)
    return tuple(np.gradient(x, h, axis=d, edge_order=edge_order) for h, d in zip(spacing if isinstance(spacing, list) else [spacing] * len(dims), dims))


def cumulative(y, x=None, dx=None, dim=-1):
    return integrate.cumulative_trapezoid(y, x, 1.0 if dx is None else dx, dim)


def renorm(x, p, dim, maxnorm):
    norms = np.sum(np.abs(x) ** p, axis=tuple(k for k in range(x.ndim) if k != dim % x.ndim), keepdims=True) ** (1 / p)
    return x * np.where(norms > maxnorm, maxnorm / (norms + 1e-7), 1)


AREAS = [sample((7,)), sample((3, 5), dim=0), sample((3, 5), dx=0.5), sample((3, 5), (5,)), sample((3, 5), (3,), dim=0), sample((2, 3, 4), (3, 4)),
         sample((2, 3, 4), (2, 3, 4), dim=1), sample((4, 1))]
UNFIT = [bad(()), bad((3, 5), (4,)), bad((3, 5), (5,), dx=1.0, shapes=False), bad((3, 5), dim=2, error=IndexError), bad((3, 5), dx="x", error=TypeError),
         bad(In((3,), dtype="bool"), error=TypeError)]
ROWS = [
    Row("msort", lambda x: np.sort(x, 0) if x.ndim else x, ulp=0, ulp64=0, kind="distinct", composed=True, dtypes=EVERY,
        samples=[sample((7,)), sample((5, 3)), sample(()), sample((0, 3))], refusals=[bad(Flat(1), error=TypeError)]),
    Row("diff", diff, ulp=4, by=lambda *args, **k: np.abs(diff(*args, **k)) + 8, composed=True,
        samples=[sample((7,)), sample((3, 5), 2), sample((3, 5), 1, 0), sample((3, 5), 0), sample((3, 5), 9), sample((2, 0)), sample((1,)),
                 sample((3, 5), dim=0, prepend=In((1, 5)), append=In((2, 5)))],
        refusals=[bad(()), bad((3,), -1, shapes=False), bad((3,), 1, 1, error=IndexError), bad((3, 5), append=In((2, 2)))]),
    Row("gradient", slopes, ulp=16, by="max", composed=True, domain=(-2, 2),
        samples=[sample((7,)), sample((3, 5)), sample((3, 5), dim=1), sample((3, 5), spacing=0.5), sample((3, 5), spacing=[2.0, 0.25]), sample((4, 2)),
                 sample((3, 5), dim=(1, 0), edge_order=2), sample((4,), spacing=2, edge_order=2)],
        refusals=[bad(()), bad((1,)), bad((3, 2), edge_order=2), bad((3,), edge_order=3, shapes=False), bad((3,), dim=1, error=IndexError),
                  bad((3, 4), spacing=[1.0, 2.0, 3.0]), bad((3,), spacing="x", error=TypeError), bad((3, 3), dim=(0, 0), shapes=False)]),
    Row("gradient:places", lambda x, places: np.gradient(x, places, axis=1, edge_order=2), fn=lambda x, places: pydl.gradient(x, spacing=[places], dim=1, edge_order=2)[0],
        ulp=64, by="max", composed=True, diff=(0,), samples=[sample((3, 5), In((5,), kind="distinct", grad=False)), sample((2, 3), In((3,), kind="distinct", grad=False))],
        torch=lambda x, places: __import__("torch").gradient(x, spacing=(places,), dim=1, edge_order=2)[0]),
    *(Row(name, trapezoid, ulp=16, by="max", composed=True, samples=AREAS, refusals=UNFIT) for name in ("trapezoid", "trapz")),
    Row("trapezoid:empty", trapezoid, fn=lambda x: pydl.trapezoid(x), ulp=2, by="max", composed=True, samples=[sample((0,)), sample((3, 0)), sample((3,))]),
    Row("cumulative_trapezoid", cumulative, ulp=16, by="max", composed=True, samples=[one for one in AREAS if one.args[1:] != ((3, 4),)], refusals=UNFIT),
    Row("dist", lambda x, y, p=2: np.sum(np.abs(x - y) ** p) ** (1 / p), ulp=16, by="max", domain=((-2, 0), (0.5, 2)), composed=True,
        samples=[sample((3, 5), (3, 5)), sample((3, 5), (5,), 1), sample((), ()), sample((0,), (0,)), sample((4,), (3, 1), 3)],
        refusals=[bad((2, 3), (4,)), bad((0,), (0,), float("inf")), bad(In((3,), dtype="int64"), In((3,), dtype="int64"), error=TypeError)]),
    Row("renorm", renorm, ulp=16, by="max", composed=True, away=(0,),
        samples=[sample((3, 5), 2, 0, 1.5), sample((3, 5), 1, 1, 3.0), sample((2, 3, 4), 3, -2, 0.5), sample((0, 3), 2, 0, 1.0)],
        refusals=[bad((3,), 2, 0, 1.0), bad((2, 3), -1, 0, 1.0, shapes=False), bad((2, 3), 2, 0, -1.0, shapes=False), bad((2, 3), 2, 2, 1.0, error=IndexError),
                  bad(In((2, 3), dtype="int64"), 2, 0, 1.0, error=TypeError)]),
]
