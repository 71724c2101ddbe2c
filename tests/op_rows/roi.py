"""Rows of pydl/ops/roi.py. Cases by hand in test_vision_boxes.py."""
import numpy as np

import pydl
from op_rows.box_pairs import corners
from pydl.ops.roi import roi_align_bwd
from rows import Flat, In, Row, bad, sample


def regions(rois, images):
    """Numbers (K, 5), the first in 0 .. 1 -> regions: of image floor(images * it), with boxes in order"""
    if isinstance(rois, np.ndarray):
        return np.concatenate([np.floor(rois[:, :1] * images), corners(rois[:, 1:])], 1)
    return pydl.cat([(rois[:, :1] * images).floor(), corners(rois[:, 1:])], 1)


def at(image, y, x):
    """image (C, H, W) interpolated at one point"""
    h, w = image.shape[1:]
    if y < -1 or y > h or x < -1 or x > w:
        return np.zeros(len(image))
    y, x = max(y, 0), max(x, 0)
    top, left = min(int(y), h - 1), min(int(x), w - 1)
    bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
    fy, fx = (y - top) * (bottom > top), (x - left) * (right > left)
    return (image[:, top, left] * (1 - fy) * (1 - fx) + image[:, top, right] * (1 - fy) * fx + image[:, bottom, left] * fy * (1 - fx)
            + image[:, bottom, right] * fy * fx)


def aligned(x, rois, size, spatial_scale=1.0, sampling_ratio=-1, aligned=False, by_bin=False):
    ph, pw = size
    y = np.zeros((len(rois), x.shape[1] // (ph * pw if by_bin else 1), ph, pw))
    for k, (image, *box) in enumerate(rois):
        x1, y1, x2, y2 = np.array(box) * spatial_scale - (0.5 if aligned else 0)
        w, h = x2 - x1, y2 - y1
        if not aligned:
            w, h = max(w, 1), max(h, 1)
        gy, gx = (sampling_ratio,) * 2 if sampling_ratio > 0 else (int(np.ceil(h / ph)), int(np.ceil(w / pw)))
        for i in range(ph):
            for j in range(pw):
                total = sum(at(x[int(image)], y1 + h / ph * (i + (a + 0.5) / gy), x1 + w / pw * (j + (b + 0.5) / gx)) for a in range(gy) for b in range(gx))
                mean = total / max(gy * gx, 1)
                y[k, :, i, j] = mean[i * pw + j::ph * pw] if by_bin else mean
    return y


def pooled(x, rois, size, spatial_scale=1.0):
    ph, pw = size
    h, w = x.shape[2:]
    y = np.zeros((len(rois), x.shape[1], ph, pw))
    for k, (image, *box) in enumerate(rois):
        x1, y1, x2, y2 = (int(np.floor(v * spatial_scale + 0.5)) for v in box)
        rows, columns = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for i in range(ph):
            for j in range(pw):
                a, b = (np.clip(int(f) + y1, 0, h) for f in (np.floor(i * rows / ph), np.ceil((i + 1) * rows / ph)))
                c, d = (np.clip(int(f) + x1, 0, w) for f in (np.floor(j * columns / pw), np.ceil((j + 1) * columns / pw)))
                if a < b and c < d:
                    y[k, :, i, j] = x[int(image), :, a:b, c:d].max((1, 2))
    return y


def on_regions(function):
    """The function, or pydl's of that name, of images and of numbers for regions"""
    def call(x, rois, *rest, **how):
        if isinstance(rois, np.ndarray):
            return function(x, regions(rois, x.shape[0]), *rest, **how)
        f = getattr(pydl.ops, function) if isinstance(function, str) else function
        fits = isinstance(rois, pydl.Tensor) and rois.is_floating_point() and rois.ndim == 2 and rois.shape[1] == 5 and getattr(x, "ndim", 0) == 4
        return f(x, regions(rois, x.shape[0]) if fits else rois, *rest, **how)
    return call



def numbers(k):
    """A column for the image's number and four for the box, all from 0 to 1; scaled by spatial_scale"""
    return In((k, 5), 0.05, 0.95, grad=False)


SIZE = Flat((2, 3))
BAD = [bad((2, 3, 4), (1, 5), SIZE, shapes=False), bad((1, 2, 4, 4), (1, 4), SIZE), bad(In((1, 2, 4, 4), dtype="int64"), (1, 5), SIZE, error=TypeError),
       bad((1, 2, 4, 4), Flat([1]), SIZE, error=TypeError), bad((1, 2, 4, 4), numbers(2), Flat((0, 2)), shapes=False),
       bad((1, 2, 4, 4), numbers(2), Flat((1, 2, 3)), shapes=False), bad((1, 2, 4, 4), numbers(2), 2**20, shapes=False), bad((1, 2, 0, 4), numbers(2), SIZE),
       bad((1, 2, 4, 4), numbers(2), SIZE, spatial_scale=0.0, shapes=False), bad((1, 2, 4, 4), numbers(2), SIZE, spatial_scale=float("nan"), shapes=False),
       bad((0, 2, 4, 4), numbers(2), SIZE, match="one of 0 images"), bad((2, 2, 4, 4), [(2, 4)], SIZE, shapes=False, match="list of 2")]
ALIGN = [sample((2, 3, 7, 9), numbers(4), SIZE, spatial_scale=8.0, aligned=a, sampling_ratio=r) for a in (False, True) for r in (-1, 2)]


def ps(x, r, size, **how):
    return aligned(x, r, size, aligned=True, by_bin=True, **how)


def transposed(dy, r, shape, **how):
    """Of the linear map roi_align, column by column"""
    dx = np.zeros(shape)
    for i in range(dx.size):
        unit = np.zeros(dx.size)
        unit[i] = 1
        dx.flat[i] = (dy * aligned(unit.reshape(shape), r, dy.shape[2:], **how)).sum()
    return dx


def fixed(function):
    """Regions by numbers, of the images that the shape says"""
    def call(dy, r, shape, **how):
        fits = r.ndim == 2 and r.shape[1] == 5 and len(shape) == 4
        return function(dy, regions(r, shape[0]) if fits else r, shape, **how)
    return call


ROWS = [
    Row("roi_align", on_regions(aligned), fn=on_regions("roi_align"), ulp=64, by="max", torch=False, refusals=BAD + [
        bad((1, 2, 4, 4), numbers(2), SIZE, sampling_ratio=2**20, shapes=False)],
        samples=[*ALIGN, sample((2, 70, 5, 6), numbers(40), Flat((4, 4)), spatial_scale=5.0, sampling_ratio=1), sample((1, 1, 1, 1), numbers(2), SIZE), sample((2, 3, 5, 5), numbers(0), SIZE), sample((1, 0, 5, 5), numbers(2), SIZE)]),
    Row("roi_align_bwd", fixed(transposed), fn=fixed(roi_align_bwd), ulp=64, by="max", torch=False,
        samples=[sample((4, 2, 2, 2), numbers(4), Flat((2, 2, 3, 4)), spatial_scale=4.0, sampling_ratio=2, aligned=True),
                 sample((3, 1, 2, 2), numbers(3), Flat((2, 1, 3, 3)), spatial_scale=4.0), sample((0, 2, 2, 2), numbers(0), Flat((1, 2, 3, 3)))],
        refusals=[bad((4, 2, 2, 2), numbers(3), Flat((2, 2, 3, 4)), match="do not fit"), bad((4, 2, 2, 2), numbers(4), Flat((2, 3, 3, 4)), match="do not fit"),
                  bad((4, 2, 2), numbers(4), Flat((2, 2, 3, 4)), shapes=False), bad((4, 2, 2, 2), numbers(4), Flat((2, 2, 3)), shapes=False),
                  bad((4, 2, 2, 2), (4, 4), Flat((2, 2, 3, 4)), shapes=False), bad((4, 2, 2, 0), numbers(4), Flat((2, 2, 3, 4)), shapes=False)]),
    Row("ps_roi_align", on_regions(ps), fn=on_regions("ps_roi_align"), composed=True, ulp=64, by="max", torch=False,
        samples=[sample((2, 12, 5, 6), numbers(3), SIZE, spatial_scale=6.0), sample((1, 4, 3, 4), numbers(2), Flat((2, 2)), spatial_scale=3.0)], refusals=[*BAD[:5], bad((1, 5, 4, 4), numbers(2), SIZE, shapes=False)]),
    Row("roi_pool", on_regions(pooled), fn=on_regions("roi_pool"), ulp=0, torch=False, kind="uniform", refusals=BAD,
        samples=[sample((2, 3, 7, 9), numbers(4), SIZE, spatial_scale=6.0), sample((1, 2, 4, 5), numbers(3), Flat((3, 3)), spatial_scale=2.0),
                 sample((2, 3, 5, 5), numbers(0), SIZE)]),
]
