/* Regions of interest: x (n, c, in[1], in[2]) images, boxes (groups, 5): the image's number, x1, y1, x2, y2, times scalar[0] in pixels of x;
 * y (groups, o, out[1], out[2]), all contiguous. A pd_window: groups is the number of boxes.
 *   roi_align_fwd   a box is cut into out[1] x out[2] bins, each the mean of samples that are interpolated between the four pixels around them
 *                   (He et al. 2017). scalar[1]: samples a bin along each axis, or 0: one a pixel, at least; [2]: pixels are points at .5,
 *                   and boxes below one pixel stay so; [3]: bin i of channel c reads channel c out[1] out[2] + i of x (Dai et al. 2016)
 *   roi_align_bwd   its transpose: dy -> dx
 *   roi_pool        the largest pixel of each bin, whose edges are rounded, and where it is; 0 and -1 of an empty bin (Girshick 2015)
 * A sample's four weights are products of one along y and one along x. So are the bin's: the tables of a box hold, for every bin along an
 * axis, the weight of each pixel and the range of those that are not 0. Forward, boxes are spread over threads, backward channels. */
#ifndef ROI_ONCE
#define ROI_ONCE
enum { ROI_CHUNKS = 32, ROI_ALONE = 1 << 15 };

typedef struct roi_range {
    size_t first, end;
} roi_range;
#endif

typedef struct N(roi_tables) {
    T *wy, *wx; /* (out[1], in[1]), (out[2], in[2]) */
    roi_range *y, *x;
} N(roi_tables);

static size_t N(roi_bytes)(const pd_window *w) {
    const size_t weights = (w->out[1] * w->in[1] + w->out[2] * w->in[2]) * sizeof(T);
    return ceil_div(weights, 64) * 64 + ceil_div((w->out[1] + w->out[2]) * sizeof(roi_range), 64) * 64;
}

static N(roi_tables) N(roi_place)(const pd_launch *launch, size_t chunk) {
    const pd_window *w = &launch->window;
    char *at = (char *)launch->workspace + chunk * N(roi_bytes)(w);
    N(roi_tables) t = {.wy = (T *)at, .wx = (T *)at + w->out[1] * w->in[1]};
    t.y = (roi_range *)(at + ceil_div((w->out[1] * w->in[1] + w->out[2] * w->in[2]) * sizeof(T), 64) * 64);
    t.x = t.y + w->out[1];
    return t;
}

/* One axis of `size` pixels: bins of `length`, the first one from `start` on, `samples` in each */
static void N(roi_axis)(T *weight, roi_range *range, size_t bins, size_t size, double start, double length, double samples) {
    const double step = samples > 0 ? length / samples : 0;
    for (size_t b = 0; b < bins; b++, weight += size) {
        const double from = start + (double)b * length + 0.5 * step;
        double low = 0, high = length <= DBL_MAX ? samples : 0; /* samples outside of -1 .. size count for nothing */
        if (step > 0) {
            low = fmax(low, floor((-1 - from) / step) - 1);
            high = fmin(high, ceil(((double)size - from) / step) + 2);
        }
        roi_range r = {size, 0};
        memset(weight, 0, size * sizeof(T));
        const size_t count = high > low ? (size_t)(high - low) : 0;
        for (size_t k = 0; k < count; k++) {
            const double at = fmax(from + (low + (double)k) * step, -1), inside = fmax(at, 0);
            if (from + (low + (double)k) * step < -1 || at > (double)size) continue;
            const size_t lower = min_size((size_t)inside, size - 1), upper = min_size(lower + 1, size - 1);
            const double part = lower == upper ? 0 : inside - (double)lower;
            weight[lower] += (T)((1 - part) / samples);
            weight[upper] += (T)(part / samples);
            r.first = min_size(r.first, lower);
            r.end = max_size(r.end, upper + 1);
        }
        range[b] = r;
    }
}

static void N(roi_weights)(const pd_launch *launch, const N(roi_tables) *t, const T *box) {
    const pd_window *w = &launch->window;
    const double scale = launch->scalar[0], whole = launch->scalar[1], shift = launch->scalar[2] != 0 ? 0.5 : 0;
    const double least = launch->scalar[2] != 0 ? 0 : 1;
    for (size_t d = 0; d < 2; d++) { /* x, then y */
        const double start = (double)box[1 + d] * scale - shift, extent = fmax((double)box[3 + d] * scale - shift - start, least);
        const double length = extent / (double)w->out[2 - d], samples = whole > 0 ? whole : ceil(length);
        N(roi_axis)(d ? t->wy : t->wx, d ? t->y : t->x, w->out[2 - d], w->in[2 - d], start, length, samples);
    }
}

/* Which plane of x bin i of output channel c of a box's image reads */
INLINE size_t N(roi_plane)(const pd_launch *launch, const T *box, size_t c, size_t i) {
    const pd_window *w = &launch->window;
    return ((size_t)box[0] * w->c + (launch->scalar[3] != 0 ? c * w->out[1] * w->out[2] + i : c)) * w->in[1] * w->in[2];
}

static void N(roi_align_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const pd_window *w = &launch->window;
    const size_t each = ceil_div(w->groups, ROI_CHUNKS), last = min_size(w->groups, (chunk + 1) * each), columns = w->in[2];
    const N(roi_tables) t = N(roi_place)(launch, chunk);
    for (size_t k = chunk * each; k < last; k++) {
        const T *box = (const T *)launch->buf[1] + 5 * k, *x = launch->buf[0];
        T *y = (T *)launch->buf[2] + k * w->o * w->out[1] * w->out[2];
        N(roi_weights)(launch, &t, box);
        for (size_t c = 0; c < w->o; c++)
            for (size_t p = 0; p < w->out[1]; p++)
                for (size_t q = 0; q < w->out[2]; q++) {
                    const T *plane = x + N(roi_plane)(launch, box, c, p * w->out[2] + q), *wy = t.wy + p * w->in[1], *wx = t.wx + q * columns;
                    T sum = 0;
                    for (size_t i = t.y[p].first; i < t.y[p].end; i++) {
                        T row = 0;
                        for (size_t j = t.x[q].first; j < t.x[q].end; j++) row += wx[j] * plane[i * columns + j];
                        sum += wy[i] * row;
                    }
                    *y++ = sum;
                }
    }
}

static void N(roi_align_bwd_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const pd_window *w = &launch->window;
    const size_t each = ceil_div(w->o, ROI_CHUNKS), first = chunk * each, last = min_size(w->o, first + each), columns = w->in[2];
    const size_t bins = w->out[1] * w->out[2], planes = launch->scalar[3] != 0 ? bins : 1, pixels = w->in[1] * columns;
    const N(roi_tables) t = N(roi_place)(launch, chunk);
    T *dx = launch->buf[2];
    for (size_t n = 0; first < last && n < w->n; n++) memset(dx + (n * w->c + first * planes) * pixels, 0, (last - first) * planes * pixels * sizeof(T));
    for (size_t k = 0; first < last && k < w->groups; k++) {
        const T *box = (const T *)launch->buf[1] + 5 * k, *dy = (const T *)launch->buf[0] + (k * w->o + first) * bins;
        N(roi_weights)(launch, &t, box);
        for (size_t c = first; c < last; c++)
            for (size_t p = 0; p < w->out[1]; p++)
                for (size_t q = 0; q < w->out[2]; q++) {
                    T *plane = dx + N(roi_plane)(launch, box, c, p * w->out[2] + q);
                    const T *wy = t.wy + p * w->in[1], *wx = t.wx + q * columns, share = *dy++;
                    for (size_t i = t.y[p].first; i < t.y[p].end; i++)
                        for (size_t j = t.x[q].first; j < t.x[q].end; j++) plane[i * columns + j] += wy[i] * share * wx[j];
                }
    }
}

static void N(roi_run)(const pd_launch *launch, pd_task task, size_t chunks) {
    const pd_window *w = &launch->window;
    if (chunks > 1 && w->groups * w->o * w->out[1] * w->out[2] >= ROI_ALONE) pd_parallel(chunks, task, (void *)(uintptr_t)launch);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task((void *)(uintptr_t)launch, chunk);
}

static void N(roi_align_fwd)(const pd_launch *launch) { N(roi_run)(launch, N(roi_align_chunk), min_size(ROI_CHUNKS, launch->window.groups)); }
static void N(roi_align_bwd)(const pd_launch *launch) { N(roi_run)(launch, N(roi_align_bwd_chunk), min_size(ROI_CHUNKS, launch->window.o)); }
static size_t N(roi_align_fwd_workspace)(const pd_launch *launch) { return min_size(ROI_CHUNKS, launch->window.groups) * N(roi_bytes)(&launch->window); }
static size_t N(roi_align_bwd_workspace)(const pd_launch *launch) { return min_size(ROI_CHUNKS, launch->window.o) * N(roi_bytes)(&launch->window); }

/* Bin b of `bins` along an axis of `size` pixels, for a box of `length` pixels from `start` on */
INLINE roi_range N(roi_bin)(size_t b, size_t bins, size_t size, double start, double length) {
    const double low = floor((double)b * length / (double)bins) + start, high = ceil((double)(b + 1) * length / (double)bins) + start;
    return (roi_range){(size_t)fmin(fmax(low, 0), (double)size), (size_t)fmin(fmax(high, 0), (double)size)};
}

static void N(roi_pool_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const pd_window *w = &launch->window;
    const size_t each = ceil_div(w->groups, ROI_CHUNKS), last = min_size(w->groups, (chunk + 1) * each), columns = w->in[2];
    for (size_t k = chunk * each; k < last; k++) {
        const T *box = (const T *)launch->buf[1] + 5 * k, *x = launch->buf[0];
        T *y = (T *)launch->buf[2] + k * w->o * w->out[1] * w->out[2];
        int64_t *index = (int64_t *)launch->buf[3] + k * w->o * w->out[1] * w->out[2];
        double start[2], length[2];
        for (size_t d = 0; d < 2; d++) {
            start[d] = round((double)box[1 + d] * launch->scalar[0]);
            length[d] = fmax(round((double)box[3 + d] * launch->scalar[0]) - start[d] + 1, 1);
        }
        for (size_t c = 0; c < w->o; c++) {
            const size_t plane = ((size_t)box[0] * w->c + c) * w->in[1] * columns;
            for (size_t p = 0; p < w->out[1]; p++)
                for (size_t q = 0; q < w->out[2]; q++) {
                    const roi_range rows = N(roi_bin)(p, w->out[1], w->in[1], start[1], length[1]);
                    const roi_range across = N(roi_bin)(q, w->out[2], columns, start[0], length[0]);
                    T most = 0;
                    int64_t at = -1;
                    for (size_t i = rows.first; i < rows.end; i++)
                        for (size_t j = across.first; j < across.end; j++) {
                            const T here = x[plane + i * columns + j];
                            if (at < 0 || here > most || (here != here && most == most)) most = here, at = (int64_t)(plane + i * columns + j);
                        }
                    *y++ = most;
                    *index++ = at;
                }
        }
    }
}

static void N(roi_pool)(const pd_launch *launch) { N(roi_run)(launch, N(roi_pool_chunk), min_size(ROI_CHUNKS, launch->window.groups)); }
