"""Optimizers with PyTorch's names. Each step is one fused C call over all parameters."""
import importlib
from typing import TYPE_CHECKING

from pydl.optim.adadelta import Adadelta
from pydl.optim.adagrad import Adagrad
from pydl.optim.adam import Adam
from pydl.optim.adamax import Adamax
from pydl.optim.adamw import AdamW
from pydl.optim.asgd import ASGD
from pydl.optim.nadam import NAdam
from pydl.optim.optimizer import Optimizer
from pydl.optim.radam import RAdam
from pydl.optim.rmsprop import RMSprop
from pydl.optim.rprop import Rprop
from pydl.optim.sgd import SGD

if TYPE_CHECKING:
    from pydl.optim import lr_scheduler, swa_utils

__all__ = [
    "ASGD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "Optimizer", "RAdam", "RMSprop", "Rprop",
    "lr_scheduler", "swa_utils",
]


def __getattr__(name: str) -> object:
    if name in ("lr_scheduler", "swa_utils"):      # loaded when they are first named
        return importlib.import_module(f"pydl.optim.{name}")
    raise AttributeError(f"module 'pydl.optim' has no attribute {name!r}")
