"""DataLoader: goes through a data set in batches."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

from pydl.data.collate import default_collate
from pydl.ops import randperm
from pydl.random import Generator
from pydl.tensor import Tensor, arange

NO_WORKERS, NO_DEVICE = "there are no workers", "there is no other device to copy to"


class DataLoader:
    """Batches of a data set, in order or (shuffle=True) in a new random order every time it is gone through.

    dataset: anything with `__len__` and `__getitem__`; one with `gather(indices)` (TensorDataset) makes a batch in one call a
    tensor, without a loop over the samples. drop_last=True leaves out a last batch that is not full. generator: the
    pydl.Generator that the order is drawn from; the global one by default, so that pydl.manual_seed fixes it. collate_fn:
    makes a batch of a list of samples. A batch of a TensorDataset is a list of tensors. Batches are made in this thread when
    they are asked for: sampler, batch_sampler, num_workers and what belongs to them are there for PyTorch's signature, and
    anything but their defaults raises ValueError.

    >>> import pydl
    >>> from pydl.data import DataLoader, TensorDataset
    >>> data = TensorDataset(pydl.arange(5), pydl.arange(5) * 10)
    >>> [(x.tolist(), y.tolist()) for x, y in DataLoader(data, batch_size=2)]
    [([0, 1], [0, 10]), ([2, 3], [20, 30]), ([4], [40])]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool | None = None,
        sampler: None = None,
        batch_sampler: None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: None = None,
        multiprocessing_context: None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        refuse_other("sampler", sampler, None, "use shuffle=, or a Subset in the order wanted")
        refuse_other("batch_sampler", batch_sampler, None, "use batch_size= and a Subset in the order wanted")
        refuse_other("num_workers", num_workers, 0, NO_WORKERS)
        refuse_other("timeout", timeout, 0, NO_WORKERS)
        refuse_other("worker_init_fn", worker_init_fn, None, NO_WORKERS)
        refuse_other("multiprocessing_context", multiprocessing_context, None, NO_WORKERS)
        refuse_other("prefetch_factor", prefetch_factor, None, NO_WORKERS)
        refuse_other("persistent_workers", persistent_workers, False, NO_WORKERS)
        refuse_other("in_order", in_order, True, NO_WORKERS)
        refuse_other("pin_memory", pin_memory, False, NO_DEVICE)
        refuse_other("pin_memory_device", pin_memory_device, "", NO_DEVICE)
        try:
            size = operator.index(batch_size)
        except TypeError:
            raise TypeError(f"DataLoader: batch_size: expected an int, got {type(batch_size).__name__}") from None
        if size <= 0:
            raise ValueError(f"DataLoader: batch_size: expected 1 or more, got {size}")
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(f"DataLoader: dataset: expected something with __len__ and __getitem__, got {type(dataset).__name__}")
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"DataLoader: collate_fn: expected a function, got {type(collate_fn).__name__}")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, size, bool(shuffle), bool(drop_last)
        self.collate_fn, self.generator = collate_fn, generator

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        count = len(self.dataset)
        order = randperm(count, generator=self.generator) if self.shuffle else arange(count)
        make = self._gathered if self.collate_fn is None and hasattr(self.dataset, "gather") else self._collated
        return (make(order[start:start + self.batch_size]) for start in range(0, len(self) * self.batch_size, self.batch_size))

    def _gathered(self, indices: Tensor) -> Any:
        return self.dataset.gather(indices)

    def _collated(self, indices: Tensor) -> Any:
        samples = [self.dataset[i] for i in indices.tolist()]
        return (self.collate_fn or default_collate)(samples)


def refuse_other(name: str, value: Any, default: Any, why: str) -> None:
    """ValueError for anything but the default."""
    if value is not default and (default is None or value != default):
        raise ValueError(f"DataLoader: {name}: only {default!r} is supported, got {value!r}; {why}")
