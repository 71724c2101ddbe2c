from pydl._core.tensor cimport Tensor

cdef Tensor reduced(int kernel, Tensor x, int code, const bint *dims, bint keepdim, double s0=*, double s1=*, double s2=*)
cdef int dims_from(str op, object dim, int ndim, bint *dims) except -1
cdef size_t count_of(Tensor x, const bint *dims) noexcept
cdef object dims_tuple(Tensor x, const bint *dims)
cdef int refuse_empty(str op, Tensor x, const bint *dims) except -1
cdef Tensor real_or_cast(str op, object input, object dtype)     # TypeError where it is no tensor; converted to dtype
