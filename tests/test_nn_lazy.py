"""Modules without sizes until the first input, buffers by assignment, and what a module owns as dictionaries."""
import copy

import pytest

import pydl
from pydl import nn, optim


@pytest.mark.parametrize("bias", [True, False])
def test_first_input_tells_the_sizes(bias):
    layer = nn.LazyLinear(4, bias=bias)
    weight = layer.weight
    assert layer.has_uninitialized_params() and repr(layer) == f"LazyLinear(in_features=0, out_features=4, bias={bias})"
    assert list(layer.state_dict()) == ["weight", "bias"][:1 + bias] and repr(weight) == "<UninitializedParameter>"
    assert layer(pydl.ones(2, 3)).shape == (2, 4)
    assert type(layer) is nn.Linear and layer.weight is weight and type(weight) is nn.Parameter and weight.shape == (4, 3)
    assert repr(layer) == f"Linear(in_features=3, out_features=4, bias={bias})" and layer.weight.abs().max().item() <= 3 ** -0.5
    layer(pydl.ones(2, 3)).sum().backward()
    assert weight.grad.shape == (4, 3)
    optim.SGD(layer.parameters(), lr=0.1).step()


def test_copies_and_types():
    net = nn.Sequential(nn.LazyLinear(4), nn.LazyLinear(2)).double()
    twin = copy.deepcopy(net)
    for one, width in ((net, 3), (twin, 7)):
        for _ in range(2):
            assert one(pydl.ones(2, width, dtype=pydl.float64)).shape == (2, 2)
        assert one[0].weight.shape == (4, width) and one[0].weight.dtype == pydl.float64


def test_state_dicts():
    layer, done = nn.LazyLinear(4), nn.Linear(3, 4)
    with pytest.raises(ValueError, match="unexpected: x"):
        layer.load_state_dict({**done.state_dict(), "x": pydl.ones(1)})
    assert layer.has_uninitialized_params()
    assert str(layer.load_state_dict(done.state_dict())) == "<All keys matched successfully>"
    assert layer.weight.tolist() == done.weight.tolist() and isinstance(layer, nn.LazyLinear)
    with pytest.raises(ValueError, match="3 features"):
        layer(pydl.ones(2, 5))
    x = pydl.randn(2, 3)
    assert layer(x).tolist() == done(x).tolist() and type(layer) is nn.Linear
    nn.LazyLinear(4).load_state_dict(nn.LazyLinear(4).state_dict())
    with pytest.raises(ValueError, match="weight: has no shape yet"):
        done.load_state_dict(nn.LazyLinear(4).state_dict())


def test_a_failed_load_forgets_the_shape():
    layer = nn.LazyLinear(4)

    def fail(module, keys):
        raise OSError("no")
    layer.register_load_state_dict_post_hook(fail)
    with pytest.raises(OSError):
        layer.load_state_dict(nn.Linear(3, 4).state_dict())
    assert layer.has_uninitialized_params() and type(layer.weight) is nn.UninitializedParameter


@pytest.mark.parametrize(("use", "error"), [
    (lambda w: w.shape, RuntimeError), (lambda w: w + 1, ValueError), (lambda w: 1 - w, ValueError), (lambda w: w.numel(), ValueError),
    (lambda w: w[0], ValueError), (lambda w: w == w, ValueError), (lambda w: optim.SGD([w], lr=0.1), ValueError), (nn.init.zeros_, ValueError)])
def test_nothing_can_be_done_before(use, error):
    with pytest.raises(error, match="UninitializedParameter: .*run the module once"):
        use(nn.LazyLinear(4).weight)


def test_a_lazy_module_of_ones_own():
    class Scale(nn.Module):
        def forward(self, input):
            return input * self.scale + self.shift

    class LazyScale(nn.lazy.LazyModuleMixin, Scale):
        cls_to_become = Scale

        def __init__(self):
            super().__init__()
            self.scale = nn.UninitializedParameter()
            self.register_buffer("shift", nn.UninitializedBuffer())

        def initialize_parameters(self, input):
            self.scale.materialize(input.shape[1:])
            self.shift.materialize(input.shape[1:])
            nn.init.ones_(self.scale)
            nn.init.ones_(self.shift)

    layer = LazyScale()
    assert layer(pydl.ones(2, 3)).tolist() == [[2.0] * 3] * 2 and type(layer) is Scale and isinstance(layer.shift, nn.Buffer)
    with pytest.raises(NotImplementedError, match="initialize_parameters"):
        type("Bare", (nn.lazy.LazyModuleMixin, nn.Module), {})()(pydl.ones(1))


def test_buffers_by_assignment():
    layer = nn.Linear(2, 2)
    layer.mean, layer.count = nn.Buffer(pydl.ones(2)), nn.Buffer(pydl.zeros(1), persistent=False)
    assert [name for name, _ in layer.named_buffers()] == ["mean", "count"] and list(layer.state_dict()) == ["weight", "bias", "mean"]
    layer.mean = pydl.zeros(2)
    assert layer.state_dict()["mean"].tolist() == [0, 0]
    with pytest.raises(TypeError, match="Buffer: data"):
        nn.Buffer([1.0])


def test_what_a_module_owns():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    assert list(net._modules) == ["0", "1"] and net._modules["1"] is net[1] and len(net._parameters) == 0
    owned = net[0]._parameters
    assert list(owned) == ["weight", "bias"] and owned["bias"] is None and "mean" not in owned
    owned["extra"] = nn.Parameter(pydl.ones(1))
    net._modules["1"] = nn.Tanh()
    net[0]._buffers["mean"] = pydl.ones(2)
    assert list(net.state_dict()) == ["0.weight", "0.extra", "0.mean"] and isinstance(net[1], nn.Tanh)
    del owned["extra"]
    with pytest.raises(KeyError):
        del owned["mean"]
    assert list(net.state_dict()) == ["0.weight", "0.mean"] and repr(net[0]._modules) == "{}"
