"""Views of all elements, and copies."""
import numpy as np

import pydl
from rows import EVERY, Flat, Row, bad, sample

ROWS = [
    Row("view", lambda x, shape: np.reshape(x, shape), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((3, 4), Flat((12,))), sample((3, 4), Flat((2, -1, 1))), sample((), Flat((1, 1))), sample((1,), Flat(())),
                 sample((0, 3), Flat((3, 0, 2))), sample((2, 3, 4), Flat((6, 4))), sample((0,), Flat((-1, 5)))],
        refusals=[bad((3, 4), Flat((5, 2))), bad((3, 4), Flat((-1, 5))), bad((3, 4), Flat((-1, -1))), bad((0, 3), Flat((-1, 0))),
                  bad((3,), Flat((-2,))), bad((3,), Flat((2**62, 5))), bad((3,), Flat((2**70,)), shapes=False),
                  bad((1,), Flat((1,) * 17), shapes=False), bad((3,), Flat((1.5, 2)), error=TypeError),
                  bad(Flat("x"), Flat((1,)), error=TypeError)]),
    Row("view:reshape", lambda x, shape: np.reshape(x, shape), fn=lambda x, shape: pydl.reshape(x, shape), ulp=0, ulp64=0,
        samples=[sample((3, 4), Flat((2, 6))), sample((4, 3), Flat((-1,))), sample((2, 3, 4), Flat((4, 6)))], torch=False),
    Row("view:flatten", lambda x: x.reshape(2, 12, 5), fn=lambda x: x.flatten(1, 2), ulp=0, ulp64=0, samples=[sample((2, 3, 4, 5))],
        torch=False),
    Row("view:unflatten", lambda x: x.reshape(2, 3, 2, 2), fn=lambda x: x.unflatten(1, (3, -1, 2)), ulp=0, ulp64=0,
        samples=[sample((2, 12))], torch=False),
    Row("view:squeeze", lambda x: x.reshape(2, 3), fn=lambda x: x.squeeze(), ulp=0, ulp64=0, samples=[sample((1, 2, 1, 3))], torch=False),
    Row("view:unsqueeze", lambda x, dim: np.expand_dims(x, dim), fn=lambda x, dim: x.unsqueeze(dim), ulp=0, ulp64=0,
        samples=[sample((2, 3), d) for d in (0, 1, 2, -1, -3)], torch=False),
    Row("permute", lambda x, dims: np.transpose(x, dims), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((2, 3, 4), Flat((2, 0, 1))), sample((2, 3, 4), Flat((-1, 1, 0))), sample((), Flat(())), sample((0, 2), Flat((1, 0))),
                 sample((65, 33), Flat((1, 0)))],
        refusals=[bad((2, 3), Flat((0,))), bad((2, 3), Flat((0, 0)), shapes=False), bad((2, 3), Flat((0, 2)), error=IndexError),
                  bad(Flat(1), Flat((0,)), error=TypeError)]),
    Row("permute:transpose", lambda x: np.swapaxes(x, 0, 2), fn=lambda x: x.transpose(0, -1), ulp=0, ulp64=0,
        samples=[sample((2, 3, 4)), sample((17, 1, 9))], torch=False),
    Row("permute:movedim", lambda x: np.moveaxis(x, (0, 1), (2, 0)), fn=lambda x: x.movedim((0, 1), (2, 0)), ulp=0, ulp64=0,
        samples=[sample((2, 3, 4))], torch=False),
    Row("expand", lambda x, shape: np.broadcast_to(x, [n if n >= 0 else x.shape[d - len(shape)] for d, n in enumerate(shape)]),
        fn=lambda x, shape: pydl.expand(x, shape), ulp=0, ulp64=0, dtypes=EVERY,
        samples=[sample((3, 1), Flat((2, 3, 4))), sample((3, 1), Flat((-1, 5))), sample((), Flat((2, 2))), sample((1,), Flat((0,))),
                 sample((2, 3), Flat((2, 3)))],
        refusals=[bad((3, 2), Flat((3, 4))), bad((3, 2), Flat((2,))), bad((3,), Flat((-1, 3))), bad((3,), Flat((-2,))),
                  bad((1,), Flat((2**70,)), shapes=False)], torch=False),
    Row("clone", lambda x: x, ulp=0, ulp64=0, dtypes=EVERY, special=True, samples=[sample((7,)), sample((3, 5)), sample((33, 17)), sample((0, 3)), sample(()),
                                                      sample((3, 50_001))],
        refusals=[bad(Flat(2), error=TypeError)]),
]
