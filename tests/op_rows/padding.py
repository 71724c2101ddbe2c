"""Rows of pydl/ops/padding.pyx."""
import numpy as np

from rows import EVERY, Flat, In, Row, bad, sample

NUMPY = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x, pads, mode="constant", value=0):
    x = np.asarray(x)
    sides = [(0, 0)] * (x.ndim - len(pads) // 2) + [pads[i:i + 2] for i in range(len(pads) - 2, -1, -2)]
    more = [(max(a, 0), max(b, 0)) for a, b in sides]
    less = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(sides, x.shape))
    if mode in ("constant", "circular"):
        return np.pad(x[less], more, **({"constant_values": value or 0} if mode == "constant" else {"mode": "wrap"}))
    wide = np.pad(x, more, NUMPY[mode])
    return wide[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(sides, wide.shape))]


def pad_turned(dy, shape, pads, mode):
    places = pad(np.arange(int(np.prod(shape))).reshape(shape), pads, mode)
    y = np.zeros(int(np.prod(shape)))
    np.add.at(y, places.reshape(-1), dy.reshape(-1))
    return y.reshape(shape)


CONSTANT = [((2, 3, 5), (1, 2), "constant", 0.5), ((2, 3, 5), (0, 0, 2, 1)), ((2, 3, 4), (1, 0, -1, 1, 0, 2), "constant", -1.0), ((3,), (-1, 2)),
            ((2, 2, 3, 2, 3), (1, 1, 0, 0, 1, 0, 0, 0, 1, 1)), ((2, 2, 2, 2, 2), (1, 0, 0, 1, 1, 1, 2, 0, -1, 3), "constant", 2.0), ((2, 3), ()),
            ((0, 3), (1, 1, 1, 0)), ((2, 3, 4), (-2, -2)), ((60, 30, 31), (1, 1, 1, 1))]
MIRROR = [((2, 3, 5), (2, 4), "reflect"), ((1, 2, 4, 5), (1, 2, 3, 0), "reflect"), ((2, 3, 2, 4), (3, 0, 1, 1, 2, 2), "reflect"),
          ((2, 5), (-1, 2), "reflect"), ((2, 3, 4), (1, 6, 0, 5), "replicate"), ((1, 2, 2, 3, 2), (1, 1, 2, 0, 0, 3), "replicate"),
          ((2, 3, 3), (4, -1), "replicate"), ((2, 2, 4), (4, 3), "circular"), ((1, 2, 3, 4), (1, 2, 3, 0), "circular"),
          ((2, 2, 3, 3), (1, 0, 0, 2, 1, 1), "circular"), ((2, 5), (2, -2), "circular"), ((0, 3, 4), (1, 1), "reflect"), ((40, 30, 31), (1, 1, 2, 1), "reflect")]


def call(x, pads, *how):
    return sample(x, Flat(pads), *how)


def turned(x, pads, mode):
    return sample(pad(np.zeros(x), pads, mode).shape, Flat(x), Flat(pads), mode)


WRONG = [bad((2, 3), Flat((1,))), bad((2, 3), Flat((1, 1, 1, 1, 1, 1))), bad((), Flat((1, 1))), bad((2, 3), Flat((-4, 3))), bad((2, 3), Flat((-2, -2))),
         bad((2, 3), Flat((2**62, 2**62))), bad((2, 3), Flat((2**70, 0))), bad((2, 3), Flat((1.5, 1)), error=TypeError), bad((2, 3), 1, error=TypeError),
         bad((2, 3), Flat((1, 1)), "mirror", shapes=False), bad((2, 3), Flat((1, 1)), "reflect", 1.0), bad((2, 3), Flat((3, 0)), "reflect"),
         bad((2, 3), Flat((0, 4)), "circular"), bad((2, 5), Flat((4, -2)), "circular"), bad((2, 3), Flat((-2, -1)), "replicate"),
         bad((2, 0), Flat((1, 1)), "replicate"), bad((3,), Flat((1, 1)), "reflect"), bad((2, 3, 4, 5), Flat((1, 1)), "reflect"),
         bad((2,) * 9, Flat((1, 1)), "circular"), bad((2, 3), Flat(()), "reflect"), bad((2, 3), Flat((1, 1)), "constant", "high", error=TypeError),
         bad(In((2, 3), dtype="uint8"), Flat((1, 1)), "constant", 300)]
ROWS = [
    Row("pad", pad, ulp=0, ulp64=0, samples=[call(*one) for one in (*CONSTANT, *MIRROR)], refusals=WRONG),
    Row("pad:types", pad, ulp=0, dtypes=EVERY[2:], diff=(), torch=False,
        samples=[call((2, 3), (1, -1), "constant", 1), call((2, 2, 3), (2, 1), "reflect")]),
    Row("pad_turned", pad_turned, ulp=2, by="abs", samples=[turned(*one) for one in MIRROR], torch=False,
        refusals=[bad((2, 5), Flat((2, 3)), Flat((1, 1)), "constant"), bad((2, 6), Flat((2, 3)), Flat((1, 1)), "reflect"),
                  bad((2, 5), Flat((2, 3, 2)), Flat((1, 1)), "reflect")]),
]
