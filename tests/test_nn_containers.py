"""Modules and parameters in lists and dicts: against plain lists and dicts here, against PyTorch where it is installed."""

import copy
from collections import OrderedDict

import numpy as np
import pytest

import pydl
from pydl import nn


def layers(count):
    return [nn.Linear(2, 2) for _ in range(count)]


def names(module):
    return [name for name, _ in module.named_children()]


# Sequential

def test_sequential_is_repeated_by_multiplication():
    a, b = nn.Linear(2, 2), nn.ReLU()
    net = nn.Sequential(a, b)
    for made in (net * 3, 3 * net):
        assert list(made) == [a, b] * 3 and len(list(made.parameters())) == 2 and len(net) == 2
    same = net
    same *= 2
    assert same is net and list(net) == [a, b, a, b]
    x = pydl.ones(3, 2)
    assert net(x).tolist() == b(a(b(a(x)))).tolist()
    for times in (0, -1):
        with pytest.raises(ValueError, match=f"1 or more times, got {times}"):
            net * times
        with pytest.raises(ValueError, match=f"1 or more times, got {times}"):
            net *= times
    for other in (2.0, "2", None):
        with pytest.raises(TypeError):
            net * other
    with pytest.raises(TypeError):
        net + [a]
    with pytest.raises(TypeError):
        net += [a]


def test_append_to_a_slice_overwrites_nothing():
    a, b, c, d = layers(4)
    part = nn.Sequential(a, b, c)[1:]
    part.append(d)
    assert list(part) == [b, c, d] and names(part) == ["1", "2", "3"]


def test_sequential_pops_slices_and_refuses():
    made = layers(4)
    net = nn.Sequential(*made)
    assert list(net.pop(slice(0, 2))) == made[:2] and list(net) == made[2:]
    for index in (3, -3):
        with pytest.raises(IndexError, match="Sequential.insert: index .* there are 2"):
            net.insert(index, nn.ReLU())
    assert net.insert(-2, made[0]) is net and list(net) == [made[0], *made[2:]]
    with pytest.raises(TypeError, match="Sequential.insert: expected a Module, got int"):
        net.insert(0, 3)
    with pytest.raises(TypeError, match="Sequential.extend: expected an iterable of modules, got Linear"):
        net.extend(made[0])
    assert list(net) == [made[0], *made[2:]]


# ModuleList

def test_module_list_behaves_as_a_list():
    made = layers(8)
    ours, plain, more = nn.ModuleList(made[:4]), made[:4], [nn.ReLU(), nn.Tanh()]

    def same():
        assert list(ours) == plain and len(ours) == len(plain) and names(ours) == [str(i) for i in range(len(plain))]

    same()
    for index in (0, 2, -1, -4, np.int64(1)):
        assert ours[index] is plain[index]
    for part in (slice(1, 3), slice(None, None, -1), slice(5, 9), slice(0, -1, 2)):
        assert isinstance(ours[part], nn.ModuleList) and list(ours[part]) == plain[part]
        assert names(ours[part]) == [str(i) for i in range(len(plain[part]))]
    for change in (lambda x: x.append(made[4]), lambda x: x.insert(1, made[5]), lambda x: x.insert(-1, made[6]),
                   lambda x: x.insert(len(x), made[7]), lambda x: x.extend(iter(more)), lambda x: x.pop(2), lambda x: x.pop(-1),
                   lambda x: x.__delitem__(0), lambda x: x.__delitem__(slice(1, 3)), lambda x: x.__setitem__(-1, made[0])):
        change(ours)
        change(plain)
        same()
    both = ours + [made[0]]
    assert list(both) == [*plain, made[0]]
    same()
    ours += [made[1]]
    plain += [made[1]]
    same()
    assert list(ours.pop(slice(0, 2))) == plain[:2] and list(ours) == plain[2:]


def test_module_list_returns():
    net = nn.ModuleList()
    assert net.append(nn.ReLU()) is net and net.extend([nn.ReLU()]) is net and net.insert(0, nn.ReLU()) is None
    assert nn.ModuleList(None)[:].__class__ is nn.ModuleList


def test_module_list_registers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.steps = nn.ModuleList(layers(2))

        def forward(self, x):
            for step in self.steps:
                x = step(x)
            return x

    net = Net()
    assert list(net.state_dict()) == ["steps.0.weight", "steps.0.bias", "steps.1.weight", "steps.1.bias"]
    net(pydl.ones(1, 2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    twin = copy.deepcopy(net)
    twin.steps.append(nn.ReLU())
    assert len(net.steps) == 2 and twin.steps[0] is not net.steps[0]
    assert "0" not in dir(net.steps)


def test_module_list_refuses():
    net = nn.ModuleList(layers(2))
    for index in (2, -3):
        with pytest.raises(IndexError, match=f"ModuleList: index {index} is out of range: there are 2 modules"):
            net[index]
        with pytest.raises(IndexError, match="out of range"):
            net[index] = nn.ReLU()
        with pytest.raises(IndexError, match="out of range"):
            del net[index]
    with pytest.raises(IndexError, match="ModuleList.insert"):
        net.insert(5, nn.ReLU())
    with pytest.raises(TypeError, match="ModuleList.extend: expected an iterable of modules, got int"):
        nn.ModuleList(3)
    with pytest.raises(TypeError, match="expected a Module or None, got int"):
        net.append(3)
    with pytest.raises(TypeError):
        net["0"]
    with pytest.raises(NotImplementedError, match="ModuleList: forward is not defined"):
        net(pydl.ones(1))
    assert len(net) == 2


# ModuleDict

def test_module_dict_behaves_as_a_dict():
    a, b, c, d, e, f, g = layers(7)
    ours, plain = nn.ModuleDict({"one": a, "two": b}), {"one": a, "two": b}

    def same():
        assert list(ours) == list(plain) and list(ours.items()) == list(plain.items()) and len(ours) == len(plain)
        assert list(ours.keys()) == list(plain.keys()) and list(ours.values()) == list(plain.values()) and names(ours) == list(plain)

    same()
    for change in (lambda x: x.__setitem__("three", c), lambda x: x.__setitem__("one", d), lambda x: x.update({"two": a, "four": e}),
                   lambda x: x.update([("five", f), ["six", g]]), lambda x: x.pop("two"), lambda x: x.__delitem__("one")):
        change(ours)
        change(plain)
        same()
    ours.update(nn.ModuleDict({"z": a, "y": b}))
    assert list(ours)[-2:] == ["z", "y"] and ours.y is b and "y" in ours and "x" not in ours and 3 not in ours
    assert list(ours.state_dict())[-2:] == ["y.weight", "y.bias"]
    ours.clear()
    assert len(ours) == 0 and list(ours) == [] and repr(ours) == "ModuleDict()"


def test_module_dict_refuses():
    net = nn.ModuleDict({"a": nn.ReLU()})
    for key in ("keys", "training", "forward", "a.b", ""):
        with pytest.raises(KeyError):
            net[key] = nn.ReLU()
    for call in (lambda: net["b"], lambda: net.pop("b"), lambda: net.__delitem__("b")):
        with pytest.raises(KeyError, match="b"):
            call()
    with pytest.raises(TypeError, match="expected a str, got int"):
        net[1] = nn.ReLU()
    with pytest.raises(TypeError, match="expected a Module or None, got int"):
        net["b"] = 3
    with pytest.raises(TypeError, match="expected a mapping or pairs of name and value, got int"):
        net.update(3)
    with pytest.raises(TypeError, match="element 0: expected a pair of name and value, got ReLU"):
        net.update([nn.ReLU()])
    with pytest.raises(TypeError, match="element 0: .* got str"):
        net.update(["ab"])
    with pytest.raises(ValueError, match="element 1: .* got 3 values"):
        net.update([("b", nn.ReLU()), ("c", nn.ReLU(), 1)])
    assert list(net) == ["a"]


# ParameterList, ParameterDict

def test_parameter_list():
    w = nn.Parameter(pydl.zeros(2))
    t = pydl.ones(3)
    net = nn.ParameterList([w, t, "text"])
    assert net[0] is w and isinstance(net[1], nn.Parameter) and net[1].data_ptr() == t.data_ptr() and net[-1] == "text"
    assert [name for name, _ in net.named_parameters()] == ["0", "1"] == list(net.state_dict()) and len(net) == 3
    assert net.append(5) is net and net.extend([t]) is net and [type(v).__name__ for v in net] == [
        "Parameter", "Parameter", "str", "int", "Parameter"]
    net += (1, 2)
    assert len(net) == 7 and net[5:][1] == 2 and isinstance(net[:1], nn.ParameterList) and net[:1][0] is w
    net[0] = pydl.ones(4)
    assert net[0].shape == (4,) and net[0].requires_grad and list(net.state_dict()) == ["0", "1", "4"]
    net[3] = 6
    assert net[3] == 6
    twin = copy.deepcopy(net)
    assert len(twin) == 7 and twin[0] is not net[0] and list(twin.state_dict()) == list(net.state_dict())


def test_parameter_list_refuses():
    net = nn.ParameterList([pydl.ones(2)])
    for index in (1, -2):
        with pytest.raises(IndexError, match=f"ParameterList: index {index} is out of range: there are 1 values"):
            net[index]
    for values in (pydl.ones(2), 3):
        with pytest.raises(TypeError, match="ParameterList.extend: expected an iterable of values"):
            net.extend(values)
    with pytest.raises(TypeError, match="0 is a parameter: expected a Parameter or None, got int"):
        net[0] = 3
    with pytest.raises(RuntimeError, match="ParameterList: cannot be called"):
        net(1)
    assert len(net) == 1


def test_parameter_dict():
    w, t = nn.Parameter(pydl.zeros(2)), pydl.ones(3)
    net = nn.ParameterDict({"w": w, "a": t, "n": 5})
    assert list(net) == ["a", "n", "w"] and list(nn.ParameterDict(OrderedDict(w=w, a=t))) == ["w", "a"]     # PyTorch's orders
    assert net["w"] is w and net.w is w and isinstance(net["a"], nn.Parameter) and net["a"].data_ptr() == t.data_ptr()
    assert [name for name, _ in net.named_parameters()] == ["a", "w"] == list(net.state_dict())
    assert list(net.keys()) == ["a", "n", "w"] and list(net.values())[1] == 5 and list(net.items())[2] == ("w", w)
    assert list(reversed(net)) == ["w", "n", "a"] and "w" in net and "x" not in net and len(net) == 3
    assert net.get("x") is None and net.get("x", 3) == 3 and net.get("n", 3) == 5
    assert isinstance(net.setdefault("d", t), nn.Parameter) and net.setdefault("n", 6) == 5
    other = net.copy()
    assert list(other) == list(net) and other["w"] is w and other is not net
    assert net.pop("n") == 5 and "n" not in net and not hasattr(net, "n")
    assert net.popitem()[0] == "d" and list(net) == ["a", "w"]
    assert list(other.fromkeys(["x", "y"], 4).items()) == [("x", 4), ("y", 4)]
    one, two = nn.ParameterDict({"a": 1, "b": 2}), nn.ParameterDict({"b": 3, "c": 4})
    assert dict((one | two).items()) == {"a": 1, "b": 3, "c": 4} and dict(one.items()) == {"a": 1, "b": 2}
    assert dict(({"b": 3, "c": 4} | one).items()) == {"b": 2, "c": 4, "a": 1}
    one |= two
    assert dict(one.items()) == {"a": 1, "b": 3, "c": 4}
    one.clear()
    assert len(one) == 0 and list(one) == [] and not hasattr(one, "a")


def test_parameter_dict_refuses():
    net = nn.ParameterDict({"w": pydl.ones(2)})
    for key in ("keys", "training", "a.b", ""):
        for value in (pydl.ones(1), 5):
            with pytest.raises(KeyError):
                net[key] = value
    for value in (pydl.ones(1), 5):
        with pytest.raises(TypeError, match="expected a str, got int"):
            net[1] = value
    for call in (lambda: net["b"], lambda: net.pop("b"), lambda: net.__delitem__("b"), lambda: net["keys"],
                 lambda: nn.ParameterDict().popitem()):
        with pytest.raises(KeyError):
            call()
    with pytest.raises(TypeError, match="ParameterDict.update: expected a mapping"):
        net.update(pydl.ones(2))
    with pytest.raises(RuntimeError, match="ParameterDict: cannot be called"):
        net(1)
    assert list(net) == ["w"] and callable(net.keys)


def test_parameters_in_containers_are_trained():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.list = nn.ParameterList([pydl.ones(2), pydl.ones(2)])
            self.dict = nn.ParameterDict({"w": pydl.ones(2)})

        def forward(self, x):
            return x * self.list[0] * self.list[1] * self.dict["w"]

    net = Net()
    assert list(net.state_dict()) == ["list.0", "list.1", "dict.w"]
    optimizer = pydl.optim.SGD(net.parameters(), lr=0.5)
    net(pydl.ones(2)).sum().backward()
    optimizer.step()
    assert [p.tolist() for p in net.parameters()] == [[0.5, 0.5]] * 3


# Unflatten, Identity

def test_identity_and_unflatten():
    x = pydl.ones(2, 12, requires_grad=True)
    assert nn.Identity(1, "a", key=2)(x) is x
    layer = nn.Unflatten(-1, [3, -1])
    assert layer(x).shape == (2, 3, 4) and repr(layer) == "Unflatten(dim=-1, unflattened_size=(3, -1))"
    layer(x).sum().backward()
    assert x.grad.tolist() == [[1] * 12] * 2
    with pytest.raises(ValueError, match="unflatten"):
        nn.Unflatten(1, (5, 3))(x)
    for dim, size in ((1.5, (3, 4)), ("1", (3, 4)), (1, (3, 4.0)), (1, 12)):
        with pytest.raises(TypeError, match="Unflatten: "):
            nn.Unflatten(dim, size)


# Repr

def test_repr():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ReLU()
            self.register_module("none", None)

        def extra_repr(self):
            return "one=1\ntwo=2"

    assert repr(Odd()) == "Odd(\n  one=1\n  two=2\n  (inner): ReLU()\n  (none): None\n)"
    assert repr(nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()])) == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)"
    assert repr(nn.ModuleList()) == "ModuleList()"
    assert repr(nn.ParameterList([pydl.ones(2, 3), 5])) == (
        "ParameterList(\n    (0): Parameter containing: [pydl.float32 of size 2x3]\n    (1): Object of type: int\n)")


# Parity

def story(package):
    """One tale told with PyTorch or pydl: everything that can be written down about it."""
    n, said = package.nn, []

    def note(module):
        said.extend([repr(module), list(module.state_dict()), [name for name, _ in module.named_modules()], len(module)])

    seq = n.Sequential(n.Linear(2, 3), n.ReLU(), n.Linear(3, 2))
    note(seq)
    note(seq[1:])
    note(seq * 2)
    note(seq + n.Sequential(n.Tanh()))
    seq.insert(1, n.Identity())
    note(seq)
    del seq[0:3:2]
    note(seq)
    seq *= 2
    note(seq)
    blocks = n.ModuleList([n.Sequential(n.Linear(2, 2), n.ReLU()) for _ in range(3)])
    note(blocks)
    blocks.insert(1, n.Unflatten(1, (1, 2)))
    blocks += [n.Linear(2, 2)]
    note(blocks)
    note(blocks[::2])
    blocks.pop(-1)
    del blocks[1]
    note(blocks)
    named = n.ModuleDict([("relu", n.ReLU()), ("list", blocks)])
    named.update({"b": n.Linear(1, 1), "a": None, "relu": n.Tanh()})
    note(named)
    named.pop("list")
    note(named)
    values = n.ParameterList([package.ones(2, 3), 4, n.Parameter(package.ones(()), requires_grad=False)])
    values += [package.ones(1, dtype=package.float64)]
    note(values)
    note(values[1:])
    table = n.ParameterDict({"w": package.ones(2), "a": package.ones(3)})
    table.update(OrderedDict([("z", package.ones(1)), ("b", 3)]))
    said.extend([list(table.items())[3][0], list(table.state_dict()), list(table | n.ParameterDict({"c": package.ones(1)}))])
    table.popitem()
    said.append(list(table))
    return [text.replace("torch.", "pydl.") if isinstance(text, str) else text for text in said]


@pytest.mark.parity
def test_containers_are_pytorchs():
    torch = pytest.importorskip("torch")
    assert story(pydl) == story(torch)
