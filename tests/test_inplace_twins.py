"""x.op_(...) does to x what op(x, ...) gives, for every op that has such a twin; and PyTorch's list of them."""
from __future__ import annotations

import inspect

import numpy as np
import pytest

import pydl
from calls import numpy
from pydl.tensor import DIRECT, IN_PLACE, VIEWS_IN_PLACE

I = pydl.tensor([1, 0])
CALLS = {
    "index_add": (0, I, pydl.ones(2, 3)), "index_copy": (0, I, pydl.ones(2, 3)), "index_fill": (0, I, 7.0), "index_put": ((I, I), pydl.ones(2)),
    "index_reduce": (0, I, pydl.full((2, 3), 2.0), "prod"), "scatter": (1, pydl.tensor([[0], [2]]), 5.0), "scatter_add": (1, pydl.tensor([[0], [2]]), pydl.ones(2, 1)),
    "scatter_reduce": (1, pydl.tensor([[0], [2]]), pydl.ones(2, 1), "amax"), "masked_fill": (pydl.tensor([True, False, True]), 3.0),
    "masked_scatter": (pydl.tensor([True, False, True]), pydl.ones(9)), "put": (I, pydl.ones(2)), "renorm": (2, 0, 0.5),
    "addmm": (pydl.ones(4, 2), pydl.ones(2, 3)), "baddbmm": (pydl.ones(2, 4, 5), pydl.ones(2, 5, 3)),
    "clamp": (-0.5, 0.5), "cumsum": (0,), "tril": (), "lerp": (pydl.ones(3), 0.25),
}
VIEWS = {"as_strided": ((2, 2), (3, 1)), "squeeze": (), "swapaxes": (0, 1), "swapdims": (0, 1), "t": (), "transpose": (0, 1), "unsqueeze": (1,)}
X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def start(name: str) -> pydl.Tensor:
    return pydl.tensor(np.stack([X, X])) if name == "baddbmm" else pydl.tensor(X)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_values_and_gradients(name, layout):
    args = CALLS[name]
    x = start(name)
    if layout == "transposed":
        x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    memory, want = x.data_ptr(), numpy(getattr(pydl, name)(x, *args))
    assert getattr(x, f"{name}_")(*args) is x and x.data_ptr() == memory
    np.testing.assert_array_equal(numpy(x), want)
    if layout == "contiguous":
        leaf, other = (start(name).requires_grad_(True) for _ in range(2))
        getattr(leaf * 1, f"{name}_")(*args).square().sum().backward()
        getattr(pydl, name)(other * 1, *args).square().sum().backward()
        np.testing.assert_array_equal(numpy(leaf.grad), numpy(other.grad))


@pytest.mark.parametrize("name", VIEWS)
def test_views_in_place(name):
    x = pydl.tensor(X[:1] if name == "squeeze" else X)
    memory, want = x.data_ptr(), numpy(getattr(pydl, name)(x, *VIEWS[name]))
    assert getattr(x, f"{name}_")(*VIEWS[name]) is x and x.data_ptr() == memory
    np.testing.assert_array_equal(numpy(x), want)
    leaf = pydl.tensor(X[:1] if name == "squeeze" else X, requires_grad=True)
    y = leaf * 2
    getattr(y, f"{name}_")(*VIEWS[name])
    assert y.shape == want.shape
    (y * y).sum().backward()
    other = pydl.tensor(numpy(leaf), requires_grad=True)
    getattr(pydl, name)(other * 2, *VIEWS[name]).square().sum().backward()
    np.testing.assert_allclose(numpy(leaf.grad), numpy(other.grad), rtol=1e-6)
    with pytest.raises(RuntimeError, match=f"{name}_: a leaf"):
        getattr(leaf, f"{name}_")(*VIEWS[name])


def test_a_source_that_shares_memory_is_read_before_it_is_written():
    x = pydl.arange(4.0)
    x.index_copy_(0, pydl.tensor([1, 2, 3]), x[:3])
    assert x.tolist() == [0, 0, 1, 2]
    y = pydl.arange(4.0)
    y.scatter_add_(0, pydl.tensor([3, 2, 1, 0]), y)
    assert y.tolist() == [3, 3, 3, 3]


def test_refusals_leave_the_tensor_as_it_is():
    for change in (lambda x: x.index_add_(0, pydl.tensor([1, 9]), pydl.ones(2, 3)), lambda x: x.scatter_(0, pydl.tensor([[9]]), 1.0),
                   lambda x: x.index_copy_(0, pydl.tensor([1, 9]), pydl.ones(2, 3)), lambda x: x.scatter_add_(0, pydl.tensor([[-1]]), pydl.ones(1, 1))):
        x = start("index_add")
        with pytest.raises(IndexError, match="out of range"):
            change(x)
        np.testing.assert_array_equal(numpy(x), X)
    x = start("masked_fill")
    with pytest.raises(ValueError):
        x.masked_fill_(pydl.ones(2, 4, 3, dtype=pydl.bool), 1.0)
    with pytest.raises(RuntimeError, match="leaf"):
        start("index_add").requires_grad_(True).index_add_(0, I, pydl.ones(2, 3))


def test_fill_diagonal():
    for shape, wrap in (((3, 3), False), ((3, 5), False), ((7, 3), False), ((7, 3), True), ((4, 4, 4), False)):
        want = np.zeros(shape)
        if len(shape) == 2:
            np.fill_diagonal(want, 2, wrap)
        else:
            want[range(4), range(4), range(4)] = 2
        x = pydl.zeros(shape)
        assert x.fill_diagonal_(2, wrap) is x
        np.testing.assert_array_equal(numpy(x), want)
    for shape in ((3,), (2, 3, 2)):
        with pytest.raises(ValueError, match="fill_diagonal_"):
            pydl.zeros(shape).fill_diagonal_(1)


def test_where_of_one_argument_and_of_a_tensor():
    x = pydl.tensor([[1, 0], [0, 2]])
    assert [i.tolist() for i in pydl.where(x)] == [[0, 1], [0, 1]]
    assert x.where(x > 1, 9).tolist() == [[9, 9], [9, 2]]


def test_direct_forms_are_of_ops_in_place():
    assert set(DIRECT) <= set(IN_PLACE) and not set(VIEWS_IN_PLACE) & set(IN_PLACE)
    for name in (*IN_PLACE, *VIEWS_IN_PLACE):
        assert inspect.getdoc(getattr(pydl.Tensor, f"{name}_"))


@pytest.mark.parity
def test_every_twin_of_pytorch_is_there():
    torch = pytest.importorskip("torch", reason="parity needs torch==2.13.0")
    named = [name for name in dir(torch.Tensor) if name.endswith("_") and not name.startswith("_")]
    assert not [name for name in named if hasattr(pydl.Tensor, name[:-1]) and not hasattr(pydl.Tensor, name)]
