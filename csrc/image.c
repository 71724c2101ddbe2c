/* Images made smaller, larger, smoother or otherwise coloured.
 * image_filter   x (outer, n, inner) -> y (outer, count, inner), y[o, i] = sum over t of weight[i, t] x[o, start[i] + t]. pd_rows;
 *                buf: x, y, start (count,) int64, weight (count, taps); scalar[0] = taps; from i = scalar[1] up to, not including, scalar[2]
 *                the weights are the same and start grows by 1. Added in the order of t; weights of 0 are passed over.
 * image_bytes    floats -> uint8, rounded (a half up) and cut; NaN becomes 0. pd_map.
 * image_colour   x (N, C, P) -> y: steps of colour one after the other, each cut to 0 .. scalar[1]. pd_lines: N, C (1 or 3), P;
 *                buf: x, y, program (N, scalar[0], 2) float64: what, and by how much. COLOUR_* below; as torchvision defines them. */
#ifndef IMAGE_ONCE
#define IMAGE_ONCE
enum { IMAGE_UNIT = 1 << 15, COLOUR_STAGE = 256, COLOUR_STEPS = 8 };
enum { COLOUR_NONE, COLOUR_BRIGHTNESS, COLOUR_CONTRAST, COLOUR_SATURATION, COLOUR_HUE };

typedef struct image_job {
    const pd_launch *launch;
    size_t per_chunk;
} image_job;
#endif

EACH1(image_bytes, uint8_t, (x >= 0 ? x < (T)254.5 ? x + (T)0.5 : (T)255 : (T)0))

/* y[j] = sum over t of w[t] x[t step + j], j < n */
static void N(filter_row)(const T *x, size_t step, T *y, size_t n, const T *w, size_t taps) {
    size_t j = 0;
    for (; j + 4 * VL <= n; j += 4 * VL) {
        vreal a = v_set(0), b = a, c = a, d = a;
        for (size_t t = 0; t < taps; t++) {
            const T *from = x + t * step + j;
            const vreal by = v_set(w[t]);
            if (w[t] == 0) continue; /* an infinity there is none of ours */
            a = v_fma(by, v_load(from), a), b = v_fma(by, v_load(from + VL), b);
            c = v_fma(by, v_load(from + 2 * VL), c), d = v_fma(by, v_load(from + 3 * VL), d);
        }
        v_store(y + j, a), v_store(y + j + VL, b), v_store(y + j + 2 * VL, c), v_store(y + j + 3 * VL, d);
    }
    for (; j < n; j += VL) {
        vreal a = v_set(0);
        for (size_t t = 0; t < taps; t++)
            if (w[t] != 0) a = v_fma(v_set(w[t]), v_load_left(x + t * step + j, n - j), a);
        v_store_left(y + j, a, n - j);
    }
}

static void N(filter_line)(const pd_launch *launch, const T *x, T *y) {
    const int64_t *start = launch->buf[2];
    const T *weight = launch->buf[3];
    const size_t taps = (size_t)launch->scalar[0], first = (size_t)launch->scalar[1], last = (size_t)launch->scalar[2];
    for (size_t i = 0; i < launch->rows.count; i++) {
        if (i == first && last > first) {
            N(filter_row)(x + start[i], 1, y + i, last - first, weight + i * taps, taps);
            i = last - 1;
            continue;
        }
        T sum = 0;
        for (size_t t = 0; t < taps; t++)
            if (weight[i * taps + t] != 0) sum += weight[i * taps + t] * x[(size_t)start[i] + t];
        y[i] = sum;
    }
}

static void N(filter_chunk)(void *context, size_t chunk) {
    const image_job *job = context;
    const pd_rows *g = &job->launch->rows;
    const int64_t *start = job->launch->buf[2];
    const size_t taps = (size_t)job->launch->scalar[0], lines = g->inner == 1 ? g->outer : g->outer * g->count;
    const size_t last = min_size((chunk + 1) * job->per_chunk, lines);
    for (size_t r = chunk * job->per_chunk; r < last; r++) {
        if (g->inner == 1) {
            N(filter_line)(job->launch, (const T *)job->launch->buf[0] + r * g->n, (T *)job->launch->buf[1] + r * g->count);
            continue;
        }
        const size_t o = r / g->count, i = r % g->count;
        N(filter_row)((const T *)job->launch->buf[0] + (o * g->n + (size_t)start[i]) * g->inner, g->inner, (T *)job->launch->buf[1] + r * g->inner,
                      g->inner, (const T *)job->launch->buf[3] + i * taps, taps);
    }
}

static void N(image_filter)(const pd_launch *launch) {
    const pd_rows *g = &launch->rows;
    const size_t lines = g->inner == 1 ? g->outer : g->outer * g->count, work = (g->inner == 1 ? g->count : g->inner) * (size_t)launch->scalar[0];
    image_job job = {launch, max_size(1, IMAGE_UNIT / max_size(1, work))};
    const size_t chunks = ceil_div(lines, job.per_chunk);
    if (chunks > 2) pd_parallel(chunks, N(filter_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(filter_chunk)(&job, chunk);
}

/* ---- Colour: x[0 .. 2] are vectors of red, green and blue, or x[0] of grey ---- */
INLINE vreal N(colour_cut)(vreal x, T most) { return v_at_most(v_at_least(x, v_set(0)), v_set(most)); }
INLINE vreal N(colour_grey)(const vreal *x) {
    return v_fma(x[0], v_set((T)0.2989), v_fma(x[1], v_set((T)0.587), x[2] * v_set((T)0.114)));
}

/* x = by x + rest */
INLINE void N(colour_blend)(vreal *x, size_t channels, T by, vreal rest, T most) {
    for (size_t c = 0; c < channels; c++) x[c] = N(colour_cut)(v_fma(x[c], v_set(by), rest), most);
}

/* The share of a hue `turn` sixths of a circle away, 0 <= turn < 11: slopes between 0 and 1 */
INLINE vreal N(hue_share)(vreal turn) {
    const vreal k = v_blend(turn >= 6, turn - 6, turn);
    return v_at_most(v_at_least(v_at_most(k, 4 - k), v_set(0)), v_set(1));
}

/* The hue turned by `by` circles, -0.5 .. 0.5 (HSV: value and saturation stay) */
INLINE void N(colour_hue)(vreal *x, T by, T most) {
    const vreal r = x[0], g = x[1], b = x[2], high = v_at_least(v_at_least(r, g), b), low = v_at_most(v_at_most(r, g), b), chroma = high - low;
    const vreal scale = v_keep(chroma > 0, 1 / v_blend(chroma > 0, chroma, v_set(1)));
    vreal h = v_blend(high == r, (g - b) * scale, v_blend(high == g, v_fma(b - r, scale, v_set(2)), v_fma(r - g, scale, v_set(4))));
    h = h + v_set(6 * by); /* -4 .. 8 */
    h = v_blend(h < 0, h + 6, h);
    h = v_blend(h >= 6, h - 6, h);
    for (size_t c = 0; c < 3; c++) x[c] = N(colour_cut)(high - chroma * N(hue_share)(h + v_set((T)(5 - 2 * (int)c))), most);
}

INLINE void N(colour_step)(vreal *x, size_t channels, const double *step, T mean, T most) {
    const T by = (T)step[1];
    const int what = (int)step[0];
    if (what == COLOUR_BRIGHTNESS) N(colour_blend)(x, channels, by, v_set(0), most);
    else if (what == COLOUR_CONTRAST) N(colour_blend)(x, channels, by, v_set((1 - by) * mean), most);
    else if (what == COLOUR_SATURATION && channels == 3) N(colour_blend)(x, channels, by, N(colour_grey)(x) * v_set(1 - by), most);
    else if (what == COLOUR_HUE && channels == 3) N(colour_hue)(x, by, most);
}

/* Runs the first `steps` of image o. y NULL: returns the mean of the grey that comes out. */
static double N(colour_run)(const pd_launch *launch, size_t o, size_t steps, const T *mean, T *y) {
    const pd_lines *g = &launch->lines;
    const T *x = (const T *)launch->buf[0] + o * g->n * g->inner, most = (T)launch->scalar[1];
    const double *program = (const double *)launch->buf[2] + o * (size_t)launch->scalar[0] * 2;
    double total = 0;
    for (size_t first = 0; first < g->inner; first += COLOUR_STAGE) {
        const size_t last = min_size(first + COLOUR_STAGE, g->inner);
        vreal sum = v_set(0), v[3];
        for (size_t j = first; j < last; j += VL) {
            for (size_t c = 0; c < g->n; c++) v[c] = v_load_left(x + c * g->inner + j, last - j);
            for (size_t s = 0; s < steps; s++) N(colour_step)(v, g->n, program + 2 * s, mean[s], most);
            if (y)
                for (size_t c = 0; c < g->n; c++) v_store_left(y + c * g->inner + j, v[c], last - j);
            else if (last - j >= VL) sum += g->n == 3 ? N(colour_grey)(v) : v[0];
            else
                for (size_t k = 0; k < last - j; k++) total += (double)(g->n == 3 ? N(colour_grey)(v) : v[0])[k];
        }
        for (size_t k = 0; k < VL; k++) total += (double)sum[k];
    }
    return total / (double)g->inner;
}

static void N(colour_image)(void *context, size_t o) {
    const pd_launch *launch = context;
    const size_t steps = (size_t)launch->scalar[0];
    const double *program = (const double *)launch->buf[2] + o * steps * 2;
    T mean[COLOUR_STEPS] = {0};
    for (size_t s = 0; s < steps; s++)
        if ((int)program[2 * s] == COLOUR_CONTRAST) mean[s] = (T)N(colour_run)(launch, o, s, mean, NULL);
    N(colour_run)(launch, o, steps, mean, (T *)launch->buf[1] + o * launch->lines.n * launch->lines.inner);
}

static void N(image_colour)(const pd_launch *launch) {
    if (launch->lines.outer > 1 && launch->lines.n * launch->lines.inner > COLOUR_STAGE) pd_parallel(launch->lines.outer, N(colour_image), (void *)launch);
    else
        for (size_t o = 0; o < launch->lines.outer; o++) N(colour_image)((void *)launch, o);
}
