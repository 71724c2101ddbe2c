"""What an elementwise activation and its backward are, for the files that have some."""
from pydl._core.tape cimport Op
from pydl._core.tensor cimport Tensor

ctypedef object (*curve)(Tensor x, double s0, double s1)        # of slope(x): its derivative

cdef class Slope(Op):
    """dx = slope(x) dy as one kernel: the backward of an activation, an op with a derivative of its own."""
    cdef int kernel
    cdef curve second                   # NULL: 0 everywhere

cdef class Activation(Op):
    """y = f(x), elementwise, by one kernel with up to two numbers."""
    cdef int kernel
    cdef bint keeps_output              # the slope is a function of y, not of x
    cdef Slope slope

cdef double number(str name, object value, str what) except? -1         # TypeError where it is none
