"""Pooling: forward, and forward with backward of a given gradient, against PyTorch; "last" is PyTorch with its channels last."""
from __future__ import annotations

from typing import Any

from cases import Thunk, add, functional, is_torch, put, values


def pooling(name: str, shape: tuple[int, ...], *args: Any, bar: float, both: bool = True, last: bool = False, **options: Any) -> None:
    def build(library: Any) -> Thunk:
        call, x = getattr(functional(library), name), put(library, values(*shape))
        x = x.to(memory_format=library.channels_last) if last and is_torch(library) else x
        if not both:
            return lambda: call(x, *args, **options)
        g = put(library, values(*call(x, *args, **options).shape, seed=1))
        g = g.to(memory_format=library.channels_last) if last and is_torch(library) else g
        x.requires_grad_(True)

        def run() -> None:
            call(x, *args, **options).backward(g)
            x.grad = None

        return run

    said = ", ".join(map(str, args))
    add(f"{name}({said}) {'x'.join(map(str, shape))}{' last' if last else ''}{' fwd+bwd' if both else ''}", build, bar)


pooling("max_pool2d", (32, 64, 32, 32), 2, bar=1.5, last=True)
for both in (False, True):
    pooling("max_pool2d", (32, 64, 32, 32), 2, bar=3.0, both=both)
    pooling("max_pool2d", (8, 64, 112, 112), 3, 2, 1, bar=3.0, both=both)
    pooling("max_pool2d", (32, 64, 32, 32), 3, 1, 1, bar=3.0, both=both)
    pooling("max_pool2d", (64, 128, 8, 8), 2, bar=3.0, both=both)
    pooling("max_pool1d", (32, 64, 1000), 2, bar=0.8, both=both)
    pooling("avg_pool2d", (32, 64, 32, 32), 2, bar=3.0, both=both)
    pooling("avg_pool2d", (32, 64, 32, 32), 3, 1, 1, bar=2.0, both=both)
    pooling("avg_pool2d", (32, 64, 56, 56), 3, 2, 1, bar=2.0, both=both)
    pooling("adaptive_avg_pool2d", (64, 512, 7, 7), 1, bar=0.9, both=both)
    pooling("adaptive_avg_pool2d", (16, 512, 14, 14), 7, bar=1.5, both=both)
    pooling("adaptive_avg_pool2d", (16, 256, 13, 13), 6, bar=2.0, both=both)
    pooling("adaptive_max_pool2d", (16, 512, 14, 14), 7, bar=1.5, both=both)
