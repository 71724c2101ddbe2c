"""The cases of cases.py under pytest-benchmark, for a history: pytest benches --benchmark-autosave [-k gemm]."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pydl

sys.path.insert(0, str(Path(__file__).parent))
import cases_reduce  # noqa: F401
from cases import CASES, Case, threads_of


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bench(case: Case, threads: int, benchmark) -> None:
    benchmark.group = case.name
    before = pydl.get_num_threads()
    threads_of("pydl", threads)
    try:
        benchmark(case.build(pydl))
    finally:
        threads_of("pydl", before)
