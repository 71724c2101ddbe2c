"""Whole batches of data that lies in memory: one gather in C for each tensor, in place of a loop over samples."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pydl import ops
from pydl.ops.gather import index_select
from pydl.tensor import Tensor, from_numpy

Gather = Callable[[Tensor], Any]
UNJOINED = "ConcatDataset: cannot join batches of {}; pass collate_fn="


def gatherer(dataset: Any) -> Gather | None:
    """A function from indices (B,) int64, not negative, to the batch that default_collate would make; None where there is none.

    A class that overrides `__getitem__` of one that gathers has none: its samples are other ones.
    """
    if type(dataset) is Tensor:
        return lambda indices: index_select(dataset, 0, indices) if dataset.dim() else None
    if type(dataset) in (np.ndarray, np.memmap):
        return of_array(dataset)
    for kind in type(dataset).__mro__:
        own = vars(kind)
        if "_gatherer" in own:
            return dataset._gatherer()
        if "gather" in own:
            return dataset.gather
        if "__getitem__" in own or "__getitems__" in own:
            return None
    return None


def of_array(array: np.ndarray) -> Gather | None:
    """Rows of an array, which is not copied; None where pydl has no such type, or no such layout."""
    if array.ndim == 0:
        return None
    try:
        tensor = from_numpy(np.asarray(array))
    except (TypeError, ValueError):
        return None
    return lambda indices: index_select(tensor, 0, indices)


def joined(batches: Sequence[Any], cat: Callable[[Sequence[Any]], Tensor], refusal: str) -> Any:
    """Batches of the same structure, one behind the other: tensors by cat. refusal: the error for a {} that is not one."""
    first = batches[0]
    if isinstance(first, Tensor):
        return cat(batches)
    if isinstance(first, Mapping):
        return {key: joined([batch[key] for batch in batches], cat, refusal) for key in first}
    if isinstance(first, (list, tuple)):
        columns = [joined(column, cat, refusal) for column in zip(*batches, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    raise TypeError(refusal.format(type(first).__name__))


def reordered(batch: Any, order: Tensor) -> Any:
    """The batch with its samples in another order."""
    if isinstance(batch, Tensor):
        return index_select(batch, 0, order)
    if isinstance(batch, dict):
        return {key: reordered(value, order) for key, value in batch.items()}
    columns = [reordered(column, order) for column in batch]
    return type(batch)(*columns) if hasattr(batch, "_fields") else type(batch)(columns)


def of_parts(parts: Sequence[Gather], ends: Sequence[int]) -> Gather:
    """A gather over data sets one behind the other, which end at `ends`."""
    limits, starts = np.asarray(ends), np.asarray([0, *ends[:-1]])

    def gather(indices: Tensor) -> Any:
        flat = indices.numpy()
        if flat.size and flat.max() >= limits[-1]:
            raise IndexError(f"ConcatDataset: index {flat.max()} is out of range: there are {limits[-1]} samples")
        part = np.searchsorted(limits, flat, side="right")
        touched = np.unique(part)
        if len(touched) <= 1:
            one = touched[0] if len(touched) else 0
            return parts[one](from_numpy(flat - starts[one]))
        order = np.argsort(part, kind="stable")
        pieces = [parts[one](from_numpy(flat[part == one] - starts[one])) for one in touched]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return reordered(joined(pieces, ops.cat, UNJOINED), from_numpy(back))

    return gather
