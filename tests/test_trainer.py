"""Trainer against the loop that one would write by hand; its data, weights, accumulation, clipping, schedules and refusals."""
from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import metrics, nn, optim
from pydl.data import DataLoader, Dataset, Subset, TensorDataset
from pydl.optim import lr_scheduler
from pydl.training import Callback, LambdaCallback, Trainer
from training_runs import Run, X, Y, bits

MSE = nn.MSELoss()


def linear(seed: int = 0, dtype: Any = pydl.float32, **named: Any) -> tuple[nn.Module, optim.Optimizer]:
    pydl.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(named.pop("dropout", 0.0)), nn.Linear(8, 1)).to(dtype)
    return model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def trained(trainer_options: Any = None, **fit_options: Any) -> list[np.ndarray]:
    """The parameters after three epochs on X and Y, in order."""
    model, optimizer = linear(dtype=fit_options.pop("dtype", pydl.float32))
    trainer = Trainer(model, optimizer, fit_options.pop("loss", MSE), **(trainer_options or {}))
    trainer.fit(fit_options.pop("data", (X, Y)), **{"epochs": 3, "batch_size": 10, "shuffle": False, "progress": False, **fit_options})
    return [p.detach().numpy().copy() for p in model.parameters()]


def close(a: list[np.ndarray], b: list[np.ndarray], rtol: float = 1e-9) -> bool:
    return all(np.allclose(p, q, rtol=rtol, atol=rtol) for p, q in zip(a, b, strict=True))


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


# The loop


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


# Data


def test_the_same_data_in_every_form() -> None:
    x, y = pydl.from_numpy(X), pydl.from_numpy(Y)
    whole = TensorDataset(x, y)

    class Samples:          # like PyTorch's: no base class, no gather
        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: int) -> Any:
            if index >= 50:
                raise IndexError
            return x[index], Y[index]

    batches = [(x[i:i + 10], y[i:i + 10]) for i in range(0, 50, 10)]
    expected = trained()
    for data in ((x, y), (X.astype(np.float64), Y), whole, Subset(whole, range(50)), Samples(), DataLoader(whole, batch_size=10), batches,
                 [[X[i:i + 10], Y[i:i + 10]] for i in range(0, 50, 10)]):
        assert same(trained(data=data), expected), type(data)


def test_inputs_that_are_dicts_or_tuples() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear()[0]

        def forward(self, left: pydl.Tensor, right: pydl.Tensor) -> pydl.Tensor:
            return self.inner(pydl.cat([left, right], 1))

    def run(data: Any, **named: Any) -> list[np.ndarray]:
        model = Pair()
        trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9), MSE, **named)
        trainer.fit(data, epochs=3, batch_size=10, shuffle=False, progress=False)
        return [p.detach().numpy() for p in model.parameters()]

    a, b, expected = X[:, :2], X[:, 2:], trained()
    assert same(run(({"right": b, "left": a}, Y)), expected) and same(run(((a, b), Y)), expected)
    batches = [{"left": a[i:i + 10], "right": b[i:i + 10], "y": Y[i:i + 10]} for i in range(0, 50, 10)]
    assert same(run(batches, unpack=lambda batch: ((batch["left"], batch["right"]), batch["y"])), expected)
    with pytest.raises(TypeError, match="expected .inputs, target. or .inputs, target, weight., got dict; unpack="):
        run(batches)


def test_shuffling_is_that_of_the_seed() -> None:
    assert same(trained(shuffle=True), trained(shuffle=True)) and not same(trained(shuffle=True), trained())


@pytest.mark.parametrize("data", [[], iter(()), (X[:0], Y[:0]), DataLoader(TensorDataset(pydl.zeros(3, 6), pydl.zeros(3, 1)), 4, drop_last=True)])
def test_no_batches(data: Any) -> None:
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE)
    for call, name in ((lambda: trainer.fit(data, progress=False), "fit"), (lambda: trainer.evaluate(data), "evaluate"),
                       (lambda: trainer.predict(data), "predict"), (lambda: trainer.fit((X, Y), data, progress=False), "fit: validation")):
        with pytest.raises(ValueError, match=f"^{name}: (the training data|the data) gave no batches"):
            call()


def test_generators_of_batches() -> None:
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE)
    assert len(trainer.fit(((X[i:i + 10], Y[i:i + 10]) for i in range(0, 50, 10)), progress=False)) == 1 and trainer.step == 5
    with pytest.raises(TypeError, match="a generator gives its batches only once, but there are 2 epochs"):
        trainer.fit(((X, Y) for _ in range(3)), epochs=2, progress=False)
    with pytest.raises(TypeError, match="a list_iterator gives its batches only once"):
        trainer.fit((X, Y), iter([(X, Y)]), epochs=2, progress=False)


@pytest.mark.parametrize(("data", "error", "words"), [
    (3, TypeError, "got int"), (None, TypeError, "got NoneType"), ("xy", TypeError, "got str"), ({"x": 3}, TypeError, "got dict"),
    ((X, Y[:3]), ValueError, "same length"), ((X,), TypeError, "got 1 parts"), ((X[:4], Y[:4], Y[:4, 0], Y[:4]), TypeError, "got 4 parts"),
    ([X, Y], TypeError, "got ndarray"), ((), ValueError, "no batches"),
    ((np.array([None, 1]), Y), TypeError, "Python objects"), ((pydl.tensor(3.0), Y), ValueError, "one or more dimensions"), ([3], TypeError, "got int"),
    ((X[:, :5], Y), ValueError, "linear"), ((pydl.zeros(50, 6, dtype=pydl.float64), Y), TypeError, "float64"), (X, TypeError, "got Tensor"),
])
def test_data_that_is_none(data: Any, error: type[Exception], words: str) -> None:
    model, optimizer = linear()
    before = bits(model, optimizer)
    with pytest.raises(error, match=words):
        Trainer(model, optimizer, MSE).fit(data, progress=False, shuffle=False)
    assert bits(model, optimizer) == before and model.training


# Losses and weights


def test_weights_of_examples() -> None:
    weight = np.arange(50) % 3
    by_hand: list[float] = []

    def weighted(out: pydl.Tensor, y: pydl.Tensor, w: pydl.Tensor) -> pydl.Tensor:
        loss = (w * ((out - y) ** 2)[:, 0]).sum() / w.sum()
        by_hand.append(loss.item())
        return loss

    data = (X, Y, weight.astype(np.float32))
    expected = trained(data=data, loss=weighted)
    assert close(trained(data=data, loss=MSE), expected, 1e-5)
    assert close(trained(data=data, loss=nn.functional.mse_loss), expected, 1e-5)
    assert close(trained(data=(X, Y, np.full(50, 2, np.float32))), trained(), 1e-5)
    repeated = np.repeat(np.arange(10), weight[:10])        # a weight is as good as so many copies
    once = trained(data=(X[:10], Y[:10], weight[:10]), epochs=1)
    assert close(once, trained(data=(X[repeated], Y[repeated]), batch_size=99, epochs=1), 1e-5)
    model, optimizer = linear()
    mean = Trainer(model, optimizer, MSE).evaluate(data, batch_size=7)["loss"]
    error = (model(pydl.from_numpy(X)).detach().numpy() - Y)[:, 0] ** 2
    assert mean == pytest.approx(float(np.average(error, weights=weight)), rel=1e-5)


@pytest.mark.parametrize(("weight", "words"), [
    (np.zeros(50, np.float32), "sum above 0, got 0"), (np.full(50, np.nan, np.float32), "sum above 0, got nan"),
    (np.ones((50, 1), np.float32), r"shape \(10, 1\)"), (-np.ones(50, np.float32), "sum above 0, got -10"),
])
def test_weights_that_are_none(weight: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trained(data=(X, Y, weight))


def test_losses_that_are_none() -> None:
    model, optimizer = linear()
    for loss, error, words in (
        (3, TypeError, "got a int"), (nn.MSELoss, TypeError, "did you mean MSELoss()"), (nn.MSELoss(reduction="none"), ValueError, "reduction='none'"),
    ):
        with pytest.raises(error) as caught:
            Trainer(model, optimizer, loss)         # type: ignore[arg-type]
        assert words in str(caught.value)
    before = bits(model, optimizer)
    for loss, error, words in (
        (lambda out, y: (out - y) ** 2, ValueError, "returned a tensor of shape (10, 1), expected one number"), (lambda out, y: 3.0, TypeError, "returned a float"),
        (lambda out, y: y.sum(), RuntimeError, "does not depend on any parameter"), (lambda out: out.sum(), TypeError, "positional"),
    ):
        with pytest.raises(error) as caught:
            Trainer(model, optimizer, loss).fit((X, Y), batch_size=10, shuffle=False, progress=False)       # type: ignore[arg-type]
        assert words in str(caught.value), str(caught.value)
        assert bits(model, optimizer) == before


def test_a_loss_that_is_nan_or_infinite() -> None:
    x = X.copy()
    x[25] = np.nan
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE, metrics={"mse": metrics.MeanSquaredError()})
    with pytest.raises(FloatingPointError, match="the loss is nan at step 3, in epoch 1; the parameters are those before that step"):
        trainer.fit((x, Y), batch_size=10, shuffle=False, progress=False)
    assert trainer.step == 2 and trainer.status == "failed" and len(trainer.history) == 0
    two = [p.detach().numpy() for p in model.parameters()]
    assert same(two, trained(data=(X[:20], Y[:20]), epochs=1))
    assert all(np.isnan(p).any() for p in trained({"check_finite": False}, data=(x, Y)))
    model, optimizer = linear()
    with pytest.raises(FloatingPointError, match="the norm of the gradient is (inf|nan) at step 1"):
        Trainer(model, optimizer, lambda out, y: (out - y).square().mean() * 0 + (out * 0).sqrt().sum(), max_grad_norm=1).fit((X, Y), progress=False)
    assert all(np.isfinite(p.detach().numpy()).all() for p in model.parameters())


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
