"""Losses of pairs of equal shape: mse_loss, l1_loss, binary_cross_entropy_with_logits. Kernels: csrc/loss_pair.c.

As in losses.pyx, the forward of a loss that will be differentiated leaves the gradient for dy = 1.
"""
from pydl._core.kernels cimport pd_launch
from pydl._core.launch cimport broadcast_to, contiguous, prepare, run
from pydl._core.tape cimport Node, Op, grad_enabled, op, record, recording
from pydl._core.tensor cimport Tensor, empty, empty_like, real_arg, same_shape, shape_of, tensor_arg
from pydl.ops.operands cimport alike, as_type
from pydl.ops.losses cimport MEAN, NONE, SUM, reduction_of, refuse_gradient, scaled

from pydl.ops.activations import sigmoid, softplus
from pydl.ops.arithmetic import add, div, mul, neg, sign, sub
from pydl.ops.reduce import sum

cdef extern from "pydl.h":
    enum: PD_mse_fwd
    enum: PD_l1_fwd
    enum: PD_bce_fwd

cdef tuple pair_of(str name, object input, object target):
    """input and target in the type that they have in common."""
    cdef Tensor x = tensor_arg(name, input, "input"), t = tensor_arg(name, target, "target")
    if t.code != x.code:
        x, t = alike(x, t)
    real_arg(name, x, "input")
    if not same_shape(x, t):
        raise ValueError(f"{name}: expected input and target of the same shape, got {shape_of(x)} and {shape_of(t)}; "
                         "reshape or expand one of them")
    return x, t

cdef Tensor spread_over(str name, Tensor x, object weight, str what):
    """A weight broadcast to x's shape, contiguous."""
    cdef Tensor w
    if weight is None:
        return None
    w = as_type(tensor_arg(name, weight, what), x.code)
    refuse_gradient(name, w, what)
    try:
        return contiguous(broadcast_to(w, x.ndim, x.sizes))
    except ValueError:
        raise ValueError(f"{name}: {what} {shape_of(w)} does not broadcast to input {shape_of(x)}") from None

cdef tuple run_pair(int kernel, Tensor x, Tensor t, Tensor w, Tensor p, int reduction, bint with_gradient):
    """(loss, its gradient in x for dy = 1, or None)."""
    cdef pd_launch launch
    cdef Tensor loss, grad = None, a = contiguous(x), b = contiguous(t)
    prepare(&launch, kernel, a.code)
    launch.map.ndim, launch.map.shape[0] = 1, a.numel
    launch.scalar[2] = reduction
    loss = empty(a.code, a.ndim if reduction == NONE else 0, a.sizes)
    launch.buf[0], launch.buf[1], launch.buf[4] = a.data, b.data, loss.data
    launch.buf[2] = NULL if w is None else w.data
    launch.buf[3] = NULL if p is None else p.data
    launch.buf[5] = NULL
    if with_gradient:
        grad = empty_like(a)
        launch.buf[5] = grad.data
    run(&launch, kernel, a.code)
    return loss, grad

cdef Tensor pair_loss(Op which, int kernel, Tensor x, Tensor t, Tensor w, Tensor p, object reduction):
    cdef int how = reduction_of(which.name, reduction)
    cdef Tensor loss, grad
    cdef Node node
    loss, grad = run_pair(kernel, x, t, w, p, how, recording(x) or recording(t))
    node = record(which, loss, (x, t))
    if node is not None:
        node.shapes = None
        node.keep(0, x)
        node.keep(1, grad)
        node.keep(2, t)
        node.extra = (how, w, p)
    return loss

cdef Tensor pair_gradient(Node node, int kernel, object dy):
    """dx, from what the forward left or anew."""
    cdef Tensor x = node.kept(0), grad = node.kept(1), t = node.kept(2)
    how, w, p = node.extra
    if grad is None:    # an earlier walk back took it
        grad = run_pair(kernel, x, t, w, p, how, True)[1]
    node.slot1 = None
    return scaled(grad, dy)

cdef object mean_share(Node node, object dy):
    """dy of one element's loss"""
    cdef Tensor x = node.kept(0)
    return mul(dy, 1.0 / x.numel) if node.extra[0] == MEAN and x.numel else dy

cdef object both_signs(Node node, object dx):
    return dx, neg(dx) if node.need(1) else None

cdef object weighted(str name, object loss_of, Tensor x, Tensor t, object weight, object reduction):
    """w l of every element, or their sum, or that divided by the sum of w."""
    cdef Tensor w = as_type(tensor_arg(name, weight, "weight"), x.code)
    cdef int how = reduction_of(name, reduction)
    cdef object loss
    if not same_shape(w, x):
        raise ValueError(f"{name}: expected a weight of the input's shape {shape_of(x)}, got {shape_of(w)} (target {shape_of(t)})")
    loss = mul(loss_of(x, t, reduction="none"), w)
    if how == NONE:
        return loss
    return sum(loss) if how == SUM else div(sum(loss), sum(w))

def mse_loss(input, target, *, reduction="mean", weight=None):
    """loss = w (x - t)^2, its sum, or its mean: that divided by the sum of w.

    input, target and weight (1 where it is None) of the same shape; differentiable by all three. Types of input and target
    promote to a float. Raises ValueError where the shapes differ, TypeError where both are integers.
    """
    cdef Tensor x, t
    x, t = pair_of("mse_loss", input, target)
    if weight is not None:
        return weighted("mse_loss", mse_loss, x, t, weight, reduction)
    return pair_loss(MSE_LOSS, PD_mse_fwd, x, t, None, None, reduction)

cdef object mse_loss_backward(Node node, object dy):
    if grad_enabled():
        return both_signs(node, mul(mul(sub(node.kept(0), node.kept(2)), 2.0), mean_share(node, dy)))
    return both_signs(node, pair_gradient(node, PD_mse_fwd, dy))

cdef Op MSE_LOSS = op(mse_loss, mse_loss_backward)

def l1_loss(input, target, *, reduction="mean", weight=None):
    """loss = w |x - t|, its sum, or its mean: that divided by the sum of w; the gradient where x = t is 0.

    Arguments and errors as in mse_loss.
    """
    cdef Tensor x, t
    x, t = pair_of("l1_loss", input, target)
    if weight is not None:
        return weighted("l1_loss", l1_loss, x, t, weight, reduction)
    return pair_loss(L1_LOSS, PD_l1_fwd, x, t, None, None, reduction)

cdef object l1_loss_backward(Node node, object dy):
    if grad_enabled():
        return both_signs(node, mul(sign(sub(node.kept(0), node.kept(2))), mean_share(node, dy)))
    return both_signs(node, pair_gradient(node, PD_l1_fwd, dy))

cdef Op L1_LOSS = op(l1_loss, l1_loss_backward)

def binary_cross_entropy_with_logits(input, target, weight=None, *, reduction="mean", pos_weight=None):
    """loss = w ((1 - t) x + (1 + (p - 1) t) softplus(-x)): cross entropy of sigmoid(x) and t, without overflow.

    input (logits) and target (0 .. 1) of the same shape, whose types promote to a float; weight w and pos_weight p broadcast
    to it. Raises ValueError where shapes do not fit, TypeError where both are integers, RuntimeError for a weight or pos_weight that requires grad.
    """
    name = "binary_cross_entropy_with_logits"
    cdef Tensor x, t
    x, t = pair_of(name, input, target)
    return pair_loss(BCE_LOSS, PD_bce_fwd, x, t, spread_over(name, x, weight, "weight"),
                     spread_over(name, x, pos_weight, "pos_weight"), reduction)

cdef object bce_loss_backward(Node node, object dy):
    """dx = w ((1 - t) - l sigmoid(-x)), dt = w ((p - 1) softplus(-x) - x)."""
    cdef Tensor x, t
    cdef object dx = None, dt = None
    how, w, p = node.extra
    if not grad_enabled() and not node.need(1):
        return pair_gradient(node, PD_bce_fwd, dy), None
    x, t = node.kept(0), node.kept(2)
    dy = mean_share(node, dy)
    if w is not None:
        dy = mul(dy, w)
    if node.need(0):
        rest = sigmoid(neg(x))
        if p is not None:
            rest = mul(rest, add(mul(sub(p, 1.0), t), 1.0))
        dx = mul(sub(sub(1.0, t), rest), dy)
    if node.need(1):
        dt = neg(x) if p is None else sub(mul(sub(p, 1.0), softplus(neg(x))), x)
        dt = mul(dt, dy)
    return dx, dt

cdef Op BCE_LOSS = op(binary_cross_entropy_with_logits, bce_loss_backward)

__all__ = ["binary_cross_entropy_with_logits", "l1_loss", "mse_loss"]
METHODS = []
