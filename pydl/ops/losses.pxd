"""What the losses share."""
from libc.stdint cimport int64_t

from pydl._core.kernels cimport pd_launch
from pydl._core.tensor cimport Tensor

cdef enum:
    NONE = 0
    MEAN = 1
    SUM = 2

cdef int reduction_of(str name, object reduction) except -1     # ValueError where it is not "none", "mean" or "sum"
cdef int refuse_gradient(str name, Tensor weight, str what) except -1     # RuntimeError where a weight wants a gradient
cdef Tensor scaled(Tensor grad, object dy)                      # grad * dy, in place of grad

# Class scores
cdef int class_dim(Tensor x) noexcept
cdef Tensor scores_arg(str name, object input)
cdef int64_t ignored(str name, object index) except? -1
cdef Tensor weight_arg(str name, Tensor x, object weight)
cdef Tensor labels_arg(str name, Tensor x, object target, int64_t ignore_index)
cdef int rows_launch(pd_launch *launch, int kernel, Tensor x, Tensor target, Tensor weight, double smoothing,
                     int64_t ignore_index, int reduction, bint soft) except -1
cdef Tensor loss_like(Tensor x, int reduction)
