"""Transforms of colour, type and mixture against formulas, colorsys and Pillow."""
from __future__ import annotations

import colorsys

import numpy as np
import pytest

import pydl
from pydl.vision import transforms as T
from pydl.vision.transforms import functional as F

GREY = np.array([0.2989, 0.587, 0.114])


def picture(*shape: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).integers(0, 256, shape)
    return x.astype(dtype) if dtype == "uint8" else (x / 255).astype(dtype)


def tensor(x: np.ndarray) -> pydl.Tensor:
    return pydl.from_numpy(np.ascontiguousarray(x))


def brightness(x, f):
    return np.clip(x * f, 0, 1)


def contrast(x, f):
    grey = np.einsum("chw,c->hw", x, GREY) if len(x) == 3 else x
    return np.clip(f * x + (1 - f) * grey.mean(), 0, 1)


def saturation(x, f):
    return np.clip(f * x + (1 - f) * np.einsum("chw,c->hw", x, GREY), 0, 1)


def hue(x, f):
    flat = [colorsys.hsv_to_rgb((h + f) % 1, s, v) for h, s, v in (colorsys.rgb_to_hsv(*rgb) for rgb in x.reshape(3, -1).T)]
    return np.array(flat).T.reshape(x.shape)


STEPS = {"brightness": (brightness, F.adjust_brightness), "contrast": (contrast, F.adjust_contrast),
         "saturation": (saturation, F.adjust_saturation), "hue": (hue, F.adjust_hue)}


@pytest.mark.parametrize("what", STEPS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_each_step_is_its_formula(what: str, dtype: str) -> None:
    formula, function = STEPS[what]
    x = picture(2, 3, 5, 61, dtype=dtype)
    x[0, :, 0, :3] = x[0, :1, 0, :3]        # grey pixels have no hue
    x[0, :, 1, 0], x[0, :, 1, 1] = 0, x.dtype.type(255 if dtype == "uint8" else 1)
    for factor in ((-0.5, -0.21, 0, 0.13, 0.5) if what == "hue" else (0, 0.4, 1, 1.7)):
        y = function(tensor(x), factor).numpy()
        for a, b in zip(x.astype(np.float64) / (255 if dtype == "uint8" else 1), y):
            if dtype == "uint8":
                assert np.abs(b - formula(a, factor) * 255).max() <= 0.51
            else:
                assert np.abs(b - formula(a, factor)).max() < (5e-6 if dtype == "float32" else 1e-12)


def test_steps_in_a_row_are_rounded_once() -> None:
    x = picture(1, 3, 9, 33)
    t = T.ColorJitter((0.5, 0.5), (1.5, 1.5), (0.3, 0.3), (0.2, 0.2))
    pydl.manual_seed(1)
    seen = {tuple(t(tensor(x)).flatten().tolist()) for _ in range(60)}
    wanted = []
    import itertools

    for order in itertools.permutations((("brightness", 0.5), ("contrast", 1.5), ("saturation", 0.3), ("hue", 0.2))):
        y = x[0] / 255
        for what, factor in order:
            y = STEPS[what][0](y, factor)
        wanted.append(y * 255)
    assert len(seen) > 6
    for one in seen:
        assert min(np.abs(np.array(one).reshape(3, 9, 33) - y).max() for y in wanted) <= 0.51


def test_jitter_of_batches_and_of_other_channels() -> None:
    x = np.repeat(picture(1, 3, 4, 4), 8, 0)
    y = T.ColorJitter(0.5, 0.5, 0.5, 0.2)(tensor(x)).numpy()
    assert len({one.tobytes() for one in y}) == 8       # each its own
    grey = picture(1, 6, 6)
    assert F.adjust_saturation(tensor(grey), 2.0).equal(tensor(grey)) and F.adjust_hue(tensor(grey), 0.2).equal(tensor(grey))
    assert np.abs(F.adjust_contrast(tensor(grey), 0.5).numpy() - contrast(grey / 255, 0.5) * 255).max() <= 0.51
    five = picture(2, 5, 4, 4, dtype="float32")
    assert np.abs(F.adjust_brightness(tensor(five), 0.5).numpy() - five / 2).max() < 1e-7
    with pytest.raises(ValueError, match="1 or 3 channels"):
        F.adjust_contrast(tensor(five), 0.5)
    assert T.ColorJitter()(tensor(five)).equal(tensor(five))
    y = T.RandomPhotometricDistort(p=1.0, generator=pydl.Generator().manual_seed(0))(tensor(x))
    assert y.shape == x.shape and len({one.tobytes() for one in y.numpy()}) == 8
    same = T.RandomPhotometricDistort((1, 1), (1, 1), (1, 1), (0, 0), p=1.0)(tensor(x)).numpy()
    assert all(sorted(c.tobytes() for c in a) == sorted(c.tobytes() for c in b) for a, b in zip(same, x))     # channels change places


def test_pillows_tables() -> None:
    ops = pytest.importorskip("PIL.ImageOps")
    from PIL import Image, ImageEnhance, ImageFilter

    x = picture(3, 30, 40)
    x[0] = x[0] // 2 + 30
    image = Image.fromarray(x.transpose(1, 2, 0))

    def back(image):
        return np.array(image).transpose(2, 0, 1).astype(int)

    assert np.array_equal(F.posterize(tensor(x), 3).numpy(), back(ops.posterize(image, 3)))
    assert np.array_equal(F.solarize(tensor(x), 100).numpy(), back(ops.solarize(image, 100)))
    assert np.array_equal(F.invert(tensor(x)).numpy(), back(ops.invert(image)))
    assert np.array_equal(F.equalize(tensor(x)).numpy(), back(ops.equalize(image)))
    assert np.abs(F.autocontrast(tensor(x)).numpy() - back(ops.autocontrast(image))).max() <= 1
    for factor in (0.0, 0.5, 1.9):
        assert np.abs(F.adjust_sharpness(tensor(x), factor).numpy() - back(ImageEnhance.Sharpness(image).enhance(factor))).max() <= 2
    assert np.abs(F.gaussian_blur(tensor(x), 21, 2.0).numpy()[:, 9:-9, 9:-9] - back(image.filter(ImageFilter.GaussianBlur(2.0)))[:, 9:-9, 9:-9]).max() <= 6
    flat = tensor(np.full((3, 4, 4), 7, np.uint8))
    assert F.equalize(flat).equal(flat) and F.autocontrast(flat).equal(flat)
    floats = tensor(x.astype(np.float32) / 255)
    assert np.abs(F.equalize(floats).numpy() * 255 - back(ops.equalize(image))).max() < 1e-3
    assert np.abs(F.posterize(floats, 3).numpy() * 256 - back(ops.posterize(image, 3))).max() < 1e-3
    assert np.abs(F.solarize(floats, 100 / 255).numpy() * 255 - back(ops.solarize(image, 100))).max() < 1e-3


@pytest.mark.parametrize("shape, kernel, sigma", [((1, 3, 20, 31), (5, 9), (1.5, 0.7)), ((2, 1, 4, 3), (9, 11), (2.0, 3.0)), ((1, 1, 1, 5), (3, 3), (1.0, 1.0))])
def test_blur_is_numpys_convolution(shape, kernel, sigma) -> None:
    x = picture(*shape, dtype="float64")
    wanted = x
    for axis, size, s in ((3, kernel[0], sigma[0]), (2, kernel[1], sigma[1])):
        offsets = np.arange(size) - size // 2
        weight = np.exp(-0.5 * (offsets / s) ** 2)
        n = shape[axis]
        padded = np.pad(wanted, [(size // 2, size // 2) if a == axis else (0, 0) for a in range(4)], "reflect" if n > 1 else "edge")
        wanted = sum(w / weight.sum() * np.take(padded, np.arange(n) + t, axis) for t, w in enumerate(weight))
    assert np.abs(F.gaussian_blur(tensor(x), kernel, sigma).numpy() - wanted).max() < 1e-12
    assert np.abs(F.gaussian_blur(tensor(x.astype(np.float32)), kernel, sigma).numpy() - wanted).max() < 1e-6
    rounded = F.gaussian_blur(tensor((x * 255).round().astype(np.uint8)), kernel, sigma).numpy()
    assert np.abs(rounded - wanted * 255).max() < 0.51


def test_types() -> None:
    x = tensor(picture(3, 4, 5))
    floats = F.to_dtype(x, pydl.float32, scale=True)
    assert np.abs(floats.numpy() - x.numpy() / 255).max() < 1e-7 and F.to_dtype(floats, pydl.uint8, scale=True).equal(x)
    assert F.to_dtype(x, pydl.float64).numpy().max() > 1
    assert F.to_dtype(pydl.tensor([[[-1.0, float("nan"), 2.0]]]), pydl.uint8, scale=True).flatten().tolist() == [0, 0, 255]
    y = F.normalize(floats, [0.5, 0.4, 0.3], [0.1, 0.2, 0.3]).numpy()
    assert np.abs(y - (floats.numpy() - np.array([0.5, 0.4, 0.3])[:, None, None]) / np.array([0.1, 0.2, 0.3])[:, None, None]).max() < 1e-5
    assert np.abs(F.rgb_to_grayscale(x).numpy() - np.einsum("chw,c->hw", x.numpy(), GREY)).max() <= 0.51
    assert F.rgb_to_grayscale(x, 3).shape == (3, 4, 5) and T.RandomGrayscale(1.0)(x).shape == (3, 4, 5)
    image, target = T.Compose([T.ToDtype(pydl.float32, scale=True), T.Normalize([0.5], [0.5])])(x, {"boxes": pydl.ones(1, 4), "masks": pydl.ones(4, 5)})
    assert image.numpy().min() >= -1 and target["boxes"].tolist() == [[1, 1, 1, 1]] and target["masks"].numpy().all()
    for bad, error in ((lambda: F.normalize(x, [0.5], [0.5]), TypeError), (lambda: F.normalize(floats, [0.5], [0.0]), ValueError),
                       (lambda: F.normalize(floats, [0.5, 0.5], [1.0]), ValueError), (lambda: F.to_dtype(x, pydl.int64), TypeError),
                       (lambda: F.gaussian_blur(x, 4), ValueError), (lambda: F.gaussian_blur(x, 3, 0.0), ValueError), (lambda: F.adjust_hue(x, 0.6), ValueError),
                       (lambda: F.adjust_brightness(x, -1), ValueError), (lambda: F.posterize(x, 9), ValueError), (lambda: T.ColorJitter(hue=0.6), ValueError),
                       (lambda: T.ColorJitter(brightness=-0.1), ValueError), (lambda: F.erase(x, 0, 0, 5, 1, 0), ValueError), (lambda: T.RandomErasing(value="x"), ValueError)):
        with pytest.raises(error):
            bad()


def test_chances() -> None:
    x = tensor(picture(200, 1, 2, 2))
    y = T.RandomInvert(0.3, generator=pydl.Generator().manual_seed(0))(x).numpy()
    inverted = [np.array_equal(a, 255 - b) for a, b in zip(y, x.numpy())]
    assert 30 < sum(inverted) < 90 and all(i or np.array_equal(a, b) for i, a, b in zip(inverted, y, x.numpy()))
    for t in (T.RandomEqualize, T.RandomAutocontrast, lambda p: T.RandomPosterize(3, p), lambda p: T.RandomSolarize(9, p), lambda p: T.RandomAdjustSharpness(2, p)):
        assert t(0.0)(x).equal(x)


def test_erasing() -> None:
    x = tensor(picture(20, 3, 16, 16) | np.uint8(1))
    y = T.RandomErasing(1.0, (0.1, 0.2), (0.5, 2.0))(x).numpy()
    shares = (y == 0).all(1).mean((1, 2))
    assert ((shares > 0.05) & (shares < 0.26)).all() and np.array_equal(y[y > 0], x.numpy()[y > 0])
    assert F.erase(x[0], 1, 2, 3, 4, [1, 2, 3])[:, 2, 3].tolist() == [1, 2, 3]
    assert not T.RandomErasing(1.0, value="random")(x).equal(x)


def test_mixup_and_cutmix() -> None:
    x, labels = picture(4, 3, 8, 8, dtype="float32"), pydl.tensor([0, 1, 2, 1])
    hard = np.eye(3)[labels.numpy()]
    pydl.manual_seed(2)
    y, soft = T.MixUp(alpha=0.7, num_classes=3)(tensor(x), labels)
    lam = soft.numpy()[0, 0]
    assert np.abs(soft.numpy() - lam * hard - (1 - lam) * np.roll(hard, 1, 0)).max() < 1e-6 and np.abs(y.numpy() - lam * x - (1 - lam) * np.roll(x, 1, 0)).max() < 1e-6
    y, soft = T.CutMix(num_classes=3)(tensor(x), labels)
    taken = (y.numpy() == np.roll(x, 1, 0)).all(1)[0].mean()
    assert soft.numpy()[0, 1] == pytest.approx(taken, abs=1e-6) and soft.numpy().sum(1) == pytest.approx(np.ones(4))
    y, soft = T.MixUp()(tensor(picture(4, 3, 8, 8)), tensor(hard.astype(np.float32)))
    assert y.dtype == pydl.uint8
    from pydl.vision.transforms.mix import beta
    for alpha in (0.2, 1.0, 4.0):
        draws = np.array([beta(None, alpha) for _ in range(2000)])
        assert draws.mean() == pytest.approx(0.5, abs=0.04) and draws.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)
    for bad, error in ((lambda: T.MixUp()(tensor(x), labels), ValueError), (lambda: T.MixUp(num_classes=2)(tensor(x), labels), IndexError),
                       (lambda: T.CutMix(num_classes=3)(tensor(x[0]), labels), ValueError), (lambda: T.MixUp(alpha=0), ValueError)):
        with pytest.raises(error):
            bad()


def test_mosaic() -> None:
    """Four images of one value each, with a box and a mask that say which."""
    x = np.broadcast_to(np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * 10, (5, 1, 20, 30))
    targets = [{"boxes": pydl.tensor([[0.0, 0.0, 30.0, 20.0]]), "labels": pydl.tensor([10 * (i + 1)]), "masks": pydl.full((20, 30), i + 1, dtype=pydl.int64)} for i in range(5)]
    pydl.manual_seed(0)
    images, new = T.Mosaic((24, 26))(tensor(x), targets)
    assert images.shape == (5, 1, 24, 26)
    for image, one in zip(images.numpy(), new):
        assert len(one["boxes"]) == len(one["labels"]) == 4
        for (x1, y1, x2, y2), label in zip(one["boxes"].numpy().round().astype(int), one["labels"].tolist()):
            assert (image[0, y1:y2, x1:x2] == label).all()
        assert np.array_equal(one["masks"].numpy() * 10, image[0]) and one["boxes"].numpy()[:, 2:].max(0).tolist() == [26, 24]
    _, none = T.Mosaic(min_visible=0.9)(tensor(x), targets)
    assert all(len(one["boxes"]) == len(one["labels"]) == 0 for one in none)
    assert T.Mosaic()(tensor(x)).shape == (5, 1, 20, 30)
    with pytest.raises(ValueError, match="Mosaic: expected a batch"):
        T.Mosaic()(tensor(x[0]), targets[0])


@pytest.mark.parametrize("transform", [T.RandAugment(3, 20), T.TrivialAugmentWide(), T.RandAugment(interpolation="bilinear", fill=0.5)])
def test_automatic_augmentation(transform: T.Transform) -> None:
    for x in (picture(30, 3, 16, 16), picture(30, 1, 16, 16, dtype="float32")):
        pydl.manual_seed(0)
        y, targets = transform(tensor(x), [{"boxes": pydl.tensor([[4.0, 4.0, 9.0, 9.0]])}] * 30)
        assert y.shape == x.shape and y.numpy().dtype == x.dtype and len({one.tobytes() for one in y.numpy()}) > 20
        assert y.numpy().min() >= 0 and y.numpy().max() <= (255 if x.dtype == np.uint8 else 1)
        boxes = np.concatenate([one["boxes"].numpy() for one in targets])
        assert (boxes >= 0).all() and (boxes <= 16).all() and len(np.unique(boxes, axis=0)) > 3
        pydl.manual_seed(0)
        assert transform(tensor(x)).equal(y)
