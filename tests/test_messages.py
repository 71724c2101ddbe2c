"""Bad input beside the ops' own rows: the right exception, words that help, and everything left as it was."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pydl
from pydl import nn, optim


def refused(call: Callable[[], Any], error: type[Exception] | tuple[type[Exception], ...], *words: str) -> str:
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert text.strip(), f"{type(caught.value).__name__} without a text"
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"
    return text


def x(*shape: int, dtype: Any = np.float32) -> pydl.Tensor:
    return pydl.from_numpy(np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape))


CALLS: dict[str, tuple[Callable[[], Any], Any, tuple[str, ...]]] = {
    "add of shapes": (lambda: x(2, 3) + x(4), ValueError, ("add", "(2, 3)", "(4,)")),
    "matmul of shapes": (lambda: x(2, 3) @ x(2, 3), ValueError, ("matmul", "(2, 3)")),
    "mixed types": (lambda: x(3, 3) @ x(3, 3, dtype=np.float64), TypeError, ("matmul", "float32", "float64")),
    "integers in place": (lambda: x(3, dtype=np.int64).exp_(), TypeError, ("exp_", "float32", "int64")),
    "gelu of integers": (lambda: pydl.nn.functional.gelu(x(3, dtype=np.int64)), TypeError, ("gelu", "int64")),
    "add of a string": (lambda: x(3) + "a", TypeError, ()),
    "negative size": (lambda: pydl.zeros(2, -1), ValueError, ("zeros", "-1")),
    "size of a float": (lambda: pydl.zeros(2.5), TypeError, ("zeros",)),
    "product of sizes overflows": (lambda: pydl.zeros(2**40, 2**40), (ValueError, MemoryError), (str(2**40),)),
    "bytes overflow": (lambda: pydl.zeros(2**61 + 1), (ValueError, MemoryError), ()),
    "more memory than there is": (lambda: pydl.empty(2**55), MemoryError, ()),
    "expand to too much": (lambda: x(1).expand(2**40, 2**40).contiguous(), (ValueError, MemoryError), ()),
    "ones of overflowing int": (lambda: pydl.ones(2**70), (ValueError, OverflowError), ()),
    "too many dimensions": (lambda: pydl.zeros(*([1] * 40)), ValueError, ()),
    "index out of range": (lambda: x(2, 3)[2], IndexError, ("2",)),
    "negative index out of range": (lambda: x(2, 3)[-3], IndexError, ("-3",)),
    "too many indices": (lambda: x(2, 3)[0, 0, 0], IndexError, ()),
    "integer array out of range": (lambda: x(4)[pydl.tensor([0, 4])], IndexError, ("4",)),
    "mask of another shape": (lambda: x(4)[pydl.tensor([True, False])], IndexError, ()),
    "float index": (lambda: x(4)[1.5], (TypeError, IndexError), ()),
    "dim out of range": (lambda: x(2, 3).sum(2), IndexError, ("sum", "2")),
    "number beyond int64": (lambda: x(3, dtype=np.int64) + 2**70, ValueError, ("add", str(2**70), "int64")),
    "number beyond int32": (lambda: x(3, dtype=np.int32) * 2**40, ValueError, ("mul", str(2**40), "int32")),
    "number far below int32": (lambda: 2 - 2**40 - x(3, dtype=np.int32), ValueError, ("sub", str(2 - 2**40), "int32")),
    "number beyond uint8": (lambda: x(3, dtype=np.uint8) | 300, ValueError, ("bitwise_or", "300", "uint8")),
    "negative divisor of uint8": (lambda: x(3, dtype=np.uint8) // -1, ValueError, ("floor_divide", "-1", "uint8")),
    "bound beyond uint8": (lambda: x(3, dtype=np.uint8).clamp(300), ValueError, ("clamp", "300", "uint8")),
    "difference of bools": (lambda: pydl.tensor([True]) - 1, TypeError, ("sub", "bool")),
    "choice beyond int32": (lambda: pydl.where(pydl.tensor([False]), x(1, dtype=np.int32), 2**32), ValueError, ("where", str(2**32), "int32")),
    "fill beyond uint8": (lambda: x(3, dtype=np.uint8).masked_fill(pydl.tensor([True] * 3), 300), ValueError, ("masked_fill", "300")),
    "scatter beyond int32": (lambda: x(3, dtype=np.int32).scatter(0, pydl.tensor([0]), 2**40), ValueError, ("scatter", str(2**40))),
    "list beyond uint8": (lambda: x(2, dtype=np.uint8).__setitem__(slice(None), [1, 300]), ValueError, ("setitem", "300", "uint8")),
    "tensor beyond uint8": (lambda: pydl.tensor([1, 300], dtype=pydl.uint8), OverflowError, ("tensor", "300", "uint8")),
    "tensor beyond int32": (lambda: pydl.tensor(2.0**31, dtype=pydl.int32), OverflowError, ("tensor", "2147483648", "int32")),
    "NaN as an integer": (lambda: pydl.tensor([float("nan")], dtype=pydl.int64), OverflowError, ("tensor", "nan", "int64")),
    "tensor of a huge int": (lambda: pydl.tensor([10**30]), OverflowError, ("tensor", str(10**30), "int64")),
    "full of a huge int": (lambda: pydl.full((2,), 10**30), OverflowError, ("full", str(10**30), "int64")),
    "full beyond uint8": (lambda: pydl.full((2,), 300, dtype=pydl.uint8), OverflowError, ("full", "300", "uint8")),
    "requires_grad as text": (lambda: pydl.ones(2, requires_grad="no"), TypeError, ("requires_grad", "str")),  # type: ignore[arg-type]
    "requires_grad of random as text": (lambda: pydl.randn(2, requires_grad="no"), TypeError, ("requires_grad", "str")),  # type: ignore[arg-type]
    "Parameter with requires_grad as text": (lambda: nn.Parameter(x(2), "no"), TypeError, ("requires_grad", "str")),  # type: ignore[arg-type]
    "arange of nothing": (lambda: pydl.arange(), TypeError, ("arange", "end")),
    "arange of a vector": (lambda: pydl.arange(pydl.tensor([3])), TypeError, ("arange", "end", "Tensor")),
    "linspace of 2.5 steps": (lambda: pydl.linspace(0, 1, 2.5), TypeError, ("linspace", "steps", "float")),         # type: ignore[arg-type]
    "norm of nothing": (lambda: pydl.zeros(0).norm(-1), ValueError, ("norm", "(0,)")),
    "amax of nothing": (lambda: pydl.zeros(0).amax(), (ValueError, IndexError), ("amax",)),
    "argmax of nothing": (lambda: pydl.zeros(0).argmax(), (ValueError, IndexError), ("argmax",)),
    "view that does not fit": (lambda: x(2, 3).view(4), ValueError, ("view", "(2, 3)")),
    "reshape that does not fit": (lambda: x(2, 3).reshape(-1, 4), ValueError, ("reshape", "(2, 3)")),
    "cat of shapes": (lambda: pydl.cat([x(2, 3), x(2, 4)]), ValueError, ("(2, 3)", "(2, 4)")),
    "cat of nothing": (lambda: pydl.cat([]), (ValueError, RuntimeError), ("cat",)),
    "gather out of range": (lambda: pydl.gather(x(2, 3), 1, pydl.tensor([[3], [0]])), IndexError, ("gather",)),
    "label out of range": (lambda: nn.functional.cross_entropy(x(2, 3), pydl.tensor([0, 3])), IndexError,
                           ("cross_entropy", "3")),
    "label negative": (lambda: nn.functional.cross_entropy(x(2, 3), pydl.tensor([0, -1])), IndexError, ("cross_entropy", "-1")),
    "labels of another number": (lambda: nn.functional.cross_entropy(x(2, 3), pydl.tensor([0, 1, 2])), ValueError,
                                 ("cross_entropy", "(2, 3)", "(3,)")),
    "grad of integers": (lambda: x(3, dtype=np.int64).requires_grad_(True), (RuntimeError, TypeError), ("int64",)),
    "tensor of integers with grad": (lambda: pydl.tensor([1, 2], requires_grad=True), (RuntimeError, TypeError), ()),
    "backward of a vector": (lambda: (x(3).requires_grad_(True) * 2).backward(), RuntimeError, ("(3,)",)),
    "backward without a graph": (lambda: x().backward(), RuntimeError, ()),
    "gradient of another shape": (lambda: (x(3).requires_grad_(True) * 2).backward(x(4)), (RuntimeError, ValueError),
                                  ("(3,)", "(4,)")),
    "gradient of class weights": (lambda: nn.functional.cross_entropy(x(2, 3), pydl.tensor([0, 1]), pydl.ones(3, requires_grad=True)),
                                  RuntimeError, ("cross_entropy", "weight", "(3,)")),
    "gradient of weights of probabilities": (
        lambda: nn.functional.cross_entropy(x(2, 3), x(2, 3), pydl.ones(3, requires_grad=True)), RuntimeError, ("cross_entropy", "weight")),
    "gradient of nll weights": (lambda: nn.functional.nll_loss(x(2, 3), pydl.tensor([0, 1]), pydl.ones(3, requires_grad=True)),
                                RuntimeError, ("nll_loss", "weight")),
    "gradient of a weight of logits": (
        lambda: nn.functional.binary_cross_entropy_with_logits(x(2), x(2), pydl.ones(2, requires_grad=True)), RuntimeError,
        ("binary_cross_entropy_with_logits", "weight")),
    "gradient of pos_weight": (
        lambda: nn.functional.binary_cross_entropy_with_logits(x(2), x(2), pos_weight=pydl.ones(2, requires_grad=True)),
        RuntimeError, ("binary_cross_entropy_with_logits", "pos_weight")),
    "item of many": (lambda: x(3).item(), (RuntimeError, ValueError), ("3",)),
    "truth of many": (lambda: bool(x(3)), (RuntimeError, ValueError), ()),
    "numpy of a recorded tensor": (lambda: (x(3).requires_grad_(True) * 2).numpy(), RuntimeError, ("detach",)),
    "object array": (lambda: pydl.from_numpy(np.array([1, None])), TypeError, ("object",)),
    "structured array": (lambda: pydl.from_numpy(np.zeros(3, "i4,f4")), TypeError, ()),
    "strings": (lambda: pydl.tensor(["a"]), (TypeError, ValueError), ()),
    "ragged lists": (lambda: pydl.tensor([[1, 2], [3]]), ValueError, ()),
    "complex": (lambda: pydl.from_numpy(np.zeros(3, complex)), TypeError, ("complex128",)),
    "optimizer without parameters": (lambda: optim.SGD([], lr=0.1), ValueError, ()),
    "optimizer of what is no tensor": (lambda: optim.Adam([1.0]), TypeError, ()),
    "negative learning rate": (lambda: optim.Adam([pydl.zeros(2, requires_grad=True)], lr=-1), ValueError, ("-1",)),
    "learning rate NaN": (lambda: optim.Adam([pydl.zeros(2, requires_grad=True)], lr=float("nan")), ValueError, ("nan",)),
    "beta of 1": (lambda: optim.Adam([pydl.zeros(2, requires_grad=True)], betas=(1.0, 0.9)), ValueError, ("1.0",)),
    "Linear of -1": (lambda: nn.Linear(-1, 3), ValueError, ("-1",)),
    "Linear of a wrong input": (lambda: nn.Linear(4, 3)(x(2, 5)), ValueError, ("(2, 5)", "(3, 4)")),
    "dropout of 1.5": (lambda: nn.Dropout(1.5), ValueError, ("1.5",)),
    "no threads": (lambda: pydl.set_num_threads(0), ValueError, ("0",)),
    "threads as text": (lambda: pydl.set_num_threads("2"), TypeError, ()),             # type: ignore[arg-type]
    "unknown dtype": (lambda: pydl.zeros(3, dtype="float16"), TypeError, ()),
    "randint of an empty range": (lambda: pydl.randint(3, 3, (2,)), ValueError, ("randint",)),
    "multinomial of too many": (lambda: pydl.multinomial(pydl.tensor([0.5, 0.5]), 3), (ValueError, RuntimeError), ("multinomial",)),
}


@pytest.mark.parametrize("name", CALLS)
def test_refused(name: str) -> None:
    call, error, words = CALLS[name]
    refused(call, error, *words)


def test_a_second_backward_is_refused() -> None:
    y = (x(3).requires_grad_(True) * 2).exp().sum()
    y.backward()
    refused(y.backward, RuntimeError, "retain_graph")


def test_a_changed_saved_value_is_named() -> None:
    a = x(3).requires_grad_(True)
    y = pydl.exp(a)
    y += 1
    refused(lambda: y.sum().backward(), RuntimeError, "exp")


def test_a_refused_assignment_changes_nothing() -> None:
    a = x(2, 3)
    before = a.numpy().copy()
    with pytest.raises((ValueError, IndexError)):
        a[0] = x(4)
    with pytest.raises((ValueError, IndexError)):
        a[pydl.tensor([0, 5])] = 1
    np.testing.assert_array_equal(a.numpy(), before)


def test_a_refused_in_place_op_changes_nothing() -> None:
    a = x(3)
    with pytest.raises(ValueError):
        a += x(2, 3)
    with pytest.raises(ValueError):
        a.add_(x(4))
    np.testing.assert_array_equal(a.numpy(), [0, 1, 2])


def arrays() -> dict[str, np.ndarray]:
    plain = np.arange(12, dtype=np.float32)
    misaligned = np.frombuffer(b"\0" + plain.tobytes(), np.uint8)[1:].view(np.float32)
    read_only = plain.copy()
    read_only.flags.writeable = False
    return {
        "byte-swapped": plain.astype(">f4"), "misaligned": misaligned, "read-only": read_only, "reversed": plain[::-1],
        "every third": plain[::3], "transposed": plain.reshape(3, 4).T, "broadcast": np.broadcast_to(plain[:1], (4,)),
        "empty": plain[:0].reshape(0, 3), "0-dimensional": np.array(3, np.float32), "NaN": np.array([np.nan], np.float32),
        "part of a structure": np.ones(3, dtype=[("a", "f4"), ("b", "i1")])["a"], "uint16": plain.astype(np.uint16),
    }


NOT_SHARED = {      # what from_numpy refuses, and a word of why; the others convert by copying
    "byte-swapped": "byte-swapped", "misaligned": "misaligned", "read-only": "read-only", "reversed": "negative stride",
    "broadcast": "read-only", "part of a structure": "misaligned", "uint16": "uint16",
}


@pytest.mark.parametrize("kind", arrays())
@pytest.mark.parametrize("make", ["tensor", "from_numpy", "as_tensor"])
def test_odd_arrays_are_shared_copied_or_refused(kind: str, make: str) -> None:
    array = arrays()[kind]
    before = array.copy()
    if make == "from_numpy" and kind in NOT_SHARED:
        refused(lambda: pydl.from_numpy(array), TypeError if kind == "uint16" else ValueError, NOT_SHARED[kind])
        return
    made = getattr(pydl, make)(array)
    np.testing.assert_array_equal(made.numpy(), before)
    np.testing.assert_array_equal((made + 0).numpy(), before)
    made += 1
    np.testing.assert_array_equal(made.numpy(), before + 1)
    np.testing.assert_array_equal(array, before if make == "tensor" or kind in NOT_SHARED else before + 1)


def test_public_functions_have_docstrings() -> None:
    bare = [name for name in dir(pydl) if not name.startswith("_") and callable(getattr(pydl, name))
            and not inspect.isclass(getattr(pydl, name)) and not (getattr(pydl, name).__doc__ or "").strip()]
    assert not bare, f"without a docstring: {', '.join(bare)}"
