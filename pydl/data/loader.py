"""DataLoader: goes through a data set in batches."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

from pydl.data.collate import default_collate
from pydl.ops import randperm
from pydl.random import Generator
from pydl.tensor import Tensor, arange


class DataLoader:
    """Batches of a data set, in order or (shuffle=True) in a new random order every time it is gone through.

    dataset: anything with `__len__` and `__getitem__`; one with `gather(indices)` (TensorDataset) makes a batch in one call a
    tensor, without a loop over the samples. drop_last=True leaves out a last batch that is not full. generator: the
    pydl.Generator that the order is drawn from; the global one by default, so that pydl.manual_seed fixes it. collate_fn:
    makes a batch of a list of samples. A batch of a TensorDataset is a list of tensors.
    """

    def __init__(self, dataset: Any, batch_size: int = 1, shuffle: bool = False, *, collate_fn: Callable[[list], Any] | None = None,
                 drop_last: bool = False, generator: Generator | None = None) -> None:
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
