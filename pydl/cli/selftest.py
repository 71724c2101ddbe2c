"""`pydl selftest`: does this installation compute what it should on this machine? In seconds, without the test suite."""
from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pydl
from pydl import nn
from pydl.io import load_file, save_file
from pydl.testing import gradcheck

DESCRIPTION = """Checks values of each family of ops against NumPy, gradients against differences, that results do not depend
on the number of threads, every instruction set of this machine, files, and that a network learns. A line for each check."""
F = nn.functional
CHECKS: dict[str, Callable[[], None]] = {}


class Failed(Exception):
    """A check that did not hold."""


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS[function.__name__.replace("_", " ")] = function
    return function


def close(what: str, got: Any, want: Any, rtol: float = 1e-5) -> None:
    """Raises Failed unless got is want, up to rtol of the largest element."""
    got, want = np.asarray(got.detach().numpy() if isinstance(got, pydl.Tensor) else got), np.asarray(want)
    if got.shape != want.shape:
        raise Failed(f"{what}: expected shape {want.shape}, got {got.shape}")
    error = np.max(np.abs(got.astype(np.float64) - want.astype(np.float64)), initial=0)
    limit = rtol * max(1.0, float(np.max(np.abs(want), initial=0)))
    if not error <= limit:
        raise Failed(f"{what}: differs from NumPy by {error:.3g}, more than {limit:.3g}")


def numbers(*shape: int, low: float = -2, high: float = 2, seed: int = 0) -> tuple[np.ndarray, pydl.Tensor]:
    """The same numbers as float64 array and float32 tensor."""
    x = np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)
    return x.astype(np.float64), pydl.from_numpy(x)


@check
def arithmetic() -> None:
    (a, x), (b, y) = numbers(37, 65), numbers(65, low=0.5, seed=1)
    for name, f in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide), ("maximum", np.maximum),
                    ("remainder", np.remainder), ("pow", lambda a, b: np.power(np.abs(a), b))):
        close(name, getattr(pydl, name)(x.abs() if name == "pow" else x, y), f(a, b))
    close("where", pydl.where(x > 0, x, y), np.where(a > 0, a, b))


@check
def comparisons_and_masks() -> None:
    (a, x), (b, y) = numbers(37, 65), numbers(37, 65, seed=1)
    for name, f in (("eq", np.equal), ("lt", np.less), ("ge", np.greater_equal)):
        close(name, getattr(pydl, name)(x, y), f(a, b))
    close("isnan", pydl.isnan(pydl.log(x)), a < 0)
    close("masked_select", x[x > y], a[a > b])
    close("nonzero", pydl.nonzero(x > 1), np.argwhere(a > 1))
    close("masked_fill", x.masked_fill(x < 0, 5), np.where(a < 0, 5, a))


@check
def special_functions() -> None:
    a, x = numbers(201, low=0.1, high=5)
    for name, f in (("erf", math.erf), ("erfc", math.erfc), ("lgamma", math.lgamma)):
        close(name, getattr(pydl, name)(x), [f(v) for v in a])
    close("i0", pydl.i0(x), np.i0(a))
    close("hypot", pydl.hypot(x, x + 1), np.hypot(a, a + 1))
    close("logaddexp", pydl.logaddexp(x, -x), np.logaddexp(a, -a))


@check
def elementwise() -> None:
    for name in ("exp", "expm1", "sin", "cos", "tan", "tanh", "sinh", "asinh", "atan", "floor", "square"):
        a, x = numbers(1003)
        close(name, getattr(pydl, name)(x), getattr(np, {"asinh": "arcsinh", "atan": "arctan"}.get(name, name))(a))
    for name in ("log", "log1p", "log2", "sqrt", "reciprocal"):
        a, x = numbers(1003, low=0.1)
        close(name, getattr(pydl, name)(x), getattr(np, name)(a))


@check
def activations() -> None:
    a, x = numbers(501, high=3)
    sigmoid = 1 / (1 + np.exp(-a))
    gelu = a * (1 + np.array([math.erf(v / math.sqrt(2)) for v in a])) / 2
    for name, want in (("relu", np.maximum(a, 0)), ("sigmoid", sigmoid), ("gelu", gelu), ("silu", a * sigmoid),
                       ("softplus", np.log1p(np.exp(a))), ("leaky_relu", np.where(a > 0, a, 0.01 * a)),
                       ("elu", np.where(a > 0, a, np.expm1(a)))):
        close(name, getattr(F, name)(x), want)


@check
def reductions_and_scans() -> None:
    a, x = numbers(33, 129)
    for name, f in (("sum", np.sum), ("mean", np.mean), ("amax", np.max), ("amin", np.min), ("prod", np.prod), ("argmax", np.argmax)):
        for dim in (0, 1):
            close(f"{name} of dim {dim}", getattr(pydl, name)(x, dim), f(a, axis=dim))
    close("var", x.var(0), a.var(0, ddof=1))
    close("cumsum", x.cumsum(1), a.cumsum(1))
    close("logsumexp", x.logsumexp(1), np.log(np.exp(a).sum(1)))


@check
def matrix_products() -> None:
    for m, k, n in ((1, 1, 1), (3, 5, 7), (64, 64, 64), (65, 130, 33), (200, 301, 257)):
        (a, x), (b, y) = numbers(m, k), numbers(k, n, seed=1)
        close(f"matmul {m}x{k}x{n}", x @ y, a @ b)
        close(f"matmul {m}x{k}x{n}, transposed", (y.t() @ x.t()), (a @ b).T)
    (a, x), (b, y) = numbers(4, 6, 5), numbers(4, 5, 3, seed=1)
    close("bmm", pydl.bmm(x, y), a @ b)


@check
def softmax_and_losses() -> None:
    (a, x), target = numbers(40, 11), np.random.default_rng(2).integers(0, 11, 40)
    p = np.exp(a - a.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    close("softmax", pydl.softmax(x, 1), p)
    close("cross_entropy", F.cross_entropy(x, pydl.from_numpy(target)), -np.log(p[np.arange(40), target]).mean())
    b, y = numbers(40, 11, seed=3)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    close("cosine_similarity", F.cosine_similarity(x, y), cosine)
    close("mse_loss", F.mse_loss(x, y), ((a - b) ** 2).mean())


@check
def shapes_and_indices() -> None:
    (a, x), index = numbers(6, 7, 8), np.array([5, 0, 3])
    close("permute", x.permute(2, 0, 1).contiguous(), a.transpose(2, 0, 1))
    close("indexing", x[1:5:2, :, pydl.from_numpy(index)], a[1:5:2][:, :, index])
    close("index_select", x.index_select(1, pydl.from_numpy(index)), a[:, index])
    close("cat", pydl.cat([x, x], 1), np.concatenate([a, a], 1))
    close("chunk", x.chunk(3, 1)[1], a[:, 3:6])
    places = np.tile(index, (7, 1))
    close("gather", x[0].gather(1, pydl.from_numpy(places)), np.take_along_axis(a[0], places, 1))
    close("triu", pydl.triu(x[0], 1), np.triu(a[0], 1))
    close("roll", pydl.roll(x, 2, 1), np.roll(a, 2, 1))
    close("sort", pydl.sort(x.reshape(6, -1), 1)[0], np.sort(a.reshape(6, -1), 1))


@check
def random_numbers() -> None:
    first, again = (pydl.randn(100_000, generator=pydl.Generator().manual_seed(7)) for _ in range(2))
    if not pydl.equal(first, again):
        raise Failed("randn: the same seed gave other numbers")
    close("mean of randn", first.mean(), 0.0, 0.02)
    close("deviation of randn", first.std(), 1.0, 0.02)


@check
def gradients() -> None:
    def leaf(*shape: int, seed: int = 0) -> pydl.Tensor:
        return pydl.from_numpy(np.random.default_rng(seed).uniform(0.2, 1.5, shape)).requires_grad_()

    labels = pydl.tensor([0, 3, 1, 2])
    gradcheck(pydl.matmul, (leaf(3, 4), leaf(4, 5, seed=1)))
    gradcheck(F.linear, (leaf(3, 4), leaf(5, 4, seed=1), leaf(5, seed=2)))
    gradcheck(lambda x: F.cross_entropy(x, labels), (leaf(4, 6),))
    gradcheck(lambda x, y: pydl.div(x, y).sum(0), (leaf(3, 4), leaf(4, seed=1)))
    for f in (pydl.tanh, pydl.log, pydl.sqrt, F.gelu, F.silu, lambda x: pydl.softmax(x, 1), lambda x: x.cumsum(0), lambda x: x.var(1)):
        gradcheck(f, (leaf(3, 4),))


@check
def threads_give_the_same_bits() -> None:
    (_, x), (_, y) = numbers(311, 257), numbers(257, 190, seed=1)
    _, long = numbers(1_000_003)
    before, results = pydl.get_num_threads(), []
    try:
        for count in (1, 2, 4):
            pydl.set_num_threads(count)
            results.append([t.numpy().tobytes() for t in (x @ y, long.sum(), pydl.softmax(x, 1), pydl.exp(long), x.sum(0))])
    finally:
        pydl.set_num_threads(before)
    for name, *bits in zip(("matmul", "sum", "softmax", "exp", "sum of columns"), *results):
        if len(set(bits)) != 1:
            raise Failed(f"{name}: other bits for other numbers of threads")


CHILD = """
import numpy as np, pydl
a = np.random.default_rng(0).uniform(-2, 2, (65, 129)).astype(np.float32)
x = pydl.from_numpy(a)
assert np.allclose((x @ x.t()).numpy(), a.astype(float) @ a.astype(float).T, rtol=1e-5, atol=1e-4), "matmul"
assert np.allclose(pydl.exp(x).numpy(), np.exp(a.astype(float)), rtol=1e-6), "exp"
assert np.allclose(x.sum(0).numpy(), a.astype(float).sum(0), atol=1e-4), "sum"
print(pydl.current_isa())
"""


@check
def instruction_sets() -> None:
    for name in pydl.available_isas():
        environment = {**os.environ, "PYDL_ISA": name, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        done = subprocess.run([sys.executable, "-P", "-c", CHILD], capture_output=True, text=True, check=False, timeout=60, env=environment)
        if done.returncode or done.stdout.strip() != name:
            raise Failed(f"{name}: {(done.stderr.strip().splitlines() or ['it ran ' + done.stdout.strip()])[-1]}")


@check
def safetensors() -> None:
    state = {"a": numbers(3, 5)[1], "b": pydl.arange(7), "c": pydl.tensor([True, False])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_file(state, path)
        back = load_file(path)
    if set(back) != set(state) or not all(pydl.equal(back[name], x) and back[name].dtype is x.dtype for name, x in state.items()):
        raise Failed("what was loaded is not what was saved")


@check
def a_network_learns() -> None:
    state = pydl.get_rng_state()
    try:
        pydl.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        adam = pydl.optim.Adam(model.parameters(), lr=0.05)
        x, y = pydl.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), pydl.tensor([[0.0], [1.0], [1.0], [0.0]])
        for _ in range(200):
            adam.zero_grad()
            loss = F.binary_cross_entropy_with_logits(model(x), y)
            loss.backward()
            adam.step()
    finally:
        pydl.set_rng_state(state)
    if not loss.item() < 0.05:
        raise Failed(f"the loss of XOR is {loss.item():.3g} after 200 steps, expected less than 0.05")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout instead of lines")


def run(options: argparse.Namespace) -> int:
    """Runs all checks, also after one has failed -> 1 if one did."""
    results = []
    for name, function in CHECKS.items():
        start, problem = time.perf_counter(), ""
        try:
            function()
        except Exception as error:
            problem = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        results.append({"check": name, "ok": not problem, "seconds": seconds, "problem": problem})
        if not options.json:
            print(f"{'FAILED' if problem else 'ok':<7}{name:<28}{seconds:>6.2f} s" + (f"  {problem}" if problem else ""), flush=True)
    failed = sum(not result["ok"] for result in results)
    if options.json:
        print(json.dumps({"pydl": pydl.__version__, "instructions": pydl.current_isa(), "failed": failed, "checks": results}))
    else:
        print(f"pydl {pydl.__version__}, {pydl.current_isa()}, {pydl.get_num_threads()} threads: "
              + (f"{failed} of {len(results)} checks failed" if failed else f"all {len(results)} checks passed"))
    return 1 if failed else 0
