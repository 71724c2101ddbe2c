"""Rows of pydl/ops/likeness.py."""
import numpy as np

from rows import Flat, Row, bad, sample

ROWS = [
    Row("isclose", np.isclose, composed=True, out="bool", diff=(), ulp=0, special=True,
        samples=[sample((5,), (5,)), sample((3, 5), (5,), rtol=0.5), sample((0, 3), (3,)), sample((), (), atol=2.0), sample((2, 1), (1, 3), equal_nan=True)],
        refusals=[bad((2, 3), (4,), match="broadcast"), bad((2,), (2,), rtol=-1.0, shapes=False, match="rtol"),
                  bad((2,), Flat(1.0), error=TypeError)]),
]
