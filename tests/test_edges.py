"""Numbers at the edge of what a type holds, memory under two names, states of older versions: faults that were found there."""
from __future__ import annotations

import math

import numpy as np
import pytest

import pydl
from pydl import nn

INF = math.inf


@pytest.mark.parametrize("values, attrs", [
    ([0.0, 1e38, 5e37], {"bins": 100}), ([1.0, 1.0, 1.0], {"bins": 10, "min": 1, "max": 1 + 1e-9}),
    ([0.1], {"bins": 4, "min": 0.1, "max": 0.1 + 1e-9}), ([-3e38, 3e38, 0.0], {"bins": 10, "min": -3e38, "max": 3e38}),
    ([1.0, 0.5], {"bins": 2**24 + 3, "min": 0, "max": 1}),
])
def test_histc_counts_everything_between_its_ends(values, attrs) -> None:
    counts = pydl.histc(pydl.tensor(values), **attrs)
    assert counts.shape == (attrs["bins"],) and counts.sum().item() == len(values)


def test_histc_of_a_range_that_no_double_holds() -> None:
    counts = pydl.histc(pydl.tensor([-1.7e308, 0.0, 1.7e308], dtype=pydl.float64), bins=3, min=-1.7e308, max=1.7e308)
    assert counts.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="histc: expected finite"):
        pydl.histc(pydl.tensor([1.0, 2.0]), bins=4, min=-1e39, max=1e39)


def test_binomial_of_rare_events() -> None:
    assert pydl.binomial(pydl.tensor([1000.0]), pydl.tensor([1e-30])).item() == 0
    assert pydl.binomial(pydl.tensor([2.0**50], dtype=pydl.float64), pydl.tensor([1e-18], dtype=pydl.float64)).item() <= 1
    pydl.manual_seed(0)
    n = pydl.full((100_000,), 2.0**53, dtype=pydl.float64)
    assert pydl.binomial(n, pydl.full_like(n, 3e-16)).mean().item() == pytest.approx(2.0**53 * 3e-16, abs=0.03)


def test_rates_are_finite() -> None:
    with pytest.raises(ValueError, match="poisson: rates must be finite"):
        pydl.poisson(pydl.tensor([INF]))


def test_a_logarithm_of_709() -> None:
    assert math.isfinite(pydl.empty(3, dtype=pydl.float64).log_normal_(709.3, 1e-12).max().item())


@pytest.mark.parametrize("q", [1.0, pydl.tensor([1.0, 0.5])])
def test_quantiles_of_infinities(q) -> None:
    x = pydl.tensor([1.0, INF, INF])
    assert np.all(np.isposinf(pydl.quantile(x, q).numpy())) and np.all(np.isposinf(pydl.nanquantile(x, q).numpy()))


def test_unique_of_a_number_is_a_copy() -> None:
    x = pydl.tensor(3.0)
    pydl.unique(x, dim=0).fill_(7)
    assert x.item() == 3


def test_no_difference_extends_nothing() -> None:
    assert pydl.diff(pydl.tensor([1, 3]), 0, prepend=pydl.tensor([0])).tolist() == [1, 3]


def test_one_memory_under_two_names() -> None:
    memory = np.arange(4, dtype=np.float32)
    a, b = pydl.from_numpy(memory), pydl.from_numpy(memory)
    assert a.index_copy_(0, pydl.tensor([3, 2, 1, 0]), b).tolist() == [3, 2, 1, 0]


def test_an_embedding_does_not_shorten_rows_that_lie_over_one_another() -> None:
    with pytest.raises(ValueError, match=r"max_norm changes weight \(4, 3\)"):
        nn.functional.embedding(pydl.tensor([0, 1]), pydl.ones(1, 3).expand(4, 3), max_norm=0.1)


def test_a_batch_norm_loads_a_state_without_a_counter() -> None:
    layer = nn.BatchNorm1d(2)
    layer.num_batches_tracked.fill_(5)
    state = {name: value + 1 for name, value in layer.state_dict().items() if name != "num_batches_tracked"}
    assert not any(layer.load_state_dict(state)) and layer.num_batches_tracked.item() == 5 and layer.weight.tolist() == [2, 2]
    assert layer.load_state_dict({}, strict=False).missing_keys == ["weight", "bias", "running_mean", "running_var"]


def test_a_group_of_one_value() -> None:
    layer = nn.GroupNorm(3, 3)
    assert layer(pydl.arange(6.0).reshape(2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="more than 1 value per group"):
        layer(pydl.ones(1, 3))
