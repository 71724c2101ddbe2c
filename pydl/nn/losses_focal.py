"""Focal losses as modules; the ops say what they compute."""
from pydl import ops
from pydl.nn.losses import Loss
from pydl.tensor import Tensor


class SigmoidFocalLoss(Loss):
    """Binary cross entropy of logits that counts less where they are right (Lin et al. 2017): input and target of the same shape."""

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        if not 0 <= alpha <= 1 and alpha != -1:
            raise ValueError(f"SigmoidFocalLoss: alpha: expected 0 to 1, or -1 for none, got {alpha}")
        if not gamma >= 0:
            raise ValueError(f"SigmoidFocalLoss: gamma: expected 0 or more, got {gamma}")
        self.alpha, self.gamma = alpha, gamma

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.sigmoid_focal_loss(input, target, self.alpha, self.gamma, self.reduction)


class FocalLoss(Loss):
    """Cross entropy that counts less where it is right: input (N, C, ...), target (N, ...) int64 labels; as CrossEntropyLoss otherwise."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, gamma: float = 2.0, ignore_index: int = -100, reduction: str = "mean",
                 label_smoothing: float = 0.0) -> None:
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"FocalLoss: label_smoothing: expected 0 to 1, got {label_smoothing}")
        if not gamma >= 0:
            raise ValueError(f"FocalLoss: gamma: expected 0 or more, got {gamma}")
        self.register_buffer("weight", weight)
        self.gamma, self.ignore_index, self.label_smoothing = gamma, ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.focal_loss(input, target, self.weight, self.gamma, self.ignore_index, self.reduction, self.label_smoothing)
