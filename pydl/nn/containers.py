"""Modules made of modules."""

from __future__ import annotations

import itertools
import operator
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self

from pydl.nn.kinds import MODULE
from pydl.nn.module import Module
from pydl.tensor import Tensor


class Numbered(Module):
    """What Sequential and ModuleList share: modules in an order, indexed like a list, named by their numbers."""

    def _names(self) -> list[str]:
        return [name for name, kind in self._owned.items() if kind == MODULE]

    def _name_at(self, index: int) -> str:
        try:
            return self._names()[operator.index(index)]
        except IndexError:
            raise IndexError(f"{type(self).__name__}: index {index} is out of range: there are {len(self)} modules") from None

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        return iter([self.__dict__[name] for name in self._names()])

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        """Takes modules out; those that stay are numbered anew, as PyTorch does it."""
        names = self._names()[index] if isinstance(index, slice) else [self._name_at(index)]
        self._fill([self.__dict__[name] for name in self._names() if name not in names])

    def append(self, module: Module) -> Self:
        """Adds a module at the end."""
        number = len(self)
        while str(number) in self._owned:       # a slice of a Sequential keeps its names: do not overwrite one
            number += 1
        self.add_module(str(number), module)
        return self

    def _insert(self, index: int, module: Module) -> Self:
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}.insert: expected a Module, got {type(module).__name__}")
        if not -len(self) <= operator.index(index) <= len(self):
            raise IndexError(f"{type(self).__name__}.insert: index {index} is out of range: there are {len(self)} modules")
        modules = list(self)
        modules.insert(index, module)
        return self._fill(modules)

    def _extend(self, modules: Iterable[Module]) -> Self:
        if not isinstance(modules, Iterable):
            raise TypeError(f"{type(self).__name__}.extend: expected an iterable of modules, got {type(modules).__name__}")
        for module in modules:
            self.append(module)
        return self

    def _fill(self, modules: list[Module]) -> Self:
        for name in self._names():
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)
        return self


class Sequential(Numbered):
    """Runs its modules one after the other: Sequential(a, b)(x) = b(a(x)). Takes modules, or one dict of names to modules."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], dict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input: Any) -> Any:
        values = self.__dict__
        for name, kind in self._owned.items():
            if kind == MODULE:
                input = values[name](input)
        return input

    def __getitem__(self, index: int | slice) -> Any:
        """A module, or, for a slice, a Sequential of the same modules under the same names."""
        if isinstance(index, slice):
            return type(self)({name: self.__dict__[name] for name in self._names()[index]})
        return self.__dict__[self._name_at(index)]

    def insert(self, index: int, module: Module) -> Self:
        """Puts a module before position `index`."""
        return self._insert(index, module)

    def extend(self, sequential: Iterable[Module]) -> Self:
        """Adds the modules of an iterable at the end."""
        return self._extend(sequential)

    def pop(self, key: int | slice) -> Module:
        """Takes the module at `key` out and gives it back; for a slice, a Sequential of modules."""
        module = self[key]
        del self[key]
        return module

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            return NotImplemented
        return self.extend(other)

    def __mul__(self, other: int) -> Sequential:
        """The modules `other` times over: the same modules, with shared parameters."""
        if not isinstance(other, int):
            return NotImplemented
        return Sequential(*list(self) * positive(other))

    __rmul__ = __mul__

    def __imul__(self, other: int) -> Self:
        if not isinstance(other, int):
            return NotImplemented
        return self.extend(list(self) * (positive(other) - 1))


def positive(times: int) -> int:
    if times <= 0:
        raise ValueError(f"Sequential: expected to be repeated 1 or more times, got {times}")
    return times


class ModuleList(Numbered):
    """Modules in a list. It has no forward: its owner decides what to call, and its parameters belong to the owner's.

    Indices, slices, `+`, append, insert, extend and pop are those of a list; a slice is a ModuleList, numbered from 0.
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)([self.__dict__[name] for name in self._names()[index]])
        return self.__dict__[self._name_at(index)]

    def insert(self, index: int, module: Module) -> None:
        """Puts a module before position `index`."""
        self._insert(index, module)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Adds the modules of an iterable at the end."""
        return self._extend(modules)

    def pop(self, key: int | slice) -> Module:
        """Takes the module at `key` out and gives it back; for a slice, a ModuleList."""
        module = self[key]
        del self[key]
        return module

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(self).extend(other)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __repr__(self) -> str:
        """Neighbours that look the same are written once: (0-3): 4 x ReLU()."""
        lines, start = [], 0
        for text, same in itertools.groupby(repr(module) for module in self):
            count = len(list(same))
            where = f"({start}-{start + count - 1}): {count} x " if count > 1 else f"({start}): "
            lines.append((where + text).replace("\n", "\n  "))
            start += count
        return type(self).__name__ + "(" + "".join(f"\n  {line}" for line in lines) + ("\n)" if lines else ")")


class ModuleDict(Module):
    """Modules under names, in the order in which they came. It has no forward: its owner decides what to call.

    A name is an attribute, too: it has no dots, and it is not a name that every ModuleDict has ("keys", "training").
    Raises KeyError for such names, TypeError for what is no module.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def _all(self) -> dict[str, Module]:
        return {name: self.__dict__[name] for name, kind in self._owned.items() if kind == MODULE}

    def __getitem__(self, key: str) -> Module:
        return self._all()[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __contains__(self, key: object) -> bool:
        return key in self._all()

    def clear(self) -> None:
        """Takes all modules out."""
        for name in self:
            del self[name]

    def pop(self, key: str) -> Module:
        """Takes the module `key` out and gives it back; KeyError where there is none."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._all().keys()

    def items(self) -> ItemsView[str, Module]:
        """The pairs of name and module."""
        return self._all().items()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self._all().values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds the modules of a mapping or of pairs; one under a name that exists takes the place of the old one."""
        for name, module in pairs("ModuleDict", modules):
            self[name] = module


def pairs(caller: str, given: Any) -> list[tuple[str, Any]]:
    """The pairs of name and value in a mapping (a dict, a ModuleDict) or an iterable of pairs."""
    if isinstance(given, Mapping) or isinstance(given, Module) and hasattr(given, "items"):
        return list(given.items())
    if isinstance(given, Tensor) or not isinstance(given, Iterable):
        raise TypeError(f"{caller}.update: expected a mapping or pairs of name and value, got {type(given).__name__}")
    found = []
    for i, pair in enumerate(given):
        if isinstance(pair, (str, Tensor)) or not isinstance(pair, Iterable):
            raise TypeError(f"{caller}.update: element {i}: expected a pair of name and value, got {type(pair).__name__}")
        if len(pair := tuple(pair)) != 2:
            raise ValueError(f"{caller}.update: element {i}: expected a pair of name and value, got {len(pair)} values")
        found.append(pair)
    return found
