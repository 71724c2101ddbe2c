"""A training run with everything that has a state, for the tests of Trainer."""
from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

import pydl
from pydl import nn, optim
from pydl.data import DataLoader, TensorDataset
from pydl.metrics import MeanAbsoluteError, R2Score
from pydl.optim import lr_scheduler
from pydl.training import Callback, Trainer
from pydl.training.steps import Steps

RNG = np.random.default_rng(3)
X = RNG.normal(size=(50, 6)).astype(np.float32)
Y = (X @ RNG.normal(size=(6, 1)) + 0.1 * RNG.normal(size=(50, 1))).astype(np.float32)

# name -> (optimizer of parameters, schedule of an optimizer or None, its interval, accumulate, own generator for the order)
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None, str, int, bool]] = {
    "sgd-onecycle": (lambda p: optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
                     lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.05, total_steps=60), "step", 1, True),
    "adamw-step": (lambda p: optim.AdamW(p, lr=1e-2, amsgrad=True), lambda o: lr_scheduler.StepLR(o, 2), "epoch", 1, False),
    "adam-plateau": (lambda p: optim.Adam(p, lr=3e-2), lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0), "epoch", 1, True),
    "sgd-accumulate": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.97), "step", 3, False),
    "adam-accumulate": (lambda p: optim.Adam(p, lr=1e-2), None, "epoch", 2, True),
}


class Run:
    """50 examples in batches of 8: 7 batches an epoch, the last of 2."""

    def __init__(self, kind: str = "sgd-onecycle", callbacks: Any = (), seed: int = 0, **named: Any) -> None:
        optimizer, schedule, interval, accumulate, own = KINDS[kind]
        pydl.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
        self.optimizer = optimizer(self.model.parameters())
        self.scheduler = None if schedule is None else schedule(self.optimizer)
        self.generator = pydl.Generator().manual_seed(seed + 7) if own else None
        self.loader = DataLoader(TensorDataset(pydl.from_numpy(X), pydl.from_numpy(Y)), batch_size=8, shuffle=True, generator=self.generator)
        self.trainer = Trainer(self.model, self.optimizer, nn.MSELoss(), scheduler=self.scheduler, scheduler_interval=interval,
                               metrics={"mae": MeanAbsoluteError(), "r2": R2Score()}, accumulate=accumulate, max_grad_norm=2.0,
                               callbacks=callbacks, **named)

    def fit(self, epochs: int = 6, **named: Any) -> Any:
        return self.trainer.fit(self.loader, (X[:20], Y[:20]), epochs=epochs, batch_size=8, progress=False, **named)

    def bits(self, rows: bool = True) -> str:
        """A digest of everything that a run consists of; the time that it took aside."""
        return bits(self.model, self.optimizer, self.scheduler, self.generator, self.trainer.history.rows if rows else [])


def bits(model: nn.Module, optimizer: Any, scheduler: Any = None, generator: Any = None, rows: Any = ()) -> str:
    state = optimizer.state_dict()["state"]
    tensors = [*model.state_dict().values(), *(value for own in state.values() for _, value in sorted(own.items()))]
    random = [pydl.get_rng_state(), *([generator.get_state()] if generator is not None else [])]
    numbers = [scheduler.state_dict() if scheduler is not None else None, [group["lr"] for group in optimizer.param_groups],
               [{name: value for name, value in row.items() if name != "seconds"} for row in rows]]
    return hashlib.sha256(b"".join(x.numpy().tobytes() for x in [*tensors, *random]) + repr(numbers).encode()).hexdigest()


class Marks(Callback):
    """Digests by the number of steps: at the beginning, after every step, and after every epoch, whose schedule may have stepped."""

    def __init__(self, run: Callable[[], Run]) -> None:
        self.run, self.seen = run, defaultdict[int, set[str]](set)

    def note(self, trainer: Trainer, row: Any = None) -> None:
        self.seen[trainer.step].add(self.run().bits(rows=False))

    on_fit_begin = on_batch_end = on_epoch_end = note


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


def steps(trainer: Trainer) -> Steps:
    """What the last run has captured."""
    assert trainer._run is not None
    return trainer._run.steps
