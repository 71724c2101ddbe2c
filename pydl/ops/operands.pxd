"""What the sides of an op may be, and the type that they have in common."""

from pydl._core.kernels cimport PD_F64
from pydl._core.tensor cimport Tensor

cdef Tensor as_type(Tensor x, int code)                         # recorded between floats; x itself where it has that type
cdef int result_code(str op, tuple operands) except -1          # tensors and numbers; TypeError for anything else
cdef tuple alike(Tensor a, Tensor b)                            # both as the type of their result
cdef Tensor widened(Tensor x, object number)                    # x in the type that it has beside the number
cdef inline Tensor beside(Tensor x, object number):
    return x if x.code <= PD_F64 else widened(x, number)
cdef Tensor as_default(Tensor x)                                # x in the default float type
cdef inline Tensor real(Tensor x):
    return x if x.code <= PD_F64 else as_default(x)             # integers and bool become floats
cdef Tensor float_arg(str op, object x, str name)               # the same of an argument; TypeError for no tensor

cdef bint is_number(object x)                                   # bool, int, float, or a NumPy scalar
cdef Tensor number_like(str op, object number, Tensor like)     # 0-dimensional, of like's type; TypeError, ValueError
cdef Tensor converted(str op, object number, Tensor like)       # the same, but a float is rounded towards zero
cdef tuple operands(str op, object input, object other)         # two tensors; TypeError where neither is one
cdef tuple comparands(str op, object input, object other)       # the same, converted so that no number loses its value
cdef Tensor map_number(str op, int kernel, Tensor x, object number, bint number_first)
                                                                # kernel(x, number) or kernel(number, x)
cdef int refuse_bool(str op, object a, object b) except -1       # TypeError where either is bool
cdef int refuse_zero_divisor(str op, Tensor divisor) except -1  # ZeroDivisionError where an integer divisor holds a 0
cdef int require_broadcast(str op, Tensor a, Tensor b, Tensor c) except -1     # ValueError with the three shapes
