"""Rows of pydl/ops/pairs.py."""
import numpy as np

from rows import In, Row, bad, sample


def length(x, p, dim):
    return np.sum(np.abs(x) ** p, axis=dim, keepdims=True) ** (1 / p)


def cosine(a, b, dim=1, eps=1e-8):
    a, b = (np.atleast_1d(x) for x in np.broadcast_arrays(a, b))
    return np.sum(a / np.maximum(length(a, 2, dim), eps) * b / np.maximum(length(b, 2, dim), eps), axis=dim)


def distance(a, b, p=2.0, eps=1e-6, keepdim=False):
    d = length(np.atleast_1d(a - b) + eps, p, -1)
    return d if keepdim else d[..., 0]


def normalize(x, p=2.0, dim=1, eps=1e-12):
    return x / np.maximum(length(x, p, dim if x.ndim else ()), eps)


def bilinear(a, b, w, bias=None):
    return np.einsum("...i,kij,...j->...k", a, w, b) + (0 if bias is None else bias)


INTEGERS = In((2, 3), 1, 5, dtype="int64")
ROWS = [
    Row("cosine_similarity", cosine, composed=True, ulp=16, by="max", domain=(0.5, 2),
        samples=[sample((3, 5), (3, 5)), sample((2, 3, 4), (4,), dim=-1), sample((4,), (4,), dim=0), sample((), (), dim=0), sample((0, 3), (0, 3))],
        refusals=[bad((2, 3), (4,)), bad((3,), (3,), error=IndexError), bad(INTEGERS, INTEGERS, error=TypeError)]),
    Row("pairwise_distance", distance, composed=True, ulp=16, by="max", domain=((-2, 0), (0.5, 2)),
        samples=[sample((3, 5), (3, 5)), sample((2, 3, 4), (4,), p=1.0), sample((4,), (4,), keepdim=True, p=3.0), sample((), ()), sample((0, 3), (3,))],
        refusals=[bad((2, 3), (4,)), bad(INTEGERS, INTEGERS, error=TypeError)]),
    Row("normalize", normalize, composed=True, ulp=16, by="max", domain=(0.5, 2),
        samples=[sample((3, 5)), sample((2, 3, 4), dim=-2, p=1.0), sample((2, 3, 4), dim=(0, 2), p=3.0), sample((), dim=0), sample((0, 3))],
        refusals=[bad((3,), error=IndexError), bad(INTEGERS, error=TypeError)]),
    Row("bilinear", bilinear, composed=True, ulp=16, by="max",
        samples=[sample((3, 4), (3, 5), (2, 4, 5)), sample((4,), (5,), (2, 4, 5), bias=In((2,))), sample((2, 3, 4), (2, 3, 5), (1, 4, 5)),
                 sample((0, 4), (0, 5), (2, 4, 5))],
        refusals=[bad((3, 4), (3, 5), (2, 5, 4)), bad((3, 4), (2, 5), (2, 4, 5)), bad((), (), (2, 1, 1)),
                  bad((3, 4), (3, 5), (2, 4, 5), bias=In((3,)), match="bias", shapes=False)]),
]
