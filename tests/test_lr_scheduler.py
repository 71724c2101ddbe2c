"""Schedules of the learning rate against their closed forms, and what they do at the edges."""
from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import optim
from pydl.optim import lr_scheduler as ours
from schedules import ALL, CLOSED, RATES, STEPS, advance, made, seen, trace


@pytest.mark.parametrize("name", CLOSED)
def test_closed_form(name: str) -> None:
    build, rate = CLOSED[name]
    schedule = build(ours, made())
    for t in range(STEPS):
        expected = [rate(t, first) for first in RATES]
        np.testing.assert_allclose(schedule.get_last_lr(), expected, rtol=1e-9, atol=1e-15, err_msg=f"{name} at {t}")
        assert [group["lr"] for group in schedule.optimizer.param_groups] == schedule.get_last_lr()
        assert [group["initial_lr"] for group in schedule.optimizer.param_groups] == (
            pytest.approx(RATES) if not name.startswith(("cyc", "one")) else [schedule.base_lrs[0]] * 2)
        advance(schedule, t)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_momentum_goes_against_the_rate(kind: str) -> None:
    for build, expected in (
        (lambda o: ours.CyclicLR(o, 0.1, 0.9, step_size_up=4, step_size_down=6, base_momentum=0.7, max_momentum=0.95),
         lambda t: np.interp(t % 10, [0, 4, 10], [0.95, 0.7, 0.95])),
        (lambda o: ours.OneCycleLR(o, 0.4, 60, pct_start=0.25, anneal_strategy="linear"),
         lambda t: np.interp(t, [0, 14, 59], [0.95, 0.85, 0.95])),
    ):
        schedule = build(made(kind=kind))
        for t in range(60):
            for _, momentum, beta1 in seen(schedule):
                assert (momentum if kind == "SGD" else beta1) == pytest.approx(expected(t), rel=1e-12)
            assert kind == "SGD" or schedule.optimizer.param_groups[0]["betas"][1] == 0.99
            advance(schedule, t)
    schedule = ours.OneCycleLR(made(kind=kind), 0.4, 60, cycle_momentum=False)
    assert {(m, b) for row in trace(schedule, last=59) for _, m, b in row} == {(0.5, 0) if kind == "SGD" else (0, 0.6)}


def test_the_step_of_the_optimizer_uses_the_rate() -> None:
    p = pydl.zeros(1, dtype=pydl.float64).requires_grad_()
    optimizer = optim.SGD([p], lr=1.0)
    schedule = ours.ExponentialLR(optimizer, 0.5)
    for _ in range(4):
        p.grad = pydl.ones(1, dtype=pydl.float64)
        optimizer.step()
        schedule.step()
    assert p.item() == -(1 + 0.5 + 0.25 + 0.125)


def test_a_rate_that_is_a_tensor_is_written_in_place() -> None:
    rate = pydl.tensor(0.5)
    optimizer = optim.SGD([pydl.ones(2).requires_grad_()], lr=rate)
    schedule = ours.StepLR(optimizer, 1, gamma=0.5)
    advance(schedule, 0)
    assert optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.25
    assert schedule.get_last_lr() == [0.25] and schedule.base_lrs == [0.5]


@pytest.mark.parametrize(("values", "options", "reduced_after"), [
    ([1.0] * 8, {"patience": 2}, [4, 7]),
    ([1.0] * 8, {"patience": 2, "cooldown": 1}, [4, 8]),
    ([1.0, 0.9, 0.8, 0.7], {"patience": 0}, []),
    ([1.0, 0.9, 0.8, 0.7], {"patience": 0, "mode": "max"}, [2, 3, 4]),
    ([1.0, 0.95, 0.85], {"patience": 0, "threshold": 0.1}, [2]),
    ([1.0, 0.95, 0.85], {"patience": 0, "threshold": 0.2, "threshold_mode": "abs"}, [2, 3]),
    ([1.0, 1.05, 1.15], {"patience": 0, "threshold": 0.1, "mode": "max"}, [2]),
    ([1.0, math.nan, 0.5], {"patience": 0}, [2]),
])
def test_plateau_reduces_after(values: list[float], options: dict[str, Any], reduced_after: list[int]) -> None:
    schedule = ours.ReduceLROnPlateau(made(), factor=0.5, **options)
    rates = [RATES[0]]
    for value in values:
        schedule.step(pydl.tensor(value))
        rates.append(schedule.get_last_lr()[0])
    assert [t for t in range(1, len(rates)) if rates[t] == rates[t - 1] / 2] == reduced_after
    assert rates[-1] == RATES[0] / 2 ** len(reduced_after)
    assert schedule.get_last_lr() == [rates[-1], RATES[1] / 2 ** len(reduced_after)]


def test_plateau_stops_at_min_lr_and_ignores_small_changes() -> None:
    schedule = ours.ReduceLROnPlateau(made(), factor=0.1, patience=0, min_lr=0.02, eps=0.02)
    for _ in range(5):
        schedule.step(1.0)
    assert schedule.get_last_lr() == [0.02, 0.03]       # 0.03 -> 0.02 is a change of less than eps


def test_plateau_sees_groups_that_come_later() -> None:
    extra = {"params": [pydl.ones(1).requires_grad_()], "lr": 1.0}
    schedule = ours.ReduceLROnPlateau(made(), patience=0)
    schedule.optimizer.add_param_group(dict(extra))
    schedule.step(1.0)
    schedule.step(1.0)
    assert schedule.get_last_lr() == pytest.approx([0.05, 0.003, 0.1])
    schedule = ours.ReduceLROnPlateau(made(), patience=0, min_lr=[0.0, 0.0])
    schedule.optimizer.add_param_group(dict(extra))
    schedule.step(1.0)
    with pytest.raises(RuntimeError, match="min_lr was given for 2 parameter groups, but the optimizer has 3 now"):
        schedule.step(1.0)


def test_warm_restarts_within_an_epoch() -> None:
    schedule = ours.CosineAnnealingWarmRestarts(made(), T_0=3, T_mult=3)
    starts = [0, 3, 12, 39, 120, 363]           # a logarithm to base 3 rounds the wrong way at 363
    for start, end in zip(starts, starts[1:]):
        for epoch in (start, start + 0.25, end - 0.5, end - 1e-9):
            schedule.step(epoch)
            height = (1 + math.cos(math.pi * (epoch - start) / (end - start))) / 2
            np.testing.assert_allclose(schedule.get_last_lr(), np.multiply(RATES, height), rtol=1e-9, atol=1e-15)
            assert schedule.last_epoch == math.floor(epoch)
    schedule.step(363)
    assert schedule.get_last_lr() == list(RATES)
    schedule.step(1.5)
    np.testing.assert_allclose(schedule.get_last_lr(), np.multiply(RATES, 0.5))
    with pytest.raises(ValueError, match="epoch must be a finite number >= 0, got -1"):
        schedule.step(-1)


def test_a_jump_uses_the_closed_form() -> None:
    for name in ("step", "multistep", "constant", "linear", "exponential", "polynomial", "cosine", "cyclic", "onecycle"):
        build, rate = CLOSED[name]
        schedule = build(ours, made())
        schedule.optimizer.step()
        for epoch in (37, 2):
            with pytest.warns(UserWarning, match="epoch argument .* is deprecated"):
                schedule.step(epoch)
            np.testing.assert_allclose(schedule.get_last_lr(), [rate(epoch, r) for r in RATES], rtol=1e-9, atol=1e-15, err_msg=name)


def test_sequences_within_sequences_and_chains() -> None:
    """Here PyTorch 2.13 raises NotImplementedError, or counts the inner sequence one epoch too far."""
    def chain(o: Any) -> Any:
        return ours.ChainedScheduler([ours.ConstantLR(o, 0.1, 4), ours.ExponentialLR(o, 0.9)])

    def sequence(o: Any) -> Any:
        return ours.SequentialLR(o, [ours.ConstantLR(o, 0.25, 50), ours.ExponentialLR(o, 0.8)], [6])

    def chained(t: int) -> float:
        return (0.1 if t < 4 else 1) * 0.9 ** t

    def sequenced(t: int) -> float:
        return 0.25 if t < 6 else 0.8 ** (t - 6)

    for inner, value in ((chain, chained), (sequence, sequenced)):
        first, second = made(), made()
        early = ours.SequentialLR(first, [inner(first), ours.ConstantLR(first, 0.5, 99)], [15])
        late = ours.SequentialLR(second, [ours.ConstantLR(second, 0.5, 99), inner(second)], [15])
        for t in range(40):
            for schedule, factor in ((early, value(t) if t < 15 else 0.5), (late, value(t - 15) if t >= 15 else 0.5)):
                np.testing.assert_allclose(schedule.get_last_lr(), np.multiply(RATES, factor), rtol=1e-12, err_msg=f"{inner} {t}")
                advance(schedule, t)


def test_where_pytorch_divides_by_zero() -> None:
    schedule = ours.ConstantLR(made(), factor=0, total_iters=3)
    assert [row[0][0] for row in trace(schedule, last=5)] == [0, 0, 0, 0.5, 0.5, 0.5]
    schedule = ours.OneCycleLR(made(), 0.4, total_steps=10, pct_start=0.1)
    assert schedule.get_last_lr() == [0.4, 0.4]
    optimizer = made()
    late = ours.SequentialLR(optimizer, [ours.ConstantLR(optimizer), ours.LinearLR(optimizer, total_iters=0)], [3])
    assert [row[0][0] for row in trace(late, last=4)][3:] == [0.5, 0.5]


@pytest.mark.parametrize("steps", range(1, 60))
def test_a_rate_never_falls_below_zero_by_rounding(steps: int) -> None:
    """An optimizer would refuse to load it."""
    for start in (1.0, 0.7, 1 / 3):
        assert min(rate for row in trace(ours.LinearLR(made(), start, 0.0, steps)) for rate, _, _ in row) >= 0


@pytest.mark.parametrize("options", [{"anneal_strategy": "linear"}, {"anneal_strategy": "cos"}, {"three_phase": True}, {"pct_start": 1.0}])
def test_one_cycle_ends(options: dict[str, Any]) -> None:
    schedule = ours.OneCycleLR(made(), 0.4, total_steps=20, **options)
    rates = [row[0][0] for row in trace(schedule, last=20)]
    assert rates[20] == rates[19] == pytest.approx(1.6e-6 if "pct_start" not in options else 0.4) or options == {"pct_start": 1.0}
    state = schedule.state_dict()
    with pytest.raises(ValueError, match="OneCycleLR: step 21 of a schedule of total_steps 20"):
        schedule.step()
    assert schedule.state_dict() == state


def test_the_example() -> None:
    result = doctest.testmod(ours)
    assert result.attempted > 0 and result.failed == 0


def test_every_schedule_is_tested() -> None:
    tested = {type(build(ours, made())).__name__ for build in ALL.values()}
    assert tested == set(ours.__all__) - {"LRScheduler"}
