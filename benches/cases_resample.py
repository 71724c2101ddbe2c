"""Images resized, sampled, padded and rearranged: forward, and forward with backward, against PyTorch."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cases import Thunk, add, functional, put, values


def image_case(name: str, shape: tuple[int, ...], call: Callable[..., Any], bars: tuple[float, float], grid: tuple[int, ...] = ()) -> None:
    """call(functional, x), or with a grid call(functional, x, grid); bars: forward, and with backward."""
    def build(library: Any, both: bool) -> Thunk:
        f, leaves = functional(library), [put(library, values(*shape))]
        if grid:
            leaves.append(put(library, np.random.default_rng(1).uniform(-1, 1, grid).astype(np.float32)))
        if not both:
            return lambda: call(f, *leaves)
        g = put(library, values(*call(f, *leaves).shape, seed=5))
        for leaf in leaves:
            leaf.requires_grad_(True)

        def run() -> None:
            call(f, *leaves).backward(g)
            for leaf in leaves:
                leaf.grad = None

        return run

    for both in (False, True):
        add(f"{name} {'x'.join(map(str, shape))}{' fwd+bwd' if both else ''}", lambda library, both=both: build(library, both), bars[both])


for mode in ("nearest", "bilinear", "bicubic"):
    image_case(f"interpolate {mode} x2", (8, 64, 32, 32), lambda f, x, mode=mode: f.interpolate(x, scale_factor=2, mode=mode), (2.0, 2.0))
image_case("interpolate bilinear to 224", (1, 3, 480, 640),
           lambda f, x: f.interpolate(x, size=(224, 224), mode="bilinear", antialias=True), (1.5, 1.5))
image_case("interpolate area to 24", (8, 16, 64, 64), lambda f, x: f.interpolate(x, size=24, mode="area"), (1.5, 1.5))
image_case("interpolate linear to 1600", (8, 32, 1000), lambda f, x: f.interpolate(x, size=1600, mode="linear"), (1.2, 1.5))
image_case("grid_sample bilinear", (8, 64, 32, 32), lambda f, x, g: f.grid_sample(x, g, align_corners=False), (0.85, 0.95), (8, 32, 32, 2))
image_case("pixel_shuffle 2", (8, 64, 32, 32), lambda f, x: f.pixel_shuffle(x, 2), (1.5, 1.5))
image_case("pixel_unshuffle 2", (8, 16, 64, 64), lambda f, x: f.pixel_unshuffle(x, 2), (1.2, 1.5))
image_case("unfold 3", (8, 16, 32, 32), lambda f, x: f.unfold(x, 3, padding=1), (1.5, 1.5))
image_case("fold 3", (8, 144, 1024), lambda f, x: f.fold(x, (32, 32), 3, padding=1), (1.5, 1.5))
for mode in ("constant", "reflect", "replicate", "circular"):
    image_case(f"pad {mode} 1", (8, 64, 32, 32), lambda f, x, mode=mode: f.pad(x, (1, 1, 1, 1), mode),
               (0.7, 0.75 if mode == "constant" else 1.5))
