"""The optimizers of csrc/optim_adaptive.c: one kernel each, the same way to it."""
from pydl._core.step import counted_step
from pydl.optim.optimizer import Group, Optimizer

Slots = tuple[tuple[str | None, float, bool], ...]


class Counted(Optimizer):
    """Base of the optimizers whose kernels take their state in one common layout, and count the steps themselves."""

    name: str           # the kernel's

    def layout(self, group: Group) -> tuple[tuple[float, ...], Slots, Slots]:
        """What the kernel of a group reads, in its order: hyperparameters; arrays of state; single numbers of state.

        Of state: (name or None where the group does without, first value, whether it is there from the first step on).
        """
        raise NotImplementedError

    def update(self) -> None:
        counted_step(self._launches, self.name, self.param_groups, self.state, self.layout)


def sign(group: Group) -> float:
    """-1 where the group climbs."""
    return -1 if group["maximize"] else 1
