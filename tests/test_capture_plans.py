"""A plan's memory, its arguments where the caller has them, and what it says of itself."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from calls import same_bits
from capturing import agree, numbers
from pydl import nn
from pydl.nn import functional as F

Step = Callable[..., Any]


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
        pydl.manual_seed(0)
        model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
        optimizer = pydl.optim.Adam(model.parameters())

        def step(x: pydl.Tensor) -> pydl.Tensor:
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        run = pydl.capture(step) if captured else step
        x = numbers(4096, 784)
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


@pytest.mark.parametrize("through", [lambda t: pydl.from_numpy(t.numpy()), lambda t: pydl.from_dlpack(t), lambda t: pydl.from_numpy(t.numpy().T)])
@pytest.mark.parametrize("n", [16, 64])
def test_results_come_back_through_other_libraries(through: Step, n: int) -> None:
    captured = pydl.capture(lambda x: (x * 0.5).cumsum(0) + x.t())
    a = b = numbers(n, n)
    for _ in range(4):
        b = (b * 0.5).cumsum(0) + b.t()
        a = captured(a)
        assert same_bits(a.numpy(), b.numpy())
        a, b = through(a), through(b.clone())


@pytest.mark.parametrize("n", [16, 64])
def test_arguments_that_share_closed_over_memory_by_numpy(n: int) -> None:
    state = numbers(n, n)
    captured = pydl.capture(lambda x: (state.mul_(2), x * 3 - state)[1])
    captured(numbers(n, n))
    with pytest.raises(pydl.CaptureError, match="closes over"):
        captured(pydl.from_numpy(state.numpy()))


@pytest.mark.parametrize("first", [True, False])
def test_gradients_after_a_step_that_failed(first: bool) -> None:
    found = []
    for captured in (False, True):
        pydl.manual_seed(0)
        model = nn.Linear(40, 3)

        def step(x: pydl.Tensor, t: pydl.Tensor, model: nn.Module = model) -> pydl.Tensor:
            if first:
                model.zero_grad()
            loss = F.cross_entropy(model(x), t)
            if not first:
                model.zero_grad()
            loss.backward()
            return loss

        run = pydl.capture(step) if captured else step
        x, t = numbers(600, 40), pydl.zeros(600, dtype=pydl.int64)
        run(x, t), run(x, t), step(x, t)
        with pytest.raises(IndexError):
            run(x, t + 9)
        found.append([None if p.grad is None else p.grad.numpy().copy() for p in model.parameters()])
        run(x, t)
    for a, b in zip(*found):
        assert (a is None) == (b is None) == first and (a is None or same_bits(a, b))


def test_a_tensor_that_joins_a_graph_in_place_is_refused() -> None:
    h, w = pydl.zeros(3), pydl.ones(3).requires_grad_()

    def step(x: pydl.Tensor) -> pydl.Tensor:
        w.grad = None
        h.add_(w + x)
        h.sum().backward()
        return w.grad

    with pytest.raises(pydl.CaptureError, match="joins a graph by a change in place"):
        pydl.capture(step)(pydl.ones(3))


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
