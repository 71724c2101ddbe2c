"""Hooks around forward and backward: order, what they return, what they do when something raises."""

import copy
from collections import namedtuple

import numpy as np
import pytest

import pydl
from pydl import nn

Pair = namedtuple("Pair", "left right")


class Scale(nn.Module):
    """x by a number; two outputs if asked; text if asked."""

    def forward(self, x, by=2, pair=False, text=False):
        return "text" if text else Pair(x * by, x + by) if pair else x * by


def test_order_and_prepend():
    net, calls = Scale(), []
    for name in "ab":
        net.register_forward_pre_hook(lambda m, i, name=name: calls.append(f"pre {name}"))
        net.register_forward_hook(lambda m, i, o, name=name: calls.append(f"post {name}"))
    net.register_forward_pre_hook(lambda m, i: calls.append("pre first"), prepend=True)
    net.register_forward_hook(lambda m, i, o: calls.append("post first"), prepend=True)
    net(pydl.ones(1))
    assert calls == ["pre first", "pre a", "pre b", "post first", "post a", "post b"]


def test_hooks_hand_on_what_they_return():
    net = Scale()
    net.register_forward_pre_hook(lambda m, inputs: inputs[0] + 1)
    net.register_forward_pre_hook(lambda m, inputs, named: ((inputs[0] * 10,), {"by": 3}), with_kwargs=True)
    net.register_forward_hook(lambda m, inputs, output: output + inputs[0])
    net.register_forward_hook(lambda m, inputs, named, output: output + named["by"], with_kwargs=True)
    assert net(pydl.ones(1)).tolist() == [20 * 3 + 20 + 3]
    bad = Scale()
    bad.register_forward_pre_hook(lambda m, inputs, named: inputs, with_kwargs=True)
    with pytest.raises(TypeError, match=r"register_forward_pre_hook: with_kwargs: expected None or \(inputs, named\), got tuple"):
        bad(pydl.ones(1))


def test_a_hook_may_remove_itself_and_copies_have_hooks_of_their_own():
    net, calls = Scale(), []

    def once(module, inputs):
        calls.append(1)
        handle.remove()
        handle.remove()
    handle = net.register_forward_pre_hook(once)
    net(pydl.ones(1))
    net(pydl.ones(1))
    assert calls == [1]
    net.register_forward_hook(lambda m, i, o: o + 1)
    twin = copy.deepcopy(net)
    twin.register_forward_hook(lambda m, i, o: o + 1)
    assert net(pydl.ones(1)).item() == 3 and twin(pydl.ones(1)).item() == 4


def test_always_call_hides_no_error():
    net, calls = Scale(), []

    def fail(module, inputs, output):
        calls.append("fails")
        raise KeyError("hook")
    net.register_forward_hook(lambda m, i, o: calls.append("not called"))
    net.register_forward_hook(fail, always_call=True)
    net.register_forward_hook(lambda m, i, o: calls.append(o), always_call=True)
    with pytest.warns(UserWarning, match="always_call=True raised, after forward had: KeyError"), pytest.raises(TypeError, match="unsupported"):
        net(object())
    assert calls == ["fails", None]
    calls.clear()
    with pytest.raises(KeyError, match="hook"):         # forward did not raise: the hook's error is the error
        net(pydl.ones(1))
    assert calls[:2] == ["not called", "fails"]


def test_backward_hooks_must_return_as_many_gradients():
    x = pydl.ones(2, requires_grad=True)
    for register, words in (("register_full_backward_hook", "expected None or 3 gradients, got 2"),
                            ("register_full_backward_pre_hook", "expected None or 1 gradients, got 2")):
        net = Scale()
        getattr(net, register)(lambda m, *gradients: (gradients[0][0], None))
        with pytest.raises(ValueError, match=f"{register}: {words}"):
            net(x, 2, False).sum().backward()
    net = Scale()
    net.weight = nn.Parameter(pydl.ones(2))
    net.register_full_backward_hook(lambda m, dx, dy: (dy[0],))
    with pytest.raises(ValueError, match="no input requires grad: expected None, got gradients"):
        net(pydl.ones(2), by=net.weight).sum().backward()


def test_backward_hooks_and_outputs():
    net, calls = Scale(), []
    net.register_full_backward_hook(lambda m, dx, dy: calls.append((dx[0].tolist(), [None if g is None else g.tolist() for g in dy])))
    x = pydl.ones(2, requires_grad=True)
    out = net(x, pair=True)
    assert isinstance(out, Pair)
    (out.left * 3).sum().backward()
    assert calls == [([6, 6], [[3, 3], None])]
    with pytest.warns(UserWarning, match="Scale: backward hooks see outputs that are a Tensor or a tuple, not str"):
        assert net(x, text=True) == "text"
    with pydl.no_grad():
        assert not net(x).requires_grad
    assert len(calls) == 1


def test_pre_hook_changes_what_backward_gets():
    net = nn.Linear(2, 3)
    net.register_full_backward_pre_hook(lambda m, dy: dy[0] * 2)
    net.register_full_backward_pre_hook(lambda m, dy: (dy[0] + 1,))
    x = pydl.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    assert net.bias.grad.tolist() == [3, 3, 3]
    np.testing.assert_allclose(x.grad.numpy(), 3 * net.weight.detach().numpy().sum(0, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("inner", [lambda: nn.ReLU(inplace=True), nn.ReLU])
def test_backward_hooks_and_changes_in_place(inner):
    net = nn.Sequential(inner(), nn.Linear(2, 2))
    seen = []
    net.register_full_backward_hook(lambda m, dx, dy: seen.append(dx[0].tolist()))
    x = pydl.tensor([[-1.0, 2.0]], requires_grad=True)
    net(x * 1).mul_(2).sum().backward()
    expected = 2 * net[1].weight.detach().numpy().sum(0) * [0, 1]
    np.testing.assert_allclose(x.grad.numpy()[0], expected, atol=1e-5)
    np.testing.assert_allclose(seen[0][0], expected, atol=1e-5)


def test_two_backwards_through_one_call():
    net, seen = Scale(), []
    net.register_full_backward_hook(lambda m, dx, dy: seen.append((dx[0].item(), dy[0].item())))
    x = pydl.ones(1, requires_grad=True)
    y = net(x)
    y.backward(pydl.tensor([1.0]), retain_graph=True)
    y.backward(pydl.tensor([5.0]))
    assert seen == [(2, 1), (10, 5)] and x.grad.item() == 12


def story(package):
    """Every hook of a small network, in the order in which they are called, with all values."""
    n, said = package.nn, []
    net = n.Sequential(n.Linear(2, 2), n.Tanh(), n.Linear(2, 1, bias=False))
    weights = [np.array([[0.5, -1.0], [2.0, 0.25]], np.float32), np.array([0.1, 0.2], np.float32), np.array([[1.5, -0.5]], np.float32)]
    net.load_state_dict(dict(zip(net.state_dict(), map(package.from_numpy, weights), strict=True)))

    def flat(values):
        return [None if v is None else v.detach().numpy().round(5).tolist() for v in values]

    for name, module in net.named_modules():
        module.register_forward_pre_hook(lambda m, i, name=name: said.append(("pre", name, flat(i))))
        module.register_forward_hook(lambda m, i, o, name=name: said.append(("post", name, flat(i), flat([o]))))
        module.register_full_backward_pre_hook(lambda m, dy, name=name: said.append(("back pre", name, flat(dy))))
        module.register_full_backward_hook(lambda m, dx, dy, name=name: said.append(("back", name, flat(dx), flat(dy))))
    net[1].register_forward_hook(lambda m, i, o: o * 2)
    net[1].register_full_backward_pre_hook(lambda m, dy: (dy[0] * 3,), prepend=True)
    net[2].register_full_backward_hook(lambda m, dx, dy: (dx[0] + 1,), prepend=True)
    for wanted in (False, True):
        x = package.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=wanted)
        net(x).sum().backward()
    return [*said, ("gradients", *flat([x.grad, *(p.grad for p in net.parameters())]))]


@pytest.mark.parity
def test_hooks_are_called_as_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = story(pydl), story(torch)
    assert [line[:2] for line in ours[:-1]] == [line[:2] for line in theirs[:-1]]
    for mine, other in zip(ours, theirs, strict=True):
        assert str(mine)[:15] == str(other)[:15]
        for a, b in zip(mine[1 if mine[0] == "gradients" else 2:], other[1 if mine[0] == "gradients" else 2:], strict=True):
            assert a == b if a is None else all(p == q if p is None or q is None else np.allclose(p, q, atol=1e-4) for p, q in zip(a, b, strict=True))


def test_hooks_of_all_modules():
    from pydl.nn.modules import module as everywhere

    net, calls = nn.Sequential(nn.Linear(2, 2), Scale()), []
    net[1].register_forward_hook(lambda m, i, o: calls.append("own"))
    handles = [everywhere.register_module_forward_pre_hook(lambda m, i: calls.append(f"pre {type(m).__name__}")),
               everywhere.register_module_forward_hook(lambda m, i, o: calls.append(f"post {type(m).__name__}")),
               everywhere.register_module_full_backward_pre_hook(lambda m, g: calls.append(f"before {type(m).__name__}")),
               everywhere.register_module_full_backward_hook(lambda m, dx, dy: calls.append(f"back {type(m).__name__}"))]
    net(pydl.ones(1, 2, requires_grad=True)).sum().backward()
    assert calls == ["pre Sequential", "pre Linear", "post Linear", "pre Scale", "post Scale", "own", "post Sequential", "before Sequential",
                     "before Scale", "back Scale", "before Linear", "back Linear", "back Sequential"]
    for handle in handles:
        handle.remove()
    assert nn.Module._hooks is None
    calls.clear()
    net(pydl.ones(1, 2))
    assert calls == ["own"]
    with everywhere.register_module_forward_hook(lambda m, i, named, o: o * named.get("by", 1), with_kwargs=True):
        assert Scale()(pydl.ones(1), by=3).tolist() == [9]
    assert Scale()(pydl.ones(1), by=3).tolist() == [3]
