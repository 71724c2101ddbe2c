"""What is measured of products and linear algebra: added to cases.CASES when imported.

What NumPy computes has no bar: the ratio says how LAPACK behind NumPy compares with LAPACK behind the peer.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cases import Thunk, add, put, values


def of(name: str, f: Callable[..., Any], *shapes: tuple[int, ...], torch: float | None = 1.0, backward: bool = False) -> None:
    def build(library: Any) -> Thunk:
        xs = [put(library, values(*shape, seed=i)).requires_grad_(backward) for i, shape in enumerate(shapes)]
        if not backward:
            return lambda: f(library, *xs)
        g = put(library, f(library, *xs).detach().numpy().copy())

        def run() -> None:
            f(library, *xs).backward(g)
            for x in xs:
                x.grad = None

        return run

    add(name + (" fwd+bwd" if backward else ""), build, torch)


def einsum(name: str, equation: str, *shapes: tuple[int, ...], backward: bool = False) -> None:
    of(f"einsum {equation} {name}", lambda lib, *xs: lib.einsum(equation, *xs), *shapes, backward=backward)


einsum("64", "ij,jk->ik", (64, 64), (64, 64))
einsum("1000", "ij,jk->ik", (1000, 1000), (1000, 1000))
einsum("8x64", "bij,bjk->bik", (8, 64, 64), (8, 64, 64))
einsum("8x64", "bij,bjk->bik", (8, 64, 64), (8, 64, 64), backward=True)
einsum("1M", "bij,bkj->bik", (244, 64, 64), (244, 64, 64))
einsum("heads", "bhid,bhjd->bhij", (8, 8, 64, 64), (8, 8, 64, 64))
einsum("64", "ij,ij->", (64, 64), (64, 64))
einsum("1M", "ij,ij->", (1000, 1000), (1000, 1000))
einsum("1M", "ij,ij->i", (1000, 1000), (1000, 1000))
einsum("1M", "i,j->ij", (1000,), (1000,))
einsum("64", "ii->i", (64, 64))
einsum("1M", "ij->j", (1000, 1000))
einsum("64", "ij,jk,kl->il", (64, 64), (64, 64), (64, 64))
of("tensordot 64", lambda lib, x, y: lib.tensordot(x, y, 1), (64, 64), (64, 64))
of("tensordot 1M", lambda lib, x, y: lib.tensordot(x, y, dims=([2, 1], [1, 2])), (100, 100, 100), (100, 100, 100))
of("bmm 64x64x64", lambda lib, x, y: lib.bmm(x, y), (64, 64, 64), (64, 64, 64))
of("bmm 244x64x64", lambda lib, x, y: lib.bmm(x, y), (244, 64, 64), (244, 64, 64))
of("addbmm 16x64x64", lambda lib, c, x, y: lib.addbmm(c, x, y), (64, 64), (16, 64, 64), (16, 64, 64))
of("cross 1M", lambda lib, x, y: lib.linalg.cross(x, y), (333_333, 3), (333_333, 3), torch=None)
of("vecdot 1M", lambda lib, x, y: lib.linalg.vecdot(x, y), (1000, 1000), (1000, 1000))

def integers(size: int) -> None:
    numbers = np.random.default_rng(0).integers(0, 100, (size, size))

    def build(library: Any) -> Thunk:
        x = put(library, numbers)
        return lambda: x @ x

    add(f"product of int64 {size}", build, None)


integers(64)
integers(300)
for p in (2.0, 1.0, float("inf"), 3.0):
    def distances(lib: Any, x: Any, y: Any, p: float = p) -> Any:
        return lib.cdist(x, y, p)

    for rows, columns in ((64, 64), (1000, 16), (1000, 24), (1000, 64), (1000, 1000)):
        if p < 3 or rows * columns < 20_000:
            of(f"cdist p={p:g} {rows}x{columns}", distances, (rows, columns), (rows, columns))
    of(f"cdist p={p:g} 300x16", distances, (300, 16), (300, 16), backward=True)
of("pdist 1000x16", lambda lib, x: lib.nn.functional.pdist(x), (1000, 16))

for size in (64, 300):
    def well(lib: Any, x: Any, size: int = size) -> Any:
        return x + 2 * size * lib.eye(size)

    def positive(lib: Any, x: Any, size: int = size) -> Any:
        return x @ x.mT + size * lib.eye(size)

    for name in ("inv", "det", "lu", "qr", "svd", "pinv", "matrix_exp"):
        of(f"linalg.{name} {size}", lambda lib, x, name=name, well=well: getattr(lib.linalg, name)(well(lib, x)), (size, size), torch=None)
    for name in ("cholesky", "eigh"):
        of(f"linalg.{name} {size}", lambda lib, x, name=name, positive=positive: getattr(lib.linalg, name)(positive(lib, x)),
           (size, size), torch=None)
    for name in ("solve", "lstsq"):
        of(f"linalg.{name} {size}", lambda lib, x, y, name=name, well=well: getattr(lib.linalg, name)(well(lib, x), y),
           (size, size), (size, 8), torch=None)
