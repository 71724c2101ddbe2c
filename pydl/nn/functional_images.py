"""PyTorch's names in `nn.functional` for images: where those of pydl.ops are taken by other functions."""
from __future__ import annotations

from collections.abc import Sequence

from pydl import ops
from pydl.ops import affine_grid, channel_shuffle, grid_sample, interpolate, pad, pixel_shuffle, pixel_unshuffle
from pydl.tensor import Tensor

Size2 = int | Sequence[int]


def unfold(input: Tensor, kernel_size: Size2, dilation: Size2 = 1, padding: Size2 = 0, stride: Size2 = 1) -> Tensor:
    """The windows of images as columns: (N, C, H, W) -> (N, C * KH * KW, L), or without N.

    L = OH * OW windows, OH = (H + 2 * padding - dilation * (KH - 1) - 1) // stride + 1; zeros where a window leaves the image.
    float32 or float64. Raises ValueError where no window fits.
    """
    return ops.windows_to_columns(input, kernel_size, dilation, padding, stride)


def fold(input: Tensor, output_size: Size2, kernel_size: Size2, dilation: Size2 = 1, padding: Size2 = 0, stride: Size2 = 1) -> Tensor:
    """The sum of windows, each in its place in the image: (N, C * KH * KW, L) -> (N, C, *output_size), or without N.

    The transpose of unfold; L as there. Where windows meet their values are added. float32 or float64. Raises ValueError where the
    columns are not those of the windows.
    """
    return ops.columns_to_image(input, output_size, kernel_size, dilation, padding, stride)


__all__ = ["affine_grid", "channel_shuffle", "fold", "grid_sample", "interpolate", "pad", "pixel_shuffle", "pixel_unshuffle", "unfold"]
