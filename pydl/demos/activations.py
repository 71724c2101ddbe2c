"""Every activation function and its derivative in one picture; the derivatives are pydl's, and are held against differences."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pydl
from pydl.demos.harness import Stage
from pydl.nn import functional
from pydl.ops import randn

Function = Callable[[pydl.Tensor], pydl.Tensor]
STEP = 1e-3                         # of the differences
PARTS = 480                         # of the axis: every kink lies between two of them, none within one
UNIT = 1e-12                        # errors are counted in it
COLUMNS = 6
INK, SLOPE, GREY = "#17375e", "#e8743b", "#8a8f98"


@dataclass
class Curve:
    """A function of one number, as it is to be drawn."""

    name: str
    formula: str                    # in TeX
    function: Function
    low: float = -5.0
    high: float = 5.0


def prelu(x: pydl.Tensor) -> pydl.Tensor:
    return functional.prelu(x, pydl.tensor([0.25], dtype=x.dtype))


CURVES = [
    Curve("relu", r"\max(x, 0)", functional.relu),
    Curve("relu6", r"\min(\max(x, 0), 6)", functional.relu6, -3, 9),
    Curve("leaky_relu", r"x,\ \ 0.1\,x\ \mathrm{below}\ 0", lambda x: functional.leaky_relu(x, 0.1)),
    Curve("prelu", r"x,\ \ w x\ \mathrm{below}\ 0;\ w = 0.25", prelu),
    Curve("rrelu (eval)", r"x,\ \ a x\ \mathrm{below}\ 0;\ \bar a = 0.23", functional.rrelu),
    Curve("threshold", r"x,\ \ 2\ \mathrm{up\ to}\ 1", lambda x: functional.threshold(x, 1.0, 2.0)),
    Curve("elu", r"x,\ \ e^x - 1\ \mathrm{below}\ 0", functional.elu),
    Curve("celu", r"x,\ \ 2 (e^{x/2} - 1)\ \mathrm{below}\ 0", lambda x: functional.celu(x, 2.0)),
    Curve("selu", r"1.05\,\mathrm{elu}(x, 1.67)", functional.selu),
    Curve("gelu", r"x\,\Phi(x)", functional.gelu),
    Curve("gelu (tanh)", r"x\,\sigma(1.6\,(x + 0.045\,x^3))", lambda x: functional.gelu(x, approximate="tanh")),
    Curve("silu", r"x\,\sigma(x)", functional.silu),
    Curve("mish", r"x\,\tanh(\mathrm{softplus}(x))", functional.mish),
    Curve("softplus", r"\log(1 + e^x)", functional.softplus),
    Curve("logsigmoid", r"\log \sigma(x)", functional.logsigmoid),
    Curve("sigmoid", r"\sigma(x) = 1 / (1 + e^{-x})", functional.sigmoid),
    Curve("hardsigmoid", r"\mathrm{relu6}(x + 3) / 6", functional.hardsigmoid),
    Curve("hardswish", r"x\,\mathrm{relu6}(x + 3) / 6", functional.hardswish),
    Curve("softsign", r"x / (1 + |x|)", functional.softsign),
    Curve("tanh", r"\tanh x", functional.tanh),
    Curve("hardtanh", r"\min(\max(x, -1), 1)", functional.hardtanh, -3, 3),
    Curve("tanhshrink", r"x - \tanh x", functional.tanhshrink),
    Curve("hardshrink", r"x,\ \ 0\ \mathrm{where}\ |x| \leq 0.5", functional.hardshrink, -2, 2),
    Curve("softshrink", r"x \mp 0.5,\ \ 0\ \mathrm{where}\ |x| \leq 0.5", functional.softshrink, -2, 2),
]

# Functions of several numbers: not drawn, but checked along random directions.
OF_SEVERAL: dict[str, Function] = {
    "softmax": lambda x: functional.softmax(x, -1),
    "softmin": lambda x: functional.softmin(x, -1),
    "log_softmax": lambda x: functional.log_softmax(x, -1),
    "glu": functional.glu,
}


def run(stage: Stage) -> None:
    lines: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    errors: dict[str, float] = {}
    with stage.progress("checking", len(CURVES) + len(OF_SEVERAL)) as progress:
        for curve in CURVES:
            x = np.linspace(curve.low, curve.high, PARTS + 1)
            lines.append((x, *value_and_slope(curve.function, x)))
            between = x[:-1] + np.diff(x) / 2
            errors[curve.name] = error(curve.function, between[:, None], np.ones((len(between), 1)))
            progress.step()
        for name, function in OF_SEVERAL.items():
            points, directions = (randn(256, 8, dtype=pydl.float64).numpy() for _ in range(2))
            errors[name] = error(function, points, directions)
            progress.step()
    stage.plot("activations.png", draw(lines))
    for name, worst in errors.items():
        stage.figure(f"error of {name}'", worst / UNIT, f"{UNIT:g}", digits=2)
    stage.figure("functions checked", len(errors))
    stage.figure("largest error", max(errors.values()) / UNIT, f"{UNIT:g}", digits=2)


def value_and_slope(function: Function, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f(x) and f'(x) of every number, by autograd."""
    points = pydl.tensor(x, requires_grad=True)
    y = function(points)
    y.sum().backward()
    assert points.grad is not None
    return y.detach().numpy(), points.grad.numpy()


def error(function: Function, points: np.ndarray, directions: np.ndarray) -> float:
    """The largest difference between autograd and differences of fourth order, of rows (n, k) along rows of directions (n, k)."""
    def sums(x: np.ndarray) -> np.ndarray:
        return function(pydl.tensor(x)).numpy() @ weights

    x = pydl.tensor(points, requires_grad=True)
    y = function(x)
    weights = np.cos(np.arange(y.shape[1]))                         # any fixed ones: softmax sums to 1
    slopes, = pydl.autograd.grad(y, x, pydl.tensor(np.broadcast_to(weights, y.shape).copy()))
    ahead, far = (sums(points + h * directions) - sums(points - h * directions) for h in (STEP, 2 * STEP))
    return float(np.abs((slopes.numpy() * directions).sum(1) - (8 * ahead - far) / (12 * STEP)).max())


def broken(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same line, with a gap where y jumps."""
    jumps = np.flatnonzero(np.abs(np.diff(y)) > 0.08) + 1
    return np.insert(x, jumps, np.nan), np.insert(y, jumps, np.nan)


def draw(lines: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Callable[[Any], None]:
    """-> a function that draws a grid of panels: the function as a line, its derivative dashed."""
    def onto(figure: Any) -> None:
        figure.set_size_inches(16, 11)
        figure.set_facecolor("white")
        rows = -(-len(CURVES) // COLUMNS)
        panels = figure.subplots(rows, COLUMNS)
        for axes, curve, (x, y, slope) in zip(panels.flat, CURVES, lines, strict=True):
            panel(axes, curve, x, y, slope)
        figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=13)
    return onto


def panel(axes: Any, curve: Curve, x: np.ndarray, y: np.ndarray, slope: np.ndarray) -> None:
    axes.fill_between(x, slope, color=SLOPE, alpha=0.10, linewidth=0)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.plot(*broken(x, y), color=INK, linewidth=2.4, label="$f(x)$", solid_capstyle="round")
    axes.plot(*broken(x, slope), color=SLOPE, linewidth=1.8, linestyle=(0, (4, 1.5)), label="$f\\,'(x)$, by autograd")
    axes.set_title(f"{curve.name}\n", fontsize=13, fontweight="bold", color=INK)
    axes.text(0.5, 1.03, f"${curve.formula}$", transform=axes.transAxes, ha="center", fontsize=10.5, color="#44484f")
    axes.set_xlim(curve.low, curve.high)
    low, high = min(y.min(), slope.min()), max(y.max(), slope.max())
    axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axes.tick_params(labelsize=9, colors=GREY, length=3)
    axes.grid(color=GREY, alpha=0.18)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)
