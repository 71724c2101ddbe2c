"""The walk back over the tape: an iterative topological order, gradients summed on the way, memory freed as it goes."""
from cpython.bytes cimport PyBytes_AsString
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdlib cimport free, realloc

from pydl._core.launch cimport contiguous, duplicate, filled, map2, map_into
from pydl._core.tape cimport changed as count_change
from pydl._core.tape cimport (
    Node, Output, anomaly_enabled, check_gradient, edge_of, grad_enabled, set_anomaly, set_grad_enabled,
)
from pydl._core.dtypes cimport dtype_of
from pydl._core.kernels cimport PD_BACKWARD
from pydl._core.native cimport capture_flag, trace_flag, trace_scope
from pydl._core.recording cimport Recorder, note_gradient, recorder
from pydl._core.trace cimport op_number
from pydl._core.tensor cimport Tensor, same_shape, shape_of, strides_overlap

cdef extern from "pydl.h":
    enum: PD_add

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)

cdef const int *tracing = trace_flag()
cdef const int *capturing = capture_flag()
cdef object add = None      # ops, bound by the library
cdef object sum_to = None

def bind_ops(addition, unbroadcast):
    """Gives the walk its two ops: addition of gradients and the sum that undoes a broadcast."""
    global add, sum_to
    add, sum_to = addition, unbroadcast


include "walk_parts.pxi"


cdef class Walk:
    """One run back from some roots."""
    cdef Pile order         # nodes, children before parents
    cdef Pile stack         # nodes whose edges are being followed
    cdef list interrupted   # what this walk took over from one further out, which a hook or a Function interrupted
    cdef long thread
    cdef dict leaves        # id of a leaf -> Leaf
    cdef dict wanted        # autograd.grad: id of node or leaf -> {output index: positions}
    cdef list found         # autograd.grad: the gradients
    cdef bint keep_graph
    cdef bint create_graph

    def __dealloc__(self):
        while self.order.count:
            taken(&self.order)
        while self.stack.count:
            taken(&self.stack)
        free(self.order.nodes)
        free(self.stack.nodes)

    cdef int visit(self, list roots) except -1:
        """Fills `order` by depth-first search."""
        cdef Node node
        for edge in roots:
            self.enter(edge)
            while self.stack.count:
                node = <Node>self.stack.nodes[self.stack.count - 1]
                if node.cursor < len(node.edges):
                    edge = node.edges[node.cursor]
                    node.cursor += 1
                    if edge is not None:
                        self.enter(edge)
                else:
                    put(&self.order, node)
                    taken(&self.stack)
                    if self.wanted is not None:
                        self.mark_wanted(node)
        return 0

    cdef int enter(self, object edge) except -1:
        cdef Node node
        if isinstance(edge, Output):
            edge = (<Output>edge).node
        if not isinstance(edge, Node):
            return 0
        node = <Node>edge
        if node.run is self:
            return 0
        if node.run is not None:
            if (<Walk>node.run).thread != self.thread:
                raise RuntimeError(f"{node.op.name}: a backward in another thread is walking this graph")
            self.interrupted.append((node, node.run, node.cursor, node.total, node.total_owned, node.wanted))
            node.total, node.wanted = None, <size_t>-1
        put(&self.stack, node)
        node.run = self
        node.cursor = 0
        return 0

    cdef int mark_wanted(self, Node node) except -1:
        """Only edges that lead to a wanted input are followed."""
        cdef size_t bits = 0
        cdef int i = 0
        for edge in node.edges:
            if self.leads(edge):
                bits |= <size_t>1 << min(i, 63)
            i += 1
        node.wanted = bits
        return 0

    cdef bint leads(self, object edge) except -1:
        if edge is None:
            return False
        if isinstance(edge, Output):
            edge = (<Output>edge).node
        return id(edge) in self.wanted or isinstance(edge, Node) and (<Node>edge).wanted != 0

    cdef int give(self, object edge, object grad) except -1:
        """Adds a gradient to what an edge points to."""
        cdef Node node
        cdef Leaf leaf
        cdef list totals
        cdef bint owned
        cdef int i
        if isinstance(edge, Node):
            node = <Node>edge
            if node.outputs == 1:
                if node.total is None:
                    node.total, node.total_owned = grad, False
                else:
                    node.total = self.sum(node.total, node.total_owned, grad)
                    node.total_owned = not self.create_graph
                return 0
            i = 0
        elif isinstance(edge, Output):
            node, i = (<Output>edge).node, (<Output>edge).index
        else:
            leaf = self.leaves.get(id(edge))
            if leaf is None:
                leaf = Leaf.__new__(Leaf)
                leaf.tensor = edge
                self.leaves[id(edge)] = leaf
            owned = leaf.total is not None and not self.create_graph
            leaf.total = self.sum(leaf.total, leaf.owned, grad)
            leaf.owned = owned
            return 0
        if node.total is None:
            node.total = [(None, False)] * node.outputs
        totals = node.total
        owned = totals[i][0] is not None and not self.create_graph
        totals[i] = self.sum(totals[i][0], totals[i][1], grad), owned
        return 0

    cdef object sum(self, object total, bint owned, object grad):
        """total + grad, in total's memory if that is owned. A sum that no graph knows is the walk's own from then on."""
        if total is None:
            return grad
        if self.create_graph:
            return add(total, grad)
        if owned:
            map_into(PD_add, (<Tensor>total).code, (total, grad), <Tensor>total)
            return total
        return map2(PD_add, <Tensor>total, <Tensor>grad)

    cdef int walk(self) except -1:
        """Runs the rules, consumers first."""
        cdef Node node
        cdef object dy, grads
        while self.order.count:
            node = taken(&self.order)
            dy = node.total
            node.total = None
            node.run = None
            if dy is not None:
                if node.outputs > 1:
                    dy = tuple([pair[0] for pair in dy])
                if node.hooks is not None:
                    dy = apply_hooks(node, dy)
                if self.wanted is not None:
                    self.collect(node, dy)
                if node.wanted:
                    self.differentiate(node, dy)
            node.wanted = <size_t>-1
        return 0

    cdef int differentiate(self, Node node, object dy) except -1:
        cdef bint anomaly = anomaly_enabled()
        try:
            if tracing[0]:
                trace_scope(op_number(node.op.name))
            if anomaly:
                set_anomaly(False)      # what a rule computes on the way is not the user's
            grads = node.op.rule(node, dy)
            set_anomaly(anomaly)
            if tracing[0]:
                trace_scope(PD_BACKWARD)
            self.spread(node, grads, anomaly)
        except BaseException:
            set_anomaly(anomaly)
            node.wanted = <size_t>-1
            raise
        if not self.keep_graph:
            node.release()
        return 0

    cdef int spread(self, Node node, object grads, bint anomaly) except -1:
        cdef int i
        cdef tuple edges = node.edges
        cdef const ptrdiff_t *shape
        cdef const ptrdiff_t *following = NULL if node.shapes is None else <const ptrdiff_t *>PyBytes_AsString(node.shapes)
        cdef bint many = isinstance(grads, tuple)
        if (len(<tuple>grads) if many else 1) != len(edges):
            raise RuntimeError(f"{node.op.name}: its backward returned {len(grads) if many else 1} gradients for {len(edges)} inputs")
        for i in range(len(edges)):
            shape = following
            if shape != NULL:
                following += 1 + (shape[0] if shape[0] > 0 else 0)
            grad = (<tuple>grads)[i] if many else grads
            if grad is None or not node.need(i):
                continue
            if anomaly:
                check_gradient(node, <Tensor>grad)
            if shape != NULL and not fits(<Tensor>grad, shape):
                grad = sum_to(grad, tuple([shape[1 + d] for d in range(shape[0])]))
            self.give(edges[i], grad)
        return 0

    cdef int collect(self, Node node, object dy) except -1:
        """autograd.grad: this node made wanted tensors."""
        positions = self.wanted.get(id(node))
        if positions is not None:
            for position, index in positions:
                self.found[position] = dy[index] if node.outputs > 1 else dy
        return 0

    cdef int settle(self) except -1:
        """Adds what the leaves got to their `grad`, or hands it out."""
        cdef Leaf leaf
        cdef Tensor total
        for key, item in self.leaves.items():
            leaf = <Leaf>item
            if leaf.tensor.hooks:
                leaf.owned = False      # a hook may keep it
                for hook in tuple(leaf.tensor.hooks.values()):
                    changed = hook(leaf.total)
                    if changed is not None:
                        leaf.total = replacement(leaf.total, changed)
            if self.wanted is not None:
                for position, _ in self.wanted.get(key, ()):
                    self.found[position] = leaf.total
            else:
                total, leaf.total = leaf.total, None
                self.accumulate(leaf.tensor, total, leaf.owned)
        return 0

    cdef int accumulate(self, Tensor leaf, Tensor total, bint owned) except -1:
        """The old gradient is taken away while it grows: another thread's walk that comes meanwhile leaves its own there."""
        cdef Tensor grad
        if capturing[0]:
            note_gradient(leaf, leaf.gradient)
        if leaf.gradient is None and not self.create_graph and not owned and not is_unique(total):
            total = duplicate(total)
        while leaf.gradient is not None:
            grad, leaf.gradient = leaf.gradient, None
            try:
                total = self.grown(grad, total)
            except BaseException:
                leaf.gradient = grad
                raise
        leaf.gradient = total
        return 0

    cdef Tensor grown(self, Tensor grad, Tensor total):
        """grad + total, in grad's memory where that is possible."""
        if self.create_graph:
            return add(grad, total)
        if not grad.storage.writable or not grad.contiguous and strides_overlap(grad.ndim, grad.sizes, grad.strides):
            return map2(PD_add, grad, total)
        map_into(PD_add, grad.code, (grad, total), grad)
        count_change(grad)
        return grad

    cdef int abandon(self) except -1:
        """In the end, also after an error: the graph is as if the walk had not begun."""
        cdef Node node
        while self.order.count or self.stack.count:
            node = taken(&self.order if self.order.count else &self.stack)
            node.run = node.total = None
            node.wanted = <size_t>-1
        for item in self.interrupted:
            node = <Node>item[0]
            _, node.run, node.cursor, node.total, node.total_owned, node.wanted = <tuple>item
        return 0


cdef Tensor replacement(Tensor grad, object changed):
    """What a hook returned in the place of a gradient, if it is one."""
    if not isinstance(changed, Tensor):
        raise TypeError(f"hook: expected a Tensor or None as gradient, got {type(changed).__name__}")
    if not same_shape(grad, <Tensor>changed) or grad.code != (<Tensor>changed).code:
        raise RuntimeError(
            f"hook: a gradient of shape {shape_of(grad)} of {dtype_of(grad.code)} cannot become one of shape "
            f"{shape_of(<Tensor>changed)} of {dtype_of((<Tensor>changed).code)}")
    return <Tensor>changed

cdef object apply_hooks(Node node, object dy):
    cdef list grads = list(dy) if node.outputs > 1 else [dy]
    for index, hook in tuple(node.hooks.values()):
        if grads[index] is not None:
            changed = hook(grads[index])
            if changed is not None:
                grads[index] = replacement(grads[index], changed)
    return tuple(grads) if node.outputs > 1 else grads[0]


# ---- Entry points

cdef Tensor seed_for(Tensor y):
    """A one. Whoever multiplies by it while a plan is recorded may know."""
    cdef Tensor one = filled(y.code, shape_of(y), 1)
    cdef Recorder capture = recorder() if capturing[0] else None
    if capture is not None:
        capture.seeds.append((one, one.storage.version))
    return one

cdef Tensor root_gradient(str caller, Tensor y, object given):
    if not y.needs_grad:
        raise RuntimeError(f"{caller}: a tensor of shape {shape_of(y)} does not require grad: nothing to differentiate")
    if given is None:
        if y.numel != 1:
            raise RuntimeError(f"{caller}: the gradient of a tensor of shape {shape_of(y)} must be given; only a scalar's is taken as one")
        return seed_for(y)
    if not isinstance(given, Tensor):
        raise TypeError(f"{caller}: the gradient must be a Tensor, got {type(given).__name__}")
    if not same_shape(<Tensor>given, y):
        raise ValueError(f"{caller}: the gradient has shape {shape_of(<Tensor>given)}, the tensor {shape_of(y)}")
    if (<Tensor>given).code != y.code:
        raise TypeError(f"{caller}: the gradient is {dtype_of((<Tensor>given).code)}, the tensor {dtype_of(y.code)}")
    return <Tensor>given

cdef dict wanted_positions(str caller, tuple inputs):
    """id of node or leaf -> [(position, output index)]."""
    cdef dict wanted = {}
    cdef int position = 0
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{caller}: inputs must be Tensors, got {type(x).__name__}")
        if not (<Tensor>x).needs_grad:
            raise RuntimeError(f"{caller}: input {position} of shape {shape_of(<Tensor>x)} does not require grad")
        edge = edge_of(<Tensor>x)
        if isinstance(edge, Output):
            wanted.setdefault(id((<Output>edge).node), []).append((position, (<Output>edge).index))
        else:
            wanted.setdefault(id(edge), []).append((position, 0))
        position += 1
    return wanted

def run_backward(str caller, tuple tensors, tuple gradients, bint keep_graph, bint create_graph, tuple inputs=None):
    """Differentiates; with `inputs` returns their gradients (None where unused), else adds to the leaves' grad."""
    cdef Walk walk = Walk.__new__(Walk)
    cdef list roots, grads
    cdef bint mode = grad_enabled()
    grads = [root_gradient(caller, y, dy) for y, dy in zip(tensors, gradients)]
    roots = [edge_of(<Tensor>y) for y in tensors]
    walk.interrupted, walk.leaves = [], {}
    walk.thread = PyThread_get_thread_ident()
    walk.keep_graph, walk.create_graph = keep_graph or create_graph, create_graph
    if inputs is not None:
        walk.wanted = wanted_positions(caller, inputs)
        walk.found = [None] * len(inputs)
    cdef int scope = trace_scope(PD_BACKWARD)
    try:
        set_grad_enabled(create_graph)
        walk.visit(roots)
        while roots:
            walk.give(roots.pop(0), grads.pop(0))
        walk.walk()
        walk.settle()
    finally:
        set_grad_enabled(mode)
        trace_scope(scope)
        walk.abandon()
    return walk.found


def register_node_hook(Node node, int output, object key, object function):
    """Calls function(gradient) when the gradient of an output of the node is known."""
    if node.hooks is None:
        node.hooks = {}
    node.hooks[key] = (output, function)

def remove_node_hook(Node node, object key):
    """Forgets a hook."""
    if node.hooks is not None:
        node.hooks.pop(key, None)

def has_tensor_hooks(Tensor x not None):
    """Whether a leaf has hooks."""
    return bool(x.hooks)

def tensor_hooks(Tensor x):
    """The dict of a leaf's hooks."""
    if x.hooks is None:
        x.hooks = {}
    return x.hooks

def mark_retains(Tensor x):
    """Notes that retain_grad() was called; returns whether it had been before."""
    before = x.retains
    x.retains = True
    return before

def retain_gradient(Tensor x, node, grad):
    """Adds to .grad of a non-leaf that retains it, if the node of this id (the caller) still is the one that made it."""
    if id(x.node) == node:
        x.gradient = grad if x.gradient is None else add(x.gradient, grad)
