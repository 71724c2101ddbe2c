"""The C functions of csrc/pydl.h for the other Cython modules: only `native` is linked with the kernels."""
from pydl._core.kernels cimport pd_isa, pd_memory

cdef const pd_isa *isa() noexcept nogil
cdef int select_isa(const char *name) noexcept nogil
cdef const char *available_isa(size_t index) noexcept nogil
cdef const char *kernel_name(int kernel) noexcept nogil

cdef void *allocate(size_t nbytes) noexcept nogil
cdef void release(void *pointer, size_t nbytes) noexcept nogil
cdef void memory_stats(pd_memory *out) noexcept nogil
cdef void memory_reset_peak() noexcept nogil
cdef void empty_cache() noexcept nogil

cdef size_t num_threads() noexcept nogil
cdef int set_num_threads(size_t count) noexcept nogil
