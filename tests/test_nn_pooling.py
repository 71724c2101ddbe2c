"""Pooling layers: values at special points, shapes, text, and each against PyTorch (parity)."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.testing import gradcheck

F = nn.functional
NAN, INF = float("nan"), float("inf")


def images(*shape: int, seed: int = 0) -> np.ndarray:
    """Few values, so that many are equal."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


# ---- The largest: equal elements, NaN, infinities

@pytest.mark.parametrize(("values", "index"), [
    ([1, 1, 1, 1], 0), ([0, 2, 2, 1], 1), ([NAN, 1, NAN, 2], 2), ([-INF] * 4, 0), ([INF, 1, NAN, INF], 2), ([-INF, -INF, -INF, -5], 3),
])
@pytest.mark.parametrize("planes", [1, 40])
def test_which_element_is_the_largest(values: list[float], index: int, planes: int) -> None:
    """The first of equal ones, the last NaN; of single windows, of vectors of them, and of small images side by side."""
    for dtype in (pydl.float32, pydl.float64):
        for repeat in (1, 37):
            x = pydl.tensor([values * repeat] * planes, dtype=dtype).unsqueeze(0).requires_grad_()
            y, at = F.max_pool1d(x, 4, return_indices=True)
            np.testing.assert_array_equal(at.numpy(), np.broadcast_to(index + 4 * np.arange(repeat), at.shape))
            np.testing.assert_array_equal(y.detach().numpy(), np.full(y.shape, values[index]))
            y.sum().backward()
            wanted = np.tile(np.arange(4) == index, repeat).astype(float)
            np.testing.assert_array_equal(x.grad.numpy(), np.broadcast_to(wanted, x.shape))
            x.grad = None
            F.max_pool1d(x, 4).sum().backward()             # by places instead of indices
            np.testing.assert_array_equal(x.grad.numpy(), np.broadcast_to(wanted, x.shape))


@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (2, 3)])
def test_padding_is_never_the_largest(kernel: tuple[int, int]) -> None:
    x = pydl.full((1, 2, 9, 33), -INF).requires_grad_()
    y, at = F.max_pool2d(x, kernel, 2, 1, return_indices=True)
    assert (y.detach().numpy() == -INF).all()
    rows, columns = at.numpy() // 33, at.numpy() % 33
    np.testing.assert_array_equal(rows[0, 0, :, 0], np.maximum(2 * np.arange(rows.shape[2]) - 1, 0))
    np.testing.assert_array_equal(columns[0, 0, 0], np.maximum(2 * np.arange(columns.shape[3]) - 1, 0))


def test_a_plane_that_is_one_window() -> None:
    """Global pooling of small and of large images, beside the same by sums."""
    for size in (3, 7, 40):
        x = pydl.randn(17, 2, size, size + 1, dtype=pydl.float64).requires_grad_()
        a, b, flat = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1), x.detach().numpy().reshape(17, 2, -1)
        np.testing.assert_allclose(a.detach().numpy()[..., 0, 0], flat.mean(-1), 1e-13, 1e-15)
        np.testing.assert_array_equal(b.detach().numpy()[..., 0, 0], flat.max(-1))
        (a + b).sum().backward()
        np.testing.assert_allclose(x.grad.numpy().reshape(flat.shape), 1 / flat.shape[-1] + (flat == flat.max(-1, keepdims=True)), 1e-13)


def test_inference_keeps_nothing_but_the_result() -> None:
    x = pydl.randn(4, 8, 32, 32)
    F.max_pool2d(x, 2)
    before = pydl.memory_stats()["allocations"]
    y = F.max_pool2d(x, 2)
    assert pydl.memory_stats()["allocations"] - before == 1
    assert not y.requires_grad


def test_what_is_averaged_is_as_good_as_its_sum() -> None:
    x = pydl.full((1, 1, 5, 70), 0.1)
    for padding in (0, 1):
        y = F.avg_pool2d(x, 3, 1, padding, count_include_pad=False)
        np.testing.assert_allclose(y.numpy(), np.full(y.shape, np.float32(0.1)), 3e-7)


def test_zero_sums_have_no_gradient() -> None:
    x = pydl.zeros(1, 1, 4, 4).requires_grad_()
    F.lp_pool2d(x, 2.0, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((1, 1, 4, 4)))


def test_derivatives_of_every_order() -> None:
    x = pydl.randn(2, 3, 6, 5, dtype=pydl.float64).requires_grad_()
    for f in (lambda v: F.max_pool2d(v ** 3, 3, 2, 1), lambda v: F.avg_pool2d(v ** 3, 3, 2, 1), lambda v: F.adaptive_max_pool2d(v ** 3, (4, 3)),
              lambda v: F.adaptive_avg_pool2d(v ** 3, (4, 3))):
        def second(v: pydl.Tensor, f: Any = f) -> pydl.Tensor:
            (first,) = pydl.autograd.grad(f(v).square().sum(), [v], create_graph=True)
            (again,) = pydl.autograd.grad(first.square().sum(), [v], create_graph=True)
            return again
        assert gradcheck(second, (x,))


def test_random_steps_come_from_the_generator() -> None:
    x = pydl.randn(2, 3, 20, 20)
    pydl.manual_seed(5)
    a = F.fractional_max_pool2d(x, 3, output_ratio=0.6)
    pydl.manual_seed(5)
    b = F.fractional_max_pool2d(x, 3, output_ratio=0.6)
    assert a.shape == (2, 3, 12, 12)
    np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert (a.numpy() != F.fractional_max_pool2d(x, 3, output_ratio=0.6).numpy()).any()


def test_unpooling_undoes_pooling() -> None:
    x = pydl.tensor(images(2, 3, 6, 8)).abs() + 1
    pool, back = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    y, at = pool(x)
    z = back(y, at)
    np.testing.assert_array_equal(pool(z)[0].numpy(), y.numpy())
    assert z.shape == x.shape and back(y, at, output_size=(7, 9)).shape == (2, 3, 7, 9)
    with pytest.raises(IndexError, match="max_unpool2d"):
        back(y, at + 100)


@pytest.mark.parametrize("call", [
    lambda x: nn.MaxPool2d(2, 0)(x), lambda x: nn.AvgPool2d(0)(x), lambda x: nn.MaxPool2d(2, padding=2)(x), lambda x: nn.AdaptiveAvgPool2d(-1)(x),
    lambda x: nn.MaxPool2d((2, 2, 2))(x), lambda x: nn.FractionalMaxPool2d(2), lambda x: nn.FractionalMaxPool2d(2, 2, 0.5),
    lambda x: nn.FractionalMaxPool3d(2, output_ratio=1.5), lambda x: nn.LPPool2d(0, 2)(x), lambda x: nn.MaxPool2d(2 ** 31 - 1, 1, 2 ** 30 - 1, 2 ** 31 - 1)(x),
])
def test_refusals(call: Any) -> None:
    with pytest.raises(ValueError, match=r"\w+: "):
        call(pydl.zeros(1, 1, 4, 4))


# ---- Layers

LAYERS: list[tuple[str, tuple, dict, tuple[int, ...]]] = [
    ("MaxPool1d", (3, 2), {"padding": 1, "ceil_mode": True}, (2, 3, 10)), ("MaxPool2d", (2,), {}, (2, 3, 7, 8)), ("MaxPool2d", (2,), {}, (2, 3, 70, 66)),
    ("MaxPool2d", ((3, 2), (2, 1), (1, 0), (1, 2)), {"return_indices": True}, (3, 9, 37)), ("MaxPool3d", (2,), {"return_indices": True}, (1, 2, 4, 5, 6)),
    ("AvgPool1d", (3, 2, 1), {"count_include_pad": False}, (2, 3, 40)), ("AvgPool2d", (2,), {}, (2, 3, 33, 70)),
    ("AvgPool2d", (3, 2, 1, True, False), {}, (2, 3, 8, 35)), ("AvgPool3d", ((1, 2, 3),), {"divisor_override": 5}, (2, 4, 5, 6)),
    ("AdaptiveMaxPool1d", (4,), {}, (2, 3, 10)), ("AdaptiveMaxPool2d", ((None, 3),), {"return_indices": True}, (2, 3, 5, 7)),
    ("AdaptiveMaxPool3d", (2,), {}, (2, 3, 3, 4, 5)), ("AdaptiveAvgPool1d", (4,), {}, (3, 10)), ("AdaptiveAvgPool2d", ((3, None),), {}, (20, 3, 5, 7)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 5, 7)), ("AdaptiveAvgPool3d", ((2, 1, None),), {}, (2, 3, 3, 4, 5)), ("LPPool1d", (2, 3), {"stride": 2}, (2, 3, 10)),
    ("LPPool2d", (3, 2), {}, (2, 3, 6, 5)), ("LPPool3d", (2.0, 2), {"ceil_mode": True}, (1, 2, 4, 5, 3)),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS)
def test_layers_do_what_pytorch_does(name: str, args: tuple, options: dict, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs)
    x = images(*shape)
    a, b = pydl.tensor(x).requires_grad_(), torch.from_numpy(x).requires_grad_()
    y, z = ours(a), theirs(b)
    if options.get("return_indices"):
        (y, i), (z, j) = y, z
        np.testing.assert_array_equal(i.numpy(), j.numpy())
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), 1e-5, 1e-6)
    g = images(*y.shape, seed=1)
    y.backward(pydl.tensor(g))
    z.backward(torch.from_numpy(g))
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), 1e-4, 1e-5)


@pytest.mark.parity
@pytest.mark.parametrize(("name", "args", "options"), [
    ("MaxUnpool1d", (2, 3, 1), {}), ("MaxUnpool2d", ((2, 3),), {}), ("MaxUnpool3d", (2,), {}),
    ("FractionalMaxPool2d", (2,), {"output_ratio": 0.5}), ("FractionalMaxPool3d", (2, (2, 3, 2)), {"return_indices": True}),
])
def test_layers_say_what_pytorch_says(name: str, args: tuple, options: dict) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    for field in ("kernel_size", "stride", "padding", "output_size", "output_ratio"):
        assert getattr(ours, field, None) == getattr(theirs, field, None)
