"""The demos that train convolutional networks on images, in tiny configurations, within this process."""
from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pydl
from pydl.__main__ import main
from pydl.demos import digits, mnist, segment
from pydl.demos.harness import Stage
from pydl.vision import transforms as T
from pydl.vision.images import write_png

MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["demo", *arguments, "--json"]) == 0
    said = capsys.readouterr()
    assert "training" in said.err
    return json.loads(said.out)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "SCENES", (8, 4))
    monkeypatch.setattr(segment, "SCENE_SIZE", (48, 64))
    monkeypatch.setattr(segment, "SIDES", (20, 30))
    monkeypatch.setattr(segment, "WIDTHS", (8, 8))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture: other tests look at the one that the demo draws."""
    monkeypatch.setattr(Stage, "plot", lambda *_: None)


def test_segment_scenes(tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("PYDL_DATA", raising=False)
    options = ("segment", "--epochs", "2", "--seed", "3", "--out", str(tmp_path))
    runs = [result(capsys, *options, "--threads", "2")]
    with monkeypatch.context() as undrawn:
        undrawn.setattr(Stage, "plot", lambda *_: None)
        runs.append(result(capsys, *options, "--threads", "1"))
    figures = runs[0]["figures"]
    assert list(figures) == ["pixel accuracy", "foreground IoU", "pixel accuracy of a 5x5 mean and a threshold",
                             "foreground IoU of a 5x5 mean and a threshold", "train seconds"]
    assert 0 <= figures["pixel accuracy"]["value"] <= 1 and "scenes composed of the embedded digits" in runs[0]["notes"][0]
    assert {**figures, "train seconds": 0} == {**runs[1]["figures"], "train seconds": 0}
    if MATPLOTLIB:
        assert (tmp_path / "segment.png").read_bytes().startswith(b"\x89PNG")


def membranes(folder: Path) -> None:
    stream = np.random.RandomState(0)
    for part in ("image", "label"):
        (folder / part).mkdir(parents=True)
    for i in range(30):
        mask = stream.uniform(size=(48, 40)) < 0.8
        image = np.where(mask, 170, 60) + stream.randint(-40, 40, mask.shape)
        write_png(pydl.from_numpy(image.astype(np.uint8)), folder / "image" / f"{i}.png")
        write_png(pydl.from_numpy(mask.astype(np.uint8) * np.uint8(255)), folder / "label" / f"{i}.png")


def test_segment_membranes(tmp_path: Path, tiny: None, undrawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL.Image")
    monkeypatch.setenv("PYDL_DATA", str(tmp_path))
    monkeypatch.setattr(segment, "CROP", 24)
    monkeypatch.setattr(segment, "REPEATS", 1)
    membranes(tmp_path / "membrane")
    found = result(capsys, "segment", "--epochs", "1", "--out", str(tmp_path))
    assert "membrane IoU" in found["figures"] and not [note for note in found["notes"] if "digits" in note]
    (tmp_path / "membrane" / "label" / "7.png").write_bytes(b"no image")
    for arguments in ([], ["--data", str(tmp_path / "membrane")], ["--data", str(tmp_path / "nowhere")]):
        assert main(["demo", "segment", "--out", str(tmp_path), *arguments]) == 1
        said = capsys.readouterr().err
        assert ("nowhere" if "nowhere" in str(arguments) else "7.png") in said and "Traceback" not in said


def test_segment_baseline() -> None:
    """Light objects, or dark ones: the threshold that is best on the training images is found, and which side is which."""
    masks = np.zeros((2, 12, 12), np.uint8)
    masks[:, 3:9, 2:10] = 1
    for light, dark in ((200, 30), (30, 200)):
        images = np.where(masks == 1, light, dark).astype(np.uint8)
        task = segment.Task(images, masks, images, masks, ("a", "b"), 1, T.RandomHorizontalFlip(), 2, 1, (1.0, 1.0), (1, 1))
        found = segment.baseline(task)
        assert (found == masks).mean() > 0.94
        assert segment.object_iou(found, masks.astype(np.int64), 1) == ((found == 1) & (masks == 1)).sum() / ((found == 1) | (masks == 1)).sum()
    mean = segment.smoothed(np.arange(36, dtype=np.uint8).reshape(1, 6, 6))[0]
    assert mean[2, 2] == 14 and mean[0, 0] == 7           # of the pixels that there are


def test_digits_cnn(tmp_path: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(digits.EPOCHS, "cnn", 1)
    found = result(capsys, "digits", "--model", "cnn", "--out", str(tmp_path))
    assert 75 < found["figures"]["test accuracy"]["value"] <= 100


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes())


def test_mnist_lenet(tmp_path: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(mnist.EPOCHS, "lenet", 2)
    labels = np.arange(512) % 10
    pictures = np.random.RandomState(0).randint(0, 60, (512, 16, 16)) + 100 * (np.arange(16) % 11 == labels[:, None])[:, :, None]
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", pictures)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    found = result(capsys, "mnist", "--model", "lenet", "--data", str(tmp_path), "--out", str(tmp_path))
    assert found["figures"]["test accuracy"]["value"] > 15
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", pictures[:, :, :15])
    assert main(["demo", "mnist", "--model", "lenet", "--data", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "expected square images" in capsys.readouterr().err
    pydl.manual_seed(0)
    assert sum(p.numel() for p in mnist.training(9, model="lenet").model.parameters()) == 244362
