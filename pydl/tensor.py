"""Binds the ops to Tensor: operators, methods, in-place forms, text."""
import sys
from typing import Any

import numpy as np

from pydl import autograd, ops
from pydl._core import backward, dlpack, dtypes, function, inplace, numpy_bridge, placement, tape
from pydl._core import tensor as core
from pydl._core.create import arange as arange
from pydl._core.create import empty as empty
from pydl._core.create import full as full
from pydl._core.create import ones as ones
from pydl._core.create import tensor as tensor
from pydl._core.create import zeros as zeros
from pydl._core.dtypes import dtype as dtype
from pydl._core.dtypes import float32 as float32
from pydl._core.dtypes import float64 as float64
from pydl._core.dtypes import int32 as int32
from pydl._core.dtypes import int64 as int64
from pydl._core.dtypes import promote_types as promote_types
from pydl._core.dtypes import uint8 as uint8
from pydl._core.numpy_bridge import from_numpy as from_numpy
from pydl._core.tensor import Tensor
from pydl.ops.gather import index_add_into, index_copy_into, scatter_add_into, scatter_into
from pydl.ops.masks import masked_fill_into

# Ops that also exist in place, `exp_` for exp.
IN_PLACE = (
    "add sub mul div pow neg abs sign floor_divide remainder fmod clamp addcmul exp exp2 expm1 log log2 log10 log1p sqrt rsqrt "
    "reciprocal square sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc floor ceil round trunc relu sigmoid "
    "silu leaky_relu elu masked_fill scatter scatter_add index_add logical_and logical_or logical_xor logical_not bitwise_and "
    "bitwise_or bitwise_xor bitwise_not eq ne lt le gt ge cumsum cumprod clip true_divide atan2 absolute arccos arccosh arcsin "
    "arcsinh arctan arctan2 arctanh divide multiply negative subtract fix greater greater_equal less less_equal not_equal addcdiv lerp "
    "bitwise_left_shift bitwise_right_shift clamp_max clamp_min copysign deg2rad rad2deg float_power frac gcd lcm heaviside hypot "
    "ldexp nan_to_num nextafter sgn xlogy digamma erfinv i0 lgamma logit mvlgamma sinc tril triu "
    "addbmm addmm addmv addr baddbmm index_copy index_fill index_put index_reduce masked_scatter put renorm scatter_reduce"
).split()

VIEWS_IN_PLACE = ("as_strided", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze")

# What changes a few elements of many: done at once where nothing is recorded.
DIRECT: dict[str, Any] = {
    "index_add": index_add_into, "index_copy": index_copy_into, "masked_fill": masked_fill_into, "scatter": scatter_into,
    "scatter_add": scatter_add_into,
}

_PRINTED: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80}
_PROFILES: dict[str, dict[str, Any]] = {
    "default": dict(_PRINTED),
    "short": {**_PRINTED, "precision": 2, "edgeitems": 2},
    "full": {**_PRINTED, "threshold": sys.maxsize},
}
_exponents: bool | None = None


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:
    """How tensors are printed: digits after the point, elements before the middle is left out, those kept at its sides, and the
    length of a line.

    profile: "default", "short" or "full" sets them all first. sci_mode: True for exponents always, None where they are shorter.
    """
    global _exponents
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile must be 'default', 'short' or 'full', got {profile!r}")
        _PRINTED.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _PRINTED.update({name: value for name, value in given.items() if value is not None})
    _exponents = sci_mode


def _text(self: Tensor) -> str:
    """tensor([...], dtype=..., requires_grad=True)"""
    options = {**_PRINTED, "threshold": int(min(_PRINTED["threshold"], sys.maxsize))}
    with np.printoptions(**options, suppress=_exponents is False):
        exponents = {"float_kind": lambda x: f"{x:.{_PRINTED['precision']}e}"} if _exponents else None
        values = np.array2string(self.detach().numpy(), separator=", ", prefix="tensor(", formatter=exponents)     # type: ignore[arg-type]
    parts = [values]
    if self.numel() == 0 and self.ndim != 1:
        parts.append(f"size={self.shape}")
    plain = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool)
    if self.dtype not in plain or self.numel() == 0 and self.dtype is not plain[0]:
        parts.append(f"dtype={self.dtype!r}")
    if self.grad_fn is not None:
        parts.append(f"grad_fn={self.grad_fn!r}")
    elif self.requires_grad:
        parts.append("requires_grad=True")
    name = "Parameter" if type(self) is not Tensor and type(self).__name__ == "Parameter" else "tensor"
    return f"{name}({', '.join(parts)})"


def _construct(data: tuple, device: Any) -> Tensor:
    """What Tensor(...) looks at: sizes, values, or another tensor."""
    placement.check_device("Tensor", device)
    if all(isinstance(size, int) for size in data):
        return empty(data if data else (0,))
    if len(data) != 1 or isinstance(data[0], (float, str)):
        raise TypeError(f"Tensor: expected sizes, or one sequence of values, got {', '.join(type(one).__name__ for one in data)}")
    if isinstance(data[0], Tensor):
        return data[0].detach()
    return numpy_bridge.make_tensor(data[0], dtypes.get_default_dtype(), "Tensor")


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False) -> Tensor:
    """obj as a tensor. copy: True makes new memory, False refuses to (ValueError), None avoids it where possible."""
    made = numpy_bridge.as_tensor(obj, dtype, device)
    shared = made is obj or isinstance(obj, np.ndarray) and np.shares_memory(made.detach().numpy(), obj)
    if copy is False and not shared:
        raise ValueError(f"asarray: a {type(obj).__name__} cannot become a tensor of {made.dtype} without a copy")
    made = made.detach().clone() if copy and shared else made.detach() if shared else made
    return made.requires_grad_(requires_grad) if requires_grad else made


# ---- New tensors like one that is there

def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    """pydl.tensor(data, ...) of self's type."""
    return tensor(data, **_like(self, options))


def new_empty(self: Tensor, *sizes: Any, **options: Any) -> Tensor:
    """pydl.empty(*sizes, ...) of self's type."""
    return empty(*sizes, **_like(self, options))


def new_zeros(self: Tensor, *sizes: Any, **options: Any) -> Tensor:
    """pydl.zeros(*sizes, ...) of self's type."""
    return zeros(*sizes, **_like(self, options))


def new_ones(self: Tensor, *sizes: Any, **options: Any) -> Tensor:
    """pydl.ones(*sizes, ...) of self's type."""
    return ones(*sizes, **_like(self, options))


def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """pydl.full(size, fill_value, ...) of self's type."""
    return full(size, fill_value, **_like(self, options))


def _like(self: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    return options if options.get("dtype") is not None else {**options, "dtype": self.dtype}


# ---- Its place and type

_TYPE_NAMES = {
    "FloatTensor": dtypes.float32, "DoubleTensor": dtypes.float64, "LongTensor": dtypes.int64, "IntTensor": dtypes.int32,
    "ByteTensor": dtypes.uint8, "BoolTensor": dtypes.bool,
}


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself: there is no other place."""
    placement.check_format("cpu", memory_format)
    return self


def get_device(self: Tensor) -> int:
    """-1: the number of the CPU."""
    return -1


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """type() -> the name of the element type, such as "pydl.FloatTensor"; type(dtype or such a name) -> the tensor in that type."""
    if dtype is None:
        return next(f"pydl.{name}" for name, kind in _TYPE_NAMES.items() if kind is self.dtype)
    if isinstance(dtype, str):
        name = dtype.rpartition(".")[2]
        if name not in _TYPE_NAMES:
            raise ValueError(f"type: expected one of {', '.join(_TYPE_NAMES)}, got {dtype!r}")
        dtype = _TYPE_NAMES[name]
    return ops.to(self, dtype)


def is_signed(self: Tensor) -> bool:
    """Whether the element type has numbers below zero."""
    return self.dtype.is_signed


def tolist(self: Tensor):
    """The values as nested lists of Python numbers; a number for a 0-dimensional tensor."""
    return self.detach().numpy().tolist()


def _copy(self: Tensor) -> Tensor:
    """copy.copy: the same memory."""
    made = self.detach()
    return made.requires_grad_(self.requires_grad) if self.is_leaf else made


def _deepcopy(self: Tensor, memo: dict) -> Tensor:
    """copy.deepcopy: new memory, which copies of views share; only leaves, as a copy of a graph is not possible."""
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError("deepcopy: only leaf tensors can be copied; use detach() first")
    made = type(self).__new__(type(self))
    made.data = core.deep_copy(self, memo)
    made.requires_grad_(self.requires_grad)
    if self.grad is not None:
        made.grad = core.deep_copy(self.grad.detach(), memo)
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
    for name in ("floor_divide remainder pow neg abs matmul unbind eq ne lt le gt ge bitwise_and bitwise_or "
                 "bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift getitem setitem").split():
        setattr(table, name, getattr(ops, name))
    table.operand, table.backward, table.represent = numpy_bridge.operand, autograd.backward, _text
    table.refresh = tape.refresh
    table.array, table.dlpack = numpy_bridge.array_protocol, dlpack.to_dlpack
    table.construct, table.clone = _construct, ops.clone
    methods: dict[str, object] = {name: getattr(ops, name) for name in ops.METHODS}
    methods |= {f"{name}_": inplace.in_place_form(getattr(ops, name), f"{name}_", DIRECT.get(name)) for name in IN_PLACE}
    methods |= {f"{name}_": inplace.view_form(getattr(ops, name), f"{name}_") for name in VIEWS_IN_PLACE}
    methods |= {
        "numpy": numpy_bridge.to_numpy, "tolist": tolist, "register_hook": autograd.register_hook,
        "retain_grad": autograd.retain_grad, "copy_": inplace.copy_, "fill_": inplace.fill_, "zero_": inplace.zero_,
        "new_tensor": new_tensor, "new_empty": new_empty, "new_zeros": new_zeros, "new_ones": new_ones, "new_full": new_full,
        "cpu": cpu, "get_device": get_device, "type": type_, "is_signed": is_signed, "nelement": ops.numel, "ndimension": Tensor.dim,
        "detach_": inplace.detach_, "where": _where, "__copy__": _copy, "__deepcopy__": _deepcopy, "__reduce__": _reduce,
    }
    methods |= {"polygamma": _polygamma, "polygamma_": inplace.in_place_form(_polygamma, "polygamma_")}
    for name in ("T", "mT"):
        methods[name] = property(_transposed if name == "T" else _matrix_transposed)
    facts = {"device": placement.CPU, "layout": placement.strided, "is_cpu": True, "is_cuda": False, "is_sparse": False}
    methods |= {name: _constant(value) for name, value in facts.items()}
    core.add_methods(methods)
    backward.bind_ops(ops.add, ops.sum_to)
    tape.bind_views(ops.strided_view, ops.strided_put, autograd.keep_gradient)
    tape.bind_finite(_all_finite)
    inplace.bind_ops(ops.to, ops.broadcast_to)
    function.bind_ops(ops.to)


def _constant(value: Any) -> property:
    return property(lambda self: value)


def _polygamma(self: Tensor, n: int) -> Tensor:
    """The derivative of digamma, n times."""
    return ops.polygamma(n, self)


def _where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """self where condition holds, other elsewhere."""
    return ops.where(condition, self, other)


def _transposed(self: Tensor) -> Tensor:
    """All dimensions reversed."""
    return ops.permute(self, tuple(range(self.ndim - 1, -1, -1)))


def _matrix_transposed(self: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return ops.transpose(self, -2, -1)


