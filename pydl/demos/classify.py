"""Training a network that tells images apart, and drawing how it went: shared by the demos that do so."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pydl
from pydl import nn
from pydl.data import DataLoader, TensorDataset
from pydl.demos.harness import Stage, Training
from pydl.metrics import Accuracy
from pydl.optim.lr_scheduler import LambdaLR
from pydl.training import History, Trainer

SHOWN = 32      # predictions in the picture


def mlp(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear, ReLU and dropout in turn: sizes (inputs, hidden ..., classes)."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def recipe(model: nn.Module, steps: int, lr: float, weight_decay: float = 1e-2, label_smoothing: float = 0.0) -> Training:
    """AdamW with a cosine schedule over so many steps, after a short warm-up."""
    optimizer = pydl.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = LambdaLR(optimizer, lambda step: min((step + 1) / 50, 0.5 * (1 + math.cos(math.pi * step / steps))))
    return Training(model, optimizer, nn.CrossEntropyLoss(label_smoothing=label_smoothing), schedule)


def train(stage: Stage, parts: Training, loader: DataLoader, held_out: tuple[pydl.Tensor, np.ndarray],
          epochs: int) -> tuple[History, np.ndarray]:
    """-> history, predictions for the images held out.

    held_out: images and labels that are never trained on. Notes the demo's three figures; the seconds are those of the
    training steps alone, without the tests between the epochs.
    """
    images, labels = held_out
    trainer = Trainer(*parts[:3], scheduler=parts.schedule, scheduler_interval="step",
                      metrics={"accuracy": Accuracy()}, train_metrics=False)
    test = DataLoader(TensorDataset(images, pydl.from_numpy(labels)), batch_size=1000)
    history = trainer.fit(loader, test, epochs=epochs, on_interrupt="raise")
    stage.figure("test accuracy", 100 * history["val_accuracy"][-1], "%", digits=2)
    stage.figure("train seconds", sum(history["seconds"]), "s", digits=2)
    stage.figure("examples/s", epochs * len(loader) * (loader.batch_size or 1) / sum(history["seconds"]))
    return history, trainer.predict(test).argmax(1).numpy()


def draw(history: History, pictures: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> Callable[[Any], None]:
    """-> a function that draws the learning curve, and some predictions with the wrong ones in red."""
    def onto(figure: Any) -> None:
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2), wspace=0.05)
        curve(left.subplots(), history["loss"], [100 * share for share in history["val_accuracy"]])
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
    axes.xaxis.get_major_locator().set_params(integer=True)
    other = axes.twinx()
    other.plot(epochs, accuracies, color="tab:green", label="test accuracy")
    other.set_ylabel("test accuracy in %")
    lines = [*axes.get_lines(), *other.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], loc="center right")
    for one in (axes, other):
        one.spines["top"].set_visible(False)
    axes.set_title(f"test accuracy {accuracies[-1]:.2f} %")
