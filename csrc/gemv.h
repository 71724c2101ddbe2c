/* One row of C: x (k) times B (k, n). Bound by the memory that holds B, so B is read once, in the order it lies.
 *
 * Every sum has GEMV_LANES lanes, one chain each: lane l adds the products of the steps p with p % GEMV_LANES == l, first
 * to last; the lanes are then added by halves. A dot product along dense columns of B has that order by nature; where B
 * is dense along n the lanes are rows of sums. So the bits are the same for every layout. */
#ifndef PD_GEMV_ONCE
#define PD_GEMV_ONCE
#define GEMV_LANES (2 * VL)
enum {
    GEMV_COLS = 1024,          /* columns of C in a chunk */
    GEMV_SWEEP = 8,            /* rows of B added to a row of sums at once */
    GEMV_THREAD_WORK = 1 << 17 /* multiply-adds below which one thread does it */
};
#endif

typedef struct N(gemv) {
    const real *x, *b;
    ptrdiff_t x_step, b_row, b_col;
    size_t k, cols;
    real *y;
} N(gemv);

/* acc (cols) += the products of `rows` rows of B, one after the other; overwritten where fresh. */
INLINE void N(gemv_sweep)(const size_t rows, const int fresh, real *acc, const real *b, ptrdiff_t ldb, const real *x,
                          ptrdiff_t x_step, size_t cols) {
    vreal scale[GEMV_SWEEP];
    size_t j = 0;
    UNROLL for (size_t r = 0; r < rows; r++) scale[r] = v_set(x[(ptrdiff_t)r * x_step]);
    for (; j + VL <= cols; j += VL) {
        vreal sum = fresh ? (vreal){0} : v_load(acc + j);
        UNROLL for (size_t r = 0; r < rows; r++) sum = v_fma(scale[r], v_load(b + (ptrdiff_t)r * ldb + j), sum);
        v_store(acc + j, sum);
    }
    if (j == cols) return;
    vreal sum = fresh ? (vreal){0} : v_load(acc + j);
    UNROLL for (size_t r = 0; r < rows; r++)
        sum = v_fma(scale[r], v_load_part(b + (ptrdiff_t)r * ldb + j, cols - j), sum);
    v_store(acc + j, sum);
}

/* y = x B where B's rows are dense */
static void N(gemv_rows)(const N(gemv) *v) {
    _Alignas(64) real acc[GEMV_LANES * GEMV_COLS];
    const size_t width = ceil_div(v->cols, VL) * VL;
    const ptrdiff_t ldb = v->b_row, step = v->x_step;
    size_t p = 0;
    if (v->k < GEMV_LANES) memset(acc, 0, GEMV_LANES * width * sizeof(real));
    for (; p + GEMV_SWEEP * GEMV_LANES <= v->k; p += GEMV_SWEEP * GEMV_LANES)
        for (size_t l = 0; l < GEMV_LANES; l++) {
            const real *b = v->b + (ptrdiff_t)(p + l) * ldb, *x = v->x + (ptrdiff_t)(p + l) * step;
            real *to = acc + l * width;
            if (p == 0) N(gemv_sweep)(GEMV_SWEEP, 1, to, b, ldb * GEMV_LANES, x, step * GEMV_LANES, v->cols);
            else N(gemv_sweep)(GEMV_SWEEP, 0, to, b, ldb * GEMV_LANES, x, step * GEMV_LANES, v->cols);
        }
    for (; p < v->k; p++) {
        const real *b = v->b + (ptrdiff_t)p * ldb, *x = v->x + (ptrdiff_t)p * step;
        real *to = acc + p % GEMV_LANES * width;
        if (p < GEMV_LANES) N(gemv_sweep)(1, 1, to, b, ldb, x, step, v->cols);
        else N(gemv_sweep)(1, 0, to, b, ldb, x, step, v->cols);
    }
    for (size_t s = GEMV_LANES / 2; s > 0; s /= 2)
        for (size_t i = 0; i < s * width; i += VL) v_store(acc + i, v_load(acc + i) + v_load(acc + s * width + i));
    memcpy(v->y, acc, width * sizeof(real));
}

/* The same for any strides: every row of B is brought together first. */
static void N(gemv_strided)(const N(gemv) *v) {
    _Alignas(64) real acc[GEMV_LANES * GEMV_COLS], row[GEMV_COLS];
    const size_t width = ceil_div(v->cols, VL) * VL;
    memset(acc, 0, GEMV_LANES * width * sizeof(real));
    for (size_t p = 0; p < v->k; p++) {
        const real *b = v->b + (ptrdiff_t)p * v->b_row;
        for (size_t j = 0; j < v->cols; j++) row[j] = b[(ptrdiff_t)j * v->b_col];
        N(gemv_sweep)(1, 0, acc + p % GEMV_LANES * width, row, 0, v->x + (ptrdiff_t)p * v->x_step, 0, v->cols);
    }
    for (size_t s = GEMV_LANES / 2; s > 0; s /= 2)
        for (size_t i = 0; i < s * width; i += VL) v_store(acc + i, v_load(acc + i) + v_load(acc + s * width + i));
    memcpy(v->y, acc, width * sizeof(real));
}

INLINE vreal N(gemv_part)(const real *p, size_t count) { return count == VL ? v_load(p) : v_load_part(p, count); }

/* The lanes of the dot products of x with `cols` columns of B, all dense, low + high; cols is 1 or 4 */
INLINE void N(gemv_dots)(const size_t cols, const real *x, const real *b, ptrdiff_t ldb, size_t k, vreal *sum) {
    vreal low[4], high[4];
    size_t p = 0;
    UNROLL for (size_t c = 0; c < cols; c++) low[c] = high[c] = (vreal){0};
    for (; p + 2 * VL <= k; p += 2 * VL) {
        const vreal u = v_load(x + p), v = v_load(x + p + VL);
        UNROLL for (size_t c = 0; c < cols; c++) {
            low[c] = v_fma(u, v_load(b + (ptrdiff_t)c * ldb + p), low[c]);
            high[c] = v_fma(v, v_load(b + (ptrdiff_t)c * ldb + p + VL), high[c]);
        }
    }
    for (size_t part = 0; p < k; p += VL, part++) {
        const size_t count = min_size(VL, k - p);
        const vreal u = N(gemv_part)(x + p, count);
        UNROLL for (size_t c = 0; c < cols; c++) {
            const vreal w = N(gemv_part)(b + (ptrdiff_t)c * ldb + p, count);
            if (part == 0) low[c] = v_fma(u, w, low[c]);
            else high[c] = v_fma(u, w, high[c]);
        }
    }
    UNROLL for (size_t c = 0; c < cols; c++) sum[c] = low[c] + high[c];
}

/* y (VL) = the lanes of each of `count` sums, added by halves: of all sums at once, once they are turned */
INLINE void N(gemv_halves)(const vreal *sum, size_t count, real *y) {
    vreal lane[VL];
    N(turn)(lane, (const real *)sum, (ptrdiff_t)VL, count);
    UNROLL for (size_t s = VL / 2; s > 0; s /= 2)
        UNROLL for (size_t l = 0; l < s; l++) lane[l] += lane[l + s];
    v_store(y, lane[0]);
}

/* y = x B where B's columns are dense, and x too. Columns that lie a power of two apart fall on the same sets of the cache:
 * one after the other then. */
static void N(gemv_columns)(const N(gemv) *v) {
    const size_t together = (size_t)v->b_col * sizeof(real) % 2048 == 0 ? 1 : 4;
    for (size_t j = 0; j < v->cols; j += VL) {
        vreal sum[VL];
        const size_t count = min_size(VL, v->cols - j);
        const real *b = v->b + (ptrdiff_t)j * v->b_col;
        size_t c = 0;
        for (; together == 4 && c + 4 <= count; c += 4) N(gemv_dots)(4, v->x, b + (ptrdiff_t)c * v->b_col, v->b_col, v->k, sum + c);
        for (; c < count; c++) N(gemv_dots)(1, v->x, b + (ptrdiff_t)c * v->b_col, v->b_col, v->k, sum + c);
        N(gemv_halves)(sum, count, v->y + j);
    }
}
