/* Packing: panels of `width` lines, [k][width], so that the rank-k update reads memory in one stream.
 * A panel's source has one stride along k and one across its lines; either may be 1, both may be anything. */
#ifndef PD_GEMM_PACK_ONCE
#define PD_GEMM_PACK_ONCE
enum { GEMM_ALIGN = 64 };
#if defined(__clang__) || __GNUC__ >= 12
#define v_shuffle __builtin_shufflevector
#endif
#define SWAP_LANES_2_1(x, y) const vreal lo = v_shuffle(x, y, 0, 2), hi = v_shuffle(x, y, 1, 3)
#define SWAP_LANES_4_1(x, y) const vreal lo = v_shuffle(x, y, 0, 4, 2, 6), hi = v_shuffle(x, y, 1, 5, 3, 7)
#define SWAP_LANES_4_2(x, y) const vreal lo = v_shuffle(x, y, 0, 1, 4, 5), hi = v_shuffle(x, y, 2, 3, 6, 7)
#define SWAP_LANES_8_1(x, y)                                                                                 \
    const vreal lo = v_shuffle(x, y, 0, 8, 2, 10, 4, 12, 6, 14), hi = v_shuffle(x, y, 1, 9, 3, 11, 5, 13, 7, 15)
#define SWAP_LANES_8_2(x, y)                                                                                 \
    const vreal lo = v_shuffle(x, y, 0, 1, 8, 9, 4, 5, 12, 13), hi = v_shuffle(x, y, 2, 3, 10, 11, 6, 7, 14, 15)
#define SWAP_LANES_8_4(x, y)                                                                                 \
    const vreal lo = v_shuffle(x, y, 0, 1, 2, 3, 8, 9, 10, 11), hi = v_shuffle(x, y, 4, 5, 6, 7, 12, 13, 14, 15)
#define SWAP_LANES_16_1(x, y)                                                                                \
    const vreal lo = v_shuffle(x, y, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),             \
                hi = v_shuffle(x, y, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31)
#define SWAP_LANES_16_2(x, y)                                                                                \
    const vreal lo = v_shuffle(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),              \
                hi = v_shuffle(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define SWAP_LANES_16_4(x, y)                                                                                \
    const vreal lo = v_shuffle(x, y, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),              \
                hi = v_shuffle(x, y, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31)
#define SWAP_LANES_16_8(x, y)                                                                                \
    const vreal lo = v_shuffle(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),                \
                hi = v_shuffle(x, y, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
/* One stage of a transpose by halves: rows r and r + step exchange their off-diagonal blocks of `step` lanes. */
#define SWAP_STAGE(lanes, step)                                                                              \
    UNROLL for (size_t r = 0; r < lanes; r++)                                                                \
        if ((r & step) == 0) {                                                                               \
            SWAP_LANES_##lanes##_##step(x[r], x[r + step]);                                                  \
            x[r] = lo;                                                                                       \
            x[r + step] = hi;                                                                                \
        }
#endif

/* x, VL vectors of VL lanes, becomes its transpose. */
INLINE void N(transpose)(vreal *x) {
#if VBYTES * 8 / BITS == 2
    SWAP_STAGE(2, 1)
#elif VBYTES * 8 / BITS == 4
    SWAP_STAGE(4, 2) SWAP_STAGE(4, 1)
#elif VBYTES * 8 / BITS == 8
    SWAP_STAGE(8, 4) SWAP_STAGE(8, 2) SWAP_STAGE(8, 1)
#else
    SWAP_STAGE(16, 8) SWAP_STAGE(16, 4) SWAP_STAGE(16, 2) SWAP_STAGE(16, 1)
#endif
}

/* Lines that are dense along k: VL steps of k at a time through a transpose. Where `width` is no multiple of VL the
 * stores overlap into the next step, which is written after; the last VL steps therefore take the scalar way. */
INLINE size_t N(pack_transposed)(real *to, const real *from, ptrdiff_t line, size_t k, const size_t width) {
    const size_t groups = (width + VL - 1) / VL, spill = groups * VL - width;
    size_t p = 0;
    for (; p + VL + (spill ? 1 : 0) <= k; p += VL) {
        vreal x[(MR > TN ? MR : TN) / VL + 1][VL];
        UNROLL for (size_t g = 0; g < groups; g++) {
            UNROLL for (size_t r = 0; r < VL; r++) {
                const size_t w = g * VL + r < width ? g * VL + r : width - 1;
                x[g][r] = v_load(from + (ptrdiff_t)w * line + p);
            }
            N(transpose)(x[g]);
        }
        UNROLL for (size_t r = 0; r < VL; r++)
            UNROLL for (size_t g = 0; g < groups; g++) v_store(to + (p + r) * width + g * VL, x[g][r]);
    }
    return p;
}

/* One panel of `lines` <= width lines; what is missing to `width` is zero. */
INLINE void N(pack_panel)(real *to, const real *from, ptrdiff_t line, ptrdiff_t step, size_t lines, size_t k,
                          const size_t width) {
    size_t p = 0;
    if (lines == width && line == 1) {
        for (; p < k; p++) memcpy(to + p * width, from + (ptrdiff_t)p * step, width * sizeof(real));
        return;
    }
    if (lines == width && step == 1) p = N(pack_transposed)(to, from, line, k, width);
    for (; p < k; p++) {
        const real *x = from + (ptrdiff_t)p * step;
        real *y = to + p * width;
        size_t w = 0;
        for (; w < lines; w++) y[w] = x[(ptrdiff_t)w * line];
        for (; w < width; w++) y[w] = 0;
    }
}

static void N(pack_a_panel)(real *to, const real *from, ptrdiff_t row, ptrdiff_t col, size_t rows, size_t k) {
    N(pack_panel)(to, from, row, col, rows, k, MR);
}
static void N(pack_b_panel)(real *to, const real *from, ptrdiff_t row, ptrdiff_t col, size_t cols, size_t k) {
    N(pack_panel)(to, from, col, row, cols, k, TN);
}
