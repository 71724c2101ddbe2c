"""The loop itself: epochs, steps, validation. A step is done wholly or not at all, whenever a Ctrl-C comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydl.autograd import is_capturing, no_grad
from pydl.nn import Module
from pydl.nn.owned import modes_kept
from pydl.nn.utils import clip_grad_norm_, clip_grad_value_
from pydl.optim.lr_scheduler import ReduceLROnPlateau
from pydl.tensor import float64, tensor
from pydl.training.batches import Batch, batch_of, call, length_of
from pydl.training.checkpointing import generators_in, random_states, set_random_states
from pydl.training.interrupt import Interrupts
from pydl.training.objective import Averages, Objective
from pydl.training.steps import Steps, detached, known
from pydl.training.stopping import monitored

if TYPE_CHECKING:
    from pydl.training.trainer import Trainer


class Run:
    """One call of fit: its data, and what an epoch that has begun has come to."""

    def __init__(self, trainer: Trainer, loader: Iterable[Any], validation: Iterable[Any] | None, interrupts: Interrupts) -> None:
        self.loader, self.validation, self.interrupts = loader, validation, interrupts
        self.length = length_of(loader)
        self.generators = generators_in(loader, validation, trainer.generators)
        self.means = Averages(trainer.metrics if trainer.train_metrics else {})
        self.validated = Averages(trainer.metrics)
        self.steps = Steps(trainer)
        self.clock = 0.0                                    # seconds of training in this epoch
        self.boundary = random_states(self.generators)      # after the last step
        self.epoch_random = self.boundary                   # before the epoch's batches were put in order


def run_epochs(trainer: Trainer, run: Run, epochs: int) -> None:
    """Trains until `epochs` epochs are done, or something stops it. The model is in training mode."""
    while trainer.epoch < epochs and trainer.stopped is None:
        run.boundary = random_states(run.generators)
        with run.interrupts.opened:
            pass
        iterator = begin_epoch(trainer, run)
        while group := fetch(trainer, run, iterator):
            start = time.perf_counter()
            trainer.callbacks.call("on_batch_begin", trainer)
            take_step(trainer, run, group)
            run.clock += time.perf_counter() - start
            trainer.callbacks.call("on_batch_end", trainer)
            run.boundary = random_states(run.generators)
            if trainer.stopped is not None:
                return
        if not trainer.batch:
            raise ValueError("fit: the training data gave no batches"
                             + ("; an iterator is used up after one epoch, a DataLoader is not" if trainer.epoch else ""))
        with run.interrupts.opened:
            validated = validate(trainer, run)
        end_epoch(trainer, run, validated)


def begin_epoch(trainer: Trainer, run: Run) -> Iterator[Any]:
    """The batches of an epoch, or what is left of it where a run resumes: the order is drawn anew from the same numbers."""
    done = trainer.batch
    if not done:
        run.means.reset()
        run.clock = 0.0
    trainer.callbacks.call("on_epoch_begin", trainer)
    if done:
        set_random_states(run.generators, run.epoch_random)
    else:
        run.epoch_random = random_states(run.generators)
    with run.interrupts.opened:
        iterator = iter(run.loader)
        for number in range(done):
            if next(iterator, run) is run:
                raise ValueError(f"fit: resume: the run has done {done} batches of an epoch, but the data gave only {number}")
    if done:
        set_random_states(run.generators, run.boundary)
    return iterator


def fetch(trainer: Trainer, run: Run, iterator: Iterator[Any]) -> list[Batch]:
    """The batches of one step, none at the end of the epoch."""
    group: list[Batch] = []
    start = time.perf_counter()
    with run.interrupts.opened:
        for batch in iterator:
            group.append(batch_of("fit", batch, trainer.unpack))
            if len(group) == trainer.accumulate:
                break
    run.clock += time.perf_counter() - start
    return group


def take_step(trainer: Trainer, run: Run, group: list[Batch]) -> None:
    """One optimizer step on the gradient of the mean loss of all examples of the group. A batch that counts nothing has none."""
    optimizer, objective, loss_sum, lent = trainer.optimizer, trainer.objective, 0.0, True
    counts = [objective.share(batch) for batch in group]
    total = sum(counts)
    optimizer.zero_grad()
    for number, (batch, count) in enumerate(zip(group, counts, strict=True)):
        share = 1.0 if objective.summed or not count else count / total
        options = trainer, trainer.model, objective, bool(count), bool(run.means.metrics), not number
        parts = *parts_of(batch), None if share == 1 else tensor(share, dtype=float64)
        loss, output, needs_grad = run.steps(gradients, options, parts, eager=not lent)
        if not number:      # a plan adds to gradients where it found them, so they must lie at the same place in every step
            lent = run.steps.lent
        run.steps.gradients_lent |= run.steps.lent
        if count:
            value = loss.item()
            check_loss(trainer, value, needs_grad)
            loss_sum += value * (1 if objective.summed else count)
        run.means.update(run.steps.kept(output), batch.target)
    clip(trainer)
    if run.steps.gradients_lent and not (known(optimizer) and known(trainer.scheduler)):
        run.steps.give_gradients()      # code that is not pydl's may keep them
    run.interrupts.sealed = True
    try:
        optimizer.step()
        trainer.step += 1
        trainer.batch += len(group)
        trainer.last_loss = loss_sum / total if total else math.nan
        run.means.add(loss_sum, total)
        if trainer.scheduler is not None and trainer.scheduler_interval == "step":
            trainer.scheduler.step()
    finally:
        run.interrupts.sealed = False


def parts_of(batch: Batch) -> tuple[Any, ...]:
    """What Steps passes on of a batch: tensors alone, as numbers would be fixed in a plan."""
    return batch.inputs, batch.target, batch.weight, None if batch.weight is None else tensor(batch.size, dtype=float64)


def gradients(parts: tuple[Any, ...], trainer: Trainer, model: Module, objective: Objective, counts: bool, watched: bool,
              first: bool) -> tuple[Any, ...]:
    """The part of a step that may be captured: it looks at no values then, and changes no parameters.

    parts: those of a batch, and its share of the group's mean. counts: whether it has one; watched: by metrics; first: of the group.
    -> loss, output for the metrics, whether the loss depends on parameters.
    """
    batch, share = Batch(*parts[:4]), parts[4]
    output = call(model, batch.inputs)
    loss = objective(output, batch)
    needs_grad = loss.requires_grad
    if counts:
        if not is_capturing():
            check_loss(trainer, loss.item(), needs_grad)
        if needs_grad:
            (loss if share is None else loss * share.to(loss.dtype)).backward()
    return loss, detached(output) if watched else None, needs_grad


def check_loss(trainer: Trainer, number: float, needs_grad: bool) -> None:
    if trainer.check_finite and not math.isfinite(number):
        raise FloatingPointError(f"fit: the loss is {number} at step {trainer.step + 1}, in epoch {trainer.epoch + 1}; the parameters are "
                                 "those before that step. A smaller learning rate or max_grad_norm= may help; check_finite=False goes on")
    if not needs_grad:
        raise RuntimeError("fit: the loss does not depend on any parameter that requires a gradient")


def clip(trainer: Trainer) -> None:
    if trainer.clip_value is None and trainer.max_grad_norm is None:
        return
    parameters = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    if trainer.clip_value is not None:
        clip_grad_value_(parameters, trainer.clip_value)
    if trainer.max_grad_norm is not None:
        norm = clip_grad_norm_(parameters, trainer.max_grad_norm).item()
        if trainer.check_finite and not math.isfinite(norm):
            raise FloatingPointError(f"fit: the norm of the gradient is {norm} at step {trainer.step + 1}, in epoch {trainer.epoch + 1}; "
                                     "the parameters are those before that step")


def validate(trainer: Trainer, run: Run) -> dict[str, Any]:
    if run.validation is None:
        return {}
    found = measure(trainer, "fit: validation", run.validation, run.validated, run.steps)
    return {f"val_{name}": value for name, value in found.items()}


def end_epoch(trainer: Trainer, run: Run, validated: dict[str, Any]) -> None:
    """The epoch's row, the schedule, and what the callbacks make of it."""
    row = {"epoch": trainer.epoch + 1, "step": trainer.step, **run.means.results(), **validated, "lr": trainer.rate, "seconds": run.clock}
    scheduler = trainer.scheduler
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(monitored("fit: ReduceLROnPlateau", row, trainer.monitor))
    elif scheduler is not None and trainer.scheduler_interval == "epoch":
        scheduler.step()
    trainer.history.rows.append(row)
    trainer.epoch, trainer.batch = trainer.epoch + 1, 0
    trainer.callbacks.call("on_epoch_end", trainer, row)


def measure(trainer: Trainer, caller: str, loader: Iterable[Any], means: Averages, steps: Steps,
            step: Callable[[], object] | None = None) -> dict[str, Any]:
    """Mean loss and metrics of all batches, in evaluation mode, unrecorded."""
    means.reset()
    batches = 0
    with evaluating(trainer.model), no_grad():
        for given in loader:
            batches += 1
            batch = batch_of(caller, given, trainer.unpack)
            loss, output = steps(judged, (trainer.model, trainer.objective, bool(means.metrics)), parts_of(batch))
            number, count = loss.item(), trainer.objective.share(batch)
            if count:
                means.add(number * (1 if trainer.objective.summed else count), count)
            means.update(steps.kept(output), batch.target)
            if step is not None:
                step()
    if not batches:
        raise ValueError(f"{caller}: the data gave no batches")
    return means.results()


def judged(parts: tuple[Any, ...], model: Module, objective: Objective, watched: bool) -> tuple[Any, Any]:
    """-> the loss of a batch, its output for the metrics."""
    batch = Batch(*parts)
    output = call(model, batch.inputs)
    return objective(output, batch), output if watched else None


def answered(inputs: Any, model: Module) -> Any:
    """-> what the model makes of a batch."""
    return call(model, inputs)


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Evaluation mode; afterwards every module is in the mode that it was in, whatever happens."""
    with modes_kept(model):
        model.eval()
        yield


def stop_at(trainer: Trainer, run: Run) -> None:
    """A Ctrl-C has come between two steps: forget the random numbers that a step not taken has drawn."""
    set_random_states(run.generators, run.boundary)
    trainer.optimizer.zero_grad()
    trainer.callbacks.call("on_interrupt", trainer)
