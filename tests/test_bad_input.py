"""What fuzzing and comparison found, once each: calls that crashed, hung, read foreign memory or refused without naming the op."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from pydl.nn import functional as F


def x(*shape: int) -> pydl.Tensor:
    return pydl.from_numpy(np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape))


ANYTHING = ("cpu", "get_device", "__str__", "__sizeof__", "__getstate__")     # Python functions that ask nothing of their argument
METHODS = [name for name in dir(pydl.Tensor) if callable(getattr(pydl.Tensor, name)) and name not in ("__new__", "__class__", "__init_subclass__",
                                                                                                    "__subclasshook__", "__dir__")]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_something_else_is_refused(method: str) -> None:
    """`Tensor.detach(3)` read the memory of a tensor where there was none."""
    for wrong in (3, "text", None, object(), pydl.float32):
        if hasattr(object, method) and not isinstance(wrong, int):
            continue
        if method in ANYTHING:
            getattr(pydl.Tensor, method)(wrong)
        else:
            with pytest.raises((TypeError, AttributeError)):
                getattr(pydl.Tensor, method)(wrong)


@pytest.mark.parametrize("thing", [pydl.Generator.get_state, type(pydl.float32).is_signed.__get__, pydl.Generator.manual_seed])
def test_methods_of_other_classes_too(thing: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        thing(3)


def arrays_of_little_memory() -> dict[str, pydl.Tensor]:
    one, few = np.ones(1), np.arange(8.0)
    views = {"zero stride": np.lib.stride_tricks.as_strided(one, (1000,), (0,)), "overlapping": np.lib.stride_tricks.as_strided(few, (5, 4), (8, 8))}
    return {name: pydl.from_numpy(view) for name, view in views.items()} | {
        "dlpack, zero stride": pydl.from_dlpack(views["zero stride"]), "dlpack, backwards": pydl.from_dlpack(few[::-1])}


@pytest.mark.parametrize("kind", arrays_of_little_memory())
def test_no_view_reaches_outside_borrowed_memory(kind: str) -> None:
    """as_strided believed that a borrowed array had as much memory as elements."""
    t = arrays_of_little_memory()[kind]
    size = 2 if kind == "zero stride" or kind == "dlpack, zero stride" else 9
    with pytest.raises(ValueError, match="as_strided.*outside the memory"):
        t.as_strided((size,), (1,))
    np.testing.assert_array_equal(t.as_strided((size - 1,), (1,), 0).numpy(), np.ones(1) if size == 2 else np.arange(8.0))


def test_arrays_that_run_backwards() -> None:
    t = pydl.from_dlpack(np.arange(6.0).reshape(2, 3)[:, ::-1])
    np.testing.assert_array_equal((t + 0).numpy(), [[2, 1, 0], [5, 4, 3]])
    np.testing.assert_array_equal(t.sum(0).numpy(), [7, 5, 3])
    np.testing.assert_array_equal((t @ t.t()).numpy(), [[5, 14], [14, 50]])
    np.testing.assert_array_equal(t[:, pydl.tensor([0, 2])].numpy(), [[2, 0], [5, 3]])


QUICK: dict[str, Callable[[], Any]] = {
    "mvlgamma": lambda: pydl.mvlgamma(x(3), 10**400), "mvlgamma of memory": lambda: pydl.mvlgamma(x(3), 2**31), "tensor_split": lambda: pydl.tensor_split(x(3), 2**31),
    "chunk": lambda: pydl.chunk(pydl.zeros(0), 2**40), "combinations": lambda: pydl.combinations(x(2000), 900),
    "combinations of themselves": lambda: pydl.combinations(x(3), 2**40, True), "combinations of a few": lambda: pydl.combinations(x(60), 20),
}


@pytest.mark.parametrize("name", QUICK)
def test_endless_work_is_refused(name: str) -> None:
    with pytest.raises((ValueError, MemoryError)):
        QUICK[name]()


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "sizes that overflow although empty": (lambda: pydl.zeros(2**62, 0, 4), ValueError, "zeros: sizes .* overflow"),
    "add of a huge int": (lambda: x(2) + 10**400, ValueError, "add: the other operand"),
    "add_ of a huge int": (lambda: x(2).add_(10**400), ValueError, "add: the other operand"),
    "fill_ beyond uint8": (lambda: pydl.zeros(2, dtype=pydl.uint8).fill_(300), OverflowError, "fill_: 300"),
    "copy_ of infinity": (lambda: pydl.zeros(2, dtype=pydl.int32).copy_(float("inf")), OverflowError, "copy_: inf"),
    "fill_ with text": (lambda: x(2).fill_("1"), TypeError, "fill_: the value must be a number, got str"),
    "full of a list": (lambda: pydl.full((2,), [1.0, 2.0]), TypeError, "full: the value must be a number"),
    "narrow from 0.5": (lambda: x(3).narrow(0, 0.5, 1), TypeError, "narrow: start must be an int, got float"),
    "narrow of 1.5": (lambda: x(3).narrow(0, 0, 1.5), TypeError, "narrow: length must be an int, got float"),
    "select of text": (lambda: x(3).select(0, "0"), TypeError, "select: index must be an int, got str"),
    "select of a float tensor": (lambda: x(3).select(0, pydl.tensor(1.5)), TypeError, "select: index must be an int, got Tensor"),
    "as_strided of an int": (lambda: x(3).as_strided(3, 1), TypeError, "as_strided"),
    "split by 1.5": (lambda: x(3).split(1.5), TypeError, "split: split_size must be an int, got float"),
    "split into floats": (lambda: x(3).split([1.0, 2.0]), TypeError, "split: every size must be an int, got float"),
    "chunk by None": (lambda: x(3).chunk(None), TypeError, "chunk: chunks must be an int, got NoneType"),
    "roll by 0.5": (lambda: x(3).roll(0.5), TypeError, "roll: every shift must be an int"),
    "repeat by text": (lambda: x(3).repeat("2"), TypeError, "repeat: every size must be an int, got str"),
    "tile by -1": (lambda: x(3).tile(-1), ValueError, "tile: every one of dims must not be negative"),
    "diagonal of text": (lambda: x(3, 3).diagonal("0"), TypeError, "diagonal: offset must be an int"),
    "rot90 of a number": (lambda: x(3, 3).rot90(1, 3), TypeError, "rot90: dims"),
    "one_hot of text": (lambda: pydl.one_hot(pydl.tensor([0]), "3"), TypeError, "one_hot: num_classes"),
    "one_hot of too many": (lambda: pydl.one_hot(pydl.tensor([0]), 10**400), ValueError, "one_hot: num_classes"),
    "topk of a type": (lambda: x(3).topk(pydl.Tensor), TypeError, "topk: k must be an int"),
    "norm of order []": (lambda: x(3).norm([]), TypeError, "norm: p must be a number, got list"),
    "std with correction in text": (lambda: x(3).std(correction="1"), TypeError, "std: correction must be a number, got str"),
    "nan_to_num by text": (lambda: x(3).nan_to_num("0"), TypeError, "nan_to_num: nan must be a number, got str"),
    "isclose within text": (lambda: pydl.isclose(x(3), x(3), "1"), TypeError, "isclose: rtol must be a number"),
    "isclose within NaN": (lambda: pydl.isclose(x(3), x(3), float("nan")), ValueError, "isclose"),
    "logit within a list": (lambda: pydl.logit(x(3), [0.1]), TypeError, "logit: eps must be a number"),
    "round to text": (lambda: pydl.round(x(3), decimals="2"), TypeError, "round: decimals must be an int"),
    "round to 400 decimals": (lambda: pydl.round(x(3), decimals=400), ValueError, "round: decimals"),
    "margin of text": (lambda: F.triplet_margin_loss(x(2, 3), x(2, 3), x(2, 3), "1"), TypeError, "triplet_margin_loss: margin must be a number"),      # type: ignore[arg-type]
    "smooth_l1 of text": (lambda: F.smooth_l1_loss(x(3), x(3), beta="1"), TypeError, "smooth_l1_loss: beta must be a number"),                        # type: ignore[arg-type]
    "huber of a list": (lambda: F.huber_loss(x(3), x(3), delta=[1]), TypeError, "huber_loss: delta must be a number"),                                # type: ignore[arg-type]
    "variance of text": (lambda: F.gaussian_nll_loss(x(3), x(3), "1"), TypeError, "gaussian_nll_loss: var must be a number"),                         # type: ignore[arg-type]
    "ignored label beyond int64": (lambda: F.cross_entropy(x(2, 3), pydl.tensor([0, 1]), ignore_index=2**63), ValueError, "cross_entropy: ignore_index"),
    "smoothing by text": (lambda: F.cross_entropy(x(2, 3), pydl.tensor([0, 1]), label_smoothing="0"), TypeError, "cross_entropy: label_smoothing"),  # type: ignore[arg-type]
    "normal_ around text": (lambda: x(3).normal_("0.5"), TypeError, "normal_: mean must be a number, got str"),
    "normal around a type": (lambda: pydl.normal(pydl.float64, x(2)), TypeError, "normal: mean must be a number, got dtype"),
    "generator of an int": (lambda: pydl.rand(3, generator=3), TypeError, "generator: expected a pydl.Generator, got int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_op_and_the_argument(name: str) -> None:
    call, error, match = REFUSED[name]
    with pytest.raises(error, match=match):
        call()


def test_what_is_refused_was_not_begun() -> None:
    t = pydl.zeros(2, dtype=pydl.uint8)
    for bad in (300, float("nan"), "1"):
        with pytest.raises((OverflowError, TypeError)):
            t.fill_(bad)
    assert t.tolist() == [0, 0]
    assert t.fill_(-1).tolist() == [255, 255] and t.fill_(2.5).tolist() == [2, 2] and t.fill_(pydl.tensor(3)).tolist() == [3, 3]


def test_an_infinite_variance_is_no_nan() -> None:
    loss = F.gaussian_nll_loss(x(2), x(2), pydl.tensor([float("inf"), 1.0]), reduction="none")
    np.testing.assert_array_equal(loss.numpy(), [np.inf, 0])
    nan = F.gaussian_nll_loss(x(2), x(2), pydl.tensor([float("nan"), 1.0]), reduction="none")
    assert np.isnan(nan.numpy()).tolist() == [True, False]
