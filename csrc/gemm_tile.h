/* One tile of C: operands, edges, what follows the sum. */
static void N(gemm_activate)(pd_activation activation, real *x, size_t n) {
#define ACTIVATE(function)                                                                                   \
    for (size_t i = 0; i < n; i += VL) v_store(x + i, N(function)(v_load(x + i), NULL));                     \
    break
    switch (activation) {
    case PD_RELU: ACTIVATE(relu_fwd_at);
    case PD_SIGMOID: ACTIVATE(sigmoid_fwd_at);
    case PD_TANH: ACTIVATE(tanh_fwd_at);
    case PD_GELU: ACTIVATE(gelu_fwd_at);
    case PD_SILU: ACTIVATE(silu_fwd_at);
    default: break;
    }
#undef ACTIVATE
}

static void N(tile_load)(const N(gemm_op) *op, real *tile, size_t ld, const real *c, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; r++)
        for (size_t s = 0; s < ld; s++)
            tile[r * ld + s] = s >= cols ? 0 : c[(ptrdiff_t)r * op->c_row + (ptrdiff_t)s * op->c_col];
}

static void N(tile_store)(const N(gemm_op) *op, const real *tile, size_t ld, real *c, size_t rows, size_t cols) {
    if (op->c_col == 1) {
        for (size_t r = 0; r < rows; r++) {
            real *to = c + (ptrdiff_t)r * op->c_row;
            size_t s = 0;
            for (; s + VL <= cols; s += VL) v_store(to + s, v_load(tile + r * ld + s));
            if (s < cols) v_store_part(to + s, v_load(tile + r * ld + s), cols - s);
        }
        return;
    }
    if (op->c_row == 1 && rows > 1 && rows <= VL) {
        for (size_t s = 0; s < cols; s += VL) {
            vreal column[VL];
            N(turn)(column, tile + s, (ptrdiff_t)ld, rows);
            for (size_t i = 0; i < min_size(VL, cols - s); i++) v_store_left(c + (ptrdiff_t)(s + i) * op->c_col, column[i], rows);
        }
        return;
    }
    for (size_t s = 0; s < cols; s++)
        for (size_t r = 0; r < rows; r++) c[(ptrdiff_t)r * op->c_row + (ptrdiff_t)s * op->c_col] = tile[r * ld + s];
}

/* Bias and activation on a tile in memory. */
static void N(tile_finish)(const N(gemm_op) *op, real *tile, size_t ld, size_t i, size_t j, size_t rows, size_t cols) {
    if (op->bias && op->swapped)
        for (size_t r = 0; r < rows; r++)
            for (size_t s = 0; s < ld; s++) tile[r * ld + s] += op->bias[i + r];
    else if (op->bias)
        for (size_t r = 0; r < rows; r++)
            for (size_t s = 0; s < cols; s++) tile[r * ld + s] += op->bias[j + s];
    if (op->gate)
        for (size_t r = 0; r < rows; r++)
            for (size_t s = 0; s < cols; s++)
                if (op->gate[(ptrdiff_t)(i + r) * op->c_row + (ptrdiff_t)(j + s) * op->c_col] <= 0) tile[r * ld + s] = 0;
    if (op->g->activation != PD_NO_ACTIVATION) N(gemm_activate)(op->g->activation, tile, rows * ld);
}

/* Tiles of `rows` x `cols` one below the other from C (i, j) on; t holds the operands. Whole vectors of a row-major C
 * are written from the registers, whatever else by way of a tile in memory. */
static void N(gemm_tiles)(const N(gemm_op) *op, N(tile_function) run, N(tile) *t, size_t count, size_t i, size_t j,
                          size_t rows, size_t cols) {
    _Alignas(64) real out[TILE_ROOM];
    real *c = op->c + (ptrdiff_t)i * op->c_row + (ptrdiff_t)j * op->c_col;
    const size_t width = ceil_div(cols, VL) * VL;
    const pd_activation activation = op->finish ? op->g->activation : PD_NO_ACTIVATION;
    const int simple = activation == PD_NO_ACTIVATION || activation == PD_RELU || activation == PD_RELU_BWD;
    const int direct = op->c_col == 1 && cols == width && simple && !(op->finish && op->bias && op->swapped);
    t->to = direct ? c : out;
    t->to_ld = direct ? op->c_row : (ptrdiff_t)width;
    t->from = op->add ? t->to : NULL;
    t->from_ld = t->to_ld;
    t->bias = direct && op->finish && op->bias ? op->bias + j : NULL;
    t->relu = direct && activation == PD_RELU;
    t->gate = direct && activation == PD_RELU_BWD ? op->gate + (ptrdiff_t)i * op->c_row + (ptrdiff_t)j * op->c_col : NULL;
    if (direct) {
        t->count = count;
        run(rows, t);
        return;
    }
    t->count = 1;
    for (; count > 0; count--, t->a += t->a_step, i += rows, c += op->c_row * (ptrdiff_t)rows) {
        if (op->add) N(tile_load)(op, out, width, c, rows, cols);
        run(rows, t);
        if (op->finish) N(tile_finish)(op, out, width, i, j, rows, cols);
        N(tile_store)(op, out, width, c, rows, cols);
    }
}

