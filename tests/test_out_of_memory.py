"""Where memory runs out, at whatever allocation: MemoryError, nothing half done, and the same program passes afterwards."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pydl
from memorywork import programs
from op_table import KERNELS_ONLY

limited = pytest.mark.skipif(sys.platform != "linux" or KERNELS_ONLY or pydl.memory_stats()["cache_limit"] == 0,
                             reason="needs an address space that can be bounded; a sanitizer takes all of it")


@limited
@pytest.mark.parametrize("program", programs(""))
def test_every_allocation_may_fail(program: str, tmp_path: Path) -> None:
    work = Path(__file__).with_name("memorywork.py")
    path = os.pathsep.join(filter(None, (str(work.parent), os.environ.get("PYTHONPATH"))))
    done = subprocess.run([sys.executable, str(work), str(tmp_path), program], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "PYDL_CACHE_MB": "0", "PYDL_NUM_THREADS": "2", "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    failures = int(done.stdout.split()[1])
    assert failures >= 3, f"only {failures} allocations failed: the limit does not bite"
