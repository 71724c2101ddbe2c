"""What may look on, and take a hand, while a model trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pydl.training.history import Row
from pydl.training.steps import known

if TYPE_CHECKING:
    from pydl.training.trainer import Trainer

HOOKS = ("on_fit_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end", "on_interrupt", "on_fit_end")
DECIDES, LOGS, SAVES = 0, 1, 2          # the order of callbacks of different kinds


class Callback:
    """Base class: a subclass defines the hooks that it needs. Between hooks the model and the optimizer are consistent.

    Every hook gets the Trainer, with its model, optimizer, history, epoch (how many are done), batch (loader's batches done in
    this epoch), step (optimizer steps done), last_loss and stop(reason). A hook that raises ends the run; the model is then
    as its last step left it. Callbacks run in the order given, but those that decide come before those that log, and those
    before the ones that save (`order`), so that a checkpoint holds what the others made of the same epoch.

    One with a memory that a resumed run needs defines reset, state_dict (plain data and tensors) and load_state_dict.
    """

    order = DECIDES

    def reset(self) -> None:
        """A new run begins, or a checkpoint is about to be loaded: forget the last one."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what state_dict gave. Raises ValueError where it is something else."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first epoch, after a checkpoint was loaded."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Before the batches of an epoch; also where a run resumes in the middle of one (trainer.batch > 0)."""

    def on_batch_begin(self, trainer: Trainer) -> None:
        """Before a step: one batch, or `accumulate` of them."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """After a step; the gradients are still there."""

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """After an epoch and its validation. row: its line of the history, to which numbers may be added."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """A Ctrl-C has stopped the run between two steps; on_fit_end follows."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """At the end, whatever it was: trainer.status is "finished", "stopped", "interrupted" or "failed"."""


class LambdaCallback(Callback):
    """Functions as hooks: LambdaCallback(on_epoch_end=lambda trainer, row: print(row))."""

    def __init__(self, **hooks: Callable[..., object]) -> None:
        for name, hook in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: there is no hook {name!r}; there are {', '.join(HOOKS)}")
            if not callable(hook):
                raise TypeError(f"LambdaCallback: {name}: expected a function, got {type(hook).__name__}")
            setattr(self, name, hook)


class Callbacks:
    """All callbacks of a trainer. A hook that nobody defines costs nothing."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
            raise TypeError(f"Trainer: callbacks: expected a list of Callbacks, got {type(callbacks).__name__}")
        self.all = list(callbacks)
        for i, one in enumerate(self.all):
            if not isinstance(one, Callback):
                raise TypeError(f"Trainer: callbacks[{i}]: expected a Callback, got {type(one).__name__}; "
                                "LambdaCallback makes one of functions")
        self.all.sort(key=lambda one: one.order)
        self.hooks = {name: [getattr(one, name) for one in self.all if overridden(one, name)] for name in HOOKS}
        self.strange = {name for name in HOOKS if any(overridden(one, name) and not is_own(one) for one in self.all)}

    def call(self, hook: str, trainer: Trainer, *arguments: Any) -> None:
        if hook in self.strange and trainer._run is not None:
            trainer._run.steps.give_gradients()
        for function in self.hooks[hook]:
            function(trainer, *arguments)

    def end(self, trainer: Trainer) -> None:
        """on_fit_end of all of them, even if one raises; then the first error, with the others as notes."""
        errors = []
        for function in self.hooks["on_fit_end"]:
            try:
                function(trainer)
            except Exception as error:
                errors.append(error)
        for other in errors[1:]:
            errors[0].add_note(f"(on_fit_end of another callback raised {type(other).__name__}: {other})")
        if errors:
            raise errors[0]


def is_own(callback: Callback) -> bool:
    """Whether it is one of pydl's, which do not look at gradients."""
    return known(callback)


def overridden(callback: Callback, name: str) -> bool:
    return getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name)
