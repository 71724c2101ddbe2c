from pydl._core.tensor cimport Tensor

cdef Tensor scalar_for(str op, object number, int code)     # OverflowError where an integer type does not have the number
