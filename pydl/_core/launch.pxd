"""Fill a pd_launch and run it. Every function returns a new contiguous tensor that no graph knows yet."""
from pydl._core.kernels cimport pd_launch
from pydl._core.tensor cimport Tensor

cdef int prepare(pd_launch *launch, int kernel, int code) except -1     # finds the kernel; TypeError where it has no such type
cdef int find(pd_launch *launch, int kernel, int code) except -1        # the same for a launch whose buffers are in place
cdef int run(pd_launch *launch, int kernel, int code, size_t work=*) except -1
                                # workspace, recorded when capturing; GIL released unless the work (about so many elements) is known to be little

cdef Tensor map1(int kernel, Tensor x, double s0=*, double s1=*, double s2=*)
cdef Tensor map1_to(int kernel, int code, Tensor x)                     # the result has type `code` (comparisons, casts)
cdef Tensor map2(int kernel, Tensor a, Tensor b, double s0=*, double s1=*)      # broadcasts; ValueError with both shapes
cdef Tensor map2_to(int kernel, int code, Tensor a, Tensor b)
cdef Tensor map3(int kernel, Tensor a, Tensor b, Tensor c, double s0=*, double s1=*)    # types of b and c: those of the output
cdef int map_into(int kernel, int code, tuple inputs, Tensor out, double s0=*, double s1=*) except -1
                                                                        # writes into `out` (any strides); inputs broadcast to it
cdef Tensor contiguous(Tensor x)                                        # x itself where it is contiguous
cdef Tensor duplicate(Tensor x)                                         # a contiguous copy
cdef Tensor cast(Tensor x, int code)                                    # x itself where it has that type
cdef Tensor filled(int code, object shape, double value)
cdef int fill(Tensor x, double value) except -1                         # in place, any strides
cdef Tensor broadcast_to(Tensor x, int ndim, const ptrdiff_t *sizes, str op=*)    # a view with stride 0; ValueError
