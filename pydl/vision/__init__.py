"""Images: files, data sets, transforms that carry boxes and masks along, drawing; boxes and regions, anchors; models.

Classifier, Detector and Segmenter train a model on them and use it, in a few lines. Submodules and classes are loaded when they are named.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydl.vision import anchors, datasets, draw, images, models, ops, transforms
    from pydl.vision.classification import Classifier
    from pydl.vision.detection import Detector
    from pydl.vision.segmentation import Segmenter

_LAZY = (
    "anchors",
    "datasets",
    "draw",
    "images",
    "models",
    "ops",
    "transforms",
)
_CLASSES = {
    "Classifier": "classification",
    "Detector": "detection",
    "Segmenter": "segmentation",
}

if not TYPE_CHECKING:       # a type checker would take every name to be there
    def __getattr__(name: str) -> object:
        if name in _LAZY:
            return importlib.import_module(f"pydl.vision.{name}")
        if name in _CLASSES:
            return getattr(importlib.import_module(f"pydl.vision.{_CLASSES[name]}"), name)
        raise AttributeError(f"module 'pydl.vision' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_CLASSES})
