"""Samplers: in which order the samples of a data set come."""
from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from pydl._core.numpy_bridge import as_tensor
from pydl.ops import cat, multinomial, randint, randperm
from pydl.random import Generator
from pydl.tensor import Tensor, arange, float64

BLOCK = 1 << 16         # indices that are drawn at a time, with replacement
SPAN = 256              # batches whose indices are cut up at a time
Index = TypeVar("Index", covariant=True)


class Sampler(Generic[Index]):
    """Base class: a subclass defines `__iter__`, which gives the indices of one pass over the data, and perhaps `__len__`."""

    def __iter__(self) -> Iterator[Index]:
        raise NotImplementedError(f"{type(self).__name__}: __iter__ is not defined")


class SequentialSampler(Sampler[int]):
    """0, 1, 2 ... len(data_source) - 1."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)

    def blocks(self) -> Iterator[Tensor]:
        yield arange(len(self.data_source))


class RandomSampler(Sampler[int]):
    """The numbers of data_source in random order; replacement=True draws each anew.

    num_samples: how many, by default len(data_source); without replacement one permutation follows another. generator: what they
    are drawn from; without one, a new one that is seeded from the global one at the beginning of each pass. Raises TypeError for
    replacement that is no bool, ValueError for num_samples that is no positive int; no data has no order, which is no error.
    """

    def __init__(
        self, data_source: Any, replacement: bool = False, num_samples: int | None = None, generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement: expected a bool, got {replacement!r}")
        self.data_source, self.replacement, self.generator = data_source, replacement, generator_of("RandomSampler", generator)
        self._num_samples = None if num_samples is None else count("RandomSampler: num_samples", num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices a pass has; the data may have grown since the last one."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        for block in self.blocks():
            yield from block.tolist()

    def __len__(self) -> int:
        return self.num_samples

    def blocks(self) -> Iterator[Tensor]:
        size, left = len(self.data_source), self.num_samples
        generator = self.generator or Generator().manual_seed(drawn_seed(None))
        if size == 0 and left:
            raise ValueError(f"RandomSampler: there are no samples to draw {left} from")
        while left:
            if self.replacement:
                block = randint(size, (min(left, BLOCK),), generator=generator)
            else:
                block = randperm(size, generator=generator)[:left]
            yield block
            left -= len(block)


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order, drawn from generator, by default the global one."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator_of("SubsetRandomSampler", generator)

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """num_samples of the numbers 0 ... len(weights) - 1, each with a probability in proportion to its weight.

    replacement=False draws no number twice. Raises ValueError for num_samples that is no positive int, or weights that have not
    one dimension; TypeError for replacement that is no bool. Weights that are negative, not finite or too few are refused
    when they are drawn from.
    """

    def __init__(
        self, weights: Sequence[float] | Tensor, num_samples: int, replacement: bool = True, generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"WeightedRandomSampler: replacement: expected a bool, got {replacement!r}")
        self.weights = as_tensor(weights, dtype=float64)
        if self.weights.dim() != 1:
            raise ValueError(f"WeightedRandomSampler: weights: expected one dimension, got shape {tuple(self.weights.shape)}")
        self.num_samples = count("WeightedRandomSampler: num_samples", num_samples)
        self.replacement, self.generator = replacement, generator_of("WeightedRandomSampler", generator)

    def __iter__(self) -> Iterator[int]:
        yield from multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of batch_size indices of another sampler; drop_last leaves out a last list that is shorter."""

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        if not isinstance(drop_last, bool):
            raise TypeError(f"BatchSampler: drop_last: expected a bool, got {drop_last!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, count("BatchSampler: batch_size", batch_size), drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)     # type: ignore[arg-type]
        return full + (rest > 0 and not self.drop_last)


def count(what: str, value: Any, least: int = 1) -> int:
    """value as an int that is not below least."""
    if isinstance(value, bool):
        raise TypeError(f"{what}: expected an int, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: expected an int, got {type(value).__name__}") from None
    if number < least:
        raise ValueError(f"{what}: expected {least} or more, got {number}")
    return number


def generator_of(who: str, generator: Any) -> Generator | None:
    """generator, if it is one or None."""
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"{who}: generator: expected a pydl.Generator, got {type(generator).__name__}")
    return generator


def drawn_seed(generator: Generator | None) -> int:
    """A seed drawn from generator, or from the global one."""
    return int(randint(0, 2**63 - 1, (), generator=generator).item())


def has_blocks(sampler: Any) -> bool:
    """Whether the indices also come as tensors: not where a subclass has an order of its own."""
    for kind in type(sampler).__mro__:
        if "blocks" in vars(kind) and kind in (SequentialSampler, RandomSampler):
            return True
        if "__iter__" in vars(kind):
            return False
    return False


def spans_of(blocks: Iterator[Tensor], size: int, drop_last: bool, span: int) -> Iterator[Tensor]:
    """The indices of a BatchSampler, those of up to `span` batches at a time."""
    rest: Tensor | None = None
    for block in blocks:
        indices = block if rest is None else cat([rest, block])
        whole = len(indices) // size * size
        for start in range(0, whole, span * size):
            yield indices[start:min(start + span * size, whole)]
        rest = indices[whole:] if whole < len(indices) else None
    if rest is not None and not drop_last:
        yield rest


def batches_of(blocks: Iterator[Tensor], size: int, drop_last: bool) -> Iterator[Tensor]:
    """The indices of each batch."""
    for indices in spans_of(blocks, size, drop_last, SPAN):
        yield from indices.split(size)
