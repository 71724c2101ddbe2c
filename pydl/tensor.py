"""Binds the ops to Tensor: operators, methods, in-place forms, text."""
import numpy as np

from pydl import autograd, ops
from pydl._core import backward, dlpack, dtypes, function, inplace, numpy_bridge, tape
from pydl._core import tensor as core
from pydl._core.create import arange as arange
from pydl._core.create import empty as empty
from pydl._core.create import tensor as tensor
from pydl._core.dtypes import dtype as dtype
from pydl._core.dtypes import float32 as float32
from pydl._core.dtypes import float64 as float64
from pydl._core.dtypes import int64 as int64
from pydl._core.numpy_bridge import from_numpy as from_numpy
from pydl._core.tensor import Tensor

# Ops that also exist in place, `exp_` for exp.
IN_PLACE = (
    "add sub mul div pow neg abs sign floor_divide remainder fmod clamp addcmul exp exp2 expm1 log log2 log10 log1p sqrt rsqrt "
    "reciprocal square sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc floor ceil round trunc relu sigmoid "
    "silu leaky_relu elu masked_fill scatter scatter_add index_add logical_and logical_or logical_xor logical_not bitwise_and "
    "bitwise_or bitwise_xor bitwise_not eq ne lt le gt ge cumsum cumprod clip true_divide atan2 absolute arccos arccosh arcsin "
    "arcsinh arctan arctan2 arctanh divide multiply negative subtract fix greater greater_equal less less_equal not_equal addcdiv lerp "
    "bitwise_left_shift bitwise_right_shift clamp_max clamp_min copysign deg2rad rad2deg float_power frac gcd lcm heaviside hypot "
    "ldexp nan_to_num nextafter sgn xlogy digamma erfinv i0 lgamma logit mvlgamma sinc tril triu"
).split()


def _text(self: Tensor) -> str:
    """tensor([...], dtype=..., requires_grad=True)"""
    with np.printoptions(precision=4, threshold=1000, edgeitems=3, linewidth=100, suppress=False):
        values = np.array2string(self.detach().numpy(), separator=", ", prefix="tensor(")
    parts = [values]
    if self.numel() == 0 and self.ndim != 1:
        parts.append(f"size={self.shape}")
    if self.dtype not in (dtypes.float32, dtypes.int64, dtypes.bool) or self.numel() == 0 and self.dtype is not dtypes.float32:
        parts.append(f"dtype={self.dtype!r}")
    if self.grad_fn is not None:
        parts.append(f"grad_fn={self.grad_fn!r}")
    elif self.requires_grad:
        parts.append("requires_grad=True")
    name = "Parameter" if type(self) is not Tensor and type(self).__name__ == "Parameter" else "tensor"
    return f"{name}({', '.join(parts)})"


def tolist(self: Tensor):
    """The values as nested lists of Python numbers; a number for a 0-dimensional tensor."""
    return self.detach().numpy().tolist()


def _copy(self: Tensor) -> Tensor:
    """copy.copy: the same memory."""
    made = self.detach()
    return made.requires_grad_(self.requires_grad) if self.is_leaf else made


def _deepcopy(self: Tensor, memo: dict) -> Tensor:
    """copy.deepcopy: new memory; only leaves, as a copy of a graph is not possible."""
    if not self.is_leaf:
        raise RuntimeError("deepcopy: only leaf tensors can be copied; use detach() first")
    made = type(self).__new__(type(self))
    made.data = self.detach().clone()
    made.requires_grad_(self.requires_grad)
    if self.grad is not None:
        made.grad = self.grad.detach().clone()
    memo[id(self)] = made
    return made


def _all_finite(x: Tensor) -> bool:
    return bool(ops.isfinite(x).all())


def _rebuild(kind: type[Tensor], values: np.ndarray, requires_grad: bool) -> Tensor:
    made = kind.__new__(kind)
    made.data = tensor(values)
    return made.requires_grad_(requires_grad)


def _reduce(self: Tensor) -> tuple:
    """Lets another process have a copy (multiprocessing, joblib); only leaves, like deepcopy."""
    if not self.is_leaf:
        raise RuntimeError("reduce: only leaf tensors can be sent to another process; use detach() first")
    return _rebuild, (type(self), self.detach().numpy(), self.requires_grad)


def bind() -> None:
    """Called once, when the package is imported."""
    table = core.operators
    for name in ("add sub mul div floor_divide remainder pow neg abs matmul unbind eq ne lt le gt ge bitwise_and bitwise_or "
                 "bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift getitem setitem").split():
        setattr(table, name, getattr(ops, name))
    table.operand, table.backward, table.represent = numpy_bridge.operand, autograd.backward, _text
    table.refresh = tape.refresh
    table.array, table.dlpack = numpy_bridge.array_protocol, dlpack.to_dlpack
    table.construct = lambda data: numpy_bridge.make_tensor(data, dtypes.float32)
    methods: dict[str, object] = {name: getattr(ops, name) for name in ops.METHODS}
    methods |= {f"{name}_": inplace.in_place_form(getattr(ops, name), f"{name}_") for name in IN_PLACE}
    methods |= {
        "numpy": numpy_bridge.to_numpy, "tolist": tolist, "register_hook": autograd.register_hook,
        "retain_grad": autograd.retain_grad, "copy_": inplace.copy_, "fill_": inplace.fill_, "zero_": inplace.zero_,
        "detach_": inplace.detach_, "__copy__": _copy, "__deepcopy__": _deepcopy, "__reduce__": _reduce,
    }
    methods |= {"polygamma": _polygamma, "polygamma_": inplace.in_place_form(_polygamma, "polygamma_")}
    for name in ("T", "mT"):
        methods[name] = property(_transposed if name == "T" else _matrix_transposed)
    core.add_methods(methods)
    backward.bind_ops(ops.add, ops.sum_to)
    tape.bind_views(ops.strided_view, ops.strided_put, autograd.keep_gradient)
    tape.bind_finite(_all_finite)
    inplace.bind_ops(ops.to, ops.broadcast_to)
    function.bind_ops(ops.to)


def _polygamma(self: Tensor, n: int) -> Tensor:
    """The derivative of digamma, n times."""
    return ops.polygamma(n, self)


def _transposed(self: Tensor) -> Tensor:
    """All dimensions reversed."""
    return ops.permute(self, tuple(range(self.ndim - 1, -1, -1)))


def _matrix_transposed(self: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return ops.transpose(self, -2, -1)


