"""Schedules given by functions of the epoch."""
import types
from collections.abc import Callable, Sequence
from typing import Any

from pydl.optim.lr_scheduler.base import LRScheduler, plain
from pydl.optim.lr_scheduler.checks import optimizer_of, real
from pydl.optim.optimizer import Optimizer

Factor = Callable[[int], float]


def saved_callable(function: Any) -> dict[str, Any] | None:
    """The attributes of a callable object. A function has none to save: the program that loads makes it anew."""
    if isinstance(function, (types.FunctionType, types.MethodType, type)) or not hasattr(function, "__dict__"):
        return None
    return plain(vars(function))


class Lambdas(LRScheduler):
    """One function of the epoch for all parameter groups, or a list with one for each.

    state_dict() holds the attributes of a callable object but no function: the same functions must be given when it is loaded.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1) -> None:
        optimizer_of(self._name, optimizer)
        groups = len(optimizer.param_groups)
        self.lr_lambdas: list[Factor] = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups   # type: ignore[list-item]
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"{self._name}: lr_lambda must be a function or a list of {groups}, one for each parameter group, "
                             f"got {len(self.lr_lambdas)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"{self._name}: lr_lambda must be a function of the epoch, got {function!r}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "lr_lambdas": [saved_callable(function) for function in self.lr_lambdas]}

    def _check_state(self, state: dict[str, Any]) -> None:
        super()._check_state(state)
        saved = state["lr_lambdas"]
        if not isinstance(saved, list) or len(saved) != len(self.lr_lambdas):
            raise ValueError(f"load_state_dict: lr_lambdas must be a list of {len(self.lr_lambdas)}, got {saved!r}")
        for own, function in zip(saved, self.lr_lambdas, strict=True):
            if own is not None and not isinstance(own, dict):
                raise ValueError(f"load_state_dict: lr_lambdas must hold None or a dict of attributes, got {own!r}")
            if own and saved_callable(function) is None:
                raise ValueError(f"load_state_dict: attributes of a callable object were saved ({', '.join(own)}), but "
                                 f"lr_lambda is {function!r} now, which has none")

    def _take_state(self, state: dict[str, Any]) -> None:
        super()._take_state({key: value for key, value in state.items() if key != "lr_lambdas"})
        for own, function in zip(state["lr_lambdas"], self.lr_lambdas, strict=True):
            if own:
                vars(function).update(plain(own))

    def _factors(self) -> list[float]:
        return [real(self._name, f"lr_lambda({self.last_epoch}) of group {i}", function(self.last_epoch))
                for i, function in enumerate(self.lr_lambdas)]


class LambdaLR(Lambdas):
    """lr(t) = initial_lr * lr_lambda(t). lr_lambda: a function of the epoch, or one for each parameter group."""

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        return [rate * factor for rate, factor in zip(self.base_lrs, self._factors(), strict=True)]


class MultiplicativeLR(Lambdas):
    """lr(t) = lr(t - 1) * lr_lambda(t), from t = 1. lr_lambda: a function of the epoch, or one for each parameter group."""

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        if self._is_initial:
            return self._rates()
        return [rate * factor for rate, factor in zip(self._rates(), self._factors())]
