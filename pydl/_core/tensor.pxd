from pydl._core.kernels cimport PD_MAX_DIMS

cdef class Storage:
    """Memory that one or more tensors look at. Changes in place are counted in `version`."""
    cdef char *data
    cdef size_t nbytes
    cdef size_t version                 # its number, then (low 32 bits) the changes in place
    cdef bint writable
    cdef bint inference                 # made under inference_mode
    cdef size_t lent                    # how many arrays and the like of other libraries look at it, and may write
    cdef size_t returned                # how many have done so
    cdef bint owned                     # the memory is pydl's (the collector may clear `owner` before the end)
    cdef object owner                   # who owns memory that is not pydl's: a buffer, a DLPack capsule
    cdef int drop_memory(self) except -1
    cdef int take_memory(self) except -1

cdef class Tensor:
    cdef Storage storage
    cdef char *data                     # the first element
    cdef int code                       # element type, PD_F32 ...
    cdef readonly int itemsize          # bytes of an element
    cdef readonly int ndim
    cdef bint contiguous                # row-major, dense
    cdef bint needs_grad                # a leaf that wants a gradient, or a result of such
    cdef bint retains                   # retain_grad() was called
    cdef int output_index               # which output of `node`
    cdef size_t numel
    cdef ptrdiff_t sizes[PD_MAX_DIMS]
    cdef ptrdiff_t strides[PD_MAX_DIMS] # in elements
    cdef size_t history                 # how often the graph of this base was rewritten; of a view: when its node was made
    cdef object node                    # the tape's Node that made it; None for a leaf
    cdef Tensor base                    # of a differentiable view: the tensor it looks into
    cdef object gradient                # .grad: Tensor or None
    cdef object hooks                   # dict or None
    cdef object __weakref__

ctypedef object (*binary)(object a, object b)
cdef int bind_arithmetic(binary add, binary sub, binary mul, binary div) except -1     # what + - * / call, without a way through Python

# New tensors. Sizes are checked for overflow before anything is allocated; MemoryError where there is no memory.
cdef Tensor empty(int code, int ndim, const ptrdiff_t *sizes)           # contiguous, not initialised
cdef Tensor empty_for_host(int code, int ndim, const ptrdiff_t *sizes)  # likewise, for what the host writes, not a launch
cdef Tensor empty_like(Tensor x)                                        # contiguous, same shape and type
cdef Tensor empty_of(int code, object shape)                            # shape: a tuple of ints
cdef Tensor view_of(Tensor x, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides, ptrdiff_t offset)
cdef void give_back(Storage storage) noexcept                           # one that looked at it has gone
cdef Tensor alias_of(Tensor x)                                          # same memory, outside every graph
cdef Tensor scalar_of(int code, object number)                          # a 0-dimensional tensor

cdef size_t storage_count() noexcept                                    # how many there have been; a storage's number is version >> 32
cdef int set_inference(bint enabled) except -1                          # of this thread: what is made from now on says so
cdef bint inference_enabled() noexcept
cdef bint same_shape(Tensor a, Tensor b) noexcept
cdef bint strides_overlap(int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides) noexcept   # may two indices reach one element?
cdef tuple shape_of(Tensor x)
cdef tuple strides_of(Tensor x)                                         # in elements
cdef Tensor over_borrowed(Storage storage, char *data, int code, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides)
cdef Tensor over_memory(Storage storage, char *data, int code, int ndim, const ptrdiff_t *sizes, const ptrdiff_t *strides)
cdef int become(Tensor x, Tensor y) except -1                           # x takes y's memory, shape and type
cdef Tensor tensor_arg(str op, object x, str name)                      # TypeError where x is not a Tensor
cdef Tensor real_arg(str op, object x, str name)                        # ... or not float32/float64
