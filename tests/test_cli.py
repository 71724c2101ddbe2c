"""The command line: help everywhere, exit codes, one JSON object on stdout."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import pydl
from pydl.demos import DEMOS


def run(*arguments, **named):
    return subprocess.run([sys.executable, "-m", "pydl", *arguments], capture_output=True, text=True, timeout=120,
                          check=False, **named)


@pytest.mark.parametrize("arguments", [[], ["info"], ["demo"], ["bench"], ["selftest"], *(["demo", name] for name in DEMOS)])
def test_help_is_true_everywhere(tmp_path, arguments):
    done = run(*arguments, "--help", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("usage: pydl")
    if arguments[:1] == ["demo"] and arguments[1:]:
        for option in ("--seed", "--threads", "--out", "--json"):
            assert option in done.stdout


def test_info(tmp_path):
    done = run("info", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("pydl", "instructions", "available", "threads", "compiler", "numpy"):
        assert word in done.stdout
    facts = json.loads(run("info", "--json", cwd=tmp_path).stdout)
    assert facts["instructions"] in facts["available"] and "base" in facts["available"] and facts["threads"] >= 1


def test_info_says_which_compiler_built_it(tmp_path):
    facts = json.loads(run("info", "--json", cwd=tmp_path).stdout)
    assert re.match(r"(GCC|Clang|Apple) .*\d+\.\d+", facts["compiler"])


def test_info_says_which_isa_was_asked_for(tmp_path):
    facts = json.loads(run("info", "--json", cwd=tmp_path, env={**os.environ, "PYDL_ISA": "base"}).stdout)
    assert facts["instructions"] == "base"


def test_demo_lists_the_demos(tmp_path):
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 0
    for name, line in DEMOS.items():
        assert name in done.stdout and line in done.stdout


@pytest.mark.parametrize("arguments", [
    [], ["nothing"], ["demo", "nothing"], ["demo", "digits", "--threads", "0"], ["demo", "digits", "--seed", "x"],
    ["info", "--nothing"], ["selftest", "more"], ["demo", "digits", "--threads", "257"], ["demo", "digits", "--seed", str(2**64)],
])
def test_wrong_usage_is_2(tmp_path, arguments):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "usage: pydl" in done.stderr and not done.stdout
    assert "Traceback" not in done.stderr


def test_version(tmp_path):
    done = run("--version", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.strip() == f"pydl {pydl.__version__}"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in ("file", "file/below"):
        done = run("demo", "digits", "--out", folder, cwd=tmp_path)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and not done.stdout
        assert "--out" in done.stderr and folder in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="no POSIX signals here: it sends SIGINT")
def test_interrupted_is_130(tmp_path):
    program = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" \
              "import pydl.demos.digits as d, time\nd.run = lambda stage: (print('on', flush=True), time.sleep(60))\n" \
              "import sys, pydl.__main__ as m\nsys.exit(m.main(['demo', 'digits']))"
    child = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.readline() == "on\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130 and errors.strip() == "pydl: interrupted"
