"""The table of ops: every row of tests/op_rows/*.py. The format is in rows.py."""
from __future__ import annotations

import importlib
import os
import pkgutil
from collections import Counter

import op_rows
from rows import Row

FAMILIES = sorted(module.name for module in pkgutil.iter_modules(op_rows.__path__))
TABLE: dict[str, Row] = {}
FAMILY: dict[str, str] = {}             # of a row, by its name
KERNELS_ONLY = os.environ.get("PYDL_TEST_KERNELS_ONLY") == "1"      # for runs that look at the C code only

for family in FAMILIES:
    for row in importlib.import_module(f"op_rows.{family}").ROWS:
        if row.name in TABLE:
            raise ValueError(f"op_rows/{family}.py: the name {row.name} stands in the table already")
        if not (KERNELS_ONLY and row.composed):
            TABLE[row.name] = row
            FAMILY[row.name] = family


def covered() -> Counter[str]:
    """Every op that a row runs, by itself or as the backward of another."""
    return Counter(name for row in TABLE.values() for name in (row.op, *row.covers))
