"""Data sets made of data sets, splitting, collating: what comes out, and the fast path beside the slow one."""
from __future__ import annotations

import collections
import types
import warnings
from typing import Any

import numpy as np
import pytest

import pydl
from pydl.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    default_collate,
    default_convert,
    random_split,
)
from pydl.data.gathering import gatherer


def numbered(n: int, first: int = 0) -> TensorDataset:
    return TensorDataset(pydl.arange(3 * first, 3 * (first + n), dtype=pydl.float32).reshape(n, 3), pydl.arange(first, first + n))


class Slow(Dataset):
    """A data set without a fast path: the same samples, one by one."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Any:
        return self.inner[index]


class Count(IterableDataset):
    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Any:
        return iter(range(self.n))

    def __len__(self) -> int:
        return self.n


def plain(batch: Any) -> Any:
    """Batches to compare with ==."""
    if isinstance(batch, pydl.Tensor):
        return batch.dtype, tuple(batch.shape), batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    return [plain(value) for value in batch] if isinstance(batch, (list, tuple)) else batch


ARRAY = np.arange(20, dtype=np.float64).reshape(10, 2)
FAST = {
    "tensors": lambda: numbered(10),
    "subset": lambda: Subset(numbered(10), [9, 1, 1, 4, -2]),
    "subset of subset": lambda: Subset(Subset(numbered(10), range(2, 9)), [6, 0, 3]),
    "concat": lambda: ConcatDataset([numbered(3), numbered(1, 3), numbered(6, 4)]),
    "concat with an empty one": lambda: ConcatDataset([numbered(0), numbered(3), numbered(0), numbered(2, 3)]),
    "subset of concat": lambda: Subset(ConcatDataset([numbered(3), numbered(4, 3)]), [6, 2, 3, 0]),
    "concat of subsets": lambda: ConcatDataset([Subset(numbered(5), [4, 0]), Subset(numbered(5), [3])]),
    "stack": lambda: StackDataset(numbered(10), ARRAY),
    "stack by name": lambda: StackDataset(x=numbered(10), y=pydl.arange(10)),
    "concat of stacks": lambda: ConcatDataset([StackDataset(a=numbered(3)), StackDataset(a=numbered(2, 3))]),
    "array": lambda: ARRAY, "array of one dimension": lambda: np.arange(7), "tensor": lambda: pydl.arange(12).reshape(6, 2),
    "array in columns": lambda: np.asfortranarray(ARRAY), "array backwards": lambda: ARRAY[::-1],
}


@pytest.mark.parametrize("make", FAST.values(), ids=FAST)
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_fast_path_gives_what_the_slow_one_gives(make: Any, shuffle: bool, workers: int) -> None:
    data = make()
    results = []
    for one in (data, Slow(data)):
        pydl.manual_seed(5)
        results.append([plain(batch) for batch in DataLoader(one, batch_size=3, shuffle=shuffle, num_workers=workers)])
    assert results[0] == results[1] and len(results[0]) == -(-len(data) // 3)
    assert gatherer(Slow(data)) is None


@pytest.mark.parametrize("name", [name for name in FAST if name != "array backwards"])
def test_there_is_a_fast_path(name: str) -> None:
    assert gatherer(FAST[name]()) is not None


def test_own_getitem_is_never_passed_over() -> None:
    class Doubled(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            return tuple(2 * x for x in super().__getitem__(index))

    class Shifted(Subset):
        def __getitem__(self, index: Any) -> Any:
            return super().__getitem__(index)[1] + 100

    class Own(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            raise AssertionError

        def gather(self, indices: pydl.Tensor) -> Any:
            return indices * 10

    assert next(iter(DataLoader(Doubled(pydl.arange(3)), batch_size=3)))[0].tolist() == [0, 2, 4]
    assert next(iter(DataLoader(Shifted(numbered(5), [4, 1]), batch_size=2))).tolist() == [104, 101]
    assert next(iter(DataLoader(Own(pydl.arange(3)), batch_size=3))).tolist() == [0, 10, 20]
    assert gatherer(Subset(Doubled(pydl.arange(3)), [1])) is None
    assert next(iter(DataLoader(Subset(Doubled(pydl.arange(3)), [2]), batch_size=1)))[0].tolist() == [4]


def test_the_fast_path_reads_arrays_in_place() -> None:
    array = np.zeros((4, 2), np.float32)
    loader = DataLoader(array, batch_size=4)
    array[:] = 7
    batch = next(iter(loader))
    assert batch.tolist() == [[7, 7]] * 4
    batch.fill_(1)
    assert array[0, 0] == 7
    array.flags.writeable = False
    assert next(iter(loader)).tolist() == [[7, 7]] * 4


def test_indices_of_every_kind() -> None:
    data = numbered(5)
    for sampler in ([4, -1, 0], np.array([4, -1, 0]), [np.int32(4), np.int64(-1), 0], pydl.tensor([4, -1, 0]), [pydl.tensor(4), -1, 0]):
        assert [y.tolist() for _, y in DataLoader(data, batch_size=2, sampler=sampler)] == [[4, 4], [0]]
    for bad, error in (([5], IndexError), ([-6], IndexError), (["a"], (TypeError, IndexError, ValueError)), ([1.5], (TypeError, IndexError))):
        with pytest.raises(error):
            list(DataLoader(data, sampler=bad))


# Composed data sets

def test_concat() -> None:
    data = numbered(3) + numbered(2, 3)
    assert isinstance(data, ConcatDataset) and len(data) == 5 and data.cumulative_sizes == [3, 5]
    assert [data[i][1].item() for i in (0, 2, 3, 4, -1, -5)] == [0, 2, 3, 4, 4, 0]
    for i in (5, -6):
        with pytest.raises(IndexError, match=f"index {i}"):
            data[i]
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="data set 1 is an IterableDataset"):
        ConcatDataset([numbered(3), Count(3)])
    with pytest.raises(ValueError, match="shape"):
        list(DataLoader(ConcatDataset([TensorDataset(pydl.zeros(2, 3)), TensorDataset(pydl.zeros(2, 4))]), batch_size=4))


def test_chain() -> None:
    data = Count(3) + Count(2)
    assert isinstance(data, ChainDataset) and list(data) == [0, 1, 2, 0, 1] and len(data) == 5
    for action in (list, len):
        with pytest.raises(TypeError, match="expected IterableDatasets, got list"):
            action(ChainDataset([Count(1), [1]]))


def test_stack() -> None:
    data = StackDataset(numbered(3), [10, 20, 30])
    assert len(data) == 3 and data[1][1] == 20 and data[1][0][1].item() == 1
    assert StackDataset(a=[1, 2], b="xy")[1] == {"a": 2, "b": "y"}
    assert [batch[1].tolist() for batch in DataLoader(data, batch_size=2)] == [[10, 20], [30]]
    for make, words in ((StackDataset, "at least one"), (lambda: StackDataset([1], a=[1]), "got both"),
                        (lambda: StackDataset([1], [1, 2]), "lengths 1, 2")):
        with pytest.raises(ValueError, match=words):
            make()


class Many(Dataset):
    def __init__(self, wrong: int = 0) -> None:
        self.calls: list[list[int]] = []
        self.wrong = wrong

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> int:
        raise AssertionError

    def __getitems__(self, indices: list[int]) -> list[int]:
        self.calls.append(indices)
        return [10 * i for i in indices][self.wrong:]


def test_getitems_is_used() -> None:
    data = Many()
    assert [b.tolist() for b in DataLoader(data, batch_size=4)] == [[0, 10, 20, 30], [40, 50]]
    assert [b.tolist() for b in DataLoader(Subset(data, [5, 2]), batch_size=4)] == [[50, 20]]
    assert [b[0].tolist() for b in DataLoader(StackDataset(data, range(6)), batch_size=6)] == [[0, 10, 20, 30, 40, 50]]
    assert data.calls == [[0, 1, 2, 3], [4, 5], [5, 2], [0, 1, 2, 3, 4, 5]]
    with pytest.raises(ValueError, match="gave 3 samples for 4"):
        list(DataLoader(Many(1), batch_size=4))


def test_random_split() -> None:
    data = numbered(10)
    generator = pydl.Generator().manual_seed(3)
    a, b = random_split(data, [7, 3], generator=generator)
    assert (len(a), len(b)) == (7, 3) and sorted([*a.indices, *b.indices]) == list(range(10))
    again = random_split(data, [7, 3], generator=pydl.Generator().manual_seed(3))
    assert again[0].indices.tolist() == a.indices.tolist()
    assert [len(part) for part in random_split(data, [0.3, 0.3, 0.4])] == [3, 3, 4]
    assert [len(part) for part in random_split(numbered(11), [0.5, 0.5])] == [6, 5]
    assert [len(part) for part in random_split(data, [0.1] * 10)] == [1] * 10
    assert [len(part) for part in random_split(data, [1])] == [10] and random_split(numbered(0), []) == []
    assert gatherer(a) is not None
    with pytest.warns(UserWarning, match="part 1 of 2 samples gets none"):
        assert [len(part) for part in random_split(numbered(2), [1.0, 0.0])] == [2, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [len(part) for part in random_split(data, [10, 0])] == [10, 0]


@pytest.mark.parametrize(("lengths", "error", "words"), [
    ([7, 4], ValueError, "sum to 11, the data set has 10"), ([-1, 11], ValueError, "expected 0 or more, got -1"),
    ([0.5, 0.6], ValueError, "must sum to 1, got 1.1"), ([float("nan"), 1], ValueError, "got nan"),
    ([5.0, 5.0], TypeError, "expected ints"), ([], ValueError, "sum to 0"), ([0.5, 0.4], TypeError, "fractions that sum to 1"),
    (["a", "b"], TypeError, "random_split: length 0: expected an int or a fraction, got 'a'"), ([4, None], TypeError, "length 1: .* None"),
])
def test_random_split_refuses(lengths: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        random_split(numbered(10), lengths)
    with pytest.raises(TypeError, match="random_split: generator: expected a pydl.Generator, got int"):
        random_split(numbered(10), [10], generator=3)       # type: ignore[arg-type]


def test_base_classes() -> None:
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())
    with pytest.raises(TypeError):
        len(Dataset())      # type: ignore[arg-type]
    assert Dataset[int] is not None


# Collating

def test_collate_keeps_types() -> None:
    class Bag(dict):
        pass

    ordered = default_collate([collections.OrderedDict(a=1, b="x"), collections.OrderedDict(a=2, b="y")])
    assert type(ordered) is collections.OrderedDict and ordered["a"].tolist() == [1, 2] and ordered["b"] == ["x", "y"]
    assert type(default_collate([Bag(a=1), Bag(a=2)])) is Bag
    frozen = default_collate([types.MappingProxyType({"a": 1})])
    assert frozen["a"].tolist() == [1]
    assert type(default_collate([collections.UserList([1, 2]), collections.UserList([3, 4])])) is collections.UserList
    assert default_collate([[1, 2], [3, 4]])[1].tolist() == [2, 4]
    assert default_collate([np.str_("a"), np.str_("b")]) == ["a", "b"] and default_collate([b"a"]) == [b"a"]
    assert default_collate([range(2), range(2)])[1].tolist() == [1, 1]


@pytest.mark.parametrize(("samples", "error", "words"), [
    ([], ValueError, "no samples"), ([np.zeros(2), np.zeros(2), np.zeros(3)], ValueError, r"\(2,\) and \(3,\) \(numbers 0 and 2"),
    ([(1, 2), (1, "a")], TypeError, "int and str .numbers 0 and 1"), ([np.array(["a"])], TypeError, "<U1"), ([None], TypeError, "NoneType"),
    ([{1, 2}], TypeError, "cannot make a batch of set"),
])
def test_collate_names_the_sample(samples: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        default_collate(samples)


def test_convert() -> None:
    Point = collections.namedtuple("Point", "x y")
    array = np.zeros(2, np.float32)
    made = default_convert({"a": array, "b": [np.int64(3), "s", 4], "c": Point(array, None), "d": (1, array), "e": np.array(["x"])})
    assert made["a"].dtype is pydl.float32 and made["b"][0].item() == 3 and made["b"][1:] == ["s", 4]
    assert isinstance(made["c"], Point) and isinstance(made["c"].x, pydl.Tensor) and isinstance(made["d"], list)
    assert isinstance(made["e"], np.ndarray)
    array[0] = 5
    assert made["a"].tolist() == [5, 0]


@pytest.mark.parity
def test_collate_as_pytorch() -> None:
    torch_data = pytest.importorskip("torch.utils.data")

    def plainly(batch: Any) -> Any:
        if hasattr(batch, "tolist"):
            return str(batch.dtype).split(".")[-1], batch.tolist()
        if isinstance(batch, dict):
            return type(batch).__name__, {key: plainly(value) for key, value in batch.items()}
        if isinstance(batch, (list, tuple)):        # PyTorch makes a tuple of the strings in tuples, and a list of others
            return "list" if isinstance(batch[0], str) else type(batch).__name__, [plainly(x) for x in batch]
        return batch

    for samples in ([1, 2], [1.5, 2.5], [True, False], ["a", "b"], [(1, "a"), (2, "b")], [[1, 2], [3, 4]], [{"a": 1.0}, {"a": 2.0}],
                    [np.zeros(2, np.float32)] * 2, [np.float32(1), np.float32(2)], [np.int64(1)] * 2, [((1,), {"k": [1.0]})] * 2):
        assert plainly(default_collate(samples)) == plainly(torch_data.default_collate(samples))
        assert plainly(default_convert(samples)) == plainly(torch_data.default_convert(samples))
