/* Losses of pairs: x and target t of the same shape, contiguous, pd_map with ndim 1 and shape[0] = n.
 *   mse   (x - t)^2           d/dx = 2 (x - t)
 *   l1    |x - t|             d/dx = sign(x - t), 0 at 0
 *   bce   w ((1 - t) x + l (max(-x, 0) + log1p(exp(-|x|)))), l = 1 + (p - 1) t   (logits; weight w, positive weight p)
 *                             d/dx = w ((1 - t) - l sigmoid(-x))
 *   huber b m (|x - t| - m / 2), m = min(|x - t|, a)      d/dx = b clamp(x - t, -a, a)
 *   prob  -w (t log x + (1 - t) log(1 - x)), logs from -100     d/dx = w (x - t) / max(x (1 - x), 1e-12); NaN outside 0 .. 1
 *   kl    t (log t - x)       d/dx = -t;  a = 1: exp(t) (t - x), d/dx = -exp(t)
 * scalar[0], scalar[1]: a, b. scalar[3]: what the mean divides by. buf[6]: the sum (or NULL).
 * scalar[2]: 0 no reduction, 1 mean, 2 sum. Sums: every lane adds up PAIR_RUN vectors, these sums are added in order
 * within PAIR_UNIT elements, and pairwise from there: the same bits for any number of threads. */
#ifndef PAIR_ONCE
#define PAIR_ONCE
enum { PAIR_RUN = 32, PAIR_UNIT = 1 << 14, PAIR_ALONE = 1 << 17 };
#endif

typedef struct N(pair_in) {
    const T *x, *t, *w, *p; /* w and p may be NULL */
    T a, b;
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
    const vreal d = v_load_left(in->x + i, left) - v_load_left(in->t + i, left);
    *grad = d + d;
    return d * d;
}

INLINE vreal N(l1_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal d = v_load_left(in->x + i, left) - v_load_left(in->t + i, left), zero = v_set(0);
    *grad = v_blend(d > 0, v_set(1), v_blend(d < 0, v_set(-1), v_blend(d == 0, zero, d)));
    return v_abs(d);
}

INLINE vreal N(bce_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal x = v_load_left(in->x + i, left), t = v_load_left(in->t + i, left), one = v_set(1);
    const vreal e = v_exp(v_neg(v_abs(x))), below = one / (one + e); /* sigmoid(|x|) */
    const vreal l = in->p ? v_fma(v_load_left(in->p + i, left) - one, t, one) : one;
    const vreal w = in->w ? v_load_left(in->w + i, left) : one;
    const vreal rest = v_blend(x > 0, e * below, below); /* sigmoid(-x) */
    *grad = w * ((one - t) - l * v_blend(x != x, x, rest));
    return w * v_fma(l, v_max(v_neg(x), v_set(0)) + v_log1p(e), (one - t) * x);
}

INLINE vreal N(huber_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal d = v_load_left(in->x + i, left) - v_load_left(in->t + i, left), size = v_abs(d);
    const vreal a = v_set(in->a), b = v_set(in->b), m = v_at_most(size, a);
    *grad = b * v_at_least(v_at_most(d, a), v_neg(a));
    return b * m * (size - v_set((T)0.5) * m);
}

INLINE vreal N(prob_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal x = v_load_left(in->x + i, left), t = v_load_left(in->t + i, left), one = v_set(1), zero = v_set(0);
    const vreal w = in->w ? v_load_left(in->w + i, left) : one, least = v_set(-100), rest = one - x;
    const vreal yes = v_at_least(v_log(x), least), no = v_at_least(v_log1p(v_neg(x)), least);
    const vint inside = (x >= zero) & (x <= one) & (t >= zero) & (t <= one);
    *grad = w * (x - t) / v_at_least(x * rest, v_set((T)1e-12));
    return v_blend(inside, v_neg(w * v_fma(t, yes - no, no)), v_set((T)NAN));
}

INLINE vreal N(kl_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal x = v_load_left(in->x + i, left), t = v_load_left(in->t + i, left);
    if (in->a != 0) {
        const vreal q = v_exp(t);
        *grad = v_neg(q);
        return q * (t - x);
    }
    *grad = v_neg(t);
    return v_blend(t == 0, t, t * v_log(t)) - t * x;
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
            if (job->grad) v_store_left(job->grad + i, slope * scale, left);
            if (job->each) v_store_left(job->each + i, loss, left);
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

static T N(huber_span)(const N(pair_job) *job, size_t first, size_t last) {
    return N(pair_span)(N(huber_term), job, first, last);
}
static T N(prob_span)(const N(pair_job) *job, size_t first, size_t last) {
    return N(pair_span)(N(prob_term), job, first, last);
}
static T N(kl_span)(const N(pair_job) *job, size_t first, size_t last) {
    return N(pair_span)(N(kl_term), job, first, last);
}

static void N(pair_chunk)(void *context, size_t chunk) {
    const N(pair_job) *job = context;
    const size_t first = chunk * PAIR_UNIT;
    const T sum = job->run(job, first, min_size(first + PAIR_UNIT, job->launch->map.shape[0]));
    job->parts[chunk] = sum;
}

static size_t N(pair_bytes)(const pd_launch *launch) { return ceil_div(launch->map.shape[0], PAIR_UNIT) * sizeof(T); }

/* x, t, w (or NULL), p (or NULL) -> loss (n,) or (), and d(loss) / dx (or NULL), to be multiplied by dy */
static void N(pair_run)(const pd_launch *launch, T (*run)(const N(pair_job) *, size_t, size_t)) {
    const size_t n = launch->map.shape[0], chunks = ceil_div(n, PAIR_UNIT);
    const int reduction = (int)launch->scalar[2];
    const T count = (T)launch->scalar[3];
    N(pair_job) job = {.launch = launch, .run = run, .scale = reduction == LOSS_MEAN ? 1 / count : 1,
                       .in = {launch->buf[0], launch->buf[1], launch->buf[2], launch->buf[3], (T)launch->scalar[0],
                              (T)launch->scalar[1]}};
    job.grad = launch->buf[5];
    job.parts = launch->workspace;
    if (reduction == LOSS_NONE) job.each = launch->buf[4];
    if (chunks > 1 && n >= PAIR_ALONE) pd_parallel(chunks, N(pair_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(pair_chunk)(&job, chunk);
    const T total = N(loss_total)(job.parts, chunks);
    if (launch->buf[6]) *(T *)launch->buf[6] = total;
    if (reduction != LOSS_NONE) *(T *)launch->buf[4] = reduction == LOSS_MEAN ? total / count : total;
}

static size_t N(mse_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static size_t N(l1_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static size_t N(bce_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static void N(mse_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(mse_span)); }
static void N(l1_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(l1_span)); }
static void N(bce_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(bce_span)); }
static size_t N(huber_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static void N(huber_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(huber_span)); }
static size_t N(prob_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static void N(prob_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(prob_span)); }
static size_t N(kl_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static void N(kl_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(kl_span)); }
