"""Layers that cut regions of interest out of images; the ops in pydl/ops/roi.py say what they compute."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydl import ops
from pydl.nn.module import Module
from pydl.tensor import Tensor

Size = int | tuple[int, int]


class RoIAlign(Module):
    """roi_align with these sizes: (N, C, H, W) and boxes (K, 5) or a list of (L, 4) -> (K, C, PH, PW)."""

    def __init__(self, output_size: Size, spatial_scale: float, sampling_ratio: int, aligned: bool = False) -> None:
        super().__init__()
        self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned = output_size, spatial_scale, sampling_ratio, aligned

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        return ops.roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        return (f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}, "
                f"aligned={self.aligned}")


class PSRoIAlign(Module):
    """ps_roi_align with these sizes: (N, C PH PW, H, W) and boxes (K, 5) or a list of (L, 4) -> (K, C, PH, PW)."""

    def __init__(self, output_size: Size, spatial_scale: float, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size, self.spatial_scale, self.sampling_ratio = output_size, spatial_scale, sampling_ratio

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        return ops.ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}"


class RoIPool(Module):
    """roi_pool with these sizes: (N, C, H, W) and boxes (K, 5) or a list of (L, 4) -> (K, C, PH, PW)."""

    def __init__(self, output_size: Size, spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        return ops.roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class MultiScaleRoIAlign(Module):
    """roi_align from the level of a pyramid that suits each box (Lin et al., "Feature pyramid networks", 2017).

    featmap_names: which of the levels take part, the finest first. A box of canonical_scale x canonical_scale pixels goes to level
    canonical_level (whose stride is 2^canonical_level), one half as large to the level below. Strides are powers of two, found from
    the sizes of the levels and of the images.
    forward: x, name -> (N, C, H, W); boxes, a list of N tensors (L, 4) in pixels of the images; image_shapes, (height, width) of each
    -> (K, C, PH, PW) for the K boxes of all images, in order. Raises ValueError where a level is missing or no image is given.
    """

    def __init__(self, featmap_names: Sequence[str], output_size: Size, sampling_ratio: int, *, canonical_scale: int = 224,
                 canonical_level: int = 4) -> None:
        super().__init__()
        self.featmap_names, self.output_size, self.sampling_ratio = list(featmap_names), output_size, sampling_ratio
        self.canonical_scale, self.canonical_level = canonical_scale, canonical_level

    def forward(self, x: Mapping[str, Tensor], boxes: Sequence[Tensor], image_shapes: Sequence[tuple[int, int]]) -> Tensor:
        maps = [x[name] for name in self.featmap_names if name in x]
        if not maps or not image_shapes:
            raise ValueError(f"MultiScaleRoIAlign: expected levels {self.featmap_names} and an image or more, got {list(x)} and "
                             f"{len(image_shapes)} images")
        tallest = max(height for height, _ in image_shapes)
        steps = [round(math.log2(tallest / one.shape[2])) for one in maps]
        numbers = [ops.cat([one.new_full((one.shape[0], 1), float(i)), one], 1) for i, one in enumerate(boxes)]
        rois = ops.cat(numbers)
        if len(maps) == 1:
            return ops.roi_align(maps[0], rois, self.output_size, 2.0 ** -steps[0], self.sampling_ratio)
        size = ops.sqrt(ops.box_area(rois[:, 1:]))
        level = ops.floor(ops.log2(size / self.canonical_scale) + (self.canonical_level + 1e-6))
        level = ops.clamp(level, steps[0], steps[-1])
        places, parts = [], []
        for step, one in zip(steps, maps):
            at = ops.nonzero(level == step).reshape(-1)
            places.append(at)
            parts.append(ops.roi_align(one, rois[at], self.output_size, 2.0 ** -step, self.sampling_ratio))
        return ops.index_select(ops.cat(parts), 0, ops.argsort(ops.cat(places)))

    def extra_repr(self) -> str:
        return f"featmap_names={self.featmap_names}, output_size={self.output_size}, sampling_ratio={self.sampling_ratio}"
