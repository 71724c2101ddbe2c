from collections.abc import Iterable

from pydl._core.tensor import Tensor

def norm_of_all(tensors: Iterable[Tensor], p: float = 2.0) -> Tensor: ...
def scale_all(tensors: Iterable[Tensor], factor: float | Tensor) -> None: ...

__all__ = ["norm_of_all", "scale_all"]
METHODS: list[str]
