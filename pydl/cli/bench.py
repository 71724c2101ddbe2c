"""`pydl bench`: how fast this machine is with pydl, alone or against NumPy or PyTorch, or against an earlier run."""
from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from pydl.cli.usage import at_least, pattern, thread_count

PEERS = ("none", "numpy", "torch")
DESCRIPTION = """Times a training step, matrix products, elementwise ops, reductions, losses and optimizers in float32. With --peer
both libraries run in one process, in turns, and the ratio is time(peer) / time(pydl): above 1 pydl is faster. With --compare
FILE, which an earlier --json wrote, exits 1 where a case takes more than --tolerance times as long as then, 2 where FILE has
none of the cases."""
Table = list[dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("--peer", choices=PEERS, default="none", help="what to compare with (default: nothing)")
    parser.add_argument("--compare", metavar="FILE", help="an earlier --json output")
    parser.add_argument("--tolerance", type=at_least(1, float), default=1.25, metavar="X",
                        help="with --compare: slower than X times is a failure (default 1.25)")
    parser.add_argument("--only", type=pattern, default=pattern(""), metavar="REGEX", help="only cases whose name it is found in")
    parser.add_argument("--threads", type=thread_count, nargs="+", metavar="N",
                        help="numbers of threads to measure with (default: as PYDL_NUM_THREADS says)")
    parser.add_argument("--rounds", type=at_least(1, int), default=9, metavar="N", help="measurements of each case (default 9; at least 7)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout instead of the table")
    parser.set_defaults(usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    import pydl
    from pydl.bench.suite import SUITE
    if options.peer != "none" and importlib.util.find_spec(options.peer) is None:
        options.usage_error(f"--peer {options.peer}: it is not installed")
    chosen = [case for case in SUITE if options.only.search(case.name)]
    if not chosen:
        names = ", ".join(case.name for case in SUITE)
        options.usage_error(f"--only: no case has {options.only.pattern!r} in its name; there are: {names}")
    try:
        before = read(options.compare) if options.compare else None
    except (OSError, ValueError) as error:
        print(f"pydl bench: --compare {options.compare}: {error}", file=sys.stderr)
        return 1
    at_first = pydl.get_num_threads()
    if before is not None:
        wanted = {(case.name, threads) for case in chosen for threads in options.threads or [at_first]}
        if not wanted & {(row["case"], row["threads"]) for row in before}:
            options.usage_error(f"--compare {options.compare}: it has none of the chosen cases with as many threads: nothing to compare")
    try:
        rows = measured(chosen, options, at_first)
    finally:
        pydl.set_num_threads(at_first)
    slower = compare(rows, before, options.tolerance) if before is not None else []
    if options.json:
        from pydl.cli.info import gather_facts
        print(json.dumps({"machine": gather_facts(), "rows": rows}, indent=1))
    elif before is not None:
        print_comparison(rows, slower, options.tolerance)
    return 1 if slower else 0


def measured(chosen: list[Any], options: argparse.Namespace, at_first: int) -> Table:
    """Every chosen case for every number of threads; rows are printed as they come."""
    from pydl.bench.case import threads_of
    rows: Table = []
    if not options.json:
        more = "" if options.peer == "none" else f" {options.peer:>9} {'ratio':>6} {'quartiles':>13}"
        print(f"{'case':<30} {'threads':>7} {'pydl':>9} {'spread':>6}{more}")
    for threads in options.threads or [at_first]:
        for library in {"pydl", options.peer} - {"none"}:
            threads_of(library, threads)
        for case in chosen:
            row = measure(case, options.peer, threads, options.rounds)
            if row:
                rows.append(row)
                if not options.json:
                    print_row(row)
    return rows


def measure(case: Any, peer: str, threads: int, rounds: int) -> dict[str, Any] | None:
    """One case; None where the peer does not have it."""
    import pydl
    from pydl.bench.measure import alone, interleaved, ratio
    row: dict[str, Any] = {"case": case.name, "threads": threads}
    if peer == "none":
        times = alone(case.build(pydl), rounds)
    else:
        theirs = (case.numpy() if case.numpy else None) if peer == "numpy" else case.build(importlib.import_module(peer))
        if theirs is None:
            return None
        times, other = interleaved(case.build(pydl), theirs, rounds)
        row["peer"], row["peer_seconds"] = peer, statistics.median(other) / case.calls
        row["ratio"], row["low"], row["high"] = ratio(times, other)
    row["seconds"] = statistics.median(times) / case.calls
    low, _, high = statistics.quantiles(times, n=4)
    row["spread"] = (high - low) / statistics.median(times)
    if case.flops:
        row["gflops"] = case.flops / row["seconds"] / 1e9
    return row


def print_row(row: dict[str, Any]) -> None:
    from pydl.profiler import duration
    line = f"{row['case']:<30} {row['threads']:>7} {duration(row['seconds']):>9} {100 * row['spread']:>4.0f} %"
    if "ratio" in row:
        quartiles = f"{row['low']:.2f} .. {row['high']:.2f}"
        line += f" {duration(row['peer_seconds']):>9} {row['ratio']:>6.2f} {quartiles:>13}"
    if "gflops" in row:
        line += f"  {row['gflops']:.1f} GFLOP/s"
    print(line, flush=True)


def read(path: str) -> Table:
    """The rows of an earlier run. ValueError for a file that holds none."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["rows"]
        return [{"case": str(row["case"]), "threads": int(row["threads"]), "seconds": float(row["seconds"])} for row in rows]
    except (KeyError, TypeError, ValueError):
        raise ValueError("expected what `pydl bench --json` wrote") from None


def compare(rows: Table, before: Table, tolerance: float) -> Table:
    """Notes in the rows what they were before, and returns those that are slower."""
    then = {(row["case"], row["threads"]): row["seconds"] for row in before}
    slower = []
    for row in rows:
        seconds = then.get((row["case"], row["threads"]))
        if seconds:
            row["before_seconds"], row["times_as_long"] = seconds, row["seconds"] / seconds
            if row["times_as_long"] > tolerance:
                slower.append(row)
    return slower


def print_comparison(rows: Table, slower: Table, tolerance: float) -> None:
    from pydl.profiler import duration
    print(f"\n{'case':<30} {'threads':>7} {'before':>9} {'now':>9} {'now/before':>10}")
    for row in rows:
        if "times_as_long" in row:
            print(f"{row['case']:<30} {row['threads']:>7} {duration(row['before_seconds']):>9} {duration(row['seconds']):>9} "
                  f"{row['times_as_long']:>10.2f}{'  SLOWER' if row in slower else ''}")
        else:
            print(f"{row['case']:<30} {row['threads']:>7}  not in the file")
    print(f"{len(slower)} slower than {tolerance:g} times")
