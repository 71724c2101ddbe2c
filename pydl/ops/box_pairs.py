"""How far two boxes agree: IoU, GIoU, DIoU, CIoU, of all pairs and of pairs in line, and the losses. Kernel: box_pairs in csrc/box.c.

Boxes (x1, y1, x2, y2); their types promote to a float. I and U are the areas of intersection and union, C that of the box around both,
S the squared distance of the centres, D the squared diagonal of the box around both, v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2:
    iou = I / U    giou = iou - (C - U) / C    diou = iou - S / (D + eps)    ciou = diou - a v, a = v / (1 - iou + v + eps)
Two boxes without area have an IoU of NaN, but in the losses, whose U and C are U + eps and C + eps. A NaN in a box goes into all its pairs.
Derivatives: sides that coincide share theirs equally, boxes that only touch do not yet meet, and a counts as a constant, as in
Zheng et al., "Enhancing geometric factors in model learning and inference for object detection and instance segmentation", 2020.
GIoU: Rezatofighi et al. 2019. Raises ValueError where shapes do not fit and for x2 < x1 or y2 < y1, TypeError for types.
"""
from __future__ import annotations

import math
from typing import Any

from pydl._core.checks import number_arg
from pydl._core.create import empty
from pydl._core.declare import declare
from pydl._core.regions import launch_lines
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, mul, neg, sign, sub
from pydl.ops.bounds import clamp, maximum, minimum
from pydl.ops.boxes import as_floats, boxes_arg, check_boxes, coordinates
from pydl.ops.compare import gt
from pydl.ops.elementwise import atan
from pydl.ops.join import stack
from pydl.ops.margins import known
from pydl.ops.operands import common_type, to
from pydl.ops.reduce import mean
from pydl.ops.reduce import sum as total
from pydl.ops.shape import reshape, unsqueeze

KINDS = ("iou", "giou", "diou", "ciou")
EPS = 1e-7


def _two(op: str, boxes1: object, boxes2: object, ndim: int | None = 2) -> tuple[Tensor, Tensor]:
    a, b = (as_floats(boxes_arg(op, x, name, ndim)) for x, name in ((boxes1, "boxes1"), (boxes2, "boxes2")))
    kind = common_type(op, a, b)
    check_boxes(op, a, "boxes1")
    check_boxes(op, b, "boxes2")
    return to(a, kind), to(b, kind)


def box_pairs(boxes1: Tensor, boxes2: Tensor, kind: str, eps: float = 0.0, far: float = EPS, in_line: bool = False) -> Tensor:
    """The "iou", "giou", "diou" or "ciou" of all pairs, (N, 4), (M, 4) -> (N, M), or in_line (N, 4), (N, 4) -> (N,).

    eps is added to U and C, far to D and in ciou's a.
    """
    _kind_arg("box_pairs", kind)
    a, b = _two("box_pairs", boxes1, boxes2)
    if in_line and a.shape != b.shape:
        raise ValueError(f"box_pairs: expected boxes1 and boxes2 of one shape, got {a.shape} and {b.shape}")
    return _agree(a, b, kind, _eps_arg("box_pairs", eps), _eps_arg("box_pairs", far), bool(in_line))


def _kind_arg(op: str, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"{op}: expected kind to be one of {', '.join(KINDS)}, got {kind!r}")


def _eps_arg(op: str, eps: float) -> float:
    value = number_arg(op, eps, "eps")
    if not 0 <= value < math.inf:
        raise ValueError(f"{op}: expected eps to be 0 or more, got {eps!r}")
    return value


def _agree(boxes1: Tensor, boxes2: Tensor, kind: str, eps: float, far: float, in_line: bool) -> Tensor:
    """box_pairs of what has been checked, in one type"""
    n, m = boxes1.shape[0], boxes2.shape[0]
    y = empty((n,) if in_line else (n, m), dtype=boxes1.dtype)
    if y.numel():
        launch_lines("box_pairs", (boxes1.detach(), boxes2.detach()), (y,), 1 if in_line else n, m, (KINDS.index(kind), eps, far, in_line))
    return BOX_PAIRS.record(y, (boxes1, boxes2), (boxes1, boxes2), (kind, eps, far, in_line))


def _partials(kind: str, dy: Tensor, areas: tuple[Tensor, Tensor, Tensor], span: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor],
              eps: float, far: float) -> dict[str, Tensor]:
    """What the gradients of I, of either area, and of C or S and D are."""
    both, first, second = areas
    u = add(sub(add(first, second), both), eps)
    area = neg(div(mul(dy, both), mul(u, u)))
    found = {"both": sub(div(dy, u), area), "area": area}
    if kind == "giou":
        c = add(mul(*span), eps)
        found["both"], found["area"] = sub(found["both"], div(dy, c)), add(area, div(dy, c))
        found["around"] = neg(div(mul(dy, u), mul(c, c)))
    elif kind != "iou":
        d = add(add(mul(span[0], span[0]), mul(span[1], span[1])), far)
        found["apart"] = neg(div(dy, d))
        found["diagonal"] = div(mul(dy, add(mul(apart[0], apart[0]), mul(apart[1], apart[1]))), mul(d, d))
    return found


def _turns(dy: Tensor, sides: list[list[Tensor]], areas: tuple[Tensor, Tensor, Tensor], eps: float,
           far: float) -> list[tuple[Tensor, Tensor]]:
    """ciou: the gradients of v's part in width and height of each box."""
    sizes = [(sub(s[2], s[0]), sub(s[3], s[1])) for s in sides]
    turn = sub(*(atan(div(w, h)) for w, h in sizes))
    v = mul(mul(turn, turn), 4 / math.pi**2)
    both, first, second = areas
    iou = div(both, add(sub(add(first, second), both), eps))
    a = div(v, add(sub(add(v, 1.0), iou), far)).detach()
    slope = mul(mul(dy, a), mul(turn, -8 / math.pi**2))
    found = []
    for (w, h), by in zip(sizes, (slope, neg(slope))):
        share = div(by, add(mul(w, w), mul(h, h)))
        found.append((mul(share, h), neg(mul(share, w))))
    return found


def _above(a: Tensor, b: Tensor) -> Tensor:
    """1 where a > b, 0.5 where they are equal, 0 where a < b"""
    return mul(add(sign(sub(a.detach(), b.detach())), 1.0), 0.5)


def box_pairs_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    kind, eps, far, in_line = extra
    sides = [coordinates(x) for x in saved]
    if not in_line:
        sides = [[unsqueeze(x, 1 - i) for x in one] for i, one in enumerate(sides)]
    a, b = sides
    overlap = [sub(minimum(a[d + 2], b[d + 2]), maximum(a[d], b[d])) for d in (0, 1)]
    inner = [clamp(x, 0.0) for x in overlap]
    outer = [sub(maximum(a[d + 2], b[d + 2]), minimum(a[d], b[d])) for d in (0, 1)]
    sizes = [[sub(s[d + 2], s[d]) for d in (0, 1)] for s in sides]
    apart = [mul(sub(add(a[d], a[d + 2]), add(b[d], b[d + 2])), 0.5) for d in (0, 1)]
    areas = (mul(*inner), mul(*sizes[0]), mul(*sizes[1]))
    of = _partials(kind, dy, areas, (outer[0], outer[1]), (apart[0], apart[1]), eps, far)
    turns = _turns(dy, sides, areas, eps, far) if kind == "ciou" else None
    grads: list[list[Tensor]] = [[dy] * 4, [dy] * 4]
    for d in (0, 1):
        meet = mul(mul(of["both"], inner[1 - d]), to(gt(overlap[d], 0.0), dy.dtype))
        spread = mul(of["around"], outer[1 - d]) if kind == "giou" else mul(mul(of["diagonal"], outer[d]), 2.0) if kind != "iou" else None
        shift = mul(of["apart"], apart[d]) if kind in ("diou", "ciou") else None
        high, low = _above(a[d + 2], b[d + 2]), _above(a[d], b[d])
        for i in (0, 1):
            if i:
                high, low, shift = sub(1.0, high), sub(1.0, low), None if shift is None else neg(shift)
            size = mul(of["area"], sizes[i][1 - d])
            if turns is not None:
                size = add(size, turns[i][d])
            end, start = add(mul(meet, sub(1.0, high)), size), neg(add(mul(meet, low), size))
            if spread is not None:
                end, start = add(end, mul(spread, high)), sub(start, mul(spread, sub(1.0, low)))
            if shift is not None:
                end, start = add(end, shift), add(start, shift)
            grads[i][d], grads[i][d + 2] = start, end
    return tuple(stack([g if in_line else total(g, 1 - i) for g in grads[i]], -1) if need[i] else None for i in (0, 1))


BOX_PAIRS = declare(box_pairs, box_pairs_backward)


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The IoU of all pairs: (N, 4), (M, 4) -> (N, M). Formula and errors: above, in this module."""
    return _agree(*_two("box_iou", boxes1, boxes2), "iou", 0.0, 0.0, False)


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The GIoU of all pairs: (N, 4), (M, 4) -> (N, M), between -1 and 1."""
    return _agree(*_two("generalized_box_iou", boxes1, boxes2), "giou", 0.0, 0.0, False)


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = EPS) -> Tensor:
    """The DIoU of all pairs: (N, 4), (M, 4) -> (N, M), between -1 and 1."""
    return _agree(*_two("distance_box_iou", boxes1, boxes2), "diou", 0.0, _eps_arg("distance_box_iou", eps), False)


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = EPS) -> Tensor:
    """The CIoU of all pairs: (N, 4), (M, 4) -> (N, M)."""
    return _agree(*_two("complete_box_iou", boxes1, boxes2), "ciou", 0.0, _eps_arg("complete_box_iou", eps), False)


def _in_line(op: str, kind: str, boxes1: Tensor, boxes2: Tensor, eps: float) -> Tensor:
    a, b = _two(op, boxes1, boxes2, None)
    value = _eps_arg(op, eps)
    if a.shape != b.shape:
        raise ValueError(f"{op}: expected boxes1 and boxes2 of one shape, got {a.shape} and {b.shape}")
    return reshape(_agree(reshape(a, (-1, 4)), reshape(b, (-1, 4)), kind, value, value, True), tuple(a.shape[:-1]))


def paired_box_iou(boxes1: Tensor, boxes2: Tensor, kind: str = "iou", eps: float = EPS) -> Tensor:
    """The "iou", "giou", "diou" or "ciou" of boxes1[i] and boxes2[i]: (..., 4), (..., 4) -> (...), with eps as in the losses."""
    _kind_arg("paired_box_iou", kind)
    return _in_line("paired_box_iou", kind, boxes1, boxes2, eps)


def _loss(op: str, kind: str, boxes1: Tensor, boxes2: Tensor, reduction: str, eps: float) -> Tensor:
    known(op, reduction)
    loss = sub(1.0, _in_line(op, kind, boxes1, boxes2, eps))
    if reduction == "none":
        return loss
    return mean(loss) if reduction == "mean" and loss.numel() else total(loss)


def box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = EPS) -> Tensor:
    """1 - iou of boxes1[i] and boxes2[i], (..., 4), (..., 4) -> (...); "sum", or "mean", which is 0 of no boxes."""
    return _loss("box_iou_loss", "iou", boxes1, boxes2, reduction, eps)


def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = EPS) -> Tensor:
    """1 - giou of boxes1[i] and boxes2[i], (..., 4), (..., 4) -> (...); "sum", or "mean", which is 0 of no boxes."""
    return _loss("generalized_box_iou_loss", "giou", boxes1, boxes2, reduction, eps)


def distance_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = EPS) -> Tensor:
    """1 - diou of boxes1[i] and boxes2[i], (..., 4), (..., 4) -> (...); "sum", or "mean", which is 0 of no boxes."""
    return _loss("distance_box_iou_loss", "diou", boxes1, boxes2, reduction, eps)


def complete_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = EPS) -> Tensor:
    """1 - ciou of boxes1[i] and boxes2[i], (..., 4), (..., 4) -> (...); "sum", or "mean", which is 0 of no boxes."""
    return _loss("complete_box_iou_loss", "ciou", boxes1, boxes2, reduction, eps)


__all__ = [
    "box_iou", "box_iou_loss", "complete_box_iou", "complete_box_iou_loss", "distance_box_iou", "distance_box_iou_loss",
    "generalized_box_iou", "generalized_box_iou_loss", "paired_box_iou",
]
METHODS: list[str] = []
