"""What the losses share."""
from pydl._core.tensor cimport Tensor

cdef enum:
    NONE = 0
    MEAN = 1
    SUM = 2

cdef int reduction_of(str name, object reduction) except -1     # ValueError where it is not "none", "mean" or "sum"
cdef int refuse_gradient(str name, Tensor weight, str what) except -1     # RuntimeError where a weight wants a gradient
cdef Tensor scaled(Tensor grad, object dy)                      # grad * dy, in place of grad
