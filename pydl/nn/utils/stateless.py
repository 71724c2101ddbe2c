"""A call of a module with other tensors in the place of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydl.nn.kinds import BUFFERS, PARAMETER
from pydl.nn.module import Module
from pydl.tensor import Tensor

__all__ = ["functional_call"]

Tensors = Mapping[str, Tensor]


def functional_call(module: Module, parameter_and_buffer_dicts: Tensors | Sequence[Tensors], args: Any = None,
                    kwargs: Mapping[str, Any] | None = None, *, tie_weights: bool = True, strict: bool = False) -> Any:
    """module(*args, **kwargs) with the tensors given by name in the place of its parameters and buffers. The module is left as it was.

    Gradients flow to the given tensors. A sequence of dicts counts as one. args: a tuple, or the one argument. tie_weights: who
    replaces one of several names of a tensor replaces all. strict: every parameter and buffer has to be given, and nothing else
    (RuntimeError); otherwise names that the module does not have are passed over, as in PyTorch. Raises ValueError for a name
    given twice and for tied tensors given different values, TypeError for what is no tensor.
    """
    caller = "functional_call"
    given = joined(caller, parameter_and_buffer_dicts)
    places = dict(owned(module))
    unknown = [name for name in given if name not in places]
    missing = [name for name in places if name not in given]
    if strict and (unknown or missing):
        raise RuntimeError(f"{caller}: the names do not fit {type(module).__name__}: missing: {', '.join(missing) or 'none'}; "
                           f"unexpected: {', '.join(unknown) or 'none'}")
    given = {name: value for name, value in given.items() if name in places}
    if tie_weights:
        given = tied(caller, given, places)
    old = [(part, name, part.__dict__[name]) for part, name in (places[path] for path in given)]
    inputs = () if args is None else args if isinstance(args, tuple) else (args,)
    try:
        for (part, name, _), value in zip(old, given.values(), strict=True):
            part.__dict__[name] = value
        return module(*inputs, **(kwargs or {}))
    finally:
        for part, name, value in old:
            part.__dict__[name] = value


def owned(module: Module) -> Iterator[tuple[str, tuple[Module, str]]]:
    """Dotted name -> who has it under which name, for every parameter and buffer."""
    for path, part in module.named_modules(remove_duplicate=False):
        for name, _ in part._here(PARAMETER, *BUFFERS):
            yield (f"{path}.{name}" if path else name), (part, name)


def joined(caller: str, dicts: Tensors | Sequence[Tensors]) -> dict[str, Tensor]:
    parts = [dicts] if isinstance(dicts, Mapping) else list(dicts) if isinstance(dicts, Sequence) else None
    if parts is None or not all(isinstance(part, Mapping) for part in parts):
        raise TypeError(f"{caller}: expected a dict of tensors by name, or a sequence of such, got {type(dicts).__name__}")
    given: dict[str, Tensor] = {}
    for part in parts:
        for name, value in part.items():
            if name in given:
                raise ValueError(f"{caller}: {name} is given twice")
            if not isinstance(value, Tensor):
                raise TypeError(f"{caller}: {name}: expected a Tensor, got {type(value).__name__}")
            given[name] = value
    return given


def tied(caller: str, given: dict[str, Tensor], places: dict[str, tuple[Module, str]]) -> dict[str, Tensor]:
    """The given tensors, also under the other names of what they replace."""
    names: dict[int, list[str]] = {}
    for path, (part, name) in places.items():
        names.setdefault(id(part.__dict__[name]), []).append(path)
    every = dict(given)
    for group in names.values():
        values = [given[name] for name in group if name in given]
        if any(value is not values[0] for value in values):
            raise ValueError(f"{caller}: {', '.join(group)} are one tensor in the module, and were given different values")
        if values:
            every.update(dict.fromkeys(group, values[0]))
    return every
