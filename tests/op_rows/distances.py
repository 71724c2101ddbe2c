"""Rows of pydl/ops/distances.py."""
import numpy as np

import pydl
from rows import In, Row, bad, sample

WITHOUT = "donot_use_mm_for_euclid_dist"
BY_PRODUCT = "use_mm_for_euclid_dist"


def cdist(a, b, p=2.0, compute_mode=None):
    t = np.abs(a[..., :, None, :] - b[..., None, :, :])
    if p == 0:
        return (t != 0).sum(-1).astype(float)
    if np.isinf(p):
        return t.max(-1, initial=0)
    return (t ** p).sum(-1) ** (1 / p)


def pdist(x, p=2.0):
    return cdist(x, x, p)[np.triu_indices(len(x), 1)]


PS = (2.0, 1.0, 3.0, float("inf"), 1.5, 0.5)
# a row of x1 is not near any of x2: differences have no kinks there, and distances are not 0
DOMAIN = ((-2, -0.1), (0.1, 2))
ROWS = [
    Row("cdist", cdist, ulp=16, by="max", domain=DOMAIN,
        samples=[*(sample((3, 4), (5, 4), p) for p in PS), *(sample((2, 7, 3), (2, 9, 3), p) for p in PS[:4]), sample((4, 300), (3, 300)),
                 sample((2, 1, 3, 4), (3, 5, 4)), sample((3, 1), (17, 1), 1.0), sample((130, 20), (70, 20)), sample((130, 20), (70, 20), 1.0),
                 sample((40, 90), (50, 90)), sample((0, 4), (3, 4)), sample((3, 4), (0, 4)), sample((3, 4), (5, 4), compute_mode=BY_PRODUCT)],
        refusals=[bad((2, 3), (2, 4)), bad((3,), (2, 3)), bad((2, 2, 3), (3, 2, 3)), bad((2, 3), (2, 3), -1.0, shapes=False),
                  bad((2, 3), (2, 3), "x", error=TypeError), bad((2, 3), (2, 3), 2.0, "x", shapes=False), bad((2, 3), (2, 3), float("nan"), shapes=False),
                  bad(In((2, 3), dtype="float32"), In((2, 3), dtype="float64"), error=TypeError), bad(In((2, 3), dtype="int64"), (2, 3), error=TypeError)]),
    Row("cdist:count", cdist, [sample(In((5, 4), 0, 3), (6, 4), 0.0), sample((3, 0), (2, 0), 1.0)], ulp=0, ulp64=0, diff=()),
    Row("pdist", pdist, [sample((5, 3), p) for p in PS] + [sample((20, 7)), sample((33, 300)), sample((130, 20), 1.0)], fn=pydl.pdist, ulp=16, by="max",
        refusals=[bad((3,)), bad((2, 3), -1.0, shapes=False), bad(In((2, 3), dtype="int64"), error=TypeError)]),
    Row("pdist:nothing", pdist, [sample((1, 3)), sample((0, 3)), sample((3, 0))], fn=pydl.pdist, diff=(), torch=False),
]
