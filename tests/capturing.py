"""Models, optimizers and runs for the tests of captured functions."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pydl
from calls import same_bits
from pydl import nn
from pydl.nn import functional as F

STEPS = 30
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: pydl.optim.SGD(p, lr=0.1),
    "SGD momentum": lambda p: pydl.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: pydl.optim.Adam(p, lr=0.01),
    "Adam amsgrad": lambda p: pydl.optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda p: pydl.optim.AdamW(p, lr=0.01),
    **{name: lambda p, name=name: getattr(pydl.optim, name)(p) for name in
       ("RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop")},
}
MODELS: dict[str, Callable[[], Any]] = {
    "mlp": lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)),
    "tanh": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4), nn.Softplus()),
    "dropout": lambda: nn.Sequential(nn.Linear(6, 32), nn.GELU(), nn.Dropout(0.3), nn.Linear(32, 4)),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 4)),
    "layer norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.LeakyReLU(), nn.Linear(8, 4)),
    "double": lambda: nn.Sequential(nn.Linear(6, 8, dtype=pydl.float64), nn.Mish(), nn.Linear(8, 4, dtype=pydl.float64)),
}


def batches(count: int = STEPS, dtype: str = "float32") -> list[tuple[pydl.Tensor, pydl.Tensor]]:
    rng = np.random.default_rng(0)
    return [(pydl.tensor(rng.standard_normal((12, 6)).astype(dtype)), pydl.tensor(rng.integers(0, 4, 12))) for _ in range(count)]


def training(model: Any, optimizer: Any, loss: Any = F.cross_entropy) -> Callable[..., Any]:
    def step(x: pydl.Tensor, t: pydl.Tensor) -> Any:
        optimizer.zero_grad()
        value = loss(model(x), t)
        value.backward()
        optimizer.step()
        return value

    return step


def twins(model: str, optimizer: str, loss: Any = F.cross_entropy) -> list[tuple[Any, Any, Callable[..., Any]]]:
    made = []
    for _ in range(2):
        pydl.manual_seed(3)
        one = MODELS[model]()
        opt = OPTIMIZERS[optimizer](one.parameters())
        made.append((one, opt, training(one, opt, loss)))
    return made


def assert_same(a: Any, b: Any) -> None:
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy(), err_msg=name)


def run_both(eager: Callable[..., Any], captured: Callable[..., Any], data: list[tuple[Any, ...]], seed: int = 5) -> None:
    """The same losses, for the same random numbers."""
    losses: list[list[float]] = []
    for step in (eager, captured):
        pydl.manual_seed(seed)
        losses.append([step(*batch).item() for batch in data])
    assert losses[0] == losses[1]


def numbers(*shape: int, seed: int = 0) -> pydl.Tensor:
    return pydl.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def kernels(captured: Any) -> list[str]:
    """Of the launches of the plan that was replayed last."""
    lines = captured.describe().splitlines()
    return [line.split()[1] for line in lines if line[:4].strip().isdigit()]


def agree(step: Callable[..., Any], *calls: tuple[pydl.Tensor, ...]) -> Any:
    """Captures step, compares the bits of every call with an eager one, returns what was captured."""
    captured = pydl.capture(step)
    for args in calls:
        eager, replayed = step(*args), captured(*args)
        for a, b in zip(eager if isinstance(eager, tuple) else (eager,), replayed if isinstance(replayed, tuple) else (replayed,)):
            assert same_bits(a.detach().numpy(), b.detach().numpy())
    return captured
