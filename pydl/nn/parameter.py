"""Parameter: a tensor that a module trains. Buffer: one that it keeps. Both may come without a shape at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from pydl.tensor import Tensor, dtype, empty


class Parameter(Tensor):
    """A tensor that a module registers when it is assigned as an attribute. Shares memory with `data`, outside its graph."""

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = empty((0,))
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data: expected a Tensor, got {type(data).__name__}; make one with pydl.tensor()")
        self.data = data
        self.requires_grad = requires_grad


class Buffer(Tensor):
    """A tensor that a module registers as a buffer when it is assigned. persistent=False keeps it out of state_dict."""

    persistent = True

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        if data is None:
            data = empty((0,))
        if not isinstance(data, Tensor):
            raise TypeError(f"Buffer: data: expected a Tensor, got {type(data).__name__}; make one with pydl.tensor()")
        self.data = data
        self.persistent = persistent


# What a tensor without a shape can be asked.
KNOWN = {"data", "device", "dtype", "grad", "is_floating_point", "requires_grad", "requires_grad_"}
OPERATORS = ("add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv rfloordiv mod rmod pow rpow ipow matmul rmatmul "
             "neg pos abs invert and rand or ror xor rxor eq ne lt le gt ge getitem setitem len bool float int index iter contains array "
             "dlpack copy").split()


class Uninitialized:
    """What UninitializedParameter and UninitializedBuffer share: no shape until materialize() gives them one."""

    becomes: ClassVar[type]

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: dtype | None = None) -> None:
        """Makes this very object a Parameter or Buffer of a shape; its values are not set yet."""
        mine: Any = self
        kind = mine.dtype if dtype is None else dtype
        mine.__class__ = self.becomes
        mine.data = empty(tuple(shape), dtype=kind, device=device)

    def __getattribute__(self, name: str) -> Any:
        if name in PUBLIC and name not in KNOWN:
            refuse(type(self).__name__, name)
        return super().__getattribute__(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict) -> Any:
        mine: Any = self
        if id(self) not in memo:
            memo[id(self)] = type(self)(dtype=mine.dtype)       # type: ignore[call-arg]
            memo[id(self)].requires_grad_(mine.requires_grad)
        return memo[id(self)]


def refuse(kind: str, name: str) -> NoReturn:
    error = RuntimeError if name in ("shape", "size", "share_memory_") else ValueError
    raise error(f"{kind}: {name} is not there before its shape is known: run the module once (on any batch), then count its parameters, "
                "copy them or give them to an optimizer")


def refusing(name: str) -> Any:
    def operation(self: Any, *others: Any) -> NoReturn:
        refuse(type(self).__name__, name)
    return operation


PUBLIC = {name for name in dir(Tensor) if not name.startswith("_")}
for name in OPERATORS:
    setattr(Uninitialized, f"__{name}__", refusing(name))


class UninitializedParameter(Uninitialized, Parameter):
    """A parameter whose shape the first forward tells. An optimizer does not take it before."""

    becomes = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: dtype | None = None) -> None:
        super().__init__(empty((0,), dtype=dtype, device=device), requires_grad)


class UninitializedBuffer(Uninitialized, Buffer):
    """A buffer whose shape the first forward tells."""

    becomes = Buffer

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: dtype | None = None, persistent: bool = True) -> None:
        super().__init__(empty((0,), dtype=dtype, device=device), persistent=persistent)
        self.requires_grad_(requires_grad)


def is_lazy(x: object) -> bool:
    """Whether x still waits for its shape."""
    return isinstance(x, Uninitialized)
