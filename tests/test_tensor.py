"""Tensors: creation, interchange of memory with NumPy and DLPack, text, copies, bad input."""
from __future__ import annotations

import copy

import numpy as np
import pytest

import pydl

TYPES = {
    "float32": pydl.float32, "float64": pydl.float64, "int64": pydl.int64, "int32": pydl.int32, "uint8": pydl.uint8, "bool": pydl.bool,
}


def test_python_values_choose_the_type():
    assert pydl.tensor(1.5).dtype is pydl.float32
    assert pydl.tensor([[1, 2]]).dtype is pydl.int64
    assert pydl.tensor([True]).dtype is pydl.bool
    assert pydl.tensor(np.float64(1)).dtype is pydl.float64
    assert pydl.tensor([1, 2], dtype=pydl.float64).tolist() == [1.0, 2.0]
    assert pydl.tensor([]).shape == (0,)
    assert pydl.tensor(np.float16(2)).dtype is pydl.float32
    assert pydl.tensor(2**62 + 1).item() == 2**62 + 1
    assert pydl.full((2,), 2**62 + 1).tolist() == [2**62 + 1] * 2


def test_numbers_beyond_the_usual():
    assert pydl.tensor([16777217.0], dtype=pydl.int64).item() == 16777217
    assert pydl.tensor([2**70, 1.5]).dtype is pydl.float32 and pydl.tensor(10**30, dtype=pydl.float64).item() == 1e30
    assert pydl.tensor([-1, 1.7], dtype=pydl.int32).tolist() == [-1, 1]
    assert pydl.tensor(-1, dtype=pydl.uint8).item() == pydl.full((), -1, dtype=pydl.uint8).item() == 255    # as PyTorch
    assert (pydl.tensor([3], dtype=pydl.uint8) + -1).item() == 2
    assert pydl.tensor([[]], dtype=pydl.int32).shape == (1, 0)


def test_ranges_of_keywords_and_tensors():
    assert pydl.arange(end=3).tolist() == [0, 1, 2] and pydl.arange(1, end=6, step=2).tolist() == [1, 3, 5]
    assert pydl.arange(start=1, end=3).tolist() == [1, 2] and pydl.arange(np.int8(3)).dtype is pydl.int64
    assert pydl.arange(pydl.tensor(3)).dtype is pydl.int64 and pydl.arange(pydl.tensor(3)).tolist() == [0, 1, 2]
    assert pydl.arange(0, pydl.tensor(3.0)).dtype is pydl.float32
    assert pydl.linspace(pydl.tensor(0.0), pydl.tensor(1), 3).tolist() == [0, 0.5, 1]
    assert not pydl.ones(2, requires_grad=None).requires_grad


@pytest.mark.parametrize("name", TYPES)
def test_numpy_shares_memory_both_ways(name):
    array = np.arange(12).reshape(3, 4).astype(name)
    x = pydl.from_numpy(array)
    assert x.dtype is TYPES[name] and x.shape == (3, 4) and x.stride() == (4, 1) and x.strides == array.strides
    array[1, 2] = 1
    assert x[1, 2].item() == 1
    x[0, 0] = 1
    assert array[0, 0] == 1
    assert np.shares_memory(x.numpy(), array) and np.shares_memory(np.asarray(x), array)
    assert np.array_equal(np.asarray(memoryview(x)), array)
    transposed = pydl.from_numpy(array.T[1:])
    assert not transposed.is_contiguous() and np.array_equal(transposed.numpy(), array.T[1:])
    assert np.shares_memory(pydl.as_tensor(array).numpy(), array)
    assert not np.shares_memory(pydl.tensor(array).numpy(), array)


def test_array_protocol():
    x = pydl.tensor([1.0, 2.0])
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x), x.numpy())
    assert isinstance(np.ones(2, np.float32) * x, pydl.Tensor)
    assert (np.float32(2) * x).tolist() == [2.0, 4.0]
    x.requires_grad_()
    for lend in (x.numpy, lambda: np.asarray(x), lambda: memoryview(x), lambda: np.from_dlpack(x)):
        with pytest.raises((RuntimeError, BufferError), match="requires grad"):
            lend()


@pytest.mark.parametrize("name", TYPES)
def test_dlpack_with_numpy(name):
    array = np.arange(6).reshape(2, 3).astype(name)
    x = pydl.from_dlpack(array.T)
    assert np.array_equal(x.numpy(), array.T) and np.shares_memory(x.numpy(), array)
    back = np.from_dlpack(x)
    assert np.shares_memory(back, array) and np.array_equal(back, array.T)
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(TypeError, match="__dlpack__"):
        pydl.from_dlpack([1, 2])


def test_dlpack_memory_outlives_its_maker():
    back = np.from_dlpack(pydl.arange(1000))
    pydl.zeros(1000, dtype=pydl.int64)
    assert np.array_equal(back, np.arange(1000))


@pytest.mark.parametrize(("array", "error", "why"), [
    (np.zeros(3, ">f8"), ValueError, "byte-swapped"),
    (np.zeros(9, np.uint8)[1:].view(np.float32), ValueError, "misaligned"),
    (np.broadcast_to(np.float32(1), (3,)), ValueError, "read-only"),
    (np.zeros(4)[::-1], ValueError, "negative stride"),
    (np.array([1, "a"], object), TypeError, "dtype object"),
    (np.zeros(2, [("a", "f4")]), TypeError, "dtype"),
    (np.zeros(2, np.complex64), TypeError, "dtype complex64"),
    (np.array(["a"]), TypeError, "dtype"),
    ([1, 2], TypeError, "expected a NumPy array, got list"),
])
def test_from_numpy_refuses_what_it_cannot_share(array, error, why):
    with pytest.raises(error, match=why):
        pydl.from_numpy(array)


def test_tensor_copies_what_from_numpy_refuses():
    for array in (np.arange(3.0).astype(">f8"), np.arange(4.0)[::-1], np.broadcast_to(np.float32(1), (3,)), np.arange(3, dtype=np.int16),
                  np.arange(3, dtype=np.uint64), np.arange(12, dtype=np.float32).view(np.uint8)[1:-3].view(np.float32)):
        assert np.array_equal(pydl.tensor(array).numpy(), array)
    with pytest.raises(ValueError, match="uint64"):
        pydl.tensor(np.array([2**63], np.uint64))
    for bad in (np.array([None]), np.zeros(2, [("a", "f4")]), np.zeros(1, np.complex64), "text", None, {1: 2}, np.datetime64("2020-01-01")):
        with pytest.raises(TypeError, match="tensor"):
            pydl.tensor(bad)
    with pytest.raises(ValueError, match="not rectangular"):
        pydl.tensor([[1], [1, 2]])


@pytest.mark.parametrize("make", [pydl.zeros, pydl.ones, pydl.empty, lambda *s: pydl.full(s, 1.0)])
def test_sizes_are_checked_before_memory_is_taken(make):
    before = pydl.memory_stats()["allocated"]
    for sizes in ((-1,), (2, -3), (2**62, 4), (2**31, 2**31, 2**31), (2**70,), (1,) * 17, (0, -1), (2**62, 0, 4)):
        with pytest.raises(ValueError, match="size|dimensions"):
            make(*sizes)
    with pytest.raises(TypeError, match="ints"):
        make(1.5)
    with pytest.raises(MemoryError, match="could not allocate"):
        make(2**45)
    assert pydl.memory_stats()["allocated"] == before
    assert make(2**31, 0, 4).shape == (2**31, 0, 4)


def test_creation():
    assert pydl.zeros(2, 3).tolist() == [[0.0] * 3] * 2 and pydl.ones((2,), dtype=pydl.int32).dtype is pydl.int32
    assert pydl.arange(5).tolist() == [0, 1, 2, 3, 4] and pydl.arange(0, 1, 0.25).tolist() == [0.0, 0.25, 0.5, 0.75]
    assert pydl.linspace(0, 1, 5).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert np.array_equal(pydl.eye(3, 4).numpy(), np.eye(3, 4)) and pydl.eye(0).shape == (0, 0)
    x = pydl.ones(2, 3, dtype=pydl.float64)
    assert pydl.zeros_like(x).dtype is pydl.float64 and pydl.full_like(x, 7).tolist() == [[7.0] * 3] * 2
    assert pydl.full((2,), 3).dtype is pydl.int64 and pydl.full((2,), True).dtype is pydl.bool
    with pytest.raises(ValueError, match="step 0"):
        pydl.arange(0, 5, 0)
    with pytest.raises(TypeError, match="element type"):
        pydl.zeros(2, dtype=np.float32)


def test_scalars():
    x = pydl.tensor(3.0)
    assert float(x) == 3.0 and int(x) == 3 and x.item() == 3.0 and bool(x) and f"{x:.2f}" == "3.00"
    assert [10, 20, 30][pydl.tensor(1)] == 20
    with pytest.raises(TypeError):
        [1, 2][pydl.tensor(1.0)]
    with pytest.raises(ValueError, match=r"item: expected one element, got shape \(2,\)"):
        pydl.ones(2).item()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(pydl.ones(2))
    with pytest.raises(TypeError, match="0-dimensional"):
        len(x)


def test_iteration_and_membership():
    x = pydl.tensor([[1, 2], [3, 4]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]] and len(x) == 2 and 3 in x and 9 not in x
    a, b = x
    assert b.tolist() == [3, 4]


def test_text():
    assert repr(pydl.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(pydl.tensor([1], dtype=pydl.int32)) == "tensor([1], dtype=pydl.int32)"
    assert "requires_grad=True" in repr(pydl.ones(1, requires_grad=True))
    assert "grad_fn=<mul backward>" in repr(pydl.ones(1, requires_grad=True) * 2)
    assert "size=(2, 0)" in repr(pydl.zeros(2, 0))
    assert len(repr(pydl.zeros(1000, 1000))) < 1000


def test_copies():
    x = pydl.ones(2, 2, requires_grad=True)
    (x * 2).sum().backward()
    deep = copy.deepcopy(x)
    assert deep.data_ptr() != x.data_ptr() and deep.requires_grad and deep.grad.tolist() == x.grad.tolist()
    assert copy.copy(x).data_ptr() == x.data_ptr()
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(x * 2)
    assert x.detach().data_ptr() == x.data_ptr() and not x.detach().requires_grad
    assert x.clone().requires_grad and x.clone().data_ptr() != x.data_ptr()
    assert copy.deepcopy(pydl.float32) is pydl.float32


def test_other_processes_get_copies():
    x = pydl.ones(2, 3, requires_grad=True)
    rebuild, arguments = x.__reduce_ex__(4)[:2]
    y = rebuild(*arguments)
    assert y.tolist() == x.tolist() and y.requires_grad and y.data_ptr() != x.data_ptr()
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).__reduce_ex__(4)


def test_views_share_memory_and_outlive_their_base():
    view = pydl.arange(12).view(3, 4).t()[1:3]
    pydl.zeros(12, dtype=pydl.int64)
    assert view.tolist() == [[1, 5, 9], [2, 6, 10]]
    x = pydl.zeros(4)
    x.view(2, 2)[1, 0] = 5
    assert x.tolist() == [0.0, 0.0, 5.0, 0.0]


def test_overlapping_in_place():
    x = pydl.arange(9, dtype=pydl.float32).view(3, 3)
    expected = x.numpy() + x.numpy().T
    x += x.t()
    assert np.array_equal(x.numpy(), expected)
    y = pydl.arange(6)
    y[1:] = y[:-1]
    assert y.tolist() == [0, 0, 1, 2, 3, 4]


def test_in_place_refuses_what_does_not_fit():
    x = pydl.ones(2)
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2,\)|\(2,\).*\(3, 2\)"):
        x += pydl.ones(3, 2)
    with pytest.raises(TypeError):
        x = pydl.ones(2, dtype=pydl.int64)
        x += pydl.ones(2)
    assert x.tolist() == [1, 1]
    base = np.ones(2, np.float32)
    base.flags.writeable = False
    locked = pydl.from_dlpack(base) if hasattr(base, "__dlpack__") and np.lib.NumpyVersion(np.__version__) >= "2.1.0" else None
    if locked is not None:
        for change in (lambda: locked.add_(1), lambda: locked.zero_(), lambda: locked.__setitem__(0, 1.0)):
            with pytest.raises(ValueError, match="read-only"):
                change()


def test_a_tensor_made_without_data_is_empty_not_a_crash():
    raw = pydl.Tensor.__new__(pydl.Tensor)
    assert raw.shape == (0,) and raw.tolist() == [] and (raw + 1).tolist() == []
    assert pydl.Tensor([1, 2]).dtype is pydl.float32


def test_other_operands_are_refused():
    x = pydl.ones(2)
    for other in ("a", None, [1, 2], object()):
        with pytest.raises(TypeError):
            x + other
    assert x.__add__("a") is NotImplemented
