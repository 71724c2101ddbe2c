"""Ctrl-C while a model trains: held back while something is under way that must be done wholly or not at all."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Interrupts:
    """Between `with` and its end, a Ctrl-C waits until the code inside an `opened` block, where the handler that was there
    before is called; that of Python raises KeyboardInterrupt. One that still waits at the end, as where an error ends the code, is
    delivered then.

    A second Ctrl-C does not wait, unless `sealed`: it is for a step that hangs. clean says whether KeyboardInterrupt left an
    `opened` block, and nothing was half done. Only the main thread gets signals, so elsewhere, and where SIGINT is ignored,
    nothing is changed.
    """

    def __init__(self) -> None:
        self.previous: Any = None
        self.pending = 0
        self.open = self.clean = self.sealed = False
        self.opened = Opened(self)

    def __enter__(self) -> Self:
        previous = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(previous):
            self.previous = previous
            signal.signal(signal.SIGINT, self.receive)
        return self

    def __exit__(self, *_: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
            if self.pending:
                self.deliver()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        self.pending += 1
        if self.open or (self.pending > 1 and not self.sealed):
            self.deliver(frame)

    def deliver(self, frame: FrameType | None = None) -> None:
        """Calls the handler that was there before."""
        self.clean, self.open, self.pending = self.open, False, 0
        self.previous(signal.SIGINT, frame)


class Opened:
    """A block in which a Ctrl-C takes effect at once, one that came before as well."""

    def __init__(self, owner: Interrupts) -> None:
        self.owner = owner

    def __enter__(self) -> None:
        self.owner.open = True
        if self.owner.pending:
            self.owner.deliver()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.owner.open = False
        self.owner.clean = kind is not None and issubclass(kind, KeyboardInterrupt)
