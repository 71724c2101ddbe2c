"""How far a long job is, on stderr."""

import sys
import time
from typing import Any, Self


def pause() -> float:
    """Seconds between two signs of life: few in a log, many in a terminal."""
    return 0.1 if sys.stderr.isatty() else 5.0


class Progress:
    """A progress bar: tqdm's where it is installed (`pip install "pydl-cpu[progress]"`), in a notebook as well, else a line of
    its own. total None: nobody knows how long it will take."""

    bar: Any

    def __init__(self, what: str, total: int | None) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self.bar = Line(what, total)
        else:
            self.bar = tqdm(total=total, desc=what, file=sys.stderr, mininterval=pause())

    def step(self, count: int = 1) -> None:
        """`count` more of the total are done."""
        self.bar.update(count)

    def note(self, text: str) -> None:
        """What stands behind the bar from now on."""
        self.bar.set_postfix_str(text, refresh=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


class Line:
    """`training 43 %, 640 of 1500, 1.2 s left`: rewritten in a terminal, else a new line now and then."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what, self.total, self.done, self.text = what, total, 0, ""
        self.start = self.shown = time.monotonic()
        self.pause = pause()
        self.width = 70

    def update(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.shown >= self.pause:
            self.shown = now
            self.show(now)

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        self.text = text

    def show(self, now: float) -> None:
        if self.total is None:
            text = f"{self.what} {self.done}, {now - self.start:.1f} s"
        else:
            left = (now - self.start) / max(self.done, 1) * (self.total - self.done)
            text = f"{self.what} {100 * self.done // max(self.total, 1)} %, {self.done} of {self.total}, {left:.1f} s left"
        text += f", {self.text}" if self.text else ""
        if sys.stderr.isatty():
            self.width = max(self.width, len(text))
            print(f"\r{text:<{self.width}}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        self.show(time.monotonic())
        if sys.stderr.isatty():
            print(file=sys.stderr)
