"""The row of an op: what the generic tests know about it. One row per registered op, one file per family.

A file tests/op_rows/<family>.py mirrors pydl/ops/<family>.pyx and exports ROWS, a list of rows:

    import numpy as np
    from rows import Flat, In, Row, binary, bad, reduction, sample, unary

    ROWS = [
        # unary: name, float64 reference; domain of the inputs; largest error in ulp
        unary("exp", np.exp, domain=(-10, 10), ulp=1),
        unary("abs", np.abs, ulp=0, away=(0,)),                        # not within 0.1 of the kink 0
        # binary: shapes that broadcast, refusals of shapes that do not, special values: all by default
        binary("div", np.true_divide, ulp=0.5, domain=((-3, 3), (0.5, 2))),
        binary("eq", np.equal, out="bool", diff=()),                   # result is bool, nothing to differentiate
        # reduction: the reference takes axis= and keepdims=; error in ulp of the sum of |x|
        reduction("sum", np.sum, ulp=2, by="abs"),
        reduction("amax", np.max, ulp=0, kind="distinct", empty=False),
        # anything else: samples by hand; a bare tuple of ints in a sample is the shape of a float input
        Row("matmul", np.matmul, ulp=4, by="abs",
            samples=[sample((3, 4), (4, 5)), sample((2, 1, 7, 9), (5, 9, 8)), sample((0, 4), (4, 3))],
            refusals=[bad((2, 3), (4, 5)), bad((), (3,)), bad((2, 3), In((3, 2), dtype="int64"), error=TypeError)]),
        Row("gather", lambda x, dim, i: np.take_along_axis(x, i, dim), ulp=0,
            samples=[sample((5, 7), 1, In((5, 2), 0, 7, dtype="int64"))],
            refusals=[bad((5, 7), 1, In((5, 2), 7, 9, dtype="int64"), error=IndexError)]),
        Row("cat", np.concatenate, fn=lambda xs, axis: pydl.cat(xs, dim=axis), ulp=0,
            samples=[sample([(2, 3), (4, 3)], axis=0)]),           # a list of shapes: one argument, a list of tensors
    ]

Arguments of a sample, in the order the op takes them:
    (2, 3)          a float tensor of that shape, from the row's domain, in the type under test (float32, float64)
    In(shape, ...)  the same with its own domain, kind, or with a fixed type (`dtype="int64"`: indices, masks, labels)
    [(2, 3), ...]   a list of tensors
    Flat((2, 3))    a plain value: a tuple that is not a shape of an input (`view`'s new shape), an array, anything
    3, 0.5, "none", None, True      plain values as they are
Keywords are the op's attributes; the reference gets the same. Where the names differ wrap the reference in a lambda.
A tensor given by keyword (`weight=In((5,), 0.5, 2, grad=False)`) needs In: a bare tuple there is a plain value.

What every row gets for nothing: value against the reference in ulp for every sample and type; dtype of the result;
first and second derivative against differences in float64 along random directions; every subset of inputs that want a
gradient; strided, transposed and unaligned inputs and gradients bit-equal to contiguous ones; an input used twice;
inputs left unchanged; the same bits for 1, 2 and 4 threads; NaN, infinities and subnormals where `special`; refusals
that raise the right type with the op's name and the shapes in the message and leave the inputs unchanged.
"""
from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FLOATS = ("float32", "float64")
INTEGERS = ("int64", "int32", "uint8")
EVERY = FLOATS + INTEGERS + ("bool",)

WIDTHS = (1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65)      # vector width +-1 for every instruction set
LARGE = (3, 50_001)                                     # large enough for more than one thread, and odd
SHAPES = ((), (0,), *((n,) for n in WIDTHS), (3, 5), (0, 3), (2, 3, 4), (2, 1, 3, 2, 1, 2), LARGE)
PAIRS = (*(((n,), (n,)) for n in WIDTHS), ((), ()), ((0,), (0,)), ((0, 3), (3,)), ((), (5,)), ((1,), (7,)),
         ((3, 5), (5,)), ((3, 5), (3, 1)), ((4, 1), (1, 6)), ((2, 3, 4), (3, 1)), ((2, 1, 5), (1, 3, 1)),
         ((1, 1), (2, 3, 17)), ((3, 33), (3, 33)), (LARGE, LARGE), (LARGE, LARGE[1:]))


@dataclass(frozen=True)
class In:
    """One tensor argument. kind: "uniform" in [low, high); "normal"; "distinct" (shuffled, gaps >= 0.1: no ties);
    a fixed integer or bool dtype draws integers in [low, high). `away`: points no value comes nearer to than `gap`.
    `grad=False`: never asked for a gradient."""

    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    kind: str | None = None
    dtype: str | None = None
    away: tuple[float, ...] = ()
    gap: float = 0.1
    grad: bool = True


@dataclass(frozen=True)
class Flat:
    """A plain value in a sample, passed on as it is."""

    value: Any


@dataclass(frozen=True)
class Sample:
    args: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join([*map(str, self.args), *(f"{k}={v}" for k, v in self.attrs.items())])


def sample(*args: Any, **attrs: Any) -> Sample:
    """One call of the op: arguments as the module's docstring says, attributes as keywords."""
    return Sample(args, attrs)


@dataclass(frozen=True)
class Refusal:
    sample: Sample
    error: type[Exception]
    match: str
    shapes: bool


def bad(*args: Any, error: type[Exception] = ValueError, match: str = "", shapes: bool | None = None,
        **attrs: Any) -> Refusal:
    """A call that must raise `error`. The message must begin with the op's name and match `match`; for a ValueError it
    must hold the shape of every tensor argument too, unless shapes=False (where the fault lies in an attribute)."""
    return Refusal(Sample(args, attrs), error, match, error is ValueError if shapes is None else shapes)


@dataclass(frozen=True)
class Row:
    """name      unique; `op:variant` for a further row of one op
    ref          NumPy/SciPy reference; gets float64 arrays (integers as they are) and the sample's attributes.
                 None for a random op: then `check(result, *arrays, **attributes)` asserts what is known of it
    samples      calls that must work
    fn           the function to call; default pydl.<op>, else pydl.ops.<op>, else the registered function
    ulp          largest error of a float32 result, in units in the last place of the exact value
    ulp64        the same for float64, whose reference is rounded itself; default ulp + 4
    by           what one ulp is measured at: "value"; "abs": the reference of the absolute inputs (sums, products of
                 matrices: cancellation); "max": the largest value of the result; or a function like ref
    domain       (low, high) of float inputs, or one pair for each
    kind, away   as in In, for every float input
    dtypes       types to run; integers and bool must equal the reference exactly
    out          dtype of the result: "same" as the inputs, a name, or a dict from input type to result type
    diff         which tensor arguments have derivatives (numbers; lists flattened); None: every float one
    second       True, or the reason why the second derivative is not checked
    refusals     calls that must fail, see bad()
    special      NaN, infinities, zeros, subnormals and the largest numbers are run as well; a tuple: those values
    covers       further registered ops (fused backward kernels) that this row's first and second derivatives exercise
    composed     made of other ops or of NumPy: no kernel of its own, so no instruction set or thread to check
    torch        the same call in PyTorch for the parity tests; default torch.nn.functional.<op> or torch.<op>;
                 False: there is none
    atol, rtol   of the gradient check
    """

    name: str
    ref: Callable[..., Any] | None
    samples: Sequence[Sample] = ()
    fn: Callable[..., Any] | None = None
    ulp: float = 2
    ulp64: float | None = None
    by: Any = "value"
    domain: Any = (-2.0, 2.0)
    kind: str = "uniform"
    away: tuple[float, ...] = ()
    gap: float = 0.1
    dtypes: Sequence[str] = FLOATS
    out: Any = "same"
    diff: Sequence[int] | None = None
    second: bool | str = True
    refusals: Sequence[Refusal] = ()
    special: bool | tuple[float, ...] = False
    covers: Sequence[str] = ()
    check: Callable[..., None] | None = None
    composed: bool = False
    torch: Any = None
    atol: float = 1e-6
    rtol: float = 1e-5

    @property
    def op(self) -> str:
        return self.name.split(":")[0]

    def call(self) -> Callable[..., Any]:
        if self.fn is not None:
            return self.fn
        import pydl
        import pydl.nn.functional
        import pydl.ops

        for place in (pydl, pydl.ops, pydl.nn.functional):
            if hasattr(place, self.op):
                return getattr(place, self.op)
        from pydl._core.tape import registry

        return registry[self.op].forward

    def out_dtype(self, dtype: str) -> str:
        if isinstance(self.out, dict):
            return self.out.get(dtype, dtype)
        return dtype if self.out == "same" else self.out


def unary(name: str, ref: Callable[..., Any], *, shapes: Sequence[tuple[int, ...]] = SHAPES,
          attrs: Sequence[dict[str, Any]] = ({},), **options: Any) -> Row:
    """A row for an op of one tensor: all shapes with the first of `attrs`, few with the rest. Special values are on."""
    options.setdefault("special", True)
    few = [s for s in shapes if 1 <= np.prod(s, dtype=int) <= 40][-3:] or list(shapes)
    samples = [Sample((s,), dict(attrs[0])) for s in shapes] + [Sample((s,), dict(a)) for a in attrs[1:] for s in few]
    samples += list(options.pop("samples", ()))
    refusals = [bad(Flat("not a tensor"), error=TypeError, **attrs[0]), *options.pop("refusals", ())]
    return Row(name, ref, samples, refusals=refusals, **options)


def binary(name: str, ref: Callable[..., Any], *, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = PAIRS,
           **options: Any) -> Row:
    """A row for an op of two tensors that broadcast. Special values and refusals of shapes are on; the
    types of mixed operands are in tests/test_promotion.py."""
    options.setdefault("special", True)
    samples = [Sample(pair) for pair in pairs] + list(options.pop("samples", ()))
    refusals = [bad((2, 3), (4,)), bad((2, 3), (3, 2)), bad((0,), (2,)), *options.pop("refusals", ())]
    return Row(name, ref, samples, refusals=refusals, **options)


def reduction(name: str, ref: Callable[..., Any], *, empty: bool = True, several: bool = True, whole: bool = True,
              attrs: dict[str, Any] | None = None, **options: Any) -> Row:
    """A row for op(input, dim=None, keepdim=False); the reference takes axis= and keepdims=. empty: a reduction over no
    elements has a value (else it is refused); several: dim may be a tuple; whole: dim may be left out."""
    more = attrs or {}

    def reference(x: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Any:
        return ref(x, axis=dim, keepdims=keepdim, **rest)

    samples = [sample((n,), dim=0, **more) for n in WIDTHS]
    samples += [sample(s, dim=d, **more) for s in ((5, 17), (33, 9), (2, 3, 4)) for d in (0, 1, -1)]
    samples += [sample((2, 3, 4), dim=1, keepdim=True, **more), sample((0, 3), dim=1, **more)]
    samples += [sample(s, dim=d, **more) for s, d in (((1, 1), 0), (LARGE, 0), (LARGE, 1), ((5, 1000, 3), 1))]
    if whole:
        samples += [sample(s, **more) for s in ((), (1,), (5, 17), (2, 3, 4), LARGE)]
    if several:
        samples += [sample((3, 5, 7), dim=d, keepdim=k, **more)
                    for d in ((0, 1), (0, 2), (-1, 0, 1)) for k in (False, True)]
    refusals = [bad((2, 3), dim=2, error=IndexError, **more), bad((2, 3), dim=-3, error=IndexError, **more),
                bad(Flat("not a tensor"), error=TypeError, **more)]
    if empty:
        samples += [sample((3, 0), dim=1, **more)] + ([sample((0,), **more)] if whole else [])
    else:
        refusals.append(bad((3, 0), dim=1, error=options.pop("empty_error", ValueError), **more))
    if several:
        refusals.append(bad((2, 3), dim=(0, 0), error=ValueError, shapes=False, **more))
    samples += list(options.pop("samples", ()))
    return Row(name, reference, samples, refusals=[*refusals, *options.pop("refusals", ())], **options)


# --- from a sample to arrays -----------------------------------------------------------------------------------------

def tensors_of(row: Row, one: Sample) -> list[In]:
    """The tensor arguments of a sample as In, lists flattened, keywords last, domains filled in from the row."""
    found: list[In] = []

    def visit(arg: Any) -> None:
        if isinstance(arg, In):
            found.append(arg)
        elif is_shape(arg):
            found.append(In(arg))
        elif isinstance(arg, list):
            for one in arg:
                visit(one)

    for arg in one.args:
        visit(arg)
    found += [value for value in one.attrs.values() if isinstance(value, In)]
    return [_filled(row, spec, i) for i, spec in enumerate(found)]


def _filled(row: Row, one: In, i: int) -> In:
    domain = row.domain if np.isscalar(row.domain[0]) else row.domain[min(i, len(row.domain) - 1)]
    plain = one.dtype is None or one.dtype in FLOATS
    low = one.low if one.low is not None else (domain[0] if plain else 0)
    high = one.high if one.high is not None else (domain[1] if plain else 2)
    away, gap = (one.away, one.gap) if one.away or not plain else (row.away, row.gap)
    return In(one.shape, low, high, one.kind or row.kind, one.dtype, away, gap, one.grad)


def array(spec: In, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """A contiguous array for one argument; `dtype` is the type under test, which a fixed spec.dtype overrides."""
    dtype = spec.dtype or dtype
    assert spec.low is not None and spec.high is not None
    if dtype == "bool":
        return rng.integers(0, 2, spec.shape).astype(bool)
    if dtype not in FLOATS:
        low = int(np.floor(max(spec.low, 0 if dtype == "uint8" else spec.low)))
        return rng.integers(low, max(int(np.ceil(spec.high)), low + 1), spec.shape).astype(dtype)
    n = int(np.prod(spec.shape, dtype=np.int64))
    if spec.kind == "distinct":
        x = (rng.permutation(n) - n / 2) * 0.1 + rng.uniform(0.01, 0.03)
    elif spec.kind == "normal":
        x = rng.standard_normal(n)
    else:
        x = rng.uniform(spec.low, spec.high, n)
    for point in spec.away:
        near = np.abs(x - point) < spec.gap
        x = np.where(near, point + np.where(x < point, -1, 1) * (spec.gap + np.abs(x - point)), x)
    return x.astype(dtype).reshape(spec.shape)


def arrays_of(row: Row, one: Sample, dtype: str) -> list[np.ndarray]:
    """The arrays of a sample: the same for the same row, sample and type, on any machine."""
    rng = np.random.default_rng(zlib.crc32(f"{row.name} {one} {dtype}".encode()))
    return [array(spec, dtype, rng) for spec in tensors_of(row, one)]


def is_shape(arg: Any) -> bool:
    return isinstance(arg, tuple) and all(isinstance(n, int) and not isinstance(n, bool) for n in arg)


def apply(fn: Callable[..., Any], one: Sample, values: Sequence[Any]) -> Any:
    """fn on the sample's arguments, with its tensors replaced, in order, by `values`."""
    left = iter(values)

    def put(arg: Any) -> Any:
        if isinstance(arg, In) or is_shape(arg):
            return next(left)
        if isinstance(arg, list):
            return [put(a) for a in arg]
        return arg.value if isinstance(arg, Flat) else arg

    args = [put(arg) for arg in one.args]
    return fn(*args, **{name: next(left) if isinstance(value, In) else value for name, value in one.attrs.items()})


def reference(row: Row, one: Sample, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """What the op must return, in float64 (integers stay integers)."""
    assert row.ref is not None
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    with np.errstate(all="ignore"):
        return outputs(apply(row.ref, one, wide))


def outputs(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def ulp_error(got: np.ndarray, want: np.ndarray, scale: np.ndarray | None = None) -> float:
    """The largest distance of `got` from the exact `want`, in ulp of got's type at |want| (or at `scale`). Infinity
    where NaN, infinities or shapes differ."""
    want = np.asarray(want)
    if got.shape != want.shape:
        return float("inf")
    if got.dtype.kind != "f":
        return 0.0 if np.array_equal(got, want.astype(got.dtype)) else float("inf")
    with np.errstate(all="ignore"):
        rounded = want.astype(got.dtype)
        limit = np.finfo(got.dtype).max
        edge = np.isfinite(want) & (np.abs(want) >= limit * (1 - 1e-6))       # here the next number may be infinity
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | (edge & (np.abs(got) >= limit * (1 - 1e-6)))
        finite = np.isfinite(rounded) & ~edge
        if not np.all(same | (finite & np.isfinite(got))):
            return float("inf")
        at = np.broadcast_to(np.abs(want if scale is None else scale), want.shape)[finite]
        unit = np.spacing(np.clip(at, np.finfo(got.dtype).tiny, limit / 2).astype(got.dtype)).astype(np.float64)
        error = np.abs(got[finite].astype(np.float64) - want[finite]) / unit
    return float(error.max(initial=0))


def scale_of(row: Row, one: Sample, arrays: Sequence[np.ndarray], want: Sequence[np.ndarray]
             ) -> list[np.ndarray | None]:
    """Where one ulp is measured, for every output (see Row.by)."""
    if row.by == "value":
        return [None] * len(want)
    if row.by == "max":
        return [np.full(w.shape, np.abs(w).max(initial=0)) for w in map(np.asarray, want)]
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    if row.by != "abs":
        return list(outputs(apply(row.by, one, wide)))
    assert row.ref is not None
    return list(outputs(apply(row.ref, one, [np.abs(a) if a.dtype.kind == "f" else a for a in wide])))
