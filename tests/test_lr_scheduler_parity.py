"""Schedules step for step against PyTorch 2.13, where it is installed: pytest -m parity."""
from __future__ import annotations

import inspect
from typing import Any

import pytest

import pydl
from pydl.optim import lr_scheduler as ours
from schedules import ALL, RESUMABLE, STEPS, advance, made, resumed, same, seen, trace

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def torch() -> Any:
    module = pytest.importorskip("torch", reason="parity needs torch==2.13.0")
    if not module.__version__.startswith("2.13."):
        pytest.skip(f"parity is defined against PyTorch 2.13, this is {module.__version__}")
    return module


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
@pytest.mark.parametrize("name", ALL)
def test_same_as_pytorch(name: str, kind: str, torch: Any) -> None:
    mine, theirs = ALL[name](ours, made(kind=kind)), ALL[name](torch.optim.lr_scheduler, made(torch, kind))
    for t in range(STEPS):
        where = f"{name} at epoch {t}"
        same(seen(mine), seen(theirs), where)
        same(mine.get_last_lr(), theirs.get_last_lr(), where)
        same(mine.state_dict(), with_plain_dicts(theirs.state_dict()), where)
        advance(mine, t)
        advance(theirs, t)


def with_plain_dicts(state: Any) -> Any:
    """PyTorch saves milestones as a Counter."""
    if isinstance(state, dict):
        return {key: with_plain_dicts(value) for key, value in state.items()}
    return [with_plain_dicts(one) for one in state] if isinstance(state, list) else state


@pytest.mark.parametrize("name", ALL)
def test_states_are_exchanged_with_pytorch(name: str, torch: Any) -> None:
    theirs = ALL[name](torch.optim.lr_scheduler, made(torch))
    trace(theirs, last=23)
    mine, third = ALL[name](ours, made()), ALL[name](torch.optim.lr_scheduler, made(torch))
    mine.load_state_dict(theirs.state_dict())
    third.load_state_dict(mine.state_dict())
    for schedule in (mine, third):
        for group, old in zip(schedule.optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
            group.update({key: value for key, value in old.items() if key != "params"})
    expected = trace(theirs, 23)
    for schedule in (mine, third):
        same(trace(schedule, 23), expected, name)


@pytest.mark.parametrize("name", sorted({*RESUMABLE, "step-1"} - {"restarts-2"}))     # which PyTorch resumes in the wrong period
@pytest.mark.parametrize("stop", [5, 17, 30, 36])
def test_resumes_as_pytorch(name: str, stop: int, torch: Any) -> None:
    mine, theirs = (resumed(name, stop, library)[1] for library in (pydl, torch))
    same(trace(mine, stop), trace(theirs, stop), name)
    same(mine.state_dict(), with_plain_dicts(theirs.state_dict()), name)


def test_same_signatures_as_pytorch(torch: Any) -> None:
    for name in ours.__all__:
        mine, theirs = (inspect.signature(getattr(s, name).__init__).parameters for s in (ours, torch.optim.lr_scheduler))
        assert [(p.name, p.default, p.kind) for p in mine.values()] == [(p.name, p.default, p.kind) for p in theirs.values()], name
