"""Checked indices, and launches by index, for the families that look things up."""
from pydl._core.tensor cimport Tensor

cdef Tensor index_arg(str op, object x, str name)       # contiguous int64 (int32 is converted); TypeError for other types
cdef bint check_range(str op, Tensor index, ptrdiff_t size, bint wrap) except -1
    # IndexError naming the op, the first bad value, its place and the size, before anything is written. wrap: negative
    # ones down to -size are allowed. Returns whether there are negative ones. index: from index_arg.
cdef Tensor row_index(str op, Tensor x, int d, object index)    # checked: slices of x along dimension d
cdef int launch_rows(int kernel, Tensor a, Tensor index, Tensor y, size_t outer, size_t n, size_t inner) except -1
cdef int launch_axis(int kernel, Tensor x, Tensor index, Tensor y, int axis, double how=*) except -1
    # gather, scatter ...: the three have index's rank; x and y may be larger (only index's shape is walked)
cdef object largest(Tensor index)                       # the largest index, at least 0
cdef Tensor select_rows(Tensor x, int d, Tensor i)      # index_select of indices that were checked; differentiable
cdef Tensor added_to_zeros(int code, object shape, object dim, object index, object src)    # scatter_add to a tensor of zeros
cdef Tensor put_into_zeros(int code, object shape, object dim, object index, object src)    # scatter into a tensor of zeros
