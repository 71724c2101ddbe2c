"""Optimizers: the equations in NumPy, PyTorch where it is installed, state, and what must be refused."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import optim

SHAPES = [(3, 4), (17,), (50, 60), (1,), (0,), (), (40_000,), (70_001,)]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.5, "dampening": 0.3, "maximize": True}),
    ("SGD", {"lr": 0.01, "weight_decay": 0.3}),
    *((name, attrs) for name in ("Adam", "AdamW") for attrs in (
        {}, {"lr": 0.1, "weight_decay": 0.1}, {"amsgrad": True, "lr": 0.01}, {"maximize": True, "betas": (0.5, 0.6)},
        {"eps": 0.1, "amsgrad": True, "weight_decay": 0.01})),
]


def parameters(dtype: str, shapes: list[tuple[int, ...]] = SHAPES) -> list[pydl.Tensor]:
    rng = np.random.default_rng(0)
    return [pydl.tensor(np.asarray(rng.standard_normal(s), dtype)).requires_grad_() for s in shapes]


def gradients(dtype: str, step: int, shapes: list[tuple[int, ...]] = SHAPES) -> list[np.ndarray | None]:
    """One parameter has no gradient in every other step."""
    rng = np.random.default_rng(step + 1)
    made = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
    return [None if i == 2 and step % 2 else g for i, g in enumerate(made)]


def run(name: str, attrs: dict[str, Any], dtype: str, steps: int = 6, shapes: list[tuple[int, ...]] = SHAPES) -> list[np.ndarray]:
    params = parameters(dtype, shapes)
    optimizer = getattr(optim, name)(params, **attrs)
    for step in range(steps):
        for p, g in zip(params, gradients(dtype, step, shapes), strict=True):
            p.grad = None if g is None else pydl.tensor(g)
        optimizer.step()
    return [p.detach().numpy() for p in params]


class Reference:
    """The equations above the kernels, one parameter at a time, in float64."""

    def __init__(self, name: str, **attrs: Any) -> None:
        base = {"SGD": {"momentum": 0, "dampening": 0, "nesterov": False, "weight_decay": 0},
                "Adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False},
                "AdamW": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "amsgrad": False}}[name]
        self.name, self.a, self.t = name, {**base, "maximize": False, **attrs}, 0
        self.m: Any = None
        self.v: Any = 0.0
        self.w: Any = 0.0

    def step(self, p: np.ndarray, g: np.ndarray) -> np.ndarray:
        a = self.a
        self.t += 1
        d = -g if a["maximize"] else g
        if self.name == "AdamW":
            p = p - a["lr"] * a["weight_decay"] * p
        else:
            d = d + a["weight_decay"] * p
        if self.name == "SGD":
            self.m = d if self.m is None else a["momentum"] * self.m + (1 - a["dampening"]) * d
            return p - a["lr"] * (d + a["momentum"] * self.m if a["nesterov"] else self.m if a["momentum"] else d)
        b1, b2 = a["betas"]
        self.m = b1 * (0 if self.m is None else self.m) + (1 - b1) * d
        self.v = b2 * self.v + (1 - b2) * d * d
        self.w = np.maximum(self.w, self.v) if a["amsgrad"] else self.v
        return p - a["lr"] * (self.m / (1 - b1**self.t)) / (np.sqrt(self.w / (1 - b2**self.t)) + a["eps"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_equations(name: str, attrs: dict[str, Any], dtype: str) -> None:
    got = run(name, attrs, dtype)
    want = [p.detach().numpy().astype("float64") for p in parameters(dtype)]
    references = [Reference(name, **attrs) for _ in want]
    for step in range(6):
        for i, g in enumerate(gradients(dtype, step)):
            if g is not None:
                want[i] = references[i].step(want[i], g.astype("float64"))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5 if dtype == "float32" else 1e-12, atol=2e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_same_as_pytorch(name: str, attrs: dict[str, Any], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    got = run(name, attrs, dtype)
    params = [torch.tensor(p.detach().numpy(), requires_grad=True) for p in parameters(dtype)]
    optimizer = getattr(torch.optim, name)(params, **attrs)
    for step in range(6):
        for p, g in zip(params, gradients(dtype, step), strict=True):
            p.grad = None if g is None else torch.tensor(g)
        optimizer.step()
    for a, p in zip(got, params, strict=True):
        np.testing.assert_allclose(a, p.detach().numpy(), rtol=1e-5 if dtype == "float32" else 1e-12,
                                   atol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_threads_do_not_matter(name: str, threads: None) -> None:
    attrs = {"lr": 0.01, **({"momentum": 0.9} if name == "SGD" else {})}
    pydl.set_num_threads(1)
    want = run(name, attrs, "float32")
    for count in (2, 4):
        pydl.set_num_threads(count)
        assert all(np.array_equal(a, b) for a, b in zip(want, run(name, attrs, "float32"), strict=True))


def test_a_parameter_does_not_depend_on_its_neighbours() -> None:
    """Chunks cross parameters: each must come out as if it were alone."""
    shapes = [(n,) for n in (1, 15, 16, 17, 16_383, 16_384, 16_385, 3, 50_000, 7)]
    together = run("Adam", {}, "float32", shapes=shapes, steps=2)
    params = parameters("float32", shapes)
    for i, want in enumerate(together):
        p = params[i]
        optimizer = optim.Adam([p])
        for step in range(2):
            g = gradients("float32", step, shapes)[i]
            p.grad = None if g is None else pydl.tensor(g)
            optimizer.step()
        assert np.array_equal(p.detach().numpy(), want)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_layout_does_not_matter(name: str) -> None:
    rng = np.random.default_rng(0)
    value, grad = rng.standard_normal((2, 6, 5)).astype("float32")
    dense, turned = pydl.tensor(value).requires_grad_(), pydl.tensor(np.ascontiguousarray(value.T)).t().requires_grad_()
    assert not turned.is_contiguous()
    for p, g in ((dense, pydl.tensor(grad)), (turned, pydl.tensor(np.ascontiguousarray(grad.T)).t())):
        optimizer = getattr(optim, name)([p], lr=0.1)
        p.grad = g
        for _ in range(2):
            optimizer.step()
    assert np.array_equal(dense.detach().numpy(), turned.detach().numpy())


def test_groups_and_mixed_types() -> None:
    a, b, c = parameters("float32", [(3,), (4,)]) + parameters("float64", [(5,)])
    before = [p.detach().numpy().copy() for p in (a, b, c)]
    optimizer = optim.SGD([{"params": [a]}, {"params": [b, c], "lr": 1.0}], lr=0.1)
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 1.0]
    for p in (a, b, c):
        p.grad = pydl.ones_like(p)
    optimizer.step()
    for p, old, lr in zip((a, b, c), before, (0.1, 1, 1), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), old - lr, rtol=1e-6, atol=1e-7)
    optimizer.add_param_group({"params": pydl.ones(2).requires_grad_(), "lr": 5})
    assert len(optimizer.param_groups) == 3 and "lr: 5" in repr(optimizer) and repr(optimizer).startswith("SGD (")
    optimizer.param_groups[0]["lr"] = 0.5
    a.grad = pydl.ones_like(a)
    optimizer.step()
    np.testing.assert_allclose(a.detach().numpy(), before[0] - 0.6, rtol=1e-5, atol=1e-6)


def test_closure_and_zero_grad() -> None:
    p = pydl.tensor([2.0]).requires_grad_()
    optimizer = optim.SGD([p], lr=0.25)

    def closure() -> pydl.Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with pydl.no_grad():
        assert optimizer.step(closure).item() == 4
    assert p.item() == 1
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.item() == 0
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()
    assert p.item() == 1


def test_a_step_counts_as_a_change() -> None:
    p = pydl.tensor([2.0]).requires_grad_()
    y = (p * p).sum()
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = pydl.ones(1)
    optimizer.step()
    with pytest.raises(RuntimeError, match="mul"):
        y.backward()


@pytest.mark.parametrize(("name", "attrs"), [("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2}), ("Adam", {"amsgrad": True}),
                                             ("AdamW", {})])
def test_saved_state_goes_on(name: str, attrs: dict[str, Any]) -> None:
    whole = run(name, attrs, "float32", steps=6)
    params = parameters("float32")
    optimizer = getattr(optim, name)(params, **attrs)

    def steps(first: int, last: int) -> None:
        for step in range(first, last):
            for p, g in zip(params, gradients("float32", step), strict=True):
                p.grad = None if g is None else pydl.tensor(g)
            optimizer.step()

    steps(0, 3)
    state = copy.deepcopy(optimizer.state_dict())
    # As from a file: the names are equal to the optimizer's own strings, not the same.
    state["state"] = {i: {key.encode().decode(): value for key, value in own.items()} for i, own in state["state"].items()}
    optimizer = getattr(optim, name)(params, lr=123)
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] != 123
    steps(3, 6)
    assert all(np.array_equal(p.detach().numpy(), w) for p, w in zip(params, whole, strict=True))


def test_a_copy_goes_its_own_way() -> None:
    p = pydl.ones(3).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = pydl.ones(3)
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    q = twin.param_groups[0]["params"][0]
    assert q is not p and twin.state[q]["step"].item() == 1
    twin.step()
    assert q.detach().numpy()[0] < p.detach().numpy()[0] and optimizer.state[p]["step"].item() == 1


@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_state_dict_has_pytorchs_layout(name: str, attrs: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    params = parameters("float32", [(3, 4), (5,)])
    others = [torch.tensor(p.detach().numpy(), requires_grad=True) for p in params]
    mine, theirs = getattr(optim, name)(params, **attrs), getattr(torch.optim, name)(others, **attrs)
    for p, q in zip(params, others, strict=True):
        p.grad, q.grad = pydl.ones_like(p), torch.ones_like(q)
    mine.step()
    theirs.step()
    got, want = mine.state_dict(), theirs.state_dict()
    assert [g["params"] for g in got["param_groups"]] == [g["params"] for g in want["param_groups"]]
    assert set(got["param_groups"][0]) <= set(want["param_groups"][0])
    for index, state in want["state"].items():
        filled = {k: v for k, v in state.items() if v is not None}
        assert set(got["state"].get(index, {})) == set(filled)
        for key, value in filled.items():
            np.testing.assert_allclose(got["state"][index][key].numpy(), value.numpy(), rtol=1e-5)
    converted = {"param_groups": want["param_groups"],
                 "state": {i: {k: pydl.tensor(v.numpy()) for k, v in s.items() if v is not None} for i, s in want["state"].items()}}
    mine.load_state_dict(converted)
    mine.step()
    theirs.step()
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-5, atol=1e-6)


P = pydl.ones(3, 4).requires_grad_()
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: optim.Adam([]), ValueError, "optimizer got an empty parameter list"),
    (lambda: optim.SGD(iter([])), ValueError, "empty parameter list"),
    (lambda: optim.SGD(P), TypeError, "iterable"), (lambda: optim.SGD([1.0]), TypeError, "float"),
    (lambda: optim.SGD([P * 2]), ValueError, r"non-leaf.*\(3, 4\)"), (lambda: optim.SGD([P, P]), ValueError, "more than once"),
    (lambda: optim.SGD([{"params": [P]}, {"params": [P]}]), ValueError, "more than once"),
    (lambda: optim.SGD([{"params": {P}}]), TypeError, "set"),
    (lambda: optim.SGD([pydl.ones(3, dtype=pydl.int64)]), TypeError, "int64"),
    *((lambda name=name, lr=lr: getattr(optim, name)([P], lr=lr), error, f"{name}: lr")
      for name in ("SGD", "Adam", "AdamW") for lr, error in ((-1, ValueError), (math.nan, ValueError), ("fast", TypeError))),
    (lambda: optim.SGD([P], momentum=-0.1), ValueError, "momentum"), (lambda: optim.SGD([P], nesterov=True), ValueError, "nesterov"),
    (lambda: optim.SGD([P], momentum=0.9, dampening=0.1, nesterov=True), ValueError, "dampening"),
    (lambda: optim.SGD([P], weight_decay=math.nan), ValueError, "weight_decay"),
    (lambda: optim.SGD([P], momentum=0.1, dampening=math.nan), ValueError, "dampening"),
    *((lambda b=b: optim.Adam([P], betas=b), error, "betas") for b, error in (
        ((1.0, 0.9), ValueError), ((0.9, -0.1), ValueError), ((math.nan, 0.9), ValueError), (0.9, TypeError), ((0.9,), TypeError))),
    (lambda: optim.AdamW([P], eps=-1), ValueError, "eps"), (lambda: optim.AdamW([P], weight_decay=-1), ValueError, "weight_decay"),
    (lambda: optim.Adam([{"params": [P], "lr": -1}]), ValueError, "lr"),
    (lambda: optim.SGD([P], dampening="a"), TypeError, "SGD: dampening .* got str"),
    (lambda: optim.SGD([P], lr="0.1"), TypeError, "SGD: lr must be a number, got str"),
    (lambda: optim.AdamW([]), ValueError, "AdamW: optimizer got an empty"), (lambda: optim.Adam(3), TypeError, "Adam: params .* got int"),
    (lambda: optim.SGD([{"lr": 1}]), ValueError, r"SGD: a parameter group must have 'params', got one with only \['lr'\]"),
    (lambda: optim.SGD([{"params": 3}]), TypeError, "SGD: params of a group .* got int"),
    (lambda: optim.Adam([P], decoupled_weight_decay=True), ValueError, "Adam: decoupled_weight_decay must be False.*use AdamW"),
    (lambda: optim.AdamW([{"params": P, "decoupled_weight_decay": False}]), ValueError, "AdamW: decoupled_weight_decay .*use Adam$"),
    *((lambda name=name, switch=switch: getattr(optim, name)([P], **{switch: True}), ValueError, f"{name}: {switch} must be False")
      for name in ("SGD", "Adam", "AdamW") for switch in ("differentiable", "capturable")[: 1 if name == "SGD" else 2]),
    *((lambda state=state: optim.Adam([P]).load_state_dict(state), error, f"load_state_dict: .*{match}") for state, error, match in (
        (3, TypeError, "got int"), ({}, ValueError, "Adam .*'param_groups' is missing"), ({"param_groups": []}, ValueError, "'state' is missing"),
        ({"state": {}, "param_groups": 3}, TypeError, "param_groups .* int"), ({"state": [], "param_groups": []}, TypeError, "state .* list"),
        ({"state": {}, "param_groups": [{}]}, ValueError, "group 0 .*params"), ({"state": {}, "param_groups": [3]}, ValueError, "group 0"),
        ({"state": {0: 3}, "param_groups": [{"params": [0]}]}, TypeError, "parameter 0 .* int"))),
]


@pytest.mark.parametrize(("call", "error", "match"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(call: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_step_is_all_or_nothing(name: str) -> None:
    params = parameters("float32", [(4,), (5,), (6,)])
    optimizer = getattr(optim, name)(params, lr=0.1)
    for p in params:
        p.grad = pydl.ones_like(p)
    optimizer.step()
    before = [p.detach().numpy().copy() for p in params]
    state = copy.deepcopy(optimizer.state_dict()["state"])
    frozen = np.ones(3, "float32")
    frozen.flags.writeable = False
    last = params[2]
    optimizer.state[last] = {"exp_avg": pydl.zeros(2), "momentum_buffer": pydl.zeros(2)}
    optimizer.param_groups[0]["momentum"] = 0.5
    with pytest.raises((ValueError, KeyError), match=r"\(2,\)|exp_avg"):
        optimizer.step()
    for p, old in zip(params, before, strict=True):
        assert np.array_equal(p.detach().numpy(), old)
    if name != "SGD":
        assert [s["step"].item() for i, s in optimizer.state_dict()["state"].items() if i < 2] == [state[0]["step"].item()] * 2


def test_load_refuses_what_does_not_fit() -> None:
    a = optim.Adam(parameters("float32", [(3,), (4,)]))
    for p in a.param_groups[0]["params"]:
        p.grad = pydl.ones_like(p)
    a.step()
    state = a.state_dict()
    with pytest.raises(ValueError, match="2 parameters in the saved state, 1 in the optimizer"):
        optim.Adam(parameters("float32", [(3,)])).load_state_dict(state)
    with pytest.raises(ValueError, match=r"\(4,\).*\(5,\)"):
        optim.Adam(parameters("float32", [(3,), (5,)])).load_state_dict(state)
    with pytest.raises(ValueError, match="1 parameter groups saved"):
        b, c = parameters("float32", [(3,), (4,)])
        optim.Adam([{"params": b}, {"params": c}]).load_state_dict(state)


def test_nan_gradients_reach_the_parameter() -> None:
    for name in ("SGD", "Adam", "AdamW"):
        p = pydl.ones(20).requires_grad_()
        p.grad = pydl.tensor([math.nan, math.inf] + [1.0] * 18)
        getattr(optim, name)([p], lr=0.1).step()
        values = p.detach().numpy()
        assert np.isnan(values[0]) and not np.isfinite(values[1]) and np.isfinite(values[2:]).all()


def stepped(name: str, **attrs: Any) -> optim.Optimizer:
    (p,) = parameters("float32", [(3,)])
    optimizer = getattr(optim, name)([p], **attrs)
    p.grad = pydl.ones(3)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize(("mine", "other", "words"), [
    (("Adam", {}), ("SGD", {"momentum": 0.9}), "betas"), (("SGD", {}), ("Adam", {}), "momentum"),
    (("AdamW", {}), ("SGD", {}), "betas"),
])
def test_load_refuses_another_optimizers_state(mine: Any, other: Any, words: str) -> None:
    a, b = stepped(mine[0], **mine[1]), stepped(other[0], **other[1])
    before = copy.deepcopy(a.state_dict())
    with pytest.raises(ValueError, match=f"load_state_dict: .*{words}"):
        a.load_state_dict(b.state_dict())
    foreign = {"state": b.state_dict()["state"], "param_groups": a.state_dict()["param_groups"]}
    if foreign["state"]:
        with pytest.raises(ValueError, match=f"load_state_dict: .* of {mine[0]}"):
            a.load_state_dict(foreign)
    for without in before["state"][0] if before["state"] else ():
        cut = copy.deepcopy(before)
        del cut["state"][0][without]
        if cut["state"][0]:
            with pytest.raises(ValueError, match=f"load_state_dict: .*no '{without}'"):
                a.load_state_dict(cut)
    after = a.state_dict()
    assert after["param_groups"] == before["param_groups"] and after["state"].keys() == before["state"].keys()
    for index, own in before["state"].items():
        assert all(np.array_equal(value.numpy(), after["state"][index][key].numpy()) for key, value in own.items())
    a.step()


@pytest.mark.parametrize(("mine", "other"), [("Adam", "AdamW"), ("AdamW", "Adam")])
def test_a_state_tells_which_weight_decay_it_means(mine: str, other: str) -> None:
    """AdamW's state was taken by Adam, whose weight decay is another one."""
    a, state = stepped(mine, lr=0.5), stepped(other).state_dict()
    with pytest.raises(ValueError, match=f"{mine}: decoupled_weight_decay .*: use {other}$"):
        a.load_state_dict(state)
    assert a.param_groups[0]["lr"] == 0.5
    del state["param_groups"][0]["decoupled_weight_decay"]      # of an older version
    a.load_state_dict(state)
    assert a.param_groups[0]["lr"] == 1e-3 and a.param_groups[0]["decoupled_weight_decay"] is (mine == "AdamW")


def test_a_state_from_before_maximize_is_taken() -> None:
    a, b = stepped("Adam", maximize=True), stepped("Adam", lr=0.5)
    state = b.state_dict()
    del state["param_groups"][0]["maximize"]
    a.load_state_dict(state)
    assert a.param_groups[0]["lr"] == 0.5 and a.param_groups[0]["maximize"]


@pytest.mark.parametrize("count", [3, 3.0, pydl.tensor(3), pydl.tensor([3.0], dtype=pydl.float64)], ids=str)
def test_step_may_be_any_number(count: Any) -> None:
    a, b = stepped("Adam"), stepped("Adam")
    for optimizer, step in ((a, count), (b, pydl.tensor(3.0))):
        state = copy.deepcopy(optimizer.state_dict())
        state["state"][0]["step"] = step
        optimizer.load_state_dict(state)
        optimizer.step()
    (p,), (q,) = a.param_groups[0]["params"], b.param_groups[0]["params"]
    assert a.state[p]["step"].item() == 4 and np.array_equal(p.detach().numpy(), q.detach().numpy())
    for wrong in ("3", None, -1, math.nan, pydl.ones(2)):
        state = copy.deepcopy(a.state_dict())
        state["state"][0]["step"] = wrong
        with pytest.raises(ValueError, match="load_state_dict: .*step"):
            a.load_state_dict(state)
    assert a.state[p]["step"].item() == 4


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("make", [lambda: pydl.ones(1).expand(3), lambda: pydl.ones(4, 1).expand(4, 2)])
def test_a_parameter_that_overlaps_itself_is_refused(name: str, make: Callable[[], pydl.Tensor]) -> None:
    p, q = pydl.nn.Parameter(make()), pydl.ones(2).requires_grad_()
    optimizer = getattr(optim, name)([q, p], lr=0.1)
    p.grad, q.grad = pydl.ones(*p.shape), pydl.ones(2)
    with pytest.raises(ValueError, match=rf"{name}: .*share memory.*clone"):
        optimizer.step()
    assert p.detach().numpy().min() == 1 and q.tolist() == [1, 1]
    for strided in (pydl.ones(3, 4).T, pydl.ones(6, 4)[::2, 1:3], pydl.ones(1).expand(1, 1)):
        r = pydl.nn.Parameter(strided)
        r.grad = pydl.ones(*r.shape)
        getattr(optim, name)([r], lr=0.1).step()
        assert r.detach().numpy().max() < 1
