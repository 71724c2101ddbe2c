"""fork after the thread pool has run: children compute, with threads of their own, and parents go on."""
from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest

import pydl
from forkwork import work, work_in_pool


def in_child(expected: float, seconds: float = 30) -> None:
    """Fork, work in the child, and require the same result in time."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() == expected else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.002)


pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here"),
              pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fork_after_threads_ran(count: int, threads: None) -> None:
    pydl.set_num_threads(count)
    expected = work()
    for _ in range(10):
        in_child(expected)
        assert work() == expected


def test_fork_while_a_thread_works(threads: None) -> None:
    pydl.set_num_threads(2)
    expected = work()
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            work()

    worker = threading.Thread(target=loop)
    worker.start()
    try:
        for _ in range(10):
            in_child(expected)
    finally:
        stop.set()
        worker.join()


def test_fork_in_a_thread(threads: None) -> None:
    pydl.set_num_threads(2)
    expected = work()
    failures: list[BaseException] = []

    def target() -> None:
        try:
            in_child(expected)
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=target)
    worker.start()
    worker.join()
    assert not failures


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, threads: None) -> None:
    pydl.set_num_threads(2)
    expected = work()
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        results = [pool.apply_async(work_in_pool) for _ in range(4)]
        for result in results:
            assert result.get(timeout=60) == expected
