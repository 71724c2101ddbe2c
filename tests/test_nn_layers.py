"""Layers and losses: against NumPy here, against PyTorch where it is installed (`-m parity`)."""

import inspect
import math

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.nn import functional

rng = np.random.default_rng(0)
X = rng.standard_normal((5, 4)).astype(np.float32)

# layer -> the same in NumPy
ACTIVATIONS = {
    "ReLU()": lambda x: np.maximum(x, 0),
    "Sigmoid()": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh()": np.tanh,
    "GELU()": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "GELU(approximate='tanh')": lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "SiLU()": lambda x: x / (1 + np.exp(-x)),
    "LeakyReLU(negative_slope=0.2)": lambda x: np.where(x > 0, x, 0.2 * x),
    "ELU(alpha=1.5)": lambda x: np.where(x > 0, x, 1.5 * np.expm1(x)),
    "ReLU6()": lambda x: np.clip(x, 0, 6),
    "Hardtanh(min_val=-0.5, max_val=2.0)": lambda x: np.clip(x, -0.5, 2),
    "Threshold(threshold=0.1, value=20.0)": lambda x: np.where(x > 0.1, x, 20),
    "Hardsigmoid()": lambda x: np.clip(x + 3, 0, 6) / 6,
    "Hardswish()": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "Hardshrink(0.4)": lambda x: np.where(np.abs(x) > 0.4, x, 0),
    "Softshrink(0.4)": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.4, 0),
    "Tanhshrink()": lambda x: x - np.tanh(x),
    "CELU(alpha=2.0)": lambda x: np.where(x > 0, x, 2 * np.expm1(x / 2)),
    "SELU()": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "LogSigmoid()": lambda x: -np.log1p(np.exp(-x)),
    "Softsign()": lambda x: x / (1 + np.abs(x)),
    "Mish()": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "GLU(dim=1)": lambda x: x[:, :2] / (1 + np.exp(-x[:, 2:])),
    "Softmin(dim=1)": lambda x: np.exp(-x) / np.exp(-x).sum(1, keepdims=True),
    "Softplus(beta=2.0, threshold=1.0)": lambda x: np.where(2 * x > 1, x, np.log1p(np.exp(2 * x)) / 2),
    "Softmax(dim=1)": lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    "LogSoftmax(dim=0)": lambda x: x - np.log(np.exp(x).sum(0, keepdims=True)),
}


@pytest.mark.parametrize("text", ACTIVATIONS)
def test_activations(text):
    layer = eval(f"nn.{text}", {"nn": nn})
    np.testing.assert_allclose(layer(pydl.tensor(X)).numpy(), ACTIVATIONS[text](X.astype(np.float64)), rtol=2e-6, atol=1e-6)
    assert list(layer.parameters()) == [] and (repr(layer) == text or text == "GELU()")


IN_PLACE = [nn.ReLU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.ReLU6, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.CELU, nn.SELU, nn.Mish]


@pytest.mark.parametrize("layer", [kind(inplace=True) for kind in IN_PLACE], ids=[kind.__name__ for kind in IN_PLACE])
def test_in_place_activations(layer):
    x = pydl.tensor(X)
    expected = type(layer)()(x).numpy()
    y = layer(x)
    assert y.data_ptr() == x.data_ptr() and np.array_equal(x.numpy(), expected) and "inplace=True" in repr(layer)
    x = pydl.tensor(X, requires_grad=True)
    layer(x * 1).sum().backward()
    z = pydl.tensor(X, requires_grad=True)
    type(layer)()(z).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-6)


def test_prelu():
    layer = nn.PReLU()
    assert repr(layer) == "PReLU(num_parameters=1)" and list(layer.state_dict()) == ["weight"] and layer.weight.tolist() == [0.25]
    np.testing.assert_allclose(layer(pydl.tensor(X)).detach().numpy(), np.where(X > 0, X, X / 4))
    layer = nn.PReLU(4, init=0.5, dtype=pydl.float64)
    x = pydl.tensor(X.astype(np.float64), requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.shape == (4,) and layer.weight.dtype is pydl.float64
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.minimum(X, 0).astype(np.float64).sum(0))
    np.testing.assert_allclose(x.grad.numpy(), np.where(X > 0, 1, 0.5))
    assert pydl.testing.gradcheck(lambda *given: functional.prelu(*given), (x, layer.weight))
    layer.weight.data.fill_(3)
    layer.reset_parameters()
    assert layer.weight.tolist() == [0.5] * 4
    for shape in ((5, 3), (4,), ()):
        with pytest.raises(ValueError, match=r"prelu: expected a weight for each channel.*weight \(4,\)"):
            layer(pydl.zeros(shape, dtype=pydl.float64))
    with pytest.raises(ValueError):
        nn.PReLU(-1)


def test_rrelu():
    pydl.manual_seed(0)
    layer, x = nn.RReLU(0.25, 0.75), pydl.full((100, 100), -1.0)
    assert repr(layer) == "RReLU(lower=0.25, upper=0.75)"
    x.requires_grad_()
    y = layer(x)
    y.sum().backward()
    slopes = -y.detach().numpy()
    assert 0.25 <= slopes.min() < 0.26 and 0.74 < slopes.max() <= 0.75 and abs(slopes.mean() - 0.5) < 0.01
    np.testing.assert_array_equal(x.grad.numpy(), slopes)
    assert layer(x).tolist() != y.tolist()
    assert (layer.eval()(x) == -0.5).all()
    x = pydl.full((5,), -1.0)
    assert nn.RReLU(0.25, 0.75, inplace=True)(x) is x and (x > -0.76).all() and (x < -0.24).all()
    pydl.manual_seed(0)
    assert (-nn.RReLU(0.25, 0.75)(pydl.full((100, 100), -1.0))).tolist() == slopes.tolist()


def test_softmax2d():
    x = pydl.tensor(rng.standard_normal((2, 3, 4, 5)))
    y = nn.Softmax2d()(x)
    np.testing.assert_allclose(y.sum(1).numpy(), np.ones((2, 4, 5)))
    assert y[1].tolist() == nn.Softmax2d()(x[1]).tolist() and repr(nn.Softmax2d()) == "Softmax2d()"
    with pytest.raises(ValueError, match=r"Softmax2d: expected .*got shape \(2, 3\)"):
        nn.Softmax2d()(pydl.zeros(2, 3))


@pytest.mark.parametrize(("name", "function"), [("Softmax", "softmax"), ("Softmin", "softmin"), ("LogSoftmax", "log_softmax")])
def test_a_dimension_that_is_guessed(name, function):
    for shape, dim in (((), 0), ((4,), 0), ((3, 4), 1), ((2, 3, 4), 0), ((2, 3, 4, 5), 1)):
        x = pydl.tensor(rng.standard_normal(shape))
        wanted = getattr(functional, function)(x, dim).tolist()
        for call in (getattr(functional, function), getattr(nn, name)()):
            with pytest.warns(UserWarning, match=f"{function}: .*give it as dim") as caught:
                assert call(x).tolist() == wanted
            assert caught[0].filename == __file__
    assert getattr(functional, function)(pydl.tensor([1, 2]), 0, dtype=pydl.float64).dtype is pydl.float64
    assert repr(getattr(nn, name)(-1)) == f"{name}(dim=-1)"


def test_hardtanh_refuses_bounds():
    for low, high in ((1, 1), (2, 1), (float("nan"), 1)):
        with pytest.raises(ValueError, match="Hardtanh: expected min_val < max_val"):
            nn.Hardtanh(low, high)


def test_linear():
    layer = nn.Linear(4, 3)
    assert layer.weight.shape == (3, 4) and layer.bias.shape == (3,)
    y = layer(pydl.tensor(X))
    np.testing.assert_allclose(y.detach().numpy(), X @ layer.weight.detach().numpy().T + layer.bias.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert layer(pydl.zeros(2, 5, 4)).shape == (2, 5, 3) and layer(pydl.zeros(4)).shape == (3,)
    assert nn.Linear(4, 3, bias=False).bias is None and list(nn.Linear(4, 3, bias=False).state_dict()) == ["weight"]
    assert nn.Linear(4, 3, dtype=pydl.float64).weight.dtype is pydl.float64
    bound = 1 / math.sqrt(100)
    for p in nn.Linear(100, 500).parameters():
        values = p.detach().numpy()
        assert -bound <= values.min() < -0.9 * bound and 0.9 * bound < values.max() <= bound
    with pytest.raises(ValueError, match=r"\(5, 3\).*|.*\(3, 4\)"):
        layer(pydl.zeros(5, 3))
    with pytest.raises(ValueError, match="in_features"):
        nn.Linear(-1, 3)
    for features in ("3", 2.5, None):
        with pytest.raises(TypeError, match="Linear: out_features: expected an int"):
            nn.Linear(3, features)
    assert nn.Linear(0, 3)(pydl.zeros(4, 0)).shape == (4, 3) and nn.Linear(3, 0)(pydl.zeros(4, 3)).shape == (4, 0)


def test_linear_starts_the_same_for_the_same_seed():
    made = []
    for _ in range(2):
        pydl.manual_seed(5)
        made.append([p.tolist() for p in nn.Linear(7, 3).parameters()])
    assert made[0] == made[1]


def test_shapes():
    x = pydl.zeros(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60) and nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Unflatten(1, (3, 1))(x).shape == (2, 3, 1, 4, 5) and nn.Identity(3, a=4)(x) is x
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)" and repr(nn.Identity()) == "Identity()"


def test_dropout():
    pydl.manual_seed(0)
    layer, x = nn.Dropout(0.25), pydl.ones(1000, 100)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)} and abs((y == 0).mean() - 0.25) < 0.01
    assert layer.eval()(x) is x
    assert repr(layer) == "Dropout(p=0.25, inplace=False)"
    assert nn.Dropout(0.0)(x).numpy().min() == 1 and nn.Dropout(1.0)(x).numpy().max() == 0
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            nn.Dropout(p)
    with pytest.raises(TypeError, match="Dropout: p: expected a number"):
        nn.Dropout("half")


CHANNELS = [("Dropout1d", (40, 60, 5)), ("Dropout1d", (2000, 5)), ("Dropout2d", (40, 60, 3, 2)), ("Dropout3d", (40, 60, 2, 1, 3)),
            ("Dropout3d", (2000, 2, 1, 3))]


@pytest.mark.parametrize(("name", "shape"), CHANNELS)
def test_dropout_of_channels(name, shape):
    pydl.manual_seed(0)
    layer, x = getattr(nn, name)(0.25), pydl.ones(shape, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    batch = len(shape) - {"Dropout1d": 2, "Dropout2d": 3, "Dropout3d": 4}[name]
    rows = y.detach().numpy().reshape(int(np.prod(shape[:batch + 1])), -1)
    assert set(np.unique(rows)) == {np.float32(0), np.float32(1 / 0.75)} and (rows == rows[:, :1]).all()
    assert abs((rows[:, 0] == 0).mean() - 0.25) < 0.04 and x.grad.tolist() == y.tolist()
    assert layer.eval()(x) is x and getattr(nn, name)(1.0)(x.detach()).numpy().max() == 0
    pydl.manual_seed(0)
    z = pydl.ones(shape)
    assert getattr(nn, name)(0.25, inplace=True)(z) is z and z.tolist() == y.tolist()


@pytest.mark.parametrize(("name", "shape"), [("AlphaDropout", (400, 250)), ("FeatureAlphaDropout", (1000, 100, 2))])
def test_alpha_dropout_keeps_mean_and_variance(name, shape):
    pydl.manual_seed(0)
    layer, x = getattr(nn, name)(0.3), pydl.randn(shape)
    y = layer(x)
    assert abs(y.mean().item()) < 0.02 and abs(y.var().item() - 1) < 0.02
    values, counts = np.unique(y.numpy(), return_counts=True)
    assert abs(counts.max() / y.numel() - 0.3) < 0.01
    assert layer.eval()(x) is x and getattr(nn, name)(1.0)(x).abs().max().item() == 0 and getattr(nn, name)(0.0)(x) is x
    pydl.manual_seed(0)
    x = pydl.randn(shape)
    assert getattr(nn, name)(0.3, inplace=True)(x) is x and x.tolist() == y.tolist()


def test_dropout_refusals():
    for call in (lambda: functional.dropout1d(pydl.ones(3)), lambda: functional.dropout1d(pydl.ones(1, 2, 3, 4)),
                 lambda: functional.feature_alpha_dropout(pydl.ones(3)), lambda: functional.alpha_dropout(pydl.ones(3), 1.5)):
        with pytest.raises(ValueError, match="dropout"):
            call()
    with pytest.raises(TypeError, match="dropout2d: expected a float"):
        functional.dropout2d(pydl.ones(1, 2, 3, 4, dtype=pydl.int64))
    with pytest.warns(UserWarning, match="dropout2d: expected"):
        functional.dropout2d(pydl.ones(1, 2, 3))


# Losses: the module must be the function with the same arguments

LABELS, TARGETS = np.array([0, 3, 1, 2, 3]), rng.random((5, 4)).astype(np.float32)
WEIGHT = np.array([0.5, 1.0, 2.0, 1.5], np.float32)
LOSSES = [
    ("CrossEntropyLoss", "cross_entropy", {}, LABELS),
    ("CrossEntropyLoss", "cross_entropy", {"weight": WEIGHT, "ignore_index": 3, "label_smoothing": 0.1}, LABELS),
    ("CrossEntropyLoss", "cross_entropy", {"reduction": "none"}, TARGETS),
    ("NLLLoss", "nll_loss", {"weight": WEIGHT, "ignore_index": 1, "reduction": "sum"}, LABELS),
    ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", {"weight": WEIGHT, "pos_weight": 2 * WEIGHT}, TARGETS),
    ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", {"reduction": "none"}, TARGETS),
    ("MSELoss", "mse_loss", {"reduction": "sum"}, TARGETS),
    ("MSELoss", "mse_loss", {}, TARGETS),
    ("L1Loss", "l1_loss", {"reduction": "none"}, TARGETS),
]


def as_tensors(named, package=pydl):
    return {key: package.tensor(value) if isinstance(value, np.ndarray) else value for key, value in named.items()}


@pytest.mark.parametrize(("name", "function", "named", "target"), LOSSES)
def test_losses_are_their_functions(name, function, named, target):
    named = as_tensors(named)
    loss = getattr(nn, name)(**named)
    x, y = pydl.tensor(X), pydl.tensor(target)
    assert loss(x, y).tolist() == getattr(functional, function)(x, y, **named).tolist()
    assert [key for key, _ in loss.named_buffers()] == [key for key in ("weight", "pos_weight") if key in named]


def test_cross_entropy_is_minus_the_log_probability():
    p = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    expected = -np.log(p[np.arange(5), LABELS]).mean()
    np.testing.assert_allclose(nn.CrossEntropyLoss()(pydl.tensor(X), pydl.tensor(LABELS)).item(), expected, rtol=1e-6)


OF_A_MODE = ("BoundaryLoss", "DiceLoss", "FocalTverskyLoss", "JaccardLoss", "LovaszLoss", "TverskyLoss")


@pytest.mark.parametrize("name", [name for name in dir(nn) if name.endswith("Loss")])
def test_losses_refuse_unknown_reductions(name):
    with pytest.raises(ValueError, match=f"{name}: reduction: expected one of none, mean, sum(, batchmean)?, got 'median'"):
        getattr(nn, name)(*(["binary"] if name in OF_A_MODE else []), reduction="median")


# Parity with PyTorch

PARITY = ["Linear", "Identity", "Flatten", "ReLU", "Sigmoid", "Tanh", "GELU", "SiLU", "LeakyReLU", "ELU", "Softplus", "Softmax",
          "ReLU6", "Hardtanh", "Threshold", "Hardsigmoid", "Hardswish", "Hardshrink", "Softshrink", "Tanhshrink", "PReLU", "RReLU", "CELU",
          "SELU", "LogSigmoid", "Softsign", "Mish", "GLU", "Softmin", "Softmax2d", "LogSoftmax", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "Bilinear", "CosineSimilarity",
          "PairwiseDistance", *sorted(name for name in dir(nn) if name.endswith("Loss"))]
OLD = {"size_average", "reduce", "min_value", "max_value"}        # deprecated in PyTorch, not taken over


@pytest.mark.parity
@pytest.mark.parametrize("name", PARITY)
def test_signatures_are_pytorchs(name):
    torch = pytest.importorskip("torch")

    def arguments(cls):
        found = inspect.signature(cls.__init__).parameters.values()
        return [(p.name, p.default) for p in found if p.name not in OLD and p.kind is p.POSITIONAL_OR_KEYWORD]
    assert arguments(getattr(nn, name)) == arguments(getattr(torch.nn, name))


@pytest.mark.parity
@pytest.mark.parametrize(("name", "function", "named", "target"), LOSSES)
def test_losses_match(name, function, named, target):
    torch = pytest.importorskip("torch")
    values = []
    for package in (pydl, torch):
        x = package.tensor(X, requires_grad=True)
        loss = getattr(package.nn, name)(**as_tensors(named, package))(x, package.tensor(target))
        loss.sum().backward()
        values.append((loss.detach().numpy(), x.grad.numpy()))
    for ours, theirs in zip(*values, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7)


@pytest.mark.parity
def test_a_network_trains_as_pytorchs():
    """The same weights, data and AdamW: after 20 steps the losses and the weights are the same, and the state has the same keys."""
    torch = pytest.importorskip("torch")
    nets, losses, start = [], [], {}
    for package in (torch, pydl):
        n = package.nn
        net = n.Sequential(n.Linear(4, 16), n.GELU(), n.Linear(16, 16, bias=False), n.ELU(), n.Linear(16, 4))
        nets.append(net)
        if package is pydl:
            net.load_state_dict(start)
        else:
            start = {name: pydl.tensor(value.numpy().copy()) for name, value in net.state_dict().items()}
        optimizer = package.optim.AdamW(net.parameters(), lr=1e-2)
        history = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = n.CrossEntropyLoss(label_smoothing=0.1)(net(package.tensor(X)), package.tensor(LABELS))
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        losses.append(history)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    theirs, ours = (net.state_dict() for net in nets)
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name].numpy(), theirs[name].numpy(), rtol=1e-4, atol=1e-5)
