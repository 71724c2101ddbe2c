"""Averages of weights: the formulas, buffers, saving, the schedule against PyTorch's, and what must be refused."""
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import nn, optim
from pydl.optim.swa_utils import (
    SWALR,
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
    update_bn,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.wide = nn.Parameter(pydl.zeros(2, dtype=pydl.float64))
        self.register_buffer("seen", pydl.zeros(2))
        self.register_buffer("count", pydl.tensor(0))

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        return self.layer(x)


def filled(model: Net, value: float) -> None:
    with pydl.no_grad():
        for x in [*model.parameters(), *model.buffers()]:
            x.fill_(value)


@pytest.mark.parametrize(("arguments", "want"), [
    ({}, [1, 1.5, 3]), ({"avg_fn": get_swa_avg_fn()}, [1, 1.5, 3]), ({"multi_avg_fn": get_swa_multi_avg_fn()}, [1, 1.5, 3]),
    ({"avg_fn": get_ema_avg_fn(0.75)}, [1, 1.25, 2.4375]), ({"multi_avg_fn": get_ema_multi_avg_fn(0.75)}, [1, 1.25, 2.4375]),
    ({"avg_fn": lambda a, p, n: a + p * n}, [1, 3, 15]),
])
@pytest.mark.parametrize("use_buffers", [False, True])
def test_averages(arguments: dict[str, Any], want: list[float], use_buffers: bool) -> None:
    model = Net()
    average = AveragedModel(model, use_buffers=use_buffers, **arguments)
    for i, value in enumerate((1, 2, 6)):
        filled(model, value)
        average.update_parameters(model)
        for p in average.parameters():
            np.testing.assert_allclose(p.detach().numpy(), want[i], rtol=1e-6)
        assert average.n_averaged.item() == i + 1 and average.n_averaged.dtype is pydl.int64
        seen, count = average.module.seen.numpy(), average.module.count.item()
        np.testing.assert_allclose(seen, want[i] if use_buffers else value, rtol=1e-6)
        whole = [1, 3, 15] if want[2] == 15 else [1, 1, 2]      # each rounded towards zero
        assert count == (whole[i] if use_buffers else value) and average.module.count.dtype is pydl.int64
    assert all(p.requires_grad and p.grad_fn is None for p in average.parameters())
    assert model.layer.weight.detach().numpy().max() == 6


def test_it_is_a_module() -> None:
    pydl.manual_seed(0)
    model = Net()
    average = AveragedModel(model, device="cpu")
    x = pydl.ones(1, 3)
    assert average(x).tolist() == model(x).tolist() and average.module is not model
    average.update_parameters(model)
    state = average.state_dict()
    assert set(state) == {"n_averaged", *(f"module.{key}" for key in model.state_dict())}
    twin = AveragedModel(Net())
    twin.load_state_dict(state)
    assert twin(x).tolist() == model(x).tolist() and twin.n_averaged.item() == 1
    assert copy.deepcopy(average)(x).tolist() == model(x).tolist()


def test_update_bn() -> None:
    class Mean(nn.Module):
        """What update_bn asks of a batch norm layer."""

        def __init__(self) -> None:
            super().__init__()
            self.momentum: float | None = 0.1
            self.seen: list[float] = [99]

        def reset_running_stats(self) -> None:
            self.seen = []

        def forward(self, x: pydl.Tensor) -> pydl.Tensor:
            assert self.training and self.momentum is None and not pydl.is_grad_enabled()
            self.seen.append(x.mean().item())
            return x

    model = nn.Sequential(Mean(), nn.Identity()).eval()
    layer: Any = model[0]
    update_bn([pydl.ones(2), (pydl.full((2,), 3.0), "label"), [pydl.zeros(2)]], model)
    assert layer.seen == [1, 3, 0] and layer.momentum == 0.1 and not model.training
    with pytest.raises(AttributeError):
        update_bn(["no tensor"], model)
    assert layer.momentum == 0.1 and not model.training
    model.train()
    frozen = model[1].eval()
    update_bn([pydl.ones(2)], model)
    assert model.training and layer.training and not frozen.training        # each is in its own mode again
    with pytest.raises(AttributeError):
        update_bn(["no tensor"], model)
    assert model.training and layer.training and not frozen.training
    update_bn(None, nn.Identity())      # type: ignore[arg-type]


def rates(library: Any, start: Any, other: bool, **arguments: Any) -> list[list[float]]:
    params = [library.ones(2, requires_grad=True), library.ones(3, requires_grad=True)]
    optimizer = library.optim.SGD([{"params": [params[0]]}, {"params": [params[1]], "lr": 0.5}], lr=start)
    first = library.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for _ in range(3):
        optimizer.step()
        first.step()
    schedule = library.optim.swa_utils.SWALR(optimizer, **arguments)
    got = []
    for _ in range(8):
        optimizer.step()
        schedule.step()
        if other:
            first.step()
        got.append([float(group["lr"]) for group in optimizer.param_groups])
    return got


@pytest.mark.parity
@pytest.mark.parametrize("arguments", [
    {"swa_lr": 0.05}, {"swa_lr": 0.05, "anneal_epochs": 5, "anneal_strategy": "linear"}, {"swa_lr": [0.2, 0.01], "anneal_epochs": 1},
    {"swa_lr": 0.3, "anneal_epochs": 0}, {"swa_lr": 0.3, "anneal_epochs": 4},
])
@pytest.mark.parametrize("other", [False, True])
def test_schedule_as_pytorch(arguments: dict[str, Any], other: bool) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.optim.swa_utils")
    np.testing.assert_allclose(rates(pydl, 0.1, other, **arguments), rates(torch, 0.1, other, **arguments), rtol=1e-12)


def test_schedule() -> None:
    p = pydl.ones(1).requires_grad_()
    optimizer = optim.SGD([p], lr=1.0)
    schedule = SWALR(optimizer, 0.2, anneal_epochs=4, anneal_strategy="linear")
    assert schedule.get_last_lr() == [1.0]
    got = []
    for i in range(6):
        optimizer.step()
        schedule.step()
        got += schedule.get_last_lr()
        if i == 2:
            state = schedule.state_dict(), optimizer.state_dict()
            optimizer = optim.SGD([p], lr=7.0)
            schedule = SWALR(optimizer, 0.1, anneal_epochs=9)
            optimizer.load_state_dict(state[1])
            schedule.load_state_dict(state[0])
    np.testing.assert_allclose(got, [0.8, 0.6, 0.4, 0.2, 0.2, 0.2])


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: AveragedModel(nn.Identity(), avg_fn=get_swa_avg_fn(), multi_avg_fn=get_swa_multi_avg_fn()), ValueError, "only one"),
    (lambda: AveragedModel(3), TypeError, "model must be a Module"),
    (lambda: AveragedModel(nn.Linear(2, 3)).update_parameters(nn.Linear(3, 2)), ValueError, r"\(2, 3\).*expected .*\(3, 2\)"),
    *((lambda f=f, d=d: f(d), ValueError, r"decay must be a number in \[0, 1\]")
      for f in (get_ema_avg_fn, get_ema_multi_avg_fn) for d in (-0.1, 1.1, float("nan"), "0.9")),
    (lambda: SWALR(3, 0.1), TypeError, "optimizer must be an Optimizer"),
    *((lambda a=a: SWALR(optim.SGD([pydl.ones(1).requires_grad_()]), **{"swa_lr": 0.1, **a}), error, words) for a, error, words in (
        ({"swa_lr": -1}, ValueError, "swa_lr"), ({"swa_lr": [1, 2]}, ValueError, "swa_lr"), ({"swa_lr": "x"}, TypeError, "swa_lr"),
        ({"anneal_strategy": "sin"}, ValueError, "anneal_strategy"), ({"anneal_epochs": -1}, ValueError, "anneal_epochs"),
        ({"anneal_epochs": 1.5}, ValueError, "anneal_epochs"))),
])
def test_refusals(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
