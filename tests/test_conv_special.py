"""The kernels for depthwise convolutions, for few channels, for many small images and for kernels of one element: every pass against sums over taps in NumPy's
float64, for sizes around the edges of their vectors, blocks and bands; and the same bits for any number of threads."""
from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pydl
from pydl.ops import conv as ops

Case = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]

DEPTHWISE: list[Case] = [
    ((2, 3, 28, 28), (3, 1, 3, 3), {"padding": 1}),
    ((2, 3, 14, 14), (6, 1, 5, 5), {"padding": 2}),
    ((1, 2, 17, 33), (2, 1, 7, 7), {"padding": 3}),
    ((1, 3, 29, 31), (3, 1, 3, 3), {"stride": 2, "padding": 1}),
    ((2, 2, 9, 40), (6, 1, 3, 3), {"stride": 2}),
    ((1, 2, 20, 23), (2, 1, 3, 5), {"padding": (1, 4), "dilation": (3, 2)}),
    ((1, 2, 21, 19), (2, 1, 4, 2), {"stride": (3, 4), "padding": (2, 1)}),
    ((1, 2, 1, 50), (2, 1, 1, 9), {"padding": (0, 4)}),
    ((1, 2, 50, 1), (2, 1, 9, 1), {"padding": (4, 0)}),
    ((1, 2, 3, 3), (2, 1, 3, 3), {"padding": 8}),
    ((2, 2, 3, 20), (2, 1, 3, 3), {"padding": 1}),
    ((1, 1, 150, 130), (1, 1, 3, 3), {"padding": 1}),
    ((1, 1, 150, 131), (2, 1, 5, 5), {"stride": 2, "padding": 2}),
    ((2, 3, 70), (3, 1, 5), {"padding": 2}),
    ((2, 3, 70), (6, 1, 4), {"stride": 3, "dilation": 2}),
    ((1, 2, 5, 20, 20), (2, 1, 3, 3, 3), {"padding": 1}),
    ((1, 2, 6, 7, 18), (4, 1, 2, 3, 3), {"stride": 2, "padding": 1}),
    ((1, 2, 4, 5, 5), (2, 1, 3, 1, 2), {"stride": (2, 1, 1), "dilation": (2, 1, 1), "padding": (3, 0, 0)}),
]
LANES: list[Case] = [
    ((3, 16, 7, 7), (16, 1, 3, 3), {"padding": 1}),
    ((2, 35, 7, 7), (35, 1, 5, 5), {"padding": 2}),
    ((2, 19, 8, 6), (38, 1, 3, 3), {"padding": 1}),
    ((2, 18, 3, 3), (18, 1, 3, 3), {"padding": 1}),
    ((2, 16, 9, 8), (16, 1, 3, 3), {"stride": 2, "padding": 1}),
    ((1, 13, 7, 5), (26, 1, 4, 3), {"stride": 3, "padding": 4}),
    ((1, 17, 10, 6), (17, 1, 7, 7), {"padding": 3}),
    ((1, 16, 6, 6), (16, 1, 3, 2), {"dilation": 2, "padding": 2}),
    ((1, 12, 2, 2), (12, 1, 2, 2), {"padding": 5, "stride": 4}),
]
DIRECT: list[Case] = [
    ((2, 3, 28, 28), (32, 3, 3, 3), {"padding": 1}),
    ((2, 1, 28, 28), (7, 1, 5, 5), {}),
    ((1, 3, 40, 41), (10, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((2, 4, 7, 7), (13, 4, 3, 3), {"padding": 1}),
    ((2, 6, 11, 13), (15, 2, 3, 3), {"stride": 2, "padding": 1, "groups": 3, "dilation": (1, 2)}),
    ((1, 2, 3, 2), (6, 2, 3, 3), {"padding": 9, "stride": (3, 4)}),
    ((1, 3, 130, 20), (3, 3, 5, 3), {"padding": 2}),
    ((2, 17, 10, 9), (20, 17, 3, 3), {"padding": 1}),
    ((2, 3, 37), (9, 3, 6), {"padding": 5, "stride": 2}),
    ((1, 2, 12, 33), (9, 2, 2, 3), {"stride": 4, "dilation": 5, "padding": 4}),
]
POINTWISE: list[Case] = [
    ((3, 9, 8, 8), (21, 9, 1, 1), {}),
    ((5, 40, 7, 7), (33, 40, 1, 1), {}),
    ((3, 300, 5, 5), (15, 300, 1, 1), {}),
    ((4, 16, 9, 10), (24, 8, 1, 1), {"stride": 2, "groups": 2}),
    ((9, 6, 11), (10, 6, 1), {"stride": 3}),
    ((5, 6, 4, 5, 7), (14, 6, 1, 1, 1), {"stride": (2, 1, 3)}),
    ((6, 12, 1, 1), (9, 4, 1, 1), {"groups": 3}),
    ((40, 5, 2, 2), (3, 5, 1, 1), {}),
    ((1, 1, 6, 6), (1, 1, 1, 1), {}),
    ((2, 3, 20, 1), (5, 3, 1, 1), {"stride": (1, 3)}),
]
# Small images with few channels, several of them side by side in a vector: whole vectors of them for every instruction set, and not
BATCH: list[Case] = [
    ((16, 6, 14, 14), (16, 6, 5, 5), {}),
    ((32, 6, 11, 9), (13, 6, 5, 3), {"padding": (4, 1)}),
    ((19, 3, 9, 7), (9, 3, 3, 3), {"stride": 2, "padding": 1}),
    ((16, 4, 8, 13), (2, 4, 3, 4), {"stride": (1, 3), "padding": (2, 3), "dilation": (2, 1)}),
    ((17, 6, 7, 7), (4, 3, 4, 4), {"stride": 2, "padding": 1, "groups": 2}),
    ((33, 5, 12), (7, 5, 5), {"padding": 2}),
    ((16, 2, 21), (3, 2, 4), {"stride": 3, "dilation": 2}),
    ((16, 3, 4, 5, 6), (5, 3, 2, 3, 2), {"padding": 1, "stride": (1, 2, 1)}),
    ((16, 1, 5, 5), (1, 1, 5, 5), {}),
    ((40, 4, 6, 6), (17, 4, 1, 1), {"padding": 1}),
]
CASES = [*(("depthwise", case) for case in DEPTHWISE + LANES), *(("direct", case) for case in DIRECT), *(("batch", case) for case in BATCH), *(("pointwise", case) for case in POINTWISE)]


def spread(value: Any, dims: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,) * dims


def taps(x: tuple[int, ...], w: tuple[int, ...], kw: dict[str, Any]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each tap of the kernel and what it meets in the padded input."""
    dims = len(x) - 2
    stride, padding, dilation = (spread(kw.get(name, default), dims) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1)))
    out = [(x[2 + d] + 2 * padding[d] - dilation[d] * (w[2 + d] - 1) - 1) // stride[d] + 1 for d in range(dims)]
    for tap in itertools.product(*(range(k) for k in w[2:])):
        yield tap, tuple(slice(t * dilation[d], t * dilation[d] + (out[d] - 1) * stride[d] + 1, stride[d]) for d, t in enumerate(tap))


def reference(x: np.ndarray, w: np.ndarray, dy: np.ndarray | None, kw: dict[str, Any], groups: int) -> tuple[np.ndarray, ...]:
    """y, and for dy the gradients of x and w."""
    n, c, o = x.shape[0], x.shape[1] // groups, w.shape[0] // groups
    padding = spread(kw.get("padding", 0), x.ndim - 2)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    parts, weight = padded.reshape(n, groups, c, *padded.shape[2:]), w.reshape(groups, o, c, *w.shape[2:])
    y: Any = 0
    dx, dw = np.zeros_like(parts), np.zeros_like(weight)
    for tap, where in taps(x.shape, w.shape, kw):
        met, at = (..., *where), (..., *tap)
        y = y + np.einsum("ngc...,goc->ngo...", parts[met], weight[at])
        if dy is not None:
            d = dy.reshape(n, groups, o, *dy.shape[2:])
            dx[met] += np.einsum("ngo...,goc->ngc...", d, weight[at])
            dw[at] = np.einsum("ngop,ngcp->goc", d.reshape(n, groups, o, -1), parts[met].reshape(n, groups, c, -1))
    inner = (..., *(slice(p, p + size) for p, size in zip(padding, x.shape[2:], strict=True)))
    return y.reshape(n, groups * o, *y.shape[3:]), dx.reshape(padded.shape)[inner], dw.reshape(w.shape)


def computed(x: np.ndarray, w: np.ndarray, bias: np.ndarray, dy: np.ndarray, kw: dict[str, Any], groups: int) -> list[np.ndarray]:
    conv = (ops.conv1d, ops.conv2d, ops.conv3d)[x.ndim - 3]
    tx, tw = pydl.tensor(x, requires_grad=True), pydl.tensor(w, requires_grad=True)
    y = conv(tx, tw, pydl.tensor(bias), **{**kw, "groups": groups})
    y.backward(pydl.tensor(dy))
    return [y.detach().numpy(), tx.grad.numpy(), tw.grad.numpy()]


def near(got: np.ndarray, want: np.ndarray, size: np.ndarray) -> None:
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= 40 * np.finfo(got.dtype).eps * (size + 1e-3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "case"), CASES, ids=[f"{kind}-{'x'.join(map(str, case[0]))}" for kind, case in CASES])
def test_passes(kind: str, case: Case, dtype: str) -> None:
    x_shape, w_shape, kw = case
    groups = x_shape[1] if kind == "depthwise" else kw.get("groups", 1)
    rng = np.random.default_rng(sum(x_shape) + sum(w_shape))
    x, w, bias = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape, w_shape[:1]))
    y = reference(x.astype(float), w.astype(float), None, kw, groups)[0]
    dy = rng.standard_normal(y.shape).astype(dtype)
    exact = [a.astype(float) for a in (x, w, dy)]
    wants = list(reference(*exact, kw, groups))
    sizes = list(reference(*map(np.abs, exact), kw, groups))
    column = bias.astype(float).reshape(-1, *(1,) * (x.ndim - 2))
    wants[0], sizes[0] = wants[0] + column, sizes[0] + np.abs(column)
    for got, want, size in zip(computed(x, w, bias, dy, kw, groups), wants, sizes, strict=True):
        near(got, want, size)


@pytest.mark.parametrize("case", [
    ("depthwise", (2, 4, 15, 13), (4, 1, 3, 3), {"stride": 2, "padding": 1}),
    ("depthwise", (2, 20, 7, 7), (20, 1, 3, 3), {"stride": 2, "padding": 1}),
    ("depthwise", (2, 20, 6, 6), (20, 2, 5, 5), {"padding": 2}),
    ("direct", (2, 8, 14, 17), (8, 3, 4, 4), {"stride": 2, "padding": 1}),
    ("batch", (16, 8, 5, 6), (8, 3, 4, 4), {"stride": 2, "padding": 1}),
    ("batch", (20, 4, 7, 3), (4, 9, 3, 2), {"stride": 2, "output_padding": (1, 0)}),
    ("pointwise", (3, 8, 5, 5), (8, 12, 1, 1), {"stride": 2}),
    ("pointwise", (3, 8, 1, 1), (8, 12, 1, 1), {}),
    ("pointwise", (2, 8, 4, 5), (8, 3, 1, 1), {"dilation": 3, "output_padding": (1, 2)}),
], ids=lambda case: case[0] + "-" + "x".join(map(str, case[1])))
def test_transposed_with_bias(case: tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]) -> None:
    kind, x_shape, w_shape, kw = case
    groups = x_shape[1] if kind == "depthwise" else 1
    rng = np.random.default_rng(len(kind))
    x, w, bias = rng.standard_normal(x_shape), rng.standard_normal(w_shape), rng.standard_normal(groups * w_shape[1])
    y = ops.conv_transpose2d(pydl.tensor(x), pydl.tensor(w), pydl.tensor(bias), groups=groups, **kw).numpy()
    scattered = {name: value for name, value in kw.items() if name != "output_padding"}
    more = spread(kw.get("output_padding", 0), 2)
    dx = np.pad(reference(np.zeros((*y.shape[:2], *(size - m for size, m in zip(y.shape[2:], more, strict=True)))), w, x, scattered, groups)[1],
                [(0, 0), (0, 0), *((0, m) for m in more)])
    near(y, dx + bias.reshape(-1, 1, 1), np.full(y.shape, 100.0))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("case", [
    ("depthwise", (16, 40, 20, 20), (40, 1, 5, 5), {"padding": 2}),
    ("depthwise", (40, 70, 10, 10), (70, 1, 3, 3), {"padding": 1}),
    ("depthwise", (8, 3, 60, 60), (12, 1, 5, 5), {"padding": 2}),
    ("direct", (16, 3, 28, 28), (16, 3, 3, 3), {"padding": 1}),
    ("direct", (1, 3, 90, 90), (16, 3, 7, 7), {"padding": 3, "stride": 2}),
    ("batch", (72, 6, 14, 14), (16, 3, 5, 5), {"groups": 2}),
    ("pointwise", (9, 40, 14, 14), (60, 40, 1, 1), {}),
    ("pointwise", (40, 64, 7, 7), (100, 32, 1, 1), {"groups": 2, "stride": 2}),
    ("pointwise", (64, 200, 1, 1), (200, 200, 1, 1), {}),
], ids=lambda case: case[0] + "-" + "x".join(map(str, case[1])))
def test_threads(case: tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]) -> None:
    kind, x_shape, w_shape, kw = case
    groups = x_shape[1] if kind == "depthwise" else kw.get("groups", 1)
    rng = np.random.default_rng(1)
    x, w, bias = (rng.standard_normal(shape, "float32") for shape in (x_shape, w_shape, w_shape[:1]))
    conv = ops.conv2d(pydl.tensor(x), pydl.tensor(w), **{**kw, "groups": groups})
    dy = rng.standard_normal(conv.shape, "float32")
    results = []
    for threads in (1, 2, 4):
        pydl.set_num_threads(threads)
        results.append([a.tobytes() for a in computed(x, w, bias, dy, kw, groups)])
    assert results[0] == results[1] == results[2]
