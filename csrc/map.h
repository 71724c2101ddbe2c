/* Elementwise kernels: MAPn(name, expression) defines kernel `name` of n inputs over a pd_map launch.
 * A row function sees unit-stride rows only: the driver below stages what is strided through small buffers, so an
 * element's bits never depend on the layout, on its place in the row or on the number of threads. What is broadcast along
 * the row is staged, too, or to a vector expression given as one vector, read again and again by a step of zero. */
#ifndef PD_MAP_ONCE
#define PD_MAP_ONCE

enum {
    MAP_STAGE = 256,           /* elements of a staging buffer */
    MAP_THREADED = 50 * 1000,  /* work that is worth waking a thread, in ns */
    MAP_CHUNK = 10 * 1000,     /* work of a chunk, in ns */
};

/* What an element costs, in ps on AVX2. MAP_COST holds for the kernels defined after it, up to the next family. */
#define COST_MOVE 150   /* bound by memory */
#define COST_LIGHT 500  /* exp, division */
#define COST_HEAVY 1500 /* erf, sin, log1p */
#define COST_LIBM 10000 /* scalar code */

typedef void (*map_row)(size_t n, const void *const *in, void *out, const double *scalar);
typedef void (*map_stepped_row)(size_t n, const void *const *in, const size_t *step, void *out, const double *scalar);

typedef struct map_kernel {
    map_row row;                         /* or NULL, and then */
    map_stepped_row stepped;             /* step: elements from vector to vector of each input */
    size_t inputs;
    unsigned char size[PD_MAX_OPERANDS]; /* bytes of an element: the inputs, then the output */
    size_t cost;                         /* of an element, in ps */
} map_kernel;

typedef struct map_job {
    const pd_launch *launch;
    const map_kernel *kernel;
    size_t rows, n, segment, segments, units_per_chunk;
} map_job;

static UNUSED void stage_in(void *to, const char *from, size_t n, ptrdiff_t stride, size_t size) {
#define STAGE_AS(type)                                                                                       \
    for (size_t i = 0; i < n; i++) ((type *)to)[i] = ((const type *)from)[(ptrdiff_t)i * stride]
    if (size == 4) STAGE_AS(uint32_t);
    else if (size == 8) STAGE_AS(uint64_t);
    else STAGE_AS(uint8_t);
#undef STAGE_AS
}

/* One element n times: a broadcast operand. */
static UNUSED void stage_fill(void *to, const char *from, size_t n, size_t size) {
#define STAGE_AS(type)                                                                                       \
    do {                                                                                                     \
        const type value = *(const type *)from;                                                              \
        for (size_t i = 0; i < n; i++) ((type *)to)[i] = value;                                              \
    } while (0)
    if (size == 4) STAGE_AS(uint32_t);
    else if (size == 8) STAGE_AS(uint64_t);
    else memset(to, *from, n);
#undef STAGE_AS
}

static UNUSED void stage_out(char *to, const void *from, size_t n, ptrdiff_t stride, size_t size) {
#define STAGE_AS(type)                                                                                       \
    for (size_t i = 0; i < n; i++) ((type *)to)[(ptrdiff_t)i * stride] = ((const type *)from)[i]
    if (size == 4) STAGE_AS(uint32_t);
    else if (size == 8) STAGE_AS(uint64_t);
    else STAGE_AS(uint8_t);
#undef STAGE_AS
}

INLINE void map_row_run(const map_kernel *k, size_t n, const void *const *in, const size_t *step, void *out,
                        const double *scalar) {
    if (k->stepped) k->stepped(n, in, step, out, scalar);
    else k->row(n, in, out, scalar);
}

/* One row whose operands start at `at`; `stride` holds each operand's stride along the row. */
static UNUSED void map_strided_row(const map_kernel *k, size_t n, char *const *at, const ptrdiff_t *stride,
                                   const double *scalar) {
    _Alignas(64) char stage[PD_MAX_OPERANDS][MAP_STAGE * 8];
    const size_t out = k->inputs;
    size_t step[PD_MAX_OPERANDS], piece = k->stepped && stride[out] == 1 ? n : MAP_STAGE;
    for (size_t o = 0; o < out; o++) {
        const size_t vector = VBYTES / k->size[o];
        step[o] = stride[o] != 0 ? vector : 0;
        if (stride[o] == 0) stage_fill(stage[o], at[o], k->stepped ? vector : min_size(n, MAP_STAGE), k->size[o]);
        else if (stride[o] != 1) piece = MAP_STAGE;
    }
    for (size_t i = 0; i < n; i += piece) {
        const size_t count = min_size(n - i, piece);
        const void *in[PD_MAX_OPERANDS];
        for (size_t o = 0; o < out; o++) {
            const char *from = at[o] + (ptrdiff_t)i * stride[o] * k->size[o];
            if (stride[o] != 0 && stride[o] != 1) stage_in(stage[o], from, count, stride[o], k->size[o]);
            in[o] = stride[o] == 1 ? from : stage[o];
        }
        char *to = at[out] + (ptrdiff_t)i * stride[out] * k->size[out];
        map_row_run(k, count, in, step, stride[out] == 1 ? to : stage[out], scalar);
        if (stride[out] != 1) stage_out(to, stage[out], count, stride[out], k->size[out]);
    }
}

static UNUSED void map_chunk(void *context, size_t chunk) {
    const map_job *job = context;
    const pd_map *map = &job->launch->map;
    const map_kernel *k = job->kernel;
    const size_t operands = k->inputs + 1, outer = map->ndim ? map->ndim - 1 : 0;
    const size_t first = chunk * job->units_per_chunk;
    const size_t last = min_size(first + job->units_per_chunk, job->rows * job->segments);
    ptrdiff_t stride[PD_MAX_OPERANDS];
    size_t step[PD_MAX_OPERANDS];
    int unit_stride = 1;
    for (size_t o = 0; o < operands; o++) {
        stride[o] = map->ndim ? map->stride[o][outer] : 1;
        step[o] = VBYTES / k->size[o];
        unit_stride &= stride[o] == 1;
    }
    for (size_t unit = first; unit < last; unit++) {
        const size_t start = job->segments == 1 ? 0 : unit % job->segments * job->segment;
        size_t row = job->segments == 1 ? unit : unit / job->segments;
        char *at[PD_MAX_OPERANDS];
        for (size_t o = 0; o < operands; o++)
            at[o] = (char *)job->launch->buf[o] + (ptrdiff_t)start * stride[o] * k->size[o];
        for (size_t d = outer; d-- > 0 && row;) {
            const ptrdiff_t index = (ptrdiff_t)(d ? row % map->shape[d] : row); /* divisions take time */
            row = d ? row / map->shape[d] : 0;
            for (size_t o = 0; o < operands; o++) at[o] += index * map->stride[o][d] * k->size[o];
        }
        const size_t count = min_size(job->n - start, job->segment);
        if (unit_stride) map_row_run(k, count, (const void *const *)at, step, at[k->inputs], job->launch->scalar);
        else map_strided_row(k, count, at, stride, job->launch->scalar);
    }
}

/* Most small launches: one row, all of it contiguous. */
static UNUSED int map_one_row(const pd_launch *launch, const map_kernel *k) {
    size_t step[PD_MAX_OPERANDS];
    if (launch->map.ndim != 1) return 0;
    for (size_t o = 0; o <= k->inputs; o++) {
        if (launch->map.stride[o][0] != 1) return 0;
        step[o] = k->size[o] == 4 ? VBYTES / 4 : k->size[o] == 8 ? VBYTES / 8 : VBYTES; /* divisions take time */
    }
    map_row_run(k, launch->map.shape[0], (const void *const *)launch->buf, step, launch->buf[k->inputs], launch->scalar);
    return 1;
}

/* Not inlined: half a kilobyte in each of some hundred kernels. */
static UNUSED __attribute__((noinline)) void map_run(const pd_launch *launch, const map_kernel *kernel) {
    const pd_map *map = &launch->map;
    map_job job = {launch, kernel, 1, map->ndim ? map->shape[map->ndim - 1] : 1, 0, 0, 0};
    for (size_t d = 0; d + 1 < map->ndim; d++) job.rows *= map->shape[d];
    if (job.rows == 0 || job.n == 0) return;
    if (job.rows * job.n * kernel->cost < (size_t)MAP_THREADED * 1000) {
        if (map_one_row(launch, kernel)) return;
        job.segment = job.n;
        job.segments = 1;
        job.units_per_chunk = job.rows;
        map_chunk(&job, 0);
        return;
    }
    const size_t grain = (size_t)MAP_CHUNK * 1000 / kernel->cost & ~(size_t)63;
    job.segment = min_size(job.n, grain);
    job.segments = ceil_div(job.n, job.segment);
    job.units_per_chunk = max_size(1, grain / job.segment);
    pd_parallel(ceil_div(job.rows * job.segments, job.units_per_chunk), map_chunk, &job);
}

#define MAP_ROW_ARGS size_t n, const void *const *in, void *out, const double *scalar
#define MAP_STEPPED_ARGS size_t n, const void *const *in, const size_t *step, void *out, const double *scalar
#define MAP_DEFINE(name, row, stepped, ...)                                                                  \
    static void N(name)(const pd_launch *launch) {                                                           \
        static const map_kernel kernel = {row, stepped, __VA_ARGS__, MAP_COST};                              \
        map_run(launch, &kernel);                                                                            \
    }
#define MAP_KERNEL(name, ...) MAP_DEFINE(name, N(name##_row), NULL, __VA_ARGS__)
#define MAP_STEPPED(name, ...) MAP_DEFINE(name, NULL, N(name##_stepped), __VA_ARGS__)
/* A row's own copy of the scalars: they stay in registers, as no store through `out` can change them. */
#define MAP_SCALARS                                                                                          \
    const double s[PD_MAX_SCALARS] = {scalar[0], scalar[1], scalar[2], scalar[3]};                           \
    (void)s

/* Vector expressions of x, y, z (vreal) and s[0], s[1] ... (the launch's scalars); float32 and float64 only. */
/* One loop, in which the end of a row is a vector like the others: an expression may be long, and stands there once. */
#define MAP1(name, expression)                                                                               \
    INLINE vreal N(name##_at)(vreal x, const double *s) { (void)s; return (expression); }                    \
    static void N(name##_stepped)(MAP_STEPPED_ARGS) {                                                        \
        const real *a = in[0];                                                                               \
        const size_t a_step = step[0];                                                                       \
        real *to = out;                                                                                      \
        MAP_SCALARS;                                                                                         \
        for (size_t i = 0; i < n; i += VL, a += a_step) {                                                    \
            const size_t left = n - i;                                                                       \
            const vreal x = v_load_left(a, a_step ? left : VL);                                              \
            v_store_left(to + i, N(name##_at)(x, s), left);                                                  \
        }                                                                                                    \
    }                                                                                                        \
    MAP_STEPPED(name, 1, {sizeof(T), sizeof(T)})
#define MAP2(name, expression)                                                                               \
    INLINE vreal N(name##_at)(vreal x, vreal y, const double *s) { (void)s; return (expression); }           \
    static void N(name##_stepped)(MAP_STEPPED_ARGS) {                                                        \
        const real *a = in[0], *b = in[1];                                                                   \
        const size_t a_step = step[0], b_step = step[1];                                                     \
        real *to = out;                                                                                      \
        MAP_SCALARS;                                                                                         \
        for (size_t i = 0; i < n; i += VL, a += a_step, b += b_step) {                                       \
            const size_t left = n - i;                                                                       \
            const vreal x = v_load_left(a, a_step ? left : VL);                                              \
            const vreal y = v_load_left(b, b_step ? left : VL);                                              \
            v_store_left(to + i, N(name##_at)(x, y, s), left);                                               \
        }                                                                                                    \
    }                                                                                                        \
    MAP_STEPPED(name, 2, {sizeof(T), sizeof(T), sizeof(T)})
#define MAP3(name, expression)                                                                               \
    INLINE vreal N(name##_at)(vreal x, vreal y, vreal z, const double *s) { (void)s; return (expression); }  \
    static void N(name##_stepped)(MAP_STEPPED_ARGS) {                                                        \
        const real *a = in[0], *b = in[1], *c = in[2];                                                       \
        const size_t a_step = step[0], b_step = step[1], c_step = step[2];                                   \
        real *to = out;                                                                                      \
        MAP_SCALARS;                                                                                         \
        size_t i = 0;                                                                                        \
        V_UNROLL4                                                                                            \
        for (; i + VL <= n; i += VL, a += a_step, b += b_step, c += c_step)                                  \
            v_store(to + i, N(name##_at)(v_load(a), v_load(b), v_load(c), s));                               \
        if (i == n) return;                                                                                  \
        const vreal x = v_load_left(a, a_step ? n - i : VL), y = v_load_left(b, b_step ? n - i : VL);        \
        v_store_part(to + i, N(name##_at)(x, y, v_load_left(c, c_step ? n - i : VL), s), n - i);             \
    }                                                                                                        \
    MAP_STEPPED(name, 3, {sizeof(T), sizeof(T), sizeof(T), sizeof(T)})
/* For what is bound by memory: unrolled, and a broadcast operand stays in a register. */
#define MAP1_MOVE(name, expression)                                                                          \
    INLINE vreal N(name##_at)(vreal x, const double *s) { (void)s; return (expression); }                    \
    static void N(name##_stepped)(MAP_STEPPED_ARGS) {                                                        \
        const real *a = in[0];                                                                               \
        real *to = out;                                                                                      \
        size_t i = 0;                                                                                        \
        MAP_SCALARS;                                                                                         \
        if (step[0])                                                                                         \
            V_UNROLL4 for (; i + VL <= n; i += VL) v_store(to + i, N(name##_at)(v_load(a + i), s));          \
        if (i == n) return;                                                                                  \
        const vreal y = N(name##_at)(step[0] ? v_load_part(a + i, n - i) : v_set(a[0]), s);                  \
        for (; i + VL <= n; i += VL) v_store(to + i, y);                                                     \
        if (i < n) v_store_part(to + i, y, n - i);                                                           \
    }                                                                                                        \
    MAP_STEPPED(name, 1, {sizeof(T), sizeof(T)})
#define MAP2_MOVE(name, expression)                                                                          \
    INLINE vreal N(name##_at)(vreal x, vreal y, const double *s) { (void)s; return (expression); }           \
    static void N(name##_stepped)(MAP_STEPPED_ARGS) {                                                        \
        const real *a = in[0], *b = in[1];                                                                   \
        const size_t whole = n & ~(VL - 1), a_step = step[0], b_step = step[1];                              \
        if (n == 0) return;                                                                                  \
        const vreal first_x = v_set(a[0]), first_y = v_set(b[0]);                                            \
        real *to = out;                                                                                      \
        MAP_SCALARS;                                                                                         \
        if (a_step && b_step)                                                                                \
            V_UNROLL4 for (size_t i = 0; i < whole; i += VL)                                                 \
                v_store(to + i, N(name##_at)(v_load(a + i), v_load(b + i), s));                              \
        else if (a_step)                                                                                     \
            V_UNROLL4 for (size_t i = 0; i < whole; i += VL)                                                 \
                v_store(to + i, N(name##_at)(v_load(a + i), first_y, s));                                    \
        else                                                                                                 \
            for (size_t i = 0; i < whole; i += VL)                                                           \
                v_store(to + i, N(name##_at)(first_x, b_step ? v_load(b + i) : first_y, s));                 \
        if (whole == n) return;                                                                              \
        const vreal last_x = a_step ? v_load_part(a + whole, n - whole) : first_x;                           \
        const vreal last_y = b_step ? v_load_part(b + whole, n - whole) : first_y;                           \
        v_store_part(to + whole, N(name##_at)(last_x, last_y, s), n - whole);                                \
    }                                                                                                        \
    MAP_STEPPED(name, 2, {sizeof(T), sizeof(T), sizeof(T)})

/* Scalar expressions of x, y, z (of type T) that the compiler vectorises; R is the type of the result. */
#define EACH1(name, R, expression)                                                                           \
    static void N(name##_row)(MAP_ROW_ARGS) {                                                                \
        const T *a = in[0];                                                                                  \
        R *to = out;                                                                                         \
        MAP_SCALARS;                                                                                         \
        for (size_t i = 0; i < n; i++) { const T x = a[i]; to[i] = (R)(expression); }                        \
    }                                                                                                        \
    MAP_KERNEL(name, 1, {sizeof(T), sizeof(R)})
#define EACH2(name, R, expression)                                                                           \
    static void N(name##_row)(MAP_ROW_ARGS) {                                                                \
        const T *a = in[0], *b = in[1];                                                                      \
        R *to = out;                                                                                         \
        MAP_SCALARS;                                                                                         \
        for (size_t i = 0; i < n; i++) { const T x = a[i], y = b[i]; to[i] = (R)(expression); }              \
    }                                                                                                        \
    MAP_KERNEL(name, 2, {sizeof(T), sizeof(T), sizeof(R)})
#define EACH3(name, R, expression)                                                                           \
    static void N(name##_row)(MAP_ROW_ARGS) {                                                                \
        const T *a = in[0], *b = in[1], *c = in[2];                                                          \
        R *to = out;                                                                                         \
        MAP_SCALARS;                                                                                         \
        for (size_t i = 0; i < n; i++) { const T x = a[i], y = b[i], z = c[i]; to[i] = (R)(expression); }    \
    }                                                                                                        \
    MAP_KERNEL(name, 3, {sizeof(T), sizeof(T), sizeof(T), sizeof(R)})

#endif

#undef MAP_COST
#define MAP_COST COST_MOVE
