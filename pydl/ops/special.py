"""Special functions: of probability and of the gamma family. In float64 inside, rounded to the input's type."""
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pydl._core.checks import int_arg, number_arg
from pydl._core.declare import declare
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.activations import sigmoid
from pydl.ops.arithmetic import add, div, mul, neg, sub
from pydl.ops.bounds import clamp
from pydl.ops.compare import eq, isnan, le, logical_and, logical_not, lt, where
from pydl.ops.elementwise import erf, erfc, exp, log, log1p, sin, square
from pydl.ops.fused import xlogy
from pydl.ops.pointwise import floats, real, shape_for
from pydl.ops.reduce import sum as total
from pydl.ops.shape import unsqueeze

Array = np.ndarray
ROOT_PI = math.sqrt(math.pi)
ROOT_2 = math.sqrt(2)

# Bernoulli's numbers B(2), B(4) ... B(24) (Abramowitz & Stegun 23.1.3)
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138,
             -236364091 / 2730)


def of_numpy(x: Tensor, function: Callable[[Array], Array]) -> Tensor:
    """function of x as a float64 array, in x's type, outside every graph."""
    with np.errstate(all="ignore"):
        y = np.asarray(function(x.detach().numpy().astype(np.float64)))
    return from_numpy(y).to(x.dtype)


def _erfc(x: Any) -> Array:
    return erfc(from_numpy(np.asarray(x))).numpy()


# ---- Probability

def expit(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)): sigmoid. Integers become floats."""
    return sigmoid(real("expit", input))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; x is kept between eps and 1 - eps where eps is given, else NaN outside 0 to 1.

    Shapes (*) -> (*); integers become floats. The derivative is 0 where x was outside eps to 1 - eps.
    """
    x = real("logit", input)
    if eps is not None:
        eps = number_arg("logit", eps, "eps")
        x = clamp(x, eps, 1 - eps)
    return log(div(x, sub(1, x)))


def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0. Integers become floats."""
    x = real("sinc", input)
    zero = eq(x, 0)
    angle = mul(where(zero, 1.0, x), math.pi)
    return where(zero, 1.0, div(sin(angle), angle))


def ndtr(input: Tensor) -> Tensor:
    """The normal distribution function: erfc(-x / sqrt 2) / 2. Integers become floats."""
    return mul(erfc(mul(real("ndtr", input), -1 / ROOT_2)), 0.5)


def entr(input: Tensor) -> Tensor:
    """-x log x; 0 at 0, -infinity below. Integers become floats."""
    x = real("entr", input)
    given = x.detach()
    return ENTR.record(where(lt(given, 0), -math.inf, neg(xlogy(given, given))), (x,), (x,))


def entr_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(dy, sub(neg(log(saved[0])), 1))


ENTR = declare(entr, entr_backward)


def xlog1py(input: Tensor | float, other: Tensor | float) -> Tensor:
    """input * log1p(other), and 0 where input is 0 (NaN where other is NaN). Shapes broadcast; integers become floats."""
    a, b = floats("xlog1py", input, other)
    shape_for("xlog1py", a, b)
    x, y = a.detach(), b.detach()
    z = where(logical_and(eq(x, 0), logical_not(isnan(y))), 0.0, mul(x, log1p(y)))
    return XLOG1PY.record(z, (a, b), (a, b))


def xlog1py_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    a, b = saved
    da = where(logical_and(eq(a, 0), le(b, -1)), 0.0, mul(dy, log1p(b))) if need[0] else None
    return da, mul(dy, div(a, add(b, 1))) if need[1] else None


XLOG1PY = declare(xlog1py, xlog1py_backward)


# ---- The error function's relatives

def _erfcx(x: Array) -> Array:
    """Below 0 by symmetry, to 4 the product, beyond a continued fraction (Abramowitz & Stegun 7.1.14)."""
    a = np.abs(x)
    near = np.exp(a * a) * _erfc(np.minimum(a, 4))
    tail = a = np.maximum(a, 1)
    for k in range(60, 0, -1):
        tail = a + k / 2 / tail
    y = np.where(np.abs(x) < 4, near, 1 / (ROOT_PI * tail))
    return np.where(x < 0, 2 * np.exp(x * x) - y, y)


def erfcx(input: Tensor) -> Tensor:
    """exp(x^2) erfc(x), without overflow for large x. Integers become floats."""
    x = real("erfcx", input)
    y = of_numpy(x, _erfcx)
    return ERFCX.record(y, (x,), (x, y))


def erfcx_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    x, y = saved
    return mul(dy, sub(mul(mul(x, y), 2), 2 / ROOT_PI))


ERFCX = declare(erfcx, erfcx_backward)


def log_ndtr(input: Tensor) -> Tensor:
    """log(ndtr(x)), without underflow for small x. Integers become floats."""
    x = real("log_ndtr", input)
    y = of_numpy(x, lambda v: np.where(
        v < -1, np.log(_erfcx(-np.minimum(v, -1) / ROOT_2) / 2) - v * v / 2,
        np.log1p(-_erfc(np.maximum(v, -1) / ROOT_2) / 2)))
    return LOG_NDTR.record(y, (x,), (x,))


def log_ndtr_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(dy, div(math.sqrt(2 / math.pi), erfcx(mul(saved[0], -1 / ROOT_2))))


LOG_NDTR = declare(log_ndtr, log_ndtr_backward)


def _inverse_erfc(q: Array) -> Array:
    """y >= 0 with erfc(y) = q, 0 < q <= 1: Winitzki's approximation and three of Halley's steps."""
    w = np.log(q * (2 - q))
    b = 2 / (math.pi * 0.147) + w / 2
    y = np.sqrt(np.sqrt(b * b - w / 0.147) - b)
    for _ in range(3):
        step = (q - _erfc(y)) * (ROOT_PI / 2) * np.exp(y * y)
        y = y - step / (1 + y * step)
    return y


def _inverse_erf(x: Array) -> Array:
    """The same with erf near 0, where 1 - |x| has lost the digits of x."""
    a = np.abs(x)
    y = a * (ROOT_PI / 2) * (1 + a * a * (math.pi / 12))
    for _ in range(3):
        step = (erf(from_numpy(np.asarray(np.minimum(y, 1)))).numpy() - a) * (ROOT_PI / 2) * np.exp(y * y)
        y = y - step / (1 + y * step)
    y = np.where(a < 0.5, y, _inverse_erfc(np.where(a < 0.5, 0.5, 1 - a)))
    return np.copysign(np.where(a == 1, np.inf, y), x)


def erfinv(input: Tensor) -> Tensor:
    """The inverse of erf: infinite at -1 and 1, NaN beyond. Integers become floats."""
    x = real("erfinv", input)
    y = of_numpy(x, _inverse_erf)
    return ERFINV.record(y, (x,), (y,))


def erfinv_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(dy, mul(exp(square(saved[0])), ROOT_PI / 2))


ERFINV = declare(erfinv, erfinv_backward)


def _ndtri(p: Array) -> Array:
    low = 2 * np.minimum(p, 1 - p)
    y = ROOT_2 * _inverse_erfc(np.where((low > 0) & (low <= 1), low, 1))
    y = np.where(np.abs(p - 0.5) < 0.25, ROOT_2 * _inverse_erf(2 * p - 1), np.where(p < 0.5, -y, y))
    y = np.where(p == 0, -np.inf, np.where(p == 1, np.inf, y))
    return np.where((p >= 0) & (p <= 1), y, np.nan)


def ndtri(input: Tensor) -> Tensor:
    """The inverse of ndtr: infinite at 0 and 1, NaN outside. Integers become floats."""
    x = real("ndtri", input)
    y = of_numpy(x, _ndtri)
    return NDTRI.record(y, (x,), (y,))


def ndtri_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(dy, mul(exp(mul(square(saved[0]), 0.5)), math.sqrt(2 * math.pi)))


NDTRI = declare(ndtri, ndtri_backward)


# ---- The gamma function and its derivatives

# (zeta(k) - 1) / k with alternating signs, k = 2 ... 30: log gamma(2 + z) = (1 - Euler's constant) z + ... (A&S 6.1.33)
EULER = 0.5772156649015328606
ZETA_1 = [sum(float(n) ** -k for n in range(60, 1, -1)) + 60.0 ** (1 - k) / (k - 1) - 60.0 ** -k / 2 + k * 60.0 ** (-k - 1) / 12
          - k * (k + 1) * (k + 2) * 60.0 ** (-k - 3) / 720 for k in range(2, 40)]
NEAR_2 = [(-1) ** k * z / k for k, z in enumerate(ZETA_1, 2)]


def _lgamma_above(x: Array) -> Array:
    """x >= 0.5: a series around 2, brought there by the recurrence; Stirling's series from 9 on."""
    x = np.where(np.isfinite(x), x, 1e300)
    large = np.maximum(x, 9)
    r = 1 / (large * large)
    tail = np.zeros_like(x)
    for k in range(9, 0, -1):
        tail = tail * r + BERNOULLI[k - 1] / (2 * k * (2 * k - 1))
    stirling = (large - 0.5) * np.log(large) - large + 0.5 * math.log(2 * math.pi) + tail / large
    z, product = np.minimum(x, 9), np.ones_like(x)
    for _ in range(7):
        high = z >= 2.5
        z = np.where(high, z - 1, z)
        product = np.where(high, product * z, product)
    below = z < 1.5
    z = np.where(below, z - 1, z - 2)
    series = np.zeros_like(x)
    for c in reversed(NEAR_2):
        series = (series + c) * z
    series = (series + (1 - EULER)) * z - np.where(below, np.log1p(np.where(below, z, 0)), 0)
    return np.where(x < 9, series + np.log(product), stirling)


def _lgamma(x: Array) -> Array:
    """Below 0.5 by the reflection pi / |sin(pi x)| = gamma(x) gamma(1 - x)."""
    low = x < 0.5
    small = (x >= 0) & low
    y = _lgamma_above(np.where(small, 1 + x, np.where(low, 1 - x, x)))
    y = np.where(small, y - np.log(x), y)
    sine = np.sin(math.pi * np.abs(x - np.round(x)))
    y = np.where(x < 0, math.log(math.pi) - np.log(sine) - y, y)
    y = np.where((x <= 0) & (x == np.floor(x)), np.inf, y)
    return np.where(np.isnan(x), x, np.where(np.isinf(x), np.inf, y))


def lgamma(input: Tensor) -> Tensor:
    """log |gamma(x)|; infinite at 0, -1, -2 ... and at both infinities. Integers become floats. The derivative is digamma."""
    x = real("lgamma", input)
    return LGAMMA.record(of_numpy(x, _lgamma), (x,), (x,))


def lgamma_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(dy, polygamma(0, saved[0]))


LGAMMA = declare(lgamma, lgamma_backward)


def _digamma(x: Array) -> Array:
    """The recurrence up to 10, then an asymptotic series (A&S 6.3.18); below 0 by reflection."""
    z = np.where(x <= 0, 1 - x, x)
    shift = np.zeros_like(x)
    for _ in range(10):
        low = z < 10
        shift = np.where(low, shift - 1 / np.where(low, z, 1), shift)
        z = np.where(low, z + 1, z)
    r = 1 / (z * z)
    tail = np.zeros_like(x)
    for k in range(8, 0, -1):
        tail = (tail + BERNOULLI[k - 1] / (2 * k)) * r
    y = shift + np.log(z) - 0.5 / z - tail
    part = x - np.round(x)
    y = np.where(x <= 0, y - math.pi * np.cos(math.pi * part) / np.sin(math.pi * part), y)
    y = np.where((x < 0) & (part == 0), np.nan, np.where(x == 0, np.copysign(np.inf, -x), y))
    return np.where(x == -np.inf, np.nan, y)


def digamma(input: Tensor) -> Tensor:
    """The derivative of log gamma(x). At 0 it is -infinity (infinity at -0.0), at -1, -2 ... NaN. Integers become floats."""
    x = real("digamma", input)
    return DIGAMMA.record(of_numpy(x, _digamma), (x,), (x,))


def digamma_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(dy, polygamma(1, saved[0]))


DIGAMMA = declare(digamma, digamma_backward)


def _hurwitz(s: Array, q: Array) -> Array:
    """The sum of (q + k)^-s over k = 0, 1, ...: ten terms and more where q < 0, then Euler's and Maclaurin's sum."""
    s, q = np.broadcast_arrays(s, q)
    y, z = np.zeros(q.shape), q.copy()
    for _ in range(11 + int(min(1000, max(0, -q.min(initial=0))))):
        low = z < 10
        y = np.where(low, y + np.power(z, -s), y)
        z = np.where(low, z + 1, z)
    power = np.power(z, -s)
    y = y + power * z / (s - 1) + power / 2
    factor = s / z
    for k, b in enumerate(BERNOULLI, 1):
        y = y + b / math.factorial(2 * k) * factor * power
        factor = factor * (s + 2 * k - 1) * (s + 2 * k) / (z * z)
    y = np.where((q <= 0) & (q == np.floor(q)), np.inf, y)
    y = np.where((q < 0) & (s != np.floor(s)) & (q != np.floor(q)), np.nan, np.where(q == np.inf, 0.0, y))
    return np.where(np.isnan(s) | np.isnan(q) | (s < 1) | (z < 10), np.nan, np.where(s == 1, np.inf, y))


def zeta(input: Tensor | float, other: Tensor | float) -> Tensor:
    """Hurwitz's zeta function, the sum of (q + k)^-s over k = 0, 1, ...; s is input, q is other. NaN for s < 1 and q < -1000.

    Shapes broadcast; integers become floats. The derivative by q only (that by s raises RuntimeError).
    """
    s, q = floats("zeta", input, other)
    shape_for("zeta", s, q)
    order = s.detach().numpy().astype(np.float64)
    return ZETA.record(of_numpy(q, lambda v: _hurwitz(order, v)), (s, q), (s, q))


def zeta_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    s, q = saved
    if need[0]:
        raise RuntimeError("zeta: there is no derivative by the exponent (input); use detach()")
    return None, mul(dy, mul(neg(s), zeta(add(s, 1), q)))


ZETA = declare(zeta, zeta_backward)


def _polygamma(n: int, x: Array) -> Array:
    if n == 0:
        return _digamma(x)
    if n == 1:
        part = x - np.round(x)
        sine = np.sin(math.pi * np.where(x < 0.5, part, 0.5))
        mirrored = np.square(math.pi / sine) - _hurwitz(np.asarray(2.0), np.where(x < 0.5, 1 - x, 1))
        return np.where(x < 0, np.where(part == 0, np.inf, mirrored), _hurwitz(np.asarray(2.0), np.where(x < 0, 1, x)))
    return (-1.0) ** (n + 1) * math.factorial(n) * _hurwitz(np.asarray(n + 1.0), x)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The derivative of digamma, n times: (-1)^(n + 1) n! zeta(n + 1, x). n = 0 is digamma; n from 0 to 169.

    Integers become floats. Below -1000 it is NaN for n > 1. Raises ValueError for another n.
    """
    n = int_arg("polygamma", n, "n", 0)
    if n > 169:
        raise ValueError(f"polygamma: n must be at most 169, got {n}")
    x = real("polygamma", input)
    return POLYGAMMA.record(of_numpy(x, lambda v: _polygamma(n, v)), (x,), (x,), n)


def polygamma_backward(dy: Any, need: Any, saved: Any, n: Any) -> Any:
    return mul(dy, polygamma(n + 1, saved[0]))


POLYGAMMA = declare(polygamma, polygamma_backward)


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """log of the gamma function of p dimensions: p (p - 1) / 4 log pi + the sum of lgamma(x - j / 2), j = 0 ... p - 1."""
    x, count = real("mvlgamma", input), int_arg("mvlgamma", p, "p", 1)
    if count >= 2**31:
        raise ValueError(f"mvlgamma: p must be below 2**31, got {p}")
    steps = from_numpy(np.arange(count, dtype=np.float64) / 2).to(x.dtype)
    return add(total(lgamma(sub(unsqueeze(x, -1), steps)), -1), count * (count - 1) / 4 * math.log(math.pi))


__all__ = ["digamma", "erfinv", "lgamma", "logit", "mvlgamma", "polygamma", "sinc"]
METHODS = ["digamma", "erfinv", "lgamma", "logit", "mvlgamma", "sinc"]
