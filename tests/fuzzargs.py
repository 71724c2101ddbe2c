"""What a fuzzed call is made of: descriptions of arguments, whose repr is the text that makes them again.

The classes of kernel fault that a mutation aims at (A to J of the tests in test_fuzz.py) are named where they are made.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import pydl

DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool")
SPECIAL = (math.nan, math.inf, -math.inf, -0.0, 1e-40, 5e-324, 3.4028234663852886e38, 1.7976931348623157e308)
LAYOUTS = ("transposed", "strided", "offset", "expanded", "overlapping", "orphan", "lent")
ARRAYS = ("array", "swapped", "structured", "object", "read-only", "misaligned", "negative", "broadcast", "complex", "half", "text")
HUGE = 1 << 22          # a tensor of more elements is a stretched one: it needs no memory


@dataclass(frozen=True)
class T:
    """A tensor argument. values: None (drawn from [low, high)), an integer put at the middle, or "special"."""

    shape: tuple[int, ...] = (2, 3)
    dtype: str = "float32"
    low: float = -2.0
    high: float = 2.0
    values: Any = None
    layout: str = "plain"
    how: str = "tensor"
    grad: bool = False
    alias: int | None = None        # the same memory as argument number `alias`, if that is a tensor: J
    seed: int = 0

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in vars(self).items() if value != getattr(T, name, None)]
        return f"T({', '.join(given)})"

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


def numbers(spec: T, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(spec.seed)
    if spec.dtype == "bool":
        x = rng.integers(0, 2, shape).astype(bool)
    elif spec.dtype.startswith("float"):
        x = np.asarray(rng.uniform(spec.low, spec.high, shape))
    else:
        low = math.floor(max(spec.low, 0) if spec.dtype == "uint8" else spec.low)
        x = rng.integers(low, max(math.ceil(spec.high), low + 1), shape)
    with np.errstate(all="ignore"):
        if spec.values == "special" and spec.dtype.startswith("float"):
            x = np.where(rng.random(shape) < 0.5, rng.choice(np.array(SPECIAL), shape), x)
        x = np.array(x, spec.dtype, order="C")
    if isinstance(spec.values, int) and x.size:
        x.reshape(-1)[x.size // 2] = wrapped(spec.values, spec.dtype)
    return x


def wrapped(number: int, dtype: str) -> int:
    """The number with as many bits as an integer type has."""
    bits = {"uint8": 8, "int32": 32}.get(dtype, 64)
    low = 0 if dtype == "uint8" else 1 << bits - 1
    return (number + low) % (1 << bits) - low


def make(spec: T, before: list[Any]) -> Any:
    """The argument, with those before it, which it may share memory with."""
    if spec.alias is not None:
        others = [x for x in before if isinstance(x, pydl.Tensor)]
        if others:
            x = others[spec.alias % len(others)]
            if spec.layout == "transposed" and x.ndim > 1:
                return x.detach().transpose(-1, -2)
            return x.detach()[1:] if spec.layout == "offset" and x.ndim else x
    if spec.how != "tensor":
        return make_array(spec)
    return laid_out(spec).requires_grad_(spec.grad)


def laid_out(spec: T) -> pydl.Tensor:
    shape, layout = spec.shape, spec.layout
    if max(shape, default=0) > HUGE or spec.numel > HUGE:
        if spec.numel == 0:
            return pydl.zeros(shape, dtype=getattr(pydl, spec.dtype))
        return pydl.tensor(numbers(spec, (1,) * len(shape))).expand(shape)
    a = numbers(spec, shape)
    if layout == "transposed":
        return pydl.from_numpy(a.T.copy(order="C").T)
    if layout == "strided":
        memory = np.empty(tuple(3 * n for n in shape), a.dtype)
        view = memory[(..., *(slice(1 if n else 0, None, 3) for n in shape))]
        view[...] = a
        return pydl.from_numpy(view)
    if layout == "offset":
        memory = np.empty(a.size + 1, a.dtype)
        memory[1:] = a.ravel()
        return pydl.from_numpy(memory[1:].reshape(shape))
    if layout == "expanded" and shape and shape[0]:
        return pydl.tensor(a[:1]).expand(shape)
    if layout == "overlapping" and len(shape) > 1 and a.size:
        return pydl.tensor(a.ravel()).as_strided(shape, (1,) * len(shape))
    if layout == "orphan":
        base = pydl.tensor(a)
        view = base.reshape(shape)
        base.data = pydl.zeros(3)
        return view
    if layout == "lent":
        return pydl.from_numpy(a)
    return pydl.tensor(a)


def make_array(spec: T) -> Any:
    """Arrays of kinds that a tensor cannot simply look at: G."""
    a, how = numbers(replace(spec, layout="plain"), spec.shape if spec.numel <= HUGE else (2, 3)), spec.how
    if how == "swapped":
        return a.astype(a.dtype.newbyteorder(">"))
    if how == "structured":
        return np.zeros(a.shape, "i4,f4")
    if how == "object":
        return a.astype(object)
    if how == "read-only":
        a.flags.writeable = False
    if how == "misaligned":
        return np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape)
    if how == "negative":
        return a[::-1] if a.ndim else a
    if how == "broadcast":
        return np.broadcast_to(a.ravel()[:1], a.shape) if a.ndim and a.size else a
    if how == "complex":
        return a.astype(complex)
    if how == "half":
        with np.errstate(all="ignore"):
            return a.astype(np.float16)
    return np.full(a.shape, "text") if how == "text" else a


@dataclass(frozen=True)
class Through:
    """An array that is handed to a function of pydl first: from_numpy, tensor or as_tensor."""

    maker: str
    array: T


@dataclass(frozen=True)
class Named:
    """An object of pydl by its name, such as an element type."""

    name: str


@dataclass(frozen=True)
class Call:
    """target(*args, **attrs); target: the name of a row, `pydl.name`, `F.name` or `Tensor.name`."""

    target: str
    args: tuple[Any, ...]
    attrs: dict[str, Any]
    plausible: bool = True          # only tensors of the types and shapes that the row allows were drawn

    def __repr__(self) -> str:
        return f"Call({self.target!r}, {self.args!r}, {self.attrs!r}, {self.plausible})"


def built(call: Call) -> tuple[list[Any], dict[str, Any], list[Any]]:
    """Arguments, keywords, and every tensor or array among them."""
    found: list[Any] = []

    def put(arg: Any) -> Any:
        if isinstance(arg, T):
            found.append(make(arg, found))
            return found[-1]
        if isinstance(arg, Through):
            found.append(getattr(pydl, arg.maker)(make_array(arg.array)))
            return found[-1]
        if isinstance(arg, Named):
            return getattr(pydl, arg.name)
        if isinstance(arg, (list, tuple)) and any(isinstance(one, (T, Through, Named)) for one in arg):
            return type(arg)(put(one) for one in arg)
        return arg

    args = [put(arg) for arg in call.args]
    return args, {name: put(value) for name, value in call.attrs.items()}, found
