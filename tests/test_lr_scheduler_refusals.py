"""What schedules refuse or warn of, and that nothing has changed then."""
from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

import pydl
from pydl import optim
from pydl.optim import lr_scheduler as ours
from schedules import RATES, Build, advance, made, seen


def test_a_step_that_fails_changes_nothing() -> None:
    schedule = ours.LambdaLR(made(), [lambda t: 0.5, lambda t: [1.0, 0.5, math.nan, -1.0][t]])
    advance(schedule, 0)
    before, rates = schedule.state_dict(), seen(schedule)
    with pytest.raises(ValueError, match=r"LambdaLR: lr_lambda\(2\) of group 1 must be a finite number >= 0, got nan"):
        schedule.step()
    assert schedule.state_dict() == before and seen(schedule) == rates
    schedule = ours.CyclicLR(made(), 0.1, 0.2, scale_fn=lambda t: [1.0, None][int(t)], scale_mode="iterations")     # type: ignore[arg-type, return-value]
    before, rates = schedule.state_dict(), seen(schedule)
    with pytest.raises(TypeError, match=r"CyclicLR: scale_fn\(1\) must be a number, got None"):
        advance(schedule, 0)
    assert schedule.state_dict() == before and seen(schedule) == rates


def test_a_rate_that_is_none_is_refused() -> None:
    """A user's own schedule is checked as the others are."""
    class Falling(ours.LRScheduler):
        def get_lr(self) -> list[float]:
            return [0.5 - self.last_epoch, 1.0]

    schedule = Falling(made())
    with pytest.raises(ValueError, match="Falling: learning rate of group 0 at epoch 1 must be a finite number >= 0, got -0.5"):
        advance(schedule, 0)
    assert schedule.last_epoch == 0 and schedule.get_last_lr() == [0.5, 1.0] == [group["lr"] for group in schedule.optimizer.param_groups]


def test_a_group_that_comes_later_is_an_error_for_base_rates() -> None:
    schedule = ours.LambdaLR(made(), lambda t: 0.5)
    schedule.optimizer.add_param_group({"params": [pydl.ones(1).requires_grad_()], "lr": 1.0})
    with pytest.raises(ValueError, match="made for 2 parameter groups, but the optimizer has 3 now"):
        advance(schedule, 0)


def test_warns_of_the_wrong_order_once() -> None:
    optimizer = made()
    schedule = ours.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match=r"called before optimizer.step\(\)"):
        schedule.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()
        optimizer.step()
        ours.StepLR(optimizer, 3).step()


def test_get_lr_is_for_step_alone() -> None:
    schedule = ours.StepLR(made(), 3)
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()
    schedule.get_last_lr()[0] = 7.0
    assert schedule.get_last_lr() == list(RATES)


REFUSED: list[tuple[Build, type[Exception], str]] = [
    (lambda s, o: s.StepLR(3, 1), TypeError, "StepLR: optimizer must be an Optimizer, got int"),
    (lambda s, o: s.LambdaLR(None, abs), TypeError, "LambdaLR: optimizer must be an Optimizer, got NoneType"),
    (lambda s, o: s.ReduceLROnPlateau("x"), TypeError, "optimizer must be an Optimizer, got str"),
    (lambda s, o: s.OneCycleLR([], 0.1, 10), TypeError, "optimizer must be an Optimizer, got list"),
    (lambda s, o: s.StepLR(o, 0), ValueError, "StepLR: step_size must be a whole number >= 1, got 0"),
    (lambda s, o: s.StepLR(o, 2.5), ValueError, "step_size must be a whole number, got 2.5"),
    (lambda s, o: s.StepLR(o, "3"), TypeError, "step_size must be a whole number, got '3'"),
    (lambda s, o: s.StepLR(o, 3, math.nan), ValueError, "StepLR: gamma must be a finite number >= 0, got nan"),
    (lambda s, o: s.StepLR(o, 3, "0.1"), TypeError, "StepLR: gamma must be a number, got '0.1'"),
    (lambda s, o: s.StepLR(o, 3, last_epoch=-2), ValueError, "last_epoch must be a whole number >= -1, got -2"),
    (lambda s, o: s.StepLR(o, 3, last_epoch=4), ValueError, "to resume after last_epoch 4, parameter group 0 must have 'initial_lr'"),
    (lambda s, o: s.MultiStepLR(o, 3), TypeError, "milestones must be a list of whole numbers, got 3"),
    (lambda s, o: s.MultiStepLR(o, [3, -1]), ValueError, "a milestone must be a whole number >= 0, got -1"),
    (lambda s, o: s.MultiStepLR(o, [3], math.inf), ValueError, "MultiStepLR: gamma must be a finite number"),
    (lambda s, o: s.ConstantLR(o, 1.5), ValueError, r"factor must be a finite number in \[0, 1\], got 1.5"),
    (lambda s, o: s.ConstantLR(o, total_iters=-1), ValueError, "total_iters must be a whole number >= 0, got -1"),
    (lambda s, o: s.LinearLR(o, 0), ValueError, r"start_factor must be a finite number in \(0, 1\], got 0"),
    (lambda s, o: s.LinearLR(o, 0.5, 1.1), ValueError, r"end_factor must be a finite number in \[0, 1\], got 1.1"),
    (lambda s, o: s.ExponentialLR(o, math.nan), ValueError, "ExponentialLR: gamma must be a finite number >= 0, got nan"),
    (lambda s, o: s.ExponentialLR(o, -0.5), ValueError, "gamma must be a finite number >= 0, got -0.5"),
    (lambda s, o: s.PolynomialLR(o, -5), ValueError, "PolynomialLR: total_iters must be a whole number >= 0, got -5"),
    (lambda s, o: s.PolynomialLR(o, 5, -1.0), ValueError, "power must be a finite number >= 0, got -1.0"),
    (lambda s, o: s.CosineAnnealingLR(o, 0), ValueError, "T_max must be a whole number >= 1, got 0"),
    (lambda s, o: s.CosineAnnealingLR(o, 5, math.nan), ValueError, "eta_min must be a finite number >= 0, got nan"),
    (lambda s, o: s.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0 must be a whole number >= 1, got 0"),
    (lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 0), ValueError, "T_mult must be a whole number >= 1, got 0"),
    (lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, eta_min="0"), TypeError, "eta_min must be a number, got '0'"),
    (lambda s, o: s.LambdaLR(o, [abs]), ValueError, "lr_lambda must be a function or a list of 2, one for each parameter group, got 1"),
    (lambda s, o: s.LambdaLR(o, 0.5), TypeError, "LambdaLR: lr_lambda must be a function of the epoch, got 0.5"),
    (lambda s, o: s.MultiplicativeLR(o, [abs, 3]), TypeError, "MultiplicativeLR: lr_lambda must be a function of the epoch, got 3"),
    (lambda s, o: s.LambdaLR(o, lambda t: "x"), TypeError, r"LambdaLR: lr_lambda\(0\) of group 0 must be a number, got 'x'"),
    (lambda s, o: s.CyclicLR(o, 0.1, [0.2]), ValueError, "max_lr must be one number or one for each of the 2 parameter groups, got 1"),
    (lambda s, o: s.CyclicLR(o, -0.1, 0.2), ValueError, "base_lr must be a finite number >= 0, got -0.1"),
    (lambda s, o: s.CyclicLR(o, 0.1, 0.2, step_size_up=0), ValueError, "step_size_up must be a finite number > 0, got 0"),
    (lambda s, o: s.CyclicLR(o, 0.1, 0.2, step_size_down=-1), ValueError, "step_size_down must be a finite number >= 0, got -1"),
    (lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="square"), ValueError, "mode must be 'triangular', 'triangular2' or 'exp_range'"),
    (lambda s, o: s.CyclicLR(o, 0.1, 0.2, scale_mode="epoch"), ValueError, "scale_mode must be 'cycle' or 'iterations', got 'epoch'"),
    (lambda s, o: s.CyclicLR(o, 0.1, 0.2, scale_fn=2), TypeError, "scale_fn must be a function, got 2"),
    (lambda s, o: s.CyclicLR(o, 0.1, 0.2, base_momentum=math.nan), ValueError, "base_momentum must be a finite number >= 0, got nan"),
    (lambda s, o: s.CyclicLR(made(kind="Adam"), 0.1, 0.2, max_momentum=1.0), ValueError, r"max_momentum must be .* in \[0, 1\), got 1.0"),
    (lambda s, o: s.OneCycleLR(o, 0.1), ValueError, "expected total_steps, or epochs and steps_per_epoch, got total_steps=None"),
    (lambda s, o: s.OneCycleLR(o, 0.1, 0), ValueError, "total_steps must be a whole number >= 1, got 0"),
    (lambda s, o: s.OneCycleLR(o, 0.1, epochs=-2, steps_per_epoch=3), ValueError, "epochs must be a whole number >= 1, got -2"),
    (lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=1.2), ValueError, r"pct_start must be a finite number in \[0, 1\], got 1.2"),
    (lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="exp"), ValueError, "anneal_strategy must be 'cos' or 'linear', got 'exp'"),
    (lambda s, o: s.OneCycleLR(o, 0.1, 10, div_factor=0), ValueError, "div_factor must be a finite number > 0, got 0"),
    (lambda s, o: s.OneCycleLR(o, [0.1] * 3, 10), ValueError, "max_lr must be one number or one for each of the 2 parameter groups, got 3"),
    (lambda s, o: s.OneCycleLR(o, 0.1, 10, last_epoch=3), ValueError, "parameter group 0 must have 'initial_lr'"),
    (lambda s, o: s.ReduceLROnPlateau(o, "minimum"), ValueError, "mode must be 'min' or 'max', got 'minimum'"),
    (lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode must be 'rel' or 'abs', got 'x'"),
    (lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, r"factor must be a finite number in \[0, 1\), got 1.0"),
    (lambda s, o: s.ReduceLROnPlateau(o, patience=-1), ValueError, "patience must be a whole number >= 0, got -1"),
    (lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "min_lr must be one number or one for each of the 2"),
    (lambda s, o: s.ReduceLROnPlateau(o).step("bad"), TypeError, "ReduceLROnPlateau: metrics must be a number, got 'bad'"),
    (lambda s, o: s.SequentialLR(o, [], []), ValueError, "SequentialLR: expected at least one schedule, got none"),
    (lambda s, o: s.SequentialLR(o, [3], []), TypeError, r"schedulers\[0\] must be an LRScheduler, got int"),
    (lambda s, o: s.SequentialLR(o, [s.StepLR(o, 3)], [2]), ValueError, "1 schedules need 0 milestones between them, got 1"),
    (lambda s, o: s.SequentialLR(o, [s.StepLR(o, 3)] * 3, [5, 2]), ValueError, r"milestones must not fall, got \[5, 2\]"),
    (lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []), ValueError, r"schedulers\[0\] is a ReduceLROnPlateau"),
    (lambda s, o: s.SequentialLR(o, [s.StepLR(made(), 3)], []), ValueError, r"schedulers\[0\] \(StepLR\) belongs to another optimizer"),
    (lambda s, o: s.ChainedScheduler([]), ValueError, "ChainedScheduler: expected at least one schedule, got none"),
    (lambda s, o: s.ChainedScheduler(s.StepLR(o, 3)), TypeError, "schedulers must be a list of schedules, got StepLR"),
    (lambda s, o: s.ChainedScheduler([s.StepLR(o, 3), s.StepLR(made(), 3)]), ValueError, r"schedulers\[1\] \(StepLR\) belongs to another"),
    (lambda s, o: s.ChainedScheduler([s.StepLR(o, 3)], made()), ValueError, r"schedulers\[0\] \(StepLR\) belongs to another"),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refuses(build: Build, error: type[Exception], message: str) -> None:
    optimizer = made()
    with pytest.raises(error, match=message):
        build(ours, optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == list(RATES)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.5, 0.5]


def test_cycling_a_momentum_that_is_not_there() -> None:
    class Bare(optim.Optimizer):
        def check(self, group: dict[str, Any]) -> None:
            pass

    optimizer = Bare([pydl.ones(1).requires_grad_()], {"lr": 0.1})
    for build in (lambda **a: ours.CyclicLR(optimizer, 0.1, 0.2, **a), lambda **a: ours.OneCycleLR(optimizer, 0.1, 10, **a)):
        with pytest.raises(ValueError, match="cycle_momentum needs an optimizer with momentum or betas, got Bare"):
            build()
        assert "momentum" not in build(cycle_momentum=False).optimizer.param_groups[0]
