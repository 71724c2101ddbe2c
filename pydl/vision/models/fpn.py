"""Feature pyramids."""
from collections.abc import Sequence

from pydl import nn, ops
from pydl.tensor import Tensor


class FeaturePyramidNetwork(nn.Module):
    """Images of several sizes, each half of the one before, get the same channels and learn of the smaller ones:
    [(N, C_i, H_i, W_i)] -> [(N, out_channels, H_i, W_i)].

    Each size is mapped by a 1x1 convolution, the next smaller one, enlarged to its size, is added, and a 3x3 convolution follows. Keys are
    torchvision's (ops.FeaturePyramidNetwork). Lin et al., "Feature pyramid networks for object detection", 2017.
    """

    def __init__(self, in_channels_list: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(channels, out_channels, 1)) for channels in in_channels_list])
        self.layer_blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(out_channels, out_channels, 3, padding=1)) for _ in in_channels_list])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, input: Sequence[Tensor]) -> list[Tensor]:
        if len(input) != len(self.inner_blocks):
            raise ValueError(f"FeaturePyramidNetwork: expected {len(self.inner_blocks)} images, got {len(input)}")
        inner = [block(image) for block, image in zip(self.inner_blocks, input, strict=True)]
        for i in range(len(inner) - 1, 0, -1):
            size = inner[i - 1].shape[2:]
            inner[i - 1] = inner[i - 1] + ops.interpolate(inner[i], size=size, mode="nearest")
        return [block(image) for block, image in zip(self.layer_blocks, inner, strict=True)]
