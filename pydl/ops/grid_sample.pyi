from collections.abc import Sequence

from pydl._core.tensor import Tensor

def grid_sampled(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    orders: Sequence[int] | None = None,
) -> Tensor: ...
def grid_sampled_turned(
    input: Tensor,
    grid: Tensor,
    size: Sequence[int],
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    orders: Sequence[int] | None = None,
) -> Tensor: ...

GRID_MODES: tuple[str, ...]
GRID_PADDING: tuple[str, ...]
__all__ = ["grid_sampled", "grid_sampled_turned"]
METHODS: list[str]
