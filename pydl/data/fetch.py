"""Making one batch: what a loader without workers does itself, and each worker in its thread."""
from __future__ import annotations

import contextlib
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

from pydl._core.generator import current_generator, default_generator, use_in_thread
from pydl.data.collate import default_collate
from pydl.data.compose import samples_of
from pydl.data.gathering import gatherer
from pydl.random import Generator
from pydl.tensor import Tensor, tensor

Collate = Callable[[Any], Any]
GOLDEN = 0x9E3779B97F4A7C15     # 2^64 / golden ratio: spreads the batches' seeds


class MapFetch:
    """Batches, or with whole=False single samples, of a data set with numbered samples.

    What the data set draws from the default generator while batch k is made depends on base_seed and k alone: whoever makes it.
    """

    def __init__(
        self, dataset: Any, collate: Collate, whole: bool, base_seed: int, wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.dataset, self.collate, self.whole, self.base_seed, self.wanted = dataset, collate, whole, base_seed, wanted
        self.gather = gatherer(dataset) if whole and collate is default_collate else None
        self.generator = Generator()

    def __call__(self, number: int, indices: Any) -> Any:
        if self.gather is not None:
            places = positions(indices, self.dataset)
            if places is not None:
                return self.gather(places)
        before = own_generator()
        try:        # it is set in here: a Ctrl-C right behind that must not leave it to the thread
            use_in_thread(self.generator.manual_seed((self.base_seed + GOLDEN * (number + 1)) % 2**64))
            if isinstance(indices, Tensor) and self.whole:
                indices = indices.tolist()
            return self.collate(self.samples(indices) if self.whole else self.sample(indices))
        finally:
            use_in_thread(before)

    def samples(self, indices: list) -> list:
        if callable(getattr(self.dataset, "__getitems__", None)):
            try:
                return samples_of(self.dataset, indices)
            except StopIteration as error:
                raise RuntimeError(f"DataLoader: {type(self.dataset).__name__}.__getitems__ raised StopIteration") from error
        return [self.sample(index) for index in indices]

    def sample(self, index: Any) -> Any:
        if not self.wanted():
            raise RuntimeError("DataLoader: this batch was abandoned")      # nobody will see it: the worker is free
        try:
            return self.dataset[index]
        except StopIteration as error:      # would end the user's loop without a word
            raise RuntimeError(f"DataLoader: {type(self.dataset).__name__}.__getitem__({index!r}) raised StopIteration") from error
        except Exception as error:
            error.add_note(f"DataLoader: this was sample {index!r} of a {type(self.dataset).__name__}")
            raise


class StreamFetch:
    """Batches of `size` samples, or with size None single samples, of an IterableDataset; StopIteration at its end."""

    def __init__(self, dataset: Any, collate: Collate, size: int | None, drop_last: bool) -> None:
        self.stream = iter(dataset)
        self.collate, self.size, self.drop_last = collate, size, drop_last

    def __call__(self) -> Any:
        if self.size is None:
            return self.collate(next(self.stream))
        samples = list(itertools.islice(self.stream, self.size))
        if not samples or self.drop_last and len(samples) < self.size:
            raise StopIteration
        return self.collate(samples)


def positions(indices: Any, dataset: Any) -> Tensor | None:
    """The indices of a batch as a tensor of numbers from 0 on; None where they are something else than ints."""
    if isinstance(indices, Tensor):
        return indices if indices.dim() == 1 else None
    try:
        numbers = [i if type(i) is int else whole(i) for i in indices]
    except TypeError:
        return None
    if not numbers:
        return None
    if min(numbers) < 0:
        size = len(dataset)
        if min(numbers) < -size:
            raise IndexError(f"DataLoader: index {min(numbers)} is out of range for a data set of {size}")
        numbers = [i + size if i < 0 else i for i in numbers]
    return tensor(numbers)


def whole(index: Any) -> int:
    if isinstance(index, bool):
        raise TypeError
    return operator.index(index)


def own_generator() -> Generator | None:
    """What this thread uses in place of the common default generator, or None."""
    current = current_generator()
    return None if current is default_generator else current


@contextlib.contextmanager
def own_generator_kept() -> Iterator[None]:
    """Afterwards this thread uses the generator that it used before."""
    before = own_generator()
    try:
        yield
    finally:
        use_in_thread(before)
