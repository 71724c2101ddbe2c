"""200 steps of everything that a demo trains, captured and eagerly: the same bits of losses, parameters, buffers and optimizer state."""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from capturing import training
from pydl import datasets
from pydl.demos import DEMOS, regress, xor
from pydl.demos import digits as digits_demo
from pydl.demos import mnist as mnist_demo
from pydl.demos.harness import Training, load
from pydl.training import LambdaCallback, Trainer
from training_runs import bits

STEPS = 200
MNIST = os.path.isdir(os.path.join(os.environ.get("PYDL_DATA", ""), "mnist"))
Examples = tuple[pydl.Tensor, pydl.Tensor]


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def digits_examples() -> Examples:
    pictures, labels = datasets.digits()
    return pydl.from_numpy(pictures.reshape(-1, 64).astype(np.float32) / 16), pydl.from_numpy(labels)


def mnist_examples() -> Examples:
    if not MNIST:
        return pydl.from_numpy(some(500, 28 * 28)), pydl.from_numpy(np.random.default_rng(1).integers(0, 10, 500))
    pictures, labels = datasets.mnist()
    return mnist_demo.normalised(pictures[:500], 33.3, 78.6), pydl.from_numpy(labels[:500])


def regress_examples() -> Examples:
    try:
        x, y = regress.diabetes()
    except regress.DemoError:
        x, y = some(442, 10), 100 * some(442)
    return (pydl.tensor(regress.standardised(x, np.arange(len(x))), dtype=pydl.float32),
            pydl.tensor((y[:, None] - y.mean()) / y.std(), dtype=pydl.float32))


# demo -> what it trains, its examples, how many of them make a batch
CASES: dict[str, tuple[Callable[[], Training], Callable[[], Examples], int]] = {
    "digits": (lambda: digits_demo.training(STEPS), digits_examples, digits_demo.BATCH),
    "mnist": (lambda: mnist_demo.training(STEPS), mnist_examples, mnist_demo.BATCH),
    "regress": (lambda: regress.training(10, 1.0, 0.2), regress_examples, 32),
    "xor": (xor.training, lambda: (pydl.from_numpy(xor.CORNERS), pydl.from_numpy(xor.TRUTH[:, None].copy())), 4),
}


def test_every_demo_that_trains_is_here() -> None:
    assert set(CASES) == {name for name in DEMOS if hasattr(load(name), "training")}
    for name in DEMOS:
        assert hasattr(load(name), "training") or "Trainer" not in vars(load(name)), name


def batches(x: pydl.Tensor, y: pydl.Tensor, size: int) -> list[Examples]:
    """STEPS of them, each fifth a shorter one."""
    found = []
    order = np.random.default_rng(2)
    for number in range(STEPS):
        chosen = pydl.from_numpy(order.choice(len(x), size if number % 5 else size // 2, replace=False))
        found.append((x[chosen], y[chosen]))
    return found


@pytest.mark.parametrize("demo", CASES)
def test_steps(demo: str) -> None:
    make, examples, size = CASES[demo]
    given = batches(*examples(), size)
    seen: list[Any] = []
    for how in (lambda step: step, pydl.capture):
        pydl.manual_seed(4)
        model, optimizer, loss, schedule = make()
        step = how(training(model, optimizer, loss))
        losses = []
        for x, y in given:
            losses.append(step(x, y).detach().numpy().tobytes())
            if schedule is not None:
                schedule.step()
        seen.append((losses, bits(model, optimizer, schedule)))
    assert seen[0] == seen[1] and len(set(seen[0][0])) > STEPS // 2
    assert len(step.plans) == 2 and all(len(plans) == 1 and plans[0].current for plans in step.plans.values())


@pytest.mark.parametrize("demo", CASES)
def test_trainer(demo: str, record_soon: None) -> None:
    make, examples, size = CASES[demo]
    given, held_out = batches(*examples(), size), examples()
    seen: list[Any] = []
    for capture in (False, None):
        pydl.manual_seed(4)
        parts = make()
        losses: list[float] = []
        note = LambdaCallback(on_batch_end=lambda trainer, losses=losses: losses.append(trainer.last_loss))
        trainer = Trainer(*parts[:3], scheduler=parts.schedule, scheduler_interval="step", callbacks=[note], capture=capture)
        trainer.fit(given[:STEPS // 4], held_out, epochs=4, batch_size=size, progress=False)
        assert trainer.step == STEPS
        seen.append((losses, bits(*parts[:2], parts.schedule, rows=trainer.history.rows)))
        assert trainer._run is not None and (trainer._run.steps.replays > STEPS // 2) is (capture is None)
    assert seen[0] == seen[1]
