"""Types of results: of two operands, in place, of joined tensors, of functions of integers."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pydl

TYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")     # each may become any that follows
KIND = {"bool": 0, "uint8": 1, "int32": 1, "int64": 1, "float32": 2, "float64": 2}
NUMBERS = {"bool": True, "int64": 1, "float32": 1.0}     # Python's, and the types that they stand for
RANKS = ("dimensioned", "0-d", "number")

SAME = "add sub mul floor_divide remainder fmod pow maximum minimum where clamp addcmul bitwise_and bitwise_or bitwise_xor".split()
REAL = "div atan2".split()
BOOL = "eq ne lt le gt ge logical_and logical_or logical_xor".split()
NOT_OF_BOOL = "floor_divide remainder fmod pow addcmul".split()
NOT_OF_FLOATS = "bitwise_and bitwise_or bitwise_xor".split()

Operand = tuple[str, str]       # (rank, type)


def common(*operands: Operand) -> str:
    """The highest type among the highest rank, or among a lower rank that alone has a higher kind."""
    result = ""
    for rank in RANKS:
        types = [kind for one, kind in operands if one == rank]
        if types:
            highest = max(types, key=TYPES.index)
            result = highest if not result or KIND[highest] > KIND[result] else result
    return result


def expected(name: str, *operands: Operand) -> str | None:
    """The type of the result; None where the op refuses it."""
    found = common(*operands)
    if name == "sub" and any(kind == "bool" for _, kind in operands):
        return None
    if name in NOT_OF_BOOL and found == "bool" or name in NOT_OF_FLOATS and KIND[found] == 2:
        return None
    return "bool" if name in BOOL else "float32" if name in REAL and KIND[found] < 2 else found


def pairs() -> Iterator[tuple[Operand, Operand]]:
    """Every two operands, of which one at least is a tensor."""
    every = [(rank, kind) for rank in RANKS for kind in (NUMBERS if rank == "number" else TYPES)]
    return ((a, b) for a, b in itertools.product(every, every) if (a[0], b[0]) != ("number", "number"))


def make(library: Any, operand: Operand) -> Any:
    rank, kind = operand
    if rank == "number":
        return NUMBERS[kind]
    return library.ones((2,) if rank == "dimensioned" else (), dtype=getattr(library, kind))


def run(library: Any, name: str, a: Any, b: Any) -> Any:
    if name == "where":
        return library.where(library.tensor([True, False]), a, b)
    if name == "clamp":
        return library.clamp(a, b)
    if name == "addcmul":
        return library.addcmul(a, a, b)
    return getattr(library, name)(a, b)


def takes(name: str, a: Operand, b: Operand) -> bool:
    if name in ("clamp", "addcmul") and a[0] == "number" or name == "addcmul" and b[0] == "number":
        return False
    return True


@pytest.mark.parametrize("name", [*SAME, *REAL, *BOOL])
def test_two_operands(name: str) -> None:
    for a, b in pairs():
        if not takes(name, a, b):
            continue
        want = expected(name, a, b)
        if want is None:
            with pytest.raises(TypeError):
                run(pydl, name, make(pydl, a), make(pydl, b))
            continue
        got = run(pydl, name, make(pydl, a), make(pydl, b))
        assert got.dtype.name == want, f"{name}({a}, {b}): {got.dtype}, {want} is due"
        assert got.shape == ((2,) if name == "where" or "dimensioned" in (a[0], b[0]) else ())


@pytest.mark.parity
@pytest.mark.parametrize("name", [*SAME, *REAL, *BOOL])
def test_two_operands_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    for a, b in pairs():
        wants_tensors = name in ("maximum", "minimum", "atan2", "fmod") or name in BOOL or a[0] == "number" and name in REAL
        if not takes(name, a, b) or wants_tensors and "number" in (a[0], b[0]):
            continue        # PyTorch takes no number there
        if name == "pow" and b == ("number", "bool") and a[1] == "bool":
            continue        # bool ** True is bool there
        try:
            theirs = run(torch, name, make(torch, a), make(torch, b))
        except (RuntimeError, NotImplementedError):
            assert expected(name, a, b) is None or name == "clamp", f"{name}({a}, {b})"     # pydl clamps bool, too
            continue
        assert expected(name, a, b) == str(theirs.dtype).removeprefix("torch."), f"{name}({a}, {b})"
        ours = run(pydl, name, make(pydl, a), make(pydl, b))
        assert ours.dtype.name == expected(name, a, b)
        np.testing.assert_allclose(ours.numpy().astype(float), theirs.double().numpy(), rtol=1e-6)


def test_values() -> None:
    i, f, d = pydl.tensor([1, -7]), pydl.tensor([0.1, 2.5]), pydl.tensor([0.1, 2.5], dtype=pydl.float64)
    assert (i + 1.5).tolist() == [2.5, -5.5] and (1.5 - i).tolist() == [0.5, 8.5]
    assert (i / 2).tolist() == [0.5, -3.5] and (i // 2.0).tolist() == [0.0, -4.0] and (i % 2.5).tolist() == [1.0, 0.5]
    assert (f + d).tolist() == (f.double() + d).tolist()
    assert (f + d[0]).tolist() == (f + d[0].float()).tolist()
    b = pydl.tensor([True, False])
    assert (b + b).tolist() == (b * True).tolist() == [True, False] and (b + 2).tolist() == [3, 2]
    assert pydl.where(b, i, 0.5).tolist() == [1.0, 0.5] and pydl.clamp(i, -1.5, 0.5).tolist() == [0.5, -1.5]
    assert pydl.add(i, f, alpha=2).dtype is pydl.float32
    with pytest.raises(TypeError, match=r"alpha.*int64"):
        pydl.add(i, i, alpha=1.5)
    assert pydl.add(b, b, alpha=2).tolist() == [True, False] and pydl.add(b, b, alpha=2).dtype is pydl.bool
    with pytest.raises(TypeError, match="sub"):
        pydl.sub(b, i, alpha=2)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "where", "atan2", "remainder"])
def test_gradients_have_the_type_of_their_input(name: str) -> None:
    x = pydl.tensor([1.5, 2.5], requires_grad=True)
    y = pydl.tensor([0.7, 0.9], dtype=pydl.float64, requires_grad=True)
    for a, b in ((x, y), (y, x), (x, y[0]), (y, x[0]), (pydl.tensor([2, 3]), y), (x, pydl.tensor([2, 3], dtype=pydl.int32))):
        x.grad = y.grad = None
        run(pydl, name, a, b).sum().backward()
        alone = [pydl.tensor(one.detach().numpy(), dtype=pydl.float64, requires_grad=True) for one in (a, b)]
        run(pydl, name, *alone).sum().backward()
        for one, wide in zip((a, b), alone):
            if one.dtype.is_floating_point and one.is_leaf:
                assert one.grad is not None and one.grad.dtype is one.dtype
                np.testing.assert_allclose(one.grad.numpy(), wide.grad.numpy(), rtol=1e-6)


def test_in_place() -> None:
    for a, b in itertools.product(TYPES, TYPES):
        x, y = make(pydl, ("dimensioned", a)), make(pydl, ("dimensioned", b))
        if KIND[b] <= KIND[a]:
            assert x.mul_(y).dtype.name == a
        else:
            with pytest.raises(TypeError, match=f"mul_.*{b}.*{a}"):
                x.mul_(y)
        assert x.eq_(y).dtype.name == a
        assert pydl.can_cast(getattr(pydl, b), getattr(pydl, a)) == (KIND[b] <= KIND[a])
    i = pydl.tensor([1, 2])
    for change in (lambda: i.add_(1.5), lambda: i.div_(2), lambda: i.exp_(), lambda: pydl.tensor([True]).add_(1)):
        with pytest.raises(TypeError):
            change()
    assert i.tolist() == [1, 2]
    x = pydl.ones(2, requires_grad=True)
    y = x * 1
    y *= pydl.tensor([2.0, 3.0], dtype=pydl.float64)
    y.sum().backward()
    assert y.dtype is x.grad.dtype is pydl.float32 and x.grad.tolist() == [2.0, 3.0]


def test_joined() -> None:
    for join, (a, b) in itertools.product((pydl.cat, pydl.stack), itertools.product(TYPES, TYPES)):
        y = join([make(pydl, ("dimensioned", a)), make(pydl, ("dimensioned", b))])
        assert y.dtype.name == common(("0-d", a), ("0-d", b)) and y.sum().item() == 4
    x, y = pydl.ones(2, requires_grad=True), pydl.ones(1, dtype=pydl.float64, requires_grad=True)
    (pydl.cat([x, y, pydl.tensor([3])]) * pydl.tensor([1, 2, 3, 4])).sum().backward()
    assert x.grad.dtype is pydl.float32 and x.grad.tolist() == [1, 2] and y.grad.dtype is pydl.float64 and y.grad.tolist() == [3]


def test_losses() -> None:
    x, t = pydl.tensor([0.1, 0.7], requires_grad=True), pydl.tensor([0, 1])
    for loss in (pydl.nn.functional.mse_loss, pydl.nn.functional.l1_loss, pydl.nn.functional.binary_cross_entropy_with_logits):
        for target, kind in ((t, pydl.float32), (t.double(), pydl.float64), (t.double()[:1].expand(2), pydl.float64)):
            x.grad = None
            y = loss(x, target)
            y.backward()
            assert y.dtype is kind and x.grad.dtype is pydl.float32


FLOATING = ("exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
            "erf erfc sigmoid").split()


@pytest.mark.parametrize("kind", ["bool", "uint8", "int32", "int64"])
def test_functions_of_integers(kind: str) -> None:
    x = make(pydl, ("dimensioned", kind))
    for name in FLOATING:
        y = getattr(pydl, name)(x)
        assert y.dtype is pydl.float32, name
        assert y.tolist() == getattr(pydl, name)(x.float()).tolist()
    for name in ("sum", "prod", "cumsum", "cumprod"):
        assert getattr(pydl, name)(x, **({"dim": 0} if "cum" in name else {})).dtype is pydl.int64, name
    assert pydl.sign(x).dtype is x.dtype and pydl.sign(x) is not x and pydl.sign(x).tolist() == [1, 1]
    assert pydl.logsumexp(x, 0).dtype is pydl.float32
    assert pydl.square(x).dtype is (pydl.int64 if kind == "bool" else x.dtype)
    if kind != "bool":
        assert pydl.floor(x).dtype is pydl.relu(x).dtype is x.dtype and pydl.floor(x) is not x
    with pytest.raises(TypeError):
        pydl.mean(x)


@pytest.mark.parametrize("kind", ["uint8", "int32", "int64"])
def test_products_of_integers(kind: str) -> None:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "matmul": ((2, 3, 4), (4, 5)), "mm": ((3, 4), (4, 0)), "bmm": ((2, 3, 4), (2, 4, 1)), "mv": ((3, 4), (4,)), "dot": ((4,), (4,)),
    }
    for name, (left, right) in shapes.items():
        a, b = rng.integers(0, 99, left).astype(kind), rng.integers(0, 99, right).astype(kind)
        y = getattr(pydl, name)(pydl.tensor(a), pydl.tensor(b))
        assert y.dtype.name == kind
        np.testing.assert_array_equal(y.numpy(), np.matmul(a, b))
    a = rng.integers(0, 9, (3, 4)).astype(kind)
    x = pydl.tensor(a)
    np.testing.assert_array_equal(pydl.nn.functional.linear(x, x, x[:, 0]).numpy(), a @ a.T + a[:, 0])
    np.testing.assert_array_equal((x.T @ x).numpy(), a.T @ a)
    np.testing.assert_array_equal(pydl.outer(x[0], x[1]).numpy(), np.outer(a[0], a[1]))
    with pytest.raises(TypeError, match="matmul"):
        pydl.matmul(x, x.float().T)
    with pytest.raises(TypeError, match="bool"):
        pydl.matmul(x.bool(), x.bool().T)


def test_limits() -> None:
    single, double = pydl.finfo(pydl.float32), pydl.finfo(float)
    assert (single.eps, single.bits, single.dtype, double.bits) == (2.0**-23, 32, "float32", 64) and pydl.finfo() == single != double
    assert single.max == -single.min == pydl.tensor(3.4028235e38).item() and single.tiny == single.smallest_normal == 2.0**-126
    assert repr(single).startswith("finfo(resolution=1e-06, min=-3.40282e+38")
    assert (pydl.iinfo(pydl.uint8).max, pydl.iinfo(int).min, pydl.iinfo(pydl.int32).bits) == (255, -2**63, 32)
    for wrong in (lambda: pydl.finfo(pydl.int64), lambda: pydl.iinfo(pydl.float32), lambda: pydl.iinfo(pydl.bool)):
        with pytest.raises(TypeError):
            wrong()


def test_questions() -> None:
    assert pydl.result_type(pydl.tensor([1], dtype=pydl.uint8), -1) is pydl.uint8
    assert pydl.result_type(1, 2.5) is pydl.float32 and pydl.result_type(True, 1) is pydl.int64
    for a, b in itertools.product(TYPES, TYPES):
        assert pydl.promote_types(getattr(pydl, a), getattr(pydl, b)).name == max(a, b, key=TYPES.index)
    for call in (lambda: pydl.promote_types("float32", pydl.int64), lambda: pydl.result_type("x", 1), lambda: pydl.can_cast(None, pydl.bool)):
        with pytest.raises(TypeError):
            call()


@pytest.fixture
def double() -> Iterator[None]:
    pydl.set_default_dtype(pydl.float64)
    yield
    pydl.set_default_dtype(pydl.float32)


def test_default_type(double: None) -> None:
    assert pydl.get_default_dtype() is pydl.float64
    i = pydl.tensor([1, 2])
    for y in (i + 1.5, i / i, i.exp(), pydl.where(i > 0, 1, 2.0), pydl.tensor(1.5), pydl.tensor([1.5]), pydl.zeros(2), pydl.full((2,), 1.5),
              pydl.linspace(0, 1, 3), pydl.arange(1.5), pydl.eye(2), pydl.rand(2), pydl.randn(2), pydl.as_tensor([1.5])):
        assert y.dtype is pydl.float64
    assert (pydl.ones(2, dtype=pydl.float32) + 1.5).dtype is pydl.float32
    layers: list[Callable[[], pydl.nn.Module]] = [lambda: pydl.nn.Linear(2, 3)]
    for layer in layers:
        assert all(p.dtype is pydl.float64 for p in layer().parameters())
    for wrong in (pydl.int64, "float32"):
        with pytest.raises(TypeError):
            pydl.set_default_dtype(wrong)
