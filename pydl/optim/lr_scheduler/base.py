"""What all schedules share: counting epochs, writing the rates into the parameter groups, saving and loading."""
import math
import warnings
from typing import Any

from pydl.optim.lr_scheduler.checks import optimizer_of, real, whole
from pydl.optim.optimizer import Group, Optimizer
from pydl.tensor import Tensor

# Bookkeeping that a saved state may lack or have too much of: PyTorch's versions differ in it.
OPTIONAL = ("verbose", "_step_count", "_is_initial", "_get_lr_called_within_step")
PER_GROUP = ("base_lrs", "_last_lr", "max_lrs", "min_lrs", "base_momentums", "max_momentums")


class LRScheduler:
    """Base of all schedules: sets param_groups[i]["lr"] at every step().

    A subclass defines get_lr(), the rates at self.last_epoch, from self.base_lrs (what the rates were at first) or from the present
    rates of the groups; the latter chain: each schedule multiplies what others have left. It may also define _get_closed_form_lr(),
    the same from base_lrs alone, for a jump to an epoch.

    Constructing sets the rates of epoch 0. Where a checkpoint is restored, construct first and load the states of optimizer and
    schedule after that: exact for every schedule. last_epoch >= 0 instead goes on from the rates that the groups have, at epoch
    last_epoch + 1; as in PyTorch StepLR, MultiStepLR and ConstantLR then take a step that falls on that very epoch, others do not.

    A rate that is a Tensor is written in place; get_last_lr() gives floats.
    Raises TypeError for what is no Optimizer, ValueError where last_epoch >= 0 and the groups have no "initial_lr", and for a rate
    that is negative, infinite or NaN. A step that fails changes nothing.
    """

    optimizer: Optimizer
    last_epoch: int
    base_lrs: list[float]
    _last_lr: list[float]
    _step_count: int = 0
    _get_lr_called_within_step: bool = False
    _is_initial: bool = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        last_epoch = optimizer_of(self._name, optimizer, last_epoch)
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", float(group["lr"]))
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def get_lr(self) -> list[float]:
        """The rates at last_epoch, one a group; for step() to call. What holds now says get_last_lr()."""
        raise NotImplementedError(f"{self._name}: get_lr is not defined")

    def get_last_lr(self) -> list[float]:
        """The rates that the last step set, one a parameter group."""
        return list(self._last_lr)

    def step(self, epoch: int | None = None) -> None:
        """Sets the rates of the next epoch; to be called after optimizer.step().

        epoch is deprecated: it jumps to that epoch, by the closed form where there is one.
        """
        self._warn_of_order()
        if epoch is not None:
            self._warn_of_epoch()
            epoch = whole(self._name, "epoch", epoch, 0)
        before = self._step_count, self.last_epoch
        self._step_count += 1
        try:
            self._update_lr(epoch)
        except BaseException:
            self._step_count, self.last_epoch = before
            raise

    def _update_lr(self, epoch: int | None = None) -> None:
        closed = getattr(self, "_get_closed_form_lr", None)
        self._get_lr_called_within_step = True
        try:
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
            rates = self.get_lr() if epoch is None or closed is None else closed()
        finally:
            self._get_lr_called_within_step = False
        self._write(rates)

    def _write(self, rates: list[float]) -> None:
        """Puts the rates into the groups: all, or none if one of them is no rate."""
        groups = self.optimizer.param_groups
        if len(rates) != len(groups):
            raise ValueError(f"{self._name}: made for {len(rates)} parameter groups, but the optimizer has {len(groups)} now; "
                             "make a new schedule after add_param_group")
        rates = [real(self._name, f"learning rate of group {i} at epoch {self.last_epoch}", r) for i, r in enumerate(rates)]
        for group, rate in zip(groups, rates, strict=True):
            put(group, rate)
        self._last_lr = self._rates()

    def _rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _undo(self) -> None:
        """Back to before the initial step: a SequentialLR takes that step when this schedule's turn comes."""
        self.last_epoch -= 1

    def _begin(self) -> None:
        """This schedule's turn in a SequentialLR has come: its epoch 0."""
        self._update_lr(0)

    def state_dict(self) -> dict[str, Any]:
        """All that changes or was configured, as numbers, strings, lists and dicts: every attribute but the optimizer."""
        return {key: plain(value) for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a state_dict(); the optimizer's rates come with the optimizer's own state.

        Raises ValueError where it does not fit, or belongs to another kind of schedule; nothing has changed then.
        """
        self._check_state(state_dict)
        self._take_state(state_dict)

    def _check_state(self, state: dict[str, Any]) -> None:
        if not isinstance(state, dict):
            raise TypeError(f"load_state_dict: {self._name} expected a dict, got {type(state).__name__}")
        known = self.state_dict().keys()
        missing = sorted(known - state.keys() - set(OPTIONAL))
        if missing:
            raise ValueError(f"load_state_dict: the saved state has no {missing[0]!r}: it is not of {self._name}")
        for key in sorted(state.keys() - known - set(OPTIONAL)):
            # A user's own schedule may get attributes later than at construction; none may hide a method.
            hidden = getattr(type(self), key, None)
            if key == "optimizer" or callable(hidden) or isinstance(hidden, property) or type(self).__module__.startswith("pydl."):
                raise ValueError(f"load_state_dict: {key!r} is not state of {self._name}, which keeps {', '.join(sorted(known))}")
        if "last_epoch" in state and not isinstance(state["last_epoch"], int):
            raise ValueError(f"load_state_dict: last_epoch must be a whole number, got {state['last_epoch']!r}")
        groups = len(self.optimizer.param_groups)
        for key in (key for key in PER_GROUP if key in state):
            numbers = state[key]
            if not isinstance(numbers, list) or len(numbers) != groups:
                raise ValueError(f"load_state_dict: {key} must be a list of {groups} numbers, one a parameter group, got {numbers!r}")
            for number in numbers:
                real("load_state_dict", key, number)

    def _take_state(self, state: dict[str, Any]) -> None:
        vars(self).update((key, plain(value)) for key, value in state.items() if key != "verbose")

    def _warn_of_order(self) -> None:
        # An optimizer that overrides step() does not count its steps, so there is nothing to compare with.
        if self._step_count == 1 and type(self.optimizer).step is Optimizer.step and not self.optimizer._opt_called:
            warnings.warn("lr_scheduler.step() was called before optimizer.step(): the first rate of the schedule is skipped. "
                          "Call optimizer.step() first", UserWarning, stacklevel=3)

    def _warn_of_epoch(self) -> None:
        warnings.warn("the epoch argument of lr_scheduler.step() is deprecated; call step() without it", UserWarning, stacklevel=3)

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn("get_lr() computes a rate for step(); for the rates that hold now use get_last_lr()",
                          UserWarning, stacklevel=3)


def put(group: Group, rate: float) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def plain(value: Any) -> Any:
    """A copy of lists and dicts, so that what is saved does not change with the schedule, nor the other way round."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def cosine(fraction: float) -> float:
    """Half a cosine: 1 at fraction 0, 0 at 1."""
    return (1 + math.cos(math.pi * fraction)) / 2
