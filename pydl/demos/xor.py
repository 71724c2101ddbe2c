"""A network of 2, 8 and 1 units learns XOR, which no network without a hidden layer can."""

from collections.abc import Callable
from typing import Any

import numpy as np

import pydl
from pydl import nn
from pydl.demos.harness import DemoError, Stage, Training
from pydl.training import Callback, Trainer

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TRUTH = np.array([0, 1, 1, 0], np.float32)
NEAR, MOST_STEPS = 0.1, 2000
BLUE, RED, GREY = "#123a63", "#a51626", "#666666"         # of 1 and of 0


class UntilLearned(Callback):
    """Notes the four outputs after each step, and stops when all of them are within NEAR of what they should be."""

    def __init__(self) -> None:
        self.outputs: list[np.ndarray] = []
        self.learned = False

    def note(self, trainer: Trainer) -> None:
        self.outputs.append(trainer.predict(CORNERS).sigmoid().numpy()[:, 0].copy())
        if np.abs(self.outputs[-1] - TRUTH).max() < NEAR:
            self.learned = True
            trainer.stop("all four outputs are right")

    on_fit_begin = on_batch_end = note


def run(stage: Stage) -> None:
    watch = UntilLearned()
    trainer = Trainer(*training()[:3], callbacks=[watch])
    trainer.fit((CORNERS, TRUTH[:, None]), epochs=MOST_STEPS, batch_size=4, shuffle=False, progress=False, on_interrupt="raise")
    if not watch.learned:
        raise DemoError(f"not learned in {MOST_STEPS} steps; try another --seed")
    stage.figure("steps", trainer.step)
    for (a, b), output in zip(CORNERS, watch.outputs[-1], strict=True):
        stage.figure(f"{a:.0f} xor {b:.0f} =", float(output), digits=3)
    stage.plot("xor.png", draw(trainer, np.array(watch.outputs)))


def training() -> Training:
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    return Training(model, pydl.optim.Adam(model.parameters(), lr=0.05), nn.BCEWithLogitsLoss())


def draw(trainer: Trainer, outputs: np.ndarray) -> Callable[[Any], None]:
    """-> a function that draws the network's answer all over the square and around it, and how the four outputs came to be."""
    def onto(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.05, 1))
        surface(figure, left, trainer)
        curves(right, outputs)
    return onto


def surface(figure: Any, axes: Any, trainer: Trainer) -> None:
    side = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
    across, up = np.meshgrid(side, side)
    answer = trainer.predict(np.stack([across.ravel(), up.ravel()], 1), batch_size=len(side)**2).sigmoid().numpy().reshape(across.shape)
    shades = axes.contourf(across, up, answer, np.linspace(0, 1, 21), cmap="RdBu")
    axes.contour(across, up, answer, [0.5], colors="black", linewidths=1.5)
    for (a, b), truth in zip(CORNERS, TRUTH, strict=True):
        axes.plot(a, b, "o", markersize=20, color=BLUE if truth else RED, markeredgecolor="white", markeredgewidth=2)
        axes.text(a, b, f"{truth:.0f}", color="white", ha="center", va="center_baseline", fontweight="bold")
    figure.colorbar(shades, ax=axes, ticks=[0, 0.25, 0.5, 0.75, 1], shrink=0.85)
    axes.set(aspect="equal", xlabel="first input", ylabel="second input", xticks=[0, 1], yticks=[0, 1])
    axes.set_title("what the network answers; the line: 0.5", loc="left")


def curves(axes: Any, outputs: np.ndarray) -> None:
    """The outputs after 0, 1, ... steps."""
    for level in (NEAR, 1 - NEAR):
        axes.axhline(level, color=GREY, linewidth=0.8, linestyle=":")
    for i, (a, b) in enumerate(CORNERS):
        axes.plot(outputs[:, i], color=BLUE if TRUTH[i] else RED, linestyle="--" if i >= 2 else "-", linewidth=2,
                  label=f"{a:.0f} xor {b:.0f}")
    axes.set(xlabel="step", ylabel="output", ylim=(0, 1), xlim=(0, len(outputs) - 1))
    axes.set_title(f"its four outputs: all within {NEAR} after {len(outputs) - 1} steps", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0.02, 0.12), frameon=False)
