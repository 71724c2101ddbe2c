"""VGG networks for images of CIFAR's size."""
from collections.abc import Sequence

from pydl import nn
from pydl.tensor import Tensor

# Filters of the convolutions; "M" halves the image.
LAYERS: dict[int, tuple[int | str, ...]] = {
    11: (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    13: (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    16: (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
    19: (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"),
}


class VGG(nn.Module):
    """3x3 convolutions in a row: (N, 3, H, W) -> (N, num_classes) logits, H and W a multiple of 32.

    layers: filters of each convolution, "M" for a maximum over 2x2. batch_norm: after each convolution. The last image is averaged,
    and one affine layer tells the classes apart, as is usual for 32x32 images, in place of the three of 4096 units that the paper has for
    224x224. The keys of `features` are torchvision's. Simonyan & Zisserman, "Very deep convolutional networks", 2015.
    """

    def __init__(self, layers: Sequence[int | str], num_classes: int = 10, batch_norm: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential(*features(layers, batch_norm))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        width = [size for size in layers if isinstance(size, int)][-1]
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, input: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(input)))


def features(layers: Sequence[int | str], batch_norm: bool) -> list[nn.Module]:
    modules: list[nn.Module] = []
    channels = 3
    for size in layers:
        if not isinstance(size, int):
            modules.append(nn.MaxPool2d(2))
            continue
        modules.append(nn.Conv2d(channels, size, 3, padding=1))
        modules += [nn.BatchNorm2d(size), nn.ReLU()] if batch_norm else [nn.ReLU()]
        channels = size
    return modules


def vgg11(num_classes: int = 10) -> VGG:
    """VGG with 8 convolutions."""
    return VGG(LAYERS[11], num_classes)


def vgg11_bn(num_classes: int = 10) -> VGG:
    """VGG with 8 convolutions and batch normalisation."""
    return VGG(LAYERS[11], num_classes, batch_norm=True)


def vgg13(num_classes: int = 10) -> VGG:
    """VGG with 10 convolutions."""
    return VGG(LAYERS[13], num_classes)


def vgg13_bn(num_classes: int = 10) -> VGG:
    """VGG with 10 convolutions and batch normalisation."""
    return VGG(LAYERS[13], num_classes, batch_norm=True)


def vgg16(num_classes: int = 10) -> VGG:
    """VGG with 13 convolutions."""
    return VGG(LAYERS[16], num_classes)


def vgg16_bn(num_classes: int = 10) -> VGG:
    """VGG with 13 convolutions and batch normalisation."""
    return VGG(LAYERS[16], num_classes, batch_norm=True)


def vgg19(num_classes: int = 10) -> VGG:
    """VGG with 16 convolutions."""
    return VGG(LAYERS[19], num_classes)


def vgg19_bn(num_classes: int = 10) -> VGG:
    """VGG with 16 convolutions and batch normalisation."""
    return VGG(LAYERS[19], num_classes, batch_norm=True)
