"""functional_call: a module with other tensors in the place of its own."""

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.func import functional_call


def test_given_tensors_take_part_in_the_graph():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    before = [p.tolist() for p in net.parameters()]
    given = {name: p.detach().clone().requires_grad_(True) for name, p in net.named_parameters()}
    x = pydl.ones(4, 2)
    y = functional_call(net, given, (x,))
    assert y.tolist() == net(x).tolist() and functional_call(net, given, x).tolist() == y.tolist()
    grads = pydl.autograd.grad(y.sum(), list(given.values()), create_graph=True)
    assert all(g.shape == p.shape for g, p in zip(grads, given.values())) and all(p.grad is None for p in net.parameters())
    zero = functional_call(net, {"2.bias": pydl.ones(1), "2.weight": pydl.zeros(1, 3)}, x)
    assert zero.tolist() == [[1]] * 4 and [p.tolist() for p in net.parameters()] == before


def test_buffers_keyword_arguments_and_errors_inside():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("offset", pydl.zeros(1))

        def forward(self, x, by=1, fail=False):
            if fail:
                raise ArithmeticError
            return x * by + self.offset

    net = Net()
    assert functional_call(net, [{"offset": pydl.ones(1)}], (pydl.ones(1),), {"by": 4}).tolist() == [5]
    with pytest.raises(ArithmeticError):
        functional_call(net, {"offset": pydl.ones(1)}, (pydl.ones(1),), {"fail": True})
    assert net.offset.tolist() == [0]


def test_batch_norm_moves_the_given_statistics():
    net = nn.BatchNorm1d(2)
    given = {"running_mean": pydl.zeros(2), "running_var": pydl.ones(2), "num_batches_tracked": pydl.tensor(0)}
    functional_call(net, given, pydl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert net.num_batches_tracked.item() == 0 and given["num_batches_tracked"].item() == 1
    np.testing.assert_allclose(given["running_mean"].numpy(), [0.2, 0.3], rtol=1e-6)


def test_tied_weights():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net[1].weight = net[0].weight
    twice, x = {"1.weight": pydl.eye(2) * 2}, pydl.ones(1, 2)
    assert functional_call(net, twice, x).tolist() == [[4, 4]] and net[0].weight is net[1].weight
    alone = functional_call(net, twice, x, tie_weights=False)
    np.testing.assert_allclose(alone.detach().numpy(), 2 * net[0](x).detach().numpy(), rtol=1e-6)
    with pytest.raises(ValueError, match=r"0\.weight, 1\.weight"):
        functional_call(net, {"0.weight": pydl.eye(2), **twice}, x)


def test_refusals():
    net, x = nn.Linear(2, 2), pydl.ones(1, 2)
    functional_call(net, {"other": pydl.ones(1)}, x)
    for given in ({"bias": pydl.ones(2)}, {"bias": pydl.ones(2), "weight": pydl.ones(2, 2), "other": pydl.ones(1)}):
        with pytest.raises(RuntimeError, match="functional_call: the names do not fit Linear"):
            functional_call(net, given, x, strict=True)
    with pytest.raises(ValueError, match="bias is given twice"):
        functional_call(net, [{"bias": pydl.ones(2)}, {"bias": pydl.ones(2)}], x)
    for wrong in (3, [3], {"bias": 3}):
        with pytest.raises(TypeError, match="functional_call"):
            functional_call(net, wrong, x)
