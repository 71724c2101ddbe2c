"""What is measured, and the bar of each case: the least ratio time(peer) / time(pydl), or the most microseconds.

A case is built from a library that speaks PyTorch's names (pydl or torch), or by its own lines for NumPy, JAX (peers_jax.py) and
ONNX Runtime (peers_onnx.py).
"""
from __future__ import annotations

import collections
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import peers_jax
import peers_onnx
from measure import Thunk, shared

case = shared("case")
Case = case.Case
values, put, functional, mlp, is_torch = case.values, case.put, case.functional, case.mlp, case.is_torch

CASES: list[Any] = []


def every_case() -> list[Any]:
    """CASES, with what the files cases_*.py beside this one add to them."""
    for path in sorted(Path(__file__).parent.glob("cases_*.py")):
        importlib.import_module(path.stem)
    return CASES


def add(name: str, build: Callable[[Any], Thunk], torch: float | None = None, **options: Any) -> None:
    bars = options.pop("bars", {}) | ({} if torch is None else {"torch": torch})
    CASES.append(Case(name, build, bars, **options))


# --- matrices ----------------------------------------------------------------------------------------------------------

def gemm(m: int, n: int, k: int, torch: float, **options: Any) -> None:
    def jax() -> Thunk:
        import jax as j

        x, y = j.numpy.asarray(values(m, k)), j.numpy.asarray(values(k, n, seed=1))
        f = j.jit(j.numpy.matmul)
        return lambda: f(x, y).block_until_ready()

    CASES.append(case.gemm(m, n, k, bars={"torch": torch}, jax=jax, **options))


for size, least in ((64, 1.2), (128, 1.15), (256, 1.05), (512, 1.0)):
    gemm(size, size, size, least)
gemm(1024, 1024, 1024, 0.97, least_peak=0.88)
gemm(2048, 2048, 2048, 0.97, least_peak=0.88)
gemm(64, 256, 784, 1.0)
gemm(1, 1024, 1024, 1.3)
gemm(64, 10, 128, 2.0)


def linear(batch: int, inputs: int, outputs: int, torch: float) -> None:
    CASES.append(case.linear(batch, inputs, outputs, bars={"torch": torch}))


linear(64, 784, 256, 1.2)
linear(64, 128, 10, 3.0)


# --- a million floats ------------------------------------------------------------------------------------------------

MILLION = values(1_000_000)


def million(name: str, torch: float, f: Callable[[Any, Any], Any] | None = None, numpy: Any = None, jax: str | None = None,
            **options: Any) -> None:
    def build(library: Any) -> Thunk:
        x = put(library, MILLION)
        call = f or (lambda lib, v: getattr(lib, name)(v))
        return lambda: call(library, x)

    def with_jax() -> Thunk:
        import jax as j

        x = j.numpy.asarray(MILLION)
        op = j.jit(getattr(j.nn if hasattr(j.nn, jax or name) else j.numpy, jax or name))
        return lambda: op(x).block_until_ready()

    add(f"{name} 1M", build, torch, numpy=numpy, jax=with_jax if f is None or jax else None, **options)


million("tanh", 5.0, numpy=lambda: lambda: np.tanh(MILLION), bars={"jax": 1.0})
million("exp", 1.8, numpy=lambda: lambda: np.exp(MILLION))
million("sigmoid", 1.8, numpy=lambda: lambda: 1 / (1 + np.exp(-MILLION)))
million("gelu", 1.5, f=lambda lib, x: functional(lib).gelu(x), jax="gelu")
million("relu", 1.0, numpy=lambda: lambda: np.maximum(MILLION, 0), bars={"numpy": 1.0})


def relu_both(library: Any) -> Thunk:
    x = put(library, MILLION).requires_grad_(True)
    g = put(library, values(1_000_000, seed=1))

    def run() -> None:
        library.relu(x).backward(g)
        x.grad = None

    return run


add("relu 1M fwd+bwd", relu_both, 1.5)


def never_slower(name: str, shape: Sequence[int], f: Callable[[Any, Any], Any],
                 numpy: Callable[[np.ndarray], Any] | None = None) -> None:
    array = values(*shape)

    def build(library: Any) -> Thunk:
        x = put(library, array)
        return lambda: f(library, x)

    add(f"{name} {'x'.join(map(str, shape))}", build, 1.0, bars={"numpy": 1.0},
        numpy=(lambda: lambda: numpy(array)) if numpy else None)


for rows in ((64, 10), (1024, 1000)):
    never_slower("softmax rows", rows, lambda lib, x: lib.softmax(x, -1))
for shape in ((1_000_000,), (1000, 1000)):
    never_slower("sum all", shape, lambda lib, x: lib.sum(x), np.sum)
for dim in (0, 1):
    never_slower(f"sum dim {dim}", (1000, 1000), lambda lib, x, dim=dim: lib.sum(x, dim), lambda x, dim=dim: x.sum(dim))
    never_slower(f"mean dim {dim}", (512, 256), lambda lib, x, dim=dim: lib.mean(x, dim), lambda x, dim=dim: x.mean(dim))
    never_slower(f"amax dim {dim}", (1000, 1000), lambda lib, x, dim=dim: lib.amax(x, dim), lambda x, dim=dim: x.max(dim))
never_slower("max all", (1_000_000,), lambda lib, x: lib.amax(x), np.max)
never_slower("copy", (1_000_000,), lambda lib, x: x.clone(), np.copy)
never_slower("copy transposed", (1000, 1000), lambda lib, x: x.t().contiguous(), lambda x: np.ascontiguousarray(x.T))
never_slower("copy transposed", (64, 784), lambda lib, x: x.t().contiguous(), lambda x: np.ascontiguousarray(x.T))
never_slower("copy permuted", (32, 64, 28, 28), lambda lib, x: x.permute(0, 2, 3, 1).contiguous(),
             lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
never_slower("add row", (1000, 1000), lambda lib, x: x + x[0], lambda x: x + x[0])
never_slower("add column", (1000, 1000), lambda lib, x: x + x[:, :1], lambda x: x + x[:, :1])
never_slower("add same", (1000, 1000), lambda lib, x: x + x, lambda x: x + x)
never_slower("mul scalar", (1000, 1000), lambda lib, x: x * 3.0, lambda x: x * np.float32(3))
never_slower("add row", (64, 256), lambda lib, x: x + x[0], lambda x: x + x[0])


# --- losses ------------------------------------------------------------------------------------------------------------

def cross_entropy(rows: int, classes: int, torch: float) -> None:
    CASES.append(case.cross_entropy(rows, classes, bars={"torch": torch}))


cross_entropy(1024, 1000, 2.5)
cross_entropy(64, 10, 3.0)


def pair_loss(name: str, torch: float, *shape: int) -> None:
    def build(library: Any) -> Thunk:
        x = put(library, values(*shape, low=0.05, high=0.95)).requires_grad_(True)
        t = put(library, values(*shape, seed=1, low=0.05, high=0.95))
        f = getattr(functional(library), name)

        def run() -> None:
            f(x, t, reduction="sum").backward()
            x.grad = None

        return run

    add(f"{name} {'x'.join(map(str, shape))} fwd+bwd", build, torch)


for kind in ("smooth_l1_loss", "huber_loss", "binary_cross_entropy", "kl_div"):
    pair_loss(kind, 2.0, 64, 64)
    pair_loss(kind, 1.3, 1000, 1000)


# --- optimizers --------------------------------------------------------------------------------------------------------

def optimizer(kind: str, count: int, size: int, fused: bool, torch: float, only_one_thread: bool = False, label: str = "",
              **settings: Any) -> None:
    bars = {"one_thread" if only_one_thread else "bars": {"torch": torch}}
    CASES.append(case.optimizer(kind, count, size, fused, settings, label, **bars))


optimizer("Adam", 50, 100_000, False, 3.5, only_one_thread=True)
optimizer("Adam", 50, 100_000, True, 1.1)
optimizer("Adam", 64, 256, False, 10)
optimizer("Adam", 64, 256, True, 4)
optimizer("SGD", 50, 100_000, False, 1.2, momentum=0.9)
optimizer("SGD", 50, 100_000, True, 1.0, momentum=0.9)
optimizer("Adagrad", 50, 100_000, True, 1.0)
optimizer("Adagrad", 64, 256, True, 5)
for kind in ("RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"):
    optimizer(kind, 50, 100_000, False, 1.5)
    optimizer(kind, 64, 256, False, 10)
optimizer("RMSprop", 50, 100_000, False, 1.5, label="centered, momentum", momentum=0.9, centered=True)


# --- data ----------------------------------------------------------------------------------------------------------------

def epoch(dtype: str, torch: float | None, **options: Any) -> None:
    """One pass over 60,000 images of MNIST's size: the peer's default loader fetches and collates sample by sample.

    Reading memory at random takes most of our time; float32, of four times the size, has no bar for that reason.
    """
    def build(library: Any) -> Thunk:
        rng = np.random.default_rng(0)
        images = (rng.random((60_000, 1, 28, 28)) * 255).astype(dtype)
        utils = importlib.import_module("torch.utils.data") if is_torch(library) else library.data
        data = utils.TensorDataset(library.from_numpy(images), library.from_numpy(rng.integers(0, 10, 60_000)))
        loader = utils.DataLoader(data, batch_size=64, **options)
        return lambda: collections.deque(loader, maxlen=0) and None

    add(f"DataLoader 60000 images {dtype}" + "".join(f" {name}" for name in options), build, torch)


epoch("uint8", 50, shuffle=True)
epoch("float32", None, shuffle=True)


# --- the cost of a call ------------------------------------------------------------------------------------------------

def chained_adds(library: Any) -> Thunk:
    x = put(library, values(8, 8)).requires_grad_(True)
    c = put(library, values(8, 8, seed=1))
    g = put(library, values(8, 8, seed=2))
    twenty = [None] * 20

    def run() -> None:
        y = x
        for _ in twenty:
            y = y + c
        y.backward(g)
        x.grad = None

    return run


CASES.append(case.recorded_add(most_us=0.3))
add("20 adds 8x8 + backward", chained_adds, 5.0)


# --- a whole step ------------------------------------------------------------------------------------------------------

def training(batch: int, fused: bool, torch: float, captured: bool = False, jax: float | None = None) -> None:
    bars = {"torch": torch} | ({"jax": jax} if jax else {})
    CASES.append(case.training(batch, fused, captured, bars=bars, jax=(lambda: peers_jax.training(batch)) if jax else None))


def captured_forward(name: str, model_of: Callable[[Any], Any], inputs: int, most_us: float, **bars: float) -> None:
    CASES.append(case.captured_forward(name, model_of, inputs, bars=bars, most_us=most_us,
                                       onnxruntime=lambda: peers_onnx.forward(model_of, (1, inputs))))


for batch, default, with_fused in ((1, 4.0, 2.0), (64, 1.6, 1.3), (512, 1.2, 1.1)):
    training(batch, False, default)
    training(batch, True, with_fused)
for batch, default, with_fused, with_jax in ((1, 8.0, 4.0, 1.2), (64, 2.2, 1.7, 1.0), (512, 1.3, 1.2, 1.0)):
    training(batch, False, default, captured=True, jax=with_jax)
    training(batch, True, with_fused, captured=True)
CASES.append(case.captured_step("XOR 2-8-1", case.xor, "SGD", 4, 2, 1, most_us=5.0))
CASES.append(case.captured_step("policy 16-64-64-4", case.policy, "Adam", 32, 16, 4, bars={"torch": 15.0}, most_us=40.0))
captured_forward("MLP", mlp, 784, 20.0, onnxruntime=1.5)
captured_forward("policy 16-64-64-4", case.policy, 16, 2.0)


def peer_build(one: Any, peer: str) -> Thunk | None:
    """The case in the peer library, or None where it has no such thing."""
    if peer in ("torch", "pydl"):
        return one.build(importlib.import_module(peer))
    own = getattr(one, peer)
    return own() if own else None


def threads_of(library: str, count: int) -> None:
    """Make a library use `count` threads. JAX counts the cores it may use when it starts; ONNX Runtime's sessions are told."""
    if library == "jax":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    else:
        case.threads_of(library, count)
