"""Modules made of parameters."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, KeysView, Mapping
from typing import Any, NoReturn, Self

from pydl.nn.containers import pairs
from pydl.nn.kinds import PARAMETER
from pydl.nn.module import Module
from pydl.nn.parameter import Parameter
from pydl.tensor import Tensor


def as_parameter(value: Any) -> Any:
    """A Tensor becomes a Parameter of the same memory; anything else is kept as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def describe(name: str, value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"  ({name}): Object of type: {type(value).__name__}"
    size = "x".join(map(str, value.shape))
    return f"  ({name}): {'Parameter' if isinstance(value, Parameter) else 'Tensor'} containing: [{value.dtype} of size {size}]"


class ParameterList(Module):
    """Parameters in a list. Tensors become Parameters; other values are kept, and are no part of the state.

    It cannot be called. Names in state_dict are the positions: "0", "1", ...
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _name_at(self, index: int) -> str:
        position = operator.index(index)
        if not -self._size <= position < self._size:
            raise IndexError(f"{type(self).__name__}: index {index} is out of range: there are {self._size} values")
        return str(position % self._size)

    def __getitem__(self, index: int | slice) -> Any:
        """A value, or, for a slice, a ParameterList of the same values."""
        if isinstance(index, slice):
            return type(self)([self[i] for i in range(self._size)[index]])
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name_at(index), as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def append(self, value: Any) -> Self:
        """Adds a value at the end."""
        setattr(self, str(self._size), as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Adds the values of an iterable at the end. A Tensor is a value, not an iterable of them: TypeError."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList.extend: expected an iterable of values, got {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(describe(str(i), value) for i, value in enumerate(self))

    def __call__(self, *inputs: Any, **named: Any) -> NoReturn:
        raise RuntimeError("ParameterList: cannot be called; use its values")


class ParameterDict(Module):
    """Parameters under names. Tensors become Parameters; other values are kept, and are no part of the state.

    It cannot be called. A name is an attribute, too: it has no dots, and it is not a name that every ParameterDict has
    ("keys", "training"). Raises KeyError for such names, TypeError for names that are no str.
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        value = as_parameter(value)
        if key in self._keys:
            setattr(self, key, value)
        elif isinstance(value, Parameter):
            self._own_new(key, value, PARAMETER)
        else:
            self._check_new_name(key, "value")
            setattr(self, key, value)
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def copy(self) -> ParameterDict:
        """A ParameterDict of the same values."""
        return ParameterDict(self)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of `key`, which is set to `default` if it is not there yet."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Takes all values out."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key: str) -> Any:
        """Takes the value of `key` out and gives it back; KeyError where there is none."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Takes the last pair out and gives it back; KeyError where there is none."""
        if not self._keys:
            raise KeyError("ParameterDict.popitem: it is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default` if it is not there."""
        return self[key] if key in self else default

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new ParameterDict with `default` under every key."""
        return ParameterDict((key, default) for key in keys)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._keys.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The pairs of name and value."""
        return ((key, self[key]) for key in self._keys)

    def values(self) -> Iterable[Any]:
        """The values."""
        return (self[key] for key in self._keys)

    def update(self, parameters: Any) -> None:
        """Adds the values of a mapping or of pairs.

        As in PyTorch, a plain mapping's names come in sorted order; an OrderedDict, a ParameterDict and pairs keep theirs.
        """
        given = pairs("ParameterDict", parameters)
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict):
            given.sort(key=lambda pair: pair[0])
        for key, value in given:
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(describe(key, value) for key, value in self.items())

    def __call__(self, *inputs: Any, **named: Any) -> NoReturn:
        raise RuntimeError("ParameterDict: cannot be called; use its values")

    def __or__(self, other: ParameterDict) -> ParameterDict:
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: Mapping[str, Any]) -> ParameterDict:
        return ParameterDict(OrderedDict(other)) | self

    def __ior__(self, other: ParameterDict) -> Self:
        self.update(other)
        return self
