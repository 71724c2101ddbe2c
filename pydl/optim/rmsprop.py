"""RMSprop."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, number, only_off


class RMSprop(Counted):
    """RMSprop (Hinton, Srivastava & Swersky 2012, lecture 6e), centered as in Graves 2013.

    d = g + weight_decay * p;  v = alpha * v + (1 - alpha) * d^2;  s = sqrt(v). centered subtracts the square of the mean:
    a = a + (1 - alpha) * (d - a);  s = sqrt(v - a^2), which rounding never makes less than 0.
    p = p - lr * d / (s + eps), or with momentum m = momentum * m + d / (s + eps);  p = p - lr * m. maximize climbs instead.
    foreach is taken for PyTorch's signature: every step is one fused kernel. Raises ValueError for hyperparameters that are
    negative or NaN.
    """

    name = "RMSprop"
    state_names = ("step", "square_avg")
    state_options = ("momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        only_off("RMSprop", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
            "maximize": maximize,
        })

    def check(self, group: Group) -> None:
        for name in ("lr", "alpha", "eps", "weight_decay", "momentum"):
            number("RMSprop", group, name)

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        hyper = (group["lr"], group["alpha"], group["eps"], group["weight_decay"], group["momentum"], sign(group))
        return hyper, (("square_avg", 0, True), ("momentum_buffer" if group["momentum"] > 0 else None, 0, False),
                       ("grad_avg" if group["centered"] else None, 0, False)), ()
