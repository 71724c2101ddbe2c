/* Random fills and dropout. buf[0] is the generator's state (philox.h); geometry: lines.n elements, contiguous.
 * float32 draws 24 bits for uniform and 32 for the others, float64 draws 53. The numbers are the same for every
 * instruction set; only the bounds of trunc_normal come from libm's erfc, and geometric's log(1 - p) from its log1p. */
#include "philox.h"

#ifndef PD_RANDOM_ONCE
#define PD_RANDOM_ONCE

enum { FILL_GROUPS = 256 };

typedef struct fill_job fill_job;
/* The elements `at` .. `at + n` of the output from one group of words; n is the group's capacity, or less at the end. */
typedef void (*fill_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n);
struct fill_job {
    const pd_launch *launch;
    fill_part part;
    size_t capacity; /* elements a group of words makes */
    uint64_t state[2];
    double a, b, c, d;
};

static UNUSED void fill_chunk(void *context, size_t chunk) {
    const fill_job *job = context;
    const size_t n = job->launch->lines.n, groups = ceil_div(n, job->capacity);
    const size_t last = min_size(groups, (chunk + 1) * FILL_GROUPS);
    uint32_t w[WORDS];
    for (size_t group = chunk * FILL_GROUPS; group < last; group++) {
        const size_t at = group * job->capacity;
        philox_group(job->state, group, w);
        job->part(job, w, at, min_size(n - at, job->capacity));
    }
}

static UNUSED void fill_again(fill_job *job) {
    const size_t chunks = ceil_div(ceil_div(job->launch->lines.n, job->capacity), FILL_GROUPS);
    if (chunks <= 2)
        for (size_t chunk = 0; chunk < chunks; chunk++) fill_chunk(job, chunk);
    else pd_parallel(chunks, fill_chunk, job);
}

static UNUSED void fill_run(fill_job *job) {
    take_blocks(job->launch->buf[0], ceil_div(job->launch->lines.n, job->capacity), job->state);
    fill_again(job);
}

/* The number of 32-bit words of which w < bound has probability p. */
static UNUSED uint64_t bound_of(double p) { return p >= 1 ? (uint64_t)1 << 32 : p > 0 ? (uint64_t)(p * 0x1p32) : 0; }

/* floor(r n / 2^64), r the 64 random bits of two words: uniform below n but for n / 2^64. */
INLINE uint64_t below64(uint32_t high, uint32_t low, uint64_t n) {
    return (uint64_t)((unsigned __int128)((uint64_t)high << 32 | low) * n >> 64);
}

/* The same for n below 2^32, in 64 bits. */
INLINE uint64_t below32(uint32_t high, uint32_t low, uint32_t n) {
    return ((uint64_t)high * n + ((uint64_t)low * n >> 32)) >> 32;
}

/* Quantile of the standard normal distribution, relative error 1e-15 (Wichura 1988, AS 241), 0 < p < 1. */
static UNUSED double normal_quantile(double p) {
    const double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r +
                        45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r +
                     133.14166789178437745) * r + 3.387132872796366608) /
               (((((((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r +
                    21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r +
                 42.313330701600911252) * r + 1.0);
    }
    double r = sqrt(-fixed_log(q < 0 ? p : 1 - p)), z;
    if (r <= 5) {
        r -= 1.6;
        z = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r +
                 1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.7694972214606914055) * r +
              4.6303378461565452959) * r + 1.42343711074968357734) /
            (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r +
                 0.14810397642748007459) * r + 0.68976733498510000455) * r + 1.6763848301838038494) * r +
              2.05319162663775882187) * r + 1.0);
    } else {
        r -= 5;
        z = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r +
                 0.026532189526576123093) * r + 0.29656057182850489123) * r + 1.7848265399172913358) * r +
              5.4637849111641143699) * r + 6.6579046435011037772) /
            (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r +
                 7.868691311456132591e-4) * r + 0.0148753612908506148525) * r + 0.13692988092273580531) * r +
              0.59983220655588793769) * r + 1.0);
    }
    return q < 0 ? -z : z;
}

#endif

/* y = true (1) with probability scalar[0]. */
static void N(bernoulli_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    T *y = (T *)job->launch->buf[1] + at;
    const uint64_t bound = bound_of(job->a);
    for (size_t i = 0; i < n; i++) y[i] = (T)(w[i] < bound);
}
static void N(bernoulli)(const pd_launch *launch) {
    fill_job job = {launch, N(bernoulli_part), WORDS, {0}, launch->scalar[0], 0, 0, 0};
    fill_run(&job);
}

/* y = whole numbers lo <= y < hi; buf[2] holds {lo, hi}, int64. Two words a number up to 2^32 values, else four: uniform
 * but for one part in 2^32 (2^64). */
static void N(integers_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    const uint64_t *range = job->launch->buf[2], values = range[1] - range[0];
    T *y = (T *)job->launch->buf[1] + at;
    if (values >> 32 == 0) {
        uint64_t drawn[WORDS / 2];
        for (size_t i = 0; i < BLOCKS; i++) {
            drawn[i] = below32(w[i], w[i + BLOCKS], (uint32_t)values);
            drawn[i + BLOCKS] = below32(w[i + 2 * BLOCKS], w[i + 3 * BLOCKS], (uint32_t)values);
        }
        for (size_t i = 0; i < n; i++) y[i] = (T)(int64_t)(range[0] + drawn[i]);
    } else
        for (size_t i = 0; i < n; i++) {
            const uint64_t high = (uint64_t)w[i] << 32 | w[i + BLOCKS];
            const uint64_t carry = below64(w[i + 2 * BLOCKS], w[i + 3 * BLOCKS], values);
            y[i] = (T)(int64_t)(range[0] + (uint64_t)(((unsigned __int128)high * values + carry) >> 64));
        }
}
static void N(integers)(const pd_launch *launch) {
    const uint64_t *range = launch->buf[2];
    const size_t capacity = (range[1] - range[0]) >> 32 == 0 ? WORDS / 2 : WORDS / 4;
    fill_job job = {launch, N(integers_part), capacity, {0}, 0, 0, 0, 0};
    fill_run(&job);
}

#if PD_REAL

/* A group makes so many numbers of 32 (float32) or 64 (float64) bits. */
enum { N(REALS) = WORDS * 4 / sizeof(real) };

/* y = scalar[0] + (scalar[1] - scalar[0]) u, u in [0, 1) by steps of 2^-24 (float32) or 2^-53 (float64); y < scalar[1]. */
static void N(uniform_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    const real low = (real)job->a, high = (real)job->b, width = high - low, below = (real)job->c;
    real y[N(REALS)];
    if (sizeof(real) == 4)
        for (size_t i = 0; i < WORDS; i++) y[i] = (real)(int32_t)(w[i] >> 8) * (real)0x1p-24;
    else
        for (size_t i = 0; i < BLOCKS; i++) {
            y[i] = (real)unit53(w[i], w[i + BLOCKS]);
            y[i + BLOCKS] = (real)unit53(w[i + 2 * BLOCKS], w[i + 3 * BLOCKS]);
        }
    for (size_t i = 0; i < N(REALS); i++) {
        y[i] = low + width * y[i];
        y[i] = y[i] >= high ? below : y[i];
    }
    memcpy((real *)job->launch->buf[1] + at, y, n * sizeof(real));
}
static void N(uniform)(const pd_launch *launch) {
    const real low = (real)launch->scalar[0], high = (real)launch->scalar[1];
    const real below = sizeof(real) == 4 ? (real)nextafterf((float)high, (float)low) : (real)nextafter(high, low);
    fill_job job = {launch, N(uniform_part), N(REALS), {0}, low, high, below, 0};
    fill_run(&job);
}

/* y = scalar[0] + scalar[1] z, z standard normal in double precision, |z| < 6.7 (float32), 8.6 (float64). */
static void N(normal_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    real y[N(REALS)];
    for (size_t k = 0; k < N(REALS); k += 2 * BLOCKS)
        for (size_t i = 0; i < BLOCKS; i++) {
            double first, second;
            if (sizeof(real) == 4) normal_pair(unit32(w[k + i]) + 0x1p-32, unit32(w[k + i + BLOCKS]), &first, &second);
            else
                normal_pair(unit53(w[i], w[i + BLOCKS]) + 0x1p-53, unit53(w[i + 2 * BLOCKS], w[i + 3 * BLOCKS]), &first,
                            &second);
            y[k + i] = (real)(job->a + job->b * first);
            y[k + i + BLOCKS] = (real)(job->a + job->b * second);
        }
    memcpy((real *)job->launch->buf[1] + at, y, n * sizeof(real));
}
static void N(normal)(const pd_launch *launch) {
    fill_job job = {launch, N(normal_part), N(REALS), {0}, launch->scalar[0], launch->scalar[1], 0, 0};
    fill_run(&job);
}

/* y = normal with mean scalar[0] and deviation scalar[1], given scalar[2] <= y <= scalar[3], by the inverse of the
 * distribution. Drawn in the lower half where most of the interval is above the mean: the upper tail has no digits. */
static void N(trunc_normal_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    const double *s = job->launch->scalar;
    real *y = (real *)job->launch->buf[1] + at;
    for (size_t i = 0; i < n; i++) {
        const uint32_t *pair = w + i / BLOCKS * 2 * BLOCKS + i % BLOCKS;
        const double u = sizeof(real) == 4 ? unit32(w[i]) + 0x1p-33 : unit53(pair[0], pair[BLOCKS]) + 0x1p-54;
        const double p = job->a + u * (job->b - job->a);
        const double z = p > 0 && p < 1 ? job->c * normal_quantile(p) : 0, x = s[0] + s[1] * z;
        y[i] = (real)(x < s[2] ? s[2] : x > s[3] ? s[3] : x);
    }
}
static void N(trunc_normal)(const pd_launch *launch) {
    const double *s = launch->scalar, low = (s[2] - s[0]) / s[1], high = (s[3] - s[0]) / s[1];
    const int mirrored = low + high > 0;
    const double from = mirrored ? -high : low, to = mirrored ? -low : high;
    fill_job job = {launch, N(trunc_normal_part), N(REALS), {0}, 0.5 * erfc(-from * 0.70710678118654752440),
                    0.5 * erfc(-to * 0.70710678118654752440), mirrored ? -1 : 1, 0};
    fill_run(&job);
}

/* y = a function of one uniform number u, 0 < u < 1, in double precision; scalar[2] says which:
 *   0  exponential  -log(u) / scalar[0]             1  geometric  ceil(log(u) / log(1 - scalar[0])), at least 1
 *   2  Cauchy       scalar[0] - scalar[1] cot(pi u)  3  log-normal  exp(scalar[0] + scalar[1] z), z = quantile(u) */
static void N(transformed_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    real *y = (real *)job->launch->buf[1] + at;
    const int which = (int)job->c;
    for (size_t i = 0; i < n; i++) {
        const uint32_t *pair = w + i / BLOCKS * 2 * BLOCKS + i % BLOCKS;
        const double u = sizeof(real) == 4 ? unit32(w[i]) + 0x1p-33 : unit53(pair[0], pair[BLOCKS]) + 0x1p-54;
        double value, c, s;
        if (which == 0) value = -fixed_log(u) / job->a;
        else if (which == 1) value = fmax(1, ceil(fixed_log(u) / job->a));
        else if (which == 2) {
            fixed_turn(u / 2, &c, &s);
            value = job->a - job->b * (c / s);
        } else value = fixed_exp(job->a + job->b * normal_quantile(u));
        y[i] = (real)value;
    }
}
static void N(transformed)(const pd_launch *launch) {
    const double *s = launch->scalar;
    fill_job job = {launch, N(transformed_part), N(REALS), {0}, s[2] == 1 ? log1p(-s[0]) : s[0], s[1], s[2], 0};
    fill_run(&job);
}

/* y = 1 with probability p, element by element: buf state, p, y. */
static void N(bernoulli_of_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    const real *p = (const real *)job->launch->buf[1] + at;
    real *y = (real *)job->launch->buf[2] + at;
    for (size_t i = 0; i < n; i++) y[i] = (real)(unit32(w[i]) < (double)p[i]);
}
static void N(bernoulli_of)(const pd_launch *launch) {
    fill_job job = {launch, N(bernoulli_of_part), WORDS, {0}, 0, 0, 0, 0};
    fill_run(&job);
}

/* Dropout (Srivastava et al. 2014): y = x * mask / (1 - p), the mask 0 with probability p = scalar[0].
 * fwd: buf state, x, y, used (the two words of state that made the mask). bwd: buf dy, used, dx: the same mask again. */
static void N(dropout_apply)(const fill_job *job, const uint32_t *w, size_t at, size_t n, const real *x, real *y) {
    const uint32_t bound = (uint32_t)min_size((size_t)bound_of(job->a), UINT32_MAX);
    const real scale = (real)job->b;
    x += at;
    y += at;
    for (size_t i = 0; i < n; i++) y[i] = x[i] * (w[i] >= bound ? scale : 0);
}
static void N(dropout_fwd_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    N(dropout_apply)(job, w, at, n, job->launch->buf[1], job->launch->buf[2]);
}
static void N(dropout_bwd_part)(const fill_job *job, const uint32_t *w, size_t at, size_t n) {
    N(dropout_apply)(job, w, at, n, job->launch->buf[0], job->launch->buf[2]);
}
static void N(dropout_fwd)(const pd_launch *launch) {
    const double p = launch->scalar[0];
    fill_job job = {launch, N(dropout_fwd_part), WORDS, {0}, p, p < 1 ? 1 / (1 - p) : 0, 0, 0};
    fill_run(&job);
    memcpy(launch->buf[3], job.state, sizeof job.state);
}
static void N(dropout_bwd)(const pd_launch *launch) {
    const double p = launch->scalar[0];
    fill_job job = {launch, N(dropout_bwd_part), WORDS, {0}, p, p < 1 ? 1 / (1 - p) : 0, 0, 0};
    memcpy(job.state, launch->buf[1], sizeof job.state);
    fill_again(&job);
}

#endif
