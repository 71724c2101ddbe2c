/* Normalisation by the statistics of a set of elements: xhat = (x - mean) r, r = 1 / sqrt(var + eps), y = xhat w + b.
 *   layer norm   a set is a row of x (rows, n), w and b (n,); RMS norm: the same with mean = 0, b = 0
 *   batch norm   a set is a channel of x (N, C, L), w and b (C,): norm_channel.c, with group and instance norm
 * With g = dy w, c1 = mean(g), c2 = mean(g xhat) over a set:  dx = r (g - c1 - xhat c2), dw = sum dy xhat, db = sum dy.
 *
 * Statistics are taken around a number s, the mean of the first eighth of the set: mean = s + e, e = mean(x - s), var =
 * mean((x - s)^2) - e^2. An eighth that lies D from the mean puts D^2 / 8 into the variance itself, so that this
 * difference costs no more than 3 bits, whatever the data (Chan, Golub & LeVeque 1983, on shifted sums). Sums of
 * NORM_RUN vectors are added in double. xhat = (x - m) r + shift: m is the mean as T has it, shift = (m - mean) r what that
 * lacks. What a backward needs of a set is (m, r, shift), three T. */
#ifndef NORM_ONCE
#define NORM_ONCE
enum {
    NORM_RUN = 64,         /* vectors, or rows of columns, that are added in T */
    NORM_SAMPLE = 16,      /* s is the mean of a multiple of so many elements */
    NORM_UNIT = 1 << 13,   /* elements of a chunk */
    NORM_ALONE = 1 << 15,  /* fewer elements are not worth a second thread */
    NORM_PARTS = 32,       /* most partial sums of dw and db */
    NORM_ROWS = 16,        /* least rows of one of them */
};

static UNUSED size_t norm_sampled(size_t n) { return min_size(n, ceil_div(n, 8 * NORM_SAMPLE) * NORM_SAMPLE); }

static UNUSED void norm_parallel(size_t chunks, size_t elements, pd_task task, void *job) {
    if (chunks > 1 && elements >= NORM_ALONE) pd_parallel(chunks, task, job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(job, chunk);
}
#endif

typedef struct N(norm_stat) {
    T m, r, shift;
} N(norm_stat);

static const T N(norm_ones)[VL] = {[0 ... VL - 1] = 1}, N(norm_zeros)[VL] = {0};

/* to[0] += sum g, to[1] += sum g (x - s); g = dy, or x - s where `own` */
INLINE void N(run_sums_at)(const T *x, const T *dy, size_t left, vreal s, const int own, vreal *a, vreal *b) {
    vreal d = v_load_left(x, left) - s;
    if (own && left < VL) d = v_keep(N(first_lanes)(left), d);
    const vreal g = own ? d : v_load_left(dy, left);
    *a += g;
    *b = v_fma(g, d, *b);
}

INLINE void N(run_sums)(const T *x, const T *dy, size_t n, T s, const int own, double *to) {
    const vreal shift = v_set(s);
    for (size_t i = 0; i < n;) {
        const size_t end = min_size(n, i + NORM_RUN * VL);
        vreal a[4], b[4];
        for (size_t j = 0; j < 4; j++) a[j] = b[j] = v_set(0);
        for (; i + 4 * VL <= end; i += 4 * VL) {
            V_UNROLL
            for (size_t j = 0; j < 4; j++) N(run_sums_at)(x + i + j * VL, dy + i + j * VL, VL, shift, own, a + j, b + j);
        }
        for (; i < end; i += VL) N(run_sums_at)(x + i, dy + i, end - i, shift, own, a, b);
        i = end;
        to[0] += N(merge_lanes)(N(plus_v), a[0] + a[1] + (a[2] + a[3]));
        to[1] += N(merge_lanes)(N(plus_v), b[0] + b[1] + (b[2] + b[3]));
    }
}

INLINE void N(run_moments)(const T *x, size_t n, T s, double *to) { N(run_sums)(x, x, n, s, 1, to); }

/* The statistics of n elements from their sums around s; what = {mean, var} */
static N(norm_stat) N(norm_stat_of)(const double *sums, double s, double n, double eps, int centred, double *what) {
    const double each = 1 / n, e = centred ? sums[0] * each : 0, spread = sums[1] * each - e * e;
    what[0] = s + e;
    what[1] = spread < 0 ? 0 : spread;
    const double r = 1 / sqrt(what[1] + eps);
    const T m = (T)what[0];
    return (N(norm_stat)){m, (T)r, (T)(((double)m - what[0]) * r)};
}

/* ---- Rows: w and b one an element ---- */
typedef struct N(layer_job) {
    const pd_launch *launch;
    const T *x, *dy, *w, *b;
    T *y, *dx, *parts;
    N(norm_stat) *stats;
    size_t n, w_step, b_step, rows_per_chunk, part; /* steps: 1, or 0 where there is none; part: T of a partial sum */
} N(layer_job);

static N(norm_stat) N(row_stat)(const N(layer_job) *job, const T *x) {
    const int centred = job->launch->scalar[1] != 0;
    double sums[2] = {0, 0}, what[2];
    T s = 0;
    if (centred) {
        const size_t sampled = norm_sampled(job->n);
        N(run_moments)(x, sampled, 0, sums);
        s = (T)(sums[0] / (double)sampled);
        sums[0] = sums[1] = 0;
    }
    N(run_moments)(x, job->n, s, sums);
    return N(norm_stat_of)(sums, (double)s, (double)job->n, job->launch->scalar[0], centred, what);
}

INLINE void N(row_normalize_at)(const N(layer_job) *job, const T *x, T *y, size_t i, size_t left, vreal m, vreal r, vreal shift) {
    const vreal xhat = v_fma(v_load_left(x + i, left) - m, r, shift);
    const vreal w = v_load_left(job->w + i * job->w_step, left), b = v_load_left(job->b + i * job->b_step, left);
    v_store_left(y + i, v_fma(xhat, w, b), left);
}

static void N(layer_norm_fwd_chunk)(void *context, size_t chunk) {
    const N(layer_job) *job = context;
    const size_t n = job->n, first = chunk * job->rows_per_chunk;
    const size_t last = min_size(first + job->rows_per_chunk, job->launch->lines.outer);
    for (size_t row = first; row < last; row++) {
        const T *x = job->x + row * n;
        T *y = job->y + row * n;
        const N(norm_stat) stat = N(row_stat)(job, x);
        const vreal m = v_set(stat.m), r = v_set(stat.r), shift = v_set(stat.shift);
        size_t i = 0;
        V_UNROLL4
        for (; i + VL <= n; i += VL) N(row_normalize_at)(job, x, y, i, VL, m, r, shift);
        if (i < n) N(row_normalize_at)(job, x, y, i, n - i, m, r, shift);
        if (job->stats) job->stats[row] = stat;
    }
}

/* buf: x, w, b (or NULL), y, stats (rows, 3) or NULL. pd_lines: outer = rows, n. scalar: eps, whether the mean is taken off. */
static void N(layer_norm_fwd)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    N(layer_job) job = {.launch = launch, .x = launch->buf[0], .w = launch->buf[1], .b = launch->buf[2], .y = launch->buf[3],
                        .stats = launch->buf[4], .n = g->n, .w_step = 1, .b_step = 1};
    if (g->outer * g->n == 0) return;
    if (!job.w) job.w = N(norm_ones), job.w_step = 0;
    if (!job.b) job.b = N(norm_zeros), job.b_step = 0;
    job.rows_per_chunk = max_size(1, NORM_UNIT / g->n);
    norm_parallel(ceil_div(g->outer, job.rows_per_chunk), g->outer * g->n, N(layer_norm_fwd_chunk), &job);
}

/* `count` rows side by side, so that dw and db are loaded and stored once for all of them */
typedef struct N(layer_rows) {
    const T *x, *dy;
    vreal m[4], r[4], shift[4], a[4], b[4]; /* a, b: sums of g and g xhat */
} N(layer_rows);

INLINE void N(layer_sums_at)(const N(layer_job) *job, N(layer_rows) *rows, size_t i, size_t left, const size_t count, T *dw, T *db) {
    const vreal w = v_load_left(job->w + i * job->w_step, left);
    vreal to_w = v_load_left(dw + i, left), to_b = v_load_left(db + i, left);
    V_UNROLL
    for (size_t k = 0; k < count; k++) {
        const vreal dy = v_load_left(rows->dy + k * job->n + i, left), g = dy * w;
        const vreal xhat = v_fma(v_load_left(rows->x + k * job->n + i, left) - rows->m[k], rows->r[k], rows->shift[k]);
        rows->a[k] += g;
        rows->b[k] = v_fma(g, xhat, rows->b[k]);
        to_w = v_fma(dy, xhat, to_w);
        to_b += dy;
    }
    v_store_left(dw + i, to_w, left);
    v_store_left(db + i, to_b, left);
}

/* dx = g r + xhat q + t. Fetches the rows that come next: a row is often shorter than what the hardware needs to see it coming. */
INLINE void N(layer_dx_at)(const N(layer_job) *job, const T *x, const T *dy, T *dx, size_t i, size_t left, const vreal *stat, vreal q, vreal t) {
    __builtin_prefetch(x + 4 * job->n + i);
    __builtin_prefetch(dy + 4 * job->n + i);
    const vreal g = v_load_left(dy + i, left) * v_load_left(job->w + i * job->w_step, left);
    const vreal xhat = v_fma(v_load_left(x + i, left) - stat[0], stat[1], stat[2]);
    v_store_left(dx + i, v_fma(g, stat[1], v_fma(xhat, q, t)), left);
}

INLINE void N(layer_norm_bwd_rows)(const N(layer_job) *job, size_t row, const size_t count, T *dw, T *db) {
    const size_t n = job->n;
    const int centred = job->launch->scalar[1] != 0;
    N(layer_rows) rows = {.x = job->x + row * n, .dy = job->dy + row * n};
    double sums[4][2] = {{0}};
    for (size_t k = 0; k < count; k++) {
        const N(norm_stat) stat = job->stats[row + k];
        rows.m[k] = v_set(stat.m), rows.r[k] = v_set(stat.r), rows.shift[k] = v_set(stat.shift);
    }
    for (size_t i = 0; i < n;) {
        const size_t end = min_size(n, i + NORM_RUN * VL);
        for (size_t k = 0; k < count; k++) rows.a[k] = rows.b[k] = v_set(0);
        for (; i + VL <= end; i += VL) N(layer_sums_at)(job, &rows, i, VL, count, dw, db);
        if (i < end) N(layer_sums_at)(job, &rows, i, end - i, count, dw, db);
        i = end;
        for (size_t k = 0; k < count; k++) {
            sums[k][0] += N(merge_lanes)(N(plus_v), rows.a[k]);
            sums[k][1] += N(merge_lanes)(N(plus_v), rows.b[k]);
        }
    }
    if (!job->dx) return;
    for (size_t k = 0; k < count; k++) {
        const double r = (double)rows.r[k][0] / (double)n;
        const vreal q = v_set((T)(-r * sums[k][1])), t = v_set(centred ? (T)(-r * sums[k][0]) : 0);
        const vreal stat[3] = {rows.m[k], rows.r[k], rows.shift[k]};
        const T *x = rows.x + k * n, *dy = rows.dy + k * n;
        T *dx = job->dx + (row + k) * n;
        size_t i = 0;
        for (; i + VL <= n; i += VL) N(layer_dx_at)(job, x, dy, dx, i, VL, stat, q, t);
        if (i < n) N(layer_dx_at)(job, x, dy, dx, i, n - i, stat, q, t);
    }
}

static void N(add_onto)(T *to, const T *from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* One partial sum of dw and db: NORM_RUN rows at a time, which are then added to the rest. */
static void N(layer_norm_bwd_chunk)(void *context, size_t chunk) {
    const N(layer_job) *job = context;
    const size_t n = job->n, first = chunk * job->rows_per_chunk;
    const size_t last = min_size(first + job->rows_per_chunk, job->launch->lines.outer);
    T *total = job->parts + chunk * job->part;
    for (size_t block = first; block < last; block += NORM_RUN) {
        const size_t end = min_size(last, block + NORM_RUN);
        T *sums = block == first ? total : total + 2 * n;
        memset(sums, 0, 2 * n * sizeof(T));
        size_t row = block;
        for (; row + 4 <= end; row += 4) N(layer_norm_bwd_rows)(job, row, 4, sums, sums + n);
        for (; row < end; row++) N(layer_norm_bwd_rows)(job, row, 1, sums, sums + n);
        if (block != first) N(add_onto)(total, sums, 2 * n);
    }
}

static size_t N(layer_norm_rows_per_chunk)(const pd_lines *g) {
    return max_size(max_size(NORM_ROWS, NORM_UNIT / max_size(1, g->n)), ceil_div(g->outer, NORM_PARTS));
}

static size_t N(layer_norm_part)(const pd_lines *g) {
    return (N(layer_norm_rows_per_chunk)(g) > NORM_RUN ? 4 : 2) * g->n;
}

static size_t N(layer_norm_bwd_workspace)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    return ceil_div(g->outer, N(layer_norm_rows_per_chunk)(g)) * N(layer_norm_part)(g) * sizeof(T);
}

/* buf: x, dy, w (or NULL), stats, dx, dw, db (each or NULL); lines and scalars as for the forward. */
static void N(layer_norm_bwd)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    N(layer_job) job = {.launch = launch, .x = launch->buf[0], .dy = launch->buf[1], .w = launch->buf[2], .stats = launch->buf[3],
                        .dx = launch->buf[4], .parts = launch->workspace, .n = g->n, .w_step = 1};
    T *const out[2] = {launch->buf[5], launch->buf[6]};
    if (!job.w) job.w = N(norm_ones), job.w_step = 0;
    job.rows_per_chunk = N(layer_norm_rows_per_chunk)(g);
    job.part = N(layer_norm_part)(g);
    const size_t chunks = g->n ? ceil_div(g->outer, job.rows_per_chunk) : 0;
    norm_parallel(chunks, g->outer * g->n, N(layer_norm_bwd_chunk), &job);
    for (size_t step = 1; step < chunks; step *= 2)
        for (size_t p = 0; p + step < chunks; p += 2 * step)
            N(add_onto)(job.parts + p * job.part, job.parts + (p + step) * job.part, 2 * g->n);
    for (size_t o = 0; o < 2; o++) {
        if (!out[o]) continue;
        if (chunks) memcpy(out[o], job.parts + o * g->n, g->n * sizeof(T));
        else memset(out[o], 0, g->n * sizeof(T));
    }
}
