"""Starting values of parameters. Every function fills its tensor in place, unrecorded, and returns it.

Weights have the shape (out, in, ...): fan_in = in * (product of ...) is what goes into one unit, fan_out = out * (product of ...).
Tensors are float32 or float64, except for constant_, ones_, zeros_, eye_ and dirac_. `generator` gives the random numbers; without
it the default generator does.
"""

import math
import operator
import warnings
from typing import Any

import numpy as np

from pydl import ops
from pydl.autograd import no_grad
from pydl.random import Generator
from pydl.tensor import Tensor, from_numpy

GAINS = {"linear": 1.0, "sigmoid": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0,
         "conv_transpose2d": 1.0, "conv_transpose3d": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity.

    1 for linear, sigmoid and convolutions, 5/3 for tanh, sqrt 2 for relu, sqrt(2 / (1 + slope^2)) for leaky_relu (`param`: the
    slope, 0.01 by default), 3/4 for selu. Raises ValueError for other names (He et al. 2015, section 2.2; the values for tanh and
    selu are empirical).
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: leaky_relu: expected a number as slope, got {param!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(f"calculate_gain: expected leaky_relu or one of {', '.join(GAINS)}, got {nonlinearity!r}")
    return GAINS[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in [a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with that mean and standard deviation."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
                  generator: Generator | None = None) -> Tensor:
    """Normal with that mean and standard deviation, under the condition that the value is in [a, b].

    Warns where the mean is more than 2 standard deviations outside, as the result is then mostly the bound.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(f"trunc_normal_: mean {mean} is more than 2 std ({std}) outside [{a}, {b}]", stacklevel=2)
    with no_grad():
        return tensor.trunc_normal_(mean, std, a, b, generator=generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """`val` everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """1 on the diagonal of a matrix, 0 elsewhere: a Linear layer that keeps as many inputs as possible. Raises ValueError for
    other than two dimensions."""
    if tensor.dim() != 2:
        raise ValueError(f"eye_: expected two dimensions, got shape {tensor.shape}")
    return fill_from(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """1 in the middle of the filter from channel i to channel i, 0 elsewhere: a convolution that keeps as many channels as possible.

    (out, in / groups, ...) with one to three spatial dimensions; each of the groups keeps its own channels. Raises ValueError for
    other shapes or where groups does not divide out.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError(f"dirac_: expected three to five dimensions, got shape {tensor.shape}")
    if operator.index(groups) < 1 or tensor.shape[0] % groups:
        raise ValueError(f"dirac_: groups: expected a divisor of the {tensor.shape[0]} output channels, got {groups}")
    if tensor.numel() == 0:
        return tensor
    per_group = tensor.shape[0] // groups
    kept = np.arange(min(per_group, tensor.shape[1]))
    starts = per_group * np.arange(groups)
    middle = tuple(size // 2 for size in tensor.shape[2:])
    places: tuple[Any, ...] = (np.add.outer(starts, kept).ravel(), np.tile(kept, groups), *middle)
    values = np.zeros(tensor.shape)
    values[places] = 1
    return fill_from(tensor, values)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans("xavier_normal_", tensor))), generator)


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator | None = None) -> Tensor:
    """Uniform in +-gain sqrt(3 / fan), fan the one that `mode` names (He et al. 2015); `a`: the slope of leaky_relu.

    Raises ValueError for fewer than two dimensions, another mode or nonlinearity.
    """
    if tensor.numel() == 0:
        return nothing_to_fill("kaiming_uniform_", tensor)
    bound = math.sqrt(3) * kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan), fan the one that `mode` names (He et al. 2015); `a`: the slope of leaky_relu.

    Raises ValueError for fewer than two dimensions, another mode or nonlinearity.
    """
    if tensor.numel() == 0:
        return nothing_to_fill("kaiming_normal_", tensor)
    return normal_(tensor, 0.0, kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A matrix (the dimensions behind the first are joined) with orthonormal rows or columns, times gain (Saxe et al. 2014).

    Drawn uniformly from all such matrices (Mezzadri 2007). Raises ValueError for fewer than two dimensions.
    """
    if tensor.dim() < 2:
        raise ValueError(f"orthogonal_: expected two or more dimensions, got shape {tensor.shape}")
    if tensor.numel() == 0:
        return tensor
    normal_(tensor, generator=generator)
    matrix = np.array(tensor.detach()).reshape(tensor.shape[0], -1).astype(np.float64)
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)        # makes it unique, and uniform over all such matrices
    return fill_from(tensor, gain * (q if tall is matrix else q.T).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal with mean 0, and in each column a random ceil(sparsity * rows) of the values 0 (Martens 2010).

    tensor (rows, columns). Raises ValueError for other than two dimensions, or a sparsity that is not from 0 to 1.
    """
    if tensor.dim() != 2:
        raise ValueError(f"sparse_: expected two dimensions, got shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity: expected a share from 0 to 1, got {sparsity}")
    rows, columns = tensor.shape
    normal_(tensor, 0.0, std, generator)
    order = ops.argsort(ops.rand(rows, columns, generator=generator), 0)         # a random order of the rows for each column
    with no_grad():
        return tensor.scatter_(0, ops.narrow(order, 0, 0, math.ceil(sparsity * rows)), value=0.0)


def nothing_to_fill(caller: str, tensor: Tensor) -> Tensor:
    warnings.warn(f"{caller}: shape {tensor.shape} has no elements: nothing to do", stacklevel=3)
    return tensor


def fill_from(tensor: Tensor, array: np.ndarray) -> Tensor:
    with no_grad():
        return tensor.copy_(from_numpy(np.ascontiguousarray(array)))


def fans(caller: str, tensor: Tensor) -> tuple[int, int]:
    """-> fan_in, fan_out: inputs and outputs of one unit of a weight (out, in, ...)."""
    if tensor.dim() < 2:
        raise ValueError(f"{caller}: expected two or more dimensions, got shape {tensor.shape}")
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def kaiming_std(caller: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{caller}: mode: expected fan_in or fan_out, got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(caller, tensor)[mode == "fan_out"])
