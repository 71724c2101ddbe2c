"""Systems of equations: determinants, inverses and solutions, by NumPy (LAPACK), with rules made of ops (Giles 2008)."""
import math
from typing import Any, NamedTuple

import numpy as np

from pydl._core.checks import dim_arg, int_arg, tensor_arg
from pydl._core.create import eye
from pydl._core.declare import declare
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import abs as absolute
from pydl.ops.arithmetic import add, mul, neg
from pydl.ops.compare import isfinite, logical_and, logical_not, lt, where
from pydl.ops.extremes import amax
from pydl.ops.grids import tril, triu
from pydl.ops.linalg_checks import Array, array, call, matrices, mT, one_by_one, one_type, right_hand_side, same_batch, tensor
from pydl.ops.matmul import matmul
from pydl.ops.reduce import prod
from pydl.ops.reduce import sum as total
from pydl.ops.shape import broadcast_to, movedim, permute, reshape, squeeze, unsqueeze

SINGULAR = "the matrix is singular"
ILL = 1e7       # the condition from which on det(A) times the inverse has lost half of the digits of the cofactors


class SlogdetResult(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class InvExResult(NamedTuple):
    inverse: Tensor
    info: Tensor


class SolveExResult(NamedTuple):
    result: Tensor
    info: Tensor


def first_zero_pivot(a: Array) -> int:
    """The number, from 1, of the first pivot that is 0 in elimination with partial pivoting; n where rounding hides it."""
    u = np.array(a)
    for i in range(len(u)):
        j = i + int(np.argmax(np.abs(u[i:, i])))
        if u[j, i] == 0:
            return i + 1
        u[[i, j]] = u[[j, i]]
        u[i + 1:] -= np.outer(u[i + 1:, i] / u[i, i], u[i])
    return len(u)


# ---- Determinants

def det(A: Tensor) -> Tensor:
    """The determinant: (..., n, n) -> (...); 1 for n = 0. The gradient, the matrix of cofactors, exists for singular matrices, too.

    Raises ValueError for other shapes, TypeError for integers.
    """
    a = matrices("det", A, square=True)
    y = tensor(call("det", "", np.linalg.det, array(a)), a)
    return DET.record(y, (a,), (a, y))


def _cofactors(a: Tensor) -> Tensor:
    """d det(A) / dA from A = U S V^T: det(U) det(V) U C V^T, C_ii the product of all other singular values"""
    from pydl.ops.factors import svd

    u, s, vh = svd(a)
    n = s.shape[-1]
    others = where(eye(n, dtype=s.dtype).bool(), 1.0, broadcast_to(unsqueeze(s, -2), (*s.shape, n)))
    sign = tensor(np.linalg.det(array(u)) * np.linalg.det(array(vh)), a).round()
    return matmul(mul(u, unsqueeze(mul(prod(others, -1), unsqueeze(sign, -1)), -2)), vh)


def det_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    a, y = saved
    dy, y = (unsqueeze(unsqueeze(x, -1), -1) for x in (dy, y))
    inverse, _ = inv_ex(a)
    if not a.numel():
        return mul(mul(y, dy), mT(inverse))
    size = mul(*(amax(total(absolute(x.detach()), -1), -1) for x in (a, inverse)))
    flat = logical_and(logical_not(lt(size, ILL)), isfinite(reshape(y, size.shape)))        # NaN is not below either
    if not bool(flat.any()):
        return mul(mul(y, dy), mT(inverse))
    flat, one = unsqueeze(unsqueeze(flat, -1), -1), eye(a.shape[-1], dtype=a.dtype)
    regular = mul(y, mT(inv(where(flat, one, a))))
    spread = one.cumsum(0).cumsum(1)        # some matrix with different singular values, where A is not singular
    return mul(dy, where(flat, _cofactors(where(flat, a, spread)), regular))


DET = declare(det, det_backward)


def slogdet(A: Tensor) -> SlogdetResult:
    """The sign of the determinant, and the logarithm of its size: (..., n, n) -> (...), (...). Singular: 0 and -infinity.

    Without overflow where det() has it. The sign has no derivative; that of the logarithm is A^-T (LinAlgError where singular).
    """
    a = matrices("slogdet", A, square=True)
    sign, size = (tensor(x, a) for x in call("slogdet", "", np.linalg.slogdet, array(a)))
    return SlogdetResult(sign, SLOGDET.record(size, (a,), (a,)))


def slogdet_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return mul(unsqueeze(unsqueeze(dy, -1), -1), mT(_inverse("slogdet", saved[0])))


SLOGDET = declare(slogdet, slogdet_backward)


def logdet(input: Tensor) -> Tensor:
    """log(det(A)): (..., n, n) -> (...); NaN where the determinant is negative, -infinity where it is 0."""
    sign, size = slogdet(matrices("logdet", input, "input", square=True))
    return where(lt(sign, 0), math.nan, size)


# ---- Inverses

def inv(A: Tensor) -> Tensor:
    """The inverse: (..., n, n) -> (..., n, n). Raises LinAlgError where a matrix is singular (and says which), ValueError for other
    shapes, TypeError for integers. NaN gives NaN."""
    return _inverse("inv", A)


def _inverse(op: str, A: Tensor) -> Tensor:
    a = matrices(op, A, square=True)
    y = tensor(call(op, SINGULAR, np.linalg.inv, array(a)), a)
    return INV.record(y, (a,), (y,))


def inv_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    y = mT(saved[0])
    return neg(matmul(y, matmul(dy, y)))


INV = declare(inv, inv_backward)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> InvExResult:
    """inv() that raises nothing: (inverse, info). info (int32) is 0, or the number of the pivot that is 0; the inverse is NaN there.

    check_errors: raise as inv().
    """
    a = matrices("inv_ex", A, square=True)
    if check_errors:
        return InvExResult(_inverse("inv_ex", a), from_numpy(np.zeros(a.shape[:-2], np.int32)))
    found, info = one_by_one(np.linalg.inv, first_zero_pivot, array(a))
    y = tensor(found, a)
    return InvExResult(INV.record(y, (a,), (y,)), from_numpy(np.asarray(info)))


# ---- Solutions

def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B, or X A = B (left=False): A (..., n, n), B (..., n, k) -> (..., n, k), leading dimensions broadcast.

    B may be a vector (n,), or (..., n) with A's own leading dimensions: a vector for each. One float type. Raises LinAlgError
    where a matrix is singular (and says which), ValueError where shapes do not fit, TypeError for types.
    """
    return _solve("solve", A, B, left, False)[0]


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveExResult:
    """solve() that raises nothing: (result, info). info (int32) is 0, or the number of the pivot that is 0; the result is NaN there.

    check_errors: raise as solve().
    """
    return SolveExResult(*_solve("solve_ex", A, B, left, not check_errors))


def _solve(op: str, A: Tensor, B: Tensor, left: bool, partly: bool) -> tuple[Tensor, Tensor]:
    a, b = matrices(op, A, square=True), tensor_arg(op, B, "B")
    one_type(op, a, b)
    if not left:
        if b.ndim < 2 or b.shape[-1] != a.shape[-1]:
            raise ValueError(f"{op}: A {a.shape} and B {b.shape} do not fit: expected A (..., n, n) and B (..., k, n)")
        x, info = _solve(op, mT(a), mT(b), True, partly)
        return mT(x), info
    wide, vector = right_hand_side(op, a, b)
    if a.ndim == 2 and wide.ndim > 2 and not partly:        # one matrix for all: its factors once
        columns = movedim(wide, -2, 0)
        x, info = _solve(op, a, reshape(columns, (columns.shape[0], columns.numel() // max(1, columns.shape[0]))), True, False)
        return movedim(reshape(x, columns.shape), 0, -2), broadcast_to(info, wide.shape[:-2])
    a, wide = same_batch(op, a, wide)
    if partly:
        found, failed = one_by_one(np.linalg.solve, first_zero_pivot, array(a), array(wide))
    else:
        found, failed = call(op, SINGULAR, np.linalg.solve, array(a), array(wide)), np.zeros(a.shape[:-2], np.int32)
    x = tensor(found, a)
    x = SOLVE.record(x, (a, wide), (a, x))
    return squeeze(x, -1) if vector else x, from_numpy(np.asarray(failed))


def solve_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    a, x = saved
    db = solve(mT(a), dy)
    return neg(matmul(db, mT(x))) if need[0] else None, db


SOLVE = declare(solve, solve_backward)


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """X with A X = B, or X A = B (left=False), of triangular A: A (..., n, n), B (..., n, k) -> (..., n, k), which broadcast.

    Only the lower or upper triangle of A is read; unitriangular: its diagonal is taken as 1. Raises LinAlgError where the
    diagonal has a 0, ValueError where shapes do not fit, TypeError for types.
    """
    a, b = matrices("solve_triangular", A, square=True), matrices("solve_triangular", B, "B")
    one_type("solve_triangular", a, b)
    if not left:
        if b.shape[-1] != a.shape[-1]:
            raise ValueError(f"solve_triangular: A {a.shape} and B {b.shape} do not fit: expected A (..., n, n) and B (..., k, n)")
        return mT(solve_triangular(mT(a), mT(b), upper=not upper, unitriangular=unitriangular))
    if b.shape[-2] != a.shape[-2]:
        raise ValueError(f"solve_triangular: A {a.shape} and B {b.shape} do not fit: expected A (..., n, n) and B (..., n, k)")
    a, b = same_batch("solve_triangular", a, b)
    t = array(_triangle(a.detach(), upper, unitriangular))
    if upper:
        found = call("solve_triangular", "the diagonal has a 0", np.linalg.solve, t, array(b))
    else:   # backwards it is an upper one, in which LAPACK finds its pivots on the diagonal
        found = call("solve_triangular", "the diagonal has a 0", np.linalg.solve, t[..., ::-1, ::-1], array(b)[..., ::-1, :])
        found = np.ascontiguousarray(found[..., ::-1, :])
    x = tensor(found, a)
    return SOLVE_TRIANGULAR.record(x, (a, b), (a, x), (bool(upper), bool(unitriangular)))


def _triangle(a: Tensor, upper: bool, unit: bool) -> Tensor:
    part = (triu if upper else tril)(a, (1 if upper else -1) if unit else 0)
    return add(part, eye(a.shape[-1], dtype=a.dtype)) if unit else part


def solve_triangular_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    a, x = saved
    upper, unit = extra
    db = solve_triangular(mT(a), dy, upper=not upper, unitriangular=unit)
    if not need[0]:
        return None, db
    return neg((triu if upper else tril)(matmul(db, mT(x)), (1 if upper else -1) if unit else 0)), db


SOLVE_TRIANGULAR = declare(solve_triangular, solve_triangular_backward)


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with A X = B, A = L L^T (upper: L^T L): B (..., n, k), L (..., n, n), a Cholesky factor -> (..., n, k), which broadcast."""
    factor, b = matrices("cholesky_solve", L, "L", square=True), matrices("cholesky_solve", B, "B")
    one_type("cholesky_solve", factor, b)
    if b.shape[-2] != factor.shape[-1]:
        raise ValueError(f"cholesky_solve: B {b.shape} and L {factor.shape} do not fit: expected B (..., n, k) and L (..., n, n)")
    low, high = (mT(factor), factor) if upper else (factor, mT(factor))
    return solve_triangular(high, solve_triangular(low, b, upper=False), upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """A^-1, A = L L^T (upper: L^T L), from the Cholesky factor: (..., n, n) -> (..., n, n)."""
    factor = matrices("cholesky_inverse", L, "L", square=True)
    return cholesky_solve(broadcast_to(eye(factor.shape[-1], dtype=factor.dtype), factor.shape), factor, upper)


# ---- Tensors as matrices

def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse for tensordot over ind dimensions: A of shape s + t, s its first `ind` dimensions, prod(s) = prod(t) -> t + s."""
    a = tensor_arg("tensorinv", A, "A")
    count = int_arg("tensorinv", ind, "ind", 1)
    first, last = a.shape[:count], a.shape[count:]
    n = math.prod(first)
    if n != math.prod(last):
        raise ValueError(f"tensorinv: the product of the first {count} sizes of shape {a.shape} is not that of the others")
    return reshape(_inverse("tensorinv", reshape(a, (n, n))), (*last, *first))


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B: A of shape s + t, B of as many elements as prod(t) = prod(s) -> X of shape t.

    dims: dimensions of A that are moved to its end first. Raises LinAlgError where the matrix is singular.
    """
    a, b = tensor_arg("tensorsolve", A, "A"), tensor_arg("tensorsolve", B, "B")
    if dims is not None:
        moved = [dim_arg("tensorsolve", d, a.ndim, "dims") for d in (dims if isinstance(dims, (tuple, list)) else (dims,))]
        a = permute(a, [d for d in range(a.ndim) if d not in moved] + moved)
    result = a.shape[b.ndim:]
    n = math.prod(result)
    if a.numel() != n * n or b.numel() != n:
        raise ValueError(f"tensorsolve: expected A of shape B.shape + t with as many elements in t as in B, got {a.shape} and {b.shape}")
    return reshape(_solve("tensorsolve", reshape(a, (n, n)), reshape(b, (n,)), True, False)[0], result)
