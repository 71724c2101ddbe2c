/* Depthwise convolutions: every output channel sees one input channel (c == groups), m = o / c of them the same one. Sums over the taps
 * of padded planes (conv_planes.h), CONV_ROWS rows at a time, so that a row which is read serves all the taps of a column. */

/* Whether kernels of kh rows read each row of the buffer once */
INLINE size_t N(depthwise_column)(const N(planes) *g) {
    const pd_window *w = g->w;
    const size_t kh = w->kernel[1];
    return !g->flat && w->stride[1] == 1 && w->dilation[1] == 1 && (kh == 3 || kh == 5 || kh == 7) ? kh : 1;
}

typedef struct N(depthwise) {
    const pd_launch *L;
    enum conv_pass pass;
    N(planes) g;
    size_t m, column;              /* outputs of an input channel; taps that lie one below the other */
    size_t units, chunks, groups, block; /* groups of images and channels at a time, for the gradient of the weight */
    size_t targets, depth, taps;   /* of a source; slices of it; of a target and a source */
    size_t slot, together, outs, weights; /* room of a chunk; units at a time */
    real *partial;                 /* gradients of each group, if there are several */
} N(depthwise);

static int N(depthwise_plan)(N(depthwise) *o, const pd_launch *L, enum conv_pass pass) {
    const pd_window *w = &L->window;
    const size_t taps = volume(w->kernel);
    if (w->groups != w->c || w->groups == 0) return 0;
    *o = (N(depthwise)){.L = L, .pass = pass, .m = w->o / w->c};
    const int back = pass == CONV_INPUT_GRAD;
    if (!N(planes_plan)(&o->g, w, back, back ? o->m : 1, taps)) return 0;
    const double work = (double)w->n * (double)w->o * (double)volume(w->out) * (double)taps;
    o->column = N(depthwise_column)(&o->g);
    o->targets = back ? 1 : o->m, o->depth = back ? w->in[0] : w->out[0], o->taps = taps;
    o->outs = back ? o->g.col.places : 1;
    o->together = o->targets == 1 && o->depth == 1 && o->g.row.places == 1 && pass != CONV_WEIGHT_GRAD ? max_size(1, min_size(8, 1024 / (o->g.room))) : 1;
    o->block = max_size(1, min_size(w->c, (1 << 12) / (o->m * taps * VL)));
    o->weights = pass == CONV_WEIGHT_GRAD ? o->block * o->m * taps * VL : o->g.taps;
    o->slot = N(planes_slot_room)(&o->g, o->together, o->outs, o->weights);
    o->groups = 1;
    const size_t most = work < CONV_THREAD_WORK ? 1 : CONV_CHUNKS;
    if (pass == CONV_WEIGHT_GRAD) {
        if (most > 1 && w->c < CONV_CHUNKS) o->groups = min_size(w->n, CONV_CHUNKS / w->c);
        o->units = w->c;
        o->chunks = min_size(w->c, max_size(most / o->groups, 1));
    } else {
        o->units = w->n * w->c * o->depth * o->g.bands;
        o->chunks = min_size(o->units, most);
    }
    return 1;
}

/* The targets in `rows` rows of all phases that meet rows fh: a part of plane `to`; weights of its first tap and source plane, bias */
static void N(depthwise_band)(const N(depthwise) *o, const N(planes_slot) *s, const real *weight, real bias, real *to, size_t fh,
                              size_t i0, size_t rows) {
    const N(planes) *g = &o->g;
    const size_t places = g->col.places;
    N(rows_job) job = {.from = s->buffer, .w = s->weight, .row = g->line, .bias = bias, .rows = rows, .width = g->width, .over = !g->direct,
                       .relu = o->pass == CONV_FWD && o->L->window.activation == PD_RELU, .ld = g->out_line};
    if (g->flat) job.rows = ceil_div((rows - 1) * g->line + g->width, VL), job.row = job.ld = job.width = VL;
    for (size_t fw = 0; fw < places; fw++) {
        const size_t phase = fh * places + fw, first = s->first[phase];
        job.taps = s->first[phase + 1] - first;
        job.off = s->off + first;
        for (size_t t = 0; t < job.taps; t++) s->weight[t] = weight[s->at[first + t]];
        job.to = s->out + fw * g->out_room;
        if (g->direct) job.to = to + (i0 * g->row.places + fh) * g->width, job.ld = g->row.places * g->width;
        N(rows_sum)(o->column, 0, &job);
    }
}

/* Where a unit of work lies: band i0 of slice z of a plane of channel c */
typedef struct N(depthwise_place) {
    size_t i0, z, plane, c;
} N(depthwise_place);

INLINE N(depthwise_place) N(depthwise_at)(const N(depthwise) *o, size_t unit) {
    const N(planes) *g = &o->g;
    if (o->depth == 1 && g->bands == 1) return (N(depthwise_place)){0, 0, unit, unit % g->w->c};
    const size_t plane = unit / g->bands / o->depth;
    return (N(depthwise_place)){unit % g->bands * g->rows, unit / g->bands % o->depth, plane, plane % g->w->c};
}

/* The targets of a unit, from its buffer; those that are not `direct` to s->out. place: from there to where they belong */
INLINE void N(depthwise_targets)(const N(depthwise) *o, const N(planes_slot) *s, size_t unit, int place) {
    const N(planes) *g = &o->g;
    const pd_window *w = g->w;
    const N(depthwise_place) at = N(depthwise_at)(o, unit);
    const real *bias = o->L->buf[2];
    for (size_t j = 0; j < o->targets; j++) {
        real *to = (real *)o->L->buf[3] + ((at.plane * o->targets + j) * o->depth + at.z) * g->row.to * g->col.to;
        const real *weight = (const real *)o->L->buf[1] + (at.c * o->m + j) * o->taps;
        for (size_t fh = 0; fh < g->row.places; fh++) {
            const size_t rows = N(planes_rows)(g, fh, at.i0);
            if (rows == 0) continue;
            if (place != 1) N(depthwise_band)(o, s, weight, bias ? bias[at.c * o->targets + j] : 0, to, fh, at.i0, rows);
            if (place != 0 && !g->direct) N(planes_place)(g, s->out, to, fh, at.i0, rows);
        }
        if (place != 0 && !g->back && w->activation != PD_NO_ACTIVATION && w->activation != PD_RELU)
            N(conv_activate)(w->activation, to + at.i0 * g->col.to, N(planes_rows)(g, 0, at.i0) * g->col.to);
    }
}

/* Of small planes several go through each step together: what is stored in one arrives in the cache before the next loads it. */
static void N(depthwise_chunk)(void *context, size_t chunk) {
    const N(depthwise) *o = context;
    const N(planes) *g = &o->g;
    const size_t each = g->count * volume(g->back ? g->w->out : g->w->in), last = (chunk + 1) * o->units / o->chunks;
    N(planes_slot) s = N(planes_slot_at)(g, (real *)o->L->workspace + chunk * o->slot, o->together, o->outs, o->weights);
    N(planes_slot) part = s;
    for (size_t u = chunk * o->units / o->chunks; u < last; u += o->together) {
        const size_t count = min_size(o->together, last - u);
        for (size_t i = 0; i < count; i++) {
            const N(depthwise_place) at = N(depthwise_at)(o, u + i);
            N(planes_turn)(g, &part, at.z);
            N(planes_fill)(g, s.buffer + i * g->room, (const real *)o->L->buf[0] + at.plane * each, at.z, at.i0);
        }
        for (int place = o->together > 1 ? 0 : 2; place < 3; place += 1 + (place == 1))
            for (size_t i = 0; i < count; i++) {
                part.buffer = s.buffer + i * g->room, part.out = s.out + i * o->outs * g->out_room;
                N(depthwise_targets)(o, &part, u + i, place);
            }
    }
}

/* ---- The gradient of the weight: chunks of channels, and where these are few of images. ---- */

/* The products of one band of dy, from row i0 of slice z on, with the buffer */
static void N(depthwise_products)(const N(depthwise) *o, const N(planes_slot) *s, const real *dy, size_t rows, real *sums) {
    const N(planes) *g = &o->g;
    const size_t area = g->w->kernel[1] * g->w->kernel[2];
    N(rows_job) job = {.from = s->buffer, .off = s->off, .taps = s->first[1], .row = g->line, .ld = g->out_line, .to = s->out, .rows = rows,
                       .width = g->width};
    if (job.taps == 0) return;
    N(rows_copy)(s->out, g->out_line, dy, g->width, rows, g->width);
    if (g->flat) {
        memset(s->out + (rows - 1) * g->line + g->width, 0, CONV_ROWS * VL * sizeof(real));
        job.rows = ceil_div((rows - 1) * g->line + g->width, VL), job.row = job.ld = job.width = VL;
    } else if (rows % CONV_ROWS) memset(s->out + rows * g->out_line, 0, CONV_ROWS * g->out_line * sizeof(real));
    sums += s->at[0] / area * area * VL;
    N(rows_multiply)(o->column, &job, sums);
}

/* The sum of VL lanes, in a fixed order */
INLINE real N(lane_sum)(const real *lanes) {
    real x[VL];
    memcpy(x, lanes, sizeof(x));
    UNROLL for (size_t half = VL / 2; half > 0; half /= 2)
        UNROLL for (size_t i = 0; i < half; i++) x[i] += x[i + half];
    return x[0];
}

/* Channels c0..c1, which lie one behind the other, image by image */
static void N(depthwise_channels)(const N(depthwise) *o, N(planes_slot) *s, size_t c0, size_t c1, size_t n0, size_t n1, real *to) {
    const N(planes) *g = &o->g;
    const pd_window *w = g->w;
    const size_t taps = o->taps, in = volume(w->in), out = volume(w->out), area = w->out[1] * w->out[2];
    memset(s->weight, 0, o->weights * sizeof(real));
    for (size_t n = n0; n < n1; n++)
        for (size_t c = c0; c < c1; c++)
            for (size_t z = 0; z < w->out[0]; z++)
                for (size_t i0 = 0; i0 < w->out[1]; i0 += g->rows) {
                    N(planes_turn)(g, s, z);
                    N(planes_fill)(g, s->buffer, (const real *)o->L->buf[1] + (n * w->c + c) * in, z, i0);
                    for (size_t j = 0; j < o->m; j++)
                        N(depthwise_products)(o, s, (const real *)o->L->buf[0] + (n * w->o + c * o->m + j) * out + z * area + i0 * w->out[2],
                                              N(planes_rows)(g, 0, i0), s->weight + ((c - c0) * o->m + j) * taps * VL);
                }
    const size_t kh = w->kernel[1], kw = w->kernel[2];
    for (size_t j = 0; j < (c1 - c0) * o->m; j++, to += taps)
        for (size_t t = 0; t < taps; t++) /* the taps lie column by column */
            to[(t / (kh * kw) * kh + t % kh) * kw + t / kh % kw] = N(lane_sum)(s->weight + (j * taps + t) * VL);
}

static void N(depthwise_weight_chunk)(void *context, size_t chunk) {
    const N(depthwise) *o = context;
    const pd_window *w = o->g.w;
    const size_t group = chunk / o->chunks, part = chunk % o->chunks, each = o->m * o->taps, last = (part + 1) * w->c / o->chunks;
    N(planes_slot) s = N(planes_slot_at)(&o->g, (real *)o->L->workspace + chunk * o->slot, 1, o->outs, o->weights);
    real *to = o->groups > 1 ? o->partial + group * w->c * each : o->L->buf[3];
    for (size_t c = part * w->c / o->chunks; c < last; c += o->block)
        N(depthwise_channels)(o, &s, c, min_size(c + o->block, last), group * w->n / o->groups, (group + 1) * w->n / o->groups, to + c * each);
}

/* to (n) = the sum of `count` of them, in order */
static void N(conv_add_up)(real *to, const real *partial, size_t count, size_t n) {
    memcpy(to, partial, n * sizeof(real));
    for (size_t g = 1; g < count; g++)
        for (size_t i = 0; i < n; i++) to[i] += partial[g * n + i];
}

/* ---- The algorithm. ---- */

static double N(conv_depthwise_cost)(const pd_window *w, enum conv_pass pass) {
    N(depthwise) o;
    pd_launch L = {.window = *w};
    if (!N(depthwise_plan)(&o, &L, pass)) return HUGE_VAL;
    /* vectors of products, and in their measure what a plane and its rows take beside */
    const N(planes) *g = &o.g;
    const size_t by_row = ceil_div(g->rows, CONV_ROWS) * CONV_ROWS * ceil_div(g->width, VL);
    const double vectors = (double)(g->flat ? ceil_div(g->rows * g->line, VL) : by_row);
    const double each = 1.2 * vectors * (double)(o.taps * o.m), rows = (double)(g->count * w->kernel[0] * g->row.split * g->lines + g->rows);
    return (double)(w->n * w->c) * (double)(o.depth * g->bands) * (60 + 100 * (double)o.m + (5 + 2 * (double)ceil_div(g->width, VL)) * rows + each) * VL;
}

static size_t N(conv_depthwise_room)(const pd_launch *L, enum conv_pass pass) {
    N(depthwise) o;
    if (!N(depthwise_plan)(&o, L, pass)) return 0;
    const size_t partial = o.groups > 1 ? o.groups * L->window.o * volume(L->window.kernel) : 0;
    return (o.chunks * o.groups * o.slot + partial) * sizeof(real);
}

static void N(conv_depthwise)(const pd_launch *L, enum conv_pass pass) {
    N(depthwise) o;
    if (!N(depthwise_plan)(&o, L, pass)) return;
    if (pass != CONV_WEIGHT_GRAD) {
        pd_parallel(o.chunks, N(depthwise_chunk), &o);
        return;
    }
    o.partial = (real *)L->workspace + o.chunks * o.groups * o.slot;
    pd_parallel(o.chunks * o.groups, N(depthwise_weight_chunk), &o);
    if (o.groups > 1) N(conv_add_up)(L->buf[3], o.partial, o.groups, L->window.o * volume(L->window.kernel));
}
