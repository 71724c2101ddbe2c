# cython: language_level=3
"""Convolutions and their transposes in one to three dimensions. Kernels: csrc/conv.c, which chooses the algorithm.

Three maps that are linear in each of two tensors: y = conv(x, w), dx = input_grad(dy, w), dw = weight_grad(dy, x). The derivatives
of each are the other two, and a transposed convolution is input_grad with a bias: so there are derivatives of every order.
"""
from pydl._core.arguments cimport int_of
from pydl._core.kernels cimport PD_RELU, PD_SIGMOID, PD_SILU, PD_TANH, pd_launch, pd_window
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record, record2, recording
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, real_arg, shape_of
from pydl.ops.windows cimport LARGEST, check_room, images, images_out, place, spread, still, window_sizes
from pydl._core.create import zeros
from pydl._core.recording import turn
from pydl.ops.activations import relu, sigmoid, silu, tanh
from pydl.ops.windows import AXES

cdef extern from "pydl.h":
    enum: PD_conv_fwd
    enum: PD_conv_input_grad
    enum: PD_conv_weight_grad

cdef enum:
    SPACE = 3

cdef bint exact = False


cdef class Geometry:
    """What the rules of a convolution keep beside its tensors."""
    cdef pd_window window
    cdef int dims


def set_conv_precision(precision):
    """How convolutions may round: "fast" (the default) or "exact".

    "fast" lets 3x3 convolutions and their gradients use Winograd's algorithm, whose largest error in float32 is some 3e-6 of the
    largest output; "exact" computes sums of products only, whose error is that of a matrix product. Raises ValueError for anything else.
    """
    global exact
    if precision not in ("fast", "exact"):
        raise ValueError(f"set_conv_precision: expected 'fast' or 'exact', got {precision!r}")
    if exact != (precision == "exact"):
        exact = not exact
        turn(set_conv_precision)

def get_conv_precision():
    """What set_conv_precision() has set."""
    return "exact" if exact else "fast"


# ---- Arguments

cdef str shapes_of(Tensor x, Tensor w, object groups):
    return f"input {shape_of(x)}, weight {shape_of(w)}, groups {groups}"

cdef int check_weight(str name, Tensor x, object weight, object bias, int dims, object groups, bint transposed, Geometry g) except -1:
    """Weight and bias fit the input; sets the channels, groups and the kernel."""
    cdef Tensor w = real_arg(name, weight, "weight"), b
    cdef pd_window *window = &g.window
    cdef ptrdiff_t count, outputs
    cdef int d
    if w.ndim != dims + 2:
        kernel = ", ".join([f"K{axis}" for axis in AXES[dims].split(", ")])
        raise ValueError(f"{name}: expected weight ({'C, O / groups' if transposed else 'O, C / groups'}, {kernel}), got weight {shape_of(w)} "
                         f"(input {shape_of(x)})")
    if w.code != x.code:
        raise TypeError(f"{name}: input of {dtype_of(x.code)} and weight of {dtype_of(w.code)} do not mix ({shapes_of(x, w, groups)}); use .to()")
    number = groups if type(groups) is int else int_of(name, groups, "groups")
    if not 1 <= number <= LARGEST:
        raise ValueError(f"{name}: expected groups of 1 or more{'' if number < 1 else f' and at most {LARGEST}'}, got {number} "
                         f"({shapes_of(x, w, number)})")
    count = number
    if <double>w.sizes[1] * <double>count > 2.0 ** 62:
        raise ValueError(f"{name}: {count} groups of {w.sizes[1]} channels are more than an address can count ({shapes_of(x, w, count)})")
    if window.c != <size_t>(w.sizes[0] if transposed else w.sizes[1] * count):
        raise ValueError(f"{name}: input has {window.c} channels but weight expects {w.sizes[0] if transposed else w.sizes[1] * count} "
                         f"({shapes_of(x, w, count)})")
    if w.sizes[0] % count:
        raise ValueError(f"{name}: expected groups to divide the {w.sizes[0]} {'input' if transposed else 'output'} channels, got "
                         f"{shapes_of(x, w, count)}")
    for d in range(dims):
        if not 1 <= w.sizes[2 + d] <= LARGEST:
            raise ValueError(f"{name}: expected a kernel of 1 or more{'' if w.sizes[2 + d] < 1 else f' and at most {LARGEST}'} in every dimension, "
                             f"got {shapes_of(x, w, count)}")
        window.kernel[SPACE - dims + d] = w.sizes[2 + d]
    window.groups = count
    window.o = w.sizes[0]
    window.c = w.sizes[1] * count
    if bias is not None:
        b = real_arg(name, bias, "bias")
        outputs = window.c if transposed else window.o
        if b.ndim != 1 or b.sizes[0] != outputs:
            raise ValueError(f"{name}: expected bias ({outputs},), got {shape_of(b)} ({shapes_of(x, w, count)})")
        if b.code != x.code:
            raise TypeError(f"{name}: input of {dtype_of(x.code)} and bias of {dtype_of(b.code)} do not mix ({shapes_of(x, w, count)}); use .to()")
    return 0

cdef int pad_same(str name, pd_window *w, int dims, Tensor x) except -1:
    """As much padding as keeps the size; where that is odd, one more behind."""
    cdef int d
    for d in range(SPACE - dims, SPACE):
        if w.stride[d] != 1:
            raise ValueError(f"{name}: padding='same' needs a stride of 1, got {window_sizes(dims, w.stride)} (input {shape_of(x)})")
        w.pad[d] = w.dilation[d] * (w.kernel[d] - 1) // 2
        w.out[d] = w.in_[d]
    return check_room(name, w.n, w.o, dims, w.out, x)

cdef int set_padding(str name, pd_window *w, int dims, Tensor x, object padding) except -1:
    if isinstance(padding, str):
        if padding == "same":
            return pad_same(name, w, dims, x)
        if padding != "valid":
            raise ValueError(f"{name}: expected padding to be 'same', 'valid', an int or {dims} of them, got {padding!r}")
        padding = 0
    spread(name, "padding", padding, dims, 0, w.pad)
    return place(name, w, dims, x)

cdef int transposed_size(str name, pd_window *w, int dims, Tensor x, object output_padding) except -1:
    """w.in_ holds the sizes of x: they become `out`, and `in_` what the transposed convolution makes of them."""
    cdef size_t more[3]
    cdef int d
    spread(name, "output_padding", output_padding, dims, 0, more)
    for d in range(SPACE - dims, SPACE):
        w.out[d] = w.in_[d]
        if w.out[d] < 1:
            raise ValueError(f"{name}: expected images of one element or more, got input {shape_of(x)}")
        if more[d] >= w.stride[d] and more[d] >= w.dilation[d]:
            raise ValueError(f"{name}: expected an output_padding below the stride {window_sizes(dims, w.stride)} or the dilation "
                             f"{window_sizes(dims, w.dilation)}, got {window_sizes(dims, more)} (input {shape_of(x)})")
        size = (int(w.out[d]) - 1) * w.stride[d] - 2 * int(w.pad[d]) + w.dilation[d] * (w.kernel[d] - 1) + more[d] + 1
        if not 0 < size < 1 << 62:
            raise ValueError(f"{name}: the output of input {shape_of(x)} with kernel {window_sizes(dims, w.kernel)}, stride "
                             f"{window_sizes(dims, w.stride)} and padding {window_sizes(dims, w.pad)} would have the size {size}")
        w.in_[d] = size
    return check_room(name, w.n, w.c, dims, w.in_, x)


# ---- The three maps

cdef void set_sizes(Geometry g, ptrdiff_t *shape, size_t n, size_t channels, const size_t *space) noexcept:
    cdef int d
    shape[0], shape[1] = n, channels
    for d in range(g.dims):
        shape[2 + d] = space[SPACE - g.dims + d]

cdef Tensor launched(int kernel, Geometry g, Tensor a, Tensor b, Tensor bias, Tensor to):
    cdef pd_launch launch
    cdef Tensor first = contiguous(a), second = contiguous(b), third = None if bias is None else contiguous(bias)
    if to.numel == 0:
        return to
    prepare(&launch, kernel, to.code)
    launch.window = g.window
    launch.buf[0], launch.buf[1], launch.buf[3] = first.data, second.data, to.data
    launch.buf[2] = NULL if third is None else third.data
    run(&launch, kernel, to.code)
    return to

cdef Tensor convolved(Geometry g, Tensor x, Tensor w, Tensor bias):
    return launched(PD_conv_fwd, g, x, w, bias, images_out(&g.window, g.dims, x.code))

cdef Tensor spread_back(Geometry g, Tensor dy, Tensor w, Tensor bias):
    cdef ptrdiff_t shape[5]
    set_sizes(g, shape, g.window.n, g.window.c, g.window.in_)
    return launched(PD_conv_input_grad, g, dy, w, bias, empty(dy.code, g.dims + 2, shape))

cdef int keep_both(Node node, Geometry g, Tensor a, Tensor b) except -1:
    """What the rule of a map that is linear in a and in b needs: for the gradient of each the other."""
    if node is not None:
        node.extra = g
        node.shapes = None
        if node.need(1):
            node.keep(0, a)
        if node.need(0):
            node.keep(1, b)
    return 0

def conv_input_grad(Tensor grad_output not None, Tensor weight not None, Geometry geometry not None):
    """The gradient of a convolution's input, for that of its output: linear in both tensors."""
    cdef Tensor dx = spread_back(geometry, grad_output, weight, None)
    keep_both(record2(CONV_INPUT_GRAD, dx, grad_output, weight), geometry, grad_output, weight)
    return dx

cdef object input_grad_backward(Node node, object ddx):
    return (convolution(node.extra, ddx, node.kept(1)) if node.need(0) else None,
            conv_weight_grad(node.kept(0), ddx, node.extra) if node.need(1) else None)

cdef Op CONV_INPUT_GRAD = op(conv_input_grad, input_grad_backward)

def conv_weight_grad(Tensor grad_output not None, Tensor input not None, Geometry geometry not None):
    """The gradient of a convolution's weight, for that of its output: linear in both tensors."""
    cdef ptrdiff_t shape[5]
    cdef pd_window *w = &geometry.window
    cdef Tensor dw
    set_sizes(geometry, shape, w.o, w.c // w.groups, w.kernel)
    dw = launched(PD_conv_weight_grad, geometry, grad_output, input, None, empty(grad_output.code, geometry.dims + 2, shape))
    keep_both(record2(CONV_WEIGHT_GRAD, dw, grad_output, input), geometry, grad_output, input)
    return dw

cdef object weight_grad_backward(Node node, object ddw):
    return (convolution(node.extra, node.kept(1), ddw) if node.need(0) else None,
            conv_input_grad(node.kept(0), ddw, node.extra) if node.need(1) else None)

cdef Op CONV_WEIGHT_GRAD = op(conv_weight_grad, weight_grad_backward)

cdef object convolution(Geometry g, Tensor x, Tensor w):
    """What the rules of the other two need: the convolution of tensors that are known to fit."""
    return recorded(CONVS[g.dims - 1], g, convolved(g, x, w, None), x, w, None)

cdef Tensor recorded(Op which, Geometry g, Tensor y, Tensor x, Tensor w, Tensor bias):
    keep_both(record(which, y, (x, w, bias)), g, x, w)
    return y

cdef object bias_grad(Tensor dy):
    return dy.sum((0, *range(2, dy.ndim)))

cdef object conv_backward(Node node, object dy):
    return (conv_input_grad(dy, node.kept(1), node.extra) if node.need(0) else None,
            conv_weight_grad(dy, node.kept(0), node.extra) if node.need(1) else None,
            bias_grad(dy) if node.need(2) else None)

cdef object conv_transpose_backward(Node node, object dy):
    return (convolution(node.extra, dy, node.kept(1)) if node.need(0) else None,
            conv_weight_grad(node.kept(0), dy, node.extra) if node.need(1) else None,
            bias_grad(dy) if node.need(2) else None)


# ---- The ops

cdef Tensor begun(str name, int dims, object input, object weight, object bias, object stride, object dilation, object groups,
                  bint transposed, Geometry g):
    """Fills g, but for padding and the sizes that follow from it, and returns the input, with N."""
    cdef pd_window *window = &g.window
    cdef Tensor x
    g.dims = dims
    still(window)
    x = images(name, input, dims, window)
    spread(name, "stride", stride, dims, 1, window.stride)
    spread(name, "dilation", dilation, dims, 1, window.dilation)
    check_weight(name, input, weight, bias, dims, groups, transposed, g)
    window.exact = exact
    return x

cdef Tensor geometry_of(str name, int dims, object input, object weight, object bias, object stride, object padding, object dilation,
                        object groups, Geometry g):
    """Fills g and returns the input, with N."""
    cdef Tensor x = begun(name, dims, input, weight, bias, stride, dilation, groups, False, g)
    set_padding(name, &g.window, dims, input, padding)
    return x

cdef Tensor conv(str name, int dims, object input, object weight, object bias, object stride, object padding, object dilation, object groups):
    cdef Geometry g = Geometry()
    cdef Tensor x = geometry_of(name, dims, input, weight, bias, stride, padding, dilation, groups, g)
    cdef Tensor y = recorded(CONVS[dims - 1], g, convolved(g, x, weight, bias), x, weight, bias)
    return y if (<Tensor>input).ndim == dims + 2 else y.squeeze(0)

cdef Tensor conv_transpose(str name, int dims, object input, object weight, object bias, object stride, object padding, object output_padding,
                           object groups, object dilation):
    cdef Geometry g = Geometry()
    cdef Tensor x = begun(name, dims, input, weight, bias, stride, dilation, groups, True, g), y
    spread(name, "padding", padding, dims, 0, g.window.pad)
    transposed_size(name, &g.window, dims, input, output_padding)
    y = recorded(TRANSPOSED[dims - 1], g, spread_back(g, x, weight, bias), x, weight, bias)
    return y if (<Tensor>input).ndim == dims + 2 else y.squeeze(0)

def conv_weight(dims, input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """The gradient of a convolution's weight, which has the shape weight_size, for that of its output: what nn.grad offers."""
    cdef int n = dims
    cdef str name = f"conv{n}d_weight"
    cdef Tensor x, dy = real_arg(name, grad_output, "grad_output")
    cdef Geometry g = Geometry()
    weight = zeros((1,) * len(weight_size), dtype=dtype_of((<Tensor>real_arg(name, input, "input")).code)).expand(weight_size)
    x = geometry_of(name, n, input, weight, None, stride, padding, dilation, groups, g)
    expected = (g.window.n, g.window.o, *window_sizes(n, g.window.out))[(<Tensor>input).ndim < n + 2:]
    if shape_of(dy) != expected or dy.code != x.code:
        raise ValueError(f"{name}: expected a grad_output {expected} of {dtype_of(x.code)} for input {shape_of(input)} and weight "
                         f"{tuple(weight_size)}, got {shape_of(dy)} of {dtype_of(dy.code)}")
    return conv_weight_grad(dy if dy.ndim == n + 2 else dy.unsqueeze(0), x, g)

def conv_activated(activation, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """conv1d, conv2d or conv3d, by the dimensions of the weight, and then an activation, of ACTIVATED: in one kernel where no gradient is
    wanted, with the same bits as one after the other."""
    cdef Geometry g
    cdef Tensor x, y
    cdef int dims = max(1, min(3, (<Tensor>real_arg("conv_activated", weight, "weight")).ndim - 2))
    code, function = ACTIVATED[activation]
    if recording(real_arg("conv_activated", input, "input")) or recording(weight) or (bias is not None and recording(bias)):
        return function(conv(f"conv{dims}d", dims, input, weight, bias, stride, padding, dilation, groups))
    g = Geometry()
    x = geometry_of(f"conv{dims}d", dims, input, weight, bias, stride, padding, dilation, groups, g)
    g.window.activation = code
    y = convolved(g, x, weight, bias)
    return y if (<Tensor>input).ndim == dims + 2 else y.squeeze(0)

ACTIVATED = {"relu": (PD_RELU, relu), "sigmoid": (PD_SIGMOID, sigmoid), "silu": (PD_SILU, silu), "tanh": (PD_TANH, tanh)}

def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of sequences with filters: conv2d in one dimension.

    input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,) -> (N, O, OL) or (O, OL).
    """
    return conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)

def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of images with filters: y[n, o, i, j] = bias[o] + sum over c, u, v of
    weight[o, c, u, v] x[n, c, i stride + u dilation - padding, j stride + v dilation - padding], where x is 0 outside the image.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O,) -> (N, O, OH, OW) or (O, OH, OW) with
    OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1, OW likewise. float32 or float64, the same for all. stride, padding and
    dilation are an int or one for each dimension; padding='valid' is none, 'same' keeps the size (stride 1). groups cuts input and
    output channels into that many parts, each with filters of its own; groups = C is a depthwise convolution. Large 3x3 convolutions
    use Winograd's algorithm (Lavin & Gray 2016) unless set_conv_precision("exact") is set. Raises ValueError where shapes or values do not
    fit, TypeError where types differ.
    """
    return conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)

def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of volumes with filters: conv2d in three dimensions.

    input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O,) -> (N, O, OD, OH, OW) or (O, OD, OH, OW).
    """
    return conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)

cdef list CONVS = [op(conv1d, conv_backward), op(conv2d, conv_backward), op(conv3d, conv_backward)]

def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv1d's map: conv_transpose2d in one dimension.

    input (N, C, L) or (C, L), weight (C, O / groups, K), bias (O,) -> (N, O, OL) or (O, OL).
    """
    return conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)

def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv2d's map ("deconvolution"): every input element adds its multiple of the filter to the output.

    input (N, C, H, W) or (C, H, W), weight (C, O / groups, KH, KW), bias (O,) -> (N, O, OH, OW) or (O, OH, OW) with
    OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1, OW likewise; output_padding, below the stride or the
    dilation, chooses among the sizes that conv2d would map to H. float32 or float64, the same for all. Raises ValueError where shapes
    or values do not fit, TypeError where types differ. Zeiler et al., "Deconvolutional networks", 2010.
    """
    return conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)

def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv3d's map: conv_transpose2d in three dimensions.

    input (N, C, D, H, W) or (C, D, H, W), weight (C, O / groups, KD, KH, KW), bias (O,) -> (N, O, OD, OH, OW) or (O, OD, OH, OW).
    """
    return conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)

cdef list TRANSPOSED = [op(conv_transpose1d, conv_transpose_backward), op(conv_transpose2d, conv_transpose_backward),
                        op(conv_transpose3d, conv_transpose_backward)]

__all__ = ["ACTIVATED", "conv1d", "conv2d", "conv3d", "conv_activated", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "conv_weight",
           "get_conv_precision", "set_conv_precision"]
METHODS = []
