"""Transforms made of transforms."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pydl.ops.random import randperm
from pydl.random import Generator
from pydl.tensor import Tensor
from pydl.vision.transforms.batch import Batch, Target, Transform, happens, probability, uniform


class Several(Transform):
    """What those made of others share. Functions of one's own may be among them: they are called with the image, and with the target
    where there is one, and return as many."""

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        name = type(self).__name__
        if not isinstance(transforms, Sequence) or not transforms:
            raise TypeError(f"{name}: expected a list of one or more transforms, got {transforms!r}")
        for i, transform in enumerate(transforms):
            if not callable(transform):
                raise TypeError(f"{name}: transform {i}: expected something that can be called, got {type(transform).__name__}")
        self.transforms = list(transforms)

    def __call__(self, image: Any, target: Target = None) -> Any:
        if isinstance(image, Tensor):
            return super().__call__(image, target)
        for transform in self.order():      # not a tensor yet: one by one
            image, target = called(transform, image, target)
        return image if target is None else (image, target)

    def order(self) -> Sequence[Callable[..., Any]]:
        """Which ones, in which order, this time."""
        return self.transforms

    def apply(self, batch: Batch) -> None:
        for transform in self.order():
            if isinstance(transform, Transform) and type(transform).__call__ in (Transform.__call__, Several.__call__):
                transform.apply(batch)
            else:
                batch.reset(*called(transform, *batch.pair()))


def called(transform: Callable[..., Any], image: Any, target: Target) -> tuple[Any, Target]:
    if target is None:
        return transform(image), None
    result = transform(image, target)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise TypeError(f"transforms: {transform!r} was called with an image and a target, and returned {type(result).__name__}, not both")
    return result[0], result[1]


class Compose(Several):
    """One after the other.

    >>> import pydl
    >>> from pydl.vision import transforms as T
    >>> t = T.Compose([T.RandomHorizontalFlip(p=1.0), T.ToDtype(pydl.float32, scale=True)])
    >>> image, target = t(pydl.zeros(3, 4, 8, dtype=pydl.uint8), {"boxes": pydl.tensor([[0., 0., 2., 4.]])})
    >>> image.dtype, target["boxes"].tolist()
    (pydl.float32, [[6.0, 0.0, 8.0, 4.0]])
    """


class RandomApply(Several):
    """All of them, with probability p, or none; one draw for a batch."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__(transforms)
        self.p, self.generator = probability("RandomApply", p), generator

    def order(self) -> Sequence[Callable[..., Any]]:
        return self.transforms if happens(self.generator, 1, self.p)[0] else []


class RandomChoice(Several):
    """One of them, with probabilities proportional to p (default: all alike); one draw for a batch."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None, *,
                 generator: Generator | None = None) -> None:
        super().__init__(transforms)
        weights = np.ones(len(self.transforms)) if p is None else np.asarray(p, dtype=np.float64)
        if weights.shape != (len(self.transforms),) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
            raise ValueError(f"RandomChoice: expected p of {len(self.transforms)} numbers, 0 or more and not all 0, got {p!r}")
        self.p, self.generator = (weights / weights.sum()).tolist(), generator

    def order(self) -> Sequence[Callable[..., Any]]:
        at = int(np.searchsorted(np.cumsum(self.p), uniform(self.generator, 1)[0], "right"))
        return [self.transforms[min(at, int(np.flatnonzero(self.p)[-1]))]]


class RandomOrder(Several):
    """All of them, in a random order; one draw for a batch."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], *, generator: Generator | None = None) -> None:
        super().__init__(transforms)
        self.generator = generator

    def order(self) -> Sequence[Callable[..., Any]]:
        return [self.transforms[i] for i in randperm(len(self.transforms), generator=self.generator).tolist()]
