"""Runs the rows of the table: arrays to tensors in several layouts, values, gradients, directional derivatives."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pydl
from rows import FLOATS, In, Row, Sample, apply, outputs, tensors_of

LAYOUTS = ("transposed", "strided", "offset", "expanded")


def tensor(a: np.ndarray) -> pydl.Tensor:
    """A tensor that shares the array's memory and strides."""
    return pydl.from_numpy(a)


def numpy(t: pydl.Tensor) -> np.ndarray:
    return np.array(t.detach().numpy())


def leaf(*values: float) -> pydl.Tensor:
    """A float64 vector that wants a gradient."""
    return pydl.tensor(list(values), dtype=pydl.float64, requires_grad=True)


def laid_out(a: np.ndarray, layout: str) -> pydl.Tensor:
    """The same numbers in another layout. "expanded" changes them: every row along dim 0 is row 0."""
    if layout == "transposed":
        return tensor(a.T.copy(order="C").T)
    if layout == "offset":
        memory = np.empty(a.size + 1, a.dtype)
        memory[1:] = a.ravel()
        return tensor(memory[1:].reshape(a.shape))
    if layout == "strided":
        memory = np.empty(tuple(3 * n for n in a.shape), a.dtype)
        view = memory[(..., *(slice(1 if n else 0, None, 3) for n in a.shape))]
        view[...] = a
        return tensor(view)
    if layout == "expanded":
        return tensor(a[:1].copy()).expand(a.shape) if a.ndim and a.shape[0] else tensor(a)
    return tensor(a)


def differentiable(row: Row, one: Sample) -> list[int]:
    """Which tensors of a sample have derivatives."""
    specs = tensors_of(row, one)
    if row.diff is not None:
        return [i for i in row.diff if i < len(specs)]
    return [i for i, spec in enumerate(specs) if spec.grad and spec.dtype in (None, *FLOATS)]


def call(row: Row, one: Sample, tensors: Sequence[Any]) -> tuple[Any, ...]:
    """The op's outputs. A random op starts from the same state every time."""
    if row.ref is None:
        pydl.manual_seed(0)
    return outputs(apply(row.call(), one, tensors))


def leaves(tensors: Sequence[pydl.Tensor], diff: Sequence[int]) -> list[pydl.Tensor]:
    """Mark `diff` as wanting gradients. Views keep their layout: they are detached first."""
    return [t.detach().requires_grad_(True) if i in diff else t for i, t in enumerate(tensors)]


def dtype_name(t: pydl.Tensor) -> str:
    return str(t.dtype).split(".")[-1]


def cotangents(ys: Sequence[Any], seed: int = 0) -> list[np.ndarray | None]:
    """A random gradient for every differentiable output."""
    rng = np.random.default_rng(seed)
    draws = [np.asarray(rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1, 1], y.shape)) for y in ys]
    return [v.astype(dtype_name(y)) if y.requires_grad else None for y, v in zip(ys, draws)]


def backward(ys: Sequence[Any], vs: Sequence[Any], xs: Sequence[pydl.Tensor], **options: Any) -> list[Any]:
    """Gradients of <v, y> to xs; v are arrays or tensors, None where y is not differentiable."""
    pairs = [(y, tensor(v) if isinstance(v, np.ndarray) else v) for y, v in zip(ys, vs) if v is not None]
    return list(pydl.autograd.grad([y for y, _ in pairs], list(xs), [v for _, v in pairs], **options))


def run(row: Row, one: Sample, tensors: Sequence[pydl.Tensor], diff: Sequence[int], seed: int = 0, layout: str = ""
        ) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Values and gradients, as arrays."""
    xs = leaves(tensors, diff)
    ys = call(row, one, xs)
    if not diff:
        return [numpy(y) for y in ys], []
    assert any(y.requires_grad for y in ys), f"{row.name}({one}): no output wants a gradient"
    vs = [laid_out(v, layout) if v is not None else None for v in cotangents(ys, seed)]
    return [numpy(y) for y in ys], [numpy(g) for g in backward(ys, vs, [xs[i] for i in diff])]


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to the last bit, any NaN being equal to any other."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    bits = np.int32 if a.dtype == np.float32 else np.int64
    return bool(np.all((a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))))


# --- derivatives against differences, along random directions --------------------------------------------------------

Function = Callable[[Sequence[np.ndarray]], float]


def agree(value: Function, gradient: Sequence[np.ndarray | None], xs: Sequence[np.ndarray], size: float,
          atol: float, rtol: float, seed: int = 0) -> str:
    """Empty where `gradient` is that of `value` at xs along a random direction, else what differs. `size` is the sum of
    the magnitudes that make up the value: its rounding is what a difference cannot resolve."""
    rng = np.random.default_rng(seed)
    us = [np.asarray(rng.standard_normal(x.shape)) for x in xs]
    h = 1e-6
    ahead, behind = (value([np.asarray(x + s * u) for x, u in zip(xs, us)]) for s in (h, -h))
    difference = (ahead - behind) / (2 * h)
    terms = [g * u for g, u in zip(gradient, us) if g is not None]
    derivative = float(sum(t.sum() for t in terms))
    scale = float(sum(np.abs(t).sum() for t in terms))
    room = atol + rtol * scale + 1e-15 / h * size
    if np.isfinite(derivative) and abs(derivative - difference) <= room:
        return ""
    return f"derivative {derivative:.9g}, difference {difference:.9g}, allowed {room:.2g}"


def magnitude(arrays: Sequence[np.ndarray | None]) -> float:
    return float(sum(np.abs(a).sum() for a in arrays if a is not None))


def check_first(row: Row, one: Sample, arrays: Sequence[np.ndarray], diff: Sequence[int]) -> str:
    """The gradient of <v, f(x)> against differences."""
    xs = leaves([tensor(a) for a in arrays], diff)
    ys = call(row, one, xs)
    if not any(y.requires_grad for y in ys):
        return "no output wants a gradient"
    if not all(np.isfinite(numpy(y)).all() for y in ys if y.requires_grad):
        return ""                           # the mean of nothing, the variance of one number: no derivative to speak of
    vs = cotangents(ys)
    gradient = [numpy(g) for g in backward(ys, vs, [xs[i] for i in diff])]

    def value(points: Sequence[np.ndarray]) -> float:
        moved = list(map(tensor, arrays))
        for i, p in zip(diff, points):
            moved[i] = tensor(p)
        return float(sum((numpy(y) * v).sum() for y, v in zip(call(row, one, moved), vs) if v is not None))

    size = magnitude([numpy(y) * v if v is not None else None for y, v in zip(ys, vs)])
    return agree(value, gradient, [arrays[i] for i in diff], size, row.atol, row.rtol)


def check_second(row: Row, one: Sample, arrays: Sequence[np.ndarray], diff: Sequence[int]) -> str:
    """The gradient of <w, df/dx v>, in x and in v, against differences of first derivatives."""
    xs = leaves([tensor(a) for a in arrays], diff)
    ys = call(row, one, xs)
    if not all(np.isfinite(numpy(y)).all() for y in ys if y.requires_grad):
        return ""
    vs = [tensor(v).requires_grad_(True) if v is not None else None for v in cotangents(ys)]
    first = backward(ys, vs, [xs[i] for i in diff], create_graph=True)
    rng = np.random.default_rng(1)
    ws = [np.asarray(rng.uniform(0.5, 1.5, g.shape)) for g in first]
    wanted = [xs[i] for i in diff] + [v for v in vs if v is not None]
    recorded = [(g, w) for g, w in zip(first, ws) if g.requires_grad]
    if not recorded:
        return "the first derivative is not recorded: it does not even know its own incoming gradient"
    second = backward([g for g, _ in recorded], [w for _, w in recorded], wanted, allow_unused=True)

    def value(points: Sequence[np.ndarray]) -> float:
        moved = list(map(tensor, arrays))
        for i, p in zip(diff, points):
            moved[i] = tensor(p)
        left = iter(points[len(diff):])
        moved = leaves(moved, diff)
        us = [next(left) if v is not None else None for v in vs]
        gradient = backward(call(row, one, moved), us, [moved[i] for i in diff])
        return float(sum((numpy(g) * w).sum() for g, w in zip(gradient, ws)))

    at = [arrays[i] for i in diff] + [numpy(v) for v in vs if v is not None]
    size = magnitude([numpy(g) * w for g, w in zip(first, ws)])
    return agree(value, [None if g is None else numpy(g) for g in second], at, size, row.atol, row.rtol)


def small(row: Row, one: Sample, most: int = 2000) -> bool:
    """Few enough elements for differences."""
    return sum(int(np.prod(spec.shape, dtype=np.int64)) for spec in tensors_of(row, one)) <= most


def floats(specs: Sequence[In]) -> list[int]:
    return [i for i, spec in enumerate(specs) if spec.dtype in (None, *FLOATS)]
