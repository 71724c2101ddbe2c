"""From a list of samples to one batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pydl import ops
from pydl.tensor import Tensor, float64, from_numpy, tensor


def default_collate(batch: Sequence) -> Any:
    """A batch of samples of the same structure: tensors and arrays are stacked along a new first dimension, numbers become a
    tensor, strings and bytes stay a list; tuples, lists and mappings are gone through.

    Numbers: bool where all are bools, int64 where all are ints; with floats among them float64 if the first is one, else
    float32 (PyTorch's types). Raises ValueError where the samples have different shapes or lengths, TypeError for anything
    else than these.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return ops.stack(same(batch, Tensor, lambda x: tuple(x.shape)))
    if isinstance(first, (np.ndarray, np.generic)):
        return from_numpy(np.stack(same([np.asarray(x) for x in batch], np.ndarray, np.shape)))
    if isinstance(first, (int, float)):
        return numbers(batch)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        samples = same(batch, Mapping, lambda x: sorted(map(str, x)))
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, Sequence):
        columns = [default_collate(column) for column in zip(*same(batch, Sequence, len), strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise TypeError(f"DataLoader: cannot make a batch of {type(first).__name__}; pass collate_fn=")


def numbers(batch: Sequence) -> Tensor:
    for sample in batch:
        if not isinstance(sample, (int, float, np.number, np.bool_)):
            raise TypeError(f"DataLoader: samples of different types in one batch: {type(batch[0]).__name__} and "
                            f"{type(sample).__name__}")
    values = [sample.item() if isinstance(sample, np.generic) else sample for sample in batch]
    return tensor(values, dtype=float64 if isinstance(batch[0], float) else None)


def same(batch: Sequence, kind: type, measure: Callable[[Any], object]) -> Sequence:
    """The samples, once it is sure that they are alike."""
    for sample in batch:
        if not isinstance(sample, kind):
            raise TypeError(f"DataLoader: samples of different types in one batch: {type(batch[0]).__name__} and "
                            f"{type(sample).__name__}")
        if measure(sample) != measure(batch[0]):
            raise ValueError(f"DataLoader: samples that do not fit in one batch: {measure(batch[0])} and {measure(sample)}; "
                             "pass collate_fn=")
    return batch
