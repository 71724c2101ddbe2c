"""A network of two hidden layers, or LeNet-5, learns MNIST, whose files are read from PYDL_DATA/mnist."""

import argparse

import numpy as np

import pydl
from pydl.data import DataLoader, TensorDataset
from pydl.datasets import mnist
from pydl.demos.classify import draw, mlp, recipe, train
from pydl.demos.harness import DemoError, Stage, Training
from pydl.vision.models import LeNet5

EPOCHS, BATCH = {"mlp": 6, "lenet": 4}, 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", choices=list(EPOCHS), default="mlp",
                        help="two hidden layers (default), or convolutions: LeNet-5 with twice its filters")
    parser.add_argument("--data", metavar="FOLDER", help="the folder of the IDX files (default: PYDL_DATA/mnist)")


def run(stage: Stage) -> None:
    model = stage.options.model
    pictures, labels = stage.load(mnist, stage.options.data)
    test_pictures, test_labels = stage.load(mnist, stage.options.data, train=False)
    mean, deviation = pictures.mean(), pictures.std()
    loader = DataLoader(
        TensorDataset(normalised(pictures, mean, deviation, model), pydl.from_numpy(labels)),
        batch_size=BATCH, shuffle=True, drop_last=True)
    held_out = normalised(test_pictures, mean, deviation, model), test_labels
    parts = training(EPOCHS[model] * len(loader), pictures.shape[1:], model)
    history, predicted = train(stage, parts, loader, held_out, EPOCHS[model])
    stage.plot("mnist.png", draw(history, test_pictures, test_labels, predicted))


def training(steps: int, shape: tuple[int, ...] = (28, 28), model: str = "mlp") -> Training:
    if model == "lenet":
        if shape[0] != shape[1] or shape[0] < 12:
            raise DemoError(f"--model lenet: expected square images of 12 pixels or more, got {shape[0]} x {shape[1]}")
        return recipe(LeNet5(image_size=shape[0], width=2, dropout=0.1), steps, lr=3e-3)
    return recipe(mlp((shape[0] * shape[1], 256, 128, 10), dropout=0.15), steps, lr=3e-3)


def normalised(pictures: np.ndarray, mean: float, deviation: float, model: str = "mlp") -> pydl.Tensor:
    """(N, H, W) uint8 -> float32 with mean 0 and standard deviation 1 over the training images: (N, 1, H, W), or for the mlp (N, H * W)."""
    table = ((np.arange(256) - mean) / deviation).astype(np.float32)    # one entry a grey value: no large temporary
    return pydl.from_numpy(table[pictures[:, None] if model == "lenet" else pictures.reshape(len(pictures), -1)])
