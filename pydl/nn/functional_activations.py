"""PyTorch's `torch.nn.functional` names of activations: the ops with `inplace`, and softmax with a dimension to be guessed."""

import warnings
from collections.abc import Callable

from pydl import ops
from pydl.ops import (
    celu_,
    elu_,
    gelu,
    glu,
    gumbel_softmax,
    hardshrink,
    hardtanh_,
    leaky_relu_,
    logsigmoid,
    prelu,
    relu_,
    rrelu_,
    selu_,
    sigmoid,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold_,
)
from pydl.tensor import Tensor
from pydl.tensor import dtype as DType

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_",
    "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu",
    "selu_", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
    "threshold_",
]


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), elementwise."""
    return relu_(input) if inplace else ops.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), but at most 6 (Howard et al. 2017)."""
    return ops.overwrite(ops.relu6, input) if inplace else ops.relu6(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    return threshold_(input, threshold, value) if inplace else ops.threshold(input, threshold, value)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x between min_val and max_val, and these beyond."""
    return hardtanh_(input, min_val, max_val) if inplace else ops.hardtanh(input, min_val, max_val)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6."""
    return ops.overwrite(ops.hardsigmoid, input) if inplace else ops.hardsigmoid(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x relu6(x + 3) / 6 (Howard et al. 2019)."""
    return ops.overwrite(ops.hardswish, input) if inplace else ops.hardswish(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, else negative_slope x."""
    return leaky_relu_(input, negative_slope) if inplace else ops.leaky_relu(input, negative_slope)


def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """x where positive, else a x: a uniform in [lower, upper) while training, else their mean (Xu et al. 2015)."""
    return rrelu_(input, lower, upper, training) if inplace else ops.rrelu(input, lower, upper, training)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, else alpha (exp(x) - 1) (Clevert et al. 2016)."""
    return elu_(input, alpha) if inplace else ops.elu(input, alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, else alpha (exp(x / alpha) - 1) (Barron 2017)."""
    return celu_(input, alpha) if inplace else ops.celu(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 elu(x, 1.6733) (Klambauer et al. 2017)."""
    return selu_(input) if inplace else ops.selu(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), elementwise (Elfwing et al. 2018)."""
    return ops.overwrite(ops.silu, input) if inplace else ops.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(log(1 + exp(x))) (Misra 2019)."""
    return ops.overwrite(ops.mish, input) if inplace else ops.mish(input)


def along(function: Callable[..., Tensor], input: Tensor, dim: int | None, stacklevel: int, dtype: DType | None) -> Tensor:
    """function along dim; None stands for 0 where there are 0, 1 or 3 dimensions, else for 1, and warns."""
    if dim is None:
        warnings.warn(f"{function.__name__}: a dimension that is guessed may be the wrong one: give it as dim", stacklevel=stacklevel)
        dim = 0 if isinstance(input, Tensor) and input.ndim in (0, 1, 3) else 1
    return function(input, dim, dtype=dtype)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along dim; dtype: x is converted to it first. Without dim it is guessed, with a warning."""
    return along(ops.softmax, input, dim, _stacklevel, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """softmax(-x)."""
    return along(ops.softmin, input, dim, _stacklevel, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """x_i - log(sum_j exp(x_j)) along dim; dim and dtype as in softmax."""
    return along(ops.log_softmax, input, dim, _stacklevel, dtype)
