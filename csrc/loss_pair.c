/* Losses of pairs: x and target t of the same shape, contiguous, pd_map with ndim 1 and shape[0] = n.
 *   mse   (x - t)^2           d/dx = 2 (x - t)
 *   l1    |x - t|             d/dx = sign(x - t), 0 at 0
 *   bce   w ((1 - t) x + l (max(-x, 0) + log1p(exp(-|x|)))), l = 1 + (p - 1) t   (logits; weight w, positive weight p)
 *                             d/dx = w ((1 - t) - l sigmoid(-x))
 * scalar[2]: 0 no reduction, 1 mean, 2 sum. Sums: every lane adds up PAIR_RUN vectors, these sums are added in order
 * within PAIR_UNIT elements, and pairwise from there: the same bits for any number of threads. */
#ifndef PAIR_ONCE
#define PAIR_ONCE
enum { PAIR_RUN = 32, PAIR_UNIT = 1 << 14, PAIR_ALONE = 1 << 17 };
#endif

typedef struct N(pair_in) {
    const T *x, *t, *w, *p; /* w and p may be NULL */
} N(pair_in);

/* At element i, of which `left` are left: the loss, and its derivative in x. */
typedef vreal (*N(pair_term))(const N(pair_in) *in, size_t i, size_t left, vreal *grad);

typedef struct N(pair_job) {
    const pd_launch *launch;
    N(pair_in) in;
    T *each, *grad, *parts; /* the losses, or their sums */
    T scale;
    T (*run)(const struct N(pair_job) *job, size_t first, size_t last);
} N(pair_job);

INLINE vreal N(mse_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal d = N(load_left)(in->x + i, left) - N(load_left)(in->t + i, left);
    *grad = d + d;
    return d * d;
}

INLINE vreal N(l1_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal d = N(load_left)(in->x + i, left) - N(load_left)(in->t + i, left), zero = v_set(0);
    *grad = v_blend(d > 0, v_set(1), v_blend(d < 0, v_set(-1), v_blend(d == 0, zero, d)));
    return v_abs(d);
}

INLINE vreal N(bce_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal x = N(load_left)(in->x + i, left), t = N(load_left)(in->t + i, left), one = v_set(1);
    const vreal e = v_exp(v_neg(v_abs(x))), below = one / (one + e); /* sigmoid(|x|) */
    const vreal l = in->p ? v_fma(N(load_left)(in->p + i, left) - one, t, one) : one;
    const vreal w = in->w ? N(load_left)(in->w + i, left) : one;
    const vreal rest = v_blend(x > 0, e * below, below); /* sigmoid(-x) */
    *grad = w * ((one - t) - l * v_blend(x != x, x, rest));
    return w * v_fma(l, v_max(v_neg(x), v_set(0)) + v_log1p(e), (one - t) * x);
}

/* Elements first .. last: their sum */
INLINE T N(pair_span)(N(pair_term) term, const N(pair_job) *job, size_t first, size_t last) {
    const vreal scale = v_set(job->scale);
    vreal total = v_set(0);
    for (size_t i = first; i < last;) {
        const size_t end = min_size(last, i + PAIR_RUN * VL);
        vreal sum = v_set(0), slope;
        for (; i < end; i += VL) {
            const size_t left = end - i;
            vreal loss = term(&job->in, i, left, &slope);
            if (job->grad) N(store_left)(job->grad + i, slope * scale, left);
            if (job->each) N(store_left)(job->each + i, loss, left);
            if (left < VL) loss = v_keep(N(first_lanes)(left), loss);
            sum += loss;
        }
        total += sum;
    }
    return N(merge_lanes)(N(plus_v), total);
}

static T N(mse_span)(const N(pair_job) *job, size_t first, size_t last) {
    return N(pair_span)(N(mse_term), job, first, last);
}
static T N(l1_span)(const N(pair_job) *job, size_t first, size_t last) {
    return N(pair_span)(N(l1_term), job, first, last);
}
static T N(bce_span)(const N(pair_job) *job, size_t first, size_t last) {
    return N(pair_span)(N(bce_term), job, first, last);
}

static void N(pair_chunk)(void *context, size_t chunk) {
    const N(pair_job) *job = context;
    const size_t first = chunk * PAIR_UNIT;
    const T sum = job->run(job, first, min_size(first + PAIR_UNIT, job->launch->map.shape[0]));
    if (job->parts) job->parts[chunk] = sum;
}

static size_t N(pair_bytes)(const pd_launch *launch) { return ceil_div(launch->map.shape[0], PAIR_UNIT) * sizeof(T); }

/* x, t, w (or NULL), p (or NULL) -> loss (n,) or (), and d(loss) / dx (or NULL), to be multiplied by dy */
static void N(pair_run)(const pd_launch *launch, T (*run)(const N(pair_job) *, size_t, size_t)) {
    const size_t n = launch->map.shape[0], chunks = ceil_div(n, PAIR_UNIT);
    const int reduction = (int)launch->scalar[2];
    N(pair_job) job = {.launch = launch, .run = run, .scale = reduction == LOSS_MEAN ? 1 / (T)n : 1,
                       .in = {launch->buf[0], launch->buf[1], launch->buf[2], launch->buf[3]}};
    job.grad = launch->buf[5];
    if (reduction == LOSS_NONE) job.each = launch->buf[4];
    else job.parts = launch->workspace;
    if (chunks > 1 && n >= PAIR_ALONE) pd_parallel(chunks, N(pair_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(pair_chunk)(&job, chunk);
    if (reduction == LOSS_NONE) return;
    const T total = N(loss_total)(job.parts, chunks);
    *(T *)launch->buf[4] = reduction == LOSS_MEAN ? total / (T)n : total;
}

static size_t N(mse_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static size_t N(l1_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static size_t N(bce_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static void N(mse_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(mse_span)); }
static void N(l1_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(l1_span)); }
static void N(bce_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(bce_span)); }
