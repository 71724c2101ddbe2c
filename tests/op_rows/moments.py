"""Rows of pydl/ops/moments.pyx."""
import numpy as np
from scipy import special

import pydl
from rows import EVERY, INTEGERS, In, Row, bad, reduction, sample


def deviation(x, axis=None, keepdims=False, correction=1):
    return np.sqrt(variance(x, axis, keepdims, correction))


def variance(x, axis=None, keepdims=False, correction=1):
    total = np.sum((x - np.mean(x, axis=axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdims)
    return total / np.maximum(x.size / max(total.size, 1) - correction, 0)


def power_norm(x, axis=None, keepdims=False, p=2):
    a = np.abs(x)
    if p == 0:
        return np.sum(a != 0, axis=axis, keepdims=keepdims).astype(x.dtype)
    if np.isinf(p):
        return (np.max if p > 0 else np.min)(a, axis=axis, keepdims=keepdims)
    return np.sum(a ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def norm(x, p, dim=None, keepdim=False):
    return power_norm(x, dim, keepdim, p)


def logsumexp(x, axis=None, keepdims=False):
    return special.logsumexp(x, axis=axis, keepdims=keepdims) if x.size else np.log(np.sum(x, axis=axis, keepdims=keepdims))


def near(x, dim=None, keepdim=False):
    """What an error of logsumexp is measured at"""
    return 1 + np.abs(special.logsumexp(x, axis=dim, keepdims=keepdim)) if x.size else 1 + np.sum(x, axis=dim, keepdims=keepdim)


P = (1, 2, np.inf, -np.inf, 3, 0.5, 1.5, -1)
ROWS = [
    reduction("var", variance, ulp=32),
    reduction("var:correction", variance, attrs={"correction": 0}, ulp=32),
    reduction("std", deviation, ulp=32),
    Row("norm", norm, ulp=16, away=(0,), kind="uniform", domain=(-2, 2),
        samples=[sample((3, 5, 7), p, dim=d, keepdim=k) for p in P for d, k in ((None, False), (1, True), ((0, 2), False))]
        + [sample((3, 50_001), 2, dim=1), sample((0, 3), 1, dim=0), sample((3, 5), 0, dim=1)],
        refusals=[bad((2, 3), "nuc", match="p must be", shapes=False), bad((2, 3), float("nan"), shapes=False),
                  bad((3, 0), np.inf, dim=1), bad((3, 0), -1, dim=1), bad((2, 3), 2, dim=2, error=IndexError),
                  bad(In((3,), 0, 5, dtype="int64"), 2, error=TypeError)]),
    reduction("logsumexp", logsumexp, ulp=4, by=near),
    reduction("nansum", np.nansum, ulp=32, by="abs", dtypes=EVERY, out={**dict.fromkeys(INTEGERS, "int64"), "bool": "int64"},
              special=False, torch=False),
    Row("nansum:nan", lambda x, dim: np.nansum(np.where(x > 1, np.nan, x), dim), fn=lambda x, dim: pydl.nansum(pydl.where(x > 1, np.nan, x), dim),
        ulp=32, by="abs", away=(1,), samples=[sample((3, 5), 0), sample((70, 9), 1), sample((50,), 0)]),
]
