cdef int sizes_from(str op, object shape, ptrdiff_t *sizes) except -1   # fills sizes, returns ndim
cdef int wrap_dim(str op, object dim, int ndim) except -1               # -ndim <= dim < ndim, else IndexError
cdef object int_of(str op, object value, str name)                      # a Python int; TypeError for anything but integers
cdef ptrdiff_t count_of(str op, object value, str name) except -1       # an int that is neither negative nor beyond an address
cdef double number_of(str op, object value, str name) except? -1        # a number, or a tensor of one element
cdef tuple size_of(str op, tuple sizes, object size)            # f(2, 3), f((2, 3)) or f(size=(2, 3)); TypeError for none
