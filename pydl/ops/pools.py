"""Pooling that is made of other ops: with indices, of powers, over windows of random steps, and back from indices."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pydl._core.checks import check_room, int_arg, number_arg, tensor_arg
from pydl._core.create import arange, zeros
from pydl._core.dtypes import int64
from pydl._core.tensor import Tensor
from pydl.ops.activations import relu
from pydl.ops.arithmetic import abs, add, mul, neg, sign, sub
from pydl.ops.arithmetic import pow as power
from pydl.ops.bounds import clamp
from pydl.ops.elementwise import floor
from pydl.ops.extremes import max as largest
from pydl.ops.gather import check_places, gather, scatter
from pydl.ops.join import cat
from pydl.ops.pool import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from pydl.ops.random import rand
from pydl.ops.shape import expand, reshape, squeeze, unsqueeze

Ints = int | Sequence[int]
AXES = {1: "L", 2: "H, W", 3: "D, H, W"}
AVERAGE: dict[int, Callable[..., Tensor]] = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}
LARGEST: dict[int, Callable[..., Any]] = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}


def each(op: str, value: Ints, dims: int, name: str, least: int = 1) -> list[int]:
    """An int, or `dims` of them, as a list."""
    if not isinstance(value, (tuple, list)):
        return [int_arg(op, value, name, least)] * dims         # type: ignore[arg-type]
    if len(value) not in (1, dims):
        raise ValueError(f"{op}: expected {name} to be an int or {dims} of them, got {value!r}")
    return [int_arg(op, v, name, least) for v in value] * (dims // len(value))


def images(op: str, input: Tensor, dims: int) -> Tensor:
    """input, float32 or float64, with a batch dimension; nothing but that may be empty."""
    x = tensor_arg(op, input, "input")
    if not x.is_floating_point():
        raise TypeError(f"{op}: input must be float32 or float64, got {x.dtype} of shape {tuple(x.shape)}")
    if x.ndim not in (dims + 1, dims + 2) or 0 in x.shape[-dims - 1:]:
        raise ValueError(f"{op}: expected input (N, C, {AXES[dims]}) or (C, {AXES[dims]}), empty in N alone, got shape {tuple(x.shape)}")
    return x if x.ndim == dims + 2 else unsqueeze(x, 0)


# ---- With indices

def max_pool1d_with_indices(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
                            ceil_mode: bool = False, return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """max_pool1d with return_indices: (y, indices)."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
                            ceil_mode: bool = False, return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """max_pool2d with return_indices: (y, indices)."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
                            ceil_mode: bool = False, return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """max_pool3d with return_indices: (y, indices)."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """adaptive_max_pool1d with return_indices: (y, indices)."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """adaptive_max_pool2d with return_indices: (y, indices)."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> tuple[Tensor, Tensor]:
    """adaptive_max_pool3d with return_indices: (y, indices)."""
    return adaptive_max_pool3d(input, output_size, True)


# ---- Back from indices

def unpool_sizes(op: str, x: Tensor, dims: int, kernel_size: Ints, stride: Ints | None, padding: Ints, output_size: Any) -> list[int]:
    kernel, pad = each(op, kernel_size, dims, "kernel_size"), each(op, padding, dims, "padding", 0)
    step = kernel if stride is None else each(op, stride, dims, "stride")
    sizes = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(x.shape[2:], step, kernel, pad)]
    if output_size is not None:
        wanted = list(output_size)[-dims:] if len(output_size) == dims + 2 else list(output_size)
        if len(wanted) != dims:
            raise ValueError(f"{op}: expected output_size of {dims} or {dims + 2} sizes, got {output_size!r}")
        wanted = [int_arg(op, n, "output_size") for n in wanted]
        for n, size, s in zip(wanted, sizes, step):
            if not size - s < n < size + s:
                raise ValueError(f"{op}: expected output_size between {[a - b + 1 for a, b in zip(sizes, step)]} and "
                                 f"{[a + b - 1 for a, b in zip(sizes, step)]}, got {wanted} (input {tuple(x.shape)})")
        sizes = wanted
    if min(sizes) < 0:
        raise ValueError(f"{op}: kernel_size {kernel_size}, stride {stride} and padding {padding} leave no output, {sizes} "
                         f"(input {tuple(x.shape)})")
    check_room(op, (*x.shape[:2], *sizes), x)
    return sizes


def unpool(op: str, dims: int, input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints,
           output_size: Any) -> Tensor:
    x, i = images(op, input, dims), tensor_arg(op, indices, "indices")
    if i.dtype != int64:
        raise TypeError(f"{op}: indices must be int64, got {i.dtype} of shape {tuple(i.shape)}")
    if i.shape != input.shape:
        raise ValueError(f"{op}: expected indices of the shape of input {tuple(input.shape)}, got {tuple(i.shape)}")
    sizes = unpool_sizes(op, x, dims, kernel_size, stride, padding, output_size)
    planes = x.shape[0] * x.shape[1]
    y = zeros((planes, math.prod(sizes)), dtype=x.dtype)
    at, values = reshape(i, (planes, math.prod(x.shape[2:]))), reshape(x, (planes, math.prod(x.shape[2:])))
    check_places(op, y, 1, at, values)
    return reshape(scatter(y, 1, at, values), (*input.shape[:-dims], *sizes))


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
                 output_size: Any = None) -> Tensor:
    """y[n, c, indices[n, c, o]] = x[n, c, o] and 0 elsewhere: (N, C, L) -> (N, C, O), or without N.

    Undoes max_pool1d by its indices. O = (L - 1) stride + kernel_size - 2 padding, or output_size, less than a stride from that; indices
    int64. Of equal indices the last wins. Raises IndexError for indices outside, ValueError for shapes and values that do not fit,
    TypeError for other types.
    Zeiler & Fergus, "Visualizing and understanding convolutional networks", 2014.
    """
    return unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
                 output_size: Any = None) -> Tensor:
    """max_unpool1d for (N, C, H, W) or (C, H, W)."""
    return unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
                 output_size: Any = None) -> Tensor:
    """max_unpool1d for (N, C, D, H, W) or (C, D, H, W)."""
    return unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


# ---- Powers

def powers(op: str, dims: int, input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool) -> Tensor:
    x, p = images(op, input, dims), number_arg(op, norm_type, "norm_type")
    kernel = each(op, kernel_size, dims, "kernel_size")
    step = kernel if stride is None else each(op, stride, dims, "stride")
    if math.isnan(p) or p == 0:
        raise ValueError(f"{op}: norm_type must not be 0 or NaN, got {norm_type} (input {tuple(input.shape)})")
    if any(k > n + (s - 1 if ceil_mode else 0) for k, n, s in zip(kernel, x.shape[2:], step)):
        raise ValueError(f"{op}: the kernel {tuple(kernel)} does not fit the input {tuple(input.shape)}: there is no output")
    if math.isinf(p):
        y = LARGEST[dims](abs(x) if p > 0 else neg(abs(x)), kernel, step, 0, 1, ceil_mode)
        y = y if p > 0 else neg(y)
    else:
        mean = AVERAGE[dims](power(x, p), kernel, step, 0, ceil_mode)
        y = power(mul(mul(sign(mean), relu(abs(mean))), math.prod(kernel)), 1 / p)
    return y if input.ndim == dims + 2 else squeeze(y, 0)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Tensor:
    """y = (sum over a window of x^p)^(1/p), p = norm_type: (N, C, L) -> (N, C, O), or (C, L) -> (C, O).

    p inf is the largest |x|, -inf the smallest. Windows as in avg_pool1d; one that ceil_mode lets stand out counts as if it were full.
    Where the sum is 0 the gradient is, too. x^p, without |x|: a negative sum gives NaN unless 1/p is an integer. Raises ValueError for
    shapes and values that do not fit, TypeError for other types.
    Gulcehre, Cho, Pascanu & Bengio, "Learned-norm pooling for deep feedforward and recurrent neural networks", 2014.
    """
    return powers("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Tensor:
    """lp_pool1d for (N, C, H, W) or (C, H, W)."""
    return powers("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False) -> Tensor:
    """lp_pool1d for (N, C, D, H, W) or (C, D, H, W)."""
    return powers("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


# ---- Random steps

def fractional_sizes(op: str, x: Tensor, dims: int, kernel: list[int], output_size: Any, output_ratio: Any) -> list[int]:
    if output_size is not None:
        sizes = each(op, output_size, dims, "output_size", 0)
    elif output_ratio is not None:
        ratios = list(output_ratio) if isinstance(output_ratio, (tuple, list)) else [output_ratio] * dims
        if len(ratios) != dims:
            raise ValueError(f"{op}: expected output_ratio to be a number or {dims} of them, got {output_ratio!r}")
        given = [number_arg(op, ratio, "output_ratio") for ratio in ratios]
        if not all(0 < ratio < 1 for ratio in given):
            raise ValueError(f"{op}: output_ratio must be between 0 and 1, got {output_ratio!r}")
        sizes = [int(n * ratio) for n, ratio in zip(x.shape[2:], given)]
    else:
        raise ValueError(f"{op}: expected output_size or output_ratio (input {tuple(x.shape)})")
    if any(k + o - 1 > n for k, o, n in zip(kernel, sizes, x.shape[2:])):
        raise ValueError(f"{op}: {tuple(sizes)} windows of {tuple(kernel)}, each a step on, do not fit the input {tuple(x.shape)}")
    return sizes


def begins(samples: Tensor, n: int, kernel: int, out: int) -> Tensor:
    """Where `out` windows begin along a dimension of n elements: (N, C, 1) random numbers -> (N, C, out) int64."""
    last = zeros((*samples.shape[:2], min(out, 1)), dtype=int64) + (n - kernel)
    if out < 2:
        return last
    alpha = (n - kernel) / (out - 1)
    first = sub(floor(mul(add(samples, arange(out - 1, dtype=samples.dtype)), alpha)), floor(mul(samples, alpha)))
    return cat([clamp(first, 0, n - kernel).to(int64), last], 2)


def fractional(op: str, dims: int, input: Tensor, kernel_size: Ints, output_size: Any, output_ratio: Any, samples: Tensor | None
               ) -> tuple[Tensor, Tensor]:
    x, kernel = images(op, input, dims), each(op, kernel_size, dims, "kernel_size")
    sizes = fractional_sizes(op, x, dims, kernel, output_size, output_ratio)
    n, c, out, taps = x.shape[0], x.shape[1], math.prod(sizes), math.prod(kernel)
    if samples is None:
        samples = rand((n, c, dims), dtype=x.dtype)
    elif tensor_arg(op, samples, "_random_samples").dtype != x.dtype:
        raise TypeError(f"{op}: _random_samples must be {x.dtype} as the input, got {samples.dtype}")
    if tuple(samples.shape) != (n, c, dims):
        raise ValueError(f"{op}: expected _random_samples {(n, c, dims)} for input {tuple(input.shape)}, got {tuple(samples.shape)}")
    index: Tensor | None = None
    for d, (k, o) in enumerate(zip(kernel, sizes)):
        number = d if dims == 3 else dims - 1 - d       # PyTorch's order: of images the width's comes first
        at = add(unsqueeze(begins(samples.detach()[:, :, number:number + 1], x.shape[2 + d], k, o), 3), arange(k, dtype=int64))
        shape = (n, c, *(o if i == d else 1 for i in range(dims)), *(k if i == d else 1 for i in range(dims)))
        index = reshape(at, shape) if index is None else add(mul(index, x.shape[2 + d]), reshape(at, shape))
    assert index is not None
    flat = reshape(expand(index, (n, c, *sizes, *kernel)), (n, c, out * taps))
    values = reshape(gather(reshape(x, (n, c, math.prod(x.shape[2:]))), 2, flat), (n, c, out, taps))
    y, best = largest(values, 3, True)
    shape = (*input.shape[:-dims], *sizes)
    return reshape(y, shape), reshape(gather(reshape(flat, (n, c, out, taps)), 3, best), shape)


def fractional_max_pool2d(input: Tensor, kernel_size: Ints, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
                          _random_samples: Tensor | None = None) -> Any:
    """The largest of windows whose steps are random, so that any number of them fits: (N, C, H, W) -> (N, C, OH, OW), or (C, H, W).

    output_size: (OH, OW), or one int; else output_ratio, of H and W, between 0 and 1. Along a dimension of n elements window i of O
    begins at floor((i + u) a) - floor(u a), a = (n - kernel_size) / (O - 1), the last at n - kernel_size; u are _random_samples
    (N, C, 2) in [0, 1), for W and H, else drawn from the default generator. return_indices: (y, places in H * W, int64). Of equal
    elements the first gets the gradient; NaN is the largest, and of several the first. Raises ValueError for shapes and values that do
    not fit, TypeError for other types. Graham, "Fractional max-pooling", 2014.
    """
    made = fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, _random_samples)
    return made if return_indices else made[0]


def fractional_max_pool3d(input: Tensor, kernel_size: Ints, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
                          _random_samples: Tensor | None = None) -> Any:
    """fractional_max_pool2d for (N, C, D, H, W) or (C, D, H, W); _random_samples (N, C, 3), for D, H and W."""
    made = fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, _random_samples)
    return made if return_indices else made[0]


def fractional_max_pool2d_with_indices(input: Tensor, kernel_size: Ints, output_size: Any = None, output_ratio: Any = None,
                                       return_indices: bool = False, _random_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """fractional_max_pool2d with return_indices: (y, indices)."""
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(input: Tensor, kernel_size: Ints, output_size: Any = None, output_ratio: Any = None,
                                       return_indices: bool = False, _random_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """fractional_max_pool3d with return_indices: (y, indices)."""
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)


__all__ = ["adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices",
           "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d", "fractional_max_pool3d_with_indices",
           "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices",
           "max_unpool1d", "max_unpool2d", "max_unpool3d"]
METHODS: list[str] = []
