"""Averages of a model's weights along its training, with PyTorch's names: an AveragedModel, and the schedule that goes with it.

    >>> import pydl
    >>> from pydl.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    >>> model = pydl.nn.Linear(1, 1, bias=False)
    >>> average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    >>> for weight in (1.0, 2.0, 3.0):
    ...     _ = model.weight.detach().fill_(weight)
    ...     average.update_parameters(model)
    >>> average.module.weight.item()
    2.25
"""
from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydl.autograd import no_grad
from pydl.nn.module import Module
from pydl.nn.owned import modes_kept
from pydl.optim.lr_scheduler.base import LRScheduler
from pydl.optim.lr_scheduler.checks import optimizer_of, per_group, whole
from pydl.optim.optimizer import Optimizer
from pydl.tensor import Tensor, int64, tensor

Average = Callable[[Tensor, Tensor, Any], Tensor]
AverageAll = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]


def get_swa_avg_fn() -> Average:
    """The running mean: a + (p - a) / (n + 1)."""
    return lambda averaged_param, current_param, num_averaged: averaged_param + (current_param - averaged_param) / (num_averaged + 1)


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential moving average: decay * a + (1 - decay) * p. Raises ValueError for decay outside [0, 1]."""
    decay = fraction(decay)
    return lambda averaged_param, current_param, num_averaged: decay * averaged_param + (1 - decay) * current_param


def get_swa_multi_avg_fn() -> AverageAll:
    """The running mean of all parameters, in place."""
    def update(averaged_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], num_averaged: Any) -> None:
        move_all(averaged_param_list, current_param_list, 1 / (float(num_averaged) + 1))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageAll:
    """The exponential moving average of all parameters, in place. Raises ValueError for decay outside [0, 1]."""
    decay = fraction(decay)

    def update(ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], _: Any) -> None:
        move_all(ema_param_list, current_param_list, 1 - decay)

    return update


def fraction(decay: Any) -> float:
    if not isinstance(decay, (int, float)) or not 0 <= decay <= 1:
        raise ValueError(f"decay must be a number in [0, 1], got {decay!r}")
    return float(decay)


def move_all(averages: Sequence[Tensor], values: Sequence[Tensor], part: float) -> None:
    """a + part * (p - a) in place of each a; integers are rounded towards zero."""
    with no_grad():
        for a, p in zip(averages, values, strict=True):
            if a.is_floating_point():
                a.lerp_(p, part)
            else:
                a.copy_((a + (p - a) * part).to(a.dtype))


class AveragedModel(Module):
    """A copy of a model whose parameters are the average of those that the model had at each update_parameters.

    The first update copies, later ones average: by default as the running mean (stochastic weight averaging, Izmailov et al. 2018),
    or by avg_fn(average, parameter, n) -> average, or by multi_avg_fn(averages, parameters, n), which works in place on lists of
    one type. use_buffers averages buffers too; else they are copied from the model each time. `module` is the copy, and
    `n_averaged` an int64 buffer that counts the updates. Raises ValueError for both functions at once, and where the parameters of
    the model given to update_parameters do not fit.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: AverageAll | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise TypeError(f"AveragedModel: model must be a Module, got {type(model).__name__}")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: only one of avg_fn and multi_avg_fn can be given")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the present parameters of the model into the average."""
        averages, values = self._averaged(self.module), self._averaged(model)
        buffers = [] if self.use_buffers else [b.detach() for b in self.module.buffers()]
        kept = [] if self.use_buffers else [b.detach() for b in model.buffers()]
        for mine, theirs in ((averages, values), (buffers, kept)):
            if [(a.shape, a.dtype) for a in mine] != [(b.shape, b.dtype) for b in theirs]:
                raise ValueError("AveragedModel: the model has other parameters or buffers than the one that was copied: "
                                 f"{[tuple(b.shape) for b in theirs]}, expected {[tuple(a.shape) for a in mine]}")
        with no_grad():
            if self.n_averaged.item() == 0:
                for a, p in zip(averages, values, strict=True):
                    a.copy_(p)
            elif self.avg_fn is not None:
                for a, p in zip(averages, values, strict=True):
                    a.copy_(self.avg_fn(a, p, self.n_averaged))
            else:
                update = self.multi_avg_fn or get_swa_multi_avg_fn()
                for dtype in dict.fromkeys(a.dtype for a in averages):
                    places = [i for i, a in enumerate(averages) if a.dtype is dtype]
                    update([averages[i] for i in places], [values[i] for i in places], self.n_averaged)
            for b, value in zip(buffers, kept, strict=True):
                b.copy_(value)
            self.n_averaged += 1

    def _averaged(self, model: Module) -> list[Tensor]:
        return [x.detach() for x in (itertools.chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters())]


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of a model's batch norm layers anew, in one pass over loader: an average over its batches.

    A batch is a tensor, or a list or tuple that begins with one. An averaged model needs it before it is used: its statistics are
    not those of its weights. Every module is in the mode that it was in afterwards.
    """
    layers: list[Any] = [m for m in model.modules() if hasattr(m, "reset_running_stats") and hasattr(m, "momentum")]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        with modes_kept(model), no_grad():
            model.train()
            for batch in loader:
                input = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(input if device is None else input.to(device))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


class SWALR(LRScheduler):
    """Goes from the rate of each group to swa_lr within anneal_epochs steps, and stays there.

    lr(t) = lr(0) + f(t / anneal_epochs) * (swa_lr - lr(0)), f(x) = x for anneal_strategy "linear", (1 - cos(pi x)) / 2 for "cos".
    swa_lr: one number, or one for each group. It follows what others do to the rate meanwhile, as PyTorch's does. Raises ValueError
    for another strategy, and for anneal_epochs below 0.
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1,
    ) -> None:
        optimizer_of(self._name, optimizer, last_epoch)
        rates = per_group(self._name, "swa_lr", optimizer, swa_lr)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        self.anneal_epochs = whole(self._name, "anneal_epochs", anneal_epochs, 0)
        self._anneal_strategy = anneal_strategy
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group, rate in zip(self.optimizer.param_groups, self._rates(), strict=True):
            goal = group["swa_lr"]
            first = goal if before == 1 else (rate - before * goal) / (1 - before)
            rates.append(goal * now + first * (1 - now))
        return rates

    def _share(self, step: int) -> float:
        """How much of the way lies behind after so many steps."""
        x = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return x if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * x)) / 2
