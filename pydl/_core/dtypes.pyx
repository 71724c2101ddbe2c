"""The element types."""
cimport cython
from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_I32, PD_I64, PD_U8


@cython.binding(False)
cdef class dtype:
    """An element type: pydl.float32, float64, int64, int32, uint8 or bool."""

    def __init__(self):
        raise TypeError("dtype: the element types are pydl.float32, float64, int64, int32, uint8 and bool")

    @property
    def is_signed(self):
        """Whether it has numbers below zero."""
        return self.code < PD_U8

    @property
    def is_complex(self):
        """False: there are no complex types."""
        return False

    def __repr__(self):
        return f"pydl.{self.name}"

    def __reduce__(self):
        return self.name


cdef dtype new_dtype(str name, int code, int itemsize, char *format, bint floating):
    cdef dtype d = dtype.__new__(dtype)
    d.name, d.code, d.itemsize, d.format, d.is_floating_point = name, code, itemsize, format, floating
    return d


float32 = new_dtype("float32", PD_F32, 4, b"f", True)
float64 = new_dtype("float64", PD_F64, 8, b"d", True)
int64 = new_dtype("int64", PD_I64, 8, b"q", False)
int32 = new_dtype("int32", PD_I32, 4, b"i", False)
uint8 = new_dtype("uint8", PD_U8, 1, b"B", False)
bool = new_dtype("bool", PD_BOOL, 1, b"?", False)

cdef dict PYTHON_TYPES = {float: PD_F64, int: PD_I64, type(True): PD_BOOL}     # as in PyTorch
cdef tuple DTYPES = (float32, float64, int64, int32, uint8, bool)
cdef dtype dtype_of(int code):
    return <dtype>DTYPES[code]

cdef int code_of(object dtype_like) except -1:
    if isinstance(dtype_like, dtype):
        return (<dtype>dtype_like).code
    if isinstance(dtype_like, type) and dtype_like in PYTHON_TYPES:
        return PYTHON_TYPES[dtype_like]
    raise TypeError(f"dtype: expected a pydl element type such as pydl.float32, got {dtype_like!r}")


# ---- Which type two types have in common

cdef int default_code = PD_F32

cdef int default_float() noexcept:
    return default_code

cdef int promoted(int a, int b) noexcept:
    if a <= PD_F64 and b <= PD_F64:
        return a if a > b else b
    return a if a < b else b        # the codes go from floats over integers, the wider first, to bool

cdef int kind_of(int code) noexcept:
    """bool, integers, floats."""
    return 0 if code == PD_BOOL else 2 if code <= PD_F64 else 1

cdef bint castable(int code, int to) noexcept:
    return kind_of(code) <= kind_of(to)

def get_default_dtype():
    """The type of tensors made of Python floats, of new tensors without a dtype, and of floats made from integers."""
    return dtype_of(default_code)

def set_default_dtype(d):
    """Makes float32 or float64 the default. Raises TypeError for other types."""
    global default_code
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"set_default_dtype: expected pydl.float32 or pydl.float64, got {d!r}")
    default_code = (<dtype>d).code

def promote_types(type1, type2):
    """The smallest type, in the order bool, uint8, int32, int64, float32, float64, that is neither below type1 nor below type2."""
    return dtype_of(promoted(code_of(type1), code_of(type2)))

def can_cast(from_, to):
    """Whether a result of type from_ may be written in place into a tensor of type `to`: no float to integers, nothing else to bool."""
    return castable(code_of(from_), code_of(to))
