"""Data sets: things with a length whose samples have numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pydl.ops.gather import index_select, take_rows
from pydl.tensor import Tensor, from_numpy


class Dataset:
    """Base class of data sets: a subclass defines `__len__` and `__getitem__(index)`.

    One that can fetch many samples at once also defines `gather(indices)`: indices (B,) int64 tensor -> a batch.
    """

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: __getitem__ is not defined")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__}: __len__ is not defined")


class TensorDataset(Dataset):
    """Tensors of the same length: sample i is the tuple of their rows i. A batch is one gather."""

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor, got none")
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"TensorDataset: argument {i}: expected a Tensor, got {type(tensor).__name__}; "
                                "make one with pydl.tensor()")
            if tensor.dim() == 0:
                raise ValueError(f"TensorDataset: argument {i}: expected one or more dimensions, got a scalar")
        lengths = [len(tensor) for tensor in tensors]
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset: expected tensors of the same length, got lengths {', '.join(map(str, lengths))} "
                             f"(shapes {', '.join(str(tuple(tensor.shape)) for tensor in tensors)})")
        self.tensors = tensors

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def gather(self, indices: Tensor) -> list[Tensor]:
        """indices (B,) int64 -> a list with one tensor (B, ...) for each of the data set's."""
        return take_rows(self.tensors, indices)


class Subset(Dataset):
    """Some samples of a data set: sample i is `dataset[indices[i]]`; negative indices count from its end."""

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        indices = np.asarray(indices)
        if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
            raise TypeError(f"Subset: indices: expected a sequence of ints, got shape {indices.shape} {indices.dtype}")
        size = len(dataset)
        wrong = indices[(indices < -size) | (indices >= size)]
        if wrong.size:
            raise IndexError(f"Subset: index {wrong[0]} is out of range: the data set has {size} samples")
        self.dataset, self.indices = dataset, np.where(indices < 0, indices + size, indices).astype(np.int64)
        if hasattr(dataset, "gather"):
            self.gather = self._gather

    def __getitem__(self, index: int | list[int]) -> Any:
        return self.dataset[self.indices[index].tolist()]

    def __len__(self) -> int:
        return len(self.indices)

    def _gather(self, indices: Tensor) -> Any:
        return self.dataset.gather(index_select(from_numpy(self.indices), 0, indices))
