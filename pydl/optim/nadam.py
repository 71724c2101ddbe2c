"""NAdam."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, betas, number, only_off


class NAdam(Counted):
    """NAdam: Adam with Nesterov's momentum (Dozat 2016).

    d = g + weight_decay * p (decoupled_weight_decay: d = g;  p = p - lr * weight_decay * p, Loshchilov & Hutter 2019);
    mu(t) = beta1 * (1 - 0.96^(t * momentum_decay) / 2);  M(t) = mu(1) ... mu(t);
    m = beta1 * m + (1 - beta1) * d;  v = beta2 * v + (1 - beta2) * d^2;
    p = p - lr * ((1 - mu(t)) / (1 - M(t)) * d + mu(t+1) / (1 - M(t+1)) * m) / (sqrt(v / (1 - beta2^t)) + eps).
    maximize climbs instead. foreach is taken for PyTorch's signature: every step is one fused kernel. Raises ValueError for
    hyperparameters out of range or NaN.
    """

    name = "NAdam"
    state_names = ("step", "mu_product", "exp_avg", "exp_avg_sq")
    state_numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        only_off("NAdam", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
        })

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay", "momentum_decay"):
            number("NAdam", group, name)
        betas("NAdam", group)

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        hyper = (group["lr"], *group["betas"], group["eps"], group["weight_decay"], sign(group),
                 bool(group["decoupled_weight_decay"]), group["momentum_decay"])
        return hyper, (("exp_avg", 0, True), ("exp_avg_sq", 0, True)), (("mu_product", 1, True),)
