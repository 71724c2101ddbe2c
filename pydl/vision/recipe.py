"""What the trainings of pydl.vision share: optimizer, schedule, an average of the weights, and files that say how to build the model."""
from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from pydl import io, nn, optim
from pydl.autograd import no_grad
from pydl.optim.lr_scheduler import LambdaLR
from pydl.optim.swa_utils import AveragedModel, move_all
from pydl.tensor import Tensor
from pydl.training import Callback, Trainer
from pydl.vision.images import Path


def adamw(model: nn.Module, lr: float, weight_decay: float) -> optim.AdamW:
    """AdamW, whose decay leaves biases and normalisation alone."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return optim.AdamW([{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}], lr=lr)


def changing(caller: str, augment: Any) -> Any:
    """augment, a function or None. TypeError where it is another thing."""
    if augment is not None and not callable(augment):
        raise TypeError(f"{caller}: augment: expected a function, such as transforms, or None, got {type(augment).__name__}")
    return augment


def warm_cosine(optimizer: optim.Optimizer, steps: int, warmup: int = 60, last: float = 0.02) -> LambdaLR:
    """Up to the rate within `warmup` steps, a tenth of all at most, times a cosine from 1 to `last` after `steps`: for each step."""
    first = max(1, min(warmup, steps // 10))
    return LambdaLR(optimizer, lambda step: min((step + 1) / first, 1) * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * step / steps))))


class Averaging(Callback):
    """Keeps an exponential average of the weights and running statistics, which is a better model than the last step's.

    `model` is the average, decay the share that it keeps at each step, less in the first ones (Polyak & Juditsky 1992)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        def update(averages: Sequence[Tensor], values: Sequence[Tensor], n: Any) -> None:
            move_all(averages, values, 1 - min(decay, (1 + float(n)) / (10 + float(n))))

        self.average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)

    @property
    def model(self) -> Any:
        return self.average.module

    def on_batch_end(self, trainer: Trainer) -> None:
        self.average.update_parameters(trainer.model)

    def give(self, model: nn.Module) -> None:
        """Makes the model the average of what it was, if it has taken a step."""
        if self.average.n_averaged.item():
            with no_grad():
                model.load_state_dict(self.average.module.state_dict())


def saved_arch(caller: str, path: Path, kind: str) -> dict[str, Any]:
    """What a file of pydl.io.save_model(..., arch={kind: settings}) says of its model. ValueError, naming the file, where it is another."""
    try:
        found = json.loads(io.read_metadata(path).get("pydl.arch", "null"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{caller}: {path}: damaged metadata pydl.arch: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get(kind), dict):
        raise ValueError(f"{caller}: {path}: expected the file of a {kind}, whose metadata pydl.arch name it, got {str(found)[:100]}")
    return found[kind]
