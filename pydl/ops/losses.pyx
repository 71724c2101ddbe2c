"""Losses of class scores: cross_entropy, nll_loss. Kernels: csrc/loss.c.

The forward kernel of a loss that will be differentiated writes the gradient for dy = 1 beside the loss, while the data is in
the cache; the backward scales it and hands it on. Under create_graph the backward is made of ops instead.
"""
from libc.stdint cimport int64_t

from pydl._core.kernels cimport PD_F32, PD_F64, PD_I32, PD_I64, PD_MAX_DIMS, PD_U8, pd_launch
from pydl._core.launch cimport cast, contiguous, map_into, prepare, run
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport Recorder, recorder
from pydl._core.tape cimport Node, Op, grad_enabled, op, record, record1, recording
from pydl._core.arguments cimport int_of, number_of
from pydl._core.dtypes cimport dtype_of
from pydl._core.tensor cimport Tensor, empty, empty_for_host, empty_like, real_arg, same_shape, shape_of, tensor_arg, view_of

from pydl.ops.arithmetic import add, mul, sub
from pydl.ops.compare import ne, where
from pydl.ops.extremes import place
from pydl.ops.reduce import sum
from pydl.ops.softmax import log_softmax, softmax

cdef extern from "pydl.h":
    enum: PD_mul
    enum: PD_check_labels
    enum: PD_cross_entropy_fwd
    enum: PD_nll_fwd
    enum: PD_nll_bwd

cdef const int *capturing = capture_flag()

cdef int reduction_of(str name, object reduction) except -1:
    if reduction == "mean":
        return MEAN
    if reduction == "none":
        return NONE
    if reduction == "sum":
        return SUM
    raise ValueError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")

cdef int refuse_gradient(str name, Tensor weight, str what) except -1:
    if recording(weight):
        raise RuntimeError(f"{name}: not differentiable by {what}, which requires grad (shape {shape_of(weight)}); use {what}.detach()")
    return 0

cdef bint is_one(Tensor dy) except -1:
    if dy.numel != 1:
        return False
    if capturing[0] and recorder() is not None:
        return any([one is dy and version == dy.storage.version for one, version in recorder().seeds])
    return (<float *>dy.data)[0] == 1 if dy.code == PD_F32 else (<double *>dy.data)[0] == 1

cdef Tensor scaled(Tensor grad, object dy):
    """grad * dy, in place of grad."""
    if not is_one(<Tensor>dy):
        map_into(PD_mul, grad.code, (grad, dy), grad)
    return grad


# ---- Class scores: rows of classes

cdef int class_dim(Tensor x) noexcept:
    return 0 if x.ndim == 1 else 1

cdef Tensor scores_arg(str name, object input):
    cdef Tensor x = real_arg(name, input, "input")
    if x.ndim == 0:
        raise ValueError(f"{name}: expected input (C,), (N, C) or (N, C, d1, ...), got shape ()")
    if x.sizes[class_dim(x)] == 0:
        raise ValueError(f"{name}: expected at least one class, got input {shape_of(x)}")
    return x

cdef tuple shape_without_classes(Tensor x):
    shape = shape_of(x)
    return shape[:class_dim(x)] + shape[class_dim(x) + 1:]

cdef bint labels_fit(Tensor t, Tensor x) noexcept:
    """Whether t has x's shape without the classes."""
    cdef int d, dim = class_dim(x)
    if t.ndim != x.ndim - 1:
        return False
    for d in range(t.ndim):
        if t.sizes[d] != x.sizes[d if d < dim else d + 1]:
            return False
    return True

cdef int64_t ignored(str name, object index) except? -1:
    number = int_of(name, index, "ignore_index")
    if not -2**63 <= number < 2**63:
        raise ValueError(f"{name}: ignore_index must be an int64, got {number}")
    return number

cdef Tensor labels_arg(str name, Tensor x, object target, int64_t ignore_index):
    """The class targets as contiguous int64, checked."""
    cdef Tensor t = tensor_arg(name, target, "target")
    cdef pd_launch launch
    cdef int64_t bad = -1, classes = x.sizes[class_dim(x)]
    if t.code not in (PD_I64, PD_I32, PD_U8):
        raise TypeError(f"{name}: target must be int64 class indices, got {dtype_of(t.code)} {shape_of(t)}; use .to(pydl.int64)")
    if not labels_fit(t, x):
        raise ValueError(f"{name}: expected target {shape_without_classes(x)} for input {shape_of(x)}, got {shape_of(t)}")
    t = contiguous(cast(t, PD_I64))
    if t.numel == 0:
        return t
    prepare(&launch, PD_check_labels, PD_I64)
    launch.buf[0], launch.buf[1] = t.data, &bad
    launch.lines.outer = t.numel
    launch.scalar[0], launch.scalar[1] = classes, ignore_index
    cdef LabelCheck check
    cdef Recorder capture = recorder() if capturing[0] else None
    if capture is not None:     # a replay looks, too
        check = LabelCheck(name, t, classes, shape_of(x))
        check.bad = empty_for_host(PD_I64, 0, NULL)
        (<int64_t *>check.bad.data)[0] = -1
        launch.buf[1] = check.bad.data
    run(&launch, PD_check_labels, PD_I64, t.numel)
    if capture is not None:
        bad = (<int64_t *>check.bad.data)[0]
        capture.check(<int64_t *>check.bad.data, -1, 0, check)
    if bad >= 0:
        LabelCheck(name, t, classes, shape_of(x)).refuse(bad)
    return t

def class_labels(str name, Tensor input not None, target, ignore_index=-100):
    """The class targets of scores (N, C, ...), contiguous int64, checked for the op of that name."""
    return labels_arg(name, scores_arg(name, input), target, ignored(name, ignore_index))

cdef class LabelCheck:
    """Raises for a label out of range, at once or where a replay comes to it."""
    cdef str name
    cdef Tensor target, bad
    cdef int64_t classes
    cdef tuple shape

    def __init__(self, str name, Tensor target, int64_t classes, tuple shape):
        self.name, self.target, self.classes, self.shape = name, target, classes, shape

    cdef int refuse(self, int64_t bad) except -1:
        raise IndexError(f"{self.name}: target {(<int64_t *>self.target.data)[bad]} at position {position_text(self.target, bad)} is out "
                         f"of range for {self.classes} classes (input {self.shape}, target {shape_of(self.target)})")

    def tensors(self):
        return [self.target, self.bad]

    def __call__(self):
        self.refuse((<int64_t *>self.bad.data)[0])

cdef str position_text(Tensor t, int64_t flat):
    cdef list index = []
    cdef int d
    for d in range(t.ndim - 1, -1, -1):
        index.insert(0, flat % t.sizes[d])
        flat //= t.sizes[d]
    return str(index[0]) if len(index) == 1 else str(tuple(index))

cdef Tensor weight_arg(str name, Tensor x, object weight):
    cdef Tensor w
    if weight is None:
        return None
    w = tensor_arg(name, weight, "weight")
    if w.code != x.code:
        raise TypeError(f"{name}: input is {dtype_of(x.code)} but weight {dtype_of(w.code)}; use .to()")
    if w.ndim != 1 or w.sizes[0] != x.sizes[class_dim(x)]:
        raise ValueError(f"{name}: expected weight ({x.sizes[class_dim(x)]},), one a class of input {shape_of(x)}, got {shape_of(w)}")
    refuse_gradient(name, w, "weight")
    return contiguous(w)

cdef int rows_launch(pd_launch *launch, int kernel, Tensor x, Tensor target, Tensor weight, double smoothing,
                     int64_t ignore_index, int reduction, bint soft) except -1:
    """Geometry and scalars of csrc/loss.c; x is contiguous."""
    cdef int d, dim = class_dim(x)
    prepare(launch, kernel, x.code)
    launch.lines.n = x.sizes[dim]
    launch.lines.outer = x.sizes[0] if dim else 1
    launch.lines.inner = 1
    for d in range(dim + 1, x.ndim):
        launch.lines.inner *= x.sizes[d]
    launch.buf[0], launch.buf[1] = x.data, target.data
    launch.buf[2] = NULL if weight is None else weight.data
    launch.buf[4] = NULL
    launch.scalar[0], launch.scalar[1], launch.scalar[2], launch.scalar[3] = smoothing, ignore_index, reduction, soft
    return 0

cdef Tensor loss_like(Tensor x, int reduction):
    """The result of a loss of x: x's shape without the classes, or ()."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int d, dim = class_dim(x)
    for d in range(x.ndim - 1):
        sizes[d] = x.sizes[d if d < dim else d + 1]
    return empty(x.code, x.ndim - 1 if reduction == NONE else 0, sizes)


# ---- Cross entropy

cdef tuple run_cross_entropy(Tensor input, Tensor target, Tensor weight, tuple how, bint with_gradient):
    """(loss, its gradient for dy = 1 or None)."""
    cdef pd_launch launch
    cdef Tensor x = contiguous(input), loss, grad = None
    smoothing, ignore_index, reduction, soft = how
    rows_launch(&launch, PD_cross_entropy_fwd, x, target, weight, smoothing, ignore_index, reduction, soft)
    loss = loss_like(x, reduction)
    launch.buf[3] = loss.data
    if with_gradient:
        grad = empty_like(x)
        launch.buf[4] = grad.data
    run(&launch, PD_cross_entropy_fwd, x.code, x.numel)
    return loss, grad

def cross_entropy(input, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """loss = sum_c Q_c (log(sum(exp(x))) - x_c): softmax and cross entropy in one.

    input: logits (C,), (N, C) or (N, C, d1, ...), float32 or float64.
    target: classes, int64 (), (N,) or (N, d1, ...): Q_c = w_c ((1 - e) [c = t] + e / C), e the label smoothing;
    or probabilities of the input's shape and type: Q_c = w_c ((1 - e) q_c + e / C), differentiable, too.
    weight (C,). Rows whose target is ignore_index have loss and gradient 0.
    reduction: "none" gives one loss a row; "mean" divides their sum by the sum of w_t of the rows that are not ignored
    (probabilities: by the number of rows), 0 / 0 being NaN; "sum".
    Raises IndexError for a label out of range, ValueError for shapes and values that do not fit, TypeError for dtypes,
    RuntimeError for a weight that requires grad.
    Szegedy et al., "Rethinking the Inception architecture", 2016 (label smoothing).

    >>> logits = pydl.tensor([[2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = nn.functional.cross_entropy(logits, pydl.tensor([0, 1]))
    >>> loss.backward()
    >>> round(loss.item(), 4), logits.grad.round(decimals=4).tolist()[1]
    (0.41, [0.25, -0.25])
    """
    cdef Tensor x = scores_arg("cross_entropy", input), t = tensor_arg("cross_entropy", target, "target"), w, loss, grad
    cdef bint soft = t.code <= PD_F64, recorded
    cdef int how = reduction_of("cross_entropy", reduction)
    cdef Node node
    label_smoothing, ignore_index = number_of("cross_entropy", label_smoothing, "label_smoothing"), ignored("cross_entropy", ignore_index)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}")
    w = weight_arg("cross_entropy", x, weight)
    if soft:
        if not same_shape(t, x):
            raise ValueError(f"cross_entropy: expected target probabilities of the input's shape {shape_of(x)}, got {shape_of(t)}")
        if t.code != x.code:
            raise TypeError(f"cross_entropy: input is {dtype_of(x.code)} but target {dtype_of(t.code)}; use .to()")
    else:
        t = labels_arg("cross_entropy", x, t, ignore_index)
    attributes = (label_smoothing, ignore_index, how, soft)
    recorded = recording(x) or (soft and recording(t))
    loss, grad = run_cross_entropy(x, contiguous(t), w, attributes, recorded)
    node = record(CROSS_ENTROPY, loss, (x, t if soft else None))
    if node is not None:
        node.shapes = None
        node.keep(0, x)
        node.keep(1, grad)
        node.keep(2, t)
        if w is not None:
            node.keep(3, w)
        node.extra = attributes
    return loss

cdef object cross_entropy_backward(Node node, object dy):
    cdef Tensor x = node.kept(0), grad = node.kept(1), t = node.kept(2), w = node.kept(3)
    cdef int reduction = node.extra[2]
    cdef bint soft = node.extra[3]
    if grad_enabled() or (soft and node.need(1)):
        return cross_entropy_composed(node, x, t, w, dy)
    if grad is None:    # an earlier walk back took it
        grad = run_cross_entropy(x, contiguous(t), w, node.extra, True)[1]
    node.slot1 = None
    return scaled(grad, dy.unsqueeze(class_dim(x)) if reduction == NONE else dy), None

cdef object cross_entropy_composed(Node node, Tensor x, Tensor t, Tensor w, object dy):
    """dx = (softmax(x) sum(Q) - Q) dy / total; dq = -w (1 - e) log_softmax(x) dy / total."""
    smoothing, ignore_index, reduction, soft = node.extra
    cdef int dim = class_dim(x)
    cdef object classes = x.sizes[dim], per_class = None, dq = None
    even, keep = smoothing / classes, 1 - smoothing
    if w is not None:
        per_class = w.reshape((classes,) + (1,) * (x.ndim - 1 - dim))
    if soft:
        q = add(mul(t, keep), even)
        if w is not None:
            q = mul(q, per_class)
        total = x.numel // classes
    else:
        counts = cast(ne(t, ignore_index), x.code)
        label = where(ne(t, ignore_index), t, 0)
        own = counts if w is None else mul(w[label], counts)
        q = place(mul(own, keep).unsqueeze(dim), label.unsqueeze(dim), dim, classes)
        if smoothing:
            smooth = mul(counts.unsqueeze(dim), even)
            q = add(q, smooth if w is None else mul(smooth, per_class))
        total = sum(own).item() if reduction == MEAN else 1
    if reduction == MEAN:
        dy = mul(dy, 1 / total if total else float("inf"))
    elif reduction == NONE:
        dy = dy.unsqueeze(dim)
    if soft and node.need(1):
        dq = mul(mul(log_softmax(x, dim), -keep if w is None else mul(per_class, -keep)), dy)
    dx = mul(sub(mul(softmax(x, dim), sum(q, dim, True)), q), dy) if node.need(0) else None
    return dx, dq

cdef Op CROSS_ENTROPY = op(cross_entropy, cross_entropy_backward)


# ---- Negative log-likelihood

def nll_loss(input, target, weight=None, *, ignore_index=-100, reduction="mean"):
    """loss = -w_t x_t for log-probabilities x.

    input (C,), (N, C) or (N, C, d1, ...); target int64 (), (N,) or (N, d1, ...); weight (C,). ignore_index, reduction and
    errors as in cross_entropy.
    """
    cdef Tensor x = scores_arg("nll_loss", input), t, w, plain, loss
    cdef int how = reduction_of("nll_loss", reduction)
    cdef pd_launch launch
    cdef Node node
    w = weight_arg("nll_loss", x, weight)
    ignore_index = ignored("nll_loss", ignore_index)
    t = labels_arg("nll_loss", x, target, ignore_index)
    plain = contiguous(x)
    rows_launch(&launch, PD_nll_fwd, plain, t, w, 0, ignore_index, how, False)
    loss = loss_like(x, how)
    launch.buf[3] = loss.data
    run(&launch, PD_nll_fwd, x.code)
    node = record1(NLL_LOSS, loss, x)
    if node is not None:
        node.keep(0, t)
        if w is not None:
            node.keep(1, w)
        node.extra = (shape_of(x), ignore_index, reduction)
    return loss

cdef object nll_loss_backward(Node node, object dy):
    shape, ignore_index, reduction = node.extra
    return nll_loss_bwd(dy, node.kept(0), shape, node.kept(1), ignore_index=ignore_index, reduction=reduction)

cdef Op NLL_LOSS = op(nll_loss, nll_loss_backward)

def nll_loss_bwd(dy, target, shape, weight=None, *, ignore_index=-100, reduction="mean"):
    """The gradient of nll_loss in its input, of the given shape: -w_t dy at the targets (divided as "mean" does), else 0."""
    cdef Tensor given = real_arg("nll_loss_bwd", dy, "dy"), g = contiguous(given)
    cdef Tensor t = contiguous(tensor_arg("nll_loss_bwd", target, "target"))
    cdef Tensor w = None if weight is None else contiguous(tensor_arg("nll_loss_bwd", weight, "weight")), dx
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef pd_launch launch
    cdef Node node
    cdef int d, ndim = len(shape), how = reduction_of("nll_loss_bwd", reduction)
    cdef tuple per_row = tuple(shape[:1 if ndim > 1 else 0]) + tuple(shape[2:])
    if ndim == 0 or t.ndim != ndim - 1 or shape_of(t) != per_row or shape_of(g) != (per_row if how == NONE else ()):
        raise ValueError(f"nll_loss_bwd: dy {shape_of(g)}, target {shape_of(t)} and the shape {tuple(shape)} do not fit")
    for d in range(ndim):
        sizes[d] = shape[d]
    dx = empty(g.code, ndim, sizes)
    t, w = labels_arg("nll_loss_bwd", dx, t, ignore_index), weight_arg("nll_loss_bwd", dx, w)
    rows_launch(&launch, PD_nll_bwd, dx, t, w, 0, ignore_index, how, False)
    launch.buf[0], launch.buf[3] = g.data, dx.data
    run(&launch, PD_nll_bwd, dx.code)
    node = record1(NLL_LOSS_BWD, dx, given)
    if node is not None:
        node.keep(0, t)
        if w is not None:
            node.keep(1, w)
        node.extra = (ignore_index, reduction)
    return dx

cdef object nll_loss_bwd_backward(Node node, object ddx):
    """The map is the transpose of nll_loss, which is linear."""
    ignore_index, reduction = node.extra
    return nll_loss(ddx, node.kept(0), node.kept(1), ignore_index=ignore_index, reduction=reduction)

cdef Op NLL_LOSS_BWD = op(nll_loss_bwd, nll_loss_bwd_backward)


__all__ = ["cross_entropy", "nll_loss"]
METHODS = []
