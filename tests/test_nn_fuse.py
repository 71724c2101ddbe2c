"""Folding batch normalisations and activations into the layers before them: values, what is left alone, sessions, refusals."""
from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import pydl
from calls import same_bits
from capturing import kernels, numbers
from pydl import nn
from pydl.nn import functional as F
from pydl.nn import utils


def trained(model: nn.Module, *inputs: pydl.Tensor) -> Any:
    """In evaluation mode, with statistics and parameters of normalisations that are not the first ones."""
    rng = np.random.default_rng(0)
    model(*inputs)
    with pydl.no_grad():
        for module in model.modules():
            if getattr(module, "weight", None) is not None and hasattr(module, "running_var"):
                module.weight.copy_(pydl.tensor(rng.uniform(0.5, 1.5, module.weight.shape)))
                if module.bias is not None:
                    module.bias.copy_(pydl.tensor(rng.standard_normal(module.bias.shape)))
    return model.eval()


def close(a: pydl.Tensor, b: pydl.Tensor) -> bool:
    return np.abs(a.detach().numpy() - b.detach().numpy()).max() <= 2e-6 * np.abs(b.detach().numpy()).max()


class Block(nn.Module):
    """ResNet's: one ReLU module in two places of the run."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + x)


class Peeks(Block):
    """Uses the first convolution's output beside the normalisation."""

    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        h = self.conv1(x)
        return self.bn1(h) + F.relu(h.detach()) + self.bn2(self.conv2(x))


def names(model: nn.Module, kind: str) -> list[str]:
    return [name for name, module in model.named_modules() if type(module).__name__ == kind]


LAYERS = {
    "conv1d": (lambda: [nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)], (2, 3, 7)), "conv2d": (lambda: [nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6)], (2, 4, 5, 5)),
    "conv3d": (lambda: [nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3, affine=False)], (2, 2, 3, 3, 3)), "linear": (lambda: [nn.Linear(3, 5), nn.BatchNorm1d(5)], (6, 3)),
    "transposed": (lambda: [nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.BatchNorm2d(6, bias=False)], (2, 4, 3, 3)),
    "transposed 1d": (lambda: [nn.ConvTranspose1d(3, 4, 3), nn.BatchNorm1d(4, eps=0.1)], (2, 3, 5)), "relu": (lambda: [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()], (2, 3, 5, 5)),
    "relu alone": (lambda: [nn.Conv1d(3, 4, 3), nn.ReLU(inplace=True)], (2, 3, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_values(name: str) -> None:
    make, shape = LAYERS[name]
    x = numbers(*shape)
    net = trained(nn.Sequential(*make(), nn.Tanh()), x)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    for fused in (utils.fuse(net), utils.fuse(net, x)):
        assert not names(fused, "ReLU") and len(names(fused, "Folded")) == len([m for m in net if hasattr(m, "running_var")])
        assert close(fused(x), net(x)) and not fused.training
        with pydl.no_grad():
            assert close(fused(x), net(x)) and ("relu" in name) == ("activation=relu" in repr(fused))
    assert all(value.tolist() == before[key].tolist() for key, value in net.state_dict().items())
    if "relu" not in name and name != "linear":
        layer = utils.fuse_conv_bn_eval(net[0], net[1])
        assert same_bits(layer.weight.detach().numpy(), fused[0].weight.detach().numpy()) and type(layer) is type(net[0])


# A shape for every algorithm: few channels, large 3x3, 1x1, depthwise with large and with small planes, any other
SHAPES = {"direct": (3, 8, 3, 1, 24), "winograd": (16, 16, 3, 1, 12), "pointwise": (16, 24, 1, 1, 12), "depthwise": (8, 8, 3, 8, 24),
          "small planes": (32, 32, 3, 32, 5), "product": (12, 20, 2, 2, 9)}


@pytest.mark.parametrize("shape", SHAPES)
def test_activations_in_the_kernel_have_the_same_bits(shape: str) -> None:
    channels, filters, kernel, groups, size = SHAPES[shape]
    for activation in (nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Tanh):
        net = nn.Sequential(nn.Conv2d(channels, filters, kernel, groups=groups), activation()).eval()
        fused, x = utils.fuse(net), numbers(2, channels, size, size + 1)
        assert names(fused, "Identity") == ["1"]
        with pydl.no_grad():
            captured = pydl.capture(lambda x, net=net: net(x))
            assert all(same_bits(step(x).numpy(), net(x).numpy()) for step in (fused, captured, captured))
        assert kernels(captured) == ["conv_fwd"]


def test_relu_in_the_kernel_has_the_same_bits_and_gradients() -> None:
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()).eval(), numbers(2, 3, 5, 6)
    fused = utils.fuse(net)
    assert same_bits(fused(x).detach().numpy(), net(x).detach().numpy())
    with pydl.no_grad():
        assert same_bits(fused(x).numpy(), net(x).numpy()) and same_bits(fused(x[0]).numpy(), net(x[0]).numpy())
        captured = pydl.capture(lambda x: fused(x))
        captured(x)
        assert same_bits(captured(x).numpy(), net(x).numpy()) and kernels(captured) == ["conv_fwd"]
    for model in (fused, net):
        model(x).square().sum().backward()
    assert fused[0].weight.grad.tolist() == net[0].weight.grad.tolist()
    with pytest.raises(ValueError, match="conv2d: input has 2 channels but weight expects 3"):
        fused(pydl.ones(1, 2, 5, 5))


def test_what_runs_decides_with_an_example() -> None:
    x = numbers(2, 4, 5, 5)
    net = trained(nn.Sequential(Block(4), Block(4), nn.Flatten(), nn.Linear(100, 3)), x)
    assert not names(utils.fuse(net), "Folded")                 # no Sequential says what follows what
    fused = utils.fuse(net, x)
    assert names(fused, "Folded") == ["0.bn1", "0.bn2", "1.bn1", "1.bn2"] and names(fused, "ReLU") == ["0.relu", "1.relu"]
    assert close(fused(x), net(x))


def test_outputs_that_others_read_are_left() -> None:
    x = numbers(2, 4, 5, 5)
    net = trained(Peeks(4), x)
    fused = utils.fuse(net, x)
    assert names(fused, "Folded") == ["bn2"] and close(fused(x), net(x))


def shared(norm: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), norm, nn.Conv2d(3, 3, 1), norm)


def hooked() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    net[0].register_forward_hook(lambda module, inputs, output: output * 2)
    return net


class Own(nn.Conv2d):
    def forward(self, input: pydl.Tensor) -> pydl.Tensor:
        return super().forward(input).abs()


class Backwards(nn.Sequential):
    def forward(self, input: pydl.Tensor) -> pydl.Tensor:
        return self[0](self[1](input))


@pytest.mark.parametrize("make", [
    lambda: shared(nn.BatchNorm2d(3)), hooked, lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
    lambda: nn.Sequential(Own(3, 3, 1), nn.BatchNorm2d(3)), lambda: Backwards(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
    lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU(), nn.BatchNorm2d(3)), lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU(), nn.ReLU()),
    lambda: nn.Sequential(utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)), lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm2d(3)),
])
def test_what_is_left_alone(make: Any) -> None:
    x = numbers(2, 3, 3, 4)
    net = trained(make(), x)
    for fused in (utils.fuse(net), utils.fuse(net, x)):
        assert not names(fused, "Folded") and not names(fused, "Identity") and fused(x).tolist() == net(x).tolist()


def test_other_dimensions_are_refused() -> None:
    """Behind a Linear the normalisation of (N, L, C) is along L."""
    net = trained(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), numbers(5, 3))
    fused, x = utils.fuse(net), numbers(2, 4, 3)
    assert net(x).shape == (2, 4, 4)
    with pytest.raises(ValueError, match=r"fuse: expected 2 dimensions where the batch normalisation was, got shape \(2, 4, 4\)"):
        fused(x)
    assert not names(utils.fuse(net, x), "Folded")


def test_refusals() -> None:
    conv, norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
    for call, error, words in (
            (lambda: utils.fuse(nn.Sequential(conv, norm)), ValueError, r"fuse: .*call model.eval\(\) first"), (lambda: utils.fuse(3), TypeError, "fuse: expected a Module"),
            (lambda: utils.fuse_conv_bn_eval(conv, norm.eval()), ValueError, "fuse_conv_bn_eval: expected layers in evaluation mode"),
            (lambda: utils.fuse_conv_bn_eval(conv.eval(), nn.BatchNorm2d(4, track_running_stats=False).eval()), ValueError, "with running statistics"),
            (lambda: utils.fuse_conv_bn_eval(conv.eval(), nn.BatchNorm2d(3).eval()), ValueError, r"a weight of 3 output channels, .*got \(4, 3, 1, 1\)"),
            (lambda: utils.fuse_linear_bn_eval(nn.Linear(2, 3).eval(), nn.BatchNorm1d(2).eval()), ValueError, "out_features=3 or 1, got 2")):
        with pytest.raises(error, match=words):
            call()


# --- sessions

def test_sessions_fold_and_follow_what_changes() -> None:
    x = numbers(2, 4, 5, 5)
    net = trained(nn.Sequential(Block(4), Block(4)), x)
    session, plain = pydl.InferenceSession(net), pydl.InferenceSession(net, fuse=False)
    with pytest.raises(ValueError, match="3 channels"):
        session.run(None, {"input": numbers(1, 3, 5, 5).numpy()})

    def check() -> None:
        (y,), (z,) = session.run(None, {"input": x.numpy()}), plain.run(None, {"input": x.numpy()})
        assert np.array_equal(z, net(x).detach().numpy()) and np.abs(y - z).max() <= 2e-6 * np.abs(z).max()

    check()
    assert [kernel for kernel in kernels(session._run) if "norm" in kernel] == [] and "batch_norm_fwd" in kernels(plain._run)
    with pydl.no_grad():
        net[0].bn1.running_mean.add_(1)
        check()
        net[1].conv2.weight.mul_(-2)
        check()
    net.load_state_dict({key: value * 2 if value.is_floating_point() else value for key, value in net.state_dict().items()})
    check()
    net[0].bn2.weight = nn.Parameter(pydl.ones(4))
    check()


def test_sessions_of_models_that_cannot_be_folded() -> None:
    x = numbers(2, 4, 5, 5)
    net = trained(shared(nn.BatchNorm2d(3)), x[:, :3])
    (y,) = pydl.InferenceSession(net).run(None, {"input": x[:, :3].numpy()})
    assert np.array_equal(y, net(x[:, :3]).detach().numpy())


# --- PyTorch

@pytest.mark.parity
@pytest.mark.parametrize(("kind", "norm", "shape"), [("Conv2d", "BatchNorm2d", (3, 4, 3)), ("ConvTranspose2d", "BatchNorm2d", (3, 4, 3)), ("Linear", "BatchNorm1d", (3, 4))])
@pytest.mark.parametrize("bias", [True, False])
def test_parity(kind: str, norm: str, shape: tuple[int, ...], bias: bool) -> None:
    torch = pytest.importorskip("torch")
    fusion = importlib.import_module("torch.nn.utils.fusion")
    layer, bn = getattr(torch.nn, kind)(*shape, bias=bias).eval(), getattr(torch.nn, norm)(4).eval()
    bn.running_mean.normal_()
    bn.running_var.uniform_(0.5, 2)
    ours, mine = getattr(nn, kind)(*shape, bias=bias).eval(), getattr(nn, norm)(4).eval()
    for to, source in ((ours, layer), (mine, bn)):
        to.load_state_dict({key: pydl.from_numpy(value.numpy().copy()) for key, value in source.state_dict().items()})
    if kind == "Linear":
        theirs, got = fusion.fuse_linear_bn_eval(layer, bn), utils.fusion.fuse_linear_bn_eval(ours, mine)
    else:
        theirs, got = (f.fuse_conv_bn_eval(a, b, transpose="Transpose" in kind) for f, a, b in ((fusion, layer, bn), (utils.fusion, ours, mine)))
    for a, b in zip(got.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)
        assert a.requires_grad == b.requires_grad

