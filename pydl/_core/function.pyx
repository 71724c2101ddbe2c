"""What autograd.Function (custom Functions on the tape) and nn.Module (its call) need below Python."""
cimport cython
from pydl._core.dtypes cimport dtype_of
from pydl._core.launch cimport filled
from pydl._core.tape cimport Node, Op, grad_enabled, rebase, record, unregistered_op, what_changed
from pydl._core.tensor cimport Tensor, alias_of, shape_of

cdef object to_type = None      # the op to(dtype), bound by the library

def bind_ops(to):
    """Gives custom Functions the op that converts a gradient to its input's type."""
    global to_type
    to_type = to



@cython.binding(False)
cdef class Context:
    """What forward leaves for backward: saved tensors, with the version each had, and any attributes."""
    cdef list saved             # (tensor, version, output index or -1)
    cdef tuple to_save
    cdef Node node
    cdef public tuple needs_input_grad
    cdef public bint materialize_grads
    cdef public tuple dirty_tensors
    cdef public tuple non_differentiable
    cdef dict __dict__

    def __cinit__(self):
        self.to_save = self.dirty_tensors = self.non_differentiable = ()
        self.materialize_grads = True

    def save_for_backward(self, *tensors):
        """Keeps inputs or outputs for backward, where they are ctx.saved_tensors."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(f"save_for_backward: expected Tensors or None, got {type(tensor).__name__}")
        self.to_save = tensors

    def mark_dirty(self, *tensors):
        """Names inputs that forward changed in place."""
        self.dirty_tensors = tensors

    def mark_non_differentiable(self, *tensors):
        """Names outputs that have no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value):
        """Whether missing gradients reach backward as zeros (True) or None."""
        self.materialize_grads = value

    @property
    def saved_tensors(self):
        """What save_for_backward was given."""
        cdef Tensor x
        cdef list out = []
        if self.saved is None:
            return self.to_save
        for tensor, version, index in self.saved:
            x = tensor
            if x is not None and x.storage.version != version:
                raise RuntimeError(f"{self.node.op.name}: a saved tensor of shape {shape_of(x)} was {what_changed(x, version)}")
            if x is not None and index >= 0 and grad_enabled():
                x = alias_of(x)
                x.node, x.needs_grad, x.output_index = self.node, True, index
            out.append(x)
        return tuple(out)

    cdef int settle(self, tuple outputs) except -1:
        """Saved outputs are kept as aliases, so that no reference cycle arises."""
        cdef Tensor x
        self.saved = []
        for tensor in self.to_save:
            x = tensor
            index = -1
            for i, output in enumerate(outputs):
                if output is x:
                    index = i
            self.saved.append((x if index < 0 else alias_of(x), 0 if x is None else x.storage.version, index))
        self.to_save = ()
        return 0


# ---- Backward

cdef object function_backward(Node node, object dy):
    cdef Context ctx
    function, inputs, count = node.extra
    if node.context is None:
        raise RuntimeError(
            f"{function.__name__}: backward through this graph a second time, but what it kept is freed; "
            "pass retain_graph=True the first time")
    ctx = node.context
    grads = dy if node.outputs > 1 else (dy,)
    if ctx.materialize_grads and node.outputs > 1:
        grads = tuple([filled(code, shape, 0) if g is None else g for g, (code, shape) in zip(grads, node.metas)])
    ctx.node = node
    try:
        result = function.backward(ctx, *grads)
    finally:
        ctx.node = None
    if not isinstance(result, tuple):
        result = (result,)
    if len(result) < count or any(grad is not None for grad in result[count:]):
        raise RuntimeError(f"{function.__name__}: backward returned {len(result)} gradients for {count} inputs")
    return tuple([fitting(function, position, result[position], code, shape) for position, code, shape in inputs])

cdef object fitting(object function, int position, object grad, int code, tuple shape):
    """A gradient that backward returned, in the type of its input; its shape is the input's or was broadcast from it."""
    if grad is None:
        return None
    if not isinstance(grad, Tensor):
        raise TypeError(f"{function.__name__}: backward returned a {type(grad).__name__} as gradient of input {position}")
    cdef tuple got = shape_of(<Tensor>grad)
    cdef int skipped = len(got) - len(shape)
    if skipped < 0 or any(want != 1 and want != size for want, size in zip(shape, got[skipped:])):
        raise RuntimeError(f"{function.__name__}: backward returned a gradient of shape {got} for input {position} of shape {shape}")
    return grad if (<Tensor>grad).code == code else to_type(grad, dtype_of(code))


# ---- Forward

cdef Tensor recorded_as(object function, Tensor y, tuple args, Context ctx):
    """What stands for an output on the tape: an input that comes back, changed in place or not, is stood for by an alias."""
    if not any(y is arg for arg in args):
        return y
    if any(y is dirty for dirty in ctx.dirty_tensors) and grad_enabled() and y.needs_grad and y.node is None:
        raise RuntimeError(f"{function.__name__}: a leaf tensor that requires grad cannot be changed in place; use clone() before the change")
    return alias_of(y)

def record_function(function, Context ctx, object outputs, tuple args):
    """Attaches the tensors among the outputs of a custom Function (one, or a tuple) to its tensor arguments."""
    cdef Op made = unregistered_op(function.__name__, function_backward)
    cdef tuple every = tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)
    cdef tuple tensors = tuple([y for y in every if isinstance(y, Tensor)])
    cdef tuple results = tuple([recorded_as(function, <Tensor>y, args, ctx) for y in tensors])
    cdef tuple inputs = tuple([(i, (<Tensor>x).code, shape_of(<Tensor>x)) for i, x in enumerate(args) if isinstance(x, Tensor)])
    cdef Node node = None
    if results:
        node = record(made, results[0] if len(results) == 1 else results, tuple([args[i] for i, _, _ in inputs]))
    if node is not None:
        node.extra = (function, inputs, len(args))
        node.context = ctx
        for y, result in zip(tensors, results):
            if any(y is other for other in ctx.non_differentiable):
                (<Tensor>result).node, (<Tensor>result).needs_grad = None, False
    ctx.settle(tensors)
    given = iter([replaced(<Tensor>y, <Tensor>result, ctx) for y, result in zip(tensors, results)])
    every = tuple([next(given) if isinstance(y, Tensor) else y for y in every])
    return every if isinstance(outputs, (tuple, list)) else every[0]

cdef Tensor replaced(Tensor y, Tensor result, Context ctx):
    """What the caller gets: an input that was changed in place is itself again, in its new place in the graph."""
    if result is y or not any(y is dirty for dirty in ctx.dirty_tensors):
        return result
    if grad_enabled() and (y.needs_grad or result.needs_grad):
        rebase(y, result)
    return y


# ---- Modules

def module_call(self, *inputs, **named):
    """A call of a module is a call of its `forward`, unless there are hooks. In Python each call of a layer would be two."""
    if self._hooks is not None:
        return self._call_with_hooks(inputs, named)
    if named:
        return self.forward(*inputs, **named)
    return self.forward(inputs[0]) if len(inputs) == 1 else self.forward(*inputs)   # the former makes no bound method
