"""The timing of pydl/bench, and the peak of the machine.

pydl/bench is taken from this checkout, not from the pydl that is measured: compare.py measures old revisions with it, too.
"""
from __future__ import annotations

import ctypes
import importlib.util
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def shared(name: str) -> ModuleType:
    """pydl/bench/<name>.py of this checkout."""
    place = Path(__file__).parent.parent / "pydl" / "bench" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"pydl_bench_{name}", place)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_measure = shared("measure")
Thunk, SETTLE = _measure.Thunk, _measure.SETTLE
loops_for, once, interleaved, ratio = _measure.loops_for, _measure.once, _measure.interleaved, _measure.ratio


def faster(thunks: dict[str, Thunk]) -> Thunk:
    """The fastest of several ways to the same; its attribute `how` says which it is, and what the others take."""
    times: dict[str, list[float]] = {name: [] for name in thunks}
    loops = {name: loops_for(f, 0.02) for name, f in thunks.items()}
    for _ in range(5):
        for name, f in thunks.items():
            times[name].append(once(f, loops[name]))
    took = {name: statistics.median(of) for name, of in times.items()}
    best = min(took, key=lambda name: took[name])
    others = ", ".join(f"{name} {took[name] / took[best]:.2f}x" for name in took if name != best)
    vars(thunks[best])["how"] = f"{best} ({others})"
    return thunks[best]


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
