/* The seam between the C kernels and everything above them: element types, launches, the kernel table of an
 * instruction set, threads and memory. A launch is a value: whoever holds it can run it, keep it and run it again.
 * Scalars that change from step to step (learning rate, step count, random state) are read through a buffer. */
#ifndef PYDL_H
#define PYDL_H

#include <stddef.h>
#include <stdint.h>

enum { PD_MAX_DIMS = 16, PD_MAX_OPERANDS = 5, PD_MAX_BUFS = 10, PD_MAX_SCALARS = 4 };

typedef enum pd_dtype { PD_F32, PD_F64, PD_I64, PD_I32, PD_U8, PD_BOOL, PD_DTYPES } pd_dtype;

/* Every kernel has a number, PD_<name>. kernels.inc is the one list of them. */
enum pd_kernel_id {
#define REAL(name) PD_##name,
#define INT(name) PD_##name,
#define NUM(name) PD_##name,
#define ALL(name) PD_##name,
#define ONE(name) PD_##name,
#define WORKSPACE(name)
#include "kernels.inc"
#undef REAL
#undef INT
#undef NUM
#undef ALL
#undef ONE
#undef WORKSPACE
    PD_KERNELS
};

typedef struct pd_launch pd_launch;
typedef void (*pd_kernel)(const pd_launch *);
typedef size_t (*pd_sizer)(const pd_launch *); /* bytes of workspace the launch needs */

/* ---- Geometries: what a kernel is told besides its buffers. Strides count elements, not bytes. ---- */

/* Elementwise: every operand is walked over one shape; stride 0 broadcasts. The caller has merged the dimensions
 * that all operands allow to be merged; ndim 0 is a single element. Operands: the inputs in order, then the output. */
typedef struct pd_map {
    size_t ndim, shape[PD_MAX_DIMS];
    ptrdiff_t stride[PD_MAX_OPERANDS][PD_MAX_DIMS];
} pd_map;

/* Reduction: `kept` dimensions, then `reduced` dimensions, of a strided input. The output is contiguous over the kept. */
typedef struct pd_reduce {
    size_t kept, reduced, shape[PD_MAX_DIMS];
    ptrdiff_t stride[PD_MAX_DIMS];
} pd_reduce;

/* Lines: a contiguous (outer, n, inner) block treated line by line along n (softmax, scans, sorting, class scores). */
typedef struct pd_lines {
    size_t outer, n, inner;
} pd_lines;

/* Rows by index: x (outer, n, inner), index (count,) -> y (outer, count, inner), all contiguous. */
typedef struct pd_rows {
    size_t outer, n, inner, count;
} pd_rows;

/* PD_RELU_BWD: C is zero where a fifth buffer, laid out like C, is not above zero: what relu's backward makes of a gradient. */
typedef enum pd_activation { PD_NO_ACTIVATION, PD_RELU, PD_SIGMOID, PD_TANH, PD_GELU, PD_SILU, PD_RELU_BWD } pd_activation;

/* C (m, n) = activation(A (m, k) B (k, n) + bias (n,)), or C += ..., for every index of the batch dimensions. */
typedef struct pd_gemm {
    size_t m, n, k;
    ptrdiff_t a_row, a_col, b_row, b_col, c_row, c_col;
    size_t batch_ndim, batch[PD_MAX_DIMS];
    ptrdiff_t a_batch[PD_MAX_DIMS], b_batch[PD_MAX_DIMS], c_batch[PD_MAX_DIMS];
    int accumulate, b_packed;
    pd_activation activation;
} pd_gemm;

/* Windows over images: x (n, c, in), y (n, o, out), contiguous; tap t of output i is input i * stride + t * dilation - pad, zero (or
 * absent) where that is outside. Always three dimensions: what is missing comes first, with sizes and steps of 1. Convolutions:
 * weight (o, c / groups, kernel). Pooling: o = c. What the padding after the last element is follows from `out`. */
enum { PD_SPACE = 3 };
typedef struct pd_window {
    size_t n, c, o, groups;
    size_t in[PD_SPACE], out[PD_SPACE], kernel[PD_SPACE], stride[PD_SPACE], dilation[PD_SPACE], pad[PD_SPACE];
    pd_activation activation;
    int exact;  /* no algorithm that rounds otherwise than sums of products do */
    int packed; /* weight is what conv_pack made of it */
} pd_window;

/* One optimizer step over `count` parameters: buf holds arrays of `count` pointers, and scratch of PD_STEP_PLACE bytes for each. */
enum { PD_STEP_PLACE = 32 };
typedef struct pd_step {
    size_t count;
    const size_t *sizes;
} pd_step;

struct pd_launch {
    pd_kernel run;
    void *buf[PD_MAX_BUFS];
    void *workspace; /* as many bytes as the kernel's sizer asks for, 64-byte aligned, or NULL */
    double scalar[PD_MAX_SCALARS];
    int16_t kernel, dtype; /* set while launches are traced */
    union {
        pd_map map;
        pd_reduce reduce;
        pd_lines lines;
        pd_rows rows;
        pd_gemm gemm;
        pd_window window;
        pd_step step;
    };
};

/* ---- One table per instruction set; kernel[id][dtype] is NULL where the kernel has no such type. ---- */
typedef struct pd_isa {
    const char *name;
    pd_kernel kernel[PD_KERNELS][PD_DTYPES];
    pd_sizer sizer[PD_KERNELS][PD_DTYPES];
} pd_isa;

const pd_isa *pd_isa_in_use(void);             /* the best this CPU runs, or what PYDL_ISA names */
int pd_isa_select(const char *name);           /* 0, or -1 where the name is unknown or this CPU lacks it */
const char *pd_isa_available(size_t index);    /* names, best first; NULL past the end */
const char *pd_kernel_name(int id);             /* as in kernels.inc, for messages */
const char *pd_compiler(void);                 /* what compiled the kernels */

/* ---- Threads: each takes chunks of its own run, then of others; no result may depend on who did what. ---- */
typedef void (*pd_task)(void *context, size_t chunk);
void pd_parallel(size_t chunks, pd_task task, void *context);
size_t pd_num_threads(void);
int pd_set_num_threads(size_t count);          /* 0, or -1 where count is 0 or above the limit */

/* ---- Traces: while pd_trace_on, prepare() launches pd_traced, which runs the kernel and notes it in a log. ---- */
enum { PD_NO_OP = -1, PD_NO_KERNEL = -1, PD_FORWARD = -2, PD_BACKWARD = -3 };
typedef struct pd_event {
    int64_t start, end;     /* ns, CLOCK_MONOTONIC */
    uint64_t thread;        /* pthread_self() */
    uint64_t items, bytes;  /* by the kernel's pd_cost */
    int32_t op;             /* a number of the caller's, or PD_NO_OP */
    int16_t kernel;         /* PD_NO_KERNEL: an op that launched nothing */
    uint8_t dtype, backward;
} pd_event;

/* What a kernel's items are, and the bytes it moves: of each item, and of each line, kept element or index. */
enum { PD_COST_NONE, PD_COST_MAP, PD_COST_FLAT, PD_COST_REDUCE, PD_COST_LINES, PD_COST_N, PD_COST_OUTER, PD_COST_ROWS, PD_COST_GEMM,
       PD_COST_STEP, PD_COST_CONV, PD_COST_WINDOW }; /* FLAT: a pd_map without strides */
enum { PD_OWN = 255 }; /* the size of the launch's type */
typedef struct pd_cost {
    unsigned char geometry, each[PD_MAX_OPERANDS], line[PD_MAX_OPERANDS];
} pd_cost;

extern int pd_trace_on;
void pd_traced(const pd_launch *launch);
void pd_trace_cost(int kernel, const pd_cost *cost);
const pd_cost *pd_trace_cost_of(int kernel);
void pd_trace_measure(const pd_launch *launch, pd_event *to); /* its kernel, type, items and bytes */
size_t pd_trace_start(void);                   /* one tracer more -> the position of its first event */
void pd_trace_stop(void);                      /* the last one clears the log */
size_t pd_trace_count(void);
size_t pd_trace_read(size_t from, size_t most, pd_event *to);
size_t pd_trace_dropped(void);                 /* events that there was no memory for */
void pd_trace_name(int32_t op, const void *output);  /* this thread's op `op` has made `output`: its last launch, if that wrote it */
int32_t pd_trace_scope(int32_t op);            /* an op whose backward this thread runs, PD_FORWARD or PD_BACKWARD -> the one before */

/* ---- Plans: while a thread records, prepare() launches pd_recorded, which runs the kernel and appends the launch. ---- */
typedef struct pd_plan pd_plan;
#define PD_DONE SIZE_MAX
extern int pd_plan_on;
pd_plan *pd_plan_new(void);                    /* NULL where there is no memory */
void pd_plan_free(pd_plan *plan);
pd_plan *pd_plan_record(pd_plan *plan);        /* this thread records into it from now on; NULL: nowhere -> the one before */
void pd_recorded(const pd_launch *launch);
size_t pd_plan_check(pd_plan *plan, const int64_t *value, int64_t low, int64_t high); /* a run stops here unless low <= *value < high -> the check's number */
void pd_plan_constant(pd_plan *plan, void *at, size_t n); /* the n <= 8 bytes there are put back before every run */
int pd_plan_finish(const pd_plan *plan);       /* after the last launch: 0, or -1 where memory was short */
int pd_plan_input(pd_plan *plan, const void *at, size_t bytes); /* after pd_plan_settle: the next argument, read there: 0, or -1 */
void pd_plan_read(pd_plan *plan, size_t input, const void *at); /* from now on it is read here */
size_t pd_plan_constant_matrix(const pd_plan *plan, size_t index, const void **at); /* of a product that would gain from a packed one: its bytes, else 0 */
int pd_plan_keep_packed(pd_plan *plan, size_t index); /* such a product -> a number for the next two, or -1 where there is no memory */
void pd_plan_pack_again(pd_plan *plan, size_t number); /* the matrix has changed; the product uses the packed one from now on ... */
void pd_plan_unpack(pd_plan *plan, size_t number); /* ... or reads the matrix itself */
size_t pd_plan_run(const pd_plan *plan);       /* launches them in order (traced, while anybody traces) -> PD_DONE, or the number of the check that failed */
int pd_plan_measure(pd_plan *plan, int on);    /* whether runs are timed, entry by entry: 0, or -1 where there is no memory */
uint64_t pd_plan_time(const pd_plan *plan, size_t index); /* ns of all timed runs */
size_t pd_plan_together(const pd_plan *plan, size_t index); /* how many entries from here on run at the same time, in strips */
size_t pd_plan_length(const pd_plan *plan);
size_t pd_plan_bytes(const pd_plan *plan);     /* of memory that it holds beside the arena */
const pd_launch *pd_plan_launch(const pd_plan *plan, size_t index); /* NULL for a check */
size_t pd_plan_pointers(const pd_plan *plan, size_t index, const void **to); /* how many addresses it holds; copied where `to` is given */

/* The memory of what a recorded step makes. `now` is the plan's length: what is given back is used again from then on. */
typedef struct pd_arena pd_arena;
pd_arena *pd_arena_new(void);                  /* NULL where there is no memory */
void pd_arena_free(pd_arena *arena);
void *pd_arena_take(pd_arena *arena, size_t bytes, size_t now, int stays); /* stays: the host writes there, which a run does not repeat */
void pd_arena_give(pd_arena *arena, const void *at, size_t now);
void pd_arena_move(pd_arena *arena, const void *at); /* what is there is overwritten by every run: until then others may have its memory */
void *pd_arena_moved(const pd_arena *arena, const void *at); /* after pd_plan_settle: where that is now */
int pd_arena_meets(const pd_arena *arena, const void *at, size_t bytes); /* whether any of these bytes are its */
size_t pd_arena_bytes(const pd_arena *arena);
size_t pd_arena_count(const pd_arena *arena);
const void *pd_arena_block(const pd_arena *arena, size_t index, size_t *bytes);
int pd_plan_settle(pd_plan *plan, pd_arena *arena); /* after pd_plan_finish: fuses launches; what was given back moves into memory of the plan -> 0, or -1 */

/* ---- Memory: 64-byte aligned, cached by size class. NULL where there is none. ---- */
typedef struct pd_memory {
    size_t allocated, peak, cached, allocations, cache_hits, cache_limit;
} pd_memory;
void *pd_alloc(size_t bytes);
void pd_free(void *pointer, size_t bytes);     /* bytes as given to pd_alloc */
void *pd_alloc_exact(size_t bytes);            /* for what lives long: not rounded up to a class */
void pd_free_exact(void *pointer, size_t bytes);
void pd_memory_stats(pd_memory *out);
void pd_memory_reset_peak(void);
void pd_empty_cache(void);

#endif
