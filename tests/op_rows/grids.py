import itertools

import numpy as np

from rows import Flat, Row, bad, sample


def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    n = x.shape[-1] + abs(offset)
    y = np.zeros((*x.shape[:-1], n, n))
    rows = np.arange(x.shape[-1]) + max(-offset, 0)
    y[..., rows, rows + offset] = x
    return np.moveaxis(y, (-2, -1), (dim1, dim2))


def block_diag(*xs):
    xs = [np.atleast_2d(x) for x in xs]
    y = np.zeros(np.sum([x.shape for x in xs], axis=0))
    at = np.zeros(2, int)
    for x in xs:
        y[at[0]:at[0] + x.shape[0], at[1]:at[1] + x.shape[1]] = x
        at += x.shape
    return y


def chosen(x, r=2, with_replacement=False):
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return np.array(list(choose(x, r))).reshape(-1, r)


def replaced(part):
    def reference(x, src, *args, **attrs):
        y = np.array(x)
        part(y, *args, **attrs)[...] = src
        return y
    return reference


def row(name, ref, samples, **options):
    options.setdefault("ulp", 0)
    options.setdefault("composed", True)
    return Row(name, ref, samples, ulp64=options["ulp"], **options)


MATRICES = [sample((3, 4)), sample((4, 3), 1), sample((2, 3, 3), -1), sample((0, 3)), sample((1, 1), 2), sample((3, 4), -9), sample((700, 130), 3)]
OUTSIDE = [bad((3,)), bad((3, 3), 1.5, error=TypeError), bad(Flat(1), error=TypeError)]

ROWS = [
    row("diag_embed", diag_embed, [sample((3,)), sample((2, 3), 1), sample((2, 3), -2), sample((2, 3), 0, 0, -1), sample((0,), 1)],
        refusals=[bad((3,), 0, 0, 0), bad((3,), 0, 0, 2, error=IndexError), bad((), error=IndexError)]),
    row("diag", np.diag, [sample((3,)), sample((3,), -1), sample((3, 4)), sample((3, 4), 1), sample((0,)), sample((3, 4), 9)],
        refusals=[bad(()), bad((2, 2, 2))]),
    row("diagflat", np.diagflat, [sample(()), sample((2, 2), 1), sample((3,), -1), sample((0,))]),
    row("block_diag", block_diag, [sample((2, 3), (1, 2)), sample((), (2,), (2, 1)), sample((3, 0), (1, 1))], refusals=[bad((1, 1, 1))]),
    row("tril", np.tril, MATRICES, refusals=OUTSIDE, composed=False),
    row("triu", np.triu, MATRICES, refusals=OUTSIDE, composed=False),
    row("kron", np.kron, [sample((2, 3), (4, 1)), sample((2,), (3, 2)), sample((), (3,)), sample((0,), (2,))], ulp=0.5),
    row("vander", lambda x, N=None, increasing=False: np.vander(x, N, increasing), [sample((3,)), sample((3,), 2, True), sample((0,)), sample((2,), 0)],
        ulp=3, refusals=[bad((2, 2)), bad((3,), -1, shapes=False)]),
    row("combinations", chosen, [sample((4,)), sample((3,), 3), sample((3,), 2, True), sample((2,), 3), sample((5,), 1)],
        refusals=[bad((2, 2)), bad((2,), -1, shapes=False)]),
    row("diagonal_scatter", replaced(lambda y, k=0: np.einsum("ii->i", y) if k == 0 else np.einsum("ii->i", y[:, k:][:y.shape[1] - k])),
        [sample((3, 3), (3,)), sample((3, 3), (2,), 1)], refusals=[bad((3, 3), (2,))]),
    row("select_scatter", replaced(lambda y, dim, i: np.moveaxis(y, dim, 0)[i]), [sample((3, 4), (4,), 0, 1), sample((3, 4), (3,), -1, -2)],
        refusals=[bad((3, 4), (3,), 0, 0)]),
    row("slice_scatter", replaced(lambda y, dim=0, a=None, b=None, step=1: np.moveaxis(np.moveaxis(y, dim, 0)[a:b:step], 0, dim)),
        [sample((4, 2), (4, 2)), sample((2, 6), (2, 2), 1, 1, None, 3), sample((4,), (1,), 0, -2, -1), sample((3,), (0,), 0, 2, 1)],
        refusals=[bad((4,), (3,)), bad((), ()), bad((4,), (2,), 0, 0, 4, 0, shapes=False)]),
    row("as_strided_scatter", replaced(lambda y, size, stride, at=0: np.lib.stride_tricks.as_strided(
        y.reshape(-1)[at:], size, [n * y.itemsize for n in stride])),
        [sample((2, 3), (2,), Flat((2,)), Flat((2,)), 1), sample((6,), (2, 2), Flat((2, 2)), Flat((3, 1)))],
        refusals=[bad((6,), (3,), Flat((2,)), Flat((1,)))]),
]
