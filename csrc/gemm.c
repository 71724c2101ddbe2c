/* Matrix products: C (m, n) = activation(A (m, k) B (k, n) + bias (n,)), or C += ..., for every batch index.
 *
 * Buffers A, B, bias (n numbers, dense, or NULL), C. Any strides, also 0 and negative ones. C is overwritten, or with
 * `accumulate` added to. k == 0 gives the bias, or zeros. b_packed: B is what gemm_pack made of it.
 * The error is that of the summation order of gemm_ukr.h: below (min(k, KC) + k / KC) ulp of sum |a||b|.
 *
 * Letters (Goto & van de Geijn 2008): jc pc ic cut n k m into blocks, jr ir are the tiles of a block. Which bits come
 * out depends on m == 1, n == 1 and k alone. Three ways:
 *   vector  m or n is 1; the one way with an order of summation of its own (gemv.h);
 *   small   A as it lies, B as it lies or packed whole, a tile runs through all of k;
 *   large   both packed for one block of k at a time, C carries the sum.
 * Where it costs less, the transposed problem C' = B'A' is solved (the `swapped` plan). */
#include "gemm_ukr.h"
#include "gemm_pack.h"
#include "gemv.h"

#ifndef PD_GEMM_ONCE
#define PD_GEMM_ONCE
enum {
    GEMM_THREAD_WORK = 1 << 21,   /* multiply-adds (about 40 us) below which threads cost more than they bring */
    GEMM_CHUNK_WORK = 1 << 20,    /* multiply-adds in a chunk of work */
    GEMM_SMALL_PACK = 1 << 18,    /* bytes of packed B up to which the small way is taken */
    GEMM_PACK_ROWS = 24,          /* of A, from which packing B pays where its rows collide */
    GEMM_SLOTS = 16,              /* chunks of a batch that pack at the same time */
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
    const real *a, *b, *bias;
    real *c;
    real *packed;            /* panels of B, or room for one panel of each chunk */
    size_t panel, panel_a;   /* elements from one packed panel to the next */
    enum gemm_vector_form vector;
    enum gemm_packing pack;
    int swapped, large, threaded, add, finish, copy_x, copy_b;
    size_t items, row_blocks, col_blocks, rows, cols; /* of C in a chunk */
    size_t first, per_chunk; /* batch: items of a chunk */
} N(gemm_op);

/* ---- The plan: all of it follows from the sizes and strides. ---- */

/* What the small way costs beside its multiply-adds, in elements moved; SIZE_MAX where it cannot be used. */
static size_t N(gemm_small_cost)(const N(gemm_op) *op, int b_packed) {
    if (op->a_row != 1 && op->a_col != 1 && op->m > 1) return SIZE_MAX;
    const size_t padded = ceil_div(op->n, VL) * VL;
    size_t cost = op->m * padded * op->k / 16;
    if (op->b_col != 1 && !b_packed) cost += op->n * op->k;
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

static void N(gemm_plan_small)(N(gemm_op) *op, int b_packed) {
    const size_t panels = ceil_div(op->n, TN), work = op->m * op->n * op->k;
    op->panel = op->k * TN;
    op->row_blocks = op->col_blocks = 1;
    op->threaded = work * op->items >= GEMM_THREAD_WORK;
    if (op->threaded && op->items < 4) {
        const size_t blocks = work / GEMM_CHUNK_WORK + 1;
        if (op->m >= op->n) op->row_blocks = min_size(blocks, ceil_div(op->m, MR));
        else op->col_blocks = min_size(blocks, panels);
    }
    op->rows = ceil_div(op->m, op->row_blocks);
    op->cols = ceil_div(panels, op->col_blocks) * TN;
    op->row_blocks = ceil_div(op->m, op->rows);
    op->col_blocks = ceil_div(op->n, op->cols);
    op->per_chunk = op->items;
    if (op->threaded)
        op->per_chunk = max_size(1, min_size(ceil_div(op->items, GEMM_SLOTS), ceil_div(GEMM_CHUNK_WORK, work)));
    const int pack = op->b_col != 1 || (op->m >= GEMM_PACK_ROWS && N(gemm_b_collides)(op));
    op->pack = b_packed || !pack ? PACK_NOTHING : op->row_blocks > 1 ? PACK_BEFORE : PACK_AS_USED;
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
    const size_t share = ceil_div(ceil_div(op->n, 4), 64) * 64; /* at least four chunks where threads help */
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
                       .c = L->buf[3], .add = g->accumulate, .finish = 1, .items = gemm_items(g)};
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

/* ---- One tile: operands, edges, what follows the sum. ---- */

static void N(gemm_activate)(pd_activation activation, real *x, size_t n) {
#define ACTIVATE(function)                                                                                   \
    for (size_t i = 0; i < n; i += VL) v_store(x + i, N(function)(v_load(x + i), NULL));                     \
    break
    switch (activation) {
    case PD_RELU: ACTIVATE(relu_fwd_at);
    case PD_SIGMOID: ACTIVATE(sigmoid_fwd_at);
    case PD_TANH: ACTIVATE(tanh_fwd_at);
    case PD_GELU: ACTIVATE(gelu_fwd_at);
    case PD_SILU: ACTIVATE(silu_fwd_at);
    default: break;
    }
#undef ACTIVATE
}

static void N(tile_load)(const N(gemm_op) *op, real *tile, size_t ld, const real *c, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; r++)
        for (size_t s = 0; s < ld; s++)
            tile[r * ld + s] = s >= cols ? 0 : c[(ptrdiff_t)r * op->c_row + (ptrdiff_t)s * op->c_col];
}

static void N(tile_store)(const N(gemm_op) *op, const real *tile, size_t ld, real *c, size_t rows, size_t cols) {
    if (op->c_col == 1) {
        for (size_t r = 0; r < rows; r++) {
            real *to = c + (ptrdiff_t)r * op->c_row;
            size_t s = 0;
            for (; s + VL <= cols; s += VL) v_store(to + s, v_load(tile + r * ld + s));
            if (s < cols) v_store_part(to + s, v_load(tile + r * ld + s), cols - s);
        }
        return;
    }
    for (size_t s = 0; s < cols; s++)
        for (size_t r = 0; r < rows; r++) c[(ptrdiff_t)r * op->c_row + (ptrdiff_t)s * op->c_col] = tile[r * ld + s];
}

/* Bias and activation on a tile in memory. */
static void N(tile_finish)(const N(gemm_op) *op, real *tile, size_t ld, size_t i, size_t j, size_t rows, size_t cols) {
    if (op->bias && op->swapped)
        for (size_t r = 0; r < rows; r++)
            for (size_t s = 0; s < ld; s++) tile[r * ld + s] += op->bias[i + r];
    else if (op->bias)
        for (size_t r = 0; r < rows; r++)
            for (size_t s = 0; s < cols; s++) tile[r * ld + s] += op->bias[j + s];
    if (op->g->activation != PD_NO_ACTIVATION) N(gemm_activate)(op->g->activation, tile, rows * ld);
}

/* Tiles of `rows` x `cols` one below the other from C (i, j) on; t holds the operands. Whole vectors of a row-major C
 * are written from the registers, whatever else by way of a tile in memory. */
static void N(gemm_tiles)(const N(gemm_op) *op, N(tile_function) run, N(tile) *t, size_t count, size_t i, size_t j,
                          size_t rows, size_t cols) {
    _Alignas(64) real out[TILE_ROOM];
    real *c = op->c + (ptrdiff_t)i * op->c_row + (ptrdiff_t)j * op->c_col;
    const size_t width = ceil_div(cols, VL) * VL;
    const pd_activation activation = op->finish ? op->g->activation : PD_NO_ACTIVATION;
    const int simple = activation == PD_NO_ACTIVATION || activation == PD_RELU;
    const int direct = op->c_col == 1 && cols == width && simple && !(op->finish && op->bias && op->swapped);
    t->to = direct ? c : out;
    t->to_ld = direct ? op->c_row : (ptrdiff_t)width;
    t->from = op->add ? t->to : NULL;
    t->from_ld = t->to_ld;
    t->bias = direct && op->finish && op->bias ? op->bias + j : NULL;
    t->relu = direct && activation == PD_RELU;
    if (direct) {
        t->count = count;
        run(rows, t);
        return;
    }
    t->count = 1;
    for (; count > 0; count--, t->a += t->a_step, i += rows, c += op->c_row * (ptrdiff_t)rows) {
        if (op->add) N(tile_load)(op, out, width, c, rows, cols);
        run(rows, t);
        if (op->finish) N(tile_finish)(op, out, width, i, j, rows, cols);
        N(tile_store)(op, out, width, c, rows, cols);
    }
}

/* ---- Small. ---- */

/* Rows i0..i1, columns j0..j1 of one item. Panels of B that do not lie ready are packed into `slot`, one by one. */
static void N(gemm_small_block)(const N(gemm_op) *op, size_t i0, size_t i1, size_t j0, size_t j1, real *slot) {
    _Alignas(64) real total[TILE_ROOM];
    const int dense = op->a_col != 1, ready = op->pack == PACK_BEFORE || op->g->b_packed;
    const size_t tiles = ceil_div(i1 - i0, MR), rows = (i1 - i0) / tiles, taller = (i1 - i0) % tiles, wide = (i1 - i0 == 1 ? 8 : 4) * VL;
    const int few = i1 - i0 <= 3 && op->pack == PACK_NOTHING && !ready && !dense;
    N(tile) t = {.k = op->k, .kc = op->kc, .lda = dense ? op->a_col : op->a_row, .total = total};
    for (size_t j = j0; j < j1;) {
        const size_t cols = min_size(TN, op->n - j), vecs = ceil_div(cols, VL);
        const int lies = op->pack == PACK_NOTHING && !ready && cols == TN;
        t.b = ready ? op->packed + j / TN * op->panel : op->b + (ptrdiff_t)j * op->b_col;
        t.ldb = lies ? op->b_row : (ptrdiff_t)TN;
        if (few && j1 - j >= wide) {
            t.a = op->a + (ptrdiff_t)i0 * op->a_row;
            N(gemm_tiles)(op, N(tile_wide), &t, 1, i0, j, i1 - i0, wide);
            j += wide;
            continue;
        }
        if (!ready && !lies) {
            N(pack_b_panel)(slot, t.b, op->b_row, op->b_col, cols, op->k);
            t.b = slot;
        }
        for (int more = 1; more >= 0; more--) { /* taller tiles first, then those of one row less */
            const size_t count = more ? taller : tiles - taller, i = i0 + (more ? 0 : taller * (rows + 1));
            if (count == 0) continue;
            t.a = op->a + (ptrdiff_t)i * op->a_row;
            t.a_step = (ptrdiff_t)(rows + (size_t)more) * op->a_row;
            N(gemm_tiles)(op, N(tile_function_for)(vecs, dense), &t, count, i, j, rows + (size_t)more, cols);
        }
        j += cols;
    }
}

static N(gemm_op) N(gemm_item)(const N(gemm_op) *op, size_t item) {
    N(gemm_op) o = *op;
    const ptrdiff_t a = gemm_offset(op->g, op->g->a_batch, item), b = gemm_offset(op->g, op->g->b_batch, item);
    o.a += op->swapped ? b : a;
    o.b += op->swapped ? a : b;
    o.c += gemm_offset(op->g, op->g->c_batch, item);
    if (op->g->b_packed && !op->vector) o.packed = (real *)o.b;
    return o;
}

static void N(gemm_small_items)(void *context, size_t chunk) {
    const N(gemm_op) *op = context;
    const size_t first = op->first + chunk * op->per_chunk;
    for (size_t item = first; item < min_size(first + op->per_chunk, op->items); item++) {
        const N(gemm_op) o = N(gemm_item)(op, item);
        N(gemm_small_block)(&o, 0, o.m, 0, o.n, op->packed + chunk * op->panel);
    }
}

static void N(gemm_small_pack)(void *context, size_t q) {
    const N(gemm_op) *op = context;
    N(pack_b_panel)(op->packed + q * op->panel, op->b + (ptrdiff_t)(q * TN) * op->b_col, op->b_row, op->b_col,
                    min_size(TN, op->n - q * TN), op->k);
}

static void N(gemm_small_chunk)(void *context, size_t chunk) {
    const N(gemm_op) *op = context;
    const size_t i = chunk / op->col_blocks * op->rows, j = chunk % op->col_blocks * op->cols;
    N(gemm_small_block)(op, i, min_size(i + op->rows, op->m), j, min_size(j + op->cols, op->n),
                        op->packed + chunk * op->panel);
}

static void N(gemm_small)(N(gemm_op) *op) {
    const size_t blocks = op->row_blocks * op->col_blocks;
    if (blocks == 1) { /* a batch, shared out by items */
        for (; op->first < op->items; op->first += GEMM_SLOTS * op->per_chunk) {
            const size_t chunks = min_size(GEMM_SLOTS, ceil_div(op->items - op->first, op->per_chunk));
            if (op->threaded) pd_parallel(chunks, N(gemm_small_items), op);
            else
                for (size_t chunk = 0; chunk < chunks; chunk++) N(gemm_small_items)(op, chunk);
        }
        return;
    }
    for (size_t item = 0; item < op->items; item++) {
        N(gemm_op) o = N(gemm_item)(op, item);
        if (o.pack == PACK_BEFORE) pd_parallel(ceil_div(o.n, TN), N(gemm_small_pack), &o);
        pd_parallel(blocks, N(gemm_small_chunk), &o);
    }
}

static size_t N(gemm_small_room)(const N(gemm_op) *op) { /* elements of workspace */
    const size_t blocks = op->row_blocks * op->col_blocks;
    if (op->g->b_packed || (op->pack == PACK_NOTHING && op->n % TN == 0)) return 0;
    if (op->pack == PACK_BEFORE) return ceil_div(op->n, TN) * op->panel;
    return op->panel * (blocks > 1 ? blocks : op->threaded ? min_size(op->items, GEMM_SLOTS) : 1);
}

/* ---- A vector times a matrix. ---- */

static void N(gemm_vector_chunk)(void *context, size_t chunk) {
    const N(gemm_op) *op = context;
    const size_t chunks = ceil_div(op->n, op->cols), j = chunk % chunks * op->cols, item = chunk / chunks;
    const size_t cols = min_size(op->cols, op->n - j), width = ceil_div(cols, VL) * VL;
    const N(gemm_op) o = N(gemm_item)(op, item);
    _Alignas(64) real out[GEMV_COLS], old[GEMV_COLS];
    real *c = o.c + (ptrdiff_t)j * o.c_col;
    N(gemv) v = {.x = o.a, .b = o.b + (ptrdiff_t)j * o.b_col, .x_step = o.a_col, .b_row = o.b_row, .b_col = o.b_col,
                 .k = o.k, .cols = cols, .y = out};
    if (op->copy_x) v.x = op->packed + item * op->k, v.x_step = 1;
    if (op->copy_b) v.b = op->packed + (op->copy_x ? op->items + item : item) * op->k;
    if (op->vector == VECTOR_COLUMNS) N(gemv_columns)(&v);
    else if (op->vector == VECTOR_ROWS) N(gemv_rows)(&v);
    else if (op->vector == VECTOR_STRIDED) N(gemv_strided)(&v);
    else
        for (size_t q = 0; q < cols; q += TN) {
            v.b = o.b + (j + q) / TN * op->panel;
            v.cols = min_size(TN, cols - q);
            v.y = out + q;
            N(gemv_rows)(&v);
        }
    if (o.add) {
        N(tile_load)(&o, old, width, c, 1, cols);
        for (size_t s = 0; s < cols; s++) out[s] = old[s] + out[s];
    }
    for (size_t s = cols; s < width; s++) out[s] = 0;
    N(tile_finish)(&o, out, width, 0, j, 1, cols);
    N(tile_store)(&o, out, width, c, 1, cols);
}

/* Dot products read both vectors dense: copies where they are not. */
static void N(gemm_vector_copy)(const N(gemm_op) *op) {
    for (size_t item = 0; item < op->items; item++) {
        const N(gemm_op) o = N(gemm_item)(op, item);
        real *x = op->packed + item * op->k, *b = op->packed + (op->copy_x ? op->items + item : item) * op->k;
        for (size_t p = 0; p < op->k && op->copy_x; p++) x[p] = o.a[(ptrdiff_t)p * o.a_col];
        for (size_t p = 0; p < op->k && op->copy_b; p++) b[p] = o.b[(ptrdiff_t)p * o.b_row];
    }
}

static void N(gemm_vector)(N(gemm_op) *op) {
    const size_t chunks = op->items * ceil_div(op->n, op->cols);
    if (op->copy_x || op->copy_b) N(gemm_vector_copy)(op);
    if (op->threaded) pd_parallel(chunks, N(gemm_vector_chunk), op);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(gemm_vector_chunk)(op, chunk);
}

/* ---- Large: one block of k at a time; panels are packed by all threads, then C's blocks handed out. ---- */

enum { N(GEMM_MC) = MC * 4 / sizeof(real) / MR * MR, N(GEMM_NC) = NC, N(GEMM_CHUNK_COLS) = 512 };

typedef struct N(gemm_block) {
    N(gemm_op) op;      /* k, a, b, c of this block */
    real *a, *b;        /* packed */
    size_t j0, cols;    /* columns of C in this block */
    size_t a_groups;    /* chunks of the packing that go to A */
} N(gemm_block);

static void N(gemm_large_pack)(void *context, size_t chunk) {
    const N(gemm_block) *block = context;
    const N(gemm_op) *op = &block->op;
    if (chunk < block->a_groups) {
        const size_t last = min_size((chunk + 1) * GEMM_PANELS, ceil_div(op->m, MR));
        for (size_t q = chunk * GEMM_PANELS; q < last; q++)
            N(pack_a_panel)(block->a + q * op->panel_a, op->a + (ptrdiff_t)(q * MR) * op->a_row, op->a_row, op->a_col,
                            min_size(MR, op->m - q * MR), op->k);
        return;
    }
    chunk -= block->a_groups;
    const size_t last = min_size((chunk + 1) * GEMM_PANELS, ceil_div(block->cols, TN));
    for (size_t q = chunk * GEMM_PANELS; q < last; q++)
        N(pack_b_panel)(block->b + q * op->panel, op->b + (ptrdiff_t)(block->j0 + q * TN) * op->b_col, op->b_row,
                        op->b_col, min_size(TN, block->cols - q * TN), op->k);
}

static void N(gemm_large_chunk)(void *context, size_t chunk) {
    const N(gemm_block) *block = context;
    const N(gemm_op) *op = &block->op;
    const size_t across = ceil_div(block->cols, N(GEMM_CHUNK_COLS));
    const size_t i0 = chunk / across * N(GEMM_MC), i1 = min_size(i0 + N(GEMM_MC), op->m);
    const size_t j0 = chunk % across * N(GEMM_CHUNK_COLS), j1 = min_size(j0 + N(GEMM_CHUNK_COLS), block->cols);
    const size_t full = (i1 - i0) / MR, rest = (i1 - i0) % MR;
    N(tile) t = {.k = op->k, .kc = op->k, .lda = MR, .ldb = (ptrdiff_t)TN, .a_step = (ptrdiff_t)op->panel_a};
    for (size_t j = j0; j < j1; j += TN) {
        const size_t cols = min_size(TN, j1 - j), vecs = ceil_div(cols, VL);
        t.b = block->b + j / TN * op->panel;
        t.a = block->a + i0 / MR * op->panel_a;
        if (full) N(gemm_tiles)(op, N(tile_function_for)(vecs, 1), &t, full, i0, block->j0 + j, MR, cols);
        t.a = block->a + (i0 / MR + full) * op->panel_a;
        if (rest) N(gemm_tiles)(op, N(tile_function_for)(vecs, 1), &t, 1, i1 - rest, block->j0 + j, rest, cols);
    }
}

/* Elements of the packed blocks of A and B; panels of A end with room for the overlapping stores of the packing. */
static size_t N(gemm_large_a)(const N(gemm_op) *op) { return ceil_div(op->m, MR) * (op->kc * MR + 16); }
static size_t N(gemm_large_b)(const N(gemm_op) *op) {
    return op->g->b_packed ? 0 : ceil_div(min_size(op->n, N(GEMM_NC)), TN) * op->kc * TN;
}

static void N(gemm_large)(const N(gemm_op) *whole, real *workspace) {
    for (size_t item = 0; item < whole->items; item++)
        for (size_t jc = 0; jc < whole->n; jc += N(GEMM_NC))
            for (size_t pc = 0; pc < whole->k; pc += whole->kc) {
                N(gemm_block) block = {.op = N(gemm_item)(whole, item), .a = workspace, .j0 = jc};
                N(gemm_op) *op = &block.op;
                op->k = min_size(whole->kc, whole->k - pc);
                op->a += (ptrdiff_t)pc * op->a_col;
                op->b += (ptrdiff_t)pc * op->b_row;
                op->add = whole->add || pc > 0;
                op->finish = pc + op->k == whole->k;
                op->panel_a = whole->kc * MR + 16;
                block.cols = min_size(N(GEMM_NC), whole->n - jc);
                block.a_groups = ceil_div(ceil_div(op->m, MR), GEMM_PANELS);
                size_t b_groups = 0;
                if (whole->g->b_packed) block.b = op->packed + jc / TN * whole->panel + pc * TN;
                else {
                    op->panel = op->k * TN;
                    block.b = workspace + N(gemm_large_a)(whole);
                    b_groups = ceil_div(ceil_div(block.cols, TN), GEMM_PANELS);
                }
                pd_parallel(block.a_groups + b_groups, N(gemm_large_pack), &block);
                pd_parallel(ceil_div(op->m, N(GEMM_MC)) * ceil_div(block.cols, N(GEMM_CHUNK_COLS)),
                            N(gemm_large_chunk), &block);
            }
}

/* ---- The kernels. ---- */

static size_t N(gemm_workspace)(const pd_launch *L) {
    N(gemm_op) op;
    N(gemm_plan)(&op, L);
    if (op.m == 0 || op.n == 0 || op.items == 0) return 0;
    if (op.vector) return (size_t)(op.copy_x + op.copy_b) * op.items * op.k * sizeof(real);
    if (op.large) return (N(gemm_large_a)(&op) + N(gemm_large_b)(&op)) * sizeof(real);
    return N(gemm_small_room)(&op) * sizeof(real);
}

static void N(gemm)(const pd_launch *L) {
    N(gemm_op) op;
    N(gemm_plan)(&op, L);
    if (op.m == 0 || op.n == 0 || op.items == 0) return;
    op.packed = op.g->b_packed && !op.vector ? (real *)op.b : L->workspace;
    if (op.vector) N(gemm_vector)(&op);
    else if (op.large && op.k > 0) N(gemm_large)(&op, L->workspace);
    else N(gemm_small)(&op);
}

/* B (k, n) -> panels [n / TN][k][TN], the last filled up with zeros: k * TN * ceil(n / TN) numbers. The geometry is that
 * of the product (n, k and B's strides are read); buffers B, packed. */
static void N(gemm_pack_chunk)(void *context, size_t chunk) {
    const pd_launch *L = context;
    const pd_gemm *g = &L->gemm;
    const size_t last = min_size((chunk + 1) * GEMM_PANELS, ceil_div(g->n, TN));
    for (size_t q = chunk * GEMM_PANELS; q < last; q++)
        N(pack_b_panel)((real *)L->buf[1] + q * g->k * TN, (const real *)L->buf[0] + (ptrdiff_t)(q * TN) * g->b_col,
                        g->b_row, g->b_col, min_size(TN, g->n - q * TN), g->k);
}

static void N(gemm_pack)(const pd_launch *L) {
    const size_t chunks = ceil_div(ceil_div(L->gemm.n, TN), GEMM_PANELS);
    if (L->gemm.n * L->gemm.k > (1 << 18)) pd_parallel(chunks, N(gemm_pack_chunk), (void *)L);
    else
        for (size_t q = 0; q < chunks; q++) N(gemm_pack_chunk)((void *)L, q);
}
