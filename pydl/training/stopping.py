"""Watching one column of the history: what is better, and when to stop."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, Literal

from pydl.tensor import Tensor
from pydl.training.callbacks import Callback
from pydl.training.history import Row, is_number

if TYPE_CHECKING:
    from pydl.training.trainer import Trainer

Mode = Literal["min", "max"] | None


def count(caller: str, name: str, value: Any, least: int = 1) -> int:
    """value as an int, not below `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{caller}: {name}: expected an int, got {type(value).__name__}") from None
    if isinstance(value, bool):
        raise TypeError(f"{caller}: {name}: expected an int, got a bool")
    if number < least:
        raise ValueError(f"{caller}: {name}: expected {least} or more, got {number}")
    return number


def monitored(caller: str, row: Row, monitor: str | None) -> float:
    """The number of a row that is watched; by default val_loss where there is validation data, else loss."""
    name = ("val_loss" if "val_loss" in row else "loss") if monitor is None else monitor
    if name not in row:
        raise ValueError(f"{caller}: monitor: there is no {name!r}, only {', '.join(row)}")
    if not is_number(row[name]):
        raise TypeError(f"{caller}: monitor: expected a number, but {name} is a {type(row[name]).__name__}")
    return float(row[name])


class Best:
    """The best value of a column so far. NaN is never better."""

    def __init__(self, caller: str, monitor: str | None, mode: Mode, min_delta: float = 0.0) -> None:
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"{caller}: monitor: expected a name, got {type(monitor).__name__}")
        if mode not in ("min", "max", None):
            raise ValueError(f"{caller}: mode: expected 'min' or 'max', got {mode!r}")
        if mode is None and monitor is not None and not monitor.endswith("loss"):
            raise ValueError(f"{caller}: mode: is a larger {monitor!r} better ('max') or a smaller one ('min')?")
        if not isinstance(min_delta, (int, float)) or not 0 <= min_delta < math.inf:
            raise ValueError(f"{caller}: min_delta: expected a number of 0 or more, got {min_delta!r}")
        self.caller, self.monitor, self.sign, self.min_delta = caller, monitor, -1 if mode == "max" else 1, min_delta
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.epoch = 0

    def check(self, trainer: Trainer) -> None:
        """ValueError where a column is watched that there cannot be."""
        if self.monitor is not None and self.monitor.startswith("val_") and not trainer.validates:
            raise ValueError(f"{self.caller}: monitor {self.monitor!r} needs validation data; pass it to fit")

    def improved(self, row: Row) -> bool:
        """Takes in an epoch. -> whether it is the best so far."""
        value = monitored(self.caller, row, self.monitor)
        if math.isnan(value) or (self.value is not None and not self.sign * value < self.sign * self.value - self.min_delta):
            return False
        self.value, self.epoch = value, row["epoch"]
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.value, "best_epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        value, epoch = state.get("best"), state.get("best_epoch")
        if not (value is None or is_number(value)) or type(epoch) is not int:
            raise ValueError(f"{self.caller}: expected the best value and its epoch, got {value!r} and {epoch!r}")
        self.value, self.epoch = value, epoch


class EarlyStopping(Callback):
    """Stops when `patience` epochs in a row have brought nothing better than the best before them, by more than min_delta.

    monitor: a column of the history (default: val_loss with validation data, else loss); mode: whether smaller ("min", the
    default for losses) or larger values ("max") are better. restore_best: at the end, also of an interrupted run, the model
    gets the weights of the best epoch back. The attributes best, best_epoch and wait say where it stands.
    """

    def __init__(self, monitor: str | None = None, patience: int = 10, *, mode: Mode = None, min_delta: float = 0.0,
                 restore_best: bool = True) -> None:
        self.tracked = Best("EarlyStopping", monitor, mode, min_delta)
        self.patience, self.restore_best = count("EarlyStopping", "patience", patience), bool(restore_best)
        self.reset()

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self.tracked.value

    @property
    def best_epoch(self) -> int:
        """Its epoch, from 1; 0 before there is one."""
        return self.tracked.epoch

    def reset(self) -> None:
        self.tracked.reset()
        self.wait = 0
        self.weights: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        return {**self.tracked.state_dict(), "wait": self.wait, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        wait, weights = state_dict.get("wait"), state_dict.get("weights")
        if type(wait) is not int or not (weights is None or isinstance(weights, dict)):
            raise ValueError(f"EarlyStopping: expected a count and weights, got {wait!r} and {type(weights).__name__}")
        self.tracked.load_state_dict(state_dict)
        self.wait, self.weights = wait, weights

    def on_fit_begin(self, trainer: Trainer) -> None:
        self.tracked.check(trainer)
        self.stop_if_due(trainer)       # a run that had stopped, resumed

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        if self.tracked.improved(row):
            self.wait = 0
            if self.restore_best:
                self.weights = {name: value.clone() if isinstance(value, Tensor) else value
                                for name, value in trainer.model.state_dict().items()}
        else:
            self.wait += 1
            self.stop_if_due(trainer)

    def stop_if_due(self, trainer: Trainer) -> None:
        if self.wait >= self.patience:
            best = "nothing but NaN" if self.best is None else f"the best is {self.best:.6g} of epoch {self.best_epoch}"
            trainer.stop(f"no improvement for {self.wait} epochs; {best}")

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.weights is not None and trainer.status != "failed":
            trainer.model.load_state_dict(self.weights)
        self.weights = None
