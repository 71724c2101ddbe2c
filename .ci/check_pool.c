/* Checks pooling (csrc/pool_*.c), and windows as columns (csrc/fold.c), against sums over windows. */
#include "check.h"

enum { PADDED, INSIDE, ADAPTIVE }; /* as in csrc/pool.h */

typedef struct pool_case {
    size_t planes, in[3], kernel[3], stride[3], dilation[3], pad[3];
    size_t adaptive[3]; /* outputs, or 0 */
} pool_case;
#define ONES {1, 1, 1}
#define NONE {0, 0, 0}

static const pool_case CASES[] = {
    {3, {1, 8, 10}, {1, 2, 2}, {1, 2, 2}, ONES, NONE, NONE},
    {2, {1, 64, 67}, {1, 2, 2}, {1, 2, 2}, ONES, NONE, NONE},
    {33, {1, 5, 7}, {1, 2, 2}, {1, 2, 2}, ONES, NONE, NONE},
    {2, {1, 17, 33}, {1, 3, 3}, {1, 2, 2}, ONES, {0, 1, 1}, NONE},
    {19, {1, 7, 6}, {1, 3, 3}, {1, 2, 2}, ONES, {0, 1, 1}, NONE},
    {2, {1, 20, 70}, {1, 3, 5}, ONES, ONES, {0, 1, 2}, NONE},
    {18, {1, 9, 9}, {1, 9, 9}, ONES, ONES, NONE, NONE},
    {2, {1, 30, 41}, {1, 3, 3}, {1, 3, 3}, {1, 2, 3}, {0, 1, 1}, NONE},
    {17, {1, 12, 11}, {1, 2, 3}, {1, 2, 1}, {1, 3, 2}, {0, 1, 1}, NONE},
    {2, {6, 7, 18}, {2, 3, 2}, {2, 1, 2}, ONES, {1, 1, 1}, NONE},
    {20, {3, 4, 5}, {2, 2, 2}, {1, 2, 3}, ONES, {0, 1, 0}, NONE},
    {3, {1, 1, 1500}, {1, 1, 4}, {1, 1, 2}, ONES, {0, 0, 1}, NONE},
    {2, {1, 1, 2300}, {1, 1, 7}, ONES, ONES, {0, 0, 3}, NONE},
    {2, {1, 1, 300}, {1, 1, 80}, {1, 1, 2}, ONES, {0, 0, 20}, NONE},
    {2, {1, 40, 40}, {1, 16, 16}, {1, 4, 4}, ONES, {0, 8, 8}, NONE},
    {40, {1, 40, 40}, {1, 3, 3}, {1, 2, 2}, ONES, {0, 1, 1}, NONE},
    {3, {1, 16, 24}, {1, 4, 4}, {1, 4, 4}, ONES, NONE, NONE},
    {2, {1, 40, 41}, ONES, ONES, ONES, NONE, {1, 7, 9}},
    {3, {1, 13, 37}, ONES, ONES, ONES, NONE, {1, 5, 7}},
    {35, {1, 6, 7}, ONES, ONES, ONES, NONE, {1, 4, 3}},
    {2, {4, 6, 9}, ONES, ONES, ONES, NONE, {3, 7, 4}},
};
enum { N_CASES = sizeof CASES / sizeof CASES[0] };

static pd_window pool_window(const pool_case *s) {
    pd_window w = {.n = 1, .c = s->planes, .o = s->planes, .groups = 1};
    for (size_t d = 0; d < 3; d++) {
        w.in[d] = s->in[d], w.kernel[d] = s->kernel[d], w.stride[d] = s->stride[d], w.dilation[d] = s->dilation[d], w.pad[d] = s->pad[d];
        w.out[d] = s->adaptive[d] ? s->adaptive[d] : (w.in[d] + 2 * w.pad[d] - w.dilation[d] * (w.kernel[d] - 1) - 1) / w.stride[d] + 1;
    }
    return w;
}

/* Where tap t of output o lies along d, or -1; and how many taps there are */
static ptrdiff_t tap_at(const pd_window *w, int mode, size_t d, size_t o, size_t t) {
    if (mode == ADAPTIVE) return (ptrdiff_t)(o * w->in[d] / w->out[d] + t);
    const ptrdiff_t at = (ptrdiff_t)(o * w->stride[d] + t * w->dilation[d]) - (ptrdiff_t)w->pad[d];
    return at < (ptrdiff_t)w->in[d] ? at : -1;
}
static size_t tap_count(const pd_window *w, int mode, size_t d, size_t o) {
    return mode == ADAPTIVE ? ((o + 1) * w->in[d] + w->out[d] - 1) / w->out[d] - o * w->in[d] / w->out[d] : w->kernel[d];
}

/* The elements of output i of a plane, in the order of the taps -> how many; tap: their numbers; *padded: how many with padding */
static size_t window(const pd_window *w, int mode, size_t i, size_t *at, size_t *tap, size_t *padded) {
    const size_t o[3] = {i / w->out[2] / w->out[1], i / w->out[2] % w->out[1], i % w->out[2]};
    size_t n = 0, counts[3];
    *padded = 1;
    for (size_t d = 0; d < 3; d++) {
        const size_t left = w->in[d] + 2 * w->pad[d] - o[d] * w->stride[d];
        counts[d] = tap_count(w, mode, d, o[d]);
        *padded *= counts[d] < left || mode == ADAPTIVE ? counts[d] : left;
    }
    for (size_t t = 0; t < volume_of(counts); t++) {
        const ptrdiff_t z = tap_at(w, mode, 0, o[0], t / counts[2] / counts[1]), y = tap_at(w, mode, 1, o[1], t / counts[2] % counts[1]);
        const ptrdiff_t x = tap_at(w, mode, 2, o[2], t % counts[2]);
        if (z < 0 || y < 0 || x < 0) continue;
        at[n] = ((size_t)z * w->in[1] + (size_t)y) * w->in[2] + (size_t)x;
        tap[n++] = t;
    }
    return n;
}

/* ---- Averages: forward, and their transpose ---- */

static void check_averages(const pool_case *s, int dtype, int mode, double fixed) {
    const pd_window w = pool_window(s);
    const size_t in = volume_of(w.in), out = volume_of(w.out), planes = s->planes;
    void *x = numbers(dtype, planes * in, -1, 1), *dy = numbers(dtype, planes * out, -1, 1);
    void *y = guarded(planes * out * width(dtype), 0), *dx = guarded(planes * in * width(dtype), 0);
    double *want = calloc(2 * planes * (in + out), sizeof(double)), *scale = want + planes * out, *back = scale + planes * out;
    double *back_scale = back + planes * in;
    size_t *at = malloc(2 * in * sizeof(size_t));
    for (size_t i = 0; i < out; i++) {
        size_t padded;
        const size_t n = window(&w, mode, i, at, at + in, &padded);
        const double by = fixed != 0 ? fixed : mode == PADDED ? (double)padded : (double)n;
        for (size_t p = 0; p < planes; p++)
            for (size_t k = 0; k < n; k++) {
                const double v = get(x, dtype, p * in + at[k]) / by, g = get(dy, dtype, p * out + i) / by;
                want[p * out + i] += v, scale[p * out + i] += fabs(v);
                back[p * in + at[k]] += g, back_scale[p * in + at[k]] += fabs(g);
            }
    }
    pd_launch L = {.buf = {x, y}, .scalar = {fixed, mode}, .window = w};
    launch(PD_avg_pool_fwd, dtype, &L);
    expect_all("avg_pool_fwd", dtype, planes * out, y, want, scale, 16 + sqrt((double)volume_of(w.kernel)));
    L.buf[0] = dy, L.buf[1] = dx;
    launch(PD_avg_pool_bwd, dtype, &L);
    expect_all("avg_pool_bwd", dtype, planes * in, dx, back, back_scale, 16 + sqrt((double)volume_of(w.kernel)));
    RELEASE("avg_pool", x, y, dx, dy);
    free(want), free(at);
}

/* ---- The largest: values, where they were found, and back. `coarse`: many equal elements, some NaN and -inf ---- */

static size_t largest(const void *x, int dtype, size_t first, const size_t *at, size_t n) {
    size_t best = 0;
    for (size_t k = 1; k < n; k++) {
        const double v = get(x, dtype, first + at[k]), most = get(x, dtype, first + at[best]);
        if (v > most || isnan(v)) best = k;
    }
    return best;
}

static void check_largest(const pool_case *s, int dtype, int mode, int coarse) {
    const pd_window w = pool_window(s);
    const size_t in = volume_of(w.in), out = volume_of(w.out), planes = s->planes, bytes = planes * out;
    const int placed = mode != ADAPTIVE && volume_of(w.kernel) <= 256;
    void *x = numbers(dtype, planes * in, -1, 1), *dy = numbers(dtype, bytes, -1, 1), *dx = guarded(planes * in * width(dtype), 0);
    void *y[4], *place[2] = {guarded(bytes, 0), guarded(bytes, 0)}, *index[2] = {guarded(8 * bytes, 0), guarded(8 * bytes, 0)};
    double *back = calloc(2 * planes * in, sizeof(double)), *back_scale = back + planes * in;
    size_t *at = malloc(2 * in * sizeof(size_t));
    for (size_t i = 0; i < planes * in && coarse; i++) {
        const double v = get(x, dtype, i);
        set(x, dtype, i, v > 0.97 ? NAN : v < -0.8 ? -INFINITY : floor(v * 4));
    }
    pd_launch L = {.scalar = {0, mode}, .window = w};
    for (size_t k = 0; k < 4; k++) { /* with places, with indices, with both or neither */
        y[k] = guarded(bytes * width(dtype), 0);
        L.buf[0] = x, L.buf[1] = y[k], L.buf[2] = placed && k % 2 ? place[k / 2] : NULL, L.buf[3] = k > 1 ? index[k % 2] : NULL;
        launch(PD_max_pool_fwd, dtype, &L);
    }
    for (size_t i = 0; i < out; i++) {
        size_t padded;
        const size_t n = window(&w, mode, i, at, at + in, &padded);
        for (size_t p = 0; p < planes; p++) {
            const size_t best = largest(x, dtype, p * in, at, n), o = p * out + i, from = p * in + at[best];
            for (size_t k = 0; k < 4; k++) expect("max_pool_fwd", dtype, bytes, o, get(y[k], dtype, o), get(x, dtype, from), 1, 0);
            for (size_t k = 0; k < 2; k++) {
                expect("max_pool_fwd, index", dtype, bytes, o, (double)((int64_t *)index[k])[o], (double)at[best], 1, 0);
                if (placed) expect("max_pool_fwd, place", dtype, bytes, o, ((uint8_t *)place[k])[o], (double)at[in + best], 1, 0);
            }
            back[from] += get(dy, dtype, o), back_scale[from] += fabs(get(dy, dtype, o));
        }
    }
    if (placed) {
        L.buf[0] = dy, L.buf[1] = place[0], L.buf[2] = dx;
        launch(PD_max_pool_bwd, dtype, &L);
        expect_all("max_pool_bwd", dtype, planes * in, dx, back, back_scale, 16);
        L.buf[0] = x, L.buf[2] = y[1];
        memset(y[1], 0, bytes * width(dtype));
        launch(PD_max_pool_pick, dtype, &L);
        for (size_t i = 0; i < bytes; i++) expect("max_pool_pick", dtype, bytes, i, get(y[1], dtype, i), get(y[0], dtype, i), 1, 0);
    }
    RELEASE("max_pool", x, dx, dy, y[0], y[1], y[2], y[3], place[0], place[1], index[0], index[1]);
    free(back), free(at);
}

/* ---- Columns: those of a tap hold what it meets, or 0 ---- */

static void check_fold(const pool_case *s, int dtype) {
    const pd_window w = pool_window(s);
    const size_t in = volume_of(w.in), out = volume_of(w.out), taps = volume_of(w.kernel), planes = s->planes, all = planes * taps * out;
    void *x = numbers(dtype, planes * in, -1, 1), *columns = guarded(all * width(dtype), 0), *back = guarded(planes * in * width(dtype), 0);
    double *want = calloc(all + 2 * planes * in, sizeof(double)), *sum = want + all, *scale = sum + planes * in;
    size_t *at = malloc(2 * in * sizeof(size_t)), padded;
    pd_launch L = {.buf = {x, columns}, .window = w};
    launch(PD_unfold, dtype, &L);
    for (size_t i = 0; i < out; i++) {
        const size_t n = window(&w, PADDED, i, at, at + in, &padded);
        for (size_t p = 0; p < planes; p++)
            for (size_t k = 0; k < n; k++) {
                const double v = get(x, dtype, p * in + at[k]);
                want[(p * taps + at[in + k]) * out + i] = v;
                sum[p * in + at[k]] += v, scale[p * in + at[k]] += fabs(v);
            }
    }
    expect_all("unfold", dtype, all, columns, want, want, 0);
    L.buf[0] = columns, L.buf[1] = back;
    launch(PD_fold, dtype, &L);
    expect_all("fold", dtype, planes * in, back, sum, scale, 16);
    RELEASE("fold", x, columns, back);
    free(want), free(at);
}

void check_pools(void) {
    for (int dtype = PD_F32; dtype <= PD_F64; dtype++)
        for (size_t i = 0; i < N_CASES; i++) {
            const pool_case *s = &CASES[i];
            const int adaptive = s->adaptive[0] != 0;
            for (int coarse = 0; coarse < 2; coarse++) check_largest(s, dtype, adaptive ? ADAPTIVE : INSIDE, coarse);
            if (!adaptive) check_fold(s, dtype);
            if (volume_of(s->dilation) != 1) continue;
            for (int mode = PADDED; mode < ADAPTIVE && !adaptive; mode++) check_averages(s, dtype, mode, 0);
            check_averages(s, dtype, adaptive ? ADAPTIVE : PADDED, adaptive ? 0 : 2.5);
        }
}
