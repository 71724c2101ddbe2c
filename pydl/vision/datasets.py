"""Data sets of image files: folders of classes, Pascal VOC annotations, images with masks."""
from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self
from xml.etree import ElementTree

import numpy as np

from pydl.data.dataset import Dataset
from pydl.datasets.local import data_folder
from pydl.tensor import Tensor, from_numpy
from pydl.vision.images import Path, read_image

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")
LARGEST_XML = 1 << 24
Transforms = Callable[..., Any] | None


class ImageFiles(Dataset[tuple[Any, Any]]):
    """What the data sets here share. A subclass gives `read(index)`: the image, a uint8 tensor (C, H, W), and its target, from the files.

    cache: every sample is kept in memory once it has been read, as uint8, and shared by a loader's workers; `load()` reads all at once.
    transforms(image, target) -> both makes the sample of what was read, anew each time.
    """

    def __init__(self, transforms: Transforms, cache: bool) -> None:
        if transforms is not None and not callable(transforms):
            raise TypeError(f"{type(self).__name__}: transforms: expected a function, got {type(transforms).__name__}")
        self.transforms = transforms
        self.cached: dict[int, tuple[Tensor, Any]] | None = {} if cache else None

    def read(self, index: int) -> tuple[Tensor, Any]:
        raise NotImplementedError(f"{type(self).__name__}: read is not defined")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__}: __len__ is not defined")

    def raw(self, index: int) -> tuple[Tensor, Any]:
        """Sample `index` as it was read. What is in memory is not copied: do not write to it."""
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range: there are {len(self)} samples")
        if self.cached is None:
            return self.read(at)
        if at not in self.cached:
            self.cached[at] = self.read(at)
        return self.cached[at]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = self.raw(index)
        if isinstance(target, Mapping):
            target = dict(target)
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def load(self, progress: bool = True) -> Self:
        """Reads every file now, with a progress bar on stderr; the data set itself is returned. ValueError where cache is False."""
        from pydl.training.progress import Progress

        if self.cached is None:
            raise ValueError(f"{type(self).__name__}: load() needs cache=True")
        bar = Progress(f"reading {type(self).__name__}", len(self)) if progress else None
        try:
            for i in range(len(self)):
                self.raw(i)
                if bar is not None:
                    bar.step()
        finally:
            if bar is not None:
                bar.__exit__()
        return self


def images_in(name: str, folder: str) -> list[str]:
    """The image files of a folder, in order: numbers by value."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name}: no folder {folder}")
    found = [entry.path for entry in os.scandir(folder) if entry.is_file() and entry.name.lower().endswith(EXTENSIONS)]
    return sorted(found, key=by_number)


def by_number(path: str) -> tuple[str, int, str]:
    """10.png after 9.png."""
    stem = stem_of(path)
    digits = len(stem) - len(stem.rstrip("0123456789"))
    text = stem[:len(stem) - digits]
    number = stem[len(text):]
    return text, int(number) if number and number.isascii() and len(number) < 19 else -1, stem


def stem_of(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


class ImageFolder(ImageFiles):
    """root/CLASS/image: sample i is the image and the number of its class, an int.

    classes: the folders' names, in order; class_to_idx: name -> number; samples: (file, number). transform changes the image,
    target_transform the number. mode: as in read_image. Raises FileNotFoundError for no folder, ValueError for no class or a
    class without images; ValueError, naming the file, for a damaged one when it is read.
    """

    def __init__(self, root: Path, transform: Transforms = None, target_transform: Transforms = None, *, mode: str | None = "RGB",
                 cache: bool = False) -> None:
        self.root, self.mode, self.transform, self.target_transform = os.fsdecode(root), mode, transform, target_transform
        if not os.path.isdir(self.root):
            raise FileNotFoundError(f"ImageFolder: no folder {self.root}")
        self.classes = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir() and not entry.name.startswith("."))
        if not self.classes:
            raise ValueError(f"ImageFolder: {self.root}: expected a folder for each class, got none")
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples: list[tuple[str, int]] = []
        for name, i in self.class_to_idx.items():
            files = images_in("ImageFolder", os.path.join(self.root, name))
            if not files:
                raise ValueError(f"ImageFolder: {os.path.join(self.root, name)}: no images ({', '.join(EXTENSIONS)})")
            self.samples += [(file, i) for file in files]
        self.targets = [i for _, i in self.samples]
        super().__init__(self.both, cache)

    def both(self, image: Tensor, target: int) -> tuple[Any, Any]:
        return (image if self.transform is None else self.transform(image),
                target if self.target_transform is None else self.target_transform(target))

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> tuple[Tensor, int]:
        file, target = self.samples[index]
        return read_image(file, self.mode), target


class VOCDetection(ImageFiles):
    """A folder in Pascal VOC's form: Annotations/*.xml, JPEGImages/*.jpg, ImageSets/Main/<image_set>.txt (Everingham et al. 2010).

    Sample i: the image, and a dict of "boxes" (K, 4) float32, x1 y1 x2 y2 as the file says, "labels" (K,) int64, numbers in
    `classes`, "difficult" (K,) bool and "image_id", an int. classes: the names that count, in order; by default those in the annotations
    of this set, sorted: give them where several sets must agree. Boxes are cut at the image's edges by `slack` pixels at most (1: files
    count from 1 or from 0); what lies further outside is a ValueError. empty: what becomes of boxes without an area: "raise" or "drop".
    All annotations are read and checked at once, the images when they are asked for. Raises FileNotFoundError for missing files, and
    ValueError, naming the file, for what is no such annotation, for entities (which may grow without bound), and sizes unlike the image's.
    """

    def __init__(self, root: Path, image_set: str = "train", transforms: Transforms = None, *, classes: Sequence[str] | None = None,
                 cache: bool = False, empty: str = "raise", slack: float = 1.0) -> None:
        super().__init__(transforms, cache)
        if empty not in ("raise", "drop"):
            raise ValueError(f"VOCDetection: empty must be 'raise' or 'drop', got {empty!r}")
        self.root, self.image_set = os.fsdecode(root), image_set
        listed = os.path.join(self.root, "ImageSets", "Main", f"{image_set}.txt")
        if not os.path.isfile(listed):
            raise FileNotFoundError(f"VOCDetection: no file {listed}")
        try:
            with open(listed, encoding="utf-8") as file:
                self.ids = [line.split()[0] for line in file if line.strip()]
        except UnicodeDecodeError as error:
            raise ValueError(f"VOCDetection: {listed}: expected text in UTF-8: {error}") from error
        for name in self.ids:
            if os.path.basename(name) != name or name in (".", ".."):
                raise ValueError(f"VOCDetection: {listed}: expected names of files without a folder, got {name!r}")
        found = [Annotation(os.path.join(self.root, "Annotations", f"{name}.xml"), empty, slack) for name in self.ids]
        self.classes = list(classes) if classes is not None else sorted({name for one in found for name in one.names})
        numbers = {name: i for i, name in enumerate(self.classes)}
        for one in found:
            if unknown := set(one.names) - set(numbers):
                raise ValueError(f"VOCDetection: {one.file}: objects of classes {sorted(unknown)} that are not among {self.classes}")
        self.annotations = found
        self.labels = [np.array([numbers[name] for name in one.names], dtype=np.int64) for one in found]

    def __len__(self) -> int:
        return len(self.ids)

    def image_file(self, index: int) -> str:
        for extension in EXTENSIONS:
            path = os.path.join(self.root, "JPEGImages", self.ids[index] + extension)
            if os.path.isfile(path):
                return path
        raise FileNotFoundError(f"VOCDetection: no image {os.path.join(self.root, 'JPEGImages', self.ids[index])}.jpg")

    def read(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        file, known = self.image_file(index), self.annotations[index]
        image = read_image(file)
        if (image.shape[1], image.shape[2]) != known.size:
            raise ValueError(f"VOCDetection: {file} has {image.shape[1]} x {image.shape[2]} pixels, but {known.file} says "
                             f"{known.size[0]} x {known.size[1]}")
        return image, {"boxes": from_numpy(known.boxes), "labels": from_numpy(self.labels[index]), "difficult": from_numpy(known.difficult),
                       "image_id": index}


class Annotation:
    """What an XML file says: size (height, width), names, boxes (K, 4) float32, difficult (K,) bool."""

    def __init__(self, file: str, empty: str, slack: float) -> None:
        self.file = file
        root = parse_xml(file)
        height, width = (self.number(root, f"size/{side}") for side in ("height", "width"))
        if not all(1 <= side < 2**31 for side in (height, width)):
            raise ValueError(f"VOCDetection: {file}: an image of {width:g} x {height:g} pixels")
        self.size = (int(height), int(width))
        names, boxes, difficult = [], [], []
        for item in root.iter("object"):
            name = item.findtext("name", "").strip()
            if not name:
                raise ValueError(f"VOCDetection: {file}: an object without a name")
            box = self.box(item, name, slack)
            if box[2] <= box[0] or box[3] <= box[1]:
                if empty == "raise":
                    raise ValueError(f"VOCDetection: {file}: the box of {name!r} has no area: {box}; empty='drop' leaves such out")
                continue
            names.append(name)
            boxes.append(box)
            difficult.append(item.findtext("difficult", "0").strip() == "1")
        self.names = names
        self.boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        self.difficult = np.array(difficult, dtype=bool)

    def box(self, item: Any, name: str, slack: float) -> list[float]:
        box = [self.number(item, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        limits = (self.size[1], self.size[0]) * 2
        for value, limit in zip(box, limits):
            if not -slack <= value <= limit + slack:
                raise ValueError(f"VOCDetection: {self.file}: the box of {name!r}, {box}, lies outside of the image of "
                                 f"{self.size[1]} x {self.size[0]} pixels")
        return [min(max(value, 0.0), float(limit)) for value, limit in zip(box, limits)]

    def number(self, item: Any, path: str) -> float:
        text = item.findtext(path, "").strip()
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"VOCDetection: {self.file}: expected a number in <{path}>, got {text!r}") from None


def parse_xml(file: str) -> ElementTree.Element:
    """The root of a small UTF-8 file without a document type: no entity can be declared, so that none can grow or name a file."""
    if not os.path.isfile(file):
        raise FileNotFoundError(f"VOCDetection: no file {file}")
    with open(file, "rb") as stream:
        data = stream.read(LARGEST_XML + 1)
    if len(data) > LARGEST_XML:
        raise ValueError(f"VOCDetection: {file}: more than {LARGEST_XML} bytes are no annotation")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"VOCDetection: {file}: expected text in UTF-8: {error}") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError(f"VOCDetection: {file}: declares a document type or entities, which annotations do not need: refused")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"VOCDetection: {file}: damaged XML: {error}") from error


class SegmentationFolder(ImageFiles):
    """Pairs of an image and a mask with the same name (but for the extension) in two folders, or in two lists of files.

    Sample i: the image, and {"masks": (H, W) uint8}. values: the grey values of a mask that mean class 0, 1, ... (a
    palette's indices where it has one): any other is a ValueError that names the file; None: the values themselves. Raises
    FileNotFoundError for no folder, ValueError for no images, one without a partner, and for a mask of another size, naming the file.
    """

    def __init__(self, images: Path | Sequence[Path], masks: Path | Sequence[Path], transforms: Transforms = None, *,
                 values: Sequence[int] | None = None, mode: str | None = "RGB", cache: bool = False) -> None:
        super().__init__(transforms, cache)
        self.images, self.masks = self.files(images), self.files(masks)
        self.values, self.mode = None if values is None else list(values), mode
        if self.values is not None and (len(set(self.values)) != len(self.values) or not all(0 <= value <= 255 for value in self.values)):
            raise ValueError(f"SegmentationFolder: values must be different numbers from 0 to 255, got {values!r}")
        if not self.images:
            raise ValueError(f"SegmentationFolder: no images in {images}")
        alone = sorted(set(map(stem_of, self.images)) ^ set(map(stem_of, self.masks)))
        if isinstance(images, (str, os.PathLike)) and alone or len(self.images) != len(self.masks):
            raise ValueError(f"SegmentationFolder: {len(self.images)} images, {len(self.masks)} masks; without a partner: {alone[:5]}")

    def files(self, where: Path | Sequence[Path]) -> list[str]:
        if isinstance(where, (str, os.PathLike)):
            return images_in("SegmentationFolder", os.fsdecode(where))
        return [os.fsdecode(file) for file in where]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        image, mask = read_image(self.images[index], self.mode), self.mask(self.masks[index])
        if tuple(image.shape[1:]) != tuple(mask.shape):
            raise ValueError(f"SegmentationFolder: {self.images[index]} has {image.shape[1]} x {image.shape[2]} pixels, but "
                             f"{self.masks[index]} {mask.shape[0]} x {mask.shape[1]}")
        return image, {"masks": mask}

    def mask(self, file: str) -> Tensor:
        pixels = read_image(file, "P")[0]
        if self.values is None:
            return pixels
        table = np.full(256, -1)
        table[self.values] = np.arange(len(self.values))
        found = table[pixels.numpy()]
        if (found < 0).any():
            raise ValueError(f"SegmentationFolder: {file}: expected the values {self.values}, got "
                             f"{np.unique(pixels.numpy()[found < 0])[:5].tolist()}")
        return from_numpy(found.astype(np.uint8))


def bccd(split: str = "train", transforms: Transforms = None, *, root: Path | None = None, cache: bool = True) -> VOCDetection:
    """Blood cells: 364 photographs of 640 x 480 pixels with boxes of platelets, red and white cells (PYDL_DATA/bccd, or root).

    split: "train" (205), "val" (87), "test" (72) or "trainval". Two boxes without an area are left out. FileNotFoundError where there is
    no data.
    """
    return VOCDetection(data_folder("bccd", root), split, transforms, classes=("Platelets", "RBC", "WBC"), cache=cache, empty="drop")


def membrane(train: bool = True, transforms: Transforms = None, *, root: Path | None = None, cache: bool = True) -> SegmentationFolder:
    """Cell membranes under the electron microscope: grey images (1, 512, 512) with masks of 0, membrane, and 1, cell (ISBI 2012).

    The folders image and label of PYDL_DATA/membrane, or of root: numbers 0 to 23 (train) or 24 to 29. FileNotFoundError where
    there is no data, ValueError where there are not 30 pairs.
    """
    folder = data_folder("membrane", root)
    images, labels = (images_in("membrane", os.path.join(folder, part)) for part in ("image", "label"))
    if [stem_of(file) for file in images] != [str(i) for i in range(30)] or list(map(stem_of, images)) != list(map(stem_of, labels)):
        raise ValueError(f"membrane: {folder}: expected the images and labels 0 to 29, got {len(images)} and {len(labels)}")
    part = slice(0, 24) if train else slice(24, 30)
    return SegmentationFolder(images[part], labels[part], transforms, values=(0, 255), mode="L", cache=cache)


def collate(batch: Sequence[tuple[Tensor, Any]]) -> tuple[Any, list[Any]]:
    """A collate_fn for detection: the images stacked where they have one shape, else in a list, and the targets in a list."""
    images = [image for image, _ in batch]
    shapes = {(tuple(image.shape), image.dtype) for image in images}
    stacked = from_numpy(np.stack([image.numpy() for image in images])) if len(shapes) == 1 else images
    return stacked, [target for _, target in batch]


__all__ = ["ImageFolder", "SegmentationFolder", "VOCDetection", "bccd", "collate", "membrane"]
