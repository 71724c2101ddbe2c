/* Matrix products: C (m, n) = activation(A (m, k) B (k, n) + bias (n,)), or C += ..., for every batch index.
 *
 * Buffers A, B, bias (n numbers, dense, or NULL), C. Any strides, also 0 and negative ones. C is overwritten, or with
 * `accumulate` added to. With PD_RELU_BWD a fifth buffer. k == 0 gives the bias, or zeros. b_packed: B is what gemm_pack made of it.
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

#include "gemm_plan.h"
#include "gemm_tile.h"

/* ---- Small. ---- */

/* Rows i0..i1, columns j0..j1 of one item. Panels of B that do not lie ready are packed into `slot`, one by one. */
static void N(gemm_small_block)(const N(gemm_op) *op, size_t i0, size_t i1, size_t j0, size_t j1, real *slot) {
    _Alignas(64) real total[TILE_ROOM];
    const int dense = op->a_col != 1, ready = op->pack == PACK_BEFORE || op->g->b_packed;
    const size_t tiles = ceil_div(i1 - i0, MR), rows = (i1 - i0) / tiles, taller = (i1 - i0) % tiles;
    const size_t wide = N(tile_wide_columns)(i1 - i0);
    const int few = i1 - i0 <= 2 && op->pack == PACK_NOTHING && !ready && !dense;
    N(tile) t = {.k = op->k, .kc = op->kc, .lda = dense ? op->a_col : op->a_row, .total = total};
    for (size_t j = j0; j < j1;) {
        const size_t cols = min_size(TN, j1 - j), vecs = ceil_div(cols, VL);
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
    if (o.gate) o.gate += gemm_offset(op->g, op->g->c_batch, item);
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

enum { N(GEMM_MC) = MC * 4 / sizeof(real) / MR * MR, N(GEMM_NC) = NC, N(GEMM_CHUNK_COLS) = 16 * NR };

/* Rows of C in a chunk: at most GEMM_MC, as even as tiles allow (two threads should not wait for one long chunk), and fewer
 * where there would be less than GEMM_SHARES chunks for each thread. `across`: chunks side by side. */
INLINE size_t N(gemm_chunk_rows)(size_t m, size_t across) {
    const size_t threads = pd_num_threads();
    const size_t chunks = max_size(ceil_div(m, N(GEMM_MC)), threads > 1 ? ceil_div(GEMM_SHARES * threads, across) : 1);
    return ceil_div(ceil_div(m, chunks), MR) * MR;
}

typedef struct N(gemm_block) {
    N(gemm_op) op;      /* k, a, b, c of this block */
    real *a, *b;        /* packed */
    size_t j0, cols;    /* columns of C in this block */
    size_t rows, wide, across; /* rows and columns of C in a chunk; chunks side by side */
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
    const size_t i0 = chunk / block->across * block->rows, i1 = min_size(i0 + block->rows, op->m);
    const size_t j0 = chunk % block->across * block->wide, j1 = min_size(j0 + block->wide, block->cols);
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
                block.wide = ceil_div(ceil_div(block.cols, TN), ceil_div(block.cols, N(GEMM_CHUNK_COLS))) * TN;
                block.across = ceil_div(block.cols, block.wide);
                block.rows = N(gemm_chunk_rows)(op->m, block.across);
                block.a_groups = ceil_div(ceil_div(op->m, MR), GEMM_PANELS);
                size_t b_groups = 0;
                if (whole->g->b_packed) block.b = op->packed + jc / TN * whole->panel + pc * TN;
                else {
                    op->panel = op->k * TN;
                    block.b = workspace + N(gemm_large_a)(whole);
                    b_groups = ceil_div(ceil_div(block.cols, TN), GEMM_PANELS);
                }
                pd_parallel(block.a_groups + b_groups, N(gemm_large_pack), &block);
                pd_parallel(ceil_div(op->m, block.rows) * block.across, N(gemm_large_chunk), &block);
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
