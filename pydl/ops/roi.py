"""Regions of interest: what lies in a box of an image, at a fixed size. Kernels: csrc/roi.c.

input (N, C, H, W), float32 or float64. boxes: (K, 5), the number of the image, x1, y1, x2, y2, or a list of N tensors (L, 4), one an image;
times spatial_scale they are in pixels of the input. output_size: (PH, PW), or one int for both. Differentiable, as often as wanted, by the
input, not by the boxes. Raises ValueError where shapes do not fit, for boxes that are not finite, with x2 < x1 or y2 < y1 or of no image,
and for images without pixels; TypeError for types. Names as in torchvision.ops.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydl._core.checks import check_room, int_arg, number_arg, tensor_arg
from pydl._core.create import empty, full, zeros
from pydl._core.declare import declare
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import int64
from pydl._core.regions import check_rows, launch_regions
from pydl._core.tensor import Tensor
from pydl.ops.bounds import clamp
from pydl.ops.boxes import FINITE, ORDER, boxes_arg
from pydl.ops.compare import ge, where
from pydl.ops.gather import index_add
from pydl.ops.join import cat
from pydl.ops.operands import to
from pydl.ops.shape import reshape

How = tuple[float, int, bool, bool]     # scale, samples, aligned, position-sensitive
LARGEST = 1 << 15       # of an output's sides, and of the samples of a bin


def _images(op: str, input: Tensor, name: str = "input") -> Tensor:
    x = tensor_arg(op, input, name)
    if not x.is_floating_point():
        raise TypeError(f"{op}: expected {name} to be float32 or float64, got {x.dtype} (shape {x.shape})")
    if x.ndim != 4:
        raise ValueError(f"{op}: expected {name} (N, C, H, W), got shape {x.shape}")
    return x


def _regions(op: str, shape: Sequence[int], boxes: Any, like: Tensor) -> Tensor:
    """(K, 5), checked, in like's type"""
    if isinstance(boxes, (list, tuple)):
        if len(boxes) != shape[0]:
            raise ValueError(f"{op}: expected a list of {shape[0]} tensors of boxes, one an image, got {len(boxes)} (input {tuple(shape)})")
        parts = [to(boxes_arg(op, one, f"boxes[{i}]").detach(), like.dtype) for i, one in enumerate(boxes)]
        rows = [cat((full((one.shape[0], 1), float(i), dtype=like.dtype), one), 1) for i, one in enumerate(parts)]
        rois = cat(rows) if rows else zeros((0, 5), dtype=like.dtype)
    else:
        given = tensor_arg(op, boxes, "boxes").detach()
        if given.dtype is bool_:
            raise TypeError(f"{op}: expected boxes to be numbers, got {given.dtype} (shape {given.shape})")
        if given.ndim != 2 or given.shape[1] != 5:
            raise ValueError(f"{op}: expected boxes (K, 5) or a list of (L, 4), got shape {given.shape} (input {tuple(shape)})")
        rois = to(given, like.dtype)
    if rois.shape[0] and min(shape[2:]) == 0:
        raise ValueError(f"{op}: expected images of a pixel or more, got input {tuple(shape)} (boxes {rois.shape})")

    def refuse(rows: Tensor, i: int) -> Exception:
        image, *box = rows[i].tolist()
        if not all(map(math.isfinite, (image, *box))):
            text = "expected finite numbers"
        elif box[2] < box[0] or box[3] < box[1]:
            text = "expected x1 <= x2 and y1 <= y2"
        else:
            text = f"expected the number of one of {shape[0]} images first"
        return ValueError(f"{op}: {text}, got boxes[{i}] = {(image, *box)} (input {tuple(shape)}, boxes {tuple(rows.shape)})")

    check_rows(rois, ORDER | FINITE, refuse, shape[0])
    return rois


def _output_size(op: str, size: Any) -> tuple[int, int]:
    both = size if isinstance(size, (tuple, list)) else (size, size)
    if len(both) != 2:
        raise ValueError(f"{op}: expected output_size to be an int or (PH, PW), got {size!r}")
    height, width = (int_arg(op, n, "output_size", 1) for n in both)
    if max(height, width) > LARGEST:
        raise ValueError(f"{op}: expected an output_size of at most {LARGEST}, got {size!r}")
    return height, width


def _whole(op: str, x: Tensor, rois: Tensor, channels: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The shape of the result, (K, C, PH, PW)"""
    whole = (rois.shape[0], channels, *size)
    check_room(op, whole, x)
    return whole


def _scale(op: str, value: float) -> float:
    scale = number_arg(op, value, "spatial_scale")
    if not 0 < scale < math.inf:
        raise ValueError(f"{op}: expected spatial_scale above 0, got {value!r}")
    return scale


def _samples(op: str, value: int) -> int:
    ratio = int_arg(op, value, "sampling_ratio")
    if ratio > LARGEST:
        raise ValueError(f"{op}: expected a sampling_ratio of at most {LARGEST}, got {value!r}")
    return max(ratio, 0)


# ---- RoIAlign, and the position-sensitive one: a linear map and its transpose

def roi_align(input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int | Sequence[int], spatial_scale: float = 1.0,
              sampling_ratio: int = -1, aligned: bool = False) -> Tensor:
    """Every box is cut into PH x PW bins, each the mean of samples that are interpolated between the four pixels around (He et al. 2017).

    -> (K, C, PH, PW). sampling_ratio: samples of a bin along each axis; not above 0: one a pixel of the bin, rounded up. aligned: the
    centre of pixel i is at i + 0.5; else it is at i, and boxes are at least one pixel wide and high. Samples beyond a pixel outside are 0.
    Arguments and errors: above, in this module.
    """
    x = _images("roi_align", input)
    rois = _regions("roi_align", x.shape, boxes, x)
    how = (_scale("roi_align", spatial_scale), _samples("roi_align", sampling_ratio), bool(aligned), False)
    return _align(x, rois, _whole("roi_align", x, rois, x.shape[1], _output_size("roi_align", output_size)), how)


def ps_roi_align(input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int | Sequence[int], spatial_scale: float = 1.0,
                 sampling_ratio: int = -1) -> Tensor:
    """roi_align(aligned=True) in which bin i of channel c reads channel c PH PW + i of the input: (N, C PH PW, H, W) -> (K, C, PH, PW).

    Dai et al., "R-FCN", 2016. Raises ValueError where the channels do not divide.
    """
    x = _images("ps_roi_align", input)
    rois = _regions("ps_roi_align", x.shape, boxes, x)
    height, width = _output_size("ps_roi_align", output_size)
    if x.shape[1] % (height * width):
        raise ValueError(f"ps_roi_align: expected channels that {height} x {width} divides, got input {x.shape}")
    how = (_scale("ps_roi_align", spatial_scale), _samples("ps_roi_align", sampling_ratio), True, True)
    return _align(x, rois, _whole("ps_roi_align", x, rois, x.shape[1] // (height * width), (height, width)), how)


def _align(input: Tensor, rois: Tensor, whole: tuple[int, ...], how: How) -> Tensor:
    """roi_align of checked regions (K, 5) of input's type: -> whole, (K, C, PH, PW)"""
    y = empty(whole, dtype=input.dtype)
    if y.numel():
        launch_regions("roi_align_fwd", (input.detach(), rois), (y,), tuple(input.shape), whole, how)
    return ROI_ALIGN.record(y, (input,), (rois,), (tuple(input.shape), how))


def roi_align_backward(dy: Any, need: Any, saved: Any, extra: Any) -> Any:
    return _align_back(dy, saved[0], *extra)


ROI_ALIGN = declare(roi_align, roi_align_backward)


def _align_back(dy: Tensor, rois: Tensor, shape: tuple[int, ...], how: How) -> Tensor:
    """The transpose of _align: dy (K, *size) -> (N, C, H, W), `shape`"""
    if dy.numel():
        dx = empty(shape, dtype=dy.dtype)
        launch_regions("roi_align_bwd", (dy.detach(), rois), (dx,), shape, tuple(dy.shape), how)
    else:
        dx = zeros(shape, dtype=dy.dtype)
    return ROI_ALIGN_BWD.record(dx, (dy,), (rois,), (tuple(dy.shape), how))


def roi_align_bwd(dy: Tensor, boxes: Tensor | Sequence[Tensor], shape: Sequence[int], spatial_scale: float = 1.0, sampling_ratio: int = -1,
                  aligned: bool = False) -> Tensor:
    """The gradient of roi_align in its input, of the given shape (N, C, H, W): dy (K, C, PH, PW) -> (N, C, H, W)."""
    op = "roi_align_bwd"
    g = _images(op, dy, "dy")
    if not isinstance(shape, (tuple, list)) or len(shape) != 4:
        raise ValueError(f"{op}: expected shape (N, C, H, W), got {shape!r} (dy {g.shape})")
    whole = tuple(int_arg(op, n, "shape", 0) for n in shape)
    rois = _regions(op, whole, boxes, g)
    if whole[1] != g.shape[1] or rois.shape[0] != g.shape[0]:
        raise ValueError(f"{op}: dy {g.shape} and boxes {rois.shape} do not fit the shape {whole}")
    _output_size(op, tuple(g.shape[2:]))
    return _align_back(g, rois, whole, (_scale(op, spatial_scale), _samples(op, sampling_ratio), bool(aligned), False))


def roi_align_bwd_backward(ddx: Any, need: Any, saved: Any, extra: Any) -> Any:
    return _align(ddx, saved[0], *extra)


ROI_ALIGN_BWD = declare(roi_align_bwd, roi_align_bwd_backward)


# ---- RoIPool

def roi_pool(input: Tensor, boxes: Tensor | Sequence[Tensor], output_size: int | Sequence[int], spatial_scale: float = 1.0) -> Tensor:
    """The largest pixel of each of the PH x PW bins of every box, both rounded to pixels: -> (K, C, PH, PW) (Girshick 2015).

    0 for a bin outside of the image. A NaN is the largest. Of equal pixels the first gets the gradient. Arguments and errors: above, in
    this module.
    """
    x = _images("roi_pool", input)
    rois = _regions("roi_pool", x.shape, boxes, x)
    whole = _whole("roi_pool", x, rois, x.shape[1], _output_size("roi_pool", output_size))
    scale = _scale("roi_pool", spatial_scale)
    y, index = empty(whole, dtype=x.dtype), empty(whole, dtype=int64)
    if y.numel():
        launch_regions("roi_pool", (x.detach(), rois), (y, index), tuple(x.shape), whole, (scale,))
    return ROI_POOL.record(y, (x,), (index,), tuple(x.shape))


def roi_pool_backward(dy: Any, need: Any, saved: Any, shape: Any) -> Any:
    index = reshape(saved[0], -1)
    share = where(ge(index, 0), reshape(dy, -1), 0.0)
    return reshape(index_add(zeros((math.prod(shape),), dtype=dy.dtype), 0, clamp(index, 0), share), shape)


ROI_POOL = declare(roi_pool, roi_pool_backward)


__all__ = ["ps_roi_align", "roi_align", "roi_pool"]
METHODS: list[str] = []
