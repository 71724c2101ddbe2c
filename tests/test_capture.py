"""Captured functions: the same bits as without capture, and whatever a replay does not survive is noticed."""
from __future__ import annotations

import copy
import gc
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import CaptureError, capture, nn
from pydl.nn import functional as F

STEPS = 30
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: pydl.optim.SGD(p, lr=0.1),
    "SGD momentum": lambda p: pydl.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: pydl.optim.Adam(p, lr=0.01),
    "Adam amsgrad": lambda p: pydl.optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda p: pydl.optim.AdamW(p, lr=0.01),
    **{name: lambda p, name=name: getattr(pydl.optim, name)(p) for name in
       ("RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop")},
}
MODELS: dict[str, Callable[[], Any]] = {
    "mlp": lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)),
    "tanh": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4), nn.Softplus()),
    "dropout": lambda: nn.Sequential(nn.Linear(6, 32), nn.GELU(), nn.Dropout(0.3), nn.Linear(32, 4)),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 4)),
    "layer norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.LeakyReLU(), nn.Linear(8, 4)),
    "double": lambda: nn.Sequential(nn.Linear(6, 8, dtype=pydl.float64), nn.Mish(), nn.Linear(8, 4, dtype=pydl.float64)),
}


def batches(count: int = STEPS, dtype: str = "float32") -> list[tuple[pydl.Tensor, pydl.Tensor]]:
    rng = np.random.default_rng(0)
    return [(pydl.tensor(rng.standard_normal((12, 6)).astype(dtype)), pydl.tensor(rng.integers(0, 4, 12))) for _ in range(count)]


def training(model: Any, optimizer: Any, loss: Any = F.cross_entropy) -> Callable[..., Any]:
    def step(x: pydl.Tensor, t: pydl.Tensor) -> Any:
        optimizer.zero_grad()
        value = loss(model(x), t)
        value.backward()
        optimizer.step()
        return value

    return step


def twins(model: str, optimizer: str, loss: Any = F.cross_entropy) -> list[tuple[Any, Any, Callable[..., Any]]]:
    made = []
    for _ in range(2):
        pydl.manual_seed(3)
        one = MODELS[model]()
        opt = OPTIMIZERS[optimizer](one.parameters())
        made.append((one, opt, training(one, opt, loss)))
    return made


def assert_same(a: Any, b: Any) -> None:
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy(), err_msg=name)


def run_both(eager: Callable[..., Any], captured: Callable[..., Any], data: list[tuple[Any, ...]], seed: int = 5) -> None:
    """The same losses, for the same random numbers."""
    losses: list[list[float]] = []
    for step in (eager, captured):
        pydl.manual_seed(seed)
        losses.append([step(*batch).item() for batch in data])
    assert losses[0] == losses[1]


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


@pytest.mark.parametrize("change", ["data", "frozen", "load", "group", "momentum", "layer", "eval"])
def test_changes_are_noticed(change: str) -> None:
    (a, opt, eager), (b, other, plain) = twins("dropout", "SGD momentum")
    captured = capture(plain)
    data = batches(12)
    run_both(eager, captured, data[:4])
    saved = [copy.deepcopy(o.state_dict()) for o in (opt, other)]
    run_both(eager, captured, data[4:6])
    for model, optimizer, state in ((a, opt, saved[0]), (b, other, saved[1])):
        if change == "data":
            model[0].weight.data = model[0].weight.data * 0.5
        elif change == "frozen":
            model[0].weight.requires_grad_(False)
            model[0].weight.grad = None
        elif change == "load":
            optimizer.load_state_dict(state)
        elif change == "group":
            extra = nn.Parameter(pydl.ones(3))
            optimizer.add_param_group({"params": [extra], "lr": 0.5})
        elif change == "momentum":
            optimizer.param_groups[0]["momentum"] = 0
            optimizer.param_groups[0]["nesterov"] = False
        elif change == "layer":
            pydl.manual_seed(9)
            model[3] = nn.Linear(32, 4)
            optimizer.add_param_group({"params": list(model[3].parameters())})
        elif change == "eval":
            model.eval()
    run_both(eager, captured, data[6:])
    assert_same(a, b)


def test_what_is_gone_or_kept_elsewhere_is_refused() -> None:
    state = {"h": pydl.ones(1000)}

    def replaces(x: pydl.Tensor) -> pydl.Tensor:
        state["h"] = state["h"] * 2 + x
        other = x * 5
        return state["h"] + other

    with pytest.raises(CaptureError, match="gone after the call"):
        capture(replaces)(pydl.ones(1000))
    kept: list[pydl.Tensor] = []

    def keeps(x: pydl.Tensor) -> pydl.Tensor:
        kept.append(x * 2)
        return x

    with pytest.raises(CaptureError, match="kept by somebody else"):
        capture(keeps)(pydl.ones(3))
    weight = pydl.ones(3)
    changes = capture(lambda x: weight.add_(1) + x)
    with pytest.raises(CaptureError, match="also a tensor that the function closes over"):
        changes(weight)

    def borrows(x: pydl.Tensor) -> pydl.Tensor:
        total = pydl.from_numpy(np.zeros(2, "f"))
        total += x
        return total * 1

    with pytest.raises(CaptureError, match="borrows from NumPy"):
        capture(borrows)(pydl.ones(2))


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


def test_old_results_in_a_graph_are_noticed() -> None:
    w = pydl.ones(2, requires_grad=True)
    f = capture(lambda x: x * 2)
    loss = (w * f(pydl.ones(2))).sum() + (w * f(3 * pydl.ones(2))).sum()
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_layout_of_closed_over_tensors() -> None:
    w = pydl.tensor([[1.0, 2.0], [3.0, 4.0]])
    f = capture(lambda x: x + w)
    f(pydl.zeros(2, 2))
    w.t_()
    assert f(pydl.zeros(2, 2)).tolist() == [[1, 3], [2, 4]]


STATE_CHANGES: list[Callable[[Any, Any], Any]] = [
    lambda o, p: o.state.clear(), lambda o, p: o.state.pop(p), lambda o, p: setattr(o, "state", type(o.state)(dict)),
    lambda o, p: o.state[p].update(exp_avg=pydl.ones_like(p)), lambda o, p: o.state[p].update(step=pydl.tensor(100.0)),
    lambda o, p: setattr(o, "param_groups", [dict(o.param_groups[0], lr=0.9)]),
    lambda o, p: o.param_groups.append(dict(o.param_groups[0], params=[nn.Parameter(pydl.ones(2))], lr=0.3)),
    lambda o, p: o.param_groups[0]["params"].pop(),
]


@pytest.mark.parametrize("change", STATE_CHANGES, ids=range(len(STATE_CHANGES)))
def test_changes_to_an_optimizer(change: Callable[[Any, Any], Any]) -> None:
    (a, opt, eager), (b, other, plain) = twins("mlp", "Adam")
    captured = capture(plain)
    data = batches(9)
    run_both(eager, captured, data[:4])
    for model, optimizer in ((a, opt), (b, other)):
        change(optimizer, model[0].weight)
    run_both(eager, captured, data[4:])
    assert_same(a, b)


def test_hyperparameters_that_change_inside() -> None:
    (_, opt, eager), _ = twins("mlp", "SGD")
    schedule = pydl.optim.lr_scheduler.ExponentialLR(opt, 0.5)

    def step(x: pydl.Tensor, t: pydl.Tensor) -> pydl.Tensor:
        loss = eager(x, t)
        schedule.step()
        return loss

    with pytest.raises(CaptureError, match="outside of it"):
        capture(step)(*batches(1)[0])


def test_modules_that_change_while_they_are_recorded() -> None:
    pydl.manual_seed(0)
    lazy = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    forward, x = capture(lambda x: lazy(x)), pydl.ones(2, 3)
    want = forward(x).tolist()
    assert all(forward(x).tolist() == want for _ in range(3)) and len(forward.plans) == 1

    class Counting(nn.Module):
        calls = 0

        def forward(self, x: pydl.Tensor) -> pydl.Tensor:
            self.calls += 1
            return x * self.calls

    counting = capture(Counting().forward)
    assert [counting(pydl.ones(1)).item() for _ in range(3)] == [1, 2, 3]
    with pytest.raises(CaptureError, match="at every call"):
        counting(pydl.ones(1))


@pytest.mark.parametrize("change", [
    lambda m: m.__delitem__(1), lambda m: m.pop(1), lambda m: m.append(nn.Tanh()), lambda m: m.insert(0, nn.Tanh()),
    lambda m: m[0].register_forward_hook(lambda module, args, output: output * 2),
    lambda m: m[0].weight.register_hook(lambda g: g * 10), lambda m: setattr(m[1], "negative_slope", 0.9),
    lambda m: nn.utils.parametrizations.weight_norm(m[0]),
], ids=range(8))
def test_changes_to_modules(change: Callable[[Any], Any]) -> None:
    def made() -> tuple[Any, Callable[..., Any]]:
        pydl.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 6), nn.LeakyReLU(), nn.Linear(6, 6))

        def step(x: pydl.Tensor) -> pydl.Tensor:
            model.zero_grad()
            loss = (model(x) ** 2).sum()
            loss.backward()
            return loss + next(iter(model.parameters())).grad.sum()

        return model, step

    (a, eager), (b, plain) = made(), made()
    captured = capture(plain)
    data = [(x,) for x, _ in batches(6)]
    run_both(eager, captured, data[:3])
    change(a)
    change(b)
    run_both(eager, captured, data[3:])


def test_modes_and_plain_arguments_make_other_plans() -> None:
    f = capture(lambda x, k: x / k)
    assert f(pydl.ones(1), 0.0).item() == float("inf") and f(pydl.ones(1), -0.0).item() == -float("inf")
    assert np.isnan(f(pydl.ones(1), float("nan")).item())
    count = len(f.plans)
    f(pydl.ones(1), float("nan"))
    assert len(f.plans) == count
    made = capture(lambda: pydl.tensor(0.5) * pydl.ones(2))
    assert made().dtype == pydl.float32
    pydl.set_default_dtype(pydl.float64)
    try:
        assert made().dtype == pydl.float64
    finally:
        pydl.set_default_dtype(pydl.float32)
    draws = capture(lambda: pydl.rand(2))
    draws()
    from pydl._core.generator import use_in_thread
    own = pydl.Generator().manual_seed(4)
    before = use_in_thread(own)
    try:
        got = draws().tolist()
    finally:
        use_in_thread(before)
    assert got == pydl.rand(2, generator=pydl.Generator().manual_seed(4)).tolist()


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


def test_recording_again_and_again_grows_nothing() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 4))
    captured = capture(training(model, pydl.optim.Adam(model.parameters())))
    data = batches(1)[0]
    other = capture(model.forward, max_plans=64)

    def tensors() -> int:
        gc.collect()
        return sum(isinstance(x, pydl.Tensor) for x in gc.get_objects())

    counts = []
    for i in range(12):
        model.train(i % 2 == 0)
        for _ in range(2):
            captured(*data)
            other(pydl.ones(2 + i % 3, 6))
        counts.append(tensors())
    assert counts[-1] == counts[-7] < counts[3] + 40


def test_a_plan_that_is_garbage_while_another_is_recorded() -> None:
    class Box:
        pass

    def garbage() -> None:
        box, w = Box(), pydl.ones(1000)
        box.run = capture(lambda x: x * w)      # type: ignore[attr-defined]
        box.itself, box.result = box, box.run(pydl.ones(1000))      # type: ignore[attr-defined]

    weight = pydl.ones(3)

    def collects(x: pydl.Tensor) -> pydl.Tensor:
        gc.collect()
        return x * weight

    allocated = []
    gc.disable()
    try:
        for _ in range(4):
            garbage()
            capture(collects)(pydl.ones(3))
            gc.collect()
            allocated.append(pydl.memory_stats()["allocated"])
    finally:
        gc.enable()
    assert allocated[-1] == allocated[0]


def test_a_graph_that_was_changed() -> None:
    x = pydl.ones(2)

    def outcome(wrap: Any) -> Any:
        w, v = pydl.tensor([1.0, 2.0], requires_grad=True), pydl.tensor([3.0, 4.0], requires_grad=True)
        h = w * 2

        def f(x: pydl.Tensor) -> Any:
            w.grad = v.grad = None
            (h * x).sum().backward(retain_graph=True)
            return w.grad

        run = wrap(f)
        run(x), run(x)
        h.mul_(v)
        return run(x).tolist(), v.grad.tolist()

    assert outcome(lambda f: f) == outcome(capture) == ([6, 8], [2, 4])


def test_work_of_another_thread_is_refused() -> None:
    from concurrent.futures import ThreadPoolExecutor
    w = pydl.ones(2)
    with ThreadPoolExecutor(1) as pool, pytest.raises(CaptureError, match="another thread"):
        capture(lambda x: pool.submit(lambda: x * w).result())(pydl.ones(2))


def test_a_deleted_model_lives_in_its_plan() -> None:
    model = MODELS["mlp"]()
    want = model(pydl.ones(2, 6)).detach().numpy()
    forward = capture(model.forward)
    forward(pydl.ones(2, 6))
    plan = next(iter(forward.plans.values()))[0]
    del model, forward
    gc.collect()
    np.testing.assert_array_equal(plan.replay((pydl.ones(2, 6),)).numpy(), want)


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


REFUSED: list[tuple[Callable[[pydl.Tensor], Any], str]] = [
    (lambda x: x * x.sum().item(), "item"),
    (lambda x: x if x.sum() > 0 else -x, "item"),
    (lambda x: x * float(x[0]), "item"),
    (lambda x: pydl.tensor(x.numpy()), "numpy"),
    (lambda x: pydl.tensor(x.tolist()), "numpy|item"),
    (lambda x: x[x > 0], "selects"),
    (lambda x: pydl.nonzero(x), "selects"),
    (lambda x: pydl.unique(x), "item|numpy|selects"),
    (lambda x: x.mul_(2), "in place"),
    (lambda x: capture(lambda y: y)(x), "inside another"),
    (lambda x: pydl.manual_seed(1) and x, "manual_seed"),
    (lambda x: pydl.linalg.det(x.outer(x)), "numpy"),
    (lambda x: print(x), "numpy|item"),
]


@pytest.mark.parametrize(("function", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused(function: Callable[[pydl.Tensor], Any], words: str) -> None:
    x = pydl.tensor([1.0, 2.0, 3.0])
    captured = capture(function)
    for _ in range(2):
        with pytest.raises(CaptureError, match=words):
            captured(x)
    assert not captured.plans
    assert (x + x).tolist() == [2, 4, 6] and x.sum().item() == 6      # nothing is left of the capture
    with pytest.raises(CaptureError, match="test_capture.py"):
        capture(lambda x: x.sum().item())(x)


def test_fallback_runs_every_call_once() -> None:
    (a, _, eager), (b, _, plain) = twins("mlp", "Adam")

    def noisy(x: pydl.Tensor, t: pydl.Tensor) -> pydl.Tensor:
        loss = plain(x, t)
        return loss if loss.item() > -1 else -loss

    captured = capture(noisy, fallback="eager")
    with pytest.warns(UserWarning, match="runs eagerly .*item") as seen:
        run_both(eager, captured, batches(6))
    assert_same(a, b)
    assert len(seen) == 1
    with pytest.raises(ValueError, match="fallback"):
        capture(noisy, fallback="slow")
    for bad in (0, True, 1.5):
        with pytest.raises(ValueError, match="max_plans"):
            capture(noisy, max_plans=bad)
    with pytest.raises(TypeError, match="expected a function, got int"):
        capture(3)


def test_an_error_leaves_nothing_behind() -> None:
    (a, _, eager), (b, _, plain) = twins("mlp", "Adam")
    fail = [True]

    def sometimes(x: pydl.Tensor, t: pydl.Tensor) -> pydl.Tensor:
        if fail[0]:
            b(x)
            raise KeyError("no")
        return plain(x, t)

    captured = capture(sometimes)
    data = batches(5)
    with pytest.raises(KeyError):
        captured(*data[0])
    assert not captured.plans
    fail[0] = False
    run_both(eager, captured, data)
    assert_same(a, b)


def test_labels_out_of_range() -> None:
    (a, _, eager), (b, _, plain) = twins("mlp", "Adam")
    captured = capture(plain)
    data = batches(6)
    run_both(eager, captured, data[:3])
    bad = pydl.full((12,), 7)
    with pytest.raises(IndexError, match="target 7 at position 0"):
        captured(data[0][0], bad)
    with pytest.raises(IndexError):
        eager(data[0][0], bad)
    run_both(eager, captured, data[3:])
    assert_same(a, b)


def test_two_threads() -> None:
    model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 64))
    forward, x = capture(lambda x: model(model(model(x)))), pydl.randn(256, 64)
    want, errors = forward(x).numpy().copy(), []

    def work() -> None:
        for _ in range(30):
            try:
                forward(x)
            except RuntimeError as error:
                errors.append(str(error))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all("another thread" in text for text in errors)
    np.testing.assert_array_equal(forward(x).numpy(), want)


def test_others_do_not_record() -> None:
    """What another thread does meanwhile is none of the plan's business."""
    inside, done, made = threading.Event(), threading.Event(), []

    def other() -> None:
        inside.wait(10)
        x = pydl.arange(8).to(pydl.float32)
        made.append((pydl.ones(3) * 2).sum().item())
        made.append(x[x > 3].sum().item() + pydl.nonzero(x).numel() + pydl.randint(5, 6, (4,)).sum().item())
        done.set()

    worker = threading.Thread(target=other)
    worker.start()

    def f(x: pydl.Tensor) -> pydl.Tensor:
        inside.set()
        done.wait(10)
        return x + 1

    captured = capture(f)
    captured(pydl.ones(2))
    worker.join()
    assert made == [6, 22 + 7 + 20] and len(next(iter(captured.plans.values()))[0]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here")
def test_fork() -> None:
    model = MODELS["mlp"]()
    forward, x = capture(model.forward), pydl.ones(3, 6)
    want = forward(x).numpy().copy()
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(forward(x).numpy(), want) else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(forward(x).numpy(), want)
