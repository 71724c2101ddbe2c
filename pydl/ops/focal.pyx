"""Focal losses, of logits: what is right already counts less. Kernels: csrc/loss_focal.c.

As in losses.pyx, the forward of a loss that will be differentiated leaves the gradient for dy = 1.
Lin, Goyal, Girshick, He, Dollar, "Focal loss for dense object detection", 2017.
"""
from pydl._core.arguments cimport number_of
from pydl._core.kernels cimport PD_MAX_DIMS, pd_launch
from pydl._core.launch cimport cast, contiguous, run
from pydl._core.tape cimport Node, Op, grad_enabled, op, record1, recording
from pydl._core.tensor cimport Tensor, empty_like, view_of
from pydl.ops.losses cimport (
    MEAN, NONE, class_dim, ignored, labels_arg, loss_like, reduction_of, rows_launch, scaled, scores_arg, weight_arg,
)
from pydl.ops.pair_losses cimport mean_share, pair_gradient, pair_loss, pair_of, plain

from pydl.ops.activations import sigmoid, softplus
from pydl.ops.arithmetic import add, div, mul, neg, pow, sub
from pydl.ops.compare import eq, ne, where
from pydl.ops.elementwise import exp, expm1
from pydl.ops.extremes import place
from pydl.ops.reduce import sum
from pydl.ops.softmax import log_softmax

cdef extern from "pydl.h":
    enum: PD_focal_fwd
    enum: PD_sigmoid_focal_fwd


cdef double gamma_of(str name, object gamma) except? -1:
    cdef double value = number_of(name, gamma, "gamma")
    if not 0 <= value < 1e6:
        raise ValueError(f"{name}: expected gamma of 0 or more, got {gamma!r}")
    return value

cdef object powers(object q, double gamma):
    """q^gamma and gamma q^(gamma - 1), that with 0 where q is 0."""
    if gamma == 0:
        return 1.0, 0.0
    if gamma == 1:
        return q, 1.0
    less = q if gamma == 2 else where(eq(q, 0.0), 0.0, pow(where(eq(q, 0.0), 1.0, q), gamma - 1))
    return mul(q, less), mul(less, gamma)


# ---- Pairs

def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    """loss = w q^gamma c: c = binary cross entropy of sigmoid(x) = p and t, q = p (1 - t) + (1 - p) t, w = alpha t + (1 - alpha) (1 - t).

    inputs (logits) and targets (0 .. 1) of the same shape, whose types promote to a float; alpha 0 to 1, or -1: w = 1; gamma 0 or more.
    Without overflow for any logits. reduction "none", "mean" or "sum". Raises ValueError for shapes and values that do not fit,
    TypeError where both are integers.
    """
    cdef str name = "sigmoid_focal_loss"
    cdef Tensor x, t
    cdef double balance = number_of(name, alpha, "alpha"), power = gamma_of(name, gamma)
    if not 0 <= balance <= 1 and balance != -1:
        raise ValueError(f"{name}: expected alpha between 0 and 1, or -1 for none, got {alpha!r}")
    x, t = pair_of(name, inputs, targets)
    return pair_loss(SIGMOID_FOCAL, PD_sigmoid_focal_fwd, x, t, plain(name, x, reduction, balance, power))

cdef object sigmoid_focal_backward(Node node, object dy):
    """dx = w (q^g (p - t) + g q^(g - 1) p (1 - p) (1 - 2t) c), dt = w (g q^(g - 1) (1 - 2p) c - q^g x) + w' q^g c."""
    cdef Tensor x, t
    cdef object dx = None, dt = None
    cdef double balance = node.extra[3], gamma = node.extra[4]
    if not grad_enabled() and not node.need(1):
        return pair_gradient(node, PD_sigmoid_focal_fwd, dy), None
    x, t = node.kept(0), node.kept(2)
    dy = mean_share(node, dy)
    p, rest, other = sigmoid(x), sigmoid(neg(x)), sub(1.0, t)
    c = add(mul(other, x), softplus(neg(x)))
    power, slope = powers(add(mul(p, other), mul(rest, t)), gamma)
    w = 1.0 if balance < 0 else add(mul(t, 2 * balance - 1), 1 - balance)
    if node.need(0):
        dx = mul(mul(add(mul(power, sub(p, t)), mul(mul(mul(p, rest), mul(sub(other, t), c)), slope)), w), dy)
    if node.need(1):
        dt = mul(sub(mul(mul(sub(rest, p), c), slope), mul(power, x)), w)
        if balance >= 0:
            dt = add(dt, mul(mul(power, c), 2 * balance - 1))
        dt = mul(dt, dy)
    return dx, dt

cdef Op SIGMOID_FOCAL = op(sigmoid_focal_loss, sigmoid_focal_backward)


# ---- Classes

cdef Tensor classes_last(Tensor x):
    """x with the classes in the last dimension, contiguous."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int d, at
    if x.ndim <= 2:
        return contiguous(x)
    for d in range(x.ndim):
        at = d if d == 0 else d + 1 if d + 1 < x.ndim else 1
        sizes[d], strides[d] = x.sizes[at], x.strides[at]
    return contiguous(view_of(x, x.ndim, sizes, strides, 0))

cdef Tensor classes_back(Tensor x):
    """The inverse of classes_last, as a view."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef int d, at
    if x.ndim <= 2:
        return x
    for d in range(x.ndim):
        at = d if d == 0 else x.ndim - 1 if d == 1 else d - 1
        sizes[d], strides[d] = x.sizes[at], x.strides[at]
    return view_of(x, x.ndim, sizes, strides, 0)

cdef Tensor as_rows(Tensor x):
    """x, whose classes are last and which is contiguous, as one matrix."""
    cdef ptrdiff_t sizes[2]
    cdef ptrdiff_t strides[2]
    if x.ndim <= 2:
        return x
    sizes[1], strides[0], strides[1] = x.sizes[x.ndim - 1], x.sizes[x.ndim - 1], 1
    sizes[0] = x.numel // sizes[1] if sizes[1] else 0
    return view_of(x, 2, sizes, strides, 0)

cdef tuple run_focal(Tensor x, Tensor target, Tensor weight, tuple how, bint with_gradient):
    """(loss, its gradient for dy = 1 with the classes last, or None)."""
    cdef pd_launch launch
    cdef Tensor rows = classes_last(x), loss, grad = None
    gamma, smoothing, ignore_index, reduction = how
    rows_launch(&launch, PD_focal_fwd, as_rows(rows), target, weight, smoothing, ignore_index, reduction, False)
    launch.scalar[3] = gamma
    loss = loss_like(x, reduction)
    launch.buf[3] = loss.data
    if with_gradient:
        grad = empty_like(rows)
        launch.buf[4] = grad.data
    run(&launch, PD_focal_fwd, rows.code, rows.numel)
    return loss, grad

def focal_loss(input, target, weight=None, gamma=2.0, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """loss = sum_c Q_c (1 - p_c)^gamma (-log p_c), p = softmax(x), Q_c = w_c ((1 - e) [c = t] + e / C), e the label smoothing.

    input: logits (C,), (N, C) or (N, C, d1, ...), float32 or float64; target int64 (), (N,) or (N, d1, ...); weight (C,); gamma 0 or
    more, 0 being cross_entropy. ignore_index, reduction and errors as in cross_entropy.
    """
    cdef str name = "focal_loss"
    cdef Tensor x = scores_arg(name, input), w, t, loss, grad
    cdef int how = reduction_of(name, reduction)
    cdef double power = gamma_of(name, gamma), smoothing = number_of(name, label_smoothing, "label_smoothing")
    cdef Node node
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")
    attributes = (power, smoothing, ignored(name, ignore_index), how)
    w = weight_arg(name, x, weight)
    t = labels_arg(name, x, target, attributes[2])
    loss, grad = run_focal(x, t, w, attributes, recording(x))
    node = record1(FOCAL, loss, x)
    if node is not None:
        node.shapes = None
        node.keep(0, x)
        node.keep(1, grad)
        node.keep(2, t)
        if w is not None:
            node.keep(3, w)
        node.extra = attributes
    return loss

cdef object focal_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), grad = node.kept(1), t = node.kept(2), w = node.kept(3)
    if grad_enabled():
        return focal_composed(node, x, t, w, dy)
    if grad is None:    # an earlier walk back took it
        grad = run_focal(x, t, w, node.extra, True)[1]
    node.slot1 = None
    return classes_back(scaled(grad, dy.unsqueeze(-1) if node.extra[3] == NONE else dy))

cdef object focal_composed(Node node, Tensor x, Tensor t, Tensor w, object dy):
    """dx = (Q s - p sum(Q s)) dy / total, s = g (1 - p)^(g - 1) p log p - (1 - p)^g."""
    gamma, smoothing, ignore_index, reduction = node.extra
    cdef int dim = class_dim(x)
    cdef object classes = x.sizes[dim]
    counts = cast(ne(t, ignore_index), x.code)
    label = where(ne(t, ignore_index), t, 0)
    own = counts if w is None else mul(w[label], counts)
    q = place(mul(own, 1 - smoothing).unsqueeze(dim), label.unsqueeze(dim), dim, classes)
    if smoothing:
        smooth = mul(counts.unsqueeze(dim), smoothing / classes)
        q = add(q, smooth if w is None else mul(smooth, w.reshape((classes,) + (1,) * (x.ndim - 1 - dim))))
    if reduction == MEAN:
        dy = div(dy, sum(own))
    elif reduction == NONE:
        dy = dy.unsqueeze(dim)
    log_p = log_softmax(x, dim)
    p = exp(log_p)
    power, slope = powers(neg(expm1(log_p)), gamma)
    s = mul(sub(mul(mul(p, log_p), slope), power), q)
    return mul(sub(s, mul(p, sum(s, dim, True))), dy)

cdef Op FOCAL = op(focal_loss, focal_backward)


__all__ = ["focal_loss", "sigmoid_focal_loss"]
METHODS = []
