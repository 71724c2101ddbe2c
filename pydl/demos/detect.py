"""A network finds blood cells in microscope pictures, whose files are read from PYDL_DATA/bccd; or digits in composed scenes."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pydl.datasets import data_folder
from pydl.demos.harness import Stage, positive
from pydl.demos.scenes import digit_scenes
from pydl.vision import Detector
from pydl.vision.datasets import VOCDetection
from pydl.vision.transforms import ColorJitter, Compose, RandomStretch, Resize

SIZE = (240, 320)                       # half of the cells' pictures
SCENES, SCENE_SIZE = (600, 150), (96, 128)
UPRIGHT = Compose([RandomStretch(min_visible=0.6), ColorJitter(0.3, 0.3)])      # a mirrored digit is another one, or none
SHOWN = 4       # test pictures in the plot
SURE = 0.3      # ... with what is found with this score, or a better one


class Task(NamedTuple):
    """A detector and its data, images and targets; epochs and those of --quick; views: of each test picture, mirrored or not."""

    detector: Detector
    train: tuple[Any, Any]
    test: tuple[Any, Any]
    epochs: tuple[int, int]
    augment: Any = True
    views: int = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FOLDER", help="a folder in Pascal VOC's form, lists trainval and test (default: PYDL_DATA/bccd)")
    parser.add_argument("--quick", action="store_true", help="about two minutes instead of seven")
    parser.add_argument("--epochs", type=positive, metavar="N", help="how often all pictures are seen (default: as --quick says)")


def run(stage: Stage) -> None:
    folder = stage.options.data
    if folder is None and os.path.isdir(os.path.join(os.environ.get("PYDL_DATA", ""), "bccd")):
        folder = data_folder("bccd")
    task = digits(stage) if folder is None else cells(stage, folder)
    epochs = task.epochs[bool(stage.options.quick)] if stage.options.epochs is None else stage.options.epochs
    history = task.detector.fit(*task.train, epochs=epochs, augment=task.augment, on_interrupt="raise")
    figures = task.detector.evaluate(*task.test, views=task.views)
    stage.figure("mAP@.5", figures["map_50"], digits=3)
    stage.figure("mAP@.75", figures["map_75"], digits=3)
    stage.figure("train seconds", sum(history["seconds"]), "s", digits=1)
    stage.figure("epochs", epochs)
    stage.plot("detect.png", draw(task))


def cells(stage: Stage, folder: str) -> Task:
    """Training pictures at half their size; test pictures and their truth as they are."""
    train = stage.load(VOCDetection, folder, "trainval", Resize(SIZE), empty="drop")
    test = stage.load(VOCDetection, folder, "test", classes=train.classes, empty="drop")
    return Task(Detector(train.classes, size=SIZE), pairs(stage, train), pairs(stage, test), epochs=(60, 16))


def pairs(stage: Stage, data: VOCDetection) -> tuple[list[Any], list[Any]]:
    """All images and their targets."""
    images, targets = [], []
    with stage.progress("reading images", len(data)) as bar:
        for i in range(len(data)):
            image, target = stage.load(data.__getitem__, i)
            images.append(image)
            targets.append(target)
            bar.step()
    return images, targets


def digits(stage: Stage) -> Task:
    stage.notes.append("no blood cells: PYDL_DATA names no folder that holds bccd/; these are scenes composed of the embedded digits")
    train, test = (digit_scenes(count, SCENE_SIZE, seed=0, test=held_out) for count, held_out in zip(SCENES, (False, True), strict=True))
    return Task(Detector([str(i) for i in range(10)], channels=1, size=SCENE_SIZE), train, test, (40, 16), UPRIGHT, views=1)


def draw(task: Task) -> Callable[[Any], None]:
    """-> a function that draws some test pictures: above the truth, below what the detector finds."""
    places = np.linspace(0, len(task.test[0]) - 1, min(SHOWN, len(task.test[0]))).astype(int)
    pictures, truth = ([part[i] for i in places] for part in task.test)
    found = task.detector.predict(pictures, score_threshold=SURE, views=task.views)

    def onto(figure: Any) -> None:
        for column, rows in enumerate(zip(pictures, truth, found, strict=True)):
            for row, target in enumerate(rows[1:]):
                axes = figure.add_subplot(2, len(places), row * len(places) + column + 1)
                show(axes, np.asarray(rows[0]), target, task.detector.classes)
                axes.set_ylabel("" if column else ("truth", "found")[row])
    return onto


def show(axes: Any, picture: np.ndarray, target: Any, classes: Sequence[str]) -> None:
    """A picture (C, H, W) with boxes, the names of classes and, where there are any, scores."""
    from matplotlib.patches import Rectangle

    axes.imshow(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0), cmap="gray")
    axes.set(xticks=[], yticks=[])
    boxes, labels = np.asarray(target["boxes"]), np.asarray(target["labels"])
    for i, ((x1, y1, x2, y2), label) in enumerate(zip(boxes, labels, strict=True)):
        colour = f"C{label % 10}"
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.2))
        text = classes[label] + (f" {float(target['scores'][i]):.2f}" if "scores" in target else "")
        axes.text(x1, y1, text, fontsize=5, color="white", verticalalignment="bottom",
                  bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.5})
