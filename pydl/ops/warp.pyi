from collections.abc import Sequence

from pydl._core.tensor import Tensor

PADDINGS: dict[str, int]

def warp(
    input: Tensor, matrix: Tensor, fill: Tensor, size: Sequence[int], mode: str = "bilinear", padding: str = "constant",
    field: Tensor | None = None,
) -> Tensor: ...
def filter_lines(input: Tensor, start: Tensor, weight: Tensor) -> Tensor: ...
def colour_steps(input: Tensor, program: Tensor, most: float) -> Tensor: ...
