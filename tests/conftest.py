"""What every test may use; the head of a run says which pydl is tested."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import pydl
from pydl.training import steps

# Child processes import the pydl under test, too, not the checkout that they are started in.
os.environ["PYTHONSAFEPATH"] = "1"


def pytest_report_header() -> str:
    return f"pydl {pydl.__version__} from {Path(pydl.__file__).parent}, PYDL_ISA={os.environ.get('PYDL_ISA', '')}"


@pytest.fixture
def threads() -> Iterator[None]:
    """Sets the number of threads back afterwards."""
    before = pydl.get_num_threads()
    yield
    pydl.set_num_threads(before)


@pytest.fixture
def record_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Trainer records everything at its second call."""
    monkeypatch.setattr(steps, "WORTH", 0)
    monkeypatch.setattr(steps, "SLOW", 1e9)
