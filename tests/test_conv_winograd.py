"""Winograd's convolutions against sums of products: values, all passes, the same bits for any number of threads, what
infinities do. A case is of a shape for which Winograd is chosen; `fast` and `exact` then differ in their last bits."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import pydl
from pydl import ops

BOUND = {"float32": 5e-6, "float64": 2e-14}     # of the largest result


@dataclasses.dataclass(frozen=True)
class Case:
    x: tuple[int, ...]
    weight: tuple[int, ...]
    padding: int | tuple[int, ...] = 1
    stride: int = 1
    groups: int = 1
    transposed: bool = False

    def __str__(self) -> str:
        sizes = f"{'x'.join(map(str, self.x))}-k{'x'.join(map(str, self.weight))}"
        return f"{sizes}-p{self.padding}-s{self.stride}-g{self.groups}".replace(" ", "")

    def forward(self, x: pydl.Tensor, weight: pydl.Tensor, bias: pydl.Tensor) -> pydl.Tensor:
        name = f"conv{'_transpose' if self.transposed else ''}{len(self.x) - 2}d"
        return getattr(ops, name)(x, weight, bias, stride=self.stride, padding=self.padding, groups=self.groups)


CASES = [
    Case((3, 48, 13, 16), (48, 48, 3, 3)),                      # 4 x 4 tiles, the last ones cut off below
    Case((2, 33, 21, 19), (50, 33, 3, 3), padding=0),           # channels beyond whole vectors
    Case((2, 64, 9, 70), (32, 64, 3, 3), padding=(1, 0)),       # a row of tiles in two parts
    Case((1, 32, 40, 37), (32, 32, 3, 3), padding=3),
    Case((8, 64, 12, 12), (64, 64, 2, 2), padding=0),           # 25 products instead of 36
    Case((2, 64, 16, 12), (64, 32, 3, 3), groups=2),
    Case((2, 32, 3, 12, 14), (32, 32, 1, 3, 3), padding=(0, 1, 1)),
    Case((4, 24, 23, 22), (40, 24, 5, 5), stride=2, padding=2),
    Case((7, 64, 31, 31), (64, 64, 3, 3), stride=2, padding=1),
    Case((7, 64, 8, 8), (64, 32, 4, 4), stride=2, padding=1, transposed=True),
    Case((4, 64, 10, 9), (64, 40, 3, 3), padding=0, transposed=True),
]
SIZES = [Case((24, 64, h, w), (64, 64, 3, 3), padding=p)
         for h, w, p in ((4, 4, 1), (7, 8, 1), (11, 5, 0), (3, 12, 2), (1, 2, 3), (16, 15, 1))]


@contextmanager
def precision(name: str) -> Iterator[None]:
    ops.set_conv_precision(name)
    try:
        yield
    finally:
        ops.set_conv_precision("fast")


def problem(case: Case, dtype: str) -> list[pydl.Tensor]:
    rng = np.random.default_rng(len(str(case)))
    outputs = case.weight[1 if case.transposed else 0]
    return [pydl.tensor(rng.standard_normal(shape).astype(dtype)) for shape in (case.x, case.weight, (outputs,))]


def passes(case: Case, inputs: list[pydl.Tensor]) -> dict[str, np.ndarray]:
    """The output, what is propagated back to it, and the gradients."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = case.forward(*leaves)
    dy = np.random.default_rng(0).standard_normal(y.shape).astype(y.detach().numpy().dtype)
    y.backward(pydl.tensor(dy))
    grads = {name: leaf.grad.numpy() for name, leaf in zip(("x", "weight", "bias"), leaves, strict=True)}
    return {"y": y.detach().numpy(), "dy": dy, **grads}


def reference(case: Case, inputs: list[pydl.Tensor], dy: np.ndarray) -> dict[str, np.ndarray]:
    """The same in float64, tap by tap: each adds a product of shifted images. A depth that no window crosses is part of the batch."""
    def flat(images: np.ndarray) -> np.ndarray:
        whole = images if images.ndim == 4 else np.moveaxis(images, 2, 1).reshape(-1, images.shape[1], *images.shape[3:])
        return whole.astype(float)

    def back(images: np.ndarray, like: tuple[int, ...]) -> np.ndarray:
        return images if len(like) == 4 else np.moveaxis(images.reshape(like[0], like[2], like[1], *like[3:]), 1, 2)

    x, weight, bias = (a.numpy() for a in inputs)
    large, small = (flat(dy), flat(x)) if case.transposed else (flat(x), flat(dy))
    w = weight.reshape(*weight.shape[:2], *weight.shape[-2:]).astype(float)
    pads = case.padding[-2:] if isinstance(case.padding, tuple) else (case.padding, case.padding)
    room = np.pad(large, ((0, 0), (0, 0), *((p, p) for p in pads)))
    down, up, dw = np.zeros_like(small), np.zeros_like(room), np.zeros_like(w)
    o, c = w.shape[0] // case.groups, w.shape[1]
    for g in range(case.groups):
        outs, ins = slice(g * o, g * o + o), slice(g * c, g * c + c)
        for i, j in np.ndindex(w.shape[2:]):
            step, sizes = case.stride, small.shape[2:]
            at = (slice(None), ins, *(slice(k, k + step * (n - 1) + 1, step) for k, n in zip((i, j), sizes, strict=True)))
            tap = w[outs, :, i, j]
            down[:, outs] += np.moveaxis(np.tensordot(tap, room[at], (1, 1)), 0, 1)
            up[at] += np.moveaxis(np.tensordot(tap, small[:, outs], (0, 1)), 0, 1)
            dw[outs, :, i, j] = np.tensordot(small[:, outs], room[at], ((0, 2, 3), (0, 2, 3)))
    up = up[(slice(None), slice(None), *(slice(p, p + n) for p, n in zip(pads, large.shape[2:], strict=True)))]
    y, dx = (up, down) if case.transposed else (down, up)
    shift = bias.astype(float).reshape(-1, *[1] * (dy.ndim - 2))
    axes = (0, *range(2, dy.ndim))
    return {"y": back(y, dy.shape) + shift, "x": back(dx, x.shape), "weight": dw.reshape(weight.shape), "bias": dy.sum(axes, dtype=float)}


def error(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(got[name] - want[name]).max() / np.abs(want[name]).max()) for name in want)


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("case", CASES + SIZES, ids=str)
def test_values_and_gradients(case: Case, dtype: str) -> None:
    inputs = problem(case, dtype)
    got = passes(case, inputs)
    assert error(got, reference(case, inputs, got["dy"])) <= BOUND[dtype]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_algorithm_is_chosen_unless_exact_is_set(case: Case) -> None:
    inputs = problem(case, "float32")
    fast = passes(case, inputs)
    with precision("exact"):
        exact = passes(case, inputs)
    assert error(exact, reference(case, inputs, exact["dy"])) <= 2e-6
    for name in ("y", "x", "weight"):
        assert np.any(fast[name] != exact[name]), f"{name} is a sum of products"


@pytest.mark.parametrize("case", CASES[:3] + CASES[7:10], ids=str)
def test_same_bits_for_any_number_of_threads(case: Case) -> None:
    inputs = problem(case, "float32")
    results = []
    for count in (1, 2, 4):
        with pydl.threads(count):
            results.append(passes(case, inputs))
    for other in results[1:]:
        for name in other:
            np.testing.assert_array_equal(results[0][name], other[name], err_msg=name)


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    x, weight, bias = problem(CASES[0], "float32")
    together = CASES[0].forward(x, weight, bias).numpy()
    for i in (0, 2):
        apart = CASES[0].forward(x[i : i + 1].contiguous(), weight, bias).numpy()
        assert np.abs(apart[0] - together[i]).max() <= 5e-6 * np.abs(together).max()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_an_infinity_spoils_the_tiles_that_read_it_and_nothing_else(bad: float) -> None:
    """Outputs come in tiles of 4 x 4, which read 6 x 6 inputs: (9, 6) is read by the tile of rows 8-11 and columns 4-7, and no other."""
    case = CASES[0]
    x, weight, bias = problem(case, "float32")
    clean = case.forward(x, weight, bias).numpy()
    x[1, 5, 9, 6] = bad
    y = case.forward(x, weight, bias).numpy()
    touched = np.zeros(y.shape, bool)
    touched[1, :, 8:12, 4:8] = True
    assert not np.isfinite(y[1, :, 8:11, 5:8]).any()
    np.testing.assert_array_equal(y[~touched], clean[~touched])
