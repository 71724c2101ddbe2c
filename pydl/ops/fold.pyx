# cython: language_level=3
"""Windows of images as columns, and back; each is the other's derivative. Kernels: csrc/fold.c."""
from pydl._core.kernels cimport pd_launch, pd_window
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record1
from pydl._core.tensor cimport Tensor, empty, real_arg, shape_of
from pydl.ops.windows cimport check_room, images, place, spread, still, window_sizes

cdef extern from "pydl.h":
    enum: PD_fold
    enum: PD_unfold


cdef int windows_of(str name, pd_window *w, object kernel_size, object dilation, object padding, object stride) except -1:
    still(w)
    spread(name, "kernel_size", kernel_size, 2, 1, w.kernel)
    spread(name, "dilation", dilation, 2, 1, w.dilation)
    spread(name, "padding", padding, 2, 0, w.pad)
    spread(name, "stride", stride, 2, 1, w.stride)
    return 0

def windows_to_columns(input, kernel_size, dilation=1, padding=0, stride=1):
    """nn.functional.unfold: the windows of images as columns, (N, C, H, W) -> (N, C * KH * KW, L), or without N.

    L = OH * OW windows, OH = (H + 2 * padding - dilation * (KH - 1) - 1) // stride + 1; zeros where a window leaves the image.
    float32 or float64. Raises ValueError where no window fits.
    """
    cdef str name = "unfold"
    cdef pd_launch launch
    cdef pd_window *w = &launch.window
    cdef ptrdiff_t sizes[3]
    cdef size_t columns[3]
    cdef Tensor given = real_arg(name, input, "input"), x, y, whole
    windows_of(name, w, kernel_size, dilation, padding, stride)
    x = images(name, given, 2, w)
    place(name, w, 2, given)
    columns[0], columns[1], columns[2] = w.kernel[1] * w.kernel[2], w.out[1], w.out[2]
    check_room(name, w.n, w.c, 3, columns, given)
    sizes[0], sizes[1], sizes[2] = w.n, w.c * columns[0], columns[1] * columns[2]
    y = empty(x.code, 3, sizes)
    if y.numel:
        whole = contiguous(x)
        prepare(&launch, PD_unfold, x.code)
        launch.buf[0], launch.buf[1] = whole.data, y.data
        run(&launch, PD_unfold, x.code, y.numel)
    cdef Node node = record1(TO_COLUMNS, y, x)
    if node is not None:
        node.extra = (window_sizes(2, w.in_), kernel_size, dilation, padding, stride)
    return y if given.ndim == 4 else y.squeeze(0)

cdef object windows_to_columns_backward(Node node, object dy):
    return columns_to_image(dy, *node.extra)

def columns_to_image(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """nn.functional.fold: the sum of windows, each in its place in the image, (N, C * KH * KW, L) -> (N, C, *output_size), or without N.

    The transpose of unfold; L as there. Where windows meet their values are added. float32 or float64. Raises ValueError where the
    columns are not those of the windows.
    """
    cdef str name = "fold"
    cdef pd_launch launch
    cdef pd_window *w = &launch.window
    cdef ptrdiff_t sizes[4]
    cdef size_t taps
    cdef Tensor given = real_arg(name, input, "input"), x = given, y, whole
    if given.ndim != 2 and given.ndim != 3:
        raise ValueError(f"{name}: expected input (N, C * KH * KW, L) or (C * KH * KW, L), got shape {shape_of(given)}")
    windows_of(name, w, kernel_size, dilation, padding, stride)
    spread(name, "output_size", output_size, 2, 1, w.in_)
    if x.ndim == 2:
        x = x.unsqueeze(0)
    taps = w.kernel[1] * w.kernel[2]
    w.n, w.c = x.sizes[0], x.sizes[1] // taps
    w.o = w.c
    place(name, w, 2, x)
    if x.sizes[1] % taps or <size_t>x.sizes[2] != w.out[1] * w.out[2]:
        raise ValueError(f"{name}: expected C * {taps} rows and {w.out[1]} * {w.out[2]} = {w.out[1] * w.out[2]} columns for output_size "
                         f"{window_sizes(2, w.in_)} and kernel_size {window_sizes(2, w.kernel)}, got input {shape_of(given)}")
    check_room(name, w.n, w.c, 2, w.in_, given)
    sizes[0], sizes[1], sizes[2], sizes[3] = w.n, w.c, w.in_[1], w.in_[2]
    y = empty(x.code, 4, sizes)
    if y.numel:
        whole = contiguous(x)
        prepare(&launch, PD_fold, x.code)
        launch.buf[0], launch.buf[1] = whole.data, y.data
        run(&launch, PD_fold, x.code, x.numel)
    cdef Node node = record1(TO_IMAGE, y, x)
    if node is not None:
        node.extra = (kernel_size, dilation, padding, stride)
    return y if given.ndim == 3 else y.squeeze(0)

cdef object columns_to_image_backward(Node node, object dy):
    return windows_to_columns(dy, *node.extra)

cdef Op TO_COLUMNS = op(windows_to_columns, windows_to_columns_backward)
cdef Op TO_IMAGE = op(columns_to_image, columns_to_image_backward)

__all__ = ["columns_to_image", "windows_to_columns"]
METHODS = []
