"""Where a detector looks: anchors and grids of points, codes of boxes relative to them, and which true box each belongs to."""
from __future__ import annotations

import math
from collections.abc import Sequence

from pydl import ops
from pydl.ops import match_boxes
from pydl.tensor import Tensor, arange, float32, tensor


class AnchorGenerator:
    """Boxes of every size and shape at every position of feature maps (Ren et al., "Faster R-CNN", 2015).

    sizes, aspect_ratios: for each level a tuple; size s and aspect ratio r = height / width give a box of width s / sqrt(r) and height
    s sqrt(r), its corners rounded to pixels. The aspect_ratios of one level hold for all, where there are no others.
    """

    def __init__(self, sizes: Sequence[Sequence[float]] = ((128, 256, 512),),
                 aspect_ratios: Sequence[Sequence[float]] = ((0.5, 1.0, 2.0),)) -> None:
        for name, values in (("sizes", sizes), ("aspect_ratios", aspect_ratios)):
            if not values or not all(isinstance(one, (tuple, list)) and one and all(0 < v < math.inf for v in one) for one in values):
                raise ValueError(f"AnchorGenerator: expected {name} to be a tuple of numbers above 0 for each level, got {values!r}")
        ratios = list(aspect_ratios) * (len(sizes) if len(aspect_ratios) == 1 else 1)
        if len(ratios) != len(sizes):
            raise ValueError(f"AnchorGenerator: expected aspect_ratios for {len(sizes)} levels, as there are sizes, got {len(ratios)}")
        self.sizes, self.aspect_ratios = sizes, ratios
        self.cell_anchors = [self.generate_anchors(s, r) for s, r in zip(sizes, ratios)]

    @staticmethod
    def generate_anchors(scales: Sequence[float], aspect_ratios: Sequence[float]) -> Tensor:
        """The boxes of one position, around (0, 0): (ratios x scales, 4)."""
        rows = []
        for ratio in aspect_ratios:
            for scale in scales:
                width, height = scale / math.sqrt(ratio), scale * math.sqrt(ratio)
                rows.append([-width / 2, -height / 2, width / 2, height / 2])
        return ops.round(tensor(rows, dtype=float32))

    def num_anchors_per_location(self) -> list[int]:
        return [len(s) * len(r) for s, r in zip(self.sizes, self.aspect_ratios)]

    def grid_anchors(self, grid_sizes: Sequence[tuple[int, int]], strides: Sequence[tuple[int, int]]) -> list[Tensor]:
        """For each level, of (height, width) positions that are (y, x) pixels apart, (height width boxes, 4).

        Row by row, the boxes of a position together.
        """
        if not len(grid_sizes) == len(strides) == len(self.cell_anchors):
            raise ValueError(f"AnchorGenerator: expected {len(self.cell_anchors)} grid_sizes and strides, one a level, got "
                             f"{len(grid_sizes)} and {len(strides)}")
        found = []
        for shape, (down, across), cell in zip(grid_sizes, strides, self.cell_anchors):
            points = point_grid(shape, (down, across), 0.0)
            shifts = ops.cat((points, points), 1)
            found.append(ops.reshape(ops.unsqueeze(shifts, 1) + ops.unsqueeze(cell, 0), (-1, 4)))
        return found

    def __call__(self, image_size: tuple[int, int], grid_sizes: Sequence[tuple[int, int]]) -> Tensor:
        """The anchors of all levels for images (height, width), whose feature maps have these sizes: (A, 4)."""
        if any(h < 1 or w < 1 for h, w in grid_sizes):
            raise ValueError(f"AnchorGenerator: expected grid_sizes of 1 or more, got {list(grid_sizes)}")
        return ops.cat(self.grid_anchors(grid_sizes, [(image_size[0] // h, image_size[1] // w) for h, w in grid_sizes]))

    def __repr__(self) -> str:
        return f"AnchorGenerator(sizes={self.sizes}, aspect_ratios={self.aspect_ratios})"


def point_grid(shape: tuple[int, int], stride: int | tuple[int, int], offset: float = 0.5) -> Tensor:
    """(x, y) of the centres of a grid's cells in pixels: shape (height, width), stride one or (y, x) -> (height width, 2) float32.

    Row by row, (i + offset) stride, as FCOS has them (Tian et al. 2019). Raises ValueError for a negative shape, or a stride
    that is not positive.
    """
    height, width = shape
    down, across = stride if isinstance(stride, tuple) else (stride, stride)
    if height < 0 or width < 0 or down <= 0 or across <= 0:
        raise ValueError(f"point_grid: expected a shape of 0 or more and a stride above 0, got {shape} and {stride}")
    y, x = ((arange(n, dtype=float32) + offset) * by for n, by in ((height, down), (width, across)))
    both = (ops.expand(ops.unsqueeze(x, 0), (height, width)), ops.expand(ops.unsqueeze(y, 1), (height, width)))
    return ops.reshape(ops.stack(both, -1), (-1, 2))


class BoxCoder:
    """Boxes as offsets from anchors: (wx (cx - ax) / aw, wy (cy - ay) / ah, ww log(w / aw), wh log(h / ah)) (Girshick et al. 2014).

    decode clips the last two at bbox_xform_clip, so that exp does not overflow. Both are differentiable.
    """

    def __init__(self, weights: Sequence[float] = (10.0, 10.0, 5.0, 5.0), bbox_xform_clip: float = math.log(1000.0 / 16)) -> None:
        if len(weights) != 4 or not all(0 < w < math.inf for w in weights):
            raise ValueError(f"BoxCoder: expected four weights above 0, got {weights!r}")
        self.weights, self.bbox_xform_clip = tuple(weights), bbox_xform_clip

    def _checked(self, name: str, x: Tensor, anchors: Tensor) -> None:
        if not isinstance(x, Tensor) or not isinstance(anchors, Tensor):
            raise TypeError(f"BoxCoder: expected tensors, got {type(x).__name__} and {type(anchors).__name__}")
        if x.ndim == 0 or anchors.ndim == 0 or x.shape[-1] != 4 or anchors.shape[-1] != 4:
            raise ValueError(f"BoxCoder: expected {name} (..., 4) and anchors (..., 4), got {x.shape} and {anchors.shape}")

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Boxes (x1, y1, x2, y2) relative to anchors: (..., 4), (..., 4) -> (..., 4). Raises ValueError for one that is empty."""
        self._checked("boxes", boxes, anchors)
        for name, x in (("boxes", boxes), ("anchors", anchors)):
            sides = x.detach()[..., 2:] - x.detach()[..., :2]
            if not bool((sides > 0).all()):
                raise ValueError(f"BoxCoder: expected {name} with sides above 0, got one of {float(sides.min())} (shape {x.shape})")
        own, anchor = (ops.box_convert(x, "xyxy", "cxcywh") for x in (boxes, anchors))
        weights = tensor(self.weights, dtype=own.dtype)
        return ops.cat(((own[..., :2] - anchor[..., :2]) / anchor[..., 2:], ops.log(own[..., 2:] / anchor[..., 2:])), -1) * weights

    def decode(self, codes: Tensor, anchors: Tensor) -> Tensor:
        """The inverse: codes (..., 4), anchors (..., 4) -> boxes (x1, y1, x2, y2) (..., 4)."""
        self._checked("codes", codes, anchors)
        anchor = ops.box_convert(anchors, "xyxy", "cxcywh")
        code = codes / tensor(self.weights, dtype=codes.dtype)
        centre = code[..., :2] * anchor[..., 2:] + anchor[..., :2]
        size = ops.exp(ops.clamp(code[..., 2:], max=self.bbox_xform_clip)) * anchor[..., 2:]
        return ops.box_convert(ops.cat((centre, size), -1), "cxcywh", "xyxy")


class Matcher:
    """Which true box each anchor belongs to: quality (M, N), such as box_iou(true, anchors) -> (N,) int64; see match_boxes.

    -1 (BELOW_LOW_THRESHOLD): background; -2 (BETWEEN_THRESHOLDS): neither. allow_low_quality_matches: the anchors that a true box
    overlaps most belong to the true box that they overlap most, however little that is, but not nothing.
    """

    BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS = -1, -2

    def __init__(self, high_threshold: float, low_threshold: float, allow_low_quality_matches: bool = False) -> None:
        if not low_threshold <= high_threshold:
            raise ValueError(f"Matcher: expected low_threshold <= high_threshold, got {low_threshold!r} and {high_threshold!r}")
        self.high_threshold, self.low_threshold, self.allow_low_quality_matches = high_threshold, low_threshold, allow_low_quality_matches

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        return match_boxes(match_quality_matrix, self.low_threshold, self.high_threshold, self.allow_low_quality_matches)
