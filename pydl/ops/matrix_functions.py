"""Functions of square matrices, their exponential and powers; Vandermonde's matrix and diagonals as torch.linalg has them."""
from typing import Any

import numpy as np

from pydl._core.checks import int_arg, tensor_arg
from pydl._core.create import arange, eye
from pydl._core.declare import declare
from pydl._core.dtypes import int64
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import pow
from pydl.ops.join import cat
from pydl.ops.linalg_checks import Array, array, matrices, mT, tensor
from pydl.ops.matmul import matmul
from pydl.ops.parts import diagonal as diagonal_of
from pydl.ops.parts import narrow
from pydl.ops.shape import broadcast_to, clone, unsqueeze
from pydl.ops.solvers import inv

# Pade's approximant of order 13, and the norm up to which it is exact to float64's rounding (Higham 2005)
PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
        33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)
NORM_13 = 5.371920351148152


def _exponential(a: Array) -> Array:
    """Scaling and squaring (Higham, The scaling and squaring method for the matrix exponential revisited, 2005)."""
    size = np.abs(a).sum(-2).max(-1, initial=0)
    good = np.isfinite(size)[..., None, None]
    with np.errstate(all="ignore"):
        times = np.where(size > NORM_13, np.ceil(np.log2(np.where(np.isfinite(size), size, 1) / NORM_13)), 0)[..., None, None]
        x = np.where(good, a, 0) * np.exp2(-times)
        b, one = PADE, np.eye(a.shape[-1])
        x2 = x @ x
        x4 = x2 @ x2
        x6 = x4 @ x2
        odd = x @ (x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one)
        even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
        y = np.linalg.solve(even - odd, even + odd)
        for k in range(int(times.max(initial=0))):
            y = np.where(k < times, y @ y, y)
    return np.where(good, y, np.nan)


def matrix_exp(A: Tensor) -> Tensor:
    """exp(A) = I + A + A^2 / 2 + A^3 / 6 + ...: (..., n, n) -> (..., n, n). In float64 inside; NaN and infinities give NaN.

    The gradient is a block of the exponential of a matrix twice as large (Mathias 1996; Najfeld & Havel 1995). Raises
    ValueError for other shapes, TypeError for integers.
    """
    a = matrices("matrix_exp", A, square=True)
    y = tensor(_exponential(array(a).astype(np.float64)), a)
    return MATRIX_EXP.record(y, (a,), (a,))


def matrix_exp_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    a = mT(saved[0])
    n = a.shape[-1]
    blocks = cat((cat((a, dy), -1), cat((a.new_zeros(a.shape), a), -1)), -2)
    return narrow(narrow(matrix_exp(blocks), -2, 0, n), -1, n, n)


MATRIX_EXP = declare(matrix_exp, matrix_exp_backward)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A A ... A, n times: (..., k, k) -> (..., k, k); n = 0: the identity; n < 0: of the inverse. Integers for n >= 0, too.

    By squaring. Raises ValueError for other shapes, LinAlgError where n < 0 and A is singular.
    """
    a, times = tensor_arg("matrix_power", A, "A"), int_arg("matrix_power", n, "n")
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"matrix_power: expected A (..., n, n), got shape {a.shape}")
    if times == 0:
        return clone(broadcast_to(eye(a.shape[-1], dtype=a.dtype), a.shape))
    square, y = inv(a) if times < 0 else a, None
    times = abs(times)
    while times:
        if times & 1:
            y = square if y is None else matmul(y, square)
        times >>= 1
        if times:
            square = matmul(square, square)
    assert y is not None
    return clone(y) if y is a else y


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 1, x, x^2 ... x^(N-1) of every element, as a new last dimension: (..., n) -> (..., n, N), N = n by default."""
    v = tensor_arg("vander", x, "x")
    if v.ndim == 0:
        raise ValueError(f"vander: expected x (..., n), got shape {v.shape}")
    count = int_arg("vander", v.shape[-1] if N is None else N, "N", 1)
    v = v if v.is_floating_point() else v.to(int64)
    return pow(unsqueeze(v, -1), arange(count).to(v.dtype))


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonal of the last two dimensions, as a view: pydl.diagonal with other defaults."""
    return diagonal_of(tensor_arg("diagonal", A, "A"), offset, dim1, dim2)
