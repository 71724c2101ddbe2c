"""import pydl: what it loads, and what it leaves as it was."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import pydl


def python(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter, which finds pydl where this one did."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
                            env={**os.environ, **environment})
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_loads_only_numpy_and_pydl() -> None:
    loaded = json.loads(python(
        "import sys, json, numpy; before = set(sys.modules); import pydl;"
        "print(json.dumps(sorted({m.split('.')[0] for m in set(sys.modules) - before})))"))
    ours = re.compile("pydl$|_?cython_")
    foreign = [m for m in loaded if m not in sys.stdlib_module_names and not ours.match(m)]
    assert not foreign, f"import pydl loads {foreign}"


def test_starts_no_thread() -> None:
    assert python("import os, pydl; print(len(os.listdir('/proc/self/task')))").strip() == \
        python("import os, numpy; print(len(os.listdir('/proc/self/task')))").strip()


def test_leaves_random_state_and_signals_alone() -> None:
    python("import random, signal, numpy as np; a, b, s = random.getstate(), np.random.get_state()[1].copy(), "
           "signal.getsignal(signal.SIGINT); import pydl; assert random.getstate() == a; "
           "assert (np.random.get_state()[1] == b).all(); assert signal.getsignal(signal.SIGINT) is s")


def test_subnormals_survive() -> None:
    """A library linked with fast-math flushes subnormals to zero, for the whole process."""
    python("import pydl, numpy as np; assert 5e-324 * 1.0 > 0; assert np.float32(1e-40) * np.float32(0.5) > 0;"
           "assert (np.full(1000, 1e-310) * 0.5 > 0).all()")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_subnormals_survive_in_the_pools_threads(count: int, threads: None) -> None:
    pydl.set_num_threads(count)
    for dtype, value in ((np.float32, 1e-40), (np.float64, 1e-310)):
        half = (pydl.from_numpy(np.full(1_000_003, value, dtype)) * 0.5).numpy()
        assert (half == dtype(value) * dtype(0.5)).all()
        assert (half > 0).all()


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("pydl-cpu")
    except PackageNotFoundError:
        pytest.skip("pydl is not installed, but run from a checkout")
    assert pydl.__version__ == installed


def test_files_and_metrics_are_loaded_when_they_are_named() -> None:
    python("import sys, pydl; assert not {'pydl.io', 'pydl.metrics', 'pydl.training', 'pydl.optim.lr_scheduler', 'pydl.ops.solvers'} & set(sys.modules);"
           "assert {'io', 'metrics', 'training'} <= set(dir(pydl)); assert pydl.training.Trainer and pydl.io.save_file and pydl.metrics.accuracy and pydl.optim.lr_scheduler.StepLR;"
           "assert not hasattr(pydl, 'nothing')")


def test_names_from_inside_are_not_public() -> None:
    from pydl import ops

    assert all(hasattr(ops, name) for name in ops.INTERNAL), "an internal op that does not exist"
    public = {name for name in dir(pydl) if not name.startswith("_")}
    assert not public & ops.INTERNAL and {"add", "matmul", "Tensor", "nn", "optim", "no_grad"} <= public
