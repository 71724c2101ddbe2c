/* Convolutions with kernels of one element and no padding: products of the weights, (o, c) of each group, with the elements of all
 * images, (c, elements), which are packed into panels as for gemm.c, every stride-th of them, and written back to where they belong:
 * so the vectors of the product are full, however small an image is. The gradient of the input is the same with o and c exchanged. */
#ifndef PD_CONV_POINTWISE_ONCE
#define PD_CONV_POINTWISE_ONCE
enum {
    POINTWISE_PACKED = 256 << 10,  /* bytes of elements that are packed at a time, about */
    POINTWISE_SHARES = 8,          /* units of work, at least, where there are as many tiles */
    POINTWISE_CHUNKS = 16,
    POINTWISE_SUMS = 1 << 20,      /* bytes of sums that are added up in the end, at most */
    POINTWISE_FEW = 128            /* elements from which the gradient of the weight takes an image by itself */
};
/* A run of elements, in the source's first channel, in the target's and in the block that is packed */
typedef struct pointwise_run {
    size_t from, to, column, count;
} pointwise_run;
#endif

typedef struct N(pointwise) {
    const pd_launch *L;
    const pd_window *w;
    int back;
    size_t k, m;                     /* channels of a group: summed, made */
    size_t from, to, from_step, to_step; /* elements of an image; steps along a row */
    size_t columns, width, blocks;   /* elements of all images; in a block; blocks */
    size_t tiles, shares, units, chunks; /* tiles of rows; groups of them that a block's units take */
    size_t panel, panel_a;           /* elements of a panel of the images, of the weights */
    size_t weights, slot;            /* elements of the packed weights; of a chunk's own room */
    real *packed, *bias;             /* bias: TN times each */
    int plain;                       /* nothing follows but a bias and relu */
} N(pointwise);

static int N(pointwise_plan)(N(pointwise) *p, const pd_launch *L, enum conv_pass pass) {
    const pd_window *w = &L->window;
    if (volume(w->kernel) != 1 || w->pad[0] + w->pad[1] + w->pad[2] > 0) return 0;
    const int back = pass == CONV_INPUT_GRAD;
    const size_t c = w->c / w->groups, o = w->o / w->groups, in = volume(w->in), out = volume(w->out);
    const size_t step = in == out ? 1 : w->stride[2]; /* a stride that takes no second step does not count */
    *p = (N(pointwise)){.L = L, .w = w, .back = back, .k = back ? o : c, .m = back ? c : o, .from = back ? out : in, .to = back ? in : out,
                        .from_step = back ? 1 : step, .to_step = back ? step : 1, .columns = w->n * out};
    if (p->k == 0 || p->m == 0 || p->columns == 0) return 0;
    const size_t most = max_size(POINTWISE_PACKED / (p->k * sizeof(real)) / TN, 1) * TN;
    p->width = min_size(most, ceil_div(ceil_div(p->columns, POINTWISE_SHARES), TN) * TN);
    p->blocks = ceil_div(p->columns, p->width);
    p->tiles = ceil_div(p->m, MR);
    p->shares = min_size(p->tiles, ceil_div(POINTWISE_SHARES, p->blocks));
    p->units = w->groups * p->blocks * p->shares;
    p->chunks = (double)p->columns * (double)p->m * (double)p->k * (double)w->groups < CONV_THREAD_WORK ? 1 : min_size(p->units, POINTWISE_CHUNKS);
    p->panel = p->k * TN + VL, p->panel_a = p->k * MR + 16;
    p->weights = w->groups * p->tiles * p->panel_a;
    p->slot = ceil_div(p->width / TN * p->panel + (p->width + 1) * sizeof(pointwise_run) / sizeof(real), 16) * 16;
    p->plain = back || w->activation == PD_NO_ACTIVATION || w->activation == PD_RELU;
    return 1;
}

/* Rows of tile t, as even as they can be, and the first of them */
INLINE size_t N(pointwise_rows)(const N(pointwise) *p, size_t t, size_t *first) {
    const size_t rows = p->m / p->tiles, taller = p->m % p->tiles;
    *first = t * rows + min_size(t, taller);
    return rows + (t < taller);
}

static void N(pointwise_pack)(void *context, size_t q) {
    const N(pointwise) *p = context;
    const size_t group = q / p->tiles, matrix = p->k * p->m;
    size_t first;
    const size_t rows = N(pointwise_rows)(p, q % p->tiles, &first);
    const ptrdiff_t row = p->back ? 1 : (ptrdiff_t)p->k, col = p->back ? (ptrdiff_t)p->m : 1;
    N(pack_a_panel)(p->packed + q * p->panel_a, (const real *)p->L->buf[1] + group * matrix + (ptrdiff_t)first * row, row, col, rows, p->k);
    const real *bias = p->L->buf[2];
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < TN; j++) p->bias[(group * p->m + first + r) * TN + j] = bias ? bias[group * p->m + first + r] : 0;
}

/* Columns j0..j1 as runs that end where an image does, a strided one's row or a panel -> how many */
static size_t N(pointwise_runs)(const N(pointwise) *p, size_t j0, size_t j1, pointwise_run *run) {
    const pd_window *w = p->w;
    const size_t out = volume(w->out), line = w->out[2];
    const int strided = volume(w->in) != out;
    size_t count = 0;
    for (size_t j = j0; j < j1;) {
        const size_t n = j / out, i = j % out, left = TN - (j - j0) % TN, whole = strided ? line - i % line : out - i;
        const size_t row = i / line % w->out[1] * w->stride[1], slice = i / line / w->out[1] * w->stride[0];
        const size_t dense = n * w->o * out + i;
        const size_t spread = n * w->c * volume(w->in) + (strided ? (slice * w->in[1] + row) * w->in[2] + i % line * w->stride[2] : i);
        run[count] = (pointwise_run){p->back ? dense : spread, p->back ? spread : dense, j - j0, min_size(min_size(left, whole), j1 - j)};
        j += run[count++].count;
    }
    return count;
}

/* The runs in all k channels, channel by channel: what a store runs over is written after */
static void N(pointwise_fill)(const N(pointwise) *p, real *to, const real *from, const pointwise_run *run, size_t count) {
    const size_t step = p->from_step;
    for (size_t q = 0; q < p->k; q++, from += p->from)
        for (size_t r = 0; r < count; r++) {
            real *y = to + run[r].column / TN * p->panel + q * TN + run[r].column % TN;
            const real *x = from + run[r].from;
            const size_t n = run[r].count;
            if (step == 1 && n == TN)
                UNROLL for (size_t v = 0; v < NV; v++) v_store(y + v * VL, v_load(x + v * VL));
            else if (step == 1) N(row_copy)(y, x, n);
            else if (step == 2)
                for (size_t i = 0; i < n; i++) y[i] = x[2 * i];
            else
                for (size_t i = 0; i < n; i++) y[i] = x[step * i];
        }
}

/* Rows first.. of the product with one panel, through `tile` in memory, to the runs that begin in the panel -> the next run */
static const pointwise_run *N(pointwise_part)(const N(pointwise) *p, N(tile) *t, size_t rows, real *to, const pointwise_run *run,
                                              const pointwise_run *end) {
    _Alignas(64) real out[TILE_ROOM];
    const size_t panel = run->column / TN;
    t->to = out, t->to_ld = (ptrdiff_t)TN;
    N(tile_function_for)(NV, 1)(rows, t);
    if (!p->plain) N(gemm_activate)(p->w->activation, out, rows * TN);
    for (; run < end && run->column / TN == panel; run++)
        for (size_t r = 0; r < rows; r++) {
            const real *x = out + r * TN + run->column % TN;
            real *y = to + r * p->to + run->to;
            size_t i = 0;
            if (p->to_step == 1) {
                for (; i + VL <= run->count; i += VL) v_store(y + i, v_load(x + i));
                for (; i < run->count; i++) y[i] = x[i];
            } else
                for (; i < run->count; i++) y[i * p->to_step] = x[i];
        }
    return run;
}

/* One share of the tiles with the columns of one block. */
static void N(pointwise_tiles)(const N(pointwise) *p, size_t group, size_t share, const real *block, const pointwise_run *runs, size_t count) {
    _Alignas(64) real total[TILE_ROOM];
    const pointwise_run *end = runs + count;
    for (size_t q = share * p->tiles / p->shares; q < (share + 1) * p->tiles / p->shares; q++) {
        size_t first;
        const size_t rows = N(pointwise_rows)(p, q, &first);
        real *to = (real *)p->L->buf[3] + (group * p->m + first) * p->to;
        N(tile) t = {.k = p->k, .kc = gemm_block_of(p->k), .a = p->packed + (group * p->tiles + q) * p->panel_a, .lda = MR, .ldb = (ptrdiff_t)TN,
                     .total = total, .from = p->bias + (group * p->m + first) * TN, .from_ld = (ptrdiff_t)TN, .count = 1,
                     .relu = !p->back && p->w->activation == PD_RELU};
        for (const pointwise_run *run = runs; run < end;) {
            t.b = block + run->column / TN * p->panel;
            if (run->count < TN || p->to_step > 1 || !p->plain) {
                run = N(pointwise_part)(p, &t, rows, to, run, end);
                continue;
            }
            t.to = to + run->to, t.to_ld = (ptrdiff_t)p->to;
            for (size_t r = 0; r < rows; r++) /* the rows lie far apart: nothing else would fetch them in time */
                for (size_t i = 0; i < TN; i += 64 / sizeof(real)) __builtin_prefetch(t.to + r * p->to + i, 1);
            N(tile_function_for)(NV, 1)(rows, &t);
            run++;
        }
    }
}

static void N(pointwise_chunk)(void *context, size_t chunk) {
    const N(pointwise) *p = context;
    real *block = (real *)p->L->workspace + p->weights + p->w->groups * p->m * TN + chunk * p->slot;
    pointwise_run *runs = (pointwise_run *)(block + p->width / TN * p->panel);
    size_t last = SIZE_MAX, count = 0;
    for (size_t u = chunk * p->units / p->chunks; u < (chunk + 1) * p->units / p->chunks; u++) {
        const size_t share = u % p->shares, which = u / p->shares, group = which % p->w->groups, j0 = which / p->w->groups * p->width;
        if (which != last) {
            count = N(pointwise_runs)(p, j0, min_size(j0 + p->width, p->columns), runs);
            N(pointwise_fill)(p, block, (const real *)p->L->buf[0] + group * p->k * p->from, runs, count);
            last = which;
        }
        N(pointwise_tiles)(p, group, share, block, runs, count);
    }
}

/* What no element of dy reaches is the bias. */
static void N(pointwise_blank)(void *context, size_t plane) {
    const N(pointwise) *p = context;
    real *to = (real *)p->L->buf[3] + plane * p->to;
    const real bias = p->L->buf[2] ? ((const real *)p->L->buf[2])[plane % p->w->c] : 0;
    for (size_t i = 0; i < p->to; i++) to[i] = bias;
}

/* Images of one element are the rows of a matrix already: group g of the product with the weights */
static pd_launch N(pointwise_rows_of)(const pd_launch *L, enum conv_pass pass, size_t g) {
    const pd_window *w = &L->window;
    const size_t c = w->c / w->groups, o = w->o / w->groups;
    const int back = pass == CONV_INPUT_GRAD;
    const size_t k = back ? o : c, m = back ? c : o;
    real *bias = L->buf[2];
    pd_launch product = {.buf = {(real *)L->buf[0] + g * k, (real *)L->buf[1] + g * c * o, bias ? bias + g * m : NULL, (real *)L->buf[3] + g * m},
                         .workspace = L->workspace};
    product.gemm = (pd_gemm){.m = w->n, .n = m, .k = k, .a_row = (ptrdiff_t)(w->groups * k), .a_col = 1, .b_row = back ? (ptrdiff_t)c : 1,
                             .b_col = back ? 1 : (ptrdiff_t)c, .c_row = (ptrdiff_t)(w->groups * m), .c_col = 1,
                             .activation = back ? PD_NO_ACTIVATION : w->activation};
    return product;
}

static void N(pointwise_product)(const pd_launch *L, enum conv_pass pass) {
    N(pointwise) p;
    if (!N(pointwise_plan)(&p, L, pass)) return;
    for (size_t g = 0; g < p.w->groups && p.from * p.to == 1; g++) {
        const pd_launch product = N(pointwise_rows_of)(L, pass, g);
        N(gemm)(&product);
    }
    if (p.from * p.to == 1) return;
    p.packed = L->workspace, p.bias = p.packed + p.weights;
    if (p.back && p.to > p.from) pd_parallel(p.w->n * p.w->c, N(pointwise_blank), &p);
    if (p.weights < CONV_THREAD_WORK / 16)
        for (size_t q = 0; q < p.w->groups * p.tiles; q++) N(pointwise_pack)(&p, q);
    else pd_parallel(p.w->groups * p.tiles, N(pointwise_pack), &p);
    pd_parallel(p.chunks, N(pointwise_chunk), &p);
}

static size_t N(pointwise_product_room)(const pd_launch *L, enum conv_pass pass) {
    N(pointwise) p;
    if (!N(pointwise_plan)(&p, L, pass)) return 0;
    if (p.from * p.to == 1) {
        const pd_launch product = N(pointwise_rows_of)(L, pass, 0);
        return ceil_div(N(gemm_workspace)(&product), sizeof(real));
    }
    return p.weights + p.w->groups * p.m * TN + p.chunks * p.slot;
}
