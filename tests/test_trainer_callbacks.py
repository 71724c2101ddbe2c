"""Callbacks, the history, what is written while a model trains, and the progress shown."""
from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pydl
from pydl.training import Callback, Checkpoint, CSVLogger, EarlyStopping, History, JSONLLogger, LambdaCallback, ScalarWriter
from pydl.training.callbacks import HOOKS
from pydl.training.progress import Line, Progress
from training_runs import Run


class Scores(Callback):
    """Gives each epoch a score."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def on_epoch_end(self, trainer: Any, row: Any) -> None:
        row["score"] = self.values[row["epoch"] - 1]


# Hooks


def test_hooks_come_in_their_order() -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        return lambda trainer, *row: seen.append(f"{name[3:]} {trainer.epoch}.{trainer.batch}.{trainer.step} {trainer.status}")
    run = Run("sgd-accumulate", [LambdaCallback(**{name: note(name) for name in HOOKS})])
    run.fit(2)
    begin = [line for line in seen if "batch_begin" in line]
    assert begin == [f"batch_begin {e}.{b}.{s} running" for e, b, s in ((0, 0, 0), (0, 3, 1), (0, 6, 2), (1, 0, 3), (1, 3, 4), (1, 6, 5))]
    assert seen[:2] == ["fit_begin 0.0.0 running", "epoch_begin 0.0.0 running"]
    assert seen[3] == "batch_end 0.3.1 running" and seen[8] == "epoch_end 1.0.3 running" and seen[9] == "epoch_begin 1.0.3 running"
    assert seen[-2:] == ["epoch_end 2.0.6 running", "fit_end 2.0.6 finished"]


@pytest.mark.parametrize("hook", [name for name in HOOKS if name != "on_interrupt"])
def test_a_callback_that_raises_leaves_a_consistent_model(tmp_path: Path, hook: str) -> None:
    count, ended = [0], []

    def fail(trainer: Any, *row: Any) -> None:
        count[0] += 1
        if count[0] == (3 if "batch" in hook else 1):
            raise OSError("no space")
    run = Run("sgd-accumulate", [LambdaCallback(**{hook: fail}), LambdaCallback(on_fit_end=lambda trainer: ended.append(trainer.status)),
                                 CSVLogger(tmp_path / "h.csv"), EarlyStopping()])
    with pytest.raises(OSError, match="no space"):
        run.fit(2)
    assert ended == ["finished" if hook == "on_fit_end" else "failed"] and run.model.training
    steps = run.trainer.step
    assert steps == {"on_fit_begin": 0, "on_epoch_begin": 0, "on_batch_begin": 2, "on_batch_end": 3, "on_epoch_end": 3, "on_fit_end": 6}[hook]
    if hook != "on_fit_end":            # then the best weights are back
        other = Run("sgd-accumulate", [LambdaCallback(on_batch_end=lambda trainer: trainer.step == steps and trainer.stop())])
        if steps:
            other.fit(2)
        assert all(np.array_equal(p.detach().numpy(), q.detach().numpy()) for p, q in zip(run.model.parameters(), other.model.parameters(), strict=True))
    run.trainer.own_callbacks.hooks[hook].clear()
    assert len(run.fit(1)) == 1         # and the trainer can be used again


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_callbacks_that_raise_at_the_end(kind: type[BaseException]) -> None:
    def fail(words: str, error: type[BaseException] = ValueError) -> LambdaCallback:
        def raising(trainer: Any) -> None:
            raise error(words)
        return LambdaCallback(on_fit_end=raising)

    run = Run(callbacks=[fail("first", kind), fail("second"), fail("third")])
    with pytest.raises(kind, match="first") as caught:
        run.trainer.fit(run.loader, epochs=1, progress=True)
    notes = [f"(on_fit_end of another callback raised ValueError: {words})" for words in ("second", "third")]
    assert getattr(caught.value, "__notes__", []) == (notes if kind is OSError else [])
    assert run.trainer.callbacks is run.trainer.own_callbacks and run.model.training


def test_lambda_callback_refuses() -> None:
    with pytest.raises(TypeError, match="there is no hook 'on_end'; there are on_fit_begin"):
        LambdaCallback(on_end=print)
    with pytest.raises(TypeError, match="on_fit_end: expected a function, got int"):
        LambdaCallback(on_fit_end=3)        # type: ignore[arg-type]


def test_the_default_hooks_do_nothing() -> None:
    run = Run(callbacks=[Callback()])
    assert not any(run.trainer.callbacks.hooks.values())
    plain = Run()
    plain.fit(2)
    run = Run(callbacks=[Callback()])
    run.fit(2)
    assert run.bits() == plain.bits()


# Early stopping


def test_early_stopping_puts_the_best_weights_back() -> None:
    stopping = EarlyStopping("score", 3, mode="max", min_delta=0.1)
    run = Run(callbacks=[Scores(1, 2, 1.5, math.nan, 2.05, 9), stopping])
    history = run.fit(6)
    assert len(history) == 5 and history.stopped == "no improvement for 3 epochs; the best is 2 of epoch 2" and run.trainer.status == "stopped"
    assert stopping.best == 2 and stopping.best_epoch == 2 and stopping.wait == 3
    two = Run()
    two.fit(2)
    assert all(np.array_equal(p.detach().numpy(), q.detach().numpy()) for p, q in zip(run.model.parameters(), two.model.parameters(), strict=True))
    kept = Run(callbacks=[Scores(1, 2, 1.5, math.nan, 2.05, 9), EarlyStopping("score", 3, mode="max", min_delta=0.1, restore_best=False)])
    kept.fit(6)
    five = Run()
    five.fit(5)
    assert all(np.array_equal(p.detach().numpy(), q.detach().numpy()) for p, q in zip(kept.model.parameters(), five.model.parameters(), strict=True))


def test_early_stopping_begins_anew_with_every_fit() -> None:
    stopping = EarlyStopping("score", 2, mode="min")
    run = Run("adamw-step", callbacks=[Scores(1, 2, 3, 4), stopping])
    for _ in range(2):
        assert len(run.fit(4)) == 3 and stopping.best_epoch == 1
    never = Run(callbacks=[Scores(*[math.nan] * 3), EarlyStopping("score", 2, mode="min")])
    assert never.fit(3).stopped == "no improvement for 2 epochs; nothing but NaN"


def test_watching_what_is_not_there() -> None:
    for make in (EarlyStopping, lambda monitor, **named: Checkpoint("x", monitor=monitor, **named)):
        with pytest.raises(ValueError, match="mode: is a larger 'accuracy' better"):
            make("accuracy")
        with pytest.raises(ValueError, match="mode: expected 'min' or 'max', got 'up'"):
            make("accuracy", mode="up")
        with pytest.raises(TypeError, match="monitor: expected a name, got int"):
            make(3)
        run = Run(callbacks=[make("val_loss")])
        with pytest.raises(ValueError, match="monitor 'val_loss' needs validation data"):
            run.trainer.fit(run.loader, progress=False)
        assert run.trainer.step == 0
        with pytest.raises(ValueError, match="monitor: there is no 'accuracy', only epoch, step, loss, mae, r2, val_loss"):
            Run(callbacks=[make("accuracy", mode="max")]).fit()
    for patience, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="EarlyStopping: patience: expected"):
            EarlyStopping(patience=patience)    # type: ignore[arg-type]
    with pytest.raises(ValueError, match="min_delta: expected a number of 0 or more"):
        EarlyStopping(min_delta=-1)


# Checkpoints


def test_checkpoints_every_n(tmp_path: Path) -> None:
    Run(callbacks=[Checkpoint(tmp_path / "e{epoch}", 2), Checkpoint(tmp_path / "s{step}", 9, interval="step"), Checkpoint(tmp_path / "last")]).fit(5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e2", "e4", "last", "s18", "s27", "s9"]
    tmp = tmp_path / "best"
    tmp.mkdir()
    Run(callbacks=[Scores(3, 5, 4, 7, 7), Checkpoint(tmp / "{epoch}", monitor="score", mode="max")]).fit(5)
    assert sorted(p.name for p in tmp.iterdir()) == ["1", "2", "4"]
    run = Run(callbacks=[Checkpoint(tmp / "b", best=True)])
    history = run.fit(5)
    content = pydl.io.load_checkpoint(tmp / "b", random_state=False)
    assert content.extra["trainer"]["epoch"] == 1 + int(np.argmin(history["val_loss"]))


@pytest.mark.parametrize(("named", "error", "words"), [
    ({"every": 0}, ValueError, "every: expected 1 or more"), ({"interval": "batch"}, ValueError, "interval: expected 'epoch' or 'step'"),
    ({"path": "{loss}"}, ValueError, "no braces but {epoch} and {step}"), ({"path": "{0}"}, ValueError, "no braces"), ({"path": "{"}, ValueError, "no braces"),
    ({"best": True, "interval": "step"}, ValueError, "use interval='epoch'"), ({"path": 3}, TypeError, ""),
])
def test_checkpoints_that_are_none(named: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        Checkpoint(**{"path": "x", **named})
    assert words in str(caught.value)


def test_a_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    run = Run(callbacks=[Checkpoint(tmp_path / "no" / "such" / "folder")])
    with pytest.raises(FileNotFoundError):
        run.fit(1)
    assert run.trainer.step == 7 and run.model.training


# The history and its files


def test_history_has_columns() -> None:
    run = Run(callbacks=[Scores(1, 2, 3)])
    history = run.fit(3)
    assert history is run.trainer.history and len(history) == 3 and "score" in history and "nothing" not in history
    assert history.names == ["epoch", "step", "loss", "mae", "r2", "val_loss", "val_mae", "val_r2", "lr", "seconds", "score"]
    assert history["score"] == [1, 2, 3] and [row["epoch"] for row in history.rows] == [1, 2, 3]
    with pytest.raises(KeyError, match="no column 'val_accuracy'; there are epoch, step, loss"):
        history["val_accuracy"]
    assert repr(history).startswith("History(3 epochs, last: loss ")
    mixed = History([{"epoch": 1, "a": 2.0}, {"epoch": 2, "b": 1.0}])
    assert mixed.names == ["epoch", "a", "b"] and math.isnan(mixed["a"][1]) and repr(History()) == "History(0 epochs)"


def test_files_of_the_history(tmp_path: Path) -> None:
    history = History([{"epoch": 1, "loss": 0.5, "matrix": [[1, 2], [3, 4]]}, {"epoch": 2, "loss": math.nan, "val_loss": -math.inf}])
    history.to_csv(tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text().splitlines() == ["epoch,loss,matrix,val_loss", '1,0.5,"[[1, 2], [3, 4]]",', "2,nan,,-inf"]
    history.to_jsonl(tmp_path / "h.jsonl")
    lines = (tmp_path / "h.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {"epoch": 2, "loss": "nan", "val_loss": "-inf"}
    again = History.read_jsonl(tmp_path / "h.jsonl")
    assert repr(again.rows) == repr(history.rows)
    (tmp_path / "h.jsonl").write_text(lines[0] + "\n" + lines[1][:9])       # a crash
    assert History.read_jsonl(tmp_path / "h.jsonl").rows == history.rows[:1]
    for text in ("x\n", "[1]\n", lines[0] + "\n\n"):
        (tmp_path / "h.jsonl").write_text(text)
        with pytest.raises(ValueError, match="line [12]: "):
            History.read_jsonl(tmp_path / "h.jsonl")


def test_logs_are_written_while_training(tmp_path: Path) -> None:
    lines: list[int] = []

    def look(trainer: Any) -> None:
        lines.append(len((tmp_path / "h.jsonl").read_text().splitlines()))
    run = Run(callbacks=[CSVLogger(tmp_path / "h.csv"), JSONLLogger(tmp_path / "h.jsonl"), Scores(1, 2, 3), LambdaCallback(on_epoch_begin=look)])
    history = run.fit(3)
    assert lines == [0, 1, 2]
    assert History.read_jsonl(tmp_path / "h.jsonl").rows == history.rows
    rows = list(csv.DictReader((tmp_path / "h.csv").read_text().splitlines()))
    assert [float(row["score"]) for row in rows] == [1, 2, 3] and [float(row["val_loss"]) for row in rows] == history["val_loss"]
    history.to_csv(tmp_path / "whole.csv")
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "h.csv").read_text()


def test_a_crash_loses_no_epoch_and_a_resumed_log_has_each_once(tmp_path: Path) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from training_runs import Run
from pydl.training import *
def crash(trainer):
    if trainer.epoch == 3 and trainer.batch > 2:
        os._exit(9)
Run(callbacks=[CSVLogger("h.csv"), JSONLLogger("h.jsonl"), Checkpoint("c.st", 2), LambdaCallback(on_batch_end=crash)]).fit(5)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 9, done.stderr
    whole = Run()
    expected = whole.fit(5)
    assert History.read_jsonl(tmp_path / "h.jsonl")["loss"] == expected["loss"][:3]
    run = Run(callbacks=[CSVLogger(tmp_path / "h.csv"), JSONLLogger(tmp_path / "h.jsonl")], seed=3)
    run.fit(5, resume=tmp_path / "c.st")
    logged = History.read_jsonl(tmp_path / "h.jsonl")
    assert logged["epoch"] == [1, 2, 3, 4, 5] and logged["loss"] == expected["loss"]
    assert len((tmp_path / "h.csv").read_text().splitlines()) == 6


def test_a_log_that_gets_more_columns(tmp_path: Path) -> None:
    def late(trainer: Any, row: Any) -> None:
        if trainer.epoch == 2:
            row["late"] = 7
    run = Run(callbacks=[LambdaCallback(on_epoch_end=late), CSVLogger(tmp_path / "h.csv")])
    run.fit(3)
    rows = list(csv.DictReader((tmp_path / "h.csv").read_text().splitlines()))
    assert [row["late"] for row in rows] == ["", "7", ""] and [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_scalars_for_a_writer() -> None:
    class Writer:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def add_scalar(self, tag: str, value: float, global_step: int) -> None:
            self.calls.append((tag, value, global_step))

        def flush(self) -> None:
            self.calls.append("flush")
    writer = Writer()
    history = Run(callbacks=[ScalarWriter(writer, batches=True), Scores(4, 5)]).fit(2)
    assert ("val_loss", history["val_loss"][1], 14) in writer.calls and ("score", 5, 14) in writer.calls and writer.calls[-1] == "flush"
    assert [call[2] for call in writer.calls[:-1] if call[0] == "batch/loss"] == list(range(1, 15))
    assert not [call for call in writer.calls if call[0] in ("epoch", "step")]
    with pytest.raises(TypeError, match="expected something with add_scalar"):
        ScalarWriter(print)


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = Run(callbacks=[Scores(1, 2, math.nan)]).fit(3)
    history.rows[0]["matrix"] = [[1]]
    figure = history.plot(path=tmp_path / "h.png")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "mae", "r2", "score"]
    lines = figure.axes[0].get_lines()
    assert list(lines[0].get_ydata()) == history["loss"] and list(lines[1].get_ydata()) == history["val_loss"]
    assert len(history.plot(["lr", "val_loss"]).axes) == 2
    for names, words in ((["nothing"], "no column 'nothing'"), ([], "nothing to draw in 3 epochs")):
        with pytest.raises(ValueError, match=words):
            history.plot(names)
    with pytest.raises(ValueError, match="nothing to draw in 0 epochs"):
        History().plot()


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pydl-cpu\[plots\]"):
        History([{"epoch": 1, "loss": 1.0}]).plot()


# Progress


def shown(tmp_path: Path, hide: str, epochs: int = 3) -> str:
    code = f"""
import sys
for name in {hide!r}.split(): sys.modules[name] = None
sys.path.insert(0, {str(Path(__file__).parent)!r})
from training_runs import *
run = Run()
run.trainer.fit(run.loader, (X, Y), epochs={epochs})
print(run.trainer.evaluate((X, Y), batch_size=10, progress=True)["loss"], len(run.trainer.predict(X, progress=True)))
run.trainer.fit(((X[i:i + 5], Y[i:i + 5]) for i in range(0, 50, 5)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_progress_without_tqdm(tmp_path: Path) -> None:
    lines = shown(tmp_path, "tqdm tqdm.auto").splitlines()
    assert lines[0].startswith("training 100 %, 21 of 21, 0.0 s left, epoch 3 of 3, loss ") and "val_r2" in lines[0]
    assert lines[1].startswith("evaluating 100 %, 5 of 5") and lines[2].startswith("predicting 100 %, 1 of 1") and lines[3].startswith("training 10, ")


def test_progress_with_tqdm(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    text = shown(tmp_path, "")
    assert "21/21" in text and "epoch 3 of 3" in text and "evaluating: 100%" in text and "10it" in text


def test_a_line_of_unknown_length(capsys: pytest.CaptureFixture[str]) -> None:
    line = Line("reading", None)
    line.update(7)
    line.set_postfix_str("loss 1")
    line.show(line.start + 2)
    assert capsys.readouterr().err == "reading 7, 2.0 s, loss 1\n"


def test_progress_can_be_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    Run().fit(1)
    assert capsys.readouterr() == ("", "")
    with Progress("x", 3) as bar:
        bar.step(3)
        bar.note("y")
    assert capsys.readouterr().err
