/* Losses of class scores: logits or log-probabilities x (count, classes), contiguous; one loss a row.
 * pd_lines: outer = count, n = classes, inner = 1. Class targets are int64, in range or ignored (check_labels says).
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
enum { LOSS_UNIT = 1 << 13, LOSS_ALONE = 1 << 15 };

/* target int64 (count,) -> int64: the first position that is neither in 0 .. classes - 1 nor scalar[1], or -1.
 * scalar[0] is classes; lines.outer is count. */
static void check_labels(const pd_launch *launch) {
    const int64_t *target = launch->buf[0], classes = (int64_t)launch->scalar[0], ignored = (int64_t)launch->scalar[1];
    int64_t *bad = launch->buf[1];
    const size_t count = launch->lines.outer;
    *bad = -1;
    for (size_t i = 0; i < count; i++)
        if (((uint64_t)target[i] >= (uint64_t)classes) & (target[i] != ignored)) {
            *bad = (int64_t)i;
            return;
        }
}
#endif

typedef struct N(loss_job) {
    const pd_launch *launch;
    const T *x, *weight, *probabilities; /* weight may be NULL; one of probabilities and target is */
    const int64_t *target;
    T *loss, *grad; /* grad may be NULL */
    T smooth, weight_sum, scale;
    double power; /* loss_focal.c */
    int64_t ignored;
    size_t rows_per_chunk;
} N(loss_job);

/* Pairwise sum of n numbers, in place */
static T N(loss_total)(T *x, size_t n) {
    if (n == 0) return 0;
    for (size_t step = 1; step < n; step *= 2)
        for (size_t i = 0; i + step < n; i += 2 * step) x[i] += x[i + step];
    return x[0];
}

/* sum(w_t) of the rows that count, or how many they are */
static T N(target_weight)(const N(loss_job) *job) {
    const size_t count = job->launch->lines.outer;
    size_t counted = 0;
    double total = 0;
    if (job->probabilities) return (T)count;
    for (size_t i = 0; i < count; i++) {
        if (job->target[i] == job->ignored) continue;
        counted++;
        if (job->weight) total += (double)job->weight[job->target[i]];
    }
    return job->weight ? (T)total : (T)counted;
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

static void N(cross_entropy_chunk)(void *context, size_t chunk) {
    const N(loss_job) *job = context;
    const size_t first = chunk * job->rows_per_chunk;
    const size_t last = min_size(first + job->rows_per_chunk, job->launch->lines.outer);
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

static N(loss_job) N(loss_begin)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    const int reduction = (int)launch->scalar[2], soft = launch->scalar[3] != 0;
    N(loss_job) job = {.launch = launch, .x = launch->buf[0], .weight = launch->buf[2],
                       .probabilities = soft ? launch->buf[1] : NULL, .target = soft ? NULL : launch->buf[1],
                       .loss = reduction == LOSS_NONE ? launch->buf[3] : launch->workspace, .grad = launch->buf[4]};
    job.ignored = (int64_t)launch->scalar[1];
    job.smooth = g->n ? (T)(launch->scalar[0] / (double)g->n) : 0;
    job.weight_sum = job.weight ? N(row_sum)(job.weight, NULL, g->n) : (T)g->n;
    job.scale = reduction == LOSS_MEAN ? 1 / N(target_weight)(&job) : 1;
    job.rows_per_chunk = max_size(1, LOSS_UNIT / max_size(1, g->n));
    return job;
}

static void N(loss_end)(const N(loss_job) *job) {
    const size_t count = job->launch->lines.outer;
    if (job->launch->scalar[2] == LOSS_NONE) return;
    T *to = job->launch->buf[3];
    *to = N(loss_total)(job->loss, count);
    if (job->launch->scalar[2] == LOSS_MEAN) *to /= N(target_weight)(job);
}

/* x, target or probabilities, weight (or NULL) -> loss (count,) or (), and d(loss) / dx (or NULL), to be multiplied by dy */
static void N(cross_entropy_fwd)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    N(loss_job) job = N(loss_begin)(launch);
    const size_t chunks = ceil_div(g->outer, job.rows_per_chunk);
    if (chunks > 1 && g->outer * g->n >= LOSS_ALONE) pd_parallel(chunks, N(cross_entropy_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(cross_entropy_chunk)(&job, chunk);
    N(loss_end)(&job);
}

/* x, target, weight (or NULL) -> loss */
static void N(nll_fwd)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    const N(loss_job) job = N(loss_begin)(launch);
    for (size_t i = 0; i < g->outer; i++) {
        const int64_t t = job.target[i];
        job.loss[i] = t == job.ignored ? 0 : -(job.weight ? job.weight[t] : 1) * job.x[i * g->n + (size_t)t];
    }
    N(loss_end)(&job);
}

/* dy (count,) or (), target, weight (or NULL) -> dx */
static void N(nll_bwd)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    N(loss_job) job = N(loss_begin)(launch);
    const T *dy = launch->buf[0];
    T *dx = launch->buf[3];
    memset(dx, 0, g->outer * g->n * sizeof(T));
    for (size_t i = 0; i < g->outer; i++) {
        const int64_t t = job.target[i];
        if (t == job.ignored) continue;
        dx[i * g->n + (size_t)t] = -(job.weight ? job.weight[t] : 1) * job.scale * dy[launch->scalar[2] == LOSS_NONE ? i : 0];
    }
}

/* One loss a row, where they are reduced afterwards */
static size_t N(cross_entropy_fwd_workspace)(const pd_launch *launch) { return launch->lines.outer * sizeof(T); }
static size_t N(nll_fwd_workspace)(const pd_launch *launch) { return launch->lines.outer * sizeof(T); }
