"""The networks of the benches, built from a library that speaks PyTorch's names: the same lines for pydl and for its peers.

pydl.vision.models has the same networks; these have no initialisation of their own and nothing that a peer lacks.
"""
from __future__ import annotations

from functools import cache
from typing import Any


def lenet(library: Any) -> Any:
    """LeNet-5 with ReLU: (N, 1, 28, 28) -> (N, 10)."""
    nn = library.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def vgg(library: Any) -> Any:
    """VGG-11 with batch norms: (N, 3, 32, 32) -> (N, 10)."""
    nn = library.nn
    layers, inputs = [], 3
    for outputs in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if outputs == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs, 10))


@cache
def basic_block(library: Any) -> type:
    """The block of ResNet-18 and ResNet-20, in the library's own modules."""
    nn = library.nn

    class BasicBlock(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
            self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride > 1 or inputs != outputs:
                self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

        def forward(self, x: Any) -> Any:
            y = library.relu(self.bn1(self.conv1(x)))
            return library.relu(self.bn2(self.conv2(y)) + (x if self.downsample is None else self.downsample(x)))

    return BasicBlock


def stages(library: Any, inputs: int, widths: tuple[int, ...], blocks: int) -> list[Any]:
    """Blocks for every width; all stages but the first begin with a stride of 2."""
    block, made = basic_block(library), []
    for stage, outputs in enumerate(widths):
        for i in range(blocks):
            made.append(block(inputs, outputs, 2 if stage and i == 0 else 1))
            inputs = outputs
    return made


def resnet20(library: Any) -> Any:
    """ResNet of 20 layers for small images, 1x1 convolutions beside the strides: (N, 3, 32, 32) -> (N, 10)."""
    nn = library.nn
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *stages(library, 16, (16, 32, 64), 3),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def resnet18(library: Any) -> Any:
    """ResNet-18: (N, 3, 224, 224) -> (N, 1000)."""
    nn = library.nn
    return nn.Sequential(nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
                         *stages(library, 64, (64, 128, 256, 512), 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
