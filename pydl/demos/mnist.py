"""A network of two hidden layers learns MNIST, whose files are read from PYDL_DATA/mnist."""

import argparse

import numpy as np

import pydl
from pydl.data import DataLoader, TensorDataset
from pydl.datasets import mnist
from pydl.demos.classify import draw, mlp, recipe, train
from pydl.demos.harness import Stage, Training

EPOCHS, BATCH = 6, 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FOLDER", help="the folder of the IDX files (default: PYDL_DATA/mnist)")


def run(stage: Stage) -> None:
    pictures, labels = stage.load(mnist, stage.options.data)
    test_pictures, test_labels = stage.load(mnist, stage.options.data, train=False)
    mean, deviation = pictures.mean(), pictures.std()
    loader = DataLoader(
        TensorDataset(normalised(pictures, mean, deviation), pydl.from_numpy(labels)),
        batch_size=BATCH, shuffle=True, drop_last=True)
    held_out = normalised(test_pictures, mean, deviation), test_labels
    parts = training(EPOCHS * len(loader), held_out[0].shape[1])
    history, predicted = train(stage, parts, loader, held_out, EPOCHS)
    stage.plot("mnist.png", draw(history, test_pictures, test_labels, predicted))


def training(steps: int, pixels: int = 28 * 28) -> Training:
    return recipe(mlp((pixels, 256, 128, 10), dropout=0.15), steps, lr=3e-3)


def normalised(pictures: np.ndarray, mean: float, deviation: float) -> pydl.Tensor:
    """(N, H, W) uint8 -> (N, H * W) float32 with mean 0 and standard deviation 1 over the training images."""
    table = ((np.arange(256) - mean) / deviation).astype(np.float32)    # one entry a grey value: no large temporary
    return pydl.from_numpy(table[pictures.reshape(len(pictures), -1)])
