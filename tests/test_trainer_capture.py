"""Trainer with captured steps: the same bits as without, whatever the model, the data and the callbacks do."""
from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import pydl
from pydl import metrics, nn, optim
from pydl.training import Callback, Checkpoint, LambdaCallback, Trainer
from training_runs import KINDS, MSE, RNG, Marks, Run, X, Y, bits, linear, steps

F = nn.functional
pytestmark = [pytest.mark.usefixtures("record_soon"), pytest.mark.filterwarnings("error")]
LABELS = RNG.integers(0, 4, 50)


def both(make: Callable[[], tuple[nn.Module, optim.Optimizer]], loss: Any, data: Any, *, replays: int = 5, capture: bool | None = None,
         fit: Any = None, **options: Any) -> Trainer:
    """The same digest with and without capture. -> the Trainer that captured."""
    found = []
    for how in (False, capture):
        pydl.manual_seed(1)
        model, optimizer = make()
        trainer = Trainer(model, optimizer, loss, capture=how, **options)
        trainer.fit(data, **{"epochs": 4, "batch_size": 8, "progress": False, **(fit or {})})
        outputs = trainer.predict(data, batch_size=5)
        rows = trainer.history.rows
        found.append((bits(model, optimizer, rows=rows), trainer.evaluate(data, batch_size=5),
                      [x.numpy().tobytes() for x in ((outputs.y, *outputs.rest["z"]) if isinstance(outputs, Answer) else (outputs,))]))
        assert how is not False or not steps(trainer).replays
    assert found[0] == found[1] and trainer.why_eager is None
    assert steps(trainer).replays >= replays and not steps(trainer).functions
    return trainer


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run(kind: str, tmp_path: Path) -> None:
    """After every step, with all callbacks and a resumed run."""
    seen = []
    for capture in (False, None):
        holder: list[Run] = []
        marks = Marks(lambda holder=holder: holder[0])
        holder.append(Run(kind, [marks, Checkpoint(tmp_path / f"{capture}-{{step}}.st", 1, interval="step")], capture=capture))
        holder[0].fit()
        seen.append((marks.seen, holder[0].bits()))
    assert seen[0] == seen[1] and steps(holder[0].trainer).replays >= 50
    step = sorted(seen[0][0])[-5]
    for capture, path in ((None, False), (False, None)):
        run = Run(kind, seed=11, capture=capture)
        run.fit(resume=tmp_path / f"{path}-{step}.st")
        assert run.bits() == seen[0][1]


def mlp(*layers: nn.Module, outputs: int = 4) -> Callable[[], tuple[nn.Module, optim.Optimizer]]:
    def make() -> tuple[nn.Module, optim.Optimizer]:
        model = nn.Sequential(nn.Linear(6, 8), *(type(one)(*arguments) for one, arguments in ((layer, made(layer)) for layer in layers)),
                              nn.Linear(8, outputs))
        return model, optim.Adam(model.parameters(), lr=0.01)
    return make


def made(layer: nn.Module) -> tuple[Any, ...]:
    return (8,) if isinstance(layer, nn.BatchNorm1d) else (0.4,) if isinstance(layer, nn.Dropout) else ()


@pytest.mark.parametrize("options", [
    {}, {"accumulate": 3}, {"clip_value": 0.05, "max_grad_norm": 0.1}, {"metrics": {"accuracy": metrics.Accuracy()}, "accumulate": 2},
    {"check_finite": False},
])
def test_batch_norm_dropout_and_labels(options: Any) -> None:
    both(mlp(nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4)), nn.CrossEntropyLoss(label_smoothing=0.1), (X, LABELS), **options)


@pytest.mark.parametrize("loss", [
    nn.CrossEntropyLoss(weight=pydl.tensor([0.1, 2.0, 0.5, 1.0]), ignore_index=2), nn.CrossEntropyLoss(ignore_index=1, reduction="sum"), F.cross_entropy,
])
def test_labels_that_count_differently(loss: Any) -> None:
    """Every batch has another share of its step, which is no constant of a plan; some have none."""
    labels = LABELS.copy()
    labels[16:24] = 2
    both(mlp(nn.Tanh()), loss, (X, labels), accumulate=3, fit={"shuffle": False})


@pytest.mark.parametrize("accumulate", [1, 2, 5, 25])
def test_batches_of_a_step_share_two_plans(accumulate: int) -> None:
    """The first makes gradients, the others add to them."""
    trainer = both(mlp(nn.Tanh(), nn.Dropout(0.4)), F.cross_entropy, (X, LABELS), accumulate=accumulate, fit={"batch_size": 1}, replays=100)
    assert steps(trainer).recordings == min(accumulate, 2)


@pytest.mark.parametrize("loss", [MSE, nn.MSELoss(reduction="sum"), F.smooth_l1_loss])
def test_weights(loss: Any) -> None:
    both(mlp(nn.GELU(), outputs=1), loss, (X, Y, 1 + np.arange(50.0) % 3 / 7), accumulate=2)
    both(mlp(nn.GELU(), outputs=1), loss, (X, Y, 1 + np.arange(50.0) % 3 / 7))


class Answer(NamedTuple):
    y: pydl.Tensor
    rest: dict[str, Any]


class Two(nn.Module):
    """Of two inputs by name, which are in pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, a: pydl.Tensor, b: tuple[pydl.Tensor, pydl.Tensor]) -> Any:
        return Answer((self.left(a) + self.right(b[0])).tanh(), {"z": [b[1] * 2]})


def make_two() -> tuple[nn.Module, optim.Optimizer]:
    model = Two()
    return model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def test_structures() -> None:
    data = ({"a": X, "b": (X[:, ::-1].copy(), Y)}, {"t": Y})
    trainer = both(make_two, lambda out, target: ((out.y.sum(1, keepdim=True) - target["t"] + out.rest["z"][0]) ** 2).mean(), data, capture=True)
    assert type(trainer.predict(data)) is Answer


# What others see, and change


def test_callbacks_may_keep_gradients_and_metrics_outputs() -> None:
    class Keeping:
        def reset(self) -> None:
            self.outputs: list[pydl.Tensor] = []

        def update(self, output: pydl.Tensor, target: pydl.Tensor) -> None:
            self.outputs.append(output)

        def compute(self) -> list[float]:
            return pydl.cat([x.detach() for x in self.outputs])[:, 0].tolist()

    class Looks(Callback):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_batch_end(self, trainer: Trainer) -> None:
            self.seen.append([p.grad for p in trainer.model.parameters()])

        def on_epoch_begin(self, trainer: Trainer) -> None:
            self.seen.append([p.grad for p in trainer.model.parameters() if p.grad is not None])

        on_epoch_end = on_fit_end = lambda self, trainer, row=None: self.on_epoch_begin(trainer)       # type: ignore[assignment]

    found = []
    for capture in (False, None):
        model, optimizer = linear(dropout=0.3)
        looks = Looks()
        trainer = Trainer(model, optimizer, MSE, metrics={"kept": Keeping()}, callbacks=[looks], capture=capture, max_grad_norm=1.0)
        trainer.fit((X, Y), (X, Y), epochs=4, batch_size=10, progress=False)
        found.append(([[g.numpy().tobytes() for g in gradients] for gradients in looks.seen], bits(model, optimizer, rows=trainer.history.rows)))
    assert found[0] == found[1] and steps(trainer).replays > 30


CHANGES: dict[str, Callable[[Trainer], Any]] = {
    "learning rate": lambda t: t.optimizer.param_groups[0].update(lr=0.5),
    "frozen": lambda t: t.model[0].weight.requires_grad_(False),                    # type: ignore[index]
    "another group": lambda t: t.optimizer.add_param_group({"params": t.model[3].parameters()}) if len(t.optimizer.param_groups) < 2 else None,   # type: ignore[index]
    "group without": lambda t: t.optimizer.param_groups[0]["params"].pop(),
    "another layer": lambda t: setattr(t.model, "1", nn.ReLU()),
    "layer in evaluation": lambda t: t.model[2].eval(),                             # type: ignore[index]
    "attribute": lambda t: setattr(t.model[2], "p", 0.9),                           # type: ignore[index]
    "bounds": lambda t: vars(t).update(max_grad_norm=0.01, clip_value=0.001),
    "model": lambda t: setattr(t, "model", nn.Sequential(t.model[0], nn.Sigmoid(), nn.Dropout(0.1), t.model[-1])),    # type: ignore[index]
    "state": lambda t: t.optimizer.load_state_dict(t.optimizer.state_dict()),
    "values": lambda t: t.model.load_state_dict({name: 0.5 * x for name, x in t.model.state_dict().items()}),
    "type": lambda t: t.model.double().float(),
    "seed": lambda t: pydl.manual_seed(77),
    "prediction": lambda t: t.predict(X),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_by_callbacks(change: str) -> None:
    def make() -> tuple[nn.Module, optim.Optimizer]:
        model, _ = linear(dropout=0.3)
        return model, optim.SGD((model[0] if change == "another group" else model).parameters(), lr=0.02, momentum=0.9)      # type: ignore[index]

    def at_ten(trainer: Trainer) -> None:
        if trainer.step in (10, 13):
            CHANGES[change](trainer)

    found = []
    for capture in (False, None):
        model, optimizer = make()
        trainer = Trainer(model, optimizer, MSE, metrics=[metrics.MeanAbsoluteError()], callbacks=[LambdaCallback(on_batch_end=at_ten)], capture=capture)
        trainer.fit((X, Y), (X, Y), epochs=8, batch_size=10, progress=False)
        found.append(bits(model, optimizer, rows=trainer.history.rows))
    assert found[0] == found[1] and steps(trainer).replays > 40


def test_errors_are_the_same() -> None:
    """At the same step, with the parameters before it."""
    def poisoned() -> list[Any]:
        rows = [(pydl.from_numpy(X[:8].copy()), pydl.from_numpy(Y[:8].copy())) for _ in range(6)]
        rows[5][0].mul_(float("inf"))
        return rows

    def huge() -> list[Any]:
        rows = poisoned()
        rows[5][0].copy_(pydl.full((8, 6), 1e30))
        return rows

    def out_of_range() -> list[Any]:
        return [(x, pydl.zeros(8, dtype=pydl.int64) + 5 * (number == 5)) for number, (x, _) in enumerate(poisoned()[:5] * 2)]

    for data, loss, options in ((poisoned, MSE, {}), (huge, nn.L1Loss(reduction="sum"), {"max_grad_norm": 1.0}), (out_of_range, nn.CrossEntropyLoss(), {})):
        found = []
        for capture in (False, None):
            pydl.manual_seed(1)
            model = nn.Sequential(nn.Linear(6, 4), nn.Tanh() if data is out_of_range else nn.Linear(4, 1))
            if data is huge:
                model[1].weight.data.mul_(1e15)
            optimizer = optim.SGD(model.parameters(), lr=1e-9)
            trainer = Trainer(model, optimizer, loss, capture=capture, **options)
            with pytest.raises((FloatingPointError, IndexError)) as caught:
                trainer.fit(data(), progress=False)
            found.append((str(caught.value), type(caught.value), trainer.step, bits(model, optimizer)))
            assert all(p.grad is None for p in model.parameters())
        assert found[0] == found[1] and found[0][2] == 5 and steps(trainer).replays >= 3, found


def test_a_loss_without_gradient() -> None:
    model, optimizer = linear()
    for p in model.parameters():
        p.requires_grad_(False)
    for capture in (False, None):
        with pytest.raises(RuntimeError, match="does not depend on any parameter"):
            Trainer(model, optimizer, MSE, capture=capture).fit((X, Y), progress=False)


def test_predictions_inside_of_a_capture_and_from_threads() -> None:
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE)
    expected = trainer.predict(X, batch_size=5).numpy()
    captured = pydl.capture(lambda x: trainer.predict(x, batch_size=5), fallback="eager")
    with pytest.warns(UserWarning, match="capture: runs eagerly"):
        assert (captured(pydl.from_numpy(X)).numpy() == expected).all()
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: [trainer.predict(X, batch_size=5).numpy() for _ in range(20)]})) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and all((one == expected).all() for several in found.values() for one in several)


def test_nothing_is_held_afterwards() -> None:
    model, optimizer = linear()
    trainer = Trainer(model, optimizer, MSE)
    trainer.fit((X, Y), epochs=2, batch_size=5, progress=False)
    before = pydl.memory_stats()["allocated"]
    for _ in range(5):
        trainer.fit((X, Y), epochs=2, batch_size=5, progress=False)
        assert steps(trainer).replays > 10
    assert pydl.memory_stats()["allocated"] <= before
    twin = copy.deepcopy(trainer)
    for one in (trainer, twin):
        one.fit((X, Y), epochs=2, batch_size=5, shuffle=False, progress=False)
    assert steps(twin).trainer is twin and bits(model, optimizer) == bits(twin.model, twin.optimizer)


def test_the_argument() -> None:
    model, optimizer = linear()
    for value in ("auto", 1, np.ones(2)):
        with pytest.raises(TypeError, match="Trainer: capture: expected True, False or None, got a "):
            Trainer(model, optimizer, MSE, capture=value)       # type: ignore[arg-type]
