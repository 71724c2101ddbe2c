"""Custom Functions on the tape: what autograd.Function needs below Python."""
from pydl._core.tape cimport Node, Op, grad_enabled, record, unregistered_op
from pydl._core.tensor cimport Tensor, alias_of, shape_of
from pydl._core.launch cimport filled


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
                raise RuntimeError(f"{self.node.op.name}: a saved tensor of shape {shape_of(x)} was modified in place (version {x.storage.version}, expected {version})")
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


cdef object function_backward(Node node, object dy):
    cdef Context ctx
    function, positions, count = node.extra
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
    if len(result) != count:
        raise RuntimeError(f"{function.__name__}: backward returned {len(result)} gradients for {count} inputs")
    for position in positions:
        grad = result[position]
        if grad is not None and not isinstance(grad, Tensor):
            raise TypeError(f"{function.__name__}: backward returned a {type(grad).__name__} as gradient of input {position}")
    return tuple([result[position] for position in positions])


def record_function(function, Context ctx, object outputs, tuple args):
    """Attaches outputs of a custom Function (a Tensor or a tuple with Tensors) to its tensor arguments."""
    cdef Op made = unregistered_op(function.__name__, function_backward)
    cdef bint single = isinstance(outputs, Tensor)
    cdef tuple every = (outputs,) if single else tuple(outputs)
    cdef tuple positions = tuple([i for i, arg in enumerate(args) if isinstance(arg, Tensor)])
    cdef list results = []
    for y in every:
        if not isinstance(y, Tensor):
            raise TypeError(f"{function.__name__}: forward must return Tensors, got {type(y).__name__}")
        results.append(alias_of(<Tensor>y) if any(y is arg for arg in args) and not any(y is d for d in ctx.dirty_tensors) else y)
    marked = tuple([any(y is other for other in ctx.non_differentiable) for y in every])
    every = tuple(results)
    cdef Node node = record(made, every[0] if len(every) == 1 else every, tuple([args[i] for i in positions]))
    if node is not None:
        node.extra = (function, positions, len(args))
        node.context = ctx
        for y, constant in zip(every, marked):
            if constant:
                (<Tensor>y).node, (<Tensor>y).needs_grad = None, False
    ctx.settle(every)
    return every[0] if single else every
