"""What the two sides of a binary op may be: tensors, or one tensor and a number that takes the tensor's type."""

from pydl._core.tensor cimport Tensor

cdef bint is_number(object x)                                   # bool, int, float, or a NumPy scalar
cdef Tensor number_like(str op, object number, Tensor like)     # 0-dimensional, of like's type; TypeError, ValueError
cdef Tensor converted(str op, object number, Tensor like)       # the same, but a float is rounded towards zero
cdef tuple operands(str op, object input, object other)         # two tensors; TypeError where neither is one
cdef tuple comparands(str op, object input, object other)       # the same, converted so that no number loses its value
cdef Tensor map_number(str op, int kernel, Tensor x, object number, bint number_first)
                                                                # kernel(x, number) or kernel(number, x)
cdef int refuse_zero_divisor(str op, Tensor divisor) except -1  # ZeroDivisionError where an integer divisor holds a 0
cdef int require_broadcast(str op, Tensor a, Tensor b, Tensor c) except -1     # ValueError with the three shapes
