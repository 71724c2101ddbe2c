"""Reductions: accuracy over many elements, the same bits for every layout and number of threads, NaN, empty dimensions."""
from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

import pydl

LARGE = ((1_000_003,), (1_031, 997), (3, 300_007), (300_007, 3), (40, 60, 70, 3))


@pytest.fixture(autouse=True)
def _threads(threads: None) -> Iterator[None]:
    yield


def close(got: float, want: float, ulp: float) -> bool:
    return abs(got - want) <= ulp * float(np.spacing(np.float32(abs(want))))


def test_ten_million_values() -> None:
    """10 M values near 1: a running sum in float32 would stop at 2^24; the tree loses less than 8 ulp."""
    x = np.full(10_000_000, 1.1, "float32")
    want = float(x[0]) * len(x)
    assert close(pydl.tensor(x).sum().item(), want, 8)
    assert close(pydl.tensor(x).mean().item(), float(x[0]), 8)
    columns = pydl.tensor(x.reshape(2_500_000, 4)).sum(0).numpy()
    assert all(close(float(c), want / 4, 8) for c in columns)
    x = np.random.default_rng(0).random(10_000_000, "float32")
    assert close(pydl.tensor(x).sum().item(), float(x.sum(dtype="float64")), 2)


def test_variance_far_from_zero() -> None:
    """Two passes: no cancellation where the mean is large."""
    x = np.random.default_rng(0).standard_normal(100_000) + 1e6
    np.testing.assert_allclose(pydl.tensor(x).var().item(), x.var(ddof=1), rtol=1e-9)


@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.parametrize("name", ["sum", "prod", "amax", "mean", "norm", "var", "logsumexp"])
def test_bits_for_any_threads_and_layout(shape: tuple[int, ...], name: str) -> None:
    """One tree, whatever the number of threads and wherever the elements lie."""
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    layouts = [pydl.from_numpy(x), pydl.from_numpy(x.T.copy().T), pydl.from_numpy(np.repeat(x, 2, -1)[..., ::2]),
               pydl.from_numpy(np.stack([x, x])[1])]
    for dim in (None, *range(len(shape))):
        results = []
        for t, count in itertools.product(layouts, (1, 2, 4)):
            pydl.set_num_threads(count)
            y = getattr(pydl, name)(t, dim=dim)
            results.append(y.numpy().tobytes())
        assert len(set(results)) == 1, f"{name} over {dim}: {len(set(results))} different results"


@pytest.mark.parametrize("n", [65_537, 300_001])
def test_softmax_of_long_rows(n: int) -> None:
    x = np.random.default_rng(1).standard_normal((2, n))
    x[0, n - 1] = 40
    want = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(pydl.softmax(pydl.tensor(x), 1).numpy(), want / want.sum(1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("inner", [1, 5, 100, 5_000])
@pytest.mark.parametrize("rows", [1, 7, 400])
def test_index_add_for_any_threads(inner: int, rows: int) -> None:
    rng = np.random.default_rng(2)
    x, index = rng.standard_normal((rows, inner)).astype("f"), rng.integers(0, rows, 600)
    y = rng.standard_normal((600, inner)).astype("f")
    want = x.copy()
    np.add.at(want, index, y)
    for count in (1, 2, 5):
        pydl.set_num_threads(count)
        np.testing.assert_array_equal(pydl.index_add(pydl.tensor(x), 0, pydl.tensor(index), pydl.tensor(y)).numpy(), want)


def test_nan_is_never_hidden() -> None:
    for n, at in itertools.product((1, 7, 8, 33, 1000, 5000), (0, -1)):
        x = np.zeros((n, 3), "float32")
        x[at, 1] = np.nan
        for t, dim in ((pydl.tensor(x), 0), (pydl.tensor(x.T.copy()), 1)):
            for name in ("sum", "amax", "amin", "prod", "mean", "logsumexp"):
                assert np.isnan(getattr(pydl, name)(t, dim=dim).numpy()).tolist() == [False, True, False], (name, n, at)
            for found in (pydl.max(t, dim=dim), pydl.min(t, dim=dim)):
                assert np.isnan(found.values.numpy()[1])
                assert found.indices.numpy().tolist() == [0, at % n, 0]
            assert pydl.argmax(t, dim=dim).numpy().tolist() == [0, at % n, 0]


def test_first_of_equals() -> None:
    x = np.zeros((3000, 70), "float32")
    x[[5, 2900]] = 1
    for t, dim in ((pydl.tensor(x), 0), (pydl.tensor(x.T.copy()), 1)):
        assert np.all(pydl.argmax(t, dim=dim).numpy() == 5)
        assert np.all(pydl.argmin(t, dim=dim).numpy() == 0)
    assert pydl.argmax(pydl.tensor(x)).item() == 5 * 70


def test_empty() -> None:
    x = pydl.zeros(0, 3)
    assert pydl.sum(x).item() == 0
    assert pydl.prod(x).item() == 1
    assert np.all(np.isnan(pydl.mean(x, dim=0).numpy()))
    assert pydl.logsumexp(x, dim=0).numpy().tolist() == [-np.inf] * 3
    assert not pydl.any(x).item()
    assert pydl.all(x).item()
    assert pydl.amax(x, dim=1).shape == (0,)
    for name in ("max", "min", "amax", "amin", "argmax", "argmin"):
        with pytest.raises(ValueError, match=f"^{name}: .*nothing to choose from"):
            getattr(pydl, name)(x, dim=0)
        with pytest.raises(ValueError, match=f"^{name}: .*nothing to choose from"):
            getattr(pydl, name)(x)


def test_ties_share_the_gradient() -> None:
    """amax and max(x) share among equals; max(x, dim) gives all to the index."""
    x = pydl.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]).requires_grad_()
    pydl.amax(x, dim=1).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    x.grad = None
    pydl.max(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0.5, 0.5], [0, 0, 0]])
    x.grad = None
    pydl.max(x, dim=1).values.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 1, 0], [1, 0, 0]])


def test_named_results() -> None:
    x = pydl.tensor([[1.0, 3.0], [4.0, 2.0]])
    values, indices = pydl.max(x, 1)
    assert values.tolist() == [3, 4]
    assert indices.tolist() == [1, 0]
    assert pydl.min(x, dim=0).indices.tolist() == [0, 1]
    assert pydl.max(x, pydl.ones(2, 2) * 2.5).tolist() == [[2.5, 3], [4, 2.5]]
    assert x.sum(axis=0, keepdims=True).shape == (1, 2)


def test_integers() -> None:
    x = np.full((3, 100), 200, "uint8")
    assert pydl.sum(pydl.tensor(x)).item() == 60_000
    assert pydl.sum(pydl.tensor(x)).dtype is pydl.int64
    assert pydl.sum(pydl.tensor(x > 1), dim=1).tolist() == [100] * 3
    assert pydl.sum(pydl.tensor(x), dtype=pydl.float32).dtype is pydl.float32
    assert pydl.amax(pydl.tensor(x)).dtype is pydl.uint8
    with pytest.raises(TypeError, match="mean: input must be float"):
        pydl.mean(pydl.tensor(x))


@pytest.mark.parametrize("p", [3, 2.5, 1.5, 0.5, -1, 2, 1])
def test_norm_at_zero(p: float) -> None:
    """The gradient of a zero vector is 0, and so is that of a zero among others; PyTorch's values."""
    x = pydl.tensor([[0.0, 0.0, 0.0], [0.0, 3.0, -4.0], [1.0, 2.0, -2.0]], dtype=pydl.float64).requires_grad_()
    (gradient,) = pydl.autograd.grad(pydl.norm(x, p, dim=1).sum(), [x], create_graph=True)
    got = gradient.detach().numpy()
    assert np.all(got[0] == 0) and got[1, 0] == 0
    a = np.abs(x.detach().numpy()[2])
    np.testing.assert_allclose(got[2], np.sign([1, 2, -2]) * a ** (p - 1) * (a ** p).sum() ** (1 / p - 1), rtol=1e-12)
    assert np.isfinite(pydl.autograd.grad(gradient.sum(), [x])[0].numpy()).all()


@pytest.mark.parametrize(("values", "gradient"), [
    ([np.inf, 0, 1], [np.nan, 0, 0]), ([-np.inf] * 3, [np.nan] * 3), ([np.inf, np.inf, -np.inf], [np.nan, np.nan, 0]),
    ([np.nan, 0, 1], [np.nan] * 3), ([-np.inf, 0, 0], [0, 0.5, 0.5]),
])
def test_logsumexp_of_infinities(values: list[float], gradient: list[float]) -> None:
    x = pydl.tensor([values, [0.0, 0.0, 0.0]]).requires_grad_()
    pydl.logsumexp(x, 1).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [gradient, [1 / 3] * 3], rtol=1e-6)
