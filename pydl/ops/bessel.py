"""Bessel's modified functions of the first kind, orders 0 and 1. In float64 inside, rounded to the input's type."""
import math
from typing import Any

import numpy as np

from pydl._core.declare import declare
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, mul, sign, sub
from pydl.ops.compare import eq, where
from pydl.ops.pointwise import real
from pydl.ops.special import of_numpy

Array = np.ndarray


def _scaled(order: int, x: Array) -> Array:
    """exp(-|x|) I(order, x): the power series up to 30, then the asymptotic one (A&S 9.6.10, 9.7.1)."""
    a = np.abs(x)
    near, far = np.minimum(a, 30), np.maximum(a, 30)
    square, series = near * near / 4, np.ones_like(a)
    for k in range(75, 0, -1):
        series = 1 + series * square / (k * (k + order))
    small = series * np.exp(-near) * (near / 2 if order else 1)
    tail = np.ones_like(a)
    for k in range(25, 0, -1):
        tail = 1 - tail * (4 * order * order - (2 * k - 1) ** 2) / (8 * k * far)
    y = np.where(a < 30, small, tail / np.sqrt(2 * math.pi * far))
    return np.where(np.isnan(x), x, y * np.sign(x) if order else y)


def _over(x: Tensor) -> Tensor:
    """1 / x, and 1 at 0, where it is not used."""
    return div(1, where(eq(x, 0), 1.0, x))


def i0e(input: Tensor) -> Tensor:
    """exp(-|x|) i0(x). Integers become floats."""
    x = real("i0e", input)
    y = of_numpy(x, lambda v: _scaled(0, v))
    return I0E.record(y, (x,), (x, y))


def i0e_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    x, y = saved
    return mul(dy, sub(i1e(x), mul(sign(x), y)))


I0E = declare(i0e, i0e_backward)


def i1e(input: Tensor) -> Tensor:
    """exp(-|x|) i1(x). Integers become floats."""
    x = real("i1e", input)
    y = of_numpy(x, lambda v: _scaled(1, v))
    return I1E.record(y, (x,), (x, y))


def i1e_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    x, y = saved
    return mul(dy, where(eq(x, 0), 0.5, sub(i0e(x), mul(y, add(sign(x), _over(x))))))


I1E = declare(i1e, i1e_backward)


def i0(input: Tensor) -> Tensor:
    """Bessel's modified function of the first kind of order 0. Integers become floats. The derivative is i1."""
    x = real("i0", input)
    return I0.record(of_numpy(x, lambda v: _scaled(0, v) * np.exp(np.abs(v))), (x,), (x,))


def i0_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(dy, i1(saved[0]))


I0 = declare(i0, i0_backward)


def i1(input: Tensor) -> Tensor:
    """Bessel's modified function of the first kind of order 1. Integers become floats. The derivative is i0 - i1 / x."""
    x = real("i1", input)
    y = of_numpy(x, lambda v: _scaled(1, v) * np.exp(np.abs(v)))
    return I1.record(y, (x,), (x, y))


def i1_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    x, y = saved
    return mul(dy, where(eq(x, 0), 0.5, sub(i0(x), mul(y, _over(x)))))


I1 = declare(i1, i1_backward)


__all__ = ["i0"]
METHODS = ["i0"]
