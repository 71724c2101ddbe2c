"""Two revisions of pydl, or two files of `against.py --peer none --json`, case by case.

    python benches/compare.py REVISION REVISION [--threads 1] [--only REGEX] [--turns 5]
    python benches/compare.py before.json after.json

Revisions are built into temporary folders and timed in turns, each in a process of its own. Prints time(first) /
time(second): above 1 the second is faster. Exits 1 where a case is slower than --slower (1.1) times.
"""
from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
Times = dict[tuple[str, int], float]


def build(revision: str, folder: Path) -> Path:
    """The package of a revision, installed into a folder of its own."""
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder / "source", filter="data")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "installed"),
                    str(folder / "source")], check=True)
    return folder / "installed"


def times_of(rows: list[dict]) -> Times:
    return {(row["case"], row["threads"]): row["seconds"] for row in rows if "threads" in row}


def measure(installed: Path, threads: list[int], only: str) -> Times:
    command = [sys.executable, str(Path(__file__).parent / "against.py"), "--peer", "none", "--json", "--only", only,
               "--threads", *map(str, threads)]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=elsewhere)
    return times_of(json.loads(done.stdout))


def of_revisions(names: list[str], arguments: argparse.Namespace) -> list[Times]:
    with tempfile.TemporaryDirectory(prefix="pydl-compare-") as temporary:
        places = []
        for i, name in enumerate(names):
            folder = Path(temporary) / str(i)
            folder.mkdir()
            places.append(build(name, folder))
        found: list[list[Times]] = [[], []]
        for turn in range(arguments.turns):
            for which in (0, 1) if turn % 2 == 0 else (1, 0):
                found[which].append(measure(places[which], arguments.threads, arguments.only))
    return [{key: statistics.median(t[key] for t in times) for key in times[0]} for times in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--only", default="^(?!import|memory)")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--slower", type=float, default=1.1)
    arguments = parser.parse_args()
    names = [arguments.first, arguments.second]
    if all(name.endswith(".json") for name in names):
        first, second = (times_of(json.loads(Path(name).read_text())) for name in names)
    else:
        first, second = of_revisions(names, arguments)
    slower = 0
    print(f"{'case':<34} {'thr':>3} {'first us':>10} {'second us':>10} {'ratio':>6}")
    for key in (key for key in first if key in second):
        change = first[key] / second[key]
        slower += change < 1 / arguments.slower
        print(f"{key[0]:<34} {key[1]:>3} {first[key] * 1e6:>10.2f} {second[key] * 1e6:>10.2f} {change:>6.2f}")
    print(f"{len(first)} cases, {slower} slower than {arguments.slower}x")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
