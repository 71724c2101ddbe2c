"""What a Trainer does not capture, and that it then runs as ever."""
from __future__ import annotations

import functools
import gc
import random
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import nn, optim
from pydl.training import LambdaCallback, Trainer
from pydl.training import steps as steps_of
from pydl.training.steps import known_function, known_module
from training_runs import MSE, X, Y, bits, linear, steps

F = nn.functional
pytestmark = [pytest.mark.usefixtures("record_soon"), pytest.mark.filterwarnings("error")]


# What must not be captured unasked


calls: list[int] = []


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.stream = nn.Linear(6, 1), random.Random(0)

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        calls.append(1)
        return self.layer(x) * self.stream.random()


class OwnLinear(nn.Linear):
    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        calls.append(1)
        return super().forward(x)


def own_loss(output: pydl.Tensor, target: pydl.Tensor) -> pydl.Tensor:
    calls.append(1)
    return F.mse_loss(output, target)


def hooked(*_: Any) -> None:
    calls.append(1)


def changed(change: Callable[[Any], Any]) -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 1))
    change(model)
    return model


def patch(model: Any) -> None:
    plain = model[0].forward
    model[0].forward = lambda x: hooked() or plain(x)


@pytest.mark.parametrize(("make", "loss"), [
    (Own, MSE), (lambda: nn.Sequential(OwnLinear(6, 1)), MSE), (lambda: changed(patch), MSE),
    (lambda: changed(lambda model: model[0].register_forward_hook(hooked)), MSE),
    (lambda: changed(lambda model: model.register_full_backward_hook(hooked)), MSE),
    (lambda: changed(lambda model: model[0].weight.register_hook(hooked)), MSE),
    (lambda: nn.Linear(6, 1), own_loss), (lambda: nn.Linear(6, 1), functools.partial(own_loss)),
    (lambda: nn.Linear(6, 1), lambda output, target: own_loss(output, target)),
], ids=range(9))
def test_own_code_only_if_asked(make: Callable[[], nn.Module], loss: Any) -> None:
    """Python code of the user's may do something else at every call: it runs at every call, unless capture=True."""
    counts = []
    for capture in (False, None, True):
        pydl.manual_seed(0)
        calls.clear()
        model = make()
        trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.01), loss, capture=capture)
        trainer.fit((X, Y), epochs=3, batch_size=10, progress=False)
        counts.append((len(calls), bits(model, trainer.optimizer, rows=trainer.history.rows)))
        assert steps(trainer).recordings == (capture is True)
    assert counts[0] == counts[1] and counts[0][0] == 15 and counts[2][0] == 2


def test_functions_that_modules_hold() -> None:
    """A distance of the user's own within a loss of pydl's."""
    for distance in (own_loss, nn.PairwiseDistance()):
        loss = nn.TripletMarginWithDistanceLoss(distance_function=distance)
        assert known_module(loss) is (distance is not own_loss)
    assert known_function(functools.partial(F.cross_entropy, label_smoothing=0.1, weight=pydl.ones(3)))
    assert not known_function(functools.partial(F.triplet_margin_with_distance_loss, distance_function=own_loss))


def test_a_hook_on_all_modules_and_one_that_comes_later() -> None:
    model, optimizer = linear()
    handles: list[Any] = []
    calls.clear()

    def add(trainer: Trainer) -> None:
        if trainer.step == 10:
            handles.append(nn.modules.module.register_module_forward_hook(hooked))

    trainer = Trainer(model, optimizer, MSE, callbacks=[LambdaCallback(on_batch_end=add)])
    try:
        trainer.fit((X, Y), epochs=4, batch_size=10, progress=False)
    finally:
        handles[0].remove()
    assert len(calls) == 10 * (len(list(model.modules())) + 1) and steps(trainer).recordings == 1      # the loss is a module, too


# What cannot be captured


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 1)

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        y = self.layer(x)
        return y * 2 if y.mean().item() > 0 else y


class WithNumPy(Branches):
    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        return self.layer(pydl.from_numpy(np.sort(x.numpy(), axis=1)))


class Counts(Branches):
    calls = 0

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        self.calls += 1
        return self.layer(x) * self.calls


class Keeps(Branches):
    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        vars(self)["kept"] = self.layer(x)
        return vars(self)["kept"] * 2


class Returns(Branches):
    def forward(self, x: pydl.Tensor) -> Any:
        return OrderedDict(y=self.layer(x))


@pytest.mark.parametrize("kind", [Branches, WithNumPy, Counts, Keeps, Returns])
def test_it_runs_as_it_is_with_one_warning(kind: type[nn.Module]) -> None:
    def make() -> tuple[nn.Module, optim.Optimizer]:
        model = kind()
        return model, optim.Adam(model.parameters(), lr=0.01)

    def loss(output: Any, target: pydl.Tensor) -> pydl.Tensor:
        return F.mse_loss(output["y"] if isinstance(output, OrderedDict) else output, target)

    found = []
    for capture in (False, True):
        pydl.manual_seed(1)
        model, optimizer = make()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer = Trainer(model, optimizer, loss, capture=capture, metrics={"m": lambda out, y: float(len(y))})
            trainer.fit((X, Y), (X, Y), epochs=12, batch_size=10, progress=False)
            outputs = trainer.predict((X, Y), batch_size=5)
        assert [str(one.message).startswith("Trainer: capture=True, but runs eagerly: ") for one in caught] == [True] * capture
        found.append((bits(model, optimizer, rows=trainer.history.rows), type(outputs)))
    assert found[0] == found[1] and trainer.why_eager is not None


def test_what_is_no_tensor_in_a_batch() -> None:
    class Repeats(Branches):
        def forward(self, x: pydl.Tensor, times: int) -> pydl.Tensor:
            return self.layer(x) * times

    def batches() -> list[Any]:
        return [((pydl.from_numpy(X[:8]), number), pydl.from_numpy(Y[:8])) for number in range(10)]

    found = []
    for capture in (False, True):
        pydl.manual_seed(1)
        model = Repeats()
        optimizer = optim.SGD(model.parameters(), lr=0.001)
        trainer = Trainer(model, optimizer, MSE, capture=capture)
        trainer.fit(batches(), epochs=3, progress=False)
        found.append(bits(model, optimizer, rows=trainer.history.rows))
        assert not steps(trainer).recordings
    assert found[0] == found[1]


def test_short_runs_and_shapes_that_never_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording must be worth it: it takes as long as many steps."""
    monkeypatch.setattr(steps_of, "WORTH", 100)
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE)
    trainer.fit([(pydl.ones(1 + number % 100, 6), pydl.ones(1 + number % 100, 1)) for number in range(300)], progress=False)
    assert trainer.step == 300 and not steps(trainer).recordings
    trainer.fit((X, Y), epochs=3, batch_size=1, progress=False)
    assert trainer.step == 150 and not steps(trainer).recordings


def test_long_steps_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps_of, "SLOW", 0.0)
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE)
    trainer.fit((X, Y), epochs=4, progress=False)
    assert not steps(trainer).recordings


class Averaging(pydl.optim.SGD):
    """Steps with the mean of the last two gradients, which it keeps."""

    before: list[pydl.Tensor] | None = None

    def step(self, closure: object = None) -> None:
        parameters = [p for group in self.param_groups for p in group["params"]]
        now = [p.grad for p in parameters]
        if self.before is not None:
            for p, old in zip(parameters, self.before, strict=True):
                p.grad = (p.grad + old) / 2
        self.before = now
        super().step()


def test_an_optimizer_may_keep_gradients() -> None:
    found = []
    for capture in (False, None, True):
        pydl.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        trainer = Trainer(model, Averaging(model.parameters(), lr=0.1), nn.MSELoss(), capture=capture)
        x = pydl.linspace(-1, 1, 128).reshape(32, 4)
        trainer.fit((x, x.sum(1, keepdim=True)), epochs=4, batch_size=8, progress=False)
        found.append([p.detach().numpy().copy() for p in model.parameters()])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_prediction_holds_no_memory_afterwards() -> None:
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 4))
    trainer, x = Trainer(model, pydl.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss()), pydl.zeros(512, 64)
    trainer.predict(x, batch_size=64)
    before = pydl.memory_stats()["allocated"]
    gc.disable()
    try:
        for _ in range(3):
            trainer.predict(x, batch_size=64)
            trainer.evaluate((x, pydl.zeros(512, 4)), batch_size=64)
    finally:
        gc.enable()
    assert pydl.memory_stats()["allocated"] <= before
