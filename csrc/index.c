/* Rows and elements by index. Indices are int64, already checked against the size they index: index_range finds the
 * smallest and largest before anything is written. Legend: x (outer, n, inner), index (count,), y (outer, count, inner),
 * all contiguous.
 * rows_take: y[o, i] = x[o, index[i]].  rows_put: x[o, index[i]] = y[o, i], the last of equal indices wins.
 * rows_add: x[o, index[i]] += y[o, i], added in the order of i, so that the sum has the same bits for any thread count.
 * gather, scatter, scatter_add, scatter_reduce (scalar[2]: how): along one dimension of strided operands, see index_axis.
 * Threads: chunks are blocks of rows where every output is written once, else blocks of columns or of lines. */
#ifndef PD_INDEX_ONCE
#define PD_INDEX_ONCE

enum { INDEX_GRAIN = 1 << 17, INDEX_AHEAD = 8, INDEX_BLOCK = 1 << 16, INDEX_RANGES = 64 };
enum { INDEX_NARROW = 64, INDEX_WIDE = 1 << 14 }; /* bytes of a row */

/* ---- checks and positions: one function for all element types ---- */

typedef struct range_job {
    const int64_t *index;
    size_t n, per_chunk;
    int64_t low[INDEX_RANGES], high[INDEX_RANGES];
} range_job;

static UNUSED void index_range_chunk(void *context, size_t chunk) {
    range_job *job = context;
    const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->n);
    int64_t low = job->index[first], high = low;
    for (size_t i = first; i < last; i++) {
        low = job->index[i] < low ? job->index[i] : low;
        high = job->index[i] > high ? job->index[i] : high;
    }
    job->low[chunk] = low, job->high[chunk] = high;
}

/* index (n,) -> (2,): the smallest and the largest; (0, -1) where there is none. */
static UNUSED void index_range(const pd_launch *launch) {
    const size_t n = launch->lines.n;
    int64_t *out = launch->buf[1];
    out[0] = 0, out[1] = -1;
    if (n == 0) return;
    range_job job = {.index = launch->buf[0], .n = n, .per_chunk = max_size(INDEX_BLOCK, ceil_div(n, INDEX_RANGES))};
    const size_t chunks = ceil_div(n, job.per_chunk);
    pd_parallel(chunks, index_range_chunk, &job);
    out[0] = job.low[0], out[1] = job.high[0];
    for (size_t i = 1; i < chunks; i++) {
        out[0] = job.low[i] < out[0] ? job.low[i] : out[0];
        out[1] = job.high[i] > out[1] ? job.high[i] : out[1];
    }
}

/* One index array's share of a position: y = (index + size where negative) * scalar[1], size = scalar[0]; added to y
 * where scalar[2] is set. A pd_map of (index, y). */
static UNUSED void index_position_row(size_t n, const void *const *in, void *out, const double *s) {
    const int64_t *index = in[0], *before = in[1], size = (int64_t)s[0], step = (int64_t)s[1];
    int64_t *y = out;
    if (s[2] != 0)
        for (size_t i = 0; i < n; i++) y[i] = before[i] + (index[i] + (index[i] < 0 ? size : 0)) * step;
    else
        for (size_t i = 0; i < n; i++) y[i] = (index[i] + (index[i] < 0 ? size : 0)) * step;
}
static UNUSED void index_position(const pd_launch *launch) {
    static const map_kernel kernel = {index_position_row, NULL, 2, {8, 8, 8}, COST_MOVE};
    map_run(launch, &kernel);
}

/* Flat positions (count,) -> coordinates (count, ndim) in map.shape; count = scalar[0]. */
static UNUSED void index_unravel(const pd_launch *launch) {
    const int64_t *position = launch->buf[0];
    int64_t *y = launch->buf[1];
    const size_t nd = launch->map.ndim, count = (size_t)launch->scalar[0];
    for (size_t i = 0; i < count; i++, y += nd) {
        uint64_t rest = (uint64_t)position[i];
        for (size_t d = nd; d-- > 1;) {
            y[d] = (int64_t)(rest % launch->map.shape[d]);
            rest /= launch->map.shape[d];
        }
        y[0] = (int64_t)rest;
    }
}

static UNUSED void mask_count_chunk(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const uint8_t *mask = launch->buf[0];
    const size_t first = chunk * INDEX_BLOCK, last = min_size(first + INDEX_BLOCK, launch->lines.n);
    int64_t total = 0;
    for (size_t i = first; i < last;) {
        uint8_t partial = 0;
        const size_t stop = min_size(i + 128, last);
        for (; i < stop; i++) partial = (uint8_t)(partial + (mask[i] != 0));
        total += partial;
    }
    ((int64_t *)launch->buf[1])[chunk + 1] = total;
}

/* mask (n,) -> starts (blocks + 1,): how many are set before every block of INDEX_BLOCK; the last is their number. */
static UNUSED void mask_count(const pd_launch *launch) {
    const size_t chunks = ceil_div(launch->lines.n, INDEX_BLOCK);
    int64_t *start = launch->buf[1];
    pd_parallel(chunks, mask_count_chunk, (void *)launch);
    start[0] = 0;
    for (size_t i = 0; i < chunks; i++) start[i + 1] += start[i];
}

static UNUSED void mask_positions_chunk(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const uint8_t *mask = launch->buf[0];
    const size_t first = chunk * INDEX_BLOCK, last = min_size(first + INDEX_BLOCK, launch->lines.n);
    const int64_t *start = launch->buf[1];
    int64_t *y = (int64_t *)launch->buf[2] + start[chunk];
    int64_t *const end = (int64_t *)launch->buf[2] + start[chunk + 1];
    for (size_t i = first; i < last && y < end; i++) {
        *y = (int64_t)i; /* written in any case, kept where the mask is set */
        y += mask[i] != 0;
    }
}

/* mask (n,), starts -> the positions that are set, in order. */
static UNUSED void mask_positions(const pd_launch *launch) {
    pd_parallel(ceil_div(launch->lines.n, INDEX_BLOCK), mask_positions_chunk, (void *)launch);
}

/* ---- batches of rows from several arrays at once: buf = sources (step.count pointers), targets (as many for every batch), index;
 * step.sizes = bytes of a row; scalar[0] = the number of indices, scalar[1] = those of a batch ---- */
typedef struct many_job {
    const pd_launch *launch;
    size_t count, batch, per_chunk;
} many_job;

/* Asks for a row that will be copied soon, into the second level of the cache, which can wait for more lines at a time: most of
 * an epoch's time is waiting for memory (bench "DataLoader"). Of a long row the processor fetches the rest on its own. */
static UNUSED void prefetch_row(const char *row, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at, 0, 2);
}

/* Rows first .. last of the indices, all of one batch, of array a. */
static UNUSED void rows_take_some(const many_job *job, size_t a, size_t first, size_t last) {
    const size_t bytes = job->launch->step.sizes[a], soon = min_size(bytes, 16 * 64), batch = first / job->batch;
    const size_t ahead = soon > 64 ? INDEX_AHEAD / 2 : INDEX_AHEAD;
    const int64_t *index = job->launch->buf[2];
    const char *source = ((char *const *)job->launch->buf[0])[a];
    char *target = ((char *const *)job->launch->buf[1])[batch * job->launch->step.count + a] + (first - batch * job->batch) * bytes;
    for (size_t i = first; i < last; i++, target += bytes) {
        if (i + ahead < last) prefetch_row(source + (size_t)index[i + ahead] * bytes, soon);
        memcpy(target, source + (size_t)index[i] * bytes, bytes);
    }
}

static UNUSED void rows_take_many_chunk(void *context, size_t chunk) {
    const many_job *job = context;
    const size_t end = min_size((chunk + 1) * job->per_chunk, job->count);
    for (size_t first = chunk * job->per_chunk, last; first < end; first = last) {
        last = min_size(end, (first / job->batch + 1) * job->batch);
        for (size_t a = 0; a < job->launch->step.count; a++) rows_take_some(job, a, first, last);
    }
}

static UNUSED void rows_take_many(const pd_launch *launch) {
    many_job job = {launch, (size_t)launch->scalar[0], (size_t)launch->scalar[1], 0};
    size_t bytes = 0;
    for (size_t a = 0; a < launch->step.count; a++) bytes += launch->step.sizes[a];
    job.per_chunk = max_size(1, INDEX_GRAIN / max_size(1, bytes));
    pd_parallel(ceil_div(job.count, job.per_chunk), rows_take_many_chunk, &job);
}

/* A unit is `width` of the indices (or columns, or rows) of one `outer`; a chunk is a run of units. */
typedef struct rows_job {
    const pd_launch *launch;
    size_t width, blocks, units, per_chunk; /* blocks: units of one `outer` */
    int by_row;
} rows_job;

/* Units of at least `least` out of `total` for each of `outer`. */
static UNUSED void rows_run(rows_job *job, size_t outer, size_t total, size_t bytes_each, size_t least, pd_task task) {
    if (outer * total == 0) return;
    bytes_each = max_size(1, bytes_each);
    job->width = min_size(total, max_size(least, INDEX_GRAIN / bytes_each));
    job->blocks = ceil_div(total, job->width);
    job->units = outer * job->blocks;
    job->per_chunk = max_size(1, INDEX_GRAIN / (job->width * bytes_each));
    pd_parallel(ceil_div(job->units, job->per_chunk), task, job);
}
#endif

static void N(elements_take)(const N(cell) *x, const int64_t *index, N(cell) *restrict y, size_t n) {
    V_UNROLL4
    for (size_t i = 0; i < n; i++) y[i] = x[index[i]];
}

/* From four rows at once: an index is read once for all of them. */
static void N(elements_take4)(const N(cell) *x, size_t x_row, const int64_t *index, N(cell) *restrict y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const N(cell) *at = x + index[i];
        y[i] = at[0], y[n + i] = at[x_row], y[2 * n + i] = at[2 * x_row], y[3 * n + i] = at[3 * x_row];
    }
}

static void N(rows_take_unit)(const rows_job *job, size_t unit) {
    const pd_rows g = job->launch->rows;
    const size_t outer = unit / job->blocks, first = unit % job->blocks * job->width;
    const size_t last = min_size(first + job->width, g.count);
    const int64_t *index = job->launch->buf[1];
    const N(cell) *x = (const N(cell) *)job->launch->buf[0] + outer * g.n * g.inner;
    N(cell) *restrict y = (N(cell) *)job->launch->buf[2] + (outer * g.count + first) * g.inner;
    if (g.inner == 1) {
        N(elements_take)(x, index + first, y, last - first);
        return;
    }
    for (size_t i = first; i < last; i++, y += g.inner) {
        if (i + INDEX_AHEAD < last) __builtin_prefetch(x + (size_t)index[i + INDEX_AHEAD] * g.inner);
        N(copy_row)(y, x + (size_t)index[i] * g.inner, g.inner);
    }
}

static void N(rows_take_chunk)(void *context, size_t chunk) {
    const rows_job *job = context;
    const pd_rows g = job->launch->rows;
    size_t unit = chunk * job->per_chunk;
    const size_t last = min_size(unit + job->per_chunk, job->units);
    for (; g.inner == 1 && job->blocks == 1 && unit + 4 <= last; unit += 4)
        N(elements_take4)((const N(cell) *)job->launch->buf[0] + unit * g.n, g.n, job->launch->buf[1],
                          (N(cell) *)job->launch->buf[2] + unit * g.count, g.count);
    for (; unit < last; unit++) N(rows_take_unit)(job, unit);
}

/* buf: x, index, y. */
static void N(rows_take)(const pd_launch *launch) {
    const pd_rows *g = &launch->rows;
    rows_job job = {.launch = launch};
    if (g->inner) rows_run(&job, g->outer, g->count, g->inner * sizeof(T), 1, N(rows_take_chunk));
}

#if PD_REAL
#define ADD(a, b) ((a) + (b))
#else
#define ADD(a, b) ((T)((uint64_t)(a) + (uint64_t)(b))) /* wraps */
#endif
/* A unit is `width` columns of all rows that are written, or all columns of those among rows first .. first + width of x: what
 * two threads write must not lie in the same cache line row after row. In the order of the indices. */
#define ROWS_WRITE(name, value)                                                                              \
    INLINE void N(name##_row)(T *restrict x, const T *restrict y, size_t n) {                                \
        for (size_t j = 0; j < n; j++) {                                                                     \
            T *const to = x + j;                                                                             \
            const T new = y[j];                                                                              \
            *to = value;                                                                                     \
        }                                                                                                    \
    }                                                                                                        \
    static void N(name##_unit)(const rows_job *job, size_t unit) {                                           \
        const pd_rows g = job->launch->rows;                                                                 \
        const size_t outer = unit / job->blocks, first = unit % job->blocks * job->width;                    \
        const int64_t *index = job->launch->buf[1];                                                          \
        const T *y = (const T *)job->launch->buf[0] + outer * g.count * g.inner;                             \
        T *x = (T *)job->launch->buf[2] + outer * g.n * g.inner;                                             \
        if (job->by_row) {                                                                                   \
            for (size_t i = 0; i < g.count; i++, y += g.inner)                                               \
                if ((size_t)index[i] - first < job->width) N(name##_row)(x + (size_t)index[i] * g.inner, y, g.inner); \
        } else if (g.inner == 1)                                                                             \
            for (size_t i = 0; i < g.count; i++) {                                                           \
                T *const to = x + index[i];                                                                  \
                const T new = y[i];                                                                          \
                *to = value;                                                                                 \
            }                                                                                                \
        else                                                                                                 \
            for (size_t i = 0; i < g.count; i++, y += g.inner)                                               \
                N(name##_row)(x + (size_t)index[i] * g.inner + first, y + first, min_size(job->width, g.inner - first)); \
    }                                                                                                        \
    static void N(name##_chunk)(void *context, size_t chunk) {                                               \
        const rows_job *job = context;                                                                       \
        const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->units);    \
        for (size_t unit = first; unit < last; unit++) N(name##_unit)(job, unit);                            \
    }                                                                                                        \
    static void N(name)(const pd_launch *launch) {                                                           \
        const pd_rows *g = &launch->rows;                                                                    \
        const size_t threads = pd_num_threads(), bytes = g->count * g->inner * sizeof(T);                    \
        rows_job job = {.launch = launch};                                                                   \
        if (bytes == 0) return;                                                                              \
        job.by_row = threads > 1 && g->inner * sizeof(T) >= INDEX_NARROW && g->inner * sizeof(T) < INDEX_WIDE; \
        if (job.by_row) rows_run(&job, g->outer, g->n, bytes / g->n, ceil_div(g->n, 2 * threads), N(name##_chunk)); \
        else {                                                                                               \
            const size_t least = g->inner * sizeof(T) < INDEX_WIDE ? g->inner : ceil_div(g->inner, threads); \
            rows_run(&job, g->outer, g->inner, g->count * sizeof(T), least, N(name##_chunk));                \
        }                                                                                                    \
    }
/* buf: y, index, x. */
ROWS_WRITE(rows_put, new)
ROWS_WRITE(rows_add, ADD(*to, new))
#undef ROWS_WRITE

/* gather, scatter: a pd_map over index's shape with the operands x, index, y, where stride[0] has 0 at the axis:
 * gather y[p] = x[p + index[p] * step], scatter x[p + index[p] * step] = (or +=) y[p]. axis = scalar[0], step =
 * scalar[1]. Lines along the axis are independent of each other, so a chunk is a block of lines. */
typedef struct N(axis_plan) {
    const pd_launch *launch;
    size_t ndim, shape[PD_MAX_DIMS + 1], lines_per_chunk, lines, n; /* n: along the axis; the rest lies in shape */
    ptrdiff_t stride[3][PD_MAX_DIMS + 1], along[3], step;
} N(axis_plan);

static size_t N(index_axis)(N(axis_plan) *p, const pd_launch *launch) {
    const pd_map *map = &launch->map;
    const size_t axis = (size_t)launch->scalar[0];
    p->launch = launch, p->step = (ptrdiff_t)launch->scalar[1];
    p->ndim = 0, p->lines = 1, p->n = map->ndim ? map->shape[axis] : 1;
    for (size_t o = 0; o < 3; o++) p->along[o] = map->ndim ? map->stride[o][axis] : 0;
    for (size_t d = 0; d < map->ndim; d++) {
        if (d == axis) continue;
        p->shape[p->ndim] = map->shape[d];
        for (size_t o = 0; o < 3; o++) p->stride[o][p->ndim] = map->stride[o][d];
        p->lines *= map->shape[d];
        p->ndim++;
    }
    if (p->ndim == 0) { /* a single line */
        p->shape[0] = 1, p->ndim = 1;
        for (size_t o = 0; o < 3; o++) p->stride[o][0] = 0;
    }
    p->lines_per_chunk = max_size(1, (INDEX_GRAIN / 16) / max_size(1, p->n));
    return p->lines * p->n == 0 ? 0 : ceil_div(p->lines, p->lines_per_chunk);
}

/* What scatter_reduce makes of two elements: how = 0 their product, 1 the larger, 2 the smaller; NaN is both. The barrier keeps
 * the compiler from a copy of the walk for each. */
INLINE T N(combined)(T a, T b, int how) {
    __asm__("" : "+r"(how));
#if PD_REAL
    if (how == 0) return a * b;
    if (b != b) return b;
#else
    if (how == 0) return (T)((uint64_t)a * (uint64_t)b);
#endif
    const T larger = b > a ? b : a, smaller = b < a ? b : a;
    return how == 1 ? larger : smaller;
}

/* A run of lines is a plane of `lines` (neighbours along the last other dimension) x n; the nearer one goes innermost. */
#define AXIS_KERNEL(name, statement)                                                                         \
    INLINE void N(name##_line)(T *x, const int64_t *index, T *y, size_t n, ptrdiff_t in, ptrdiff_t yn, ptrdiff_t step, int how) { \
        (void)how;                                                                                           \
        for (ptrdiff_t j = 0; j < (ptrdiff_t)n; j++) {                                                       \
            T *const at = x + index[j * in] * step, *const value = y + j * yn;                               \
            statement;                                                                                       \
        }                                                                                                    \
    }                                                                                                        \
    INLINE void N(name##_plane)(const N(axis_plan) *p, T *x, const int64_t *index, T *y, size_t lines) {     \
        const size_t l = p->ndim - 1;                                                                        \
        const ptrdiff_t xl = p->stride[0][l], il = p->stride[1][l], yl = p->stride[2][l];                    \
        const ptrdiff_t in = p->along[1], yn = p->along[2], step = p->step;                                  \
        const int how = (int)p->launch->scalar[2];                                                           \
        (void)how;                                                                                           \
        if (stride_size(in) < stride_size(il) || lines == 1) {                                               \
            for (ptrdiff_t i = 0; i < (ptrdiff_t)lines; i++) {                                               \
                if (in == 1 && yn == 1 && step == 1) N(name##_line)(x + i * xl, index + i * il, y + i * yl, p->n, 1, 1, 1, how); \
                else N(name##_line)(x + i * xl, index + i * il, y + i * yl, p->n, in, yn, step, how);        \
            }                                                                                                \
        } else                                                                                               \
            for (ptrdiff_t j = 0; j < (ptrdiff_t)p->n; j++)                                                  \
                for (ptrdiff_t i = 0; i < (ptrdiff_t)lines; i++) {                                           \
                    T *const at = x + i * xl + index[i * il + j * in] * step, *const value = y + i * yl + j * yn; \
                    statement;                                                                               \
                }                                                                                            \
    }                                                                                                        \
    static void N(name##_chunk)(void *context, size_t chunk) {                                               \
        const N(axis_plan) *p = context;                                                                     \
        size_t line = chunk * p->lines_per_chunk;                                                            \
        const size_t last = min_size(line + p->lines_per_chunk, p->lines), width = p->shape[p->ndim - 1];    \
        while (line < last) {                                                                                \
            const size_t run = min_size(width - line % width, last - line);                                  \
            T *x = p->launch->buf[0], *y = p->launch->buf[2];                                                \
            const int64_t *index = p->launch->buf[1];                                                        \
            size_t rest = line;                                                                              \
            for (size_t d = p->ndim; d-- > 0;) {                                                             \
                const ptrdiff_t k = (ptrdiff_t)(rest % p->shape[d]);                                         \
                rest /= p->shape[d];                                                                         \
                x += k * p->stride[0][d], index += k * p->stride[1][d], y += k * p->stride[2][d];            \
            }                                                                                                \
            N(name##_plane)(p, x, index, y, run);                                                            \
            line += run;                                                                                     \
        }                                                                                                    \
    }                                                                                                        \
    static void N(name)(const pd_launch *launch) {                                                           \
        N(axis_plan) plan;                                                                                   \
        const size_t chunks = N(index_axis)(&plan, launch);                                                  \
        if (chunks == 1) N(name##_chunk)(&plan, 0);                                                          \
        else if (chunks > 1) pd_parallel(chunks, N(name##_chunk), &plan);                                    \
    }
/* buf: x, index, y. */
AXIS_KERNEL(gather, *value = *at)
AXIS_KERNEL(scatter, *at = *value)
AXIS_KERNEL(scatter_add, *at = ADD(*at, *value))
AXIS_KERNEL(scatter_reduce, *at = N(combined)(*at, *value, how))
#undef AXIS_KERNEL
#undef ADD
