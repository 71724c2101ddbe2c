"""The cases of cases.py under pytest-benchmark, for a history: pytest benches --benchmark-autosave [-k gemm]."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pydl

sys.path.insert(0, str(Path(__file__).parent))
from cases import Case, every_case, threads_of

CASES = every_case()


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
