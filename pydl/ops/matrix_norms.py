"""Norms of vectors and matrices: torch.linalg's norm, vector_norm and matrix_norm."""
import math
from collections.abc import Sequence
from typing import Any

from pydl._core.checks import dim_arg, tensor_arg
from pydl._core.create import zeros
from pydl._core.dtypes import dtype as DType
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import abs as absolute
from pydl.ops.extremes import amax, amin
from pydl.ops.factors import svdvals
from pydl.ops.moments import norm as p_norm
from pydl.ops.reduce import sum as total
from pydl.ops.shape import movedim, unsqueeze

Dims = int | Sequence[int] | None


def _floats(op: str, x: object, dtype: DType | None, name: str = "x") -> Tensor:
    t = tensor_arg(op, x, name)
    if not t.is_floating_point():
        raise TypeError(f"{op}: expected {name} of floats, got {t.dtype} (shape {t.shape})")
    if dtype is not None and not dtype.is_floating_point:
        raise TypeError(f"{op}: dtype must be a float type, got {dtype}")
    return t if dtype is None else t.to(dtype)


def vector_norm(x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """(sum |x|^ord)^(1/ord) over dim, or over all: inf: the largest |x|, -inf: the smallest, 0: how many are not 0.

    Floats only. dtype: computed in that type. The gradient at 0 is 0; equal largest elements share it. Raises ValueError for
    another ord, and for inf and a negative one over nothing; IndexError for dim.
    """
    return _vector_norm("vector_norm", _floats("vector_norm", x, dtype), ord, dim, keepdim)


def _vector_norm(op: str, t: Tensor, ord: Any, dim: Dims, keepdim: bool) -> Tensor:
    if isinstance(ord, (bool, str)) or not isinstance(ord, (int, float)) or math.isnan(ord):
        raise ValueError(f"{op}: ord must be a number, inf or -inf, got {ord!r} (shape {t.shape})")
    every = range(t.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    dims = tuple(dim_arg(op, d, t.ndim) for d in every) or tuple(range(t.ndim))
    if len(set(dims)) < len(dims):
        raise ValueError(f"{op}: dim {dim} names a dimension twice (shape {t.shape})")
    if (ord < 0 or math.isinf(ord)) and t.ndim and math.prod(t.shape[d] for d in dims) == 0 and (
            math.prod(t.shape) == 0 and math.prod(n for d, n in enumerate(t.shape) if d not in dims) > 0):
        raise ValueError(f"{op}: there is no {ord}-norm of nothing (shape {t.shape}, dim {dim})")
    return p_norm(t, ord, dims if t.ndim else None, keepdim)


def matrix_norm(
    A: Tensor, ord: float | str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """A norm of the matrices along the two dims: "fro": the root of the sum of squares; "nuc": the sum of the singular values;
    2, -2: the largest, the smallest of them; 1, -1 (inf, -inf): the largest, the smallest sum of |A| down a column (along a row).

    Floats only; no elements: 0. dtype: computed in that type. Equal largest ones share the gradient. Raises ValueError for
    another ord or shape, IndexError for dim; LinAlgError for NaN where singular values are needed.
    """
    return _matrix_norm("matrix_norm", _floats("matrix_norm", A, dtype, "A"), ord, dim, keepdim)


def _matrix_norm(op: str, a: Tensor, ord: Any, dim: Any, keepdim: bool) -> Tensor:
    if a.ndim < 2:
        raise ValueError(f"{op}: expected two dimensions or more, got shape {a.shape}")
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise ValueError(f"{op}: dim must be two dimensions, got {dim!r} (shape {a.shape})")
    rows, columns = (dim_arg(op, d, a.ndim) for d in dim)
    if rows == columns:
        raise ValueError(f"{op}: dim must be two different dimensions, got {dim} (shape {a.shape})")
    if isinstance(ord, bool) or ord not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ValueError(f"{op}: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r} (shape {a.shape})")
    if ord == "fro":
        return p_norm(a, 2, (rows, columns), keepdim)
    last = movedim(a, (rows, columns), (-2, -1))
    if 0 in last.shape[-2:]:
        y = zeros(last.shape[:-2], dtype=a.dtype)
    elif ord in ("nuc", 2, -2):
        s = svdvals(last)
        y = total(s, -1) if ord == "nuc" else (amax if ord == 2 else amin)(s, -1)
    else:
        sums = total(absolute(last), -2 if abs(ord) == 1 else -1)
        y = (amax if ord > 0 else amin)(sums, -1)
    if keepdim:
        for d in sorted((rows, columns)):
            y = unsqueeze(y, d)
    return y


def norm(
    A: Tensor, ord: float | str | None = None, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """matrix_norm() with two dims, or of a matrix with ord; else vector_norm(), over all elements where neither ord nor dim is given.

    Raises ValueError for ord without dim where A is neither a vector nor a matrix.
    """
    a = _floats("norm", A, dtype, "A")
    if dim is not None:
        if isinstance(ord, str) or isinstance(dim, (tuple, list)) and len(dim) == 2 and ord is not None:
            return _matrix_norm("norm", a, ord, dim, keepdim)
        return _vector_norm("norm", a, 2 if ord is None else ord, dim, keepdim)
    if ord is None:
        return _vector_norm("norm", a, 2, None, keepdim)
    if a.ndim not in (1, 2):
        raise ValueError(f"norm: with ord, but without dim, expected a vector or a matrix, got shape {a.shape}")
    if a.ndim == 2 or isinstance(ord, str):
        return _matrix_norm("norm", a, ord, (-2, -1), keepdim)
    return _vector_norm("norm", a, ord, None, keepdim)
