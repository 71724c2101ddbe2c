"""Normalisation, look-ups in tables, and clipping: forward, and forward with backward, against PyTorch."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cases import Thunk, add, functional, put, values


def norm_case(name: str, shape: tuple[int, ...], call: Callable[..., Any], bar: float, affine: int = 2, both: bool = True,
              width: int | None = None) -> None:
    """call(functional, x, w, b); `affine` says how many parameters there are."""
    size = width or shape[1]

    def build(library: Any) -> Thunk:
        f, x = functional(library), put(library, values(*shape))
        parameters = [put(library, values(size, seed=i + 1)) for i in range(affine)]
        given = [*parameters, *[None] * (2 - affine)] if affine else []
        if not both:
            return lambda: call(f, x, *given)
        g = put(library, values(*shape, seed=5))
        for leaf in (x, *parameters):
            leaf.requires_grad_(True)

        def run() -> None:
            call(f, x, *given).backward(g)
            for leaf in (x, *parameters):
                leaf.grad = None

        return run

    add(f"{name} {'x'.join(map(str, shape))}{' fwd+bwd' if both else ''}", build, bar)


for both in (False, True):
    for rows, n, bar in ((2048, 512, 1.2 if both else 1.0), (64, 64, 1.0), (1000, 1000, 1.0)):
        norm_case("layer_norm", (rows, n), lambda f, x, w, b: f.layer_norm(x, [x.shape[1]], w, b), bar, both=both)
        norm_case("rms_norm", (rows, n), lambda f, x, w, b: f.rms_norm(x, [x.shape[1]], w), 1.0, 1, both=both)
    for shape in ((64, 64), (1000, 1000), (16, 64, 1000)):
        norm_case("batch_norm", shape, lambda f, x, w, b: f.batch_norm(x, None, None, w, b, True), 1.0, both=both)
    norm_case("batch_norm eval", (1000, 1000), lambda f, x, w, b: f.batch_norm(x, w.detach(), b.detach().abs(), w, b), 1.0, both=both)
    for shape in ((32, 64, 32, 32), (32, 128, 16, 16)):
        norm_case("batch_norm", shape, lambda f, x, w, b: f.batch_norm(x, None, None, w, b, True), 1.4 if both else 1.0, both=both)
        norm_case("instance_norm", shape, lambda f, x, w, b: f.instance_norm(x, None, None, w, b), 1.0, both=both)
        norm_case("group_norm", shape, lambda f, x, w, b: f.group_norm(x, 8, w, b), 1.0, both=both)
    norm_case("group_norm", (16, 64, 1000), lambda f, x, w, b: f.group_norm(x, 8, w, b), 1.0, both=both)
    norm_case("local_response_norm", (16, 64, 27, 27), lambda f, x: f.local_response_norm(x, 5), 1.0, 0, both=both)


def embedding(count: int, rows: int, width: int, bar: float) -> None:
    where = np.random.default_rng(0).integers(0, rows, count)

    def build(library: Any) -> Thunk:
        w, i = put(library, values(rows, width)).requires_grad_(True), put(library, where)
        g, f = put(library, values(count, width, seed=1)), functional(library).embedding

        def run() -> None:
            f(i, w).backward(g)
            w.grad = None

        return run

    add(f"embedding {count} of {rows}x{width} fwd+bwd", build, bar)


embedding(64, 50_000, 128, 1.0)
embedding(8192, 50_000, 128, 1.0)
embedding(64, 1000, 64, 1.0)


def embedding_bag(bags: int, length: int, rows: int, width: int, mode: str, bar: float) -> None:
    where = np.random.default_rng(0).integers(0, rows, (bags, length))

    def build(library: Any) -> Thunk:
        w, i = put(library, values(rows, width)).requires_grad_(True), put(library, where)
        g, f = put(library, values(bags, width, seed=1)), functional(library).embedding_bag

        def run() -> None:
            f(i, w, mode=mode).backward(g)
            w.grad = None

        return run

    add(f"embedding_bag {mode} {bags}x{length} of {rows}x{width}", build, bar)


for mode in ("sum", "mean", "max"):
    embedding_bag(512, 20, 10_000, 64, mode, 1.0)


def clipping(count: int, size: int, bar: float) -> None:
    def build(library: Any) -> Thunk:
        parameters = [put(library, values(size, seed=i)).requires_grad_(True) for i in range(count)]
        for i, p in enumerate(parameters):
            p.grad = put(library, values(size, seed=i + 1))
        clip = library.nn.utils.clip_grad_norm_
        return lambda: clip(parameters, 1e-3)

    add(f"clip_grad_norm_ {count} tensors of {size}", build, bar)


clipping(64, 256, 1.5)
clipping(50, 100_000, 1.0)
