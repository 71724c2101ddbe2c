"""Callbacks that write the history somewhere while it is being made."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

from pydl.training.callbacks import LOGS, Callback
from pydl.training.history import Path, Row, csv_lines, is_number, json_line, write_text

if TYPE_CHECKING:
    from pydl.training.trainer import Trainer


class FileLogger(Callback):
    """Base of the callbacks that add a line to a file at every epoch. A crash loses no epoch that is over: each line is on the
    disk before the next epoch begins. A resumed run begins with the epochs of its checkpoint, so that none stands there twice."""

    order = LOGS

    def __init__(self, path: Path) -> None:
        self.path = os.fsdecode(path)
        self.file: IO[str] | None = None

    def head(self, rows: list[Row]) -> str:
        """The file with these rows."""
        raise NotImplementedError

    def line(self, row: Row) -> str | None:
        """One more row; None if the file has to be written anew."""
        raise NotImplementedError

    def on_fit_begin(self, trainer: Trainer) -> None:
        self.begin(trainer.history.rows)

    def begin(self, rows: list[Row]) -> None:
        self.close()
        write_text(self.path, self.head(rows))
        self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        line = self.line(row)
        if line is None or self.file is None:
            self.begin(trainer.history.rows)
            return
        self.file.write(line)
        self.file.flush()
        os.fsync(self.file.fileno())

    def on_fit_end(self, trainer: Trainer) -> None:
        self.close()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
        self.file = None


class CSVLogger(FileLogger):
    """Writes the history to a CSV file while it is being made."""

    def head(self, rows: list[Row]) -> str:
        self.names = list(dict.fromkeys(name for row in rows for name in row))
        return csv_lines(self.names, [None, *rows]) if rows else ""

    def line(self, row: Row) -> str | None:
        return csv_lines(self.names, [row]) if set(row) <= set(self.names) else None


class JSONLLogger(FileLogger):
    """Writes the history to a file of one JSON object a line while it is being made; History.read_jsonl reads it."""

    def head(self, rows: list[Row]) -> str:
        return "".join(json_line(row) for row in rows)

    def line(self, row: Row) -> str:
        return json_line(row)


class ScalarWriter(Callback):
    """Calls writer.add_scalar(name, value, step) for every number of an epoch, and with batches=True for the loss and the
    learning rate of every step as batch/loss and batch/lr. A SummaryWriter of tensorboardX is such a writer."""

    order = LOGS

    def __init__(self, writer: Any, *, batches: bool = False) -> None:
        if not callable(getattr(writer, "add_scalar", None)):
            raise TypeError(f"ScalarWriter: expected something with add_scalar(name, value, step), got {type(writer).__name__}")
        self.writer, self.batches = writer, bool(batches)

    def on_batch_end(self, trainer: Trainer) -> None:
        if self.batches:
            self.writer.add_scalar("batch/loss", trainer.last_loss, trainer.step)
            self.writer.add_scalar("batch/lr", trainer.rate, trainer.step)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        for name, value in row.items():
            if is_number(value) and name not in ("epoch", "step"):
                self.writer.add_scalar(name, value, trainer.step)

    def on_fit_end(self, trainer: Trainer) -> None:
        if callable(flush := getattr(self.writer, "flush", None)):
            flush()
