"""Rprop."""
from collections.abc import Iterable
from typing import Any

from pydl.optim.counted import Counted, Slots, sign
from pydl.optim.optimizer import Group, number, only_off


class Rprop(Counted):
    """Resilient backpropagation (Riedmiller & Braun 1993), without backtracking (iRprop-, Igel & Huesken 2000).

    Every element has a step of its own, s, which begins at lr: s = s * etaplus where the gradient keeps its sign,
    s * etaminus where it turns, held within step_sizes; p = p - sgn(g) * s, but where g has turned p and sign wait a step.
    maximize climbs instead. A NaN gradient makes the parameter NaN (PyTorch passes over it). foreach is taken for
    PyTorch's signature: every step is one fused kernel. Raises ValueError for hyperparameters out of range or NaN.
    """

    name = "Rprop"
    state_names = ("step", "prev", "step_size")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        only_off("Rprop", capturable=capturable, differentiable=differentiable)
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def check(self, group: Group) -> None:
        number("Rprop", group, "lr")
        for name in ("etas", "step_sizes"):
            try:
                low, high = group[name]
                ok = 0 < low < 1 < high if name == "etas" else 0 <= low <= high
            except (TypeError, ValueError):
                raise TypeError(f"Rprop: {name} must be a pair of numbers, got {group[name]!r}") from None
            if not ok:
                wanted = "0 < etaminus < 1 < etaplus" if name == "etas" else "0 <= smallest <= largest"
                raise ValueError(f"Rprop: {name} must be {wanted}, got {group[name]}")

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        return (*group["etas"], *group["step_sizes"], sign(group)), (("prev", 0, True), ("step_size", group["lr"], True)), ()
