"""Rows of pydl/ops/operands.pyx."""
import numpy as np

import pydl
from rows import EVERY, Flat, Row, bad, sample

ROWS = [
    Row("to", lambda x: x, fn=lambda x: pydl.to(x, pydl.float64), ulp=0, ulp64=0, dtypes=("float32", "int64", "int32", "uint8"),
        out=dict.fromkeys(EVERY, "float64"), samples=[sample((5,)), sample((3, 4)), sample(()), sample((0,)), sample((33, 1001))],
        second="linear", torch=False, diff=(), refusals=[bad(Flat(3), error=TypeError)]),
    Row("to:truncates", lambda x: np.trunc(x).astype(np.int64), fn=lambda x: x.long(), ulp=0, ulp64=0, out="int64", diff=(),
        samples=[sample((65,))], torch=False, domain=(-1e6, 1e6)),
    Row("to:double and back", lambda x: x, fn=lambda x: x.double().float() * 1.0, dtypes=("float32",), ulp=0, samples=[sample((7,))],
        torch=False, diff=()),
]
