"""Convolutions: what the rows of op_rows/conv.py do not say. Messages, memory, plans, threads; against PyTorch where it is installed."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from calls import same_bits
from capturing import agree, kernels, numbers
from op_rows.conv import conv
from pydl.nn import functional as F
from pydl.nn import grad
from pydl.testing import gradcheck, gradgradcheck

rng = np.random.default_rng(0)
HUGE = 2**31 - 1


def wide(*shape: int) -> pydl.Tensor:
    """A tensor of many elements in the memory of one."""
    return pydl.ones((1,) * len(shape)).expand(shape)


# --- bad input

@pytest.mark.parametrize(("call", "words"), [
    (lambda: F.conv2d(pydl.ones(8, 3, 32, 32), pydl.ones(16, 4, 3, 3)),
     r"conv2d: input has 3 channels but weight expects 4 \(input \(8, 3, 32, 32\), weight \(16, 4, 3, 3\), groups 1\)"),
    (lambda: F.conv2d(pydl.ones(3, 4, 4), pydl.ones(2, 3, 5, 3)),
     r"conv2d: the kernel \(5, 3\) with dilation \(1, 1\) does not fit the input \(3, 4, 4\) with padding \(0, 0\): there is no output"),
    (lambda: F.conv1d(pydl.ones(1, 1, 4), pydl.ones(1, 1, 2), stride=0), "conv1d: expected stride of 1 or more, got 0"),
    (lambda: F.conv1d(pydl.ones(1, 1, 4), pydl.ones(1, 1, 2), padding=[1, 2]), r"conv1d: expected padding to be an int or 1 of them, got \[1, 2\]"),
    (lambda: F.conv1d(pydl.ones(1, 1, 4), pydl.ones(1, 1, 2), padding=HUGE + 1), f"conv1d: expected padding of 0 or more and at most {HUGE}"),
    (lambda: F.conv2d(pydl.ones(1, 2, 4, 4), pydl.ones(3, 1, 2, 2), groups=2), "expected groups to divide the 3 output channels"),
    (lambda: F.conv_transpose2d(pydl.ones(1, 3, 4, 4), pydl.ones(3, 1, 2, 2), stride=2, output_padding=2),
     r"expected an output_padding below the stride \(2, 2\) or the dilation \(1, 1\), got \(2, 2\)"),
    (lambda: F.conv_transpose1d(pydl.ones(1, 3, 4), pydl.ones(3, 1, 2), padding=3), r"would have the size -1"),
    (lambda: F.conv1d(wide(1, 1, 2**31), wide(2**40, 1, 1)), r"conv1d: the output \(1, 1099511627776, 2147483648\) .*more elements than an address"),
    (lambda: F.conv2d(pydl.ones(0, 1, 2, 2), pydl.ones(1, 1, 1, 1), padding=HUGE), "conv2d: the output .*more elements than an address"),
    (lambda: F.conv1d(wide(1, 1, 2**40), wide(1, 1, 2**40)), f"expected a kernel of 1 or more and at most {HUGE}"),
    (lambda: F.conv1d(pydl.ones(1, 1, 4), pydl.empty(0, 1, 2**33 + 1), dilation=HUGE, padding="same"), f"expected a kernel of 1 or more and at most {HUGE}"),
    (lambda: F.conv1d(wide(1, 2**30, 4), wide(1, 2**30, 3), dilation=HUGE), "there is no output"),
    (lambda: F.conv_transpose3d(pydl.ones(1, 1, 2, 2, 2), pydl.ones(1, 1, 1, 1, 1), stride=HUGE), "conv_transpose3d: the output .*more elements"),
    (lambda: F.conv_transpose2d(pydl.ones(2, 3, 0, 5), pydl.ones(3, 1, 2, 2)),
     r"conv_transpose2d: expected images of one element or more, got input \(2, 3, 0, 5\)"),
    (lambda: F.conv_transpose1d(wide(0, 1, 2**40), pydl.ones(1, 1, 1), stride=HUGE), "conv_transpose1d: the output .* would have the size"),
    (lambda: F.conv1d(pydl.ones(0, 2, 4), pydl.empty(0, 2**40, 1), groups=HUGE), "groups of 1099511627776 channels are more than an address can count"),
    (lambda: pydl.set_conv_precision("best"), "set_conv_precision: expected 'fast' or 'exact', got 'best'"),
])
def test_refusals_allocate_nothing(call: Callable[[], Any], words: str) -> None:
    pydl.reset_peak_memory_stats()
    before = pydl.memory_stats()["peak"]
    with pytest.raises(ValueError, match=words):
        call()
    assert pydl.memory_stats()["peak"] - before < 2**20


def test_steps_that_leave_the_image() -> None:
    x, w = numbers(1, 1, 5), numbers(1, 1, 1)
    assert F.conv1d(x, w, stride=HUGE).tolist() == (x[..., :1] * w).tolist()
    assert F.conv1d(x, w, dilation=HUGE).tolist() == (x * w).tolist()
    assert F.conv_transpose1d(x[..., :1], w, stride=HUGE).tolist() == (x[..., :1] * w).tolist()
    assert F.conv1d(pydl.ones(0, 1, 5), w, padding=HUGE).shape == (0, 1, 2 * HUGE + 5)


def test_nan_stays_where_a_window_sees_it() -> None:
    x = numbers(1, 2, 9, 9)
    x[0, 1, 4, 4] = float("nan")
    y = np.isnan(F.conv2d(x, numbers(3, 2, 3, 3)).numpy())
    assert y[:, :, 2:5, 2:5].all() and y.sum() == 27


def test_inputs_of_any_layout_and_one_tensor_twice() -> None:
    x = pydl.tensor(rng.standard_normal((4, 3, 5, 4)), requires_grad=True)
    assert gradgradcheck(lambda x: F.conv2d(x.permute(3, 1, 0, 2), x[:, :, ::2, :2], padding=1), (x,))
    one = pydl.tensor(rng.standard_normal((2, 2, 3)), requires_grad=True)
    assert gradcheck(lambda x: F.conv_transpose1d(x, x, x[0, :, 0], stride=2), (one,)) and gradgradcheck(lambda x: F.conv1d(x, x), (one,))


def test_precision() -> None:
    assert pydl.get_conv_precision() == "fast"
    try:
        pydl.set_conv_precision("exact")
        assert pydl.get_conv_precision() == "exact"
        x, w = rng.standard_normal((1, 16, 14, 14)), rng.standard_normal((8, 16, 3, 3))
        wanted, size = conv(x, w, padding=1), conv(np.abs(x), np.abs(w), padding=1)
        y = F.conv2d(pydl.tensor(x.astype(np.float32)), pydl.tensor(w.astype(np.float32)), padding=1).numpy()
        assert (np.abs(y - wanted) <= 4 * 2.0**-24 * size).all()
    finally:
        pydl.set_conv_precision("fast")


# --- functions of a gradient

@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"stride": 3, "dilation": 2, "padding": 2, "groups": 2}], ids=str)
def test_grad_functions(dims: int, options: dict[str, int]) -> None:
    x = numbers(2, 4, *(8, 9, 7)[:dims]).requires_grad_()
    w = numbers(6, 4 // options.get("groups", 1), *(3, 2, 1)[:dims], seed=1).requires_grad_()
    y = getattr(F, f"conv{dims}d")(x, w, **options)
    g = numbers(*y.shape, seed=2)
    dx, dw = pydl.autograd.grad(y, (x, w), g)
    assert same_bits(getattr(grad, f"conv{dims}d_input")(x.shape, w, g, **options).detach().numpy(), dx.numpy())
    assert same_bits(getattr(grad, f"conv{dims}d_weight")(x, w.shape, g, **options).detach().numpy(), dw.numpy())


def test_grad_functions_refuse() -> None:
    x, w, g = pydl.ones(1, 2, 5, 5), pydl.ones(3, 2, 3, 3), pydl.ones(1, 3, 3, 3)
    assert gradcheck(lambda g: grad.conv2d_weight(x.double(), w.shape, g), (g.double().requires_grad_(),))
    for call, words in ((lambda: grad.conv2d_input((1, 2, 6, 5), w, g), "no convolution of an input"), (lambda: grad.conv2d_input((2, 5), w, g), "of 4 dimensions"),
                        (lambda: grad.conv2d_weight(x, (3, 2, 2, 3), g), r"expected a grad_output \(1, 3, 4, 3\)"),
                        (lambda: grad.conv2d_weight(x, (3, 2, 3, 3), g[0]), r"expected a grad_output \(1, 3, 3, 3\)"),
                        (lambda: grad.conv2d_weight(x, (3, 2, 3), g), "conv2d_weight: expected weight")):
        with pytest.raises(ValueError, match=words):
            call()


# --- plans and threads

def test_captured_steps() -> None:
    pydl.manual_seed(0)
    model = pydl.nn.Sequential(pydl.nn.Conv2d(2, 4, 3, 2, 1), pydl.nn.Tanh(), pydl.nn.ConvTranspose2d(4, 2, 3, 2, 1, 1))

    def step(x: pydl.Tensor) -> tuple[pydl.Tensor, ...]:
        model.zero_grad()
        (model(x) - x).square().sum().backward()
        return tuple(p.grad for p in model.parameters())

    agree(step, *[(numbers(2, 2, 6, 6, seed=s),) for s in range(3)])


def test_a_plan_is_for_the_precision_it_was_recorded_with() -> None:
    x, w = numbers(2, 32, 20, 20), numbers(32, 32, 3, 3, seed=1)
    step, found = pydl.capture(lambda x: F.conv2d(x, w, padding=1)), {}
    try:
        for precision in ("fast", "exact", "fast", "exact"):
            pydl.set_conv_precision(precision)
            y = F.conv2d(x, w, padding=1).numpy()
            assert all(same_bits(step(x).numpy(), y) for _ in range(2))
            found[precision] = y
    finally:
        pydl.set_conv_precision("fast")
    assert not same_bits(found["fast"], found["exact"]) and len(step.plans) == 2


def test_activations_of_captured_convolutions() -> None:
    w, b = numbers(5, 3, 3, 3, seed=1), numbers(5, seed=2)
    for step, there in ((lambda x: pydl.relu(F.conv2d(x, w, b)).cumsum(0), ["conv_fwd", "cumsum"]), (lambda x: F.conv2d(x, w, b).relu_().cumsum(0), ["conv_fwd", "cumsum"]),
                        (lambda x: (pydl.relu(h := F.conv2d(x, w)), h), None),
                        (lambda x: pydl.relu(F.conv2d(x, w).transpose(1, 2)).cumsum(0), None), (lambda x: pydl.relu(F.conv2d(x, w)[1:]).cumsum(0), None),
                        (lambda x: pydl.relu(F.conv2d(x, w)) + F.conv2d(x, w, b).tanh(), None)):
        captured = agree(step, *[(numbers(2, 3, 6, 5, seed=s),) for s in range(3)])
        assert there is None or kernels(captured) == there


def test_the_same_bits_for_any_number_of_threads(threads: None) -> None:
    x, w, found = numbers(2, 16, 20, 18), numbers(24, 16, 3, 3, seed=1), []
    for count in (1, 2, 4):
        pydl.set_num_threads(count)
        leaves = [x.clone().requires_grad_(), w.clone().requires_grad_()]
        y = F.conv2d(*leaves, padding=1)
        found.append([a.detach().numpy() for a in (y, *pydl.autograd.grad(y, leaves, y.detach()))])
    assert all(same_bits(a, b) for other in found[1:] for a, b in zip(found[0], other))


# --- PyTorch

@pytest.mark.parity
@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"])
def test_parity_of_second_derivatives(name: str) -> None:
    torch = pytest.importorskip("torch")
    dims, up = int(name[-2]), "transpose" in name
    shapes = (2, 4, *(5, 4, 3)[:dims]), (4, 3 if up else 2, *(2, 3, 2)[:dims]), (6 if up else 4,)
    arrays = [rng.standard_normal(s) for s in shapes]
    found = []
    for library in (pydl, torch):
        leaves = [library.from_numpy(a.copy()).requires_grad_() for a in arrays]
        y = getattr(library.nn.functional, name)(*leaves, stride=2, padding=1, groups=2)
        first = library.autograd.grad((y**3).sum(), leaves, create_graph=True)
        second = library.autograd.grad(sum((g**2).sum() for g in first), leaves)
        found.append([t.detach().numpy() for t in (y, *first, *second)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
