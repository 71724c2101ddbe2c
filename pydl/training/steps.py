"""Calls of one function on batch after batch, captured where that changes nothing but the time."""

from __future__ import annotations

import functools
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydl.autograd import has_hooks, is_capturing
from pydl.nn import Module
from pydl.nn.hooks import EVERYWHERE
from pydl.plans import PLAIN, Captured
from pydl.tensor import Tensor

if TYPE_CHECKING:
    from pydl.training.trainer import Trainer

COST = 0.003        # seconds that a recording takes, as long as none was measured; most of it goes through all objects of the program
WORTH = 4           # ... and so many times that long, calls must have taken before kinds are told apart, then those of a kind before one is
                    # recorded
VAIN, REST = 3, 10  # so many times longer there may be no replay before kinds are no longer told apart, and then they are not
SLOW = 0.02         # seconds; where a call takes longer, Python's share is small, and a plan would hold much memory
PLANS = 4           # shapes of which plans are held
KINDS = 64          # ... and timed
TENSOR = "tensor"


class Steps:
    """Calls functions of a batch, a structure of tensors, for one Trainer in one run. What it captures are calls of the same kind
    (shapes, types, modes) that come again and again and are short; everything else runs as it is.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.functions: dict[Any, Repeated] = {}
        self.left: dict[Any, float] = {}    # function -> seconds before it is looked at more closely; below 0: since the last replay
        self.recordings = self.replays = 0
        self.cost = COST
        self.lent = False               # whether the last result lies in a plan's memory, where the next call writes
        self.gradients_lent = False

    def __call__(self, function: Callable[..., Any], options: tuple[Any, ...], value: Any, eager: bool = False) -> Any:
        """function(value, *options)."""
        self.lent = False
        if eager or self.trainer.capture is False or is_capturing():
            return function(value, *options)
        left = self.left.get(function, WORTH * self.cost)
        if left > 0:
            start = time.perf_counter()
            result = function(value, *options)
            self.left[function] = left - (time.perf_counter() - start)
            return result
        leaves: list[Tensor] = []
        repeated = self.repeated(function, options, form_of(value, leaves))
        if repeated is None:
            self.rest(function)
        if repeated is None or repeated.why_eager is not None:
            return function(value, *options)
        self.lent = True
        result = repeated(*leaves)
        if self.lent:
            self.replays += 1
            self.left[function] = 0.0
        return result

    def repeated(self, function: Callable[..., Any], options: tuple[Any, ...], form: Any) -> Repeated | None:
        """What calls the function for values of that form; None where that is not for plans."""
        key = function, options, form
        found = self.functions.get(key)
        if found is None and form is not None and len(self.functions) < KINDS and self.may_repeat():
            found = self.functions[key] = Repeated(lambda *own: function(filled(form, iter(own)), *options), function, self)
        return found

    def may_repeat(self) -> bool:
        return self.trainer.capture is True or repeats_itself(self.trainer)

    def missed(self, function: Callable[..., Any], seconds: float) -> None:
        """A call ran eagerly, after it was looked at."""
        left = self.left.get(function, 0.0) - seconds
        self.left[function] = left
        if left < -VAIN * WORTH * self.cost:
            self.rest(function)

    def rest(self, function: Callable[..., Any]) -> None:
        self.left[function] = REST * WORTH * self.cost

    def kept(self, value: Any) -> Any:
        """A part of the last result, to be kept."""
        return copied(value) if self.lent else value

    def give_gradients(self) -> None:
        """The gradients in memory of their own: somebody might keep them."""
        if self.gradients_lent:
            self.gradients_lent = False
            for p in {*self.trainer.model.parameters(), *(p for group in self.trainer.optimizer.param_groups for p in group["params"])}:
                if p.grad is not None:
                    p.grad = p.grad.clone()

    def forget(self) -> None:
        """Drops all plans and their memory."""
        self.functions.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> Steps:
        from copy import deepcopy
        return Steps(deepcopy(self.trainer, memo))


@contextmanager
def forgotten(steps: Steps) -> Iterator[Steps]:
    """Steps whose plans are dropped at the end."""
    try:
        yield steps
    finally:
        steps.forget()


class Repeated(Captured):
    """One function, for one structure of what it is given."""

    def __init__(self, function: Callable[..., Any], inner: Callable[..., Any], steps: Steps) -> None:
        super().__init__(function, "eager", PLANS)
        self.inner, self.steps = inner, steps
        self.seen: dict[Any, tuple[float, float]] = {}      # kind -> seconds of all calls without a plan, and of the fastest

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: tuple[Tensor, ...], key: Any) -> Any:
        """A call for which there is no plan."""
        steps, start = self.steps, time.perf_counter()
        spent, fastest = self.seen.pop(key, (0.0, math.inf))
        if spent >= WORTH * steps.cost and fastest < SLOW:
            if steps.may_repeat():
                steps.recordings += 1
                result = super()._record(args, kwargs, tensors, key)
                steps.cost = time.perf_counter() - start
                return result
            steps.rest(self.inner)
        if len(self.seen) >= KINDS:
            self.seen.clear()
        steps.lent = False
        result = self.function(*args)
        if not spent and not renewable(result):
            return self._give_up("it returns something else than tensors in tuples, lists and dicts", result)
        seconds = time.perf_counter() - start
        self.seen[key] = spent + seconds, min(fastest, seconds)
        steps.missed(self.inner, seconds)
        return result

    def _give_up(self, why: str, result: Any) -> Any:
        self.why_eager = why
        trainer = self.steps.trainer
        if trainer.capture is True and trainer.why_eager is None:
            warnings.warn(f"Trainer: capture=True, but runs eagerly: {why}", stacklevel=2)
        trainer.why_eager = why
        return result


# What a batch consists of


def form_of(value: Any, leaves: list[Tensor]) -> Any:
    """The structure of tuples, dicts and None around the tensors, which are added to `leaves`; None where there is something else."""
    if isinstance(value, Tensor):
        leaves.append(value)
        return TENSOR
    if value is None:
        return ()
    names = None
    if type(value) is dict:
        names, value = tuple(value), value.values()
    elif type(value) is not tuple:
        return None
    forms = tuple([form_of(one, leaves) for one in value])
    return None if None in forms else (names, forms)


def filled(form: Any, leaves: Iterator[Tensor]) -> Any:
    """What had that form, with these tensors."""
    if form == TENSOR:
        return next(leaves)
    if form == ():
        return None
    names, forms = form
    parts = [filled(one, leaves) for one in forms]
    return tuple(parts) if names is None else dict(zip(names, parts, strict=True))


def renewable(value: Any) -> bool:
    """Whether capture() returns the like of it: what it is not sure to make anew of the same type is left alone."""
    if isinstance(value, (Tensor, *PLAIN)):
        return True
    if type(value) is dict:
        return all(map(renewable, value.values()))
    return (type(value) in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields"))) and all(map(renewable, value))


def copied(value: Any) -> Any:
    """The same, in memory of its own."""
    return changed(value, Tensor.clone)


def detached(value: Any) -> Any:
    """The same, outside of every graph."""
    return changed(value, Tensor.detach)


def changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {name: changed(one, change) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [changed(one, change) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


# What runs at every call


def repeats_itself(trainer: Trainer) -> bool:
    """Whether the model and the loss are pydl's own in all their parts, without hooks: of other Python code nobody knows whether it does
    the same at every call."""
    modules, loss = list(trainer.model.modules()), trainer.loss
    if isinstance(loss, Module):
        modules += loss.modules()
    elif not known_function(loss):
        return False
    return all(map(known_module, modules)) and not any(map(has_hooks, trainer.model.parameters()))


def known_module(module: Module) -> bool:
    return (known(module) and of_pydl(type(module).forward)
            and (module._hooks is None or not any(module._hooks.lists.values()) and not any(EVERYWHERE.lists.values())))


def known(value: Any) -> bool:
    """Whether an object is of pydl's own classes and holds no function of others."""
    return value is None or (all(map(of_pydl, type(value).__mro__[:-1]))
                             and not any(map(strange, getattr(value, "__dict__", {}).values())))


def known_function(function: Any) -> bool:
    while isinstance(function, functools.partial):
        if any(map(strange, (*function.args, *function.keywords.values()))):
            return False
        function = function.func
    return of_pydl(function)


def strange(value: Any) -> bool:
    """Whether it is a function that is not pydl's."""
    return callable(value) and not isinstance(value, (Module, Tensor)) and not of_pydl(value)


def of_pydl(value: Any) -> bool:
    return str(getattr(value, "__module__", None)).partition(".")[0] == "pydl"
