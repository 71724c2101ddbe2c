"""Types of options that several commands have."""
from __future__ import annotations

import argparse
import re
from collections.abc import Callable


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def thread_count(text: str) -> int:
    """1 to 256."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 256):
        raise argparse.ArgumentTypeError(f"expected 1 to 256 threads, got {text!r}")
    return int(text)


def at_least(least: float, kind: type) -> Callable[[str], float]:
    """A number, int or float, not below `least`."""
    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
        if not value >= least:
            raise argparse.ArgumentTypeError(f"expected at least {least:g}, got {text}")
        return value
    return convert
