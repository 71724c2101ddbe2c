"""What is known of many numbers: medians, quantiles, modes, means without NaN, moments in pairs, covariances."""
from typing import Any, NamedTuple

import numpy as np

from pydl._core.checks import dim_arg, tensor_arg
from pydl._core.create import full
from pydl._core.declare import declare
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import dtype as DType
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import div, mul, sub
from pydl.ops.bounds import clamp
from pydl.ops.compare import eq, isinf, isnan, logical_and, logical_not, logical_or, ne, where
from pydl.ops.elementwise import sqrt
from pydl.ops.fused import lerp
from pydl.ops.gather import gather, index_select
from pydl.ops.matmul import matmul
from pydl.ops.moments import nansum, std, var
from pydl.ops.operands import to
from pydl.ops.parts import diagonal, narrow
from pydl.ops.pointwise import real
from pydl.ops.reduce import any as any_
from pydl.ops.reduce import mean, spread
from pydl.ops.reduce import sum as total
from pydl.ops.shape import expand, movedim, reshape, squeeze, t, transpose, unsqueeze
from pydl.ops.sort import kthvalue, median_along, median_result, mode_of_last, nanmedian_along, nanmedian_result, sort

Dims = int | tuple[int, ...] | list[int] | None


def _float(op: str, input: Tensor) -> Tensor:
    x = tensor_arg(op, input, "input")
    if not x.is_floating_point():
        raise TypeError(f"{op}: input must be float32 or float64, got {x.dtype}; convert it with .to()")
    return x


def _dims(op: str, dim: Dims, x: Tensor) -> Dims:
    """dim, checked in the op's own name."""
    given = () if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    found = [dim_arg(op, d, x.ndim) for d in given]
    if len(set(found)) < len(found) and x.ndim:
        raise ValueError(f"{op}: a dim appears twice in {given}")
    return dim


# ---- In pairs

def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None,
    axis: Dims = None, keepdims: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """(std(x), mean(x)) over `dim`; arguments as in var()."""
    x = _float("std_mean", input)
    dim, unbiased, keepdim = _moment_args("std_mean", x, dim, unbiased, keepdim, axis, keepdims)
    return std(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None,
    axis: Dims = None, keepdims: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """(var(x), mean(x)) over `dim`; arguments as in var()."""
    x = _float("var_mean", input)
    dim, unbiased, keepdim = _moment_args("var_mean", x, dim, unbiased, keepdim, axis, keepdims)
    return var(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


def _moment_args(
    op: str, x: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, axis: Dims, keepdims: bool | None
) -> tuple[Any, bool | None, bool]:
    dim, keepdim = axis if dim is None else dim, keepdim if keepdims is None else keepdims
    if isinstance(dim, bool) and unbiased is None:
        return None, dim, keepdim
    return _dims(op, dim, x), unbiased, keepdim


# ---- Without NaN, without zeros

def nanmean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None, axis: Dims = None, keepdims: bool | None = None
) -> Tensor:
    """The mean over `dim` of what is no NaN; NaN where nothing is left. float32, float64."""
    x = _float("nanmean", input if dtype is None else tensor_arg("nanmean", input, "input").to(dtype))
    dim, keepdim = _dims("nanmean", axis if dim is None else dim, x), keepdim if keepdims is None else keepdims
    return div(nansum(x, dim, keepdim), to(total(logical_not(isnan(x)), dim, keepdim), x.dtype))


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many x over `dim` are not zero (NaN is not); int64. Not differentiable."""
    x = tensor_arg("count_nonzero", input, "input").detach()
    return total(x if x.dtype is bool_ else ne(x, 0), _dims("count_nonzero", dim, x))


# ---- In the middle

def median(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool | None = None) -> Any:
    """median(x): the lower of the middle elements; median(x, dim): (values, indices) along dim. NaN where there is one.

    All dtypes. The gradient of median(x) is shared evenly by equal elements, that of median(x, dim) goes to the index. Of an empty
    tensor NaN. Raises ValueError for an empty dim and for an empty tensor of integers, IndexError for a dim out of range.
    """
    x = tensor_arg("median", input, "input")
    dim, keepdim = axis if dim is None else dim, keepdim if keepdims is None else keepdims
    if dim is not None:
        return median_result(*median_along(x, dim, keepdim))
    return MEDIAN.record(y := _middle("median", x, median_along), (x,), (x, y))


def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool | None = None
) -> Any:
    """median() of the elements that are no NaN; NaN where there is nothing else."""
    x = tensor_arg("nanmedian", input, "input")
    dim, keepdim = axis if dim is None else dim, keepdim if keepdims is None else keepdims
    if dim is not None:
        return nanmedian_result(*nanmedian_along(x, dim, keepdim))
    return NANMEDIAN.record(y := _middle("nanmedian", x, nanmedian_along), (x,), (x, y))


def _middle(op: str, x: Tensor, along: Any) -> Tensor:
    if x.numel():
        return along(reshape(x.detach(), -1), 0)[0]
    if not x.is_floating_point():
        raise ValueError(f"{op}: expected at least one element, got shape {x.shape}: there is nothing to choose from")
    return full((), np.nan, dtype=x.dtype)


def median_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    x, y = saved
    chosen = to(logical_or(eq(x, y), isnan(x)) if bool(isnan(y.detach())) else eq(x, y), x.dtype)
    return mul(spread(div(dy, total(chosen)), x.shape, tuple(range(x.ndim))), chosen) if x.ndim else mul(dy, chosen)


MEDIAN = declare(median, median_backward)
NANMEDIAN = declare(nanmedian, median_backward)


class ModeResult(NamedTuple):
    values: Tensor
    indices: Tensor


def mode(input: Tensor, dim: int = -1, keepdim: bool = False, *, axis: int | None = None, keepdims: bool | None = None) -> ModeResult:
    """(values, indices): the most frequent element along dim, of equally frequent ones the smallest, and the last place of it.

    All dtypes; NaN equals nothing. The gradient goes to the index. Raises ValueError for an empty dim, IndexError.
    """
    x = tensor_arg("mode", input, "input")
    d, keepdim = dim_arg("mode", dim if axis is None else axis, x.ndim), keepdim if keepdims is None else keepdims
    line = reshape(x, 1) if x.ndim == 0 else x
    if line.shape[d] == 0:
        raise ValueError(f"mode: expected at least one element along dim {dim} of shape {x.shape}: there is nothing to choose from")
    values, index = (part if d == line.ndim - 1 else transpose(part, d, -1)
                     for part in mode_of_last(line.detach() if d == line.ndim - 1 else transpose(line.detach(), d, -1)))
    if x.requires_grad:
        values = gather(line, d, index)
    if x.ndim == 0 or not keepdim:
        values, index = squeeze(values, d), squeeze(index, d)
    return ModeResult(values, index)


# ---- Quantiles

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear",
    axis: int | None = None, keepdims: bool | None = None,
) -> Tensor:
    """What a fraction q of the elements along dim (None: all) is below: the element in place q (n - 1) of n sorted ones, or between two.

    q: a number from 0 to 1, or a tensor of input's type with at most one dimension: its size comes first in the result. Between two
    elements "linear" goes in proportion, "midpoint" half way, "lower", "higher" and "nearest" to one of them. NaN where there is one.
    float32, float64. Raises ValueError for q, for no elements and another interpolation, TypeError, IndexError.
    """
    return _quantile("quantile", input, q, axis if dim is None else dim, keepdim if keepdims is None else keepdims, interpolation)


def nanquantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear",
    axis: int | None = None, keepdims: bool | None = None,
) -> Tensor:
    """quantile() of the elements that are no NaN; NaN where there is nothing else."""
    return _quantile("nanquantile", input, q, axis if dim is None else dim, keepdim if keepdims is None else keepdims, interpolation)


def _quantile(op: str, input: Tensor, q: float | Tensor, dim: int | None, keepdim: bool, interpolation: str) -> Tensor:
    x = _float(op, input)
    fractions = _fractions(op, x, q)
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"{op}: interpolation must be one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}")
    d = 0 if dim is None else dim_arg(op, dim, x.ndim)
    lines = reshape(x, -1) if dim is None or x.ndim == 0 else movedim(x, d, -1)
    if lines.shape[-1] == 0:
        raise ValueError(f"{op}: expected at least one element along dim {dim}, got shape {x.shape}: there is nothing to choose from")
    y = _ignoring(lines, fractions, interpolation) if op == "nanquantile" else _along_last(lines, fractions, interpolation)
    y = movedim(y, -1, 0)                                               # (q, ...)
    if keepdim:
        y = reshape(y, (len(fractions),) + (1,) * x.ndim) if dim is None else unsqueeze(y, d + 1) if x.ndim else y
    return y if isinstance(q, Tensor) and q.ndim else reshape(y, tuple(y.shape[1:]))


def _fractions(op: str, x: Tensor, q: float | Tensor) -> np.ndarray:
    if isinstance(q, Tensor):
        if q.ndim > 1:
            raise ValueError(f"{op}: q must be a number or have one dimension, got shape {q.shape} (input {x.shape})")
        if q.dtype is not x.dtype:
            raise TypeError(f"{op}: expected q of input's type {x.dtype}, got {q.dtype}; use .to()")
        values = q.detach().numpy().reshape(-1)
    elif isinstance(q, (int, float)):
        values = np.array([q], str(x.dtype).split(".")[1])
    else:
        raise TypeError(f"{op}: q must be a number or a Tensor, got {type(q).__name__}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{op}: q must be from 0 to 1, got {values.tolist()}")
    return values


def _along_last(x: Tensor, fractions: np.ndarray, interpolation: str) -> Tensor:
    """(..., n) -> (..., q). A single place is selected; for several the lines are sorted."""
    ranks = fractions * fractions.dtype.type(x.shape[-1] - 1)
    below, above, weight = _between(ranks, interpolation)
    if len(ranks) == 1:
        low = kthvalue(x, int(below[0]) + 1, -1, True)[0]
        high = low if below[0] == above[0] else kthvalue(x, int(above[0]) + 1, -1, True)[0]
        wrong = any_(isnan(x.detach()), -1, True)
    else:
        ordered = sort(x, -1)[0]
        low, high = (index_select(ordered, -1, from_numpy(place.astype(np.int64))) for place in (below, above))
        wrong = expand(isnan(narrow(ordered.detach(), -1, x.shape[-1] - 1, 1)), low.shape)
    return where(wrong, np.nan, low if high is low or weight is None else _mixed(low, high, weight.astype(ranks.dtype)))


def _between(ranks: np.ndarray, interpolation: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The places below and above, and how far towards the upper one; None: the lower one it is."""
    if interpolation == "nearest":
        return np.rint(ranks), np.rint(ranks), None
    if interpolation in ("lower", "higher"):
        one = np.floor(ranks) if interpolation == "lower" else np.ceil(ranks)
        return one, one, None
    below = np.floor(ranks)
    return below, np.ceil(ranks), np.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - below


def _ignoring(x: Tensor, fractions: np.ndarray, interpolation: str) -> Tensor:
    """The same where every line has its own number of elements: NaN lie behind them."""
    ordered = sort(x, -1)[0]
    count = total(logical_not(isnan(x.detach())), -1, True).numpy()
    ranks = fractions * np.maximum(count - 1, 0).astype(fractions.dtype)
    below, above, weight = _between(ranks, interpolation)
    low, high = (gather(ordered, -1, from_numpy(place.astype(np.int64))) for place in (below, above))
    return low if weight is None else _mixed(low, high, weight.astype(ranks.dtype))


def _mixed(low: Tensor, high: Tensor, weight: np.ndarray) -> Tensor:
    """low + weight (high - low), and equal infinities as they are."""
    endless = logical_and(eq(low, high), isinf(low.detach()))
    return where(endless, low, lerp(low, high, expand(from_numpy(weight), low.shape)))


# ---- Covariances

def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """Covariances of variables, the rows of input, over observations, its columns: (m, n) -> (m, m); (n,) -> () the variance.

    fweights: how often each observation counts, integers (n,); aweights: how much, floats (n,); neither negative. The divisor is
    that of n - correction observations, as NumPy defines it. Integers become floats. Raises ValueError, TypeError.
    """
    if tensor_arg("cov", input, "input").dtype is bool_:
        raise TypeError("cov: not defined for bool; convert the tensor with .to()")
    x = real("cov", input)
    if x.ndim > 2:
        raise ValueError(f"cov: expected at most two dimensions, got shape {x.shape}")
    rows = reshape(x, 1, x.numel()) if x.ndim < 2 else x
    n = rows.shape[1]
    weights = _weights("cov", x, n, fweights, aweights)
    if weights is None:
        weighted, norm = None, float(n - correction)
        average = mean(rows, 1, True)
    else:
        weighted = to(from_numpy(weights), x.dtype)
        whole = weights.sum()
        average = div(total(mul(rows, weighted), 1, True), float(whole))
        spent = (weights * aweights.detach().numpy()).sum() / whole if aweights is not None else 1.0
        norm = float(whole - correction * spent)
    centred = sub(rows, average)
    product = matmul(centred if weighted is None else mul(centred, weighted), t(centred))
    result = div(product, full((), max(norm, 0.0), dtype=x.dtype))
    return result if x.ndim == 2 and rows.shape[0] != 1 else reshape(result, ())


def _weights(op: str, x: Tensor, n: int, fweights: Tensor | None, aweights: Tensor | None) -> np.ndarray | None:
    result = None
    for given, name, kinds in ((fweights, "fweights", "iu"), (aweights, "aweights", "f")):
        if given is None:
            continue
        w = tensor_arg(op, given, name).detach().numpy()
        if w.dtype.kind not in kinds:
            raise TypeError(f"{op}: {name} must be {'integers' if kinds == 'iu' else 'floats'}, got {given.dtype}")
        if w.shape != (n,):
            raise ValueError(f"{op}: {name} must have shape {(n,)} for input {x.shape}, got {given.shape}")
        if (w < 0).any():
            raise ValueError(f"{op}: {name} must not be negative, got {w.min()} in shape {given.shape} (input {x.shape})")
        result = w.astype(np.float64) if result is None else result * w
    if result is not None and not result.sum():
        raise ValueError(f"{op}: the weights of shape {(n,)} add up to 0 (input {x.shape})")
    return result


def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlations of variables, the rows of input, over observations: (m, n) -> (m, m), from -1 to 1; (n,) -> () 1.

    NaN beside a variable that does not vary. Integers become floats. Raises ValueError for more than two dimensions.
    """
    if tensor_arg("corrcoef", input, "input").dtype is bool_:
        raise TypeError("corrcoef: not defined for bool; convert the tensor with .to()")
    x = real("corrcoef", input)
    if x.ndim > 2:
        raise ValueError(f"corrcoef: expected at most two dimensions, got shape {x.shape}")
    c = cov(x)
    if c.ndim == 0:
        return div(c, c)
    deviation = sqrt(diagonal(c))
    return clamp(div(div(c, unsqueeze(deviation, 1)), unsqueeze(deviation, 0)), -1, 1)


__all__ = [
    "corrcoef", "count_nonzero", "cov", "median", "mode", "nanmean", "nanmedian", "nanquantile", "quantile", "std_mean", "var_mean",
]
METHODS = ["corrcoef", "count_nonzero", "cov", "median", "mode", "nanmean", "nanmedian", "nanquantile", "quantile"]
