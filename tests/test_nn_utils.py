"""Clipping gradients and parameters as one vector: against NumPy here, against PyTorch where it is installed."""

import inspect
import math

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.nn import utils

rng = np.random.default_rng(0)
SHAPES = [(3, 4), (5,), (), (2, 1, 3)]


def arrays(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def parameters(package=pydl, grads=None):
    """Parameters with gradients, and one without."""
    made = []
    for value in arrays() if grads is None else grads:
        p = package.nn.Parameter(package.zeros(value.shape, dtype=getattr(package, str(value.dtype))))
        p.grad = package.tensor(value)
        made.append(p)
    return [*made, package.nn.Parameter(package.zeros(2))]


def flat(values):
    return np.concatenate([np.asarray(v, np.float64).ravel() for v in values])


def norm(values, p):
    x = np.abs(flat(values))
    return x.max() if p == math.inf else x.min() if p == -math.inf else (x != 0).sum() if p == 0 else (x**p).sum() ** (1 / p)


def gradients(ps):
    return [p.grad.numpy() for p in ps if p.grad is not None]


NORMS = [2.0, 1, 3.5, 0.5, math.inf, -math.inf, 0, "inf"]


@pytest.mark.parametrize("norm_type", NORMS)
def test_total_norm(norm_type):
    values = arrays()
    values[0][1, 2] = 0
    expected = norm(values, float(norm_type))
    got = utils.get_total_norm([pydl.tensor(v) for v in values], norm_type)
    assert got.shape == () and got.dtype is pydl.float32 and got.item() == pytest.approx(expected, rel=1e-6)
    assert utils.get_total_norm(pydl.tensor(values[0]), norm_type).item() == pytest.approx(norm(values[:1], float(norm_type)), rel=1e-6)


def test_total_norm_of_nothing_of_doubles_and_of_parameters():
    assert utils.get_total_norm([]).item() == 0 and utils.get_total_norm([pydl.zeros(0, 3)], math.inf).item() == 0
    both = [pydl.tensor([3.0]), pydl.tensor([4.0 + 1e-12], dtype=pydl.float64)]
    got = utils.get_total_norm(both)
    assert got.dtype is pydl.float64 and got.item() == math.hypot(3, 4 + 1e-12)
    assert not utils.get_total_norm([nn.Parameter(pydl.ones(2))]).requires_grad


@pytest.mark.parametrize("norm_type", [2.0, 1, math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 1e6, 0])
def test_clip_grad_norm(norm_type, max_norm):
    values, ps = arrays(), parameters()
    held = [p.grad for p in ps]
    before = utils.clip_grad_norm_(ps, max_norm, norm_type)
    expected = norm(values, float(norm_type))
    assert before.item() == pytest.approx(expected, rel=1e-6) and ps[-1].grad is None
    factor = min(1.0, max_norm / (expected + 1e-6))
    for got, value in zip(gradients(ps), values, strict=True):
        np.testing.assert_allclose(got, factor * value, rtol=2e-6)
        assert factor < 1 or np.array_equal(got, value)
    assert all(p.grad is g for p, g in zip(ps, held, strict=True)) and norm(gradients(ps), float(norm_type)) <= max(max_norm, 0) * 1.00001


def test_clip_takes_a_tensor_and_a_generator_and_each_once():
    ps = parameters()
    utils.clip_grad_norm_(ps[1], 1e-3)
    assert np.linalg.norm(ps[1].grad.numpy()) == pytest.approx(1e-3, rel=1e-3) and np.array_equal(ps[0].grad.numpy(), arrays()[0])
    once, twice = parameters(), parameters()
    a, b = utils.clip_grad_norm_(iter(once), 0.5), utils.clip_grad_norm_(twice + twice, 0.5)
    assert a.item() == b.item() and all(np.array_equal(x, y) for x, y in zip(gradients(once), gradients(twice), strict=True))
    net = nn.Linear(2, 2)
    given = net.parameters()
    list(given)
    with pytest.warns(UserWarning, match="clip_grad_norm_: the generator is empty"):
        assert utils.clip_grad_norm_(given, 1.0).item() == 0
    assert utils.clip_grad_norm_(net.parameters(), 1.0).item() == 0         # no gradients yet


@pytest.mark.parametrize(("bad", "after"), [(math.inf, 0.0), (math.nan, math.nan)])
def test_norms_that_are_not_finite(bad, after):
    values = arrays()
    values[1][2] = bad
    ps = parameters(grads=values)
    with pytest.raises(RuntimeError, match="clip_grad_norm_: the norm of order 2.0 is (inf|nan)"):
        utils.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match="get_total_norm: the norm of order inf is"):
        utils.get_total_norm([p.grad for p in ps[:-1]], math.inf, True)
    assert all(np.array_equal(g, v, equal_nan=True) for g, v in zip(gradients(ps), values, strict=True))
    utils.clip_grad_norm_(ps, math.inf)         # measures only
    assert all(np.array_equal(g, v, equal_nan=True) for g, v in zip(gradients(ps), values, strict=True))
    assert not math.isfinite(utils.clip_grad_norm_(ps, 1.0).item())
    assert np.array_equal(ps[0].grad.numpy(), np.full((3, 4), after), equal_nan=True) and math.isnan(ps[1].grad.numpy()[2])


def test_clip_with_a_known_norm():
    ps = parameters()
    assert utils.clip_grads_with_norm_(ps, 1.0, pydl.tensor(4.0)) is None
    for got, value in zip(gradients(ps), arrays(), strict=True):
        np.testing.assert_allclose(got, value / 4, rtol=1e-6)
    for wrong in (4.0, pydl.ones(2)):
        with pytest.raises(TypeError, match="total_norm: expected a Tensor of one element"):
            utils.clip_grads_with_norm_(ps, 1.0, wrong)


def test_clip_grad_value():
    values = arrays()
    values[1][0] = math.nan
    ps = parameters(grads=values)
    assert utils.clip_grad_value_(ps, 0.4) is None
    for got, value in zip(gradients(ps), values, strict=True):
        np.testing.assert_array_equal(got, np.clip(value, np.float32(-0.4), np.float32(0.4)))


def test_clipping_refuses():
    ps = parameters()
    for bad in (-1.0, math.nan):
        for call, name in ((utils.clip_grad_norm_, "max_norm"), (utils.clip_grad_value_, "clip_value")):
            with pytest.raises(ValueError, match=f"{call.__name__}: {name}: expected 0 or more, got {bad}"):
                call(ps, bad)
    with pytest.raises(ValueError, match="clip_grads_with_norm_: max_norm"):
        utils.clip_grads_with_norm_(ps, -1, pydl.tensor(1.0))
    with pytest.raises(ValueError, match="norm_type: expected a number or inf, got nan"):
        utils.clip_grad_norm_(ps, 1.0, math.nan)
    for wrong, error in (("a", ValueError), (None, TypeError), (pydl.ones(2), TypeError)):
        for call, name in ((lambda x: utils.clip_grad_norm_(ps, x), "clip_grad_norm_: max_norm"),
                           (lambda x: utils.clip_grad_norm_(ps, 1.0, x), "clip_grad_norm_: norm_type"),
                           (lambda x: utils.get_total_norm(ps, x), "get_total_norm: norm_type"),
                           (lambda x: utils.clip_grad_value_(ps, x), "clip_grad_value_: clip_value")):
            with pytest.raises(error, match=f"{name}: expected a number, got "):
                call(wrong)
    with pytest.raises(TypeError, match="clip_grad_norm_: element 0: expected a Tensor, got tuple"):
        utils.clip_grad_norm_(nn.Linear(1, 1).named_parameters(), 1.0)
    with pytest.raises(TypeError, match="clip_grad_value_: expected a Tensor or an iterable of tensors, got int"):
        utils.clip_grad_value_(3, 1.0)
    assert all(np.array_equal(g, v) for g, v in zip(gradients(ps), arrays(), strict=True))


def test_a_clipped_step():
    net = nn.Linear(3, 1, bias=False)
    optimizer, start = pydl.optim.SGD(net.parameters(), lr=1.0), net.weight.detach().numpy().copy()
    (net(pydl.tensor([[3.0, 0.0, 4.0]])) * 10).sum().backward()
    assert utils.clip_grad_norm_(net.parameters(), 1.0).item() == 50
    optimizer.step()
    np.testing.assert_allclose(net.weight.detach().numpy(), start - [[0.6, 0, 0.8]], atol=1e-6)


# Vectors

def test_parameters_to_vector_and_back():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    vector = utils.parameters_to_vector(net.parameters())
    expected = np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])
    assert vector.shape == (26,) and np.array_equal(vector.detach().numpy(), expected)
    vector.square().sum().backward()
    np.testing.assert_allclose(net[0].weight.grad.numpy(), 2 * net[0].weight.detach().numpy(), rtol=1e-6)
    kept, new = list(net.parameters()), pydl.arange(26.0)
    assert utils.vector_to_parameters(new, net.parameters()) is None
    assert utils.parameters_to_vector(net.parameters()).tolist() == list(range(26))
    assert all(a is b and b.is_leaf and b.requires_grad for a, b in zip(kept, net.parameters(), strict=True))
    new.fill_(1)
    assert net[0].weight.tolist() == [[1] * 3] * 4          # views, as in PyTorch
    x = pydl.ones(1, 3)
    assert net(x).tolist() == [[17, 17]]
    turned = nn.Parameter(pydl.tensor([[1.0, 2.0], [3.0, 4.0]]).t())
    assert utils.parameters_to_vector([turned]).tolist() == [1, 3, 2, 4]
    utils.vector_to_parameters(pydl.ones(4, requires_grad=True) * 2, [turned])
    assert turned.tolist() == [[2, 2], [2, 2]] and turned.is_leaf


def test_vectors_refuse_and_change_nothing():
    ps = [nn.Parameter(pydl.zeros(2)), nn.Parameter(pydl.zeros(1, 3))]
    for size in ((4,), (6,), (5, 1), ()):
        with pytest.raises(ValueError, match=r"vec: expected shape \(5,\) for the 2 parameters"):
            utils.vector_to_parameters(pydl.ones(size), ps)
    with pytest.raises(TypeError, match="vec is pydl.float64, but the parameter of shape .* is pydl.float32"):
        utils.vector_to_parameters(pydl.ones(5, dtype=pydl.float64), ps)
    with pytest.raises(TypeError, match="vec: expected a Tensor, got list"):
        utils.vector_to_parameters([1.0] * 5, ps)
    for call in (lambda: utils.parameters_to_vector(ps[1]), lambda: utils.vector_to_parameters(pydl.ones(3), ps[1])):
        with pytest.raises(TypeError, match="parameters: expected an iterable of tensors, got a Tensor"):
            call()
    with pytest.raises(ValueError, match="parameters_to_vector: expected one parameter or more"):
        utils.parameters_to_vector([])
    assert utils.parameters_to_vector(ps).tolist() == [0] * 5


# Parity

@pytest.mark.parity
def test_signatures_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in (name for name in utils.__all__ if not inspect.ismodule(getattr(utils, name))):
        ours, theirs = (inspect.signature(getattr(package.nn.utils, name)).parameters for package in (pydl, torch))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()], name


@pytest.mark.parity
@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, math.inf, -math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 100.0, 0.0])
@pytest.mark.parametrize("bad", [None, math.inf, math.nan])
def test_clipping_is_pytorchs(norm_type, max_norm, bad):
    torch = pytest.importorskip("torch")
    values = arrays()
    if bad is not None:
        values[1][2] = bad
    said = []
    for package in (pydl, torch):
        ps = parameters(package, values)
        total = package.nn.utils.clip_grad_norm_(ps, max_norm, norm_type).item()
        package.nn.utils.clip_grads_with_norm_(ps, 0.3, package.tensor(0.7))
        package.nn.utils.clip_grad_value_(ps, 0.05)
        said.append((total, flat(gradients(ps)), package.nn.utils.get_total_norm([p.grad for p in ps[:-1]], norm_type).item()))
    for ours, theirs in zip(*said, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=3e-6, atol=1e-12)


def test_clipping_of_every_layout():
    values = [rng.standard_normal(shape) for shape in ((7,), (4, 5), (0, 3), (), (40_000,), (16_384,), (3, 50))]
    for dtypes in (("float32",), ("float64",), ("float32", "float64")):
        arrays = [v.astype(dtypes[i % len(dtypes)]) for i, v in enumerate(values)]
        leaves = [pydl.tensor(a, requires_grad=True) for a in arrays]
        for leaf, a in zip(leaves, arrays):
            leaf.grad = pydl.tensor(np.ascontiguousarray(a.T)).t() if a.ndim == 2 else pydl.tensor(a)
        norm = utils.clip_grad_norm_(leaves, 0.5)
        wanted = np.sqrt(sum(np.sum(a.astype(np.float64) ** 2) for a in arrays))
        np.testing.assert_allclose(norm.item(), wanted, rtol=1e-6)
        assert norm.dtype is (pydl.float64 if "float64" in dtypes else pydl.float32)
        for leaf, a in zip(leaves, arrays):
            np.testing.assert_allclose(leaf.grad.numpy(), a * (0.5 / (wanted + 1e-6)), rtol=1e-5)


def test_clipping_of_gradients_that_share_memory():
    memory = pydl.tensor(np.arange(1.0, 41.0))
    leaves = [pydl.zeros(20, dtype=pydl.float64, requires_grad=True) for _ in range(3)]
    for leaf, start in zip(leaves, (0, 20, 10)):
        leaf.grad = memory[start:start + 20]
    before = memory.numpy().copy()
    factor = 1 / (np.sqrt(np.sum(before ** 2) + np.sum(before[10:30] ** 2)) + 1e-6)
    utils.clip_grad_norm_(leaves, 1.0)
    before[:10] *= factor
    before[10:30] *= factor ** 2
    before[30:] *= factor
    np.testing.assert_allclose(memory.numpy(), before, rtol=1e-12)


def test_clipping_refuses_read_only_gradients_before_anything_is_changed():
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    leaves = [pydl.zeros(3, requires_grad=True) for _ in range(2)]
    leaves[0].grad, leaves[1].grad = pydl.ones(3), pydl.from_dlpack(array)
    with pytest.raises(ValueError, match="read-only"):
        utils.clip_grad_norm_(leaves, 0.1)
    assert leaves[0].grad.tolist() == [1, 1, 1]


def test_norms_are_the_same_bits_for_any_number_of_threads():
    before, found = pydl.get_num_threads(), set()
    tensors = [pydl.tensor(rng.standard_normal(n).astype(np.float32)) for n in (5, 100_000, 17, 300_001)]
    try:
        for threads in (1, 2, 4):
            pydl.set_num_threads(threads)
            found.add(tuple(utils.get_total_norm(tensors, p).item() for p in (1.0, 2.0, math.inf)))
    finally:
        pydl.set_num_threads(before)
    assert len(found) == 1
