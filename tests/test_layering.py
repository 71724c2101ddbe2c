"""Who may call whom: reads the imports of every source file and holds them against the library's layers."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pydl"
CSRC = ROOT / "csrc"

# Layer -> the layers it may import. What is not named here may not be imported; a new module needs a line.
BELOW_OPS = {"_core", "autograd"}
CORE = {*BELOW_OPS, "ops", "tensor", "random", "threads"}
LIBRARY = {*CORE, "nn", "func", "optim", "data", "io", "datasets", "linalg", "metrics", "special", "testing", "training", "version", "profiler", "plans",
           "inference", "vision"}
LAYERS = {
    "_core": set(),
    "autograd": {"_core"},
    "ops": BELOW_OPS,
    "tensor": {*BELOW_OPS, "ops"},              # binds the ops to the class: operators and methods
    "random": {*BELOW_OPS, "ops"},
    "linalg": {"ops"},
    "special": {"ops"},
    "threads": {"_core"},
    "testing": {*BELOW_OPS, "tensor", "ops"},
    "costs": {"_core"},
    "plans": {"_core", "costs", "profiler", "tensor"},
    "inference": {"autograd", "nn", "plans", "tensor"},
    "profiler": {"_core", "costs", "io"},      # io where a trace is written
    "nn": {"ops", "tensor", "random", "autograd", "profiler"},
    "func": {"nn"},
    "optim": {*BELOW_OPS, "tensor", "nn"},      # nn for swa_utils: an averaged model is a module
    "data": {*BELOW_OPS, "tensor", "ops", "random"},
    "io": {"_core", "tensor", "random", "version"},
    "version": set(),
    "datasets": {"data", "tensor", "ops"},
    "metrics": {"tensor", "ops"},
    "training": {"autograd", "data", "io", "nn", "ops", "optim", "plans", "random", "tensor"},
    "vision": {"training", "nn", "optim", "ops", "data", "metrics", "io", "plans", "tensor", "autograd", "random", "datasets"},
    "demos": LIBRARY - {"_core"},
    "bench": LIBRARY - {"_core"},
    "cli": LIBRARY | {"bench"},
    "__main__": (LIBRARY - {"_core"}) | {"demos", "cli"},
    "__init__": LIBRARY,
}
TYPES_AND_MODES = {"Tensor", "dtype", "float32", "float64", "int64", "int32", "uint8", "bool"}
EVERYONE = re.compile(r"^(libc|libcpp|cpython|cython)(\.|$)")
IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+(\(?[^#\n]*)|c?import\s+([\w., ]+))", re.M)
FILES = sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".pyx", ".pxd", ".pxi"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].split(".")[0]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import, wherever in the file it stands; name is "" for `import module`."""
    text = path.read_text()
    if path.suffix == ".py":
        parents = path.relative_to(ROOT).with_suffix("").parts[:-1]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = parents[: len(parents) - node.level + 1] if node.level else ()
                module = ".".join([*above, *([node.module] if node.module else [])])
                yield from ((module, alias.name) for alias in node.names)
        return
    text = re.sub(r'"""(?:.|\n)*?"""', "", text)
    text = re.sub(r"\(\s*((?:[^()]|\n)*?)\s*\)", lambda m: "(" + " ".join(m[1].split()) + ")", text)
    for module, names, plain in IMPORT.findall(text):
        for name in (names.strip("() ") or plain).split(","):
            if name := name.split(" as ")[0].strip():
                yield (module, name) if module else (name, "")


def targets(path: Path) -> Iterator[str]:
    """The layers of pydl that a file imports; "pydl" for the whole package."""
    for module, name in imports(path):
        if module == "pydl" and name:
            is_module = (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists() or name in LAYERS
            if is_module and not (name == "tensor" and layer_of(path) not in ("__init__", "tensor")):
                yield name
            elif name in TYPES_AND_MODES:
                yield "tensor"
            else:
                yield "pydl"
        elif module == "pydl":
            yield "pydl"
        elif module.startswith("pydl."):
            yield module.split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def test_imports_point_downwards(path: Path) -> None:
    layer = layer_of(path)
    assert layer in LAYERS, f"{path.name}: which layer is {layer}? Give it a line in LAYERS, above"
    allowed = LAYERS[layer] | {layer}
    if layer in ("bench", "cli", "demos", "__main__", "__init__", "testing"):
        allowed |= {"pydl"}
    wrong = sorted(set(targets(path)) - allowed)
    assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}; {layer} may import {sorted(allowed)}"


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def test_no_pickle_and_no_code_from_data(path: Path) -> None:
    code = re.sub(r'("""(?:.|\n)*?"""|#[^\n]*)', "", path.read_text())
    for banned in (r"import (pickle|marshal)\b", r"(?<![\w.])(?<!def )(eval|exec)\(", r"allow_pickle\s*=\s*True"):
        assert not re.search(banned, code), f"{path.relative_to(ROOT)}: {banned}"


SOURCES = sorted(p for p in CSRC.glob("*") if p.suffix in (".c", ".h", ".inc"))
SYSTEM = {"stddef.h", "stdint.h", "stdlib.h", "string.h", "math.h", "float.h", "limits.h", "assert.h", "stdatomic.h",
          "stdbool.h", "immintrin.h", "arm_neon.h", "errno.h", "pthread.h", "sched.h", "time.h", "unistd.h", "signal.h", "stdio.h"}
ABOVE_KERNELS = {"arena.c", "plan.c", "plan_constants.c", "plan_inputs.c", "plan_memory.c", "dispatch.c", "threads.c", "alloc.c", "trace.c"}          # linked once, not once per instruction set


def without_comments(path: Path) -> str:
    return re.sub(r"/\*(?:.|\n)*?\*/|//[^\n]*", "", path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=[p.name for p in SOURCES])
def test_c_includes_itself_and_libc(path: Path) -> None:
    for quoted, system in re.findall(r'#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', without_comments(path)):
        if quoted:
            assert (CSRC / quoted).exists(), f"{path.name} includes {quoted}, which is not in csrc"
        elif system.startswith(("sys/", "linux/", "asm/")) or system == "dlfcn.h":
            assert path.name in ABOVE_KERNELS, f"{path.name} includes <{system}>"
        else:
            assert system in SYSTEM, f"{path.name} includes <{system}>"


@pytest.mark.parametrize("path", SOURCES, ids=[p.name for p in SOURCES])
def test_kernels_ask_nobody(path: Path) -> None:
    code = without_comments(path)
    if path.name not in ABOVE_KERNELS:
        for call in ("malloc", "calloc", "realloc", "free", "alloca", "printf", "fprintf", "abort", "exit"):
            assert not re.search(rf"\b{call}\s*\(", code), f"{path.name} calls {call}"
    if path.name != "dispatch.c":
        assert not re.search(r"__builtin_cpu_|cpuid|getauxval", code), f"{path.name} asks the CPU"
    assert not re.search(r"#\s*if\s+0\b", code), f"{path.name}: code that is switched off"


@pytest.mark.parametrize("path", [p for p in [*SOURCES, *FILES] if p.exists()], ids=lambda p: p.name)
def test_no_god_files(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 450, f"{path.relative_to(ROOT)} has {lines} lines: split it at about 400"


def test_the_build_keeps_ieee_arithmetic() -> None:
    text = (ROOT / "setup.py").read_text() + (ROOT / "pyproject.toml").read_text()
    for banned in ("-ffast-math", "-Ofast", "-funsafe-math", "-ffinite-math"):
        assert banned not in text
    for path in SOURCES:
        assert "fast-math" not in path.read_text(), path.name
