"""Detector: finds the objects of some classes in images."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from pydl import io
from pydl.data import DataLoader, Dataset
from pydl.metrics import MeanAveragePrecision
from pydl.tensor import Tensor, float32, from_numpy, tensor
from pydl.training import Callback, History, Trainer
from pydl.training.progress import Progress
from pydl.training.stopping import count
from pydl.vision.datasets import VOCDetection
from pydl.vision.images import Path
from pydl.vision.inputs import Size, stacked
from pydl.vision.models.aligned import checked
from pydl.vision.models.fcos import FCOS, DetectionBackbone, Detections
from pydl.vision.recipe import Averaging, adamw, changing, saved_arch, warm_cosine
from pydl.vision.transforms import ColorJitter, Compose, RandomHorizontalFlip, RandomStretch, RandomVerticalFlip
from pydl.vision.transforms.batch import pair_of

Targets = Sequence[Mapping[str, Any]]
Data = tuple[Tensor, list[dict[str, Any]], list[Size]]       # images as bytes, targets in their pixels, the sizes that they had
Augment = Callable[[Tensor, list[dict[str, Any]]], tuple[Tensor, list[dict[str, Any]]]]
LARGEST = 4096      # of all numbers that describe a network: a file may say anything
SLACK = 1.0         # pixels that a box may reach over the image's edge: files count from 1 or from 0


class Detector:
    """An anchor-free detector (vision.models.FCOS), trained from random weights on images and their boxes.

        detector = vision.Detector(["cat", "dog"], size=(240, 320))
        detector.fit(images, targets, epochs=60)            # targets: for each image {"boxes": (K, 4), "labels": (K,)}
        detector.predict(new)[0]                            # {"boxes": ..., "scores": ..., "labels": ...}
        detector.evaluate(test, test_targets)["map_50"]
        detector.save("pets.safetensors")

    images: an array (N, C, H, W) or (N, H, W), uint8 or floats from 0 to 1; a list of images of any size, or of their paths; a data set of
    (image, target) pairs, such as vision.datasets.VOCDetection; or a folder: for predict of images, else in Pascal VOC's form, of which
    fit takes the list "train", its validation "val", evaluate "test". Boxes are x1 y1 x2 y2 in pixels, labels numbers in `classes`;
    "iscrowd" (K,) in a target marks regions that hold many objects: nothing is learnt of them, and in figures nothing there is wrong.
    What a data set calls "difficult" counts as all others.

    All images are resized to size (height, width), by default that of the first one given to fit, and held in memory as bytes; what
    predict says is in pixels of the images as they came. channels: 3, or 1 for grey. widths are those of the network at 1/2, 1/4, 1/8 ...
    of the size, the last two of which look for objects, with so many blocks from 1/4 on; width and depth those of the head.
    """

    def __init__(self, classes: Sequence[str], *, channels: int = 3, size: int | Size | None = None,
                 widths: Sequence[int] = (16, 32, 64, 128), blocks: Sequence[int] = (1, 2, 2), width: int = 64, depth: int = 2) -> None:
        if (isinstance(classes, str) or not isinstance(classes, Sequence) or not classes or len(set(classes)) != len(classes)
                or not all(isinstance(c, str) for c in classes)):
            raise ValueError(f"Detector: classes: expected different names, one or more, got {classes!r}")
        if len(blocks) < 2:
            raise ValueError(f"Detector: blocks: expected numbers for two sizes or more, got {blocks!r}")
        found = None if size is None else pair_of("Detector", "size", size)
        for name, numbers in (("channels", [channels]), ("size", found or [32]), ("widths", widths), ("blocks", blocks), ("width", [width]),
                              ("depth", [depth])):
            if not all(isinstance(n, int) and 1 <= n <= LARGEST for n in numbers):
                raise ValueError(f"Detector: {name}: expected integers from 1 to {LARGEST}, got {numbers!r}")
        self.classes, self.channels = list(classes), channels
        self.size: Size | None = found
        self.settings = {"widths": list(widths), "blocks": list(blocks), "width": width, "depth": depth}
        strides = (2 ** len(blocks), 2 ** (len(blocks) + 1))
        self.model = FCOS(DetectionBackbone(channels, widths, blocks), len(self.classes), widths[-2:], strides, width, depth)
        self.model.eval()

    def __repr__(self) -> str:
        size = "any size" if self.size is None else f"{self.size[0]} x {self.size[1]}"
        return f"Detector({', '.join(self.classes)}; {self.channels} x {size})"

    def fit(self, images: Any, targets: Targets | None = None, *, epochs: int = 60, validation: Any = None, batch_size: int = 8,
            lr: float = 2e-3, weight_decay: float = 0.05, decay: float = 0.995, augment: bool | Augment = True, progress: bool = True,
            callbacks: Sequence[Callback] = (), on_interrupt: Literal["return", "raise"] = "return") -> History:
        """Trains for so many epochs, whose rate falls to almost 0 at the end -> the history. A second fit goes on from the first.

        validation: (images, targets), a data set or a folder: after each epoch the columns val_map, val_map_50 and val_map_75 say how
        well its boxes are found. augment: flips, stretches, moves and colours, drawn anew for each image; or a function of a batch
        (images (N, C, H, W) uint8, list of N targets) that returns such a pair, boxes left without an area being removed
        (transforms.SanitizeBoundingBoxes); or False. decay: of the average of the weights, which is
        the model in the end. A Ctrl-C ends it early, as in Trainer.fit. Raises ValueError and TypeError for images and targets that do not
        fit; boxes must lie within their image, with an area.
        """
        epochs, batch_size = count("Detector.fit", "epochs", epochs), count("Detector.fit", "batch_size", batch_size)
        change = changing("Detector.fit", None if isinstance(augment, bool) else augment)
        pictures, truth, _ = self._data("fit", images, targets, "train", progress, self.size)
        size, held_out = (int(pictures.shape[2]), int(pictures.shape[3])), None
        if validation is not None:
            others, their_targets = validation if isinstance(validation, tuple) else (validation, None)
            held_out = self._data("fit: validation", others, their_targets, "val", progress, size)
        self.size = size
        self._normalise(pictures)
        if augment is True:
            change = augmentation(pictures)
        batch_size = min(batch_size, len(pictures))
        loader = DataLoader(Scenes(pictures, [single_objects(one) for one in truth], change), batch_size, shuffle=True, drop_last=True)
        optimizer = adamw(self.model, lr, weight_decay)
        average = Averaging(self.model, decay)
        watch = [] if held_out is None else [Watching(self, average, held_out)]
        trainer = Trainer(self.model, optimizer, self.model.loss, scheduler=warm_cosine(optimizer, epochs * len(loader)),
                          scheduler_interval="step", max_grad_norm=10.0, callbacks=[average, *watch, *callbacks], capture=False)
        try:
            return trainer.fit(loader, epochs=epochs, progress=progress, on_interrupt=on_interrupt)
        finally:
            average.give(self.model)

    def predict(self, images: Any, *, score_threshold: float = 0.25, iou_threshold: float = 0.6, max_detections: int = 100,
                views: int = 1, batch_size: int = 8) -> list[Detections]:
        """What is seen in each image: a dict of "boxes" (K, 4), "scores" (K,) and "labels" (K,), the best first.

        iou_threshold: of two boxes of one class that overlap by more, the better stays. views: 1, or the mean over 2 (and mirrored) or 4
        (and upside down) views of each image.
        """
        self._fitted("predict")
        batch_size = count("Detector.predict", "batch_size", batch_size)
        pictures, sizes = stacked("Detector.predict", images, self.channels, self.size)
        return self._found(self.model, pictures, sizes, batch_size, score_threshold, iou_threshold, max_detections, views)

    def evaluate(self, images: Any, targets: Targets | None = None, *, iou_threshold: float = 0.6, views: int = 1,
                 batch_size: int = 8) -> dict[str, Any]:
        """COCO's figures (metrics.MeanAveragePrecision): "map_50" is the mean over classes of the average precision of boxes that overlap
        the truth by 0.5 or more, "map_75" by 0.75, "map" the mean over 0.5, 0.55 ... 0.95."""
        self._fitted("evaluate")
        batch_size = count("Detector.evaluate", "batch_size", batch_size)
        data = self._data("evaluate", images, targets, "test", False, self.size)
        return self._measured(self.model, data, batch_size, iou_threshold, views)

    def save(self, path: Path) -> None:
        """Writes weights, classes and sizes as one safetensors file."""
        arch = {"classes": self.classes, "channels": self.channels, "size": self.size, **self.settings}
        io.save_model(self.model, path, arch={"Detector": arch})

    @classmethod
    def load(cls, path: Path) -> Self:
        """A Detector from a file that `save` has written. Raises ValueError, naming the file, for any other."""
        arch = saved_arch("Detector.load", path, "Detector")
        try:
            detector = cls(**arch)
        except (TypeError, ValueError, KeyError, MemoryError, OverflowError) as error:
            raise ValueError(f"Detector.load: {os.fsdecode(path)}: its pydl.arch does not describe a Detector: {error}") from error
        io.load_model(detector.model, path)
        return detector

    def _fitted(self, caller: str) -> None:
        if self.size is None:
            raise RuntimeError(f"Detector.{caller}: the size of the images is not known before fit; give it as size=")

    def _data(self, caller: str, images: Any, targets: Targets | None, part: str, progress: bool, size: Size | None) -> Data:
        caller = f"Detector.{caller}"
        if targets is None:
            if isinstance(images, (str, os.PathLike)):
                images = VOCDetection(images, part, classes=self.classes, empty="drop")
            if not hasattr(images, "__getitem__") or not hasattr(images, "__len__") or isinstance(images, (Tensor, np.ndarray)):
                raise TypeError(f"{caller}: expected targets, or a data set of (image, target) pairs, got {type(images).__name__} alone")
            targets = []
            images = unzipped(caller, images, targets, progress)
        pictures, sizes = stacked(caller, images, self.channels, size)
        if not isinstance(targets, (list, tuple)) or len(targets) != len(pictures):
            raise ValueError(f"{caller}: expected targets to be a list of dicts, one for each of {len(pictures)} images, got "
                             f"{type(targets).__name__}{f' of {len(targets)}' if isinstance(targets, (list, tuple)) else ''}")
        new, least = (int(pictures.shape[2]), int(pictures.shape[3])), self.model.strides[-1]
        if min(new) < least:
            raise ValueError(f"{caller}: expected images of {least} x {least} pixels or more, got {new[0]} x {new[1]} (height, width)")
        truth = [scaled(caller, i, one, old, new, len(self.classes)) for i, (one, old) in enumerate(zip(targets, sizes, strict=True))]
        return pictures, truth, sizes

    def _normalise(self, pictures: Tensor) -> None:
        """The network's first step makes mean 0 and standard deviation 1 of the images of the first fit."""
        backbone: Any = self.model.backbone
        if backbone.mean.numpy().any():
            return
        levels = np.arange(256) / 255
        for i in range(self.channels):
            share = np.bincount(pictures[:, i].numpy().reshape(-1), minlength=256) / pictures[:, i].numel()
            mean = share @ levels
            backbone.mean[i] = float(mean)
            backbone.std[i] = max(float(share @ (levels - mean) ** 2) ** 0.5, 1e-3)

    def _found(self, model: FCOS, pictures: Tensor, sizes: Sequence[Size], batch_size: int, score_threshold: float,
               iou_threshold: float, most: int, views: int) -> list[Detections]:
        """What the model sees, in pixels of images of these sizes."""
        found: list[Detections] = []
        for start in range(0, len(pictures), batch_size):
            found += model.detect(floats(pictures[start:start + batch_size]), score_threshold, iou_threshold, most, views=views)
        return enlarged(found, pictures, sizes)

    def _measured(self, model: FCOS, data: Data, batch_size: int = 8, iou_threshold: float = 0.6, views: int = 1) -> dict[str, Any]:
        pictures, truth, sizes = data
        metric = MeanAveragePrecision()
        found = self._found(model, pictures, sizes, batch_size, 0.02, iou_threshold, 100, views)
        metric.update(found, enlarged(truth, pictures, sizes))
        return metric.compute()


def enlarged(found: Sequence[Detections], pictures: Tensor, sizes: Sequence[Size]) -> list[Detections]:
    """The same boxes in pixels of images of these sizes."""
    height, width = pictures.shape[2:]
    return [{**one, "boxes": one["boxes"] * tensor([w / width, h / height] * 2)} for one, (h, w) in zip(found, sizes, strict=True)]


class Scenes(Dataset[Any]):
    """Images (N, C, H, W) uint8 in memory with their targets; a batch is floats from 0 to 1 and a tuple of dicts, changed by `change`."""

    def __init__(self, pictures: Tensor, targets: list[dict[str, Any]], change: Augment | None) -> None:
        self.pictures, self.targets, self.change = pictures, targets, change

    def __len__(self) -> int:
        return len(self.targets)

    def gather(self, indices: Tensor) -> tuple[Tensor, tuple[dict[str, Any], ...]]:
        images, targets = self.pictures[indices], [self.targets[i] for i in indices.tolist()]
        if self.change is not None:
            images, targets = self.change(images, targets)
        return floats(images), tuple(targets)


class Watching(Callback):
    """Adds to each epoch's row how well the average of the weights does on images that are held out."""

    def __init__(self, detector: Detector, average: Averaging, data: Data) -> None:
        self.detector, self.average, self.data = detector, average, data

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        figures = self.detector._measured(self.average.model, self.data)
        row.update({f"val_{key}": figures[key] for key in ("map", "map_50", "map_75")})


def augmentation(pictures: Tensor) -> Augment:
    """Flips, stretches and colours. What comes in from outside has the mean colour of the images."""
    mean = [float(value) for value in pictures.numpy().mean((0, 2, 3))]
    colours = ColorJitter(0.2, 0.2, 0.2, 0.02) if len(mean) == 3 else ColorJitter(0.2, 0.2)
    return Compose([RandomHorizontalFlip(), RandomVerticalFlip(), RandomStretch(min_visible=0.4, fill=mean), colours])


def floats(images: Tensor) -> Tensor:
    return images.to(float32) / 255


def unzipped(caller: str, data: Any, targets: list[Any], progress: bool) -> Iterator[Any]:
    """The images of a data set of pairs, one by one; their targets are appended."""
    bar = Progress("reading images", len(data)) if progress else None
    try:
        for i in range(len(data)):
            pair = data[i]
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"{caller}: expected (image, target) of sample {i}, got {type(pair).__name__}")
            targets.append(pair[1])
            yield pair[0]
            if bar is not None:
                bar.step()
    finally:
        if bar is not None:
            bar.__exit__()


def scaled(caller: str, i: int, target: Mapping[str, Any], old: Size, new: Size, classes: int) -> dict[str, Any]:
    """The objects of image i, checked: boxes, in pixels of the resized image, labels, iscrowd, and areas where they are given."""
    boxes, labels = checked(caller, i, target, classes)
    limits = np.array([old[1], old[0]] * 2, np.float64)
    outside = ((boxes < -SLACK) | (boxes > limits + SLACK)).any(1)
    inner = np.clip(boxes, 0, limits)
    outside |= (inner[:, 2:] <= inner[:, :2]).any(1)
    if outside.any():
        wrong = int(outside.argmax())
        raise ValueError(f"{caller}: targets[{i}]: boxes[{wrong}] = {boxes[wrong].tolist()} does not lie in its image of {old[0]} x "
                         f"{old[1]} pixels (height, width)")
    inner *= np.array([new[1], new[0]] * 2) / limits
    found = {"boxes": inner.astype(np.float32), "labels": labels.astype(np.int64)}
    for key, kinds, kind in (("iscrowd", "iub", np.uint8), ("area", "fiu", np.float64)):
        x = np.asarray(target.get(key, np.zeros(len(labels), np.uint8)))
        if x.size and x.dtype.kind not in kinds or x.shape != labels.shape:
            raise ValueError(f"{caller}: targets[{i}]: expected {key} {labels.shape}, a number for each box, got {x.dtype} {x.shape}")
        if key in target or key == "iscrowd":
            found[key] = x.astype(kind)
    return {key: from_numpy(x) for key, x in found.items()}


def single_objects(target: dict[str, Any]) -> dict[str, Any]:
    """Without the regions that hold many, of which nothing can be learnt."""
    one = target["iscrowd"] == 0
    return {key: target[key][one] for key in ("boxes", "labels")}
