"""Embedding and EmbeddingBag: padding, norms, frequencies, bags; against PyTorch where it is installed."""

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.nn import functional
from pydl.testing import gradcheck, gradgradcheck

rng = np.random.default_rng(0)


def table(rows=6, width=4):
    return pydl.tensor(rng.standard_normal((rows, width)), requires_grad=True)


def test_embedding():
    layer = nn.Embedding(5, 3)
    assert list(layer.state_dict()) == ["weight"] and layer.weight.shape == (5, 3)
    index = pydl.tensor([[0, 4], [2, 2]])
    y = layer(index)
    assert y.tolist() == layer.weight.detach().numpy()[index.numpy()].tolist() and layer(index.to(pydl.int32)).tolist() == y.tolist()
    y.sum().backward()
    assert layer.weight.grad.tolist() == [[1] * 3, [0] * 3, [2] * 3, [0] * 3, [1] * 3]
    values = nn.Embedding(1000, 100).weight.detach().numpy()
    assert abs(values.mean()) < 0.02 and abs(values.std() - 1) < 0.02
    assert nn.Embedding(3, 4, dtype=pydl.float64).weight.dtype is pydl.float64
    with pytest.raises(IndexError, match=r"embedding: index 5 at position \(0, 1\) is out of range for size 5"):
        layer(pydl.tensor([[1, 5]]))
    with pytest.raises(IndexError, match="index -1"):
        layer(pydl.tensor([-1]))


def test_padding():
    layer = nn.Embedding(4, 3, padding_idx=-2)
    assert layer.padding_idx == 2 and layer.weight[2].tolist() == [0, 0, 0] and layer.weight[1].abs().min().item() > 0
    layer(pydl.tensor([2, 1, 2])).sum().backward()
    assert layer.weight.grad.tolist() == [[0] * 3, [1] * 3, [0] * 3, [0] * 3]
    w = table()
    y = functional.embedding(pydl.tensor([1, 2, 1]), w, padding_idx=1)
    (first,) = pydl.autograd.grad((y * y).sum(), w, create_graph=True)
    (second,) = pydl.autograd.grad(first.sum(), w)
    wanted = np.zeros((6, 4))
    wanted[2] = 2
    assert second.numpy().tolist() == wanted.tolist()


def test_max_norm_shortens_what_is_looked_up():
    for order in (1.0, 2.0, 3.0, float("inf")):
        layer = nn.Embedding(5, 4, max_norm=0.5, norm_type=order)
        before = layer.weight.detach().numpy().copy()
        y = layer(pydl.tensor([3, 1, 3]))
        after = layer.weight.detach().numpy()
        norms = np.linalg.norm(before, order, axis=1, keepdims=True)
        wanted = np.where(norms > 0.5, before * (0.5 / (norms + 1e-7)), before)
        np.testing.assert_allclose(after[[1, 3]], wanted[[1, 3]], rtol=1e-6)
        assert after[[0, 2, 4]].tolist() == before[[0, 2, 4]].tolist() and y.tolist() == after[[3, 1, 3]].tolist()
    w = pydl.tensor(np.ones((4, 3)))
    w = pydl.tensor(np.ones((3, 4))).t()            # strided: the rows change there
    functional.embedding(pydl.tensor([1]), w, max_norm=1.0)
    np.testing.assert_allclose(w.numpy()[:, 0], [1, 3 ** -0.5, 1, 1], rtol=1e-6)
    with pytest.raises(RuntimeError, match="modified"):
        w = table()
        y = (w * w).sum()
        functional.embedding(pydl.tensor([1]), w, max_norm=0.1)
        y.backward()


def test_scale_grad_by_freq():
    index = pydl.tensor([0, 1, 1, 1])
    for double in (False, True):
        w = table(3, 2)
        y = functional.embedding(index, w, scale_grad_by_freq=True)
        (g,) = pydl.autograd.grad(y.sum(), w, create_graph=double)
        np.testing.assert_allclose(g.detach().numpy(), [[1, 1], [1, 1], [0, 0]])
    w = table(3, 2)
    f = pydl.tensor([1.0, 2.0, 3.0, 4.0], dtype=pydl.float64)
    functional.embedding_bag(index, w, pydl.tensor([0]), mode="sum", scale_grad_by_freq=True, per_sample_weights=f).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [[1, 1], [3, 3], [0, 0]])


def test_from_pretrained_shares_memory():
    values = pydl.tensor([[1.0, 2.0], [3.0, 4.0]])
    for kind in (nn.Embedding, nn.EmbeddingBag):
        layer = kind.from_pretrained(values)
        assert not layer.weight.requires_grad and layer.weight.data_ptr() == values.data_ptr()
        assert kind.from_pretrained(values, freeze=False, padding_idx=0).weight.requires_grad
        assert kind.from_pretrained(values, padding_idx=0).weight.tolist() == [[1, 2], [3, 4]]
        with pytest.raises(ValueError, match="two dimensions"):
            kind.from_pretrained(values[0])
    with pytest.raises(ValueError, match="_weight"):
        nn.Embedding(3, 2, _weight=values)


def test_refusals():
    for make in (lambda: nn.Embedding(3, 2, sparse=True), lambda: nn.Embedding(3, 2, padding_idx=3), lambda: nn.Embedding(-1, 2),
                 lambda: nn.EmbeddingBag(3, 2, mode="min"), lambda: nn.EmbeddingBag(3, 2, sparse=True)):
        with pytest.raises(ValueError, match=r"Embedding(Bag)?: "):
            make()
    with pytest.raises(TypeError, match="num_embeddings"):
        nn.Embedding(2.5, 2)
    assert nn.Embedding(0, 2)(pydl.zeros(0, dtype=pydl.int64)).shape == (0, 2)


def test_repr():
    assert repr(nn.Embedding(3, 4, padding_idx=-1, max_norm=1.0)) == "Embedding(3, 4, padding_idx=2, max_norm=1.0)"
    assert repr(nn.EmbeddingBag(3, 4, norm_type=1.0, mode="sum")) == "EmbeddingBag(3, 4, norm_type=1.0, mode='sum')"


def test_bags():
    layer = nn.EmbeddingBag(6, 4, mode="sum", padding_idx=1)
    w = layer.weight.detach().numpy()
    assert w[1].tolist() == [0] * 4
    y = layer(pydl.tensor([0, 1, 2, 5]), pydl.tensor([0, 2, 2])).detach().numpy()
    np.testing.assert_allclose(y, [w[0], np.zeros(4), w[2] + w[5]], rtol=1e-6)
    whole = nn.EmbeddingBag(6, 4, include_last_offset=True)
    assert whole(pydl.tensor([0, 1]), pydl.tensor([0, 1, 2])).shape == (2, 4) and whole(pydl.tensor([[0, 1]])).shape == (1, 4)


def test_the_largest_of_a_bag():
    w = pydl.tensor([[1.0, 5.0], [3.0, 5.0], [2.0, np.nan]], requires_grad=True)
    y = functional.embedding_bag(pydl.tensor([0, 1, 1, 0, 2]), w, pydl.tensor([0, 3, 3]), mode="max")
    np.testing.assert_array_equal(y.detach().numpy(), [[3, 5], [0, 0], [2, np.nan]])
    y[:2].sum().backward()
    assert w.grad.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert functional.embedding_bag(pydl.tensor([1, 1]), w, pydl.tensor([0]), mode="max", padding_idx=1).tolist() == [[0, 0]]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_derivatives_of_bags(mode):
    index, offsets = pydl.tensor([0, 1, 2, 5, 1, 1, 3]), pydl.tensor([0, 2, 2, 5])
    assert gradcheck(lambda w: functional.embedding_bag(index, w, offsets, mode=mode, padding_idx=5), (table(),))
    assert gradgradcheck(lambda w: functional.embedding_bag(index, w * w, offsets, mode=mode, padding_idx=5), (table(),))


def test_derivatives_of_weighted_bags():
    index = pydl.tensor([[0, 1, 2], [5, 1, 1]])

    def function(w, f):
        return functional.embedding_bag(index, w, per_sample_weights=f, mode="sum", padding_idx=2) ** 2

    leaves = (table(), pydl.tensor(rng.standard_normal((2, 3)), requires_grad=True))
    assert gradcheck(function, leaves) and gradgradcheck(function, leaves)


def test_the_same_bits_for_any_number_of_threads():
    before, results = pydl.get_num_threads(), []
    w, index = rng.standard_normal((900, 64)).astype(np.float32), rng.integers(0, 900, (300, 20))
    try:
        for threads in (1, 2, 4):
            pydl.set_num_threads(threads)
            one = []
            for mode in ("sum", "mean", "max", None):
                leaf, i = pydl.tensor(w, requires_grad=True), pydl.tensor(index)
                y = functional.embedding(i, leaf) if mode is None else functional.embedding_bag(i, leaf, mode=mode)
                (y * y).sum().backward()
                one += [y.detach().numpy().tobytes(), leaf.grad.numpy().tobytes()]
            results.append(one)
    finally:
        pydl.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parity
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"max_norm": 0.7}, {"scale_grad_by_freq": True}, {"max_norm": 0.7, "norm_type": 1.0}])
def test_parity(mode, options):
    torch = pytest.importorskip("torch")
    ours = {"mode": mode, **options}
    if "scale_grad_by_freq" in options:     # PyTorch's bags divide by the frequency of another row; it refuses "max"
        ours = {"mode": mode}
    w, index, offsets = rng.standard_normal((6, 4)).astype(np.float32), rng.integers(0, 6, 12), np.array([0, 3, 3, 10])
    found = []
    for library in (pydl, torch):
        leaf = library.from_numpy(w.copy()).requires_grad_(True)
        i = library.from_numpy(index)
        y = library.nn.functional.embedding_bag(i, leaf, library.from_numpy(offsets), **ours)
        z = library.nn.functional.embedding(i, leaf, **options)
        (y.square().sum() + z.square().sum()).backward()
        found.append([y.detach().numpy(), z.detach().numpy(), leaf.grad.numpy(), leaf.detach().numpy()])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
