"""Losses of segmented images as modules. Each is one call of the op that computes it; see dice_loss for the modes and what they share."""

from collections.abc import Sequence

from pydl import ops
from pydl.nn.losses import Loss
from pydl.tensor import Tensor

MODES = ("binary", "multiclass", "multilabel")


class RegionLoss(Loss):
    """What the losses share: the mode, the classes that count, and pixels that do not."""

    def __init__(self, mode: str, classes: Sequence[int] | None, from_logits: bool, ignore_index: int | None, reduction: str) -> None:
        super().__init__(reduction)
        if mode not in MODES:
            raise ValueError(f"{type(self).__name__}: mode: expected one of {', '.join(MODES)}, got {mode!r}")
        self.mode, self.from_logits, self.ignore_index = mode, from_logits, ignore_index
        self.classes = None if classes is None else list(classes)

    def extra_repr(self) -> str:
        return repr(self.mode)


class DiceLoss(RegionLoss):
    """1 - 2 sum(p t) / (sum(p) + sum(t)): see dice_loss."""

    weight: Tensor | None

    def __init__(self, mode: str, classes: Sequence[int] | None = None, log_loss: bool = False, from_logits: bool = True,
                 smooth: float = 0.0, ignore_index: int | None = None, eps: float = 1e-7, *, weight: Tensor | None = None,
                 per_image: bool = False, reduction: str = "mean") -> None:
        super().__init__(mode, classes, from_logits, ignore_index, reduction)
        self.register_buffer("weight", weight)
        self.log_loss, self.smooth, self.eps, self.per_image = log_loss, smooth, eps, per_image

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.dice_loss(input, target, self.mode, classes=self.classes, weight=self.weight, ignore_index=self.ignore_index,
                             from_logits=self.from_logits, log_loss=self.log_loss, smooth=self.smooth, eps=self.eps,
                             per_image=self.per_image, reduction=self.reduction)


class JaccardLoss(RegionLoss):
    """1 - sum(p t) / (sum(p) + sum(t) - sum(p t)), the soft intersection over union: see jaccard_loss."""

    weight: Tensor | None

    def __init__(self, mode: str, classes: Sequence[int] | None = None, log_loss: bool = False, from_logits: bool = True,
                 smooth: float = 0.0, eps: float = 1e-7, *, ignore_index: int | None = None, weight: Tensor | None = None,
                 per_image: bool = False, reduction: str = "mean") -> None:
        super().__init__(mode, classes, from_logits, ignore_index, reduction)
        self.register_buffer("weight", weight)
        self.log_loss, self.smooth, self.eps, self.per_image = log_loss, smooth, eps, per_image

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.jaccard_loss(input, target, self.mode, classes=self.classes, weight=self.weight, ignore_index=self.ignore_index,
                                from_logits=self.from_logits, log_loss=self.log_loss, smooth=self.smooth, eps=self.eps,
                                per_image=self.per_image, reduction=self.reduction)


class TverskyLoss(RegionLoss):
    """(1 - TP / (TP + alpha FP + beta FN))^gamma, for every class: see tversky_loss."""

    weight: Tensor | None

    def __init__(self, mode: str, classes: Sequence[int] | None = None, log_loss: bool = False, from_logits: bool = True,
                 smooth: float = 0.0, ignore_index: int | None = None, eps: float = 1e-7, alpha: float = 0.5, beta: float = 0.5,
                 gamma: float = 1.0, *, weight: Tensor | None = None, per_image: bool = False, reduction: str = "mean") -> None:
        super().__init__(mode, classes, from_logits, ignore_index, reduction)
        self.register_buffer("weight", weight)
        self.log_loss, self.smooth, self.eps, self.per_image = log_loss, smooth, eps, per_image
        self.alpha, self.beta, self.gamma = alpha, beta, gamma

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.tversky_loss(input, target, self.mode, alpha=self.alpha, beta=self.beta, gamma=self.gamma, classes=self.classes,
                                weight=self.weight, ignore_index=self.ignore_index, from_logits=self.from_logits,
                                log_loss=self.log_loss, smooth=self.smooth, eps=self.eps, per_image=self.per_image,
                                reduction=self.reduction)


class FocalTverskyLoss(TverskyLoss):
    """TverskyLoss with the numbers of Abraham & Khan 2019: see focal_tversky_loss."""

    def __init__(self, mode: str, classes: Sequence[int] | None = None, from_logits: bool = True, smooth: float = 0.0,
                 ignore_index: int | None = None, eps: float = 1e-7, alpha: float = 0.3, beta: float = 0.7, gamma: float = 0.75, *,
                 weight: Tensor | None = None, per_image: bool = False, reduction: str = "mean") -> None:
        super().__init__(mode, classes, False, from_logits, smooth, ignore_index, eps, alpha, beta, gamma, weight=weight,
                         per_image=per_image, reduction=reduction)


class LovaszLoss(RegionLoss):
    """The Lovasz extension of 1 - Jaccard index: lovasz_softmax_loss for "multiclass", else lovasz_hinge_loss."""

    def __init__(self, mode: str, per_image: bool = False, ignore_index: int | None = None, from_logits: bool = True, *,
                 reduction: str = "mean") -> None:
        super().__init__(mode, None, from_logits, ignore_index, reduction)
        if not from_logits and mode != "multiclass":
            raise ValueError(f"LovaszLoss: from_logits: expected True for {mode!r}, whose errors are those of logits, got {from_logits}")
        self.per_image = per_image

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        if self.mode == "multiclass":
            return ops.lovasz_softmax_loss(input, target, per_image=self.per_image, ignore_index=self.ignore_index,
                                           from_logits=self.from_logits, reduction=self.reduction)
        return ops.lovasz_hinge_loss(input, target, self.mode, per_image=self.per_image, ignore_index=self.ignore_index,
                                     reduction=self.reduction)


class BoundaryLoss(RegionLoss):
    """The mean of probability x signed distance to the boundary of the target: see boundary_loss."""

    def __init__(self, mode: str, classes: Sequence[int] | None = None, from_logits: bool = True, ignore_index: int | None = None, *,
                 sampling: float | Sequence[float] | None = None, reduction: str = "mean") -> None:
        super().__init__(mode, classes, from_logits, ignore_index, reduction)
        self.sampling = sampling

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.boundary_loss(input, target, self.mode, classes=self.classes, ignore_index=self.ignore_index,
                                 from_logits=self.from_logits, sampling=self.sampling, reduction=self.reduction)
