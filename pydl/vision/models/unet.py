"""U-Net."""
from collections.abc import Sequence

from pydl import nn, ops
from pydl.tensor import Tensor


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions that keep the size, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.Dropout2d(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Up(nn.Module):
    """Twice the size by a transposed convolution, joined to the image of that size from the way down, then two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, 2)
        self.conv = DoubleConv(2 * outputs, outputs)

    def forward(self, input: Tensor, beside: Tensor) -> Tensor:
        return self.conv(ops.cat([beside, self.up(input)], 1))


class UNet(nn.Module):
    """A classifier for every pixel: (N, channels, H, W) -> (N, num_classes, H, W) logits, H and W multiples of 2^(len(widths) - 1).

    The image is halved len(widths) - 1 times; on the way back up, each size is joined with what the way down had there. widths: filters at
    each size. dropout: of whole channels, at the smallest size. Ronneberger, Fischer & Brox, "U-Net", 2015; unlike there, convolutions are
    padded, so that the output has the size of the input, and normalised.

    patch: 1, or the side of the squares of pixels that the network takes as one pixel of patch^2 times the channels, and gives back again:
    the largest and dearest size is left out, so that more filters can be had for the same time (Shi et al. 2016). H and W are then
    multiples of patch times as much.
    """

    def __init__(self, channels: int = 1, num_classes: int = 2, widths: Sequence[int] = (16, 32, 64, 128), dropout: float = 0.0,
                 patch: int = 1) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"UNet: expected two widths or more, got {tuple(widths)}")
        if patch < 1:
            raise ValueError(f"UNet: expected a patch of 1 or more, got {patch}")
        sizes, self.patch = list(widths), patch
        self.multiple = patch * 2 ** (len(sizes) - 1)
        self.stem = DoubleConv(channels * patch**2, sizes[0])
        last = len(sizes) - 2
        self.down = nn.ModuleList([DoubleConv(sizes[i], sizes[i + 1], dropout if i == last else 0.0) for i in range(last + 1)])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList([Up(b, a) for a, b in reversed(list(zip(sizes, sizes[1:], strict=False)))])
        self.head = nn.Conv2d(sizes[0], num_classes * patch**2, 1)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != 4 or input.shape[2] % self.multiple or input.shape[3] % self.multiple:
            raise ValueError(f"UNet: expected images (N, C, H, W), H and W multiples of {self.multiple}, got shape {tuple(input.shape)}")
        beside = [self.stem(input if self.patch == 1 else ops.pixel_unshuffle(input, self.patch))]
        for down in self.down:
            beside.append(down(self.pool(beside[-1])))
        y = beside.pop()
        for up in self.up:
            y = up(y, beside.pop())
        y = self.head(y)
        return y if self.patch == 1 else ops.pixel_shuffle(y, self.patch)
