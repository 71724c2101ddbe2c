"""Interleaved timing: A B, B A, A B ... ; every round long enough to time; medians."""
from __future__ import annotations

import ctypes
import gc
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
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


PEAK = r"""
#include <stddef.h>
#if defined(__AVX512F__)
typedef float v __attribute__((vector_size(64)));
#elif defined(__AVX__)
typedef float v __attribute__((vector_size(32)));
#else
typedef float v __attribute__((vector_size(16)));
#endif
double flops(size_t n, float *sink) {
    v a[12], x = (v){0} + 0.999f, y = (v){0} + 1e-6f;
    for (int i = 0; i < 12; i++) a[i] = (v){0} + (float)i;
    for (size_t k = 0; k < n; k++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++) a[i] = a[i] * x + y;
    }
    for (int i = 0; i < 12; i++) *sink += a[i][0];
    return 12.0 * 2 * (sizeof(v) / 4) * (double)n;
}
"""


def peak_loop() -> Callable[[], float] | None:
    """A function that returns the FLOP/s of one core's FMA units; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        return None
    folder = Path(tempfile.mkdtemp(prefix="pydl-peak-"))
    try:
        (folder / "peak.c").write_text(PEAK)
        command = [compiler, "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC", "-o", "peak.so", "peak.c"]
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
            return None
        library = ctypes.CDLL(str(folder / "peak.so"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    library.flops.restype = ctypes.c_double
    library.flops.argtypes = [ctypes.c_size_t, ctypes.POINTER(ctypes.c_float)]
    sink = ctypes.c_float(0)

    def measure() -> float:
        start = time.perf_counter()
        done = library.flops(2_000_000, ctypes.byref(sink))
        return done / (time.perf_counter() - start)

    return measure
