"""Every row: strided, transposed, unaligned and expanded inputs and gradients give the same bits as contiguous ones."""
from __future__ import annotations

import numpy as np
import pytest

from calls import LAYOUTS, differentiable, laid_out, numpy, run, same_bits, tensor
from op_table import TABLE
from rows import Row, arrays_of


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(row: Row, layout: str) -> None:
    dtypes = [d for d in row.dtypes if d != "float64"][:1] or row.dtypes[:1]
    for dtype in dtypes:
        for one in row.samples:
            arrays = arrays_of(row, one, dtype)
            if not arrays or sum(a.size for a in arrays) > 400_000:
                continue
            diff = differentiable(row, one) if dtype.startswith("float") and (row.diff is None or len(row.diff)) else []
            tensors = [laid_out(a, layout) for a in arrays]
            plain = [numpy(t).copy(order="C") for t in tensors]
            values, gradients = run(row, one, [tensor(a) for a in plain], diff)
            try:
                again, other = run(row, one, tensors, diff, layout="" if layout == "expanded" else layout)
            except (RuntimeError, ValueError) as error:
                if row.op in ("view", "as_strided"):            # these are about the layout
                    continue
                raise AssertionError(f"{row.name}({one}) refuses a {layout} input: {error}") from error
            for a, b in zip(values, again):
                assert same_bits(a, b), f"{row.name}({one}): {layout} input gives other bits"
            for i, a, b in zip(diff, gradients, other):
                assert same_bits(a, b), f"{row.name}({one}): gradient {i} of {layout} inputs has other bits"


def test_the_layouts_are_what_they_say() -> None:
    a = np.arange(35, dtype=np.float32).reshape(5, 7)
    assert laid_out(a, "transposed").stride() == (1, 5)
    assert laid_out(a, "strided").stride() == (63, 3)
    assert laid_out(a, "offset").data_ptr() % 8 == 4
    assert laid_out(a, "expanded").stride() == (0, 1)
    for layout in LAYOUTS[:3]:
        np.testing.assert_array_equal(numpy(laid_out(a, layout)), a)
