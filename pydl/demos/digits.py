"""A small network learns the embedded handwritten digits; a quarter of them is held out."""

import argparse

import numpy as np

import pydl
from pydl import nn
from pydl.data import DataLoader, TensorDataset
from pydl.datasets import digits, stratified_split
from pydl.demos.classify import draw, mlp, recipe, train
from pydl.demos.harness import Stage, Training

EPOCHS, BATCH = {"mlp": 20, "cnn": 12}, 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", choices=list(EPOCHS), default="mlp", help="two hidden layers (default), or three convolutions")


def run(stage: Stage) -> None:
    model = stage.options.model
    shape = (-1, 64) if model == "mlp" else (-1, 1, 8, 8)
    pictures, labels = digits()
    train_part, test_part = stratified_split(labels, test=0.25, seed=0)     # the same for every --seed
    images = pictures.astype(np.float32) / 16
    moved = half_pixel_shifts(images[train_part])
    if model == "cnn":
        mean, deviation = images[train_part].mean(), images[train_part].std()
        images, moved = (images - mean) / deviation, (moved - mean) / deviation
    loader = DataLoader(
        TensorDataset(pydl.from_numpy(moved.reshape(shape)), pydl.from_numpy(np.tile(labels[train_part], 5))),
        batch_size=BATCH, shuffle=True, drop_last=True)
    held_out = pydl.from_numpy(images[test_part].reshape(shape)), labels[test_part]
    history, predicted = train(stage, training(EPOCHS[model] * len(loader), model), loader, held_out, EPOCHS[model])
    stage.plot("digits.png", draw(history, pictures[test_part], labels[test_part], predicted))


def training(steps: int, model: str = "mlp") -> Training:
    if model == "cnn":
        return recipe(cnn(), steps, lr=3e-3, label_smoothing=0.1)
    return recipe(mlp((64, 256, 128, 10), dropout=0.3), steps, lr=6e-3, label_smoothing=0.1)


def cnn() -> nn.Sequential:
    """Three 3x3 convolutions of 16 and 32 filters, of which the first two keep all 8x8 pixels, and two affine layers."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(0.4),
        nn.Linear(32 * 16, 96), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(96, 10))


def half_pixel_shifts(images: np.ndarray) -> np.ndarray:
    """(N, 8, 8) -> (5 N, 8, 8): the images, and the same moved by half a pixel up, down, left and right."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    centre = padded[:, 1:-1, 1:-1]
    neighbours = [padded[:, 2:, 1:-1], padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 1:-1, :-2]]
    return np.concatenate([centre, *(0.5 * (centre + neighbour) for neighbour in neighbours)])
