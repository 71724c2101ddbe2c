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
