"""Indexing: random expressions against NumPy (values and assignment), gradients against PyTorch, aliasing, errors."""
import numpy as np
import pytest

import pydl

SHAPES = ((), (1,), (7,), (5, 4), (3, 1, 6), (2, 3, 4), (2, 3, 2, 5), (0, 3), (2, 0, 3))


def random_index(rng, shape):
    """A tuple of NumPy objects that is nearly always a valid index of an array of this shape."""
    index, d, dotted = [], 0, False
    arrays, masked = rng.random() < 0.5, False
    common = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))
    while d < len(shape):
        size, kind = shape[d], rng.integers(0, 10)
        if kind == 0:
            index.append(None)
        elif kind == 1 and not dotted:
            dotted = True
            index.append(...)
            d += int(rng.integers(0, len(shape) - d + 1))
        elif kind < 6 and arrays and size:
            lengths = tuple(n if rng.random() < 0.8 else 1 for n in common) or (1,)
            index.append(rng.integers(-size, size, lengths))
            d += 1
        elif kind == 6 and arrays and not masked:
            masked = True
            used = int(rng.integers(1, len(shape) - d + 1))
            index.append(rng.random(shape[d:d + used]) < 0.5)
            d += used
        elif kind < 8 or not size:
            start, stop = (None if rng.random() < 0.3 else int(rng.integers(-size - 2, size + 3)) for _ in range(2))
            index.append(slice(start, stop, None if rng.random() < 0.5 else int(rng.integers(1, 4))))
            d += 1
        else:
            index.append(int(rng.integers(-size, size)))
            d += 1
    return tuple(index)


def valid(rng, shape):
    """A random index that NumPy accepts, without the rules where PyTorch differs from NumPy (ints beside arrays)."""
    while True:
        index = random_index(rng, shape)
        if any(isinstance(one, np.ndarray) for one in index) and any(isinstance(one, int) for one in index):
            continue
        used = sum(one.ndim if isinstance(one, np.ndarray) and one.dtype == bool else one is not None and one is not ...
                   for one in index)
        if used == len(shape):          # in NumPy alone a ... that stands for nothing keeps its neighbours apart
            index = tuple(one for one in index if one is not ...)
        try:
            np.zeros(shape)[index]
        except IndexError:
            continue
        return index


def as_pydl(rng, index):
    """The same index with some arrays as tensors or lists."""
    made = []
    for one in index:
        if isinstance(one, np.ndarray):
            pick = rng.integers(0, 3)
            made.append(pydl.tensor(one) if pick == 0 else one.tolist() if pick == 1 and one.size else one)
        else:
            made.append(one)
    return made[0] if len(made) == 1 and rng.random() < 0.5 else tuple(made)


@pytest.mark.parametrize("seed", range(40))
def test_values_as_numpy(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        shape = SHAPES[rng.integers(len(SHAPES))]
        dtype = ("float32", "float64", "int64", "int32", "uint8", "bool")[rng.integers(6)]
        a = np.asarray(rng.integers(0, 100, shape)).astype(dtype)
        x = pydl.tensor(a)
        if len(shape) > 1 and rng.random() < 0.4:
            a, x = a.swapaxes(0, -1), x.transpose(0, -1)
        index = valid(rng, a.shape)
        want, got = a[index], x[as_pydl(rng, index)]
        assert got.shape == want.shape, index
        assert got.dtype is x.dtype
        np.testing.assert_array_equal(got.numpy(), want, err_msg=str(index))


@pytest.mark.parametrize("seed", range(40))
def test_assignment_as_numpy(seed):
    rng = np.random.default_rng(1000 + seed)
    for _ in range(50):
        shape = SHAPES[rng.integers(len(SHAPES))]
        dtype = ("float32", "float64", "int64", "int32", "uint8", "bool")[rng.integers(6)]
        a = np.asarray(rng.integers(0, 100, shape)).astype(dtype)
        base = pydl.tensor(a)
        x = base
        if len(shape) > 1 and rng.random() < 0.4:
            a, x = a.swapaxes(0, -1), x.transpose(0, -1)
        index = valid(rng, a.shape)
        there = a[index].shape
        lengths = tuple(1 if rng.random() < 0.2 else n for n in there)[int(rng.integers(0, len(there) + 1)):]
        value = np.asarray(rng.integers(0, 100, lengths)).astype(dtype)
        if rng.random() < 0.2:
            value = value.reshape(-1)[0].item() if value.size else 1
        before = x._version
        a[index] = value
        x[as_pydl(rng, index)] = pydl.tensor(value) if isinstance(value, np.ndarray) and rng.random() < 0.7 else value
        assert x._version == before + 1
        np.testing.assert_array_equal(x.numpy(), a, err_msg=f"{shape} {index} {np.shape(value)}")


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(20))
def test_gradients_as_torch(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2000 + seed)
    for _ in range(20):
        shape = SHAPES[rng.integers(len(SHAPES))]
        a = rng.standard_normal(shape)
        index = valid(rng, shape)
        theirs = tuple(torch.from_numpy(one) if isinstance(one, np.ndarray) else one for one in index)
        x, t = pydl.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        y, u = x[as_pydl(rng, index)], t[theirs]
        weight = rng.standard_normal(y.shape)
        (y * y * pydl.tensor(weight)).sum().backward()
        (u * u * torch.from_numpy(weight)).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-12, atol=1e-12, err_msg=str(index))

        x, t = pydl.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        v, w = (make(np.asarray(weight), requires_grad=True) for make in (pydl.tensor, torch.tensor))
        places = np.zeros(shape, dtype=int)
        np.add.at(places, index, 1)
        if (places > 1).any():
            continue                    # of equal places the last wins here; PyTorch does not say
        y, u = x * 2, t * 2
        y[as_pydl(rng, index)], u[theirs] = v, w
        np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy())
        (y * y * y).sum().backward()
        (u * u * u).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-12, err_msg=str(index))
        np.testing.assert_allclose(v.grad.numpy(), w.grad.numpy(), rtol=1e-12, err_msg=str(index))


@pytest.mark.parity
def test_ints_beside_arrays_as_torch():
    torch = pytest.importorskip("torch")
    a = np.arange(120.0).reshape(2, 3, 4, 5)
    x, t = pydl.tensor(a), torch.tensor(a)
    for index in ((0, slice(None), [1, 2]), ([0, 1], 1, slice(None), [2, 3]), (slice(None), [0], 1, [1, 2, 3]),
                  (1, [0, 2], ..., 0), (None, 0, [0, 1], None), (..., [0, 1], 2), (True, [1]), (False, [1])):
        want = t[index]
        assert x[index].shape == tuple(want.shape), index
        np.testing.assert_array_equal(x[index].numpy(), want.numpy())


def test_second_derivative():
    a, i = np.random.default_rng(0).standard_normal((4, 3)), pydl.tensor([0, 2, 2, -1])
    from pydl.testing import gradcheck, gradgradcheck

    x = pydl.tensor(a, requires_grad=True)
    v = pydl.tensor(np.random.default_rng(1).standard_normal((2, 3)), requires_grad=True)

    def written(x, v):
        y = x * 1.0
        y[1:3] = v * v
        y[[0, 3], 1:] = 2.0
        return y * y

    for f, args in ((lambda x: x[i] ** 2, (x,)), (lambda x: x[i, [0, 1, 2, 0]] ** 2, (x,)), (lambda x: x[1:, ::2] ** 3, (x,)),
                    (written, (x, v))):
        assert gradcheck(f, args)
        assert gradgradcheck(f, args)


def test_basic_indices_are_views():
    x = pydl.tensor(np.zeros((4, 5)))
    for part in (x[1], x[1:3], x[:, 2], x[..., None], x[None, 1, ::2], x.t(), x.view(20), x.diagonal(), x.narrow(1, 2, 2),
                 x.unbind(1)[0], x.split(2)[1], x.expand(2, 4, 5), x.as_strided((3,), (2,), 1)):
        assert part._version == x._version
        before = x._version
        x[2, 3] = 1.0
        assert part._version == before + 1
    assert pydl.tensor([1, 2, 3])[[0]].data_ptr() != pydl.tensor([1, 2, 3]).data_ptr()


def test_writing_through_views_and_overlap():
    a = np.arange(10.0)
    x = pydl.tensor(a)
    x[1:] = x[:-1]
    a[1:] = a[:-1].copy()
    np.testing.assert_array_equal(x.numpy(), a)
    x[[0, 1, 2]] = x[[2, 1, 0]]
    a[[0, 1, 2]] = a[[2, 1, 0]]
    m = pydl.tensor(np.arange(9.0).reshape(3, 3))
    m[:] = m.t()
    np.testing.assert_array_equal(m.numpy(), np.arange(9.0).reshape(3, 3).T)
    m[[0, 2]] = m[1]
    np.testing.assert_array_equal(m.numpy()[0], m.numpy()[1])
    np.testing.assert_array_equal(x.numpy(), a)


def test_last_of_equal_places_wins_and_sums_have_a_fixed_order():
    x = pydl.tensor(np.zeros(3))
    x[[1, 1, 1]] = pydl.tensor([1.0, 2.0, 3.0], dtype=pydl.float64)
    assert x.tolist() == [0, 3, 0]
    rng = np.random.default_rng(3)
    index, source = pydl.tensor(rng.integers(0, 50, 20000)), pydl.tensor(rng.standard_normal((20000, 33)).astype("float32"))
    results = []
    for n in (1, 2, 4):
        with pydl.threads(n):
            results.append(pydl.tensor(np.zeros((50, 33), "float32")).index_add(0, index, source).numpy())
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def test_in_place_and_the_graph():
    leaf = pydl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="setitem.*leaf"):
        leaf[0] = 1.0
    with pytest.raises(RuntimeError, match="setitem.*leaf"):
        leaf[1:][0] = 1.0
    assert leaf.tolist() == [1, 2, 3]
    with pydl.no_grad():
        leaf[0] = 5.0
    y = leaf * 1.0
    part = y[1:]
    part[0] = 7.0                       # a write through a view reaches its base's graph
    y.sum().backward()
    assert leaf.grad.tolist() == [1, 0, 1]
    z = leaf.exp()
    z[0] = 0.0
    with pytest.raises(RuntimeError, match="modified in place"):
        z.sum().backward()
    w = pydl.tensor([4.0], requires_grad=True)
    buffer = pydl.tensor([0.0, 0.0])
    buffer[1:] = w                      # what had no history gets one
    (buffer * 3).sum().backward()
    assert w.grad.tolist() == [3]


def test_masks_of_no_dimension():
    x = pydl.tensor(np.float32(3))
    assert x[True].tolist() == [3] and x[False].tolist() == []
    assert x[()].item() == 3 and x[None].shape == (1,)
    x[...] = 4
    assert x.item() == 4


@pytest.mark.parametrize("index, error, match", [
    (5, IndexError, r"getitem: index 5 is out of range for dim 0 of shape \(4, 3\)"),
    ((0, -4), IndexError, "getitem: index -4 is out of range for dim 1"),
    ((0, 0, 0), IndexError, r"getitem: too many indices: 3 for shape \(4, 3\)"),
    ((..., ...), IndexError, "getitem.*ellipsis"),
    ([0, 4], IndexError, "getitem: index 4 at position 1 is out of range for size 4"),
    ([[0, 1], [2, -5]], IndexError, r"getitem: index -5 at position \(1, 1\) is out of range for size 4"),
    (([0, 1], [0, 1, 2]), IndexError, r"getitem: .*\(2,\), \(3,\) do not broadcast"),
    (slice(None, None, -1), ValueError, "getitem: .*step must be positive"),
    (slice(None, None, 0), ValueError, "getitem: .*step must be positive"),
    (1.5, TypeError, "getitem: an index"),
    ("a", TypeError, "getitem"),
    ([0.5], TypeError, "getitem: an index array"),
    (np.array([True, False]), IndexError, r"getitem: a mask of shape \(2,\) does not fit"),
    (2**70, IndexError, "getitem: index"),
    (-2**63, IndexError, "getitem: index"),
    (np.array([2**63 - 1]), IndexError, "getitem: index 9223372036854775807"),
    (np.array([-2**63]), IndexError, "getitem: index -9223372036854775808"),
    ([[0], [1, 2]], ValueError, "getitem"),
    (slice("a"), TypeError, "getitem"),
])
def test_bad_indices(index, error, match):
    x = pydl.tensor(np.zeros((4, 3)))
    with pytest.raises(error, match=match):
        x[index]
    with pytest.raises(error, match=match.replace("getitem", "setitem")):
        x[index] = 1.0
    assert not x.numpy().any()


def test_bad_values():
    x = pydl.tensor(np.zeros((4, 3)))
    for value in (np.zeros(2), np.zeros((2, 4, 3)), np.zeros((4, 1, 3))):
        with pytest.raises(ValueError, match="setitem.*does not broadcast"):
            x[:] = value
    with pytest.raises(ValueError, match="setitem.*does not broadcast"):
        x[[0, 1]] = np.ones(4)
    with pytest.raises(ValueError, match="setitem: 256 does not fit"):
        pydl.tensor(np.zeros(3, "uint8"))[0] = 256
    with pytest.raises(TypeError):
        x[0] = object()
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    assert not x.numpy().any()


def test_large_integers_stay_exact():
    big = 2**63 - 1
    x = pydl.tensor(np.zeros(3, "int64"))
    x[1:] = big
    assert x.tolist() == [0, big, big]
    x[[0]] = -big
    x[x == big] = big - 1
    assert x.tolist() == [-big, big - 1, big - 1]


def test_nonzero_masks_and_one_hot():
    rng = np.random.default_rng(4)
    for shape in ((), (0,), (5,), (200_001,), (3, 70, 1000), (2, 0, 3)):
        a = np.asarray(rng.random(shape) < 0.3)
        x = pydl.tensor(a)
        np.testing.assert_array_equal(pydl.nonzero(x).numpy(), np.argwhere(a))
        for got, want in zip(pydl.nonzero(x, as_tuple=True), np.nonzero(np.atleast_1d(a)), strict=True):
            np.testing.assert_array_equal(got.numpy(), want)
        values = rng.standard_normal(shape)
        np.testing.assert_array_equal(pydl.tensor(values).masked_select(x).numpy(), np.asarray(values)[a].reshape(-1))
    np.testing.assert_array_equal(pydl.one_hot(pydl.tensor([[1, 0], [2, 2]])).numpy(), np.eye(3, dtype=int)[[[1, 0], [2, 2]]])
    with pytest.raises(IndexError, match="one_hot: index 3 at position 1"):
        pydl.one_hot(pydl.tensor([0, 3]), 3)


@pytest.mark.parametrize("index", [None, True, (None, ...), (..., None), (None, [0, 2, 4, 3, 1]), (True, slice(None)),
                                   (None, None), np.array([True] * 5), [0, 1, 2, 3, 4]], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (1, 1), (5, 1)], ids=str)
def test_gradients_of_values_have_their_shape(index, shape):
    torch = pytest.importorskip("torch")
    weight, results = np.arange(1.0, 6), []
    for library in (pydl, torch):
        value = library.ones(shape, dtype=library.float64, requires_grad=True)
        x = library.zeros(5, dtype=library.float64) * 1.0
        try:
            x[library.tensor(index) if isinstance(index, np.ndarray) else index] = value
        except (ValueError, RuntimeError, IndexError):
            results.append(None)
            continue
        (x * library.tensor(weight)).sum().backward()
        results.append((x.detach().numpy(), value.grad.numpy()))
    ours, theirs = results
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert ours[1].shape == shape
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_ranges():
    a = np.arange(20).reshape(4, 5)
    x = pydl.tensor(a)
    np.testing.assert_array_equal(x[range(3)].numpy(), a[range(3)])
    np.testing.assert_array_equal(x[range(3), range(2, 5)].numpy(), a[range(3), range(2, 5)])
    np.testing.assert_array_equal(x[:, range(3, 0, -2)].numpy(), a[:, [3, 1]])
    assert x[range(0)].shape == (0, 5)
    x[range(2)] = 7
    assert x[:2].tolist() == [[7] * 5] * 2 and x[2:].tolist() == a[2:].tolist()
    with pytest.raises(IndexError, match="getitem: index 4"):
        x[range(5)]


def test_a_refused_write_into_a_view_changes_nothing():
    a = np.zeros((2, 3), "float32")
    part = pydl.from_numpy(a.T)[0]
    with pytest.raises(RuntimeError, match="non-contiguous"):
        part[:] = pydl.ones(2, requires_grad=True)
    assert not a.any() and not part.requires_grad
