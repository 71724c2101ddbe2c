/* The largest of windows: x (n, c, in) -> y (n, c, out); legend and geometry in pool.c. scalar[1]: POOL_ADAPTIVE, or anything else.
 * Of equal elements the first is taken; a NaN is above all, and of several the last is taken. Of -inf alone, the first that lies inside.
 * place: a byte for each output, the tap that is the largest, of kernels of at most POOL_TAPS taps; taps count along the width, then the
 * height, then the depth. index: int64, the element's place in (d, h, w) of the input. Either may be NULL. */
#ifndef POOL_MAX_ONCE
#define POOL_MAX_ONCE
enum { POOL_TAPS = 256 };

/* How far each tap of a window is from where the window begins */
static UNUSED void pool_offsets(const pd_window *w, int64_t *to) {
    for (size_t kd = 0; kd < w->kernel[0]; kd++)
        for (size_t kh = 0; kh < w->kernel[1]; kh++)
            for (size_t kw = 0; kw < w->kernel[2]; kw++)
                *to++ = (int64_t)((kd * w->dilation[0] * w->in[1] + kh * w->dilation[1]) * w->in[2] + kw * w->dilation[2]);
}

/* Where the windows of output row (od, oh) begin: that of column 0; what the others are away is the stride */
static UNUSED int64_t pool_begin(const pd_window *w, size_t od, size_t oh) {
    const int64_t d = (int64_t)(od * w->stride[0]) - (int64_t)w->pad[0], h = (int64_t)(oh * w->stride[1]) - (int64_t)w->pad[1];
    return (d * (int64_t)w->in[1] + h) * (int64_t)w->in[2] - (int64_t)w->pad[2];
}
#endif

#undef place_v
#define place_v N(place_v)
typedef uint8_t place_v __attribute__((vector_size(VBYTES * 8 / BITS)));

/* A row of outputs: its planes and rows of the windows; y, place and index begin with the row */
typedef struct N(max_row) {
    const T *plane;
    pool_span d, h;
    T *y;
    uint8_t *place;
    int64_t *index;
    int64_t begin;
} N(max_row);

INLINE void N(max_take)(vreal v, size_t tap, const int placed, vreal *best, vint *at) {
    const vint better = (v > *best) | (v != v);
    *best = v_blend(better, v, *best);
    if (placed) *at = (vint)v_blend(better, (vreal)v_bits((ubits_t)tap), (vreal)*at);
}

/* Outputs o ... o + left - 1 (a vector at most), whose columns lie inside. step: 1, 2, or 0 for whatever the stride is; wide: the width of the
 * kernel, or 0 for whatever it is. */
INLINE void N(max_block)(const pd_window *w, const N(max_row) *row, size_t o, size_t left, const size_t step, const size_t wide, const int placed,
                         uint8_t *place) {
    const size_t line = w->in[2], area = w->in[1] * line, kernel = wide ? wide : w->kernel[2], apart = wide ? 1 : w->dilation[2];
    const size_t column = o * (step ? step : w->stride[2]) - w->pad[2];
    vreal best = v_set(-(T)INFINITY);
    vint at = (vint)v_bits((ubits_t)((row->d.from * w->kernel[1] + row->h.from) * kernel));
    for (size_t kd = row->d.from; kd < row->d.to; kd++)
        for (size_t kh = row->h.from; kh < row->h.to; kh++) {
            const size_t d = (size_t)(row->d.at + (ptrdiff_t)(kd * w->dilation[0])), h = (size_t)(row->h.at + (ptrdiff_t)(kh * w->dilation[1]));
            const T *x = row->plane + d * area + h * line + column;
            const size_t tap = (kd * w->kernel[1] + kh) * kernel;
            V_UNROLL4
            for (size_t k = 0; k < kernel; k += step == 2 ? 2 : 1) {
                if (step == 2) {
                    const size_t both = k + 1 < kernel, count = 2 * left - 1 + both;
                    const vreal a = v_load_left(x + k, count), b = count > VL ? v_load_left(x + k + VL, count - VL) : a;
                    N(max_take)(N(pool_even)(a, b), tap + k, placed, &best, &at);
                    if (both) N(max_take)(N(pool_odd)(a, b), tap + k + 1, placed, &best, &at);
                } else if (step == 1) N(max_take)(v_load_left(x + k * apart, left), tap + k, placed, &best, &at);
                else {
                    T some[VL] = {0};
                    for (size_t i = 0; i < left; i++) some[i] = x[i * w->stride[2] + k * apart];
                    N(max_take)(v_load(some), tap + k, placed, &best, &at);
                }
            }
        }
    v_store_left(row->y + o, best, left);
    if (placed) {
        const place_v bytes = __builtin_convertvector((vuint)at, place_v);
        if (left == VL) memcpy(place, &bytes, VL);
        else
            for (size_t i = 0; i < left; i++) place[i] = bytes[i];
    }
}

INLINE void N(max_blocks)(const pd_window *w, const N(max_row) *row, pool_range inner, const int64_t *offset, const size_t step, const size_t wide,
                          const int placed) {
    uint8_t some[VL];
    for (size_t o = inner.first; o < inner.end; o += VL) {
        const size_t left = min_size(VL, inner.end - o);
        uint8_t *place = row->place ? row->place + o : some;
        N(max_block)(w, row, o, left, step, wide, placed, place);
        if (placed && row->index)
            for (size_t i = 0; i < left; i++) row->index[o + i] = row->begin + (int64_t)((o + i) * w->stride[2]) + offset[place[i]];
    }
}

typedef void (*N(max_inner))(const pd_window *w, const N(max_row) *row, pool_range inner, const int64_t *offset);
#define MAX_INNER(name, step, wide, placed)                                                                                          \
    static void N(name)(const pd_window *w, const N(max_row) *row, pool_range inner, const int64_t *offset) {                        \
        N(max_blocks)(w, row, inner, offset, step, wide, placed);                                                                    \
    }
MAX_INNER(max_halves, 2, 2, 0)
MAX_INNER(max_halves_placed, 2, 2, 1)
MAX_INNER(max_threes, 2, 3, 0)
MAX_INNER(max_threes_placed, 2, 3, 1)
MAX_INNER(max_ones, 1, 0, 0)
MAX_INNER(max_ones_placed, 1, 0, 1)
MAX_INNER(max_any, 0, 0, 0)
MAX_INNER(max_any_placed, 0, 0, 1)
#undef MAX_INNER

static N(max_inner) N(max_inner_of)(const pd_window *w, int placed) {
    const int pairs = w->stride[2] == 2 && w->dilation[2] == 1;
    if (pairs && w->kernel[2] == 2) return placed ? N(max_halves_placed) : N(max_halves);
    if (pairs && w->kernel[2] == 3) return placed ? N(max_threes_placed) : N(max_threes);
    if (w->stride[2] == 1) return placed ? N(max_ones_placed) : N(max_ones);
    return placed ? N(max_any_placed) : N(max_any);
}

/* Column o of a row, element by element */
static void N(max_window)(const pd_window *w, const N(max_row) *row, size_t o, int adaptive) {
    const pool_span d = row->d, h = row->h, s = pool_taps(w, 2, o, adaptive);
    T best = -(T)INFINITY;
    size_t at = 0, tap = 0;
    int none = 1;
    for (size_t kd = d.from; kd < d.to; kd++)
        for (size_t kh = h.from; kh < h.to; kh++)
            for (size_t kw = s.from; kw < s.to; kw++) {
                const size_t z = (size_t)(d.at + (ptrdiff_t)(kd * w->dilation[0])), y = (size_t)(h.at + (ptrdiff_t)(kh * w->dilation[1]));
                const size_t i = (z * w->in[1] + y) * w->in[2] + (size_t)(s.at + (ptrdiff_t)(kw * w->dilation[2]));
                const T v = row->plane[i];
                if (v > best || v != v || none) best = v, at = i, tap = (kd * w->kernel[1] + kh) * w->kernel[2] + kw, none = 0;
            }
    row->y[o] = best;
    if (row->place) row->place[o] = (uint8_t)tap;
    if (row->index) row->index[o] = (int64_t)at;
}

static void N(max_fwd_chunk)(void *context, size_t chunk) {
    const N(pool_job) *job = context;
    const pd_launch *launch = job->launch;
    const pd_window *w = &launch->window;
    const int adaptive = job->mode == POOL_ADAPTIVE, placed = launch->buf[2] || launch->buf[3];
    const N(max_inner) inner = N(max_inner_of)(w, placed);
    const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->rows), columns = w->out[2];
    size_t oh = first % w->out[1], od = first / w->out[1] % w->out[0], plane = first / w->out[1] / w->out[0];
    int64_t offset[POOL_TAPS];
    if (launch->buf[3] && job->inner.end) pool_offsets(w, offset);
    for (size_t r = first; r < last; r++) {
        const N(max_row) row = {(const T *)launch->buf[0] + plane * pool_size(w->in), pool_taps(w, 0, od, adaptive), pool_taps(w, 1, oh, adaptive),
                                (T *)launch->buf[1] + r * columns, launch->buf[2] ? (uint8_t *)launch->buf[2] + r * columns : NULL,
                                launch->buf[3] ? (int64_t *)launch->buf[3] + r * columns : NULL, pool_begin(w, od, oh)};
        for (size_t o = 0; o < job->inner.first; o++) N(max_window)(w, &row, o, adaptive);
        inner(w, &row, job->inner, offset);
        for (size_t o = job->inner.end; o < columns; o++) N(max_window)(w, &row, o, adaptive);
        if (++oh == w->out[1]) {
            oh = 0;
            if (++od == w->out[0]) od = 0, plane++;
        }
    }
}

static void N(max_pool_fwd)(const pd_launch *launch) {
    const pd_window *w = &launch->window;
    N(pool_job) job = N(avg_job)(launch, w->out);
    const int many = (double)w->kernel[0] * (double)w->kernel[1] * (double)w->kernel[2] > POOL_TAPS;
    if (job.mode != POOL_ADAPTIVE && !(launch->buf[3] && many)) job.inner = pool_inner(w, 0);
    else job.inner = (pool_range){0, 0};
    pool_parallel(job.rows, job.per_chunk, w->n * w->c * pool_size(w->in), N(max_fwd_chunk), &job);
}

/* ---- By places: y = x at them; and back, dx = dy added there and 0 elsewhere. A plane is one chunk's. ---- */

INLINE vint N(places_of)(const uint8_t *place, size_t left) {
    place_v bytes = {0};
    if (left == VL) memcpy(&bytes, place, VL);
    else
        for (size_t i = 0; i < left; i++) bytes[i] = place[i];
    return __builtin_convertvector(bytes, vint);
}

/* Windows of 2 x 2 side by side: every element is written once */
static void N(max_quarters)(const pd_window *w, const T *dy, const uint8_t *place, T *dx) {
    const size_t line = w->in[2], out = w->out[2];
    for (size_t oh = 0; oh < w->out[1]; oh++, dy += out, place += out, dx += 2 * line) {
        for (size_t o = 0; o < out; o += VL) {
            const size_t left = min_size(VL, out - o);
            const vreal g = v_load_left(dy + o, left);
            const vint at = N(places_of)(place + o, left);
            N(pool_zip)(dx + 2 * o, v_keep(at == 0, g), v_keep(at == 1, g), 2 * left);
            N(pool_zip)(dx + 2 * o + line, v_keep(at == 2, g), v_keep(at == 3, g), 2 * left);
        }
        for (size_t i = 2 * out; i < line; i++) dx[i] = dx[line + i] = 0;
    }
    memset(dx, 0, (w->in[1] - 2 * w->out[1]) * line * sizeof(T));
}

static int N(max_is_quarters)(const pd_window *w) {
    int is = w->kernel[0] == 1 && w->in[0] == 1 && w->out[0] == 1 && w->pad[0] == 0;
    for (int d = 1; d < PD_SPACE; d++)
        is &= w->kernel[d] == 2 && w->stride[d] == 2 && w->dilation[d] == 1 && w->pad[d] == 0 && 2 * w->out[d] <= w->in[d];
    return is;
}

/* a: what is read. b: what is written */
static void N(places_plane)(const pd_window *w, const int64_t *offset, const T *a, const uint8_t *place, T *b, int back) {
    if (back) memset(b, 0, pool_size(w->in) * sizeof(T));
    for (size_t od = 0; od < w->out[0]; od++)
        for (size_t oh = 0; oh < w->out[1]; oh++) {
            const int64_t begin = pool_begin(w, od, oh);
            const size_t row = (od * w->out[1] + oh) * w->out[2];
            if (back)
                for (size_t o = 0; o < w->out[2]; o++) b[begin + (int64_t)(o * w->stride[2]) + offset[place[row + o]]] += a[row + o];
            else
                for (size_t o = 0; o < w->out[2]; o++) b[row + o] = a[begin + (int64_t)(o * w->stride[2]) + offset[place[row + o]]];
        }
}

static void N(places_chunk)(void *context, size_t chunk) {
    const N(pool_job) *job = context;
    const pd_window *w = &job->launch->window;
    const size_t in = pool_size(w->in), out = pool_size(w->out), last = min_size((chunk + 1) * job->per_chunk, job->rows);
    const uint8_t *place = job->launch->buf[1];
    int64_t offset[POOL_TAPS];
    pool_offsets(w, offset);
    for (size_t p = chunk * job->per_chunk; p < last; p++) {
        const T *a = (const T *)job->launch->buf[0] + p * (job->mode ? out : in);
        T *b = (T *)job->launch->buf[2] + p * (job->mode ? in : out);
        if (job->mode && N(max_is_quarters)(w)) N(max_quarters)(w, a, place + p * out, b);
        else N(places_plane)(w, offset, a, place + p * out, b, job->mode);
    }
}

static void N(places_run)(const pd_launch *launch, int back) {
    const pd_window *w = &launch->window;
    const size_t planes = w->n * w->c, in = pool_size(w->in);
    N(pool_job) job = {launch, planes, max_size(1, POOL_UNIT / in), {0, 0}, back};
    pool_parallel(planes, job.per_chunk, planes * in, N(places_chunk), &job);
}

static void N(max_pool_bwd)(const pd_launch *launch) { N(places_run)(launch, 1); }
static void N(max_pool_pick)(const pd_launch *launch) { N(places_run)(launch, 0); }
#undef place_v
