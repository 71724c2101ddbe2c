/* Convolution for any shape. */
static double N(conv_gemm_cost)(const pd_window *w, enum conv_pass pass) {
    (void)pass;
    return (double)w->n * (double)w->o * (double)conv_volume(w->out) * (double)(w->c / w->groups) * (double)conv_volume(w->kernel);
}

static size_t N(conv_gemm_room)(const pd_launch *L, enum conv_pass pass) {
    (void)L, (void)pass;
    return 0;
}

/* The input's flat position under tap t of output i, or -1 in the padding */
static ptrdiff_t N(conv_at)(const pd_window *w, size_t i, size_t t) {
    size_t at = 0, step = 1;
    for (size_t d = PD_SPACE; d-- > 0;) {
        const size_t place = i % w->out[d] * w->stride[d] + t % w->kernel[d] * w->dilation[d];
        if (place < w->pad[d] || place - w->pad[d] >= w->in[d]) return -1;
        at += (place - w->pad[d]) * step;
        step *= w->in[d];
        i /= w->out[d], t /= w->kernel[d];
    }
    return (ptrdiff_t)at;
}

static void N(conv_gemm)(const pd_launch *L, enum conv_pass pass) {
    const pd_window *w = &L->window;
    const size_t in = conv_volume(w->in), out = conv_volume(w->out), taps = conv_volume(w->kernel);
    const size_t c = w->c / w->groups, o = w->o / w->groups;
    const real *bias = L->buf[2];
    real *to = L->buf[3];
    const size_t total = pass == CONV_FWD ? w->n * w->o * out : pass == CONV_INPUT_GRAD ? w->n * w->c * in : w->o * c * taps;
    for (size_t i = 0; i < total; i++)
        to[i] = pass == CONV_WEIGHT_GRAD || !bias ? 0 : pass == CONV_FWD ? bias[i / out % w->o] : bias[i / in % w->c];
    for (size_t n = 0; n < w->n; n++)
        for (size_t k = 0; k < w->o; k++)
            for (size_t j = 0; j < c; j++)
                for (size_t i = 0; i < out; i++)
                    for (size_t t = 0; t < taps; t++) {
                        const ptrdiff_t at = N(conv_at)(w, i, t);
                        if (at < 0) continue;
                        const size_t x = (n * w->c + k / o * c + j) * in + (size_t)at, y = (n * w->o + k) * out + i;
                        const size_t f = (k * c + j) * taps + t;
                        if (pass == CONV_FWD) to[y] += ((const real *)L->buf[0])[x] * ((const real *)L->buf[1])[f];
                        else if (pass == CONV_INPUT_GRAD) to[x] += ((const real *)L->buf[0])[y] * ((const real *)L->buf[1])[f];
                        else to[f] += ((const real *)L->buf[0])[y] * ((const real *)L->buf[1])[x];
                    }
    if (pass == CONV_FWD && w->activation == PD_RELU)
        for (size_t i = 0; i < total; i++) to[i] = to[i] < 0 ? 0 : to[i];
}
