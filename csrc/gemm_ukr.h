/* The rank-k update of one tile of C: at most MR rows by TN columns held in registers (Goto & van de Geijn 2008;
 * Van Zee & van de Geijn 2015, BLIS).
 *
 * The order of every sum is one for the whole family, whatever the layout, the path, the tile or the number of
 * threads: k is cut into equal blocks (gemm_block_of), each block is one chain of fused multiply-adds from zero,
 * the blocks are added first to last. So a row's bits do not depend on its neighbours either. */
#ifndef PD_GEMM_UKR_ONCE
#define PD_GEMM_UKR_ONCE
#define NV (NR * 4 / VBYTES) /* vectors in a row of a tile */
#define TN (NV * VL)         /* columns of a tile: NR for float32, NR / 2 for float64 */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#define UNROLL_K _Pragma("unroll 4")
#else
#define UNROLL _Pragma("GCC unroll 32")
#if MR > 8 /* a step of a large tile is long enough, and there are many tiles */
#define UNROLL_K _Pragma("GCC unroll 2")
#else
#define UNROLL_K _Pragma("GCC unroll 4")
#endif
#endif
#define TILE_ROOM (MR * TN) /* elements of the largest tile */
static const double relu_bwd_scalars[PD_MAX_SCALARS] = {0};
#endif

typedef struct N(tile) {
    size_t k, kc;
    const real *a, *b;
    ptrdiff_t lda, ldb;  /* lda: from row to row; from k to k where A's rows are dense (packed or column-major) */
    const real *from;    /* the sum so far, or NULL */
    ptrdiff_t from_ld;
    real *to;
    ptrdiff_t to_ld;
    real *total;         /* TILE_ROOM, holds the sum between blocks of k; never where `to` is */
    const real *bias;    /* one for each column, or NULL */
    int relu;
    const real *gate;    /* of PD_RELU_BWD, laid out like `to`, or NULL */
    size_t count;        /* tiles one below the other; a_step and the row strides lead from one to the next */
    ptrdiff_t a_step;
} N(tile);

typedef void (*N(tile_function))(size_t rows, const N(tile) *t);

/* acc (rows x vecs) = A B over k steps, one chain each. */
INLINE void N(tile_chain)(const size_t rows, const size_t vecs, const int dense, size_t k, const real *a,
                          ptrdiff_t lda, const real *b, ptrdiff_t ldb, vreal *acc) {
    UNROLL for (size_t i = 0; i < rows * vecs; i++) acc[i] = (vreal){0};
    UNROLL_K for (size_t p = 0; p < k; p++, b += ldb) {
        vreal row[4 * NV];
        UNROLL for (size_t v = 0; v < vecs; v++) row[v] = v_load(b + v * VL);
        UNROLL for (size_t i = 0; i < rows; i++) {
            const vreal x = v_set(dense ? a[i] : a[(ptrdiff_t)i * lda]);
            UNROLL for (size_t v = 0; v < vecs; v++) acc[i * vecs + v] = v_fma(x, row[v], acc[i * vecs + v]);
        }
        a += dense ? lda : 1;
    }
}

INLINE void N(tile_one)(const size_t rows, const size_t vecs, const int dense, const N(tile) *t, const real *a,
                        const real *from, real *to, const real *gate) {
    const real *b = t->b;
    ptrdiff_t from_ld = t->from_ld;
    vreal acc[TILE_ROOM / VL];
    if (from)
        UNROLL for (size_t i = 0; i < rows; i++) __builtin_prefetch(from + (ptrdiff_t)i * from_ld + vecs * VL - 1);
    for (size_t left = t->k;;) {
        const size_t count = min_size(left, t->kc);
        N(tile_chain)(rows, vecs, dense, count, a, t->lda, b, t->ldb, acc);
        if (from)
            UNROLL for (size_t i = 0; i < rows * vecs; i++)
                acc[i] = v_load(from + (ptrdiff_t)(i / vecs) * from_ld + i % vecs * VL) + acc[i];
        left -= count;
        if (left == 0) break;
        UNROLL for (size_t i = 0; i < rows * vecs; i++) v_store(t->total + i * VL, acc[i]);
        from = t->total;
        from_ld = (ptrdiff_t)(vecs * VL);
        a += dense ? t->lda * (ptrdiff_t)count : (ptrdiff_t)count;
        b += t->ldb * (ptrdiff_t)count;
    }
    if (t->bias)
        UNROLL for (size_t i = 0; i < rows * vecs; i++) acc[i] = acc[i] + v_load(t->bias + i % vecs * VL);
    if (t->relu)
        UNROLL for (size_t i = 0; i < rows * vecs; i++) acc[i] = N(relu_fwd_at)(acc[i], NULL);
    if (gate)
        UNROLL for (size_t i = 0; i < rows * vecs; i++)
            acc[i] = N(relu_bwd_at)(v_load(gate + (ptrdiff_t)(i / vecs) * t->to_ld + i % vecs * VL), acc[i], relu_bwd_scalars);
    UNROLL for (size_t i = 0; i < rows * vecs; i++)
        v_store(to + (ptrdiff_t)(i / vecs) * t->to_ld + i % vecs * VL, acc[i]);
}

INLINE void N(tile_rows)(const size_t rows, const size_t vecs, const int dense, const N(tile) *t) {
    const real *a = t->a, *from = t->from, *gate = t->gate;
    real *to = t->to;
    for (size_t left = t->count; left > 0; left--) {
        N(tile_one)(rows, vecs, dense, t, a, from, to, gate);
        a += t->a_step;
        to += t->to_ld * (ptrdiff_t)rows;
        if (from) from += t->from_ld * (ptrdiff_t)rows;
        if (gate) gate += t->to_ld * (ptrdiff_t)rows;
    }
}

#define TILE_CASE(rows, vecs, dense)                                                                         \
    case rows:                                                                                               \
        N(tile_rows)(rows, vecs, dense, t);                                                                  \
        break;
#if MR > 6
#define TILE_CASES_8(vecs, dense) TILE_CASE(7, vecs, dense) TILE_CASE(8, vecs, dense)
#else
#define TILE_CASES_8(vecs, dense)
#endif
#if MR > 8
#define TILE_CASES_14(vecs, dense)                                                                           \
    TILE_CASE(9, vecs, dense) TILE_CASE(10, vecs, dense) TILE_CASE(11, vecs, dense)                          \
    TILE_CASE(12, vecs, dense) TILE_CASE(13, vecs, dense) TILE_CASE(14, vecs, dense)
#else
#define TILE_CASES_14(vecs, dense)
#endif
#define TILE_FUNCTION(vecs, dense)                                                                           \
    static void N(tile_##vecs##_##dense)(size_t rows, const N(tile) * t) {                                   \
        switch (rows) {                                                                                      \
            TILE_CASE(1, vecs, dense)                                                                        \
            TILE_CASE(2, vecs, dense)                                                                        \
            TILE_CASE(3, vecs, dense)                                                                        \
            TILE_CASE(4, vecs, dense)                                                                        \
            TILE_CASE(5, vecs, dense)                                                                        \
            TILE_CASE(6, vecs, dense)                                                                        \
            TILE_CASES_8(vecs, dense)                                                                        \
            TILE_CASES_14(vecs, dense)                                                                       \
        }                                                                                                    \
    }
TILE_FUNCTION(1, 0)
TILE_FUNCTION(1, 1)
TILE_FUNCTION(2, 0)
TILE_FUNCTION(2, 1)
#if NR * 4 / VBYTES == 3
TILE_FUNCTION(3, 0)
TILE_FUNCTION(3, 1)
#endif

/* One or two rows: tiles of several panels' width, so that enough chains run side by side. */
INLINE size_t N(tile_wide_columns)(size_t rows) { return (rows == 1 ? 4 : 2) * TN; }
static void N(tile_wide)(size_t rows, const N(tile) *t) {
    if (rows == 1) N(tile_rows)(1, 4 * NV, 0, t);
    else N(tile_rows)(2, 2 * NV, 0, t);
}

INLINE N(tile_function) N(tile_function_for)(size_t vecs, int dense) {
#if NR * 4 / VBYTES == 3
    if (vecs == 3) return dense ? N(tile_3_1) : N(tile_3_0);
#endif
    if (vecs == 2) return dense ? N(tile_2_1) : N(tile_2_0);
    return dense ? N(tile_1_1) : N(tile_1_0);
}
