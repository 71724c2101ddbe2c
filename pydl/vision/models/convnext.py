"""ConvNeXt."""
from collections.abc import Sequence

from pydl import nn, ops
from pydl.tensor import Tensor, full


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel: (N, C, H, W) -> (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Permute(nn.Module):
    """Dimensions in another order."""

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, input: Tensor) -> Tensor:
        return input.permute(self.dims)


class CNBlock(nn.Module):
    """x + layer_scale * (1x1, GELU, 1x1 of a normalised depthwise 7x7 convolution of x); in training, that branch is left out of an example
    with the probability `drop`, and the others' is larger for it (stochastic depth)."""

    def __init__(self, channels: int, layer_scale: float, drop: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels), Permute((0, 2, 3, 1)), nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels), Permute((0, 3, 1, 2)))
        self.layer_scale = nn.Parameter(full((channels, 1, 1), layer_scale))
        self.drop = drop

    def forward(self, input: Tensor) -> Tensor:
        branch = self.block(input) * self.layer_scale
        if self.training and self.drop > 0:
            branch = branch * (ops.rand(input.shape[0], 1, 1, 1) >= self.drop) / (1 - self.drop)
        return input + branch


class ConvNeXt(nn.Module):
    """Convolutional network in the manner of a vision transformer: (N, 3, H, W) -> (N, num_classes) logits, at 1/32 of the size in the end.

    channels and blocks: of the four stages. stochastic_depth_prob: that of the last block; it grows from 0. Keys and initialisation are
    torchvision's. Liu et al., "A ConvNet for the 2020s", 2022.
    """

    def __init__(self, channels: Sequence[int], blocks: Sequence[int], num_classes: int = 1000, layer_scale: float = 1e-6,
                 stochastic_depth_prob: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, channels[0], 4, 4), LayerNorm2d(channels[0], eps=1e-6))]
        done, steps = 0, max(sum(blocks) - 1, 1)
        for i, (width, count) in enumerate(zip(channels, blocks, strict=True)):
            layers.append(nn.Sequential(*(CNBlock(width, layer_scale, stochastic_depth_prob * (done + j) / steps) for j in range(count))))
            done += count
            if i + 1 < len(channels):
                layers.append(nn.Sequential(LayerNorm2d(width, eps=1e-6), nn.Conv2d(width, channels[i + 1], 2, 2)))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(LayerNorm2d(channels[-1], eps=1e-6), nn.Flatten(), nn.Linear(channels[-1], num_classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, input: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(input)))


def convnext_tiny(num_classes: int = 1000) -> ConvNeXt:
    """ConvNeXt-T: 28.6 M parameters for 1000 classes, 4.5 G multiply-adds at 224x224."""
    return ConvNeXt((96, 192, 384, 768), (3, 3, 9, 3), num_classes, stochastic_depth_prob=0.1)
