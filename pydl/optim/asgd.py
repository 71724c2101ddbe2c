"""Averaged stochastic gradient descent."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, not_nan, number, only_off


class ASGD(Counted):
    """Averaged stochastic gradient descent (Polyak & Juditsky 1992): state "ax" is the average of the parameters.

    d = g + weight_decay * p;  p = p - eta * lambd * p - eta * d;  ax = ax + mu * (p - ax);
    for the next step eta = lr / (1 + lambd * lr * t)^alpha, from lr on, and mu = 1 / max(1, t - t0), from 1 on. maximize
    climbs instead. foreach is taken for PyTorch's signature: every step is one fused kernel. Raises ValueError for lr and
    weight_decay that are negative, and for NaN.
    """

    name = "ASGD"
    state_names = ("step", "eta", "mu", "ax")
    state_numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        only_off("ASGD", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "maximize": maximize,
        })

    def check(self, group: Group) -> None:
        for name in ("lr", "weight_decay"):
            number("ASGD", group, name)
        not_nan("ASGD", group, "lambd", "alpha", "t0")

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        hyper = (group["lr"], group["lambd"], group["alpha"], group["t0"], group["weight_decay"], sign(group))
        return hyper, (("ax", 0, True),), (("eta", group["lr"], True), ("mu", 1, True))
