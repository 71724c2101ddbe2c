# cython: language_level=3
"""Images looked at between their pixels, where a grid says. Kernels: csrc/grid_sample.c.

A sample is a sum of pixels with weights that depend on the grid. `orders` asks for derivatives of the weights, by each coordinate, instead:
with them every derivative of a sample is made of samples again, and of their transposes.
"""
from pydl._core.kernels cimport pd_launch
from pydl._core.launch cimport contiguous, filled, prepare, run
from pydl._core.tape cimport Node, Op, grad_enabled, op, record2
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, empty_like, real_arg, shape_of
from pydl.ops.windows cimport check_room

from pydl.ops.arithmetic import mul
from pydl.ops.join import stack
from pydl.ops.reduce import sum

cdef extern from "pydl.h":
    enum: PD_grid_sample
    enum: PD_grid_sample_turned
    enum: PD_grid_sample_slope

cdef enum:
    SPACE = 3
    LARGEST = 15                # of an order; from 4 on all weights are 0
    PIXELS = 0x7fffffff         # of an image: what an index of the kernels holds

GRID_MODES = ("bilinear", "nearest", "bicubic")         # as in csrc/grid_sample.c
GRID_PADDING = ("zeros", "border", "reflection")


cdef int described(str name, pd_launch *launch, Tensor x, Tensor grid, tuple inside, tuple how) except -1:
    """Checks all of a sample and describes it; x: an image, or what was sampled from one of size `inside`."""
    cdef int d, dims = grid.ndim - 2, orders = 0
    cdef object pixels = 1
    mode, padding, align, order = how
    if mode not in GRID_MODES:
        raise ValueError(f"{name}: mode must be one of {', '.join(GRID_MODES)}, got {mode!r}")
    if padding not in GRID_PADDING:
        raise ValueError(f"{name}: padding_mode must be one of {', '.join(GRID_PADDING)}, got {padding!r}")
    if x.ndim != grid.ndim or dims not in (2, 3) or grid.sizes[dims + 1] != dims or x.sizes[0] != grid.sizes[0]:
        raise ValueError(f"{name}: expected input (N, C, H, W) and grid (N, OH, OW, 2), or input (N, C, D, H, W) and grid (N, OD, OH, OW, 3), "
                         f"got {shape_of(x)} and {shape_of(grid)}")
    if x.code != grid.code:
        raise TypeError(f"{name}: input is {dtype_of(x.code)} but grid {dtype_of(grid.code)}; use .to()")
    if dims == 3 and mode == "bicubic":
        raise ValueError(f"{name}: mode 'bicubic' is for images of two dimensions, got input {shape_of(x)} and grid {shape_of(grid)}")
    if len(inside) != dims or len(order) != dims:
        raise ValueError(f"{name}: expected {dims} sizes and orders for input {shape_of(x)} and grid {shape_of(grid)}, got {inside} and {order}")
    for d in range(SPACE):
        launch.window.in_[d] = launch.window.out[d] = 1
    for d in range(dims):
        if inside[d] < 1:
            raise ValueError(f"{name}: an image without pixels cannot be sampled, got {inside} (input {shape_of(x)}, grid {shape_of(grid)})")
        pixels *= inside[d]
        launch.window.in_[SPACE - dims + d], launch.window.out[SPACE - dims + d] = inside[d], grid.sizes[1 + d]
        orders |= <int>min(max(order[d], 0), LARGEST) << 4 * (dims - 1 - d)
    if pixels > PIXELS:
        raise ValueError(f"{name}: images of more than {PIXELS} pixels cannot be sampled, got {inside} (input {shape_of(x)}, grid {shape_of(grid)})")
    check_room(name, x.sizes[0], x.sizes[1], dims, launch.window.in_, x)
    check_room(name, x.sizes[0], x.sizes[1], dims, launch.window.out, x)
    launch.window.n, launch.window.c, launch.window.o = x.sizes[0], x.sizes[1], x.sizes[1]
    launch.scalar[0] = <int>GRID_MODES.index(mode) + 4 * <int>GRID_PADDING.index(padding) + (16 if align else 0) + (32 if dims == 3 else 0)
    launch.scalar[1] = orders
    return dims

def grid_sampled(input, grid, mode="bilinear", padding_mode="zeros", align_corners=False, orders=None):
    """nn.functional.grid_sample: input (N, C, H, W) at the places of grid (N, OH, OW, 2) -> (N, C, OH, OW); likewise with D and 3.

    orders: how often the weights are differentiated by each coordinate of the grid, or None: not at all.
    """
    cdef Tensor x = real_arg("grid_sample", input, "input"), g = real_arg("grid_sample", grid, "grid"), y
    cdef tuple how = (mode, padding_mode, align_corners, (0,) * (g.ndim - 2) if orders is None else tuple(orders))
    cdef pd_launch launch
    cdef ptrdiff_t sizes[SPACE + 2]
    cdef int d, dims = described("grid_sample", &launch, x, g, shape_of(x)[2:], how)
    sizes[0], sizes[1] = x.sizes[0], x.sizes[1]
    for d in range(dims):
        sizes[2 + d] = g.sizes[1 + d]
    y = empty(x.code, dims + 2, sizes)
    if y.numel:
        launched(&launch, PD_grid_sample, x, g, y)
    return recorded(SAMPLED, y, x, g, how)

def grid_sampled_turned(input, grid, size, mode="bilinear", padding_mode="zeros", align_corners=False, orders=None):
    """The transpose of grid_sampled, and its derivative by the input: (N, C, OH, OW), grid (N, OH, OW, 2) -> (N, C, *size)."""
    cdef str name = "grid_sampled_turned"
    cdef Tensor x = real_arg(name, input, "input"), g = real_arg(name, grid, "grid"), y
    cdef tuple how = (mode, padding_mode, align_corners, (0,) * (g.ndim - 2) if orders is None else tuple(orders))
    cdef pd_launch launch
    cdef ptrdiff_t sizes[SPACE + 2]
    cdef int d, dims = described(name, &launch, x, g, tuple(size), how)
    sizes[0], sizes[1] = x.sizes[0], x.sizes[1]
    for d in range(dims):
        sizes[2 + d] = size[d]
        if x.sizes[2 + d] != g.sizes[1 + d]:
            raise ValueError(f"{name}: input {shape_of(x)} has not the sizes of grid {shape_of(g)}")
    if x.numel == 0:
        y = filled(x.code, (x.sizes[0], x.sizes[1]) + tuple(size), 0)
    else:
        y = empty(x.code, dims + 2, sizes)
        launched(&launch, PD_grid_sample_turned, x, g, y)
    return recorded(TURNED, y, x, g, how)

cdef int launched(pd_launch *launch, int kernel, Tensor x, Tensor grid, Tensor y) except -1:
    cdef Tensor a = contiguous(x), b = contiguous(grid)
    prepare(launch, kernel, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2] = a.data, b.data, y.data
    return run(launch, kernel, x.code, x.numel + y.numel)

cdef Tensor recorded(Op which, Tensor y, Tensor x, Tensor grid, tuple how):
    cdef Node node = record2(which, y, x, grid)
    if node is not None:
        node.keep(0, x)
        node.keep(1, grid)
        node.extra = how
    return y

cdef object slope(object dy, Tensor x, Tensor grid, tuple how):
    """The gradient of the grid where x was sampled and dy is the gradient of that."""
    cdef Tensor up = contiguous(<Tensor>dy), image = contiguous(x), g = contiguous(grid), to
    cdef pd_launch launch
    cdef int d, dims = grid.ndim - 2
    mode, padding, align, orders = how
    if grad_enabled():
        each = []
        for d in range(dims):       # the last axis comes first in a grid
            more = tuple([order + (k == dims - 1 - d) for k, order in enumerate(orders)])
            each.append(sum(mul(dy, grid_sampled(x, grid, mode, padding, align, more)), 1))
        return stack(each, -1)
    described("grid_sample", &launch, image, g, shape_of(image)[2:], how)
    if up.numel == 0:
        return filled(g.code, shape_of(g), 0)
    to = empty_like(g)
    prepare(&launch, PD_grid_sample_slope, g.code)
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3] = up.data, image.data, g.data, to.data
    run(&launch, PD_grid_sample_slope, g.code, up.numel)
    return to

cdef object grid_sampled_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), grid = node.kept(1)
    mode, padding, align, orders = node.extra
    return (grid_sampled_turned(dy, grid, shape_of(x)[2:], mode, padding, align, orders) if node.need(0) else None,
            slope(dy, x, grid, node.extra) if node.need(1) else None)

cdef object grid_sampled_turned_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), grid = node.kept(1)
    mode, padding, align, orders = node.extra
    return (grid_sampled(dy, grid, mode, padding, align, orders) if node.need(0) else None,
            slope(x, <Tensor>dy, grid, node.extra) if node.need(1) else None)

cdef Op SAMPLED = op(grid_sampled, grid_sampled_backward)
cdef Op TURNED = op(grid_sampled_turned, grid_sampled_turned_backward)

__all__ = ["grid_sampled", "grid_sampled_turned"]
METHODS = []
