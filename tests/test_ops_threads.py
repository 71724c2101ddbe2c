"""Every row: 1, 2 and 4 threads give the same bits, forward and backward."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from calls import differentiable, run, same_bits, tensor
from op_table import TABLE
from rows import Row, arrays_of, tensors_of


def elements(row: Row, one: object) -> int:
    return sum(int(np.prod(spec.shape, dtype=np.int64)) for spec in tensors_of(row, one))    # type: ignore[arg-type]


ROWS = {name: row for name, row in TABLE.items() if not row.composed}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_threads(row: Row, threads: None) -> None:
    largest = sorted(row.samples, key=lambda one: elements(row, one))[-3:]
    for one in largest:
        dtype = row.dtypes[0]
        arrays = arrays_of(row, one, dtype)
        diff = differentiable(row, one) if dtype.startswith("float") and (row.diff is None or len(row.diff)) else []
        results = []
        for count in (1, 2, 4):
            pydl.set_num_threads(count)
            values, gradients = run(row, one, [tensor(a) for a in arrays], diff)
            results.append(values + gradients)
        for other in results[1:]:
            assert all(map(same_bits, results[0], other)), f"{row.name}({one}): the bits depend on the threads"
