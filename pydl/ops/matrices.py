"""Linear algebra under the names that PyTorch has beside torch.linalg: pydl.det, pydl.svd (U, S, V), pydl.cholesky ..."""
from typing import Any, NamedTuple

from pydl._core.tensor import Tensor
from pydl.ops import factors, lu
from pydl.ops.least_squares import pinv
from pydl.ops.linalg_checks import matrices, mT
from pydl.ops.matrix_functions import matrix_exp, matrix_power
from pydl.ops.solvers import cholesky_inverse, cholesky_solve, det, inv, logdet, slogdet


class SvdResult(NamedTuple):
    U: Tensor
    S: Tensor
    V: Tensor


def inverse(input: Tensor) -> Tensor:
    """linalg.inv()."""
    return inv(input)


def pinverse(input: Tensor, rcond: Any = 1e-15) -> Tensor:
    """linalg.pinv() with another default."""
    return pinv(input, rcond)


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """linalg.cholesky()."""
    return factors.cholesky(input, upper=upper)


def qr(input: Tensor, some: bool = True) -> factors.QRResult:
    """linalg.qr(): reduced, or complete with some=False."""
    return factors.qr(input, "reduced" if some else "complete")


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SvdResult:
    """A = U diag(S) V^T: linalg.svd() with V instead of its transpose; some=False: square U and V; compute_uv=False: they are 0."""
    if compute_uv:
        u, s, vh = factors.svd(input, not some)
        return SvdResult(u, s, mT(vh))
    a = matrices("svd", input)
    m, n = a.shape[-2:]
    u, v = (a.new_zeros((*a.shape[:-2], size, size)) for size in (m, n))
    return SvdResult(u, factors.svdvals(a), v)


def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """linalg.lu_solve(), the right-hand side first."""
    return lu.lu_solve(LU_data, LU_pivots, b)


def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """linalg.householder_product()."""
    return factors.householder_product(input, input2)


__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet", "lu_solve", "matrix_exp", "matrix_power",
    "orgqr", "pinverse", "qr", "slogdet", "svd",
]
METHODS = [*__all__]
