# cython: language_level=3
"""Largest elements and averages of windows over images. Kernels: csrc/pool_max.c, csrc/pool_avg.c; geometry: windows.pyx.

Where no index is asked for, the backward of the largest keeps one byte for each output: its place within the window.
"""
from pydl._core.arguments cimport int_of
from pydl._core.dtypes cimport dtype_of
from pydl._core.kernels cimport PD_I64, PD_U8, pd_launch, pd_window
from pydl._core.launch cimport contiguous, filled, prepare, run
from pydl._core.tape cimport Node, Op, op, record, record1, recording
from pydl._core.tensor cimport Tensor, empty, empty_of, shape_of
from pydl.ops.gather cimport added_to_zeros
from pydl.ops.windows cimport check_room, images, images_out, place, spread, still, window_sizes

from pydl.ops.extremes import max as largest_of
from pydl.ops.reduce import mean
from pydl.ops.shape import reshape

cdef extern from "pydl.h":
    enum: PD_avg_pool_bwd
    enum: PD_avg_pool_fwd
    enum: PD_max_pool_bwd
    enum: PD_max_pool_fwd
    enum: PD_max_pool_pick

cdef enum:
    SPACE = 3
    TAPS = 256          # as in pool.h
    PADDED = 0          # as in pool.h: padding counts, it does not, windows that divide the image
    INSIDE = 1
    ADAPTIVE = 2


cdef class Pool:
    """The geometry of a call, for its rule: made by the ops below only."""
    cdef pd_window w
    cdef int dims, mode
    cdef double divisor
    cdef Op op
    cdef tuple shape, out       # of the images, and of what is made of them

    cdef int start(self, str name, Op which, int dims) except -1:
        self.op, self.dims, self.mode, self.divisor = which, dims, PADDED, 0
        still(&self.w)

    cdef Tensor images(self, str name, object input):
        """input with a batch dimension; nothing but that may be empty."""
        cdef Tensor x = images(name, input, self.dims, &self.w)
        cdef int d
        self.shape = shape_of(x)
        for d in range(1, x.ndim):
            if x.sizes[d] == 0:
                raise ValueError(f"{name}: expected no dimension but the batch to be empty, got input {shape_of(input)}")
        return x

    cdef int settle(self) noexcept:
        self.out = (self.w.n, self.w.c) + window_sizes(self.dims, self.w.out)

    cdef int launch(self, pd_launch *launch, int kernel, int code) except -1:
        prepare(launch, kernel, code)
        launch.window = self.w
        launch.scalar[0], launch.scalar[1] = self.divisor, self.mode

    cdef bint small(self):
        """Does a tap fit a byte?"""
        return self.mode != ADAPTIVE and <double>self.w.kernel[0] * <double>self.w.kernel[1] * <double>self.w.kernel[2] <= TAPS


cdef Pool pool_of(str name, Op which, int dims, object kernel_size, object stride, object padding, object dilation):
    cdef Pool pool = Pool.__new__(Pool)
    cdef int d
    pool.start(name, which, dims)
    spread(name, "kernel_size", kernel_size, dims, 1, pool.w.kernel)
    unset = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    spread(name, "stride", kernel_size if unset else stride, dims, 1, pool.w.stride)
    spread(name, "padding", padding, dims, 0, pool.w.pad)
    spread(name, "dilation", dilation, dims, 1, pool.w.dilation)
    for d in range(SPACE - dims, SPACE):
        if pool.w.pad[d] > pool.w.kernel[d] // 2:
            raise ValueError(f"{name}: expected padding of at most half of the kernel {window_sizes(dims, pool.w.kernel)}, got {padding}")
    return pool

cdef Tensor over(str name, Pool pool, object input, bint ceil_mode):
    """The images that the windows slide over; the geometry is complete."""
    cdef Tensor x = pool.images(name, input)
    cdef pd_window *w = &pool.w
    cdef int d
    cdef size_t o
    cdef ptrdiff_t at
    place(name, w, pool.dims, x, ceil_mode)
    for d in range(SPACE):
        for o in range(w.out[d] if w.dilation[d] > w.in_[d] else 0):
            at = <ptrdiff_t>(o * w.stride[d]) - <ptrdiff_t>w.pad[d]
            if at < 0:
                at = <ptrdiff_t>(w.dilation[d] - 1) - (-at - 1) % <ptrdiff_t>w.dilation[d]
            if at >= <ptrdiff_t>w.in_[d]:
                raise ValueError(f"{name}: a window of kernel {window_sizes(pool.dims, w.kernel)} and dilation "
                                 f"{window_sizes(pool.dims, w.dilation)} holds nothing but padding of the input {shape_of(x)}")
    pool.settle()
    return x

cdef tuple adaptive_of(str name, Op which, int dims, object input, object output_size):
    """(geometry, images). Windows of one size that divide the image are those of any other pooling."""
    cdef Pool pool = Pool.__new__(Pool)
    cdef Tensor x
    cdef pd_window *w = &pool.w
    cdef int d
    cdef bint even = True
    several = isinstance(output_size, (tuple, list))
    if several and len(output_size) != dims:
        raise ValueError(f"{name}: expected output_size to be an int or {dims} of them, or None, got {output_size!r}")
    pool.start(name, which, dims)
    x = pool.images(name, input)
    for d in range(SPACE - dims, SPACE):
        wanted = output_size[d - SPACE + dims] if several else output_size
        size = w.in_[d] if wanted is None else int_of(name, wanted, "output_size")
        if not 0 <= size < 2 ** 62 // w.in_[d]:
            raise ValueError(f"{name}: expected output_size of 0 or more that fits memory, got {output_size!r}")
        w.out[d] = size
    check_room(name, w.n, w.c, dims, w.out, x)
    for d in range(SPACE - dims, SPACE):
        even = even and w.out[d] and w.in_[d] % w.out[d] == 0
    for d in range(SPACE - dims, SPACE):
        if even:
            w.kernel[d] = w.stride[d] = w.in_[d] // w.out[d]
    if not even:
        pool.mode = ADAPTIVE
    pool.settle()
    return pool, x

cdef object unbatched(object y, object input):
    """y without the batch dimension that input did not have."""
    return y if y is None or (<Tensor>y).ndim == (<Tensor>input).ndim else y.squeeze(0)


# ---- The largest

cdef object largest(Pool pool, Tensor given, object input, bint return_indices):
    """y, or (y, indices)."""
    cdef Tensor x = contiguous(given), y, index = None, where = None
    cdef bint small = pool.small(), wanted = recording(given)
    cdef pd_launch launch
    cdef Node node
    pool.launch(&launch, PD_max_pool_fwd, x.code)
    y = images_out(&pool.w, pool.dims, x.code)
    if return_indices or (wanted and not small):
        index = images_out(&pool.w, pool.dims, PD_I64)
    if wanted and small:
        where = images_out(&pool.w, pool.dims, PD_U8)
    launch.buf[0], launch.buf[1] = x.data, y.data
    launch.buf[2] = NULL if where is None else where.data
    launch.buf[3] = NULL if index is None else index.data
    if y.numel:
        run(&launch, PD_max_pool_fwd, x.code)
    node = record(pool.op, (y, index) if return_indices else y, (given,))
    if node is not None:
        if small:
            node.keep(0, where)
        elif return_indices:
            node.keep_output(0, index)
        else:
            node.keep(0, index)
        node.extra = pool
    return (unbatched(y, input), unbatched(index, input)) if return_indices else unbatched(y, input)

cdef object largest_backward(Node node, object grads):
    cdef Pool pool = node.extra
    cdef Tensor at = node.kept(0), dy = grads[0] if isinstance(grads, tuple) else grads
    if dy is None:
        return None
    if pool.small():
        return max_pool_put(dy, at, pool)
    planes = (pool.w.n * pool.w.c, pool.w.in_[0] * pool.w.in_[1] * pool.w.in_[2])
    few = (pool.w.n * pool.w.c, pool.w.out[0] * pool.w.out[1] * pool.w.out[2])
    return reshape(added_to_zeros(dy.code, planes, 1, reshape(at.detach(), few), reshape(dy, few)), pool.shape)

cdef Tensor by_places(str name, int kernel, Tensor a, Tensor where, Pool pool, tuple read, tuple written):
    cdef Tensor x = contiguous(a), y = empty_of(a.code, written)
    cdef pd_launch launch
    if shape_of(a) != read or shape_of(where) != pool.out or where.code != PD_U8 or not where.contiguous:
        raise ValueError(f"{name}: expected {read} and places {pool.out}, got {shape_of(a)} and {dtype_of(where.code)} {shape_of(where)}")
    pool.launch(&launch, kernel, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = x.data, where.data, y.data
    if y.numel:
        run(&launch, kernel, x.code)
    return y

def max_pool_put(Tensor dy not None, Tensor where not None, Pool pool not None):
    """The adjoint of a choice by windows: dy (N, C, out) is added to zeros (N, C, in) at the places that the windows chose."""
    cdef Tensor dx = by_places("max_pool_put", PD_max_pool_bwd, dy, where, pool, pool.out, pool.shape)
    cdef Node node = record1(MAX_POOL_PUT, dx, dy)
    if node is not None:
        node.keep(0, where)
        node.extra = pool
    return dx

def max_pool_pick(Tensor input not None, Tensor where not None, Pool pool not None):
    """What lies at the places that windows chose of another input: (N, C, in) -> (N, C, out)."""
    cdef Tensor y = by_places("max_pool_pick", PD_max_pool_pick, input, where, pool, pool.shape, pool.out)
    cdef Node node = record1(MAX_POOL_PICK, y, input)
    if node is not None:
        node.keep(0, where)
        node.extra = pool
    return y

cdef object max_pool_put_backward(Node node, object dy):
    return max_pool_pick(dy, node.kept(0), node.extra)

cdef object max_pool_pick_backward(Node node, object dy):
    return max_pool_put(dy, node.kept(0), node.extra)

cdef Op MAX_POOL_PUT = op(max_pool_put, max_pool_put_backward)
cdef Op MAX_POOL_PICK = op(max_pool_pick, max_pool_pick_backward)

cdef object max_pool(str name, Op which, int dims, object input, object kernel_size, object stride, object padding, object dilation,
                     bint ceil_mode, bint return_indices):
    cdef Pool pool = pool_of(name, which, dims, kernel_size, stride, padding, dilation)
    cdef Tensor x = over(name, pool, input, ceil_mode)
    return largest(pool, x, input, return_indices)

def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """y[n, c, o] = the largest of x[n, c, o * stride - padding + t * dilation], t = 0 ... kernel_size - 1.

    (N, C, L) -> (N, C, O), or without N: O = (L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1, rounded down; with ceil_mode
    up, but no window begins behind the last element and its left padding. stride None: kernel_size. Padding, at most half of the kernel,
    is never the largest. Of equal elements the first gets the gradient; NaN is the largest of all, and of several the last. float32 or
    float64. return_indices: (y, places in L, int64). Raises ValueError for shapes and values that do not fit, TypeError for other types.
    Scherer, Mueller & Behnke, "Evaluation of pooling operations in convolutional architectures for object recognition", 2010.

    >>> pydl.max_pool1d(pydl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    return max_pool("max_pool1d", MAX_POOL1D, 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max_pool1d for (N, C, H, W) or (C, H, W): an int, or (height, width), each. Indices are places in H * W, flat."""
    return max_pool("max_pool2d", MAX_POOL2D, 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max_pool1d for (N, C, D, H, W) or (C, D, H, W): an int, or (depth, height, width), each. Indices are places in D * H * W, flat."""
    return max_pool("max_pool3d", MAX_POOL3D, 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

cdef Op MAX_POOL1D = op(max_pool1d, largest_backward)
cdef Op MAX_POOL2D = op(max_pool2d, largest_backward)
cdef Op MAX_POOL3D = op(max_pool3d, largest_backward)

cdef object adaptive_max(str name, Op which, int dims, object input, object output_size, bint return_indices):
    cdef tuple made = adaptive_of(name, which, dims, input, output_size)
    cdef Pool pool = made[0]
    cdef Tensor x = made[1]
    if pool.small() or pool.mode == ADAPTIVE or pool.w.out[0] * pool.w.out[1] * pool.w.out[2] != 1 or x.numel == 0:
        return largest(pool, x, input, return_indices)
    values, indices = largest_of(reshape(x, (x.sizes[0], x.sizes[1], -1)), 2)
    y = unbatched(reshape(values, pool.out), input)
    return (y, unbatched(reshape(indices, pool.out), input)) if return_indices else y

def adaptive_max_pool1d(input, output_size, return_indices=False):
    """y[n, c, o] = the largest of x[n, c, floor(o L / O) ... ceil((o + 1) L / O) - 1]: (N, C, L) or (C, L) -> (N, C, O) or (C, O).

    output_size O: an int, or None for L. Gradients, NaN, types and return_indices as in max_pool1d; but of several NaN the first counts
    where one window of more than 256 elements is the image. Raises ValueError for shapes and values that do not fit, TypeError for other
    types.
    """
    return adaptive_max("adaptive_max_pool1d", ADAPTIVE_MAX_POOL1D, 1, input, output_size, return_indices)

def adaptive_max_pool2d(input, output_size, return_indices=False):
    """adaptive_max_pool1d for (N, C, H, W) or (C, H, W); output_size: an int or None for both, or two of them. Indices are places in
    H * W, flat."""
    return adaptive_max("adaptive_max_pool2d", ADAPTIVE_MAX_POOL2D, 2, input, output_size, return_indices)

def adaptive_max_pool3d(input, output_size, return_indices=False):
    """adaptive_max_pool1d for (N, C, D, H, W) or (C, D, H, W); output_size: an int or None for all, or three of them. Indices are
    places in D * H * W, flat."""
    return adaptive_max("adaptive_max_pool3d", ADAPTIVE_MAX_POOL3D, 3, input, output_size, return_indices)

cdef Op ADAPTIVE_MAX_POOL1D = op(adaptive_max_pool1d, largest_backward)
cdef Op ADAPTIVE_MAX_POOL2D = op(adaptive_max_pool2d, largest_backward)
cdef Op ADAPTIVE_MAX_POOL3D = op(adaptive_max_pool3d, largest_backward)


# ---- Averages

cdef Tensor averages(Op which, int kernel, Tensor given, Pool pool, tuple written):
    cdef Tensor x = contiguous(given), y
    cdef pd_launch launch
    cdef Node node
    if kernel == PD_avg_pool_bwd and x.numel == 0:
        y = filled(x.code, written, 0)
    else:
        y = empty_of(x.code, written)
        pool.launch(&launch, kernel, x.code)
        launch.buf[0], launch.buf[1] = x.data, y.data
        if y.numel:
            run(&launch, kernel, x.code)
    node = record1(which, y, given)
    if node is not None:
        node.extra = pool
    return y

cdef object averages_backward(Node node, object dy):
    return avg_pool_put(dy, node.extra)

def avg_pool_put(Tensor dy not None, Pool pool not None):
    """The adjoint of averages: (N, C, out) -> (N, C, in), each dy in equal parts to all of its window."""
    if shape_of(dy) != pool.out:
        raise ValueError(f"avg_pool_put: expected {pool.out}, got {shape_of(dy)}")
    return averages(AVG_POOL_PUT, PD_avg_pool_bwd, dy, pool, pool.shape)

cdef object avg_pool_put_backward(Node node, object dy):
    cdef Pool pool = node.extra
    return averages(pool.op, PD_avg_pool_fwd, dy, pool, pool.out)

cdef Op AVG_POOL_PUT = op(avg_pool_put, avg_pool_put_backward)

cdef object avg_pool(str name, Op which, int dims, object input, object kernel_size, object stride, object padding, bint ceil_mode,
                     bint count_include_pad, object divisor_override):
    cdef Pool pool = pool_of(name, which, dims, kernel_size, stride, padding, 1)
    cdef Tensor x = over(name, pool, input, ceil_mode)
    pool.mode = PADDED if count_include_pad else INSIDE
    if divisor_override is not None:
        divisor = int_of(name, divisor_override, "divisor_override")
        if divisor == 0 or not -2 ** 53 <= divisor <= 2 ** 53:
            raise ValueError(f"{name}: divisor_override must be neither 0 nor beyond 2^53, got {divisor} (input {shape_of(input)})")
        pool.divisor = divisor
    return unbatched(averages(which, PD_avg_pool_fwd, x, pool, pool.out), input)

def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """y[n, c, o] = the mean of x[n, c, o * stride - padding + t], t = 0 ... kernel_size - 1: (N, C, L) or (C, L) -> (N, C, O) or (C, O).

    O = (L + 2 padding - kernel_size) / stride + 1, rounded down; with ceil_mode up, but no window begins behind the last element and its
    left padding. stride None: kernel_size. Padding, at most half of the kernel, is zeros, which count; without count_include_pad they do
    not. float32 or float64. Raises ValueError for shapes and values that do not fit, TypeError for other types.
    """
    return avg_pool("avg_pool1d", AVG_POOL1D, 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)

def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """avg_pool1d for (N, C, H, W) or (C, H, W): an int, or (height, width), each. divisor_override: an int that sums are divided by
    instead."""
    return avg_pool("avg_pool2d", AVG_POOL2D, 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """avg_pool1d for (N, C, D, H, W) or (C, D, H, W): an int, or (depth, height, width), each. divisor_override: an int that sums are
    divided by instead."""
    return avg_pool("avg_pool3d", AVG_POOL3D, 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

cdef Op AVG_POOL1D = op(avg_pool1d, averages_backward)
cdef Op AVG_POOL2D = op(avg_pool2d, averages_backward)
cdef Op AVG_POOL3D = op(avg_pool3d, averages_backward)

cdef object adaptive_avg(str name, Op which, int dims, object input, object output_size):
    cdef tuple made = adaptive_of(name, which, dims, input, output_size)
    cdef Pool pool = made[0]
    cdef Tensor x = made[1]
    cdef Tensor y
    cdef Node node
    if pool.w.out[0] * pool.w.out[1] * pool.w.out[2] == 1 and x.numel:
        y = mean(x.detach(), tuple(range(2, dims + 2)), True)
        node = record1(which, y, x)
        if node is not None:
            node.extra = pool
        return unbatched(y, input)
    return unbatched(averages(which, PD_avg_pool_fwd, x, pool, pool.out), input)

def adaptive_avg_pool1d(input, output_size):
    """y[n, c, o] = the mean of x[n, c, floor(o L / O) ... ceil((o + 1) L / O) - 1]: (N, C, L) or (C, L) -> (N, C, O) or (C, O).

    output_size O: an int, or None for L. float32 or float64. Raises ValueError for shapes and values that do not fit, TypeError for other
    types.
    """
    return adaptive_avg("adaptive_avg_pool1d", ADAPTIVE_AVG_POOL1D, 1, input, output_size)

def adaptive_avg_pool2d(input, output_size):
    """adaptive_avg_pool1d for (N, C, H, W) or (C, H, W); output_size: an int or None for both, or two of them. 1 is global pooling."""
    return adaptive_avg("adaptive_avg_pool2d", ADAPTIVE_AVG_POOL2D, 2, input, output_size)

def adaptive_avg_pool3d(input, output_size):
    """adaptive_avg_pool1d for (N, C, D, H, W) or (C, D, H, W); output_size: an int or None for all, or three of them. 1 is global
    pooling."""
    return adaptive_avg("adaptive_avg_pool3d", ADAPTIVE_AVG_POOL3D, 3, input, output_size)

cdef Op ADAPTIVE_AVG_POOL1D = op(adaptive_avg_pool1d, averages_backward)
cdef Op ADAPTIVE_AVG_POOL2D = op(adaptive_avg_pool2d, averages_backward)
cdef Op ADAPTIVE_AVG_POOL3D = op(adaptive_avg_pool3d, averages_backward)

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
           "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"]
METHODS = []
