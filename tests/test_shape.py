"""Views, joins and casts: aliasing, and what their functions refuse beyond the op table."""
import numpy as np
import pytest

import pydl


def x34():
    return pydl.tensor(np.arange(12.0, dtype="float32").reshape(3, 4))


@pytest.mark.parametrize("call, error, match", [
    (lambda x: x.flatten(1, 0), ValueError, r"flatten: start_dim 1 comes after end_dim 0 for shape \(3, 4\)"),
    (lambda x: x.flatten(2), IndexError, "flatten: dim 2"),
    (lambda x: x.unflatten(1, (3, 2)), ValueError, "unflatten.*does not fit"),
    (lambda x: x.unflatten(1, ()), ValueError, "unflatten"),
    (lambda x: x.unflatten(5, (2, 2)), IndexError, "unflatten"),
    (lambda x: x.squeeze(2), IndexError, "squeeze"),
    (lambda x: x.unsqueeze(4), IndexError, "unsqueeze"),
    (lambda x: x.transpose(0, 2), IndexError, "transpose"),
    (lambda x: x.transpose("a", 0), TypeError, "transpose: dim must be an int"),
    (lambda x: x.view(3, 2, 2).t(), ValueError, r"t: expected at most 2 dimensions, got shape \(3, 2, 2\)"),
    (lambda x: x.movedim((0, 0), (0, 1)), ValueError, "movedim.*twice"),
    (lambda x: x.movedim(0, (0, 1)), ValueError, "movedim"),
    (lambda x: x.t().view(12), ValueError, r"view: shape \(4, 3\) with strides \(1, 4\).*reshape"),
    (lambda x: x.narrow(0, 1, 3), ValueError, r"narrow: 3 elements from 1 on do not fit into dim 0 of shape \(3, 4\)"),
    (lambda x: x.narrow(0, 0, -1), ValueError, "narrow"),
    (lambda x: x.narrow(0, 4, 0), IndexError, "narrow"),
    (lambda x: x.select(0, 3), IndexError, r"select: index 3 is out of range for dim 0 of shape \(3, 4\)"),
    (lambda x: x.select(0, -2**63), IndexError, "select"),
    (lambda x: pydl.tensor(1.0).select(0, 0), IndexError, "select"),
    (lambda x: x.as_strided((4, 4), (4, 1)), ValueError, "as_strided.*outside the memory"),
    (lambda x: x.as_strided((1,), (1,), -1), ValueError, "as_strided.*outside the memory"),
    (lambda x: x.as_strided((2,), (-1,)), ValueError, "as_strided.*negative"),
    (lambda x: x.as_strided((2**40, 2**40), (2**40, 2**40)), ValueError, "as_strided"),
    (lambda x: x.chunk(0), ValueError, "chunk: chunks must be at least 1"),
    (lambda x: x.roll((1, 2), 0), ValueError, "roll: 2 shifts but 1 dims"),
    (lambda x: x.repeat(2), ValueError, r"repeat.*\(3, 4\)"),
    (lambda x: x.repeat(2, -1), ValueError, "repeat"),
    (lambda x: x.repeat(2**62, 2**62), ValueError, "."),
    (lambda x: x.expand(2**62, 3, 4).clone(), ValueError, "overflow|elements"),
    (lambda x: pydl.tensor([1.0]).expand(2**62).clone(), (ValueError, MemoryError), "."),
    (lambda x: x.to("cuda"), ValueError, "to: the only device is 'cpu'"),
    (lambda x: x.to(3), TypeError, "device"),
    (lambda x: x.masked_select(x), TypeError, "masked_select: mask must be bool"),
    (lambda x: x.masked_select(x[:, :3] > 0), ValueError, r"masked_select: shapes \(3, 4\) and \(3, 3\)"),
    (lambda x: x.masked_fill(x > 0, pydl.tensor([1.0, 2.0])), ValueError, r"masked_fill: value.*\(2,\)"),
    (lambda x: x.take(pydl.tensor([12])), IndexError, "index 12"),
    (lambda x: x.take(pydl.tensor([-13])), IndexError, "index -13"),
    (lambda x: x.take(pydl.tensor([0.5])), TypeError, "take: index must be int64"),
    (lambda x: pydl.take_along_dim(x, pydl.tensor([[0], [1]]), 1), ValueError, r"take_along_dim.*\(3, 4\) and \(2, 1\)"),
    (lambda x: pydl.ops.take_rows([x, x[:2]], pydl.tensor([0])), ValueError, r"take_rows.*\(3, 4\), \(2, 4\)"),
    (lambda x: pydl.ops.take_rows([x], pydl.tensor([3])), IndexError, "take_rows: index 3"),
    (lambda x: (x > 0).index_add(0, pydl.tensor([0]), x[:1] > 0), TypeError, "index_add: not defined for bool"),
    (lambda x: x[(None,) * 15], IndexError, "getitem: the result would have more than 16"),
])
def test_refusals(call, error, match):
    x = x34()
    with pytest.raises(error, match=match):
        call(x)
    assert x.tolist() == x34().tolist()


def test_views_share_memory_and_copies_do_not():
    x = x34()
    for same in (x.view(2, 6), x.reshape(-1), x.t(), x.T, x.flatten(), x.unsqueeze(0), x.squeeze(), x.expand(2, 3, 4), x.contiguous(),
                 x.to(pydl.float32), x.movedim(0, 1), x.permute(1, 0), x.chunk(2)[0], x.narrow(0, 0, 1), x.detach()):
        assert same.data_ptr() == x.data_ptr()
    for other in (x.clone(), x.t().reshape(-1), x.t().contiguous(), x.flip(0), x.roll(1), x.repeat(1, 1), x.to(pydl.float32, copy=True), x.double()):
        assert other.data_ptr() != x.data_ptr()
        other.zero_()
    assert x.tolist() == x34().tolist()


def test_view_rules_as_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for _ in range(400):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 5)))
        order = tuple(int(d) for d in rng.permutation(len(shape)))
        steps = tuple(slice(None, None, int(rng.integers(1, 3))) for _ in shape)
        a = np.arange(np.prod(shape), dtype="float32").reshape(shape)
        x, t = pydl.tensor(a).permute(order)[steps], torch.tensor(a).permute(order)[steps]
        sizes = [int(n) for n in x.shape]
        new = [n for size in sizes for n in ((size,) if rng.random() < 0.6 or size % 2 else (2, size // 2))]
        if len(new) > 1 and rng.random() < 0.6:
            at = int(rng.integers(len(new) - 1))
            new[at:at + 2] = [new[at] * new[at + 1]]
        if rng.random() < 0.3:
            new.insert(int(rng.integers(len(new) + 1)), 1)
        try:
            want = t.view(new)
        except RuntimeError:
            with pytest.raises(ValueError, match="view"):
                x.view(new)
            continue
        got = x.view(new)
        assert [s for s, n in zip(got.stride(), new) if n > 1] == [s for s, n in zip(want.stride(), new) if n > 1]
        np.testing.assert_array_equal(got.numpy(), want.numpy())


def test_casts_are_defined_everywhere():
    a = np.array([0, -0.0, 1.9, -1.9, 255.5, -1, 2.0**31, -(2.0**31), -(2.0**31) - 1, 2.0**53 + 2, 2.0**63, -(2.0**63), 1e30, -1e30,
                  np.inf, -np.inf, np.nan])
    low = -2**63
    for dtype in ("float32", "float64"):
        x = pydl.tensor(a.astype(dtype)).repeat(9)      # whole blocks of values that do not fit, and mixed ones
        want = [low if not -2.0**63 <= v < 2.0**63 else int(v) for v in a.astype(dtype).tolist()] * 9
        assert x.long().tolist() == want
        assert x.int().tolist() == [v if -2**31 <= v < 2**31 else -2**31 for v in want]
        assert x.byte().tolist() == [v % 256 for v in want]
        assert x.bool().tolist() == [v != 0 for v in a.tolist()] * 9
    for n in (2**31, 2**51 - 1, 2**51, 2**53 + 1, 2**62 + 1, 2**63 - 1):
        i = np.array([n, -n, n // 3, 7] * 40)
        np.testing.assert_array_equal(pydl.tensor(i).double().numpy(), i.astype("float64"))
        np.testing.assert_array_equal(pydl.tensor(i).float().numpy(), i.astype("float32"))
    assert pydl.tensor([2**31 + 5, -1, 2**40]).int().tolist() == [-2**31 + 5, -1, 0]
    assert pydl.tensor([257, -1]).byte().tolist() == [1, 255]


def test_copies_of_every_layout():
    rng = np.random.default_rng(1)
    for _ in range(300):
        ndim = int(rng.integers(1, 5))
        shape = tuple(int(n) for n in rng.integers(1, (4000, 200, 40, 16)[ndim - 1] // rng.integers(1, 4), ndim))
        a = rng.integers(0, 100, shape).astype(("float32", "float64", "int64", "int32", "uint8")[rng.integers(5)])
        order = tuple(int(d) for d in rng.permutation(len(shape)))
        x, b = pydl.tensor(a).permute(order), a.transpose(order)
        d = int(rng.integers(len(shape)))
        x, b = x.narrow(d, x.shape[d] // 3, x.shape[d] - x.shape[d] // 3), b.take(range(b.shape[d] // 3, b.shape[d]), d)
        np.testing.assert_array_equal(x.contiguous().numpy(), b)
        np.testing.assert_array_equal(x.flip(d).numpy(), np.flip(b, d))
        y = pydl.zeros(*b.shape[::-1], dtype=x.dtype).permute(tuple(range(len(shape)))[::-1])
        y[...] = x
        np.testing.assert_array_equal(y.numpy(), b)


def test_rows_of_several_tensors():
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal((50, 3, 2)), rng.integers(0, 9, 50), rng.standard_normal((2, 50)).T, np.zeros((50, 0)), rng.random(50) < 0.5]
    index = rng.integers(0, 50, 200)
    for got, a in zip(pydl.ops.take_rows([pydl.tensor(a) for a in arrays], pydl.tensor(index)), arrays, strict=True):
        np.testing.assert_array_equal(got.numpy(), a[index])
    assert pydl.ops.take_rows([pydl.tensor(arrays[0])], pydl.tensor(index[:0]))[0].shape == (0, 3, 2)
    x = pydl.tensor(arrays[0], requires_grad=True)
    pydl.ops.take_rows([x], pydl.tensor(index))[0].sum().backward()
    np.testing.assert_array_equal(x.grad.numpy()[:, 0, 0], np.bincount(index, minlength=50))


def test_batches_of_several_tensors():
    rng = np.random.default_rng(3)
    arrays, index = [rng.standard_normal((50, 700)), rng.integers(0, 9, 50)], rng.integers(0, 50, 333)
    batches = pydl.ops.take_batches([pydl.tensor(a) for a in arrays], pydl.tensor(index), 64)
    assert [len(x) for x, _ in batches] == [64] * 5 + [13]
    for got, a in zip(zip(*batches, strict=True), arrays, strict=True):
        np.testing.assert_array_equal(pydl.cat(got).numpy(), a[index])


@pytest.mark.parametrize(("place", "value"), [(0, -1), (150_001, 50), (299_999, -51)])
def test_one_bad_index_among_many(place, value):
    index = np.zeros(300_000, np.int64)
    index[place] = value
    with pytest.raises(IndexError, match=str(value)):
        pydl.index_select(pydl.zeros(50), 0, pydl.tensor(index))


def test_a_number_is_its_own_slice():
    x = pydl.tensor(4.0)
    for k in (0, 1):
        values, indices = pydl.topk(x, k)
        assert values.item() == 4 and indices.item() == 0
    assert pydl.index_select(x, 0, pydl.tensor([0])).item() == 4
    assert pydl.index_add(x, 0, pydl.tensor([0]), pydl.tensor(2.0)).item() == 6
