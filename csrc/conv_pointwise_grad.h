/* The gradient of the weight of a convolution with one element: the sum over images of dy (o, elements) times x' (elements, c). Images
 * that are strided or have few elements are copied, several side by side. Where the weight is small, parts of the images are summed
 * apart, as many whatever the number of threads, and their sums are added in order. */
typedef struct N(pointwise_grad) {
    const pd_launch *L;
    const pd_window *w;
    size_t in, out, together, blocks, parts; /* elements of an image; images of a block; blocks; sums */
    int copied, rows;                        /* rows: images of one element lie as a matrix should */
    size_t c, o;                             /* channels of a group */
    size_t weight, copies, product, slot;    /* elements: of the weight; of copied images; of a product's room; of all of a part's room */
    real *rooms;
} N(pointwise_grad);

/* The product of `count` images, of x and y as they lie or copied, one channel's elements one behind the other */
static pd_launch N(pointwise_grad_of)(const N(pointwise_grad) *p, const real *x, const real *y, real *to, size_t count, int accumulate) {
    const pd_window *w = p->w;
    const ptrdiff_t elements = (ptrdiff_t)(p->rows || p->copied ? count * p->out : p->out), c = (ptrdiff_t)p->c, o = (ptrdiff_t)p->o;
    const ptrdiff_t x_at = p->rows ? (ptrdiff_t)w->c : 1, y_at = p->rows ? (ptrdiff_t)w->o : 1, channel = p->rows ? 1 : elements;
    pd_launch L = {.buf = {(void *)y, (void *)x, NULL, to}};
    L.gemm = (pd_gemm){.m = p->o, .n = p->c, .k = (size_t)elements, .a_row = channel, .a_col = y_at, .b_row = x_at, .b_col = channel,
                       .c_row = c, .c_col = 1, .batch_ndim = w->groups > 1, .batch = {w->groups}, .a_batch = {o * channel},
                       .b_batch = {c * channel}, .c_batch = {o * c}, .accumulate = accumulate};
    return L;
}

static int N(pointwise_grad_plan)(N(pointwise_grad) *p, const pd_launch *L) {
    const pd_window *w = &L->window;
    if (volume(w->kernel) != 1 || w->pad[0] + w->pad[1] + w->pad[2] > 0) return 0;
    *p = (N(pointwise_grad)){.L = L, .w = w, .in = volume(w->in), .out = volume(w->out), .c = w->c / w->groups, .o = w->o / w->groups};
    if (w->n * p->out == 0) return 0;
    p->rows = p->in == 1;
    p->copied = !p->rows && (p->in != p->out || p->out < POINTWISE_FEW / 4);
    p->together = p->rows ? w->n : p->copied ? min_size(w->n, ceil_div(POINTWISE_FEW, p->out)) : 1;
    p->blocks = ceil_div(w->n, p->together);
    p->weight = w->o * p->c;
    p->parts = min_size(min_size(p->blocks, POINTWISE_CHUNKS), POINTWISE_SUMS / (p->weight * sizeof(real)));
    if (p->parts < 4 || (double)w->n * (double)p->out * (double)p->weight < CONV_THREAD_WORK) p->parts = 1;
    p->copies = p->copied ? p->together * p->out * (w->c + w->o) : 0;
    for (size_t i = 0; i < 2; i++) { /* whole blocks, and what is left for the last one */
        const size_t count = i ? (w->n - 1) % p->together + 1 : p->together;
        const pd_launch product = N(pointwise_grad_of)(p, NULL, NULL, NULL, count, 1), first = N(pointwise_grad_of)(p, NULL, NULL, NULL, count, 0);
        const size_t bytes = max_size(N(gemm_workspace)(&product), N(gemm_workspace)(&first));
        p->product = max_size(p->product, bytes / sizeof(real));
    }
    p->slot = ceil_div(p->copies + (p->parts > 1 ? p->weight : 0), 16) * 16 + ceil_div(p->product, 16) * 16;
    return 1;
}

/* Images side by side: channel q of image i, every stride-th element, to to[(q * count + i) * out] */
static void N(pointwise_copy)(const pd_window *w, real *to, const real *from, size_t channels, const size_t *size, const size_t *step,
                              size_t count) {
    const size_t in = volume(size);
    for (size_t q = 0; q < channels; q++)
        for (size_t i = 0; i < count; i++) {
            const real *plane = from + (i * channels + q) * in;
            for (size_t a = 0; a < w->out[0]; a++)
                for (size_t b = 0; b < w->out[1]; b++, to += w->out[2]) {
                    const real *x = plane + (a * step[0] * size[1] + b * step[1]) * size[2];
                    for (size_t j = 0; j < w->out[2]; j++) to[j] = x[j * step[2]];
                }
        }
}

static void N(pointwise_grad_part)(void *context, size_t part) {
    static const size_t dense[PD_SPACE] = {1, 1, 1};
    const N(pointwise_grad) *p = context;
    const pd_window *w = p->w;
    real *room = p->rooms + part * p->slot, *copies = room + ceil_div(p->product, 16) * 16;
    real *to = p->parts > 1 ? copies + p->copies : p->L->buf[3];
    const size_t b0 = part * p->blocks / p->parts, b1 = (part + 1) * p->blocks / p->parts;
    for (size_t b = b0; b < b1; b++) {
        const size_t n = b * p->together, count = min_size(p->together, w->n - n);
        const real *x = (const real *)p->L->buf[1] + n * w->c * p->in, *y = (const real *)p->L->buf[0] + n * w->o * p->out;
        if (p->copied) {
            real *const x_copy = copies, *const y_copy = copies + p->together * p->out * w->c;
            N(pointwise_copy)(w, x_copy, x, w->c, w->in, w->stride, count);
            N(pointwise_copy)(w, y_copy, y, w->o, w->out, dense, count);
            x = x_copy, y = y_copy;
        }
        pd_launch L = N(pointwise_grad_of)(p, x, y, to, count, b > b0);
        L.workspace = room;
        N(gemm)(&L);
    }
}

static void N(pointwise_grad_all)(const pd_launch *L) {
    N(pointwise_grad) p;
    if (!N(pointwise_grad_plan)(&p, L)) return;
    p.rooms = L->workspace;
    pd_parallel(p.parts, N(pointwise_grad_part), &p);
    if (p.parts == 1) return;
    real *to = L->buf[3];
    const real *sums = p.rooms + ceil_div(p.product, 16) * 16 + p.copies;
    for (size_t i = 0; i < p.weight; i++) {
        real sum = sums[i];
        for (size_t part = 1; part < p.parts; part++) sum += sums[part * p.slot + i];
        to[i] = sum;
    }
}

/* ---- The algorithm. ---- */

static double N(conv_pointwise_cost)(const pd_window *w, enum conv_pass pass) {
    const pd_launch L = {.window = *w};
    const double columns = (double)w->n * (double)volume(w->out), c = (double)(w->c / w->groups), o = (double)(w->o / w->groups);
    N(pointwise) p;
    N(pointwise_grad) grad;
    if (pass == CONV_WEIGHT_GRAD ? !N(pointwise_grad_plan)(&grad, &L) : !N(pointwise_plan)(&p, &L, pass)) return HUGE_VAL;
    const double each = c * o + 2 * (c + o);
    return (double)w->groups * columns * (pass == CONV_WEIGHT_GRAD ? max_real(each, 550) : each); /* a tile of the product takes 550 */
}

static size_t N(conv_pointwise_room)(const pd_launch *L, enum conv_pass pass) {
    N(pointwise_grad) grad;
    if (pass != CONV_WEIGHT_GRAD) return N(pointwise_product_room)(L, pass) * sizeof(real);
    return N(pointwise_grad_plan)(&grad, L) ? grad.parts * grad.slot * sizeof(real) : 0;
}

static void N(conv_pointwise)(const pd_launch *L, enum conv_pass pass) {
    if (pass == CONV_WEIGHT_GRAD) N(pointwise_grad_all)(L);
    else N(pointwise_product)(L, pass);
}
