/* Images sampled at other places. x (N, C, H, W) -> y (N, C, OH, OW), contiguous; pd_window: in[1], in[2] = H, W, out[1], out[2] = OH, OW.
 * buf: x, y, matrix (N, 9) float64, field (N or 1, 2, OH, OW) float32 or NULL, fill (C,) float64.
 *   (u, v, w) = matrix (j, i, 1), output pixel (i, j) is x at column u / w + field[0] and row v / w + field[1]; pixels lie at whole numbers.
 * scalar[0]: bilinear, else the nearest pixel (a half goes up). scalar[1]: what lies outside: fill, the nearest edge, or the image mirrored
 * at its outermost pixels. scalar[2]: the field has N parts. Bilinear is for floats and uint8, whose weights have 11 bits and whose result
 * is rounded, a half up. A pixel depends on its own place alone. H W < 2^31. */
#ifndef WARP_ONCE
#define WARP_ONCE
enum { WARP_STAGE = 128, WARP_UNIT = 1 << 14, WARP_FILL = 0, WARP_EDGE = 1, WARP_MIRROR = 2, WARP_BITS = 11 };
#define WARP_FAR 1e9 /* where coordinates are cut off, so that they fit 32 bits; NaN lies there, too */

typedef struct warp_job {
    const pd_launch *launch;
    size_t per_chunk; /* rows */
    int bilinear, outside;
} warp_job;

/* A piece of an output row: whole parts of the coordinates, where that is, and the rest */
typedef struct warp_piece {
    int32_t column[WARP_STAGE], row[WARP_STAGE], at[WARP_STAGE];
    double right[WARP_STAGE], below[WARP_STAGE];
    int inside; /* all that is read lies inside */
} warp_piece;

INLINE double warp_cut(double at) {
    const double low = at > -WARP_FAR ? at : -WARP_FAR;
    return low < WARP_FAR ? low : WARP_FAR;
}

static UNUSED void warp_places(const warp_job *job, size_t image, size_t i, size_t j0, size_t n, double *u, double *v) {
    const pd_window *g = &job->launch->window;
    const double *m = (const double *)job->launch->buf[2] + 9 * image, row = (double)i;
    for (size_t j = 0; j < n; j++) {
        const double x = (double)(j0 + j);
        u[j] = m[0] * x + (m[1] * row + m[2]);
        v[j] = m[3] * x + (m[4] * row + m[5]);
    }
    if (m[6] != 0 || m[7] != 0 || m[8] != 1)
        for (size_t j = 0; j < n; j++) {
            const double w = m[6] * (double)(j0 + j) + (m[7] * row + m[8]);
            const double x = u[j] / w, y = v[j] / w;
            u[j] = w > 0 ? x : -WARP_FAR; /* behind the eye */
            v[j] = w > 0 ? y : -WARP_FAR;
        }
    if (job->launch->buf[3]) {
        const size_t plane = g->out[1] * g->out[2];
        const float *field = (const float *)job->launch->buf[3] + (job->launch->scalar[2] != 0 ? 2 * image * plane : 0) + i * g->out[2] + j0;
        for (size_t j = 0; j < n; j++) u[j] += (double)field[j], v[j] += (double)field[plane + j];
    }
}

/* Coordinates -> whole parts and rests; returns whether one lies outside of 0 .. last */
static UNUSED int32_t warp_whole(size_t n, double *restrict from, double half, int32_t last, int32_t *restrict whole, double *restrict rest) {
    int32_t least = 0, most = last;
    for (size_t j = 0; j < n; j++) from[j] = warp_cut(from[j] + half); /* a loop of its own: with the next, gcc makes no vectors of it */
    for (size_t j = 0; j < n; j++) {
        const double x = from[j], cut = (double)(int32_t)x; /* towards 0 */
        const double low = x < cut ? cut - 1 : cut;
        const int32_t at = (int32_t)low;
        whole[j] = at;
        rest[j] = x - low;
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    return (least < 0) | (most > last);
}

static UNUSED void warp_split(const warp_job *job, size_t n, double *u, double *v, warp_piece *to) {
    const pd_window *g = &job->launch->window;
    const int32_t more = job->bilinear;
    const double half = job->bilinear ? 0 : 0.5;
    const uint32_t width = (uint32_t)g->in[2];
    const int32_t beside = warp_whole(n, u, half, (int32_t)g->in[2] - 1 - more, to->column, to->right);
    const int32_t above = warp_whole(n, v, half, (int32_t)g->in[1] - 1 - more, to->row, to->below);
    for (size_t j = 0; j < n; j++) to->at[j] = (int32_t)((uint32_t)to->row[j] * width + (uint32_t)to->column[j]); /* meant where inside */
    to->inside = !(beside | above);
}

/* Where `at` is found among n pixels; -1: nowhere */
INLINE int32_t warp_index(int32_t at, int32_t n, int outside) {
    if (at >= 0 && at < n) return at;
    if (outside == WARP_FILL) return -1;
    if (outside == WARP_EDGE || n == 1) return at < 0 ? 0 : n - 1;
    const int32_t period = 2 * (n - 1);
    at %= period;
    at += at < 0 ? period : 0;
    return at < n ? at : period - at;
}
#endif

#define warp_at N(warp_at)
INLINE T warp_at(const T *x, const pd_window *g, int32_t row, int32_t column, int outside, T fill) {
    const int32_t i = warp_index(row, (int32_t)g->in[1], outside), j = warp_index(column, (int32_t)g->in[2], outside);
    return i < 0 || j < 0 ? fill : x[(size_t)i * g->in[2] + (size_t)j];
}

static void N(warp_nearest)(const warp_job *job, const T *x, T *y, size_t n, const warp_piece *p, T fill) {
    const pd_window *g = &job->launch->window;
    if (p->inside)
        for (size_t j = 0; j < n; j++) y[j] = x[p->at[j]];
    else
        for (size_t j = 0; j < n; j++) y[j] = warp_at(x, g, p->row[j], p->column[j], job->outside, fill);
}

#if PD_REAL || BITS == 8
/* The four pixels around each place: tap[0], tap[1] in its row, tap[2], tap[3] below */
static void N(warp_taps)(const warp_job *job, const T *x, size_t n, const warp_piece *p, T fill, T (*tap)[WARP_STAGE]) {
    const pd_window *g = &job->launch->window;
    const uint32_t rows = (uint32_t)g->in[1] - 1, columns = (uint32_t)g->in[2] - 1;
    const T *under = x + g->in[2];
    if (p->inside) {
        for (size_t j = 0; j < n; j++) tap[0][j] = x[p->at[j]], tap[1][j] = x[p->at[j] + 1];
        for (size_t j = 0; j < n; j++) tap[2][j] = under[p->at[j]], tap[3][j] = under[p->at[j] + 1];
        return;
    }
    for (size_t j = 0; j < n; j++) {
        const int32_t i = p->row[j], k = p->column[j], at = p->at[j];
        if ((uint32_t)i < rows && (uint32_t)k < columns) {
            tap[0][j] = x[at], tap[1][j] = x[at + 1], tap[2][j] = under[at], tap[3][j] = under[at + 1];
            continue;
        }
        tap[0][j] = warp_at(x, g, i, k, job->outside, fill), tap[1][j] = warp_at(x, g, i, k + 1, job->outside, fill);
        tap[2][j] = warp_at(x, g, i + 1, k, job->outside, fill), tap[3][j] = warp_at(x, g, i + 1, k + 1, job->outside, fill);
    }
}

/* Floats are mixed as they are; bytes with weights of WARP_BITS bits, rounded once. */
#if PD_REAL
#define WARP_WEIGHT T
#define WARP_ONE 1
#else
#define WARP_WEIGHT int32_t
#define WARP_ONE (1 << WARP_BITS)
#endif
static void N(warp_mix)(T (*tap)[WARP_STAGE], T *restrict y, size_t n, const WARP_WEIGHT *right, const WARP_WEIGHT *below) {
    for (size_t j = 0; j < n; j++) {
        const WARP_WEIGHT a = tap[0][j], b = tap[1][j], c = tap[2][j], d = tap[3][j];
        const WARP_WEIGHT top = a * WARP_ONE + (b - a) * right[j], low = c * WARP_ONE + (d - c) * right[j];
#if PD_REAL
        y[j] = top + (low - top) * below[j];
#else
        y[j] = (T)((top * WARP_ONE + (low - top) * below[j] + (1 << (2 * WARP_BITS - 1))) >> (2 * WARP_BITS));
#endif
    }
}
#endif

static void N(warp_chunk)(void *context, size_t chunk) {
    const warp_job *job = context;
    const pd_window *g = &job->launch->window;
    const double *fill = job->launch->buf[4];
    const size_t rows = g->out[1], width = g->out[2], last = min_size((chunk + 1) * job->per_chunk, g->n * rows);
    double u[WARP_STAGE], v[WARP_STAGE];
    warp_piece piece;
#if PD_REAL || BITS == 8
    WARP_WEIGHT right[WARP_STAGE], below[WARP_STAGE];
    T tap[4][WARP_STAGE];
#endif
    for (size_t r = chunk * job->per_chunk; r < last; r++) {
        const size_t image = r / rows, i = r % rows;
        for (size_t j = 0; j < width; j += WARP_STAGE) {
            const size_t n = min_size(WARP_STAGE, width - j);
            warp_places(job, image, i, j, n, u, v);
            warp_split(job, n, u, v, &piece);
#if PD_REAL || BITS == 8
            for (size_t k = 0; k < n; k++) {
                right[k] = (WARP_WEIGHT)(piece.right[k] * WARP_ONE + (PD_REAL ? 0 : 0.5));
                below[k] = (WARP_WEIGHT)(piece.below[k] * WARP_ONE + (PD_REAL ? 0 : 0.5));
            }
#endif
            for (size_t c = 0; c < g->c; c++) {
                const T *x = (const T *)job->launch->buf[0] + (image * g->c + c) * g->in[1] * g->in[2];
                T *y = (T *)job->launch->buf[1] + ((image * g->c + c) * rows + i) * width + j;
#if PD_REAL || BITS == 8
                if (job->bilinear) {
                    N(warp_taps)(job, x, n, &piece, (T)fill[c], tap);
                    N(warp_mix)(tap, y, n, right, below);
                    continue;
                }
#endif
                N(warp_nearest)(job, x, y, n, &piece, (T)fill[c]);
            }
        }
    }
}

static void N(warp)(const pd_launch *launch) {
    const pd_window *g = &launch->window;
    warp_job job = {launch, max_size(1, WARP_UNIT / (g->out[2] * g->c)), launch->scalar[0] != 0, (int)launch->scalar[1]};
    const size_t chunks = ceil_div(g->n * g->out[1], job.per_chunk);
    if (chunks > 1) pd_parallel(chunks, N(warp_chunk), &job);
    else N(warp_chunk)(&job, 0);
}
#undef warp_at
#undef WARP_WEIGHT
#undef WARP_ONE
