"""Distances of pixels to regions, and what losses that look at boundaries make of them."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pydl._core.checks import dim_arg, number_arg, tensor_arg
from pydl._core.create import full
from pydl._core.declare import declare
from pydl._core.dtypes import float64, get_default_dtype
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import sub
from pydl.ops.compare import eq, logical_and, ne, where
from pydl.ops.elementwise import sqrt
from pydl.ops.operands import to
from pydl.ops.regions import distance_pass

Dims = int | Sequence[int] | None


def spaced_dims(op: str, x: Tensor, dim: Dims, sampling: float | Sequence[float] | None) -> list[tuple[int, float]]:
    """The dimensions that distances go along, the last one first, and the spacing of the pixels along each."""
    given = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list, range)) else (dim,)
    dims = [dim_arg(op, d, x.ndim) for d in given] if x.ndim else []
    if len(set(dims)) != len(dims):
        raise ValueError(f"{op}: dim {dim} names a dimension twice (input {tuple(x.shape)})")
    steps = sampling if isinstance(sampling, (tuple, list)) else [1.0 if sampling is None else sampling] * len(dims)
    if len(steps) != len(dims):
        raise ValueError(f"{op}: sampling: expected a number for each of {len(dims)} dimensions, got {sampling} (input {tuple(x.shape)})")
    spacing = [number_arg(op, s, "sampling") for s in steps]
    if not all(0 < s < math.inf for s in spacing):
        raise ValueError(f"{op}: sampling: expected finite numbers above 0, got {sampling} (input {tuple(x.shape)})")
    return sorted(zip(dims, spacing), reverse=True)


def _distances(inside: Tensor, dims: list[tuple[int, float]]) -> Tensor:
    """float64 distances to where `inside` is False."""
    squares = where(inside, full((), math.inf, dtype=float64), full((), 0.0, dtype=float64))
    for d, spacing in dims:
        distance_pass(squares, d, spacing)
    return sqrt(squares)


def distance_transform_edt(input: Tensor, sampling: float | Sequence[float] | None = None, *, dim: Dims = None) -> Tensor:
    """The Euclidean distance of every element that is not 0 to the nearest 0: scipy.ndimage's function of that name.

    input of any type, (*) -> (*), of the default float type; 0 where input is 0, infinity where there is no 0. dim: the dimensions of
    an image, by default all; the others hold images of their own. sampling: the spacing of the elements, one for all dimensions or one
    for each. Exact (Felzenszwalb & Huttenlocher 2012), in time proportional to the elements. Without derivative.
    Raises ValueError for sampling and dim that do not fit, IndexError for a dim out of range.

    >>> distance_transform_edt(pydl.tensor([[0, 1, 1], [1, 1, 1]])).round(decimals=3).tolist()
    [[0.0, 1.0, 2.0], [1.0, 1.4140000343322754, 2.2360000610351562]]
    """
    x = tensor_arg("distance_transform_edt", input, "input").detach()
    return to(_distances(ne(x, 0), spaced_dims("distance_transform_edt", x, dim, sampling)), get_default_dtype())


DISTANCE_TRANSFORM_EDT = declare(distance_transform_edt)


def signed_distance_map(input: Tensor, sampling: float | Sequence[float] | None = None, *, dim: Dims = None) -> Tensor:
    """phi = distance to the region outside of it, 1 - distance to what is outside in it: the region is where input is not 0.

    So the border pixels of a region are 0, those around it 1. Where there is no region or nothing else, phi is 0. Arguments, type and
    errors as of distance_transform_edt. It is what `boundary_loss` multiplies with probabilities (Kervadec et al. 2019).
    """
    x = tensor_arg("signed_distance_map", input, "input").detach()
    return to(signed_distances(x, spaced_dims("signed_distance_map", x, dim, sampling)), get_default_dtype())


def signed_distances(x: Tensor, dims: list[tuple[int, float]]) -> Tensor:
    """signed_distance_map in float64"""
    inside = ne(x, 0)
    outer, inner = _distances(eq(x, 0), dims), _distances(inside, dims)
    bounded = logical_and(ne(outer, math.inf), ne(inner, math.inf))
    return where(bounded, where(inside, sub(1.0, inner), outer), full((), 0.0, dtype=float64))


def border_weights(input: Tensor, w0: float = 10.0, sigma: float = 5.0, class_weights: Any = None) -> Tensor:
    """w = w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)) of background pixels, w_c of the others: weights of pixels that keep objects apart
    which nearly touch (U-Net, Ronneberger et al. 2015).

    input: numbers of objects (H, W) or (N, H, W), of an integer type, 0 being the background -> weights of that shape, of the default
    float type. d1, d2: distances to the nearest and second nearest object; with fewer than two, or farther than matters for float32, w_c.
    class_weights: (background, objects), by default 1. With it: (cross_entropy(x, t, reduction="none") * weights).mean().
    Raises ValueError for other shapes, negative numbers, sigma of 0 or less; TypeError for other types.
    """
    x = tensor_arg("border_weights", input, "input")
    if x.is_floating_point():
        raise TypeError(f"border_weights: input: expected numbers of objects, got {x.dtype} {tuple(x.shape)}")
    if x.ndim not in (2, 3):
        raise ValueError(f"border_weights: expected input (H, W) or (N, H, W), got {tuple(x.shape)}")
    width, height = number_arg("border_weights", sigma, "sigma"), number_arg("border_weights", w0, "w0")
    if not 0 < width < math.inf:
        raise ValueError(f"border_weights: sigma: expected a finite number above 0, got {sigma}")
    labels = x.detach().numpy()
    if labels.dtype.kind != "b" and labels.size and labels.min() < 0:
        raise ValueError(f"border_weights: input: expected no negative numbers, got {labels.min()} (input {tuple(x.shape)})")
    below, above = (1.0, 1.0) if class_weights is None else (number_arg("border_weights", w, "class_weights") for w in class_weights)
    weights = np.where(labels == 0, below, above)
    for image, to_add in zip(labels, weights) if labels.ndim == 3 else [(labels, weights)]:
        near = _two_nearest(image, width * math.sqrt(2 * 24 * math.log(2)))     # beyond, it is less than 2^-24 w0
        to_add += np.where(image == 0, height * np.exp(-np.square(near.sum(axis=0)) / (2 * width * width)), 0)
    return to(from_numpy(weights), get_default_dtype())


def _two_nearest(image: np.ndarray, reach: float) -> np.ndarray:
    """(2, H, W): distances to the nearest and second nearest object, where they are at most about `reach`, else infinity."""
    near = np.full((2, *image.shape), math.inf)
    margin = math.ceil(min(reach, sum(image.shape))) + 1
    rows, columns = np.nonzero(image)
    _, numbers = np.unique(image[rows, columns], return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else ():
        top, left = max(0, rows[own].min() - margin), max(0, columns[own].min() - margin)
        window = near[:, top : rows[own].max() + margin + 1, left : columns[own].max() + margin + 1]
        outside = np.ones(window.shape[1:], bool)
        outside[rows[own] - top, columns[own] - left] = False
        distance = _distances(from_numpy(outside), [(1, 1.0), (0, 1.0)]).numpy()
        window[1] = np.minimum(window[1], np.maximum(window[0], distance))
        window[0] = np.minimum(window[0], distance)
    return near


__all__ = ["border_weights", "distance_transform_edt", "signed_distance_map"]
METHODS: list[str] = []
