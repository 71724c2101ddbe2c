"""Boxes, regions and focal losses. PyTorch alone has none of them: its side is what one writes there with its ops."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cases import Thunk, add, is_torch, put, values


def boxes(count: int, image: float = 1000.0, size: float = 100.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform(0, image, (count, 2)), rng.uniform(1, size, (count, 2))
    return np.concatenate([centre - side / 2, centre + side / 2], 1).astype(np.float32)


def overlap(torch: Any, a: Any, b: Any) -> Any:
    sides = (torch.min(a[:, None, 2:], b[None, :, 2:]) - torch.max(a[:, None, :2], b[None, :, :2])).clamp(min=0)
    both = sides[..., 0] * sides[..., 1]
    first, second = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    return both / (first[:, None] + second - both)


def suppress(torch: Any, b: Any, s: Any, threshold: float) -> Any:
    order, kept = s.argsort(descending=True, stable=True), []
    while order.numel():
        kept.append(order[0])
        order = order[1:][overlap(torch, b[order[:1]], b[order[1:]])[0] <= threshold]
    return torch.stack(kept)


def focal(torch: Any, x: Any, t: Any) -> Any:
    p, loss = torch.sigmoid(x), torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none")
    return (loss * (1 - (p * t + (1 - p) * (1 - t))) ** 2 * (0.25 * t + 0.75 * (1 - t))).mean()


def trained(call: Callable[[Any, Any, Any], Any], own: Callable[[Any, Any, Any], Any], *arrays: np.ndarray) -> Callable[[Any], Thunk]:
    """Forward and backward of call(torch, *tensors), or of own(pydl.vision.ops, *tensors), by the first tensor."""
    def build(library: Any) -> Thunk:
        x, y = (put(library, one) for one in arrays)
        x.requires_grad_(True)

        def run() -> None:
            (call(library, x, y) if is_torch(library) else own(library.vision.ops, x, y)).backward()
            x.grad = None

        return run

    return build


def nms(count: int, image: float, size: float) -> Callable[[Any], Thunk]:
    def build(library: Any) -> Thunk:
        b, s = put(library, boxes(count, image, size)), put(library, values(count, low=0, high=1))
        if is_torch(library):
            return lambda: suppress(library, b, s, 0.5)
        return lambda: library.vision.ops.nms(b, s, 0.5)

    return build


def iou(library: Any) -> Thunk:
    a, b = put(library, boxes(50)), put(library, boxes(20_000, seed=1))
    return (lambda: overlap(library, a, b)) if is_torch(library) else (lambda: library.vision.ops.box_iou(a, b))


def giou_loss(library: Any, a: Any, b: Any) -> Any:
    both = (library.min(a[:, 2:], b[:, 2:]) - library.max(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    around = (library.max(a[:, 2:], b[:, 2:]) - library.min(a[:, :2], b[:, :2])).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both
    return (1 - both / (union + 1e-7) + (around - union) / (around + 1e-7)).mean()


def roi_align(library: Any) -> Thunk:
    x, rois = put(library, values(2, 64, 50, 50)), np.concatenate([np.arange(200)[:, None] % 2, boxes(200, 700, 300).clip(0, 800)], 1)
    where = put(library, rois.astype(np.float32))
    if not is_torch(library):
        return lambda: library.vision.ops.roi_align(x, where, 7, 1 / 16, 2, True)
    fractions = (library.arange(14) + 0.5) / 14

    def run() -> Any:       # 2 x 2 samples in each bin, by grid_sample
        start, side = where[:, 1:3] / 16 - 0.5, (where[:, 3:] - where[:, 1:3]) / 16
        at = (start[:, None] + fractions[:, None] * side[:, None]) * (2 / 49) - 1
        grid = library.stack((at[:, None, :, 0].expand(-1, 14, 14), at[:, :, None, 1].expand(-1, 14, 14)), -1)
        found = library.nn.functional.grid_sample(x[where[:, 0].long()], grid, padding_mode="border", align_corners=True)
        return library.nn.functional.avg_pool2d(found, 2)

    return run


add("nms 10000 boxes", nms(10_000, 300, 100), 50.0, most_us=20_000)
add("box_iou 50x20000", iou, 2.0)
add("giou_loss 1000 boxes fwd+bwd", trained(giou_loss, lambda ops, a, b: ops.generalized_box_iou_loss(a, b, "mean"),
                                            boxes(1000), boxes(1000, seed=1)), 1.0)
add("sigmoid_focal_loss 8x4000x3 fwd+bwd",
    trained(focal, lambda ops, x, t: ops.sigmoid_focal_loss(x, t, reduction="mean"), values(96_000, low=-5, high=0),
            (values(96_000, seed=1) > 1.9).astype(np.float32)), 3.0)
add("roi_align 200 boxes 64x7x7", roi_align, 1.0)
