"""Schedules made of schedules: one after another, or all at once."""
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from pydl.optim.lr_scheduler.base import LRScheduler, put
from pydl.optim.lr_scheduler.checks import optimizer_of, whole
from pydl.optim.lr_scheduler.plateau import ReduceLROnPlateau
from pydl.optim.optimizer import Optimizer


class Composed(LRScheduler):
    """A schedule made of others, which are of the same optimizer. Its state holds theirs."""

    _schedulers: list[LRScheduler]

    def _members(self, schedulers: Any, optimizer: Any) -> list[LRScheduler]:
        """The schedules as a list, each checked; optimizer None: that of the first."""
        if not isinstance(schedulers, Sequence):
            raise TypeError(f"{self._name}: schedulers must be a list of schedules, got {type(schedulers).__name__}")
        members = list(schedulers)
        if not members:
            raise ValueError(f"{self._name}: expected at least one schedule, got none")
        for number, one in enumerate(members):
            if not isinstance(one, LRScheduler):
                raise TypeError(f"{self._name}: schedulers[{number}] must be an LRScheduler, got {type(one).__name__}")
            if isinstance(one, ReduceLROnPlateau):
                raise ValueError(f"{self._name}: schedulers[{number}] is a ReduceLROnPlateau, whose step needs a metric; "
                                 "step it beside this schedule")
            if one.optimizer is not (members[0].optimizer if optimizer is None else optimizer):
                raise ValueError(f"{self._name}: schedulers[{number}] ({type(one).__name__}) belongs to another optimizer")
        return members

    def _begin(self) -> None:
        self._reset_rates()
        self._initial_step()

    def _reset_rates(self) -> None:
        for group in self.optimizer.param_groups:
            put(group, group["initial_lr"])

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [one.state_dict() for one in self._schedulers]}

    def _check_state(self, state: dict[str, Any]) -> None:
        super()._check_state(state)
        saved = state["_schedulers"]
        if not isinstance(saved, list) or len(saved) != len(self._schedulers):
            raise ValueError(f"load_state_dict: _schedulers must be the states of {len(self._schedulers)} schedules, got "
                             f"{len(saved) if isinstance(saved, list) else saved!r}")
        for one, own in zip(self._schedulers, saved, strict=True):
            one._check_state(own)

    def _take_state(self, state: dict[str, Any]) -> None:
        super()._take_state({key: value for key, value in state.items() if key != "_schedulers"})
        for one, own in zip(self._schedulers, state["_schedulers"], strict=True):
            one._take_state(own)


class SequentialLR(Composed):
    """schedulers[0] until the epoch milestones[0], then schedulers[1] from its epoch 0 until milestones[1], and so on.

    Resets the rates to the initial ones when it is made. milestones: whole, >= 0, not falling; one fewer than schedulers.
    """

    def __init__(self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1) -> None:
        last_epoch = optimizer_of(self._name, optimizer, last_epoch)
        members = self._members(schedulers, optimizer)
        ends = [whole(self._name, "a milestone", milestone, 0) for milestone in milestones]
        if len(ends) != len(members) - 1:
            raise ValueError(f"{self._name}: {len(members)} schedules need {len(members) - 1} milestones between them, got {len(ends)}")
        if ends != sorted(ends):
            raise ValueError(f"{self._name}: milestones must not fall, got {ends}")
        self.optimizer = optimizer
        self._schedulers, self._milestones = members, ends
        self.last_epoch = last_epoch
        for member in members:
            member._undo()
        self._reset_rates()
        self._initial_step()

    def _active(self, epoch: int) -> LRScheduler:
        return self._schedulers[bisect_right(self._milestones, epoch)]

    def _initial_step(self) -> None:
        first = self._active(0)
        first._initial_step()
        self.last_epoch += 1
        self._last_lr = first.get_last_lr()

    def _undo(self) -> None:
        super()._undo()
        self._active(0)._undo()     # the others wait already

    def step(self) -> None:  # type: ignore[override]
        """Sets the rates of the next epoch; to be called after optimizer.step()."""
        epoch = self.last_epoch + 1
        active = self._active(epoch)
        if epoch in self._milestones:
            active._begin()
        else:
            active.step()
        self.last_epoch = epoch
        self._last_lr = active.get_last_lr()


class ChainedScheduler(Composed):
    """Steps all schedules at every step, in their order: rates that each multiplies are multiplied by all."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if optimizer is not None:
            optimizer_of(self._name, optimizer)
        self._schedulers = self._members(schedulers, optimizer)
        self.optimizer = self._schedulers[0].optimizer
        self._last_lr = self._rates()

    def _initial_step(self) -> None:
        for one in self._schedulers:
            one._initial_step()
        self._last_lr = self._rates()

    def _undo(self) -> None:
        for one in self._schedulers:
            one._undo()

    def step(self) -> None:  # type: ignore[override]
        """Steps every schedule; to be called after optimizer.step()."""
        for one in self._schedulers:
            one.step()
        self._last_lr = self._rates()
