"""Starting values of parameters. Every function fills its tensor in place, unrecorded, and returns it."""

import math

import numpy as np

from pydl.autograd import no_grad
from pydl.random import Generator
from pydl.tensor import Tensor, from_numpy

GAINS = {"linear": 1.0, "sigmoid": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0,
         "conv_transpose2d": 1.0, "conv_transpose3d": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity: 1 linear and sigmoid, 5/3 tanh, sqrt 2 relu,
    sqrt(2 / (1 + slope^2)) leaky_relu (`param`: the slope, 0.01 by default), 3/4 selu."""
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
    """Normal, but only values in [a, b]."""
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
    """1 on the diagonal of a matrix, 0 elsewhere."""
    if tensor.dim() != 2:
        raise ValueError(f"eye_: expected two dimensions, got shape {tensor.shape}")
    return fill_from(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans("xavier_normal_", tensor))), generator)


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator | None = None) -> Tensor:
    """Uniform in +-gain sqrt(3 / fan) (He et al. 2015); `a`: the slope of leaky_relu."""
    if tensor.numel() == 0:
        return tensor
    bound = math.sqrt(3) * kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015); `a`: the slope of leaky_relu."""
    if tensor.numel() == 0:
        return tensor
    return normal_(tensor, 0.0, kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A matrix (the dimensions behind the first are joined) with orthonormal rows or columns, times gain (Saxe et al. 2014)."""
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
