/* Checks the kernels of one instruction set against plain loops and libm, over sizes around the vector width, contiguous,
 * strided and unaligned. For targets that have no Python here: built for aarch64 and run under qemu by .ci/neon.
 * check_conv.c, check_pool.c, check_image.c and check_box.c do the rest. */
#include "check.h"

static const size_t SIZES[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 130, 1003, 20001};
enum { N_SIZES = sizeof SIZES / sizeof SIZES[0] };

static uint64_t state = 1;
static size_t checks, failures;

double uniform(double low, double high) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(state >> 11) / 9007199254740992.0;
}

/* In front of the first edge stand the bytes and where the memory begins. */
enum { EDGE = 64 };
void *guarded(size_t bytes, size_t offset) {
    const size_t all = 3 * EDGE + offset + bytes;
    char *base = aligned_alloc(64, (all + 63) / 64 * 64), *p = base + 2 * EDGE + offset;
    memset(base, 0xff, all);
    memcpy(p - EDGE - 16, &bytes, 8);
    memcpy(p - EDGE - 8, &base, 8);
    return p;
}

void release(const char *what, void *p) {
    size_t bytes, bad = 0;
    char *base;
    if (!p) return;
    memcpy(&bytes, (char *)p - EDGE - 16, 8);
    memcpy(&base, (char *)p - EDGE - 8, 8);
    for (size_t i = 0; i < EDGE; i++) bad += ((uint8_t *)p - EDGE)[i] != 0xff || ((uint8_t *)p + bytes)[i] != 0xff;
    checks++;
    if (bad && failures++ < 40) printf("FAIL %s: wrote around its %zu bytes\n", what, bytes);
    free(base);
}

static void *at(void *p, int dtype, size_t offset) { return (char *)p + offset * width(dtype); }

/* The distance in ulp of the type at `scale`. */
static double ulps(int dtype, double got, double want, double scale) {
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf(want) || isinf(got)) return got == want ? 0 : INFINITY;
    int exponent;
    frexp(fmax(fabs(scale), dtype == PD_F32 ? 1.1754944e-38 : 2.2250738585072014e-308), &exponent);
    return fabs(got - want) / ldexp(1.0, exponent - (dtype == PD_F32 ? 24 : 53));
}

void expect(const char *what, int dtype, size_t n, size_t i, double got, double want, double scale, double most) {
    checks++;
    const double error = ulps(dtype, got, want, scale);
    if (error <= most) return;
    if (failures++ < 40)
        printf("FAIL %s %s n=%zu [%zu]: got %.17g, want %.17g (%.1f ulp)\n", what, dtype == PD_F32 ? "f32" : "f64", n, i, got, want, error);
}

void launch(int id, int dtype, pd_launch *L) {
    const pd_sizer sizer = TABLE.sizer[id][dtype];
    const size_t bytes = sizer ? sizer(L) : 0;
    L->run = TABLE.kernel[id][dtype];
    L->workspace = bytes ? guarded(bytes, 0) : NULL;
    L->run(L);
    release("a workspace", L->workspace);
}

void *numbers(int dtype, size_t count, double low, double high) {
    static size_t turn;
    void *p = guarded(count * width(dtype), turn++ % 2 * width(dtype));
    for (size_t i = 0; i < count; i++) set(p, dtype, i, uniform(low, high));
    return p;
}

/* Elementwise kernels of one or two inputs; every stride in 1, 2 and 3, every buffer off the vector's alignment too. */
static void check_map(const char *name, int id, int inputs, double (*f1)(double), double (*f2)(double, double), double low,
                      double high, double most) {
    for (int dtype = PD_F32; dtype <= PD_F64; dtype++)
        for (size_t s = 0; s < N_SIZES; s++)
            for (size_t stride = 1; stride <= 3; stride++) {
                const size_t n = SIZES[s], offset = stride % 2;
                if (TABLE.kernel[id][dtype] == NULL) return;
                void *a = numbers(dtype, n * stride + 1, low, high), *b = numbers(dtype, n * stride + 1, low, high);
                void *y = numbers(dtype, n * stride + 1, 0, 1);
                pd_launch L;
                memset(&L, 0, sizeof L);
                L.buf[0] = at(a, dtype, offset);
                L.buf[1] = at(inputs == 2 ? b : y, dtype, offset);
                L.buf[2] = inputs == 2 ? at(y, dtype, offset) : NULL;
                L.map.ndim = 1;
                L.map.shape[0] = n;
                for (int o = 0; o <= inputs; o++) L.map.stride[o][0] = (ptrdiff_t)stride;
                if (n) launch(id, dtype, &L);
                for (size_t i = 0; i < n; i++) {
                    const double x = get(L.buf[0], dtype, i * stride), z = inputs == 2 ? get(L.buf[1], dtype, i * stride) : 0;
                    const double want = inputs == 2 ? f2(x, z) : f1(x);
                    expect(name, dtype, n, i, get(L.buf[inputs], dtype, i * stride), want, want, most + (dtype == PD_F64 ? 2 : 0));
                }
                RELEASE(name, a, b, y);
            }
}

/* Matrix products in all four transpositions, with bias. */
static void check_gemm(void) {
    static const size_t shapes[][3] = {{1, 1, 1}, {1, 17, 33}, {33, 1, 17}, {7, 9, 5}, {8, 12, 16}, {9, 13, 300}, {31, 33, 65},
                                       {64, 64, 64}, {65, 10, 128}, {100, 130, 517}, {3, 5, 0}, {250, 200, 300}};
    for (int dtype = PD_F32; dtype <= PD_F64; dtype++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
            for (int form = 0; form < 8; form++) {
                const size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
                const int ta = form & 1, tb = form >> 1 & 1, with_bias = form >> 2;
                void *a = numbers(dtype, m * k, -1, 1), *b = numbers(dtype, k * n, -1, 1), *bias = numbers(dtype, n, -1, 1);
                void *c = numbers(dtype, m * n, -1, 1);
                pd_launch L;
                memset(&L, 0, sizeof L);
                L.buf[0] = a, L.buf[1] = b, L.buf[2] = with_bias ? bias : NULL, L.buf[3] = c;
                L.gemm.m = m, L.gemm.n = n, L.gemm.k = k;
                L.gemm.a_row = ta ? 1 : (ptrdiff_t)k, L.gemm.a_col = ta ? (ptrdiff_t)m : 1;
                L.gemm.b_row = tb ? 1 : (ptrdiff_t)n, L.gemm.b_col = tb ? (ptrdiff_t)k : 1;
                L.gemm.c_row = (ptrdiff_t)n, L.gemm.c_col = 1;
                launch(PD_gemm, dtype, &L);
                for (size_t i = 0; i < m; i++)
                    for (size_t j = 0; j < n; j++) {
                        double sum = with_bias ? get(bias, dtype, j) : 0, size = fabs(sum);
                        for (size_t p = 0; p < k; p++) {
                            const double term = get(a, dtype, (size_t)((ptrdiff_t)i * L.gemm.a_row + (ptrdiff_t)p * L.gemm.a_col)) *
                                                get(b, dtype, (size_t)((ptrdiff_t)p * L.gemm.b_row + (ptrdiff_t)j * L.gemm.b_col));
                            sum += term, size += fabs(term);
                        }
                        expect("gemm", dtype, m * n, i * n + j, get(c, dtype, i * n + j), sum, size, 16 + sqrt((double)k));
                    }
                RELEASE("gemm", a, b, bias, c);
            }
}

static double add(double a, double b) { return a + b; }
static double sub(double a, double b) { return a - b; }
static double mul(double a, double b) { return a * b; }
static double divide(double a, double b) { return a / b; }
static double maximum(double a, double b) { return a > b ? a : b; }
static double minimum(double a, double b) { return a < b ? a : b; }
static double neg(double x) { return -x; }
static double square(double x) { return x * x; }
static double reciprocal(double x) { return 1 / x; }
static double relu(double x) { return x > 0 ? x : 0; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x / sqrt(2)); }
static double silu(double x) { return x * sigmoid(x); }
static double mish(double x) { return x * tanh(log1p(exp(x))); }
static double selu(double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x)); }
static double softsign(double x) { return x / (1 + fabs(x)); }
static double hardswish(double x) { return x * fmin(fmax(x + 3, 0), 6) / 6; }
static double prelu(double x, double slope) { return x > 0 ? x : slope * x; }
static double glu(double x, double y) { return x * sigmoid(y); }
static double logaddexp(double x, double y) { return fmax(x, y) + log1p(exp(-fabs(x - y))); }

int main(void) {
#define MAP1(name, f, low, high, most) check_map(#name, PD_##name, 1, f, NULL, low, high, most)
#define MAP2(name, f, low, high, most) check_map(#name, PD_##name, 2, NULL, f, low, high, most)
    MAP2(add, add, -3, 3, 0.5);
    MAP2(sub, sub, -3, 3, 0.5);
    MAP2(mul, mul, -3, 3, 0.5);
    MAP2(div, divide, 0.5, 3, 0.5);
    MAP2(maximum, maximum, -3, 3, 0);
    MAP2(minimum, minimum, -3, 3, 0);
    MAP2(pow, pow, 0.2, 3, 4);
    MAP2(atan2, atan2, -3, 3, 4);
    MAP1(neg, neg, -3, 3, 0);
    MAP1(abs, fabs, -3, 3, 0);
    MAP1(exp, exp, -80, 80, 2);
    MAP1(exp2, exp2, -100, 100, 2);
    MAP1(expm1, expm1, -5, 5, 4);
    MAP1(log, log, 1e-6, 50, 2);
    MAP1(log2, log2, 1e-6, 50, 4);
    MAP1(log10, log10, 1e-6, 50, 4);
    MAP1(log1p, log1p, -0.9, 50, 4);
    MAP1(sqrt, sqrt, 0, 50, 0.5);
    MAP1(reciprocal, reciprocal, 0.1, 5, 0.5);
    MAP1(square, square, -5, 5, 0.5);
    MAP1(sin, sin, -20, 20, 4);
    MAP1(cos, cos, -20, 20, 4);
    MAP1(tan, tan, -1.4, 1.4, 5);
    MAP1(asin, asin, -1, 1, 5);
    MAP1(acos, acos, -1, 1, 5);
    MAP1(atan, atan, -5, 5, 5);
    MAP1(sinh, sinh, -5, 5, 5);
    MAP1(cosh, cosh, -5, 5, 5);
    MAP1(tanh_fwd, tanh, -5, 5, 2);
    MAP1(erf, erf, -4, 4, 4);
    MAP1(erfc, erfc, -4, 4, 8);
    MAP1(floor, floor, -5, 5, 0);
    MAP1(ceil, ceil, -5, 5, 0);
    MAP1(round, rint, -5, 5, 0);
    MAP1(trunc, trunc, -5, 5, 0);
    MAP1(relu_fwd, relu, -5, 5, 0);
    MAP1(sigmoid_fwd, sigmoid, -20, 20, 3);
    MAP1(silu_fwd, silu, -20, 20, 4);
    MAP1(mish_fwd, mish, -10, 20, 4);
    MAP1(selu_fwd, selu, -10, 10, 3);
    MAP1(softsign_fwd, softsign, -10, 10, 2);
    MAP1(hardswish_fwd, hardswish, 0, 5, 3);
    MAP2(prelu_fwd, prelu, -3, 3, 0.5);
    MAP2(glu_fwd, glu, -10, 10, 4);
    MAP2(logaddexp, logaddexp, 0, 10, 3);
    MAP1(gelu_fwd, gelu, -1, 4, 7); /* below -1 the error is stated relative to x: tests/test_ulp.py */
    check_gemm();
    check_convolutions();
    check_pools();
    check_images();
    check_boxes();
    printf("%s: %zu checks, %zu failures\n", TABLE.name, checks, failures);
    return failures != 0;
}
