"""What a Trainer is given: data in every form, weights of examples, losses; and what is refused."""
from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import metrics, nn, optim
from pydl.data import DataLoader, Subset, TensorDataset
from pydl.training import Trainer
from training_runs import MSE, RNG, X, Y, bits, close, linear, same, trained


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


def test_a_reduction_that_is_a_default_or_bound() -> None:
    def own(out: pydl.Tensor, y: pydl.Tensor, reduction: str = "sum") -> pydl.Tensor:
        return nn.functional.mse_loss(out, y, reduction=reduction)

    weights = (X, Y, 1 + np.arange(50.0, dtype=np.float32) % 4)
    for data in ((X, Y), weights):
        options: dict[str, Any] = {"max_grad_norm": 1.0, "accumulate": 2}
        expected = trained(options, data=data, loss=nn.MSELoss(reduction="sum"))
        model, optimizer = linear()
        mean = Trainer(model, optimizer, nn.MSELoss(reduction="sum")).evaluate(data, batch_size=7)
        for loss in (functools.partial(nn.functional.mse_loss, reduction="sum"), own, functools.partial(functools.partial(own), reduction="sum")):
            assert same(trained(options, data=data, loss=loss), expected)
            model, optimizer = linear()
            assert Trainer(model, optimizer, loss).evaluate(data, batch_size=7) == mean
    assert same(trained(loss=functools.partial(own, reduction="mean")), trained())
    with pytest.raises(ValueError, match="reduction='none'"):
        trained(loss=functools.partial(own, reduction="none"))


F = nn.functional
CLASS_WEIGHT = pydl.tensor([1.0, 4.0, 0.5], dtype=pydl.float64)
LOSSES = {
    "ignored": nn.CrossEntropyLoss(ignore_index=1), "weighted": nn.CrossEntropyLoss(CLASS_WEIGHT),
    "smooth": nn.CrossEntropyLoss(CLASS_WEIGHT, ignore_index=2, label_smoothing=0.2),
    "plain": nn.CrossEntropyLoss(), "function": F.cross_entropy, "partial": functools.partial(F.cross_entropy, weight=CLASS_WEIGHT, ignore_index=0),
    "nll": nn.NLLLoss(CLASS_WEIGHT),
}


@pytest.mark.parametrize("name", LOSSES)
def test_labels_that_count_differently(name: str) -> None:
    """Steps of several batches, and means over batches, are those of one large batch."""
    loss, labels = LOSSES[name], RNG.integers(0, 3, 50)
    if name in ("plain", "function", "weighted", "nll"):
        labels[[3, 4, 5, 30]] = -100

    def run(batch_size: int, accumulate: int) -> tuple[Any, ...]:
        pydl.manual_seed(1)
        model = nn.Linear(6, 3).to(pydl.float64)
        parts = nn.Sequential(model, nn.LogSoftmax(1)) if name == "nll" else model
        trainer = Trainer(parts, optim.SGD(model.parameters(), lr=0.5), loss, accumulate=accumulate)
        history = trainer.fit((X, labels), epochs=3, batch_size=batch_size, shuffle=False, progress=False)
        return (*(p.detach().numpy() for p in model.parameters()), history["loss"], trainer.evaluate((X, labels), batch_size=batch_size)["loss"])

    for one, other in zip(run(50, 1), run(8, 7), strict=True):
        assert np.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_batches_of_ignored_labels_alone_count_nothing() -> None:
    labels = RNG.integers(0, 3, 50)
    labels[10:20] = -100
    kept = np.r_[:10, 20:50]

    def run(x: Any, y: Any, accumulate: int = 1) -> tuple[Trainer, Any]:
        pydl.manual_seed(1)
        model = nn.Linear(6, 3)
        trainer = Trainer(model, optim.Adam(model.parameters()), nn.CrossEntropyLoss(), accumulate=accumulate, max_grad_norm=1.0)
        return trainer, trainer.fit((x, y), (x, y), epochs=2, batch_size=10, shuffle=False, progress=False)

    (one, first), (two, second) = run(X, labels), run(X[kept], labels[kept])
    assert first["loss"] == second["loss"] and first["val_loss"] == second["val_loss"]
    assert all((p == q).all().item() for p, q in zip(one.model.parameters(), two.model.parameters(), strict=True))
    assert one.evaluate((X, labels), batch_size=10) == two.evaluate((X[kept], labels[kept]), batch_size=10)
    assert np.isnan(one.evaluate((X[10:20], labels[10:20]), batch_size=5)["loss"])
    assert np.isnan(run(X[10:20], labels[10:20], 2)[1]["loss"]).all()
    with pytest.raises(ValueError, match="the data gave no batches"):
        one.evaluate([])
