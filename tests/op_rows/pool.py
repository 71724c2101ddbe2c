"""Rows of pydl/ops/pool.pyx and pools.py: every window is looked at by NumPy, one by one."""
import numpy as np

import pydl
from rows import Flat, In, Row, bad, sample

F = pydl.nn.functional


def several(value, dims):
    value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return value if len(value) == dims else value * dims


def sizes(n, kernel, stride, padding, dilation, ceil):
    reach = dilation * (kernel - 1) + 1
    out = (n + 2 * padding - reach + (stride - 1 if ceil else 0)) // stride + 1
    return out - (ceil and (out - 1) * stride >= n + padding)


def sliding(shape, kernel, stride, padding, dilation, ceil):
    """For every dimension: the (elements, count with padding) of every window"""
    found = []
    for n, k, s, p, d in zip(shape, kernel, stride, padding, dilation):
        found.append([([i for i in range(o * s - p, o * s - p + d * k, d) if 0 <= i < n], min(o * s + k, n + 2 * p) - o * s)
                      for o in range(sizes(n, k, s, p, d, ceil))])
    return found


def dividing(shape, out):
    return [[(list(range(o * n // m, -(-(o + 1) * n // m))), 0) for o in range(m)] for n, m in zip(shape, out)]


def pooled(x, windows, reduce):
    """reduce(values of a window (N, C, count), their places, how many count with padding) for every window"""
    dims, places = len(windows), np.arange(int(np.prod(x.shape[-len(windows):]))).reshape(x.shape[-len(windows):])
    shape = tuple(len(w) for w in windows)
    y = np.zeros((*x.shape[:-dims], *shape))
    index = np.zeros(y.shape, np.int64)
    for o in np.ndindex(shape):
        spans = [w[i] for w, i in zip(windows, o)]
        grid = np.ix_(*(s[0] for s in spans))
        at = places[grid].reshape(-1)
        values = x.reshape(*x.shape[:-dims], places.size)[..., at]
        y[(..., *o)], index[(..., *o)] = reduce(values, at, int(np.prod([s[1] for s in spans])))
    return y, index


def greatest(values, at, _):
    """The first of equal ones, the last NaN"""
    nan = np.isnan(values)
    last = values.shape[-1] - 1 - np.argmax(nan[..., ::-1], -1)
    where = np.where(nan.any(-1), last, np.argmax(np.where(nan, -np.inf, values), -1))
    return np.take_along_axis(values, where[..., None], -1)[..., 0], at[where]


def max_pool(dims):
    def reference(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        stride = kernel if stride is None else stride
        windows = sliding(x.shape[-dims:], *(several(v, dims) for v in (kernel, stride, padding, dilation)), ceil_mode)
        made = pooled(x, windows, greatest)
        return made if return_indices else made[0]
    return reference


def avg_pool(dims):
    def reference(x, kernel, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        stride = kernel if stride is None else stride
        windows = sliding(x.shape[-dims:], *(several(v, dims) for v in (kernel, stride, padding, 1)), ceil_mode)

        def mean(values, at, counted):
            return values.sum(-1) / (divisor_override or (counted if count_include_pad else len(at))), 0
        return pooled(x, windows, mean)[0]
    return reference


def wanted(x, dims, output_size):
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    return dividing(x.shape[-dims:], [n if m is None else m for n, m in zip(x.shape[-dims:], given)])


def adaptive_max(dims):
    def reference(x, output_size, return_indices=False):
        made = pooled(x, wanted(x, dims, output_size), greatest)
        return made if return_indices else made[0]
    return reference


def adaptive_avg(dims):
    def reference(x, output_size):
        return pooled(x, wanted(x, dims, output_size), lambda values, at, _: (values.mean(-1), 0))[0]
    return reference


def lp_pool(dims):
    def reference(x, p, kernel, stride=None, ceil_mode=False):
        if np.isinf(p):
            return np.sign(p) * max_pool(dims)(np.sign(p) * np.abs(x), kernel, stride, 0, 1, ceil_mode)
        return (avg_pool(dims)(x ** p, kernel, stride, 0, ceil_mode) * np.prod(several(kernel, dims))) ** (1 / p)
    return reference


def unpool(dims):
    def reference(x, index, kernel, stride=None, padding=0, output_size=None):
        k, s, p = (several(v, dims) for v in (kernel, kernel if stride is None else stride, padding))
        shape = tuple(output_size or ((n - 1) * b + a - 2 * c for n, a, b, c in zip(x.shape[-dims:], k, s, p)))[-dims:]
        planes = int(np.prod(x.shape[:-dims]))
        y = np.zeros((planes, int(np.prod(shape))))
        for plane, at, values in zip(y, *(v.reshape(planes, int(np.prod(v.shape[-dims:]))) for v in (index, x))):
            plane[at] = values
        return y.reshape(*x.shape[:-dims], *shape)
    return reference


def fractional(dims):
    def reference(x, kernel, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        kernel, shape = several(kernel, dims), x.shape[-dims:]
        out = several(output_size, dims) if output_size is not None else [int(n * r) for n, r in zip(shape, several(output_ratio, dims))]
        planes, u = x.reshape(-1, *shape), _random_samples.reshape(-1, dims)
        y, index = np.zeros((len(planes), *out)), np.zeros((len(planes), *out), np.int64)
        for i, plane in enumerate(planes):
            windows = []
            for d, (n, k, m) in enumerate(zip(shape, kernel, out)):
                s = u[i][d if dims == 3 else dims - 1 - d]
                a = (n - k) / (m - 1) if m > 1 else 0
                starts = [int((o + s) * a) - int(s * a) for o in range(m - 1)] + [n - k] * (m > 0)
                windows.append([(list(range(b, b + k)), 0) for b in starts])
            y[i], index[i] = pooled(plane, windows, greatest)
        y, index = y.reshape(*x.shape[:-dims], *out), index.reshape(*x.shape[:-dims], *out)
        return (y, index) if return_indices else y
    return reference


LONG = {1: (2, 3, 9), 2: (2, 2, 5, 6), 3: (2, 1, 4, 3, 5)}
INTEGERS = {d: In(LONG[d], 0, 5, dtype="int64") for d in LONG}


def ill(dims, *rest):
    """Ranks, types and empty images that no pooling takes"""
    ranks = [bad((2,) * n, *rest) for n in range(10) if n not in (dims + 1, dims + 2)]
    return [*ranks, bad(INTEGERS[dims], *rest, error=TypeError), bad(Flat("x"), *rest, error=TypeError), bad((2, 0, *LONG[dims][2:]), *rest),
            bad((2, 2, *LONG[dims][2:-1], 0), *rest)]


def wrong(dims):
    """Kernels, strides and paddings that no sliding windows have"""
    x = LONG[dims]
    return [*ill(dims, 1), *(bad(x, k, shapes=False) for k in (0, -1, Flat((1,) * 4), 2 ** 31)), bad(x, 2.0, error=TypeError), bad(x, "2", error=TypeError),
            *(bad(x, 2, s, shapes=False) for s in (0, -1, 2 ** 63)), bad(x, 2, 1.5, error=TypeError), bad(x, 2, 1, -1, shapes=False),
            bad(x, 3, 1, 2, shapes=False, match="half"), bad(x, 30, match="no output")]


def max_samples(dims):
    x = LONG[dims]
    return [sample(x, 2), sample(x, 3, stride=2, padding=1), sample(x, 3, stride=1, padding=1, return_indices=True),
            sample(x, 2, stride=3, padding=1, ceil_mode=True), sample(x, 2, stride=1, dilation=2, return_indices=True),
            sample(x[1:], 2, return_indices=True), sample((0, *x[1:]), 2)]


MANY = {1: [sample((1, 1, 700), 2, 2), sample((2, 3, 600), 257, 3), sample((1, 2, 300), 290, 7, 9, return_indices=True), sample((40, 3, 9), 3, 2, 1),
            sample((1, 2, 70), 5, 3, 2)],
        2: [sample((1, 2, 34, 67), 2), sample((17, 3, 7, 9), 2), sample((1, 2, 40, 35), 3, 2, 1, return_indices=True), sample((2, 1, 20, 18), Flat((17, 16)), 2, 3),
            sample((9, 2, 5, 6), 2, 2, 1, 1, True, True)],
        3: [sample((20, 1, 3, 4, 3), Flat((2, 3, 1)), Flat((1, 2, 1)), Flat((1, 0, 0)))]}
AVERAGES = {1: [sample((1, 1, 3000), 3, 2, 1), sample((1, 1, 1500), 1100, 2), sample((2, 1, 70), 5, 4), sample((1, 2, 40), 3, 1, 1)],
            2: [sample((1, 2, 34, 67), 2), sample((17, 3, 7, 9), 3, 2, 1, False, False), sample((1, 2, 9, 40), 3, 1, 1, True, False),
                sample((1, 2, 7, 40), 3, 2, 1), sample(LONG[2], 2, divisor_override=3), sample((1, 1, 6, 70), Flat((2, 5)), Flat((1, 3)), Flat((1, 2)), True)],
            3: [sample((20, 1, 3, 4, 3), Flat((2, 3, 1)), 1, Flat((1, 1, 0)), divisor_override=-2)]}
BIG = {1: [sample((2, 3, 9), 4), sample((2, 3, 9), 1), sample((0, 3, 9), 2), sample((2, 3, 9), 12), sample((17, 1, 9), 4)],
       2: [sample((2, 2, 5, 6), Flat((2, None))), sample((2, 2, 6, 4), Flat((3, 2))), sample((17, 2, 5, 6), 4), sample((2, 5, 6), 1), sample((2, 1, 5, 6), 0),
           sample((1, 2, 33, 40), Flat((1, 7)))],
       3: [sample((2, 1, 4, 3, 5), Flat((2, 2, None))), sample((18, 1, 2, 3, 4), 2), sample((2, 1, 4, 3, 5), 1)]}


def families(dims):
    pad = [bad(LONG[dims], 2, 1, 0, 0, shapes=False), bad(LONG[dims], 2, 1, 0, -1, shapes=False)]
    only_padding = [bad((1, 1, *(3,) * dims), 2, 1, 1, 4, match="nothing but padding")]
    few = ill(dims, 1)
    return [
        Row(f"max_pool{dims}d", max_pool(dims), max_samples(dims) + MANY[dims], ulp=0, ulp64=0, kind="distinct",
            refusals=[*wrong(dims), *pad, *only_padding], covers=["max_pool_put", "max_pool_pick"] if dims == 1 else []),
        Row(f"avg_pool{dims}d", avg_pool(dims), [sample(LONG[dims], 2), sample(LONG[dims], 3, 2, 1, True), sample(LONG[dims][1:], 2, 1), sample((0, *LONG[dims][1:]), 2)]
            + AVERAGES[dims], ulp=8, by="abs", covers=["avg_pool_put"] if dims == 1 else [],
            refusals=[*wrong(dims), *([bad(LONG[dims], 2, divisor_override=0, match="divisor_override"),
                                       bad(LONG[dims], 2, divisor_override=2.5, error=TypeError)] if dims > 1 else [])]),
        Row(f"adaptive_max_pool{dims}d", adaptive_max(dims), [*(one for one in BIG[dims] if one.args[1] != 0), sample(*BIG[dims][0].args, return_indices=True)], ulp=0, ulp64=0, kind="distinct",
            refusals=[*few, bad(LONG[dims], -1, shapes=False), bad(LONG[dims], Flat((2,) * 4), shapes=False),
                                                bad(LONG[dims], 2.0, error=TypeError), bad(LONG[dims], 2 ** 62, shapes=False)]),
        Row(f"adaptive_avg_pool{dims}d", adaptive_avg(dims), BIG[dims], ulp=6, by="abs", torch=False,
            refusals=[*few, bad(LONG[dims], -1, shapes=False), bad(LONG[dims], Flat((2,) * 4), shapes=False), bad(LONG[dims], 2.0, error=TypeError)]),
    ]


PLACES = {1: np.array([[[1, 2, 7, 8], [0, 3, 5, 6]]]), 2: np.array([[[[0, 3], [9, 15]], [[4, 6], [13, 11]]]]),
          3: np.arange(8).reshape(1, 1, 2, 2, 2) * 8 % 61}


def composed(dims):
    x, at, few = LONG[dims], PLACES[dims], (2,) * dims
    positive = In(x, 0.5, 2)
    return [
        Row(f"max_pool{dims}d_with_indices", lambda *a, **k: max_pool(dims)(*a, **k, return_indices=True), [sample(x, 3, 2, 1)], ulp=0, kind="distinct",
            composed=True),
        Row(f"adaptive_max_pool{dims}d_with_indices", lambda *a: adaptive_max(dims)(*a, True), [sample(x, 2)], ulp=0, kind="distinct", composed=True),
        Row(f"lp_pool{dims}d", lp_pool(dims), [sample(positive, 2.0, 2), sample(positive, 1.5, 3, 1), sample(In(x[1:], 0.5, 2), 3, 2)], ulp=20, composed=True,
            atol=1e-5, rtol=1e-4, refusals=[*ill(dims, 2.0, 1), bad(x, 0.0, 2), bad(x, "2", 2, error=TypeError), bad(x, 2.0, 0, shapes=False),
                                            bad(x, 2.0, 30), bad(x, 2.0, 2, 0, shapes=False)]),
        Row(f"lp_pool{dims}d:standing out", lp_pool(dims), fn=getattr(F, f"lp_pool{dims}d"), ulp=20, composed=True, atol=1e-5, rtol=1e-4, torch=False,
            samples=[sample(In((1, 2, *(2,) * dims), 0.5, 2), 2.0, 3, ceil_mode=True)]),        # PyTorch has it of one and two dimensions
        Row(f"lp_pool{dims}d:infinite", lp_pool(dims), fn=getattr(F, f"lp_pool{dims}d"), kind="distinct", ulp=0, composed=True,
            samples=[sample(x, float("inf"), 2, 1), sample(x, float("-inf"), 2, 1)]),
        Row(f"max_unpool{dims}d", unpool(dims), fn=lambda x, index, *a, **k: getattr(F, f"max_unpool{dims}d")(x, pydl.tensor(index), *a, **k), ulp=0,
            composed=True, torch=False,
            samples=[sample(at.shape, Flat(at), 2 if dims > 1 else 3), sample(at.shape[1:], Flat(at[0]), 4), sample((0, 1, *few), Flat(np.zeros((0, 1, *few), int)), 2),
                     sample(at.shape, Flat(at), 4, 3, 1, output_size=(10,) if dims == 1 else (6,) * dims)],
            refusals=[*(bad((2,) * n, Flat(np.zeros((2,) * n, int)), 2) for n in range(10) if n not in (dims + 1, dims + 2)),
                      bad(at.shape, Flat(at + 1000), 2, error=IndexError), bad(at.shape, Flat(-at - 1), 2, error=IndexError),
                      bad(at.shape, Flat(at[..., :1]), 2), bad(at.shape, Flat(at.astype(np.int32)), 2, error=TypeError),
                      bad(at.shape, Flat(at), 2, output_size=(90,) * dims), bad(at.shape, Flat(at), 2, output_size=(9,) * 7, shapes=False),
                      bad(at.shape, Flat(at), 2, 1, 9), bad(at.shape, Flat(at), 0, shapes=False)]),
    ]


def drawn(dims):
    x = {2: (2, 3, 7, 6), 3: (2, 1, 5, 6, 4)}[dims]
    u = In((*x[:2], dims), 0, 1, "uniform", grad=False)
    several = {2: (3, 4), 3: (2, 3, 2)}[dims]
    return [
        Row(f"fractional_max_pool{dims}d", fractional(dims), ulp=0, kind="distinct", composed=True,
            samples=[sample(x, 2, output_size=several, return_indices=True, _random_samples=u), sample(x, 2, output_ratio=(0.5,) * dims, _random_samples=u),
                     sample((1, 1, *(4,) * dims), 2, output_size=2, _random_samples=In((1, 1, dims), 0, 1, "uniform", grad=False)),
                     sample(x, 2, 1, _random_samples=u), sample(x[1:], 2, 2, _random_samples=In((1, x[1], dims), 0, 1, "uniform", grad=False))],
            refusals=[*ill(dims, 1, 1), bad(x, 2), bad(x, 2, 9), bad(x, 0, 2, shapes=False), bad(x, 2, -1, shapes=False), bad(x, 2, output_ratio=1.5, shapes=False),
                      bad(x, 2, 2, _random_samples=In((1, 1, dims), 0, 1)), bad(x, 2, 2, _random_samples="x", error=TypeError)]),
        Row(f"fractional_max_pool{dims}d_with_indices", lambda *a, **k: fractional(dims)(*a, **k, return_indices=True), ulp=0, kind="distinct", composed=True,
            samples=[sample((1, 1, *(4,) * dims), 2, output_size=2, _random_samples=In((1, 1, dims), 0, 1, "uniform", grad=False))]),
    ]


ROWS = [row for dims in (1, 2, 3) for row in (*families(dims), *composed(dims), *(drawn(dims) if dims > 1 else []))]
