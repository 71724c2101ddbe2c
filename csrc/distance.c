/* Distances of all pairs of rows: x (batch, m, k), z (batch, n, k) -> y (batch, m, n), all contiguous; launch->gemm holds
 * m, n, k and batch[0], scalar[0] the norm's p (0, 1, 2, infinity or any other positive number).
 *   distance_fwd  y_ij = (sum_c |x_ic - z_jc|^p)^(1/p);   p = 0: how many differ;  p = infinity: the largest
 *                 scalar[1]: of j > i alone, one after another: y (batch, m (m - 1) / 2), m == n
 *   distance_bwd  d_ic = sum_j w_ij f(x_ic - z_jc), f(t) = sign(t) |t|^(p - 1), 0 at 0;  p = infinity: sign(t) where |t| = y_ij
 * Letters: i rows of x, j rows of z, c columns. A tile is DIST_ROWS rows by one vector; sums run along c (forward) or j
 * (backward) in order, so that the bits depend on nothing else. bench: cdist. */
#ifndef DIST_ONCE
#define DIST_ONCE
enum { DIST_ROWS = 6, DIST_DEPTH = 256, DIST_BLOCK = 96, DIST_ALONE = 1 << 15 };
typedef enum dist_norm { DIST_COUNT, DIST_ONE, DIST_TWO, DIST_MOST, DIST_POWER } dist_norm;

static UNUSED dist_norm dist_norm_of(double p) {
    return p == 0 ? DIST_COUNT : p == 1 ? DIST_ONE : p == 2 ? DIST_TWO : isinf(p) ? DIST_MOST : DIST_POWER;
}
#endif

typedef struct N(dist_job) {
    const pd_launch *launch;
    void (*unit)(const struct N(dist_job) *job, size_t b, size_t first, size_t last, size_t panel);
    size_t blocks, panels; /* of rows, of vectors of columns */
    T p;
} N(dist_job);

/* A function of its own: in line in every tile it would be most of the code. */
static __attribute__((noinline)) vreal N(dist_pow)(vreal x, vreal y) { return v_pow(x, y); }

INLINE vreal N(dist_add)(dist_norm norm, vreal sum, vreal t, vreal p) {
    switch (norm) {
    case DIST_COUNT: return sum + v_blend(t == 0, v_set(0), v_set(1));
    case DIST_ONE: return sum + v_abs(t);
    case DIST_TWO: return v_fma(t, t, sum);
    case DIST_MOST: return v_max(sum, v_abs(t));
    default: return sum + N(dist_pow)(v_abs(t), p);
    }
}

/* Where row i of a panel lies in y, and how many of its first lanes do not. */
INLINE T *N(dist_place)(T *y, const N(dist_job) *job, size_t i, size_t panel, size_t *skip) {
    const ptrdiff_t at = (ptrdiff_t)(i * job->launch->gemm.n + panel * VL);
    *skip = 0;
    if (job->launch->scalar[1] == 0) return y + at;
    if (i >= panel * VL) *skip = i + 1 - panel * VL;
    return y + (at - (ptrdiff_t)((i + 1) * (i + 2) / 2));
}

/* Lanes skip .. width of a vector in y; what comes before is not y's. */
INLINE vreal N(dist_get)(const T *y, size_t skip, size_t width) {
    T lanes[VL] = {0};
    if (skip == 0) return v_load_left(y, width);
    for (size_t j = skip; j < width; j++) lanes[j] = y[j];
    return v_load(lanes);
}

INLINE void N(dist_put)(T *y, vreal value, size_t skip, size_t width) {
    T lanes[VL];
    if (skip == 0) {
        v_store_left(y, value, width);
        return;
    }
    v_store(lanes, value);
    for (size_t j = skip; j < width; j++) y[j] = lanes[j];
}

/* Rows first .. last of x against one panel of VL rows of z, which is packed column by column. */
INLINE void N(dist_panel)(dist_norm norm, const N(dist_job) *job, size_t b, size_t first, size_t last, size_t panel) {
    const pd_gemm *g = &job->launch->gemm;
    const T *x = (const T *)job->launch->buf[0] + b * g->m * g->k, *z = (const T *)job->launch->buf[1] + b * g->n * g->k;
    const int half = job->launch->scalar[1] != 0;
    T *y = (T *)job->launch->buf[3] + b * (half ? g->m * (g->m - 1) / 2 : g->m * g->n);
    const size_t width = min_size(VL, g->n - panel * VL);
    if (half) last = min_size(last, panel * VL + width - 1); /* no j > i below */
    const vreal p = v_set(job->p), root = v_set(1 / job->p);
    _Alignas(64) T packed[DIST_DEPTH * VL];
    if (width < VL) memset(packed, 0, sizeof packed);
    for (size_t c = 0; c == 0 || c < g->k; c += DIST_DEPTH) {
        const size_t depth = min_size(DIST_DEPTH, g->k - c);
        for (size_t j = 0; j < width; j++)
            for (size_t d = 0; d < depth; d++) packed[d * VL + j] = z[(panel * VL + j) * g->k + c + d];
        for (size_t i = first; i < last; i += DIST_ROWS) {
            const size_t rows = min_size(DIST_ROWS, last - i);
            const T *row[DIST_ROWS];
            size_t skip;
            vreal sum[DIST_ROWS];
            V_UNROLL
            for (size_t r = 0; r < DIST_ROWS; r++) {
                row[r] = x + min_size(i + r, last - 1) * g->k + c;
                sum[r] = v_set(0);
            }
            for (size_t r = 0; c && r < rows; r++) {
                const T *from = N(dist_place)(y, job, i + r, panel, &skip);
                sum[r] = N(dist_get)(from, skip, width);
            }
            for (size_t d = 0; d < depth; d++) {
                const vreal other = v_load(packed + d * VL);
                V_UNROLL
                for (size_t r = 0; r < DIST_ROWS; r++) sum[r] = N(dist_add)(norm, sum[r], v_set(row[r][d]) - other, p);
            }
            V_UNROLL
            for (size_t r = 0; r < DIST_ROWS; r++) {
                vreal value = sum[r];
                if (c + depth == g->k) value = norm == DIST_TWO ? v_sqrt(value) : norm == DIST_POWER ? N(dist_pow)(value, root) : value;
                if (r < rows) {
                    T *to = N(dist_place)(y, job, i + r, panel, &skip);
                    N(dist_put)(to, value, skip, width);
                }
            }
        }
    }
}

INLINE vreal N(dist_slope)(dist_norm norm, vreal t, vreal y, vreal less) {
    const vreal zero = v_set(0), sign = v_blend(t > 0, v_set(1), v_blend(t < 0, v_set(-1), zero));
    switch (norm) {
    case DIST_ONE: return sign;
    case DIST_TWO: return t;
    case DIST_MOST: return v_blend(v_abs(t) == y, sign, zero);
    default: return v_blend(t == 0, zero, sign * N(dist_pow)(v_abs(t), less));
    }
}

/* Rows first .. last of d, one vector of columns. */
INLINE void N(dist_columns)(dist_norm norm, const N(dist_job) *job, size_t b, size_t first, size_t last, size_t panel) {
    const pd_gemm *g = &job->launch->gemm;
    const T *w = (const T *)job->launch->buf[0] + b * g->m * g->n, *y = (const T *)job->launch->buf[3] + b * g->m * g->n;
    const T *x = (const T *)job->launch->buf[1] + b * g->m * g->k + panel * VL;
    const T *z = (const T *)job->launch->buf[2] + b * g->n * g->k + panel * VL;
    T *d = (T *)job->launch->buf[4] + b * g->m * g->k + panel * VL;
    const size_t width = g->k - panel * VL;
    const vreal less = v_set(job->p - 1);
    for (size_t i = first; i < last; i += DIST_ROWS) {
        const size_t rows = min_size(DIST_ROWS, last - i);
        size_t at[DIST_ROWS];
        vreal own[DIST_ROWS], sum[DIST_ROWS];
        V_UNROLL
        for (size_t r = 0; r < DIST_ROWS; r++) {
            at[r] = min_size(i + r, last - 1) * g->n;
            own[r] = v_load_left(x + min_size(i + r, last - 1) * g->k, width);
            sum[r] = v_set(0);
        }
        for (size_t j = 0; j < g->n; j++) {
            const vreal other = v_load_left(z + j * g->k, width);
            V_UNROLL
            for (size_t r = 0; r < DIST_ROWS; r++) {
                const vreal far = norm == DIST_MOST ? v_set(y[at[r] + j]) : other;
                sum[r] = v_fma(v_set(w[at[r] + j]), N(dist_slope)(norm, own[r] - other, far, less), sum[r]);
            }
        }
        for (size_t r = 0; r < rows; r++) v_store_left(d + (i + r) * g->k, sum[r], width);
    }
}

#define DIST_UNIT(name, body, norm)                                                                          \
    static void N(name)(const N(dist_job) *job, size_t b, size_t first, size_t last, size_t panel) {         \
        N(body)(norm, job, b, first, last, panel);                                                           \
    }
DIST_UNIT(dist_count, dist_panel, DIST_COUNT)
DIST_UNIT(dist_one, dist_panel, DIST_ONE)
DIST_UNIT(dist_two, dist_panel, DIST_TWO)
DIST_UNIT(dist_most, dist_panel, DIST_MOST)
DIST_UNIT(dist_power, dist_panel, DIST_POWER)
DIST_UNIT(dist_one_slope, dist_columns, DIST_ONE)
DIST_UNIT(dist_two_slope, dist_columns, DIST_TWO)
DIST_UNIT(dist_most_slope, dist_columns, DIST_MOST)
DIST_UNIT(dist_power_slope, dist_columns, DIST_POWER)
#undef DIST_UNIT

static void N(dist_chunk)(void *context, size_t chunk) {
    const N(dist_job) *job = context;
    const size_t panel = chunk % job->panels, block = chunk / job->panels % job->blocks, first = block * DIST_BLOCK;
    job->unit(job, chunk / job->panels / job->blocks, first, min_size(first + DIST_BLOCK, job->launch->gemm.m), panel);
}

static void N(dist_run)(N(dist_job) *job, size_t columns) {
    const pd_gemm *g = &job->launch->gemm;
    job->blocks = ceil_div(g->m, DIST_BLOCK);
    job->panels = ceil_div(columns, VL);
    job->p = (T)job->launch->scalar[0];
    const size_t chunks = g->batch[0] * job->blocks * job->panels;
    if (chunks > 1 && (double)g->batch[0] * (double)g->m * (double)g->n * (double)g->k >= DIST_ALONE)
        pd_parallel(chunks, N(dist_chunk), job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(dist_chunk)(job, chunk);
}

static void N(distance_fwd)(const pd_launch *launch) {
    static void (*const units[])(const N(dist_job) *, size_t, size_t, size_t, size_t) = {
        N(dist_count), N(dist_one), N(dist_two), N(dist_most), N(dist_power)};
    N(dist_job) job = {.launch = launch, .unit = units[dist_norm_of(launch->scalar[0])]};
    N(dist_run)(&job, launch->gemm.n);
}

static void N(distance_bwd)(const pd_launch *launch) {
    static void (*const units[])(const N(dist_job) *, size_t, size_t, size_t, size_t) = {
        NULL, N(dist_one_slope), N(dist_two_slope), N(dist_most_slope), N(dist_power_slope)};
    N(dist_job) job = {.launch = launch, .unit = units[dist_norm_of(launch->scalar[0])]};
    N(dist_run)(&job, launch->gemm.k);
}
