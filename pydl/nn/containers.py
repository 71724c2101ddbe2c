"""Modules made of modules."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any, Self

from pydl.nn.kinds import MODULE
from pydl.nn.module import Module


class Sequential(Module):
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

    def _names(self) -> list[str]:
        return [name for name, kind in self._owned.items() if kind == MODULE]

    def _name_at(self, index: int) -> str:
        try:
            return self._names()[operator.index(index)]
        except IndexError:
            raise IndexError(f"Sequential: index {index} is out of range: there are {len(self)} modules") from None

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        return iter([self.__dict__[name] for name in self._names()])

    def __getitem__(self, index: int | slice) -> Any:
        """A module, or, for a slice, a Sequential of the same modules under the same names."""
        if isinstance(index, slice):
            return type(self)({name: self.__dict__[name] for name in self._names()[index]})
        return self.__dict__[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        """Takes modules out; those that stay are numbered anew, as PyTorch does it."""
        names = self._names()[index] if isinstance(index, slice) else [self._name_at(index)]
        self._fill([self.__dict__[name] for name in self._names() if name not in names])

    def append(self, module: Module) -> Self:
        """Adds a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Puts a module before position `index`."""
        if not isinstance(module, Module):
            raise TypeError(f"Sequential.insert: expected a Module, got {type(module).__name__}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Sequential.insert: index {index} is out of range: there are {len(self)} modules")
        modules = list(self)
        modules.insert(index, module)
        return self._fill(modules)

    def extend(self, sequential: Iterable[Module]) -> Self:
        """Adds the modules of an iterable at the end."""
        for module in sequential:
            self.append(module)
        return self

    def pop(self, key: int) -> Module:
        """Takes the module at `key` out and gives it back."""
        module = self[key]
        del self[key]
        return module

    def _fill(self, modules: list[Module]) -> Self:
        for name in self._names():
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)
        return self

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            return NotImplemented
        return self.extend(other)
