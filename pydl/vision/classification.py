"""A classifier of images, from pictures in memory or in folders to a file that can be loaded again.

    from pydl.vision import Classifier, transforms as T

    classifier = Classifier("resnet20")
    classifier.fit("photos/train", epochs=20, validation="photos/test", augment=T.RandomHorizontalFlip())
    print(classifier.evaluate("photos/test"))               # {"accuracy": 0.93, "top5": 0.99, "loss": 0.21}
    print(classifier.predict(["cat.jpg", "dog.jpg"]))       # numbers in classifier.classes
    classifier.save("photos.safetensors")
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np

from pydl import nn, ops
from pydl.autograd import no_grad
from pydl.data import DataLoader, Dataset
from pydl.metrics import Accuracy, accuracy, top_k_accuracy
from pydl.nn.owned import modes_kept
from pydl.ops.gather import index_select
from pydl.tensor import Tensor, from_numpy
from pydl.training import Callback, History
from pydl.training.stopping import count
from pydl.vision.datasets import ImageFolder
from pydl.vision.inputs import Size, channels_in, stacked
from pydl.vision.recipe import changing
from pydl.vision.tasks import Normalisation, Task
from pydl.vision.transforms.batch import pair_of

Augment = Callable[[Tensor], Tensor] | None


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """Images (N, C, H, W) uint8 and labels (N,): a batch is augmented at once, and normalised."""

    def __init__(self, images: Tensor, labels: Tensor, normalisation: Normalisation, augment: Augment = None) -> None:
        self.images, self.labels, self.normalisation, self.augment = images, labels, normalisation, augment

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        images, labels = self.gather(from_numpy(np.array([index], dtype=np.int64)))
        return images[0], labels[0]

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """indices (B,) int64 -> images (B, C, H, W) float32, labels (B,)."""
        images = index_select(self.images, 0, indices)
        if self.augment is not None:
            images = self.augment(images)
        return self.normalisation(images), index_select(self.labels, 0, indices)


class Classifier(Task):
    """Which of several classes an image shows.

        >>> import numpy as np, pydl
        >>> from pydl.datasets import digits
        >>> images, labels = digits()
        >>> two = labels < 2
        >>> classifier = Classifier(pydl.nn.Sequential(pydl.nn.Flatten(), pydl.nn.Linear(64, 2)))
        >>> history = classifier.fit(images[two] / 16, labels[two], lr=1e-2, progress=False)
        >>> classifier.evaluate(images[two] / 16, labels[two])["accuracy"] > 0.95
        True

    model: a name of pydl.vision.models ("LeNet5", "resnet18", "CifarResNet" ...), whose arguments may follow; a Module from images
    (N, C, H, W) to logits (N, classes); or None: LeNet5 of twice the width for square images of one channel and 12 to 32 pixels, else
    a CifarResNet of 20 layers. classes: how many, or their names; by default what the training data shows. size: (height, width), or a
    number for both, to which all images are resized; by default that of the first training image.

    Images are given as an array or tensor (N, H, W) or (N, C, H, W), uint8 or floats from 0 to 1 (kept as bytes); as a list of images of
    any sizes: tensors (C, H, W), arrays (H, W), (H, W, C) or (C, H, W), Pillow images, files; or as a folder. They are normalised by the
    mean and deviation of each channel over the first training images.
    """

    names = ("CifarResNet", "ConvNeXt", "LeNet5", "MobileNetV2", "convnext_tiny", "mobilenet_v2", "resnet18", "resnet20", "resnet34",
             "resnet50", "resnet56", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn")

    def __init__(self, model: nn.Module | str | None = None, classes: int | Sequence[str] | None = None, *,
                 size: int | Sequence[int] | None = None, **arguments: Any) -> None:
        super().__init__(model, classes, arguments)
        self.size: Size | None = None if size is None else pair_of("Classifier", "size", size)

    def fit(self, images: Any, labels: Any = None, *, epochs: int = 10, validation: Any = None, batch_size: int = 64, lr: float = 2e-3,
            weight_decay: float = 1e-2, label_smoothing: float = 0.0, augment: Augment = None, callbacks: Iterable[Callback] = (),
            progress: bool = True, on_interrupt: Literal["return", "raise"] = "return") -> History:
        """Trains with AdamW and a cosine schedule -> the history, with val_loss and val_accuracy where there is validation data.

        images, labels: images and class numbers (N,); or a folder with a folder of images for each class, or a Dataset of (image,
        class number), without labels. validation: the same, as (images, labels), a folder or a Dataset. augment: a function, such as
        transforms, of a batch (N, C, H, W) uint8, drawn anew for every batch. A Ctrl-C
        ends the training early, as in Trainer.fit. Another fit goes on with the same model and normalisation.

        Raises ValueError for no images, images without pixels, labels that do not fit, and files, which are named, that cannot be read;
        FileNotFoundError for no folder, TypeError for anything else.
        """
        changing("Classifier.fit", augment)
        with self._all_or_nothing():
            pictures, numbers = self._examples("Classifier.fit", images, labels)
            held_out = None
            if validation is not None:
                given = validation if isinstance(validation, tuple) else (validation, None)
                held_out = self._examples("Classifier.fit: validation", *given)
            if self.normalisation is None:
                self.normalisation = Normalisation.of([pictures])
            model = self.model or self._chosen(pictures)
        loader = DataLoader(Pictures(pictures, numbers, self.normalisation, augment), batch_size=batch_size, shuffle=True,
                            drop_last=len(pictures) > batch_size)
        tested = None if held_out is None else DataLoader(Pictures(*held_out, self.normalisation), batch_size=256)
        return self._trained(model, loader, tested, nn.CrossEntropyLoss(label_smoothing=label_smoothing), {"accuracy": Accuracy()},
                             epochs=epochs, lr=lr, weight_decay=weight_decay, callbacks=callbacks, progress=progress,
                             on_interrupt=on_interrupt)

    def predict_proba(self, images: Any, *, batch_size: int = 256) -> Tensor:
        """The probability of each class: (N, classes) float32."""
        return ops.softmax(self._logits("predict_proba", images, batch_size), 1)

    def predict(self, images: Any, *, batch_size: int = 256) -> Tensor:
        """The number of the most probable class of each image, in `classes`: (N,) int64."""
        return ops.argmax(self._logits("predict", images, batch_size), 1)

    def evaluate(self, images: Any, labels: Any = None, *, batch_size: int = 256) -> dict[str, float]:
        """{"accuracy", "loss": the mean cross entropy, and "top5" where there are more than five classes}. Arguments: as for fit."""
        self._ready("evaluate")
        pictures, numbers = self._examples("Classifier.evaluate", images, labels)
        logits = self._logits("evaluate", pictures, batch_size)
        found = {"accuracy": accuracy(logits, numbers)}
        if logits.shape[1] > 5:
            found["top5"] = top_k_accuracy(logits, numbers, 5)
        return {**found, "loss": ops.cross_entropy(logits, numbers).item()}

    def _extra(self) -> dict[str, Any]:
        return {"size": self.size}

    def _logits(self, what: str, images: Any, batch_size: int) -> Tensor:
        model, normalisation = self._ready(what)
        caller = f"Classifier.{what}"
        batch_size = count(caller, "batch_size", batch_size)
        pictures, _ = stacked(caller, images, len(normalisation.mean), self.size)
        with modes_kept(model), no_grad():
            model.eval()
            return ops.cat([model(normalisation(pictures[i:i + batch_size])) for i in range(0, len(pictures), batch_size)])

    def _chosen(self, pictures: Tensor) -> nn.Module:
        """The model of that name, or one that fits the images."""
        _, channels, height, width = pictures.shape
        name = self.name
        if name is None:
            small = channels == 1 and height == width and 12 <= height <= 32
            name = "LeNet5" if small else "CifarResNet"
            self.arguments = {**({"width": 2} if small else {"blocks": 3}), **self.arguments}
        return self._built(name, num_classes=len(self.classes or ()), channels=int(channels), image_size=int(height))

    def _examples(self, caller: str, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) uint8 of one size, and labels (N,) int64; classes and size become known by the first ones."""
        if labels is None:
            images, labels, names = listed(caller, images)
            if self.classes is None:
                self.classes = names
            elif names is not None and names != self.classes:
                raise ValueError(f"{caller}: expected the classes {self.classes}, got {names}")
        numbers = class_numbers(caller, labels)
        channels = self.channels or channels_in(images)
        pictures, sizes = stacked(caller, images, channels, self.size)
        if len(pictures) != len(numbers):
            raise ValueError(f"{caller}: expected a label for each image, got {len(pictures)} images and {len(numbers)} labels")
        classes = len(self.classes) if self.classes is not None else max(int(numbers.max()) + 1, 2)
        if numbers.min() < 0 or numbers.max() >= classes:
            raise ValueError(f"{caller}: labels: expected 0 to {classes - 1}, got {numbers.min()} to {numbers.max()}")
        if self.classes is None:
            self.classes = [str(i) for i in range(classes)]
        self.size = self.size or sizes[0]
        return pictures, from_numpy(numbers)


def listed(caller: str, data: Any) -> tuple[list[Any], list[int], list[str] | None]:
    """Images, class numbers and names of a folder or a data set."""
    if isinstance(data, (str, os.PathLike)):
        folder = ImageFolder(data)
        return [file for file, _ in folder.samples], folder.targets, folder.classes
    if not isinstance(data, Dataset) or not hasattr(data, "__len__"):
        raise TypeError(f"{caller}: expected images and labels, a folder or a Dataset, got {type(data).__name__} alone")
    samples = [data[i] for i in range(len(data))]
    if not all(isinstance(sample, (tuple, list)) and len(sample) == 2 for sample in samples):
        raise TypeError(f"{caller}: expected a Dataset of (image, class number)")
    return [image for image, _ in samples], [label for _, label in samples], getattr(data, "classes", None)


def class_numbers(caller: str, labels: Any) -> np.ndarray:
    """(N,) int64, a copy."""
    if not isinstance(labels, (Tensor, np.ndarray, Iterable)):
        raise TypeError(f"{caller}: labels: expected class numbers (N,), got {type(labels).__name__}")
    numbers = labels.detach().numpy() if isinstance(labels, Tensor) else np.asarray([np.asarray(one) for one in labels])
    if not numbers.size:
        raise ValueError(f"{caller}: labels: expected one or more, got none")
    if numbers.ndim != 1:
        raise ValueError(f"{caller}: labels: expected class numbers (N,), got shape {numbers.shape}")
    if numbers.dtype.kind not in "iub":
        raise TypeError(f"{caller}: labels: expected class numbers, integers, got {numbers.dtype}")
    return numbers.astype(np.int64)


__all__ = ["Classifier"]
