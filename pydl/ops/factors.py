"""Factors of matrices: Cholesky, QR, singular values and eigenvalues, by NumPy (LAPACK), with rules made of ops.

Rules: Giles, Collected matrix derivative results for forward and reverse mode AD, 2008 (eigenvalues, Cholesky); Murray,
Differentiation of the Cholesky decomposition, 2016; Townsend, Differentiating the singular value decomposition, 2016;
Walter & Lehmann, Algorithmic differentiation of linear algebra functions, 2010 (QR). Where singular values or eigenvalues
are equal the vectors have no derivative: NaN or infinities. Vectors are determined up to their sign (and equal values up to
a rotation): only losses that do not depend on it have a meaningful gradient.
"""
from typing import Any, Literal, NamedTuple

import numpy as np

from pydl._core.create import eye
from pydl._core.declare import declare
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.autograd import is_grad_enabled
from pydl.ops.arithmetic import add, div, mul, neg, sub
from pydl.ops.elementwise import square
from pydl.ops.grids import diag_embed, tril
from pydl.ops.join import cat
from pydl.ops.linalg_checks import Array, LinAlgError, array, call, finite, matrices, mT, one_by_one, place, tensor
from pydl.ops.matmul import matmul
from pydl.ops.parts import narrow, select
from pydl.ops.shape import broadcast_to, clone, unsqueeze
from pydl.ops.solvers import solve_triangular


class CholeskyExResult(NamedTuple):
    L: Tensor
    info: Tensor


class QRResult(NamedTuple):
    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


class EighResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


# ---- Cholesky

def _minor(a: Array) -> int:
    """The order of the first leading minor that is not positive definite; bisection, as every larger one is not."""
    good, wrong = 0, a.shape[-1]
    while wrong - good > 1:
        middle = (good + wrong) // 2
        try:
            ok = bool(np.isfinite(np.linalg.cholesky(a[:middle, :middle])).all())
        except np.linalg.LinAlgError:
            ok = False
        good, wrong = (middle, wrong) if ok else (good, middle)
    return wrong


def _not_positive(a: Array) -> str:
    return f"the matrix is not positive definite (its leading minor of order {_minor(a)} is not)"


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with A = L L^T, or the upper U with A = U^T U: (..., n, n) -> (..., n, n).

    A is symmetric and positive definite; only its lower (upper) triangle is read. The gradient is symmetric. Raises LinAlgError
    where A is not positive definite, ValueError for other shapes, TypeError for integers.
    """
    a = matrices("cholesky", A, square=True)
    if upper:
        return mT(cholesky(mT(a)))
    y = call("cholesky", _not_positive, np.linalg.cholesky, array(a))
    good = np.isfinite(np.diagonal(y, 0, -2, -1)).all(-1)
    if not good.all():      # of NaN, NumPy makes NaN
        index = tuple(int(i) for i in np.argwhere(~good)[0])
        raise LinAlgError(f"cholesky: {place(good.shape, index)}{_not_positive(array(a)[index])}")
    L = tensor(y, a)
    return CHOLESKY.record(L, (a,), (L,))


def half_lower(x: Tensor) -> Tensor:
    """The lower triangle with half of the diagonal."""
    return mul(add(tril(x), tril(x, -1)), 0.5)


def cholesky_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    (L,) = saved
    inner = half_lower(matmul(mT(L), dy))
    half = solve_triangular(mT(L), inner, upper=True)
    s = solve_triangular(L, half, upper=False, left=False)
    return mul(add(s, mT(s)), 0.5)


CHOLESKY = declare(cholesky, cholesky_backward)


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyExResult:
    """cholesky() that raises nothing: (L, info). info (int32) is 0, or the order of the first leading minor that is not positive
    definite; L is NaN there. check_errors: raise as cholesky()."""
    a = matrices("cholesky_ex", A, square=True)
    if check_errors:
        L = cholesky(a, upper=upper)
        return CholeskyExResult(L, from_numpy(np.zeros(a.shape[:-2], np.int32)))
    source = mT(a) if upper else a
    y, info = one_by_one(np.linalg.cholesky, _minor, array(source))
    L = tensor(y, a)
    L = CHOLESKY.record(L, (source,), (L,))
    return CholeskyExResult(mT(L) if upper else L, from_numpy(np.asarray(info)))


# ---- QR

def qr(A: Tensor, mode: str = "reduced") -> QRResult:
    """A = Q R, Q with orthonormal columns, R upper triangular: (..., m, n) -> Q (..., m, k), R (..., k, n), k = min(m, n).

    mode "complete": Q (..., m, m), R (..., m, n); "r": R alone, Q is empty. The diagonal of R has LAPACK's signs. The gradient
    exists where the first k columns are independent, but not for "r", nor for "complete" with m > n (RuntimeError).
    """
    a = matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    if mode == "r":
        return QRResult(a.new_empty((0,)), QR.record(tensor(call("qr", "", lambda x: np.linalg.qr(x, "r"), array(a)), a), (a,), (), mode))
    q, r = (tensor(x, a) for x in call("qr", "", lambda x: np.linalg.qr(x, "reduced" if mode == "reduced" else "complete"), array(a)))
    return QRResult(*QR.record((q, r), (a,), (q, r, a), mode))


def qr_backward(dy: Any, need: Any, saved: Any, mode: Any) -> Any:
    if mode == "r":
        raise RuntimeError("qr: there is no derivative with mode='r', as it needs Q; use mode='reduced'")
    q, r, a = saved
    dq, dr = dy
    m, n = a.shape[-2:]
    if mode == "complete" and m > n:
        raise RuntimeError(f"qr: there is no derivative with mode='complete' for more rows than columns (shape {a.shape}); use 'reduced'")
    if m >= n:
        return _qr_square(q, r, dq, dr)
    # A = [X Y], R = [U V]: Q R = X factors as above, and V = Q^T Y
    if dr is not None:
        dv, y = narrow(dr, -1, m, n - m), narrow(a, -1, m, n - m)
        shift = matmul(y, mT(dv))
        dq = shift if dq is None else add(dq, shift)
        return cat((_qr_square(q, narrow(r, -1, 0, m), dq, narrow(dr, -1, 0, m)), matmul(q, dv)), -1)
    left = _qr_square(q, narrow(r, -1, 0, m), dq, None)
    return cat((left, a.new_zeros((*a.shape[:-1], n - m))), -1)


def _qr_square(q: Tensor, r: Tensor, dq: Tensor | None, dr: Tensor | None) -> Tensor:
    """(dQ + Q copyltu(R dR^T - dQ^T Q)) R^-T, copyltu: the symmetric matrix with that lower triangle"""
    inner = None if dr is None else matmul(r, mT(dr))
    if dq is not None:
        own = matmul(mT(dq), q)
        inner = neg(own) if inner is None else sub(inner, own)
    assert inner is not None
    whole = matmul(q, add(tril(inner), mT(tril(inner, -1))))
    return solve_triangular(mT(r), whole if dq is None else add(dq, whole), upper=False, left=False)


QR = declare(qr, qr_backward)


# ---- Singular values

def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVDResult:
    """A = U diag(S) Vh: (..., m, n) -> U (..., m, m), S (..., k) falling, Vh (..., n, n), k = min(m, n); U and V are orthogonal.

    full_matrices=False: U (..., m, k) and Vh (..., k, n). driver is accepted and not looked at. The gradient needs different
    singular values, and none that is 0 where m != n; that of the further columns of full matrices is taken as 0. Raises
    LinAlgError for NaN and infinities.
    """
    a = matrices("svd", A)
    values = finite("svd", a)
    found = call("svd", "the iteration did not converge", lambda x: np.linalg.svd(x, full_matrices=bool(full_matrices)), values)
    u, s, vh = (tensor(x, a) for x in found)
    return SVDResult(*SVD.record((u, s, vh), (a,), (u, s, vh)))


def _skew(x: Tensor) -> Tensor:
    return sub(x, mT(x))


def svd_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    u, s, vh = saved
    du, ds, dvh = dy
    m, n, k = u.shape[-2], vh.shape[-1], s.shape[-1]
    u, vh = narrow(u, -1, 0, k), narrow(vh, -2, 0, k)
    if du is None and dvh is None:
        return matmul(mul(u, unsqueeze(ds, -2)), vh)
    column, row = unsqueeze(s, -1), unsqueeze(s, -2)
    gaps = add(sub(square(row), square(column)), eye(k, dtype=s.dtype))     # s_j^2 - s_i^2, and 1 on the diagonal
    inner = diag_embed(ds) if ds is not None else None
    outside = None
    if du is not None:
        du = narrow(du, -1, 0, k)
        own = matmul(mT(u), du)
        part = mul(div(_skew(own), gaps), row)
        inner = part if inner is None else add(inner, part)
        if m > k:
            outside = matmul(div(sub(du, matmul(u, own)), row), vh)
    if dvh is not None:
        dvh = narrow(dvh, -2, 0, k)
        own = matmul(vh, mT(dvh))
        part = mul(column, div(_skew(own), gaps))
        inner = part if inner is None else add(inner, part)
        if n > k:
            rest = matmul(u, div(sub(dvh, matmul(mT(own), vh)), column))
            outside = rest if outside is None else add(outside, rest)
    assert inner is not None
    da = matmul(u, matmul(inner, vh))
    return da if outside is None else add(da, outside)


SVD = declare(svd, svd_backward)


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of A, falling: (..., m, n) -> (..., min(m, n)). As svd(), but the gradient always exists where they differ."""
    a = matrices("svdvals", A)
    if a.requires_grad and is_grad_enabled():
        return svd(a, False).S
    values = finite("svdvals", a)
    return tensor(call("svdvals", "the iteration did not converge", lambda x: np.linalg.svd(x, compute_uv=False), values), a)


# ---- Eigenvalues

def _triangle_arg(op: str, UPLO: object) -> Literal["L", "U"]:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise ValueError(f"{op}: UPLO must be 'L' or 'U', got {UPLO!r}")
    return "L" if UPLO.upper() == "L" else "U"


def eigh(A: Tensor, UPLO: str = "L") -> EighResult:
    """A = Q diag(w) Q^T of symmetric matrices, eigenvalues w rising: (..., n, n) -> w (..., n), Q (..., n, n), orthogonal.

    Only the lower ("L") or upper ("U") triangle is read. The gradient of the eigenvectors needs different eigenvalues. Raises
    LinAlgError for NaN and infinities.
    """
    a, side = matrices("eigh", A, square=True), _triangle_arg("eigh", UPLO)
    found = call("eigh", "the iteration did not converge", lambda x: np.linalg.eigh(x, side), finite("eigh", a))
    w, q = (tensor(x, a) for x in found)
    return EighResult(*EIGH.record((w, q), (a,), (w, q)))


def eigh_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    w, q = saved
    dw, dq = dy
    if dq is None:
        return matmul(mul(q, unsqueeze(dw, -2)), mT(q))
    gaps = sub(unsqueeze(w, -2), unsqueeze(w, -1))      # w_j - w_i
    one = eye(w.shape[-1], dtype=w.dtype)
    inner = div(mul(matmul(mT(q), dq), sub(1, one)), add(gaps, one))
    if dw is not None:
        inner = add(inner, diag_embed(dw))
    return matmul(q, matmul(inner, mT(q)))


EIGH = declare(eigh, eigh_backward)


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, rising: (..., n, n) -> (..., n). As eigh(); the gradient needs no gaps."""
    a, side = matrices("eigvalsh", A, square=True), _triangle_arg("eigvalsh", UPLO)
    if a.requires_grad and is_grad_enabled():
        return eigh(a, side).eigenvalues
    values = finite("eigvalsh", a)
    return tensor(call("eigvalsh", "the iteration did not converge", lambda x: np.linalg.eigvalsh(x, side), values), a)


# ---- Householder

def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of H_1 H_2 ... H_k, H_i = I - tau_i v_i v_i^T, v_i: column i of A below a 1 on the diagonal, zeros above.

    A (..., m, n) with m >= n, tau (..., k) with k <= n -> (..., m, n). Raises ValueError where shapes do not fit.
    """
    return householder("householder_product", A, tau)


def householder(op: str, A: Tensor, tau: Tensor) -> Tensor:
    a, t = matrices(op, A), tau
    if not isinstance(t, Tensor) or t.dtype is not a.dtype:
        raise TypeError(f"{op}: expected tau of {a.dtype}, got {t.dtype if isinstance(t, Tensor) else type(t).__name__}")
    m, n = a.shape[-2:]
    if m < n or t.ndim != a.ndim - 1 or t.shape[:-1] != a.shape[:-2] or t.shape[-1] > n:
        raise ValueError(f"{op}: expected A (..., m, n), m >= n, and tau (..., k), k <= n, got {a.shape} and {t.shape}")
    vectors = add(tril(a, -1), eye(m, n, dtype=a.dtype))
    q = clone(broadcast_to(eye(m, n, dtype=a.dtype), a.shape))
    for i in range(t.shape[-1] - 1, -1, -1):
        v = narrow(vectors, -1, i, 1)
        scaled = mul(v, unsqueeze(unsqueeze(select(t, -1, i), -1), -1))
        q = sub(q, matmul(scaled, matmul(mT(v), q)))
    return q
