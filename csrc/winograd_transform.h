/* Winograd's transforms at the points 0, +-3/4, +-3/2 and infinity, which in float32 lose less than the usual 0, +-1, +-2 and infinity:
 * the powers stay nearer to 1. A lane is a channel; a tile's transform is that of its
 * columns, then of its rows. With A, B, G as in Lavin & Gray 2016:
 *
 *   wino_input    6 x 6 elements d        B' d B    of a tile
 *   wino_output   6 x 6 sums m            A' m A    4 x 4 results
 *   wino_weight   3 x 3 taps g            G g G'
 *   wino_spread   4 x 4 gradients y       A y A'    the derivatives of the last three in the other direction
 *   wino_gather   6 x 6 sums u            G' u G    3 x 3 gradients of taps
 */
#ifndef PD_WINO_TRANSFORM_ONCE
#define PD_WINO_TRANSFORM_ONCE
enum { WINO_POINTS = 6, WINO_PLANES = 36, WINO_TILE = 4, WINO_TAPS = 3 };
#define WINO_NONE SIZE_MAX
/* Does a tile of so many results need point i? */
INLINE int wino_point(size_t i, const size_t results) { return i <= results || i == WINO_POINTS - 1; }
INLINE int wino_whole(const size_t *size) { return size[0] == WINO_TILE && size[1] == WINO_TILE; }
#define WA 0.75
#define WA2 (WA * WA)
#define WA3 (WA2 * WA)
#define WB 1.5
#define WB2 (WB * WB)
#define WB3 (WB2 * WB)
#define WN0 (1 / (WA2 * WB2))                 /* over the product of the differences to the other points */
#define WNA (1 / (2 * WA2 * (WA2 - WB2)))
#define WNB (1 / (2 * WB2 * (WB2 - WA2)))
#endif

#define K(x) v_set((real)(x))

/* Of one row or column, `step` vectors apart in both. The last tile of an axis may hold 2 or 3 results instead of 4, for which the points
 * 0, +-3/4 and infinity, or these and 3/2, are enough; the weights' transform stays as it is, so the others' factors stand here. */
INLINE void N(wino_input_line)(const vreal *d, vreal *to, const size_t step, const size_t results) {
    const vreal d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (results == 2) {
        const vreal p = d2 * K(WA2 - WB2), q = d1 * K(WA * (WA2 - WB2));
        to[0] = v_fma(d0, K(WA2 * WB2), d2 * K(-WB2));
        to[step] = p + q;
        to[2 * step] = p - q;
        to[5 * step] = v_fma(d1, K(-WA2), d3);
        return;
    }
    const vreal d4 = d[4 * step];
    if (results == 3) {
        const vreal p = v_fma(d1, K(-WA2), d3);
        to[0] = v_fma(p, K(WB), v_fma(d0, K(WA2 * WB2), d2 * K(-WB2)));
        to[step] = v_fma(d1, K(-WA * WB * (WA + WB)), v_fma(d2, K((WA - WB) * (WA + WB)), d3 * K(WA + WB)));
        to[2 * step] = v_fma(d1, K(WA * WB * (WB - WA)), v_fma(d2, K((WA - WB) * (WA + WB)), d3 * K(WB - WA)));
        to[3 * step] = p * K(2 * WB);
        to[5 * step] = v_fma(p, K(-WB), v_fma(d2, K(-WA2), d4));
        return;
    }
    const vreal d5 = d[5 * step];
    const vreal p = v_fma(d2, K(-WB2), d4), q = v_fma(d1, K(-WB2), d3);
    const vreal r = v_fma(d2, K(-WA2), d4), s = v_fma(d1, K(-WA2), d3);
    to[0] = v_fma(d0, K(WA2 * WB2), v_fma(d2, K(-WA2 - WB2), d4));
    to[step] = v_fma(q, K(WA), p);
    to[2 * step] = v_fma(q, K(-WA), p);
    to[3 * step] = v_fma(s, K(WB), r);
    to[4 * step] = v_fma(s, K(-WB), r);
    to[5 * step] = v_fma(d1, K(WA2 * WB2), v_fma(d3, K(-WA2 - WB2), d5));
}

INLINE void N(wino_output_line)(const vreal *m, vreal *to, const size_t results) {
    const vreal p = m[1] + m[2], q = m[1] - m[2];
    if (results == 2) {
        to[0] = m[0] + p;
        to[1] = v_fma(q, K(WA), m[5]);
        return;
    }
    if (results == 3) {
        to[0] = m[0] + p + m[3];
        to[1] = v_fma(q, K(WA), m[3] * K(WB));
        to[2] = v_fma(p, K(WA2), v_fma(m[3], K(WB2), m[5]));
        return;
    }
    const vreal r = m[3] + m[4], s = m[3] - m[4];
    to[0] = m[0] + p + r;
    to[1] = v_fma(s, K(WB), q * K(WA));
    to[2] = v_fma(r, K(WB2), p * K(WA2));
    to[3] = v_fma(s, K(WB3), v_fma(q, K(WA3), m[5]));
}

INLINE void N(wino_weight_line)(const vreal *g, vreal *to) {
    const vreal g0 = g[0], g1 = g[1], g2 = g[2];
    const vreal p = v_fma(g2, K(WA2 * WNA), g0 * K(WNA)), q = g1 * K(WA * WNA);
    const vreal r = v_fma(g2, K(WB2 * WNB), g0 * K(WNB)), s = g1 * K(WB * WNB);
    to[0] = g0 * K(WN0);
    to[1] = p + q;
    to[2] = p - q;
    to[3] = r + s;
    to[4] = r - s;
    to[5] = g2;
}

INLINE void N(wino_spread_line)(const vreal *y, vreal *to, const size_t results) {
    const vreal y0 = y[0], y1 = y[1], y2 = y[2], y3 = y[3];
    const vreal p = v_fma(y2, K(WA2), y0), q = v_fma(y3, K(WA3), y1 * K(WA));
    to[0] = y0;
    to[1] = p + q;
    to[2] = p - q;
    to[5] = results == 2 ? y1 : results == 3 ? y2 : y3;
    if (results == 2) return;
    const vreal r = v_fma(y2, K(WB2), y0), s = v_fma(y3, K(WB3), y1 * K(WB));
    to[3] = r + s;
    to[4] = r - s;
}

INLINE void N(wino_gather_line)(const vreal *u, vreal *to) {
    const vreal p = u[1] + u[2], q = u[1] - u[2];
    const vreal r = u[3] + u[4], s = u[3] - u[4];
    to[0] = v_fma(u[0], K(WN0), v_fma(p, K(WNA), r * K(WNB)));
    to[1] = v_fma(q, K(WA * WNA), s * K(WB * WNB));
    to[2] = v_fma(p, K(WA2 * WNA), v_fma(r, K(WB2 * WNB), u[5]));
}

/* Columns, then rows, of a tile of size[0] x size[1] results: all unrolled for 4 x 4, else a pass for each number of results. */
#define WINO_PASS(pass, results, ...)                                                                        \
    switch (results) {                                                                                       \
    case 2: N(pass)(2, __VA_ARGS__); break;                                                                  \
    case 3: N(pass)(3, __VA_ARGS__); break;                                                                  \
    default: N(pass)(4, __VA_ARGS__);                                                                        \
    }

INLINE void N(wino_input_columns)(const size_t results, const real *from, size_t row, size_t column, vreal *d) {
    UNROLL for (size_t j = 0; j < WINO_POINTS; j++) {
        UNROLL for (size_t i = 0; i < results + 2; i++) d[i * WINO_POINTS + j] = v_load(from + i * row + j * column);
        N(wino_input_line)(d + j, d + j, WINO_POINTS, results);
    }
}
INLINE void N(wino_input_row)(const size_t results, const vreal *d, real *to, const size_t *place) {
    vreal line[WINO_POINTS];
    N(wino_input_line)(d, line, 1, results);
    UNROLL for (size_t j = 0; j < WINO_POINTS; j++)
        if (wino_point(j, results) && place[j] != WINO_NONE) v_store(to + place[j], line[j]);
}
INLINE void N(wino_input_rows)(const size_t results, const vreal *d, size_t rows, real *to, const size_t *place) {
    for (size_t i = 0; i < WINO_POINTS; i++)
        if (wino_point(i, rows)) N(wino_input_row)(results, d + i * WINO_POINTS, to, place + i * WINO_POINTS);
}

/* Element (i, j) is the vector at from + i * row + j * column; plane p goes to to + place[p], and nowhere for WINO_NONE. */
static void N(wino_input)(const real *from, size_t row, size_t column, const size_t *size, real *to, const size_t *place) {
    vreal d[WINO_PLANES];
    if (wino_whole(size)) {
        N(wino_input_columns)(WINO_TILE, from, row, column, d);
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++) N(wino_input_row)(WINO_TILE, d + i * WINO_POINTS, to, place + i * WINO_POINTS);
        return;
    }
    WINO_PASS(wino_input_columns, size[0], from, row, column, d)
    WINO_PASS(wino_input_rows, size[1], d, size[0], to, place)
}

INLINE void N(wino_spread_columns)(const size_t results, const real *from, size_t row, vreal *y) {
    UNROLL for (size_t j = 0; j < WINO_TILE; j++) {
        vreal column[WINO_TILE], line[WINO_POINTS];
        UNROLL for (size_t i = 0; i < WINO_TILE; i++) column[i] = v_load(from + i * row + j * VL);
        N(wino_spread_line)(column, line, results);
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++)
            if (wino_point(i, results)) y[i * WINO_TILE + j] = line[i];
    }
}
INLINE void N(wino_spread_row)(const size_t results, const vreal *y, real *to, size_t plane) {
    vreal line[WINO_POINTS];
    N(wino_spread_line)(y, line, results);
    UNROLL for (size_t j = 0; j < WINO_POINTS; j++)
        if (wino_point(j, results)) v_store(to + j * plane, line[j]);
}
INLINE void N(wino_spread_rows)(const size_t results, const vreal *y, size_t rows, real *to, size_t plane) {
    for (size_t i = 0; i < WINO_POINTS; i++)
        if (wino_point(i, rows)) N(wino_spread_row)(results, y + i * WINO_TILE, to + i * WINO_POINTS * plane, plane);
}

/* The vectors of a tile's row follow each other; plane p goes to to + p * plane. */
static void N(wino_spread)(const real *from, size_t row, const size_t *size, real *to, size_t plane) {
    vreal y[WINO_POINTS * WINO_TILE];
    if (wino_whole(size)) {
        N(wino_spread_columns)(WINO_TILE, from, row, y);
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++)
            N(wino_spread_row)(WINO_TILE, y + i * WINO_TILE, to + i * WINO_POINTS * plane, plane);
        return;
    }
    WINO_PASS(wino_spread_columns, size[0], from, row, y)
    WINO_PASS(wino_spread_rows, size[1], y, size[0], to, plane)
}

INLINE void N(wino_output_column)(const size_t results, const real *from, size_t plane, vreal *t) {
    vreal m[WINO_POINTS] = {{0}}, line[WINO_TILE];
    UNROLL for (size_t i = 0; i < WINO_POINTS; i++)
        if (wino_point(i, results)) m[i] = v_load(from + i * WINO_POINTS * plane);
    N(wino_output_line)(m, line, results);
    UNROLL for (size_t i = 0; i < results; i++) t[i * WINO_POINTS] = line[i];
}
INLINE void N(wino_output_columns)(const size_t results, const real *from, size_t plane, size_t columns, vreal *t) {
    for (size_t j = 0; j < WINO_POINTS; j++)
        if (wino_point(j, columns)) N(wino_output_column)(results, from + j * plane, plane, t + j);
}
INLINE void N(wino_output_row)(const size_t results, const vreal *t, vreal bias, real *to, size_t column) {
    vreal line[WINO_TILE];
    N(wino_output_line)(t, line, results);
    UNROLL for (size_t j = 0; j < results; j++) v_store(to + j * column, line[j] + bias);
}
INLINE void N(wino_output_rows)(const size_t results, const vreal *t, size_t rows, vreal bias, real *to, size_t row, size_t column) {
    for (size_t i = 0; i < rows; i++) N(wino_output_row)(results, t + i * WINO_POINTS, bias, to + i * row, column);
}

/* Plane p of the sums is at from + p * plane; result (i, j), plus the bias, goes to to + i * row + j * column. */
static void N(wino_output)(const real *from, size_t plane, const size_t *size, vreal bias, real *to, size_t row, size_t column) {
    vreal t[WINO_TILE * WINO_POINTS];
    if (wino_whole(size)) {
        UNROLL for (size_t j = 0; j < WINO_POINTS; j++) N(wino_output_column)(WINO_TILE, from + j * plane, plane, t + j);
        UNROLL for (size_t i = 0; i < WINO_TILE; i++) N(wino_output_row)(WINO_TILE, t + i * WINO_POINTS, bias, to + i * row, column);
        return;
    }
    WINO_PASS(wino_output_columns, size[0], from, plane, size[1], t)
    WINO_PASS(wino_output_rows, size[1], t, size[0], bias, to, row, column)
}

/* Taps are vectors at tap[0..8], zero where NULL; plane p goes to to + p * plane. */
static void N(wino_weight)(const real *const *tap, real *to, size_t plane) {
    vreal u[WINO_POINTS * WINO_TAPS], g[WINO_TAPS], line[WINO_POINTS];
    UNROLL for (size_t j = 0; j < WINO_TAPS; j++) {
        UNROLL for (size_t i = 0; i < WINO_TAPS; i++) g[i] = tap[i * WINO_TAPS + j] ? v_load(tap[i * WINO_TAPS + j]) : (vreal){0};
        N(wino_weight_line)(g, line);
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++) u[i * WINO_TAPS + j] = line[i];
    }
    UNROLL for (size_t i = 0; i < WINO_POINTS; i++) {
        N(wino_weight_line)(u + i * WINO_TAPS, line);
        UNROLL for (size_t j = 0; j < WINO_POINTS; j++) v_store(to + (i * WINO_POINTS + j) * plane, line[j]);
    }
}

/* The planes' sums at sums[0..35], zero where NULL; tap j goes to tap[j]. */
static void N(wino_gather)(const real *const *sums, real *const *tap) {
    vreal t[WINO_TAPS * WINO_POINTS], u[WINO_POINTS], line[WINO_TAPS];
    UNROLL for (size_t j = 0; j < WINO_POINTS; j++) {
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++) u[i] = sums[i * WINO_POINTS + j] ? v_load(sums[i * WINO_POINTS + j]) : (vreal){0};
        N(wino_gather_line)(u, line);
        UNROLL for (size_t i = 0; i < WINO_TAPS; i++) t[i * WINO_POINTS + j] = line[i];
    }
    UNROLL for (size_t i = 0; i < WINO_TAPS; i++) {
        N(wino_gather_line)(t + i * WINO_POINTS, line);
        UNROLL for (size_t j = 0; j < WINO_TAPS; j++) v_store(tap[i * WINO_TAPS + j], line[j]);
    }
}
#undef K
