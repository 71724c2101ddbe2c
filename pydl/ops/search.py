"""Places in sorted sequences, distinct values, and how often values occur. None of it has a derivative but by the weights."""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pydl._core.checks import dim_arg, int_arg, tensor_arg
from pydl._core.create import empty, full, linspace, zeros
from pydl._core.declare import occurrences
from pydl._core.declare import search as places_in
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import dtype as DType
from pydl._core.dtypes import float32, float64, int64, uint8
from pydl._core.limits import finfo
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import div, mul, sub
from pydl.ops.bounds import clamp
from pydl.ops.compare import eq, ge, le, logical_and, logical_not, ne, where
from pydl.ops.extremes import aminmax
from pydl.ops.gather import index_add, index_select, scatter, take_along_dim
from pydl.ops.join import cat
from pydl.ops.masks import masked_select, nonzero
from pydl.ops.operands import common_type, to
from pydl.ops.parts import narrow
from pydl.ops.reduce import sum as total
from pydl.ops.scan import cumsum
from pydl.ops.shape import clone, contiguous, reshape
from pydl.ops.sort import sort

Number = float | int


# ---- Sorted sequences

def searchsorted(
    sorted_sequence: Tensor, values: Tensor | Number, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """The place of each value in an ascending sequence: the first i with sequence[i] >= value; right or side="right": > value.

    sorted_sequence (n,) and any values, or (..., n) and (..., k) line by line -> the values' shape; int64, or int32 (out_int32).
    The place of a NaN is n. sorter: int64 indices that would sort the sequence, of its shape. Types promote. Raises ValueError,
    TypeError, IndexError.
    """
    sequence = tensor_arg("searchsorted", sorted_sequence, "sorted_sequence").detach()
    if side not in (None, "left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    if side == "left" and right:
        raise ValueError("searchsorted: side 'left' contradicts right=True")
    if sequence.ndim == 0:
        raise ValueError(f"searchsorted: sorted_sequence must have a dimension or more, got shape {sequence.shape}")
    if sorter is not None:
        sequence = _by_sorter(sequence, sorter)
    return _search("searchsorted", sequence, values, right or side == "right", out_int32)


def bucketize(input: Tensor | Number, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The bucket of each element: the first i with boundaries[i] >= x (right: > x). Any shape, boundaries (n,) ascending.

    int64, or int32 (out_int32), from 0 to n. Types promote. Raises ValueError where boundaries is no vector.
    """
    sequence = tensor_arg("bucketize", boundaries, "boundaries").detach()
    if sequence.ndim != 1:
        raise ValueError(f"bucketize: boundaries must have one dimension, got shape {sequence.shape}")
    return _search("bucketize", sequence, input, right, out_int32)


def _by_sorter(sequence: Tensor, sorter: Tensor) -> Tensor:
    order = tensor_arg("searchsorted", sorter, "sorter")
    if order.dtype is not int64:
        raise TypeError(f"searchsorted: sorter must be int64, got {order.dtype}")
    if order.shape != sequence.shape:
        raise ValueError(f"searchsorted: sorter must have the sequence's shape {sequence.shape}, got {order.shape}")
    if order.numel():
        low, high = aminmax(order)
        if int(low) < 0 or int(high) >= sequence.shape[-1]:
            raise IndexError(f"searchsorted: sorter must be 0 to {sequence.shape[-1] - 1}, got {int(low)} to {int(high)}")
    return take_along_dim(sequence, order, -1)


def _search(op: str, sequence: Tensor, values: Tensor | Number, right: bool, narrow_type: bool) -> Tensor:
    if not isinstance(values, (Tensor, int, float)):
        raise TypeError(f"{op}: values must be a Tensor or a number, got {type(values).__name__}")
    kind = _comparable(op, sequence, values)
    wanted = _as_tensor(op, values, kind)
    if sequence.ndim > 1 and wanted.shape[:-1] != sequence.shape[:-1]:
        raise ValueError(f"{op}: expected values with a line for each sequence, got shapes {wanted.shape} and {sequence.shape}")
    return places_in(contiguous(to(sequence, kind)), contiguous(to(wanted, kind)), right, narrow_type)


def _comparable(op: str, a: Tensor | Number, b: Tensor | Number) -> DType:
    """The type in which the two are compared: no integer beside a tensor loses its value."""
    kind = common_type(op, a, b)
    if kind.is_floating_point or all(isinstance(x, Tensor) for x in (a, b)):
        return uint8 if kind is bool_ else kind
    return int64


def _as_tensor(op: str, x: Tensor | Number, kind: DType) -> Tensor:
    if isinstance(x, Tensor):
        return to(x.detach(), kind)
    try:
        return full((), x, dtype=kind)
    except OverflowError:
        raise ValueError(f"{op}: {x} does not fit in {kind}") from None


def isin(
    elements: Tensor | Number, test_elements: Tensor | Number, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each of elements is among test_elements (invert: is not), as bool of elements' shape; NaN is in nothing."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError(f"isin: expected a Tensor, got {type(elements).__name__} and {type(test_elements).__name__}")
    kind = _comparable("isin", elements, test_elements)
    x, among = (_as_tensor("isin", one, kind) for one in (elements, test_elements))
    if among.numel() == 0:
        found = zeros(x.shape, dtype=bool_)
    else:
        ordered = sort(reshape(among, -1))[0]
        place = clamp(_search("isin", ordered, x, False, False), max=ordered.numel() - 1)
        found = eq(reshape(index_select(ordered, 0, reshape(place, -1)), x.shape), x)
    return logical_not(found) if invert else found


# ---- Distinct values

def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The distinct elements in ascending order (sorted or not), or along dim the distinct slices: values[, inverse][, counts].

    inverse: for each element (or slice) the place of its value, int64 of input's shape (or (n,)); counts: how often each occurs.
    All dtypes; NaN equals nothing. Raises IndexError for a dim out of range.
    """
    x = tensor_arg("unique", input, "input").detach()
    if dim is not None:
        return _unique_slices(x, dim_arg("unique", dim, x.ndim), return_inverse, return_counts, False)
    flat = reshape(x, -1)
    ordered, order = sort(flat)
    values, inverse, counts = _runs(ordered, return_inverse, return_counts)
    if return_inverse:
        inverse = reshape(scatter(inverse, 0, order, inverse), x.shape)
    return _chosen(values, inverse if return_inverse else None, counts if return_counts else None)


def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """input without repetitions of neighbours: of the flattened elements, or of slices along dim: values[, inverse][, counts].

    inverse and counts as in unique(), of the runs. All dtypes; NaN equals nothing. Raises IndexError for a dim out of range.
    """
    x = tensor_arg("unique_consecutive", input, "input").detach()
    if dim is not None:
        return _unique_slices(x, dim_arg("unique_consecutive", dim, x.ndim), return_inverse, return_counts, True)
    values, inverse, counts = _runs(contiguous(reshape(x, -1)), return_inverse, return_counts)
    return _chosen(values, reshape(inverse, x.shape) if return_inverse else None, counts if return_counts else None)


def _chosen(values: Tensor, inverse: Tensor | None, counts: Tensor | None) -> Any:
    result = tuple(one for one in (values, inverse, counts) if one is not None)
    return result if len(result) > 1 else values


def _runs(x: Tensor, want_inverse: bool, want_counts: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The first of each run of equal neighbours, the number of its run for each element, and the lengths."""
    n = x.numel()
    nothing = empty(0, dtype=int64)
    if n == 0:
        return clone(x), nothing, nothing
    begins = cat((full((1,), True), ne(narrow(x, 0, 1, n - 1), narrow(x, 0, 0, n - 1))), 0)
    inverse = sub(cumsum(begins, 0), 1) if want_inverse else nothing
    if not want_counts:
        return masked_select(x, begins), inverse, nothing
    starts = reshape(nonzero(begins), -1)
    ends = cat((narrow(starts, 0, 1, starts.numel() - 1), full((1,), n)), 0)
    return index_select(x, 0, starts), inverse, sub(ends, starts)


def _unique_slices(x: Tensor, d: int, want_inverse: bool, want_counts: bool, neighbours: bool) -> Any:
    slices = np.moveaxis(x.numpy(), d, 0) if x.ndim else x.numpy().reshape(1).copy()
    n = slices.shape[0]
    rows = slices.reshape(n, -1) if n else slices.reshape(0, 1)
    order = np.arange(n) if neighbours or rows.shape[1] == 0 else np.lexsort(rows.T[::-1])
    ordered = rows[order]
    begins = np.ones(n, bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(1)
    inverse = np.empty(n, np.int64)
    inverse[order] = np.cumsum(begins) - 1
    values = np.ascontiguousarray(np.moveaxis(slices[order[begins]], 0, d)) if x.ndim else slices[:1].reshape(())
    counts = np.diff(np.append(np.flatnonzero(begins), n)).astype(np.int64)
    return _chosen(from_numpy(values), from_numpy(inverse) if want_inverse else None, from_numpy(counts) if want_counts else None)


# ---- How often

MOST_BINS = 1 << 30     # of a histogram: more is a mistake


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2 ... occurs, or the sum of the weights there: (n,) -> (max(minlength, largest + 1),).

    input: integers, not negative; weights (n,). int64; with weights float32 for float32, else float64, added in the order of
    input. Raises ValueError for negative elements and other shapes, TypeError for floats and bool.
    """
    x = tensor_arg("bincount", input, "input")
    least = int_arg("bincount", minlength, "minlength", 0)
    if x.is_floating_point() or x.dtype is bool_:
        raise TypeError(f"bincount: input must be of an integer type, got {x.dtype}")
    if x.ndim != 1:
        raise ValueError(f"bincount: input must have one dimension, got shape {x.shape}")
    w = None if weights is None else tensor_arg("bincount", weights, "weights")
    if w is not None and w.shape != x.shape:
        raise ValueError(f"bincount: weights must have input's shape {x.shape}, got {w.shape}")
    bins = least
    if x.numel():
        low, high = aminmax(x)
        if int(low) < 0:
            raise ValueError(f"bincount: input must not be negative, got {int(low)} in shape {x.shape}")
        bins = max(least, int(high) + 1)
    if bins > MOST_BINS:
        raise ValueError(f"bincount: {bins} bins are too many (input of shape {x.shape})")
    if w is None:
        return occurrences(contiguous(x), bins)
    w = w if w.dtype is float32 else to(w, float64)
    return index_add(zeros(bins, dtype=w.dtype), 0, to(x, int64), w)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal parts of min .. max, the upper end belonging to the last: any shape -> (bins,).

    min = max = 0: from the smallest to the largest element; one value: 1 to both sides of it. NaN and what is outside do not
    count. float32, float64, whose type the counts have. Raises ValueError for bins < 1, min > max and ends that are not finite.
    """
    x = tensor_arg("histc", input, "input").detach()
    if not x.is_floating_point():
        raise TypeError(f"histc: input must be float32 or float64, got {x.dtype}; convert it with .to()")
    parts = int_arg("histc", bins, "bins", 1)
    if not isinstance(min, (int, float)) or not isinstance(max, (int, float)):
        raise TypeError(f"histc: min and max must be numbers, got {type(min).__name__} and {type(max).__name__}")
    low, high = float(min), float(max)
    if low == high and x.numel():
        low, high = (float(end) for end in aminmax(contiguous(x)))
    if low == high:
        low, high = low - 1, high + 1
    most = finfo(x.dtype).max
    if not (low <= high and -most <= low and high <= most):
        raise ValueError(f"histc: expected finite min <= max, got {low} and {high} (input {x.shape})")
    if parts > MOST_BINS:
        raise ValueError(f"histc: {parts} bins are too many (input {x.shape})")
    return to(occurrences(contiguous(x), parts, low, high), x.dtype)


class Histogram(NamedTuple):
    hist: Tensor
    bin_edges: Tensor


def histogram(
    input: Tensor, bins: int | Tensor, *, range: Sequence[float] | None = None, weight: Tensor | None = None, density: bool = False
) -> Histogram:
    """(hist, bin_edges): the sums of weight (1 unless given) in bins that are equal parts of `range`, or between given edges.

    bins: a number, or ascending edges (b + 1,) of input's type; range (low, high): by default the ends of input; weight: of input's
    shape and type. A bin holds its lower edge, the last one both. density: divided by the sum and the widths, so that the integral
    is 1. float32, float64. Raises ValueError, TypeError.
    """
    x = tensor_arg("histogram", input, "input").detach()
    if not x.is_floating_point():
        raise TypeError(f"histogram: input must be float32 or float64, got {x.dtype}; convert it with .to()")
    w = None if weight is None else tensor_arg("histogram", weight, "weight").detach()
    if w is not None and w.dtype is not x.dtype:
        raise TypeError(f"histogram: expected weight of input's type {x.dtype}, got {w.dtype}")
    if w is not None and w.shape != x.shape:
        raise ValueError(f"histogram: weight must have input's shape {x.shape}, got {w.shape}")
    edges = _given_edges(x, bins, range) if isinstance(bins, Tensor) else _even_edges(x, int_arg("histogram", bins, "bins", 1), range)
    flat, count = reshape(x, -1), edges.numel() - 1
    ends = edges.tolist()
    inside = logical_and(ge(flat, ends[0]), le(flat, ends[-1]))
    place = clamp(sub(_search("histogram", edges, flat, True, False), 1), 0, count - 1)
    weights = full((flat.numel(),), 1.0, dtype=x.dtype) if w is None else reshape(w, -1)
    hist = index_add(zeros(count, dtype=x.dtype), 0, place, where(inside, weights, 0.0))
    if density:
        hist = div(hist, mul(sub(narrow(edges, 0, 1, count), narrow(edges, 0, 0, count)), total(hist)))
    return Histogram(hist, edges)


def _given_edges(x: Tensor, bins: Tensor, range: Sequence[float] | None) -> Tensor:
    if range is not None:
        raise ValueError("histogram: range goes with a number of bins, not with edges")
    if bins.dtype is not x.dtype:
        raise TypeError(f"histogram: expected bins of input's type {x.dtype}, got {bins.dtype}")
    if bins.ndim != 1 or bins.numel() < 2:
        raise ValueError(f"histogram: bins must be a vector of two edges or more, got shape {bins.shape} (input {x.shape})")
    edges = bins.detach().numpy()
    if not (edges[1:] >= edges[:-1]).all():
        raise ValueError(f"histogram: the edges in bins must ascend, got shape {bins.shape} (input {x.shape})")
    return clone(bins.detach())


def _even_edges(x: Tensor, bins: int, range: Sequence[float] | None) -> Tensor:
    if range is None:
        low, high = (float(end) for end in aminmax(contiguous(x))) if x.numel() else (0.0, 1.0)
    else:
        low, high = (float(end) for end in range)
    if low == high:
        low, high = low - 0.5, high + 0.5
    if not low <= high or not np.isfinite(high - low):
        raise ValueError(f"histogram: expected a finite ascending range, got {low} to {high} (input {x.shape})")
    return linspace(low, high, bins + 1, dtype=x.dtype)


__all__ = ["bincount", "bucketize", "histc", "histogram", "isin", "searchsorted", "unique", "unique_consecutive"]
METHODS = ["bincount", "histc", "histogram", "unique", "unique_consecutive"]
