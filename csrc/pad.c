/* Images with a border: y (n, out), x (n, in); o of an axis lies at o - pad of the input. What is outside: a constant, the mirror image
 * without its edge, the edge again and again, or the image over and over. A negative pad takes away: pads are read as ptrdiff_t. The
 * repeated image is what is left of it then. A row of the last axis is the unit of work. */
#ifndef PAD_ONCE
#define PAD_ONCE
enum { PAD_CONSTANT, PAD_REFLECT, PAD_REPLICATE, PAD_CIRCULAR };
enum { PAD_UNIT = 1 << 14, PAD_ALONE = 1 << 15 };

typedef struct pad_axis {
    ptrdiff_t in, out, pad, low, high; /* outputs low ... high - 1 lie inside */
    int mode;
} pad_axis;

static UNUSED pad_axis pad_axis_of(const pd_launch *launch, size_t d) {
    pad_axis a = {(ptrdiff_t)launch->window.in[d], (ptrdiff_t)launch->window.out[d], (ptrdiff_t)launch->window.pad[d], 0, 0, (int)launch->scalar[0]};
    a.low = a.pad > 0 ? a.pad : 0;
    a.high = a.in + a.pad < a.out ? a.in + a.pad : a.out;
    if (a.low > a.out) a.low = a.out;
    if (a.high < a.low) a.high = a.low;
    return a;
}

/* Where output o comes from, or -1 */
static UNUSED ptrdiff_t pad_source(const pad_axis *a, ptrdiff_t o) {
    const ptrdiff_t i = o - a->pad;
    if (o >= a->low && o < a->high) return i;
    if (a->mode == PAD_CONSTANT) return -1;
    if (a->mode == PAD_REFLECT) return i < 0 ? -i : 2 * (a->in - 1) - i;
    if (a->mode == PAD_REPLICATE) return i < 0 ? 0 : a->in - 1;
    return o < a->low ? i + a->high - a->low : i - (a->high - a->low);
}
#endif

typedef struct N(pad_job) {
    const T *x;
    T *y;
    pad_axis axis[PD_SPACE];
    T value;
    size_t rows, planes, per_chunk;
} N(pad_job);

static void N(pad_row)(const N(pad_job) *job, const T *x, T *y) {
    const pad_axis *a = job->axis + PD_SPACE - 1;
    const int constant = a->mode == PAD_CONSTANT;
    for (ptrdiff_t o = 0; o < a->low; o++) y[o] = constant ? job->value : x[pad_source(a, o)];
    N(copy_row)((N(cell) *)(y + a->low), (const N(cell) *)(x + a->low - a->pad), (size_t)(a->high - a->low));
    for (ptrdiff_t o = a->high; o < a->out; o++) y[o] = constant ? job->value : x[pad_source(a, o)];
}

static void N(pad_chunk)(void *context, size_t chunk) {
    const N(pad_job) *job = context;
    const pad_axis *a = job->axis;
    const ptrdiff_t width = a[2].out;
    const size_t first = chunk * job->per_chunk, last = min_size(job->rows, first + job->per_chunk);
    ptrdiff_t h = (ptrdiff_t)(first % (size_t)a[1].out), z = (ptrdiff_t)(first / (size_t)a[1].out % (size_t)a[0].out);
    const T *x = job->x + (ptrdiff_t)(first / (size_t)(a[1].out * a[0].out)) * a[0].in * a[1].in * a[2].in;
    T *y = job->y + first * (size_t)width;
    for (size_t row = first; row < last; row++, y += width) {
        const ptrdiff_t from_h = pad_source(a + 1, h), from_z = pad_source(a, z);
        if (from_h >= 0 && from_z >= 0) N(pad_row)(job, x + (from_z * a[1].in + from_h) * a[2].in, y);
        else
            for (ptrdiff_t o = 0; o < width; o++) y[o] = job->value;
        if (++h < a[1].out) continue;
        h = 0;
        if (++z < a[0].out) continue;
        z = 0, x += a[0].in * a[1].in * a[2].in;
    }
}

static void N(pad_run)(N(pad_job) *job, size_t chunks, pd_task task) {
    const pad_axis *a = job->axis;
    if (chunks > 1 && job->rows * (size_t)a[2].out > PAD_ALONE) pd_parallel(chunks, task, job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(job, chunk);
}

static N(pad_job) N(pad_job_of)(const pd_launch *launch) {
    N(pad_job) job = {.x = launch->buf[0], .y = launch->buf[1], .planes = launch->window.n};
    for (size_t d = 0; d < PD_SPACE; d++) job.axis[d] = pad_axis_of(launch, d);
    job.rows = launch->window.n * launch->window.out[0] * launch->window.out[1];
    return job;
}

/* buf: x, y, the constant (or NULL: zero). pd_window: n, in, out, pad. scalar: mode. */
static void N(pad)(const pd_launch *launch) {
    N(pad_job) job = N(pad_job_of)(launch);
    if (launch->buf[2]) job.value = *(const T *)launch->buf[2];
    job.per_chunk = max_size(1, PAD_UNIT / max_size(1, launch->window.out[2]));
    N(pad_run)(&job, ceil_div(job.rows, job.per_chunk), N(pad_chunk));
}

#if PD_REAL
/* The outputs of a row, in order, each to where it comes from */
static void N(pad_turned_row)(const pad_axis *a, const T *dy, T *dx) {
    for (ptrdiff_t o = 0; o < a->low; o++) dx[pad_source(a, o)] += dy[o];
    const T *from = dy + a->low;
    T *to = dx + a->low - a->pad;
    for (ptrdiff_t i = 0; i < a->high - a->low; i++) to[i] += from[i];
    for (ptrdiff_t o = a->high; o < a->out; o++) dx[pad_source(a, o)] += dy[o];
}

static void N(pad_turned_chunk)(void *context, size_t chunk) {
    const N(pad_job) *job = context;
    const pad_axis *a = job->axis;
    const size_t last = min_size(job->planes, (chunk + 1) * job->per_chunk), in = (size_t)(a[0].in * a[1].in * a[2].in);
    for (size_t n = chunk * job->per_chunk; n < last; n++) {
        T *dx = job->y + n * in;
        const T *dy = job->x + n * (size_t)(a[0].out * a[1].out * a[2].out);
        memset(dx, 0, in * sizeof(T));
        for (ptrdiff_t z = 0; z < a[0].out; z++)
            for (ptrdiff_t h = 0; h < a[1].out; h++, dy += a[2].out)
                N(pad_turned_row)(a + 2, dy, dx + (pad_source(a, z) * a[1].in + pad_source(a + 1, h)) * a[2].in);
    }
}

/* The transpose, of all modes but the constant, whose transpose is itself with negative pads: buf: dy, dx; the rest as above. */
static void N(pad_turned)(const pd_launch *launch) {
    N(pad_job) job = N(pad_job_of)(launch);
    const size_t out = launch->window.out[0] * launch->window.out[1] * launch->window.out[2];
    job.per_chunk = max_size(1, PAD_UNIT / max_size(1, out));
    N(pad_run)(&job, ceil_div(job.planes, job.per_chunk), N(pad_turned_chunk));
}
#endif
