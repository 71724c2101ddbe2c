/* Elementwise kernels: MAPn(name, expression) defines kernel `name` of n inputs over a pd_map launch.
 * A row function sees unit-stride rows only: the driver below stages what is strided or broadcast through small
 * buffers, so an element's bits never depend on the layout, on its place in the row or on the number of threads. */
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

typedef struct map_kernel {
    map_row row;
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

/* One row whose operands start at `at`; `stride` holds each operand's stride along the row. */
static UNUSED void map_strided_row(const map_kernel *k, size_t n, char *const *at, const ptrdiff_t *stride,
                                   const double *scalar) {
    _Alignas(64) char stage[PD_MAX_OPERANDS][MAP_STAGE * 8];
    const size_t out = k->inputs;
    for (size_t i = 0; i < n; i += MAP_STAGE) {
        const size_t count = min_size(n - i, MAP_STAGE);
        const void *in[PD_MAX_OPERANDS];
        for (size_t o = 0; o < out; o++) {
            const char *from = at[o] + (ptrdiff_t)i * stride[o] * k->size[o];
            if (stride[o] == 1) in[o] = from;
            else {
                if (stride[o] != 0) stage_in(stage[o], from, count, stride[o], k->size[o]);
                else if (i == 0) stage_fill(stage[o], from, count, k->size[o]);
                in[o] = stage[o];
            }
        }
        char *to = at[out] + (ptrdiff_t)i * stride[out] * k->size[out];
        if (stride[out] == 1) k->row(count, in, to, scalar);
        else {
            k->row(count, in, stage[out], scalar);
            stage_out(to, stage[out], count, stride[out], k->size[out]);
        }
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
    int unit_stride = 1;
    for (size_t o = 0; o < operands; o++) {
        stride[o] = map->ndim ? map->stride[o][outer] : 1;
        unit_stride &= stride[o] == 1;
    }
    for (size_t unit = first; unit < last; unit++) {
        const size_t start = unit % job->segments * job->segment;
        size_t row = unit / job->segments;
        char *at[PD_MAX_OPERANDS];
        for (size_t o = 0; o < operands; o++)
            at[o] = (char *)job->launch->buf[o] + (ptrdiff_t)start * stride[o] * k->size[o];
        for (size_t d = outer; d-- > 0 && row;) {
            const ptrdiff_t index = (ptrdiff_t)(row % map->shape[d]);
            row /= map->shape[d];
            for (size_t o = 0; o < operands; o++) at[o] += index * map->stride[o][d] * k->size[o];
        }
        const size_t count = min_size(job->n - start, job->segment);
        if (unit_stride) k->row(count, (const void *const *)at, at[k->inputs], job->launch->scalar);
        else map_strided_row(k, count, at, stride, job->launch->scalar);
    }
}

static UNUSED void map_run(const pd_launch *launch, const map_kernel *kernel) {
    const pd_map *map = &launch->map;
    map_job job = {launch, kernel, 1, map->ndim ? map->shape[map->ndim - 1] : 1, 0, 0, 0};
    for (size_t d = 0; d + 1 < map->ndim; d++) job.rows *= map->shape[d];
    if (job.rows == 0 || job.n == 0) return;
    if (job.rows * job.n * kernel->cost < (size_t)MAP_THREADED * 1000) {
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
#define MAP_KERNEL(name, ...)                                                                                \
    static void N(name)(const pd_launch *launch) {                                                           \
        static const map_kernel kernel = {N(name##_row), __VA_ARGS__, MAP_COST};                                   \
        map_run(launch, &kernel);                                                                            \
    }
/* A row's own copy of the scalars: they stay in registers, as no store through `out` can change them. */
#define MAP_SCALARS                                                                                          \
    const double s[PD_MAX_SCALARS] = {scalar[0], scalar[1], scalar[2], scalar[3]};                           \
    (void)s

/* Vector expressions of x, y, z (vreal) and s[0], s[1] ... (the launch's scalars); float32 and float64 only. */
#define MAP1(name, expression)                                                                               \
    INLINE vreal N(name##_at)(vreal x, const double *s) { (void)s; return (expression); }                    \
    static void N(name##_row)(MAP_ROW_ARGS) {                                                                \
        const real *a = in[0];                                                                               \
        real *to = out;                                                                                      \
        size_t i = 0;                                                                                        \
        MAP_SCALARS;                                                                                         \
        for (; i + VL <= n; i += VL) v_store(to + i, N(name##_at)(v_load(a + i), s));                        \
        if (i < n) v_store_part(to + i, N(name##_at)(v_load_part(a + i, n - i), s), n - i);                  \
    }                                                                                                        \
    MAP_KERNEL(name, 1, {sizeof(T), sizeof(T)})
#define MAP2(name, expression)                                                                               \
    INLINE vreal N(name##_at)(vreal x, vreal y, const double *s) { (void)s; return (expression); }           \
    static void N(name##_row)(MAP_ROW_ARGS) {                                                                \
        const real *a = in[0], *b = in[1];                                                                   \
        real *to = out;                                                                                      \
        size_t i = 0;                                                                                        \
        MAP_SCALARS;                                                                                         \
        for (; i + VL <= n; i += VL) v_store(to + i, N(name##_at)(v_load(a + i), v_load(b + i), s));         \
        if (i < n) {                                                                                         \
            const vreal x = v_load_part(a + i, n - i), y = v_load_part(b + i, n - i);                        \
            v_store_part(to + i, N(name##_at)(x, y, s), n - i);                                              \
        }                                                                                                    \
    }                                                                                                        \
    MAP_KERNEL(name, 2, {sizeof(T), sizeof(T), sizeof(T)})
#define MAP3(name, expression)                                                                               \
    INLINE vreal N(name##_at)(vreal x, vreal y, vreal z, const double *s) { (void)s; return (expression); }  \
    static void N(name##_row)(MAP_ROW_ARGS) {                                                                \
        const real *a = in[0], *b = in[1], *c = in[2];                                                       \
        real *to = out;                                                                                      \
        size_t i = 0;                                                                                        \
        MAP_SCALARS;                                                                                         \
        for (; i + VL <= n; i += VL)                                                                         \
            v_store(to + i, N(name##_at)(v_load(a + i), v_load(b + i), v_load(c + i), s));                   \
        if (i < n) {                                                                                         \
            const vreal x = v_load_part(a + i, n - i), y = v_load_part(b + i, n - i);                        \
            v_store_part(to + i, N(name##_at)(x, y, v_load_part(c + i, n - i), s), n - i);                   \
        }                                                                                                    \
    }                                                                                                        \
    MAP_KERNEL(name, 3, {sizeof(T), sizeof(T), sizeof(T), sizeof(T)})

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
