/* Running sums and products along a line: x (outer, n, inner) -> y of the same shape; scalar[0]: from the end.
 *   cumsum        y_k = x_0 + ... + x_k              (float32 adds in float64; integers give int64)
 *   cumprod       y_k = x_0 * ... * x_k              (likewise)
 *   prod_before   y_k = x_0 * ... * x_(k-1), y_0 = 1 (scalar[0]: the product of what comes after k)
 *   recurrence    y_0 = 0, y_k = a_(k-1) + b_(k-1) y_(k-1); what the derivatives of products are made of
 * SCAN_WIDTH neighbouring lines run side by side; a line is walked in order, so that its bits depend on nothing else. */
#ifndef SCAN_ONCE
#define SCAN_ONCE
enum { SCAN_WIDTH = 16, SCAN_UNIT = 1 << 15 };
#endif

/* What is carried along, and the type of the result */
#if PD_REAL
#define carry_t double
#define scan_t T
#else
#define carry_t uint64_t
#define scan_t int64_t
#endif

typedef struct N(scan_job) {
    const pd_launch *launch;
    void (*lines)(const pd_launch *launch, size_t at, size_t w, ptrdiff_t next, ptrdiff_t apart);
    size_t tiles, tiles_per_chunk;
} N(scan_job);

static void N(scan_chunk)(void *context, size_t chunk) {
    const N(scan_job) *job = context;
    const pd_lines *g = &job->launch->lines;
    const int back = job->launch->scalar[0] != 0;
    const size_t first = chunk * job->tiles_per_chunk, last = min_size(first + job->tiles_per_chunk, job->tiles);
    const ptrdiff_t step = (ptrdiff_t)g->inner;
    for (size_t tile = first; tile < last; tile++) {
        size_t at, w;
        if (g->inner == 1) {
            at = tile * SCAN_WIDTH * g->n;
            w = min_size(SCAN_WIDTH, g->outer - tile * SCAN_WIDTH);
        } else {
            const size_t pieces = ceil_div(g->inner, SCAN_WIDTH), c = tile % pieces * SCAN_WIDTH;
            at = tile / pieces * g->n * g->inner + c;
            w = min_size(SCAN_WIDTH, g->inner - c);
        }
        if (back) at += (g->n - 1) * g->inner;
        job->lines(job->launch, at, w, back ? -step : step, g->inner == 1 ? (ptrdiff_t)g->n : 1);
    }
}

static void N(scan_run)(const pd_launch *launch,
                        void (*lines)(const pd_launch *launch, size_t at, size_t w, ptrdiff_t next, ptrdiff_t apart)) {
    const pd_lines *g = &launch->lines;
    if (g->outer * g->n * g->inner == 0) return;
    const size_t tiles = g->inner == 1 ? ceil_div(g->outer, SCAN_WIDTH) : g->outer * ceil_div(g->inner, SCAN_WIDTH);
    N(scan_job) job = {launch, lines, tiles, max_size(1, SCAN_UNIT / (g->n * SCAN_WIDTH))};
    const size_t chunks = ceil_div(tiles, job.tiles_per_chunk);
    if (chunks > 1 && g->outer * g->n * g->inner >= 2 * SCAN_UNIT) pd_parallel(chunks, N(scan_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(scan_chunk)(&job, chunk);
}

/* w lines from element `at`: neighbours of a line lie `next` apart, the lines `apart`. */
#define SCAN(name, start, before, step)                                                                      \
    INLINE void N(name##_walk)(const T *x, scan_t *y, size_t n, size_t w, ptrdiff_t next, ptrdiff_t apart) { \
        carry_t carry[SCAN_WIDTH];                                                                           \
        for (size_t c = 0; c < w; c++) carry[c] = start;                                                     \
        for (size_t k = 0; k < n; k++, x += next, y += next)                                                 \
            for (size_t c = 0; c < w; c++) {                                                                 \
                const carry_t a = carry[c], b = (carry_t)x[(ptrdiff_t)c * apart];                            \
                carry[c] = (step);                                                                           \
                y[(ptrdiff_t)c * apart] = (scan_t)(before ? a : carry[c]);                                   \
            }                                                                                                \
    }                                                                                                        \
    static void N(name##_lines)(const pd_launch *launch, size_t at, size_t w, ptrdiff_t next, ptrdiff_t apart) { \
        const T *x = (const T *)launch->buf[0] + at;                                                         \
        scan_t *y = (scan_t *)launch->buf[1] + at;                                                           \
        const size_t n = launch->lines.n;                                                                    \
        if (w == 1) N(name##_walk)(x, y, n, 1, next, apart);                                                 \
        else if (w == SCAN_WIDTH && apart == 1) N(name##_walk)(x, y, n, SCAN_WIDTH, next, 1);                \
        else N(name##_walk)(x, y, n, w, next, apart);                                                        \
    }                                                                                                        \
    static void N(name)(const pd_launch *launch) { N(scan_run)(launch, N(name##_lines)); }

SCAN(cumsum, 0, 0, a + b)
SCAN(cumprod, 1, 0, a * b)

#if PD_REAL
SCAN(prod_before, 1, 1, a * b)

static void N(recurrence_lines)(const pd_launch *launch, size_t at, size_t w, ptrdiff_t next, ptrdiff_t apart) {
    const T *a = (const T *)launch->buf[0] + at, *b = (const T *)launch->buf[1] + at;
    T *y = (T *)launch->buf[2] + at;
    double carry[SCAN_WIDTH] = {0};
    for (size_t k = 0; k < launch->lines.n; k++, a += next, b += next, y += next)
        for (size_t c = 0; c < w; c++) {
            const ptrdiff_t i = (ptrdiff_t)c * apart;
            y[i] = (T)carry[c];
            carry[c] = (double)a[i] + (double)b[i] * carry[c];
        }
}
static void N(recurrence)(const pd_launch *launch) { N(scan_run)(launch, N(recurrence_lines)); }
#endif

#undef SCAN
#undef carry_t
#undef scan_t
