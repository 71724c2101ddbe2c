"""Every row: what must be refused raises the right type, names the op and all shapes, and changes no input."""
from __future__ import annotations

import re

import pytest

from calls import same_bits, tensor
from op_table import TABLE
from rows import Row, apply, arrays_of

WITH_REFUSALS = [row for row in TABLE.values() if row.refusals]


@pytest.mark.parametrize("row", WITH_REFUSALS, ids=[row.name for row in WITH_REFUSALS])
def test_refusals(row: Row) -> None:
    for refusal in row.refusals:
        arrays = arrays_of(row, refusal.sample, "float32")
        before = [a.copy() for a in arrays]
        said = f"{row.name}({refusal.sample})"
        try:
            apply(row.call(), refusal.sample, [tensor(a) for a in arrays])
        except Exception as error:
            text = str(error)
            assert type(error) is refusal.error, f"{said} raised {error!r}, {refusal.error.__name__} is due"
            assert re.match(rf"{re.escape(row.op)}\b", text), f"{said}: the message does not begin with the op: {text}"
            assert re.search(refusal.match, text), f"{said}: the message lacks {refusal.match!r}: {text}"
            if refusal.shapes:
                for a in arrays:
                    assert str(a.shape) in text, f"{said}: the message lacks the shape {a.shape}: {text}"
        else:
            pytest.fail(f"{said} was accepted")
        assert all(map(same_bits, before, arrays)), f"{said} changed its input"
