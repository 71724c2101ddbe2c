"""Convolution layers: parameters, representations, sizes, padding modes, refusals; against PyTorch where it is installed."""
from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import pydl
from capturing import numbers
from op_rows.conv import conv
from pydl import nn
from pydl.nn import functional as F
from pydl.nn.utils import parametrizations

# layer -> the shape of an input
LAYERS = {
    "Conv1d(3, 4, 3)": (2, 3, 7), "Conv1d(4, 6, kernel_size=(5,), stride=2, padding=2, groups=2, bias=False)": (2, 4, 9), "Conv1d(2, 2, 2, padding='same')": (2, 6),
    "Conv2d(3, 4, 3)": (2, 3, 7, 6), "Conv2d(3, 6, (3, 2), (2, 1), (1, 0), (1, 2), 3, False)": (2, 3, 7, 6), "Conv2d(3, 2, (4, 3), padding='same', dilation=2)": (3, 7, 6),
    "Conv2d(4, 4, 1, padding='valid')": (1, 4, 3, 3), "Conv3d(2, 3, (1, 2, 3), padding=1)": (1, 2, 3, 4, 4), "Conv3d(2, 2, 2, groups=2)": (2, 3, 3, 3),
    "ConvTranspose1d(3, 4, 3, 2, 1, 1)": (2, 3, 5), "ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), groups=2)": (2, 4, 3, 4),
    "ConvTranspose2d(3, 2, 4, 2, 1, bias=False)": (3, 4, 4), "ConvTranspose2d(2, 2, 3, 2, 1, (1, 0), 1, True, (2, 1))": (1, 2, 3, 3),
    "ConvTranspose3d(2, 3, 2, stride=(1, 2, 2))": (1, 2, 2, 3, 2),
}
REPRESENTATIONS = [
    "Conv1d(3, 4, kernel_size=(3,), stride=(1,))", "Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 0), dilation=(1, 2))",
    "Conv2d(4, 4, kernel_size=(1, 1), stride=(1, 1), groups=2, bias=False, padding_mode=circular)", "Conv2d(3, 2, kernel_size=(3, 3), stride=(1, 1), padding=same)",
    "Conv3d(1, 1, kernel_size=(2, 2, 2), stride=(1, 1, 1))", "ConvTranspose2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1))",
]


def made(text: str, library: Any = nn) -> Any:
    names = {name: getattr(library, name) for name in dir(library) if "Conv" in name}
    return eval(text, {**names, "circular": "circular", "same": "same"})        # a representation says padding=same


@pytest.mark.parametrize("text", REPRESENTATIONS)
def test_representations(text: str) -> None:
    assert repr(made(text)) == text


def test_parameters() -> None:
    layer = nn.Conv2d(8, 16, 3, groups=4)
    assert [(name, p.shape) for name, p in layer.named_parameters()] == [("weight", (16, 2, 3, 3)), ("bias", (16,))]
    assert nn.ConvTranspose2d(8, 16, 3, groups=4).weight.shape == (8, 4, 3, 3) and list(nn.Conv1d(1, 1, 1, bias=False).state_dict()) == ["weight"]
    assert nn.Conv3d(2, 2, 2, dtype=pydl.float64).bias.dtype is pydl.float64
    with pytest.warns(UserWarning, match="no elements"):
        assert nn.Conv1d(2, 0, 3)(pydl.ones(1, 2, 5)).shape == (1, 0, 3)
    for layer, fan in ((nn.Conv2d(20, 60, 5, groups=2), 10 * 25), (nn.ConvTranspose1d(60, 40, 5, groups=2), 20 * 5)):
        for p in layer.parameters():
            assert 0.8 * fan**-0.5 < p.abs().max().item() <= fan**-0.5
    pydl.manual_seed(1)
    first = nn.Conv2d(3, 4, 3)
    pydl.manual_seed(1)
    assert nn.Conv2d(3, 4, 3).weight.tolist() == first.weight.tolist() != copy.deepcopy(first).requires_grad_(False).apply(nn.Conv2d.reset_parameters).weight.tolist()


def test_values() -> None:
    layer = nn.Conv2d(3, 4, (3, 2), stride=2, padding=1)
    x = numbers(2, 3, 7, 6)
    wanted = conv(*(t.detach().numpy().astype(np.float64) for t in (x, layer.weight, layer.bias)), stride=2, padding=1)
    np.testing.assert_allclose(layer(x).detach().numpy(), wanted, rtol=1e-5, atol=1e-5)
    assert layer(x[0]).tolist() == layer(x)[0].tolist()
    layer.padding = (0, 0)                                  # what a user sets later counts
    assert layer(x).shape == (2, 4, 3, 3)


MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [2, (1, 2), "same", "valid"])
def test_padding_modes(mode: str, padding: Any) -> None:
    layer, x = nn.Conv2d(2, 3, (3, 4), padding=padding, padding_mode=mode), numbers(1, 2, 5, 6)
    sides = {"same": ((1, 1), (1, 2)), "valid": ((0, 0), (0, 0)), 2: ((2, 2), (2, 2)), (1, 2): ((1, 1), (2, 2))}[padding]
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), *sides), mode=MODES[mode])
    assert layer(x).tolist() == F.conv2d(pydl.tensor(wide), layer.weight, layer.bias).tolist()


def test_output_sizes() -> None:
    layer = nn.ConvTranspose2d(3, 2, 3, stride=(2, 3), padding=1)
    x = numbers(2, 3, 4, 4)
    for size in ((7, 10), (8, 10), (8, 12), (2, 2, 7, 11)):
        y = layer(x, output_size=size)
        assert y.shape[2:] == size[-2:] and y.tolist() == F.conv_transpose2d(x, layer.weight, layer.bias, (2, 3), 1, (size[-2] - 7, size[-1] - 10)).tolist()
    assert layer(x[0], output_size=(2, 8, 12)).shape == (2, 8, 12)
    for size in ((9, 10), (6, 10), (7,), (2, 2, 2, 7, 10)):
        with pytest.raises(ValueError, match="ConvTranspose2d: output_size: expected"):
            layer(x, output_size=size)
    with pytest.raises(ValueError, match="conv_transpose2d: expected input|ConvTranspose2d: output_size"):
        layer(pydl.ones(3), output_size=(7, 10))


@pytest.mark.parametrize("kind", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"])
def test_lazy(kind: str) -> None:
    plain, dims = getattr(nn, kind), int(kind[-2])
    layer = getattr(nn, f"Lazy{kind}")(4, 2, groups=2, padding=1)
    assert layer.has_uninitialized_params() and list(layer.state_dict()) == ["weight", "bias"] and repr(layer).startswith(f"Lazy{kind}(0, 4, kernel_size=(2,")
    twin, x = copy.deepcopy(layer), numbers(3, 6, *(3, 4, 5)[:dims])
    y = layer(x)
    assert type(layer) is plain and layer.in_channels == 6 and layer.weight.shape == plain(6, 4, 2, groups=2).weight.shape and layer.bias.shape == (4,)
    assert 0 < layer.weight.abs().max().item() <= (layer.weight.numel() / layer.weight.shape[0])**-0.5
    twin.load_state_dict(layer.state_dict())
    assert twin(x[0]).tolist() == y[0].tolist() and type(twin) is plain
    for shape in ((6,), (1,) * (dims + 3), (1, 3, *(4,) * dims)):
        with pytest.raises(ValueError, match=f"Lazy{kind}: (expected an input|groups: expected a divisor of the 3)"):
            getattr(nn, f"Lazy{kind}")(4, 2, groups=2)(pydl.ones(shape))
    with pytest.raises(ValueError, match=f"Lazy{kind}: groups: expected a divisor of out_channels=3"):
        getattr(nn, f"Lazy{kind}")(3, 2, groups=2)


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: nn.Conv2d(3, 4, 0), ValueError, "Conv2d: kernel_size: expected 1 or more, got 0"), (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ValueError, "an int or 2 of them"),
    (lambda: nn.Conv1d(3, 4, 2.0), TypeError, "Conv1d: kernel_size: expected an int or 1 of them, got 2.0"), (lambda: nn.Conv2d(3, 4, 3, 0), ValueError, "stride: expected 1"),
    (lambda: nn.Conv2d(3, 4, 3, dilation=(1, -1)), ValueError, r"dilation: expected 1 or more, got \(1, -1\)"), (lambda: nn.Conv2d(3, 4, 3, padding=-1), ValueError, "padding"),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError, "padding: expected same, valid, an int or 2 of them, got 'full'"),
    (lambda: nn.Conv2d(3, 4, 3, 2, padding="same"), ValueError, "padding='same' needs a stride of 1, got 2"), (lambda: nn.Conv2d(3, 4, 3, groups=0), ValueError, "groups"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "Conv2d: groups: expected a divisor of in_channels=3, got 2"),
    (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, "Conv2d: groups: expected a divisor of out_channels=3, got 2"),
    (lambda: nn.Conv2d(-3, 4, 3), ValueError, "Conv2d: in_channels: expected 0 or more, got -3"), (lambda: nn.Conv2d(3, 4.0, 3), TypeError, "out_channels: expected an int"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="zero"), ValueError, "padding_mode: expected zeros, reflect, replicate, circular, got 'zero'"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError, "padding_mode: expected zeros, got 'reflect'"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding="same"), ValueError, "padding: expected an int or 2 of them, got 'same'"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=-1), ValueError, "output_padding: expected 0 or more"),
    (lambda: nn.Conv2d(3, 4, 3)(pydl.ones(2, 4, 5, 5)), ValueError, r"conv2d: input has 4 channels but weight expects 3 \(input \(2, 4, 5, 5\)"),
])
def test_refusals(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_starting_values_of_filters() -> None:
    w = nn.init.dirac_(nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False).weight, 2)
    x = numbers(1, 4, 5, 5)
    assert F.conv2d(x, w, padding=1, groups=2)[:, [0, 1, 3, 4]].tolist() == x.tolist()
    assert nn.init.fans("", pydl.empty(8, 3, 5, 2)) == (30, 80)


# --- PyTorch

@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def with_same_parameters(text: str, torch: Any) -> tuple[Any, Any]:
    ours, theirs = made(text), made(text, torch.nn)
    ours.load_state_dict({name: pydl.from_numpy(value.numpy().copy()) for name, value in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.parity
@pytest.mark.parametrize("text", LAYERS)
def test_parity(text: str, torch: Any) -> None:
    ours, theirs = with_same_parameters(text, torch)
    assert repr(ours) == repr(theirs)
    x = numbers(*LAYERS[text]).numpy()
    found = []
    for library, layer in ((pydl, ours), (torch, theirs)):
        leaf = library.from_numpy(x).requires_grad_()
        y = layer(leaf)
        (y**2).sum().backward()
        found.append([t.detach().numpy() for t in (y, leaf.grad, *(p.grad for p in layer.parameters()))])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"])
@pytest.mark.parametrize("lazy", ["", "Lazy"])
def test_parity_of_arguments(kind: str, lazy: str, torch: Any) -> None:
    ours, theirs = (inspect.signature(getattr(library, lazy + kind)).parameters for library in (nn, torch.nn))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parity
@pytest.mark.parametrize("text", ["Conv2d(3, 4, (3, 2))", "ConvTranspose2d(3, 4, 2)", "Conv1d(4, 4, 3, groups=2)", "ConvTranspose1d(2, 3, 3)"])
@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_parity_of_parametrized_filters(text: str, name: str, torch: Any) -> None:
    ours, theirs = with_same_parameters(text, torch)
    getattr(parametrizations, name)(ours)
    getattr(torch.nn.utils.parametrizations, name)(theirs)
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [(k, tuple(v.shape)) for k, v in theirs.state_dict().items()]
    ours.load_state_dict({k: pydl.from_numpy(v.numpy().copy()) for k, v in theirs.state_dict().items()})
    x = numbers(2, ours.in_channels, *(5, 6)[:ours.dims]).numpy()
    for _ in range(2):
        a, b = ours(pydl.from_numpy(x)), theirs(torch.from_numpy(x))
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parity
def test_parity_of_output_sizes(torch: Any) -> None:
    ours, theirs = with_same_parameters("ConvTranspose2d(3, 2, 3, 2, 1)", torch)
    x = numbers(2, 3, 4, 5).numpy()
    for size in ((7, 10), [8, 9], (2, 2, 8, 10)):
        a, b = ours(pydl.from_numpy(x), output_size=size), theirs(torch.from_numpy(x), output_size=size)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", ["Conv1d(2, 3, 4, padding='same', padding_mode={!r})", "Conv2d(2, 3, 3, 2, (1, 2), padding_mode={!r})",
                                  "Conv3d(2, 2, 3, padding=1, padding_mode={!r})"])
def test_parity_of_padding_modes(mode: str, text: str, torch: Any) -> None:
    ours, theirs = with_same_parameters(text.format(mode), torch)
    x = numbers(1, 2, *(5, 6, 4)[:ours.dims]).numpy()
    np.testing.assert_allclose(ours(pydl.from_numpy(x)).detach().numpy(), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-4)
