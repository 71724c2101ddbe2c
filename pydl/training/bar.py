"""How far fit, evaluate and predict are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydl.training.batches import length_of
from pydl.training.callbacks import LOGS, Callback
from pydl.training.history import Row, described
from pydl.training.progress import Progress

if TYPE_CHECKING:
    from pydl.training.trainer import Trainer

PAUSE = 0.2         # seconds between two notes of the loss


class Bar(Callback):
    """The progress bar of fit: batches done of all, the epoch, and the last figures."""

    order = LOGS

    def __init__(self, length: int | None, epochs: int) -> None:
        self.length, self.epochs = length, epochs
        self.figures, self.noted = "", 0.0
        self.progress: Progress | None = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        left = None if self.length is None else max((self.epochs - trainer.epoch) * self.length - trainer.batch, 0)
        self.progress = Progress("training", left)

    def on_epoch_begin(self, trainer: Trainer) -> None:
        self.before = trainer.batch
        self.say(f"epoch {trainer.epoch + 1} of {self.epochs}")

    def on_batch_end(self, trainer: Trainer) -> None:
        if self.progress is None:
            return
        self.progress.step(trainer.batch - self.before)
        self.before = trainer.batch
        if (now := time.monotonic()) - self.noted >= PAUSE:
            self.noted = now
            self.say(f"epoch {trainer.epoch + 1} of {self.epochs}, batch loss {trainer.last_loss:.4g}")

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        self.figures = described(row)
        self.say(f"epoch {trainer.epoch} of {self.epochs}")

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.progress is not None:
            self.progress.bar.close()

    def say(self, where: str) -> None:
        if self.progress is not None:
            self.progress.note(f"{where}, {self.figures}" if self.figures else where)


@contextmanager
def shown(progress: bool, what: str, loader: Any) -> Iterator[Callable[[], object] | None]:
    """A function to call after each batch: a progress bar's, or None."""
    if not progress:
        yield None
        return
    with Progress(what, length_of(loader)) as bar:
        yield bar.step
