"""Training steps for JAX: one jit-ed function of state and batch, with the state's buffers donated; Adam as torch's formula has it.

JAX gets what serves it best: computations run in the calling thread (no hop to a dispatcher), the wait is for the loss alone
(all results of a computation are ready together), and weights lie (in, out) or (out, in), whichever is faster.
"""
from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from measure import Thunk, faster, shared

case = shared("case")
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


def loss_of(j: Any, transposed: bool) -> Callable[..., Any]:
    """Cross-entropy of a network of linear layers with ReLU between them; params: weight, bias, weight, bias, ..."""
    def loss(params: list[Any], x: Any, t: Any) -> Any:
        for i in range(0, len(params), 2):
            x = (j.nn.relu(x) if i else x) @ (params[i].T if transposed else params[i]) + params[i + 1]
        return -j.numpy.take_along_axis(j.nn.log_softmax(x), t[:, None], 1).mean()

    return loss


def adam_step(j: Any, loss: Callable[..., Any]) -> Callable[..., Any]:
    """(params, m, v, count), x, t -> the same one step later, and the loss."""
    def step(state: tuple[Any, ...], x: Any, t: Any) -> tuple[Any, Any]:
        params, m, v, count = state
        value, grads = j.value_and_grad(loss)(params, x, t)
        count = count + 1
        m = [BETA1 * a + (1 - BETA1) * g for a, g in zip(m, grads)]
        v = [BETA2 * b + (1 - BETA2) * g * g for b, g in zip(v, grads)]
        rate, root = LR / (1 - BETA1**count), j.numpy.sqrt(1 - BETA2**count)
        params = [p - rate * a / (j.numpy.sqrt(b) / root + EPS) for p, a, b in zip(params, m, v)]
        return (params, m, v, count), value

    return j.jit(step, donate_argnums=0)


def training(batch: int) -> Thunk:
    """The step of case.training(batch), from the same numbers on."""
    import jax as j
    pydl = importlib.import_module("pydl")

    j.config.update("jax_cpu_enable_async_dispatch", False)
    inputs, targets = case.values(batch, 784), np.random.default_rng(0).integers(0, 10, batch)
    first = [p.detach().numpy().copy() for p in case.mlp(pydl).parameters()]

    def build(transposed: bool) -> Thunk:
        step = adam_step(j, loss_of(j, transposed))
        params = [j.numpy.array(p if transposed else p.T) for p in first]
        state: tuple[Any, ...] = (params, [p * 0 for p in params], [p * 0 for p in params], j.numpy.float32(0))
        x, t = j.numpy.asarray(inputs), j.numpy.asarray(targets)

        def run() -> Any:
            nonlocal state
            state, value = step(state, x, t)
            return value.block_until_ready()

        losses = [float(run()) for _ in range(3)]
        if not np.allclose(losses, ours, rtol=1e-4):
            raise ValueError(f"JAX computes something else: losses {losses}, pydl {ours}")
        return run

    ours = losses_of(pydl, inputs, targets)
    return faster({"weights (in, out)": build(False), "weights (out, in)": build(True)})


def losses_of(pydl: Any, inputs: np.ndarray, targets: np.ndarray) -> list[float]:
    """The first losses of pydl's step."""
    model = case.mlp(pydl)
    adam = pydl.optim.Adam(model.parameters(), lr=LR)
    x, t = pydl.from_numpy(inputs), pydl.from_numpy(targets)
    found = []
    for _ in range(3):
        adam.zero_grad()
        loss = pydl.nn.functional.cross_entropy(model(x), t)
        loss.backward()
        adam.step()
        found.append(loss.item())
    return found
