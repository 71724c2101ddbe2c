"""Tables of vectors to look up."""

from __future__ import annotations

from typing import Any, Self

from pydl import ops
from pydl.autograd import no_grad
from pydl.nn import init
from pydl.nn.checks import size_of
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter
from pydl.tensor import Tensor, dtype, empty


class _Table(Module):
    """What Embedding and EmbeddingBag share: the weight, and how it is made."""

    weight: Parameter

    def _make(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, sparse: bool, weight: Tensor | None,
              freeze: bool, device: Any, dtype: dtype | None) -> None:
        name = type(self).__name__
        num_embeddings, embedding_dim = size_of(name, "num_embeddings", num_embeddings), size_of(name, "embedding_dim", embedding_dim)
        if sparse:
            raise ValueError(f"{name}: sparse gradients are not there; with sparse=False the gradient is dense")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"{name}: padding_idx: expected {-num_embeddings} to {num_embeddings - 1}, got {padding_idx}")
            padding_idx %= num_embeddings
        if weight is not None and tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise ValueError(f"{name}: _weight: expected shape {(num_embeddings, embedding_dim)}, got {tuple(weight.shape)}")
        self.num_embeddings, self.embedding_dim, self.padding_idx, self.sparse = num_embeddings, embedding_dim, padding_idx, sparse
        made = empty((num_embeddings, embedding_dim), device=device, dtype=dtype) if weight is None else weight
        self.weight = Parameter(made, requires_grad=not freeze)
        if weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weight anew: normal, with 0 in the row padding_idx."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)


class Embedding(_Table):
    """y = weight[input]: integers (*) -> (*, embedding_dim). weight (num_embeddings, embedding_dim) starts normal.

    padding_idx: its row starts as 0 and gets no gradient. max_norm: rows that are looked up are shortened to this norm of order
    norm_type, in place. scale_grad_by_freq: gradients are divided by how often the input names the row. sparse=True is refused.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
                 norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Tensor | None = None,
                 _freeze: bool = False, device: Any = None, dtype: dtype | None = None) -> None:
        super().__init__()
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self._make(num_embeddings, embedding_dim, padding_idx, sparse, _weight, _freeze, device, dtype)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
                        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Self:
        """A layer with this weight (V, D), which shares its memory; freeze: it is not trained."""
        rows, width = shape_of_table("Embedding.from_pretrained", embeddings)
        return cls(rows, width, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def forward(self, input: Tensor) -> Tensor:
        return ops.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        return described(self, [("padding_idx", self.padding_idx, None), *options(self)])


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the rows that a bag of integers names: (B, L), or (count,) with offsets (B,) -> (B, embedding_dim).

    offsets: where every bag starts; include_last_offset: and where the last one ends. per_sample_weights, of input's shape, for
    mode="sum". Items that name padding_idx do not count. An empty bag gives 0. The rest is as in Embedding.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
                 scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, _weight: Tensor | None = None,
                 include_last_offset: bool = False, padding_idx: int | None = None, device: Any = None,
                 dtype: dtype | None = None) -> None:
        super().__init__()
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"EmbeddingBag: mode: expected 'sum', 'mean' or 'max', got {mode!r}")
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.mode, self.include_last_offset = mode, include_last_offset
        self._make(num_embeddings, embedding_dim, padding_idx, sparse, _weight, False, device, dtype)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None, norm_type: float = 2.0,
                        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, include_last_offset: bool = False,
                        padding_idx: int | None = None) -> Self:
        """A layer with this weight (V, D), which shares its memory; freeze: it is not trained."""
        rows, width = shape_of_table("EmbeddingBag.from_pretrained", embeddings)
        bag = cls(rows, width, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx)
        bag.weight.requires_grad_(not freeze)
        return bag

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return ops.embedding_bag(input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode,
                                 per_sample_weights=per_sample_weights, include_last_offset=self.include_last_offset,
                                 padding_idx=self.padding_idx)

    def extra_repr(self) -> str:
        return described(self, [*options(self), ("mode", self.mode, None), ("padding_idx", self.padding_idx, None)])


def shape_of_table(caller: str, embeddings: Tensor) -> tuple[int, int]:
    if not isinstance(embeddings, Tensor):
        raise TypeError(f"{caller}: embeddings: expected a Tensor, got {type(embeddings).__name__}")
    if embeddings.ndim != 2:
        raise ValueError(f"{caller}: embeddings: expected two dimensions, got shape {tuple(embeddings.shape)}")
    return embeddings.shape[0], embeddings.shape[1]


def options(layer: Any) -> list[tuple[str, Any, Any]]:
    return [("max_norm", layer.max_norm, None), ("norm_type", layer.norm_type, 2), ("scale_grad_by_freq", layer.scale_grad_by_freq, False)]


def described(layer: _Table, arguments: list[tuple[str, Any, Any]]) -> str:
    """The sizes, and the arguments (name, value, default) that are not what they are by default."""
    more = [f"{name}={value!r}" for name, value, default in arguments if value is not None and value != default]
    return ", ".join([str(layer.num_embeddings), str(layer.embedding_dim), *more])
