"""Residual networks: for photographs (ResNet-18, 34, 50) and for 32x32 images (ResNet-20, 56)."""
from collections.abc import Sequence
from typing import ClassVar

from pydl import nn, ops
from pydl.tensor import Tensor


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """y = relu(x + conv(relu(conv(x)))), each convolution normalised: (N, inputs, H, W) -> (N, planes, H / s, W / s), s the stride."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, planes: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, input: Tensor) -> Tensor:
        y = ops.relu(self.bn1(self.conv1(input)))
        y = self.bn2(self.conv2(y))
        return ops.relu(y + (input if self.downsample is None else self.downsample(input)))


class Bottleneck(nn.Module):
    """The same with three convolutions, 1x1, 3x3 and 1x1, of which the last has four times the channels; the 3x3 one has the stride."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, planes: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.downsample = downsample

    def forward(self, input: Tensor) -> Tensor:
        y = ops.relu(self.bn1(self.conv1(input)))
        y = ops.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return ops.relu(y + (input if self.downsample is None else self.downsample(input)))


Block = type[BasicBlock] | type[Bottleneck]


def stage(block: Block, inputs: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    """Blocks in a row, of which the first has the stride, and where it changes the shape a 1x1 convolution beside it."""
    outputs = planes * block.expansion
    beside = None
    if stride != 1 or inputs != outputs:
        beside = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    return nn.Sequential(block(inputs, planes, stride, beside), *(block(outputs, planes) for _ in range(blocks - 1)))


def initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNet(nn.Module):
    """A 7x7 convolution, a maximum, four stages of residual blocks, a mean and an affine layer: (N, 3, H, W) -> (N, num_classes) logits.

    Each of stem, maximum and stages 2 to 4 halves the image. `features(x)` gives the images after the four stages, for detection and
    segmentation. Keys and initialisation are torchvision's. He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2016.
    """

    def __init__(self, block: Block, layers: Sequence[int], num_classes: int = 1000) -> None:
        super().__init__()
        if len(layers) != 4 or min(layers) < 1:
            raise ValueError(f"ResNet: expected layers to be four numbers of 1 or more, got {tuple(layers)}")
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        width = block.expansion
        self.layer1 = stage(block, 64, 64, layers[0], 1)
        self.layer2 = stage(block, 64 * width, 128, layers[1], 2)
        self.layer3 = stage(block, 128 * width, 256, layers[2], 2)
        self.layer4 = stage(block, 256 * width, 512, layers[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * width, num_classes)
        initialise(self)

    def features(self, input: Tensor) -> list[Tensor]:
        """The images after the four stages: 1/4, 1/8, 1/16 and 1/32 of the size."""
        found = [self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(input)))))]
        for layer in (self.layer2, self.layer3, self.layer4):
            found.append(layer(found[-1]))
        return found

    def forward(self, input: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.features(input)[-1]).flatten(1))


class Shortcut(nn.Module):
    """Every second pixel, and zeros for the channels that are new: a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.more = outputs - inputs

    def forward(self, input: Tensor) -> Tensor:
        return ops.pad(input[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


class CifarResNet(nn.Module):
    """ResNet for 32x32 images, of 6 n + 2 layers: three stages of n blocks, of 16, 32 and 64 filters: (N, 3, H, W) -> (N, num_classes).

    Shortcuts have no parameters (option A of the paper, section 4.2), so that ResNet-20 has 0.27 M of them and ResNet-56 0.85 M.
    He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2016.
    """

    def __init__(self, blocks: int, num_classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"CifarResNet: expected blocks of 1 or more, got {blocks}")
        self.conv1 = conv3x3(channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(16, 16, blocks)
        self.layer2 = self.stage(16, 32, blocks)
        self.layer3 = self.stage(32, 64, blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        initialise(self)

    def stage(self, inputs: int, outputs: int, blocks: int) -> nn.Sequential:
        first = BasicBlock(inputs, outputs, 2, Shortcut(inputs, outputs)) if inputs != outputs else BasicBlock(inputs, outputs)
        return nn.Sequential(first, *(BasicBlock(outputs, outputs) for _ in range(blocks - 1)))

    def forward(self, input: Tensor) -> Tensor:
        y = ops.relu(self.bn1(self.conv1(input)))
        return self.fc(self.avgpool(self.layer3(self.layer2(self.layer1(y)))).flatten(1))


def resnet18(num_classes: int = 1000) -> ResNet:
    """ResNet with 18 layers: 11.7 M parameters for 1000 classes, 1.8 G multiply-adds at 224x224."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes)


def resnet34(num_classes: int = 1000) -> ResNet:
    """ResNet with 34 layers: 21.8 M parameters for 1000 classes."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes)


def resnet50(num_classes: int = 1000) -> ResNet:
    """ResNet with 50 layers, three in a block: 25.6 M parameters for 1000 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes)


def resnet20(num_classes: int = 10) -> CifarResNet:
    """ResNet with 20 layers for 32x32 images: 0.27 M parameters."""
    return CifarResNet(3, num_classes)


def resnet56(num_classes: int = 10) -> CifarResNet:
    """ResNet with 56 layers for 32x32 images: 0.85 M parameters."""
    return CifarResNet(9, num_classes)
