"""Bad input: calls with mutated arguments to every op, method and function, in child processes with limits of time and memory.

The classes of kernel fault that are aimed at: A zero or negative sizes and counts; B, I attributes beyond the sizes; C products of
sizes over 2^31 and 2^63; D empty tensors; E other ranks; F indices out of range; G other types, byte orders and strides; H NaN,
infinities, the largest and smallest numbers; J aliases, memory that was freed or exchanged. fuzz.py draws the calls, fuzzrun.py
makes and judges them. PYDL_FUZZ=N runs N times as many, with other seeds from N = 2 on.
"""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fuzzrun
import pydl
from fuzz import targets
from fuzzargs import Call, Named, T, Through
from op_table import KERNELS_ONLY

TIMES = max(1, int(os.environ.get("PYDL_FUZZ", "1")))
EXAMPLES = (5 if KERNELS_ONLY else 10) * TIMES
SECONDS = 600 * TIMES                   # for a whole group; a call has 10 (fuzzrun.LIMIT)


def run_group(group: str, log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(__file__).with_name("fuzzrun.py")), group, str(EXAMPLES), str(TIMES - 1), str(log), *options]
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "PYDL_NUM_THREADS": "2", "PYTHONFAULTHANDLER": "1"}
    if "ASAN_OPTIONS" in os.environ:        # an address sanitizer takes all of the address space: it bounds single allocations itself
        environment["ASAN_OPTIONS"] = f"{os.environ['ASAN_OPTIONS']}:max_allocation_size_mb={fuzzrun.ROOM >> 20}"
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)


@pytest.mark.parametrize("group", targets())
def test_any_call_returns_or_refuses(group: str, tmp_path: Path) -> None:
    log = tmp_path / "call"
    done = run_group(group, log)
    if done.returncode < 0:
        why = "took more than 10 s" if -done.returncode == signal.SIGALRM else f"died of signal {-done.returncode}"
        pytest.fail(f"{group} {why} in\n{log.read_text()}{done.stderr[-2000:]}")
    assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-4000:]}"


# ---- Does it see anything at all?

def raising(error: Exception) -> Any:
    """A function that raises, from a file beside the tests' own."""
    space: dict[str, Any] = {"error": error}
    exec(compile("def planted(x):\n    raise error", "planted", "exec"), space)
    return space["planted"]


def overwrites(x: pydl.Tensor) -> pydl.Tensor:
    x.mul_(2)
    return x.clone()


def depends_on_strides(x: pydl.Tensor) -> pydl.Tensor:
    return x + x.stride(0)


def has_gradients_of_strides(x: pydl.Tensor) -> pydl.Tensor:
    return x * x.stride(0)


def differs(x: pydl.Tensor) -> pydl.Tensor:
    return pydl.exp(x) * 1.01


@pytest.mark.parametrize(("planted", "said"), [
    (raising(KeyError("x")), "KeyError"), (raising(ValueError("")), "without a text"), (raising(TypeError("must be real number")), "names no op"),
    (overwrites, "changed an argument"),
    (depends_on_strides, "other values"), (has_gradients_of_strides, "other"), (differs, "the reference has"),
], ids=lambda p: getattr(p, "__name__", ""))
def test_planted_faults_are_found(planted: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzrun, "resolved", lambda target: planted)
    with pytest.raises(fuzzrun.Fault, match=said):
        fuzzrun.judge(Call("exp", (T((3, 4), layout="transposed", grad=planted is has_gradients_of_strides),), {}))


def test_a_call_that_kills_the_process_is_named(tmp_path: Path) -> None:
    planted = "import os, sys, fuzzrun; fuzzrun.judge = lambda call: os.abort(); fuzzrun.main('exp', '1', '0', sys.argv[1])"
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    done = subprocess.run([sys.executable, "-c", planted, str(tmp_path / "call")], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert done.returncode == -signal.SIGABRT
    assert isinstance(eval((tmp_path / "call").read_text(), {"Call": Call, "T": T, "Through": Through, "Named": Named}), Call)      # the reproducer makes the call again
