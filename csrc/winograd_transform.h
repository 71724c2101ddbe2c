/* Winograd's transforms at the points 0, +-3/4, +-3/2 and infinity, which in float32 lose less than the usual 0, +-1, +-2 and infinity: two
 * thirds of their numbers are exact, and their powers stay nearer to 1. A lane is a channel; a tile's transform is that of its
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

/* Of one row or column, `step` vectors apart in both */
INLINE void N(wino_input_line)(const vreal *d, vreal *to, const size_t step) {
    const vreal d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vreal p = v_fma(d2, K(-WB2), d4), q = v_fma(d1, K(-WB2), d3);
    const vreal r = v_fma(d2, K(-WA2), d4), s = v_fma(d1, K(-WA2), d3);
    to[0] = v_fma(d0, K(WA2 * WB2), v_fma(d2, K(-WA2 - WB2), d4));
    to[step] = v_fma(q, K(WA), p);
    to[2 * step] = v_fma(q, K(-WA), p);
    to[3 * step] = v_fma(s, K(WB), r);
    to[4 * step] = v_fma(s, K(-WB), r);
    to[5 * step] = v_fma(d1, K(WA2 * WB2), v_fma(d3, K(-WA2 - WB2), d5));
}

INLINE void N(wino_output_line)(const vreal *m, vreal *to) {
    const vreal p = m[1] + m[2], q = m[1] - m[2];
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

INLINE void N(wino_spread_line)(const vreal *y, vreal *to) {
    const vreal y0 = y[0], y1 = y[1], y2 = y[2], y3 = y[3];
    const vreal p = v_fma(y2, K(WA2), y0), q = v_fma(y3, K(WA3), y1 * K(WA));
    const vreal r = v_fma(y2, K(WB2), y0), s = v_fma(y3, K(WB3), y1 * K(WB));
    to[0] = y0;
    to[1] = p + q;
    to[2] = p - q;
    to[3] = r + s;
    to[4] = r - s;
    to[5] = y3;
}

INLINE void N(wino_gather_line)(const vreal *u, vreal *to) {
    const vreal p = u[1] + u[2], q = u[1] - u[2];
    const vreal r = u[3] + u[4], s = u[3] - u[4];
    to[0] = v_fma(u[0], K(WN0), v_fma(p, K(WNA), r * K(WNB)));
    to[1] = v_fma(q, K(WA * WNA), s * K(WB * WNB));
    to[2] = v_fma(p, K(WA2 * WNA), v_fma(r, K(WB2 * WNB), u[5]));
}

/* Plane p of a transform, stored at to + place[p]: nowhere for WINO_NONE */
INLINE void N(wino_store)(real *to, size_t place, vreal x) {
    if (place != WINO_NONE) v_store(to + place, x);
}

/* Element (i, j) is the vector at from + i * row + j * column. */
static void N(wino_input)(const real *from, size_t row, size_t column, real *to, const size_t *place) {
    vreal d[WINO_PLANES], line[WINO_POINTS];
    UNROLL for (size_t j = 0; j < WINO_POINTS; j++) {
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++) d[i * WINO_POINTS + j] = v_load(from + i * row + j * column);
        N(wino_input_line)(d + j, d + j, WINO_POINTS);
    }
    UNROLL for (size_t i = 0; i < WINO_POINTS; i++) {
        N(wino_input_line)(d + i * WINO_POINTS, line, 1);
        UNROLL for (size_t j = 0; j < WINO_POINTS; j++) N(wino_store)(to, place[i * WINO_POINTS + j], line[j]);
    }
}

static void N(wino_spread)(const real *from, size_t row, real *to, size_t plane) {
    vreal y[WINO_POINTS * WINO_TILE], column[WINO_TILE], line[WINO_POINTS];
    UNROLL for (size_t j = 0; j < WINO_TILE; j++) {
        UNROLL for (size_t i = 0; i < WINO_TILE; i++) column[i] = v_load(from + i * row + j * VL);
        N(wino_spread_line)(column, line);
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++) y[i * WINO_TILE + j] = line[i];
    }
    UNROLL for (size_t i = 0; i < WINO_POINTS; i++) {
        N(wino_spread_line)(y + i * WINO_TILE, line);
        UNROLL for (size_t j = 0; j < WINO_POINTS; j++) v_store(to + (i * WINO_POINTS + j) * plane, line[j]);
    }
}

/* Plane p of the sums is at from + p * plane; result (i, j), plus the bias, goes to to + i * row + j * column. */
static void N(wino_output)(const real *from, size_t plane, vreal bias, real *to, size_t row, size_t column) {
    vreal t[WINO_TILE * WINO_POINTS], m[WINO_POINTS], line[WINO_TILE];
    UNROLL for (size_t j = 0; j < WINO_POINTS; j++) {
        UNROLL for (size_t i = 0; i < WINO_POINTS; i++) m[i] = v_load(from + (i * WINO_POINTS + j) * plane);
        N(wino_output_line)(m, line);
        UNROLL for (size_t i = 0; i < WINO_TILE; i++) t[i * WINO_POINTS + j] = line[i];
    }
    UNROLL for (size_t i = 0; i < WINO_TILE; i++) {
        N(wino_output_line)(t + i * WINO_POINTS, line);
        UNROLL for (size_t j = 0; j < WINO_TILE; j++) v_store(to + i * row + j * column, line[j] + bias);
    }
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
