from collections.abc import Callable

from pydl._core.tensor import Tensor

def launch_lines(
    kernel: str, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], outer: int, n: int, scalars: tuple[float, ...] = ()
) -> None: ...
def launch_regions(
    kernel: str,
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    images: tuple[int, ...],
    size: tuple[int, ...],
    scalars: tuple[float, ...] = (),
) -> None: ...
def check_rows(rows: Tensor, what: int, refuse: Callable[[Tensor, int], Exception], images: float = -1.0) -> None: ...
