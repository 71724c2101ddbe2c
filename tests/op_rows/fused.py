"""Rows of pydl/ops/fused.pyx."""
import numpy as np

from rows import In, Row, bad, binary, sample

MIXED = (In((3,), dtype="float32"), In((3,), dtype="float64"))
NO_INTEGERS = [bad(In((2,), dtype="int64"), In((2,), dtype="int64"), error=TypeError)]


def lerp(x, y, w):
    return x + w * (y - x)


ROWS = [
    Row("addcmul", lambda x, a, b, value=1: x + value * a * b, ulp=2,
        by=lambda x, a, b, value=1: np.abs(x) + np.abs(value * a * b),
        samples=[sample((5,), (5,), (5,)), sample((3, 5), (5,), (3, 1), value=-0.7), sample((0,), (0,), (0,)),
          sample((3, 33), (3, 33), (3, 33), value=2)],
        refusals=[bad((2, 3), (3,), (4,)), bad((4,), (2, 3), (3,)), bad((2,), (2,), (2,), value="x", error=TypeError)]),
    Row("lerp", lerp, [sample((5,), (5,), (5,)), sample((2, 3), (3,), ()), sample((0,), (1,), (0,)), sample((3, 5), (5,), (3, 1))],
        by=lambda x, y, w: (abs(x) + abs(y)) * (1 + abs(w)), ulp=2,
        refusals=[bad((2, 3), (4,), (2, 3)), bad(*MIXED, 0.5, error=TypeError), bad((2,), (2,), "half", error=TypeError)]),
    Row("lerp:number", lerp, [sample((5,), (5,), 0.25), sample((2, 3), (3,), 1), sample((), (), 0.75), sample((0,), (1,), 0)], ulp=2,
        by=lambda x, y, w: abs(x) + abs(y), torch=lambda x, y, w: x.lerp(y, w)),
    Row("addcdiv", lambda x, a, b, value=1: x + value * a / b, [sample((5,), (5,), (5,)), sample((3, 5), (5,), (3, 1), value=-0.7), sample((), (), ())],
        domain=((-2, 2), (-2, 2), (0.5, 2)), ulp=2, by=lambda x, a, b, value=1: abs(x) + abs(value * a / b),
        refusals=[bad((2, 3), (4,), (3,)), bad((2,), (2,), (2,), value="x", error=TypeError),
                  bad((2,), In((2,), dtype="int64"), In((2,), 1, 3, dtype="int64"), error=TypeError)]),
    binary("hypot", np.hypot, ulp=2, domain=(0.3, 2), refusals=NO_INTEGERS),
    binary("logaddexp", np.logaddexp, ulp=3, by="abs", special=(np.nan, np.inf, -np.inf, 0.0, 1.0, -2.5, 50.0), refusals=NO_INTEGERS),
    binary("xlogy", lambda x, y: np.where((x == 0) & ~np.isnan(y), 0, x * np.log(y)), ulp=2, domain=(0.3, 0.9),
           special=(np.nan, np.inf, 0.0, 1.0, 2.0, -1.0)),
]
