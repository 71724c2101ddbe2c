"""Losses as modules. Each is one call of the op that computes it; see there for the formula."""

from pydl import ops
from pydl.nn.module import Module
from pydl.tensor import Tensor

REDUCTIONS = ("none", "mean", "sum")


class Loss(Module):
    """What the losses share: how the elements become one number."""

    def __init__(self, reduction: str) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: reduction: expected one of {', '.join(REDUCTIONS)}, got {reduction!r}")
        self.reduction = reduction


class CrossEntropyLoss(Loss):
    """-log softmax(input)[target]: input (N, C, ...), target (N, ...) int64 labels or (N, C, ...) probabilities.

    weight (C,): a weight per class; ignore_index: a label that does not count; label_smoothing: the share of the target
    that is spread over all classes.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean",
                 label_smoothing: float = 0.0) -> None:
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing: expected 0 to 1, got {label_smoothing}")
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.cross_entropy(input, target, weight=self.weight, ignore_index=self.ignore_index,
                                 reduction=self.reduction, label_smoothing=self.label_smoothing)


class NLLLoss(Loss):
    """-input[target]: input (N, C, ...) log-probabilities, target (N, ...) int64 labels."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """-(pos_weight t log s(x) + (1 - t) log(1 - s(x))), s the sigmoid: input and target of the same shape."""

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.binary_cross_entropy_with_logits(input, target, weight=self.weight, reduction=self.reduction,
                                                    pos_weight=self.pos_weight)


class MSELoss(Loss):
    """(input - target)^2: input and target of the same shape."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """|input - target|: input and target of the same shape."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return ops.l1_loss(input, target, reduction=self.reduction)
