"""Adam with decoupled weight decay."""
from collections.abc import Iterable
from typing import Any

from pydl._core.step import adam_step
from pydl.optim.optimizer import Group, Optimizer, betas, decay_is, number, only_off


class AdamW(Optimizer):
    """AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    p = p - lr * weight_decay * p;  m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2;
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps). amsgrad divides by the largest v so far
    (Reddi, Kale & Kumar 2018); maximize climbs instead. foreach and fused are taken for PyTorch's signature: every step is one
    fused kernel. Raises ValueError for hyperparameters out of range or NaN, and for a group or a saved state of Adam, which its
    decoupled_weight_decay tells.
    """

    state_names = ("step", "exp_avg", "exp_avg_sq")
    state_options = ("max_exp_avg_sq",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        only_off("AdamW", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
            "decoupled_weight_decay": True,
        })

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            number("AdamW", group, name)
        betas("AdamW", group)
        decay_is("AdamW", group, True, "Adam")

    def update(self) -> None:
        adam_step(self._launches, self.param_groups, self.state, decoupled=True)
