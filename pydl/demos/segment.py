"""A U-Net finds the membranes of cells under the electron microscope; without that data, handwritten digits on a noisy ground."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pydl
from pydl import ops
from pydl.demos.harness import Clock, Stage, positive
from pydl.demos.scenes import digit_scenes
from pydl.metrics import mean_iou, pixel_accuracy
from pydl.vision import Segmenter
from pydl.vision import transforms as T
from pydl.vision.datasets import membrane
from pydl.vision.inputs import stacked

VIEWS = 8                       # of each test image: turned and mirrored; the mean of the probabilities counts
SHOWN = 3
CROP, REPEATS = 256, 8          # pixels of the windows of membranes; how many of each image in an epoch
WIDTHS = (24, 48, 96, 128)      # the network takes 2x2 pixels as one: at full size most time went into 16 filters
SCENES, SCENE_SIZE, SIDES = (120, 24), (96, 128), (32, 64)
OBJECT_COLOUR, MISSED, INVENTED = (0.09, 0.21, 0.37), (0.84, 0.37, 0.0), (0.0, 0.45, 0.70)


@dataclass
class Task:
    """What is to be learnt: images (N, H, W) uint8, masks (N, H, W), the same for the test, and which class is the object."""

    images: np.ndarray
    masks: np.ndarray
    test_images: np.ndarray
    test_masks: np.ndarray
    classes: tuple[str, str]
    thing: int
    augment: T.Transform
    batch: int
    repeats: int                # windows of each image in an epoch
    weights: tuple[float, float]
    epochs: tuple[int, int]     # as a rule, and with --quick


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a quarter of the training")
    parser.add_argument("--epochs", type=positive, metavar="N", help="train for so many epochs")
    parser.add_argument("--data", metavar="FOLDER", help="a folder with image/ and label/ (default: PYDL_DATA/membrane)")


def run(stage: Stage) -> None:
    task = chosen(stage)
    name = task.classes[task.thing]
    segmenter = Segmenter("UNet", task.classes, widths=WIDTHS, patch=2)
    clock = Clock()
    with clock:
        segmenter.fit(task.images, task.masks, epochs=stage.options.epochs or task.epochs[bool(stage.options.quick)], repeats=task.repeats,
                      batch_size=task.batch, lr=3e-3, class_weight=task.weights, augment=task.augment, on_interrupt="raise")
    found = []
    with stage.progress("predicting", len(task.test_images)) as progress:
        for image in task.test_images:
            found.append(segmenter.predict(image[None], views=VIEWS)[0].numpy())
            progress.step()
    predicted, truth = np.stack(found), task.test_masks.astype(np.int64)
    simple = baseline(task)
    accuracy, iou = pixel_accuracy(predicted, truth), object_iou(predicted, truth, task.thing)
    stage.plot("segment.png", draw(task, predicted, f"pixel accuracy {accuracy:.3f}, {name} IoU {iou:.2f}; mean of {VIEWS} turned views"))
    stage.figure("pixel accuracy", accuracy, digits=3)
    stage.figure(f"{name} IoU", iou, digits=2)
    stage.figure("pixel accuracy of a 5x5 mean and a threshold", pixel_accuracy(simple, truth), digits=3)
    stage.figure(f"{name} IoU of a 5x5 mean and a threshold", object_iou(simple, truth, task.thing), digits=2)
    stage.figure("train seconds", clock.seconds, "s", digits=1)


def object_iou(predicted: np.ndarray, truth: np.ndarray, thing: int) -> float:
    each = mean_iou(predicted, truth, average=None, num_classes=2)
    assert isinstance(each, np.ndarray)
    return float(each[thing])


def chosen(stage: Stage) -> Task:
    """The membranes where they are, else scenes of digits, and a note that says so."""
    given = stage.options.data
    if given is None and not os.path.isdir(os.path.join(os.environ.get("PYDL_DATA", ""), "membrane")):
        stage.notes.append("no PYDL_DATA with membrane/: these are scenes composed of the embedded digits")
        return scenes()
    return stage.load(membranes, given)


# ---- Membranes

def membranes(folder: str | None) -> Task:
    """Images 0 to 23 for training, 24 to 29 for the test."""
    both = [membrane(train, root=folder) for train in (True, False)]
    images = [stacked("segment", [one.raw(i)[0] for i in range(len(one))], 1)[0].numpy()[:, 0] for one in both]
    masks = [np.stack([one.raw(i)[1]["masks"].numpy() for i in range(len(one))]) for one in both]
    # All this was chosen on images 18 to 23, after training on 0 to 17. A window is turned, stretched and bent with some room around it,
    # so that little of it is mirrored.
    augment = T.Compose([
        T.RandomCrop(CROP * 5 // 4), T.RandomHorizontalFlip(),
        T.RandomAffine(180, scale=(0.8, 1.25), interpolation="bilinear", padding_mode="reflect"),
        T.ElasticTransform(60.0, 8.0, padding_mode="reflect"), T.CenterCrop(CROP), T.ColorJitter(brightness=0.2, contrast=0.25)])
    return Task(images[0], masks[0], images[1], masks[1], ("membrane", "cell"), 0, augment, 4, REPEATS, (1.4, 1.0), (26, 7))


# ---- Scenes of digits

def scenes() -> Task:
    """Digits on a noisy ground; those of the test scenes are in no training scene."""
    pairs = [digit_scenes(count, SCENE_SIZE, seed=0, test=test, sides=SIDES) for count, test in zip(SCENES, (False, True), strict=True)]
    images, masks = [pictures[:, 0] for pictures, _ in pairs], [np.stack([target["masks"] for target in targets]) for _, targets in pairs]
    augment = T.Compose([T.RandomHorizontalFlip(), T.RandomVerticalFlip(), T.ColorJitter(brightness=0.2, contrast=0.25)])
    return Task(images[0], masks[0], images[1], masks[1], ("ground", "foreground"), 1, augment, 8, 1, (1.0, 1.0), (20, 6))


# ---- What it is held against, and the picture

def smoothed(images: np.ndarray) -> np.ndarray:
    """The mean of 5x5 pixels, rounded to whole grey values."""
    x = pydl.from_numpy(images[:, None].astype(np.float32))
    return ops.avg_pool2d(x, 5, 1, 2, count_include_pad=False).numpy()[:, 0].round().astype(np.int64)


def baseline(task: Task) -> np.ndarray:
    """Dark or light after a 5x5 mean: the threshold, and which side is which, are the best ones for the training images."""
    counts = [np.bincount(smoothed(task.images)[task.masks == k], minlength=256).cumsum() for k in (0, 1)]
    dark_first = counts[0] + (counts[1][-1] - counts[1])        # right pixels, where class 0 is up to the threshold
    light_first = counts[0][-1] + counts[1][-1] - dark_first
    dark = dark_first.max() >= light_first.max()
    above = smoothed(task.test_images) > (dark_first if dark else light_first).argmax()
    return (above if dark else ~above).astype(np.int64)


def draw(task: Task, predicted: np.ndarray, title: str) -> Callable[[Any], None]:
    """-> a function that draws, for some test images: the image, the truth, the prediction, and where they differ."""
    name = task.classes[task.thing]

    def onto(figure: Any) -> None:
        height, width = task.test_images.shape[1:]
        figure.set_size_inches(12, 0.9 + 2.95 * SHOWN * height / width)
        figure.suptitle(title, fontsize=14)
        panels = figure.subplots(SHOWN, 4)
        for row, image, mask, answer in zip(panels, task.test_images, task.test_masks, predicted, strict=False):
            truth, found = mask == task.thing, answer == task.thing
            row[0].imshow(image, cmap="gray", vmin=0, vmax=255)
            for axes, shown in ((row[1], truth), (row[2], found)):
                axes.imshow(painted(shown.shape, (shown, OBJECT_COLOUR)))
            row[3].imshow(painted(truth.shape, (truth & found, (0.8, 0.8, 0.8)), (truth & ~found, MISSED), (found & ~truth, INVENTED)))
            for axes in row:
                axes.set_xticks([])
                axes.set_yticks([])
        for axes, text in zip(panels[0], ("test image", f"truth: {name}", f"prediction: {name}", "orange: missed, blue: too much"),
                              strict=True):
            axes.set_title(text, fontsize=12)
    return onto


def painted(shape: tuple[int, ...], *layers: tuple[np.ndarray, tuple[float, float, float]]) -> np.ndarray:
    """White, with each layer's pixels in its colour: (H, W, 3)."""
    picture = np.ones((*shape, 3))
    for where, colour in layers:
        picture[where] = colour
    return picture
