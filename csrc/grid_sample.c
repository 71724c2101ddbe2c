/* Images looked at between their pixels: y (n, c, out) = sum over the taps k of weight[k] x[index[k]], where the taps of an output are found from its
 * place in grid (n, out, dims), whose numbers -1 ... 1 span the image; the last axis comes first. Jaderberg et al. 2015.
 *   weights    a product over the axes of those of nearest, linear or cubic (Keys 1981, a = -3/4) interpolation, or of their derivatives:
 *              `order` says which of each axis, 0 the interpolation itself
 *   outside    zeros, the border, or reflections; NaN is the first pixel there, and NaN where zeros are outside
 * Indices and weights of GRID_BLOCK outputs are found at a time, and used for all channels. An index of -1 is outside. */
#ifndef GRID_ONCE
#define GRID_ONCE
enum { GRID_LINEAR, GRID_NEAREST, GRID_CUBIC };
enum { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION };
enum { GRID_BLOCK = 64, GRID_TAPS = 16, GRID_UNIT = 1 << 12 /* taps of a chunk */, GRID_CHANNELS = 16 /* of a chunk of the transpose */ };
#endif

typedef struct N(grid_taps) {
    int32_t index[GRID_TAPS][GRID_BLOCK];
    T weight[PD_SPACE][GRID_TAPS][GRID_BLOCK]; /* one, or one for each axis that it is differentiated by */
} N(grid_taps);

typedef struct N(grid_job) {
    const pd_launch *launch;
    const T *x, *dy, *grid;
    T *y;
    size_t channels, places, in, blocks, per_chunk, groups; /* places: outputs of an image; in: pixels */
    int mode, outside, align, dims, taps, order[PD_SPACE];
} N(grid_job);

/* The taps of one axis */
typedef struct N(grid_axis) {
    int count;
    ptrdiff_t index[4];
    T weight[4];
} N(grid_axis);

/* A coordinate where reflections at the borders bring it; *slope: times what that does to its derivative */
static T N(grid_reflected)(T at, size_t size, int align, T *slope) {
    const T low = align ? 0 : (T)-0.5, span = align ? (T)(size - 1) : (T)size, d = at - low, far = d < 0 ? -d : d;
    if (!(span > 0)) {
        *slope = 0;
        return 0;
    }
    const T flips = N(resample_floor)(far / span), rest = (T)fmod((double)far, (double)span);
    const int odd = N(resample_floor)(flips / 2) * 2 != flips;
    if ((d < 0) != odd) *slope = -*slope;
    return odd ? span - rest + low : rest + low;
}

static T N(grid_clipped)(T at, size_t size, T *slope) {
    const T last = (T)(size - 1);
    if (at > 0 && at < last) return at;
    *slope = 0;
    return at > 0 ? last : 0;
}

static ptrdiff_t N(grid_pixel)(const N(grid_job) *job, T at, size_t size) {
    T slope = 1;
    if (job->outside == GRID_REFLECTION) at = N(grid_reflected)(at, size, job->align, &slope);
    if (job->outside != GRID_ZEROS) at = N(grid_clipped)(at, size, &slope);
    return at > -1 && at < (T)size ? (ptrdiff_t)at : -1;
}

/* Derivatives of Keys' cubic by its argument, for the taps at distances 1 + t, t, 1 - t, 2 - t */
static void N(grid_cubic)(T t, int order, T *w) {
    const T a = (T)-0.75, u = 1 - t;
    if (order == 0) w[0] = N(cubic_far)(1 + t, a), w[1] = N(cubic_near)(t, a), w[2] = N(cubic_near)(u, a), w[3] = N(cubic_far)(1 + u, a);
    else if (order == 1) {
        w[0] = (3 * a * (t + 1) - 10 * a) * (t + 1) + 8 * a, w[1] = (3 * (a + 2) * t - 2 * (a + 3)) * t;
        w[2] = -(3 * (a + 2) * u - 2 * (a + 3)) * u, w[3] = -((3 * a * (u + 1) - 10 * a) * (u + 1) + 8 * a);
    } else if (order == 2) {
        w[0] = 6 * a * (t + 1) - 10 * a, w[1] = 6 * (a + 2) * t - 2 * (a + 3);
        w[2] = 6 * (a + 2) * u - 2 * (a + 3), w[3] = 6 * a * (u + 1) - 10 * a;
    } else {
        w[0] = 6 * a, w[1] = 6 * (a + 2), w[2] = -6 * (a + 2), w[3] = -6 * a;
        for (int k = 0; k < 4 && order > 3; k++) w[k] = 0;
    }
}

static void N(grid_along)(const N(grid_job) *job, T g, size_t size, int order, N(grid_axis) *to) {
    T slope = job->align ? (T)(size - 1) / 2 : (T)size / 2, factor = 1;
    T at = job->align ? (g + 1) * slope : N(resample_fma)(g + 1, slope, (T)-0.5);
    to->count = job->mode == GRID_LINEAR ? 2 : job->mode == GRID_NEAREST ? 1 : 4;
    if (job->mode != GRID_CUBIC && job->outside != GRID_ZEROS) {
        if (job->outside == GRID_REFLECTION) at = N(grid_reflected)(at, size, job->align, &slope);
        at = N(grid_clipped)(at, size, &slope);
    }
    for (int k = 0; k < order; k++) factor *= slope;
    if (job->mode == GRID_NEAREST) {
        to->index[0] = N(grid_pixel)(job, (T)nearbyint((double)at), size);
        to->weight[0] = order ? 0 : 1;
        return;
    }
    const T below = N(resample_floor)(at), t = at - below;
    if (job->mode == GRID_LINEAR) to->weight[0] = order ? -1 : 1 - t, to->weight[1] = order ? 1 : t;
    else N(grid_cubic)(t, order, to->weight);
    for (int k = 0; k < to->count; k++) {
        const T there = below + (T)(k - (job->mode == GRID_CUBIC));
        to->index[k] = job->mode == GRID_CUBIC ? N(grid_pixel)(job, there, size) : there > -1 && there < (T)size ? (ptrdiff_t)there : -1;
        if (order) to->weight[k] = job->mode == GRID_LINEAR && order > 1 ? 0 : to->weight[k] * factor;
    }
}

/* Taps of `count` outputs from `first` on; by: the axis that the weights are differentiated by once more, or -1; weights go to set `set`. */
static void N(grid_find)(const N(grid_job) *job, size_t n, size_t first, size_t count, int by, int set, N(grid_taps) *to) {
    const pd_window *g = &job->launch->window;
    const int dims = job->dims;
    for (size_t p = 0; p < count; p++) {
        const T *place = job->grid + ((n * job->places) + first + p) * (size_t)dims;
        N(grid_axis) axis[PD_SPACE] = {{.count = 1, .weight = {1}}, {.count = 1}, {.count = 1}};
        for (int d = 0; d < dims; d++) {
            const int a = PD_SPACE - 1 - d;
            N(grid_along)(job, place[d], g->in[a], job->order[a] + (a == by), axis + a);
        }
        int tap = 0;
        for (int i = 0; i < axis[0].count; i++)
            for (int j = 0; j < axis[1].count; j++)
                for (int k = 0; k < axis[2].count; k++, tap++) {
                    const ptrdiff_t z = axis[0].index[i], y = axis[1].index[j], x = axis[2].index[k];
                    const ptrdiff_t at = (z * (ptrdiff_t)g->in[1] + y) * (ptrdiff_t)g->in[2] + x;
                    to->index[tap][p] = z < 0 || y < 0 || x < 0 ? -1 : (int32_t)at;
                    to->weight[set][tap][p] = axis[0].weight[i] * axis[1].weight[j] * axis[2].weight[k];
                }
    }
}

/* to[set][p] = sum of weight[set][k] x[index[k]] */
INLINE void N(grid_sums)(const N(grid_taps) *taps, const T *x, size_t count, const int each, const int sets, T (*to)[GRID_BLOCK]) {
    for (int s = 0; s < sets; s++)
        for (size_t p = 0; p < count; p++) to[s][p] = 0;
    for (int k = 0; k < each; k++) {
        const int32_t *index = taps->index[k];
        for (int s = 0; s < sets; s++) {
            const T *weight = taps->weight[s][k];
            for (size_t p = 0; p < count; p++) {
                const T there = x[index[p] < 0 ? 0 : index[p]];
                to[s][p] += weight[p] * (index[p] < 0 ? 0 : there);
            }
        }
    }
}

static void N(grid_sample_chunk)(void *context, size_t chunk) {
    const N(grid_job) *job = context;
    const size_t last = min_size(job->launch->window.n * job->blocks, (chunk + 1) * job->per_chunk);
    N(grid_taps) taps;
    T sums[1][GRID_BLOCK];
    for (size_t unit = chunk * job->per_chunk; unit < last; unit++) {
        const size_t n = unit / job->blocks, first = unit % job->blocks * GRID_BLOCK, count = min_size(GRID_BLOCK, job->places - first);
        N(grid_find)(job, n, first, count, -1, 0, &taps);
        for (size_t c = n * job->channels; c < (n + 1) * job->channels; c++) {
            N(grid_sums)(&taps, job->x + c * job->in, count, job->taps, 1, sums);
            memcpy(job->y + c * job->places + first, sums[0], count * sizeof(T));
        }
    }
}

static N(grid_job) N(grid_of)(const pd_launch *launch) {
    const pd_window *g = &launch->window;
    const unsigned how = (unsigned)launch->scalar[0], orders = (unsigned)launch->scalar[1];
    N(grid_job) job = {.launch = launch, .channels = g->c, .places = g->out[0] * g->out[1] * g->out[2], .in = g->in[0] * g->in[1] * g->in[2],
                       .mode = how & 3, .outside = how >> 2 & 3, .align = how >> 4 & 1, .dims = how >> 5 & 1 ? 3 : 2, .taps = 1};
    for (int d = 0; d < job.dims; d++) {
        job.taps *= job.mode == GRID_LINEAR ? 2 : job.mode == GRID_NEAREST ? 1 : 4;
        job.order[PD_SPACE - 1 - d] = orders >> 4 * d & 15;
    }
    job.blocks = ceil_div(job.places, GRID_BLOCK);
    job.per_chunk = max_size(1, GRID_UNIT / (GRID_BLOCK * (size_t)job.taps * max_size(1, job.channels)));
    return job;
}

static void N(grid_run)(N(grid_job) *job, size_t chunks, pd_task task) {
    if (chunks > 1 && job->launch->window.n * job->places * job->channels * (size_t)job->taps > 2 * GRID_UNIT) pd_parallel(chunks, task, job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(job, chunk);
}

/* buf: x (n, c, in), grid, y (n, c, out). pd_window: n, c, in, out. scalar: mode + 4 outside + 16 aligned + 32 three axes; the orders
 * of the derivatives, 4 bits an axis, the last axis lowest. */
static void N(grid_sample)(const pd_launch *launch) {
    N(grid_job) job = N(grid_of)(launch);
    job.x = launch->buf[0], job.grid = launch->buf[1], job.y = launch->buf[2];
    N(grid_run)(&job, ceil_div(launch->window.n * job.blocks, job.per_chunk), N(grid_sample_chunk));
}

/* Some channels of an image: the outputs are gone through in order, so that sums have one. */
static void N(grid_turned_chunk)(void *context, size_t chunk) {
    const N(grid_job) *job = context;
    const size_t n = chunk / job->groups, first = n * job->channels + chunk % job->groups * GRID_CHANNELS;
    const size_t last = min_size(first + GRID_CHANNELS, (n + 1) * job->channels);
    N(grid_taps) taps;
    memset(job->y + first * job->in, 0, (last - first) * job->in * sizeof(T));
    for (size_t block = 0; block < job->blocks; block++) {
        const size_t start = block * GRID_BLOCK, count = min_size(GRID_BLOCK, job->places - start);
        N(grid_find)(job, n, start, count, -1, 0, &taps);
        for (size_t c = first; c < last; c++) {
            const T *dy = job->dy + c * job->places + start;
            T *to = job->y + c * job->in;
            for (size_t p = 0; p < count; p++)
                for (int k = 0; k < job->taps; k++)
                    if (taps.index[k][p] >= 0) to[taps.index[k][p]] += taps.weight[0][k][p] * dy[p];
        }
    }
}

/* The transpose: buf: dy (n, c, out), grid, dx (n, c, in); the rest as above. */
static void N(grid_sample_turned)(const pd_launch *launch) {
    N(grid_job) job = N(grid_of)(launch);
    job.dy = launch->buf[0], job.grid = launch->buf[1], job.y = launch->buf[2];
    job.groups = ceil_div(job.channels, GRID_CHANNELS);
    N(grid_run)(&job, launch->window.n * job.groups, N(grid_turned_chunk));
}

static void N(grid_slope_chunk)(void *context, size_t chunk) {
    const N(grid_job) *job = context;
    const size_t dims = (size_t)job->dims, last = min_size(job->launch->window.n * job->blocks, (chunk + 1) * job->per_chunk);
    N(grid_taps) taps;
    for (size_t unit = chunk * job->per_chunk; unit < last; unit++) {
        const size_t n = unit / job->blocks, first = unit % job->blocks * GRID_BLOCK, count = min_size(GRID_BLOCK, job->places - first);
        T sums[PD_SPACE][GRID_BLOCK], all[PD_SPACE][GRID_BLOCK] = {{0}};
        for (size_t d = 0; d < dims; d++) N(grid_find)(job, n, first, count, PD_SPACE - 1 - (int)d, (int)d, &taps);
        for (size_t c = n * job->channels; c < (n + 1) * job->channels; c++) {
            const T *dy = job->dy + c * job->places + first;
            N(grid_sums)(&taps, job->x + c * job->in, count, job->taps, job->dims, sums);
            for (size_t d = 0; d < dims; d++)
                for (size_t p = 0; p < count; p++) all[d][p] += dy[p] * sums[d][p];
        }
        T *to = job->y + (n * job->places + first) * dims;
        for (size_t p = 0; p < count; p++)
            for (size_t d = 0; d < dims; d++) to[p * dims + d] = all[d][p];
    }
}

/* The gradient of the grid: buf: dy, x, grid, dgrid (n, out, dims); the rest as above. */
static void N(grid_sample_slope)(const pd_launch *launch) {
    N(grid_job) job = N(grid_of)(launch);
    job.dy = launch->buf[0], job.x = launch->buf[1], job.grid = launch->buf[2], job.y = launch->buf[3];
    N(grid_run)(&job, ceil_div(launch->window.n * job.blocks, job.per_chunk), N(grid_slope_chunk));
}
