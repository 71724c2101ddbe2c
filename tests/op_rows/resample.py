"""Rows of pydl/ops/resample.pyx, and of nn.functional.interpolate. Against PyTorch for many sizes: test_nn_images.py."""
import numpy as np

from rows import INTEGERS, Flat, In, Row, bad, sample

SMOOTH = {"smooth linear": 1, "smooth cubic": 2, "smooth lanczos": 3}


def cubic(d, a):
    d = abs(d)
    return ((a + 2) * d - (a + 3)) * d * d + 1 if d < 1 else (((d - 5) * d + 8) * d - 4) * a if d < 2 else 0.0


def window(mode, d):
    if mode == "smooth linear":
        return max(0.0, 1 - abs(d))
    return cubic(d, -0.5) if mode == "smooth cubic" else np.sinc(d) * np.sinc(d / 3) * (abs(d) < 3)


def weights(n, m, mode, align=False, scale=0):
    """(m, n): the weight of every input for every output."""
    w = np.zeros((m, n))
    r = ((n - 1) / (m - 1) if m > 1 else 0) if align else 1 / scale if scale else n / m
    for o in range(m):
        if mode.startswith("nearest"):
            w[o, min(int((o + (mode != "nearest") / 2) * r), n - 1)] = 1
        elif mode == "area":
            first, last = o * n // m, -(-(o + 1) * n // m)
            w[o, first:last] = 1 / (last - first)
        elif mode in SMOOTH:
            centre, wide = r * (o + 0.5), max(r, 1)
            first, last = (int(np.clip(centre + s * SMOOTH[mode] * wide + 0.5, 0, n)) for s in (-1, 1))
            w[o, first:last] = [window(mode, (i - centre + 0.5) / wide) for i in range(first, last)]
            w[o] /= w[o].sum()
        else:
            at = r * o if align else r * (o + 0.5) - 0.5
            at = max(at, 0) if mode == "linear" else at
            below = int(np.floor(at))
            taps = [(0, 1 - (at - below)), (1, at - below)] if mode == "linear" else [(k, cubic(at - below - k, -0.75)) for k in range(-1, 3)]
            for k, weight in taps:
                w[o, np.clip(below + k, 0, n - 1)] += weight
    return w


def matrices(sizes, size, mode, align, scales):
    return [weights(n, m, mode, align, s) for n, m, s in zip(sizes, size, scales or (0,) * len(size))]


def resample(x, size, mode, align_corners=False, scales=None):
    for d, w in enumerate(matrices(x.shape[2:], size, mode, align_corners, scales), 2):
        x = np.moveaxis(np.tensordot(w, x, (1, d)), 0, d)
    return x


def resample_turned(x, size, mode, align_corners=False, scales=None):
    for d, w in enumerate(matrices(size, x.shape[2:], mode, align_corners, scales), 2):
        x = np.moveaxis(np.tensordot(w, x, (0, d)), 0, d)
    return x


MODES = {"nearest": "nearest", "nearest-exact": "nearest-exact", "area": "area", "linear": "linear", "bilinear": "linear", "trilinear": "linear",
         "bicubic": "cubic"}


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False):
    dims = x.ndim - 2
    scales = scale_factor if isinstance(scale_factor, tuple) or scale_factor is None else (scale_factor,) * dims
    size = tuple(int(n * s) for n, s in zip(x.shape[2:], scales)) if size is None else size if isinstance(size, tuple) else (size,) * dims
    how = "smooth " + mode.removeprefix("bi") if antialias else MODES[mode]
    return resample(x, size, how, bool(align_corners), None if recompute_scale_factor or mode == "area" else scales)


SAMPLES = [((2, 3, 5), (8,), "linear"), ((1, 2, 7, 4), (3, 9), "linear"), ((1, 1, 5, 6), (5, 9), "linear", True), ((2, 1, 3, 4, 5), (5, 3, 7), "linear"),
           ((1, 2, 6, 5), (9, 4), "cubic"), ((1, 1, 4, 3), (7, 1), "cubic", True), ((1, 2, 9, 7), (4, 11), "area"), ((2, 2, 6, 7), (12, 3), "nearest"),
           ((1, 1, 5, 4), (8, 6), "nearest-exact"), ((1, 2, 9, 8), (4, 13), "smooth linear"), ((1, 1, 9, 11), (5, 3), "smooth cubic"),
           ((1, 1, 13, 9), (4, 12), "smooth lanczos"), ((1, 1, 5, 7), (8, 5), "linear", False, (1.7, 0.75)), ((0, 2, 3), (4,), "linear"),
           ((40, 7, 9), (20,), "linear"), ((3, 6, 3, 5), (6, 10), "linear")]
LARGE = [((2, 2, 96, 130), (192, 65), "linear"), ((4, 40, 20, 17), (40, 34), "linear")]     # few images and many, with threads


def call(x, size, *how):
    return sample(x, Flat(size), *(Flat(one) if isinstance(one, tuple) else one for one in how))


def turned(x, size, *how):
    return call((*x[:2], *size), x[2:], *how)


WRONG = [bad((3, 4), Flat((2,)), "linear"), bad((1, 1, 4), Flat((0,)), "linear"), bad((1, 1, 4), Flat((-1,)), "linear"),
         bad((1, 1, 4), Flat((2, 2)), "linear"), bad((1, 1, 4), Flat((8,)), "linear", False, Flat((3.0,))),
         bad((1, 1, 4), Flat((8,)), "linear", False, Flat((np.nan,))), bad((1, 1, 4), Flat((8,)), "spline", shapes=False),
         bad(In((1, 1, 4), dtype="int64"), Flat((2,)), "linear", error=TypeError), bad((1, 1, 4), Flat((2**62,)), "linear", shapes=False)]
ROWS = [
    Row("resample", resample, ulp=48, by="max", samples=[call(*one) for one in (*SAMPLES, *LARGE)], refusals=WRONG, torch=False),
    Row("resample_turned", resample_turned, ulp=48, by="max", samples=[turned(*one) for one in (*SAMPLES, *LARGE)], refusals=WRONG[:4], torch=False),
    Row("interpolate", interpolate, ulp=48, by="max", composed=True,
        samples=[sample((2, 3, 4), size=7), sample((2, 3, 4, 5), scale_factor=2), sample((1, 2, 4, 3), size=(6, 5), mode="bilinear"),
                 sample((1, 2, 7, 5), scale_factor=(0.6, 1.5), mode="bicubic", align_corners=True),
                 sample((1, 1, 7, 8), scale_factor=0.6, mode="bilinear", recompute_scale_factor=True),
                 sample((1, 1, 9, 8), size=(3, 4), mode="bicubic", antialias=True), sample((1, 2, 3, 4, 3), scale_factor=1.5, mode="trilinear"),
                 sample((2, 1, 9), scale_factor=0.5, mode="area"), sample((2, 1, 9), size=13, mode="linear")],
        refusals=[bad((2, 3, 4)), bad((2, 3, 4), size=2, scale_factor=2), bad((2, 3, 4), size=0), bad((2, 3, 4), size=-3), bad((2, 3, 4), scale_factor=0.0),
                  bad((2, 3, 4), scale_factor=-1.0), bad((2, 3, 4), scale_factor=float("nan")), bad((2, 3, 4), scale_factor=0.1),
                  bad((2, 3, 4), scale_factor=1e30), bad((2, 3, 0), size=3), bad((2, 3, 4), size=2.5, error=TypeError), bad((2, 3, 4), size=(2, 3)),
                  bad((2, 3, 4), size=2, mode="bilinear"), bad((2, 3, 4), size=2, mode="spline"), bad((2, 3, 4), size=2, align_corners=True),
                  bad((2, 3, 4), size=2, recompute_scale_factor=True), bad((2, 3, 4), size=2, mode="linear", antialias=True),
                  bad((2, 3, 4, 4), size=2, mode="lanczos"),
                  bad((2, 3, 4, 4), size=2, mode="lanczos", antialias=True, align_corners=True), *(bad((2,) * n, size=2) for n in (0, 1, 2, 6, 9)),
                  bad((2, 3, 4), size=2**62), bad(In((2, 3, 4), dtype="int64"), size=2, mode="linear", error=TypeError)]),
    Row("interpolate:integers", interpolate, ulp=0, composed=True, dtypes=INTEGERS + ("bool",), diff=(), torch=False,
        samples=[sample((2, 3, 4, 5), scale_factor=2), sample((2, 3, 7), size=5, mode="nearest-exact")]),
]
