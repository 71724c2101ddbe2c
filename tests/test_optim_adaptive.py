"""The optimizers beside SGD and Adam: the equations in NumPy, PyTorch where it is installed, state, and what must be refused."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import optim

SHAPES = [(3, 4), (17,), (50, 60), (1,), (0,), (), (20_000,)]
STEPS = 60
CASES: list[tuple[str, dict[str, Any]]] = [
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9, "maximize": True}),
    ("RMSprop", {"centered": True, "eps": 1e-2}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "weight_decay": 0.01, "alpha": 0.5, "eps": 1e-2}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("Adagrad", {"maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.02}),
    ("NAdam", {"decoupled_weight_decay": True, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("RAdam", {"decoupled_weight_decay": True, "weight_decay": 0.1, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.5, "t0": 10, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.2), "maximize": True}),
]
NAMES = sorted({name for name, _ in CASES})
DEFAULTS: dict[str, dict[str, Any]] = {
    "RMSprop": {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "momentum": 0, "centered": False},
    "Adagrad": {"lr": 0.01, "lr_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10},
    "Adadelta": {"lr": 1, "rho": 0.9, "eps": 1e-6},
    "Adamax": {"lr": 0.002, "betas": (0.9, 0.999), "eps": 1e-8},
    "NAdam": {"lr": 0.002, "betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 0.004, "decoupled_weight_decay": False},
    "RAdam": {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8, "decoupled_weight_decay": False},
    "ASGD": {"lr": 0.01, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6},
    "Rprop": {"lr": 0.01, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)},
}


def parameters(dtype: str, shapes: list[tuple[int, ...]] = SHAPES) -> list[pydl.Tensor]:
    rng = np.random.default_rng(0)
    return [pydl.tensor(np.asarray(rng.standard_normal(s), dtype)).requires_grad_() for s in shapes]


def gradients(dtype: str, step: int, shapes: list[tuple[int, ...]] = SHAPES) -> list[np.ndarray | None]:
    """One parameter has no gradient in every other step."""
    rng = np.random.default_rng(step + 1)
    made = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
    return [None if i == 2 and step % 2 else g for i, g in enumerate(made)]


def drive(optimizer: optim.Optimizer, params: list[pydl.Tensor], dtype: str, first: int, last: int) -> None:
    for step in range(first, last):
        for p, g in zip(params, gradients(dtype, step, [tuple(p.shape) for p in params]), strict=True):
            p.grad = None if g is None else pydl.tensor(g)
        optimizer.step()


def run(name: str, attrs: dict[str, Any], dtype: str, steps: int = STEPS) -> list[np.ndarray]:
    params = parameters(dtype)
    drive(getattr(optim, name)(params, **attrs), params, dtype, 0, steps)
    return [p.detach().numpy() for p in params]


class Reference:
    """The equations above the kernels, one parameter at a time, in float64."""

    def __init__(self, name: str, **attrs: Any) -> None:
        self.name, self.t = name, 0
        self.a = {"weight_decay": 0, "maximize": False, **DEFAULTS[name], **attrs}
        self.m: Any = 0.0
        self.v: Any = self.a.get("initial_accumulator_value", 0.0)
        self.mean: Any = 0.0
        self.product = 1.0
        self.eta, self.mu = self.a["lr"], 1.0
        self.size: Any = self.a["lr"]

    def step(self, p: np.ndarray, g: np.ndarray) -> np.ndarray:
        self.t += 1
        d = -g if self.a["maximize"] else g
        if self.a.get("decoupled_weight_decay"):
            p = p - self.a["lr"] * self.a["weight_decay"] * p
        else:
            d = d + self.a["weight_decay"] * p
        return getattr(self, self.name.lower())(p, d, self.a)

    def rmsprop(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        self.v = a["alpha"] * self.v + (1 - a["alpha"]) * d**2
        square = self.v
        if a["centered"]:
            self.mean = a["alpha"] * self.mean + (1 - a["alpha"]) * d
            square = square - self.mean**2
        change = d / (np.sqrt(square) + a["eps"])
        if a["momentum"]:
            change = self.m = a["momentum"] * self.m + change
        return p - a["lr"] * change

    def adagrad(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        self.v = self.v + d**2
        return p - a["lr"] / (1 + (self.t - 1) * a["lr_decay"]) * d / (np.sqrt(self.v) + a["eps"])

    def adadelta(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        self.v = a["rho"] * self.v + (1 - a["rho"]) * d**2
        x = np.sqrt(self.m + a["eps"]) / np.sqrt(self.v + a["eps"]) * d
        self.m = a["rho"] * self.m + (1 - a["rho"]) * x**2
        return p - a["lr"] * x

    def adamax(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        b1, b2 = a["betas"]
        self.m = b1 * self.m + (1 - b1) * d
        self.v = np.maximum(b2 * self.v, np.abs(d) + a["eps"])
        return p - a["lr"] / (1 - b1**self.t) * self.m / self.v

    def nadam(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        b1, b2 = a["betas"]
        mu, following = (b1 * (1 - 0.5 * 0.96 ** (t * a["momentum_decay"])) for t in (self.t, self.t + 1))
        self.product *= mu
        self.m = b1 * self.m + (1 - b1) * d
        self.v = b2 * self.v + (1 - b2) * d**2
        step = (1 - mu) / (1 - self.product) * d + following / (1 - self.product * following) * self.m
        return p - a["lr"] * step / (np.sqrt(self.v / (1 - b2**self.t)) + a["eps"])

    def radam(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        b1, b2 = a["betas"]
        self.m = b1 * self.m + (1 - b1) * d
        self.v = b2 * self.v + (1 - b2) * d**2
        m = self.m / (1 - b1**self.t)
        longest = 2 / (1 - b2) - 1
        r = longest - 2 * self.t * b2**self.t / (1 - b2**self.t)
        if r <= 5:
            return p - a["lr"] * m
        c = math.sqrt((r - 4) * (r - 2) * longest / ((longest - 4) * (longest - 2) * r))
        return p - a["lr"] * m * c * math.sqrt(1 - b2**self.t) / (np.sqrt(self.v) + a["eps"])

    def asgd(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        p = p - self.eta * a["lambd"] * p - self.eta * d
        self.mean = self.mean + self.mu * (p - self.mean)
        self.eta = a["lr"] / (1 + a["lambd"] * a["lr"] * self.t) ** a["alpha"]
        self.mu = 1 / max(1, self.t - a["t0"])
        return p

    def rprop(self, p: np.ndarray, d: np.ndarray, a: dict[str, Any]) -> np.ndarray:
        turn = np.sign(d * self.m)
        factor = np.where(turn > 0, a["etas"][1], np.where(turn < 0, a["etas"][0], 1))
        self.size = np.clip(self.size * factor, *a["step_sizes"])
        self.m = np.where(turn < 0, 0, d)
        return p - np.sign(self.m) * self.size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_equations(name: str, attrs: dict[str, Any], dtype: str) -> None:
    got = run(name, attrs, dtype)
    want = [p.detach().numpy().astype("float64") for p in parameters(dtype)]
    references = [Reference(name, **attrs) for _ in want]
    for step in range(STEPS):
        for i, g in enumerate(gradients(dtype, step)):
            if g is not None:
                want[i] = references[i].step(want[i], g.astype("float64"))
    exact = dtype == "float64" and name not in ("NAdam", "ASGD")      # these keep a number of their state in float32
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11 if exact else 1e-4, atol=1e-12 if exact else 1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_same_as_pytorch(name: str, attrs: dict[str, Any], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    params = parameters(dtype)
    mine = getattr(optim, name)(params, **attrs)
    others = [torch.tensor(p.detach().numpy(), requires_grad=True) for p in params]
    theirs = getattr(torch.optim, name)(others, **attrs)
    drive(mine, params, dtype, 0, STEPS)
    for step in range(STEPS):
        for p, g in zip(others, gradients(dtype, step), strict=True):
            p.grad = None if g is None else torch.tensor(g)
        theirs.step()
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4 if dtype == "float32" else 1e-11,
                                   atol=1e-5 if dtype == "float32" else 1e-12)
    got, want = mine.state_dict(), theirs.state_dict()
    assert set(got["param_groups"][0]) <= set(want["param_groups"][0])
    for index, state in want["state"].items():
        assert set(got["state"][index]) == set(state)
        for key, value in state.items():
            own = got["state"][index][key]
            assert tuple(own.shape) == tuple(value.shape)
            np.testing.assert_allclose(own.numpy(), value.numpy(), rtol=1e-4 if dtype == "float32" else 1e-6, atol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_state_loads_both_ways(name: str, attrs: dict[str, Any]) -> None:
    """Five steps here, then five there, and the other way round, end where ten do."""
    torch = pytest.importorskip("torch")

    def there(values: list[np.ndarray]) -> tuple[list[Any], Any]:
        leaves = [torch.tensor(v, requires_grad=True) for v in values]
        return leaves, getattr(torch.optim, name)(leaves, **attrs)

    def drive_there(leaves: list[Any], optimizer: Any, first: int, last: int) -> None:
        for step in range(first, last):
            for p, g in zip(leaves, gradients("float32", step), strict=True):
                p.grad = None if g is None else torch.tensor(g)
            optimizer.step()

    start = [p.detach().numpy().copy() for p in parameters("float32")]
    params = parameters("float32")
    mine = getattr(optim, name)(params, **attrs)
    drive(mine, params, "float32", 0, 5)
    leaves, theirs = there([p.detach().numpy().copy() for p in params])
    state = mine.state_dict()
    theirs.load_state_dict({"param_groups": state["param_groups"],
                            "state": {i: {k: torch.tensor(v.numpy()) for k, v in s.items()} for i, s in state["state"].items()}})
    drive_there(leaves, theirs, 5, 10)
    want = run(name, attrs, "float32", steps=10)
    for p, w in zip(leaves, want, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-4, atol=1e-5)

    leaves, theirs = there(start)
    drive_there(leaves, theirs, 0, 5)
    params = [pydl.tensor(p.detach().numpy()).requires_grad_() for p in leaves]
    mine = getattr(optim, name)(params, **attrs)
    state = theirs.state_dict()
    mine.load_state_dict({"param_groups": state["param_groups"],
                          "state": {i: {k: pydl.tensor(v.numpy()) for k, v in s.items()} for i, s in state["state"].items()}})
    drive(mine, params, "float32", 5, 10)
    for p, w in zip(params, want, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_saved_state_goes_on(name: str, attrs: dict[str, Any]) -> None:
    whole = run(name, attrs, "float32", steps=6)
    params = parameters("float32")
    optimizer = getattr(optim, name)(params, **attrs)
    drive(optimizer, params, "float32", 0, 3)
    state = copy.deepcopy(optimizer.state_dict())
    optimizer = getattr(optim, name)(params, lr=123)
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] != 123
    drive(optimizer, params, "float32", 3, 6)
    assert all(np.array_equal(p.detach().numpy(), w) for p, w in zip(params, whole, strict=True))


@pytest.mark.parametrize(("name", "attrs"), CASES)
def test_threads_do_not_matter(name: str, attrs: dict[str, Any], threads: None) -> None:
    results = []
    for count in (1, 2, 4):
        pydl.set_num_threads(count)
        params = parameters("float32", [(70_001,), (5,), (30_000,)])
        drive(getattr(optim, name)(params, **attrs), params, "float32", 0, 2)
        results.append([p.detach().numpy() for p in params])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_layout_does_not_matter(name: str) -> None:
    rng = np.random.default_rng(0)
    value, grad = rng.standard_normal((2, 6, 5)).astype("float32")
    dense, turned = pydl.tensor(value).requires_grad_(), pydl.tensor(np.ascontiguousarray(value.T)).t().requires_grad_()
    for p, g in ((dense, pydl.tensor(grad)), (turned, pydl.tensor(np.ascontiguousarray(grad.T)).t())):
        optimizer = getattr(optim, name)([p], lr=0.1)
        p.grad = g
        for _ in range(2):
            optimizer.step()
    assert np.array_equal(dense.detach().numpy(), turned.detach().numpy())


@pytest.mark.parametrize("name", NAMES)
def test_groups_closures_and_later_groups(name: str) -> None:
    """Each group goes by its own hyperparameters, as an optimizer of its own would; a group may come later."""
    params, alone = parameters("float32", [(3,), (4,), (5,)]), parameters("float32", [(3,), (4,), (5,)])
    together = getattr(optim, name)([{"params": [params[0]]}, {"params": [params[1]], "lr": 0.5}], lr=0.1)
    together.add_param_group({"params": params[2], "lr": 0.25})
    single = [getattr(optim, name)([p], lr=lr) for p, lr in zip(alone, (0.1, 0.5, 0.25), strict=True)]
    calls = []

    def closure() -> pydl.Tensor:
        calls.append(pydl.is_grad_enabled())
        return pydl.tensor(3.0)

    for step in range(4):
        for some in (params, alone):
            for p, g in zip(some, gradients("float32", step, [(3,), (4,), (5,)]), strict=True):
                p.grad = None if g is None else pydl.tensor(g)
        with pydl.no_grad():
            assert together.step(closure).item() == 3
        for optimizer in single:
            optimizer.step()
    assert calls == [True] * 4
    assert all(np.array_equal(p.detach().numpy(), q.detach().numpy()) for p, q in zip(params, alone, strict=True))
    assert repr(together).startswith(f"{name} (")


@pytest.mark.parametrize("name", NAMES)
def test_mixed_types_in_one_step(name: str) -> None:
    a, b = parameters("float32", [(3,)])[0], parameters("float64", [(3,)])[0]
    optimizer = getattr(optim, name)([a, b], lr=0.1)
    a.grad, b.grad = pydl.ones(3), pydl.ones(3, dtype=pydl.float64)
    before = a.detach().numpy().copy(), b.detach().numpy().copy()
    optimizer.step()
    for p, old in zip((a, b), before, strict=True):
        assert (p.detach().numpy() < old).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_state_changes_nothing(name: str) -> None:
    params = parameters("float32", [(4,), (5,)])
    optimizer = getattr(optim, name)(params, lr=0.1)
    for p in params:
        p.grad = pydl.ones_like(p)
    optimizer.step()
    before = [p.detach().numpy().copy() for p in params]
    good = optimizer.state[params[1]]
    for key in good:
        for wrong in (pydl.zeros(2), pydl.zeros(5, dtype=pydl.float64), "no", None):
            optimizer.state[params[1]] = {**good, key: wrong}
            with pytest.raises((ValueError, TypeError), match=f"{name}: state '{key}'"):
                optimizer.step()
    assert all(np.array_equal(p.detach().numpy(), old) for p, old in zip(params, before, strict=True))
    assert optimizer.state[params[0]]["step"].item() == 1


@pytest.mark.parametrize("name", NAMES)
def test_nan_gradients_reach_the_parameter(name: str) -> None:
    p = pydl.ones(20).requires_grad_()
    p.grad = pydl.tensor([math.nan] + [1.0] * 19)
    getattr(optim, name)([p], lr=0.1).step()
    values = p.detach().numpy()
    assert np.isnan(values[0]) and np.isfinite(values[1:]).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_infinite_parameter_without_decay_stays(name: str) -> None:
    p = pydl.tensor([math.inf, 1.0]).requires_grad_()
    p.grad = pydl.ones(2)
    getattr(optim, name)([p], lr=0.1).step()
    assert p.tolist()[0] == math.inf


def test_options_that_are_turned_on_later() -> None:
    (p,) = parameters("float32", [(3,)])
    optimizer = optim.RMSprop([p])
    p.grad = pydl.ones(3)
    optimizer.step()
    assert set(optimizer.state[p]) == {"step", "square_avg"}
    optimizer.param_groups[0].update(momentum=0.9, centered=True)
    optimizer.step()
    assert set(optimizer.state[p]) == {"step", "square_avg", "momentum_buffer", "grad_avg"}


def test_centered_rmsprop_of_a_constant_gradient_stays_finite() -> None:
    p = pydl.zeros(1000).requires_grad_()
    optimizer = optim.RMSprop([p], centered=True, alpha=0.5, eps=1e-2)
    p.grad = pydl.tensor(np.random.default_rng(0).standard_normal(1000).astype("float32"))
    for _ in range(100):
        optimizer.step()
    assert np.isfinite(p.detach().numpy()).all()


def test_adagrads_state_is_there_from_the_start() -> None:
    p, q = parameters("float32", [(3,), (4,)])
    optimizer = optim.Adagrad([p], initial_accumulator_value=0.5)
    optimizer.add_param_group({"params": [q], "initial_accumulator_value": 2})
    assert optimizer.state[p]["sum"].tolist() == [0.5] * 3 and optimizer.state[q]["sum"].tolist() == [2] * 4
    assert optimizer.state_dict()["state"][0]["step"].item() == 0 and not optimizer.state[p]["sum"].requires_grad


P = pydl.ones(3, 4).requires_grad_()
NONNEGATIVE = {
    "RMSprop": ("lr", "alpha", "eps", "weight_decay", "momentum"),
    "Adagrad": ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"),
    "Adadelta": ("lr", "rho", "eps", "weight_decay"), "Adamax": ("lr", "eps", "weight_decay"),
    "NAdam": ("lr", "eps", "weight_decay", "momentum_decay"), "RAdam": ("lr", "eps", "weight_decay"),
    "ASGD": ("lr", "weight_decay"), "Rprop": ("lr",),
}
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    *((lambda name=name, key=key, value=value: getattr(optim, name)([P], **{key: value}), error, f"{name}: {key}")
      for name, keys in NONNEGATIVE.items() for key in keys
      for value, error in ((-1, ValueError), (math.nan, ValueError), ("much", TypeError), (None, TypeError))),
    *((lambda name=name, b=b: getattr(optim, name)([P], betas=b), error, f"{name}: betas")
      for name in ("Adamax", "NAdam", "RAdam")
      for b, error in (((1.0, 0.9), ValueError), ((0.9, -0.1), ValueError), ((math.nan, 0.9), ValueError), (0.9, TypeError))),
    (lambda: optim.Adadelta([P], rho=1.5), ValueError, "rho"),
    *((lambda key=key, value=value: optim.ASGD([P], **{key: value}), error, f"ASGD: {key}")
      for key in ("lambd", "alpha", "t0") for value, error in ((math.nan, ValueError), ("much", TypeError))),
    *((lambda etas=etas: optim.Rprop([P], etas=etas), error, "Rprop: etas")
      for etas, error in (((0, 1.2), ValueError), ((0.5, 1), ValueError), ((math.nan, 1.2), ValueError), ((0.5,), TypeError), (1, TypeError))),
    *((lambda sizes=sizes: optim.Rprop([P], step_sizes=sizes), error, "Rprop: step_sizes")
      for sizes, error in (((1, 0.5), ValueError), ((-1, 1), ValueError), ((0, math.nan), ValueError), (3, TypeError))),
    *((lambda name=name: getattr(optim, name)([P], differentiable=True), ValueError, f"{name}: differentiable") for name in NAMES),
    *((lambda name=name: getattr(optim, name)([P], capturable=True), ValueError, f"{name}: capturable")
      for name in NAMES if name != "Adagrad"),
    *((lambda name=name: getattr(optim, name)([{"params": [P], "lr": -1}]), ValueError, f"{name}: lr") for name in NAMES),
    (lambda: optim.Adagrad([]), ValueError, "empty parameter list"),
]


@pytest.mark.parametrize(("call", "error", "match"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(call: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("name", NAMES)
def test_load_refuses_another_optimizers_state(name: str) -> None:
    def stepped(kind: str) -> optim.Optimizer:
        (p,) = parameters("float32", [(3,)])
        optimizer = getattr(optim, kind)([p])
        p.grad = pydl.ones(3)
        optimizer.step()
        return optimizer

    mine = stepped(name)
    for other in NAMES:
        if other == name:
            continue
        foreign = {"state": stepped(other).state_dict()["state"], "param_groups": mine.state_dict()["param_groups"]}
        if set(foreign["state"][0]) == set(mine.state_dict()["state"][0]):
            continue
        with pytest.raises(ValueError, match=f"load_state_dict: .*{name}"):
            mine.load_state_dict(foreign)
    cut = copy.deepcopy(mine.state_dict())
    for key in list(cut["state"][0]):
        less = copy.deepcopy(cut)
        del less["state"][0][key]
        with pytest.raises(ValueError, match=f"no '{key}'"):
            mine.load_state_dict(less)
    mine.step()


@pytest.mark.parity
def test_signatures_are_pytorchs() -> None:
    import inspect
    torch = pytest.importorskip("torch")
    for name in NAMES:
        ours = [(p.name, p.kind, p.default) for p in inspect.signature(getattr(optim, name)).parameters.values()]
        theirs = [(p.name, p.kind, p.default) for p in inspect.signature(getattr(torch.optim, name)).parameters.values()]
        assert ours == theirs, name
