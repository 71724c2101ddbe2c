"""Training a network that tells images apart, and drawing how it went: shared by the demos that do so."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pydl
from pydl import nn
from pydl.data import DataLoader
from pydl.demos.harness import Clock, Stage

SHOWN = 32      # predictions in the picture


def mlp(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear, ReLU and dropout in turn: sizes (inputs, hidden ..., classes)."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def train(stage: Stage, model: nn.Module, loader: DataLoader, held_out: tuple[pydl.Tensor, np.ndarray], epochs: int, lr: float,
          weight_decay: float = 1e-2, label_smoothing: float = 0.0) -> tuple[list[float], list[float], np.ndarray]:
    """AdamW with a cosine schedule after a short warm-up. -> loss of each epoch, test accuracy of each, predictions.

    held_out: images and labels that are never trained on. Notes the demo's three figures; the seconds are those of the
    training steps alone, without the tests between the epochs.
    """
    images, labels = held_out
    loss_of = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    optimizer = pydl.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    total, step, examples, clock = epochs * len(loader), 0, 0, Clock()
    losses: list[float] = []
    accuracies: list[float] = []
    with stage.progress("training", total) as progress:
        for _ in range(epochs):
            model.train()
            epoch_loss = 0.0
            with clock:
                for batch, target in loader:
                    optimizer.param_groups[0]["lr"] = lr * min((step + 1) / 50, 0.5 * (1 + math.cos(math.pi * step / total)))
                    optimizer.zero_grad()
                    loss = loss_of(model(batch), target)
                    loss.backward()
                    optimizer.step()
                    epoch_loss += loss.item()
                    step += 1
                    examples += len(batch)
                    progress.step()
            losses.append(epoch_loss / len(loader))
            predicted = predict(model, images)
            accuracies.append(100 * float(np.mean(predicted == labels)))
    stage.figure("test accuracy", accuracies[-1], "%", digits=2)
    stage.figure("train seconds", clock.seconds, "s", digits=2)
    stage.figure("examples/s", examples / clock.seconds)
    return losses, accuracies, predicted


def predict(model: nn.Module, images: pydl.Tensor) -> np.ndarray:
    """The class of each image, as a NumPy array."""
    model.eval()
    with pydl.no_grad():
        return model(images).argmax(1).numpy()


def draw(losses: list[float], accuracies: list[float], pictures: np.ndarray, labels: np.ndarray,
         predicted: np.ndarray) -> Callable[[Any], None]:
    """-> a function that draws the learning curve, and some predictions with the wrong ones in red."""
    def onto(figure: Any) -> None:
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2))
        curve(left.subplots(), losses, accuracies)
        wrong = np.flatnonzero(predicted != labels)
        right_ones = np.flatnonzero(predicted == labels)
        shown = np.sort(np.concatenate([wrong[:SHOWN // 2], right_ones[:SHOWN - len(wrong[:SHOWN // 2])]]))
        right.suptitle(f"{SHOWN} of {len(labels)} held-out images; red: wrong ({len(wrong)} in all, truth in brackets)")
        for axes, i in zip(right.subplots(4, SHOWN // 4).flat, shown, strict=False):
            axes.imshow(pictures[i], cmap="gray_r")
            axes.set_xticks([])
            axes.set_yticks([])
            if predicted[i] == labels[i]:
                axes.set_title(str(predicted[i]))
            else:
                axes.set_title(f"{predicted[i]} ({labels[i]})", color="red")
                for spine in axes.spines.values():
                    spine.set(color="red", linewidth=3)
    return onto


def curve(axes: Any, losses: list[float], accuracies: list[float]) -> None:
    epochs = range(1, len(losses) + 1)
    axes.plot(epochs, losses, color="tab:blue", label="training loss")
    axes.set(xlabel="epoch", ylabel="training loss")
    axes.set_ylim(bottom=0)
    other = axes.twinx()
    other.plot(epochs, accuracies, color="tab:green", label="test accuracy")
    other.set_ylabel("test accuracy in %")
    lines = [*axes.get_lines(), *other.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], loc="center right")
    axes.set_title(f"test accuracy {accuracies[-1]:.2f} %")
