"""The weights of a model in a safetensors file."""

import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from pydl.io.files import read_tensors, write_tensors
from pydl.io.plain import place
from pydl.io.replace import Path
from pydl.tensor import Tensor
from pydl.version import __version__

FORMAT = 1                          # of what pydl adds to the metadata


class HasState(Protocol):
    """A module, an optimizer, a schedule: its state as a dict, and back."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any, /) -> Any: ...


def save_model(model: HasState, filename: Path, metadata: Mapping[str, str] | None = None, *, arch: Any = None) -> None:
    """Writes the state_dict of a model to a safetensors file; the old file stays if anything fails.

    Tied weights are written once, and named in the metadata: `pydl.aliases`. `pydl.format_version` and `pydl.version` go with
    them, and arch, any JSON data that says how to build the model, as `pydl.arch`. PyTorch and Hugging Face read the file.
    Raises TypeError for what has no state_dict or is no JSON, OSError where the file cannot be written.
    """
    state = state_of("save_model", model)
    kept, aliases = without_ties(state)
    added = format_metadata()
    if aliases:
        added["pydl.aliases"] = json.dumps(aliases)
    if arch is not None:
        try:
            added["pydl.arch"] = json.dumps(arch, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"save_model: arch: expected JSON data: {error}") from None
    write_tensors("save_model", kept, filename, {**(metadata or {}), **added})


def load_model(model: HasState, filename: Path, strict: bool = True, device: str = "cpu", *, widen: bool = False) -> Any:
    """Loads a safetensors file, or the shards of an `.index.json`, into a model: -> what its load_state_dict returns.

    Files of PyTorch and Hugging Face load, too; a weight that the model ties to another may be missing. widen: see load_file.
    Raises ValueError, naming the file, where it is damaged, does not fit the model (with strict=False only shapes must), comes
    from a newer pydl, or holds two different values for tied weights; the model is as it was then.
    """
    if str(device) != "cpu":
        raise ValueError(f"load_model: device must be 'cpu', got {device!r}")
    own = state_of("load_model", model)
    tensors, metadata = read_tensors("load_model", filename, None, widen)
    try:
        check_version(metadata)
        for alias, name in aliases_of(metadata).items():
            if name not in tensors or alias in tensors:
                raise ValueError(f"metadata pydl.aliases: {alias!r} is said to be {name!r}, but that does not fit the tensors of the file")
            tensors[alias] = tensors[name]
        fill_ties(tensors, own)
        return model.load_state_dict(tensors) if strict else model.load_state_dict(tensors, strict=False)  # type: ignore[call-arg]
    except ValueError as error:
        raise ValueError(f"load_model: {os.fsdecode(filename)}: {error}") from error


def state_of(caller: str, model: Any) -> dict[str, Any]:
    if not hasattr(model, "state_dict") or not hasattr(model, "load_state_dict"):
        raise TypeError(f"{caller}: expected a module, got {type(model).__name__}; save_file and load_file take tensors by name")
    return model.state_dict()


def without_ties(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """-> the first of all tensors that are the same, {other name: first name}."""
    first: dict[tuple, str] = {}
    kept, aliases = {}, {}
    for name, tensor in state.items():
        found = first.setdefault(place(tensor), name)
        if found == name:
            kept[name] = tensor
        else:
            aliases[name] = found
    return kept, aliases


def fill_ties(tensors: dict[str, Tensor], own: Mapping[str, Any]) -> None:
    """Gives every name of a tied weight the value that one of them has in the file; ValueError where two differ."""
    groups: dict[tuple, list[str]] = {}
    for name, tensor in own.items():
        groups.setdefault(place(tensor), []).append(name)
    for names in groups.values():
        there = [name for name in names if name in tensors]
        for name in there[1:]:
            a, b = tensors[there[0]], tensors[name]
            if a is not b and not np.array_equal(a.numpy(), b.numpy(), equal_nan=True):
                raise ValueError(f"{there[0]} and {name} are one tensor in the model, but differ in the file")
        for name in names if there else ():
            tensors[name] = tensors[there[0]]


def format_metadata() -> dict[str, str]:
    """What says which pydl wrote a file."""
    return {"pydl.format_version": str(FORMAT), "pydl.version": __version__}


def check_version(metadata: Mapping[str, str]) -> None:
    """ValueError for a format that came after this one."""
    text = metadata.get("pydl.format_version", str(FORMAT))
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 10:
        raise ValueError(f"metadata pydl.format_version: expected a number, got {text[:50]!r}")
    if int(text) > FORMAT:
        raise ValueError(f"written in format {text} by pydl {metadata.get('pydl.version', 'unknown')}, "
                         f"but this one reads formats up to {FORMAT}; update pydl")


def aliases_of(metadata: Mapping[str, str]) -> dict[str, str]:
    try:
        aliases = json.loads(metadata.get("pydl.aliases", "{}"))
    except (json.JSONDecodeError, RecursionError):
        aliases = None
    if not isinstance(aliases, dict) or not all(isinstance(name, str) for name in aliases.values()):
        raise ValueError("metadata pydl.aliases: expected a JSON object of names to names")
    return aliases
