/* Tables of vectors and what is looked up in them: W (V, D), index (count,) int64 in 0 .. V - 1, and bags: offsets (B + 1,),
 * bag b being the items offsets[b] .. offsets[b + 1] - 1, or NULL: every item is a bag. f (count,), or NULL: all 1.
 * scalar[0] is padding, a row of W that counts for nothing, or -1. All three are derivatives of one sum,
 *   sum over b and its items i of f_i <dy_b, W_index[i]>:
 * bag_sum in dy, bag_grad in W, bag_dot in f. pd_rows: outer = B, n = V, inner = D, count. All arrays are contiguous.
 * Additions follow the items: the same bits for any number of threads. */
#ifndef EMBED_ONCE
#define EMBED_ONCE
enum { EMBED_UNIT = 1 << 14, EMBED_PARTS = 16, EMBED_SPAN = 1 << 30 };

typedef struct embed_job {
    const pd_launch *launch;
    const int64_t *index, *offsets;
    int64_t padding;
    size_t per_chunk; /* bags, or rows of W */
} embed_job;

static UNUSED embed_job embed_begin(const pd_launch *launch) {
    return (embed_job){launch, launch->buf[1], launch->buf[2], (int64_t)launch->scalar[0], 1};
}

static UNUSED size_t bag_start(const embed_job *job, size_t b) { return job->offsets ? (size_t)job->offsets[b] : b; }

/* Chunks of bags with some EMBED_UNIT elements each */
static UNUSED void embed_bags(embed_job *job, pd_task task) {
    const pd_rows *g = &job->launch->rows;
    if (g->outer == 0) return;
    const size_t each = max_size(1, ceil_div(g->count, g->outer)) * max_size(1, g->inner);
    job->per_chunk = max_size(1, EMBED_UNIT / each);
    const size_t chunks = ceil_div(g->outer, job->per_chunk);
    if (chunks > 2) pd_parallel(chunks, task, job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(job, chunk);
}
#endif

INLINE void N(add_scaled)(T *restrict to, const T *restrict from, size_t n, T by) {
    for (size_t j = 0; j < n; j++) to[j] += by * from[j];
}

static void N(bag_sum_chunk)(void *context, size_t chunk) {
    const embed_job *job = context;
    const pd_rows *g = &job->launch->rows;
    const T *table = job->launch->buf[0], *f = job->launch->buf[3];
    const size_t last = min_size((chunk + 1) * job->per_chunk, g->outer);
    for (size_t b = chunk * job->per_chunk; b < last; b++) {
        T *y = (T *)job->launch->buf[4] + b * g->inner;
        const size_t end = bag_start(job, b + 1);
        memset(y, 0, g->inner * sizeof(T));
        for (size_t i = bag_start(job, b); i < end; i++) {
            if (i + INDEX_AHEAD < g->count) __builtin_prefetch(table + (size_t)job->index[i + INDEX_AHEAD] * g->inner);
            if (job->index[i] != job->padding) N(add_scaled)(y, table + (size_t)job->index[i] * g->inner, g->inner, f ? f[i] : 1);
        }
    }
}

/* buf: W, index, offsets, f, y (B, D) */
static void N(bag_sum)(const pd_launch *launch) {
    embed_job job = embed_begin(launch);
    embed_bags(&job, N(bag_sum_chunk));
}

static void N(bag_dot_chunk)(void *context, size_t chunk) {
    const embed_job *job = context;
    const pd_rows *g = &job->launch->rows;
    const T *dy = job->launch->buf[0], *table = job->launch->buf[3];
    T *df = job->launch->buf[4];
    const size_t last = min_size((chunk + 1) * job->per_chunk, g->outer);
    for (size_t b = chunk * job->per_chunk; b < last; b++) {
        const size_t end = bag_start(job, b + 1);
        for (size_t i = bag_start(job, b); i < end; i++)
            df[i] = job->index[i] == job->padding ? 0 : N(row_sum)(dy + b * g->inner, table + (size_t)job->index[i] * g->inner, g->inner);
    }
}

/* buf: dy, index, offsets, W, df (count,); items in no bag have 0 */
static void N(bag_dot)(const pd_launch *launch) {
    embed_job job = embed_begin(launch);
    const size_t used = launch->rows.outer ? bag_start(&job, launch->rows.outer) : 0;
    memset((T *)launch->buf[4] + used, 0, (launch->rows.count - used) * sizeof(T));
    embed_bags(&job, N(bag_dot_chunk));
}

/* A chunk owns rows of W: it clears them and then looks through all items for those that are its own. */
static void N(bag_grad_chunk)(void *context, size_t chunk) {
    const embed_job *job = context;
    const pd_rows *g = &job->launch->rows;
    const T *dy = job->launch->buf[0], *f = job->launch->buf[3];
    T *dw = job->launch->buf[4];
    const size_t first = chunk * job->per_chunk, rows = min_size(job->per_chunk, g->n - first);
    memset(dw + first * g->inner, 0, rows * g->inner * sizeof(T));
    for (size_t b = 0; b < g->outer; b++) {
        const size_t end = bag_start(job, b + 1);
        for (size_t i = bag_start(job, b); i < end; i++) {
            const size_t row = (size_t)job->index[i];
            if (row - first >= rows || job->index[i] == job->padding) continue;
            N(add_scaled)(dw + row * g->inner, dy + b * g->inner, g->inner, f ? f[i] : 1);
        }
    }
}

/* buf: dy (B, D), index, offsets, f, dW (V, D). As many chunks as let the looking cost less than the adding. */
static void N(bag_grad)(const pd_launch *launch) {
    const pd_rows *g = &launch->rows;
    embed_job job = embed_begin(launch);
    const size_t work = (g->n + g->count) * g->inner, most = min_size(EMBED_PARTS, max_size(1, g->inner / 4));
    if (g->n * g->inner == 0) return;
    job.per_chunk = ceil_div(g->n, work < 2 * EMBED_UNIT ? 1 : most);
    const size_t chunks = ceil_div(g->n, job.per_chunk);
    if (chunks == 1) N(bag_grad_chunk)(&job, 0);
    else pd_parallel(chunks, N(bag_grad_chunk), &job);
}

/* At most VL columns of one bag; lanes count items from `from` on, which a lane's integer holds for EMBED_SPAN of them. */
static void N(bag_max_columns)(const embed_job *job, const T *table, size_t start, size_t end, size_t left, T *y, int64_t *row) {
    const size_t step = job->launch->rows.inner, width = min_size(left, VL);
    vreal most = v_set(0);
    vint filled = {0};
    for (size_t k = 0; k < width; k++) row[k] = 0;
    for (size_t from = start; from < end; from += EMBED_SPAN) {
        const size_t last = min_size(end, from + EMBED_SPAN);
        vint best = ~(vint){0};
        for (size_t i = from; i < last; i++) {
            if (job->index[i] == job->padding) continue;
            const vreal x = v_load_left(table + (size_t)job->index[i] * step, left);
            const vint more = ~filled | (x > most) | ((x != x) & (most == most)), item = (vint){0} + (bits_t)(i - from);
            most = v_blend(more, x, most);
            best = (more & item) | (~more & best);
            filled = ~(vint){0};
        }
        for (size_t k = 0; k < width; k++)
            if (best[k] >= 0) row[k] = job->index[from + (size_t)best[k]];
    }
    v_store_left(y, most, left);
}

static void N(bag_max_chunk)(void *context, size_t chunk) {
    const embed_job *job = context;
    const pd_rows *g = &job->launch->rows;
    const T *table = job->launch->buf[0];
    const size_t last = min_size((chunk + 1) * job->per_chunk, g->outer);
    for (size_t b = chunk * job->per_chunk; b < last; b++) {
        const size_t start = bag_start(job, b), end = bag_start(job, b + 1), ahead = min_size(end + (end - start), g->count);
        for (size_t i = end; i < ahead; i++) __builtin_prefetch(table + (size_t)job->index[i] * g->inner);
        for (size_t c = 0; c < g->inner; c += VL)
            N(bag_max_columns)(job, table + c, start, end, g->inner - c, (T *)job->launch->buf[4] + b * g->inner + c,
                               (int64_t *)job->launch->buf[3] + b * g->inner + c);
    }
}

/* buf: W, index, offsets, best (B, D) int64: the row of W with the largest element of a bag, the first of equals, or of NaN, and that
 * element (B, D); 0 and 0 for an empty bag. */
static void N(bag_argmax)(const pd_launch *launch) {
    embed_job job = embed_begin(launch);
    embed_bags(&job, N(bag_max_chunk));
}

static double N(p_norm)(const T *x, size_t n, double p) {
    double total = 0;
    for (size_t j = 0; j < n; j++) {
        const double a = fabs((double)x[j]);
        if (isinf(p)) total = a > total || a != a ? a : total;
        else total += p == 2 ? a * a : p == 1 ? a : pow(a, p);
    }
    return isinf(p) || p == 1 ? total : p == 2 ? sqrt(total) : pow(total, 1 / p);
}

/* buf: W, index; rows that are looked up and whose norm is above scalar[0] get that norm; scalar[1] = p of the norm.
 * W x = x scalar[0] / (norm + 1e-7), in place. Workspace: one byte a row of W. */
static void N(embed_renorm)(const pd_launch *launch) {
    const pd_rows *g = &launch->rows;
    const int64_t *index = launch->buf[1];
    uint8_t *seen = launch->workspace;
    memset(seen, 0, g->n);
    for (size_t i = 0; i < g->count; i++) {
        T *row = (T *)launch->buf[0] + (size_t)index[i] * g->inner;
        if (seen[index[i]]) continue;
        seen[index[i]] = 1;
        const double norm = N(p_norm)(row, g->inner, launch->scalar[1]);
        if (norm <= launch->scalar[0]) continue;
        const T by = (T)(launch->scalar[0] / (norm + 1e-7));
        for (size_t j = 0; j < g->inner; j++) row[j] *= by;
    }
}
static size_t N(embed_renorm_workspace)(const pd_launch *launch) { return launch->rows.n; }
