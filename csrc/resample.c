/* Resampling along the axes of images: y[o] = sum of weight[k] x[index[k]] over the taps k of o, axis by axis.
 *   x (n, in), y (n, out); up to three axes, of which one is stepped through at a time. `turned`: the transpose, x (n, out), y (n, in).
 * The taps of an axis are found anew in every launch, as that is little beside the pixels. Their arithmetic is PyTorch's down to the
 * fused multiply-adds, in T, so that no pixel falls on the other side of a boundary.
 *   nearest        x[floor(o r)], r = in / out, or 1 / scale where a scale is given; nearest exact: x[floor((o + 1/2) r)]; of images
 *                  of two axes in float32, and by the sizes alone where the axis stays as it is or doubles
 *   linear, cubic  around (o + 1/2) r - 1/2, or with aligned corners o (in - 1) / (out - 1); Keys 1981, a = -3/4
 *   area           the mean of x[floor(o r)] ... x[ceil((o + 1) r) - 1]
 *   smooth ...     against aliasing: a triangle, a cubic (a = -1/2) or Lanczos' window (3 lobes), as wide as r where r > 1
 * Where an axis has neighbours inside, a tap is a row of them. The last axis is turned first, R rows at a time, so that it
 * has. Many images: each goes through all axes at once, by a buffer of its chunk; few: each axis in turn, in chunks of rows. */
#ifndef RESAMPLE_ONCE
#define RESAMPLE_ONCE
enum { RESAMPLE_NEAREST, RESAMPLE_EXACT, RESAMPLE_LINEAR, RESAMPLE_CUBIC, RESAMPLE_AREA, RESAMPLE_SMOOTH_LINEAR, RESAMPLE_SMOOTH_CUBIC,
       RESAMPLE_LANCZOS };
enum {
    RESAMPLE_CHUNKS = 64,       /* most of them: each has a buffer */
    RESAMPLE_UNIT = 1 << 14,    /* elements of a chunk, at least */
    RESAMPLE_BATCH = 1 << 13,   /* elements of small images that go through together */
    RESAMPLE_FEW = 16,          /* images are not enough to be shared out */
    RESAMPLE_ALONE = 1 << 15,   /* elements that one thread does as fast */
    RESAMPLE_TURNED = 4,        /* rows are turned, so that vectors hold rows */
};

static UNUSED size_t resample_most(int mode, size_t in, size_t out, double ratio) {
    if (mode <= RESAMPLE_EXACT) return 1;
    if (mode <= RESAMPLE_CUBIC) return mode == RESAMPLE_LINEAR ? 2 : 4;
    if (mode == RESAMPLE_AREA) return min_size(in, in / out + 2);
    const double reach = ceil((ratio > 1 ? ratio : 1) * (mode - RESAMPLE_SMOOTH_LINEAR + 1)) * 2 + 1;
    return reach < (double)in ? (size_t)reach : in;
}

/* `bytes` of the workspace; where there is none yet, they are only counted. */
static UNUSED void *resample_take(char *base, size_t *used, size_t bytes) {
    char *at = base ? base + *used : NULL;
    *used += (bytes + 63) & ~(size_t)63;
    return at;
}
#endif
#define R (2 * VL)

typedef struct N(resample_axis) {
    size_t in, out, from, to; /* from, to: the same, or the other way round where turned */
    size_t most;
    int stays;
    size_t *start, *index; /* the taps of o: start[o] ... start[o + 1] - 1 */
    T *weight;
} N(resample_axis);

typedef struct N(resample_pass) {
    N(resample_axis) *axis;
    size_t outer, inner; /* of an image */
    T *to;               /* few images: what comes out, or NULL at the end */
} N(resample_pass);

typedef struct N(resample_job) {
    const T *x;
    T *y, *buffers;
    N(resample_axis) axes[PD_SPACE];
    N(resample_pass) pass[PD_SPACE], *now;
    size_t passes, n, x_size, y_size, room[2], buffer; /* sizes: of an image; room: of what comes between; buffer: T of a chunk */
    size_t batch, per_chunk, chunks;
    int mode, align, turned, plane, few;
} N(resample_job);

static T N(resample_fma)(T a, T b, T c) { return BITS == 32 ? (T)fmaf((float)a, (float)b, (float)c) : (T)fma((double)a, (double)b, (double)c); }

static T N(resample_floor)(T x) { return BITS == 32 ? (T)floorf((float)x) : (T)floor((double)x); }

static T N(resample_ratio)(size_t in, size_t out, double scale, int align, int single) {
    if (align) return out > 1 ? (T)(in - 1) / (T)(out - 1) : 0;
    if (single) return scale > 0 ? (T)(float)(1 / scale) : (T)((float)in / (float)out);
    return scale > 0 ? (T)(1 / scale) : (T)in / (T)out;
}

/* The pixel below `at` and how far beyond it that lies; floorf also of a double, as PyTorch does */
static T N(resample_below)(T at, size_t in, ptrdiff_t *below) {
    const ptrdiff_t i = (ptrdiff_t)floorf((float)at), last = (ptrdiff_t)in - 1;
    *below = i < last ? i : last;
    const T beyond = at - (T)*below;
    return beyond < 0 ? 0 : beyond > 1 ? 1 : beyond;
}

static T N(cubic_near)(T x, T a) { return N(resample_fma)(N(resample_fma)(a + 2, x, -(a + 3)) * x, x, 1); }
static T N(cubic_far)(T x, T a) { return N(resample_fma)(N(resample_fma)(N(resample_fma)(a, x, -5 * a), x, 8 * a), x, -4 * a); }

static T N(resample_window)(int mode, T x) {
    const double d = fabs((double)x), pi = 3.14159265358979323846;
    if (mode == RESAMPLE_SMOOTH_LINEAR) return d < 1 ? (T)(1 - d) : 0;
    if (mode == RESAMPLE_SMOOTH_CUBIC) return d < 1 ? N(cubic_near)((T)d, (T)-0.5) : d < 2 ? N(cubic_far)((T)d, (T)-0.5) : 0;
    if (d == 0) return 1;
    return d < 3 ? (T)(sin(pi * d) / (pi * d) * (sin(pi * d / 3) / (pi * d / 3))) : 0;
}

/* The taps of o beside the modes of one pixel: index and weight -> how many */
static size_t N(resample_smooth)(const N(resample_axis) *a, int mode, T ratio, size_t o, size_t *index, T *weight) {
    const T half = (T)(mode - RESAMPLE_SMOOTH_LINEAR + 1), reach = ratio > 1 ? half * ratio : half, each = ratio > 1 ? 1 / ratio : 1;
    const T centre = ratio * ((T)o + (T)0.5);
    const double low = (double)(centre - reach) + 0.5, high = (double)(centre + reach) + 0.5;
    const size_t first = low > 0 ? (size_t)low : 0, last = high < (double)a->in ? (size_t)high : a->in;
    const size_t count = last > first ? min_size(last - first, a->most) : 0;
    T sum = 0;
    for (size_t k = 0; k < count; k++) {
        index[k] = first + k;
        weight[k] = N(resample_window)(mode, (T)(((double)((T)(first + k) - centre) + 0.5) * (double)each));
        sum += weight[k];
    }
    for (size_t k = 0; k < count && sum != 0; k++) weight[k] /= sum;
    return count;
}

static size_t N(resample_nearest)(const N(resample_axis) *a, int mode, int single, T ratio, size_t o) {
    const T at = mode == RESAMPLE_EXACT ? (T)o + (T)0.5 : (T)o, there = single ? (T)((float)at * (float)ratio) : at * ratio;
    if (single && mode == RESAMPLE_NEAREST && a->out == 2 * a->in) return o / 2;
    ptrdiff_t below;
    N(resample_below)(there, a->in, &below);
    return (size_t)below;
}

static size_t N(resample_taps_of)(const N(resample_axis) *a, int mode, int align, T ratio, size_t o, size_t *index, T *weight) {
    if (mode >= RESAMPLE_SMOOTH_LINEAR) return N(resample_smooth)(a, mode, ratio, o, index, weight);
    ptrdiff_t below;
    if (mode == RESAMPLE_AREA) {
        const size_t whole = a->in / a->out, rest = a->in % a->out;
        const size_t first = o * whole + o * rest / a->out, last = (o + 1) * whole + ceil_div((o + 1) * rest, a->out);
        for (size_t k = 0; k < last - first; k++) index[k] = first + k, weight[k] = 1 / (T)(last - first);
        return last - first;
    }
    const T at = align ? ratio * (T)o : N(resample_fma)(ratio, (T)o + (T)0.5, (T)-0.5);
    if (mode == RESAMPLE_LINEAR) {
        weight[1] = N(resample_below)(at < 0 ? 0 : at, a->in, &below);
        weight[0] = 1 - weight[1];
        index[0] = (size_t)below, index[1] = min_size(index[0] + 1, a->in - 1);
        return 2;
    }
    const T x = N(resample_below)(at, a->in, &below), sharp = (T)-0.75;
    weight[0] = N(cubic_far)(x + 1, sharp), weight[1] = N(cubic_near)(x, sharp);
    weight[2] = N(cubic_near)(1 - x, sharp), weight[3] = N(cubic_far)(2 - x, sharp);
    for (ptrdiff_t k = 0; k < 4; k++) {
        const ptrdiff_t i = below + k - 1, last = (ptrdiff_t)a->in - 1;
        index[k] = (size_t)(i < 0 ? 0 : i > last ? last : i);
    }
    return 4;
}

/* From the taps of outputs those of inputs, in the order of the outputs */
static void N(resample_turn)(const N(resample_axis) *of, size_t *start, size_t *index, T *weight) {
    const size_t count = of->start[of->out];
    memset(start, 0, (of->in + 1) * sizeof(size_t));
    for (size_t k = 0; k < count; k++) start[of->index[k] + 1]++;
    for (size_t i = 0; i < of->in; i++) start[i + 1] += start[i];
    for (size_t o = 0; o < of->out; o++)
        for (size_t k = of->start[o]; k < of->start[o + 1]; k++) {
            const size_t at = start[of->index[k]]++;
            index[at] = o, weight[at] = of->weight[k];
        }
    memmove(start + 1, start, of->in * sizeof(size_t));
    start[0] = 0;
}

/* Fills the tables of an axis; `base` NULL: only counts their bytes. */
static void N(resample_table)(const N(resample_job) *job, N(resample_axis) *a, double scale, char *base, size_t *used) {
    const int nearest = job->mode <= RESAMPLE_EXACT, single = nearest && job->plane;
    const T ratio = N(resample_ratio)(a->in, a->out, scale, job->align, single);
    a->most = resample_most(job->mode, a->in, a->out, (double)ratio);
    const size_t taps = a->out * a->most;
    a->start = resample_take(base, used, (a->out + 1) * sizeof(size_t));
    a->index = resample_take(base, used, taps * sizeof(size_t));
    a->weight = resample_take(base, used, taps * sizeof(T));
    size_t *start = NULL, *index = NULL;
    T *weight = NULL;
    if (job->turned) {
        start = resample_take(base, used, (a->in + 1) * sizeof(size_t));
        index = resample_take(base, used, taps * sizeof(size_t));
        weight = resample_take(base, used, taps * sizeof(T));
    }
    if (!base) return;
    a->start[0] = 0;
    for (size_t o = 0; o < a->out; o++) {
        const size_t at = a->start[o];
        a->start[o + 1] = at + 1;
        if (nearest) a->index[at] = N(resample_nearest)(a, job->mode, single, ratio, o), a->weight[at] = 1;
        else a->start[o + 1] = at + N(resample_taps_of)(a, job->mode, job->align, ratio, o, a->index + at, a->weight + at);
    }
    if (!job->turned) return;
    N(resample_turn)(a, start, index, weight);
    a->start = start, a->index = index, a->weight = weight;
}

/* The order of the passes: what shrinks comes before the last axis, which costs most, and what grows after it. */
static void N(resample_order)(N(resample_job) *job) {
    size_t sizes[PD_SPACE];
    for (size_t d = 0; d < PD_SPACE; d++) sizes[d] = job->axes[d].from;
    for (int when = 0; when < 3; when++)
        for (size_t k = 0; k < PD_SPACE; k++) {
            const size_t d = when == 2 ? PD_SPACE - 1 - k : k;
            N(resample_axis) *a = job->axes + d;
            if (a->stays || when != (d + 1 == PD_SPACE ? 1 : a->to < a->from ? 0 : 2)) continue;
            N(resample_pass) *pass = job->pass + job->passes++;
            *pass = (N(resample_pass)){.axis = a, .outer = 1, .inner = 1};
            for (size_t e = 0; e < d; e++) pass->outer *= sizes[e];
            for (size_t e = d + 1; e < PD_SPACE; e++) pass->inner *= sizes[e];
            sizes[d] = a->to;
            if (job->passes < PD_SPACE) job->room[job->passes - 1] = sizes[0] * sizes[1] * sizes[2];
        }
    if (job->passes && job->passes < PD_SPACE) job->room[job->passes - 1] = 0; /* nothing comes behind the last one */
}

/* What a launch asks for, with its tables and buffers in the workspace at `base`, or NULL -> the bytes of the workspace */
static size_t N(resample_plan)(const pd_launch *launch, N(resample_job) *job, char *base) {
    const pd_window *g = &launch->window;
    const unsigned how = (unsigned)launch->scalar[3];
    size_t used = 0, wide = 0;
    *job = (N(resample_job)){.x = launch->buf[0], .y = launch->buf[1], .mode = how & 15, .align = how >> 4 & 1, .turned = how >> 5 & 1,
                             .plane = how >> 6 & 1, .n = g->n, .x_size = 1, .y_size = 1};
    for (size_t d = 0; d < PD_SPACE; d++) {
        N(resample_axis) *a = job->axes + d;
        const double scale = launch->scalar[d];
        a->in = g->in[d], a->out = g->out[d];
        a->from = job->turned ? a->out : a->in, a->to = job->turned ? a->in : a->out;
        a->stays = a->in == a->out && (scale == 0 || scale == 1 || job->mode == RESAMPLE_LINEAR || job->mode >= RESAMPLE_SMOOTH_LINEAR ||
                                       (job->mode == RESAMPLE_NEAREST && job->plane));
        job->x_size *= a->from, job->y_size *= a->to;
        if (!a->stays) N(resample_table)(job, a, scale, base, &used);
    }
    N(resample_order)(job);
    size_t rows = R; /* of an image that are turned at a time */
    for (size_t p = 0; p < job->passes; p++)
        if (job->pass[p].inner == 1) {
            wide = max_size(wide, R * (job->pass[p].axis->from + job->pass[p].axis->to));
            rows = min_size(rows, job->pass[p].outer);
        }
    const size_t image = max_size(max_size(job->x_size, job->y_size), max_size(job->room[0], job->room[1])), all = job->n * image;
    job->few = job->n < RESAMPLE_FEW && all > RESAMPLE_ALONE;
    job->batch = min_size(job->n, max_size(ceil_div(R, rows), RESAMPLE_BATCH / image));
    if (job->few)
        for (size_t p = 0; p + 1 < job->passes; p++) job->pass[p].to = resample_take(base, &used, job->n * job->room[p] * sizeof(T));
    const size_t units = ceil_div(job->n, job->batch);
    job->chunks = job->few ? RESAMPLE_CHUNKS : min_size(min_size(RESAMPLE_CHUNKS, units), max_size(1, all / RESAMPLE_UNIT));
    job->per_chunk = ceil_div(units, job->chunks) * job->batch;
    if (!job->few) job->chunks = ceil_div(job->n, job->per_chunk);
    job->buffer = wide + (job->few ? 0 : job->batch * (job->room[0] + job->room[1]));
    job->buffers = resample_take(base, &used, job->chunks * job->buffer * sizeof(T));
    return used;
}

static size_t N(resample_workspace)(const pd_launch *launch) {
    N(resample_job) job;
    return N(resample_plan)(launch, &job, NULL);
}

INLINE void N(resample_row_at)(const T *x, size_t inner, const size_t *index, const T *weight, const size_t count, T *y, size_t left) {
    vreal sum = v_load_left(x + index[0] * inner, left) * v_set(weight[0]);
    for (size_t k = 1; k < count; k++) sum = v_fma(v_load_left(x + index[k] * inner, left), v_set(weight[k]), sum);
    v_store_left(y, sum, left);
}

INLINE void N(resample_row)(const T *x, size_t inner, const size_t *index, const T *weight, const size_t count, T *y) {
    size_t i = 0;
    for (; i + VL <= inner; i += VL) N(resample_row_at)(x + i, inner, index, weight, count, y + i, VL);
    if (i < inner) N(resample_row_at)(x + i, inner, index, weight, count, y + i, inner - i);
}

/* x (from, inner) -> rows first ... last - 1 of y (to, inner) */
static void N(resample_across)(const N(resample_axis) *a, const T *x, T *y, size_t inner, size_t first, size_t last) {
    for (size_t o = first; o < last; o++) {
        const size_t k = a->start[o], count = a->start[o + 1] - k;
        T *to = y + o * inner;
        if (count == 2) N(resample_row)(x, inner, a->index + k, a->weight + k, 2, to);
        else if (count == 1) N(resample_row)(x, inner, a->index + k, a->weight + k, 1, to);
        else if (count == 4) N(resample_row)(x, inner, a->index + k, a->weight + k, 4, to);
        else if (count) N(resample_row)(x, inner, a->index + k, a->weight + k, count, to);
        else memset(to, 0, inner * sizeof(T));
    }
}

/* x (rows, from) -> y (rows, to); buffer: R (from + to). Few rows are not worth turning. */
static void N(resample_along)(const N(resample_axis) *a, const T *x, T *y, size_t rows, T *buffer) {
    for (size_t row = 0; row < rows && rows < RESAMPLE_TURNED; row++)
        for (size_t o = 0; o < a->to; o++) {
            T sum = 0;
            for (size_t k = a->start[o]; k < a->start[o + 1]; k++)
                sum = k == a->start[o] ? x[row * a->from + a->index[k]] * a->weight[k]
                                       : v_fma(v_set(x[row * a->from + a->index[k]]), v_set(a->weight[k]), v_set(sum))[0];
            y[row * a->to + o] = sum;
        }
    if (rows < RESAMPLE_TURNED) return;
    T *turned = buffer + a->from * R;
    for (size_t row = 0; row < rows; row += R) {
        const size_t n = min_size(R, rows - row);
        N(copy_transposed)((N(cell) *)buffer, (ptrdiff_t)n, (const N(cell) *)(x + row * a->from), (ptrdiff_t)a->from, a->from, n);
        N(resample_across)(a, buffer, turned, n, 0, a->to);
        N(copy_transposed)((N(cell) *)(y + row * a->to), (ptrdiff_t)a->to, (const N(cell) *)turned, (ptrdiff_t)n, n, a->to);
    }
}

/* Many images: all passes over a few of them after another */
static void N(resample_images)(void *context, size_t chunk) {
    const N(resample_job) *job = context;
    const size_t end = min_size(job->n, (chunk + 1) * job->per_chunk);
    T *own = job->buffers + chunk * job->buffer, *between[2] = {own, own + job->batch * job->room[0]};
    T *rest = between[1] + job->batch * job->room[1];
    for (size_t image = chunk * job->per_chunk; image < end; image += job->batch) {
        const size_t n = min_size(job->batch, end - image);
        const T *x = job->x + image * job->x_size;
        for (size_t p = 0; p < job->passes; p++) {
            const N(resample_pass) *pass = job->pass + p;
            const N(resample_axis) *a = pass->axis;
            T *y = p + 1 < job->passes ? between[p] : job->y + image * job->y_size;
            if (pass->inner == 1) N(resample_along)(a, x, y, n * pass->outer, rest);
            else
                for (size_t s = 0; s < n * pass->outer; s++)
                    N(resample_across)(a, x + s * a->from * pass->inner, y + s * a->to * pass->inner, pass->inner, 0, a->to);
            x = y;
        }
    }
}

/* Few images: rows of one pass */
static void N(resample_rows)(void *context, size_t chunk) {
    const N(resample_job) *job = context;
    const N(resample_pass) *pass = job->now;
    const N(resample_axis) *a = pass->axis;
    const size_t outer = job->n * pass->outer, all = pass->inner == 1 ? outer : outer * a->to;
    const size_t first = chunk * job->per_chunk, last = min_size(all, first + job->per_chunk);
    if (pass->inner == 1) {
        N(resample_along)(a, job->x + first * a->from, pass->to + first * a->to, last - first, job->buffers + chunk * job->buffer);
        return;
    }
    for (size_t row = first; row < last;) {
        const size_t s = row / a->to, o = row % a->to, end = min_size(a->to, o + last - row);
        N(resample_across)(a, job->x + s * a->from * pass->inner, pass->to + s * a->to * pass->inner, pass->inner, o, end);
        row += end - o;
    }
}

/* buf: x, y. pd_window: n images, in, out. scalar: the scales of the axes, or 0; mode + 16 aligned corners + 32 turned + 64 two axes. */
static void N(resample)(const pd_launch *launch) {
    N(resample_job) job;
    N(resample_plan)(launch, &job, launch->workspace);
    if (job.passes == 0) memcpy(job.y, job.x, job.n * job.x_size * sizeof(T));
    else if (!job.few) {
        if (job.n * max_size(job.x_size, job.y_size) > RESAMPLE_ALONE) pd_parallel(job.chunks, N(resample_images), &job);
        else
            for (size_t chunk = 0; chunk < job.chunks; chunk++) N(resample_images)(&job, chunk);
    } else
        for (size_t p = 0; p < job.passes; p++) {
            job.now = job.pass + p;
            if (p + 1 == job.passes) job.now->to = job.y;
            const size_t inner = job.now->inner, to = job.now->axis->to, rows = job.n * job.now->outer * (inner == 1 ? 1 : to);
            const size_t least = max_size(1, RESAMPLE_UNIT / (inner == 1 ? max_size(to, job.now->axis->from) : inner));
            job.per_chunk = max_size(least, ceil_div(rows, RESAMPLE_CHUNKS));
            if (inner == 1) job.per_chunk = ceil_div(job.per_chunk, R) * R;
            pd_parallel(ceil_div(rows, job.per_chunk), N(resample_rows), &job);
            job.x = job.now->to;
        }
}
#undef R
