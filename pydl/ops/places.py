"""Writing by index: slices, elements and masked places of a copy, and what of several values for one place becomes."""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pydl._core.checks import dim_arg, int_arg, tensor_arg
from pydl._core.create import arange, full, ones_like
from pydl._core.declare import declare
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import int32, int64, uint8
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, floor_divide, mul, remainder
from pydl.ops.arrange import broadcast_shapes
from pydl.ops.compare import eq, lt, where
from pydl.ops.gather import check_places, gather, index_add, index_copy, reduced_at, scatter, scatter_add, scatter_add_as
from pydl.ops.index import setitem
from pydl.ops.masks import nonzero
from pydl.ops.operands import to
from pydl.ops.parts import as_strided, narrow
from pydl.ops.shape import broadcast_to, clone, expand, reshape


def _same_type(op: str, x: Tensor, y: Tensor, name: str) -> None:
    if x.dtype is not y.dtype:
        raise TypeError(f"{op}: expected {name} of input's type {x.dtype}, got {y.dtype}; use .to()")


def _number(op: str, x: Tensor, value: Any) -> Tensor:
    """value as a 0-dimensional tensor of x's type."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise ValueError(f"{op}: value must be a number or a 0-dimensional tensor, got shape {value.shape}")
        return to(value, x.dtype)
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"{op}: value must be a number or a 0-dimensional tensor, got {type(value).__name__}")
    return full((), value, dtype=x.dtype)


# ---- Slices

def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of input with value in its slices index[0], index[1] ... along dim: (a, n, b), 1, (k,) -> (a, n, b).

    value: a number or a 0-dimensional tensor. Raises IndexError where an index is out of range.
    """
    x, i = tensor_arg("index_fill", input, "input"), tensor_arg("index_fill", index, "index")
    d = dim_arg("index_fill", dim, x.ndim)
    _slice_index("index_fill", x, d, i)
    shape = (*x.shape[:d], i.numel(), *x.shape[d + 1:]) if x.ndim else ()
    return index_copy(x, d, i, expand(_number("index_fill", x, value), shape))


def _slice_index(op: str, x: Tensor, d: int, i: Tensor) -> None:
    _index_type(op, i)
    if i.ndim > 1 or x.ndim == 0 and i.numel() != 1:
        raise ValueError(f"{op}: index must have one dimension, and one element for a 0-dimensional input, got {i.shape} for {x.shape}")
    _range(op, i, x.shape[d] if x.ndim else 1, 0)


def _index_type(op: str, i: Tensor) -> None:
    if i.dtype not in (int64, int32):
        raise TypeError(f"{op}: index must be int64 or int32, got {i.dtype} of shape {i.shape}")


def _range(op: str, i: Tensor, size: int, low: int) -> None:
    values = i.detach().numpy()
    wrong = (values < low) | (values >= size)
    if wrong.any():
        raise IndexError(f"{op}: index {values[wrong][0]} is out of range for size {size} (index of shape {i.shape})")


def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """A copy of input whose slice index[k] along dim is reduced with source[k]: "prod", "mean", "amax" or "amin".

    input (a, n, b), index (k,), source (a, k, b) of input's type -> (a, n, b); include_self and derivatives as in
    scatter_reduce. Raises IndexError, ValueError, TypeError.
    """
    x, i = tensor_arg("index_reduce", input, "input"), tensor_arg("index_reduce", index, "index")
    s = tensor_arg("index_reduce", source, "source")
    d = dim_arg("index_reduce", dim, x.ndim)
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise ValueError(f"index_reduce: reduce must be 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    _slice_index("index_reduce", x, d, i)
    wanted = (*x.shape[:d], i.numel(), *x.shape[d + 1:]) if x.ndim else ()
    if s.shape != wanted:
        raise ValueError(f"index_reduce: source must have shape {wanted} for input {x.shape} and index {i.shape}, got {s.shape}")
    places = expand(reshape(i, tuple(-1 if k == d else 1 for k in range(x.ndim))), wanted)
    return _reduce("index_reduce", x, d, places, s, reduce, include_self)


# ---- Elements

def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """A copy of input, reduced with src where index says: y[index[i, j], j] = y[...] (reduce) src[i, j] for dim 0.

    reduce: "sum", "prod", "mean" (integers: rounded down), "amax" or "amin". include_self False: what input has in these places
    does not count. index: int64 or int32 of input's rank; src of input's type, at least as large. The order along dim is fixed:
    the same bits for any number of threads. Equal extremes share the gradient. Raises IndexError, ValueError, TypeError.
    """
    x = tensor_arg("scatter_reduce", input, "input")
    i, s = tensor_arg("scatter_reduce", index, "index"), tensor_arg("scatter_reduce", src, "src")
    d = dim_arg("scatter_reduce", dim, x.ndim)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise ValueError(f"scatter_reduce: reduce must be 'sum', 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    return _reduce("scatter_reduce", x, d, i, s, reduce, include_self)


def _reduce(op: str, x: Tensor, d: int, i: Tensor, s: Tensor, reduce: str, include_self: bool) -> Tensor:
    if not include_self:
        check_places(op, x, d, i, s)
        x, given = scatter(x, d, i, _identity(reduce, x)), x
    if reduce in ("sum", "mean"):
        total = scatter_add_as(op, x, d, i, s)
        return total if reduce == "sum" else _mean(total, x if include_self else given, d, i, include_self)
    return _extreme(op, x, d, i, s, HOW[reduce])


HOW = {"prod": 0, "amax": 1, "amin": 2}     # as in csrc/index.c


def _identity(reduce: str, x: Tensor) -> Any:
    if reduce not in ("amax", "amin"):
        return 1 if reduce == "prod" else 0
    if x.is_floating_point():
        return -np.inf if reduce == "amax" else np.inf
    kind = np.iinfo(str(x.dtype).split(".")[1])
    return int(kind.min if reduce == "amax" else kind.max)


def _mean(total: Tensor, x: Tensor, d: int, i: Tensor, include_self: bool) -> Tensor:
    counts = ones_like(x) if include_self else scatter(ones_like(x), d, i, 0)
    counts = scatter_add_as("scatter_reduce", counts, d, i, 1)
    counts = where(eq(counts, 0), ones_like(counts), counts)
    return div(total, counts) if x.is_floating_point() else div(total, counts, rounding_mode="floor")


def scatter_extreme(input: Tensor, dim: int, index: Tensor, src: Tensor, how: int) -> Tensor:
    """scatter_reduce by product (how 0), maximum (1) or minimum (2), input included; arguments as that function checks them."""
    return _extreme("scatter_reduce", input, dim, index, src, how)


def _extreme(op: str, x: Tensor, dim: int, index: Tensor, src: Tensor, how: int) -> Tensor:
    y = reduced_at(op, x, dim, index, src, how)
    if x.requires_grad or src.requires_grad:
        src = check_places(op, x, dim, index, src)
    return SCATTER_EXTREME.record(y, (x, src), (x, src, index, y), (dim, how))


def scatter_extreme_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    """A product's gradient is that of the other factors: with one zero among them it is the product of the rest, for the zero only."""
    x, s, index, y = saved
    dim, how = extra
    if how == 0:
        empty_x, empty_s = eq(x, 0), eq(s, 0)
        rest = scatter_extreme(where(empty_x, 1.0, x), dim, index, where(empty_s, 1.0, s), 0)
        zeros = scatter_add(to(empty_x, int64), dim, index, to(empty_s, int64))
        back = mul(dy, rest)
        return (_others(back, x, empty_x, zeros) if need[0] else None,
                _others(gather(back, dim, index), s, empty_s, gather(zeros, dim, index)) if need[1] else None)
    chosen_x, chosen_s = to(eq(x, y), x.dtype), to(eq(s, gather(y, dim, index)), x.dtype)
    share = div(dy, scatter_add(chosen_x, dim, index, chosen_s))
    return (mul(share, chosen_x) if need[0] else None, mul(gather(share, dim, index), chosen_s) if need[1] else None)


def _others(back: Tensor, x: Tensor, empty: Tensor, zeros: Tensor) -> Tensor:
    """What multiplies a factor x: `back` is the gradient times all factors that are not zero, of which x may be one."""
    return where(eq(zeros, to(empty, int64)), div(back, where(empty, 1.0, x)), 0.0)


SCATTER_EXTREME = declare(scatter_extreme, scatter_extreme_backward)


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of input with source's elements in the places that index has in the flattened input; accumulate: added there.

    index: int64 or int32, negative from the end; source: as many elements, of input's type. Of equal places the last wins.
    Raises IndexError, ValueError, TypeError.
    """
    x, i, s = tensor_arg("put", input, "input"), tensor_arg("put", index, "index"), tensor_arg("put", source, "source")
    _index_type("put", i)
    _same_type("put", x, s, "source")
    if i.numel() != s.numel():
        raise ValueError(f"put: expected as many indices as elements, got index {i.shape} and source {s.shape}")
    n = x.numel()
    _range("put", i, n, -n)
    i = reshape(to(i, int64), -1)
    write = _added if accumulate else index_copy
    return reshape(write(reshape(x, -1), 0, where(lt(i, 0), add(i, n), i), reshape(s, -1)), x.shape)


def _added(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """index_add; of bool, whether one of them is True."""
    if x.dtype is not bool_:
        return index_add(x, dim, index, source)
    return to(reduced_at("put", to(x, uint8), dim, index, to(source, uint8), HOW["amax"]), bool_)


def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of input with input[indices] = values; accumulate: values added, once for each time that a place is named.

    indices: a tuple of integer or bool tensors, or None for a whole dimension; values, of input's type, broadcasts to
    input[indices]. Raises IndexError, ValueError, TypeError.
    """
    x, v = tensor_arg("index_put", input, "input"), tensor_arg("index_put", values, "values")
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put: indices must be a tuple of tensors, got {type(indices).__name__}")
    _same_type("index_put", x, v, "values")
    at = tuple(slice(None) if one is None else tensor_arg("index_put", one, "an index") for one in indices)
    try:
        if not accumulate:
            y = clone(x)
            setitem(y, at, v)
            return y
        places = reshape(arange(x.numel()), x.shape)[at]
        wide = broadcast_to(v, places.shape)
    except (IndexError, ValueError, TypeError) as error:
        text = str(error).partition(": ")[2]
        raise type(error)(f"index_put: {text} (input {x.shape}, values {v.shape})") from None
    return reshape(_added(reshape(x, -1), 0, reshape(places, -1), reshape(wide, -1)), x.shape)


# ---- Masks

def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of input with source's elements, in order, where mask is set. Input and mask broadcast to each other.

    mask: bool; source: of input's type, with at least as many elements as are set. Raises ValueError, TypeError.
    """
    x, m = tensor_arg("masked_scatter", input, "input"), tensor_arg("masked_scatter", mask, "mask")
    s = tensor_arg("masked_scatter", source, "source")
    if m.dtype is not bool_:
        raise TypeError(f"masked_scatter: mask must be bool, got {m.dtype}")
    _same_type("masked_scatter", x, s, "source")
    try:
        shape = broadcast_shapes(x.shape, m.shape)
    except ValueError:
        raise ValueError(f"masked_scatter: shapes {x.shape} and {m.shape} do not broadcast") from None
    places = reshape(nonzero(reshape(broadcast_to(m, shape), -1)), -1)
    if places.numel() > s.numel():
        raise ValueError(f"masked_scatter: mask {m.shape} has {places.numel()} places for the {s.numel()} elements of source {s.shape} "
                         f"(input {x.shape})")
    flat = index_copy(reshape(broadcast_to(x, shape), -1), 0, places, narrow(reshape(s, -1), 0, 0, places.numel()))
    return reshape(flat, shape)


def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Positions in the flattened array of `shape` as one index for each dimension: tensors of indices' shape, int64.

    Raises ValueError for a position outside, TypeError for what are no integers.
    """
    i = tensor_arg("unravel_index", indices, "indices")
    _index_type("unravel_index", i)
    sizes = [int_arg("unravel_index", n, "a size", 0) for n in (shape if isinstance(shape, (tuple, list)) else (shape,))]
    if i.numel() and not (0 <= int(i.min()) and int(i.max()) < math.prod(sizes)):
        least, most = int(i.min()), int(i.max())
        raise ValueError(f"unravel_index: positions from {least} to {most} (indices {i.shape}) do not lie in shape {tuple(sizes)}")
    places: list[Tensor] = []
    rest = to(i, int64)
    for n in reversed(sizes):
        places.insert(0, remainder(rest, max(n, 1)))
        rest = floor_divide(rest, max(n, 1))
    return tuple(places)


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like input with value, a number or a tensor of one element, everywhere; its gradient is the sum."""
    x = tensor_arg("fill", input, "input")
    return clone(expand(_number("fill", x, value), x.shape))


def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Sets x[i, i, ...] to fill_value in place. Two dimensions, or more of one size; wrap: a tall matrix begins anew below.

    Raises ValueError for other shapes.
    """
    x = tensor_arg("fill_diagonal_", input, "input")
    if x.ndim < 2 or x.ndim > 2 and len(set(x.shape)) > 1:
        raise ValueError(f"fill_diagonal_: expected a matrix, or dimensions of one size, got shape {x.shape}")
    rows, columns = x.shape[:2]
    for start in range(0, rows, columns + 1) if wrap and x.ndim == 2 and columns else (0,):
        part = narrow(x, 0, start, rows - start)
        as_strided(part, (min(part.shape),), (sum(part.stride()),)).fill_(fill_value)
    return x


__all__ = ["fill", "fill_diagonal_", "index_fill", "index_put", "index_reduce", "masked_scatter", "put", "scatter_extreme",
           "scatter_reduce", "unravel_index"]
METHODS = ["fill_diagonal_", "index_fill", "index_put", "index_reduce", "masked_scatter", "put", "scatter_reduce"]
