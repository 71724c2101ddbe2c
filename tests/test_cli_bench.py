"""pydl bench: the table, JSON, comparing with an earlier run, and wrong usage."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pydl.bench.suite import SUITE

QUICK = ("--only", "recorded add|gemm 128", "--rounds", "1")


def bench(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pydl", "bench", *arguments], capture_output=True, text=True, timeout=300, check=False,
                          cwd=folder)


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in SUITE}) == len(SUITE) > 15


@pytest.mark.parametrize("case", SUITE, ids=lambda case: case.name)
def test_every_case_runs(case) -> None:
    import pydl

    case.build(pydl)()
    if case.numpy:
        case.numpy()()


def test_table(tmp_path: Path) -> None:
    done = bench(*QUICK, "--threads", "1", "2", folder=tmp_path)
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and lines[0].startswith("case")
    assert [line.split()[:1] for line in lines[1:]] == [["gemm"], ["recorded"]] * 2 and "GFLOP/s" in lines[1]


def test_json_and_compare(tmp_path: Path) -> None:
    done = bench(*QUICK, "--json", folder=tmp_path)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["machine"]["pydl"] and [row["case"] for row in report["rows"]] == ["gemm 128x128x128", "recorded add 8x8"]
    assert all(row["seconds"] > 0 and row["spread"] >= 0 for row in report["rows"]) and report["rows"][0]["gflops"] > 0
    for factor, code in ((1000, 0), (1e-3, 1)):         # then it took 1000 times as long as now, or a thousandth
        before = {"rows": [{**row, "seconds": row["seconds"] * factor} for row in report["rows"]]}
        (tmp_path / "before.json").write_text(json.dumps(before))
        done = bench(*QUICK, "--compare", "before.json", folder=tmp_path)
        assert done.returncode == code, done.stderr
        assert ("SLOWER" in done.stdout) == bool(code) and f"{2 if code else 0} slower than 1.25 times" in done.stdout
    done = bench(*QUICK, "--compare", "before.json", "--tolerance", "1e9", "--json", folder=tmp_path)
    assert done.returncode == 0 and all(row["times_as_long"] > 1 for row in json.loads(done.stdout)["rows"])


def test_cases_that_the_file_lacks_are_no_failure(tmp_path: Path) -> None:
    row = {"case": "gemm 128x128x128", "threads": 1, "seconds": 1e3}
    (tmp_path / "before.json").write_text(json.dumps({"rows": [row]}))
    done = bench(*QUICK, "--compare", "before.json", "--threads", "1", folder=tmp_path)
    assert done.returncode == 0 and done.stdout.count("not in the file") == 1 and "0 slower" in done.stdout
    for rows in ([], [{**row, "threads": 2}], [{**row, "case": "another"}]):        # nothing in common: that is no success
        (tmp_path / "before.json").write_text(json.dumps({"rows": rows}))
        done = bench(*QUICK, "--compare", "before.json", "--threads", "1", folder=tmp_path)
        assert done.returncode == 2 and "before.json: it has none of the chosen cases" in done.stderr and not done.stdout


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [1]}', '{"rows": [{"case": "x"}]}', "\x00"])
def test_a_file_that_is_no_report(tmp_path: Path, text: str) -> None:
    (tmp_path / "before.json").write_text(text)
    done = bench(*QUICK, "--compare", "before.json", folder=tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "before.json: expected what" in done.stderr and not done.stdout


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = bench(*QUICK, "--compare", "nowhere.json", folder=tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "nowhere.json" in done.stderr


def test_against_numpy(tmp_path: Path) -> None:
    done = bench(*QUICK, "--peer", "numpy", folder=tmp_path)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["case", "gemm"]       # NumPy has no tape to record on
    assert "ratio" in done.stdout and " .. " in done.stdout


@pytest.mark.parametrize("arguments", [
    ["--peer", "jax"], ["--only", "("], ["--only", "no such case"], ["--threads", "0"], ["--threads", "x"], ["--rounds", "0"],
    ["--tolerance", "0.5"], ["--tolerance", "nan"], ["more"],
])
def test_wrong_usage_is_2(tmp_path: Path, arguments: list[str]) -> None:
    done = bench(*arguments, folder=tmp_path)
    assert done.returncode == 2 and "usage: pydl" in done.stderr and not done.stdout and "Traceback" not in done.stderr


def test_a_peer_that_is_not_installed(tmp_path: Path) -> None:
    code = ("import importlib.util, sys\nfind = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name, *more: None if name == 'torch' else find(name, *more)\n"
            "import pydl.__main__ as m\nm.main(['bench', '--peer', 'torch'])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 2 and "--peer torch: it is not installed" in done.stderr
