"""Optimizers with PyTorch's names. Each step is one fused C call over all parameters."""
from pydl.optim import lr_scheduler
from pydl.optim.adam import Adam
from pydl.optim.adamw import AdamW
from pydl.optim.optimizer import Optimizer
from pydl.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
