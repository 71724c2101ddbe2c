"""softmax and log_softmax along one dimension, with their backward ops. Kernels: csrc/softmax.c."""
from pydl._core.kernels cimport pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record, record1
from pydl._core.tensor cimport Tensor, code_of, empty, real_arg, same_shape, shape_of, tensor_arg, wrap_dim

from pydl.ops.arithmetic import mul, neg, sub
from pydl.ops.elementwise import exp
from pydl.ops.reduce import sum

cdef extern from "pydl.h":
    enum: PD_softmax_fwd
    enum: PD_softmax_bwd
    enum: PD_log_softmax_fwd
    enum: PD_log_softmax_bwd


cdef Tensor by_lines(int kernel, Tensor a, Tensor b, int dim):
    """Runs a kernel over the lines along `dim` of a, and of b where there is one."""
    cdef pd_launch launch
    cdef Tensor y
    cdef int d
    a = contiguous(a)
    prepare(&launch, kernel, a.code)
    y = empty(a.code, a.ndim, a.sizes)
    launch.lines.outer = launch.lines.inner = 1
    for d in range(dim):
        launch.lines.outer *= a.sizes[d]
    launch.lines.n = a.sizes[dim] if a.ndim else 1
    for d in range(dim + 1, a.ndim):
        launch.lines.inner *= a.sizes[d]
    launch.buf[0] = a.data
    if b is None:
        launch.buf[1] = y.data
    else:
        b = contiguous(b)
        launch.buf[1], launch.buf[2] = b.data, y.data
    run(&launch, kernel, a.code)
    return y

cdef Tensor typed(str name, object input, object dtype):
    cdef Tensor x = tensor_arg(name, input, "input")
    return real_arg(name, x if dtype is None or code_of(dtype) == x.code else x.to(dtype), "input")

cdef int same_arguments(str name, Tensor dy, Tensor y) except -1:
    if dy.code != y.code or not same_shape(dy, y):
        raise ValueError(f"{name}: expected dy and y of the same shape and type, got {shape_of(dy)} and {shape_of(y)}")
    return 0


def softmax(input, dim, *, dtype=None):
    """y = exp(x - max) / sum(exp(x - max)) along `dim`.

    x and y of the same shape, float32 or float64; a line of -inf, or one with inf or NaN, gives NaN.
    Raises IndexError for a dim out of range.
    """
    cdef Tensor x = typed("softmax", input, dtype)
    cdef int d = wrap_dim("softmax", dim, x.ndim)
    cdef Tensor y = by_lines(PD_softmax_fwd, x, None, d)
    cdef Node node = record1(SOFTMAX, y, x)
    if node is not None:
        node.keep_output(0, y)
        node.extra = d
    return y

cdef object softmax_backward(Node node, object dy):
    return softmax_bwd(dy, node.kept(0), node.extra)

cdef Op SOFTMAX = op(softmax, softmax_backward)

def softmax_bwd(dy, y, dim):
    """dx = y (dy - sum(dy y)) along `dim`: the gradient of y = softmax(x). All of the same shape."""
    cdef Tensor g = real_arg("softmax_bwd", dy, "dy"), out = real_arg("softmax_bwd", y, "y"), dx
    cdef int d = wrap_dim("softmax_bwd", dim, out.ndim)
    cdef Node node
    same_arguments("softmax_bwd", g, out)
    dx = by_lines(PD_softmax_bwd, g, out, d)
    node = record(SOFTMAX_BWD, dx, (g, out))
    if node is not None:
        node.keep(0, g)
        node.keep(1, out)
        node.extra = d
    return dx

cdef object softmax_bwd_backward(Node node, object ddx):
    """dx = y (dy - s), s = sum(dy y). In dy it is the same symmetric map; in y: ddx (dy - s) - dy sum(ddx y)."""
    dy, y, d = node.kept(0), node.kept(1), node.extra
    in_dy = softmax_bwd(ddx, y, d) if node.need(0) else None
    if not node.need(1):
        return in_dy, None
    return in_dy, sub(mul(ddx, sub(dy, sum(mul(dy, y), d, True))), mul(dy, sum(mul(ddx, y), d, True)))

cdef Op SOFTMAX_BWD = op(softmax_bwd, softmax_bwd_backward)


def log_softmax(input, dim, *, dtype=None):
    """y = x - max - log(sum(exp(x - max))) along `dim`.

    x and y of the same shape, float32 or float64; a line of -inf, or one with inf or NaN, gives NaN.
    Raises IndexError for a dim out of range.
    """
    cdef Tensor x = typed("log_softmax", input, dtype)
    cdef int d = wrap_dim("log_softmax", dim, x.ndim)
    cdef Tensor y = by_lines(PD_log_softmax_fwd, x, None, d)
    cdef Node node = record1(LOG_SOFTMAX, y, x)
    if node is not None:
        node.keep_output(0, y)
        node.extra = d
    return y

cdef object log_softmax_backward(Node node, object dy):
    return log_softmax_bwd(dy, node.kept(0), node.extra)

cdef Op LOG_SOFTMAX = op(log_softmax, log_softmax_backward)

def log_softmax_bwd(dy, y, dim):
    """dx = dy - exp(y) sum(dy) along `dim`: the gradient of y = log_softmax(x). All of the same shape."""
    cdef Tensor g = real_arg("log_softmax_bwd", dy, "dy"), out = real_arg("log_softmax_bwd", y, "y"), dx
    cdef int d = wrap_dim("log_softmax_bwd", dim, out.ndim)
    cdef Node node
    same_arguments("log_softmax_bwd", g, out)
    dx = by_lines(PD_log_softmax_bwd, g, out, d)
    node = record(LOG_SOFTMAX_BWD, dx, (g, out))
    if node is not None:
        node.keep(0, g)
        node.keep(1, out)
        node.extra = d
    return dx

cdef object log_softmax_bwd_backward(Node node, object ddx):
    """In dy: ddx - sum(exp(y) ddx); in y: -exp(y) sum(dy) ddx."""
    dy, y, d = node.kept(0), node.kept(1), node.extra
    weighted = mul(exp(y), ddx)
    in_dy = sub(ddx, sum(weighted, d, True)) if node.need(0) else None
    return in_dy, neg(mul(weighted, sum(dy, d, True))) if node.need(1) else None

cdef Op LOG_SOFTMAX_BWD = op(log_softmax_bwd, log_softmax_bwd_backward)

__all__ = ["log_softmax", "softmax"]
METHODS = ["log_softmax", "softmax"]
