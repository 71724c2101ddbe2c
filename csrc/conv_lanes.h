/* Depthwise convolutions of small planes: VL channels side by side, one in each lane. The buffer of conv_planes.h then holds vectors;
 * planes are turned on their way into it and out of it. The kernels are those of conv_rows.h. */
#ifndef PD_CONV_LANES_ONCE
#define PD_CONV_LANES_ONCE
enum { CONV_LANES_ROOM = 64 << 10 }; /* bytes of the buffer, at most */
#endif

typedef struct N(lanes) {
    const pd_launch *L;
    enum conv_pass pass;
    N(planes) g;
    size_t m, column, taps, blocks;          /* blocks of VL channels */
    size_t units, chunks, groups;            /* groups of images, for the gradient of the weight */
    size_t room, out_room, weights, slot;    /* elements */
    real *partial;
} N(lanes);

static int N(lanes_plan)(N(lanes) *o, const pd_launch *L, enum conv_pass pass) {
    const pd_window *w = &L->window;
    if (w->groups != w->c || 4 * w->c < 3 * VL || w->in[0] != 1 || w->out[0] != 1 || w->kernel[0] != 1) return 0;
    *o = (N(lanes)){.L = L, .pass = pass, .m = w->o / w->c, .taps = volume(w->kernel), .blocks = ceil_div(w->c, VL), .groups = 1};
    const int back = pass == CONV_INPUT_GRAD;
    if (!N(planes_plan)(&o->g, w, back, back ? o->m : 1, o->taps) || o->g.bands > 1) return 0;
    const size_t kh = w->kernel[1], straight = w->stride[1] == 1 && w->dilation[1] == 1;
    o->column = straight && (kh == 3 || kh == 5 || kh == 7) ? kh : 1;
    o->g.plane += 1; /* where the elements go that no target meets */
    o->g.slice += o->g.count;
    o->room = (o->g.room + o->g.count) * VL;
    if (o->room * sizeof(real) > CONV_LANES_ROOM) return 0;
    o->out_room = ceil_div(o->g.row.to, CONV_ROWS) * CONV_ROWS * o->g.col.to * VL;
    o->weights = (pass == CONV_FWD ? 1 : o->m) * o->taps * VL;
    const size_t tables = (2 * o->g.taps + o->g.row.from * o->g.col.from) * sizeof(size_t) / sizeof(real) + 2;
    o->slot = ceil_div(o->room + o->out_room + o->weights + VL + tables, 16) * 16;
    const double work = (double)w->n * (double)w->o * (double)volume(w->out) * (double)o->taps;
    const size_t most = work < CONV_THREAD_WORK ? 1 : CONV_CHUNKS;
    o->units = o->blocks * w->n;
    if (pass == CONV_WEIGHT_GRAD) {
        if (most > 1 && o->blocks < CONV_CHUNKS) o->groups = min_size(w->n, CONV_CHUNKS / o->blocks);
        o->units = o->blocks;
    }
    o->chunks = min_size(o->units, max_size(most / o->groups, 1));
    return 1;
}

typedef struct N(lanes_slot) {
    real *buffer, *out, *weight, *bias;
    N(planes_slot) tables;
    size_t *place; /* of each element of the source, in the buffer */
} N(lanes_slot);

static N(lanes_slot) N(lanes_slot_at)(const N(lanes) *o, real *at) {
    const N(planes) *g = &o->g;
    N(lanes_slot) s = {.buffer = at, .out = at + o->room, .weight = at + o->room + o->out_room, .tables.slice = SIZE_MAX};
    s.bias = s.weight + o->weights;
    s.tables.off = (size_t *)(s.bias + VL);
    s.tables.at = s.tables.off + g->taps;
    s.place = s.tables.at + g->taps;
    memset(at, 0, (o->room + o->out_room) * sizeof(real));
    N(planes_turn)(g, &s.tables, 0);
    for (size_t t = 0; t < g->taps; t++) s.tables.off[t] *= VL;
    for (size_t i = 0; i < g->row.from; i++)
        for (size_t j = 0; j < g->col.from; j++) {
            const ptrdiff_t y = (ptrdiff_t)i - g->row.lead, x = (ptrdiff_t)j - g->col.lead;
            const size_t row = (size_t)y / g->row.split, col = (size_t)x / g->col.split;
            const size_t phase = (size_t)y % g->row.split * g->col.split + (size_t)x % g->col.split;
            const int inside = y >= 0 && x >= 0 && row < g->lines && col < g->line;
            s.place[i * g->col.from + j] = VL * (inside ? phase * g->phase + row * g->line + col : g->plane - 1);
        }
    return s;
}

/* n elements of each of `lines` planes -> n vectors, element i at to + place[i], or one after the other */
static void N(lanes_in)(real *to, const size_t *place, const real *from, size_t line, size_t lines, size_t n) {
    vreal x[VL];
    for (size_t p = 0; p < n; p += VL) {
        const size_t first = n >= VL ? min_size(p, n - VL) : 0, count = min_size(n, VL);
        if (n >= VL) N(turn)(x, from + first, (ptrdiff_t)line, lines);
        else
            for (size_t i = 0; i < n; i++)
                for (size_t l = 0; l < VL; l++) x[i][l] = from[min_size(l, lines - 1) * line + i];
        for (size_t i = 0; i < count; i++) v_store(to + (place ? place[first + i] : (first + i) * VL), x[i]);
    }
}

/* And back */
static void N(lanes_out)(real *to, const real *from, size_t line, size_t lines, size_t n) {
    vreal x[VL];
    for (size_t p = 0; p < n; p += VL) {
        const size_t first = n >= VL ? min_size(p, n - VL) : 0;
        if (n >= VL) {
            N(turn)(x, from + first * VL, (ptrdiff_t)VL, VL);
            for (size_t l = 0; l < lines; l++) v_store(to + l * line + first, x[l]);
        } else
            for (size_t l = 0; l < lines; l++)
                for (size_t i = 0; i < n; i++) to[l * line + i] = from[i * VL + l];
    }
}

/* One image's targets, from the buffer: output j of each channel, or the input */
static void N(lanes_targets)(const N(lanes) *o, const N(lanes_slot) *s) {
    const N(planes) *g = &o->g;
    const pd_activation activation = o->pass == CONV_FWD ? o->L->window.activation : PD_NO_ACTIVATION;
    for (size_t fh = 0; fh < min_size(g->row.places, g->row.to); fh++)
        for (size_t fw = 0; fw < min_size(g->col.places, g->col.to); fw++) {
            const size_t phase = fh * g->col.places + fw, first = s->tables.first[phase];
            const N(rows_job) job = {.from = s->buffer, .w = s->weight + first * VL, .off = s->tables.off + first,
                                     .taps = s->tables.first[phase + 1] - first, .row = g->line * VL, .ld = g->row.places * g->col.to * VL,
                                     .to = s->out + (fh * g->col.to + fw) * VL, .rows = N(planes_rows)(g, fh, 0),
                                     .width = ceil_div(g->col.to - fw, g->col.places) * VL, .step = g->col.places * VL,
                                     .relu = activation == PD_RELU, .lane_bias = s->bias};
            N(rows_sum)(o->column, 1, &job);
        }
    if (activation != PD_NO_ACTIVATION && activation != PD_RELU) N(gemm_activate)(activation, s->out, g->row.to * g->col.to * VL);
}

/* The weights and biases of the channels from c on, `lines` of them: of output j, or of the input */
static void N(lanes_weights)(const N(lanes) *o, const N(lanes_slot) *s, size_t c, size_t lines, size_t j) {
    const real *weight = o->L->buf[1], *bias = o->L->buf[2];
    const size_t each = o->g.back ? 1 : o->m;
    for (size_t l = 0; l < VL; l++) {
        const size_t channel = c + min_size(l, lines - 1);
        for (size_t t = 0; t < o->g.taps; t++) s->weight[t * VL + l] = weight[(channel * o->m + j) * o->taps + s->tables.at[t]];
        s->bias[l] = bias ? bias[channel * each + j] : 0;
    }
}

/* A unit is an image of a block of channels; blocks are the outer loop. */
static void N(lanes_chunk)(void *context, size_t chunk) {
    const N(lanes) *o = context;
    const N(planes) *g = &o->g;
    const pd_window *w = g->w;
    const size_t from = g->row.from * g->col.from, to = g->row.to * g->col.to, each = g->back ? 1 : o->m;
    const size_t u0 = chunk * o->units / o->chunks, u1 = (chunk + 1) * o->units / o->chunks;
    N(lanes_slot) s = N(lanes_slot_at)(o, (real *)o->L->workspace + chunk * o->slot);
    for (size_t u = u0; u < u1; u++) {
        const size_t c = u / w->n * VL, n = u % w->n, lines = min_size(VL, w->c - c);
        for (size_t p = 0; p < g->count; p++)
            N(lanes_in)(s.buffer + p * g->plane * VL, s.place, (const real *)o->L->buf[0] + ((n * w->c + c) * g->count + p) * from,
                        g->count * from, lines, from);
        for (size_t j = 0; j < each; j++) {
            if (u == u0 || n == 0 || each > 1) N(lanes_weights)(o, &s, c, lines, j);
            N(lanes_targets)(o, &s);
            N(lanes_out)((real *)o->L->buf[3] + ((n * w->c + c) * each + j) * to, s.out, each * to, lines, to);
        }
    }
}

/* The gradient of the weight, of a group of images */
static void N(lanes_weight_chunk)(void *context, size_t chunk) {
    const N(lanes) *o = context;
    const N(planes) *g = &o->g;
    const pd_window *w = g->w;
    const size_t in = g->row.from * g->col.from, out = g->row.to * g->col.to, group = chunk / o->chunks, part = chunk % o->chunks;
    N(lanes_slot) s = N(lanes_slot_at)(o, (real *)o->L->workspace + chunk * o->slot);
    N(rows_job) job = {.from = s.buffer, .off = s.tables.off, .taps = o->taps, .row = g->line * VL, .ld = g->col.to * VL, .to = s.out,
                       .rows = g->row.to, .width = g->col.to * VL};
    real *to = o->groups > 1 ? o->partial + group * w->o * o->taps : o->L->buf[3];
    for (size_t b = part * o->blocks / o->chunks; b < (part + 1) * o->blocks / o->chunks; b++) {
        const size_t c = b * VL, lines = min_size(VL, w->c - c);
        memset(s.weight, 0, o->weights * sizeof(real));
        for (size_t n = group * w->n / o->groups; n < (group + 1) * w->n / o->groups; n++) {
            N(lanes_in)(s.buffer, s.place, (const real *)o->L->buf[1] + (n * w->c + c) * in, in, lines, in);
            for (size_t j = 0; j < o->m; j++) {
                N(lanes_in)(s.out, NULL, (const real *)o->L->buf[0] + ((n * w->c + c) * o->m + j) * out, o->m * out, lines, out);
                N(rows_multiply)(o->column, &job, s.weight + j * o->taps * VL);
            }
        }
        for (size_t l = 0; l < lines; l++)
            for (size_t j = 0; j < o->m; j++)
                for (size_t t = 0; t < o->taps; t++)
                    to[((c + l) * o->m + j) * o->taps + s.tables.at[t]] = s.weight[(j * o->taps + t) * VL + l];
    }
}

/* ---- The algorithm. ---- */

static double N(conv_lanes_cost)(const pd_window *w, enum conv_pass pass) {
    N(lanes) o;
    pd_launch L = {.window = *w};
    if (!N(lanes_plan)(&o, &L, pass)) return HUGE_VAL;
    const double out = (double)(w->n * o.blocks * o.m) * (double)volume(w->out), in = (double)(w->n * o.blocks) * (double)volume(w->in);
    return (1.8 * (double)o.taps * out + 5 * (in + out)) * VL; /* vectors of products, and what it takes to turn one */
}

static size_t N(conv_lanes_room)(const pd_launch *L, enum conv_pass pass) {
    N(lanes) o;
    if (!N(lanes_plan)(&o, L, pass)) return 0;
    const size_t partial = o.groups > 1 ? o.groups * L->window.o * o.taps : 0;
    return (o.chunks * o.groups * o.slot + partial) * sizeof(real);
}

static void N(conv_lanes)(const pd_launch *L, enum conv_pass pass) {
    N(lanes) o;
    if (!N(lanes_plan)(&o, L, pass)) return;
    if (pass != CONV_WEIGHT_GRAD) {
        pd_parallel(o.chunks, N(lanes_chunk), &o);
        return;
    }
    o.partial = (real *)L->workspace + o.chunks * o.groups * o.slot;
    pd_parallel(o.chunks * o.groups, N(lanes_weight_chunk), &o);
    if (o.groups > 1) N(conv_add_up)(L->buf[3], o.partial, o.groups, L->window.o * o.taps);
}
