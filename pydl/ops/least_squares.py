"""Matrices that need not be square or of full rank: pseudo-inverse, least squares, rank and condition, by singular values."""
import math
from typing import Any, NamedTuple

import numpy as np

from pydl._core.checks import tensor_arg
from pydl._core.create import zeros
from pydl._core.declare import declare
from pydl._core.dtypes import bool as bool_
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, mul, sub
from pydl.ops.compare import where
from pydl.ops.elementwise import square
from pydl.ops.factors import svdvals
from pydl.ops.linalg_checks import Array, array, call, finite, matrices, mT, one_type, right_hand_side, same_batch, tensor
from pydl.ops.matmul import matmul
from pydl.ops.matrix_norms import matrix_norm
from pydl.ops.parts import select
from pydl.ops.reduce import sum as total
from pydl.ops.shape import squeeze, unsqueeze
from pydl.ops.solvers import inv_ex


class LstsqResult(NamedTuple):
    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


# ---- Small singular values

def _threshold(op: str, sizes: Array, shape: tuple[int, ...], atol: Any, rtol: Any) -> Array:
    """Below which singular values count as 0: max(atol, rtol * the largest); rtol is eps * max(m, n) unless atol is given."""
    given = []
    for name, value in (("atol", atol), ("rtol", rtol)):
        if isinstance(value, Tensor):
            value = array(value).astype(np.float64)
        elif value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise TypeError(f"{op}: {name} must be a number or a Tensor, got {type(value).__name__}")
        given.append(value)
    if given[1] is None:
        given[1] = 0.0 if atol is not None and np.any(np.asarray(given[0]) > 0) else np.finfo(sizes.dtype).eps * max(shape[-2:])
    largest = sizes.max(-1, initial=0)
    return np.maximum(0.0 if given[0] is None else given[0], np.asarray(given[1]) * largest)[..., None]


def _decomposed(op: str, a: Tensor, hermitian: bool) -> tuple[Array, Array, Array]:
    """U, S, Vh with S >= 0, in no order"""
    values = finite(op, a)
    if hermitian:
        w, q = call(op, "the iteration did not converge", np.linalg.eigh, values)
        return q, np.abs(w), np.sign(w)[..., None] * np.swapaxes(q, -1, -2)
    return call(op, "the iteration did not converge", lambda x: np.linalg.svd(x, full_matrices=False), values)


@np.errstate(all="ignore")
def _product(u: Array, s: Array, vh: Array, limit: Array, b: Array | None = None) -> Array:
    """V diag(1 / S) U^T, or that times b; what is not above the limit counts as 0, and so does its inverse."""
    scale = np.where(s > limit, 1 / s, 0).astype(s.dtype)
    v, ut = np.swapaxes(vh, -1, -2), np.swapaxes(u, -1, -2)
    return v * scale[..., None, :] @ ut if b is None else v @ (scale[..., None] * (ut @ np.ascontiguousarray(b)))


# ---- The pseudo-inverse

def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """Moore's and Penrose's inverse: V diag(1 / S) U^T, where S > max(atol, rtol S_0): (..., m, n) -> (..., n, m).

    rtol (also as rcond) is eps max(m, n) by default, 0 where atol is given; numbers, or tensors with A's leading dimensions.
    hermitian: A is symmetric, eigenvalues take the place of singular ones. The gradient holds while the rank stays as it is
    (Golub & Pereyra 1973). Raises LinAlgError for NaN and infinities.
    """
    a = matrices("pinv", A, square=bool(hermitian))
    u, s, vh = _decomposed("pinv", a, hermitian)
    limit = _threshold("pinv", s, a.shape, atol, rcond if rtol is None else rtol)
    y = tensor(_product(u, s, vh, limit), a)
    return PINV.record(y, (a,), (a, y))


def _pinv_rule(dy: Tensor, a: Tensor, p: Tensor) -> Tensor:
    """-P^T G P^T + (I - A P) G^T P P^T + P^T P G^T (I - P A), from dP = -P dA P + P P^T dA^T (I - A P) + (I - P A) dA^T P^T P"""
    g, pt = mT(dy), mT(p)
    gpp, ppg = matmul(g, matmul(p, pt)), matmul(matmul(pt, p), g)
    outside = add(sub(gpp, matmul(a, matmul(p, gpp))), sub(ppg, matmul(matmul(ppg, p), a)))
    return sub(outside, matmul(matmul(pt, dy), pt))


def pinv_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return _pinv_rule(dy, *saved)


PINV = declare(pinv, pinv_backward)


# ---- Least squares

def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LstsqResult:
    """The X of least |A X - B|, of these the shortest: A (..., m, n), B (..., m, k) or vectors as in solve() -> X (..., n, k).

    (solution, residuals, rank, singular_values). residuals: sums of (A X - B)^2, (..., k), empty unless m > n and all ranks are
    n. rank: int64, of singular values above rcond S_0 (by default eps max(m, n)). singular_values with driver "gelsd" or "gelss",
    else empty; all drivers ("gels", "gelsy", "gelsd", "gelss") compute by singular values. Raises LinAlgError for NaN.
    """
    a, b = matrices("lstsq", A), tensor_arg("lstsq", B, "B")
    one_type("lstsq", a, b)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ValueError(f"lstsq: driver must be 'gels', 'gelsy', 'gelsd' or 'gelss', got {driver!r}")
    wide, vector = right_hand_side("lstsq", a, b)
    a, wide = same_batch("lstsq", a, wide)
    u, s, vh = _decomposed("lstsq", a, False)
    limit = _threshold("lstsq", s, a.shape, None, rcond)
    x = LSTSQ.record(tensor(_product(u, s, vh, limit, array(wide)), a), (a, wide), (a, wide), rcond)
    rank = np.asarray((s > limit).sum(-1))
    m, n = a.shape[-2:]
    if m > n and (rank == n).all():
        residuals = total(square(sub(matmul(a, x), wide)), -2)
        residuals = squeeze(residuals, -1) if vector and residuals.ndim > 1 else residuals
    else:
        residuals = zeros(0, dtype=a.dtype)
    kept = tensor(s, a) if driver in ("gelsd", "gelss") else zeros(0, dtype=a.dtype)
    return LstsqResult(squeeze(x, -1) if vector else x, residuals, from_numpy(rank.astype(np.int64)), kept)


def lstsq_backward(dy: Any, need: Any, saved: Any, rcond: Any) -> Any:
    a, b = saved
    p = pinv(a, rcond)
    return _pinv_rule(matmul(dy, mT(b)), a, p) if need[0] else None, matmul(mT(p), dy) if need[1] else None


LSTSQ = declare(lstsq, lstsq_backward)


# ---- Rank and condition

def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """How many singular values are above max(atol, rtol S_0): (..., m, n) -> (...), int64. tol, atol, rtol, hermitian as in pinv();
    tol is atol. No derivative. Raises LinAlgError for NaN and infinities."""
    a = matrices("matrix_rank", A, square=bool(hermitian))
    values = finite("matrix_rank", a)
    if hermitian:
        s = np.abs(call("matrix_rank", "the iteration did not converge", np.linalg.eigvalsh, values))
    else:
        s = call("matrix_rank", "the iteration did not converge", lambda x: np.linalg.svd(x, compute_uv=False), values)
    limit = _threshold("matrix_rank", s, a.shape, tol if atol is None else atol, rtol)
    return from_numpy(np.asarray((s > limit).sum(-1), np.int64))


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition |A| |A^-1|: (..., n, n) -> (...); infinite where singular. p as ord in matrix_norm(); None, 2 and -2: the
    ratio of the largest and the smallest singular value (its inverse), for (..., m, n), too. 0 for no elements."""
    ratio = p is None or p in (2, -2)
    a = matrices("cond", A, square=not ratio)
    if 0 in a.shape[-2:]:
        return zeros(a.shape[:-2], dtype=a.dtype)
    if ratio:
        s = svdvals(a)
        largest, smallest = select(s, -1, 0), select(s, -1, -1)
        return div(smallest, largest) if p == -2 else div(largest, smallest)
    size = matrix_norm(a, p)
    inverse, info = inv_ex(a)
    if not bool((info != 0).any()):
        return mul(size, matrix_norm(inverse, p))
    wrong = (info != 0).to(bool_)
    safe = where(unsqueeze(unsqueeze(wrong, -1), -1), 0.0, inverse)
    return where(wrong, math.inf, mul(size, matrix_norm(safe, p)))


