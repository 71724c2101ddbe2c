/* Reductions of a strided (kept, reduced) tensor to (kept,): see reduce.h for the order of the additions.
 * float32, float64: results of the input's type; sum, prod of integers: int64; any, all: bool (uint8).
 * Errors: sums within (5 + log2(n) / 2) ulp of sum |x|, whatever n. NaN propagates; of max and min, too.
 * An empty sum is 0, product 1, max -inf (callers refuse it), any false, all true, mean and var NaN. */
#include "reduce.h"

#if PD_REAL
/* ---- The vector steps: what becomes of accumulator a and element x; m is the shift. ---- */
typedef vreal (*N(reduce_step))(vreal a, vreal x, vreal m);
typedef vreal (*N(reduce_merge_v))(vreal a, vreal b);
INLINE vreal N(sum_step)(vreal a, vreal x, vreal m) { (void)m; return a + x; }
INLINE vreal N(prod_step)(vreal a, vreal x, vreal m) { (void)m; return a * x; }
INLINE vreal N(amax_step)(vreal a, vreal x, vreal m) { (void)m; return v_max(a, x); }
INLINE vreal N(amin_step)(vreal a, vreal x, vreal m) { (void)m; return v_min(a, x); }
INLINE vreal N(any_step)(vreal a, vreal x, vreal m) { (void)m; return v_blend(x != 0, v_set(1), a); }
INLINE vreal N(all_step)(vreal a, vreal x, vreal m) { (void)m; return v_blend(x != 0, a, v_set(0)); }
INLINE vreal N(norm1_step)(vreal a, vreal x, vreal m) { (void)m; return a + v_abs(x); }
INLINE vreal N(norm2_step)(vreal a, vreal x, vreal m) { (void)m; return v_fma(x, x, a); }
INLINE vreal N(norm_max_step)(vreal a, vreal x, vreal m) { (void)m; return v_max(a, v_abs(x)); }
INLINE vreal N(norm_min_step)(vreal a, vreal x, vreal m) { (void)m; return v_min(a, v_abs(x)); }
INLINE vreal N(nansum_step)(vreal a, vreal x, vreal m) { (void)m; return a + v_keep(x == x, x); }
INLINE vreal N(spread_step)(vreal a, vreal x, vreal m) { return v_fma(x - m, x - m, a); }
INLINE vreal N(sum_exp_step)(vreal a, vreal x, vreal m) { return a + v_exp(x - m); }

INLINE T N(plus)(T a, T b) { return a + b; }
INLINE T N(times)(T a, T b) { return a * b; }
INLINE T N(larger)(T a, T b) { return a > b || a != a ? a : b; }
INLINE T N(reduce_root)(T a) { return sizeof(T) == 4 ? (T)sqrtf((float)a) : (T)sqrt((double)a); }
INLINE T N(smaller)(T a, T b) { return a < b || a != a ? a : b; }

INLINE vreal N(plus_v)(vreal a, vreal b) { return a + b; }
INLINE vreal N(times_v)(vreal a, vreal b) { return a * b; }
INLINE vreal N(larger_v)(vreal a, vreal b) { return v_max(a, b); }
INLINE vreal N(smaller_v)(vreal a, vreal b) { return v_min(a, b); }

/* Lanes 0 .. count - 1 */
INLINE vint N(first_lanes)(size_t count) {
    static const bits_t window[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    vint mask;
    memcpy(&mask, window + 16 - count, sizeof mask);
    return mask;
}

/* The LANES of a block merged by halves: lane l with lane l + VL/2, then with l + VL/4 ... */
#define ACROSS2(h) 0 ^ h, 1 ^ h
#define ACROSS4(h) ACROSS2(h), 2 ^ h, 3 ^ h
#define ACROSS8(h) ACROSS4(h), 4 ^ h, 5 ^ h, 6 ^ h, 7 ^ h
#define ACROSS16(h) ACROSS8(h), 8 ^ h, 9 ^ h, 10 ^ h, 11 ^ h, 12 ^ h, 13 ^ h, 14 ^ h, 15 ^ h
INLINE T N(merge_lanes)(N(reduce_merge_v) merge, vreal v) {
#if VBYTES * 8 / BITS == 16
    v = merge(v, __builtin_shufflevector(v, v, ACROSS16(8)));
    v = merge(v, __builtin_shufflevector(v, v, ACROSS16(4)));
    v = merge(v, __builtin_shufflevector(v, v, ACROSS16(2)));
    v = merge(v, __builtin_shufflevector(v, v, ACROSS16(1)));
#elif VBYTES * 8 / BITS == 8
    v = merge(v, __builtin_shufflevector(v, v, ACROSS8(4)));
    v = merge(v, __builtin_shufflevector(v, v, ACROSS8(2)));
    v = merge(v, __builtin_shufflevector(v, v, ACROSS8(1)));
#elif VBYTES * 8 / BITS == 4
    v = merge(v, __builtin_shufflevector(v, v, ACROSS4(2)));
    v = merge(v, __builtin_shufflevector(v, v, ACROSS4(1)));
#else
    v = merge(v, __builtin_shufflevector(v, v, ACROSS2(1)));
#endif
    return v[0];
}
#undef ACROSS2
#undef ACROSS4
#undef ACROSS8
#undef ACROSS16

/* a and the elements at x, of which `left` are left: VL, fewer, or none. */
INLINE vreal N(step_left)(N(reduce_step) step, vreal a, const T *x, ptrdiff_t left, vreal m) {
    if (left >= (ptrdiff_t)VL) return step(a, v_load(x), m);
    if (left <= 0) return a;
    return v_blend(N(first_lanes)((size_t)left), step(a, v_load_part(x, (size_t)left), m), a);
}

/* The n <= BLOCK elements at x */
INLINE T N(block_of)(N(reduce_step) step, N(reduce_merge_v) merge, T identity, const T *x, size_t n, vreal m) {
    vreal a0 = v_set(identity), a1 = a0, a2 = a0, a3 = a0;
    const T *const end = x + (n & ~(LANES - 1));
    for (; x < end; x += LANES) {
        a0 = step(a0, v_load(x), m);
        a1 = step(a1, v_load(x + VL), m);
        a2 = step(a2, v_load(x + 2 * VL), m);
        a3 = step(a3, v_load(x + 3 * VL), m);
    }
    const ptrdiff_t left = (ptrdiff_t)(n % LANES), v = VL;
    if (left) {
        a0 = N(step_left)(step, a0, x, left, m);
        a1 = N(step_left)(step, a1, x + v, left - v, m);
        a2 = N(step_left)(step, a2, x + 2 * v, left - 2 * v, m);
        a3 = N(step_left)(step, a3, x + 3 * v, left - 3 * v, m);
    }
    return N(merge_lanes)(merge, merge(merge(a0, a2), merge(a1, a3)));
}

INLINE void N(runs_of)(N(reduce_step) step, N(reduce_merge_v) merge, T (*merge_two)(T, T), T identity, const T *x, ptrdiff_t apart,
                       size_t rows, size_t n, const T *shift, T *out) {
    for (size_t s = 0; s < rows; s++, x += apart) {
        const vreal m = v_set(shift ? shift[s] : 0);
        T level[REDUCE_RUN + 1];
        size_t depth = 0;
        for (size_t i = 0, block = 1; i < n || block == 1; i += BLOCK, block++) {
            level[depth++] = N(block_of)(step, merge, identity, x + i, min_size(n - i, BLOCK), m);
            for (size_t carry = block; !(carry & 1); carry >>= 1, depth--) level[depth - 2] = merge_two(level[depth - 2], level[depth - 1]);
        }
        for (; depth > 1; depth--) level[depth - 2] = merge_two(level[depth - 2], level[depth - 1]);
        out[s] = level[0];
    }
}

/* Two vectors of columns at a time: while one waits for its addition, the other's goes on. */
INLINE void N(onto_of)(N(reduce_step) step, T identity, size_t w, size_t rows, T *to, const T *const *x, const T *shift, int fresh) {
    size_t c = 0;
    for (; c + 2 * VL <= w; c += 2 * VL) {
        const vreal m = shift ? v_load(shift + c) : v_set(0), n = shift ? v_load(shift + c + VL) : v_set(0);
        vreal a = fresh ? v_set(identity) : v_load(to + c), b = fresh ? a : v_load(to + c + VL);
        for (size_t r = 0; r < rows; r++) {
            a = step(a, v_load(x[r] + c), m);
            b = step(b, v_load(x[r] + c + VL), n);
        }
        v_store(to + c, a);
        v_store(to + c + VL, b);
    }
    for (; c < w; c += VL) {
        const size_t left = w - c;
        const vreal m = shift ? v_load_left(shift + c, left) : v_set(0);
        vreal a = fresh ? v_set(identity) : v_load_left(to + c, left);
        for (size_t r = 0; r < rows; r++) a = step(a, v_load_left(x[r] + c, left), m);
        v_store_left(to + c, a, left);
    }
}

/* A reducer of the step and the merge of these names; `finisher` as in reduce.h. */
#define REDUCER(name, first, merge_two, finisher)                                                            \
    static void N(name##_runs)(const T *x, ptrdiff_t apart, size_t rows, size_t n, const T *shift, T *out) { \
        N(runs_of)(N(name##_step), N(merge_two##_v), N(merge_two), first, x, apart, rows, n, shift, out);    \
    }                                                                                                        \
    static void N(name##_onto)(size_t w, size_t rows, T *to, const T *const *x, const T *shift, int fresh) { \
        N(onto_of)(N(name##_step), first, w, rows, to, x, shift, fresh);                                     \
    }                                                                                                        \
    static void N(name##_merge)(size_t w, T *to, const T *with) {                                            \
        for (size_t c = 0; c < w; c++) to[c] = N(merge_two)(to[c], with[c]);                                 \
    }                                                                                                        \
    static const reducer N(name##_reducer) = {first, N(name##_runs), N(name##_onto), N(name##_merge), finisher};

static void N(to_bool)(size_t count, const T *from, void *out, size_t at, const double *scalar) {
    (void)scalar;
    for (size_t k = 0; k < count; k++) ((uint8_t *)out)[at + k] = from[k] != 0;
}
/* Divided by scalar[0], a count */
static void N(to_mean)(size_t count, const T *from, void *out, size_t at, const double *scalar) {
    for (size_t k = 0; k < count; k++) ((T *)out)[at + k] = from[k] / (T)scalar[0];
}
static void N(to_root)(size_t count, const T *from, void *out, size_t at, const double *scalar) {
    (void)scalar;
    for (size_t k = 0; k < count; k++) ((T *)out)[at + k] = N(reduce_root)(from[k]);
}

REDUCER(sum, 0, plus, NULL)
REDUCER(prod, 1, times, NULL)
REDUCER(amax, -(T)INFINITY, larger, NULL)
REDUCER(amin, (T)INFINITY, smaller, NULL)
REDUCER(any, 0, larger, N(to_bool))
REDUCER(all, 1, smaller, N(to_bool))
REDUCER(norm1, 0, plus, NULL)
REDUCER(norm2, 0, plus, N(to_root))
REDUCER(norm_max, 0, larger, NULL)
REDUCER(norm_min, (T)INFINITY, smaller, NULL)
REDUCER(nansum, 0, plus, NULL)
REDUCER(spread, 0, plus, N(to_mean))
REDUCER(sum_exp, 0, plus, NULL)
static const reducer N(mean_reducer) = {0, N(sum_runs), N(sum_onto), N(sum_merge), N(to_mean)};

static void N(mean)(const pd_launch *l) { N(reduce_run)(l, &N(mean_reducer), NULL, l->buf[1]); }
static void N(nansum)(const pd_launch *l) { N(reduce_run)(l, &N(nansum_reducer), NULL, l->buf[1]); }
static void N(norm1)(const pd_launch *l) { N(reduce_run)(l, &N(norm1_reducer), NULL, l->buf[1]); }
static void N(norm2)(const pd_launch *l) { N(reduce_run)(l, &N(norm2_reducer), NULL, l->buf[1]); }
static void N(norm_max)(const pd_launch *l) { N(reduce_run)(l, &N(norm_max_reducer), NULL, l->buf[1]); }
static void N(norm_min)(const pd_launch *l) { N(reduce_run)(l, &N(norm_min_reducer), NULL, l->buf[1]); }

/* One number per kept element */
static size_t N(kept_bytes)(const pd_launch *launch) {
    size_t kept = 1;
    for (size_t d = 0; d < launch->reduce.kept; d++) kept *= launch->reduce.shape[d];
    return kept * sizeof(T);
}
static size_t N(var_workspace)(const pd_launch *launch) { return N(kept_bytes)(launch); }
static size_t N(logsumexp_workspace)(const pd_launch *launch) { return N(kept_bytes)(launch); }

/* sum (x - mean)^2 / scalar[1], in two passes; scalar[0] is n. Chan, Golub & LeVeque, "Algorithms for computing the
 * sample variance", 1983. The square root of it where scalar[2]. */
static void N(var)(const pd_launch *launch) {
    pd_launch second = *launch;
    T *mean = launch->workspace, *y = launch->buf[1];
    N(reduce_run)(launch, &N(mean_reducer), NULL, mean);
    second.scalar[0] = launch->scalar[1];
    N(reduce_run)(&second, &N(spread_reducer), mean, y);
    if (launch->scalar[2] == 0) return;
    const size_t kept = N(kept_bytes)(launch) / sizeof(T);
    for (size_t k = 0; k < kept; k++) y[k] = N(reduce_root)(y[k]);
}

/* max + log(sum(exp(x - max))); an infinite max is not subtracted. */
static void N(logsumexp)(const pd_launch *launch) {
    T *largest = launch->workspace, *y = launch->buf[1];
    const size_t kept = N(kept_bytes)(launch) / sizeof(T);
    N(reduce_run)(launch, &N(amax_reducer), NULL, largest);
    for (size_t k = 0; k < kept; k++)
        if (isinf(largest[k])) largest[k] = 0;
    N(reduce_run)(launch, &N(sum_exp_reducer), largest, y);
    size_t k = 0;
    for (; k + VL <= kept; k += VL) v_store(y + k, v_load(largest + k) + v_log(v_load(y + k)));
    if (k < kept)
        v_store_part(y + k, v_load_part(largest + k, kept - k) + v_log(v_load_part(y + k, kept - k)), kept - k);
}

/* The largest of a row, NaN if there is one */
static T N(row_max)(const T *x, size_t n) {
    T largest = -(T)INFINITY, here;
    for (size_t i = 0; i < n; i += RUN) {
        N(amax_runs)(x + i, 0, 1, min_size(RUN, n - i), NULL, &here);
        largest = N(larger)(largest, here);
    }
    return largest;
}

/* Both ends of lines.n > 0 contiguous elements, looked at once: x -> low (1,), high (1,). */
enum { N(ENDS_CHUNKS) = 64 };
typedef struct N(ends_job) {
    const T *x;
    size_t n, per_chunk;
    T low[N(ENDS_CHUNKS)], high[N(ENDS_CHUNKS)];
} N(ends_job);

static void N(ends_chunk)(void *context, size_t chunk) {
    N(ends_job) *job = context;
    const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->n);
    T low = job->x[first], high = low;
    for (size_t i = first; i < last; i += BLOCK) {
        T end;
        N(amin_runs)(job->x + i, 0, 1, min_size(BLOCK, last - i), NULL, &end);
        low = N(smaller)(low, end);
        N(amax_runs)(job->x + i, 0, 1, min_size(BLOCK, last - i), NULL, &end);
        high = N(larger)(high, end);
    }
    job->low[chunk] = low, job->high[chunk] = high;
}

static void N(aminmax)(const pd_launch *launch) {
    N(ends_job) job = {.x = launch->buf[0], .n = launch->lines.n};
    job.per_chunk = max_size(REDUCE_UNIT, ceil_div(job.n, N(ENDS_CHUNKS)));
    const size_t chunks = ceil_div(job.n, job.per_chunk);
    if (job.n >= REDUCE_ALONE) pd_parallel(chunks, N(ends_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(ends_chunk)(&job, chunk);
    for (size_t chunk = 1; chunk < chunks; chunk++) {
        job.low[0] = N(smaller)(job.low[0], job.low[chunk]);
        job.high[0] = N(larger)(job.high[0], job.high[chunk]);
    }
    *(T *)launch->buf[1] = job.low[0], *(T *)launch->buf[2] = job.high[0];
}

#else
/* ---- Integers: the accumulators are int64, sums and products wrap; the order does not matter. ---- */
#define INT_REDUCER(name, first, step, finisher)                                                             \
    INLINE int64_t N(name##_step)(int64_t a, int64_t x) { return (step); }                                   \
    static void N(name##_runs)(const T *x, ptrdiff_t apart, size_t rows, size_t n, const int64_t *shift, int64_t *out) { \
        (void)shift;                                                                                         \
        for (size_t s = 0; s < rows; s++, x += apart) {                                                      \
            int64_t a = first;                                                                               \
            for (size_t i = 0; i < n; i++) a = N(name##_step)(a, (int64_t)x[i]);                             \
            out[s] = a;                                                                                      \
        }                                                                                                    \
    }                                                                                                        \
    static void N(name##_onto)(size_t w, size_t rows, int64_t *to, const T *const *x, const int64_t *shift, int fresh) { \
        (void)shift;                                                                                         \
        if (fresh)                                                                                           \
            for (size_t c = 0; c < w; c++) to[c] = first;                                                    \
        for (size_t r = 0; r < rows; r++)                                                                    \
            for (size_t c = 0; c < w; c++) to[c] = N(name##_step)(to[c], (int64_t)x[r][c]);                  \
    }                                                                                                        \
    static void N(name##_merge)(size_t w, int64_t *to, const int64_t *with) {                                \
        for (size_t c = 0; c < w; c++) to[c] = N(name##_step)(to[c], with[c]);                               \
    }                                                                                                        \
    static const reducer N(name##_reducer) = {first, N(name##_runs), N(name##_onto), N(name##_merge), finisher};

static void N(to_bool)(size_t count, const int64_t *from, void *out, size_t at, const double *scalar) {
    (void)scalar;
    for (size_t k = 0; k < count; k++) ((uint8_t *)out)[at + k] = from[k] != 0;
}
static void N(to_same)(size_t count, const int64_t *from, void *out, size_t at, const double *scalar) {
    (void)scalar;
    for (size_t k = 0; k < count; k++) ((T *)out)[at + k] = (T)from[k];
}

INT_REDUCER(sum, 0, (int64_t)((uint64_t)a + (uint64_t)x), NULL)
INT_REDUCER(prod, 1, (int64_t)((uint64_t)a * (uint64_t)x), NULL)
INT_REDUCER(amax, INT64_MIN, a > x ? a : x, N(to_same))
INT_REDUCER(amin, INT64_MAX, a < x ? a : x, N(to_same))
INT_REDUCER(any, 0, a | (x != 0), N(to_bool))
INT_REDUCER(all, 1, a & (x != 0), N(to_bool))
#undef INT_REDUCER
#endif

static void N(sum)(const pd_launch *l) { N(reduce_run)(l, &N(sum_reducer), NULL, l->buf[1]); }
static void N(prod)(const pd_launch *l) { N(reduce_run)(l, &N(prod_reducer), NULL, l->buf[1]); }
static void N(amax)(const pd_launch *l) { N(reduce_run)(l, &N(amax_reducer), NULL, l->buf[1]); }
static void N(amin)(const pd_launch *l) { N(reduce_run)(l, &N(amin_reducer), NULL, l->buf[1]); }
static void N(any)(const pd_launch *l) { N(reduce_run)(l, &N(any_reducer), NULL, l->buf[1]); }
static void N(all)(const pd_launch *l) { N(reduce_run)(l, &N(all_reducer), NULL, l->buf[1]); }

#undef REDUCER
#undef acc_t
#undef reducer
#undef reduce_job
#undef reduce_counter
#undef LANES
#undef BLOCK
#undef RUN
