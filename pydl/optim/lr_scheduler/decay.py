"""Schedules that multiply the present rate by a number that depends on the epoch alone, so any of them chain."""
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydl.optim.lr_scheduler.base import LRScheduler
from pydl.optim.lr_scheduler.checks import real, whole
from pydl.optim.optimizer import Optimizer


class Decay(LRScheduler):
    """lr(t) = lr(t - 1) * ratio(t); alone, lr(t) = initial_lr * factor(t)."""

    def _ratio(self) -> float:
        """The rate at last_epoch over that of the epoch before."""
        raise NotImplementedError

    def _factor(self) -> float:
        """The rate at last_epoch over the initial one."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        ratio = self._ratio()
        return [rate * ratio for rate in self._rates()]

    def _get_closed_form_lr(self) -> list[float]:
        factor = self._factor()
        return [rate * factor for rate in self.base_lrs]


class StepLR(Decay):
    """lr(t) = initial_lr * gamma^floor(t / step_size). step_size: whole, >= 1. gamma >= 0."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = whole(self._name, "step_size", step_size, 1)
        self.gamma = real(self._name, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _ratio(self) -> float:
        return self.gamma if self.last_epoch != 0 and self.last_epoch % self.step_size == 0 else 1.0

    def _factor(self) -> float:
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(Decay):
    """lr(t) = initial_lr * gamma^(number of milestones <= t). milestones: whole, >= 0, in any order. gamma >= 0."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        if isinstance(milestones, str) or not isinstance(milestones, Iterable):
            raise TypeError(f"{self._name}: milestones must be a list of whole numbers, got {milestones!r}")
        self.milestones = Counter(whole(self._name, "a milestone", m, 0) for m in milestones)
        self.gamma = real(self._name, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _ratio(self) -> float:
        return self.gamma ** self.milestones[self.last_epoch]

    def _factor(self) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)

    def _check_state(self, state: dict[str, Any]) -> None:
        super()._check_state(state)
        if not isinstance(state["milestones"], dict):
            raise ValueError(f"load_state_dict: milestones must be a dict of epochs and counts, got {state['milestones']!r}")

    def _take_state(self, state: dict[str, Any]) -> None:
        super()._take_state(state)
        self.milestones = Counter(state["milestones"])


class ConstantLR(Decay):
    """lr(t) = initial_lr * factor for t < total_iters, initial_lr from then on. factor in [0, 1]; total_iters: whole, >= 0."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor = real(self._name, "factor", factor, "in [0, 1]", lambda f: 0 <= f <= 1)
        self.total_iters = whole(self._name, "total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.factor == 0 and self.last_epoch == self.total_iters > 0:
            return list(self.base_lrs)      # no number brings back a rate that was multiplied by 0
        return super().get_lr()

    def _ratio(self) -> float:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else 1.0

    def _factor(self) -> float:
        return self.factor if self.last_epoch < self.total_iters else 1.0


class LinearLR(Decay):
    """lr(t) = initial_lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters).

    The usual warm-up (Goyal et al. 2017). start_factor in (0, 1]; end_factor in [0, 1]; total_iters: whole, >= 0.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = real(self._name, "start_factor", start_factor, "in (0, 1]", lambda f: 0 < f <= 1)
        self.end_factor = real(self._name, "end_factor", end_factor, "in [0, 1]", lambda f: 0 <= f <= 1)
        self.total_iters = whole(self._name, "total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def _ratio(self) -> float:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        slope = self.end_factor - self.start_factor
        # Rounding may take the last step to an end_factor of 0 just below it.
        return max(0.0, 1.0 + slope / (self.total_iters * self.start_factor + (self.last_epoch - 1) * slope))

    def _factor(self) -> float:
        done = min(self.last_epoch / self.total_iters, 1.0) if self.total_iters else 1.0
        return self.start_factor + (self.end_factor - self.start_factor) * done


class ExponentialLR(Decay):
    """lr(t) = initial_lr * gamma^t. gamma >= 0."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = real(self._name, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _ratio(self) -> float:
        return 1.0 if self._is_initial else self.gamma

    def _factor(self) -> float:
        return self.gamma ** self.last_epoch


class PolynomialLR(Decay):
    """lr(t) = initial_lr * (1 - min(t, total_iters) / total_iters)^power, the "poly" policy (Chen et al. 2018, DeepLab).

    total_iters: whole, >= 0. power >= 0.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = whole(self._name, "total_iters", total_iters, 0)
        self.power = real(self._name, "power", power)
        super().__init__(optimizer, last_epoch)

    def _ratio(self) -> float:
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        left, before = 1.0 - self.last_epoch / self.total_iters, 1.0 - (self.last_epoch - 1) / self.total_iters
        return (left / before) ** self.power

    def _factor(self) -> float:
        done = min(self.last_epoch / self.total_iters, 1.0) if self.total_iters else 0.0
        return (1.0 - done) ** self.power
