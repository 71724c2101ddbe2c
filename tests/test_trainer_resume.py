"""A run that was interrupted and resumed is the uninterrupted one, bit by bit; a checkpoint that does not fit changes nothing."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import io, nn, optim
from pydl.data import DataLoader, RandomSampler, Sampler, TensorDataset
from pydl.metrics import AUROC, Accuracy, ConfusionMatrix, ExpectedCalibrationError, F1Score
from pydl.training import Callback, Checkpoint, EarlyStopping, LambdaCallback, Trainer
from training_runs import KINDS, Run, X, Y


def keep_all(folder: Path, interval: str, every: int = 1) -> Checkpoint:
    return Checkpoint(folder / "e{epoch}s{step}.st", every, interval=interval)


@pytest.mark.parametrize("interval", ["epoch", "step"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_checkpoint_leads_to_the_same_end(tmp_path: Path, kind: str, interval: str) -> None:
    """In the middle of epochs as well as between them, from a process that has drawn other numbers since."""
    whole = Run(kind)
    whole.fit()
    end = whole.bits()
    watched = Run(kind, [keep_all(tmp_path, interval)])
    watched.fit()
    assert watched.bits() == end, "saving changed the run"
    files = sorted(tmp_path.glob("*.st"))
    assert len(files) == (6 if interval == "epoch" else watched.trainer.step)
    for path in files[::1 if interval == "epoch" else 4]:
        resumed = Run(kind, seed=99)
        pydl.rand(5)
        history = resumed.fit(resume=path)
        assert resumed.bits() == end, path.name
        assert len(history) == 6 and resumed.trainer.step == whole.trainer.step


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_callbacks_may_draw_random_numbers(tmp_path: Path, interval: str) -> None:
    def drawing() -> list[Callback]:
        def draw(trainer: Trainer, *row: Any) -> None:
            pydl.rand(3)
        hooks = ("on_fit_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end")
        return [LambdaCallback(**{hook: draw}) for hook in hooks]
    whole = Run(callbacks=[*drawing(), keep_all(tmp_path, interval)])
    whole.fit(3)
    end = whole.bits()
    for path in tmp_path.glob("*.st"):
        resumed = Run(callbacks=drawing(), seed=6)
        resumed.fit(3, resume=path)
        assert resumed.bits() == end, path.name


def test_resumed_twice(tmp_path: Path) -> None:
    whole = Run()
    whole.fit()
    path = tmp_path / "c.st"
    for stop_at in (5, 12, 30):
        def stop(trainer: Trainer, at: int = stop_at) -> None:
            if trainer.step == at:
                trainer.save(path)
                trainer.stop("enough")
        run = Run(callbacks=[LambdaCallback(on_batch_end=stop)], seed=stop_at if path.exists() else 0)
        history = run.fit(resume=path if path.exists() else None)
        assert run.trainer.step == stop_at and run.trainer.status == "stopped" and history.stopped == "enough"
    last = Run(seed=4)
    last.fit(resume=path)
    assert last.bits() == whole.bits()


def test_more_epochs_after_the_end(tmp_path: Path) -> None:
    half = Run("adamw-step", [Checkpoint(tmp_path / "c.st")])
    half.fit(3)
    more = Run("adamw-step", seed=5)
    history = more.fit(3, resume=tmp_path / "c.st")
    assert more.bits() == half.bits() and len(history) == 3, "nothing was left to do"
    more.fit(6, resume=tmp_path / "c.st")
    whole = Run("adamw-step")
    whole.fit(6)
    assert more.bits() == whole.bits()


def test_early_stopping_resumes_where_it_stood(tmp_path: Path) -> None:
    def stopping() -> EarlyStopping:
        return EarlyStopping(patience=2, min_delta=0.2)
    whole = Run("adam-plateau", [stopping()])
    first = whole.fit(40)
    assert first.stopped and "no improvement for 2 epochs" in first.stopped and len(first) < 40
    watched = Run("adam-plateau", [keep_all(tmp_path, "epoch"), stopping()])
    watched.fit(40)
    for path in tmp_path.glob("*.st"):
        resumed = Run("adam-plateau", [stopping()], seed=3)
        history = resumed.fit(40, resume=path)
        assert resumed.bits() == whole.bits() and history.stopped == first.stopped, path.name
        assert resumed.trainer.status == "stopped"


def test_metrics_go_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    labels = (Y[:, 0] > 0).astype(np.int64)

    def run(resume: Path | None, callbacks: Any = (), seed: int = 0) -> Any:
        pydl.manual_seed(seed)
        model = nn.Linear(6, 1)
        trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1),
                          lambda out, y: nn.functional.binary_cross_entropy_with_logits(out, y.float()), callbacks=callbacks, metrics={
                              "auroc": AUROC(), "ece": Wrapped(ExpectedCalibrationError()), "accuracy": Decided(Accuracy()),
                              "matrix": Decided(ConfusionMatrix()), "f1": Decided(F1Score(average=None, num_classes=2)),
                              "plain": lambda out, y: float(((out > 0).long() == y).float().mean())})
        trainer.model = Flat(model)
        return trainer.fit((X, labels), epochs=2, batch_size=8, progress=False, resume=resume).rows

    whole = run(None, [Checkpoint(tmp_path / "{step}.st", interval="step")])
    assert whole[0]["accuracy"] == pytest.approx(whole[0]["plain"])
    for step in (3, 10):
        resumed = run(tmp_path / f"{step}.st", seed=8)
        assert [{**row, "seconds": 0} for row in resumed] == [{**row, "seconds": 0} for row in whole]


class Flat(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        return self.inner(x).squeeze(1)


class Wrapped:
    """A metric of probabilities, given logits; it has a state_dict of its own."""

    def __init__(self, metric: Any) -> None:
        self.metric = metric

    def prepared(self, output: pydl.Tensor) -> pydl.Tensor:
        return output.sigmoid()

    def reset(self) -> None:
        self.metric.reset()

    def update(self, output: pydl.Tensor, target: pydl.Tensor) -> None:
        self.metric.update(self.prepared(output.detach()), target)

    def compute(self) -> Any:
        return self.metric.compute()

    def state_dict(self) -> dict[str, Any]:
        return {key: pydl.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value for key, value in vars(self.metric).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self.metric).update({key: value.numpy() if isinstance(value, pydl.Tensor) else value for key, value in state.items()})


class Decided(Wrapped):
    def prepared(self, output: pydl.Tensor) -> pydl.Tensor:
        return (output > 0).long()


# What does not fit


def saved(folder: Path, kind: str = "adam-accumulate", middle: bool = True) -> Path:
    run = Run(kind, [Checkpoint(folder / "{epoch}-{step}.st", interval="step" if middle else "epoch")])
    run.fit(2)
    return folder / ("0-2.st" if middle else "1-4.st")


def refused(run: Run, path: Path, *words: str, kind: type[Exception] = ValueError) -> None:
    """Nothing has changed after the refusal."""
    before = run.bits()
    with pytest.raises(kind) as caught:
        run.fit(resume=path)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert run.bits() == before and run.model.training and run.trainer.status == "failed"


def test_another_model(tmp_path: Path) -> None:
    path = saved(tmp_path)
    run = Run("adam-accumulate", seed=2)
    run.trainer.model = nn.Sequential(nn.Linear(6, 17), nn.ReLU(), nn.Linear(17, 1))
    refused(run, path, path.name, "0.weight", "(16, 6)")


def test_another_optimizer_or_scheduler(tmp_path: Path) -> None:
    path = saved(tmp_path)
    run = Run("adam-accumulate", seed=2)
    run.trainer.optimizer = optim.SGD(run.model.parameters(), lr=0.1)
    refused(run, path, "optimizer is of class Adam in the checkpoint, but of SGD here")
    run = Run("adam-accumulate", seed=2)
    run.trainer.scheduler = optim.lr_scheduler.StepLR(run.optimizer, 3)
    refused(run, path, "no state of scheduler")
    path = saved(tmp_path, "adam-plateau")
    run = Run("adam-plateau", seed=2)
    run.trainer.scheduler = None
    refused(run, path, "had a scheduler, ReduceLROnPlateau")


@pytest.mark.parametrize("middle", [True, False])
def test_other_data(tmp_path: Path, middle: bool) -> None:
    path = saved(tmp_path, middle=middle)
    run = Run("adam-accumulate", seed=2)
    run.loader = DataLoader(run.loader.dataset, batch_size=9, shuffle=True, generator=run.generator)
    refused(run, path, "7 batches an epoch, now there are 6", "batch_size")
    run = Run("adam-accumulate", seed=2)
    run.loader = DataLoader(run.loader.dataset, batch_size=8, shuffle=True)
    refused(run, path, "generators of loader")


def test_data_of_unknown_length_that_is_too_short(tmp_path: Path) -> None:
    class Endless:
        def __init__(self, batches: int) -> None:
            self.batches = batches

        def __iter__(self) -> Any:
            return ((pydl.from_numpy(X[:4]), pydl.from_numpy(Y[:4])) for _ in range(self.batches))

    def run(batches: int, resume: Path | None = None) -> Any:
        pydl.manual_seed(0)
        model = nn.Linear(6, 1)
        trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.MSELoss(),
                          callbacks=[Checkpoint(tmp_path / "{step}.st", interval="step")])
        trainer.fit(Endless(batches), epochs=2, progress=False, resume=resume)
        return model.weight.detach().numpy()

    whole = run(5)
    assert np.array_equal(run(5, tmp_path / "4.st"), whole) and np.array_equal(run(5, tmp_path / "8.st"), whole)
    with pytest.raises(ValueError, match="done 4 batches of an epoch, but the data gave only 3"):
        run(3, tmp_path / "4.st")


def test_other_metrics_and_callbacks(tmp_path: Path) -> None:
    path = saved(tmp_path)
    run = Run("adam-accumulate", seed=2)
    del run.trainer.metrics["r2"]
    refused(run, path, "the metrics were mae, r2, and are mae now")
    stopping = Run("adam-accumulate", [EarlyStopping(), Checkpoint(tmp_path / "s.st")])
    stopping.fit(2)
    refused(Run("adam-accumulate", seed=2), tmp_path / "s.st", "had the callback EarlyStopping")
    run = Run("adam-accumulate", [EarlyStopping(), EarlyStopping("mae", mode="min")], seed=2)
    run.fit(3, resume=tmp_path / "s.st")        # a new one begins anew
    assert run.trainer.epoch == 3


def test_not_a_trainers_checkpoint(tmp_path: Path) -> None:
    run = Run("adam-accumulate")
    path = tmp_path / "c.st"
    refused(run, path, kind=FileNotFoundError)
    path.write_bytes(b"no such thing")
    refused(run, path, "c.st")
    io.save_model(run.model, path)
    refused(run, path, "not a checkpoint")
    io.save_checkpoint(path, model=run.model, optimizer=run.optimizer, step=3)
    refused(run, path, "not of a Trainer")


def rewritten(path: Path, change: Any) -> Path:
    """A copy of a checkpoint with other plain data."""
    tensors, metadata = io.load_file(path), io.read_metadata(path)
    content = json.loads(metadata["pydl.checkpoint"])
    change(content, metadata)
    other = path.with_name("changed.st")
    io.save_file(tensors, other, {**metadata, "pydl.checkpoint": json.dumps(content)})
    return other


def test_a_newer_format(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path), lambda content, metadata: metadata.update({"pydl.format_version": "2"}))
    refused(Run("adam-accumulate", seed=2), path, "format 2", "update pydl")


@pytest.mark.parametrize(("name", "value"), [
    ("epoch", -1), ("epoch", "0"), ("epoch", None), ("batch", 2.0), ("batch", 0), ("batch", 8), ("batches", "7"), ("history", {}), ("history", [3]),
    ("callbacks", [1]), ("callbacks", [{"class": "X", "state": {}}]), ("generators", None), ("middle", None), ("middle", []), ("middle", {}),
])
def test_damaged_counts(tmp_path: Path, name: str, value: Any) -> None:
    def change(content: Any, metadata: Any) -> None:
        content["extra"]["trainer"][name] = value
    refused(Run("adam-accumulate", seed=2), rewritten(saved(tmp_path), change), "changed.st")


@pytest.mark.parametrize("change", [
    lambda middle: middle["random"].pop("loader"), lambda middle: middle["random"].update(default=3), lambda middle: middle.update(seconds="1"),
    lambda middle: middle.update(means=None), lambda middle: middle["means"]["metrics"].update(mae=[]),
    lambda middle: middle["means"]["metrics"]["mae"].pop("count"), lambda middle: middle["means"].pop("total"),
])
def test_a_damaged_middle(tmp_path: Path, change: Any) -> None:
    path = rewritten(saved(tmp_path), lambda content, metadata: change(content["extra"]["trainer"]["middle"]))
    refused(Run("adam-accumulate", seed=2), path, "changed.st")


def test_a_callback_that_refuses_its_state(tmp_path: Path) -> None:
    class Counter(Callback):
        def state_dict(self) -> dict[str, Any]:
            return {"count": 1}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            raise ValueError("not mine")

    Run("adam-accumulate", [Counter(), Checkpoint(tmp_path / "c.st")]).fit(1)
    refused(Run("adam-accumulate", [Counter()], seed=2), tmp_path / "c.st", "not mine")


def test_saving_needs_a_run(tmp_path: Path) -> None:
    run = Run()
    with pytest.raises(RuntimeError, match="no run yet"):
        run.trainer.save(tmp_path / "c.st")
    run.fit(1)
    run.trainer.save(tmp_path / "c.st")
    more = Run(seed=9)
    more.fit(2, resume=tmp_path / "c.st")
    whole = Run()
    whole.fit(2)
    assert more.bits() == whole.bits()


def test_tensors_of_the_data_set_are_not_saved(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert not any(tensor.shape[:1] == (50,) for tensor in io.load_file(path).values())
    assert isinstance(Run().loader.dataset, TensorDataset)


@pytest.mark.parametrize("part", ["loader", "sampler"])
def test_the_validation_data_have_generators_of_their_own(tmp_path: Path, part: str) -> None:
    """Shuffled batches of validation data, of which a metric sees the first alone: it depends on their order."""
    class First:
        def reset(self) -> None:
            self.value: float | None = None

        def update(self, output: Any, target: pydl.Tensor) -> None:
            self.value = target.sum().item() if self.value is None else self.value

        def compute(self) -> Any:
            return self.value

    def fit(resume: Path | None, callbacks: Any = (), other: Any = None) -> Any:
        pydl.manual_seed(0)
        data, own = TensorDataset(pydl.from_numpy(X), pydl.from_numpy(Y)), pydl.Generator().manual_seed(5)
        held_out = DataLoader(data, 5, shuffle=True, generator=own) if part == "loader" else DataLoader(data, 5, sampler=RandomSampler(data, generator=own))
        model = nn.Sequential(nn.Linear(6, 1), nn.Dropout(0.5))
        trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.01), nn.MSELoss(), metrics={"first": First()}, train_metrics=False, callbacks=callbacks)
        return trainer.fit(data, other or held_out, epochs=3, batch_size=20, progress=False, resume=resume)

    whole = fit(None, [keep_all(tmp_path, "step"), keep_all(tmp_path, "epoch")])
    assert len(set(whole["val_first"])) == 3
    for name in ("e0s2.st", "e1s3.st", "e1s4.st", "e2s6.st"):
        assert [{**row, "seconds": 0} for row in fit(tmp_path / name).rows] == [{**row, "seconds": 0} for row in whole.rows], name
    other = fit(tmp_path / "e1s4.st", other=(X, Y))         # is no obstacle; a loader without a generator draws from the default one
    assert len(other) == 3 and (part == "sampler" or other["loss"] == whole["loss"])


def test_a_lazy_sampler_with_a_generator_of_its_own(tmp_path: Path) -> None:
    class Lazy(Sampler[int]):
        def __init__(self) -> None:
            self.generator = pydl.Generator().manual_seed(8)

        def __iter__(self) -> Any:
            return (int(pydl.randint(50, (), generator=self.generator).item()) for _ in range(40))

        def __len__(self) -> int:
            return 40

    def end(resume: Path | None = None, callbacks: Any = ()) -> str:
        run = Run("adamw-step", callbacks)
        run.loader = DataLoader(run.loader.dataset, 8, sampler=Lazy())
        run.fit(2, resume=resume)
        return run.bits()

    whole = end(callbacks=[keep_all(tmp_path, "step")])
    assert end(tmp_path / "e0s3.st") == whole and end(tmp_path / "e1s7.st") == whole
