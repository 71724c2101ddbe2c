"""pydl selftest: passes here, and says so when something is wrong."""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

import pydl
from pydl.cli import selftest


def test_it_passes(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pydl", "selftest"], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(selftest.CHECKS) + 1 and all(line.startswith("ok ") for line in lines[:-1])
    assert f"all {len(selftest.CHECKS)} checks passed" in lines[-1] and pydl.current_isa() in lines[-1]
    assert not list(tmp_path.iterdir())


def test_a_folder_of_that_name_is_not_taken_for_the_package(tmp_path: Path) -> None:
    """As in a checkout that is not built: the children of the check of instruction sets took it."""
    (tmp_path / "pydl").mkdir()
    (tmp_path / "pydl" / "__init__.py").write_text("raise ImportError('not this one')")
    done = subprocess.run([sys.executable, "-P", "-m", "pydl", "selftest"], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "CHECKS", {"arithmetic": selftest.CHECKS["arithmetic"]})
    assert selftest.run(argparse.Namespace(json=True)) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["failed"] == 0 and [check["check"] for check in report["checks"]] == ["arithmetic"]


@pytest.mark.parametrize(("name", "check", "named"), [
    ("exp", "elementwise", "exp: differs from NumPy by"),
    ("matmul", "gradients", "GradcheckError"),
    ("softmax", "softmax and losses", "softmax: differs"),
    ("sort", "shapes and indices", "sort"),
])
def test_a_wrong_op_fails_its_check(name: str, check: str, named: str, capsys: pytest.CaptureFixture[str],
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(pydl, name)
    # The value is wrong by a part that the tape does not see, so that the gradient does not fit either.
    monkeypatch.setattr(pydl, name, lambda *args, **named: wrong(right(*args, **named)))

    def wrong(y: object) -> object:
        if isinstance(y, tuple):
            return (y[0] + 1, y[1])
        assert isinstance(y, pydl.Tensor)
        return y + (0.01 * y * y).detach()

    monkeypatch.setattr(selftest, "CHECKS", {one: selftest.CHECKS[one] for one in (check, "safetensors")})
    assert selftest.run(argparse.Namespace(json=False)) == 1
    out = capsys.readouterr().out
    assert "FAILED " + check in out and named in out and "ok     safetensors" in out and "1 of 2 checks failed" in out


def test_it_leaves_the_state_as_it_was(threads: None) -> None:
    pydl.set_num_threads(2)
    state = pydl.get_rng_state()
    assert selftest.run(argparse.Namespace(json=True)) == 0
    assert pydl.get_num_threads() == 2 and pydl.equal(pydl.get_rng_state(), state)
