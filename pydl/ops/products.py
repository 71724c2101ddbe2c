"""Products of vectors and matrices that are made of others: cross, inner, addmv, chains of matrices, the trace ..."""
import functools
from collections.abc import Sequence
from typing import Any

from pydl._core.checks import dim_arg, tensor_arg, tensors_arg
from pydl._core.declare import declare
from pydl._core.dtypes import bool as bool_
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import mul, sub
from pydl.ops.arrange import broadcast_shapes
from pydl.ops.einsum import tensordot
from pydl.ops.join import stack
from pydl.ops.matmul import dot, matmul, mv, outer, scaled_sum
from pydl.ops.parts import diagonal, select
from pydl.ops.reduce import sum as total
from pydl.ops.shape import broadcast_to, permute, reshape, unsqueeze

ger, vdot = outer, dot


def alike(op: str, **named: object) -> tuple[Tensor, ...]:
    """The tensors, which must have one type."""
    found = tuple(tensor_arg(op, x, name) for name, x in named.items())
    if any(x.dtype is not found[0].dtype for x in found):
        raise TypeError(f"{op}: expected one type, got {', '.join(f'{name} {x.dtype}' for name, x in zip(named, found))} "
                        f"(shapes {', '.join(str(x.shape) for x in found)}); use .to()")
    return found


# ---- Of two tensors

def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimensions: (..., k), (*, k) -> (..., *). One number times a tensor: mul. Types as in matmul."""
    x, y = alike("inner", input=input, other=other)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"inner: the last dimensions of shapes {x.shape} and {y.shape} differ")
    return dot(x, y) if x.ndim == y.ndim == 1 else tensordot(x, y, ([-1], [-1]))


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """sum(x y) along dim: (..., k, ...), which broadcast -> the shape without it. Types as in mul, but one for both."""
    a, b = alike("vecdot", x=x, y=y)
    if a.ndim == b.ndim == 1 and a.shape == b.shape and a.dtype is not bool_:
        return dot(a, b)
    shape = _together("vecdot", a, b)
    d = dim_arg("vecdot", dim, len(shape))
    return total(mul(a, b), d) if shape else mul(a, b)


def _together(op: str, a: Tensor, b: Tensor) -> tuple[int, ...]:
    try:
        return broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"{op}: shapes {a.shape} and {b.shape} do not broadcast") from None


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product a x b along a dimension of size 3: (a1 b2 - a2 b1, a2 b0 - a0 b2, a0 b1 - a1 b0).

    Shapes broadcast, but must have as many dimensions. dim: by default the first of size 3 (linalg.cross: the last one). Floats
    or integers, one type. Raises ValueError where there is no such dimension or shapes do not fit, IndexError for dim.
    """
    return _cross("cross", input, other, dim)


def cross_last(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """cross() along the last dimension, or dim."""
    return _cross("cross", input, other, dim)


def _cross(op: str, input: Tensor, other: Tensor, dim: int | None) -> Tensor:
    a, b = alike(op, input=input, other=other)
    if a.ndim != b.ndim:
        raise ValueError(f"{op}: expected as many dimensions, got shapes {a.shape} and {b.shape}")
    shape = _together(op, a, b)
    if dim is None and 3 not in shape:
        raise ValueError(f"{op}: no dimension of shapes {a.shape} and {b.shape} has size 3")
    d = shape.index(3) if dim is None else dim_arg(op, dim, len(shape))
    if not shape or a.shape[d] != 3 or b.shape[d] != 3:
        raise ValueError(f"{op}: dim {dim if dim is not None else d} of shapes {a.shape} and {b.shape} is not of size 3")
    a, b = broadcast_to(a, shape), broadcast_to(b, shape)
    return CROSS.record(_cross_of(a.detach(), b.detach(), d), (a, b), (a, b), d)


def _cross_of(a: Tensor, b: Tensor, d: int) -> Tensor:
    (a0, a1, a2), (b0, b1, b2) = ([select(x, d, i) for i in range(3)] for x in (a, b))
    return stack([sub(mul(a1, b2), mul(a2, b1)), sub(mul(a2, b0), mul(a0, b2)), sub(mul(a0, b1), mul(a1, b0))], d)


def cross_backward(dy: Any, need: Any, saved: Any, d: Any) -> Any:
    a, b = saved
    return _cross("cross", b, dy, d) if need[0] else None, _cross("cross", dy, a, d) if need[1] else None


CROSS = declare(cross, cross_backward)


# ---- Of one matrix, and of many

def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal: (m, n) -> (). Integers give int64. Raises ValueError for another shape, TypeError for bool."""
    x = tensor_arg("trace", input, "input")
    if x.ndim != 2:
        raise ValueError(f"trace: expected a matrix, got shape {x.shape}")
    if x.dtype is bool_:
        raise TypeError(f"trace: not defined for bool (shape {x.shape})")
    return total(diagonal(x))


@functools.lru_cache(256)
def _best_order(sizes: tuple[int, ...]) -> dict[tuple[int, int], int]:
    """Where to split every chain of matrices i ... j, of shapes (sizes[i], sizes[i + 1]): Cormen et al. 2009, 15.2."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two matrices or more, in the order that takes the fewest multiplications.

    The first may be a vector (a row), the last, too (a column): (n), (n, m), (m) -> (). Types as in matmul. Raises ValueError
    where shapes do not fit.
    """
    return _chained("multi_dot", tensors_arg("multi_dot", tensors))


def _chained(op: str, every: tuple[Tensor, ...]) -> Tensor:
    said = ", ".join(str(x.shape) for x in every)
    if len(every) < 2:
        raise ValueError(f"{op}: expected two tensors or more, got {len(every)} (shape {said})")
    ends = (0, len(every) - 1)
    if any(x.ndim != 2 and not (i in ends and x.ndim == 1) for i, x in enumerate(every)):
        raise ValueError(f"{op}: expected matrices, the first and the last may be vectors, got shapes {said}")
    alike(op, **{f"tensors[{i}]": x for i, x in enumerate(every)})
    row, column = every[0].ndim == 1, every[-1].ndim == 1
    chain = [unsqueeze(x, 0) if i == 0 and row else unsqueeze(x, 1) if i == ends[1] and column else x for i, x in enumerate(every)]
    if any(a.shape[1] != b.shape[0] for a, b in zip(chain, chain[1:])):
        raise ValueError(f"{op}: shapes {said} do not fit one another")
    split = _best_order((*(x.shape[0] for x in chain), chain[-1].shape[1]))

    def product(i: int, j: int) -> Tensor:
        return chain[i] if i == j else matmul(product(i, split[i, j]), product(split[i, j] + 1, j))

    y = product(0, ends[1])
    return reshape(y, (() if row else (y.shape[0],)) + (() if column else (y.shape[1],))) if row or column else y


def chain_matmul(*matrices: Any) -> Tensor:
    """The product of matrices in the order that takes the fewest multiplications; as linalg.multi_dot, one alone stays as it is."""
    every = tensors_arg("chain_matmul", matrices[0] if len(matrices) == 1 and isinstance(matrices[0], (tuple, list)) else matrices)
    if any(x.ndim != 2 for x in every):
        raise ValueError(f"chain_matmul: expected matrices, got shapes {', '.join(str(x.shape) for x in every)}")
    return every[0] if len(every) == 1 else _chained("chain_matmul", every)


# ---- Added to something

def _added(op: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    shape = product.shape
    if input.ndim > len(shape) or any(n not in (1, room) for n, room in zip(reversed(input.shape), reversed(shape))):
        raise ValueError(f"{op}: input {input.shape} does not broadcast to the product {shape}")
    return broadcast_to(scaled_sum(op, input, beta, product, alpha), shape)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (mat @ vec): (m, k), (k) -> (m); input broadcasts to that, and is not read where beta is 0. Types as matmul."""
    c, a, x = alike("addmv", input=input, mat=mat, vec=vec)
    if a.ndim != 2 or x.ndim != 1 or a.shape[1] != x.shape[0]:
        raise ValueError(f"addmv: expected input (m,), mat (m, k) and vec (k,), got {c.shape}, {a.shape} and {x.shape}")
    return _added("addmv", c, mv(a, x), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha vec1 vec2^T: (m), (n) -> (m, n); input broadcasts to that, and is not read where beta is 0. Types as mul."""
    c, x, y = alike("addr", input=input, vec1=vec1, vec2=vec2)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"addr: expected input (m, n), vec1 (m,) and vec2 (n,), got {c.shape}, {x.shape} and {y.shape}")
    return _added("addr", c, outer(x, y), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha sum_b (batch1_b @ batch2_b): (b, m, k), (b, k, n) -> (m, n), in one product; input broadcasts to that, and
    is not read where beta is 0. Types as matmul."""
    c, x, y = alike("addbmm", input=input, batch1=batch1, batch2=batch2)
    if x.ndim != 3 or y.ndim != 3 or x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
        raise ValueError(f"addbmm: expected input (m, n), batch1 (b, m, k) and batch2 (b, k, n), got {c.shape}, {x.shape} and {y.shape}")
    b, m, k = x.shape
    product = matmul(reshape(permute(x, (1, 0, 2)), (m, b * k)), reshape(y, (b * k, y.shape[2])))
    return _added("addbmm", c, product, beta, alpha)


__all__ = ["addbmm", "addmv", "addr", "chain_matmul", "cross", "ger", "inner", "trace", "vdot"]
METHODS = ["addbmm", "addmv", "addr", "cross", "ger", "inner", "trace", "vdot"]
