"""Where the time goes: `with pydl.profile() as prof: ...; print(prof)`.

While a profile is open every launch of a kernel in the process is noted, whichever thread makes it: when it began and ended,
what it worked on, and the op that made it. Profiles may be nested and may be open in several threads at once; each holds what
ended between its own begin and end, and an exception inside ends it like any other way out. While none is open, nothing is noted,
and a launch costs what it always costs.
"""
from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np

from pydl._core import trace
from pydl.costs import COSTS, KERNELS

__all__ = ["Event", "Row", "profile"]

EVENT = np.dtype([("start", "i8"), ("end", "i8"), ("thread", "u8"), ("items", "u8"), ("bytes", "u8"),
                  ("op", "i4"), ("kernel", "i2"), ("dtype", "u1"), ("backward", "u1")])
DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool")
SORTS = ("time", "calls", "gflops", "bytes", "flops", "name")
FLOPS = np.array([COSTS[name].flops if name in COSTS else 0 for name in KERNELS] + [0.0])      # the last: no kernel
MACS = np.array([COSTS[name].macs if name in COSTS else 0 for name in KERNELS] + [0.0])


@dataclass(frozen=True)
class Event:
    """One launch. kernel is "" for an op that launched nothing: a view, or one that NumPy computes. Times in ns."""

    name: str
    kernel: str
    dtype: str
    backward: bool
    thread: int
    start: int
    end: int
    flops: float
    bytes: int


@dataclass
class Row:
    """A line of the table: all launches of one kernel by one op."""

    name: str
    kernel: str
    calls: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    bytes: int = 0
    share: float = 0.0      # of the time in all kernels

    @property
    def gflops(self) -> float:
        """Billions of floating-point operations a second; 0 where none are counted."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0


def name_of(op: int, kernel: int, backward: bool) -> str:
    """What the table calls it: the op if it is known, else the kernel."""
    if op >= 0:
        return trace.op_names[op] + (" backward" if backward else "")
    return "sum of gradients" if backward else KERNELS[kernel].removesuffix("_fwd")


@dataclass(eq=False)
class profile:
    """A context that notes every op, forward and backward, and prints a table of them.

        with pydl.profile() as prof:
            loss = model(x).sum()
            loss.backward()
        print(prof.table(sort_by="time"))
        prof.export_chrome_trace("trace.json")      # for chrome://tracing or ui.perfetto.dev

    `time` is the time inside the kernels: what is left of the wall time went to Python, to NumPy and to waiting. A row is an op
    and the kernel that it launched; "linear backward" is what the rule of linear launched. An op that launches nothing, a view or
    what NumPy computes, is counted and has no time. One profile can be open once at a time (RuntimeError), and begins anew when
    it is entered again.

    >>> import pydl
    >>> with pydl.profile() as prof:
    ...     y = pydl.ones(8, 4) @ pydl.ones(4, 2)
    >>> [(row.name, row.kernel, row.calls, row.flops) for row in prof.rows if row.kernel == "gemm"]
    [('matmul', 'gemm', 1, 128.0)]
    """

    seconds: float = field(default=0.0, init=False)         # wall time inside the context
    lost: int = field(default=0, init=False)                # events that there was no memory for
    _raw: bytes = field(default=b"", init=False, repr=False)
    _first: int | None = field(default=None, init=False, repr=False)
    _began: float = field(default=0.0, init=False, repr=False)
    _names: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    def __enter__(self) -> Self:
        if self._first is not None:
            raise RuntimeError("profile: this profile is open already; make another one")
        self._raw, self.seconds, self.lost, self._names = b"", 0.0, 0, {}
        self._first = trace.start()
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        try:
            self._read()
        finally:
            self._first = None
            trace.stop()

    def _read(self) -> None:
        """Takes over what there is so far, while the profile is open."""
        if self._first is not None:
            self.seconds = time.perf_counter() - self._began
            self._raw = trace.read(self._first, sys.maxsize)
            self.lost = trace.dropped()
            self._names = {thread.ident or 0: thread.name for thread in threading.enumerate()}

    def _events(self) -> np.ndarray:
        self._read()
        return np.frombuffer(self._raw, EVENT)

    @property
    def events(self) -> list[Event]:
        """Every launch, in the order in which they ended."""
        return list(self._each())

    def _each(self) -> Iterator[Event]:
        for e in self._events():
            kernel, backward = int(e["kernel"]), bool(e["backward"])
            yield Event(name_of(int(e["op"]), kernel, backward), KERNELS[kernel] if kernel >= 0 else "",
                        DTYPES[e["dtype"]] if kernel >= 0 else "", backward, int(e["thread"]), int(e["start"]), int(e["end"]),
                        float(FLOPS[kernel]) * int(e["items"]), int(e["bytes"]))

    @property
    def rows(self) -> list[Row]:
        """The table: one Row for each pair of op and kernel, the longest first."""
        events = self._events()
        if not len(events):
            return []
        key = np.stack([events["op"].astype(np.int64), events["kernel"].astype(np.int64), events["backward"].astype(np.int64)], 1)
        groups, place = np.unique(key, axis=0, return_inverse=True)
        place = place.reshape(-1)
        count = len(groups)
        spent = np.bincount(place, (events["end"] - events["start"]) / 1e9, count)
        items = np.bincount(place, events["items"].astype(np.float64), count)
        moved = np.bincount(place, events["bytes"].astype(np.float64), count)
        calls = np.bincount(place, minlength=count)
        rows: dict[tuple[str, str], Row] = {}
        for i, (op, kernel, backward) in enumerate(groups.tolist()):
            name = name_of(op, kernel, bool(backward)), KERNELS[kernel] if kernel >= 0 else ""
            row = rows.setdefault(name, Row(*name))
            row.calls += int(calls[i])
            row.seconds += float(spent[i])
            row.flops += float(FLOPS[kernel] * items[i])
            row.bytes += int(moved[i])
        total = sum(row.seconds for row in rows.values())
        for row in rows.values():
            row.share = row.seconds / total if total else 0.0
        return sorted(rows.values(), key=lambda row: -row.seconds)

    @property
    def kernel_seconds(self) -> float:
        """Time inside the kernels, of all threads that launched some."""
        events = self._events()
        return float((events["end"] - events["start"]).sum()) / 1e9

    def table(self, sort_by: str = "time", row_limit: int | None = None) -> str:
        """The rows as text. sort_by: time, calls, gflops, bytes, flops or name; row_limit: only the first so many.

        Raises ValueError for another sort_by or a negative row_limit.
        """
        if sort_by not in SORTS:
            raise ValueError(f"table: sort_by: expected one of {', '.join(SORTS)}, got {sort_by!r}")
        if row_limit is not None and row_limit < 0:
            raise ValueError(f"table: row_limit: expected at least 0, got {row_limit}")
        rows = self.rows
        if sort_by == "name":
            rows.sort(key=lambda row: (row.name, row.kernel))
        else:
            rows.sort(key=lambda row: -getattr(row, "seconds" if sort_by == "time" else sort_by))
        width = max([len("op"), *(len(row.name) for row in rows[:row_limit])])
        kernels = max([len("kernel"), *(len(row.kernel) for row in rows[:row_limit])])
        head = (f"{'op':<{width}}  {'kernel':<{kernels}}  {'calls':>7}  {'time':>9}  {'share':>6}  {'a call':>9}  {'GFLOP/s':>8}  "
                f"{'bytes':>9}")
        lines = [head, "-" * len(head)]
        for row in rows[:row_limit]:
            timed = row.kernel != ""
            each = duration(row.seconds / row.calls) if timed else "-"
            lines.append(f"{row.name:<{width}}  {row.kernel or '-':<{kernels}}  {row.calls:>7}  "
                         f"{duration(row.seconds) if timed else '-':>9}  {f'{100 * row.share:.1f} %' if timed else '-':>6}  {each:>9}  "
                         f"{f'{row.gflops:.2f}' if row.flops else '-':>8}  {size(row.bytes) if row.bytes else '-':>9}")
        if row_limit is not None and len(rows) > row_limit:
            lines.append(f"... and {len(rows) - row_limit} more")
        inside = self.kernel_seconds
        lines += ["-" * len(head), f"in kernels {duration(inside)}, wall time {duration(self.seconds)}"
                  + (f"; {self.lost} launches lost for want of memory" if self.lost else "")]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes the events as JSON in Chrome's trace event format, a track for each thread that launched kernels.

        To be opened in chrome://tracing or ui.perfetto.dev. A file of that name is replaced as a whole, or not at all. Raises OSError
        where the file cannot be written, ValueError where path is no regular file.
        """
        from pydl.io.replace import replacing  # not before it is needed: `import pydl` loads no files
        tracks: dict[int, int] = {}
        entries: list[dict[str, Any]] = []
        for e in self._each():
            track = tracks.setdefault(e.thread, len(tracks))
            entry: dict[str, Any] = {"name": e.name, "cat": "backward" if e.backward else "forward", "pid": os.getpid(), "tid": track,
                                     "ts": e.start / 1e3}
            if e.kernel:
                entry |= {"ph": "X", "dur": (e.end - e.start) / 1e3,
                          "args": {"kernel": e.kernel, "dtype": e.dtype, "flops": e.flops, "bytes": e.bytes}}
            else:
                entry |= {"ph": "i", "s": "t"}
            entries.append(entry)
        named = [{"name": "thread_name", "ph": "M", "pid": os.getpid(), "tid": track,
                  "args": {"name": self._names.get(thread, f"thread {track}")}} for thread, track in tracks.items()]
        with replacing("export_chrome_trace", path) as file:
            file.write(json.dumps({"traceEvents": named + entries, "displayTimeUnit": "ns"}).encode())


class Launches:
    """What a piece of code costs, counted from the launches of this thread while the context is open."""

    def __init__(self) -> None:
        self._first = 0
        self._macs = self._flops = np.zeros(1)

    def __enter__(self) -> Self:
        self._first = trace.start()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            events = np.frombuffer(trace.read(self._first, sys.maxsize), EVENT)
        finally:
            trace.stop()
        items = events["items"] * (events["thread"] == threading.get_ident())
        self._macs = np.concatenate([[0.0], np.cumsum(MACS[events["kernel"]] * items)])
        self._flops = np.concatenate([[0.0], np.cumsum(FLOPS[events["kernel"]] * items)])

    def position(self) -> int:
        """Where the log is now: the end of a span, or the beginning of the next."""
        return trace.count() - self._first

    def cost(self, spans: list[tuple[int, int]]) -> tuple[int, float]:
        """(multiply-accumulates, floating-point operations) between pairs of positions, after the context has ended."""
        return (int(sum(self._macs[end] - self._macs[start] for start, end in spans)),
                float(sum(self._flops[end] - self._flops[start] for start, end in spans)))


def duration(seconds: float) -> str:
    """A time with three digits and its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def size(count: float) -> str:
    """A number of bytes with three digits and its unit."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"
