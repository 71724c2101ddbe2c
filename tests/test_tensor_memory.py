"""Memory that is lent: it stays its owner's, also where the garbage collector takes tensors apart."""
import gc

import numpy as np

import pydl


def test_a_collected_cycle_does_not_free_borrowed_memory():
    array = np.arange(64, dtype=np.int64)
    for _ in range(50):
        cycle = [pydl.from_numpy(array)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        pydl.tensor(np.full(64, -1))    # would take the memory, had it been freed
    np.testing.assert_array_equal(array, np.arange(64))
