"""Every row: the value against the float64 reference in ulp; the type of the result; NaN, infinities, subnormals."""
from __future__ import annotations

import itertools

import numpy as np
import pytest

from calls import call, dtype_name, numpy, tensor
from op_table import TABLE
from rows import Row, Sample, arrays_of, outputs, reference, scale_of, tensors_of, ulp_error

ROWS = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
SPECIAL = [row for row in TABLE.values() if row.special]
EXTREMES = {"float32": (1e-40, 1.1754944e-38, 3.4028235e38),      # subnormal, smallest normal, largest
            "float64": (1e-310, 2.2250738585072014e-308, 1.7976931348623157e308)}


def worst_ulp(row: Row, one: Sample, arrays: list[np.ndarray], dtype: str) -> float:
    got = outputs(call(row, one, [tensor(a) for a in arrays]))
    want = reference(row, one, arrays)
    assert len(got) == len(want), f"{one}: {len(got)} results, the reference has {len(want)}"
    for y, w in zip(got, want):
        assert y.shape == np.shape(w), f"{one}: shape {tuple(y.shape)}, the reference has {np.shape(w)}"
    return max((ulp_error(numpy(y), w, s) for y, w, s in zip(got, want, scale_of(row, one, arrays, want))), default=0.0)


def allowed(row: Row, dtype: str) -> float:
    return row.ulp if dtype != "float64" else row.ulp64 if row.ulp64 is not None else row.ulp + 4


@ROWS
def test_value(row: Row) -> None:
    assert row.samples, "a row without samples tests nothing"
    for dtype, one in itertools.product(row.dtypes, row.samples):
        arrays = arrays_of(row, one, dtype)
        if row.ref is None:
            assert row.check is not None
            row.check(*map(numpy, call(row, one, [tensor(a) for a in arrays])), *arrays, **one.attrs)
            continue
        error = worst_ulp(row, one, arrays, dtype)
        most = allowed(row, dtype)
        assert error <= most, f"{row.name}({one}) {dtype}: {error:.2f} ulp, allowed {most}"


@ROWS
def test_dtype(row: Row) -> None:
    for dtype in row.dtypes:
        arrays = arrays_of(row, row.samples[0], dtype)
        first = call(row, row.samples[0], [tensor(a) for a in arrays])[0]
        assert dtype_name(first) == row.out_dtype(dtype), f"{row.name} of {dtype}"


@pytest.mark.parametrize("row", SPECIAL, ids=[row.name for row in SPECIAL])
def test_special_values(row: Row) -> None:
    one = row.samples[0]
    count = len(tensors_of(row, one))
    for dtype in (d for d in row.dtypes if d in EXTREMES):
        far = EXTREMES[dtype]
        values = (np.nan, np.inf, -np.inf, 0.0, -0.0, *far, *(-x for x in far), 1.0, -1.0, 0.5, -2.5, 3.0)
        values = row.special if isinstance(row.special, tuple) else values
        grid = np.array(list(itertools.product(values, repeat=count)), dtype).T
        arrays = [np.ascontiguousarray(line) for line in grid]
        most = 2 * allowed(row, dtype) + 1
        if worst_ulp(row, one, arrays, dtype) <= most:
            continue
        got = numpy(call(row, one, [tensor(a) for a in arrays])[0])
        want = np.asarray(reference(row, one, arrays)[0])
        lines = [f"  {tuple(float(a[i]) for a in arrays)}: got {got[i]}, want {want[i]}" for i in range(len(got))
                 if ulp_error(got[i:i + 1], want[i:i + 1]) > most]
        pytest.fail(f"{row.name} {dtype}: {len(lines)} of {len(got)} differ\n" + "\n".join(lines[:12]))
