"""Rows of pydl/ops/activations.pyx."""
import numpy as np
from scipy import special

from rows import In, bad, unary

KINK = {"away": (0.0,)}


def sigmoid(x):
    return special.expit(x)


def gelu(x, approximate="none"):
    if approximate == "none":
        return np.where(x == -np.inf, 0, x * special.ndtr(x))
    return x * special.expit(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.logaddexp(0, x * beta) / beta)


def hard_gate(x):
    return np.clip(x + 3, 0, 6) / 6


def hardswish(x):
    return x * hard_gate(x)


def hardshrink(x, lambd=0.5):
    return np.where((x >= -lambd) & (x <= lambd), 0, x)


def softshrink(x, lambd=0.5):
    return x - np.clip(x, -lambd, lambd)


def selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


def mish(x):
    return x * np.tanh(np.logaddexp(0, x))


# The lower tail of gelu is accurate relative to x, not to its tiny result.
AT_X = {"by": lambda x, approximate="none": np.abs(x)}
TAME = (0.0, -0.0, float("nan"), float("inf"), 1e-40, -1e-40, 1.0, -1.0, 3e38)
WIDE = {"domain": (-5.0, 5.0)}
NOT_FLOAT = [bad(In((2, 3), dtype=kind), error=TypeError) for kind in ("int64", "bool")]
NOT_BOOL = bad(In((2, 3), dtype="bool"), error=TypeError)

ROWS = [
    unary("relu", lambda x: np.maximum(x, 0), ulp=0, covers=("relu_bwd",), refusals=[NOT_BOOL], **KINK),
    unary("threshold", lambda x, threshold, value: np.where(x <= threshold, value, x), ulp=0.5, covers=("threshold_bwd",),
          attrs=({"threshold": 0.5, "value": 2.0}, {"threshold": -1, "value": -3}), away=(0.5, -1.0),
          refusals=[bad((2, 3), threshold=None, value=1, error=TypeError), bad((2, 3), threshold=1, value="x", error=TypeError),
                    bad(In((2, 3), dtype="int64"), threshold=float("inf"), value=1, shapes=False, match="finite"),
                    bad(In((2, 3), dtype="bool"), threshold=0, value=1, error=TypeError)]),
    unary("hardtanh", lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val), ulp=0.5, covers=("hardtanh_bwd",),
          attrs=({}, {"min_val": -0.5, "max_val": 2.0}, {"min_val": 0, "max_val": 0}), away=(-1.0, 1.0, -0.5, 0.0),
          refusals=[bad((2, 3), min_val=1, max_val=0, shapes=False, match="min_val"), NOT_BOOL,
                    bad((2, 3), min_val=float("nan"), shapes=False, match="min_val"), bad((2, 3), max_val="x", error=TypeError),
                    bad(In((2, 3), dtype="uint8"), shapes=False, match="below 0"),
                    bad(In((2, 3), dtype="int64"), min_val=0, max_val=float("inf"), shapes=False, match="finite")]),
    unary("relu6", lambda x: np.clip(x, 0, 6), ulp=0, domain=(-4, 8), away=(0.0, 6.0), refusals=[NOT_BOOL], composed=True),
    unary("hardsigmoid", hard_gate, ulp=2, by=lambda x: 1 + np.abs(x) / 6, covers=("hardsigmoid_bwd",), away=(-3.0, 3.0),
          refusals=NOT_FLOAT, **WIDE),
    unary("hardswish", hardswish, ulp=3, by=np.abs, covers=("hardswish_bwd",), away=(-3.0, 3.0), refusals=NOT_FLOAT, special=TAME, **WIDE),
    unary("hardshrink", hardshrink, ulp=0, covers=("hardshrink_bwd",), attrs=({}, {"lambd": 1.5}, {"lambd": 0}, {"lambd": -1}),
          away=(-0.5, 0.5, -1.5, 1.5, 0.0), refusals=[bad((2, 3), lambd=None, error=TypeError), *NOT_FLOAT]),
    unary("softshrink", softshrink, ulp=1, by=lambda x, lambd=0.5: np.abs(x), covers=("softshrink_bwd",), attrs=({}, {"lambd": 1.5}, {"lambd": 0}),
          away=(-0.5, 0.5, -1.5, 1.5, 0.0),
          refusals=[bad((2, 3), lambd=-1, shapes=False, match="lambd"), bad((2, 3), lambd=float("inf"), shapes=False, match="lambd"),
                    bad(In((2, 3), dtype="float32"), lambd=1e39, shapes=False, match="float32"),
                    bad((2, 3), lambd="x", error=TypeError), *NOT_FLOAT]),
    unary("leaky_relu", lambda x, negative_slope=0.01: np.where(x > 0, x, x * negative_slope), ulp=1.5,
          covers=("leaky_relu_bwd",), attrs=({}, {"negative_slope": 0.3}, {"negative_slope": -1}),
          refusals=[bad((2, 3), negative_slope="x", error=TypeError)], **KINK),
    unary("elu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x)), ulp=2, covers=("elu_bwd",),
          attrs=({}, {"alpha": 0.5}), refusals=[bad((2, 3), alpha=None, error=TypeError)], **KINK),
    unary("celu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x / alpha)), ulp=4, composed=True,
          attrs=({}, {"alpha": 0.5}, {"alpha": 3}, {"alpha": -2.0}),
          refusals=[bad((2, 3), alpha=None, error=TypeError), bad((2, 3), alpha=0, shapes=False, match="alpha"), *NOT_FLOAT], **KINK),
    unary("selu", selu, ulp=3, covers=("selu_bwd",), refusals=NOT_FLOAT, special=TAME, **KINK),
    unary("sigmoid", sigmoid, ulp=2.5, covers=("sigmoid_bwd",), special=TAME),
    unary("tanh", np.tanh, ulp=2, covers=("tanh_bwd",)),
    unary("tanhshrink", lambda x: x - np.tanh(x), ulp=2.5, by=np.abs, covers=("tanhshrink_bwd",), refusals=[NOT_BOOL]),
    unary("softsign", lambda x: x / (1 + np.abs(x)), ulp=2, covers=("softsign_bwd",), refusals=[NOT_BOOL], **KINK),
    unary("gelu", gelu, ulp=3, covers=("gelu_bwd", "gelu_tanh", "gelu_tanh_bwd"), special=TAME, **AT_X,
          attrs=({}, {"approximate": "tanh"}),
          refusals=[bad((2, 3), approximate="sigmoid", shapes=False, match="approximate")]),
    unary("silu", lambda x: x * special.expit(x), ulp=3.5, covers=("silu_bwd",), special=TAME),
    unary("mish", mish, ulp=6, covers=("mish_bwd",), special=TAME, domain=(-6.0, 6.0), refusals=NOT_FLOAT),
    unary("softplus", softplus, ulp=3, covers=("softplus_bwd",), special=TAME,
          attrs=({}, {"beta": 2.0}, {"beta": 3.0, "threshold": 2.0}), away=(2 / 3,),
          refusals=[bad((2, 3), beta=0, shapes=False, match="beta")]),
    unary("logsigmoid", special.log_expit, ulp=3, composed=True, special=TAME, domain=(-6.0, 6.0), refusals=NOT_FLOAT),
]
