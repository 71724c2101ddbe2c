"""benches/instructions.py: what it reads out of callgrind's dumps, what it judges, and what it says without valgrind."""
from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "benches" / "instructions.py"
DUMP = """# callgrind format
version: 1
events: Ir
summary: 160
fl=a.c
fn=inner
10 30
fn=outer'2
11 20
cfn=inner
calls=3 10
12 90
fn=outer
11 20

totals: 160
"""


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("instructions", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, **environment})


def test_a_dump_is_read(script: ModuleType) -> None:
    assert script.total_of(DUMP) == 160
    assert script.functions_of(DUMP) == {"outer": 40, "inner": 30}      # what a call took is not the caller's own
    with pytest.raises(ValueError, match="without totals"):
        script.total_of("events: Ir\n")


def test_more_than_five_percent_is_worse(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.compare({"a": 104.0, "b": 106.0, "c": 50.0, "new": 1.0}, {"a": 100.0, "b": 100.0, "c": 100.0}) == 1
    marked = [line for line in capsys.readouterr().out.splitlines() if "WORSE" in line]
    assert len(marked) == 1 and marked[0].startswith("b ") and "1.060" in marked[0]


def test_the_stored_counts_are_of_ten_calls_and_a_replay() -> None:
    stored = json.loads(SCRIPT.with_suffix(".json").read_text())
    assert set(stored["where"]) == {"python", "machine", "isa"}
    assert len(stored["counts"]) == 11 and all(count > 0 for count in stored["counts"].values())


def test_without_valgrind_nothing_is_counted(tmp_path: Path) -> None:
    done = run(PATH=str(tmp_path))
    assert done.returncode == 0 and done.stdout == "nothing counted: valgrind is not installed\n"


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="valgrind cannot run what a sanitizer is loaded into")
def test_a_call_is_counted() -> None:
    done = run("--only", "^module|^zero_grad", "--functions", "2")
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("module without hooks  ", "zero_grad, 6 parameters  "))]
    assert len(rows) == 2 and all(200 < int(row[3]) < 100_000 for row in rows)
