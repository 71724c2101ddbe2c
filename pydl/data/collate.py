"""From a list of samples to one batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pydl import ops
from pydl.tensor import Tensor, float64, from_numpy, int64, tensor


def default_collate(batch: Sequence) -> Any:
    """A batch of samples of the same structure: tensors and arrays are stacked along a new first dimension, ints become an
    int64 tensor, floats a float64 tensor, strings and bytes stay a list; tuples, lists and mappings are gone through.

    Raises ValueError where the samples have different shapes or lengths, TypeError for anything else than these.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return ops.stack(same(batch, Tensor, lambda x: tuple(x.shape)))
    if isinstance(first, (np.ndarray, np.generic)):
        return from_numpy(np.stack(same([np.asarray(x) for x in batch], np.ndarray, np.shape)))
    if isinstance(first, (bool, int)):
        return tensor(list(batch), dtype=int64)
    if isinstance(first, float):
        return tensor(list(batch), dtype=float64)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        samples = same(batch, Mapping, lambda x: sorted(map(str, x)))
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, Sequence):
        columns = [default_collate(column) for column in zip(*same(batch, Sequence, len), strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise TypeError(f"DataLoader: cannot make a batch of {type(first).__name__}; pass collate_fn=")


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
