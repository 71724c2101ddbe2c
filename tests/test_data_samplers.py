"""Samplers: the right indices, the right number of them, fixed by the seed, and errors for what makes no sense."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pydl
from pydl.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from pydl.data.samplers import batches_of


def seeded(seed: int) -> pydl.Generator:
    return pydl.Generator().manual_seed(seed)


def test_sequential() -> None:
    sampler = SequentialSampler("abcd")
    assert list(sampler) == [0, 1, 2, 3] and len(sampler) == 4 and isinstance(sampler, Sampler)
    growing = [1]
    sampler = SequentialSampler(growing)
    growing.append(2)
    assert list(sampler) == [0, 1] and len(sampler) == 2


def test_random() -> None:
    sampler = RandomSampler(range(50), generator=seeded(1))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second and len(sampler) == 50
    assert list(RandomSampler(range(50), generator=seeded(1))) == first
    pydl.manual_seed(2)
    third = list(RandomSampler(range(50)))
    pydl.manual_seed(2)
    assert list(RandomSampler(range(50))) == third
    longer = list(RandomSampler(range(5), num_samples=12))
    assert len(longer) == 12 and sorted(longer[:5]) == sorted(longer[5:10]) == list(range(5)) and len(set(longer[10:])) == 2
    assert len(set(RandomSampler(range(5), num_samples=3))) == 3
    drawn = list(RandomSampler(range(5), replacement=True, num_samples=200_000, generator=seeded(3)))
    assert np.allclose(np.bincount(drawn, minlength=5) / 200_000, 0.2, atol=0.01)
    assert len(list(RandomSampler(range(7), replacement=True))) == 7
    assert list(RandomSampler([])) == []


def test_random_draws_no_more_than_it_must() -> None:
    endless = iter(RandomSampler(range(10), replacement=True, num_samples=10**15))
    assert all(0 <= next(endless) < 10 for _ in range(100))


def test_what_others_draw_between_does_not_matter() -> None:
    """The order comes from a generator of its own, seeded at the beginning."""
    orders = []
    for draws in (0, 3):
        pydl.manual_seed(4)
        order = iter(RandomSampler(range(5), num_samples=20))
        got = [next(order)]
        for _ in range(draws):
            pydl.rand(5)
        orders.append(got + list(order))
    assert orders[0] == orders[1]


def test_subset_random() -> None:
    sampler = SubsetRandomSampler([3, 1, 9], generator=seeded(1))
    assert sorted(sampler) == [1, 3, 9] and len(sampler) == 3 and sorted(SubsetRandomSampler(["a", "b"])) == ["a", "b"]
    assert list(SubsetRandomSampler([])) == []


def test_weighted() -> None:
    drawn = list(WeightedRandomSampler([1, 0, 3], 40_000, generator=seeded(1)))
    assert np.allclose(np.bincount(drawn, minlength=3) / 40_000, [0.25, 0, 0.75], atol=0.01)
    assert sorted(WeightedRandomSampler([1, 2, 3], 3, replacement=False)) == [0, 1, 2]
    sampler = WeightedRandomSampler(pydl.tensor([1.0, 1.0]), 5)
    assert len(sampler) == 5 and sampler.weights.dtype is pydl.float64
    for wrong in ([1, -1], [0, 0], [float("nan"), 1], [float("inf"), 1]):
        with pytest.raises(ValueError):
            list(WeightedRandomSampler(wrong, 2))
    with pytest.raises(ValueError):
        list(WeightedRandomSampler([1, 0], 2, replacement=False))


def test_batches() -> None:
    assert list(BatchSampler(SequentialSampler(range(10)), 3, False)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert list(BatchSampler(SequentialSampler(range(10)), 3, True)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert [len(BatchSampler(range(n), 3, last)) for n in (0, 6, 7) for last in (False, True)] == [0, 0, 2, 2, 3, 2]
    assert list(BatchSampler([], 3, False)) == []
    assert list(BatchSampler(iter("abc"), 2, False)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("sizes", [[10], [3, 3, 3], [1, 7, 2], [4, 4], [0, 5], []])
def test_blocks_are_cut_as_lists_are(sizes: list[int], drop_last: bool) -> None:
    blocks = [pydl.arange(100 * i, 100 * i + size) for i, size in enumerate(sizes)]
    flat = [i for block in blocks for i in block.tolist()]
    for size in (1, 2, 4, 20):
        assert [b.tolist() for b in batches_of(iter(blocks), size, drop_last)] == list(BatchSampler(flat, size, drop_last))
    many = pydl.arange(1001)
    assert [b.tolist() for b in batches_of(iter([many]), 2, drop_last)] == list(BatchSampler(range(1001), 2, drop_last))


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: RandomSampler([1], replacement=1), TypeError, "replacement"),
    *((lambda n=n: RandomSampler([1], num_samples=n), error, "RandomSampler: num_samples")
      for n, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError))),
    *((lambda n=n: WeightedRandomSampler([1], n), error, "WeightedRandomSampler: num_samples")
      for n, error in ((0, ValueError), (None, TypeError), (True, TypeError))),
    (lambda: WeightedRandomSampler([[1]], 1), ValueError, r"one dimension, got shape \(1, 1\)"),
    (lambda: WeightedRandomSampler([1], 1, replacement=0), TypeError, "replacement"),
    *((lambda n=n: BatchSampler([1], n, False), error, "BatchSampler: batch_size")
      for n, error in ((0, ValueError), (-1, ValueError), (True, TypeError), (1.0, TypeError))),
    (lambda: BatchSampler([1], 1, 0), TypeError, "drop_last"),
    (lambda: list(RandomSampler([], num_samples=3)), ValueError, "no samples to draw 3 from"),
    (lambda: RandomSampler([1], generator=3), TypeError, "RandomSampler: generator: .* got int"),
    (lambda: SubsetRandomSampler([1], generator=3), TypeError, "SubsetRandomSampler: generator: .* got int"),
    (lambda: WeightedRandomSampler([1], 1, generator=3), TypeError, "WeightedRandomSampler: generator: .* got int"),
    (lambda: iter(Sampler()), NotImplementedError, "__iter__"),
    (lambda: list(SequentialSampler(3)), TypeError, "len"),
])
def test_refusals(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


class Evens(Sampler):
    def __iter__(self) -> Any:
        return iter(range(0, 10, 2))


class Backwards(SequentialSampler):
    def __iter__(self) -> Any:
        return reversed(range(len(self.data_source)))


def test_a_loader_takes_them() -> None:
    data = np.arange(10)
    assert [b.tolist() for b in DataLoader(data, sampler=Evens(), batch_size=2)] == [[0, 2], [4, 6], [8]]
    assert [b.tolist() for b in DataLoader(data, batch_sampler=[[1], [2, 3], [9, 9]])] == [[1], [2, 3], [9, 9]]
    assert [b.tolist() for b in DataLoader(data, sampler=Backwards(data), batch_size=5)] == [[9, 8, 7, 6, 5], [4, 3, 2, 1, 0]]
    loader = DataLoader(data, batch_sampler=BatchSampler(RandomSampler(data, generator=seeded(1)), 4, True))
    assert len(loader) == 2 and [len(b) for b in loader] == [4, 4] and loader.batch_size is None
    assert [len(b) for b in DataLoader(data, sampler=WeightedRandomSampler([1] * 10, 7), batch_size=4)] == [4, 3]
    with pytest.raises(TypeError):
        len(DataLoader(data, sampler=Evens()))
    loader = DataLoader(data, 3, sampler=RandomSampler(data, generator=seeded(2)))
    assert [i for b in loader for i in b.tolist()] == list(RandomSampler(data, generator=seeded(2)))
    with pytest.raises(ValueError, match="no samples"):
        list(DataLoader(data, batch_sampler=[[]]))
