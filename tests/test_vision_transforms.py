"""Transforms that move pixels: images against NumPy, and boxes, masks and keypoints with them."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from pydl.data import DataLoader, Dataset
from pydl.ops import warp as kernels
from pydl.vision import transforms as T
from pydl.vision.transforms import functional as F
from pydl.vision.transforms import moves

TYPES = ("uint8", "float32", "float64")


def picture(*shape: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).integers(0, 256, shape)
    return x.astype(dtype) if dtype == "uint8" else (x / 255).astype(dtype)


def tensor(x: np.ndarray) -> pydl.Tensor:
    return pydl.from_numpy(np.ascontiguousarray(x))


def target(masks: np.ndarray | None = None) -> dict:
    found = {"boxes": pydl.tensor([[1.0, 2.0, 4.0, 5.0], [0.0, 0.0, 6.0, 4.0]]), "labels": pydl.tensor([7, 8]), "name": "a",
             "keypoints": pydl.tensor([[1.5, 2.5]])}
    return found if masks is None else {**found, "masks": tensor(masks)}


def sampled(x: np.ndarray, u: np.ndarray, v: np.ndarray, mode: str, fill: float, padding: str) -> np.ndarray:
    """x (C, H, W) at columns u and rows v, by NumPy."""
    height, width = x.shape[1:]

    def at(i, j):
        if padding == "constant":
            inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
            return np.where(inside, x[:, i.clip(0, height - 1), j.clip(0, width - 1)], fill)
        if padding == "edge":
            return x[:, i.clip(0, height - 1), j.clip(0, width - 1)]
        return x[:, moves.mirrored(i, height), moves.mirrored(j, width)]

    if mode == "nearest":
        return at(np.floor(v + 0.5).astype(int), np.floor(u + 0.5).astype(int))
    i, j = np.floor(v).astype(int), np.floor(u).astype(int)
    a, b = u - j, v - i
    return (at(i, j) * (1 - a) + at(i, j + 1) * a) * (1 - b) + (at(i + 1, j) * (1 - a) + at(i + 1, j + 1) * a) * b


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("padding", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_affine_samples_where_numpy_does(dtype: str, padding: str, mode: str) -> None:
    x = picture(2, 3, 19, 150, dtype=dtype)
    y = F.affine(tensor(x), 17.0, (3, -2), 0.8, (5.0, 3.0), mode, fill=1, padding_mode=padding).numpy()
    back = np.linalg.inv(moves.affine_map(17.0, (3, -2), 0.8, (5.0, 3.0), (75, 9.5)))
    j, i = np.meshgrid(np.arange(150) + 0.5, np.arange(19) + 0.5)
    u, v = (back[r, 0] * j + back[r, 1] * i + back[r, 2] - 0.5 for r in range(2))
    for a, b in zip(x, y):
        wanted = sampled(a.astype(np.float64), u, v, mode, 1, padding)
        tolerance = 1e-12 if dtype == "float64" else 2e-6
        if dtype == "uint8":
            tolerance = 0.6 if mode == "bilinear" else 0
        assert b.shape == wanted.shape and np.abs(b - wanted).max() <= tolerance


@pytest.mark.parametrize("dtype", [*TYPES, "int64", "int32", "bool"])
def test_masks_of_every_type_move_as_the_image(dtype: str) -> None:
    x = (picture(9, 12) > 128).astype(dtype)
    image = tensor(x[None].astype(np.float32))
    for change in (lambda i, t: F.rotate(i, 30, target=t), lambda i, t: F.hflip(i, t), lambda i, t: F.resize(i, (5, 20), "nearest", target=t),
                   lambda i, t: F.crop(i, -2, 3, 6, 15, t), lambda i, t: F.elastic(i, pydl.full((2, 9, 12), 1.6), "nearest", target=t)):
        moved, new = change(image, {"masks": tensor(x)})
        assert new["masks"].numpy().dtype == x.dtype
        assert np.array_equal(moved.numpy()[0], new["masks"].numpy().astype(np.float32))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_right_angles_are_exact(dtype: str, size: int, turns: int, mode: str) -> None:
    x = picture(3, size, size, dtype=dtype)
    y = F.rotate(tensor(x), 90 * turns, mode, padding_mode="edge").numpy()
    wanted = np.rot90(x, turns, (1, 2))
    assert np.array_equal(y, wanted) if dtype == "uint8" or mode == "nearest" else np.abs(y - wanted).max() < 1e-6


def test_flips() -> None:
    x, masks = picture(3, 6, 8), picture(2, 6, 8, seed=1)
    for change, axis, boxes, points in ((F.hflip, 2, [[4, 2, 7, 5], [2, 0, 8, 4]], [[6.5, 2.5]]),
                                        (F.vflip, 1, [[1, 1, 4, 4], [0, 2, 6, 6]], [[1.5, 3.5]])):
        given = target(masks)
        y, new = change(tensor(x), given)
        assert np.array_equal(y.numpy(), np.flip(x, axis)) and np.array_equal(new["masks"].numpy(), np.flip(masks, axis))
        assert new["boxes"].tolist() == boxes and new["keypoints"].tolist() == points
        assert new["labels"] is given["labels"] and new["name"] == "a" and list(new) == list(given)
        assert given["boxes"].tolist() == [[1, 2, 4, 5], [0, 0, 6, 4]]
    assert T.RandomHorizontalFlip(0.0)(tensor(x)).equal(tensor(x))
    batch = T.RandomVerticalFlip(generator=pydl.Generator().manual_seed(3))(tensor(np.stack([x] * 40))).numpy()
    flipped = [np.array_equal(one, x[:, ::-1]) for one in batch]
    assert all(f or np.array_equal(one, x) for f, one in zip(flipped, batch)) and 8 < sum(flipped) < 32


def test_rotated_boxes_are_hulls_cut_at_the_edges() -> None:
    image = pydl.zeros(1, 10, 20)
    _, new = F.rotate(image, 90, target={"boxes": pydl.tensor([[8.0, 4.0, 12.0, 5.0], [0.0, 0.0, 2.0, 2.0]])})
    assert np.abs(new["boxes"].numpy() - [[9, 3, 10, 7], [5, 10, 7, 10]]).max() < 1e-5     # the second has left the image
    _, new = F.rotate(image, 45, expand=True, target={"boxes": pydl.tensor([[0.0, 0.0, 20.0, 10.0]])})
    room = 30 / np.sqrt(2)
    assert new["boxes"].numpy()[0] == pytest.approx([(22 - room) / 2, (22 - room) / 2, (22 + room) / 2, (22 + room) / 2], abs=1e-4)
    assert F.rotate(image, 45, expand=True).shape == (1, 22, 22) and F.rotate(image, 90, expand=True).shape == (1, 20, 10)
    image, new = T.SanitizeBoundingBoxes()(*F.rotate(image, 90, target={"boxes": pydl.tensor([[8.0, 4.0, 12.0, 5.0], [0.0, 0.0, 2.0, 2.0]]),
                                                                        "labels": pydl.tensor([1, 2]), "masks": pydl.zeros(2, 10, 20, dtype=pydl.bool)}))
    assert new["boxes"].shape == (1, 4) and new["labels"].tolist() == [1] and new["masks"].shape == (1, 10, 20)


@pytest.mark.parametrize("transform", [
    T.RandomAffine(20, (0.1, 0.1), (0.9, 1.2), (-8, 8, -8, 8), "bilinear"), T.RandomRotation(40, "bilinear"), T.RandomPerspective(0.4, 1.0),
    T.Resize((40, 90)), T.RandomCrop(56), T.RandomResizedCrop(40, (0.7, 1.0)), T.CenterCrop(54), T.Pad((3, 4, 5, 6)), T.ScaleJitter(64, (0.7, 1.5)),
    T.ElasticTransform(100.0, 6.0), T.RandomHorizontalFlip(1.0),
], ids=lambda t: type(t).__name__)
def test_a_box_stays_around_its_object(transform: T.Transform) -> None:
    """A white rectangle in the middle, its mask and its box: afterwards the box is the hull of what is white."""
    x = np.zeros((1, 64, 64), np.uint8)
    x[0, 22:40, 25:44] = 255
    pydl.manual_seed(5)
    for _ in range(5):
        image, new = transform(tensor(x), {"boxes": pydl.tensor([[25.0, 22.0, 44.0, 40.0]]), "masks": tensor(x[0]), "keypoints": pydl.tensor([[34.5, 31.0]])})
        rows, columns = np.nonzero(image.numpy()[0] > 127)
        hull = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        slack = 2.5 if isinstance(transform, T.ElasticTransform) else 1.8
        assert np.abs(new["boxes"].numpy()[0] - hull).max() < slack, (new["boxes"].tolist(), hull)
        assert (image.numpy()[0] > 127).mean() == pytest.approx((new["masks"].numpy() > 127).mean(), abs=0.02)
        centre = [columns.mean() + 0.5, rows.mean() + 0.5]
        assert np.abs(new["keypoints"].numpy()[0] - centre).max() < 2.5


def test_keypoints_go_with_their_boxes() -> None:
    given = {"boxes": pydl.tensor([[0.0, 0, 4, 4], [5, 5, 5, 9], [1, 1, 3, 3]]), "keypoints": pydl.tensor([[2.0, 2], [5, 7], [2, 2.5]])}
    _, new = T.SanitizeBoundingBoxes()(pydl.zeros(1, 9, 9), given)
    assert len(new["boxes"]) == 2 and new["keypoints"].tolist() == [[2, 2], [2, 2.5]]
    assert len(T.SanitizeBoundingBoxes(labels_getter=None)(pydl.zeros(1, 9, 9), given)[1]["keypoints"]) == 3
    more = {**given, "keypoints": pydl.zeros(5, 2)}         # not one a box
    assert len(T.SanitizeBoundingBoxes()(pydl.zeros(1, 9, 9), more)[1]["keypoints"]) == 5


def test_stretch_keeps_boxes_tight_and_drops_what_leaves() -> None:
    x = np.zeros((4, 1, 40, 60), np.uint8)
    x[:, :, 10:20, 20:32] = 255
    box = {"boxes": pydl.tensor([[20.0, 10.0, 32.0, 20.0]]), "labels": pydl.tensor([3])}
    pydl.manual_seed(0)
    images, found = T.RandomStretch(translate=(0.1, 0.1))(tensor(x), [box] * 4)
    for image, (x1, y1, x2, y2) in zip(images.numpy(), [one["boxes"].numpy()[0] for one in found], strict=True):
        rows, columns = np.flatnonzero((image[0] > 127).any(1)), np.flatnonzero((image[0] > 127).any(0))
        np.testing.assert_allclose([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], [x1, y1, x2, y2], atol=0.51)
        assert 0.6 < (x2 - x1) / 12 < 1.5 and 0.75**2 * 0.999 < (x2 - x1) * (y2 - y1) / 120 < 1.33**2 * 1.001
    edge = {"boxes": pydl.tensor([[0.0, 0.0, 10.0, 10.0], [25.0, 15.0, 35.0, 25.0]]), "labels": pydl.tensor([3, 4])}
    enlarged = T.RandomStretch((2.0, 2.0), (1.0, 1.0), (0.0, 0.0), min_visible=0.1)(tensor(x[0]), edge)[1]
    assert enlarged["boxes"].tolist() == [[20, 10, 40, 30]] and enlarged["labels"].tolist() == [4]
    assert T.RandomStretch()(tensor(x[0])).shape == (1, 40, 60)
    for bad in ({"scale": (0, 1)}, {"ratio": (2, 1)}, {"translate": (2, 0)}, {"min_visible": 1.5}):
        with pytest.raises(ValueError, match="RandomStretch"):
            T.RandomStretch(**bad)


@pytest.mark.parametrize("padding", ["edge", "reflect", "symmetric", "constant"])
def test_pad_and_crop(padding: str) -> None:
    x = picture(2, 3, 5, 7)
    y = F.pad(tensor(x), (2, 1, 4, 3), fill=9, padding_mode=padding).numpy()
    options = {"constant_values": 9} if padding == "constant" else {}
    assert np.array_equal(y, np.pad(x, ((0, 0), (0, 0), (1, 3), (2, 4)), padding, **options))
    far = F.pad(tensor(x), 20, padding_mode=padding).numpy()        # several times the image
    assert np.array_equal(far, np.pad(x, ((0, 0), (0, 0), (20, 20), (20, 20)), padding))
    y, new = F.pad(tensor(x[0]), 2, fill={"image": [1, 2, 3], "masks": 255}, target={"masks": pydl.zeros(5, 7, dtype=pydl.int64), "boxes": pydl.ones(1, 4)})
    assert y[:, 0, 0].tolist() == [1, 2, 3] and new["masks"][0, 0].item() == 255 and new["boxes"].tolist() == [[3, 3, 3, 3]]
    y, new = F.crop(tensor(x[0]), 1, 2, 3, 4, {"boxes": pydl.tensor([[0.0, 0.0, 3.0, 3.0], [0.0, 0.0, 1.0, 1.0]])})
    assert np.array_equal(y.numpy(), x[0, :, 1:4, 2:6]) and new["boxes"].tolist() == [[0, 0, 1, 2], [0, 0, 0, 0]]
    assert np.array_equal(F.center_crop(tensor(x), 3).numpy(), x[:, :, 1:4, 2:5])
    for more, before in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 2)):
        wide = F.center_crop(pydl.ones(1, 2, 4), (2, 4 + more)).numpy()[0, 0]
        assert np.flatnonzero(wide).tolist() == list(range(before, before + 4))
    with pytest.raises(ValueError, match=r"RandomCrop.*\(5, 7\).*\(6, 6\).*pad_if_needed"):
        T.RandomCrop(6)(tensor(x))
    assert T.RandomCrop(9, pad_if_needed=True)(tensor(x)).shape == (2, 3, 9, 9)
    seen = {tuple(T.RandomCrop(1, generator=g)(pydl.arange(6, dtype=pydl.float32).view(1, 2, 3)).flatten().tolist())
            for g in [pydl.Generator().manual_seed(1)] for _ in range(100)}
    assert len(seen) == 6


def test_resize() -> None:
    x = pydl.tensor([[[0.0, 4.0, 8.0, 12.0]]])
    assert F.resize(x, (1, 2)).flatten().tolist() == pytest.approx([20 / 7, 64 / 7])        # windows of 4, cut at the edges: weights 3 3 1 and 1 3 3
    assert F.resize(x, (1, 2), antialias=False).flatten().tolist() == [2, 10]
    assert F.resize(x, (1, 8), "nearest").flatten().tolist() == [0, 0, 4, 4, 8, 8, 12, 12]
    assert F.resize(x, (2, 4))[0].tolist() == [[0, 4, 8, 12]] * 2
    assert F.resize(pydl.full((2, 3, 5, 7), 200, dtype=pydl.uint8), (11, 3), "bicubic").unique().tolist() == [200]
    image, new = F.resize(pydl.zeros(3, 4, 8), (2, 16), target={"boxes": pydl.tensor([[1.0, 2.0, 3.0, 4.0]])})
    assert image.shape == (3, 2, 16) and new["boxes"].tolist() == [[2, 1, 6, 2]]
    assert F.resize(pydl.zeros(1, 10, 20), 5).shape == (1, 5, 10) and F.resize(pydl.zeros(1, 20, 10), 5, max_size=8).shape == (1, 8, 4)
    assert F.resize(pydl.zeros(0, 1, 4, 4), 2).shape == (0, 1, 2, 2)
    assert F.resize(pydl.zeros(1, 1, 2), 396, max_size=432).shape == (1, 216, 432)      # rounded as torchvision does


def test_nearest_pixels_are_those_of_interpolate() -> None:
    for old in range(1, 40, 3):
        line = pydl.arange(old, dtype=pydl.float32).view(1, 1, old)
        for new in range(1, 60):
            wanted = pydl.nn.functional.interpolate(line.unsqueeze(0), (1, new), mode="nearest-exact")[0]
            assert F.resize(line, (1, new), "nearest").equal(wanted), (old, new)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_is_pillows(mode: str) -> None:
    module = pytest.importorskip("PIL.Image")
    for shape, size in (((3, 40, 33), (17, 12)), ((3, 9, 8), (20, 31)), ((3, 20, 20), (20, 7))):
        x = picture(*shape) // 2 + 64       # Pillow cuts and rounds between its two passes
        wanted = np.array(module.fromarray(x.transpose(1, 2, 0)).resize(size[::-1], getattr(module.Resampling, mode.upper()))).transpose(2, 0, 1)
        assert np.abs(F.resize(tensor(x), size, mode).numpy().astype(int) - wanted).max() <= 1


def test_perspective_takes_corners_to_their_ends() -> None:
    start, end = [[0, 0], [20, 0], [20, 10], [0, 10]], [[2, 1], [18, 3], [20, 9], [1, 10]]
    one = moves.perspective_map(start, end)
    assert np.abs(moves.mapped(one, np.array(start, float)) - end).max() < 1e-9
    x = picture(1, 10, 20, dtype="float64")
    y, new = F.perspective(tensor(x), start, end, target={"keypoints": pydl.tensor(start, dtype=pydl.float64)})
    assert np.abs(new["keypoints"].numpy() - end).max() < 1e-9
    back = np.linalg.inv(one)
    j, i = np.meshgrid(np.arange(20) + 0.5, np.arange(10) + 0.5)
    u, v, w = (back[r, 0] * j + back[r, 1] * i + back[r, 2] for r in range(3))
    assert np.abs(y.numpy() - sampled(x, u / w - 0.5, v / w - 0.5, "bilinear", 0, "constant")).max() < 1e-12
    assert F.perspective(tensor(x), start, start).equal(tensor(x))
    with pytest.raises(ValueError, match="perspective: .*three points"):
        F.perspective(tensor(x), [[0, 0]] * 4, end)


def test_elastic() -> None:
    x = picture(2, 1, 12, 14, dtype="float32")
    field = pydl.zeros(2, 12, 14)
    assert F.elastic(tensor(x), field).equal(tensor(x))
    field[0], field[1] = 2, -1      # shows what was 2 to the right and 1 above
    y, new = F.elastic(tensor(x), field, target=[{"boxes": pydl.tensor([[5.0, 5.0, 8.0, 7.0]])}] * 2)
    assert np.array_equal(y.numpy()[:, :, 1:, :-2], x[:, :, :-1, 2:]) and new[1]["boxes"].tolist() == [[3, 6, 6, 8]]
    field[0], field[1] = 0, 6 * pydl.sin(pydl.arange(14) * (np.pi / 13)).expand(12, 14)       # an edge is bent, its corners stay
    masks = pydl.zeros(12, 14, dtype=pydl.bool)
    masks[6:12] = True
    _, new = F.elastic(tensor(x), field, target=[{"boxes": pydl.tensor([[0.0, 6.0, 14.0, 12.0]]), "masks": masks}] * 2)
    top = int(new[0]["masks"].numpy().any(1).argmax())
    assert top == 0 and abs(new[0]["boxes"][0, 1].item() - top) < 0.5
    noise = moves.elastic_field(pydl.full((1, 2, 9, 9), 0.5), (10.0, 20.0), (3.0, 1.0)).numpy()
    assert np.abs(noise - np.array([2.5, 5.0])[:, None, None]).max() < 1e-5
    assert T.ElasticTransform(0.0)(tensor(x)).equal(tensor(x))


def test_batches_and_targets() -> None:
    x = picture(3, 1, 6, 8)
    masks = picture(3, 6, 8, seed=1)
    t = T.Compose([T.RandomHorizontalFlip(1.0), T.RandomAffine(0, (0.2, 0.2))])
    one = T.RandomHorizontalFlip(1.0)
    images, stacked = one(tensor(x), {"masks": tensor(masks), "id": "b", "boxes": pydl.ones(3, 2, 4)})
    assert np.array_equal(stacked["masks"].numpy(), masks[:, :, ::-1]) and stacked["id"] == "b" and stacked["boxes"].tolist() == [[[7, 1, 7, 1]] * 2] * 3
    images, listed = one(tensor(x), [{"masks": tensor(masks[i]), "boxes": pydl.ones(i, 4), "n": i} for i in range(3)])
    assert [list(d["boxes"].shape) for d in listed] == [[0, 4], [1, 4], [2, 4]] and [d["n"] for d in listed] == [0, 1, 2]
    assert np.array_equal(listed[2]["masks"].numpy(), masks[2, :, ::-1]) and np.array_equal(images.numpy(), x[..., ::-1])
    layers = [pydl.zeros(i, 6, 8, dtype=pydl.bool) for i in range(3)]
    assert [one["masks"].shape for one in one(tensor(x), [{"masks": layer} for layer in layers])[1]] == [(0, 6, 8), (1, 6, 8), (2, 6, 8)]
    pydl.manual_seed(0)
    images, stacked = t(tensor(x.astype(np.float32)), {"masks": tensor(x[:, 0])})
    assert np.array_equal(images.numpy()[:, 0], stacked["masks"].numpy().astype(np.float32))
    shifts = {tuple(np.argwhere(one[0] > 0)[0]) for one in images.numpy()}
    assert len(shifts) > 1      # each has its own draws
    assert T.RandomResizedCrop(4)(pydl.zeros(0, 3, 8, 8)).shape[0] == 0 and T.RandomAffine(9)(pydl.zeros(0, 3, 8, 8)).shape == (0, 3, 8, 8)


def test_bytes() -> None:
    x = pydl.tensor([-1.0, -0.0, 0.49, 0.5, 1.5, 254.4, 254.5, 300.0, float("inf"), -float("inf"), float("nan")])
    for one in (x, x.to(pydl.float64), pydl.stack([x, x], 1)[:, 1]):
        assert kernels.to_bytes(one).tolist() == [0, 0, 0, 1, 2, 254, 255, 255, 255, 0, 0]


def test_compositions() -> None:
    x = tensor(picture(3, 4, 4))
    double = T.Compose([lambda image: image, T.Pad(1), T.RandomApply([T.Pad(1)], 1.0), T.RandomApply([T.Pad(9)], 0.0), T.RandomOrder([T.Pad(1), T.CenterCrop(8)])])
    assert double(x).shape[1:] in ((10, 10), (8, 8))
    both = T.Compose([T.Pad(2), lambda image, t: (image, {**t, "seen": t["boxes"].tolist()})])
    assert both(x, {"boxes": pydl.zeros(1, 4)})[1]["seen"] == [[2, 2, 2, 2]]
    picks = [T.RandomChoice([T.Pad(1), T.Pad(2), T.Pad(3)], p=[0, 1, 3])(x).shape[1] for _ in range(60)]
    assert set(picks) == {8, 10} and picks.count(10) > picks.count(8)
    with pytest.raises(TypeError, match="not both"):
        T.Compose([lambda image, t: image])(x, {})
    assert "RandomAffine(" in repr(T.Compose([T.RandomAffine(3)])) and "generator" not in repr(T.RandomAffine(3))
    assert T.Compose([T.ToImage(), T.Pad(1)])(np.zeros((4, 4, 3), np.uint8)).shape == (3, 6, 6)


def pipeline() -> T.Compose:
    return T.Compose([T.RandomHorizontalFlip(), T.RandomAffine(10, (0.1, 0.1), (0.8, 1.2), interpolation="bilinear"), T.ElasticTransform(20.0, 3.0),
                      T.ColorJitter(0.3, 0.3, 0.3, 0.1), T.GaussianBlur(3), T.RandomErasing(), T.RandomResizedCrop(64)])


def test_same_bits_for_any_number_of_threads(threads: None) -> None:
    x = tensor(picture(3, 3, 120, 130))
    found = []
    for count in (1, 2, 4):
        pydl.set_num_threads(count)
        pydl.manual_seed(7)
        found.append(pipeline()(x).numpy())
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


class Pictures(Dataset):
    def __init__(self) -> None:
        self.images, self.transform = tensor(picture(7, 3, 70, 70)), pipeline()

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int):
        image, target = self.transform(self.images[index], {"boxes": pydl.tensor([[10.0, 10.0, 50.0, 40.0]])})
        return image, target["boxes"]


def test_batches_of_a_loader_do_not_depend_on_its_workers() -> None:
    found = []
    for workers in (0, 2):
        pydl.manual_seed(3)
        found.append([(x.numpy(), b.numpy()) for x, b in DataLoader(Pictures(), 3, shuffle=True, num_workers=workers)])
    assert all(np.array_equal(a, c) and np.array_equal(b, d) for (a, b), (c, d) in zip(*found, strict=True))
    assert not np.array_equal(found[0][0][0][0], found[0][0][0][1])


def test_a_captured_step_refuses_them() -> None:
    x = pydl.rand(2, 3, 8, 8)
    with pytest.raises(pydl.CaptureError):
        pydl.capture(lambda x: F.rotate(x, 10))(x)


def test_values_that_are_no_numbers_stay_where_they_are() -> None:
    x = np.zeros((1, 8, 8), np.float32)
    x[0, 3, 3] = np.nan
    assert np.isnan(F.hflip(tensor(x)).numpy()).sum() == 1
    assert 1 <= np.isnan(F.rotate(tensor(x), 30, "bilinear").numpy()).sum() <= 6
    assert np.isnan(F.resize(tensor(x), 4).numpy()).sum() < 16
    for scale in (1e-9, 1e9):
        assert F.affine(tensor(x), 0, (0, 0), scale, 0, "bilinear").shape == (1, 8, 8)
    assert F.affine(tensor(x), 0, (1e300, 0), 1.0, 0, "bilinear", fill=5).unique().tolist() == [5]
    assert F.elastic(tensor(x), pydl.full((2, 8, 8), float("nan")), "bilinear", fill=5).unique().tolist() == [5]


@pytest.mark.parametrize("fill, byte", [(300.0, 255), (-1, 0), (6.6, 7)])
def test_bytes_are_filled_with_bytes(fill: float, byte: int) -> None:
    """Rounded and cut, whoever fills; masks with the numbers that their type has."""
    x = pydl.full((3, 4, 4), 9, dtype=pydl.uint8)
    filled = (F.pad(x, 1, fill=fill)[:, 0, 0], F.affine(x, 0, (3, 0), 1, 0, fill=fill)[:, 0, 0], F.erase(x, 0, 0, 1, 1, fill)[:, 0, 0],
              T.RandomErasing(1.0, (0.5, 0.5), (1.0, 1.0), value=fill)(x).amax((1, 2)) if byte > 9 else pydl.full((3,), byte))
    assert all(one.tolist() == [byte] * 3 for one in filled)
    masks = pydl.zeros(4, 4, dtype=pydl.int64)
    for change in (lambda **k: F.pad(x, 1, **k), lambda **k: F.affine(x, 0, (3, 0), 1, 0, **k)):
        assert change(fill={"masks": -100}, target={"masks": masks})[1]["masks"][0, 0].item() == -100


@pytest.mark.parity
@pytest.mark.parametrize("size", [(17, 12), (50, 41)])
def test_parity_of_resize(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    x = picture(2, 3, 40, 33, dtype="float32")
    for mode in ("bilinear", "bicubic"):
        wanted = torch.nn.functional.interpolate(torch.from_numpy(x), size, mode=mode, antialias=True).numpy()
        assert np.abs(F.resize(tensor(x), size, mode).numpy() - wanted).max() < 1e-5
    wanted = torch.nn.functional.interpolate(torch.from_numpy(x), size, mode="nearest-exact").numpy()
    assert np.array_equal(F.resize(tensor(x), size, "nearest").numpy(), wanted)


@pytest.mark.parity
def test_parity_of_affine() -> None:
    torch = pytest.importorskip("torch")
    x, size = picture(1, 3, 21, 30, dtype="float64"), (21, 30)
    back = np.linalg.inv(moves.affine_map(33.0, (4, -3), 1.3, (7.0, -5.0), (15, 10.5)))
    to, of = moves.scaling(15, 10.5, 15, 10.5), moves.scaling(1 / 15, 1 / 10.5, -1, -1)     # from -1 .. 1, and back
    theta = torch.from_numpy((of @ back @ to)[None, :2])
    grid = torch.nn.functional.affine_grid(theta, (1, 3, *size), align_corners=False)
    for mode, padding, theirs in (("bilinear", "constant", "zeros"), ("bilinear", "edge", "border"), ("nearest", "constant", "zeros")):
        wanted = torch.nn.functional.grid_sample(torch.from_numpy(x), grid, mode, theirs, align_corners=False).numpy()
        assert np.abs(F.affine(tensor(x), 33.0, (4, -3), 1.3, (7.0, -5.0), mode, padding_mode=padding).numpy() - wanted).max() < 1e-9
