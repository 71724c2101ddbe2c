"""One pass of a DataLoader over its data: without workers, or with workers that run ahead."""
from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

from pydl.data.fetch import MapFetch, StreamFetch
from pydl.data.workers import Pool, Result, Settings, Task

JOIN_SECONDS = 5.0      # workers that have nothing left to do end at once


class Pass(Iterator[Any]):
    """What both kinds share. expected: how many batches a stream was said to have, or None."""

    def __init__(self, expected: int | None) -> None:
        self.expected, self.given = expected, 0

    def counted(self, batch: Any) -> Any:
        self.given += 1
        if self.expected is not None and self.given > self.expected:
            warnings.warn(f"DataLoader: len() said {self.expected} batches, this is number {self.given}: the IterableDataset has more "
                          "samples than its __len__ says, or its __iter__ does not share them out among the workers",
                          stacklevel=3)
        return batch


class DirectPass(Pass):
    """Batches made when they are asked for, in the thread that asks."""

    def __init__(self, settings: Settings, indices: Iterator[Any] | None, base_seed: int, expected: int | None) -> None:
        super().__init__(expected)
        self.indices = indices
        self.fetch: Any
        if indices is None:
            self.fetch = StreamFetch(settings.dataset, settings.collate, settings.size, settings.drop_last)
        else:
            self.fetch = MapFetch(settings.dataset, settings.collate, settings.whole, base_seed)

    def __next__(self) -> Any:
        if self.indices is None:
            return self.counted(self.fetch())
        indices = next(self.indices)
        number, self.given = self.given, self.given + 1
        return self.fetch(number, indices)


class AheadPass(Pass):
    """Batches that workers make ahead, at most `depth` each. owner: the loader whose workers they are, which must live as long
    as the pass does; None where the workers end with the pass."""

    def __init__(
        self, pool: Pool, owner: Any, indices: Iterator[Any] | None, base_seed: int, expected: int | None, depth: int, timeout: float,
    ) -> None:
        super().__init__(expected)
        owned = owner is None
        self.pool, self.owner, self.indices, self.timeout = pool, owner, indices, timeout
        self.epoch = pool.begin(base_seed)
        self.over = False
        self.sent = self.received = 0
        self.done = False                                   # the sampler is at its end,
        self.failed: BaseException | None = None            # or has raised this, for when its turn has come
        self.alive = list(range(pool.count))                # workers whose stream goes on
        self.turn = 0
        self._end = weakref.finalize(self, pool.stop if owned else pool.abandon, *(() if owned else (self.epoch,)))
        self._end.atexit = False
        for _ in range(depth):
            for worker in range(pool.count):
                self.send(worker)

    def send(self, worker: int) -> None:
        """The next task for a worker, if there is one."""
        if self.indices is None:
            self.pool.tasks[worker].put(Task(self.epoch))
            return
        if self.done:
            return
        try:
            self.pool.tasks[worker].put(Task(self.epoch, number=self.sent, indices=next(self.indices)))
            self.sent += 1
        except StopIteration:
            self.done = True
        except Exception as error:
            self.done, self.failed = True, error

    def __next__(self) -> Any:
        if self.over:
            raise StopIteration
        if self.pool.pid != os.getpid():
            raise RuntimeError("DataLoader: the workers of this iterator stayed in the parent process; iterate over the loader anew")
        if self.pool.epoch != self.epoch:
            self.finish()
            raise RuntimeError("DataLoader: the workers of this iterator were stopped")
        return self.counted(self.streamed() if self.indices is None else self.numbered())

    def numbered(self) -> Any:
        """The next batch of a data set with numbered samples; batch k is made by worker k modulo their number."""
        if self.received == self.sent:
            self.finish(wait=True)
            raise self.failed or StopIteration
        result = self.receive(self.received % self.pool.count)
        self.received += 1
        self.send(result.worker)
        return self.value(result)

    def streamed(self) -> Any:
        """The next batch of the streams, which take turns."""
        while self.alive:
            result = self.receive(self.alive[self.turn % len(self.alive)])
            if not result.end or result.error is not None:
                self.turn = (self.turn + 1) % len(self.alive)
                self.send(result.worker)
                return self.value(result)
            at = self.alive.index(result.worker)
            del self.alive[at]
            if at < self.turn:
                self.turn -= 1
        self.finish(wait=True)
        raise StopIteration

    def receive(self, worker: int) -> Result:
        try:
            return self.pool.receive(worker, self.epoch, self.timeout)
        except KeyboardInterrupt:
            self.finish()
            raise

    def value(self, result: Result) -> Any:
        if result.error is None:
            return result.value
        if result.end:
            self.finish()
        error = result.error
        del result
        try:
            raise error
        finally:
            del error       # a cycle through the traceback would keep this pass, and its workers

    def finish(self, wait: bool = False) -> None:
        """No batch comes after this; the workers of this pass alone end, and have ended if it waits."""
        self._end()
        if wait and self.owner is None:
            self.pool.join(JOIN_SECONDS)
        self.over, self.owner, self.indices = True, None, None
