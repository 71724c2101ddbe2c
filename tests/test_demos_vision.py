"""Demos with pictures, in tiny configurations, within this process."""

import importlib.util
import json

import numpy as np
import pytest

import pydl
from pydl.__main__ import main
from pydl.demos import detect
from pydl.demos.scenes import INK, digit_scenes
from pydl.vision.images import write_png

MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
VOC = """<annotation><size><width>64</width><height>48</height></size>
<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object></annotation>"""


def result(capsys, *arguments):
    assert main(["demo", *arguments, "--json"]) == 0
    said = capsys.readouterr()
    assert "training" in said.err
    return json.loads(said.out)


def test_detect_digits(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("PYDL_DATA", raising=False)
    monkeypatch.setattr(detect, "SCENES", (8, 4))
    monkeypatch.setattr(detect, "SCENE_SIZE", (48, 64))
    found = result(capsys, "detect", "--epochs", "1", "--out", str(tmp_path))
    assert list(found["figures"]) == ["mAP@.5", "mAP@.75", "train seconds", "epochs"] and found["figures"]["epochs"]["value"] == 1
    assert 0 <= found["figures"]["mAP@.75"]["value"] <= found["figures"]["mAP@.5"]["value"] <= 1
    assert "scenes composed of the embedded digits" in found["notes"][0]
    if MATPLOTLIB:
        assert (tmp_path / "detect.png").read_bytes().startswith(b"\x89PNG")


def test_detect_cells(tmp_path, monkeypatch, capsys):
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / "bccd" / folder).mkdir(parents=True)
    stream = np.random.RandomState(0)
    for name in ("a", "b", "c"):
        write_png(pydl.from_numpy(stream.randint(0, 255, (3, 48, 64)).astype(np.uint8)), tmp_path / f"bccd/JPEGImages/{name}.png")
        (tmp_path / f"bccd/Annotations/{name}.xml").write_text(VOC.format("RBC", 10, 10, 40, 40))
    (tmp_path / "bccd/ImageSets/Main/trainval.txt").write_text("a\nb\n")
    (tmp_path / "bccd/ImageSets/Main/test.txt").write_text("c\n")
    monkeypatch.setenv("PYDL_DATA", str(tmp_path))
    monkeypatch.setattr(detect, "SIZE", (32, 48))
    found = result(capsys, "detect", "--epochs", "1", "--out", str(tmp_path))
    assert not [note for note in found["notes"] if "digits" in note]
    (tmp_path / "bccd/JPEGImages/b.png").write_bytes(b"no image")
    assert main(["demo", "detect", "--data", str(tmp_path / "bccd"), "--out", str(tmp_path)]) == 1
    assert "b.png" in capsys.readouterr().err


def test_detect_without_its_folder(tmp_path, capsys):
    assert main(["demo", "detect", "--data", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["demo", "detect", "--epochs", "0"])


def test_scenes():
    pictures, targets = digit_scenes(6, (64, 96), seed=3)
    again, others = digit_scenes(6, (64, 96), seed=3)
    assert np.array_equal(pictures, again) and all(np.array_equal(a["boxes"], b["boxes"]) for a, b in zip(targets, others, strict=True))
    assert not np.array_equal(pictures, digit_scenes(6, (64, 96), seed=3, test=True)[0])
    for picture, target in zip(pictures, targets, strict=True):
        boxes, ink = target["boxes"], target["masks"]
        assert picture.shape == (1, 64, 96) and 1 <= len(boxes) == len(target["labels"]) <= 6
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [96, 64]).all() and 0 < ink.mean() < 0.5 and set(np.unique(ink)) == {0, 1}
        for x1, y1, x2, y2 in boxes.astype(int):        # ink at all four edges
            own = ink[y1:y2, x1:x2]
            assert own[0].any() and own[-1].any() and own[:, 0].any() and own[:, -1].any()
        assert picture[0][ink > 0].mean() > picture[0][ink == 0].mean() + INK / 2
