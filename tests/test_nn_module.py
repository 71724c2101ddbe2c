"""Module: what it owns, how it is walked, its state, its hooks."""

import copy

import pytest

import pydl
from pydl import nn


class Net(nn.Module):
    """Two layers, a scale, a saved and an unsaved buffer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(pydl.ones(4))
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False))
        self.register_buffer("count", pydl.tensor([7]))
        self.register_buffer("scratch", pydl.zeros(2), persistent=False)

    def forward(self, x):
        return self.rest(self.first(x) * self.scale)


KEYS = ["scale", "count", "first.weight", "first.bias", "rest.1.weight"]


# Owning

def test_walks():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias", "rest.1.weight"]
    assert [name for name, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert [name for name, _ in net.named_buffers()] == ["count", "scratch"]
    assert [name for name, _ in net.named_children()] == ["first", "rest"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert next(iter(net.modules())) is net and list(net.children()) == [net.first, net.rest]
    assert len(list(net.parameters())) == 4 and all(p.requires_grad for p in net.parameters())
    assert [tuple(b.shape) for b in net.buffers()] == [(1,), (2,)]


def test_shared_ones_come_once():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    net[0].twin = layer.weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6
    assert len(list(net.children())) == 1 and [name for name, _ in net.named_modules()] == ["", "0"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "0.twin", "1.weight", "1.bias", "1.twin"]


def test_getting_by_dotted_name():
    net = Net()
    assert net.get_submodule("rest.1") is net.rest[1] and net.get_submodule("") is net
    assert net.get_parameter("rest.1.weight") is net.rest[1].weight and net.get_buffer("count") is net.count
    for ask, name in ((net.get_submodule, "rest.2"), (net.get_submodule, "scale"), (net.get_parameter, "count"),
                      (net.get_buffer, "first.weight"), (net.get_parameter, "nothing.weight")):
        with pytest.raises(AttributeError, match=name.split(".")[0] if name.startswith("nothing") else name.split(".")[-1]):
            ask(name)


def test_assignment_rules():
    net = Net()
    with pytest.raises(TypeError, match="first.*is a module.*got int"):
        net.first = 3
    with pytest.raises(TypeError, match="scale is a parameter.*got Tensor"):
        net.scale = pydl.ones(4)
    with pytest.raises(TypeError, match="count is a buffer.*got str"):
        net.count = "x"
    net.count = pydl.tensor([8])
    assert dict(net.named_buffers())["count"].item() == 8
    net.scale = None
    assert "scale" not in dict(net.named_parameters()) and net.scale is None
    net.scale = nn.Parameter(pydl.zeros(4))
    assert "scale" in dict(net.named_parameters())
    net.plain = 5
    net.plain = nn.Linear(1, 1)         # a module takes the place of a plain attribute
    assert [name for name, _ in net.named_children()] == ["first", "rest", "plain"]
    del net.plain, net.count
    assert not hasattr(net, "plain") and "count" not in net.state_dict()
    with pytest.raises(AttributeError):
        net.nothing  # noqa: B018


def test_registering_rules():
    net = Net()
    with pytest.raises(KeyError, match="exists already"):
        net.register_buffer("first", pydl.zeros(1))
    with pytest.raises(KeyError, match="exists already"):
        net.add_module("forward", nn.ReLU())
    with pytest.raises(KeyError, match="without dots"):
        net.add_module("a.b", nn.ReLU())
    with pytest.raises(KeyError, match="without dots"):
        net.register_parameter("", None)
    with pytest.raises(TypeError, match="expected a Parameter or None, got Tensor"):
        net.register_parameter("w", pydl.zeros(1))
    with pytest.raises(TypeError, match="expected a Tensor or None, got list"):
        net.register_buffer("b", [1])
    with pytest.raises(TypeError, match="expected a Module or None, got int"):
        net.add_module("m", 3)

    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)
    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Early()


def test_parameter():
    data = pydl.zeros(2, 2)
    p = nn.Parameter(data)
    assert isinstance(p, pydl.Tensor) and p.requires_grad and p.is_leaf and "Parameter" in repr(p)
    data.fill_(3)
    assert p.tolist() == [[3, 3], [3, 3]]
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    with pytest.raises(TypeError, match="got list"):
        nn.Parameter([1.0])
    q = copy.deepcopy(p)
    q.data.fill_(4)
    assert isinstance(q, nn.Parameter) and q.requires_grad and p[0, 0].item() == 3


# Changing all of it

def test_train_and_eval_reach_all():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net and not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(TypeError, match="bool"):
        net.train("yes")


def test_apply_goes_children_first():
    names = []
    net = Net()
    assert net.apply(lambda m: names.append(type(m).__name__)) is net
    assert names == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_casts_keep_the_parameters_and_cast_the_gradients():
    net = Net()
    before = list(net.parameters())
    net(pydl.ones(1, 3)).sum().backward()
    for change, dtype in ((net.double, pydl.float64), (net.float, pydl.float32), (lambda: net.to(pydl.float64), pydl.float64),
                          (lambda: net.to(pydl.ones(1)), pydl.float32), (lambda: net.to("cpu", dtype=pydl.float64), pydl.float64)):
        assert change() is net
        assert all(a is b and b.dtype is dtype and b.grad.dtype is dtype
                   for a, b in zip(before, net.parameters(), strict=True))
        assert net.scratch.dtype is dtype and net.count.dtype is pydl.int64
        assert net(pydl.ones(1, 3, dtype=dtype)).dtype is dtype
    with pytest.raises(TypeError, match="floating-point"):
        net.to(pydl.int64)
    with pytest.raises(ValueError, match="cuda"):
        net.to("cuda")


def test_requires_grad_and_zero_grad():
    net = Net()
    net(pydl.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(p.grad.abs().sum().item() == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net and not any(p.requires_grad for p in net.parameters())
    assert not net(pydl.ones(1, 3)).requires_grad


def test_deepcopy_shares_nothing():
    net = Net()
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == KEYS and repr(twin) == repr(net)
    twin.first.weight.data.fill_(0)
    twin.rest.append(nn.ReLU())
    assert net.first.weight.abs().sum().item() > 0 and len(net.rest) == 2
    x = pydl.ones(2, 3)
    assert net(x).tolist() != twin(x).tolist()
    assert list(twin.parameters())[1] is twin.first.weight
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    again = copy.deepcopy(tied)
    assert again[0].weight is again[1].weight


def test_repr():
    assert repr(nn.Linear(3, 4)) == "Linear(in_features=3, out_features=4, bias=True)"
    assert repr(nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n  (0): Linear(in_features=3, out_features=4, bias=True)\n  (1): Sequential(\n    (0): ReLU()\n  )\n)")
    assert repr(nn.Sequential()) == "Sequential()"


# State

def test_state_dict():
    net = Net()
    state = net.state_dict()
    assert list(state) == KEYS and not any(t.requires_grad for t in state.values())
    state["scale"].fill_(5)
    assert net.scale.tolist() == [5] * 4         # the same memory
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert next(iter(net.state_dict(prefix="net."))) == "net.scale"


def test_load_state_dict():
    net, other = Net(), Net()
    found = net.load_state_dict(other.state_dict())
    assert found.missing_keys == [] and found.unexpected_keys == []
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert a.tolist() == b.tolist() and a.data_ptr() != b.data_ptr()
    assert net.first.weight.requires_grad and net.first.weight.is_leaf
    net.load_state_dict({name: t.double() if t.is_floating_point() else t for name, t in other.state_dict().items()})
    assert net.scale.dtype is pydl.float32


def test_load_reports_everything_and_changes_nothing():
    net = Net()
    before = {name: t.tolist() for name, t in net.state_dict().items()}
    state = {name: pydl.full(t.shape, 9, dtype=t.dtype) for name, t in net.state_dict().items()}
    del state["scale"], state["count"]
    state["extra"] = pydl.zeros(1)
    state["first.weight"] = pydl.zeros(4, 5)
    state["first.bias"] = [1, 2, 3, 4]
    with pytest.raises(ValueError, match="nothing was changed") as raised:
        net.load_state_dict(state)
    text = str(raised.value)
    for words in ("Net", "missing: scale, count", "unexpected: extra", "first.weight: shape (4, 5)", "(4, 3) in the module",
                  "first.bias: expected a Tensor, got list"):
        assert words in text
    with pytest.raises(ValueError, match="first.weight") as raised:
        net.load_state_dict(state, strict=False)
    assert "missing" not in str(raised.value)
    assert {name: t.tolist() for name, t in net.state_dict().items()} == before
    del state["first.weight"], state["first.bias"]
    found = net.load_state_dict(state, strict=False)
    assert found.missing_keys == ["scale", "count", "first.weight", "first.bias"] and found.unexpected_keys == ["extra"]
    assert net.rest[1].weight.tolist() == [[9] * 4] * 2
    with pytest.raises(TypeError, match="mapping"):
        net.load_state_dict([1])


def test_state_dict_hooks():
    net, calls = Net(), []
    handles = [
        net.first.register_state_dict_pre_hook(lambda module, prefix, keep_vars: calls.append(("pre", prefix, keep_vars))),
        net.first.register_state_dict_post_hook(lambda module, state, prefix, local: state.update({f"{prefix}extra": 1})),
    ]
    assert net.state_dict()["first.extra"] == 1 and calls == [("pre", "first.", False)]
    for handle in handles:
        handle.remove()
    assert list(net.state_dict()) == KEYS

    def rename(module, state, prefix, local, strict, missing, unexpected, errors):
        state[f"{prefix}weight"] = state.pop(f"{prefix}old")
    net.first.register_load_state_dict_pre_hook(rename)
    net.register_load_state_dict_post_hook(lambda module, keys: calls.append(keys))
    state = {name.replace("first.weight", "first.old"): t for name, t in Net().state_dict().items()}
    net.load_state_dict(state)
    assert "first.old" in state and calls[-1] == ([], [])
    assert net.first.weight.tolist() == state["first.old"].tolist()


# Hooks

def test_forward_hooks():
    net, calls = nn.Linear(2, 2), []
    first = net.register_forward_pre_hook(lambda module, inputs: calls.append("pre"))
    second = net.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 0,), prepend=True)
    third = net.register_forward_hook(lambda module, inputs, output: output + 1)
    assert net(pydl.ones(1, 2)).tolist() == [(net.bias + 1).tolist()]
    assert calls == ["pre"]
    for handle in (first, second, third):
        handle.remove()
    with net.register_forward_hook(lambda *_: calls.append("with")):
        net(pydl.ones(1, 2))
    net(pydl.ones(1, 2))
    assert calls == ["pre", "with"]
    with pytest.raises(TypeError, match="expected a function"):
        net.register_forward_hook(3)


def test_forward_hooks_with_named_arguments_and_when_forward_raises():
    class Scale(nn.Module):
        def forward(self, x, *, by):
            return x * by

    net, calls = Scale(), []
    net.register_forward_pre_hook(lambda module, inputs, named: (inputs, {"by": named["by"] + 1}), with_kwargs=True)
    net.register_forward_hook(lambda module, inputs, named, output: calls.append(named), with_kwargs=True)
    net.register_forward_hook(lambda module, inputs, output: calls.append(output), always_call=True)
    assert net(pydl.ones(1), by=2).tolist() == [3] and calls[0] == {"by": 3}
    with pytest.raises(TypeError):
        net(object(), by=2)
    assert calls[-1] is None


def test_full_backward_hooks():
    net, calls = nn.Linear(2, 3), []
    net.register_full_backward_pre_hook(lambda module, grad_output: calls.append(("pre", grad_output)))
    handle = net.register_full_backward_hook(lambda module, grad_input, grad_output: calls.append((grad_input, grad_output)))
    x = pydl.ones(1, 2, requires_grad=True)
    (x * 2).sum()
    (net(x) * 5).sum().backward()
    assert calls[0][0] == "pre" and calls[0][1][0].tolist() == [[5, 5, 5]]
    (grad_input,), (grad_output,) = calls[1]
    assert grad_output.tolist() == [[5, 5, 5]] and grad_input.tolist() == x.grad.tolist()
    net(pydl.ones(1, 2)).sum().backward()       # the input wants no gradient
    assert calls[3][0] == (None,) and calls[3][1][0].tolist() == [[1, 1, 1]]
    handle.remove()
    net.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] * 0,))
    x.grad = None
    net(x).sum().backward()
    assert x.grad.tolist() == [[0, 0]]
    with pydl.no_grad():
        net(x)


def test_backward_hooks_with_second_derivatives_and_several_inputs():
    class Product(nn.Module):
        def forward(self, a, b, times):
            return a * b * times, a + b

    net, calls = Product(), []
    net.register_full_backward_hook(lambda module, grad_input, grad_output: calls.append((grad_input, grad_output)))
    a, b = pydl.tensor([2.0], requires_grad=True), pydl.tensor([5.0], requires_grad=True)
    first, _ = net(a, b, 3)
    da, db = pydl.autograd.grad(first, (a, b), create_graph=True)
    assert (da.item(), db.item()) == (15, 6)
    (grad_input, grad_output), = calls
    assert [None if g is None else g.item() for g in grad_input] == [15, 6, None]
    assert grad_output[0].item() == 1 and len(grad_output) == 2
    (da * da).sum().backward()
    assert b.grad.item() == 2 * 15 * 3


def test_call_without_forward():
    with pytest.raises(NotImplementedError, match="Module: forward is not defined"):
        nn.Module()(1)


# Sequential

def test_sequential():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    net = nn.Sequential(a, b, c)
    assert len(net) == 3 and list(net) == [a, b, c] and net[0] is a and net[-1] is c
    assert list(net[1:]) == [b, c] and list(net[1:].state_dict()) == ["2.weight", "2.bias"]
    x = pydl.ones(4, 2)
    assert net(x).tolist() == c(b(a(x))).tolist()
    for index in (3, -4):
        with pytest.raises(IndexError, match="out of range: there are 3"):
            net[index]
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh) and next(iter(net)) is a
    del net[1]
    assert list(net) == [a, c] and list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert net.append(b) is net and net[2] is b
    net.insert(1, b)
    assert list(net) == [a, b, c, b] and net.pop(3) is b and len(net) == 3
    net.extend([b, b])
    assert len(net + nn.Sequential(a)) == 6 and len(net) == 5
    del net[1:]
    assert list(net) == [a]
    with pytest.raises(TypeError):
        net.append(3)


def test_sequential_with_names():
    net = nn.Sequential({"in": nn.Linear(2, 3), "out": nn.Linear(3, 1)})
    assert list(net.state_dict()) == ["in.weight", "in.bias", "out.weight", "out.bias"]
    assert net[1] is net.out and net[:1].get_submodule("in") is net[0]
