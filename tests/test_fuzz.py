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

import pytest

from fuzz import targets
from op_table import KERNELS_ONLY

TIMES = max(1, int(os.environ.get("PYDL_FUZZ", "1")))
EXAMPLES = (6 if KERNELS_ONLY else 20) * TIMES
SECONDS = 600 * TIMES                   # for a whole group; a call has 10 (fuzzrun.LIMIT)


def run_group(group: str, log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(__file__).with_name("fuzzrun.py")), group, str(EXAMPLES), str(TIMES - 1), str(log), *options]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "PYDL_NUM_THREADS": "2", "PYTHONFAULTHANDLER": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)


@pytest.mark.parametrize("group", targets())
def test_any_call_returns_or_refuses(group: str, tmp_path: Path) -> None:
    log = tmp_path / "call"
    done = run_group(group, log)
    if done.returncode < 0:
        why = "took more than 10 s" if -done.returncode == signal.SIGALRM else f"died of signal {-done.returncode}"
        pytest.fail(f"{group} {why} in\n{log.read_text()}{done.stderr[-2000:]}")
    assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-4000:]}"
