/* Normalisation by channels: x (N, C, L), w and b (C,); pd_lines: outer = N, n = C, inner = L. See norm.c for the sums.
 *   batch norm   a set is a channel: N runs of L neighbours, or where L = 1 a column of (N, C)
 *   group norm   a set is C / G channels of one sample, all of them neighbours; G = C is instance norm
 * Columns are walked side by side, four rows at a time, in tiles of at most NORM_WIDTH; a tile, and a group, is one chunk's work
 * from its sums to its result, so that no sum depends on the number of threads. The runs of a channel lie far from each other: there
 * memory is walked in its own order, once for the sums of every run, which are added by channel, and once more for the result.
 * Ioffe & Szegedy, "Batch normalization", 2015; Wu & He, "Group normalization", 2018. */
#ifndef NORM_CHANNEL_ONCE
#define NORM_CHANNEL_ONCE
enum { NORM_WIDTH = 256, NORM_NARROW = 16 };
enum channel_phase { CHANNEL_MOMENTS, CHANNEL_SUMS, CHANNEL_MAP };
#endif

typedef struct N(channel_job) {
    const pd_launch *launch;
    const T *x, *dy, *w, *b;    /* dy: backward only; w, b or NULL */
    T *y, *dw, *db;             /* y: what is written: y or dx, or NULL */
    N(norm_stat) *stats;
    T *running_mean, *running_var;
    double *sums;               /* of every (n, c), two; in a backward sum dy, sum dy xhat */
    struct N(channel_map) *maps; /* of every channel */
    enum channel_phase phase;
    size_t sets, runs, length, width, per_chunk; /* a set: `runs` runs; statistics see `length` neighbours in each */
    int training;
} N(channel_job);

/* y = (x - m) q + t, or with dy: + dy p */
typedef struct N(channel_map) {
    T m, q, t, p;
} N(channel_map);

static N(channel_map) N(map_forward)(N(norm_stat) stat, T w, T b) {
    return (N(channel_map)){stat.m, stat.r * w, (T)((double)stat.shift * (double)w + (double)b), 0};
}

/* dx = r (w dy - c1 - xhat c2) */
static N(channel_map) N(map_backward)(N(norm_stat) stat, T w, double c1, double c2) {
    const double r = (double)stat.r;
    return (N(channel_map)){stat.m, (T)(-r * c2 * r), (T)(-r * (c1 + (double)stat.shift * c2)), stat.r * w};
}

INLINE void N(channel_map_at)(const T *x, const T *dy, T *y, size_t left, vreal m, vreal q, vreal t, vreal p, const int own) {
    vreal v = v_fma(v_load_left(x, left) - m, q, t);
    if (!own) v = v_fma(v_load_left(dy, left), p, v);
    v_store_left(y, v, left);
}

INLINE void N(run_map)(const T *x, const T *dy, T *y, size_t n, const N(channel_map) *to, const int own) {
    const vreal m = v_set(to->m), q = v_set(to->q), t = v_set(to->t), p = v_set(to->p);
    size_t i = 0;
    V_UNROLL4
    for (; i + VL <= n; i += VL) N(channel_map_at)(x + i, dy + i, y + i, VL, m, q, t, p, own);
    if (i < n) N(channel_map_at)(x + i, dy + i, y + i, n - i, m, q, t, p, own);
}

/* The statistics of channel c from its sums around s; moves the running ones */
static N(norm_stat) N(channel_stat)(const N(channel_job) *job, size_t set, const double *sums, double s, double n) {
    const double eps = job->launch->scalar[0], momentum = job->launch->scalar[1];
    double what[2];
    const N(norm_stat) stat = N(norm_stat_of)(sums, s, n, eps, 1, what);
    if (job->running_mean) {
        T *mean = job->running_mean + set, *var = job->running_var + set;
        *mean = (T)((1 - momentum) * (double)*mean + momentum * what[0]);
        *var = (T)((1 - momentum) * (double)*var + momentum * what[1] * n / (n - 1));
    }
    return stat;
}

static N(norm_stat) N(running_stat)(const N(channel_job) *job, size_t c) {
    return (N(norm_stat)){job->running_mean[c], (T)(1 / sqrt((double)job->running_var[c] + job->launch->scalar[0])), 0};
}

INLINE T N(weight_of)(const N(channel_job) *job, size_t c) { return job->w ? job->w[c] : 1; }
INLINE T N(bias_of)(const N(channel_job) *job, size_t c) { return job->b ? job->b[c] : 0; }

/* ---- Groups ---- */
/* Where run i of a set lies, and its channel */
INLINE size_t N(run_at)(const N(channel_job) *job, size_t set, size_t i, size_t *channel) {
    const size_t run = set * job->runs + i;
    *channel = run % job->launch->lines.n;
    return run * job->launch->lines.inner;
}

static N(norm_stat) N(group_stat)(const N(channel_job) *job, size_t set) {
    const T *x = job->x + set * job->length;
    const size_t sampled = norm_sampled(job->length);
    double sums[2] = {0, 0};
    N(run_moments)(x, sampled, 0, sums);
    const T s = (T)(sums[0] / (double)sampled);
    sums[0] = sums[1] = 0;
    N(run_moments)(x, job->length, s, sums);
    return N(channel_stat)(job, set, sums, (double)s, (double)job->length);
}

static void N(groups_fwd_chunk)(void *context, size_t chunk) {
    const N(channel_job) *job = context;
    const size_t last = min_size((chunk + 1) * job->per_chunk, job->sets);
    for (size_t set = chunk * job->per_chunk; set < last; set++) {
        const N(norm_stat) stat = N(group_stat)(job, set);
        for (size_t i = 0; i < job->runs; i++) {
            size_t c;
            const size_t at = N(run_at)(job, set, i, &c);
            const N(channel_map) to = N(map_forward)(stat, N(weight_of)(job, c), N(bias_of)(job, c));
            N(run_map)(job->x + at, job->x + at, job->y + at, job->launch->lines.inner, &to, 1);
        }
        if (job->stats) job->stats[set] = stat;
    }
}

/* sums: of dy, and of dy xhat */
static void N(run_gradients)(const N(channel_job) *job, size_t at, N(norm_stat) stat, double *sums) {
    sums[0] = sums[1] = 0;
    N(run_sums)(job->x + at, job->dy + at, job->launch->lines.inner, stat.m, 0, sums);
    sums[1] = (double)stat.r * sums[1] + (double)stat.shift * sums[0];
}

static void N(groups_bwd_chunk)(void *context, size_t chunk) {
    const N(channel_job) *job = context;
    const size_t last = min_size((chunk + 1) * job->per_chunk, job->sets);
    for (size_t set = chunk * job->per_chunk; set < last; set++) {
        const N(norm_stat) stat = job->stats[set];
        const double n = (double)job->length;
        double c1 = 0, c2 = 0;
        size_t c;
        for (size_t i = 0; i < job->runs; i++) {
            const size_t at = N(run_at)(job, set, i, &c);
            double *sums = job->sums + (set * job->runs + i) * 2;
            N(run_gradients)(job, at, stat, sums);
            c1 += (double)N(weight_of)(job, c) * sums[0];
            c2 += (double)N(weight_of)(job, c) * sums[1];
        }
        for (size_t i = 0; i < job->runs && job->y; i++) {
            const size_t at = N(run_at)(job, set, i, &c);
            const N(channel_map) to = N(map_backward)(stat, N(weight_of)(job, c), c1 / n, c2 / n);
            N(run_map)(job->x + at, job->dy + at, job->y + at, job->launch->lines.inner, &to, 0);
        }
    }
}

/* The sums of the first `samples` runs of channel c */
static void N(channel_total)(const N(channel_job) *job, size_t samples, size_t c, double *total) {
    const size_t channels = job->launch->lines.n;
    total[0] = total[1] = 0;
    for (size_t i = 0; i < samples; i++) {
        total[0] += job->sums[(i * channels + c) * 2];
        total[1] += job->sums[(i * channels + c) * 2 + 1];
    }
}

static void N(parameter_gradients)(const N(channel_job) *job) {
    for (size_t c = 0; c < job->launch->lines.n; c++) {
        double total[2];
        N(channel_total)(job, job->launch->lines.outer, c, total);
        if (job->db) job->db[c] = (T)total[0];
        if (job->dw) job->dw[c] = (T)total[1];
    }
}

static void N(groups_run)(N(channel_job) *job) {
    const pd_lines *g = &job->launch->lines;
    const size_t groups = (size_t)job->launch->scalar[2], total = g->outer * g->n * g->inner;
    job->sets = g->outer * groups;
    job->runs = g->n / groups;
    job->length = job->runs * g->inner;
    job->per_chunk = max_size(1, NORM_UNIT * job->sets / max_size(1, total));
    norm_parallel(ceil_div(job->sets, job->per_chunk), total, job->dy ? N(groups_bwd_chunk) : N(groups_fwd_chunk), job);
    if (job->dy) N(parameter_gradients)(job);
}

/* ---- Runs of a channel ---- */
static void N(runs_chunk)(void *context, size_t chunk) {
    const N(channel_job) *job = context;
    const size_t last = min_size((chunk + 1) * job->per_chunk, job->sets), inner = job->launch->lines.inner;
    for (size_t run = chunk * job->per_chunk; run < last; run++) {
        const size_t c = run % job->launch->lines.n, at = run * inner;
        double *sums = job->sums + run * 2;
        switch (job->phase) {
        case CHANNEL_MOMENTS:
            sums[0] = sums[1] = 0;
            N(run_moments)(job->x + at, job->length, job->maps[c].m, sums);
            break;
        case CHANNEL_SUMS: N(run_gradients)(job, at, job->stats[c], sums); break;
        default:
            if (job->dy) N(run_map)(job->x + at, job->dy + at, job->y + at, inner, job->maps + c, 0);
            else N(run_map)(job->x + at, job->x + at, job->y + at, inner, job->maps + c, 1);
        }
    }
}

static void N(runs_phase)(N(channel_job) *job, enum channel_phase phase, size_t samples, size_t length) {
    const pd_lines *g = &job->launch->lines;
    job->phase = phase, job->sets = samples * g->n, job->length = length;
    job->per_chunk = max_size(1, NORM_UNIT / max_size(1, g->inner));
    norm_parallel(ceil_div(job->sets, job->per_chunk), job->sets * length, N(runs_chunk), job);
}

static void N(runs_fwd)(N(channel_job) *job) {
    const pd_lines *g = &job->launch->lines;
    const size_t some = ceil_div(g->outer, 8), sampled = g->outer == 1 ? norm_sampled(g->inner) : g->inner;
    double total[2];
    for (size_t c = 0; c < g->n; c++) job->maps[c].m = 0;
    if (job->training) {
        N(runs_phase)(job, CHANNEL_MOMENTS, some, sampled);
        for (size_t c = 0; c < g->n; c++) {
            N(channel_total)(job, some, c, total);
            job->maps[c].m = (T)(total[0] / (double)(some * sampled));
        }
        N(runs_phase)(job, CHANNEL_MOMENTS, g->outer, g->inner);
    }
    for (size_t c = 0; c < g->n; c++) {
        if (job->training) N(channel_total)(job, g->outer, c, total);
        const N(norm_stat) stat = job->training ? N(channel_stat)(job, c, total, (double)job->maps[c].m, (double)(g->outer * g->inner))
                                                : N(running_stat)(job, c);
        job->maps[c] = N(map_forward)(stat, N(weight_of)(job, c), N(bias_of)(job, c));
        if (job->stats) job->stats[c] = stat;
    }
    N(runs_phase)(job, CHANNEL_MAP, g->outer, g->inner);
}

static void N(runs_bwd)(N(channel_job) *job) {
    const pd_lines *g = &job->launch->lines;
    N(runs_phase)(job, CHANNEL_SUMS, g->outer, g->inner);
    for (size_t c = 0; c < g->n; c++) {
        const T w = N(weight_of)(job, c);
        const double share = job->training ? (double)w / (double)(g->outer * g->inner) : 0;
        double total[2];
        N(channel_total)(job, g->outer, c, total);
        job->maps[c] = N(map_backward)(job->stats[c], w, share * total[0], share * total[1]);
    }
    if (job->y) N(runs_phase)(job, CHANNEL_MAP, g->outer, g->inner);
    N(parameter_gradients)(job);
}

/* ---- Columns ---- */

/* a += sum over the rows of g, b += that of g (x - s); g = dy, or x - s where `own`. s, a, b are NORM_WIDTH long. */
INLINE void N(columns_sums_at)(const T *x, const T *dy, size_t step, size_t left, const size_t rows, const int own, const T *s, T *a, T *b) {
    const vreal shift = v_load(s);
    vreal to_a = v_load(a), to_b = v_load(b);
    V_UNROLL
    for (size_t k = 0; k < rows; k++) {
        const vreal d = v_load_left(x + k * step, left) - shift;
        const vreal g = own ? d : v_load_left(dy + k * step, left);
        to_a += g;
        to_b = v_fma(g, d, to_b);
    }
    v_store(a, to_a);
    v_store(b, to_b);
}

INLINE void N(columns_sums)(const T *x, const T *dy, size_t step, size_t w, const size_t rows, const int own, const T *s, T *a, T *b) {
    size_t c = 0;
    for (; c + VL <= w; c += VL) N(columns_sums_at)(x + c, dy + c, step, VL, rows, own, s + c, a + c, b + c);
    if (c < w) N(columns_sums_at)(x + c, dy + c, step, w - c, rows, own, s + c, a + c, b + c);
}

INLINE void N(columns_total)(const T *x, const T *dy, size_t rows, size_t step, size_t w, const int own, const T *s, double *sums) {
    T a[NORM_WIDTH], b[NORM_WIDTH];
    for (size_t c = 0; c < 2 * w; c++) sums[c] = 0;
    for (size_t block = 0; block < rows; block += NORM_RUN) {
        const size_t end = min_size(rows, block + NORM_RUN);
        memset(a, 0, sizeof a);
        memset(b, 0, sizeof b);
        size_t k = block;
        for (; k + 4 <= end; k += 4) N(columns_sums)(x + k * step, dy + k * step, step, w, 4, own, s, a, b);
        for (; k < end; k++) N(columns_sums)(x + k * step, dy + k * step, step, w, 1, own, s, a, b);
        for (size_t c = 0; c < w; c++) {
            sums[2 * c] += (double)a[c];
            sums[2 * c + 1] += (double)b[c];
        }
    }
}

static void N(columns_moments)(const T *x, size_t rows, size_t step, size_t w, const T *s, double *sums) {
    N(columns_total)(x, x, rows, step, w, 1, s, sums);
}

typedef struct N(columns_map) {
    T m[NORM_WIDTH], q[NORM_WIDTH], t[NORM_WIDTH], p[NORM_WIDTH];
} N(columns_map);

INLINE void N(put_column)(N(columns_map) *to, size_t c, N(channel_map) one) {
    to->m[c] = one.m, to->q[c] = one.q, to->t[c] = one.t, to->p[c] = one.p;
}

INLINE void N(columns_apply_at)(const T *x, const T *dy, T *y, size_t left, const N(columns_map) *to, size_t c, const int own) {
    N(channel_map_at)(x + c, dy + c, y + c, left, v_load(to->m + c), v_load(to->q + c), v_load(to->t + c), v_load(to->p + c), own);
}

INLINE void N(columns_apply)(const T *x, const T *dy, T *y, size_t rows, size_t step, size_t w, const N(columns_map) *to, const int own) {
    for (size_t k = 0; k < rows; k++) {
        const size_t at = k * step;
        size_t c = 0;
        for (; c + VL <= w; c += VL) N(columns_apply_at)(x + at, dy + at, y + at, VL, to, c, own);
        if (c < w) N(columns_apply_at)(x + at, dy + at, y + at, w - c, to, c, own);
    }
}

static void N(columns_fwd_chunk)(void *context, size_t chunk) {
    const N(channel_job) *job = context;
    const pd_lines *g = &job->launch->lines;
    const size_t k = chunk * job->width, w = min_size(job->width, g->n - k), some = max_size(1, norm_sampled(g->outer));
    double sums[2 * NORM_WIDTH];
    T s[NORM_WIDTH] = {0};
    N(columns_map) to;
    if (job->training) {
        N(columns_moments)(job->x + k, some, g->n, w, s, sums);
        for (size_t c = 0; c < w; c++) s[c] = (T)(sums[2 * c] / (double)some);
        N(columns_moments)(job->x + k, g->outer, g->n, w, s, sums);
    }
    for (size_t c = 0; c < w; c++) {
        const N(norm_stat) stat = job->training ? N(channel_stat)(job, k + c, sums + 2 * c, (double)s[c], (double)g->outer)
                                                : N(running_stat)(job, k + c);
        N(put_column)(&to, c, N(map_forward)(stat, N(weight_of)(job, k + c), N(bias_of)(job, k + c)));
        if (job->stats) job->stats[k + c] = stat;
    }
    N(columns_apply)(job->x + k, job->x + k, job->y + k, g->outer, g->n, w, &to, 1);
}

static void N(columns_bwd_chunk)(void *context, size_t chunk) {
    const N(channel_job) *job = context;
    const pd_lines *g = &job->launch->lines;
    const size_t k = chunk * job->width, w = min_size(job->width, g->n - k);
    const double n = (double)g->outer;
    double sums[2 * NORM_WIDTH];
    T m[NORM_WIDTH] = {0};
    N(columns_map) to;
    for (size_t c = 0; c < w; c++) m[c] = job->stats[k + c].m;
    N(columns_total)(job->x + k, job->dy + k, g->outer, g->n, w, 0, m, sums);
    for (size_t c = 0; c < w; c++) {
        const N(norm_stat) stat = job->stats[k + c];
        const T weight = N(weight_of)(job, k + c);
        const double db = sums[2 * c], dw = (double)stat.r * sums[2 * c + 1] + (double)stat.shift * db;
        const double share = job->training ? (double)weight / n : 0;
        N(put_column)(&to, c, N(map_backward)(stat, weight, share * db, share * dw));
        if (job->db) job->db[k + c] = (T)db;
        if (job->dw) job->dw[k + c] = (T)dw;
    }
    if (job->y) N(columns_apply)(job->x + k, job->dy + k, job->y + k, g->outer, g->n, w, &to, 0);
}

/* Where columns are cut changes no bit, so that it may depend on the threads. */
static void N(columns_run)(N(channel_job) *job) {
    const pd_lines *g = &job->launch->lines;
    const size_t total = g->outer * g->n, least = total < NORM_ALONE ? 1 : 2 * pd_num_threads();
    const size_t even = ceil_div(ceil_div(g->n, least), NORM_NARROW) * NORM_NARROW;
    job->width = min_size(NORM_WIDTH, max_size(NORM_NARROW, even));
    norm_parallel(ceil_div(g->n, job->width), total, job->dy ? N(columns_bwd_chunk) : N(columns_fwd_chunk), job);
}

/* ---- Kernels ---- */
static N(channel_job) N(channel_forward)(const pd_launch *launch) {
    return (N(channel_job)){.launch = launch, .x = launch->buf[0], .w = launch->buf[1], .b = launch->buf[2], .y = launch->buf[3],
                            .stats = launch->buf[4], .sums = launch->workspace, .training = 1};
}

static N(channel_job) N(channel_backward)(const pd_launch *launch) {
    return (N(channel_job)){.launch = launch, .x = launch->buf[0], .dy = launch->buf[1], .w = launch->buf[2], .stats = launch->buf[3],
                            .y = launch->buf[4], .dw = launch->buf[5], .db = launch->buf[6], .sums = launch->workspace, .training = 1};
}

/* buf: x, w, b (or NULL), y, stats (C, 3) or NULL, running mean and var (C,): both NULL where training keeps none.
 * scalar: eps, momentum, training. Every set has two elements or more where training. */
static void N(batch_norm_fwd)(const pd_launch *launch) {
    N(channel_job) job = N(channel_forward)(launch);
    job.running_mean = launch->buf[5], job.running_var = launch->buf[6];
    job.training = launch->scalar[2] != 0;
    if (launch->lines.inner == 1) N(columns_run)(&job);
    else {
        job.maps = (N(channel_map) *)(job.sums + launch->lines.outer * launch->lines.n * 2);
        N(runs_fwd)(&job);
    }
}

/* buf: x, dy, w (or NULL), stats, dx, dw, db (each or NULL). scalar[2]: training. */
static void N(batch_norm_bwd)(const pd_launch *launch) {
    N(channel_job) job = N(channel_backward)(launch);
    job.training = launch->scalar[2] != 0;
    if (launch->lines.inner == 1) N(columns_run)(&job);
    else {
        job.maps = (N(channel_map) *)(job.sums + launch->lines.outer * launch->lines.n * 2);
        N(runs_bwd)(&job);
    }
}

/* The same with stats (N G, 3); scalar: eps, unused, G. */
static void N(group_norm_fwd)(const pd_launch *launch) {
    N(channel_job) job = N(channel_forward)(launch);
    if (launch->lines.inner) N(groups_run)(&job);
}

static void N(group_norm_bwd)(const pd_launch *launch) {
    N(channel_job) job = N(channel_backward)(launch);
    N(groups_run)(&job);
}

static size_t N(group_norm_bwd_workspace)(const pd_launch *launch) { return launch->lines.outer * launch->lines.n * 2 * sizeof(double); }
static size_t N(batch_norm_fwd_workspace)(const pd_launch *launch) {
    return launch->lines.inner == 1 ? 0 : N(group_norm_bwd_workspace)(launch) + launch->lines.n * sizeof(N(channel_map));
}
static size_t N(batch_norm_bwd_workspace)(const pd_launch *launch) { return N(batch_norm_fwd_workspace)(launch); }
