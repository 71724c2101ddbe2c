"""csrc/pydl.h as Cython sees it. An ops file adds the numbers of the kernels it launches with its own `cdef extern`."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t

cdef extern from "pydl.h" nogil:
    enum: PD_MAX_DIMS
    enum: PD_MAX_OPERANDS
    enum: PD_MAX_BUFS
    enum: PD_F32
    enum: PD_F64
    enum: PD_I64
    enum: PD_I32
    enum: PD_U8
    enum: PD_BOOL
    enum: PD_DTYPES
    enum: PD_KERNELS
    enum: PD_NO_ACTIVATION
    enum: PD_RELU
    enum: PD_SIGMOID
    enum: PD_TANH
    enum: PD_GELU
    enum: PD_SILU

    ctypedef struct pd_map:
        size_t ndim
        size_t shape[16]
        ptrdiff_t stride[5][16]

    ctypedef struct pd_reduce:
        size_t kept
        size_t reduced
        size_t shape[16]
        ptrdiff_t stride[16]

    ctypedef struct pd_lines:
        size_t outer
        size_t n
        size_t inner

    ctypedef struct pd_rows:
        size_t outer
        size_t n
        size_t inner
        size_t count

    ctypedef struct pd_gemm:
        size_t m
        size_t n
        size_t k
        ptrdiff_t a_row
        ptrdiff_t a_col
        ptrdiff_t b_row
        ptrdiff_t b_col
        ptrdiff_t c_row
        ptrdiff_t c_col
        size_t batch_ndim
        size_t batch[16]
        ptrdiff_t a_batch[16]
        ptrdiff_t b_batch[16]
        ptrdiff_t c_batch[16]
        int accumulate
        int b_packed
        int activation

    ctypedef struct pd_window:
        size_t n
        size_t c
        size_t o
        size_t groups
        size_t in_ "in"[3]
        size_t out[3]
        size_t kernel[3]
        size_t stride[3]
        size_t dilation[3]
        size_t pad[3]
        int activation
        int exact
        int packed

    ctypedef struct pd_step:
        size_t count
        const size_t *sizes

    ctypedef struct pd_launch
    ctypedef void (*pd_kernel)(const pd_launch *)
    ctypedef size_t (*pd_sizer)(const pd_launch *)
    ctypedef struct pd_launch:
        pd_kernel run
        void *buf[10]
        void *workspace
        double scalar[4]
        int16_t kernel
        int16_t dtype
        pd_map map
        pd_reduce reduce
        pd_lines lines
        pd_rows rows
        pd_gemm gemm
        pd_window window
        pd_step step

    ctypedef struct pd_isa:
        const char *name
        pd_kernel kernel[1][1]
        pd_sizer sizer[1][1]

    const pd_isa *pd_isa_in_use()
    int pd_isa_select(const char *name)
    const char *pd_isa_available(size_t index)
    const char *pd_kernel_name(int id)
    const char *pd_compiler()

    enum: PD_FORWARD
    enum: PD_BACKWARD
    ctypedef struct pd_event:
        int64_t start
        int64_t end
        uint64_t thread
        uint64_t items
        uint64_t bytes
        int32_t op
        int16_t kernel
        uint8_t dtype
        uint8_t backward
    ctypedef struct pd_cost:
        unsigned char geometry
        unsigned char each[5]
        unsigned char line[5]
    int pd_trace_on
    void pd_traced(const pd_launch *)
    const pd_cost *pd_trace_cost_of(int kernel)
    void pd_trace_cost(int kernel, const pd_cost *cost)
    void pd_trace_measure(const pd_launch *, pd_event *to)
    size_t pd_trace_start()
    void pd_trace_stop()
    size_t pd_trace_count()
    size_t pd_trace_read(size_t, size_t, pd_event *to)
    size_t pd_trace_dropped()
    void pd_trace_name(int32_t op, const void *output)
    int32_t pd_trace_scope(int32_t op)

    ctypedef struct pd_plan
    int pd_plan_on
    pd_plan *pd_plan_new()
    void pd_plan_free(pd_plan *)
    pd_plan *pd_plan_record(pd_plan *)
    void pd_recorded(const pd_launch *)
    size_t pd_plan_check(pd_plan *, const int64_t *value, int64_t low, int64_t high)
    void pd_plan_constant(pd_plan *, void *at, size_t n)
    int pd_plan_finish(pd_plan *)
    int pd_plan_input(pd_plan *, const void *at, size_t nbytes)
    void pd_plan_read(pd_plan *, size_t input, const void *at)
    size_t pd_plan_constant_matrix(const pd_plan *, size_t index, const void **at)
    int pd_plan_keep_packed(pd_plan *, size_t index)
    void pd_plan_pack_again(pd_plan *, size_t number)
    void pd_plan_unpack(pd_plan *, size_t number)
    size_t pd_plan_run(const pd_plan *)
    size_t PD_DONE
    int pd_plan_measure(pd_plan *, int on)
    uint64_t pd_plan_time(const pd_plan *, size_t index)
    size_t pd_plan_together(const pd_plan *, size_t index)
    size_t pd_plan_length(const pd_plan *)
    size_t pd_plan_bytes(const pd_plan *)
    const pd_launch *pd_plan_launch(const pd_plan *, size_t index)
    size_t pd_plan_pointers(const pd_plan *, size_t index, const void **to)
    int pd_plan_settle(pd_plan *, pd_arena *)

    ctypedef struct pd_arena
    pd_arena *pd_arena_new()
    void pd_arena_free(pd_arena *)
    void *pd_arena_take(pd_arena *, size_t nbytes, size_t now, int stays)
    void pd_arena_give(pd_arena *, const void *at, size_t now)
    void pd_arena_move(pd_arena *, const void *at)
    void *pd_arena_moved(const pd_arena *, const void *at)
    int pd_arena_meets(const pd_arena *, const void *at, size_t nbytes)
    size_t pd_arena_bytes(const pd_arena *)
    size_t pd_arena_count(const pd_arena *)
    const void *pd_arena_block(const pd_arena *, size_t index, size_t *nbytes)

    size_t pd_num_threads()
    int pd_set_num_threads(size_t count)

    ctypedef struct pd_memory:
        size_t allocated
        size_t peak
        size_t cached
        size_t allocations
        size_t cache_hits
        size_t cache_limit
    void *pd_alloc(size_t nbytes)
    void pd_free(void *pointer, size_t nbytes)
    void pd_memory_stats(pd_memory *out)
    void pd_memory_reset_peak()
    void pd_empty_cache()
