"""In-place forms of the ops, and plain overwriting: values, versions and the graph stay consistent."""
from pydl._core.kernels cimport PD_F64
from pydl._core.launch cimport cast, duplicate, map_into
from pydl._core.tape cimport changed, grad_enabled, rebase, take_place, tracked, writable_in_place
from pydl._core.create cimport scalar_for
from pydl._core.dtypes cimport castable, dtype_of
from pydl._core.tensor cimport Storage, Tensor, alias_of, become, same_shape, scalar_of, shape_of, tensor_arg

cdef extern from "pydl.h":
    enum: PD_copy
    enum: PD_add
    enum: PD_sub
    enum: PD_mul
    enum: PD_div
    enum: PD_relu_fwd
    enum: PD_sigmoid_fwd
    enum: PD_tanh_fwd
    enum: PD_silu_fwd

# Kernels that may write over their first input when no graph is recorded: of a second operand, and of none.
cdef dict DIRECT = {"add_": PD_add, "sub_": PD_sub, "mul_": PD_mul, "div_": PD_div}
cdef dict ALONE = {"relu_": PD_relu_fwd, "sigmoid_": PD_sigmoid_fwd, "tanh_": PD_tanh_fwd, "silu_": PD_silu_fwd}

cdef object to_type = None     # the op to(dtype), bound by the library
cdef object expanded = None    # the op broadcast_to

def bind_ops(to, broadcast):
    """Gives copy_ the ops that convert and broadcast its source."""
    global to_type, expanded
    to_type, expanded = to, broadcast


cdef Tensor assign(str name, Tensor x, Tensor result):
    """x is overwritten with `result` and takes its place in the graph."""
    if not same_shape(x, result):
        raise ValueError(f"{name}: the result has shape {shape_of(result)}, which does not fit in place into {shape_of(x)}")
    if x.code != result.code:
        if not castable(result.code, x.code):
            raise TypeError(f"{name}: the result is {dtype_of(result.code)}, which does not fit in place into {dtype_of(x.code)}")
        result = to_type(result, dtype_of(x.code))
    if grad_enabled() and (x.needs_grad or tracked(result)):
        rebase(x, result)
    map_into(PD_copy, x.code, (result,), x)
    changed(x)
    return x

cdef bint try_direct(int kernel, Tensor x, tuple others) except -1:
    """Runs the kernel straight into x where nothing is recorded and the types agree. others: the second operand, or nothing."""
    cdef Tensor y
    if x.code > PD_F64 or (grad_enabled() and (x.needs_grad or x.base is not None and x.base.needs_grad)):
        return False
    if not others:
        map_into(kernel, x.code, (x,), x)
        changed(x)
        return True
    other = others[0]
    if isinstance(other, Tensor):
        y = <Tensor>other
        if y.code != x.code or (grad_enabled() and tracked(y)):
            return False
    elif type(other) is float or type(other) is int and -2**53 <= other <= 2**53:
        y = scalar_of(x.code, other)
    else:
        return False
    map_into(kernel, x.code, (x, y), x)
    changed(x)
    return True

cdef Tensor as_it_was(Tensor x):
    """What the op may keep for backward while x is overwritten: where gradients are recorded, a copy in x's place in the graph."""
    cdef Tensor before
    if not grad_enabled():
        return x
    before = duplicate(x)
    before.node, before.needs_grad, before.output_index = x.node, x.needs_grad, x.output_index
    return before

cdef bint recorded(Tensor x, tuple args, dict kwargs) except -1:
    """Whether an op of these would be recorded."""
    if not grad_enabled():
        return False
    if x.needs_grad or x.base is not None and x.base.needs_grad:
        return True
    for one in args + tuple(kwargs.values()):
        if isinstance(one, Tensor) and tracked(<Tensor>one):
            return True
    return False

cdef bint shares_memory(Tensor x, tuple args, dict kwargs) except -1:
    """Whether an argument looks at x's memory, perhaps through a storage of its own."""
    cdef Storage own = x.storage, other
    for one in args + tuple(kwargs.values()):
        if isinstance(one, Tensor):
            other = (<Tensor>one).storage
            if other is own or not (own.owned and other.owned) and own.data < other.data + other.nbytes and other.data < own.data + own.nbytes:
                return True
    return False

def in_place_form(forward, str name, direct=None):
    """The method `name` (`exp_`) that overwrites its tensor with forward(tensor, ...).

    direct(tensor, ...) does it at once, or returns False; it is asked where nothing is recorded and no argument shares memory.
    """
    cdef bint alone = name in ALONE
    cdef int kernel = ALONE[name] if alone else DIRECT.get(name, -1)

    def method(Tensor self not None, *args, **kwargs):
        writable_in_place(name, self)
        if kernel >= 0 and len(args) == 1 - alone and not kwargs and try_direct(kernel, self, args):
            return self
        graph = recorded(self, args, kwargs)
        if direct is not None and not graph and not shares_memory(self, args, kwargs) and direct(self, *args, **kwargs):
            changed(self)
            return self
        before = as_it_was(self) if graph else self
        args = tuple([before if arg is self else arg for arg in args])
        return assign(name, self, forward(before, *args, **kwargs))

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"{forward.__name__} in place: overwrites the tensor with the result and returns it."
    return method

def view_form(forward, str name):
    """The method `name` (`unsqueeze_`) after which its tensor is the view forward(tensor, ...) of what it was; its memory stays."""
    def method(Tensor self not None, *args, **kwargs):
        cdef Tensor before = alias_of(self), view
        cdef bint graph = tracked(self)
        if graph and grad_enabled() and self.node is None:
            raise RuntimeError(f"{name}: a leaf tensor that requires grad cannot be changed in place; use {forward.__name__}()")
        before.node, before.needs_grad, before.output_index = self.node, self.needs_grad, self.output_index
        view = forward(before, *args, **kwargs)
        become(self, view)
        if graph:
            take_place(self, view)
        return self

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"{forward.__name__} in place: gives the tensor another shape, on the same memory, and returns it."
    return method

def copy_(Tensor self not None, src, non_blocking=False):
    """Overwrites self with src (a tensor or a number), broadcast and converted to self's type; gradients go to src."""
    cdef Tensor source = scalar_for("copy_", src, self.code) if isinstance(src, (int, float)) else tensor_arg("copy_", src, "src")
    writable_in_place("copy_", self)
    if grad_enabled() and (tracked(source) or self.needs_grad or self.base is not None and self.base.needs_grad):
        return assign("copy_", self, expanded(to_type(source, dtype_of(self.code)), shape_of(self)))
    map_into(PD_copy, self.code, (cast(source, self.code),), self)
    changed(self)
    return self

def fill_(Tensor self not None, value):
    """Sets every element to value, a number or a tensor of one element."""
    cdef Tensor source = <Tensor>value if isinstance(value, Tensor) else scalar_for("fill_", value, self.code)
    if source.ndim:
        raise ValueError(f"fill_: value must be a number or a 0-dimensional tensor, got shape {shape_of(source)}")
    return copy_(self, source)

def zero_(Tensor self not None):
    """Sets every element to zero."""
    return fill_(self, 0)

def detach_(Tensor self not None):
    """Takes the tensor out of its graph; it becomes a leaf."""
    if self.base is not None:
        raise RuntimeError("detach_: a view cannot be detached in place; use detach()")
    self.node, self.needs_grad, self.output_index = None, False, 0
    return self
