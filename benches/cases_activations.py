"""Every activation that is a kernel: forward, and forward with backward, on a million elements and on 64x64. Never slower."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cases import Thunk, add, functional, put, values

SHAPES = {"1M": (1000, 1000), "64x64": (64, 64)}
PLAIN = ("relu6", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "leaky_relu", "elu", "celu", "selu", "tanhshrink",
         "softsign", "silu", "mish", "softplus", "logsigmoid", "glu", "rrelu")
WITH_MORE: dict[str, Callable[[Any, Any], Any]] = {
    "threshold": lambda f, x: f.threshold(x, 0.1, 20.0),
    "rrelu train": lambda f, x: f.rrelu(x, training=True),
    "gelu tanh": lambda f, x: f.gelu(x, approximate="tanh"),
}
CALLS = {name: lambda f, x, name=name: getattr(f, name)(x) for name in PLAIN} | WITH_MORE


def forward(name: str, size: str) -> None:
    def build(library: Any) -> Thunk:
        f, x = functional(library), put(library, values(*SHAPES[size]))
        return lambda: CALLS[name](f, x)

    add(f"{name} {size}", build, 1.0)


def both(name: str, size: str) -> None:
    def build(library: Any) -> Thunk:
        f, x = functional(library), put(library, values(*SHAPES[size])).requires_grad_(True)
        g = put(library, values(*CALLS[name](f, x).shape, seed=1))

        def run() -> None:
            CALLS[name](f, x).backward(g)
            x.grad = None

        return run

    add(f"{name} {size} fwd+bwd", build, 1.0)


def prelu(size: str, channels: int) -> None:
    """The weight is trained, too."""
    def build(library: Any) -> Thunk:
        f, x = functional(library), put(library, values(*SHAPES[size])).requires_grad_(True)
        w = put(library, values(channels, low=0.1, high=0.4)).requires_grad_(True)
        g = put(library, values(*SHAPES[size], seed=1))

        def run() -> None:
            f.prelu(x, w).backward(g)
            x.grad = w.grad = None

        return run

    add(f"prelu({channels}) {size} fwd+bwd", build, 1.0)


def prelu_forward(size: str, channels: int) -> None:
    def build(library: Any) -> Thunk:
        f, x = functional(library), put(library, values(*SHAPES[size]))
        w = put(library, values(channels, low=0.1, high=0.4))
        return lambda: f.prelu(x, w)

    add(f"prelu({channels}) {size}", build, 1.0)


for case in CALLS:
    for shape in SHAPES:
        forward(case, shape)
        both(case, shape)
for shape in SHAPES:
    for count in (1, SHAPES[shape][1]):
        prelu_forward(shape, count)
        prelu(shape, count)
