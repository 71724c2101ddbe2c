"""What Classifier and Segmenter share: models by name, normalised images, training, files that need no code."""
from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from pydl import nn
from pydl.io import load_model, save_model
from pydl.tensor import Tensor, float32, from_numpy
from pydl.training import Callback, History, Trainer
from pydl.vision import models
from pydl.vision.images import Path
from pydl.vision.recipe import adamw, saved_arch, warm_cosine

LARGEST = 1 << 16               # of a number that a file may give to a model


class Normalisation:
    """(x / 255 - mean) / std of each channel: uint8 images (N, C, H, W) -> float32 of about mean 0 and deviation 1."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = [float(m) for m in mean], [float(s) for s in std]
        if not 0 < len(self.mean) == len(self.std) or not all(map(math.isfinite, self.mean)) or not all(0 < s < 1e6 for s in self.std):
            raise ValueError(f"expected a mean and a positive standard deviation for each channel, got {mean} and {std}")
        std_of, mean_of = (np.array(x, dtype=np.float64).reshape(-1, 1, 1) for x in (self.std, self.mean))
        self.scale, self.shift = (from_numpy(x.astype(np.float32)) for x in (1 / (255 * std_of), -mean_of / std_of))

    @classmethod
    def of(cls, images: Iterable[Tensor]) -> Normalisation:
        """That of images (..., C, H, W) in bytes. A channel that is all the same keeps a deviation of 1."""
        count, sums, squares = 0, np.zeros(1), np.zeros(1)
        for image in images:
            x = image.numpy()
            axes = tuple(i for i in range(x.ndim) if i != x.ndim - 3)
            levels = [np.bincount(channel.reshape(-1), minlength=256) for channel in np.moveaxis(x, -3, 0)]
            count += math.prod(x.shape[i] for i in axes)
            sums = sums + np.array(levels) @ np.arange(256.0)
            squares = squares + np.array(levels) @ np.arange(256.0) ** 2
        mean = sums / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0)) / 255
        return cls((mean / 255).tolist(), np.where(deviation > 1e-6, deviation, 1).tolist())

    def __call__(self, images: Tensor) -> Tensor:
        return images.to(float32) * self.scale + self.shift


class Task:
    """A model that is trained on images, kept with what it needs to be used: its classes, and how images are normalised.

    names: the models of pydl.vision.models that the task knows by name. A file of `save` holds that name and the model's arguments, so that
    `load` builds it again from the table; of any other module it holds the weights alone.
    """

    names: tuple[str, ...] = ()

    def __init__(self, model: nn.Module | str | None, classes: int | Sequence[str] | None, arguments: Mapping[str, Any]) -> None:
        task = type(self).__name__
        if not (model is None or isinstance(model, (nn.Module, str))):
            raise TypeError(f"{task}: model: expected an nn.Module, a name or None, got {type(model).__name__}")
        if isinstance(model, nn.Module) and arguments:
            raise TypeError(f"{task}: {', '.join(arguments)}: arguments are for a model given by its name, but this one is made already")
        self.model = model if isinstance(model, nn.Module) else None
        self.name = model if isinstance(model, str) else None
        self.arguments = dict(arguments)
        self.classes = names_of(task, classes)
        self.normalisation: Normalisation | None = None
        if self.name is not None:
            check_arguments(task, self.name, self.names, self.arguments)

    def __repr__(self) -> str:
        known = "?" if self.classes is None else len(self.classes)
        state = "" if self.normalisation is not None else ", untrained"
        return f"{type(self).__name__}({self.name or type(self.model).__name__}, {known} classes{state})"

    @property
    def channels(self) -> int | None:
        """Of the images: those of the training, and of three where only a model that takes no others is known."""
        if self.normalisation is not None:
            return len(self.normalisation.mean)
        if self.name is not None and "channels" not in inspect.signature(getattr(models, self.name)).parameters:
            return 3
        return self.arguments.get("channels")

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """What was learnt about classes, sizes and the model is forgotten if an error follows."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _built(self, name: str, **found: Any) -> nn.Module:
        """The model; `found` are the arguments that the data has shown, for those that it takes and that were not given."""
        taken = inspect.signature(getattr(models, name)).parameters
        self.name = name
        self.arguments = {**{key: value for key, value in found.items() if key in taken}, **self.arguments}
        check_arguments(type(self).__name__, name, self.names, self.arguments)
        self.model = getattr(models, name)(**self.arguments)
        return self.model

    def _ready(self, what: str) -> tuple[nn.Module, Normalisation]:
        if self.model is None or self.normalisation is None:
            raise RuntimeError(f"{type(self).__name__}.{what}: it has not been trained: call fit, or load one")
        return self.model, self.normalisation

    def save(self, path: Path) -> None:
        """Writes the weights, the model's name and arguments, the classes and the normalisation to a safetensors file; no code."""
        model, normalisation = self._ready("save")
        save_model(model, path, arch={type(self).__name__: {
            "model": self.name, "arguments": self.arguments, "classes": self.classes, "mean": normalisation.mean, "std": normalisation.std,
            **self._extra()}})

    def _extra(self) -> dict[str, Any]:
        """What else a file needs: arguments of the constructor, plain data."""
        return {}

    @classmethod
    def load(cls, path: Path, model: nn.Module | None = None) -> Any:
        """What `save` wrote. model: needed, of the same architecture, where it was none of pydl.vision.models by name.

        Raises ValueError, naming the file, where it is damaged or something else.
        """
        arch = saved_arch(f"{cls.__name__}.load", path, cls.__name__)
        try:
            name, extra = arch.get("model"), {key: value for key, value in arch.items() if key not in KEYS}
            if model is None and name not in cls.names:
                raise ValueError(f"its model is not one of pydl.vision.models by name (got {name!r}): give the same one as model=")
            classes, arguments = arch["classes"], arch["arguments"]
            task = cls._restored(model if model is not None else name, classes, {} if model is not None else arguments, extra)
            task.normalisation = Normalisation(arch["mean"], arch["std"])
            if model is None:
                check_plain(arguments)
                task._built(name)
            else:
                task.name, task.arguments = name, arguments
        except (KeyError, TypeError, ValueError, MemoryError, OverflowError) as error:
            raise ValueError(f"{cls.__name__}.load: {os.fsdecode(path)}: {error}") from error
        load_model(task.model, path)
        return task

    @classmethod
    def _restored(cls, model: Any, classes: Any, arguments: Any, extra: dict[str, Any]) -> Any:
        return cls(model, classes, **extra, **arguments)

    def _trained(self, model: nn.Module, loader: Any, validation: Any, loss: Callable[..., Any], metrics: Any, *, epochs: int, lr: float,
                 weight_decay: float, callbacks: Iterable[Callback], progress: bool, on_interrupt: Literal["return", "raise"]) -> History:
        """AdamW with a cosine schedule over all steps, after a short warm-up."""
        optimizer = adamw(model, lr, weight_decay)
        trainer = Trainer(model, optimizer, loss, scheduler=warm_cosine(optimizer, max(len(loader) * epochs, 1)),
                          scheduler_interval="step", metrics=metrics, train_metrics=False, callbacks=callbacks)
        return trainer.fit(loader, validation, epochs=epochs, progress=progress, on_interrupt=on_interrupt)


KEYS = ("model", "arguments", "classes", "mean", "std")


def names_of(task: str, classes: int | Sequence[str] | None) -> list[str] | None:
    """A name for each class: its number where there are no names."""
    if classes is None:
        return None
    if isinstance(classes, int) and not isinstance(classes, bool):
        if classes < 2:
            raise ValueError(f"{task}: classes: expected two or more, got {classes}")
        return [str(i) for i in range(classes)]
    if isinstance(classes, (str, bytes)) or not isinstance(classes, Sequence) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"{task}: classes: expected their number or their names, got {classes!r}")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"{task}: classes: expected two different names or more, got {list(classes)}")
    return list(classes)


def check_arguments(task: str, name: str, names: Sequence[str], arguments: Mapping[str, Any]) -> None:
    if name not in names:
        raise ValueError(f"{task}: model: expected one of {', '.join(names)}, got {name!r}")
    taken = inspect.signature(getattr(models, name)).parameters
    if unknown := [key for key in arguments if key not in taken]:
        raise TypeError(f"{task}: {name} has no argument {', '.join(unknown)}; it has {', '.join(taken)}")


def check_plain(value: Any) -> None:
    """ValueError unless a file's arguments are names to numbers of a sensible size, or lists of them."""
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, list) and len(one) <= 64:
            check_plain(one)
        elif isinstance(one, bool) or not isinstance(one, (int, float)) or not 0 <= one <= LARGEST:
            raise ValueError(f"arguments: expected numbers from 0 to {LARGEST}, got {one!r}")
