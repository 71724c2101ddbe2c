"""Joining, cutting up, other orders and types."""
import numpy as np

import pydl
from rows import EVERY, Flat, Row, bad, sample

ROWS = [
    Row("cat", lambda xs, dim=0: np.concatenate(xs, dim), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample([(2, 3), (4, 3)]), sample([(2, 3), (2, 1), (2, 0)], dim=1), sample([(5,)]), sample([(2, 3, 4), (2, 2, 4)], dim=-2),
                 sample([(0, 3), (0, 3)]), sample([(30, 501), (50, 501), (1, 501)]), sample([(3,)] * 9)],
        refusals=[bad([(2, 3), (2, 4)]), bad([(2, 3), (3,)]), bad([(), ()]), bad([(2, 3)], dim=2, error=IndexError),
                  bad(Flat([]), shapes=False), bad(Flat(3), error=TypeError),
                  bad((2, 3), error=TypeError), bad(Flat([1, 2]), error=TypeError)]),
    Row("stack", lambda xs, dim=0: np.stack(xs, dim), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample([(2, 3), (2, 3)]), sample([(2, 3)] * 4, dim=1), sample([(2, 3)] * 2, dim=-1), sample([(), ()]), sample([(0, 2)] * 2)],
        refusals=[bad([(2, 3), (2, 4)]), bad([(2,)], dim=2, error=IndexError), bad(Flat([]), shapes=False)]),
    Row("split", lambda x, n, dim=0: np.split(x, np.cumsum(n)[:-1] if isinstance(n, list) else range(n, x.shape[dim], n), dim),
        fn=lambda x, n, dim=0: pydl.split(x, n, dim), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((7, 3), 2), sample((7, 3), 9), sample((2, 6), 2, dim=-1), sample((4, 2), Flat([1, 0, 3]))],
        refusals=[bad((4, 2), 0), bad((4, 2), -1), bad((4, 2), Flat([1, 2])), bad((4, 2), Flat([5, -1])), bad((4, 2), 1, dim=2, error=IndexError),
                  bad((), 1, shapes=False)]),
    Row("split:chunk", lambda x: np.split(x, [3, 6], 1), fn=lambda x: x.chunk(3, 1), ulp=0, ulp64=0, samples=[sample((2, 7))], torch=False),
    Row("unbind", lambda x, dim=0: [np.take(x, i, dim) for i in range(x.shape[dim])], ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((3, 4)), sample((3, 4), dim=1), sample((2, 3, 4), dim=-1), sample((1,)), sample((2, 0))],
        refusals=[bad((), shapes=False), bad((3,), dim=1, error=IndexError)]),
    Row("flip", lambda x, dims: np.flip(x, dims), fn=lambda x, dims: pydl.flip(x, dims), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((5,), Flat((0,))), sample((3, 4, 2), Flat((0, 2))), sample((3, 4), Flat(())), sample((0, 2), Flat((0,)))],
        refusals=[bad((3, 4), Flat((0, 0)), shapes=False), bad((3, 4), Flat((2,)), error=IndexError)]),
    Row("cat:roll", lambda x: np.roll(x, (1, -2), (0, 1)), fn=lambda x: x.roll((1, -2), (0, 1)), ulp=0, ulp64=0, samples=[sample((3, 5))], torch=False),
    Row("expand:repeat", lambda x: np.tile(x, (2, 1, 3)), fn=lambda x: x.repeat(2, 1, 3), ulp=0, ulp64=0, samples=[sample((2, 3))], torch=False),
    Row("expand:tile", lambda x: np.tile(x, (2,)), fn=lambda x: x.tile(2), ulp=0, ulp64=0, samples=[sample((2, 3))], torch=False),
]
