cdef int sizes_from(str op, object shape, ptrdiff_t *sizes) except -1   # fills sizes, returns ndim
cdef int wrap_dim(str op, object dim, int ndim) except -1               # -ndim <= dim < ndim, else IndexError
cdef tuple size_of(str op, tuple sizes, object size)            # f(2, 3), f((2, 3)) or f(size=(2, 3)); TypeError for none
