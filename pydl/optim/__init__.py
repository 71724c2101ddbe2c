"""Optimizers with PyTorch's names. Each step is one fused C call over all parameters."""
import importlib
from typing import TYPE_CHECKING

from pydl.optim.adam import Adam
from pydl.optim.adamw import AdamW
from pydl.optim.optimizer import Optimizer
from pydl.optim.sgd import SGD

if TYPE_CHECKING:
    from pydl.optim import lr_scheduler

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]


def __getattr__(name: str) -> object:
    if name == "lr_scheduler":      # loaded when it is first named
        return importlib.import_module("pydl.optim.lr_scheduler")
    raise AttributeError(f"module 'pydl.optim' has no attribute {name!r}")
