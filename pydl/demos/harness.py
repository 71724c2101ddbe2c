"""What all demos share: their arguments, saying how far they are, and the figures at the end."""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pydl
from pydl import nn, optim
from pydl.threads import MOST_THREADS
from pydl.training.progress import Progress

HOW_TO_GET_PLOTS = 'no plot: matplotlib is not installed; get it with: pip install "pydl-cpu[plots]"'


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """The arguments of every demo, and those of demo `name`."""
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="fixes all random numbers (default 0)")
    parser.add_argument("--threads", type=threads, metavar="N", help="threads to use (default: as PYDL_NUM_THREADS says)")
    parser.add_argument("--out", default=".", metavar="FOLDER", help="where files are written (default: here)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout instead of lines")
    extra = getattr(load(name), "add_arguments", None)
    if extra is not None:
        extra(parser)


def seed(text: str) -> int:
    number = int(text)
    if not -2**63 <= number < 2**64:
        raise argparse.ArgumentTypeError(f"expected a number of 64 bits, got {number}")
    return number


def threads(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MOST_THREADS}, got {number}")
    return number


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


def load(name: str) -> ModuleType:
    return importlib.import_module(f"pydl.demos.{name}")


def run(name: str, options: argparse.Namespace) -> int:
    """Runs a demo -> exit code. What it cannot read or write ends it with a message and 1."""
    if options.threads is not None:
        pydl.set_num_threads(options.threads)
    pydl.manual_seed(options.seed)
    stage = Stage(name, options)
    try:
        make_folder(options.out)
        load(name).run(stage)
    except DemoError as error:
        print(f"pydl demo {name}: {error}", file=sys.stderr)
        return 1
    stage.finish()
    return 0


def make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise DemoError(f"--out: cannot make the folder {path}: {error.strerror}") from error


class Training(NamedTuple):
    """What a demo trains: its function `training` makes one, new. The test of captured steps trains it, too."""

    model: nn.Module
    optimizer: optim.Optimizer
    loss: Callable[..., Any]
    schedule: Any = None


class DemoError(Exception):
    """A demo cannot go on, for a reason that its user can do something about."""


class Stage:
    """Where a demo puts what it has to say."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name, self.options = name, options
        self.figures: dict[str, tuple[float, str, int]] = {}
        self.files: list[str] = []
        self.notes: list[str] = []

    def load(self, loader: Callable, *args: Any, **named: Any) -> Any:
        """Data from `loader`; what is wrong with it ends the demo with a message."""
        try:
            return loader(*args, **named)
        except (OSError, ValueError) as error:
            raise DemoError(error) from error

    def progress(self, what: str, total: int) -> Progress:
        """A bar on stderr: with tqdm where it is installed."""
        return Progress(what, total)

    def figure(self, name: str, value: float, unit: str = "", digits: int = 0) -> None:
        """One line of the result, in plain words: name, number, unit."""
        self.figures[name] = (round(value, digits) if digits else round(value), unit, digits)

    def plot(self, file_name: str, draw: Callable[[Any], object]) -> None:
        """draw(figure) -> a PNG in the folder of --out, or a note on how to get matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            self.notes.append(HOW_TO_GET_PLOTS)
            return
        figure = Figure(figsize=(11, 5), layout="constrained")
        draw(figure)
        path = os.path.join(self.options.out, file_name)
        try:
            figure.savefig(path, dpi=100)
        except OSError as error:
            raise DemoError(f"--out: cannot write {path}: {error.strerror}") from error
        self.files.append(path)

    def finish(self) -> None:
        """Prints everything."""
        if self.options.json:
            figures = {name: {"value": value, "unit": unit} for name, (value, unit, _) in self.figures.items()}
            print(json.dumps({"demo": self.name, "seed": self.options.seed, "threads": pydl.get_num_threads(),
                              "figures": figures, "files": self.files, "notes": self.notes}))
            return
        for path in self.files:
            print(f"wrote {path}")
        for note in self.notes:
            print(note)
        for name, (value, unit, digits) in self.figures.items():
            print(f"{name} {value:.{digits}f} {unit}".rstrip())


class Clock:
    """Adds up the seconds of its `with` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.start
