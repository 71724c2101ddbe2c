"""Trainer: everything around a model, an optimizer and a loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from pydl.autograd import no_grad
from pydl.data.fetch import own_generator_kept
from pydl.nn import Module
from pydl.nn.owned import modes_kept
from pydl.optim import Optimizer
from pydl.optim.lr_scheduler import ReduceLROnPlateau
from pydl.random import Generator
from pydl.tensor import dtype
from pydl.training.bar import Bar, shown
from pydl.training.batches import Unpack, inputs_of, loader_of, outputs_joined
from pydl.training.callbacks import Callback, Callbacks
from pydl.training.checkpointing import VALIDATION, resume_run, save_run, set_random_states
from pydl.training.history import History, Path
from pydl.training.interrupt import Interrupts
from pydl.training.loop import Run, answered, evaluating, measure, run_epochs, stop_at
from pydl.training.objective import Averages, Objective, described_type, metrics_of
from pydl.training.steps import Steps, forgotten
from pydl.training.stopping import count


class Trainer:
    """Trains a model: `Trainer(model, optimizer, loss).fit((x, y), epochs=10)`.

        >>> import pydl
        >>> from pydl import nn, optim
        >>> from pydl.training import Trainer
        >>> x = pydl.linspace(-1, 1, 64).reshape(64, 1)
        >>> model = nn.Linear(1, 1)
        >>> trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.3), nn.MSELoss())
        >>> history = trainer.fit((x, 3 * x + 1), epochs=30, progress=False)
        >>> history["loss"][-1] < 1e-6
        True
        >>> trainer.predict(pydl.tensor([[2.0]])).round()
        tensor([[7.]])

    loss: a function of (output, target) that returns one number, such as nn.CrossEntropyLoss(). A batch is (inputs, target), or
    (inputs, target, weight) with a weight (N,) for each example; unpack: a function that makes one of anything else. The model
    is called with inputs, with the members of a tuple, or with those of a dict by name.

    scheduler: stepped once an epoch, or with scheduler_interval="step" after each step; a ReduceLROnPlateau gets the column
    `monitor` of the history (default: val_loss with validation data, else loss). metrics: names to metrics of pydl.metrics, or to
    functions of (output, target), whose mean over the batches is taken; they are not weighted. train_metrics=False computes them on
    validation data only. max_grad_norm and clip_value clip the gradients, by value first. accumulate: batches that make one step,
    whose gradient is that of one large batch up to rounding (the last step of an epoch may have fewer). Each batch counts by its
    examples, or with cross_entropy and nll_loss by the labels that are not ignored, each by the weight of its class; one with none
    counts nothing. Only for a loss of your own that is a mean over something else are steps, and means over batches, not those of
    one large batch; so, too, for any loss whose `reduction` is bound within a function, where nobody sees it. generators: pydl.Generators
    by name that the run draws from, beside the default one and the loaders'; a checkpoint keeps them. check_finite: raise
    FloatingPointError, before the parameters change, where the loss or (with max_grad_norm) the gradient's norm is NaN or infinite.

    capture: None captures (see pydl.capture) forward, loss and backward, and the forward of evaluate and predict, where they are short and
    batches of the same shapes come again and again, and where model and loss consist of pydl's own modules and functions, without hooks;
    all numbers are the same as without. True: also Python code of your own, which then runs at some calls only, so it must do the same
    at every call; what cannot be captured runs as it is, with one warning (why_eager holds the reason). False: nothing is captured.

    Raises TypeError and ValueError for parts that are something else, or do not belong together.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Callable[..., Any],
        *,
        scheduler: Any = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        monitor: str | None = None,
        metrics: Any = None,
        train_metrics: bool = True,
        callbacks: Iterable[Callback] = (),
        max_grad_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        unpack: Unpack = None,
        generators: Mapping[str, Generator] | None = None,
        check_finite: bool = True,
        capture: bool | None = None,
    ) -> None:
        check_parts(model, optimizer, scheduler, scheduler_interval)
        if capture is not None and not isinstance(capture, bool):
            raise TypeError(f"Trainer: capture: expected True, False or None, got a {type(capture).__name__}")
        if unpack is not None and not callable(unpack):
            raise TypeError(f"Trainer: unpack: expected a function of a batch, got {type(unpack).__name__}")
        self.model, self.optimizer, self.loss, self.objective = model, optimizer, loss, Objective(loss)
        self.scheduler, self.scheduler_interval, self.monitor = scheduler, scheduler_interval, monitor
        self.metrics, self.train_metrics = metrics_of(metrics), bool(train_metrics)
        self.own_callbacks = self.callbacks = Callbacks(callbacks)
        self.max_grad_norm = bound("max_grad_norm", max_grad_norm)
        self.clip_value = bound("clip_value", clip_value)
        self.accumulate, self.unpack = count("Trainer", "accumulate", accumulate), unpack
        self.generators, self.check_finite = generators_by_name(generators), bool(check_finite)
        self.capture = capture
        self.why_eager: str | None = None           # what was found to be in the way of a capture
        self.history = History()
        self.epoch = self.batch = self.step = 0
        self.last_loss = math.nan
        self.stopped: str | None = None
        self.status = "ready"
        self._run: Run | None = None

    @property
    def rate(self) -> float:
        """The learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def validates(self) -> bool:
        """Whether the run has validation data."""
        return self._run is not None and self._run.validation is not None

    def stop(self, reason: str = "a callback stopped it") -> None:
        """Ends the run after this step or epoch; for callbacks. reason: what history.stopped will say."""
        self.stopped = str(reason)

    def save(self, path: Path) -> None:
        """Writes a checkpoint of the run, between two steps: fit(..., resume=path) goes on from it. RuntimeError before the first fit."""
        if self._run is None:
            raise RuntimeError("save: there is no run yet; pydl.io.save_model saves a model")
        save_run(path, self, self._run)

    def fit(
        self,
        train: Any,
        validation: Any = None,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool = True,
        resume: Path | None = None,
        progress: bool = True,
        on_interrupt: Literal["return", "raise"] = "return",
    ) -> History:
        """Trains for `epochs` epochs -> the history. The model is then in the mode that it was in, also after an error.

        train, validation: a DataLoader or another iterable of batches; or a data set or a tuple of arrays or tensors of the same
        length, of which batches of batch_size are made, the training data shuffled. NumPy arrays of floats get the model's type.

        resume: a checkpoint of Checkpoint or `save`, from which the run goes on until there are `epochs` epochs in all. Nothing
        differs by a bit from the run that was not interrupted, given the same parts, data and settings, and batches that depend
        on nothing but pydl's generators; where it stopped in the middle of an epoch, the batches before are fetched once more,
        without the model. So there is one exception, in the middle of an epoch alone: a sampler, a data set's `gather`, an
        IterableDataset without workers or an iterable of your own that draws from the default generator batch by batch, not only
        before the first, where the model (dropout) or a callback draws from it, too. Give it a generator of its own, and name that
        in `generators` unless it is the attribute `generator` of the loader or its sampler.

        A Ctrl-C stops the run between two steps, never in one; on_interrupt: "return" the history with interrupted=True, or
        "raise" KeyboardInterrupt. The best weights are put back, checkpoints are written. A second one does not wait, and raises.

        Raises ValueError for data without batches, a loss of more than one number, a checkpoint that does not fit (nothing has
        changed then); FloatingPointError for a loss that is not finite.
        """
        epochs, batch_size = count("fit", "epochs", epochs), count("fit", "batch_size", batch_size)
        if on_interrupt not in ("return", "raise"):
            raise ValueError(f"fit: on_interrupt: expected 'return' or 'raise', got {on_interrupt!r}")
        if self.status == "running":
            raise RuntimeError("fit: this Trainer is already in fit")
        loader = loader_of("fit", train, batch_size, shuffle, self._type())
        held_out = None if validation is None else loader_of("fit: validation", validation, batch_size, False, self._type())
        for data in (loader, held_out):
            if data is not None and isinstance(data, Iterator) and epochs > 1:
                raise TypeError(f"fit: a {type(data).__name__} gives its batches only once, but there are {epochs} epochs; "
                                "expected a DataLoader, a list of batches, a data set or a tuple of arrays")
        with own_generator_kept(), Interrupts() as interrupts:
            self._run = Run(self, loader, held_out, interrupts)
            self._fit(self._run, epochs, resume, progress)
        if self.history.interrupted and on_interrupt == "raise":
            raise KeyboardInterrupt
        return self.history

    def _fit(self, run: Run, epochs: int, resume: Path | None, progress: bool) -> None:
        self.history, self.status, self.stopped = History(), "running", None
        self.epoch = self.batch = self.step = 0
        self.callbacks = Callbacks([*self.own_callbacks.all, *([Bar(run.length, epochs)] if progress else [])])
        begun = False
        try:
            with modes_kept(self.model):
                for one in self.callbacks.all:
                    one.reset()
                if resume is not None:
                    resume_run(resume, self, run)
                self.model.train()
                begun = True
                self.callbacks.call("on_fit_begin", self)
                if resume is not None:          # whatever random numbers that drew, the first run drew before
                    set_random_states(run.generators, run.boundary)
                run_epochs(self, run, epochs)
            self.status = "finished" if self.stopped is None else "stopped"
        except KeyboardInterrupt:
            if not run.interrupts.clean:
                raise
            self.status, self.history.interrupted = "interrupted", True
            stop_at(self, run)
        finally:
            if self.status == "running":
                self.status = "failed"
            self.history.stopped = self.stopped
            self.optimizer.zero_grad()
            run.steps.forget()
            try:
                if begun:
                    self.callbacks.end(self)
            finally:
                self.callbacks = self.own_callbacks
        if run.interrupts.pending:          # it came after the last step
            try:
                with run.interrupts.opened:
                    pass
            except KeyboardInterrupt:
                self.status, self.history.interrupted = "interrupted", True

    def evaluate(self, data: Any, *, batch_size: int = 256, progress: bool = False) -> dict[str, Any]:
        """{"loss": mean over all examples, and the metrics}, in evaluation mode, without gradients. data: as for fit.

        Batches count as those that `accumulate` joins; NaN where no target counts.
        """
        loader = loader_of("evaluate", data, count("evaluate", "batch_size", batch_size), False, self._type())
        with shown(progress, "evaluating", loader) as step, forgotten(Steps(self)) as steps:
            return measure(self, "evaluate", loader, Averages(self.metrics), steps, step)

    def predict(self, data: Any, *, batch_size: int = 256, progress: bool = False) -> Any:
        """The outputs for all examples, in order, joined along the first dimension; in evaluation mode, without gradients.

        data: as for fit, or inputs alone: a tensor, an array, or batches of them. Of a tuple or list the first is taken.
        """
        loader = loader_of("predict", data, count("predict", "batch_size", batch_size), False, self._type())
        outputs = []
        with evaluating(self.model), no_grad(), shown(progress, "predicting", loader) as step, forgotten(Steps(self)) as steps:
            for batch in loader:
                outputs.append(steps.kept(steps(answered, (self.model,), inputs_of(batch, self.unpack))))
                if step is not None:
                    step()
        if not outputs:
            raise ValueError("predict: the data gave no batches")
        return outputs_joined(outputs)

    def _type(self) -> dtype | None:
        """The model's type of floating-point numbers."""
        return next((p.dtype for p in self.model.parameters() if p.dtype.is_floating_point), None)


def check_parts(model: Any, optimizer: Any, scheduler: Any, interval: Any) -> None:
    """TypeError and ValueError for a model, an optimizer and a schedule that are none, or of each other."""
    if not isinstance(model, Module):
        raise TypeError(f"Trainer: model: expected an nn.Module, got {described_type(model)}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"Trainer: optimizer: expected an Optimizer, got {described_type(optimizer)}")
    own = {id(p) for p in model.parameters()}
    if own and not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("Trainer: the optimizer holds no parameter of the model; it was made for another one")
    if interval not in ("epoch", "step"):
        raise ValueError(f"Trainer: scheduler_interval: expected 'epoch' or 'step', got {interval!r}")
    if scheduler is None:
        return
    if not all(callable(getattr(scheduler, name, None)) for name in ("step", "state_dict", "load_state_dict")):
        raise TypeError(f"Trainer: scheduler: expected a schedule of pydl.optim.lr_scheduler, got {described_type(scheduler)}")
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("Trainer: the scheduler belongs to another optimizer")
    if isinstance(scheduler, ReduceLROnPlateau) and interval == "step":
        raise ValueError("Trainer: a ReduceLROnPlateau needs scheduler_interval='epoch': what it watches is known once an epoch")


def bound(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"Trainer: {name}: expected a number or None, got {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"Trainer: {name}: expected a number above 0, got {value}")
    return float(value)


def generators_by_name(given: Mapping[str, Generator] | None) -> dict[str, Generator]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(own, Generator) for own in given.values()):
        raise TypeError("Trainer: generators: expected a dict of names to pydl.Generators")
    for name in given:
        if name in ("default", "loader", "sampler", "batch_sampler", "batch_sampler.sampler") or str(name).startswith(VALIDATION):
            raise ValueError(f"Trainer: generators: {name!r} is the name of another one")
    return dict(given)
