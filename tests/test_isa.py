"""Every instruction set this machine runs: the same tests pass, and the results are close to one another's."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pydl

HERE = Path(__file__).parent
SETS = pydl.available_isas()
CORE = ("exp", "tanh", "sigmoid", "log", "sin", "erf", "add", "where", "matmul", "linear", "sum", "var", "softmax",
        "cumsum", "cross_entropy", "gather", "sort", "cat")


def fresh(isa: str, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYDL_ISA": isa}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=600, check=False,
                          env=environment, cwd=cwd)


def test_base_is_there_and_the_best_is_chosen(tmp_path: Path) -> None:
    assert SETS[-1] == "base"
    assert pydl.current_isa() == (os.environ.get("PYDL_ISA") or SETS[0])


@pytest.mark.parametrize("isa", SETS)
def test_values_and_gradients(isa: str, tmp_path: Path) -> None:
    if os.environ.get("PYDL_TEST_EVERY_ISA") == "0" or isa == pydl.current_isa():
        pytest.skip("this run tests it already" if isa == pydl.current_isa() else "switched off by PYDL_TEST_EVERY_ISA=0")
    files = [str(HERE / f"test_ops_{name}.py") for name in ("values", "gradients", "layout", "threads")]
    result = fresh(isa, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", " or ".join(CORE), *files, cwd=tmp_path)
    assert result.returncode == 0, result.stdout[-4000:]


PROGRAM = """
import sys, numpy as np, pydl
rng = np.random.default_rng(0)
shapes = (33, 65), (17, 65), (17,)
x, w, b = (pydl.from_numpy(rng.standard_normal(s).astype(np.float32)).requires_grad_(True) for s in shapes)
t = pydl.from_numpy(rng.integers(0, 17, 33))
h = pydl.tanh(x @ w.T + b)
loss = pydl.ops.cross_entropy(h * 3, t) + pydl.exp(-h * h).mean() + h.std()
loss.backward()
np.savez(sys.argv[1], loss=loss.detach().numpy(), x=x.grad.numpy(), w=w.grad.numpy(), b=b.grad.numpy())
"""


def test_instruction_sets_agree_within_rounding(tmp_path: Path) -> None:
    results = {}
    for isa in SETS:
        done = fresh(isa, "-c", PROGRAM, str(tmp_path / f"{isa}.npz"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / f"{isa}.npz") as saved:
            results[isa] = {name: saved[name] for name in saved.files}
    for isa, values in results.items():
        for name, value in values.items():
            room = 1e-5 * np.abs(results["base"][name]).max()
            np.testing.assert_allclose(value, results["base"][name], rtol=1e-5, atol=room, err_msg=f"{isa} {name}")


@pytest.mark.parametrize("name", ["mmx", "AVX2 ", "avx1024"])
def test_unknown_isa_is_refused(name: str, tmp_path: Path) -> None:
    result = fresh(name, "-c", "import pydl", cwd=tmp_path)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert "PYDL_ISA" in last and name.strip() in last and "base" in last, last
    assert "Error" in last
