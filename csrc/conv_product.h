/* Forward and input gradient of any shape as implicit matrix products (pixels x taps and channels) @ (taps and channels x filters):
 * no matrix of patches is ever made (conv_box.h). An item of work is a box of one image and group, and a part of the destination's channels:
 * a row of its pixels is computed, channels last, in tiles of conv_tile.h, then gets bias and activation and is turned into the destination.
 *
 * Filters are packed once a call: [group][panel of TN destination channels][block of source channels][tap][channel of the block][TN].
 * Error: that of chains of about CONV_CHAIN fused multiply-adds whose results are added one after the other. */
#include "conv_tile.h"
#include "conv_box.h"

#ifndef PD_CONV_PRODUCT_ONCE
#define PD_CONV_PRODUCT_ONCE
enum { CONV_ITEMS = 32,          /* items to share out, at least, where the sizes allow */
       CONV_SLOTS = 16,          /* of them worked on at the same time, at most */
       CONV_ROOM = 3 << 14 };    /* elements of the copy of a box, about */
#endif

typedef struct N(conv_op) {
    const pd_launch *L;
    const pd_window *w;
    int input_grad;
    N(conv_box) b;
    size_t filters, panels;     /* destination channels of a group, panels of them */
    size_t taps, block;         /* source channels in a block */
    size_t panel;               /* elements of a packed panel */
    size_t parts, part;         /* panels are shared out to so many items, `part` to each */
    size_t items, slots, slot;  /* threads that work on items at the same time, at most; elements of a slot: the copy, then one row of results */
    size_t next;                /* item that nobody has taken */
    real *packed, *work;
} N(conv_op);

static N(conv_op) N(conv_plan)(const pd_launch *L, int input_grad) {
    const pd_window *w = &L->window;
    N(conv_op) op = {.L = L, .w = w, .input_grad = input_grad, .b = N(conv_box_of)(w, input_grad)};
    op.filters = (input_grad ? w->c : w->o) / w->groups;
    op.panels = ceil_div(op.filters, TN);
    op.taps = volume(w->kernel);
    const size_t blocks = max_size(1, (op.taps * op.b.channels + CONV_CHAIN / 2) / CONV_CHAIN);
    op.block = max_size(16, ceil_div(ceil_div(op.b.channels, blocks), 16) * 16);
    op.panel = op.taps * op.b.channels * TN;
    N(conv_box_cut)(&op.b, CONV_ROOM, w->n * w->groups, CONV_ITEMS);
    const size_t boxes = w->n * w->groups * volume(op.b.boxes);
    op.part = ceil_div(op.panels, boxes ? min_size(op.panels, ceil_div(CONV_ITEMS, boxes)) : 1);
    op.parts = ceil_div(op.panels, op.part);
    op.items = boxes * op.parts;
    op.slots = min_size(op.items, CONV_SLOTS);
    op.slot = ceil_div(N(conv_box_elements)(&op.b) + (min_size(op.b.box[2] * op.b.to_step[2], op.b.to[2]) + VL) * TN, 16) * 16 + 16;
    op.packed = w->packed ? L->buf[1] : L->workspace;
    op.work = (real *)L->workspace + (w->packed ? 0 : w->groups * op.panels * op.panel);
    return op;
}

/* ---- Filters ---- */

/* Where the TN filters' weights of source channel c and tap t stand in a panel */
INLINE size_t N(conv_packed_at)(const N(conv_op) *op, size_t c, size_t t) {
    const size_t first = c / op->block * op->block, count = min_size(op->block, op->b.channels - first);
    return (first * op->taps + t * count + c - first) * TN;
}

/* `lanes` filters, `line` apart, of which `count` weights are neighbours: those of channel c, c + 1 ..., tap after tap */
static void N(conv_pack_run)(const N(conv_op) *op, real *panel, const real *from, size_t line, size_t lanes, size_t c, size_t count,
                             const real *end) {
    for (size_t lane = 0; lane < lanes; lane += VL) {
        const size_t lines = min_size(VL, lanes - lane);
        size_t channel = c, tap = 0;
        for (size_t e = 0; e < count; e += VL) {
            const real *at = from + lane * line + e;
            const size_t steps = min_size(VL, count - e);
            vreal x[VL];
            if ((size_t)(end - at) >= (lines - 1) * line + VL) N(turn)(x, at, (ptrdiff_t)line, lines);
            else
                for (size_t p = 0; p < steps; p++) {
                    x[p] = (vreal){0};
                    for (size_t l = 0; l < lines; l++) x[p][l] = at[l * line + p];
                }
            for (size_t p = 0; p < steps; p++) {
                v_store(panel + N(conv_packed_at)(op, channel, tap) + lane, x[p]);
                if (++tap == op->taps) tap = 0, channel++;
            }
        }
    }
}

static void N(conv_pack_panel)(void *context, size_t chunk) {
    const N(conv_op) *op = context;
    const size_t group = chunk / op->panels, first = chunk % op->panels * TN, lanes = min_size(TN, op->filters - first);
    const size_t channels = op->b.channels, taps = op->taps;
    const real *weight = (const real *)op->L->buf[1] + group * channels * op->filters * taps;
    const real *end = (const real *)op->L->buf[1] + op->w->groups * channels * op->filters * taps;
    real *panel = op->packed + chunk * op->panel;
    if (op->input_grad && taps == 1)
        for (size_t c = 0; c < channels; c++)
            for (size_t lane = 0; lane < lanes; lane += VL)
                v_store(panel + N(conv_packed_at)(op, c, 0) + lane, v_load_left(weight + c * op->filters + first + lane, lanes - lane));
    else if (op->input_grad)
        for (size_t c = 0; c < channels; c++)
            N(conv_pack_run)(op, panel, weight + (c * op->filters + first) * taps, taps, lanes, c, taps, end);
    else N(conv_pack_run)(op, panel, weight + first * channels * taps, channels * taps, lanes, 0, channels * taps, end);
}

/* ---- A row of results ---- */

typedef struct N(conv_item) {
    const N(conv_op) *op;
    size_t image, group, first, last;   /* panels first .. last */
    ptrdiff_t q[PD_SPACE];              /* where its box begins */
    size_t count[PD_SPACE];             /* places in it */
    real *copy, *row;
} N(conv_item);

/* The taps of one dimension that reach phase f: -> how many; their numbers, and their offsets in the copy. */
static size_t N(conv_phase_taps)(const N(conv_op) *op, size_t d, size_t f, size_t from, size_t *tap, size_t *offset) {
    const pd_window *w = op->w;
    size_t count = 0;
    for (size_t t = from; t < w->kernel[d] && count < CONV_RUNS; t++) {
        const ptrdiff_t at = op->input_grad ? (ptrdiff_t)(f + w->pad[d]) - (ptrdiff_t)(t * w->dilation[d])
                                            : (ptrdiff_t)(t * w->dilation[d]) - (ptrdiff_t)w->pad[d];
        if (op->b.to_step[d] > 1 && at % (ptrdiff_t)w->stride[d] != 0) continue;
        tap[count] = t;
        offset[count++] = (size_t)(at / (ptrdiff_t)op->b.to_step[d] - op->b.low[d]);
    }
    return count;
}

/* Up to CONV_RUNS taps in a row of the kernel */
typedef struct N(conv_runs) {
    size_t count;
    ptrdiff_t a_at[CONV_RUNS];
    size_t tap[CONV_RUNS];
} N(conv_runs);

/* All tiles of a row's phase: adds the products with these taps, or begins with them. */
static void N(conv_row_tiles)(const N(conv_item) *item, size_t panel, const N(conv_runs) *runs, const real *a, size_t f, size_t pixels, int add) {
    const N(conv_op) *op = item->op;
    const N(conv_box) *b = &op->b;
    const size_t lanes = min_size(TN, op->filters - panel * TN), vecs = ceil_div(lanes, VL), tiles = ceil_div(pixels, MR);
    const real *packed = op->packed + (item->group * op->panels + panel) * op->panel;
    ptrdiff_t b_at[CONV_RUNS];
    N(conv_tile) t = {.runs = runs->count, .a_at = runs->a_at, .b_at = b_at, .lda = (ptrdiff_t)(b->from_step[2] * b->pitch), .ldb = (ptrdiff_t)TN,
                      .to_ld = (ptrdiff_t)(b->to_step[2] * TN)};
    for (size_t c = 0; c < b->channels; c += op->block) {
        t.k = min_size(op->block, b->channels - c);
        t.b = packed + c * op->taps * TN;
        t.add = add || c > 0;
        for (size_t s = 0; s < runs->count; s++) b_at[s] = (ptrdiff_t)(runs->tap[s] * t.k * TN);
        for (size_t tile = 0, at = 0; tile < tiles; tile++) {
            const size_t rows = pixels / tiles + (tile < pixels % tiles);
            t.a = a + c + (ptrdiff_t)at * t.lda;
            t.to = item->row + f * TN + (ptrdiff_t)at * t.to_ld;
            N(conv_tiles)(vecs, rows, &t);
            at += rows;
        }
    }
}

/* Phase f of a row of places; d, h: the row's place in the box and its phases */
static void N(conv_row_phase)(const N(conv_item) *item, size_t panel, const size_t *place, const size_t *phase, size_t f, size_t pixels) {
    const N(conv_op) *op = item->op;
    const N(conv_box) *b = &op->b;
    const size_t line = b->copy[2] * b->pitch;
    const real *a = item->copy + (place[0] * b->from_step[0] * b->copy[1] + place[1] * b->from_step[1]) * line;
    int add = 0;
    N(conv_runs) runs = {0};
    size_t tap[PD_SPACE][CONV_RUNS], at[PD_SPACE][CONV_RUNS], count[PD_SPACE];
    for (size_t td = 0; (count[0] = N(conv_phase_taps)(op, 0, phase[0], td, tap[0], at[0])) > 0; td = tap[0][count[0] - 1] + 1)
    for (size_t th = 0; (count[1] = N(conv_phase_taps)(op, 1, phase[1], th, tap[1], at[1])) > 0; th = tap[1][count[1] - 1] + 1)
    for (size_t tw = 0; (count[2] = N(conv_phase_taps)(op, 2, f, tw, tap[2], at[2])) > 0; tw = tap[2][count[2] - 1] + 1)
        for (size_t i = 0; i < count[0] * count[1] * count[2]; i++) {
            const size_t x = i % count[2], y = i / count[2] % count[1], z = i / count[2] / count[1];
            runs.a_at[runs.count] = (ptrdiff_t)((at[0][z] * b->copy[1] + at[1][y]) * line + at[2][x] * b->pitch);
            runs.tap[runs.count++] = (tap[0][z] * op->w->kernel[1] + tap[1][y]) * op->w->kernel[2] + tap[2][x];
            if (runs.count == CONV_RUNS) {
                N(conv_row_tiles)(item, panel, &runs, a, f, pixels, add);
                add = 1, runs.count = 0;
            }
        }
    if (runs.count && b->channels) N(conv_row_tiles)(item, panel, &runs, a, f, pixels, add);
    else if (!add)
        for (size_t i = 0; i < pixels; i++) memset(item->row + (f + i * b->to_step[2]) * TN, 0, TN * sizeof(real));
}

/* Bias and activation; then the row, channels last, is turned into the rows of `to`, which are `plane` apart. */
static void N(conv_row_store)(real *row, size_t pixels, const real *bias, pd_activation activation, size_t lanes, real *to, size_t plane) {
    const size_t vecs = ceil_div(lanes, VL);
    for (size_t v = 0; v < vecs; v++) {
        const vreal shift = bias ? v_load_left(bias + v * VL, lanes - v * VL) : (vreal){0};
        for (size_t i = 0; i < pixels && bias; i++) v_store(row + i * TN + v * VL, v_load(row + i * TN + v * VL) + shift);
        for (size_t i = 0; i < pixels && activation != PD_NO_ACTIVATION; i++) N(gemm_activate)(activation, row + i * TN + v * VL, VL);
        for (size_t i = 0; i < pixels; i += VL) {
            const size_t left = min_size(VL, pixels - i);
            vreal x[VL];
            N(turn)(x, row + i * TN + v * VL, (ptrdiff_t)TN, left);
            for (size_t c = v * VL; c < min_size(lanes, (v + 1) * VL); c++) v_store_left(to + c * plane + i, x[c - v * VL], left);
        }
    }
}

static void N(conv_row)(const N(conv_item) *item, size_t panel, const size_t *place, const size_t *phase) {
    const N(conv_op) *op = item->op;
    const N(conv_box) *b = &op->b;
    const size_t step = b->to_step[2], begin = (size_t)item->q[2] * step, pixels = min_size(item->count[2] * step, b->to[2] - begin);
    const size_t d = ((size_t)item->q[0] + place[0]) * b->to_step[0] + phase[0], h = ((size_t)item->q[1] + place[1]) * b->to_step[1] + phase[1];
    if (d >= b->to[0] || h >= b->to[1]) return;
    for (size_t f = 0; f < min_size(step, pixels); f++) N(conv_row_phase)(item, panel, place, phase, f, ceil_div(pixels - f, step));
    const size_t lanes = min_size(TN, op->filters - panel * TN), channel = item->group * op->filters + panel * TN, plane = volume(b->to);
    real *to = (real *)op->L->buf[3] + (item->image * op->filters * op->w->groups + channel) * plane + (d * b->to[1] + h) * b->to[2] + begin;
    const real *bias = op->L->buf[2];
    N(conv_row_store)(item->row, pixels, bias ? bias + channel : NULL, op->w->activation, lanes, to, plane);
}

/* ---- Items ---- */

static void N(conv_one_item)(const N(conv_op) *op, size_t index, real *slot) {
    const N(conv_box) *b = &op->b;
    const size_t part = index % op->parts, boxes = volume(b->boxes);
    size_t at = index / op->parts % boxes;
    const size_t which = index / op->parts / boxes;
    N(conv_item) item = {.op = op, .image = which / op->w->groups, .group = which % op->w->groups, .first = part * op->part,
                         .last = min_size((part + 1) * op->part, op->panels), .copy = slot};
    item.row = slot + ceil_div(N(conv_box_elements)(b), 16) * 16;
    for (size_t d = PD_SPACE; d-- > 0; at /= b->boxes[d]) {
        item.q[d] = (ptrdiff_t)(at % b->boxes[d] * b->box[d]);
        item.count[d] = min_size(b->box[d], b->places[d] - (size_t)item.q[d]);
    }
    const real *x = op->L->buf[0];
    const size_t plane = volume(b->from), images = op->w->n * op->w->groups * b->channels;
    const real *source = x + which * b->channels * plane;
    for (size_t z = 0; z < b->copy[0]; z++)
        for (size_t y = 0; y < b->copy[1]; y++) N(conv_copy_line)(b, item.copy, source, item.q, z, y, x + images * plane);
    size_t place[2], phase[2];
    for (size_t panel = item.first; panel < item.last; panel++)
        for (place[0] = 0; place[0] < item.count[0]; place[0]++)
            for (phase[0] = 0; phase[0] < min_size(b->to_step[0], b->to[0]); phase[0]++)
                for (place[1] = 0; place[1] < item.count[1]; place[1]++)
                    for (phase[1] = 0; phase[1] < min_size(b->to_step[1], b->to[1]); phase[1]++) N(conv_row)(&item, panel, place, phase);
}

static void N(conv_items)(void *context, size_t slot) {
    N(conv_op) *op = context;
    size_t item;
    while ((item = __atomic_fetch_add(&op->next, 1, __ATOMIC_RELAXED)) < op->items) N(conv_one_item)(op, item, op->work + slot * op->slot);
}

static size_t N(conv_product_room)(const pd_launch *L, int input_grad) {
    const N(conv_op) op = N(conv_plan)(L, input_grad);
    return ((op.w->packed ? 0 : op.w->groups * op.panels * op.panel) + op.slots * op.slot) * sizeof(real);
}

static void N(conv_product)(const pd_launch *L, int input_grad) {
    N(conv_op) op = N(conv_plan)(L, input_grad);
    if (op.items == 0) return;
    if (!op.w->packed) conv_share(op.w, op.w->groups * op.panels, N(conv_pack_panel), &op);
    conv_share(op.w, min_size(op.slots, pd_num_threads()), N(conv_items), &op);
}
