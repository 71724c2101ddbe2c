/* The innermost sums of convolutions by implicit matrix products: a tile of `rows` x `vecs` vectors, held in registers, of
 *   to[i] (+)= sum over runs s, steps p of a[a_at[s] + i * lda + p] * b[b_at[s] + p * ldb ...]
 * Unlike a product of matrices (gemm_ukr.h) the sum jumps from run to run: a run is a tap of the kernel, whose channels are
 * neighbours, or a row of pixels. One chain of fused multiply-adds from zero for each element, in the order of the runs. */
#ifndef PD_CONV_TILE_ONCE
#define PD_CONV_TILE_ONCE
enum { CONV_RUNS = 64, CONV_CHAIN = 512 }; /* runs in a call, at most; steps after which a sum is put down, about */

/* Of a positive b */
static UNUSED ptrdiff_t floor_div(ptrdiff_t a, ptrdiff_t b) { return a / b - (a % b < 0); }

/* Multiply-adds */
static UNUSED double conv_work(const pd_window *w) {
    return (double)(w->n * w->o * volume(w->out)) * (double)(w->c / w->groups * volume(w->kernel));
}

/* The chunks, shared out where the convolution is worth it */
static UNUSED void conv_share(const pd_window *w, size_t chunks, pd_task task, void *context) {
    if (conv_work(w) >= GEMM_THREAD_WORK) pd_parallel(chunks, task, context);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(context, chunk);
}
#endif

typedef struct N(conv_tile) {
    size_t runs, k;              /* k steps in each run */
    const real *a, *b;
    const ptrdiff_t *a_at, *b_at; /* where each run starts */
    ptrdiff_t lda, ldb;          /* from row to row of a, from step to step of b */
    real *to;
    ptrdiff_t to_ld;
    int add;                     /* to what is there */
} N(conv_tile);

INLINE void N(conv_tile_of)(const size_t rows, const size_t vecs, const N(conv_tile) *t) {
    const ptrdiff_t lda = t->lda, ldb = t->ldb;
    const size_t k = t->k;
    vreal acc[TILE_ROOM / VL];
    UNROLL for (size_t i = 0; i < rows * vecs; i++) acc[i] = (vreal){0};
    for (size_t s = 0; s < t->runs; s++) {
        const real *a = t->a + t->a_at[s], *b = t->b + t->b_at[s];
        UNROLL_K for (size_t p = 0; p < k; p++, a++, b += ldb) {
            vreal row[NV];
            UNROLL for (size_t v = 0; v < vecs; v++) row[v] = v_load(b + v * VL);
            UNROLL for (size_t i = 0; i < rows; i++) {
                const vreal x = v_set(a[(ptrdiff_t)i * lda]);
                UNROLL for (size_t v = 0; v < vecs; v++) acc[i * vecs + v] = v_fma(x, row[v], acc[i * vecs + v]);
            }
        }
    }
    UNROLL for (size_t i = 0; i < rows * vecs; i++) {
        real *to = t->to + (ptrdiff_t)(i / vecs) * t->to_ld + i % vecs * VL;
        v_store(to, t->add ? v_load(to) + acc[i] : acc[i]);
    }
}

#define CONV_CASE(rows, vecs)                                                                                \
    case rows:                                                                                               \
        N(conv_tile_of)(rows, vecs, t);                                                                      \
        break;
#if MR > 6
#define CONV_CASES_8(vecs) CONV_CASE(7, vecs) CONV_CASE(8, vecs)
#else
#define CONV_CASES_8(vecs)
#endif
#if MR > 8
#define CONV_CASES_14(vecs)                                                                                  \
    CONV_CASE(9, vecs) CONV_CASE(10, vecs) CONV_CASE(11, vecs) CONV_CASE(12, vecs) CONV_CASE(13, vecs) CONV_CASE(14, vecs)
#else
#define CONV_CASES_14(vecs)
#endif
#define CONV_TILES(vecs)                                                                                     \
    static void N(conv_tiles_##vecs)(size_t rows, const N(conv_tile) * t) {                                  \
        switch (rows) {                                                                                      \
            CONV_CASE(1, vecs)                                                                               \
            CONV_CASE(2, vecs)                                                                               \
            CONV_CASE(3, vecs)                                                                               \
            CONV_CASE(4, vecs)                                                                               \
            CONV_CASE(5, vecs)                                                                               \
            CONV_CASE(6, vecs)                                                                               \
            CONV_CASES_8(vecs)                                                                               \
            CONV_CASES_14(vecs)                                                                              \
        }                                                                                                    \
    }
CONV_TILES(1)
CONV_TILES(2)
#if NR * 4 / VBYTES == 3
CONV_TILES(3)
#endif
#undef CONV_CASE
#undef CONV_CASES_8
#undef CONV_CASES_14
#undef CONV_TILES

INLINE void N(conv_tiles)(size_t vecs, size_t rows, const N(conv_tile) *t) {
#if NR * 4 / VBYTES == 3
    if (vecs == 3) {
        N(conv_tiles_3)(rows, t);
        return;
    }
#endif
    if (vecs == 2) N(conv_tiles_2)(rows, t);
    else N(conv_tiles_1)(rows, t);
}
