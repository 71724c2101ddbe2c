"""Adadelta."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, number, only_off


class Adadelta(Counted):
    """Adadelta (Zeiler 2012).

    d = g + weight_decay * p;  v = rho * v + (1 - rho) * d^2;  x = sqrt(u + eps) / sqrt(v + eps) * d;
    u = rho * u + (1 - rho) * x^2;  p = p - lr * x. maximize climbs instead. foreach is taken for PyTorch's signature: every step
    is one fused kernel. Raises ValueError for hyperparameters that are negative or NaN, or rho above 1.
    """

    name = "Adadelta"
    state_names = ("step", "square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        only_off("Adadelta", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check(self, group: Group) -> None:
        for name in ("lr", "rho", "eps", "weight_decay"):
            number("Adadelta", group, name)
        if group["rho"] > 1:
            raise ValueError(f"Adadelta: rho must be a number in [0, 1], got {group['rho']}")

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        hyper = (group["lr"], group["rho"], group["eps"], group["weight_decay"], sign(group))
        return hyper, (("square_avg", 0, True), ("acc_delta", 0, True)), ()
