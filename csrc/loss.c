/* Losses of class scores: logits or log-probabilities x (outer, n, inner), contiguous, n classes; one loss for each of the
 * outer * inner rows, in that order. inner = 1: a row's classes fill the vectors; else SOFTMAX_WIDTH neighbouring rows (pixels) do. Class targets are int64, in range or ignored (check_labels says).
 * scalar[0]: label smoothing e; [1]: ignore_index; [2]: 0 no reduction, 1 mean, 2 sum; [3]: targets are probabilities.
 *   cross_entropy   loss = sum_c Q_c (log(sum(exp(x))) - x_c),   d loss / dx_c = softmax(x)_c sum(Q) - Q_c
 *     class t:        Q_c = w_c ((1 - e) [c = t] + e / classes)
 *     probabilities:  Q_c = w_c ((1 - e) q_c + e / classes)
 *   nll             loss = -w_t x_t
 * mean: sum(loss) / sum(w_t) over the rows that are not ignored (probabilities: / count); 0 / 0 is NaN.
 * Szegedy et al., "Rethinking the Inception architecture", 2016 (label smoothing). */
#ifndef LOSS_ONCE
#define LOSS_ONCE
enum { LOSS_NONE, LOSS_MEAN, LOSS_SUM };
enum { LOSS_UNIT = 1 << 13, LOSS_ALONE = 1 << 15, LOSS_BLOCK = 1 << 10 };

/* target int64 (count,) -> int64: the first position that is neither in 0 .. classes - 1 nor scalar[1], or -1.
 * scalar[0] is classes; lines.outer is count. */
static void check_labels(const pd_launch *launch) {
    const int64_t *target = launch->buf[0], classes = (int64_t)launch->scalar[0], ignored = (int64_t)launch->scalar[1];
    int64_t *bad = launch->buf[1];
    const size_t count = launch->lines.outer;
    *bad = -1;
    for (size_t i = 0; i < count;) {
        const size_t first = i, last = min_size(count, i + LOSS_BLOCK);
        int64_t wrong = 0;
        for (; i < last; i++) wrong |= -(int64_t)(((uint64_t)target[i] >= (uint64_t)classes) & (target[i] != ignored));
        for (size_t j = first; wrong && j < last; j++)
            if (((uint64_t)target[j] >= (uint64_t)classes) & (target[j] != ignored)) {
                *bad = (int64_t)j;
                return;
            }
    }
}
#endif

typedef struct N(loss_job) {
    const pd_launch *launch;
    const T *x, *weight, *probabilities; /* weight may be NULL; one of probabilities and target is */
    const int64_t *target;
    T *loss, *grad; /* grad may be NULL */
    T smooth, weight_sum, scale, total; /* total: what a mean divides by */
    double power; /* loss_focal.c */
    int64_t ignored;
    size_t rows, tiles, tiles_per_chunk; /* a tile: one row where inner = 1, else up to SOFTMAX_WIDTH */
} N(loss_job);

/* Pairwise sum of n numbers, or of the sums of blocks; in place */
static T N(loss_total)(T *x, size_t n) {
    if (n == 0) return 0;
    if (n > LOSS_BLOCK) {
        const size_t blocks = ceil_div(n, LOSS_BLOCK);
        for (size_t b = 0; b < blocks; b++) x[b] = N(row_sum)(x + b * LOSS_BLOCK, NULL, min_size(LOSS_BLOCK, n - b * LOSS_BLOCK));
        n = blocks;
    }
    for (size_t step = 1; step < n; step *= 2)
        for (size_t i = 0; i + step < n; i += 2 * step) x[i] += x[i + step];
    return x[0];
}

/* sum(w_t) of the rows that count, or how many they are */
static T N(target_weight)(const N(loss_job) *job) {
    size_t counted = 0;
    double total = 0;
    if (job->probabilities) return (T)job->rows;
    if (!job->weight) {
        for (size_t i = 0; i < job->rows; i++) counted += job->target[i] != job->ignored;
        return (T)counted;
    }
    for (size_t i = 0; i < job->rows; i++)
        if (job->target[i] != job->ignored) total += (double)job->weight[job->target[i]];
    return (T)total;
}

/* Probabilities: sum_c Q_c and sum_c Q_c (x_c - m) of one row */
static T N(soft_terms)(const N(loss_job) *job, const T *x, const T *q, T m, T *dot) {
    const size_t n = job->launch->lines.n;
    const vreal keep = v_set(1 - (T)job->launch->scalar[0]), even = v_set(job->smooth);
    vreal sum = v_set(0), product = v_set(0);
    for (size_t c = 0; c < n; c += VL) {
        const size_t left = n - c;
        const vreal w = job->weight ? v_load_left(job->weight + c, left) : v_set(1);
        vreal share = w * v_fma(keep, v_load_left(q + c, left), even), shifted = v_load_left(x + c, left) - v_set(m);
        if (left < VL) {
            share = v_keep(N(first_lanes)(left), share);
            shifted = v_keep(N(first_lanes)(left), shifted);
        }
        sum += share;
        product = v_fma(share, shifted, product);
    }
    *dot = N(merge_lanes)(N(plus_v), product);
    return N(merge_lanes)(N(plus_v), sum);
}

/* sum_c w_c (x_c - m) */
static T N(smooth_dot)(const N(loss_job) *job, const T *x, T m) {
    const size_t n = job->launch->lines.n;
    vreal sum = v_set(0);
    for (size_t c = 0; c < n; c += VL) {
        const size_t left = n - c;
        const vreal w = job->weight ? v_load_left(job->weight + c, left) : v_set(1);
        const vreal shifted = v_load_left(x + c, left) - v_set(m);
        sum = v_fma(w, left < VL ? v_keep(N(first_lanes)(left), shifted) : shifted, sum);
    }
    return N(merge_lanes)(N(plus_v), sum);
}

/* grad = scale (grad * share / sum - Q), where grad holds exp(x - m) and the class's own part of Q is still missing */
INLINE void N(loss_gradient)(const N(loss_job) *job, T *grad, const T *q, T factor) {
    const size_t n = job->launch->lines.n;
    const vreal f = v_set(factor), even = v_set(job->smooth * job->scale);
    const vreal keep = v_set((1 - (T)job->launch->scalar[0]) * job->scale);
    for (size_t c = 0; c < n; c += VL) {
        const size_t left = n - c;
        vreal g = v_load_left(grad + c, left) * f;
        if (q || job->smooth != 0) {
            const vreal share = q ? v_fma(keep, v_load_left(q + c, left), even) : even;
            g -= job->weight ? share * v_load_left(job->weight + c, left) : share;
        }
        v_store_left(grad + c, g, left);
    }
}

static void N(cross_entropy_row)(const N(loss_job) *job, size_t i) {
    const size_t n = job->launch->lines.n;
    const T *x = job->x + i * n, *q = job->probabilities ? job->probabilities + i * n : NULL;
    T *grad = job->grad ? job->grad + i * n : NULL;
    const int64_t t = q ? 0 : job->target[i];
    if (!q && t == job->ignored) {
        job->loss[i] = 0;
        if (grad) memset(grad, 0, n * sizeof(T));
        return;
    }
    const T m = N(row_max)(x, n), at_class = q ? 0 : x[t] - m;
    T share, dot;
    const T own = q ? 0 : (1 - (T)job->launch->scalar[0]) * (job->weight ? job->weight[t] : 1);
    if (q) share = N(soft_terms)(job, x, q, m, &dot);
    else {
        share = own + job->smooth * job->weight_sum;
        dot = own * at_class;
        if (job->smooth != 0) dot += job->smooth * N(smooth_dot)(job, x, m);
    }
    const T sum = grad ? N(row_exp)(x, grad, n, m) : N(row_exp)(x, NULL, n, m);
    job->loss[i] = share * N(log_one)(sum) - dot;
    if (!grad) return;
    N(loss_gradient)(job, grad, q, share * job->scale / sum);
    if (!q) grad[t] -= own * job->scale;
}

/* A short row with a class target and no smoothing, in registers */
INLINE void N(cross_entropy_few)(const N(loss_job) *job, size_t i, const size_t count) {
    const size_t n = job->launch->lines.n;
    const int64_t t = job->target[i];
    const T *x = job->x + i * n;
    const T own = job->weight && t != job->ignored ? job->weight[t] : 1;
    T *grad = job->grad ? job->grad + i * n : NULL;
    N(few) row;
    if (t == job->ignored) {
        job->loss[i] = 0;
        if (grad) memset(grad, 0, n * sizeof(T));
        return;
    }
    N(few_exp)(x, n, count, &row);
    job->loss[i] = own * (N(log_one)(row.sum) - (x[t] - row.max));
    if (!grad) return;
    const vreal factor = v_set(own * job->scale / row.sum);
    for (size_t j = 0; j < count; j++) row.e[j] *= factor;
    N(few_store)(grad, n, count, row.e);
    grad[t] -= own * job->scale;
}

/* Rows of SOFTMAX_WIDTH neighbours: the class or -1 where it is ignored, the class's own part of Q, the largest logit */
typedef struct N(loss_tile) {
    T label[SOFTMAX_WIDTH], own[SOFTMAX_WIDTH], max[SOFTMAX_WIDTH];
} N(loss_tile);

/* One vector of rows of a tile, their classes `inner` apart. soft: Q has other parts than the class's own. */
INLINE void N(cross_entropy_vector)(const N(loss_job) *job, const N(loss_tile) *tile, size_t at, size_t row, size_t c, size_t left,
                                    const int soft) {
    const size_t n = job->launch->lines.n, step = job->launch->lines.inner;
    const T *x = job->x + at + c, *q = job->probabilities ? job->probabilities + at + c : NULL;
    T *grad = job->grad ? job->grad + at + c : NULL;
    const vreal max = v_load(tile->max + c), label = v_load(tile->label + c), own = v_load(tile->own + c), zero = v_set(0);
    const vreal even = v_set(job->smooth), keep = v_set(1 - (T)job->launch->scalar[0]), scale = v_set(job->scale);
    const vint counted = label >= zero;
    vreal sum = zero, at_class = zero, share = own, dot = zero;
    for (size_t k = 0; k < n; k++) {
        const vreal shifted = v_load_left(x + k * step, left) - max, e = N(exp_below)(shifted);
        sum += e;
        if (grad) v_store_left(grad + k * step, e, left);
        if (!q) at_class = v_blend(label == v_set((T)k), shifted, at_class);
        if (soft) {
            const vreal part = v_set(job->weight ? job->weight[k] : 1) * (q ? v_fma(keep, v_load_left(q + k * step, left), even) : even);
            share += part;
            dot = v_fma(part, shifted, dot);
        }
    }
    if (!q) dot = v_fma(own, at_class, dot);
    v_store_left(job->loss + row + c, v_keep(counted, share * v_log(sum) - dot), left);
    if (!grad) return;
    const vreal factor = share * scale / sum, own_scaled = own * scale;
    for (size_t k = 0; k < n; k++) {
        vreal g = v_load_left(grad + k * step, left) * factor;
        if (soft) {
            const vreal part = v_set(job->weight ? job->weight[k] : 1) * (q ? v_fma(keep, v_load_left(q + k * step, left), even) : even);
            g -= part * scale;
        }
        if (!q) g -= v_keep(label == v_set((T)k), own_scaled);
        v_store_left(grad + k * step, v_keep(counted, g), left);
    }
}

/* w neighbouring rows from number `row`, element `at` of x */
static void N(cross_entropy_columns)(const N(loss_job) *job, size_t at, size_t row, size_t w) {
    const size_t n = job->launch->lines.n, step = job->launch->lines.inner;
    const T keep = 1 - (T)job->launch->scalar[0];
    N(loss_tile) tile;
    for (size_t c = 0; c < SOFTMAX_WIDTH; c++) tile.max[c] = -(T)INFINITY, tile.label[c] = tile.own[c] = 0;
    for (size_t c = 0; c < w && job->target; c++) {
        const int64_t t = job->target[row + c];
        const int counts = t != job->ignored;
        tile.label[c] = counts ? (T)t : -1;
        tile.own[c] = counts ? keep * (job->weight ? job->weight[t] : 1) : 0;
    }
    for (size_t k = 0; k < n; k++) {
        const T *line = job->x + at + k * step;
        N(amax_onto)(w, 1, tile.max, &line, NULL, 0);
    }
    const int soft = job->probabilities || job->smooth != 0;
    for (size_t c = 0; c < w; c += VL)
        if (soft) N(cross_entropy_vector)(job, &tile, at, row, c, w - c, 1);
        else N(cross_entropy_vector)(job, &tile, at, row, c, w - c, 0);
}

static void N(cross_entropy_rows)(const N(loss_job) *job, size_t first, size_t last) {
    const size_t n = job->launch->lines.n;
    if (n > 4 * VL || job->probabilities || job->smooth != 0)
        for (size_t i = first; i < last; i++) N(cross_entropy_row)(job, i);
    else if (n <= VL)
        for (size_t i = first; i < last; i++) N(cross_entropy_few)(job, i, 1);
    else if (n <= 2 * VL)
        for (size_t i = first; i < last; i++) N(cross_entropy_few)(job, i, 2);
    else
        for (size_t i = first; i < last; i++) N(cross_entropy_few)(job, i, ceil_div(n, VL));
}

static void N(cross_entropy_chunk)(void *context, size_t chunk) {
    const N(loss_job) *job = context;
    const pd_lines *g = &job->launch->lines;
    const size_t first = chunk * job->tiles_per_chunk, last = min_size(first + job->tiles_per_chunk, job->tiles);
    const size_t pieces = ceil_div(g->inner, SOFTMAX_WIDTH);
    if (g->inner == 1) N(cross_entropy_rows)(job, first, last);
    else
        for (size_t tile = first; tile < last; tile++) {
            const size_t o = tile / pieces, c = tile % pieces * SOFTMAX_WIDTH;
            N(cross_entropy_columns)(job, o * g->n * g->inner + c, o * g->inner + c, min_size(SOFTMAX_WIDTH, g->inner - c));
        }
}

static N(loss_job) N(loss_begin)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    const int reduction = (int)launch->scalar[2], soft = launch->scalar[3] != 0;
    N(loss_job) job = {.launch = launch, .x = launch->buf[0], .weight = launch->buf[2],
                       .probabilities = soft ? launch->buf[1] : NULL, .target = soft ? NULL : launch->buf[1],
                       .loss = reduction == LOSS_NONE ? launch->buf[3] : launch->workspace, .grad = launch->buf[4]};
    job.ignored = (int64_t)launch->scalar[1];
    job.smooth = g->n ? (T)(launch->scalar[0] / (double)g->n) : 0;
    job.weight_sum = job.weight ? N(row_sum)(job.weight, NULL, g->n) : (T)g->n;
    job.rows = g->outer * g->inner;
    job.total = reduction == LOSS_MEAN ? N(target_weight)(&job) : 1;
    job.scale = 1 / job.total;
    job.tiles = g->outer * ceil_div(g->inner, SOFTMAX_WIDTH);
    job.tiles_per_chunk = max_size(1, LOSS_UNIT / max_size(1, g->n * min_size(g->inner, SOFTMAX_WIDTH)));
    return job;
}

static void N(loss_end)(const N(loss_job) *job) {
    if (job->launch->scalar[2] == LOSS_NONE) return;
    T *to = job->launch->buf[3];
    *to = N(loss_total)(job->loss, job->rows);
    if (job->launch->scalar[2] == LOSS_MEAN) *to /= job->total;
}

/* x, target or probabilities, weight (or NULL) -> loss (outer, inner) or (), and d(loss) / dx (or NULL), to be multiplied by dy */
static void N(cross_entropy_fwd)(const pd_launch *launch) {
    N(loss_job) job = N(loss_begin)(launch);
    const size_t chunks = ceil_div(job.tiles, job.tiles_per_chunk);
    if (chunks > 1 && job.rows * launch->lines.n >= LOSS_ALONE) pd_parallel(chunks, N(cross_entropy_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(cross_entropy_chunk)(&job, chunk);
    N(loss_end)(&job);
}

/* Rows from chunk * LOSS_UNIT on, one after another, of which number i begins at element `at` of x, classes `inner` apart */
#define LOSS_EACH_ROW(body)                                                                                  \
    const N(loss_job) *job = context;                                                                        \
    const size_t n = job->launch->lines.n, inner = job->launch->lines.inner;                                 \
    const size_t last = min_size(job->rows, (chunk + 1) * LOSS_UNIT);                                        \
    for (size_t i = chunk * LOSS_UNIT, c = i % inner, at = i / inner * n * inner + c; i < last; i++) {       \
        const int64_t t = job->target[i];                                                                    \
        body;                                                                                                \
        at++;                                                                                                \
        if (++c == inner) {                                                                                  \
            c = 0;                                                                                           \
            at += (n - 1) * inner;                                                                           \
        }                                                                                                    \
    }

static void N(nll_fwd_chunk)(void *context, size_t chunk) {
    LOSS_EACH_ROW(job->loss[i] = t == job->ignored ? 0 : -(job->weight ? job->weight[t] : 1) * job->x[at + (size_t)t * inner])
}

static void N(nll_bwd_chunk)(void *context, size_t chunk) {
    const T *dy = ((const N(loss_job) *)context)->launch->buf[0];
    T *dx = ((const N(loss_job) *)context)->launch->buf[3];
    const size_t apart = ((const N(loss_job) *)context)->launch->scalar[2] == LOSS_NONE;
    LOSS_EACH_ROW(if (t != job->ignored) dx[at + (size_t)t * inner] = -(job->weight ? job->weight[t] : 1) * job->scale * dy[i * apart])
}

static void N(nll_zero_chunk)(void *context, size_t chunk) {
    const N(loss_job) *job = context;
    const size_t all = job->rows * job->launch->lines.n, first = chunk * LOSS_ALONE;
    memset((T *)job->launch->buf[3] + first, 0, (min_size(all, first + LOSS_ALONE) - first) * sizeof(T));
}

static void N(loss_chunks)(N(loss_job) *job, pd_task task, size_t chunks) {
    if (chunks > 1 && job->rows >= LOSS_ALONE) pd_parallel(chunks, task, job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(job, chunk);
}

/* x, target, weight (or NULL) -> loss */
static void N(nll_fwd)(const pd_launch *launch) {
    N(loss_job) job = N(loss_begin)(launch);
    N(loss_chunks)(&job, N(nll_fwd_chunk), ceil_div(job.rows, LOSS_UNIT));
    N(loss_end)(&job);
}

/* dy (outer, inner) or (), target, weight (or NULL) -> dx */
static void N(nll_bwd)(const pd_launch *launch) {
    N(loss_job) job = N(loss_begin)(launch);
    N(loss_chunks)(&job, N(nll_zero_chunk), ceil_div(job.rows * launch->lines.n, LOSS_ALONE));
    N(loss_chunks)(&job, N(nll_bwd_chunk), ceil_div(job.rows, LOSS_UNIT));
}

/* One loss a row, where they are reduced afterwards */
static size_t N(loss_bytes)(const pd_launch *launch) { return launch->lines.outer * launch->lines.inner * sizeof(T); }
static size_t N(cross_entropy_fwd_workspace)(const pd_launch *launch) { return N(loss_bytes)(launch); }
static size_t N(nll_fwd_workspace)(const pd_launch *launch) { return N(loss_bytes)(launch); }
