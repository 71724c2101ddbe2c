"""Memory that is lent: it stays its owner's, also where the garbage collector takes tensors apart."""
import gc

import numpy as np
import pytest

import pydl


def test_a_collected_cycle_does_not_free_borrowed_memory():
    array = np.arange(64, dtype=np.int64)
    for _ in range(50):
        cycle = [pydl.from_numpy(array)]
        cycle.append(cycle)
        del cycle
        gc.collect(0)
        pydl.tensor(np.full(64, -1))    # would take the memory, had it been freed
    np.testing.assert_array_equal(array, np.arange(64))


@pytest.mark.parametrize("lend", [lambda x: x.numpy(), np.from_dlpack, memoryview], ids=["numpy", "dlpack", "buffer"])
def test_lent_memory_outlives_a_new_data(lend):
    x = pydl.ones(1000)
    lent = lend(x)
    x.data = pydl.zeros(3)
    pydl.empty_cache()
    taken = [pydl.full((1000,), 7.0) for _ in range(8)]     # would take the memory, had it been freed
    np.testing.assert_array_equal(np.asarray(lent), np.ones(1000, np.float32))
    assert len(taken) == 8


def test_what_was_kept_for_backward_may_not_be_exchanged():
    x, w = pydl.ones(2, 3, requires_grad=True), pydl.ones(3, 4)
    y = pydl.matmul(x, w)
    w.data = pydl.ones(2)
    with pytest.raises(RuntimeError, match="given other memory"):
        y.sum().backward()
    w = pydl.ones(3, 4)
    y = pydl.matmul(x, w)
    w.data = w.data[:1]
    with pytest.raises(RuntimeError, match="modified in place"):
        y.sum().backward()
