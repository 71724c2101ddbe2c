"""pydl against another library: a table of interleaved ratios time(peer) / time(pydl), above 1 is faster than the peer.

    python benches/against.py --peer torch|numpy|jax|onnxruntime|pydl|none [--threads 1 2] [--only REGEX] [--rounds 9] [--json]

Both run in one process, in turns (A B, B A, ...), each round at least 20 ms; each thread count has a process of its own. The
ratio is the median of the rounds' ratios, with its quartiles. `--peer pydl` must give 1.0: it says how far to trust the rest.
`--peer none` times pydl alone. `--only import` compares starting times, `--only memory` prints peak memory.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from cases import Case, every_case, peer_build, threads_of
from measure import Thunk, interleaved, loops_for, once, peak_loop, ratio

NEEDS = {"jax": ("jax",), "onnxruntime": ("onnxruntime", "onnx", "torch"), "torch": ("torch",)}     # by peer: modules
MOST_MEGABYTES = {"mlp": 80}      # of a pydl process


def short(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def part_of_peak(case: Case, ours: Thunk, loop: Thunk) -> float:
    """The fraction of the FMA units' rate, measured before and after: a shared machine's clock wanders."""
    before = loop()
    seconds = once(ours, loops_for(ours, 0.02)) / case.calls
    return case.flops / seconds / ((before + loop()) / 2)


def measure(case: Case, peer: str, threads: int, rounds: int) -> dict[str, Any] | None:
    import pydl

    ours = case.build(pydl)
    row: dict[str, Any] = {"case": case.name, "peer": peer, "threads": threads}
    if peer == "none":
        n = loops_for(ours, 0.02)
        times = [once(ours, n) for _ in range(max(7, rounds))]
    else:
        theirs = peer_build(case, peer)
        if theirs is None:
            return None
        times, other = interleaved(ours, theirs, rounds)
        row["peer_seconds"] = statistics.median(other) / case.calls
        row["ratio"], row["low"], row["high"] = ratio(times, other)
        row["how"] = getattr(theirs, "how", None)
    row["seconds"] = statistics.median(times) / case.calls
    row["bar"] = case.bar(peer, threads)
    met = [row["ratio"] >= row["bar"]] if row["bar"] is not None and "ratio" in row else []
    if case.most_us is not None:
        row["most_us"] = case.most_us
        met.append(row["seconds"] * 1e6 <= case.most_us)
    if case.flops:
        row["gflops"] = case.flops / row["seconds"] / 1e9
        if threads == 1 and (loop := peak_loop()):
            row["peak"] = statistics.median(part_of_peak(case, ours, loop) for _ in range(max(7, rounds)))
            row["least_peak"] = case.least_peak or None
            if case.least_peak:
                met.append(row["peak"] >= case.least_peak)
    row["met"] = all(met) if met else None
    return row


def print_head() -> None:
    print(f"{'case':<46} {'thr':>3} {'pydl':>9} {'peer':>9} {'ratio':>6} {'quartiles':>13} {'bar':>6}      note", flush=True)


def print_row(row: dict[str, Any]) -> None:
    peer = short(row["peer_seconds"]) if "peer_seconds" in row else "-"
    measured = f"{row['ratio']:.2f}" if "ratio" in row else "-"
    spread = f"{row['low']:.2f} .. {row['high']:.2f}" if "ratio" in row else ""
    bar = f"{row['bar']:g}" if row["bar"] is not None else ""
    notes = []
    if "gflops" in row:
        notes.append(f"{row['gflops']:.1f} GFLOP/s")
    if "peak" in row:
        least = f" (bar {100 * row['least_peak']:.0f} %)" if row["least_peak"] else ""
        notes.append(f"{100 * row['peak']:.0f} % of peak{least}")
    if "most_us" in row:
        notes.append(f"bar {row['most_us']} us")
    if row.get("how"):
        notes.append(f"{row['peer']}: {row['how']}")
    verdict = {True: "ok", False: "MISS", None: ""}[row["met"]]
    print(f"{row['case']:<46} {row['threads']:>3} {short(row['seconds']):>9} {peer:>9} {measured:>6} {spread:>13} {bar:>6} "
          f"{verdict:<4} {', '.join(notes)}", flush=True)


def import_times(peer: str, rounds: int) -> dict[str, Any]:
    """Whole processes, in turns: import pydl against import numpy (or the peer)."""
    other = peer if peer in ("torch", "jax") else "numpy"
    times: dict[str, list[float]] = {"pydl": [], other: []}
    for i in range(max(11, rounds) + 1):
        for name in sorted(times, reverse=bool(i % 2)):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
            if i:
                times[name].append(time.perf_counter() - start)
    ours, theirs = (statistics.median(times[name]) for name in ("pydl", other))
    row = {"case": f"import pydl / import {other}", "peer": other, "pydl_over_peer": ours / theirs, "seconds": ours,
           "peer_seconds": theirs, "bar": 1.3 if other == "numpy" else None}
    row["met"] = None if row["bar"] is None else ours / theirs <= row["bar"]
    return row


def memory(peer: str) -> list[dict[str, Any]]:
    """Peak memory of training; where the peer is PyTorch, a bar, too: no more than its, over what a process has at its start."""
    rows: list[dict[str, Any]] = []
    script = Path(__file__).parent / "memory.py"
    for network in ("mlp", "vgg"):
        above: dict[str, int] = {}
        for name in ("torch", "pydl") if peer == "torch" else ("pydl",):
            done = subprocess.run([sys.executable, script, name, network], capture_output=True, text=True, check=True)
            peak, above[name] = map(int, done.stdout.split())
            row: dict[str, Any] = {"case": f"peak memory, {network}, {name}", "megabytes": peak / 1e6, "met": None,
                                   "training_megabytes": above[name] / 1e6,
                                   "bar": MOST_MEGABYTES.get(network) if name == "pydl" else None}
            if name == "pydl":
                met = [row["megabytes"] <= row["bar"]] if row["bar"] else []
                met += [above["pydl"] <= above["torch"]] if "torch" in above else []
                row["met"] = all(met) if met else None
            rows.append(row)
    return rows


def of_processes(arguments: argparse.Namespace, wanted: re.Pattern[str]) -> list[dict[str, Any]]:
    rows = [import_times(arguments.peer, arguments.rounds)] if wanted.search("import") else []
    rows += memory(arguments.peer) if wanted.search("memory") else []
    if not arguments.json:
        for row in rows:
            figure = f"{row['pydl_over_peer']:.2f}x" if "pydl_over_peer" in row else (
                f"{row['megabytes']:.1f} MB ({row['training_megabytes']:.1f} for training)")
            most = f"at most {row['bar']}" if row["bar"] else ""
            print(f"{row['case']:<46} {figure:>12} {most} {({True: 'ok', False: 'MISS', None: ''})[row['met']]}", flush=True)
    return rows


def rows_of(arguments: argparse.Namespace, threads: int) -> list[dict[str, Any]]:
    """The cases on so many threads, in a process where no library has been imported yet: JAX makes its threads but once."""
    rows = []
    for library in sorted({"pydl", arguments.peer} - {"none"}):
        threads_of(library, threads)
    for case in every_case():
        if re.search(arguments.only, case.name) and (row := measure(case, arguments.peer, threads, arguments.rounds)):
            rows.append(row)
            if not arguments.json:
                print_row(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=("torch", "numpy", "jax", "onnxruntime", "pydl", "none"), default="torch")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", help="regular expression: cases whose name it is found in")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="one JSON list instead of the table")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a bar is missed")
    arguments = parser.parse_args()
    if absent := [name for name in NEEDS.get(arguments.peer, ()) if importlib.util.find_spec(name) is None]:
        print("[]" if arguments.json else f"nothing measured: {' and '.join(absent)} not installed")
        return 0
    wanted = re.compile(arguments.only)
    rows: list[dict[str, Any]] = []
    if not arguments.json:
        print_head()
    for threads in arguments.threads:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            rows += process.submit(rows_of, arguments, threads).result()
    rows += of_processes(arguments, wanted)
    missed = [row for row in rows if row["met"] is False]
    if arguments.json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"{len(rows)} cases, {sum(row['met'] is True for row in rows)} bars met, {len(missed)} missed")
    return 1 if arguments.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
