"""Saving a run and going on with it, bit by bit as if it had never stopped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydl.io import load_checkpoint, save_checkpoint
from pydl.random import Generator, default_generator
from pydl.tensor import Tensor
from pydl.training.callbacks import SAVES, Callback
from pydl.training.history import Path, Row
from pydl.training.stopping import Best, Mode, count

if TYPE_CHECKING:
    from pydl.training.loop import Run
    from pydl.training.trainer import Trainer

DEFAULT = "default"
VALIDATION = "validation."      # before the names of what its loader draws from
OTHER_DATA = "it is not the same data, or not the same batch_size"


class Checkpoint(Callback):
    """Saves the whole run every `every` epochs (interval="step": optimizer steps), and when a Ctrl-C stops it;
    fit(..., resume=path) goes on from there.

    path may hold {epoch} and {step}: then every file is kept, else the last one is replaced, whole or not at all. With monitor,
    a column of the history, or best=True (val_loss, or loss without validation), it saves only after an epoch that is the best so
    far; mode: "min" (the default for losses) or "max".
    """

    order = SAVES

    def __init__(self, path: Path, every: int = 1, *, interval: str = "epoch", monitor: str | None = None, best: bool = False,
                 mode: Mode = None, on_interrupt: bool = True) -> None:
        self.path = os.fsdecode(path)
        try:
            self.path.format(epoch=0, step=0)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(f"Checkpoint: path: expected no braces but {{epoch}} and {{step}}, got {self.path!r}") from error
        if interval not in ("epoch", "step"):
            raise ValueError(f"Checkpoint: interval: expected 'epoch' or 'step', got {interval!r}")
        self.best = Best("Checkpoint", monitor, mode) if best or monitor is not None else None
        if self.best is not None and interval == "step":
            raise ValueError("Checkpoint: interval: the best is known at the end of an epoch; use interval='epoch'")
        self.every, self.interval, self.when_interrupted = count("Checkpoint", "every", every), interval, bool(on_interrupt)

    def reset(self) -> None:
        if self.best is not None:
            self.best.reset()

    def state_dict(self) -> dict[str, Any]:
        return self.best.state_dict() if self.best is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self.best is not None:
            self.best.load_state_dict(state_dict)

    def on_fit_begin(self, trainer: Trainer) -> None:
        if self.best is not None:
            self.best.check(trainer)

    def on_batch_end(self, trainer: Trainer) -> None:
        if self.interval == "step" and trainer.step % self.every == 0:
            self.save(trainer)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        improved = self.best is None or self.best.improved(row)
        if self.interval == "epoch" and improved and trainer.epoch % self.every == 0:
            self.save(trainer)

    def on_interrupt(self, trainer: Trainer) -> None:
        if self.when_interrupted and self.best is None:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        trainer.save(self.path.format(epoch=trainer.epoch, step=trainer.step))


def generators_in(loader: Any, validation: Any, extra: Mapping[str, Generator]) -> dict[str, Generator]:
    """Name -> every generator that the run draws from, beside the default one: the loaders', their samplers', the user's."""
    found = dict(extra)
    for name, place in {**places_in(loader, ""), **places_in(validation, VALIDATION)}.items():
        own = getattr(place, "generator", None)
        if isinstance(own, Generator) and own is not default_generator and all(own is not other for other in found.values()):
            found[name] = own
    return found


def places_in(loader: Any, prefix: str) -> dict[str, Any]:
    """Name -> what may have a generator, in a loader; nothing where it is None."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    places = {"loader": loader, "sampler": getattr(loader, "sampler", None), "batch_sampler": batch_sampler,
              "batch_sampler.sampler": getattr(batch_sampler, "sampler", None)}
    return {prefix + name: place for name, place in places.items()}


def of_training(generators: Iterable[Any]) -> list[str]:
    """The names that a checkpoint and a run must share: validation data may be others, or none, after a resume."""
    return sorted(name for name in map(str, generators) if not name.startswith(VALIDATION))


def random_states(generators: Mapping[str, Generator]) -> dict[str, Tensor]:
    """Where every stream of random numbers stands."""
    return {DEFAULT: default_generator.get_state(), **{name: own.get_state() for name, own in generators.items()}}


def set_random_states(generators: Mapping[str, Generator], states: Mapping[str, Tensor]) -> None:
    default_generator.set_state(states[DEFAULT])
    for name, own in generators.items():
        own.set_state(states[name])


def save_run(path: Path, trainer: Trainer, run: Run) -> None:
    """Writes a checkpoint of a run between two steps."""
    middle = {"random": run.epoch_random, "means": run.means.state_dict(), "seconds": run.clock} if trainer.batch else None
    save_checkpoint(path, model=trainer.model, optimizer=trainer.optimizer, scheduler=trainer.scheduler, generator=run.generators,
                    step=trainer.step, extra={"trainer": {
                        "epoch": trainer.epoch,
                        "batch": trainer.batch,
                        "batches": run.length,
                        "scheduler": type(trainer.scheduler).__name__ if trainer.scheduler is not None else None,
                        "generators": list(run.generators),
                        "history": trainer.history.rows,
                        "middle": middle,
                        "callbacks": [{"class": type(one).__name__, "state": state} for one in trainer.callbacks.all
                                      if (state := one.state_dict())],
                    }})


def resume_run(path: Path, trainer: Trainer, run: Run) -> None:
    """Puts everything into the state of a checkpoint. Raises ValueError, and has changed nothing but callbacks, where it does not fit."""
    content = load_checkpoint(path, random_state=False)
    try:
        state = checked(content.extra, content.step)
        check_fits(state, trainer, run)
        load_callbacks(state["callbacks"], trainer.callbacks.all)
        if state["middle"] is not None:
            run.means.load_state_dict(state["middle"]["means"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"fit: resume: {os.fsdecode(path)}: {error}") from error
    saved = {name: own for name, own in run.generators.items() if name in state["generators"]}
    load_checkpoint(path, model=trainer.model, optimizer=trainer.optimizer, scheduler=trainer.scheduler, generator=saved)
    trainer.epoch, trainer.batch, trainer.step = state["epoch"], state["batch"], content.step or 0
    trainer.history.rows[:] = state["history"]
    run.boundary = random_states(run.generators)
    if state["middle"] is not None:
        run.epoch_random, run.clock = {**run.boundary, **state["middle"]["random"]}, float(state["middle"]["seconds"])


def checked(extra: Any, step: Any) -> dict[str, Any]:
    """What save_run wrote, if it is that."""
    state = extra.get("trainer") if isinstance(extra, dict) else None
    if not isinstance(state, dict):
        raise ValueError("a checkpoint, but not of a Trainer: it does not say where the run stands; pydl.io.load_checkpoint loads it")
    numbers = [step, state.get("epoch"), state.get("batch")]
    if any(type(number) is not int or number < 0 for number in numbers) or not isinstance(state.get("batches"), (int, type(None))):
        raise ValueError(f"expected the counts of steps, epochs and batches, got {numbers} and {state.get('batches')!r}")
    for name, kind in (("history", list), ("callbacks", list), ("generators", list), ("middle", (dict, type(None)))):
        if not isinstance(state.get(name), kind):
            raise ValueError(f"{name}: unexpected {type(state.get(name)).__name__}")
    if not all(isinstance(row, dict) for row in state["history"]) or (state["batch"] > 0) != (state["middle"] is not None):
        raise ValueError("the history, or the middle of an epoch, is not what a Trainer writes")
    if state["middle"] is not None:
        check_middle(state["middle"])
    return state


def check_middle(middle: dict[str, Any]) -> None:
    states = middle.get("random")
    if not isinstance(states, dict) or not isinstance(middle.get("seconds"), float):
        raise ValueError("expected the random state and the time of an epoch that had begun")
    for own in states.values():
        Generator().set_state(own)


def check_fits(state: dict[str, Any], trainer: Trainer, run: Run) -> None:
    """ValueError where the checkpoint is of a run with other data or parts."""
    before, now = state["batches"], run.length
    if before is not None and now is not None and before != now:
        raise ValueError(f"the run had {before} batches an epoch, now there are {now}: {OTHER_DATA}")
    if now is not None and state["batch"] > now:
        raise ValueError(f"the run has done {state['batch']} batches of an epoch, but there are {now}: {OTHER_DATA}")
    had = state.get("scheduler")
    if had is not None and trainer.scheduler is None:
        raise ValueError(f"the run had a scheduler, {had}, and the Trainer has none")
    had_generators, generators = of_training(state["generators"]), of_training(run.generators)
    if had_generators != generators:
        raise ValueError(f"the run had generators of {', '.join(had_generators) or 'nothing'} beside the default one, now there are "
                         f"those of {', '.join(generators) or 'nothing'}")
    if state["middle"] is not None and state["middle"]["random"].keys() != {DEFAULT, *state["generators"]}:
        raise ValueError("the random state of its epoch does not fit its generators")


def load_callbacks(saved: list[Any], callbacks: list[Callback]) -> None:
    """Gives each callback the state of the one of the same class, the first to the first and so on. New ones begin anew."""
    waiting = list(callbacks)
    for own in saved:
        if not isinstance(own, dict) or not isinstance(own.get("state"), dict):
            raise ValueError("callbacks: expected a class and a state")
        found = next((one for one in waiting if type(one).__name__ == own.get("class")), None)
        if found is None:
            raise ValueError(f"the run had the callback {own.get('class')}, which the Trainer has not")
        waiting.remove(found)
        found.load_state_dict(own["state"])
