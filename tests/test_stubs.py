"""The .pyi stubs say what is there: the names of every compiled module, and of Tensor."""
from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import pydl

PACKAGE = Path(pydl.__file__).parent
STUBS = sorted(PACKAGE.rglob("*.pyi"))


def names(body: list[ast.stmt]) -> set[str]:
    found = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    found |= {node.target.id for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    return found


def aliases(body: list[ast.stmt]) -> set[str]:
    return {target.id for node in body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("stub", STUBS, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_what_a_stub_declares_exists(stub: Path) -> None:
    module = importlib.import_module(".".join(["pydl", *stub.relative_to(PACKAGE).with_suffix("").parts]))
    body = ast.parse(stub.read_text()).body
    assert not {name for name in names(body) if not hasattr(module, name)}
    assert not set(getattr(module, "__all__", ())) - names(body) - aliases(body), "public, but not in the stub"


def test_the_stub_of_tensor_has_every_method() -> None:
    tree = ast.parse((PACKAGE / "_core" / "tensor.pyi").read_text())
    declared = names(next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor").body)
    there = {name for name in dir(pydl.Tensor) if not name.startswith("__")}
    assert there <= declared and all(hasattr(pydl.Tensor, name) for name in declared)
