# cython: language_level=3
"""Resampling of images along their axes, and its transpose; each is the other's derivative. Kernel: csrc/resample.c."""
from libc.math cimport isfinite

from pydl._core.arguments cimport int_of, number_of
from pydl._core.kernels cimport pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record1
from pydl._core.tensor cimport Tensor, empty, real_arg, shape_of
from pydl.ops.windows cimport check_room

cdef extern from "pydl.h":
    enum: PD_resample

cdef enum:
    SPACE = 3
    ALIGNED = 16
    TURNED = 32
    PLANE = 64

RESAMPLE_MODES = ("nearest", "nearest-exact", "linear", "cubic", "area", "smooth linear", "smooth cubic", "smooth lanczos")     # as in csrc/resample.c


cdef Tensor resampled(str name, Tensor x, tuple inside, tuple outside, object mode, bint align_corners, object scales, bint turned):
    """inside, outside: sizes of the axes without and with turned."""
    cdef pd_launch launch
    cdef ptrdiff_t sizes[SPACE + 2]
    cdef int d, dims = x.ndim - 2
    cdef Tensor y
    cdef object scale
    if not 1 <= dims <= SPACE:
        raise ValueError(f"{name}: expected input (N, C, *) with one to three further dimensions, got shape {shape_of(x)}")
    if mode not in RESAMPLE_MODES:
        raise ValueError(f"{name}: mode must be one of {', '.join(RESAMPLE_MODES)}, got {mode!r}")
    given = (0,) * dims if scales is None else tuple(scales)
    if len(inside) != dims or len(outside) != dims or len(given) != dims:
        raise ValueError(f"{name}: expected {dims} sizes, and as many scales, for input {shape_of(x)}, got {outside if not turned else inside} and {scales}")
    launch.window.n, launch.window.c, launch.window.o = x.sizes[0] * x.sizes[1], 1, 1
    for d in range(SPACE):
        launch.window.in_[d] = launch.window.out[d] = 1
        launch.scalar[d] = 0
    sizes[0], sizes[1] = x.sizes[0], x.sizes[1]
    for d in range(dims):
        n, m = int_of(name, inside[d], "a size"), int_of(name, outside[d], "a size")
        if n < 1 or m < 1 or n >> 62 or m >> 62:
            raise ValueError(f"{name}: sizes must be at least 1, got {outside if not turned else inside} for input {shape_of(x)}")
        scale = number_of(name, given[d], "a scale")
        if not isfinite(scale) or scale < 0 or (scale and <long long>(n * scale) != m):
            raise ValueError(f"{name}: scale {scale} does not make {m} of {n} (input {shape_of(x)})")
        launch.window.in_[SPACE - dims + d], launch.window.out[SPACE - dims + d] = n, m
        launch.scalar[SPACE - dims + d] = scale
        sizes[2 + d] = n if turned else m
    launch.scalar[3] = <int>RESAMPLE_MODES.index(mode) + (ALIGNED if align_corners else 0) + (TURNED if turned else 0) + (PLANE if dims == 2 else 0)
    check_room(name, x.sizes[0], x.sizes[1], dims, &launch.window.in_[0] if turned else &launch.window.out[0], x)
    y = empty(x.code, x.ndim, sizes)
    if y.numel:
        x = contiguous(x)
        prepare(&launch, PD_resample, x.code)
        launch.buf[0], launch.buf[1] = x.data, y.data
        run(&launch, PD_resample, x.code, x.numel + y.numel)
    return y

def resample(input, size, mode, align_corners=False, scales=None):
    """y[o] = sum of w[o, i] x[i] along every axis: (N, C, in...) -> (N, C, size...), one to three axes, float32 or float64.

    mode: one of RESAMPLE_MODES; scales: the factors that the weights are made with, where that is not size / in. See
    nn.functional.interpolate. Raises ValueError for sizes below 1 and scales that do not make them.
    """
    cdef Tensor x = real_arg("resample", input, "input")
    cdef tuple inside = shape_of(x)[2:]
    cdef Tensor y = resampled("resample", x, inside, tuple(size), mode, align_corners, scales, False)
    return recorded(RESAMPLE, y, x, inside, (mode, align_corners, scales))

def resample_turned(input, size, mode, align_corners=False, scales=None):
    """The transpose of resample, and its derivative: (N, C, out...) -> (N, C, size...), where `size` is what resample began with."""
    cdef Tensor x = real_arg("resample_turned", input, "input")
    cdef tuple outside = shape_of(x)[2:]
    cdef Tensor y = resampled("resample_turned", x, tuple(size), outside, mode, align_corners, scales, True)
    return recorded(RESAMPLE_TURNED, y, x, outside, (mode, align_corners, scales))

cdef Tensor recorded(Op which, Tensor y, Tensor x, tuple sizes, tuple how):
    cdef Node node = record1(which, y, x)
    if node is not None:
        node.extra = (sizes, how)
    return y

cdef object resample_backward(Node node, object dy):
    sizes, how = <tuple>node.extra
    return resample_turned(dy, sizes, *how)

cdef object resample_turned_backward(Node node, object dy):
    sizes, how = <tuple>node.extra
    return resample(dy, sizes, *how)

cdef Op RESAMPLE = op(resample, resample_backward)
cdef Op RESAMPLE_TURNED = op(resample_turned, resample_turned_backward)

__all__ = ["resample", "resample_turned"]
METHODS = []
