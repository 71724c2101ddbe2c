"""Strategies for calls with bad, odd and extreme arguments: the samples of the rows, mutated; see fuzzargs.py."""
from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import pydl
import pydl.nn.functional as F
from fuzzargs import ARRAYS, DTYPES, LAYOUTS, Call, Named, T, Through
from op_table import FAMILIES, FAMILY, KERNELS_ONLY, TABLE
from rows import Flat, In, Row, Sample, is_shape, tensors_of

HUGE_SHAPES = ((1 << 31, 2), (65536, 65536, 65536, 65536), (5, 1 << 60), ((1 << 31) + 1,), (0, 1 << 62, 5), (1 << 40, 1, 1 << 20))
NUMBERS = (0, 1, -1, 2, 3, 7, -7, 2**31 - 1, 2**31, -2**31, 2**63 - 1, 2**63, -2**63, 2**64, 10**400, True, False, 0.0, -0.0, 0.5, 1.5, -2.5,
           math.nan, math.inf, -math.inf, 1e-320, 1e308)
ODD = (None, "", "none", "mean", "sum", "x" * 5000, "\0", b"b", (), [], [0], (0, 0), (0, -1), (1, 2, 3), [None], [[1, 2], [3]], {}, {"a": 1}, set(),
       ..., slice(None), slice(3, 0, -1), slice(0, 5, 0), range(3), np.float32(math.nan), np.int64(2), np.uint8(255), np.bool_(True), 1j, object,
       (2**63,), (-1,), (-1, -1), [2**31, 2**31, 4], (0.5,), (True,), ("a",), (1,) * 17, (1,) * 70)
INDICES = (-1, -2, -2**63, 2**63 - 1, 2**31, 5, 100)

values = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(ODD), st.integers(-5, 9), st.floats(width=32))
names = st.sampled_from([Named(name) for name in (*DTYPES, "Tensor", "strided", "preserve_format")])
tensors = st.builds(T, st.lists(st.integers(0, 4), max_size=4).map(tuple), st.sampled_from(DTYPES), values=st.sampled_from((None, "special", *INDICES)),
                    grad=st.just(False), layout=st.sampled_from(("plain", *LAYOUTS)), seed=st.integers(0, 9))
anything = st.one_of(values, names, tensors)


# ---- Mutations of one tensor argument

def shapes(draw: Callable, spec: T) -> T:
    """C, D, E: another size, rank or order; empty; larger than memory."""
    shape = list(spec.shape)
    kind = draw(st.sampled_from(("zero", "size", "drop", "add", "swap", "rank", "huge", "one")))
    at = draw(st.integers(0, max(len(shape) - 1, 0)))
    if kind == "huge":
        return replace(spec, shape=draw(st.sampled_from(HUGE_SHAPES)))
    if kind == "rank":
        return replace(spec, shape=tuple(draw(st.lists(st.integers(0, 3), max_size=9))))
    if kind == "add":
        shape.insert(at, draw(st.integers(0, 3)))
    elif not shape:
        shape = [3]
    elif kind == "drop":
        del shape[at]
    elif kind == "swap":
        shape.reverse()
    else:
        shape[at] = {"zero": 0, "one": 1}.get(kind, shape[at] + draw(st.sampled_from((-1, 1, 2))))
    return replace(spec, shape=tuple(max(size, 0) for size in shape))


def types(draw: Callable, spec: T) -> T:
    """G: another type; floats for indices."""
    return replace(spec, dtype=draw(st.sampled_from(DTYPES)))


def contents(draw: Callable, spec: T) -> T:
    """F, H: special numbers; indices that are out of range."""
    return replace(spec, values="special" if spec.dtype.startswith("float") else draw(st.sampled_from(INDICES)))


def layouts(draw: Callable, spec: T) -> T:
    """G: strides of any kind, also zero and overlapping ones."""
    return replace(spec, layout=draw(st.sampled_from(LAYOUTS)))


def arrays(draw: Callable, spec: T) -> Any:
    """G: an array where a tensor is expected, or made into a tensor first."""
    array = replace(spec, how=draw(st.sampled_from(ARRAYS)), grad=False)
    maker = draw(st.sampled_from(("", "from_numpy", "tensor", "as_tensor")))
    return Through(maker, array) if maker else array


def aliases(draw: Callable, spec: T) -> T:
    """J: the memory of an argument before it, as it is, transposed or in part."""
    return replace(spec, alias=draw(st.integers(0, 2)), layout=draw(st.sampled_from(("plain", "transposed", "offset"))))


def others(draw: Callable, spec: T) -> Any:
    """Something that is no tensor."""
    return draw(values)


OF_TENSORS = {shapes: 5, types: 3, contents: 4, layouts: 4, arrays: 1, aliases: 2, others: 1}
WELL_FORMED = (contents, layouts)       # what the reference can follow
MUTATIONS = tuple(kind for kind, weight in OF_TENSORS.items() for _ in range(weight))


def near(draw: Callable, value: Any) -> Any:
    """A, B, E, H: another value for an attribute; for a number often one beside it."""
    if isinstance(value, int) and not isinstance(value, bool) and draw(st.booleans()):
        return value + draw(st.sampled_from((-3, -2, -1, 1, 2)))
    if isinstance(value, (tuple, list)) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return type(value)(draw(st.one_of(st.integers(-3, 4), values)) if i == at else one for i, one in enumerate(value))
    return draw(anything)


# ---- Calls

def small_samples(row: Row) -> list[Sample]:
    return [one for one in row.samples if sum(math.prod(spec.shape) for spec in tensors_of(row, one)) <= 3000]


def described(row: Row, one: Sample, dtype: str, seed: int, grad: bool) -> tuple[list[Any], dict[str, Any]]:
    """The sample's arguments with T in place of its tensors."""
    specs = iter(tensors_of(row, one))

    def tensor() -> T:
        spec = next(specs)
        kind = spec.dtype or dtype
        low, high = float(spec.low or 0), float(2 if spec.high is None else spec.high)
        return T(spec.shape, kind, low, high, grad=grad and spec.grad and kind.startswith("float"), seed=seed)

    def put(arg: Any) -> Any:
        if isinstance(arg, In) or is_shape(arg):
            return tensor()
        if isinstance(arg, list):
            return [put(one) for one in arg]
        return arg.value if isinstance(arg, Flat) else arg

    return [put(arg) for arg in one.args], {name: tensor() if isinstance(value, In) else value for name, value in one.attrs.items()}


def own(value: Any) -> Any:
    """A list that may be changed."""
    return list(value) if isinstance(value, list) else value


def mutated(draw: Callable, args: list[Any], attrs: dict[str, Any], most: int) -> bool:
    """Mutates up to `most` arguments where they stand; whether the row's reference could follow."""
    plausible = True
    args[:] = map(own, args)
    for _ in range(draw(st.integers(0, most))):
        places: list[tuple[Any, Any]] = [(args, i) for i in range(len(args))] + [(attrs, name) for name in attrs]
        places += [(arg, i) for arg in args if isinstance(arg, list) for i in range(len(arg))]
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        value = holder[key]
        if isinstance(value, T):
            kind = draw(st.sampled_from(MUTATIONS))
            holder[key] = own(kind(draw, value))
            plausible = plausible and kind in WELL_FORMED
        else:
            holder[key] = own(near(draw, value))
            plausible = False
    if draw(st.integers(0, 19)) == 0:
        plausible = False
        if args and draw(st.booleans()):
            del args[draw(st.integers(0, len(args) - 1))]
        else:
            attrs[draw(st.sampled_from(("dim", "keepdim", "unknown", "out", "dtype", "input", "alpha")))] = draw(anything)
    return plausible


@st.composite
def row_calls(draw: Callable, row: Row, target: str) -> Call:
    """A sample of the row with up to three mutations; as a method, the first argument is the tensor."""
    dtype = draw(st.sampled_from(tuple(row.dtypes)))
    args, attrs = described(row, draw(st.sampled_from(small_samples(row))), dtype, draw(st.integers(0, 99)), draw(st.booleans()))
    plausible = mutated(draw, args, attrs, 3)
    return Call(target, tuple(args), attrs, plausible)


LIKELY: dict[str, st.SearchStrategy] = {        # what a parameter of this name probably wants
    "dim": st.integers(-2, 2), "dims": st.sampled_from(((0,), (0, 1), (1, 0), -1)), "size": st.sampled_from(((2, 3), (6,), (0, 3), (3, -1), 4)),
    "dtype": names, "index": tensors, "indices": tensors, "mask": tensors, "keepdim": st.booleans(), "requires_grad": st.booleans(),
    "n": st.integers(-1, 5), "m": st.integers(-1, 5), "steps": st.integers(-1, 5), "start": st.integers(-3, 3), "end": st.integers(-3, 9),
    "step": st.integers(-1, 3), "length": st.integers(-1, 3), "k": st.integers(-1, 4), "chunks": st.integers(-1, 4), "tensors": st.lists(tensors, max_size=3),
    "shape": st.sampled_from(((2, 3), (6,), (-1,), (0, -1))), "sizes": st.sampled_from(((2, 3), (6,), (-1,), 6)), "low": st.integers(-3, 3),
    "high": st.integers(-3, 9), "num_samples": st.integers(-1, 5), "replacement": st.booleans(), "generator": st.none(), "p": st.floats(-1, 2),
    "mean": st.one_of(st.floats(-1, 1), tensors), "std": st.one_of(st.floats(-1, 1), tensors), "value": st.one_of(st.floats(-9, 9), tensors),
    "key": st.one_of(values, tensors, st.tuples(values, tensors), st.tuples(tensors, tensors), st.tuples(st.just(...), values)),
    "device": st.sampled_from((None, "cpu", "cuda")), "training": st.booleans(), "inplace": st.booleans(),
}


def parameters(function: Callable) -> tuple[list[str], list[str]]:
    """Names of what must be given, and of what may be."""
    try:
        every = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return ["other"], []
    kinds = inspect.Parameter
    needed = [one.name for one in every if one.default is one.empty and one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    starred = [one.name for one in every if one.kind is kinds.VAR_POSITIONAL]
    return [*needed, *starred], [one.name for one in every if one.default is not one.empty]


@st.composite
def free_calls(draw: Callable, target: str) -> Call:
    """Arguments by the names of the parameters, for what has no row."""
    function = resolved(target)
    needed, allowed = parameters(function)
    first = [draw(tensors)] if target.startswith("Tensor.") else []
    needed = needed[1:] if first and needed and needed[0] in ("self", "input") else needed
    if needed and needed[-1] == "args":
        needed[-1:] = ["other"] * draw(st.integers(0, 3))

    def likely(name: str) -> Any:
        usual = LIKELY.get(name, tensors)
        return draw(usual if draw(st.integers(0, 3)) else anything)

    args = [*first, *(likely(name) for name in needed)]
    chosen = draw(st.lists(st.sampled_from(allowed), unique=True, max_size=2)) if allowed else []
    attrs = {name: likely(name) for name in chosen}
    mutated(draw, args, attrs, 1)
    return Call(target, tuple(args), attrs, False)


# ---- What there is to call

# These change the state of the process, wait, or print; they have tests of their own.
NOT_CALLED = {"set_num_threads", "set_default_dtype", "set_printoptions", "set_grad_enabled", "threads", "backward", "register_hook",
              "enable_grad", "no_grad", "inference_mode", "set_rng_state", "seed", "Generator", "empty_cache"}


def public(space: Any) -> Iterator[str]:
    for name in sorted(dir(space)):
        one = getattr(space, name)
        if not name.startswith("_") and callable(one) and name not in NOT_CALLED and not isinstance(one, type):
            yield name


def resolved(target: str) -> Callable:
    space, _, name = target.rpartition(".")
    if space == "Tensor":
        return getattr(pydl.Tensor, name)
    return getattr(F if space == "F" else pydl, name) if space in ("F", "pydl") else TABLE[target].call()


def plain_rows() -> dict[str, Row]:
    """Rows whose samples are the op's own arguments, by op."""
    return {row.op: row for row in TABLE.values() if row.fn is None and small_samples(row)}


OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift", "eq", "lt")
ITEMS = ("__getitem__", "__setitem__", "__contains__", *(f"__{r}{name}__" for name in OPERATORS for r in ("", "i", "r") if not (r and name in ("eq", "lt"))))


@functools.cache
def targets() -> dict[str, tuple[str, ...]]:
    """Every call that is tried, by group: the rows of a family, the methods, the functions without a row."""
    groups: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for name, row in TABLE.items():
        if small_samples(row):
            groups[FAMILY[name]].append(name)
    rows = {row.op for row in TABLE.values()}
    free = [f"pydl.{name}" for name in public(pydl) if name not in rows]
    free += [f"F.{name}" for name in public(F) if name in F.__all__ and name not in rows and not hasattr(pydl, name)]
    methods = [f"Tensor.{name}" for name in (*public(pydl.Tensor), *ITEMS) if hasattr(pydl.Tensor, name)]
    if KERNELS_ONLY:
        free, methods = [], methods[::5]
    groups["functions"] = free
    for i in range(6):
        groups[f"methods{i}"] = methods[i::6]
    return {group: tuple(names) for group, names in groups.items() if names}


def strategy(target: str) -> st.SearchStrategy:
    """Calls of one target."""
    if target in TABLE:
        return row_calls(TABLE[target], target)
    row = plain_rows().get(target.rpartition(".")[2].removesuffix("_")) if target.startswith("Tensor.") else None
    if row is None or not hasattr(pydl.Tensor, target.removeprefix("Tensor.")):
        return free_calls(target)
    return st.one_of(row_calls(row, target), row_calls(row, target), free_calls(target))
