/* Images made smaller, larger, smoother or otherwise coloured.
 * image_filter   x (outer, n, inner) -> y (outer, count, inner), y[o, i] = sum over t of weight[i, t] x[o, start[i] + t]. pd_rows;
 *                buf: x, y, start (count,) int64, weight (count, taps); scalar[0] = taps; from i = scalar[1] up to, not including, scalar[2]
 *                the weights are the same and start grows by 1. Added in the order of t; weights of 0 are passed over there where
 *                they are not the same.
 * image_colour   x (N, C, P) -> y: steps of colour one after the other, each cut to 0 .. scalar[1]. pd_lines: N, C (1 or 3), P;
 *                buf: x, y, program (N, scalar[0], 2) float64: what, and by how much. COLOUR_* below; as torchvision defines them. */
#ifndef IMAGE_ONCE
#define IMAGE_ONCE
enum { IMAGE_UNIT = 1 << 15, IMAGE_STAGE = 64, COLOUR_STAGE = 256, COLOUR_STEPS = 8 };
enum { COLOUR_NONE, COLOUR_BRIGHTNESS, COLOUR_CONTRAST, COLOUR_SATURATION, COLOUR_HUE };

typedef struct image_job {
    const pd_launch *launch;
    size_t per_chunk;
} image_job;
#endif

/* Rows of `inner` side by side, four taps at a time */
static void N(filter_wide)(const T *x, T *y, size_t inner, const T *w, size_t taps) {
    size_t used = 0;
    const T *from[4];
    T by[4];
    int begun = 0;
    for (size_t t = 0; t < taps; t++) {
        if (w[t] != 0) from[used] = x + t * inner, by[used++] = w[t];
        if (used < 4 && t + 1 < taps) continue;
        for (size_t k = used; k < 4; k++) from[k] = used ? from[0] : x, by[k] = 0;
        if (used == 0 && begun) continue;
        const T *a = from[0], *b = from[1], *c = from[2], *d = from[3];
        if (used == 4 && begun)
            for (size_t j = 0; j < inner; j++) y[j] = (((y[j] + by[0] * a[j]) + by[1] * b[j]) + by[2] * c[j]) + by[3] * d[j];
        else if (used == 4)
            for (size_t j = 0; j < inner; j++) y[j] = ((by[0] * a[j] + by[1] * b[j]) + by[2] * c[j]) + by[3] * d[j];
        else {
            if (!begun) memset(y, 0, inner * sizeof(T));
            for (size_t k = 0; k < used; k++)
                for (size_t j = 0; j < inner; j++) y[j] += by[k] * from[k][j];
        }
        begun = 1, used = 0;
    }
}

/* Neighbours along a line: `count` outputs with the same weights */
static void N(filter_same)(const T *x, T *y, size_t count, const T *w, size_t taps) {
    for (size_t i = 0; i < count; i += IMAGE_STAGE) {
        const size_t n = min_size(IMAGE_STAGE, count - i);
        T sum[IMAGE_STAGE] = {0};
        if (n == IMAGE_STAGE)
            for (size_t t = 0; t < taps; t++)
                for (size_t j = 0; j < IMAGE_STAGE; j++) sum[j] += w[t] * x[i + t + j];
        else
            for (size_t t = 0; t < taps; t++)
                for (size_t j = 0; j < n; j++) sum[j] += w[t] * x[i + t + j];
        memcpy(y + i, sum, n * sizeof(T));
    }
}

static void N(filter_line)(const pd_launch *launch, const T *x, T *y) {
    const int64_t *start = launch->buf[2];
    const T *weight = launch->buf[3];
    const size_t taps = (size_t)launch->scalar[0], first = (size_t)launch->scalar[1], last = (size_t)launch->scalar[2];
    for (size_t i = 0; i < launch->rows.count; i++) {
        if (i == first && last > first) {
            N(filter_same)(x + start[i], y + i, last - first, weight + i * taps, taps);
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
        N(filter_wide)((const T *)job->launch->buf[0] + (o * g->n + (size_t)start[i]) * g->inner, (T *)job->launch->buf[1] + r * g->inner,
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

/* ---- Colour ---- */
INLINE T N(colour_cut)(T x, T most) { return x < 0 ? 0 : x > most ? most : x; }
INLINE T N(colour_grey)(T r, T g, T b) { return (T)0.2989 * r + (T)0.587 * g + (T)0.114 * b; }

/* x = by x + (1 - by) other, of n pixels; other: one number, or NULL and the grey of each pixel */
static void N(colour_blend)(T (*x)[COLOUR_STAGE], size_t channels, size_t n, T by, const T *other, T most) {
    if (other) {
        for (size_t c = 0; c < channels; c++)
            for (size_t j = 0; j < n; j++) x[c][j] = N(colour_cut)(by * x[c][j] + (1 - by) * *other, most);
        return;
    }
    for (size_t j = 0; j < n; j++) {
        const T rest = (1 - by) * N(colour_grey)(x[0][j], x[1][j], x[2][j]);
        for (size_t c = 0; c < 3; c++) x[c][j] = N(colour_cut)(by * x[c][j] + rest, most);
    }
}

/* The share of hue `turn` sixths of a circle away: 0, 1, and the slopes between */
INLINE T N(hue_share)(T turn) {
    const T k = turn >= 6 ? turn - 6 : turn, a = k < 4 - k ? k : 4 - k, b = a < 1 ? a : 1;
    return b > 0 ? b : 0;
}

/* The hue turned by `by` circles, -0.5 .. 0.5 (HSV: value and saturation stay) */
static void N(colour_hue)(T (*x)[COLOUR_STAGE], size_t n, T by, T most) {
    for (size_t j = 0; j < n; j++) {
        const T r = x[0][j], g = x[1][j], b = x[2][j];
        const T high = r > g ? (r > b ? r : b) : (g > b ? g : b), low = r < g ? (r < b ? r : b) : (g < b ? g : b);
        const T chroma = high - low, scale = chroma > 0 ? 1 / chroma : 0;
        T h = high == r ? (g - b) * scale : high == g ? (b - r) * scale + 2 : (r - g) * scale + 4;
        h = h + 6 * by;
        h = h < 0 ? h + 6 : h;
        h = h < 0 ? h + 6 : h;
        h = h >= 6 ? h - 6 : h;
        x[0][j] = N(colour_cut)(high - chroma * N(hue_share)(h + 5), most);
        x[1][j] = N(colour_cut)(high - chroma * N(hue_share)(h + 3), most);
        x[2][j] = N(colour_cut)(high - chroma * N(hue_share)(h + 1), most);
    }
}

static void N(colour_step)(T (*x)[COLOUR_STAGE], size_t channels, size_t n, const double *step, T mean, T most) {
    const T by = (T)step[1], black = 0;
    switch ((int)step[0]) {
    case COLOUR_BRIGHTNESS: N(colour_blend)(x, channels, n, by, &black, most); break;
    case COLOUR_CONTRAST: N(colour_blend)(x, channels, n, by, &mean, most); break;
    case COLOUR_SATURATION:
        if (channels == 3) N(colour_blend)(x, channels, n, by, NULL, most);
        break;
    case COLOUR_HUE:
        if (channels == 3) N(colour_hue)(x, n, by, most);
        break;
    default: break;
    }
}

/* Runs the first `steps` of image o. y NULL: returns the mean of the grey that comes out. */
static double N(colour_run)(const pd_launch *launch, size_t o, size_t steps, const T *mean, T *y) {
    const pd_lines *g = &launch->lines;
    const T *x = (const T *)launch->buf[0] + o * g->n * g->inner, most = (T)launch->scalar[1];
    const double *program = (const double *)launch->buf[2] + o * (size_t)launch->scalar[0] * 2;
    T stage[3][COLOUR_STAGE];
    double total = 0;
    for (size_t j = 0; j < g->inner; j += COLOUR_STAGE) {
        const size_t n = min_size(COLOUR_STAGE, g->inner - j);
        for (size_t c = 0; c < g->n; c++) memcpy(stage[c], x + c * g->inner + j, n * sizeof(T));
        for (size_t s = 0; s < steps; s++) N(colour_step)(stage, g->n, n, program + 2 * s, mean[s], most);
        if (y) {
            for (size_t c = 0; c < g->n; c++) memcpy(y + c * g->inner + j, stage[c], n * sizeof(T));
            continue;
        }
        T sum = 0;
        for (size_t k = 0; k < n; k++) sum += g->n == 3 ? N(colour_grey)(stage[0][k], stage[1][k], stage[2][k]) : stage[0][k];
        total += (double)sum;
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
