"""Adamax."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, betas, number, only_off


class Adamax(Counted):
    """Adamax: Adam with the largest gradient in place of their variance (Kingma & Ba 2015, section 7.1).

    d = g + weight_decay * p;  m = beta1 * m + (1 - beta1) * d;  u = max(beta2 * u, |d| + eps);
    p = p - lr / (1 - beta1^t) * m / u. maximize climbs instead. foreach is taken for PyTorch's signature: every step is one fused
    kernel. Raises ValueError for hyperparameters out of range or NaN.
    """

    name = "Adamax"
    state_names = ("step", "exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        only_off("Adamax", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            number("Adamax", group, name)
        betas("Adamax", group)

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        hyper = (group["lr"], *group["betas"], group["eps"], group["weight_decay"], sign(group))
        return hyper, (("exp_avg", 0, True), ("exp_inf", 0, True)), ()
