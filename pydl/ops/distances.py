"""Distances between all rows of two matrices, or of one: cdist and pdist."""
import math
from typing import Any

import numpy as np

from pydl._core.checks import tensor_arg
from pydl._core.create import zeros_like
from pydl._core.declare import declare, distance_kernel
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.autograd import is_grad_enabled
from pydl.ops.arithmetic import abs as absolute
from pydl.ops.arithmetic import add, div, mul, neg, pow, sign, sub
from pydl.ops.arrange import broadcast_shapes
from pydl.ops.bounds import clamp
from pydl.ops.compare import eq, where
from pydl.ops.elementwise import sqrt
from pydl.ops.gather import index_add
from pydl.ops.join import cat
from pydl.ops.matmul import matmul
from pydl.ops.parts import select
from pydl.ops.reduce import sum as total
from pydl.ops.shape import broadcast_to, reshape, transpose, unsqueeze

MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
FEW, NARROW = 25, 24        # rows, and columns, up to which the distances are faster one by one than by a product of matrices


def _norm_arg(op: str, p: float) -> float:
    if not isinstance(p, (int, float)) or isinstance(p, bool):
        raise TypeError(f"{op}: p must be a number, got {type(p).__name__}")
    if not p >= 0:
        raise ValueError(f"{op}: p must not be negative, got {p}")
    return float(p)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = MODES[0]) -> Tensor:
    """y_ij = (sum_c |x1_ic - x2_jc|^p)^(1/p), the distance of every row of x1 to every row of x2.

    x1 (..., m, k), x2 (..., n, k) -> (..., m, n); leading dimensions broadcast; one float type. p from 0 (how many differ) to
    infinity (the largest difference). compute_mode: whether p = 2 may go through a matrix product, |a|^2 + |b|^2 - 2 a b, which is
    faster for long rows, but loses digits where rows are close ("..._if_necessary": for more than 25 rows that are long).
    The derivative at distance 0 is 0; so is that of p = 0. Equal largest differences (p = infinity) all have the full slope.
    Raises ValueError where shapes do not fit or p < 0, TypeError for types.
    """
    a, b = tensor_arg("cdist", x1, "x1"), tensor_arg("cdist", x2, "x2")
    if not a.is_floating_point() or a.dtype is not b.dtype:
        raise TypeError(f"cdist: expected one float type, got {a.dtype} and {b.dtype} (shapes {a.shape} and {b.shape})")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"cdist: expected x1 (..., m, k) and x2 (..., n, k), got {a.shape} and {b.shape}")
    if compute_mode not in MODES:
        raise ValueError(f"cdist: compute_mode must be one of {', '.join(MODES)}, got {compute_mode!r}")
    norm = _norm_arg("cdist", p)
    try:
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"cdist: the leading dimensions of shapes {a.shape} and {b.shape} do not broadcast") from None
    m, n, k = a.shape[-2], b.shape[-2], a.shape[-1]
    count = math.prod(batch)
    a, b = (reshape(broadcast_to(x, (*batch, rows, k)), (count, rows, k)) for x, rows in ((a, m), (b, n)))
    by_product = norm == 2 and (compute_mode == MODES[1] or compute_mode == MODES[0] and max(m, n) > FEW and k > NARROW)
    x, z = a.detach(), b.detach()
    y = _by_product(x, z) if by_product else distance_kernel(norm, x, z)
    return reshape(CDIST.record(y, (a, b), (a, b, y), (norm, by_product)), (*batch, m, n))


def _by_product(x: Tensor, z: Tensor) -> Tensor:
    """sqrt(|x|^2 + |z|^2 - 2 x z) as one product of wider matrices"""
    one_x, one_z = (t.new_ones((*t.shape[:2], 1)) for t in (x, z))
    square_x, square_z = (total(mul(t, t), -1, True) for t in (x, z))
    left, right = cat((mul(x, -2), square_x, one_x), -1), cat((z, one_z, square_z), -1)
    return sqrt(clamp(matmul(left, transpose(right, 1, 2)), 0))


def _share(dy: Tensor, y: Tensor, p: float) -> Tensor:
    """dy / y^(p - 1), and 0 where y is 0"""
    if p == 1 or math.isinf(p):
        return dy
    safe = where(eq(y, 0), math.inf, y)
    return div(dy, safe) if p == 2 else mul(dy, pow(safe, 1 - p)) if p > 1 else mul(dy, pow(where(eq(y, 0), 0.0, y), 1 - p))


def _slopes(a: Tensor, b: Tensor, y: Tensor, p: float) -> Tensor:
    """sign(t) |t|^(p - 1) of all differences t: (batch, m, n, k), for derivatives of higher order only"""
    t = sub(unsqueeze(a, 2), unsqueeze(b, 1))
    if p == 1:
        return sign(t)
    if math.isinf(p):
        return where(eq(absolute(t), unsqueeze(y, -1)), sign(t), 0.0)
    return mul(sign(t), pow(where(eq(t, 0), 1.0, absolute(t)), p - 1))


def cdist_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    a, b, y = saved
    p, by_product = extra
    if p == 0:
        return zeros_like(a) if need[0] else None, zeros_like(b) if need[1] else None
    w = _share(dy, y, p)
    if p == 2 and (by_product or is_grad_enabled()):
        da = sub(mul(a, total(w, 2, True)), matmul(w, b)) if need[0] else None
        wt = transpose(w, 1, 2)
        return da, sub(mul(b, total(wt, 2, True)), matmul(wt, a)) if need[1] else None
    if is_grad_enabled():
        parts = mul(unsqueeze(w, -1), _slopes(a, b, y, p))
        return total(parts, 2) if need[0] else None, neg(total(parts, 1)) if need[1] else None
    return (distance_kernel(p, a, b, w, y) if need[0] else None,
            distance_kernel(p, b, a, transpose(w, 1, 2), transpose(y, 1, 2)) if need[1] else None)


CDIST = declare(cdist, cdist_backward)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances of all pairs of rows, y of (0, 1), (0, 2) ... (1, 2) ...: (n, k) -> (n (n - 1) / 2,). p and derivatives as in cdist.

    Raises ValueError for another shape or p < 0, TypeError for integers.
    """
    x = tensor_arg("pdist", input, "input")
    if x.ndim != 2:
        raise ValueError(f"pdist: expected a matrix, got shape {x.shape}")
    if not x.is_floating_point():
        raise TypeError(f"pdist: expected floats, got {x.dtype} (shape {x.shape})")
    norm, batch = _norm_arg("pdist", p), unsqueeze(x.detach(), 0)
    y = select(distance_kernel(norm, batch, batch, half=True), 0, 0)
    return PDIST.record(y, (x,), (x, y), norm)


def pdist_backward(dy: Any, need: Any, saved: Any, p: Any) -> Any:
    """As a cdist of which only what is above the diagonal is wanted"""
    x, y = saved
    n = x.shape[0]
    above = from_numpy(np.flatnonzero(~np.tri(n, dtype=np.bool_)))
    weights, distances = (reshape(index_add(t.new_zeros((n * n,)), 0, above, t), (1, n, n)) for t in (dy, y))
    batch = unsqueeze(x, 0)
    return select(add(*cdist_backward(weights, (True, True), (batch, batch, distances), (p, False))), 0, 0)


PDIST = declare(pdist, pdist_backward)


__all__ = ["cdist", "pdist"]
METHODS: list[str] = []
