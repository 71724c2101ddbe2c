"""Batch normalisation of images and volumes, instance and local response normalisation; against PyTorch where it is installed."""
from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import pydl
from capturing import agree, numbers
from op_rows.normalization import local_response_norm, normal
from pydl import nn
from pydl.nn import functional as F

SHAPES = {1: (4, 3, 5), 2: (4, 3, 5, 2), 3: (2, 3, 2, 3, 2)}


@pytest.mark.parametrize("dims", [2, 3])
def test_batch_norm(dims: int) -> None:
    layer = getattr(nn, f"BatchNorm{dims}d")(3, momentum=0.5).double()
    x = numbers(*SHAPES[dims]).double() * 3 + 1
    a, axes = x.numpy(), (0, *range(2, dims + 2))
    np.testing.assert_allclose(layer(x).detach().numpy(), normal(a, axes, 1e-5), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(layer.running_mean.numpy(), a.mean(axes) / 2, rtol=1e-10)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.5 + a.var(axes, ddof=1) / 2, rtol=1e-10)
    assert layer.num_batches_tracked.item() == 1 and repr(layer).startswith(f"BatchNorm{dims}d(3, eps=1e-05, momentum=0.5, affine=True")
    y = layer.eval()(x).detach().numpy()
    shape = (3, *(1,) * dims)
    wanted = (a - layer.running_mean.numpy().reshape(shape)) / np.sqrt(layer.running_var.numpy().reshape(shape) + 1e-5)
    np.testing.assert_allclose(y, wanted, rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match=rf"BatchNorm{dims}d: expected \(N, C, .*\), got shape \(4, 3\)"):
        layer(pydl.ones(4, 3))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_instance_norm(dims: int) -> None:
    layer = getattr(nn, f"InstanceNorm{dims}d")(3)
    assert not layer.state_dict() and repr(layer) == (f"InstanceNorm{dims}d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)")
    x = numbers(*SHAPES[dims])
    np.testing.assert_allclose(layer(x).numpy(), normal(x.numpy().astype(np.float64), tuple(range(2, dims + 2)), 1e-5), rtol=1e-5, atol=1e-5)
    assert layer(x[0]).tolist() == layer(x)[0].tolist() == layer.eval()(x)[0].tolist()
    layer = getattr(nn, f"InstanceNorm{dims}d")(3, affine=True, momentum=0.25, track_running_stats=True)
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    y = layer(x)
    a, axes = x.numpy(), tuple(range(2, dims + 2))
    np.testing.assert_allclose(y.detach().numpy(), normal(a.astype(np.float64), axes, 1e-5), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.25 * a.mean(axes).mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.75 + 0.25 * a.var(axes, ddof=1).mean(0), rtol=1e-5)
    assert layer.num_batches_tracked.item() == 0
    mean, var = layer.running_mean.numpy().reshape(-1, *(1,) * dims), layer.running_var.numpy().reshape(-1, *(1,) * dims)
    np.testing.assert_allclose(layer.eval()(x).detach().numpy(), (a - mean) / np.sqrt(var + 1e-5), rtol=1e-5, atol=1e-5)


def test_instance_norm_refuses() -> None:
    for layer, shape, words in ((nn.InstanceNorm2d(3), (3, 4), r"InstanceNorm2d: expected \(C, H, W\) or \(N, C, H, W\), got shape \(3, 4\)"),
                                (nn.InstanceNorm2d(3, affine=True), (1, 4, 2, 2), r"input \(1, 4, 2, 2\) has 4 channels, num_features is 3"),
                                (nn.InstanceNorm1d(3, track_running_stats=True), (4, 2), "has 4 channels, num_features is 3"),
                                (nn.InstanceNorm1d(3), (2, 3, 1), "instance_norm: expected more than 1 value per channel")):
        with pytest.raises(ValueError, match=words):
            layer(pydl.ones(shape))
    with pytest.warns(UserWarning, match="which is not used without affine"):
        assert nn.InstanceNorm1d(3)(pydl.ones(2, 4, 5)).shape == (2, 4, 5)
    with pytest.raises(RuntimeError, match="instance_norm: not differentiable by running_mean"):
        F.instance_norm(pydl.ones(2, 3, 4), pydl.zeros(3, requires_grad=True), pydl.ones(3))


def test_running_statistics_of_plans() -> None:
    layers = [nn.InstanceNorm2d(3, affine=True, track_running_stats=True) for _ in range(2)]
    step = [lambda x, layer=layer: layer(x) for layer in layers]
    captured = pydl.capture(step[0])
    for seed in range(3):
        x = numbers(2, 3, 4, 4, seed=seed)
        assert captured(x).tolist() == step[1](x).tolist() and layers[0].running_var.tolist() == layers[1].running_var.tolist()


@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"])
def test_lazy(kind: str) -> None:
    layer, x = getattr(nn, f"Lazy{kind}")(), numbers(*SHAPES[int(kind[-2])])
    assert layer.has_uninitialized_params() and list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    twin = copy.deepcopy(layer)
    y = layer(x)
    assert type(layer) is getattr(nn, kind) and layer.num_features == 3 and [v.shape for v in layer.state_dict().values()] == [(3,)] * 4 + [()]
    assert y.tolist() == getattr(nn, kind)(3, affine=True)(x).tolist()
    if "Instance" in kind:
        assert twin(x[0]).tolist() == y[0].tolist() and twin.num_features == 3


def test_local_response_norm() -> None:
    layer, x = nn.LocalResponseNorm(3, alpha=0.5, k=2), numbers(2, 5, 3, 4)
    assert repr(layer) == "LocalResponseNorm(3, alpha=0.5, beta=0.75, k=2)"
    np.testing.assert_allclose(layer(x).numpy(), local_response_norm(x.numpy().astype(np.float64), 3, 0.5, 0.75, 2), rtol=1e-5)
    x[0, 2, 1, 1] = float("nan")
    assert np.isnan(layer(x).numpy()).sum() == 3
    agree(lambda x: F.local_response_norm(x, 5), *[(numbers(2, 7, 3, seed=s),) for s in range(2)])


# --- PyTorch

LAYERS = ["BatchNorm2d(3)", "BatchNorm3d(3, momentum=None, affine=False)", "InstanceNorm1d(3)", "InstanceNorm2d(3, affine=True, track_running_stats=True, momentum=0.3)",
          "InstanceNorm3d(3, eps=0.1, affine=True, bias=False)", "LocalResponseNorm(4, 0.3)", "GroupNorm(3, 3)"]


@pytest.mark.parity
@pytest.mark.parametrize("text", LAYERS)
def test_parity(text: str) -> None:
    torch = pytest.importorskip("torch")
    shape = SHAPES[int(text[text.index("d(") - 1]) if "d(" in text else 2]
    found: list[list[np.ndarray]] = []
    texts = []
    for library in (pydl, torch):
        layer: Any = eval(text, vars(library.nn))
        for seed in range(3):
            x = library.from_numpy(numbers(*shape, seed=seed).numpy()).requires_grad_()
            y = layer.train(seed < 2)(x)
            (y**3).sum().backward()
        found.append([t.detach().numpy() for t in (y, x.grad, *(p.grad for p in layer.parameters()), *layer.state_dict().values())])
        texts.append(repr(layer))
    assert texts[0] == texts[1]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LocalResponseNorm"])
@pytest.mark.parametrize("lazy", ["", "Lazy"])
def test_parity_of_arguments(kind: str, lazy: str) -> None:
    torch = pytest.importorskip("torch")
    if hasattr(torch.nn, lazy + kind):
        ours, theirs = (inspect.signature(getattr(library, lazy + kind)).parameters for library in (nn, torch.nn))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parity
def test_parity_of_unfit_channels() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = (library.nn.InstanceNorm1d(3)(library.from_numpy(numbers(2, 4, 5).numpy())) for library in (pydl, torch))
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)
