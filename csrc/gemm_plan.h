/* What a product is and how it will be computed. All of the plan follows from the sizes and strides. */
#ifndef PD_GEMM_ONCE
#define PD_GEMM_ONCE
enum {
    GEMM_THREAD_WORK = 1 << 21,   /* multiply-adds (about 40 us) below which threads cost more than they bring */
    GEMM_THREAD_CELLS = 1 << 17,  /* elements of C, likewise, where k is small */
    GEMM_THIN = 16,               /* such a k: most of the time goes into writing C */
    GEMM_CHUNK_WORK = 1 << 19,    /* multiply-adds in a chunk of work, at least */
    GEMM_SMALL_PACK = 1 << 18,    /* bytes of packed B up to which the small way is taken */
    GEMM_PACK_ROWS = 24,          /* of A, from which packing B pays where its rows collide */
    GEMM_SLOTS = 16,              /* chunks of a batch that pack at the same time */
    GEMM_SHARES = 4,              /* chunks for each thread of a large product, at least */
    GEMM_PANELS = 8               /* panels packed in a chunk */
};
enum gemm_vector_form { NO_VECTOR, VECTOR_COLUMNS, VECTOR_ROWS, VECTOR_STRIDED, VECTOR_PANELS };
enum gemm_packing { PACK_NOTHING, PACK_BEFORE, PACK_AS_USED };
static UNUSED ptrdiff_t gemm_offset(const pd_gemm *g, const ptrdiff_t *stride, size_t item) {
    ptrdiff_t offset = 0;
    for (size_t d = g->batch_ndim; d-- > 0;) {
        offset += (ptrdiff_t)(item % g->batch[d]) * stride[d];
        item /= g->batch[d];
    }
    return offset;
}
static UNUSED size_t gemm_items(const pd_gemm *g) {
    size_t items = 1;
    for (size_t d = 0; d < g->batch_ndim; d++) items *= g->batch[d];
    return items;
}
/* k in equal blocks of at most KC, rounded to whole vectors */
static UNUSED size_t gemm_block_of(size_t k) {
    return k <= KC ? max_size(k, 1) : (ceil_div(k, ceil_div(k, KC)) + 15) / 16 * 16;
}
#endif

typedef struct N(gemm_op) {
    const pd_gemm *g;
    size_t m, n, k, kc;
    ptrdiff_t a_row, a_col, b_row, b_col, c_row, c_col;
    const real *a, *b, *bias, *gate;
    real *c;
    real *packed;            /* panels of B, or room for one panel of each chunk */
    size_t panel, panel_a;   /* elements from one packed panel to the next */
    enum gemm_vector_form vector;
    enum gemm_packing pack;
    int swapped, large, threaded, add, finish, copy_x, copy_b;
    size_t items, row_blocks, col_blocks, rows, cols; /* of C in a chunk */
    size_t first, per_chunk; /* batch: items of a chunk */
} N(gemm_op);

/* What the small way costs beside its multiply-adds, in elements moved; SIZE_MAX where it cannot be used. */
static size_t N(gemm_small_cost)(const N(gemm_op) *op, int b_packed) {
    if (op->a_row != 1 && op->a_col != 1 && op->m > 1) return SIZE_MAX;
    const size_t padded = ceil_div(op->n, VL) * VL;
    size_t cost = op->m * padded * op->k / 16;
    if (op->b_col != 1 && !b_packed) cost += op->n * op->k / 3;
    if (op->c_col != 1) cost += op->m * op->n * 2;
    return cost;
}

static void N(gemm_swap)(N(gemm_op) *op) {
    const N(gemm_op) o = *op;
    op->m = o.n, op->n = o.m;
    op->a = o.b, op->a_row = o.b_col, op->a_col = o.b_row;
    op->b = o.a, op->b_row = o.a_col, op->b_col = o.a_row;
    op->c_row = o.c_col, op->c_col = o.c_row;
    op->swapped = !o.swapped;
}

/* Rows of B that lie a multiple of a large power of two apart fall on few sets of the first-level cache. */
static int N(gemm_b_collides)(const N(gemm_op) *op) {
    const size_t bytes = (size_t)op->b_row * sizeof(real), apart = max_size(bytes & -bytes, 64);
    return min_size(op->kc, op->k) > (1 << 14) / min_size(apart, 1 << 12);
}

/* Chunks of columns pack their own panels of B; chunks of rows share panels packed before. A multiple of four chunks, so
 * that two and four threads share evenly. */
static void N(gemm_plan_small)(N(gemm_op) *op, int b_packed) {
    const size_t panels = ceil_div(op->n, TN), work = op->m * op->n * op->k;
    const int pack = !b_packed && (op->b_col != 1 || (op->m >= GEMM_PACK_ROWS && N(gemm_b_collides)(op)));
    op->panel = op->k * TN;
    op->row_blocks = op->col_blocks = 1;
    const size_t padded = op->m * ceil_div(op->n, VL) * VL * op->k * op->items, cells = op->m * op->n * op->items;
    op->threaded = padded >= GEMM_THREAD_WORK || (op->k <= GEMM_THIN && cells >= GEMM_THREAD_CELLS);
    if (op->threaded && op->items < 4) {
        const size_t blocks = ceil_div(work, 4 * GEMM_CHUNK_WORK) * 4;
        if (op->k <= GEMM_THIN && op->m >= 4 * MR) op->row_blocks = min_size(blocks, ceil_div(op->m, MR)); /* C in long runs */
        else if (op->m < op->n || (pack && panels >= 4 && op->m <= 4 * op->n)) op->col_blocks = min_size(blocks, panels);
        else op->row_blocks = min_size(blocks, ceil_div(op->m, MR));
    }
    op->rows = ceil_div(op->m, op->row_blocks);
    op->cols = ceil_div(panels, op->col_blocks) * TN;
    op->row_blocks = ceil_div(op->m, op->rows);
    op->col_blocks = ceil_div(op->n, op->cols);
    op->per_chunk = op->items;
    if (op->threaded)
        op->per_chunk = max_size(1, min_size(ceil_div(op->items, GEMM_SLOTS), ceil_div(GEMM_CHUNK_WORK, work)));
    op->pack = !pack ? PACK_NOTHING : op->row_blocks > 1 ? PACK_BEFORE : PACK_AS_USED;
}

/* m or n is 1. In the end m is; a packed B is read panel by panel, or where n was 1 as a strided vector. */
static void N(gemm_plan_vector)(N(gemm_op) *op) {
    const int packed = op->g->b_packed;
    op->panel = op->k * TN;
    if (packed) op->b_row = (ptrdiff_t)TN, op->b_col = 1;
    if (op->n == 1) {
        if (op->m > 1) N(gemm_swap)(op);
        else op->b_col = 0;
    }
    op->vector = packed && op->n > 1 && !op->swapped ? VECTOR_PANELS
                 : op->n == 1 || op->b_row == 1      ? VECTOR_COLUMNS
                 : op->b_col == 1                    ? VECTOR_ROWS
                                                     : VECTOR_STRIDED;
    const size_t share = ceil_div(ceil_div(op->n, pd_num_threads()), 64) * 64; /* columns: long rows are read faster */
    op->threaded = op->n * op->k * op->items >= GEMV_THREAD_WORK;
    op->cols = op->threaded ? min_size(GEMV_COLS, share) : GEMV_COLS;
    if (op->vector == VECTOR_PANELS) op->cols = op->cols / TN * TN;
    op->copy_x = op->vector == VECTOR_COLUMNS && op->a_col != 1;
    op->copy_b = op->vector == VECTOR_COLUMNS && op->b_row != 1;
}

static void N(gemm_plan)(N(gemm_op) *op, const pd_launch *L) {
    const pd_gemm *g = &L->gemm;
    *op = (N(gemm_op)){.g = g, .m = g->m, .n = g->n, .k = g->k, .kc = gemm_block_of(g->k),
                       .a_row = g->a_row, .a_col = g->a_col, .b_row = g->b_row, .b_col = g->b_col,
                       .c_row = g->c_row, .c_col = g->c_col, .a = L->buf[0], .b = L->buf[1], .bias = L->buf[2],
                       .c = L->buf[3], .gate = g->activation == PD_RELU_BWD ? L->buf[4] : NULL,
                       .add = g->accumulate, .finish = 1, .items = gemm_items(g)};
    if (op->m == 0 || op->n == 0 || op->items == 0) return;
    if (op->m == 1 || op->n == 1) {
        N(gemm_plan_vector)(op);
        return;
    }
    N(gemm_op) other = *op;
    N(gemm_swap)(&other);
    size_t cost = N(gemm_small_cost)(op, g->b_packed);
    if (!g->b_packed) {
        const size_t swapped_cost = N(gemm_small_cost)(&other, 0);
        const int columns = op->c_col != 1 && op->c_row == 1;
        if (swapped_cost < cost || (swapped_cost == cost && columns)) {
            *op = other;
            cost = swapped_cost;
        }
    }
    const size_t b_bytes = op->n * op->k * sizeof(real), a_bytes = op->m * op->k * sizeof(real);
    op->large = cost == SIZE_MAX || (op->m > 8 && b_bytes > GEMM_SMALL_PACK && a_bytes > GEMM_SMALL_PACK);
    if (op->large && op->swapped != (op->c_col != 1 && g->c_row == 1) && !g->b_packed) N(gemm_swap)(op);
    N(gemm_plan_small)(op, g->b_packed);
}

