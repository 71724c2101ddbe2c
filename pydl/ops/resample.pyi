from collections.abc import Sequence

from pydl._core.tensor import Tensor

def resample(
    input: Tensor, size: Sequence[int], mode: str, align_corners: bool = False, scales: Sequence[float] | None = None
) -> Tensor: ...
def resample_turned(
    input: Tensor, size: Sequence[int], mode: str, align_corners: bool = False, scales: Sequence[float] | None = None
) -> Tensor: ...

RESAMPLE_MODES: tuple[str, ...]
__all__ = ["resample", "resample_turned"]
METHODS: list[str]
