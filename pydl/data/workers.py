"""Worker threads: they make batches ahead of the loop that consumes them.

The consumer and each worker share nothing but queues, so that there is no lock to hold: tasks go to one worker, its results
come back in the order of its tasks. Every task and result carries the number of the pass it belongs to; what is left of a pass
that was abandoned is passed over. A worker refers to its pool and never to an iterator, so that an iterator nobody holds any
more is collected, and stops its workers.
"""
from __future__ import annotations

import atexit
import copy
import itertools
import math
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydl._core.generator import use_in_thread
from pydl.data.dataset import Dataset, IterableDataset
from pydl.data.fetch import Collate, MapFetch, StreamFetch
from pydl.random import Generator

EXIT_SECONDS = 2.0      # how long the end of the program waits for workers that are busy
LOOK_SECONDS = 5.0      # how often a consumer that waits looks whether its worker is still there


@dataclass(frozen=True)
class WorkerInfo:
    """What get_worker_info() tells in a worker: its number, how many there are, its seed, and its copy of the data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


class Task(NamedTuple):
    epoch: int
    begin: int | None = None        # the base seed, where a pass begins
    number: int = 0
    indices: Any = None


class Result(NamedTuple):
    epoch: int
    worker: int
    value: Any = None
    error: BaseException | None = None
    end: bool = False               # the worker's stream is at its end


class Settings(NamedTuple):
    """What a worker needs to know about its loader."""

    dataset: Any
    collate: Collate
    whole: bool
    size: int | None
    drop_last: bool
    init: Callable[[int], Any] | None


class Local(threading.local):
    info: WorkerInfo | None = None


local = Local()
pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader, what it is; elsewhere None."""
    return local.info


class Pool:
    """Worker threads and the queues to and from them. in_order: every worker has a queue of results, else all share one."""

    def __init__(self, settings: Settings, count: int, in_order: bool) -> None:
        self.count, self.in_order, self.pid = count, in_order, os.getpid()
        self.epoch, self.stopped = 0, False
        self.passes = itertools.count(1)
        self.tasks: list[queue.SimpleQueue[Task | None]] = [queue.SimpleQueue() for _ in range(count)]
        shared: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self.results = [queue.SimpleQueue() if in_order else shared for _ in range(count)]
        self.threads = [threading.Thread(target=work, args=(self, i, settings), daemon=True, name=f"pydl-DataLoader-{i}")
                        for i in range(count)]
        pools.add(self)
        try:
            for thread in self.threads:
                thread.start()
        except BaseException:
            self.stop()
            raise

    def begin(self, base_seed: int) -> int:
        """Starts a pass, and ends the one before; returns its number."""
        self.epoch = next(self.passes)
        for tasks in self.tasks:
            tasks.put(Task(self.epoch, begin=base_seed))
        return self.epoch

    def abandon(self, epoch: int) -> None:
        """Nobody waits for the results of this pass any more."""
        if self.epoch == epoch:
            self.epoch = 0

    def receive(self, worker: int, epoch: int, timeout: float) -> Result:
        """The worker's next result of this pass, or anybody's where they share a queue."""
        deadline = time.monotonic() + timeout if timeout else math.inf
        while True:
            try:
                result = self.results[worker].get(timeout=max(0, min(LOOK_SECONDS, deadline - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    raise RuntimeError(f"DataLoader: no batch came within the timeout of {timeout:g} seconds; "
                                       "the workers are busy") from None
                if not self.threads[worker].is_alive() and self.results[worker].empty():
                    raise RuntimeError(f"DataLoader: worker {worker} has ended before its batch was made") from None
                continue
            if result.epoch == epoch:
                return result

    def stop(self) -> None:
        """Lets every worker end when it has finished the sample it is at. May be called anywhere, at any time."""
        if self.stopped or self.pid != os.getpid():     # the threads stayed in the parent of a fork
            return
        self.stopped, self.epoch = True, 0
        for tasks in self.tasks:
            tasks.put(None)

    def join(self, seconds: float) -> None:
        """Waits until the workers have ended, but no longer than that."""
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            if self.pid == os.getpid() and thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(0, deadline - time.monotonic()))


def stop_all() -> None:
    """At the end of the program: what runs past it would be cut off in the middle."""
    running = [pool for pool in pools if not pool.stopped]
    for pool in running:
        pool.stop()
    deadline = time.monotonic() + EXIT_SECONDS
    for pool in running:
        pool.join(max(0, deadline - time.monotonic()))


atexit.register(stop_all)


class Worker:
    """What a worker thread knows."""

    def __init__(self, pool: Pool, number: int, settings: Settings) -> None:
        self.pool, self.number, self.settings = pool, number, settings
        self.dataset, self.ready = settings.dataset, False
        self.generator = Generator()
        self.fetch: MapFetch | StreamFetch | None = None
        self.failed: BaseException | None = None        # why the pass could not begin

    def begin(self, epoch: int, base_seed: int) -> None:
        self.fetch = self.failed = None
        seed = (base_seed + self.number) % 2**64
        self.generator.manual_seed(seed)
        if not self.ready and isinstance(self.dataset, Dataset):
            self.dataset = copy.copy(self.settings.dataset)
        local.info = WorkerInfo(self.number, self.pool.count, seed, self.dataset)
        if not self.ready and self.settings.init is not None:
            self.settings.init(self.number)
        self.ready = True
        if isinstance(self.dataset, IterableDataset):
            self.fetch = StreamFetch(self.dataset, self.settings.collate, self.settings.size, self.settings.drop_last)
        else:
            self.fetch = MapFetch(self.dataset, self.settings.collate, self.settings.whole, base_seed,
                                  wanted=lambda: self.pool.epoch == epoch)

    def run(self, task: Task) -> Result | None:
        """The result of a task; None where nobody waits for one."""
        try:
            if task.begin is not None:
                self.begin(task.epoch, task.begin)
                return None
            if self.failed is not None:
                raise self.failed
            if self.fetch is None:
                return None
            value = self.fetch() if isinstance(self.fetch, StreamFetch) else self.fetch(task.number, task.indices)
            return Result(task.epoch, self.number, value)
        except StopIteration:
            self.fetch = None
            return Result(task.epoch, self.number, end=True)
        except BaseException as error:
            if task.begin is not None:
                self.failed = error         # for whoever asks for a batch
                return None
            if self.failed is None:
                error.add_note(f"DataLoader: raised in worker {self.number}")
            return Result(task.epoch, self.number, error=error, end=self.failed is not None)


def work(pool: Pool, number: int, settings: Settings) -> None:
    """A worker thread: tasks, until it is told None."""
    worker = Worker(pool, number, settings)
    use_in_thread(worker.generator)
    try:
        while (task := pool.tasks[number].get()) is not None:
            if task.epoch == pool.epoch and (result := worker.run(task)) is not None:
                pool.results[number].put(result)
            task = result = None
    finally:
        use_in_thread(None)
