"""Starting values: their distributions, and what they are where nothing is random."""

import inspect
import math

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.nn import init


def spread(fill, *shape):
    pydl.manual_seed(1)
    x = pydl.empty(*shape)
    assert fill(x) is x
    return x.numpy()


def test_init_distributions():
    shape, fan_in, fan_out = (200, 300), 300, 200
    u = spread(lambda x: init.uniform_(x, -2, 3), *shape)
    assert u.min() >= -2 and u.max() < 3 and abs(u.mean() - 0.5) < 0.03
    n = spread(lambda x: init.normal_(x, 1, 2), *shape)
    assert abs(n.mean() - 1) < 0.05 and abs(n.std() - 2) < 0.05
    t = spread(lambda x: init.trunc_normal_(x, 0, 1, -0.5, 1), *shape)
    assert t.min() >= -0.5 and t.max() <= 1 and abs((t < 0).mean() - 0.3595) < 0.01
    x = spread(lambda x: init.xavier_uniform_(x, gain=2), *shape)
    assert abs(np.abs(x).max() - 2 * math.sqrt(6 / (fan_in + fan_out))) < 1e-3
    assert abs(spread(init.xavier_normal_, *shape).std() - math.sqrt(2 / (fan_in + fan_out))) < 1e-3
    k = spread(lambda x: init.kaiming_uniform_(x, nonlinearity="relu"), *shape)
    assert abs(np.abs(k).max() - math.sqrt(6 / fan_in)) < 1e-3
    k = spread(lambda x: init.kaiming_normal_(x, mode="fan_out", nonlinearity="relu"), *shape)
    assert abs(k.std() - math.sqrt(2 / fan_out)) < 1e-3
    assert (spread(init.ones_, 3) == 1).all() and (spread(init.zeros_, 3) == 0).all()
    assert (spread(lambda x: init.constant_(x, 7), 3) == 7).all() and np.array_equal(spread(init.eye_, 3, 5), np.eye(3, 5))


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5), (3, 2, 2)])
def test_init_orthogonal(shape):
    q = spread(lambda x: init.orthogonal_(x, gain=2), *shape).reshape(shape[0], -1) / 2
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-5)


def test_init_of_parameters_is_not_recorded():
    p = nn.Parameter(pydl.zeros(3, 3))
    for fill in (init.uniform_, init.normal_, init.trunc_normal_, init.ones_, init.eye_, init.xavier_uniform_,
                 init.kaiming_normal_, init.orthogonal_):
        fill(p)
        assert p.is_leaf and p.requires_grad


def test_init_refuses():
    for call, words in ((lambda: init.calculate_gain("sine"), "leaky_relu or one of"), (lambda: init.eye_(pydl.zeros(3)), "two dimensions"),
                        (lambda: init.xavier_uniform_(pydl.zeros(3)), r"two or more dimensions, got shape \(3,\)"),
                        (lambda: init.kaiming_normal_(pydl.zeros(3, 3), mode="fan"), "fan_in or fan_out"),
                        (lambda: init.orthogonal_(pydl.zeros(3)), "two or more")):
        with pytest.raises(ValueError, match=words):
            call()
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(1.3867505)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (3, 2, 2)])
def test_init_orthogonal_is_uniform(shape):
    """Over many draws, the mean of every element is 0 and its variance 1 / max(rows, columns): a QR without the signs fails."""
    pydl.manual_seed(3)
    draws = np.stack([init.orthogonal_(pydl.empty(*shape)).numpy().reshape(shape[0], -1) for _ in range(2000)])
    variance = 1 / max(draws.shape[1:])
    assert np.abs(draws.mean(0)).max() < 5 * math.sqrt(variance / 2000)
    np.testing.assert_allclose(draws.var(0), variance, rtol=0.2)


@pytest.mark.parametrize(("shape", "groups"), [((4, 3, 5), 1), ((3, 4, 4), 1), ((6, 2, 3, 3), 3), ((4, 4, 2, 3), 2), ((2, 2, 3, 1, 4), 1)])
def test_init_dirac_keeps_channels(shape, groups):
    w = init.dirac_(pydl.full(shape, 7.0), groups).numpy()
    per_group = shape[0] // groups
    for o in range(shape[0]):
        for c in range(shape[1]):
            here = np.zeros(shape[2:])
            if o % per_group == c:
                here[tuple(size // 2 for size in shape[2:])] = 1
            np.testing.assert_array_equal(w[o, c], here)


@pytest.mark.parametrize("sparsity", [0, 0.1, 0.25, 0.9, 1])
def test_init_sparse(sparsity):
    pydl.manual_seed(2)
    w = init.sparse_(pydl.full((40, 300), 5.0), sparsity, std=0.5).numpy()
    assert ((w == 0).sum(0) == math.ceil(sparsity * 40)).all()
    if 0 < sparsity < 1:
        share = (w == 0).mean(1)            # every row is as likely
        assert np.abs(share - math.ceil(sparsity * 40) / 40).max() < 0.12 and len({tuple(column) for column in (w == 0).T}) > 100
    if sparsity < 0.5:
        assert abs(w[w != 0].std() - 0.5) < 0.02 and abs(w[w != 0].mean()) < 0.02


RANDOM = {"uniform_": (), "normal_": (), "trunc_normal_": (), "xavier_uniform_": (), "xavier_normal_": (), "kaiming_uniform_": (),
          "kaiming_normal_": (), "orthogonal_": (), "sparse_": (0.3,)}


@pytest.mark.parametrize("name", RANDOM)
def test_generators_are_used(name):
    def draw(generator):
        return getattr(init, name)(pydl.empty(6, 5), *RANDOM[name], generator=generator).tolist()
    state = pydl.get_rng_state().tolist()
    first = draw(pydl.Generator().manual_seed(4))
    assert draw(pydl.Generator().manual_seed(4)) == first != draw(pydl.Generator().manual_seed(5))
    assert pydl.get_rng_state().tolist() == state
    assert draw(None) != first and pydl.get_rng_state().tolist() != state


def test_init_of_double_and_of_views():
    w = pydl.zeros(6, 8, dtype=pydl.float64)
    q = init.orthogonal_(w.t()[:, :3])
    np.testing.assert_allclose(q.numpy().T @ q.numpy(), np.eye(3), atol=1e-14)
    assert (w.numpy()[3:] == 0).all()
    init.eye_(w[1:5, 2:6])
    assert np.array_equal(w.numpy()[1:5, 2:6], np.eye(4))


def test_init_of_nothing():
    for fill in (init.kaiming_uniform_, init.kaiming_normal_):
        with pytest.warns(UserWarning, match=rf"{fill.__name__}: shape \(0, 3\) has no elements"):
            fill(pydl.empty(0, 3))
    for fill in (init.uniform_, init.normal_, init.orthogonal_, init.eye_, lambda x: init.sparse_(x, 0.5)):
        assert fill(pydl.empty(0, 3)).shape == (0, 3)
    assert init.dirac_(pydl.empty(2, 2, 0)).shape == (2, 2, 0)
    with pytest.warns(UserWarning, match="trunc_normal_: mean 5.0 is more than 2 std"):
        t = init.trunc_normal_(pydl.empty(1000), mean=5.0, a=-1.0, b=1.0)
    assert t.max().item() <= 1 and t.min().item() > -1 and t.mean().item() > 0.5


def test_init_refuses_shapes_and_shares():
    for call, words in ((lambda: init.dirac_(pydl.zeros(3, 3)), r"dirac_: expected three to five dimensions, got shape \(3, 3\)"),
                        (lambda: init.dirac_(pydl.zeros(3, 3, 3), 2), "dirac_: groups: expected a divisor of the 3 output channels, got 2"),
                        (lambda: init.dirac_(pydl.zeros(3, 3, 3), 0), "dirac_: groups"),
                        (lambda: init.sparse_(pydl.zeros(3), 0.5), r"sparse_: expected two dimensions, got shape \(3,\)"),
                        (lambda: init.sparse_(pydl.zeros(3, 3), 1.5), "sparse_: sparsity: expected a share from 0 to 1, got 1.5"),
                        (lambda: init.calculate_gain("leaky_relu", True), "expected a number as slope, got True")):
        with pytest.raises(ValueError, match=words):
            call()


# Parity

FUNCTIONS = ["uniform_", "normal_", "trunc_normal_", "constant_", "ones_", "zeros_", "eye_", "dirac_", "xavier_uniform_", "xavier_normal_",
             "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "sparse_", "calculate_gain"]


@pytest.mark.parity
def test_functions_of_init_are_pytorchs():
    torch = pytest.importorskip("torch")
    assert {name for name in torch.nn.init.__all__ if name.endswith("_")} <= set(FUNCTIONS)
    for name in FUNCTIONS:
        ours, theirs = (inspect.signature(getattr(package, name)).parameters for package in (init, torch.nn.init))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()], name


@pytest.mark.parity
@pytest.mark.parametrize(("call", "shape"), [(("eye_",), (3, 5)), (("constant_", 2.5), (2, 3)), (("dirac_",), (5, 3, 4)), (("dirac_", 2), (6, 4, 3, 2)),
                                             (("dirac_", 3), (6, 1, 2, 3, 4))])
def test_what_is_not_random_is_pytorchs(call, shape):
    torch = pytest.importorskip("torch")
    ours, theirs = (getattr(package.nn.init, call[0])(package.ones(shape), *call[1:]).numpy() for package in (pydl, torch))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parity
def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    cases = [(name, None) for name in ("linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")]
    for name, slope in [*cases, ("leaky_relu", 0.3), ("leaky_relu", 2)]:
        assert init.calculate_gain(name, slope) == pytest.approx(torch.nn.init.calculate_gain(name, slope), rel=1e-15)


@pytest.mark.parity
@pytest.mark.parametrize(("name", "named"), [("xavier_uniform_", {"gain": 2}), ("xavier_normal_", {}), ("kaiming_uniform_", {"a": 0.5}),
                                             ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}), ("sparse_", {"sparsity": 0.3}),
                                             ("trunc_normal_", {"std": 2.0, "a": -1.0}), ("orthogonal_", {"gain": 3})])
def test_distributions_are_pytorchs(name, named):
    """The same quantiles: Kolmogorov-Smirnov at 1 in 10,000."""
    torch = pytest.importorskip("torch")
    stats = pytest.importorskip("scipy.stats")
    pydl.manual_seed(7)
    torch.manual_seed(7)
    ours, theirs = (getattr(package.nn.init, name)(package.empty(60, 30, 4) if name != "sparse_" else package.empty(100, 80), **named)
                    .numpy().ravel() for package in (pydl, torch))
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-4
