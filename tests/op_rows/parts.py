"""Views of parts, and what puts a part back."""
import numpy as np
from numpy.lib.stride_tricks import as_strided

import pydl
from rows import EVERY, Flat, Row, bad, sample


def strided(x, size, stride, offset=0):
    x = np.ascontiguousarray(x)
    return as_strided(x.reshape(-1)[offset:], size, [n * x.itemsize for n in stride])


def put(x, part, size, stride, offset=0):
    y = np.array(x)
    strided(y, size, stride, offset)[...] = part
    return y


def cut(x, box):
    return x[tuple(start if count < 0 else slice(start, start + max(count * step, 0), step) for start, step, count in box)]


def put_box(x, box, shape):
    y = np.zeros(shape)
    y[tuple(start if count < 0 else slice(start, start + count * step, step) for start, step, count in box)] = x
    return y


def diagonal_put(x, shape, offset=0, dim1=0, dim2=1):
    y = np.zeros(shape)
    d = np.diagonal(y, offset, dim1, dim2)
    d.flags.writeable = True
    d[...] = x
    return y


BOXES = [((3, 4), ((1, 1, 2), (0, 2, 2))), ((3, 4), ((2, 1, -1), (0, 1, 4))), ((5, 4, 3), ((4, 1, -1), (1, 1, 3), (2, 1, -1))),
         ((3, 4), ((0, 1, 0), (0, 1, 4))), ((), ())]

ROWS = [
    Row("box", cut, ulp=0, ulp64=0, dtypes=EVERY, samples=[sample(shape, Flat(box)) for shape, box in BOXES], torch=False,
        refusals=[bad((3, 4), Flat(((0, 1, 4), (0, 1, 4)))), bad((3, 4), Flat(((0, 1, 3),))), bad((3,), Flat(((-1, 1, 1),))),
                  bad((3,), Flat(((0, 0, 2),))), bad((3,), Flat(((3, 1, -1),))), bad((3,), Flat(((0, 2, 3),)))]),
    Row("box_put", put_box, ulp=0, ulp64=0, torch=False,
        samples=[sample(np.zeros(shape)[tuple(0 if c < 0 else slice(0, c) for _, _, c in box)].shape, Flat(box), Flat(shape)) for shape, box in BOXES],
        refusals=[bad((3,), Flat(((0, 1, 2),)), Flat((5,))), bad((2,), Flat(((0, 1, 9),)), Flat((5,)), shapes=False)]),
    Row("box:narrow", lambda x: x[:, 1:3], fn=lambda x: x.narrow(1, -3, 2), ulp=0, ulp64=0, samples=[sample((2, 4, 3))], torch=False),
    Row("box:select", lambda x: x[:, -1], fn=lambda x: x.select(1, -1), ulp=0, ulp64=0, samples=[sample((2, 4, 3))], torch=False),
    Row("strided_view", strided, fn=lambda x, *where: pydl.ops.strided_view(x.contiguous(), *where), ulp=0, ulp64=0, torch=False,
        samples=[sample((3, 4), Flat((2, 3)), Flat((4, 1)), 1), sample((12,), Flat((5, 3)), Flat((2, 1)), 1),
                 sample((4,), Flat((3,)), Flat((0,)), 2), sample((4, 2), Flat(()), Flat(()), 7), sample((4,), Flat((0, 9)), Flat((3, 1)), 0)],
        refusals=[bad((3, 4), Flat((4, 4)), Flat((4, 1)), 0), bad((4,), Flat((2,)), Flat((1,)), 3), bad((4,), Flat((2,)), Flat((1,)), -1),
                  bad((4,), Flat((2,)), Flat((1, 1)), 0, shapes=False), bad((4,), Flat((2,)), Flat((-1,)), 2, shapes=False),
                  bad((4,), Flat((2**40, 2**40)), Flat((2**40, 2**40)), 0, shapes=False)]),
    Row("strided_put", put, fn=lambda x, part, *where: pydl.ops.strided_put(x.contiguous(), part, *where), ulp=0, ulp64=0, torch=False,
        samples=[sample((3, 4), (2, 3), Flat((2, 3)), Flat((4, 1)), 1), sample((8,), (2, 2), Flat((2, 2)), Flat((1, 4)), 2)],
        refusals=[bad((3, 4), (2, 2), Flat((2, 3)), Flat((4, 1)), 1), bad((8,), (3, 2), Flat((3, 2)), Flat((1, 1)), 0, shapes=False)]),
    Row("diagonal", np.diagonal, ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((4, 4)), sample((3, 5), 1), sample((3, 5), -2), sample((3, 5), 9), sample((2, 3, 4), 1, 2, 0), sample((0, 3))],
        refusals=[bad((3,), shapes=False, error=IndexError), bad((3, 4), 0, 1, 1), bad((3, 4), 0, 0, 2, error=IndexError)]),
    Row("diagonal_put", diagonal_put, ulp=0, ulp64=0, torch=False,
        samples=[sample((4,), Flat((4, 4))), sample((4,), Flat((4, 5)), 1), sample((3, 2), Flat((2, 3, 4)), 0, 2, 0)],
        refusals=[bad((3,), Flat((4, 4)))]),
]
