"""Writes names.tsv, the public names of the installed PyTorch, with the parameters where PyTorch tells: python tests/torch_names/collect.py

A line is group, name, parameters. The parameters are names with "*" before those by keyword only and "=" behind those with a
default, " | " between overloads; "?" where PyTorch does not say, "-" for what is no function.
"""
from __future__ import annotations

import importlib
import inspect
import re
import types
from pathlib import Path
from typing import Any

NAMES = Path(__file__).with_name("names.tsv")
GROUPS = ("torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.nn.utils.parametrize",
          "torch.nn.utils.parametrizations", "torch.optim", "torch.optim.lr_scheduler", "torch.utils.data", "torch.linalg",
          "torch.special", "torch.autograd")
CLASSES = {"Generator", "Size", "Tensor", "Stream", "Event"}      # of torch; its others are TorchScript's
SCRIPTED = {"as_tensor", "tensor", "copy_"}         # whose schemas are TorchScript's, not Python's
CONSTANTS = {"e", "inf", "nan", "newaxis", "pi"}


def owner_of(group: str) -> Any:
    if group == "torch.Tensor":
        return importlib.import_module("torch").Tensor
    return importlib.import_module(group)


def public(group: str) -> dict[str, Any]:
    """What a user of the group sees: functions, classes, types and constants; no modules, no parts of TorchScript."""
    owner = owner_of(group)
    found = {name: getattr(owner, name, None) for name in dir(owner) if not name.startswith("_")}
    listed = set(getattr(owner, "__all__", ()))
    if group == "torch.Tensor":
        return found
    keep = {}
    for name, value in found.items():
        home = getattr(value, "__module__", "") or ""
        if isinstance(value, types.ModuleType) or home.startswith(("typing", "collections", "contextlib", "functools", "enum")):
            continue
        if group == "torch":
            # torch._C leaks its own classes into torch; functions come from torch._C._VariableFunctions
            mine = name in listed or name in CONSTANTS or isinstance(value, owner.dtype)
            if inspect.isclass(value) and name[0].isupper() and name not in CLASSES:
                continue
            if not mine and (inspect.isclass(value) or not callable(value)):
                continue
        elif listed and name not in listed and not (home == group and not inspect.isclass(value)):
            continue
        elif not listed and not callable(value) or group == "torch.nn.functional" and inspect.isclass(value):
            continue
        keep[name] = value
    return keep


def parameters(group: str, name: str, value: Any) -> str:
    if not callable(value):
        return "-"
    try:
        signature = inspect.signature(value)
        return spelled([(p.name, p.kind, p.default is not p.empty) for p in signature.parameters.values() if p.name != "self"])
    except (TypeError, ValueError):
        return of_schemas(group, name)


def of_schemas(group: str, name: str) -> str:
    """What the dispatcher knows of a compiled function: each overload that takes or gives tensors."""
    import torch

    if name in SCRIPTED:
        return "?"
    spelling = {"torch.special": f"special_{name}", "torch.linalg": f"linalg_{name}"}.get(group, name)
    found = []
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{spelling}")
    of_self = any(argument.name == "self" for schema in schemas for argument in schema.arguments)
    for schema in schemas:
        types = [str(argument.type) for argument in [*schema.arguments, *schema.returns]]
        if any(a.kwarg_only and a.alias_info is not None and a.alias_info.is_write for a in schema.arguments):      # out=
            continue
        if of_self and not any(a.name == "self" and "List" not in str(a.type) for a in schema.arguments):       # of lists and numbers
            continue
        if not any("Tensor" in kind for kind in types) or any(re.search(r"Dict|\bt\b|Any|Stream|Storage", kind) for kind in types):
            continue
        if any(argument.name in ("names", "dimname") for argument in schema.arguments) or "Dimname" in schema.overload_name:
            continue
        parts = []
        for argument in schema.arguments:
            if argument.name == "self" and group == "torch.Tensor":
                continue
            kind = inspect.Parameter.KEYWORD_ONLY if argument.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
            parts.append(("input" if argument.name == "self" else argument.name, kind, argument.has_default_value()))
        found.append(spelled(parts))
    return " | ".join(dict.fromkeys(found)) or "?"


def spelled(parts: list[tuple[str, Any, bool]]) -> str:
    words, starred = [], False
    for name, kind, has_default in parts:
        if kind is inspect.Parameter.VAR_POSITIONAL:
            words.append("*" + name)
            starred = True
        elif kind is inspect.Parameter.VAR_KEYWORD:
            words.append("**" + name)
        else:
            if kind is inspect.Parameter.KEYWORD_ONLY and not starred:
                words.append("*")
                starred = True
            words.append(name + ("=" if has_default else ""))
    return ", ".join(words)


def collect() -> list[str]:
    lines = []
    for group in GROUPS:
        for name, value in sorted(public(group).items()):
            lines.append(f"{group}\t{name}\t{parameters(group, name, value)}")
    return lines


if __name__ == "__main__":
    NAMES.write_text("\n".join(collect()) + "\n")
