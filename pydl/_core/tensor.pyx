"""The tensor itself; its memory is in tensor_memory.pxi. What a tensor can do beyond its operators is bound by pydl.tensor."""
import gc

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_WRITABLE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SetItem
from cpython.type cimport PyType_Modified
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from pydl._core.arguments cimport sizes_from, wrap_dim
from pydl._core.dtypes cimport dtype, dtype_of
from pydl._core.kernels cimport PD_F32, PD_F64, PD_I32, PD_I64, PD_MAX_DIMS, PD_U8
from pydl._core.native cimport allocate, capture_flag, release
from pydl._core.recording cimport Recorder, hold, host_read, note_constant, note_gradient, note_overwritten, recorder

cdef const int *capturing = capture_flag()

include "tensor_memory.pxi"


cdef class Operators:
    """The ops behind a tensor's operators, bound by pydl.tensor once the ops are imported."""
    cdef public object floor_divide, remainder, pow, neg, abs, matmul, unbind
    cdef public object eq, ne, lt, le, gt, ge, bitwise_and, bitwise_or, bitwise_xor, bitwise_not, bitwise_left_shift, bitwise_right_shift
    cdef public object getitem, setitem, operand, backward, refresh, represent, array, dlpack, construct, clone

operators = Operators()
cdef Operators bound = operators

cdef object not_bound(object a, object b):
    raise RuntimeError("pydl: an operator was called before the package was imported")

cdef binary add_pair = not_bound, sub_pair = not_bound, mul_pair = not_bound, div_pair = not_bound

cdef int bind_arithmetic(binary add, binary sub, binary mul, binary div) except -1:
    global add_pair, sub_pair, mul_pair, div_pair
    add_pair, sub_pair, mul_pair, div_pair = add, sub, mul, div
    return 0


def add_methods(dict methods):
    """Gives Tensor further methods and properties. Its type refuses setattr, so its dictionary is reached through the proxy."""
    gc.get_referents(Tensor.__dict__)[0].update(methods)
    PyType_Modified(Tensor)


@cython.freelist(256)
@cython.trashcan(True)
@cython.binding(False)
cdef class Tensor:
    """An n-dimensional array of one element type that may remember how it was made.

    Made by pydl.tensor, zeros, from_numpy ... `Tensor(2, 3)` has these sizes and whatever the memory holds; `Tensor([2, 3])`
    these values in the default float type; `Tensor(tensor)` is the same memory.
    """
    __array_ufunc__ = None
    __array_priority__ = 1000

    def __cinit__(self):
        self.storage = EMPTY
        self.itemsize = 4
        self.ndim = 1
        self.contiguous = True
        self.strides[0] = 1

    def __init__(self, *data, device=None):
        become(self, bound.construct(data, device))

    # ---- what it is
    @property
    def shape(self):
        """Its sizes, a tuple of ints."""
        return shape_of(self)

    def size(self, dim=None):
        """size() -> its shape; size(dim) -> the size of one dimension."""
        if dim is None:
            return shape_of(self)
        return self.sizes[wrap_dim("size", dim, self.ndim)]

    def stride(self, dim=None):
        """Steps between neighbours along each dimension, in elements."""
        if dim is None:
            return strides_of(self)
        return self.strides[wrap_dim("stride", dim, self.ndim)]

    def dim(self):
        """The number of dimensions."""
        return self.ndim

    @property
    def dtype(self):
        """The element type."""
        return dtype_of(self.code)

    def element_size(self):
        """Bytes of one element."""
        return self.itemsize

    @property
    def nbytes(self):
        """Bytes of all elements."""
        return self.numel * self.itemsize

    def is_contiguous(self, memory_format=None):
        """Whether the elements lie in row-major order without holes."""
        return self.contiguous

    def is_floating_point(self):
        """Whether the element type is float32 or float64."""
        return self.code <= PD_F64

    def data_ptr(self):
        """The address of the first element."""
        self.storage.lent += 1      # for good: who knows it may write there
        return <size_t>self.data

    def storage_offset(self):
        """Elements between the start of the memory and the first element."""
        return (self.data - self.storage.data) // self.itemsize

    @property
    def _version(self):
        return self.storage.version & VERSIONS

    # ---- its place in a graph
    @property
    def requires_grad(self):
        """Whether gradients are computed for it. Settable on leaves of a floating point type."""
        return present(self).needs_grad

    @requires_grad.setter
    def requires_grad(self, value):
        if not isinstance(value, bool):
            raise TypeError(f"requires_grad: expected a bool, got {type(value).__name__}")
        if present(self).node is not None:
            if not value:
                raise RuntimeError("requires_grad: only leaf tensors can be changed; use detach() for a tensor outside the graph")
            return
        if value and self.code > PD_F64:
            raise TypeError(f"requires_grad: only float32 and float64 tensors have gradients, this one is {dtype_of(self.code)}")
        if value and self.storage.inference and not pd_inference:
            raise RuntimeError("requires_grad: a tensor made under inference_mode takes part in no graph outside it; use clone()")
        self.needs_grad = value

    def requires_grad_(self, requires_grad=True):
        """Sets requires_grad and returns the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self):
        """Whether no op made it, as far as the graph is concerned."""
        return present(self).node is None

    @property
    def grad_fn(self):
        """The node that made it, or None for a leaf."""
        return present(self).node

    @property
    def output_nr(self):
        """Which output of grad_fn it is."""
        return self.output_index

    @property
    def grad(self):
        """The gradient accumulated by backward(), or None."""
        if capturing[0]:
            note_gradient(self, self.gradient)
        return self.gradient

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            if not same_shape(self, <Tensor>value) or (<Tensor>value).code != self.code:
                raise ValueError(
                    f"grad: expected shape {shape_of(self)} of {dtype_of(self.code)}, "
                    f"got {shape_of(value)} of {dtype_of((<Tensor>value).code)}")
        if capturing[0]:
            note_overwritten(self)
        self.gradient = value

    @grad.deleter
    def grad(self):
        if capturing[0]:
            note_overwritten(self)
        self.gradient = None

    @property
    def retains_grad(self):
        """Whether backward() keeps the gradient of this non-leaf."""
        return self.retains and present(self).node is not None

    def is_inference(self):
        """Whether it was made under inference_mode."""
        return self.storage.inference

    def detach(self):
        """The same memory outside every graph."""
        cdef Tensor y = alias_of(self)
        y.base = None
        return y

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Accumulates the gradients of this tensor in the `grad` of the leaves it was made from.

        gradient: the gradient of this tensor itself; needed unless it has one element.
        """
        bound.backward(self, gradient, retain_graph, create_graph, inputs)

    # ---- operators
    def __add__(self, other): return apply_direct(add_pair, self, other)
    def __radd__(self, other): return apply_direct(add_pair, other, self)
    def __sub__(self, other): return apply_direct(sub_pair, self, other)
    def __rsub__(self, other): return apply_direct(sub_pair, other, self)
    def __mul__(self, other): return apply_direct(mul_pair, self, other)
    def __rmul__(self, other): return apply_direct(mul_pair, other, self)
    def __truediv__(self, other): return apply_direct(div_pair, self, other)
    def __rtruediv__(self, other): return apply_direct(div_pair, other, self)
    def __floordiv__(self, other): return apply2(bound.floor_divide, self, other)
    def __rfloordiv__(self, other): return apply2(bound.floor_divide, other, self)
    def __mod__(self, other): return apply2(bound.remainder, self, other)
    def __rmod__(self, other): return apply2(bound.remainder, other, self)
    def __matmul__(self, other): return apply2(bound.matmul, self, other)
    def __rmatmul__(self, other): return apply2(bound.matmul, other, self)
    def __and__(self, other): return apply2(bound.bitwise_and, self, other)
    def __rand__(self, other): return apply2(bound.bitwise_and, other, self)
    def __or__(self, other): return apply2(bound.bitwise_or, self, other)
    def __ror__(self, other): return apply2(bound.bitwise_or, other, self)
    def __xor__(self, other): return apply2(bound.bitwise_xor, self, other)
    def __rxor__(self, other): return apply2(bound.bitwise_xor, other, self)
    def __lshift__(self, other): return apply2(bound.bitwise_left_shift, self, other)
    def __rlshift__(self, other): return apply2(bound.bitwise_left_shift, other, self)
    def __rshift__(self, other): return apply2(bound.bitwise_right_shift, self, other)
    def __rrshift__(self, other): return apply2(bound.bitwise_right_shift, other, self)
    def __eq__(self, other): return apply2(bound.eq, self, other)
    def __ne__(self, other): return apply2(bound.ne, self, other)
    def __lt__(self, other): return apply2(bound.lt, self, other)
    def __le__(self, other): return apply2(bound.le, self, other)
    def __gt__(self, other): return apply2(bound.gt, self, other)
    def __ge__(self, other): return apply2(bound.ge, self, other)
    def __pow__(self, other, modulo): return apply2(bound.pow, self, other)
    def __rpow__(self, other, modulo): return apply2(bound.pow, other, self)
    def __neg__(self): return bound.neg(self)
    def __pos__(self): return self
    def __abs__(self): return bound.abs(self)
    def __invert__(self): return bound.bitwise_not(self)
    def __iadd__(self, other): return self.add_(other)
    def __isub__(self, other): return self.sub_(other)
    def __imul__(self, other): return self.mul_(other)
    def __itruediv__(self, other): return self.div_(other)
    def __ifloordiv__(self, other): return self.floor_divide_(other)
    def __imod__(self, other): return self.remainder_(other)
    def __ipow__(self, other, modulo): return self.pow_(other)
    def __iand__(self, other): return self.bitwise_and_(other)
    def __ior__(self, other): return self.bitwise_or_(other)
    def __ixor__(self, other): return self.bitwise_xor_(other)
    def __ilshift__(self, other): return self.bitwise_left_shift_(other)
    def __irshift__(self, other): return self.bitwise_right_shift_(other)
    def __getitem__(self, index): return bound.getitem(self, index)
    def __setitem__(self, index, value): bound.setitem(self, index, value)

    def __hash__(self):
        return <Py_hash_t>(<size_t><void *>self >> 4)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len: a 0-dimensional tensor has no length")
        return self.sizes[0]

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iter: a 0-dimensional tensor cannot be iterated over")
        return iter(bound.unbind(self, 0))

    def __contains__(self, value):
        return (bound.eq(self, value)).any().item()

    def __repr__(self):
        return bound.represent(self)

    def __format__(self, spec):
        return format(self.item(), spec) if spec and self.ndim == 0 else str(self)

    # ---- values
    def item(self):
        """The one element as a Python number."""
        if self.numel != 1:
            raise ValueError(f"item: expected one element, got shape {shape_of(self)}")
        host_read("item")
        if self.code == PD_F32: return (<float *>self.data)[0]
        if self.code == PD_F64: return (<double *>self.data)[0]
        if self.code == PD_I64: return (<int64_t *>self.data)[0]
        if self.code == PD_I32: return (<int32_t *>self.data)[0]
        if self.code == PD_U8: return (<uint8_t *>self.data)[0]
        return (<uint8_t *>self.data)[0] != 0

    def __bool__(self):
        if self.numel != 1:
            raise ValueError(f"bool: the truth of a tensor of shape {shape_of(self)} is ambiguous; use any() or all()")
        return self.item() != 0

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __complex__(self):
        return complex(self.item())

    def __index__(self):
        if self.code <= PD_F64 or self.numel != 1:
            raise TypeError(f"index: only integer tensors of one element are indices, got shape {shape_of(self)} of {dtype_of(self.code)}")
        return int(self.item())

    # ---- interchange
    def __array__(self, dtype=None, copy=None):
        return bound.array(self, dtype, copy)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        host_read("dlpack")
        return bound.dlpack(self, max_version, dl_device, copy)

    def __dlpack_device__(self):
        return 1, 0

    def __getbuffer__(self, Py_buffer *view, int flags):
        host_read("numpy")
        if self.needs_grad:
            raise BufferError("a tensor that requires grad does not lend its memory; use detach()")
        if flags & PyBUF_WRITABLE and not self.storage.writable:
            raise BufferError("the tensor looks at read-only memory")
        cdef dtype kind = dtype_of(self.code)
        cdef Py_ssize_t *layout = <Py_ssize_t *>PyMem_Malloc(2 * PD_MAX_DIMS * sizeof(Py_ssize_t))
        if layout == NULL:
            raise MemoryError
        cdef int d
        for d in range(self.ndim):
            layout[d] = self.sizes[d]
            layout[PD_MAX_DIMS + d] = self.strides[d] * self.itemsize
        view.buf = self.data
        view.obj = alias_of(self)   # the memory stays even where this tensor gets another
        view.len = self.numel * self.itemsize
        view.itemsize = self.itemsize
        view.readonly = not self.storage.writable
        view.ndim = self.ndim
        view.format = kind.format if flags & PyBUF_FORMAT else NULL
        view.shape = layout
        view.strides = layout + PD_MAX_DIMS
        view.suboffsets = NULL
        view.internal = layout
        self.storage.lent += 1

    def __releasebuffer__(self, Py_buffer *view):
        PyMem_Free(view.internal)
        give_back(self.storage)


# Properties whose names are fields above.

def tensor_numel(Tensor self not None):
    """The number of elements."""
    return self.numel

def tensor_strides(Tensor self not None):
    """Steps between neighbours along each dimension, in bytes, as NumPy counts them."""
    return tuple([self.strides[d] * self.itemsize for d in range(self.ndim)])

def tensor_data(Tensor self):
    """The same memory outside every graph."""
    return alias_of(self)

def set_tensor_data(Tensor self, value):
    become(self, tensor_arg("data", value, "value"))

add_methods({
    "numel": tensor_numel,
    "strides": property(tensor_strides),
    "data": property(tensor_data, set_tensor_data),
})


cdef Tensor present(Tensor x):
    """x, once a view of a base that was changed in place is up to date."""
    if x.base is not None and x.base.history != x.history:
        bound.refresh(x)
    return x

cdef inline object operand(object x):
    """What is neither tensor nor number is converted, or refused with NotImplemented."""
    return x if isinstance(x, Tensor) or type(x) is float or type(x) is int else bound.operand(x)

cdef object apply2(object op, object a, object b):
    """An operator."""
    a, b = operand(a), operand(b)
    return NotImplemented if a is NotImplemented or b is NotImplemented else op(a, b)

cdef object apply_direct(binary op, object a, object b):
    a, b = operand(a), operand(b)
    return NotImplemented if a is NotImplemented or b is NotImplemented else op(a, b)


# ---- Shapes as tuples, arguments

cdef tuple numbers(int n, const ptrdiff_t *values):
    """As a tuple of ints, without a list on the way."""
    cdef tuple made = PyTuple_New(n)
    cdef object number
    cdef int i
    for i in range(n):
        number = values[i]
        Py_INCREF(number)       # PyTuple_SetItem takes one
        PyTuple_SetItem(made, i, number)
    return made

cdef tuple shape_of(Tensor x):
    return numbers(x.ndim, x.sizes)

cdef tuple strides_of(Tensor x):
    return numbers(x.ndim, x.strides)

cdef Tensor tensor_arg(str op, object x, str name):
    if isinstance(x, Tensor):
        return <Tensor>x
    raise TypeError(f"{op}: {name} must be a Tensor, got {type(x).__name__}; make one with pydl.tensor()")

cdef Tensor real_arg(str op, object x, str name):
    cdef Tensor t = tensor_arg(op, x, name)
    if t.code > PD_F64:
        raise TypeError(f"{op}: {name} must be float32 or float64, got {dtype_of(t.code)}; convert it with .to(pydl.float32)")
    return t
