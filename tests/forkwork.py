"""What the processes of test_fork.py compute: a module of its own, so that a spawned process can import it."""
from __future__ import annotations

import numpy as np

import pydl


def work() -> float:
    """Large enough for the pool."""
    x = pydl.from_numpy(np.linspace(-1, 1, 600_000, dtype=np.float32)).requires_grad_(True)
    w = pydl.from_numpy(np.linspace(0, 1, 300 * 300, dtype=np.float32).reshape(300, 300))
    y = pydl.tanh(x).sum() + (w @ w).sum()
    y.backward()
    return float(y.item()) + float(x.grad.sum().item())


def work_in_pool() -> float:
    pydl.set_num_threads(2)
    return work()
