"""Workers: the same batches as without, errors that arrive, and no thread that stays behind, whatever happens."""
from __future__ import annotations

import copy
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pydl
from pydl.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info, workers
from pydl.data.passes import AheadPass


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("pydl-DataLoader")]


def gone(seconds: float = 5) -> bool:
    """Whether all workers have ended, soon."""
    end = time.monotonic() + seconds
    while ours() and time.monotonic() < end:
        time.sleep(0.005)
    return not ours()


@pytest.fixture(autouse=True)
def none_stays() -> Iterator[None]:
    yield
    gc.collect()
    assert gone(), ours()


class Squares(Dataset):
    def __init__(self, n: int = 23, wait: float = 0) -> None:
        self.n, self.wait = n, wait

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        if self.wait:
            time.sleep(self.wait)
        return index, float(index**2)


class Noisy(Squares):
    def __getitem__(self, index: int) -> Any:
        return index, pydl.rand(2)


class Failing(Squares):
    def __getitem__(self, index: int) -> Any:
        if index == 7:
            raise KeyError("number seven")
        return index


class Stream(IterableDataset):
    """0 ... n-1, shared out among the workers."""

    def __init__(self, n: int, shared: bool = True) -> None:
        self.n, self.shared, self.first = n, shared, 0

    def __iter__(self) -> Any:
        info = get_worker_info()
        start, step = (info.id, info.num_workers) if info and self.shared else (0, 1)
        return iter(range(self.first + start, self.n, step))

    def __len__(self) -> int:
        return self.n


def values(loader: DataLoader) -> list:
    return [[x.tolist() for x in batch] if isinstance(batch, list) else batch.tolist() for batch in loader]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("make", [Squares, Noisy, lambda: TensorDataset(pydl.arange(23)), lambda: list(range(23))])
def test_the_number_of_workers_does_not_matter(make: Any, shuffle: bool) -> None:
    results = []
    for count in (0, 1, 2, 5):
        pydl.manual_seed(9)
        loader = DataLoader(make(), batch_size=4, shuffle=shuffle, num_workers=count)
        results.append([values(loader), values(loader)])
    assert all(result == results[0] for result in results[1:])
    assert len(results[0][0]) == 6 and (results[0][0] != results[0][1] or not shuffle and make is not Noisy)


@pytest.mark.parametrize("arguments", [
    {"prefetch_factor": 1}, {"prefetch_factor": 7}, {"persistent_workers": True}, {"drop_last": True}, {"timeout": 30},
    {"batch_size": None}, {"sampler": [3, 1, 2]}, {"batch_size": 1, "batch_sampler": [[1, 2], [5]]},
])
def test_options(arguments: dict[str, Any]) -> None:
    given = {"batch_size": 4, **arguments}
    without = {k: v for k, v in given.items() if k not in ("prefetch_factor", "persistent_workers", "timeout")}
    loader = DataLoader(Squares(), num_workers=3, **given)
    for _ in range(2):
        got = [str(batch) for batch in loader]
        assert got == [str(batch) for batch in DataLoader(Squares(), **without)] and len(got) == len(loader)


def test_workers_end_with_the_pass_and_persistent_ones_stay() -> None:
    loader = DataLoader(Squares(), num_workers=2)
    list(loader)
    assert not ours()
    loader = DataLoader(Squares(), num_workers=2, persistent_workers=True)
    list(loader)
    before = {thread.ident for thread in threading.enumerate() if thread.name in ours()}
    assert len(before) == 2
    for _ in loader:
        break
    assert values(loader) == values(DataLoader(Squares()))
    assert {thread.ident for thread in threading.enumerate() if thread.name in ours()} == before
    del loader
    assert gone()


@pytest.mark.parametrize("persistent", [False, True])
def test_an_iterator_outlives_the_loader(persistent: bool) -> None:
    got = [batch[0].item() for batch in DataLoader(Squares(9), num_workers=2, persistent_workers=persistent)]
    assert got == list(range(9)) and gone()


def test_a_worker_that_is_no_more() -> None:
    batches = iter(DataLoader(Squares(9), num_workers=2, prefetch_factor=1))
    assert isinstance(batches, AheadPass)
    batches.pool.tasks[1].put(None)
    next(batches), next(batches)
    workers.LOOK_SECONDS, before = 0.01, workers.LOOK_SECONDS
    try:
        with pytest.raises(RuntimeError, match="worker 1 has ended"):
            list(batches)
    finally:
        workers.LOOK_SECONDS = before


@pytest.mark.parametrize("persistent", [False, True])
def test_one_loader_in_two_loops_at_once(persistent: bool) -> None:
    loader = DataLoader(Squares(6), batch_size=2, num_workers=2, persistent_workers=persistent)
    want = values(DataLoader(Squares(6), batch_size=2))
    outer = []
    for batch in loader:
        outer.append([x.tolist() for x in batch])
        assert values(loader) == want
    assert outer == want


def test_out_of_order() -> None:
    class Uneven(Squares):
        """Number 0 is not done before number 9 is."""

        def __getitem__(self, index: int) -> int:
            if index == 9:
                done.set()
            return index if index or done.wait(30) else -1

    done = threading.Event()
    got = [batch.item() for batch in DataLoader(Uneven(12), num_workers=2, in_order=False)]
    assert sorted(got) == list(range(12)) and got.index(0) >= 8
    assert [batch.item() for batch in DataLoader(Uneven(4), num_workers=2)] == [0, 1, 2, 3]
    stream = [x for batch in DataLoader(Stream(20), batch_size=3, num_workers=3, in_order=False) for x in batch.tolist()]
    assert sorted(stream) == list(range(20))


def test_they_run_at_the_same_time() -> None:
    together = threading.Barrier(3)

    class Meeting(Squares):
        def __getitem__(self, index: int) -> int:
            together.wait(10)
            return index

    assert [batch.item() for batch in DataLoader(Meeting(6), num_workers=3)] == list(range(6))


def test_no_more_is_made_than_asked_for() -> None:
    made = []

    class Counting(Squares):
        def __getitem__(self, index: int) -> int:
            made.append(index)
            return index

    batches = iter(DataLoader(Counting(100), num_workers=2, prefetch_factor=3))
    next(batches)
    end = time.monotonic() + 10
    while len(made) < 7 and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(0.05)
    assert sorted(made) == list(range(7))


# What a worker knows

def test_worker_info() -> None:
    assert get_worker_info() is None
    seen: list[Any] = []

    class Telling(Squares):
        def __getitem__(self, index: int) -> int:
            seen.append(get_worker_info())
            return index

    data = Telling(8)
    list(DataLoader(data, num_workers=2, generator=pydl.Generator().manual_seed(1)))
    seeds = {info.id: info.seed for info in seen}
    assert sorted(seeds) == [0, 1] and seeds[1] == seeds[0] + 1 and {info.num_workers for info in seen} == {2}
    assert all(isinstance(info.dataset, Telling) and info.dataset is not data for info in seen)
    assert get_worker_info() is None


def test_init_function_and_own_copy() -> None:
    calls: list[int] = []

    def init(worker: int) -> None:
        calls.append(worker)
        info = get_worker_info()
        assert info is not None
        info.dataset.first, info.dataset.n, info.dataset.shared = 10 * worker, 10 * worker + 3, False

    data = Stream(100)
    loader = DataLoader(data, batch_size=2, num_workers=2, worker_init_fn=init, persistent_workers=True)
    for _ in range(2):
        assert values(loader) == [[0, 1], [10, 11], [2], [12]]
    assert sorted(calls) == [0, 1] and data.n == 100


def test_each_worker_of_a_stream_has_its_own_random_numbers() -> None:
    class Random(IterableDataset):
        def __iter__(self) -> Any:
            info = get_worker_info()
            assert info is not None
            want = pydl.rand(3, generator=pydl.Generator().manual_seed(info.seed)).tolist()
            got = pydl.rand(3).tolist()
            assert got == want and pydl.initial_seed() == info.seed
            yield pydl.tensor(got)

    state = []
    for _ in range(2):
        pydl.manual_seed(1)
        state.append((values(DataLoader(Random(), num_workers=2)), pydl.rand(1).item()))
    assert state[0] == state[1] and state[0][0][0] != state[0][0][1]


def test_without_workers_the_global_generator_is_left_alone() -> None:
    after = []
    for data in (Squares(5), Noisy(5)):
        pydl.manual_seed(1)
        list(DataLoader(data))
        after.append(pydl.rand(1).item())
    assert after[0] == after[1]


# Streams

@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_streams(count: int) -> None:
    loader = DataLoader(Stream(20), batch_size=3, num_workers=count)
    first = values(loader)
    assert sorted(x for batch in first for x in batch) == list(range(20)) and values(loader) == first
    assert first[0] == list(range(0, 20, count))[:3]


def test_stream_lengths_and_warnings() -> None:
    loader = DataLoader(Stream(10, shared=False), batch_size=4)
    assert len(loader) == 3 and len(values(loader)) == 3 and len(DataLoader(Stream(10), batch_size=4, drop_last=True)) == 2
    assert values(DataLoader(Stream(10), batch_size=4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2] and len(DataLoader(Stream(3), batch_size=None)) == 3
    loader = DataLoader(Stream(10, shared=False), batch_size=4, num_workers=2)
    assert len(values(loader)) == 6     # nobody has asked for the length
    assert len(loader) == 3
    with pytest.warns(UserWarning, match=r"len\(\) said 3 batches, this is number 4"):
        values(loader)
    for name, value in (("shuffle", True), ("sampler", [1]), ("batch_sampler", [[1]])):
        with pytest.raises(ValueError, match=f"{name}: an IterableDataset"):
            DataLoader(Stream(3), **{name: value})
    assert len(values(DataLoader(Stream(3), shuffle=False))) == 3
    assert values(DataLoader(Stream(0), num_workers=2)) == values(DataLoader(Stream(0))) == []


# Errors

@pytest.mark.parametrize("count", [0, 2])
def test_an_error_arrives_where_its_batch_was_due(count: int) -> None:
    loader = DataLoader(Failing(12), batch_size=2, num_workers=count)
    for _ in range(2):
        batches, got = iter(loader), []
        with pytest.raises(KeyError, match="number seven") as caught:
            while True:
                got.append(next(batches).tolist())
        assert got == [[0, 1], [2, 3], [4, 5]]
        said = "".join(traceback.format_exception(caught.value))
        assert 'raise KeyError("number seven")' in said and "sample 7 of a Failing" in said and "__getitem__" in said
        assert ("raised in worker 1" in said) == bool(count)
        assert [batch.tolist() for batch in batches] == [[8, 9], [10, 11]]
    assert isinstance(caught.value, KeyError)
    del caught


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("error", [StopIteration, SystemExit, MemoryError])
def test_no_error_ends_the_loop_without_a_word(count: int, error: type[BaseException]) -> None:
    class Bad(Squares):
        def __getitem__(self, index: int) -> Any:
            raise error

    with pytest.raises(RuntimeError if error is StopIteration else error):
        list(DataLoader(Bad(), num_workers=count))


@pytest.mark.parametrize("count", [0, 2])
def test_errors_of_samplers_streams_and_functions(count: int) -> None:
    def indices() -> Any:
        yield 0
        yield 1
        raise OSError("no more")

    got = []
    with pytest.raises(OSError, match="no more"):
        for batch in DataLoader(Squares(), sampler=indices(), num_workers=count):
            got.append(batch[0].item())
    assert got == [0, 1]

    class Broken(IterableDataset):
        def __iter__(self) -> Any:
            yield 1
            raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        list(DataLoader(Broken(), num_workers=count))

    def refuse(samples: list) -> None:
        raise OSError("collate")

    with pytest.raises(OSError, match="collate"):
        list(DataLoader(Squares(), num_workers=count, collate_fn=refuse))
    if count:
        def init(worker: int) -> None:
            raise OSError(f"init {worker}")

        batches = iter(DataLoader(Squares(), num_workers=count, worker_init_fn=init))
        with pytest.raises(OSError, match="init 0"):
            next(batches)
        assert list(batches) == []


def test_a_data_set_that_shrinks() -> None:
    data = list(range(20))
    for count in (0, 2):
        with pytest.raises(IndexError):
            for _ in DataLoader(data, batch_size=2, num_workers=count, prefetch_factor=1 if count else None):
                del data[10:]
        data.extend(range(10))


def test_timeout() -> None:
    loader = DataLoader(Squares(2, wait=0.5), num_workers=1, timeout=0.05)
    batches = iter(loader)
    with pytest.raises(RuntimeError, match=r"timeout of 0.05 seconds"):
        next(batches)
    while True:
        try:
            assert next(batches)[0].item() == 0
            break
        except RuntimeError:
            continue


# Nothing stays behind

@pytest.mark.parametrize("make", [lambda: Squares(100, wait=0.001), lambda: Stream(10**6)])
def test_a_loop_that_is_left_early(make: Any) -> None:
    for i, _ in enumerate(DataLoader(make(), batch_size=2, num_workers=3)):
        if i == 3:
            break
    assert gone()
    batches = iter(DataLoader(make(), batch_size=2, num_workers=3))
    del batches
    assert gone()
    with pytest.raises(ZeroDivisionError):
        for _ in DataLoader(make(), batch_size=2, num_workers=3):
            1 / 0       # noqa: B018
    gc.collect()
    assert gone()


def test_an_abandoned_batch_is_left_unfinished() -> None:
    made = []

    class Long(Squares):
        def __getitem__(self, index: int) -> int:
            made.append(index)
            time.sleep(0.01)
            return index

    batches = iter(DataLoader(Long(10_000), batch_size=5000, num_workers=1))
    while not made:
        time.sleep(0.001)
    del batches
    assert gone(2) and len(made) < 100


def test_ctrl_c() -> None:
    data = Squares(1000, wait=0.02)
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT)).start()
        for _ in DataLoader(data, batch_size=100, num_workers=2):
            pass
    assert gone()
    assert len(values(DataLoader(Squares(4), num_workers=2))) == 4


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, timeout=60, check=False)


PRELUDE = """
import os, sys, time, threading, pydl
from pydl.data import DataLoader, Dataset
class Slow(Dataset):
    def __init__(self, wait): self.wait = wait
    def __len__(self): return 1000
    def __getitem__(self, index):
        time.sleep(self.wait)
        return index
"""


@pytest.mark.parametrize("wait", [0, 0.01, 3600])
@pytest.mark.parametrize("persistent", [False, True])
def test_the_program_ends(wait: float, persistent: bool) -> None:
    start = time.monotonic()
    done = run(f"loader = DataLoader(Slow({wait}), num_workers=2, persistent_workers={persistent}); it = iter(loader)\n"
               f"if {wait} < 1: next(it)\nprint('end')")
    assert done.returncode == 0 and done.stdout == "end\n" and not done.stderr, done.stderr
    assert time.monotonic() - start < 30


def test_ctrl_c_of_a_program() -> None:
    done = run("import signal\nthreading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
               "for _ in DataLoader(Slow(0.01), batch_size=50, num_workers=2): pass")
    assert done.returncode != 0 and done.stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("persistent", [False, True])
def test_after_a_fork(persistent: bool) -> None:
    done = run(f"""
loader = DataLoader(Slow(0), batch_size=100, num_workers=2, persistent_workers={persistent})
it = iter(loader)
first = next(it)
pid = os.fork()
if pid == 0:
    try:
        next(it)
    except RuntimeError as error:
        assert "parent process" in str(error)
    else:
        os._exit(3)
    os._exit(0 if len(list(loader)) == 10 else 4)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert len(list(it)) == 9
""")
    assert done.returncode == 0, done.stderr


def test_nested_loaders() -> None:
    class Nested(Squares):
        def __getitem__(self, index: int) -> int:
            inner = DataLoader(list(range(index)), batch_size=2, num_workers=2)
            return sum(int(batch.sum()) for batch in inner)

    assert [batch.item() for batch in DataLoader(Nested(6), num_workers=2)] == [0, 0, 1, 3, 6, 10]


def test_two_threads_may_use_one_loader() -> None:
    loader = DataLoader(Squares(50), batch_size=5, num_workers=2)
    got: list[Any] = [None] * 3

    def walk(i: int) -> None:
        got[i] = values(loader)

    threads = [threading.Thread(target=walk, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] == got[1] == got[2] == values(DataLoader(Squares(50), batch_size=5))


def test_kernels_run_in_workers() -> None:
    class Products(Dataset):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> pydl.Tensor:
            x = pydl.full((100, 100), float(index))
            return (x @ x).sum()

    got = [x for batch in DataLoader(Products(), batch_size=3, num_workers=4) for x in batch.tolist()]
    assert np.allclose(got, [1e6 * i * i for i in range(12)])


def test_copies_of_a_loader_have_workers_of_their_own() -> None:
    loader = DataLoader(Squares(4), num_workers=1, persistent_workers=True)
    want = values(loader)
    twins = [copy.copy(loader), copy.deepcopy(loader)]
    del loader
    for twin in twins:
        assert values(twin) == want
        with pytest.raises(ValueError, match="batch_size cannot be set"):
            twin.batch_size = 3


def test_iterators_in_cycles() -> None:
    for _ in range(20):
        batches = iter(DataLoader(Squares(50), num_workers=2))
        cycle: list[Any] = [batches, next(batches)]
        cycle.append(cycle)
        del batches, cycle
    gc.collect()
    assert gone()


def test_many_short_passes() -> None:
    loader = DataLoader(Squares(3), num_workers=3)
    for _ in range(200):
        for _ in loader:
            break
    assert gone()
