"""Groups and parameters that change where they must not, and numbers below the normal ones."""
from __future__ import annotations

import pytest

import pydl
from pydl import nn, optim


def test_groups_and_parameters_that_change_badly() -> None:
    for bad in ((nn.Parameter(pydl.ones(2)),), 3, None):
        optimizer = optim.Adam([nn.Parameter(pydl.ones(2))])
        optimizer.param_groups[0]["params"] = bad       # type: ignore[typeddict-item]
        for call in (optimizer.zero_grad, optimizer.step):
            with pytest.raises(TypeError):
                call()


def test_parameters_that_grow_during_a_step() -> None:
    p = nn.Parameter(pydl.ones(2))
    p.grad = pydl.ones(2)
    optimizer = optim.Adam([p])

    class Growing(dict):  # type: ignore[type-arg]
        def __missing__(self, key: object) -> dict[str, object]:
            for _ in range(5000):
                q = nn.Parameter(pydl.ones(2))
                q.grad = pydl.ones(2)
                optimizer.param_groups[0]["params"].append(q)
            self[key] = own = {}    # type: dict[str, object]
            return own

    optimizer.state = Growing()     # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="parameters of the optimizer change during its step"):
        optimizer.step()


def test_subnormal_numbers_count_as_zero() -> None:
    p = nn.Parameter(pydl.tensor([1.0, 1.0]))
    p.grad = pydl.tensor([1.0, 0.0])
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5)
    optimizer.step()
    p.grad = pydl.zeros(2)
    for _ in range(200):
        optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].tolist() == [0.0, 0.0]
    assert (pydl.tensor([1e-40]) * 0.5).item() > 0          # only there
