"""state_dict and load_state_dict beyond the ordinary: assign, hooks, extra state, what happens when they raise."""

import inspect

import numpy as np
import pytest

import pydl
from pydl import nn


class Net(nn.Module):
    """A buffer before the parameter, an unsaved buffer, a child."""

    def __init__(self, start=0.0):
        super().__init__()
        self.register_buffer("count", pydl.tensor([int(start)]))
        self.register_buffer("scratch", pydl.full((2,), start), persistent=False)
        self.weight = nn.Parameter(pydl.full((2,), start))
        self.child = nn.Linear(2, 2)
        with pydl.no_grad():
            for p in self.child.parameters():
                p.fill_(start)


KEYS = ["weight", "count", "child.weight", "child.bias"]


def values(net):
    return {name: t.tolist() for name, t in net.state_dict().items()} | {"scratch": net.scratch.tolist()}


def test_parameters_come_before_buffers_and_unsaved_buffers_do_not_come():
    assert list(Net().state_dict()) == KEYS
    found = Net().load_state_dict({**Net().state_dict(), "scratch": pydl.zeros(2)}, strict=False)
    assert found.unexpected_keys == ["scratch"] and found.missing_keys == []


def test_what_is_returned():
    net = Net()
    found = net.load_state_dict(Net(1.0).state_dict())
    assert isinstance(found, tuple) and found._fields == ("missing_keys", "unexpected_keys") and found == ([], [])
    assert repr(found) == "<All keys matched successfully>"
    found = net.load_state_dict({"weight": pydl.ones(2), "x": pydl.ones(1)}, False)
    assert repr(found) == "IncompatibleKeys(missing_keys=['count', 'child.weight', 'child.bias'], unexpected_keys=['x'])"


def test_assign_puts_the_given_tensors_in_place():
    net, given = Net(), Net(3.0).double().state_dict()
    given["child.bias"] = nn.Parameter(given["child.bias"])
    given["count"] = nn.Parameter(given["count"], requires_grad=False)
    net.weight.requires_grad_(False)
    old = net.weight
    assert net.load_state_dict(given, assign=True) == ([], [])
    assert net.weight is not old and isinstance(net.weight, nn.Parameter) and net.weight.dtype is pydl.float64
    assert net.weight.data_ptr() == given["weight"].data_ptr() and net.child.bias is given["child.bias"]
    assert not net.weight.requires_grad and net.child.weight.requires_grad and old.tolist() == [0, 0]
    assert values(net) == values(Net(3.0)) | {"scratch": [0, 0]}
    assert [name for name, _ in net.named_buffers()] == ["count", "scratch"] and list(net.state_dict()) == KEYS
    bad = dict(given, weight=pydl.ones(3))
    with pytest.raises(ValueError, match=r"weight: shape \(3,\) in the state dict, but \(2,\) in the module"):
        net.load_state_dict(bad, assign=True)
    with pytest.raises(ValueError, match=r"child.weight: pydl.int64 .* must be floating-point"):
        net.load_state_dict(dict(given, **{"child.weight": pydl.ones(2, 2, dtype=pydl.int64)}), assign=True)
    assert net.child.bias is given["child.bias"]


def test_what_lies_in_one_place_cannot_be_written():
    net = nn.Module()
    net.register_buffer("first", pydl.zeros(2))
    net.register_buffer("wide", pydl.zeros(1).expand(3))
    given = {"first": pydl.ones(2), "wide": pydl.ones(3)}
    with pytest.raises(ValueError, match="wide: .*several elements in one place; use assign=True"):
        net.load_state_dict(given)
    assert net.first.tolist() == [0, 0]
    net.load_state_dict(given, assign=True)
    assert net.wide is given["wide"]


@pytest.mark.parametrize("assign", [False, True])
def test_a_hook_that_raises_after_loading_changes_nothing(assign):
    net = Net()
    before, tensors = values(net), [*net.parameters(), *net.buffers()]

    def fail(module, keys):
        assert net.weight.tolist() == [5, 5]        # it is called once all is loaded
        raise KeyError("no")
    handle = net.register_load_state_dict_post_hook(fail)
    with pytest.raises(KeyError, match="no"):
        net.load_state_dict(Net(5.0).state_dict(), assign=assign)
    assert values(net) == before and all(a is b for a, b in zip(tensors, [*net.parameters(), *net.buffers()], strict=True))
    handle.remove()
    net.load_state_dict(Net(5.0).state_dict(), assign=assign)
    assert net.weight.tolist() == [5, 5]


def test_post_hooks_settle_what_is_missing():
    net, given = Net(), Net(4.0).state_dict()
    del given["count"]
    given["old"] = pydl.ones(1)
    order = []

    def settle(module, keys):
        order.append("parent")
        keys.missing_keys.remove("count")
        keys.unexpected_keys.remove("old")
    handle = net.register_load_state_dict_post_hook(settle)
    net.child.register_load_state_dict_post_hook(lambda module, keys: order.append((list(keys.missing_keys), list(keys.unexpected_keys))))
    assert net.load_state_dict(given) == ([], []) and order == [(["count"], ["old"]), "parent"]
    assert net.weight.tolist() == [4, 4]
    handle.remove()
    del given["weight"]
    before = values(net)
    given["child.bias"] = pydl.full((2,), 9.0)
    with pytest.raises(ValueError, match="missing: weight, count\n  unexpected: old"):      # the child's hook settles nothing
        net.load_state_dict(given)
    assert values(net) == before
    net.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.append("more"))
    with pytest.raises(ValueError, match="missing: more"):
        net.load_state_dict(Net(7.0).state_dict())
    assert values(net) == before


def test_pre_hooks_may_report():
    net = Net()

    def judge(module, given, prefix, local, strict, missing, unexpected, errors):
        assert prefix == "child." and local == {} and strict
        missing.append("a")
        unexpected.append("b")
        errors.append("c is odd")
    net.child.register_load_state_dict_pre_hook(judge)
    with pytest.raises(ValueError, match="missing: a\n  unexpected: b\n  c is odd"):
        net.load_state_dict(Net(1.0).state_dict())
    assert net.weight.tolist() == [0, 0]


def test_state_dict_hooks_run_around_their_module():
    net, calls = Net(), []
    for name, module in (("net", net), ("child", net.child)):
        module.register_state_dict_pre_hook(lambda m, prefix, keep_vars, name=name: calls.append((name, prefix, keep_vars)))
        module.register_state_dict_post_hook(lambda m, state, prefix, local, name=name: calls.append((name, list(state))))
    net.state_dict(prefix="n.", keep_vars=True)
    keys = ["n." + key for key in KEYS]
    assert calls == [("net", "n.", True), ("child", "n.child.", True), ("child", keys), ("net", keys)]
    net.register_state_dict_post_hook(lambda m, state, prefix, local: {})
    with pytest.raises(TypeError, match="returns None, got dict"):
        net.state_dict()


def test_a_child_may_define_its_own_state_dict():
    class Silent(nn.Linear):
        def state_dict(self, *, destination=None, prefix="", keep_vars=False):
            return {} if destination is None else destination

    assert list(nn.Sequential(nn.Linear(1, 1), Silent(1, 1)).state_dict()) == ["0.weight", "0.bias"]


class Counter(nn.Module):
    """Something in the state that is no tensor."""

    def __init__(self, steps=0):
        super().__init__()
        self.steps = steps
        self.weight = nn.Parameter(pydl.zeros(1))

    def get_extra_state(self):
        return {"steps": self.steps}

    def set_extra_state(self, state):
        if state["steps"] < 0:
            raise ValueError("negative")
        self.steps = state["steps"]


def test_extra_state():
    net = nn.Sequential(Counter(3))
    given = net.state_dict()
    assert list(given) == ["0.weight", "0._extra_state"] and given["0._extra_state"] == {"steps": 3}
    other = nn.Sequential(Counter())
    assert other.load_state_dict(given) == ([], []) and other[0].steps == 3
    with pytest.raises(ValueError, match="missing: 0._extra_state"):
        other.load_state_dict({"0.weight": pydl.ones(1)})
    with pytest.raises(ValueError, match="negative"):
        other.load_state_dict({"0.weight": pydl.ones(1), "0._extra_state": {"steps": -1}})
    other.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.append("x"))
    with pytest.raises(ValueError, match="missing: x"):
        other.load_state_dict({"0.weight": pydl.ones(1), "0._extra_state": {"steps": 8}})
    assert other[0].weight.tolist() == [0] and other[0].steps == 3
    with pytest.raises(ValueError, match="unexpected: _extra_state"):
        nn.ReLU().load_state_dict({"_extra_state": 1})
    for call in (nn.Module().get_extra_state, lambda: nn.Module().set_extra_state(1)):
        with pytest.raises(NotImplementedError, match="Module: .et_extra_state is not defined"):
            call()


# Beside the state

def test_train_calls_the_train_of_children():
    class Frozen(nn.Module):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(nn.Sequential(Frozen(), nn.ReLU()))
    assert net.train() is net
    assert [m.training for m in net.modules()] == [True, True, False, True]


def test_set_submodule():
    net, new = nn.Sequential(nn.Sequential(nn.ReLU())), nn.Tanh()
    net.set_submodule("0.0", new)
    net.set_submodule("0.more", new)
    net.set_submodule("0.0", new, strict=True)
    assert [name for name, _ in net.named_modules(remove_duplicate=False)] == ["", "0", "0.0", "0.more"] and net[0][0] is new
    for target, strict in (("0.other", True), ("1.0", False), ("0.training", False), ("0.forward", False)):
        with pytest.raises(AttributeError, match=f"has no module {target.split('.')[0] if target == '1.0' else target.split('.')[1]!r}"):
            net.set_submodule(target, new, strict)
    with pytest.raises(ValueError, match="set_submodule: expected a name"):
        net.set_submodule("", new)
    with pytest.raises(TypeError, match="set_submodule: 0.0: expected a Module, got int"):
        net.set_submodule("0.0", 3)


# Parity

METHODS = ["Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Identity", "Unflatten", "Module"]
# No other device, no narrower float, no TorchScript; `register_backward_hook` is deprecated in favour of the full one.
ABSENT = {"NAMED_SHAPE", "T_destination", "bfloat16", "call_super_init", "compile", "cuda", "dump_patches", "half", "ipu", "mtia",
          "register_backward_hook", "share_memory", "to_empty", "type", "xpu"}
LOOSER = {"forward", "to", "state_dict"}        # PyTorch's take *args for what is deprecated or checked within


@pytest.mark.parity
@pytest.mark.parametrize("name", METHODS)
def test_public_methods_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    there = {key for key in dir(theirs) if not key.startswith("_")}
    assert there - set(dir(ours)) <= ABSENT
    mine, other = ({key: [(p.name, p.default) for p in inspect.signature(getattr(cls, key)).parameters.values()]
                    for key in there - ABSENT - LOOSER if inspect.isfunction(getattr(theirs, key))} for cls in (ours, theirs))
    assert {key: (mine[key], other[key]) for key in mine if mine[key] != other[key]} == {}


@pytest.mark.parity
@pytest.mark.parametrize("strict", [True, False])
def test_missing_and_unexpected_are_pytorchs(strict):
    torch = pytest.importorskip("torch")
    said = []
    for package in (pydl, torch):
        net = package.nn.Sequential(package.nn.Linear(2, 2), package.nn.Sequential(package.nn.Linear(2, 1, bias=False)))
        net.register_buffer("b", package.zeros(1))
        given = {"0.weight": package.ones(2, 2), "1.0.bias": package.ones(1), "2.x": package.ones(1), "b": package.ones(1)}
        try:
            found = net.load_state_dict(given, strict)
        except (ValueError, RuntimeError) as error:
            assert strict and all(key in str(error) for key in ("0.bias", "1.0.weight", "1.0.bias", "2.x"))
            continue
        said.append((sorted(found.missing_keys), sorted(found.unexpected_keys), net.state_dict()["0.weight"].tolist()))
    assert said == [] if strict else said[0] == said[1]


@pytest.mark.parity
def test_state_passes_to_pytorch_and_back():
    torch = pytest.importorskip("torch")
    net, other = (package.nn.ModuleDict({"a": package.nn.Linear(3, 2), "p": package.nn.ParameterList([package.ones(2)])})
                  for package in (pydl, torch))
    other.load_state_dict({name: torch.from_numpy(t.numpy().copy()) for name, t in net.state_dict().items()})
    back = {name: pydl.from_numpy(t.numpy() + 1) for name, t in other.state_dict().items()}
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    net.load_state_dict(back)
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name] + 1)
