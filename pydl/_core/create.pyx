"""New tensors: zeros, ones, ranges, copies of a shape.

layout, device, pin_memory and memory_format are PyTorch's keywords: what they say is so anyway, or is refused.
"""
import math
import operator

import numpy as np

from pydl._core.kernels cimport PD_BOOL, PD_I32, PD_I64, PD_MAX_DIMS, PD_U8
from pydl._core.launch cimport cast, fill, map_into
from pydl._core.arguments cimport number_of, size_of, sizes_from
from pydl._core.dtypes cimport code_of, default_float, dtype_of
from pydl._core.tensor cimport Tensor, empty as new_empty, scalar_of, shape_of, tensor_arg, view_of
from pydl._core.numpy_bridge import make_tensor
from pydl._core.placement import check_format, check_placement

cdef extern from "pydl.h":
    enum: PD_copy

cdef object MAX_STEPS = 2**60   # elements of eight bytes that an address can count


cdef Tensor allocate(str op, tuple size, object dtype):
    """size: (2, 3) or ((2, 3),)."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef int ndim = sizes_from(op, size[0] if len(size) == 1 else size, sizes)
    cdef int code = default_float() if dtype is None else code_of(dtype)
    try:
        return new_empty(code, ndim, sizes)
    except ValueError as error:
        raise ValueError(f"{op}: {error}") from None

cdef int place(str op, object device, object layout, object pin_memory) except -1:
    if device is not None or layout is not None or pin_memory:
        check_placement(op, device, layout, pin_memory)
    return 0

cdef Tensor finished(Tensor x, object requires_grad):
    if requires_grad is not False and requires_grad is not None:
        x.requires_grad = requires_grad
    return x

# ---- Python's numbers

cdef dict LIMITS = {PD_I64: (-2**63, 2**63 - 1), PD_I32: (-2**31, 2**31 - 1), PD_U8: (0, 2**8 - 1)}

cdef bint fits(object number, int code):
    """Whether an integer type has the number, a float rounded towards 0; as in PyTorch, uint8 has -255 to -1 for 1 to 255."""
    low, high = LIMITS[code]
    if isinstance(number, float):
        return math.isfinite(number) and low <= int(number) <= high
    return (-high if code == PD_U8 else low) <= number <= high

cdef int check_fit(str op, object number, int code) except -1:
    if not fits(number, code):
        raise OverflowError(f"{op}: {number} does not fit in {dtype_of(code)}")
    return 0

cdef Tensor scalar_for(str op, object number, int code):
    number = number_arg(op, number, "the value")
    if code in LIMITS:
        check_fit(op, number, code)
        number = int(number) % 256 if code == PD_U8 else int(number)
    elif code != PD_BOOL:
        number = number_of(op, number, "the value")
    return scalar_of(code, number)

cdef Tensor from_numbers(str op, object data, object dtype):
    """A tensor of Python numbers and nested lists of them. Those that an integer type does not have are refused."""
    cdef int code = default_float() if dtype is None else code_of(dtype)
    if code in LIMITS:
        array = numbers_of(data)
        if array is None:
            return make_tensor(data, dtype, op)
        for number in array.ravel().tolist() if array.dtype == object else (array.min().item(), array.max().item()):
            check_fit(op, number, code)
        return make_tensor(array.astype(np.int64), dtype)
    try:
        return make_tensor(data, dtype, op)
    except TypeError:
        array = numbers_of(data)
        if array is None:
            raise
    if dtype is None and not any([isinstance(number, float) for number in array.ravel().tolist()]):
        for number in array.ravel().tolist():
            check_fit(op, number, PD_I64)
    return make_tensor(array.astype(np.float64), dtype_of(code))

cdef object numbers_of(object data):
    """An array of numbers, of type object where some are beyond int64; None for what is empty or not only numbers."""
    try:
        array = np.array(data)
    except ValueError:
        return None
    if array.dtype == object:
        return array if all([isinstance(number, (int, float)) for number in array.ravel().tolist()]) else None
    return array if array.size and array.dtype.kind in "fiub" else None


def tensor(data, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A new tensor with the values of numbers, nested lists, a NumPy array or a tensor.

    Python floats give float32, ints int64, bools bool; arrays keep their type. Raises ValueError for ragged lists,
    TypeError for what is not numeric, OverflowError for a Python number that dtype, an integer type, does not have.

    >>> pydl.tensor([[1, 2], [3, 4]], dtype=pydl.float32)
    tensor([[1., 2.],
            [3., 4.]])
    """
    place("tensor", device, layout, pin_memory)
    cdef bint given = isinstance(data, (Tensor, np.ndarray))
    return finished(make_tensor(data, dtype) if given else from_numbers("tensor", data, dtype), requires_grad)

def empty(*sizes, size=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None):
    """A tensor of the given sizes whose elements are whatever the memory holds."""
    place("empty", device, layout, pin_memory)
    check_format("empty", memory_format)
    return finished(allocate("empty", size_of("empty", sizes, size), dtype), requires_grad)

def zeros(*sizes, size=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor of zeros."""
    place("zeros", device, layout, pin_memory)
    cdef Tensor x = allocate("zeros", size_of("zeros", sizes, size), dtype)
    fill(x, 0)
    return finished(x, requires_grad)

def ones(*sizes, size=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor of ones."""
    place("ones", device, layout, pin_memory)
    cdef Tensor x = allocate("ones", size_of("ones", sizes, size), dtype)
    fill(x, 1)
    return finished(x, requires_grad)

def full(size, fill_value, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor that holds fill_value everywhere; its type is the value's unless dtype is given.

    Raises OverflowError where an integer type does not have the value.
    """
    place("full", device, layout, pin_memory)
    if dtype is None:
        dtype = dtype_of((<Tensor>fill_value if isinstance(fill_value, Tensor) else from_numbers("full", fill_value, None)).code)
    cdef Tensor x = allocate("full", (size,), dtype)
    map_into(PD_copy, x.code, (scalar_for("full", fill_value, x.code),), x)
    return finished(x, requires_grad)

def empty_like(input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None):
    """empty() with the shape and type of input."""
    place("empty_like", device, layout, pin_memory)
    check_format("empty_like", memory_format)
    cdef Tensor x = tensor_arg("empty_like", input, "input")
    return empty(shape_of(x), dtype=dtype or x.dtype, requires_grad=requires_grad)

def zeros_like(input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None):
    """zeros() with the shape and type of input."""
    place("zeros_like", device, layout, pin_memory)
    check_format("zeros_like", memory_format)
    cdef Tensor x = tensor_arg("zeros_like", input, "input")
    return zeros(shape_of(x), dtype=dtype or x.dtype, requires_grad=requires_grad)

def ones_like(input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None):
    """ones() with the shape and type of input."""
    place("ones_like", device, layout, pin_memory)
    check_format("ones_like", memory_format)
    cdef Tensor x = tensor_arg("ones_like", input, "input")
    return ones(shape_of(x), dtype=dtype or x.dtype, requires_grad=requires_grad)

def full_like(input, fill_value, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None):
    """full() with the shape and type of input."""
    place("full_like", device, layout, pin_memory)
    check_format("full_like", memory_format)
    cdef Tensor x = tensor_arg("full_like", input, "input")
    return full(shape_of(x), fill_value, dtype=dtype or x.dtype, requires_grad=requires_grad)

cdef object number_arg(str op, object value, str name):
    """A Python number; a 0-dimensional tensor and a NumPy number become one."""
    if isinstance(value, np.generic) or isinstance(value, Tensor) and (<Tensor>value).ndim == 0:
        value = value.item()
    if not isinstance(value, (int, float)):
        raise TypeError(f"{op}: {name} must be a number, got {type(value).__name__}")
    return value

def arange(start=None, end=None, step=1, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """arange(end) or arange(start, end, step): start (0), start + step, ... below end. int64 for ints, else float32.

    The bounds and the step are numbers or 0-dimensional tensors. Raises ValueError where step leads nowhere.
    """
    place("arange", device, layout, pin_memory)
    if end is None:
        start, end = None, start
    start = 0 if start is None else number_arg("arange", start, "start")
    end, step = number_arg("arange", end, "end"), number_arg("arange", step, "step")
    if step == 0 or (end - start) / step < 0:
        raise ValueError(f"arange: step {step} does not lead from {start} to {end}")
    if not (end - start) / step < MAX_STEPS:
        raise ValueError(f"arange: from {start} to {end} by {step} is more elements than an address can count")
    whole = all(isinstance(value, int) for value in (start, end, step))
    values = np.arange(start, end, step, dtype=np.int64 if whole else np.float64)
    return ranged(values, dtype, requires_grad, whole)

def linspace(start, end, steps, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """`steps` values from start to end, both included, evenly spaced. start and end: numbers or 0-dimensional tensors."""
    place("linspace", device, layout, pin_memory)
    start, end = number_arg("linspace", start, "start"), number_arg("linspace", end, "end")
    try:
        steps = operator.index(steps)
    except TypeError:
        raise TypeError(f"linspace: steps must be an int, got {type(steps).__name__}") from None
    if not 0 <= steps < MAX_STEPS:
        raise ValueError(f"linspace: steps must not be negative or more than an address can count, got {steps}")
    return ranged(np.linspace(start, end, steps), dtype, requires_grad, False)

cdef Tensor ranged(object values, object dtype, object requires_grad, bint whole):
    cdef int code = (PD_I64 if whole else default_float()) if dtype is None else code_of(dtype)
    cdef Tensor x = make_tensor(values)
    return finished(cast(x, code), requires_grad)

def eye(n, m=None, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Ones on the diagonal of an (n, m) matrix of zeros."""
    place("eye", device, layout, pin_memory)
    cdef Tensor x = allocate("eye", (n, n if m is None else m), dtype)
    fill(x, 0)
    cdef ptrdiff_t count = min(x.sizes[0], x.sizes[1]), step = x.sizes[1] + 1
    fill(view_of(x, 1, &count, &step, 0), 1)
    return finished(x, requires_grad)
