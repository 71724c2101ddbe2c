"""Rows of pydl/ops/fold.pyx, and of what is made of it: shuffled pixels."""
import numpy as np

import pydl
from rows import FLOATS, INTEGERS, Flat, In, Row, bad, sample


def two(v):
    v = v.value if isinstance(v, Flat) else v
    return v if isinstance(v, tuple) else (v, v)


def places(image, kernel, dilation, padding, stride):
    """Flat places (KH * KW, L) in the padded image, and its sizes."""
    k, d, p, s = map(two, (kernel, dilation, padding, stride))
    sizes = [n + 2 * q for n, q in zip(image, p)]
    out = [(n - e * (m - 1) - 1) // t + 1 for n, m, e, t in zip(sizes, k, d, s)]
    h, w = (np.arange(m)[:, None] * e + np.arange(o)[None] * t for m, e, t, o in zip(k, d, s, out))
    return (h[:, None, :, None] * sizes[1] + w[None, :, None, :]).reshape(k[0] * k[1], -1), sizes, p


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    where, _, p = places(x.shape[-2:], kernel_size, dilation, padding, stride)
    wide = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p[0], p[0]), (p[1], p[1])])
    rows = x.shape[-3] * where.shape[0]
    return wide.reshape(*x.shape[:-2], wide.shape[-2] * wide.shape[-1])[..., where].reshape(*x.shape[:-3], rows, where.shape[1])


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    image = two(output_size)
    where, sizes, p = places(image, kernel_size, dilation, padding, stride)
    c = x.shape[-2] // where.shape[0]
    y = np.zeros((*x.shape[:-2], c, sizes[0] * sizes[1]))
    np.add.at(y, (..., where), x.reshape(*x.shape[:-2], c, *where.shape))
    y = y.reshape(*x.shape[:-2], c, *sizes)
    return y[..., p[0]:sizes[0] - p[0], p[1]:sizes[1] - p[1]]


def pixel_shuffle(x, r):
    *lead, c, h, w = x.shape
    parts = x.reshape(int(np.prod(lead)), c // (r * r), r, r, h, w).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(x, r):
    *lead, c, h, w = x.shape
    return x.reshape(int(np.prod(lead)), c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4).reshape(*lead, c * r * r, h // r, w // r)


def channel_shuffle(x, g):
    return x.reshape(x.shape[0], g, x.shape[1] // g, -1).swapaxes(1, 2).reshape(x.shape)


SAMPLES = [((2, 3, 5, 6), 2), ((1, 2, 7, 5), Flat((3, 2)), 1, Flat((1, 2)), Flat((2, 1))), ((2, 6, 7), Flat((2, 3)), Flat((2, 1)), 1, 2),
           ((1, 1, 6, 9), Flat((2, 3)), 1, 0, Flat((2, 3))), ((1, 2, 3, 3), 2, 2, 2, 3), ((0, 2, 4, 4), 2), ((1, 2, 8, 4), 4, 1, 0, 4),
           ((5, 6, 21, 24), 3, 1, 1)]
WRONG = [bad((2, 3, 4, 4), 5), bad((2, 3, 4, 4), 0, shapes=False), bad((2, 3, 4, 4), 2, stride=0, shapes=False), bad((2, 3, 4, 4), 2, dilation=0, shapes=False),
         bad((2, 3, 4, 4), 2, padding=-1, shapes=False), bad((2, 3, 4, 4), 1.5, error=TypeError), bad((2, 3, 4, 4), Flat((1, 2, 3)), shapes=False),
         bad((2, 3, 4, 4), 2**40, shapes=False), *(bad((2,) * n, 1) for n in (0, 1, 2, 5, 9)), bad(In((2, 3, 4, 4), dtype="int64"), 2, error=TypeError)]


def columns(x, *how):
    plain = tuple(one.value if isinstance(one, Flat) else one for one in how)
    return sample(unfold(np.zeros(x), *plain).shape, Flat(x[-2:]), *how)


def torch_unfold(*args, **options):
    import torch

    return torch.nn.functional.unfold(*args, **options)


UNFOLD, FOLD = pydl.nn.functional.unfold, pydl.nn.functional.fold
ROWS = [
    Row("windows_to_columns", unfold, fn=UNFOLD, ulp=0, ulp64=0, samples=[sample(*one) for one in SAMPLES], torch=False),
    Row("columns_to_image", fold, fn=FOLD, ulp=4, by="abs", samples=[columns(*one) for one in SAMPLES], torch=False),
    Row("unfold:images", unfold, fn=UNFOLD, ulp=0, ulp64=0, samples=[sample(*SAMPLES[1])], refusals=WRONG, composed=True,
        torch=torch_unfold),
    Row("fold", fold, fn=FOLD, ulp=4, by="abs", samples=[columns(*SAMPLES[1]), columns(*SAMPLES[2]), columns((1, 2, 3, 3), 2)], composed=True,
        refusals=[bad((2, 12, 8), Flat((4, 4)), 2), bad((2, 11, 9), Flat((4, 4)), 2), bad((2, 12, 9), Flat((4, 0)), 2, shapes=False),
                  bad((2, 12, 9), Flat((1, 4)), 2), *(bad((4,) * n, Flat((4, 4)), 2) for n in (0, 1, 4, 9)),
                  bad((2, 4, 1), Flat((2**31 - 1, 2**31 - 1)), Flat((2, 2)), stride=2**31 - 1, padding=0)]),
    Row("pixel_shuffle", pixel_shuffle, ulp=0, ulp64=0, composed=True, dtypes=FLOATS + INTEGERS,
        samples=[sample((2, 12, 3, 5), 2), sample((9, 2, 2), 3), sample((2, 2, 16, 1, 3), 4), sample((1, 2, 3, 3), 1)],
        refusals=[bad((2, 7, 3, 3), 2), bad((2, 8, 3, 3), 0), bad((2, 8, 3, 3), -1), bad((4, 4), 2), bad((), 2), bad((2, 8, 3, 3), 2**40),
                  bad((2, 8, 3, 3), 1.5, error=TypeError)]),
    Row("pixel_unshuffle", pixel_unshuffle, ulp=0, ulp64=0, composed=True, dtypes=FLOATS + INTEGERS,
        samples=[sample((2, 3, 6, 4), 2), sample((2, 6, 9), 3), sample((2, 2, 1, 4, 8), 4)],
        refusals=[bad((2, 3, 5, 4), 2), bad((2, 3, 4, 4), 0), bad((4, 4), 2)]),
    Row("channel_shuffle", channel_shuffle, ulp=0, ulp64=0, composed=True, dtypes=FLOATS + INTEGERS,
        samples=[sample((2, 6, 3, 4), 3), sample((2, 4, 5), 2), sample((1, 6, 2, 1, 2), 6)],
        refusals=[bad((2, 6, 3), 4), bad((2, 6, 3), 0), bad((2, 6), 2), bad((2, 6, 3), 2.0, error=TypeError)]),
]
