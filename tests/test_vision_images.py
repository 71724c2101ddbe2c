"""Image files and drawing: what is read, what is refused, what is drawn."""
from __future__ import annotations

import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import pydl
from pydl.vision import draw, images

Image = pytest.importorskip("PIL.Image")


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def test_png_there_and_back(tmp_path: Path) -> None:
    for channels, mode in ((3, "RGB"), (1, "L"), (4, "RGBA"), (2, "LA")):
        x = pydl.from_numpy(picture(channels, 5, 7))
        images.write_png(x, tmp_path / "a.png")
        assert images.read_image(tmp_path / "a.png", mode).equal(x) and images.read_image(tmp_path / "a.png", None).equal(x)
    images.write_png(x[0], tmp_path / "a.png", compression_level=0)
    assert images.read_image(tmp_path / "a.png").shape == (3, 5, 7)
    for bad, error in ((pydl.zeros(3, 0, 2, dtype=pydl.uint8), ValueError), (pydl.zeros(5, 2, 2, dtype=pydl.uint8), ValueError),
                       (pydl.zeros(3, 2, 2, dtype=pydl.int64), TypeError)):
        with pytest.raises(error, match="write_png"):
            images.write_png(bad, tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_modes(tmp_path: Path) -> None:
    x = picture(4, 6, 3)
    Image.fromarray(x).save(tmp_path / "a.png")
    assert np.array_equal(images.read_image(tmp_path / "a.png").numpy(), x.transpose(2, 0, 1))
    assert np.abs(images.read_image(tmp_path / "a.png", "L").numpy()[0] - x @ [0.299, 0.587, 0.114]).max() <= 1
    Image.fromarray(x[:, :, 0] > 99).save(tmp_path / "one.png")
    assert set(images.read_image(tmp_path / "one.png", "L").numpy().flat) == {0, 255}
    indices = Image.new("P", (6, 4))
    indices.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    indices.putdata((x[:, :, 0] % 3).ravel().tolist())
    indices.save(tmp_path / "p.png")
    assert np.array_equal(images.read_image(tmp_path / "p.png", "P").numpy()[0], x[:, :, 0] % 3)
    with pytest.raises(ValueError, match=r"p\.png: a palette image: .*mode='P'"):
        images.read_image(tmp_path / "p.png")
    with pytest.raises(ValueError, match=r"a\.png: mode='P' is for indices"):
        images.read_image(tmp_path / "a.png", "P")
    with pytest.raises(ValueError, match="mode must be"):
        images.read_image(tmp_path / "a.png", "CMYK")
    Image.fromarray(x).convert("CMYK").save(tmp_path / "c.jpg")
    assert images.read_image(tmp_path / "c.jpg").shape == (3, 4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_honoured(tmp_path: Path, orientation: int) -> None:
    upright = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    stored = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T, 6: np.rot90(upright, 1), 7: upright[::-1, ::-1].T,
              8: np.rot90(upright, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(images.read_image(tmp_path / "a.png", "L").numpy()[0], upright)


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(width: int, height: int, bits: int = 8, kind: int = 2) -> bytes:
    header = chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([bits, kind, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name, data, match", [
    ("empty.png", b"", "not an image"),
    ("text.jpg", b"hello world, this is no image", "not an image"),
    ("cut.png", None, "damaged or cut short"),
    ("cut.jpg", None, "damaged or cut short"),
    ("zero.png", png(0, 5), "."),
    ("bomb.png", png(60_000, 60_000), r"max_pixels|decompression bomb"),
    ("large.png", png(9_000, 9_990), "max_pixels=89478485"),
    ("short.png", png(5, 500), "damaged or cut short"),
    ("header.png", png(5, 5)[:20], "not an image|damaged"),
    ("flipped.png", png(5, 5).replace(b"IDAT", b"IDXT"), "damaged"),
    ("grey_alpha16.png", png(3, 4, 16, 4), "8 bits a channel, got 16"),
    ("rgb16.png", png(3, 4, 16), "8 bits a channel, got 16"),
    ("rgb16.ppm", b"P6 2 1 65535\n" + bytes(12), "8 bits a channel, got 16"),
    ("grey16.pgm", b"P5 2 1 65535\n" + bytes(4), "8 bits a channel"),
])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_named(tmp_path: Path, name: str, data: bytes | None, match: str) -> None:
    path = tmp_path / name
    if data is None:
        Image.fromarray(picture(60, 60, 3)).save(path)
        data = path.read_bytes()
        data = data[:len(data) // 2]
    path.write_bytes(data)
    with pytest.raises(ValueError, match=match) as caught:
        images.read_image(path)
    assert str(path) in str(caught.value) and str(caught.value).startswith("read_image: ")


def test_more_that_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(picture(4, 4) // (i + 1)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"a\.gif: expected one picture, got \d frames"):
        images.read_image(tmp_path / "a.gif")
    Image.fromarray(picture(4, 4).astype(np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png: expected 8 bits"):
        images.read_image(tmp_path / "deep.png", "L")
    with pytest.raises(FileNotFoundError):
        images.read_image(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        images.read_image(tmp_path)
    images.write_png(pydl.zeros(10, 10, dtype=pydl.uint8), tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png: 10 x 10 pixels are more than max_pixels=99"):
        images.read_image(tmp_path / "b.png", max_pixels=99)


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIL", "PIL.Image", "PIL.ImageOps"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=re.escape('pip install "pydl-cpu[vision]"')):
        images.read_image(tmp_path / "a.png")


def test_conversions() -> None:
    x = picture(5, 6, 3)
    for given in (x, Image.fromarray(x)):
        assert np.array_equal(images.to_image(given).numpy(), x.transpose(2, 0, 1))
        assert images.to_tensor(given).dtype == pydl.float32 and images.to_tensor(given).numpy().max() <= 1
    assert images.to_image(x[:, :, 0]).shape == (1, 5, 6) and set(images.to_image(x[:, :, 0] > 9).unique().tolist()) == {0, 255}
    frozen = x.copy()
    frozen.flags.writeable = False
    assert images.to_image(frozen).shape == (3, 5, 6) and images.to_image(pydl.zeros(2)).shape == (2,)
    assert np.array_equal(np.array(images.to_pil_image(images.to_tensor(x))), x) and images.to_pil_image(pydl.zeros(1, 2, 3)).mode == "L"
    for bad, error in (("a", TypeError), (np.zeros(3), ValueError), (np.zeros((0, 3, 3)), ValueError), (Image.fromarray(x).convert("P"), ValueError)):
        with pytest.raises(error, match="to_image"):
            images.to_image(bad)


def test_boxes_are_drawn_on_their_pixels() -> None:
    x = pydl.zeros(3, 20, 30, dtype=pydl.uint8)
    y = draw.draw_bounding_boxes(x, pydl.tensor([[4.0, 5.0, 12.0, 11.0]]), colors="#0a0b0c").numpy()
    rows, columns = np.nonzero(y[0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 10, 4, 11) and len(rows) == 2 * (8 + 6) - 4
    assert y[:, 5, 4].tolist() == [10, 11, 12] and not x.any()
    y = draw.draw_bounding_boxes(pydl.rand(1, 40, 60), pydl.tensor([[0, 0, 60, 40], [4, 20, 30, 35]]), [None, "cell 0.9"], ["blue", (255, 0, 0)], fill=True, width=2)
    assert y.shape == (3, 40, 60) and y.dtype == pydl.uint8 and y[:, 20, 4].tolist() == [255, 0, 0] and (y[0, 10:19, 4:20] == 255).any()
    assert draw.draw_bounding_boxes(x, pydl.zeros(0, 4)).equal(x)
    for boxes, options, error in ((pydl.zeros(4), {}, ValueError), (pydl.tensor([[3.0, 0, 1, 1]]), {}, ValueError), (pydl.tensor([[float("nan"), 0, 1, 1]]), {}, ValueError),
                                  (pydl.zeros(1, 4), {"labels": []}, ValueError), (pydl.zeros(1, 4), {"colors": []}, ValueError), (pydl.zeros(1, 4), {"width": 0}, ValueError),
                                  (pydl.zeros(1, 4), {"width": 1.5}, TypeError), (pydl.zeros(1, 4), {"colors": "nocolour"}, ValueError),
                                  (pydl.zeros(1, 4), {"colors": (300, 0, 0)}, ValueError), (pydl.zeros(1, 4), {"colors": [(1, 2)]}, ValueError),
                                  (pydl.zeros(1, 4), {"font": "none.ttf"}, OSError)):
        with pytest.raises(error, match="draw_bounding_boxes"):
            draw.draw_bounding_boxes(x, boxes, **options)


def test_masks_are_laid_over() -> None:
    x = pydl.full((3, 2, 3), 100, dtype=pydl.uint8)
    masks = pydl.tensor([[[True, True, False], [False] * 3], [[False, True, True], [False] * 3]])
    y = draw.draw_segmentation_masks(x, masks, 0.5, [(200, 0, 0), (0, 200, 100)]).numpy()
    assert y[:, 0].T.tolist() == [[150, 50, 50], [100, 100, 75], [50, 150, 100]] and (y[:, 1] == 100).all()
    assert draw.draw_segmentation_masks(x, masks[0], 0.0).equal(x)
    with pytest.raises(TypeError, match="bool"):
        draw.draw_segmentation_masks(x, masks.to(pydl.uint8))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        draw.draw_segmentation_masks(x, pydl.zeros(1, 3, 3, dtype=pydl.bool))


def test_grids(tmp_path: Path) -> None:
    x = pydl.arange(5, dtype=pydl.float32).view(5, 1, 1, 1).expand(5, 1, 2, 3)
    y = draw.make_grid(x, nrow=3, padding=1, pad_value=9.0)
    assert y.shape == (3, 7, 13) and y[0, 1].tolist() == [9, 0, 0, 0, 9, 1, 1, 1, 9, 2, 2, 2, 9] and y[2, 5].tolist() == [9, 3, 3, 3, 9, 4, 4, 4, 9, 9, 9, 9, 9]
    assert draw.make_grid(x, padding=0, normalize=True)[0, 0].unique().tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert draw.make_grid(x, padding=0, normalize=True, value_range=(1, 2))[0, 0].unique().tolist() == [0, 1]
    draw.save_image([pydl.full((3, 4, 4), 0.5)] * 2, tmp_path / "a.png", padding=0)
    assert images.read_image(tmp_path / "a.png").shape == (3, 4, 8) and images.read_image(tmp_path / "a.png").unique().tolist() == [128]
    with pytest.raises(TypeError, match="save_image: expected uint8, .* got pydl.int64"):
        draw.save_image(x.to(pydl.int64), tmp_path / "a.png", padding=0)
    with pytest.raises(FileNotFoundError, match="none.b.png"):
        draw.save_image(x, tmp_path / "none" / "b.png")
    for bad in (lambda: draw.make_grid(pydl.zeros(0, 3, 2, 2)), lambda: draw.make_grid([pydl.zeros(3, 2, 2), pydl.zeros(3, 2, 3)]), lambda: draw.make_grid(x, nrow=0),
                lambda: draw.make_grid(x.to(pydl.uint8), pad_value=300.0), lambda: draw.make_grid(x.to(pydl.uint8), pad_value=0.5)):
        with pytest.raises(ValueError, match="make_grid"):
            bad()
