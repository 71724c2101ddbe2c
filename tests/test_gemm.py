"""The matrix product's kernel: every layout against float64 NumPy around the edges of its tiles and blocks, and the same
bits for every layout, batch, packing and number of threads."""
from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import erf

import pydl
from pydl.ops.matmul import fused_product

# tiles are 6 x 16, 14 x 32, 6 x 8, 8 x 12 (half as wide in float64), blocks of k 256
SIZES = [(1, 1, 1), (1, 9, 33), (33, 9, 1), (1, 700, 1), (2, 40, 65), (3, 40, 20), (5, 16, 16), (6, 17, 15), (7, 255, 17),
         (8, 8, 8), (13, 257, 33), (14, 64, 32), (15, 513, 31), (64, 128, 10), (5, 300, 300), (300, 300, 5)]
LARGE = [(64, 784, 256), (150, 600, 200), (300, 270, 520)]
DTYPES = ["float32", "float64"]
LAYOUTS = ["rows", "columns", "strided", "padded", "backwards"]


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    if layout == "columns":
        return x.copy(order="F")
    if layout == "strided":
        room = np.full((x.shape[0], 3 * x.shape[1] + 1), np.nan, x.dtype)
        room[:, 1::3][:, : x.shape[1]] = x
        return room[:, 1::3][:, : x.shape[1]]
    if layout == "padded":
        room = np.full((x.shape[0], x.shape[1] + 5), np.nan, x.dtype)
        room[:, 2 : 2 + x.shape[1]] = x
        return room[:, 2 : 2 + x.shape[1]]
    if layout == "backwards":
        return np.ascontiguousarray(x[:, ::-1]).copy().astype(x.dtype)[:, ::-1]
    return x.copy()


def tensor(x: np.ndarray) -> pydl.Tensor:
    return pydl.from_numpy(x)


def problem(m: int, k: int, n: int, dtype: str) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(m * 10007 + k * 101 + n)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (n,), (m, n)))


def check(got: np.ndarray, want: np.ndarray, a: np.ndarray, b: np.ndarray, extra: float = 0) -> None:
    size = np.abs(a).astype(float) @ np.abs(b).astype(float) + extra
    room = (4 + 2 * np.sqrt(min(a.shape[1], 300))) * np.finfo(got.dtype).eps
    assert np.all(np.abs(got - want) <= room * (size + 1e-30))


def layouts() -> Iterator[tuple[str, str]]:
    for pair in itertools.product(LAYOUTS, LAYOUTS):
        if "backwards" not in pair:         # NumPy's negative strides are copied on the way in
            yield pair


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES + LARGE, ids=str)
def test_every_layout(size: tuple[int, int, int], dtype: str) -> None:
    a, b, bias, c = problem(*size, dtype)
    want = a.astype(float) @ b.astype(float)
    first = pydl.matmul(tensor(a), tensor(b)).numpy()
    check(first, want, a, b)
    for one, two in layouts():
        again = pydl.matmul(tensor(laid_out(a, one)), tensor(laid_out(b, two))).numpy()
        assert np.array_equal(first, again), f"{one} @ {two} gives other bits"
    for layout in ("rows", "columns", "strided", "padded"):
        out = laid_out(c, layout)
        sum_ = fused_product(tensor(a), tensor(b), tensor(bias), out=tensor(out)).numpy()
        check(sum_, want + c + bias, a, b, np.abs(c) + np.abs(bias))
        if layout == "rows":
            expected = sum_.copy()
        assert np.array_equal(expected, sum_), f"added to {layout}: other bits"
        assert np.array_equal(out, sum_)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, *LARGE, (4, 0, 5)], ids=str)
def test_packed_weight(size: tuple[int, int, int], dtype: str) -> None:
    a, b, bias, _ = problem(*size, dtype)
    for one, two in (("rows", "rows"), ("columns", "rows"), ("rows", "columns"), ("strided", "strided")):
        x, w = tensor(laid_out(a, one)), tensor(laid_out(b, two))
        plain = fused_product(x, w, tensor(bias), activation="relu").numpy()
        packed = fused_product(x, w, tensor(bias), activation="relu", packed=True).numpy()
        assert np.array_equal(plain, packed)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu", "silu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_activation(dtype: str, activation: str) -> None:
    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    reference = {"relu": lambda x: np.maximum(x, 0), "sigmoid": sigmoid, "tanh": np.tanh,
                 "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2, "silu": lambda x: x * sigmoid(x)}[activation]
    for size in ((1, 9, 33), (33, 9, 1), (7, 255, 17), (13, 257, 32), (300, 270, 520)):
        a, b, bias, _ = problem(*size, dtype)
        want = reference(a.astype(float) @ b.astype(float) + bias)
        for columns in ("rows", "columns"):
            got = fused_product(tensor(laid_out(a, columns)), tensor(laid_out(b, columns)), tensor(bias), activation=activation)
            check(got.numpy(), want, a, b, 1 + np.abs(bias))
        separate = getattr(pydl, activation)(fused_product(tensor(a), tensor(b), tensor(bias))).numpy()
        assert np.array_equal(separate, got.numpy()), "the fused activation gives other bits"


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_and_batches_do_not_change_bits(dtype: str) -> None:
    for size in ((64, 784, 256), (600, 270, 520), (7, 3000, 900), (1, 1500, 1000), (1000, 1500, 1), (1000, 64, 40)):
        a, b, _, _ = problem(*size, dtype)
        for columns in ("rows", "columns"):
            x, w = tensor(laid_out(a, columns)), tensor(laid_out(b, columns))
            results = []
            for count in (1, 2, 4):
                with pydl.threads(count):
                    results.append(pydl.matmul(x, w).numpy())
            assert all(np.array_equal(results[0], other) for other in results[1:]), size
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 30, 50)).astype(dtype), rng.standard_normal((40, 50, 60)).astype(dtype)
    batch = pydl.matmul(tensor(x), tensor(y)).numpy()
    assert all(np.array_equal(batch[i], pydl.matmul(tensor(x[i]), tensor(y[i])).numpy()) for i in range(40))
    tall = pydl.matmul(tensor(x), tensor(y[0])).numpy()
    assert all(np.array_equal(tall[i], pydl.matmul(tensor(x[i]), tensor(y[0])).numpy()) for i in range(40))


@pytest.mark.parametrize("dtype", DTYPES)
def test_broadcast_batches(dtype: str) -> None:
    rng = np.random.default_rng(1)
    for one, two in (((2, 1, 7, 9), (5, 9, 8)), ((4, 7, 9), (1, 9, 1)), ((3, 1, 1, 9), (9, 8)), ((1, 9), (3, 2, 9, 8)),
                     ((5, 1, 9), (5, 9, 1)), ((2, 3, 4, 20), (20, 6)), ((0, 3, 4), (4, 5)), ((2, 3, 0), (2, 0, 4))):
        a, b = rng.standard_normal(one).astype(dtype), rng.standard_normal(two).astype(dtype)
        got = pydl.matmul(tensor(a), tensor(b)).numpy()
        want = a.astype(float) @ b.astype(float)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=200 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(1, 40, 20), (20, 40, 1), (13, 257, 33), (300, 270, 520)], ids=str)
def test_nan_and_infinity_stay_in_their_rows_and_columns(size: tuple[int, int, int], dtype: str) -> None:
    a, b, _, _ = problem(*size, dtype)
    m, k, n = size
    a[m // 2, k // 3] = np.nan
    b[k - 1, n // 2] = np.inf
    with np.errstate(invalid="ignore"):
        want = a.astype(float) @ b.astype(float)
    for one, two in layouts():
        got = pydl.matmul(tensor(laid_out(a, one)), tensor(laid_out(b, two))).numpy()
        assert np.array_equal(np.isnan(got), np.isnan(want))
        assert np.array_equal(np.isinf(got), np.isinf(want))


def test_relu_keeps_nan() -> None:
    a = np.array([[np.nan], [-1.0], [2.0]] * 4, "float32")
    got = fused_product(tensor(a), tensor(np.ones((1, 17), "float32")), activation="relu").numpy()
    assert np.isnan(got[0]).all() and (got[1] == 0).all() and (got[2] == 2).all()


def test_nothing_to_sum_gives_the_bias() -> None:
    bias = np.arange(5, dtype="float32")
    got = pydl.linear(pydl.zeros(3, 0), pydl.zeros(5, 0), tensor(bias)).numpy() if hasattr(pydl, "linear") else None
    assert got is None or np.array_equal(got, np.broadcast_to(bias, (3, 5)))
    assert np.array_equal(pydl.matmul(pydl.zeros(3, 0), pydl.zeros(0, 2)).numpy(), np.zeros((3, 2)))
