"""New tensors: zeros, ones, ranges, copies of a shape."""
import numpy as np

from pydl._core.kernels cimport PD_F32, PD_I64, PD_MAX_DIMS
from pydl._core.launch cimport cast, fill, map_into
from pydl._core.arguments cimport sizes_from
from pydl._core.dtypes cimport code_of
from pydl._core.tensor cimport Tensor, empty as new_empty, scalar_of, shape_of, tensor_arg, view_of
from pydl._core.numpy_bridge import make_tensor

cdef extern from "pydl.h":
    enum: PD_copy

cdef object MAX_STEPS = 2**60   # elements of eight bytes that an address can count


cdef Tensor allocate(str op, tuple size, object dtype):
    """size: (2, 3) or ((2, 3),)."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int ndim = sizes_from(op, size[0] if len(size) == 1 else size, sizes)
    cdef int code = PD_F32 if dtype is None else code_of(dtype)
    try:
        return new_empty(code, ndim, sizes)
    except ValueError as error:
        raise ValueError(f"{op}: {error}") from None

cdef Tensor finished(Tensor x, object requires_grad):
    if requires_grad:
        x.requires_grad = True
    return x

cdef int fill_with(Tensor x, object value) except -1:
    """Exact for integers that a double cannot hold."""
    return map_into(PD_copy, x.code, (scalar_of(x.code, value),), x)


def tensor(data, *, dtype=None, requires_grad=False):
    """A new tensor with the values of numbers, nested lists, a NumPy array or a tensor.

    Python floats give float32, ints int64, bools bool; arrays keep their type. Raises ValueError for ragged lists,
    TypeError for what is not numeric.
    """
    return finished(make_tensor(data, dtype), requires_grad)

def empty(*size, dtype=None, requires_grad=False):
    """A tensor of the given sizes whose elements are whatever the memory holds."""
    return finished(allocate("empty", size, dtype), requires_grad)

def zeros(*size, dtype=None, requires_grad=False):
    """A tensor of zeros."""
    cdef Tensor x = allocate("zeros", size, dtype)
    fill(x, 0)
    return finished(x, requires_grad)

def ones(*size, dtype=None, requires_grad=False):
    """A tensor of ones."""
    cdef Tensor x = allocate("ones", size, dtype)
    fill(x, 1)
    return finished(x, requires_grad)

def full(size, fill_value, *, dtype=None, requires_grad=False):
    """A tensor that holds fill_value everywhere; its type is the value's unless dtype is given."""
    if dtype is None:
        dtype = make_tensor(fill_value).dtype
    cdef Tensor x = allocate("full", (size,), dtype)
    fill_with(x, fill_value)
    return finished(x, requires_grad)

def empty_like(input, *, dtype=None, requires_grad=False):
    """empty() with the shape and type of input."""
    cdef Tensor x = tensor_arg("empty_like", input, "input")
    return empty(shape_of(x), dtype=dtype or x.dtype, requires_grad=requires_grad)

def zeros_like(input, *, dtype=None, requires_grad=False):
    """zeros() with the shape and type of input."""
    cdef Tensor x = tensor_arg("zeros_like", input, "input")
    return zeros(shape_of(x), dtype=dtype or x.dtype, requires_grad=requires_grad)

def ones_like(input, *, dtype=None, requires_grad=False):
    """ones() with the shape and type of input."""
    cdef Tensor x = tensor_arg("ones_like", input, "input")
    return ones(shape_of(x), dtype=dtype or x.dtype, requires_grad=requires_grad)

def full_like(input, fill_value, *, dtype=None, requires_grad=False):
    """full() with the shape and type of input."""
    cdef Tensor x = tensor_arg("full_like", input, "input")
    return full(shape_of(x), fill_value, dtype=dtype or x.dtype, requires_grad=requires_grad)

def arange(start, end=None, step=1, *, dtype=None, requires_grad=False):
    """start, start + step, ... below end. int64 for ints, else float32. Raises ValueError where step leads nowhere."""
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise ValueError(f"arange: step {step} does not lead from {start} to {end}")
    if not (end - start) / step < MAX_STEPS:
        raise ValueError(f"arange: from {start} to {end} by {step} is more elements than an address can count")
    whole = all(isinstance(value, (int, np.integer)) for value in (start, end, step))
    values = np.arange(start, end, step, dtype=np.int64 if whole else np.float64)
    return ranged(values, dtype, requires_grad, whole)

def linspace(start, end, steps, *, dtype=None, requires_grad=False):
    """`steps` values from start to end, both included, evenly spaced."""
    if not 0 <= steps < MAX_STEPS:
        raise ValueError(f"linspace: steps must not be negative or more than an address can count, got {steps}")
    return ranged(np.linspace(start, end, steps), dtype, requires_grad, False)

cdef Tensor ranged(object values, object dtype, object requires_grad, bint whole):
    cdef int code = (PD_I64 if whole else PD_F32) if dtype is None else code_of(dtype)
    cdef Tensor x = make_tensor(values)
    return finished(cast(x, code), requires_grad)

def eye(n, m=None, *, dtype=None, requires_grad=False):
    """Ones on the diagonal of an (n, m) matrix of zeros."""
    cdef Tensor x = zeros(n, n if m is None else m, dtype=dtype)
    cdef ptrdiff_t count = min(x.sizes[0], x.sizes[1]), step = x.sizes[1] + 1
    fill(view_of(x, 1, &count, &step, 0), 1)
    return finished(x, requires_grad)
