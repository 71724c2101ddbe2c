/* The largest of windows: x (n, c, in) -> y (n, c, out); legend and geometry in pool.h. scalar[1]: POOL_ADAPTIVE, or anything else.
 * Of equal elements the first is taken; a NaN is above all, and of several the last is taken. Of -inf alone, the first that lies inside.
 * place: a byte for each output, the tap that is the largest, of kernels of at most POOL_TAPS taps; taps count along the width, then the
 * height, then the depth. index: int64, the element's place in (d, h, w) of the input. Either may be NULL. */
/* A row of outputs. x: where tap (d.from, h.from, 0) of column 0 would be, in the image or in copies of its lines with -inf for padding;
 * deep, high: from there to the next tap along depth and height. y, place and index begin with the row. */
typedef struct N(max_row) {
    const T *plane, *x;
    size_t deep, high;
    pool_span d, h;
    T *y;
    uint8_t *place;
    int64_t *index;
    int64_t begin;
} N(max_row);

/* The first tap along the width that is not padding, of outputs o ... */
static vint N(max_first)(const pd_window *w, size_t o) {
    ubits_t first[VL];
    for (size_t i = 0; i < VL; i++) {
        const size_t at = (o + i) * w->stride[2];
        first[i] = at < w->pad[2] ? (ubits_t)ceil_div(w->pad[2] - at, w->dilation[2]) : 0;
    }
    vint to;
    memcpy(&to, first, sizeof to);
    return to;
}

/* Outputs o ... o + left - 1 (a vector at most). step: 1, 2, or 0 for whatever the stride is; wide: the width of the kernel, or 0 for
 * whatever it is. */
INLINE void N(max_block)(const pd_window *w, const N(max_row) *row, size_t o, size_t left, const size_t step, const size_t wide,
                         const int placed, uint8_t *place) {
    const size_t kernel = wide ? wide : w->kernel[2], apart = wide ? 1 : w->dilation[2];
    const T *from = row->x + o * (step ? step : w->stride[2]);
    vreal best = v_set(-(T)INFINITY);
    vint at = (vint)v_bits((ubits_t)((row->d.from * w->kernel[1] + row->h.from) * kernel));
    if (placed && o * w->stride[2] < w->pad[2]) at += N(max_first)(w, o);
    for (size_t kd = row->d.from; kd < row->d.to; kd++)
        for (size_t kh = row->h.from; kh < row->h.to; kh++) {
            const T *x = from + (kd - row->d.from) * row->deep + (kh - row->h.from) * row->high;
            const size_t tap = (kd * w->kernel[1] + kh) * kernel;
            V_UNROLL4
            for (size_t k = 0; k < kernel; k += step == 2 ? 2 : 1) {
                if (step == 2) {
                    const size_t both = k + 1 < kernel, count = 2 * left - 1 + both;
                    const vreal a = v_load_left(x + k, count), b = count > VL ? v_load_left(x + k + VL, count - VL) : a;
                    N(max_take)(v_even(a, b), tap + k, placed, &best, &at);
                    if (both) N(max_take)(v_odd(a, b), tap + k + 1, placed, &best, &at);
                } else if (step == 1) N(max_take)(v_load_left(x + k * apart, left), tap + k, placed, &best, &at);
                else {
                    T some[VL] = {0};
                    for (size_t i = 0; i < left; i++) some[i] = x[i * w->stride[2] + k * apart];
                    N(max_take)(v_load(some), tap + k, placed, &best, &at);
                }
            }
        }
    v_store_left(row->y + o, best, left);
    if (placed) N(put_places)(place, at, left);
}

INLINE void N(max_blocks)(const pd_window *w, const N(max_row) *row, pool_range inner, const int64_t *offset, const size_t step,
                          const size_t wide, const int placed) {
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

/* Where the columns of a row are to be had: in the image, or with padding on either side in `stage` -> which outputs these are */
static pool_range N(max_columns)(const N(pool_job) *job, N(max_row) *row, T *stage) {
    const pd_window *w = &job->launch->window;
    const size_t line = w->in[2], pad = w->pad[2], rows = (row->d.to - row->d.from) * (row->h.to - row->h.from);
    const size_t width = (w->out[2] - 1) * w->stride[2] + w->dilation[2] * (w->kernel[2] - 1) + 1;
    const T *x = row->plane + ((size_t)(row->d.at + (ptrdiff_t)(row->d.from * w->dilation[0])) * w->in[1] +
                               (size_t)(row->h.at + (ptrdiff_t)(row->h.from * w->dilation[1]))) * line;
    row->deep = w->dilation[0] * w->in[1] * line, row->high = w->dilation[1] * line;
    row->x = x - pad;
    if ((job->inner.first == 0 && job->inner.end == w->out[2]) || job->mode == POOL_ADAPTIVE || !job->staged || rows > POOL_ROWS / width)
        return job->inner;
    const size_t inside = min_size(line, width - pad);
    for (size_t kd = row->d.from; kd < row->d.to; kd++)
        for (size_t kh = row->h.from; kh < row->h.to; kh++, stage += width) {
            const T *from = x + (kd - row->d.from) * row->deep + (kh - row->h.from) * row->high;
            for (size_t i = 0; i < pad; i++) stage[i] = -(T)INFINITY;
            for (size_t i = 0; i < inside; i += VL) v_store_left(stage + pad + i, v_load_left(from + i, inside - i), inside - i);
            for (size_t i = pad + inside; i < width; i++) stage[i] = -(T)INFINITY;
        }
    row->x = stage - rows * width;
    row->high = width, row->deep = width * (row->h.to - row->h.from);
    return (pool_range){0, w->out[2]};
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
    T stage[POOL_ROWS];
    if (launch->buf[3] && job->staged) pool_offsets(w, offset);
    for (size_t r = first; r < last; r++) {
        N(max_row) row = {.plane = (const T *)launch->buf[0] + plane * volume(w->in), .d = pool_taps(w, 0, od, adaptive),
                          .h = pool_taps(w, 1, oh, adaptive), .y = (T *)launch->buf[1] + r * columns, .begin = pool_begin(w, od, oh)};
        if (launch->buf[2]) row.place = (uint8_t *)launch->buf[2] + r * columns;
        if (launch->buf[3]) row.index = (int64_t *)launch->buf[3] + r * columns;
        const pool_range quick = N(max_columns)(job, &row, stage);
        for (size_t o = 0; o < quick.first; o++) N(max_window)(w, &row, o, adaptive);
        inner(w, &row, quick, offset);
        for (size_t o = quick.end; o < columns; o++) N(max_window)(w, &row, o, adaptive);
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
    if (N(pool_lanes_fit)(w, job.mode)) {
        N(pool_lanes_run)(launch, N(pool_lanes_max_fwd));
        return;
    }
    if (!launch->buf[3] && N(quarters_fit)(w)) {
        N(quarters_run)(launch, N(QUARTERS_MAX));
        return;
    }
    job.staged = job.mode != POOL_ADAPTIVE && !(launch->buf[3] && many);
    job.inner = job.staged ? pool_inner(w, 0) : (pool_range){0, 0};
    pool_parallel(job.rows, job.per_chunk, w->n * w->c * volume(w->in), N(max_fwd_chunk), &job);
}

/* ---- By places: y = x at them; and back, dx = dy added there and 0 elsewhere. A plane is one chunk's. ---- */

/* a: what is read. b: what is written */
static void N(places_plane)(const pd_window *w, const int64_t *offset, const T *a, const uint8_t *place, T *b, int back) {
    if (back) memset(b, 0, volume(w->in) * sizeof(T));
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
    const size_t in = volume(w->in), out = volume(w->out), last = min_size((chunk + 1) * job->per_chunk, job->rows);
    const uint8_t *place = job->launch->buf[1];
    int64_t offset[POOL_TAPS];
    pool_offsets(w, offset);
    for (size_t p = chunk * job->per_chunk; p < last; p++) {
        const T *a = (const T *)job->launch->buf[0] + p * (job->mode ? out : in);
        T *b = (T *)job->launch->buf[2] + p * (job->mode ? in : out);
        N(places_plane)(w, offset, a, place + p * out, b, job->mode);
    }
}

static void N(places_run)(const pd_launch *launch, int back) {
    const pd_window *w = &launch->window;
    const size_t planes = w->n * w->c, in = volume(w->in);
    if (back && N(pool_lanes_fit)(w, POOL_INSIDE)) {
        N(pool_lanes_run)(launch, N(pool_lanes_max_bwd));
        return;
    }
    if (back && N(quarters_fit)(w)) {
        N(quarters_run)(launch, N(QUARTERS_MAX_BACK));
        return;
    }
    N(pool_job) job = {launch, planes, max_size(1, POOL_UNIT / in), {0, 0}, back, 0};
    pool_parallel(planes, job.per_chunk, planes * in, N(places_chunk), &job);
}

static void N(max_pool_bwd)(const pd_launch *launch) { N(places_run)(launch, 1); }
static void N(max_pool_pick)(const pd_launch *launch) { N(places_run)(launch, 0); }
