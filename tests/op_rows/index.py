"""x[index] and x[index] = value; random expressions are in test_indexing.py."""
import numpy as np

from rows import EVERY, Flat, Row, sample

INDICES = [Flat(1), Flat((slice(1, None), 0)), Flat((..., None, slice(0, 4, 2))), Flat([0, -1, 0]), Flat(([0, 1], [2, -1])),
           Flat((slice(None), [[0], [1]])), Flat(([0, 1], None, [2, 2])), Flat(np.array([True, False, True]))]
ONCE = [Flat(1), Flat((slice(1, None), 0)), Flat([0, -1]), Flat(([0, 1], [2, -1])), Flat((slice(None), [2, 0])), Flat(np.array([True, False, True]))]


def written(x, index, value):
    y = x.clone() if hasattr(x, "clone") else np.array(x)
    y[index] = value
    return y


ROWS = [
    Row("getitem", lambda x, i: x[i], fn=lambda x, i: x[i], ulp=0, ulp64=0, dtypes=EVERY, torch=False, covers=("put_back",),
        samples=[sample((3, 4), i) for i in INDICES] + [sample((2, 3, 4), Flat(([0, 1], slice(None), [3, 1])))]),
    Row("setitem", written, fn=written, ulp=0, ulp64=0, dtypes=EVERY, torch=False,
        samples=[sample((3, 4), i, np.zeros((3, 4))[i.value].shape) for i in ONCE] + [sample((3, 4), Flat([0, 1]), (4,)), sample((3, 4), Flat(...), ())]),
]
