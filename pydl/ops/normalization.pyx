"""Layer, RMS, batch, group and instance normalisation. Kernels: csrc/norm.c, csrc/norm_channel.c.

The forward keeps mean and 1 / standard deviation of every set of elements; one kernel makes all gradients of them. Under
create_graph the backward is made of ops instead.
"""
from pydl._core.kernels cimport PD_F32, pd_launch
from pydl._core.launch cimport contiguous, filled, prepare, run
from pydl._core.tape cimport Node, Op, changed, grad_enabled, op, record, recording, writable_in_place
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, empty_like, empty_of, real_arg, shape_of, tensor_arg
from pydl.ops.operands cimport is_number

from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.elementwise import rsqrt, square
from pydl.ops.reduce import mean, sum

cdef extern from "pydl.h":
    enum: PD_layer_norm_fwd
    enum: PD_layer_norm_bwd
    enum: PD_batch_norm_fwd
    enum: PD_batch_norm_bwd
    enum: PD_group_norm_fwd
    enum: PD_group_norm_bwd


# ---- What all of them share

cdef Tensor parameter(str name, object given, str what, Tensor x, tuple shape):
    """A weight, bias or running statistic; None where there is none."""
    cdef Tensor w
    if given is None:
        return None
    w = tensor_arg(name, given, what)
    if w.code != x.code:
        raise TypeError(f"{name}: input is {dtype_of(x.code)} but {what} {dtype_of(w.code)}; use .to()")
    if shape_of(w) != shape:
        raise ValueError(f"{name}: expected {what} {shape} for input {shape_of(x)}, got {shape_of(w)}")
    return w

cdef double number(str name, object value, str what) except? -1:
    if not is_number(value):
        raise TypeError(f"{name}: {what} must be a number, got {type(value).__name__}")
    return value

cdef inline void *data_of(Tensor x) noexcept:
    return NULL if x is None else x.data

cdef bint wanted(Tensor x, Tensor w, Tensor b) except -1:
    return recording(x) or (w is not None and recording(w)) or (b is not None and recording(b))

cdef Tensor stats_of(Tensor x, ptrdiff_t sets):
    """Room for what the backward needs of every set."""
    cdef ptrdiff_t sizes[2]
    sizes[0], sizes[1] = sets, 3
    return empty(x.code, 2, sizes)

cdef object forward(Op which, int kernel, pd_launch *launch, Tensor x, Tensor w, Tensor b, ptrdiff_t sets, object extra,
                    Tensor running_mean=None, Tensor running_var=None):
    """The launch has its geometry and scalars; the rule gets x, w, the statistics and `extra`."""
    cdef Tensor rows = contiguous(x), y = empty_like(rows), stats = None
    cdef Tensor scale = None if w is None else contiguous(w), shift = None if b is None else contiguous(b)
    cdef Node node
    prepare(launch, kernel, x.code)
    if wanted(x, w, b):
        stats = stats_of(x, sets)
    if x.numel:
        launch.buf[0], launch.buf[1], launch.buf[2] = rows.data, data_of(scale), data_of(shift)
        launch.buf[3], launch.buf[4] = y.data, data_of(stats)
        launch.buf[5], launch.buf[6] = data_of(running_mean), data_of(running_var)
        run(launch, kernel, x.code)
    node = record(which, y, (x, w, b))
    if node is not None:
        node.shapes = None
        node.keep(0, x)
        if w is not None:
            node.keep(1, w)
        node.keep(2, stats)
        node.extra = extra
    return y

cdef tuple fused(Node node, int kernel, pd_launch *launch, object dy, tuple parameter_shape):
    """(dx, dw, db) by one kernel; the launch has its geometry and scalars."""
    cdef Tensor x = contiguous(node.kept(0)), g = contiguous(<Tensor>dy), w = node.kept(1), stats = node.kept(2)
    cdef Tensor scale = None if w is None else contiguous(w), dx = None, dw = None, db = None
    if x.numel == 0:
        return (empty_like(x) if node.need(0) else None, filled(x.code, parameter_shape, 0) if node.need(1) else None,
                filled(x.code, parameter_shape, 0) if node.need(2) else None)
    if node.need(0):
        dx = empty_like(x)
    if node.need(1):
        dw = empty_of(x.code, parameter_shape)
    if node.need(2):
        db = empty_of(x.code, parameter_shape)
    prepare(launch, kernel, x.code)
    launch.buf[0], launch.buf[1], launch.buf[2], launch.buf[3] = x.data, g.data, data_of(scale), stats.data
    launch.buf[4], launch.buf[5], launch.buf[6] = data_of(dx), data_of(dw), data_of(db)
    run(launch, kernel, x.code)
    return dx, dw, db

cdef tuple composed(object x, object g, object dims, double eps, bint centred):
    """(dx, xhat) for g = dy w, of ops: xhat = (x - mean) r, dx = r (g - mean(g) - xhat mean(g xhat))."""
    centre = sub(x, mean(x, dims, True)) if centred else x
    r = rsqrt(add(mean(square(centre), dims, True), eps))
    xhat = mul(centre, r)
    dx = sub(g, mul(xhat, mean(mul(g, xhat), dims, True)))
    return mul(r, sub(dx, mean(g, dims, True)) if centred else dx), xhat

cdef tuple with_parameters(Node node, object dx, object xhat, object dy, object over, tuple shape):
    """dw and db: sums over the dimensions beside the parameters'."""
    dw = mul(dy, xhat) if node.need(1) else None
    db = dy if node.need(2) else None
    return (dx if node.need(0) else None, None if dw is None else (sum(dw, over) if over else dw).reshape(shape),
            None if db is None else (sum(db, over) if over else db).reshape(shape))


# ---- Rows

cdef tuple normalized(str name, Tensor x, object normalized_shape):
    """The shape of a row, checked."""
    cdef tuple shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    cdef int d, skipped = x.ndim - <int>len(shape)
    cdef bint fits = skipped >= 0 and len(shape) > 0
    for size in shape:
        if not isinstance(size, int):
            raise TypeError(f"{name}: normalized_shape must be an int or a sequence of ints, got {normalized_shape!r}")
    for d in range(skipped, x.ndim if fits else skipped):
        fits = fits and x.sizes[d] == shape[d - skipped]
    if not fits:
        raise ValueError(f"{name}: expected normalized_shape to be the last sizes, one or more, of input {shape_of(x)}, got {shape}")
    return shape

cdef void rows_of(pd_launch *launch, Tensor x, tuple shape, double eps, bint centred) noexcept:
    cdef int d, skipped = x.ndim - <int>len(shape)
    launch.lines.outer = launch.lines.n = launch.lines.inner = 1
    for d in range(x.ndim):
        if d < skipped: launch.lines.outer *= x.sizes[d]
        else: launch.lines.n *= x.sizes[d]
    launch.scalar[0], launch.scalar[1] = eps, centred

def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, whose sizes are normalized_shape.

    input (*, normalized_shape), float32 or float64; weight and bias of normalized_shape; var is that of n, not of n - 1.
    Mean and variance are as good as in double, however far the mean is from 0. Raises ValueError for shapes that do not fit,
    TypeError for other types. Ba, Kiros & Hinton, "Layer normalization", 2016.
    """
    cdef Tensor x = real_arg("layer_norm", input, "input")
    cdef tuple shape = normalized("layer_norm", x, normalized_shape)
    cdef Tensor w = parameter("layer_norm", weight, "weight", x, shape), b = parameter("layer_norm", bias, "bias", x, shape)
    cdef double small = number("layer_norm", eps, "eps")
    cdef pd_launch launch
    rows_of(&launch, x, shape, small, True)
    return forward(LAYER_NORM, PD_layer_norm_fwd, &launch, x, w, b, launch.lines.outer, (shape, small, True))

cdef object rows_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), w = node.kept(1)
    cdef pd_launch launch
    shape, eps, centred = node.extra
    if not grad_enabled():
        rows_of(&launch, x, shape, eps, centred)
        return fused(node, PD_layer_norm_bwd, &launch, dy, shape)
    first = x.ndim - len(shape)
    dx, xhat = composed(x, dy if w is None else mul(dy, w), tuple(range(first, x.ndim)), eps, centred)
    return with_parameters(node, dx, xhat, dy, tuple(range(first)), shape)

cdef Op LAYER_NORM = op(layer_norm, rows_backward)

def rms_norm(input, normalized_shape, weight=None, eps=None):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last dimensions, whose sizes are normalized_shape.

    input (*, normalized_shape), float32 or float64; weight of normalized_shape; eps None: that of the type, finfo(dtype).eps.
    Raises ValueError for shapes that do not fit, TypeError for other types.
    Zhang & Sennrich, "Root mean square layer normalization", 2019.
    """
    cdef Tensor x = real_arg("rms_norm", input, "input")
    cdef tuple shape = normalized("rms_norm", x, normalized_shape)
    cdef Tensor w = parameter("rms_norm", weight, "weight", x, shape)
    cdef double small = (2.0 ** -23 if x.code == PD_F32 else 2.0 ** -52) if eps is None else number("rms_norm", eps, "eps")
    cdef pd_launch launch
    rows_of(&launch, x, shape, small, False)
    return forward(RMS_NORM, PD_layer_norm_fwd, &launch, x, w, None, launch.lines.outer, (shape, small, False))

cdef Op RMS_NORM = op(rms_norm, rows_backward)


# ---- Channels

cdef void channels_of(pd_launch *launch, Tensor x) noexcept:
    cdef int d
    launch.lines.outer, launch.lines.n, launch.lines.inner = x.sizes[0], x.sizes[1], 1
    for d in range(2, x.ndim):
        launch.lines.inner *= x.sizes[d]

cdef tuple beside_channels(Tensor x):
    return tuple([d for d in range(x.ndim) if d != 1])

cdef object per_channel(Tensor x, object w):
    """w (C,) so that it broadcasts to x."""
    return w.reshape((1, x.sizes[1]) + (1,) * (x.ndim - 2))

cdef Tensor running_arg(str name, Tensor x, object given, str what, bint training):
    cdef Tensor r = parameter(name, given, what, x, (x.sizes[1],))
    if r is None:
        return None
    if recording(r):
        raise RuntimeError(f"{name}: not differentiable by {what}, which requires grad (shape {shape_of(r)}); use {what}.detach()")
    if training:
        writable_in_place(name, r)
        if not r.contiguous:
            raise ValueError(f"{name}: {what} is changed in place and must be contiguous (shape {shape_of(r)}, input {shape_of(x)})")
    return contiguous(r)

def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and var of every channel.

    input (N, C) or (N, C, L...), float32 or float64; weight, bias, running_mean and running_var (C,). training: mean and var
    are those of the batch (var of n, not of n - 1), and in place, where they are given, running = (1 - momentum) running +
    momentum of the batch's (here var is of n - 1). Else mean and var are the running ones. Raises ValueError for shapes that
    do not fit, for one value per channel and for eps <= 0 in training, TypeError for other types, RuntimeError for running
    statistics that require grad. Ioffe & Szegedy, "Batch normalization", 2015.
    """
    cdef str name = "batch_norm"
    cdef Tensor x = real_arg(name, input, "input"), w, b, rm, rv
    cdef pd_launch launch
    cdef bint train = training
    cdef object y
    if x.ndim < 2:
        raise ValueError(f"{name}: expected input (N, C) or (N, C, L...), got shape {shape_of(x)}")
    if (running_mean is None) != (running_var is None):
        raise ValueError(f"{name}: expected both running_mean and running_var, or neither (input {shape_of(x)})")
    w, b = parameter(name, weight, "weight", x, (x.sizes[1],)), parameter(name, bias, "bias", x, (x.sizes[1],))
    rm = running_arg(name, x, running_mean, "running_mean", train)
    rv = running_arg(name, x, running_var, "running_var", train)
    launch.scalar[0], launch.scalar[1], launch.scalar[2] = number(name, eps, "eps"), number(name, momentum, "momentum"), train
    if train and not launch.scalar[0] > 0:
        raise ValueError(f"{name}: eps must be positive in training, got {eps} (input {shape_of(x)})")
    if train and x.sizes[1] and x.numel == <size_t>x.sizes[1]:
        raise ValueError(f"{name}: Expected more than 1 value per channel when training, got input {shape_of(x)}")
    if not train and rm is None:
        raise ValueError(f"{name}: expected running_mean and running_var outside of training (input {shape_of(x)})")
    channels_of(&launch, x)
    y = forward(BATCH_NORM, PD_batch_norm_fwd, &launch, x, w, b, x.sizes[1], (launch.scalar[0], train), rm, rv)
    if train and rm is not None and x.numel:
        changed(rm)
        changed(rv)
    return y

cdef object batch_norm_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), w = node.kept(1), stats = node.kept(2)
    cdef pd_launch launch
    cdef tuple shape = (x.sizes[1],)
    eps, training = node.extra
    if not grad_enabled():
        channels_of(&launch, x)
        launch.scalar[2] = training
        return fused(node, PD_batch_norm_bwd, &launch, dy, shape)
    g = dy if w is None else mul(dy, per_channel(x, w))
    if training:
        dx, xhat = composed(x, g, beside_channels(x), eps, True)
    else:
        r = per_channel(x, stats[:, 1])
        dx, xhat = mul(g, r), mul(sub(x, per_channel(x, stats[:, 0])), r)
    return with_parameters(node, dx, xhat, dy, beside_channels(x), shape)

cdef Op BATCH_NORM = op(batch_norm, batch_norm_backward)

def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and var of every group of C / num_groups channels of a sample.

    input (N, C, *), float32 or float64; weight and bias (C,). num_groups = C is instance normalisation, 1 that of all channels
    together. Raises ValueError for shapes that do not fit and for a single value in each group of a single sample, TypeError for other types.
    Wu & He, "Group normalization", 2018.
    """
    cdef str name = "group_norm"
    cdef Tensor x = real_arg(name, input, "input"), w, b
    cdef pd_launch launch
    cdef ptrdiff_t groups
    if not isinstance(num_groups, int):
        raise TypeError(f"{name}: num_groups must be an int, got {type(num_groups).__name__}")
    if x.ndim < 2:
        raise ValueError(f"{name}: expected input (N, C, *), got shape {shape_of(x)}")
    if num_groups < 1 or x.sizes[1] % num_groups:
        raise ValueError(f"{name}: expected num_groups to divide the {x.sizes[1]} channels of input {shape_of(x)}, got {num_groups}")
    groups = num_groups
    if x.numel == <size_t>groups and x.sizes[0] <= 1:
        raise ValueError(f"{name}: Expected more than 1 value per group, got input {shape_of(x)} and {groups} groups")
    w, b = parameter(name, weight, "weight", x, (x.sizes[1],)), parameter(name, bias, "bias", x, (x.sizes[1],))
    channels_of(&launch, x)
    launch.scalar[0], launch.scalar[2] = number(name, eps, "eps"), <double>groups
    return forward(GROUP_NORM, PD_group_norm_fwd, &launch, x, w, b, x.sizes[0] * groups, (launch.scalar[0], groups))

cdef object group_norm_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), w = node.kept(1)
    cdef pd_launch launch
    eps, groups = node.extra
    if not grad_enabled():
        channels_of(&launch, x)
        launch.scalar[2] = groups
        return fused(node, PD_group_norm_bwd, &launch, dy, (x.sizes[1],))
    shape = shape_of(x)
    each = (x.sizes[0], groups, x.sizes[1] // groups) + shape[2:]
    g = dy if w is None else mul(dy, per_channel(x, w))
    dx, xhat = composed(x.reshape(each), g.reshape(each), tuple(range(2, len(each))), eps, True)
    return with_parameters(node, dx.reshape(shape), xhat.reshape(shape), dy, beside_channels(x), (x.sizes[1],))

cdef Op GROUP_NORM = op(group_norm, group_norm_backward)

def instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and var of every channel of every sample.

    input (N, C, *), float32 or float64; weight, bias, running_mean and running_var (C,). use_input_stats: mean and var are those of
    the input (var of n), and in place, where they are given, running = (1 - momentum) running + momentum of their means over N (here var is
    of n - 1). Else mean and var are the running ones. Raises ValueError for shapes that do not fit, for one value per channel and
    eps <= 0 with use_input_stats, TypeError for other types. Ulyanov, Vedaldi & Lempitsky, "Instance normalization", 2016.
    """
    cdef str name = "instance_norm"
    cdef Tensor x = real_arg(name, input, "input"), w, b, rm, rv
    cdef bint own = use_input_stats
    cdef double small = number(name, eps, "eps")
    if x.ndim < 2:
        raise ValueError(f"{name}: expected input (N, C, *), got shape {shape_of(x)}")
    if (running_mean is None) != (running_var is None) or (running_mean is None and not own):
        raise ValueError(f"{name}: expected both running_mean and running_var{', or neither' if own else ''} (input {shape_of(x)})")
    w, b = parameter(name, weight, "weight", x, (x.sizes[1],)), parameter(name, bias, "bias", x, (x.sizes[1],))
    rm = running_arg(name, x, running_mean, "running_mean", own)
    rv = running_arg(name, x, running_var, "running_var", own)
    number(name, momentum, "momentum")
    if own and not small > 0:
        raise ValueError(f"{name}: eps must be positive, got {eps} (input {shape_of(x)})")
    if own and x.numel and x.numel == <size_t>(x.sizes[0] * x.sizes[1]):
        raise ValueError(f"{name}: expected more than 1 value per channel and sample, got input {shape_of(x)}")
    if not own or not x.numel:
        return batch_norm(x, rm, rv, w, b, own and rm is None, momentum, eps)
    if rm is None:
        return group_norm(x, x.sizes[1], w, b, eps)
    return of_samples(x, rm, rv, w, b, momentum, eps)

cdef object of_samples(Tensor x, Tensor rm, Tensor rv, Tensor w, Tensor b, object momentum, object eps):
    """Batch normalisation of N C channels, and the mean of their running statistics."""
    cdef ptrdiff_t n = x.sizes[0], channels = x.sizes[1]
    mean, var = rm.repeat(n), rv.repeat(n)
    y = batch_norm(x.reshape((1, n * channels) + shape_of(x)[2:]), mean, var, None if w is None else w.repeat(n),
                   None if b is None else b.repeat(n), True, momentum, eps)
    for running, of_all in ((rm, mean), (rv, var)):
        running.copy_(of_all.reshape((n, channels)).mean(0))
    return y.reshape(shape_of(x))

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]
METHODS = []
