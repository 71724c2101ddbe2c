"""Tensors by a rule or by a distribution: values, refusals, and the same numbers for any number of threads."""
from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import pydl
from calls import numpy


def generator(seed: int = 5) -> pydl.Generator:
    return pydl.Generator().manual_seed(seed)


def test_logspace():
    np.testing.assert_allclose(numpy(pydl.logspace(-1, 2, 7)), np.logspace(-1, 2, 7), rtol=1e-6)
    np.testing.assert_allclose(numpy(pydl.logspace(0, 3, 4, base=2.0, dtype=pydl.float64)), [1, 2, 4, 8])
    assert pydl.logspace(0, 1, 0).shape == (0,) and pydl.logspace(0, 2, 3, dtype=pydl.int64).tolist() == [1, 10, 100]
    with pytest.raises(ValueError, match="logspace: steps"):
        pydl.logspace(0, 1, -1)


def test_scalar_tensor_and_empty_strided():
    assert pydl.scalar_tensor(3).dtype is pydl.float32 and pydl.scalar_tensor(3, dtype=pydl.int64).item() == 3
    x = pydl.empty_strided((2, 3), (1, 2), dtype=pydl.int32)
    assert x.shape == (2, 3) and x.stride() == (1, 2) and x.dtype is pydl.int32
    assert pydl.empty_strided((), ()).shape == () and pydl.empty_strided((0, 2), (1, 1)).shape == (0, 2)
    for size, stride in (((2,), (1, 2)), ((-1,), (1,)), ((2,), (-1,))):
        with pytest.raises(ValueError, match="empty_strided"):
            pydl.empty_strided(size, stride)
    with pytest.raises(TypeError, match="scalar_tensor"):
        pydl.scalar_tensor("1")


def test_randint_like():
    x = pydl.randint_like(pydl.zeros(1000, dtype=pydl.float64), 3, 9, generator=generator())
    assert x.dtype is pydl.float64 and sorted(set(x.tolist())) == [3, 4, 5, 6, 7, 8]
    assert set(pydl.randint_like(pydl.zeros(99, dtype=pydl.int64), 2).tolist()) == {0, 1}


FILLS = [
    ("exponential_", (2.0,), stats.expon(scale=0.5)), ("exponential_", (), stats.expon()),
    ("cauchy_", (1.0, 3.0), stats.cauchy(1, 3)), ("log_normal_", (0.5, 0.75), stats.lognorm(0.75, scale=math.exp(0.5))),
]


@pytest.mark.parametrize("name, args, known", FILLS)
@pytest.mark.parametrize("dtype", [pydl.float32, pydl.float64])
def test_fills_have_their_distribution(name, args, known, dtype):
    x = getattr(pydl.empty(20_000, dtype=dtype), name)(*args, generator=generator())
    assert stats.kstest(numpy(x).astype(np.float64), known.cdf).pvalue > 0.01
    assert np.isfinite(numpy(x)).all()


@pytest.mark.parametrize("p", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("dtype", [pydl.float32, pydl.float64, pydl.int64, pydl.uint8])
def test_geometric(p, dtype):
    x = numpy(pydl.empty(20_000, dtype=dtype).geometric_(p, generator=generator())).astype(np.int64)
    assert x.min() == 1
    if dtype is not pydl.uint8:
        assert abs(x.mean() - 1 / p) < 5 * math.sqrt((1 - p) / p**2 / x.size)
        assert abs((x == 1).mean() - p) < 5 * math.sqrt(p * (1 - p) / x.size)


def frequencies(x: np.ndarray, known) -> float:
    """The p-value of Pearson's test."""
    low, high = int(known.ppf(0.01)), int(known.ppf(0.99))
    edges = np.unique(np.linspace(low, high, 15).astype(int))
    chances = np.diff(np.concatenate([[0], known.cdf(edges), [1]]))
    counts = np.histogram(x, np.concatenate([[-np.inf], edges + 0.5, [np.inf]]))[0]
    keep = chances * x.size > 5
    counts, chances = np.append(counts[keep], counts[~keep].sum()), np.append(chances[keep], chances[~keep].sum())
    keep = chances > 0
    return float(stats.chisquare(counts[keep], chances[keep] * x.size).pvalue)


@pytest.mark.parametrize("rate", [0.1, 3.0, 9.9, 10.0, 40.0, 1e4])
@pytest.mark.parametrize("dtype", [pydl.float32, pydl.float64])
def test_poisson(rate, dtype):
    x = numpy(pydl.poisson(pydl.full((50_000,), rate, dtype=dtype), generator()))
    assert x.dtype == str(dtype).split(".")[1] and (x == np.floor(x)).all() and frequencies(x, stats.poisson(rate)) > 0.005


@pytest.mark.parametrize("n, p", [(1, 0.3), (9, 0.5), (100, 0.02), (100, 0.5), (1000, 0.9), (100_000, 0.3), (40, 1.0), (40, 0.0), (0, 0.5)])
def test_binomial(n, p):
    x = numpy(pydl.binomial(pydl.full((50_000,), float(n), dtype=pydl.float64), pydl.tensor(p, dtype=pydl.float64), generator()))
    assert x.min() >= 0 and x.max() <= n
    if 0 < p < 1 and n:
        assert frequencies(x, stats.binom(n, p)) > 0.005
    else:
        assert (x == n * p).all()


@pytest.mark.parametrize("draw", [
    lambda g: pydl.empty(100_003).exponential_(generator=g), lambda g: pydl.empty(100_003).cauchy_(generator=g),
    lambda g: pydl.poisson(pydl.full((100_003,), 12.0), g), lambda g: pydl.binomial(pydl.full((9_999,), 50.0), pydl.full((9_999,), 0.4), g),
], ids=["exponential_", "cauchy_", "poisson", "binomial"])
def test_the_same_numbers_for_any_number_of_threads(draw):
    before = pydl.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 4):
            pydl.set_num_threads(threads)
            g = generator()
            results.append((numpy(draw(g)), numpy(draw(g))))
    finally:
        pydl.set_num_threads(before)
    assert not np.array_equal(*results[0])
    for first, second in results[1:]:
        np.testing.assert_array_equal(first, results[0][0])
        np.testing.assert_array_equal(second, results[0][1])


def test_refusals():
    x = pydl.zeros(3)
    for call, word in ((lambda: x.exponential_(0), "lambd"), (lambda: x.geometric_(1), "p must"), (lambda: x.geometric_(0), "p must"),
                       (lambda: x.cauchy_(0, 0), "sigma"), (lambda: x.log_normal_(0, -1), "std"), (lambda: pydl.poisson(x - 1), "rates"),
                       (lambda: pydl.poisson(x * np.nan), "rates"), (lambda: pydl.binomial(x + 0.5, x), "counts"),
                       (lambda: pydl.binomial(x, x + 2), "probabilities"), (lambda: pydl.binomial(x, pydl.zeros(2)), "broadcast")):
        with pytest.raises(ValueError, match=word):
            call()
    for call in (lambda: pydl.zeros(3, dtype=pydl.int64).exponential_(), lambda: pydl.poisson(pydl.zeros(3, dtype=pydl.int64)),
                 lambda: pydl.zeros(3, dtype=pydl.bool).geometric_(0.5), lambda: x.exponential_("x")):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(RuntimeError, match="leaf"):
        pydl.zeros(3, requires_grad=True).exponential_()


def test_views_are_filled_and_the_rest_is_left():
    x = pydl.zeros(4, 6)
    x[:, ::2].exponential_(generator=generator())
    assert bool((x[:, ::2] > 0).all()) and not bool(x[:, 1::2].any())


def test_fork_rng():
    pydl.manual_seed(3)
    wanted = pydl.rand(4).tolist()
    pydl.manual_seed(3)
    with pydl.random.fork_rng():
        pydl.rand(100)
    assert pydl.rand(4).tolist() == wanted
    pydl.manual_seed(3)
    with pydl.random.fork_rng(enabled=False):
        pydl.rand(100)
    assert pydl.rand(4).tolist() != wanted


def test_a_number_keeps_its_value_beside_small_integers():
    small = pydl.tensor([1, 44, 200], dtype=pydl.uint8)
    assert pydl.searchsorted(small, 300).item() == 3 and pydl.searchsorted(small, -1).item() == 0
    assert pydl.isin(small, 300).tolist() == [False] * 3 and pydl.isin(small, 44).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="isin: .* does not fit"):
        pydl.isin(small, 2**70)
