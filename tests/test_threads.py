"""The thread pool: settings, nesting, several Python threads, threadpoolctl, exit. Forks are in test_fork.py."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import pydl


def work() -> np.ndarray:
    x = pydl.arange(0, 400_000, dtype=pydl.float32) / 400_000
    y = pydl.exp(x) * x + pydl.rand(400_000, generator=pydl.Generator().manual_seed(1))
    return np.array([y.sum().item(), y.mean().item(), (y * y).sum().item(), y.max().item()])


def test_same_bits_for_any_number(threads: None) -> None:
    pydl.set_num_threads(1)
    want = work()
    for count in (2, 3, 4, 8, 2, 16, 1):
        pydl.set_num_threads(count)
        for _ in range(3):
            assert np.array_equal(work(), want)


def test_set_and_get(threads: None) -> None:
    pydl.set_num_threads(3)
    assert pydl.get_num_threads() == 3
    with pydl.threads(1) as setting:
        assert pydl.get_num_threads() == 1
        with setting:
            assert pydl.get_num_threads() == 1
        with pydl.threads(7):
            assert pydl.get_num_threads() == 7
        assert pydl.get_num_threads() == 1
    assert pydl.get_num_threads() == 3
    with pytest.raises(KeyError), pydl.threads(2):
        raise KeyError
    assert pydl.get_num_threads() == 3
    pydl.set_num_threads(np.int64(2))
    assert pydl.get_num_threads() == 2


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (-1, ValueError), (257, ValueError), (1 << 70, ValueError),
                                              (1.0, TypeError), ("2", TypeError), (None, TypeError)])
def test_refused_counts(count: object, error: type[Exception]) -> None:
    before = pydl.get_num_threads()
    with pytest.raises(error, match="set_num_threads"):
        pydl.set_num_threads(count)
    with pytest.raises(error, match="set_num_threads"), pydl.threads(count):
        pass
    assert pydl.get_num_threads() == before


def test_several_python_threads(threads: None) -> None:
    pydl.set_num_threads(3)
    want = work()
    wrong: list[int] = []

    def target(number: int) -> None:
        for _ in range(10):
            if not np.array_equal(work(), want):
                wrong.append(number)

    workers = [threading.Thread(target=target, args=(n,)) for n in range(4)]
    for w in workers:
        w.start()
    for _ in range(20):
        pydl.set_num_threads(1 + _ % 4)
    for w in workers:
        w.join()
    assert not wrong


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYDL_NUM_THREADS", "OMP_NUM_THREADS")}
    return subprocess.run([sys.executable, "-c", code], env={**clean, **env}, capture_output=True, text=True)


SHOW = "import pydl; print(pydl.get_num_threads())"


@pytest.mark.parametrize(("env", "count"), [({"PYDL_NUM_THREADS": "3"}, 3), ({"OMP_NUM_THREADS": "5"}, 5),
                                            ({"OMP_NUM_THREADS": "6,2"}, 6), ({"OMP_NUM_THREADS": "9999"}, 256),
                                            ({"PYDL_NUM_THREADS": "2", "OMP_NUM_THREADS": "5"}, 2)])
def test_environment(env: dict[str, str], count: int) -> None:
    assert python(SHOW, **env).stdout.strip() == str(count)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "257", "1e3"])
def test_refused_environment(text: str) -> None:
    done = python(SHOW, PYDL_NUM_THREADS=text)
    assert done.returncode == 1 and f"ValueError: PYDL_NUM_THREADS: expected an integer from 1 to 256, got '{text}'" in done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no os.sched_setaffinity here")
def test_affinity_is_respected() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + SHOW
    assert python(code).stdout.strip() == "1"


THREADPOOLCTL = {
    "before": "import threadpoolctl, pydl",
    "after": "import pydl, threadpoolctl",
}
LIMITS = """
pydl.set_num_threads(3)
mine = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "pydl"]
assert len(mine) == 1 and mine[0]["num_threads"] == 3 and mine[0]["version"] == pydl.__version__, mine
with threadpoolctl.threadpool_limits(1):
    assert pydl.get_num_threads() == 1
assert pydl.get_num_threads() == 3
with threadpoolctl.threadpool_limits({"pydl": 2}):
    assert pydl.get_num_threads() == 2
with threadpoolctl.threadpool_limits(1, user_api="blas"):
    assert pydl.get_num_threads() == 3
"""


@pytest.mark.parametrize("order", THREADPOOLCTL)
def test_threadpoolctl(order: str) -> None:
    pytest.importorskip("threadpoolctl")
    done = python(THREADPOOLCTL[order] + LIMITS)
    assert done.returncode == 0, done.stderr


def test_missing_threadpoolctl_is_still_missing() -> None:
    code = """
import sys, pydl
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name == "threadpoolctl":
            raise ModuleNotFoundError("none here", name=name)
sys.meta_path.insert(1, Nothing())
for _ in range(2):
    try:
        import threadpoolctl
    except ModuleNotFoundError:
        pass
    else:
        raise SystemExit("found")
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


EXIT = """
import threading, pydl
pydl.set_num_threads(4)
def loop():
    while True:
        pydl.exp(pydl.ones(500_000)).sum()
for _ in range(3):
    threading.Thread(target=loop, daemon=True).start()
loop_once = pydl.exp(pydl.ones(500_000)).sum()
"""


def test_exit_while_kernels_run() -> None:
    for _ in range(5):
        done = python(EXIT)
        assert done.returncode == 0, done.stderr


CSRC = Path(__file__).parent.parent / "csrc"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@pytest.mark.skipif(COMPILER is None or not CSRC.exists(), reason="needs a C compiler and the C sources")
@pytest.mark.parametrize(("sanitizer", "forks"), [("thread", 0), ("address,undefined", 100), ("", 200)])
def test_pool_and_allocator_alone(sanitizer: str, forks: int, tmp_path: Path) -> None:
    """tests/core/pool.c with the sanitizers: no race, no bad access, right results."""
    sources = [Path(__file__).parent / "core" / "pool.c", *(CSRC / name for name in ("threads.c", "cpus.c", "alloc.c"))]
    flags = [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"] if sanitizer else []
    built = subprocess.run([COMPILER, "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *flags, "-pthread", f"-I{CSRC}",
                            *map(str, sources), "-o", str(tmp_path / "pool")], capture_output=True, text=True)
    if "cannot find" in built.stderr and sanitizer:
        pytest.skip(f"the compiler has no {sanitizer} sanitizer")
    assert built.returncode == 0, built.stderr
    options = {"ASAN_OPTIONS": "allocator_may_return_null=1", "TSAN_OPTIONS": "halt_on_error=1"}
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"} | options
    done = subprocess.run([str(tmp_path / "pool"), str(forks)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "ok" in done.stdout, done.stderr
