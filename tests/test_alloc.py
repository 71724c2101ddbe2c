"""The caching allocator, seen from Python."""
from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import pydl

cached = pytest.mark.skipif(pydl.memory_stats()["cache_limit"] == 0, reason="a sanitizer's build keeps nothing")


def test_counts_of_a_tensor() -> None:
    before = pydl.memory_stats()
    x = pydl.empty(1000)
    during = pydl.memory_stats()
    assert during["allocated"] - before["allocated"] in range(4000, 4513)
    assert during["allocations"] == before["allocations"] + 1
    assert during["peak"] >= during["allocated"]
    del x
    assert pydl.memory_stats()["allocated"] == before["allocated"]


@cached
@pytest.mark.parametrize("n", [1, 1000, 300_000, 2_000_000])
def test_freed_memory_is_used_again(n: int) -> None:
    x = pydl.empty(n)
    address = x.data_ptr()
    del x
    before = pydl.memory_stats()
    assert pydl.empty(n).data_ptr() == address
    assert pydl.memory_stats()["cache_hits"] == before["cache_hits"] + 1


@pytest.mark.parametrize("n", [0, 1, 2, 15, 17, 1000, 4097, 262_144, 300_001, 524_288, 1_000_003])
def test_alignment(n: int) -> None:
    tensors = [pydl.empty(n) for _ in range(20)]
    assert all(x.data_ptr() % 64 == 0 for x in tensors)
    if n:
        assert len({x.data_ptr() for x in tensors}) == 20


@cached
def test_empty_cache() -> None:
    x = pydl.empty(1_000_000)
    del x
    assert pydl.memory_stats()["cached"] >= 4_000_000
    pydl.empty_cache()
    assert pydl.memory_stats()["cached"] == 0
    assert pydl.ones(10).sum().item() == 10


def test_peak_can_be_reset() -> None:
    x = pydl.empty(1_000_000)
    del x
    assert pydl.memory_stats()["peak"] >= 4_000_000
    pydl.reset_peak_memory_stats()
    stats = pydl.memory_stats()
    assert stats["peak"] == stats["allocated"]


def test_blocks_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    live: list[tuple[pydl.Tensor, float]] = []
    for step in range(2000):
        if live and rng.random() < 0.5:
            x, value = live.pop(rng.integers(len(live)))
            assert (x.numpy() == value).all()
        live.append((pydl.full((int(rng.integers(1, 5000)),), float(step)), float(step)))
        del live[:-60]
    for x, value in live:
        assert (x.numpy() == value).all()


def test_threads_share_it() -> None:
    failures: list[int] = []

    def work(number: int) -> None:
        for i in range(300):
            x = pydl.full((1 + (i * 37) % 3000,), float(number))
            y = x + x
            if not (y.numpy() == 2 * number).all():
                failures.append(number)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not failures


LIMITED = """
import pydl
for n in range(1, 60):
    x = pydl.zeros(n * 50_000)
    del x
stats = pydl.memory_stats()
print(stats["cache_limit"], stats["cached"])
"""


@cached
@pytest.mark.parametrize("mib", [0, 1, 3])
def test_limit_of_the_cache(mib: int) -> None:
    out = subprocess.run([sys.executable, "-c", LIMITED], env={**os.environ, "PYDL_CACHE_MB": str(mib)},
                         capture_output=True, text=True, check=True).stdout.split()
    assert int(out[0]) == mib << 20
    assert int(out[1]) <= mib << 20


NO_MEMORY = """
import resource
import pydl
x = pydl.ones(1000)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
held = []
for attempt in range(3):
    try:
        for _ in range(100):
            held.append(pydl.ones(16 << 20))
    except MemoryError as error:
        held.clear()
        print("refused")
    else:
        raise SystemExit("6.4 GB in 1 GB")
assert (x + x).sum().item() == 2000
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no RLIMIT_AS here that bounds memory")
@cached
def test_out_of_memory_is_an_error_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", NO_MEMORY], env={**os.environ, "PYDL_NUM_THREADS": "1"},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * 3


@pytest.mark.parametrize("shape", [(1 << 62, 5), (1 << 40, 1 << 40), (1 << 31, 1 << 31, 2), (1 << 61,), (1 << 50,)])
def test_sizes_that_no_memory_holds(shape: tuple[int, ...]) -> None:
    before = pydl.memory_stats()["allocated"]
    with pytest.raises((ValueError, MemoryError)):
        pydl.empty(shape)
    assert pydl.memory_stats()["allocated"] == before
