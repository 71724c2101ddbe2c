"""How far a long job is, on stderr."""

import sys
import time
from typing import Any, Self


def pause() -> float:
    """Seconds between two signs of life: few in a log, many in a terminal."""
    return 0.1 if sys.stderr.isatty() else 5.0


class Progress:
    """A progress bar: tqdm's where it is installed (`pip install "pydl-cpu[progress]"`), else a line of its own."""

    bar: Any

    def __init__(self, what: str, total: int) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self.bar = Line(what, total)
        else:
            self.bar = tqdm(total=total, desc=what, file=sys.stderr, mininterval=pause())

    def step(self, count: int = 1) -> None:
        """`count` more of the total are done."""
        self.bar.update(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


class Line:
    """`training 43 %, 640 of 1500, 1.2 s left`: rewritten in a terminal, else a new line now and then."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.start = self.shown = time.monotonic()
        self.pause = pause()

    def update(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.shown >= self.pause:
            self.shown = now
            self.show(now)

    def show(self, now: float) -> None:
        left = (now - self.start) / max(self.done, 1) * (self.total - self.done)
        text = f"{self.what} {100 * self.done // max(self.total, 1)} %, {self.done} of {self.total}, {left:.1f} s left"
        if sys.stderr.isatty():
            print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        self.show(time.monotonic())
        if sys.stderr.isatty():
            print(file=sys.stderr)
