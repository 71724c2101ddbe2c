"""The element types; `code` indexes the kernel table."""

cdef class dtype:
    """An element type: pydl.float32, float64, int64, int32, uint8 or bool."""
    cdef readonly str name
    cdef readonly int itemsize
    cdef readonly bint is_floating_point
    cdef int code                       # PD_F32 ...
    cdef char *format                   # of the buffer protocol

cdef dtype dtype_of(int code)
cdef int code_of(object dtype_like) except -1                           # TypeError for what is not a pydl dtype, or float, int, bool
cdef int default_float() noexcept                                       # the type of Python's floats
cdef int promoted(int a, int b) noexcept                                # the smallest type that is not below either
cdef int kind_of(int code) noexcept                                     # 0 bool, 1 integers, 2 floats
cdef bint castable(int code, int to) noexcept                           # may a result be written into a tensor of type `to`?
