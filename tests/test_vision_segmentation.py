"""vision.Segmenter: learns, keeps, loads and refuses; windows, views and edges of large images."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import io, nn
from pydl.data import TensorDataset
from pydl.vision import Segmenter, datasets, images, sheets
from pydl.vision import transforms as T
from pydl.vision.segmentation import MaskLoss, Windows


def squares(n: int, height: int = 16, width: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A light square on a dark, noisy ground: images (n, H, W) uint8, masks (n, H, W)."""
    stream = np.random.RandomState(seed)
    x, y = stream.randint(0, 100, (n, height, width)).astype(np.uint8), np.zeros((n, height, width), np.int64)
    for image, mask in zip(x, y, strict=True):
        top, left = stream.randint(0, height - 7), stream.randint(0, width - 7)
        image[top:top + 7, left:left + 7] += 100
        mask[top:top + 7, left:left + 7] = 1
    return x, y


def trained_on(*data: Any, **options: Any) -> Segmenter:
    pydl.manual_seed(0)
    segmenter = Segmenter("UNet", widths=(8, 12))
    segmenter.fit(*data, **{"epochs": 12, "lr": 1e-2, "progress": False, **options})
    return segmenter


@pytest.fixture(scope="module")
def trained() -> Segmenter:
    return trained_on(*squares(16), augment=T.RandomHorizontalFlip(), validation=squares(4, seed=1))


def test_learns_and_answers(trained: Segmenter) -> None:
    x, y = squares(6, seed=2)
    found = trained.evaluate(x, y)
    assert found["pixel_accuracy"] > 0.98 and set(found) == {"pixel_accuracy", "mean_iou", "dice", "iou"}
    predicted, shares = trained.predict(x), trained.predict_proba(x)
    assert isinstance(predicted, pydl.Tensor) and isinstance(shares, pydl.Tensor)
    assert predicted.dtype == pydl.int64 and predicted.shape == (6, 16, 16) and shares.shape == (6, 2, 16, 16)
    assert (predicted.numpy() == y).mean() == pytest.approx(found["pixel_accuracy"])
    overlap = ((predicted.numpy() == 1) & (y == 1)).sum() / ((predicted.numpy() == 1) | (y == 1)).sum()
    assert found["iou"]["1"] == pytest.approx(overlap) and found["mean_iou"] == pytest.approx((overlap + found["iou"]["0"]) / 2)
    assert trained.evaluate(x, y, views=8)["pixel_accuracy"] > 0.97
    assert trained.model is not None and trained.model.training


def test_sizes_that_the_model_does_not_take(trained: Segmenter) -> None:
    x, y = squares(2, 15, 21, seed=3)
    assert trained.evaluate(x, y)["pixel_accuracy"] > 0.95
    several = trained.predict([x[0], squares(1, 9, 30)[0][0]])
    assert isinstance(several, list) and [tuple(one.shape) for one in several] == [(15, 21), (9, 30)]
    several_sizes = ([x[0], squares(1, 9, 30)[0][0]], [y[0], squares(1, 9, 30)[1][0]])
    fitted = trained_on(*squares(4), epochs=1, validation=several_sizes)
    assert fitted.normalisation is not None
    state = pydl.get_rng_state().tolist()
    assert Windows(fitted._pairs("t", *several_sizes), fitted.normalisation, multiple=4)[1][1].shape == (12, 32)
    assert pydl.get_rng_state().tolist() == state           # validation draws nothing
    fitted = trained_on([x[0], squares(1, 18, 13)[0][0]], [y[0], squares(1, 18, 13)[1][0]], epochs=2, batch_size=2)
    assert fitted.predict(x).shape == (2, 15, 21)               # type: ignore[union-attr]


def test_windows_and_repeats() -> None:
    x, y = squares(2, 20, 20)
    shapes = []

    def note(images: pydl.Tensor, target: dict[str, pydl.Tensor]) -> Any:
        shapes.append((tuple(images.shape), tuple(target["masks"].shape)))
        return images, target

    segmenter = Segmenter(widths=(4, 4))
    history = segmenter.fit(x, y, epochs=2, batch_size=3, crop=24, repeats=4, augment=note, progress=False)
    assert history["step"] == [2, 4] and shapes == [((3, 1, 24, 24), (3, 24, 24))] * 4


@pytest.mark.parametrize(("loss", "weight"), [("dice", None), ("both", "balanced"), ("cross_entropy", [1.0, 2.0]), (nn.CrossEntropyLoss(), None)])
def test_losses(loss: Any, weight: Any) -> None:
    x, y = squares(8)
    segmenter = trained_on(x, y, loss=loss, class_weight=weight, epochs=6)
    assert segmenter.evaluate(x, y)["iou"]["1"] > 0.4


def test_pixels_that_do_not_count() -> None:
    x, y = squares(8)
    y[:, :8] = 255
    segmenter = Segmenter(nn.Conv2d(1, 2, 3, padding=1), ["ground", "square"], ignore_index=255)
    segmenter.fit(x, y, epochs=30, lr=3e-2, loss="both", progress=False)
    found, predicted = segmenter.evaluate(x, y), segmenter.predict(x).numpy()               # type: ignore[union-attr]
    assert found["pixel_accuracy"] == (predicted[:, 8:] == y[:, 8:]).mean() > 0.9
    with pytest.raises(ValueError, match=r"masks\[0\]: expected class numbers from 0 to 1, got 0 to 3"):
        segmenter.evaluate(x, np.full_like(y, 3) * (y > 0))


@pytest.mark.parametrize("weight", [None, pydl.tensor([0.5, 2.0, 1.0])])
@pytest.mark.parametrize("ignored", [255, -1, 1])
def test_the_loss_of_pixels_that_count(weight: Any, ignored: int) -> None:
    """It is that of PyTorch's definition, and 0, with gradients of 0, where none counts."""
    pydl.manual_seed(0)
    logits, masks = pydl.randn(2, 3, 4, 5, requires_grad=True), pydl.randint(0, 3, (2, 4, 5))
    masks[0, :2] = ignored
    loss = MaskLoss("cross_entropy", weight, ignored)
    assert loss(logits, masks).item() == pytest.approx(pydl.nn.functional.cross_entropy(logits, masks, weight, ignore_index=ignored).item(), rel=1e-6)
    for kind in ("cross_entropy", "dice", "both"):
        nothing = MaskLoss(kind, weight, ignored)(logits, masks * 0 + ignored)
        nothing.backward()
        assert nothing.item() == 0 and not logits.grad.any()


def test_a_window_in_which_nothing_counts() -> None:
    x, y = squares(4)
    y[1] = 255
    segmenter = Segmenter("UNet", widths=(8, 12), ignore_index=255)
    history = segmenter.fit(x, y, epochs=2, batch_size=1, loss="both", progress=False)
    assert np.isfinite(history["loss"]).all() and segmenter.classes == ["0", "1"]


def test_save_and_load(trained: Segmenter, tmp_path: Path) -> None:
    x, _ = squares(2)
    trained.save(tmp_path / "a.safetensors")
    again = Segmenter.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.predict_proba(x).numpy(), trained.predict_proba(x).numpy())        # type: ignore[union-attr]
    assert again.classes == ["0", "1"] and again.arguments == {"num_classes": 2, "channels": 1, "widths": [8, 12]}
    arch = json.loads(io.read_metadata(tmp_path / "a.safetensors")["pydl.arch"])
    for change in ({"arguments": {"widths": [[8, 12]]}}, {"arguments": {"widths": [8]}}, {"ignore_index": "x"}, {"classes": ["a", "b", "c"]}):
        if change == {"classes": ["a", "b", "c"]}:
            change["arguments"] = {"num_classes": 3, "channels": 1, "widths": [8, 12]}          # other weights than the file has
        io.save_model(trained.model, tmp_path / "b.safetensors", arch={"Segmenter": {**arch["Segmenter"], **change}})
        with pytest.raises(ValueError, match=r"b\.safetensors"):
            Segmenter.load(tmp_path / "b.safetensors")


def test_folders_of_images_and_masks(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    x, y = squares(3)
    for i in range(3):
        for part, pixels in (("image", x[i]), ("mask", y[i].astype(np.uint8) * 255)):
            (tmp_path / part).mkdir(exist_ok=True)
            images.write_png(pydl.from_numpy(pixels), tmp_path / part / f"{i}.png")
    data = datasets.SegmentationFolder(tmp_path / "image", tmp_path / "mask", values=(0, 255), mode="L")
    segmenter = trained_on(data, epochs=1, validation=data)
    assert segmenter.evaluate(data) == segmenter.evaluate(x, y)
    assert segmenter.predict(tmp_path / "image").shape == (3, 16, 16)       # type: ignore[union-attr]
    for i in range(3):
        images.write_png(pydl.from_numpy(y[i].astype(np.uint8)), tmp_path / "mask" / f"{i}.png")
    assert segmenter.evaluate(tmp_path / "image", tmp_path / "mask") == segmenter.evaluate(x, y)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        segmenter.evaluate(tmp_path / "image", tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"channels|RGB|colour"):
        Segmenter("UNet", channels=5).fit(tmp_path / "image", tmp_path / "mask")
    (tmp_path / "image" / "1.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"1\.png"):
        segmenter.predict(tmp_path / "image")


X, Y = squares(2)
BAD: list[tuple[Any, Any, type[Exception], str]] = [
    (X, Y[:, :15], ValueError, r"masks\[0\]: expected the size of its image, \(16, 16\), got \(15, 16\)"),
    (X, Y[:1], ValueError, "2 images and 1 masks"),
    (X, Y + 1, ValueError, r"from 0 to 1, got 1 to 2"),
    (X, Y - 1, ValueError, "from 0 to 1"),
    (X, Y.astype(np.float32), TypeError, "integers"),
    (X, Y[:, None], ValueError, r"\(H, W\)"),
    (X[:0], Y[:0], ValueError, "one or more"),
    (X[:, :0], Y[:, :0], ValueError, "pixels"),
    (X[0, 0], Y, ValueError, r"\(N, H, W\)"),
    (np.repeat(X[:, None], 3, 1), Y, ValueError, "expected 1 channel, got 3"),
    (X.astype(np.float64), Y, ValueError, "from 0 to 1"),
    (X, None, TypeError, "Dataset"),
    (TensorDataset(pydl.zeros(2, 1, 16, 16)), None, TypeError, "mask"),
    ({}, Y, TypeError, "images"),
    (X, 3, TypeError, "masks: expected integers .* got int"),
    (X.astype(np.uint16), Y, TypeError, "images: expected uint8, .* uint16"),
]


@pytest.mark.parametrize(("x", "y", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_examples(trained: Segmenter, x: Any, y: Any, error: type[Exception], message: str) -> None:
    for refuse in (trained.fit, trained.evaluate):
        with pytest.raises(error, match=f"(?s)Segmenter.*{message}"):
            refuse(x, y)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"crop": 0}, ValueError, "crop"), ({"repeats": 0}, ValueError, "repeats"), ({"repeats": 1.5}, TypeError, "repeats"),
    ({"augment": 3}, TypeError, "augment: expected a function"), ({"loss": "hinge"}, ValueError, "loss"),
    ({"class_weight": [1.0]}, ValueError, "class_weight"), ({"class_weight": [1.0, -1.0]}, ValueError, "class_weight"),
    ({"class_weight": "even"}, ValueError, "class_weight"), ({"crop": 15}, ValueError, "multiples of 2"),
    ({"loss": nn.CrossEntropyLoss(), "class_weight": [1.0, 1.0]}, ValueError, "class_weight")])
def test_bad_arguments_of_fit(trained: Segmenter, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        trained.fit(X, Y, progress=False, **options)


def test_bad_arguments(trained: Segmenter) -> None:
    for arguments in ({"views": 3}, {"overlap": -1}, {"tile": 8, "overlap": 8}, {"tile": 0}):
        with pytest.raises(ValueError, match="Segmenter.predict: "):
            trained.predict(X, **arguments)
    with pytest.raises(TypeError, match="ignore_index"):
        Segmenter(ignore_index=1.5)     # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected one of UNet"):
        Segmenter("LeNet5")
    with pytest.raises(RuntimeError, match="has not been trained"):
        Segmenter().predict(X)


# ---- Sheets

def test_views_are_turned_back() -> None:
    image = np.random.RandomState(0).rand(2, 5, 7)
    seen = [sheets.turned(image, view) for view in range(8)]
    assert len({one.tobytes() for one in seen}) == 8
    for view, one in enumerate(seen):
        np.testing.assert_array_equal(sheets.turned_back(one, view), image)
    np.testing.assert_allclose(sheets.averaged(image, lambda x: 2 * x, 1, None, 0, 8), 2 * image, rtol=1e-6)


@pytest.mark.parametrize(("height", "width", "tile", "overlap", "multiple"), [(13, 17, (8, 8), 3, 4), (8, 8, (8, 8), 2, 8), (30, 5, (10, 4), 0, 1),
                                                                            (9, 40, (20, 16), 15, 3), (3, 3, None, 0, 8)])
def test_tiles_of_a_pointwise_answer(height: int, width: int, tile: Any, overlap: int, multiple: int) -> None:
    image = np.random.RandomState(0).rand(1, height, width).astype(np.float32)

    def answer(x: np.ndarray) -> np.ndarray:
        assert x.shape[1] % multiple == 0 == x.shape[2] % multiple
        assert tile is None or x.shape[1] < tile[0] + multiple and x.shape[2] < tile[1] + multiple
        return np.concatenate([x, x**2])

    found = sheets.averaged(image, answer, multiple, tile, overlap, 1)
    np.testing.assert_allclose(found, np.concatenate([image, image**2]), rtol=1e-5)


def test_tiles_of_a_model_agree_inside(trained: Segmenter) -> None:
    x, _ = squares(1, 48, 48)
    whole, tiled = (trained.predict_proba(x, tile=tile, overlap=12).numpy() for tile in (None, 32))        # type: ignore[union-attr]
    assert np.abs(whole - tiled).max() < 0.5 and np.abs(whole - tiled).mean() < 0.01


def test_starts() -> None:
    for length, size, overlap in ((100, 30, 10), (31, 30, 29), (30, 30, 3), (64, 32, 0), (65, 32, 0)):
        found = sheets.starts(length, size, overlap)
        assert found[0] == 0 and found[-1] == length - size
        assert all(b - a <= max(size - overlap, 1) and b > a for a, b in zip(found, found[1:], strict=False))
