"""Rows of pydl/ops/statistics.py."""
import warnings

import numpy as np

import pydl
from rows import EVERY, LARGE, WIDTHS, Flat, In, Row, bad, sample


def pair(root):
    def reference(x, dim=None, keepdim=False, correction=1):
        return root(np.var(x, axis=dim, keepdims=keepdim, ddof=correction)), np.mean(x, axis=dim, keepdims=keepdim)
    return reference


def middle(x):
    return np.sort(x, None)[(x.size - 1) // 2] if x.size else np.float64(np.nan)


def mode(x, dim=-1, keepdim=False):
    x = np.moveaxis(np.atleast_1d(x), dim, -1)
    values, places = np.empty(x.shape[:-1], x.dtype), np.empty(x.shape[:-1], np.int64)
    for at in np.ndindex(values.shape):
        found, counts = np.unique(x[at], return_counts=True)
        values[at] = found[np.argmax(counts)]
        places[at] = np.flatnonzero(x[at] == values[at])[-1]
    return tuple(np.moveaxis(part[..., None], -1, dim) if keepdim else part for part in (values, places))


def quantiles(name):
    def reference(x, q, dim=None, keepdim=False, interpolation="linear"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(getattr(np, name)(x, q, axis=dim, keepdims=keepdim, method=interpolation))
    return reference


def covariance(x, correction=1, fweights=None, aweights=None):
    return np.asarray(np.cov(x, ddof=correction, fweights=fweights, aweights=aweights))


MOMENTS = [sample((n,)) for n in (2, 7, 33)] + [sample((3, 5), dim=0), sample((2, 3, 4), dim=(0, 2), keepdim=True), sample((3, 5), correction=0), sample(LARGE, dim=1)]
REFUSED = [bad((2, 3), dim=2, error=IndexError), bad(Flat(1), error=TypeError)]
WITHOUT = [*REFUSED, bad(In((3,), dtype="int64"), error=TypeError), bad((2, 3), dim=(0, 0), shapes=False)]
INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")
FRACTIONS = In((3,), 0, 1, kind="uniform", grad=False)
QUANTILES = [sample((n,), 0.5) for n in WIDTHS] + [sample((3, 5), 0.3, dim=d, keepdim=k) for d in (None, 0, -1) for k in (False, True)] + [
    sample((2, 3, 4), FRACTIONS, dim=1), sample((2, 3, 4), FRACTIONS, dim=0, keepdim=True), sample((20,), FRACTIONS), sample((), 0.5), sample((2, 3, 4), 1, dim=-2)] + [
    sample((9, 4), q, dim=0, interpolation=way) for way in INTERPOLATIONS[1:] for q in (0.3, FRACTIONS)]
BAD_QUANTILES = [bad((2, 3), 1.5, shapes=False), bad((2, 3), -0.1, shapes=False), bad((2, 3), float("nan"), shapes=False), bad((0,), 0.5), bad((3, 0), 0.5, dim=1),
                 bad((2, 3), 0.5, dim=2, error=IndexError), bad((2, 3), "x", error=TypeError), bad((2, 3), 0.5, interpolation="cubic", shapes=False),
                 bad((2, 3), In((1, 1), 0, 1)), bad((2, 3), In((1,), 0, 1, dtype="float64"), error=TypeError), bad(In((3,), dtype="int64"), 0.5, error=TypeError)]
HOLES = [sample((7,), 0.5), sample((5, 9), 0.3, dim=1), sample((9, 5), FRACTIONS, dim=0, keepdim=True)]


def with_holes(x):
    return np.where(x > 1, np.nan, x)


ROWS = [
    Row("std_mean", pair(np.sqrt), ulp=32, by="max", composed=True, samples=MOMENTS, refusals=WITHOUT),
    Row("var_mean", pair(lambda x: x), ulp=32, by="max", composed=True, samples=MOMENTS, refusals=WITHOUT),
    Row("nanmean", np.nanmean, fn=lambda x, dim=None, keepdim=False: pydl.nanmean(x, dim, keepdim), ulp=32, by="abs", composed=True, torch=False,
        samples=[sample((7,)), sample(()), sample((33, 9))], refusals=WITHOUT),
    Row("nanmean:dims", lambda x, dim: np.nanmean(with_holes(x), dim), fn=lambda x, dim: pydl.nanmean(pydl.where(x > 1, np.nan, x), dim), ulp=32, by="max", away=(1,),
        composed=True, samples=[sample((30, 5), 0), sample((20, 4), 1), sample((3, 40, 2), Flat((0, 1)))], torch=False),
    Row("count_nonzero", lambda x, dim=None: np.asarray(np.count_nonzero(x, dim)), ulp=0, composed=True, dtypes=EVERY, out="int64", diff=(),
        samples=[sample((7,)), sample(()), sample((0, 3)), sample((3, 5), dim=0), sample((2, 3, 4), dim=(0, -1)), sample(LARGE)],
        refusals=[*REFUSED, bad((2, 3), dim=(0, 0), shapes=False)]),
    *(Row(name, middle, ulp=0, ulp64=0, kind="distinct", composed=True, dtypes=EVERY, torch=False,
          samples=[*(sample((n,)) for n in WIDTHS), sample(()), sample((3, 6)), sample((2, 40_000))],
          refusals=[bad((2, 3), 2, error=IndexError), bad((3, 0), 1), bad(In((0,), dtype="int64")), bad(Flat(1), error=TypeError)])
      for name in ("median", "nanmedian")),
    Row("nanmedian:nan", lambda x: np.asarray(middle(x[x <= 1])), fn=lambda x: pydl.nanmedian(pydl.where(x > 1, np.nan, x)), ulp=0, ulp64=0, away=(1,), composed=True,
        torch=False, samples=[sample((33,)), sample((20, 3))]),
    Row("mode", mode, ulp=0, ulp64=0, kind="distinct", composed=True, dtypes=EVERY, torch=False,
        samples=[sample((7,)), sample((33, 9)), sample((33, 9), dim=0), sample((2, 3, 4), dim=1, keepdim=True), sample((0, 3))],
        refusals=[bad((3, 0)), bad((2, 3), dim=2, error=IndexError), bad(Flat(1), error=TypeError)]),
    Row("quantile", quantiles("quantile"), ulp=8, by="max", kind="distinct", composed=True, samples=QUANTILES, refusals=BAD_QUANTILES),
    Row("nanquantile", quantiles("nanquantile"), ulp=8, by="max", kind="distinct", composed=True, samples=QUANTILES, refusals=BAD_QUANTILES),
    Row("nanquantile:nan", lambda x, q, **k: quantiles("nanquantile")(with_holes(x), q, **k), fn=lambda x, q, **k: pydl.nanquantile(pydl.where(x > 1, np.nan, x), q, **k),
        ulp=8, by="max", kind="distinct", away=(1,), composed=True, torch=False, samples=HOLES),
    Row("cov", covariance, ulp=32, by="max", composed=True,
        samples=[sample((7,)), sample((3, 5)), sample((1, 5)), sample((3, 5), correction=0), sample((3, 5), fweights=In((5,), 1, 4, dtype="int64", grad=False)),
                 sample((3, 5), aweights=In((5,), 0.5, 2, grad=False)),
                 sample((3, 5), fweights=In((5,), 1, 4, dtype="int64", grad=False), aweights=In((5,), 0.5, 2, grad=False))],
        refusals=[bad((2, 3, 4)), bad((3, 5), fweights=In((4,), 1, 3, dtype="int64")), bad((3, 5), aweights=In((5,), -2, -1)), bad((3, 5), fweights=In((5,)), error=TypeError),
                  bad((3, 5), aweights=In((5,), dtype="int64"), error=TypeError), bad(In((3,), dtype="bool"), error=TypeError)]),
    Row("corrcoef", lambda x: np.asarray(np.corrcoef(x)), ulp=32, by="max", composed=True, samples=[sample((3, 5)), sample((7,)), sample((2, 50))], atol=1e-5,
        refusals=[bad((2, 3, 4)), bad(Flat(1), error=TypeError)]),
]
