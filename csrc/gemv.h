/* One row of C: x (k) times B (k, n), where B is dense along n or along k. Bound by the memory that holds B, so B is
 * read once, in the order it lies. The sums are those of gemm_ukr.h, bit for bit. */
#ifndef PD_GEMV_ONCE
#define PD_GEMV_ONCE
enum {
    GEMV_COLS = 512,           /* columns of C in a chunk */
    GEMV_VECS = 8,             /* vectors of columns summed side by side where B is dense along k, */
    GEMV_STEPS = 32,           /* and steps of k turned at a time */
    GEMV_THREAD_WORK = 1 << 19 /* multiply-adds below which one thread does it */
};
#endif

/* acc (cols) += the products of `rows` rows of B, one after the other; overwritten where fresh. */
INLINE void N(gemv_sweep)(const size_t rows, const int fresh, real *acc, const real *b, ptrdiff_t ldb, const real *x,
                          ptrdiff_t x_step, size_t cols) {
    vreal scale[4];
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

/* total = [total +] sums of one block of k; acc and total hold whole vectors */
static void N(gemv_add)(real *total, const real *acc, size_t cols, int add) {
    for (size_t j = 0; j < cols; j += VL)
        v_store(total + j, add ? v_load(total + j) + v_load(acc + j) : v_load(acc + j));
}

static void N(gemv_along_n)(const real *x, ptrdiff_t x_step, const real *b, ptrdiff_t ldb, size_t k, size_t kc,
                            size_t cols, int add, real *total) {
    _Alignas(64) real acc[GEMV_COLS];
    for (size_t pc = 0; pc < k; pc += kc, add = 1) {
        const size_t end = min_size(pc + kc, k);
        size_t p = pc;
        for (; p + 4 <= end; p += 4, b += 4 * ldb, x += 4 * x_step) {
            if (p == pc) N(gemv_sweep)(4, 1, acc, b, ldb, x, x_step, cols);
            else N(gemv_sweep)(4, 0, acc, b, ldb, x, x_step, cols);
        }
        for (; p < end; p++, b += ldb, x += x_step) {
            if (p == pc) N(gemv_sweep)(1, 1, acc, b, ldb, x, x_step, cols);
            else N(gemv_sweep)(1, 0, acc, b, ldb, x, x_step, cols);
        }
        N(gemv_add)(total, acc, cols, add);
    }
}

/* acc (vecs vectors) += x times a block of B turned to [steps][vecs * VL] */
INLINE void N(gemv_steps)(const size_t vecs, real *acc, const real *turned, const real *x, ptrdiff_t x_step,
                          size_t steps) {
    vreal sum[GEMV_VECS];
    UNROLL for (size_t v = 0; v < vecs; v++) sum[v] = v_load(acc + v * VL);
    for (size_t p = 0; p < steps; p++, turned += vecs * VL) {
        const vreal scale = v_set(x[(ptrdiff_t)p * x_step]);
        UNROLL for (size_t v = 0; v < vecs; v++) sum[v] = v_fma(scale, v_load(turned + v * VL), sum[v]);
    }
    UNROLL for (size_t v = 0; v < vecs; v++) v_store(acc + v * VL, sum[v]);
}

/* total (vecs vectors) = [total +] x B for `lines` <= vecs * VL columns of B, turned a few steps at a time */
INLINE void N(gemv_columns)(const size_t vecs, const real *x, ptrdiff_t x_step, const real *b, ptrdiff_t ldb, size_t k,
                            size_t kc, size_t lines, int add, real *total) {
    _Alignas(64) real turned[GEMV_STEPS * GEMV_VECS * VL], acc[GEMV_VECS * VL];
    for (size_t pc = 0; pc < k; pc += kc, add = 1) {
        const size_t end = min_size(pc + kc, k);
        memset(acc, 0, sizeof acc);
        for (size_t p = pc; p < end; p += GEMV_STEPS) {
            const size_t steps = min_size(GEMV_STEPS, end - p);
            N(pack_panel)(turned, b + p, ldb, 1, lines, steps, vecs * VL);
            N(gemv_steps)(vecs, acc, turned, x + (ptrdiff_t)p * x_step, x_step, steps);
        }
        N(gemv_add)(total, acc, vecs * VL, add);
    }
}

static void N(gemv_along_k)(const real *x, ptrdiff_t x_step, const real *b, ptrdiff_t ldb, size_t k, size_t kc,
                            size_t cols, int add, real *total) {
    size_t j = 0;
    for (; j + GEMV_VECS * VL <= cols; j += GEMV_VECS * VL)
        N(gemv_columns)(GEMV_VECS, x, x_step, b + (ptrdiff_t)j * ldb, ldb, k, kc, GEMV_VECS * VL, add, total + j);
    for (; j + 2 * VL <= cols; j += 2 * VL)
        N(gemv_columns)(2, x, x_step, b + (ptrdiff_t)j * ldb, ldb, k, kc, 2 * VL, add, total + j);
    for (; j < cols; j += VL)
        N(gemv_columns)(1, x, x_step, b + (ptrdiff_t)j * ldb, ldb, k, kc, min_size(VL, cols - j), add, total + j);
}

/* A single sum of two dense vectors: a lane is a block of k. */
static real N(gemv_dot)(const real *x, const real *b, size_t k, size_t kc, int add, real total) {
    const size_t blocks = k / kc;
    for (size_t first = 0; first < blocks; first += VL) {
        const size_t count = min_size(VL, blocks - first);
        vreal t[VL], u[VL], acc = {0};
        size_t p = 0;
        for (; p + VL <= kc; p += VL) {
            N(turn)(t, b + first * kc + p, (ptrdiff_t)kc, count);
            N(turn)(u, x + first * kc + p, (ptrdiff_t)kc, count);
            UNROLL for (size_t r = 0; r < VL; r++) acc = v_fma(u[r], t[r], acc);
        }
        for (size_t l = 0; l < count; l++, add = 1) {
            vreal sum = v_set(acc[l]);
            for (size_t q = p; q < kc; q++)
                sum = v_fma(v_set(x[(first + l) * kc + q]), v_set(b[(first + l) * kc + q]), sum);
            total = add ? total + sum[0] : sum[0];
        }
    }
    if (blocks * kc == k) return total;
    vreal sum = {0};
    for (size_t p = blocks * kc; p < k; p++) sum = v_fma(v_set(x[p]), v_set(b[p]), sum);
    return add ? total + sum[0] : sum[0];
}
