"""Captured functions: whatever a replay does not survive is noticed, and recorded anew."""
from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from capturing import MODELS, assert_same, batches, run_both, training, twins
from pydl import CaptureError, capture, nn


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


def test_plans_of_training_and_evaluation_stay() -> None:
    """Each waits while modules are in the other mode; which modules are, is told apart."""
    model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.BatchNorm1d(6), nn.Dropout(0.5))
    forward = capture(lambda x: model(x))
    x = batches(1)[0][0]
    modes: list[Callable[[], Any]] = [model.train, model.eval, model[1].train, model[3].train, model[1].eval, model[2].train]
    found = []
    for _ in range(3):
        pydl.manual_seed(1)
        with pydl.no_grad():
            for buffer in model.buffers():
                buffer.fill_(1)
        for mode in modes:
            mode()
            found.append((forward(x).clone().numpy().tobytes(), pydl.get_rng_state().tolist()))
    plans = [plan for several in forward.plans.values() for plan in several]
    assert len(plans) == len(modes) == len(set(map(str, found))) and found == found[:6] * 3
    assert all(plan.current for plan in plans)
    model.training = 1                  # no mode, but a change
    assert not any(plan.current for plan in plans)


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


def test_a_deleted_model_lives_in_its_plan() -> None:
    model = MODELS["mlp"]()
    want = model(pydl.ones(2, 6)).detach().numpy()
    forward = capture(model.forward)
    forward(pydl.ones(2, 6))
    plan = next(iter(forward.plans.values()))[0]
    del model, forward
    gc.collect()
    np.testing.assert_array_equal(plan.replay((pydl.ones(2, 6),)).numpy(), want)


def test_a_rate_that_is_not_a_number() -> None:
    """Steps are compared bit by bit: NaN is no change."""
    p = nn.Parameter(pydl.ones(2))
    optimizer = pydl.optim.SGD([p], lr=0.1)
    optimizer.param_groups[0]["lr"] = float("nan")

    def step(x: pydl.Tensor) -> pydl.Tensor:
        optimizer.zero_grad()
        loss = (p * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    captured = pydl.capture(step)
    for _ in range(3):
        captured(pydl.ones(2))
    assert np.isnan(p.detach().numpy()).all()
