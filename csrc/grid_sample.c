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
    int32_t index[4][GRID_BLOCK];
    T weight[4][GRID_BLOCK];
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

static int32_t N(grid_pixel)(const N(grid_job) *job, T at, size_t size) {
    T slope = 1;
    if (job->outside == GRID_REFLECTION) at = N(grid_reflected)(at, size, job->align, &slope);
    if (job->outside != GRID_ZEROS) at = N(grid_clipped)(at, size, &slope);
    return at > -1 && at < (T)size ? (int32_t)at : -1;
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

/* Coordinates in pixels, where they lie once what is outside is brought in, and their slopes */
static void N(grid_coordinates)(const N(grid_job) *job, const T *g, size_t size, size_t count, T *at, T *slope) {
    const T unit = job->align ? (T)(size - 1) / 2 : (T)size / 2, start = job->align ? 0 : (T)-0.5;
    for (size_t p = 0; p < count; p++) at[p] = N(resample_fma)(g[p * (size_t)job->dims] + 1, unit, start), slope[p] = unit;
    if (job->mode == GRID_CUBIC || job->outside == GRID_ZEROS) return;
    if (job->outside == GRID_REFLECTION)
        for (size_t p = 0; p < count; p++) at[p] = N(grid_reflected)(at[p], size, job->align, slope + p);
    for (size_t p = 0; p < count; p++) at[p] = N(grid_clipped)(at[p], size, slope + p);
}

static void N(grid_linear)(const T *at, const T *slope, size_t size, size_t count, int order, N(grid_axis) *to) {
    const T end = (T)size;
    for (size_t p = 0; p < count; p++) {
        const T below = N(resample_floor)(at[p]), t = at[p] - below, above = below + 1;
        to->index[0][p] = below > -1 && below < end ? (int32_t)below : -1;
        to->index[1][p] = above > -1 && above < end ? (int32_t)above : -1;
        to->weight[0][p] = 1 - t, to->weight[1][p] = t;
    }
    for (size_t p = 0; p < count && order; p++) to->weight[1][p] = order > 1 ? 0 : slope[p], to->weight[0][p] = -to->weight[1][p];
}

static void N(grid_along)(const N(grid_job) *job, const T *g, size_t size, size_t count, int order, N(grid_axis) *to) {
    T at[GRID_BLOCK], slope[GRID_BLOCK], weight[4];
    N(grid_coordinates)(job, g, size, count, at, slope);
    to->count = job->mode == GRID_LINEAR ? 2 : job->mode == GRID_NEAREST ? 1 : 4;
    if (job->mode == GRID_LINEAR) N(grid_linear)(at, slope, size, count, order, to);
    else if (job->mode == GRID_NEAREST)
        for (size_t p = 0; p < count; p++)
            to->index[0][p] = N(grid_pixel)(job, (T)nearbyint((double)at[p]), size), to->weight[0][p] = order ? 0 : 1;
    else
        for (size_t p = 0; p < count; p++) {
            const T below = N(resample_floor)(at[p]);
            T factor = 1;
            for (int k = 0; k < order; k++) factor *= slope[p];
            N(grid_cubic)(at[p] - below, order, weight);
            for (int k = 0; k < 4; k++) {
                to->index[k][p] = N(grid_pixel)(job, below + (T)(k - 1), size);
                to->weight[k][p] = order ? weight[k] * factor : weight[k];
            }
        }
}

/* Taps of `count` outputs from `first` on; by: the axis that the weights are differentiated by once more, or -1; weights go to set `set`. */
static void N(grid_find)(const N(grid_job) *job, size_t n, size_t first, size_t count, int by, int set, N(grid_taps) *to) {
    const pd_window *g = &job->launch->window;
    const T *place = job->grid + (n * job->places + first) * (size_t)job->dims;
    N(grid_axis) axis[PD_SPACE];
    if (job->dims < PD_SPACE) {
        axis[0].count = 1;
        for (size_t p = 0; p < count; p++) axis[0].index[0][p] = 0, axis[0].weight[0][p] = 1;
    }
    for (int d = 0; d < job->dims; d++) {
        const int a = PD_SPACE - 1 - d;
        N(grid_along)(job, place + d, g->in[a], count, job->order[a] + (a == by), axis + a);
    }
    const uint32_t height = (uint32_t)g->in[1], width = (uint32_t)g->in[2];
    int tap = 0;
    for (int i = 0; i < axis[0].count; i++)
        for (int j = 0; j < axis[1].count; j++)
            for (int k = 0; k < axis[2].count; k++, tap++) {
                const int32_t *z = axis[0].index[i], *y = axis[1].index[j], *x = axis[2].index[k];
                const T *wz = axis[0].weight[i], *wy = axis[1].weight[j], *wx = axis[2].weight[k];
                int32_t *index = to->index[tap];
                T *weight = to->weight[set][tap];
                for (size_t p = count; p < GRID_BLOCK; p++) index[p] = 0, weight[p] = 0;
                for (size_t p = 0; p < count; p++) {
                    index[p] = (z[p] | y[p] | x[p]) < 0 ? -1 : (int32_t)(((uint32_t)z[p] * height + (uint32_t)y[p]) * width + (uint32_t)x[p]);
                    weight[p] = wz[p] * wy[p] * wx[p];
                }
            }
}

/* VL pixels, zero where the index is negative */
INLINE vreal N(grid_load)(const T *x, const int32_t *index) {
#if defined(__AVX512F__) && BITS == 32
    const __m512i at = _mm512_loadu_si512(index);
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), _mm512_cmpge_epi32_mask(at, _mm512_setzero_si512()), at, x, 4);
#elif defined(__AVX512F__)
    const __m256i at = _mm256_loadu_si256((const __m256i *)index);
    return _mm512_mask_i32gather_pd(_mm512_setzero_pd(), (__mmask8)~_mm256_movepi32_mask(at), at, x, 8);
#elif defined(__AVX2__) && BITS == 32
    const __m256i at = _mm256_loadu_si256((const __m256i *)index);
    return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), x, at, (__m256)~at, 4);
#else
    vreal y = {0};
    for (size_t i = 0; i < VL; i++)
        if (index[i] >= 0) y[i] = x[index[i]];
    return y;
#endif
}

/* to[set][p] = sum of weight[set][k] x[index[k]]; what is behind `count` are taps of pixel 0 with any weight. */
INLINE void N(grid_sums)(const N(grid_taps) *taps, const T *x, size_t count, const int each, const int sets, T (*to)[GRID_BLOCK]) {
    for (size_t p = 0; p < count; p += VL) {
        vreal sum[PD_SPACE];
        for (int s = 0; s < sets; s++) sum[s] = v_set(0);
        for (int k = 0; k < each; k++) {
            const vreal there = N(grid_load)(x, taps->index[k] + p);
            for (int s = 0; s < sets; s++) sum[s] = v_fma(there, v_load(taps->weight[s][k] + p), sum[s]);
        }
        for (int s = 0; s < sets; s++) v_store(to[s] + p, sum[s]);
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
            const T *x = job->x + c * job->in;
            if (job->taps == 4) N(grid_sums)(&taps, x, count, 4, 1, sums);
            else N(grid_sums)(&taps, x, count, job->taps, 1, sums);
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
            const T *x = job->x + c * job->in;
            if (job->taps == 4) N(grid_sums)(&taps, x, count, 4, 2, sums);
            else if (dims == 2) N(grid_sums)(&taps, x, count, job->taps, 2, sums);
            else N(grid_sums)(&taps, x, count, job->taps, 3, sums);
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
