"""A classifier of every pixel, from pictures and masks to a file that can be loaded again.

    from pydl.vision import Segmenter, transforms as T
    from pydl.vision.datasets import membrane

    segmenter = Segmenter("UNet", classes=["membrane", "cell"])
    segmenter.fit(membrane(), epochs=100, validation=membrane(train=False), crop=256,
                  augment=T.Compose([T.RandomHorizontalFlip(), T.RandomVerticalFlip(), T.ColorJitter(brightness=0.2)]))
    print(segmenter.evaluate(membrane(train=False), views=8))       # {"pixel_accuracy": 0.92, "mean_iou": 0.78, ...}
    masks = segmenter.predict("photos", tile=512)
    segmenter.save("membranes.safetensors")
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from pydl import nn, ops
from pydl.autograd import no_grad
from pydl.data import DataLoader, Dataset
from pydl.metrics import Dice, MeanIoU, PixelAccuracy
from pydl.nn.owned import modes_kept
from pydl.tensor import Tensor, from_numpy, int64
from pydl.training import Callback, History
from pydl.training.stopping import count
from pydl.vision.datasets import SegmentationFolder
from pydl.vision.inputs import MODE_OF, channels_in, files_of, single, whole
from pydl.vision.recipe import changing
from pydl.vision.sheets import averaged, padded, window
from pydl.vision.tasks import Normalisation, Task
from pydl.vision.transforms.batch import below, pair_of

Augment = Callable[..., Any] | None
Pair = tuple[np.ndarray, np.ndarray]        # image (C, H, W) uint8, mask (H, W)
LOSSES = ("cross_entropy", "dice", "both")
NONE = -100                                 # what cross_entropy ignores where nothing is to be ignored


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Images and masks, from each of which one window a pass is taken (`repeats` of them): a batch is augmented at once, and normalised.

    size: of the windows (height, width), at random places, an image that is smaller being continued by its mirror image; None: the image as
    a whole, continued to a multiple of `multiple`.
    """

    def __init__(self, pairs: Sequence[Pair], normalisation: Normalisation, size: tuple[int, int] | None = None, augment: Augment = None,
                 repeats: int = 1, multiple: int = 1) -> None:
        self.pairs, self.normalisation, self.size, self.augment = pairs, normalisation, size, augment
        self.repeats, self.multiple = repeats, multiple

    def __len__(self) -> int:
        return len(self.pairs) * self.repeats

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        images, masks = self.gather(from_numpy(np.array([index], dtype=np.int64)))
        return images[0], masks[0]

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """indices (B,) int64 -> images (B, C, H, W) float32, masks (B, H, W) int64."""
        chosen = [self.cut(*self.pairs[i % len(self.pairs)]) for i in indices.tolist()]
        images, masks = (from_numpy(np.stack(parts)) for parts in zip(*chosen, strict=True))
        if self.augment is not None:
            images, target = self.augment(images, {"masks": masks})
            masks = target["masks"]
        return self.normalisation(images), masks.to(int64)

    def cut(self, image: np.ndarray, mask: np.ndarray) -> Pair:
        if self.size is None:
            height, width = (-(-n // self.multiple) * self.multiple for n in mask.shape)
            return padded(image, (height, width)), padded(mask, (height, width))
        image, mask = padded(image, self.size), padded(mask, self.size)
        top, left = (int(below(None, 1, mask.shape[i] - self.size[i] + 1)[0]) for i in (0, 1))
        return window(image, top, left, self.size), window(mask, top, left, self.size)


class MaskLoss(nn.Module):
    """Cross entropy, the Dice loss, or their sum, of logits (N, C, H, W) and class numbers (N, H, W); 0 where no pixel counts."""

    weight: Tensor | None

    def __init__(self, kind: str, weight: Tensor | None, ignore_index: int | None) -> None:
        super().__init__()
        self.kind, self.ignore_index = kind, ignore_index
        self.register_buffer("weight", weight)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        loss = None
        if self.kind != "dice":
            loss = self.cross_entropy(output, target)
        if self.kind != "cross_entropy":
            dice = ops.dice_loss(output, target, "multiclass", weight=self.weight, ignore_index=self.ignore_index)
            loss = dice if loss is None else loss + dice
        assert loss is not None
        return loss

    def cross_entropy(self, output: Tensor, target: Tensor) -> Tensor:
        if self.ignore_index is None:
            return ops.cross_entropy(output, target, self.weight, ignore_index=NONE)
        # the mean, but of no pixels: that is NaN, and windows are taken at random
        known = target != self.ignore_index
        weights = known.to(output.dtype)
        if self.weight is not None:
            weights = self.weight[ops.where(known, target, 0)] * weights
        total = ops.cross_entropy(output, target, self.weight, ignore_index=self.ignore_index, reduction="sum")
        return total / ops.clamp(weights.sum(), min=1e-12)


class Segmenter(Task):
    """Which of several classes each pixel of an image belongs to.

        >>> import numpy as np, pydl
        >>> images = np.random.RandomState(0).randint(0, 256, (8, 16, 16)).astype(np.uint8)
        >>> masks = (images > 127).astype(np.int64)
        >>> segmenter = Segmenter("UNet", widths=(8, 8))
        >>> history = segmenter.fit(images, masks, epochs=20, lr=1e-2, progress=False)
        >>> segmenter.evaluate(images, masks)["pixel_accuracy"] > 0.95
        True

    model: None or "UNet", whose arguments may follow, or a Module from images (N, C, H, W) to logits (N, classes, H, W); where it has an
    attribute `multiple`, heights and widths are made multiples of that. classes: how many, or their names; by default what the training
    masks show. ignore_index: pixels of this class number count for nothing, neither in the loss nor in figures.

    Images are given as an array or tensor (N, H, W) or (N, C, H, W), uint8 or floats from 0 to 1 (kept as bytes); as a list of images of
    any sizes: tensors (C, H, W), arrays (H, W), (H, W, C) or (C, H, W), Pillow images, files; or as a folder. Masks: integers (N, H, W),
    or a list of (H, W). Images are normalised by the mean and deviation of each channel over the first training images.
    """

    names = ("UNet",)

    def __init__(self, model: nn.Module | str | None = None, classes: int | Sequence[str] | None = None, *, ignore_index: int | None = None,
                 **arguments: Any) -> None:
        super().__init__("UNet" if model is None else model, classes, arguments)
        if ignore_index is not None and (isinstance(ignore_index, bool) or not isinstance(ignore_index, int)):
            raise TypeError(f"Segmenter: ignore_index: expected an int or None, got {type(ignore_index).__name__}")
        self.ignore_index = ignore_index

    def fit(self, images: Any, masks: Any = None, *, epochs: int = 50, validation: Any = None, batch_size: int = 4,
            crop: int | Sequence[int] | None = None, repeats: int = 1, lr: float = 3e-3, weight_decay: float = 1e-2,
            loss: str | nn.Module = "cross_entropy", class_weight: str | Sequence[float] | None = None, augment: Augment = None,
            callbacks: Iterable[Callback] = (), progress: bool = True, on_interrupt: Literal["return", "raise"] = "return") -> History:
        """Trains with AdamW and a cosine schedule -> the history, with val_pixel_accuracy and val_mean_iou where there is validation data.

        images, masks: see the class; or two folders, of pairs of files with the same name, read as RGB unless the number of channels is
        known, the masks' grey values being class numbers; or a Dataset of (image, {"masks": (H, W)}) or (image, mask), such as
        SegmentationFolder, alone.
        validation: the same, as (images, masks) or a Dataset. crop: height and width of windows that are taken at random places; by
        default images of one size are used as a whole, and of several sizes windows as large as the smallest. repeats: windows taken of
        each image in an epoch. augment: a function, such as transforms, of a batch (N, C, H, W) uint8 and {"masks": (N, H, W)}, drawn anew
        for every batch. loss: "cross_entropy", "dice", "both" (their sum), or a Module of (logits, masks); class_weight: a weight for
        each class, or "balanced": the inverse of how often it occurs. A Ctrl-C ends the training early, as in Trainer.fit.

        Raises ValueError for no images, masks of another size or with other numbers than the classes', files, which are named, that
        cannot be read; TypeError for anything else.
        """
        repeats, augment = count("Segmenter.fit", "repeats", repeats), changing("Segmenter.fit", augment)
        with self._all_or_nothing():
            pairs = self._pairs("Segmenter.fit", images, masks)
            held_out = None
            if validation is not None:
                held_out = self._pairs("Segmenter.fit: validation", *(validation if isinstance(validation, tuple) else (validation, None)))
            if self.normalisation is None:
                self.normalisation = Normalisation.of([from_numpy(image) for image, _ in pairs])
            classes = len(self.classes or ())
            model = self.model or self._built(self.name or "", num_classes=classes, channels=len(self.normalisation.mean))
        size = window_size(pairs, crop, multiple_of(model))
        if not isinstance(loss, nn.Module):
            if loss not in LOSSES:
                raise ValueError(f"Segmenter.fit: loss: expected one of {', '.join(LOSSES)} or a Module, got {loss!r}")
            loss = MaskLoss(loss, self._weights(class_weight, pairs, classes), self.ignore_index)
        elif class_weight is not None:
            raise ValueError("Segmenter.fit: class_weight is for a loss given by its name")
        loader = DataLoader(Windows(pairs, self.normalisation, size, augment, repeats), batch_size=batch_size, shuffle=True,
                            drop_last=len(pairs) * repeats > batch_size)
        tested = None
        if held_out is not None:
            tested = DataLoader(Windows(held_out, self.normalisation, multiple=multiple_of(model)), batch_size=1)
        metrics = {"pixel_accuracy": PixelAccuracy(num_classes=classes, ignore_index=self.ignore_index),
                   "mean_iou": MeanIoU(num_classes=classes, ignore_index=self.ignore_index)}
        return self._trained(model, loader, tested, loss, metrics, epochs=epochs, lr=lr, weight_decay=weight_decay, callbacks=callbacks,
                             progress=progress, on_interrupt=on_interrupt)

    def predict_proba(self, images: Any, *, tile: int | Sequence[int] | None = None, overlap: int = 32,
                      views: int = 1) -> Tensor | list[Tensor]:
        """The probability of each class at each pixel: (N, classes, H, W) float32, or a list for images of several sizes.

        tile: images are worked on in windows of this size (height, width), which overlap by `overlap` pixels and fade into each other
        there, so that large images need little memory; by default each as a whole. views: 1, or the mean over 2 (mirrored), 4 (and
        upside down) or 8 (and turned by a quarter) views of each image.
        """
        found = [from_numpy(one) for one in self._probabilities("predict_proba", images, tile, overlap, views)]
        return ops.stack(found) if len({tuple(one.shape) for one in found}) == 1 else found

    def predict(self, images: Any, *, tile: int | Sequence[int] | None = None, overlap: int = 32, views: int = 1) -> Tensor | list[Tensor]:
        """The number of the most probable class of each pixel, in `classes`: (N, H, W) int64, or a list of (H, W). As predict_proba."""
        found = [from_numpy(one.argmax(0)) for one in self._probabilities("predict", images, tile, overlap, views)]
        return ops.stack(found) if len({tuple(one.shape) for one in found}) == 1 else found

    def evaluate(self, images: Any, masks: Any = None, *, tile: int | Sequence[int] | None = None, overlap: int = 32,
                 views: int = 1) -> dict[str, Any]:
        """{"pixel_accuracy", "mean_iou", "dice", "iou": of each class by its name, NaN where there is none}, over all pixels.

        Arguments: as for fit and predict_proba.
        """
        self._ready("evaluate")
        pairs = self._pairs("Segmenter.evaluate", images, masks)
        options: dict[str, Any] = {"num_classes": len(self.classes or ()), "ignore_index": self.ignore_index}
        metrics: list[Any] = [PixelAccuracy(**options), MeanIoU(**options), Dice(**options), MeanIoU(average=None, **options)]
        probabilities = self._probabilities("evaluate", [from_numpy(image) for image, _ in pairs], tile, overlap, views)
        for one, (_, mask) in zip(probabilities, pairs, strict=True):
            for metric in metrics:
                metric.update(one.argmax(0)[None], mask[None].astype(np.int64))
        accuracy, iou, dice, each = (metric.compute() for metric in metrics)
        return {"pixel_accuracy": accuracy, "mean_iou": iou, "dice": dice, "iou": dict(zip(self.classes or (), each.tolist(), strict=True))}

    def _extra(self) -> dict[str, Any]:
        return {"ignore_index": self.ignore_index}

    def _probabilities(self, what: str, images: Any, tile: int | Sequence[int] | None, overlap: int, views: int) -> Iterator[np.ndarray]:
        """(classes, H, W) float32 of each image, one by one."""
        model, normalisation = self._ready(what)
        caller = f"Segmenter.{what}"
        size = None if tile is None else pair_of(caller, "tile", tile)
        if views not in (1, 2, 4, 8):
            raise ValueError(f"{caller}: views: expected 1, 2, 4 or 8, got {views!r}")
        if overlap < 0 or size is not None and overlap >= min(size):
            raise ValueError(f"{caller}: overlap: expected 0 or more, and less than the tile {size}, got {overlap}")
        pictures = self._pictures(caller, files_of(caller, images))

        def answer(image: np.ndarray) -> np.ndarray:
            """(C, H, W) bytes -> (classes, H, W)."""
            with modes_kept(model), no_grad():
                model.eval()
                return ops.softmax(model(normalisation(from_numpy(image[None]))), 1)[0].numpy()

        return (averaged(image, answer, multiple_of(model), size, overlap, views) for image in pictures)

    def _pictures(self, caller: str, images: Any) -> list[np.ndarray]:
        channels = self.channels or channels_in(images)
        if isinstance(images, (np.ndarray, Tensor)):
            if images.ndim not in (3, 4):
                raise ValueError(f"{caller}: images: expected (N, C, H, W) or (N, H, W), got shape {tuple(images.shape)}")
            images = whole(caller, images)
            images = list(images.unsqueeze(1) if images.ndim == 3 else images)
        if not isinstance(images, Sequence):
            raise TypeError(f"{caller}: images: expected an array, a list of images or a folder, got {type(images).__name__}")
        if not images:
            raise ValueError(f"{caller}: images: expected one or more, got none")
        return [single(caller, f"images[{i}]", image, channels).numpy() for i, image in enumerate(images)]

    def _pairs(self, caller: str, images: Any, masks: Any) -> list[Pair]:
        """Images and masks that fit each other; the classes become known by the first ones."""
        if isinstance(masks, (str, os.PathLike)):
            images, masks = SegmentationFolder(images, masks, mode=file_mode(caller, self.channels or 3)), None
        if masks is None:
            images, masks = listed(caller, images)
        pictures = self._pictures(caller, files_of(caller, images))
        if not isinstance(masks, (Tensor, np.ndarray, Iterable)):
            raise TypeError(f"{caller}: masks: expected integers (N, H, W) or a list of (H, W), got {type(masks).__name__}")
        layers = [mask_of(caller, f"masks[{i}]", mask) for i, mask in enumerate(masks)]
        if len(pictures) != len(layers):
            raise ValueError(f"{caller}: expected a mask for each image, got {len(pictures)} images and {len(layers)} masks")
        highest = 1
        for i, (image, mask) in enumerate(zip(pictures, layers, strict=True)):
            if image.shape[1:] != mask.shape:
                raise ValueError(f"{caller}: masks[{i}]: expected the size of its image, {image.shape[1:]}, got {mask.shape}")
            counted = mask if self.ignore_index is None else mask[mask != self.ignore_index]
            low, high = (int(counted.min()), int(counted.max())) if counted.size else (0, 0)
            most = high if self.classes is None else len(self.classes) - 1
            if low < 0 or high > most:
                raise ValueError(f"{caller}: masks[{i}]: expected class numbers from 0 to {most}, got {low} to {high}")
            highest = max(highest, high)
        if self.classes is None:
            self.classes = [str(i) for i in range(highest + 1)]
        return list(zip(pictures, layers, strict=True))

    def _weights(self, given: str | Sequence[float] | None, pairs: Sequence[Pair], classes: int) -> Tensor | None:
        if given is None:
            return None
        if isinstance(given, str):
            if given != "balanced":
                raise ValueError(f"Segmenter.fit: class_weight: expected 'balanced' or numbers, got {given!r}")
            counts = sum(np.bincount(mask[(mask >= 0) & (mask < classes)].astype(np.int64), minlength=classes) for _, mask in pairs)
            weights = np.sum(counts) / np.maximum(counts, 1) / classes
        else:
            weights = np.array(given, dtype=np.float64)
        if weights.shape != (classes,) or not (weights >= 0).all():
            raise ValueError(f"Segmenter.fit: class_weight: expected {classes} numbers, 0 or more, got {given!r}")
        return from_numpy(weights.astype(np.float32))


def file_mode(caller: str, channels: int) -> str:
    if channels not in MODE_OF:
        raise ValueError(f"{caller}: images are read with 1 to 4 channels, but the model takes {channels}")
    return MODE_OF[channels]


def multiple_of(model: nn.Module) -> int:
    return int(getattr(model, "multiple", 1))


def window_size(pairs: Sequence[Pair], crop: int | Sequence[int] | None, multiple: int) -> tuple[int, int] | None:
    """The size of the windows; None: whole images."""
    if crop is not None:
        return pair_of("Segmenter.fit", "crop", crop)
    sizes = np.array([mask.shape for _, mask in pairs])
    least = sizes.min(0)
    if (sizes == least).all() and not (least % multiple).any():
        return None
    height, width = np.maximum(least // multiple, 1) * multiple
    return int(height), int(width)


def listed(caller: str, data: Any) -> tuple[list[Any], list[Any]]:
    """Images and masks of a data set."""
    if not isinstance(data, Dataset) or not hasattr(data, "__len__"):
        raise TypeError(f"{caller}: expected images and masks, or a Dataset, got {type(data).__name__} alone")
    samples = [data[i] for i in range(len(data))]
    if not all(isinstance(sample, (tuple, list)) and len(sample) == 2 for sample in samples):
        raise TypeError(f"{caller}: expected a Dataset of (image, mask)")
    return [image for image, _ in samples], [target["masks"] if isinstance(target, dict) else target for _, target in samples]


def mask_of(caller: str, name: str, mask: Any) -> np.ndarray:
    """(H, W) of integers."""
    array = mask.detach().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{caller}: {name}: expected a mask (H, W) with some pixels, got shape {array.shape}")
    if array.dtype.kind not in "iub":
        raise TypeError(f"{caller}: {name}: expected class numbers, integers, got {array.dtype}")
    return np.ascontiguousarray(array if array.dtype in (np.uint8, np.int64) else array.astype(np.int64))


__all__ = ["Segmenter"]
