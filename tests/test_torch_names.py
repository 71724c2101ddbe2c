"""The page of names says what is there: every name of PyTorch has a status, and no claim is more than the package holds."""
from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent / "torch_names"
IN_CHECKOUT = (FOLDER.parent.parent / "pydl" / "__init__.py").exists()


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"torch_names_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


page, reasons = load("page"), load("reasons")


def test_every_name_has_a_status_and_a_reason() -> None:
    entries = page.entries()
    assert len(entries) == len(page.names()) == len({(one.group, one.name) for one in entries}) > 1900
    assert {one.status for one in entries} == {"same", "different", "absent"}
    assert all(one.why for one in entries if one.status != "same") and not any(one.why for one in entries if one.status == "same")


def test_what_is_declared_different_is_there() -> None:
    there = {(one.group, one.name): one.status for one in page.entries()}
    assert {key for key in reasons.DIFFERENT if there.get(key) != "different"} == set()


@pytest.mark.parametrize(("ours", "theirs", "found"), [
    (lambda input, other, *, alpha=1: 0, "input, other, *, alpha=", ""),
    (lambda input, other, *, alpha=1, more=2: 0, "input, other", ""),
    (lambda input, other: 0, "input, other, *, alpha=", "no argument alpha"),
    (lambda other, input: 0, "input, other", "the arguments come in another order"),
    (lambda input, *, dim: 0, "input, dim=", "dim by keyword only"),
    (lambda input, *, dim: 0, "input | input, dim= | input, *, dim", ""),
    (lambda input: 0, "input, *, out=, device=", ""),
    (lambda *sizes: 0, "size, *, dtype=", "no argument dtype"),
    (lambda x: 0, "?", ""),
    (3.5, "-", ""),
])
def test_differences_are_found(ours: object, theirs: str, found: str) -> None:
    assert page.differences(ours, theirs) == found


@pytest.mark.skipif(not IN_CHECKOUT, reason="the page is not part of the package")
def test_the_page_is_up_to_date() -> None:
    """A page that promises too much fails. One that misses what was added since is written anew, with a warning."""
    text = page.page()
    if not page.PAGE.exists() or page.PAGE.read_text() == text:
        assert page.PAGE.exists(), "run python tests/torch_names/page.py"
        return
    promised = claims(page.PAGE.read_text())
    assert promised <= claims(text), f"the page claims what is not so: {sorted(promised - claims(text))}; run python tests/torch_names/page.py"
    page.PAGE.write_text(text)
    warnings.warn("pydl/PYTORCH_NAMES.md was stale: it is written anew, commit it", stacklevel=1)


def claims(text: str) -> set[tuple[str, str]]:
    """The (group, name) that a page calls the same."""
    found, group, inside = set(), "", False
    for line in text.splitlines():
        if line.startswith("## "):
            group = line[3:]
        inside = line.startswith("Same: ") or (inside and bool(line))
        if inside:
            found |= {(group, name) for name in line.split("`")[1::2]}
    return found


@pytest.mark.parity
def test_the_list_of_names_is_complete() -> None:
    collect = load("collect")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        now = collect.collect()
    before = (FOLDER / "names.tsv").read_text().splitlines()
    assert now == before, f"run python tests/torch_names/collect.py: {sorted(set(now) ^ set(before))[:10]}"
