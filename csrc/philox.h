/* Random words by counter: Philox 4x32-10 (Salmon et al., SC 2011), key = seed, counter = block number.
 * A state is two uint64: the seed, and the next block nobody has used. A kernel takes the blocks it needs by adding to the
 * second, so the same launch run again draws fresh numbers, and every number is a function of (state, place in the
 * output): of no thread count and no instruction set.
 * Words come in groups of 64 from 16 consecutive blocks, ordered word by word: w[16 k + j] is word k of block j. */
#ifndef PD_PHILOX_ONCE
#define PD_PHILOX_ONCE

enum { BLOCKS = 16, WORDS = 64 };

static UNUSED void take_blocks(void *state, size_t groups, uint64_t taken[2]) {
    uint64_t *s = state;
    taken[0] = s[0];
    taken[1] = __atomic_fetch_add(&s[1], (uint64_t)groups * BLOCKS, __ATOMIC_RELAXED);
}

/* A vector of blocks, one word of each in the lower half of a 64-bit lane; what is in the upper half does not matter. */
typedef uint64_t lanes __attribute__((vector_size(VBYTES)));
typedef uint32_t lane_words __attribute__((vector_size(VBYTES / 2), aligned(4), may_alias));
enum { LANES = VBYTES / 8 };

/* The 64-bit products of the lower halves. */
INLINE lanes wide_product(lanes a, uint32_t factor) {
#if defined(__AVX512F__)
    return (lanes)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(factor));
#elif defined(__AVX2__)
    return (lanes)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(factor));
#elif defined(__SSE2__)
    return (lanes)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(factor));
#elif defined(__aarch64__)
    return (lanes)vmull_n_u32(vmovn_u64((uint64x2_t)a), factor);
#else
    return (a & UINT32_MAX) * ((lanes){0} + factor);
#endif
}

/* SIDE vectors of blocks go through the rounds side by side: one alone would wait for its own products. */
enum { SIDE = 2 };

static UNUSED void philox_group(const uint64_t state[2], size_t group, uint32_t w[WORDS]) {
    const uint64_t first = state[1] + (uint64_t)group * BLOCKS;
    for (size_t j = 0; j < BLOCKS; j += SIDE * LANES) {
        lanes k0 = (lanes){0} + (state[0] & UINT32_MAX), k1 = (lanes){0} + (state[0] >> 32);
        lanes a[SIDE], b[SIDE], c[SIDE] = {{0}}, d[SIDE] = {{0}};
        #pragma GCC unroll 8
        for (size_t v = 0; v < SIDE; v++) {
            uint64_t block[LANES];
            for (size_t i = 0; i < LANES; i++) block[i] = first + j + v * LANES + i;
            memcpy(&a[v], block, sizeof block);
            b[v] = a[v] >> 32;
        }
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
            #pragma GCC unroll 8
            for (size_t v = 0; v < SIDE; v++) {
                const lanes p = wide_product(a[v], 0xD2511F53u), q = wide_product(c[v], 0xCD9E8D57u);
                a[v] = (q >> 32) ^ b[v] ^ k0;
                b[v] = q;
                c[v] = (p >> 32) ^ d[v] ^ k1;
                d[v] = p;
            }
        #pragma GCC unroll 8
        for (size_t v = 0; v < SIDE; v++) {
            uint32_t *to = w + j + v * LANES;
            *(lane_words *)to = __builtin_convertvector(a[v], lane_words);
            *(lane_words *)(to + BLOCKS) = __builtin_convertvector(b[v], lane_words);
            *(lane_words *)(to + 2 * BLOCKS) = __builtin_convertvector(c[v], lane_words);
            *(lane_words *)(to + 3 * BLOCKS) = __builtin_convertvector(d[v], lane_words);
        }
    }
}

/* ---- Numbers from words. Multiplications and additions in this order, no fma: the same bits everywhere. ---- */

INLINE double as_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
INLINE uint64_t as_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* k below 2^52 as a double, by the bits: it vectorises without a conversion instruction. */
INLINE double exact(uint64_t k) { return as_double(0x4330000000000000u | k) - 0x1p52; }
/* [0, 1) in steps of 2^-32, and of 2^-53 from two words */
INLINE double unit32(uint32_t w) { return exact(w) * 0x1p-32; }
INLINE double unit53(uint32_t high, uint32_t low) { return exact(high >> 5) * 0x1p-27 + exact(low >> 6) * 0x1p-53; }

/* Natural logarithm of a positive normal number, below 1 ulp (fdlibm's e_log.c): x = 2^k (1 + f), 1 + f near [0.7, 1.4]. */
INLINE double fixed_log(double x) {
    const uint64_t shifted = as_bits(x) + ((uint64_t)(0x3ff00000 - 0x3fe6a09e) << 32);
    const double k = exact(shifted >> 52) - 1023;
    const double f = as_double((shifted & 0x000fffffffffffffu) + ((uint64_t)0x3fe6a09e << 32)) - 1;
    const double s = f / (2 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    const double odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    const double even = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 +
                             w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    return k * 6.93147180369123816490e-01 - ((half - (s * (half + (odd + even)) + k * 1.90821492927058770002e-10)) - f);
}

/* e^x, below 2 ulp: 2^k e^r, |r| <= log(2) / 2, by Taylor's series. Infinite above 709.4, 0 below -708. */
INLINE double fixed_exp(double x) {
    if (!(x < 709.4)) return x != x ? x : INFINITY;
    if (x < -708) return 0;
    const double shifted = x * 1.44269504088896338700 + 0x1.8p52, k = shifted - 0x1.8p52;
    const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    const double z = r * r; /* even and odd powers side by side */
    const double even = 1 + z * (1.0 / 2 + z * (1.0 / 24 + z * (1.0 / 720 + z * (1.0 / 40320 + z * (1.0 / 3628800 + z / 479001600)))));
    const double odd = 1 + z * (1.0 / 6 + z * (1.0 / 120 + z * (1.0 / 5040 + z * (1.0 / 362880 + z * (1.0 / 39916800 + z / 6227020800)))));
    return (even + r * odd) * as_double((as_bits(shifted) + 1023) << 52);
}

/* cos and sin of a full turn times u, u in [0, 1): fdlibm's k_cos.c and k_sin.c on the nearest quarter turn. */
INLINE void fixed_turn(double u, double *cosine, double *sine) {
    const double t = 4 * u, shifted = t + 0x1.8p52, x = (t - (shifted - 0x1.8p52)) * 1.57079632679489661923, z = x * x;
    const uint64_t quarter = as_bits(shifted);
    const double s = x + x * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 +
                     z * (-1.98412698298579493134e-04 + z * (2.75573137070700676789e-06 +
                     z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
    const double c = 1 - (0.5 * z - z * z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 +
                     z * (2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07 +
                     z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))));
    const uint64_t swap = 0 - (quarter & 1), either = (as_bits(s) ^ as_bits(c)) & swap;
    *sine = as_double((as_bits(s) ^ either) ^ (quarter & 2) << 62);
    *cosine = as_double((as_bits(c) ^ either) ^ ((quarter + 1) & 2) << 62);
}

/* Two standard normal numbers from u in (0, 1] and v in [0, 1) (Box & Muller 1958). */
INLINE void normal_pair(double u, double v, double *first, double *second) {
    const double radius = sqrt(-2 * fixed_log(u));
    double c, s;
    fixed_turn(v, &c, &s);
    *first = radius * c;
    *second = radius * s;
}

#endif
