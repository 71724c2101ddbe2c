"""Rows of pydl/ops/distance_maps.py. SciPy's distances and larger images are in test_region_losses.py."""
import numpy as np

import pydl.nn.functional as F
from rows import Flat, In, Row, bad, sample


def squares(inside, dims, spacing):
    """Squared distances to where `inside` is False, along dims: all pairs of pixels"""
    if not dims:
        return np.where(inside, np.inf, 0.0)
    moved = np.moveaxis(inside, dims, range(-len(dims), 0))
    images = moved.reshape(int(np.prod(moved.shape[:moved.ndim - len(dims)])), *moved.shape[moved.ndim - len(dims):])
    places = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(images.shape[1:], spacing)), indexing="ij"), -1)
    result = np.full(images.shape, np.inf)
    for image, to in zip(images, result):
        for zero in places[~image]:
            np.minimum(to, np.sum((places - zero) ** 2, -1), out=to)
    return np.moveaxis(result.reshape(moved.shape), range(-len(dims), 0), dims)


def distances(inside, sampling, dim):
    dims = tuple(range(inside.ndim)) if dim is None else (dim,) if np.isscalar(dim) else dim
    spacing = sampling if isinstance(sampling, list) else [sampling or 1.0] * len(dims)
    return np.sqrt(squares(inside, [d % max(1, inside.ndim) for d in dims], spacing))


def signed(x, sampling=None, dim=None):
    outer, inner = (distances(m, sampling, dim) for m in (x == 0, x != 0))
    return np.where(np.isinf(outer) | np.isinf(inner), 0, np.where(x != 0, 1 - inner, outer))


def weights(labels, w0=10.0, sigma=5.0, class_weights=(1.0, 1.0)):
    result = np.where(labels == 0, *class_weights)
    for image, to in zip(labels, result) if labels.ndim == 3 else [(labels, result)]:
        each = [distances(image != k, None, None) for k in np.unique(image[image != 0])] + [np.full(image.shape, np.inf)] * 2
        near = np.sort(each, axis=0)[:2].sum(axis=0)
        to += np.where(image == 0, w0 * np.exp(-(near ** 2) / (2 * sigma ** 2)), 0)
    return result


def some(*shape, most=5):
    return In(shape, 0, most, dtype="int64")


MAPS = [sample(some(5, 7)), sample(some(9)), sample(some()), sample(some(3, 4, 5), sampling=[0.5, 1.0, 2.0]), sample(some(2, 3, 6, 5), dim=(2, -1)),
        sample(some(3, 6), dim=1, sampling=1.5), sample(In((4, 5), dtype="bool")), sample(In((4, 5), -1, 1)), sample(some(0, 3)),
        sample(some(2, 1, 9), dim=[1, 2]), sample(In((3, 4), 1, 3, dtype="uint8"))]
REFUSALS = [bad((2, 3), sampling=[1.0]), bad((2, 3), sampling=0.0), bad((2, 3), sampling=float("nan")), bad((2, 3), dim=(1, -1)),
            bad((2, 3), dim=2, error=IndexError), bad(Flat(3), error=TypeError), bad((2, 3), sampling="x", error=TypeError)]
LABELS = {"dtype": "int64"}
ROWS = [
    Row("distance_transform_edt", lambda x, sampling=None, dim=None: distances(x != 0, sampling, dim), MAPS, fn=F.distance_transform_edt,
        ulp=1, ulp64=np.inf, out="float32", diff=(), torch=False, refusals=REFUSALS),
    Row("signed_distance_map", signed, MAPS, fn=F.signed_distance_map, ulp=1, ulp64=np.inf, out="float32", diff=(), torch=False, composed=True,
        refusals=REFUSALS),
    Row("border_weights", weights, fn=F.border_weights, ulp=16, ulp64=np.inf, by="max", out="float32", diff=(), torch=False, composed=True,
        samples=[sample(some(12, 9, most=3)), sample(some(2, 7, 8, most=4), w0=2.0, sigma=1.5, class_weights=(0.5, 2.0)), sample(some(3, 0)),
                 sample(In((4, 4), 0, 1, **LABELS)), sample(In((4, 4), 2, 3, **LABELS)), sample(In((5, 6), dtype="uint8"), sigma=0.3)],
        refusals=[bad((3, 4), error=TypeError), bad(some(4)), bad(In((3, 4), -2, -1, **LABELS)), bad(some(3, 4), sigma=0.0, shapes=False)]),
]
