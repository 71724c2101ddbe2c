"""Every C kernel on a million elements and on 64x64, forward, and backward where it has one: never slower than PyTorch."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cases import Thunk, add, functional, put, values

SHAPES = ((1000, 1000), (64, 64))
Call = Callable[..., Any]


def kernel(name: str, call: Call, *inputs: Callable[[Sequence[int]], np.ndarray], backward: bool = False,
           shapes: Sequence[Sequence[int]] = SHAPES) -> None:
    """Cases of call(library, *tensors), the tensors made from the shape by `inputs`; backward: to the first one, too."""
    for shape in shapes:
        add(f"kernel {name} {'x'.join(map(str, shape))}", forward_of(call, inputs, shape), 1.0)
        if backward:
            add(f"kernel {name} fwd+bwd {'x'.join(map(str, shape))}", both_of(call, inputs, shape), 1.0)


def forward_of(call: Call, inputs: Sequence[Callable], shape: Sequence[int]) -> Callable[[Any], Thunk]:
    def build(library: Any) -> Thunk:
        tensors = [put(library, make(shape)) for make in inputs]
        return lambda: call(library, *tensors)

    return build


def both_of(call: Call, inputs: Sequence[Callable], shape: Sequence[int]) -> Callable[[Any], Thunk]:
    def build(library: Any) -> Thunk:
        first, *rest = (put(library, make(shape)) for make in inputs)
        first.requires_grad_(True)
        slope = put(library, values(*call(library, first, *rest).shape, seed=9))

        def run() -> None:
            call(library, first, *rest).backward(slope)
            first.grad = None

        return run

    return build


def floats(low: float = -2, high: float = 2, seed: int = 0) -> Callable[[Sequence[int]], np.ndarray]:
    return lambda shape: values(*shape, low=low, high=high, seed=seed)


def integers(low: int, high: int, seed: int = 0, dtype: type = np.int64) -> Callable[[Sequence[int]], np.ndarray]:
    return lambda shape: np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def positions(shape: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(5).integers(0, shape[0], shape)


def pixels(shape: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(5).integers(0, shape[1], (shape[0], *shape[2:]))


def rows(shape: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(5).integers(0, shape[0], shape[0])


def masks(seed: int = 0) -> Callable[[Sequence[int]], np.ndarray]:
    return lambda shape: np.random.default_rng(seed).random(shape) < 0.5


def named(name: str) -> Call:
    return lambda library, *tensors: getattr(library, name)(*tensors)


def functional_named(name: str, **options: Any) -> Call:
    return lambda library, *tensors: getattr(functional(library), name)(*tensors, **options)


X, Y, POSITIVE, UNIT = floats(), floats(seed=1), floats(0.1, 3), floats(0.02, 0.98)

for name in ("neg", "abs", "sign"):
    kernel(name, named(name), X)
for name in ("add", "sub", "mul", "maximum", "minimum"):
    kernel(name, named(name), X, Y)
for name in ("div", "floor_divide", "remainder", "fmod"):
    kernel(name, named(name), X, POSITIVE)
kernel("pow", named("pow"), POSITIVE, Y)
kernel("pow 3", lambda library, x: x**3, X)
kernel("clamp", lambda library, x: library.clamp(x, -1.0, 1.0), X, backward=True)
kernel("addcmul", named("addcmul"), X, Y, POSITIVE)
for name in ("add", "mul", "maximum"):
    kernel(f"{name} int64", named(name), integers(-9, 9), integers(-9, 9, 1))

for name in ("eq", "lt"):
    kernel(name, named(name), X, Y)
kernel("where", named("where"), masks(), X, Y)
for name in ("logical_and", "bitwise_xor"):
    kernel(name, named(name), masks(), masks(1))
kernel("logical_not", named("logical_not"), masks())
kernel("bitwise_and int64", named("bitwise_and"), integers(0, 99), integers(0, 99, 1))
for name in ("isnan", "isinf", "isfinite"):
    kernel(name, named(name), X)

for name in ("exp", "exp2", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh", "erf", "erfc", "floor", "ceil", "round", "trunc",
             "frac", "square", "tanh", "nan_to_num"):
    kernel(name, named(name), X)
for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal"):
    kernel(name, named(name), POSITIVE)
for name in ("asin", "acos", "atanh"):
    kernel(name, named(name), UNIT)
kernel("acosh", named("acosh"), floats(1.1, 3))
for name in ("atan2", "hypot", "logaddexp"):
    kernel(name, named(name), X, Y)
kernel("xlogy", named("xlogy"), X, POSITIVE)
kernel("lerp", lambda library, x, y: library.lerp(x, y, 0.3), X, Y)
kernel("addcdiv", named("addcdiv"), X, Y, POSITIVE)

for name in ("relu", "sigmoid", "tanh"):
    kernel(name, named(name), X, backward=True)
for name in ("gelu", "silu", "leaky_relu", "elu", "softplus"):
    kernel(name, functional_named(name), X, backward=True)
kernel("gelu tanh", functional_named("gelu", approximate="tanh"), X, backward=True)

for name in ("sum", "prod", "amax", "amin", "mean", "var", "logsumexp"):
    for dim in (0, 1):
        kernel(f"{name} dim {dim}", lambda library, x, name=name, dim=dim: getattr(library, name)(x, dim=dim), X)
    if name != "logsumexp":
        kernel(f"{name} all", named(name), X)
kernel("any", named("any"), lambda shape: np.zeros(shape, bool))
kernel("all", named("all"), lambda shape: np.ones(shape, bool))
for order in (1.0, 2.0, float("inf")):
    kernel(f"norm {order}", lambda library, x, order=order: library.norm(x, order), X)
    kernel(f"norm {order} dim 1", lambda library, x, order=order: library.norm(x, order, dim=1), X)
for name in ("argmax", "argmin"):
    kernel(name, named(name), X)
for name in ("argmax", "max", "cumsum", "cumprod"):
    for dim in (0, 1):
        kernel(f"{name} dim {dim}", lambda library, x, name=name, dim=dim: getattr(library, name)(x, dim=dim), X)
for name in ("softmax", "log_softmax"):
    for dim in (0, 1):
        kernel(f"{name} dim {dim}", lambda library, x, name=name, dim=dim: getattr(library, name)(x, dim=dim), X, backward=True)

kernel("cross_entropy", functional_named("cross_entropy"), X, rows, backward=True)
kernel("nll_loss", functional_named("nll_loss"), X, rows, backward=True)
IMAGES = ((8, 2, 128, 128), (2, 21, 256, 256))
for name in ("cross_entropy", "nll_loss"):
    kernel(f"{name} images", functional_named(name), X, pixels, backward=True, shapes=IMAGES)
for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"):
    kernel(name, functional_named(name), X, Y, backward=True)
kernel("binary_cross_entropy", functional_named("binary_cross_entropy"), UNIT, floats(0.02, 0.98, 1), backward=True)
kernel("binary_cross_entropy_with_logits", functional_named("binary_cross_entropy_with_logits"), X, UNIT, backward=True)
kernel("binary_cross_entropy_with_logits images", functional_named("binary_cross_entropy_with_logits"), X, UNIT, backward=True,
       shapes=IMAGES)
kernel("kl_div", functional_named("kl_div", reduction="sum"), X, UNIT, backward=True)

kernel("zeros", lambda library, x: library.zeros(x.shape), X)
kernel("full", lambda library, x: library.full(x.shape, 1.5), X)
for kind in ("float64", "int64", "int32", "uint8", "bool"):
    kernel(f"to {kind}", lambda library, x, kind=kind: x.to(getattr(library, kind)), POSITIVE)
kernel("int64 to float32", lambda library, x: x.to(library.float32), integers(-9, 9))
kernel("triu", named("triu"), X)
kernel("cat dim 0", lambda library, x, y: library.cat([x, y], 0), X, Y)
kernel("cat dim 1", lambda library, x, y: library.cat([x, y], 1), X, Y)
kernel("flip", lambda library, x: library.flip(x, (0, 1)), X)

for dim in (0, 1):
    kernel(f"gather dim {dim}", lambda library, x, i, dim=dim: library.gather(x, dim, i), X, positions, backward=True)
    kernel(f"scatter_add dim {dim}", lambda library, x, i, y, dim=dim: library.scatter_add(x, dim, i, y), X, positions, Y)
    kernel(f"index_select dim {dim}", lambda library, x, i, dim=dim: library.index_select(x, dim, i), X, rows, backward=True)
    kernel(f"index_add dim {dim}", lambda library, x, i, y, dim=dim: library.index_add(x, dim, i, y), X, rows, Y)
kernel("rows by index", lambda library, x, i: x[i], X, rows, backward=True)
kernel("by mask", lambda library, x, m: x[m], X, masks())
kernel("masked_fill", lambda library, x, m: library.masked_fill(x, m, 0.0), X, masks(), backward=True)
kernel("nonzero", named("nonzero"), masks())
kernel("take", lambda library, x, i: library.take(x, i), X, integers(0, 64 * 64))

for dim in (0, 1):
    kernel(f"sort dim {dim}", lambda library, x, dim=dim: library.sort(x, dim), X)
    kernel(f"topk dim {dim}", lambda library, x, dim=dim: library.topk(x, 5, dim), X)

kernel("rand", lambda library, x: library.rand(x.shape), X)
kernel("randn", lambda library, x: library.randn(x.shape), X)
kernel("randint", lambda library, x: library.randint(0, 100, x.shape), X)
kernel("randperm", lambda library, x: library.randperm(x.numel()), X)
kernel("bernoulli", named("bernoulli"), UNIT)
kernel("dropout", functional_named("dropout", p=0.3), X, backward=True)
kernel("multinomial", lambda library, x: library.multinomial(x, 10, replacement=True), UNIT)
