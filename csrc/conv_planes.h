/* Padded planes: what the kernels for depthwise convolutions and for few channels read. A band of rows of a few planes is copied
 * into a buffer that stays in the cache, with its padding and, of strided convolutions, every stride-th row and column apart. There
 * a tap of the kernel is an offset, the same for all elements: y[i] = sum over taps of weight[t] buffer[offset[t] + i], whatever the
 * geometry. The gradient of the input is such a sum, too: of dy, for every stride-th element of dx one with taps of its own.
 *
 * The source is what the buffer holds, the target what the sums make (or, for the gradient of the weight, what they go over). */
#ifndef PD_CONV_PLANES_ONCE
#define PD_CONV_PLANES_ONCE
/* What is loaded stays in a register: gcc would load it again for each product. */
#ifdef __AVX2__
#define V_HOLD(x) __asm__("" : "+v"(x))
#else
#define V_HOLD(x) ((void)0)
#endif
enum {
    CONV_STRIDE = 4,             /* the largest that is taken apart */
    CONV_ROWS = 4,               /* of the target, that are summed side by side */
    CONV_BAND = 40 << 10,        /* bytes of a buffer, where that is enough for CONV_ROWS rows ... */
    CONV_BAND_MOST = 512 << 10,  /* ... and at most */
    CONV_CHUNKS = 32,            /* of work, each with a buffer of its own */
    CONV_THREAD_WORK = 1 << 21   /* multiply-adds (about 50 us) below which threads cost more than they bring */
};

/* One dimension: phase f of the source are its elements b * split + f + lead, of the target i * places + f. */
typedef struct conv_axis {
    size_t from, to, split, places, reach; /* reach: by how many elements of a phase the taps differ */
    ptrdiff_t lead;
} conv_axis;

static UNUSED conv_axis conv_axis_of(const pd_window *w, size_t d, int back) {
    const ptrdiff_t last = (ptrdiff_t)((w->kernel[d] - 1) * w->dilation[d]), stride = (ptrdiff_t)w->stride[d], pad = (ptrdiff_t)w->pad[d];
    if (!back) return (conv_axis){w->in[d], w->out[d], w->stride[d], 1, (size_t)(last / stride), -pad};
    const ptrdiff_t lead = floor_div(pad - last, stride);
    return (conv_axis){w->out[d], w->in[d], 1, w->stride[d], (size_t)((stride - 1 + pad) / stride - lead), lead};
}

/* Whether tap t belongs to phase f of the target; then the source's phase, and where in it target 0 meets the tap */
static UNUSED int conv_meets(const pd_window *w, int back, size_t d, size_t f, size_t t, size_t *phase, ptrdiff_t *at) {
    const ptrdiff_t tap = (ptrdiff_t)(t * w->dilation[d]), stride = (ptrdiff_t)w->stride[d];
    if (!back) {
        *phase = (size_t)(tap % stride), *at = tap / stride;
        return 1;
    }
    const ptrdiff_t from = (ptrdiff_t)(f + w->pad[d]) - tap;
    *phase = 0, *at = from / stride - floor_div((ptrdiff_t)w->pad[d] - (ptrdiff_t)((w->kernel[d] - 1) * w->dilation[d]), stride);
    return from % stride == 0;
}

/* The tap of a depth that target slice z meets in the source, or -1 */
static UNUSED ptrdiff_t conv_slice(const pd_window *w, int back, size_t z, size_t t) {
    const ptrdiff_t tap = (ptrdiff_t)(t * w->dilation[0]), stride = (ptrdiff_t)w->stride[0], pad = (ptrdiff_t)w->pad[0];
    const ptrdiff_t at = back ? (ptrdiff_t)z + pad - tap : (ptrdiff_t)z * stride - pad + tap;
    if (back && at % stride != 0) return -1;
    const ptrdiff_t slice = back ? at / stride : at;
    return at >= 0 && slice < (ptrdiff_t)(back ? w->out[0] : w->in[0]) ? slice : -1;
}
#endif

typedef struct N(planes) {
    const pd_window *w;
    int back;
    conv_axis row, col;
    size_t count, step;            /* planes of the source, and the weights from one to the next */
    size_t rows, width, bands;     /* targets of a band and of a row, of phase 0 */
    size_t line, lines, out_line;  /* elements of a row in the buffer; rows of a phase there; elements of a row of the targets' room */
    size_t phase, plane, slice;    /* elements of one phase of a plane, of a plane, of all planes of a slice */
    size_t room, out_room;         /* elements of a buffer, and of room for the targets of one phase, each with what kernels run over */
    size_t taps;                   /* of all phases together */
    size_t low[CONV_STRIDE], high[CONV_STRIDE], start; /* elements of a row that come from the source, by phase; the first of phase 0 there */
    int flat, direct;              /* flat: targets are summed along the buffer, not row by row. direct: rows can be written where they belong */
} N(planes);

static void N(planes_edges)(N(planes) *g) {
    const ptrdiff_t split = (ptrdiff_t)g->col.split, n = (ptrdiff_t)g->line, end = (ptrdiff_t)g->col.from;
    for (ptrdiff_t f = 0; f < split; f++) {
        const ptrdiff_t first = f + g->col.lead, low = first >= 0 ? 0 : (split - 1 - first) / split;
        const ptrdiff_t high = first >= end ? 0 : (end - first + split - 1) / split, last = high < n ? high : n;
        g->low[f] = (size_t)(low < last ? low : 0), g->high[f] = (size_t)(low < last ? last : 0);
    }
    g->start = (size_t)((ptrdiff_t)g->low[0] * split + g->col.lead);
}

/* Zero where the buffer would be too large */
static int N(planes_plan)(N(planes) *g, const pd_window *w, int back, size_t count, size_t step) {
    *g = (N(planes)){.w = w, .back = back, .count = count, .step = step};
    for (size_t d = 0; d < PD_SPACE; d++)
        if (d > 0 && w->stride[d] > CONV_STRIDE) return 0;
    g->row = conv_axis_of(w, 1, back), g->col = conv_axis_of(w, 2, back);
    g->width = ceil_div(g->col.to, g->col.places);
    g->line = g->width + g->col.reach;
    if (g->col.split > 1) g->line = max_size(g->line, (g->col.from + w->pad[2]) / g->col.split + 1); /* whole rows of the source fit */
    N(planes_edges)(g);
    const size_t all = ceil_div(g->row.to, g->row.places);
    const size_t pieces = w->kernel[0] * count * g->row.split * g->col.split;
    const double bytes = (double)pieces * (double)g->line * sizeof(real), least = (double)min_size(all, CONV_ROWS) + (double)g->row.reach;
    if (bytes * least > CONV_BAND_MOST) return 0;
    g->rows = all;
    for (size_t parts = 1; g->rows > CONV_ROWS && bytes * (double)(g->rows + g->row.reach) > CONV_BAND; parts++)
        g->rows = ceil_div(ceil_div(all, parts), CONV_ROWS) * CONV_ROWS;
    g->bands = ceil_div(all, g->rows);
    g->lines = g->rows + g->row.reach;
    g->phase = g->lines * g->line + (g->col.split > 1 ? VL : 0);
    g->plane = g->row.split * g->col.split * g->phase;
    g->slice = count * g->plane;
    const size_t over = CONV_ROWS * max_size(g->line, VL) + 4 * VL;
    g->room = ceil_div(w->kernel[0] * g->slice + over, 16) * 16;
    g->taps = count * volume(w->kernel);
    const size_t by_row = ceil_div(g->rows, CONV_ROWS) * CONV_ROWS * ceil_div(g->width, VL), length = (g->rows - 1) * g->line + g->width;
    g->flat = 2 * by_row > 3 * ceil_div(length, VL);
    g->direct = !g->flat && g->width >= VL && g->col.places == 1;
    g->out_line = g->flat ? g->line : ceil_div(g->width, VL) * VL;
    g->out_room = ceil_div(g->rows * g->out_line + over, 16) * 16;
    return 1;
}

/* The taps of phase (fh, fw) of the targets in slice z -> how many. off: their places in the buffer; at: the weights from that of
 * the first plane and tap on. Those of a column of the kernel follow one another as they lie in the buffer. */
static size_t N(planes_taps)(const N(planes) *g, size_t z, size_t fh, size_t fw, size_t *off, size_t *at) {
    const pd_window *w = g->w;
    size_t n = 0, ph, pw;
    ptrdiff_t h, v;
    for (size_t a = 0; a < w->kernel[0]; a++) {
        if (conv_slice(w, g->back, z, a) < 0) continue;
        for (size_t p = 0; p < g->count; p++)
            for (size_t j = 0; j < w->kernel[2]; j++) {
                if (!conv_meets(w, g->back, 2, fw, j, &pw, &v)) continue;
                for (size_t u = 0; u < w->kernel[1]; u++) {
                    const size_t i = g->back ? w->kernel[1] - 1 - u : u;
                    if (!conv_meets(w, g->back, 1, fh, i, &ph, &h)) continue;
                    off[n] = a * g->slice + p * g->plane + (ph * g->col.split + pw) * g->phase + (size_t)h * g->line + (size_t)v;
                    at[n++] = p * g->step + (a * w->kernel[1] + i) * w->kernel[2] + j;
                }
            }
    }
    return n;
}

/* n elements, in whole vectors: what they run over at the end becomes zero */
INLINE void N(row_copy)(real *to, const real *from, size_t n) {
    size_t j = 0;
    for (; j + VL <= n; j += VL) v_store(to + j, v_load(from + j));
    if (j < n) v_store(to + j, v_load_part(from + j, n - j));
}

INLINE void N(rows_copy)(real *to, size_t line, const real *from, size_t from_line, size_t rows, size_t n) {
    for (size_t r = 0; r < rows; r++) N(row_copy)(to + r * line, from + r * from_line, n);
}

/* Every other element, in whole vectors likewise: those with even numbers and those with odd ones */
static void N(row_halves)(real *even, real *odd, const real *from, size_t n) {
    for (size_t j = 0; j < n; j += 2 * VL) {
        const vreal a = v_load_left(from + j, n - j), b = j + VL < n ? v_load_left(from + j + VL, n - j - VL) : (vreal){0};
        v_store(even + j / 2, v_even(a, b));
        v_store(odd + j / 2, v_odd(a, b));
    }
}

/* A row's phases; the zeros before and behind it are there already */
INLINE void N(planes_row)(const N(planes) *g, real *to, const real *from) {
    const size_t split = g->col.split;
    if (split == 2) {
        const size_t odd = (size_t)g->col.lead % 2;
        N(row_halves)(to + odd * g->phase + g->low[odd], to + (1 - odd) * g->phase + g->low[1 - odd], from, g->col.from);
        return;
    }
    for (size_t f = 0; f < split; f++, to += g->phase) {
        const real *x = from + (ptrdiff_t)(g->low[f] * split + f) + g->col.lead;
        for (size_t b = 0; b < g->high[f] - g->low[f]; b++) to[g->low[f] + b] = x[split * b];
    }
}

/* Phase f of the rows of a plane, from target row i0 on */
INLINE void N(plane_fill)(const N(planes) *g, real *to, const real *from, size_t i0, size_t f) {
    const ptrdiff_t split = (ptrdiff_t)g->row.split, first = (ptrdiff_t)(i0 * g->row.split + f) + g->row.lead, lines = (ptrdiff_t)g->lines;
    const ptrdiff_t above = first >= 0 ? 0 : split == 1 ? -first : (split - 1 - first) / split, below = (ptrdiff_t)g->row.from - first;
    const ptrdiff_t high = below <= 0 ? 0 : split == 1 ? below : (below + split - 1) / split;
    const size_t last = (size_t)(high < lines ? high : lines), b0 = min_size((size_t)above, last);
    const size_t line = g->line, step = g->row.split * g->col.from;
    if (g->bands > 1) /* otherwise these are always the same ones, and still zero */
        for (size_t c = 0; c < g->col.split; c++) {
            memset(to + c * g->phase, 0, b0 * line * sizeof(real));
            memset(to + c * g->phase + last * line, 0, (g->lines - last) * line * sizeof(real));
        }
    if (b0 == last) return;
    from += (first + (ptrdiff_t)b0 * split) * (ptrdiff_t)g->col.from;
    to += b0 * line;
    const size_t n = g->high[0] - g->low[0];
    if (g->col.split > 1)
        for (size_t b = b0; b < last; b++, to += line, from += step) N(planes_row)(g, to, from);
    else if (n <= VL) N(rows_copy)(to + g->low[0], line, from + g->start, step, last - b0, min_size(n, VL));
    else N(rows_copy)(to + g->low[0], line, from + g->start, step, last - b0, n);
}

/* The source of a band's targets, i0 the first row of them, from planes that lie one behind the other. The buffer was zero in the beginning. */
static void N(planes_fill)(const N(planes) *g, real *buffer, const real *from, size_t z, size_t i0) {
    const size_t area = g->row.from * g->col.from, depth = g->back ? g->w->out[0] : g->w->in[0];
    for (size_t a = 0; a < g->w->kernel[0]; a++) {
        const ptrdiff_t slice = conv_slice(g->w, g->back, z, a);
        if (slice < 0) continue;
        for (size_t p = 0; p < g->count; p++)
            for (size_t f = 0; f < g->row.split; f++)
                N(plane_fill)(g, buffer + a * g->slice + p * g->plane + f * g->col.split * g->phase,
                              from + (p * depth + (size_t)slice) * area, i0, f);
    }
}

/* The activation of n elements in place */
static void N(conv_activate)(pd_activation activation, real *x, size_t n) {
    const size_t whole = n / VL * VL;
    real rest[VL] = {0};
    N(gemm_activate)(activation, x, whole);
    memcpy(rest, x + whole, (n - whole) * sizeof(real));
    N(gemm_activate)(activation, rest, VL);
    memcpy(x + whole, rest, (n - whole) * sizeof(real));
}

/* Two rows of half the width, taken turn by turn */
INLINE void N(row_turns)(real *to, const real *even, const real *odd, size_t width) {
    size_t j = 0;
    for (; j + 2 * VL <= width; j += 2 * VL) {
        const vreal a = v_load(even + j / 2), b = v_load(odd + j / 2);
        v_store(to + j, v_zip_low(a, b));
        v_store(to + j + VL, v_zip_high(a, b));
    }
    if (j == width) return;
    const vreal a = v_load(even + j / 2), b = v_load(odd + j / 2);
    v_store_left(to + j, v_zip_low(a, b), width - j);
    if (j + VL < width) v_store_part(to + j + VL, v_zip_high(a, b), width - j - VL);
}

/* `rows` rows of the targets of phase row fh, one buffer `out_room` apart for each phase of the columns, to where they belong */
static void N(planes_place)(const N(planes) *g, const real *from, real *to, size_t fh, size_t i0, size_t rows) {
    const size_t places = g->col.places, width = g->col.to, line = g->out_line, whole = width / VL * VL, step = g->row.places * width;
    to += (i0 * g->row.places + fh) * width;
    /* rows that may run over: into the next one, which is written after */
    const size_t over = g->row.places == 1 && rows * width >= whole + VL ? (rows * width - whole - VL) / width + 1 : 0;
    for (size_t i = 0; i < rows; i++, from += line, to += step) {
        if (places == 1) {
            for (size_t j = 0; j < whole; j += VL) v_store(to + j, v_load(from + j));
            if (i < over) v_store(to + whole, v_load(from + whole));
            else if (whole < width) v_store_part(to + whole, v_load(from + whole), width - whole);
        } else if (places == 2) N(row_turns)(to, from, from + g->out_room, width);
        else
            for (size_t f = 0; f < places; f++)
                for (size_t j = 0; f + j * places < width; j++) to[f + j * places] = from[f * g->out_room + j];
    }
}

/* Rows of phase fh in the band that begins with row i0 of phase 0 */
static size_t N(planes_rows)(const N(planes) *g, size_t fh, size_t i0) {
    const size_t all = g->row.to > fh ? ceil_div(g->row.to - fh, g->row.places) : 0;
    return all > i0 ? min_size(g->rows, all - i0) : 0;
}

/* What a chunk of work has for itself */
typedef struct N(planes_slot) {
    real *buffer, *out, *weight;
    size_t *off, *at, slice; /* the tables of all phases for this slice of the target */
    size_t first[CONV_STRIDE * CONV_STRIDE + 1];
} N(planes_slot);

/* In elements; buffers: how many of them, each with `outs` rooms for targets; weights: how many are kept */
static size_t N(planes_slot_room)(const N(planes) *g, size_t buffers, size_t outs, size_t weights) {
    const size_t tables = 2 * g->taps * sizeof(size_t) / sizeof(real) + 2;
    return ceil_div(buffers * (g->room + outs * g->out_room) + weights + tables, 16) * 16;
}

static N(planes_slot) N(planes_slot_at)(const N(planes) *g, real *at, size_t buffers, size_t outs, size_t weights) {
    N(planes_slot) s = {.buffer = at, .out = at + buffers * g->room, .weight = at + buffers * (g->room + outs * g->out_room), .slice = SIZE_MAX};
    s.off = (size_t *)(at + ceil_div(buffers * (g->room + outs * g->out_room) + weights, 2) * 2);
    s.at = s.off + g->taps;
    memset(at, 0, (buffers * (g->room + outs * g->out_room)) * sizeof(real));
    return s;
}

/* The tables for slice z */
static void N(planes_turn)(const N(planes) *g, N(planes_slot) *s, size_t z) {
    if (s->slice == z) return;
    s->slice = z;
    size_t n = 0, phase = 0;
    for (size_t fh = 0; fh < g->row.places; fh++)
        for (size_t fw = 0; fw < g->col.places; fw++) {
            s->first[phase++] = n;
            n += N(planes_taps)(g, z, fh, fw, s->off + n, s->at + n);
        }
    s->first[phase] = n;
}
