"""Random numbers: golden values, distributions, streams and states, and what must be refused."""
from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import philox
import pydl

SEED = 1234567890123
N = 100_003


def gen(seed: int = SEED) -> pydl.Generator:
    return pydl.Generator().manual_seed(seed)


def test_reference_is_philox() -> None:
    """The published test vectors of Random123 (kat_vectors, philox4x32 10)."""
    assert [int(w) for w in philox.blocks(0, np.array([0]))[:, 0]] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize("seed", [0, 1, SEED, 2**64 - 1, -1])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000, N])
def test_uniform_golden(seed: int, n: int) -> None:
    got = pydl.rand(n, generator=gen(seed)).numpy()
    assert np.array_equal(got, philox.uniform32(seed % 2**64, n))
    got = pydl.rand(n, generator=gen(seed), dtype=pydl.float64).numpy()
    assert np.array_equal(got, philox.uniform64(seed % 2**64, n))


def test_normal_golden() -> None:
    got = pydl.randn(N, generator=gen()).numpy()
    want = philox.normal32(SEED, N)
    assert np.abs(got - want).max() < 1e-6
    assert np.mean(got == want.astype(np.float32)) > 0.999


GOLDEN = {
    "uniform": [0.3990464210510254, 0.9722411632537842, 0.01944941282272339, 0.7873677611351013],
    "normal": [0.991137683391571, -0.15363822877407074, -1.186357855796814, -0.5954070091247559],
    "permutation": [3, 9, 2, 8, 1, 7, 0, 6, 5, 4],
    "integers": [36, 97, -3, 77, 93, 42],
    "wide integers": [1840277030316962147, 4483671155599507510],
    "bernoulli": [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "multinomial": [2, 3, 0, 3, 3, 2, 3, 3],
    "order": [1, 3, 0, 2],
    "truncated": [-0.24393680691719055, 1.652209758758545, -1.7356303930282593],
}


def test_values_in_the_repository() -> None:
    """The first numbers of seed 0, for ever."""
    assert pydl.rand(4, generator=gen(0)).tolist() == GOLDEN["uniform"]
    assert pydl.randn(4, generator=gen(0)).tolist() == GOLDEN["normal"]
    assert pydl.randperm(10, generator=gen(0)).tolist() == GOLDEN["permutation"]
    assert pydl.randint(-5, 100, (6,), generator=gen(0)).tolist() == GOLDEN["integers"]
    assert pydl.randint(0, 1 << 62, (2,), generator=gen(0)).tolist() == GOLDEN["wide integers"]
    assert pydl.bernoulli(pydl.full((8,), 0.4), generator=gen(0)).tolist() == GOLDEN["bernoulli"]
    weights = pydl.tensor([1.0, 2, 3, 4])
    assert pydl.multinomial(weights, 8, True, generator=gen(0)).tolist() == GOLDEN["multinomial"]
    assert pydl.multinomial(weights, 4, generator=gen(0)).tolist() == GOLDEN["order"]
    assert pydl.empty(3).trunc_normal_(generator=gen(0)).tolist() == GOLDEN["truncated"]


def test_a_draw_goes_on_where_the_last_one_ended() -> None:
    g = gen()
    pydl.rand(100, generator=g)                         # two groups of 64 words: 32 blocks
    assert np.array_equal(pydl.rand(70, generator=g).numpy(), philox.uniform32(SEED, 70, position=32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype: str) -> None:
    kind = getattr(pydl, dtype)
    g = gen(7)
    uniform = pydl.rand(N, generator=g, dtype=kind).numpy()
    assert uniform.min() >= 0 and uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    normal = pydl.randn(N, generator=g, dtype=kind).numpy()
    assert stats.kstest(normal, "norm").pvalue > 1e-4
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02 and abs(stats.kurtosis(normal)) < 0.1
    x = pydl.empty(N, dtype=kind)
    assert stats.kstest(x.uniform_(-3, 5, generator=g).numpy(), stats.uniform(-3, 8).cdf).pvalue > 1e-4
    assert stats.kstest(x.normal_(2, 3, generator=g).numpy(), stats.norm(2, 3).cdf).pvalue > 1e-4


@pytest.mark.parametrize(("a", "b"), [(-2, 2), (-1, 3), (1, 3), (3, 4), (-6, -5), (5, 9), (-50, 50)])
def test_truncated_normal(a: float, b: float) -> None:
    x = pydl.empty(20_000, dtype=pydl.float64).trunc_normal_(1.0, 2.0, 1 + 2 * a, 1 + 2 * b, generator=gen(3)).numpy()
    assert 1 + 2 * a <= x.min() and x.max() <= 1 + 2 * b
    assert stats.kstest(x, stats.truncnorm(a, b, 1, 2).cdf).pvalue > 1e-4


def test_uniform_never_reaches_its_upper_bound() -> None:
    x = pydl.empty(N).uniform_(1, 1 + 2**-23, generator=gen())
    assert set(x.numpy()) == {np.float32(1)}
    assert pydl.empty(3).uniform_(2, 2).tolist() == [2, 2, 2]


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32", "float64"])
def test_integers(dtype: str) -> None:
    counts = np.bincount(pydl.randint(3, 10, (70_000,), generator=gen(), dtype=getattr(pydl, dtype)).numpy().astype(int))
    assert counts[:3].sum() == 0 and len(counts) == 10
    assert stats.chisquare(counts[3:]).pvalue > 1e-4


def test_integers_over_the_whole_range() -> None:
    x = pydl.empty(N, dtype=pydl.int64).random_(-(2**63), 2**63 - 1, generator=gen()).numpy().astype(float)
    assert stats.kstest(x / 2**63, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    x = pydl.empty(N, dtype=pydl.int64).random_(generator=gen())
    assert int(x.min()) >= 0
    assert set(pydl.empty(100, dtype=pydl.bool).random_().tolist()) == {False, True}
    assert pydl.empty(1000).random_(generator=gen()).max().item() <= 2**24


def test_permutation() -> None:
    assert pydl.randperm(0).tolist() == [] and pydl.randperm(1).tolist() == [0]
    x = pydl.randperm(10_000, generator=gen()).numpy()
    assert np.array_equal(np.sort(x), np.arange(10_000)) and not np.array_equal(x, np.arange(10_000))
    assert pydl.randperm(5, dtype=pydl.int32).dtype is pydl.int32
    g, seen = gen(), {}
    for _ in range(6000):
        key = tuple(pydl.randperm(3, generator=g).tolist())
        seen[key] = seen.get(key, 0) + 1
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4 and len(seen) == 6


def test_bernoulli() -> None:
    p = pydl.tensor([0.0, 1.0, 0.25]).expand(40_000, 3)
    x = pydl.bernoulli(p, generator=gen()).numpy()
    assert x[:, 0].sum() == 0 and x[:, 1].all() and abs(x[:, 2].mean() - 0.25) < 0.01
    assert pydl.empty(10_000, dtype=pydl.bool).bernoulli_(1.0).all().item()
    assert abs(pydl.empty(N).bernoulli_(0.3, generator=gen()).mean().item() - 0.3) < 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_multinomial(dtype: str) -> None:
    w = pydl.tensor([[0.0, 1, 2, 3, 0, 4], [5, 0, 0, 0, 0, 0]], dtype=getattr(pydl, dtype))
    x = pydl.multinomial(w, 20_000, replacement=True, generator=gen()).numpy()
    counts = np.bincount(x[0], minlength=6)
    assert counts[0] == counts[4] == 0 and (x[1] == 0).all()
    assert stats.chisquare(counts[[1, 2, 3, 5]], [2000, 4000, 6000, 8000]).pvalue > 1e-4
    rows = w[:1].expand(20_000, 6)
    x = pydl.multinomial(rows, 4, generator=gen()).numpy()
    assert (np.sort(x, axis=1) == [1, 2, 3, 5]).all()
    assert stats.chisquare(np.bincount(x[:, 0], minlength=6)[[1, 2, 3, 5]], [2000, 4000, 6000, 8000]).pvalue > 1e-4
    assert pydl.multinomial(pydl.tensor([1.0, 2.0]), 1).shape == (1,)


def everything(g: pydl.Generator) -> list[np.ndarray]:
    n = 70_001
    x = pydl.ones(n)
    return [t.numpy() for t in (
        pydl.rand(n, generator=g), pydl.randn(n, generator=g), pydl.randn(n, generator=g, dtype=pydl.float64),
        pydl.randint(7, (n,), generator=g), pydl.empty(n).trunc_normal_(generator=g), pydl.dropout(x, 0.3, generator=g),
        pydl.empty(n, dtype=pydl.uint8).bernoulli_(0.3, generator=g), pydl.bernoulli(x * 0.5, generator=g),
        pydl.randperm(n, generator=g))]


def test_threads_do_not_matter(threads: None) -> None:
    pydl.set_num_threads(1)
    want = everything(gen())
    for count in (2, 4):
        pydl.set_num_threads(count)
        for a, b in zip(want, everything(gen()), strict=True):
            assert np.array_equal(a, b)


def test_saved_state_goes_on() -> None:
    g = gen()
    everything(g)
    state = g.get_state()
    want = everything(g)
    for a, b in zip(want, everything(gen(5).set_state(state)), strict=True):
        assert np.array_equal(a, b)


def test_default_generator() -> None:
    pydl.manual_seed(5)
    assert pydl.initial_seed() == 5
    a = pydl.rand(10)
    state = pydl.get_rng_state()
    b = pydl.rand(10)
    pydl.set_rng_state(state)
    assert b.tolist() == pydl.rand(10).tolist() != a.tolist()
    pydl.manual_seed(5)
    assert pydl.rand(10).tolist() == a.tolist()
    assert pydl.seed() == pydl.initial_seed() != 5


def test_layout_does_not_matter() -> None:
    x = pydl.zeros(30, 20)
    x.t().uniform_(generator=gen())
    assert np.array_equal(x.t().contiguous().numpy(), pydl.rand(20, 30, generator=gen()).numpy())
    x[:, ::3].normal_(generator=gen())
    assert np.array_equal(x[:, ::3].contiguous().numpy(), pydl.randn(30, 7, generator=gen()).numpy())


def test_likes_and_shapes() -> None:
    x = pydl.zeros(2, 3, dtype=pydl.float64)
    assert pydl.rand_like(x).shape == (2, 3) and pydl.randn_like(x).dtype is pydl.float64
    assert pydl.rand((2, 3)).shape == pydl.rand(2, 3).shape == (2, 3)
    assert pydl.rand(0, 3).shape == (0, 3) and pydl.randn(()).shape == ()
    assert pydl.rand(3, requires_grad=True).requires_grad
    mean = pydl.tensor([0.0, 100.0])
    assert abs(pydl.normal(mean, 0.1)[1].item() - 100) < 1 and pydl.normal(mean, mean + 1).shape == (2,)
    assert pydl.normal(0.0, 1.0, (2, 2)).shape == (2, 2)


def test_dropout() -> None:
    x = pydl.ones(N, requires_grad=True)
    y = pydl.dropout(x, 0.25, generator=gen())
    assert abs((y.detach().numpy() != 0).mean() - 0.75) < 0.01
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.detach().numpy())       # the very same mask
    assert pydl.dropout(x, 0.5, training=False) is x
    assert not pydl.dropout(x, 1.0).detach().numpy().any()
    z = pydl.ones(1000)
    assert pydl.dropout(z, 0.5, inplace=True) is z and 0 < z.numpy().sum() < 2000
    assert math.isnan(pydl.dropout(pydl.full((1000,), math.nan), 0.5).sum().item())


def test_fill_refuses_a_leaf_and_counts_as_a_change() -> None:
    x = pydl.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="uniform_"):
        x.uniform_()
    with pydl.no_grad():
        x.uniform_(5, 6)
    assert x.detach().numpy().min() >= 5
    y = pydl.exp(x)
    total = (y + 1).sum()
    y.normal_()
    with pytest.raises(RuntimeError, match="exp"):
        total.backward()


BAD = [
    (lambda: pydl.rand(-1), ValueError, "rand"), (lambda: pydl.rand(2, dtype=pydl.int64), TypeError, "rand"),
    (lambda: pydl.randint(5, 5, (3,)), ValueError, "low < high"), (lambda: pydl.randint(1.5, (3,)), TypeError, "float"),
    (lambda: pydl.randint(0, 300, (3,), dtype=pydl.uint8), ValueError, "uint8"),
    (lambda: pydl.randint(0, 2**63 + 1, (3,)), ValueError, "int64"), (lambda: pydl.randint(5), TypeError, "size"),
    (lambda: pydl.randperm(-1), ValueError, "randperm"), (lambda: pydl.randperm(1.0), TypeError, "float"),
    (lambda: pydl.randperm(257, dtype=pydl.uint8), ValueError, "257"),
    (lambda: pydl.bernoulli(pydl.tensor([0.5, 1.5])), ValueError, "1.5"),
    (lambda: pydl.bernoulli(pydl.tensor([math.nan])), ValueError, "nan"),
    (lambda: pydl.bernoulli(pydl.tensor([1])), TypeError, "int64"),
    (lambda: pydl.multinomial(pydl.zeros(3), 1), ValueError, "no positive weight"),
    (lambda: pydl.multinomial(pydl.tensor([1.0, -1.0]), 1), ValueError, "-1.0"),
    (lambda: pydl.multinomial(pydl.tensor([1.0, math.inf]), 1), ValueError, "inf"),
    (lambda: pydl.multinomial(pydl.tensor([1.0, 0.0]), 2), ValueError, "replacement=True"),
    (lambda: pydl.multinomial(pydl.ones(1, 1, 1), 1), ValueError, r"\(1, 1, 1\)"),
    (lambda: pydl.multinomial(pydl.ones(3), 0), ValueError, "positive"),
    (lambda: pydl.multinomial(pydl.ones(0), 1), ValueError, "no positive weight"),
    (lambda: pydl.normal(0.0, -1.0, (3,)), ValueError, "std"), (lambda: pydl.normal(0.0, 1.0), TypeError, "size"),
    (lambda: pydl.ones(3).normal_(0, -1), ValueError, "std"), (lambda: pydl.ones(3).normal_(0, math.nan), ValueError, "nan"),
    (lambda: pydl.ones(3).uniform_(1, 0), ValueError, "low <= to"),
    (lambda: pydl.ones(3).uniform_(-math.inf, 0), ValueError, "finite"),
    (lambda: pydl.ones(3).trunc_normal_(0, 0), ValueError, "std"),
    (lambda: pydl.ones(3).trunc_normal_(0, 1, 2, 1), ValueError, "a < b"),
    (lambda: pydl.ones(3, dtype=pydl.int64).uniform_(), TypeError, "int64"),
    (lambda: pydl.ones(3).bernoulli_(2), ValueError, "2"), (lambda: pydl.ones(3).random_(3, 2), ValueError, "low < high"),
    (lambda: pydl.ones(3).random_(0, 2**25), ValueError, "float32"),
    (lambda: pydl.rand(3, generator=7), TypeError, "Generator"), (lambda: pydl.manual_seed("x"), TypeError, "str"),
    (lambda: pydl.manual_seed(2**64), ValueError, "64 bits"), (lambda: pydl.Generator("cuda"), ValueError, "cpu"),
    (lambda: gen().set_state(pydl.zeros(3)), TypeError, "uint8"),
    (lambda: gen().set_state(pydl.zeros(3, dtype=pydl.uint8)), ValueError, r"\(3,\)"),
    (lambda: pydl.rand(1 << 40, 1 << 40), (ValueError, MemoryError), None),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD, ids=range(len(BAD)))
def test_refusals(call, error: type[Exception], match: str | None) -> None:
    with pytest.raises(error, match=match):
        call()
