/* Weight gradient of any shape as implicit matrix products (filters x pixels) @ (pixels x taps and channels). Images, or boxes of them, are
 * worked on in groups whose copies fit the cache: all threads copy (x channels last, conv_box.h; rows of dy a fixed distance apart), then share
 * out panels of TN channels and some filters; each sums over the group's pixels in order, into [group][panel][tap][filter][TN], which in the end is
 * turned into dw. Error: that of chains of about CONV_CHAIN fused multiply-adds whose results are added one after the other. */
#ifndef PD_CONV_WEIGHT_GRAD_ONCE
#define PD_CONV_WEIGHT_GRAD_ONCE
enum { CONV_UNIT_ROOM = 1 << 18,   /* elements of the copy of a box, about */
       CONV_GROUP_ROOM = 1 << 20,  /* elements of the copies of a group, about */
       CONV_DY_ROWS = 16 };        /* rows of dy copied in a chunk */
#endif

typedef struct N(conv_sums) {
    const pd_launch *L;
    const pd_window *w;
    N(conv_box) b;
    size_t filters, panels, taps;       /* of a group */
    size_t copy, dy_pitch, unit;        /* elements: of the copy of a box and group, from row to row of dy, of all copies of a unit */
    size_t units, together;             /* boxes of images; how many are worked on at a time */
    size_t first, count;                /* those that are now */
    size_t tall, blocks;                /* filters in a chunk, chunks of filters */
    real *total, *work;
} N(conv_sums);

static N(conv_sums) N(conv_sums_plan)(const pd_launch *L) {
    const pd_window *w = &L->window;
    N(conv_sums) op = {.L = L, .w = w, .b = N(conv_box_of)(w, 0), .filters = w->o / w->groups, .taps = volume(w->kernel)};
    N(conv_box_cut)(&op.b, CONV_UNIT_ROOM / w->groups, w->n, 1);
    op.panels = ceil_div(op.b.channels, TN);
    op.copy = N(conv_box_elements)(&op.b) + TN;
    op.dy_pitch = ceil_div(volume(op.b.box), 16) * 16 | 16; /* never a large power of two */
    op.unit = ceil_div(w->groups * op.copy + w->o * op.dy_pitch, 16) * 16;
    op.units = w->n * volume(op.b.boxes);
    op.together = min_size(op.units, max_size(1, CONV_GROUP_ROOM / op.unit));
    const size_t tiles = ceil_div(op.filters, MR), wanted = ceil_div(CONV_ITEMS, w->groups * op.panels);
    op.tall = ceil_div(tiles, min_size(tiles, wanted)) * MR;
    op.blocks = ceil_div(op.filters, op.tall);
    op.total = L->workspace;
    op.work = op.total + w->groups * op.panels * op.taps * op.filters * TN;
    return op;
}

/* Where unit u lies: its image, the first place of its box, the number of places */
static size_t N(conv_unit)(const N(conv_sums) *op, size_t u, ptrdiff_t *q, size_t *count) {
    for (size_t d = PD_SPACE; d-- > 0; u /= op->b.boxes[d]) {
        q[d] = (ptrdiff_t)(u % op->b.boxes[d] * op->b.box[d]);
        count[d] = min_size(op->b.box[d], op->b.places[d] - (size_t)q[d]);
    }
    return u;
}

/* Rows of x, then of dy, of one unit */
static void N(conv_sums_copy)(void *context, size_t chunk) {
    const N(conv_sums) *op = context;
    const N(conv_box) *b = &op->b;
    const size_t lines = op->w->groups * b->copy[0] * b->copy[1], each = lines + ceil_div(op->w->o, CONV_DY_ROWS);
    const size_t inputs = volume(b->from), outputs = volume(b->to);
    real *unit = op->work + chunk / each * op->unit;
    ptrdiff_t q[PD_SPACE];
    size_t count[PD_SPACE], part = chunk % each;
    const size_t image = N(conv_unit)(op, op->first + chunk / each, q, count);
    if (part < lines) {
        const size_t y = part % b->copy[1], z = part / b->copy[1] % b->copy[0], group = part / b->copy[1] / b->copy[0];
        const real *x = op->L->buf[1], *source = x + (image * op->w->groups + group) * b->channels * inputs;
        N(conv_copy_line)(b, unit + group * op->copy, source, q, z, y, x + op->w->n * op->w->c * inputs);
        return;
    }
    part -= lines;
    for (size_t o = part * CONV_DY_ROWS; o < min_size((part + 1) * CONV_DY_ROWS, op->w->o); o++) {
        const real *dy = (const real *)op->L->buf[0] + (image * op->w->o + o) * outputs;
        real *to = unit + op->w->groups * op->copy + o * op->dy_pitch;
        for (size_t row = 0; row < count[0] * count[1]; row++, to += count[2])
            memcpy(to, dy + (((size_t)q[0] + row / count[1]) * b->to[1] + (size_t)q[1] + row % count[1]) * b->to[2] + q[2],
                   count[2] * sizeof(real));
    }
}

/* Adds what rows first .. last of a unit give the filters o .. o + count and every tap of the panel. */
static void N(conv_sums_rows)(const N(conv_sums) *op, const real *copy, const real *dy, real *total, size_t vecs, const size_t *count, size_t first,
                              size_t last, size_t filters, int add) {
    const N(conv_box) *b = &op->b;
    const pd_window *w = op->w;
    const size_t line = b->copy[2] * b->pitch, tiles = ceil_div(filters, MR);
    ptrdiff_t a_at[CONV_RUNS], b_at[CONV_RUNS];
    for (size_t row = first; row < last; row++) {
        a_at[row - first] = (ptrdiff_t)(row * count[2]);
        b_at[row - first] = (ptrdiff_t)((row / count[1] * b->from_step[0] * b->copy[1] + row % count[1] * b->from_step[1]) * line);
    }
    N(conv_tile) t = {.runs = last - first, .k = count[2], .a_at = a_at, .b_at = b_at, .lda = (ptrdiff_t)op->dy_pitch,
                      .ldb = (ptrdiff_t)(b->from_step[2] * b->pitch), .to_ld = (ptrdiff_t)TN, .add = add};
    for (size_t tile = 0, at = 0; tile < tiles; tile++) {
        const size_t rows = filters / tiles + (tile < filters % tiles);
        t.a = dy + at * op->dy_pitch;
        for (size_t tap = 0; tap < op->taps; tap++) {
            const size_t x = tap % w->kernel[2] * w->dilation[2], y = tap / w->kernel[2] % w->kernel[1] * w->dilation[1];
            const size_t z = tap / w->kernel[2] / w->kernel[1] * w->dilation[0];
            t.b = copy + (z * b->copy[1] + y) * line + x * b->pitch;
            t.to = total + (tap * op->filters + at) * TN;
            N(conv_tiles)(vecs, rows, &t);
        }
        at += rows;
    }
}

static void N(conv_sums_chunk)(void *context, size_t chunk) {
    const N(conv_sums) *op = context;
    const size_t block = chunk % op->blocks, panel = chunk / op->blocks % op->panels, group = chunk / op->blocks / op->panels;
    const size_t o = block * op->tall, vecs = ceil_div(min_size(TN, op->b.channels - panel * TN), VL);
    real *total = op->total + ((group * op->panels + panel) * op->taps * op->filters + o) * TN;
    for (size_t u = 0; u < op->count; u++) {
        const real *unit = op->work + u * op->unit;
        ptrdiff_t q[PD_SPACE];
        size_t count[PD_SPACE];
        N(conv_unit)(op, op->first + u, q, count);
        const size_t rows = count[0] * count[1], step = min_size(CONV_RUNS, max_size(1, CONV_CHAIN / count[2]));
        for (size_t row = 0; row < rows; row += step)
            N(conv_sums_rows)(op, unit + group * op->copy + panel * TN, unit + op->w->groups * op->copy + (group * op->filters + o) * op->dy_pitch,
                              total, vecs, count, row, min_size(rows, row + step), min_size(op->tall, op->filters - o),
                              op->first + u + row > 0);
    }
}

static void N(conv_sums_store)(void *context, size_t o) {
    const N(conv_sums) *op = context;
    const size_t channels = op->b.channels, group = o / op->filters;
    real *dw = (real *)op->L->buf[3] + o * channels * op->taps;
    for (size_t c = 0; c < channels; c++) {
        const real *total = op->total + ((group * op->panels + c / TN) * op->taps * op->filters + o % op->filters) * TN + c % TN;
        for (size_t tap = 0; tap < op->taps; tap++) *dw++ = total[tap * op->filters * TN];
    }
}

static size_t N(conv_sums_room)(const pd_launch *L) {
    const N(conv_sums) op = N(conv_sums_plan)(L);
    return (op.w->groups * op.panels * op.taps * op.filters * TN + op.together * op.unit) * sizeof(real);
}

static void N(conv_sum)(const pd_launch *L) {
    N(conv_sums) op = N(conv_sums_plan)(L);
    const size_t parts = op.w->groups * op.b.copy[0] * op.b.copy[1] + ceil_div(op.w->o, CONV_DY_ROWS);
    if (op.units == 0) {
        memset(L->buf[3], 0, op.w->o * op.b.channels * op.taps * sizeof(real));
        return;
    }
    for (op.first = 0; op.first < op.units; op.first += op.together) {
        op.count = min_size(op.together, op.units - op.first);
        conv_share(op.w, op.count * parts, N(conv_sums_copy), &op);
        conv_share(op.w, op.w->groups * op.panels * op.blocks, N(conv_sums_chunk), &op);
    }
    conv_share(op.w, op.w->o, N(conv_sums_store), &op);
}
