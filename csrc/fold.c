/* Windows of images as columns, and back. pd_window: x (n, c, in), columns (n, c, kernel, out); c = o. Each is the transpose of the other.
 * Where the kernel is as large as its steps, no window meets another: that is how pixels are shuffled. */
#ifndef FOLD_ONCE
#define FOLD_ONCE
enum { FOLD_UNIT = 1 << 14, FOLD_ALONE = 1 << 15 };

/* Outputs first ... last - 1 see a pixel of the axis by this tap */
static UNUSED void fold_range(const pd_window *g, size_t d, size_t tap, size_t *first, size_t *last) {
    const ptrdiff_t stride = (ptrdiff_t)g->stride[d], at = (ptrdiff_t)(tap * g->dilation[d]) - (ptrdiff_t)g->pad[d], in = (ptrdiff_t)g->in[d];
    *first = at < 0 ? ceil_div((size_t)-at, (size_t)stride) : 0;
    *last = at < in ? min_size(g->out[d], (size_t)((in - 1 - at) / stride) + 1) : 0;
    if (*first > *last) *first = *last;
}
#endif

typedef struct N(fold_job) {
    const pd_window *g;
    const T *x;
    T *y;
    size_t in, out, taps, per_chunk, units;
    int apart; /* no two windows meet, and together they cover the image */
} N(fold_job);

/* A row of columns that one tap fills: n of x, `step` apart, and zeros around them */
static void N(fold_row)(T *y, size_t out, const T *x, size_t step, size_t first, size_t last) {
    if (first) memset(y, 0, first * sizeof(T));
    if (step == 1) N(copy_row)((N(cell) *)(y + first), (const N(cell) *)x, last - first);
    else N(copy_line)((N(cell) *)(y + first), 1, (const N(cell) *)x, (ptrdiff_t)step, last - first);
    if (last < out) memset(y + last, 0, (out - last) * sizeof(T));
}

/* One tap of one channel: out columns */
static void N(unfold_tap)(const N(fold_job) *job, const T *x, size_t tap, T *y) {
    const pd_window *g = job->g;
    const size_t k[PD_SPACE] = {tap / (g->kernel[1] * g->kernel[2]), tap / g->kernel[2] % g->kernel[1], tap % g->kernel[2]};
    size_t first[PD_SPACE], last[PD_SPACE];
    for (size_t d = 0; d < PD_SPACE; d++) fold_range(g, d, k[d], first + d, last + d);
    for (size_t od = 0; od < g->out[0]; od++)
        for (size_t oh = 0; oh < g->out[1]; oh++, y += g->out[2]) {
            if (od < first[0] || od >= last[0] || oh < first[1] || oh >= last[1] || first[2] == last[2]) {
                memset(y, 0, g->out[2] * sizeof(T));
                continue;
            }
            const size_t z = od * g->stride[0] + k[0] * g->dilation[0] - g->pad[0], h = oh * g->stride[1] + k[1] * g->dilation[1] - g->pad[1];
            const size_t w = first[2] * g->stride[2] + k[2] * g->dilation[2] - g->pad[2];
            N(fold_row)(y, g->out[2], x + (z * g->in[1] + h) * g->in[2] + w, g->stride[2], first[2], last[2]);
        }
}

static void N(unfold_chunk)(void *context, size_t chunk) {
    const N(fold_job) *job = context;
    const size_t last = min_size(job->units, (chunk + 1) * job->per_chunk);
    for (size_t unit = chunk * job->per_chunk; unit < last; unit++)
        N(unfold_tap)(job, job->x + unit / job->taps * job->in, unit % job->taps, job->y + unit * job->out);
}

INLINE void N(fold_add)(T *y, const T *x, const size_t step, size_t n) {
    for (size_t i = 0; i < n; i++) y[i * step] += x[i];
}

static void N(fold_tap)(const N(fold_job) *job, const T *x, size_t tap, T *y) {
    const pd_window *g = job->g;
    const size_t k[PD_SPACE] = {tap / (g->kernel[1] * g->kernel[2]), tap / g->kernel[2] % g->kernel[1], tap % g->kernel[2]};
    size_t first[PD_SPACE], last[PD_SPACE];
    for (size_t d = 0; d < PD_SPACE; d++) fold_range(g, d, k[d], first + d, last + d);
    if (first[2] == last[2]) return;
    const size_t n = last[2] - first[2], step = g->stride[2], w = first[2] * step + k[2] * g->dilation[2] - g->pad[2];
    for (size_t od = first[0]; od < last[0]; od++)
        for (size_t oh = first[1]; oh < last[1]; oh++) {
            const size_t z = od * g->stride[0] + k[0] * g->dilation[0] - g->pad[0], h = oh * g->stride[1] + k[1] * g->dilation[1] - g->pad[1];
            T *to = y + (z * g->in[1] + h) * g->in[2] + w;
            const T *from = x + (od * g->out[1] + oh) * g->out[2] + first[2];
            if (step == 1) N(fold_add)(to, from, 1, n);
            else if (step == 2) N(fold_add)(to, from, 2, n);
            else N(fold_add)(to, from, step, n);
        }
}

INLINE void N(fold_weave)(T *y, const T *x, const size_t taps, size_t apart, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < taps; k++) y[i * taps + k] = x[k * apart + i];
}

/* Windows that do not meet: the taps of a row of the image are rows of the columns, woven */
static void N(fold_apart)(const N(fold_job) *job, const T *x, T *y) {
    const pd_window *g = job->g;
    const size_t n = g->out[2], taps = g->kernel[2];
    for (size_t row = 0; row < g->in[0] * g->in[1]; row++, y += g->in[2]) {
        const size_t z = row / g->in[1], h = row % g->in[1], tap = (z % g->kernel[0] * g->kernel[1] + h % g->kernel[1]) * taps;
        const T *from = x + tap * job->out + (z / g->kernel[0] * g->out[1] + h / g->kernel[1]) * n;
        if (taps == 2) N(fold_weave)(y, from, 2, job->out, n);
        else if (taps == 4) N(fold_weave)(y, from, 4, job->out, n);
        else N(fold_weave)(y, from, taps, job->out, n);
    }
}

static void N(fold_chunk)(void *context, size_t chunk) {
    const N(fold_job) *job = context;
    const size_t last = min_size(job->units, (chunk + 1) * job->per_chunk);
    for (size_t unit = chunk * job->per_chunk; unit < last; unit++) {
        const T *x = job->x + unit * job->taps * job->out;
        T *y = job->y + unit * job->in;
        if (job->apart) {
            N(fold_apart)(job, x, y);
            continue;
        }
        memset(y, 0, job->in * sizeof(T));
        for (size_t tap = 0; tap < job->taps; tap++) N(fold_tap)(job, x + tap * job->out, tap, y);
    }
}

static void N(fold_run)(const pd_launch *launch, int unfold) {
    const pd_window *g = &launch->window;
    N(fold_job) job = {.g = g, .x = launch->buf[0], .y = launch->buf[1], .in = 1, .out = 1, .taps = 1, .apart = 1};
    for (size_t d = 0; d < PD_SPACE; d++) {
        job.in *= g->in[d], job.out *= g->out[d], job.taps *= g->kernel[d];
        job.apart &= g->kernel[d] == g->stride[d] && g->dilation[d] == 1 && g->pad[d] == 0 && g->out[d] * g->kernel[d] == g->in[d];
    }
    const size_t unit = max_size(1, unfold ? job.out : job.taps * job.out);
    job.units = g->n * g->c * (unfold ? job.taps : 1);
    job.per_chunk = max_size(1, FOLD_UNIT / unit);
    const pd_task task = unfold ? N(unfold_chunk) : N(fold_chunk);
    const size_t chunks = ceil_div(job.units, job.per_chunk);
    if (chunks > 1 && job.units * unit > FOLD_ALONE) pd_parallel(chunks, task, &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(&job, chunk);
}

/* buf: x, columns */
static void N(unfold)(const pd_launch *launch) { N(fold_run)(launch, 1); }
/* buf: columns, x = the sum of what they hold for a pixel, tap by tap */
static void N(fold)(const pd_launch *launch) { N(fold_run)(launch, 0); }
