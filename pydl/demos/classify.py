"""Training a network that tells images apart, and drawing how it went: shared by the demos that do so."""

import itertools
import math

import numpy as np

import pydl
from pydl import nn
from pydl.demos.harness import Clock

SHOWN = 32      # predictions in the picture


def mlp(sizes, dropout):
    """Linear, ReLU and dropout in turn: sizes (inputs, hidden ..., classes)."""
    layers = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


def train(stage, model, loader, held_out, epochs, lr, weight_decay=1e-2, label_smoothing=0.0):
    """AdamW with a cosine schedule after a short warm-up. -> loss of each epoch, test accuracy of each, predictions.

    held_out: images and labels that are never trained on. Notes the demo's three figures; the seconds are those of the
    training steps alone, without the tests between the epochs.
    """
    images, labels = held_out
    loss_of = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    optimizer = pydl.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    total, step, examples, clock, losses, accuracies = epochs * len(loader), 0, 0, Clock(), [], []
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


def predict(model, images):
    """The class of each image, as a NumPy array."""
    model.eval()
    with pydl.no_grad():
        return model(images).argmax(1).numpy()


def draw(losses, accuracies, pictures, labels, predicted):
    """-> a function that draws the learning curve, and some predictions with the wrong ones in red."""
    def onto(figure):
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


def curve(axes, losses, accuracies):
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
