/* Windows of 2 x 2 side by side, without padding: two rows of the image are one of the result, and every element is touched once.
 * Legend and geometry in pool.h. */

static int N(quarters_fit)(const pd_window *w) {
    int fits = w->in[0] == 1 && w->out[0] == 1 && w->kernel[0] == 1 && w->pad[0] == 0;
    for (int d = 1; d < PD_SPACE; d++)
        fits &= w->kernel[d] == 2 && w->stride[d] == 2 && w->dilation[d] == 1 && w->pad[d] == 0 && 2 * w->out[d] <= w->in[d];
    return fits;
}

/* Four vectors: what windows o ... have above left, above right, below left, below right */
INLINE void N(quarters_load)(const T *x, size_t line, size_t left, vreal *to) {
    V_UNROLL
    for (size_t r = 0; r < 2; r++) {
        const vreal a = v_load_left(x + r * line, 2 * left), b = 2 * left > VL ? v_load_left(x + r * line + VL, 2 * left - VL) : a;
        to[2 * r] = v_even(a, b);
        to[2 * r + 1] = v_odd(a, b);
    }
}

INLINE void N(quarters_max_at)(const T *x, size_t line, T *y, uint8_t *place, size_t left, const int placed) {
    vreal v[4], best;
    vint at = {0};
    N(quarters_load)(x, line, left, v);
    best = v[0];
    if (placed) {
        V_UNROLL
        for (size_t k = 1; k < 4; k++) N(max_take)(v[k], k, 1, &best, &at);
        N(put_places)(place, at, left);
    } else
        V_UNROLL
        for (size_t k = 1; k < 4; k++) best = v_max(v[k], best);
    v_store_left(y, best, left);
}

INLINE void N(quarters_max)(const T *x, size_t line, T *y, uint8_t *place, size_t n, const int placed) {
    size_t o = 0;
    for (; o + VL <= n; o += VL) N(quarters_max_at)(x + 2 * o, line, y + o, place + o, VL, placed);
    if (o < n) N(quarters_max_at)(x + 2 * o, line, y + o, place + o, n - o, placed);
}

INLINE void N(quarters_mean_at)(const T *x, size_t line, T *y, size_t left, vreal divisor) {
    vreal v[4];
    N(quarters_load)(x, line, left, v);
    v_store_left(y, ((v[0] + v[1]) + (v[2] + v[3])) / divisor, left);
}

/* back: dx of two rows from dy; place NULL: means */
INLINE void N(quarters_back_at)(const T *dy, const uint8_t *place, T *dx, size_t line, size_t left, vreal divisor, const int placed) {
    const vreal g = v_load_left(dy, left);
    if (placed) {
        const vint at = N(places_of)(place, left);
        N(pool_zip)(dx, v_keep(at == 0, g), v_keep(at == 1, g), 2 * left);
        N(pool_zip)(dx + line, v_keep(at == 2, g), v_keep(at == 3, g), 2 * left);
    } else {
        const vreal share = g / divisor;
        N(pool_zip)(dx, share, share, 2 * left);
        N(pool_zip)(dx + line, share, share, 2 * left);
    }
}

INLINE void N(quarters_back)(const T *dy, const uint8_t *place, T *dx, size_t line, size_t n, vreal divisor, const int placed) {
    size_t o = 0;
    for (; o + VL <= n; o += VL) N(quarters_back_at)(dy + o, place + o, dx + 2 * o, line, VL, divisor, placed);
    if (o < n) N(quarters_back_at)(dy + o, place + o, dx + 2 * o, line, n - o, divisor, placed);
    for (size_t i = 2 * n; i < line; i++) dx[i] = dx[line + i] = 0;
}

enum { N(QUARTERS_MAX), N(QUARTERS_MEAN), N(QUARTERS_MAX_BACK), N(QUARTERS_MEAN_BACK) };

static void N(quarters_chunk)(void *context, size_t chunk) {
    const N(pool_job) *job = context;
    const pd_launch *launch = job->launch;
    const pd_window *w = &launch->window;
    const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->rows), line = w->in[2], n = w->out[2];
    const vreal divisor = v_set((T)(launch->scalar[0] != 0 ? launch->scalar[0] : 4));
    size_t oh = first % w->out[1], plane = first / w->out[1];
    for (size_t r = first; r < last; r++) {
        const size_t at = (plane * w->in[1] + 2 * oh) * line;
        const T *from = (const T *)launch->buf[0] + (job->mode < N(QUARTERS_MAX_BACK) ? at : r * n);
        T *to = (T *)launch->buf[job->mode == N(QUARTERS_MAX_BACK) ? 2 : 1] + (job->mode < N(QUARTERS_MAX_BACK) ? r * n : at);
        if (job->mode == N(QUARTERS_MAX)) {
            if (launch->buf[2]) N(quarters_max)(from, line, to, (uint8_t *)launch->buf[2] + r * n, n, 1);
            else N(quarters_max)(from, line, to, (uint8_t *)to, n, 0);
        } else if (job->mode == N(QUARTERS_MEAN)) {
            for (size_t o = 0; o < n; o += VL) N(quarters_mean_at)(from + 2 * o, line, to + o, min_size(VL, n - o), divisor);
        } else if (job->mode == N(QUARTERS_MAX_BACK))
            N(quarters_back)(from, (const uint8_t *)launch->buf[1] + r * n, to, line, n, divisor, 1);
        else N(quarters_back)(from, (const uint8_t *)from, to, line, n, divisor, 0);
        if (++oh == w->out[1]) {
            if (job->mode >= N(QUARTERS_MAX_BACK)) memset(to + 2 * line, 0, (w->in[1] - 2 * w->out[1]) * line * sizeof(T));
            oh = 0, plane++;
        }
    }
}

static void N(quarters_run)(const pd_launch *launch, int what) {
    const pd_window *w = &launch->window;
    N(pool_job) job = {launch, w->n * w->c * w->out[1], max_size(1, POOL_UNIT / (2 * w->in[2])), {0, 0}, what, 0};
    pool_parallel(job.rows, job.per_chunk, 2 * job.rows * w->in[2], N(quarters_chunk), &job);
}
