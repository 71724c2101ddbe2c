"""Further new tensors, by a rule or by a distribution. Random ones depend on the generator's state and on an element's place alone."""
import math
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex

from pydl._core.checks import int_arg, tensor_arg
from pydl._core.create import empty, full, linspace
from pydl._core.dtypes import bool as bool_
from pydl._core.dtypes import dtype as DType
from pydl._core.dtypes import float64, get_default_dtype
from pydl._core.generator import Generator
from pydl._core.placement import check_format, check_placement
from pydl._core.tensor import Tensor
from pydl.ops.arithmetic import pow
from pydl.ops.compare import isfinite
from pydl.ops.operands import to
from pydl.ops.pairs import fitting
from pydl.ops.parts import as_strided
from pydl.ops.random import draw_counts, fill_transformed, randint
from pydl.ops.reduce import all as all_
from pydl.ops.shape import contiguous


def _number(op: str, value: SupportsFloat, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{op}: {name} must be a number, got {type(value).__name__}") from None


# ---- By a rule

def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: DType | None = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:
    """`steps` values base^start ... base^end, both included, whose exponents are evenly spaced. Computed in float64."""
    check_placement("logspace", device, layout, pin_memory)
    count = int_arg("logspace", steps, "steps", 0)
    power = linspace(_number("logspace", start, "start"), _number("logspace", end, "end"), count, dtype=float64)
    return to(pow(_number("logspace", base, "base"), power), dtype or get_default_dtype()).requires_grad_(requires_grad)


def scalar_tensor(
    s: float, *, dtype: DType | None = None, layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False
) -> Tensor:
    """A 0-dimensional tensor of the number s, of the default float type unless dtype says otherwise."""
    check_placement("scalar_tensor", device, layout, pin_memory)
    if not isinstance(s, (bool, int, float)):
        raise TypeError(f"scalar_tensor: s must be a number, got {type(s).__name__}")
    return full((), s, dtype=dtype or get_default_dtype()).requires_grad_(requires_grad)


def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: DType | None = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """A tensor with these sizes and strides (in elements) whose elements are whatever the memory holds.

    Raises ValueError for negative sizes or strides, and where there are not as many of both.
    """
    check_placement("empty_strided", device, layout, pin_memory)
    if not all(isinstance(given, (tuple, list)) for given in (size, stride)):
        raise TypeError(f"empty_strided: size and stride must be tuples, got {type(size).__name__} and {type(stride).__name__}")
    sizes, strides = ([int_arg("empty_strided", one, name, 0) for one in given] for given, name in ((size, "a size"), (stride, "a stride")))
    if len(sizes) != len(strides):
        raise ValueError(f"empty_strided: expected as many strides as sizes, got {tuple(sizes)} and {tuple(strides)}")
    room = 0 if 0 in sizes else 1 + sum((n - 1) * step for n, step in zip(sizes, strides))
    return as_strided(empty(room, dtype=dtype or get_default_dtype()), sizes, strides).detach().requires_grad_(requires_grad)


# ---- By a distribution

def randint_like(
    input: Tensor, low: SupportsIndex, high: SupportsIndex | None = None, *, generator: Generator | None = None,
    dtype: DType | None = None, layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """randint() with the shape and type of input: randint_like(x, high) or randint_like(x, low, high)."""
    check_placement("randint_like", device, layout, pin_memory)
    check_format("randint_like", memory_format)
    x = tensor_arg("randint_like", input, "input")
    bounds = (0, low) if high is None else (low, high)
    least, end = (int_arg("randint_like", bound, name) for bound, name in zip(bounds, ("low", "high")))
    return randint(least, end, tuple(x.shape), generator=generator, dtype=dtype or x.dtype, requires_grad=requires_grad)


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """How many events there are where `input` are expected, each element by itself. float32, float64; (...) -> (...), input's type.

    Products of uniform numbers below 10, transformed rejection (Hoermann 1993) above. Raises ValueError for a rate that is negative,
    infinite or NaN, TypeError for integers.
    """
    x = tensor_arg("poisson", input, "input").detach()
    if not x.is_floating_point():
        raise TypeError(f"poisson: input must be float32 or float64, got {x.dtype}; convert it with .to()")
    _refuse("poisson", "rates must be finite and not negative", x, bool(isfinite(x).all()) and _within(x, 0, math.inf))
    return draw_counts(contiguous(x), None, generator)


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of `count` trials succeed, each with probability prob. Floats; shapes broadcast, types promote.

    Sums of geometric gaps for few successes, transformed rejection (Hoermann 1993) for many. Raises ValueError for a count that
    is negative or not whole, and what is no probability.
    """
    n, p = (x.detach() for x in fitting("binomial", count=count, prob=prob))
    _refuse("binomial", "counts must be whole numbers that are not negative", n, _within(n, 0, 2.0**53) and bool(all_(n == n.floor())))
    _refuse("binomial", "probabilities must be from 0 to 1", p, _within(p, 0, 1))
    return draw_counts(contiguous(n), contiguous(p), generator)


def _within(x: Tensor, low: float, high: float) -> bool:
    return bool(all_((x >= low) & (x <= high)))


def _refuse(op: str, what: str, x: Tensor, fine: bool) -> None:
    if not fine:
        raise ValueError(f"{op}: {what}, got others in shape {x.shape}")


def exponential_(input: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with exponential numbers of the rate lambd, above 0. float32 or float64. Raises ValueError for lambd <= 0."""
    rate = _number("exponential_", lambd, "lambd")
    if not rate > 0:
        raise ValueError(f"exponential_: lambd must be positive, got {rate}")
    return fill_transformed("exponential_", input, 0, rate, 0, generator)


def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with the number of trials to the first success, from 1. All types but bool. Raises ValueError unless 0 < p < 1."""
    x, chance = tensor_arg("geometric_", input, "input"), _number("geometric_", p, "p")
    if not 0 < chance < 1:
        raise ValueError(f"geometric_: p must lie between 0 and 1, got {chance}")
    if x.dtype is bool_:
        raise TypeError("geometric_: not defined for bool; convert the tensor with .to()")
    if not x.is_floating_point():
        return x.copy_(fill_transformed("geometric_", empty(tuple(x.shape), dtype=float64), 1, chance, 0, generator))
    return fill_transformed("geometric_", x, 1, chance, 0, generator)


def cauchy_(input: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with numbers of Cauchy's distribution. float32 or float64. Raises ValueError for sigma <= 0."""
    middle, width = _number("cauchy_", median, "median"), _number("cauchy_", sigma, "sigma")
    if not width > 0:
        raise ValueError(f"cauchy_: sigma must be positive, got {width}")
    return fill_transformed("cauchy_", input, 2, middle, width, generator)


def log_normal_(input: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """Fills the tensor with e^z, z normal with this mean and deviation. float32 or float64. Raises ValueError for std <= 0."""
    middle, width = _number("log_normal_", mean, "mean"), _number("log_normal_", std, "std")
    if not 0 < width < math.inf:
        raise ValueError(f"log_normal_: std must be positive, got {width}")
    return fill_transformed("log_normal_", input, 3, middle, width, generator)


__all__ = [
    "binomial", "cauchy_", "empty_strided", "exponential_", "geometric_", "log_normal_", "logspace", "poisson", "randint_like",
    "scalar_tensor",
]
METHODS = ["cauchy_", "exponential_", "geometric_", "log_normal_"]
