from pydl._core.tensor import Tensor
from pydl.random import Generator

def glu(input: Tensor, dim: int = -1) -> Tensor: ...
def prelu(input: Tensor, weight: Tensor) -> Tensor: ...
def rrelu(
    input: Tensor, lower: float = 0.125, upper: float = ..., training: bool = False, generator: Generator | None = None
) -> Tensor: ...

__all__ = ["glu", "prelu", "rrelu"]
METHODS: list[str]
