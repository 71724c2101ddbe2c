"""The C functions of csrc/pydl.h for the other Cython modules: only `native` is linked with the kernels."""
from libc.stdint cimport int32_t, int64_t, uint64_t

from pydl._core.kernels cimport pd_arena, pd_cost, pd_event, pd_isa, pd_kernel, pd_launch, pd_memory, pd_plan

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

cdef const int *trace_flag() noexcept nogil             # 1 while somebody traces
cdef pd_kernel traced_kernel() noexcept nogil
cdef int trace_geometry(int kernel) noexcept nogil
cdef void trace_cost(int kernel, const pd_cost *cost) noexcept nogil
cdef void trace_measure(const pd_launch *launch, pd_event *to) noexcept nogil
cdef size_t trace_start() noexcept nogil
cdef void trace_stop() noexcept nogil
cdef size_t trace_count() noexcept nogil
cdef size_t trace_read(size_t first, size_t most, pd_event *to) noexcept nogil
cdef size_t trace_dropped() noexcept nogil
cdef void trace_name(int32_t op, const void *output) noexcept nogil
cdef int32_t trace_scope(int32_t op) noexcept nogil

cdef const int *capture_flag() noexcept nogil           # not 0 while some thread records a plan
cdef pd_kernel recorded_kernel() noexcept nogil
cdef pd_plan *plan_new() noexcept nogil
cdef void plan_free(pd_plan *plan) noexcept nogil
cdef pd_plan *plan_record(pd_plan *plan) noexcept nogil
cdef size_t plan_check(pd_plan *plan, const int64_t *value, int64_t low, int64_t high) noexcept nogil
cdef void plan_constant(pd_plan *plan, void *at, size_t n) noexcept nogil
cdef int plan_finish(pd_plan *plan) noexcept nogil
cdef int plan_input(pd_plan *plan, const void *at, size_t nbytes) noexcept nogil
cdef void plan_read(pd_plan *plan, size_t index, const void *at) noexcept nogil
cdef size_t plan_constant_matrix(const pd_plan *plan, size_t index, const void **at) noexcept nogil
cdef int plan_keep_packed(pd_plan *plan, size_t index) noexcept nogil
cdef void plan_pack_again(pd_plan *plan, size_t number) noexcept nogil
cdef void plan_unpack(pd_plan *plan, size_t number) noexcept nogil
cdef size_t plan_run(const pd_plan *plan) noexcept nogil
cdef int plan_measure(pd_plan *plan, bint on) noexcept nogil
cdef uint64_t plan_time(const pd_plan *plan, size_t index) noexcept nogil
cdef size_t plan_together(const pd_plan *plan, size_t index) noexcept nogil
cdef size_t plan_length(const pd_plan *plan) noexcept nogil
cdef size_t plan_bytes(const pd_plan *plan) noexcept nogil
cdef const pd_launch *plan_launch(const pd_plan *plan, size_t index) noexcept nogil
cdef size_t plan_pointers(const pd_plan *plan, size_t index, const void **to) noexcept nogil
cdef int plan_settle(pd_plan *plan, pd_arena *arena) noexcept nogil

cdef pd_arena *arena_new() noexcept nogil
cdef void arena_free(pd_arena *arena) noexcept nogil
cdef void *arena_take(pd_arena *arena, size_t nbytes, size_t now, bint stays) noexcept nogil
cdef void arena_give(pd_arena *arena, const void *at, size_t now) noexcept nogil
cdef void arena_move(pd_arena *arena, const void *at) noexcept nogil
cdef void *arena_moved(const pd_arena *arena, const void *at) noexcept nogil
cdef bint arena_meets(const pd_arena *arena, const void *at, size_t nbytes) noexcept nogil
cdef size_t arena_bytes(const pd_arena *arena) noexcept nogil
cdef size_t arena_count(const pd_arena *arena) noexcept nogil
cdef const void *arena_block(const pd_arena *arena, size_t index, size_t *nbytes) noexcept nogil
