"""An anchor-free detector of objects."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pydl import nn, ops
from pydl.autograd import no_grad
from pydl.nn.owned import modes_kept
from pydl.tensor import Tensor, from_numpy, ones, zeros
from pydl.vision.anchors import point_grid
from pydl.vision.models.aligned import Targets, aligned_targets
from pydl.vision.models.fpn import FeaturePyramidNetwork
from pydl.vision.models.resnet import BasicBlock, conv3x3, initialise, stage

Detections = dict[str, Tensor]      # of one image: "boxes" (K, 4), "scores" (K,), "labels" (K,) int64, the best first


class Located(NamedTuple):
    """What FCOS says of N images: at each of L locations, the K classes' logits (N, L, K) and a box (N, L, 4), x1 y1 x2 y2 in pixels.

    points (L, 3): x, y of the location and the stride of its level."""

    logits: Tensor
    boxes: Tensor
    points: Tensor


class DetectionBackbone(nn.Module):
    """A small residual network without a classifier: (N, channels, H, W) -> images of 1/4, 1/8 ... of the size, of widths[1:] channels.

    blocks: residual blocks at each of these sizes. Its stem, at half the size, is one convolution to widths[0] channels, of
    (input - mean) / std with the buffers mean and std (channels, 1, 1), 0 and 1 at first.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int = 3, widths: Sequence[int] = (16, 32, 64, 128), blocks: Sequence[int] = (1, 2, 2)) -> None:
        super().__init__()
        if len(widths) != len(blocks) + 1 or not blocks:
            raise ValueError(f"DetectionBackbone: expected widths for the stem and {len(blocks)} stages, got {tuple(widths)}")
        self.register_buffer("mean", zeros(channels, 1, 1))
        self.register_buffer("std", ones(channels, 1, 1))
        self.stem = nn.Sequential(conv3x3(channels, widths[0], 2), nn.BatchNorm2d(widths[0]), nn.ReLU())
        self.stages = nn.ModuleList([stage(BasicBlock, a, b, n, 2) for a, b, n in zip(widths, widths[1:], blocks, strict=False)])
        initialise(self)

    def features(self, input: Tensor) -> list[Tensor]:
        found = [self.stem((input - self.mean) / self.std)]
        for one in self.stages:
            found.append(one(found[-1]))
        return found[1:]


class Tower(nn.Module):
    """3x3 convolutions, the same for every level, and normalised level by level, as levels differ in their mean and variance."""

    def __init__(self, width: int, depth: int, levels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([conv3x3(width, width) for _ in range(depth)])
        self.norms = nn.ModuleList([nn.ModuleList([nn.BatchNorm2d(width) for _ in range(levels)]) for _ in range(depth)])

    def forward(self, input: Tensor, level: int) -> Tensor:
        for conv, norms in zip(self.convs, self.norms, strict=True):
            each: Any = norms
            input = ops.relu(each[level](conv(input)))
        return input


class FCOS(nn.Module):
    """A detector without anchors: each location of a feature pyramid says whether an object is there, and where its edges are.

    forward: images (N, C, H, W), normalised floats -> Located. `loss(outputs, targets)` trains it, `detect(images)` gives boxes.
    backbone: a module with features(images) -> images of several sizes, as ResNet; the last len(strides) are taken, with in_channels.
    width, depth: channels and convolutions of the two towers of the head. Distances to the edges are stride * exp(x).

    Tian et al., "FCOS: Fully convolutional one-stage object detection", 2019. There is no centre-ness: a class's score learns how well the
    box fits, and who learns of which object is decided by scores and boxes (aligned_targets): Li et al., "Generalized focal loss", 2020;
    Feng et al., "TOOD: Task-aligned one-stage object detection", 2021.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, in_channels: Sequence[int] = (64, 128), strides: Sequence[int] = (8, 16),
                 width: int = 64, depth: int = 2) -> None:
        super().__init__()
        if num_classes < 1 or len(in_channels) != len(strides) or not strides:
            raise ValueError(f"FCOS: expected num_classes of 1 or more, and as many in_channels as strides, got {num_classes}, "
                             f"{tuple(in_channels)} and {tuple(strides)}")
        self.num_classes, self.strides = num_classes, tuple(strides)
        self.backbone: Any = backbone
        self.fpn = FeaturePyramidNetwork(in_channels, width)
        self.classes, self.edges = Tower(width, depth, len(strides)), Tower(width, depth, len(strides))
        self.class_logits = nn.Conv2d(width, num_classes, 3, padding=1)
        self.box_edges = nn.Conv2d(width, 4, 3, padding=1)
        for tower in (self.classes, self.edges):
            initialise(tower)
        for conv, bias in ((self.class_logits, -math.log(99)), (self.box_edges, math.log(2.5))):       # a score of 0.01, a box of 5 strides
            nn.init.normal_(conv.weight, std=0.01)
            if conv.bias is not None:
                nn.init.constant_(conv.bias, bias)

    def forward(self, images: Tensor) -> Located:
        if images.ndim != 4 or min(images.shape[2:]) < self.strides[-1]:
            raise ValueError(f"FCOS: expected images (N, C, H, W) of {self.strides[-1]} x {self.strides[-1]} pixels or more, got shape "
                             f"{tuple(images.shape)}")
        levels = self.fpn(self.backbone.features(images)[-len(self.strides):])
        logits, edges, points = [], [], []
        for number, (level, stride) in enumerate(zip(levels, self.strides, strict=True)):
            logits.append(self.class_logits(self.classes(level, number)).flatten(2))
            edges.append(self.box_edges(self.edges(level, number)).flatten(2))
            points.append(located(level, stride))
        where = ops.cat(points)
        steps = ops.exp(ops.clamp(ops.cat(edges, 2).transpose(1, 2), max=6.0)) * where[:, 2:]
        middle = where[:, :2]
        boxes = ops.cat([middle - steps[:, :, :2], middle + steps[:, :, 2:]], 2)
        return Located(ops.cat(logits, 2).transpose(1, 2), boxes, where)

    def loss(self, outputs: Located, targets: Sequence[Mapping[str, Any]]) -> Tensor:
        """Quality focal loss of the logits + 2 (1 - GIoU) of the boxes that have an object: one number.

        targets: for each image "boxes" (K, 4), x1 y1 x2 y2 in pixels, and "labels" (K,), from 0 to num_classes - 1. In the boxes' part
        every object counts the same, so that small ones, which few locations see, are learnt, too. Raises ValueError, TypeError for targets
        that do not fit.
        """
        return detection_loss(outputs, aligned_targets(outputs.logits, outputs.boxes, outputs.points, targets))

    def detect(self, images: Tensor, score_threshold: float = 0.05, iou_threshold: float = 0.6, max_detections: int = 100,
               candidates: int = 1000, views: int = 1) -> list[Detections]:
        """What is seen in each image: a dict of "boxes" (K, 4), "scores" (K,) and "labels" (K,), the best first; in evaluation mode.

        Scores above score_threshold count, the best `candidates` of them; of boxes of one class that overlap by more than iou_threshold
        the best stays (batched_nms); K <= max_detections. Boxes are cut at the image's edges. views: 1, or the mean over 2 (and mirrored)
        or 4 (and upside down) views of each image, whose sides must then be multiples of the largest stride.
        """
        if math.isnan(score_threshold) or max_detections < 0 or candidates < 1:
            raise ValueError("FCOS: expected a score_threshold, max_detections of 0 or more and candidates of 1 or more, got "
                             f"{score_threshold}, {max_detections} and {candidates}")
        with modes_kept(self), no_grad():
            self.eval()
            found = self(images) if views == 1 else self.seen(images, views)
        scores = ops.sigmoid(found.logits)
        size = tuple(images.shape[2:])
        return [chosen(scores[i], ops.clip_boxes_to_image(found.boxes[i], size), score_threshold, iou_threshold, max_detections, candidates)
                for i in range(len(images))]

    def seen(self, images: Tensor, views: int) -> Located:
        """The mean of what is said of an image and of its mirror images, each turned back."""
        size = (int(images.shape[3]), int(images.shape[2]))
        if views not in (1, 2, 4) or any(side % self.strides[-1] for side in size):
            raise ValueError(f"FCOS: expected 1, 2 or 4 views, of images whose sides are multiples of {self.strides[-1]}, got {views} "
                             f"(shape {tuple(images.shape)})")
        found = [self(images)]
        for view in range(1, views):
            axes = [axis for axis in (0, 1) if view >> axis & 1]
            found.append(mirrored(self(ops.flip(images, [3 - axis for axis in axes])), axes, size))
        logits, boxes = (ops.stack(parts).mean(0) for parts in list(zip(*found, strict=True))[:2])
        return Located(logits, boxes, found[0].points)


def mirrored(found: Located, axes: Sequence[int], size: Sequence[int]) -> Located:
    """What is said of an image (width, height) where it was said of its mirror image, along x (0), y (1) or both."""
    points = found.points.numpy().copy()
    first = np.lexsort((points[:, 0], points[:, 1], points[:, 2]))
    for axis in axes:
        points[:, axis] = size[axis] - points[:, axis]
    at = np.empty(len(points), np.int64)        # of a location, where the mirror image has it
    at[first] = np.lexsort((points[:, 0], points[:, 1], points[:, 2]))
    logits, boxes = found.logits[:, from_numpy(at)], found.boxes[:, from_numpy(at)]
    sides = [boxes[:, :, i] for i in range(4)]
    for axis in axes:
        sides[axis], sides[axis + 2] = size[axis] - sides[axis + 2], size[axis] - sides[axis]
    return Located(logits, ops.stack(sides, 2), found.points)


def located(level: Tensor, stride: int) -> Tensor:
    """x, y and stride of the middles of a level's cells: (L, 3)."""
    points = point_grid((level.shape[2], level.shape[3]), (stride, stride)).to(level.dtype)
    return ops.cat([points, points.new_full((len(points), 1), float(stride))], 1)


def detection_loss(outputs: Located, targets: Targets) -> Tensor:
    """The sum of |p - q|^2 H(p, q) over the sum of q, + 2 (1 - GIoU), the mean over objects of their locations' mean by q."""
    apart = ops.sigmoid(outputs.logits) - targets.quality
    entropy = ops.binary_cross_entropy_with_logits(outputs.logits, targets.quality, reduction="none")
    scores = (apart * apart * entropy).sum() / max(targets.total, 1.0)
    if not len(targets.at):
        return scores
    boxes = ops.index_select(outputs.boxes.reshape(-1, 4), 0, targets.at)
    edges = (ops.generalized_box_iou_loss(boxes, targets.boxes) * targets.weights).sum()
    return scores + 2 * edges


def chosen(scores: Tensor, boxes: Tensor, threshold: float, iou_threshold: float, most: int, candidates: int) -> Detections:
    """scores (L, K), boxes (L, 4) -> the detections of an image."""
    flat = scores.reshape(-1)
    at = ops.nonzero(flat > threshold).reshape(-1)
    if len(at) > candidates:
        at = at[ops.topk(flat[at], candidates)[1]]
    labels, rows = at % scores.shape[1], at // scores.shape[1]
    found, worth = ops.index_select(boxes, 0, rows), flat[at]
    kept = ops.batched_nms(found, worth, labels, iou_threshold)[:most]
    return {"boxes": found[kept], "scores": worth[kept], "labels": labels[kept]}
