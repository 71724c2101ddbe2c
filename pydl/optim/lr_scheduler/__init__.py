"""Schedules of the learning rate with PyTorch's names.

    >>> import pydl
    >>> from pydl.optim import SGD
    >>> from pydl.optim.lr_scheduler import LinearLR
    >>> weight = pydl.ones(3).requires_grad_()
    >>> optimizer = SGD([weight], lr=0.5)
    >>> scheduler = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for epoch in range(3):
    ...     weight.grad = pydl.ones(3)
    ...     print(scheduler.get_last_lr())
    ...     optimizer.step()
    ...     scheduler.step()
    [0.25]
    [0.375]
    [0.5]
"""
from pydl.optim.lr_scheduler.base import LRScheduler
from pydl.optim.lr_scheduler.compose import ChainedScheduler, SequentialLR
from pydl.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from pydl.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from pydl.optim.lr_scheduler.decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from pydl.optim.lr_scheduler.functional import LambdaLR, MultiplicativeLR
from pydl.optim.lr_scheduler.plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler      # the name before PyTorch 2.0, which scripts still derive from

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
