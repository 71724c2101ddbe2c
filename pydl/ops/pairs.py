"""What is made of pairs of vectors: similarity, distances, unit vectors, bilinear forms."""
from __future__ import annotations

import numpy as np

from pydl._core.checks import dim_arg, tensor_arg
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import add, div, mul, sub
from pydl.ops.bounds import clamp
from pydl.ops.matmul import matmul
from pydl.ops.moments import norm
from pydl.ops.operands import common_type
from pydl.ops.reduce import sum as total
from pydl.ops.shape import broadcast_to, expand, permute, reshape, unsqueeze


def fitting(op: str, **named: object) -> tuple[Tensor, ...]:
    """The tensors in the type they have in common, a float, each expanded to the shape that they have in common."""
    found = tuple(tensor_arg(op, x, name) for name, x in named.items())
    kind = common_type(op, *found)
    if not kind.is_floating_point:
        types = ", ".join(f"{name} {x.dtype}" for name, x in zip(named, found))
        raise TypeError(f"{op}: expected one floating-point tensor or more, got {types}")
    try:
        shape = np.broadcast_shapes(*(tuple(x.shape) for x in found))
    except ValueError:
        shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in zip(named, found))
        raise ValueError(f"{op}: shapes do not broadcast: {shapes}") from None
    return tuple(broadcast_to(x.to(kind), shape) for x in found)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)) along `dim`: the cosine of the angle between them.

    Shapes broadcast, types promote to a float; `dim` goes. Raises ValueError where shapes do not fit, IndexError for dim.
    """
    a, b = fitting("cosine_similarity", x1=x1, x2=x2)
    d = dim_arg("cosine_similarity", dim, a.ndim)
    if a.ndim == 0:
        a, b = reshape(a, (1,)), reshape(b, (1,))
    lengths = [clamp(norm(x, 2, dim=d, keepdim=True), eps) for x in (a, b)]
    return total(mul(div(a, lengths[0]), div(b, lengths[1])), dim=d)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """(sum |x1 - x2 + eps|^p)^(1/p) along the last dimension: (..., D), (..., D) -> (...,), or (..., 1) with keepdim.

    Shapes broadcast, types promote to a float. Raises ValueError where shapes do not fit.
    """
    a, b = fitting("pairwise_distance", x1=x1, x2=x2)
    gap = add(sub(a, b), eps)
    return norm(reshape(gap, (1,)) if gap.ndim == 0 else gap, p, dim=-1, keepdim=keepdim)


def normalize(input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12) -> Tensor:
    """x / max(|x|, eps), |x| the p-norm along `dim`. Raises IndexError for dim, TypeError for an integer tensor."""
    (x,) = fitting("normalize", input=input)
    dims = dim if isinstance(dim, tuple) else (dim,)
    for d in dims:
        dim_arg("normalize", d, x.ndim)
    if x.ndim == 0:
        return reshape(normalize(reshape(x, (1,)), p, 0, eps), ())
    return div(x, expand(clamp(norm(x, p, dim=dim, keepdim=True), eps), x.shape))


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = x1^T W_k x2 + b_k: input1 (..., I), input2 (..., J), weight (K, I, J), bias (K,) -> (..., K).

    Raises ValueError where shapes do not fit.
    """
    x, y, w = (tensor_arg("bilinear", t, n) for t, n in ((input1, "input1"), (input2, "input2"), (weight, "weight")))
    fits = w.ndim == 3 and x.ndim == y.ndim >= 1 and tuple(x.shape[:-1]) == tuple(y.shape[:-1])
    if not fits or (x.shape[-1], y.shape[-1]) != tuple(w.shape[1:]):
        raise ValueError("bilinear: expected input1 (..., I), input2 (..., J) and weight (K, I, J), got "
                         f"{tuple(x.shape)}, {tuple(y.shape)} and {tuple(w.shape)}")
    out, first, second = w.shape
    if bias is not None and tuple(tensor_arg("bilinear", bias, "bias").shape) != (out,):
        raise ValueError(f"bilinear: expected bias {(out,)} for weight {tuple(w.shape)}, got {tuple(bias.shape)}")
    rows = reshape(x, (x.numel() // first if first else int(np.prod(x.shape[:-1])), first))
    half = reshape(matmul(rows, reshape(permute(w, 1, 0, 2), (first, out * second))), (*x.shape[:-1], out, second))
    result = total(mul(half, unsqueeze(y, -2)), dim=-1)
    return result if bias is None else add(result, bias)


__all__ = ["bilinear", "cosine_similarity", "normalize", "pairwise_distance"]
METHODS: list[str] = []
