"""The table is whole: every registered op has a row, and every row an op."""
from __future__ import annotations

import pytest

from op_table import KERNELS_ONLY, TABLE, covered
from pydl._core.declare import PythonOp
from pydl._core.tape import registry


@pytest.mark.skipif(KERNELS_ONLY, reason="the table holds kernels only")
def test_every_registered_op_has_a_row() -> None:
    missing = sorted(set(registry) - set(covered()))
    assert not missing, f"registered, but no row in tests/op_rows runs them: {', '.join(missing)}"


def test_every_row_is_of_a_registered_op() -> None:
    kernels = {name for row in TABLE.values() if not row.composed for name in (row.op, *row.covers)}
    unknown = sorted(kernels - set(registry))
    assert not unknown, f"rows of ops that are not registered: {', '.join(unknown)}"


def test_only_rows_of_composed_functions_say_so() -> None:
    wrong = sorted(row.name for row in TABLE.values() if row.composed and row.op in registry and not isinstance(registry[row.op], PythonOp))
    assert not wrong, f"composed, but with a kernel of their own: {', '.join(wrong)}"


def test_every_op_has_a_docstring() -> None:
    bare = sorted(name for name, op in registry.items() if not (op.forward.__doc__ or "").strip())
    assert not bare, f"ops without a docstring: {', '.join(bare)}"


def test_every_row_has_unique_samples() -> None:
    for row in TABLE.values():
        said = [str(one) for one in row.samples]
        assert len(said) == len(set(said)), f"{row.name}: the same sample twice"
