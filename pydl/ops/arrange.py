"""Other names and combinations of views, joins and cuts: made of the ops of shape, parts and join."""
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np

from pydl._core.checks import dim_arg, int_arg, tensor_arg, tensors_arg
from pydl._core.create import arange
from pydl._core.dtypes import int32, int64
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.gather import index_select
from pydl.ops.join import cat, flip, split, stack
from pydl.ops.parts import as_strided, narrow
from pydl.ops.shape import broadcast_to, clone, contiguous, expand, movedim, reshape, transpose, unsqueeze

Dims = SupportsIndex | Sequence[SupportsIndex]


# ---- Views and other orders

def ravel(input: Tensor) -> Tensor:
    """All dimensions as one: (a, b, ...) -> (a * b * ...,). A view where one exists, else a copy."""
    x = tensor_arg("ravel", input, "input")
    return reshape(x, x.numel())


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """transpose(input, axis0, axis1)."""
    return transpose(input, axis0, axis1)


def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """transpose(input, dim0, dim1)."""
    return transpose(input, dim0, dim1)


def moveaxis(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """movedim(input, source, destination)."""
    return movedim(input, source, destination)


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged: (..., a, b) -> (..., b, a). Numbers are real, so nothing is conjugated. A view."""
    x = tensor_arg("adjoint", input, "input")
    if x.ndim < 2:
        raise ValueError(f"adjoint: expected a matrix or a batch of them, got shape {x.shape}")
    return transpose(x, -2, -1)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """input turned k times by 90 degrees in the plane of two dims, from the first towards the second; k < 0: back. A copy.

    (a, b), k odd -> (b, a). Raises ValueError unless dims are two different ones, IndexError where they are not there.
    """
    x = tensor_arg("rot90", input, "input")
    k = int_arg("rot90", k, "k") % 4
    if not isinstance(dims, (tuple, list)):
        raise TypeError(f"rot90: dims must be a tuple or list of two ints, got {type(dims).__name__}")
    if len(dims) != 2 or x.ndim < 2:
        raise ValueError(f"rot90: expected two dims and a tensor of two or more, got dims {tuple(dims)} for shape {x.shape}")
    a, b = (dim_arg("rot90", d, x.ndim, "dims") for d in dims)
    if a == b:
        raise ValueError(f"rot90: expected two different dims, got {tuple(dims)} for shape {x.shape}")
    if k == 0:
        return clone(x)
    if k == 2:
        return flip(x, a, b)
    return flip(transpose(x, a, b), a if k == 1 else b)


def fliplr(input: Tensor) -> Tensor:
    """The columns in the opposite order: flip(input, 1). At least two dimensions, else ValueError."""
    if tensor_arg("fliplr", input, "input").ndim < 2:
        raise ValueError(f"fliplr: expected two dimensions or more, got shape {input.shape}")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """The rows in the opposite order: flip(input, 0). At least one dimension, else ValueError."""
    if tensor_arg("flipud", input, "input").ndim < 1:
        raise ValueError(f"flipud: expected one dimension or more, got shape {input.shape}")
    return flip(input, 0)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements, `step` apart, along dimension; what lies in a window is the new last dimension.

    (..., n, ...) -> (..., (n - size) // step + 1, ..., size). A view whose windows share memory (of a copy where a gradient
    is wanted of an input that is not contiguous). Raises ValueError where no window fits, IndexError for the dimension.
    """
    x = tensor_arg("unfold", input, "input")
    d = dim_arg("unfold", dimension, x.ndim, "dimension")
    size, step = int_arg("unfold", size, "size", 0), int_arg("unfold", step, "step", 1)
    n = x.shape[d] if x.ndim else 1
    if size > n:
        raise ValueError(f"unfold: size {size} is more than the {n} elements of dimension {dimension} of shape {x.shape}")
    if x.requires_grad and not x.is_contiguous():
        x = contiguous(x)
    if x.ndim == 0:
        return as_strided(x, (size,), (1,))
    stride = x.stride()
    sizes = (*x.shape[:d], (n - size) // step + 1, *x.shape[d + 1:], size)
    return as_strided(x, sizes, (*stride[:d], step * stride[d], *stride[d + 1:], stride[d]))


def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """narrow(input, dim, start, length) as a copy."""
    return clone(narrow(input, dim, start, length))


def _at_least(op: str, tensors: tuple[Any, ...], ndim: int) -> Any:
    many = len(tensors) != 1 or isinstance(tensors[0], (tuple, list))
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    made = tuple(_widened(tensor_arg(op, x, f"tensors[{i}]"), ndim) for i, x in enumerate(given))
    return made if many else made[0]


def _widened(x: Tensor, ndim: int) -> Tensor:
    """With dimensions of size 1 until there are ndim: in front, but the third behind."""
    if x.ndim >= ndim:
        return x
    if ndim == 3 and x.ndim == 2:
        return unsqueeze(x, 2)
    if ndim == 3 and x.ndim == 1:
        return reshape(x, 1, x.shape[0], 1)
    return reshape(x, (1,) * (ndim - x.ndim) + x.shape)


def atleast_1d(*tensors: Any) -> Any:
    """() -> (1,); other shapes stay. A tensor gives a tensor, several or a list of them a tuple. Views."""
    return _at_least("atleast_1d", tensors, 1)


def atleast_2d(*tensors: Any) -> Any:
    """() -> (1, 1), (n,) -> (1, n); other shapes stay. Arguments and result as in atleast_1d."""
    return _at_least("atleast_2d", tensors, 2)


def atleast_3d(*tensors: Any) -> Any:
    """() -> (1, 1, 1), (n,) -> (1, n, 1), (a, b) -> (a, b, 1); other shapes stay. Arguments and result as in atleast_1d."""
    return _at_least("atleast_3d", tensors, 3)


def broadcast_shapes(*shapes: Dims) -> tuple[int, ...]:
    """The shape to which all of these broadcast; an int n stands for (n,). Raises ValueError where there is none."""
    given = [tuple(int_arg("broadcast_shapes", n, "a size", 0) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
             for shape in shapes]
    ndim = max(map(len, given), default=0)
    sizes = [1] * ndim
    for shape in given:
        for d, n in enumerate(shape, ndim - len(shape)):
            if n != 1 and sizes[d] not in (1, n):
                raise ValueError(f"broadcast_shapes: shapes {', '.join(map(str, given))} do not broadcast")
            sizes[d] = n if sizes[d] == 1 else sizes[d]
    return tuple(sizes)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors stretched to their common shape, as a tuple of views; clone() one before writing to it. Raises ValueError."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    every = tuple(tensor_arg("broadcast_tensors", x, f"tensors[{i}]") for i, x in enumerate(given))
    try:
        shape = broadcast_shapes(*(x.shape for x in every))
    except ValueError as error:
        raise ValueError(str(error).replace("broadcast_shapes", "broadcast_tensors", 1)) from None
    return tuple(broadcast_to(x, shape) for x in every)


# ---- Joins

def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: cat along dim 1, of vectors (and scalars) along dim 0."""
    every = atleast_1d(tensors_arg("hstack", tensors))
    return cat(every, 0 if every[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: cat along dim 0, of vectors (and scalars) as rows."""
    return cat(atleast_2d(tensors_arg("vstack", tensors)), 0)


def row_stack(tensors: Sequence[Tensor]) -> Tensor:
    """vstack(tensors)."""
    return cat(atleast_2d(tensors_arg("row_stack", tensors)), 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Behind each other: cat along dim 2 of atleast_3d of each."""
    return cat(atleast_3d(tensors_arg("dstack", tensors)), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: cat along dim 1, of vectors (and scalars) as columns: (n,), (n, k) -> (n, 1 + k)."""
    every = tensors_arg("column_stack", tensors)
    return cat(tuple(reshape(x, x.numel(), 1) if x.ndim <= 1 else x for x in every), 1)


# ---- Cuts

def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of these sizes along dim; the sizes add up to the dimension's, else ValueError."""
    if not isinstance(split_sizes, (tuple, list)):
        raise TypeError(f"split_with_sizes: split_sizes must be a tuple or list of ints, got {type(split_sizes).__name__}")
    return split(input, split_sizes, dim)


def tensor_split(
    input: Tensor,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    indices: Sequence[int] | None = None,
    sections: int | None = None,
) -> tuple[Tensor, ...]:
    """Views along dim: an int n gives n of nearly equal size, the first ones larger; indices (i, j) give [:i], [i:j], [j:].

    The indices or n may be an int64 tensor. Raises ValueError for n < 1 and for a 0-dimensional input, IndexError for dim.
    """
    given = next((one for one in (indices_or_sections, indices, sections) if one is not None), None)
    if isinstance(given, Tensor):
        given = given.tolist()
    x = tensor_arg("tensor_split", input, "input")
    d = dim_arg("tensor_split", dim, x.ndim)
    if x.ndim == 0:
        raise ValueError("tensor_split: a 0-dimensional tensor cannot be cut, got shape ()")
    n = x.shape[d]
    if isinstance(given, (tuple, list)):
        places = [int_arg("tensor_split", one, "an index") for one in given]
        starts, ends = [0, *places], [*places, n]
    else:
        parts = int_arg("tensor_split", given, "sections")     # type: ignore[arg-type]
        if parts > n + 2**20:
            raise ValueError(f"tensor_split: {parts} sections of {n} elements would nearly all be empty (shape {x.shape})")
        if parts < 1:
            raise ValueError(f"tensor_split: sections must be at least 1, got {parts} for shape {x.shape}")
        bounds = [n // parts * i + min(i, n % parts) for i in range(parts + 1)]
        starts, ends = bounds[:-1], bounds[1:]
    windows = (slice(a, b).indices(n) for a, b in zip(starts, ends))
    return tuple(narrow(x, d, a, max(b - a, 0)) for a, b, _ in windows)


def _cut_evenly(op: str, input: Tensor, indices_or_sections: Any, least: int, dim: int) -> tuple[Tensor, ...]:
    x = tensor_arg(op, input, "input")
    if x.ndim < least:
        raise ValueError(f"{op}: expected at least {least} dimension{'s' if least > 1 else ''}, got shape {x.shape}")
    if not isinstance(indices_or_sections, (tuple, list, Tensor)):
        parts = int_arg(op, indices_or_sections, "sections", 1)
        if x.shape[dim] % parts:
            raise ValueError(f"{op}: dim {dim} of shape {x.shape} does not divide into {parts} equal parts; use tensor_split()")
    return tensor_split(x, indices_or_sections, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along dim 1, of a vector along dim 0; a number of sections must divide the size, else ValueError."""
    return _cut_evenly("hsplit", input, indices_or_sections, 1, 0 if getattr(input, "ndim", 0) == 1 else 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along dim 0 of two dimensions or more; a number of sections must divide the size, else ValueError."""
    return _cut_evenly("vsplit", input, indices_or_sections, 2, 0)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along dim 2 of three dimensions or more; a number of sections must divide the size, else ValueError."""
    return _cut_evenly("dsplit", input, indices_or_sections, 3, 2)


# ---- Repetitions

def repeat_interleave(
    input: Tensor, repeats: Tensor | int | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Every element along dim repeated `repeats` times, one after the other; without dim of the flattened input. A copy.

    repeats: an int, or an int64 or int32 tensor with one number for each element (or one for all). (a, b), r, dim=1 ->
    (a, b * r). repeat_interleave(repeats) alone: i repeated repeats[i] times. Raises ValueError, TypeError, IndexError.
    """
    x = tensor_arg("repeat_interleave", input, "input")
    if repeats is None:
        if x.ndim != 1:
            raise ValueError(f"repeat_interleave: repeats must have one dimension, got shape {x.shape}")
        x, repeats, dim = arange(x.shape[0]), x, 0
    if dim is None:
        x, dim = ravel(x), 0
    d = dim_arg("repeat_interleave", dim, x.ndim)
    x = reshape(x, 1) if x.ndim == 0 else x
    counts = _repeats(repeats, x, d)
    total = counts * x.shape[d] if isinstance(counts, int) else int(counts.sum())
    if output_size is not None and output_size != total:
        raise ValueError(f"repeat_interleave: output_size is {output_size}, but dim {dim} of shape {x.shape} becomes {total}")
    if isinstance(counts, int):
        wide = expand(unsqueeze(x, d + 1), (*x.shape[:d + 1], counts, *x.shape[d + 1:]))
        return reshape(clone(wide), (*x.shape[:d], total, *x.shape[d + 1:]))
    return index_select(x, d, from_numpy(np.repeat(np.arange(x.shape[d]), counts)))


def _repeats(repeats: Any, x: Tensor, d: int) -> int | np.ndarray:
    """One number for all, or an array with one for each element along d."""
    if not isinstance(repeats, Tensor):
        return int_arg("repeat_interleave", repeats, "repeats", 0)
    if repeats.dtype not in (int64, int32):
        raise TypeError(f"repeat_interleave: repeats must be int64 or int32, got {repeats.dtype}")
    counts = repeats.numpy()
    if counts.ndim > 1 or counts.size not in (1, x.shape[d]):
        raise ValueError(f"repeat_interleave: repeats has shape {repeats.shape}, expected ({x.shape[d]},) for dim {d} of shape {x.shape}")
    if (counts < 0).any():
        raise ValueError(f"repeat_interleave: repeats must not be negative, got {int(counts.min())}")
    return int(counts.reshape(-1)[0]) if counts.size == 1 else counts


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: (n,), (m,) -> two tensors (n, m), the first constant along rows, the second down columns.

    indexing "ij" (the default): dimension i belongs to tensor i; "xy": the first two dimensions are exchanged. Views that
    share memory. Raises ValueError for more than one dimension or another indexing, TypeError where the types differ.
    """
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    every = tensors_arg("meshgrid", given)
    if indexing not in (None, "ij", "xy"):
        raise ValueError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    if any(x.ndim > 1 for x in every):
        raise ValueError(f"meshgrid: expected vectors, got shapes {', '.join(str(x.shape) for x in every)}")
    if len({x.dtype for x in every}) > 1:
        raise TypeError(f"meshgrid: expected one type, got {', '.join(str(x.dtype) for x in every)}; convert with .to()")
    shape = tuple(x.numel() for x in every)
    grids = tuple(expand(reshape(x, (1,) * i + (x.numel(),) + (1,) * (len(every) - i - 1)), shape) for i, x in enumerate(every))
    if indexing == "xy" and len(grids) > 1:
        grids = tuple(transpose(grid, 0, 1) for grid in grids)
    return grids


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every choice of one element from each vector, as rows in order: (n,), (m,) -> (n * m, 2). One vector stays as it is."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    every = tensors_arg("cartesian_prod", given)
    if any(x.ndim != 1 for x in every):
        raise ValueError(f"cartesian_prod: expected vectors, got shapes {', '.join(str(x.shape) for x in every)}")
    return every[0] if len(every) == 1 else stack([ravel(grid) for grid in meshgrid(*every)], 1)


__all__ = [
    "adjoint",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "column_stack",
    "dsplit",
    "dstack",
    "fliplr",
    "flipud",
    "hsplit",
    "hstack",
    "meshgrid",
    "moveaxis",
    "narrow_copy",
    "ravel",
    "repeat_interleave",
    "rot90",
    "row_stack",
    "split_with_sizes",
    "swapaxes",
    "swapdims",
    "tensor_split",
    "unfold",
    "vsplit",
    "vstack",
]
METHODS = [
    "adjoint",
    "dsplit",
    "fliplr",
    "flipud",
    "hsplit",
    "moveaxis",
    "narrow_copy",
    "ravel",
    "repeat_interleave",
    "rot90",
    "split_with_sizes",
    "swapaxes",
    "swapdims",
    "tensor_split",
    "unfold",
    "vsplit",
]
