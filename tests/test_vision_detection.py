"""The detector: who learns of what, the loss, learning, files, and what is refused."""

import numpy as np
import pytest

import pydl
from pydl import io, nn
from pydl.testing import gradcheck
from pydl.vision import Detector
from pydl.vision.inputs import stacked
from pydl.vision.models import FCOS, DetectionBackbone, resnet18
from pydl.vision.models.aligned import Targets, aligned_targets
from pydl.vision.models.fcos import Located, chosen, detection_loss

GRID = np.array([[4, 4, 8], [12, 4, 8], [4, 12, 8], [12, 12, 8]], np.float32)      # x, y, stride of 2 x 2 cells


def target(boxes, labels):
    return {"boxes": pydl.tensor(boxes, dtype=pydl.float32).reshape(-1, 4), "labels": pydl.tensor(labels, dtype=pydl.int64)}


def assigned(boxes, targets, logits=None, **options):
    boxes = np.asarray(boxes, np.float32)
    logits = np.zeros((*boxes.shape[:2], 3), np.float32) if logits is None else logits
    return aligned_targets(pydl.from_numpy(logits), pydl.from_numpy(boxes), pydl.from_numpy(GRID), targets, **options)


def test_the_best_locations_learn_of_an_object():
    said = [[[0, 0, 10, 13], [0, 0, 5, 10], [0, 0, 10, 10.4], [0, 0, 10, 13]]]
    logits = np.zeros((1, 4, 3), np.float32)
    logits[0, 2, 1] = np.log(4)     # a score of 0.8
    found = assigned(said, [target([[0, 0, 10, 13]], [1])], logits, topk=2)
    # t = s u^6: 0.5, out of the object, 0.8 * 0.8^6 = 0.2097, out; the largest is scaled to the largest IoU, 1
    assert found.at.tolist() == [0, 2]
    np.testing.assert_allclose(found.weights.numpy(), np.array([0.5, 0.8**7]) / (0.5 + 0.8**7), rtol=1e-5)
    np.testing.assert_allclose(found.boxes.numpy(), [[0, 0, 10, 13]] * 2)
    quality = np.zeros((1, 4, 3))
    quality[0, [0, 2], 1] = 1, 0.8**7 / 0.5
    np.testing.assert_allclose(found.quality.numpy(), quality, rtol=1e-5)
    assert found.total == pytest.approx(1 + 0.8**7 / 0.5)
    assert assigned(said, [target([[0, 0, 10, 13]], [1])], logits, topk=1).at.tolist() == [0]


def test_a_location_that_two_objects_want_goes_to_the_one_it_overlaps_most():
    said = [[[0, 0, 8, 8], [0, 0, 16, 16], [0, 0, 16, 16], [0, 0, 16, 16]]]
    found = assigned(said, [target([[0, 0, 16, 16], [0, 0, 8, 7]], [0, 2])])
    assert found.at.tolist() == [1, 2, 3, 0]
    np.testing.assert_allclose(found.quality.numpy()[0], [[0, 0, 7 / 8], [1, 0, 0], [1, 0, 0], [1, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(found.weights.numpy(), [1 / 6, 1 / 6, 1 / 6, 1 / 2], rtol=1e-5)


def test_scores_next_to_nothing():
    """A logit of -200 is a score of 0, without a warning of NumPy's."""
    with np.errstate(all="raise"):
        targets = assigned([[[0, 0, 8, 8]] * 4], [target([[0, 0, 8, 8]], [1])], np.full((1, 4, 3), -200, np.float32))
    assert targets.total == 0 and not len(targets.at)


def test_images_are_numbered_through_and_small_objects_have_locations():
    said = np.tile(np.float32([[[7, 7, 10, 10]]]), (3, 4, 1))
    found = assigned(said, [target([], []), target([[7.5, 7, 10, 10]], [0]), target([], [])])
    assert found.at.tolist() == [7]
    assert found.total == pytest.approx(2.5 / 3) and found.weights.tolist() == [1]
    none = assigned(said, [target([], [])] * 3)
    assert none.at.tolist() == [] and none.total == 0 and not none.quality.numpy().any()
    assert not assigned(said[:1], [target([[40, 40, 50, 50]], [0])]).at.tolist()


def test_loss_by_hand():
    stream = np.random.RandomState(0)
    logits, boxes = stream.normal(size=(2, 4, 3)), np.tile([[[1.0, 2, 9, 12]]], (2, 4, 1))
    quality = np.zeros((2, 4, 3))
    quality[1, 2, 0], quality[0, 1, 2] = 0.5, 0.9
    objects = np.array([6, 1]), np.array([[1.0, 2, 5, 12], [1, 2, 9, 12]]), np.array([0.3, 0.7])
    targets = Targets(pydl.from_numpy(quality), 1.4, *map(pydl.from_numpy, objects))
    p = 1 / (1 + np.exp(-logits))
    entropy = -(quality * np.log(p) + (1 - quality) * np.log(1 - p))
    expected = ((p - quality) ** 2 * entropy).sum() / 1.4 + 2 * 0.3 * (1 - 0.5)        # giou = iou = 0.5, and 1
    points = pydl.from_numpy(GRID)
    loss = detection_loss(Located(pydl.from_numpy(logits), pydl.from_numpy(boxes), points), targets)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    moved = pydl.from_numpy(boxes + stream.normal(size=boxes.shape))
    assert gradcheck(lambda a, b: detection_loss(Located(a, b, points), targets),
                     (pydl.from_numpy(logits).requires_grad_(), moved.requires_grad_()))


def test_forward_says_where_the_locations_are():
    model = FCOS(DetectionBackbone(1, (4, 4, 8, 8), (1, 1, 1)), 2, (8, 8), (8, 16), width=8, depth=1)
    found = model(pydl.zeros(2, 1, 20, 33))
    assert found.logits.shape == (2, 15 + 6, 2) and found.boxes.shape == (2, 21, 4)
    assert found.points[[0, 6, 15, 20]].tolist() == [[4, 4, 8], [12, 12, 8], [8, 8, 16], [40, 24, 16]]
    for parameter in (model.box_edges.weight, model.class_logits.weight):
        parameter.detach().zero_()
    found = model(pydl.zeros(1, 1, 32, 32))
    np.testing.assert_allclose(found.boxes.detach().numpy()[0, 0], [4 - 20, 4 - 20, 24, 24], rtol=1e-5)
    np.testing.assert_allclose(pydl.sigmoid(found.logits).detach().numpy(), 0.01, rtol=1e-5)
    found.boxes.sum().backward()
    assert model.fpn.inner_blocks[1][0].weight.grad is not None
    large = FCOS(resnet18(), 3, (128, 256, 512), (8, 16, 32), width=8, depth=1).eval()
    assert large(pydl.zeros(1, 3, 32, 32)).logits.shape == (1, 16 + 4 + 1, 3)
    with pytest.raises(ValueError, match="16 x 16 pixels or more"):
        model(pydl.zeros(1, 1, 8, 32))
    with pytest.raises(ValueError, match="as many in_channels as strides"):
        FCOS(DetectionBackbone(), 2, (8,), (8, 16))


def test_detections_are_the_best_without_doubles():
    scores = pydl.tensor([[0.9, 0.1], [0.8, 0.7], [0.3, 0.6], [0.05, 0.02]])
    boxes = pydl.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [50, 50, 60, 60]])
    found = chosen(scores, boxes, 0.2, 0.6, 100, 1000)
    assert found["labels"].tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(found["scores"].numpy(), [0.9, 0.7, 0.6, 0.3], rtol=1e-6)
    assert found["boxes"].tolist() == boxes[[0, 1, 2, 2]].tolist()
    assert len(chosen(scores, boxes, 0.2, 0.95, 100, 1000)["scores"]) == 5
    assert chosen(scores, boxes, 0.2, 0.6, 2, 1000)["labels"].tolist() == [0, 1]
    np.testing.assert_allclose(chosen(scores, boxes, 0.2, 0.6, 100, 3)["scores"].numpy(), [0.9, 0.7], rtol=1e-6)
    none = chosen(scores, boxes, 0.95, 0.6, 100, 1000)
    assert none["boxes"].shape == (0, 4) and none["scores"].shape == (0,) and none["labels"].dtype == pydl.int64


def test_views_are_turned_back():
    model = FCOS(DetectionBackbone(1, (4, 4, 8, 8), (1, 1, 1)), 2, (8, 8), (8, 16), width=8, depth=1).eval()
    image = pydl.from_numpy(np.random.RandomState(0).uniform(size=(1, 1, 32, 48)).astype(np.float32))
    with pydl.no_grad():
        once, twice = model.seen(image, 1), model.seen(image, 4)
        other = model.seen(pydl.flip(image, [3]), 4)
    # a mirrored image has the mirrored mean; of a level's row the last location comes first
    at = np.concatenate([np.arange(24).reshape(4, 6)[:, ::-1].ravel(), 24 + np.arange(6).reshape(2, 3)[:, ::-1].ravel()])
    np.testing.assert_allclose(other.logits.numpy(), twice.logits.numpy()[:, at], atol=1e-5)
    x1, y1, x2, y2 = np.moveaxis(twice.boxes.numpy()[:, at], 2, 0)
    np.testing.assert_allclose(other.boxes.numpy(), np.stack([48 - x2, y1, 48 - x1, y2], 2), atol=1e-3)
    assert not np.allclose(once.logits.numpy(), twice.logits.numpy(), atol=1e-5)
    for views, size in ((3, 32), (2, 40)):
        with pytest.raises(ValueError, match="1, 2 or 4 views, of images whose sides are multiples of 16"):
            model.detect(pydl.zeros(1, 1, size, size), views=views)


def scenes(count, seed):
    """Two rectangles in each picture: dark ones are of class 0, bright ones of class 1."""
    stream = np.random.RandomState(seed)
    pictures, targets = stream.randint(0, 40, (count, 1, 32, 64)).astype(np.uint8), []
    for picture in pictures[:, 0]:
        boxes, labels = [], stream.randint(0, 2, 2)
        for k in (0, 1):
            w, h = stream.randint(10, 24, 2)
            x, y = 32 * k + stream.randint(0, 33 - w), stream.randint(0, 33 - h)
            picture[y:y + h, x:x + w] = (110, 220)[labels[k]]
            boxes.append([x, y, x + w, y + h])
        targets.append({"boxes": np.array(boxes, np.float32), "labels": labels})
    return pictures, targets


def small(**options):
    return Detector(["dark", "bright"], channels=1, widths=(8, 16, 16, 32), blocks=(1, 1, 1), width=16, depth=1, **options)


@pytest.fixture(scope="module")
def trained():
    pydl.manual_seed(0)
    detector = small()
    history = detector.fit(*scenes(48, 0), validation=scenes(4, 1), epochs=12, batch_size=4, lr=1e-2, decay=0.95, progress=False)
    return detector, history


def test_learns(trained):
    detector, history = trained
    assert history["loss"][-1] < 0.6 * history["loss"][0] and len(history["val_map_50"]) == 12
    pictures, targets = scenes(24, 2)
    figures = detector.evaluate(pictures, targets)
    assert figures["map_50"] > 0.85 and detector.evaluate(pictures, targets, views=2)["map_50"] > 0.8
    assert not detector.model.training
    grey = scenes(48, 0)[0] / 255
    assert detector.model.backbone.mean.item() == pytest.approx(grey.mean(), rel=1e-5)
    assert detector.model.backbone.std.item() == pytest.approx(grey.std(), rel=1e-5)
    best = detector.predict(pictures[:1])[0]
    assert sorted(best["labels"].tolist()[:2]) == sorted(targets[0]["labels"].tolist())
    # larger pictures: boxes come in their own pixels
    double = detector.predict([pydl.from_numpy(pictures[0].repeat(2, 1).repeat(3, 2))])[0]
    np.testing.assert_allclose(double["boxes"].numpy()[:2], best["boxes"].numpy()[:2] * [3, 2, 3, 2], atol=4)


def test_the_same_seed_gives_the_same_model():
    pictures, targets = scenes(8, 0)
    found = []
    for threads in (1, 2):
        pydl.manual_seed(1)
        detector = small()
        with pydl.threads(threads):
            detector.fit(pictures, targets, epochs=2, batch_size=4, progress=False)
            found.append(detector.model(pydl.from_numpy(pictures[:1]).float() / 255).boxes.detach().numpy())
    assert np.array_equal(*found)


def test_a_file_that_asks_for_more_memory_than_there_is(tmp_path, monkeypatch):
    def refuse(*_):
        raise MemoryError("could not allocate 603979776 bytes")

    small().save(tmp_path / "a.safetensors")
    monkeypatch.setattr("pydl.vision.detection.FCOS", refuse)
    with pytest.raises(ValueError, match=r"Detector.load: .*a\.safetensors: .* could not allocate"):
        Detector.load(tmp_path / "a.safetensors")


def test_saved_and_loaded(trained, tmp_path):
    detector, _ = trained
    detector.save(tmp_path / "a.safetensors")
    again = Detector.load(tmp_path / "a.safetensors")
    assert again.classes == ["dark", "bright"] and again.size == (32, 64) and again.channels == 1
    pictures, _ = scenes(3, 5)
    for one, other in zip(detector.predict(pictures), again.predict(pictures), strict=True):
        assert all(np.array_equal(one[key].numpy(), other[key].numpy()) for key in ("boxes", "scores", "labels"))
    io.save_model(nn.Linear(2, 2), tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match=r"b\.safetensors: expected the file of a Detector"):
        Detector.load(tmp_path / "b.safetensors")
    for arch in ({"classes": []}, {"classes": ["a"], "planes": 3}, {"classes": ["a"], "widths": "no"}, {"classes": ["a"], "width": 2**70},
                 {"classes": ["a"], "size": [3, 4, 5]}, {"classes": ["a"], "channels": 0}, {"classes": 3}):
        io.save_model(detector.model, tmp_path / "c.safetensors", arch={"Detector": arch})
        with pytest.raises(ValueError, match=r"c\.safetensors"):
            Detector.load(tmp_path / "c.safetensors")


def test_lists_folders_and_data_sets(trained, tmp_path):
    from pydl.vision.images import write_png

    detector, _ = trained
    pictures, _ = scenes(2, 3)
    for i in (0, 1):
        write_png(pydl.from_numpy(pictures[i]), tmp_path / f"{i}.png")
    expected = detector.predict(pictures)
    forms = [list(pydl.from_numpy(pictures)), pictures[:, 0], [picture[0] for picture in pictures], list(pictures), [p[0, :, :, None] for p in pictures], pydl.from_numpy(pictures).float() / 255,
             tmp_path, [tmp_path / "0.png", str(tmp_path / "1.png")]]
    for form in forms:
        for one, other in zip(detector.predict(form), expected, strict=True):
            assert np.array_equal(one["boxes"].numpy(), other["boxes"].numpy())
    pairs = list(zip(pydl.from_numpy(pictures), scenes(2, 3)[1], strict=True))
    assert detector.evaluate(pairs)["map_50"] == detector.evaluate(*scenes(2, 3))["map_50"]
    images, sizes = stacked("f", [np.zeros((4, 6), np.uint8), np.full((8, 3, 1), 255, np.uint8)], 1)
    assert images.shape == (2, 1, 4, 6) and sizes == [(4, 6), (8, 3)] and images[1].min().item() == 255


GOOD = np.zeros((1, 1, 32, 64), np.uint8)
BOX = np.float32([[2, 3, 20, 30]])


@pytest.mark.parametrize(("images", "targets", "message"), [
    (GOOD, [{"boxes": BOX[:, [2, 1, 0, 3]], "labels": [0]}], r"targets\[0\]: expected x1 < x2 and y1 < y2, got boxes\[0\] = \[20"),
    (GOOD, [{"boxes": BOX * np.nan, "labels": [0]}], "expected x1 < x2"),
    (GOOD, [{"boxes": BOX + 60, "labels": [0]}], r"boxes\[0\] = .* does not lie in its image of 32 x 64 pixels"),
    (GOOD, [{"boxes": BOX - [0, 30, 0, 0], "labels": [0]}], "does not lie in its image"),
    (GOOD, [{"boxes": BOX, "labels": [2]}], "labels from 0 to 1, got 2 to 2"),
    (GOOD, [{"boxes": BOX, "labels": [-1]}], "labels from 0 to 1"),
    (GOOD, [{"boxes": BOX, "labels": [0.0]}], "labels of integers"),
    (GOOD, [{"boxes": BOX, "labels": [0, 1]}], r"shapes \(1, 4\) and \(2,\)"),
    (GOOD, [{"boxes": BOX[:, :3], "labels": [0]}], r"boxes \(K, 4\)"),
    (GOOD, [{"boxes": BOX}], "expected 'boxes' and 'labels', got 'boxes'"),
    (GOOD, [BOX], "expected a dict"),
    (GOOD, [], "one for each of 1 images, got list of 0"),
    (GOOD, None, "a data set of .* pairs, got ndarray alone"),
    (GOOD[:0], [], "expected one or more"),
    ([], [], "expected one or more"),
    (GOOD[:, :, :0], [{"boxes": BOX, "labels": [0]}], "without pixels"),
    ([np.zeros((0, 5), np.uint8)], [{"boxes": BOX, "labels": [0]}], "some pixels"),
    (np.zeros((1, 3, 32, 64), np.uint8), [{"boxes": BOX, "labels": [0]}], "expected 1 channel, got 3"),
    (GOOD.astype(np.float32) + 2, [{"boxes": BOX, "labels": [0]}], "floats from 0 to 1, got 2.0"),
    (GOOD.astype(np.float32) * np.nan, [{"boxes": BOX, "labels": [0]}], "floats from 0 to 1"),
    (GOOD.astype(np.int32), [{"boxes": BOX, "labels": [0]}], "expected uint8"),
    (GOOD[0, 0], [{"boxes": BOX, "labels": [0]}], r"\(N, C, H, W\) or \(N, H, W\)"),
    (7, [{"boxes": BOX, "labels": [0]}], "expected an array, a list of images or a folder, got int"),
    (GOOD[:, :, :8], [{"boxes": BOX[:, [0, 0, 1, 1]], "labels": [0]}], "Detector.fit: expected images of 16 x 16 pixels or more, got 8 x 64"),
    (GOOD.astype(np.uint16), [{"boxes": BOX, "labels": [0]}], "Detector.fit: images: expected uint8, or floats from 0 to 1: .* uint16"),
    ([GOOD[0].astype(np.uint16)], [{"boxes": BOX, "labels": [0]}], r"Detector.fit: images\[0\]: .* uint16"),
    (GOOD, [{"boxes": BOX, "labels": [0], "iscrowd": [0, 1]}], r"expected iscrowd \(1,\), a number for each box, got int64 \(2,\)"),
    (GOOD, [{"boxes": BOX, "labels": [0], "area": ["a"]}], r"expected area \(1,\)"),
])
def test_refused(images, targets, message):
    detector = small(size=None if "16 x 16" in message else (32, 64))
    with pytest.raises((ValueError, TypeError), match=message):
        detector.fit(images, targets, epochs=1, progress=False)


def test_refused_before_anything_else(tmp_path):
    with pytest.raises(RuntimeError, match="size of the images is not known"):
        small().predict(GOOD)
    with pytest.raises(FileNotFoundError):
        small().fit(tmp_path, progress=False)
    for classes in ([], "cells", ["a", "a"], [1], 3):
        with pytest.raises(ValueError, match="different names"):
            Detector(classes)
    with pytest.raises(ValueError, match="two sizes or more"):
        Detector(["a"], widths=(8, 8), blocks=(1,))
    with pytest.raises(ValueError, match="widths for the stem and 3 stages"):
        Detector(["a"], widths=(8, 8, 8))
    with pytest.raises(ValueError, match="epochs"):
        small().fit(GOOD, [target([], [])], epochs=0)
    with pytest.raises(TypeError, match="Detector.fit: augment: expected a function"):
        small().fit(GOOD, [target([], [])], augment=3)
    with pytest.raises(ValueError, match="Detector: size must be 1 or more"):
        small(size=0)
    with pytest.raises(ValueError, match=r"Detector.predict: images: expected \(N, 3, H, W\), got shape \(3, 32, 32\); one image goes in a list"):
        Detector(["a"], size=32).predict(np.zeros((3, 32, 32), np.uint8))
    for options, match in (({"batch_size": 0}, "Detector.predict: batch_size"), ({"max_detections": -1}, "max_detections of 0 or more"),
                           ({"score_threshold": float("nan")}, "got nan")):
        with pytest.raises(ValueError, match=match):
            small(size=32).predict(GOOD, **options)
    with pytest.raises(ValueError, match=f"Detector.predict: no images in the folder {tmp_path}"):
        small(size=32).predict(tmp_path)
    with pytest.raises(ValueError, match="Detector.evaluate: batch_size"):
        small(size=32).evaluate(GOOD, [target([], [])], batch_size=0)


def test_what_a_fit_that_was_refused_has_learnt():
    """Nothing: not the size of its images either."""
    detector = small()
    with pytest.raises(ValueError, match=r"fit: validation: expected targets"):
        detector.fit(GOOD, [target([], [])], validation=(GOOD, []), epochs=1, progress=False)
    assert detector.size is None and repr(detector) == "Detector(dark, bright; 1 x any size)"
    assert repr(small(size=[8, 9])) == "Detector(dark, bright; 1 x 8 x 9)" and small(size=48).size == (48, 48)


def test_regions_that_hold_many(trained):
    """What is found there is not wrong, and nothing is learnt of them: a fit is as one without."""
    detector, _ = trained
    pictures, targets = scenes(6, 5)
    one = [{"boxes": own["boxes"][:1], "labels": own["labels"][:1]} for own in targets]
    many = [{**own, "iscrowd": np.array([0, 1])} for own in targets]
    every = detector.evaluate(pictures, targets)["map_50"]
    assert detector.evaluate(pictures, one)["map_50"] + 0.05 < detector.evaluate(pictures, many)["map_50"] > every - 0.1
    figures = detector.evaluate(pictures, [{**own, "area": np.full(2, 2000.0)} for own in targets])
    assert np.isnan(figures["map_small"]) and figures["map_medium"] > 0.3
    found = []
    for given in (one, many):
        pydl.manual_seed(1)
        fresh = small()
        fresh.fit(pictures, given, epochs=1, progress=False)
        found.append(fresh.model.class_logits.weight.detach().numpy())
    np.testing.assert_array_equal(*found)


def test_a_loss_needs_a_target_an_image():
    model = small().model
    with pytest.raises(ValueError, match="one for each of 1 images"):
        model.loss(model(pydl.zeros(1, 1, 32, 32)), [])


def test_no_objects_at_all_can_be_learnt_from():
    detector = small()
    history = detector.fit(GOOD.repeat(2, 0), [target([], [])] * 2, epochs=1, batch_size=2, progress=False)
    assert np.isfinite(history["loss"][0])
