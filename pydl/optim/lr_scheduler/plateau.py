"""A rate that falls when a metric no longer improves."""
import math
from typing import Any, Literal, SupportsFloat

from pydl.optim.lr_scheduler.base import LRScheduler, put
from pydl.optim.lr_scheduler.checks import optimizer_of, per_group, real, whole
from pydl.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """lr = max(lr * factor, min_lr) after more than patience epochs in which step(metrics) saw nothing better than the best so far.

    Better means below best * (1 - threshold) (mode min, threshold_mode rel), below best - threshold (min, abs), above
    best * (1 + threshold) (max, rel) or above best + threshold (max, abs); NaN is never better. After a reduction the count rests for
    cooldown epochs. A change of the rate by eps or less is not made. factor in [0, 1). min_lr: a number, or one for each group.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        op = self._name
        optimizer_of(op, optimizer)
        self.optimizer = optimizer
        self.factor = real(op, "factor", factor, "in [0, 1)", lambda f: 0 <= f < 1)
        self.min_lrs = per_group(op, "min_lr", optimizer, min_lr)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else self.min_lrs[0]
        self.patience = whole(op, "patience", patience, 0)
        self.cooldown = whole(op, "cooldown", cooldown, 0)
        self.eps = real(op, "eps", eps)
        check_modes(op, mode, threshold_mode)
        self.mode, self.threshold_mode = mode, threshold_mode
        self.threshold = real(op, "threshold", threshold)
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self.last_epoch = 0
        self._last_lr = self._rates()

    @property
    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Takes the metric of an epoch, a number or a Tensor with one element. epoch is deprecated."""
        try:
            current = float(metrics)
        except (TypeError, ValueError):
            raise TypeError(f"{self._name}: metrics must be a number, got {metrics!r}") from None
        if epoch is not None:
            self._warn_of_epoch()
        self.last_epoch = self.last_epoch + 1 if epoch is None else whole(self._name, "epoch", epoch, 0)
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()

    def _is_better(self, current: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "abs":
            target = self.best + sign * self.threshold
        else:
            target = self.best * (1.0 + sign * self.threshold)
        return current > target if self.mode == "max" else current < target

    def _reduce_lr(self) -> None:
        groups = self.optimizer.param_groups
        if len(self.min_lrs) != len(groups):
            if self.default_min_lr is None:
                raise RuntimeError(f"{self._name}: min_lr was given for {len(self.min_lrs)} parameter groups, but the optimizer has "
                                   f"{len(groups)} now; append to the field min_lrs")
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                put(group, new)

    def _check_state(self, state: dict[str, Any]) -> None:
        super()._check_state(state)
        check_modes("load_state_dict", state["mode"], state["threshold_mode"])


def check_modes(op: str, mode: Any, threshold_mode: Any) -> None:
    if mode not in ("min", "max"):
        raise ValueError(f"{op}: mode must be 'min' or 'max', got {mode!r}")
    if threshold_mode not in ("rel", "abs"):
        raise ValueError(f"{op}: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
