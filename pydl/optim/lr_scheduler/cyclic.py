"""Rates that go up and down while the momentum goes down and up; to be stepped after every batch."""
import math
from collections.abc import Callable
from typing import Any, Literal

from pydl.optim.lr_scheduler.base import LRScheduler, cosine, plain, put
from pydl.optim.lr_scheduler.checks import optimizer_of, per_group, real, whole
from pydl.optim.lr_scheduler.functional import saved_callable
from pydl.optim.optimizer import Group, Optimizer

Numbers = float | list[float]


class CycledMomentum(LRScheduler):
    """A schedule that, with cycle_momentum, also sets momentum, or the first of betas, of every group."""

    cycle_momentum: bool
    use_beta1: bool

    def _momentum_range(self, optimizer: Optimizer, base: Numbers, most: Numbers) -> tuple[list[float], list[float]]:
        """base_momentum and max_momentum of every group; says whether it is momentum or betas that cycles."""
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(f"{self._name}: cycle_momentum needs an optimizer with momentum or betas, got {type(optimizer).__name__}; "
                             "use cycle_momentum=False")
        self.use_beta1 = "betas" in optimizer.defaults
        expected = "in [0, 1)" if self.use_beta1 else ">= 0"
        limit = 1.0 if self.use_beta1 else math.inf
        return (per_group(self._name, "base_momentum", optimizer, base, expected, lambda m: 0 <= m < limit),
                per_group(self._name, "max_momentum", optimizer, most, expected, lambda m: 0 <= m < limit))

    def _begin_momentum(self, bases: list[float], mosts: list[float]) -> None:
        for group, base, most in zip(self.optimizer.param_groups, bases, mosts, strict=True):
            self._put_momentum(group, most)
            group["max_momentum"], group["base_momentum"] = most, base

    def _put_momentum(self, group: Group, momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def _momentums(self) -> list[float]:
        """The momentum of each group at last_epoch."""
        raise NotImplementedError

    def _write(self, rates: list[float]) -> None:
        momentums = self._momentums() if self.cycle_momentum else []
        for momentum in momentums:
            real(self._name, f"momentum at epoch {self.last_epoch}", momentum)
        super()._write(rates)
        for group, momentum in zip(self.optimizer.param_groups, momentums):
            self._put_momentum(group, momentum)


class CyclicLR(CycledMomentum):
    """lr = base_lr + (max_lr - base_lr) * height * scale (Smith 2017), height rising from 0 to 1 and falling back in every cycle.

    scale: 1 (triangular), 2^(1 - cycle) with cycles counted from 1 (triangular2), gamma^t (exp_range), or scale_fn of cycle or t,
    as scale_mode says. A cycle is step_size_up batches up and step_size_down, or as many, down.
    With cycle_momentum, momentum (or betas[0]) = max_momentum - (max_momentum - base_momentum) * height * scale.
    base_lr, max_lr, base_momentum, max_momentum: a number, or one for each parameter group. A scale_fn that is a function is not
    saved; the same must be given when a state is loaded.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Numbers,
        max_lr: Numbers,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.8,
        max_momentum: Numbers = 0.9,
        last_epoch: int = -1,
    ) -> None:
        op = self._name
        self.optimizer, last_epoch = optimizer, optimizer_of(op, optimizer, last_epoch)
        base_lrs = per_group(op, "base_lr", optimizer, base_lr)
        self.max_lrs = per_group(op, "max_lr", optimizer, max_lr)
        up = real(op, "step_size_up", step_size_up, "> 0", lambda size: size > 0)
        down = up if step_size_down is None else real(op, "step_size_down", step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"{op}: mode must be 'triangular', 'triangular2' or 'exp_range', or scale_fn be given, got {mode!r}")
        if scale_fn is not None and not callable(scale_fn):
            raise TypeError(f"{op}: scale_fn must be a function, got {scale_fn!r}")
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"{op}: scale_mode must be 'cycle' or 'iterations', got {scale_mode!r}")
        self.mode = mode
        self.gamma = real(op, "gamma", gamma)
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._momentum_range(optimizer, base_momentum, max_momentum)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                put(group, rate)
            if cycle_momentum:
                self._begin_momentum(self.base_momentums, self.max_momentums)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """What the height of a cycle is multiplied with; x counts cycles or batches, as scale_mode says."""
        if self._scale_fn_custom is not None:
            return real(self._name, f"scale_fn({x})", self._scale_fn_custom(x), "of any sign", lambda scale: True)
        if self.mode == "triangular":
            return 1.0
        return 1 / 2.0 ** (x - 1) if self.mode == "triangular2" else self.gamma ** x

    def _height(self) -> float:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        return height * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        height = self._height()
        return [base + (most - base) * height for base, most in zip(self.base_lrs, self.max_lrs, strict=True)]

    def _momentums(self) -> list[float]:
        height = self._height()
        return [most - (most - base) * height for base, most in zip(self.base_momentums, self.max_momentums, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_scale_fn_custom": saved_callable(self._scale_fn_custom)}

    def _check_state(self, state: dict[str, Any]) -> None:
        super()._check_state(state)
        own = state["_scale_fn_custom"]
        if own is not None and (not isinstance(own, dict) or saved_callable(self._scale_fn_custom) is None):
            raise ValueError("load_state_dict: attributes of a callable object were saved for scale_fn, "
                             f"but it is {self._scale_fn_custom!r} now, which has none")

    def _take_state(self, state: dict[str, Any]) -> None:
        super()._take_state({key: value for key, value in state.items() if key != "_scale_fn_custom"})
        if state["_scale_fn_custom"]:
            vars(self._scale_fn_custom).update(plain(state["_scale_fn_custom"]))


class OneCycleLR(CycledMomentum):
    """One rise from max_lr / div_factor to max_lr in the first pct_start of all steps, then one fall to
    max_lr / div_factor / final_div_factor (Smith & Topin 2019, super-convergence).

    The steps are total_steps, or epochs * steps_per_epoch. Each way is half a cosine, or linear. three_phase falls to the first rate
    in as many steps as it rose, and to the last in the rest. With cycle_momentum, momentum (or betas[0]) goes from max_momentum to
    base_momentum and back. max_lr, base_momentum, max_momentum: a number, or one for each parameter group.

    The step after the last, which the usual loop takes, keeps the last rate; PyTorch continues the curve there, below 0 where it is
    linear. More raise ValueError.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Numbers,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.85,
        max_momentum: Numbers = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        op = self._name
        needs = ("initial_lr", "max_lr", "min_lr", *(("base_momentum", "max_momentum") if cycle_momentum else ()))
        self.optimizer, last_epoch = optimizer, optimizer_of(op, optimizer, last_epoch, needs)
        if total_steps is not None:
            self.total_steps = whole(op, "total_steps", total_steps, 1)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = whole(op, "epochs", epochs, 1) * whole(op, "steps_per_epoch", steps_per_epoch, 1)
        else:
            raise ValueError(f"{op}: expected total_steps, or epochs and steps_per_epoch, got total_steps={total_steps}, "
                             f"epochs={epochs}, steps_per_epoch={steps_per_epoch}")
        pct_start = real(op, "pct_start", pct_start, "in [0, 1]", lambda share: 0 <= share <= 1)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"{op}: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        max_lrs = per_group(op, "max_lr", optimizer, max_lr)
        first = real(op, "div_factor", div_factor, "> 0", lambda factor: factor > 0)
        last = real(op, "final_div_factor", final_div_factor, "> 0", lambda factor: factor > 0)
        self._schedule_phases = phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum = cycle_momentum
        momentums = self._momentum_range(optimizer, base_momentum, max_momentum) if cycle_momentum else None
        if last_epoch == -1:
            for group, most in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"], group["max_lr"], group["min_lr"] = most / first, most, most / first / last
            if momentums is not None:
                self._begin_momentum(*momentums)
        super().__init__(optimizer, last_epoch)

    def _phase(self) -> tuple[dict[str, Any], float]:
        """The phase that last_epoch lies in, and which part of it has passed."""
        step, ways, index = self.last_epoch, self._schedule_phases, 0
        if step > self.total_steps:
            raise ValueError(f"{self._name}: step {step} of a schedule of total_steps {self.total_steps}")
        while index < len(ways) - 1 and step > ways[index]["end_step"]:
            index += 1
        start = ways[index - 1]["end_step"] if index else 0.0
        length = ways[index]["end_step"] - start
        return ways[index], min((step - start) / length, 1.0) if length > 0 else 1.0

    def _annealed(self, name: str) -> list[float]:
        """The value of each group at last_epoch between those that the phase begins and ends with."""
        phase, part = self._phase()
        fallen = 1.0 - part if self._anneal_func_type == "linear" else cosine(part)
        return [group[phase[f"end_{name}"]] + (group[phase[f"start_{name}"]] - group[phase[f"end_{name}"]]) * fallen
                for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        return self._annealed("lr")

    def _momentums(self) -> list[float]:
        return self._annealed("momentum")


def phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and between which values of a parameter group it goes."""
    risen = float(pct_start * total_steps) - 1
    fallen = float(2 * pct_start * total_steps) - 2
    ways = [(risen, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if three_phase:
        ways += [(fallen, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                 (total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
    else:
        ways += [(total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    return [dict(zip(names, way, strict=True)) for way in ways]
