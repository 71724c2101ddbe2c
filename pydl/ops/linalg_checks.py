"""What linear algebra by NumPy has in common: its error, its checks, calls that name the element of a batch that failed."""
from collections.abc import Callable
from typing import Any

import numpy as np

from pydl._core.checks import tensor_arg
from pydl._core.numpy_bridge import from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.arrange import broadcast_shapes
from pydl.ops.shape import broadcast_to, transpose, unsqueeze

Array = np.ndarray


class LinAlgError(RuntimeError):
    """A matrix has no inverse, no such factor, or an iteration did not converge."""


def matrices(op: str, x: object, name: str = "A", square: bool = False) -> Tensor:
    """Floats of shape (..., m, n); square: (..., n, n)."""
    t = tensor_arg(op, x, name)
    if t.ndim < 2 or square and t.shape[-1] != t.shape[-2]:
        raise ValueError(f"{op}: expected {name} {'(..., n, n)' if square else '(..., m, n)'}, got shape {t.shape}")
    if not t.is_floating_point():
        raise TypeError(f"{op}: expected {name} of floats, got {t.dtype} (shape {t.shape})")
    return t


def one_type(op: str, a: Tensor, b: Tensor) -> None:
    if a.dtype is not b.dtype:
        raise TypeError(f"{op}: {a.dtype} and {b.dtype} do not mix (shapes {a.shape} and {b.shape}); use .to()")


def right_hand_side(op: str, a: Tensor, b: Tensor) -> tuple[Tensor, bool]:
    """B (..., m, k) of a system with A (..., m, n); True where it was (m,), or (..., m) with A's own batch, a vector each."""
    vector = b.ndim == 1 or b.ndim == a.ndim - 1 and b.shape == a.shape[:-1]
    wide = unsqueeze(b, -1) if vector else b
    if wide.ndim < 2 or wide.shape[-2] != a.shape[-2]:
        raise ValueError(f"{op}: A {a.shape} and B {b.shape} do not fit: expected A (..., m, n) with B (..., m, k), (m,) or (..., m)")
    return wide, vector


def same_batch(op: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the leading dimensions that they have in common."""
    try:
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"{op}: the leading dimensions of shapes {a.shape} and {b.shape} do not broadcast") from None
    return broadcast_to(a, (*batch, *a.shape[-2:])), broadcast_to(b, (*batch, *b.shape[-2:]))


def array(x: Tensor) -> Array:
    return x.detach().numpy()


@np.errstate(over="ignore")
def tensor(x: Any, like: Tensor) -> Tensor:
    """A NumPy result as a tensor of like's type; what is too large for it is infinite."""
    return from_numpy(np.asarray(x, array(like).dtype))


def mT(x: Tensor) -> Tensor:
    return transpose(x, -2, -1)


def place(batch: tuple[int, ...], index: tuple[int, ...]) -> str:
    """ "element 3 of the batch: ", or nothing where there is no batch."""
    return f"element {index[0] if len(index) == 1 else index} of the batch: " if batch else ""


@np.errstate(all="ignore")
def call(op: str, fault: str | Callable[[Array], str], function: Callable[..., Any], *arrays: Array) -> Any:
    """function(*arrays), all of one batch; where NumPy gives up, LinAlgError says at which matrix."""
    try:
        return function(*arrays)
    except np.linalg.LinAlgError:
        pass
    batch = arrays[0].shape[:-2]
    for index in np.ndindex(batch):
        try:
            function(*(x[index] for x in arrays))
        except np.linalg.LinAlgError:
            said = fault if isinstance(fault, str) else fault(arrays[0][index])
            raise LinAlgError(f"{op}: {place(batch, index)}{said}") from None
    raise LinAlgError(f"{op}: {fault if isinstance(fault, str) else 'no result'}")


@np.errstate(all="ignore")
def one_by_one(function: Callable[..., Array], info: Callable[[Array], int], *arrays: Array) -> tuple[Array, Array]:
    """(function(*arrays), 0 for every matrix); where NumPy gives up, NaN for such a matrix and info() of it."""
    batch = arrays[0].shape[:-2]
    failed = np.zeros(batch, np.int32)
    try:
        return function(*arrays), failed
    except np.linalg.LinAlgError:
        pass
    result = np.full(arrays[-1].shape, np.nan, arrays[0].dtype)
    for index in np.ndindex(batch):
        try:
            result[index] = function(*(x[index] for x in arrays))
        except np.linalg.LinAlgError:
            failed[index] = info(arrays[0][index])
    return result, failed


def finite(op: str, x: Tensor) -> Array:
    """x as an array without NaN and infinities, with which LAPACK's iterations do not converge."""
    values = array(x)
    good = np.isfinite(values).all((-2, -1))
    if not good.all():
        index = tuple(int(i) for i in np.argwhere(~good)[0])
        raise LinAlgError(f"{op}: {place(values.shape[:-2], index)}the matrix has NaN or infinite elements")
    return values
