"""Rows of pydl/ops/bounds.pyx."""
import numpy as np

import pydl
from rows import FLOATS, INTEGERS, Row, bad, binary, sample, unary

NUMBERS = FLOATS + INTEGERS


def clamped(x, low=None, high=None):
    y = x if low is None else np.maximum(x, low)
    return y if high is None else np.minimum(y, high)


ROWS = [
    binary("maximum", np.maximum, ulp=0, dtypes=NUMBERS, kind="distinct"),
    binary("minimum", np.minimum, ulp=0, dtypes=NUMBERS, kind="distinct"),
    unary("maximum:number", lambda x: np.maximum(x, 0.5), fn=lambda x: pydl.maximum(x, 0.5), ulp=0, away=(0.5,), torch=False),
    unary("clamp", lambda x, min=None, max=None: clamped(x, min, max), ulp=0, away=(-0.5, 0.75),
          attrs=({"min": -0.5, "max": 0.75}, {"min": -0.5}, {"max": 0.75}),
          refusals=[bad((2, 3)), bad((2, 3), min="low", error=TypeError)]),
    unary("clamp:beyond", lambda x: x, fn=lambda x: pydl.clamp(x, -2**70, 2**70), ulp=0,
          dtypes=INTEGERS, diff=(), shapes=((7,), (3, 5)), torch=False),
    Row("clamp:tensors", clamped, ulp=0, kind="distinct", dtypes=NUMBERS,
        samples=[sample(*shapes) for shapes in (((5,), (5,), (5,)), ((3, 5), (5,), (3, 1)), ((2, 1, 7), (7,), ()))],
        refusals=[bad((2, 3), (4,), (3,))]),
]
