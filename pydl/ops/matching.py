"""Which boxes are left, and which belong together: suppression and matching. Kernels: csrc/nms.c, csrc/box.c, csrc/assign.c.

They look at values, so that they cannot be captured, and have no derivatives.
"""
from __future__ import annotations

import math

from pydl._core.checks import number_arg, tensor_arg
from pydl._core.create import arange, empty, full, tensor
from pydl._core.declare import declare
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import float64, int64
from pydl._core.regions import check_rows, launch_lines
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import neg
from pydl.ops.boxes import FINITE, NAN, ORDER, as_floats, boxes_arg, check_boxes
from pydl.ops.join import cat
from pydl.ops.masks import masked_select
from pydl.ops.operands import common_type, to
from pydl.ops.parts import narrow
from pydl.ops.scan import cumsum
from pydl.ops.search import unique_consecutive
from pydl.ops.shape import reshape, transpose
from pydl.ops.sort import argsort, sort

MOST = 1 << 31      # the kernels count in 32 bits


def _scored(op: str, boxes: Tensor, scores: Tensor, what: int) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4), finite and in order, and their scores (n,), in one float type."""
    b, s = boxes_arg(op, boxes).detach(), tensor_arg(op, scores, "scores").detach()
    if s.dtype is bool_:
        raise TypeError(f"{op}: expected scores to be numbers, got {s.dtype} (shape {s.shape})")
    if tuple(s.shape) != (b.shape[0],):
        raise ValueError(f"{op}: expected scores ({b.shape[0]},), one a box, got shape {s.shape} (boxes {b.shape})")
    if b.shape[0] >= MOST:
        raise ValueError(f"{op}: expected fewer than 2**31 boxes, got shape {b.shape}")
    b, s = as_floats(b), as_floats(s)
    kind = common_type(op, b, s)
    check_boxes(op, b, what=ORDER | FINITE)
    check_rows(reshape(s, (-1, 1)), what, lambda rows, i: ValueError(
        f"{op}: expected {'finite scores' if what & FINITE else 'scores that are numbers'}, got scores[{i}] = {rows[i].item()} "
        f"(shape {tuple(s.shape)})"))
    return to(b, kind), to(s, kind)


def _share(op: str, value: float, name: str) -> float:
    number = number_arg(op, value, name)
    if not 0 <= number <= 1:
        raise ValueError(f"{op}: expected {name} between 0 and 1, got {value!r}")
    return number


def _kept(boxes: Tensor, order: Tensor, start: Tensor, threshold: float) -> Tensor:
    """The elements of `order` that no better box of their group suppresses."""
    keep = empty((order.shape[0],), dtype=bool_)
    launch_lines("nms", (boxes, order, start), (keep,), start.shape[0] - 1, boxes.shape[0], (threshold,))
    return masked_select(order, keep)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The indices of the boxes that overlap no better one that is kept by more than iou_threshold, the best first.

    boxes (N, 4), scores (N,), iou_threshold 0 to 1 -> (K,) int64. Of equal scores the first is the better one; boxes without area
    overlap nothing. Types promote to a float. Raises ValueError for shapes that do not fit, x2 < x1 or y2 < y1, boxes that are not
    finite and scores that are NaN, naming the position; TypeError for types.
    """
    threshold = _share("nms", iou_threshold, "iou_threshold")
    b, s = _scored("nms", boxes, scores, NAN)
    return _kept(b, argsort(s, descending=True), tensor([0, b.shape[0]]), threshold)


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """nms for every class (level, image ...) by itself: idxs (N,) integers say which -> (K,) int64, all that are kept, the best first."""
    threshold = _share("batched_nms", iou_threshold, "iou_threshold")
    b, s = _scored("batched_nms", boxes, scores, NAN)
    groups = tensor_arg("batched_nms", idxs, "idxs").detach()
    if groups.is_floating_point() or groups.dtype is bool_:
        raise TypeError(f"batched_nms: expected idxs to be integers, got {groups.dtype} (shape {groups.shape})")
    if tuple(groups.shape) != (b.shape[0],):
        raise ValueError(f"batched_nms: expected idxs ({b.shape[0]},), one a box, got shape {groups.shape} (boxes {b.shape}, scores "
                         f"{tuple(s.shape)})")
    if b.shape[0] == 0:
        return empty((0,), dtype=int64)
    order = argsort(s, descending=True)
    together, place = sort(groups[order])
    counts = unique_consecutive(together, return_counts=True)[1]
    kept = sort(_kept(b, order[place], cat((full((1,), 0, dtype=int64), cumsum(counts, 0))), threshold))[0]
    return kept[argsort(s[kept], descending=True)]


def soft_nms(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.3, sigma: float = 0.5, score_threshold: float = 0.001,
             method: str = "gaussian") -> tuple[Tensor, Tensor]:
    """The best box is taken, and the scores s of the others fall, until none of score_threshold is left (Bodla et al. 2017).

    method "gaussian": s exp(-IoU^2 / sigma); "linear": s (1 - IoU) where IoU > iou_threshold. boxes (N, 4), scores (N,)
    -> (indices (K,) int64 in the order taken, their scores then (K,)). Equal scores and errors as in nms; scores must be finite,
    sigma above 0, score_threshold 0 or more.
    """
    threshold, width, least = (_share("soft_nms", iou_threshold, "iou_threshold"), number_arg("soft_nms", sigma, "sigma"),
                               number_arg("soft_nms", score_threshold, "score_threshold"))
    if method not in ("gaussian", "linear"):
        raise ValueError(f"soft_nms: expected method to be 'gaussian' or 'linear', got {method!r}")
    if not 0 < width < math.inf or not 0 <= least < math.inf:
        raise ValueError(f"soft_nms: expected sigma above 0 and score_threshold of 0 or more, got {sigma!r} and {score_threshold!r}")
    b, s = _scored("soft_nms", boxes, scores, FINITE)
    n = b.shape[0]
    index, value, count = empty((n,), dtype=int64), empty((n,), dtype=s.dtype), full((), 0, dtype=int64)
    launch_lines("soft_nms", (b, s), (index, value, count), 1, n, (threshold, width if method == "gaussian" else 0.0, least))
    taken = int(count.item())
    return narrow(index, 0, 0, taken), narrow(value, 0, 0, taken)


def match_boxes(quality: Tensor, low: float, high: float, allow_low_quality_matches: bool = False) -> Tensor:
    """For every column of quality (M, N), such as IoUs of M true boxes and N anchors, the row of its largest element, the first of equals.

    -> (N,) int64: -1 where that element is below low, -2 where it is below high. allow_low_quality_matches: not in columns that hold
    the largest element of some row, if that is above 0. M = 0: all are -1. Raises ValueError for another shape, NaN and low > high.
    """
    op = "match_boxes"
    q = tensor_arg(op, quality, "quality").detach()
    if q.ndim != 2 or q.shape[0] >= MOST:
        raise ValueError(f"{op}: expected quality (M, N), M below 2**31, got shape {q.shape}")
    q = as_floats(q)
    below, above = number_arg(op, low, "low"), number_arg(op, high, "high")
    if not below <= above:
        raise ValueError(f"{op}: expected low <= high, got {low!r} and {high!r} (quality {q.shape})")
    if 0 in q.shape:
        return full((q.shape[1],), -1, dtype=int64)
    check_rows(reshape(q, (-1, 1)), NAN, lambda rows, i: ValueError(
        f"{op}: expected numbers, got quality[{i // q.shape[1]}, {i % q.shape[1]}] = nan (shape {tuple(q.shape)})"))
    y = empty((q.shape[1],), dtype=int64)
    launch_lines("match_boxes", (q,), (y,), q.shape[0], q.shape[1], (below, above, bool(allow_low_quality_matches)))
    return y


def linear_sum_assignment(cost_matrix: Tensor, maximize: bool = False) -> tuple[Tensor, Tensor]:
    """Rows and columns that belong together so that the sum of cost[row, column] is the least, or the largest.

    cost_matrix (N, M) -> rows, columns (min(N, M),) int64; rows ascend. Infinity (-infinity) marks pairs that must not be. Jonker &
    Volgenant 1987, Crouse 2016; computed in float64. Raises ValueError for another shape, NaN, the other
    infinity, and where there is no such assignment.
    """
    op = "linear_sum_assignment"
    given = tensor_arg(op, cost_matrix, "cost_matrix").detach()
    if given.ndim != 2:
        raise ValueError(f"{op}: expected cost_matrix (N, M), got shape {given.shape}")
    cost = to(given, float64)
    if maximize:
        cost = neg(cost)
    flat = reshape(cost, -1)
    bad = masked_select(flat, (flat != flat) | (flat == -math.inf))
    if bad.numel():
        raise ValueError(f"{op}: expected numbers, or {'-' if maximize else ''}inf for pairs that must not be, got "
                         f"{-bad[0].item() if maximize else bad[0].item()} (shape {tuple(given.shape)})")
    turned = cost.shape[0] > cost.shape[1]
    if turned:
        cost = transpose(cost, 0, 1)
    n, m = cost.shape
    columns, found, scratch = empty((n,), dtype=int64), full((), 1, dtype=int64), empty((2 * n + 7 * m,), dtype=float64)
    if n:
        launch_lines("assign_rows", (cost,), (columns, found, scratch), n, m)
    if not found.item():
        raise ValueError(f"{op}: there is no assignment without a pair of infinite cost (shape {tuple(given.shape)})")
    rows = arange(n, dtype=int64)
    if not turned:
        return rows, columns
    columns, rows = sort(columns)
    return columns, rows


for _function in (nms, batched_nms, soft_nms, match_boxes, linear_sum_assignment):
    declare(_function)

__all__ = ["batched_nms", "linear_sum_assignment", "match_boxes", "nms", "soft_nms"]
METHODS: list[str] = []
