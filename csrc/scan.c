/* Running sums and products along a line: x (outer, n, inner) -> y of the same shape; scalar[0]: from the end.
 *   cumsum        y_k = x_0 + ... + x_k              (float32 adds in float64; integers give int64)
 *   cumprod       y_k = x_0 * ... * x_k              (likewise)
 *   prod_before   y_k = x_0 * ... * x_(k-1), y_0 = 1 (scalar[0]: the product of what comes after k)
 *   recurrence    y_0 = 0, y_k = a_(k-1) + b_(k-1) y_(k-1); what the derivatives of products are made of
 *   cummax        the largest of x_0 ... x_k (scalar[1]: the smallest) and where it is: the last of equal ones, of NaN the last
 *   logcumsumexp  y_k = log(e^x_0 + ... + e^x_k)
 * SCAN_WIDTH neighbouring lines run side by side (SCAN_SIDE where they are not next to each other in memory); a line is walked in order, so that its bits depend on nothing else. */
#ifndef SCAN_ONCE
#define SCAN_ONCE
enum { SCAN_WIDTH = 16, SCAN_SIDE = 8, SCAN_UNIT = 1 << 15, SCAN_BLOCK = 64, SCAN_STEADY = 16 };
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
            _Pragma("GCC unroll 8") for (size_t c = 0; c < w; c++) {                                         \
                const carry_t a = carry[c], b = (carry_t)x[(ptrdiff_t)c * apart];                            \
                carry[c] = (step);                                                                           \
                y[(ptrdiff_t)c * apart] = (scan_t)(before ? a : carry[c]);                                   \
            }                                                                                                \
    }                                                                                                        \
    static void N(name##_lines)(const pd_launch *launch, size_t at, size_t w, ptrdiff_t next, ptrdiff_t apart) { \
        const T *x = (const T *)launch->buf[0] + at;                                                         \
        scan_t *y = (scan_t *)launch->buf[1] + at;                                                           \
        const size_t n = launch->lines.n;                                                                    \
        if (w == SCAN_WIDTH && apart == 1) N(name##_walk)(x, y, n, SCAN_WIDTH, next, 1);                \
        else {                                                                                               \
            size_t c = 0;                                                                                    \
            for (; c + SCAN_SIDE <= w; c += SCAN_SIDE, x += SCAN_SIDE * apart, y += SCAN_SIDE * apart)       \
                N(name##_walk)(x, y, n, SCAN_SIDE, next, apart);                                             \
            for (; c < w; c++, x += apart, y += apart) N(name##_walk)(x, y, n, 1, next, apart);              \
        }                                                                                                    \
    }                                                                                                        \
    static void N(name)(const pd_launch *launch) { N(scan_run)(launch, N(name##_lines)); }

SCAN(cumsum, 0, 0, a + b)
SCAN(cumprod, 1, 0, a * b)

/* buf: x, values, indices. SCAN_WIDTH neighbouring columns at once; whatever else, and bytes, line by line. */
#if PD_REAL
#define BETTER(x, best) ((least ? (x) <= (best) : (x) >= (best)) | ((x) != (x)))
#else
#define BETTER(x, best) (least ? (x) <= (best) : (x) >= (best))
#endif
static void N(cummax_line)(const T *x, T *y, int64_t *index, size_t n, ptrdiff_t next, int least) {
    T best = x[0];
    int64_t place = 0;
    for (size_t k = 0, count; k < n; k += count, x += count * next, y += count * next, index += count * next) {
        bits_t better = 0;
        count = min_size(SCAN_STEADY, n - k);
        if (next == 1)
            for (size_t j = 0; j < count; j++) better |= BETTER(x[j], best);
        if (next == 1 && !better) { /* by far the most blocks of a long line */
            for (size_t j = 0; j < count; j++) y[j] = best;
            for (size_t j = 0; j < count; j++) index[j] = place;
            continue;
        }
        for (ptrdiff_t j = 0; j < (ptrdiff_t)count; j++) {
            if (BETTER(x[j * next], best)) best = x[j * next], place = (int64_t)k + j;
            y[j * next] = best, index[j * next] = place;
        }
    }
}
#if BITS > 8
static void N(cummax_columns)(const T *x, T *y, int64_t *index, size_t n, ptrdiff_t next, int least) {
    T best[SCAN_WIDTH];
    bits_t place[SCAN_WIDTH] = {0};
    memcpy(best, x, sizeof best);
    for (size_t k = 0; k < n; k++, x += next, y += next, index += next)
        for (size_t c = 0; c < SCAN_WIDTH; c++) {
            const int better = BETTER(x[c], best[c]);
            best[c] = better ? x[c] : best[c];
            place[c] = better ? (bits_t)k : place[c];
            y[c] = best[c], index[c] = place[c];
        }
}
#endif
static void N(cummax_lines)(const pd_launch *launch, size_t at, size_t w, ptrdiff_t next, ptrdiff_t apart) {
    const T *x = (const T *)launch->buf[0] + at;
    T *y = (T *)launch->buf[1] + at;
    int64_t *index = (int64_t *)launch->buf[2] + at;
    const size_t n = launch->lines.n;
    const int least = launch->scalar[1] != 0;
#if BITS > 8
    if (w == SCAN_WIDTH && apart == 1 && n <= INT32_MAX) {
        N(cummax_columns)(x, y, index, n, next, least);
        return;
    }
#endif
    for (ptrdiff_t c = 0; c < (ptrdiff_t)w; c++) N(cummax_line)(x + c * apart, y + c * apart, index + c * apart, n, next, least);
}
#undef BETTER
static void N(cummax)(const pd_launch *launch) { N(scan_run)(launch, N(cummax_lines)); }

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

/* The largest so far, m, and the sum s of e^(x - m) in double. An x below m adds e^(x - m); one above it makes s e^(m - x) + 1.
 * x (count <= SCAN_BLOCK, one element of each line), far: -|x - m|, y = m + log(s): errors within 3 ulp of max(|m|, |y|). */
static __attribute__((noinline)) void N(lse_step)(const T *x, T *y, size_t count, T *m, double *s) {
    T far[SCAN_BLOCK + VL];
    for (size_t c = 0; c < count; c++) far[c] = x[c] == m[c] ? 0 : x[c] > m[c] ? m[c] - x[c] : x[c] - m[c];
    for (size_t c = 0; c < count; c += VL) v_store(far + c, v_exp(v_load(far + c)));
    for (size_t c = 0; c < count; c++) {
        s[c] = x[c] > m[c] ? s[c] * (double)far[c] + 1 : s[c] + (double)far[c];
        m[c] = x[c] > m[c] ? x[c] : m[c];
        far[c] = (T)s[c];
    }
    for (size_t c = 0; c < count; c += VL) v_store(far + c, v_log(v_load(far + c)));
    for (size_t c = 0; c < count; c++) y[c] = m[c] + far[c];
}

/* One contiguous line, SCAN_BLOCK elements at a time: where the largest grows by little within them, they share its last value. */
static void N(lse_line)(const T *x, T *y, size_t n) {
    T m = -(T)INFINITY;
    double s = 0;
    for (size_t i = 0; i < n; i += SCAN_BLOCK) {
        const size_t count = min_size(SCAN_BLOCK, n - i);
        const T first = x[i] > m ? x[i] : m;
        T top = first, e[SCAN_BLOCK + VL] = {0};
        for (size_t j = i; j < i + count; j++) top = x[j] > top ? x[j] : top;
        if (!(top - first <= 8)) { /* or infinite, or NaN */
            for (size_t j = i; j < i + count; j++) N(lse_step)(x + j, y + j, 1, &m, &s);
            continue;
        }
        e[0] = m - top;
        s *= (double)v_exp(v_load(e))[0];
        m = top;
        for (size_t j = 0; j < count; j++) e[j] = x[i + j] - m;
        for (size_t j = 0; j < count; j += VL) v_store(e + j, v_exp(v_load(e + j)));
        for (size_t j = 0; j < count; j++) e[j] = (T)(s += (double)e[j]);
        for (size_t j = 0; j < count; j += VL) v_store(e + j, v_log(v_load(e + j)));
        for (size_t j = 0; j < count; j++) y[i + j] = m + e[j];
    }
}
static void N(logcumsumexp_lines)(const pd_launch *launch, size_t at, size_t w, ptrdiff_t next, ptrdiff_t apart) {
    const T *x = (const T *)launch->buf[0] + at;
    T *y = (T *)launch->buf[1] + at, m[SCAN_WIDTH];
    double s[SCAN_WIDTH] = {0};
    for (size_t c = 0; c < w; c++) m[c] = -(T)INFINITY;
    if (next == 1)
        for (size_t c = 0; c < w; c++) N(lse_line)(x + (ptrdiff_t)c * apart, y + (ptrdiff_t)c * apart, launch->lines.n);
    else
        for (size_t k = 0; k < launch->lines.n; k++, x += next, y += next) N(lse_step)(x, y, w, m, s);
}
static void N(logcumsumexp)(const pd_launch *launch) { N(scan_run)(launch, N(logcumsumexp_lines)); }
#endif

#undef SCAN
#undef carry_t
#undef scan_t
