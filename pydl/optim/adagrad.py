"""Adagrad."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, number, only_off
from pydl.tensor import tensor


class Adagrad(Counted):
    """Adagrad (Duchi, Hazan & Singer 2011).

    d = g + weight_decay * p;  v = v + d^2, from initial_accumulator_value on;
    p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(v) + eps). maximize climbs instead. The state is there from the start.
    foreach and fused are taken for PyTorch's signature: every step is one fused kernel. Raises ValueError for hyperparameters
    that are negative or NaN.
    """

    name = "Adagrad"
    state_names = ("step", "sum")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        only_off("Adagrad", differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "maximize": maximize,
        })

    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for p in group["params"]:
            self.state[p] = {"step": tensor(0.0), "sum": p.detach().clone().fill_(group["initial_accumulator_value"])}

    def check(self, group: Group) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            number("Adagrad", group, name)

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        hyper = (group["lr"], group["lr_decay"], group["weight_decay"], group["eps"], sign(group))
        return hyper, (("sum", group["initial_accumulator_value"], True),), ()
