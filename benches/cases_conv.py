"""Convolutions: forward, and forward with backward, against PyTorch's default layout (the bars) and its channels_last (never slower)."""
from __future__ import annotations

from typing import Any

from cases import Thunk, add, functional, is_torch, put, values


class Convolution:
    """Images (n, c, size, size), o filters of kernel x kernel."""

    def __init__(self, n: int, c: int, o: int, size: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1,
                 transposed: bool = False) -> None:
        self.images, self.transposed = (n, c, size, size), transposed
        self.filters = (c, o // groups, kernel, kernel) if transposed else (o, c // groups, kernel, kernel)
        self.outputs, self.options = o, {"stride": stride, "padding": padding, "groups": groups}
        kind = "conv_transpose" if transposed else "depthwise" if groups == c else "conv"
        self.name = f"{kind} {n}x{c}x{size}x{size} -> {o} k{kernel}{f' s{stride}' if stride > 1 else ''}"

    def tensors(self, library: Any, channels_last: bool) -> tuple[Any, Any, Any]:
        x, w, b = put(library, values(*self.images)), put(library, values(*self.filters, seed=1)), put(library, values(self.outputs))
        if channels_last and is_torch(library):
            x, w = (t.contiguous(memory_format=library.channels_last) for t in (x, w))
        return x, w, b

    def forward(self, channels_last: bool) -> Any:
        def build(library: Any) -> Thunk:
            x, w, b = self.tensors(library, channels_last)
            f = self.function(library)
            return lambda: f(x, w, b, **self.options)

        return build

    def both(self, channels_last: bool) -> Any:
        def build(library: Any) -> Thunk:
            leaves = self.tensors(library, channels_last)
            f = self.function(library)
            y = f(*leaves, **self.options)
            g = put(library, values(*y.shape, seed=2))
            if channels_last and is_torch(library):
                g = g.contiguous(memory_format=library.channels_last)
            for leaf in leaves:
                leaf.requires_grad_(True)

            def run() -> None:
                f(*leaves, **self.options).backward(g)
                for leaf in leaves:
                    leaf.grad = None

            return run

        return build

    def function(self, library: Any) -> Any:
        return functional(library).conv_transpose2d if self.transposed else functional(library).conv2d


def convolution(forward: float, both: float, *sizes: int, **options: Any) -> None:
    """The bars, then what Convolution takes."""
    case = Convolution(*sizes, **options)
    add(case.name, case.forward(False), forward)
    add(f"{case.name} (channels_last)", case.forward(True), 1.0)
    add(f"{case.name} fwd+bwd", case.both(False), both)
    add(f"{case.name} fwd+bwd (channels_last)", case.both(True), 1.0)


convolution(2.5, 1.7, 32, 64, 64, 32, 3, padding=1)
convolution(2.8, 1.8, 32, 128, 128, 16, 3, padding=1)
convolution(2.2, 1.5, 16, 256, 256, 14, 3, padding=1)
convolution(1.2, 1.2, 32, 3, 32, 28, 3, padding=1)
convolution(4.0, 1.8, 32, 64, 128, 32, 1)
convolution(1.05, 1.05, 32, 32, 64, 28, 5, stride=2, padding=2)
convolution(10.0, 3.0, 32, 128, 128, 28, 3, padding=1, groups=128)
convolution(1.4, 1.4, 64, 128, 64, 7, 4, stride=2, padding=1, transposed=True)

# Further shapes that networks have: no slower than PyTorch
convolution(1.0, 1.0, 1, 64, 64, 56, 3, padding=1)
convolution(1.0, 1.0, 1, 512, 512, 7, 3, padding=1)
convolution(1.0, 1.0, 1, 128, 256, 28, 3, stride=2, padding=1)
convolution(1.0, 1.0, 1, 3, 64, 224, 7, stride=2, padding=3)
convolution(1.0, 1.0, 32, 16, 16, 32, 3, padding=1)
convolution(1.0, 1.0, 64, 1, 6, 28, 5, padding=2)
convolution(1.0, 1.0, 64, 6, 16, 14, 5)
convolution(1.0, 1.0, 8, 96, 96, 56, 7, padding=3, groups=96)
