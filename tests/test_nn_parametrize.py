"""Parametrizations: parameters that are computed from others."""
import copy

import numpy as np
import pytest

import pydl
from pydl import nn, optim
from pydl.nn.utils import parametrizations, parametrize


class Double(nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, x):
        return x / 2


class Square(nn.Module):
    calls = 0

    def forward(self, x):
        Square.calls += 1
        return x * x


class Sum(nn.Module):
    def forward(self, a, b):
        return a + b

    def right_inverse(self, x):
        return x / 4, x * 0.75


def test_registration_and_removal():
    layer = nn.Linear(3, 2)
    weight, before = layer.weight, layer.weight.tolist()
    assert parametrize.register_parametrization(layer, "weight", Double()) is layer
    assert parametrize.is_parametrized(layer) and parametrize.is_parametrized(layer, "weight") and not parametrize.is_parametrized(layer, "bias")
    assert type(layer).__name__ == "ParametrizedLinear" and parametrize.type_before_parametrizations(layer) is nn.Linear and isinstance(layer, nn.Linear)
    assert layer.parametrizations.weight.original is weight and layer.weight.tolist() == before
    assert [name for name, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    layer(pydl.ones(1, 3)).sum().backward()
    assert weight.grad.tolist() == [[2.0] * 3] * 2
    layer.weight = pydl.ones(2, 3)
    assert weight.tolist() == [[0.5] * 3] * 2 and layer.weight.tolist() == [[1.0] * 3] * 2
    parametrize.register_parametrization(layer, "weight", Square())
    with pytest.raises(RuntimeError, match="Square has no right_inverse"):
        layer.weight = pydl.ones(2, 3)
    parametrize.register_parametrization(layer, "bias", Double())
    assert list(layer.state_dict()) == ["parametrizations.weight.original", "parametrizations.bias.original"]
    parametrize.remove_parametrizations(layer, "weight")
    assert layer.weight is weight and weight.tolist() == [[1.0] * 3] * 2 and not parametrize.is_parametrized(layer, "weight")
    parametrize.remove_parametrizations(layer, "bias", leave_parametrized=False)
    assert type(layer) is nn.Linear and list(layer.state_dict()) == ["weight", "bias"]


def test_buffers_copies_and_loading():
    layer = nn.Linear(3, 2)
    layer.register_buffer("scale", pydl.ones(2))
    parametrize.register_parametrization(layer, "scale", Double())
    parametrize.register_parametrization(layer, "weight", Double())
    twin = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight")
    assert parametrize.is_parametrized(twin, "weight") and twin.weight.tolist() == layer.weight.tolist()
    assert [name for name, _ in twin.named_buffers()] == ["parametrizations.scale.original"]
    other = copy.deepcopy(twin)
    other.weight = pydl.zeros(2, 3)
    other.load_state_dict(twin.state_dict())
    assert other.weight.tolist() == twin.weight.tolist()
    moved = parametrize.transfer_parametrizations_and_params(twin, nn.Linear(3, 2), "weight")
    assert moved.weight.tolist() == twin.weight.tolist() and moved.parametrizations.weight.original is not twin.parametrizations.weight.original


def test_several_originals():
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Sum())
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"]
    assert layer.weight.tolist() == before.tolist()
    layer.weight = 4 * before
    assert layer.parametrizations.weight.original0.tolist() == before.tolist()
    with pytest.raises(ValueError, match="several tensors"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert isinstance(parametrize.remove_parametrizations(layer, "weight").weight, nn.Parameter)


def test_cached():
    layer = nn.Linear(3, 2)
    parametrize.register_parametrization(layer, "weight", Square())
    Square.calls = 0
    with parametrize.cached():
        with parametrize.cached():
            first = layer.weight
        assert layer.weight is first and Square.calls == 1
    assert layer.weight is not first and Square.calls == 2


def test_refusals():
    layer = nn.Linear(3, 2, bias=False)
    for name in ("missing", "bias"):
        with pytest.raises(ValueError, match="has no parameter or buffer"):
            parametrize.register_parametrization(layer, name, Double())
    with pytest.raises(ValueError, match="has no parametrization"):
        parametrize.remove_parametrizations(layer, "weight")

    class Shrink(nn.Module):
        def forward(self, x):
            return x[:1]
    with pytest.raises(ValueError, match="unsafe=True"):
        parametrize.register_parametrization(layer, "weight", Shrink())
    assert type(layer) is nn.Linear and layer.weight.shape == (2, 3)
    parametrize.register_parametrization(layer, "weight", Shrink(), unsafe=True)
    assert layer.weight.shape == (1, 3)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim):
    layer = nn.Linear(3, 4)
    before = layer.weight.detach().numpy().copy()
    assert parametrizations.weight_norm(layer, dim=dim) is layer
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    assert g.shape == {0: (4, 1), 1: (1, 3), None: ()}[dim] and v.shape == (4, 3)
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-6)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    layer(pydl.ones(1, 3)).sum().backward()
    optimizer.step()
    parametrize.remove_parametrizations(layer, "weight")
    assert np.abs(layer.weight.detach().numpy() - before).max() > 0.01


def test_old_weight_norm():
    layer = nn.Linear(3, 4)
    before = layer.weight.detach().numpy().copy()
    nn.utils.weight_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight_g", "weight_v"]
    layer.load_state_dict({**layer.state_dict(), "weight_g": 2 * layer.weight_g})
    layer(pydl.ones(1, 3)).sum().backward()
    assert layer.weight_v.grad is not None
    with pytest.raises(RuntimeError, match="already"):
        nn.utils.weight_norm(layer)
    nn.utils.remove_weight_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-6)
    with pytest.raises(ValueError, match="no weight_norm"):
        nn.utils.remove_weight_norm(layer)


@pytest.mark.parametrize("dim", [0, 1])
def test_spectral_norm(dim):
    pydl.manual_seed(0)
    layer = nn.Linear(5, 4).double()
    weight = layer.weight.detach().numpy().copy()
    parametrizations.spectral_norm(layer, n_power_iterations=50, dim=dim)
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"]
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight / np.linalg.norm(weight, 2), rtol=1e-6)
    layer.eval()
    assert layer.weight.tolist() == layer.weight.tolist()
    layer.weight.sum().backward()
    assert layer.parametrizations.weight.original.grad is not None
    with pytest.raises(ValueError, match="n_power_iterations"):
        parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
    parametrizations.spectral_norm(nn.Linear(5, 4), "bias")


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("way", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 5, 3)])
def test_orthogonal(shape, way, trivial):
    pydl.manual_seed(0)
    layer = nn.Module()
    layer.weight = nn.Parameter(pydl.randn(shape, dtype=pydl.float64))
    parametrizations.orthogonal(layer, orthogonal_map=way, use_trivialization=trivial)
    optimizer = optim.SGD(layer.parameters(), lr=0.5)
    goal = pydl.randn(shape, dtype=pydl.float64)
    for _ in range(2):
        q = layer.weight.detach().numpy()
        assert q.shape == shape
        q = np.swapaxes(q, -1, -2) if shape[-2] < shape[-1] else q
        np.testing.assert_allclose(np.swapaxes(q, -1, -2) @ q, np.broadcast_to(np.eye(q.shape[-1]), (*q.shape[:-2], q.shape[-1], q.shape[-1])), atol=1e-12)
        (layer.weight * goal).sum().backward()
        optimizer.step()
    assert ("parametrizations.weight.0.base" in layer.state_dict()) == trivial
    if trivial or way == "householder":
        target = layer.weight.detach().clone()
        layer.weight = target
        np.testing.assert_allclose(layer.weight.detach().numpy(), target.numpy(), atol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("way", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_orthogonal_as_pytorch(shape, way):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, base, goal = rng.standard_normal(shape), np.linalg.qr(rng.standard_normal((max(shape), max(shape))))[0], rng.standard_normal(shape)
    x[range(3), range(3)] = [1, -1, 1]
    results = []
    for package in (pydl, torch):
        layer = package.nn.Linear(shape[1], shape[0], bias=False).double()
        package.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=way)
        layer.load_state_dict({"parametrizations.weight.original": package.tensor(x), "parametrizations.weight.0.base": package.tensor(base)})
        y = layer(package.tensor(np.eye(shape[1])))
        (y * package.tensor(goal.T)).sum().backward()
        results.append((y.detach().numpy(), layer.parametrizations.weight.original.grad.numpy()))
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_norms_as_pytorch(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    layers, results = [], []
    for package in (torch, pydl):
        layer = package.nn.Linear(5, 4).double()
        getattr(package.nn.utils.parametrizations, name)(layer)
        layers.append(layer)
    state = {key: rng.standard_normal(tuple(value.shape)) for key, value in layers[0].state_dict().items()}
    assert list(state) == list(layers[1].state_dict())
    for package, layer in zip((torch, pydl), layers):
        layer.load_state_dict({key: package.tensor(value) for key, value in state.items()})
        (layer(package.tensor(np.eye(5))) ** 2).sum().backward()
        results.append([p.grad.numpy() for p in layer.parameters()] + [layer.weight.detach().numpy()] + [b.numpy() for b in layer.buffers()])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
