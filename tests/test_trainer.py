"""Trainer against the loop that one would write by hand: accumulation, clipping, schedules, and parts of the wrong kind."""
from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import metrics, nn, optim
from pydl._core.generator import current_generator, default_generator, use_in_thread
from pydl.data import DataLoader, Dataset, TensorDataset
from pydl.optim import lr_scheduler
from pydl.training import Callback, LambdaCallback, Trainer
from training_runs import MSE, Run, X, Y, bits, close, linear, same, trained


def test_fit_is_the_loop_written_by_hand() -> None:
    model, optimizer = linear(dropout=0.3)
    schedule = lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    loader = DataLoader(TensorDataset(pydl.from_numpy(X), pydl.from_numpy(Y)), batch_size=8, shuffle=True)
    losses, held_out = [], []
    for _ in range(4):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = MSE(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            total += loss.item() * len(x)
        schedule.step()
        losses.append(total / len(X))
        model.eval()
        held_out.append(MSE(model(pydl.from_numpy(X[:9])), pydl.from_numpy(Y[:9])).item())
        model.train()
    by_hand = bits(model, optimizer, schedule)

    model, optimizer = linear(dropout=0.3)
    schedule = lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    trainer = Trainer(model, optimizer, MSE, scheduler=schedule, max_grad_norm=0.5)
    history = trainer.fit(loader, (X[:9], Y[:9]), epochs=4, progress=False)
    assert bits(model, optimizer, schedule) == by_hand
    assert history["loss"] == pytest.approx(losses, rel=1e-12) and history["val_loss"] == pytest.approx(held_out, rel=1e-12)
    assert history["lr"] == [0.1, 0.05, 0.025, 0.0125] and history["epoch"] == [1, 2, 3, 4] and history["step"] == [7, 14, 21, 28]
    assert trainer.status == "finished" and not history.interrupted and history.stopped is None
    assert min(history["seconds"]) > 0


def test_evaluate_weighs_batches_by_their_size() -> None:
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE, metrics={"rmse": metrics.RootMeanSquaredError(), "bias": lambda out, y: (out - y).mean().item()})
    whole = trainer.evaluate((X, Y), batch_size=50)
    assert whole == pytest.approx(trainer.evaluate((X, Y), batch_size=7), rel=1e-5)      # the last batch is one example
    assert whole["loss"] == pytest.approx(float(((model(pydl.from_numpy(X)).detach().numpy() - Y) ** 2).mean()), rel=1e-5)
    assert whole["rmse"] == pytest.approx(whole["loss"] ** 0.5, rel=1e-5) and list(whole) == ["loss", "rmse", "bias"]
    summed = Trainer(model, optimizer, nn.MSELoss(reduction="sum")).evaluate((X, Y), batch_size=7)
    assert summed["loss"] == pytest.approx(whole["loss"], rel=1e-5)


def test_predict_joins_outputs_in_order() -> None:
    model, optimizer = linear(dropout=0.9)
    trainer = Trainer(model, optimizer, MSE)
    out = trainer.predict(X, batch_size=8)
    model.eval()
    expected = model(pydl.from_numpy(X)).detach().numpy()
    model.train()
    assert out.shape == (50, 1) and not out.requires_grad and out.grad_fn is None and np.allclose(out.numpy(), expected, rtol=1e-6)
    for data in ((X, Y), (X,), pydl.from_numpy(X), TensorDataset(pydl.from_numpy(X), pydl.from_numpy(Y)), [(X[:3], Y[:3]), (X[3:], Y[3:])],
                 [X[:3], X[3:]], iter([X[:3], X[3:]]), ({"input": X}, Y)):
        assert np.allclose(trainer.predict(data).numpy(), out.numpy(), rtol=1e-6), type(data)

    class Two(nn.Module):
        def forward(self, x: pydl.Tensor) -> Any:
            return {"sum": x.sum(1), "parts": (x, [x[:, 0]])}
    trainer.model = Two()
    both = trainer.predict(X, batch_size=8)
    assert np.array_equal(both["parts"][0].numpy(), X) and np.array_equal(both["parts"][1][0].numpy(), X[:, 0]) and both["sum"].shape == (50,)


def test_modes_are_put_back() -> None:
    model, optimizer = linear()
    model[2].eval()             # a layer kept in evaluation mode
    seen: list[Any] = []
    note = LambdaCallback(on_epoch_end=lambda trainer, row: seen.append([m.training for m in model.modules()]))
    trainer = Trainer(model, optimizer, MSE, callbacks=[note])
    before = [m.training for m in model.modules()]
    trainer.fit((X, Y), (X, Y), progress=False)
    trainer.evaluate((X, Y))
    trainer.predict(X)
    assert [m.training for m in model.modules()] == before and seen == [[True] * len(before)]

    def fail(*_: Any) -> Any:
        raise RuntimeError("broken")
    for call in (lambda: trainer.fit((X, Y), progress=False), lambda: trainer.evaluate((X, Y)), lambda: trainer.predict(X)):
        model[3].forward = fail     # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="broken"):
            call()
        del model[3].forward
        assert [m.training for m in model.modules()] == before and pydl.is_grad_enabled()
    assert trainer.fit((X, Y), progress=False).stopped is None


def test_gradients_are_gone_afterwards_and_there_in_callbacks() -> None:
    model, optimizer = linear()
    seen: list[bool] = []
    look = LambdaCallback(on_batch_end=lambda trainer: seen.append(all(p.grad is not None for p in model.parameters())))
    Trainer(model, optimizer, MSE, callbacks=[look]).fit((X, Y), batch_size=25, progress=False)
    assert seen == [True, True] and all(p.grad is None for p in model.parameters())


# Accumulation, clipping, schedules


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_accumulated_batches_are_one_large_batch(reduction: Any) -> None:
    loss = nn.MSELoss(reduction=reduction)
    options = {"max_grad_norm": 1.0, "clip_value": 0.3}
    large = trained(options, loss=loss, batch_size=20, dtype=pydl.float64)
    assert close(trained({**options, "accumulate": 2}, loss=loss, batch_size=10, dtype=pydl.float64), large)
    weights = (X, Y, 1 + np.arange(50.0) % 4)
    large = trained(options, data=weights, loss=loss, batch_size=50, dtype=pydl.float64)
    # 7 batches of 8 and one of 2: sizes differ within a step.
    assert close(trained({**options, "accumulate": 9}, data=weights, loss=loss, batch_size=8, dtype=pydl.float64), large)


def test_accumulation_counts_steps() -> None:
    run = Run("sgd-accumulate")
    history = run.fit(2)
    assert history["step"] == [3, 6] and run.trainer.step == 6          # 7 batches: 3, 3 and 1
    assert run.scheduler is not None and run.scheduler.last_epoch == 6


def test_clipping_by_value_and_by_norm() -> None:
    seen: list[np.ndarray] = []
    note = LambdaCallback(on_batch_end=lambda trainer: seen.append(np.concatenate([p.grad.numpy().ravel() for p in trainer.model.parameters()])))
    trained({"clip_value": 0.01, "callbacks": [note]})
    assert all(np.abs(g).max() <= 0.01 for g in seen) and any(np.abs(g).max() == np.float32(0.01) for g in seen)
    seen.clear()
    trained({"max_grad_norm": 0.05, "callbacks": [note]})
    assert max(np.linalg.norm(g) for g in seen) == pytest.approx(0.05, rel=1e-4)
    for name in ("max_grad_norm", "clip_value"):
        for value, error in ((0, ValueError), (-1.0, ValueError), (float("nan"), ValueError), ("1", TypeError), (True, TypeError)):
            with pytest.raises(error, match=f"Trainer: {name}: expected a number"):
                trained({name: value})


def test_schedules_per_epoch_and_per_step() -> None:
    for interval, rates in (("epoch", [0.1, 0.05, 0.025]), ("step", [0.1 / 2**5, 0.1 / 2**10, 0.1 / 2**15])):
        model, optimizer = linear()
        trainer = Trainer(model, optimizer, MSE, scheduler=lr_scheduler.ExponentialLR(optimizer, 0.5), scheduler_interval=interval)  # type: ignore[arg-type]
        assert trainer.fit((X, Y), epochs=3, batch_size=10, progress=False)["lr"] == pytest.approx(rates)


def test_plateau_gets_what_it_watches() -> None:
    def rates(monitor: str | None, mode: Any, validation: Any = None) -> list[float]:
        model, optimizer = linear()
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=0)
        values = iter([1.0, 3.0, 2.0, 4.0, 9.0, 9.0])
        trainer = Trainer(model, optimizer, MSE, scheduler=schedule, monitor=monitor, metrics={"score": Scripted(values)}, train_metrics=monitor == "score")
        return trainer.fit((X, Y), validation, epochs=4, batch_size=50, progress=False)["lr"]

    assert rates("score", "max") == [0.1, 0.1, 0.1, 0.05] and rates("score", "min") == [0.1, 0.1, 0.05, 0.025]
    assert rates("val_score", "max", (X, Y)) == [0.1, 0.1, 0.1, 0.05]
    with pytest.raises(ValueError, match="ReduceLROnPlateau: monitor: there is no 'val_score', only epoch, step, loss"):
        rates("val_score", "max")
    model, optimizer = linear()
    held_out = (X[:5], Y[:5])
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer)
    history = Trainer(model, optimizer, MSE, scheduler=schedule).fit((X, Y), held_out, epochs=2, progress=False)
    assert schedule.best == min(history["val_loss"])


class Scripted:
    """A metric whose values are given."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def reset(self) -> None:
        pass

    def update(self, output: Any, target: Any) -> None:
        pass

    def compute(self) -> float:
        return next(self.values)

    def __deepcopy__(self, memo: Any) -> Scripted:
        return self


# Wrong parts


def test_parts_of_the_wrong_kind() -> None:
    model, optimizer = linear()
    other_model, other = linear()
    schedule = lr_scheduler.StepLR(other, 1)
    cases: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
        ((nn.Linear, optimizer, MSE), {}, TypeError, "model: expected an nn.Module, got the class Linear"),
        ((lambda x: x, optimizer, MSE), {}, TypeError, "model: expected an nn.Module"),
        ((model, optim.SGD, MSE), {}, TypeError, "optimizer: expected an Optimizer, got the class SGD"),
        ((model, MSE, optimizer), {}, TypeError, "optimizer: expected an Optimizer, got a MSELoss"),
        ((model, other, MSE), {}, ValueError, "holds no parameter of the model"),
        ((model, optimizer, MSE), {"scheduler": schedule}, ValueError, "the scheduler belongs to another optimizer"),
        ((model, optimizer, MSE), {"scheduler": 3}, TypeError, "scheduler: expected a schedule"),
        ((model, optimizer, MSE), {"scheduler_interval": "batch"}, ValueError, "scheduler_interval: expected 'epoch' or 'step', got 'batch'"),
        ((model, optimizer, MSE), {"scheduler": lr_scheduler.ReduceLROnPlateau(optimizer), "scheduler_interval": "step"}, ValueError, "ReduceLROnPlateau needs"),
        ((model, optimizer, MSE), {"metrics": 3}, TypeError, "metrics: expected a dict"),
        ((model, optimizer, MSE), {"metrics": {"a": metrics.Accuracy}}, TypeError, "did you mean Accuracy()"),
        ((model, optimizer, MSE), {"metrics": {"a": 3}}, TypeError, "metrics: a: expected a metric"),
        ((model, optimizer, MSE), {"metrics": {"loss": metrics.Accuracy()}}, ValueError, "'loss' cannot be the name"),
        ((model, optimizer, MSE), {"metrics": [metrics.Accuracy(), metrics.Accuracy()]}, ValueError, "are not different"),
        ((model, optimizer, MSE), {"callbacks": [print]}, TypeError, "callbacks[0]: expected a Callback"),
        ((model, optimizer, MSE), {"callbacks": Callback()}, TypeError, "callbacks: expected a list"),
        ((model, optimizer, MSE), {"accumulate": 0}, ValueError, "accumulate: expected 1 or more, got 0"),
        ((model, optimizer, MSE), {"accumulate": 1.5}, TypeError, "accumulate: expected an int, got float"),
        ((model, optimizer, MSE), {"unpack": 3}, TypeError, "unpack: expected a function"),
        ((model, optimizer, MSE), {"generators": [pydl.Generator()]}, TypeError, "generators: expected a dict"),
        ((model, optimizer, MSE), {"generators": {"loader": pydl.Generator()}}, ValueError, "name of another one"),
    ]
    for arguments, named, error, words in cases:
        with pytest.raises(error, match="Trainer: ") as caught:
            Trainer(*arguments, **named)
        assert words in str(caught.value), str(caught.value)
    assert other_model.training


@pytest.mark.parametrize(("named", "error", "words"), [
    ({"epochs": 0}, ValueError, "fit: epochs: expected 1 or more, got 0"), ({"epochs": -3}, ValueError, "got -3"), ({"epochs": 1.0}, TypeError, "got float"),
    ({"epochs": True}, TypeError, "got a bool"), ({"batch_size": 0}, ValueError, "batch_size: expected 1 or more"), ({"batch_size": "8"}, TypeError, "got str"),
])
def test_counts_that_are_none(named: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        trained(**named)


def test_metrics_that_do_not_fit_say_which() -> None:
    model, optimizer = linear()
    before = bits(model, optimizer)
    with pytest.raises((TypeError, ValueError)) as caught:
        Trainer(model, optimizer, MSE, metrics={"hits": metrics.Accuracy()}).fit((X, Y), progress=False, shuffle=False)
    assert "hits" in caught.value.__notes__[0] and bits(model, optimizer) == before
    by_name = Trainer(model, optimizer, MSE, metrics=[metrics.MeanAbsoluteError()]).evaluate((X, Y))
    assert list(by_name) == ["loss", "mean_absolute_error"]
    history = Trainer(model, optimizer, MSE, metrics=[metrics.R2Score()], train_metrics=False).fit((X, Y), (X, Y), progress=False)
    assert history.names == ["epoch", "step", "loss", "val_loss", "val_r2_score", "lr", "seconds"]


def test_generators_of_validation_data_have_their_names() -> None:
    model, optimizer = linear()
    with pytest.raises(ValueError, match="'validation.loader' is the name of another one"):
        Trainer(model, optimizer, MSE, generators={"validation.loader": pydl.Generator()})


def test_the_generator_of_the_thread_is_put_back() -> None:
    class Careless(Dataset):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            if index == 2:
                raise OSError("gone")
            return X[index], Y[index]

    def replace(trainer: Trainer) -> None:
        use_in_thread(pydl.Generator())

    model, optimizer = linear()
    try:
        with pytest.raises(OSError, match="gone"):
            Trainer(model, optimizer, MSE, callbacks=[LambdaCallback(on_fit_begin=replace)]).fit(Careless(), batch_size=2, progress=False)
        assert current_generator() is default_generator
    finally:
        use_in_thread(None)


def test_fit_within_fit() -> None:
    model, optimizer = linear()
    inner: list[Any] = []
    again = LambdaCallback(on_epoch_end=lambda trainer, row: trainer.fit((X, Y)))
    with pytest.raises(RuntimeError, match="already in fit"):
        Trainer(model, optimizer, MSE, callbacks=[again]).fit((X, Y), progress=False)
    look = LambdaCallback(on_epoch_end=lambda trainer, row: inner.append(trainer.evaluate((X, Y))["loss"]))
    Trainer(model, optimizer, MSE, callbacks=[look]).fit((X, Y), epochs=2, progress=False)
    assert len(inner) == 2 and inner[0] != inner[1]


def test_from_two_threads_at_once() -> None:
    """Two trainers with models of their own do not disturb each other."""
    found: dict[int, list[np.ndarray]] = {}

    def work(number: int) -> None:
        model = nn.Linear(6, 1)
        with pydl.no_grad():
            for p in model.parameters():
                p.fill_(0.1)
        Trainer(model, optim.SGD(model.parameters(), lr=0.1), MSE).fit((X, Y), epochs=5, batch_size=10, shuffle=False, progress=False)
        found[number] = [p.detach().numpy() for p in model.parameters()]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(found[0], found[1])


def test_a_data_set_that_raises_says_so() -> None:
    class Broken(Dataset):
        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Any:
            if index == 13:
                raise OSError("no such picture")
            return X[index], Y[index]
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE)
    with pytest.raises(OSError, match="no such picture"):
        trainer.fit(Broken(), batch_size=5, shuffle=False, progress=False)
    assert trainer.step == 2 and trainer.status == "failed" and model.training
