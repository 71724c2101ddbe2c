"""MobileNetV2."""
from pydl import nn
from pydl.tensor import Tensor

# Expansion, channels, blocks, stride of the first block
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple, but not more than a tenth below."""
    nearest = max(by, int(channels + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * channels else nearest


class Conv2dNormActivation(nn.Sequential):
    """Convolution that keeps the size (but for its stride), batch normalisation, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU6())


class InvertedResidual(nn.Module):
    """1x1 to `expand` times the channels, depthwise 3x3, 1x1 back without activation; added to the input where the shapes are the same."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.adds = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([Conv2dNormActivation(inputs, hidden, 1)] if expand != 1 else []),
            Conv2dNormActivation(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, input: Tensor) -> Tensor:
        y = self.conv(input)
        return input + y if self.adds else y


class MobileNetV2(nn.Module):
    """Depthwise convolutions between narrow layers: (N, 3, H, W) -> (N, num_classes) logits, at 1/32 of the size in the end.

    width_mult scales the channels of all layers. Keys and initialisation are torchvision's. Sandler et al., "MobileNetV2: inverted
    residuals and linear bottlenecks", 2018.
    """

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        channels, last = divisible(32 * width_mult), divisible(1280 * max(1.0, width_mult))
        layers: list[nn.Module] = [Conv2dNormActivation(3, channels, stride=2)]
        for expand, width, blocks, stride in STAGES:
            outputs = divisible(width * width_mult)
            for i in range(blocks):
                layers.append(InvertedResidual(channels, outputs, stride if i == 0 else 1, expand))
                channels = outputs
        self.features = nn.Sequential(*layers, Conv2dNormActivation(channels, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, input: Tensor) -> Tensor:
        return self.classifier(self.features(input).mean((2, 3)))


def mobilenet_v2(num_classes: int = 1000) -> MobileNetV2:
    """MobileNetV2: 3.5 M parameters for 1000 classes, 0.3 G multiply-adds at 224x224."""
    return MobileNetV2(num_classes)
