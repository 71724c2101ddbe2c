"""Interleaved timing: A B, B A, A B ... ; every round long enough to time; medians."""
from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

Thunk = Callable[[], Any]
SETTLE = 0.02   # seconds between a and b: the other library's threads spin for milliseconds before they sleep


def loops_for(f: Thunk, seconds: float) -> int:
    """How many calls take `seconds`; this warms up too."""
    f()
    n = 1
    while True:
        start = time.perf_counter()
        for _ in range(n):
            f()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds / 4:
            return max(1, round(n * seconds / elapsed))
        n = max(2 * n, int(n * seconds / 2 / max(elapsed, 1e-9))) if elapsed < seconds / 50 else 2 * n


def once(f: Thunk, n: int) -> float:
    """Seconds a call, over n calls."""
    indices = range(n)
    start = time.perf_counter()
    for _ in indices:
        f()
    return (time.perf_counter() - start) / n


def interleaved(a: Thunk, b: Thunk, rounds: int = 9, seconds: float = 0.02) -> tuple[list[float], list[float]]:
    """Seconds a call of a and of b, round by round; who goes first alternates."""
    n, m = loops_for(a, seconds), loops_for(b, seconds)
    times: tuple[list[float], list[float]] = [], []
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for i in range(max(7, rounds)):
            order = ((0, a, n), (1, b, m)) if i % 2 == 0 else ((1, b, m), (0, a, n))
            for which, f, loops in order:
                time.sleep(SETTLE)
                f()
                times[which].append(once(f, loops))
    finally:
        if enabled:
            gc.enable()
    return times


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Median and quartiles of theirs / ours, round by round."""
    low, middle, high = statistics.quantiles([t / o for o, t in zip(ours, theirs)], n=4)
    return middle, low, high


def alone(f: Thunk, rounds: int = 9, seconds: float = 0.02) -> list[float]:
    """Seconds a call, round by round."""
    n = loops_for(f, seconds)
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        return [once(f, n) for _ in range(max(7, rounds))]
    finally:
        if enabled:
            gc.enable()
