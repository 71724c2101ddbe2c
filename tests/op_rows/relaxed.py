"""Rows of pydl/ops/relaxed.py. The gradient of a hard choice is tested in test_activations.py."""
import numpy as np
from scipy import special

from rows import In, Row, bad, sample

SHAPES = [((5,), 0), ((5, 17), 0), ((5, 17), -1), ((2, 3, 4), 1), ((0, 3), 1), ((), 0), ((33, 65), 0)]


def softmin(x, dim):
    return special.softmax(-x, axis=dim) if x.size else x


def distribution(y, logits, tau=1, hard=False, dim=-1):
    """Not negative, and 1 in all along dim; one-hot where hard. At a small tau the choices have the probabilities of the logits."""
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(dim), np.ones_like(y.sum(dim)), rtol=1e-5)
    if hard:
        assert set(np.unique(y)) <= {0, 1}
    if y.size > 10_000:
        p = special.softmax(logits[0].astype(np.float64))
        often = (y == y.max(dim, keepdims=True)).mean(0)
        assert np.all(np.abs(often - p) < 4.5 * np.sqrt(p * (1 - p) / len(y)))


def same_rows(logits, **options):
    import pydl
    return pydl.nn.functional.gumbel_softmax(logits[:1].expand(logits.shape) if logits.numel() > 10_000 else logits, **options)


SOFT = [sample((5,)), sample((2, 3, 4), dim=1), sample((4, 6), tau=0.5), sample((4, 6), tau=3), sample((0, 3)), sample((), dim=0),
        sample((20_000, 4), tau=0.1)]
HARD = [sample((5,), hard=True), sample((2, 3, 4), dim=1, hard=True), sample((0, 3), hard=True), sample((), dim=0, hard=True),
        sample((20_000, 4), hard=True)]
ROWS = [
    Row("softmin", softmin, ulp=8, by="max", domain=(-8, 8), samples=[sample(s, d) for s, d in SHAPES], composed=True,
        refusals=[bad((2, 3), 2, error=IndexError), bad((2, 3), None, error=TypeError), bad(In((2, 3), dtype="int64"), 0, error=TypeError)]),
    Row("gumbel_softmax", None, fn=same_rows, check=distribution, composed=True, torch=False, samples=SOFT,
        refusals=[bad((2, 3), tau=0, shapes=False, match="tau"), bad((2, 3), tau=-1, shapes=False), bad((2, 3), tau="x", error=TypeError),
                  bad((2, 3), dim=2, error=IndexError), bad(In((2, 3), dtype="int64"), error=TypeError)]),
    Row("gumbel_softmax:hard", None, fn=same_rows, check=distribution, composed=True, torch=False, samples=HARD, diff=(),
        refusals=[bad((2, 3), tau=0, hard=True, shapes=False, match="tau")]),
]
