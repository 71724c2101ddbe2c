"""From a list of samples to one batch."""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from pydl import ops
from pydl.tensor import Tensor, float64, from_numpy, tensor


def default_collate(batch: Sequence) -> Any:
    """A batch of samples of the same structure: tensors and arrays are stacked along a new first dimension, numbers become a
    tensor, strings and bytes stay a list; lists, mappings and named tuples are gone through and keep their type, tuples
    become lists.

    Numbers: bool where all are bools, int64 where all are ints; with floats among them float64 if the first is one, else
    float32 (PyTorch's types). Raises ValueError where the samples have different shapes, lengths or keys or there are none,
    TypeError where they have different types or one that does not fit in a batch; the message says which samples.
    """
    if len(batch) == 0:
        raise ValueError("DataLoader: cannot make a batch of no samples")
    first = batch[0]
    if isinstance(first, Tensor):
        return ops.stack(same(batch, Tensor, lambda x: tuple(x.shape)))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        return from_numpy(np.stack(same([np.asarray(x) for x in batch], np.ndarray, np.shape)))
    if isinstance(first, (int, float)):
        return numbers(batch)
    if isinstance(first, Mapping):
        samples = same(batch, Mapping, lambda x: sorted(map(str, x)))
        return like_mapping(first, {key: default_collate([sample[key] for sample in samples]) for key in first})
    if isinstance(first, Sequence):
        columns = [default_collate(column) for column in zip(*same(batch, Sequence, len), strict=True)]
        return like_sequence(first, columns)
    raise TypeError(f"DataLoader: cannot make a batch of {type(first).__name__}; pass collate_fn=")


def default_convert(data: Any) -> Any:
    """One sample with its arrays and NumPy numbers made tensors, which share memory with the arrays; anything else stays as it is.

    Lists, mappings and named tuples are gone through and keep their type, tuples become lists.
    """
    if isinstance(data, (Tensor, str, bytes)):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "OSUV" else from_numpy(np.asarray(data))
    if isinstance(data, Mapping):
        return like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return like_sequence(data, [default_convert(value) for value in data])
    return data


def like_mapping(first: Any, items: dict) -> Any:
    """The items as a mapping of first's type, or as a dict where it cannot be made."""
    if type(first) is dict:
        return items
    try:
        if isinstance(first, MutableMapping):
            clone = copy.copy(first)
            clone.update(items)
            return clone
        return type(first)(items)
    except TypeError:
        return items


def like_sequence(first: Any, columns: list) -> Any:
    """The columns as a sequence of first's type, or as a list where it is a tuple or cannot be made."""
    if hasattr(first, "_fields"):
        return type(first)(*columns)
    if isinstance(first, tuple) or type(first) is list:
        return columns
    try:
        if isinstance(first, MutableSequence):
            clone = copy.copy(first)
            for i, column in enumerate(columns):
                clone[i] = column
            return clone
        return type(first)(columns)
    except TypeError:
        return columns


def numbers(batch: Sequence) -> Tensor:
    for i, sample in enumerate(batch):
        if not isinstance(sample, (int, float, np.number, np.bool_)):
            raise TypeError(different_types(batch, i))
    values = [sample.item() if isinstance(sample, np.generic) else sample for sample in batch]
    return tensor(values, dtype=float64 if isinstance(batch[0], float) else None)


def same(batch: Sequence, kind: type, measure: Callable[[Any], object]) -> Sequence:
    """The samples, once it is sure that they are alike."""
    for i, sample in enumerate(batch):
        if not isinstance(sample, kind):
            raise TypeError(different_types(batch, i))
        if measure(sample) != measure(batch[0]):
            raise ValueError(f"DataLoader: samples that do not fit in one batch: {measure(batch[0])} and {measure(sample)} "
                             f"(numbers 0 and {i} of the batch); pass collate_fn=")
    return batch


def different_types(batch: Sequence, i: int) -> str:
    return (f"DataLoader: samples of different types in one batch: {type(batch[0]).__name__} and {type(batch[i]).__name__} "
            f"(numbers 0 and {i} of the batch)")
