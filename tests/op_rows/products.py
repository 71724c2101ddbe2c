"""Rows of pydl/ops/products.py and einsum.py."""
import numpy as np

import pydl
from pydl import linalg
from rows import Flat, In, Row, bad, sample

MIXED = bad(In((2, 3), dtype="float32"), In((3, 2), dtype="float64"), error=TypeError, match="float32.*float64")
EQUATIONS = [
    ("ij,jk->ik", (3, 4), (4, 5)), ("ij,jk", (3, 4), (4, 5)), ("ij,kj->ki", (3, 4), (5, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("ii->i", (3, 3)), ("ii", (3, 3)), ("...ii->...", (2, 3, 3)), ("iji->j", (3, 4, 3)), ("ij->ji", (2, 3)), ("ijk->", (2, 3, 4)),
    ("i,j->ij", (3,), (4,)), ("i,i->", (3,), (3,)), ("bi,bi->b", (3, 4), (3, 4)), ("bij,bji->b", (3, 4, 5), (3, 5, 4)), ("->", ()), (",i->i", (), (3,)),
    ("...ij,...jk->...ik", (2, 3, 4), (5, 1, 4, 6)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)), ("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 5), (5, 6)),
    ("bij,bi,bj->b", (3, 4, 5), (3, 4), (3, 5)), ("abcd,dcef->efab", (2, 3, 4, 5), (5, 4, 6, 2)), ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)), ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)), ("iij,ijj->j", (3, 3, 4), (3, 4, 4)), ("Ab,bA", (2, 3), (3, 2)),
    ("bij,j->bi", (2, 3, 4), (4,)), ("j,bij->bi", (4,), (2, 3, 4)), ("ab,cd->acbd", (2, 3), (4, 5)), (" i j , j -> i ", (2, 3), (3,)),
]
STRETCHED = [("ij,jk->ik", (2, 1), (3, 4)), ("ij,ij->ij", (1, 3), (2, 1)), ("...i,i->...", (2, 3), (1,))]


def stretched(equation, a, b):
    """Dimensions of size 1 broadcast; NumPy's do by name where they stand for "..." only."""
    left = equation.replace("...", "b").replace(" ", "")
    terms, _ = left.split("->")
    sizes = {}
    for term, x in zip(terms.split(","), (a, b)):
        for letter, n in zip(term, x.shape):
            sizes[letter] = max(n, sizes.get(letter, 1))
    wide = [np.broadcast_to(x, [sizes[letter] for letter in term]) for term, x in zip(terms.split(","), (a, b))]
    return np.einsum(left, *wide)


def addmm(c, a, b, beta=1, alpha=1):
    return beta * c + alpha * (a @ b)


def chain(xs):
    return np.linalg.multi_dot(xs)


ROWS = [
    Row("einsum", np.einsum, [sample(*one) for one in EQUATIONS], ulp=32, by="max", composed=True,
        refusals=[bad("ij,jk", (2, 3)), bad("ij", (2, 3, 4)), bad("ij,jk", (2, 3), (4, 5)), bad("ii", (2, 3)), bad("i->ii", (2,)), bad("i->j", (2,)),
                  bad("i1", (2, 3), shapes=False), bad("i->j->k", (2,), shapes=False), bad("......i", (2, 2), shapes=False), bad("i", shapes=False),
                  bad("i", Flat(1), error=TypeError), bad("ij,jk", MIXED.sample.args[0], MIXED.sample.args[1], error=TypeError)]),
    Row("einsum:stretched", stretched, [sample(*one) for one in STRETCHED], ulp=16, by="max", composed=True),
    Row("einsum:lists", lambda x, i, y, j, out=None: np.einsum(x, i, y, j, out) if out else np.einsum(x, i, y, j),
        [sample((3, 4), Flat([0, 1]), (4, 5), Flat([1, 2]), Flat([2, 0])), sample((3, 4), Flat([0, 1]), (4, 5), Flat([1, 2])),
         sample((2, 3, 4), Flat([..., 1]), (4, 5), Flat([1, 2]), Flat([..., 2]))],
        fn=pydl.einsum, ulp=16, by="max", composed=True, torch=False,
        refusals=[bad((2,), Flat([60]), shapes=False), bad((2,), Flat(["i"]), error=TypeError), bad((2,), Flat([..., ...]), shapes=False)]),
    Row("tensordot", np.tensordot, [sample((2, 3, 4), (3, 4, 5)), sample((3, 4), (4, 5), 1), sample((2, 3), (4,), 0),
                                    sample((2, 3, 4), (4, 5, 3), Flat(([1, 2], [2, 0]))), sample((3,), (3,), 1), sample((0, 3), (3, 2), 1), sample((2, 3, 4), (4,), 1), sample((2,), (2, 3, 4), 1)],
        ulp=16, by="max", composed=True,
        refusals=[bad((2, 3), (4, 5), 1), bad((2, 3), (3, 2), 3), bad((2, 3), (3, 2), Flat(([0], [0, 1]))), MIXED,
                  bad((2, 3), (3, 2), Flat(([2], [0])), error=IndexError), bad((2, 3), (3, 2), Flat(([0, 0], [0, 1])))]),
    Row("inner", np.inner, [sample((3,), (3,)), sample((2, 3), (4, 3)), sample((2, 3), (3,)), sample((), (2, 3)), sample((2, 0), (3, 0)), sample((2, 3, 4), (4,)), sample((4,), (2, 3, 4))],
        ulp=8, by="max", composed=True, refusals=[bad((2, 3), (2,)), MIXED]),
    Row("vecdot", lambda x, y, dim=-1: (x * y).sum(dim), [sample((3,), (3,)), sample((2, 3), (3,)), sample((2, 3, 4), (2, 3, 4), dim=1), sample((2, 0), (2, 0))],
        fn=linalg.vecdot, ulp=8, by="max", composed=True, torch=False, refusals=[bad((2, 3), (2,)), bad((3,), (2,)), bad((2,), (1, 2), dim=2, error=IndexError), MIXED]),
    Row("cross", lambda x, y, dim=None: np.cross(x, y, axis=x.shape.index(3) if dim is None else dim),
        [sample((3,), (3,)), sample((2, 3), (2, 3)), sample((3, 4), (3, 4)), sample((3, 2, 3), (3, 2, 3), -1), sample((0, 3), (0, 3))], ulp=8, by="max",
        composed=True, refusals=[bad((2, 2), (2, 2)), bad((2, 3), (3,)), bad((2, 3), (2, 3), 0), bad((2, 3), (4, 3)), bad((3,), (3,), 1, error=IndexError),
                                 MIXED]),
    Row("cross:linalg", lambda x, y, dim=-1: np.cross(x, y, axis=dim), [sample((3, 3), (1, 3)), sample((3, 2), (3, 2), dim=0)], fn=linalg.cross, ulp=8,
        by="max", composed=True, torch=False, refusals=[bad((3, 2), (3, 2))]),
    Row("trace", np.trace, [sample((3, 3)), sample((2, 4)), sample((0, 2))], ulp=4, by="max", composed=True,
        refusals=[bad((3,)), bad((1, 2, 2)), bad(In((2, 2), dtype="bool"), error=TypeError)]),
    Row("multi_dot", chain, [sample([(2, 3), (3, 4)]), sample([(2, 30), (30, 4), (4, 5)]), sample([(3,), (3, 4), (4, 2)]), sample([(3,), (3, 4), (4,)]),
                             sample([(2, 3), (3, 4), (4, 2), (2, 5)])], fn=lambda xs: linalg.multi_dot(xs), ulp=16, by="max", composed=True, torch=False,
        refusals=[bad([(2, 3)]), bad([(2, 3), (4, 5)]), bad([(2, 3), (3,), (3, 2)]), bad([], shapes=False), bad([(1, 2, 3), (3, 2)])]),
    Row("chain_matmul", lambda *xs: np.linalg.multi_dot(xs), [sample((2, 3), (3, 4)), sample((2, 3), (3, 4), (4, 5))], ulp=16, by="max", composed=True,
        refusals=[bad((3,), (3, 2)), bad(shapes=False)]),
    Row("addmv", addmm, [sample((3,), (3, 4), (4,)), sample((1,), (3, 4), (4,), beta=0.5, alpha=-2), sample((), (3, 4), (4,)), sample((2,), (2, 0), (0,))],
        ulp=8, by="max", composed=True, refusals=[bad((2,), (3, 4), (4,), shapes=False), bad((3,), (3, 4), (3,)), bad((1, 3), (3, 4), (4,), shapes=False)]),
    Row("addr", lambda c, a, b, beta=1, alpha=1: beta * c + alpha * np.outer(a, b), [sample((3, 4), (3,), (4,)), sample((4,), (3,), (4,), beta=0.5, alpha=-2),
                                                                                   sample((1, 1), (0,), (2,))],
        ulp=8, by="max", composed=True, refusals=[bad((2, 2), (3,), (4,), shapes=False), bad((2, 2), (2, 1), (2,))]),
    Row("addbmm", lambda c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b).sum(0),
        [sample((3, 5), (2, 3, 4), (2, 4, 5)), sample((5,), (2, 3, 4), (2, 4, 5), beta=0.5, alpha=-2), sample((3, 5), (0, 3, 4), (0, 4, 5))],
        ulp=16, by="max", composed=True, refusals=[bad((3, 5), (2, 3, 4), (3, 4, 5)), bad((3, 3), (2, 3, 4), (2, 4, 5), shapes=False)]),
]
