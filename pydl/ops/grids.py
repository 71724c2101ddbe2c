"""Diagonals, triangles and tables: matrices that hold a tensor's elements in other places."""
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import numpy as np

from pydl._core.checks import dim_arg, int_arg, tensor_arg
from pydl._core.create import arange, empty, zeros
from pydl._core.declare import declare, triangle
from pydl._core.dtypes import dtype as DType
from pydl._core.dtypes import int32, int64
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import mul, pow
from pydl.ops.gather import index_select
from pydl.ops.join import cat
from pydl.ops.parts import as_strided, diagonal, diagonal_put, select
from pydl.ops.shape import clone, contiguous, reshape, unsqueeze

MAX_DIMS = 16   # of a tensor


# ---- Diagonals

def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension of input on the diagonal of the new dims dim1 and dim2: (..., n) -> (..., m, m).

    m = n + |offset|; offset > 0: above the main diagonal, < 0: below. Raises ValueError, IndexError for the dims.
    """
    x = tensor_arg("diag_embed", input, "input")
    if x.ndim == 0:
        raise IndexError("diag_embed: a 0-dimensional tensor has no dimension to put on a diagonal")
    offset = int_arg("diag_embed", offset, "offset")
    a, b = (dim_arg("diag_embed", d, x.ndim + 1, name) for d, name in ((dim1, "dim1"), (dim2, "dim2")))
    if a == b:
        raise ValueError(f"diag_embed: expected two different dims, got {dim1} and {dim2} for shape {x.shape}")
    rest = iter(x.shape[:-1])
    size = x.shape[-1] + abs(offset)
    return diagonal_put(x, tuple(size if d in (a, b) else next(rest) for d in range(x.ndim + 1)), offset, a, b)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix of zeros, (n,) -> (n + |diagonal|, n + |diagonal|); or a matrix's diagonal, a copy.

    diagonal > 0: above the main diagonal, < 0: below. Raises ValueError for other shapes.
    """
    x = tensor_arg("diag", input, "input")
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim != 2:
        raise ValueError(f"diag: expected a vector or a matrix, got shape {x.shape}")
    return clone(_diagonal(x, int_arg("diag", diagonal, "diagonal")))


_diagonal = diagonal    # diag has an argument of that name


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements of input on the diagonal of a matrix of zeros: (...) of n elements -> (n + |offset|, n + |offset|)."""
    x = tensor_arg("diagflat", input, "input")
    return diag_embed(reshape(x, x.numel()), offset)


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices along the diagonal of a matrix of zeros: (a, b), (c, d) -> (a + c, b + d). Vectors are rows.

    Raises ValueError for more than two dimensions.
    """
    blocks = []
    for i, one in enumerate(tensors):
        x = tensor_arg("block_diag", one, f"tensors[{i}]")
        if x.ndim > 2:
            raise ValueError(f"block_diag: expected at most two dimensions, got shape {x.shape}")
        blocks.append(x if x.ndim == 2 else reshape(x, 1, x.numel()))
    if not blocks:
        return empty(1, 0)
    width = sum(x.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        left, right = (zeros(x.shape[0], n, dtype=x.dtype) for n in (before, width - before - x.shape[1]))
        rows.append(cat((left, x, right), 1))
        before += x.shape[1]
    return cat(rows, 0)


# ---- Triangles

def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, zeros above: elements with column <= row + diagonal. (..., a, b) -> (..., a, b)."""
    x, k = _triangle("tril", input, diagonal)
    return TRIL.record(triangle(x, k, False), (x,), (), k)


def tril_backward(dy: Any, need: Any, saved: Any, diagonal: Any) -> Any:
    return tril(dy, diagonal)


TRIL = declare(tril, tril_backward)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, zeros below: elements with column >= row + diagonal. (..., a, b) -> (..., a, b)."""
    x, k = _triangle("triu", input, diagonal)
    return TRIU.record(triangle(x, k - 1, True), (x,), (), k)


def triu_backward(dy: Any, need: Any, saved: Any, diagonal: Any) -> Any:
    return triu(dy, diagonal)


TRIU = declare(triu, triu_backward)


def _triangle(op: str, input: Tensor, diagonal: SupportsIndex) -> tuple[Tensor, int]:
    x = tensor_arg(op, input, "input")
    if x.ndim < 2:
        raise ValueError(f"{op}: expected two dimensions or more, got shape {x.shape}")
    return x, int_arg(op, diagonal, "diagonal")


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: object = None) -> Tensor:
    """The places of the lower triangle of a (row, col) matrix, row by row: (2, n), first the rows, then the columns.

    int64, or dtype=int32. The triangle as in tril with diagonal=offset. Raises ValueError for negative sizes.
    """
    return _places("tril_indices", row, col, offset, dtype, np.tril_indices)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: object = None) -> Tensor:
    """The places of the upper triangle of a (row, col) matrix, row by row; arguments and result as in tril_indices."""
    return _places("triu_indices", row, col, offset, dtype, np.triu_indices)


def _places(op: str, row: int, col: int, offset: int, dtype: DType | None, places: Callable[..., Any]) -> Tensor:
    if dtype not in (None, int64, int32):
        raise TypeError(f"{op}: dtype must be int64 or int32, got {dtype}")
    n, m, k = int_arg(op, row, "row", 0), int_arg(op, col, "col", 0), int_arg(op, offset, "offset")
    both = from_numpy(np.stack(places(n, k, m)).astype(np.int64))
    return both if dtype is None else both.to(dtype)


# ---- Tables

def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of input times all of other. (a, b), (c, d) -> (a * c, b * d).

    Where one has fewer dimensions, ones come in front of its shape. At most eight dimensions, else ValueError.
    """
    x, y = tensor_arg("kron", input, "input"), tensor_arg("kron", other, "other")
    ndim = max(x.ndim, y.ndim)
    if 2 * ndim > MAX_DIMS:
        raise ValueError(f"kron: at most {MAX_DIMS // 2} dimensions, got shapes {x.shape} and {y.shape}")
    a, b = ((1,) * (ndim - one.ndim) + one.shape for one in (x, y))
    wide = mul(reshape(x, tuple(n for size in a for n in (size, 1))), reshape(y, tuple(n for size in b for n in (1, size))))
    return reshape(wide, tuple(i * j for i, j in zip(a, b)))


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements as rows: x^(N-1), ..., x, 1; increasing: 1, x, .... (n,) -> (n, N), N = n by default.

    Integers and bool give int64. Raises ValueError for another shape or a negative N.
    """
    v = tensor_arg("vander", x, "x")
    if v.ndim != 1:
        raise ValueError(f"vander: expected a vector, got shape {v.shape}")
    count = v.shape[0] if N is None else int_arg("vander", N, "N", 0)
    v = v if v.is_floating_point() else v.to(int64)
    powers = arange(count) if increasing else arange(count - 1, -1, -1)
    return pow(unsqueeze(v, 1), powers.to(v.dtype))


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of r elements of a vector, in order, as rows: (n,) -> (n over r, r). with_replacement: also the same again.

    r = 0 gives an empty vector. Raises ValueError for another shape or a negative r.
    """
    x = tensor_arg("combinations", input, "input")
    if x.ndim != 1:
        raise ValueError(f"combinations: expected a vector, got shape {x.shape}")
    r = int_arg("combinations", r, "r", 0)
    if r == 0:
        return empty(0, dtype=x.dtype)
    n = x.shape[0]
    total = n + r - 1 if with_replacement and n else n
    if total >= 2**31:
        raise ValueError(f"combinations: r must be below 2**31, got {r} (input {x.shape})")
    count = math.comb(total, r) if min(r, total - r) < 64 or total < 10_000 else 2**63
    if count * r >= 2**60:
        raise ValueError(f"combinations: {r} of {n} elements are more combinations than an address can count (input {x.shape})")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.fromiter(itertools.chain.from_iterable(choose(range(n), r)), np.int64, count * r)
    return reshape(index_select(x, 0, from_numpy(places)), count, r)


# ---- Copies with one part replaced

def _replaced(op: str, input: Tensor, src: Tensor, part_of: Callable[[Tensor], Tensor]) -> Tensor:
    source = tensor_arg(op, src, "src")
    whole = clone(contiguous(input))
    part = part_of(whole)
    if part.shape != source.shape:
        raise ValueError(f"{op}: src has shape {source.shape}, its place {part.shape} in shape {input.shape}")
    part.copy_(source)
    return whole


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of input with src in the place of diagonal(input, offset, dim1, dim2). Raises ValueError where it does not fit."""
    return _replaced("diagonal_scatter", tensor_arg("diagonal_scatter", input, "input"), src,
                     lambda x: diagonal(x, offset, dim1, dim2))


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of input with src in the place of select(input, dim, index). Raises ValueError where it does not fit."""
    return _replaced("select_scatter", tensor_arg("select_scatter", input, "input"), src, lambda x: select(x, dim, index))


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of input with src in the place of its slice start:end:step along dim. Raises ValueError where it does not fit."""
    x = tensor_arg("slice_scatter", input, "input")
    d = dim_arg("slice_scatter", dim, x.ndim)
    if x.ndim == 0:
        raise ValueError("slice_scatter: a 0-dimensional tensor has no slice, got shape ()")
    step = int_arg("slice_scatter", step, "step", 1)
    return _replaced("slice_scatter", x, src, lambda y: y[(slice(None),) * d + (slice(start, end, step),)])


def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of input with src in the place of as_strided(copy, size, stride, storage_offset).

    The copy is contiguous, and storage_offset counts from its first element. Raises ValueError where src does not fit.
    """
    x = tensor_arg("as_strided_scatter", input, "input")
    return _replaced("as_strided_scatter", x, src, lambda y: as_strided(y, size, stride, storage_offset))


__all__ = [
    "as_strided_scatter",
    "block_diag",
    "combinations",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal_scatter",
    "kron",
    "select_scatter",
    "slice_scatter",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "vander",
]
METHODS = [
    "as_strided_scatter",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal_scatter",
    "kron",
    "select_scatter",
    "slice_scatter",
    "tril",
    "triu",
]
