from pydl._core.tensor import Tensor

def bag_sum(weight: Tensor, index: Tensor, offsets: Tensor | None = None, factor: Tensor | None = None) -> Tensor: ...
def bag_grad(dy: Tensor, index: Tensor, rows: int, offsets: Tensor | None = None, factor: Tensor | None = None) -> Tensor: ...
def bag_dot(dy: Tensor, weight: Tensor, index: Tensor, offsets: Tensor | None = None) -> Tensor: ...
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor: ...
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor: ...

__all__ = ["bag_dot", "bag_grad", "bag_sum", "embedding", "embedding_bag"]
METHODS: list[str]
