"""The peak memory of training, in a process of its own: python benches/memory.py pydl|torch mlp|vgg -> "peak above", in bytes.

peak: of the process (VmHWM); above: over what it had after two steps of a tiny model.
"""
from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from measure import shared
from networks import vgg

TRAINED = {"mlp": (shared("case").mlp, (64, 784), 300), "vgg": (vgg, (64, 3, 32, 32), 6)}    # network, batch, steps


def status(field: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def train(library: Any, network: Callable[[Any], Any], shape: tuple[int, ...], steps: int) -> None:
    rng = np.random.default_rng(0)
    model = network(library)
    adam = library.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        x, t = library.from_numpy(rng.random(shape, dtype=np.float32)), library.from_numpy(rng.integers(0, 10, shape[0]))
        adam.zero_grad()
        library.nn.functional.cross_entropy(model(x), t).backward()
        adam.step()


def main() -> None:
    library = importlib.import_module(sys.argv[1])
    train(library, lambda of: of.nn.Linear(10, 10), (2, 10), 2)     # what a library loads when it is first used is not counted
    before = status("VmRSS")
    train(library, *TRAINED[sys.argv[2]])
    peak = status("VmHWM")
    print(peak, peak - before)


if __name__ == "__main__":
    main()
