"""The examples in the docstrings, of Python and of compiled modules, are run: what they print is what they say."""
from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import types
from collections.abc import Iterator

import pytest

import pydl

# One example of each family, at least.
WANTED = {
    "pydl._core.create.tensor", "pydl.autograd.grad", "pydl.data.loader.DataLoader", "pydl.io.files.save_file", "pydl.metrics.accuracy.accuracy",
    "pydl.nn.linear.Linear", "pydl.nn.module.Module", "pydl.nn.summary.summary", "pydl.ops.activations.relu",
    "pydl.ops.elementwise.exp", "pydl.ops.gather.gather", "pydl.ops.join.cat", "pydl.ops.losses.cross_entropy", "pydl.ops.matmul.matmul",
    "pydl.ops.reduce.sum", "pydl.ops.shape.reshape", "pydl.ops.softmax.softmax", "pydl.ops.sort.sort", "pydl.optim.adam.Adam",
    "pydl.profiler.profile", "pydl.random.manual_seed", "pydl.testing.gradcheck",
}
MODULES = sorted(info.name for info in pkgutil.walk_packages(pydl.__path__, "pydl.") if info.name != "pydl.__main__")


def documented(module: types.ModuleType) -> Iterator[tuple[str, str]]:
    """(name, docstring) of the module and of what it defines: doctest's own finder does not see compiled functions."""
    yield module.__name__, module.__doc__ or ""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            for below, method in vars(value).items():
                method = getattr(method, "__func__", method)
                if not below.startswith("_") and isinstance(getattr(method, "__doc__", None), str) and not isinstance(method, (str, int)):
                    yield f"{module.__name__}.{name}.{below}", method.__doc__
        if inspect.isclass(value) or callable(value):
            yield f"{module.__name__}.{name}", value.__doc__ or ""


EXAMPLES = {name: (module, text) for module in MODULES for name, text in documented(importlib.import_module(module)) if ">>>" in text}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_print_what_they_say(name: str, capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    module, text = EXAMPLES[name]
    names = {**vars(importlib.import_module(module)), "pydl": pydl, "nn": pydl.nn}
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    random = pydl.get_rng_state()
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, clear_globs=True)
    pydl.set_rng_state(random)
    assert result.attempted and not result.failed, capsys.readouterr().out


def test_the_most_used_have_an_example() -> None:
    assert not WANTED - set(EXAMPLES), f"without an example: {sorted(WANTED - set(EXAMPLES))}"
