"""Tensors over NumPy's memory, NumPy arrays over a tensor's memory, and tensors from nested lists."""
import numpy as np

from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from pydl._core.kernels cimport PD_F64, PD_MAX_DIMS
from pydl._core.launch cimport cast, duplicate
from pydl._core.dtypes cimport code_of, default_float, dtype_of
from pydl._core.native cimport capture_flag
from pydl._core.recording cimport keep_borrowed
from pydl._core.tensor cimport Storage, Tensor, over_borrowed, scalar_of
from pydl._core.placement import check_device

cdef const int *capturing = capture_flag()
cdef dict CODE_OF_NUMPY = {np.dtype(dtype_of(code).name): code for code in range(6)}


cdef class Lender:
    """Holds on to a buffer while tensors look at its memory."""
    cdef Py_buffer buffer
    cdef bint held

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.buffer)


cdef Tensor borrow(object array, bint writable):
    """A tensor over the memory of an aligned array of a known type; strides as they are."""
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS]
    cdef Lender lender = Lender.__new__(Lender)
    cdef Storage storage = Storage.__new__(Storage)
    cdef int code = CODE_OF_NUMPY[array.dtype], d
    PyObject_GetBuffer(array, &lender.buffer, PyBUF_STRIDES | (PyBUF_WRITABLE if writable else 0))
    lender.held = True
    for d in range(lender.buffer.ndim):
        sizes[d] = lender.buffer.shape[d]
        strides[d] = lender.buffer.strides[d] // lender.buffer.itemsize
    storage.owner = lender
    storage.writable = writable
    cdef Tensor x = over_borrowed(storage, <char *>lender.buffer.buf, code, lender.buffer.ndim, sizes, strides)
    if capturing[0]:
        keep_borrowed(x, storage.version)
    return x


cdef str why_not_shared(object array):
    """Why no tensor can look at the array's memory; None where one can."""
    if array.dtype not in CODE_OF_NUMPY:
        if array.dtype.newbyteorder("=") in CODE_OF_NUMPY:
            return f"is byte-swapped ({array.dtype.str})"
        return f"has dtype {array.dtype}, which is not float32, float64, int64, int32, uint8 or bool"
    if array.ndim > PD_MAX_DIMS:
        return f"has {array.ndim} dimensions, at most {PD_MAX_DIMS} are possible"
    if not array.flags.aligned:
        return "is misaligned"
    for size, stride in zip(array.shape, array.strides):
        if stride < 0 and size > 1:
            return "has a negative stride"
        if stride % array.itemsize and size > 1:
            return "has strides that are no multiples of its item size"
    if not array.flags.writeable:
        return "is read-only"
    return None


def from_numpy(array):
    """A tensor that shares the memory of a NumPy array, strides and all.

    The array is float32, float64, int64, int32, uint8 or bool, writable, aligned and in native byte order. Raises
    TypeError for what is no array or of another type, ValueError where the memory cannot be shared (use pydl.tensor).
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}")
    why = why_not_shared(array)
    if why is not None:
        kind = TypeError if "dtype" in why else ValueError
        raise kind(f"from_numpy: the array {why} (shape {array.shape}); pydl.tensor(array) copies what can be converted")
    return borrow(array, True)


cdef Tensor copied(object array, str caller):
    """A tensor with the values of any numeric array."""
    if array.dtype not in CODE_OF_NUMPY:
        native = array.dtype.newbyteorder("=")
        if array.dtype.kind not in "fiub" or native.itemsize > 8:
            raise TypeError(f"{caller}: cannot convert an array of dtype {array.dtype} (shape {array.shape}) to a tensor")
        if native not in CODE_OF_NUMPY:
            native = np.float32 if array.dtype.kind == "f" else np.int64
            if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
                raise ValueError(f"{caller}: a uint64 value does not fit int64")
        array = array.astype(native)
    if array.ndim > PD_MAX_DIMS:
        raise ValueError(f"{caller}: a tensor has at most {PD_MAX_DIMS} dimensions, the array has {array.ndim}")
    return duplicate(borrow(np.require(array, requirements="CA"), False))


def make_tensor(data, dtype=None, str caller="tensor"):
    """A new tensor with the values of numbers, nested lists, arrays or a tensor."""
    cdef int code = -1 if dtype is None else code_of(dtype)
    cdef Tensor x
    if isinstance(data, Tensor):
        x = duplicate(<Tensor>data)
    elif type(data) is float:
        return scalar_of(default_float() if code < 0 else code, data)
    elif isinstance(data, (np.ndarray, np.generic)):
        x = copied(np.asarray(data), caller)
    else:
        x = from_sequence(data, code, caller)
    return x if code < 0 else cast(x, code)

cdef Tensor from_sequence(object data, int code, str caller):
    cdef Tensor x
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"{caller}: the nested sequence is not rectangular ({error})") from None
    if array.dtype == object:
        raise TypeError(f"{caller}: expected numbers, nested sequences of numbers or an array, got {type(data).__name__}")
    x = copied(array, caller)
    return cast(x, default_float()) if x.code == PD_F64 and code != PD_F64 and not holds_float64(data) else x

cdef bint holds_float64(object data):
    """Python floats become the default type; NumPy's float64 values keep their type."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.float64, np.ndarray)) or isinstance(data, Tensor) and (<Tensor>data).code == PD_F64


def as_tensor(data, dtype=None, device=None):
    """The data as a tensor: the same memory where that is possible, else a copy."""
    cdef Tensor x
    check_device("as_tensor", device)
    if isinstance(data, Tensor):
        x = data
    elif isinstance(data, np.ndarray) and why_not_shared(data) is None:
        x = borrow(data, True)
    else:
        return make_tensor(data, dtype, "as_tensor")
    return x if dtype is None else cast(x, code_of(dtype))


def to_numpy(Tensor x not None, *, force=False):
    """A NumPy array over the tensor's memory. force: that of a tensor that requires grad, too."""
    if x.requires_grad:
        if not force:
            raise RuntimeError("numpy: a tensor that requires grad does not lend its memory; use x.detach().numpy()")
        x = x.detach()
    return np.asarray(memoryview(x))

def array_protocol(Tensor x not None, dtype, copy):
    """`__array__` of NumPy 1 and 2."""
    array = to_numpy(x)
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError(f"array: {array.dtype} cannot become {np.dtype(dtype)} without a copy")
        return array.astype(dtype)
    return array.copy() if copy else array

def operand(value):
    """The other side of an operator: numbers and tensors as they are, arrays as tensors, else NotImplemented."""
    if isinstance(value, (Tensor, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return as_tensor(value)
    return NotImplemented
