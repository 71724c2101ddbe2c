"""Captured functions: the same bits as without capture."""
from __future__ import annotations

import copy
import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from capturing import MODELS, OPTIMIZERS, assert_same, batches, run_both, training, twins
from pydl import CaptureError, capture, nn
from pydl.nn import functional as F


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer: str) -> None:
    (a, opt, eager), (b, other, plain) = twins("mlp", optimizer)
    captured = capture(plain)
    run_both(eager, captured, batches())
    assert_same(a, b)
    assert len(captured.plans) == 1 and [len(plans) for plans in captured.plans.values()] == [1]
    for p, q in zip(opt.state.values(), other.state.values(), strict=True):
        for name, value in p.items():
            assert value.tolist() == q[name].tolist(), name


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [1, 2])
def test_every_model(model: str, count: int, threads: None) -> None:
    pydl.set_num_threads(count)
    (a, _, eager), (b, _, plain) = twins(model, "Adam")
    run_both(eager, capture(plain), batches(dtype="float64" if model == "double" else "float32"))
    assert_same(a, b)


@pytest.mark.parametrize("loss", [
    lambda y, t: F.cross_entropy(y, t, label_smoothing=0.1), lambda y, t: F.nll_loss(F.log_softmax(y, 1), t),
    lambda y, t: F.mse_loss(y, F.one_hot(t, 4).to(pydl.float32)), lambda y, t: F.smooth_l1_loss(y, y.detach() * 0.5) + y.abs().mean(),
    lambda y, t: F.margin_ranking_loss(y[:, 0], y[:, 1], y[:, 2].sign()), lambda y, t: 2 * F.cross_entropy(y, t) + 0.01 * (y ** 2).sum(),
    lambda y, t: F.cross_entropy(y, t, reduction="sum") / 12, lambda y, t: -y.gather(1, t.unsqueeze(1)).mean() + y.max(1).values.sum(),
    lambda y, t: y.logsumexp(1).mean() - y[:, 0].mean(), lambda y, t: F.binary_cross_entropy_with_logits(y, (y > 0).to(pydl.float32)),
    lambda y, t: y.sort(1).values[:, -1].mean() + y.std(), lambda y, t: pydl.where(y > 0, y, 0.1 * y).mean(),
], ids=range(12))
def test_losses(loss: Any) -> None:
    (a, _, eager), (b, _, plain) = twins("mlp", "SGD", loss)
    run_both(eager, capture(plain), batches())
    assert_same(a, b)


def test_embedding() -> None:
    def made() -> tuple[Any, Any]:
        pydl.manual_seed(0)
        model = nn.Sequential(nn.Embedding(20, 6, padding_idx=0), nn.Flatten(), nn.Linear(18, 3))
        return model, training(model, pydl.optim.Adam(model.parameters()))

    rng = np.random.default_rng(1)
    data = [(pydl.tensor(rng.integers(0, 20, (5, 3))), pydl.tensor(rng.integers(0, 3, 5))) for _ in range(10)]
    (a, eager), (b, plain) = made(), made()
    captured = capture(plain)
    run_both(eager, captured, data)
    assert_same(a, b)
    with pytest.raises(IndexError, match="20"):
        captured(pydl.tensor([[1, 2, 20]] * 5), data[0][1])
    run_both(eager, captured, data[:3])
    assert_same(a, b)


def test_a_schedule_is_read_at_every_replay() -> None:
    (a, opt, eager), (b, other, plain) = twins("mlp", "Adam")
    captured = capture(plain)
    schedules = [pydl.optim.lr_scheduler.ExponentialLR(o, 0.5) for o in (opt, other)]
    for x, t in batches(8):
        assert eager(x, t).item() == captured(x, t).item()
        for schedule in schedules:
            schedule.step()
    other.param_groups[0]["betas"] = opt.param_groups[0]["betas"] = (0.5, 0.9)
    run_both(eager, captured, batches(4))
    assert_same(a, b)
    assert sum(map(len, captured.plans.values())) == 1


@pytest.mark.parametrize("how", ["never", "to zeros", "afterwards", "outside", "every third"])
def test_gradients_that_stay(how: str) -> None:
    """Accumulation: whether a gradient is there at the beginning makes another plan."""
    def made(wrap: Any) -> tuple[Any, Callable[..., Any]]:
        pydl.manual_seed(3)
        model = MODELS["mlp"]()
        opt = pydl.optim.SGD(model.parameters(), lr=0.05)

        def step(x: pydl.Tensor, t: pydl.Tensor) -> Any:
            if how == "to zeros":
                opt.zero_grad(set_to_none=False)
            loss = F.cross_entropy(model(x), t)
            loss.backward()
            if how in ("afterwards", "outside", "never"):
                opt.step()
            if how == "afterwards":
                opt.zero_grad()
            return loss

        inner, calls = wrap(step), [0]

        def whole(x: pydl.Tensor, t: pydl.Tensor) -> Any:
            if how == "outside":
                model.zero_grad()
            loss = inner(x, t)
            calls[0] += 1
            if how in ("every third", "to zeros") and calls[0] % 3 == 0:
                opt.step()
                if how == "every third":
                    opt.zero_grad()
            return loss

        return model, whole

    (a, eager), (b, captured) = made(lambda f: f), made(capture)
    run_both(eager, captured, batches(12))
    assert_same(a, b)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


@pytest.mark.parametrize("norm", [2.0, 1.0, float("inf")])
@pytest.mark.parametrize("bound", [0.05, 100.0, float("inf")])
def test_clipping(norm: float, bound: float) -> None:
    def clipped(model: Any, optimizer: Any) -> Callable[..., Any]:
        def step(x: pydl.Tensor, t: pydl.Tensor) -> Any:
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            total = nn.utils.clip_grad_norm_(model.parameters(), bound, norm)
            nn.utils.clip_grad_value_(model.parameters(), 0.2)
            optimizer.step()
            return total

        return step

    (a, opt, _), (b, other, _) = twins("mlp", "SGD")
    run_both(clipped(a, opt), capture(clipped(b, other)), batches(10))
    assert_same(a, b)


def test_two_optimizers_and_two_models() -> None:
    def made(wrap: Any) -> tuple[Any, Any, Callable[..., Any]]:
        pydl.manual_seed(1)
        g, d = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)), nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
        og, od = pydl.optim.Adam(g.parameters(), betas=(0.5, 0.9)), pydl.optim.Adam(d.parameters())

        @wrap
        def step(real: pydl.Tensor) -> Any:
            fake = g(pydl.randn(len(real), 3))
            od.zero_grad()
            loss_d = F.softplus(-d(real)).mean() + F.softplus(d(fake.detach())).mean()
            loss_d.backward()
            od.step()
            og.zero_grad()
            loss_g = F.softplus(-d(fake)).mean()
            loss_g.backward()
            og.step()
            return {"d": loss_d, "g": loss_g}

        return g, d, step

    (g, d, eager), (h, e, captured) = made(lambda f: f), made(capture)
    data = [pydl.tensor(np.random.default_rng(i).standard_normal((9, 2)).astype("f")) for i in range(20)]
    seen = []
    for step in (eager, captured):
        pydl.manual_seed(8)
        seen.append([[value.item() for value in step(x).values()] for x in data])
    assert seen[0] == seen[1]
    assert_same(g, h)
    assert_same(d, e)


def test_inference_and_results() -> None:
    model = MODELS["mlp"]().eval()
    forward = capture(model.forward)
    x = pydl.randn(5, 6)
    first = forward(x)
    assert not first.requires_grad and first.grad_fn is None
    np.testing.assert_array_equal(first.numpy(), model(x).detach().numpy())
    second = forward(2 * x)
    assert second.data_ptr() == first.data_ptr()
    np.testing.assert_array_equal(first.numpy(), model(2 * x).detach().numpy())
    with pydl.no_grad():
        np.testing.assert_array_equal(forward(x).numpy(), model(x).numpy())
    assert len(forward.plans) == 2
    strided = pydl.randn(6, 5).T
    np.testing.assert_array_equal(forward(strided).numpy(), model(strided.contiguous()).detach().numpy())


def test_structures_and_plain_arguments() -> None:
    @capture(max_plans=2)
    def f(x: pydl.Tensor, power: int, *, scale: float = 1.0, name: str | None = None) -> Any:
        return {"a": (x ** power, [scale * x]), "b": None, "c": power}

    x = pydl.tensor([1.0, 2.0])
    assert f(x, 2)["a"][0].tolist() == [1, 4]
    assert f(x, 3, scale=2.0)["a"][1][0].tolist() == [2, 4]
    assert f(x + 1, 3, scale=2.0)["a"][0].tolist() == [8, 27]
    assert f(x, 1, name="x")["c"] == 1
    assert len(f.plans) == 2
    two, three, four = (pydl.ones(n) for n in (2, 3, 4))
    g = capture(lambda x: x + 1, max_plans=2)
    for y in (two, three, two, four):       # three was used longest ago
        g(y)
    assert [key[1][1] for key in g.plans] == [(2,), (4,)]
    for bad in ([x], {"x": x}, object()):
        with pytest.raises(CaptureError, match="argument 0"):
            f(bad, 2)
    with pytest.raises(CaptureError, match="requires grad"):
        f(pydl.ones(2, requires_grad=True), 2)
    with pytest.raises(CaptureError, match="must return tensors, .* got object"):
        capture(lambda: object())()


def test_closed_over_tensors_are_read_in_place() -> None:
    weight, counter = pydl.tensor([1.0, 2.0]), pydl.zeros(())

    @capture
    def f() -> pydl.Tensor:
        counter.add_(1)
        return weight * counter

    for i in range(1, 5):
        assert f().tolist() == [i, 2 * i]
    weight.mul_(10)
    before = counter._version
    assert f().tolist() == [50, 100]
    assert counter._version == before + 1 and counter.item() == 5


def test_constants_made_inside() -> None:
    array = np.array([1.0, 2.0], "f")

    @capture
    def f(x: pydl.Tensor) -> pydl.Tensor:
        return x * pydl.tensor([3.0, 4.0]) + pydl.from_numpy(array) + pydl.tensor(0.5) + pydl.arange(2) + np.float32(1)

    for k in range(4):
        x = pydl.tensor([float(k), 1.0])
        gc.collect()
        np.testing.assert_array_equal(f(x).numpy(), [3 * k + array[0] + 1.5, 4 + array[1] + 2.5])
        array += 1


def test_a_replay_allocates_nothing() -> None:
    (_, _, _), (_, _, plain) = twins("dropout", "Adam")
    captured = capture(plain)
    x, t = batches(1)[0]
    for _ in range(3):
        captured(x, t)
    before = pydl.memory_stats()
    for _ in range(1000):
        captured(x, t)
    after = pydl.memory_stats()
    assert after["allocations"] == before["allocations"] and after["allocated"] == before["allocated"]


def test_constants_that_are_changed_begin_anew() -> None:
    @capture
    def f(x: pydl.Tensor) -> Any:
        total = pydl.tensor(0.0)
        total += x.sum()
        more = x.new_tensor(1.0)
        more *= total
        weight = pydl.tensor([1.0, 2.0])
        weight *= 3
        return total, more, weight * x

    for _ in range(3):
        total, more, weighted = f(pydl.ones(2))
        assert (total.item(), more.item(), weighted.tolist()) == (2, 2, [3, 6])


def test_the_seed_of_backward_may_be_changed() -> None:
    p = pydl.tensor(1.0, requires_grad=True)

    @capture
    def f(x: pydl.Tensor) -> pydl.Tensor:
        (g,) = pydl.autograd.grad(p + x.sum(), p)
        g *= 0.5
        return g * 1

    assert [f(pydl.ones(2)).item() for _ in range(3)] == [0.5] * 3


def test_results_are_the_callers() -> None:
    f = capture(lambda x, y: {"a": [x, y], "b": x + y})
    one = f(pydl.tensor(1.0), pydl.tensor(2.0))
    one["a"].pop()
    one["b"].data = pydl.zeros(3)
    two = f(pydl.tensor(3.0), pydl.tensor(4.0))
    assert [v.item() for v in two["a"]] == [3, 4] and two["b"].item() == 7
    swapped = f(two["a"][1], two["a"][0])
    assert [v.item() for v in swapped["a"]] == [4, 3]
    matrix = pydl.tensor([[1.0, 2.0], [3.0, 4.0]])
    same = capture(lambda x: x)
    assert same(same(matrix).T).tolist() == [[1, 3], [2, 4]]
    w = pydl.tensor(1.0)
    closed = capture(lambda x: w)
    closed(matrix)
    w.data = pydl.tensor(5.0)
    assert closed(matrix).item() == 5


def test_describe_profile_and_trace(tmp_path: Any) -> None:
    _, (_, _, plain) = twins("mlp", "Adam")
    captured = capture(plain)
    assert "no plan yet" in captured.describe()
    x, t = batches(1)[0]
    captured(x, t)
    text = captured.describe()
    assert "(12, 6)" in text and "(check)" in text and text.count("gemm") == 5 and "adam_step" in text
    line = next(line for line in text.splitlines() if " gemm " in line)
    assert f" {2 * 12 * 6 * 16} " in line
    with pydl.profile() as prof:
        for _ in range(3):
            captured(x, t)
    assert sum(row.calls for row in prof.rows if row.kernel == "adam_step") == 3
    assert sum(row.calls for row in captured.profile(2, x, t).rows if row.kernel == "gemm") == 10
    captured.to_chrome_trace(tmp_path / "trace.json", x, t)
    assert "adam_step" in (tmp_path / "trace.json").read_text()


def test_a_copy_captures_anew() -> None:
    model = MODELS["mlp"]()
    model.fast = capture(model.forward)
    x = pydl.ones(2, 6)
    model.fast(x)
    other = copy.deepcopy(model)
    with pydl.no_grad():
        other[0].weight.zero_()
    np.testing.assert_array_equal(other.fast(x).numpy(), other(x).detach().numpy())
    np.testing.assert_array_equal(model.fast(x).numpy(), model(x).detach().numpy())


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.register_buffer("factor", pydl.tensor(factor))

    @capture
    def forward(self, x: pydl.Tensor) -> pydl.Tensor:
        return x * self.factor


def test_methods() -> None:
    two, three, x = Scaled(2.0), Scaled(3.0), pydl.ones(2)
    for _ in range(3):
        assert two(x).tolist() == [2, 2] and three(x).tolist() == [3, 3]
    assert two.forward is two.forward and two.forward is not three.forward and len(two.forward.plans) == 1
    other = copy.deepcopy(two)
    other.factor.fill_(5)
    assert other(x).tolist() == [5, 5] and two(x).tolist() == [2, 2]


def test_describe_in_a_new_process() -> None:
    """Nothing that another test has imported."""
    code = ("import pydl; f = pydl.capture(lambda x: x @ x); f(pydl.ones(3, 3)); text = f.describe(); "
            "assert '3x3 @ 3x3' in text and ' 54 ' in text, text")
    subprocess.run([sys.executable, "-c", code], check=True)
