"""Rows of pydl/ops/activations.pyx."""
import numpy as np
from scipy import special

from rows import bad, unary

KINK = {"away": (0.0,)}


def sigmoid(x):
    return special.expit(x)


def gelu(x, approximate="none"):
    if approximate == "none":
        return np.where(x == -np.inf, 0, x * special.ndtr(x))
    return x * special.expit(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def softplus(x, beta=1.0, threshold=20.0):
    with np.errstate(over="ignore"):
        return np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)


# The lower tail of gelu is accurate relative to x, not to its tiny result.
AT_X = {"by": lambda x, approximate="none": np.abs(x)}
TAME = (0.0, -0.0, float("nan"), float("inf"), 1e-40, -1e-40, 1.0, -1.0, 3e38)

ROWS = [
    unary("relu", lambda x: np.maximum(x, 0), ulp=0, covers=("relu_bwd",), **KINK),
    unary("sigmoid", sigmoid, ulp=2.5, covers=("sigmoid_bwd",), special=TAME),
    unary("tanh", np.tanh, ulp=2, covers=("tanh_bwd",)),
    unary("gelu", gelu, ulp=3, covers=("gelu_bwd", "gelu_tanh_bwd"), special=TAME, **AT_X,
          attrs=({}, {"approximate": "tanh"}),
          refusals=[bad((2, 3), approximate="sigmoid", shapes=False, match="approximate")]),
    unary("silu", lambda x: x * special.expit(x), ulp=3.5, covers=("silu_bwd",), special=TAME),
    unary("leaky_relu", lambda x, negative_slope=0.01: np.where(x > 0, x, x * negative_slope), ulp=1.5,
          covers=("leaky_relu_bwd",), attrs=({}, {"negative_slope": 0.3}, {"negative_slope": -1}),
          refusals=[bad((2, 3), negative_slope="x", error=TypeError)], **KINK),
    unary("elu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x)), ulp=2, covers=("elu_bwd",),
          attrs=({}, {"alpha": 0.5}), refusals=[bad((2, 3), alpha=None, error=TypeError)], **KINK),
    unary("softplus", softplus, ulp=3, covers=("softplus_bwd",), special=TAME,
          attrs=({}, {"beta": 2.0}, {"beta": 3.0, "threshold": 2.0}), away=(2 / 3,),
          refusals=[bad((2, 3), beta=0, shapes=False, match="beta")]),
]
