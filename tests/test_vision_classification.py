"""vision.Classifier: learns, keeps, loads and refuses."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import io, nn
from pydl.data import TensorDataset
from pydl.vision import Classifier, images
from pydl.vision import transforms as T
from pydl.vision.tasks import Normalisation


def stripes(n: int, side: int = 12, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images with a bright row (class 0) or column (class 1): (n, channels, side, side) uint8, (n,)."""
    stream = np.random.RandomState(n)
    x, y = stream.randint(0, 90, (n, channels, side, side)).astype(np.uint8), np.arange(n) % 2
    for i, at in enumerate(stream.randint(1, side - 1, n)):
        x[i, :, at] += 150 * (1 - y[i]).astype(np.uint8)
        x[i, :, :, at] += 150 * y[i].astype(np.uint8)
    return x, y


def small(channels: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 36, 2))


@pytest.fixture(scope="module")
def trained() -> Classifier:
    pydl.manual_seed(0)
    classifier = Classifier("LeNet5", ["row", "column"])
    x, y = stripes(128)
    history = classifier.fit(x, y, epochs=10, batch_size=16, lr=4e-3, validation=stripes(40), progress=False)
    assert len(history) == 10 and history["val_accuracy"][-1] > 0.9 and history["loss"][-1] < history["loss"][0]
    return classifier


def test_learns_and_answers(trained: Classifier) -> None:
    x, y = stripes(50)
    found = trained.evaluate(x, y)
    assert found["accuracy"] > 0.9 and "top5" not in found and 0 < found["loss"] < 0.5
    predicted, shares = trained.predict(x), trained.predict_proba(x)
    assert predicted.dtype == pydl.int64 and shares.shape == (50, 2)
    np.testing.assert_array_equal(predicted.numpy(), shares.numpy().argmax(1))
    assert (predicted.numpy() == y).mean() == found["accuracy"]
    np.testing.assert_allclose(shares.numpy().sum(1), 1, rtol=1e-6)
    assert trained.arguments == {"num_classes": 2, "channels": 1, "image_size": 12} and trained.size == (12, 12)
    assert trained.model is not None and trained.model.training         # evaluation was lent


def test_the_same_from_every_form(trained: Classifier, tmp_path: Path) -> None:
    x, _ = stripes(6)
    expected = trained.predict_proba(x).numpy()
    forms: list[Any] = [pydl.from_numpy(x), x[:, 0], x.astype(np.float32) / 255, [one[0] for one in x], [pydl.from_numpy(one) for one in x]]
    for form in forms:
        np.testing.assert_array_equal(trained.predict_proba(form).numpy(), expected)
    np.testing.assert_allclose(trained.predict_proba(x, batch_size=4).numpy(), expected, atol=1e-6)
    larger = [np.kron(one[0], np.ones((k, k), np.uint8)) for one, k in zip(x, (1, 2, 3, 1, 2, 3), strict=True)]
    np.testing.assert_allclose(trained.predict_proba(larger).numpy(), expected, atol=0.25)
    pytest.importorskip("PIL.Image")
    for i, one in enumerate(x):
        images.write_png(pydl.from_numpy(one), tmp_path / f"{i}.png")
    np.testing.assert_array_equal(trained.predict_proba(tmp_path).numpy(), expected)
    np.testing.assert_allclose(trained.predict_proba([tmp_path / "2.png"]).numpy(), expected[2:3], atol=1e-6)


def test_save_and_load(trained: Classifier, tmp_path: Path) -> None:
    x, _ = stripes(7)
    trained.save(tmp_path / "a.safetensors")
    again = Classifier.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.predict_proba(x).numpy(), trained.predict_proba(x).numpy())
    assert again.classes == ["row", "column"] and again.size == (12, 12) and repr(again) == "Classifier(LeNet5, 2 classes)"
    again.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    pydl.manual_seed(1)
    x, y = stripes(64, channels=3)
    classifier = Classifier(small(3))
    classifier.fit(TensorDataset(pydl.from_numpy(x), pydl.from_numpy(y)), epochs=6, lr=1e-2, batch_size=16, augment=T.RandomVerticalFlip(),
                   progress=False)
    assert classifier.evaluate(x, y)["accuracy"] > 0.9 and classifier.classes == ["0", "1"]
    classifier.save(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"own.safetensors: .*model="):
        Classifier.load(tmp_path / "own.safetensors")
    again = Classifier.load(tmp_path / "own.safetensors", model=small(3))
    np.testing.assert_array_equal(again.predict(x).numpy(), classifier.predict(x).numpy())


def test_arrays_with_their_planes_first() -> None:
    """A list of an array's images is the array, in training as well, where the number of channels is not known yet."""
    x, y = stripes(8, 16, 3)
    for form in (x, list(x), [one.transpose(1, 2, 0) for one in x], [pydl.from_numpy(one) for one in x]):
        pydl.manual_seed(0)
        classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)))
        classifier.fit(form, y, epochs=1, progress=False)
        found = classifier.predict_proba(list(x)).numpy()
        np.testing.assert_array_equal(found, classifier.predict_proba(x).numpy())
    assert classifier.channels == 3


def test_the_model_is_chosen_by_the_images() -> None:
    for shape, model in (((1, 20, 20), "LeNet5"), ((3, 8, 8), "CifarResNet"), ((1, 8, 9), "CifarResNet")):
        classifier = Classifier()
        classifier.fit(np.zeros((2, *shape), np.uint8), [0, 6], epochs=1, batch_size=2, progress=False)
        assert classifier.name == model and classifier.predict_proba(np.zeros((1, *shape), np.uint8)).shape == (1, 7)
        assert "top5" in classifier.evaluate(np.zeros((2, *shape), np.uint8), [0, 6])


def test_folders(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    x, y = stripes(8)
    for i, (one, name) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "data" / "ab"[name]).mkdir(parents=True, exist_ok=True)
        images.write_png(pydl.from_numpy(np.repeat(one, 3, 0)), tmp_path / "data" / "ab"[name] / f"{i}.png")
    classifier = Classifier(small(3), size=12)
    history = classifier.fit(tmp_path / "data", validation=tmp_path / "data", epochs=2, progress=False)
    assert classifier.classes == ["a", "b"] and "val_accuracy" in history
    assert set(classifier.evaluate(tmp_path / "data")) == {"accuracy", "loss"}
    (tmp_path / "data" / "a" / "0.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"0\.png"):
        classifier.evaluate(tmp_path / "data")
    (tmp_path / "data" / "c").mkdir()
    with pytest.raises(ValueError, match=r"data.c: no images"):
        classifier.fit(tmp_path / "data")
    with pytest.raises(ValueError, match="no images"):
        classifier.predict(tmp_path / "data" / "c")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        classifier.fit(tmp_path / "nowhere")
    images.write_png(pydl.from_numpy(x[0]), tmp_path / "data" / "c" / "x.png")
    (tmp_path / "data" / "a" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"expected the classes \['a', 'b'\], got \['a', 'b', 'c'\]"):
        classifier.evaluate(tmp_path / "data")


def test_normalisation() -> None:
    stream = np.random.RandomState(3)
    x = stream.randint(0, 256, (5, 2, 6, 7)).astype(np.uint8)
    x[:, 1] = 77
    normalisation = Normalisation.of([pydl.from_numpy(x[:2]), pydl.from_numpy(x[2:])])
    np.testing.assert_allclose(normalisation.mean, x.mean((0, 2, 3)) / 255)
    np.testing.assert_allclose(normalisation.std, [x[:, 0].std() / 255, 1])
    y = normalisation(pydl.from_numpy(x)).numpy()
    assert y.dtype == np.float32 and abs(y[:, 0].mean()) < 1e-6 and abs(y[:, 0].std() - 1) < 1e-6 and np.abs(y[:, 1]).max() < 1e-6


def test_another_fit_goes_on() -> None:
    x, y = stripes(16)
    classifier = Classifier(small())
    classifier.fit(x, y, epochs=1, progress=False)
    model, mean = classifier.model, classifier.normalisation
    classifier.fit(x // 2, y, epochs=1, progress=False)
    assert classifier.model is model and classifier.normalisation is mean


BAD: list[tuple[Any, Any, type[Exception], str]] = [
    (np.zeros((2, 1, 12, 0), np.uint8), [0, 1], ValueError, "without pixels"),
    (np.zeros((0, 1, 12, 12), np.uint8), [], ValueError, "one or more"),
    (np.zeros((2, 12), np.uint8), [0, 1], ValueError, "expected"),
    (np.zeros((2, 1, 12, 12), np.uint8), [0, 2], ValueError, r"labels: expected 0 to 1, got 0 to 2"),
    (np.zeros((2, 1, 12, 12), np.uint8), [0, -1], ValueError, "labels: expected 0 to 1"),
    (np.zeros((2, 1, 12, 12), np.uint8), [0.0, 1.0], TypeError, "integers"),
    (np.zeros((2, 1, 12, 12), np.uint8), [[0], [1]], ValueError, r"\(N,\)"),
    (np.zeros((3, 1, 12, 12), np.uint8), [0, 1], ValueError, "3 images and 2 labels"),
    (np.full((2, 1, 12, 12), np.nan), [0, 1], ValueError, "from 0 to 1"),
    (np.full((2, 1, 12, 12), 7.0), [0, 1], ValueError, "from 0 to 1"),
    (np.zeros((2, 1, 12, 12), np.int32), [0, 1], TypeError, "uint8"),
    (np.zeros((2, 3, 12, 12), np.uint8), [0, 1], ValueError, "expected 1 channel, got 3"),
    ([np.zeros((12, 12), np.uint8), np.zeros((0, 12), np.uint8)], [0, 1], ValueError, r"images\[1\]"),
    ([], [], ValueError, "one or more"),
    (np.zeros((2, 1, 12, 12), np.uint8), None, TypeError, "labels"),
    (TensorDataset(pydl.zeros(2, 1, 12, 12)), None, TypeError, "class number"),
    (7, [0], TypeError, "images"),
    (np.zeros((1, 1, 12, 12), np.uint8), 3, TypeError, r"labels: expected class numbers \(N,\), got int"),
    (np.zeros((2, 1, 12, 12), np.uint16), [0, 1], TypeError, "images: expected uint8, .* uint16"),
]


@pytest.mark.parametrize(("x", "y", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_examples(trained: Classifier, x: Any, y: Any, error: type[Exception], message: str) -> None:
    for refuse in (trained.fit, trained.evaluate):
        with pytest.raises(error, match=f"(?s)Classifier.*{message}"):
            refuse(x, y)


def test_bad_arguments(trained: Classifier) -> None:
    for arguments, error, message in (
            (("LeNet6",), ValueError, "LeNet5"), ((3,), TypeError, "Module"), ((None, 1), ValueError, "two or more"),
            ((None, "ab"), TypeError, "names"), ((None, ["a", "a"]), ValueError, "different")):
        with pytest.raises(error, match=message):
            Classifier(*arguments)
    with pytest.raises(TypeError, match="made already"):
        Classifier(small(), width=2)
    with pytest.raises(TypeError, match="no argument wide"):
        Classifier("LeNet5", wide=2)
    with pytest.raises(ValueError, match="size"):
        Classifier(size=0)
    for what in ("save", "predict", "predict_proba", "evaluate"):
        with pytest.raises(RuntimeError, match=f"Classifier.{what}: it has not been trained"):
            getattr(Classifier("LeNet5"), what)("x", *([] if what != "evaluate" else [[0]]))
    small_images = Classifier("LeNet5")
    with pytest.raises(ValueError, match="image_size of 12 or more"):
        small_images.fit(np.zeros((2, 8, 8), np.uint8), [0, 5], progress=False)
    assert vars(small_images) == vars(Classifier("LeNet5"))
    x, y = stripes(4)
    for what in (trained.predict, trained.predict_proba):
        with pytest.raises(TypeError, match=r"Classifier.predict\w*: batch_size: expected an int"):
            what(x, batch_size=1.5)
    with pytest.raises(TypeError, match="Classifier.fit: augment: expected a function"):
        Classifier("LeNet5").fit(x, y, augment=3)
    for option in ({"epochs": 0}, {"batch_size": 0}, {"lr": -1.0}):
        with pytest.raises(ValueError):
            trained.fit(x, y, progress=False, **option)


@pytest.mark.parametrize("change", [
    {"mean": [0.1, 0.2]}, {"std": [0.0]}, {"std": [float("1e9")]}, {"classes": [1]}, {"classes": ["a"]}, {"model": "Sequential"}, {"model": None},
    {"arguments": {"wide": 1}}, {"arguments": {"width": "2"}}, {"arguments": {"width": 10**9}}, {"size": [0, 3]}, {"shape": 3}, {"mean": None}])
def test_files_that_say_something_else(trained: Classifier, tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "a.safetensors"
    trained.save(path)
    arch = json.loads(io.read_metadata(path)["pydl.arch"])
    arch["Classifier"].update(change)
    io.save_model(trained.model, path, arch=arch)
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        Classifier.load(path)


def test_files_of_something_else(trained: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for arch in (None, 3, {"Segmenter": {}}, {"Classifier": 1}, {"Classifier": {}}):
        io.save_model(trained.model, path, arch=arch)
        with pytest.raises(ValueError, match=r"a\.safetensors"):
            Classifier.load(path)
    trained.save(path)
    arch = json.loads(io.read_metadata(path)["pydl.arch"])
    io.save_model(nn.Linear(2, 3), path, arch=arch)
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        Classifier.load(path)
    os.truncate(path, 50)
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        Classifier.load(path)
