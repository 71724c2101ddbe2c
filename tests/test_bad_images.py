"""What no image op takes, item by item over all of them: clear messages that begin with the op's name, and nothing allocated before."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pydl
from pydl import ops
from pydl.nn import functional as F

NAN, INF = float("nan"), float("inf")
MOST = 2**46        # elements that no address space holds, but an address could count
LARGE = (2**31, 2**63, 2**64)


def wide(*shape: int) -> pydl.Tensor:
    """A tensor of many elements in the memory of one."""
    return pydl.ones((1,) * len(shape)).expand(shape)


def refused(name: str, words: str, call: Callable[..., Any], *args: Any, error: type[Exception] = ValueError, **options: Any) -> None:
    pydl.reset_peak_memory_stats()
    before = pydl.memory_stats()["peak"]
    with pytest.raises(error) as raised:
        call(*args, **options)
    assert type(raised.value) is error
    assert error is MemoryError or str(raised.value).startswith(f"{name}: "), f"{name}: {raised.value}"
    assert words in str(raised.value), f"{words}: {raised.value}"
    assert pydl.memory_stats()["peak"] - before < 2**20


class Op(NamedTuple):
    """One way to call an op: call(x, **options) with an input of one of the ranks."""

    call: Callable[..., Any]
    shape: tuple[int, ...]                                  # of an input that fits
    ranks: tuple[int, ...]
    steps: tuple[str, ...] = ()                             # options that must be 1 or more
    large: tuple[str, ...] = ()                             # options that refuse LARGE
    none: tuple[dict[str, Any], ...] = ()                   # options that leave no output; shape: of the input
    negative: tuple[str, ...] = ()                          # options that must not be negative
    part: dict[str, Any] | None = None                      # options whose groups do not divide


def of_conv(name: str, dims: int) -> Op:
    def call(x: Any, kernel: int = 3, **options: Any) -> Any:
        return getattr(F, name)(x, pydl.ones(4, 4, *(kernel,) * dims), **options)

    none = {"padding": 9} if "transpose" in name else {"shape": (2, 4, *(2,) * dims)}
    return Op(call, (2, 4, *(9,) * dims), (dims + 1, dims + 2), ("stride", "dilation", "groups"), ("stride", "dilation", "groups", "padding"),
              ({"kernel": 0}, {"shape": (2, 4, *(0,) * dims)}, none), ("padding",), {"groups": 3})


def of_pool(name: str, dims: int) -> Op:
    function = getattr(F, name)

    def call(x: Any, kernel: Any = 2, **options: Any) -> Any:
        if name.startswith("max_unpool"):
            at = np.broadcast_to(np.arange(np.prod(x.shape[-dims:])).reshape(x.shape[-dims:]), x.shape) if x.ndim > dims else np.zeros(x.shape)
            return function(x, pydl.tensor(at.astype(np.int64)), kernel, **options)
        return function(x, 2.0, kernel, **options) if name.startswith("lp") else function(x, kernel, **options)

    steps, padded = ("kernel", "stride") + (("dilation",) if name.startswith("max_pool") else ()), () if name.startswith("lp") else ("padding",)
    fits = {"kernel": 30} if "unpool" not in name else {"padding": 50}
    return Op(call, (2, 4, *(9,) * dims), (dims + 1, dims + 2), steps, () if "unpool" in name or padded == () else (*steps, *padded),
              (fits, {"shape": (2, 4, *(0,) * dims)}), padded)


def of_parts(name: str, dims: int) -> Op:
    function = getattr(F, name)

    def call(x: Any, size: Any = 2, kernel: int = 2) -> Any:
        return function(x, size) if name.startswith("adaptive") else function(x, kernel, size)

    drawn = name.startswith("fractional")
    return Op(call, (2, 4, *(9,) * dims), (dims + 1, dims + 2), ("kernel",) if drawn else (), ("size",) if dims > 1 else (),
              ({"shape": (2, 4, *(0,) * dims)}, *([{"kernel": 30}] if drawn else [])), ("size",))


def of_interpolate(mode: str, dims: int) -> Op:
    def call(x: Any, size: Any = None, scale: Any = 2.0) -> Any:
        return F.interpolate(x, size, scale if size is None else None, mode)

    ranks = (3, 4, 5) if mode in ("nearest", "nearest-exact", "area") else (dims + 2,)
    return Op(call, (2, 4, *(5,) * dims), ranks, ("size", "scale"), (), ({"scale": 0.1}, {"shape": (2, 4, *(0,) * dims)}))


def of_pad(mode: str) -> Op:
    def call(x: Any, pad: tuple[int, int] = (1, 1)) -> Any:
        return F.pad(x, pad, mode)

    none = ({"pad": (-3, -3)}, *([{"shape": (2, 3, 0)}] if mode != "constant" else []))
    return Op(call, (2, 3, 5), tuple(range(1, 10)) if mode == "constant" else (2, 3), none=none)


def of_regions(name: str) -> Op:
    def call(x: Any, size: int = 2, boxes: Any = None, **options: Any) -> Any:
        boxes = [pydl.zeros(0, 4)] * x.shape[0] if boxes is None and x.ndim else boxes
        return getattr(ops, name)(x, boxes, size, **options)

    none = {"shape": (1, 4, 0, 0), "boxes": pydl.zeros(1, 5)}
    return Op(call, (2, 4, 8, 8), (4,), ("size",), ("size",), (none,), part={"size": 3} if name.startswith("ps") else None)


def unfold(x: Any, kernel: int = 2, **options: Any) -> Any:
    return F.unfold(x, kernel, **options)


def fold(x: Any, kernel: int = 2, size: Any = 5, **options: Any) -> Any:
    return F.fold(x, size, kernel, **options)


def grid_sample(x: Any, dims: int = 2) -> Any:
    return F.grid_sample(x, pydl.zeros(x.shape[0] if x.ndim else 1, *(2,) * dims, dims), align_corners=False)


def affine_grid(x: Any, size: int = 4) -> Any:
    return F.affine_grid(x, (x.shape[0] if x.ndim else 1, 3, size, size), align_corners=False)


ALL = {1, 2, 3}
OPS: dict[str, Op] = {f"{name}{d}d": of_conv(f"{name}{d}d", d) for d in ALL for name in ("conv", "conv_transpose")}
OPS |= {f"{name}{d}d": of_pool(f"{name}{d}d", d) for d in ALL for name in ("max_pool", "avg_pool", "lp_pool", "max_unpool")}
OPS |= {f"{name}{d}d": of_parts(f"{name}{d}d", d) for d in ALL for name in ("adaptive_max_pool", "adaptive_avg_pool", "fractional_max_pool")
        if d > 1 or name[0] == "a"}
OPS |= {f"interpolate {mode}": of_interpolate(mode, d) for mode, d in
        {"nearest": 1, "nearest-exact": 2, "area": 3, "linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}.items()}
OPS |= {f"pad {mode}": of_pad(mode) for mode in ("constant", "reflect", "replicate", "circular")}
OPS |= {name: of_regions(name) for name in ("roi_align", "ps_roi_align", "roi_pool")}
OPS |= {
    "unfold": Op(unfold, (2, 4, 9, 9), (3, 4), ("kernel", "stride", "dilation"), ("kernel", "stride", "dilation", "padding"),
                 ({"kernel": 30}, {"shape": (2, 4, 0, 0)}), ("padding",)),
    "fold": Op(fold, (2, 16, 16), (2, 3), ("kernel", "stride", "dilation", "size"), ("kernel", "stride", "dilation", "padding", "size"), ({"kernel": 30},), ("padding",)),
    "grid_sample": Op(grid_sample, (2, 4, 5, 5), (4,), none=({"shape": (2, 4, 0, 0)},)),
    "grid_sample 3d": Op(lambda x: grid_sample(x, 3), (2, 4, 3, 3, 3), (5,), none=({"shape": (2, 4, 0, 2, 2)},)),
    "affine_grid": Op(affine_grid, (2, 2, 3), (3,), ("size",), ("size",)),
    "pixel_shuffle": Op(lambda x, factor=2: F.pixel_shuffle(x, factor), (2, 4, 8, 8), tuple(range(3, 10)), ("factor",), ("factor",), part={"factor": 3}),
    "pixel_unshuffle": Op(lambda x, factor=2: F.pixel_unshuffle(x, factor), (2, 4, 8, 8), tuple(range(3, 10)), ("factor",), ("factor",), part={"factor": 3}),
    "channel_shuffle": Op(lambda x, groups=2: F.channel_shuffle(x, groups), (2, 4, 8, 8), tuple(range(3, 10)), ("groups",), ("groups",), part={"groups": 3}),
    "group_norm": Op(lambda x, groups=2: F.group_norm(x, groups), (2, 4, 8, 8), tuple(range(2, 10)), ("groups",), ("groups",), part={"groups": 3}),
}


def each(names: Any) -> Any:
    return pytest.mark.parametrize("name", list(names))


def said(name: str) -> str:
    return name.split()[0]


@each(name for name, op in OPS.items() if op.steps)
def test_steps_below_one(name: str) -> None:
    op = OPS[name]
    for option in op.steps:
        for value in (0, -1):
            refused(said(name), str(value), op.call, pydl.ones(op.shape), **{option: value})


@each(name for name, op in OPS.items() if op.negative)
def test_negative_padding_and_sizes(name: str) -> None:
    op = OPS[name]
    for option in op.negative:
        refused(name, "-1", op.call, pydl.ones(op.shape), **{option: -1})


@each(name for name, op in OPS.items() if op.none)
def test_no_output(name: str) -> None:
    op = OPS[name]
    for options in op.none:
        shape = options.get("shape", op.shape)
        refused(said(name), str(shape), op.call, pydl.ones(shape), **{k: v for k, v in options.items() if k != "shape"})


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_output_padding(dims: int) -> None:
    name, x, w = f"conv_transpose{dims}d", pydl.ones(2, 4, *(5,) * dims), pydl.ones(4, 4, *(3,) * dims)
    for stride in (1, 2, 3):
        for more in (stride, stride + 1, -1, 2**31):
            refused(name, "output_padding", getattr(F, name), x, w, stride=stride, output_padding=more)


@each(name for name, op in OPS.items() if op.part)
def test_groups_that_do_not_divide(name: str) -> None:
    op = OPS[name]
    refused(name, str(op.shape), op.call, pydl.ones(op.shape), **(op.part or {}))


@each(OPS)
def test_ranks(name: str) -> None:
    op = OPS[name]
    for rank in range(10):
        if rank not in op.ranks:
            refused(said(name), str((2,) * rank), op.call, pydl.ones((2,) * rank))


@each(name for name in OPS if name != "affine_grid")
def test_a_batch_of_nothing(name: str) -> None:
    op = OPS[name]
    x = pydl.ones(0, *op.shape[1:], requires_grad=True)
    y = op.call(x)
    assert y.shape[0] == 0 and y.ndim >= 3
    y.sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape


@each(name for name, op in OPS.items() if op.large)
def test_large_numbers(name: str) -> None:
    op = OPS[name]
    for option in op.large:
        for value in LARGE:
            refused(name, "", op.call, pydl.ones(op.shape), **{option: value})


@each(name for name in OPS if "unpool" not in name and name not in ("affine_grid", "grid_sample", "grid_sample 3d"))
def test_more_than_memory_holds(name: str) -> None:
    op = OPS[name]
    x = wide(MOST, *op.shape[1:])
    options = {"boxes": pydl.zeros(1, 5)} if "roi" in name else {}
    refused(name, "", op.call, x, error=MemoryError, **options)


COUNTLESS: dict[str, list[Callable[[], Any]]] = {
    **{f"conv{d}d": [lambda d=d: getattr(F, f"conv{d}d")(wide(MOST, 1, *(1,) * d), wide(MOST, 1, *(1,) * d))] for d in ALL},
    **{f"conv_transpose{d}d": [lambda d=d: getattr(F, f"conv_transpose{d}d")(wide(MOST, 1, *(1,) * d), wide(1, MOST, *(1,) * d))] for d in ALL},
    **{f"{name}{d}d": [lambda d=d, f=f"{name}{d}d", n=n: getattr(F, f)(pydl.ones(n, 1, *(3,) * d), (2**60,) * (d - 1) + (0,)) for n in (0, 1)]
       for name in ("adaptive_max_pool", "adaptive_avg_pool") for d in (2, 3)},
    **{f"max_unpool{d}d": [lambda d=d, n=n: getattr(F, f"max_unpool{d}d")(pydl.ones(n, 1, *(3,) * d), pydl.zeros(n, 1, *(3,) * d, dtype=pydl.int64), 2, 2**60)
                           for n in (0, 1)] for d in ALL},
    "unfold": [lambda n=n: F.unfold(pydl.ones(n, 1, 2, 2), 2**30, padding=2**30) for n in (0, 1)],
    "fold": [lambda n=n: F.fold(pydl.ones(n, 4, 1), 2**31 - 1, 2, stride=2**31 - 1) for n in (0, 1)],
    "pad": [lambda n=n, m=m: F.pad(pydl.ones(n, 3, 4), (2**60, 0), m) for n in (0, 1) for m in ("constant", "replicate")]
           + [lambda: F.pad(wide(2**20, 2**20, 2), (2**30, 0))],
    "interpolate": [lambda n=n, m=m, d=d: F.interpolate(pydl.ones(n, 3, *(4,) * d), 2**60, mode=m) for n in (0, 1) for m, d in (("nearest", 1), ("bilinear", 2))],
    "grid_sample": [lambda: F.grid_sample(wide(1, MOST, 2, 2), wide(1, 2**25, 2**25, 2), align_corners=False)],
    "affine_grid": [lambda: F.affine_grid(pydl.ones(1, 2, 3), (1, 1, 2**30, 2**30), align_corners=False)],
    **{name: [lambda f=name: getattr(ops, f)(wide(1, MOST, 2, 2), pydl.zeros(1, 5), 2**15)] for name in ("roi_align", "roi_pool")},
}


@each(COUNTLESS)
def test_more_than_an_address_counts(name: str) -> None:
    for call in COUNTLESS[name]:
        refused(name, "", call)


# ---- NaN through pooling

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each(name for name in OPS if "pool" in name and "unpool" not in name and name != "roi_pool")
def test_nan_reaches_the_windows_that_see_it_and_no_other(name: str, dtype: Any) -> None:
    op, dims = OPS[name], int(name[-2])
    for size in (5, 16, 33)[:4 - dims]:
        x = np.random.default_rng(size).random((3, 2, *(size,) * dims)).astype(dtype)
        holes = np.random.default_rng(size).random(x.shape) < 0.05
        marked = pydl.tensor(np.where(holes, 9, x))
        plain: dict[str, Any] = {} if "adaptive" in name or "fractional" in name else {"kernel": 3, "stride": 2}
        pydl.manual_seed(0)
        y = op.call(pydl.tensor(np.where(holes, NAN, x).astype(dtype)), **plain)
        if "avg" in name or "lp" in name:
            seen = op.call(pydl.tensor(holes.astype(dtype)), **plain).numpy() > 0
        else:
            pydl.manual_seed(0)
            seen = op.call(marked, **plain).numpy() == 9
        np.testing.assert_array_equal(np.isnan(y.numpy()), seen)


# ---- Boxes

GOOD, WRONG = [[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]], [[0.0, 0.0, 2.0, 2.0], [3.0, 1.0, 1.0, 3.0]]
PAIRED = [f"{kind}_iou_loss" for kind in ("box", "generalized_box", "distance_box", "complete_box")]
CROSSED = [f"{kind}_iou" for kind in ("box", "generalized_box", "distance_box", "complete_box")]
SUPPRESS: dict[str, Callable[..., Any]] = {
    "nms": lambda b, s: ops.nms(b, s, 0.5), "soft_nms": ops.soft_nms, "batched_nms": lambda b, s: ops.batched_nms(b, s, pydl.zeros(s.shape[:1], dtype=pydl.int64), 0.5)}
REGIONS = ("roi_align", "roi_pool", "ps_roi_align")


@each([*PAIRED, *CROSSED, *SUPPRESS, *REGIONS, "box_area"])
def test_boxes_that_end_before_they_begin(name: str) -> None:
    good, wrong, text = pydl.tensor(GOOD), pydl.tensor(WRONG), "x1 <= x2 and y1 <= y2, got"
    if name in REGIONS:
        refused(name, f"{text} boxes[1] = (0.0, 3.0, 1.0, 1.0, 3.0)", getattr(ops, name), pydl.ones(1, 4, 8, 8), [wrong], 2)
    elif name in SUPPRESS:
        refused(name, f"{text} boxes[1] = (3.0, 1.0, 1.0, 3.0)", SUPPRESS[name], wrong, pydl.ones(2))
    elif name == "box_area":
        refused(name, f"{text} boxes[1] = (3.0, 1.0, 1.0, 3.0)", ops.box_area, wrong)
    else:
        refused(name, f"{text} boxes1[1] = (3.0, 1.0, 1.0, 3.0)", getattr(ops, name), wrong, good)
        refused(name, f"{text} boxes2[1] = (3.0, 1.0, 1.0, 3.0)", getattr(ops, name), good, wrong)


@each([*PAIRED, *CROSSED, *SUPPRESS, *REGIONS])
def test_no_boxes(name: str) -> None:
    empty = pydl.zeros(0, 4)
    if name in REGIONS:
        x = pydl.ones(2, 4, 8, 8, requires_grad=True)
        for boxes, images in (([empty, empty], x), (pydl.zeros(0, 5), x), ([], x[:0])):
            y = getattr(ops, name)(images, boxes, 2)
            assert y.shape == (0, 1 if name[0] == "p" else 4, 2, 2)
            y.sum().backward()
        assert x.grad is not None and not x.grad.numpy().any()
    elif name in SUPPRESS:
        kept = SUPPRESS[name](empty, pydl.zeros(0))
        assert all(one.shape == (0,) for one in (kept if isinstance(kept, tuple) else (kept,)))
    elif name in CROSSED:
        assert getattr(ops, name)(empty, pydl.tensor(GOOD)).shape == (0, 2) and getattr(ops, name)(pydl.tensor(GOOD), empty).shape == (2, 0)
    else:
        assert [getattr(ops, name)(empty, empty, reduction=r).tolist() for r in ("none", "sum", "mean")] == [[], 0, 0]


@each(SUPPRESS)
def test_scores_and_boxes_that_are_no_numbers(name: str) -> None:
    boxes = pydl.tensor(GOOD)
    refused(name, "scores[1] = nan", SUPPRESS[name], boxes, pydl.tensor([0.5, NAN]))
    for bad in (NAN, INF):
        refused(name, "finite numbers, got boxes[0]", SUPPRESS[name], pydl.tensor([[0.0, 0.0, bad, 2.0], GOOD[1]]), pydl.ones(2))
    for rank in range(10):
        if rank != 2:
            refused(name, str((4,) * rank), SUPPRESS[name], pydl.ones(4).expand((4,) * rank) if rank else pydl.ones(()), pydl.ones(4))
        if rank != 1:
            refused(name, str((2,) * rank), SUPPRESS[name], boxes, pydl.ones((2,) * rank))
