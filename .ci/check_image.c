/* Checks what moves pixels (csrc/resample.c, grid_sample.c, pad.c, warp.c, image.c) against plain loops over the taps of an output. */
#include "check.h"

typedef struct image_case {
    size_t planes, in[3], out[3];
} image_case;

static double rounded(int dtype, double x) { return dtype == PD_F32 ? (double)(float)x : x; }
static size_t limited(ptrdiff_t i, size_t n) { return i < 0 ? 0 : i < (ptrdiff_t)n ? (size_t)i : n - 1; }

/* ---- Resampling: a matrix (out, in) for each axis ---- */

enum { NEAREST, EXACT, LINEAR, CUBIC, AREA, SMOOTH_LINEAR, SMOOTH_CUBIC, LANCZOS, MODES }; /* as in csrc/resample.c */

static double cubic(double d, double a) {
    d = fabs(d);
    return d < 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}
static double sinc(double x) { return x == 0 ? 1 : sin(x) / x; }

static double smooth(int mode, double d) {
    if (mode == SMOOTH_LINEAR) return fmax(0, 1 - fabs(d));
    if (mode == SMOOTH_CUBIC) return cubic(d, -0.5);
    return fabs(d) < 3 ? sinc(acos(-1) * d) * sinc(acos(-1) * d / 3) : 0;
}

static void axis_row(int dtype, int mode, int align, int plane, size_t in, size_t out, size_t o, double *row) {
    const double ratio = align ? out > 1 ? (double)(in - 1) / (double)(out - 1) : 0 : (double)in / (double)out;
    if (mode <= EXACT) { /* the arithmetic decides which */
        const int type = plane ? PD_F32 : dtype;
        const double at = rounded(type, ((double)o + (mode == EXACT ? 0.5 : 0)) * rounded(type, ratio));
        row[limited((ptrdiff_t)floor(rounded(PD_F32, at)), in)] = 1;
    } else if (mode <= CUBIC) {
        const double at = align ? ratio * (double)o : ratio * ((double)o + 0.5) - 0.5, from = mode == LINEAR ? fmax(at, 0) : at;
        for (ptrdiff_t k = (ptrdiff_t)floor(from) - 1; k < (ptrdiff_t)floor(from) + 3; k++)
            row[limited(k, in)] += mode == LINEAR ? fmax(0, 1 - fabs((double)k - from)) : cubic((double)k - from, -0.75);
    } else if (mode == AREA) {
        const size_t first = o * in / out, end = ((o + 1) * in + out - 1) / out;
        for (size_t i = first; i < end; i++) row[i] = 1 / (double)(end - first);
    } else {
        double sum = 0;
        for (size_t i = 0; i < in; i++) sum += row[i] = smooth(mode, ((double)i + 0.5 - ratio * ((double)o + 0.5)) / fmax(ratio, 1));
        for (size_t i = 0; i < in; i++) row[i] /= sum;
    }
}

/* x (outer, from, inner) times the matrix, or its transpose; or sizes of terms */
static double *axis_product(double *x, size_t outer, size_t inner, const double *matrix, size_t in, size_t out, int turned,
                            int sizes) {
    const size_t from = turned ? out : in, to = turned ? in : out;
    double *y = calloc(outer * to * inner, sizeof(double));
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++) {
            const double w = sizes ? fabs(matrix[o * in + i]) : matrix[o * in + i];
            for (size_t a = 0; a < outer && w != 0; a++)
                for (size_t b = 0; b < inner; b++)
                    y[(a * to + (turned ? i : o)) * inner + b] += w * x[(a * from + (turned ? o : i)) * inner + b];
        }
    free(x);
    return y;
}

static void check_resample(const image_case *s, int dtype, int mode, int align, int turned) {
    const int dims = s->in[0] > 1 ? 3 : s->in[1] > 1 ? 2 : 1;
    const size_t *from = turned ? s->out : s->in, *to = turned ? s->in : s->out;
    size_t sizes[3] = {from[0], from[1], from[2]}, n = s->planes * volume_of(from), most = 0;
    void *x = numbers(dtype, n, -1, 1), *y = guarded(s->planes * volume_of(to) * width(dtype), 0);
    double *want = malloc(n * sizeof(double)), *scale = malloc(n * sizeof(double));
    for (size_t i = 0; i < n; i++) want[i] = get(x, dtype, i), scale[i] = fabs(want[i]);
    for (size_t d = 0; d < 3; d++) {
        const size_t outer = s->planes * (d > 0 ? sizes[0] : 1) * (d > 1 ? sizes[1] : 1);
        const size_t inner = (d < 1 ? sizes[1] : 1) * (d < 2 ? sizes[2] : 1);
        double *matrix = calloc(s->out[d] * s->in[d], sizeof(double));
        for (size_t o = 0; o < s->out[d]; o++) axis_row(dtype, mode, align, dims == 2, s->in[d], s->out[d], o, matrix + o * s->in[d]);
        want = axis_product(want, outer, inner, matrix, s->in[d], s->out[d], turned, 0);
        scale = axis_product(scale, outer, inner, matrix, s->in[d], s->out[d], turned, 1);
        sizes[d] = to[d];
        if (most < s->in[d]) most = s->in[d];
        free(matrix);
    }
    pd_launch L = {.buf = {x, y}, .window = {.n = s->planes, .c = 1, .o = 1}};
    for (size_t d = 0; d < 3; d++) L.window.in[d] = s->in[d], L.window.out[d] = s->out[d];
    L.scalar[3] = mode + 16 * align + 32 * turned + 64 * (dims == 2);
    launch(PD_resample, dtype, &L);
    char what[40];
    snprintf(what, sizeof what, "resample, mode %d%s%s", mode, align ? ", aligned" : "", turned ? ", turned" : "");
    for (size_t i = 0; i < s->planes * volume_of(to); i++) /* coordinates are rounded, too */
        expect(what, dtype, s->planes * volume_of(to), i, get(y, dtype, i), want[i], fmax(scale[i], 1), 16 + 8 * (double)most);
    RELEASE(what, x, y);
    free(want), free(scale);
}

/* ---- Sampling at the places of a grid ---- */

enum { GRID_LINEAR, GRID_NEAREST, GRID_CUBIC };
enum { ZEROS, BORDER, REFLECTION };

static double reflected(double at, size_t size, int align) {
    const double low = align ? 0 : -0.5, span = (double)size - (align ? 1 : 0), d = fabs(at - low), rest = fmod(d, span);
    return fmod(floor(d / span), 2) != 0 ? span - rest + low : rest + low;
}
static double inside(double at, size_t size, int outside, int align) {
    if (outside == REFLECTION) at = reflected(at, size, align);
    return outside == ZEROS ? at : fmin(fmax(at, 0), (double)size - 1);
}

static double in_pixels(int align, size_t size, double g) {
    return align ? (g + 1) / 2 * (double)(size - 1) : ((g + 1) * (double)size - 1) / 2;
}

/* The four taps of an axis: pixel or -1, weight */
static void grid_axis(int mode, int outside, int align, size_t size, double g, ptrdiff_t *index, double *weight) {
    const double raw = in_pixels(align, size, g);
    const double at = mode == GRID_CUBIC ? raw : inside(raw, size, outside, align), below = floor(at);
    for (int k = 0; k < 4; k++) {
        const double pixel = mode == GRID_CUBIC ? inside(below + k - 1, size, outside, align) : below + k - 1;
        index[k] = pixel >= 0 && pixel < (double)size ? (ptrdiff_t)pixel : -1;
        weight[k] = mode == GRID_CUBIC ? cubic(at - below - k + 1, -0.75) : mode == GRID_LINEAR ? fmax(0, 1 - fabs(at - below - k + 1))
                                                                                                : nearbyint(at) == below + k - 1;
    }
}

typedef struct grid {
    int mode, outside, align, dims;
    const size_t *in;
} grid;

/* The taps of a place -> how many */
static size_t grid_taps(const grid *g, const double *place, size_t *at, double *weight) {
    ptrdiff_t index[3][4] = {{0, -1, -1, -1}};
    double w[3][4] = {{1}};
    size_t n = 0;
    for (int d = 0; d < g->dims; d++) grid_axis(g->mode, g->outside, g->align, g->in[2 - d], place[d], index[2 - d], w[2 - d]);
    for (int k = 0; k < 64; k++) {
        const ptrdiff_t z = index[0][k / 16], y = index[1][k / 4 % 4], x = index[2][k % 4];
        const double by = w[0][k / 16] * w[1][k / 4 % 4] * w[2][k % 4];
        if (z < 0 || y < 0 || x < 0 || by == 0) continue;
        at[n] = ((size_t)z * g->in[1] + (size_t)y) * g->in[2] + (size_t)x;
        weight[n++] = by;
    }
    return n;
}

static double grid_value(const grid *g, const double *place, const void *x, int dtype, size_t first) {
    size_t at[64];
    double weight[64], sum = 0;
    const size_t n = grid_taps(g, place, at, weight);
    for (size_t k = 0; k < n; k++) sum += weight[k] * get(x, dtype, first + at[k]);
    return sum;
}

static void check_grid(const image_case *s, int dtype, const grid *g) {
    const size_t in = volume_of(s->in), out = volume_of(s->out), c = s->planes / 2, all = s->planes * out, dims = (size_t)g->dims;
    void *x = numbers(dtype, s->planes * in, -1, 1), *places = numbers(dtype, 2 * out * dims, -1.6, 1.6), *dy = numbers(dtype, all, -1, 1);
    void *y = guarded(all * width(dtype), 0), *dx = guarded(s->planes * in * width(dtype), 0);
    void *slope = guarded(2 * out * dims * width(dtype), 0);
    double *want = calloc(2 * (all + s->planes * in + 2 * out * dims), sizeof(double)), *scale = want + all, *back = scale + all;
    double *back_scale = back + s->planes * in, *steep = back_scale + s->planes * in, *steep_scale = steep + 2 * out * dims;
    const double step = 1e-6;
    for (size_t i = 0; i < 2 * out * dims; i++) { /* away from kinks and jumps, which lie at whole and half pixels */
        double at = 0;
        while (fabs(at - nearbyint(at)) < 0.02) {
            set(places, dtype, i, uniform(-1.6, 1.6));
            at = 2 * in_pixels(g->align, s->in[2 - i % dims], get(places, dtype, i));
        }
    }
    for (size_t i = 0; i < 2 * out; i++) {
        double place[3], weight[64];
        size_t at[64];
        for (size_t d = 0; d < dims; d++) place[d] = get(places, dtype, i * dims + d);
        const size_t n = grid_taps(g, place, at, weight);
        for (size_t p = i / out * c; p < i / out * c + c; p++) {
            const size_t o = p * out + i % out;
            for (size_t k = 0; k < n; k++) {
                const double v = weight[k] * get(x, dtype, p * in + at[k]), t = weight[k] * get(dy, dtype, o);
                want[o] += v, scale[o] += fabs(v);
                back[p * in + at[k]] += t, back_scale[p * in + at[k]] += fabs(t);
            }
            for (size_t d = 0; d < dims; d++) {
                double low[3] = {place[0], place[1], place[2]}, high[3] = {place[0], place[1], place[2]};
                low[d] -= step, high[d] += step;
                const double rise = grid_value(g, high, x, dtype, p * in) - grid_value(g, low, x, dtype, p * in);
                steep[i * dims + d] += rise / (2 * step) * get(dy, dtype, o), steep_scale[i * dims + d] += (double)s->in[2 - d];
            }
        }
    }
    char what[60];
    snprintf(what, sizeof what, "grid_sample, mode %d outside %d aligned %d", g->mode, g->outside, g->align);
    pd_launch L = {.buf = {x, places, y}, .window = {.n = 2, .c = c, .o = c}};
    L.scalar[0] = g->mode + 4 * g->outside + 16 * g->align + 32 * (dims == 3);
    for (size_t d = 0; d < 3; d++) L.window.in[d] = s->in[d], L.window.out[d] = s->out[d];
    launch(PD_grid_sample, dtype, &L);
    for (size_t i = 0; i < all; i++) expect(what, dtype, all, i, get(y, dtype, i), want[i], fmax(scale[i], 1), 200);
    L.buf[0] = dy, L.buf[2] = dx;
    launch(PD_grid_sample_turned, dtype, &L);
    for (size_t i = 0; i < s->planes * in; i++) expect(what, dtype, all, i, get(dx, dtype, i), back[i], fmax(back_scale[i], 1), 200);
    L.buf[1] = x, L.buf[2] = places, L.buf[3] = slope;
    launch(PD_grid_sample_slope, dtype, &L);
    for (size_t i = 0; i < 2 * out * dims; i++)
        expect("grid_sample_slope", PD_F32, all, i, get(slope, dtype, i), steep[i], steep_scale[i], 64);
    RELEASE(what, x, places, dy, y, dx, slope);
    free(want);
}

/* ---- Borders ---- */

enum { CONSTANT, REFLECT, REPLICATE, CIRCULAR };

static ptrdiff_t pad_source(int mode, ptrdiff_t i, ptrdiff_t n) {
    if (i >= 0 && i < n) return i;
    if (mode == CONSTANT) return -1;
    if (mode == REFLECT) return i < 0 ? -i : 2 * (n - 1) - i;
    return mode == REPLICATE ? i < 0 ? 0 : n - 1 : i < 0 ? i + n : i - n;
}

static void check_pad(const size_t *size, const ptrdiff_t *before, const ptrdiff_t *after, int dtype, int mode) {
    const size_t planes = 3, in = volume_of(size);
    pd_launch L = {.window = {.n = planes}, .scalar = {mode}};
    for (size_t d = 0; d < 3; d++) {
        L.window.in[d] = size[d], L.window.pad[d] = (size_t)before[d];
        L.window.out[d] = (size_t)((ptrdiff_t)size[d] + before[d] + after[d]);
    }
    const size_t *to = L.window.out, out = volume_of(to);
    void *x = numbers(dtype, planes * in, -1, 1), *value = numbers(dtype, 1, 2, 3), *dx = guarded(planes * in * width(dtype), 0);
    void *y = guarded(planes * out * width(dtype), 0);
    double *want = calloc(planes * (out + 2 * in), sizeof(double)), *back = want + planes * out, *scale = back + planes * in;
    for (size_t i = 0; i < planes * out; i++) {
        const ptrdiff_t z = pad_source(mode, (ptrdiff_t)(i / to[2] / to[1] % to[0]) - before[0], (ptrdiff_t)size[0]);
        const ptrdiff_t v = pad_source(mode, (ptrdiff_t)(i / to[2] % to[1]) - before[1], (ptrdiff_t)size[1]);
        const ptrdiff_t u = pad_source(mode, (ptrdiff_t)(i % to[2]) - before[2], (ptrdiff_t)size[2]);
        const int within = z >= 0 && v >= 0 && u >= 0;
        const size_t at = within ? i / out * in + (size_t)((z * (ptrdiff_t)size[1] + v) * (ptrdiff_t)size[2] + u) : 0;
        want[i] = within ? get(x, dtype, at) : get(value, dtype, 0);
        if (within) back[at] += want[i], scale[at] += fabs(want[i]);
    }
    L.buf[0] = x, L.buf[1] = y, L.buf[2] = value;
    launch(PD_pad, dtype, &L);
    expect_all("pad", dtype, planes * out, y, want, want, 0);
    L.buf[0] = y, L.buf[1] = dx;
    if (mode != CONSTANT) {
        launch(PD_pad_turned, dtype, &L);
        expect_all("pad_turned", dtype, planes * in, dx, back, scale, 128);
    }
    RELEASE("pad", x, y, value, dx);
    free(want);
}

/* ---- Warps: pixels as they are in the type, bytes too ---- */

static double pixel(const void *x, int dtype, size_t i) { return dtype == PD_U8 ? ((const uint8_t *)x)[i] : get(x, dtype, i); }

static double warp_tap(const pd_launch *L, int dtype, size_t plane, double row, double column) {
    const size_t *in = L->window.in;
    double at[2] = {row, column};
    for (size_t d = 0; d < 2; d++) {
        const double n = (double)in[1 + d];
        if (at[d] >= 0 && at[d] < n) continue;
        if (L->scalar[1] == 0) return ((const double *)L->buf[4])[plane % L->window.c];
        if (L->scalar[1] == 1) at[d] = fmin(fmax(at[d], 0), n - 1);
        else {
            const double period = fmax(2 * (n - 1), 1), rest = fmod(fmod(at[d], period) + period, period);
            at[d] = n == 1 ? 0 : fmin(rest, period - rest);
        }
    }
    return pixel(L->buf[0], dtype, (plane * in[1] + (size_t)at[0]) * in[2] + (size_t)at[1]);
}

static double warp_value(const pd_launch *L, int dtype, size_t plane, size_t i, size_t j) {
    const size_t image = plane / L->window.c, all = L->window.out[1] * L->window.out[2], place = i * L->window.out[2] + j;
    const double *m = (const double *)L->buf[2] + 9 * image, a = (double)j, b = (double)i;
    const double w = m[6] * a + (m[7] * b + m[8]);
    double u = (m[0] * a + (m[1] * b + m[2])) / w, v = (m[3] * a + (m[4] * b + m[5])) / w;
    if (!(w > 0)) u = v = -1e9;
    if (L->buf[3]) u += ((const float *)L->buf[3])[2 * image * all + place], v += ((const float *)L->buf[3])[(2 * image + 1) * all + place];
    u = fmin(fmax(u, -1e9), 1e9), v = fmin(fmax(v, -1e9), 1e9);
    if (L->scalar[0] == 0) return warp_tap(L, dtype, plane, floor(v + 0.5), floor(u + 0.5));
    double right = u - floor(u), below = v - floor(v), mixed[2];
    if (dtype == PD_U8) right = floor(right * 2048 + 0.5) / 2048, below = floor(below * 2048 + 0.5) / 2048;
    for (int k = 0; k < 2; k++) {
        const double row = floor(v) + k, left = warp_tap(L, dtype, plane, row, floor(u));
        mixed[k] = (1 - right) * left + right * warp_tap(L, dtype, plane, row, floor(u) + 1);
    }
    const double y = (1 - below) * mixed[0] + below * mixed[1];
    return dtype == PD_U8 ? floor(y + 0.5) : y;
}

static void check_warp(int dtype, int bilinear, int outside, int field, int perspective) {
    static const size_t in[3] = {1, 13, 17}, out[3] = {1, 11, 150};
    const size_t n = 2, c = 3, wide = dtype == PD_U8 ? 1 : width(dtype), all = n * c * volume_of(out);
    void *x = guarded(n * c * volume_of(in) * wide, 0), *y = guarded(all * wide, 0);
    void *matrix = numbers(PD_F64, 9 * n, -0.2, 0.2), *moved = numbers(PD_F32, 2 * n * volume_of(out), -3, 3);
    void *fill = numbers(PD_F64, c, 1, 2);
    for (size_t i = 0; i < n * c * volume_of(in); i++)
        if (dtype == PD_U8) ((uint8_t *)x)[i] = (uint8_t)uniform(0, 256);
        else set(x, dtype, i, uniform(-1, 1));
    for (size_t i = 0; i < c; i++) set(fill, PD_F64, i, (double)i);
    for (size_t i = 0; i < n; i++) {
        double *m = (double *)matrix + 9 * i;
        m[0] += 0.5, m[4] += 1, m[2] *= 30, m[5] *= 30;
        if (!field && !perspective && outside == 0) /* all is inside */
            m[0] = 0.07, m[1] = 0.2, m[2] = 1.1, m[3] = 0.01, m[4] = 0.7, m[5] = 2.3;
        m[6] *= perspective ? 0.01 : 0, m[7] *= perspective ? 0.01 : 0, m[8] = 1;
    }
    pd_launch L = {.buf = {x, y, matrix, field ? moved : NULL, fill}, .scalar = {bilinear, outside, field}, .window = {.n = n, .c = c}};
    for (size_t d = 0; d < 3; d++) L.window.in[d] = in[d], L.window.out[d] = out[d];
    launch(PD_warp, dtype, &L);
    for (size_t i = 0; i < all; i++) {
        const double want = warp_value(&L, dtype, i / volume_of(out), i / out[2] % out[1], i % out[2]);
        const double most = bilinear && dtype != PD_U8 ? 8 : 0;
        expect("warp", dtype == PD_U8 ? PD_F32 : dtype, all, i, pixel(y, dtype, i), want, fmax(fabs(want), 2), most);
    }
    RELEASE("warp", x, y, matrix, moved, fill);
}

/* ---- Filters: along the last axis, or across rows ---- */

static void check_filter(int dtype, size_t n, size_t inner, size_t taps, int same) {
    const size_t outer = 3, count = n - taps + 1, all = outer * count * inner;
    void *x = numbers(dtype, outer * n * inner, -1, 1), *y = guarded(all * width(dtype), 0), *weight = numbers(dtype, count * taps, -1, 1);
    int64_t *start = guarded(count * 8, 0);
    for (size_t i = 0; i < count; i++) {
        start[i] = (int64_t)(same ? i : i * 7 % count);
        for (size_t t = 0; t < taps && same; t++) set(weight, dtype, i * taps + t, get(weight, dtype, t));
    }
    pd_launch L = {.buf = {x, y, start, weight}, .scalar = {(double)taps, 0, same ? (double)count : 0}, .rows = {outer, n, inner, count}};
    launch(PD_image_filter, dtype, &L);
    for (size_t i = 0; i < all; i++) {
        const size_t row = i / inner % count, first = (i / inner / count * n + (size_t)start[row]) * inner + i % inner;
        double sum = 0, scale = 0;
        for (size_t t = 0; t < taps; t++) {
            const double term = get(weight, dtype, row * taps + t) * get(x, dtype, first + t * inner);
            sum += term, scale += fabs(term);
        }
        expect("image_filter", dtype, all, i, get(y, dtype, i), sum, scale, 8);
    }
    RELEASE("image_filter", x, y, weight, start);
}

static const image_case RESAMPLED[] = {
    {3, {1, 1, 37}, {1, 1, 23}},  {40, {1, 1, 6}, {1, 1, 12}},     {3, {1, 9, 11}, {1, 14, 5}},       {40, {1, 5, 7}, {1, 9, 4}},
    {2, {1, 8, 9}, {1, 16, 18}},  {2, {3, 5, 7}, {4, 3, 9}},       {2, {1, 150, 139}, {1, 97, 201}},  {2, {1, 40, 3}, {1, 7, 3}},
    {1, {1, 2, 900}, {1, 2, 31}}, {17, {2, 5, 16}, {5, 5, 32}},    {2, {1, 3, 5}, {1, 1, 1}},
};
static const image_case SAMPLED[] = {
    {6, {1, 9, 13}, {1, 7, 11}}, {2, {1, 2, 3}, {1, 10, 13}}, {4, {3, 5, 7}, {4, 5, 6}}, {34, {1, 6, 5}, {1, 8, 8}},
};
static const size_t PADDED[][3] = {{1, 1, 9}, {1, 7, 21}, {4, 5, 6}, {1, 40, 300}};
static const ptrdiff_t BEFORE[][3] = {{0, 0, 5}, {0, 3, 2}, {1, 4, 0}, {0, 8, 12}};
static const ptrdiff_t AFTER[][3] = {{0, 0, 1}, {0, 0, 19}, {3, 2, 5}, {0, 39, 3}};

static void check_type(int dtype) {
    for (size_t i = 0; i < sizeof RESAMPLED / sizeof RESAMPLED[0]; i++)
        for (int mode = 0; mode < MODES; mode++)
            for (int form = 0; form < 4; form++)
                if (form < 2 || mode == LINEAR || mode == CUBIC) check_resample(&RESAMPLED[i], dtype, mode, form >> 1, form & 1);
    for (size_t i = 0; i < sizeof SAMPLED / sizeof SAMPLED[0]; i++)
        for (int form = 0; form < 18; form++) {
            const grid g = {form % 3, form / 3 % 3, form / 9, SAMPLED[i].in[0] > 1 ? 3 : 2, SAMPLED[i].in};
            if (g.dims == 2 || g.mode != GRID_CUBIC) check_grid(&SAMPLED[i], dtype, &g);
        }
    for (size_t i = 0; i < sizeof PADDED / sizeof PADDED[0]; i++)
        for (int mode = CONSTANT; mode <= CIRCULAR; mode++) check_pad(PADDED[i], BEFORE[i], AFTER[i], dtype, mode);
    check_pad((const size_t[3]){2, 9, 30}, (const ptrdiff_t[3]){0, -2, 3}, (const ptrdiff_t[3]){1, 4, -7}, dtype, CONSTANT);
    for (size_t i = 0; i < 24; i++) check_filter(dtype, i / 12 ? 90 : 21, i / 6 % 2 ? 1 : 37, (const size_t[3]){1, 4, 9}[i / 2 % 3], i % 2);
}

void check_images(void) {
    for (int form = 0; form < 72; form++)
        check_warp((const int[3]){PD_F32, PD_F64, PD_U8}[form % 3], form / 3 % 2, form / 6 % 3, form / 18 % 2, form / 36);
    check_type(PD_F32);
    check_type(PD_F64);
}
