"""The errors that csrc/vec*.h states, in ulp, over dense samples of the whole range: every exponent, both signs, the edges
of every branch, subnormals on either side. Float32 against float64 libraries, float64 against long double ones or mpmath."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

import pydl

Function = Callable[[np.ndarray], np.ndarray]
SAMPLES = 1 << 16


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


# name: (reference, ulp in float32, ulp in float64), as the comments in csrc say.
STATED: dict[str, tuple[Function, float, float]] = {
    "exp": (np.exp, 1.1, 1.1),
    "exp2": (np.exp2, 1.1, 1.1),
    "expm1": (np.expm1, 1.4, 1.7),
    "log": (np.log, 0.9, 0.9),
    "log2": (np.log2, 0.9, 0.9),
    "log10": (np.log10, 0.9, 0.9),
    "log1p": (np.log1p, 0.9, 0.9),
    "tanh": (np.tanh, 1.8, 1.8),
    "sinh": (np.sinh, 2.3, 2.3),
    "cosh": (np.cosh, 1.5, 1.5),
    "asinh": (np.arcsinh, 1.7, 1.8),
    "acosh": (np.arccosh, 2.2, 2.2),
    "atanh": (np.arctanh, 2.0, 2.0),
    "sin": (np.sin, 2.2, 1.8),
    "cos": (np.cos, 2.2, 1.8),
    "tan": (np.tan, 3.8, 3.6),
    "asin": (np.arcsin, 2.4, 2.2),
    "acos": (np.arccos, 1.2, 1.2),
    "atan": (np.arctan, 1.9, 1.8),
    "sqrt": (np.sqrt, 0.5, 0.5),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5, 1.5),
}
NORMAL = {"sigmoid": (sigmoid, 2.6, 2.6), "silu": (lambda x: x * sigmoid(x), 3.6, 3.6)}   # 0 below the least normal number


def samples(dtype: type, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
    """All exponents alike, then the ordinary range more densely, then subnormals and special values."""
    rng = np.random.default_rng(2026)
    bits = np.dtype(dtype).itemsize * 8
    anything = rng.integers(0, 2**bits, SAMPLES, dtype=np.uint64).astype(f"u{bits // 8}").view(dtype)
    ordinary = (rng.uniform(-1, 1, SAMPLES) * 2.0 ** rng.integers(-12, 10, SAMPLES)).astype(dtype)
    around_one = (1 + rng.uniform(-1, 1, SAMPLES) * 2.0 ** -rng.integers(0, 20, SAMPLES)).astype(dtype)
    tiny = np.finfo(dtype).tiny
    subnormal = (rng.uniform(-1, 1, SAMPLES // 8) * tiny).astype(dtype)
    overflow = np.log(float(np.finfo(dtype).max))
    edges = np.concatenate([(overflow + rng.uniform(-1, 1, 999)), np.log(float(tiny)) - rng.uniform(-2, 40, 4999)]).astype(dtype)
    special_values = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, tiny, -tiny, np.finfo(dtype).max,
                               np.finfo(dtype).smallest_subnormal, -np.finfo(dtype).smallest_subnormal], dtype)
    x = np.concatenate([anything, ordinary, around_one, subnormal, edges, special_values])
    return x[~((x < low) | (x > high))]


def errors(name: str, x: np.ndarray, wide: type, reference: Function) -> float:
    with np.errstate(all="ignore"):
        want = reference(x.astype(wide))
    return largest_error(getattr(pydl, name)(pydl.from_numpy(x)).numpy(), want)


def largest_error(got: np.ndarray, want: np.ndarray) -> float:
    """In units in the last place of `want`, which has more digits than `got`. NaN and infinities must agree, but for the
    last step before overflow."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = want.astype(got.dtype)
        edge = np.abs(want) > want.dtype.type(info.max) * (1 - 2.0**-20)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | (edge & (np.abs(got) > info.max * (1 - 2.0**-20)))
        assert np.all(same | (np.isfinite(got) & np.isfinite(rounded))), (got[~same][:3], want[~same][:3])
        unit = np.ldexp(want.dtype.type(1), np.maximum(np.frexp(want)[1] - info.nmant - 1, info.minexp - info.nmant))
        error = np.abs(got - want) / unit
    return float(np.where(same & (edge | ~np.isfinite(rounded)), 0, error).max())


@pytest.mark.parametrize("name", STATED)
def test_float32(name: str) -> None:
    reference, stated, _ = STATED[name]
    assert errors(name, samples(np.float32), np.float64, reference) <= stated


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here")
@pytest.mark.parametrize("name", STATED)
def test_float64(name: str) -> None:
    reference, _, stated = STATED[name]
    assert errors(name, samples(np.float64), np.longdouble, reference) <= stated


@pytest.mark.parametrize("name", NORMAL)
def test_where_the_result_is_normal(name: str) -> None:
    reference, stated32, stated64 = NORMAL[name]
    assert errors(name, samples(np.float32, -80, 1e30), np.float64, reference) <= stated32
    if np.finfo(np.longdouble).nmant >= 63:
        assert errors(name, samples(np.float64, -700, 1e300), np.longdouble, reference) <= stated64


@pytest.mark.parametrize(("dtype", "wide", "stated"), [(np.float32, np.float64, 2.4), (np.float64, np.longdouble, 2.5)])
def test_log_of_one_plus_exp(dtype: type, wide: type, stated: float) -> None:
    if np.finfo(wide).nmant < 52 + 11 * (dtype is np.float64):
        pytest.skip("long double is no wider than double here")
    x = samples(dtype)
    with np.errstate(all="ignore"):
        v = x.astype(wide)
        want = np.minimum(v, 0) - np.log1p(np.exp(-np.abs(v)))
    assert largest_error(pydl.nn.functional.logsigmoid(pydl.from_numpy(x)).numpy(), want) <= stated


def test_error_function_float32() -> None:
    x = samples(np.float32)
    assert errors("erf", x, np.float64, special.erf) <= 1.15
    assert errors("erfc", x[~(x > 9)], np.float64, special.erfc) <= 6
    assert errors("erfc", x, np.float64, special.erfc) <= 9


def test_error_function_float64() -> None:
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.uniform(-1, 1, 1500) * 2.0 ** rng.integers(-8, 5, 1500), [0.0, -0.0, 0.5, 1.0, -1.0, 26.5]])
    exact = {"erf": (mpmath.erf, 1.2), "erfc": (mpmath.erfc, 12), "gelu": (lambda v: v * mpmath.ncdf(v), 16)}
    with mpmath.workprec(1200):
        for name, (function, stated) in exact.items():
            want = [function(mpmath.mpf(float(v))) for v in x]
            got = getattr(pydl, name)(pydl.from_numpy(x)).numpy()
            unit = [max(float(np.spacing(abs(float(e)))), 5e-324) for e in want]
            worst = max(float(abs(mpmath.mpf(float(g)) - e)) / u for g, e, u in zip(got, want, unit, strict=True))
            assert worst <= stated, (name, worst)


def test_gelu() -> None:
    """In float32 accurate relative to |x|, not to the lower tail's own size; 0 below -5.4."""
    x = samples(np.float32, -1e30, 1e30)
    y = pydl.gelu(pydl.from_numpy(x)).numpy().astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(y - x * special.ndtr(x.astype(np.float64)))
    wrong = error > np.maximum(3 * np.spacing(np.abs(x)).astype(np.float64), 1e-45)
    assert not np.any(wrong & ~np.isnan(x) & (x > -5.4)), x[wrong][:5]
    assert np.nanmax(error[x <= -5.4]) < 1.9e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pow(dtype: type) -> None:
    rng = np.random.default_rng(3)
    x = np.abs(samples(dtype))
    y = (rng.uniform(-1, 1, x.size) * 2.0 ** rng.integers(-4, 8, x.size)).astype(dtype)
    wide = np.float64 if dtype is np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        want = np.power(x.astype(wide), y.astype(wide))
    got = pydl.pow(pydl.from_numpy(x), pydl.from_numpy(y)).numpy()
    assert largest_error(got, want) <= 1.3


def test_atan2() -> None:
    x, y = samples(np.float32), np.random.default_rng(5).permutation(samples(np.float32))
    with np.errstate(all="ignore"):
        want = np.arctan2(y.astype(np.float64), x.astype(np.float64))
    assert largest_error(pydl.atan2(pydl.from_numpy(y), pydl.from_numpy(x)).numpy(), want) <= 2.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainders_are_exact(dtype: type) -> None:
    x, y = samples(dtype), np.random.default_rng(5).permutation(samples(dtype))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(pydl.fmod(pydl.from_numpy(x), pydl.from_numpy(y)).numpy(), np.fmod(x, y))
        np.testing.assert_array_equal(pydl.remainder(pydl.from_numpy(x), pydl.from_numpy(y)).numpy(), np.remainder(x, y))


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "expm1", "log1p", "sin", "erf", "sqrt"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signed_zeros(name: str, dtype: type) -> None:
    got = getattr(pydl, name)(pydl.from_numpy(np.array([0.0, -0.0], dtype))).numpy()
    if name == "exp":
        np.testing.assert_array_equal(got, 1)
    elif name == "log":
        np.testing.assert_array_equal(got, -np.inf)
    else:
        np.testing.assert_array_equal(np.signbit(got), [False, True])
        np.testing.assert_array_equal(got, 0)


@pytest.mark.parametrize("name", [*STATED, "sigmoid", "gelu", "erf", "erfc"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_and_tails_agree(name: str, dtype: type) -> None:
    """An element's bits do not depend on where in a row it stands."""
    x = samples(dtype)[:: SAMPLES // 64]
    function = getattr(pydl, name)
    whole = function(pydl.from_numpy(x)).numpy()
    alone = np.concatenate([function(pydl.from_numpy(x[i:i + 1])).numpy() for i in range(x.size)])
    shifted = function(pydl.from_numpy(np.repeat(x, 3)[1:])[::3]).numpy()
    np.testing.assert_array_equal(whole.view(f"u{whole.itemsize}"), alone.view(f"u{whole.itemsize}"))
    np.testing.assert_array_equal(shifted.view(f"u{whole.itemsize}"), whole.view(f"u{whole.itemsize}"))
