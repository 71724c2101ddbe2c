"""In-place changes: what was kept for backward, leaves, views and buffers."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from calls import leaf


def test_a_changed_saved_value_raises_and_names_the_op():
    x = leaf(1.0, 2.0)
    y = x * 1
    z = pydl.exp(y)
    z.add_(1)
    with pytest.raises(RuntimeError, match="exp: a tensor of shape .2,. that its backward needs was modified in place"):
        z.sum().backward()
    w = y * y
    with pydl.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="mul: .* modified in place"):
        w.sum().backward()


def test_in_place_ops_are_differentiated():
    x = leaf(1.0, 2.0)
    y = x * 1
    y *= x
    y += 3
    y.sum().backward()
    assert y.tolist() == [4.0, 7.0] and x.grad.tolist() == [2.0, 4.0]


def test_a_leaf_that_requires_grad_is_not_changed_in_place():
    x = leaf(1.0)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 1.0), lambda: x[:1].mul_(2)):
        with pytest.raises(RuntimeError, match="leaf"):
            change()
    assert x.tolist() == [1.0]
    with pydl.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0]


def test_a_change_through_a_view_reaches_its_base_and_other_views():
    x = pydl.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=pydl.float64, requires_grad=True)
    y = x * 1
    other = y.view(4)
    row = y[0]
    row *= 10
    assert y.tolist() == [[10.0, 20.0], [3.0, 4.0]]
    (y * y).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [[200.0, 400.0], [6.0, 8.0]]
    x.grad = None
    (other * 1).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [[10.0, 10.0], [1.0, 1.0]]
    x.grad = None
    (row * 1).sum().backward()
    assert x.grad.tolist() == [[10.0, 10.0], [0.0, 0.0]]


def test_values_written_into_a_buffer_are_differentiated():
    out = pydl.zeros(3, 2, dtype=pydl.float64)
    h = leaf(1.0, 2.0)
    for t in range(3):
        out[t] = h * (t + 1)
    out[:, 1] += h[0]
    (out * out).sum().backward()
    # out = [[k h0, k h1 + h0] for k = 1, 2, 3]
    h0, h1 = 1.0, 2.0
    expected = [sum(2 * k * k * h0 + 2 * (k * h1 + h0) for k in (1, 2, 3)), sum(2 * (k * h1 + h0) * k for k in (1, 2, 3))]
    np.testing.assert_allclose(h.grad.numpy(), expected)


@pytest.mark.parametrize("view", [lambda b: b[0], lambda b: b.T, lambda b: b[:, 0]], ids=["row", "transposed", "column"])
@pytest.mark.parametrize("change", [lambda b, g: b.add_(g), lambda b, g: b.__setitem__(1, g), lambda b, g: b.copy_(g.expand(2, 3))])
def test_a_view_taken_before_its_base_got_a_gradient_has_it_too(view, change):
    def total(b, g):
        w = view(b)
        change(b, g)
        return w, (w * w).sum() + b.sum()

    g = leaf(1.0, 2.0, 3.0)
    w, loss = total(pydl.zeros(2, 3, dtype=pydl.float64), g)
    assert w.requires_grad and not w.is_leaf and w.grad_fn is not None
    loss.backward()
    assert pydl.testing.gradcheck(lambda t: total(pydl.zeros(2, 3, dtype=pydl.float64), t)[1], (leaf(1.0, 2.0, 3.0),))
    with pydl.no_grad():
        b = pydl.zeros(2, 3, dtype=pydl.float64)
        w = view(b)
        change(b, g)
    assert not w.requires_grad


@pytest.mark.parametrize("change", [
    lambda x: x.add_(pydl.tensor([1.0, 2.0, 3.0])), lambda x: x.zero_(), lambda x: x.copy_(pydl.ones(3)),
    lambda x: x.__setitem__(0, 5.0), lambda x: x.uniform_(), lambda x: x.exp_(),
], ids=["add_", "zero_", "copy_", "setitem", "uniform_", "exp_"])
@pytest.mark.parametrize("grad", [True, False])
def test_elements_in_one_place_are_not_changed_in_place(change, grad):
    x = pydl.ones(1)
    with pydl.set_grad_enabled(grad), pytest.raises(RuntimeError, match="lie in the same place"):
        change(x.expand(3))
    assert x.tolist() == [1.0]


def test_a_refused_change_leaves_everything_as_it_was():
    x = pydl.ones(4, requires_grad=True)
    y = x * 2
    with pytest.raises(RuntimeError, match="lie in the same place"):
        y.expand(2, 4).mul_(2)
    base = pydl.from_numpy(np.asfortranarray(np.ones((2, 2), np.float32)))
    view = base[0]
    with pytest.raises(RuntimeError, match="non-contiguous"):
        view.mul_(x[:2])
    assert y.tolist() == [2.0] * 4 and base.tolist() == [[1.0, 1.0]] * 2
    assert base._version == 0 and view._version == 0


def test_retain_grad_follows_an_in_place_change():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    view = y[:1]
    view.retain_grad()
    y.mul_(3)
    ((y * y).sum() + view.sum()).backward()
    assert y.grad.tolist() == [13.0, 24.0] and view.grad.tolist() == [1.0] and x.grad.tolist() == [78.0, 144.0]


def test_a_number_that_does_not_fit_is_refused_by_name():
    for dtype, number in ((pydl.uint8, 300), (pydl.int32, 2**40)):
        x = pydl.ones(3, dtype=dtype)
        with pytest.raises(ValueError, match="add: .*" + str(number)):
            x += number
        assert x.tolist() == [1, 1, 1]


def test_comparisons_in_place_keep_the_type():
    x = pydl.tensor([1.0, 2.0])
    assert x.gt_(1.5).dtype is pydl.float32 and x.tolist() == [0.0, 1.0]
    n = pydl.tensor([3, 0])
    assert n.logical_and_(pydl.tensor([1, 1])).tolist() == [1, 0] and n.dtype is pydl.int64


def test_a_view_made_under_no_grad_is_not_changed_where_gradients_are_recorded():
    y = leaf(1.0, 2.0) * 2
    with pydl.no_grad():
        view = y[:1]
        view.mul_(1)
    with pytest.raises(RuntimeError, match="a view made under no_grad"):
        view.mul_(leaf(3.0))
