"""Activations at their kinks and at the ends of the numbers, in place, and of integers. tests/op_rows has the ordinary points."""

import inspect
import warnings

import numpy as np
import pytest

import pydl
from pydl.nn import functional

INF, NAN = float("inf"), float("nan")
POINTS = [NAN, INF, -INF, 0.0, -0.0, 100.0, -100.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, 20.0, 20.5]

# name -> what it is called with, {point: (value, slope)} at kinks and ends, as PyTorch's vectorised kernels have them
AT = {
    "relu": ((), {NAN: (NAN, 1), INF: (INF, 1), -INF: (0, 0), 0.0: (0, 0)}),
    "relu6": ((), {NAN: (NAN, 0), INF: (6, 0), -INF: (0, 0), 0.0: (0, 0), 6.0: (6, 0)}),
    "threshold": ((1.0, 5.0), {NAN: (NAN, 1), INF: (INF, 1), -INF: (5, 0), 1.0: (5, 0)}),
    "hardtanh": ((), {NAN: (NAN, 0), INF: (1, 0), -INF: (-1, 0), 1.0: (1, 0), -1.0: (-1, 0)}),
    "hardsigmoid": ((), {NAN: (NAN, 0), INF: (1, 0), -INF: (0, 0), 3.0: (1, 0), -3.0: (0, 0)}),
    "hardswish": ((), {NAN: (NAN, NAN), INF: (INF, 1), -INF: (NAN, 0), 3.0: (3, 1), -3.0: (0, 0)}),
    "hardshrink": ((), {NAN: (NAN, 0), INF: (INF, 1), -INF: (-INF, 1), 0.5: (0, 0), -0.5: (0, 0)}),
    "softshrink": ((), {NAN: (NAN, 0), INF: (INF, 1), -INF: (-INF, 1), 0.5: (0, 0), -0.5: (0, 0)}),
    "leaky_relu": ((0.25,), {NAN: (NAN, 0.25), INF: (INF, 1), -INF: (-INF, 0.25), 0.0: (0, 0.25)}),
    "rrelu": ((0.25, 0.75), {NAN: (NAN, 0.5), INF: (INF, 1), -INF: (-INF, 0.5), 0.0: (0, 0.5)}),
    "prelu": ((0.25,), {NAN: (NAN, 0.25), INF: (INF, 1), -INF: (-INF, 0.25), 0.0: (0, 0.25)}),
    "elu": ((), {NAN: (NAN, NAN), INF: (INF, 1), -INF: (-1, 0), 0.0: (0, 1)}),
    "celu": ((2.0,), {NAN: (NAN, NAN), INF: (INF, 1), -INF: (-2, 0), 0.0: (0, 1)}),
    "selu": ((), {NAN: (NAN, NAN), INF: (INF, 1.0507009873554805), -INF: (-1.7580993408473766, 0), 0.0: (0, 1.7580993408473766)}),
    "tanhshrink": ((), {NAN: (NAN, NAN), INF: (INF, 1), -INF: (-INF, 1), 0.0: (0, 0), 100.0: (99, 1)}),
    "softsign": ((), {NAN: (NAN, NAN), INF: (NAN, NAN), -INF: (NAN, NAN), 0.0: (0, 1)}),
    "silu": ((), {NAN: (NAN, NAN), INF: (INF, NAN), -INF: (NAN, NAN), 0.0: (0, 0.5), 100.0: (100, 1)}),
    "mish": ((), {NAN: (NAN, NAN), INF: (INF, NAN), -INF: (NAN, NAN), 0.0: (0, 0.6), 100.0: (100, 1), -100.0: (0, 0)}),
    "softplus": ((), {NAN: (NAN, NAN), INF: (INF, 1), -INF: (0, 0), 100.0: (100, 1), 20.5: (20.5, 1), -100.0: (0, 0)}),
    "logsigmoid": ((), {NAN: (NAN, NAN), INF: (0, 0), -INF: (-INF, 1), 100.0: (0, 0), -100.0: (-100, 1)}),
}


def value_and_slope(package, name, points, dtype):
    """Of every point, 64 times over: long enough for whole vectors."""
    x = package.tensor(np.repeat(np.array(points, dtype), 64), requires_grad=True)
    arguments = [package.tensor(np.array([a], dtype)) for a in AT[name][0]] if name == "prelu" else AT[name][0]
    y = getattr(package.nn.functional, name)(x, *arguments)
    y.sum().backward()
    return y.detach().numpy().reshape(-1, 64), x.grad.numpy().reshape(-1, 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", AT)
def test_kinks_and_ends(name, dtype):
    points = AT[name][1]
    values, slopes = value_and_slope(pydl, name, list(points), dtype)
    for (point, (value, slope)), y, dx in zip(points.items(), values, slopes, strict=True):
        np.testing.assert_allclose(y, value, rtol=1e-6, atol=1e-40, err_msg=f"{name}({point})")
        np.testing.assert_allclose(dx, slope, rtol=1e-6, atol=1e-40, err_msg=f"slope of {name} at {point}")


@pytest.mark.parity
@pytest.mark.parametrize("name", AT)
def test_kinks_and_ends_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(value_and_slope(pydl, name, POINTS, np.float32), value_and_slope(torch, name, POINTS, np.float32), strict=True):
        np.testing.assert_allclose(ours[:, 0], theirs[:, 0], rtol=1e-5, atol=1e-30)


def test_softplus_far_from_0():
    """exp never overflows, whatever the threshold."""
    for dtype in (pydl.float32, pydl.float64):
        x = pydl.tensor([1000.0, -1000.0, 50.0, INF, -INF], dtype=dtype, requires_grad=True)
        y = functional.softplus(x, 1.0, INF)
        y.sum().backward()
        assert y.tolist() == [1000, 0, 50, INF, 0] and x.grad.tolist() == [1, 0, 1, 1, 0]
    x = pydl.tensor([-80.0], dtype=pydl.float64)
    np.testing.assert_allclose([functional.softplus(x).item(), -functional.logsigmoid(-x).item()], np.exp(-80.0), rtol=1e-14)
    np.testing.assert_allclose(functional.mish(x).item(), -80 * np.exp(-80.0), rtol=1e-14)


IN_PLACE = {"relu": (), "relu6": (), "threshold": (0.1, 2.0), "hardtanh": (-0.5, 0.7), "hardsigmoid": (), "hardswish": (),
            "leaky_relu": (0.2,), "rrelu": (0.1, 0.3), "elu": (0.5,), "celu": (2.0,), "selu": (), "silu": (), "mish": ()}
UNDERSCORE = ["relu_", "threshold_", "hardtanh_", "leaky_relu_", "rrelu_", "elu_", "celu_", "selu_"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    function, arguments = getattr(functional, name), IN_PLACE[name]
    start = np.random.default_rng(0).standard_normal((3, 5))
    leaf = pydl.tensor(start, requires_grad=True)
    wanted = function(leaf, *arguments)
    (wanted * wanted).sum().backward()
    calls = [lambda x: function(x, *arguments, inplace=True)]
    if f"{name}_" in UNDERSCORE:
        calls.append(lambda x: getattr(functional, f"{name}_")(x, *arguments))
    for call in calls:
        x = pydl.tensor(start, requires_grad=True)
        y = x * 1
        z = call(y)
        assert z is y and y.tolist() == wanted.tolist()
        (y * y).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), leaf.grad.numpy(), rtol=1e-14)
        plain = pydl.tensor(start).t()
        assert call(plain) is plain and plain.t().tolist() == wanted.tolist()
        with pytest.raises(RuntimeError, match=f"{name}_: a leaf"):
            call(x)
        with pytest.raises(TypeError, match=f"{name}_?: input must be a Tensor"):
            call("x")


@pytest.mark.parametrize("name", ["relu_", "sigmoid_", "tanh_", "threshold_", "rrelu_", "selu_", "celu_"])
def test_names_of_the_package(name):
    """Those that are torch.relu_ and so on; the others are in nn.functional only, and hardshrink and prelu are methods."""
    x = pydl.tensor([-1.0, 2.0])
    arguments = (0.1, 5.0) if name == "threshold_" else ()
    wanted = getattr(pydl, name[:-1])(x, *arguments).tolist()
    assert getattr(pydl, name)(x, *arguments) is x and x.tolist() == wanted
    assert not hasattr(pydl, "mish") and not hasattr(pydl, "elu_")
    assert pydl.tensor([-1.0, 4]).hardshrink(3).tolist() == [0, 4] and pydl.tensor([-1.0]).prelu(pydl.tensor([0.5])).tolist() == [-0.5]


@pytest.mark.parity
def test_signatures_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in pydl.nn.functional_activations.__all__:
        theirs = getattr(torch.nn.functional, name)
        if inspect.isfunction(theirs):
            ours = inspect.signature(getattr(functional, name)).parameters.values()
            ours = [(p.name, p.default) for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD]
            assert ours == [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()], name


def test_integers():
    x = pydl.tensor([-3, 0, 2, 9])
    assert functional.relu6(x).tolist() == [0, 0, 2, 6] and functional.relu6(x).dtype is pydl.int64
    assert functional.hardtanh(x, -2.5, 2.5).tolist() == [-2, 0, 2, 2]
    assert functional.threshold(x, 1.5, 5.5).tolist() == [5, 5, 2, 9] and functional.threshold(x, 0, 7).dtype is pydl.int64
    assert functional.relu6(x.to(pydl.uint8)).tolist() == [6, 0, 2, 6]
    for name in ("softsign", "tanhshrink"):
        y = getattr(functional, name)(x)
        assert y.dtype is pydl.float32 and y.tolist() == getattr(functional, name)(x.to(pydl.float32)).tolist()


def test_gumbel_softmax():
    pydl.manual_seed(0)
    logits = pydl.tensor([[0.0, 1.0, -1.0]] * 4, dtype=pydl.float64, requires_grad=True)
    weight = pydl.tensor([[1.0, 2.0, 3.0]], dtype=pydl.float64)
    gradients = []
    for hard in (False, True):
        pydl.manual_seed(7)
        y = functional.gumbel_softmax(logits, tau=0.7, hard=hard)
        gradients.append(pydl.autograd.grad((y * weight).sum(), logits)[0].tolist())
    assert gradients[0] == gradients[1], "a hard choice has the gradient of the soft one"
    assert set(y.detach().numpy().ravel()) == {0.0, 1.0}
    first, second = (functional.gumbel_softmax(logits, generator=pydl.Generator().manual_seed(3)) for _ in range(2))
    assert first.tolist() == second.tolist()
    with pytest.warns(UserWarning, match="eps has no effect"):
        functional.gumbel_softmax(logits, eps=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert functional.gumbel_softmax(pydl.zeros(0, 3), hard=True).shape == (0, 3)


def test_dtype_of_softmax():
    x = pydl.tensor([[1, 2], [3, 5]])
    for name in ("softmax", "log_softmax"):
        wanted = getattr(pydl, name)(x.to(pydl.float64), 1).tolist()
        assert getattr(pydl, name)(x, 1, pydl.float64).tolist() == wanted == getattr(x, name)(1, dtype=pydl.float64).tolist()
        with pytest.raises(TypeError, match=f"{name}: input must be float32 or float64"):
            getattr(pydl, name)(x, 1)
