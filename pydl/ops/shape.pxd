"""What the other ops of views and indices share."""
from pydl._core.tensor cimport Tensor

cdef Tensor look_at(Tensor x, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides, ptrdiff_t offset)
                                                                # a view that knows its base
cdef int copy_into(Tensor x, Tensor y) except -1                # y = x: same shape and type, any strides, no overlap
cdef tuple dims_from(str op, tuple given, object keyword, str name)     # f(x, 1, 2), f(x, (1, 2)) or f(x, name=(1, 2))
