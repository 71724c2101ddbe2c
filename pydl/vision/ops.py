"""Ops of boxes and regions, and the layers made of them, with torchvision's names."""
from pydl.ops import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    box_iou_loss,
    clip_boxes,
    clip_boxes_to_image,
    complete_box_iou,
    complete_box_iou_loss,
    distance_box_iou,
    distance_box_iou_loss,
    focal_loss,
    generalized_box_iou,
    generalized_box_iou_loss,
    linear_sum_assignment,
    masks_to_boxes,
    match_boxes,
    nms,
    paired_box_iou,
    ps_roi_align,
    remove_small_boxes,
    roi_align,
    roi_pool,
    sigmoid_focal_loss,
    soft_nms,
)
from pydl.vision.regions import MultiScaleRoIAlign, PSRoIAlign, RoIAlign, RoIPool

__all__ = [
    "MultiScaleRoIAlign", "PSRoIAlign", "RoIAlign", "RoIPool", "batched_nms", "box_area", "box_convert", "box_iou", "box_iou_loss",
    "clip_boxes", "clip_boxes_to_image", "complete_box_iou", "complete_box_iou_loss", "distance_box_iou", "distance_box_iou_loss",
    "focal_loss", "generalized_box_iou", "generalized_box_iou_loss", "linear_sum_assignment", "masks_to_boxes", "match_boxes", "nms",
    "paired_box_iou", "ps_roi_align", "remove_small_boxes", "roi_align", "roi_pool", "sigmoid_focal_loss", "soft_nms",
]
