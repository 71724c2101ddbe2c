cdef int sizes_from(str op, object shape, ptrdiff_t *sizes) except -1   # fills sizes, returns ndim
cdef int wrap_dim(str op, object dim, int ndim) except -1               # -ndim <= dim < ndim, else IndexError
