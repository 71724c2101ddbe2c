"""Rows of pydl/ops/embedding.pyx. Padding, norms and frequencies are in test_nn_embedding.py."""
import numpy as np

import pydl
from rows import In, Row, bad, sample


def index(*shape, rows=5):
    return In(shape, 0, rows, dtype="int64")


def ends(offsets, count):
    return range(count + 1) if offsets is None else offsets


def bag_sum(w, i, offsets=None, f=None):
    at, items = ends(offsets, len(i)), w[i] * (1 if f is None else f[:, None])
    return np.array([items[a:b].sum(0) for a, b in zip(at, at[1:])]).reshape(len(at) - 1, w.shape[1])


def bag_grad(dy, i, rows, offsets=None, f=None):
    dw, at = np.zeros((rows, dy.shape[1])), ends(offsets, len(i))
    for bag, (a, b) in enumerate(zip(at, at[1:])):
        for k in range(a, b):
            dw[i[k]] += dy[bag] * (1 if f is None else f[k])
    return dw


def bag_dot(dy, w, i, offsets=None):
    df, at = np.zeros(len(i)), ends(offsets, len(i))
    for bag, (a, b) in enumerate(zip(at, at[1:])):
        df[a:b] = w[i[a:b]] @ dy[bag]
    return df


def embedding_bag(i, w, offsets=None, mode="mean", include_last_offset=False, padding_idx=None, per_sample_weights=None):
    flat = i.ravel()
    at = [b * i.shape[1] for b in range(len(i) + 1)] if offsets is None else [*offsets, *([] if include_last_offset else [i.size])]
    y = np.zeros((len(at) - 1, w.shape[1]))
    f = np.ones(i.size) if per_sample_weights is None else per_sample_weights.ravel()
    for b in range(len(y)):
        kept = [k for k in range(at[b], at[b + 1]) if padding_idx is None or flat[k] != padding_idx % len(w)]
        if kept:
            items = w[flat[kept]] * f[kept, None]
            y[b] = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode](items, axis=0)
    return y


def listed(function, *, library=None):
    """The function with offsets as a tensor."""
    def call(*args, offsets=None, **options):
        if offsets is None:
            return function(*args, **options)
        return function(*args, offsets=(library or pydl).tensor(offsets, dtype=(library or pydl).int64), **options)
    return call


def theirs(i, w, **options):
    import torch

    return listed(torch.nn.functional.embedding_bag, library=torch)(i, w, **options)


BAGS = [{}, {"offsets": [0, 2, 2, 7]}, {"offsets": [0, 9]}, {"offsets": [0, 0, 5]}]
WRONG = [bad((5, 3), index(4), offsets=o, shapes=False) for o in ([1, 4], [0, 3, 2], [0, 5], [])]
BAG = {"domain": (-2, 2), "by": "abs"}
MODES = [sample(index(4, 3), (5, 6), mode=m) for m in ("sum", "mean", "max")] + [
    sample(index(9), (5, 6), offsets=o, mode=m) for m in ("sum", "mean", "max") for o in ([0, 2, 2, 7], [0], [0, 9])] + [
    sample(index(9), (5, 6), offsets=o, mode=m, include_last_offset=True, padding_idx=p)
    for o, m, p in (([0, 2, 9], "sum", -2), ([0, 2, 9], "mean", -2), ([0, 2, 9], "max", -2), ([0, 2, 9], "max", None))] + [
    sample(index(0), (5, 6), offsets=[0, 0], mode="max"), sample(index(0, 3), (5, 6)), sample(index(0), (5, 2), offsets=[])]
ROWS = [
    Row("embedding", lambda i, w: w[i], [sample(index(4), (5, 7)), sample(index(), (5, 3)), sample(index(2, 3), (5, 1)), sample(index(0), (5, 3)),
                                        sample(index(300, rows=70), (70, 130)), sample(index(3), (5, 0))], ulp=0,
        refusals=[bad(In((3,), 5, 9, dtype="int64"), (5, 2), error=IndexError, match="out of range for size 5"),
                  bad(In((3,), -3, -1, dtype="int64"), (5, 2), error=IndexError), bad((3,), (5, 2), error=TypeError), bad(index(3), (5,), shapes=False),
                  bad(index(3), index(5, 2), error=TypeError), bad(index(3), (5, 2), 5, shapes=False), bad(index(3), (5, 2), 1.0, error=TypeError),
                  bad(index(3), (5, 2), sparse=True, shapes=False), bad(index(3), (5, 2), max_norm=1.0, norm_type=0, shapes=False)]),
    Row("embedding_bag", embedding_bag, MODES, fn=listed(pydl.ops.embedding_bag), torch=theirs, ulp=2, **BAG, kind="distinct", composed=True, refusals=[
        bad(index(4), (5, 2), shapes=False, match="with offsets"), bad(index(4, 3), (5, 2), offsets=[0, 2], shapes=False), bad(index(), (5, 2), shapes=False),
        bad(index(4), (5, 2), offsets=[1], shapes=False), bad(index(4), (5, 2), offsets=[0, 5], shapes=False),
        bad(index(4, 3), (5, 2), mode="min", shapes=False), bad(index(4, 3), (5, 2), mode="max", scale_grad_by_freq=True, shapes=False),
        bad(index(4, 3), (5, 2), mode="mean", per_sample_weights=In((4, 3)), shapes=False), bad((4, 3), (5, 2), error=TypeError),
        bad(index(4, 3), (5, 2), mode="sum", per_sample_weights=In((4, 2)), shapes=False),
        bad(index(4, 3, rows=9), (2, 2), error=IndexError), bad(index(4, 3), (5, 2), sparse=True, shapes=False)]),
    Row("embedding_bag:rest", embedding_bag, [sample(index(9), (5, 6), offsets=[0, 2, 7], mode=m, include_last_offset=True, padding_idx=p)
                                              for m in ("sum", "mean", "max") for p in (None, 1)] + [sample(index(3, 0), (5, 6))], ulp=2, **BAG, kind="distinct", composed=True,
        fn=listed(pydl.ops.embedding_bag), torch=False),    # PyTorch counts what is behind the last offset, and reads memory for its gradient
    Row("embedding_bag:weighted", lambda i, w, f, **o: embedding_bag(i, w, per_sample_weights=f, mode="sum", **o),
        [sample(index(4, 3), (5, 6), (4, 3)), sample(index(9), (5, 6), (9,), offsets=[0, 2, 2, 7]),
         sample(index(9), (5, 6), (9,), offsets=[0, 2, 9], include_last_offset=True, padding_idx=1)], ulp=2, **BAG,
        composed=True, fn=listed(lambda i, w, f, **o: pydl.ops.embedding_bag(i, w, per_sample_weights=f, mode="sum", **o)),
        torch=lambda i, w, f, **o: theirs(i, w, per_sample_weights=f, mode="sum", **o)),
    Row("bag_sum", bag_sum, [sample((5, 6), index(9), **o) for o in BAGS] + [sample((70, 33), index(900, rows=70), offsets=list(range(0, 901, 30)))], ulp=4, **BAG,
        fn=listed(pydl.ops.bag_sum), torch=False, refusals=[*WRONG, bad((5,), index(4), shapes=False), bad((5, 3), index(2, 2), shapes=False),
                                                           bad((5, 3), In((3,), 5, 9, dtype="int64"), error=IndexError), bad((5, 3), (4,), error=TypeError)]),
    Row("bag_sum:factor", lambda w, i, f, offsets=None: bag_sum(w, i, offsets, f), [sample((5, 6), index(9), (9,), **o) for o in BAGS], ulp=2, **BAG,
        fn=listed(lambda w, i, f, **o: pydl.ops.bag_sum(w, i, factor=f, **o)), torch=False, refusals=[bad((5, 3), index(4), (3,), shapes=False)]),
    Row("bag_grad", bag_grad, [sample((9, 4), index(9), 5), sample((3, 4), index(9), 5, offsets=[0, 2, 2, 7]), sample((9, 4), index(9), 5, None, (9,)),
                              sample((300, 130), index(300, rows=70), 70), sample((0, 4), index(0), 5)], ulp=2, **BAG,
        fn=listed(pydl.ops.bag_grad), torch=False, refusals=[bad((9, 4), index(8), 5, shapes=False), bad((9,), index(9), 5, shapes=False),
                                                            bad((9, 4), index(9), -1, shapes=False)]),
    Row("bag_dot", bag_dot, [sample((9, 4), (5, 4), index(9)), sample((3, 4), (5, 4), index(9), offsets=[0, 2, 2, 7])], ulp=3, **BAG,
        fn=listed(pydl.ops.bag_dot), torch=False, refusals=[bad((9, 3), (5, 4), index(9), shapes=False), bad((8, 4), (5, 4), index(9), shapes=False)]),
]
