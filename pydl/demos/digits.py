"""A small network learns the embedded handwritten digits; a quarter of them is held out."""

import numpy as np

import pydl
from pydl.data import DataLoader, TensorDataset
from pydl.datasets import digits, stratified_split
from pydl.demos.classify import draw, mlp, recipe, train
from pydl.demos.harness import Stage, Training

EPOCHS, BATCH = 20, 128


def run(stage: Stage) -> None:
    pictures, labels = digits()
    train_part, test_part = stratified_split(labels, test=0.25, seed=0)     # the same for every --seed
    images = pictures.astype(np.float32) / 16
    moved = half_pixel_shifts(images[train_part])
    loader = DataLoader(
        TensorDataset(pydl.from_numpy(moved.reshape(-1, 64)), pydl.from_numpy(np.tile(labels[train_part], 5))),
        batch_size=BATCH, shuffle=True, drop_last=True)
    held_out = pydl.from_numpy(images[test_part].reshape(-1, 64)), labels[test_part]
    history, predicted = train(stage, training(EPOCHS * len(loader)), loader, held_out, EPOCHS)
    stage.plot("digits.png", draw(history, pictures[test_part], labels[test_part], predicted))


def training(steps: int) -> Training:
    return recipe(mlp((64, 256, 128, 10), dropout=0.3), steps, lr=6e-3, label_smoothing=0.1)


def half_pixel_shifts(images: np.ndarray) -> np.ndarray:
    """(N, 8, 8) -> (5 N, 8, 8): the images, and the same moved by half a pixel up, down, left and right."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    centre = padded[:, 1:-1, 1:-1]
    neighbours = [padded[:, 2:, 1:-1], padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 1:-1, :-2]]
    return np.concatenate([centre, *(0.5 * (centre + neighbour) for neighbour in neighbours)])
