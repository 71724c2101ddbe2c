"""What transforms that move pixels refuse, and the kernels below them."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from pydl.ops import warp as kernels
from pydl.vision import transforms as T
from pydl.vision.transforms import functional as F


@pytest.mark.parametrize("bad, error, match", [
    (lambda: T.RandomHorizontalFlip()(np.zeros((3, 4, 4), np.uint8)), TypeError, "must be a Tensor, got ndarray"),
    (lambda: F.hflip(pydl.zeros(4, 4)), ValueError, r"got shape \(4, 4\)"),
    (lambda: F.hflip(pydl.zeros(3, 0, 4)), ValueError, r"\(3, 0, 4\)"),
    (lambda: F.hflip(pydl.zeros(3, 4, 4, dtype=pydl.int64)), TypeError, "int64"),
    (lambda: F.hflip(pydl.zeros(3, 4, 4, requires_grad=True)), RuntimeError, "detach"),
    (lambda: F.hflip(pydl.zeros(3, 4, 4), {"boxes": pydl.zeros(3)}), ValueError, r"boxes \(N, 4\), got shape \(3,\)"),
    (lambda: F.hflip(pydl.zeros(3, 4, 4), {"boxes": [[0, 0, 1, 1]]}), TypeError, "boxes must be a Tensor, got list"),
    (lambda: F.hflip(pydl.zeros(3, 4, 4), {"masks": pydl.zeros(4, 5)}), ValueError, r"\(4, 4\), got shape \(4, 5\)"),
    (lambda: F.hflip(pydl.zeros(3, 4, 4), [1]), TypeError, "expected a dict, got list"),
    (lambda: F.hflip(pydl.zeros(2, 3, 4, 4), [{}]), ValueError, "2 images"),
    (lambda: F.hflip(pydl.zeros(2, 3, 4, 4), [{"boxes": pydl.zeros(1, 4)}, {}]), ValueError, "all images of a batch, or of none"),
    (lambda: T.RandomHorizontalFlip(1.5), ValueError, "p must be a probability"),
    (lambda: T.RandomHorizontalFlip("x"), TypeError, "p must be a number"),
    (lambda: T.Resize(0), ValueError, "size must be 1 or more"),
    (lambda: T.Resize((3, 4, 5)), TypeError, "size must be an int or two"),
    (lambda: T.Resize(4, "lanczos"), ValueError, "interpolation must be one of"),
    (lambda: T.RandomAffine(-1), ValueError, "degrees"),
    (lambda: T.RandomAffine(0, (0, 2)), ValueError, "translate"),
    (lambda: T.RandomAffine(0, scale=(2, 1)), ValueError, "scale"),
    (lambda: T.Pad(1, padding_mode="circular"), ValueError, "padding_mode"),
    (lambda: F.pad(pydl.zeros(3, 4, 4), -2), ValueError, "pad: the size"),
    (lambda: F.pad(pydl.zeros(3, 4, 4), 1, fill=[1, 2]), ValueError, "fill to be a number or 3 of them"),
    (lambda: F.affine(pydl.zeros(3, 4, 4), 0, (0, 0), 0, 0), ValueError, "scale must be positive"),
    (lambda: F.elastic(pydl.zeros(3, 4, 4), pydl.zeros(2, 3, 4)), ValueError, r"field \(1, 2, 4, 4\)"),
    (lambda: T.ElasticTransform(-1.0), ValueError, "alpha"),
    (lambda: T.RandomResizedCrop(4, (0.5, 0.1)), ValueError, "scale"),
    (lambda: T.SanitizeBoundingBoxes(-1), ValueError, "min_size"),
    (lambda: T.SanitizeBoundingBoxes()(pydl.zeros(2, 3, 4, 4), {"boxes": pydl.ones(2, 1, 4)}), ValueError, "list of targets"),
    (lambda: T.Compose([]), TypeError, "one or more"),
    (lambda: F.pad(pydl.zeros(3, 4, 4, dtype=pydl.uint8), 1, fill=float("nan")), ValueError, "uint8 has no NaN"),
    (lambda: F.pad(pydl.zeros(3, 4, 4), 1, fill="red"), ValueError, "expected fill to be a number or 3 of them, got 'red'"),
    (lambda: F.pad(pydl.zeros(3, 4, 4), 1, fill={"mask": 1}), ValueError, r"expected fill for 'image' and 'masks', got \['mask'\]"),
    (lambda: F.pad(pydl.zeros(3, 4, 4), None), ValueError, "pad: expected padding of 1, 2 or 4 ints, got None"),
    (lambda: F.crop(pydl.zeros(3, 4, 4), 1.5, 0, 2, 2), TypeError, "crop: top and left must be ints, got 1.5"),
    (lambda: F.erase(pydl.zeros(3, 4, 4), 0, 0, 2, 2, pydl.zeros(3, 3, 3)), ValueError, r"erase: expected v .* got \(3, 3, 3\)"),
    (lambda: F.normalize(pydl.zeros(3, 4, 4), [0, 0], [1, 1]), ValueError, "normalize: expected mean to be a number or 3 of them"),
    (lambda: F.resize(pydl.zeros(3, 4, 4), 4.5), TypeError, "resize: size must be an int or two of them"),
    (lambda: F.resize(pydl.zeros(3, 4, 4), 4, max_size=4), ValueError, "resize: max_size 4 must be above size 4"),
    (lambda: F.rotate(pydl.zeros(3, 4, 4), float("inf")), ValueError, "expected a finite angle"),
    (lambda: F.affine(pydl.zeros(3, 4, 4), 0, (float("nan"), 0), 1, 0), ValueError, "affine: translate must be finite"),
    (lambda: F.rotate(pydl.zeros(3, 4, 4), 9, center=(1,)), TypeError, r"rotate: center must be two numbers \(x, y\), got \(1,\)"),
    (lambda: T.RandomAffine(0, 0.1), TypeError, "RandomAffine: translate must be two numbers"),
    (lambda: T.RandomRotation(9, center="ab"), TypeError, "RandomRotation: center must be two numbers"),
    (lambda: T.Compose([3]), TypeError, "transform 0"),
    (lambda: T.RandomChoice([T.Pad(1)], [0.0]), ValueError, "RandomChoice"),
])
def test_refusals(bad, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        bad()


EYE, FILL = pydl.eye(3, dtype=pydl.float64).view(1, 3, 3), pydl.zeros(2, dtype=pydl.float64)


@pytest.mark.parametrize("bad, error, match", [
    (lambda: kernels.warp(pydl.zeros(2, 4, 4), EYE, FILL, (4, 4)), ValueError, r"input \(N, C, H, W\), got shape \(2, 4, 4\)"),
    (lambda: kernels.warp(pydl.zeros(1, 2, 4, 4), EYE.to(pydl.float32), FILL, (4, 4)), ValueError, "matrix .*float64"),
    (lambda: kernels.warp(pydl.zeros(2, 2, 4, 4), EYE, FILL, (4, 4)), ValueError, r"matrix \(2, 3, 3\)"),
    (lambda: kernels.warp(pydl.zeros(1, 3, 4, 4), EYE, FILL, (4, 4)), ValueError, r"fill \(3,\)"),
    (lambda: kernels.warp(pydl.zeros(1, 2, 4, 4), EYE, FILL, (-1, 4)), ValueError, "sizes"),
    (lambda: kernels.warp(pydl.zeros(1, 2, 4, 0), EYE, FILL, (4, 4)), ValueError, "no pixels"),
    (lambda: kernels.warp(pydl.zeros(1, 2, 4, 4, dtype=pydl.int64), EYE, FILL, (4, 4)), TypeError, "int64 cannot be interpolated"),
    (lambda: kernels.warp(pydl.zeros(1, 2, 4, 4), EYE, FILL, (4, 4), "cubic"), ValueError, "mode"),
    (lambda: kernels.warp(pydl.zeros(1, 2, 4, 4), EYE, FILL, (4, 4), field=pydl.zeros(1, 2, 4, 5)), ValueError, "field"),
    (lambda: kernels.filter_lines(pydl.zeros(1, 4, 2), pydl.tensor([2]), pydl.ones(1, 3)), IndexError, "window of 3 at 2"),
    (lambda: kernels.filter_lines(pydl.zeros(1, 4, 2), pydl.tensor([-1]), pydl.ones(1, 3)), IndexError, "window of 3 at -1"),
    (lambda: kernels.filter_lines(pydl.zeros(1, 4, 2), pydl.tensor([0]), pydl.ones(1, 5)), IndexError, "window of 5"),
    (lambda: kernels.filter_lines(pydl.zeros(1, 4, 2), pydl.tensor([0, 0]), pydl.ones(1, 3)), ValueError, "start"),
    (lambda: kernels.filter_lines(pydl.zeros(1, 4, 2, dtype=pydl.int64), pydl.tensor([0]), pydl.ones(1, 3, dtype=pydl.int64)), TypeError, "int64"),
    (lambda: kernels.colour_steps(pydl.zeros(1, 2, 4), pydl.zeros(1, 1, 2, dtype=pydl.float64), 1), ValueError, "1 or 3"),
    (lambda: kernels.colour_steps(pydl.zeros(1, 3, 4), pydl.zeros(1, 9, 2, dtype=pydl.float64), 1), ValueError, "at most 8"),
    (lambda: kernels.colour_steps(pydl.zeros(2, 3, 4), pydl.zeros(1, 1, 2, dtype=pydl.float64), 1), ValueError, "program"),
    (lambda: kernels.to_bytes(pydl.zeros(3, dtype=pydl.int64)), TypeError, "int64"),
])
def test_kernels_refuse(bad, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        bad()
