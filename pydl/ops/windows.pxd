"""The geometry of windows that slide over images: what convolutions, pooling and unfold share."""
from pydl._core.kernels cimport pd_window
from pydl._core.tensor cimport Tensor

cdef enum:
    LARGEST = 0x7fffffff        # of a kernel, a stride, a padding: their products stay below 2^63

cdef int spread(str name, str what, object value, int dims, ptrdiff_t least, size_t *to) except -1
                                                                # an int, or `dims` of them, each at least `least`, to to[3 - dims] ... to[2]
cdef void still(pd_window *w) noexcept                          # one tap that moves by one, no padding, in every dimension
cdef Tensor images(str name, object input, int dims, pd_window *w, str what=*)
                                                                # checked (N, C, *) or (C, *), of either float type: with N; sets n, c, o and in
cdef int place(str name, pd_window *w, int dims, Tensor x, bint ceil_mode=*) except -1
                                                                # sets `out` from all the rest; ValueError where no window fits
cdef int check_room(str name, size_t n, size_t channels, int dims, const size_t *space, Tensor x) except -1
                                                                # ValueError where (n, channels, *space) has too many elements; place() does it
cdef tuple window_sizes(int dims, const size_t *of)                    # the last `dims` of three, as a tuple
cdef Tensor images_out(pd_window *w, int dims, int code)        # a new (n, o, out)
