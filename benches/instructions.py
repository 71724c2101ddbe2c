"""Instructions of ten eager calls and a replay, counted by callgrind, against the counts in instructions.json.

    python benches/instructions.py [--only REGEX] [--update] [--functions N]

Prints count, stored count and their ratio; exits 1 where a call takes more than 5 % more than stored. Counts do not know how
busy the machine is; they do depend on Python, processor family and instruction set: against a baseline of others nothing is
judged. Each count is the less of two runs: in one, two names may share a place in Python's cache of methods, which costs hundreds.
--update stores the counts; --functions lists where the instructions go (those of a stripped build have no names).
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
STORED = HERE / "instructions.json"
MORE = 1.05                 # worse than this is marked
Counts = dict[str, float]
CHILD = """
import sys
for i in range(int(sys.argv[1])):
    type(f"T{i}", (), {"x": 0})().x
sys.path.insert(0, sys.argv[2])
import eager_calls
eager_calls.main(sys.argv[3])
"""


def total_of(dump: str) -> int:
    """The instructions in a dump of callgrind."""
    found = re.search(r"^(?:totals|summary): (\d+)", dump, re.M)
    if found is None:
        raise ValueError("a dump of callgrind without totals")
    return int(found[1])


def count(valgrind: str, only: str, folder: Path, types: int) -> tuple[dict[str, str], Counts, dict[str, Path]]:
    """Runs eager_calls.py -> what it ran on, instructions of each call, and the dump of one of its loops.

    types: how many come before all others; they move the others' places in the cache of methods.
    """
    folder.mkdir()
    command = [valgrind, "--tool=callgrind", f"--callgrind-out-file={folder / 'counts'}", "--dump-before=getppid",
               "--compress-strings=no", "--compress-pos=no", sys.executable, "-c", CHILD, str(types), str(HERE), only]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYDL_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"callgrind failed:\n{done.stderr[-3000:]}")
    where, *lines = map(json.loads, done.stdout.splitlines())
    counts: Counts = {}
    loops = {}
    for i, (name, times) in enumerate(lines):
        once, twice = (folder / f"counts.{6 * i + dump}" for dump in (4, 6))       # 1: what was before, 2: the warm-up; 3, 5: between
        counts[name] = (total_of(twice.read_text()) - total_of(once.read_text())) / times
        loops[name] = twice
    return where, counts, loops


def functions_of(dump: str) -> dict[str, int]:
    """Instructions by function, most first: of the function itself, without what it calls."""
    found: dict[str, int] = {}
    function, call = "", False
    for line in dump.splitlines():
        if line.startswith("fn="):
            function = line[3:].partition("'")[0]
        elif line.startswith("calls="):
            call = True             # the next line counts what was called
        elif line[:1].isdigit():
            if not call:
                found[function] = found.get(function, 0) + int(line.split()[1])
            call = False
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def compare(counts: Counts, stored: Counts) -> int:
    """Prints the table; how many calls take more than they may."""
    worse = 0
    print(f"{'call':<34} {'now':>9} {'stored':>9} {'ratio':>6}")
    for name, now in counts.items():
        before = stored.get(name)
        if before is None:
            print(f"{name:<34} {now:>9.0f} {'-':>9}")
            continue
        more = now > MORE * before
        worse += more
        print(f"{name:<34} {now:>9.0f} {before:>9.0f} {now / before:>6.3f}{' WORSE' if more else ''}")
    return worse


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="regular expression: calls whose name it is found in")
    parser.add_argument("--update", action="store_true", help=f"store the counts in {STORED.name}")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="the N functions in which each call spends most")
    arguments = parser.parse_args()
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("nothing counted: valgrind is not installed")
        return 0
    with tempfile.TemporaryDirectory(prefix="pydl-instructions-") as folder:
        where, counts, loops = count(valgrind, arguments.only, Path(folder) / "first", 0)
        for name, again in count(valgrind, arguments.only, Path(folder) / "second", 37)[1].items():
            counts[name] = min(counts[name], again)
        stored = json.loads(STORED.read_text()) if STORED.exists() else {"where": where, "counts": {}}
        worse = compare(counts, stored["counts"])
        for name in counts if arguments.functions else ():
            print(f"\n{name}")
            functions = functions_of(loops[name].read_text())
            share = counts[name] / sum(functions.values())
            for function, own in list(functions.items())[:arguments.functions]:
                print(f"{own * share:>9.1f} {function}")
    if arguments.update:
        kept = stored["counts"] if stored["where"] == where else {}
        STORED.write_text(json.dumps({"where": where, "counts": {**kept, **{k: round(v, 1) for k, v in counts.items()}}}, indent=1) + "\n")
        return 0
    if stored["where"] != where:
        print(f"not judged: counted on {where}, stored on {stored['where']}")
        return 0
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
