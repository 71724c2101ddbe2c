"""What a case of a bench is, and how the usual ones are made. A case is built from a library that speaks PyTorch's names.

This module and measure.py import nothing of pydl: benches/ loads them to measure other revisions.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Thunk = Callable[[], Any]


@dataclass
class Case:
    """build(library) gives what is timed. bars: the least ratio time(peer) / time(pydl), by peer."""

    name: str
    build: Callable[[Any], Thunk]
    bars: dict[str, float] = field(default_factory=dict)
    one_thread: dict[str, float] = field(default_factory=dict)   # bars that hold for one thread only
    most_us: float | None = None                        # a bar of its own, in microseconds of pydl
    numpy: Callable[[], Thunk] | None = None
    jax: Callable[[], Thunk] | None = None
    onnxruntime: Callable[[], Thunk] | None = None
    flops: float = 0
    calls: int = 1                                      # how many calls one run of the thunk makes
    least_peak: float = 0                               # least fraction of the FMA peak, on one thread

    def bar(self, peer: str, threads: int) -> float | None:
        """The bar against a peer, None where there is none."""
        if threads == 1 and peer in self.one_thread:
            return self.one_thread[peer]
        return self.bars.get(peer)


def values(*shape: int, seed: int = 0, low: float = -2, high: float = 2) -> np.ndarray:
    """Uniform float32, the same every time."""
    return np.random.default_rng(seed + len(shape)).uniform(low, high, shape).astype(np.float32)


def put(library: Any, array: np.ndarray) -> Any:
    """A tensor in the library's own memory."""
    return library.from_numpy(array).clone()


def is_torch(library: Any) -> bool:
    return library.__name__ == "torch"


def functional(library: Any) -> Any:
    return library.nn.functional


def gemm(m: int, n: int, k: int, **options: Any) -> Case:
    """A matrix product (m, k) @ (k, n)."""
    a, b = values(m, k), values(k, n, seed=1)

    def build(library: Any) -> Thunk:
        x, y = put(library, a), put(library, b)
        return lambda: library.matmul(x, y)

    return Case(f"gemm {m}x{k}x{n}", build, numpy=lambda: lambda: a @ b, flops=2.0 * m * n * k, **options)


def pointwise(name: str, shape: tuple[int, ...], f: Callable[[Any, Any], Any], with_numpy: Callable[[np.ndarray], Any] | None = None,
              **options: Any) -> Case:
    """f(library, x) of one tensor."""
    array = values(*shape)

    def build(library: Any) -> Thunk:
        x = put(library, array)
        return lambda: f(library, x)

    return Case(name, build, numpy=(lambda: lambda: with_numpy(array)) if with_numpy else None, **options)


def linear(batch: int, inputs: int, outputs: int, **options: Any) -> Case:
    """A linear layer, forward and backward."""
    def build(library: Any) -> Thunk:
        x = put(library, values(batch, inputs)).requires_grad_(True)
        w = put(library, values(outputs, inputs, seed=1)).requires_grad_(True)
        b = put(library, values(outputs)).requires_grad_(True)
        g = put(library, values(batch, outputs, seed=2))
        f = functional(library).linear

        def run() -> None:
            f(x, w, b).backward(g)
            x.grad = w.grad = b.grad = None

        return run

    return Case(f"linear {batch}x{inputs}->{outputs} fwd+bwd", build, **options)


def cross_entropy(rows: int, classes: int, **options: Any) -> Case:
    """Cross-entropy of logits, forward and backward."""
    targets = np.random.default_rng(0).integers(0, classes, rows)

    def build(library: Any) -> Thunk:
        x = put(library, values(rows, classes)).requires_grad_(True)
        t = put(library, targets)
        f = functional(library).cross_entropy

        def run() -> None:
            f(x, t).backward()
            x.grad = None

        return run

    return Case(f"cross_entropy {rows}x{classes} fwd+bwd", build, **options)


def optimizer(kind: str, count: int, size: int, fused: bool = False, settings: dict[str, Any] | None = None,
              label: str = "", **options: Any) -> Case:
    """One step over `count` parameters of `size` elements. fused: the peer uses its fused implementation."""
    def build(library: Any) -> Thunk:
        params = [put(library, values(size, seed=i)).requires_grad_(True) for i in range(count)]
        for i, p in enumerate(params):
            p.grad = put(library, values(size, seed=i + 1))
        more = {"fused": True} if fused and is_torch(library) else {}
        step = getattr(library.optim, kind)(params, lr=1e-3, **(settings or {}), **more).step
        return lambda: step() and None

    total = f"{count * size / 1e6:g}M" if count * size >= 1e6 else f"{count * size}"
    name = f"{kind} {total} in {count} tensors" + (" (fused peer)" if fused else "") + (f" ({label})" if label else "")
    return Case(name, build, **options)


def recorded_add(**options: Any) -> Case:
    """What a call costs: an addition of 8x8 that the tape records."""
    def build(library: Any) -> Thunk:
        x = put(library, values(8, 8)).requires_grad_(True)
        y = put(library, values(8, 8, seed=1))
        hundred = [None] * 100

        def run() -> None:
            for _ in hundred:
                x + y

        return run

    return Case("recorded add 8x8", build, calls=100, **options)


def mlp(library: Any) -> Any:
    """784-256-128-10 with ReLU."""
    nn = library.nn
    library.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def policy(library: Any) -> Any:
    """16-64-64-4 with tanh: the size of networks in reinforcement learning."""
    nn = library.nn
    library.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4))


def xor(library: Any) -> Any:
    nn = library.nn
    library.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))


def captured_step(name: str, model_of: Callable[[Any], Any], kind: str, batch: int, inputs: int, outputs: int, **options: Any) -> Case:
    """A training step with the mean squared error; pydl's is captured."""
    def build(library: Any) -> Thunk:
        model = model_of(library)
        x, t = put(library, values(batch, inputs)), put(library, values(batch, outputs, seed=1))
        optimizer = getattr(library.optim, kind)(model.parameters(), lr=1e-3)
        loss = library.nn.MSELoss()

        def step(x: Any, t: Any) -> Any:
            optimizer.zero_grad()
            value = loss(model(x), t)
            value.backward()
            optimizer.step()
            return value

        run = step if is_torch(library) else library.capture(step)

        def once() -> None:
            run(x, t)

        return once

    return Case(f"{name} step batch {batch}, captured", build, **options)


def captured_forward(name: str, model_of: Callable[[Any], Any], inputs: int, **options: Any) -> Case:
    """Inference of one example without gradients; pydl's is captured, whose results have none."""
    def build(library: Any) -> Thunk:
        model, x = model_of(library).eval(), put(library, values(1, inputs))
        forward = model if is_torch(library) else library.capture(model.forward)

        def captured() -> None:
            forward(x)

        def eager() -> None:
            with library.inference_mode():
                forward(x)

        return eager if is_torch(library) else captured

    return Case(f"{name} inference batch 1, captured", build, **options)


def training(batch: int, fused: bool = False, captured: bool = False, **options: Any) -> Case:
    """A training step of the MLP with Adam: zero_grad, forward, loss, backward, step; captured: pydl's is."""
    targets = np.random.default_rng(0).integers(0, 10, batch)

    def build(library: Any) -> Thunk:
        model = mlp(library)
        x, t = put(library, values(batch, 784)), put(library, targets)
        more = {"fused": True} if fused and is_torch(library) else {}
        adam = library.optim.Adam(model.parameters(), lr=1e-3, **more)
        loss = library.nn.CrossEntropyLoss()

        def step() -> None:
            adam.zero_grad()
            loss(model(x), t).backward()
            adam.step()

        return step if is_torch(library) or not captured else library.capture(step)

    return Case(f"MLP step batch {batch}" + (", captured" if captured else "") + (" (fused peer)" if fused else ""), build, **options)


def threads_of(library: str, count: int) -> None:
    """Make a library use `count` threads."""
    if library == "pydl":
        import pydl

        pydl.set_num_threads(count)
    elif library == "torch":
        import torch

        torch.set_num_threads(count)
    elif library == "numpy":
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:     # an extra: NumPy keeps the threads that it has
            return
        threadpool_limits(count, user_api="blas")
