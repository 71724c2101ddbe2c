"""Layers that normalise: values, running statistics, accuracy far from zero, refusals; against PyTorch where it is installed."""

import copy

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.nn import functional
from pydl.testing import gradcheck, gradgradcheck

rng = np.random.default_rng(0)


def normal(x, axes, eps=1e-5):
    c = x - x.mean(axes, keepdims=True)
    return c / np.sqrt((c * c).mean(axes, keepdims=True) + eps)


def test_layer_norm():
    x = rng.standard_normal((4, 3, 5)).astype(np.float32)
    layer = nn.LayerNorm((3, 5))
    assert list(layer.state_dict()) == ["weight", "bias"] and layer.weight.shape == layer.bias.shape == (3, 5)
    assert layer.weight.tolist() == np.ones((3, 5)).tolist() and layer.bias.tolist() == np.zeros((3, 5)).tolist()
    np.testing.assert_allclose(layer(pydl.tensor(x)).detach().numpy(), normal(x.astype(np.float64), (1, 2)), rtol=1e-5, atol=1e-6)
    assert repr(nn.LayerNorm(4)) == "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)"
    assert list(nn.LayerNorm(4, bias=False).state_dict()) == ["weight"] and not list(nn.LayerNorm(4, elementwise_affine=False).parameters())
    assert nn.LayerNorm(4, dtype=pydl.float64).weight.dtype is pydl.float64 and nn.LayerNorm([4]).normalized_shape == (4,)
    with pytest.raises(ValueError, match=r"layer_norm: .*\(2, 4\)"):
        layer(pydl.ones(2, 4))
    for shape in (2.5, "x", ()):
        with pytest.raises(TypeError, match="LayerNorm: normalized_shape"):
            nn.LayerNorm(shape)


def test_rms_norm():
    x = rng.standard_normal((4, 5)).astype(np.float32)
    layer = nn.RMSNorm(5)
    assert list(layer.state_dict()) == ["weight"] and repr(layer) == "RMSNorm((5,), eps=None, elementwise_affine=True)"
    wanted = x / np.sqrt((x.astype(np.float64) ** 2).mean(1, keepdims=True) + np.finfo(np.float32).eps)
    np.testing.assert_allclose(layer(pydl.tensor(x)).detach().numpy(), wanted, rtol=1e-6)
    assert functional.rms_norm(pydl.zeros(1, 2), [2]).tolist() == [[0, 0]]


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: nn.GroupNorm("2", 4), TypeError, "GroupNorm: num_groups: expected an int, got '2'"),
    (lambda: nn.GroupNorm(2, 4.0), TypeError, "GroupNorm: num_channels: expected an int, got 4.0"),
    (lambda: nn.GroupNorm(2, -4), ValueError, "GroupNorm: num_channels: expected 0 or more, got -4"),
    (lambda: nn.GroupNorm(0, 4), ValueError, "GroupNorm: num_groups: expected a divisor"),
    (lambda: nn.BatchNorm1d(2.5), TypeError, "BatchNorm1d: num_features: expected an int, got 2.5"),
    (lambda: nn.BatchNorm1d(-2), ValueError, "BatchNorm1d: num_features: expected 0 or more, got -2"),
    (lambda: nn.LayerNorm(-1), ValueError, "LayerNorm: normalized_shape: expected 0 or more, got -1"),
    (lambda: nn.RMSNorm([2, -1]), ValueError, "RMSNorm: normalized_shape: expected 0 or more, got -1"),
    (lambda: nn.Linear(2.5, 3), TypeError, "Linear: in_features: expected an int, got 2.5"),
    (lambda: nn.Bilinear("a", 1, 1), TypeError, "Bilinear: in1_features: expected an int, got 'a'"),
    (lambda: nn.Bilinear(1, 1, -1), ValueError, "Bilinear: out_features: expected 0 or more, got -1"),
    (lambda: nn.Embedding(3, -2), ValueError, "Embedding: embedding_dim: expected 0 or more, got -2"),
    (lambda: nn.PReLU(-1), ValueError, "PReLU: num_parameters: expected 0 or more, got -1"),
])
def test_sizes_are_refused_in_the_name_of_the_layer(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_group_norm():
    x = rng.standard_normal((4, 6, 5)).astype(np.float32)
    layer = nn.GroupNorm(3, 6)
    wanted = normal(x.reshape(4, 3, 10).astype(np.float64), (2,)).reshape(x.shape)
    np.testing.assert_allclose(layer(pydl.tensor(x)).detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert repr(layer) == "GroupNorm(3, 6, eps=1e-05, affine=True, bias=True)" and list(layer.state_dict()) == ["weight", "bias"]
    assert not list(nn.GroupNorm(3, 6, affine=False).parameters())
    with pytest.raises(ValueError, match="GroupNorm: num_groups"):
        nn.GroupNorm(4, 6)


def test_batch_norm_trains_and_evaluates():
    layer = nn.BatchNorm1d(3, momentum=0.25)
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert layer.num_batches_tracked.dtype is pydl.int64 and layer.num_batches_tracked.shape == ()
    mean, var = np.zeros(3), np.ones(3)
    for batch in range(3):
        x = rng.standard_normal((6, 3) if batch else (6, 3, 4)) * 2 + 1
        axes = (0, 2)[:x.ndim - 1]
        y = layer.double()(pydl.tensor(x))
        np.testing.assert_allclose(y.detach().numpy(), normal(x, axes), rtol=1e-12, atol=1e-12)
        mean = 0.75 * mean + 0.25 * x.mean(axes)
        var = 0.75 * var + 0.25 * x.var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-12)
    assert layer.num_batches_tracked.item() == 3
    before = copy.deepcopy(layer.eval().state_dict())
    x = rng.standard_normal((1, 3))
    np.testing.assert_allclose(layer(pydl.tensor(x)).detach().numpy(), (x - mean) / np.sqrt(var + 1e-5), rtol=1e-12)
    assert all(layer.state_dict()[name].tolist() == value.tolist() for name, value in before.items())
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0, 0] and layer.running_var.tolist() == [1, 1, 1] and layer.num_batches_tracked.item() == 0


def test_batch_norm_averages_all_batches():
    layer, seen = nn.BatchNorm1d(2, momentum=None), []
    for _ in range(4):
        seen.append(rng.standard_normal((5, 2)).astype(np.float32))
        layer(pydl.tensor(seen[-1]))
    np.testing.assert_allclose(layer.running_mean.numpy(), np.mean([x.mean(0) for x in seen], 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), np.mean([x.var(0, ddof=1) for x in seen], 0), rtol=1e-5)


def test_batch_norm_without_running_statistics():
    layer = nn.BatchNorm1d(3, track_running_stats=False, affine=False)
    assert not layer.state_dict() and layer.running_mean is None and layer.num_batches_tracked is None
    x = pydl.tensor(rng.standard_normal((6, 3)))
    assert layer(x).tolist() == layer.eval()(x).tolist()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(x[:1])


def test_batch_norm_refuses_and_leaves_its_state():
    layer = nn.BatchNorm1d(3)
    for shape in ((1, 3), (4, 2), (3,), (2, 3, 4, 5), (1, 3, 1)):
        with pytest.raises(ValueError, match=r"BatchNorm1d|batch_norm"):
            layer(pydl.ones(shape))
    assert layer.num_batches_tracked.item() == 0 and layer.running_mean.tolist() == [0, 0, 0]
    running = pydl.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="not differentiable by running_mean"):
        functional.batch_norm(pydl.ones(2, 3), running, pydl.ones(3))
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        functional.batch_norm(pydl.ones(2, 3), pydl.zeros(3), pydl.from_dlpack(array), training=True)
    with pytest.raises(ValueError, match="contiguous"):
        functional.batch_norm(pydl.ones(2, 3), pydl.zeros(6)[::2], pydl.ones(3), training=True)


def test_an_empty_batch_leaves_the_running_statistics():
    layer = nn.BatchNorm1d(3)
    assert layer(pydl.ones(0, 3)).shape == (0, 3) and layer.running_mean.tolist() == [0, 0, 0] and layer.running_var.tolist() == [1, 1, 1]


def test_lazy_batch_norm():
    layer = nn.LazyBatchNorm1d(momentum=0.2)
    assert layer(pydl.ones(4, 3, 2)).shape == (4, 3, 2) and type(layer) is nn.BatchNorm1d and layer.num_features == 3
    assert [tuple(x.shape) for x in layer.state_dict().values()] == [(3,)] * 4 + [()]
    plain = nn.LazyBatchNorm1d(affine=False, track_running_stats=False)
    assert plain(pydl.ones(4, 3)).shape == (4, 3) and not plain.state_dict()
    with pytest.raises(ValueError, match="LazyBatchNorm1d: expected"):
        nn.LazyBatchNorm1d()(pydl.ones(3))


FUNCTIONS = {
    "layer": (lambda x, w, b: functional.layer_norm(x, [5], w, b), (6, 5), 5),
    "rms": (lambda x, w, b: functional.rms_norm(x, [5], w) + b, (6, 5), 5),
    "batch": (lambda x, w, b: functional.batch_norm(x, None, None, w, b, True), (6, 5), 5),
    "batch of runs": (lambda x, w, b: functional.batch_norm(x, None, None, w, b, True), (3, 2, 4), 2),
    "evaluation": (lambda x, w, b: functional.batch_norm(x, x.detach()[0], x.detach()[1].abs() + 1, w, b), (6, 5), 5),
    "group": (lambda x, w, b: functional.group_norm(x, 2, w, b), (2, 4, 3), 4),
}


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "evaluation"])
def test_derivatives(name):
    function, shape, width = FUNCTIONS[name]
    leaves = tuple(pydl.tensor(rng.standard_normal(s), requires_grad=True) for s in (shape, (width,), (width,)))
    assert gradcheck(function, leaves) and gradgradcheck(function, leaves)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fused_and_composed_gradients_agree(name):
    function, shape, width = FUNCTIONS[name]
    leaves = tuple(pydl.tensor(rng.standard_normal(s), requires_grad=True) for s in (shape, (width,), (width,)))
    g = pydl.tensor(rng.standard_normal(shape))
    fused = pydl.autograd.grad(function(*leaves), leaves, g)
    composed = pydl.autograd.grad(function(*leaves), leaves, g, create_graph=True)
    for a, b in zip(fused, composed):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


FAR = {
    "layer": (lambda lib, x: lib.nn.functional.layer_norm(x, [512]), (64, 512), (1,)),
    "batch": (lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True), (512, 40), (0,)),
    "batch of runs": (lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True), (16, 4, 100), (0, 2)),
    "group": (lambda lib, x: lib.nn.functional.group_norm(x, 2), (8, 4, 100), None),
}


@pytest.mark.parametrize("name", FAR)
@pytest.mark.parametrize("layout", ["normal", "one far element", "sorted"])
def test_accuracy_far_from_zero(name, layout):
    function, shape, axes = FAR[name]
    x = rng.standard_normal(shape) + 1e4
    if layout == "sorted":
        x = np.sort(x, axis=None).reshape(shape)
    if layout == "one far element":
        x.flat[0] = -1e4
    x = x.astype(np.float32)
    exact = x.astype(np.float64)
    wanted = normal(exact, axes) if axes else normal(exact.reshape(8, 2, -1), (2,)).reshape(shape)
    got = function(pydl, pydl.tensor(x)).numpy()
    assert np.abs(got - wanted).max() <= 2e-6 * np.abs(wanted).max()


def test_the_same_bits_for_any_number_of_threads():
    before = pydl.get_num_threads()
    x, w = rng.standard_normal((700, 96)).astype(np.float32), rng.standard_normal(96).astype(np.float32)
    results = []
    try:
        for threads in (1, 2, 4):
            pydl.set_num_threads(threads)
            one = []
            for call in (lambda x, w: functional.layer_norm(x, [96], w, w), lambda x, w: functional.batch_norm(x, None, None, w, w, True),
                         lambda x, w: functional.batch_norm(x.reshape(7, 96, 100), None, None, w, w, True),
                         lambda x, w: functional.group_norm(x.reshape(7, 96, 100), 8, w, w)):
                leaves = [pydl.tensor(a, requires_grad=True) for a in (x, w)]
                y = call(*leaves)
                y.backward(pydl.tensor(np.cos(np.arange(y.numel(), dtype=np.float32)).reshape(y.shape)))
                one += [y.detach().numpy().tobytes(), *(leaf.grad.numpy().tobytes() for leaf in leaves)]
            results.append(one)
    finally:
        pydl.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_nan_and_infinity_stay_in_their_set():
    for bad in (np.nan, np.inf, -np.inf):
        x = rng.standard_normal((5, 40)).astype(np.float32)
        x[1, 3] = bad
        rows = np.isnan(functional.layer_norm(pydl.tensor(x), [40]).numpy())
        assert rows[1].all() and not np.delete(rows, 1, 0).any()
        columns = np.isnan(functional.batch_norm(pydl.tensor(x), None, None, training=True).numpy())
        assert columns[:, 3].all() and not np.delete(columns, 3, 1).any()


@pytest.mark.parity
def test_parity_of_training():
    torch = pytest.importorskip("torch")

    def net(n):
        return n.Sequential(n.BatchNorm1d(6), n.Linear(6, 8), n.LayerNorm(8), n.Linear(8, 4), n.RMSNorm(4))

    ours, theirs = net(nn), net(torch.nn)
    ours.load_state_dict({name: pydl.from_numpy(value.numpy().copy()) for name, value in theirs.state_dict().items()})
    steps = [library.optim.SGD(model.parameters(), lr=0.01) for library, model in ((pydl, ours), (torch, theirs))]
    for _ in range(3):
        x = rng.standard_normal((10, 6)).astype(np.float32)
        for library, model, step in ((pydl, ours, steps[0]), (torch, theirs, steps[1])):
            step.zero_grad()
            (model(library.from_numpy(x)) ** 3).sum().backward()
            step.step()
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parity
@pytest.mark.parametrize("name", FAR)
def test_parity_of_accuracy(name):
    torch = pytest.importorskip("torch")
    function, shape, axes = FAR[name]
    x = (rng.standard_normal(shape) + 1e4).astype(np.float32)
    wanted = function(torch, torch.from_numpy(x).double()).numpy()
    ours = np.abs(function(pydl, pydl.tensor(x)).numpy() - wanted).max()
    assert ours <= np.abs(function(torch, torch.from_numpy(x)).numpy() - wanted).max()
