"""Rows of pydl/ops/matmul.pyx."""
import numpy as np

import pydl
from rows import In, Row, bad, sample

# around the tiles and blocks of every instruction set: 6 x 16, 14 x 32, 8 x 12, k in blocks of 256
EDGES = [(1, 1, 1), (1, 300, 1), (1, 5, 33), (33, 7, 1), (2, 3, 4), (5, 8, 7), (6, 16, 16), (7, 17, 17), (13, 33, 31),
         (14, 12, 32), (15, 1, 33), (64, 128, 10), (8, 257, 9), (3, 513, 20)]
MIXED = bad(In((2, 3), dtype="float32"), In((3, 2), dtype="float64"), error=TypeError, match="float32.*float64")
INTEGER = bad((2, 3), In((3, 2), dtype="int64"), error=TypeError)


def linear(x, w, b=None):
    y = x @ w.T
    return y if b is None else y + b


def addmm(c, a, b, beta=1, alpha=1):
    return beta * c + alpha * (a @ b)


ROWS = [
    Row("matmul", np.matmul, ulp=6, by="abs",
        samples=[*(sample((m, k), (k, n)) for m, k, n in EDGES), sample((150, 200), (200, 180)), sample((4,), (4,)),
                 sample((3, 4), (4,)), sample((4,), (4, 3)), sample((2, 3, 4), (4,)), sample((4,), (2, 4, 3)),
                 sample((2, 3, 4), (4, 5)), sample((3, 4), (2, 4, 5)), sample((2, 1, 7, 9), (5, 9, 8)),
                 sample((3, 1, 4, 2), (1, 2, 2, 3)), sample((20, 6, 17), (20, 17, 9)),
                 sample((0, 4), (4, 3)), sample((3, 0), (0, 2)), sample((0, 2, 3), (3, 4)), sample((2, 0, 3), (2, 3, 4)),
                 sample((2, 3, 0), (0, 4)), sample((0,), (0,))],
        refusals=[bad((2, 3), (4, 5)), bad((), (3,)), bad((3,), (4,)), bad((2, 3, 4), (3, 4, 5)), bad((3,), (2, 3)),
                  MIXED, INTEGER]),
    Row("matmul:mm", np.matmul, fn=pydl.mm, torch=False, ulp=6, by="abs",
        samples=[sample((3, 4), (4, 5)), sample((0, 4), (4, 3))]),
    Row("matmul:bmm", np.matmul, fn=pydl.bmm, torch=False, ulp=6, by="abs",
        samples=[sample((2, 3, 4), (2, 4, 5)), sample((0, 3, 4), (0, 4, 5)), sample((70, 20, 30), (70, 30, 40))]),
    Row("matmul:mv", np.matmul, fn=pydl.mv, torch=False, ulp=6, by="abs",
        samples=[sample((3, 4), (4,)), sample((40, 300), (300,)), sample((3, 0), (0,))]),
    Row("matmul:outer", np.multiply.outer, fn=pydl.outer, torch=False, ulp=0.5,
        samples=[sample((3,), (4,)), sample((0,), (4,))]),
    Row("matmul:addmm", addmm, fn=pydl.addmm, torch=False, ulp=8, by=lambda c, a, b, beta=1, alpha=1:
        abs(beta) * np.abs(c) + abs(alpha) * (np.abs(a) @ np.abs(b)),
        samples=[sample((3, 5), (3, 4), (4, 5)), sample((5,), (3, 4), (4, 5), beta=0.5, alpha=-2), sample((), (3, 4), (4, 5))]),
    Row("matmul:baddbmm", addmm, fn=pydl.baddbmm, torch=False, ulp=6, by="abs",
        samples=[sample((2, 3, 5), (2, 3, 4), (2, 4, 5)), sample((5,), (2, 3, 4), (2, 4, 5))]),
    Row("dot", np.dot, ulp=6, by="abs", samples=[sample((n,), (n,)) for n in (0, 1, 7, 16, 17, 33, 500, 5001)],
        refusals=[bad((3,), (4,)), bad((2, 3), (3,)), bad(In((3,), dtype="float32"), In((3,), dtype="float64"), error=TypeError)]),
    Row("linear", linear, ulp=6, by="abs",
        samples=[sample((64, 128), (10, 128), (10,)), sample((5, 7), (3, 7)), sample((2, 3, 7), (5, 7), (5,)),
                 sample((7,), (5, 7), (5,)), sample((0, 7), (5, 7), (5,)), sample((4, 0), (5, 0), (5,)),
                 sample((4, 3), (0, 3), (0,)), sample((70, 270), (90, 270), (90,)),
                 sample((4,), (4,)), sample((4,), (4,), ()), sample((3, 2, 4), (4,)), sample((2, 3), (4, 3), ()), sample((3,), (4, 3), (1,)),
                 sample((2, 3), (4, 3), (1,)), sample((2, 3), (4, 3), (2, 4)), sample((5, 2, 3), (4, 3), (2, 4))],
        refusals=[bad((2, 3), (4, 5)), bad((2, 3), (4, 3), (5,)), bad((), (4, 3)), bad((2, 3), (2,)), bad((2, 3), ()), bad((3,), (3,), (5,)),
                  bad((2, 3), (4, 3), (4, 1)), bad((3,), (4, 3), (2, 4)), bad((1, 3), (4, 3), (2, 4)), MIXED, INTEGER]),
]
