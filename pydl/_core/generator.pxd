from libc.stdint cimport uint64_t

cdef class Generator:
    """A stream of random numbers."""
    cdef uint64_t state[2]              # the seed, and the next block of numbers; kernels advance the second
    cdef uint64_t first_seed

cdef void *state_of(object generator) except NULL     # of the default generator where it is None
cdef size_t generator_in_use() noexcept     # the address of current_generator()
