"""The one module linked with the C kernels."""
import os

from pydl._core.kernels cimport (
    pd_alloc, pd_arena, pd_arena_block, pd_arena_bytes, pd_arena_count, pd_arena_free, pd_arena_give, pd_arena_meets, pd_arena_move, pd_arena_moved,
    pd_arena_new, pd_arena_take, pd_compiler, pd_cost, pd_empty_cache, pd_event, pd_free, pd_isa, pd_isa_available, pd_isa_in_use,
    pd_isa_select, pd_kernel, pd_kernel_name, pd_launch, pd_memory, pd_memory_reset_peak, pd_memory_stats, pd_num_threads, pd_plan,
    pd_plan_bytes, pd_plan_check, pd_plan_constant, pd_plan_constant_matrix, pd_plan_finish, pd_plan_free, pd_plan_input,
    pd_plan_keep_packed, pd_plan_launch, pd_plan_length, pd_plan_measure, pd_plan_new, pd_plan_on, pd_plan_pack_again, pd_plan_pointers,
    pd_plan_read, pd_plan_record, pd_plan_run, pd_plan_settle, pd_plan_time, pd_plan_together, pd_plan_unpack, pd_recorded,
    pd_set_num_threads, pd_trace_cost, pd_trace_cost_of, pd_trace_count, pd_trace_dropped, pd_trace_measure, pd_trace_name, pd_trace_on,
    pd_trace_read, pd_trace_scope, pd_trace_start, pd_trace_stop, pd_traced,
)
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef const pd_isa *isa() noexcept nogil:
    return pd_isa_in_use()

cdef int select_isa(const char *name) noexcept nogil:
    return pd_isa_select(name)

cdef const char *available_isa(size_t index) noexcept nogil:
    return pd_isa_available(index)

cdef const char *kernel_name(int kernel) noexcept nogil:
    return pd_kernel_name(kernel)

cdef void *allocate(size_t nbytes) noexcept nogil:
    return pd_alloc(nbytes)

cdef void release(void *pointer, size_t nbytes) noexcept nogil:
    pd_free(pointer, nbytes)

cdef void memory_stats(pd_memory *out) noexcept nogil:
    pd_memory_stats(out)

cdef void memory_reset_peak() noexcept nogil:
    pd_memory_reset_peak()

cdef void empty_cache() noexcept nogil:
    pd_empty_cache()

cdef size_t num_threads() noexcept nogil:
    return pd_num_threads()

cdef int set_num_threads(size_t count) noexcept nogil:
    return pd_set_num_threads(count)

cdef const int *trace_flag() noexcept nogil:
    return &pd_trace_on

cdef pd_kernel traced_kernel() noexcept nogil:
    return pd_traced

cdef int trace_geometry(int kernel) noexcept nogil:
    return pd_trace_cost_of(kernel).geometry

cdef void trace_cost(int kernel, const pd_cost *cost) noexcept nogil:
    pd_trace_cost(kernel, cost)

cdef void trace_measure(const pd_launch *launch, pd_event *to) noexcept nogil:
    pd_trace_measure(launch, to)

cdef size_t trace_start() noexcept nogil:
    return pd_trace_start()

cdef void trace_stop() noexcept nogil:
    pd_trace_stop()

cdef size_t trace_count() noexcept nogil:
    return pd_trace_count()

cdef size_t trace_read(size_t first, size_t most, pd_event *to) noexcept nogil:
    return pd_trace_read(first, most, to)

cdef size_t trace_dropped() noexcept nogil:
    return pd_trace_dropped()

cdef void trace_name(int32_t op, const void *output) noexcept nogil:
    pd_trace_name(op, output)

cdef int32_t trace_scope(int32_t op) noexcept nogil:
    return pd_trace_scope(op)

cdef const int *capture_flag() noexcept nogil:
    return &pd_plan_on

cdef pd_kernel recorded_kernel() noexcept nogil:
    return pd_recorded

cdef pd_plan *plan_new() noexcept nogil:
    return pd_plan_new()

cdef void plan_free(pd_plan *plan) noexcept nogil:
    pd_plan_free(plan)

cdef pd_plan *plan_record(pd_plan *plan) noexcept nogil:
    return pd_plan_record(plan)

cdef size_t plan_check(pd_plan *plan, const int64_t *value, int64_t low, int64_t high) noexcept nogil:
    return pd_plan_check(plan, value, low, high)

cdef void plan_constant(pd_plan *plan, void *at, size_t n) noexcept nogil:
    pd_plan_constant(plan, at, n)

cdef int plan_finish(pd_plan *plan) noexcept nogil:
    return pd_plan_finish(plan)

cdef int plan_input(pd_plan *plan, const void *at, size_t nbytes) noexcept nogil:
    return pd_plan_input(plan, at, nbytes)

cdef void plan_read(pd_plan *plan, size_t index, const void *at) noexcept nogil:
    pd_plan_read(plan, index, at)

cdef size_t plan_constant_matrix(const pd_plan *plan, size_t index, const void **at) noexcept nogil:
    return pd_plan_constant_matrix(plan, index, at)

cdef int plan_keep_packed(pd_plan *plan, size_t index) noexcept nogil:
    return pd_plan_keep_packed(plan, index)

cdef void plan_pack_again(pd_plan *plan, size_t number) noexcept nogil:
    pd_plan_pack_again(plan, number)

cdef void plan_unpack(pd_plan *plan, size_t number) noexcept nogil:
    pd_plan_unpack(plan, number)

cdef size_t plan_run(const pd_plan *plan) noexcept nogil:
    return pd_plan_run(plan)

cdef int plan_measure(pd_plan *plan, bint on) noexcept nogil:
    return pd_plan_measure(plan, on)

cdef uint64_t plan_time(const pd_plan *plan, size_t index) noexcept nogil:
    return pd_plan_time(plan, index)

cdef size_t plan_together(const pd_plan *plan, size_t index) noexcept nogil:
    return pd_plan_together(plan, index)

cdef size_t plan_length(const pd_plan *plan) noexcept nogil:
    return pd_plan_length(plan)

cdef size_t plan_bytes(const pd_plan *plan) noexcept nogil:
    return pd_plan_bytes(plan)

cdef const pd_launch *plan_launch(const pd_plan *plan, size_t index) noexcept nogil:
    return pd_plan_launch(plan, index)

cdef size_t plan_pointers(const pd_plan *plan, size_t index, const void **to) noexcept nogil:
    return pd_plan_pointers(plan, index, to)

cdef int plan_settle(pd_plan *plan, pd_arena *arena) noexcept nogil:
    return pd_plan_settle(plan, arena)

cdef pd_arena *arena_new() noexcept nogil:
    return pd_arena_new()

cdef void arena_free(pd_arena *arena) noexcept nogil:
    pd_arena_free(arena)

cdef void *arena_take(pd_arena *arena, size_t nbytes, size_t now, bint stays) noexcept nogil:
    return pd_arena_take(arena, nbytes, now, stays)

cdef void arena_give(pd_arena *arena, const void *at, size_t now) noexcept nogil:
    pd_arena_give(arena, at, now)

cdef void arena_move(pd_arena *arena, const void *at) noexcept nogil:
    pd_arena_move(arena, at)

cdef void *arena_moved(const pd_arena *arena, const void *at) noexcept nogil:
    return pd_arena_moved(arena, at)

cdef bint arena_meets(const pd_arena *arena, const void *at, size_t nbytes) noexcept nogil:
    return pd_arena_meets(arena, at, nbytes)

cdef size_t arena_bytes(const pd_arena *arena) noexcept nogil:
    return pd_arena_bytes(arena)

cdef size_t arena_count(const pd_arena *arena) noexcept nogil:
    return pd_arena_count(arena)

cdef const void *arena_block(const pd_arena *arena, size_t index, size_t *nbytes) noexcept nogil:
    return pd_arena_block(arena, index, nbytes)


def available_isas():
    """The instruction sets this machine runs, best first."""
    names, i = [], 0
    while pd_isa_available(i) != NULL:
        names.append(pd_isa_available(i).decode())
        i += 1
    return tuple(names)

def current_isa():
    """The instruction set in use."""
    return pd_isa_in_use().name.decode()

def compiler():
    """The C compiler that built the kernels, and its version."""
    return pd_compiler().decode()

def check_requested_isa():
    """Raises ValueError where PYDL_ISA names what this machine does not run."""
    wanted = os.environ.get("PYDL_ISA")
    if wanted and wanted not in available_isas():
        raise ValueError(f"PYDL_ISA: {wanted!r} is unknown or does not run on this machine; available: {', '.join(available_isas())}")

check_requested_isa()
