"""Schedules of the learning rate for the tests: how each is made, its closed form, and how it is driven."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl

STEPS = 70
RATES = (0.5, 0.03)
Build = Callable[[Any, Any], Any]       # (the module lr_scheduler, an optimizer) -> a schedule


class Halving:
    """A callable object: its attributes are saved, other than a function's."""

    def __init__(self, every: int) -> None:
        self.every = every

    def __call__(self, t: float) -> float:
        return 0.5 ** (t // self.every)


# name -> how to make it, and its rate at epoch t from the initial one, written down independently of the library.
CLOSED: dict[str, tuple[Build, Callable[[int, float], float]]] = {
    "lambda": (lambda s, o: s.LambdaLR(o, lambda t: 0.95 ** t), lambda t, r: r * 0.95 ** t),
    "lambda-object": (lambda s, o: s.LambdaLR(o, [Halving(7), Halving(7)]), lambda t, r: r * 0.5 ** (t // 7)),
    "multiplicative": (lambda s, o: s.MultiplicativeLR(o, lambda t: 1 / (2 + t)), lambda t, r: 2 * r / math.factorial(t + 2)),
    "step": (lambda s, o: s.StepLR(o, 9), lambda t, r: r * 0.1 ** (t // 9)),
    "step-1": (lambda s, o: s.StepLR(o, step_size=1, gamma=0.9), lambda t, r: r * 0.9 ** t),
    "multistep": (lambda s, o: s.MultiStepLR(o, [30, 4, 4, 50], gamma=0.5),
                  lambda t, r: r * 0.5 ** (2 * (t >= 4) + (t >= 30) + (t >= 50))),
    "multistep-0": (lambda s, o: s.MultiStepLR(o, [0, 10]), lambda t, r: r * 0.1 ** (1 + (t >= 10))),
    "constant": (lambda s, o: s.ConstantLR(o), lambda t, r: r if t >= 5 else r / 3),
    "constant-20": (lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=20), lambda t, r: r if t >= 20 else r / 4),
    "linear": (lambda s, o: s.LinearLR(o), lambda t, r: r * (1 / 3 + 2 / 3 * min(t, 5) / 5)),
    "linear-down": (lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=40),
                    lambda t, r: r * max(0, 40 - t) / 40),
    "linear-up": (lambda s, o: s.LinearLR(o, 0.01, 0.9, 64), lambda t, r: r * (0.01 + 0.89 * min(t, 64) / 64)),
    "exponential": (lambda s, o: s.ExponentialLR(o, 0.9), lambda t, r: r * 0.9 ** t),
    "exponential-up": (lambda s, o: s.ExponentialLR(o, gamma=1.01), lambda t, r: r * 1.01 ** t),
    "polynomial": (lambda s, o: s.PolynomialLR(o), lambda t, r: r * max(0, 5 - t) / 5),
    "polynomial-2.5": (lambda s, o: s.PolynomialLR(o, 60, power=2.5), lambda t, r: r * max(0, 1 - t / 60) ** 2.5),
    "cosine": (lambda s, o: s.CosineAnnealingLR(o, 13, eta_min=0.01),
               lambda t, r: 0.01 + (r - 0.01) * (1 + math.cos(math.pi * t / 13)) / 2),
    "cosine-1": (lambda s, o: s.CosineAnnealingLR(o, 1), lambda t, r: r * (1 - t % 2)),
    "cosine-100": (lambda s, o: s.CosineAnnealingLR(o, T_max=100), lambda t, r: r * (1 + math.cos(math.pi * t / 100)) / 2),
    "restarts": (lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, eta_min=0.02),
                 lambda t, r: 0.02 + (r - 0.02) * (1 + math.cos(math.pi * (t % 7) / 7)) / 2),
    "restarts-2": (lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, T_mult=2),
                   lambda t, r: next(r * (1 + math.cos(math.pi * (t - a) / (b - a))) / 2
                                     for a, b in ((0, 5), (5, 15), (15, 35), (35, 75)) if t < b)),
    "cyclic": (lambda s, o: s.CyclicLR(o, base_lr=0.1, max_lr=0.9, step_size_up=4, step_size_down=6),
               lambda t, r: float(np.interp(t % 10, [0, 4, 10], [0.1, 0.9, 0.1]))),
    "cyclic-2": (lambda s, o: s.CyclicLR(o, 0.1, 0.5, step_size_up=5, mode="triangular2"),
                 lambda t, r: 0.1 + 0.4 * float(np.interp(t % 10, [0, 5, 10], [0, 1, 0])) / 2 ** (t // 10)),
    "cyclic-exp": (lambda s, o: s.CyclicLR(o, [0.1, 0.1], (0.5, 0.5), step_size_up=5, mode="exp_range", gamma=0.97),
                   lambda t, r: 0.1 + 0.4 * float(np.interp(t % 10, [0, 5, 10], [0, 1, 0])) * 0.97 ** t),
    "cyclic-object": (lambda s, o: s.CyclicLR(o, 0.1, 0.5, step_size_up=5, scale_fn=Halving(3), scale_mode="iterations"),
                      lambda t, r: 0.1 + 0.4 * float(np.interp(t % 10, [0, 5, 10], [0, 1, 0])) * 0.5 ** (t // 3)),
    "onecycle": (lambda s, o: s.OneCycleLR(o, max_lr=0.4, total_steps=101, pct_start=0.2),
                 lambda t, r: (0.4 - 0.384 * (1 + math.cos(math.pi * t / 19.2)) / 2 if t <= 19.2 else
                               1.6e-6 + (0.4 - 1.6e-6) * (1 + math.cos(math.pi * (t - 19.2) / 80.8)) / 2)),
    "onecycle-linear": (lambda s, o: s.OneCycleLR(o, max_lr=[0.4, 0.4], epochs=8, steps_per_epoch=10, anneal_strategy="linear"),
                        lambda t, r: float(np.interp(t, [0, 23, 79], [0.016, 0.4, 1.6e-6]))),
    "onecycle-3": (lambda s, o: s.OneCycleLR(o, 0.4, 100, pct_start=0.25, anneal_strategy="linear", div_factor=10,
                                             final_div_factor=100, three_phase=True),
                   lambda t, r: float(np.interp(t, [0, 24, 48, 99], [0.04, 0.4, 0.04, 0.0004]))),
    "sequential": (lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, 100), s.StepLR(o, 5, 0.5), s.ExponentialLR(o, 0.9)], [20, 40]),
                   lambda t, r: r * (0.1 if t < 20 else 0.5 ** ((t - 20) // 5) if t < 40 else 0.9 ** (t - 40))),
    "sequential-warmup": (lambda s, o: s.SequentialLR(o, schedulers=[s.LinearLR(o, 0.1, total_iters=10), s.CosineAnnealingLR(o, 50)],
                                                      milestones=[10]),
                          lambda t, r: r * (0.1 + 0.09 * t if t < 10 else (1 + math.cos(math.pi * (t - 10) / 50)) / 2)),
    "sequential-0": (lambda s, o: s.SequentialLR(o, [s.LinearLR(o, total_iters=0), s.PolynomialLR(o, 60)], [0]),
                     lambda t, r: r * max(0, 60 - t) / 60),
    "chained": (lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 20), s.ExponentialLR(o, 0.9)]),
                lambda t, r: r * (0.1 if t < 20 else 1) * 0.9 ** t),
    "chained-3": (lambda s, o: s.ChainedScheduler([s.StepLR(o, 6, 0.5), s.MultiStepLR(o, [3, 30]), s.LinearLR(o, 0.5)], optimizer=o),
                  lambda t, r: r * 0.5 ** (t // 6) * 0.1 ** ((t >= 3) + (t >= 30)) * (0.5 + 0.5 * min(t, 5) / 5)),
}
PLATEAU: dict[str, Build] = {
    "plateau": lambda s, o: s.ReduceLROnPlateau(o),
    "plateau-short": lambda s, o: s.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=3, min_lr=[0.01, 0.002]),
    "plateau-abs": lambda s, o: s.ReduceLROnPlateau(o, "min", 0.5, 4, 0.1, "abs", eps=0.01),
    "plateau-max": lambda s, o: s.ReduceLROnPlateau(o, mode="max", factor=0.9, patience=0, threshold=0.01, min_lr=0.001),
    "plateau-max-abs": lambda s, o: s.ReduceLROnPlateau(o, mode="max", patience=3, threshold=0.3, threshold_mode="abs"),
}
ALL: dict[str, Build] = {**{name: build for name, (build, _) in CLOSED.items()}, **PLATEAU}
PLAIN_NAMES = sorted(set(CLOSED) - {"lambda-object", "cyclic-object"})
METRICS = [math.nan if t == 33 else round(2 * math.exp(-t / 5) + 0.4 * math.sin(t * 1.7), 3) for t in range(STEPS)]


def made(library: Any = pydl, kind: str = "SGD", rates: tuple[float, ...] = RATES) -> Any:
    """An optimizer with one parameter group for each rate."""
    groups = [{"params": [library.ones(2).requires_grad_()], "lr": rate} for rate in rates]
    return getattr(library.optim, kind)(groups, **({"momentum": 0.5} if kind == "SGD" else {"betas": (0.6, 0.99)}))


def advance(schedule: Any, t: int) -> None:
    """The step from epoch t to t + 1, with an optimizer's step before it as the order demands."""
    schedule.optimizer.step()
    if "ReduceLROnPlateau" in type(schedule).__name__:
        schedule.step(METRICS[t])
    else:
        schedule.step()


def seen(schedule: Any) -> list[Any]:
    """What the optimizer sees now: rate and momentum of every group."""
    return [(group["lr"], group.get("momentum", 0), group.get("betas", (0, 0))[0]) for group in schedule.optimizer.param_groups]


def trace(schedule: Any, first: int = 0, last: int = STEPS) -> list[Any]:
    out = [seen(schedule)]
    for t in range(first, last):
        advance(schedule, t)
        out.append(seen(schedule))
    return out


def same(a: Any, b: Any, where: str) -> None:
    """Equal states: numbers to rounding, all else exactly."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (one, other) in enumerate(zip(a, b)):
            same(one, other, f"{where}[{i}]")
    elif isinstance(a, float) or isinstance(b, float):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-15), where
    else:
        assert a == b and type(a) is type(b), where


RESUMABLE = [name for name in PLAIN_NAMES if not name.startswith(("sequential", "chained", "step-1"))]


class Resuming:
    """The module, with last_epoch given to whatever is made."""

    def __init__(self, module: Any, last_epoch: int) -> None:
        self.module, self.last_epoch = module, last_epoch

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **attrs: getattr(self.module, name)(*args, **attrs, last_epoch=self.last_epoch)


def resumed(name: str, stop: int, library: Any = pydl) -> tuple[Any, Any]:
    """A schedule at epoch stop, and another that resumes there with its own optimizer."""
    build, optimizer = CLOSED[name][0], made(library)
    schedule = build(library.optim.lr_scheduler, made(library))
    trace(schedule, last=stop)
    for group, old in zip(optimizer.param_groups, schedule.optimizer.param_groups, strict=True):
        group.update({key: value for key, value in old.items() if key != "params"})
    return schedule, build(Resuming(library.optim.lr_scheduler, stop - 1), optimizer)
