from pydl._core.tensor import Tensor

def class_labels(name: str, input: Tensor, target: Tensor, ignore_index: int = -100) -> Tensor: ...
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor: ...
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor: ...
def nll_loss_bwd(
    dy: Tensor,
    target: Tensor,
    shape: tuple[int, ...],
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor: ...

__all__ = [
    "cross_entropy",
    "nll_loss",
]
METHODS: list[str]
