"""Stochastic gradient descent."""
from collections.abc import Iterable
from typing import Any

from pydl._core.step import sgd_step
from pydl.optim.optimizer import Group, Optimizer, not_nan, number, only_off


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013) or Nesterov's momentum.

    d = g + weight_decay * p;  m = momentum * m + (1 - dampening) * d (m = d at first);  p = p - lr * m, or
    p - lr * (d + momentum * m) with nesterov. maximize climbs instead. foreach and fused are taken for PyTorch's signature:
    every step is one fused kernel. Raises ValueError for hyperparameters that are negative or NaN.
    """

    state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        only_off("SGD", differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize,
        })

    def check(self, group: Group) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            number("SGD", group, name)
        not_nan("SGD", group, "dampening")
        dampening = group["dampening"]
        if group["nesterov"] and (group["momentum"] <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening, got "
                             f"momentum {group['momentum']}, dampening {dampening}")

    def update(self) -> None:
        sgd_step(self._launches, self.param_groups, self.state)
