"""Data sets of image files: made in a folder of the test, and the real ones where PYDL_DATA has them."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import pydl
from pydl.data import DataLoader
from pydl.vision import datasets, images
from pydl.vision import transforms as T

pytest.importorskip("PIL.Image")


def save(path: Path, *shape: int, value: int | None = None) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(len(str(path))).integers(0, 256, shape).astype(np.uint8) if value is None else np.full(shape, value, np.uint8)
    images.write_png(pydl.from_numpy(x), path)
    return x


def voc(folder: Path, *, objects: str = "", size: tuple[int, int] = (8, 6), names: str = "a\nb  1\n\n", extra: str = "") -> Path:
    for name in ("a", "b"):
        save(folder / "JPEGImages" / f"{name}.png", 3, 6, 8)
        item = "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object>"
        more = "<object><name>dog</name><difficult>1</difficult><bndbox><xmin>0.5</xmin><ymin>0</ymin><xmax>9</xmax><ymax>3</ymax></bndbox></object>"
        path = folder / "Annotations" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{extra}<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{objects or item + (more if name == 'b' else '')}</annotation>")
    path = folder / "ImageSets" / "Main" / "train.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(names)
    return folder


def test_voc(tmp_path: Path) -> None:
    data = datasets.VOCDetection(voc(tmp_path), cache=True)
    assert len(data) == 2 and data.classes == ["cat", "dog"] and data.ids == ["a", "b"]
    image, target = data[1]
    assert image.shape == (3, 6, 8) and image.dtype == pydl.uint8 and target["image_id"] == 1
    assert target["boxes"].tolist() == [[1, 2, 5, 6], [0.5, 0, 8, 3]]      # cut at the image's edge
    assert target["labels"].tolist() == [0, 1] and target["difficult"].tolist() == [False, True]
    target["boxes"] = None
    assert data[1][1]["boxes"] is not None and data[1][0] is image and data[-1][0] is image
    data.transforms = T.Compose([T.RandomHorizontalFlip(1.0), T.ToDtype(pydl.float32, scale=True)])
    flipped, target = data[0]
    assert target["boxes"].tolist() == [[3, 2, 7, 6]] and np.abs(flipped.numpy() * 255 - data.raw(0)[0].numpy()[:, :, ::-1]).max() < 1e-4
    batches = list(DataLoader(data, 2, collate_fn=datasets.collate, num_workers=2))
    assert batches[0][0].shape == (2, 3, 6, 8) and [len(t["labels"]) for t in batches[0][1]] == [1, 2]
    assert datasets.VOCDetection(tmp_path, classes=["dog", "bird", "cat"])[0][1]["labels"].tolist() == [2]
    with pytest.raises(ValueError, match=r"b\.xml: objects of classes \['dog'\]"):
        datasets.VOCDetection(tmp_path, classes=["cat"])
    with pytest.raises(IndexError, match="index 2"):
        data[2]


BOX = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


@pytest.mark.parametrize("change, error, match", [
    ({"objects": BOX.format("cat", 5, 2, 5, 6)}, ValueError, "no area"),
    ({"objects": BOX.format("cat", 1, 2, 12, 6)}, ValueError, "outside of the image of 8 x 6"),
    ({"objects": BOX.format("cat", "nan", 2, 5, 6)}, ValueError, "outside"),
    ({"objects": BOX.format("cat", "x", 2, 5, 6)}, ValueError, "expected a number in <bndbox/xmin>, got 'x'"),
    ({"objects": BOX.format("", 1, 2, 5, 6)}, ValueError, "without a name"),
    ({"objects": "<object><name>cat</name></object>"}, ValueError, "expected a number"),
    ({"objects": "<object>"}, ValueError, "damaged XML"),
    ({"size": (0, 6)}, ValueError, "0 x 6 pixels"),
    ({"size": (8, "nan")}, ValueError, "8 x nan pixels"),
    ({"size": ("inf", 6)}, ValueError, "inf x 6 pixels"),
    ({"extra": '<!DOCTYPE a [<!ENTITY b "bb">]>'}, ValueError, "refused"),
    ({"names": "c\n"}, FileNotFoundError, r"c\.xml"),
    ({"names": "../a\n"}, ValueError, "without a folder"),
])
def test_bad_annotations_are_named(tmp_path: Path, change: dict, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        datasets.VOCDetection(voc(tmp_path, **change))
    assert str(tmp_path) in str(caught.value)


def test_more_of_voc(tmp_path: Path) -> None:
    assert datasets.VOCDetection(voc(tmp_path, objects=BOX.format("cat", 5, 2, 5, 6)), empty="drop")[0][1]["boxes"].shape == (0, 4)
    with pytest.raises(ValueError, match=r"a\.png has 6 x 8 pixels, but .*a\.xml says 5 x 9"):
        datasets.VOCDetection(voc(tmp_path, size=(9, 5)))[0]
    with pytest.raises(FileNotFoundError, match=r"val\.txt"):
        datasets.VOCDetection(tmp_path, "val")
    (tmp_path / "Annotations" / "a.xml").write_bytes("<annotation/>".encode("utf-16"))
    with pytest.raises(ValueError, match="UTF-8"):
        datasets.VOCDetection(tmp_path)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"VOCDetection: .*val\.txt: expected text in UTF-8"):
        datasets.VOCDetection(tmp_path, "val")
    os.unlink(voc(tmp_path) / "JPEGImages" / "a.png")
    with pytest.raises(FileNotFoundError, match="no image"):
        datasets.VOCDetection(tmp_path)[0]


def test_image_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = save(tmp_path / "cat" / "2.png", 3, 4, 5)
    save(tmp_path / "cat" / "10.png", 3, 4, 5)
    save(tmp_path / "ant" / "x.png", 3, 4, 5)
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    data = datasets.ImageFolder(tmp_path, transform=T.RandomHorizontalFlip(1.0), target_transform=lambda i: 10 * i, cache=True)
    assert data.classes == ["ant", "cat"] and data.targets == [0, 1, 1] and [os.path.basename(f) for f, _ in data.samples] == ["x.png", "2.png", "10.png"]
    image, label = data[1]
    assert np.array_equal(image.numpy(), first[:, :, ::-1]) and label == 10
    x, y = next(iter(DataLoader(data.load(), 3)))
    assert x.shape == (3, 3, 4, 5) and y.tolist() == [0, 10, 10] and "ImageFolder" in capfd.readouterr().err
    (tmp_path / "cat" / "2.png").write_bytes(b"damaged")
    assert data[1][1] == 10     # it is in memory
    with pytest.raises(ValueError, match=r"2\.png: not an image"):
        datasets.ImageFolder(tmp_path)[1]
    with pytest.raises(ValueError, match="cache=True"):
        datasets.ImageFolder(tmp_path).load()
    (tmp_path / "bee").mkdir()
    with pytest.raises(ValueError, match="bee: no images"):
        datasets.ImageFolder(tmp_path)
    with pytest.raises(FileNotFoundError):
        datasets.ImageFolder(tmp_path / "none")
    with pytest.raises(ValueError, match="folder for each class"):
        datasets.ImageFolder(tmp_path / "bee")


def test_segmentation_folder(tmp_path: Path) -> None:
    for i in (2, 10, 1):
        save(tmp_path / "x" / f"{i}.png", 1, 4, 6)
        save(tmp_path / "y" / f"{i}.png", 4, 6, value=255 if i == 2 else 0)
    data = datasets.SegmentationFolder(tmp_path / "x", tmp_path / "y", values=(0, 255), mode="L")
    assert [os.path.basename(f) for f in data.images] == ["1.png", "2.png", "10.png"]
    image, target = data[1]
    assert image.shape == (1, 4, 6) and target["masks"].dtype == pydl.uint8 and target["masks"].unique().tolist() == [1] and data[0][1]["masks"].unique().tolist() == [0]
    assert datasets.SegmentationFolder(data.images, data.masks)[1][1]["masks"].unique().tolist() == [255]
    x, y = next(iter(DataLoader(data, 3)))
    assert x.shape == (3, 1, 4, 6) and y["masks"].shape == (3, 4, 6)
    with pytest.raises(ValueError, match=r"2\.png: expected the values \[0, 1\], got \[255\]"):
        datasets.SegmentationFolder(tmp_path / "x", tmp_path / "y", values=(0, 1))[1]
    save(tmp_path / "y" / "1.png", 4, 5)
    with pytest.raises(ValueError, match=r"1\.png has 4 x 6 pixels, but .*1\.png 4 x 5"):
        datasets.SegmentationFolder(tmp_path / "x", tmp_path / "y")[0]
    os.unlink(tmp_path / "y" / "1.png")
    with pytest.raises(ValueError, match=r"without a partner: \['1'\]"):
        datasets.SegmentationFolder(tmp_path / "x", tmp_path / "y")
    with pytest.raises(FileNotFoundError):
        datasets.SegmentationFolder(tmp_path / "x", tmp_path / "z")
    with pytest.raises(ValueError, match="values must be different"):
        datasets.SegmentationFolder(tmp_path / "x", tmp_path / "y", values=(0, 0))


def test_named_sets_say_where_they_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYDL_DATA", raising=False)
    for make, name in ((datasets.bccd, "bccd"), (datasets.membrane, "membrane")):
        with pytest.raises(FileNotFoundError, match=f"{name}: where is the data"):
            make()
    with pytest.raises(ValueError, match="images and labels 0 to 29"):
        save(tmp_path / "image" / "0.png", 4, 4)
        save(tmp_path / "label" / "0.png", 4, 4)
        datasets.membrane(root=tmp_path)


@pytest.mark.skipif(not os.path.isdir(os.path.join(os.environ.get("PYDL_DATA", ""), "bccd")), reason="PYDL_DATA/bccd is not there")
def test_bccd() -> None:
    sizes = {split: datasets.bccd(split) for split in ("train", "val", "test")}
    assert [len(data) for data in sizes.values()] == [205, 87, 72]
    assert sum(len(labels) for data in sizes.values() for labels in data.labels) == 4888 - 2
    image, target = sizes["test"][3]
    assert image.shape == (3, 480, 640) and target["boxes"].numpy().max() <= 640 and set(target["labels"].tolist()) <= {0, 1, 2}


@pytest.mark.skipif(not os.path.isdir(os.path.join(os.environ.get("PYDL_DATA", ""), "membrane")), reason="PYDL_DATA/membrane is not there")
def test_membrane() -> None:
    train, test = datasets.membrane(), datasets.membrane(train=False)
    assert len(train) == 24 and len(test) == 6 and os.path.basename(test.images[0]) == "24.png" == os.path.basename(test.masks[0])
    image, target = test[0]
    assert image.shape == (1, 512, 512) and target["masks"].unique().tolist() == [0, 1] and 0.6 < target["masks"].numpy().mean() < 0.9
