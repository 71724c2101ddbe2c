from collections.abc import Sequence

from pydl._core.tensor import Tensor

def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor: ...
def pad_turned(input: Tensor, shape: Sequence[int], pad: Sequence[int], mode: str) -> Tensor: ...

PAD_MODES: tuple[str, ...]
__all__ = ["pad", "pad_turned"]
METHODS: list[str]
