"""Images sampled at other places, filtered along a dimension, or coloured: the kernels under pydl.vision.transforms.

No graph knows the results, and a captured step cannot hold them: images are prepared outside of it.
"""
from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_I32, PD_I64, PD_U8, pd_launch
from pydl._core.dtypes cimport dtype_of
from pydl._core.launch cimport contiguous, map1_to, prepare, run
from pydl._core.recording cimport host_read
from pydl._core.tensor cimport Tensor, empty, empty_like, shape_of

cdef extern from "pydl.h":
    enum: PD_warp
    enum: PD_image_bytes
    enum: PD_image_filter
    enum: PD_image_colour

cdef enum:
    COLOUR_STEPS = 8            # as in csrc/image.c
    LARGEST = 0x7fffffff

PADDINGS = {"constant": 0, "edge": 1, "reflect": 2}


cdef Tensor expected(str name, str what, Tensor x, int code, tuple shape):
    """x, contiguous, once it has that type and shape."""
    if x.code != code or shape_of(x) != shape:
        raise ValueError(f"{name}: expected {what} {shape} {dtype_of(code)}, got {shape_of(x)} {dtype_of(x.code)}")
    return contiguous(x)

def warp(Tensor input not None, Tensor matrix not None, Tensor fill not None, size, mode="bilinear", padding="constant", Tensor field=None):
    """y[n, c, i, j] = input[n, c] at row v / w + field[n, 1, i, j] and column u / w + field[n, 0, i, j], (u, v, w) = matrix[n] (j, i, 1).

    input (N, C, H, W) -> (N, C, *size), pixels at whole numbers. matrix (N, 3, 3) float64; field (N or 1, 2, *size) float32;
    fill (C,) float64: what there is outside, where padding is "constant" ("edge": the nearest pixel, "reflect": the mirrored image).
    mode "bilinear" (floats and uint8, which is rounded) or "nearest" (every type; a half goes up).
    Raises ValueError for shapes that do not fit, TypeError for a type that cannot be interpolated.
    """
    cdef pd_launch launch
    cdef Tensor x, m, f, d = None, y
    cdef ptrdiff_t sizes[4]
    host_read("warp")
    if input.ndim != 4:
        raise ValueError(f"warp: expected input (N, C, H, W), got shape {shape_of(input)}")
    if mode not in ("bilinear", "nearest") or padding not in PADDINGS:
        raise ValueError(f"warp: mode must be 'bilinear' or 'nearest', and padding 'constant', 'edge' or 'reflect', got {mode!r} "
                         f"and {padding!r}")
    if mode == "bilinear" and input.code in (PD_I32, PD_I64, PD_BOOL):
        raise TypeError(f"warp: {dtype_of(input.code)} cannot be interpolated; use mode='nearest', or .to(pydl.float32)")
    sizes[0], sizes[1], sizes[2], sizes[3] = input.sizes[0], input.sizes[1], size[0], size[1]
    if sizes[2] < 0 or sizes[3] < 0 or sizes[2] > LARGEST or sizes[3] > LARGEST or input.sizes[2] * input.sizes[3] > LARGEST:
        raise ValueError(f"warp: expected sizes of images below 2^31, got {shape_of(input)} and {tuple(size)}")
    x = contiguous(input)
    m = expected("warp", "matrix", matrix, PD_F64, (x.sizes[0], 3, 3))
    f = expected("warp", "fill", fill, PD_F64, (x.sizes[1],))
    if field is not None:
        d = expected("warp", "field", field, PD_F32, (1 if field.ndim and field.sizes[0] == 1 else x.sizes[0], 2, sizes[2], sizes[3]))
    y = empty(x.code, 4, sizes)
    if y.numel == 0:
        return y
    if x.numel == 0:
        raise ValueError(f"warp: input {shape_of(x)} has no pixels")
    prepare(&launch, PD_warp, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[4] = x.data, y.data, m.data, f.data
    launch.buf[3] = NULL if d is None else d.data
    launch.window.n, launch.window.c = x.sizes[0], x.sizes[1]
    launch.window.in_[1], launch.window.in_[2], launch.window.out[1], launch.window.out[2] = x.sizes[2], x.sizes[3], sizes[2], sizes[3]
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = mode == "bilinear", PADDINGS[padding], d is not None and d.sizes[0] > 1
    run(&launch, PD_warp, x.code)
    return y

def filter_lines(Tensor input not None, Tensor start not None, Tensor weight not None):
    """y[o, i, k] = sum over t of weight[i, t] input[o, start[i] + t, k]: (outer, n, inner) -> (outer, count, inner).

    input float32 or float64, start (count,) int64, weight (count, taps) of input's type. Raises ValueError for shapes that do not fit,
    IndexError where a window reaches beyond n.
    """
    cdef pd_launch launch
    cdef Tensor x, s, w, y
    cdef ptrdiff_t sizes[3]
    cdef ptrdiff_t i, taps, count, first, last, longest = 0
    cdef int64_t *at
    host_read("filter_lines")
    if input.ndim != 3 or weight.ndim != 2:
        raise ValueError(f"filter_lines: expected input (outer, n, inner) and weight (count, taps), got {shape_of(input)} and "
                         f"{shape_of(weight)}")
    x = contiguous(input)
    w = expected("filter_lines", "weight", weight, x.code, shape_of(weight))
    s = expected("filter_lines", "start", start, PD_I64, (weight.sizes[0],))
    at, taps, count = <int64_t *>s.data, w.sizes[1], w.sizes[0]
    for i in range(count):
        if at[i] < 0 or at[i] > x.sizes[1] - taps:
            raise IndexError(f"filter_lines: a window of {taps} at {at[i]} does not fit {x.sizes[1]} elements")
    sizes[0], sizes[1], sizes[2] = x.sizes[0], w.sizes[0], x.sizes[2]
    y = empty(x.code, 3, sizes)
    if y.numel == 0:
        return y
    prepare(&launch, PD_image_filter, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3] = x.data, y.data, s.data, w.data
    launch.rows.outer, launch.rows.n, launch.rows.inner, launch.rows.count = x.sizes[0], x.sizes[1], x.sizes[2], w.sizes[0]
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = taps, 0, 0
    first = last = 0
    while first < count:                         # the longest run of the same weights, one after the other
        last = first + 1
        while last < count and at[last] == at[last - 1] + 1 and same_weights(w, first, last):
            last += 1
        if last - first > longest:
            longest, launch.scalar[1], launch.scalar[2] = last - first, first, last
        first = last
    run(&launch, PD_image_filter, x.code)
    return y

def to_bytes(Tensor input not None):
    """float32 or float64 -> uint8, rounded (a half up) and cut to 0 .. 255; NaN becomes 0. (*) -> (*)."""
    host_read("to_bytes")
    return map1_to(PD_image_bytes, PD_U8, input)

cdef bint same_weights(Tensor w, ptrdiff_t a, ptrdiff_t b) noexcept:
    cdef ptrdiff_t t, taps = w.sizes[1]
    for t in range(taps):
        if w.code == PD_F32:
            if (<float *>w.data)[a * taps + t] != (<float *>w.data)[b * taps + t]:
                return False
        elif (<double *>w.data)[a * taps + t] != (<double *>w.data)[b * taps + t]:
            return False
    return True

def colour_steps(Tensor input not None, Tensor program not None, double most):
    """Steps of colour, one after the other, each result cut to 0 .. most: (N, C, P) -> (N, C, P), C 1 or 3, float32 or float64.

    program (N, steps, 2) float64, at most 8 steps: 1 brightness, 2 contrast, 3 saturation, 4 hue (0: nothing), and the factor; the hue's
    is a part of the circle, -0.5 .. 0.5. Raises ValueError for shapes that do not fit.
    """
    cdef pd_launch launch
    cdef Tensor x, p, y
    host_read("colour_steps")
    if input.ndim != 3 or (input.sizes[1] != 1 and input.sizes[1] != 3):
        raise ValueError(f"colour_steps: expected input (N, 1 or 3, P), got shape {shape_of(input)}")
    if program.ndim != 3 or program.sizes[1] > COLOUR_STEPS:
        raise ValueError(f"colour_steps: expected program (N, at most {COLOUR_STEPS}, 2), got shape {shape_of(program)}")
    x = contiguous(input)
    p = expected("colour_steps", "program", program, PD_F64, (x.sizes[0], program.sizes[1], 2))
    y = empty_like(x)
    if y.numel == 0:
        return y
    prepare(&launch, PD_image_colour, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, y.data, p.data
    launch.lines.outer, launch.lines.n, launch.lines.inner = x.sizes[0], x.sizes[1], x.sizes[2]
    launch.scalar[0], launch.scalar[1] = p.sizes[1], most
    run(&launch, PD_image_colour, x.code)
    return y
