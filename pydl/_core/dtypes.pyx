"""The element types."""
from pydl._core.kernels cimport PD_BOOL, PD_F32, PD_F64, PD_I32, PD_I64, PD_U8


cdef class dtype:
    """An element type: pydl.float32, float64, int64, int32, uint8 or bool."""

    def __init__(self):
        raise TypeError("dtype: the element types are pydl.float32, float64, int64, int32, uint8 and bool")

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

cdef tuple DTYPES = (float32, float64, int64, int32, uint8, bool)
cdef dtype dtype_of(int code):
    return <dtype>DTYPES[code]

cdef int code_of(object dtype_like) except -1:
    if not isinstance(dtype_like, dtype):
        raise TypeError(f"dtype: expected a pydl element type such as pydl.float32, got {dtype_like!r}")
    return (<dtype>dtype_like).code
