"""DataLoader: goes through a data set in batches."""
from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, SupportsFloat, SupportsIndex

from pydl.data.collate import default_collate, default_convert
from pydl.data.dataset import IterableDataset, TensorDataset
from pydl.data.gathering import gatherer
from pydl.data.passes import AheadPass, DirectPass
from pydl.data.samplers import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    batches_of,
    count,
    drawn_seed,
    generator_of,
    has_blocks,
    spans_of,
)
from pydl.data.workers import Pool, Settings
from pydl.random import Generator

FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader:
    """Batches of a data set, in order or (shuffle=True) in a new random order every time it is gone through.

    dataset: anything with `__getitem__` and `__len__`, or an IterableDataset. A batch of tensors in memory (TensorDataset, arrays,
    and what Subset, ConcatDataset, StackDataset and random_split make of them) is gathered in one call a tensor, without a loop
    over samples, as long as collate_fn is the default; other samples are fetched one by one and handed to collate_fn as a list.
    Small batches of a TensorDataset are gathered several at a time (half a MiB): a tensor changed in place meanwhile is read anew,
    but what NumPy writes into an array that the data set looks at may show only some batches later.
    sampler gives the indices, batch_sampler whole lists of them; batch_size=None gives single samples, not batches.
    drop_last=True leaves out a last batch that is not full.

    num_workers > 0 makes batches ahead in so many THREADS, prefetch_factor (2) each. They share the process: kernels of pydl and
    NumPy, and files, run side by side, pure Python in turns. Each has a shallow copy of a Dataset, so that worker_init_fn(id)
    may set attributes of `get_worker_info().dataset`. persistent_workers keeps them for the next pass; in_order=False gives
    batches as they are done. timeout: seconds to wait for a batch before RuntimeError. An error in a worker is raised where
    its batch was due, with its traceback; the loader stays usable. Workers end with the pass, or when its iterator is dropped.

    generator: what the order and the workers' seeds are drawn from, by default the global one, so that pydl.manual_seed fixes
    them. For a seed the batches are the same for any number of workers; so are random numbers that `__getitem__` draws from the
    default generator. A worker of an IterableDataset has its own, seeded with base seed + id.

    pin_memory=True warns and does nothing: there is no other device. multiprocessing_context and pin_memory_device are refused.
    Raises ValueError and TypeError for arguments out of range or that exclude each other, as PyTorch does.

    >>> import pydl
    >>> from pydl.data import DataLoader, TensorDataset
    >>> data = TensorDataset(pydl.arange(5), pydl.arange(5) * 10)
    >>> [(x.tolist(), y.tolist()) for x, y in DataLoader(data, batch_size=2)]
    [([0, 1], [0, 10]), ([2, 3], [20, 30]), ([4], [40])]
    """

    _ready = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        self.num_workers = count("DataLoader: num_workers", num_workers, 0)
        if not isinstance(timeout, (SupportsFloat, SupportsIndex)):
            raise TypeError(f"DataLoader: timeout: expected a number of seconds, got {timeout!r}")
        if not timeout >= 0:
            raise ValueError(f"DataLoader: timeout: expected 0 or more seconds, got {timeout}")
        check_workers(self.num_workers, timeout, prefetch_factor, persistent_workers)
        if multiprocessing_context is not None:
            raise ValueError(f"DataLoader: multiprocessing_context: expected None, got {multiprocessing_context!r}; workers are threads")
        if pin_memory_device != "":
            raise ValueError(f"DataLoader: pin_memory_device: expected '', got {pin_memory_device!r}; there is no other device")
        if pin_memory:
            warnings.warn("DataLoader: pin_memory=True does nothing: there is no other device to copy to", stacklevel=2)
        for name, function in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if function is not None and not callable(function):
                raise TypeError(f"DataLoader: {name}: expected a function, got {type(function).__name__}")
        self.streams = isinstance(dataset, IterableDataset)
        check_dataset(dataset, self.streams, sampler is not None or batch_sampler is not None)
        check_exclusive(self.streams, batch_size, shuffle, sampler, batch_sampler, drop_last)
        size = None if batch_size is None or batch_sampler is not None else count("DataLoader: batch_size", batch_size)
        generator = generator_of("DataLoader", generator)
        if sampler is None and not self.streams:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if size is not None and sampler is not None:
            batch_sampler = BatchSampler(sampler, size, bool(drop_last))
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, size, bool(shuffle), bool(drop_last)
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self.pin_memory, self.pin_memory_device, self.timeout = bool(pin_memory), pin_memory_device, timeout
        self.worker_init_fn, self.multiprocessing_context = worker_init_fn, multiprocessing_context
        self.prefetch_factor = 2 if prefetch_factor is None and self.num_workers else prefetch_factor
        self.persistent_workers, self.in_order = bool(persistent_workers), bool(in_order)
        self._expected: int | None = None       # batches of a stream, where somebody has asked for them
        self._pool: Pool | None = None          # persistent workers, and the pass they are in
        self._last: weakref.ref[AheadPass] | None = None
        self._ready = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ready and name in FIXED:
            raise ValueError(f"DataLoader: {name} cannot be set after the loader was made; make a new one")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: all but the workers."""
        return {**vars(self), "_pool": None, "_last": None}

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None or self.streams and self.batch_size is not None

    def __len__(self) -> int:
        if not self.streams:
            return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)      # type: ignore[arg-type]
        samples = len(self.dataset)
        if self.batch_size is not None:
            full, rest = divmod(samples, self.batch_size)
            samples = full + (rest > 0 and not self.drop_last)
        self._expected = samples
        return samples

    def __iter__(self) -> Iterator[Any]:
        base_seed = drawn_seed(self.generator)
        if self.num_workers == 0 and (batches := self._gathered()) is not None:
            return batches
        settings = Settings(self.dataset, self.collate_fn, self._auto_collation, self.batch_size, self.drop_last, self.worker_init_fn)
        if self.num_workers == 0:
            return DirectPass(settings, self._indices(), base_seed, self._expected)
        pool, owned = self._workers(settings)
        factor = self.prefetch_factor or 1
        ahead = AheadPass(pool, None if owned else self, self._indices(), base_seed, self._expected, factor, self.timeout)
        if not owned:
            self._last = weakref.ref(ahead)
        return ahead

    def _gathered(self) -> Iterator[Any] | None:
        """Batches gathered from memory without a loop over samples; None where the data set, the sampler or collate_fn needs one."""
        batches = self.batch_sampler
        if type(batches) is not BatchSampler or not has_blocks(batches.sampler) or self.collate_fn is not default_collate:
            return None
        gather, blocks = gatherer(self.dataset), batches.sampler.blocks()      # type: ignore[attr-defined]
        if gather is None:
            return None
        if getattr(gather, "__func__", None) is TensorDataset.gather:
            span = self.dataset.batches_ahead(batches.batch_size)
            return self.dataset.gather_ahead(spans_of(blocks, batches.batch_size, batches.drop_last, span), batches.batch_size)
        return map(gather, batches_of(blocks, batches.batch_size, batches.drop_last))

    def _indices(self) -> Iterator[Any] | None:
        """The indices of each batch, in tensors where our own samplers make them; None where there are none."""
        batches = self.batch_sampler
        if batches is None:
            return None if self.sampler is None else iter(self.sampler)
        if type(batches) is BatchSampler and has_blocks(batches.sampler):
            return batches_of(batches.sampler.blocks(), batches.batch_size, batches.drop_last)       # type: ignore[attr-defined]
        return iter(batches)

    def _workers(self, settings: Settings) -> tuple[Pool, bool]:
        """The workers of a new pass, and whether they are for it alone: the persistent ones may still be in another."""
        if not self.persistent_workers:
            return Pool(settings, self.num_workers, self.in_order), True
        if self._pool is None or self._pool.pid != os.getpid() or self._pool.stopped:
            self._pool = Pool(settings, self.num_workers, self.in_order)
            weakref.finalize(self, self._pool.stop).atexit = False
        elif self._last is not None and (last := self._last()) is not None and not last.over:
            return Pool(settings, self.num_workers, self.in_order), True
        return self._pool, False


def check_workers(workers: int, timeout: float, prefetch_factor: int | None, persistent: bool) -> None:
    if prefetch_factor is not None:
        count("DataLoader: prefetch_factor", prefetch_factor)
    for name, given in (("prefetch_factor", prefetch_factor is not None), ("persistent_workers", persistent), ("timeout", timeout > 0)):
        if given and workers == 0:
            raise ValueError(f"DataLoader: {name} needs num_workers > 0: without workers nothing is made ahead")


def check_dataset(dataset: Any, streams: bool, sampled: bool) -> None:
    if streams:
        return
    if not (hasattr(dataset, "__getitem__") or hasattr(dataset, "__getitems__")) or not (sampled or hasattr(dataset, "__len__")):
        raise TypeError(f"DataLoader: dataset: expected something with __len__ and __getitem__, got {type(dataset).__name__}; "
                        "what can only be iterated over must be an IterableDataset")


def check_exclusive(streams: bool, batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any, drop_last: bool) -> None:
    """ValueError for arguments that exclude each other."""
    if shuffle not in (None, True, False):
        raise TypeError(f"DataLoader: shuffle: expected a bool, got {shuffle!r}")
    if streams:
        for name, given in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if given not in (None, False):
                raise ValueError(f"DataLoader: {name}: an IterableDataset comes in its own order, got {name}={given!r}")
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler and shuffle exclude each other: the sampler says the order")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
    elif batch_size is None and drop_last:
        raise ValueError("DataLoader: batch_size=None gives single samples, of which drop_last can leave out none")
