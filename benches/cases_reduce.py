"""Reductions, selections and searches: a million elements, and 64 x 64."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cases import Thunk, add, put, values

BIG, SMALL = (1_000_000,), (64, 64)
Call = Callable[[Any, Any], Any]


def both(name: str, call: Call, small: Call | None = None, array: Callable[[Sequence[int]], np.ndarray] | None = None) -> None:
    """The call on a million elements and on 64 x 64 (`small` there, where it is another one): never slower."""
    for shape, f in ((BIG, call), (SMALL, small or call)):
        one = array(shape) if array else values(*shape)

        def build(library: Any, one: np.ndarray = one, f: Call = f) -> Thunk:
            x = put(library, one)
            return lambda: f(library, x)

        add(f"{name} {'x'.join(map(str, shape))}", build, 1.0)


def beside(name: str, make: Callable[[Sequence[int]], dict[str, np.ndarray]], call: Callable[..., Any]) -> None:
    """The same for a call of several tensors."""
    for shape in (BIG, SMALL):
        arrays = make(shape)

        def build(library: Any, arrays: dict[str, np.ndarray] = arrays) -> Thunk:
            tensors = {key: put(library, one) for key, one in arrays.items()}
            return lambda: call(library, **tensors)

        add(f"{name} {'x'.join(map(str, shape))}", build, 1.0)


def integers(shape: Sequence[int], most: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, most, tuple(shape))


both("aminmax", lambda lib, x: lib.aminmax(x), lambda lib, x: lib.aminmax(x, dim=1))
both("nansum", lambda lib, x: lib.nansum(x), lambda lib, x: lib.nansum(x, 0))
both("count_nonzero", lambda lib, x: lib.count_nonzero(x), lambda lib, x: lib.count_nonzero(x, 0))
both("std_mean", lambda lib, x: lib.std_mean(x), lambda lib, x: lib.std_mean(x, 1))
for dim in (0, 1):
    both(f"cummax dim {dim}", lambda lib, x, dim=dim: lib.cummax(x, dim if x.ndim > 1 else 0))
    both(f"logcumsumexp dim {dim}", lambda lib, x, dim=dim: lib.logcumsumexp(x, dim if x.ndim > 1 else 0))
both("median", lambda lib, x: lib.median(x), lambda lib, x: lib.median(x, 1))
both("kthvalue", lambda lib, x: lib.kthvalue(x, 250_000), lambda lib, x: lib.kthvalue(x, 17, 0))
both("quantile", lambda lib, x: lib.quantile(x, 0.3), lambda lib, x: lib.quantile(x, 0.3, 1))
both("mode", lambda lib, x: lib.mode(x), lambda lib, x: lib.mode(x, 1), lambda shape: integers(shape, 100).astype(np.float32))
both("unique", lambda lib, x: lib.unique(x), array=lambda shape: integers(shape, 1000))
both("unique inverse counts", lambda lib, x: lib.unique(x, True, True, True), array=lambda shape: integers(shape, 1000))
both("histc", lambda lib, x: lib.histc(x, 100, -2, 2))
both("bincount", lambda lib, x: lib.bincount(x.reshape(-1)), array=lambda shape: integers(shape, 1000))
both("diff", lambda lib, x: lib.diff(x))
both("isin", lambda lib, x: lib.isin(x, x.reshape(-1)[:1000]), array=lambda shape: integers(shape, 100_000))
both("msort", lambda lib, x: lib.msort(x))
beside("searchsorted", lambda shape: {"s": np.sort(values(1000)), "x": values(*shape)}, lambda lib, s, x: lib.searchsorted(s, x))
beside("bucketize", lambda shape: {"s": np.sort(values(10)), "x": values(*shape)}, lambda lib, s, x: lib.bucketize(x, s))
for kind in ("sum", "prod", "mean", "amax"):
    beside(f"scatter_reduce {kind}", lambda shape: {"x": values(*shape), "i": integers(shape, shape[0]), "s": values(*shape, seed=1)},
           lambda lib, x, i, s, kind=kind: lib.scatter_reduce(x, 0, i, s, kind))
beside("index_copy", lambda shape: {"x": values(*shape), "i": np.arange(shape[0])[::-1].copy(), "s": values(*shape, seed=1)},
       lambda lib, x, i, s: lib.index_copy(x, 0, i, s))
beside("index_add_", lambda shape: {"x": values(*shape), "i": integers((32,), shape[0]), "s": values(32, *shape[1:])},
       lambda lib, x, i, s: x.index_add_(0, i, s))
beside("scatter_add_", lambda shape: {"x": values(*shape), "i": integers((32, *shape[1:]), shape[0]), "s": values(32, *shape[1:])},
       lambda lib, x, i, s: x.scatter_add_(0, i, s))
both("exponential_", lambda lib, x: x.exponential_())
both("poisson", lambda lib, x: lib.poisson(x), array=lambda shape: values(*shape, low=0, high=20))
