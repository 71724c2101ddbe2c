"""Factors of Gauss's elimination, A = P L U. NumPy has none: columns one by one in blocks, the rest by its matrix product.

That takes some 20 us a column: many small matrices are best a batch, and who wants a solution only is faster with solve().
"""
from typing import Any, NamedTuple

import numpy as np

from pydl._core.checks import tensor_arg
from pydl._core.create import eye
from pydl._core.declare import declare
from pydl._core.dtypes import int32
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, sub
from pydl.ops.grids import tril, triu
from pydl.ops.join import cat
from pydl.ops.linalg_checks import Array, LinAlgError, array, matrices, mT, one_type, place, tensor
from pydl.ops.matmul import matmul
from pydl.ops.parts import narrow
from pydl.ops.solvers import solve_triangular

BLOCK = 32      # columns that are eliminated one by one before the rest of the matrix is updated


class LUResult(NamedTuple):
    P: Tensor
    L: Tensor
    U: Tensor


class LUFactorResult(NamedTuple):
    LU: Tensor
    pivots: Tensor


class LUFactorExResult(NamedTuple):
    LU: Tensor
    pivots: Tensor
    info: Tensor


# ---- Elimination

@np.errstate(all="ignore")
def _eliminated(a: Array) -> tuple[Array, Array]:
    """(b, m, n) -> L below the diagonal and U on and above it, in float64; the row that was swapped with row i, (b, min(m, n)).

    Golub & Van Loan 2013, algorithm 3.4.1 in the blocks of 3.2.10.
    """
    lu = np.array(a, np.float64, order="C")
    count, m, n = lu.shape
    k, each = min(m, n), np.arange(count)
    swaps = np.zeros((count, k), np.int64)
    for first in range(0, k, BLOCK):
        last = min(first + BLOCK, k)
        for i in range(first, last):
            j = i + np.argmax(np.abs(lu[:, i:, i]), -1)
            swaps[:, i] = j
            lower = lu[each, j]
            lu[each, j] = lu[:, i]
            lu[:, i] = lower
            pivot = lu[:, i, i, None]
            lu[:, i + 1:, i] /= np.where(pivot == 0, 1, pivot)      # where it is 0, so is what lies below
            lu[:, i + 1:, i + 1:last] -= lu[:, i + 1:, i, None] * lu[:, None, i, i + 1:last]
        for i in range(first + 1, last):
            lu[:, i, last:] -= (lu[:, i, None, first:i] @ lu[:, first:i, last:])[:, 0]
        lu[:, last:, last:] -= lu[:, last:, first:last] @ lu[:, first:last, last:]
    return lu, swaps


def _permutation(swaps: Array, m: int) -> Array:
    """The matrix P, (..., m, m), of swaps (..., k)."""
    flat = swaps.reshape(int(np.prod(swaps.shape[:-1])), swaps.shape[-1])
    order = np.tile(np.arange(m), (len(flat), 1))
    each = np.arange(len(flat))
    for i in range(flat.shape[-1]):
        j = flat[:, i]
        order[each, j], order[:, i] = order[:, i].copy(), order[each, j].copy()
    p = np.zeros((len(flat), m, m))
    p[each[:, None], order, np.arange(m)] = 1
    return p.reshape(*swaps.shape[:-1], m, m)


def _factored(a: Tensor) -> tuple[LUResult, Array]:
    m, n = a.shape[-2:]
    k, batch = min(m, n), a.shape[:-2]
    found, swaps = _eliminated(array(a).reshape(int(np.prod(batch)), m, n))
    packed, swaps = found.reshape(a.shape), swaps.reshape(*batch, k)
    p = tensor(_permutation(swaps, m), a)
    lower, upper = tensor(np.tril(packed[..., :k], -1) + np.eye(m, k), a), tensor(np.triu(packed[..., :k, :]), a)
    lower, upper = LU.record((lower, upper), (a,), (lower, upper), p)
    return LUResult(p, lower, upper), swaps


def _pivoting(op: str, pivot: bool) -> None:
    if not pivot:
        raise ValueError(f"{op}: elimination without pivoting is not here; use pivot=True")


# ---- The calls

def lu(A: Tensor, *, pivot: bool = True) -> LUResult:
    """A = P L U: P (..., m, m) a permutation, L (..., m, k) lower triangular with 1 on the diagonal, U (..., k, n) upper triangular.

    A (..., m, n), k = min(m, n); partial pivoting. The gradient needs the first k columns (rows) to be independent. Raises
    ValueError for pivot=False, other shapes; TypeError for integers.
    """
    _pivoting("lu", pivot)
    return _factored(matrices("lu", A))[0]


def lu_backward(dy: Any, need: Any, saved: Any, p: Any) -> Any:
    """P L^-T (tril(L^T dL, -1) + triu(dU U^T)) U^-T of the square part; the rest is L^-T dU, or dL U^-T."""
    lower, upper = saved
    dl, du = dy
    m, k, n = lower.shape[-2], lower.shape[-1], upper.shape[-1]
    top, left = narrow(lower, -2, 0, k), narrow(upper, -1, 0, k)
    dl = lower.new_zeros(lower.shape) if dl is None else dl
    du = upper.new_zeros(upper.shape) if du is None else du
    dl_top, du_left, rest = narrow(dl, -2, 0, k), narrow(du, -1, 0, k), None
    if n > k:
        rest = solve_triangular(mT(top), narrow(du, -1, k, n - k), upper=True, unitriangular=True)
        dl_top = sub(dl_top, matmul(rest, mT(narrow(upper, -1, k, n - k))))
    if m > k:
        rest = solve_triangular(mT(left), narrow(dl, -2, k, m - k), upper=False, left=False)
        du_left = sub(du_left, matmul(mT(narrow(lower, -2, k, m - k)), rest))
    inner = add(tril(matmul(mT(top), dl_top), -1), triu(matmul(du_left, mT(left))))
    half = solve_triangular(mT(top), inner, upper=True, unitriangular=True)
    da = solve_triangular(mT(left), half, upper=False, left=False)
    return matmul(p, da if rest is None else cat((da, rest), -1 if n > k else -2))


LU = declare(lu, lu_backward)


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUFactorExResult:
    """(LU, pivots, info): L (without its diagonal) and U in one (..., m, n); pivots (..., k), int32, from 1: what row i was swapped with.

    info (int32) is 0, or the number of the first pivot that is 0. check_errors: raise as lu_factor().
    """
    return _packed("lu_factor_ex", A, pivot, check_errors)


def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactorResult:
    """lu_factor_ex() without info; raises LinAlgError where a pivot is 0, which lu_solve() would divide by."""
    return LUFactorResult(*_packed("lu_factor", A, pivot, True)[:2])


def _packed(op: str, A: Tensor, pivot: bool, check: bool) -> LUFactorExResult:
    _pivoting(op, pivot)
    a = matrices(op, A)
    (_, lower, upper), swaps = _factored(a)
    m, k, n = lower.shape[-2], lower.shape[-1], upper.shape[-1]
    zero = np.diagonal(array(upper), 0, -2, -1) == 0
    info = np.where(zero.any(-1), zero.argmax(-1) + 1, 0) if k else np.zeros(a.shape[:-2])
    if check and info.any():
        index = tuple(int(i) for i in np.argwhere(info)[0])
        raise LinAlgError(f"{op}: {place(info.shape, index)}pivot {int(info[index])} is 0")
    below = tril(lower, -1)
    packed = add(below if n == k else cat((below, a.new_zeros((*a.shape[:-1], n - k))), -1),
                 upper if m == k else cat((upper, a.new_zeros((*a.shape[:-2], m - k, n))), -2))
    return LUFactorExResult(packed, from_numpy((swaps + 1).astype(np.int32)), from_numpy(np.asarray(info, np.int32)))


def _pivots_arg(op: str, factors: Tensor, pivots: object) -> Tensor:
    t = tensor_arg(op, pivots, "pivots")
    m, k = factors.shape[-2], min(factors.shape[-2:])
    if t.dtype is not int32:
        raise TypeError(f"{op}: pivots must be int32, got {t.dtype}")
    if t.shape != (*factors.shape[:-2], k):
        raise ValueError(f"{op}: expected LU (..., m, n) and pivots (..., min(m, n)), got {factors.shape} and {t.shape}")
    swaps = array(t).astype(np.int64) - 1
    if ((swaps < 0) | (swaps >= m)).any():
        raise ValueError(f"{op}: pivots must lie between 1 and {m} (LU {factors.shape})")
    return tensor(_permutation(swaps, m), factors)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> LUResult:
    """P, L and U of what lu_factor() returned; empty ones where they are not to be unpacked."""
    packed = matrices("lu_unpack", LU_data, "LU_data")
    p, nothing = _pivots_arg("lu_unpack", packed, LU_pivots), packed.new_empty((0,))
    m, n = packed.shape[-2:]
    k = min(m, n)
    lower = add(tril(narrow(packed, -1, 0, k), -1), eye(m, k, dtype=packed.dtype)) if unpack_data else nothing
    return LUResult(p if unpack_pivots else nothing, lower, triu(narrow(packed, -2, 0, k)) if unpack_data else nothing)


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X with A X = B of A's factors by lu_factor(); left=False: X A = B; adjoint: A^T in the place of A.

    LU (..., n, n), pivots (..., n), B (..., n, k) -> (..., n, k), which broadcast. Raises LinAlgError where a pivot is 0.
    """
    packed, b = matrices("lu_solve", LU, "LU", square=True), matrices("lu_solve", B, "B")
    one_type("lu_solve", packed, b)
    p = _pivots_arg("lu_solve", packed, pivots)
    if b.shape[-2 if left else -1] != packed.shape[-1]:
        raise ValueError(f"lu_solve: LU {packed.shape} and B {b.shape} do not fit: expected B {'(..., n, k)' if left else '(..., k, n)'}")
    if not left:
        return mT(lu_solve(packed, pivots, mT(b), adjoint=not adjoint))
    if adjoint:
        half = solve_triangular(mT(packed), b, upper=False)
        return matmul(p, solve_triangular(mT(packed), half, upper=True, unitriangular=True))
    half = solve_triangular(packed, matmul(mT(p), b), upper=False, unitriangular=True)
    return solve_triangular(packed, half, upper=True)
