"""softmax and log_softmax along one dimension, with their backward ops. Kernels: csrc/softmax.c."""
from pydl._core.kernels cimport pd_launch
from pydl._core.launch cimport contiguous, prepare, run
from pydl._core.tape cimport Node, Op, op, record1, record2
from pydl._core.arguments cimport wrap_dim
from pydl._core.dtypes cimport code_of
from pydl._core.tensor cimport Tensor, empty, real_arg, same_shape, shape_of, tensor_arg
from pydl.ops.lines cimport lines_of

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
    a = contiguous(a)
    prepare(&launch, kernel, a.code)
    y = empty(a.code, a.ndim, a.sizes)
    lines_of(&launch, a, dim)
    launch.buf[0] = a.data
    if b is None:
        launch.buf[1] = y.data
    else:
        b = contiguous(b)
        launch.buf[1], launch.buf[2] = b.data, y.data
    run(&launch, kernel, a.code)
    return y

cdef Tensor forward(Op which, int kernel, object input, object dim, object dtype):
    """The rule gets y and the dimension."""
    cdef Tensor x = tensor_arg(which.name, input, "input"), y
    cdef Node node
    cdef int d
    x = real_arg(which.name, x if dtype is None or code_of(dtype) == x.code else x.to(dtype), "input")
    d = wrap_dim(which.name, dim, x.ndim)
    y = by_lines(kernel, x, None, d)
    node = record1(which, y, x)
    if node is not None:
        node.keep_output(0, y)
        node.extra = d
    return y

cdef Tensor gradient(Op which, int kernel, object dy, object y, object dim):
    """The rule gets dy, y and the dimension."""
    cdef Tensor g = real_arg(which.name, dy, "dy"), out = real_arg(which.name, y, "y"), dx
    cdef Node node
    cdef int d = wrap_dim(which.name, dim, out.ndim)
    if g.code != out.code or not same_shape(g, out):
        raise ValueError(f"{which.name}: expected dy and y of the same shape and type, got {shape_of(g)} and {shape_of(out)}")
    dx = by_lines(kernel, g, out, d)
    node = record2(which, dx, g, out)
    if node is not None:
        node.keep(0, g)
        node.keep(1, out)
        node.extra = d
    return dx


def softmax(input, dim, dtype=None):
    """y = exp(x - max) / sum(exp(x - max)) along `dim`.

    x and y of the same shape, float32 or float64 (`dtype`: x is converted to it first); a line of -inf, or one with inf or NaN, gives NaN.
    Raises IndexError for a dim out of range.

    >>> pydl.softmax(pydl.tensor([[0.0, 0.0], [0.0, float("inf")]]), 1).tolist()
    [[0.5, 0.5], [nan, nan]]
    """
    return forward(SOFTMAX, PD_softmax_fwd, input, dim, dtype)

cdef object softmax_backward(Node node, object dy):
    return softmax_bwd(dy, node.kept(0), node.extra)

cdef Op SOFTMAX = op(softmax, softmax_backward)

def softmax_bwd(dy, y, dim):
    """dx = y (dy - sum(dy y)) along `dim`: the gradient of y = softmax(x). All of the same shape."""
    return gradient(SOFTMAX_BWD, PD_softmax_bwd, dy, y, dim)

cdef object softmax_bwd_backward(Node node, object ddx):
    """dx = y (dy - s), s = sum(dy y). In dy it is the same symmetric map; in y: ddx (dy - s) - dy sum(ddx y)."""
    dy, y, d = node.kept(0), node.kept(1), node.extra
    in_dy = softmax_bwd(ddx, y, d) if node.need(0) else None
    if not node.need(1):
        return in_dy, None
    return in_dy, sub(mul(ddx, sub(dy, sum(mul(dy, y), d, True))), mul(dy, sum(mul(ddx, y), d, True)))

cdef Op SOFTMAX_BWD = op(softmax_bwd, softmax_bwd_backward)


def log_softmax(input, dim, dtype=None):
    """y = x - max - log(sum(exp(x - max))) along `dim`.

    x and y of the same shape, float32 or float64 (`dtype`: x is converted to it first); a line of -inf, or one with inf or NaN, gives NaN.
    Raises IndexError for a dim out of range.
    """
    return forward(LOG_SOFTMAX, PD_log_softmax_fwd, input, dim, dtype)

cdef object log_softmax_backward(Node node, object dy):
    return log_softmax_bwd(dy, node.kept(0), node.extra)

cdef Op LOG_SOFTMAX = op(log_softmax, log_softmax_backward)

def log_softmax_bwd(dy, y, dim):
    """dx = dy - exp(y) sum(dy) along `dim`: the gradient of y = log_softmax(x). All of the same shape."""
    return gradient(LOG_SOFTMAX_BWD, PD_log_softmax_bwd, dy, y, dim)

cdef object log_softmax_bwd_backward(Node node, object ddx):
    """In dy: ddx - sum(exp(y) ddx); in y: -exp(y) sum(dy) ddx."""
    dy, y, d = node.kept(0), node.kept(1), node.extra
    weighted = mul(exp(y), ddx)
    in_dy = sub(ddx, sum(weighted, d, True)) if node.need(0) else None
    return in_dy, neg(mul(weighted, sum(dy, d, True))) if node.need(1) else None

cdef Op LOG_SOFTMAX_BWD = op(log_softmax_bwd, log_softmax_bwd_backward)

__all__ = ["log_softmax", "softmax"]
METHODS = ["log_softmax", "softmax"]
