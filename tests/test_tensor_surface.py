"""What PyTorch users expect of a tensor and of the functions that make one: keywords, places, copies, questions."""
from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pydl

X = pydl.arange(6.0).reshape(2, 3)
CREATE: dict[str, Any] = {
    "tensor": lambda **k: pydl.tensor([1.5], **k), "empty": lambda **k: pydl.empty(2, **k), "zeros": lambda **k: pydl.zeros(2, **k),
    "ones": lambda **k: pydl.ones(2, **k), "full": lambda **k: pydl.full((2,), 1.5, **k), "empty_like": lambda **k: pydl.empty_like(X, **k),
    "zeros_like": lambda **k: pydl.zeros_like(X, **k), "ones_like": lambda **k: pydl.ones_like(X, **k),
    "full_like": lambda **k: pydl.full_like(X, 2, **k), "arange": lambda **k: pydl.arange(3, **k),
    "linspace": lambda **k: pydl.linspace(0, 1, 3, **k), "eye": lambda **k: pydl.eye(2, **k), "rand": lambda **k: pydl.rand(2, **k),
    "randn": lambda **k: pydl.randn(2, **k), "rand_like": lambda **k: pydl.rand_like(X, **k),
    "randn_like": lambda **k: pydl.randn_like(X, **k), "randint": lambda **k: pydl.randint(3, (2,), **k),
    "randperm": lambda **k: pydl.randperm(3, **k), "normal": lambda **k: pydl.normal(0.0, 1.0, (2,), **k),
    "new_tensor": lambda **k: X.new_tensor([1, 2], **k), "new_empty": lambda **k: X.new_empty(2, **k),
    "new_zeros": lambda **k: X.new_zeros(2, **k), "new_ones": lambda **k: X.new_ones(2, **k),
    "new_full": lambda **k: X.new_full((2,), 3, **k),
}


@pytest.mark.parametrize("name", CREATE)
def test_creation_keywords(name: str) -> None:
    make = CREATE[name]
    y = make(dtype=float, device="cpu", layout=pydl.strided, pin_memory=False, requires_grad=True)
    assert y.dtype is pydl.float64 and y.requires_grad and y.device == pydl.device("cpu")
    assert not make(device=None, requires_grad=False).requires_grad
    for wrong, error in (({"device": "cuda"}, ValueError), ({"layout": "sparse"}, ValueError), ({"pin_memory": True}, ValueError),
                         ({"device": 3}, TypeError), ({"dtype": "float32"}, TypeError)):
        with pytest.raises(error):
            make(**wrong)


def test_sizes_by_keyword() -> None:
    for make in (pydl.empty, pydl.zeros, pydl.ones, pydl.rand, pydl.randn, X.new_empty, X.new_zeros, X.new_ones):
        assert make(size=(2, 3)).shape == make((2, 3)).shape == make(2, 3).shape == (2, 3)
        with pytest.raises(TypeError, match="sizes"):
            make()
        with pytest.raises(TypeError, match="sizes"):
            make(2, size=(3,))
    assert X.new_full((2,), 3).dtype is pydl.float32 and X.long().new_full((2,), 3.5).tolist() == [3, 3]
    assert X.int().new_tensor([1.7]).dtype is pydl.int32 and X.new_ones(2, dtype=pydl.bool).dtype is pydl.bool


def test_python_types() -> None:
    for kind, dtype in ((float, pydl.float64), (int, pydl.int64), (bool, pydl.bool)):
        assert pydl.zeros(2, dtype=kind).dtype is X.to(kind).dtype is pydl.tensor([1], dtype=kind).dtype is dtype
    assert (pydl.float, pydl.double, pydl.int, pydl.long) == (pydl.float32, pydl.float64, pydl.int32, pydl.int64)
    assert pydl.uint8.is_signed is False and pydl.int32.is_signed and pydl.float.itemsize == 4 and not pydl.long.is_complex


def test_constructor() -> None:
    assert pydl.Tensor(2, 3).shape == (2, 3) and pydl.Tensor(3).shape == (3,) and pydl.Tensor().shape == (0,)
    assert pydl.Tensor([2, 3]).tolist() == pydl.Tensor(np.array([2.0, 3.0])).tolist() == [2.0, 3.0]
    assert pydl.Tensor(np.array([2.0])).dtype is pydl.float32
    y = pydl.Tensor(X)
    assert y is not X and y.data_ptr() == X.data_ptr() and pydl.Tensor(X.long()).dtype is pydl.int64
    for wrong in (2.5, "x", None):
        with pytest.raises(TypeError):
            pydl.Tensor(wrong)
    with pytest.raises(ValueError, match="cuda"):
        pydl.Tensor([1.0], device="cuda")


def test_to() -> None:
    for same in (X.to("cpu"), X.to(pydl.device("cpu")), X.to(pydl.float32), X.to(X), X.to(), X.to(None), X.cpu(), X.to("cpu", pydl.float32),
                 X.to(pydl.float32, True), X.to(device="cpu", dtype=pydl.float32, non_blocking=True), X.type(pydl.float32)):
        assert same is X
    for other in (X.to(copy=True), X.to(pydl.float32, True, True), X.to("cpu", copy=True), X.to(X, copy=True)):
        assert other is not X and pydl.equal(other, X) and other.data_ptr() != X.data_ptr()
    for wide in (X.to("cpu", pydl.float64), X.to(X.double()), X.to(dtype=pydl.float64), X.to(other=X.double()), X.type("pydl.DoubleTensor")):
        assert wide.dtype is pydl.float64 and wide.tolist() == X.tolist()
    for wrong, error in (("cuda", ValueError), ("float32", ValueError), (3, TypeError)):
        with pytest.raises(error):
            X.to(wrong)
    with pytest.raises(TypeError):
        X.to(pydl.float32, pydl.float64)


def test_device() -> None:
    d = X.device
    assert d == "cpu" == str(d) and d == pydl.device(type="cpu") != pydl.device("cpu:0") and d.type == "cpu" and d.index is None
    assert repr(d) == "device(type='cpu')" and hash(d) == hash("cpu") and pydl.device(d) == d and d != 3 and copy.deepcopy(d) == d
    assert X.is_cpu and not X.is_cuda and not X.is_sparse and X.layout is pydl.strided and X.get_device() == -1
    for wrong in ("cuda", "cpu:1", "mps"):
        with pytest.raises(ValueError, match="cpu"):
            pydl.device(wrong)
    with d:
        assert pydl.zeros(1).device == d


def test_questions() -> None:
    i, nan, inf = pydl.tensor([1, 2]), float("nan"), float("inf")
    assert pydl.equal(X, X.double()) and not X.equal(i) and not pydl.equal(pydl.tensor([nan]), pydl.tensor([nan]))
    assert X.allclose(X * (1 + 1e-6)) and not pydl.allclose(X, X + 1e-3) and pydl.allclose(X, X + 1e-3, atol=1e-2)
    assert pydl.isclose(pydl.tensor([inf, nan, 1.0]), pydl.tensor([inf, nan, -inf]), equal_nan=True).tolist() == [True, True, False]
    assert pydl.isclose(i, i + 1).tolist() == [False, False] and pydl.isclose(i > 1, i > 0).tolist() == [False, True]
    assert X.is_same_size(X + 1) and not X.is_same_size(i) and pydl.is_tensor(X) and not pydl.is_tensor(3)
    assert pydl.is_floating_point(X) and not pydl.is_floating_point(i) and not X.is_complex() and i.is_signed() and not i.byte().is_signed()
    assert pydl.numel(X) == X.nelement() == X.numel() == 6 and X.ndimension() == X.ndim == 2 and X.itemsize == X.element_size() == 4
    assert pydl.is_nonzero(pydl.tensor([2])) and not pydl.is_nonzero(pydl.tensor(0.0)) and i.type() == "pydl.LongTensor"
    for wrong, error in ((lambda: pydl.isclose(X, X, rtol=-1), ValueError), (lambda: pydl.is_nonzero(X), ValueError),
                         (lambda: pydl.equal(X, 3), TypeError), (lambda: pydl.numel(3), TypeError), (lambda: X.type("Half"), ValueError)):
        with pytest.raises(error):
            wrong()


def test_asarray() -> None:
    a = np.ones(2, np.float32)
    assert pydl.asarray(a).data_ptr() == a.ctypes.data != pydl.asarray(a, copy=True).data_ptr()
    assert pydl.asarray([1.0], requires_grad=True).requires_grad and pydl.asarray(X).data_ptr() == X.data_ptr()
    with pytest.raises(ValueError, match="copy"):
        pydl.asarray([1.0], copy=False)


def test_formats_and_numpy() -> None:
    for given in (pydl.contiguous_format, pydl.preserve_format):
        assert X.T.clone(memory_format=given).is_contiguous() and X.contiguous(memory_format=given) is X
        assert X.is_contiguous(memory_format=given)
    with pytest.raises(ValueError, match="memory_format"):
        X.clone(memory_format="channels_last")
    g = pydl.ones(2, requires_grad=True)
    g.numpy(force=True)[0] = 5
    assert g.tolist() == [5.0, 1.0]
    with pytest.raises(RuntimeError):
        g.numpy()


def test_deepcopy_shares_what_was_shared() -> None:
    p = pydl.nn.Parameter(pydl.ones(2, 2))
    one, two = copy.deepcopy([p, p])
    assert one is two and one is not p and isinstance(one, pydl.nn.Parameter) and one.requires_grad
    base = pydl.arange(6.0).reshape(2, 3)
    whole, row, turned = copy.deepcopy([base, base[1], base.T])
    whole[1, 0] = 9
    assert row.tolist() == [9.0, 4.0, 5.0] and turned.stride() == (1, 3) and turned[0, 1].item() == 9 and base[1, 0].item() == 3
    lent = pydl.from_numpy(np.arange(4.0)[::2])
    assert copy.deepcopy(lent).tolist() == [0.0, 2.0]
    p.sum().backward()
    assert copy.deepcopy(p).grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_inference_tensors() -> None:
    g = pydl.ones(2, requires_grad=True)
    with pydl.inference_mode():
        q = pydl.ones(2)
        assert q.is_inference() and pydl.rand(2).is_inference() and g[:1].detach().is_inference() is False
        assert q.add_(1).tolist() == [2.0, 2.0] and pydl.ones(1, requires_grad=True).requires_grad
    assert q.is_inference() and q.view(2).is_inference() and q.detach().is_inference() and not (q + 1).is_inference()
    assert (q + g).requires_grad and not q.clone().is_inference()
    for refused in (lambda: q.requires_grad_(), lambda: q * g, lambda: q.add_(1), lambda: q.view(2).zero_(), lambda: q.__setitem__(0, 1)):
        with pytest.raises(RuntimeError, match="inference_mode"):
            refused()
    q.clone().requires_grad_().mul(g).sum().backward()
    assert g.grad.tolist() == [2.0, 2.0]


@pytest.fixture
def printing() -> Iterator[None]:
    yield
    pydl.set_printoptions(profile="default")


def test_printing(printing: None) -> None:
    x = pydl.tensor([1.23456, 2.0])
    pydl.set_printoptions(precision=2)
    assert repr(x) == "tensor([1.23, 2.  ])"
    pydl.set_printoptions(sci_mode=True)
    assert repr(x) == "tensor([1.23e+00, 2.00e+00])"
    pydl.set_printoptions(profile="default", threshold=5, edgeitems=1)
    assert repr(pydl.arange(9)) == "tensor([0, ..., 8])"
    pydl.set_printoptions(profile="full")
    assert "..." not in repr(pydl.arange(2000))
    with pytest.raises(ValueError, match="profile"):
        pydl.set_printoptions(profile="long")


@pytest.mark.parity
def test_keywords_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for name in ("type", "cpu", "is_nonzero", "nelement", "new_zeros", "is_same_size", "allclose", "data_ptr", "get_device", "ndimension"):
        assert hasattr(torch.Tensor, name) and name in dir(X)
    x = torch.arange(6.0).reshape(2, 3)
    for call in (lambda t: t.new_tensor([1, 2]), lambda t: t.new_full((2,), 3), lambda t: t.long().new_ones(2), lambda t: t.to("cpu").double()):
        theirs, ours = call(x), call(X)
        assert str(theirs.dtype)[6:] == ours.dtype.name and theirs.tolist() == ours.tolist()
    assert list(inspect.signature(pydl.isclose).parameters) == ["input", "other", "rtol", "atol", "equal_nan"]
    for a, b in (([1.0, float("inf")], [1.0 + 1e-6, float("inf")]), ([1.0, 0.0], [1.1, 1e-9]), ([float("nan")], [float("nan")])):
        assert pydl.isclose(pydl.tensor(a), pydl.tensor(b)).tolist() == torch.isclose(torch.tensor(a), torch.tensor(b)).tolist()


def test_modules_take_places_and_types() -> None:
    layer = pydl.nn.Linear(2, 2, device="cpu", dtype=float)
    assert layer.weight.dtype is pydl.float64 and layer.type(pydl.float32).weight.dtype is pydl.float32
    assert layer.to(float).weight.dtype is layer.to("cpu", pydl.float64).to(pydl.device("cpu")).weight.dtype is pydl.float64
    for wrong, error in ((lambda: pydl.nn.Linear(2, 2, device="cuda"), ValueError), (lambda: layer.to(int), TypeError)):
        with pytest.raises(error):
            wrong()
