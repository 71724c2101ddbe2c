"""Differences and sums along a dimension, norms of differences and of slices."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydl._core.checks import dim_arg, int_arg, tensor_arg
from pydl._core.create import full
from pydl._core.dtypes import bool as bool_
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, mul, sub
from pydl.ops.compare import gt, logical_xor, where
from pydl.ops.join import cat
from pydl.ops.moments import norm
from pydl.ops.operands import to
from pydl.ops.pairs import fitting
from pydl.ops.parts import narrow
from pydl.ops.pointwise import real
from pydl.ops.reduce import sum as total
from pydl.ops.scan import cumsum
from pydl.ops.shape import clone, reshape
from pydl.ops.sort import sort


def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension: sort(input, 0).values."""
    return sort(tensor_arg("msort", input, "input"), 0)[0]


def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """x_(k+1) - x_k along dim, n times: (..., m, ...) -> (..., max(m - n, 0), ...); of bool whether neighbours differ.

    prepend, append: put before and behind input along dim first. Raises ValueError for n < 0 and a 0-dimensional input, IndexError.
    """
    x = tensor_arg("diff", input, "input")
    times = int_arg("diff", n, "n", 0)
    if x.ndim == 0:
        raise ValueError(f"diff: expected a dimension or more, got shape {x.shape}")
    d = dim_arg("diff", dim, x.ndim)
    if times == 0:
        return clone(x)
    y = x if prepend is None and append is None else _extended(x, d, prepend, append)
    times = min(times, y.shape[d])
    for _ in range(times):
        m = max(y.shape[d] - 1, 0)
        later, earlier = narrow(y, d, y.shape[d] - m, m), narrow(y, d, 0, m)
        y = logical_xor(later, earlier) if y.dtype is bool_ else sub(later, earlier)
    return y


def _extended(x: Tensor, d: int, prepend: Tensor | None, append: Tensor | None) -> Tensor:
    ends = [None if one is None else tensor_arg("diff", one, name) for one, name in ((prepend, "prepend"), (append, "append"))]
    for one in ends:
        if one is not None and (one.ndim != x.ndim or any(one.shape[k] != x.shape[k] for k in range(x.ndim) if k != d)):
            raise ValueError(f"diff: shapes {x.shape} and {one.shape} do not fit together along dim {d}")
    return cat([one for one in (ends[0], x, ends[1]) if one is not None], d)


Spacing = float | Tensor | Sequence[float | Tensor]


def gradient(input: Tensor, *, spacing: Spacing = 1, dim: int | Sequence[int] | None = None, edge_order: int = 1) -> list[Tensor]:
    """The derivative along each dimension by second-order differences, one tensor of input's shape for each (Fornberg 1988).

    spacing: the distance of neighbours, or a list with one for each dim, or with the places along each dim, (n,). At both ends the
    difference is one-sided, of order edge_order, 1 or 2. Integers become floats. Raises ValueError for fewer than edge_order + 1
    elements along a dim, IndexError, TypeError.
    """
    x = real("gradient", tensor_arg("gradient", input, "input"))
    if x.ndim == 0:
        raise ValueError(f"gradient: expected a dimension or more, got shape {x.shape}")
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    order = [dim_arg("gradient", one, x.ndim) for one in dims]
    if len(set(order)) != len(order):
        raise ValueError(f"gradient: a dim is named twice in {tuple(dims)}")
    if int_arg("gradient", edge_order, "edge_order", 1) > 2:
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    gaps: list[Any] = list(spacing) if isinstance(spacing, (list, tuple)) else [spacing] * len(order)
    if len(gaps) != len(order):
        raise ValueError(f"gradient: expected a spacing for each of {len(order)} dims, got {len(gaps)} (shape {x.shape})")
    return [_slopes(x, d, gap, edge_order) for d, gap in zip(order, gaps)]


def _slopes(x: Tensor, d: int, gap: Any, edge_order: int) -> Tensor:
    n = x.shape[d]
    if n <= edge_order:
        raise ValueError(f"gradient: expected {edge_order + 1} elements or more along dim {d}, got shape {x.shape}")
    h = _gaps(x, d, gap)
    step = div(diff(x, dim=d), h)                                       # one-sided, between neighbours
    first, last = narrow(step, d, 0, 1), narrow(step, d, n - 2, 1)
    if n == 2:
        return cat([first, last], d)
    before, after = narrow(h, d, 0, n - 2), narrow(h, d, 1, n - 2)
    whole = add(before, after)
    inner = div(add(mul(narrow(step, d, 0, n - 2), after), mul(narrow(step, d, 1, n - 2), before)), whole)
    if edge_order == 2:
        first, last = _parabola(step, h, d, 0, 1), _parabola(step, h, d, n - 2, n - 3)
    return cat([first, inner, last], d)


def _parabola(step: Tensor, h: Tensor, d: int, end: int, next: int) -> Tensor:
    """The slope at the end of the parabola through the last three points."""
    a, b, at, beyond = narrow(h, d, end, 1), narrow(h, d, next, 1), narrow(step, d, end, 1), narrow(step, d, next, 1)
    return add(at, mul(sub(at, beyond), div(a, add(a, b))))


def _gaps(x: Tensor, d: int, gap: Any) -> Tensor:
    """The distances of neighbours along d, in a shape that broadcasts with their differences."""
    n = x.shape[d]
    if isinstance(gap, Tensor) and gap.ndim:
        if gap.ndim != 1 or gap.shape[0] != n:
            raise ValueError(f"gradient: expected {n} places along dim {d}, got {gap.shape} for shape {x.shape}")
        distances = diff(to(gap.detach(), x.dtype))
    elif isinstance(gap, (int, float, Tensor)) and not isinstance(gap, bool):
        distances = full((n - 1,), float(gap), dtype=x.dtype)
    else:
        raise TypeError(f"gradient: spacing must be numbers or tensors of places, got {type(gap).__name__}")
    return reshape(distances, tuple(-1 if k == d else 1 for k in range(x.ndim)))


# ---- Areas

def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of y along dim by the trapezoidal rule, sum of (x_(k+1) - x_k) (y_k + y_(k+1)) / 2; dim goes.

    x: the places, (m,) or of a shape that broadcasts with y's; or dx, the distance of neighbours (1). Integers become floats.
    Raises ValueError where shapes do not fit or both are given, IndexError.
    """
    return total(*_areas("trapezoid", y, x, dx, dim))


def trapz(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """trapezoid(y, x, dx=dx, dim=dim)."""
    return total(*_areas("trapz", y, x, dx, dim))


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The running sums of what trapezoid() adds: (..., m, ...) -> (..., m - 1, ...)."""
    return cumsum(*_areas("cumulative_trapezoid", y, x, dx, dim))


def _no_bool(op: str, x: Tensor, name: str) -> Tensor:
    if tensor_arg(op, x, name).dtype is bool_:
        raise TypeError(f"{op}: {name} must not be bool; convert it with .to()")
    return x


def _areas(op: str, y: Tensor, x: Tensor | None, dx: float | None, dim: int) -> tuple[Tensor, int]:
    """The area between each two neighbours, and the dimension."""
    values = real(op, _no_bool(op, y, "y"), "y")
    if values.ndim == 0:
        raise ValueError(f"{op}: expected a dimension or more, got shape {values.shape}")
    d = dim_arg(op, dim, values.ndim)
    if x is not None and dx is not None:
        raise ValueError(f"{op}: give x or dx, not both")
    if dx is not None and (isinstance(dx, bool) or not isinstance(dx, (int, float))):
        raise TypeError(f"{op}: dx must be a number, got {type(dx).__name__}")
    m = values.shape[d]
    steps = None if x is None else _steps(op, values, _no_bool(op, x, "x"), d)
    if m == 0:
        return values, d
    pairs = add(narrow(values, d, 1, m - 1), narrow(values, d, 0, m - 1))
    if x is None or steps is None:
        return mul(pairs, (1 if dx is None else dx) / 2), d
    try:
        areas = div(mul(pairs, steps), 2)
    except ValueError:
        raise ValueError(f"{op}: shapes of y {values.shape} and x {x.shape} do not fit along dim {dim}") from None
    return areas, d - values.ndim


def _steps(op: str, values: Tensor, x: Tensor, d: int) -> Tensor:
    places = to(x, values.dtype) if not x.is_floating_point() else x
    if places.ndim == 1:
        if places.shape[0] != values.shape[d]:
            raise ValueError(f"{op}: x must have one place for each of the {values.shape[d]} values, got {x.shape} for y {values.shape}")
        places = reshape(places, tuple(-1 if k == d else 1 for k in range(values.ndim)))
    elif places.ndim < values.ndim:
        places = reshape(places, (1,) * (values.ndim - places.ndim) + tuple(places.shape))
    n = places.shape[d - values.ndim] if places.ndim else 0
    if n != values.shape[d]:
        raise ValueError(f"{op}: x of shape {x.shape} does not fit y of shape {values.shape} along dim {d}")
    return diff(places, dim=d - values.ndim)


# ---- Norms

def _power(op: str, p: object) -> None:
    if not isinstance(p, (int, float)):
        raise TypeError(f"{op}: expected a number, got {type(p).__name__}")


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other: shapes that broadcast -> (). Floats, types promote."""
    a, b = fitting("dist", input=input, other=other)
    _power("dist", p)
    if a.numel() == 0 and (p < 0 or math.isinf(p)):
        raise ValueError(f"dist: the {p}-norm of nothing is not defined, got shape {a.shape}")
    return norm(sub(a, b), p)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along dim scaled down to the p-norm maxnorm where its norm is larger: by maxnorm / (norm + 1e-7).

    Two dimensions or more; float32, float64. Raises ValueError for p <= 0, maxnorm < 0 and fewer dimensions, IndexError, TypeError.
    """
    x = tensor_arg("renorm", input, "input")
    if not x.is_floating_point():
        raise TypeError(f"renorm: input must be float32 or float64, got {x.dtype}; convert it with .to()")
    d = dim_arg("renorm", dim, x.ndim)
    if x.ndim < 2:
        raise ValueError(f"renorm: expected two dimensions or more, got shape {x.shape}")
    _power("renorm", p)
    _power("renorm", maxnorm)
    if not p > 0 or not maxnorm >= 0:
        raise ValueError(f"renorm: expected p > 0 and maxnorm >= 0, got {p} and {maxnorm}")
    if x.numel() == 0:
        return clone(x)
    length = norm(x, p, tuple(k for k in range(x.ndim) if k != d), True)
    return mul(x, where(gt(length, maxnorm), div(maxnorm, add(length, 1e-7)), 1.0))


__all__ = ["cumulative_trapezoid", "diff", "dist", "gradient", "msort", "renorm", "trapezoid", "trapz"]
METHODS = ["diff", "dist", "msort", "renorm"]
