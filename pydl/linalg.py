"""Linear algebra under torch.linalg's names: norms, factors, inverses, solutions, eigenvalues; batched, with gradients of every order.

NumPy (LAPACK) computes, on the tensors' own memory; float32 in float32. LinAlgError, a RuntimeError, says which matrix of a batch
is singular, not positive definite or not finite. eig() and eigvals() are not here, as there are no complex types.
"""
from pydl.ops.factors import cholesky, cholesky_ex, eigh, eigvalsh, householder_product, qr, svd, svdvals
from pydl.ops.least_squares import cond, lstsq, matrix_rank, pinv
from pydl.ops.linalg_checks import LinAlgError
from pydl.ops.lu import lu, lu_factor, lu_factor_ex, lu_solve
from pydl.ops.matmul import matmul
from pydl.ops.matrix_functions import diagonal, matrix_exp, matrix_power, vander
from pydl.ops.matrix_norms import matrix_norm, norm, vector_norm
from pydl.ops.products import cross_last as cross
from pydl.ops.products import multi_dot, vecdot
from pydl.ops.solvers import det, inv, inv_ex, slogdet, solve, solve_ex, solve_triangular, tensorinv, tensorsolve

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "householder_product", "inv",
    "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv",
    "tensorsolve", "vander", "vecdot", "vector_norm",
]


def __getattr__(name: str) -> object:
    if name in ("eig", "eigvals"):
        raise AttributeError(f"pydl.linalg.{name} does not exist, as there are no complex types; eigh() is for symmetric matrices")
    raise AttributeError(f"module 'pydl.linalg' has no attribute {name!r}")
