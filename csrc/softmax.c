/* softmax and log_softmax along lines: x (outer, n, inner) -> y of the same shape; see pd_lines.
 *   softmax       y = exp(x - max) / sum(exp(x - max))          dx = y (dy - sum(dy y))
 *   log_softmax   y = x - max - log(sum(exp(x - max)))          dx = dy - exp(y) sum(dy)
 * A line of -inf, or with inf or NaN, gives NaN. float32: y within 4 ulp, log_softmax within 2 ulp of max(|x|, |y|).
 * inner = 1: a line fills the vectors; else SOFTMAX_WIDTH neighbouring lines do. Sums: every lane adds its elements
 * of SOFTMAX_RUN vectors, then these sums, then the lanes are merged by halves. */
#ifndef SOFTMAX_ONCE
#define SOFTMAX_ONCE
enum { SOFTMAX_WIDTH = 64, SOFTMAX_RUN = 64, SOFTMAX_UNIT = 1 << 13, SOFTMAX_ALONE = 1 << 15 };
#endif

/* ---- Rows: contiguous lines ---- */

/* exp(x) for x <= 0, without steps against overflow: 1.0 ulp, 0 where the result would be subnormal, NaN of NaN */
INLINE vreal N(exp_below)(vreal x) {
    const vreal low = v_set((real)(-0.693147180559945 * (EXP_BIAS - 1)));
    vuint n;
    const vreal r = v_exp_reduce(v_at_least(x, low), EXP_BIAS, &n), power = (vreal)(n << MANTISSA);
    return v_keep(~(x < low), v_fma(v_expm1_small(r), power, power));
}

/* Sum of exp(x - m); where y is given, y = exp(x - m) */
INLINE T N(row_exp)(const T *x, T *y, size_t n, T m) {
    vreal total = v_set(0);
    for (size_t i = 0; i < n;) {
        const size_t end = min_size(n, i + SOFTMAX_RUN * VL);
        vreal sum = v_set(0);
        for (; i + VL <= end; i += VL) {
            const vreal e = N(exp_below)(v_load(x + i) - v_set(m));
            if (y) v_store(y + i, e);
            sum += e;
        }
        if (i < end) {
            const vreal e = N(exp_below)(v_load_part(x + i, end - i) - v_set(m));
            if (y) v_store_part(y + i, e, end - i);
            sum += v_keep(N(first_lanes)(end - i), e);
            i = end;
        }
        total += sum;
    }
    return N(merge_lanes)(N(plus_v), total);
}

/* ---- Short rows, n <= 4 VL, in registers: count = ceil(n / VL) vectors, the last one ends with the row and may overlap
 * the one before it (a masked store is slow on some machines). ---- */
typedef struct N(few) {
    vreal shifted[4], e[4]; /* x - max and its exponential */
    T max, sum;
} N(few);

INLINE void N(few_exp)(const T *x, size_t n, const size_t count, N(few) *row) {
    vreal v[4], most, sum = v_set(0);
    const vint fresh = ~N(first_lanes)(count * VL - n), short_row = N(first_lanes)(min_size(n, VL));
    for (size_t j = 0; j + 1 < count; j++) v[j] = v_load(x + j * VL);
    v[count - 1] = n >= VL ? v_load(x + n - VL) : v_blend(short_row, v_load_part(x, n), v_set(-(T)INFINITY));
    most = v[0];
    for (size_t j = 1; j < count; j++) most = v_max(most, v[j]);
    row->max = N(merge_lanes)(N(larger_v), most);
    for (size_t j = 0; j < count; j++) {
        row->shifted[j] = v[j] - v_set(row->max);
        row->e[j] = N(exp_below)(row->shifted[j]);
        sum += j + 1 < count ? row->e[j] : v_keep(n >= VL ? fresh : short_row, row->e[j]);
    }
    row->sum = N(merge_lanes)(N(plus_v), sum);
}

INLINE void N(few_store)(T *y, size_t n, const size_t count, const vreal *v) {
    for (size_t j = 0; j + 1 < count; j++) v_store(y + j * VL, v[j]);
    if (n >= VL) v_store(y + n - VL, v[count - 1]);
    else {
        T last[VL];
        v_store(last, v[0]);
        for (size_t i = 0; i < n; i++) y[i] = last[i];
    }
}

/* log of one number, by the vector's log */
INLINE T N(log_one)(T x) { return v_log(v_set(x))[0]; }

INLINE void N(softmax_few)(const T *x, T *y, size_t n, const size_t count, int logarithm) {
    N(few) row;
    N(few_exp)(x, n, count, &row);
    const vreal by = v_set(logarithm ? N(log_one)(row.sum) : 1 / row.sum);
    for (size_t j = 0; j < count; j++) row.e[j] = logarithm ? row.shifted[j] - by : row.e[j] * by;
    N(few_store)(y, n, count, row.e);
}

static void N(softmax_row)(const T *x, T *y, size_t n) {
    if (n <= VL) N(softmax_few)(x, y, n, 1, 0);
    else if (n <= 2 * VL) N(softmax_few)(x, y, n, 2, 0);
    else if (n <= 3 * VL) N(softmax_few)(x, y, n, 3, 0);
    else if (n <= 4 * VL) N(softmax_few)(x, y, n, 4, 0);
    else {
        const vreal scale = v_set(1 / N(row_exp)(x, y, n, N(row_max)(x, n)));
        for (size_t i = 0; i < n; i += VL) v_store_left(y + i, v_load_left(y + i, n - i) * scale, n - i);
    }
}

static void N(log_softmax_row)(const T *x, T *y, size_t n) {
    if (n <= VL) N(softmax_few)(x, y, n, 1, 1);
    else if (n <= 2 * VL) N(softmax_few)(x, y, n, 2, 1);
    else if (n <= 3 * VL) N(softmax_few)(x, y, n, 3, 1);
    else if (n <= 4 * VL) N(softmax_few)(x, y, n, 4, 1);
    else {
        const T m = N(row_max)(x, n);
        const vreal log_sum = v_set(N(log_one)(N(row_exp)(x, NULL, n, m)));
        for (size_t i = 0; i < n; i += VL) v_store_left(y + i, v_load_left(x + i, n - i) - v_set(m) - log_sum, n - i);
    }
}

/* Sum of a, or of a b where b is given */
INLINE T N(row_sum)(const T *a, const T *b, size_t n) {
    vreal total = v_set(0);
    for (size_t i = 0; i < n;) {
        const size_t end = min_size(n, i + SOFTMAX_RUN * VL);
        vreal sum = v_set(0);
        for (; i < end; i += VL) {
            const vreal x = v_load_left(a + i, end - i);
            sum = b ? v_fma(x, v_load_left(b + i, end - i), sum) : sum + x;
        }
        total += sum;
    }
    return N(merge_lanes)(N(plus_v), total);
}

static void N(softmax_bwd_row)(const T *dy, const T *y, T *dx, size_t n) {
    const vreal sum = v_set(N(row_sum)(dy, y, n));
    for (size_t i = 0; i < n; i += VL)
        v_store_left(dx + i, v_load_left(y + i, n - i) * (v_load_left(dy + i, n - i) - sum), n - i);
}

static void N(log_softmax_bwd_row)(const T *dy, const T *y, T *dx, size_t n) {
    const vreal sum = v_set(-N(row_sum)(dy, NULL, n));
    for (size_t i = 0; i < n; i += VL)
        v_store_left(dx + i, v_fma(v_exp(v_load_left(y + i, n - i)), sum, v_load_left(dy + i, n - i)), n - i);
}

/* ---- Columns: w <= SOFTMAX_WIDTH neighbouring lines, their elements `step` apart ---- */

/* m = largest, s = sum of exp(x - m), which is kept in y where that is given */
static void N(columns_exp)(const T *x, T *y, size_t n, size_t step, size_t w, T *m, T *s) {
    for (size_t c = 0; c < w; c++) m[c] = -(T)INFINITY, s[c] = 0;
    for (size_t k = 0; k < n; k++) {
        const T *row = x + k * step;
        N(amax_onto)(w, 1, m, &row, NULL, 0);
    }
    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < w; c += VL) {
            const size_t left = w - c;
            const vreal e = N(exp_below)(v_load_left(x + k * step + c, left) - v_load_left(m + c, left));
            if (y) v_store_left(y + k * step + c, e, left);
            v_store_left(s + c, v_load_left(s + c, left) + e, left);
        }
}

static void N(softmax_columns)(const T *x, T *y, size_t n, size_t step, size_t w) {
    T m[SOFTMAX_WIDTH], s[SOFTMAX_WIDTH];
    N(columns_exp)(x, y, n, step, w, m, s);
    for (size_t c = 0; c < w; c++) s[c] = 1 / s[c];
    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < w; c += VL) {
            T *at = y + k * step + c;
            v_store_left(at, v_load_left(at, w - c) * v_load_left(s + c, w - c), w - c);
        }
}

static void N(log_softmax_columns)(const T *x, T *y, size_t n, size_t step, size_t w) {
    T m[SOFTMAX_WIDTH], s[SOFTMAX_WIDTH];
    N(columns_exp)(x, NULL, n, step, w, m, s);
    for (size_t c = 0; c < w; c += VL) v_store_left(s + c, v_log(v_load_left(s + c, w - c)), w - c);
    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < w; c += VL) {
            const size_t left = w - c;
            const vreal shifted = v_load_left(x + k * step + c, left) - v_load_left(m + c, left);
            v_store_left(y + k * step + c, shifted - v_load_left(s + c, left), left);
        }
}

static void N(softmax_bwd_columns)(const T *dy, const T *y, T *dx, size_t n, size_t step, size_t w) {
    for (size_t c = 0; c < w; c += VL) {
        const size_t left = w - c;
        vreal sum = v_set(0);
        for (size_t k = c; k < n * step; k += step) sum = v_fma(v_load_left(dy + k, left), v_load_left(y + k, left), sum);
        for (size_t k = c; k < n * step; k += step)
            v_store_left(dx + k, v_load_left(y + k, left) * (v_load_left(dy + k, left) - sum), left);
    }
}

static void N(log_softmax_bwd_columns)(const T *dy, const T *y, T *dx, size_t n, size_t step, size_t w) {
    for (size_t c = 0; c < w; c += VL) {
        const size_t left = w - c;
        vreal sum = v_set(0);
        for (size_t k = c; k < n * step; k += step) sum += v_load_left(dy + k, left);
        for (size_t k = c; k < n * step; k += step)
            v_store_left(dx + k, v_fma(v_exp(v_load_left(y + k, left)), v_neg(sum), v_load_left(dy + k, left)), left);
    }
}

/* ---- Lines in chunks ---- */
typedef struct N(softmax_job) {
    const pd_launch *launch;
    void (*row)(const T *x, T *y, size_t n);
    void (*columns)(const T *x, T *y, size_t n, size_t step, size_t w);
    void (*row_back)(const T *dy, const T *y, T *dx, size_t n);
    void (*columns_back)(const T *dy, const T *y, T *dx, size_t n, size_t step, size_t w);
    size_t tiles, tiles_per_chunk;
} N(softmax_job);

static void N(softmax_chunk)(void *context, size_t chunk) {
    const N(softmax_job) *job = context;
    const pd_lines *g = &job->launch->lines;
    const size_t first = chunk * job->tiles_per_chunk, last = min_size(first + job->tiles_per_chunk, job->tiles);
    const size_t pieces = ceil_div(g->inner, SOFTMAX_WIDTH);
    const T *a = job->launch->buf[0], *b = job->launch->buf[1];
    T *forward = job->launch->buf[1], *backward = job->launch->buf[2];
    for (size_t tile = first; tile < last; tile++) {
        const size_t c = tile % pieces * SOFTMAX_WIDTH, at = tile / pieces * g->n * g->inner + c;
        const size_t w = min_size(SOFTMAX_WIDTH, g->inner - c);
        if (job->row) {
            if (g->inner == 1) job->row(a + at, forward + at, g->n);
            else job->columns(a + at, forward + at, g->n, g->inner, w);
        } else {
            if (g->inner == 1) job->row_back(a + at, b + at, backward + at, g->n);
            else job->columns_back(a + at, b + at, backward + at, g->n, g->inner, w);
        }
    }
}

static void N(softmax_run)(N(softmax_job) *job) {
    const pd_lines *g = &job->launch->lines;
    const size_t total = g->outer * g->n * g->inner;
    if (total == 0) return;
    job->tiles = g->outer * ceil_div(g->inner, SOFTMAX_WIDTH);
    job->tiles_per_chunk = max_size(1, SOFTMAX_UNIT / (g->n * min_size(g->inner, SOFTMAX_WIDTH)));
    const size_t chunks = ceil_div(job->tiles, job->tiles_per_chunk);
    if (chunks > 1 && total >= SOFTMAX_ALONE) pd_parallel(chunks, N(softmax_chunk), job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(softmax_chunk)(job, chunk);
}

/* x -> y */
static void N(softmax_fwd)(const pd_launch *launch) {
    N(softmax_job) job = {.launch = launch, .row = N(softmax_row), .columns = N(softmax_columns)};
    N(softmax_run)(&job);
}
static void N(log_softmax_fwd)(const pd_launch *launch) {
    N(softmax_job) job = {.launch = launch, .row = N(log_softmax_row), .columns = N(log_softmax_columns)};
    N(softmax_run)(&job);
}
/* dy, y -> dx */
static void N(softmax_bwd)(const pd_launch *launch) {
    N(softmax_job) job = {.launch = launch, .row_back = N(softmax_bwd_row), .columns_back = N(softmax_bwd_columns)};
    N(softmax_run)(&job);
}
static void N(log_softmax_bwd)(const pd_launch *launch) {
    N(softmax_job) job = {.launch = launch, .row_back = N(log_softmax_bwd_row), .columns_back = N(log_softmax_bwd_columns)};
    N(softmax_run)(&job);
}
