/* Checks every algorithm of csrc/conv.c in every pass that it can do, whichever would be chosen for the shape, against sums over taps.
 * SOURCE is the instruction set's file, which this one compiles to get at them: -DSOURCE='"isa_neon.c"'. */
#include SOURCE

#include "check.h"

enum { WINOGRAD = 2, ALGORITHMS = 8, CHOSEN = ALGORITHMS };
static const char *const ALGORITHM[] = {"products", "plain", "winograd", "depthwise", "lanes", "direct", "batch", "pointwise", "conv"};
static const char *const PASS[] = {"forward", "input gradient", "weight gradient"};
_Static_assert(sizeof conv_algorithms_f32 / sizeof conv_algorithms_f32[0] == ALGORITHMS, "an algorithm without a name");

/* n, c, o, groups, in, kernel, stride, dilation, pad; more: outputs behind those that fit, as padding="same" has them */
typedef struct conv_case {
    size_t n, c, o, groups, in[3], kernel[3], stride[3], dilation[3], pad[3], more;
} conv_case;
#define ONES {1, 1, 1}

static const conv_case CASES[] = {
    {2, 5, 7, 1, {1, 13, 11}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {1, 3, 4, 1, {1, 4, 4}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {1, 17, 33, 1, {1, 9, 18}, {1, 3, 3}, ONES, ONES, {0, 2, 0}, 0},
    {2, 34, 20, 2, {1, 8, 7}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {5, 24, 40, 1, {1, 17, 18}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {1, 64, 65, 1, {1, 6, 6}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {1, 5, 6, 1, {1, 3, 150}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {2, 4, 9, 1, {1, 15, 14}, {1, 3, 3}, {1, 2, 2}, ONES, {0, 1, 1}, 0},
    {1, 6, 5, 1, {1, 12, 13}, {1, 4, 4}, {1, 2, 2}, ONES, {0, 1, 1}, 0},
    {1, 7, 18, 1, {1, 17, 9}, {1, 5, 6}, {1, 2, 2}, ONES, {0, 2, 2}, 0},
    {2, 6, 3, 1, {1, 10, 12}, {1, 2, 2}, ONES, ONES, {0, 0, 0}, 1},
    {1, 4, 5, 1, {3, 7, 9}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {2, 3, 32, 1, {1, 28, 28}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {2, 1, 7, 1, {1, 28, 28}, {1, 5, 5}, ONES, ONES, {0, 0, 0}, 0},
    {1, 3, 10, 1, {1, 40, 41}, {1, 7, 7}, {1, 2, 2}, ONES, {0, 3, 3}, 0},
    {2, 4, 13, 1, {1, 7, 7}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {2, 6, 15, 3, {1, 11, 13}, {1, 3, 3}, {1, 2, 2}, {1, 1, 2}, {0, 1, 1}, 0},
    {1, 2, 6, 1, {1, 3, 2}, {1, 3, 3}, {1, 3, 4}, ONES, {0, 9, 9}, 0},
    {2, 3, 9, 1, {1, 1, 37}, {1, 1, 6}, {1, 1, 2}, ONES, {0, 0, 5}, 0},
    {1, 2, 9, 1, {1, 12, 33}, {1, 2, 3}, {1, 4, 4}, {1, 5, 5}, {0, 4, 4}, 0},
    {2, 6, 10, 2, {5, 6, 7}, {3, 2, 3}, {2, 1, 2}, {1, 2, 1}, {1, 1, 1}, 0},
    {1, 40, 19, 1, {4, 9, 5}, {2, 3, 3}, ONES, ONES, {1, 1, 1}, 0},
    {2, 70, 34, 1, {1, 1, 90}, {1, 1, 5}, ONES, {1, 1, 3}, {0, 0, 6}, 0},
    {1, 3, 5, 1, {1, 12, 60}, {1, 11, 13}, {1, 1, 2}, ONES, {0, 5, 6}, 0},
    {2, 130, 70, 1, {1, 9, 10}, {1, 2, 3}, {1, 1, 2}, ONES, {0, 1, 1}, 0},
    {1, 3, 2, 1, {1, 4, 5}, {1, 3, 2}, ONES, {1, 9, 11}, {0, 18, 11}, 0},
    {2, 3, 3, 3, {1, 28, 28}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {2, 3, 6, 3, {1, 14, 14}, {1, 5, 5}, ONES, ONES, {0, 2, 2}, 0},
    {1, 2, 2, 2, {1, 17, 33}, {1, 7, 7}, ONES, ONES, {0, 3, 3}, 0},
    {1, 3, 3, 3, {1, 29, 31}, {1, 3, 3}, {1, 2, 2}, ONES, {0, 1, 1}, 0},
    {1, 2, 2, 2, {1, 21, 19}, {1, 4, 2}, {1, 3, 4}, ONES, {0, 2, 1}, 0},
    {1, 2, 2, 2, {1, 20, 23}, {1, 3, 5}, ONES, {1, 3, 2}, {0, 1, 4}, 0},
    {1, 1, 2, 1, {1, 150, 131}, {1, 5, 5}, {1, 2, 2}, ONES, {0, 2, 2}, 0},
    {1, 2, 4, 2, {6, 7, 18}, {2, 3, 3}, {2, 2, 2}, ONES, {1, 1, 1}, 0},
    {3, 16, 16, 16, {1, 7, 7}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {2, 35, 35, 35, {1, 7, 7}, {1, 5, 5}, ONES, ONES, {0, 2, 2}, 0},
    {2, 19, 38, 19, {1, 8, 6}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {1, 13, 26, 13, {1, 7, 5}, {1, 4, 3}, {1, 3, 3}, ONES, {0, 4, 4}, 0},
    {1, 17, 17, 17, {1, 10, 6}, {1, 7, 7}, ONES, ONES, {0, 3, 3}, 0},
    {1, 12, 12, 12, {1, 2, 2}, {1, 2, 2}, {1, 4, 4}, ONES, {0, 5, 5}, 0},
    {2, 18, 18, 18, {1, 3, 1}, {1, 3, 1}, ONES, ONES, {0, 1, 0}, 0},
    {60, 32, 32, 32, {1, 14, 14}, {1, 3, 3}, ONES, ONES, {0, 1, 1}, 0},
    {16, 6, 16, 1, {1, 14, 14}, {1, 5, 5}, ONES, ONES, {0, 0, 0}, 0},
    {19, 3, 9, 1, {1, 9, 7}, {1, 3, 3}, {1, 2, 2}, ONES, {0, 1, 1}, 0},
    {17, 4, 2, 1, {1, 8, 13}, {1, 3, 4}, {1, 1, 3}, {1, 2, 1}, {0, 2, 3}, 0},
    {20, 6, 4, 2, {1, 7, 7}, {1, 4, 4}, {1, 2, 2}, ONES, {0, 1, 1}, 0},
    {16, 3, 5, 1, {4, 5, 6}, {2, 3, 2}, {1, 2, 1}, ONES, {1, 1, 1}, 0},
    {33, 1, 11, 1, {1, 5, 5}, {1, 5, 5}, ONES, ONES, {0, 0, 0}, 0},
    {3, 9, 21, 1, {1, 8, 8}, ONES, ONES, ONES, {0, 0, 0}, 0},
    {5, 40, 33, 1, {1, 7, 7}, ONES, ONES, ONES, {0, 0, 0}, 0},
    {3, 300, 15, 1, {1, 5, 5}, ONES, ONES, ONES, {0, 0, 0}, 0},
    {4, 16, 24, 2, {1, 9, 10}, ONES, {1, 2, 2}, ONES, {0, 0, 0}, 0},
    {5, 6, 14, 1, {4, 5, 7}, ONES, {2, 1, 3}, ONES, {0, 0, 0}, 0},
    {6, 12, 9, 3, ONES, ONES, ONES, ONES, {0, 0, 0}, 0},
    {1, 1, 1, 1, {1, 6, 6}, ONES, ONES, ONES, {0, 0, 0}, 0},
    {1, 330, 400, 1, {1, 2, 3}, ONES, ONES, ONES, {0, 0, 0}, 0},
    {8, 48, 64, 1, {1, 12, 12}, ONES, ONES, ONES, {0, 0, 0}, 0},
};

/* The tensors of a case, and what sums make of them: values and the sizes of their terms */
typedef struct conv_data {
    pd_window w;
    int dtype;
    size_t x_size, w_size, y_size;
    void *x, *weight, *dy, *bias[2];
    double *want[3], *scale[3]; /* by pass */
} conv_data;

static void *twice(size_t count) { return calloc(count + 1, sizeof(double)); }

static pd_window conv_window(const conv_case *s) {
    pd_window w = {.n = s->n, .c = s->c, .o = s->o, .groups = s->groups};
    for (size_t d = 0; d < 3; d++) {
        w.in[d] = s->in[d], w.kernel[d] = s->kernel[d], w.stride[d] = s->stride[d], w.dilation[d] = s->dilation[d], w.pad[d] = s->pad[d];
        w.out[d] = (w.in[d] + 2 * w.pad[d] - w.dilation[d] * (w.kernel[d] - 1) - 1) / w.stride[d] + 1 + (d > 0 ? s->more : 0);
    }
    return w;
}

/* The element under tap t of place i, or -1 */
static ptrdiff_t under(const pd_window *w, size_t i, size_t t) {
    size_t at = 0, step = 1;
    for (size_t d = 3; d-- > 0; i /= w->out[d], t /= w->kernel[d]) {
        const size_t padded = i % w->out[d] * w->stride[d] + t % w->kernel[d] * w->dilation[d];
        if (padded < w->pad[d] || padded - w->pad[d] >= w->in[d]) return -1;
        at += (padded - w->pad[d]) * step;
        step *= w->in[d];
    }
    return (ptrdiff_t)at;
}

static void multiply(const conv_data *s, int pass, size_t to, double a, double b) {
    s->want[pass][to] += a * b, s->scale[pass][to] += fabs(a * b);
}

/* All three maps at once */
static void conv_reference(const conv_data *s) {
    const pd_window *w = &s->w;
    const size_t in = volume(w->in), out = volume(w->out), taps = volume(w->kernel), c = w->c / w->groups, o = w->o / w->groups;
    for (size_t i = 0; i < out; i++)
        for (size_t t = 0; t < taps; t++) {
            const ptrdiff_t at = under(w, i, t);
            if (at < 0) continue;
            for (size_t n = 0; n < w->n; n++)
                for (size_t f = 0; f < w->o; f++)
                    for (size_t k = 0; k < c; k++) {
                        const size_t x = (n * w->c + f / o * c + k) * in + (size_t)at, y = (n * w->o + f) * out + i;
                        const size_t v = (f * c + k) * taps + t;
                        const double xs = get(s->x, s->dtype, x), vs = get(s->weight, s->dtype, v), ys = get(s->dy, s->dtype, y);
                        multiply(s, CONV_FWD, y, xs, vs);
                        multiply(s, CONV_INPUT_GRAD, x, ys, vs);
                        multiply(s, CONV_WEIGHT_GRAD, v, xs, ys);
                    }
        }
}

static double activated(pd_activation activation, double x) {
    switch (activation) {
    case PD_RELU: return x > 0 ? x : 0;
    case PD_SIGMOID: return 1 / (1 + exp(-x));
    case PD_TANH: return tanh(x);
    case PD_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case PD_SILU: return x / (1 + exp(-x));
    default: return x;
    }
}

/* One launch's output. Winograd's error is that of the largest output (README). */
static void conv_compare(const conv_data *s, size_t algorithm, int pass, const pd_launch *L, const void *got) {
    const size_t sizes[] = {s->y_size, s->x_size, s->w_size}, plane = volume(pass == CONV_FWD ? s->w.out : s->w.in);
    const size_t channels = pass == CONV_FWD ? s->w.o : s->w.c;
    const int wino = !L->window.exact && (algorithm == WINOGRAD || algorithm == CHOSEN);
    double largest = 0;
    char what[80];
    snprintf(what, sizeof what, "%s %s%s", ALGORITHM[algorithm], PASS[pass], L->window.packed ? ", packed" : "");
    for (size_t i = 0; i < sizes[pass] && wino; i++) largest = fmax(largest, s->scale[pass][i]);
    for (size_t i = 0; i < sizes[pass]; i++) {
        const double bias = L->buf[2] ? get(L->buf[2], s->dtype, i / plane % channels) : 0, sum = s->want[pass][i] + bias;
        const double want = activated(L->window.activation, sum), size = (wino ? largest : s->scale[pass][i]) + fabs(bias);
        expect(what, s->dtype, sizes[pass], i, get(got, s->dtype, i), want, size + fabs(want), (wino ? 24 : 16) + sqrt(size));
    }
}

#define FIELD(dtype, i, field) (dtype == PD_F32 ? conv_algorithms_f32[i].field : conv_algorithms_f64[i].field)
static const int KERNELS[] = {PD_conv_fwd, PD_conv_input_grad, PD_conv_weight_grad};

static void conv_launch(const conv_data *s, size_t algorithm, enum conv_pass pass, pd_launch *L) {
    const size_t sizes[] = {s->y_size, s->x_size, s->w_size};
    void *to = guarded(sizes[pass] * width(s->dtype), 0);
    L->buf[3] = to;
    if (algorithm == CHOSEN) launch(KERNELS[pass], s->dtype, L);
    else {
        const size_t bytes = FIELD(s->dtype, algorithm, room)(L, pass);
        L->workspace = bytes ? guarded(bytes, 0) : NULL;
        FIELD(s->dtype, algorithm, run)(L, pass);
        release(ALGORITHM[algorithm], L->workspace);
    }
    conv_compare(s, algorithm, (int)pass, L, to);
    release(ALGORITHM[algorithm], to);
}

/* The same with weights that were packed before */
static void conv_packed(const conv_data *s, size_t algorithm, enum conv_pass pass, pd_launch L) {
    size_t bytes = 0;
    pd_launch pack = {.window = s->w, .buf = {s->weight}, .scalar = {pass == CONV_INPUT_GRAD}};
    if (algorithm == CHOSEN) bytes = TABLE.sizer[PD_conv_pack][s->dtype](&pack);
    else if (FIELD(s->dtype, algorithm, packed)) bytes = FIELD(s->dtype, algorithm, packed)(&s->w, pass);
    if (bytes == 0) return;
    pack.buf[1] = guarded(bytes, 0);
    if (algorithm == CHOSEN) TABLE.kernel[PD_conv_pack][s->dtype](&pack);
    else FIELD(s->dtype, algorithm, pack)(&pack, pass);
    L.buf[1] = pack.buf[1], L.window.packed = 1;
    conv_launch(s, algorithm, pass, &L);
    release("packed weights", pack.buf[1]);
}

/* One algorithm, all passes. What comes after the sums takes turns. */
static void conv_algorithm(const conv_data *s, size_t algorithm, size_t turn, size_t (*runs)[3]) {
    for (enum conv_pass pass = CONV_FWD; pass <= CONV_WEIGHT_GRAD; pass++) {
        pd_launch L = {.window = s->w};
        L.window.exact = algorithm == CHOSEN && turn % 2;
        if (algorithm < ALGORITHMS && FIELD(s->dtype, algorithm, cost)(&s->w, pass) == HUGE_VAL) continue;
        runs[algorithm][pass]++;
        if (pass == CONV_FWD) L.buf[0] = s->x, L.buf[1] = s->weight, L.window.activation = (pd_activation)(turn % PD_RELU_BWD);
        if (pass == CONV_INPUT_GRAD) L.buf[0] = s->dy, L.buf[1] = s->weight;
        if (pass == CONV_WEIGHT_GRAD) L.buf[0] = s->dy, L.buf[1] = s->x;
        if (pass != CONV_WEIGHT_GRAD && turn % 3) L.buf[2] = s->bias[pass];
        conv_launch(s, algorithm, pass, &L);
        if (pass != CONV_WEIGHT_GRAD && !L.window.exact) conv_packed(s, algorithm, pass, L);
    }
}

static void conv_case_of(const conv_case *of, int dtype, size_t turn, size_t (*runs)[3]) {
    conv_data s = {.w = conv_window(of), .dtype = dtype};
    s.x_size = of->n * of->c * volume(s.w.in), s.y_size = of->n * of->o * volume(s.w.out);
    s.w_size = of->o * (of->c / of->groups) * volume(of->kernel);
    s.x = numbers(dtype, s.x_size, -1, 1), s.weight = numbers(dtype, s.w_size, -1, 1), s.dy = numbers(dtype, s.y_size, -1, 1);
    s.bias[0] = numbers(dtype, of->o, -1, 1), s.bias[1] = numbers(dtype, of->c, -1, 1);
    const size_t sizes[] = {s.y_size, s.x_size, s.w_size};
    for (size_t p = 0; p < 3; p++) s.want[p] = twice(sizes[p]), s.scale[p] = twice(sizes[p]);
    conv_reference(&s);
    for (size_t a = 0; a <= CHOSEN; a++) conv_algorithm(&s, a, turn + a, runs);
    for (size_t p = 0; p < 3; p++) free(s.want[p]), free(s.scale[p]);
    RELEASE("an input", s.x, s.weight, s.dy, s.bias[0], s.bias[1]);
}

void check_convolutions(void) {
    for (int dtype = PD_F32; dtype <= PD_F64; dtype++) {
        size_t runs[ALGORITHMS + 1][3] = {{0}};
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) conv_case_of(&CASES[i], dtype, i, runs);
        for (size_t a = 0; a < ALGORITHMS; a++)
            for (size_t p = 0; p < 3; p++)
                if (runs[a][p] < 5) expect("too few cases of an algorithm", dtype, a, p, (double)runs[a][p], 5, 1, 0);
    }
}
