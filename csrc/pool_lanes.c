/* Pooling of small images: VL planes side by side, so that every step of a window is one vector, whatever its shape, padding and stride.
 * Legend and geometry in pool.h. A group of planes is one chunk's. */

/* One perfect shuffle; as many as VL has bits make columns of rows. */
INLINE void N(pool_lanes_shuffle)(const vreal *row, vreal *next) {
    V_UNROLL
    for (size_t i = 0; i < VL / 2; i++) {
        next[2 * i] = v_zip_low(row[i], row[i + VL / 2]);
        next[2 * i + 1] = v_zip_high(row[i], row[i + VL / 2]);
    }
}

INLINE void N(pool_lanes_turn)(const vreal *row, vreal *to) {
    vreal a[VL], b[VL];
    if (VL == 16) {
        N(pool_lanes_shuffle)(row, a);
        N(pool_lanes_shuffle)(a, b);
        N(pool_lanes_shuffle)(b, a);
    } else if (VL == 8) {
        N(pool_lanes_shuffle)(row, b);
        N(pool_lanes_shuffle)(b, a);
    } else if (VL == 4) N(pool_lanes_shuffle)(row, a);
    N(pool_lanes_shuffle)(VL == 2 ? row : a, b);
    V_UNROLL
    for (size_t i = 0; i < VL; i++) to[i] = b[i];
}

/* to[i][p] = x[p][i], i < n; where there are less than VL planes the last one again. `to` has room for VL - 1 more i. */
static void N(pool_lanes_in)(const T *x, size_t planes, size_t n, vreal *to) {
    vreal row[VL];
    for (size_t i = 0; i < n; i += VL) {
        if (planes == VL && n - i >= VL) {
            V_UNROLL
            for (size_t p = 0; p < VL; p++) row[p] = v_load(x + p * n + i);
        } else
            for (size_t p = 0; p < VL; p++) row[p] = v_load_left(x + min_size(p, planes - 1) * n + i, n - i);
        N(pool_lanes_turn)(row, to + i);
    }
}

static void N(pool_lanes_out)(const vreal *from, size_t planes, size_t n, T *y) {
    vreal row[VL];
    for (size_t i = 0; i < n; i += VL) {
        N(pool_lanes_turn)(from + i, row);
        if (planes == VL && n - i >= VL) {
            V_UNROLL
            for (size_t p = 0; p < VL; p++) v_store(y + p * n + i, row[p]);
        } else
            for (size_t p = 0; p < planes; p++) v_store_left(y + p * n + i, row[p], n - i);
    }
}

static void N(pool_lanes_places_in)(const uint8_t *place, size_t planes, size_t n, vreal *to) {
    vreal row[VL];
    for (size_t i = 0; i < n; i += VL) {
        for (size_t p = 0; p < VL; p++) row[p] = (vreal)N(places_of)(place + min_size(p, planes - 1) * n + i, n - i);
        N(pool_lanes_turn)(row, to + i);
    }
}

static void N(pool_lanes_places_out)(const vreal *from, size_t planes, size_t n, uint8_t *place) {
    vreal row[VL];
    for (size_t i = 0; i < n; i += VL) {
        N(pool_lanes_turn)(from + i, row);
        for (size_t p = 0; p < planes; p++) N(put_places)(place + p * n + i, (vint)row[p], n - i);
    }
}

/* Is this for planes side by side? */
static int N(pool_lanes_fit)(const pd_window *w, int mode) {
    const size_t in = volume(w->in), out = volume(w->out);
    if (w->n * w->c < VL || in > POOL_LANES || out > POOL_LANES || in + 2 * out > POOL_LANES) return 0;
    return mode == POOL_ADAPTIVE || w->stride[2] > 2 || w->out[2] < VL;
}

/* A group of planes: its elements, its results, where they were found, and the windows, one after the other */
typedef struct N(pool_lanes) {
    const pd_window *w;
    size_t planes, o, od, oh, ow;
    pool_span d, h, s;
    int mode;
    vreal *in, *out, *place;
} N(pool_lanes);

/* The next window -> whether there is one. Begin with o = SIZE_MAX. */
static int N(pool_lanes_next)(N(pool_lanes) *g) {
    const pd_window *w = g->w;
    const int adaptive = g->mode == POOL_ADAPTIVE;
    const int begin = g->o == SIZE_MAX;
    if (begin) g->od = g->oh = g->ow = 0;
    else if (++g->ow == w->out[2]) {
        g->ow = 0;
        if (++g->oh == w->out[1]) g->oh = 0, g->od++;
    }
    if (++g->o == volume(w->out)) return 0;
    if (begin || (g->ow == 0 && g->oh == 0)) g->d = pool_taps(w, 0, g->od, adaptive);
    if (begin || g->ow == 0) g->h = pool_taps(w, 1, g->oh, adaptive);
    g->s = pool_taps(w, 2, g->ow, adaptive);
    return 1;
}

/* Where in the plane tap (kd, kh, 0) is */
INLINE ptrdiff_t N(pool_lanes_line)(const N(pool_lanes) *g, size_t kd, size_t kh) {
    const pd_window *w = g->w;
    const ptrdiff_t z = g->d.at + (ptrdiff_t)(kd * w->dilation[0]), y = g->h.at + (ptrdiff_t)(kh * w->dilation[1]);
    return (z * (ptrdiff_t)w->in[1] + y) * (ptrdiff_t)w->in[2] + g->s.at;
}

static vreal N(pool_lanes_divisor)(const N(pool_lanes) *g, double fixed) {
    const pd_window *w = g->w;
    if (fixed != 0) return v_set((T)fixed);
    const double rows = (double)pool_counted(w, 0, g->od, g->mode) * (double)pool_counted(w, 1, g->oh, g->mode);
    return v_set((T)(rows * (double)pool_counted(w, 2, g->ow, g->mode)));
}

#define LANES_TAPS(g)                                                                                                                \
    for (size_t kd = (g)->d.from; kd < (g)->d.to; kd++)                                                                              \
        for (size_t kh = (g)->h.from; kh < (g)->h.to; kh++)

static void N(pool_lanes_avg_fwd)(const pd_launch *launch, N(pool_lanes) *g, size_t plane) {
    const size_t in = volume(g->w->in), out = volume(g->w->out);
    N(pool_lanes_in)((const T *)launch->buf[0] + plane * in, g->planes, in, g->in);
    while (N(pool_lanes_next)(g)) {
        vreal sum = {0};
        LANES_TAPS(g) {
            const vreal *x = g->in + N(pool_lanes_line)(g, kd, kh);
            for (size_t k = g->s.from; k < g->s.to; k++) sum += x[k];
        }
        g->out[g->o] = sum / N(pool_lanes_divisor)(g, launch->scalar[0]);
    }
    N(pool_lanes_out)(g->out, g->planes, out, (T *)launch->buf[1] + plane * out);
}

static void N(pool_lanes_avg_bwd)(const pd_launch *launch, N(pool_lanes) *g, size_t plane) {
    const size_t in = volume(g->w->in), out = volume(g->w->out);
    N(pool_lanes_in)((const T *)launch->buf[0] + plane * out, g->planes, out, g->out);
    for (size_t i = 0; i < in; i++) g->in[i] = (vreal){0};
    while (N(pool_lanes_next)(g)) {
        const vreal share = g->out[g->o] / N(pool_lanes_divisor)(g, launch->scalar[0]);
        LANES_TAPS(g) {
            vreal *x = g->in + N(pool_lanes_line)(g, kd, kh);
            for (size_t k = g->s.from; k < g->s.to; k++) x[k] += share;
        }
    }
    N(pool_lanes_out)(g->in, g->planes, in, (T *)launch->buf[1] + plane * in);
}

/* What is kept of each place: the tap, where places are wanted, or else the element */
static void N(pool_lanes_max_fwd)(const pd_launch *launch, N(pool_lanes) *g, size_t plane) {
    const pd_window *w = g->w;
    const size_t in = volume(w->in), out = volume(w->out);
    const int taps = launch->buf[2] != NULL;
    int64_t *index = launch->buf[3];
    N(pool_lanes_in)((const T *)launch->buf[0] + plane * in, g->planes, in, g->in);
    while (N(pool_lanes_next)(g)) {
        const ptrdiff_t first = N(pool_lanes_line)(g, g->d.from, g->h.from) + (ptrdiff_t)(g->s.from * w->dilation[2]);
        const size_t tap = (g->d.from * w->kernel[1] + g->h.from) * w->kernel[2] + g->s.from;
        vreal best = v_set(-(T)INFINITY);
        vint at = (vint)v_bits((ubits_t)(taps ? tap : (size_t)first));
        LANES_TAPS(g) {
            const ptrdiff_t line = N(pool_lanes_line)(g, kd, kh), number = taps ? (ptrdiff_t)((kd * w->kernel[1] + kh) * w->kernel[2]) : line;
            const ptrdiff_t step = (ptrdiff_t)w->dilation[2];
            for (ptrdiff_t k = (ptrdiff_t)g->s.from; k < (ptrdiff_t)g->s.to; k++)
                N(max_take)(g->in[line + k * step], (size_t)(number + (taps ? k : k * step)), 1, &best, &at);
        }
        g->out[g->o] = best;
        g->place[g->o] = (vreal)at;
        if (index) {
            const int64_t begin = pool_begin(w, g->od, g->oh) + (int64_t)(g->ow * w->stride[2]);
            for (size_t p = 0; p < g->planes; p++) {
                const size_t k = (size_t)at[p], kw = k % w->kernel[2], line = k / w->kernel[2];
                const size_t kh = line % w->kernel[1], kd = line / w->kernel[1];
                const size_t away = (kd * w->dilation[0] * w->in[1] + kh * w->dilation[1]) * w->in[2] + kw * w->dilation[2];
                index[(plane + p) * out + g->o] = taps ? begin + (int64_t)away : (int64_t)k;
            }
        }
    }
    N(pool_lanes_out)(g->out, g->planes, out, (T *)launch->buf[1] + plane * out);
    if (taps) N(pool_lanes_places_out)(g->place, g->planes, out, (uint8_t *)launch->buf[2] + plane * out);
}

static void N(pool_lanes_max_bwd)(const pd_launch *launch, N(pool_lanes) *g, size_t plane) {
    const pd_window *w = g->w;
    const size_t in = volume(w->in), out = volume(w->out);
    N(pool_lanes_in)((const T *)launch->buf[0] + plane * out, g->planes, out, g->out);
    N(pool_lanes_places_in)((const uint8_t *)launch->buf[1] + plane * out, g->planes, out, g->place);
    for (size_t i = 0; i < in; i++) g->in[i] = (vreal){0};
    while (N(pool_lanes_next)(g)) {
        const vreal dy = g->out[g->o];
        const vint at = (vint)g->place[g->o];
        LANES_TAPS(g) {
            vreal *x = g->in + N(pool_lanes_line)(g, kd, kh);
            const size_t tap = (kd * w->kernel[1] + kh) * w->kernel[2];
            for (size_t k = g->s.from; k < g->s.to; k++) x[k * w->dilation[2]] += v_keep(at == (vint)v_bits((ubits_t)(tap + k)), dy);
        }
    }
    N(pool_lanes_out)(g->in, g->planes, in, (T *)launch->buf[2] + plane * in);
}
#undef LANES_TAPS

typedef struct N(pool_lanes_job) {
    const pd_launch *launch;
    void (*how)(const pd_launch *launch, N(pool_lanes) *g, size_t plane);
    size_t groups, per_chunk;
} N(pool_lanes_job);

static void N(pool_lanes_chunk)(void *context, size_t chunk) {
    const N(pool_lanes_job) *job = context;
    const pd_window *w = &job->launch->window;
    const size_t planes = w->n * w->c, last = min_size((chunk + 1) * job->per_chunk, job->groups);
    vreal room[POOL_LANES + 3 * VL];
    for (size_t group = chunk * job->per_chunk; group < last; group++) {
        N(pool_lanes) g = {.w = w, .planes = min_size(VL, planes - group * VL), .o = SIZE_MAX, .mode = (int)job->launch->scalar[1], .in = room};
        g.out = room + volume(w->in) + VL;
        g.place = g.out + volume(w->out) + VL;
        job->how(job->launch, &g, group * VL);
    }
}

static void N(pool_lanes_run)(const pd_launch *launch, void (*how)(const pd_launch *launch, N(pool_lanes) *g, size_t plane)) {
    const pd_window *w = &launch->window;
    const size_t elements = w->n * w->c * volume(w->in);
    N(pool_lanes_job) job = {launch, how, ceil_div(w->n * w->c, VL), 1};
    job.per_chunk = max_size(1, POOL_UNIT / (VL * max_size(volume(w->in), volume(w->out))));
    pool_parallel(job.groups, job.per_chunk, elements, N(pool_lanes_chunk), &job);
}
