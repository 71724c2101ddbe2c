"""What a plan does better than the recorded launches: memory, arguments in place, fused launches, strips, packed weights."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from calls import same_bits
from pydl import nn
from pydl.nn import functional as F

Step = Callable[..., Any]


def numbers(*shape: int, seed: int = 0) -> pydl.Tensor:
    return pydl.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def kernels(captured: Any) -> list[str]:
    """Of the launches of the plan that was replayed last."""
    lines = captured.describe().splitlines()
    return [line.split()[1] for line in lines if line[:4].strip().isdigit()]


def agree(step: Step, *calls: tuple[pydl.Tensor, ...]) -> Any:
    """Captures step, compares the bits of every call with an eager one, returns what was captured."""
    captured = pydl.capture(step)
    for args in calls:
        eager, replayed = step(*args), captured(*args)
        for a, b in zip(eager if isinstance(eager, tuple) else (eager,), replayed if isinstance(replayed, tuple) else (replayed,)):
            assert same_bits(a.detach().numpy(), b.detach().numpy())
    return captured


# --- memory

def deep(width: int = 256, layers: int = 8) -> nn.Module:
    pydl.manual_seed(0)
    return nn.Sequential(*(part for _ in range(layers) for part in (nn.Linear(width, width), nn.ReLU())))


def peak(run: Step, *args: pydl.Tensor, calls: int = 1) -> int:
    """Bytes that are allocated at most, beyond those before."""
    pydl.empty_cache()
    pydl.reset_peak_memory_stats()
    before = pydl.memory_stats()["allocated"]
    for _ in range(calls):
        run(*args)
    return pydl.memory_stats()["peak"] - before


def test_training_needs_less_memory_than_an_eager_run() -> None:
    def whole(captured: bool) -> int:
        model = deep()
        optimizer = pydl.optim.Adam(model.parameters())

        def step(x: pydl.Tensor) -> pydl.Tensor:
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        run = pydl.capture(step) if captured else step
        x = numbers(512, 256)
        before = pydl.memory_stats()["allocated"]
        run(x)
        return pydl.memory_stats()["allocated"] - before + peak(run, x, calls=3)

    assert whole(captured=True) < whole(captured=False)


def test_inference_and_its_recording_need_little_memory() -> None:
    model, x = deep(), numbers(4096, 256)
    with pydl.no_grad():
        eager, captured = peak(model, x), pydl.capture(model.forward)
        assert peak(captured, x) < eager + 2.5 * x.numel() * 4      # the argument's copy, and the plan while what was recorded is there
        assert captured.last.nbytes < eager + 1.1 * x.numel() * 4   # the result
        assert peak(captured, x, calls=5) == 0


def test_temporaries_share_memory() -> None:
    def step(x: pydl.Tensor) -> pydl.Tensor:
        for _ in range(20):
            x = pydl.cumsum(x, 0) * 0.01
        return x

    captured = agree(step, (numbers(64, 64),), (numbers(64, 64, seed=1),))
    assert captured.last.nbytes < 6 * 64 * 64 * 4


def test_numbers_of_the_host_stay() -> None:
    """Scalars, bounds and offsets that the host writes once, whatever else lies in the plan's memory."""
    table = nn.EmbeddingBag(10, 4, mode="sum")

    def step(x: pydl.Tensor, i: pydl.Tensor) -> Any:
        a = x * 3 + 1
        b = a.cumsum(0) * 0.5
        bags = table(i).detach()
        return b - 2, bags * 4, (b + pydl.tensor(7.0)).cumsum(1) / 3

    i = pydl.tensor([[1, 2], [3, 9]])
    agree(step, (numbers(5, 5), i), (numbers(5, 5, seed=1), i), (numbers(5, 5, seed=2), i))


# --- arguments

BIG = (64, 33)      # above what is copied without a launch


def test_arguments_are_read_where_they_are() -> None:
    captured = agree(lambda x, y: x @ y.t() + 1, *[(numbers(*BIG, seed=s), numbers(*BIG, seed=s + 10)) for s in range(4)])
    x, y = numbers(*BIG, seed=20), numbers(*BIG, seed=21)
    assert "copy" not in {event.kernel for event in captured.profile(1, x, y).events}


@pytest.mark.parametrize("make", [
    lambda x: x, lambda x: x.t().contiguous().t(), lambda x: pydl.from_numpy(x.numpy().copy()), lambda x: pydl.cat([x, x])[:64],
    lambda x: pydl.cat([x, x], 1)[:, :33],
])
def test_arguments_of_any_layout(make: Callable[[pydl.Tensor], pydl.Tensor]) -> None:
    agree(lambda x: (x * 2).sum(0), *[(make(numbers(*BIG, seed=s)),) for s in range(3)])


def test_an_argument_changed_between_calls() -> None:
    x = numbers(*BIG)
    captured = pydl.capture(lambda x: x * 2)
    for _ in range(3):
        x.add_(1)
        assert same_bits(captured(x).numpy(), (x * 2).numpy())


def test_results_as_arguments() -> None:
    captured = pydl.capture(lambda x, y: (y * 2, x + 1))
    a, b = numbers(*BIG), numbers(*BIG, seed=1)
    x, y = a, b
    for _ in range(5):
        x, y = captured(x, y)
        a, b = b * 2, a + 1
        assert same_bits(x.numpy(), a.numpy()) and same_bits(y.numpy(), b.numpy())


def test_one_tensor_twice_and_an_argument_returned() -> None:
    x = numbers(*BIG)
    agree(lambda x, y: (x + y, x), (x, x), (numbers(*BIG, seed=1), x), (x, numbers(*BIG, seed=2)))


def test_an_argument_that_somebody_keeps() -> None:
    kept: dict[str, pydl.Tensor] = {}

    def step(x: pydl.Tensor) -> pydl.Tensor:
        kept["last"] = x
        return x + 1

    captured = pydl.capture(step)
    for seed in range(3):
        x = numbers(*BIG, seed=seed)
        captured(x)
        assert same_bits(kept["last"].numpy(), x.numpy())


def test_a_gradient_that_is_an_argument() -> None:
    leaf = pydl.zeros(BIG, requires_grad=True)

    def step(g: pydl.Tensor) -> None:
        leaf.grad = None
        (leaf * 1).backward(g)

    captured = pydl.capture(step)
    for seed in range(3):
        g = numbers(*BIG, seed=seed)
        captured(g)
        assert same_bits(leaf.grad.numpy(), g.numpy())


def test_a_check_names_the_callers_values() -> None:
    captured = pydl.capture(lambda x, t: F.cross_entropy(x, t))
    x = numbers(1000, 3)
    t = pydl.zeros(1000, dtype=pydl.int64)
    captured(x, t), captured(x, t)
    t[77] = 5
    with pytest.raises(IndexError, match="target 5 at position 77"):
        captured(x, t)
    t[77] = 2
    assert captured(x, t).item() == F.cross_entropy(x, t).item()


def test_probabilities_are_checked_at_every_replay() -> None:
    captured = pydl.capture(lambda p: F.binary_cross_entropy(p, p.detach()))
    captured(pydl.full((3,), 0.5)), captured(pydl.full((3,), 0.25))
    with pytest.raises(ValueError, match="between 0 and 1, got 1.5"):
        captured(pydl.tensor([0.5, 1.5, 0.5]))
    assert captured(pydl.full((3,), 0.25)).item() == F.binary_cross_entropy(pydl.full((3,), 0.25), pydl.full((3,), 0.25)).item()


# --- fused launches

@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "gelu", "silu"])
@pytest.mark.parametrize("rows", [1, 2, 7, 40])
@pytest.mark.parametrize("columns", [1, 5, 32, 70])
def test_activations_in_products(name: str, rows: int, columns: int) -> None:
    w, b, f = numbers(columns, 19, seed=1), numbers(columns, seed=2), getattr(F, name)
    captured = agree(lambda x: f(F.linear(x, w, b)).cumsum(0), *[(numbers(rows, 19, seed=s),) for s in range(3)])
    assert kernels(captured) == ["gemm", "cumsum"]


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


# --- what it says

def test_describe_shows_sizes_and_the_share_of_the_time() -> None:
    model = nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4))
    captured = pydl.capture(lambda x: model(x).logsumexp(1))
    x = numbers(3, 24)
    captured(x)
    assert "3x24 @ 24x16 relu" in captured.describe() and " % " not in captured.describe()
    captured.profile(20, x)
    shares = [float(word) for line in captured.describe().splitlines() for word, unit in zip(line.split(), line.split()[1:]) if unit == "%"]
    assert len(shares) == 3 and abs(sum(shares) - 100) < 0.5


def test_elementwise_kernels_come_first() -> None:
    """What csrc/plan_strips.c relies on."""
    from pydl.costs import COSTS, KERNELS
    first = KERNELS[:KERNELS.index("gemm")]
    assert all(COSTS[name].geometry == "map" for name in first if name != "triangle")


def test_weights_of_binary_cross_entropy_may_be_nan() -> None:
    w, p = pydl.ones(3), pydl.full((3,), 0.5)
    captured = pydl.capture(lambda p: F.binary_cross_entropy(p, p.detach(), w))
    captured(p)
    w.fill_(float("nan"))
    assert np.isnan(captured(p).item())
