"""What a module owns, as the dictionaries that PyTorch's modules have: `_parameters`, `_buffers`, `_modules`; and modes that are lent."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydl.nn.module import Module


class Owned(MutableMapping):
    """A view: name -> parameter, buffer or child module (or None) of one module."""

    def __init__(self, module: Module, kinds: tuple[str, ...]) -> None:
        self.module, self.kinds = module, kinds

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, kind in self.module._owned.items() if kind in self.kinds])

    def __len__(self) -> int:
        return sum(kind in self.kinds for kind in self.module._owned.values())

    def __getitem__(self, name: str) -> Any:
        if self.module._owned.get(name) not in self.kinds:
            raise KeyError(name)
        return self.module.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.module._own(name, value, self.module._owned[name] if name in self else self.kinds[0])

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        delattr(self.module, name)

    def __repr__(self) -> str:
        return repr(dict(self))


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Afterwards every module is in the mode that it was in, training or evaluation, whatever happens."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
