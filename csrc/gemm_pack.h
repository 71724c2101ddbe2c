/* Packing: panels of `width` lines, [k][width], so that the rank-k update reads memory in one stream.
 * A panel's source has one stride along k and one across its lines; either may be 1, both may be anything. */
#ifndef PD_GEMM_PACK_ONCE
#define PD_GEMM_PACK_ONCE
#define QUAD (16 / sizeof(T))     /* elements in 16 bytes */
#define QUADS (VBYTES / 16)       /* of them in a vector */
#endif

/* Two vectors' elements taken turn by turn, within each 16 bytes. */
#if VBYTES * 8 / BITS == 2
#define TURN_LOW(x, y) __builtin_shufflevector(x, y, 0, 2)
#define TURN_HIGH(x, y) __builtin_shufflevector(x, y, 1, 3)
#elif VBYTES == 32 && BITS == 64
#define TURN_LOW(x, y) __builtin_shufflevector(x, y, 0, 4, 2, 6)
#define TURN_HIGH(x, y) __builtin_shufflevector(x, y, 1, 5, 3, 7)
#elif VBYTES == 64 && BITS == 64
#define TURN_LOW(x, y) __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14)
#define TURN_HIGH(x, y) __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15)
#elif VBYTES == 16
#define TURN_LOW(x, y) __builtin_shufflevector(x, y, 0, 4, 1, 5)
#define TURN_HIGH(x, y) __builtin_shufflevector(x, y, 2, 6, 3, 7)
#define PAIR_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5)
#define PAIR_HIGH(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7)
#elif VBYTES == 32
#define TURN_LOW(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13)
#define TURN_HIGH(x, y) __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIR_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIR_HIGH(x, y) __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define TURN_LOW(x, y) __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define TURN_HIGH(x, y) __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define PAIR_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define PAIR_HIGH(x, y) __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#endif

/* Two vectors' lanes of 16 bytes: the first halves of both, the second; then the even lanes, the odd ones. */
#if VBYTES == 32 && BITS == 32
#define HALF_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11)
#define HALF_HIGH(x, y) __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15)
#elif VBYTES == 32
#define HALF_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5)
#define HALF_HIGH(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7)
#elif VBYTES == 64 && BITS == 32
#define HALF_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
#define HALF_HIGH(x, y) __builtin_shufflevector(x, y, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
#define LANES_EVEN(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define LANES_ODD(x, y) __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#elif VBYTES == 64
#define HALF_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11)
#define HALF_HIGH(x, y) __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15)
#define LANES_EVEN(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5, 8, 9, 12, 13)
#define LANES_ODD(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7, 10, 11, 14, 15)
#endif

/* QUAD lines from `first` on, turned within each 16 bytes: y[c] holds elements c, c + QUAD ... of each. */
INLINE void N(turn_quads)(vreal *y, const real *from, ptrdiff_t line, size_t first, size_t lines) {
#define LINE_AT(q) v_load(from + (ptrdiff_t)min_size(first + (q), lines - 1) * line)
    const vreal a = LINE_AT(0), b = LINE_AT(1);
#if BITS == 32
    const vreal e = LINE_AT(2), f = LINE_AT(3);
    const vreal ab = TURN_LOW(a, b), AB = TURN_HIGH(a, b), ef = TURN_LOW(e, f), EF = TURN_HIGH(e, f);
    y[0] = PAIR_LOW(ab, ef);
    y[1] = PAIR_HIGH(ab, ef);
    y[2] = PAIR_LOW(AB, EF);
    y[3] = PAIR_HIGH(AB, EF);
#else
    y[0] = TURN_LOW(a, b);
    y[1] = TURN_HIGH(a, b);
#endif
#undef LINE_AT
}

/* x[p], for VL steps p: element p of each of VL lines; lines from `lines` on repeat the last one. Each line is read once: of
 * lines that lie a power of two apart only a few stay in the cache. */
INLINE void N(turn)(vreal *x, const real *from, ptrdiff_t line, size_t lines) {
    vreal y[QUADS][QUAD];
    UNROLL for (size_t g = 0; g < QUADS; g++) N(turn_quads)(y[g], from, line, g * QUAD, lines);
    UNROLL for (size_t c = 0; c < QUAD; c++) {
#if VBYTES == 16
        x[c] = y[0][c];
#elif VBYTES == 32
        x[c] = HALF_LOW(y[0][c], y[1][c]);
        x[c + QUAD] = HALF_HIGH(y[0][c], y[1][c]);
#else
        const vreal low = HALF_LOW(y[0][c], y[1][c]), high = HALF_HIGH(y[0][c], y[1][c]);
        const vreal more_low = HALF_LOW(y[2][c], y[3][c]), more_high = HALF_HIGH(y[2][c], y[3][c]);
        x[c] = LANES_EVEN(low, more_low);
        x[c + QUAD] = LANES_ODD(low, more_low);
        x[c + 2 * QUAD] = LANES_EVEN(high, more_high);
        x[c + 3 * QUAD] = LANES_ODD(high, more_high);
#endif
    }
}
#undef TURN_LOW
#undef TURN_HIGH
#undef PAIR_LOW
#undef PAIR_HIGH
#undef HALF_LOW
#undef HALF_HIGH
#undef LANES_EVEN
#undef LANES_ODD

/* VL lines dense along k, VL steps at a time, to one vector in each row of `to`. Not inlined: gcc would jam neighbours. */
static __attribute__((noinline)) void N(pack_lines)(real *to, const real *from, ptrdiff_t line, size_t k,
                                                    size_t width) {
    size_t p = 0;
    for (; p + VL <= k; p += VL) {
        vreal t[VL];
        N(turn)(t, from + p, line, VL);
        UNROLL for (size_t r = 0; r < VL; r++) v_store(to + (p + r) * width, t[r]);
    }
    for (; p < k; p++)
        for (size_t l = 0; l < VL; l++) to[p * width + l] = from[(ptrdiff_t)l * line + (ptrdiff_t)p];
}

/* The same for `width` lines where width is no multiple of VL: stores run over into the next step, which is
 * written after; so the last steps are left to the caller. Returns the steps done. */
INLINE size_t N(pack_turned_odd)(real *to, const real *from, ptrdiff_t line, size_t k, const size_t width) {
    const size_t groups = (width + VL - 1) / VL;
    size_t p = 0;
    for (; p + VL < k; p += VL) {
        vreal t[MR / VL + 1][VL];
        UNROLL for (size_t g = 0; g < groups; g++)
            N(turn)(t[g], from + (ptrdiff_t)(g * VL) * line + p, line, width - g * VL < VL ? width - g * VL : VL);
        UNROLL for (size_t r = 0; r < VL; r++)
            UNROLL for (size_t g = 0; g < groups; g++) v_store(to + (p + r) * width + g * VL, t[g][r]);
    }
    return p;
}

/* One panel of `lines` <= width lines; what is missing to `width` is zero. */
INLINE void N(pack_panel)(real *to, const real *from, ptrdiff_t line, ptrdiff_t step, size_t lines, size_t k,
                          const size_t width) {
    size_t p = 0, done = 0;
    if (lines == width && line == 1) {
        for (; p < k; p++) memcpy(to + p * width, from + (ptrdiff_t)p * step, width * sizeof(real));
        return;
    }
    if (step == 1 && width % VL == 0)
        for (; done + VL <= lines; done += VL)
            N(pack_lines)(to + done, from + (ptrdiff_t)done * line, line, k, width);
    else if (step == 1 && lines == width) p = N(pack_turned_odd)(to, from, line, k, width);
    if (done == width) return;
    for (; p < k; p++) {
        const real *x = from + (ptrdiff_t)p * step;
        real *y = to + p * width;
        size_t w = done;
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
