"""Boxes (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2: areas, formats, what lies in an image. Kernels: csrc/box.c.

Any number type, where nothing else is said; NaN goes through. Names as in torchvision.ops.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

from pydl._core.checks import int_arg, number_arg, tensor_arg
from pydl._core.create import full, tensor
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import float32, float64, get_default_dtype, int64
from pydl._core.regions import check_rows
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.bounds import clamp
from pydl.ops.compare import ge, logical_and, ne
from pydl.ops.extremes import argmax
from pydl.ops.join import flip, stack
from pydl.ops.masks import nonzero
from pydl.ops.operands import to
from pydl.ops.parts import select
from pydl.ops.reduce import any as any_of
from pydl.ops.shape import reshape

NAN, ORDER, FINITE = 1, 2, 4        # as in csrc/box.c
FORMATS = ("xyxy", "xywh", "cxcywh")


def boxes_arg(op: str, boxes: object, name: str = "boxes", ndim: int | None = 2) -> Tensor:
    """A tensor (n, 4), or with ndim None (..., 4), of numbers."""
    x = tensor_arg(op, boxes, name)
    if x.dtype is bool_:
        raise TypeError(f"{op}: expected {name} to be numbers, got {x.dtype} (shape {x.shape})")
    if x.ndim == 0 or x.shape[-1] != 4 or ndim not in (None, x.ndim):
        raise ValueError(f"{op}: expected {name} {'(..., 4)' if ndim is None else '(N, 4)'}, got shape {x.shape}")
    return x


def as_floats(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else to(x, get_default_dtype())


def check_boxes(op: str, boxes: Tensor, name: str = "boxes", what: int = ORDER) -> None:
    """ValueError for the first box whose corners are the wrong way round, or where `what` says so not finite."""
    shape = tuple(boxes.shape)

    def refuse(rows: Tensor, i: int) -> Exception:
        box = rows[i].tolist()
        at = tuple(i // math.prod(shape[d + 1:-1]) % shape[d] for d in range(len(shape) - 1))
        where = at[0] if len(at) == 1 else at
        expected = "finite numbers" if not all(map(math.isfinite, box)) and what & FINITE else "x1 <= x2 and y1 <= y2"
        return ValueError(f"{op}: expected {expected}, got {name}[{where}] = {tuple(box)} (shape {shape})")

    flat = reshape(boxes.detach(), (-1, 4)) if boxes.ndim != 2 else boxes.detach()
    check_rows(flat if flat.is_floating_point() else to(flat, float64), what, refuse)


def coordinates(boxes: Tensor) -> list[Tensor]:
    return [select(boxes, -1, i) for i in range(4)]


def box_area(boxes: Tensor) -> Tensor:
    """(x2 - x1) (y2 - y1): (..., 4) -> (...). uint8 becomes int64. Raises ValueError for x2 < x1 or y2 < y1."""
    x = boxes_arg("box_area", boxes, ndim=None)
    check_boxes("box_area", x)
    x1, y1, x2, y2 = coordinates(x if x.is_floating_point() else to(x, int64))
    return mul(sub(x2, x1), sub(y2, y1))


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (..., 4) from one format to another: "xyxy" corners, "xywh" corner and size, "cxcywh" centre and size.

    Differentiable. Integers become floats where halves are formed. Raises ValueError for another format.
    """
    x = boxes_arg("box_convert", boxes, ndim=None)
    for name, value in (("in_fmt", in_fmt), ("out_fmt", out_fmt)):
        if value not in FORMATS:
            raise ValueError(f"box_convert: expected {name} to be one of {', '.join(FORMATS)}, got {value!r} (boxes {x.shape})")
    if in_fmt == out_fmt:
        return x.clone()
    a, b, c, d = coordinates(x)
    if in_fmt == "xywh":
        c, d = add(a, c), add(b, d)
    elif in_fmt == "cxcywh":
        half_w, half_h = mul(c, 0.5), mul(d, 0.5)
        a, b, c, d = sub(a, half_w), sub(b, half_h), add(a, half_w), add(b, half_h)
    if out_fmt == "xywh":
        c, d = sub(c, a), sub(d, b)
    elif out_fmt == "cxcywh":
        a, b, c, d = mul(add(a, c), 0.5), mul(add(b, d), 0.5), sub(c, a), sub(d, b)
        if not x.is_floating_point():
            c, d = as_floats(c), as_floats(d)
    return stack((a, b, c, d), -1)


def _image_size(op: str, size: Sequence[int]) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"{op}: expected size (height, width), got {size!r}")
    height, width = (int_arg(op, n, "size", 0) for n in size)
    if max(height, width) >= 2**31:
        raise ValueError(f"{op}: expected a height and width below 2**31, got {size!r}")
    return height, width


def clip_boxes_to_image(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """x to 0 .. width and y to 0 .. height: boxes (..., 4), size (height, width) -> (..., 4). What lies outside has the gradient 0."""
    x = boxes_arg("clip_boxes_to_image", boxes, ndim=None)
    height, width = _image_size("clip_boxes_to_image", size)
    return clamp(x, full((4,), 0, dtype=x.dtype), to(tensor([width, height, width, height]), x.dtype))


def clip_boxes(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """clip_boxes_to_image(boxes, size)."""
    return clip_boxes_to_image(boxes, size)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The indices of the boxes with both sides of min_size or more: (N, 4) -> (K,) int64. A NaN is small, and so is a negative side."""
    x1, y1, x2, y2 = coordinates(as_floats(boxes_arg("remove_small_boxes", boxes).detach()))
    least = number_arg("remove_small_boxes", min_size, "min_size")
    return reshape(nonzero(logical_and(ge(sub(x2, x1), least), ge(sub(y2, y1), least))), -1)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The boxes around what is not 0: masks (N, H, W) -> (N, 4) float32, the first and the last pixel that is set along x and y.

    As torchvision's. Where boxes reach to the edges of pixels, as those of data sets and transforms do, x2 and y2 are 1 more.

    Raises ValueError for another shape and for a mask without any.
    """
    x = tensor_arg("masks_to_boxes", masks, "masks").detach()
    if x.ndim != 3:
        raise ValueError(f"masks_to_boxes: expected masks (N, H, W), got shape {x.shape}")
    if x.shape[0] == 0:
        return full((0, 4), 0.0, dtype=float32)
    there = ne(x, 0)
    columns, rows = any_of(there, 1), any_of(there, 2)
    filled = any_of(rows, 1).tolist()
    if not all(filled):
        raise ValueError(f"masks_to_boxes: expected a pixel or more in every mask, got none in mask {filled.index(False)} "
                         f"(shape {x.shape})")
    ends = []
    for line in (columns, rows):
        line = to(line, int64)
        ends.append((argmax(line, 1), sub(line.shape[1] - 1, argmax(flip(line, 1), 1))))
    return to(stack((ends[0][0], ends[1][0], ends[0][1], ends[1][1]), 1), float32)


__all__ = ["box_area", "box_convert", "clip_boxes", "clip_boxes_to_image", "masks_to_boxes", "remove_small_boxes"]
METHODS: list[str] = []
