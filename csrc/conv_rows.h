/* Sums over the taps of padded planes, CONV_ROWS rows at a time, so that a row which is read serves all the taps of a column; and the
 * other way round the sums over rows that are the gradient of each tap. The elements are numbers of one plane, or with `lanes` vectors
 * of one number from each of VL planes; then the weights are vectors, too. */

typedef struct N(rows_job) {
    const real *from, *w; /* w: one weight for each tap */
    const size_t *off;
    size_t taps, row, ld; /* row: from row to row in the buffer, ld: in `to` */
    real *to, bias;
    size_t rows, width;
    size_t step;          /* in `to`, from vector to vector of a row: VL, or with lanes some more */
    int over, relu;       /* over: rows may be written up to the end of their last vector */
    const real *lane_bias;
} N(rows_job);

/* CONV_ROWS rows, one vector wide; of the taps, kh at a time lie one below the other. */
INLINE void N(rows_tile)(const size_t kh, const int lanes, const N(rows_job) *job, const real *from, const size_t row, real *to, const size_t ld, size_t rows) {
    const size_t *off = job->off, *end = off + job->taps;
    const real *w = job->w;
    vreal acc[CONV_ROWS];
    UNROLL for (size_t i = 0; i < CONV_ROWS; i++) acc[i] = lanes ? v_load(job->lane_bias) : v_set(job->bias);
    for (; off < end; off += kh, w += lanes ? kh * VL : kh) {
        const real *x = from + *off;
        vreal k[7];
        UNROLL for (size_t u = 0; u < kh; u++) k[u] = lanes ? v_load(w + u * VL) : v_set(w[u]);
        UNROLL for (size_t r = 0; r < CONV_ROWS + kh - 1; r++, x += row) {
            vreal v = v_load(x);
            V_HOLD(v);
            UNROLL for (size_t u = 0; u < kh; u++)
                if (r >= u && r - u < CONV_ROWS) acc[r - u] = v_fma(k[u], v, acc[r - u]);
        }
    }
    if (job->relu)
        UNROLL for (size_t i = 0; i < CONV_ROWS; i++) acc[i] = N(relu_fwd_at)(acc[i], NULL);
    UNROLL for (size_t i = 0; i < CONV_ROWS; i++, to += ld)
        if (i < rows) v_store(to, acc[i]);
}

/* All rows; the last vector of a row and the last rows overlap those before them, unless `over`. */
INLINE void N(rows_all)(const size_t kh, const int lanes, const N(rows_job) *job) {
    const size_t rows = min_size(CONV_ROWS, job->rows), last = job->rows - rows, row = job->row, ld = job->ld;
    const size_t edge = job->over ? job->width : job->width - VL;
    for (size_t i = 0; i < job->rows; i += CONV_ROWS) {
        const size_t first = min_size(i, last);
        const real *from = job->from + first * row;
        real *to = job->to + first * ld;
        for (size_t j = 0; j < job->width; j += VL) {
            const size_t at = lanes ? j : min_size(j, edge);
            N(rows_tile)(kh, lanes, job, from + at, row, lanes ? to + j / VL * job->step : to + at, ld, rows);
        }
    }
}

#define ROWS_FUNCTION(kh)                                                                                    \
    static void N(rows_##kh)(const N(rows_job) * job) { N(rows_all)(kh, 0, job); }                           \
    static void N(rows_lanes_##kh)(const N(rows_job) * job) { N(rows_all)(kh, 1, job); }
ROWS_FUNCTION(1)
ROWS_FUNCTION(3)
ROWS_FUNCTION(5)
ROWS_FUNCTION(7)
#undef ROWS_FUNCTION

static void N(rows_sum)(size_t column, int lanes, const N(rows_job) *job) {
    if (column == 3) (lanes ? N(rows_lanes_3) : N(rows_3))(job);
    else if (column == 5) (lanes ? N(rows_lanes_5) : N(rows_5))(job);
    else if (column == 7) (lanes ? N(rows_lanes_7) : N(rows_7))(job);
    else (lanes ? N(rows_lanes_1) : N(rows_1))(job);
}

/* The gradient of the weights: for each tap, the products of the target's rows with the buffer, lane by lane, are added to acc[t]. `from`
 * is the buffer, `to` the target's rows with zeros behind each and behind the last. */
INLINE void N(rows_products)(const size_t kh, const size_t columns, const N(rows_job) *job, size_t t, real *sums) {
    vreal acc[10];
    const size_t n = kh * columns, row = job->row, ld = job->ld, *off = job->off + t;
    UNROLL for (size_t i = 0; i < n; i++) acc[i] = v_load(sums + (t + i) * VL);
    for (size_t i = 0; i < job->rows; i += CONV_ROWS)
        for (size_t j = 0; j < job->width; j += VL) {
            const real *y = job->to + i * ld + j, *from = job->from + i * row + j;
            vreal dy[CONV_ROWS];
            UNROLL for (size_t r = 0; r < CONV_ROWS; r++, y += ld) dy[r] = v_load(y);
            UNROLL for (size_t c = 0; c < columns; c++) {
                const real *x = from + off[c * kh];
                UNROLL for (size_t r = 0; r < CONV_ROWS + kh - 1; r++, x += row) {
                    vreal v = v_load(x);
                    V_HOLD(v);
                    UNROLL for (size_t u = 0; u < kh; u++)
                        if (r >= u && r - u < CONV_ROWS) acc[c * kh + u] = v_fma(dy[r - u], v, acc[c * kh + u]);
                }
            }
        }
    UNROLL for (size_t i = 0; i < n; i++) v_store(sums + (t + i) * VL, acc[i]);
}

INLINE void N(products_all)(const size_t kh, const N(rows_job) *job, real *sums) {
    const size_t several = kh == 1 ? 8 : kh == 3 ? 3 : kh == 5 ? 2 : 1;
    size_t t = 0;
    for (; t + several * kh <= job->taps; t += several * kh) {
        if (kh == 1) N(rows_products)(1, 8, job, t, sums);
        else if (kh == 3) N(rows_products)(3, 3, job, t, sums);
        else if (kh == 5) N(rows_products)(5, 2, job, t, sums);
        else N(rows_products)(7, 1, job, t, sums);
    }
    for (; t < job->taps; t += kh) {
        if (kh == 1) N(rows_products)(1, 1, job, t, sums);
        else if (kh == 3) N(rows_products)(3, 1, job, t, sums);
        else N(rows_products)(5, 1, job, t, sums);
    }
}

static void N(rows_multiply)(size_t column, const N(rows_job) *job, real *sums) {
    if (column == 3) N(products_all)(3, job, sums);
    else if (column == 5) N(products_all)(5, job, sums);
    else if (column == 7) N(products_all)(7, job, sums);
    else N(products_all)(1, job, sums);
}
