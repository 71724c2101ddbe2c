"""Every row: first and second derivatives against differences, masks of wanted gradients, inputs used twice."""
from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import pydl
from calls import (
    backward,
    call,
    check_first,
    check_second,
    cotangents,
    differentiable,
    floats,
    leaves,
    numpy,
    run,
    same_bits,
    small,
    tensor,
)
from op_table import TABLE
from pydl.testing import gradcheck, gradgradcheck
from rows import Row, Sample, apply, arrays_of, tensors_of

WITH_GRADIENT = [row for row in TABLE.values() if row.diff is None or len(row.diff)]
WITH_GRADIENT = [row for row in WITH_GRADIENT if any(d.startswith("float") for d in row.dtypes)]
ROWS = pytest.mark.parametrize("row", WITH_GRADIENT, ids=[row.name for row in WITH_GRADIENT])


def cases(row: Row, most: int = 2000) -> list[tuple[Sample, list[np.ndarray], list[int]]]:
    """Samples of the row that have something to differentiate and are small enough for differences."""
    found = []
    for one in row.samples:
        diff = differentiable(row, one)
        if diff and small(row, one, most):
            found.append((one, arrays_of(row, one, "float64"), diff))
    return found


@ROWS
def test_first_derivative(row: Row) -> None:
    found = cases(row)
    assert found, f"{row.name}: no sample is small enough for differences"
    for one, arrays, diff in found:
        assert not (wrong := check_first(row, one, arrays, diff)), f"{row.name}({one}): {wrong}"


@ROWS
def test_second_derivative(row: Row) -> None:
    if row.second is not True:
        pytest.skip(str(row.second))
    found = cases(row, 500)
    assert found, f"{row.name}: no sample is small enough for second differences"
    for one, arrays, diff in found:
        assert not (wrong := check_second(row, one, arrays, diff)), f"{row.name}({one}): {wrong}"


@ROWS
def test_public_gradcheck(row: Row) -> None:
    """The public checker, element by element, on the smallest sample: it and the check above do not share code."""
    one, arrays, diff = min((c for c in cases(row, 128) if sum(a.size for a in c[1]) > 1), key=lambda c: sum(a.size for a in c[1]))
    xs = leaves([tensor(a) for a in arrays], diff)

    def f(*wanted: pydl.Tensor) -> object:
        values = list(xs)
        for i, x in zip(diff, wanted):
            values[i] = x
        ys = call(row, one, values)
        ys = tuple(y for y in ys if y.requires_grad)
        return ys[0] if len(ys) == 1 else ys

    wanted = tuple(xs[i] for i in diff)
    assert gradcheck(f, wanted, eps=1e-6, atol=1e-5, rtol=1e-3)
    if row.second is True:
        assert gradgradcheck(f, wanted, eps=1e-6, atol=1e-5, rtol=1e-3)


@ROWS
def test_every_subset_of_wanted_gradients(row: Row) -> None:
    for one, arrays, diff in cases(row)[:12]:
        values, full = run(row, one, [tensor(a) for a in arrays], diff)
        sizes = range(1, len(diff)) if len(diff) <= 4 else (1, len(diff) - 1)
        for size in sizes:
            for subset in itertools.combinations(diff, size):
                again, some = run(row, one, [tensor(a) for a in arrays], subset)
                assert all(map(same_bits, values, again)), f"{row.name}({one}): {subset} changes the value"
                for i, g in zip(subset, some):
                    said = f"{row.name}({one}): gradient {i} if only {subset} ask"
                    np.testing.assert_allclose(g, full[diff.index(i)], 1e-12, 1e-14, err_msg=said)
        ys = call(row, one, [tensor(a) for a in arrays])
        assert not any(y.requires_grad for y in ys), f"{row.name}({one}): recorded though nobody wants a gradient"


@ROWS
def test_shapes_and_types_of_gradients(row: Row) -> None:
    for dtype in (d for d in row.dtypes if d.startswith("float")):
        for one in row.samples:
            if not (diff := differentiable(row, one)):
                continue
            arrays = arrays_of(row, one, dtype)
            _, gradients = run(row, one, [tensor(a) for a in arrays], diff)
            for i, g in zip(diff, gradients):
                assert g.shape == arrays[i].shape, f"{row.name}({one}): {g.shape} for {arrays[i].shape}"
                assert g.dtype == arrays[i].dtype, f"{row.name}({one}): {g.dtype} for {arrays[i].dtype}"


@ROWS
def test_an_input_used_twice(row: Row) -> None:
    for one, arrays, diff in cases(row)[:12]:
        specs = tensors_of(row, one)
        same = [i for i in floats(specs) if i in diff and arrays[i].shape == arrays[diff[-1]].shape]
        if len(same) > 1:
            shared = list(arrays)
            for i in same:
                shared[i] = arrays[same[-1]]
            _, apart = run(row, one, [tensor(a.copy()) for a in shared], diff)
            xs = leaves([tensor(a) for a in shared], diff)
            for i in same:
                xs[i] = xs[same[-1]]
            ys = call(row, one, xs)
            together = numpy(backward(ys, cotangents(ys), [xs[same[-1]]])[0])
            parts = [apart[diff.index(i)] for i in same]
            room = 1e-13 * max(np.abs(p).max(initial=0) for p in parts)
            np.testing.assert_allclose(together, sum(parts), 1e-13, room, err_msg=f"{row.name}({one}): {same} are one")
        xs = leaves([tensor(a) for a in arrays], diff)
        first, second = call(row, one, xs), call(row, one, xs)
        vs = cotangents(first)
        once = backward(first, vs, [xs[i] for i in diff], retain_graph=True)
        twice = backward([*first, *second], [*vs, *vs], [xs[i] for i in diff])
        for a, b in zip(once, twice):
            double, both = 2 * numpy(a), numpy(b)
            room = 1e-13 * np.abs(double).max(initial=0) if row.composed else 0     # several paths add up in another order
            assert same_bits(double, both) or np.abs(double - both).max() <= room, f"{row.name}({one}): two uses do not add up"


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_inputs_are_left_unchanged(row: Row) -> None:
    for one in row.samples:
        diff = differentiable(row, one) if row in WITH_GRADIENT else []
        dtype = "float64" if "float64" in row.dtypes else row.dtypes[0]
        arrays = arrays_of(row, one, dtype)
        before = [a.copy() for a in arrays]
        xs = leaves([tensor(a) for a in arrays], diff)
        ys = call(row, one, xs)
        kept = [numpy(y) for y in ys]
        if diff:
            vs = cotangents(ys)
            handed = [v.copy() if v is not None else None for v in vs]
            backward(ys, vs, [xs[i] for i in diff], retain_graph=True)
            backward(ys, vs, [xs[i] for i in diff])
            assert all(v is None or same_bits(v, h) for v, h in zip(vs, handed)), f"{row.name}({one}) wrote into dy"
        assert all(map(same_bits, before, arrays)), f"{row.name}({one}) wrote into an input"
        assert all(map(same_bits, kept, map(numpy, ys))), f"{row.name}({one}): backward wrote into the result"


# --- does the checker see anything at all? ---------------------------------------------------------------------------

class WrongSquare(pydl.autograd.Function):
    """x * x with a derivative that is 1 % off, in one element."""

    @staticmethod
    def forward(ctx: object, x: pydl.Tensor) -> pydl.Tensor:
        ctx.save_for_backward(x)                                                            # type: ignore[attr-defined]
        return x * x

    @staticmethod
    def backward(ctx: object, dy: pydl.Tensor) -> pydl.Tensor:
        (x,) = ctx.saved_tensors                                                            # type: ignore[attr-defined]
        factor = np.full(x.shape, 2.0)
        factor[-1] = 2.02
        return dy * x * tensor(factor)


class WrongSecond(pydl.autograd.Function):
    """x * x with the right derivative, cut off from the graph: the second one is lost."""

    @staticmethod
    def forward(ctx: object, x: pydl.Tensor) -> pydl.Tensor:
        ctx.save_for_backward(x)                                                            # type: ignore[attr-defined]
        return x * x

    @staticmethod
    def backward(ctx: object, dy: pydl.Tensor) -> pydl.Tensor:
        (x,) = ctx.saved_tensors                                                            # type: ignore[attr-defined]
        return dy * x.detach() * 2


def test_a_planted_wrong_derivative_is_caught() -> None:
    row = Row("planted", np.square, fn=WrongSquare.apply)
    one, arrays = Sample(((65,),)), [np.random.default_rng(0).uniform(0.5, 2, 65)]
    assert check_first(row, one, arrays, [0])
    with pytest.raises(Exception, match=r"(?i)jacobian|gradient|derivative|differ"):
        gradcheck(WrongSquare.apply, (tensor(arrays[0]).requires_grad_(True),))
    right = Row("planted", np.square, fn=lambda x: x * x)
    assert not check_first(right, one, arrays, [0])


def test_a_planted_wrong_second_derivative_is_caught() -> None:
    row = Row("planted", np.square, fn=WrongSecond.apply)
    one, arrays = Sample(((5,),)), [np.random.default_rng(0).uniform(0.5, 2, 5)]
    assert not check_first(row, one, arrays, [0])
    assert check_second(row, one, arrays, [0])
    with pytest.raises(Exception, match=r"(?i)jacobian|gradient|derivative|differ"):
        gradgradcheck(WrongSecond.apply, (tensor(arrays[0]).requires_grad_(True),))
    assert not check_second(Row("planted", np.square, fn=lambda x: x * x), one, arrays, [0])
    assert apply(WrongSecond.apply, one, [tensor(arrays[0])]).shape == (5,)


@pytest.mark.parametrize(("function", "at", "wanted"), [
    (pydl.atan2, ([0.0, -0.0, 2.0], [0.0, 0.0, 0.0]), ([0, 0, 0], [0, 0, -0.5])),
    (pydl.elu, ([np.nan, -np.inf, 0.0, np.inf],), ([np.nan, 0, 1, 1],)),
    (pydl.gelu, ([-np.inf, 0.0, np.inf],), ([0, 0.5, 1],)),
], ids=["atan2", "elu", "gelu"])
def test_gradients_at_special_points(function: Callable, at: tuple, wanted: tuple) -> None:
    for dtype in ("float32", "float64"):
        xs = [tensor(np.array(values * 20, dtype)).requires_grad_(True) for values in at]
        function(*xs).sum().backward()
        for x, gradient in zip(xs, wanted):
            np.testing.assert_allclose(numpy(x.grad), np.array(gradient * 20), rtol=1e-6)
