"""Losses of pairs of equal shape. Kernels: csrc/loss_pair.c.

As in losses.pyx, the forward of a loss that will be differentiated leaves the gradient for dy = 1.
"""
import functools

from libc.math cimport isnan
from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_I64, pd_launch
from pydl._core.launch cimport broadcast_to, cast, contiguous, prepare, run
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, pause, recorder, resume
from pydl._core.tape cimport Node, Op, grad_enabled, op, record, recording
from pydl._core.arguments cimport number_of
from pydl._core.tensor cimport Tensor, empty, empty_like, real_arg, same_shape, shape_of, tensor_arg
from pydl.ops.operands cimport alike, as_type
from pydl.ops.losses cimport MEAN, NONE, SUM, reduction_of, refuse_gradient, scaled

from pydl.ops.activations import sigmoid, softplus
from pydl.ops.arithmetic import add, div, mul, neg, sign, sub
from pydl.ops.bounds import clamp
from pydl.ops.compare import ge, le, logical_and
from pydl.ops.elementwise import exp, log, log1p
from pydl.ops.reduce import sum

cdef extern from "pydl.h":
    enum: PD_mse_fwd
    enum: PD_l1_fwd
    enum: PD_bce_fwd
    enum: PD_huber_fwd
    enum: PD_prob_fwd
    enum: PD_kl_fwd

cdef const int *capturing = capture_flag()

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

cdef tuple run_pair(int kernel, Tensor x, Tensor t, tuple how, bint with_gradient, Tensor total=None):
    """(loss, its gradient in x for dy = 1, or None). how: reduction, w, p, a, b, what the mean divides by."""
    cdef pd_launch launch
    cdef Tensor loss, grad = None, a = contiguous(x), b = contiguous(t), w = how[1], p = how[2]
    cdef int reduction = how[0]
    prepare(&launch, kernel, a.code)
    launch.map.ndim, launch.map.shape[0] = 1, a.numel
    launch.scalar[0], launch.scalar[1], launch.scalar[2], launch.scalar[3] = how[3], how[4], reduction, how[5]
    loss = empty(a.code, a.ndim if reduction == NONE else 0, a.sizes)
    launch.buf[0], launch.buf[1], launch.buf[4] = a.data, b.data, loss.data
    launch.buf[2] = NULL if w is None else w.data
    launch.buf[3] = NULL if p is None else p.data
    launch.buf[5] = NULL
    launch.buf[6] = NULL if total is None else total.data
    if with_gradient:
        grad = empty_like(a)
        launch.buf[5] = grad.data
    run(&launch, kernel, a.code)
    return loss, grad

cdef Tensor pair_loss(Op which, int kernel, Tensor x, Tensor t, tuple how, Tensor total=None):
    cdef Tensor loss, grad
    cdef Node node
    loss, grad = run_pair(kernel, x, t, how, recording(x) or recording(t), total)
    node = record(which, loss, (x, t))
    if node is not None:
        node.shapes = None
        node.keep(0, x)
        node.keep(1, grad)
        node.keep(2, t)
        node.extra = how
    return loss

cdef tuple plain(str name, Tensor x, object reduction, double a=0, double b=0):
    """run_pair's `how` of a loss without weights."""
    return reduction_of(name, reduction), None, None, a, b, x.numel

cdef Tensor pair_gradient(Node node, int kernel, object dy):
    """dx, from what the forward left or anew."""
    cdef Tensor x = node.kept(0), grad = node.kept(1), t = node.kept(2)
    if grad is None:    # an earlier walk back took it
        grad = run_pair(kernel, x, t, node.extra, True)[1]
    node.slot1 = None
    return scaled(grad, dy)

cdef object mean_share(Node node, object dy):
    """dy of one element's loss"""
    count = node.extra[5]
    return mul(dy, 1.0 / count) if node.extra[0] == MEAN and count else dy

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
    return pair_loss(MSE_LOSS, PD_mse_fwd, x, t, plain("mse_loss", x, reduction))

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
    return pair_loss(L1_LOSS, PD_l1_fwd, x, t, plain("l1_loss", x, reduction))

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
    return pair_loss(BCE_LOSS, PD_bce_fwd, x, t, (reduction_of(name, reduction), spread_over(name, x, weight, "weight"),
                                                  spread_over(name, x, pos_weight, "pos_weight"), 0, 0, x.numel))

cdef object bce_loss_backward(Node node, object dy):
    """dx = w ((1 - t) - l sigmoid(-x)), dt = w ((p - 1) softplus(-x) - x)."""
    cdef Tensor x, t
    cdef object dx = None, dt = None
    w, p = node.extra[1:3]
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

def smooth_l1_loss(input, target, *, reduction="mean", beta=1.0):
    """loss = (x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2 (Girshick 2015); beta = 0: l1_loss.

    Arguments and errors as in mse_loss, and ValueError for a negative beta.
    """
    cdef Tensor x, t
    cdef double bend = number_of("smooth_l1_loss", beta, "beta")
    if not bend >= 0:
        raise ValueError(f"smooth_l1_loss: beta: expected 0 or more, got {beta}")
    x, t = pair_of("smooth_l1_loss", input, target)
    if bend == 0:
        return pair_loss(L1_LOSS, PD_l1_fwd, x, t, plain("smooth_l1_loss", x, reduction))
    return pair_loss(SMOOTH_L1_LOSS, PD_huber_fwd, x, t, plain("smooth_l1_loss", x, reduction, bend, 1 / bend))

def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """loss = w (x - t)^2 / 2 where |x - t| < delta, else w delta (|x - t| - delta / 2) (Huber 1964); the mean is over all elements.

    Arguments and errors as in mse_loss, and ValueError for a delta that is not positive.
    """
    cdef Tensor x, t
    cdef double bend = number_of("huber_loss", delta, "delta")
    cdef int how = reduction_of("huber_loss", reduction)
    if not bend > 0:
        raise ValueError(f"huber_loss: delta: expected more than 0, got {delta}")
    x, t = pair_of("huber_loss", input, target)
    if weight is None:
        return pair_loss(HUBER_LOSS, PD_huber_fwd, x, t, plain("huber_loss", x, reduction, bend, 1))
    loss = weighted("huber_loss", functools.partial(huber_loss, delta=delta), x, t, weight, "sum" if how == MEAN else reduction)
    return div(loss, float(x.numel)) if how == MEAN else loss

cdef object huber_loss_backward(Node node, object dy):
    """dx = b clamp(x - t, -a, a)."""
    if not grad_enabled():
        return both_signs(node, pair_gradient(node, PD_huber_fwd, dy))
    a, b = node.extra[3:5]
    return both_signs(node, mul(mul(clamp(sub(node.kept(0), node.kept(2)), -a, a), b), mean_share(node, dy)))

cdef Op SMOOTH_L1_LOSS = op(smooth_l1_loss, huber_loss_backward)
cdef Op HUBER_LOSS = op(huber_loss, huber_loss_backward)

cdef object inside(Tensor x):
    return logical_and(ge(x, 0.0), le(x, 1.0))

cdef int refuse_outside(str name, Tensor x, str what) except -1:
    cdef object within = inside(x)
    if not within.all():
        raise ValueError(f"{name}: expected {what} between 0 and 1, got {x.detach().reshape(-1)[int(within.reshape(-1).argmin())].item()} "
                         f"(shape {shape_of(x)}); for logits use {name}_with_logits")
    return 0

def binary_cross_entropy(input, target, weight=None, *, reduction="mean"):
    """loss = -w (t log x + (1 - t) log(1 - x)), logs not below -100: cross entropy of the probabilities x and t.

    input and target (0 .. 1) of the same shape, whose types promote to a float; weight w broadcasts to it. Raises ValueError
    for values outside 0 .. 1 and shapes that do not fit, TypeError where both are integers, RuntimeError for a weight that
    requires grad.
    """
    cdef str name = "binary_cross_entropy"
    cdef Tensor x, t, total, loss
    x, t = pair_of(name, input, target)
    total = empty(x.code, 0, x.sizes)
    loss = pair_loss(PROB_LOSS, PD_prob_fwd, x, t, (reduction_of(name, reduction), spread_over(name, x, weight, "weight"),
                                                    None, 0, 0, x.numel), total)
    check_probabilities(name, x.detach(), t.detach(), total)
    return loss

cdef int check_probabilities(str name, object x, object t, Tensor total) except -1:
    """The kernel has made `total` NaN where something is outside 0 .. 1 (or where a weight is NaN)."""
    cdef Recorder capture = recorder() if capturing[0] else None
    cdef Recorder paused
    cdef Tensor fits
    if capture is not None:     # a replay looks, too
        fits = cast(logical_and(inside(x).all(), inside(t).all()), PD_I64)
        capture.check(<int64_t *>fits.data, 1, 2, ProbabilityCheck(name, x, t, fits))
    paused = pause() if capture is not None else None
    try:
        if isnan(total.item()):
            ProbabilityCheck(name, x, t, total).refuse()
    finally:
        resume(paused)
    return 0

cdef class ProbabilityCheck:
    """Raises for values outside 0 .. 1, at once or where a replay comes to it."""
    cdef str name
    cdef Tensor x, t, flag

    def __init__(self, str name, Tensor x, Tensor t, Tensor flag):
        self.name, self.x, self.t, self.flag = name, x, t, flag

    cdef int refuse(self) except -1:
        refuse_outside(self.name, self.x, "input")
        refuse_outside(self.name, self.t, "target")
        return 0

    def tensors(self):
        return [self.x, self.t, self.flag]

    def __call__(self):
        self.refuse()

cdef object prob_loss_backward(Node node, object dy):
    """dx = w (x - t) / max(x (1 - x), 1e-12), dt = w (log(1 - x) - log x)."""
    cdef Tensor x, t
    cdef object dx = None, dt = None, w = node.extra[1]
    if not grad_enabled() and not node.need(1):
        return pair_gradient(node, PD_prob_fwd, dy), None
    x, t = node.kept(0), node.kept(2)
    dy = mean_share(node, dy)
    if w is not None:
        dy = mul(dy, w)
    if node.need(0):
        dx = mul(div(sub(x, t), clamp(mul(x, sub(1.0, x)), 1e-12)), dy)
    if node.need(1):
        dt = mul(sub(clamp(log1p(neg(x)), -100.0), clamp(log(x), -100.0)), dy)
    return dx, dt

cdef Op PROB_LOSS = op(binary_cross_entropy, prob_loss_backward)

def kl_div(input, target, *, reduction="mean", log_target=False):
    """loss = t (log t - x) of log-probabilities x and probabilities t (0 log 0 = 0); log_target: exp(t) (t - x).

    "batchmean": the sum divided by the first size; the divergence is that, "mean" divides by the number of elements. Shapes
    and errors as in mse_loss.
    """
    cdef Tensor x, t
    cdef int how
    x, t = pair_of("kl_div", input, target)
    if reduction == "batchmean":
        how, count = MEAN, 1 if x.ndim == 0 else x.sizes[0]
    else:
        how, count = reduction_of("kl_div", reduction), x.numel
    return pair_loss(KL_DIV, PD_kl_fwd, x, t, (how, None, None, bool(log_target), 0, count))

cdef object kl_div_backward(Node node, object dy):
    """dx = -t, dt = 1 + log t - x; of a logarithm t: dx = -exp(t), dt = exp(t) (1 + t - x)."""
    cdef Tensor x, t
    cdef object dx = None, dt = None
    if not grad_enabled() and not node.need(1):
        return pair_gradient(node, PD_kl_fwd, dy), None
    x, t = node.kept(0), node.kept(2)
    dy = mean_share(node, dy)
    of_log = node.extra[3]
    if node.need(0):
        dx = mul(neg(exp(t) if of_log else t), dy)
    if node.need(1):
        dt = mul(exp(t), add(sub(t, x), 1.0)) if of_log else add(sub(log(t), x), 1.0)
        dt = mul(dt, dy)
    return dx, dt

cdef Op KL_DIV = op(kl_div, kl_div_backward)

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "kl_div", "l1_loss", "mse_loss", "smooth_l1_loss"]
METHODS = []
