"""Data sets: what has numbered samples, and what only comes in a stream."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydl.ops.batches import take_batches, take_rows
from pydl.tensor import Tensor

if TYPE_CHECKING:
    from pydl.data.compose import ChainDataset, ConcatDataset

Sample = TypeVar("Sample", covariant=True)
AHEAD_BYTES, AHEAD_RESULTS = 1 << 19, 256       # of the batches that are gathered at once


class Dataset(Generic[Sample]):
    """Base class of data sets whose samples have numbers: a subclass defines `__getitem__(index)`, and `__len__`.

    One that can fetch many samples at once also defines `__getitems__(indices)`: a list of ints -> a list of samples; or, faster,
    `gather(indices)`: indices (B,) int64 tensor -> a whole batch, as default_collate would make it of the samples.
    a + b is the ConcatDataset of both.
    """

    def __getitem__(self, index: Any) -> Sample:
        raise NotImplementedError(f"{type(self).__name__}: __getitem__ is not defined")

    def __add__(self, other: Any) -> ConcatDataset:
        from pydl.data.compose import ConcatDataset
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample]):
    """Base class of data sets that come in a stream: a subclass defines `__iter__`, and perhaps `__len__`.

    With workers every worker iterates over a copy of its own, so that `__iter__` has to share the samples out by
    `get_worker_info()`; without that each sample comes as often as there are workers. a + b is the ChainDataset of both.
    """

    def __iter__(self) -> Iterator[Sample]:
        raise NotImplementedError(f"{type(self).__name__}: __iter__ is not defined")

    def __add__(self, other: Any) -> ChainDataset:     # type: ignore[override]
        from pydl.data.compose import ChainDataset
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of the same length: sample i is the tuple of their rows i. A batch is one gather a tensor.

    An array becomes a tensor without a copy by pydl.from_numpy. Raises ValueError for no tensors, a scalar, or different lengths,
    TypeError for anything but tensors.
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor, got none")
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"TensorDataset: argument {i}: expected a Tensor, got {type(tensor).__name__}; "
                                "make one with pydl.tensor() or pydl.from_numpy()")
            if tensor.dim() == 0:
                raise ValueError(f"TensorDataset: argument {i}: expected one or more dimensions, got a scalar")
        lengths = [len(tensor) for tensor in tensors]
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset: expected tensors of the same length, got lengths {', '.join(map(str, lengths))} "
                             f"(shapes {', '.join(str(tuple(tensor.shape)) for tensor in tensors)})")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def gather(self, indices: Tensor) -> list[Tensor]:
        """indices (B,) int64, not negative -> a list with one tensor (B, ...) for each of the data set's."""
        return take_rows(self.tensors, indices)

    def batches_ahead(self, size: int) -> int:
        """How many batches of `size` are worth gathering at once: small ones share the cost of a call, and all threads take part."""
        sample = sum(tensor.nbytes for tensor in self.tensors) / max(len(self), 1)
        return max(1, int(min(AHEAD_BYTES / max(sample * size, 1), AHEAD_RESULTS / len(self.tensors))))

    def gather_ahead(self, spans: Iterator[Tensor], size: int) -> Iterator[list[Tensor]]:
        """The batches of `size` of each span of indices. A span is gathered at once; what is left of it again after a change in place."""
        for indices in spans:
            done = 0
            while done < len(indices):
                versions = [tensor._version for tensor in self.tensors]
                for batch in take_batches(self.tensors, indices[done:], size):
                    if done and versions != [tensor._version for tensor in self.tensors]:
                        break
                    yield batch
                    done += size
