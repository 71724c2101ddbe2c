"""Data sets and the loader: right batches, in a reproducible order, and errors that say what is wrong."""

import collections

import numpy as np
import pytest

import pydl
from pydl._core.generator import current_generator, default_generator
from pydl.data import DataLoader, Dataset, Subset, TensorDataset, default_collate, fetch


def counted(n):
    return TensorDataset(pydl.tensor(np.arange(3 * n, dtype=np.float32).reshape(n, 3)), pydl.arange(n))


class Squares(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return {"number": index, "square": pydl.tensor([float(index**2)])}


def seen(loader):
    return [label for _, labels in loader for label in labels.tolist()]


# TensorDataset

def test_tensor_dataset():
    data = counted(5)
    assert len(data) == 5
    row, label = data[3]
    assert row.tolist() == [9, 10, 11] and label.item() == 3
    rows, labels = data.gather(pydl.tensor([4, 0, 4]))
    assert rows.tolist() == [[12, 13, 14], [0, 1, 2], [12, 13, 14]] and labels.tolist() == [4, 0, 4]


@pytest.mark.parametrize(("tensors", "error", "words"), [
    (list, ValueError, "at least one"),
    (lambda: [pydl.zeros(3, 2), pydl.zeros(4)], ValueError, r"lengths 3, 4 .*\(3, 2\), \(4,\)"),
    (lambda: [pydl.tensor(1.0)], ValueError, "scalar"),
    (lambda: [np.zeros(3)], TypeError, "ndarray"),
])
def test_tensor_dataset_refuses(tensors, error, words):
    with pytest.raises(error, match=words):
        TensorDataset(*tensors())


def test_subset():
    part = Subset(counted(5), [4, 1, 1])
    assert len(part) == 3 and part[0][1].item() == 4
    assert seen(DataLoader(part, batch_size=2)) == [4, 1, 1]
    assert [batch["number"].tolist() for batch in DataLoader(Subset(Squares(), np.array([6, 2])), batch_size=2)] == [[6, 2]]
    with pytest.raises(IndexError, match="index 5 is out of range: the data set has 5"):
        Subset(counted(5), [0, 5])
    assert seen(DataLoader(Subset(counted(5), [-1, 0, -5]), batch_size=2)) == [4, 0, 0]
    assert Subset(Squares(), [-1])[0]["number"] == 6 and part[-3][1].item() == 4 and part[[0, 2]][1].tolist() == [4, 1]
    with pytest.raises(IndexError, match="-6"):
        Subset(counted(5), [-6])
    with pytest.raises(TypeError, match="sequence of ints"):
        Subset(counted(5), [0.5])


# DataLoader

@pytest.mark.parametrize(("count", "size", "drop_last", "sizes"), [
    (10, 4, False, [4, 4, 2]), (10, 4, True, [4, 4]), (8, 4, False, [4, 4]), (3, 4, False, [3]), (3, 4, True, []),
    (5, 1, False, [1] * 5), (0, 4, False, []),
])
def test_batches(count, size, drop_last, sizes):
    for shuffle in (False, True):
        loader = DataLoader(counted(count), batch_size=size, shuffle=shuffle, drop_last=drop_last)
        batches = list(loader)
        assert len(loader) == len(batches) == len(sizes)
        assert [len(labels) for _, labels in batches] == sizes
        for rows, labels in batches:
            assert rows.shape == (len(labels), 3) and rows.dtype is pydl.float32 and labels.dtype is pydl.int64
            assert rows.tolist() == [[3 * i, 3 * i + 1, 3 * i + 2] for i in labels.tolist()]


def test_in_order_without_shuffle():
    assert seen(DataLoader(counted(10), batch_size=3)) == list(range(10))


def test_a_batch_is_a_copy():
    data = counted(4)
    for rows, _ in DataLoader(data, batch_size=2):
        rows.fill_(0)
    assert data.tensors[0].tolist()[1] == [3, 4, 5]


@pytest.mark.parametrize("view", [False, True])
def test_a_change_in_place_shows_in_the_next_batch(view):
    x, y = pydl.zeros(10, 2), pydl.arange(10)
    seen = []
    for number, (images, labels) in enumerate(DataLoader(TensorDataset(x, y), batch_size=3)):
        images.add_(100)        # a batch is the caller's own: nobody gathers anew for that
        seen.append((images[:, 0] - 100).tolist())
        assert labels.tolist() == list(range(10))[3 * number:3 * number + 3]
        (x.view(20) if view else x).fill_(number + 1)
    assert seen == [[0, 0, 0], [1, 1, 1], [2, 2, 2], [3]]


def test_batches_made_at_once_are_independent():
    x = pydl.tensor([[1.0], [2.0], [3.0], [4.0]])
    first, second = (batch for (batch,) in DataLoader(TensorDataset(x), batch_size=2))
    weight = pydl.ones(1, requires_grad=True)
    loss = (first * weight).sum()
    second.mul_(2)
    loss.backward()
    assert weight.grad.tolist() == [3] and second.tolist() == [[6], [8]]


def test_shuffle_is_complete_fresh_and_fixed_by_the_seed():
    loader = DataLoader(counted(50), batch_size=8, shuffle=True)
    pydl.manual_seed(3)
    first, second = seen(loader), seen(loader)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second != list(range(50))
    pydl.manual_seed(3)
    assert [seen(loader), seen(loader)] == [first, second]


def test_own_generator():
    orders = []
    for _ in range(2):
        generator = pydl.Generator()
        generator.manual_seed(11)
        orders.append(seen(DataLoader(counted(20), batch_size=6, shuffle=True, generator=generator)))
    assert orders[0] == orders[1]


def test_two_walks_at_once_do_not_disturb_each_other():
    loader = DataLoader(counted(6), batch_size=2)
    pairs = [(a[1].tolist(), b[1].tolist()) for a, b in zip(loader, loader, strict=True)]
    assert all(a == b for a, b in pairs) and len(pairs) == 3


def test_map_style():
    batches = list(DataLoader(Squares(), batch_size=3))
    assert [batch["number"].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert batches[1]["square"].tolist() == [[9.0], [16.0], [25.0]]
    assert list(DataLoader([1, 2, 3], batch_size=2, collate_fn=sum)) == [3, 3]


def test_collate_fn_gets_the_samples_of_a_tensor_dataset():
    loader = DataLoader(counted(3), batch_size=2, collate_fn=lambda samples: [label.item() for _, label in samples])
    assert list(loader) == [[0, 1], [2]]


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"batch_size": 0}, ValueError, "expected 1 or more, got 0"),
    ({"batch_size": -3}, ValueError, "expected 1 or more, got -3"),
    ({"batch_size": 2.5}, TypeError, "expected an int, got float"),
    ({"collate_fn": 3}, TypeError, "collate_fn"),
    ({"batch_size": True}, TypeError, "expected an int, got True"),
    ({"batch_size": "4"}, TypeError, "expected an int, got str"),
    ({"batch_size": None, "drop_last": True}, ValueError, "drop_last"),
    ({"num_workers": -1}, ValueError, "num_workers: expected 0 or more, got -1"),
    ({"num_workers": 1.5}, TypeError, "num_workers: expected an int, got float"),
    ({"num_workers": True}, TypeError, "num_workers: expected an int, got True"),
    ({"prefetch_factor": 2}, ValueError, "prefetch_factor needs num_workers"),
    ({"prefetch_factor": 0, "num_workers": 1}, ValueError, "prefetch_factor: expected 1 or more"),
    ({"persistent_workers": True}, ValueError, "persistent_workers needs num_workers"),
    ({"timeout": 3}, ValueError, "timeout needs num_workers"),
    ({"timeout": -1, "num_workers": 1}, ValueError, "timeout: expected 0 or more"),
    ({"timeout": float("nan"), "num_workers": 1}, ValueError, "timeout: expected 0 or more"),
    ({"timeout": "a", "num_workers": 1}, TypeError, "DataLoader: timeout: expected a number of seconds, got 'a'"),
    ({"generator": 3}, TypeError, "DataLoader: generator: expected a pydl.Generator, got int"),
    ({"generator": 3, "shuffle": True}, TypeError, "DataLoader: generator: expected a pydl.Generator, got int"),
    ({"worker_init_fn": 3}, TypeError, "worker_init_fn: expected a function"),
    ({"sampler": [1, 0], "shuffle": True}, ValueError, "sampler and shuffle"),
    ({"batch_sampler": [[1, 0]], "batch_size": 2}, ValueError, "batch_sampler excludes"),
    ({"batch_sampler": [[1, 0]], "shuffle": True}, ValueError, "batch_sampler excludes"),
    ({"batch_sampler": [[1, 0]], "sampler": [0]}, ValueError, "batch_sampler excludes"),
    ({"batch_sampler": [[1, 0]], "drop_last": True}, ValueError, "batch_sampler excludes"),
    ({"shuffle": "yes"}, TypeError, "shuffle: expected a bool"),
    ({"pin_memory_device": "cuda"}, ValueError, "there is no other device"),
    ({"multiprocessing_context": "fork", "num_workers": 1}, ValueError, "workers are threads"),
    ({"dataset": 7}, TypeError, "__len__ and __getitem__, got int"),
    ({"dataset": iter([1])}, TypeError, "must be an IterableDataset"),
])
def test_loader_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        DataLoader(**{"dataset": counted(3), **arguments})


def test_pin_memory_warns():
    with pytest.warns(UserWarning, match="no other device"):
        assert seen(DataLoader(counted(3), pin_memory=True)) == [0, 1, 2]


def test_what_was_checked_cannot_be_changed():
    loader = DataLoader(counted(3))
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} cannot be set"):
            setattr(loader, name, None)
    loader.timeout = 0


def test_loader_takes_pytorchs_signature():
    loader = DataLoader(counted(5), 2, None, None, None, 0, None, False, True, 0, None, None, None, prefetch_factor=None,
                        persistent_workers=False, pin_memory_device="", in_order=True)
    assert seen(loader) == [0, 1, 2, 3] and loader.shuffle is False


# Collating

def test_collate_kinds():
    Point = collections.namedtuple("Point", "x y")
    samples = [(1, 2.5, np.float32([1, 2]), "a", Point(pydl.ones(2), True)), (3, 4.5, np.float32([3, 4]), "b", Point(pydl.zeros(2), False))]
    ints, floats, arrays, names, points = default_collate(samples)
    assert ints.tolist() == [1, 3] and ints.dtype is pydl.int64
    assert floats.tolist() == [2.5, 4.5] and floats.dtype is pydl.float64
    assert arrays.tolist() == [[1, 2], [3, 4]] and arrays.dtype is pydl.float32
    assert names == ["a", "b"]
    assert isinstance(points, Point) and points.x.tolist() == [[1, 1], [0, 0]]
    assert points.y.tolist() == [True, False] and points.y.dtype is pydl.bool


@pytest.mark.parametrize(("samples", "values", "dtype"), [
    ([1, 1.5], [1, 1.5], pydl.float32), ([1.5, 1], [1.5, 1], pydl.float64), ([True, 2], [1, 2], pydl.int64),
    ([1, True], [1, 1], pydl.int64), ([True, False], [True, False], pydl.bool), ([False, 0.5], [0, 0.5], pydl.float32),
    ([1, np.float32(2.5)], [1, 2.5], pydl.float32), ([0.5, np.int64(2)], [0.5, 2], pydl.float64),
    ([np.int64(1), np.float64(1.5)], [1, 1.5], pydl.float64), ([np.bool_(True), np.bool_(False)], [True, False], pydl.bool),
])
def test_no_number_is_cut_off(samples, values, dtype):
    batch = default_collate(samples)
    assert batch.tolist() == values and batch.dtype is dtype
    assert default_collate([(x,) for x in samples])[0].tolist() == values


@pytest.mark.parametrize(("samples", "error", "words"), [
    (lambda: [pydl.zeros(2), pydl.zeros(3)], ValueError, r"\(2,\) and \(3,\)"),
    (lambda: [np.zeros(2), np.zeros(3)], ValueError, r"\(2,\) and \(3,\)"),
    (lambda: [(1, 2), (1,)], ValueError, "2 and 1"),
    (lambda: [{"a": 1}, {"b": 1}], ValueError, "'a'.*'b'"),
    (lambda: [pydl.zeros(2), 3], TypeError, "Tensor and int"),
    (lambda: [1, "2"], TypeError, "int and str"),
    (lambda: [1.5, None], TypeError, "float and NoneType"),
    (lambda: [1, 2**70], OverflowError, "1180591620717411303424"),
    (lambda: [object()], TypeError, "cannot make a batch of object"),
])
def test_collate_refuses(samples, error, words):
    with pytest.raises(error, match=words):
        default_collate(samples())


def test_an_interrupt_leaves_the_thread_its_generator(monkeypatch):
    """One that comes right behind the call that sets a batch's own generator."""
    loader, calls, real = DataLoader(Squares(), batch_size=2), [], fetch.use_in_thread

    def interrupted(generator):
        before = real(generator)
        calls.append(generator)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return before

    monkeypatch.setattr(fetch, "use_in_thread", interrupted)
    own = pydl.Generator()
    try:
        with pytest.raises(KeyboardInterrupt):
            next(iter(loader))
        assert len(calls) == 2 and current_generator() is default_generator
        real(own)
        next(iter(loader))
        assert current_generator() is own
    finally:
        real(None)
