/* Convolution, element by element: for kernels that reach so far beyond their image that no copy of a box would hold what they see. */

/* The source position under tap t of place i, each one dimension's; or -1 in the padding */
INLINE ptrdiff_t N(conv_plain_input)(const pd_window *w, size_t d, size_t i, size_t t) {
    const size_t at = i * w->stride[d] + t * w->dilation[d];
    return at < w->pad[d] || at - w->pad[d] >= w->in[d] ? -1 : (ptrdiff_t)(at - w->pad[d]);
}

/* The place whose tap t lies at i, or -1 */
INLINE ptrdiff_t N(conv_plain_output)(const pd_window *w, size_t d, size_t i, size_t t) {
    const size_t at = i + w->pad[d], reach = t * w->dilation[d];
    return at < reach || (at - reach) % w->stride[d] || (at - reach) / w->stride[d] >= w->out[d] ? -1 : (ptrdiff_t)((at - reach) / w->stride[d]);
}

INLINE ptrdiff_t N(conv_plain_at)(const pd_window *w, const size_t *sizes, int input_grad, size_t i, size_t tap) {
    const size_t *own = input_grad ? w->in : w->out;
    size_t position = 0, step = 1;
    for (size_t d = PD_SPACE; d-- > 0; step *= sizes[d], i /= own[d], tap /= w->kernel[d]) {
        const ptrdiff_t at = input_grad ? N(conv_plain_output)(w, d, i % own[d], tap % w->kernel[d])
                                        : N(conv_plain_input)(w, d, i % own[d], tap % w->kernel[d]);
        if (at < 0) return -1;
        position += (size_t)at * step;
    }
    return (ptrdiff_t)position;
}

/* One plane of the destination */
static void N(conv_plain_fwd)(void *context, size_t plane) {
    const pd_launch *L = context;
    const pd_window *w = &L->window;
    const size_t in = volume(w->in), out = volume(w->out), taps = volume(w->kernel), channels = w->c / w->groups;
    const size_t n = plane / w->o, o = plane % w->o, first = o / (w->o / w->groups) * channels;
    const real *x = (const real *)L->buf[0] + (n * w->c + first) * in, *weight = (const real *)L->buf[1] + o * channels * taps;
    const real *bias = L->buf[2];
    real *y = (real *)L->buf[3] + plane * out;
    for (size_t i = 0; i < out; i++) {
        y[i] = bias ? bias[o] : 0;
        for (size_t tap = 0; tap < taps; tap++) {
            const ptrdiff_t at = N(conv_plain_at)(w, w->in, 0, i, tap);
            for (size_t c = 0; c < channels && at >= 0; c++) y[i] += weight[c * taps + tap] * x[c * in + (size_t)at];
        }
    }
    if (w->activation == PD_NO_ACTIVATION) return;
    for (size_t i = 0; i < out; i += VL) {
        real part[VL];
        v_store(part, v_load_left(y + i, out - i));
        N(gemm_activate)(w->activation, part, VL);
        v_store_left(y + i, v_load(part), out - i);
    }
}

static void N(conv_plain_input_grad)(void *context, size_t plane) {
    const pd_launch *L = context;
    const pd_window *w = &L->window;
    const size_t in = volume(w->in), out = volume(w->out), taps = volume(w->kernel), channels = w->c / w->groups;
    const size_t filters = w->o / w->groups, n = plane / w->c, c = plane % w->c, first = c / channels * filters;
    const real *dy = (const real *)L->buf[0] + (n * w->o + first) * out, *bias = L->buf[2];
    const real *weight = (const real *)L->buf[1] + (first * channels + c % channels) * taps;
    real *dx = (real *)L->buf[3] + plane * in;
    for (size_t i = 0; i < in; i++) {
        dx[i] = bias ? bias[c] : 0;
        for (size_t tap = 0; tap < taps; tap++) {
            const ptrdiff_t at = N(conv_plain_at)(w, w->out, 1, i, tap);
            for (size_t o = 0; o < filters && at >= 0; o++) dx[i] += weight[o * channels * taps + tap] * dy[o * out + (size_t)at];
        }
    }
}

/* One filter's channel */
static void N(conv_plain_weight_grad)(void *context, size_t plane) {
    const pd_launch *L = context;
    const pd_window *w = &L->window;
    const size_t in = volume(w->in), out = volume(w->out), taps = volume(w->kernel), channels = w->c / w->groups;
    const size_t o = plane / channels, c = o / (w->o / w->groups) * channels + plane % channels;
    for (size_t tap = 0; tap < taps; tap++) {
        real sum = 0;
        for (size_t n = 0; n < w->n; n++) {
            const real *dy = (const real *)L->buf[0] + (n * w->o + o) * out, *x = (const real *)L->buf[1] + (n * w->c + c) * in;
            for (size_t i = 0; i < out; i++) {
                const ptrdiff_t at = N(conv_plain_at)(w, w->in, 0, i, tap);
                if (at >= 0) sum += dy[i] * x[at];
            }
        }
        ((real *)L->buf[3])[plane * taps + tap] = sum;
    }
}

static double N(conv_plain_cost)(const pd_window *w, enum conv_pass pass) {
    (void)pass;
    return 100 * conv_work(w);
}

static size_t N(conv_plain_room)(const pd_launch *L, enum conv_pass pass) {
    (void)L, (void)pass;
    return 0;
}

static void N(conv_plain)(const pd_launch *L, enum conv_pass pass) {
    const pd_window *w = &L->window;
    if (pass == CONV_FWD) conv_share(w, w->n * w->o, N(conv_plain_fwd), (void *)L);
    else if (pass == CONV_INPUT_GRAD) conv_share(w, w->n * w->c, N(conv_plain_input_grad), (void *)L);
    else conv_share(w, w->o * (w->c / w->groups), N(conv_plain_weight_grad), (void *)L);
}
