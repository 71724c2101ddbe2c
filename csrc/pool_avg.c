/* Averages of windows; legend and geometry in pool.h. */
/* ---- Averages, forward: a row of sums over depth and height, then sums along it ---- */

/* to[i] = sum of x[i] over the `d` x `h` rows that begin at x, i < n */
static void N(avg_columns)(const T *x, size_t area, size_t line, size_t d, size_t h, T *to, size_t n) {
    for (size_t i = 0; i < n; i += VL) {
        vreal sum = {0};
        for (size_t kd = 0; kd < d; kd++)
            for (size_t kh = 0; kh < h; kh++) sum += v_load_left(x + kd * area + kh * line + i, n - i);
        v_store(to + i, sum);
    }
}

/* y[o] = sum of the window that begins at stage[o * stride], o < n; there are 2 VL elements more than windows hold */
static void N(avg_along)(const T *stage, T *y, size_t n, size_t stride, size_t wide) {
    if (stride > 2) {
        for (size_t o = 0; o < n; o++) {
            T sum = 0;
            for (size_t k = 0; k < wide; k++) sum += stage[o * stride + k];
            y[o] = sum;
        }
        return;
    }
    for (size_t o = 0; o < n; o += VL) {
        const T *s = stage + o * stride;
        vreal sum = {0};
        size_t k = 0;
        if (stride == 1)
            for (; k < wide; k++) sum += v_load(s + k);
        for (; k < wide; k += 2) {
            const vreal a = v_load(s + k), b = v_load(s + k + VL);
            sum += v_even(a, b);
            if (k + 1 < wide) sum += v_odd(a, b);
        }
        v_store_left(y + o, sum, n - o);
    }
}

/* Sums of one row of outputs; `x` is the first row of the windows, d x h rows high */
static void N(avg_sums)(const N(pool_job) *job, const T *x, size_t d, size_t h, T *y) {
    const pd_window *w = &job->launch->window;
    const int adaptive = job->mode == POOL_ADAPTIVE;
    const size_t line = w->in[2], area = w->in[1] * line, stride = w->stride[2], wide = w->kernel[2], count = w->out[2];
    T stage[POOL_STAGE + 2 * VL];
    if (adaptive || wide > POOL_STAGE) {
        for (size_t o = 0; o < count; o++) {
            const pool_span s = pool_taps(w, 2, o, adaptive);
            const size_t n = s.to - s.from;
            T sum = 0;
            for (size_t i = 0; i < n; i += POOL_STAGE) {
                const size_t some = min_size(POOL_STAGE, n - i);
                N(avg_columns)(x + (size_t)(s.at + (ptrdiff_t)s.from) + i, area, line, d, h, stage, some);
                for (size_t k = 0; k < some; k++) sum += stage[k];
            }
            y[o] = sum;
        }
        return;
    }
    const size_t block = (POOL_STAGE - wide) / stride + 1;
    for (size_t o = 0; o < count; o += block) {
        const size_t n = min_size(block, count - o), length = (n - 1) * stride + wide;
        const size_t first = o * stride < w->pad[2] ? w->pad[2] - o * stride : 0, at = o * stride + first - w->pad[2];
        const size_t inside = min_size(length - first, line - at);
        for (size_t i = 0; i < first; i++) stage[i] = 0;
        N(avg_columns)(x + at, area, line, d, h, stage + first, inside);
        for (size_t i = first + inside; i < length + 2 * VL; i++) stage[i] = 0;
        N(avg_along)(stage, y + o, n, stride, wide);
    }
}

/* y[o] /= rows times what counts of window o along the row; or by `fixed`, where it is not 0 */
static void N(avg_divide)(const N(pool_job) *job, T *y, double rows, double fixed) {
    const pd_window *w = &job->launch->window;
    const pool_range inner = fixed != 0 ? (pool_range){0, w->out[2]} : job->inner;
    const T full = (T)(fixed != 0 ? fixed : rows * (double)w->kernel[2]);
    for (size_t o = inner.first; o < inner.end; o++) y[o] /= full;
    for (size_t o = 0; o < w->out[2]; o++) {
        if (o >= inner.first && o < inner.end) o = inner.end;
        if (o < w->out[2]) y[o] /= (T)(rows * (double)pool_counted(w, 2, o, job->mode));
    }
}

static void N(avg_fwd_chunk)(void *context, size_t chunk) {
    const N(pool_job) *job = context;
    const pd_window *w = &job->launch->window;
    const int adaptive = job->mode == POOL_ADAPTIVE;
    const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->rows);
    size_t oh = first % w->out[1], od = first / w->out[1] % w->out[0], plane = first / w->out[1] / w->out[0];
    for (size_t row = first; row < last; row++) {
        const pool_span d = pool_taps(w, 0, od, adaptive), h = pool_taps(w, 1, oh, adaptive);
        const size_t top = (plane * w->in[0] + (size_t)(d.at + (ptrdiff_t)d.from)) * w->in[1] + (size_t)(h.at + (ptrdiff_t)h.from);
        T *y = (T *)job->launch->buf[1] + row * w->out[2];
        N(avg_sums)(job, (const T *)job->launch->buf[0] + top * w->in[2], d.to - d.from, h.to - h.from, y);
        const double rows = (double)pool_counted(w, 0, od, job->mode) * (double)pool_counted(w, 1, oh, job->mode);
        N(avg_divide)(job, y, rows, job->launch->scalar[0]);
        if (++oh == w->out[1]) {
            oh = 0;
            if (++od == w->out[0]) od = 0, plane++;
        }
    }
}

static N(pool_job) N(avg_job)(const pd_launch *launch, const size_t *written) {
    const pd_window *w = &launch->window;
    const int mode = (int)launch->scalar[1];
    N(pool_job) job = {launch, w->n * w->c * written[0] * written[1], 1, {0, 0}, mode, 0};
    if (mode != POOL_ADAPTIVE) job.inner = pool_inner(w, mode == POOL_PADDED);
    job.per_chunk = max_size(1, POOL_UNIT * job.rows / max_size(1, w->n * w->c * max_size(volume(w->in), volume(w->out))));
    return job;
}

static void N(avg_pool_fwd)(const pd_launch *launch) {
    const pd_window *w = &launch->window;
    N(pool_job) job = N(avg_job)(launch, w->out);
    if (N(pool_lanes_fit)(w, job.mode)) {
        N(pool_lanes_run)(launch, N(pool_lanes_avg_fwd));
        return;
    }
    if (N(quarters_fit)(w)) {
        N(quarters_run)(launch, N(QUARTERS_MEAN));
        return;
    }
    pool_parallel(job.rows, job.per_chunk, w->n * w->c * volume(w->in), N(avg_fwd_chunk), &job);
}

/* ---- Averages, backward: a row of gradients, each with the factor of its window, then what of them every element gets ---- */

/* to[k] = sum over windows `d` x `h` of dy[o + k] / what they are divided by, k < n */
static void N(avg_shares)(const N(pool_job) *job, const T *dy, pool_range d, pool_range h, size_t o, T *to, size_t n) {
    const pd_window *w = &job->launch->window;
    const double fixed = job->launch->scalar[0];
    const size_t out = w->out[2];
    memset(to, 0, n * sizeof(T));
    for (size_t od = d.first; od < d.end; od++)
        for (size_t oh = h.first; oh < h.end; oh++) {
            const double rows = (double)pool_counted(w, 0, od, job->mode) * (double)pool_counted(w, 1, oh, job->mode);
            const double full = fixed != 0 ? fixed : job->mode == POOL_ADAPTIVE ? rows : rows * (double)w->kernel[2];
            const T *g = dy + (od * w->out[1] + oh) * out + o;
            const vreal share = v_set((T)(1 / full));
            for (size_t k = 0; k < n; k += VL)
                v_store_left(to + k, v_fma(v_load_left(g + k, n - k), share, v_load_left(to + k, n - k)), n - k);
        }
    if (fixed != 0) return;
    const T wide = job->mode == POOL_ADAPTIVE ? 1 : (T)w->kernel[2];
    for (size_t k = 0; k < n; k++) {
        if (o + k >= job->inner.first && o + k < job->inner.end) k = job->inner.end - o;
        if (k < n) to[k] *= wide / (T)pool_counted(w, 2, o + k, job->mode);
    }
}

/* dx[i] += share[k] for the elements i of window o + k, k < n */
static void N(avg_spread)(const N(pool_job) *job, const T *share, size_t o, size_t n, T *dx) {
    const pd_window *w = &job->launch->window;
    const int adaptive = job->mode == POOL_ADAPTIVE;
    if (!adaptive && w->stride[2] == 1) {
        const size_t pad = w->pad[2], end = min_size(w->kernel[2], w->in[2] + pad - o);
        for (size_t k = 0; k < end; k++) {
            const size_t skip = o + k < pad ? pad - o - k : 0, to = o + k + skip - pad;
            const size_t count = skip < n && to < w->in[2] ? min_size(n - skip, w->in[2] - to) : 0;
            for (size_t i = 0; i < count; i += VL)
                v_store_left(dx + to + i, v_load_left(dx + to + i, count - i) + v_load_left(share + skip + i, count - i), count - i);
        }
        return;
    }
    for (size_t k = 0; k < n; k++) {
        const pool_span s = pool_taps(w, 2, o + k, adaptive);
        T *to = dx + s.at;
        for (size_t i = s.from; i < s.to; i++) to[i] += share[k];
    }
}

/* Windows two apart: element 2 j + b - pad gets the shares j - m of all taps 2 m + b. share[POOL_WIDE + k] is that of window o + k,
 * with zeros on either side; for pairs j = o ... o + n - 1 */
static void N(avg_pairs)(const pd_window *w, const T *share, size_t o, size_t n, T *dx) {
    const size_t pad = w->pad[2], in = w->in[2];
    for (size_t k = 0; k < n; k += VL) {
        const size_t left = 2 * min_size(VL, n - k), at = 2 * (o + k);
        vreal even = {0}, odd = {0};
        for (size_t t = 0; t < w->kernel[2]; t += 2) {
            const vreal s = v_load(share + POOL_WIDE + k - t / 2);
            even += s;
            if (t + 1 < w->kernel[2]) odd += s;
        }
        if (at >= pad && at - pad + left <= in) {
            N(pool_zip)(dx + (at - pad), even, odd, left);
            continue;
        }
        T some[2 * VL];
        N(pool_zip)(some, even, odd, 2 * VL);
        for (size_t i = 0; i < left; i++)
            if (at + i >= pad && at + i - pad < in) dx[at + i - pad] = some[i];
    }
}

static void N(avg_bwd_row)(const N(pool_job) *job, const T *dy, pool_range d, pool_range h, T *dx) {
    const pd_window *w = &job->launch->window;
    const size_t out = w->out[2];
    T share[POOL_WIDE + POOL_STAGE + VL];
    if (job->mode != POOL_ADAPTIVE && w->stride[2] == 2 && w->kernel[2] <= POOL_WIDE) {
        const size_t pairs = ceil_div(w->in[2] + w->pad[2], 2), reach = w->kernel[2] / 2;
        for (size_t o = 0; o < pairs; o += POOL_STAGE) {
            const size_t n = min_size(POOL_STAGE, pairs - o), before = min_size(o, reach), from = min_size(o - before, out);
            const size_t given = min_size(out - from, before + n), end = POOL_WIDE - before + given;
            memset(share + POOL_WIDE - reach, 0, (reach - before) * sizeof(T));
            N(avg_shares)(job, dy, d, h, from, share + POOL_WIDE - before, given);
            memset(share + end, 0, (POOL_WIDE + n + VL - end) * sizeof(T));
            N(avg_pairs)(w, share, o, n, dx);
        }
        return;
    }
    memset(dx, 0, w->in[2] * sizeof(T));
    for (size_t o = 0; o < out; o += POOL_STAGE) {
        const size_t n = min_size(POOL_STAGE, out - o);
        N(avg_shares)(job, dy, d, h, o, share, n);
        N(avg_spread)(job, share, o, n, dx);
    }
}

static void N(avg_bwd_chunk)(void *context, size_t chunk) {
    const N(pool_job) *job = context;
    const pd_window *w = &job->launch->window;
    const int adaptive = job->mode == POOL_ADAPTIVE;
    const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->rows);
    size_t h = first % w->in[1], d = first / w->in[1] % w->in[0], plane = first / w->in[1] / w->in[0];
    pool_range deep = {0, 0}, high = {0, 0};
    for (size_t row = first; row < last; row++) {
        const T *dy = (const T *)job->launch->buf[0] + plane * volume(w->out);
        const pool_range z = pool_windows(w, 0, d, adaptive), y = pool_windows(w, 1, h, adaptive);
        T *dx = (T *)job->launch->buf[1] + row * w->in[2];
        if (row > first && h > 0 && y.first == high.first && y.end == high.end && z.first == deep.first && z.end == deep.end)
            memcpy(dx, dx - w->in[2], w->in[2] * sizeof(T)); /* the row before lies in the same windows */
        else N(avg_bwd_row)(job, dy, z, y, dx);
        deep = z, high = y;
        if (++h == w->in[1]) {
            h = 0;
            if (++d == w->in[0]) d = 0, plane++;
        }
    }
}

static void N(avg_pool_bwd)(const pd_launch *launch) {
    const pd_window *w = &launch->window;
    N(pool_job) job = N(avg_job)(launch, w->in);
    if (N(pool_lanes_fit)(w, job.mode)) {
        N(pool_lanes_run)(launch, N(pool_lanes_avg_bwd));
        return;
    }
    if (N(quarters_fit)(w)) {
        N(quarters_run)(launch, N(QUARTERS_MEAN_BACK));
        return;
    }
    pool_parallel(job.rows, job.per_chunk, w->n * w->c * volume(w->in), N(avg_bwd_chunk), &job);
}
