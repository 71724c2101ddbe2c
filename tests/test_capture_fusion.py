"""What a plan does better than the recorded launches: fused launches, strips, packed weights."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from calls import same_bits
from capturing import agree, kernels, numbers
from pydl import nn
from pydl._core.tape import registry
from pydl.nn import functional as F

Step = Callable[..., Any]


# --- fused launches

@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "gelu", "silu"])
@pytest.mark.parametrize("rows", [1, 2, 7, 40])
@pytest.mark.parametrize("columns", [1, 5, 32, 70])
def test_activations_in_products(name: str, rows: int, columns: int) -> None:
    w, b, f = numbers(columns, 19, seed=1), numbers(columns, seed=2), getattr(F, name)
    captured = agree(lambda x: f(F.linear(x, w, b)).cumsum(0), *[(numbers(rows, 19, seed=s),) for s in range(3)])
    assert kernels(captured) == ["gemm", "cumsum"]


def test_what_nobody_reads_is_not_computed() -> None:
    w = numbers(8, 8)

    def step(x: pydl.Tensor) -> pydl.Tensor:
        unused = (x @ w).exp() + 1
        unused.sum()
        return x * 2

    assert kernels(agree(step, (numbers(8, 8),), (numbers(8, 8, seed=1),))) == ["mul"]


def test_places_of_maxima_are_noted_for_a_backward_alone() -> None:
    w = numbers(4, 3, 3, 3).requires_grad_()

    def forward(x: pydl.Tensor) -> pydl.Tensor:
        return F.max_pool2d(F.conv2d(x, w), 2)

    def backward(x: pydl.Tensor) -> pydl.Tensor:
        return pydl.autograd.grad(forward(x).square().sum(), w)[0]

    def buffers(step: Step) -> int:
        captured = agree(step, (numbers(2, 3, 9, 14),), (numbers(2, 3, 9, 14, seed=1),))
        line = next(line for line in captured.describe().splitlines() if "max_pool_fwd" in line)
        return len(line.rpartition("  ")[2].split())

    assert buffers(forward) == 2
    assert buffers(backward) == 3


def test_a_forward_alone_keeps_nothing_for_a_backward() -> None:
    model, x = nn.Sequential(*(nn.Sequential(nn.Linear(32, 32), nn.Sigmoid()) for _ in range(8))), numbers(64, 32)
    captured = pydl.capture(model.forward)
    captured(x)
    without = pydl.capture(model.forward)
    with pydl.no_grad():
        without(x)
    assert captured.last.nbytes == without.last.nbytes


def test_a_sum_that_others_see_is_not_fused() -> None:
    w = numbers(8, 8)
    for step in (lambda x: (pydl.relu(h := x @ w), h), lambda x: pydl.relu(h := x @ w) + h, lambda x: (x @ w)[1:].relu(),
                 lambda x: pydl.relu((x @ w).t()), lambda x: (h := x @ w, h.relu_())[1] + h):
        captured = agree(step, (numbers(8, 8),), (numbers(8, 8, seed=1),))
        if "relu_fwd" not in kernels(captured):     # in place: whoever reads it later is meant to see what relu made
            assert kernels(captured) == ["gemm", "add"]


def test_the_product_may_write_what_was_read_before() -> None:
    w, out = numbers(16, 16), pydl.zeros(16, 16)

    def step(x: pydl.Tensor) -> pydl.Tensor:
        a = x @ w
        total = out.sum()
        out.copy_(pydl.relu(a))
        return total

    captured = pydl.capture(step)
    x = numbers(16, 16, seed=1)
    captured(x)
    for _ in range(3):
        before = out.sum().item()
        assert captured(x).item() == before
        assert same_bits(out.numpy(), pydl.relu(x @ w).numpy())


def test_activations_in_place() -> None:
    w, one = numbers(8, 8), numbers(8, 8, seed=3)
    for name in ("relu_", "sigmoid_", "tanh_", "silu_"):
        step = F.silu if name == "silu_" else None
        captured = agree(lambda x, name=name, step=step: (step(x @ w, inplace=True) if step else getattr(x @ w, name)()).cumsum(0),
                         (numbers(8, 8),), (numbers(8, 8, seed=1),))
        assert kernels(captured) == ["gemm", "cumsum"]
    for count, change in ((2, lambda x: (x.exp().cumsum(0).mul_(2).add_(one) @ w).relu_() * 2), (1, lambda x: (x @ w).add_(1).mul_(one).cumsum(0)),
                          (0, lambda x: ((h := x @ w)[1:].relu_(), h.cumsum(0))[1]), (0, lambda x: ((h := x @ w), (t := h.t()).relu_(), h + t)[2]),
                          (0, lambda x: (x.clone().mul_(2).add_(x) @ w).sigmoid_())):
        agree(change, *[(numbers(8, 8, seed=s),) for s in range(count + 2)])


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("width", [1, 6, 32, 50])
def test_relus_backward_in_products(rows: int, width: int) -> None:
    pydl.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 4), nn.ReLU(), nn.Linear(4, 3))

    def step(x: pydl.Tensor) -> tuple[pydl.Tensor, ...]:
        model.zero_grad()
        model(x).square().sum().backward()
        return tuple(p.grad for p in model.parameters())

    captured = agree(step, *[(numbers(rows, 5, seed=s),) for s in range(3)])
    assert "relu_fwd" not in kernels(captured) and "relu_bwd" not in kernels(captured)


def test_nan_and_zero_through_relus_backward() -> None:
    w = pydl.tensor([[1.0, -1.0], [2.0, 0.5]], requires_grad=True)

    def step(x: pydl.Tensor) -> pydl.Tensor:
        w.grad = None
        F.linear(pydl.relu(F.linear(x, w)), w).sum().backward()
        return w.grad

    agree(step, *[(pydl.tensor(v),) for v in ([[1.0, 1.0]], [[0.0, 0.0]], [[float("nan"), 1.0]], [[float("inf"), 1.0]])])


@pytest.mark.parametrize("n", [7, 64, 128])
@pytest.mark.parametrize("read", [lambda t: t + t.t(), lambda t: t.t() + t, lambda t: t + t[0], lambda t: t + t[:, :1]])
def test_one_launch_that_reads_a_tensor_twice(n: int, read: Step) -> None:
    agree(lambda x: read(x.cumsum(0)).cumsum(1), *[(numbers(n, n, seed=s),) for s in range(3)])


def test_a_gate_that_comes_after_the_product() -> None:
    w, gate = numbers(16, 16), numbers(16, 16, seed=5)
    mine, relu_bwd = gate.clone(), registry["relu_bwd"].forward

    def step(x: pydl.Tensor, gate: pydl.Tensor) -> pydl.Tensor:
        dy = x @ w
        late = (x * 3).cumsum(0)
        gate.mul_(-1)
        return relu_bwd(late, dy) + relu_bwd(gate, x @ w)

    captured = pydl.capture(lambda x: step(x, gate))
    for seed in range(3):
        x = numbers(16, 16, seed=seed)
        assert same_bits(captured(x).numpy(), step(x, mine).numpy())


def test_a_gradient_that_is_used_again() -> None:
    """What relu makes of a gradient is not all that is wanted of it."""
    w = nn.Parameter(numbers(8, 8))

    def step(x: pydl.Tensor) -> pydl.Tensor:
        w.grad = None
        (x @ w).sum().backward()
        return pydl.relu(w.grad) * 2

    captured = pydl.capture(step)
    for seed in range(3):
        x = numbers(8, 8, seed=seed)
        eager = step(x)
        expected = w.grad.clone()
        assert same_bits(captured(x).numpy(), eager.numpy()) and same_bits(w.grad.numpy(), expected.numpy())


# --- strips

SIZES = (8191, 8192, 8193, 20000, 40961)


@pytest.mark.parametrize("n", SIZES)
def test_strips_of_any_length(n: int) -> None:
    def step(x: pydl.Tensor, y: pydl.Tensor) -> tuple[pydl.Tensor, pydl.Tensor]:
        a = pydl.tanh(x * 2 + y)
        b = (a - x) * a / 3
        return b.exp() - a, b

    captured = agree(step, *[(numbers(n, seed=s), numbers(n, seed=s + 5)) for s in range(3)])
    captured.profile(1, numbers(n), numbers(n))
    assert (" | " in captured.describe()) == (n >= 8192)


@pytest.mark.parametrize("step", [
    lambda x, r, c: (x + r) * 2 - c,
    lambda x, r, c: pydl.where(x > r, x * c, c - x),
    lambda x, r, c: (x.t() * 2 + c.t()).t() + r,
    lambda x, r, c: ((x > 0).to(pydl.float64) * 3).to(pydl.float32) + x,
    lambda x, r, c: (x * 2)[1:] - x[:-1],
    lambda x, r, c: (x * 2).flip(0) + x * 3,
    lambda x, r, c: (x * 2)[:, 0:1] + x * 3,
    lambda x, r, c: (x.clone().mul_(2).add_(r)) * x,
    lambda x, r, c: ((h := x * 2).add_(1), h * 3)[1],
    lambda x, r, c: (r * c + 1) * x,
    lambda x, r, c: (x + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1) * r,
    lambda x, r, c: ((a := x + 1), (b := x + 2), (d := x + 3), (e := x + 4), (f := x + 5), a * b * d * e * f)[-1],
])
@pytest.mark.parametrize("shape", [(300, 70), (5, 5000), (10001, 2)])
def test_strips_of_any_layout(step: Step, shape: tuple[int, int]) -> None:
    agree(step, *[(numbers(*shape, seed=s), numbers(shape[1], seed=s + 1), numbers(shape[0], 1, seed=s + 2)) for s in range(3)])


def test_strips_in_place_in_closed_over_memory() -> None:
    state, other = numbers(20000), numbers(20000)
    base = pydl.zeros(20001)

    def step(x: pydl.Tensor, state: pydl.Tensor, base: pydl.Tensor) -> None:
        state.mul_(0.9).add_(x)
        base[1:].copy_(base[:-1]).add_(state).mul_(0.5)

    captured = pydl.capture(lambda x: step(x, state, base))
    mine = pydl.zeros(20001)
    for seed in range(4):
        x = numbers(20000, seed=seed)
        captured(x)
        step(x, other, mine)
        assert same_bits(state.numpy(), other.numpy()) and same_bits(base.numpy(), mine.numpy())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_strips_with_any_number_of_threads(count: int, threads: None) -> None:
    pydl.set_num_threads(count)
    agree(lambda x: pydl.sigmoid(x * 3 - 1) * x + 2, (numbers(100_003),), (numbers(100_003, seed=1),))


# --- packed weights

def forward_of(model: nn.Module) -> Any:
    def forward(x: pydl.Tensor) -> pydl.Tensor:
        with pydl.no_grad():
            return model(x)

    return pydl.capture(forward)


def assert_forward(captured: Any, model: nn.Module, rows: int = 4) -> None:
    for seed in range(2):
        x = numbers(rows, 24, seed=seed)
        with pydl.no_grad():
            assert same_bits(captured(x).numpy(), model(x).numpy())


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 31, 32])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_packed_weights(rows: int, dtype: str) -> None:
    model = nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 3)).to(getattr(pydl, dtype))
    captured = forward_of(model)
    for seed in range(3):
        x = numbers(rows, 24, seed=seed).to(getattr(pydl, dtype))
        with pydl.no_grad():
            assert same_bits(captured(x).numpy(), model(x).numpy())
    assert ("packed" in captured.describe()) == (1 < rows < 32)


def test_weights_that_change_are_packed_again() -> None:
    model = nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4))
    captured = forward_of(model)
    assert_forward(captured, model)
    with pydl.no_grad():
        model[0].weight.mul_(2)
    assert_forward(captured, model)
    model.load_state_dict({k: v * 3 for k, v in model.state_dict().items()})
    assert_forward(captured, model)
    optimizer = pydl.optim.SGD(model.parameters(), lr=0.1)
    step = pydl.capture(lambda x: (optimizer.zero_grad(), model(x).sum().backward(), optimizer.step())[0])
    for seed in range(3):
        step(numbers(4, 24, seed=seed))
        assert_forward(captured, model)


def test_weights_that_other_libraries_write() -> None:
    model = nn.Linear(24, 16)
    captured = forward_of(model)
    assert_forward(captured, model)
    array = model.weight.detach().numpy()
    array[0, 0] = 7
    assert_forward(captured, model)
    array[3] += 1
    assert_forward(captured, model)
    array[5, 5] = -1
    del array
    assert_forward(captured, model)
    assert "packed" in captured.describe()
    other = np.from_dlpack(model.weight.detach())
    assert_forward(captured, model)
    assert "packed" not in captured.describe()
    del other
    assert_forward(captured, model)
    assert "packed" in captured.describe()


def test_weights_that_the_step_changes_are_not_packed() -> None:
    model = nn.Linear(24, 16)

    def step(x: pydl.Tensor) -> pydl.Tensor:
        with pydl.no_grad():
            model.weight.mul_(0.5)
            return model(x)

    captured, x = pydl.capture(step), numbers(4, 24)
    captured(x)
    assert "packed" not in captured.describe()
    with pydl.no_grad():
        expected = F.linear(x, model.weight * 0.5, model.bias)
    assert same_bits(captured(x).numpy(), expected.numpy())
