"""What a training run has come to, epoch by epoch."""

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from typing import Any, Self

from pydl.io.replace import replacing

Path = str | os.PathLike[str]
Row = dict[str, Any]
HOW_TO_GET_PLOTS = 'History.plot: matplotlib is not installed; get it with: pip install "pydl-cpu[plots]"'
NOT_CURVES = ("epoch", "step", "lr", "seconds")
BLUE, ORANGE, GREY = "#1f6fb4", "#e07b22", "#666666"


class History:
    """One row an epoch: `history["val_loss"]` is a list of numbers, `history.rows[3]` all of the fourth epoch.

    A row holds epoch (from 1), step (optimizer steps so far), loss and the metrics of the training batches, the same under
    val_... of the validation data, lr (of the first parameter group, as the epoch ended) and seconds (of the training alone);
    callbacks may add to it. interrupted says whether a Ctrl-C ended the run, stopped why it ended early (None if it did not).
    """

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows: list[Row] = [dict(row) for row in rows]
        self.interrupted = False
        self.stopped: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns, in the order in which they came."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, name: str) -> list[Any]:
        """A column; NaN in epochs without it. KeyError for a name that no epoch has."""
        if not any(name in row for row in self.rows):
            raise KeyError(f"history: no column {name!r}; there are {', '.join(self.names) or 'no epochs'}")
        return [row.get(name, math.nan) for row in self.rows]

    def __contains__(self, name: object) -> bool:
        return any(name in row for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        end = "interrupted" if self.interrupted else self.stopped
        last = f", last: {described(self.rows[-1])}" if self.rows else ""
        return f"History({len(self.rows)} epochs{last}{f', {end}' if end else ''})"

    def to_csv(self, path: Path) -> None:
        """Writes all rows as CSV, the names first. What is not there stays empty; lists are JSON."""
        write_text(path, csv_lines(self.names, [None, *self.rows]))

    def to_jsonl(self, path: Path) -> None:
        """Writes one JSON object a line, which `read_jsonl` reads. NaN and infinities become "nan", "inf" and "-inf"."""
        write_text(path, "".join(json_line(row) for row in self.rows))

    @classmethod
    def read_jsonl(cls, path: Path) -> Self:
        """The history that `to_jsonl` or a JSONLLogger wrote. ValueError, naming the line, for anything else; a last line
        that a crash cut short is left out."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        rows = []
        for number, line in enumerate(text.split("\n")[:-1], 1):
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"History: {os.fsdecode(path)}: line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise ValueError(f"History: {os.fsdecode(path)}: line {number}: expected an object, got {type(row).__name__}")
            rows.append({name: from_json(value) for name, value in row.items()})
        return cls(rows)

    def plot(self, names: Sequence[str] | None = None, *, figure: Any = None, path: Path | None = None) -> Any:
        """Draws the columns over the epochs, each with its val_... partner, one panel for each. -> a matplotlib Figure.

        names: which (default: the loss and every metric that is a number). figure: draw there; path: also write this file.
        Raises ImportError, saying what to install, without matplotlib; ValueError where there is nothing to draw.
        """
        curves = self.curves() if names is None else [name.removeprefix("val_") for name in names]
        if not curves:
            raise ValueError(f"History.plot: there is nothing to draw in {len(self)} epochs")
        for name in curves:
            if name not in self and f"val_{name}" not in self:
                raise ValueError(f"History.plot: no column {name!r}; there are {', '.join(self.names) or 'no epochs'}")
        if figure is None:
            try:
                from matplotlib.figure import Figure
            except ImportError:
                raise ImportError(HOW_TO_GET_PLOTS) from None
            figure = Figure(figsize=(max(5.5 * len(curves), 6), 4), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(curves), squeeze=False)[0], dict.fromkeys(curves)):
            self.draw(axes, name)
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure

    def curves(self) -> list[str]:
        numbers = [name for name in self.names if name not in NOT_CURVES and all(is_number(value) for value in self[name])]
        return list(dict.fromkeys(name.removeprefix("val_") for name in numbers))

    def draw(self, axes: Any, name: str) -> None:
        """One panel: a column and its val_... partner, whose best epoch is marked if it is a loss."""
        epochs = [row.get("epoch", i) for i, row in enumerate(self.rows, 1)]
        marker = "o" if len(epochs) < 4 else ""
        for column, label, colour in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if column in self:
                axes.plot(epochs, self[column], marker=marker, color=colour, linewidth=1.8, label=label)
        if f"val_{name}" in self and name == "loss":
            values = [value if math.isfinite(value) else math.inf for value in self["val_loss"]]
            best = values.index(min(values))
            axes.plot(epochs[best], values[best], "o", color=ORANGE, markersize=7, markeredgecolor="white",
                      label=f"lowest: {values[best]:.4g} (epoch {epochs[best]})")
        axes.set_title(name.replace("_", " "), loc="left", fontweight="bold")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, labelcolor=GREY)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def described(row: Row, but: Sequence[str] = ("epoch", "step", "lr", "seconds")) -> str:
    """`loss 0.1234, val_loss 0.2345`: the numbers of a row."""
    return ", ".join(f"{name} {value:.4g}" for name, value in row.items() if is_number(value) and name not in but)


def plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return [plain(one) for one in value] if isinstance(value, list) else value


def from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [from_json(one) for one in value]
    return float(value) if value in ("nan", "inf", "-inf") else value


def json_line(row: Row) -> str:
    return json.dumps({name: plain(value) for name, value in row.items()}, allow_nan=False) + "\n"


def csv_lines(names: Sequence[str], rows: Sequence[Row | None]) -> str:
    """Rows as CSV; None stands for the line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        values = names if row is None else [row.get(name, "") for name in names]
        writer.writerow([json.dumps(plain(value)) if isinstance(value, list) else value for value in values])
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Replaces a file as a whole, or leaves it as it was."""
    with replacing("History", path) as file:
        file.write(text.encode())
