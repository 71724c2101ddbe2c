"""Augmentation and preparation of images, with torchvision.transforms.v2's names; boxes, masks and keypoints are carried along.

`transforms.functional` has them as functions. `help(transforms.Transform)` says what goes in and comes out.
"""

from pydl.vision.transforms import functional
from pydl.vision.transforms.auto import RandAugment, TrivialAugmentWide
from pydl.vision.transforms.batch import Transform
from pydl.vision.transforms.colour import (
    ColorJitter,
    GaussianBlur,
    Grayscale,
    Normalize,
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomGrayscale,
    RandomInvert,
    RandomPhotometricDistort,
    RandomPosterize,
    RandomSolarize,
    ToDtype,
    ToImage,
)
from pydl.vision.transforms.compose import Compose, RandomApply, RandomChoice, RandomOrder
from pydl.vision.transforms.erase import RandomErasing
from pydl.vision.transforms.geometry import (
    CenterCrop,
    ElasticTransform,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomStretch,
    RandomVerticalFlip,
    Resize,
    SanitizeBoundingBoxes,
    ScaleJitter,
)
from pydl.vision.transforms.mix import CutMix, MixUp, Mosaic
from pydl.vision.transforms.moves import InterpolationMode

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "CutMix", "ElasticTransform", "GaussianBlur", "Grayscale", "InterpolationMode",
    "MixUp", "Mosaic", "Normalize", "Pad", "RandAugment", "RandomAdjustSharpness", "RandomAffine", "RandomApply",
    "RandomAutocontrast", "RandomChoice", "RandomCrop", "RandomEqualize", "RandomErasing", "RandomGrayscale",
    "RandomHorizontalFlip", "RandomInvert", "RandomOrder", "RandomPerspective", "RandomPhotometricDistort", "RandomPosterize",
    "RandomResizedCrop", "RandomRotation", "RandomSolarize", "RandomStretch", "RandomVerticalFlip", "Resize", "SanitizeBoundingBoxes",
    "ScaleJitter", "ToDtype", "ToImage", "Transform", "TrivialAugmentWide", "functional",
]
