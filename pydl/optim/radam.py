"""RAdam."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, betas, number, only_off


class RAdam(Counted):
    """RAdam: Adam whose adaptive rate waits until the variance of the gradients is known (Liu et al. 2020).

    d = g + weight_decay * p (decoupled_weight_decay: d = g;  p = p - lr * weight_decay * p, Loshchilov & Hutter 2019);
    m = beta1 * m + (1 - beta1) * d;  v = beta2 * v + (1 - beta2) * d^2;  R = 2 / (1 - beta2) - 1;
    r = R - 2 t beta2^t / (1 - beta2^t);  c = sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r));
    p = p - lr * m / (1 - beta1^t) * c * sqrt(1 - beta2^t) / (sqrt(v) + eps) where r > 5, else p - lr * m / (1 - beta1^t).
    maximize climbs instead. foreach is taken for PyTorch's signature: every step is one fused kernel. Raises ValueError for
    hyperparameters out of range or NaN.
    """

    name = "RAdam"
    state_names = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        only_off("RAdam", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        })

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            number("RAdam", group, name)
        betas("RAdam", group)

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        hyper = (group["lr"], *group["betas"], group["eps"], group["weight_decay"], sign(group), bool(group["decoupled_weight_decay"]))
        return hyper, (("exp_avg", 0, True), ("exp_avg_sq", 0, True)), ()
