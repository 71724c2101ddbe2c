"""Layers that resize images."""

from __future__ import annotations

from collections.abc import Sequence

from pydl.nn import functional
from pydl.nn.module import Module
from pydl.tensor import Tensor


class Upsample(Module):
    """Images of another size, by nn.functional.interpolate: (N, C, *) -> (N, C, *size), or floor(in * scale_factor).

    mode: "nearest", "linear", "bilinear", "bicubic" or "trilinear"; align_corners and recompute_scale_factor as there.
    """

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
                 align_corners: bool | None = None, recompute_scale_factor: bool | None = None) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: float | tuple[float, ...] | None = tuple(float(one) for one in scale_factor)
        else:
            self.scale_factor = None if scale_factor is None else float(scale_factor)   # type: ignore[arg-type]
        self.mode, self.align_corners, self.recompute_scale_factor = mode, align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return functional.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self) -> str:
        given = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{given}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Every pixel taken from the nearest one: (N, C, H, W) -> (N, C, *size)."""

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Bilinear, with aligned corners: (N, C, H, W) -> (N, C, *size)."""

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
