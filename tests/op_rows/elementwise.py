"""Rows of pydl/ops/elementwise.pyx. The ulp are the largest over the whole range (tests/test_ulp.py), rounded up."""
import numpy as np
from scipy import special

from rows import FLOATS, INTEGERS, Flat, In, bad, binary, unary

UNIT = {"domain": (-0.9, 0.9)}
POSITIVE = {"domain": (0.2, 4.0)}
ROUNDING = {"ulp": 0, "dtypes": FLOATS + INTEGERS, "domain": (-9.0, 9.0), "away": tuple(n / 2 for n in range(-18, 19)),
            "gap": 0.02, "second": "the derivative is zero"}

ROWS = [
    unary("exp", np.exp, ulp=1.5),
    unary("exp2", np.exp2, ulp=1.5),
    unary("expm1", np.expm1, ulp=2),
    unary("log", np.log, ulp=1.5, **POSITIVE),
    unary("log2", np.log2, ulp=1.5, **POSITIVE),
    unary("log10", np.log10, ulp=1.5, **POSITIVE),
    unary("log1p", np.log1p, ulp=1.5, domain=(-0.8, 3.0)),
    unary("sqrt", np.sqrt, ulp=0.5, **POSITIVE),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), ulp=1.5, **POSITIVE),
    unary("reciprocal", lambda x: 1 / x, ulp=0.5, away=(0.0,), gap=0.3),
    unary("square", np.square, ulp=0.5),
    unary("sin", np.sin, ulp=2.5),
    unary("cos", np.cos, ulp=2.5),
    unary("tan", np.tan, ulp=4, domain=(-1.2, 1.2)),
    unary("asin", np.arcsin, ulp=2.5, **UNIT),
    unary("acos", np.arccos, ulp=2.5, **UNIT),
    unary("atan", np.arctan, ulp=2),
    binary("atan2", np.arctan2, ulp=2.5, away=(0.0,), gap=0.3,
           refusals=[bad(Flat(1.0), Flat(2.0), error=TypeError)]),
    unary("sinh", np.sinh, ulp=2.5),
    unary("cosh", np.cosh, ulp=1.5),
    unary("asinh", np.arcsinh, ulp=2),
    unary("acosh", np.arccosh, ulp=2.5, domain=(1.2, 4.0)),
    unary("atanh", np.arctanh, ulp=2.5, **UNIT),
    unary("erf", special.erf, ulp=1.5),
    unary("erfc", special.erfc, ulp=6, ulp64=12),
    unary("floor", np.floor, **ROUNDING),
    unary("ceil", np.ceil, **ROUNDING),
    unary("round", np.round, **ROUNDING),
    unary("trunc", np.trunc, **ROUNDING),
    unary("frac", lambda x: x - np.trunc(x), ulp=0, away=(-1, 0, 1), refusals=[bad(In((2,), dtype="int64"), error=TypeError)]),
    unary("nan_to_num", lambda x, nan=0.0, posinf=None, neginf=None: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
          attrs=({"nan": 2.0, "posinf": 3.0, "neginf": -4.0},), ulp=0),
]
