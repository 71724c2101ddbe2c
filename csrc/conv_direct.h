/* Convolutions of few input channels, such as a network's first: sums over the taps of padded planes (conv_planes.h), several output
 * channels and vectors of elements at a time, which are kept in registers. The gradient of the input is such a sum, too. Two dimensions. */
#ifndef PD_CONV_DIRECT_ONCE
#define PD_CONV_DIRECT_ONCE
enum { DIRECT_CHANNELS = 64, DIRECT_STRIPS = 3 };
#ifdef __AVX512F__
enum { DIRECT_OUTS = 8 };
#else
enum { DIRECT_OUTS = 4 };
#endif
#endif

typedef struct N(direct) {
    const pd_launch *L;
    enum conv_pass pass;
    N(planes) g;
    size_t outs, taps;            /* targets of a group; weights of a source and a target */
    size_t strips;                /* vectors of a band, at most */
    size_t units, chunks, slot;
    size_t kept, head;            /* elements of the tables and packed weights; of the workspace before the chunks' rooms */
    N(planes_slot) tables;
    const real *weight;
} N(direct);

static int N(direct_plan)(N(direct) *o, const pd_launch *L, enum conv_pass pass) {
    const pd_window *w = &L->window;
    const size_t c = w->c / w->groups, outs = w->o / w->groups;
    if (c == 0 || outs == 0 || c > DIRECT_CHANNELS || w->in[0] != 1 || w->out[0] != 1 || w->kernel[0] != 1) return 0;
    *o = (N(direct)){.L = L, .pass = pass, .taps = volume(w->kernel)};
    const int back = pass == CONV_INPUT_GRAD;
    N(planes) *g = &o->g;
    if (!N(planes_plan)(g, w, back, back ? outs : c, back ? c * o->taps : o->taps)) return 0;
    o->outs = back ? c : outs;
    g->direct = g->width >= VL && g->col.places == 1;
    g->flat = !g->direct;
    if (g->flat) g->out_line = g->line;
    o->strips = g->flat ? ceil_div(g->rows * g->line, VL) : g->rows * ceil_div(g->width, VL);
    g->out_room = ceil_div((o->strips + 2) * VL, 16) * 16;
    o->units = w->n * w->groups * g->bands;
    const size_t words = sizeof(size_t) / sizeof(real) + (sizeof(size_t) % sizeof(real) > 0);
    o->kept = ceil_div(ceil_div(sizeof(N(planes_slot)), sizeof(real)) + 2 * g->taps * words + w->groups * o->outs * g->taps, 16) * 16;
    o->head = w->packed ? 0 : o->kept;
    const double work = (double)w->n * (double)w->o * (double)volume(w->out) * (double)(c * o->taps);
    o->chunks = work < CONV_THREAD_WORK ? 1 : min_size(o->units, CONV_CHUNKS);
    o->slot = g->room + (g->direct ? 0 : DIRECT_OUTS * g->col.places * g->out_room) + 2 * o->strips * words;
    o->slot = ceil_div(o->slot, 16) * 16;
    return 1;
}

/* Targets that are computed together: as many of `left` as there is a kernel for */
INLINE size_t N(direct_together)(size_t left) {
    return left >= DIRECT_OUTS ? DIRECT_OUTS : left >= 4 ? (left == 6 || left == 5 ? 3 : 4) : left;
}

/* Makes what is kept: the tables, and the weights of each group and phase, blocks of targets, [tap][target] */
static void N(direct_keep)(N(direct) *o, const real *weight, real *kept) {
    const N(planes) *g = &o->g;
    const pd_window *w = g->w;
    N(planes_slot) *tables = (N(planes_slot) *)kept;
    *tables = (N(planes_slot)){.off = (size_t *)(tables + 1), .at = (size_t *)(tables + 1) + g->taps, .slice = SIZE_MAX};
    N(planes_turn)(g, tables, 0);
    real *to = (real *)(tables->at + g->taps);
    const size_t group = w->o / w->groups * (w->c / w->groups) * o->taps, step = g->back ? o->taps : g->count * o->taps;
    for (size_t q = 0; q < w->groups; q++)
        for (size_t phase = 0; phase < g->row.places * g->col.places; phase++)
            for (size_t first = 0, n; first < o->outs; first += n) {
                n = N(direct_together)(o->outs - first);
                for (size_t t = tables->first[phase]; t < tables->first[phase + 1]; t++)
                    for (size_t i = 0; i < n; i++) *to++ = weight[q * group + (first + i) * step + tables->at[t]];
            }
}

static void N(direct_prepare)(N(direct) *o, real *kept) {
    if (!o->g.w->packed) N(direct_keep)(o, o->L->buf[1], kept);
    o->tables = *(N(planes_slot) *)kept;
    o->weight = (real *)(o->tables.at + o->g.taps);
}

typedef struct N(direct_job) {
    const real *from, *w, *bias;
    const size_t *off, *in, *out; /* of taps; of strips in the buffer and in a target */
    size_t taps, strips, plane;
    real *to;
    int relu;
} N(direct_job);

INLINE void N(direct_tile)(const size_t outs, const N(direct_job) *job, size_t strip) {
    const real *x[DIRECT_STRIPS], *w = job->w;
    size_t place[DIRECT_STRIPS];
    vreal acc[DIRECT_OUTS * DIRECT_STRIPS];
    UNROLL for (size_t v = 0; v < DIRECT_STRIPS; v++) {
        const size_t s = min_size(strip + v, job->strips - 1);
        x[v] = job->from + job->in[s], place[v] = job->out[s];
    }
    UNROLL for (size_t i = 0; i < outs * DIRECT_STRIPS; i++) acc[i] = v_set(job->bias ? job->bias[i / DIRECT_STRIPS] : 0);
    for (size_t t = 0; t < job->taps; t++, w += outs) {
        const size_t at = job->off[t];
        vreal row[DIRECT_STRIPS];
        UNROLL for (size_t v = 0; v < DIRECT_STRIPS; v++) {
            row[v] = v_load(x[v] + at);
            V_HOLD(row[v]);
        }
        UNROLL for (size_t i = 0; i < outs; i++) {
            const vreal k = v_set(w[i]);
            UNROLL for (size_t v = 0; v < DIRECT_STRIPS; v++) acc[i * DIRECT_STRIPS + v] = v_fma(k, row[v], acc[i * DIRECT_STRIPS + v]);
        }
    }
    if (job->relu)
        UNROLL for (size_t i = 0; i < outs * DIRECT_STRIPS; i++) acc[i] = N(relu_fwd_at)(acc[i], NULL);
    UNROLL for (size_t i = 0; i < outs; i++)
        UNROLL for (size_t v = 0; v < DIRECT_STRIPS; v++) v_store(job->to + i * job->plane + place[v], acc[i * DIRECT_STRIPS + v]);
}

static void N(direct_tiles)(size_t outs, const N(direct_job) *job) {
#define DIRECT_CASE(n)                                                                                       \
    if (outs == n)                                                                                           \
        for (size_t s = 0; s < job->strips; s += DIRECT_STRIPS) N(direct_tile)(n, job, s);
#if defined(__AVX512F__)
    DIRECT_CASE(8)
#endif
    DIRECT_CASE(4)
    DIRECT_CASE(3)
    DIRECT_CASE(2)
    DIRECT_CASE(1)
#undef DIRECT_CASE
}

/* Where the vectors of `rows` rows lie in the buffer and in a target, `ld` from row to row -> how many. The last vector of a row
 * overlaps the one before. */
static size_t N(direct_strips)(const N(planes) *g, size_t rows, size_t ld, size_t *in, size_t *out) {
    size_t n = 0;
    if (g->flat)
        for (; n < ceil_div((rows - 1) * g->line + g->width, VL); n++) in[n] = out[n] = n * VL;
    else
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < g->width; j += VL, n++) {
                const size_t at = min_size(j, g->width - VL);
                in[n] = i * g->line + at, out[n] = i * ld + at;
            }
    return n;
}

/* Band i0 of the targets of group q in image n, from the buffer; tables of strips behind `out` */
static void N(direct_band)(const N(direct) *o, const real *buffer, real *out, size_t n, size_t q, size_t i0) {
    const N(planes) *g = &o->g;
    const pd_window *w = g->w;
    const size_t area = g->row.to * g->col.to, places = g->col.places, count = o->outs * w->groups, ld = g->row.places * g->col.to;
    const pd_activation activation = o->pass == CONV_FWD ? w->activation : PD_NO_ACTIVATION;
    size_t *in = (size_t *)(out + (g->direct ? 0 : DIRECT_OUTS * places * g->out_room));
    real *to = (real *)o->L->buf[3] + (n * count + q * o->outs) * area;
    const real *bias = o->L->buf[2];
    N(direct_job) job = {.from = buffer, .in = in, .out = in + o->strips, .plane = g->direct ? area : places * g->out_room, .relu = activation == PD_RELU};
    for (size_t fh = 0; fh < g->row.places; fh++) {
        const size_t rows = N(planes_rows)(g, fh, i0);
        if (rows == 0) continue;
        job.strips = N(direct_strips)(g, rows, ld, in, in + o->strips);
        for (size_t first = 0, outs; first < o->outs; first += outs) {
            outs = N(direct_together)(o->outs - first);
            job.bias = bias ? bias + q * o->outs + first : NULL;
            for (size_t fw = 0; fw < places; fw++) {
                const size_t phase = fh * places + fw, start = o->tables.first[phase];
                job.off = o->tables.off + start, job.taps = o->tables.first[phase + 1] - start;
                job.w = o->weight + q * o->outs * g->taps + start * o->outs + first * job.taps;
                job.to = g->direct ? to + first * area + (i0 * g->row.places + fh) * g->col.to : out + fw * g->out_room;
                N(direct_tiles)(outs, &job);
            }
            for (size_t i = 0; i < outs && !g->direct; i++) N(planes_place)(g, out + i * job.plane, to + (first + i) * area, fh, i0, rows);
        }
    }
    if (activation != PD_NO_ACTIVATION && activation != PD_RELU)
        for (size_t i = 0; i < o->outs; i++)
            N(conv_activate)(activation, to + i * area + i0 * g->col.to, N(planes_rows)(g, 0, i0) * g->col.to);
}

static void N(direct_chunk)(void *context, size_t chunk) {
    const N(direct) *o = context;
    const N(planes) *g = &o->g;
    const size_t groups = g->w->groups, area = g->row.from * g->col.from;
    real *buffer = (real *)o->L->workspace + o->head + chunk * o->slot;
    memset(buffer, 0, g->room * sizeof(real));
    for (size_t u = chunk * o->units / o->chunks; u < (chunk + 1) * o->units / o->chunks; u++) {
        const size_t i0 = u % g->bands * g->rows, q = u / g->bands % groups, n = u / g->bands / groups;
        N(planes_fill)(g, buffer, (const real *)o->L->buf[0] + (n * groups + q) * g->count * area, 0, i0);
        N(direct_band)(o, buffer, buffer + g->room, n, q, i0);
    }
}

/* ---- The gradient of the weight. ---- */

#ifndef PD_CONV_DIRECT_GRAD_ONCE
#define PD_CONV_DIRECT_GRAD_ONCE
#ifdef __AVX512F__
enum { DIRECT_DY = 4, DIRECT_TAPS = 6 };
#else
enum { DIRECT_DY = 3, DIRECT_TAPS = 4 };
#endif
enum { DIRECT_SUMS = 4 << 20 }; /* bytes of all chunks' sums */
#endif

/* sums (outs, taps), vectors: the products of dy's strips (outs, strips) with the buffer under each tap are added, lane by lane */
INLINE void N(direct_products)(const size_t outs, const size_t taps, const N(direct_job) *job, const real *dy, const size_t *off, real *sums,
                               size_t all) {
    vreal acc[DIRECT_DY * DIRECT_TAPS];
    UNROLL for (size_t i = 0; i < outs * taps; i++) acc[i] = v_load(sums + (i / taps * all + i % taps) * VL);
    const size_t step = job->strips * VL;
    for (size_t s = 0; s < job->strips; s++, dy += VL) {
        const real *x = job->from + job->in[s];
        vreal y[DIRECT_DY];
        UNROLL for (size_t i = 0; i < outs; i++) {
            y[i] = v_load(dy + i * step);
            V_HOLD(y[i]);
        }
        UNROLL for (size_t t = 0; t < taps; t++) {
            vreal v = v_load(x + off[t]);
            V_HOLD(v);
            UNROLL for (size_t i = 0; i < outs; i++) acc[i * taps + t] = v_fma(y[i], v, acc[i * taps + t]);
        }
    }
    UNROLL for (size_t i = 0; i < outs * taps; i++) v_store(sums + (i / taps * all + i % taps) * VL, acc[i]);
}

INLINE void N(direct_products_of)(const size_t outs, const N(direct_job) *job, const real *dy, real *sums) {
    const size_t half = DIRECT_TAPS / 2, all = job->taps;
    size_t t = 0;
    for (; t + DIRECT_TAPS <= all; t += DIRECT_TAPS) N(direct_products)(outs, DIRECT_TAPS, job, dy, job->off + t, sums + t * VL, all);
    for (; t + half <= all; t += half) N(direct_products)(outs, half, job, dy, job->off + t, sums + t * VL, all);
    for (; t < all; t++) N(direct_products)(outs, 1, job, dy, job->off + t, sums + t * VL, all);
}

/* dy's rows in strips; what a strip shares with the one before is zero */
static void N(direct_dy)(const N(planes) *g, real *to, const real *from, size_t rows, size_t strips) {
    if (g->flat) {
        memset(to, 0, strips * VL * sizeof(real));
        for (size_t i = 0; i < rows; i++) memcpy(to + i * g->line, from + i * g->width, g->width * sizeof(real));
        return;
    }
    for (size_t i = 0; i < rows; i++, from += g->width)
        for (size_t j = 0; j < g->width; j += VL, to += VL) {
            const size_t at = min_size(j, g->width - VL);
            v_store(to, v_load(from + at));
            for (size_t l = 0; l < j - at; l++) to[l] = 0;
        }
}

static void N(direct_grad_chunk)(void *context, size_t chunk) {
    const N(direct) *o = context;
    const N(planes) *g = &o->g;
    const pd_window *w = g->w;
    const size_t groups = w->groups, in = g->row.from * g->col.from, out = g->row.to * g->col.to, weights = w->o * g->taps;
    real *buffer = (real *)o->L->workspace + o->head + chunk * o->slot, *dy = buffer + g->room, *sums = dy + DIRECT_DY * o->strips * VL;
    size_t *strips = (size_t *)(sums + weights * VL);
    real *to = o->chunks > 1 ? (real *)o->L->workspace + o->head + o->chunks * o->slot + chunk * weights : o->L->buf[3];
    memset(buffer, 0, g->room * sizeof(real));
    memset(sums, 0, weights * VL * sizeof(real));
    for (size_t u = chunk * o->units / o->chunks; u < (chunk + 1) * o->units / o->chunks; u++) {
        const size_t i0 = u % g->bands * g->rows, q = u / g->bands % groups, n = u / g->bands / groups, rows = N(planes_rows)(g, 0, i0);
        N(direct_job) job = {.from = buffer, .off = o->tables.off, .in = strips, .taps = g->taps};
        job.strips = N(direct_strips)(g, rows, 0, strips, strips + o->strips);
        N(planes_fill)(g, buffer, (const real *)o->L->buf[1] + (n * groups + q) * g->count * in, 0, i0);
        for (size_t first = 0, outs; first < o->outs; first += outs) {
            outs = o->outs - first >= DIRECT_DY ? DIRECT_DY : 1;
            for (size_t i = 0; i < outs; i++)
                N(direct_dy)(g, dy + i * job.strips * VL, (const real *)o->L->buf[0] + ((n * groups + q) * o->outs + first + i) * out + i0 * g->width,
                             rows, job.strips);
            real *sum = sums + (q * o->outs + first) * g->taps * VL;
            if (outs == 1) N(direct_products_of)(1, &job, dy, sum);
            else N(direct_products_of)(DIRECT_DY, &job, dy, sum);
        }
    }
    for (size_t i = 0; i < w->o; i++)
        for (size_t t = 0; t < g->taps; t++) to[i * g->taps + o->tables.at[t]] = N(lane_sum)(sums + (i * g->taps + t) * VL);
}

static void N(direct_grad_plan)(N(direct) *o) {
    const size_t weights = o->g.w->o * o->g.taps, words = sizeof(size_t) / sizeof(real) + (sizeof(size_t) % sizeof(real) > 0);
    o->chunks = max_size(1, min_size(o->chunks, DIRECT_SUMS / (weights * VBYTES)));
    o->slot = ceil_div(o->g.room + DIRECT_DY * o->strips * VL + weights * VL + 2 * o->strips * words, 16) * 16;
}

/* ---- The algorithm. ---- */

static double N(conv_direct_cost)(const pd_window *w, enum conv_pass pass) {
    N(direct) o;
    pd_launch L = {.window = *w};
    if (!N(direct_plan)(&o, &L, pass)) return HUGE_VAL;
    const N(planes) *g = &o.g;
    if (pass == CONV_WEIGHT_GRAD && (double)w->o * (double)g->taps * VBYTES > DIRECT_SUMS) return HUGE_VAL;
    const double vectors = (double)o.strips * (double)(o.outs * g->taps), lines = (double)(g->count * g->row.split * g->lines);
    const double rows = lines + (double)(g->flat || pass == CONV_WEIGHT_GRAD ? o.outs * g->rows : 0);
    const double each = pass == CONV_WEIGHT_GRAD ? 1.6 : 1 + 1.0 / (double)min_size(o.outs, DIRECT_OUTS); /* loads are shared by the targets */
    return (double)o.units * (200 + each * vectors + (5 + 2 * (double)ceil_div(g->width, VL)) * rows) * VL;
}

static size_t N(conv_direct_room)(const pd_launch *L, enum conv_pass pass) {
    N(direct) o;
    if (!N(direct_plan)(&o, L, pass)) return 0;
    if (pass == CONV_WEIGHT_GRAD) N(direct_grad_plan)(&o);
    const size_t sums = pass == CONV_WEIGHT_GRAD && o.chunks > 1 ? o.chunks * L->window.o * o.g.taps : 0;
    return (o.head + o.chunks * o.slot + sums) * sizeof(real);
}

static size_t N(conv_direct_packed)(const pd_window *w, enum conv_pass pass) {
    N(direct) o;
    const pd_launch L = {.window = *w};
    return N(direct_plan)(&o, &L, pass) ? o.kept * sizeof(real) : 0;
}

static void N(conv_direct_pack)(const pd_launch *L, enum conv_pass pass) {
    N(direct) o;
    if (N(direct_plan)(&o, L, pass)) N(direct_keep)(&o, L->buf[0], L->buf[1]);
}

static void N(conv_direct)(const pd_launch *L, enum conv_pass pass) {
    N(direct) o;
    if (!N(direct_plan)(&o, L, pass)) return;
    if (pass == CONV_WEIGHT_GRAD) N(direct_grad_plan)(&o);
    if (pass != CONV_WEIGHT_GRAD) {
        N(direct_prepare)(&o, L->window.packed ? L->buf[1] : L->workspace);
        pd_parallel(o.chunks, N(direct_chunk), &o);
        return;
    }
    o.tables = (N(planes_slot)){.off = L->workspace, .at = (size_t *)L->workspace + o.g.taps, .slice = SIZE_MAX};
    N(planes_turn)(&o.g, &o.tables, 0);
    pd_parallel(o.chunks, N(direct_grad_chunk), &o);
    if (o.chunks > 1) N(conv_add_up)(L->buf[3], (const real *)L->workspace + o.head + o.chunks * o.slot, o.chunks, L->window.o * o.g.taps);
}
