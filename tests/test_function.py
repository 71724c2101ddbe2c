"""Custom Functions, and gradcheck's verdict on wrong ones."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from calls import leaf
from pydl import autograd


class Cube(autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * ctx.scale * x * x * dy, None


def test_custom_function_to_any_order():
    x = leaf(2.0, -1.0)
    assert pydl.testing.gradcheck(lambda t: Cube.apply(t, 2.0), (x,))
    assert pydl.testing.gradgradcheck(lambda t: Cube.apply(t, 2.0), (x,))
    y = Cube.apply(x, 1.0).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="Cube: backward through this graph a second time"):
        y.backward()


def test_custom_function_with_two_outputs_and_saved_output():
    class Both(autograd.Function):
        @staticmethod
        def forward(x):
            y = pydl.exp(x)
            return y, x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output[0])

        @staticmethod
        def backward(ctx, da, db):
            return da * ctx.saved_tensors[0] + 2 * db

    x = leaf(0.3, 0.7)
    assert pydl.testing.gradcheck(Both.apply, (x,))
    assert pydl.testing.gradgradcheck(Both.apply, (x,))
    a, _ = Both.apply(x)
    a.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([0.3, 0.7]))


def test_custom_function_that_is_wrong_is_told():
    class Two(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, dy):
            return dy, dy

    with pytest.raises(RuntimeError, match="Two: backward returned 2 gradients for 1 inputs"):
        Two.apply(leaf(1.0)).sum().backward()


def test_gradcheck_catches_a_wrong_derivative():
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, dy):
            return ctx.saved_tensors[0] * dy * 2.001

    x = leaf(1.0, 2.0, 3.0)
    with pytest.raises(pydl.testing.GradcheckError):
        pydl.testing.gradcheck(Wrong.apply, (x,), rtol=1e-4)
    assert not pydl.testing.gradcheck(Wrong.apply, (x,), rtol=1e-4, raise_exception=False)
    with pytest.raises(TypeError, match="float64"):
        pydl.testing.gradcheck(pydl.exp, (pydl.ones(2, requires_grad=True),))


def function(forward, backward):
    return type("Made", (autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def test_a_gradient_of_another_type_is_converted_one_of_another_shape_refused():
    x, w = pydl.ones(2, 3, requires_grad=True), pydl.ones(3, 4)
    double = function(lambda ctx, a: a * 2, lambda ctx, dy: dy.to(pydl.float64) * 2)
    double.apply(pydl.matmul(x, w)).sum().backward()
    assert x.grad.dtype is pydl.float32 and x.grad.tolist() == [[8.0] * 3] * 2
    for shape in ((3,), (4, 2), ()):
        wrong = function(lambda ctx, a: a * 2, lambda ctx, dy, shape=shape: pydl.ones(shape))
        with pytest.raises(RuntimeError, match="Made: backward returned a gradient of shape"):
            wrong.apply(pydl.matmul(x, w)).sum().backward()


def test_outputs_that_are_no_tensors_pass_and_trailing_none_gradients_too():
    both = function(lambda ctx, a: (a * 2, "two", None), lambda ctx, dy, *_: (dy * 2, None, None))
    x = leaf(1.0)
    y, word, nothing = both.apply(x)
    y.backward()
    assert (word, nothing) == ("two", None) and x.grad.tolist() == [2.0]


def doubled_in_place(ctx, a):
    ctx.mark_dirty(a)
    return a.mul_(2)


def test_mark_dirty_on_a_view_reaches_its_base():
    twice = function(doubled_in_place, lambda ctx, dy: dy * 2)
    x = leaf(1.0, 1.0)
    z = x * 1
    head = z[:1]
    assert twice.apply(head) is head
    z.sum().backward()
    assert x.grad.tolist() == [2.0, 1.0]
    with pytest.raises(RuntimeError, match="leaf"):
        twice.apply(leaf(1.0))
