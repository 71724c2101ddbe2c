"""What a type checker makes of pydl: the stubs against the compiled modules, and a user's program. Skipped without mypy."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pydl

pytest.importorskip("mypy", reason="mypy is not installed")

PACKAGE = Path(pydl.__file__).parent
STUBS = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.pyi"))]

# Methods of Tensor are the ops themselves, bound when the package is loaded, and operators are special methods of C types.
EXPECTED = re.compile(
    r"""stub\ parameter\ "self"\ differs\ from\ runtime\ parameter\ "(input|tensor|x|L|B|b)"
      | (Tensor\.\w+_|__init__)\ is\ inconsistent,\ stub\ does\ not\ have\ \*args      # in place; classes that only pydl makes
      | \.[A-Z]\w+\ is\ not\ present\ at\ runtime                                   # names of the stubs for unions
      | Context\.__[gs]etattr__\ is\ not\ present                                      # any attribute: it has a __dict__
      | __r?pow__\ is\ inconsistent,\ stub\ does\ not\ have\ parameter\ "mod"
      | compare\.where\ is\ inconsistent,\ runtime\ parameter\ "(input|other)"        # overloads
      | extremes\.(min|max)\ is\ inconsistent,\ runtime\ parameter\ "axis"             # overloads
    """, re.X)

PROGRAM = """
import pydl
from pydl import nn
from pydl.data import DataLoader, TensorDataset
from pydl.optim import Adam


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        y: pydl.Tensor = self.layers(x)
        return y


def train(model: nn.Module, epochs: int) -> list[float]:
    data = TensorDataset(pydl.randn(32, 4), pydl.zeros(32, dtype=pydl.int64))
    optimizer = Adam(model.parameters(), lr=1e-2)
    losses: list[float] = []
    for _ in range(epochs):
        for x, target in DataLoader(data, batch_size=8, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.item()))
    return losses


with pydl.profile() as prof, pydl.no_grad():
    y: pydl.Tensor = pydl.softmax(pydl.ones(3, 4) @ pydl.ones(4, 2), 1).sum(0)
print(prof.table(), train(Net(8), 2), y.shape[0], pydl.summary(Net(8), (1, 4)).total_params)
values, indices = pydl.sort(pydl.arange(3))
pydl.io.save_file({"y": y, "values": values}, "y.safetensors")
accuracy: float = pydl.metrics.accuracy(indices, indices)
"""

WRONG = """
import pydl

x: str = pydl.ones(3)
pydl.no_such_name
pydl.ones(3).no_such_method()
pydl.relu("x")
pydl.nn.Linear("4", 2)
pydl.softmax(pydl.ones(3))
"""


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """mypy, which finds the pydl that this process has."""
    environment = {**os.environ, "MYPY_CACHE_DIR": str(folder / "cache")}
    if PACKAGE.parent.name != "site-packages":
        environment |= {"MYPYPATH": str(PACKAGE.parent), "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run([sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
                          check=False)


def test_stubs_say_what_the_compiled_modules_hold(tmp_path: Path) -> None:
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nignore_missing_imports = true\nignore_errors = true\n")
    done = run("mypy.stubtest", *STUBS, "--concise", "--mypy-config-file", str(settings), "--ignore-missing-stub", "--ignore-positional-only",
               "--ignore-disjoint-bases", folder=tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 or lines and all(" is " in line or " cannot " in line for line in lines), done.stdout + done.stderr
    wrong = [line for line in lines if not EXPECTED.search(line)]
    assert not wrong, "\n".join(wrong)
    if done.returncode:
        assert any("Tensor.exp is" in line for line in lines)       # it has looked


def test_a_typed_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run("mypy", "--follow-imports=silent", "--check-untyped-defs", "program.py", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_typed_program_runs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True, capture_output=True, timeout=120,
                   env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)})


def test_mistakes_are_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    done = run("mypy", "--follow-imports=silent", "wrong.py", folder=tmp_path)
    assert done.returncode == 1
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if line.startswith("wrong.py") and "error" in line}
    assert found == set(range(4, 10)), done.stdout
