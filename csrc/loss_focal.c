/* Focal losses: cross entropy that counts less where the prediction is right already (Lin et al. 2017).
 *   sigmoid_focal  w q^g c, of pairs as in loss_pair.c: c = (1 - t) x + log(1 + exp(-x)) cross entropy of logits, p = sigmoid(x),
 *                  q = p (1 - t) + (1 - p) t how wrong it is, w = a t + (1 - a) (1 - t), or 1 where a < 0
 *                  d/dx = w (q^g (p - t) + g q^(g - 1) p (1 - p) (1 - 2 t) c);   scalar[0]: a, [1]: g
 *   focal          sum_c Q_c (1 - p_c)^g (-log p_c), p = softmax(x), of rows as in loss.c, whose Q, mean and scalars these are;
 *                  classes only, so that scalar[3] is g. With s_c = (1 - p_c)^(g - 1) (g p_c log p_c - (1 - p_c)):
 *                  d/dx_c = Q_c s_c - p_c sum_k Q_k s_k */

/* x^g for x >= 0 */
INLINE vreal N(focal_power)(vreal x, T g) { return g == 2 ? x * x : g == 0 ? v_set(1) : g == 1 ? x : N(dist_pow)(x, v_set(g)); }

INLINE vreal N(sigmoid_focal_term)(const N(pair_in) *in, size_t i, size_t left, vreal *grad) {
    const vreal x = v_load_left(in->x + i, left), t = v_load_left(in->t + i, left), one = v_set(1), zero = v_set(0);
    const vreal e = v_exp(v_neg(v_abs(x))), large = one / (one + e), small = e * large;
    const vreal p = v_blend(x > 0, large, small), rest = v_blend(x > 0, small, large); /* 1 - p */
    const vreal q = p * (one - t) + rest * t, c = v_max(v_neg(x), zero) + v_log1p(e) + (one - t) * x;
    const vreal w = in->a < 0 ? one : v_set(in->a) * t + v_set(1 - in->a) * (one - t), power = w * N(focal_power)(q, in->b);
    const vreal slope = v_blend(q == 0, zero, p * rest / q) * (one - t - t);
    *grad = power * (p - t + v_set(in->b) * slope * c);
    return power * c;
}

static T N(sigmoid_focal_span)(const N(pair_job) *job, size_t first, size_t last) { return N(pair_span)(N(sigmoid_focal_term), job, first, last); }
static size_t N(sigmoid_focal_fwd_workspace)(const pd_launch *launch) { return N(pair_bytes)(launch); }
static void N(sigmoid_focal_fwd)(const pd_launch *launch) { N(pair_run)(launch, N(sigmoid_focal_span)); }

/* Of log p: (1 - p)^g (-log p), and its derivative in log p, s */
INLINE vreal N(focal_term)(vreal log_p, T g, vreal *slope) {
    const vreal p = v_exp(log_p), q = v_neg(v_expm1(log_p)), power = N(focal_power)(q, g);
    *slope = power * (v_set(g) * p * v_blend(q == 0, v_set(-1), log_p / q) - 1);
    return v_neg(power * log_p);
}

static void N(focal_row)(const N(loss_job) *job, size_t i, T g) {
    const size_t n = job->launch->lines.n;
    const T *x = job->x + i * n;
    T *grad = job->grad ? job->grad + i * n : NULL;
    const int64_t t = job->target[i];
    if (t == job->ignored) {
        job->loss[i] = 0;
        if (grad) memset(grad, 0, n * sizeof(T));
        return;
    }
    const T m = N(row_max)(x, n), own = (1 - (T)job->launch->scalar[0]) * (job->weight ? job->weight[t] : 1);
    const vreal shift = v_set(m), rest = v_set(N(log_one)(N(row_exp)(x, NULL, n, m)));
    vreal own_slope, slopes = v_set(0), smooth = v_set(0);
    const vreal own_loss = N(focal_term)(v_set(x[t] - m) - rest, g, &own_slope);
    for (size_t c = 0; job->smooth != 0 && c < n; c += VL) {
        const size_t left = n - c;
        const vreal share = v_set(job->smooth) * (job->weight ? v_load_left(job->weight + c, left) : v_set(1));
        vreal slope, loss = share * N(focal_term)(v_load_left(x + c, left) - shift - rest, g, &slope);
        slope *= share;
        if (grad) v_store_left(grad + c, slope, left);
        if (left < VL) {
            loss = v_keep(N(first_lanes)(left), loss);
            slope = v_keep(N(first_lanes)(left), slope);
        }
        smooth += loss;
        slopes += slope;
    }
    job->loss[i] = own * own_loss[0] + N(merge_lanes)(N(plus_v), smooth);
    if (!grad) return;
    const vreal all = v_set(own * own_slope[0] + N(merge_lanes)(N(plus_v), slopes)), scale = v_set(job->scale);
    for (size_t c = 0; c < n; c += VL) {
        const size_t left = n - c;
        const vreal p = v_exp(v_load_left(x + c, left) - shift - rest), kept = job->smooth != 0 ? v_load_left(grad + c, left) : v_set(0);
        v_store_left(grad + c, (kept - p * all) * scale, left);
    }
    grad[t] += own * own_slope[0] * job->scale;
}

static void N(focal_chunk)(void *context, size_t chunk) {
    const N(loss_job) *job = context;
    const size_t first = chunk * job->tiles_per_chunk, last = min_size(first + job->tiles_per_chunk, job->launch->lines.outer);
    for (size_t i = first; i < last; i++) N(focal_row)(job, i, (T)job->power);
}

/* x, target, weight (or NULL) -> loss (count,) or (), and d(loss) / dx (or NULL), to be multiplied by dy */
static void N(focal_fwd)(const pd_launch *launch) {
    pd_launch hard = *launch;
    hard.scalar[3] = 0;
    N(loss_job) job = N(loss_begin)(&hard);
    job.power = launch->scalar[3];
    const size_t chunks = ceil_div(hard.lines.outer, job.tiles_per_chunk);
    if (chunks > 1 && hard.lines.outer * hard.lines.n >= LOSS_ALONE) pd_parallel(chunks, N(focal_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(focal_chunk)(&job, chunk);
    N(loss_end)(&job);
}

static size_t N(focal_fwd_workspace)(const pd_launch *launch) { return launch->lines.outer * sizeof(T); }
