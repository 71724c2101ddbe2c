"""Rows of pydl/ops/random.pyx: the ops that are differentiated. Sampling is tested in test_random.py."""
import numpy as np

import pydl
from philox import mask
from rows import LARGE, WIDTHS, Flat, Row, bad, sample

SEED = 20150101


def dropout(x, p=0.5, training=True):
    return pydl.dropout(x, p, training, generator=pydl.Generator().manual_seed(SEED))


def reference(x, p=0.5, training=True):
    return x * mask(SEED, x.shape, p) / (1 - p) if training and p < 1 else x * 0 if training else x


def dropout_bwd(x, used, p=0.5):
    return pydl.ops.dropout_bwd(x, pydl.tensor(used), p)


ROWS = [
    Row("dropout", reference, fn=dropout, torch=False, ulp=2, covers=["dropout_bwd"],
        samples=[*(sample((n,)) for n in WIDTHS), sample((0, 3)), sample(()), sample((3, 5), p=0.0), sample((3, 5), p=1.0),
                 sample((3, 5), p=0.3, training=False), sample((2, 3, 4), p=0.9), sample(LARGE, p=0.1)],
        refusals=[bad((2, 3), p=p, shapes=False, match="p must be a probability") for p in (-0.1, 1.5, float("nan"))]
        + [bad((2, 3), p="half", error=TypeError), bad(Flat("not a tensor"), error=TypeError)]),
    Row("dropout_bwd", lambda x, used, p=0.5: x * mask(SEED, x.shape, p) / (1 - p), fn=dropout_bwd, torch=False, ulp=2,
        samples=[sample(shape, Flat(np.array([SEED, 0])), p=0.3) for shape in ((65,), (3, 5), (0,), LARGE)],
        refusals=[bad((2, 3), Flat(np.array([SEED])), shapes=False), bad((2, 3), Flat(np.array([SEED, 0])), p=2.0, shapes=False)]),
]
