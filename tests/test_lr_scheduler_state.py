"""Schedules saved, loaded, resumed and copied."""
from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pydl.optim import lr_scheduler as ours
from schedules import ALL, RATES, RESUMABLE, Halving, advance, made, resumed, trace


@pytest.mark.parametrize("name", ALL)
def test_state_continues_where_it_was(name: str) -> None:
    schedule = ALL[name](ours, made())
    for t in range(26):
        advance(schedule, t)
    saved = json.loads(json.dumps(copy.deepcopy([schedule.state_dict(), [
        {**group, "params": len(group["params"])} for group in schedule.optimizer.param_groups]])))
    saved[0] = with_whole_keys(saved[0])
    before = copy.deepcopy(schedule.state_dict())
    expected = trace(schedule, 26)
    assert len({str(row) for row in expected}) > 1 or name in ("constant", "constant-20", "linear", "polynomial", "multistep-0")
    again = ALL[name](ours, made())
    for group, old in zip(again.optimizer.param_groups, saved[1], strict=True):
        group.update({key: tuple(value) if isinstance(value, list) else value for key, value in old.items() if key != "params"})
    kept = copy.deepcopy(saved[0])
    again.load_state_dict(saved[0])
    assert saved[0] == kept
    assert again.state_dict() == before
    assert trace(again, 26) == expected
    assert saved[0] == kept, "the schedule goes on in the lists it was loaded from"


def scribble(state: Any) -> None:
    """Spoils every list and dict, all of which must be nothing but that."""
    assert type(state) in (dict, list, str, int, float, bool, type(None)), state
    for one in list(state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()):
        scribble(one)
    if isinstance(state, (dict, list)):
        state.clear()


@pytest.mark.parametrize("name", ALL)
def test_states_are_plain_copies(name: str) -> None:
    schedule = ALL[name](ours, made())
    advance(schedule, 0)
    before = copy.deepcopy(schedule.state_dict())
    scribble(schedule.state_dict())
    assert schedule.state_dict() == before
    given = copy.deepcopy(before)
    schedule.load_state_dict(given)
    scribble(given)
    assert schedule.state_dict() == before


def with_whole_keys(state: Any) -> Any:
    """What JSON made of {epoch: count}, undone."""
    if isinstance(state, dict):
        return {int(k) if k.isdigit() else k: with_whole_keys(v) for k, v in state.items()}
    return [with_whole_keys(one) for one in state] if isinstance(state, list) else state


def test_functions_are_not_saved_and_objects_are() -> None:
    schedule = ours.LambdaLR(made(), [lambda t: 1.0, Halving(3)])
    state = schedule.state_dict()
    assert state["lr_lambdas"] == [None, {"every": 3}]
    other = ours.LambdaLR(made(), [lambda t: 1.0, Halving(4)])
    other.load_state_dict(state)
    assert other.lr_lambdas[1].every == 3 and other.lr_lambdas[1] is not schedule.lr_lambdas[1]    # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"attributes of a callable object were saved \(every\)"):
        ours.LambdaLR(made(), lambda t: 1.0).load_state_dict(state)
    assert ours.CyclicLR(made(), 0.1, 0.2, scale_fn=lambda x: 1.0).state_dict()["_scale_fn_custom"] is None
    assert ours.CyclicLR(made(), 0.1, 0.2, scale_fn=Halving(5)).state_dict()["_scale_fn_custom"] == {"every": 5}
    with pytest.raises(ValueError, match="saved for scale_fn"):
        ours.CyclicLR(made(), 0.1, 0.2).load_state_dict(ours.CyclicLR(made(), 0.1, 0.2, scale_fn=Halving(5)).state_dict())


@pytest.mark.parametrize("name", RESUMABLE)
@pytest.mark.parametrize("stop", [17, 35])
def test_resuming_with_last_epoch(name: str, stop: int) -> None:
    """A new schedule on the groups of a stopped run, told the epoch before the present one, goes on as the old one would have."""
    schedule, again = resumed(name, stop)
    assert again.last_epoch == schedule.last_epoch == stop
    np.testing.assert_allclose(trace(again, stop), trace(schedule, stop), rtol=1e-9, atol=1e-15)


class Own(ours._LRScheduler):
    """What a user writes, as the tutorials do."""

    def get_lr(self) -> list[float]:
        if self.last_epoch > 2:
            self.late = True
        return [base / (self.last_epoch + 1) for base in self.base_lrs]


def test_a_schedule_of_the_users_own() -> None:
    schedule = Own(made())
    trace(schedule, last=5)
    assert schedule.get_last_lr() == [rate / 6 for rate in RATES]
    again = Own(made())
    again.load_state_dict(schedule.state_dict())
    assert again.late and again.last_epoch == 5
    for key in ("step", "optimizer", "_name"):
        with pytest.raises(ValueError, match=f"'{key}' is not state of Own"):
            again.load_state_dict({**schedule.state_dict(), key: 1})


def test_the_optimizers_state_holds_the_first_rate() -> None:
    schedule = ours.ExponentialLR(made(), 0.5)
    trace(schedule, last=3)
    other = made(rates=(1.0, 1.0))
    other.load_state_dict(schedule.optimizer.state_dict())
    again = ours.ExponentialLR(other, 0.5, last_epoch=2)
    assert again.base_lrs == list(RATES) and again.get_last_lr() == schedule.get_last_lr()


def test_copies_go_their_own_way() -> None:
    schedule = ours.OneCycleLR(made(), 0.4, 80)
    other = copy.deepcopy(schedule)
    advance(other, 0)
    assert schedule.last_epoch == 0 and other.optimizer is not schedule.optimizer
    assert schedule.get_last_lr() == [group["lr"] for group in schedule.optimizer.param_groups]


@pytest.mark.parametrize(("name", "change", "message"), [
    ("step", lambda state: state.pop("gamma"), "has no 'gamma': it is not of StepLR"),
    ("step", lambda state: state.update(T_max=3), "'T_max' is not state of StepLR, which keeps"),
    ("step", lambda state: state.update(get_lr=3), "'get_lr' is not state of StepLR"),
    ("step", lambda state: state.update(last_epoch="3"), "last_epoch must be a whole number, got '3'"),
    ("step", lambda state: state.update(base_lrs=[0.1]), r"base_lrs must be a list of 2 numbers, one a parameter group, got \[0.1\]"),
    ("step", lambda state: state.update(_last_lr=[0.1, math.nan]), "_last_lr must be a finite number >= 0, got nan"),
    ("multistep", lambda state: state.update(milestones=[3]), r"milestones must be a dict of epochs and counts, got \[3\]"),
    ("lambda", lambda state: state.update(lr_lambdas=[None]), r"lr_lambdas must be a list of 2, got \[None\]"),
    ("lambda-object", lambda state: state.update(lr_lambdas=[None, 5]), "lr_lambdas must hold None or a dict of attributes, got 5"),
    ("plateau", lambda state: state.update(mode="up"), "mode must be 'min' or 'max', got 'up'"),
    ("sequential", lambda state: state["_schedulers"].pop(), "_schedulers must be the states of 3 schedules, got 2"),
    ("sequential", lambda state: state["_schedulers"][2].pop("gamma"), "has no 'gamma': it is not of ExponentialLR"),
    ("chained", lambda state: state.pop("_schedulers"), "has no '_schedulers': it is not of ChainedScheduler"),
])
def test_refuses_a_state_that_does_not_fit(name: str, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    source, schedule = ALL[name](ours, made()), ALL[name](ours, made())
    trace(source, last=5)
    state = source.state_dict()
    change(state)
    before = schedule.state_dict()
    with pytest.raises(ValueError, match=message):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before
    with pytest.raises(TypeError, match="expected a dict, got list"):
        schedule.load_state_dict([])
