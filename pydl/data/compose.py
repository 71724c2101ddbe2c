"""Data sets made of data sets: parts of one, several side by side, several one behind the other."""
from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pydl.data.dataset import Dataset, IterableDataset
from pydl.data.gathering import Gather, gatherer, of_parts
from pydl.ops.gather import index_select
from pydl.tensor import Tensor, from_numpy


def samples_of(dataset: Any, indices: list[int]) -> list[Any]:
    """Many samples, in one call where the data set has one."""
    many = getattr(dataset, "__getitems__", None)
    if not callable(many):
        return [dataset[i] for i in indices]
    samples = many(indices)
    if len(samples) != len(indices):
        raise ValueError(f"{type(dataset).__name__}: __getitems__ gave {len(samples)} samples for {len(indices)} indices")
    return samples


class Subset(Dataset):
    """Some samples of a data set: sample i is `dataset[indices[i]]`; negative indices count from its end.

    A subclass that overrides `__getitem__` is fetched sample by sample. Raises IndexError for indices that the data set does not
    have, TypeError for what are no ints.
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray | Tensor) -> None:
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise TypeError(f"Subset: indices: expected a sequence of ints, got shape {chosen.shape} {chosen.dtype}")
        size = len(dataset)
        wrong = chosen[(chosen < -size) | (chosen >= size)]
        if wrong.size:
            raise IndexError(f"Subset: index {wrong[0]} is out of range: the data set has {size} samples")
        self.dataset, self.indices = dataset, np.where(chosen < 0, chosen + size, chosen).astype(np.int64)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[self.indices[index].tolist()]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        if type(self).__getitem__ is not Subset.__getitem__:
            return [self[i] for i in indices]
        return samples_of(self.dataset, self.indices[np.asarray(indices, np.int64)].tolist())

    def __len__(self) -> int:
        return len(self.indices)

    def _gatherer(self) -> Gather | None:
        inner, rows = gatherer(self.dataset), from_numpy(self.indices)
        return None if inner is None else lambda indices: inner(index_select(rows, 0, indices))


class StackDataset(Dataset):
    """Data sets of the same length side by side: sample i is the tuple of their samples i, or, of keywords, the dict.

    Raises ValueError for no data sets, for positional and keyword arguments at once, and for different lengths.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError("StackDataset: expected data sets either by position (tuples) or by keyword (dicts), got both")
        if not args and not kwargs:
            raise ValueError("StackDataset: expected at least one data set, got none")
        lengths = [len(dataset) for dataset in args or kwargs.values()]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: expected data sets of the same length, got lengths {', '.join(map(str, lengths))}")
        self.datasets: Any = args or kwargs
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {key: dataset[index] for key, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        if type(self).__getitem__ is not StackDataset.__getitem__:
            return [self[i] for i in indices]
        if isinstance(self.datasets, dict):
            columns = [samples_of(dataset, indices) for dataset in self.datasets.values()]
            return [dict(zip(self.datasets, sample, strict=True)) for sample in zip(*columns, strict=True)]
        return list(zip(*(samples_of(dataset, indices) for dataset in self.datasets), strict=True))

    def __len__(self) -> int:
        return self._length

    def _gatherer(self) -> Gather | None:
        keyed = isinstance(self.datasets, dict)
        found = [gatherer(dataset) for dataset in (self.datasets.values() if keyed else self.datasets)]
        inner = [gather for gather in found if gather is not None]
        if len(inner) < len(found):
            return None
        if keyed:
            return lambda indices: {key: gather(indices) for key, gather in zip(self.datasets, inner, strict=True)}
        return lambda indices: [gather(indices) for gather in inner]


class ConcatDataset(Dataset):
    """Data sets one behind the other; negative indices count from the end.

    Raises ValueError for no data sets, TypeError for an IterableDataset (ChainDataset takes those), IndexError for an index that
    there is not.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set, got none")
        for i, dataset in enumerate(self.datasets):
            if isinstance(dataset, IterableDataset):
                raise TypeError(f"ConcatDataset: data set {i} is an IterableDataset; join those with ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, idx: Any) -> Any:
        position = idx + len(self) if idx < 0 else idx
        if not 0 <= position < len(self):
            raise IndexError(f"ConcatDataset: index {idx} is out of range: there are {len(self)} samples")
        part = bisect.bisect_right(self.cumulative_sizes, position)
        return self.datasets[part][position - (self.cumulative_sizes[part - 1] if part else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def _gatherer(self) -> Gather | None:
        found = [gatherer(dataset) for dataset in self.datasets]
        parts = [gather for gather in found if gather is not None]
        return of_parts(parts, self.cumulative_sizes) if len(parts) == len(found) else None


class ChainDataset(IterableDataset):
    """Streams one behind the other. Raises TypeError for what is no IterableDataset, when its turn has come."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            yield from streaming(dataset)

    def __len__(self) -> int:
        return sum(len(streaming(dataset)) for dataset in self.datasets)


def streaming(dataset: Any) -> Any:
    if not isinstance(dataset, IterableDataset):
        raise TypeError(f"ChainDataset: expected IterableDatasets, got {type(dataset).__name__}; join others with ConcatDataset")
    return dataset
