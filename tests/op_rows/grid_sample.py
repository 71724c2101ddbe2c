"""Rows of pydl/ops/grid_sample.pyx, and of nn.functional.grid_sample and affine_grid."""
import functools
import itertools

import numpy as np

from op_rows.resample import cubic
from rows import Flat, In, Row, bad, sample


def fold_in(at, n, padding, align):
    if padding == "reflection":
        low, span = (0, n - 1) if align else (-0.5, n)
        at = 0.0 if span == 0 else low + span - abs((at - low) % (2 * span) - span)
    return at if padding == "zeros" else min(max(at, 0), n - 1)


@functools.cache
def slopes(mode, k, order):
    """The derivative of a tap's weight between two pixels, as a polynomial."""
    weight, degree, at = (cubic, 3, np.linspace(0.1, 0.9, 4)) if mode == "bicubic" else (lambda d, a: 1 - abs(d), 1, np.array([0.25, 0.75]))
    return np.poly1d(np.polyfit(at, [weight(s - k, -0.75) for s in at], degree)).deriv(order)


def taps(g, n, mode, padding, align, order):
    """(pixel or None, weight) of one axis; order: a derivative by the coordinate."""
    def at_of(g):
        at = (g + 1) / 2 * (n - 1) if align else ((g + 1) * n - 1) / 2
        return at if mode == "bicubic" else fold_in(at, n, padding, align)

    at, below = at_of(g), int(np.floor(at_of(g)))
    if mode == "nearest":
        found = [(int(np.rint(at)), 0.0 if order else 1.0)]
    else:
        slope = (at_of(g + 1e-3) - at_of(g - 1e-3)) / 2e-3
        first, count = (-1, 4) if mode == "bicubic" else (0, 2)
        weight = cubic if mode == "bicubic" else (lambda d, a: 1 - abs(d))
        found = []
        for k in range(first, first + count):
            t = at - below - k
            found.append((below + k, slopes(mode, k, order)(at - below) * slope**order if order else weight(t, -0.75)))
    if mode == "bicubic":
        found = [(int(fold_in(i, n, padding, align)), w) for i, w in found]
    return [(i if 0 <= i < n else None, w) for i, w in found]


def matrix(grid, sizes, mode, padding, align, orders):
    """(N, places, pixels)"""
    places = grid.reshape(grid.shape[0], int(np.prod(grid.shape[1:-1])), grid.shape[-1])
    m = np.zeros((*places.shape[:2], int(np.prod(sizes))))
    for n, p in itertools.product(*map(range, places.shape[:2])):
        axes = [taps(g, size, mode, padding, align, order) for g, size, order in zip(places[n, p, ::-1], sizes, orders)]
        for combination in itertools.product(*axes):
            if all(i is not None for i, _ in combination):
                m[n, p, np.ravel_multi_index([i for i, _ in combination], sizes)] += np.prod([w for _, w in combination])
    return m


def sampled(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False, orders=None):
    m = matrix(grid, x.shape[2:], mode, padding_mode, align_corners, orders or (0,) * (x.ndim - 2))
    return np.einsum("npi,nci->ncp", m, x.reshape(*x.shape[:2], m.shape[2])).reshape(*x.shape[:2], *grid.shape[1:-1])


def turned(dy, grid, size, mode="bilinear", padding_mode="zeros", align_corners=False, orders=None):
    m = matrix(grid, size, mode, padding_mode, align_corners, orders or (0,) * len(size))
    return np.einsum("npi,ncp->nci", m, dy.reshape(*dy.shape[:2], m.shape[1])).reshape(*dy.shape[:2], *size)


def affine_grid(theta, size, align_corners):
    axes = [np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1) for n in size[2:]]
    places = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(size[2:])], -1)
    return np.einsum("...k,njk->n...j", places, theta)


# Grids are drawn where no coordinate lies on a pixel or an edge: of 4, 6 and 8 pixels between these
FREE = {"low": -1.9, "high": 1.9, "away": tuple(np.round(np.arange(-2, 2.01, 1 / 12), 6)), "gap": 0.012}


def call(x, out, *how):
    return sample(x, In((x[0], *out, len(out)), **FREE), *how)


SAMPLES = [call((2, 3, 6, 4), (3, 5), mode, padding, align) for mode, padding, align in
           (("bilinear", "zeros", False), ("bilinear", "border", False), ("bilinear", "reflection", False), ("bilinear", "zeros", True),
            ("nearest", "reflection", False), ("bicubic", "zeros", False), ("bicubic", "border", False), ("bicubic", "reflection", True))]
SAMPLES += [call((1, 2, 4, 6, 4), (2, 3, 2), mode, padding, False) for mode, padding in (("bilinear", "zeros"), ("nearest", "border"))]
SAMPLES += [call((1, 2, 4, 4), (2, 3), "bicubic", "border", False), call((1, 2, 4, 4), (5, 17)), call((1, 20, 4, 4), (2, 3)), call((0, 2, 4, 4), (2, 2)), call((1, 2, 4, 4), (0, 2))]
ORDERED = [call((1, 2, 6, 4), (2, 3), mode, "zeros", False, Flat(orders)) for mode, orders in
           (("bilinear", (1, 0)), ("bilinear", (1, 1)), ("bicubic", (0, 1)), ("bicubic", (2, 1)), ("bicubic", (0, 3)), ("bilinear", (0, 2)))]


def turn(one):
    x, grid, *how = one.args
    return sample((*x[:2], *grid.shape[1:-1]), grid, Flat(x[2:]), *how)


WRONG = [bad((2, 3, 4, 4), (3, 2, 2, 2)), bad((2, 3, 4, 4), (2, 2, 2, 3)), bad((2, 3, 4, 4), (2, 2, 2)), bad((2, 3, 4), (2, 2, 1)),
         bad((2, 3, 0, 4), (2, 2, 2, 2)), bad((1, 1, 2, 2, 2), (1, 2, 2, 2, 3), "bicubic", "zeros", False),
         bad((1, 1, 2, 2), (1, 2, 2, 2), "spline", "zeros", False, shapes=False), bad((1, 1, 2, 2), (1, 2, 2, 2), "nearest", "mirror", False, shapes=False),
         bad((1, 1, 2, 2), In((1, 2, 2, 2), dtype="int64"), error=TypeError), bad(*((2,) * 9,) * 2), bad((), ())]
MEASURE = {"ulp": 256, "ulp64": 1 << 14, "by": "max", "atol": 1e-5}
AFFINE = [((2, 2, 3), (2, 1, 3, 4), False), ((2, 2, 3), (2, 1, 3, 1), True), ((1, 3, 4), (1, 2, 2, 3, 2), False)]
ROWS = [
    Row("grid_sampled", sampled, samples=SAMPLES + ORDERED, torch=False, **MEASURE),
    Row("grid_sampled_turned", turned, samples=[turn(one) for one in SAMPLES + ORDERED[:4]], torch=False, **MEASURE,
        refusals=[bad((1, 1, 2, 2), (1, 3, 2, 2), Flat((4, 4))), bad((1, 1, 2, 2), (1, 2, 2, 2), Flat((0, 4))), bad((1, 1, 2, 2), (1, 2, 2, 2), Flat((4,))),
                  bad((1, 1, 2, 2), (1, 2, 2, 2), Flat((2**20, 2**20))), bad((1, 1, 2, 2), (1, 2, 2, 2), Flat((4, 4)), orders=(1,))]),
    Row("grid_sample", sampled, samples=[sample(*one.args, *[False] * (5 - len(one.args))) for one in SAMPLES if len(one.args) == 5], composed=True,
        refusals=[bad(*one.sample.args[:4], align_corners=False, error=one.error, shapes=one.shapes) for one in WRONG], **MEASURE),
    Row("affine_grid", affine_grid, ulp=64, by="max", composed=True, samples=[sample(t, Flat(size), align) for t, size, align in AFFINE],
        refusals=[bad((2, 2, 3), Flat((3, 1, 2, 2)), False), bad((2, 3, 3), Flat((2, 1, 2, 2)), False), bad((2, 2, 3), Flat((2, 1, 2)), False),
                  bad((2, 2, 3), Flat((2, 1, 0, 2)), False), bad((2, 2, 3), Flat((2, 1, -1, 2)), False), bad((2, 2, 3), Flat((2, 1, 2**40, 2**40)), False),
                  bad(In((2, 2, 3), dtype="int64"), Flat((2, 1, 2, 2)), False, error=TypeError)]),
]
