"""The tape: nodes that remember how a tensor was made, with what they keep for the way back."""
import sys

cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.ref cimport Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_New, PyTuple_SetItem

from pydl._core.tensor cimport (
    Tensor, alias_of, inference_enabled, same_shape, set_inference, shape_of, strides_of, strides_overlap,
)
from pydl._core.kernels cimport PD_F64
from pydl._core.native cimport capture_flag, trace_flag
from pydl._core.recording cimport Recorder, recorder
from pydl._core.trace cimport trace_made

registry = {}   # the ops: name -> Op
cdef const int *tracing = trace_flag()
cdef const int *capturing = capture_flag()


@cython.binding(False)
cdef class Op:
    """An op of the registry: its name, its Python function and its backward rule."""

    def __init__(self):
        raise TypeError("Op: registered by the ops files only")

    @property
    def differentiable(self):
        """Whether it has a backward rule."""
        return self.rule != NULL

    def __repr__(self):
        return f"<Op {self.name}>"

cdef Op op(object forward, backward_rule rule):
    return register(Op.__new__(Op), forward, rule)

cdef Op register(Op new, object forward, backward_rule rule):
    new.name, new.forward = forward.__name__, forward
    new.rule = rule
    if new.name in registry:
        raise ValueError(f"op {new.name} is registered twice")
    registry[new.name] = new
    return new

cdef Op unregistered_op(str name, backward_rule rule):
    cdef Op new = Op.__new__(Op)
    new.name = name
    new.rule = rule
    return new


# ---- Modes, one set per thread

cdef extern from *:
    """
    static _Thread_local char pd_grad_enabled = 1, pd_anomaly = 0;
    """
    bint pd_grad_enabled
    bint pd_anomaly

cdef bint grad_enabled() noexcept:
    return pd_grad_enabled

cdef int set_grad_enabled(bint enabled) except -1:
    global pd_grad_enabled
    pd_grad_enabled = enabled
    return 0

def get_modes():
    """(gradients recorded, inference mode, anomaly mode) of this thread."""
    return pd_grad_enabled, inference_enabled(), pd_anomaly

def set_modes(bint grad, bint inference, bint anomaly):
    """Sets the modes of this thread."""
    global pd_grad_enabled, pd_anomaly
    pd_grad_enabled, pd_anomaly = grad, anomaly
    set_inference(inference)

cdef bint recording(Tensor x) except -1:
    return pd_grad_enabled and x is not None and tracked(x)


cdef bint anomaly_enabled() noexcept:
    return pd_anomaly

cdef int set_anomaly(bint enabled) except -1:
    global pd_anomaly
    pd_anomaly = enabled
    return 0


# ---- Nodes

cdef enum:
    WANTED_BITS = 64    # inputs beyond these are always wanted

@cython.final
cdef class Output:
    pass


@cython.freelist(256)
@cython.trashcan(True)
@cython.binding(False)
cdef class Node:
    """How a tensor was made: the op, edges to what it was made from, and what the backward rule needs."""

    def __init__(self):
        raise TypeError("Node: made by ops only")

    cdef bint need(self, int i) noexcept:
        return (i >= WANTED_BITS or (self.wanted >> i) & 1) and self.edges[i] is not None

    cdef int keep(self, int slot, Tensor x) except -1:
        if x.storage.inference:
            refuse_inference(self.op.name, x)
        if slot == 0: self.slot0, self.version0 = x, x.storage.version
        elif slot == 1: self.slot1, self.version1 = x, x.storage.version
        elif slot == 2: self.slot2, self.version2 = x, x.storage.version
        else: self.slot3, self.version3 = x, x.storage.version
        return 0

    cdef int keep_output(self, int slot, Tensor y) except -1:
        # An alias outside the graph: keeping y itself would make a reference cycle.
        self.own_outputs |= (y.output_index * 16 + 1) << slot * 8
        return self.keep(slot, alias_of(y))

    cdef Tensor kept(self, int slot):
        cdef Tensor x
        cdef size_t version
        if self.freed:
            raise RuntimeError(
                f"{self.op.name}: backward through this graph a second time, but what it kept is freed; "
                "pass retain_graph=True the first time")
        if slot == 0: x, version = self.slot0, self.version0
        elif slot == 1: x, version = self.slot1, self.version1
        elif slot == 2: x, version = self.slot2, self.version2
        else: x, version = self.slot3, self.version3
        if x is not None and x.storage.version != version:
            raise RuntimeError(
                f"{self.op.name}: a tensor of shape {shape_of(x)} that its backward needs was {what_changed(x, version)}; use clone() before the change")
        cdef int output = self.own_outputs >> slot * 8 & 255
        if output and pd_grad_enabled:
            x = alias_of(x)
            x.node, x.needs_grad, x.output_index = self, True, output // 16
        return x

    cdef int release(self) except -1:
        if self.slot0 is not None or self.slot1 is not None or self.slot2 is not None or self.slot3 is not None:
            self.freed = True
        self.slot0 = self.slot1 = self.slot2 = self.slot3 = None
        self.context = None
        return 0

    def name(self):
        """The op's name."""
        return self.op.name

    @property
    def next_functions(self):
        """The nodes its inputs come from, as (node or leaf tensor, output index); (None, 0) where no gradient goes."""
        return tuple([((<Output>edge).node, (<Output>edge).index) if isinstance(edge, Output) else (edge, 0) for edge in self.edges])

    def __repr__(self):
        return f"<{self.op.name} backward>"

cdef str what_changed(Tensor x, size_t version):
    """How the memory of a kept tensor differs from what it was."""
    cdef size_t now = x.storage.version
    if now >> 32 != version >> 32:
        return "given other memory (by .data)"
    return f"modified in place (version {now & 0xffffffff}, expected {version & 0xffffffff})"

cdef int refuse_inference(str name, Tensor x) except -1:
    """Outside inference_mode nobody may rely on what was made in it: its changes are not what a graph expects."""
    if not inference_enabled():
        raise RuntimeError(f"{name}: a tensor of shape {shape_of(x)} made under inference_mode cannot be changed in place, or kept for "
                           "backward, outside it; use clone()")
    return 0

cdef object edge_of(Tensor x):
    """Where the gradient of x goes."""
    cdef Output output
    if x is None or not tracked(x):
        return None
    if x.node is None:
        return x
    if (<Node>x.node).outputs == 1:
        return x.node
    output = Output.__new__(Output)
    output.node, output.index = x.node, x.output_index
    return output

cdef Node new_node(Op op):
    cdef Node node = Node.__new__(Node)
    node.op = op
    node.outputs = 1
    node.wanted = <size_t>-1
    return node

cdef int produced(Tensor y, Node node, int index) except -1:
    if y.code > PD_F64:
        return 0
    y.node, y.needs_grad, y.output_index = node, True, index
    if y.base is not None:
        y.history = y.base.history
    return 0

cdef tuple edges_of(tuple inputs):
    cdef tuple made = PyTuple_New(len(inputs))
    cdef object edge
    cdef Py_ssize_t i
    for i in range(len(inputs)):
        edge = edge_of(<Tensor>inputs[i])
        Py_INCREF(edge)         # PyTuple_SetItem takes one
        PyTuple_SetItem(made, i, edge)
    return made

cdef bytes packed_shapes(tuple inputs):
    """As Node.shapes has them: a graph of small tensors would mostly be made of tuples of ints."""
    cdef Py_ssize_t i, words = len(inputs)
    cdef PyObject *x            # borrowed
    cdef bytes packed
    cdef ptrdiff_t *to
    cdef int d, ndim
    for i in range(len(inputs)):
        x = <PyObject *>inputs[i]
        if x != <PyObject *>None:
            words += (<Tensor>x).ndim
    packed = PyBytes_FromStringAndSize(NULL, words * sizeof(ptrdiff_t))
    to = <ptrdiff_t *>PyBytes_AsString(packed)
    for i in range(len(inputs)):
        x = <PyObject *>inputs[i]
        ndim = -1 if x == <PyObject *>None else (<Tensor>x).ndim
        to[0] = ndim
        to += 1
        for d in range(ndim):
            to[d] = (<Tensor>x).sizes[d]
        to += ndim if ndim > 0 else 0
    return packed

cdef Node record1(Op op, Tensor y, Tensor a):
    cdef Node node
    if tracing[0]:
        trace_made(op.name, y, a)
    if pd_anomaly:
        check_finite(op.name, y)
    if not pd_grad_enabled or not tracked(a):
        return None
    node = new_node(op)
    node.edges = (edge_of(a),)
    if pd_anomaly:
        node.where = user_line()
    produced(y, node, 0)
    return node

cdef Node record2(Op op, Tensor y, Tensor a, Tensor b):
    cdef Node node
    if tracing[0]:
        trace_made(op.name, y, a)
    if pd_anomaly:
        check_finite(op.name, y)
    if not pd_grad_enabled or not (tracked(a) | tracked(b)):
        return None
    node = new_node(op)
    node.edges = (edge_of(a), edge_of(b))
    if not same_shape(a, b):
        node.shapes = packed_shapes((a, b))
    if pd_anomaly:
        node.where = user_line()
    produced(y, node, 0)
    return node

cdef Node record(Op op, object outputs, tuple inputs):
    cdef Node node
    cdef bint any_needs = False
    cdef bint single = isinstance(outputs, Tensor)
    cdef int i = 0
    if tracing[0]:
        trace_made(op.name, <Tensor>(outputs if single else outputs[0]), <Tensor>inputs[0] if inputs else None)
    if pd_anomaly:
        for y in (outputs,) if single else outputs:
            check_finite(op.name, y)
    for x in inputs:
        any_needs |= x is not None and tracked(<Tensor>x)
    if not pd_grad_enabled or not any_needs:
        return None
    node = new_node(op)
    node.edges = edges_of(inputs)
    node.shapes = packed_shapes(inputs)
    if pd_anomaly:
        node.where = user_line()
    if single:
        produced(outputs, node, 0)
    else:
        node.outputs = len(outputs)
        node.metas = [((<Tensor>y).code, shape_of(y)) for y in outputs]
        for y in outputs:
            produced(<Tensor>y, node, i)
            i += 1
    return node


# ---- Changes in place

cdef object as_strided = None       # the ops behind views of a changed base, bound by the library
cdef object put_strided = None
cdef object retain = None           # registers retain_grad()'s hook on the present node

def bind_views(strided_view, strided_put, retain_grad):
    """Gives the tape the ops strided_view and strided_put, and what follows a tensor that retains its gradient."""
    global as_strided, put_strided, retain
    as_strided, put_strided, retain = strided_view, strided_put, retain_grad

cdef int changed(Tensor x) except -1:
    if not x.storage.writable:
        raise ValueError("the tensor looks at read-only memory; use clone()")
    x.storage.version += 1
    if capturing[0]:
        note_change(x)
    return 0

cdef int note_change(Tensor x) except -1:
    """A replay counts the change again."""
    cdef Recorder capture = recorder()
    if capture is not None:
        capture.written.append(x.storage)
    return 0

cdef int writable_in_place(str op, Tensor x) except -1:
    if not x.storage.writable:
        raise ValueError(f"{op}: the tensor looks at read-only memory; use clone()")
    if x.storage.inference:
        refuse_inference(op, x)
    if not x.contiguous and strides_overlap(x.ndim, x.sizes, x.strides):
        raise RuntimeError(
            f"{op}: several elements of shape {shape_of(x)} with strides {strides_of(x)} lie in the same place; use clone() before the change")
    if not pd_grad_enabled:
        return 0
    tracked(x)
    if x.needs_grad and x.node is None:
        raise RuntimeError(f"{op}: a leaf tensor that requires grad cannot be changed in place; use no_grad() or clone()")
    if x.base is not None and x.base.needs_grad and not x.needs_grad:
        raise RuntimeError(f"{op}: a view made under no_grad() of a tensor that requires grad cannot be changed in place where gradients are recorded")
    if x.base is not None and x.base.needs_grad and x.base.node is None:
        raise RuntimeError(f"{op}: a view of a leaf tensor that requires grad cannot be changed in place; use no_grad() or clone()")
    return 0

cdef tuple layout_in(Tensor base, Tensor view):
    """(sizes, strides, offset) of the view in its base, which must be contiguous."""
    if not base.contiguous:
        raise RuntimeError("a view of a non-contiguous tensor cannot be changed in place while gradients are recorded; use contiguous() first")
    return (shape_of(view), tuple([view.strides[d] for d in range(view.ndim)]), (view.data - base.data) // view.itemsize)

cdef int rebase(Tensor x, Tensor result) except -1:
    """x was overwritten with the values of `result`: from now on it is result, as far as gradients go."""
    cdef Tensor base = x.base, new_base
    if base is None:
        take_place(x, result)
        x.history += 1
        return 0
    if not (result.needs_grad or base.needs_grad):
        return 0
    sizes, strides, offset = layout_in(base, x)
    new_base = put_strided(base, result, sizes, strides, offset)
    take_place(base, new_base)
    base.history += 1
    refresh_view(x)
    return 0

cdef int take_place(Tensor x, Tensor other) except -1:
    """x stands where other stands in the graph; what retain_grad() asked for goes with it."""
    x.node, x.needs_grad, x.output_index = other.node, other.needs_grad, other.output_index
    if x.retains:
        retain(x)
    return 0

cdef int refresh_view(Tensor x) except -1:
    """The base of x was changed in place: x is made from what the base is now."""
    global pd_grad_enabled
    cdef bint grad = pd_grad_enabled
    sizes, strides, offset = layout_in(x.base, x)
    x.history = x.base.history
    pd_grad_enabled = True
    try:
        take_place(x, as_strided(x.base, sizes, strides, offset))
    finally:
        pd_grad_enabled = grad
    return 0

def refresh(Tensor x not None):
    """Brings a view of a base that was changed in place up to date."""
    tracked(x)


# ---- Anomaly mode

cdef str user_line():
    """file:line of the innermost frame outside the library."""
    frame = sys._getframe(0)
    while frame is not None and (frame.f_globals.get("__name__") or "").split(".")[0] == "pydl":
        frame = frame.f_back
    return "an unknown line" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"

cdef object is_finite = None

def bind_finite(function):
    """Gives anomaly mode its test for NaN and infinity: Tensor -> True where all is finite."""
    global is_finite
    is_finite = function

cdef bint all_finite(Tensor x) except -1:
    global pd_anomaly, pd_grad_enabled
    cdef bint grad = pd_grad_enabled
    if x.code > PD_F64:
        return True
    pd_anomaly, pd_grad_enabled = False, False
    try:
        return is_finite(x)
    finally:
        pd_anomaly, pd_grad_enabled = True, grad

cdef int check_finite(str name, Tensor y) except -1:
    if not all_finite(y):
        raise RuntimeError(f"{name}: the result of shape {shape_of(y)} holds NaN or infinity, made at {user_line()}")
    return 0

cdef int check_gradient(Node node, Tensor grad) except -1:
    if not all_finite(grad):
        raise RuntimeError(
            f"{node.op.name}: its backward made NaN or infinity in a gradient of shape {shape_of(grad)}; "
            f"the forward call was at {node.where or 'a line outside anomaly mode'}")
    return 0
