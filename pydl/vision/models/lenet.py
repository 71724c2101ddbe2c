"""LeNet-5."""
from pydl import nn


class LeNet5(nn.Sequential):
    """Two convolutions and three affine layers for small grey images: (N, channels, S, S) -> (N, num_classes) logits, S = image_size.

    As LeCun et al. drew it, but with ReLU, maxima and a softmax loss outside. 6 and 16 filters, as in the paper, or `width` times as many.
    The first convolution keeps 28x28 images at their size. LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document
    recognition", 1998.
    """

    def __init__(self, num_classes: int = 10, channels: int = 1, image_size: int = 28, width: int = 1, dropout: float = 0.0) -> None:
        side = (image_size // 2 - 4) // 2
        if side < 1:
            raise ValueError(f"LeNet5: expected an image_size of 12 or more, got {image_size}")
        first, second = 6 * width, 16 * width
        super().__init__(
            nn.Conv2d(channels, first, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(first, second, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * side * side, 120 * width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(120 * width, 84 * width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(84 * width, num_classes),
        )
