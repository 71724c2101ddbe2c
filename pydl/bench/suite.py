"""The cases of `pydl bench`: a minute's look at every part of the library."""
from __future__ import annotations

import numpy as np

from pydl.bench.case import cross_entropy, functional, gemm, linear, optimizer, pointwise, recorded_add, training

MILLION = (1_000_000,)
SQUARE = (1000, 1000)

SUITE = [
    gemm(128, 128, 128),
    gemm(512, 512, 512),
    gemm(1, 1024, 1024),
    linear(64, 784, 256),
    pointwise("add 1M", MILLION, lambda lib, x: x + x, lambda x: x + x),
    pointwise("add row 1000x1000", SQUARE, lambda lib, x: x + x[0], lambda x: x + x[0]),
    pointwise("exp 1M", MILLION, lambda lib, x: lib.exp(x), np.exp),
    pointwise("tanh 1M", MILLION, lambda lib, x: lib.tanh(x), np.tanh),
    pointwise("gelu 1M", MILLION, lambda lib, x: functional(lib).gelu(x)),
    pointwise("sum 1M", MILLION, lambda lib, x: lib.sum(x), np.sum),
    pointwise("sum columns 1000x1000", SQUARE, lambda lib, x: lib.sum(x, 0), lambda x: x.sum(0)),
    pointwise("softmax 1024x1000", (1024, 1000), lambda lib, x: lib.softmax(x, -1)),
    pointwise("sort 64x1000", (64, 1000), lambda lib, x: lib.sort(x), lambda x: np.sort(x, kind="stable")),
    pointwise("copy transposed 1000x1000", SQUARE, lambda lib, x: x.t().contiguous(), lambda x: np.ascontiguousarray(x.T)),
    cross_entropy(1024, 1000),
    optimizer("Adam", 50, 100_000),
    optimizer("SGD", 50, 100_000, settings={"momentum": 0.9}),
    recorded_add(),
    training(1),
    training(64),
    training(512),
]
