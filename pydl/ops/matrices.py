"""Linear algebra under the names that PyTorch has beside torch.linalg: pydl.det, pydl.svd (U, S, V), pydl.cholesky ...

What they call is loaded with the first call, as few programs need it.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydl._core.tensor import Tensor
from pydl.ops.shape import transpose

if TYPE_CHECKING:
    from pydl.ops.factors import QRResult
    from pydl.ops.lu import LUResult
    from pydl.ops.solvers import SlogdetResult


class SvdResult(NamedTuple):
    U: Tensor
    S: Tensor
    V: Tensor


# ---- Determinants and inverses

def det(input: Tensor) -> Tensor:
    """The determinant: linalg.det()."""
    from pydl.ops import solvers

    return solvers.det(input)


def slogdet(input: Tensor) -> SlogdetResult:
    """The sign of the determinant, and the logarithm of its size: linalg.slogdet()."""
    from pydl.ops import solvers

    return solvers.slogdet(input)


def logdet(input: Tensor) -> Tensor:
    """log(det(A)): (..., n, n) -> (...); NaN where the determinant is negative, -infinity where it is 0."""
    from pydl.ops import solvers

    return solvers.logdet(input)


def inverse(input: Tensor) -> Tensor:
    """linalg.inv()."""
    from pydl.ops import solvers

    return solvers.inv(input)


def pinverse(input: Tensor, rcond: Any = 1e-15) -> Tensor:
    """linalg.pinv() with another default."""
    from pydl.ops import least_squares

    return least_squares.pinv(input, rcond)


# ---- Factors, and what they solve

def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """linalg.cholesky()."""
    from pydl.ops import factors

    return factors.cholesky(input, upper=upper)


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with A X = B, A = L L^T (upper: L^T L): B (..., n, k), L (..., n, n), a Cholesky factor -> (..., n, k), which broadcast."""
    from pydl.ops import solvers

    return solvers.cholesky_solve(B, L, upper)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """A^-1, A = L L^T (upper: L^T L), from the Cholesky factor: (..., n, n) -> (..., n, n)."""
    from pydl.ops import solvers

    return solvers.cholesky_inverse(L, upper)


def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """linalg.lu_solve(), the right-hand side first."""
    from pydl.ops import lu

    return lu.lu_solve(LU_data, LU_pivots, b)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> LUResult:
    """P, L and U of what linalg.lu_factor() returned; empty ones where they are not to be unpacked."""
    from pydl.ops import lu

    return lu.lu_unpack(LU_data, LU_pivots, unpack_data, unpack_pivots)


def qr(input: Tensor, some: bool = True) -> QRResult:
    """linalg.qr(): reduced, or complete with some=False."""
    from pydl.ops import factors

    return factors.qr(input, "reduced" if some else "complete")


def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """linalg.householder_product()."""
    from pydl.ops import factors

    return factors.householder("orgqr", input, input2)


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SvdResult:
    """A = U diag(S) V^T: linalg.svd() with V instead of its transpose; some=False: square U and V; compute_uv=False: they are 0."""
    from pydl.ops import factors

    if compute_uv:
        u, s, vh = factors.svd(input, not some)
        return SvdResult(u, s, transpose(vh, -2, -1))
    s = factors.svdvals(input)
    m, n = input.shape[-2:]
    u, v = (input.new_zeros((*input.shape[:-2], size, size)) for size in (m, n))
    return SvdResult(u, s, v)


# ---- Functions

def matrix_exp(input: Tensor) -> Tensor:
    """exp(A) = I + A + A^2 / 2 + ...: linalg.matrix_exp()."""
    from pydl.ops import matrix_functions

    return matrix_functions.matrix_exp(input)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """A A ... A, n times: linalg.matrix_power()."""
    from pydl.ops import matrix_functions

    return matrix_functions.matrix_power(input, n)


__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet", "lu_solve", "lu_unpack", "matrix_exp", "matrix_power",
    "orgqr", "pinverse", "qr", "slogdet", "svd",
]
METHODS = [name for name in __all__ if name != "lu_unpack"]
